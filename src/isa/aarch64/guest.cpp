// AArch64: state, CPU models.
#include "base/nearest.hpp"
#include "isa/aarch64/debug.hpp"
#include "isa/aarch64/privileged.hpp"
#include "isa/aarch64/tables.hpp"
#include "isa/pattern_guest.hpp"
#include "softfloat/env.hpp"
#include <cstring>
#include <mutex>

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
constexpr u16 pac_offset = rest_offset + 48;
constexpr u32 state_bytes = pac_offset + 96;
constexpr std::string_view pac_key_names[] = {"apiakeylo_el1", "apiakeyhi_el1", "apibkeylo_el1", "apibkeyhi_el1",
                                              "apdakeylo_el1", "apdakeyhi_el1", "apdbkeylo_el1", "apdbkeyhi_el1",
                                              "apgakeylo_el1", "apgakeyhi_el1"};
constexpr u32 pac_key_count = u32(std::size(pac_key_names));
constexpr std::string_view system_names[] = {
#define REG(name, ...) #name,
#include "isa/aarch64/registers.def"
#undef REG
    "sp_el0",  "sp_el1",   "sp_el2",     "sp_el3",      "pstate", "daif",     "affinity", "os_lock",  "masked",
    "private", "pm_since", "pm_retired", "pm_fraction", "pm_end", "pm_shift", "sync",     "pac_value"};
static_assert(std::size(system_names) == slot_system_end - slot_system);

template <u32 Count>
constexpr auto make_slots() {
    std::array<Slot, Count> s{};
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
    for (u32 n = 0; n < pac_key_count; ++n)
        s[slot_pac_keys + n] = {pac_key_names[n], u16(pac_offset + 8 * n), Type::i64, SlotClass::sys, 0};
    s[slot_pac_off] = {"pac_off", pac_offset + 80, Type::i32, SlotClass::sys, 0};
    for (u32 n = slot_system; n < Count; ++n)
        s[n] = {system_names[n - slot_system], u16(state_bytes + 8 * (n - slot_system)), Type::i64,
                n == slot_pac_value ? SlotClass::temp : SlotClass::sys, 0};
    return s;
}
constexpr auto slots = make_slots<slot_count>();
constexpr auto system_slots = make_slots<slot_system_end>();

constexpr std::string_view model_names[] = {"cortex-a53", "cortex-a57", "cortex-a72", "neoverse-n1", "max"};

constexpr auto make_registers() {
    std::array<RegisterInfo, register_system_count> r{};
    for (u32 n = 0; n < 32; ++n) r[n] = {x_names[n]}, r[register_v + n] = {v_names[n], 16};
    r[register_nzcv] = {"nzcv", 4};
    r[register_fpcr] = {"fpcr", 4};
    r[register_fpsr] = {"fpsr", 4};
    r[register_tpidr] = {"tpidr_el0"};
    r[register_internal] = {.name = "tpidrro_el0", .internal = true};
    r[register_internal + 1] = {.name = "ex_address", .internal = true};
    r[register_internal + 2] = {.name = "ex_low", .internal = true};
    r[register_internal + 3] = {.name = "ex_high", .internal = true};
    for (u32 n = 0; n < pac_key_count; ++n) r[register_internal + 4 + n] = {.name = pac_key_names[n], .internal = true};
    r[register_internal + 14] = {.name = "pac_off", .bytes = 4, .internal = true};
    for (u32 n = register_system; n < register_system_count; ++n) r[n].name = system_names[n - register_system];
    return r;
}
constexpr auto register_infos = make_registers();
constexpr u32 slot_of(u32 n) {
    if (n < register_v) return slot_x + n;
    if (n < register_nzcv) return slot_v + n - register_v;
    if (n == register_tpidr) return slot_tpidr;
    if (n >= register_system) return n - register_system + slot_system;
    return n - register_internal + slot_tpidrro;
}

class AArch64Guest final : public PatternGuest<AArch64> {
public:
    AArch64Guest(const Model& m, Decoder<AArch64> d) : PatternGuest(std::move(d)), model_(m) {}
    // The system form, of a model with properties.
    AArch64Guest(std::unique_ptr<Model> m, Decoder<AArch64> d)
        : PatternGuest(std::move(d))
        , own_model_(std::move(m))
        , model_(*own_model_)
        , system_(make_system_of(model_)) {}
    std::string_view name() const override { return "aarch64"; }
    std::string_view model() const override { return model_.name; }
    const ir::GuestState& state() const override { return system_ ? state_aarch64_system : state_aarch64; }
    const System* system() const override { return system_.get(); }
    const DebugView* debug() const override {
        std::call_once(debug_made_, [this] { debug_ = make_debug_view(*this, model_); });
        return debug_.get();
    }
    u32 min_insn_bytes() const override { return 4; }
    u32 max_insn_bytes() const override { return 4; }
    std::unique_ptr<FrontEnd> front_end(ir::Unit& unit) const override {
        return std::make_unique<PatternFrontEnd<AArch64>>(decoder(), unit, model_);
    }

    // BTypeCompatible_BTI and BTypeCompatible_PACIXSP (J1.3), with SCTLR_EL1.BT0 set as Linux has it; a breakpoint is its
    // own trap.
    bool may_enter(std::span<const u8> code, u64 pc, u32 mode) const override {
        Insn<AArch64> i;
        if (!decoder().decode(code, pc, AArch64::context(0), i)) return false;
        std::string_view text = i.row->syntax;
        u32 btype = mode & mode_btype;
        if (text == "bti     jc" || text.starts_with("brk ") || text.starts_with("hlt ")) return true;
        if (text == "bti     j") return btype != 2;
        return btype != 3 && (text == "bti     c" || text == "paciasp" || text == "pacibsp");
    }

    std::span<const RegisterInfo> registers() const override {
        return std::span(register_infos).first(system_ ? register_system_count : register_count);
    }
    u32 find_register(std::string_view name) const override {
        for (u32 n = 0; n < registers().size(); ++n)
            if (register_infos[n].name == name) return n;
        if (name == "lr" || name == "fp") return name == "lr" ? 30 : 29;
        if (name == "wsp") return 31;
        // Parts of a register name all of it.
        Cursor in{name};
        bool general = in.eat('w'),
             vector = !general && (in.eat('b') || in.eat('h') || in.eat('s') || in.eat('d') || in.eat('q'));
        i64 n;
        if ((!general && !vector) || !in.number(n) || !in.done() || n < 0 || n > (general ? 30 : 31))
            return no_register;
        return vector ? register_v + u32(n) : u32(n);
    }
    void read_register(ir::CpuHeader& cpu, u32 n, u8* out) const override {
        u32 flags;
        std::memcpy(&flags, home(&cpu, slots[slot_nzcv]), 4);
        switch (n) {
        case register_nzcv: flags = nzcv_of(flags); break;
        case register_fpcr: std::memcpy(&flags, home(&cpu, slots[slot_fpcr]), 4); break;
        case register_fpsr: flags = cpu.fp.flags & fpsr_bits; break;
        default: std::memcpy(out, home(&cpu, system_slots[slot_of(n)]), register_infos[n].bytes); return;
        }
        std::memcpy(out, &flags, 4);
    }
    void write_register(ir::CpuHeader& cpu, u32 n, const u8* in) const override {
        u32 value;
        std::memcpy(&value, in, 4);
        switch (n) {
        case register_nzcv:
            value = flags_of_nzcv(value);
            std::memcpy(home(&cpu, slots[slot_nzcv]), &value, 4);
            break;
        case register_fpcr:
            value &= fpcr_bits(model_);
            cpu.fp.mode = fp_mode(value);
            cpu.mode = (cpu.mode & ~mode_flush) | mode_of_fpcr(value);
            std::memcpy(home(&cpu, slots[slot_fpcr]), &value, 4);
            break;
        case register_fpsr: cpu.fp.flags = value & fpsr_bits; break;
        default: std::memcpy(home(&cpu, system_slots[slot_of(n)]), in, register_infos[n].bytes); break;
        }
        if (n >= register_system) State(cpu, model_).refresh();
    }

private:
    std::unique_ptr<Model> own_model_;
    const Model& model_;
    std::unique_ptr<System> system_;
    mutable std::once_flag debug_made_; // few runs have a debugger
    mutable std::unique_ptr<DebugView> debug_;
};

Decoder<AArch64> decoder_of(const Model& m) {
    std::vector<Table<AArch64>> tables;
    for (auto* t : all_tables) tables.push_back(*t);
    if (!m.has(Feature::pauth)) tables.push_back(pointer_authentication_hints);
    return Decoder<AArch64>(
        tables, [&](u32 feature) { return m.has(Feature(feature & 0xff)) && m.has(Feature(feature >> 8)); });
}

const Model* find_model(std::string_view name) {
    for (const Model& m : models())
        if (m.name == name) return &m;
    return nullptr;
}
Error unknown_model(std::string_view name) {
    std::vector<std::string_view> names;
    for (const Model& m : models()) names.push_back(m.name);
    return Error::invalid_argument(
        "aarch64 CPU model '{}' is unknown, expected cortex-a53, cortex-a57, cortex-a72, neoverse-n1 or max{}", name,
        did_you_mean(name, names));
}

Result<std::unique_ptr<Guest>> make(std::string_view name) {
    const Model* m = find_model(name);
    if (!m && find_model(name.substr(0, name.find(','))) && name.ends_with(",help"))
        return Error::invalid_argument("no properties in user mode");
    if (!m && find_model(name.substr(0, name.find(','))))
        return Error::invalid_argument("aarch64 CPU {}: expected a model without properties in user mode", name);
    if (!m) return unknown_model(name);
    return std::unique_ptr<Guest>(new AArch64Guest(*m, decoder_of(*m)));
}

// NAME[,PROPERTY=on|off]...: el2, el3 (both off unless said), gic-registers (of a GICv3).
Result<std::unique_ptr<Guest>> make_system(std::string_view text) {
    std::string_view name = text.substr(0, text.find(','));
    const Model* base = find_model(name);
    if (!base) return unknown_model(name);
    auto m = std::make_unique<Model>(*base);
    m->features |= u64{1} << u32(Feature::system);
    for (std::string_view rest = text.substr(name.size()); !rest.empty();) {
        rest.remove_prefix(1);
        std::string_view property = rest.substr(0, rest.find(','));
        rest.remove_prefix(property.size());
        constexpr std::pair<std::string_view, Feature> known[] = {
            {"el2", Feature::el2}, {"el3", Feature::el3}, {"gic-registers", Feature::gic_registers}};
        bool found = false;
        for (auto [word, feature] : known) {
            u64 bit = u64{1} << u32(feature);
            if (property.substr(0, property.find('=')) != word) continue;
            std::string_view value = property.substr(word.size());
            found = value == "=on" || value == "=off";
            m->features = value == "=on" ? m->features | bit : m->features & ~bit;
        }
        if (!found)
            return Error::invalid_argument(
                "property '{}' of aarch64 CPU {} is unknown, expected el2, el3 or gic-registers =on or =off", property,
                name);
    }
    auto decoder = decoder_of(*m);
    return std::unique_ptr<Guest>(new AArch64Guest(std::move(m), std::move(decoder)));
}

} // namespace

constinit const ir::GuestState state_aarch64{"aarch64", slots,     state_bytes, &softfloat::env::aarch64,
                                             nullptr,   fpsr_bits, mode_btype,  mode_flush};
constinit const ir::GuestState state_aarch64_system{"aarch64",
                                                    system_slots,
                                                    state_bytes + 8 * (slot_system_end - slot_system),
                                                    &softfloat::env::aarch64,
                                                    nullptr,
                                                    fpsr_bits,
                                                    mode_btype,
                                                    mode_flush,
                                                    slot_sp};
extern const GuestInfo guest_info;
constinit const GuestInfo guest_info{"aarch64", "max", model_names, make, make_system};

} // namespace mimic::isa::aarch64
