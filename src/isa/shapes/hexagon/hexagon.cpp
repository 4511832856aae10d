// Hexagon, a few rows: packets of up to four instructions that all read before any writes.
// Qualcomm Hexagon V67 Programmer's Reference Manual (80-N2040-45), 3.3 packets, 10.3 (parse bits), 11. Duplexes
// (parse bits 00), hardware loops (parse bits as their ends), constant extenders and slot rules are not there.
//
// Rows don't write: they tell the packet what to write, and its end does. A packet is an instruction to the rest of
// Mimic: one marker, one length.
#include "isa/pattern_guest.hpp"

namespace mimic::isa::hexagon {

using ir::Type;
using ir::Val;

extern const ir::GuestState state_hexagon;

namespace {

constexpr u16 slot_r = 0, slot_p = 32, slot_count = 36;

class Hex : public ir::Builder {
public:
    explicit Hex(ir::Unit& unit) : Builder(unit, state_hexagon) {}
    // As they were before the packet.
    Val r(i64 n) { return get(u16(slot_r + n), Type::i32); }
    Val p(i64 n) { return get(u16(slot_p + n), Type::i8); }
    // After it.
    void r(i64 n, Val v) { writes_[count_++] = {u16(slot_r + n), v}, last_[at_] = v; }
    void p(i64 n, Val v) { writes_[count_++] = {u16(slot_p + n), v}; }
    // What the instruction `back` places before this one writes (".new").
    Val fresh(i64 back) { return last_[at_ - back]; }
    void jump(Val taken, u64 to) { taken_ = taken, target_ = to; }

    void begin_packet() { count_ = 0, at_ = 0, taken_ = {}, std::fill_n(last_, 4, Val{}); }
    void next() { ++at_; }
    void end_packet() {
        for (u32 n = 0; n < count_; ++n) put(writes_[n].slot, writes_[n].value);
        if (taken_ && !ended()) branch_to(taken_, target_, next_pc());
    }

private:
    struct Write {
        u16 slot;
        Val value;
    };
    Write writes_[8];
    Val last_[4], taken_;
    u32 count_ = 0;
    i64 at_ = 0;
    u64 target_ = 0;
};

constexpr Field pp{"PP", Kind::bits, {{14, 2}}}, rd{"d", Kind::bits, {{0, 5}}}, rs{"s", Kind::bits, {{16, 5}}},
    rt{"t", Kind::bits, {{8, 5}}}, nt{"n", Kind::bits, {{8, 3}}}, pd{"pd", Kind::bits, {{0, 2}}},
    pu{"u", Kind::bits, {{5, 2}}}, ju{"ju", Kind::bits, {{8, 2}}}, s16{"i16", Kind::integer, {{21, 7}, {5, 9}}},
    s16t{"j16", Kind::integer, {{22, 2}, {16, 5}, {5, 9}}}, load11{"l11", Kind::integer, {{25, 2}, {5, 9}}, 2},
    store11{"s11", Kind::integer, {{25, 2}, {13, 1}, {0, 8}}, 2},
    r15{"r15", Kind::pcrel, {{22, 2}, {16, 5}, {13, 1}, {1, 7}}, 2}, r22{"r22", Kind::pcrel, {{16, 9}, {1, 13}}, 2},
    u8_{"u8", Kind::bits, {{8, 5}, {2, 3}}};

// What stands before an instruction in its packet: the registers that they write, for ".new".
struct Before {
    static constexpr i8 nothing = -1;
    i8 writes[4] = {nothing, nothing, nothing, nothing};
    u32 count = 0;
    // The register that the instruction `back` places before writes.
    i8 fresh(i64 back) const { return back > 0 && back <= count ? writes[count - back] : nothing; }
};

struct Hexagon {
    using Ir = Hex;
    using Context = Before;
    static Context context(u32) { return {}; }
    static void illegal(Hex& t) { t.trap(ir::TrapKind::illegal, t.pc()); }
    static constexpr u32 address_bits = 32;
    static constexpr Layout layout{.unit = 4};
    static u32 length(u64, const Context&) { return 4; }
    static constexpr std::array fields{&pp,  &rd,   &rs,     &rt,      &nt,  &pd,  &pu, &ju,
                                       &s16, &s16t, &load11, &store11, &r15, &r22, &u8_};
    static constexpr std::array<std::string_view, 1> operand_names{"new"};
    static const std::array<Operand<Hexagon>, 1> operands;
};

using I = Insn<Hexagon>;
using R = Row<Hexagon>;

bool new_value(const I& i) { return i[nt] % 2 == 0 && i.context.fresh(i[nt] / 2) != Before::nothing; }

constinit const std::array<Operand<Hexagon>, 1> Hexagon::operands{
    Operand<Hexagon>{[](std::string& out, const I& i) { out += fmt::format("r{}", i.context.fresh(i[nt] / 2)); },
                     [](Cursor& in, I& i) {
                         i64 n, back = 1;
                         if (!in.eat('r') || !in.number(n)) return false;
                         while (back <= i.context.count && i.context.fresh(back) != n) ++back;
                         return back <= i.context.count && (i.set(nt, 2 * back), true);
                     }}};

constexpr Type w = Type::i32;

template <ir::Rel Rel>
void compare(Hex& t, const I& i) {
    Val a = t.r(i[rs]), b = t.r(i[rt]);
    Val v = Rel == ir::Rel::eq ? a == b : Rel == ir::Rel::sgt ? b.slt(a) : b.ult(a);
    t.p(i[pd], v.sext(Type::i8));
}
// A predicate is true when its lowest bit is.
template <bool Want>
void add_if(Hex& t, const I& i) {
    Val hold = t.p(i[pu]).trunc(Type::i1) == i64(Want);
    t.r(i[rd], hold.select(t.r(i[rs]) + t.r(i[rt]), t.r(i[rd])));
}
template <bool Want>
void jump_if(Hex& t, const I& i) {
    t.jump(t.p(i[ju]).trunc(Type::i1) == i64(Want), (t.pc() + u64(i[r15])) & 0xffffffff);
}
void store(Hex& t, Val address, Val v) { t.store(address, v, {.memory = w, .align = ir::Align::natural}); }
void store_new(Hex& t, const I& i) { store(t, t.r(i[rs]) + i[store11], t.fresh(i[nt] / 2)); }

// clang-format off
constexpr R rows[] = {
    {"r{d} = r{s}",                    "0111 0000 011 s PP 0 ..... ... d",          [](Hex& t, const I& i) { t.r(i[rd], t.r(i[rs])); }},
    {"r{d} = #{j16}",                  "0111 1000 j16 0 j16 PP j16 d",              [](Hex& t, const I& i) { t.r(i[rd], t.imm(u64(i[s16t]), w)); }},
    {"r{d} = add(r{s},#{i16})",        "1011 i16 s PP i16 d",                       [](Hex& t, const I& i) { t.r(i[rd], t.r(i[rs]) + i[s16]); }},
    {"r{d} = add(r{s},r{t})",          "1111 0011 000 s PP . t ... d",              [](Hex& t, const I& i) { t.r(i[rd], t.r(i[rs]) + t.r(i[rt])); }},
    {"if (p{u}) r{d} = add(r{s},r{t})",  "1111 1011 0.0 s PP 0 t 0 u d",            add_if<true>},
    {"if (!p{u}) r{d} = add(r{s},r{t})", "1111 1011 0.0 s PP 0 t 1 u d",            add_if<false>},
    {"p{pd} = cmp.eq(r{s},r{t})",      "1111 0010 .00 s PP . t ... 00. pd",         compare<ir::Rel::eq>},
    {"p{pd} = cmp.gt(r{s},r{t})",      "1111 0010 .10 s PP . t ... 00. pd",         compare<ir::Rel::sgt>},
    {"p{pd} = cmp.gtu(r{s},r{t})",     "1111 0010 .11 s PP . t ... 00. pd",         compare<ir::Rel::ugt>},
    {"r{d} = memw(r{s}+#{l11})",       "1001 0 l11 1100 s PP l11 d",                [](Hex& t, const I& i) { t.r(i[rd], t.load(w, t.r(i[rs]) + i[load11], {.memory = w, .align = ir::Align::natural})); }},
    {"memw(r{s}+#{s11}) = r{t}",       "1010 0 s11 1100 s PP s11 t s11",            [](Hex& t, const I& i) { store(t, t.r(i[rs]) + i[store11], t.r(i[rt])); }},
    {"memw(r{s}+#{s11}) = {new}.new",   "1010 0 s11 1101 s PP s11 10 n s11",         store_new, new_value},
    {"if (p{ju}) jump:nt {r15}",       "0101 1100 r15 0 r15 PP r15 00 . ju r15 .",  jump_if<true>},
    {"if (!p{ju}) jump:nt {r15}",      "0101 1100 r15 1 r15 PP r15 00 . ju r15 .",  jump_if<false>},
    {"jump {r22}",                     "0101 100 r22 PP r22 .",                     [](Hex& t, const I& i) { t.jump(t.imm(1, Type::i1), (t.pc() + u64(i[r22])) & 0xffffffff); }},
    {"trap0(#{u8})",                   "0101 0100 00. ..... PP . u8 ... u8 ..",     [](Hex& t, const I& i) { t.trap(ir::TrapKind::syscall, t.pc(), t.imm(u64(i[u8_]))); }},
};
// clang-format on

void note(Before& before, const I& i) {
    i8 written = Before::nothing;
    for (u32 n = 0; n < i.row->field_count; ++n)
        if (Hexagon::fields[i.row->field[n]] == &rd) written = i8(i[rd]);
    if (before.count < 4) before.writes[before.count++] = written;
}

// The instructions of the packet at `code`; 0: more bytes are needed than are there. `legal`: each is one, and the
// packet ends within four.
struct Packet {
    I insn[4];
    u32 count = 0, length = 0;
    bool legal = true;

    bool take(const Decoder<Hexagon>& decoder, std::span<const u8> code, u64 pc) {
        Before before;
        for (count = 0; count < 4;) {
            if (code.size() < 4 * count + 4u) return false;
            I& i = insn[count];
            legal = decoder.decode(code.subspan(4 * count), pc, before, i) && i[pp] != 0;
            length = 4 * ++count;
            if (!legal || i[pp] == 3) return true;
            note(before, i);
        }
        legal = false;
        return true;
    }
};

class PacketFrontEnd final : public PatternFrontEnd<Hexagon> {
public:
    using PatternFrontEnd::PatternFrontEnd;
    u32 translate(std::span<const u8> code, u64 pc, u32&) override {
        Packet p;
        if (!p.take(decoder_, code, pc)) return 0;
        ir_.begin_insn(pc, p.length);
        if (!p.legal) return Hexagon::illegal(ir_), p.length;
        ir_.begin_packet();
        for (u32 n = 0; n < p.count && !ir_.ended(); ++n, ir_.next()) p.insn[n].row->emit(ir_, p.insn[n]);
        if (!ir_.ended()) ir_.end_packet();
        return p.length;
    }
};

using ir::Slot;
constexpr std::string_view r_names[32] = {"r0",  "r1",  "r2",  "r3",  "r4",  "r5",  "r6",  "r7",  "r8",  "r9",  "r10",
                                          "r11", "r12", "r13", "r14", "r15", "r16", "r17", "r18", "r19", "r20", "r21",
                                          "r22", "r23", "r24", "r25", "r26", "r27", "r28", "r29", "r30", "r31"};
constexpr std::string_view p_names[4] = {"p0", "p1", "p2", "p3"};
constexpr auto make_slots() {
    std::array<Slot, slot_count> s{};
    for (u16 n = 0; n < 32; ++n) s[n] = {r_names[n], u16(4 * n), Type::i32};
    for (u16 n = 0; n < 4; ++n) s[slot_p + n] = {p_names[n], u16(128 + n), Type::i8};
    return s;
}
constexpr auto slots = make_slots();

class HexagonGuest final : public PatternGuest<Hexagon> {
public:
    using PatternGuest::PatternGuest;
    std::string_view name() const override { return "shape-hexagon"; }
    std::string_view model() const override { return "v67"; }
    const ir::GuestState& state() const override { return state_hexagon; }
    u32 min_insn_bytes() const override { return 4; }
    u32 max_insn_bytes() const override { return 16; }
    u32 address_bits() const override { return 32; }
    std::unique_ptr<FrontEnd> front_end(ir::Unit& unit) const override {
        return std::make_unique<PacketFrontEnd>(decoder(), unit);
    }

    // "{ r0 = r1; r1 = r0 }"
    std::string disassemble(std::span<const u8> code, u64 pc, u32 mode, u32& length) const override {
        Packet p;
        if (!p.take(decoder(), code, pc) || !p.legal)
            return PatternGuest::disassemble(code.first(std::min(code.size(), std::size_t{3})), pc, mode, length);
        length = p.length;
        std::string out = "{ ";
        for (u32 n = 0; n < p.count; ++n) {
            if (n) out += "; ";
            Decoder<Hexagon>::print(out, p.insn[n]);
        }
        return out + " }";
    }
    Result<std::vector<u8>> assemble(std::string_view text, u64 pc, u32) const override {
        auto open = text.find('{'), close = text.rfind('}');
        if (open == text.npos || close == text.npos || close < open)
            return Error::invalid_argument("cannot assemble '{}': expected a packet in braces", text);
        std::vector<u8> out;
        Before before;
        for (std::string_view rest = text.substr(open + 1, close - open - 1);;) {
            auto end = rest.find(';');
            std::vector<u8> one = TRY(decoder().assemble(rest.substr(0, end), pc, before));
            I i;
            if (decoder().decode(one, pc, before, i)) note(before, i);
            one[1] = u8((one[1] & 0x3f) | (end == rest.npos ? 0xc0 : 0x40));
            out.insert(out.end(), one.begin(), one.end());
            if (end == rest.npos) break;
            rest = rest.substr(end + 1);
        }
        if (out.size() > 16) return Error::invalid_argument("cannot assemble '{}': more than four in a packet", text);
        return out;
    }
    // A packet of one; of two, "r0 = #0" first, where the row wants a new value.
    std::vector<u8> random_instance(u32 n, Chance random) const override {
        const R& r = *decoder().rows()[n];
        std::vector<u8> out;
        if (r.valid == new_value) out = {0x00, 0x40, 0x00, 0x78};
        I i{.bits = r.match | (random() & ~r.mask & 0xffffffff)};
        i.set(pp, 3);
        if (r.valid == new_value) i.set(nt, 2);
        for (u32 k = 0; k < 4; ++k) out.push_back(u8(i.bits >> 8 * k));
        return out;
    }
};

} // namespace

constinit const ir::GuestState state_hexagon{"shape-hexagon", slots, 136};

std::unique_ptr<Guest> make();
std::unique_ptr<Guest> make() {
    const Table<Hexagon> table{"V67", 0, rows};
    return std::make_unique<HexagonGuest>(Decoder<Hexagon>({&table, 1}, [](u32) { return true; }));
}

} // namespace mimic::isa::hexagon
