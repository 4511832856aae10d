// The virtual CPU interface of one processor of a GICv3: list registers that a hypervisor fills (ICH_*), and the registers
// by which its guest takes interrupts from them (ICV_*, at the names of ICC_*).
// Source: Arm IHI 0069H, chapter 6 and sections 12.4 (ICV), 12.6 (ICH).
// Not there: more than four list registers, direct injection (GICv4), SEIs.
#pragma once
#include "devices/base/describe.hpp"
#include <algorithm>
#include <array>

namespace mimic::devices {

// The state of a CPU interface, physical or virtual, and the rules of priorities that both follow (section 4.8).
struct GicInterface {
    static constexpr u8 idle = 0xff, priority_bits = 0xf8, point0_least = 2, point1_least = 3;
    static constexpr u8 CBPR = 1, EOImode = 2; // of control
    u8 mask = 0, point0 = point0_least, point1 = point1_least, control = 0, enabled0 = 0, enabled1 = 0;
    u32 active0 = 0, active1 = 0; // active priorities, one bit a level

    u8 group_mask(bool group1) const {
        u32 point = group1 && !(control & CBPR) ? point1 : point0 + 1;
        return u8(point > 7 ? 0 : 0xffu << point);
    }
    u8 running() const {
        u32 both = active0 | active1;
        return both ? u8(__builtin_ctz(both) << 3) : idle;
    }
    bool signals(u8 priority, bool group1) const {
        if (priority >= mask) return false;
        u8 now = running();
        return now == idle || (priority & group_mask(group1)) < now;
    }
    void begin(u8 priority, bool group1) {
        (group1 ? active1 : active0) |= u32{1} << ((priority & group_mask(group1)) >> 3);
    }
    u64 point1_seen() const { return control & CBPR ? std::min(point0 + 1, 7) : point1; }
    void set_point0(u64 v) { point0 = std::max(u8(v & 7), point0_least); }
    void set_point1(u64 v) {
        if (!(control & CBPR)) point1 = std::max(u8(v & 7), point1_least);
    }
    void describe(Describe& d);
};

class GicVirtual {
public:
    // Of a register that EL2 has (ICH_*), by op0 << 14 | op1 << 11 | CRn << 7 | CRm << 3 | op2. False: there is none.
    bool read_control(u32 number, u64& value) const;
    bool write_control(u32 number, u64 value);
    // Of the guest's, by the number of the ICC_* register in whose place it is.
    bool read(u32 number, u64& value);
    // `deactivated`: the physical interrupt that ends with the virtual one; else unchanged.
    bool write(u32 number, u64 value, u32& deactivated);
    // Does EL2 want to see this access of its guest (ICH_HCR_EL2)?
    bool traps(u32 number) const;

    bool irq() const;
    bool fiq() const;
    bool maintenance() const { return (hcr_ & En) && reasons(); }
    void describe(Describe& d);

protected:
    static constexpr u32 count = 4, spurious = 1023, first_special = 1020, first_lpi = 8192;
    // ICH_HCR_EL2
    static constexpr u32 En = 1, UIE = 2, LRENPIE = 4, NPIE = 8, VGrp0EIE = 16, VGrp0DIE = 32, VGrp1EIE = 64,
                         VGrp1DIE = 128, TC = 1 << 10, TALL0 = 1 << 11, TALL1 = 1 << 12, TDIR = 1 << 14,
                         hcr_written = 0xf80074ff, eoi_count_one = 1u << 27, eoi_count = 31u << 27;
    // ICH_LR<n>_EL2
    static constexpr u64 pending = u64{1} << 62, active = u64{1} << 63, HW = u64{1} << 61, Group = u64{1} << 60,
                         EOI = u64{1} << 41, lr_written = 0xf0ff1fffffffffff;
    static u8 priority(u64 lr) { return u8(lr >> 48) & GicInterface::priority_bits; }

    int best() const; // the list register of the most urgent pending interrupt, or -1
    bool signalled(int n) const { return n >= 0 && f_.signals(priority(lr_[u32(n)]), (lr_[u32(n)] & Group) != 0); }
    u64 acknowledge(bool group1);
    void end(u32 id, bool group1, u32& deactivated);
    void deactivate(u32 id, u32& deactivated);
    u64 highest(bool group1) const;
    u64 vmcr() const;
    void set_vmcr(u64 v);
    u64 reasons() const; // ICH_MISR_EL2
    u64 ended() const;   // ICH_EISR_EL2
    u64 free() const;    // ICH_ELRSR_EL2

    GicInterface f_;
    u32 hcr_ = 0;
    std::array<u64, count> lr_{};
};

} // namespace mimic::devices
