// test-be32: text as binutils prints it with -M no-aliases, state, and the front end that takes delay slots along.
#include "isa/test_be32/mips.hpp"

namespace mimic::isa::test_be32 {

namespace {

constexpr std::string_view names[32] = {"zero", "at", "v0", "v1", "a0", "a1", "a2", "a3", "t0", "t1", "t2",
                                        "t3",   "t4", "t5", "t6", "t7", "s0", "s1", "s2", "s3", "s4", "s5",
                                        "s6",   "s7", "t8", "t9", "k0", "k1", "gp", "sp", "s8", "ra"};

template <const Field& F>
constexpr Operand<Be32> reg{[](std::string& out, const I& i) { out += names[i[F]]; },
                            [](Cursor& in, I& i) {
                                std::string_view word = in.word();
                                for (i64 n = 0; n < 32; ++n)
                                    if (names[n] == word) return i.set(F, n), true;
                                return false;
                            }};
template <const Field& F>
constexpr Operand<Be32> hexadecimal{[](std::string& out, const I& i) { out += fmt::format("0x{:x}", i[F]); },
                                    [](Cursor& in, I& i) {
                                        i64 v;
                                        if (!in.number(v) || !F.fits(v)) return false;
                                        return i.set(F, v), true;
                                    }};
constexpr Operand<Be32> target{
    [](std::string& out, const I& i) { out += fmt::format("0x{:x}", ((i.pc + 4) & 0xf0000000) | u64(i[index])); },
    [](Cursor& in, I& i) {
        i64 v;
        if (!in.number(v) || u64(v) >> 28 != ((i.pc + 4) & 0xffffffff) >> 28 || v & 3) return false;
        return i.set(index, v & 0xfffffff), true;
    }};

class DelaySlots final : public PatternFrontEnd<Be32> {
public:
    using PatternFrontEnd::PatternFrontEnd;
    u32 translate(std::span<const u8> bytes, u64 pc, u32& mode) override {
        I i;
        ir_.set_mode(mode = 0); // after a fault in a slot the branch is run again
        if (!fetch(bytes, pc, mode, i)) return 0;
        ir_.begin_insn(pc, 4);
        ir_.delayed = {};
        emit(i, mode);
        return ir_.ended() || ir_.delayed.kind == Delayed::none ? 4 : with_slot(bytes.subspan(4), pc, mode);
    }

private:
    u32 with_slot(std::span<const u8> bytes, u64 pc, u32 mode) {
        const Delayed d = ir_.delayed;
        u64 behind = (pc + 8) & 0xffffffff;
        if (d.likely && d.kind == Delayed::conditional) {
            ir::BlockId yes = ir_.new_block(), no = ir_.new_block();
            ir_.brcond(ir_.get(slot_taken, Type::i1), yes, no);
            ir_.start_block(no);
            ir_.goto_pc(behind);
            ir_.start_block(yes);
        }
        ir_.set_mode(mode_bd);
        ir_.begin_insn(pc, 8);
        I i;
        if (!fetch(bytes, pc + 4, mode, i)) {
            ir_.trap(ir::TrapKind::fetch_fault, pc, ir_.imm((pc + 4) & 0xffffffff));
            return 4;
        }
        ir_.delayed = {};
        emit(i, mode);
        if (ir_.ended()) return 8;
        if (ir_.delayed.kind != Delayed::none) { // volume I, 5.2.2: a branch in a delay slot is UNPREDICTABLE
            Be32::illegal(ir_);
            return 8;
        }
        ir_.set_mode(mode);
        leave(d, behind);
        return 8;
    }
    void leave(const Delayed& d, u64 behind) {
        auto value = [&] { return ir_.get(slot_target, Type::i32).zext(Type::i64); };
        if (d.kind == Delayed::conditional && !d.likely)
            ir_.branch_to(ir_.get(slot_taken, Type::i1), d.target, behind);
        else if (d.kind == Delayed::value)
            d.hint == ir::ExitHint::call ? ir_.call_value(value(), behind) : ir_.goto_value(value(), d.hint);
        else
            d.hint == ir::ExitHint::call ? ir_.call_pc(d.target, behind) : ir_.goto_pc(d.target);
    }
};

using ir::Slot;
using ir::SlotClass;
constexpr auto make_slots() {
    std::array<Slot, slot_count> s{};
    for (u16 n = 0; n < 32; ++n) s[n] = {names[n], u16(4 * n), Type::i32, SlotClass::gpr, u8(n ? 100 - n : 0)};
    s[slot_hi] = {"hi", 128, Type::i32, SlotClass::gpr, 10};
    s[slot_lo] = {"lo", 132, Type::i32, SlotClass::gpr, 10};
    s[slot_taken] = {"taken", 136, Type::i1, SlotClass::temp};
    s[slot_target] = {"target", 140, Type::i32, SlotClass::temp};
    return s;
}
constexpr auto slots = make_slots();
constexpr std::string_view model_names[] = {"mips2"};

class Be32Guest final : public PatternGuest<Be32> {
public:
    using PatternGuest::PatternGuest;
    std::string_view name() const override { return "test-be32"; }
    std::string_view model() const override { return "mips2"; }
    const ir::GuestState& state() const override { return state_be32; }
    u32 min_insn_bytes() const override { return 4; }
    u32 max_insn_bytes() const override { return 4; }
    bool big_endian() const override { return true; }
    u32 address_bits() const override { return 32; }
    std::unique_ptr<FrontEnd> front_end(ir::Unit& unit) const override {
        return std::make_unique<DelaySlots>(decoder(), unit);
    }
};

Result<std::unique_ptr<Guest>> make(std::string_view model) {
    if (model != "mips2") return Error::invalid_argument("test-be32 CPU model '{}' is unknown, expected mips2", model);
    return std::unique_ptr<Guest>(new Be32Guest(Decoder<Be32>({&be32, 1}, [](u32) { return true; })));
}

} // namespace

constinit const std::array<Operand<Be32>, 9> Be32::operands{reg<rs>,
                                                            reg<rt>,
                                                            reg<rd>,
                                                            hexadecimal<sa>,
                                                            hexadecimal<unsigned_>,
                                                            target,
                                                            hexadecimal<code>,
                                                            hexadecimal<bcode>,
                                                            hexadecimal<tcode>};
constinit const ir::GuestState state_be32{"test-be32", slots, 144};
extern const GuestInfo guest_info;
constinit const GuestInfo guest_info{"test-be32", "mips2", model_names, make};

} // namespace mimic::isa::test_be32
