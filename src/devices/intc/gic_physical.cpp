#include "devices/intc/gic_physical.hpp"
#include "devices/intc/gic_registers.hpp"

namespace mimic::devices {
namespace {

using namespace gicv3;
constexpr u8 CBPR = GicInterface::CBPR, EOImode = GicInterface::EOImode;
constexpr u64 SRE_DFB_DIB = 7, Enable = 8; // there is nothing but system registers

} // namespace

u8 GicPhysical::group_mask(GicGroup g) const {
    if (g != GicGroup::secure1) return f_.group_mask(g == GicGroup::group1);
    u32 point = (s_.control & CBPR ? f_.point0 : s_.point1) + 1;
    return u8(point > 7 ? 0 : 0xffu << point);
}

u8 GicPhysical::running() const {
    u32 all = f_.active0 | f_.active1 | s_.active1;
    return all ? u8(__builtin_ctz(all) << 3) : GicInterface::idle;
}

bool GicPhysical::enabled(GicGroup g) const {
    return g == GicGroup::group0 ? f_.enabled0 : g == GicGroup::group1 ? f_.enabled1 : s_.enabled1;
}

bool GicPhysical::signals(u8 priority, GicGroup g) const {
    if (priority >= f_.mask) return false;
    u8 now = running();
    return now == GicInterface::idle || (priority & group_mask(g)) < now;
}

bool GicPhysical::only_drops(const GicAccess& a) const {
    return (a.level == 3 && a.two ? s_.control3 : a.secure_bank() ? s_.control : f_.control) & EOImode;
}

u64 GicPhysical::point1(const GicAccess& a) const {
    if (!a.secure_bank()) return f_.point1_seen();
    return s_.control & CBPR ? f_.point0 : s_.point1;
}
void GicPhysical::set_point1(const GicAccess& a, u64 v) {
    if (!a.secure_bank()) return f_.set_point1(v);
    if (s_.control & CBPR) return f_.set_point0(v);
    s_.point1 = std::max(u8(v & 7), GicInterface::point0_least);
}

// Whoever has the upper half changes nothing while the mask is in the lower one.
void GicPhysical::set_mask(const GicAccess& a, u8 v) {
    if (!a.upper_half())
        f_.mask = v & GicInterface::priority_bits;
    else if (f_.mask & 0x80)
        f_.mask = from_nonsecure_priority(v);
}

// CBPR is EL3's where there are two Security states.
void GicPhysical::set_control(const GicAccess& a, u64 v) {
    u8 writable = a.two ? EOImode : CBPR | EOImode;
    u8& control = a.secure_bank() ? s_.control : f_.control;
    control = u8((control & ~writable) | (v & writable));
}

// ICC_CTLR_EL3: CBPR_EL1S, CBPR_EL1NS, EOImode_EL3, EOImode_EL1S, EOImode_EL1NS.
u64 GicPhysical::control3() const {
    auto bit = [](u8 v, u8 mask, u32 at) { return u64{(v & mask) != 0} << at; };
    return bit(s_.control, CBPR, 0) | bit(f_.control, CBPR, 1) | bit(s_.control3, EOImode, 2) |
           bit(s_.control, EOImode, 3) | bit(f_.control, EOImode, 4) | ICC_CTLR_PRIbits_5;
}
void GicPhysical::set_control3(u64 v) {
    auto bit = [&](u32 at, u8 mask) { return v >> at & 1 ? mask : u8(0); };
    s_.control = u8(bit(0, CBPR) | bit(3, EOImode));
    f_.control = u8(bit(1, CBPR) | bit(4, EOImode));
    s_.control3 = bit(2, EOImode);
}

bool GicPhysical::read(const GicAccess& a, u32 number, u64& v) const {
    auto shown = [&](u8 p) { return a.upper_half() ? nonsecure_priority(p) : p; };
    switch (number) {
    case ICC_PMR_EL1: v = shown(f_.mask); break;
    case ICC_BPR0_EL1: v = f_.point0; break;
    case ICC_AP0R0_EL1: v = f_.active0; break;
    case ICC_AP1R0_EL1: v = a.secure_bank() ? s_.active1 : f_.active1; break;
    case ICC_RPR_EL1: v = running() == GicInterface::idle ? running() : shown(running()); break;
    case ICC_BPR1_EL1: v = point1(a); break;
    case ICC_CTLR_EL1: v = (a.secure_bank() ? s_.control : f_.control) | ICC_CTLR_PRIbits_5; break;
    case ICC_SRE_EL1: v = SRE_DFB_DIB; break;
    case ICC_IGRPEN0_EL1: v = f_.enabled0; break;
    case ICC_IGRPEN1_EL1: v = a.secure_bank() ? s_.enabled1 : f_.enabled1; break;
    case ICC_SRE_EL2:
    case ICC_SRE_EL3: v = SRE_DFB_DIB | Enable; break;
    case ICC_CTLR_EL3: v = control3(); break;
    case ICC_IGRPEN1_EL3: v = f_.enabled1 | u64{s_.enabled1} << 1; break;
    default: return false;
    }
    return true;
}

bool GicPhysical::write(const GicAccess& a, u32 number, u64 v) {
    switch (number) {
    case ICC_PMR_EL1: set_mask(a, u8(v)); break;
    case ICC_BPR0_EL1: f_.set_point0(v); break;
    case ICC_AP0R0_EL1: f_.active0 = u32(v); break;
    case ICC_AP1R0_EL1: (a.secure_bank() ? s_.active1 : f_.active1) = u32(v); break;
    case ICC_BPR1_EL1: set_point1(a, v); break;
    case ICC_CTLR_EL1: set_control(a, v); break;
    case ICC_SRE_EL1:
    case ICC_SRE_EL2:
    case ICC_SRE_EL3: break;
    case ICC_IGRPEN0_EL1: f_.enabled0 = v & 1; break;
    case ICC_IGRPEN1_EL1: (a.secure_bank() ? s_.enabled1 : f_.enabled1) = v & 1; break;
    case ICC_CTLR_EL3: set_control3(v); break;
    case ICC_IGRPEN1_EL3: f_.enabled1 = v & 1, s_.enabled1 = v >> 1 & 1; break;
    default: return false;
    }
    return true;
}

void GicPhysical::describe(Describe& d, bool security) {
    f_.describe(d);
    if (!security) return;
    d.state("secure_point1", s_.point1,
            {.reset = GicInterface::point0_least, .low = GicInterface::point0_least, .high = 7});
    d.state("secure_control", s_.control, {.high = CBPR | EOImode});
    d.state("secure_control3", s_.control3, {.high = EOImode});
    d.state("secure_enabled1", s_.enabled1, {.high = 1});
    d.state("secure_active1", s_.active1);
}

} // namespace mimic::devices
