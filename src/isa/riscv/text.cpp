// How RISC-V operands print and parse, as binutils writes them with -M no-aliases.
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

template <const Field& F>
constexpr Operand<RiscV> x_register{[](std::string& out, const I& i) { out += x_names[i[F]]; },
                                    [](Cursor& in, I& i) {
                                        i64 n;
                                        if (!parse_register(in, n, x_names, 'x')) return false;
                                        i.set(F, n);
                                        return true;
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

// lui and auipc: the assembler's operand is the 20-bit field.
constexpr Operand<RiscV> upper{
    [](std::string& out, const I& i) { out += fmt::format("{:#x}", u64(i[imm_u]) >> 12 & 0xfffff); },
    [](Cursor& in, I& i) {
        i64 v;
        if (!in.number(v) || v < -0x80000 || v > 0xfffff) return false;
        i.set(imm_u, i64(i32(v << 12)));
        return true;
    }};

} // namespace

constinit const std::array<Operand<RiscV>, 6> RiscV::operands{x_register<rd>,      x_register<rs1>,     x_register<rs2>,
                                                              fence_operand<pred>, fence_operand<succ>, upper};

} // namespace mimic::isa::riscv
