// Effective addresses: their extension words, and their text as binutils prints it (MIT syntax).
#include "isa/shapes/m68k/m68k.hpp"

namespace mimic::isa::m68k {

namespace {

constexpr std::string_view names[16] = {"%d0", "%d1", "%d2", "%d3", "%d4", "%d5", "%d6", "%d7",
                                        "%a0", "%a1", "%a2", "%a3", "%a4", "%a5", "%fp", "%sp"};

// Which of an instruction's effective addresses: its fields and its extension value.
struct Place {
    const Field& mode;
    const Field& reg;
    u32 ext;
};
constexpr Place source{mode, reg, 0}, destination{dmode, dreg, 1};

std::string index_text(i64 word) { return fmt::format("{}:{}", names[word >> 12 & 15], word >> 11 & 1 ? 'l' : 'w'); }

template <const Place& P>
void print_ea(std::string& out, const I& i) {
    i64 r = i[P.reg], x = i.ext[P.ext];
    switch (i[P.mode]) {
    case 0: out += names[r]; return;
    case 1: out += names[8 + r]; return;
    case 2: out += fmt::format("{}@", names[8 + r]); return;
    case 3: out += fmt::format("{}@+", names[8 + r]); return;
    case 4: out += fmt::format("{}@-", names[8 + r]); return;
    case 5: out += fmt::format("{}@({})", names[8 + r], x); return;
    case 6: out += fmt::format("{}@({},{})", names[8 + r], i64(i8(x)), index_text(x)); return;
    }
    switch (r) {
    case 0:
    case 1: out += fmt::format("{:#x}", u32(x)); return;
    case 2: out += fmt::format("%pc@({:#x})", u32(i64(i.pc) + 2 + x)); return;
    case 3: out += fmt::format("%pc@({:#x},{})", u32(i64(i.pc) + 2 + i8(x)), index_text(x)); return;
    case 4: out += fmt::format("#{}", x); return;
    }
}

bool parse_register(Cursor& in, i64& n) {
    for (n = 0; n < 16; ++n)
        if (in.eat(names[n])) return true;
    return false;
}

// "%d4:l)" behind "%a0@(4,"
bool parse_index(Cursor& in, i64& word) {
    i64 n;
    if (!parse_register(in, n) || !in.eat(':')) return false;
    bool is_long = in.eat('l');
    if (!is_long && !in.eat('w')) return false;
    word = (word & 0xff) | n << 12 | i64(is_long) << 11;
    return in.eat(')');
}

template <const Place& P>
bool parse_ea(Cursor& in, I& i) {
    i64 n = 0, x = 0;
    auto set = [&](i64 m, i64 r) {
        i.set(P.mode, m);
        i.set(P.reg, r);
        i.ext[P.ext] = x;
        return true;
    };
    if (in.eat('#')) return in.number(x) && set(7, 4);
    if (in.eat("%pc@(")) {
        if (!in.number(x)) return false;
        x = i32(u32(x - i64(i.pc) - 2));
        if (in.eat(')')) return x == i16(x) && set(7, 2);
        return x == i8(x) && in.eat(',') && parse_index(in, x) && set(7, 3);
    }
    if (!parse_register(in, n)) {
        if (!in.number(x)) return false;
        x = i32(u32(x));
        return x == i16(x) ? set(7, 0) : set(7, 1);
    }
    if (!in.eat('@')) return set(n >= 8, n & 7);
    if (n < 8) return false;
    n &= 7;
    if (in.eat('+')) return set(3, n);
    if (in.eat('-')) return set(4, n);
    if (!in.eat('(')) return set(2, n);
    if (!in.number(x)) return false;
    if (in.eat(')')) return x == i16(x) && set(5, n);
    return x == i8(x) && in.eat(',') && parse_index(in, x) && set(6, n);
}

template <const Field& F, u32 First>
constexpr Operand<M68k> a_register{[](std::string& out, const I& i) { out += names[First + u64(i[F])]; },
                                   [](Cursor& in, I& i) {
                                       i64 n;
                                       if (!parse_register(in, n) || (n & 8) != First) return false;
                                       i.set(F, n & 7);
                                       return true;
                                   }};

bool has(const I& i, const Field& f) {
    for (u32 n = 0; n < i.row->field_count; ++n)
        if (M68k::fields[i.row->field[n]] == &f) return true;
    return false;
}

// Calls f(place, words) for each effective address of the instruction, in the order of their words.
template <class F>
bool each_ea(const I& i, F&& f) {
    for (const Place* p : {&source, &destination}) {
        if (!has(i, p->mode)) continue;
        int words = extension_words(u32(i[p->mode]), u32(i[p->reg]), operand_size(i));
        if (words < 0 || !f(*p, u32(words))) return false;
    }
    return true;
}

} // namespace

u32 operand_size(const I& i) {
    std::string_view mnemonic = i.row->syntax.substr(0, i.row->syntax.find(' '));
    return mnemonic.back() == 'l' ? 4 : 2;
}

int extension_words(u32 ea_mode, u32 ea_reg, u32 size) {
    if (ea_mode < 5) return 0;
    if (ea_mode < 7) return 1;
    constexpr int of_mode_7[8] = {1, 2, 1, 1, 0, -1, -1, -1};
    return ea_reg == 4 ? int(size / 2) : of_mode_7[ea_reg];
}

bool M68k::extend(I& i, std::span<const u8> code) {
    return each_ea(i, [&](const Place& p, u32 words) {
        u32 at = i.length;
        i.length += 2 * words;
        if (i.length > code.size()) return false;
        i64 v = 0;
        for (u32 n = 0; n < 2 * words; ++n) v = v << 8 | code[at + n];
        i.ext[p.ext] = words == 1 ? i16(v) : i32(v);
        bool index = i[p.mode] == 6 || (i[p.mode] == 7 && i[p.reg] == 3);
        return !index || (v & 0x700) == 0; // a full format word or a scale: 68020
    });
}

void M68k::append(const I& i, std::vector<u8>& out) {
    each_ea(i, [&](const Place& p, u32 words) {
        for (u32 n = 2 * words; n-- > 0;) out.push_back(u8(i.ext[p.ext] >> 8 * n));
        return true;
    });
}

constinit const std::array<Operand<M68k>, 4> M68k::operands{Operand<M68k>{print_ea<source>, parse_ea<source>},
                                                            Operand<M68k>{print_ea<destination>, parse_ea<destination>},
                                                            a_register<dreg, 0>, a_register<dreg, 8>};

} // namespace mimic::isa::m68k
