// The GICv3 as a device, for arm_gicv3.cpp, which has its tables of registers and says what is modelled.
#pragma once
#include "devices/base/machine.hpp"
#include "devices/base/registers.hpp"
#include "devices/intc/gic_interrupts.hpp"
#include "devices/intc/gic_physical.hpp"
#include "devices/intc/gic_registers.hpp"
#include <algorithm>

namespace mimic::devices::gicv3 {

inline constexpr u32 max_cpus = 512, max_irqs = 1020, banked = GicInterrupts::banked, sgis = GicInterrupts::sgis;
inline constexpr u32 spurious = 1023, first_special = 1020, of_secure1 = 1020, of_group1 = 1021;
inline constexpr u8 idle = GicInterface::idle, priority_bits = GicInterface::priority_bits;
inline constexpr u64 redistributor_bytes = 0x20000, sgi_frame = 0x10000;
inline constexpr u32 max_lpis = (1u << GicV3::id_bits) - GicV3::first_lpi;
// GICD_CTLR
inline constexpr u32 EnableGrp0 = 1, EnableGrp1 = 2, EnableGrp1S = 4, ARE = 1 << 4, ARE_NS = 1 << 5, DS = 1 << 6;
// GICR_WAKER
inline constexpr u8 ProcessorSleep = 2, ChildrenAsleep = 4;
// GICR_PROPBASER and GICR_PENDBASER
inline constexpr u64 base_mask = 0x000ffffffffff000, PTZ = u64{1} << 62;

struct Lpi {
    u32 id = 0;
    u8 config = 0; // as in the configuration table: priority in 7:2, enabled in 0
};

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
        modifier_.assign(i_.group1.size(), 0);
        interface_ = std::vector<GicPhysical>(cpus_);
        irq_ = std::vector<Line>(cpus_);
        virtual_ = std::vector<GicVirtual>(cpus_);
        for (auto* lines : {&fiq_, &secure1_, &nonsecure1_, &virq_, &vfiq_, &maintenance_})
            *lines = std::vector<Line>(cpus_);
        return {};
    }
    u32 context_rank() const override { return 2; } // the translation service and MSI frames are of rank 1
    LineSink* inputs() override { return this; }
    void reset(ResetKind) override {
        std::fill(i_.edge.begin(), i_.edge.begin() + cpus_, 0xffff); // SGIs
        update();
        for (u32 c = 0; c < cpus_; c++) update_virtual(c);
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

    bool read_register(const Asker& who, u32 number, u64& value) override;
    bool write_register(const Asker& who, u32 number, u64 value) override;
    bool traps_virtual(u32 cpu, u32 number) override {
        Context::Entry entry(context());
        return entry && cpu < cpus_ && virtual_[cpu].traps(number);
    }
    bool read_virtual(u32 cpu, u32 number, u64& value) override;
    bool write_virtual(u32 cpu, u32 number, u64 value) override;

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
    // Are there two Security states?
    bool two() const { return security_ && !(distributor_ & DS); }
    GicGroup group_of(u32 cpu, u32 id) const {
        if (id >= first_lpi || i_.test(i_.group1, cpu, id)) return GicGroup::group1;
        return two() && i_.test(modifier_, cpu, id) ? GicGroup::secure1 : GicGroup::group0;
    }
    struct Best {
        u32 id = spurious;
        u8 priority = idle;
        GicGroup group = GicGroup::group0;
    };
    bool forwards(u32 cpu, GicGroup g) const {
        u32 bit = g == GicGroup::group0 ? EnableGrp0 : g == GicGroup::group1 ? EnableGrp1 : EnableGrp1S;
        return (distributor_ & bit) && interface_[cpu].enabled(g);
    }
    Best best(u32 cpu) const {
        Best out;
        if (waker_[cpu] & ChildrenAsleep) return out;
        bool group0 = forwards(cpu, GicGroup::group0), group1 = forwards(cpu, GicGroup::group1),
             secure1 = two() && forwards(cpu, GicGroup::secure1);
        for (u32 w = 0; w < i_.words(); w++) {
            size_t slot = i_.slot(cpu, w);
            u32 ones = i_.group1[slot], secure_ones = two() ? modifier_[slot] & ~ones : 0;
            u32 waiting = i_.waiting(cpu, w) &
                          ((group0 ? ~(ones | secure_ones) : 0) | (group1 ? ones : 0) | (secure1 ? secure_ones : 0));
            for (; waiting; waiting &= waiting - 1) {
                u32 id = w * 32 + u32(__builtin_ctz(waiting));
                u8 priority = i_.priority[i_.index(cpu, id)];
                if (priority >= out.priority || (id >= banked && target(id) != cpu)) continue;
                out = {id, priority, group_of(cpu, id)};
            }
        }
        if (!group1 || !lpis_enabled_[cpu]) return out;
        for (const Lpi& l : lpis_[cpu]) {
            u8 priority = l.config & 0xfc & priority_bits;
            if (two()) priority = from_nonsecure_priority(priority);
            if ((l.config & 1) && priority < out.priority) out = {l.id, priority, GicGroup::group1};
        }
        return out;
    }
    static bool signalled(const GicPhysical& f, const Best& b) {
        return b.id != spurious && f.signals(b.priority, b.group);
    }
    // With two Security states it depends on the processor's own whether an interrupt of group 1 is an IRQ or an FIQ.
    void update_one(u32 cpu) {
        Best b = best(cpu);
        bool on = signalled(interface_[cpu], b), group1 = b.group == GicGroup::group1;
        irq_[cpu].set(on && group1 && !two());
        fiq_[cpu].set(on && b.group == GicGroup::group0);
        secure1_[cpu].set(on && b.group == GicGroup::secure1);
        nonsecure1_[cpu].set(on && group1 && two());
    }
    void update() {
        for (u32 c = 0; c < cpus_; c++) update_one(c);
    }
    void update_virtual(u32 cpu) {
        const GicVirtual& v = virtual_[cpu];
        virq_[cpu].set(v.irq());
        vfiq_[cpu].set(v.fiq());
        maintenance_[cpu].set(v.maintenance());
    }

    // ---- CPU interface --------------------------------------------------------------------------------------------------
    // What a reader of group 0's or group 1's registers is told of an interrupt of a group: 0 the interrupt, else a special INTID
    // (4.2.1): at EL3 which state an interrupt of group 1 is of.
    static u32 special(const GicAccess& a, GicGroup g, bool group1) {
        if (!a.two) return (g == GicGroup::group1) == group1 ? 0 : spurious;
        if (group1 && a.level == 3) return g == GicGroup::group0 ? spurious : 0;
        if (group1) return g == (a.secure ? GicGroup::secure1 : GicGroup::group1) ? 0 : spurious;
        if (g == GicGroup::group0) return a.sees_secure() ? 0 : spurious;
        if (a.level != 3) return spurious;
        return g == GicGroup::secure1 ? of_secure1 : of_group1;
    }
    template <bool group1>
    u64 read_acknowledge(const GicAccess& a) {
        u32 cpu = a.cpu;
        GicPhysical& f = interface_[cpu];
        Best b = best(cpu);
        if (!signalled(f, b)) return spurious;
        if (u32 other = special(a, b.group, group1)) return other;
        if (b.id >= first_lpi) {
            std::erase_if(lpis_[cpu], [&](const Lpi& l) { return l.id == b.id; });
        } else {
            i_.assign(i_.latched, cpu, b.id, false);
            i_.assign(i_.active, cpu, b.id, true);
        }
        f.begin(b.priority, b.group);
        b.id < banked || b.id >= first_lpi ? update_one(cpu) : update();
        return b.id;
    }
    template <bool group1>
    void write_end(const GicAccess& a, u64 v) {
        GicPhysical& f = interface_[a.cpu];
        u32 id = v & 0xffffff;
        if ((id >= first_special && id < first_lpi) || (!group1 && !a.sees_secure())) return;
        GicGroup g = !group1 ? GicGroup::group0 : a.secure_bank() ? GicGroup::secure1 : GicGroup::group1;
        if (group1 && a.two && a.level == 3 && id < irqs_) g = group_of(a.cpu, id);
        f.drop(g);
        if (!f.only_drops(a) && (!a.two || (id < irqs_ && group_of(a.cpu, id) == g))) deactivate(a.cpu, id);
        update_one(a.cpu);
    }
    void deactivate(u32 cpu, u32 id) {
        if (id >= irqs_) return;
        i_.assign(i_.active, cpu, id, false);
        id < banked ? update_one(cpu) : update();
    }
    void write_deactivate(const GicAccess& a, u64 v) {
        u32 id = v & 0xffffff;
        if (id < irqs_ && (a.sees_secure() || group_of(a.cpu, id) == GicGroup::group1)) deactivate(a.cpu, id);
    }
    template <bool group1>
    u64 read_highest(const GicAccess& a) {
        Best b = best(a.cpu);
        if (b.id == spurious) return spurious;
        u32 other = special(a, b.group, group1);
        return other ? other : b.id;
    }
    // Interrupts of which group a write makes (12.1.10): ICC_SGI1R_EL1 of the writer's own state, ICC_ASGI1R_EL1 of the other,
    // ICC_SGI0R_EL1. The non-secure state reaches nothing that is secure.
    enum class Sgi { own, other, zero };
    static bool sgi_group(const GicAccess& a, Sgi kind, GicGroup& g) {
        if (kind == Sgi::zero) return g = GicGroup::group0, a.sees_secure();
        if (!a.two) return g = GicGroup::group1, kind == Sgi::own;
        g = kind == Sgi::own && a.secure ? GicGroup::secure1 : GicGroup::group1;
        return kind == Sgi::own || a.secure;
    }
    template <Sgi kind>
    void write_sgi(const GicAccess& a, u64 v) {
        u32 id = v >> 24 & 15;
        bool others = v >> 40 & 1;
        u64 cluster = (v >> 16 & 0xff) << 8 | (v >> 32 & 0xff) << 16 | (v >> 48 & 0xff) << 32;
        GicGroup group;
        if (!sgi_group(a, kind, group)) return;
        for (u32 t = 0; t < cpus_; t++) {
            u64 affinity = affinity_of(t);
            bool named = (affinity & ~u64{0xff}) == cluster && (v >> 44 & 15) == 0 && (v >> (affinity & 15) & 1);
            if (others ? t == a.cpu : !named) continue;
            // Who sees group 0 makes its interrupts with ICC_SGI1R_EL1, too.
            const GicGroup of = group_of(t, id);
            if (of != group && !(kind == Sgi::own && of == GicGroup::group0 && a.sees_secure())) continue;
            i_.assign(i_.latched, t, id, true);
            update_one(t);
        }
    }
    GicAccess access_of(const Asker& who) const { return {who, two()}; }
    struct SystemRegister {
        u32 number;
        u64 (ArmGicV3::*read)(const GicAccess& a);
        void (ArmGicV3::*write)(const GicAccess& a, u64 value);
    };
    static const SystemRegister system_registers[];

    // ---- distributor ----------------------------------------------------------------------------------------------------
    bool sees_all() const { return !two() || access().secure; }
    // Which of 32 interrupts the access may see: a non-secure one those of group 1.
    u32 seen(u32 cpu, u32 word) const { return sees_all() ? ~u32{0} : i_.group1[i_.slot(cpu, word)]; }
    bool seen_id(u32 cpu, u32 id) const { return seen(cpu, id / 32) >> (id % 32) & 1; }
    u64 read_distributor() {
        if (!two()) return distributor_ | ARE | DS;
        return sees_all() ? distributor_ | ARE | ARE_NS : (distributor_ & EnableGrp1) | ARE;
    }
    // DS stays once it is set. The non-secure view has its group's bit where it is in the secure one.
    void write_distributor(u64 v) {
        if (!sees_all())
            distributor_ = (distributor_ & ~EnableGrp1) | (v & EnableGrp1);
        else if (two() && !(v & DS))
            distributor_ = v & (EnableGrp0 | EnableGrp1 | EnableGrp1S);
        else
            distributor_ = (v & (EnableGrp0 | EnableGrp1)) | (security_ ? DS : 0);
        update();
    }
    // 16 bits of INTID; LPIs when there is a translation service.
    u64 type_register() { return (i_.words() - 1) | u32{two()} << 10 | u32{has_lpi_} << 17 | (id_bits - 1) << 19; }
    u64 implementer() { return 0x43b; }
    // Reads as zero for words of the redistributors: with affinity routing they are not here.
    bool shared(u32 word) const { return word > 0 && word < i_.words(); }
    u64 read_map(const GicInterrupts::Words& map, u32 word) const {
        return shared(word) ? map[i_.slot(0, word)] & seen(0, word) : 0;
    }
    void write_map(GicInterrupts::Words& map, u32 word, u64 v, bool on) {
        if (!shared(word)) return;
        u32 &w = map[i_.slot(0, word)], bits = u32(v) & seen(0, word);
        w = on ? w | bits : w & ~bits;
        update();
    }
    // Groups are the secure state's business.
    u64 read_all(const GicInterrupts::Words& map, u32 w) const {
        return shared(w) && sees_all() ? map[i_.slot(0, w)] : 0;
    }
    void write_all(GicInterrupts::Words& map, u32 w, u64 v) {
        if (!shared(w) || !sees_all()) return;
        map[i_.slot(0, w)] = u32(v);
        update();
    }
    u64 read_group(u32 w) { return read_all(i_.group1, w); }
    void write_group(u32 w, u64 v) { write_all(i_.group1, w, v); }
    u64 read_modifier(u32 w) { return two() ? read_all(modifier_, w) : 0; }
    void write_modifier(u32 w, u64 v) {
        if (two()) write_all(modifier_, w, v);
    }
    u64 read_enabled(u32 w) { return read_map(i_.enabled, w); }
    void set_enabled(u32 w, u64 v) { write_map(i_.enabled, w, v, true); }
    void clear_enabled(u32 w, u64 v) { write_map(i_.enabled, w, v, false); }
    u64 read_pending(u32 w) { return shared(w) ? i_.pending(0, w) & seen(0, w) : 0; }
    void set_pending(u32 w, u64 v) { write_map(i_.latched, w, v, true); }
    void clear_pending(u32 w, u64 v) { write_map(i_.latched, w, v, false); }
    u64 read_active(u32 w) { return read_map(i_.active, w); }
    void set_active(u32 w, u64 v) { write_map(i_.active, w, v, true); }
    void clear_active(u32 w, u64 v) { write_map(i_.active, w, v, false); }
    u8 shown_priority(u32 cpu, u32 id) const {
        u8 p = i_.priority[i_.index(cpu, id)];
        return sees_all() ? p : seen_id(cpu, id) ? nonsecure_priority(p) : 0;
    }
    void set_priority(u32 cpu, u32 id, u64 v) {
        if (!seen_id(cpu, id)) return;
        i_.priority[i_.index(cpu, id)] = sees_all() ? u8(v) & priority_bits : from_nonsecure_priority(u8(v));
    }
    u64 read_priority(u32 id) { return id >= banked && id < irqs_ ? shown_priority(0, id) : 0; }
    void write_priority(u32 id, u64 v) {
        if (id < banked || id >= irqs_) return;
        set_priority(0, id, v);
        update();
    }
    u64 read_config(u32 n) { return shared(n / 2) ? i_.read_config(0, n, seen(0, n / 2)) : 0; }
    void write_config(u32 n, u64 v) {
        if (!shared(n / 2)) return;
        i_.write_config(0, n, u32(v), seen(0, n / 2));
        update();
    }
    u64 read_router(u32 n) { return n + banked < irqs_ && seen_id(0, n + banked) ? router_[n] : 0; }
    void write_router(u32 n, u64 v) {
        if (n + banked >= irqs_ || !seen_id(0, n + banked)) return;
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
    u64 read_waker() { return sees_all() ? waker_[frame()] : 0; }
    void write_waker(u64 v) {
        if (!sees_all()) return;
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
    u64 own(const GicInterrupts::Words& map) const { return map[frame()] & seen(frame(), 0); }
    void change_own(GicInterrupts::Words& map, u64 v, bool on) {
        u32 &w = map[frame()], bits = u32(v) & seen(frame(), 0);
        w = on ? w | bits : w & ~bits;
        update_one(frame());
    }
    u64 own_group() { return sees_all() ? i_.group1[frame()] : 0; }
    void write_own_group(u64 v) {
        if (!sees_all()) return;
        i_.group1[frame()] = u32(v);
        update_one(frame());
    }
    u64 own_modifier() { return two() && sees_all() ? modifier_[frame()] : 0; }
    void write_own_modifier(u64 v) {
        if (!two() || !sees_all()) return;
        modifier_[frame()] = u32(v);
        update_one(frame());
    }
    u64 own_enabled() { return own(i_.enabled); }
    void set_own_enabled(u64 v) { change_own(i_.enabled, v, true); }
    void clear_own_enabled(u64 v) { change_own(i_.enabled, v, false); }
    u64 own_pending() { return i_.pending(frame(), 0) & seen(frame(), 0); }
    void set_own_pending(u64 v) { change_own(i_.latched, v, true); }
    void clear_own_pending(u64 v) { change_own(i_.latched, v, false); }
    u64 own_active() { return own(i_.active); }
    void set_own_active(u64 v) { change_own(i_.active, v, true); }
    void clear_own_active(u64 v) { change_own(i_.active, v, false); }
    u64 own_priority(u32 id) { return shown_priority(frame(), id); }
    void write_own_priority(u32 id, u64 v) {
        set_priority(frame(), id, v);
        update_one(frame());
    }
    u64 own_config(u32 n) { return i_.read_config(frame(), n, seen(frame(), 0)); }
    void write_own_config(u32 n, u64 v) {
        i_.write_config(frame(), n, u32(v), seen(frame(), 0));
        update_one(frame());
    }

    static const RegRow<ArmGicV3> distributor_regs[];
    static const RegRow<ArmGicV3> redistributor_regs[];
    u32 cpus_ = 1, irqs_ = 96;
    bool has_lpi_ = false, awake_ = false, security_ = false;
    u32 distributor_ = 0;
    GicInterrupts i_;
    GicInterrupts::Words modifier_;               // GICD_IGRPMODR, GICR_IGRPMODR0, by slot
    std::vector<u64> router_;                     // of SPIs
    std::vector<u8> waker_, lpis_enabled_;        // of each processor
    std::vector<u64> properties_, pending_table_; // GICR_PROPBASER, GICR_PENDBASER
    std::vector<std::vector<Lpi>> lpis_;          // that are pending
    std::vector<GicPhysical> interface_;
    std::vector<GicVirtual> virtual_;
    std::vector<Line> irq_, fiq_, secure1_, nonsecure1_, virq_, vfiq_, maintenance_;
};

} // namespace mimic::devices::gicv3
