// The CPU interface of one processor of a GICv3, with one or two Security states: masks, binary points and active priorities,
// and what the system registers (ICC_*) show of them. Interrupts themselves are the distributor's.
// Source: Arm IHI 0069H, sections 4.6 (groups and Security), 4.8 (priorities), 12.2 (ICC_*).
// Not there: ICC_CTLR_EL3.RM and PMHE.
#pragma once
#include "devices/intc/arm_gicv3.hpp"
#include "devices/intc/gic_virtual.hpp"

namespace mimic::devices {

// With one Security state (GICD_CTLR.DS) there are groups 0 and 1.
enum class GicGroup : u8 { group0, group1, secure1 };

// An access to a system register.
struct GicAccess : GicV3::Asker {
    bool two = false; // Security states
    // Does it see what is secure? EL3 does whatever is below it.
    bool sees_secure() const { return !two || secure || level == 3; }
    // Of registers that both states have: at EL3 SCR_EL3.NS chooses.
    bool secure_bank() const { return two && secure; }
    // Priorities are the upper half, shown as all.
    bool upper_half() const { return !sees_secure() && secure_fiq; }
};
// A priority as the non-secure state has it, and back (4.8.1).
constexpr u8 nonsecure_priority(u8 p) { return p & 0x80 ? u8(p << 1) : 0; }
constexpr u8 from_nonsecure_priority(u8 p) { return u8(0x80 | (p >> 1 & GicInterface::priority_bits)); }

class GicPhysical {
public:
    u8 running() const;
    bool enabled(GicGroup g) const;
    bool signals(u8 priority, GicGroup g) const;
    void begin(u8 priority, GicGroup g) { active(g) |= u32{1} << ((priority & group_mask(g)) >> 3); }
    // The priority drop of an end of interrupt: the most urgent active one of the group.
    void drop(GicGroup g) { active(g) &= active(g) - 1; }
    // Does the end of an interrupt leave it active (EOImode)?
    bool only_drops(const GicAccess& a) const;

    // By op0 << 14 | op1 << 11 | CRn << 7 | CRm << 3 | op2. False: not one of these.
    bool read(const GicAccess& a, u32 number, u64& value) const;
    bool write(const GicAccess& a, u32 number, u64 value);
    void describe(Describe& d, bool security);

private:
    // Group 1 of the secure state, where there are two.
    struct SecureBank {
        u8 point1 = GicInterface::point0_least, control = 0, enabled1 = 0, control3 = 0; // of EL3: EOImode
        u32 active1 = 0;
    };
    u8 group_mask(GicGroup g) const;
    u32& active(GicGroup g) {
        return g == GicGroup::group0 ? f_.active0 : g == GicGroup::group1 ? f_.active1 : s_.active1;
    }
    u64 point1(const GicAccess& a) const;
    void set_point1(const GicAccess& a, u64 v);
    void set_mask(const GicAccess& a, u8 v);
    void set_control(const GicAccess& a, u64 v);
    u64 control3() const;
    void set_control3(u64 v);

    GicInterface f_; // of both states, or of the non-secure one
    SecureBank s_;
};

} // namespace mimic::devices
