// RISC-V 64: state, names of registers, CPU models.
#include "isa/pattern_guest.hpp"
#include "isa/riscv/tables.hpp"
#include "softfloat/env.hpp"

namespace mimic::isa::riscv {

namespace {

using ir::Slot;
using ir::SlotClass;

// Which registers win a host register: static use counts of compiled code, a5 first.
constexpr u8 priority_of_x(u32 n) {
    constexpr u8 order[] = {15, 14, 10, 2, 8, 11, 13, 12, 9, 1, 16, 18, 17, 19, 20, 6, 7, 28, 5, 21, 22};
    for (u32 k = 0; k < sizeof order; ++k)
        if (order[k] == n) return u8(100 - k);
    return n == 0 ? 0 : 50;
}

constexpr auto make_slots() {
    std::array<Slot, slot_count> s{};
    for (u32 n = 0; n < 32; ++n) {
        s[slot_x + n] = {x_names[n], u16(8 * n), Type::i64, SlotClass::gpr, priority_of_x(n)};
        s[slot_f + n] = {f_names[n], u16(256 + 8 * n), Type::f64, SlotClass::fp, u8(n >= 8 && n < 18 ? 90 : 80)};
    }
    s[slot_res_address] = {"res_address", 512, Type::i64, SlotClass::sys, 0};
    s[slot_res_value] = {"res_value", 520, Type::i64, SlotClass::sys, 0};
    s[slot_frm] = {"frm", 528, Type::i32, SlotClass::sys, 0};
    return s;
}
constexpr auto slots = make_slots();

// Every extension there is; a model that lacks some takes them away.
constexpr u64 all_extensions = (u64{1} << u32(Ext::count)) - 1;
constexpr Model models[] = {
    {"rv64", all_extensions},
    {"max", all_extensions},
};
constexpr std::string_view model_names[] = {"rv64", "max"};

// In the manual's order; a row that stands in another's encoding space has more fixed bits.
constexpr Table<RiscV> const* all_tables[] = {
    &rv64i,  &zifencei, &zicsr, &zicond, &rv64m, &rv64a, &zawrs, &zacas, &zicbom, &zicboz, &zicbop, &rv64f, &rv64d,
    &zfhmin, &zfhmin_d, &zfh,   &zfa,    &zfa_d, &zfa_h, &zca,   &zcd,   &zba,    &zbb,    &zbc,    &zbs};

class RiscVGuest final : public PatternGuest<RiscV> {
public:
    RiscVGuest(const Model& m, Decoder<RiscV> d) : PatternGuest(std::move(d)), model_(m) {}
    std::string_view name() const override { return "riscv64"; }
    std::string_view model() const override { return model_.name; }
    const ir::GuestState& state() const override { return state_rv64; }
    u32 min_insn_bytes() const override { return model_.has(Ext::zca) ? 2 : 4; }
    u32 max_insn_bytes() const override { return 4; }
    std::unique_ptr<FrontEnd> front_end(ir::Unit& unit) const override {
        return std::make_unique<PatternFrontEnd<RiscV>>(decoder(), unit, model_);
    }

private:
    const Model& model_;
};

Result<std::unique_ptr<Guest>> make(std::string_view name) {
    std::vector<Table<RiscV>> tables;
    for (auto* t : all_tables) tables.push_back(*t);
    for (const Model& m : models) {
        if (m.name != name) continue;
        Decoder<RiscV> decoder(tables,
                               [&](u32 feature) { return m.has(Ext(feature & 0xff)) && m.has(Ext(feature >> 8)); });
        return std::unique_ptr<Guest>(new RiscVGuest(m, std::move(decoder)));
    }
    return Error::invalid_argument("riscv64 CPU model '{}' is unknown, expected rv64 or max", name);
}

} // namespace

constinit const ir::GuestState state_rv64{"riscv64", slots, 536, &softfloat::env::riscv};
extern const GuestInfo guest_info;
constinit const GuestInfo guest_info{"riscv64", "rv64", model_names, make};

} // namespace mimic::isa::riscv
