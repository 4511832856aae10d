// The text form of a unit: what -d op shows, what tests of passes are written in. It reads back to the same unit.
//
//   unit pc 0x10074 mode 0 flavour 0 vector 16 range 0x10074 0x10080
//   b0 entry pc 0x10074:
//     insn 0x10074 4
//     %1 = get i64 x2
//     %2 = constant i64 16
//     %3 = add i64 %1, %2
//     %4 = load i64 [%3 + 8] i32 sext
//     put x5, %4
//     %6 = icmp.ult i64 %4, %2
//     brcond %6, b1, b2
//
// Commas are blanks; ';' begins a comment. A value's name is % and anything; printed, it is the instruction's number.
#pragma once
#include "base/result.hpp"
#include "ir/unit.hpp"
#include <string>
#include <string_view>

namespace mimic::ir {

// The unit must be one that verify accepts.
std::string print(const Unit& unit, const GuestState& guest);
// One instruction, as in print.
std::string print(const Unit& unit, const GuestState& guest, ValueId n);

// `intrinsics` are the ones that the text may call. Values must be defined before they are used and in the same block;
// what else makes a unit valid is for verify. Errors name the line.
Result<Unit> parse(std::string_view text, const GuestState& guest, std::span<const Intrinsic* const> intrinsics = {});

} // namespace mimic::ir
