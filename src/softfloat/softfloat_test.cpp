#include "softfloat/soak/text_case.hpp"
#include "softfloat/softfloat.hpp"
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace mimic::softfloat {
namespace {

// Every line of tests/*.fp, which state the manuals' rules.
TEST(Softfloat, TextCases) {
    int cases = 0;
    for (const auto& entry : std::filesystem::directory_iterator("src/softfloat/tests")) {
        std::ifstream file(entry.path());
        std::string line;
        for (int number = 1; std::getline(file, line); ++number, ++cases)
            EXPECT_EQ(soak::run_text_case(line), "") << entry.path().string() << ":" << number << ": " << line;
    }
    EXPECT_GT(cases, 100);
}

TEST(Softfloat, TextCasesThatDoNotHoldAreNoticed) {
    EXPECT_EQ(soak::run_text_case("add f32 | 0x3f800000 0x3f800000 | riscv => 0x40000001"), "got 0x40000000");
    EXPECT_EQ(soak::run_text_case("add f32 | 0x3f800000 0x3f800000 | riscv => 0x40000000 NX"), "got 0x40000000");
    EXPECT_NE(soak::run_text_case("frob f32 | 0x0 | riscv => 0x0"), "");
    EXPECT_NE(soak::run_text_case("add f32 | 0x0 | riscy => 0x0"), "");
}

// The operations on Parts are usable at compile time and round once into another format.
constexpr u32 product_as_single(u64 a, u64 b) {
    Env env = env::ppc;
    return round_pack<F32>(multiply(unpack<F64>(a, env), unpack<F64>(b, env), env), env);
}
static_assert(product_as_single(0x3ff8000000000000, 0x3ff8000000000000) == 0x40100000);

TEST(Softfloat, MixedFormatsRoundOnce) {
    // (1 + 2^-23)(1 + 2^-30): the exact product lies just above a tie of single precision after double rounding.
    Env env = env::riscv;
    const u64 a = 0x3ff0000010000000; // 1 + 2^-24: a tie in single precision
    const u64 b = 0x3ff0000000000001; // 1 + 2^-52
    EXPECT_EQ(round_pack<F32>(multiply(unpack<F64>(a, env), unpack<F64>(b, env), env), env), 0x3f800001u);
    EXPECT_EQ((convert<F32, F64>(mul<F64>(a, 0x3ff0000000000000, env), env)), 0x3f800000u);
}

TEST(Softfloat, RoundedUpTellsTheDirection) {
    Env env = env::x87;
    div<F64>(0x3ff0000000000000, 0x4008000000000000, env); // 1/3 rounds down
    EXPECT_EQ(env.flags & (flag::inexact | flag::rounded_up), u32(flag::inexact));
    div<F64>(0x4000000000000000, 0x4008000000000000, env); // 2/3 rounds down as well: the same fraction
    EXPECT_FALSE(env.flags & flag::rounded_up);
    div<F64>(0x4014000000000000, 0x4008000000000000, env); // 5/3 rounds up
    EXPECT_TRUE(env.flags & flag::rounded_up);
}

TEST(Softfloat, TinyIsSeenEvenWhenExact) {
    Env env = env::riscv;
    EXPECT_EQ(mul<F64>(0x0010000000000000, 0x3fe0000000000000, env), 0x0008000000000000u);
    EXPECT_EQ(env.flags, u32(flag::tiny));
}

TEST(Softfloat, FixedPointScales) {
    Env env = env::aarch64;
    EXPECT_EQ((to_int<F64>(0x3ff8000000000000, {32, true}, Rounding::toward_zero, env, 16)),
              u128(0x18000)); // 1.5 << 16
    EXPECT_EQ(from_int<F64>(0x18000, env, -16), 0x3ff8000000000000u);
    EXPECT_EQ(env.flags, 0u);
    EXPECT_EQ(from_int<F64>(1, env, 1 << 30), 0x7ff0000000000000u); // a scale out of all bounds overflows
}

TEST(Softfloat, RemainderStepsComplete) {
    // 2^200 mod 3 = 1 on the way FPREM takes: partial steps until complete.
    Env env = env::x87;
    Extended a{u64(1) << 63, u16(16383 + 200)};
    const Extended b{u64(3) << 62, u16(16384)};
    Quotient q{.complete = false};
    int steps = 0;
    for (; !q.complete && steps < 10; ++steps) a = remainder_step<F80>(a, b, RemainderKind::truncate, q, env);
    EXPECT_TRUE(q.complete);
    EXPECT_GT(steps, 1);
    EXPECT_EQ(a, (Extended{u64(1) << 63, 16383}));
}

} // namespace
} // namespace mimic::softfloat
