#include "isa/test_be32/mips.hpp"

namespace mimic::isa::test_be32 {

namespace {

constexpr Type w = Type::i32;

constexpr auto addu = [](Val a, Val b) { return a + b; };
constexpr auto subu = [](Val a, Val b) { return a - b; };
constexpr auto and_ = [](Val a, Val b) { return a & b; };
constexpr auto or_ = [](Val a, Val b) { return a | b; };
constexpr auto xor_ = [](Val a, Val b) { return a ^ b; };
constexpr auto nor = [](Val a, Val b) { return ~(a | b); };
constexpr auto slt = [](Val a, Val b) { return a.slt(b).zext(w); };
constexpr auto sltu = [](Val a, Val b) { return a.ult(b).zext(w); };
constexpr auto sll = [](Val a, Val n) { return a.shl(n); };
constexpr auto srl = [](Val a, Val n) { return a.lshr(n); };
constexpr auto sra = [](Val a, Val n) { return a.ashr(n); };

template <auto Op>
void binary(Mips& t, const I& i) {
    t.r(i[rd], Op(t.r(i[rs]), t.r(i[rt])));
}
template <auto Op, const Field& Imm = immediate>
void with_immediate(Mips& t, const I& i) {
    t.r(i[rt], Op(t.r(i[rs]), t.imm(u64(i[Imm]), w)));
}
template <auto Op>
void shift(Mips& t, const I& i) {
    t.r(i[rd], Op(t.r(i[rt]), t.imm(u64(i[sa]), Type::i8)));
}
template <auto Op>
void shift_v(Mips& t, const I& i) {
    t.r(i[rd], Op(t.r(i[rt]), t.r(i[rs])));
}
// Integer Overflow leaves the destination alone. Operands are read again: values end with a block.
template <class Operands>
void add_trapping(Mips& t, i64 to, bool subtract, Operands&& operands) {
    {
        auto [a, b] = operands();
        Val r = subtract ? a - b : a + b;
        Val overflow = ((a ^ r) & (subtract ? a ^ b : b ^ r)).slt(t.imm(0, w));
        t.when(overflow, [&] { t.trap(ir::TrapKind::overflow, t.pc()); });
    }
    auto [a, b] = operands();
    t.r(to, subtract ? a - b : a + b);
}
template <bool Subtract>
void add_checked(Mips& t, const I& i) {
    add_trapping(t, i[rd], Subtract, [&] { return std::pair(t.r(i[rs]), t.r(i[rt])); });
}
void addi(Mips& t, const I& i) {
    add_trapping(t, i[rt], false, [&] { return std::pair(t.r(i[rs]), t.imm(u64(i[immediate]), w)); });
}
template <bool Sign>
void multiply(Mips& t, const I& i) {
    Val a = t.r(i[rs]), b = t.r(i[rt]);
    t.lo(a * b);
    t.hi(Sign ? a.mulhs(b) : a.mulhu(b));
}
template <bool Sign>
void divide(Mips& t, const I& i) {
    Val a = t.r(i[rs]), b = t.r(i[rt]);
    t.lo(Sign ? a.sdiv(b) : a.udiv(b));
    t.hi(Sign ? a.srem(b) : a.urem(b));
}

constexpr auto eq = [](Val a, Val b) { return a == b; };
constexpr auto ne = [](Val a, Val b) { return a != b; };
constexpr auto lez = [](Val a, Val) { return a.sle(a.builder().imm(0, w)); };
constexpr auto gtz = [](Val a, Val) { return a.builder().imm(0, w).slt(a); };
constexpr auto ltz = [](Val a, Val) { return a.slt(a.builder().imm(0, w)); };
constexpr auto gez = [](Val a, Val) { return a.builder().imm(0, w).sle(a); };

template <auto Rel, bool Likely = false>
void branch2(Mips& t, const I& i) {
    t.branch(Rel(t.r(i[rs]), t.r(i[rt])), t.pc() + u64(i[offset]), Likely);
}
template <auto Rel, bool Likely = false>
void branch1(Mips& t, const I& i) {
    t.branch(Rel(t.r(i[rs]), {}), t.pc() + u64(i[offset]), Likely);
}
template <auto Rel>
void branch_link(Mips& t, const I& i) {
    Val taken = Rel(t.r(i[rs]), {});
    t.link(31);
    t.branch(taken, t.pc() + u64(i[offset]));
}
// The index is within the 256 MiB region of the delay slot.
u64 region(const I& i) { return ((i.pc + 4) & 0xf0000000) | u64(i[index]); }
void jr(Mips& t, const I& i) { t.jump(t.r(i[rs]), i[rs] == 31 ? ir::ExitHint::ret : ir::ExitHint::jump); }
void jalr(Mips& t, const I& i) {
    t.jump(t.r(i[rs]), ir::ExitHint::call);
    t.link(i[rd]);
}

Val address(Mips& t, const I& i) { return t.r(i[rs]) + i[immediate]; }
template <Type T, bool Sign = false>
void load(Mips& t, const I& i) {
    t.r(i[rt], t.load(w, address(t, i), {.memory = T, .sign = Sign, .big = true, .align = ir::Align::natural}));
}
template <Type T>
void store(Mips& t, const I& i) {
    t.store(address(t, i), t.r(i[rt]).trunc(T), {.memory = T, .big = true, .align = ir::Align::natural});
}
// The bytes from the address to the end of its word (left), or from the word's start to the address (right).
template <bool Left>
void load_part(Mips& t, const I& i) {
    Val a = address(t, i), part = a & 3;
    Val word = t.load(w, a & ~i64{3}, {.memory = w, .big = true});
    Val n = (Left ? part : t.imm(3, w) - part).shl(3u);
    Val all = t.imm(0xffffffff, w);
    Val got = Left ? word.shl(n) : word.lshr(n), mask = Left ? all.shl(n) : all.lshr(n);
    t.r(i[rt], got | (t.r(i[rt]) & ~mask));
}
template <bool Left>
void store_part(Mips& t, const I& i) {
    for (u32 k = 0; k < 4; ++k) {
        // Left: byte k from the top goes to a + k; right: byte k from the bottom to a - k. All in the word of a.
        Val part = address(t, i) & 3, last = t.imm(k, w);
        t.when(Left ? part.ule(t.imm(3 - k, w)) : last.ule(part), [&] {
            Val v = t.r(i[rt]).lshr(Left ? 24 - 8 * k : 8 * k).trunc(Type::i8);
            t.store(address(t, i) + (Left ? i64(k) : -i64(k)), v, {.memory = Type::i8});
        });
    }
}
void trap_if_equal(Mips& t, const I& i) {
    t.when(t.r(i[rs]) == t.r(i[rt]), [&] { t.trap(ir::TrapKind::guest, t.pc(), t.imm(13)); });
}
void syscall(Mips& t, const I& i) { t.trap(ir::TrapKind::syscall, t.pc(), t.imm(u64(i[code]))); }
void break_(Mips& t, const I& i) { t.trap(ir::TrapKind::breakpoint, t.pc(), t.imm(u64(i[bcode]))); }

// clang-format off
constexpr R rows[] = {
    {"nop",                            "000000 00000 00000 00000 00000 000000",   [](Mips&, const I&) {}},
    {"sll {rd},{rt},{sa}",             "000000 00000 rt rd sa 000000",            shift<sll>},
    {"srl {rd},{rt},{sa}",             "000000 00000 rt rd sa 000010",            shift<srl>},
    {"sra {rd},{rt},{sa}",             "000000 00000 rt rd sa 000011",            shift<sra>},
    {"sllv {rd},{rt},{rs}",            "000000 rs rt rd 00000 000100",            shift_v<sll>},
    {"srlv {rd},{rt},{rs}",            "000000 rs rt rd 00000 000110",            shift_v<srl>},
    {"srav {rd},{rt},{rs}",            "000000 rs rt rd 00000 000111",            shift_v<sra>},
    {"jr {rs}",                        "000000 rs 00000 00000 00000 001000",      jr},
    {"jalr {rs}",                      "000000 rs 00000 11111 00000 001001",      jalr},
    {"jalr {rd},{rs}",                 "000000 rs 00000 rd 00000 001001",         jalr},
    {"syscall",                        "000000 00000000000000000000 001100",      [](Mips& t, const I&) { t.trap(ir::TrapKind::syscall, t.pc(), t.imm(0)); }},
    {"syscall {code}",                 "000000 code 001100",                      syscall},
    {"break",                          "000000 00000000000000000000 001101",      [](Mips& t, const I&) { t.trap(ir::TrapKind::breakpoint, t.pc(), t.imm(0)); }},
    {"break {bcode}",                  "000000 bcode 0000000000 001101",          break_},
    {"break {bcode},{tcode}",          "000000 bcode tcode 001101",               break_},
    {"sync",                           "000000 00000 00000 00000 00000 001111",   [](Mips& t, const I&) { t.fence(); }},
    {"mfhi {rd}",                      "000000 00000 00000 rd 00000 010000",      [](Mips& t, const I& i) { t.r(i[rd], t.hi()); }},
    {"mthi {rs}",                      "000000 rs 00000 00000 00000 010001",      [](Mips& t, const I& i) { t.hi(t.r(i[rs])); }},
    {"mflo {rd}",                      "000000 00000 00000 rd 00000 010010",      [](Mips& t, const I& i) { t.r(i[rd], t.lo()); }},
    {"mtlo {rs}",                      "000000 rs 00000 00000 00000 010011",      [](Mips& t, const I& i) { t.lo(t.r(i[rs])); }},
    {"mult {rs},{rt}",                 "000000 rs rt 00000 00000 011000",         multiply<true>},
    {"multu {rs},{rt}",                "000000 rs rt 00000 00000 011001",         multiply<false>},
    {"div zero,{rs},{rt}",             "000000 rs rt 00000 00000 011010",         divide<true>},
    {"divu zero,{rs},{rt}",            "000000 rs rt 00000 00000 011011",         divide<false>},
    {"add {rd},{rs},{rt}",             "000000 rs rt rd 00000 100000",            add_checked<false>},
    {"addu {rd},{rs},{rt}",            "000000 rs rt rd 00000 100001",            binary<addu>},
    {"sub {rd},{rs},{rt}",             "000000 rs rt rd 00000 100010",            add_checked<true>},
    {"subu {rd},{rs},{rt}",            "000000 rs rt rd 00000 100011",            binary<subu>},
    {"and {rd},{rs},{rt}",             "000000 rs rt rd 00000 100100",            binary<and_>},
    {"or {rd},{rs},{rt}",              "000000 rs rt rd 00000 100101",            binary<or_>},
    {"xor {rd},{rs},{rt}",             "000000 rs rt rd 00000 100110",            binary<xor_>},
    {"nor {rd},{rs},{rt}",             "000000 rs rt rd 00000 100111",            binary<nor>},
    {"slt {rd},{rs},{rt}",             "000000 rs rt rd 00000 101010",            binary<slt>},
    {"sltu {rd},{rs},{rt}",            "000000 rs rt rd 00000 101011",            binary<sltu>},
    {"teq {rs},{rt}",                  "000000 rs rt 0000000000 110100",          trap_if_equal},

    {"bltz {rs},{offset}",             "000001 rs 00000 offset",                  branch1<ltz>},
    {"bgez {rs},{offset}",             "000001 rs 00001 offset",                  branch1<gez>},
    {"bltzl {rs},{offset}",            "000001 rs 00010 offset",                  branch1<ltz, true>},
    {"bgezl {rs},{offset}",            "000001 rs 00011 offset",                  branch1<gez, true>},
    {"bltzal {rs},{offset}",           "000001 rs 10000 offset",                  branch_link<ltz>},
    {"bgezal {rs},{offset}",           "000001 rs 10001 offset",                  branch_link<gez>},

    {"j {index}",                      "000010 index",                            [](Mips& t, const I& i) { t.jump(region(i), ir::ExitHint::jump); }},
    {"jal {index}",                    "000011 index",                            [](Mips& t, const I& i) { t.link(31), t.jump(region(i), ir::ExitHint::call); }},
    {"beq {rs},{rt},{offset}",         "000100 rs rt offset",                     branch2<eq>},
    {"bne {rs},{rt},{offset}",         "000101 rs rt offset",                     branch2<ne>},
    {"blez {rs},{offset}",             "000110 rs 00000 offset",                  branch1<lez>},
    {"bgtz {rs},{offset}",             "000111 rs 00000 offset",                  branch1<gtz>},
    {"addi {rt},{rs},{immediate}",     "001000 rs rt immediate",                  addi},
    {"addiu {rt},{rs},{immediate}",    "001001 rs rt immediate",                  with_immediate<addu>},
    {"slti {rt},{rs},{immediate}",     "001010 rs rt immediate",                  with_immediate<slt>},
    {"sltiu {rt},{rs},{immediate}",    "001011 rs rt immediate",                  with_immediate<sltu>},
    {"andi {rt},{rs},{unsigned}",      "001100 rs rt unsigned",                   with_immediate<and_, unsigned_>},
    {"ori {rt},{rs},{unsigned}",       "001101 rs rt unsigned",                   with_immediate<or_, unsigned_>},
    {"xori {rt},{rs},{unsigned}",      "001110 rs rt unsigned",                   with_immediate<xor_, unsigned_>},
    {"lui {rt},{unsigned}",            "001111 00000 rt unsigned",                [](Mips& t, const I& i) { t.r(i[rt], t.imm(u64(i[unsigned_]) << 16, w)); }},
    {"beql {rs},{rt},{offset}",        "010100 rs rt offset",                     branch2<eq, true>},
    {"bnel {rs},{rt},{offset}",        "010101 rs rt offset",                     branch2<ne, true>},
    {"blezl {rs},{offset}",            "010110 rs 00000 offset",                  branch1<lez, true>},
    {"bgtzl {rs},{offset}",            "010111 rs 00000 offset",                  branch1<gtz, true>},

    {"lb {rt},{immediate}({rs})",      "100000 rs rt immediate",                  load<Type::i8, true>},
    {"lh {rt},{immediate}({rs})",      "100001 rs rt immediate",                  load<Type::i16, true>},
    {"lwl {rt},{immediate}({rs})",     "100010 rs rt immediate",                  load_part<true>},
    {"lw {rt},{immediate}({rs})",      "100011 rs rt immediate",                  load<Type::i32>},
    {"lbu {rt},{immediate}({rs})",     "100100 rs rt immediate",                  load<Type::i8>},
    {"lhu {rt},{immediate}({rs})",     "100101 rs rt immediate",                  load<Type::i16>},
    {"lwr {rt},{immediate}({rs})",     "100110 rs rt immediate",                  load_part<false>},
    {"sb {rt},{immediate}({rs})",      "101000 rs rt immediate",                  store<Type::i8>},
    {"sh {rt},{immediate}({rs})",      "101001 rs rt immediate",                  store<Type::i16>},
    {"swl {rt},{immediate}({rs})",     "101010 rs rt immediate",                  store_part<true>},
    {"sw {rt},{immediate}({rs})",      "101011 rs rt immediate",                  store<Type::i32>},
    {"swr {rt},{immediate}({rs})",     "101110 rs rt immediate",                  store_part<false>},
};
// clang-format on

} // namespace

constinit const Table<Be32> be32{"MIPS II", 0, rows};

} // namespace mimic::isa::test_be32
