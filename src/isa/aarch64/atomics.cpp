// Exclusive, ordered and atomic accesses: Arm ARM C4.1.96 (Loads and Stores); B2.12 the exclusive monitor; FEAT_LSE,
// FEAT_LRCPC, FEAT_LRCPC2, FEAT_LRCPC3. The monitor is an address and the value read there: a store-exclusive compares and swaps (so
// another processor's write of the same value goes unnoticed).
#include "isa/aarch64/memory.hpp"
#include "isa/aarch64/tables.hpp"

namespace mimic::isa::aarch64 {

namespace {

using enum Type;
using ir::MemArg;
using ir::Order;
using ir::Rmw;

// Rows without a size of their own have the words and doublewords, told apart by bit 30.
template <Type M>
Type memory_type(const I& i) {
    return M != none ? M : i[sf30] ? i64 : i32;
}
MemArg atomic_access(A64& t, Type memory, Order order) {
    return {.memory = memory, .align = atomic_alignment(t), .order = order};
}

// ---- ordered

template <Type M, Order O>
void load_acquire(A64& t, const I& i) {
    t.x(i[Rt], t.load(i64, t.xsp(i[Rn]), atomic_access(t, memory_type<M>(i), O)));
}
// A later LDAR must not pass it (B2.3.7): sequentially consistent.
template <Type M>
void store_release(A64& t, const I& i) {
    Type m = memory_type<M>(i);
    t.store(t.xsp(i[Rn]), t.x(i[Rt]).trunc(m), atomic_access(t, m, Order::seq_cst));
}
template <Type M, bool Sign = false, Type Result = i64>
void load_acquire_unscaled(A64& t, const I& i) {
    MemArg m = atomic_access(t, M, Order::acquire);
    m.sign = Sign;
    t.x(i[Rt], t.load(Result, t.xsp(i[Rn]) + i[imm9], m));
}
template <Type M>
void store_release_unscaled(A64& t, const I& i) {
    t.store(t.xsp(i[Rn]) + i[imm9], t.x(i[Rt]).trunc(M), atomic_access(t, M, Order::seq_cst));
}

// ---- LRCPC3: pairs, and write-back

// The offset of a form with write-back: the transfer's size, up after a load, down before a store.
template <Type M, bool Moves>
void load_acquire_pair(A64& t, const I& i) {
    Val base = t.xsp(i[Rn]), after = base + mimic::i64(2 * ir::size_of(M));
    Val first = t.load(i64, base, atomic_access(t, M, Order::acquire));
    Val second = t.load(i64, base + mimic::i64(ir::size_of(M)), atomic_access(t, M, Order::acquire));
    t.x(i[Rt], first);
    t.x(i[Rm], second);
    if (Moves) t.xsp(i[Rn], after);
}
template <Type M, bool Moves>
void store_release_pair(A64& t, const I& i) {
    Val base = t.xsp(i[Rn]) - mimic::i64(Moves ? 2 * ir::size_of(M) : 0);
    t.probe(base, t.imm(2 * ir::size_of(M)), true);
    t.store(base, t.x(i[Rt]).trunc(M), atomic_access(t, M, Order::seq_cst));
    t.store(base + mimic::i64(ir::size_of(M)), t.x(i[Rm]).trunc(M), atomic_access(t, M, Order::seq_cst));
    if (Moves) t.xsp(i[Rn], base);
}
template <Type M>
void load_acquire_moving(A64& t, const I& i) {
    Val base = t.xsp(i[Rn]), after = base + mimic::i64(ir::size_of(M));
    t.x(i[Rt], t.load(i64, base, atomic_access(t, M, Order::acquire)));
    t.xsp(i[Rn], after);
}
template <Type M>
void store_release_moving(A64& t, const I& i) {
    Val base = t.xsp(i[Rn]) - mimic::i64(ir::size_of(M));
    t.store(base, t.x(i[Rt]).trunc(M), atomic_access(t, M, Order::seq_cst));
    t.xsp(i[Rn], base);
}
template <Type M>
void load_vector_acquire(A64& t, const I& i) {
    t.v(i[Rt], t.load(M, t.xsp(i[Rn]) + i[imm9], atomic_access(t, M, Order::acquire)));
}
template <Type M>
void store_vector_release(A64& t, const I& i) {
    t.store(t.xsp(i[Rn]) + i[imm9], t.v(i[Rt], M), atomic_access(t, M, Order::seq_cst));
}
// One doubleword of a vector register.
void load_lane_acquire(A64& t, const I& i) {
    Val v = t.load(i64, t.xsp(i[Rn]), atomic_access(t, i64, Order::acquire));
    t.put(u16(slot_v + i[Rt]), v, u32(8 * i[Q]));
}
void store_lane_release(A64& t, const I& i) {
    Val v = t.get(u16(slot_v + i[Rt]), i64, u32(8 * i[Q]));
    t.store(t.xsp(i[Rn]), v, atomic_access(t, i64, Order::seq_cst));
}
bool two_registers(const I& i) { return i[Rt] != i[Rm]; }
bool pair_moves(const I& i) { return two_registers(i) && (i[Rn] == 31 || (i[Rt] != i[Rn] && i[Rm] != i[Rn])); }
bool pair_stored_moves(const I& i) { return i[Rn] == 31 || (i[Rt] != i[Rn] && i[Rm] != i[Rn]); }
bool base_apart(const I& i) { return i[Rn] == 31 || i[Rt] != i[Rn]; }

// ---- exclusive. The slot holds address + 1, so that zero is an open monitor.

void mark(A64& t, Val address, Val low, Val high) {
    t.put(slot_ex_address, address + 1);
    t.put(slot_ex_low, low);
    t.put(slot_ex_high, high);
}
template <Type M, bool Acquire>
void load_exclusive(A64& t, const I& i) {
    Val address = t.xsp(i[Rn]);
    Val v = t.load(i64, address, atomic_access(t, memory_type<M>(i), Acquire ? Order::seq_cst : Order::plain));
    mark(t, address, v, t.imm(0));
    t.x(i[Rt], v);
}
template <bool Acquire>
void load_exclusive_pair(A64& t, const I& i) {
    Type m = i[sf30] ? i128 : i64;
    Val address = t.xsp(i[Rn]);
    Val v = t.load(m, address, atomic_access(t, m, Acquire ? Order::seq_cst : Order::plain));
    Val low = v.half(0), high = v.half(1);
    mark(t, address, low.zext(i64), high.zext(i64));
    t.x(i[Rt], low);
    t.x(i[Rt2], high);
}
// Compares and swaps if the monitor holds the address; Ws gets 0 if that stored.
template <class Expected, class Desired>
void store_if_marked(A64& t, const I& i, MemArg m, Expected&& expected, Desired&& desired) {
    ir::BlockId matches = t.new_block(), differs = t.new_block(), after = t.new_block();
    t.brcond(t.xsp(i[Rn]) + 1 == t.get(slot_ex_address, i64), matches, differs);

    t.start_block(matches);
    Val before = expected();
    Val old = t.cas(t.xsp(i[Rn]), before, desired(), m);
    t.put(slot_ex_address, t.imm(0));
    t.x(i[Rs], (old != before).zext(i64));
    t.br(after);

    t.start_block(differs);
    t.put(slot_ex_address, t.imm(0));
    t.x(i[Rs], t.imm(1));
    t.br(after);

    t.start_block(after);
}
template <Type M, bool Release>
void store_exclusive(A64& t, const I& i) {
    Type m = memory_type<M>(i);
    store_if_marked(
        t, i, atomic_access(t, m, Release ? Order::seq_cst : Order::plain),
        [&] { return t.get(slot_ex_low, i64).trunc(m); }, [&] { return t.x(i[Rt]).trunc(m); });
}
template <bool Release>
void store_exclusive_pair(A64& t, const I& i) {
    Type m = i[sf30] ? i128 : i64, half = i[sf30] ? i64 : i32;
    auto pair = [&](Val low, Val high) { return t.op(Op::pair, m, low.trunc(half), high.trunc(half)); };
    store_if_marked(
        t, i, atomic_access(t, m, Release ? Order::seq_cst : Order::plain),
        [&] { return pair(t.get(slot_ex_low, i64), t.get(slot_ex_high, i64)); },
        [&] { return pair(t.x(i[Rt]), t.x(i[Rt2])); });
}

// ---- LSE

Order order_of(bool acquire, bool release) {
    return acquire ? release ? Order::seq_cst : Order::acquire : release ? Order::release : Order::plain;
}
template <Type M, Rmw O>
void atomic(A64& t, const I& i) {
    Type m = memory_type<M>(i);
    Val old = t.rmw(O, t.xsp(i[Rn]), t.x(i[Rs]).trunc(m), atomic_access(t, m, order_of(i[A23], i[R22])));
    t.x(i[Rt], old.zext(i64));
}
template <Type M>
void compare_and_swap(A64& t, const I& i) {
    Type m = memory_type<M>(i);
    Val old =
        t.cas(t.xsp(i[Rn]), t.x(i[Rs]).trunc(m), t.x(i[Rt]).trunc(m), atomic_access(t, m, order_of(i[L22], i[o15])));
    t.x(i[Rs], old.zext(i64));
}
bool even_pairs(const I& i) { return i[Rs] % 2 == 0 && i[Rt] % 2 == 0; }
void compare_and_swap_pair(A64& t, const I& i) {
    Type m = i[sf30] ? i128 : i64, half = i[sf30] ? i64 : i32;
    auto pair = [&](mimic::i64 n) { return t.op(Op::pair, m, t.r(n, half), t.r(n + 1, half)); };
    Val old = t.cas(t.xsp(i[Rn]), pair(i[Rs]), pair(i[Rt]), atomic_access(t, m, order_of(i[L22], i[o15])));
    t.x(i[Rs], old.half(0));
    t.x(i[Rs] + 1, old.half(1));
}

// clang-format off
constexpr R rows[] = {
    {"stxrb   {Ws}, {Wt}, [{XnSP}]",           "00 001000 0 0 0 Rs 0 11111 Rn Rt",           store_exclusive<i8, false>},
    {"stlxrb  {Ws}, {Wt}, [{XnSP}]",           "00 001000 0 0 0 Rs 1 11111 Rn Rt",           store_exclusive<i8, true>},
    {"ldxrb   {Wt}, [{XnSP}]",                 "00 001000 0 1 0 11111 0 11111 Rn Rt",        load_exclusive<i8, false>},
    {"ldaxrb  {Wt}, [{XnSP}]",                 "00 001000 0 1 0 11111 1 11111 Rn Rt",        load_exclusive<i8, true>},
    {"stlrb   {Wt}, [{XnSP}]",                 "00 001000 1 0 0 11111 1 11111 Rn Rt",        store_release<i8>},
    {"ldarb   {Wt}, [{XnSP}]",                 "00 001000 1 1 0 11111 1 11111 Rn Rt",        load_acquire<i8, ir::Order::seq_cst>},

    {"stxrh   {Ws}, {Wt}, [{XnSP}]",           "01 001000 0 0 0 Rs 0 11111 Rn Rt",           store_exclusive<i16, false>},
    {"stlxrh  {Ws}, {Wt}, [{XnSP}]",           "01 001000 0 0 0 Rs 1 11111 Rn Rt",           store_exclusive<i16, true>},
    {"ldxrh   {Wt}, [{XnSP}]",                 "01 001000 0 1 0 11111 0 11111 Rn Rt",        load_exclusive<i16, false>},
    {"ldaxrh  {Wt}, [{XnSP}]",                 "01 001000 0 1 0 11111 1 11111 Rn Rt",        load_exclusive<i16, true>},
    {"stlrh   {Wt}, [{XnSP}]",                 "01 001000 1 0 0 11111 1 11111 Rn Rt",        store_release<i16>},
    {"ldarh   {Wt}, [{XnSP}]",                 "01 001000 1 1 0 11111 1 11111 Rn Rt",        load_acquire<i16, ir::Order::seq_cst>},

    {"stxr    {Ws}, {Rt30}, [{XnSP}]",         "1 sf30 001000 0 0 0 Rs 0 11111 Rn Rt",       store_exclusive<none, false>},
    {"stlxr   {Ws}, {Rt30}, [{XnSP}]",         "1 sf30 001000 0 0 0 Rs 1 11111 Rn Rt",       store_exclusive<none, true>},
    {"ldxr    {Rt30}, [{XnSP}]",               "1 sf30 001000 0 1 0 11111 0 11111 Rn Rt",    load_exclusive<none, false>},
    {"ldaxr   {Rt30}, [{XnSP}]",               "1 sf30 001000 0 1 0 11111 1 11111 Rn Rt",    load_exclusive<none, true>},
    {"stlr    {Rt30}, [{XnSP}]",               "1 sf30 001000 1 0 0 11111 1 11111 Rn Rt",    store_release<none>},
    {"ldar    {Rt30}, [{XnSP}]",               "1 sf30 001000 1 1 0 11111 1 11111 Rn Rt",    load_acquire<none, ir::Order::seq_cst>},

    {"stxp    {Ws}, {Rt30}, {Rt230}, [{XnSP}]","1 sf30 001000 0 0 1 Rs 0 Rt2 Rn Rt",         store_exclusive_pair<false>},
    {"stlxp   {Ws}, {Rt30}, {Rt230}, [{XnSP}]","1 sf30 001000 0 0 1 Rs 1 Rt2 Rn Rt",         store_exclusive_pair<true>},
    {"ldxp    {Rt30}, {Rt230}, [{XnSP}]",      "1 sf30 001000 0 1 1 11111 0 Rt2 Rn Rt",      load_exclusive_pair<false>},
    {"ldaxp   {Rt30}, {Rt230}, [{XnSP}]",      "1 sf30 001000 0 1 1 11111 1 Rt2 Rn Rt",      load_exclusive_pair<true>},
};

constexpr R lse_rows[] = {
    {"cas{alc}b {Ws}, {Wt}, [{XnSP}]",         "00 001000 1 L22 1 Rs o15 11111 Rn Rt",       compare_and_swap<i8>},
    {"ldadd{al}b {Ws}, {Wt}, [{XnSP}]",        "00 111 0 00 A23 R22 1 Rs 0 000 00 Rn Rt",    atomic<i8, Rmw::add>},
    {"ldclr{al}b {Ws}, {Wt}, [{XnSP}]",        "00 111 0 00 A23 R22 1 Rs 0 001 00 Rn Rt",    atomic<i8, Rmw::andn>},
    {"ldeor{al}b {Ws}, {Wt}, [{XnSP}]",        "00 111 0 00 A23 R22 1 Rs 0 010 00 Rn Rt",    atomic<i8, Rmw::xor_>},
    {"ldset{al}b {Ws}, {Wt}, [{XnSP}]",        "00 111 0 00 A23 R22 1 Rs 0 011 00 Rn Rt",    atomic<i8, Rmw::or_>},
    {"ldsmax{al}b {Ws}, {Wt}, [{XnSP}]",       "00 111 0 00 A23 R22 1 Rs 0 100 00 Rn Rt",    atomic<i8, Rmw::smax>},
    {"ldsmin{al}b {Ws}, {Wt}, [{XnSP}]",       "00 111 0 00 A23 R22 1 Rs 0 101 00 Rn Rt",    atomic<i8, Rmw::smin>},
    {"ldumax{al}b {Ws}, {Wt}, [{XnSP}]",       "00 111 0 00 A23 R22 1 Rs 0 110 00 Rn Rt",    atomic<i8, Rmw::umax>},
    {"ldumin{al}b {Ws}, {Wt}, [{XnSP}]",       "00 111 0 00 A23 R22 1 Rs 0 111 00 Rn Rt",    atomic<i8, Rmw::umin>},
    {"swp{al}b {Ws}, {Wt}, [{XnSP}]",          "00 111 0 00 A23 R22 1 Rs 1 000 00 Rn Rt",    atomic<i8, Rmw::swap>},

    {"cas{alc}h {Ws}, {Wt}, [{XnSP}]",         "01 001000 1 L22 1 Rs o15 11111 Rn Rt",       compare_and_swap<i16>},
    {"ldadd{al}h {Ws}, {Wt}, [{XnSP}]",        "01 111 0 00 A23 R22 1 Rs 0 000 00 Rn Rt",    atomic<i16, Rmw::add>},
    {"ldclr{al}h {Ws}, {Wt}, [{XnSP}]",        "01 111 0 00 A23 R22 1 Rs 0 001 00 Rn Rt",    atomic<i16, Rmw::andn>},
    {"ldeor{al}h {Ws}, {Wt}, [{XnSP}]",        "01 111 0 00 A23 R22 1 Rs 0 010 00 Rn Rt",    atomic<i16, Rmw::xor_>},
    {"ldset{al}h {Ws}, {Wt}, [{XnSP}]",        "01 111 0 00 A23 R22 1 Rs 0 011 00 Rn Rt",    atomic<i16, Rmw::or_>},
    {"ldsmax{al}h {Ws}, {Wt}, [{XnSP}]",       "01 111 0 00 A23 R22 1 Rs 0 100 00 Rn Rt",    atomic<i16, Rmw::smax>},
    {"ldsmin{al}h {Ws}, {Wt}, [{XnSP}]",       "01 111 0 00 A23 R22 1 Rs 0 101 00 Rn Rt",    atomic<i16, Rmw::smin>},
    {"ldumax{al}h {Ws}, {Wt}, [{XnSP}]",       "01 111 0 00 A23 R22 1 Rs 0 110 00 Rn Rt",    atomic<i16, Rmw::umax>},
    {"ldumin{al}h {Ws}, {Wt}, [{XnSP}]",       "01 111 0 00 A23 R22 1 Rs 0 111 00 Rn Rt",    atomic<i16, Rmw::umin>},
    {"swp{al}h {Ws}, {Wt}, [{XnSP}]",          "01 111 0 00 A23 R22 1 Rs 1 000 00 Rn Rt",    atomic<i16, Rmw::swap>},

    {"cas{alc} {Rs30F}, {Rt30c}, [{XnSP}]",    "1 sf30 001000 1 L22 1 Rs o15 11111 Rn Rt",   compare_and_swap<none>},
    {"ldadd{al} {Rs30F}, {Rt30c}, [{XnSP}]",   "1 sf30 111 0 00 A23 R22 1 Rs 0 000 00 Rn Rt",atomic<none, Rmw::add>},
    {"ldclr{al} {Rs30F}, {Rt30c}, [{XnSP}]",   "1 sf30 111 0 00 A23 R22 1 Rs 0 001 00 Rn Rt",atomic<none, Rmw::andn>},
    {"ldeor{al} {Rs30F}, {Rt30c}, [{XnSP}]",   "1 sf30 111 0 00 A23 R22 1 Rs 0 010 00 Rn Rt",atomic<none, Rmw::xor_>},
    {"ldset{al} {Rs30F}, {Rt30c}, [{XnSP}]",   "1 sf30 111 0 00 A23 R22 1 Rs 0 011 00 Rn Rt",atomic<none, Rmw::or_>},
    {"ldsmax{al} {Rs30F}, {Rt30c}, [{XnSP}]",  "1 sf30 111 0 00 A23 R22 1 Rs 0 100 00 Rn Rt",atomic<none, Rmw::smax>},
    {"ldsmin{al} {Rs30F}, {Rt30c}, [{XnSP}]",  "1 sf30 111 0 00 A23 R22 1 Rs 0 101 00 Rn Rt",atomic<none, Rmw::smin>},
    {"ldumax{al} {Rs30F}, {Rt30c}, [{XnSP}]",  "1 sf30 111 0 00 A23 R22 1 Rs 0 110 00 Rn Rt",atomic<none, Rmw::umax>},
    {"ldumin{al} {Rs30F}, {Rt30c}, [{XnSP}]",  "1 sf30 111 0 00 A23 R22 1 Rs 0 111 00 Rn Rt",atomic<none, Rmw::umin>},
    {"swp{al} {Rs30F}, {Rt30c}, [{XnSP}]",     "1 sf30 111 0 00 A23 R22 1 Rs 1 000 00 Rn Rt",atomic<none, Rmw::swap>},

    {"casp{alc} {Rsp}, {Rsp1}, {Rtp}, {Rtp1}, [{XnSP}]","0 sf30 001000 0 L22 1 Rs o15 11111 Rn Rt",   compare_and_swap_pair, even_pairs},
};

// LORegions there are none: all of memory is in the one.
constexpr R lor_rows[] = {
    {"stllrb  {Wt}, [{XnSP}]",                 "00 001000 1 0 0 11111 0 11111 Rn Rt",        store_release<i8>},
    {"ldlarb  {Wt}, [{XnSP}]",                 "00 001000 1 1 0 11111 0 11111 Rn Rt",        load_acquire<i8, ir::Order::seq_cst>},
    {"stllrh  {Wt}, [{XnSP}]",                 "01 001000 1 0 0 11111 0 11111 Rn Rt",        store_release<i16>},
    {"ldlarh  {Wt}, [{XnSP}]",                 "01 001000 1 1 0 11111 0 11111 Rn Rt",        load_acquire<i16, ir::Order::seq_cst>},
    {"stllr   {Rt30}, [{XnSP}]",               "1 sf30 001000 1 0 0 11111 0 11111 Rn Rt",    store_release<none>},
    {"ldlar   {Rt30}, [{XnSP}]",               "1 sf30 001000 1 1 0 11111 0 11111 Rn Rt",    load_acquire<none, ir::Order::seq_cst>},
};

constexpr R lrcpc_rows[] = {
    {"ldaprb  {Wt}, [{XnSP}]",                 "00 111 0 00 101 11111 1 100 00 Rn Rt",       load_acquire<i8, ir::Order::acquire>},
    {"ldaprh  {Wt}, [{XnSP}]",                 "01 111 0 00 101 11111 1 100 00 Rn Rt",       load_acquire<i16, ir::Order::acquire>},
    {"ldapr   {Rt30}, [{XnSP}]",               "1 sf30 111 0 00 101 11111 1 100 00 Rn Rt",   load_acquire<none, ir::Order::acquire>},
};

constexpr R lrcpc2_rows[] = {
    {"stlurb  {Wt}, [{XnSP}{off9}]",           "00 011001 00 0 imm9 00 Rn Rt",               store_release_unscaled<i8>},
    {"ldapurb {Wt}, [{XnSP}{off9}]",           "00 011001 01 0 imm9 00 Rn Rt",               load_acquire_unscaled<i8>},
    {"ldapursb {Xt}, [{XnSP}{off9}]",          "00 011001 10 0 imm9 00 Rn Rt",               load_acquire_unscaled<i8, true>},
    {"ldapursb {Wt}, [{XnSP}{off9}]",          "00 011001 11 0 imm9 00 Rn Rt",               load_acquire_unscaled<i8, true, i32>},
    {"stlurh  {Wt}, [{XnSP}{off9}]",           "01 011001 00 0 imm9 00 Rn Rt",               store_release_unscaled<i16>},
    {"ldapurh {Wt}, [{XnSP}{off9}]",           "01 011001 01 0 imm9 00 Rn Rt",               load_acquire_unscaled<i16>},
    {"ldapursh {Xt}, [{XnSP}{off9}]",          "01 011001 10 0 imm9 00 Rn Rt",               load_acquire_unscaled<i16, true>},
    {"ldapursh {Wt}, [{XnSP}{off9}]",          "01 011001 11 0 imm9 00 Rn Rt",               load_acquire_unscaled<i16, true, i32>},
    {"stlur   {Wt}, [{XnSP}{off9}]",           "10 011001 00 0 imm9 00 Rn Rt",               store_release_unscaled<i32>},
    {"ldapur  {Wt}, [{XnSP}{off9}]",           "10 011001 01 0 imm9 00 Rn Rt",               load_acquire_unscaled<i32>},
    {"ldapursw {Xt}, [{XnSP}{off9}]",          "10 011001 10 0 imm9 00 Rn Rt",               load_acquire_unscaled<i32, true>},
    {"stlur   {Xt}, [{XnSP}{off9}]",           "11 011001 00 0 imm9 00 Rn Rt",               store_release_unscaled<i64>},
    {"ldapur  {Xt}, [{XnSP}{off9}]",           "11 011001 01 0 imm9 00 Rn Rt",               load_acquire_unscaled<i64>},
};

constexpr R lrcpc3_rows[] = {
    {"stilp   {Wt}, {Wm}, [{XnSP}, #-8]!",      "10 011001 00 0 Rm 0000 10 Rn Rt",           store_release_pair<i32, true>, pair_stored_moves},
    {"stilp   {Wt}, {Wm}, [{XnSP}]",            "10 011001 00 0 Rm 0001 10 Rn Rt",           store_release_pair<i32, false>},
    {"ldiapp  {Wt}, {Wm}, [{XnSP}], #8",        "10 011001 01 0 Rm 0000 10 Rn Rt",           load_acquire_pair<i32, true>, pair_moves},
    {"ldiapp  {Wt}, {Wm}, [{XnSP}]",            "10 011001 01 0 Rm 0001 10 Rn Rt",           load_acquire_pair<i32, false>, two_registers},
    {"stlr    {Wt}, [{XnSP}, #-4]!",             "10 011001 10 0 00000 0000 10 Rn Rt",         store_release_moving<i32>, base_apart},
    {"ldapr   {Wt}, [{XnSP}], #4",               "10 011001 11 0 00000 0000 10 Rn Rt",         load_acquire_moving<i32>, base_apart},
    {"stilp   {Xt}, {Xm}, [{XnSP}, #-16]!",     "11 011001 00 0 Rm 0000 10 Rn Rt",           store_release_pair<i64, true>, pair_stored_moves},
    {"stilp   {Xt}, {Xm}, [{XnSP}]",            "11 011001 00 0 Rm 0001 10 Rn Rt",           store_release_pair<i64, false>},
    {"ldiapp  {Xt}, {Xm}, [{XnSP}], #16",       "11 011001 01 0 Rm 0000 10 Rn Rt",           load_acquire_pair<i64, true>, pair_moves},
    {"ldiapp  {Xt}, {Xm}, [{XnSP}]",            "11 011001 01 0 Rm 0001 10 Rn Rt",           load_acquire_pair<i64, false>, two_registers},
    {"stlr    {Xt}, [{XnSP}, #-8]!",             "11 011001 10 0 00000 0000 10 Rn Rt",         store_release_moving<i64>, base_apart},
    {"ldapr   {Xt}, [{XnSP}], #8",               "11 011001 11 0 00000 0000 10 Rn Rt",         load_acquire_moving<i64>, base_apart},
};
constexpr R lrcpc3_vector_rows[] = {
    {"stlur   {Bt}, [{XnSP}{off9}]",             "00 011101 00 0 imm9 10 Rn Rt",               store_vector_release<i8>},
    {"ldapur  {Bt}, [{XnSP}{off9}]",             "00 011101 01 0 imm9 10 Rn Rt",               load_vector_acquire<i8>},
    {"stlur   {Ht}, [{XnSP}{off9}]",             "01 011101 00 0 imm9 10 Rn Rt",               store_vector_release<f16>},
    {"ldapur  {Ht}, [{XnSP}{off9}]",             "01 011101 01 0 imm9 10 Rn Rt",               load_vector_acquire<f16>},
    {"stlur   {St}, [{XnSP}{off9}]",             "10 011101 00 0 imm9 10 Rn Rt",               store_vector_release<f32>},
    {"ldapur  {St}, [{XnSP}{off9}]",             "10 011101 01 0 imm9 10 Rn Rt",               load_vector_acquire<f32>},
    {"stlur   {Dt}, [{XnSP}{off9}]",             "11 011101 00 0 imm9 10 Rn Rt",               store_vector_release<f64>},
    {"ldapur  {Dt}, [{XnSP}{off9}]",             "11 011101 01 0 imm9 10 Rn Rt",               load_vector_acquire<f64>},
    {"stlur   {Qt}, [{XnSP}{off9}]",             "00 011101 10 0 imm9 10 Rn Rt",               store_vector_release<v128>},
    {"ldapur  {Qt}, [{XnSP}{off9}]",             "00 011101 11 0 imm9 10 Rn Rt",               load_vector_acquire<v128>},
    {"stl1    {dlane1}, [{XnSP}]",               "0 Q 0011010 0 0 00001 100 0 01 Rn Rt",       store_lane_release},
    {"ldap1   {dlane1}, [{XnSP}]",               "0 Q 0011010 1 0 00001 100 0 01 Rn Rt",       load_lane_acquire},
};
// clang-format on

} // namespace

constinit const Table<AArch64> exclusives{"exclusives", needs(Feature::base), rows};
constinit const Table<AArch64> lse{"LSE", needs(Feature::lse), lse_rows};
constinit const Table<AArch64> limited_ordering{"LOR", needs(Feature::lor), lor_rows};
constinit const Table<AArch64> lrcpc{"LRCPC", needs(Feature::lrcpc), lrcpc_rows};
constinit const Table<AArch64> lrcpc2{"LRCPC2", needs(Feature::lrcpc2), lrcpc2_rows};
constinit const Table<AArch64> lrcpc3{"LRCPC3", needs(Feature::lrcpc3), lrcpc3_rows};
constinit const Table<AArch64> lrcpc3_vector{"LRCPC3, SIMD and FP", needs(Feature::lrcpc3), lrcpc3_vector_rows,
                                             fp_registers};

} // namespace mimic::isa::aarch64
