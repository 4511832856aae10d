#include "isa/test_vl/vl.hpp"

namespace mimic::isa::test_vl {

// al and nv are constants; the others pair up, the odd ones negated.
Val Vl::holds(i64 c) {
    using ir::Cond;
    if (c >= 14) return imm(c == 14, Type::i1);
    constexpr Cond table[] = {Cond::z, Cond::c, Cond::n, Cond::v, Cond::ugt, Cond::sge, Cond::sgt};
    Cond k = table[c >> 1];
    return this->cond(c & 1 ? negate(k) : k, flags());
}

namespace {

constexpr Type q = Type::i64;

constexpr auto add = [](Val a, Val b) { return a + b; };
constexpr auto and_ = [](Val a, Val b) { return a & b; };
constexpr auto or_ = [](Val a, Val b) { return a | b; };
constexpr auto xor_ = [](Val a, Val b) { return a ^ b; };
constexpr auto shl = [](Val a, Val b) { return a.shl(b); };
constexpr auto shr = [](Val a, Val b) { return a.lshr(b); };
constexpr auto sar = [](Val a, Val b) { return a.ashr(b); };
constexpr auto mul = [](Val a, Val b) { return a * b; };

template <auto Op>
void plain(Vl& t, const I& i) {
    t.r(i[rd], Op(t.r(i[rd]), t.r(i[rs])));
}
template <auto Op>
void logic(Vl& t, const I& i) {
    Val v = Op(t.r(i[rd]), t.r(i[rs]));
    t.r(i[rd], v);
    t.flags(t.flags_logic(v));
}
void put_sum(Vl& t, i64 to, Val a, Val b, Val carry = {}) {
    t.flags(t.flags_add(a, b, carry));
    t.r(to, carry ? a + b + carry.zext(q) : a + b);
}
void put_difference(Vl& t, i64 to, Val a, Val b, Val borrow = {}) {
    t.flags(t.flags_sub(a, b, borrow));
    t.r(to, borrow ? a - b - borrow.zext(q) : a - b);
}
Val carry(Vl& t) { return t.cond(ir::Cond::c, t.flags()); }

template <auto Op>
void by_amount(Vl& t, const I& i) {
    t.r(i[rd], Op(t.r(i[rs]), t.imm(u64(i[amount]), Type::i8)));
}
template <bool Rem>
void divide(Vl& t, const I& i) {
    t.when(t.r(i[rs]) == 0, [&] { t.trap(ir::TrapKind::divide, t.pc()); });
    Val a = t.r(i[rd]), b = t.r(i[rs]);
    t.r(i[rd], Rem ? a.srem(b) : a.sdiv(b));
}
template <Type T, bool Sign, const Field& Imm>
void load(Vl& t, const I& i) {
    t.r(i[rd], t.load(q, t.r(i[rs]) + i[Imm], {.memory = T, .sign = Sign}));
}
template <Type T, const Field& Imm>
void store(Vl& t, const I& i) {
    t.store(t.r(i[rs]) + i[Imm], t.r(i[rd]).trunc(T), {.memory = T});
}
template <ir::Rmw Op>
void atomic(Vl& t, const I& i) {
    t.r(i[rd], t.rmw(Op, t.r(i[rs]) + i[imm16], t.r(i[rd]), {.memory = q, .order = ir::Order::seq_cst}));
}
void push(Vl& t, const I& i) {
    t.store(t.r(15) - 8, t.r(i[rs]), {});
    t.r(15, t.r(15) - 8);
}
void pop(Vl& t, const I& i) {
    Val v = t.load(q, t.r(15), {});
    t.r(15, t.r(15) + 8);
    t.r(i[rs], v);
}
// call puts the return address into r14.
void call_register(Vl& t, const I& i) {
    Val to = t.r(i[rs]);
    t.r(14, t.code_address(t.next_pc()));
    t.call_value(to, t.next_pc());
}
void call(Vl& t, const I& i) {
    t.r(14, t.code_address(t.next_pc()));
    t.call_pc(t.pc() + u64(i[disp32]), t.next_pc());
}
template <bool Zero>
void branch_if(Vl& t, const I& i) {
    Val v = t.r(i[rd]);
    t.branch_to(Zero ? v == 0 : v != 0, t.pc() + u64(i[disp16]), t.next_pc());
}
void turn(Vl& t, const I& i) {
    Val old = t.base();
    t.put(slot_base, (old + t.r(i[rs])) & i64(file_count - 1));
    t.r(i[rd], old);
}
void add_if(Vl& t, const I& i) { t.r(i[rd], t.holds(i[pcond]).select(t.r(i[rs]) + t.r(i[rt]), t.r(i[rd]))); }
void load_if(Vl& t, const I& i) {
    t.when(t.holds(i[pcond]), [&] { t.r(i[rd], t.load(q, t.r(i[rs]) + i[imm8], {})); });
}
void ldx(Vl& t, const I& i) { t.r(i[rd], t.load(q, t.r(i[rs]) + t.r(i[xt]).shl(u32(i[scale])) + i[imm26], {})); }

// clang-format off
constexpr R rows[] = {
    {"mov {rd}, {rs}",                   "00 000000 rd rs",             [](Vl& t, const I& i) { t.r(i[rd], t.r(i[rs])); }},
    {"add {rd}, {rs}",                   "00 000001 rd rs",             [](Vl& t, const I& i) { put_sum(t, i[rd], t.r(i[rd]), t.r(i[rs])); }},
    {"sub {rd}, {rs}",                   "00 000010 rd rs",             [](Vl& t, const I& i) { put_difference(t, i[rd], t.r(i[rd]), t.r(i[rs])); }},
    {"cmp {rd}, {rs}",                   "00 000011 rd rs",             [](Vl& t, const I& i) { t.flags(t.flags_sub(t.r(i[rd]), t.r(i[rs]))); }},
    {"and {rd}, {rs}",                   "00 000100 rd rs",             logic<and_>},
    {"or {rd}, {rs}",                    "00 000101 rd rs",             logic<or_>},
    {"xor {rd}, {rs}",                   "00 000110 rd rs",             logic<xor_>},
    {"adc {rd}, {rs}",                   "00 000111 rd rs",             [](Vl& t, const I& i) { put_sum(t, i[rd], t.r(i[rd]), t.r(i[rs]), carry(t)); }},
    {"sbb {rd}, {rs}",                   "00 001000 rd rs",             [](Vl& t, const I& i) { put_difference(t, i[rd], t.r(i[rd]), t.r(i[rs]), carry(t)); }},
    {"shl {rd}, {rs}",                   "00 001001 rd rs",             plain<shl>},
    {"shr {rd}, {rs}",                   "00 001010 rd rs",             plain<shr>},
    {"getw {rd}, {ws}",                  "00 001011 rd rs",             [](Vl& t, const I& i) { t.r(i[rd], t.w(i[rs])); }},
    {"putw {wd}, {rs}",                  "00 001100 rd rs",             [](Vl& t, const I& i) { t.w(i[rd], t.r(i[rs])); }},
    {"turn {rd}, {rs}",                  "00 001101 rd rs",             turn},
    {"jmp {rs}",                         "00 001110 0000 rs",           [](Vl& t, const I& i) { t.goto_value(t.r(i[rs])); }},
    {"ret",                              "00 001110 0001 1110",         [](Vl& t, const I&) { t.goto_value(t.r(14), ir::ExitHint::ret); }},
    {"call {rs}",                        "00 001110 0010 rs",           call_register},
    {"push {rs}",                        "00 001110 0011 rs",           push},
    {"pop {rs}",                         "00 001110 0100 rs",           pop},
    {"nop",                              "00 001111 0000 0000",         [](Vl&, const I&) {}},
    {"brk",                              "00 001111 0000 0001",         [](Vl& t, const I&) { t.trap(ir::TrapKind::breakpoint, t.pc()); }},
    {"fence",                            "00 001111 0000 0010",         [](Vl& t, const I&) { t.fence(); }},
    {"sys {sys}",                        "00 010000 sys",               [](Vl& t, const I& i) { t.trap(ir::TrapKind::syscall, t.pc(), t.imm(u64(i[sys]))); }},
    {"b.{cond} {disp10}",                "01 cond disp10",              [](Vl& t, const I& i) { t.branch_to(t.holds(i[cond]), t.pc() + u64(i[disp10]), t.next_pc()); }},

    {"addi {rd}, {rs}, {imm16}",         "10 000000 rd rs imm16",       [](Vl& t, const I& i) { put_sum(t, i[rd], t.r(i[rs]), t.imm(u64(i[imm16]))); }},
    {"movi {rd}, {imm16}",               "10 000001 rd 0000 imm16",     [](Vl& t, const I& i) { t.r(i[rd], t.imm(u64(i[imm16]))); }},
    {"lsl {rd}, {rs}, {amount}",         "10 000010 rd rs 0000000000 amount", by_amount<shl>},
    {"lsr {rd}, {rs}, {amount}",         "10 000011 rd rs 0000000000 amount", by_amount<shr>},
    {"asr {rd}, {rs}, {amount}",         "10 000100 rd rs 0000000000 amount", by_amount<sar>},
    {"mul {rd}, {rs}",                   "10 000101 rd rs 0000000000000000",  plain<mul>},
    {"div {rd}, {rs}",                   "10 000101 rd rs 0000000000000001",  divide<false>},
    {"rem {rd}, {rs}",                   "10 000101 rd rs 0000000000000010",  divide<true>},
    {"addn {rd}, {rs}",                  "10 000101 rd rs 0000000000000011",  plain<add>},
    {"ldb {rd}, [{rs} + {imm16}]",       "10 001000 rd rs imm16",       load<Type::i8, false, imm16>},
    {"ldh {rd}, [{rs} + {imm16}]",       "10 001001 rd rs imm16",       load<Type::i16, false, imm16>},
    {"ldw {rd}, [{rs} + {imm16}]",       "10 001010 rd rs imm16",       load<Type::i32, false, imm16>},
    {"ld {rd}, [{rs} + {imm16}]",        "10 001011 rd rs imm16",       load<q, false, imm16>},
    {"ldbs {rd}, [{rs} + {imm16}]",      "10 001100 rd rs imm16",       load<Type::i8, true, imm16>},
    {"ldhs {rd}, [{rs} + {imm16}]",      "10 001101 rd rs imm16",       load<Type::i16, true, imm16>},
    {"ldws {rd}, [{rs} + {imm16}]",      "10 001110 rd rs imm16",       load<Type::i32, true, imm16>},
    {"stb {rd}, [{rs} + {imm16}]",       "10 010000 rd rs imm16",       store<Type::i8, imm16>},
    {"sth {rd}, [{rs} + {imm16}]",       "10 010001 rd rs imm16",       store<Type::i16, imm16>},
    {"stw {rd}, [{rs} + {imm16}]",       "10 010010 rd rs imm16",       store<Type::i32, imm16>},
    {"st {rd}, [{rs} + {imm16}]",        "10 010011 rd rs imm16",       store<q, imm16>},
    {"swap {rd}, [{rs} + {imm16}]",      "10 011000 rd rs imm16",       atomic<ir::Rmw::swap>},
    {"xadd {rd}, [{rs} + {imm16}]",      "10 011001 rd rs imm16",       atomic<ir::Rmw::add>},
    {"bz {rd}, {disp16}",                "10 100000 rd 0000 disp16",    branch_if<true>},
    {"bnz {rd}, {disp16}",               "10 100001 rd 0000 disp16",    branch_if<false>},
    {"({pcond}) add {rd}, {rs}, {rt}",   "10 111110 rd rs pcond rt 00000000", add_if},
    {"({pcond}) ld {rd}, [{rs} + {imm8}]", "10 111111 rd rs pcond 0000 imm8", load_if},

    {"movi {rd}, {imm32}",               "11 000000 rd 0000 imm32",     [](Vl& t, const I& i) { t.r(i[rd], t.imm(u64(i[imm32]))); }},
    {"addi {rd}, {rs}, {imm32}",         "11 000001 rd rs imm32",       [](Vl& t, const I& i) { put_sum(t, i[rd], t.r(i[rs]), t.imm(u64(i[imm32]))); }},
    {"ld {rd}, [{rs} + {imm32}]",        "11 000010 rd rs imm32",       load<q, false, imm32>},
    {"st {rd}, [{rs} + {imm32}]",        "11 000011 rd rs imm32",       store<q, imm32>},
    {"ldx {rd}, [{rs} + {xt} << {scale} + {imm26}]", "11 000100 rd rs xt scale imm26", ldx},
    {"jmp {disp32}",                     "11 000101 0000 0000 disp32",  [](Vl& t, const I& i) { t.goto_pc(t.pc() + u64(i[disp32])); }},
    {"call {disp32}",                    "11 000110 0000 0000 disp32",  call},
    {"setw {wd}, {imm32}",               "11 000111 rd 0000 imm32",     [](Vl& t, const I& i) { t.w(i[rd], t.imm(u64(i[imm32]))); }},
};
// clang-format on

} // namespace

constinit const Table<TestVl> vl{"VL", 0, rows};

} // namespace mimic::isa::test_vl
