// ELF core files of a machine's memory, for debuggers and the tools of kernels: a PT_LOAD for each range of RAM at its physical
// address, an NT_PRSTATUS for each processor. Sources: System V gABI (ELF headers, notes); core(5) and linux/elfcore.h (the layout of
// struct elf_prstatus on 64-bit Linux).
#pragma once
#include "monitor/monitor.hpp"

namespace mimic::monitor {

struct DumpRange {
    u64 address = 0;
    memory::RamBlock* block = nullptr;
    u64 offset = 0, bytes = 0;
};
struct Dump {
    std::vector<u8> head; // headers and notes; RAM follows in order
    std::vector<DumpRange> ram;
    u64 bytes() const;
};
// While the machine stands still. [begin, begin + length) of physical memory. Errors: nothing of it is RAM; the guest has no core
// files.
Result<Dump> prepare_dump(machines::Board& board, u64 begin, u64 length);
// On any thread, while the machine stands still. Pages of zeros are left as holes. Looks at `cancelled` every MiB. `done`: bytes so
// far.
Result<void> write_dump(const Dump& dump, const std::string& path, const std::atomic<bool>& cancelled,
                        std::atomic<u64>& done);

// Both; the machine stands still meanwhile, in state save-vm. `claim`: Keeper::dump.
io::Task<Result<void>> dump(Monitor& m, machines::RunControl::Claim claim, std::string path, u64 begin, u64 length);

} // namespace mimic::monitor
