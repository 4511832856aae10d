// Helpers of operands' text. Internal to the folder.
#pragma once
#include "isa/aarch64/semantics_fp.hpp"
#include <bit>
#include <charconv>
#include <fmt/core.h>

namespace mimic::isa::aarch64 {

// An operand with the name that syntaxes use.
struct NamedOperand {
    std::string_view name;
    Operand<AArch64> operand;
};

// Sets a field, or, where the row fixes its bits, tells whether the value is the row's.
inline bool set_or_check(I& i, const Field& f, i64 v) {
    if (!f.fits(v)) return false;
    u64 fixed = i.row->mask & f.mask();
    if ((f.put(v) & fixed) != (i.row->match & fixed)) return false;
    i.set(f, v);
    return true;
}

// A register: a letter and a number, or a name for number 31. False when the word is none.
bool parse_general(Cursor& in, bool& wide, i64& n, bool stack_pointer);
bool parse_numbered(Cursor& in, char letter, i64& n);
std::string_view general_name(bool wide, i64 n, bool stack_pointer);

inline bool parse_hash_number(Cursor& in, i64& v) {
    in.eat('#');
    return in.number(v);
}
// A number after '#'.
template <const Field& F>
bool parse_field(Cursor& in, I& i) {
    i64 v;
    return parse_hash_number(in, v) && set_or_check(i, F, v);
}
// "#0x1f"
template <const Field& F>
inline constexpr Operand<AArch64> hexadecimal{[](std::string& out, const I& i) { out += fmt::format("#{:#x}", i[F]); },
                                              parse_field<F>};

enum class Width { w, x, set_sf, check_sf, set_30, check_30, by_b5 };
template <const Field& F, Width W, bool StackPointer = false, i64 Add = 0>
inline constexpr Operand<AArch64> general{[](std::string& out, const I& i) {
                                              bool wide = W == Width::x ||
                                                          ((W == Width::set_sf || W == Width::check_sf) && i[sf]) ||
                                                          ((W == Width::set_30 || W == Width::check_30) && i[sf30]) ||
                                                          (W == Width::by_b5 && i[b5b40] >= 32);
                                              out += general_name(wide, (i[F] + Add) & 31, StackPointer);
                                          },
                                          [](Cursor& in, I& i) {
                                              bool wide;
                                              i64 n;
                                              if (!parse_general(in, wide, n, StackPointer)) return false;
                                              if (Add) return n == i[F] + Add;
                                              switch (W) {
                                              case Width::w:
                                                  if (wide) return false;
                                                  break;
                                              case Width::x:
                                                  if (!wide) return false;
                                                  break;
                                              case Width::set_sf:
                                                  if (!set_or_check(i, sf, wide)) return false;
                                                  break;
                                              case Width::check_sf:
                                                  if (i[sf] != wide) return false;
                                                  break;
                                              case Width::set_30:
                                                  if (!set_or_check(i, sf30, wide)) return false;
                                                  break;
                                              case Width::check_30:
                                                  if (i[sf30] != wide) return false;
                                                  break;
                                              case Width::by_b5:
                                                  if (!set_or_check(i, sf, wide)) return false;
                                                  break;
                                              }
                                              return set_or_check(i, F, n);
                                          }};

// A register of fixed width: d3.
template <const Field& F, char Letter>
inline constexpr Operand<AArch64> numbered{
    [](std::string& out, const I& i) { out += fmt::format("{}{}", Letter, i[F]); },
    [](Cursor& in, I& i) {
        i64 n;
        return parse_numbered(in, Letter, n) && set_or_check(i, F, n);
    }};

// A modified floating-point immediate.
template <const Field& F>
inline constexpr Operand<AArch64> fp_immediate_of{
    [](std::string& out, const I& i) {
        out += fmt::format("#{:.18e}", std::bit_cast<double>(expand_immediate(u32(i[F]), Type::f64)));
    },
    [](Cursor& in, I& i) {
        double v;
        in.eat('#');
        const char* begin = in.text.data() + in.at;
        auto [end, error] = std::from_chars(begin, in.text.data() + in.text.size(), v);
        if (error != std::errc{}) return false;
        in.at += std::size_t(end - begin);
        for (u32 n = 0; n < 256; ++n) {
            if (expand_immediate(n, Type::f64) != std::bit_cast<u64>(v)) continue;
            i.set(F, n);
            return true;
        }
        return false;
    }};

} // namespace mimic::isa::aarch64
