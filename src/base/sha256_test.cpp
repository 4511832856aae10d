// Answers of FIPS 180-4's examples (NIST: Example algorithms, SHA256.pdf), and that pieces make no difference.
#include "base/sha256.hpp"
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <string>

namespace mimic {
namespace {

std::span<const u8> bytes(const std::string& s) { return {reinterpret_cast<const u8*>(s.data()), s.size()}; }
std::string text(const Sha256Digest& d) {
    std::string s;
    for (u8 b : d) s += fmt::format("{:02x}", b);
    return s;
}

TEST(Sha256, Examples) {
    EXPECT_EQ(text(sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(text(sha256(bytes("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(text(sha256(bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    EXPECT_EQ(text(sha256(bytes(std::string(1000000, 'a')))),
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PiecesOfAnyLength) {
    std::string all;
    for (int n = 0; n < 300; ++n) all += char(n * 7);
    const Sha256Digest whole = sha256(bytes(all));
    for (u64 first = 0; first <= all.size(); ++first) {
        Sha256 s;
        s.add(bytes(all).first(first)).add(bytes(all).subspan(first));
        EXPECT_EQ(s.digest(), whole) << first;
    }
}

} // namespace
} // namespace mimic
