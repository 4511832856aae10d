#include "monitor/commands.hpp"
#include "monitor/human/human.hpp"
#include <gtest/gtest.h>

namespace mimic::monitor {
namespace {

TEST(Schema, AllCommandsAreDeclaredWell) {
    auto schema = make_schema(); // a mistake stops the program
    for (const Command* c : schema->commands()) EXPECT_FALSE(c->help.empty()) << c->name;
    EXPECT_NE(schema->documentation().find("| query-status |  | StatusInfo | the run-state |"), std::string::npos);
}

TEST(Expression, HasTheUsualPrecedence) {
    struct Case {
        std::string_view text;
        u64 value;
        std::string_view left;
    };
    for (const Case& c : {Case{"1+2*3", 7, ""},
                          {"(1+2)*3 4", 9, "4"},
                          {"-1", ~u64{0}, ""},
                          {"~0xf & 0xff", 0xf0, ""},
                          {"0x10|1", 0x11, ""},
                          {"010", 8, ""},
                          {"10-4-3", 3, ""},
                          {"7%4", 3, ""},
                          {"6/2", 3, ""}}) {
        std::string_view text = c.text;
        auto v = evaluate(text, nullptr);
        ASSERT_TRUE(v) << c.text << v.error().message();
        EXPECT_EQ(*v, c.value) << c.text;
        EXPECT_EQ(text, c.left) << c.text;
    }
    for (std::string_view bad : {"", "1+", "(1", "$pc", "1/0", "99999999999999999999", "x"})
        EXPECT_FALSE(evaluate(bad, nullptr));
}

} // namespace
} // namespace mimic::monitor
