// A, atomic instructions: The RISC-V Instruction Set Manual, Volume I (20240411), chapter 14; Zawrs: chapter 15;
// Zacas: chapter 16. A reservation is an address and the value read there: sc compares and swaps (so another hart's
// write of the same value goes unnoticed).
#include "isa/riscv/semantics.hpp"
#include "isa/riscv/tables.hpp"

namespace mimic::isa::riscv {

namespace {

using ir::MemArg;
using ir::Rmw;

// 14.1: both bits make it sequentially consistent. A load with rl alone is ordered as with both.
MemArg atomic(const I& i, Type memory, bool is_load = false) {
    using enum ir::Order;
    constexpr ir::Order orders[] = {plain, release, acquire, seq_cst};
    u32 bits = u32(i[aq] << 1 | i[rl]);
    return {
        .memory = memory, .sign = true, .align = ir::Align::natural, .order = orders[is_load && bits == 1 ? 3 : bits]};
}

// 14.2. The slot holds address + 1, so that zero is no reservation.
template <Type T>
void lr(Rv& t, const I& i) {
    Val address = t.x(i[rs1]);
    Val value = t.load(Type::i64, address, atomic(i, T, true));
    t.put(slot_res_address, address + 1);
    t.put(slot_res_value, value);
    t.x(i[rd], value);
}
template <Type T>
void sc(Rv& t, const I& i) {
    ir::BlockId matches = t.new_block(), differs = t.new_block(), after = t.new_block();
    t.brcond(t.x(i[rs1]) + 1 == t.get(slot_res_address, Type::i64), matches, differs);

    t.start_block(matches);
    Val expected = t.get(slot_res_value, Type::i64).trunc(T);
    Val old = t.cas(t.x(i[rs1]), expected, t.x(i[rs2]).trunc(T), atomic(i, T));
    t.put(slot_res_address, t.imm(0));
    t.x(i[rd], (old != expected).zext(Type::i64));
    t.br(after);

    // The access is checked all the same.
    t.start_block(differs);
    if (t.has_system()) { // an exception is a store's; what is written, if anything, stands there already
        t.cas(t.x(i[rs1]), t.imm(0, T), t.imm(0, T), atomic(i, T));
    } else {
        t.probe(t.x(i[rs1]), t.imm(ir::size_of(T)), true);
        t.load(T, t.x(i[rs1]), {.memory = T, .align = ir::Align::natural});
    }
    t.put(slot_res_address, t.imm(0));
    t.x(i[rd], t.imm(1));
    t.br(after);

    t.start_block(after);
}

// 14.4
template <Type T, Rmw Op>
void amo(Rv& t, const I& i) {
    t.x(i[rd], t.rmw(Op, t.x(i[rs1]), t.x(i[rs2]).trunc(T), atomic(i, T)).sext(Type::i64));
}

// 16.1
template <Type T>
void amocas(Rv& t, const I& i) {
    Val expected = t.x(i[rd]).trunc(T), desired = t.x(i[rs2]).trunc(T);
    t.x(i[rd], t.cas(t.x(i[rs1]), expected, desired, atomic(i, T)).sext(Type::i64));
}
// Even-odd register pairs; that of x0 reads as zero and swallows writes.
Val pair_of(Rv& t, i64 n) { return t.op(ir::Op::pair, Type::i128, t.x(n), n ? t.x(n + 1) : t.imm(0)); }
void amocas_q(Rv& t, const I& i) {
    Val old = t.cas(t.x(i[rs1]), pair_of(t, i[rd]), pair_of(t, i[rs2]), atomic(i, Type::i128));
    if (i[rd] == 0) return;
    t.x(i[rd], old.half(0));
    t.x(i[rd] + 1, old.half(1));
}
bool even_pairs(const I& i) { return i[rd] % 2 == 0 && i[rs2] % 2 == 0; }

// 15: the stall may end at any time; it does at once.
void stall(Rv&, const I&) {}

// clang-format off
constexpr R rows[] = {
    {"lr.w{aqrl}      {rd}, ({rs1})",        "00010 aq rl 00000 rs1 010 rd 0101111", lr<Type::i32>},
    {"sc.w{aqrl}      {rd}, {rs2}, ({rs1})", "00011 aq rl rs2 rs1 010 rd 0101111", sc<Type::i32>},
    {"amoswap.w{aqrl} {rd}, {rs2}, ({rs1})", "00001 aq rl rs2 rs1 010 rd 0101111", amo<Type::i32, Rmw::swap>},
    {"amoadd.w{aqrl}  {rd}, {rs2}, ({rs1})", "00000 aq rl rs2 rs1 010 rd 0101111", amo<Type::i32, Rmw::add>},
    {"amoxor.w{aqrl}  {rd}, {rs2}, ({rs1})", "00100 aq rl rs2 rs1 010 rd 0101111", amo<Type::i32, Rmw::xor_>},
    {"amoand.w{aqrl}  {rd}, {rs2}, ({rs1})", "01100 aq rl rs2 rs1 010 rd 0101111", amo<Type::i32, Rmw::and_>},
    {"amoor.w{aqrl}   {rd}, {rs2}, ({rs1})", "01000 aq rl rs2 rs1 010 rd 0101111", amo<Type::i32, Rmw::or_>},
    {"amomin.w{aqrl}  {rd}, {rs2}, ({rs1})", "10000 aq rl rs2 rs1 010 rd 0101111", amo<Type::i32, Rmw::smin>},
    {"amomax.w{aqrl}  {rd}, {rs2}, ({rs1})", "10100 aq rl rs2 rs1 010 rd 0101111", amo<Type::i32, Rmw::smax>},
    {"amominu.w{aqrl} {rd}, {rs2}, ({rs1})", "11000 aq rl rs2 rs1 010 rd 0101111", amo<Type::i32, Rmw::umin>},
    {"amomaxu.w{aqrl} {rd}, {rs2}, ({rs1})", "11100 aq rl rs2 rs1 010 rd 0101111", amo<Type::i32, Rmw::umax>},

    {"lr.d{aqrl}      {rd}, ({rs1})",        "00010 aq rl 00000 rs1 011 rd 0101111", lr<Type::i64>},
    {"sc.d{aqrl}      {rd}, {rs2}, ({rs1})", "00011 aq rl rs2 rs1 011 rd 0101111", sc<Type::i64>},
    {"amoswap.d{aqrl} {rd}, {rs2}, ({rs1})", "00001 aq rl rs2 rs1 011 rd 0101111", amo<Type::i64, Rmw::swap>},
    {"amoadd.d{aqrl}  {rd}, {rs2}, ({rs1})", "00000 aq rl rs2 rs1 011 rd 0101111", amo<Type::i64, Rmw::add>},
    {"amoxor.d{aqrl}  {rd}, {rs2}, ({rs1})", "00100 aq rl rs2 rs1 011 rd 0101111", amo<Type::i64, Rmw::xor_>},
    {"amoand.d{aqrl}  {rd}, {rs2}, ({rs1})", "01100 aq rl rs2 rs1 011 rd 0101111", amo<Type::i64, Rmw::and_>},
    {"amoor.d{aqrl}   {rd}, {rs2}, ({rs1})", "01000 aq rl rs2 rs1 011 rd 0101111", amo<Type::i64, Rmw::or_>},
    {"amomin.d{aqrl}  {rd}, {rs2}, ({rs1})", "10000 aq rl rs2 rs1 011 rd 0101111", amo<Type::i64, Rmw::smin>},
    {"amomax.d{aqrl}  {rd}, {rs2}, ({rs1})", "10100 aq rl rs2 rs1 011 rd 0101111", amo<Type::i64, Rmw::smax>},
    {"amominu.d{aqrl} {rd}, {rs2}, ({rs1})", "11000 aq rl rs2 rs1 011 rd 0101111", amo<Type::i64, Rmw::umin>},
    {"amomaxu.d{aqrl} {rd}, {rs2}, ({rs1})", "11100 aq rl rs2 rs1 011 rd 0101111", amo<Type::i64, Rmw::umax>},
};

constexpr R zacas_rows[] = {
    {"amocas.w{aqrl}  {rd}, {rs2}, ({rs1})", "00101 aq rl rs2 rs1 010 rd 0101111", amocas<Type::i32>},
    {"amocas.d{aqrl}  {rd}, {rs2}, ({rs1})", "00101 aq rl rs2 rs1 011 rd 0101111", amocas<Type::i64>},
    {"amocas.q{aqrl}  {rd}, {rs2}, ({rs1})", "00101 aq rl rs2 rs1 100 rd 0101111", amocas_q, even_pairs},
};

constexpr R zawrs_rows[] = {
    {"wrs.nto",                         "000000001101 00000 000 00000 1110011", stall},
    {"wrs.sto",                         "000000011101 00000 000 00000 1110011", stall},
};
// clang-format on

} // namespace

constinit const Table<RiscV> rv64a{"A", needs(Ext::a), rows};
constinit const Table<RiscV> zacas{"Zacas", needs(Ext::zacas), zacas_rows};
constinit const Table<RiscV> zawrs{"Zawrs", needs(Ext::zawrs), zawrs_rows};

} // namespace mimic::isa::riscv
