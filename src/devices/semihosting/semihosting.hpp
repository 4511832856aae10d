// Semihosting: programs call the host for files, a console, time and their own end. A board makes it and leads its processors'
// calls to it; which instruction makes one is the guest's business (isa::System::host_call).
#pragma once
#include "devices/base/machine.hpp"
#include <array>

namespace mimic::devices {

// Memory as the calling program sees it.
class ProgramMemory {
public:
    virtual ~ProgramMemory() = default;
    virtual bool read(u64 address, void* out, u64 bytes) = 0;
    virtual bool write(u64 address, const void* in, u64 bytes) = 0;
};

struct SemihostingCall {
    u32 processor = 0;
    u64 operation = 0, parameter = 0;
    u32 word = 8; // bytes of a field
};

class Semihosting : public Device {
public:
    // Where programs may put heap and stack: heap base and limit, stack base and limit. Empty: all 0, the program's own choice.
    std::function<std::array<u64, 4>()> heap;
    // What SYS_GET_CMDLINE answers.
    std::string command_line;
    // On the processor's thread. False: nothing has happened, the call has to be made again later.
    virtual bool call(const SemihostingCall& call, ProgramMemory& memory, u64& result) = 0;
};

} // namespace mimic::devices
