// s390x, a few rows: formats of 2, 4 and 6 bytes with base, index and displacement, and the condition code.
// z/Architecture Principles of Operation (SA22-7832-12), chapter 5 (formats), 7 (general instructions). 64-bit
// addressing only; access registers and operand access by key are not there.
#include "isa/pattern_guest.hpp"

namespace mimic::isa::s390x {

using ir::Type;
using ir::Val;

extern const ir::GuestState state_s390x;

namespace {

constexpr u16 slot_r = 0, slot_cc = 16, slot_k = 17, slot_count = 18;

class Z : public ir::Builder {
public:
    explicit Z(ir::Unit& unit) : Builder(unit, state_s390x) {}
    Val r(i64 n) { return get(u16(slot_r + n), Type::i64); }
    void r(i64 n, Val v) { put(u16(slot_r + n), v); } // a 32-bit value: the low half only
    Val w(i64 n) { return r(n).trunc(Type::i32); }
    void cc(Val v) { put(slot_cc, v); }
    // Base and index 0 mean none.
    Val address(i64 x, i64 b, i64 d) {
        Val a = b ? r(b) : Val{};
        if (x) a = a ? a + r(x) : r(x);
        return a ? a + d : imm(u64(d));
    }
};

// The manual numbers bits from the left.
constexpr Slice bits(u32 first, u32 last) { return {u8(63 - last), u8(last - first + 1)}; }

constexpr Field r1{"r1", Kind::bits, {bits(8, 11)}}, r2{"r2", Kind::bits, {bits(12, 15)}},
    m1{"m1", Kind::bits, {bits(8, 11)}}, x2{"x2", Kind::bits, {bits(12, 15)}}, b2{"b2", Kind::bits, {bits(16, 19)}},
    d2{"d2", Kind::bits, {bits(20, 31)}}, dl_dh2{"dl_dh2", Kind::integer, {bits(32, 39), bits(20, 31)}},
    ri2{"ri2", Kind::pcrel, {bits(16, 31)}, 1}, i2{"i2", Kind::integer, {bits(16, 47)}},
    l{"l", Kind::bits, {bits(8, 15)}, 0, 1}, b1{"b1", Kind::bits, {bits(16, 19)}}, d1{"d1", Kind::bits, {bits(20, 31)}},
    sb2{"sb2", Kind::bits, {bits(32, 35)}}, sd2{"sd2", Kind::bits, {bits(36, 47)}},
    svc{"svc", Kind::bits, {bits(8, 15)}};

struct S390x {
    using Ir = Z;
    struct Context {};
    static Context context(u32) { return {}; }
    static void illegal(Z& t) { t.trap(ir::TrapKind::illegal, t.pc()); }
    static constexpr Layout layout{.unit = 2, .big = true, .first_is_high = true, .left_aligned = true};
    // 5: bits 0 and 1 of the operation code tell.
    static u32 length(u64 half, const Context&) { return half < 0x4000 ? 2 : half < 0xc000 ? 4 : 6; }
    static constexpr std::array fields{&r1, &r2, &m1, &x2, &b2,  &d2,  &dl_dh2, &ri2,
                                       &i2, &l,  &b1, &d1, &sb2, &sd2, &svc};
    static constexpr std::array<std::string_view, 7> operand_names{"r1", "r2", "rx", "rxy", "ss1", "ss2", "m1"};
    static const std::array<Operand<S390x>, 7> operands;
};

using I = Insn<S390x>;
using R = Row<S390x>;

// 0 zero, 1 negative, 2 positive, 3 overflow
Val signed_cc(Z& t, Val sum, Val overflow) {
    Type c = Type::i8;
    Val sign = sum.slt(t.imm(0, sum.type())).select(t.imm(1, c), (sum == 0).select(t.imm(0, c), t.imm(2, c)));
    return overflow.select(t.imm(3, c), sign);
}
void ar(Z& t, const I& i) {
    Val a = t.w(i[r1]), b = t.w(i[r2]), sum = a + b;
    t.r(i[r1], sum);
    t.cc(signed_cc(t, sum, ((a ^ sum) & (b ^ sum)).slt(t.imm(0, Type::i32))));
}
template <Type T, const Field& D>
void load(Z& t, const I& i) {
    t.r(i[r1], t.load(T, t.address(i[x2], i[b2], i[D]), {.memory = T, .big = true}));
}
void stg(Z& t, const I& i) {
    t.store(t.address(i[x2], i[b2], i[dl_dh2]), t.r(i[r1]), {.memory = Type::i64, .big = true});
}
// The mask has one bit a condition code, the leftmost for 0.
void brc(Z& t, const I& i) {
    Val hit = t.imm(u64(i[m1]), Type::i8).shl(t.get(slot_cc, Type::i8)) & 8;
    t.branch_to(hit != 0, t.pc() + u64(i[ri2]), t.next_pc());
}
void brct(Z& t, const I& i) {
    Val n = t.w(i[r1]) - 1;
    t.r(i[r1], n);
    t.branch_to(n != 0, t.pc() + u64(i[ri2]), t.next_pc());
}
// A byte at a time from the left, so that overlapping operands propagate; both are tested before the first.
void mvc(Z& t, const I& i) {
    Val length = t.imm(u64(i[l]));
    t.probe(t.address(0, i[sb2], i[sd2]), length, false);
    t.probe(t.address(0, i[b1], i[d1]), length, true);
    t.put(slot_k, t.imm(0));
    ir::BlockId loop = t.new_block(), done = t.new_block();
    t.br(loop);
    t.start_block(loop);
    Val k = t.get(slot_k, Type::i64);
    Val v = t.load(Type::i8, t.address(0, i[sb2], i[sd2]) + k, {.memory = Type::i8});
    t.store(t.address(0, i[b1], i[d1]) + k, v, {.memory = Type::i8});
    t.put(slot_k, k + 1);
    t.brcond((k + 1).ult(t.imm(u64(i[l]))), loop, done);
    t.start_block(done);
}

// clang-format off
constexpr R rows[] = {
    {"svc {svc}",            "00001010 svc",                           [](Z& t, const I& i) { t.trap(ir::TrapKind::syscall, t.pc(), t.imm(u64(i[svc]))); }},
    {"ar {r1},{r2}",         "00011010 r1 r2",                         ar},
    {"l {r1},{rx}",          "01011000 r1 x2 b2 d2",                   load<Type::i32, d2>},
    {"j{m1} {ri2}",          "10100111 m1 0100 ri2",                   brc},
    {"brct {r1},{ri2}",      "10100111 r1 0110 ri2",                   brct},
    {"lgfi {r1},{i2}",       "11000000 r1 0001 i2",                    [](Z& t, const I& i) { t.r(i[r1], t.imm(u64(i[i2]))); }},
    {"mvc {ss1},{ss2}",      "11010010 l b1 d1 sb2 sd2",               mvc},
    {"lg {r1},{rxy}",        "11100011 r1 x2 b2 dl_dh2 00000100",      load<Type::i64, dl_dh2>},
    {"stg {r1},{rxy}",       "11100011 r1 x2 b2 dl_dh2 00100100",      stg},
};
// clang-format on

// ---- text, as binutils prints it

bool parse_register(Cursor& in, i64& n) { return in.eat("%r") && in.number(n) && n >= 0 && n < 16; }

template <const Field& F>
constexpr Operand<S390x> reg{[](std::string& out, const I& i) { out += fmt::format("%r{}", i[F]); },
                             [](Cursor& in, I& i) {
                                 i64 n;
                                 return parse_register(in, n) && (i.set(F, n), true);
                             }};
// "8(%r2,%r3)", "8(%r3)", "8", and with a length "8(5,%r3)"
void print_address(std::string& out, i64 d, std::string first, i64 b) {
    out += std::to_string(d);
    if (b) first += fmt::format("{}%r{}", first.empty() ? "" : ",", b);
    if (!first.empty()) out += fmt::format("({})", first);
}
template <const Field& D>
constexpr Operand<S390x> indexed{[](std::string& out, const I& i) {
                                     std::string x = i[x2] ? fmt::format("%r{}", i[x2]) : "";
                                     if (i[x2] && !i[b2]) x += ",%r0"; // "(%r2)" would be the base
                                     print_address(out, i[D], x, i[b2]);
                                 },
                                 [](Cursor& in, I& i) {
                                     i64 d, first = 0, second = 0;
                                     if (!in.number(d) || !D.fits(d)) return false;
                                     i.set(D, d);
                                     if (!in.eat('(')) return true;
                                     if (!parse_register(in, first)) return false;
                                     bool two = in.eat(',');
                                     if (two && !parse_register(in, second)) return false;
                                     i.set(x2, two ? first : 0);
                                     i.set(b2, two ? second : first);
                                     return in.eat(')');
                                 }};
constexpr Operand<S390x> with_length{
    [](std::string& out, const I& i) { out += fmt::format("{}({},%r{})", i[d1], i[l], i[b1]); },
    [](Cursor& in, I& i) {
        i64 d, n, b = 0;
        if (!in.number(d) || !d1.fits(d) || !in.eat('(') || !in.number(n) || n < 1 || n > 256) return false;
        if (!in.eat(',') || !parse_register(in, b)) return false;
        i.set(d1, d), i.set(l, n), i.set(b1, b);
        return in.eat(')');
    }};
constexpr Operand<S390x> based{[](std::string& out, const I& i) { print_address(out, i[sd2], "", i[sb2]); },
                               [](Cursor& in, I& i) {
                                   i64 d, b = 0;
                                   if (!in.number(d) || !sd2.fits(d)) return false;
                                   i.set(sd2, d);
                                   if (!in.eat('(')) return true;
                                   if (!parse_register(in, b)) return false;
                                   i.set(sb2, b);
                                   return in.eat(')');
                               }};
constexpr std::string_view masks[16] = {"nop", "o",   "h",  "nle", "l",  "nhe", "lh", "ne",
                                        "e",   "nlh", "he", "nl",  "le", "nh",  "no", ""};
constexpr Operand<S390x> mask{[](std::string& out, const I& i) { out += masks[i[m1]]; },
                              [](Cursor& in, I& i) {
                                  std::string_view w = in.word();
                                  for (i64 n = 0; n < 16; ++n)
                                      if (masks[n] == w) return i.set(m1, n), true;
                                  return false;
                              }};

using ir::Slot;
constexpr Slot slots[slot_count] = {{"r0", 0, Type::i64},
                                    {"r1", 8, Type::i64},
                                    {"r2", 16, Type::i64},
                                    {"r3", 24, Type::i64},
                                    {"r4", 32, Type::i64},
                                    {"r5", 40, Type::i64},
                                    {"r6", 48, Type::i64},
                                    {"r7", 56, Type::i64},
                                    {"r8", 64, Type::i64},
                                    {"r9", 72, Type::i64},
                                    {"r10", 80, Type::i64},
                                    {"r11", 88, Type::i64},
                                    {"r12", 96, Type::i64},
                                    {"r13", 104, Type::i64},
                                    {"r14", 112, Type::i64},
                                    {"r15", 120, Type::i64},
                                    {"cc", 128, Type::i8, ir::SlotClass::flag},
                                    {"k", 136, Type::i64, ir::SlotClass::temp}};

class S390xGuest final : public PatternGuest<S390x> {
public:
    using PatternGuest::PatternGuest;
    std::string_view name() const override { return "shape-s390x"; }
    std::string_view model() const override { return "z13"; }
    const ir::GuestState& state() const override { return state_s390x; }
    u32 min_insn_bytes() const override { return 2; }
    u32 max_insn_bytes() const override { return 6; }
    bool big_endian() const override { return true; }
    std::unique_ptr<FrontEnd> front_end(ir::Unit& unit) const override {
        return std::make_unique<PatternFrontEnd<S390x>>(decoder(), unit);
    }
};

constinit const std::array<Operand<S390x>, 7> S390x::operands{reg<r1>,     reg<r2>, indexed<d2>, indexed<dl_dh2>,
                                                              with_length, based,   mask};

} // namespace

constinit const ir::GuestState state_s390x{"shape-s390x", slots, 144};

std::unique_ptr<Guest> make();
std::unique_ptr<Guest> make() {
    const Table<S390x> table{"z", 0, rows};
    return std::make_unique<S390xGuest>(Decoder<S390x>({&table, 1}, [](u32) { return true; }));
}

} // namespace mimic::isa::s390x
