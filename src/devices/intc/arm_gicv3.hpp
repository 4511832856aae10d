// GICv3 as the processors of a board and its translation service reach it.
#pragma once
#include "devices/base/device.hpp"

namespace mimic::devices {

class GicV3 : public Device {
public:
    // A processor that accesses its registers: its exception level, whether the levels below EL3 are secure (SCR_EL3.NS is zero), and
    // whether EL3 takes its FIQs (SCR_EL3.FIQ).
    struct Asker {
        u32 cpu = 0;
        u8 level = 1;
        bool secure = false, secure_fiq = false;
    };
    // A system register of the CPU interface (ICC_*, ICH_*), by op0 << 14 | op1 << 11 | CRn << 7 | CRm << 3 | op2. Any thread outside
    // of device contexts. False: there is none, or not for that direction.
    virtual bool read_register(const Asker& who, u32 number, u64& value) = 0;
    virtual bool write_register(const Asker& who, u32 number, u64 value) = 0;
    // The same of the register that a hypervisor's guest meets under that number (ICV_*); does the hypervisor trap it?
    virtual bool traps_virtual(u32 cpu, u32 number) = 0;
    virtual bool read_virtual(u32 cpu, u32 number, u64& value) = 0;
    virtual bool write_virtual(u32 cpu, u32 number, u64 value) = 0;

    // Locality-specific interrupts (LPIs), for the translation service. An LPI or a processor that is not there is ignored.
    virtual void set_lpi(u32 cpu, u32 id, bool pending) = 0;
    virtual void move_lpi(u32 from, u32 to, u32 id) = 0;
    virtual void move_all_lpis(u32 from, u32 to) = 0;
    // The configuration in memory of one (0: of all) has changed.
    virtual void reload_lpis(u32 id) = 0;
    virtual u32 processors() const = 0;

    static constexpr u32 first_lpi = 8192, id_bits = 16;
};

} // namespace mimic::devices
