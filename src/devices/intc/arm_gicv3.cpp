// Generic interrupt controller, architecture version 3: distributor, a redistributor and a CPU interface for each processor,
// LPIs. Source: Arm IHI 0069H, chapters 4 (handling and prioritization), 5 (LPIs) and 12 (programmers' model).
// One Security state (GICD_CTLR.DS is one), affinity routing always, 5 bits of priority (32 levels).
// Not there: two Security states, virtual interfaces (ICH, ICV), message-based SPIs, extended ranges.
//
// Regions: distributor; redistributors, two frames of 64 KiB a processor. Input lines as of the GICv2: SPI n is line n,
// behind them 32 lines a processor.
#include "devices/intc/arm_gicv3.hpp"
#include "devices/base/machine.hpp"
#include "devices/base/registers.hpp"
#include "devices/intc/gic_interrupts.hpp"
#include <algorithm>

namespace mimic::devices {
namespace {

constexpr u32 max_cpus = 512, max_irqs = 1020, banked = GicInterrupts::banked, sgis = GicInterrupts::sgis;
constexpr u32 spurious = 1023, first_special = 1020;
constexpr u8 idle = 0xff, priority_bits = 0xf8, point0_least = 2, point1_least = 3;
constexpr u64 redistributor_bytes = 0x20000, sgi_frame = 0x10000;
constexpr u32 max_lpis = (1u << GicV3::id_bits) - GicV3::first_lpi;
// GICD_CTLR
constexpr u32 EnableGrp0 = 1, EnableGrp1 = 2, ARE = 1 << 4, DS = 1 << 6;
// GICR_WAKER
constexpr u8 ProcessorSleep = 2, ChildrenAsleep = 4;
// GICR_PROPBASER and GICR_PENDBASER
constexpr u64 base_mask = 0x000ffffffffff000, PTZ = u64{1} << 62;
// ICC_CTLR_EL1
constexpr u8 CBPR = 1, EOImode = 2;
constexpr u32 PRIbits_5 = 4 << 8;

struct Lpi {
    u32 id = 0;
    u8 config = 0; // as in the configuration table: priority in 7:2, enabled in 0
};

// The CPU interface of one processor.
struct Interface {
    u8 mask = 0, point0 = point0_least, point1 = point1_least, control = 0, enabled0 = 0, enabled1 = 0;
    u32 active0 = 0, active1 = 0; // active priorities, one bit a level
};

// op0 is 3 for all.
constexpr u32 reg(u32 op1, u32 n, u32 m, u32 op2) { return 3u << 14 | op1 << 11 | n << 7 | m << 3 | op2; }

class ArmGicV3 final : public GicV3, public LineSink {
public:
    std::string_view type() const override { return "arm-gicv3"; }
    void describe(Describe& d) override;
    Result<void> realize() override {
        if (irqs_ % 32) return Error::invalid_argument("num-irq: {}, expected a multiple of 32", irqs_);
        i_.resize(cpus_, irqs_);
        router_.assign(irqs_ - banked, 0);
        waker_.assign(cpus_, 0);
        lpis_enabled_.assign(cpus_, 0);
        for (auto* list : {&properties_, &pending_table_}) list->assign(cpus_, 0);
        lpis_ = std::vector<std::vector<Lpi>>(cpus_);
        interface_ = std::vector<Interface>(cpus_);
        irq_ = std::vector<Line>(cpus_);
        fiq_ = std::vector<Line>(cpus_);
        return {};
    }
    u32 context_rank() const override { return 2; } // the translation service and MSI frames are of rank 1
    LineSink* inputs() override { return this; }
    void reset(ResetKind) override {
        std::fill(i_.edge.begin(), i_.edge.begin() + cpus_, 0xffff); // SGIs
        update();
    }
    Result<void> after_load() override {
        for (const auto& list : lpis_)
            for (const Lpi& l : list)
                if (l.id < first_lpi || l.id >= 1u << id_bits) return Error::corrupt("lpi: {} is no LPI", l.id);
        return {};
    }
    void set_line(u32 line, bool level) override {
        Context::Entry entry(context());
        if (entry && i_.drive(line, level)) update();
    }
    u32 processors() const override { return cpus_; }

    bool read_register(u32 cpu, u32 number, u64& value) override;
    bool write_register(u32 cpu, u32 number, u64 value) override;

    void set_lpi(u32 cpu, u32 id, bool pending) override {
        Context::Entry entry(context());
        if (!entry || !has_lpi(cpu, id)) return;
        auto& list = lpis_[cpu];
        auto it = std::find_if(list.begin(), list.end(), [&](const Lpi& l) { return l.id == id; });
        if (pending && it == list.end()) list.push_back({id, config_of(cpu, id)});
        if (!pending && it != list.end()) list.erase(it);
        update_one(cpu);
    }
    void move_lpi(u32 from, u32 to, u32 id) override {
        Context::Entry entry(context());
        if (!entry || !has_lpi(from, id) || !has_lpi(to, id)) return;
        auto same = [&](const Lpi& l) { return l.id == id; };
        if (std::erase_if(lpis_[from], same) && std::none_of(lpis_[to].begin(), lpis_[to].end(), same))
            lpis_[to].push_back({id, config_of(to, id)});
        update();
    }
    void move_all_lpis(u32 from, u32 to) override {
        Context::Entry entry(context());
        if (!entry || from >= cpus_ || to >= cpus_ || from == to) return;
        for (const Lpi& l : std::exchange(lpis_[from], {})) {
            auto same = [&](const Lpi& other) { return other.id == l.id; };
            if (std::none_of(lpis_[to].begin(), lpis_[to].end(), same)) lpis_[to].push_back(l);
        }
        update();
    }
    void reload_lpis(u32 id) override {
        Context::Entry entry(context());
        if (!entry) return;
        for (u32 c = 0; c < cpus_; c++)
            for (Lpi& l : lpis_[c])
                if (id == 0 || l.id == id) l.config = config_of(c, l.id);
        update();
    }

private:
    // ---- what is pending and for whom ---------------------------------------------------------------------------------
    static u32 processor_of(u64 affinity) { return u32((affinity & 0xff) + 16 * (affinity >> 8 & 0xff)); }
    static u64 affinity_of(u32 cpu) { return cpu % 16 | u64{cpu / 16} << 8; }
    // With IRM any processor may take it: the first does.
    u32 target(u32 id) const {
        u64 r = router_[id - banked];
        return r >> 31 & 1 ? 0 : processor_of(r);
    }
    struct Best {
        u32 id = spurious;
        u8 priority = idle;
        bool group1 = false;
    };
    Best best(u32 cpu) const {
        Best out;
        const Interface& f = interface_[cpu];
        bool group0 = (distributor_ & EnableGrp0) && f.enabled0, group1 = (distributor_ & EnableGrp1) && f.enabled1;
        if (waker_[cpu] & ChildrenAsleep) return out;
        for (u32 w = 0; w < i_.words(); w++) {
            u32 ones = i_.group1[i_.slot(cpu, w)];
            u32 waiting = i_.waiting(cpu, w) & ((group0 ? ~ones : 0) | (group1 ? ones : 0));
            for (; waiting; waiting &= waiting - 1) {
                u32 id = w * 32 + u32(__builtin_ctz(waiting));
                u8 priority = i_.priority[i_.index(cpu, id)];
                if (priority >= out.priority || (id >= banked && target(id) != cpu)) continue;
                out = {id, priority, (ones >> (id % 32) & 1) != 0};
            }
        }
        if (!group1 || !lpis_enabled_[cpu]) return out;
        for (const Lpi& l : lpis_[cpu])
            if (u8 priority = l.config & 0xfc & priority_bits; (l.config & 1) && priority < out.priority)
                out = {l.id, priority, true};
        return out;
    }
    static u8 group_mask(const Interface& f, bool group1) {
        u32 point = group1 && !(f.control & CBPR) ? f.point1 : f.point0 + 1;
        return u8(point > 7 ? 0 : 0xffu << point);
    }
    static u8 running(const Interface& f) {
        u32 both = f.active0 | f.active1;
        return both ? u8(__builtin_ctz(both) << 3) : idle;
    }
    static bool signalled(const Interface& f, const Best& b) {
        if (b.id == spurious || b.priority >= f.mask) return false;
        u8 now = running(f);
        return now == idle || (b.priority & group_mask(f, b.group1)) < now;
    }
    void update_one(u32 cpu) {
        Best b = best(cpu);
        bool on = signalled(interface_[cpu], b);
        irq_[cpu].set(on && b.group1);
        fiq_[cpu].set(on && !b.group1);
    }
    void update() {
        for (u32 c = 0; c < cpus_; c++) update_one(c);
    }

    // ---- CPU interface --------------------------------------------------------------------------------------------------
    template <bool group1>
    u64 read_acknowledge(u32 cpu) {
        Interface& f = interface_[cpu];
        Best b = best(cpu);
        if (!signalled(f, b) || b.group1 != group1) return spurious;
        if (b.id >= first_lpi) {
            std::erase_if(lpis_[cpu], [&](const Lpi& l) { return l.id == b.id; });
        } else {
            i_.assign(i_.latched, cpu, b.id, false);
            i_.assign(i_.active, cpu, b.id, true);
        }
        u32 level = (b.priority & group_mask(f, group1)) >> 3;
        (group1 ? f.active1 : f.active0) |= u32{1} << level;
        b.id < banked || b.id >= first_lpi ? update_one(cpu) : update();
        return b.id;
    }
    template <bool group1>
    void write_end(u32 cpu, u64 v) {
        Interface& f = interface_[cpu];
        u32 id = v & 0xffffff;
        if (id >= first_special && id < first_lpi) return;
        u32& active = group1 ? f.active1 : f.active0;
        active &= active - 1; // the most urgent one; of zero nothing is left
        if (!(f.control & EOImode)) deactivate(cpu, id);
        update_one(cpu);
    }
    void deactivate(u32 cpu, u32 id) {
        if (id >= irqs_) return;
        i_.assign(i_.active, cpu, id, false);
        id < banked ? update_one(cpu) : update();
    }
    void write_deactivate(u32 cpu, u64 v) { deactivate(cpu, v & 0xffffff); }
    template <bool group1>
    u64 read_highest(u32 cpu) {
        Best b = best(cpu);
        return b.group1 == group1 ? b.id : spurious;
    }
    u64 read_running(u32 cpu) { return running(interface_[cpu]); }
    u64 read_mask(u32 cpu) { return interface_[cpu].mask; }
    void write_mask(u32 cpu, u64 v) { interface_[cpu].mask = u8(v) & priority_bits; }
    u64 read_point0(u32 cpu) { return interface_[cpu].point0; }
    void write_point0(u32 cpu, u64 v) { interface_[cpu].point0 = std::max(u8(v & 7), point0_least); }
    u64 read_point1(u32 cpu) {
        const Interface& f = interface_[cpu];
        return f.control & CBPR ? std::min(f.point0 + 1, 7) : f.point1;
    }
    void write_point1(u32 cpu, u64 v) {
        if (!(interface_[cpu].control & CBPR)) interface_[cpu].point1 = std::max(u8(v & 7), point1_least);
    }
    u64 read_control(u32 cpu) { return interface_[cpu].control | PRIbits_5; }
    void write_control(u32 cpu, u64 v) { interface_[cpu].control = u8(v & (CBPR | EOImode)); }
    u64 read_enabled0(u32 cpu) { return interface_[cpu].enabled0; }
    void write_enabled0(u32 cpu, u64 v) { interface_[cpu].enabled0 = v & 1; }
    u64 read_enabled1(u32 cpu) { return interface_[cpu].enabled1; }
    void write_enabled1(u32 cpu, u64 v) { interface_[cpu].enabled1 = v & 1; }
    u64 read_active0(u32 cpu) { return interface_[cpu].active0; }
    void write_active0(u32 cpu, u64 v) { interface_[cpu].active0 = u32(v); }
    u64 read_active1(u32 cpu) { return interface_[cpu].active1; }
    void write_active1(u32 cpu, u64 v) { interface_[cpu].active1 = u32(v); }
    u64 read_enable_system(u32) { return 7; } // SRE, DFB, DIB: there is nothing but system registers
    u64 read_enable_system2(u32) { return 15; }
    void ignore(u32, u64) {}
    template <bool group1>
    void write_sgi(u32 cpu, u64 v) {
        u32 id = v >> 24 & 15;
        bool others = v >> 40 & 1;
        u64 cluster = (v >> 16 & 0xff) << 8 | (v >> 32 & 0xff) << 16 | (v >> 48 & 0xff) << 32;
        for (u32 t = 0; t < cpus_; t++) {
            u64 affinity = affinity_of(t);
            bool named = (affinity & ~u64{0xff}) == cluster && (v >> 44 & 15) == 0 && (v >> (affinity & 15) & 1);
            if (others ? t == cpu : !named) continue;
            if (i_.test(i_.group1, t, id) != group1) continue;
            i_.assign(i_.latched, t, id, true);
            update_one(t);
        }
    }
    struct SystemRegister {
        u32 number;
        u64 (ArmGicV3::*read)(u32 cpu);
        void (ArmGicV3::*write)(u32 cpu, u64 value);
    };
    static const SystemRegister system_registers[];

    // ---- distributor ----------------------------------------------------------------------------------------------------
    u64 read_distributor() { return distributor_ | ARE | DS; }
    void write_distributor(u64 v) {
        distributor_ = v & (EnableGrp0 | EnableGrp1);
        update();
    }
    // 16 bits of INTID; LPIs when there is a translation service.
    u64 type_register() { return (i_.words() - 1) | u32{has_lpi_} << 17 | (id_bits - 1) << 19; }
    u64 implementer() { return 0x43b; }
    // Reads as zero for words of the redistributors: with affinity routing they are not here.
    bool shared(u32 word) const { return word > 0 && word < i_.words(); }
    u64 read_map(const GicInterrupts::Words& map, u32 word) const { return shared(word) ? map[i_.slot(0, word)] : 0; }
    void write_map(GicInterrupts::Words& map, u32 word, u64 v, bool on) {
        if (!shared(word)) return;
        u32& w = map[i_.slot(0, word)];
        w = on ? w | u32(v) : w & ~u32(v);
        update();
    }
    u64 read_group(u32 w) { return read_map(i_.group1, w); }
    void write_group(u32 w, u64 v) {
        write_map(i_.group1, w, ~v, false);
        write_map(i_.group1, w, v, true);
    }
    u64 read_enabled(u32 w) { return read_map(i_.enabled, w); }
    void set_enabled(u32 w, u64 v) { write_map(i_.enabled, w, v, true); }
    void clear_enabled(u32 w, u64 v) { write_map(i_.enabled, w, v, false); }
    u64 read_pending(u32 w) { return shared(w) ? i_.pending(0, w) : 0; }
    void set_pending(u32 w, u64 v) { write_map(i_.latched, w, v, true); }
    void clear_pending(u32 w, u64 v) { write_map(i_.latched, w, v, false); }
    u64 read_active(u32 w) { return read_map(i_.active, w); }
    void set_active(u32 w, u64 v) { write_map(i_.active, w, v, true); }
    void clear_active(u32 w, u64 v) { write_map(i_.active, w, v, false); }
    u64 read_priority(u32 id) { return id >= banked && id < irqs_ ? i_.priority[i_.index(0, id)] : 0; }
    void write_priority(u32 id, u64 v) {
        if (id < banked || id >= irqs_) return;
        i_.priority[i_.index(0, id)] = u8(v) & priority_bits;
        update();
    }
    u64 read_config(u32 n) { return shared(n / 2) ? i_.read_config(0, n) : 0; }
    void write_config(u32 n, u64 v) {
        if (!shared(n / 2)) return;
        i_.write_config(0, n, u32(v));
        update();
    }
    u64 read_router(u32 n) { return n + banked < irqs_ ? router_[n] : 0; }
    void write_router(u32 n, u64 v) {
        if (n + banked >= irqs_) return;
        router_[n] = v & 0xff80ffffff;
        update();
    }
    u64 identification(u32 i) {
        constexpr u8 ids[] = {0x44, 0, 0, 0, 0x92, 0xb4, 0x3b, 0, 0x0d, 0xf0, 0x05, 0xb1};
        return ids[i];
    }

    // ---- redistributors -------------------------------------------------------------------------------------------------
    bool has_lpi(u32 cpu, u32 id) const { return has_lpi_ && cpu < cpus_ && id >= first_lpi && id < 1u << id_bits; }
    u8 config_of(u32 cpu, u32 id) const {
        u64 base = properties_[cpu];
        u8 config = 0;
        if (id >> std::min<u64>((base & 31) + 1, 31)) return 0;
        if (memory().read((base & base_mask) + id - first_lpi, &config, 1) != memory::Outcome::ok) return 0;
        return config;
    }
    u64 read_redistributor() { return lpis_enabled_[frame()]; }
    void write_redistributor(u64 v) {
        u32 c = frame();
        if (!has_lpi_ || !(v & 1) || lpis_enabled_[c]) return; // once enabled it may stay so (12.11.2)
        lpis_enabled_[c] = 1;
        if (!(pending_table_[c] & PTZ)) load_pending(c);
        update_one(c);
    }
    // One bit an INTID, from INTID 0 on.
    void load_pending(u32 c) {
        std::vector<u8> table((1u << id_bits) / 8);
        u64 base = pending_table_[c] & base_mask;
        if (memory().read(base, table.data(), table.size()) != memory::Outcome::ok) return;
        lpis_[c].clear();
        for (u32 id = first_lpi; id < 1u << id_bits; id++)
            if (table[id / 8] >> (id % 8) & 1) lpis_[c].push_back({id, config_of(c, id)});
    }
    u64 redistributor_type() {
        u32 c = frame();
        return u64{has_lpi_} | u64{c == cpus_ - 1} << 4 | u64{c} << 8 | affinity_of(c) << 32;
    }
    u64 read_waker() { return waker_[frame()]; }
    void write_waker(u64 v) {
        waker_[frame()] = v & ProcessorSleep ? ProcessorSleep | ChildrenAsleep : 0;
        update_one(frame());
    }
    u64 read_properties() { return properties_[frame()]; }
    void write_properties(u64 v) {
        if (!lpis_enabled_[frame()]) properties_[frame()] = v & (base_mask | 0xf9f);
    }
    u64 read_pending_table() { return pending_table_[frame()] & ~PTZ; }
    void write_pending_table(u64 v) {
        if (!lpis_enabled_[frame()]) pending_table_[frame()] = v & (base_mask | 0xf80 | PTZ);
    }
    u64 own(const GicInterrupts::Words& map) const { return map[frame()]; }
    void change_own(GicInterrupts::Words& map, u64 v, bool on) {
        u32& w = map[frame()];
        w = on ? w | u32(v) : w & ~u32(v);
        update_one(frame());
    }
    u64 own_group() { return own(i_.group1); }
    void write_own_group(u64 v) {
        i_.group1[frame()] = u32(v);
        update_one(frame());
    }
    u64 own_enabled() { return own(i_.enabled); }
    void set_own_enabled(u64 v) { change_own(i_.enabled, v, true); }
    void clear_own_enabled(u64 v) { change_own(i_.enabled, v, false); }
    u64 own_pending() { return i_.pending(frame(), 0); }
    void set_own_pending(u64 v) { change_own(i_.latched, v, true); }
    void clear_own_pending(u64 v) { change_own(i_.latched, v, false); }
    u64 own_active() { return own(i_.active); }
    void set_own_active(u64 v) { change_own(i_.active, v, true); }
    void clear_own_active(u64 v) { change_own(i_.active, v, false); }
    u64 own_priority(u32 id) { return i_.priority[i_.index(frame(), id)]; }
    void write_own_priority(u32 id, u64 v) {
        i_.priority[i_.index(frame(), id)] = u8(v) & priority_bits;
        update_one(frame());
    }
    u64 own_config(u32 n) { return i_.read_config(frame(), n); }
    void write_own_config(u32 n, u64 v) {
        i_.write_config(frame(), n, u32(v));
        update_one(frame());
    }

    static const RegRow<ArmGicV3> distributor_regs[];
    static const RegRow<ArmGicV3> redistributor_regs[];
    u32 cpus_ = 1, irqs_ = 96;
    bool has_lpi_ = false, awake_ = false;
    u32 distributor_ = 0;
    GicInterrupts i_;
    std::vector<u64> router_;                     // of SPIs
    std::vector<u8> waker_, lpis_enabled_;        // of each processor
    std::vector<u64> properties_, pending_table_; // GICR_PROPBASER, GICR_PENDBASER
    std::vector<std::vector<Lpi>> lpis_;          // that are pending
    std::vector<Interface> interface_;
    std::vector<Line> irq_, fiq_;
};

using G = ArmGicV3;
constexpr G::SystemRegister G::system_registers[] = {
    {reg(0, 4, 6, 0), &G::read_mask, &G::write_mask},           // ICC_PMR_EL1
    {reg(0, 12, 8, 0), &G::read_acknowledge<false>, nullptr},   // ICC_IAR0_EL1
    {reg(0, 12, 8, 1), nullptr, &G::write_end<false>},          // ICC_EOIR0_EL1
    {reg(0, 12, 8, 2), &G::read_highest<false>, nullptr},       // ICC_HPPIR0_EL1
    {reg(0, 12, 8, 3), &G::read_point0, &G::write_point0},      // ICC_BPR0_EL1
    {reg(0, 12, 8, 4), &G::read_active0, &G::write_active0},    // ICC_AP0R0_EL1
    {reg(0, 12, 9, 0), &G::read_active1, &G::write_active1},    // ICC_AP1R0_EL1
    {reg(0, 12, 11, 1), nullptr, &G::write_deactivate},         // ICC_DIR_EL1
    {reg(0, 12, 11, 3), &G::read_running, nullptr},             // ICC_RPR_EL1
    {reg(0, 12, 11, 5), nullptr, &G::write_sgi<true>},          // ICC_SGI1R_EL1
    {reg(0, 12, 11, 6), nullptr, &G::ignore},                   // ICC_ASGI1R_EL1
    {reg(0, 12, 11, 7), nullptr, &G::write_sgi<false>},         // ICC_SGI0R_EL1
    {reg(0, 12, 12, 0), &G::read_acknowledge<true>, nullptr},   // ICC_IAR1_EL1
    {reg(0, 12, 12, 1), nullptr, &G::write_end<true>},          // ICC_EOIR1_EL1
    {reg(0, 12, 12, 2), &G::read_highest<true>, nullptr},       // ICC_HPPIR1_EL1
    {reg(0, 12, 12, 3), &G::read_point1, &G::write_point1},     // ICC_BPR1_EL1
    {reg(0, 12, 12, 4), &G::read_control, &G::write_control},   // ICC_CTLR_EL1
    {reg(0, 12, 12, 5), &G::read_enable_system, &G::ignore},    // ICC_SRE_EL1
    {reg(0, 12, 12, 6), &G::read_enabled0, &G::write_enabled0}, // ICC_IGRPEN0_EL1
    {reg(0, 12, 12, 7), &G::read_enabled1, &G::write_enabled1}, // ICC_IGRPEN1_EL1
    {reg(4, 12, 9, 5), &G::read_enable_system2, &G::ignore},    // ICC_SRE_EL2
};

bool ArmGicV3::read_register(u32 cpu, u32 number, u64& value) {
    for (const SystemRegister& r : system_registers)
        if (r.number == number && r.read && cpu < cpus_) {
            Context::Entry entry(context());
            if (entry) value = (this->*r.read)(cpu);
            return bool(entry);
        }
    return false;
}
bool ArmGicV3::write_register(u32 cpu, u32 number, u64 value) {
    for (const SystemRegister& r : system_registers)
        if (r.number == number && r.write && cpu < cpus_) {
            Context::Entry entry(context());
            if (!entry) return false;
            (this->*r.write)(cpu, value);
            update_one(cpu);
            return true;
        }
    return false;
}

constexpr RegRow<G> G::distributor_regs[] = {
    {0x000, "GICD_CTLR", {}, {.read = &G::read_distributor, .write = &G::write_distributor}},
    {0x004, "GICD_TYPER", {}, {.read = &G::type_register}},
    {0x008, "GICD_IIDR", {}, {.read = &G::implementer}},
    {0x00c, "GICD_TYPER2/STATUSR", {}, {.count = 2}},
    {0x080, "GICD_IGROUPR", {}, {.read_at = &G::read_group, .write_at = &G::write_group, .count = 32, .merge = true}},
    {0x100, "GICD_ISENABLER", {}, {.read_at = &G::read_enabled, .write_at = &G::set_enabled, .count = 32}},
    {0x180, "GICD_ICENABLER", {}, {.read_at = &G::read_enabled, .write_at = &G::clear_enabled, .count = 32}},
    {0x200, "GICD_ISPENDR", {}, {.read_at = &G::read_pending, .write_at = &G::set_pending, .count = 32}},
    {0x280, "GICD_ICPENDR", {}, {.read_at = &G::read_pending, .write_at = &G::clear_pending, .count = 32}},
    {0x300, "GICD_ISACTIVER", {}, {.read_at = &G::read_active, .write_at = &G::set_active, .count = 32}},
    {0x380, "GICD_ICACTIVER", {}, {.read_at = &G::read_active, .write_at = &G::clear_active, .count = 32}},
    {0x400,
     "GICD_IPRIORITYR",
     {},
     {.read_at = &G::read_priority, .write_at = &G::write_priority, .count = max_irqs, .bytes = 1}},
    {0x800, "GICD_ITARGETSR", {}, {.count = 255}},
    {0xc00, "GICD_ICFGR", {}, {.read_at = &G::read_config, .write_at = &G::write_config, .count = 64, .merge = true}},
    {0xd00, "GICD_IGRPMODR/NSACR", {}, {.count = 128}},
    {0x6100,
     "GICD_IROUTER",
     {},
     {.read_at = &G::read_router, .write_at = &G::write_router, .count = max_irqs - banked, .merge = true, .bytes = 8}},
    {0xffd0, "GICD_PIDR/GICD_CIDR", {}, {.read_at = &G::identification, .count = 12}},
};

constexpr RegRow<G> G::redistributor_regs[] = {
    {0x0000, "GICR_CTLR", {}, {.read = &G::read_redistributor, .write = &G::write_redistributor}},
    {0x0004, "GICR_IIDR", {}, {.read = &G::implementer}},
    {0x0008, "GICR_TYPER", {}, {.read = &G::redistributor_type, .bytes = 8}},
    {0x0014, "GICR_WAKER", {}, {.read = &G::read_waker, .write = &G::write_waker}},
    {0x0070,
     "GICR_PROPBASER",
     {},
     {.read = &G::read_properties, .write = &G::write_properties, .merge = true, .bytes = 8}},
    {0x0078,
     "GICR_PENDBASER",
     {},
     {.read = &G::read_pending_table, .write = &G::write_pending_table, .merge = true, .bytes = 8}},
    {0xffd0, "GICR_PIDR/GICR_CIDR", {}, {.read_at = &G::identification, .count = 12}},
    {sgi_frame + 0x080, "GICR_IGROUPR0", {}, {.read = &G::own_group, .write = &G::write_own_group, .merge = true}},
    {sgi_frame + 0x100, "GICR_ISENABLER0", {}, {.read = &G::own_enabled, .write = &G::set_own_enabled}},
    {sgi_frame + 0x180, "GICR_ICENABLER0", {}, {.read = &G::own_enabled, .write = &G::clear_own_enabled}},
    {sgi_frame + 0x200, "GICR_ISPENDR0", {}, {.read = &G::own_pending, .write = &G::set_own_pending}},
    {sgi_frame + 0x280, "GICR_ICPENDR0", {}, {.read = &G::own_pending, .write = &G::clear_own_pending}},
    {sgi_frame + 0x300, "GICR_ISACTIVER0", {}, {.read = &G::own_active, .write = &G::set_own_active}},
    {sgi_frame + 0x380, "GICR_ICACTIVER0", {}, {.read = &G::own_active, .write = &G::clear_own_active}},
    {sgi_frame + 0x400,
     "GICR_IPRIORITYR",
     {},
     {.read_at = &G::own_priority, .write_at = &G::write_own_priority, .count = 32, .bytes = 1}},
    {sgi_frame + 0xc00,
     "GICR_ICFGR",
     {},
     {.read_at = &G::own_config, .write_at = &G::write_own_config, .count = 2, .merge = true}},
    {sgi_frame + 0xd00, "GICR_IGRPMODR0/NSACR", {}, {.count = 65}},
};

void ArmGicV3::describe(Describe& d) {
    d.property("num-cpu", cpus_, "processors", {.low = 1, .high = max_cpus});
    d.property("num-irq", irqs_, "interrupts with the 32 that each processor has of its own", {.low = 32, .high = 992});
    d.property("has-lpi", has_lpi_, "locality-specific interrupts, which a translation service makes");
    d.property("awake", awake_, "processors hear interrupts from reset on, as after firmware of the secure world");
    d.registers(*this, distributor_regs, 0x10000, {.implemented_max = 8}, "dist");
    d.registers(*this, redistributor_regs, cpus_ * redistributor_bytes, {.implemented_max = 8}, "redist",
                redistributor_bytes);
    d.state("distributor", distributor_, {.high = 3});
    i_.describe(d);
    if (irq_.empty()) return;
    d.state("router", router_, u32(router_.size()), StateRules{});
    u64 asleep = awake_ ? 0 : ProcessorSleep | ChildrenAsleep;
    d.state("waker", waker_, cpus_, StateRules{.reset = asleep, .high = 6});
    d.state("lpis_enabled", lpis_enabled_, cpus_, StateRules{.high = 1});
    d.state("properties", properties_, cpus_, StateRules{});
    d.state("pending_table", pending_table_, cpus_, StateRules{});
    for (u32 c = 0; c < cpus_; c++) {
        Describe::Group group(d, "cpu", c);
        d.interrupt("irq", irq_[c]);
        d.interrupt("fiq", fiq_[c]);
        Interface& f = interface_[c];
        d.state("mask", f.mask);
        d.state("point0", f.point0, {.reset = point0_least, .low = point0_least, .high = 7});
        d.state("point1", f.point1, {.reset = point1_least, .low = point1_least, .high = 7});
        d.state("control", f.control, {.high = CBPR | EOImode});
        d.state("enabled0", f.enabled0, {.high = 1});
        d.state("enabled1", f.enabled1, {.high = 1});
        d.state("active0", f.active0);
        d.state("active1", f.active1);
        d.list("lpis", lpis_[c], max_lpis, [](Describe& each, Lpi& l) {
            each.state("id", l.id);
            each.state("config", l.config);
        });
    }
}

} // namespace

MIMIC_DEVICE(arm_gicv3) = {.name = "arm-gicv3",
                           .bus = "system",
                           .summary = "Arm generic interrupt controller, version 3",
                           .make = make_device<ArmGicV3>};

} // namespace mimic::devices
