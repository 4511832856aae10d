#include "base/json.hpp"
#include <gtest/gtest.h>

namespace mimic {
namespace {

TEST(Json, ReadsAndWritesTheSameText) {
    std::string text = R"({"a": [1, -2, 18446744073709551615, 1.5, true, null], "b": {"c": "x\"\n"}})";
    auto v = Json::parse(text);
    ASSERT_TRUE(v);
    EXPECT_EQ(v->dump(), text);
}

TEST(Json, IndentsAMemberALine) {
    Json v = Json::object();
    v.set("n", 1);
    EXPECT_EQ(v.dump(4), "{\n    \"n\": 1\n}");
}

TEST(Json, RefusesWhatIsNotJson) {
    for (auto* bad : {"", "{", "[1,]", "{\"a\": 1, \"a\": 2}", "nul", "1 2", "\"\xff\""})
        EXPECT_FALSE(Json::parse(bad)) << bad;
}

TEST(Json, RefusesDeepNesting) {
    EXPECT_FALSE(Json::parse(std::string(100000, '[')));
    EXPECT_TRUE(Json::parse(std::string(200, '[') + std::string(200, ']')));
}

TEST(Json, KeepsSignAndRange) {
    u64 u = 0;
    i64 i = 0;
    EXPECT_FALSE(Json(-1).get(u));
    EXPECT_FALSE(Json(u64(1) << 63).get(i));
    EXPECT_TRUE(Json(5).get(u) && u == 5);
}

TEST(Json, TakesMembersOut) {
    Json v = *Json::parse(R"({"a": 1, "b": 2})");
    EXPECT_EQ(v.take("a"), Json(u64(1)));
    EXPECT_EQ(v.dump(), R"({"b": 2})");
    EXPECT_TRUE(v.take("zz").is_null());
}

} // namespace
} // namespace mimic
