// How RISC-V operands print and parse, as binutils writes them with -M no-aliases.
#include "isa/riscv/csr.hpp"
#include "isa/riscv/isa.hpp"
#include <fmt/core.h>

namespace mimic::isa::riscv {

namespace {

bool parse_register(Cursor& in, i64& n, std::span<const std::string_view> names, char prefix) {
    std::string_view w = in.word();
    for (n = 0; n < 32; ++n)
        if (names[std::size_t(n)] == w || (prefix == 'x' && n == 8 && w == "fp")) return true;
    if (w.size() < 2 || w[0] != prefix) return false;
    Cursor digits{w.substr(1)};
    return digits.number(n) && digits.done() && n >= 0 && n < 32;
}

// The field is not passed on where it takes only some registers.
bool set_register(I& i, const Field& field, i64 n) {
    if (!field.fits(n)) return false;
    i.set(field, n);
    return true;
}
template <const Field& F>
constexpr Operand<RiscV> x_register{[](std::string& out, const I& i) { out += x_names[i[F]]; },
                                    [](Cursor& in, I& i) {
                                        i64 n;
                                        return parse_register(in, n, x_names, 'x') && set_register(i, F, n);
                                    }};
template <const Field& F>
constexpr Operand<RiscV> f_register{[](std::string& out, const I& i) { out += f_names[i[F]]; },
                                    [](Cursor& in, I& i) {
                                        i64 n;
                                        return parse_register(in, n, f_names, 'f') && set_register(i, F, n);
                                    }};

// Sets of device input, device output, memory reads, memory writes.
template <const Field& F>
constexpr Operand<RiscV> fence_operand{[](std::string& out, const I& i) {
                                           if (i[F] == 0) out += "unknown";
                                           for (u32 k = 0; k < 4; ++k)
                                               if (i[F] & 8 >> k) out += "iorw"[k];
                                       },
                                       [](Cursor& in, I& i) {
                                           std::string_view w = in.word();
                                           i64 set = 0;
                                           for (char c : w == "unknown" ? "" : w) {
                                               auto k = std::string_view("iorw").find(c);
                                               if (k == std::string_view::npos) return false;
                                               set |= 8 >> k;
                                           }
                                           i.set(F, set);
                                           return !w.empty();
                                       }};

// lui and auipc: the assembler's operand is what becomes bits 31 to 12.
template <const Field& F>
constexpr Operand<RiscV> upper{
    [](std::string& out, const I& i) { out += fmt::format("{:#x}", u64(i[F]) >> 12 & 0xfffff); },
    [](Cursor& in, I& i) {
        i64 v;
        if (!in.number(v) || v < -0x80000 || v > 0xfffff) return false;
        v = i64(i32(v << 12));
        if (!F.fits(v)) return false;
        i.set(F, v);
        return true;
    }};

constexpr Operand<RiscV> ordering{[](std::string& out, const I& i) {
                                      if (i[aq] || i[rl]) out += i[aq] ? ".aq" : ".";
                                      if (i[rl]) out += "rl";
                                  },
                                  [](Cursor& in, I& i) {
                                      if (!in.eat('.')) return true;
                                      bool acquire = in.eat("aq"), release = in.eat("rl");
                                      i.set(aq, acquire);
                                      i.set(rl, release);
                                      return acquire || release;
                                  }};

// The rounding mode with the comma before it, left out when it is Default.
constexpr std::string_view rounding_names[8] = {"rne", "rtz", "rdn", "rup", "rmm", "", "", "dyn"};
template <u32 Default>
constexpr Operand<RiscV> rounding_mode{[](std::string& out, const I& i) {
                                           if (i[rm] == Default) return;
                                           out += ", ";
                                           out += rounding_names[i[rm]];
                                       },
                                       [](Cursor& in, I& i) {
                                           i.set(rm, Default);
                                           if (!in.eat(',')) return true;
                                           in.skip_spaces();
                                           std::string_view w = in.word();
                                           for (i64 n = 0; n < 8; ++n) {
                                               if (w.empty() || rounding_names[n] != w) continue;
                                               i.set(rm, n);
                                               return true;
                                           }
                                           return false;
                                       }};

constexpr Operand<RiscV> csr_operand{[](std::string& out, const I& i) { out += csr_name(u32(i[csr])); },
                                     [](Cursor& in, I& i) {
                                         i64 v;
                                         u32 number;
                                         if (!in.number(v)) {
                                             if (!csr_number(in.word(), number)) return false;
                                             v = number;
                                         }
                                         if (!csr.fits(v)) return false;
                                         i.set(csr, v);
                                         return true;
                                     }};

// 25.1
constexpr std::string_view fli_names[32] = {
    "-0x1p+0", "min",      "0x1p-16",  "0x1p-15",  "0x1p-8",  "0x1p-7",   "0x1p-4",   "0x1p-3",
    "0x1p-2",  "0x1.4p-2", "0x1.8p-2", "0x1.cp-2", "0x1p-1",  "0x1.4p-1", "0x1.8p-1", "0x1.cp-1",
    "0x1p+0",  "0x1.4p+0", "0x1.8p+0", "0x1.cp+0", "0x1p+1",  "0x1.4p+1", "0x1.8p+1", "0x1p+2",
    "0x1p+3",  "0x1p+4",   "0x1p+7",   "0x1p+8",   "0x1p+15", "0x1p+16",  "inf",      "nan"};
constexpr Operand<RiscV> fli{[](std::string& out, const I& i) { out += fli_names[i[rs1]]; },
                             [](Cursor& in, I& i) {
                                 std::string_view rest = in.text.substr(in.at);
                                 for (i64 n = 0; n < 32; ++n) {
                                     std::string_view name = fli_names[n];
                                     bool longer = rest.size() > name.size() && rest[name.size()] >= '0';
                                     if (!rest.starts_with(name) || longer) continue;
                                     in.at += name.size();
                                     i.set(rs1, n);
                                     return true;
                                 }
                                 return false;
                             }};

template <const Field& F>
constexpr Operand<RiscV> v_register{[](std::string& out, const I& i) { out += v_names[i[F]]; },
                                    [](Cursor& in, I& i) {
                                        i64 n;
                                        return parse_register(in, n, v_names, 'v') && set_register(i, F, n);
                                    }};

// 31.5.3: the mask, with the comma before it; left out when there is none.
constexpr Operand<RiscV> mask_operand{[](std::string& out, const I& i) {
                                          if (!i[vm]) out += ", v0.t";
                                      },
                                      [](Cursor& in, I& i) {
                                          i.set(vm, 1);
                                          if (!in.eat(',')) return true;
                                          in.skip_spaces();
                                          i.set(vm, 0);
                                          return in.word() == "v0.t";
                                      }};

// 31.3.4, 31.6: e32, m2, ta, ma; a number where the bits have no names.
constexpr std::string_view sew_names[4] = {"e8", "e16", "e32", "e64"},
                           lmul_names[8] = {"m1", "m2", "m4", "m8", "", "mf8", "mf4", "mf2"};
template <const Field& F>
constexpr Operand<RiscV> vtype_operand{[](std::string& out, const I& i) {
                                           u32 v = u32(i[F]);
                                           if (v >> 8 || v >> 3 & 4 || (v & 7) == 4)
                                               return void(out += std::to_string(v));
                                           out +=
                                               fmt::format("{}, {}, {}, {}", sew_names[v >> 3 & 3], lmul_names[v & 7],
                                                           v & 64 ? "ta" : "tu", v & 128 ? "ma" : "mu");
                                       },
                                       [](Cursor& in, I& i) {
                                           i64 v;
                                           if (in.number(v)) {
                                               if (!F.fits(v)) return false;
                                               i.set(F, v);
                                               return true;
                                           }
                                           u32 sew = 0, lmul = 0, bits = 0;
                                           for (std::string_view w = in.word(); sew < 4 && sew_names[sew] != w;) ++sew;
                                           if (sew == 4) return false;
                                           for (u32 n = 0; in.eat(','); ++n) {
                                               in.skip_spaces();
                                               std::string_view w = in.word();
                                               u32 k = 0;
                                               while (k < 8 && lmul_names[k] != w) ++k;
                                               if (n == 0 && k < 8)
                                                   lmul = k;
                                               else if (w == "ta" || w == "ma")
                                                   bits |= w == "ta" ? 64 : 128;
                                               else if (w != "tu" && w != "mu")
                                                   return false;
                                           }
                                           i.set(F, bits | sew << 3 | lmul);
                                           return true;
                                       }};

// 31.7.3: bits of an element, and fields of a segment, in the middle of a name.
constexpr Operand<RiscV> element_width{
    [](std::string& out, const I& i) { out += std::to_string(8 << (i[width] & 3)); },
    [](Cursor& in, I& i) {
        static constexpr std::pair<std::string_view, u32> known[] = {{"8", 0}, {"16", 5}, {"32", 6}, {"64", 7}};
        for (auto [text, code] : known)
            if (in.eat(text)) return i.set(width, code), true;
        return false;
    }};
// Least: 2 of segments; 1 of whole registers.
template <i64 Least>
constexpr Operand<RiscV> field_count{[](std::string& out, const I& i) { out += std::to_string(i[nf] + 1); },
                                     [](Cursor& in, I& i) {
                                         i64 n = in.peek() - '0';
                                         if (n < Least || n > 8) return false;
                                         ++in.at;
                                         i.set(nf, n - 1);
                                         return true;
                                     }};

} // namespace

constinit const std::array<Operand<RiscV>, 31> RiscV::operands{x_register<rd>,
                                                               x_register<rs1>,
                                                               x_register<rs2>,
                                                               x_register<crs2>,
                                                               x_register<rs1_>,
                                                               x_register<rs2_>,
                                                               f_register<rd>,
                                                               f_register<rs1>,
                                                               f_register<rs2>,
                                                               f_register<rs3>,
                                                               f_register<crs2>,
                                                               f_register<rs2_>,
                                                               fence_operand<pred>,
                                                               fence_operand<succ>,
                                                               upper<imm_u>,
                                                               upper<imm_lui>,
                                                               ordering,
                                                               rounding_mode<7>,
                                                               rounding_mode<0>,
                                                               csr_operand,
                                                               fli,
                                                               v_register<rd>,
                                                               v_register<rs1>,
                                                               v_register<rs2>,
                                                               v_register<rd>,
                                                               mask_operand,
                                                               vtype_operand<zimm11>,
                                                               vtype_operand<zimm10>,
                                                               element_width,
                                                               field_count<2>,
                                                               field_count<1>};

} // namespace mimic::isa::riscv
