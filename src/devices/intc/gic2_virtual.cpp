#include "devices/intc/gic2_virtual.hpp"

namespace mimic::devices {

using namespace gicv2;

// ---- list registers: kept as those of a GICv3 (IHI 0069H, 12.4.6), which hold an SGI's source in bits 12:10 of the number

u64 Gic2Virtual::lr(u32 n) const {
    const u64 v = lr_[n];
    const u64 owner = v & HW ? (v >> 32 & 0x3ff) << 10 : (v >> 10 & 7) << 10 | u64{(v & EOI) != 0} << 19;
    return (v & 0x3ff) | owner | (v >> 51 & 0x1f) << 23 | (v >> 62) << 28 | u64{(v & Group) != 0} << 30 |
           u64{(v & HW) != 0} << 31;
}

void Gic2Virtual::set_lr(u32 n, u64 v) {
    const bool hardware = v >> 31 & 1;
    const u64 owner = hardware ? (v >> 10 & 0x3ff) << 32 | HW : (v >> 10 & 7) << 10 | (v >> 19 & 1 ? EOI : 0);
    lr_[n] = (v & 0x3ff) | owner | (v >> 23 & 0x1f) << 51 | (v >> 28 & 3) << 62 | (v >> 30 & 1 ? Group : 0);
}

// ---- the guest's registers

// What a reader of the pending interrupt in list register n may see: 1022, one of the other group; 1023, none.
u32 Gic2Virtual::seen(int n, bool aliased) const {
    if (n < 0 || (aliased && !group1(n))) return spurious;
    return group1(n) && !aliased && !acknowledge_any_ ? other_group : u32(lr_[u32(n)]);
}

u64 Gic2Virtual::acknowledge_as(bool aliased) {
    const int n = best();
    if (!signalled(n)) return spurious;
    const u32 id = seen(n, aliased);
    if (id == spurious || id == other_group) return id;
    GicVirtual::acknowledge(group1(n));
    f_.active0 |= std::exchange(f_.active1, 0); // one map for both groups
    return id;
}

u64 Gic2Virtual::highest_as(bool aliased) const { return seen(best(), aliased); }

void Gic2Virtual::end(u64 v) {
    if ((v & 0x3ff) >= first_special || f_.active0 == 0) return;
    f_.active0 &= f_.active0 - 1; // the most urgent one
    if (!(f_.control & GicInterface::EOImode)) GicVirtual::deactivate(v & 0x1fff, deactivated_);
}

void Gic2Virtual::deactivate(u64 v) {
    if (f_.control & GicInterface::EOImode) GicVirtual::deactivate(v & 0x1fff, deactivated_);
}

u64 Gic2Virtual::control() {
    return (f_.enabled0 ? EnableGrp0 : 0) | (f_.enabled1 ? EnableGrp1 : 0) | (acknowledge_any_ ? AckCtl : 0) |
           (fiq_enabled_ ? FIQEn : 0) | (f_.control & GicInterface::CBPR ? CBPR : 0) |
           (f_.control & GicInterface::EOImode ? EOImode : 0);
}

void Gic2Virtual::set_control(u64 v) {
    f_.enabled0 = (v & EnableGrp0) != 0;
    f_.enabled1 = (v & EnableGrp1) != 0;
    acknowledge_any_ = (v & AckCtl) != 0;
    fiq_enabled_ = (v & FIQEn) != 0;
    f_.control = u8((v & CBPR ? GicInterface::CBPR : 0) | (v & EOImode ? GicInterface::EOImode : 0));
}

// GICH_VMCR has GICV_CTLR at the same bits.
u64 Gic2Virtual::vmcr() { return control() | u64{f_.point1} << 18 | u64{f_.point0} << 21 | u64{f_.mask} << 24; }

void Gic2Virtual::set_vmcr(u64 v) {
    set_control(v);
    set_aliased_point(v >> 18);
    set_point(v >> 21);
    set_mask(v >> 24);
}

void Gic2Virtual::describe(Describe& d) {
    GicVirtual::describe(d);
    d.state("acknowledge_any", acknowledge_any_, {.high = 1});
    d.state("fiq_enabled", fiq_enabled_, {.high = 1});
}

} // namespace mimic::devices
