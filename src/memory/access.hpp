// One access to a physical address space: who asks, what comes back, and what a device behind it implements.
#pragma once
#include "base/types.hpp"

namespace mimic::memory {

// Properties of a transaction that devices and IOMMUs may look at.
struct Attributes {
    u16 requester = 0; // of DMA: bus << 8 | device << 3 | function on PCI; 0: a processor or an on-chip device
    u16 processor = 0; // of accesses by processors: its number on the board (banked registers of interrupt controllers)
    bool secure = false;
    bool debug = false;    // gdb, monitor: must have no side effects on devices
    bool can_wait = false; // of writes: who makes it takes Outcome::wait; others' are done at once
};

// What became of an access. decode_error: nothing is mapped there. device_error: the device refused it. wait: it is not done
// before the device has ended something; the same access is made again, as often as it takes, and nothing behind it happens
// meanwhile (a bus that inserts wait states).
enum class Outcome : u8 { ok, decode_error, device_error, wait };

// The registers of a device, as the bus calls them. Offsets are bytes from the start of its region; `bytes` is a size that
// its AccessRules implement. Values are host integers, zero extended; the bus applies the device's byte order.
class Handler {
public:
    virtual ~Handler() = default;
    virtual Outcome read(u64 offset, u32 bytes, u64& value, Attributes attributes) = 0;
    virtual Outcome write(u64 offset, u32 bytes, u64 value, Attributes attributes) = 0;
};

// Which accesses a device takes. The bus splits and widens: an access of a size that the device accepts but does not
// implement is made of several narrower ones or cut out of a wider one; one that it does not accept is a device_error.
struct AccessRules {
    u8 min = 1, max = 8;                         // sizes that guests may use
    u8 implemented_min = 1, implemented_max = 8; // sizes that Handler is called with
    bool unaligned = false;                      // accesses off their natural alignment are accepted
    bool big_endian = false;
};

} // namespace mimic::memory
