// x86 rows: an instruction is one row, written as the Intel SDM (325383, vol. 2, 3.1.1) writes it.
//
//   {"add {r/mv},{rv}",       "01 /r lock",        alu<Add>},
//   {"cvtss2sd {xmm1},{xmm2/m32}", "F3 0F 5A /r",  cvtss2sd},
//
// The syntax names operands by kind; what stands outside braces is literal. Sizes: v is 16, 32 or 64 bits as 66 and
// REX.W say, y 32 or 64, z an immediate of 16 or 32. xmm1 is in ModRM.reg, xmm2 in ModRM.rm; r32* is a register in rm.
// The encoding: mandatory prefix (NP 66 F2 F3), REX.W or W0, escape and opcode bytes, then
//   /r /0../7     ModRM; a byte behind the opcode that is not a token: ModRM itself (0F AE F0)
//   +r +cc        the opcode's low bits are a register, a condition
//   ib iw id iq iz iv cb cd moffs   what follows
//   lock rep d64  LOCK and REP are meaningful; operands are 64 bits wide by default
//   nob           REX.B must be clear
// An encoding other than the legacy one (VEX, EVEX) would be a further value of Form with its own prefix tokens; map,
// opcode, digit and what follows are shared.
#pragma once
#include "base/types.hpp"
#include <array>
#include <span>
#include <string_view>

namespace mimic::isa::x86 {

class X86;
struct I;

enum class Size : u8 { none, b, w, d, q, x, v, y, z, t }; // t: 6, 10 and 512 bytes do not occur in the slice
enum class Where : u8 { reg, rm, rm_reg, mem, opcode, cc, predicate, acc, imm, rel, moffs, source, destination };

// A kind of operand. Register and memory may differ in size (r32/m16).
struct Kind {
    std::string_view name;
    Where where;
    bool xmm;
    Size size, memory;
    bool sign = false; // of immediates: sign extended to the operand size
};

inline constexpr Kind kinds[] = {
    {"r8", Where::reg, false, Size::b, Size::none},
    {"r16", Where::reg, false, Size::w, Size::none},
    {"r32", Where::reg, false, Size::d, Size::none},
    {"r64", Where::reg, false, Size::q, Size::none},
    {"rv", Where::reg, false, Size::v, Size::none},
    {"ry", Where::reg, false, Size::y, Size::none},
    {"r/m8", Where::rm, false, Size::b, Size::b},
    {"r/m16", Where::rm, false, Size::w, Size::w},
    {"r/m32", Where::rm, false, Size::d, Size::d},
    {"r/m64", Where::rm, false, Size::q, Size::q},
    {"r/mv", Where::rm, false, Size::v, Size::v},
    {"r/my", Where::rm, false, Size::y, Size::y},
    {"r32/m16", Where::rm, false, Size::d, Size::w},
    {"r32*", Where::rm_reg, false, Size::d, Size::none},
    {"m", Where::mem, false, Size::none, Size::none},
    {"m8", Where::mem, false, Size::none, Size::b},
    {"m16", Where::mem, false, Size::none, Size::w},
    {"m32", Where::mem, false, Size::none, Size::d},
    {"m64", Where::mem, false, Size::none, Size::q},
    {"m128", Where::mem, false, Size::none, Size::x},
    {"my", Where::mem, false, Size::none, Size::y},
    {"xmm1", Where::reg, true, Size::x, Size::none},
    {"xmm2", Where::rm_reg, true, Size::x, Size::none},
    {"xmm2/m32", Where::rm, true, Size::x, Size::d},
    {"xmm2/m64", Where::rm, true, Size::x, Size::q},
    {"xmm2/m128", Where::rm, true, Size::x, Size::x},
    {"r8+", Where::opcode, false, Size::b, Size::none},
    {"r64+", Where::opcode, false, Size::q, Size::none},
    {"rv+", Where::opcode, false, Size::v, Size::none},
    {"ry+", Where::opcode, false, Size::y, Size::none},
    {"cc", Where::cc, false, Size::none, Size::none},
    {"pred", Where::predicate, false, Size::none, Size::none}, // of cmpps and its like: the immediate
    {"AL", Where::acc, false, Size::b, Size::none},
    {"rAX", Where::acc, false, Size::v, Size::none},
    {"imm8", Where::imm, false, Size::b, Size::none},
    {"imm8s", Where::imm, false, Size::v, Size::none, true},
    {"imm8w", Where::imm, false, Size::w, Size::none, true},
    {"imm16", Where::imm, false, Size::w, Size::none},
    {"immz", Where::imm, false, Size::v, Size::none, true},
    {"immv", Where::imm, false, Size::v, Size::none, true},
    {"imm64", Where::imm, false, Size::q, Size::none},
    {"rel", Where::rel, false, Size::q, Size::none},
    {"moffs8", Where::moffs, false, Size::b, Size::b},
    {"moffsv", Where::moffs, false, Size::v, Size::v},
    {"Xb", Where::source, false, Size::b, Size::b},
    {"Xv", Where::source, false, Size::v, Size::v},
    {"Yb", Where::destination, false, Size::b, Size::b},
    {"Yv", Where::destination, false, Size::v, Size::v},
};
inline constexpr u8 no_kind = 0xff;
constexpr u8 kind_named(std::string_view name) {
    for (u8 n = 0; n < std::size(kinds); ++n)
        if (kinds[n].name == name) return n;
    return no_kind;
}

enum class Form : u8 { legacy };
enum class Prefix : u8 { any, none, p66, f2, f3 };
enum class Imm : u8 { none, b, w, d, q, z, v, rel8, rel32, moffs };

inline void bad_row(const char*) {} // not constexpr: a call in a consteval constructor is the error message

struct Row {
    using Emit = void(X86&, const I&);

    std::string_view syntax, encoding;
    Emit* emit = nullptr;
    Form form = Form::legacy;
    u8 map = 0, opcode = 0; // map 0: one byte; 1: 0F; 2: 0F 38; 3: 0F 3A
    Prefix prefix = Prefix::any;
    i8 w = -1;      // REX.W must be so; -1: either
    i8 digit = -1;  // ModRM.reg must be so; 8: /r; -1: no ModRM
    i16 modrm = -1; // ModRM must be so
    Imm imm = Imm::none;
    bool plus_r = false, plus_cc = false, lock = false, rep = false, d64 = false, no_b = false;
    i8 mem = -1; // ModRM.rm must be memory (1) or a register (0), as the operands say
    u8 count = 0;
    std::array<u8, 4> operand{}; // kinds, in the order of the syntax

    consteval Row(std::string_view s, std::string_view e, Emit* f) : syntax(s), encoding(e), emit(f) {
        for (bool opcode_seen = false; !e.empty();) {
            auto n = e.find(' ');
            auto t = e.substr(0, n);
            e = n == e.npos ? std::string_view{} : e.substr(n + 1);
            if (!t.empty()) take(t, opcode_seen, e);
        }
        for (std::size_t i = 0; (i = s.find('{', i)) != s.npos; ++i) {
            auto end = s.find('}', i);
            if (end == s.npos) bad_row("{ without }");
            u8 k = kind_named(s.substr(i + 1, end - i - 1));
            if (k == no_kind) bad_row("unknown kind of operand");
            if (kinds[k].where == Where::mem) mem = 1;
            if (kinds[k].where == Where::rm_reg) mem = 0;
            bool in_modrm = kinds[k].where <= Where::mem;
            if (in_modrm && digit < 0) bad_row("operand in ModRM, but no ModRM");
            operand[count++] = k;
        }
    }
    // Does 66 or REX.W choose the size of something?
    constexpr bool uses_operand_size() const {
        bool used = imm == Imm::z || imm == Imm::v || d64;
        for (u32 n = 0; n < count; ++n)
            used |= kinds[operand[n]].size == Size::v || kinds[operand[n]].memory == Size::v;
        return used;
    }
    bool has_modrm() const { return digit >= 0 || modrm >= 0; }

private:
    static constexpr int hex(char c) {
        return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    }
    constexpr void take(std::string_view t, bool& opcode_seen, std::string_view rest) {
        constexpr struct {
            std::string_view name;
            Imm imm;
        } imms[] = {{"ib", Imm::b}, {"iw", Imm::w},    {"id", Imm::d},     {"iq", Imm::q},       {"iz", Imm::z},
                    {"iv", Imm::v}, {"cb", Imm::rel8}, {"cd", Imm::rel32}, {"moffs", Imm::moffs}};
        for (auto& m : imms)
            if (t == m.name) {
                imm = m.imm;
                return;
            }
        if (t == "/r")
            digit = 8;
        else if (t.size() == 2 && t[0] == '/' && t[1] >= '0' && t[1] <= '7')
            digit = i8(t[1] - '0');
        else if (t == "NP")
            prefix = Prefix::none;
        else if (t == "REX.W")
            w = 1;
        else if (t == "W0")
            w = 0;
        else if (t == "+r")
            plus_r = true;
        else if (t == "+cc")
            plus_cc = true;
        else if (t == "lock")
            lock = true;
        else if (t == "rep")
            rep = true;
        else if (t == "d64")
            d64 = true;
        else if (t == "nob")
            no_b = true;
        else if (t.size() == 2 && hex(t[0]) >= 0 && hex(t[1]) >= 0)
            byte(u8(hex(t[0]) << 4 | hex(t[1])), opcode_seen, rest);
        else
            bad_row("unknown token");
    }
    constexpr void byte(u8 b, bool& opcode_seen, std::string_view rest) {
        bool last = true; // no byte behind it: REX.W may stand between
        for (std::size_t k = 0; k + 1 < rest.size();
             k = rest.find(' ', k) == rest.npos ? rest.size() : rest.find(' ', k) + 1) {
            bool ends = k + 2 == rest.size() || rest[k + 2] == ' ';
            last &= !(ends && hex(rest[k]) >= 0 && hex(rest[k + 1]) >= 0);
        }
        if (opcode_seen)
            modrm = b;
        else if (map == 0 && !last && b == 0x66)
            prefix = Prefix::p66;
        else if (map == 0 && !last && (b == 0xf2 || b == 0xf3))
            prefix = b == 0xf2 ? Prefix::f2 : Prefix::f3;
        else if (map == 0 && b == 0x0f)
            map = 1;
        else if (map == 1 && !last && (b == 0x38 || b == 0x3a))
            map = b == 0x38 ? 2 : 3;
        else
            opcode = b, opcode_seen = true;
    }
};

// Features of a CPU model that tables ask for.
enum class Feature : u8 { base, bmi1, lzcnt, popcnt, cx16 };

struct Table {
    std::string_view name;
    Feature feature;
    std::span<const Row> rows;
};
extern const Table integer_rows, control_rows, bit_rows, string_rows, system_rows, sse_rows, sse_fp_rows, bmi1_rows,
    lzcnt_rows, popcnt_rows, cx16_rows;

} // namespace mimic::isa::x86
