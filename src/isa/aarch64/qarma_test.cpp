#include "isa/aarch64/qarma.hpp"
#include <gtest/gtest.h>

namespace mimic::isa::aarch64 {
namespace {

// R. Avanzi, The QARMA Block Cipher Family, appendix: QARMA-64 with sigma_2 and r = 5.
TEST(Qarma, AgreesWithTheVectorOfItsPaper) {
    PacKey key{.low = 0xec2802d4e0a488e9, .high = 0x84be85ce9804e94b};
    EXPECT_EQ(qarma5(0xfb623599da6e8127, 0x477d469dec0b8762, key), 0xc003b93999b33765u);
}

} // namespace
} // namespace mimic::isa::aarch64
