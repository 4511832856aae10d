#include "base/trace.hpp"
#include <gtest/gtest.h>

namespace mimic::trace {
namespace {
MIMIC_TRACE(sample, "test", "sample", "a={} b={:#x}");
MIMIC_TRACE(other, "test", "other", "a={}");

TEST(Trace, EventsAreOffUntilAGlobNamesThem) {
    std::string seen;
    set_sink([&](std::string_view line) { seen += std::string(line) + "\n"; });
    emit(sample, 1, 2);
    EXPECT_EQ(seen, "");
    EXPECT_EQ(enable("test.sam*"), 1u);
    emit(sample, 1, 16);
    emit(other, 5);
    EXPECT_EQ(seen, "test.sample a=1 b=0x10\n");
    disable_all();
    emit(sample, 1, 16);
    EXPECT_EQ(seen, "test.sample a=1 b=0x10\n");
    set_sink({});
}

TEST(Trace, Globs) {
    EXPECT_TRUE(matches("*", ""));
    EXPECT_TRUE(matches("a*c?", "abbbcd"));
    EXPECT_FALSE(matches("a*c?", "abbbc"));
    EXPECT_FALSE(matches("abc", "abcd"));
    EXPECT_TRUE(matches("**x**", "aaxbb"));
}

TEST(Trace, GuestErrorsStopAfterMany) {
    u32 lines = 0;
    set_sink([&](std::string_view) { lines++; });
    guest_error("x", "value {}", 1);
    EXPECT_EQ(lines, 0u);
    show_guest_errors(true);
    for (u32 i = 0; i < max_guest_errors + 500; i++) guest_error("x", "value {}", i);
    EXPECT_EQ(lines, max_guest_errors + 1);
    show_guest_errors(false);
    set_sink({});
}
} // namespace
} // namespace mimic::trace
