// A saved state is untrusted: bytes go to a machine of several devices, over its own good state at random places.
#include "devices/base/machine.hpp"
#include "devices/types.hpp"

using namespace mimic;
using namespace mimic::devices;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
    Machine machine({.manual_clock = true, .random_seed = 1, .types = types()});
    for (const char* type : {"serial-mm", "riscv.sifive.plic", "riscv.aclint.mtimer", "goldfish_rtc", "fw_cfg_mem"})
        if (!machine.create(type, type)) __builtin_trap();
    machine.reset(ResetKind::power_on);
    machine.load({data, size}).ignore();
    // The first two bytes of each three say where, the third what.
    std::vector<u8> state = machine.save();
    for (size_t i = 0; i + 2 < size; i += 3) state[(data[i] | data[i + 1] << 8) % state.size()] = data[i + 2];
    machine.load(state).ignore();
    machine.set_running(true);
    machine.advance(1000000);
    machine.reset(ResetKind::cold);
    return 0;
}
