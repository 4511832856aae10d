#include "isa/test_vl/vl.hpp"

namespace mimic::isa::test_vl {

namespace {

constexpr std::string_view cond_names[16] = {"eq", "ne", "cs", "cc", "mi", "pl", "vs", "vc",
                                             "hi", "ls", "ge", "lt", "gt", "le", "al", "nv"};

template <const Field& F, char Prefix>
constexpr Operand<TestVl> reg{[](std::string& out, const I& i) { out += fmt::format("{}{}", Prefix, i[F]); },
                              [](Cursor& in, I& i) {
                                  i64 n;
                                  if (!in.eat(Prefix) || !in.number(n) || n < 0 || n > 15) return false;
                                  return i.set(F, n), true;
                              }};
template <const Field& F>
constexpr Operand<TestVl> condition{[](std::string& out, const I& i) { out += cond_names[i[F]]; },
                                    [](Cursor& in, I& i) {
                                        std::string_view w = in.word();
                                        for (i64 n = 0; n < 16; ++n)
                                            if (cond_names[n] == w) return i.set(F, n), true;
                                        return false;
                                    }};

using ir::Slot;
using ir::SlotClass;
constexpr std::string_view r_names[16] = {"r0", "r1", "r2",  "r3",  "r4",  "r5",  "r6",  "r7",
                                          "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"};
constexpr auto make_slots() {
    std::array<Slot, slot_count> s{};
    for (u16 n = 0; n < 16; ++n) s[n] = {r_names[n], u16(8 * n), Type::i64, SlotClass::gpr, u8(100 - n)};
    s[slot_flags] = {"flags", 128, Type::flags, SlotClass::flag, 90};
    s[slot_base] = {"base", 136, Type::i64, SlotClass::gpr, 50};
    for (u16 n = 0; n < file_count; ++n) s[slot_file + n] = {"file", u16(144 + 8 * n), Type::i64};
    return s;
}
constexpr auto slots = make_slots();
constexpr std::string_view model_names[] = {"vl"};

class VlGuest final : public PatternGuest<TestVl> {
public:
    using PatternGuest::PatternGuest;
    std::string_view name() const override { return "test-vl"; }
    std::string_view model() const override { return "vl"; }
    const ir::GuestState& state() const override { return state_vl; }
    u32 min_insn_bytes() const override { return 2; }
    u32 max_insn_bytes() const override { return 6; }
    std::unique_ptr<FrontEnd> front_end(ir::Unit& unit) const override {
        return std::make_unique<PatternFrontEnd<TestVl>>(decoder(), unit);
    }
};

Result<std::unique_ptr<Guest>> make(std::string_view model) {
    if (model != "vl") return Error::invalid_argument("test-vl CPU model '{}' is unknown, expected vl", model);
    return std::unique_ptr<Guest>(new VlGuest(Decoder<TestVl>({&vl, 1}, [](u32) { return true; })));
}

} // namespace

constinit const std::array<Operand<TestVl>, 8> TestVl::operands{reg<rd, 'r'>,    reg<rs, 'r'>,    reg<rt, 'r'>,
                                                                reg<xt, 'r'>,    reg<rd, 'w'>,    reg<rs, 'w'>,
                                                                condition<cond>, condition<pcond>};
constinit const ir::GuestState state_vl{"test-vl", slots, 144 + 8 * file_count};
extern const GuestInfo guest_info;
constinit const GuestInfo guest_info{"test-vl", "vl", model_names, make};

} // namespace mimic::isa::test_vl
