// The privileged side of a guest architecture: translation of addresses, exceptions, interrupts, reset. What the vCPU
// loop of a machine (cpu/vcpu.hpp) asks of src/isa/<guest>/; user mode needs none of it.
//
// All state is in the vCPU's slots (class sys), so that it is saved, compared by verify=on and shown to gdb like any
// register. Objects of this interface have no state of their own: one serves all vCPUs of its model.
#pragma once
#include "ir/state.hpp"
#include "isa/guest.hpp"

namespace mimic::isa {

enum class AccessType : u8 { read, write, fetch };

// An exception that an access meets, in the architecture's own words (RISC-V: mcause and mtval; Arm: syndrome and FAR).
struct Exception {
    u64 cause = 0, value = 0, value2 = 0;
};

// What a walk found: the largest block of addresses that all translate alike.
struct Mapping {
    u64 physical = 0; // of the address that was asked for
    u8 bits = 12;     // log2 of the block's size, >= 12; a smaller protection granule makes it `small`
    bool read = false, write = false, fetch = false; // allowed without asking again (dirty and accessed bits are set)
    bool small = false;  // good for this access only: must not be cached (PMP or MPU granules below 4 KiB)
    bool apart = false;  // small only because this index has one context for all address spaces (System::keep_apart)
    bool device = false; // uncached, ordered
    bool global = false; // same in all address-space identifiers
    bool secure = false; // in the secure physical address space
};

// Addresses that are next to each other and translate alike, for people to read.
struct Mapped {
    u64 address = 0, physical = 0, bytes = 0;
    std::string attributes; // in the architecture's own letters: "rwxu-ad"
};

// Physical memory as walks see it: tables in RAM, read and updated with single-copy atomic accesses. `secure`: in the secure
// address space, where the architecture has two. False: bus error.
class PhysicalMemory {
public:
    virtual ~PhysicalMemory() = default;
    virtual bool read(u64 address, u32 bytes, u64& value, bool secure = false) = 0;
    virtual bool compare_and_swap(u64 address, u32 bytes, u64 expected, u64 desired, u64& old, bool secure = false) = 0;
};

enum class ResetKind : u8 { power_on, cold, warm };

// What an instruction asks of the board, which answers on the vCPU's thread (cpu::BoardPort).
struct BoardRequest {
    enum class Kind : u8 {
        none,
        call,   // of firmware that the board stands for (Arm: HVC and SMC by the SMC Calling Convention)
        read,   // of a system register that a device of the board has (Arm: ICC_* of a GICv3)
        write,  // of such a register
        change, // of some bits of one, in one step with a read of what was there
    };
    Kind kind = Kind::none;
    // call: the conduit, in the guest's words (Arm: 0 HVC, 1 SMC). read, write: the register as the guest's instructions encode
    // it (Arm: op0 << 14 | op1 << 11 | CRn << 7 | CRm << 3 | op2; RISC-V: the CSR, for mireg and sireg with what is selected
    // << 16).
    u32 number = 0;
    u8 level = 0;        // privilege of who asks (Arm: exception level)
    bool secure = false; // asked in the secure state; at the level that is in both: as it has set what is below it
    bool virtual_interface =
        false; // the hypervisor's controls say that the guest of a hypervisor meets its own (Arm: ICV_*)
    // Arm: FIQs are taken to EL3 (SCR_EL3.FIQ), so that priorities of the secure half are not shown to who asks.
    bool secure_fiq = false;
    // read, write: who answers says that the hypervisor of this guest is to see it.
    bool trapped = false;
    // call: arguments (Arm: x0 to x7), the first four of them results when it was answered. read, write: [0] is the value.
    // change: the bits of [1] become those of [2]; [0] is what they and the others were before.
    u64 values[8] = {};
};

// What execute() asks of the vCPU beside what it did to slots, pc and mode.
struct Effects {
    enum class Flush : u8 { none, all, address, context, address_in_context };
    Flush flush = Flush::none; // translations that may be cached no longer: of all contexts or of `context` only
    u64 address = 0, context = 0;
    u64 bytes = 0; // of Flush::address...: as many from there on; 0: one page
    bool broadcast =
        false;             // the flush is for all processors of the machine; done everywhere when `settle` is asked for
    bool settle = false;   // go on when the flushes that this processor asked others for are done
    bool contexts = false; // what context() answers may have changed
    bool wait = false;     // wait for an interrupt
    bool pause = false;    // another processor is waited for: let others run
    bool code = false;     // what is fetched from now on is what memory holds
    bool debug = false;    // what debug_points() answers may have changed
    BoardRequest request;  // answered() goes on
};

// A call of the host by a program (semihosting): the operation's number and its parameter, in the words of Arm's "Semihosting for
// AArch32 and AArch64", which other architectures took over.
struct HostCall {
    u64 operation = 0, parameter = 0;
    u32 word = 8;           // bytes of a field of a parameter block
    bool privileged = true; // asked above the level of programs
};
// Code at an address as the processor would fetch it: bytes of it that are there.
using CodeAt = std::function<u32(u64 address, std::span<u8> out)>;

// What a guest has its own processor stop at, by debug registers or triggers: [address, address + bytes), virtual, wrapping
// nowhere. More than will match, never less: each time one is met, the architecture is asked.
struct DebugPoint {
    u64 address = 0, bytes = 1;
    bool execute = false; // instructions that begin there
    bool read = false, write = false;
    bool operator==(const DebugPoint&) const = default;
};
// An access that touches a DebugPoint: all of it, wherever pages end. An atomic one reads and writes.
struct DebugAccess {
    u64 address = 0;
    u32 bytes = 0, index = 0;
    bool read = false, write = false;
};

class System {
public:
    virtual ~System() = default;

    // Privilege (MMU) indices: MemArg::index of loads and stores is below this; fetches use fetch_index(mode).
    virtual u32 indices() const = 0;
    virtual u32 fetch_index(u32 mode) const = 0;
    // Of what has no MemArg: probes, gdb.
    virtual u32 data_index(u32 mode) const = 0;
    virtual u32 physical_bits() const = 0;

    // Translates `address` for an access of `bytes` bytes. False: `e` is the exception. Sets accessed and dirty bits as
    // the architecture and its controls say. `debug`: changes nothing, ignores permissions (gdb, monitor).
    virtual bool translate(ir::CpuHeader& cpu, PhysicalMemory& memory, u64 address, u32 bytes, AccessType type,
                           u32 index, bool debug, Mapping& out, Exception& e) const = 0;
    // All that the tables in force now translate, by rising address; at most `max`. False: addresses are physical ones.
    virtual bool mappings(ir::CpuHeader&, PhysicalMemory&, u32 /*max*/, std::vector<Mapped>&) const { return false; }
    // The identifier (ASID, VMID and what else tells address spaces apart) under which translations of `index` made now may be
    // cached; equal numbers mean equal translations until flushed.
    virtual u64 context(const ir::CpuHeader& cpu, u32 index) const = 0;

    // Mappings that are `apart` are met often: from now on contexts of such indices tell address spaces apart. Outside code.
    virtual void keep_apart(ir::CpuHeader& /*cpu*/) const {}

    // The exception for: a bus error, a misaligned access, a trap op (ir::TrapKind and detail in cpu.exit_arg,
    // fault_address) but TrapKind::guest; `code` is what stands at cpu.pc, as far as it can be fetched.
    virtual Exception bus_error(ir::CpuHeader& cpu, u64 address, AccessType type) const = 0;
    virtual Exception misaligned(ir::CpuHeader& cpu, u64 address, AccessType type) const = 0;
    virtual Exception trap(ir::CpuHeader& cpu, std::span<const u8> code) const = 0;
    // TrapKind::guest: an instruction that changes more than slots, named by the trap's detail. Does it (slots, pc, mode)
    // and says in `effects` what the vCPU has to do; false: `e` is its exception.
    virtual bool execute(ir::CpuHeader& cpu, PhysicalMemory& memory, std::span<const u8> code, Effects& effects,
                         Exception& e) const = 0;
    // The instruction whose Effects had a request: `done` by the board, or nobody there knows it. Results, pc; false: `e` is
    // its exception.
    virtual bool answered(ir::CpuHeader& /*cpu*/, const BoardRequest& /*r*/, bool /*done*/, Effects& /*effects*/,
                          Exception& /*e*/) const {
        return true;
    }
    // The trap op that a processor left code by: is its instruction a call of the host? Then finish_host_call goes on behind it.
    virtual bool host_call(ir::CpuHeader& /*cpu*/, const CodeAt& /*code*/, HostCall& /*out*/) const { return false; }
    virtual void finish_host_call(ir::CpuHeader& /*cpu*/, u64 /*result*/) const {}
    // A fault of a load or store, before it is raised: what its handler is told of the instruction at pc (Arm: the syndrome of
    // stage 2, by which a hypervisor emulates a device).
    virtual void add_syndrome(ir::CpuHeader& /*cpu*/, const CodeAt& /*code*/, Exception& /*e*/) const {}
    // Enters the guest's handler: slots, pc, mode. pc is that of the instruction that faulted or trapped.
    virtual void raise(ir::CpuHeader& cpu, const Exception& e) const = 0;

    // Input lines (CpuHeader::lines): their names, in order of bit.
    virtual std::span<const std::string_view> lines() const = 0;
    // Enters the handler of the most urgent interrupt that is pending and enabled; false: there is none.
    virtual bool take_interrupt(ir::CpuHeader& cpu) const = 0;
    // Would a waiting instruction (WFI) end now? True also for what is pending but masked, as the architecture says.
    virtual bool wakes(const ir::CpuHeader& cpu) const = 0;
    // Timers inside the CPU: sets or clears bits of CpuHeader::lines by what is due now.
    virtual void tick(ir::CpuHeader& cpu) const = 0;
    // The next time, in nanoseconds of CpuHeader::clock, at which a timer inside the CPU (stimecmp, CNTV_CVAL) makes an
    // interrupt pending; ~0: none.
    virtual u64 next_timer(const ir::CpuHeader& cpu) const = 0;

    // Output lines of a processor (Arm: interrupts of the generic timers and the PMU, which a board leads to its interrupt
    // controller): names in order of bit, and their levels now.
    virtual std::span<const std::string_view> outputs() const { return {}; }
    virtual u64 output_levels(ir::CpuHeader& /*cpu*/) const { return 0; }

    virtual void reset(ir::CpuHeader& cpu, ResetKind kind) const = 0;
    // After reset: as firmware would hand over to software of this privilege (Arm: an exception level, non-secure). False: there
    // is no such level.
    virtual bool enter_level(ir::CpuHeader& /*cpu*/, u32 /*level*/) const { return false; }
    // The number that the guest reads of itself (mhartid, MPIDR_EL1): survives resets.
    virtual void set_identity(ir::CpuHeader& cpu, u64 id) const = 0;
    // For `-machine none`-like starts and boards: where execution begins, and first arguments by the boot protocol.
    virtual void set_pc(ir::CpuHeader& cpu, u64 pc) const = 0;

    // Registers came from outside (a saved machine): is their state one that the architecture can be in? Errors name what is
    // not. Whatever else they hold, nothing worse may come of it than a guest that goes wrong.
    virtual Result<void> check_state(const ir::CpuHeader&) const { return {}; }

    // ELF core files (NT_PRSTATUS): e_machine, 0 if there are none; how many registers Linux's elf_gregset_t has, and the n-th.
    virtual u16 elf_machine() const { return 0; }
    virtual u32 core_registers() const { return 0; }
    virtual u64 core_register(ir::CpuHeader& /*cpu*/, u32 /*n*/) const { return 0; }

    // Properties of a processor's node in a device tree: name and bytes (texts end with a zero byte).
    virtual std::vector<std::pair<std::string, std::string>> device_tree() const { return {}; }

    // Exceptions and interrupts in words, for -d int.
    virtual std::string describe(const ir::CpuHeader& cpu, const Exception& e) const = 0;

    // No flush that this processor asked others for (Effects::broadcast) is still to be done: its barrier needs no
    // Effects::settle.
    virtual void flushes_done(ir::CpuHeader& /*cpu*/) const {}

    // Where instructions are counted (cpu/counted.hpp): CpuHeader::budget was changed by so many, outside code; each takes
    // 2^shift nanoseconds. So a processor can tell how many instructions it has begun.
    virtual void budget_changed(ir::CpuHeader& /*cpu*/, i64 /*by*/, u32 /*shift*/) const {}

    // ---- debug exceptions that the guest itself asks for (Arm: self-hosted debug; RISC-V: triggers). Nothing is paid for them
    // but where they are in use: processors are asked for points when Effects::debug says so, when registers came from
    // outside, and after each of the hooks below; code keeps from running over an `execute` point only in modes that have a bit
    // of debug_mode(); pages with points of accesses are the only ones whose accesses come to C++.
    virtual void debug_points(const ir::CpuHeader& /*cpu*/, std::vector<DebugPoint>& /*out*/) const {}
    // What points are compared with, of an address that an access has: guests may ignore its top byte.
    virtual u64 debug_address(u64 address) const { return address; }
    // Bits of CpuHeader::mode, one of which is set while an `execute` point may match, and best only then.
    virtual u32 debug_mode() const { return 0; }
    // Is the next instruction to be executed alone, with both hooks around it? Asked between instructions whenever code was
    // left: what may change the answer has to leave code (TrapKind::guest, exceptions, interrupts).
    virtual bool steps(const ir::CpuHeader& /*cpu*/) const { return false; }
    // Before the instruction at pc: while steps(), and in an `execute` point whatever the mode is. True: `e` is raised in its
    // place. `code`: for what has to be fetched before it can match.
    virtual bool before_instruction(ir::CpuHeader& /*cpu*/, const CodeAt& /*code*/, Exception& /*e*/) const {
        return false;
    }
    // Behind an instruction that steps() held for and that had no exception; `code` is what stood there. pc is where it goes
    // on. True: `e` is raised there.
    virtual bool after_instruction(ir::CpuHeader& /*cpu*/, std::span<const u8> /*code*/, Exception& /*e*/) const {
        return false;
    }
    // Before an access that touches a point of its kind, in the middle of an instruction: only slots that are in memory may
    // change (class sys, priority 0). True: it does not happen, `e` is raised.
    virtual bool before_access(ir::CpuHeader& /*cpu*/, const DebugAccess& /*a*/, Exception& /*e*/) const {
        return false;
    }
    // before_access has priority over exceptions of the address's translation; else those have it.
    virtual bool watches_before_translation() const { return false; }
};

} // namespace mimic::isa
