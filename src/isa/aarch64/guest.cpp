// AArch64: state, CPU models.
#include "isa/aarch64/system.hpp"
#include "isa/aarch64/tables.hpp"
#include "isa/pattern_guest.hpp"
#include "softfloat/env.hpp"

namespace mimic::isa::aarch64 {

namespace {

using ir::Slot;
using ir::SlotClass;

constexpr std::string_view x_names[] = {"x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",  "x7",  "x8",  "x9",  "x10",
                                        "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21",
                                        "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x29", "x30", "sp"};
constexpr std::string_view v_names[] = {"v0",  "v1",  "v2",  "v3",  "v4",  "v5",  "v6",  "v7",  "v8",  "v9",  "v10",
                                        "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21",
                                        "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31"};

// Which registers win a host register: what compiled code uses most (AAPCS64: arguments first, then the first saved).
constexpr u8 priority_of_x(u32 n) {
    constexpr u8 order[] = {0, 1, 2, 3, 19, 31, 4, 20, 5, 8, 30, 21, 29, 6, 22, 7, 9, 10, 11, 23, 24};
    for (u32 k = 0; k < sizeof order; ++k)
        if (order[k] == n) return u8(100 - k);
    return 50;
}
constexpr u8 priority_of_v(u32 n) { return u8(n < 8 ? 95 - n : n >= 16 ? 86 - n / 4 : 70); }

constexpr u16 v_offset = 32 * 8, rest_offset = v_offset + 32 * 16;
constexpr u32 state_bytes = rest_offset + 56;
constexpr auto make_slots() {
    std::array<Slot, slot_count> s{};
    for (u32 n = 0; n < 32; ++n) {
        s[slot_x + n] = {x_names[n], u16(8 * n), Type::i64, SlotClass::gpr, priority_of_x(n)};
        s[slot_v + n] = {v_names[n], u16(v_offset + 16 * n), Type::v128, SlotClass::vec, priority_of_v(n)};
    }
    s[slot_nzcv] = {"nzcv", rest_offset, Type::flags, SlotClass::flag, 100};
    s[slot_fpcr] = {"fpcr", rest_offset + 4, Type::i32, SlotClass::sys, 0};
    s[slot_tpidr] = {"tpidr_el0", rest_offset + 8, Type::i64, SlotClass::sys, 0};
    s[slot_tpidrro] = {"tpidrro_el0", rest_offset + 16, Type::i64, SlotClass::sys, 0};
    s[slot_ex_address] = {"ex_address", rest_offset + 24, Type::i64, SlotClass::sys, 0};
    s[slot_ex_low] = {"ex_low", rest_offset + 32, Type::i64, SlotClass::sys, 0};
    s[slot_ex_high] = {"ex_high", rest_offset + 40, Type::i64, SlotClass::sys, 0};
    return s;
}
constexpr auto slots = make_slots();

constexpr Table<AArch64> const* all_tables[] = {&data_immediate,
                                                &cssc_immediate,
                                                &data_register,
                                                &crc32,
                                                &flagm,
                                                &cssc_register,
                                                &branches,
                                                &speculation_barrier,
                                                &system_instructions,
                                                &flagm_system,
                                                &flagm2,
                                                &loads,
                                                &loads_vector,
                                                &pairs,
                                                &pairs_vector,
                                                &exclusives,
                                                &lse,
                                                &lrcpc,
                                                &lrcpc2,
                                                &fp,
                                                &fp_half,
                                                &frintts,
                                                &jscvt};

constexpr std::string_view model_names[] = {"cortex-a53", "cortex-a57", "cortex-a72", "neoverse-n1", "max"};

class AArch64Guest final : public PatternGuest<AArch64> {
public:
    AArch64Guest(const Model& m, Decoder<AArch64> d) : PatternGuest(std::move(d)), model_(m) {}
    std::string_view name() const override { return "aarch64"; }
    std::string_view model() const override { return model_.name; }
    const ir::GuestState& state() const override { return state_aarch64; }
    u32 min_insn_bytes() const override { return 4; }
    u32 max_insn_bytes() const override { return 4; }
    std::unique_ptr<FrontEnd> front_end(ir::Unit& unit) const override {
        return std::make_unique<PatternFrontEnd<AArch64>>(decoder(), unit, model_);
    }

private:
    const Model& model_;
};

Result<std::unique_ptr<Guest>> make(std::string_view name) {
    std::vector<Table<AArch64>> tables;
    for (auto* t : all_tables) tables.push_back(*t);
    for (const Model& m : models()) {
        if (m.name != name) continue;
        Decoder<AArch64> decoder(
            tables, [&](u32 feature) { return m.has(Feature(feature & 0xff)) && m.has(Feature(feature >> 8)); });
        return std::unique_ptr<Guest>(new AArch64Guest(m, std::move(decoder)));
    }
    return Error::invalid_argument(
        "aarch64 CPU model '{}' is unknown, expected cortex-a53, cortex-a57, cortex-a72, neoverse-n1 or max", name);
}

} // namespace

constinit const ir::GuestState state_aarch64{"aarch64", slots, state_bytes, &softfloat::env::aarch64, nullptr, 0x9f};
extern const GuestInfo guest_info;
constinit const GuestInfo guest_info{"aarch64", "cortex-a57", model_names, make};

} // namespace mimic::isa::aarch64
