// The virtual CPU interface of one processor of a GICv2: list registers that a hypervisor fills (GICH_*), and the registers by
// which its guest takes interrupts from them (GICV_*).
// Source: Arm IHI 0048B.b, chapter 5; Arm DDI 0471B (GIC-400) for what is implemented: four list registers, 5 bits of priority.
#pragma once
#include "devices/intc/gic_virtual.hpp"
#include <utility>

namespace mimic::devices {

// GICC_CTLR and GICV_CTLR
namespace gicv2 {
inline constexpr u32 EnableGrp0 = 1, EnableGrp1 = 2, AckCtl = 4, FIQEn = 8, CBPR = 16, EOImode = 1 << 9;
}

class Gic2Virtual : GicVirtual {
public:
    static constexpr u32 lists = count, none = ~u32{0};

    // ---- GICH
    u64 hcr() { return hcr_; }
    void set_hcr(u64 v) { hcr_ = u32(v) & hcr_kept; }
    u64 vtr() { return 4u << 29 | 4u << 26 | (count - 1); }
    u64 vmcr();
    void set_vmcr(u64 v);
    u64 misr() { return maintenance() ? reasons() : 0; }
    u64 eisr() { return ended(); }
    u64 elrsr() { return free(); }
    u64 apr() { return f_.active0; }
    void set_apr(u64 v) { f_.active0 = u32(v); }
    u64 lr(u32 n) const;
    void set_lr(u32 n, u64 v);

    // ---- GICV
    u64 control();
    void set_control(u64 v);
    u64 mask() { return f_.mask; }
    void set_mask(u64 v) { f_.mask = u8(v) & GicInterface::priority_bits; }
    u64 point() { return f_.point0; }
    void set_point(u64 v) { f_.set_point0(v); }
    u64 aliased_point() { return f_.point1; }
    void set_aliased_point(u64 v) { f_.point1 = std::max(u8(v & 7), GicInterface::point1_least); }
    u64 acknowledge() { return acknowledge_as(false); }
    u64 aliased_acknowledge() { return acknowledge_as(true); }
    void end(u64 v);
    void deactivate(u64 v);
    u64 running() { return f_.running(); }
    u64 highest() { return highest_as(false); }
    u64 aliased_highest() { return highest_as(true); }

    bool irq() const { return signalled(best()) && !fiq(); }
    bool fiq() const { return fiq_enabled_ && GicVirtual::fiq(); }
    using GicVirtual::maintenance;
    // The physical interrupt that ends with the virtual one that was ended last, once; or none.
    u32 deactivated() { return std::exchange(deactivated_, none); }
    void describe(Describe& d);

private:
    static constexpr u32 hcr_kept = 0xf80000ff, other_group = 1022;
    bool group1(int n) const { return (lr_[u32(n)] & Group) != 0; }
    u32 seen(int n, bool aliased) const;
    u64 acknowledge_as(bool aliased);
    u64 highest_as(bool aliased) const;

    u8 acknowledge_any_ = 0, fiq_enabled_ = 0; // GICV_CTLR.AckCtl, FIQEn
    u32 deactivated_ = none;
};

} // namespace mimic::devices
