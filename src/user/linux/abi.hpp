// A Linux ABI: everything user mode must know of a guest architecture. One constant object each, in abi/; nothing else
// in src/user names a guest.
#pragma once
#include "ir/state.hpp"
#include "user/linux/structs.hpp"
#include <optional>
#include <signal.h>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mimic::user {

class Thread;
struct Args;
class AddressSpace;

// Which column of the table of calls an ABI uses.
enum class Numbers : u8 { generic, x86_64 };

// Slots by the names that the guest's GuestState gives them.
struct RegisterNames {
    std::string_view number, args[6], result, sp, tls;
    // What a signal frame holds, in its order (without the pc): general registers, then floating-point or vector ones.
    std::span<const std::string_view> frame_gpr, frame_vec;
    // Other state that frames hold or signals change: flags, reservation of load-linked...; the ABI knows the order.
    std::span<const std::string_view> other;
};

// RegisterNames resolved against a GuestState: byte offsets from the CpuHeader. missing: a name without a slot.
struct RegisterMap {
    u32 number = 0, args[6] = {}, result = 0, sp = 0, tls = 0;
    std::vector<u32> frame_gpr, frame_vec, other;
    std::string missing;
};
RegisterMap resolve(const RegisterNames& names, const ir::GuestState& state);

inline u64& reg(ir::CpuHeader& cpu, u32 offset) {
    return *reinterpret_cast<u64*>(reinterpret_cast<u8*>(&cpu) + offset);
}

// A signal to be delivered to a handler, and what the handler's frame says about the code it interrupts.
struct FrameRequest {
    int signal;
    u64 handler, flags, restorer;
    const u8* info; // siginfo in the guest's layout
    u32 info_bytes;
    u64 mask;          // to be restored when the handler returns
    SigStack altstack; // likewise
    u64 sp;            // where the frame goes below
    u64 trampoline;    // guest address of the ABI's sigreturn code
    u64 fault_address;
};
// What sigreturn restores besides registers.
struct FrameResult {
    u64 mask;
    SigStack altstack;
};

// open(2) flags that architectures number differently; the rest is the same everywhere that Mimic supports so far.
struct OpenFlags {
    u32 direct = 040000, largefile = 0100000, directory = 0200000, nofollow = 0400000;
};

// How frames are linked where code keeps a frame pointer: registers by name, and where from the frame pointer the caller's
// frame pointer and the return address lie. Without a link register, lr is empty.
struct FrameChain {
    std::string_view fp, lr;
    i16 next = 0, ret = 8;
    u64 address_mask = ~u64{0}; // bits of a return address that are the address
};

// A note of a core file beside those that every architecture has.
struct CoreNote {
    u32 type = 0;
    std::vector<u8> bytes;
};

// What a core file has of a thread: elf_gregset_t (struct user_regs_struct or user_pt_regs), elf_fpregset_t, further notes.
struct CoreRegisters {
    std::vector<u8> general, fp;
    std::vector<CoreNote> notes; // of owner "LINUX"
};

// A call that only this architecture has.
struct ArchCall {
    u32 number;
    std::string_view name;
    i64 (*handler)(Thread&, const Args&);
};

struct Abi {
    std::string_view name;    // of the guest in isa/: "riscv64"
    std::string_view machine; // of uname
    const char* platform;     // AT_PLATFORM, nullptr: none
    u16 elf_machine;
    u8 elf_class = 2; // 1: 32-bit, 2: 64-bit
    Model model;
    Numbers numbers = Numbers::generic;
    const Layouts* layouts = &generic_layouts;
    u32 page = 4096;
    u64 low = 0x10000, high = 1ull << 38; // addresses a program may use
    u64 pie_base = 0;                     // where position-independent programs go
    // The GNU property (type) whose bit 0 says that a program's code may be mapped with prot::guarded; 0: none.
    u32 guard_property = 0;
    bool top_byte_ignored = false; // of addresses below 2^55 (Arm's TBI)
    u32 syscall_bytes = 4;         // of the system call instruction: the trap's pc is its address
    RegisterNames registers;
    OpenFlags open;
    std::span<const u8> trampoline; // code that calls rt_sigreturn
    u32 min_signal_stack = 2048;    // AT_MINSIGSTKSZ
    std::string_view cpuinfo_default_model;

    u64 (*hwcap)(std::string_view cpu_model, int which); // which: 1 AT_HWCAP, 2 AT_HWCAP2
    // Writes the frame and sets the registers to enter the handler; false when the stack can't be written.
    bool (*push_frame)(AddressSpace& memory, const RegisterMap& map, ir::CpuHeader& cpu, const FrameRequest& request);
    // Reads the frame at the stack pointer back; false when it can't be read or makes no sense.
    bool (*pop_frame)(AddressSpace& memory, const RegisterMap& map, ir::CpuHeader& cpu, FrameResult& result);
    // Further registers at the start of a program (all others are zero).
    void (*start)(const RegisterMap& map, ir::CpuHeader& cpu) = nullptr;
    // Does the model look at where branches into pages with prot::guarded go?
    bool (*guards)(std::string_view cpu_model) = nullptr;
    // prctl options that only this architecture has; -EINVAL: none of them.
    i64 (*prctl)(Thread& t, const Args& a) = nullptr;
    // Null: there are no core files.
    CoreRegisters (*core_registers)(const RegisterMap& map, ir::CpuHeader& cpu, std::string_view cpu_model) = nullptr;
    FrameChain frames{};
    // Text of /proc/cpuinfo.
    std::string (*cpuinfo)(std::string_view cpu_model, u32 cpus);
    // A file of /sys/devices/system/cpu/cpuN that only this architecture has, by its name below it; null: none.
    std::optional<std::string> (*cpu_file)(std::string_view cpu_model, std::string_view name) = nullptr;
    std::span<const ArchCall> calls;

    const Layout& layout(S s) const { return *(*layouts)[u32(s)]; }
    // linux/audit.h: how seccomp and audit name the architecture.
    u32 audit_arch() const { return elf_machine | (elf_class == 2 ? 0x80000000u : 0) | (model.big ? 0 : 0x40000000u); }
    bool is_64bit() const { return model.long_bytes == 8; }
};

// Every ABI that was built in.
std::span<const Abi* const> abis();
const Abi* find_abi(std::string_view name);

} // namespace mimic::user
