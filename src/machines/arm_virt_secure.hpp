// The secure world of the Arm `virt` board (-M secure=on): what secure accesses alone reach.
#pragma once
#include "devices/intc/arm_gicv3.hpp"
#include "machines/arm_virt_map.hpp"

namespace mimic::machines::arm_virt {

struct SecureDevices {
    memory::Region& space;     // the root of what secure accesses see
    devices::LineSink& inputs; // of the interrupt controller
    std::string console;       // the chardev of the UART; empty: none
};
// The UART, and the GPIO controller by which firmware switches the machine off and resets it.
Result<void> make_secure_devices(devices::Machine& machine, const SecureDevices& where);

// Nodes of the device tree. They are `disabled` for the non-secure world (secure-status of the binding "secure firmware").
void tree_secure(FdtWriter& t, devices::Machine& machine, u32 clock_phandle);

// What firmware does before it starts a kernel in the non-secure world: all interrupts are the kernel's. `gicv3` may be null.
struct HandOver {
    memory::AddressSpace& secure;
    devices::GicV3* gicv3;
    u32 processors, interrupts; // of the controller
};
void hand_over_interrupts(const HandOver& h);

} // namespace mimic::machines::arm_virt
