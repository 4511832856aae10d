// Rows: an instruction is one row of a table: syntax, encoding, meaning. Decoder, disassembler, assembler, translation
// and property tests come from it.
//
//   {"add   {rd}, {rs1}, {rs2}",  "0000000 rs2 rs1 000 rd 0110011",  binary<add>},
//
// The pattern is the manual's: bits 0 and 1, `.` for a bit that is ignored (and zero when assembled), and names of
// fields at the place where their slices are. A wrong pattern does not compile: see bad_pattern in the error.
//
// An ISA that is described by patterns is a type with
//   struct Context;                   what decoding depends on beside the bits (mode bits, IT state, packet position)
//   using Ir = ...;                   the front end that meanings are written against, an ir::Builder
//   static constexpr std::array<const Field*, N> fields;
//   static constexpr std::array<std::string_view, M> operand_names; names in the syntax that are no plain fields...
//   static const std::array<Operand<Isa>, M> operands;              ...and how they print and parse
//   static constexpr Layout layout;   how bytes become bits
//   optional: static u32 length(u64 first_unit, const Context&)     bytes of the pattern that begins so; without it the
//                                                                   shortest row that matches tells
//   optional: static bool extend(Insn<Isa>&, std::span<const u8>)   takes extension words behind the pattern: raises
//             length, fills ext; false: not this row, or length is more than there are bytes
//             static void append(const Insn<Isa>&, std::vector<u8>&)   the way back, for the assembler
//   optional: static constexpr u32 address_bits;                    when addresses are narrower than 64 bits
#pragma once
#include "isa/field.hpp"
#include <bit>
#include <cstddef>
#include <span>
#include <string>

namespace mimic::isa {

// How bytes in memory become the bits of a pattern: units of `unit` bytes, each in one byte order, the first of them
// the most or the least significant.
struct Layout {
    u8 unit = 4;
    bool big = false;          // byte order inside a unit
    bool first_is_high = true; // Thumb, s390x, m68k: yes; RISC-V: no
    // The first bit of every pattern is bit 63, so that fields of the first unit have one place in short and long
    // instructions (s390x, m68k); else the last bit is bit 0.
    bool left_aligned = false;

    constexpr u8 top(u32 bits) const { return u8(left_aligned ? 64 : bits); } // one above the highest bit of a pattern
    constexpr u64 all(u32 bits) const { return Field::ones(u8(bits)) << (top(bits) - bits); }
};

// A cursor over text, and over bytes beyond the pattern.
struct Cursor {
    std::string_view text;
    std::size_t at = 0;
    bool done() const { return at >= text.size(); }
    char peek() const { return done() ? '\0' : text[at]; }
    bool eat(char c) { return peek() == c ? (++at, true) : false; }
    bool eat(std::string_view s) { return text.substr(at).starts_with(s) ? (at += s.size(), true) : false; }
    void skip_spaces() {
        while (peek() == ' ' || peek() == '\t') ++at;
    }
    // [A-Za-z0-9_.]* from here.
    std::string_view word();
    // A decimal, 0x, 0b or 0 octal number with an optional sign; false when there is none or it does not fit.
    bool number(i64& out);
};

template <class Isa>
struct Row;

// A decoded instruction. Meanings read operands by name: i[rd].
template <class Isa>
struct Insn {
    u64 bits = 0;
    u64 pc = 0;
    u32 length = 0; // bytes, extension words included
    typename Isa::Context context{};
    const Row<Isa>* row = nullptr;
    std::array<i64, 4> ext{}; // values of extension words, for ISAs that have them
    u8 ext_count = 0;

    i64 operator[](const Field& f) const { return f.get(bits); }
    void set(const Field& f, i64 v) { bits = (bits & ~f.mask()) | f.put(v); }
};

// How an operand of the syntax prints and parses. `parse` sets fields of the instruction (whose row is known) and
// returns false when the text is not such an operand.
template <class Isa>
struct Operand {
    void (*print)(std::string& out, const Insn<Isa>& i);
    bool (*parse)(Cursor& in, Insn<Isa>& i);
};

inline void bad_pattern(const char*) {} // not constexpr: a call in a consteval constructor is the error message

template <class Isa>
struct Row {
    using Emit = void(typename Isa::Ir&, const Insn<Isa>&);
    using Valid = bool(const Insn<Isa>&);

    std::string_view syntax, pattern;
    u64 mask = 0, match = 0;
    Emit* emit = nullptr;
    Valid* valid = nullptr; // null, or says whether these field values belong to the row
    u8 bits = 0;            // width of the pattern
    u8 fixed = 0;           // how many of them the mask fixes
    u8 field_count = 0;
    std::array<u8, 12> field{}; // indices into Isa::fields

    consteval Row(std::string_view syn, std::string_view pat, Emit* e, Valid* v = nullptr)
        : syntax(syn)
        , pattern(pat)
        , emit(e)
        , valid(v)
        , bits(width(pat)) {
        if (bits % 8 || bits == 0 || bits > 64) bad_pattern("width is no multiple of 8 up to 64 bits");
        int bit = Isa::layout.top(bits);
        std::array<u64, Isa::fields.size()> seen{};
        for (std::size_t i = 0; i < pat.size();) {
            char c = pat[i];
            if (c == ' ') {
                ++i;
            } else if (c == '0' || c == '1' || c == '.') {
                --bit;
                if (c != '.') mask |= u64{1} << bit, match |= u64(c - '0') << bit;
                ++i;
            } else {
                auto name = token(pat, i);
                std::size_t at = index(name);
                if (at == npos) bad_pattern("unknown field in pattern");
                i += name.size();
                int before = bit;
                bit = place(*Isa::fields[at], bit, seen[at]);
                if (bit == before) bad_pattern("field is not at this bit position");
            }
        }
        fixed = u8(std::popcount(mask));
        for (std::size_t n = 0; n < seen.size(); ++n) {
            if (!seen[n]) continue;
            if (seen[n] != Isa::fields[n]->mask()) bad_pattern("field only partly present");
            if (field_count == field.size()) bad_pattern("too many fields");
            field[field_count++] = u8(n);
        }
        for (std::size_t i = 0; (i = syn.find('{', i)) != syn.npos;) {
            auto end = syn.find('}', i);
            if (end == syn.npos) bad_pattern("{ without }");
            auto name = syn.substr(i + 1, end - i - 1);
            if (operand(name) == npos && (index(name) == npos || !seen[index(name)]))
                bad_pattern("syntax names neither an operand nor a field of the pattern");
            i = end;
        }
    }

    // Indices, not pointers: g++ 12 rejects pointer tests in constant expressions under -fsanitize=undefined.
    static constexpr std::size_t npos = ~std::size_t{0};
    static constexpr std::size_t index(std::string_view n) {
        for (std::size_t k = 0; k < Isa::fields.size(); ++k)
            if (Isa::fields[k]->name == n) return k;
        return npos;
    }
    static constexpr std::size_t operand(std::string_view n) {
        for (std::size_t k = 0; k < Isa::operand_names.size(); ++k)
            if (Isa::operand_names[k] == n) return k;
        return npos;
    }

private:
    static constexpr std::string_view token(std::string_view pat, std::size_t i) {
        auto end = pat.find(' ', i);
        return pat.substr(i, end == pat.npos ? pat.npos : end - i);
    }
    // Takes the slices of f that continue at `bit`.
    static constexpr int place(const Field& f, int bit, u64& seen) {
        for (bool more = true; more;) {
            more = false;
            for (u8 k = 0; k < f.count; ++k) {
                u64 m = Field::ones(f.piece[k].len) << f.piece[k].lo;
                if (f.piece[k].lo + f.piece[k].len != bit || (seen & m)) continue;
                bit = f.piece[k].lo;
                seen |= m;
                more = true;
            }
        }
        return bit;
    }
    // The width follows from the digits and the slices. A name stands for the slices at its place, so when the last bit
    // is bit 0 it takes trying each width until the pattern comes out even.
    static constexpr u8 width(std::string_view pat) {
        if (Isa::layout.left_aligned) return u8(64 - end(pat, 64));
        for (u8 w : {u8(16), u8(32), u8(8), u8(48), u8(64), u8(24), u8(40)})
            if (end(pat, w) == 0) return w;
        return 0;
    }
    // The bit below which the pattern ends when it begins below `bit`; 64 when a field does not fit its place.
    static constexpr int end(std::string_view pat, int bit) {
        std::array<u64, Isa::fields.size()> seen{};
        for (std::size_t i = 0; i < pat.size();) {
            if (pat[i] == ' ') {
                ++i;
            } else if (pat[i] == '0' || pat[i] == '1' || pat[i] == '.') {
                --bit, ++i;
            } else {
                auto name = token(pat, i);
                std::size_t at = index(name);
                i += name.size();
                if (at == npos) return 64;
                int before = bit;
                bit = place(*Isa::fields[at], bit, seen[at]);
                if (bit == before) return 64;
            }
            if (bit < 0) return 64;
        }
        return bit;
    }
};

// A named group of rows, switched by a feature of the CPU model (ISA-defined number; 0: always there). `group`: what an ISA
// has to know of all of them (0: nothing).
template <class Isa>
struct Table {
    std::string_view name;
    u32 feature = 0;
    std::span<const Row<Isa>> rows;
    u32 group = 0;
};

} // namespace mimic::isa
