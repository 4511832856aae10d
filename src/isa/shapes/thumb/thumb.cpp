// Thumb-2, a few rows: 16 and 32 bits, and IT, whose state decides how the next instructions decode, print and act.
// Arm Architecture Reference Manual, ARMv7-A and ARMv7-R edition (DDI 0406C.d), A6, A8.8; ITSTATE: A2.5.2.
#include "isa/pattern_guest.hpp"

namespace mimic::isa::thumb {

using ir::Type;
using ir::Val;

extern const ir::GuestState state_thumb;

namespace {

inline constexpr u16 slot_r = 0, slot_nzcv = 16, slot_count = 17;

class T2 : public ir::Builder {
public:
    explicit T2(ir::Unit& unit) : Builder(unit, state_thumb) {}
    Val r(i64 n) { return n == 15 ? imm(pc() + 4, Type::i32) : get(u16(slot_r + n), Type::i32); }
    void r(i64 n, Val v) { put(u16(slot_r + n), v); }
    Val nzcv() { return get(slot_nzcv, Type::flags); }
    void nzcv(Val f) { put(slot_nzcv, f); }
};

// ITSTATE: bits 7..4 the condition of this instruction, bits 3..0 say how many follow.
struct It {
    u8 state = 0;
    bool inside() const { return (state & 15) != 0; }
    bool last() const { return (state & 15) == 8; }
    u32 cond() const { return inside() ? state >> 4u : 14; }
    u8 next() const { return (state & 7) == 0 ? 0 : u8((state & 0xe0) | (state << 1 & 0x1f)); }
};

constexpr Field rd{"rd", Kind::bits, {{48, 3}}}, rn{"rn", Kind::bits, {{51, 3}}}, rm{"rm", Kind::bits, {{54, 3}}},
    rdn{"rdn", Kind::bits, {{56, 3}}}, imm8{"imm8", Kind::bits, {{48, 8}}}, imm5{"imm5", Kind::bits, {{54, 5}}, 2},
    imm11{"imm11", Kind::pcrel, {{48, 11}}, 1, 4}, disp8{"disp8", Kind::pcrel, {{48, 8}}, 1, 4},
    cond{"cond", Kind::bits, {{56, 4}}}, block{"block", Kind::bits, {{48, 8}}}, // firstcond:mask
    rn_w{"rn_w", Kind::bits, {{48, 4}}}, rd_w{"rd_w", Kind::bits, {{40, 4}}}, rm_w{"rm_w", Kind::bits, {{32, 4}}};

struct Thumb {
    using Ir = T2;
    using Context = It;
    static Context context(u32 mode) { return {u8(mode)}; }
    static u32 next_mode(u32 mode, const Insn<Thumb>& i);
    static void illegal(T2& t) { t.trap(ir::TrapKind::illegal, t.pc()); }
    // An instruction of an IT block acts when its condition holds.
    static void emit(T2& t, const Insn<Thumb>& i);
    static constexpr u32 address_bits = 32;
    static constexpr Layout layout{.unit = 2, .big = false, .first_is_high = true, .left_aligned = true};
    // A6.1
    static u32 length(u64 half, const Context&) { return half >> 11 >= 0x1d ? 4 : 2; }
    static constexpr std::array fields{&rd,   &rn,    &rm,   &rdn,  &imm8, &imm5, &imm11,
                                       &cond, &block, &rn_w, &rd_w, &rm_w, &disp8};
    static constexpr std::array<std::string_view, 7> operand_names{"c", "sc", "block", "cond", "rn_w", "rd_w", "rm_w"};
    static const std::array<Operand<Thumb>, 7> operands;
};

using I = Insn<Thumb>;
using R = Row<Thumb>;

bool is_it(const I& i) { return (i.bits >> 56) == 0xbf && i[block] & 15; }

// A8.3. CS is the C bit as it stands; HI is C and not Z, where the IR's `ugt` means no borrow and not Z.
Val holds(T2& t, u32 c) {
    using ir::Cond;
    constexpr Cond table[] = {Cond::z, Cond::c, Cond::n, Cond::v, Cond::ugt, Cond::sge, Cond::sgt};
    Cond k = table[c >> 1];
    return t.cond(c & 1 ? negate(k) : k, t.nzcv(), k == Cond::ugt);
}

void add(T2& t, const I& i) {
    Val a = t.r(i[rn]), b = t.r(i[rm]);
    t.r(i[rd], a + b);
    if (!i.context.inside()) t.nzcv(t.flags_add(a, b));
}
template <bool Set>
void add_wide(T2& t, const I& i) {
    Val a = t.r(i[rn_w]), b = t.r(i[rm_w]);
    t.r(i[rd_w], a + b);
    if (Set) t.nzcv(t.flags_add(a, b));
}
void mov(T2& t, const I& i) {
    Val v = t.imm(u64(i[imm8]), Type::i32);
    t.r(i[rdn], v);
    if (!i.context.inside()) t.nzcv(t.flags_merge(t.nzcv(), t.flags_logic(v), ir::flag::n | ir::flag::z));
}
void cmp(T2& t, const I& i) { t.nzcv(t.flags_sub(t.r(i[rdn]), t.imm(u64(i[imm8]), Type::i32), {}, true)); }
void ldr(T2& t, const I& i) { t.r(i[rd], t.load(Type::i32, t.r(i[rn]) + i[imm5], {.memory = Type::i32})); }
void b(T2& t, const I& i) { t.goto_pc((t.pc() + u64(i[imm11])) & 0xffffffff); }
void b_cond(T2& t, const I& i) {
    t.branch_to(holds(t, u32(i[cond])), (t.pc() + u64(i[disp8])) & 0xffffffff, t.next_pc());
}

bool last_or_outside(const I& i) { return !i.context.inside() || i.context.last(); }
bool outside(const I& i) { return !i.context.inside() && i[cond] < 14; }
// A8.8.54: no block inside a block, no "never", and "always" has no else.
bool it_block(const I& i) {
    i64 mask = i[block] & 15, first = i[block] >> 4;
    return !i.context.inside() && mask && first != 15 && (first != 14 || (mask & (mask - 1)) == 0);
}
bool wide_registers(const I& i) {
    auto general = [](i64 n) { return n != 13 && n != 15; };
    return general(i[rd_w]) && general(i[rn_w]) && general(i[rm_w]);
}

// clang-format off
constexpr R rows[] = {
    {"add{sc} r{rd}, r{rn}, r{rm}",           "0001100 rm rn rd",                                add},
    {"mov{sc} r{rdn}, #{imm8}",               "00100 rdn imm8",                                  mov},
    {"cmp{c} r{rdn}, #{imm8}",                "00101 rdn imm8",                                  cmp},
    {"ldr{c} r{rd}, [r{rn}, #{imm5}]",        "01101 imm5 rn rd",                                ldr},
    {"it{block}",                             "1011 1111 block",                                 [](T2&, const I&) {}, it_block},
    {"b{cond}.n {disp8}",                     "1101 cond disp8",                                 b_cond, outside},
    {"svc{c} {imm8}",                         "1101 1111 imm8",                                  [](T2& t, const I&) { t.trap(ir::TrapKind::syscall, t.pc()); }},
    {"b{c}.n {imm11}",                        "11100 imm11",                                     b, last_or_outside},
    {"add{c}.w {rd_w}, {rn_w}, {rm_w}",       "1110101 1000 0 rn_w 0 000 rd_w 00 00 rm_w",       add_wide<false>, wide_registers},
    {"adds{c}.w {rd_w}, {rn_w}, {rm_w}",      "1110101 1000 1 rn_w 0 000 rd_w 00 00 rm_w",       add_wide<true>, wide_registers},
};
// clang-format on

constexpr std::string_view cond_names[] = {"eq", "ne", "cs", "cc", "mi", "pl", "vs", "vc",
                                           "hi", "ls", "ge", "lt", "gt", "le", "al"};
constexpr std::string_view reg_names[] = {"r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7",
                                          "r8", "r9", "sl", "fp", "ip", "sp", "lr", "pc"};

bool parse_cond(Cursor& in, i64& c) {
    for (c = 0; c < 15; ++c)
        if (in.eat(cond_names[c])) return true;
    return false;
}

// The condition of the IT block around; nothing outside.
void print_c(std::string& out, const I& i) {
    if (i.context.inside() && i.context.cond() < 14) out += cond_names[i.context.cond()];
}
bool parse_c(Cursor& in, I& i) {
    return !i.context.inside() || i.context.cond() == 14 || in.eat(cond_names[i.context.cond()]);
}
void print_block(std::string& out, const I& i) {
    i64 first = i[block] >> 4, mask = i[block] & 15;
    for (i64 k = 3; mask & ((1 << k) - 1); --k) out += (mask >> k & 1) == (first & 1) ? 't' : 'e';
    out += fmt::format(" {}", cond_names[first]);
}
bool parse_block(Cursor& in, I& i) {
    std::string_view then = in.word();
    in.skip_spaces();
    i64 first;
    if (then.size() > 3 || !parse_cond(in, first)) return false;
    i64 mask = 8 >> then.size(), k = 3;
    for (char c : then) {
        if (c != 't' && c != 'e') return false;
        mask |= i64((c == 't') == ((first & 1) != 0)) << k--;
    }
    i.set(block, first << 4 | mask);
    return true;
}

template <const Field& F>
constexpr Operand<Thumb> high_register{[](std::string& out, const I& i) { out += reg_names[i[F]]; },
                                       [](Cursor& in, I& i) {
                                           std::string_view w = in.word();
                                           for (i64 n = 0; n < 16; ++n)
                                               if (reg_names[n] == w) return i.set(F, n), true;
                                           return false;
                                       }};

using ir::Slot;
using ir::SlotClass;
constexpr Slot slots[slot_count] = {{"r0", 0, Type::i32},
                                    {"r1", 4, Type::i32},
                                    {"r2", 8, Type::i32},
                                    {"r3", 12, Type::i32},
                                    {"r4", 16, Type::i32},
                                    {"r5", 20, Type::i32},
                                    {"r6", 24, Type::i32},
                                    {"r7", 28, Type::i32},
                                    {"r8", 32, Type::i32},
                                    {"r9", 36, Type::i32},
                                    {"r10", 40, Type::i32},
                                    {"r11", 44, Type::i32},
                                    {"r12", 48, Type::i32},
                                    {"sp", 52, Type::i32},
                                    {"lr", 56, Type::i32},
                                    {"pc", 60, Type::i32},
                                    {"nzcv", 64, Type::flags, SlotClass::flag}};

class ThumbGuest final : public PatternGuest<Thumb> {
public:
    using PatternGuest::PatternGuest;
    std::string_view name() const override { return "shape-thumb"; }
    std::string_view model() const override { return "v7"; }
    const ir::GuestState& state() const override { return state_thumb; }
    u32 min_insn_bytes() const override { return 2; }
    u32 max_insn_bytes() const override { return 4; }
    u32 address_bits() const override { return 32; }
    std::unique_ptr<FrontEnd> front_end(ir::Unit& unit) const override {
        return std::make_unique<PatternFrontEnd<Thumb>>(decoder(), unit);
    }
};

u32 Thumb::next_mode(u32, const I& i) { return is_it(i) && i.length == 2 ? u32(i[block]) : i.context.next(); }
void Thumb::emit(T2& t, const I& i) {
    if (i.context.cond() == 14) return i.row->emit(t, i);
    t.when(holds(t, i.context.cond()), [&] { i.row->emit(t, i); });
}

constinit const std::array<Operand<Thumb>, 7> Thumb::operands{
    Operand<Thumb>{print_c, parse_c},
    // 16-bit data processing sets flags outside IT blocks alone: "adds", "addeq"
    Operand<Thumb>{[](std::string& out, const I& i) { i.context.inside() ? print_c(out, i) : out.push_back('s'); },
                   [](Cursor& in, I& i) { return i.context.inside() ? parse_c(in, i) : in.eat('s'); }},
    Operand<Thumb>{print_block, parse_block},
    Operand<Thumb>{[](std::string& out, const I& i) { out += cond_names[i[cond]]; },
                   [](Cursor& in, I& i) {
                       i64 c;
                       return parse_cond(in, c) && (i.set(cond, c), true);
                   }},
    high_register<rn_w>, high_register<rd_w>, high_register<rm_w>};

} // namespace

constinit const ir::GuestState state_thumb{"shape-thumb", slots, 68};

std::unique_ptr<Guest> make();
std::unique_ptr<Guest> make() {
    const Table<Thumb> table{"v7", 0, rows};
    return std::make_unique<ThumbGuest>(Decoder<Thumb>({&table, 1}, [](u32) { return true; }));
}

} // namespace mimic::isa::thumb
