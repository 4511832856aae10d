// Generic interrupt controller, architecture version 2: distributor and a CPU interface for each of up to 8 processors.
// Source: Arm IHI 0048B.b, chapters 3 (handling and prioritization) and 4 (programmers' model); Arm DDI 0471B (GIC-400) for
// identification registers. All 8 bits of a priority are implemented.
// Not there: interrupt bypass, power management; of the virtual interfaces the aliases of other processors' GICH.
//
// Regions: distributor, CPU interface, virtual interface control (GICH), virtual CPU interface (GICV). Input lines: SPI n (INTID 32 + n) is line n; behind the SPIs, 32 lines a
// processor are its INTIDs 0 to 31, of which 16 to 31 (PPIs) may be driven. Which processor asks, and whether it is secure,
// is in the access (Device::access()).
#include "devices/base/machine.hpp"
#include "devices/base/registers.hpp"
#include "devices/intc/gic2_virtual.hpp"
#include "devices/intc/gic_interrupts.hpp"

namespace mimic::devices {
namespace {

constexpr u32 max_cpus = 8, max_irqs = 1020, banked = GicInterrupts::banked, sgis = GicInterrupts::sgis;
constexpr u32 spurious = 1023, other_group = 1022;
constexpr u32 ap_words = 4; // one bit for each of 128 preemption levels
constexpr u8 idle = 0xff, idle_priority = 0xff;
using namespace gicv2;
constexpr u32 EOImodeS = EOImode, EOImodeNS = 1 << 10; // of GICC_CTLR
constexpr u32 control_bits = 0x1f | 0x1e0 | EOImodeS | EOImodeNS;

class ArmGic final : public Device, public LineSink {
public:
    std::string_view type() const override { return "arm_gic"; }
    void describe(Describe& d) override;
    Result<void> realize() override {
        if (irqs_ % 32) return Error::invalid_argument("num-irq: {}, expected a multiple of 32", irqs_);
        i_.resize(cpus_, irqs_);
        targets_.assign(irqs_ - banked, 0);
        sgi_sources_.assign(size_t{cpus_} * sgis, 0);
        for (auto* list : {&control_, &mask_, &point_, &point1_}) list->assign(cpus_, 0);
        active_priorities_.assign(size_t{cpus_} * ap_words, 0);
        active_priorities1_.assign(size_t{cpus_} * ap_words, 0);
        virtual_ = std::vector<Gic2Virtual>(cpus_);
        for (auto* lines : {&irq_, &fiq_, &virq_, &vfiq_, &maintenance_}) *lines = std::vector<Line>(cpus_);
        return {};
    }
    u32 context_rank() const override { return 2; } // MSI frames are of rank 1
    LineSink* inputs() override { return this; }
    void reset(ResetKind) override {
        for (u32 c = 0; c < cpus_; c++) {
            i_.edge[c] = 0xffff; // SGIs
            i_.enabled[c] = 0xffff;
        }
        if (cpus_ == 1) std::fill(targets_.begin(), targets_.end(), u8(1));
        update();
        for (u32 c = 0; c < cpus_; c++) update_virtual(c);
    }

    void set_line(u32 line, bool level) override {
        Context::Entry entry(context());
        if (!entry) return;
        i_.drive(line, level);
        update();
    }

private:
    using Words = GicInterrupts::Words;
    u32 cpu() const { return access().processor < cpus_ ? access().processor : 0; }
    // What a secure access sees; without the Security Extensions every access does.
    bool sees_all() const { return !security_ || access().secure; }

    // ---- what is pending and for whom ---------------------------------------------------------------------------------
    u32 target_word(u32 cpu, u32 word) const {
        if (word == 0) return ~u32{0};
        u32 out = 0;
        for (u32 i = 0; i < 32; i++) out |= u32{u32(targets_[(word - 1) * 32 + i]) >> cpu & 1u} << i;
        return out;
    }
    struct Best {
        u32 id = spurious;
        u8 priority = idle_priority;
        bool group1 = false;
    };
    // The most urgent pending interrupt that distributor and interface forward; of equals the lowest number.
    Best best(u32 cpu) const {
        Best out;
        bool group0 = (distributor_ & 1) && (control_[cpu] & EnableGrp0);
        bool group1 = (distributor_ & 2) && (control_[cpu] & EnableGrp1);
        for (u32 w = 0; w < i_.words(); w++) {
            u32 ones = i_.group1[i_.slot(cpu, w)];
            u32 waiting = i_.waiting(cpu, w) & ((group0 ? ~ones : 0) | (group1 ? ones : 0));
            if (!waiting) continue;
            for (waiting &= target_word(cpu, w); waiting; waiting &= waiting - 1) {
                u32 id = w * 32 + u32(__builtin_ctz(waiting));
                u8 priority = i_.priority[i_.index(cpu, id)];
                if (priority >= out.priority) continue;
                out = {id, priority, (ones >> (id % 32) & 1) != 0};
            }
        }
        return out;
    }
    // Bits of a priority that decide about preemption (3.3.3).
    u8 group_mask(u32 cpu, bool group1) const {
        u32 point = group1 && !(control_[cpu] & CBPR) ? point1_[cpu] : point_[cpu] + 1;
        return u8(point > 7 ? 0 : 0xffu << point);
    }
    u8 running(u32 cpu) const {
        for (u32 w = 0; w < ap_words; w++) {
            u32 both = active_priorities_[cpu * ap_words + w] | active_priorities1_[cpu * ap_words + w];
            if (both) return u8((w * 32 + u32(__builtin_ctz(both))) << 1);
        }
        return idle;
    }
    bool signalled(u32 cpu, const Best& b) const {
        if (b.id == spurious || b.priority >= mask_[cpu]) return false;
        u8 now = running(cpu);
        return now == idle || (b.priority & group_mask(cpu, b.group1)) < now;
    }
    void update() {
        for (u32 c = 0; c < cpus_; c++) {
            Best b = best(c);
            bool on = signalled(c, b), fiq = on && !b.group1 && (control_[c] & FIQEn);
            irq_[c].set(on && !fiq);
            fiq_[c].set(fiq);
        }
    }

    // ---- acknowledge, end, deactivate ---------------------------------------------------------------------------------
    // What the reader may take: 1022 for an interrupt of the other group, 1023 for none (4.4.4, 4.4.11).
    u32 takes(const Best& b, bool aliased) const {
        u32 c = cpu();
        if (!signalled(c, b)) return spurious;
        if (!b.group1) return aliased || !sees_all() ? spurious : b.id;
        if (aliased || !sees_all() || (control_[c] & AckCtl)) return b.id;
        return other_group;
    }
    u32 acknowledge(bool aliased) {
        u32 c = cpu();
        Best b = best(c);
        u32 id = takes(b, aliased);
        if (id >= other_group) return id;
        u32 result = id;
        if (id < sgis) {
            u8& sources = sgi_sources_[c * sgis + id];
            u32 source = sources ? u32(__builtin_ctz(sources)) : 0;
            sources &= u8(sources - 1);
            i_.assign(i_.latched, c, id, sources != 0);
            result |= source << 10;
        } else {
            i_.assign(i_.latched, c, id, false);
        }
        i_.assign(i_.active, c, id, true);
        u32 level = (b.priority & group_mask(c, b.group1)) >> 1;
        Words& priorities = b.group1 ? active_priorities1_ : active_priorities_;
        priorities[c * ap_words + level / 32] |= u32{1} << (level % 32);
        update();
        return result;
    }
    void drop(u32 c, bool group1) {
        Words& priorities = group1 ? active_priorities1_ : active_priorities_;
        for (u32 w = 0; w < ap_words; w++) {
            u32& word = priorities[c * ap_words + w];
            if (!word) continue;
            word &= word - 1;
            return;
        }
    }
    void end(u64 v, bool aliased) {
        u32 c = cpu(), id = v & 0x3ff;
        if (id >= irqs_) return; // spurious ones need no end
        bool group1 = i_.test(i_.group1, c, id);
        if (!group1 && (aliased || !sees_all())) return;
        if (group1 && !aliased && sees_all() && security_ && !(control_[c] & AckCtl)) return;
        drop(c, group1);
        u32 mode = security_ && (aliased || !sees_all()) ? EOImodeNS : EOImodeS;
        if (!(control_[c] & mode)) i_.assign(i_.active, c, id, false);
        update();
    }
    void deactivate(u64 v) {
        u32 c = cpu(), id = v & 0x3ff;
        if (id >= irqs_ || (!i_.test(i_.group1, c, id) && !sees_all())) return;
        i_.assign(i_.active, c, id, false);
        update();
    }

    // ---- distributor ----------------------------------------------------------------------------------------------------
    u64 read_distributor() { return sees_all() ? distributor_ : distributor_ >> 1 & 1; }
    void write_distributor(u64 v) {
        distributor_ = u32(sees_all() ? v & 3 : (distributor_ & 1) | (v & 1) << 1);
        update();
    }
    u64 type_register() { return (i_.words() - 1) | (cpus_ - 1) << 5 | u32{security_} << 10; }
    u64 distributor_id() { return 0x0200043b; } // GIC-400, r0p1
    u64 identification(u32 i) {
        constexpr u8 ids[] = {0x04, 0, 0, 0, 0x90, 0xb4, 0x2b, 0, 0x0d, 0xf0, 0x05, 0xb1};
        return ids[i];
    }
    // Bits of the word that the reader may see: non-secure ones those of group 1.
    u32 visible(u32 c, u32 word) const {
        if (word >= i_.words()) return 0;
        return sees_all() ? ~u32{0} : i_.group1[i_.slot(c, word)];
    }
    u64 read_map(const Words& map, u32 word) const {
        return word < i_.words() ? map[i_.slot(cpu(), word)] & visible(cpu(), word) : 0;
    }
    void write_map(Words& map, u32 word, u64 v, bool on, u32 fixed = 0) {
        u32 bits = u32(v) & visible(cpu(), word) & ~(word == 0 ? fixed : 0);
        if (!bits) return;
        u32& w = map[i_.slot(cpu(), word)];
        w = on ? w | bits : w & ~bits;
        update();
    }
    u64 read_group(u32 w) { return w < i_.words() && sees_all() ? i_.group1[i_.slot(cpu(), w)] : 0; }
    void write_group(u32 w, u64 v) {
        if (w >= i_.words() || !sees_all()) return;
        i_.group1[i_.slot(cpu(), w)] = u32(v);
        update();
    }
    u64 read_enabled(u32 w) { return read_map(i_.enabled, w); }
    void set_enabled(u32 w, u64 v) { write_map(i_.enabled, w, v, true); }
    void clear_enabled(u32 w, u64 v) { write_map(i_.enabled, w, v, false, 0xffff); } // SGIs stay enabled (GIC-400)
    u64 read_pending(u32 w) { return w < i_.words() ? i_.pending(cpu(), w) & visible(cpu(), w) : 0; }
    void set_pending(u32 w, u64 v) { write_map(i_.latched, w, v, true, 0xffff); }
    void clear_pending(u32 w, u64 v) { write_map(i_.latched, w, v, false, 0xffff); }
    u64 read_active(u32 w) { return read_map(i_.active, w); }
    void set_active(u32 w, u64 v) { write_map(i_.active, w, v, true); }
    void clear_active(u32 w, u64 v) { write_map(i_.active, w, v, false); }
    // Non-secure accesses see the upper half of priorities, as if it were all (3.8.1).
    u64 read_priority(u32 id) {
        if (id >= irqs_ || !(visible(cpu(), id / 32) >> (id % 32) & 1)) return 0;
        u8 p = i_.priority[i_.index(cpu(), id)];
        return sees_all() ? p : u8(p << 1);
    }
    void write_priority(u32 id, u64 v) {
        if (id >= irqs_ || !(visible(cpu(), id / 32) >> (id % 32) & 1)) return;
        i_.priority[i_.index(cpu(), id)] = u8(sees_all() ? v : 0x80 | v >> 1);
        update();
    }
    // Of banked interrupts: the reader's own bit. With one processor the registers read as zero (4.3.12).
    u64 read_target(u32 id) {
        if (id >= irqs_ || cpus_ == 1 || !(visible(cpu(), id / 32) >> (id % 32) & 1)) return 0;
        return id < banked ? 1u << cpu() : targets_[id - banked];
    }
    void write_target(u32 id, u64 v) {
        if (id < banked || id >= irqs_ || cpus_ == 1 || !(visible(cpu(), id / 32) >> (id % 32) & 1)) return;
        targets_[id - banked] = u8(v & ((1u << cpus_) - 1));
        update();
    }
    u64 read_config(u32 n) { return n / 2 < i_.words() ? i_.read_config(cpu(), n, visible(cpu(), n / 2)) : 0; }
    void write_config(u32 n, u64 v) {
        if (n / 2 >= i_.words()) return;
        i_.write_config(cpu(), n, u32(v), visible(cpu(), n / 2));
        update();
    }
    void write_sgi(u64 v) {
        u32 c = cpu(), id = v & 15, to = v >> 16 & 0xff;
        u32 filter = v >> 24 & 3;
        if (filter == 1) to = 0xff & ~(1u << c);
        if (filter == 2) to = 1u << c;
        if (filter == 3) return;
        for (u32 t = 0; t < cpus_; t++) {
            if (!(to >> t & 1)) continue;
            // A secure write says by NSATT for which group it is; a non-secure one reaches group 1 only (4.3.15).
            bool group1 = i_.test(i_.group1, t, id);
            if (sees_all() ? security_ && group1 != bool(v >> 15 & 1) : !group1) continue;
            sgi_sources_[t * sgis + id] |= u8(1u << c);
            i_.assign(i_.latched, t, id, true);
        }
        update();
    }
    u64 read_sgi_pending(u32 id) { return visible(cpu(), 0) >> id & 1 ? sgi_sources_[cpu() * sgis + id] : 0; }
    void change_sgi_pending(u32 id, u64 v, bool on) {
        if (!(visible(cpu(), 0) >> id & 1)) return;
        u8& sources = sgi_sources_[cpu() * sgis + id];
        u8 known = u8((1u << cpus_) - 1);
        sources = u8(on ? sources | (v & known) : sources & ~v);
        i_.assign(i_.latched, cpu(), id, sources != 0);
        update();
    }
    void clear_sgi_pending(u32 id, u64 v) { change_sgi_pending(id, v, false); }
    void set_sgi_pending(u32 id, u64 v) { change_sgi_pending(id, v, true); }

    // ---- CPU interface --------------------------------------------------------------------------------------------------
    // The non-secure view has EnableGrp1 in bit 0, the bypass bits of group 1 in 6:5 and EOImodeNS in bit 9 (4.4.1).
    u64 read_control() {
        u32 v = control_[cpu()];
        return sees_all() ? v : (v >> 1 & 1) | (v >> 2 & 0x60) | (v >> 1 & EOImodeS);
    }
    void write_control(u64 v) {
        u32& control = control_[cpu()];
        constexpr u32 nonsecure = EnableGrp1 | 0x180 | EOImodeNS;
        if (sees_all())
            control = u32(v) & (security_ ? control_bits : control_bits & ~EOImodeNS);
        else
            control = (control & ~nonsecure) | (u32((v & 1) << 1 | (v & 0x60) << 2 | (v & EOImodeS) << 1));
        update();
    }
    u64 read_mask() {
        u8 m = u8(mask_[cpu()]);
        return sees_all() ? m : m & 0x80 ? u8(m << 1) : 0;
    }
    void write_mask(u64 v) {
        if (sees_all())
            mask_[cpu()] = u8(v);
        else if (mask_[cpu()] & 0x80)
            mask_[cpu()] = 0x80 | u8(v) >> 1;
        update();
    }
    u64 read_point() { return sees_all() ? point_[cpu()] : read_point1(); }
    void write_point(u64 v) {
        if (!sees_all()) return write_point1(v);
        point_[cpu()] = v & 7;
        update();
    }
    u64 read_point1() {
        if (!sees_all() && (control_[cpu()] & CBPR)) return std::min<u32>(point_[cpu()] + 1, 7);
        return point1_[cpu()];
    }
    void write_point1(u64 v) {
        if (!sees_all() && (control_[cpu()] & CBPR)) return;
        point1_[cpu()] = std::max<u32>(v & 7, 1);
        update();
    }
    u64 read_acknowledge() { return acknowledge(false); }
    u64 read_acknowledge1() { return acknowledge(true); }
    void write_end(u64 v) { end(v, false); }
    void write_end1(u64 v) { end(v, true); }
    u64 read_running() {
        u8 r = running(cpu());
        return sees_all() || r == idle ? r : r & 0x80 ? u8(r << 1) : 0;
    }
    u64 highest(bool aliased) const {
        Best b = best(cpu());
        u32 id = b.id;
        if (id != spurious && !b.group1 && (aliased || !sees_all())) return spurious;
        if (id != spurious && b.group1 && !aliased && sees_all() && !(control_[cpu()] & AckCtl)) return other_group;
        if (id < sgis)
            if (u8 sources = sgi_sources_[cpu() * sgis + id]) id |= u32(__builtin_ctz(sources)) << 10;
        return id;
    }
    u64 read_highest() { return highest(false); }
    u64 read_highest1() { return highest(true); }
    u64 read_active_priorities(u32 w) { return sees_all() ? active_priorities_[cpu() * ap_words + w] : 0; }
    void write_active_priorities(u32 w, u64 v) {
        if (sees_all()) active_priorities_[cpu() * ap_words + w] = u32(v);
        update();
    }
    u64 read_active_priorities1(u32 w) { return active_priorities1_[cpu() * ap_words + w]; }
    void write_active_priorities1(u32 w, u64 v) {
        active_priorities1_[cpu() * ap_words + w] = u32(v);
        update();
    }
    u64 interface_id() { return 0x0202143b; } // GIC-400, architecture 2

    // ---- virtual interfaces ---------------------------------------------------------------------------------------------
    using V = Gic2Virtual;
    void update_virtual(u32 c) {
        V& v = virtual_[c];
        if (u32 id = v.deactivated(); id < irqs_) {
            i_.assign(i_.active, c, id, false);
            update();
        }
        virq_[c].set(v.irq());
        vfiq_[c].set(v.fiq());
        maintenance_[c].set(v.maintenance());
    }
    template <u64 (V::*F)()>
    u64 get() {
        const u64 value = (virtual_[cpu()].*F)();
        update_virtual(cpu()); // an acknowledge changes what is pending
        return value;
    }
    template <void (V::*F)(u64)>
    void set(u64 value) {
        (virtual_[cpu()].*F)(value);
        update_virtual(cpu());
    }
    u64 read_list(u32 n) { return virtual_[cpu()].lr(n); }
    void write_list(u32 n, u64 v) {
        virtual_[cpu()].set_lr(n, v);
        update_virtual(cpu());
    }

    static const RegRow<ArmGic> distributor_regs[];
    static const RegRow<ArmGic> interface_regs[];
    static const RegRow<ArmGic> hypervisor_regs[];
    static const RegRow<ArmGic> virtual_regs[];
    u32 cpus_ = 1, irqs_ = 96;
    bool security_ = false;
    u32 distributor_ = 0;
    GicInterrupts i_;
    std::vector<u8> targets_;                      // of SPIs
    std::vector<u8> sgi_sources_;                  // 16 a processor
    Words control_, mask_, point_, point1_;        // of each processor
    Words active_priorities_, active_priorities1_; // ap_words a processor, by group
    std::vector<Gic2Virtual> virtual_;
    std::vector<Line> irq_, fiq_, virq_, vfiq_, maintenance_;
};

using G = ArmGic;
constexpr RegRow<ArmGic> ArmGic::distributor_regs[] = {
    {0x000, "GICD_CTLR", {}, {.read = &G::read_distributor, .write = &G::write_distributor}},
    {0x004, "GICD_TYPER", {}, {.read = &G::type_register}},
    {0x008, "GICD_IIDR", {}, {.read = &G::distributor_id}},
    {0x080, "GICD_IGROUPR", {}, {.read_at = &G::read_group, .write_at = &G::write_group, .count = 32}},
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
    {0x800,
     "GICD_ITARGETSR",
     {},
     {.read_at = &G::read_target, .write_at = &G::write_target, .count = max_irqs, .bytes = 1}},
    {0xc00, "GICD_ICFGR", {}, {.read_at = &G::read_config, .write_at = &G::write_config, .count = 64}},
    {0xf00, "GICD_SGIR", {}, {.write = &G::write_sgi}},
    {0xf10,
     "GICD_CPENDSGIR",
     {},
     {.read_at = &G::read_sgi_pending, .write_at = &G::clear_sgi_pending, .count = sgis, .bytes = 1}},
    {0xf20,
     "GICD_SPENDSGIR",
     {},
     {.read_at = &G::read_sgi_pending, .write_at = &G::set_sgi_pending, .count = sgis, .bytes = 1}},
    {0xfd0, "GICD_PIDR/GICD_CIDR", {}, {.read_at = &G::identification, .count = 12}},
};
constexpr RegRow<ArmGic> ArmGic::interface_regs[] = {
    {0x00, "GICC_CTLR", {}, {.read = &G::read_control, .write = &G::write_control}},
    {0x04, "GICC_PMR", {}, {.read = &G::read_mask, .write = &G::write_mask}},
    {0x08, "GICC_BPR", {}, {.read = &G::read_point, .write = &G::write_point}},
    {0x0c, "GICC_IAR", {}, {.read = &G::read_acknowledge}},
    {0x10, "GICC_EOIR", {}, {.write = &G::write_end}},
    {0x14, "GICC_RPR", {}, {.read = &G::read_running}},
    {0x18, "GICC_HPPIR", {}, {.read = &G::read_highest}},
    {0x1c, "GICC_ABPR", {}, {.read = &G::read_point1, .write = &G::write_point1}},
    {0x20, "GICC_AIAR", {}, {.read = &G::read_acknowledge1}},
    {0x24, "GICC_AEOIR", {}, {.write = &G::write_end1}},
    {0x28, "GICC_AHPPIR", {}, {.read = &G::read_highest1}},
    {0xd0,
     "GICC_APR",
     {},
     {.read_at = &G::read_active_priorities, .write_at = &G::write_active_priorities, .count = ap_words}},
    {0xe0,
     "GICC_NSAPR",
     {},
     {.read_at = &G::read_active_priorities1, .write_at = &G::write_active_priorities1, .count = ap_words}},
    {0xfc, "GICC_IIDR", {}, {.read = &G::interface_id}},
    {0x1000, "GICC_DIR", {}, {.write = &G::deactivate}},
};
constexpr RegRow<ArmGic> ArmGic::hypervisor_regs[] = {
    {0x000, "GICH_HCR", {}, {.read = &G::get<&V::hcr>, .write = &G::set<&V::set_hcr>}},
    {0x004, "GICH_VTR", {}, {.read = &G::get<&V::vtr>}},
    {0x008, "GICH_VMCR", {}, {.read = &G::get<&V::vmcr>, .write = &G::set<&V::set_vmcr>}},
    {0x010, "GICH_MISR", {}, {.read = &G::get<&V::misr>}},
    {0x020, "GICH_EISR0", {}, {.read = &G::get<&V::eisr>}},
    {0x024, "GICH_EISR1"},
    {0x030, "GICH_ELRSR0", {}, {.read = &G::get<&V::elrsr>}},
    {0x034, "GICH_ELRSR1"},
    {0x0f0, "GICH_APR", {}, {.read = &G::get<&V::apr>, .write = &G::set<&V::set_apr>}},
    {0x100, "GICH_LR", {}, {.read_at = &G::read_list, .write_at = &G::write_list, .count = V::lists}},
};
constexpr RegRow<ArmGic> ArmGic::virtual_regs[] = {
    {0x00, "GICV_CTLR", {}, {.read = &G::get<&V::control>, .write = &G::set<&V::set_control>}},
    {0x04, "GICV_PMR", {}, {.read = &G::get<&V::mask>, .write = &G::set<&V::set_mask>}},
    {0x08, "GICV_BPR", {}, {.read = &G::get<&V::point>, .write = &G::set<&V::set_point>}},
    {0x0c, "GICV_IAR", {}, {.read = &G::get<&V::acknowledge>}},
    {0x10, "GICV_EOIR", {}, {.write = &G::set<&V::end>}},
    {0x14, "GICV_RPR", {}, {.read = &G::get<&V::running>}},
    {0x18, "GICV_HPPIR", {}, {.read = &G::get<&V::highest>}},
    {0x1c, "GICV_ABPR", {}, {.read = &G::get<&V::aliased_point>, .write = &G::set<&V::set_aliased_point>}},
    {0x20, "GICV_AIAR", {}, {.read = &G::get<&V::aliased_acknowledge>}},
    {0x24, "GICV_AEOIR", {}, {.write = &G::set<&V::end>}},
    {0x28, "GICV_AHPPIR", {}, {.read = &G::get<&V::aliased_highest>}},
    {0xd0, "GICV_APR0", {}, {.read = &G::get<&V::apr>, .write = &G::set<&V::set_apr>}},
    {0xfc, "GICV_IIDR", {}, {.read = &G::interface_id}},
    {0x1000, "GICV_DIR", {}, {.write = &G::set<&V::deactivate>}},
};

void ArmGic::describe(Describe& d) {
    d.property("num-cpu", cpus_, "processors", {.low = 1, .high = max_cpus});
    d.property("num-irq", irqs_, "interrupts with the 32 that each processor has of its own", {.low = 32, .high = 992});
    d.property("has-security-extensions", security_, "tells secure from non-secure accesses");
    for (u32 i = 0; i < irq_.size(); i++) {
        Describe::Group group(d, "cpu", i);
        d.interrupt("irq", irq_[i]);
        d.interrupt("fiq", fiq_[i]);
        d.interrupt("virq", virq_[i]);
        d.interrupt("vfiq", vfiq_[i]);
        d.interrupt("maintenance", maintenance_[i]);
    }
    d.registers(*this, distributor_regs, 0x1000, {.min = 1, .max = 4, .implemented_min = 1, .implemented_max = 4},
                "dist");
    d.registers(*this, interface_regs, 0x2000, {.min = 1, .max = 4, .implemented_min = 1, .implemented_max = 4}, "cpu");
    d.registers(*this, hypervisor_regs, 0x1000, {.min = 4, .max = 4, .implemented_min = 4, .implemented_max = 4},
                "viface");
    d.registers(*this, virtual_regs, 0x2000, {.min = 4, .max = 4, .implemented_min = 4, .implemented_max = 4}, "vcpu");
    if (irq_.empty()) return;
    u32 sets = cpus_ * ap_words;
    i_.describe(d);
    d.state("distributor", distributor_, {.high = 3});
    d.state("targets", targets_, u32(targets_.size()), StateRules{});
    d.state("sgi_sources", sgi_sources_, cpus_ * sgis, StateRules{});
    d.state("control", control_, cpus_, {.high = control_bits});
    d.state("mask", mask_, cpus_, {.high = 0xff});
    d.state("point", point_, cpus_, {.high = 7});
    d.state("point1", point1_, cpus_, {.reset = 1, .low = 1, .high = 7});
    d.state("active_priorities", active_priorities_, sets, {});
    d.state("active_priorities1", active_priorities1_, sets, {});
    for (u32 c = 0; c < cpus_; c++) {
        Describe::Group group(d, "virtual", c);
        virtual_[c].describe(d);
    }
}

} // namespace

MIMIC_DEVICE(arm_gic) = {.name = "arm_gic",
                         .bus = "system",
                         .summary = "Arm generic interrupt controller, version 2",
                         .make = make_device<ArmGic>};

} // namespace mimic::devices
