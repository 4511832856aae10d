#include "isa/shapes/m68k/m68k.hpp"

namespace mimic::isa::m68k {

void Ir::commit() {
    for (u32 n = 0; n < 8; ++n)
        if (stepped_[n]) put(u16(slot_a + n), stepped_[n]), stepped_[n] = {};
}

namespace {

using R = Row<M68k>;

// An effective address: a register, a constant or a place in memory.
struct Ea {
    enum { data, address, memory, constant } kind;
    i64 n = 0;
    Val at;
};

Val index_value(Ir& t, i64 word) {
    i64 n = word >> 12 & 15;
    Val v = n < 8 ? t.d(n) : t.a(n & 7);
    if (!(word >> 11 & 1)) v = v.trunc(Type::i16).sext(Type::i32);
    return v + i64(i8(word));
}

Ea resolve(Ir& t, i64 ea_mode, i64 ea_reg, i64 x, u64 pc_base, u32 size) {
    Val a;
    switch (ea_mode) {
    case 0: return {Ea::data, ea_reg, {}};
    case 1: return {Ea::address, ea_reg, {}};
    case 2: return {Ea::memory, 0, t.a(ea_reg)};
    case 3: a = t.a(ea_reg), t.step(ea_reg, a + i64(size)); return {Ea::memory, 0, a};
    case 4: a = t.a(ea_reg) - i64(size), t.step(ea_reg, a); return {Ea::memory, 0, a};
    case 5: return {Ea::memory, 0, t.a(ea_reg) + x};
    case 6: return {Ea::memory, 0, t.a(ea_reg) + index_value(t, x)};
    }
    switch (ea_reg) {
    case 2: return {Ea::memory, 0, t.imm(pc_base + u64(x), Type::i32)};
    case 3: return {Ea::memory, 0, index_value(t, x) + i64(pc_base)};
    case 4: return {Ea::constant, 0, t.imm(u64(x), Type::i32)};
    default: return {Ea::memory, 0, t.imm(u64(x), Type::i32)};
    }
}
Ea source(Ir& t, const I& i) { return resolve(t, i[mode], i[reg], i.ext[0], i.pc + 2, operand_size(i)); }

template <Type T>
Val read(Ir& t, const Ea& e) {
    switch (e.kind) {
    case Ea::data: return t.d(e.n).trunc(T);
    case Ea::address: return t.a(e.n).trunc(T);
    case Ea::constant: return e.at.trunc(T);
    default: return t.load(T, e.at, {.memory = T, .big = true});
    }
}
void write(Ir& t, const Ea& e, Val v) {
    if (e.kind == Ea::data)
        t.d(e.n, v);
    else
        t.store(e.at, v, {.memory = v.type(), .big = true});
}

template <Type T>
void move(Ir& t, const I& i) {
    Val v = read<T>(t, source(t, i));
    write(t, resolve(t, i[dmode], i[dreg], i.ext[1], 0, size_of(T)), v);
    t.put(slot_ccr, t.flags_logic(v));
}
void put_sum_flags(Ir& t, Val a, Val b) {
    Val f = t.flags_add(a, b);
    t.put(slot_ccr, f);
    t.put(slot_x, t.cond(ir::Cond::c, f));
}
template <Type T>
void add(Ir& t, const I& i) {
    Val a = t.d(i[dreg]).trunc(T), b = read<T>(t, source(t, i));
    t.d(i[dreg], a + b);
    put_sum_flags(t, a, b);
}
template <Type T, const Field& Imm>
void addi(Ir& t, const I& i) {
    Ea e = source(t, i);
    Val a = read<T>(t, e), b = t.imm(u64(i[Imm]), T);
    write(t, e, a + b);
    put_sum_flags(t, a, b);
}
void lea(Ir& t, const I& i) { t.step(i[dreg], source(t, i).at); }
void dbf(Ir& t, const I& i) {
    Val n = t.d(i[reg]).trunc(Type::i16) - 1;
    t.d(i[reg], n);
    t.branch_to(n != 0xffff, (t.pc() + u64(i[disp16])) & 0xffffffff, t.next_pc());
}
template <ir::Cond C, const Field& Disp>
void branch(Ir& t, const I& i) {
    t.branch_to(t.cond(C, t.get(slot_ccr, Type::flags)), (t.pc() + u64(i[Disp])) & 0xffffffff, t.next_pc());
}

// 2.3: classes of effective addresses.
bool is_data_alterable(i64 m, i64 r) { return m != 1 && !(m == 7 && r > 1); }
bool to_data_alterable(const I& i) { return is_data_alterable(i[dmode], i[dreg]); }
bool data_alterable(const I& i) { return is_data_alterable(i[mode], i[reg]); }
bool control(const I& i) { return i[mode] == 2 || i[mode] == 5 || i[mode] == 6 || (i[mode] == 7 && i[reg] < 4); }
bool short_branch(const I& i) { return i[disp8] != 2 && i[disp8] != 1; } // 0: a word follows; ff: a long word (68020)

// clang-format off
constexpr R rows[] = {
    {"addiw #{imm16},{ea}",   "0000 0110 01 mode reg imm16",       addi<Type::i16, imm16>, data_alterable},
    {"addil #{imm32},{ea}",   "0000 0110 10 mode reg imm32",       addi<Type::i32, imm32>, data_alterable},
    {"movel {ea},{dst}",      "0010 dreg dmode mode reg",          move<Type::i32>, to_data_alterable},
    {"movew {ea},{dst}",      "0011 dreg dmode mode reg",          move<Type::i16>, to_data_alterable},
    {"lea {ea},{an}",         "0100 dreg 111 mode reg",            lea, control},
    {"illegal",               "0100 1010 1111 1100",               [](Ir& t, const I&) { M68k::illegal(t); }},
    {"trap #{vector}",        "0100 1110 0100 vector",             [](Ir& t, const I& i) { t.trap(ir::TrapKind::syscall, t.pc(), t.imm(u64(i[vector]))); }},
    {"dbf %d{reg},{disp16}",  "0101 0001 1100 1 reg disp16",       dbf},
    {"bnew {disp16}",         "0110 0110 00000000 disp16",         branch<ir::Cond::nz, disp16>},
    {"bnes {disp8}",          "0110 0110 disp8",                   branch<ir::Cond::nz, disp8>, short_branch},
    {"addw {ea},{dn}",        "1101 dreg 001 mode reg",            add<Type::i16>},
    {"addl {ea},{dn}",        "1101 dreg 010 mode reg",            add<Type::i32>},
};
// clang-format on

using ir::Slot;
using ir::SlotClass;
constexpr Slot slots[slot_count] = {
    {"d0", 0, Type::i32},
    {"d1", 4, Type::i32},
    {"d2", 8, Type::i32},
    {"d3", 12, Type::i32},
    {"d4", 16, Type::i32},
    {"d5", 20, Type::i32},
    {"d6", 24, Type::i32},
    {"d7", 28, Type::i32},
    {"a0", 32, Type::i32},
    {"a1", 36, Type::i32},
    {"a2", 40, Type::i32},
    {"a3", 44, Type::i32},
    {"a4", 48, Type::i32},
    {"a5", 52, Type::i32},
    {"a6", 56, Type::i32},
    {"a7", 60, Type::i32},
    {"ccr", 64, Type::flags, SlotClass::flag},
    {"x", 68, Type::i1, SlotClass::flag},
};

class M68kGuest final : public PatternGuest<M68k> {
public:
    using PatternGuest::PatternGuest;
    std::string_view name() const override { return "shape-m68k"; }
    std::string_view model() const override { return "68000"; }
    const ir::GuestState& state() const override { return state_m68k; }
    u32 min_insn_bytes() const override { return 2; }
    u32 max_insn_bytes() const override { return 10; }
    bool big_endian() const override { return true; }
    u32 address_bits() const override { return 32; }
    std::unique_ptr<FrontEnd> front_end(ir::Unit& unit) const override {
        return std::make_unique<PatternFrontEnd<M68k>>(decoder(), unit);
    }
};

} // namespace

constinit const ir::GuestState state_m68k{"shape-m68k", slots, 72};

std::unique_ptr<Guest> make() {
    const Table<M68k> table{"68000", 0, rows};
    return std::make_unique<M68kGuest>(Decoder<M68k>({&table, 1}, [](u32) { return true; }));
}

} // namespace mimic::isa::m68k
