// SPARC V8, a few rows: delay slots that a branch may annul, and register windows.
// The SPARC Architecture Manual, Version 8 (SAV080SI9308), chapter 5 and appendix B. Eight windows; floating point,
// traps' own windows and the Y register are not there.
//
// A pair (pc, npc) is state here: mode bit 0 says that npc, in its slot, is not pc + 4. A branch sets npc and takes its
// delay slot along under mode 1, so that a fault in the slot leaves pc, npc and mode as the manual wants them, and
// whoever goes on there translates the slot alone.
#include "isa/pattern_guest.hpp"

namespace mimic::isa::sparc {

using ir::Type;
using ir::Val;

extern const ir::GuestState state_sparc;

namespace {

constexpr u32 windows = 8;
// r0..r31 are the current window's; the bank holds the ins and locals of the others.
constexpr u16 slot_r = 0, slot_icc = 32, slot_npc = 33, slot_cwp = 34, slot_wim = 35, slot_taken = 36, slot_target = 37,
              slot_bank = 38, slot_count = slot_bank + windows * 16;
constexpr u32 mode_npc = 1; // npc is not pc + 4

// What a control transfer leaves to the front end.
struct Delayed {
    enum { none, always, conditional, value } kind = none;
    bool annul = false;
    u64 target = 0;
    ir::ExitHint hint = ir::ExitHint::jump;
};

class Sp : public ir::Builder {
public:
    explicit Sp(ir::Unit& unit) : Builder(unit, state_sparc) {}
    Val r(i64 n) { return n == 0 ? imm(0, Type::i32) : get(u16(slot_r + n), Type::i32); }
    void r(i64 n, Val v) {
        if (n != 0) put(u16(slot_r + n), v);
    }
    Val npc() { return get(slot_npc, Type::i32); }
    void npc(Val v) { put(slot_npc, v); }

    // In the other windows: word k (0..7 locals, 8..15 ins) of window w.
    Val bank(Val w, u32 k) { return get_index(slot_bank, word(w, k), windows * 16, Type::i32, 4); }
    void bank(Val w, u32 k, Val v) { put_index(slot_bank, word(w, k), windows * 16, v, 4); }

    Delayed delayed;

private:
    static Val word(Val w, u32 k) { return (w.zext(Type::i64).shl(4u) | i64(k)); }
};

constexpr Field rd{"rd", Kind::bits, {{25, 5}}}, rs1{"rs1", Kind::bits, {{14, 5}}}, rs2{"rs2", Kind::bits, {{0, 5}}},
    simm13{"simm13", Kind::integer, {{0, 13}}}, disp22{"disp22", Kind::pcrel, {{0, 22}}, 2},
    disp30{"disp30", Kind::pcrel, {{0, 30}}, 2}, a{"a", Kind::bits, {{29, 1}}}, cond{"cond", Kind::bits, {{25, 4}}},
    trap{"trap", Kind::bits, {{0, 7}}};

struct Sparc {
    using Ir = Sp;
    struct Context {};
    static Context context(u32) { return {}; }
    static void illegal(Sp& t) { t.trap(ir::TrapKind::illegal, t.pc()); }
    static constexpr u32 address_bits = 32;
    static constexpr Layout layout{.unit = 4, .big = true};
    static u32 length(u64, const Context&) { return 4; }
    static constexpr std::array fields{&rd, &rs1, &rs2, &simm13, &disp22, &disp30, &a, &cond, &trap};
    static constexpr std::array<std::string_view, 7> operand_names{"rd", "rs1", "rs2", "a", "cond", "at_i", "at_r"};
    static const std::array<Operand<Sparc>, 7> operands;
};

using I = Insn<Sparc>;
using R = Row<Sparc>;

// The second operand: a register, or a constant.
template <bool Imm>
Val operand2(Sp& t, const I& i) {
    return Imm ? t.imm(u64(i[simm13]), Type::i32) : t.r(i[rs2]);
}
template <bool Imm>
Val address(Sp& t, const I& i) {
    return t.r(i[rs1]) + operand2<Imm>(t, i);
}

template <bool Imm>
void add(Sp& t, const I& i) {
    t.r(i[rd], address<Imm>(t, i));
}
template <bool Imm>
void subcc(Sp& t, const I& i) {
    Val x = t.r(i[rs1]), y = operand2<Imm>(t, i);
    t.r(i[rd], x - y);
    t.put(slot_icc, t.flags_sub(x, y));
}
template <bool Imm>
void ld(Sp& t, const I& i) {
    t.r(i[rd], t.load(Type::i32, address<Imm>(t, i), {.memory = Type::i32, .big = true, .align = ir::Align::natural}));
}
template <bool Imm>
void st(Sp& t, const I& i) {
    t.store(address<Imm>(t, i), t.r(i[rd]), {.memory = Type::i32, .big = true, .align = ir::Align::natural});
}

// B.20: the sum is of the old window's registers, its destination is in the new one. The new window's ins are the old
// outs (save) or its outs the old ins (restore); what leaves goes to the bank, what comes is read from it.
template <bool Imm, bool Save>
void window(Sp& t, const I& i) {
    auto next_window = [&] { return (t.get(slot_cwp, Type::i32) + (Save ? i64{-1} : 1)) & i64(windows - 1); };
    t.when((t.get(slot_wim, Type::i32).lshr(next_window()) & 1) != 0,
           [&] { t.trap(ir::TrapKind::guest, t.pc(), t.imm(Save ? 5 : 6)); }); // window overflow, underflow
    Val sum = address<Imm>(t, i), old = t.get(slot_cwp, Type::i32), now = next_window();
    Val beyond = (now - 1) & i64(windows - 1); // its ins are the new outs
    for (u32 k = 0; k < 8; ++k) {
        t.bank(old, k, t.r(16 + k));
        Val in = t.r(24 + k), out = t.r(8 + k);
        if (Save) {
            t.bank(old, 8 + k, in);
            t.r(24 + k, out);
            t.r(8 + k, t.bank(beyond, 8 + k));
        } else {
            t.bank((old - 1) & i64(windows - 1), 8 + k, out);
            t.r(8 + k, in);
            t.r(24 + k, t.bank(now, 8 + k));
        }
        t.r(16 + k, t.bank(now, k));
    }
    t.put(slot_cwp, now);
    t.r(i[rd], sum);
}

void bicc(Sp& t, const I& i) {
    using ir::Cond;
    // 0..7; 8 more negates
    constexpr Cond table[8] = {Cond::z, Cond::z, Cond::sle, Cond::slt, Cond::ule, Cond::c, Cond::n, Cond::v};
    u64 target = (t.pc() + u64(i[disp22])) & 0xffffffff;
    u32 c = u32(i[cond]);
    t.delayed = {.kind = Delayed::conditional, .annul = i[a] != 0, .target = target};
    if (c % 8 == 0) {
        t.delayed.kind = Delayed::always;
        if (c == 0) t.delayed.target = t.pc() + 8;
        return;
    }
    Cond k = table[c % 8];
    t.put(slot_taken, t.cond(c >= 8 ? negate(k) : k, t.get(slot_icc, Type::flags)));
}
void call(Sp& t, const I& i) {
    t.r(15, t.imm(t.pc(), Type::i32));
    t.delayed = {.kind = Delayed::always, .target = (t.pc() + u64(i[disp30])) & 0xffffffff, .hint = ir::ExitHint::call};
}
template <bool Imm>
void jmpl(Sp& t, const I& i) {
    Val target = address<Imm>(t, i);
    t.when((target & 3) != 0, [&] { t.trap(ir::TrapKind::misaligned_fetch, t.pc()); });
    t.put(slot_target, address<Imm>(t, i)); // values end with a block: computed again
    t.r(i[rd], t.imm(t.pc(), Type::i32));
    t.delayed = {.kind = Delayed::value,
                 .hint = i[rd] == 15                    ? ir::ExitHint::call
                         : i[rs1] == 15 || i[rs1] == 31 ? ir::ExitHint::ret
                                                        : ir::ExitHint::jump};
}

// clang-format off
constexpr R rows[] = {
    {"nop",                            "00 00000 100 0000000000000000000000",          [](Sp&, const I&) {}},
    {"b{cond}{a} {disp22}",            "00 a cond 010 disp22",                         bicc},
    {"call {disp30}",                  "01 disp30",                                    call},
    {"add {rs1}, {rs2}, {rd}",         "10 rd 000000 rs1 0 ........ rs2",              add<false>},
    {"add {rs1}, {simm13}, {rd}",      "10 rd 000000 rs1 1 simm13",                    add<true>},
    {"cmp {rs1}, {rs2}",               "10 00000 010100 rs1 0 ........ rs2",           subcc<false>},
    {"cmp {rs1}, {simm13}",            "10 00000 010100 rs1 1 simm13",                 subcc<true>},
    {"subcc {rs1}, {rs2}, {rd}",       "10 rd 010100 rs1 0 ........ rs2",              subcc<false>},
    {"subcc {rs1}, {simm13}, {rd}",    "10 rd 010100 rs1 1 simm13",                    subcc<true>},
    {"retl",                           "10 00000 111000 01111 1 0000000001000",        jmpl<true>},
    {"ret",                            "10 00000 111000 11111 1 0000000001000",        jmpl<true>},
    {"jmp {at_i}",                     "10 00000 111000 rs1 1 simm13",                 jmpl<true>},
    {"jmpl {at_i}, {rd}",              "10 rd 111000 rs1 1 simm13",                    jmpl<true>},
    {"ta {trap}",                      "10 01000 111010 00000 1 000000 trap",          [](Sp& t, const I& i) { t.trap(ir::TrapKind::syscall, t.pc(), t.imm(u64(i[trap]))); }},
    {"save {rs1}, {rs2}, {rd}",        "10 rd 111100 rs1 0 ........ rs2",              window<false, true>},
    {"save {rs1}, {simm13}, {rd}",     "10 rd 111100 rs1 1 simm13",                    window<true, true>},
    {"restore",                        "10 00000 111101 00000 0 ........ 00000",       window<false, false>},
    {"restore {rs1}, {rs2}, {rd}",     "10 rd 111101 rs1 0 ........ rs2",              window<false, false>},
    {"restore {rs1}, {simm13}, {rd}",  "10 rd 111101 rs1 1 simm13",                    window<true, false>},
    {"ld [ {at_r} ], {rd}",            "11 rd 000000 rs1 0 ........ rs2",              ld<false>},
    {"ld [ {at_i} ], {rd}",            "11 rd 000000 rs1 1 simm13",                    ld<true>},
    {"st {rd}, [ {at_r} ]",            "11 rd 000100 rs1 0 ........ rs2",              st<false>},
    {"st {rd}, [ {at_i} ]",            "11 rd 000100 rs1 1 simm13",                    st<true>},
};
// clang-format on

// ---- text, as binutils prints it

constexpr std::string_view names[32] = {"%g0", "%g1", "%g2", "%g3", "%g4", "%g5", "%g6", "%g7", "%o0", "%o1", "%o2",
                                        "%o3", "%o4", "%o5", "%sp", "%o7", "%l0", "%l1", "%l2", "%l3", "%l4", "%l5",
                                        "%l6", "%l7", "%i0", "%i1", "%i2", "%i3", "%i4", "%i5", "%fp", "%i7"};
constexpr std::string_view cond_names[16] = {"n", "e",  "le", "l",  "leu", "cs", "neg", "vs",
                                             "",  "ne", "g",  "ge", "gu",  "cc", "pos", "vc"};

bool parse_register(Cursor& in, i64& n) {
    for (n = 0; n < 32; ++n)
        if (in.eat(names[n])) return true;
    return false;
}
template <const Field& F>
constexpr Operand<Sparc> reg{[](std::string& out, const I& i) { out += names[i[F]]; },
                             [](Cursor& in, I& i) {
                                 i64 n;
                                 return parse_register(in, n) && (i.set(F, n), true);
                             }};
constexpr Operand<Sparc> annul{[](std::string& out, const I& i) { out += i[a] ? ",a" : ""; },
                               [](Cursor& in, I& i) { return i.set(a, in.eat(",a")), true; }};
constexpr Operand<Sparc> condition{[](std::string& out, const I& i) { out += cond_names[i[cond]]; },
                                   [](Cursor& in, I& i) {
                                       std::string_view w = in.word();
                                       for (i64 n = 0; n < 16; ++n)
                                           if (cond_names[n] == w) return i.set(cond, n), true;
                                       return false;
                                   }};
// "%i0 + 4", "%i0 + -4", "%i0 + 0x40", "%i0"
constexpr Operand<Sparc> at_i{[](std::string& out, const I& i) {
                                  out += names[i[rs1]];
                                  i64 v = i[simm13];
                                  if (v != 0) out += v > 9 ? fmt::format(" + {:#x}", v) : fmt::format(" + {}", v);
                              },
                              [](Cursor& in, I& i) {
                                  i64 n, v = 0;
                                  if (!parse_register(in, n) || (in.eat(" + ") && !in.number(v))) return false;
                                  i.set(rs1, n);
                                  i.set(simm13, v);
                                  return simm13.fits(v);
                              }};
constexpr Operand<Sparc> at_r{[](std::string& out, const I& i) {
                                  out += names[i[rs1]];
                                  if (i[rs2] != 0) out += fmt::format(" + {}", names[i[rs2]]);
                              },
                              [](Cursor& in, I& i) {
                                  i64 n, k = 0;
                                  if (!parse_register(in, n) || (in.eat(" + ") && !parse_register(in, k))) return false;
                                  i.set(rs1, n);
                                  i.set(rs2, k);
                                  return true;
                              }};

// ---- the front end: an instruction with its delay slot

class SparcFrontEnd final : public PatternFrontEnd<Sparc> {
public:
    using PatternFrontEnd::PatternFrontEnd;
    u32 translate(std::span<const u8> code, u64 pc, u32& mode) override {
        I i;
        if (!fetch(code, pc, mode, i)) return 0;
        ir_.begin_insn(pc, 4);
        ir_.delayed = {};
        emit(i, mode);
        if (ir_.ended()) return 4;
        if (mode & mode_npc) return finish_alone(), 4;
        return ir_.delayed.kind == Delayed::none ? 4 : with_slot(code.subspan(4), pc, mode);
    }

private:
    Val target(const Delayed& d) {
        return d.kind == Delayed::value ? ir_.get(slot_target, Type::i32) : ir_.imm(d.target, Type::i32);
    }
    Val taken(const Delayed& d) {
        return d.kind == Delayed::conditional ? ir_.get(slot_taken, Type::i1) : ir_.imm(1, Type::i1);
    }
    void leave(Val to, u32 mode) {
        ir_.set_mode(mode);
        ir_.goto_value(to.zext(Type::i64));
    }
    // pc and npc are unrelated: goes to npc. A transfer here (a couple of them) makes its target the next npc.
    void finish_alone() {
        const Delayed d = ir_.delayed;
        if (d.kind == Delayed::none) return leave(ir_.npc(), 0);
        Val after = ir_.npc(), next = taken(d).select(target(d), after + 4);
        ir_.npc(next);
        if (!d.annul) return leave(after, mode_npc);
        if (d.kind == Delayed::always) return leave(next, 0);
        ir_.put(slot_target, after);
        ir::BlockId yes = ir_.new_block(), no = ir_.new_block();
        ir_.brcond(taken(d), yes, no);
        ir_.start_block(yes);
        leave(ir_.get(slot_target, Type::i32), mode_npc);
        ir_.start_block(no); // the instruction at `after` is annulled: npc is behind it
        leave(ir_.npc(), 0);
    }
    u32 with_slot(std::span<const u8> code, u64 pc, u32 mode) {
        const Delayed d = ir_.delayed;
        u64 slot = pc + 4, behind = (pc + 8) & 0xffffffff;
        bool all = d.kind != Delayed::conditional;
        if (d.annul && all) return ir_.goto_pc(d.target), 4; // ba,a: the slot is annulled though it is taken
        if (d.annul) {
            ir::BlockId yes = ir_.new_block(), no = ir_.new_block();
            ir_.brcond(taken(d), yes, no);
            ir_.start_block(no);
            ir_.goto_pc(behind);
            ir_.start_block(yes);
            all = true; // on this path
        }
        ir_.npc(all ? target(d) : taken(d).select(target(d), ir_.imm(behind, Type::i32)));
        ir_.set_mode(mode_npc);
        I i;
        if (!fetch(code, slot, mode, i) || (i.row && transfers(i))) // leave: the slot alone, under its own mode
            return ir_.goto_pc(slot), 4;
        ir_.begin_insn(slot, 4);
        u32 same = mode;
        emit(i, same);
        if (ir_.ended()) return 8;
        ir_.set_mode(mode);
        if (!all)
            ir_.branch_to(taken(d), d.target, behind);
        else if (d.hint == ir::ExitHint::call)
            ir_.call_value(ir_.npc().zext(Type::i64), behind);
        else
            ir_.goto_value(ir_.npc().zext(Type::i64), d.hint);
        return 8;
    }
    static bool transfers(const I& i) { // call, Bicc, jmpl
        u64 op = i.bits >> 30;
        return op == 1 || (op == 0 && (i.bits >> 22 & 7) == 2) || (op == 2 && (i.bits >> 19 & 63) == 0x38);
    }
};

using ir::Slot;
using ir::SlotClass;
constexpr std::string_view slot_names[32] = {"g0", "g1", "g2", "g3", "g4", "g5", "g6", "g7", "o0", "o1", "o2",
                                             "o3", "o4", "o5", "sp", "o7", "l0", "l1", "l2", "l3", "l4", "l5",
                                             "l6", "l7", "i0", "i1", "i2", "i3", "i4", "i5", "fp", "i7"};
constexpr auto make_slots() {
    std::array<Slot, slot_count> s{};
    for (u16 n = 0; n < slot_count; ++n) s[n] = {n < 32 ? slot_names[n] : "bank", u16(4 * n), Type::i32};
    s[slot_icc] = {"icc", 4 * slot_icc, Type::flags, SlotClass::flag};
    s[slot_npc].name = "npc", s[slot_cwp].name = "cwp", s[slot_wim].name = "wim";
    s[slot_target] = {"target", 4 * slot_target, Type::i32, SlotClass::temp};
    s[slot_taken] = {"taken", 4 * slot_taken, Type::i1, SlotClass::temp};
    return s;
}
constexpr auto slots = make_slots();

class SparcGuest final : public PatternGuest<Sparc> {
public:
    using PatternGuest::PatternGuest;
    std::string_view name() const override { return "shape-sparc"; }
    std::string_view model() const override { return "v8"; }
    const ir::GuestState& state() const override { return state_sparc; }
    u32 min_insn_bytes() const override { return 4; }
    u32 max_insn_bytes() const override { return 4; }
    bool big_endian() const override { return true; }
    u32 address_bits() const override { return 32; }
    std::unique_ptr<FrontEnd> front_end(ir::Unit& unit) const override {
        return std::make_unique<SparcFrontEnd>(decoder(), unit);
    }
};

constinit const std::array<Operand<Sparc>, 7> Sparc::operands{reg<rd>,   reg<rs1>, reg<rs2>, annul,
                                                              condition, at_i,     at_r};

} // namespace

constinit const ir::GuestState state_sparc{"shape-sparc", slots, 4 * slot_count};

std::unique_ptr<Guest> make();
std::unique_ptr<Guest> make() {
    const Table<Sparc> table{"V8", 0, rows};
    return std::make_unique<SparcGuest>(Decoder<Sparc>({&table, 1}, [](u32) { return true; }));
}

} // namespace mimic::isa::sparc
