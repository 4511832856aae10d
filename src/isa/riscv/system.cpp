// RISC-V privileges, traps and interrupts. Volume II (20240411), chapters 3 and 12.
#include "isa/riscv/system.hpp"
#include "isa/riscv/trigger.hpp"
#include <cstring>
#include <fmt/core.h>

namespace mimic::isa::riscv {

u32 State::mode() const {
    const State& s = *this;
    u64 m = s[slot_mstatus];
    u32 priv = s.privilege(), data = priv;
    if (priv == machine_level && (m & mstatus::MPRV)) data = u32(m >> mstatus::MPP_at & 3);
    u32 fs = u32(m >> mstatus::FS_at & 3);
    return mode_of({.frm = mode_of_frm(frm()),
                    .privilege = priv,
                    .fs_off = fs == 0,
                    .fs_clean = fs == 1 || fs == 2,
                    .data = data_index(data, m & mstatus::SUM, m & mstatus::MXR),
                    .debug = trigger_modes_now(s) != 0});
}

int State::most_urgent(u64 interrupts) {
    for (u32 n : {irq::MEI, irq::MSI, irq::MTI, irq::SEI, irq::SSI, irq::STI}) // 3.1.9: in this order
        if (interrupts >> n & 1) return int(n);
    return -1;
}

State::Taken State::interrupt(u64 lines) const {
    const State& s = *this;
    u32 priv = s.privilege();
    u64 m = s[slot_mstatus];
    if (priv < machine_level || (m & mstatus::MIE))
        if (u64 ready = s.ready_for_machine(lines)) return {most_urgent(ready), false};
    if (priv < supervisor_level || (priv == supervisor_level && (m & mstatus::SIE)))
        if (u64 ready = s.ready_for_supervisor(lines)) return {most_urgent(ready), true};
    return {};
}

namespace {

constexpr std::string_view line_names[] = {"", "SSIP", "", "MSIP", "", "STIP", "", "MTIP", "", "SEIP", "", "MEIP"};
constexpr u64 ns_a_tick = 100;

bool to_supervisor(const State& s, u64 code) { return s.privilege() < machine_level && (s[slot_medeleg] >> code & 1); }

void enter(const State& s, u64 code, u64 value, bool to_s) {
    bool irq = code & cause::interrupt;
    u64 n = code & ~cause::interrupt, m = s[slot_mstatus];
    u32 priv = s.privilege();
    if (irq) count_trap(s, priv);
    s[slot_trigger_begun] = 0;
    u64 tvec;
    if (to_s) {
        s[slot_sepc] = s.cpu().pc, s[slot_scause] = code, s[slot_stval] = value;
        m = (m & ~(mstatus::SPIE | mstatus::SPP | mstatus::SIE)) | (m & mstatus::SIE ? mstatus::SPIE : 0) |
            (priv ? mstatus::SPP : 0);
        s[slot_priv] = supervisor_level;
        tvec = s[slot_stvec];
    } else {
        s[slot_mepc] = s.cpu().pc, s[slot_mcause] = code, s[slot_mtval] = value;
        m = (m & ~(mstatus::MPIE | mstatus::MPP | mstatus::MIE)) | (m & mstatus::MIE ? mstatus::MPIE : 0) |
            u64(priv) << mstatus::MPP_at;
        s[slot_priv] = machine_level;
        tvec = s[slot_mtvec];
        s[slot_tcontrol] = s[slot_tcontrol] & trigger::mte ? trigger::mpte : 0;
    }
    s[slot_mstatus] = m;
    s.cpu().pc = (tvec & ~u64{3}) + (irq && (tvec & 1) ? 4 * n : 0);
    // Once at most: behind it the handler is one of breakpoints (5.4).
    if (trap_fires(s, code, priv)) return enter(s, cause::breakpoint, 0, to_supervisor(s, cause::breakpoint));
    s.refresh_mode();
}

// 3.3.2
void return_from_machine(const State& s) {
    u64 m = s[slot_mstatus];
    u64 to = m >> mstatus::MPP_at & 3;
    m = (m & ~(mstatus::MIE | mstatus::MPP)) | (m & mstatus::MPIE ? mstatus::MIE : 0) | mstatus::MPIE;
    if (to != machine_level) m &= ~mstatus::MPRV;
    s[slot_mstatus] = m, s[slot_priv] = to;
    s[slot_tcontrol] = (s[slot_tcontrol] & trigger::mpte) | (s[slot_tcontrol] & trigger::mpte ? trigger::mte : 0);
    s.cpu().pc = s[slot_mepc];
}
void return_from_supervisor(const State& s) {
    u64 m = s[slot_mstatus];
    u64 to = m & mstatus::SPP ? supervisor_level : user_level;
    m = (m & ~(mstatus::SIE | mstatus::SPP | mstatus::MPRV)) | (m & mstatus::SPIE ? mstatus::SIE : 0) | mstatus::SPIE;
    s[slot_mstatus] = m, s[slot_priv] = to;
    s.cpu().pc = s[slot_sepc];
}

Exception illegal_at(std::span<const u8> code) {
    u32 bits = 0;
    if (code.size() >= 2) std::memcpy(&bits, code.data(), code.size() >= 4 && (code[0] & 3) == 3 ? 4 : 2);
    return {cause::illegal, bits};
}

// 12.2.1: which translations go.
void flush_by_operands(const State& s, u32 rs1, u32 rs2, Effects& f) {
    using enum Effects::Flush;
    f.address = rs1 ? s.x(rs1) : 0;
    f.context = rs2 ? s.x(rs2) & 0xffff : 0;
    f.flush = rs1 ? (rs2 ? address_in_context : address) : (rs2 ? context : all);
}

// Contexts are identifiers (a change of the scheme flushes all); untranslated accesses have one of their own.
constexpr u64 context_of(u64 satp) { return satp >> 44 & 0xffff; }

class RiscVSystem final : public System {
public:
    constexpr explicit RiscVSystem(u32 parts) : parts_(parts) {}

    u32 indices() const override { return data_indices; }
    u32 fetch_index(u32 mode) const override { return riscv::data_index(mode_fields(mode).privilege, false, false); }
    u32 data_index(u32 mode) const override { return mode_fields(mode).data; }
    u32 physical_bits() const override { return 56; }

    bool translate(ir::CpuHeader& cpu, PhysicalMemory& memory, u64 address, u32 bytes, AccessType type, u32 index,
                   bool debug, Mapping& out, Exception& e) const override {
        return walk(State(cpu), memory, address, bytes, type, index, debug, out, e);
    }
    bool mappings(ir::CpuHeader& cpu, PhysicalMemory& memory, u32 max, std::vector<Mapped>& out) const override {
        return mapped_ranges(State(cpu), memory, max, out);
    }
    u64 context(const ir::CpuHeader& cpu, u32 index) const override {
        if (privilege_of_index(index) == machine_level) return bare;
        State s(const_cast<ir::CpuHeader&>(cpu));
        u64 satp = s[slot_satp];
        if (!(satp >> 60)) return bare;
        return is_shared(index) && !s[slot_private] ? shared : context_of(satp);
    }
    void keep_apart(ir::CpuHeader& cpu) const override {
        State s(cpu);
        s[slot_private] = 1;
    }

    Exception bus_error(ir::CpuHeader&, u64 address, AccessType type) const override {
        constexpr u64 causes[] = {cause::load_access, cause::store_access, cause::fetch_access};
        return {causes[u32(type)], address};
    }
    Exception misaligned(ir::CpuHeader&, u64 address, AccessType type) const override {
        constexpr u64 causes[] = {cause::misaligned_load, cause::misaligned_store, cause::misaligned_fetch};
        return {causes[u32(type)], address};
    }
    Exception trap(ir::CpuHeader& cpu, std::span<const u8> code) const override;
    bool execute(ir::CpuHeader& cpu, PhysicalMemory&, std::span<const u8> code, Effects& f,
                 Exception& e) const override;
    bool answered(ir::CpuHeader& cpu, const BoardRequest& r, bool done, Effects&, Exception& e) const override;
    void raise(ir::CpuHeader& cpu, const Exception& e) const override {
        State s(cpu);
        note_hits(s, u32(e.value2));
        enter(s, e.cause, e.value, to_supervisor(s, e.cause));
    }

    // Devicetree binding riscv/cpus and riscv/extensions: what the models of the system form have.
    std::vector<std::pair<std::string, std::string>> device_tree() const override {
        using namespace std::string_literals;
        const std::string block("\0\0\0\x40", 4); // of cache operations: 64 bytes
        std::string isa = "rv64imafdc_zicbom_zicbop_zicboz_zicntr_zicond_zicsr_zifencei_zihpm_zawrs_zacas_zfa_zfh_"
                          "zfhmin_zba_zbb_zbc_zbs"s;
        if (parts_ & debug_triggers) isa += "_sdtrig";
        if (parts_ & aia_machine) isa += "_smaia";
        if (parts_ & aia_supervisor) isa += "_ssaia";
        isa += "_sstc_svinval_svnapot_svpbmt\0"s;
        return {{"riscv,isa", isa},
                {"mmu-type", "riscv,sv57\0"s},
                {"riscv,cbom-block-size", block},
                {"riscv,cbop-block-size", block},
                {"riscv,cboz-block-size", block}};
    }
    std::span<const std::string_view> lines() const override { return line_names; }
    bool take_interrupt(ir::CpuHeader& cpu) const override {
        State s(cpu);
        State::Taken taken = s.interrupt(s.lines());
        if (taken.number < 0) return false;
        enter(s, cause::interrupt | u64(taken.number), 0, taken.to_supervisor);
        return true;
    }
    bool wakes(const ir::CpuHeader& cpu) const override {
        State s(const_cast<ir::CpuHeader&>(cpu));
        return s.ready_for_machine(s.lines()) | s.ready_for_supervisor(s.lines());
    }
    u64 next_timer(const ir::CpuHeader& cpu) const override {
        State s(const_cast<ir::CpuHeader&>(cpu));
        u64 at = s[slot_stimecmp];
        if (!(s[slot_menvcfg] & envcfg::STCE) || at > ~u64{0} / ns_a_tick) return ~u64{0};
        return at * ns_a_tick;
    }
    void tick(ir::CpuHeader& cpu) const override {
        constexpr u64 line = u64{1} << irq::STI;
        u64 at = next_timer(cpu);
        if (at != ~u64{0} && cpu.clock && cpu.clock(cpu) >= at)
            __atomic_fetch_or(&cpu.lines, line, __ATOMIC_SEQ_CST);
        else
            __atomic_fetch_and(&cpu.lines, ~line, __ATOMIC_SEQ_CST);
    }

    u32 debug_mode() const override { return mode_debug; }
    void debug_points(const ir::CpuHeader& cpu, std::vector<DebugPoint>& out) const override {
        trigger_points(State(const_cast<ir::CpuHeader&>(cpu)), out);
    }
    bool steps(const ir::CpuHeader& cpu) const override {
        return trigger_modes_now(State(const_cast<ir::CpuHeader&>(cpu))) >> counting_at;
    }
    bool before_instruction(ir::CpuHeader& cpu, const CodeAt& code, Exception& e) const override {
        State s(cpu);
        u8 first[2]; // 1.5: they tell the length
        TriggerEvent fetch;
        if (code(cpu.pc, first) == sizeof first) fetch.insn_bytes = (first[0] & 3) == 3 ? 4 : 2;
        if (steps(cpu) && count_instruction(s)) return e = {cause::breakpoint}, true;
        if (u32 triggers = triggers_that_fire(s, fetch)) return e = {cause::breakpoint, cpu.pc, triggers}, true;
        s.refresh_mode(); // there may be nothing left to count
        return false;
    }
    bool before_access(ir::CpuHeader& cpu, const DebugAccess& a, Exception& e) const override {
        TriggerEvent access{.load = a.read, .store = a.write, .address = a.address, .bytes = a.bytes};
        e = {cause::breakpoint, a.address, triggers_that_fire(State(cpu), access)};
        return e.value2;
    }
    bool watches_before_translation() const override { return true; }

    // 3.4; the rest is unspecified, and zero. A and D bits are set by hardware from the start (Svadu), memory types of
    // tables count (Svpbmt).
    void reset(ir::CpuHeader& cpu, ResetKind) const override {
        State s(cpu);
        u64 id = s[slot_mhartid];
        u8* from = reinterpret_cast<u8*>(&cpu) + ir::slots_offset;
        std::memset(from, 0, state_rv64_system.bytes);
        s[slot_mhartid] = id;
        s[slot_priv] = machine_level;
        s[slot_menvcfg] = envcfg::ADUE | envcfg::PBMTE;
        s[slot_stimecmp] = ~u64{0};
        for (u32 n = 0; n < trigger_count; ++n) s[slot_tdata1 + n] = trigger::off;
        cpu.fp = {};
        s.refresh_mode();
    }
    Result<void> check_state(const ir::CpuHeader& cpu) const override {
        State s(const_cast<ir::CpuHeader&>(cpu));
        u64 scheme = s[slot_satp] >> 60;
        if (s[slot_priv] > machine_level || s[slot_priv] == 2)
            return Error::corrupt("register 'priv': {}, expected 0, 1 or 3", s[slot_priv]);
        if ((s[slot_mstatus] & mstatus::MPP) == u64{2} << mstatus::MPP_at)
            return Error::corrupt("register 'mstatus': {:#x}, expected another MPP than 2", s[slot_mstatus]);
        if (scheme != 0 && (scheme < 8 || scheme > 10))
            return Error::corrupt("register 'satp': {:#x}, expected mode 0 or 8 to 10", s[slot_satp]);
        if (s[slot_tselect] >= trigger_count)
            return Error::corrupt("register 'tselect': {}, expected less than {}", s[slot_tselect], trigger_count);
        for (u32 n = 0; n < trigger_count; ++n)
            if (u64 v = s[slot_tdata1 + n]; v != trigger::legal_tdata1(n, v))
                return Error::corrupt("register 'tdata1_{}': {:#x}, expected {:#x}", n, v, trigger::legal_tdata1(n, v));
        if (s[slot_trigger_modes] != trigger_modes(s))
            return Error::corrupt("register 'trigger_modes': {:#x}, expected {:#x}", s[slot_trigger_modes],
                                  trigger_modes(s));
        return {};
    }
    void set_identity(ir::CpuHeader& cpu, u64 id) const override {
        const State s(cpu);
        s[slot_mhartid] = id;
    }
    void set_pc(ir::CpuHeader& cpu, u64 pc) const override { cpu.pc = pc & ~u64{1}; }
    bool host_call(ir::CpuHeader& cpu, const CodeAt& code, HostCall& out) const override;
    void finish_host_call(ir::CpuHeader& cpu, u64 result) const override {
        State(cpu).x(10) = result;
        cpu.pc += 4;
    }
    std::string describe(const ir::CpuHeader& cpu, const Exception& e) const override;
    // RISC-V ELF psABI; Linux arch/riscv user_regs_struct: pc, x1 to x31.
    u16 elf_machine() const override { return 243; }
    u32 core_registers() const override { return 32; }
    u64 core_register(ir::CpuHeader& cpu, u32 n) const override {
        return n == 0 ? cpu.pc : *reinterpret_cast<u64*>(ir::home(&cpu, state_rv64.slots[slot_x + n]));
    }

private:
    static constexpr u64 bare = u64{1} << 20, shared = bare + 1; // no identifier is
    u32 parts_;
};

Exception RiscVSystem::trap(ir::CpuHeader& cpu, std::span<const u8> code) const {
    constexpr u64 ecalls[] = {cause::ecall_from_u, cause::ecall_from_s, 0, cause::ecall_from_m};
    switch (ir::TrapKind(cpu.exit_arg & 0xff)) {
    case ir::TrapKind::syscall: return {ecalls[State(cpu).privilege() & 3]};
    case ir::TrapKind::breakpoint: return {cause::breakpoint, cpu.pc};
    case ir::TrapKind::misaligned_fetch: return {cause::misaligned_fetch, cpu.fault_address};
    case ir::TrapKind::fetch_fault: return {cause::fetch_access, cpu.pc};
    default: return illegal_at(code);
    }
}

// RISC-V Semihosting 0.4, 2: EBREAK between two instructions that do nothing, uncompressed and in one page.
bool RiscVSystem::host_call(ir::CpuHeader& cpu, const CodeAt& code, HostCall& out) const {
    constexpr u32 slli_1f = 0x01f01013, ebreak = 0x00100073, srai_7 = 0x40705013;
    constexpr u64 page_bits = 12;
    if (ir::TrapKind(cpu.exit_arg & 0xff) != ir::TrapKind::breakpoint) return false;
    u64 first = cpu.pc - 4;
    u32 words[3] = {};
    if (first >> page_bits != (first + 11) >> page_bits) return false;
    if (code(first, {reinterpret_cast<u8*>(words), sizeof words}) != sizeof words) return false;
    if (words[0] != slli_1f || words[1] != ebreak || words[2] != srai_7) return false;
    State s(cpu);
    out = {.operation = u32(s.x(10)), .parameter = s.x(11), .privileged = s.privilege() != user_level};
    return true;
}

bool RiscVSystem::execute(ir::CpuHeader& cpu, PhysicalMemory&, std::span<const u8> code, Effects& f,
                          Exception& e) const {
    State s(cpu);
    u64 detail = cpu.fault_address;
    u32 priv = s.privilege();
    u64 m = s[slot_mstatus];
    bool legal = false;
    u64 next = cpu.pc + 4;
    switch (Request(detail & 0xff)) {
    case Request::resync:
        f.contexts = detail & resync_contexts;
        f.debug = detail & resync_triggers;
        if (detail & resync_flush) f.flush = Effects::Flush::all;
        if (detail & resync_flush_asid) f.flush = Effects::Flush::context, f.context = s[slot_satp] >> 44 & 0xffff;
        s.refresh_mode();
        return true;
    case Request::mret:
        if (priv != machine_level) break;
        return_from_machine(s);
        s.refresh_mode();
        return true;
    case Request::sret:
        if (priv == user_level || (priv == supervisor_level && (m & mstatus::TSR))) break;
        return_from_supervisor(s);
        s.refresh_mode();
        return true;
    case Request::wfi:
        legal = priv == machine_level || (priv == supervisor_level && !(m & mstatus::TW));
        f.wait = legal;
        break;
    case Request::sfence_vma:
        legal = priv != user_level && !(priv == supervisor_level && (m & mstatus::TVM));
        if (legal) flush_by_operands(s, u32(detail >> 8 & 31), u32(detail >> 16 & 31), f);
        break;
    case Request::inval_done: legal = priv != user_level; break;
    case Request::window:
        if (execute_window(s, u32(detail >> 32), f.request)) return true;
        break;
    }
    if (!legal) return e = illegal_at(code), false;
    cpu.pc = next;
    return true;
}

bool RiscVSystem::answered(ir::CpuHeader& cpu, const BoardRequest& r, bool done, Effects&, Exception& e) const {
    u32 insn = u32(cpu.fault_address >> 32); // as Request::window has it
    if (!done) return e = {cause::illegal, insn}, false;
    finish_window(State(cpu), insn, r.values[0]);
    return true;
}

std::string RiscVSystem::describe(const ir::CpuHeader& cpu, const Exception& e) const {
    constexpr std::string_view names[] = {"misaligned fetch",
                                          "instruction access fault",
                                          "illegal instruction",
                                          "breakpoint",
                                          "misaligned load",
                                          "load access fault",
                                          "misaligned store",
                                          "store access fault",
                                          "ecall from U",
                                          "ecall from S",
                                          "",
                                          "ecall from M",
                                          "instruction page fault",
                                          "load page fault",
                                          "",
                                          "store page fault"};
    u64 n = e.cause & ~cause::interrupt;
    std::string_view name = e.cause & cause::interrupt ? (n < std::size(line_names) ? line_names[n] : "interrupt")
                            : n < std::size(names)     ? names[n]
                                                       : "exception";
    return fmt::format("{} (cause {:#x}, value {:#x}) at {:#x}, privilege {}", name, e.cause, e.value, cpu.pc,
                       State(const_cast<ir::CpuHeader&>(cpu)).privilege());
}

// One for each set of parts.
constinit const RiscVSystem systems[] = {RiscVSystem(0), RiscVSystem(1), RiscVSystem(2), RiscVSystem(3),
                                         RiscVSystem(4), RiscVSystem(5), RiscVSystem(6), RiscVSystem(7)};
static_assert(std::size(systems) == all_parts + 1);

} // namespace

const System& system_of(const Model& model) { return systems[parts_of(model)]; }

} // namespace mimic::isa::riscv
