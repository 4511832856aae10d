// The privileged side of RISC-V: fields of its registers, and the state as C++ sees it. The RISC-V Instruction Set
// Manual, Volume II (20240411): machine level chapter 3, Smepmp 6, supervisor level 12, Svnapot, Svpbmt, Svinval, Svadu and Sstc in their chapters.
#pragma once
#include "isa/riscv/isa.hpp"
#include "isa/system.hpp"

namespace mimic::isa::riscv {

enum Privilege : u32 { user_level = 0, supervisor_level = 1, machine_level = 3 };

// mstatus (3.1.6); sstatus shows part of it (12.1.1).
namespace mstatus {
inline constexpr u64 SIE = 1 << 1, MIE = 1 << 3, SPIE = 1 << 5, MPIE = 1 << 7, SPP = 1 << 8, MPP = 3 << 11,
                     FS = 3 << 13, MPRV = 1 << 17, SUM = 1 << 18, MXR = 1 << 19, TVM = 1 << 20, TW = 1 << 21,
                     TSR = 1 << 22, UXL = u64{3} << 32, SXL = u64{3} << 34, SD = u64{1} << 63;
inline constexpr u32 MPP_at = 11, FS_at = 13;
inline constexpr u64 writable = SIE | MIE | SPIE | MPIE | SPP | MPP | FS | MPRV | SUM | MXR | TVM | TW | TSR;
inline constexpr u64 fixed = u64{2} << 32 | u64{2} << 34; // UXL, SXL: 64 bits
inline constexpr u64 of_sstatus = SIE | SPIE | SPP | FS | SUM | MXR;
} // namespace mstatus

// mip, mie, mideleg (3.1.9); the numbers are the input lines, too.
namespace irq {
enum : u32 { SSI = 1, MSI = 3, STI = 5, MTI = 7, SEI = 9, MEI = 11 };
inline constexpr u64 supervisor = 1 << SSI | 1 << STI | 1 << SEI, machine = 1 << MSI | 1 << MTI | 1 << MEI;
// Those that mvien may filter or make of nothing (AIA 1.0, 5.3).
inline constexpr u64 filtered = 1 << SSI | 1 << SEI;
} // namespace irq

// menvcfg (3.1.18), senvcfg (12.1.10)
namespace envcfg {
inline constexpr u64 FIOM = 1, CBIE = 3 << 4, CBCFE = 1 << 6, CBZE = 1 << 7, ADUE = u64{1} << 61, PBMTE = u64{1} << 62,
                     STCE = u64{1} << 63;
inline constexpr u64 of_senvcfg = FIOM | CBIE | CBCFE | CBZE;
} // namespace envcfg

// mseccfg (chapter 6)
namespace mseccfg {
inline constexpr u64 MML = 1, MMWP = 2, RLB = 4;
}

// Exception codes (table 14)
namespace cause {
enum : u64 {
    misaligned_fetch = 0,
    fetch_access = 1,
    illegal = 2,
    breakpoint = 3,
    misaligned_load = 4,
    load_access = 5,
    misaligned_store = 6,
    store_access = 7,
    ecall_from_u = 8,
    ecall_from_s = 9,
    ecall_from_m = 11,
    fetch_page = 12,
    load_page = 13,
    store_page = 15
};
inline constexpr u64 interrupt = u64{1} << 63;
inline constexpr u64 delegable = 0xb3ff; // ecall from M is not
} // namespace cause

// What the trap op of a privileged instruction asks for (its detail): the request, rs1 << 8, rs2 << 16.
enum class Request : u32 {
    resync, // state was written that decides how code runs; flush_* << 8
    mret,
    sret,
    wfi,
    sfence_vma,
    inval_done, // sfence.w.inval, sfence.inval.ir: order only
    window,     // a register of AIA that the interrupt controller may have; the instruction << 32
};
inline constexpr u64 resync_contexts = 1 << 8, resync_flush = 1 << 9, resync_flush_asid = 1 << 10,
                     resync_triggers = 1 << 11;

// The slots of a vCPU. Reading a register as the guest does is csr_access's business.
class State {
public:
    explicit State(ir::CpuHeader& cpu) : cpu_(cpu) {}
    ir::CpuHeader& cpu() const { return cpu_; }
    u64& operator[](u32 slot) const {
        return *reinterpret_cast<u64*>(reinterpret_cast<u8*>(&cpu_) + ir::slots_offset + system_slots_at +
                                       8 * (slot - slot_system));
    }
    u64& x(u32 n) const {
        return *reinterpret_cast<u64*>(reinterpret_cast<u8*>(&cpu_) + ir::slots_offset + 8 * (slot_x + n));
    }
    u32 frm() const { return *reinterpret_cast<u32*>(reinterpret_cast<u8*>(&cpu_) + ir::slots_offset + 528); }
    u32 privilege() const { return u32((*this)[slot_priv]); }
    // mip
    u64 pending(u64 lines) const {
        u64 own = (*this)[slot_mip] & ~((*this)[slot_mvien] & 1 << irq::SEI);
        return (own | lines) & (irq::supervisor | irq::machine);
    }
    u64 lines() const { return __atomic_load_n(&cpu_.lines, __ATOMIC_ACQUIRE); }
    // Of sip and sie: the bits of interrupts that are not delegated but filtered by mvien (AIA 1.0, 5.3).
    u64 filter() const { return (*this)[slot_mvien] & ~(*this)[slot_mideleg]; }
    u64 virtual_pending() const { return ((*this)[slot_mvip] & 1 << irq::SSI) | ((*this)[slot_mip] & 1 << irq::SEI); }
    // Pending and enabled at a level, whatever mstatus says.
    u64 ready_for_machine(u64 lines) const { return pending(lines) & (*this)[slot_mie] & ~(*this)[slot_mideleg]; }
    u64 ready_for_supervisor(u64 lines) const {
        return (pending(lines) & (*this)[slot_mie] & (*this)[slot_mideleg]) |
               (virtual_pending() & (*this)[slot_sie_virtual] & filter());
    }
    // The interrupt to take now.
    struct Taken {
        int number = -1; // none
        bool to_supervisor = false;
    };
    Taken interrupt(u64 lines) const;
    // The most urgent of these interrupts; -1: none.
    static int most_urgent(u64 interrupts);
    // Mode bits of the block key for the state as it is.
    u32 mode() const;
    void refresh_mode() const { cpu_.mode = mode(); }

private:
    ir::CpuHeader& cpu_;
};

// A read and write of a control and status register by number, as csrrw, csrrs and csrrc do it. `lines` and `clock` are
// what stands outside. Returns the detail of a resync trap, 0 when none is needed.
struct CsrAccess {
    enum How : u32 { swap, set, clear } how = swap;
    bool writes = true;
    u64 operand = 0, lines = 0, clock = 0;
    u32 parts = 0; // parts_of: registers that there are
};
enum class CsrOutcome : u64 { done, illegal, resync };
CsrOutcome csr_access(const State& s, u32 number, const CsrAccess& a, u64& old, u64& detail);
// Does anything of this register come from outside: the clock, the lines?
bool csr_reads_clock(u32 number);
bool csr_exists(u32 number, u32 parts);

// What a model may have or lack that has registers of its own: the Advanced Interrupt Architecture, Sdtrig.
inline constexpr u32 aia_machine = 1, aia_supervisor = 2, debug_triggers = 4, all_parts = 7;
u32 parts_of(const Model& model);
// mireg, sireg, mtopei and stopei: what is behind them may be the interrupt controller's. System::execute does them.
bool is_window(u32 number, u32 parts);
// The instruction at pc, done or made a request of. False: illegal.
bool execute_window(const State& s, u32 insn, BoardRequest& r);
// After the request.
void finish_window(const State& s, u32 insn, u64 value);

// Physical memory protection (3.7, chapter 6) of [address, address + bytes) for a privilege.
struct Rights {
    bool read = false, write = false, fetch = false;
    bool whole_page = true; // the same for the whole 4 KiB page
};
Rights pmp_rights(const State& s, u64 address, u64 bytes, u32 privilege);

// Address translation (12.3 to 12.6).
bool walk(const State& s, PhysicalMemory& memory, u64 address, u32 bytes, AccessType type, u32 index, bool debug,
          Mapping& out, Exception& e);
bool mapped_ranges(const State& s, PhysicalMemory& memory, u32 max, std::vector<Mapped>& out);
u32 privilege_of_index(u32 index);
// Has it one context for all address-space identifiers (until slot_private)?
bool is_shared(u32 index);

// mstatus.FS becomes dirty and the instruction begins anew.
void make_fs_dirty(Rv& t);

// Of programs, or of machines.
const DebugView& debug_view(bool system, u32 parts);

const System& system_of(const Model& model);

} // namespace mimic::isa::riscv
