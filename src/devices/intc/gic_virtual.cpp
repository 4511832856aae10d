#include "devices/intc/gic_virtual.hpp"
#include "devices/intc/gic_registers.hpp"

namespace mimic::devices {
namespace {

using namespace gicv3;
// Five bits of priority, all of them of groups; no direct injection; TDIR is there; four list registers.
constexpr u64 vtr = u64{4} << 29 | u64{4} << 26 | u64{1} << 20 | u64{1} << 19 | 3;

} // namespace

void GicInterface::describe(Describe& d) {
    d.state("mask", mask);
    d.state("point0", point0, {.reset = point0_least, .low = point0_least, .high = 7});
    d.state("point1", point1, {.reset = point1_least, .low = point1_least, .high = 7});
    d.state("control", control, {.high = CBPR | EOImode});
    d.state("enabled0", enabled0, {.high = 1});
    d.state("enabled1", enabled1, {.high = 1});
    d.state("active0", active0);
    d.state("active1", active1);
}

void GicVirtual::describe(Describe& d) {
    f_.describe(d);
    d.state("hcr", hcr_);
    for (u32 n = 0; n < count; n++) {
        Describe::Group group(d, "lr", n);
        d.state("value", lr_[n]);
    }
}

// ---- what is pending

int GicVirtual::best() const {
    int found = -1;
    if (!(hcr_ & En)) return found;
    for (u32 n = 0; n < count; n++) {
        u64 lr = lr_[n];
        bool enabled = lr & Group ? f_.enabled1 : f_.enabled0;
        if ((lr & (pending | active)) != pending || !enabled) continue;
        if (found < 0 || priority(lr) < priority(lr_[u32(found)])) found = int(n);
    }
    return found;
}

bool GicVirtual::irq() const {
    int n = best();
    return signalled(n) && (lr_[u32(n)] & Group);
}
bool GicVirtual::fiq() const {
    int n = best();
    return signalled(n) && !(lr_[u32(n)] & Group);
}

// ---- the guest's registers

u64 GicVirtual::acknowledge(bool group1) {
    int n = best();
    if (!signalled(n) || group1 != ((lr_[u32(n)] & Group) != 0)) return spurious;
    u64& lr = lr_[u32(n)];
    u32 id = u32(lr);
    f_.begin(priority(lr), group1);
    lr = (lr & ~pending) | (id >= first_lpi ? 0 : active); // LPIs have no active state
    return id;
}

u64 GicVirtual::highest(bool group1) const {
    int n = best();
    return n >= 0 && group1 == ((lr_[u32(n)] & Group) != 0) ? u32(lr_[u32(n)]) : spurious;
}

void GicVirtual::deactivate(u32 id, u32& deactivated) {
    for (u64& lr : lr_) {
        if (!(lr & active) || u32(lr) != id) continue;
        lr &= ~active;
        if (lr & HW) deactivated = lr >> 32 & 0x3ff;
        return;
    }
    // The hypervisor has taken it out of the list: it hears how often that was met.
    if (id < first_lpi) hcr_ = (hcr_ & ~eoi_count) | ((hcr_ + eoi_count_one) & eoi_count);
}

void GicVirtual::end(u32 id, bool group1, u32& deactivated) {
    u32& levels = group1 ? f_.active1 : f_.active0;
    if ((id >= first_special && id < first_lpi) || levels == 0) return;
    levels &= levels - 1; // the most urgent one
    if (!(f_.control & GicInterface::EOImode) && id < first_lpi) deactivate(id, deactivated);
}

bool GicVirtual::read(u32 number, u64& v) {
    switch (number) {
    case ICC_PMR_EL1: v = f_.mask; break;
    case ICC_IAR0_EL1: v = acknowledge(false); break;
    case ICC_IAR1_EL1: v = acknowledge(true); break;
    case ICC_HPPIR0_EL1: v = highest(false); break;
    case ICC_HPPIR1_EL1: v = highest(true); break;
    case ICC_BPR0_EL1: v = f_.point0; break;
    case ICC_BPR1_EL1: v = f_.point1_seen(); break;
    case ICC_AP0R0_EL1: v = f_.active0; break;
    case ICC_AP1R0_EL1: v = f_.active1; break;
    case ICC_RPR_EL1: v = f_.running(); break;
    case ICC_CTLR_EL1: v = f_.control | ICC_CTLR_PRIbits_5; break;
    case ICC_IGRPEN0_EL1: v = f_.enabled0; break;
    case ICC_IGRPEN1_EL1: v = f_.enabled1; break;
    default: return false;
    }
    return true;
}

bool GicVirtual::write(u32 number, u64 v, u32& deactivated) {
    switch (number) {
    case ICC_PMR_EL1: f_.mask = u8(v) & GicInterface::priority_bits; break;
    case ICC_EOIR0_EL1: end(v & 0xffffff, false, deactivated); break;
    case ICC_EOIR1_EL1: end(v & 0xffffff, true, deactivated); break;
    case ICC_DIR_EL1:
        if (f_.control & GicInterface::EOImode) deactivate(v & 0xffffff, deactivated);
        break;
    case ICC_BPR0_EL1: f_.set_point0(v); break;
    case ICC_BPR1_EL1: f_.set_point1(v); break;
    case ICC_AP0R0_EL1: f_.active0 = u32(v); break;
    case ICC_AP1R0_EL1: f_.active1 = u32(v); break;
    case ICC_CTLR_EL1: f_.control = v & (GicInterface::CBPR | GicInterface::EOImode); break;
    case ICC_IGRPEN0_EL1: f_.enabled0 = v & 1; break;
    case ICC_IGRPEN1_EL1: f_.enabled1 = v & 1; break;
    default: return false;
    }
    return true;
}

// Section 12.6.9.
bool GicVirtual::traps(u32 number) const {
    switch (number) {
    case ICC_DIR_EL1: return hcr_ & (TDIR | TC);
    case ICC_PMR_EL1:
    case ICC_RPR_EL1:
    case ICC_CTLR_EL1: return hcr_ & TC;
    case ICC_IAR0_EL1:
    case ICC_EOIR0_EL1:
    case ICC_HPPIR0_EL1:
    case ICC_BPR0_EL1:
    case ICC_AP0R0_EL1:
    case ICC_IGRPEN0_EL1: return hcr_ & TALL0;
    default: return hcr_ & TALL1;
    }
}

// ---- EL2's registers

u64 GicVirtual::ended() const {
    u64 out = 0;
    for (u32 n = 0; n < count; n++) out |= u64{(lr_[n] & (pending | active | HW | EOI)) == EOI} << n;
    return out;
}
u64 GicVirtual::free() const {
    u64 out = 0;
    for (u32 n = 0; n < count; n++)
        out |= u64{!(lr_[n] & (pending | active)) && ((lr_[n] & HW) || !(lr_[n] & EOI))} << n;
    return out;
}

u64 GicVirtual::reasons() const {
    u32 used = 0;
    bool any_pending = false;
    for (u64 lr : lr_) {
        used += (lr & (pending | active)) != 0;
        any_pending |= (lr & (pending | active)) == pending;
    }
    auto when = [&](u32 bit, u32 enable, bool condition) { return u64{condition && (hcr_ & enable)} << bit; };
    return u64{ended() != 0} | when(1, UIE, used <= 1) | when(2, LRENPIE, hcr_ & eoi_count) |
           when(3, NPIE, !any_pending) | when(4, VGrp0EIE, f_.enabled0) | when(5, VGrp0DIE, !f_.enabled0) |
           when(6, VGrp1EIE, f_.enabled1) | when(7, VGrp1DIE, !f_.enabled1);
}

// ICH_VMCR_EL2. FIQs are for group 0: VFIQEn is one.
u64 GicVirtual::vmcr() const {
    return f_.enabled0 | u64{f_.enabled1} << 1 | 1 << 3 | u64(f_.control & GicInterface::CBPR) << 4 |
           u64{(f_.control & GicInterface::EOImode) != 0} << 9 | u64{f_.point1} << 18 | u64{f_.point0} << 21 |
           u64{f_.mask} << 24;
}
void GicVirtual::set_vmcr(u64 v) {
    f_.enabled0 = v & 1;
    f_.enabled1 = v >> 1 & 1;
    f_.control = 0;
    f_.set_point1(v >> 18);
    f_.set_point0(v >> 21);
    f_.control = u8((v >> 4 & 1 ? GicInterface::CBPR : 0) | (v >> 9 & 1 ? GicInterface::EOImode : 0));
    f_.mask = u8(v >> 24) & GicInterface::priority_bits;
}

bool GicVirtual::read_control(u32 number, u64& v) const {
    switch (number) {
    case ICH_AP0R0_EL2: v = f_.active0; break;
    case ICH_AP1R0_EL2: v = f_.active1; break;
    case ICH_HCR_EL2: v = hcr_; break;
    case ICH_VTR_EL2: v = vtr; break;
    case ICH_MISR_EL2: v = reasons(); break;
    case ICH_EISR_EL2: v = ended(); break;
    case ICH_ELRSR_EL2: v = free(); break;
    case ICH_VMCR_EL2: v = vmcr(); break;
    default:
        if (number < ICH_LR0_EL2 || number >= ICH_LR0_EL2 + count) return false;
        v = lr_[number - ICH_LR0_EL2];
    }
    return true;
}

bool GicVirtual::write_control(u32 number, u64 v) {
    switch (number) {
    case ICH_AP0R0_EL2: f_.active0 = u32(v); break;
    case ICH_AP1R0_EL2: f_.active1 = u32(v); break;
    case ICH_HCR_EL2: hcr_ = u32(v) & hcr_written; break;
    case ICH_VMCR_EL2: set_vmcr(v); break;
    default:
        if (number < ICH_LR0_EL2 || number >= ICH_LR0_EL2 + count) return false;
        lr_[number - ICH_LR0_EL2] = v & lr_written;
    }
    return true;
}

} // namespace mimic::devices
