#include "base/nearest.hpp"
#include <gtest/gtest.h>

namespace mimic {
namespace {
constexpr std::string_view names[] = {"kernel", "initrd", "append", "smp", "machine"};

TEST(Nearest, FindsWhatWasMeant) {
    EXPECT_EQ(nearest("kernle", names), "kernel");
    EXPECT_EQ(nearest("mach", names), "machine");
    EXPECT_EQ(nearest("smpp", names), "smp");
    EXPECT_EQ(nearest("frobnicate", names), "");
    constexpr std::string_view letters[] = {"L", "d"};
    EXPECT_EQ(nearest("x", letters), "");
    EXPECT_EQ(did_you_mean("inird", names), ", did you mean 'initrd'?");
    EXPECT_EQ(did_you_mean("", names), "");
}
} // namespace
} // namespace mimic
