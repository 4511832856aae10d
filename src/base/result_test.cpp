#include "base/result.hpp"
#include <cerrno>
#include <gtest/gtest.h>

namespace mimic {
namespace {

Result<int> parse(std::string_view s) {
    if (s.empty()) return Error::invalid_argument("empty size, expected a number");
    return int(s.size());
}
Result<int> twice(std::string_view s) {
    int n = TRY(parse(s).in("option {}", "size"));
    return 2 * n;
}

TEST(Result, TryGivesTheValue) { EXPECT_EQ(*twice("abc"), 6); }

TEST(Result, TryReturnsTheErrorWithContext) {
    auto r = twice("");
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().kind(), ErrorKind::invalid_argument);
    EXPECT_EQ(r.error().message(), "option size: empty size, expected a number");
}

TEST(Result, ErrnoChoosesTheKind) {
    Error e = Error::from_errno(ENOENT, "open {}", "x.img");
    EXPECT_EQ(e.kind(), ErrorKind::not_found);
    EXPECT_EQ(e.host_errno(), ENOENT);
    EXPECT_EQ(e.message(), "open x.img: No such file or directory");
}

} // namespace
} // namespace mimic
