// Answers of FIPS 180-4's examples (NIST: Example algorithms, SHA1.pdf) and of coreutils' sha1sum.
#include "base/sha1.hpp"
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <string>

namespace mimic {
namespace {

std::string sum(const std::string& s) {
    std::string out;
    for (u8 b : sha1({reinterpret_cast<const u8*>(s.data()), s.size()})) out += fmt::format("{:02x}", b);
    return out;
}

TEST(Sha1, Examples) {
    EXPECT_EQ(sum(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    EXPECT_EQ(sum("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    EXPECT_EQ(sum("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
              "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    EXPECT_EQ(sum(std::string(1000000, 'a')), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    EXPECT_EQ(sum(std::string(55, 'a')), "c1c8bbdc22796e28c0e15163d20899b65621d65a");
    EXPECT_EQ(sum(std::string(56, 'a')), "c2db330f6083854c99d4b5bfb6e8f29f201be699");
    EXPECT_EQ(sum(std::string(64, 'a')), "0098ba824b5c16427bd7a1122a5a442a25ec644d");
}

} // namespace
} // namespace mimic
