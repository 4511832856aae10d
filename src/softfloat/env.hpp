// The environment of soft-float: rounding, sticky flags, and what differs between guests (NaN results, flushing,
// tininess, conversions to integers). Every operation takes an Env and owns no other state.
//
//   Env env = env::aarch64;            // copy a guest's constant, then follow its control register
//   env.rounding = Rounding::up;
//   u64 sum = add<F64>(a, b, env);     // env.flags has gained what the operation raised
#pragma once
#include "base/types.hpp"

namespace mimic::softfloat {

enum class Rounding : u8 { nearest_even, toward_zero, down, up, nearest_away, odd };

// Bits of Env::flags. The low five and denormal_flushed have the positions of Arm's FPSR.
namespace flag {
enum : u32 {
    invalid = 1u << 0,
    divide_by_zero = 1u << 1,
    overflow = 1u << 2,
    underflow = 1u << 3, // tiny and inexact, or flushed
    inexact = 1u << 4,
    denormal_used = 1u << 5,    // x86's DE: a denormal operand took part; not with NaNs, invalid or divide_by_zero
    tiny = 1u << 6,             // below the normal range even if exact: what an enabled underflow trap looks at
    denormal_flushed = 1u << 7, // Arm's IDC: a denormal operand was taken as zero
    rounded_up =
        1u << 8, // the magnitude was rounded away from zero (x87 C1, PowerPC FR); clear it before the operation

    // Causes of invalid, always together with it (PowerPC's VX bits).
    invalid_snan = 1u << 16,
    invalid_inf_minus_inf = 1u << 17,
    invalid_inf_times_zero = 1u << 18,
    invalid_zero_by_zero = 1u << 19,
    invalid_inf_by_inf = 1u << 20,
    invalid_sqrt = 1u << 21,
    invalid_compare = 1u << 22,     // a signalling comparison met a NaN
    invalid_convert = 1u << 23,     // NaN or out of range for the integer or format
    invalid_remainder = 1u << 24,   // infinity rem y, x rem 0
    invalid_unsupported = 1u << 25, // an x87 encoding that is no number
};
inline constexpr u32 ieee = invalid | divide_by_zero | overflow | underflow | inexact;
inline constexpr u32 causes = 0x03ff'0000;
} // namespace flag

// Which NaN an operation with NaN operands returns. Operands are taken in the order that NanRules gives.
enum class NanOrder : u8 {
    first,            // the first NaN, quiet or not
    signalling_first, // the first signalling NaN, else the first quiet one
    x87,              // quiet before signalling, else the larger significand, else the positive one
};

enum class DefaultNan : u8 {
    quiet_bit,         // 0x7fc00000
    all_ones,          // 0x7fffffff
    all_but_quiet_bit, // 0x7fbfffff
    second_bit,        // 0x7fa00000
};

// What becomes of a signalling NaN that is to be returned.
enum class Quieting : u8 {
    set_bit,           // the quiet bit is set, the payload stays
    default_nan,       // a signalling operand gives the default NaN (MIPS with NAN2008=0, SH-4)
    clear_and_set_next // the signalling bit is cleared and the next one set (HPPA)
};

// (infinity * 0) + quiet NaN.
enum class InfZeroNan : u8 {
    nan,                // the NaN, nothing raised (x86)
    nan_invalid,        // the NaN, invalid raised (PowerPC; RISC-V, where the NaN is the default one)
    default_nan_invalid // the default NaN, invalid raised (Arm)
};

struct NanRules {
    bool default_sign = false;
    DefaultNan default_pattern = DefaultNan::quiet_bit;
    bool signalling_bit_set = false; // the fraction's top bit means signalling (MIPS legacy, HPPA, SH-4)
    Quieting quieting = Quieting::set_bit;
    NanOrder order = NanOrder::first;
    bool second_first = false;   // two operands: look at the second one first (SPARC)
    u8 fma_order[3] = {0, 1, 2}; // the order in which a*b+c looks at a (0), b (1) and c (2)
    InfZeroNan inf_zero_nan = InfZeroNan::nan_invalid;
};

// What a conversion to an integer gives when the value has none. Always raises invalid alone.
enum class IntResult : u8 {
    saturate, // the nearest bound of the type; NaN counts as +infinity
    minimum,  // the least value of the type
    maximum,  // the greatest value of the type
    zero,
    indefinite, // x86: sign bit alone for signed, all ones for unsigned types
};
struct IntRules {
    IntResult nan = IntResult::saturate;
    IntResult out_of_range = IntResult::saturate;
};

// Flushing of denormals. Results are flushed when tiny, as Env::tininess_before_rounding defines tiny.
struct Flush {
    bool inputs = false;
    bool outputs = false;
    u32 input_flags = 0; // raised when an operand is flushed
    u32 output_flags = flag::underflow | flag::inexact | flag::tiny;
};

struct Env {
    Rounding rounding = Rounding::nearest_even;
    bool tininess_before_rounding = false;
    bool default_nan = false;   // every NaN result is the default one
    u8 extended_precision = 64; // significand bits that results in F80 and F80M68k keep: 24, 53 or 64
    Flush flush;                // all formats but half precision
    Flush flush_half;           // half precision (Arm's FZ16)
    NanRules nan;
    IntRules to_int;
    u32 flags = 0; // sticky

    constexpr void raise(u32 f) { flags |= f; }
};

// Each guest's rules with its control register at zero and all traps off.
namespace env {
// RISC-V unprivileged ISA, chapters F and D: canonical NaN, tininess after rounding.
inline constexpr Env riscv{.default_nan = true, .to_int = {IntResult::maximum, IntResult::saturate}};

// Arm ARM, shared pseudocode FPProcessNaNs, FPProcessNaNs3, FPMulAdd, FPToFixed, FPRound. FZ: set flush.inputs and
// .outputs; FZ16: flush_half.inputs and .outputs; DN: default_nan.
inline constexpr Env aarch64{
    .tininess_before_rounding = true,
    .flush = {.input_flags = flag::denormal_flushed, .output_flags = flag::underflow | flag::tiny},
    .flush_half = {.output_flags = flag::underflow | flag::tiny},
    .nan = {.order = NanOrder::signalling_first,
            .fma_order = {2, 0, 1},
            .inf_zero_nan = InfZeroNan::default_nan_invalid},
    .to_int = {IntResult::zero, IntResult::saturate}};

// Intel SDM vol. 1, table 4-7 and section 11.5.2. DAZ: flush.inputs; FTZ: flush.outputs.
inline constexpr Env x86_sse{.nan = {.default_sign = true, .inf_zero_nan = InfZeroNan::nan},
                             .to_int = {IntResult::indefinite, IntResult::indefinite}};

// Intel SDM vol. 1, table 4-7 and section 8.5.
inline constexpr Env x87{.nan = {.default_sign = true, .order = NanOrder::x87, .inf_zero_nan = InfZeroNan::nan},
                         .to_int = {IntResult::indefinite, IntResult::indefinite}};

// Power ISA book I, section 4.4 (FRA, then FRB, the addend, then FRC).
inline constexpr Env ppc{.tininess_before_rounding = true,
                         .nan = {.fma_order = {0, 2, 1}},
                         .to_int = {IntResult::minimum, IntResult::saturate}};

// MIPS with FCSR.NAN2008=0 (MIPS64 architecture vol. I-A, section 6.3): an invalid conversion gives the greatest integer.
inline constexpr Env mips_legacy{.nan = {.default_pattern = DefaultNan::all_but_quiet_bit,
                                         .signalling_bit_set = true,
                                         .quieting = Quieting::default_nan},
                                 .to_int = {IntResult::maximum, IntResult::maximum}};

// SPARC architecture 2011, annex on IEEE 754 requirements: rs2 before rs1.
inline constexpr Env sparc{.tininess_before_rounding = true,
                           .nan = {.default_pattern = DefaultNan::all_ones,
                                   .order = NanOrder::signalling_first,
                                   .second_first = true,
                                   .fma_order = {2, 1, 0}}};

// z/Architecture principles of operation, chapter 19.
inline constexpr Env s390x{.tininess_before_rounding = true,
                           .nan = {.order = NanOrder::signalling_first},
                           .to_int = {IntResult::minimum, IntResult::saturate}};

// M68000 Family Programmer's Reference Manual, section 1.6.5: the destination operand's NaN wins.
inline constexpr Env m68k{.tininess_before_rounding = true, .nan = {.default_pattern = DefaultNan::all_ones}};
} // namespace env

} // namespace mimic::softfloat
