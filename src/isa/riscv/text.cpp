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

} // namespace

constinit const std::array<Operand<RiscV>, 21> RiscV::operands{x_register<rd>,
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
                                                               fli};

} // namespace mimic::isa::riscv
