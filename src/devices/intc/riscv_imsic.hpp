// Incoming MSI controllers as the processors of a board reach them.
#pragma once
#include "devices/base/device.hpp"

namespace mimic::devices {

class RiscvImsic : public Device {
public:
    // The register of a hart's interrupt file that miselect or siselect selects (0x70 to 0xff): the bits of `mask` become those
    // of `bits`, `old` is what was there; mask 0: a read. False: there is no such hart. Any thread outside of device contexts.
    virtual bool access(u32 hart, u32 select, u64 mask, u64 bits, u64& old) = 0;
    // mtopei or stopei; a claim makes what it shows pending no longer.
    virtual bool top(u32 hart, bool claim, u64& value) = 0;
};

} // namespace mimic::devices
