// Cases as text, one a line, for rules read from manuals and for results recorded on other machines:
//
//   add f32      | 0x7f800001 0x7fc00002  | aarch64          => 0x7fc00001 NV
//   convert f64 f32 | 0x3ff0000000000001  | riscv up         => 0x3f800001 NX
//   to_i32 f64   | 0x7ff8000000000000     | ppc              => 0x80000000 NV cvi
//
// operation, format (and destination format); operands; guest, rounding (rne rtz rdn rup rna odd) and mode words
// (dn fz fz16 daz ftz); result and flags: NV DZ OF UF NX, ID (denormal flushed) and the causes of NV, which are looked
// at when the line names one.
#pragma once
#include <string>
#include <string_view>

namespace mimic::softfloat::soak {

// Runs one line. Empty: it holds, or it is blank or a comment. Otherwise what differs, or what is wrong with the line.
std::string run_text_case(std::string_view line);

} // namespace mimic::softfloat::soak
