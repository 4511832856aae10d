// x86-64 Linux: the slice that static integer programs need. System V ABI, AMD64 supplement; asm/prctl.h. Signal frames
// are not there: a handler that would need one makes the signal fatal.
#include "user/linux/abi.hpp"
#include "user/linux/arch_calls.hpp"

namespace mimic::user {
namespace {

// mov eax, 15 (rt_sigreturn); syscall
constexpr u8 trampoline[] = {0xb8, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};

bool push_frame(AddressSpace&, const RegisterMap&, ir::CpuHeader&, const FrameRequest&) { return false; }
bool pop_frame(AddressSpace&, const RegisterMap&, ir::CpuHeader&, FrameResult&) { return false; }

// CPUID leaf 1 EDX of a baseline x86-64: FPU TSC MSR CX8 CMOV MMX FXSR SSE SSE2.
u64 hwcap(std::string_view, int which) { return which == 1 ? 0x07808131 : 0; }

std::string cpuinfo(std::string_view, u32 cpus) {
    std::string text;
    for (u32 n = 0; n < cpus; n++)
        text += "processor\t: " + std::to_string(n) +
                "\nvendor_id\t: Mimic\nflags\t\t: fpu tsc cx8 cmov mmx fxsr sse sse2 syscall lm\n\n";
    return text;
}

constexpr ArchCall calls[] = {{158, "arch_prctl", arch_prctl}};

} // namespace

extern const Abi x86_64_abi;
constinit const Abi x86_64_abi{
    .name = "x86_64",
    .machine = "x86_64",
    .platform = "x86_64",
    .elf_machine = 62,
    .model = {},
    .numbers = Numbers::x86_64,
    .layouts = &x86_64_layouts,
    .high = 1ull << 46,
    .pie_base = 0x2aaaaaaaa000,
    .syscall_bytes = 2,
    .registers = {.number = "rax",
                  .args = {"rdi", "rsi", "rdx", "r10", "r8", "r9"},
                  .result = "rax",
                  .sp = "rsp",
                  .tls = "fs_base",
                  .frame_gpr = {},
                  .frame_vec = {},
                  .other = {}},
    .trampoline = trampoline,
    .hwcap = hwcap,
    .push_frame = push_frame,
    .pop_frame = pop_frame,
    .frames = {.fp = "rbp"},
    .cpuinfo = cpuinfo,
    .calls = calls,
};

} // namespace mimic::user
