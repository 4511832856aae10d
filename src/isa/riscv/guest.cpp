// RISC-V 64: state, names of registers, CPU models.
#include "isa/pattern_guest.hpp"
#include "isa/riscv/system.hpp"
#include "isa/riscv/tables.hpp"
#include "isa/riscv/vector.hpp"
#include "softfloat/env.hpp"
#include <algorithm>
#include <cstring>
#include <fmt/core.h>

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

// Of 26 host registers, floating point alone has all but the least used; with V it has ten and v0 to v15 the others, in
// turns, so that a host with fewer has some of both. Compilers take fa5 and v1 first.
constexpr u8 priority_of_f(u32 n, bool vectors) {
    if (!vectors) return n >= 8 && n < 18 ? 90 : 80;
    constexpr u8 order[] = {15, 14, 10, 13, 12, 11, 16, 17, 8, 9};
    for (u32 k = 0; k < sizeof order; ++k)
        if (order[k] == n) return u8(99 - 3 * k);
    return 40;
}
constexpr u8 priority_of_v(u32 n, bool vectors) {
    if (!vectors) return 0;
    return u8(n < 16 ? 100 - 2 * n : 60 - n);
}

constexpr std::string_view system_names[] = {
    "mstatus",   "medeleg",    "mideleg",   "mie",           "mip",           "mtvec",    "mcounteren",  "menvcfg",
    "mscratch",  "mepc",       "mcause",    "mtval",         "mcountinhibit", "mseccfg",  "mcycle",      "minstret",
    "stvec",     "scounteren", "senvcfg",   "sscratch",      "sepc",          "scause",   "stval",       "satp",
    "stimecmp",  "priv",       "mhartid",   "pmpcfg0",       "pmpcfg2",       "pmpaddr0", "pmpaddr1",    "pmpaddr2",
    "pmpaddr3",  "pmpaddr4",   "pmpaddr5",  "pmpaddr6",      "pmpaddr7",      "pmpaddr8", "pmpaddr9",    "pmpaddr10",
    "pmpaddr11", "pmpaddr12",  "pmpaddr13", "pmpaddr14",     "pmpaddr15",     "mvien",    "mvip",        "sie_virtual",
    "miselect",  "siselect",   "private",   "tselect",       "tcontrol",      "mcontext", "scontext",    "tdata1_0",
    "tdata1_1",  "tdata1_2",   "tdata1_3",  "tdata2_0",      "tdata2_1",      "tdata2_2", "tdata2_3",    "tdata3_0",
    "tdata3_1",  "tdata3_2",   "tdata3_3",  "trigger_modes", "trigger_begun", "csr_old",  "csr_outcome", "csr_detail"};
static_assert(std::size(system_names) == slot_system_end - slot_system);

template <u32 Count, bool Vectors>
constexpr auto make_slots() {
    std::array<Slot, Count> s{};
    for (u32 n = 0; n < 32; ++n) {
        s[slot_x + n] = {x_names[n], u16(8 * n), Type::i64, SlotClass::gpr, priority_of_x(n)};
        s[slot_f + n] = {f_names[n], u16(256 + 8 * n), Type::f64, SlotClass::fp, priority_of_f(n, Vectors)};
    }
    s[slot_res_address] = {"res_address", 512, Type::i64, SlotClass::sys, 0};
    s[slot_res_value] = {"res_value", 520, Type::i64, SlotClass::sys, 0};
    s[slot_frm] = {"frm", 528, Type::i32, SlotClass::sys, 0};
    constexpr std::string_view config[] = {"vstart", "vl", "vtype", "vxrm"};
    for (u32 n = 0; n < std::size(config); ++n)
        s[slot_vstart + n] = {config[n], u16(vector_slots_at + 8 * n), Type::i64, SlotClass::sys, 0};
    for (u32 n = 0; n < 32; ++n)
        s[slot_v + n] = {v_names[n], u16(v_at + vlen_bytes * n), Type::v128, SlotClass::vec, priority_of_v(n, Vectors)};
    for (u32 n = slot_system; n < Count; ++n)
        s[n] = {system_names[n - slot_system], u16(system_slots_at + 8 * (n - slot_system)), Type::i64,
                n < slot_csr_old ? SlotClass::sys : SlotClass::temp, 0};
    return s;
}
constexpr auto slots = make_slots<slot_count, false>(), vector_slots = make_slots<slot_count, true>();
constexpr auto system_slots = make_slots<slot_system_end, false>();

// Every extension there is; a model that lacks some takes them away.
constexpr u64 bit(Ext e) { return u64{1} << u32(e); }
constexpr u64 aia_extensions = bit(Ext::smaia) | bit(Ext::ssaia);
constexpr u64 all_extensions = (u64{1} << u32(Ext::count)) - 1,
              for_system = bit(Ext::system) | bit(Ext::sdtrig) | aia_extensions;
constexpr Model models[] = {
    {"rv64", all_extensions & ~for_system & ~bit(Ext::v)},
    {"max", all_extensions & ~for_system & ~bit(Ext::v)},
};
constexpr Model system_models[] = {
    {"rv64", all_extensions & ~aia_extensions & ~bit(Ext::v)},
    {"max", all_extensions & ~aia_extensions & ~bit(Ext::v)},
};
// Properties of a model: what can be asked for, or taken away.
using Property = std::pair<std::string_view, Ext>;
constexpr Property user_properties[] = {{"v", Ext::v}};
constexpr Property system_properties[] = {{"smaia", Ext::smaia}, {"ssaia", Ext::ssaia}, {"debug", Ext::sdtrig}};
constexpr std::string_view model_names[] = {"rv64", "max"};
// What every model has, by the names that others give it: asked for, it is granted.
constexpr Property always[] = {
    {"i", Ext::i},           {"m", Ext::m},           {"a", Ext::a},           {"f", Ext::f},
    {"d", Ext::d},           {"g", Ext::d},           {"c", Ext::zca},         {"zca", Ext::zca},
    {"zcd", Ext::zcd},       {"zba", Ext::zba},       {"zbb", Ext::zbb},       {"zbc", Ext::zbc},
    {"zbs", Ext::zbs},       {"zicond", Ext::zicond}, {"zicsr", Ext::zicsr},   {"zifencei", Ext::zifencei},
    {"zicntr", Ext::zicntr}, {"zicbom", Ext::zicbom}, {"zicboz", Ext::zicboz}, {"zicbop", Ext::zicbop},
    {"zfhmin", Ext::zfhmin}, {"zfh", Ext::zfh},       {"zfa", Ext::zfa},       {"zacas", Ext::zacas},
    {"zawrs", Ext::zawrs}};
constexpr std::string_view fixed_values[] = {"vlen=128",          "elen=64",           "vext_spec=v1.0",
                                             "cbom_blocksize=64", "cbop_blocksize=64", "cboz_blocksize=64"};
static_assert(vlen_bytes == 16);
constexpr std::string_view granted_words =
    "i m a f d g c zca zcd zba zbb zbc zbs zicond zicsr zifencei zicntr zicbom zicboz zicbop zfhmin zfh zfa zacas "
    "zawrs =on, "
    "vlen=128, elen=64, vext_spec=v1.0, cbom_blocksize=64, cbop_blocksize=64, cboz_blocksize=64";

// In the manual's order; a row that stands in another's encoding space has more fixed bits.
constexpr Table<RiscV> const* all_tables[] = {
    &rv64i,     &zifencei, &zicsr, &zicond,   &rv64m,     &rv64a,      &zawrs,  &zacas,    &zicbom,
    &zicboz,    &zicbop,   &rv64f, &rv64d,    &zfhmin,    &zfhmin_d,   &zfh,    &zfa,      &zfa_d,
    &zfa_h,     &zca,      &zcd,   &zba,      &zbb,       &zbc,        &zbs,    &v_config, &v_memory,
    &v_integer, &v_fixed,  &v_fp,  &v_reduce, &v_permute, &privileged, &svinval};

// x1 to x31, f0 to f31, fcsr, the reservation.
constexpr u32 register_fcsr = 63, register_res = 64, register_count = 66;
// Then of V, in the form for user mode: vstart, vl, vtype, vcsr, v0 to v31.
constexpr u32 register_vector = register_count, register_vcsr = register_vector + 3, register_v = register_vector + 4,
              register_vector_end = register_v + 32;
// Or, in the system form, what is kept of the privileged state.
constexpr u32 register_system = register_count, register_system_count = register_system + slot_csr_old - slot_system;
constexpr auto make_registers() {
    constexpr std::string_view numbers[] = {
        "x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",  "x7",  "x8",  "x9",  "x10", "x11", "x12", "x13", "x14", "x15",
        "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x29", "x30", "x31",
        "f0",  "f1",  "f2",  "f3",  "f4",  "f5",  "f6",  "f7",  "f8",  "f9",  "f10", "f11", "f12", "f13", "f14", "f15",
        "f16", "f17", "f18", "f19", "f20", "f21", "f22", "f23", "f24", "f25", "f26", "f27", "f28", "f29", "f30", "f31"};
    std::array<RegisterInfo, register_system_count> r{};
    for (u32 n = 0; n < register_fcsr; ++n) r[n] = {.name = numbers[n + 1], .fp = n >= 31};
    r[register_fcsr] = {.name = "fcsr", .bytes = 4};
    r[register_res] = {.name = "res_address", .internal = true};
    r[register_res + 1] = {.name = "res_value", .internal = true};
    for (u32 n = register_system; n < register_system_count; ++n) r[n].name = system_names[n - register_system];
    return r;
}
constexpr auto register_infos = make_registers();
constexpr auto make_vector_registers() {
    std::array<RegisterInfo, register_vector_end> r{};
    for (u32 n = 0; n < register_vector; ++n) r[n] = register_infos[n];
    r[register_vector] = {"vstart"}, r[register_vector + 1] = {"vl"}, r[register_vector + 2] = {"vtype"};
    r[register_vcsr] = {.name = "vcsr", .bytes = 4};
    for (u32 n = 0; n < 32; ++n) r[register_v + n] = {.name = v_names[n], .bytes = vlen_bytes};
    return r;
}
constexpr auto vector_register_infos = make_vector_registers();

class RiscVGuest final : public PatternGuest<RiscV> {
public:
    RiscVGuest(const Model& m, Decoder<RiscV> d) : PatternGuest(std::move(d)), model_(m) {}
    std::string_view name() const override { return "riscv64"; }
    std::string_view model() const override { return model_.name; }
    const ir::GuestState& state() const override { return state_of(model_); }
    const System* system() const override { return has_system() ? &system_of(model_) : nullptr; }
    const DebugView* debug() const override { return &debug_view(has_system(), parts_of(model_)); }
    u32 min_insn_bytes() const override { return model_.has(Ext::zca) ? 2 : 4; }
    u32 max_insn_bytes() const override { return 4; }
    std::unique_ptr<FrontEnd> front_end(ir::Unit& unit) const override {
        return std::make_unique<PatternFrontEnd<RiscV>>(decoder(), unit, model_);
    }

    std::span<const RegisterInfo> registers() const override {
        if (has_system()) return register_infos;
        return std::span(vector_register_infos).first(model_.has(Ext::v) ? register_vector_end : register_count);
    }
    u32 find_register(std::string_view name) const override {
        for (u32 n = 0; n < registers().size(); ++n)
            if (registers()[n].name == name) return n;
        for (u32 n = 1; n < 32; ++n)
            if (x_names[n] == name) return n - 1;
        for (u32 n = 0; n < 32; ++n)
            if (f_names[n] == name) return n + 31;
        return name == "fp" ? 8 - 1 : no_register;
    }
    void read_register(ir::CpuHeader& cpu, u32 n, u8* out) const override {
        if (is_vector(n)) return read_vector(cpu, n, out);
        if (n != register_fcsr) {
            std::memcpy(out, home(&cpu, system_slots[slot_of(n)]), 8);
            return;
        }
        const u32 fcsr = get_fcsr(cpu);
        std::memcpy(out, &fcsr, 4);
    }
    void write_register(ir::CpuHeader& cpu, u32 n, const u8* in) const override {
        if (is_vector(n)) return write_vector(cpu, n, in);
        if (n != register_fcsr) {
            std::memcpy(home(&cpu, system_slots[slot_of(n)]), in, 8);
            if (n >= register_system) State(cpu).refresh_mode();
            return;
        }
        u32 fcsr;
        std::memcpy(&fcsr, in, 4);
        set_fcsr(cpu, fcsr, has_system());
    }

private:
    static u32 slot_of(u32 n) {
        if (n >= register_system) return n - register_system + slot_system;
        return n < register_fcsr ? n + 1 : n - register_res + slot_res_address;
    }
    bool has_system() const { return model_.has(Ext::system); }
    bool is_vector(u32 n) const { return !has_system() && n >= register_vector; }
    // vtype as the guest reads it; vcsr is vxrm above vxsat.
    void read_vector(ir::CpuHeader& cpu, u32 n, u8* out) const {
        if (n >= register_v) return void(std::memcpy(out, home(&cpu, slots[slot_v + n - register_v]), vlen_bytes));
        u64 value;
        std::memcpy(&value, home(&cpu, slots[slot_vstart + n - register_vector]), 8);
        if (n == register_vector + 2) value ^= vtype_vill;
        if (n == register_vcsr) value = value << 1 | bool(cpu.fp.flags & ir::fpflag::saturated);
        std::memcpy(out, &value, vector_register_infos[n].bytes);
    }
    void write_vector(ir::CpuHeader& cpu, u32 n, const u8* in) const {
        if (n >= register_v) return void(std::memcpy(home(&cpu, slots[slot_v + n - register_v]), in, vlen_bytes));
        u64 value = 0;
        std::memcpy(&value, in, vector_register_infos[n].bytes);
        if (n == register_vector + 2) value = vtype_slot(value);
        if (n == register_vcsr) {
            cpu.fp.flags = (cpu.fp.flags & ~ir::fpflag::saturated) | (value & 1 ? ir::fpflag::saturated : 0);
            value = value >> 1 & 3;
        }
        std::memcpy(home(&cpu, slots[slot_vstart + n - register_vector]), &value, 8);
        auto slot = [&](u16 which) {
            u64 v;
            std::memcpy(&v, home(&cpu, slots[which]), 8);
            return v;
        };
        cpu.mode = (cpu.mode & ~mode_v) | mode_of_v(slot(slot_vtype), slot(slot_vl), slot(slot_vstart));
    }
    const Model model_;
};

Result<Model> find_model(std::span<const Model> known, std::string_view name) {
    for (const Model& m : known)
        if (m.name == name) return m;
    return Error::invalid_argument("riscv64 CPU model '{}' is unknown, expected rv64 or max", name);
}

std::unique_ptr<Guest> make_of(const Model& m) {
    std::vector<Table<RiscV>> tables;
    for (auto* t : all_tables) tables.push_back(*t);
    Decoder<RiscV> decoder(tables, [&](u32 feature) { return m.has(Ext(feature & 0xff)) && m.has(Ext(feature >> 8)); });
    return std::make_unique<RiscVGuest>(m, std::move(decoder));
}

bool is_on(std::string_view value) { return value == "on" || value == "true"; }
bool is_off(std::string_view value) { return value == "off" || value == "false"; }

bool is_granted(std::string_view name, std::string_view value) {
    for (auto [word, extension] : always)
        if (word == name) return is_on(value);
    return std::any_of(std::begin(fixed_values), std::end(fixed_values), [&](std::string_view fixed) {
        return fixed.substr(0, fixed.find('=')) == name && fixed.substr(fixed.find('=') + 1) == value;
    });
}

Result<void> set_property(Model& m, std::string_view property, std::span<const Property> properties) {
    const size_t equals = property.find('=');
    const std::string_view name = property.substr(0, equals),
                           value = equals == property.npos ? std::string_view() : property.substr(equals + 1);
    std::string expected;
    for (auto [word, extension] : properties) {
        expected += fmt::format("{}{}", expected.empty() ? "" : " or ", word);
        if (name != word || !(is_on(value) || is_off(value))) continue;
        m.extensions = is_on(value) ? m.extensions | bit(extension) : m.extensions & ~bit(extension);
        return {};
    }
    if (is_granted(name, value)) return {};
    if (property == "help") // as for a model that is not there: what there is
        return Error::invalid_argument("{} =on or =off\nwhat every model has, and accepts: {}", expected,
                                       granted_words);
    return Error::invalid_argument(
        "property '{}' of riscv64 CPU {}: expected {} =on or =off, or what it has always: {}", property, m.name,
        expected, granted_words);
}

// NAME[,PROPERTY=VALUE]...
Result<std::unique_ptr<Guest>> make_with(std::string_view text, std::span<const Model> known,
                                         std::span<const Property> properties) {
    std::string_view name = text.substr(0, text.find(','));
    Model m = TRY(find_model(known, name));
    for (std::string_view rest = text.substr(name.size()); !rest.empty();) {
        rest.remove_prefix(1);
        std::string_view property = rest.substr(0, rest.find(','));
        rest.remove_prefix(property.size());
        TRY(set_property(m, property, properties));
    }
    return make_of(m);
}
Result<std::unique_ptr<Guest>> make(std::string_view text) { return make_with(text, models, user_properties); }
Result<std::unique_ptr<Guest>> make_system(std::string_view text) {
    return make_with(text, system_models, system_properties);
}

} // namespace

u32 get_fcsr(ir::CpuHeader& cpu) {
    u32 frm;
    std::memcpy(&frm, home(&cpu, slots[slot_frm]), 4);
    return frm << 5 | ir::reversed_flags(cpu.fp.flags); // 20.2: in the opposite order
}
void set_fcsr(ir::CpuHeader& cpu, u32 fcsr, bool system) {
    const u32 frm = fcsr >> 5 & 7;
    std::memcpy(home(&cpu, slots[slot_frm]), &frm, 4);
    cpu.fp = {.flags = ir::reversed_flags(fcsr) | (cpu.fp.flags & ir::fpflag::saturated), .mode = frm};
    cpu.mode = system ? State(cpu).mode() : (cpu.mode & ~mode_frm) | mode_of_frm(frm);
}

constinit const ir::GuestState state_rv64_system{.name = "riscv64",
                                                 .slots = system_slots,
                                                 .bytes = system_slots_at + 8 * (slot_system_end - slot_system),
                                                 .fp = &softfloat::env::riscv,
                                                 .stack = slot_x + 2};
constinit const ir::GuestState state_rv64_vectors{.name = "riscv64",
                                                  .slots = vector_slots,
                                                  .bytes = system_slots_at,
                                                  .fp = &softfloat::env::riscv,
                                                  .fp_flags = 0x1f | ir::fpflag::saturated};
constinit const ir::GuestState state_rv64{.name = "riscv64",
                                          .slots = slots,
                                          .bytes = system_slots_at,
                                          .fp = &softfloat::env::riscv,
                                          .fp_flags = 0x1f | ir::fpflag::saturated};
extern const GuestInfo guest_info;
constinit const GuestInfo guest_info{"riscv64", "rv64", model_names, make, make_system, "riscv"};

} // namespace mimic::isa::riscv
