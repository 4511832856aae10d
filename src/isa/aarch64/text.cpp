// How A64 operands print and parse, as binutils writes them with -M no-aliases.
#include "isa/aarch64/semantics_fp.hpp"
#include "isa/aarch64/system.hpp"
#include "isa/aarch64/text_simd_names.hpp"
#include <bit>
#include <charconv>

namespace mimic::isa::aarch64 {

namespace {

constexpr std::string_view x_names[] = {"x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",  "x7",  "x8",  "x9",  "x10",
                                        "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21",
                                        "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x29", "x30", "xzr", "sp"};
constexpr std::string_view w_names[] = {"w0",  "w1",  "w2",  "w3",  "w4",  "w5",  "w6",  "w7",  "w8",  "w9",  "w10",
                                        "w11", "w12", "w13", "w14", "w15", "w16", "w17", "w18", "w19", "w20", "w21",
                                        "w22", "w23", "w24", "w25", "w26", "w27", "w28", "w29", "w30", "wzr", "wsp"};

// ---- immediates

constexpr Operand<AArch64> page{
    [](std::string& out, const I& i) { out += fmt::format("{:#x}", (i.pc & ~u64{0xfff}) + u64(i[immhilo]) * 4096); },
    [](Cursor& in, I& i) {
        i64 v;
        if (!in.number(v) || (v & 0xfff)) return false;
        return set_or_check(i, immhilo, (v - i64(i.pc & ~u64{0xfff})) >> 12);
    }};

// A 12-bit number, or one shifted by 12.
constexpr Operand<AArch64> add_immediate{
    [](std::string& out, const I& i) { out += fmt::format("#{:#x}{}", i[imm12], i[sh] ? ", lsl #12" : ""); },
    [](Cursor& in, I& i) {
        if (!parse_field<imm12>(in, i)) return false;
        i.set(sh, in.eat(", lsl #12"));
        return true;
    }};
constexpr Operand<AArch64> bitmask_immediate{[](std::string& out, const I& i) {
                                                 u64 mask = 0;
                                                 decode_bitmask(u32(i[bitmask]), i[sf], mask);
                                                 out += fmt::format("#{:#x}", mask);
                                             },
                                             [](Cursor& in, I& i) {
                                                 i64 v;
                                                 u32 field;
                                                 if (!parse_hash_number(in, v)) return false;
                                                 if (!encode_bitmask(u64(v), i[sf], field)) return false;
                                                 i.set(bitmask, field);
                                                 return true;
                                             }};
constexpr Operand<AArch64> wide_immediate{[](std::string& out, const I& i) {
                                              out += fmt::format("#{:#x}", i[imm16]);
                                              if (i[hw]) out += fmt::format(", lsl #{}", 16 * i[hw]);
                                          },
                                          [](Cursor& in, I& i) {
                                              i64 amount = 0;
                                              if (!parse_field<imm16>(in, i)) return false;
                                              if (in.eat(", lsl #") && !in.number(amount)) return false;
                                              return amount % 16 == 0 && set_or_check(i, hw, amount / 16);
                                          }};

// ---- shifted and extended registers

constexpr std::string_view shift_names[] = {"lsl", "lsr", "asr", "ror"};
// The shift behind the register; none for lsl #0.
constexpr Operand<AArch64> shift_operand{[](std::string& out, const I& i) {
                                             if (i[shift] || i[imm6])
                                                 out += fmt::format(", {} #{}", shift_names[i[shift]], i[imm6]);
                                         },
                                         [](Cursor& in, I& i) {
                                             Cursor at = in;
                                             if (!at.eat(',')) return true;
                                             at.skip_spaces();
                                             std::string_view name = at.word();
                                             for (i64 n = 0; n < 4; ++n) {
                                                 if (name != shift_names[n]) continue;
                                                 in = at;
                                                 i.set(shift, n);
                                                 in.skip_spaces();
                                                 return parse_field<imm6>(in, i);
                                             }
                                             return false;
                                         }};

constexpr std::string_view extend_names[] = {"uxtb", "uxth", "uxtw", "uxtx", "sxtb", "sxth", "sxtw", "sxtx"};
// With the stack pointer, extending by nothing is called lsl.
bool shows_lsl(const I& i) {
    bool flags = i.bits >> 29 & 1;
    return (i[Rn] == 31 || (!flags && i[Rd] == 31)) && i[option] == (i[sf] ? 3 : 2);
}
constexpr Operand<AArch64> extended_register{[](std::string& out, const I& i) {
                                                 out += general_name(i[sf] && (i[option] & 3) == 3, i[Rm], false);
                                                 bool lsl = shows_lsl(i);
                                                 if (lsl && i[imm3] == 0) return;
                                                 out += fmt::format(", {}", lsl ? "lsl" : extend_names[i[option]]);
                                                 if (i[imm3] || lsl) out += fmt::format(" #{}", i[imm3]);
                                             },
                                             [](Cursor& in, I& i) {
                                                 bool wide;
                                                 i64 n, amount = 0;
                                                 if (!parse_general(in, wide, n, false)) return false;
                                                 i.set(Rm, n);
                                                 i64 natural = i[sf] ? 3 : 2;
                                                 if (in.done()) {
                                                     i.set(option, natural);
                                                     return wide == bool(i[sf]) && shows_lsl(i);
                                                 }
                                                 if (!in.eat(',')) return false;
                                                 in.skip_spaces();
                                                 std::string_view name = in.word();
                                                 i64 kind = -1;
                                                 for (i64 k = 0; k < 8; ++k)
                                                     if (name == extend_names[k]) kind = k;
                                                 if (name == "lsl") kind = natural;
                                                 if (kind < 0) return false;
                                                 i.set(option, kind);
                                                 in.skip_spaces();
                                                 if (!in.done() && !parse_hash_number(in, amount)) return false;
                                                 return wide == (i[sf] && (kind & 3) == 3) &&
                                                        set_or_check(i, imm3, amount);
                                             }};

// ---- conditions

constexpr std::string_view condition_names[] = {"eq", "ne", "cs", "cc", "mi", "pl", "vs", "vc",
                                                "hi", "ls", "ge", "lt", "gt", "le", "al", "nv"};
template <const Field& F>
constexpr Operand<AArch64> condition{[](std::string& out, const I& i) { out += condition_names[i[F]]; },
                                     [](Cursor& in, I& i) {
                                         std::string_view name = in.word();
                                         if (name == "hs") name = "cs";
                                         if (name == "lo") name = "cc";
                                         for (i64 n = 0; n < 16; ++n) {
                                             if (name != condition_names[n]) continue;
                                             i.set(F, n);
                                             return true;
                                         }
                                         return false;
                                     }};

// ---- system

struct BarrierName {
    i64 number;
    std::string_view name;
};
constexpr BarrierName barriers[] = {{15, "sy"}, {14, "st"},   {13, "ld"},   {11, "ish"}, {10, "ishst"}, {9, "ishld"},
                                    {7, "nsh"}, {6, "nshst"}, {5, "nshld"}, {3, "osh"},  {2, "oshst"},  {1, "oshld"}};
constexpr Operand<AArch64> barrier{[](std::string& out, const I& i) {
                                       for (const BarrierName& b : barriers)
                                           if (b.number == i[CRm]) {
                                               out += b.name;
                                               return;
                                           }
                                       out += fmt::format("#{:#04x}", i[CRm]);
                                   },
                                   [](Cursor& in, I& i) {
                                       if (in.peek() == '#') return parse_field<CRm>(in, i);
                                       std::string_view name = in.word();
                                       for (const BarrierName& b : barriers) {
                                           if (b.name != name) continue;
                                           i.set(CRm, b.number);
                                           return true;
                                       }
                                       return false;
                                   }};
constexpr std::string_view domain_names[] = {"osh", "nsh", "ish", "sy"};
constexpr Operand<AArch64> shareability{[](std::string& out, const I& i) { out += domain_names[i[domain]]; },
                                        [](Cursor& in, I& i) {
                                            for (i64 n = 0; n < 4; ++n)
                                                if (in.eat(domain_names[n])) return i.set(domain, n), true;
                                            return false;
                                        }};
// Left out when it is 15.
constexpr Operand<AArch64> optional_crm{[](std::string& out, const I& i) {
                                            if (i[CRm] != 15) out += fmt::format("#{:#x}", i[CRm]);
                                        },
                                        [](Cursor& in, I& i) {
                                            i.set(CRm, 15);
                                            return in.done() || parse_field<CRm>(in, i);
                                        }};
constexpr Operand<AArch64> return_register{[](std::string& out, const I& i) {
                                               if (i[Rn] != 30) out += x_names[i[Rn]];
                                           },
                                           [](Cursor& in, I& i) {
                                               bool wide = true;
                                               i64 n = 30;
                                               if (!in.done() && !parse_general(in, wide, n, false)) return false;
                                               i.set(Rn, n);
                                               return wide;
                                           }};
constexpr Operand<AArch64> register_name{
    [](std::string& out, const I& i) { out += system_register_name(u32(i[sysreg])); },
    [](Cursor& in, I& i) {
        u32 number;
        if (!system_register_number(in.word(), number)) return false;
        i.set(sysreg, number);
        return true;
    }};
constexpr Operand<AArch64> system_operation{
    [](std::string& out, const I& i) { out += fmt::format("#{}, C{}, C{}, #{}", i[op1], i[CRn], i[CRm], i[op2]); },
    [](Cursor& in, I& i) {
        auto part = [&](char before, const Field& f) {
            i64 v;
            in.skip_spaces();
            if (!in.eat(before) || !in.number(v) || !f.fits(v)) return false;
            i.set(f, v);
            return true;
        };
        return part('#', op1) && in.eat(',') && part('C', CRn) && in.eat(',') && part('C', CRm) && in.eat(',') &&
               part('#', op2);
    }};
constexpr Operand<AArch64> system_argument{[](std::string& out, const I& i) {
                                               if (i[Rt] != 31) out += fmt::format(", x{}", i[Rt]);
                                           },
                                           [](Cursor& in, I& i) {
                                               bool wide = true;
                                               i64 n = 31;
                                               if (in.eat(',')) {
                                                   in.skip_spaces();
                                                   if (!parse_general(in, wide, n, false)) return false;
                                               }
                                               i.set(Rt, n);
                                               return wide;
                                           }};

// ---- addresses

// An offset in units of Scale bytes; with Optional, the comma before it, and nothing at all for 0.
template <const Field& F, i64 Scale, bool Optional>
constexpr Operand<AArch64> offset{[](std::string& out, const I& i) {
                                      if (Optional && i[F] == 0) return;
                                      out += fmt::format("{}{}", Optional ? ", #" : "", i[F] * Scale);
                                  },
                                  [](Cursor& in, I& i) {
                                      i64 v = 0;
                                      if (Optional) {
                                          if (in.eat(',')) {
                                              in.skip_spaces();
                                              if (!parse_hash_number(in, v)) return false;
                                          }
                                      } else if (!in.number(v)) {
                                          return false;
                                      }
                                      return v % Scale == 0 && set_or_check(i, F, v / Scale);
                                  }};

// What the index of a register offset is shifted by: the access's size.
u32 index_shift(u64 bits) {
    u32 size = u32(bits >> 30);
    bool quad = (bits >> 26 & 1) && (bits >> 23 & 1);
    return quad ? 4 : size;
}
constexpr Operand<AArch64> index_operand{[](std::string& out, const I& i) {
                                             out += general_name(i[option] & 1, i[Rm], false);
                                             bool lsl = i[option] == 3;
                                             if (lsl && !i[S]) return;
                                             out += fmt::format(", {}", lsl ? "lsl" : extend_names[i[option]]);
                                             if (i[S]) out += fmt::format(" #{}", index_shift(i.bits));
                                         },
                                         [](Cursor& in, I& i) {
                                             bool wide;
                                             i64 n, amount;
                                             if (!parse_general(in, wide, n, false)) return false;
                                             i.set(Rm, n);
                                             i.set(S, 0);
                                             i.set(option, 3);
                                             if (!in.eat(',')) return wide;
                                             in.skip_spaces();
                                             std::string_view name = in.word();
                                             bool lsl = name == "lsl";
                                             for (i64 k = 2; k < 8; ++k)
                                                 if (name == extend_names[k]) i.set(option, k);
                                             if (!lsl && (i[option] == 3 || !(i[option] & 2))) return false;
                                             in.skip_spaces();
                                             if (in.peek() != '#') return !lsl && wide == bool(i[option] & 1);
                                             if (!parse_hash_number(in, amount)) return false;
                                             i.set(S, 1);
                                             return amount == index_shift(i.bits) && wide == bool(i[option] & 1);
                                         }};

// C6.2, PRFM: type, target, policy.
constexpr Operand<AArch64> prefetch_operation{
    [](std::string& out, const I& i) {
        constexpr std::string_view types[] = {"pld", "pli", "pst"};
        i64 type = i[Rt] >> 3, target = i[Rt] >> 1 & 3;
        constexpr std::string_view targets[] = {"l1", "l2", "l3", "slc"};
        if (type == 3)
            out += fmt::format("#{:#04x}", i[Rt]);
        else
            out += fmt::format("{}{}{}", types[type], targets[target], i[Rt] & 1 ? "strm" : "keep");
    },
    [](Cursor& in, I& i) {
        if (in.peek() == '#') return parse_field<Rt>(in, i);
        i64 v = in.eat("pld") ? 0 : in.eat("pli") ? 8 : in.eat("pst") ? 16 : -1;
        if (v < 0) return false;
        if (in.eat("slc")) {
            v |= 6;
        } else {
            if (!in.eat('l') || in.peek() < '1' || in.peek() > '3') return false;
            v |= (in.peek() - '1') << 1;
            ++in.at;
        }
        if (in.eat("strm"))
            v |= 1;
        else if (!in.eat("keep"))
            return false;
        i.set(Rt, v);
        return true;
    }};

// C6.2, RPRFM
constexpr Operand<AArch64> range_prefetch_operation{[](std::string& out, const I& i) {
                                                        switch (i[rprfop]) {
                                                        case 0: out += "pldkeep"; break;
                                                        case 1: out += "pstkeep"; break;
                                                        case 4: out += "pldstrm"; break;
                                                        case 5: out += "pststrm"; break;
                                                        default: out += fmt::format("#{}", i[rprfop]);
                                                        }
                                                    },
                                                    [](Cursor& in, I& i) {
                                                        if (in.peek() == '#') return parse_field<rprfop>(in, i);
                                                        i64 v = in.eat("pld") ? 0 : in.eat("pst") ? 1 : -1;
                                                        if (v < 0 || (!in.eat("keep") && !(v |= 4, in.eat("strm"))))
                                                            return false;
                                                        i.set(rprfop, v);
                                                        return true;
                                                    }};

// Suffixes: acquire, release.
template <const Field& Acquire, const Field& Release>
constexpr Operand<AArch64> ordering{[](std::string& out, const I& i) {
                                        if (i[Acquire]) out += 'a';
                                        if (i[Release]) out += 'l';
                                    },
                                    [](Cursor& in, I& i) {
                                        i.set(Acquire, in.eat('a'));
                                        i.set(Release, in.eat('l'));
                                        return true;
                                    }};

// Suffixes of memory copies and sets: whose privileges reads and writes have, which of them are non-temporal. A set has
// two bits: unprivileged, non-temporal.
constexpr std::string_view privileges[] = {"", "wt", "rt", "t"}, temporal[] = {"", "wn", "rn", "n"};
std::string options_text(i64 v, bool two) {
    std::string out(privileges[two ? v % 2 * 3 : v % 4]);
    return out += temporal[two ? v / 2 * 3 : v / 4];
}
template <const Field& F>
constexpr Operand<AArch64> copy_options{[](std::string& out, const I& i) { out += options_text(i[F], F.width == 2); },
                                        [](Cursor& in, I& i) {
                                            std::string_view word = in.word();
                                            for (i64 k = 0; k < i64{1} << F.width; ++k) {
                                                if (options_text(k, F.width == 2) != word) continue;
                                                i.set(F, k);
                                                return true;
                                            }
                                            return false;
                                        }};

// ---- floating point

constexpr char format_letter(i64 ftype) { return "sd?h"[ftype]; }
template <const Field& F, bool Sets>
constexpr Operand<AArch64> fp_register{
    [](std::string& out, const I& i) { out += fmt::format("{}{}", format_letter(i.bits >> 22 & 3), i[F]); },
    [](Cursor& in, I& i) {
        i64 n;
        for (i64 type : {0, 1, 3}) {
            Cursor at = in;
            if (!parse_numbered(at, format_letter(type), n)) continue;
            in = at;
            if (Sets ? !set_or_check(i, shift, type) : i[shift] != type) return false;
            return set_or_check(i, F, n);
        }
        return false;
    }};

constexpr Operand<AArch64> fraction_bits{[](std::string& out, const I& i) { out += std::to_string(64 - i[scale]); },
                                         [](Cursor& in, I& i) {
                                             i64 v;
                                             return in.number(v) && v >= 1 && set_or_check(i, scale, 64 - v);
                                         }};

constexpr NamedOperand named[] = {
    {"Rd", general<Rd, Width::set_sf>},
    {"RdSP", general<Rd, Width::set_sf, true>},
    {"Rn", general<Rn, Width::check_sf>},
    {"RnSP", general<Rn, Width::check_sf, true>},
    {"Rm", general<Rm, Width::check_sf>},
    {"Ra", general<Ra, Width::check_sf>},
    {"RnF", general<Rn, Width::set_sf>},
    {"Rt", general<Rt, Width::set_sf>},
    {"Rtb", general<Rt, Width::by_b5>},
    {"Rt30", general<Rt, Width::set_30>},
    {"Rt30c", general<Rt, Width::check_30>},
    {"Rs30F", general<Rs, Width::set_30>},
    {"Rt230", general<Rt2, Width::check_30>},
    {"Rsp", general<Rs, Width::set_30>},
    {"Rsp1", general<Rs, Width::check_30, false, 1>},
    {"Rtp", general<Rt, Width::check_30>},
    {"Rtp1", general<Rt, Width::check_30, false, 1>},
    {"Xd", general<Rd, Width::x>},
    {"Xn", general<Rn, Width::x>},
    {"Xm", general<Rm, Width::x>},
    {"Xa", general<Ra, Width::x>},
    {"Xt", general<Rt, Width::x>},
    {"Xt2", general<Rt2, Width::x>},
    {"Wd", general<Rd, Width::w>},
    {"Wn", general<Rn, Width::w>},
    {"Wm", general<Rm, Width::w>},
    {"Wt", general<Rt, Width::w>},
    {"Wt2", general<Rt2, Width::w>},
    {"Ws", general<Rs, Width::w>},
    {"Xs", general<Rs, Width::x>},
    {"XnSP", general<Rn, Width::x, true>},
    {"XdSP", general<Rd, Width::x, true>},
    {"XmSP", general<Rm, Width::x, true>},
    {"page", page},
    {"imm12sh", add_immediate},
    {"bitmask", bitmask_immediate},
    {"imm16hw", wide_immediate},
    {"shifted", shift_operand},
    {"extended", extended_register},
    {"nzcv", hexadecimal<nzcv_>},
    {"imm5", hexadecimal<imm5>},
    {"cond", condition<cond_>},
    {"cond0", condition<cond0>},
    {"imm16", hexadecimal<imm16>},
    {"hint7", hexadecimal<hint7>},
    {"clrex", optional_crm},
    {"barrier", barrier},
    {"domain", shareability},
    {"isb", optional_crm},
    {"ret", return_register},
    {"sysreg", register_name},
    {"sys", system_operation},
    {"sysxt", system_argument},
    {"off1", offset<imm12, 1, true>},
    {"off2", offset<imm12, 2, true>},
    {"off4", offset<imm12, 4, true>},
    {"off8", offset<imm12, 8, true>},
    {"off16", offset<imm12, 16, true>},
    {"off9", offset<imm9, 1, true>},
    {"off10", offset<imm10, 8, true>},
    {"index", index_operand},
    {"pair4", offset<imm7, 4, true>},
    {"pair8", offset<imm7, 8, true>},
    {"pair16", offset<imm7, 16, true>},
    {"pair4p", offset<imm7, 4, false>},
    {"pair8p", offset<imm7, 8, false>},
    {"pair16p", offset<imm7, 16, false>},
    {"prfop", prefetch_operation},
    {"rprfop", range_prefetch_operation},
    {"fpimm", fp_immediate_of<imm8>},
    {"fbits", fraction_bits},
    {"options", copy_options<options>},
    {"options2", copy_options<options2>},
    {"alc", ordering<L22, o15>},
    {"al", ordering<A23, R22>},
    {"Fd", fp_register<Rd, true>},
    {"Fn", fp_register<Rn, false>},
    {"Fm", fp_register<Rm, false>},
    {"Fa", fp_register<Ra, false>},
    {"FnF", fp_register<Rn, true>},
    {"Bt", numbered<Rt, 'b'>},
    {"Ht", numbered<Rt, 'h'>},
    {"St", numbered<Rt, 's'>},
    {"Dt", numbered<Rt, 'd'>},
    {"Qt", numbered<Rt, 'q'>},
    {"St2", numbered<Rt2, 's'>},
    {"Dt2", numbered<Rt2, 'd'>},
    {"Qt2", numbered<Rt2, 'q'>},
    {"Sd", numbered<Rd, 's'>},
    {"Sn", numbered<Rn, 's'>},
    {"Dd", numbered<Rd, 'd'>},
    {"Dn", numbered<Rn, 'd'>},
    {"Hd", numbered<Rd, 'h'>},
    {"Hn", numbered<Rn, 'h'>},
};

// In the order of operand_names; a name without an operand does not compile.
consteval auto in_order() {
    std::array<Operand<AArch64>, AArch64::operand_names.size()> out{};
    for (std::size_t k = 0; k < out.size(); ++k) {
        std::size_t n = 0, m = 0;
        while (n < std::size(named) && named[n].name != AArch64::operand_names[k]) ++n;
        if (n == std::size(named))
            while (simd_named[m].name != AArch64::operand_names[k]) ++m;
        out[k] = n < std::size(named) ? named[n].operand : simd_named[m].operand;
    }
    return out;
}

} // namespace

constinit const std::array<Operand<AArch64>, AArch64::operand_names.size()> AArch64::operands = in_order();

std::string_view general_name(bool wide, i64 n, bool stack_pointer) {
    std::size_t k = std::size_t(n == 31 && stack_pointer ? 32 : n);
    return wide ? x_names[k] : w_names[k];
}

bool parse_general(Cursor& in, bool& wide, i64& n, bool stack_pointer) {
    std::string_view word = in.word();
    for (std::size_t k = 0; k < 33; ++k) {
        if ((k == 31 && stack_pointer) || (k == 32 && !stack_pointer)) continue;
        wide = word == x_names[k];
        if (!wide && word != w_names[k]) continue;
        n = k == 32 ? 31 : i64(k);
        return true;
    }
    return false;
}

bool parse_numbered(Cursor& in, char letter, i64& n) {
    if (!in.eat(letter) || in.peek() < '0' || in.peek() > '9') return false;
    n = 0;
    while (in.peek() >= '0' && in.peek() <= '9') n = std::min<i64>(n * 10 + (in.text[in.at++] - '0'), 99);
    return n < 32;
}

} // namespace mimic::isa::aarch64
