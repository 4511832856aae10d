// RISC-V 64 Linux (LP64D). The kernel's UAPI headers asm/ptrace.h, asm/ucontext.h, asm/sigcontext.h, asm/hwcap.h;
// RISC-V ABIs Specification 1.0. prctl's PR_RISCV_V_SET_CONTROL is not there.
#include "isa/riscv/isa.hpp"
#include "user/linux/abi.hpp"
#include "user/linux/arch_calls.hpp"
#include "user/memory/address_space.hpp"
#include <algorithm>
#include <cstring>

namespace mimic::user {
namespace {

constexpr std::string_view gpr[] = {"ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "s0", "s1", "a0", "a1",
                                    "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5", "s6",
                                    "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"};
constexpr std::string_view fpr[] = {"ft0", "ft1", "ft2", "ft3", "ft4",  "ft5",  "ft6", "ft7", "fs0",  "fs1", "fa0",
                                    "fa1", "fa2", "fa3", "fa4", "fa5",  "fa6",  "fa7", "fs2", "fs3",  "fs4", "fs5",
                                    "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11"};
// The reservation of lr.d, lost at every signal; frm; V's registers, of which v0 is the first of 32 in one piece.
constexpr std::string_view other[] = {"res_address", "frm", "vstart", "vl", "vtype", "vxrm", "v0"};
enum : u32 { res_address, frm, vstart, vl, vtype, vxrm, v0 };

// li a7, 139 (rt_sigreturn); ecall: the bytes that unwinders look for.
constexpr u8 trampoline[] = {0x93, 0x08, 0xb0, 0x08, 0x73, 0x00, 0x00, 0x00};

// struct rt_sigframe: siginfo (128 bytes), ucontext {flags, link, stack, sigmask, unused to 1024 bits of mask,
// user_regs (pc, 31 registers), union __riscv_fp_state}.
constexpr u32 at_ucontext = 128, at_stack = at_ucontext + 16, at_mask = at_stack + 24, at_regs = at_ucontext + 176,
              at_fp = at_regs + 32 * 8, fp_bytes = 528, frame_bytes = at_fp + fp_bytes;
// Where V is in use, a record of it follows: struct __riscv_ctx_hdr in the end of the union, struct __riscv_v_ext_state
// with a pointer to the registers, which stand behind it, and a header of zeros.
constexpr u32 at_v_header = at_fp + 520, at_v = frame_bytes, v_state_bytes = 48, at_v_data = at_v + v_state_bytes,
              v_bytes = 32 * isa::riscv::vlen_bytes, frame_bytes_v = at_v_data + v_bytes + 8;
constexpr u64 v_header = 0x53465457 | u64{8 + v_state_bytes + v_bytes} << 32;

// fcsr (Unprivileged ISA, 20.2): fflags NX UF OF DZ NV from bit 0, frm in bits 5..7.
u32 fcsr(const ir::FpEnv& fp) {
    u32 flags = 0;
    for (u32 bit = 0; bit < 5; bit++) flags |= (fp.flags >> bit & 1) << (4 - bit);
    return flags | (fp.mode & 7) << 5;
}
void set_fcsr(ir::FpEnv& fp, u32 v) {
    u32 flags = 0;
    for (u32 bit = 0; bit < 5; bit++) flags |= (v >> bit & 1) << (4 - bit);
    fp.flags = (fp.flags & ~31u) | flags;
    fp.mode = (fp.mode & ~7u) | (v >> 5 & 7);
}

void put(u8* frame, u32 at, u64 value) { std::memcpy(frame + at, &value, 8); }
u64 get(const u8* frame, u32 at) {
    u64 v;
    std::memcpy(&v, frame + at, 8);
    return v;
}

u8* vector_registers(const RegisterMap& map, ir::CpuHeader& cpu) {
    return reinterpret_cast<u8*>(&reg(cpu, map.other[v0]));
}
bool uses_v(const RegisterMap& map, ir::CpuHeader& cpu) {
    const u8* v = vector_registers(map, cpu);
    for (u32 control : {vstart, vl, vtype, vxrm})
        if (reg(cpu, map.other[control])) return true;
    return cpu.fp.flags & ir::fpflag::saturated || std::any_of(v, v + v_bytes, [](u8 b) { return b != 0; });
}
void put_vectors(u8* frame, u64 at, const RegisterMap& map, ir::CpuHeader& cpu) {
    put(frame, at_v_header, v_header);
    put(frame, at_v, reg(cpu, map.other[vstart]));
    put(frame, at_v + 8, reg(cpu, map.other[vl]));
    put(frame, at_v + 16, reg(cpu, map.other[vtype]) ^ isa::riscv::vtype_vill);
    put(frame, at_v + 24, reg(cpu, map.other[vxrm]) << 1 | bool(cpu.fp.flags & ir::fpflag::saturated));
    put(frame, at_v + 32, isa::riscv::vlen_bytes);
    put(frame, at_v + 40, at + at_v_data);
    std::memcpy(frame + at_v_data, vector_registers(map, cpu), v_bytes);
}
bool get_vectors(AddressSpace& memory, const RegisterMap& map, ir::CpuHeader& cpu) {
    u8 state[v_state_bytes], end[8];
    const u64 frame = reg(cpu, map.sp);
    if (!memory.read(frame + at_v, state, v_state_bytes) || !memory.read(frame + at_v_data + v_bytes, end, 8))
        return false;
    if (get(end, 0) != 0) return false;
    if (!memory.read(get(state, 40), vector_registers(map, cpu), v_bytes)) return false;
    u64 vcsr = get(state, 24);
    reg(cpu, map.other[vstart]) = get(state, 0) & (8 * isa::riscv::vlen_bytes - 1);
    u64 type = reg(cpu, map.other[vtype]) = isa::riscv::vtype_slot(get(state, 16));
    u64 most = type ? isa::riscv::vlmax(isa::riscv::vconfig(isa::riscv::mode_of_vtype(type))) : 0;
    reg(cpu, map.other[vl]) = std::min(get(state, 8), most);
    reg(cpu, map.other[vxrm]) = vcsr >> 1 & 3;
    cpu.fp.flags = (cpu.fp.flags & ~ir::fpflag::saturated) | (vcsr & 1 ? ir::fpflag::saturated : 0);
    return true;
}

bool push_frame(AddressSpace& memory, const RegisterMap& map, ir::CpuHeader& cpu, const FrameRequest& r) {
    u8 frame[frame_bytes_v] = {};
    const u32 bytes = uses_v(map, cpu) ? frame_bytes_v : frame_bytes;
    u64 at = (r.sp - bytes) & ~15ull;
    std::memcpy(frame, r.info, r.info_bytes);
    put(frame, at_stack, r.altstack.sp);
    put(frame, at_stack + 8, u32(r.altstack.flags));
    put(frame, at_stack + 16, r.altstack.size);
    put(frame, at_mask, r.mask);
    put(frame, at_regs, cpu.pc);
    for (u32 i = 0; i < map.frame_gpr.size(); i++) put(frame, at_regs + 8 + 8 * i, reg(cpu, map.frame_gpr[i]));
    for (u32 i = 0; i < map.frame_vec.size(); i++) put(frame, at_fp + 8 * i, reg(cpu, map.frame_vec[i]));
    u32 control = fcsr(cpu.fp);
    std::memcpy(frame + at_fp + 256, &control, 4);
    if (bytes == frame_bytes_v) put_vectors(frame, at, map, cpu);
    if (at >= r.sp || !memory.write(at, frame, bytes)) return false;
    reg(cpu, map.sp) = at;
    reg(cpu, map.frame_gpr[0]) = r.trampoline; // ra
    reg(cpu, map.args[0]) = u64(r.signal);
    reg(cpu, map.args[1]) = at;
    reg(cpu, map.args[2]) = at + at_ucontext;
    reg(cpu, map.other[res_address]) = 0;
    // An access that stopped in the midst of its elements: not all of them are meant until the next vset.
    if (reg(cpu, map.other[vstart])) cpu.mode &= ~(isa::riscv::mode_v_full << isa::riscv::mode_v_at);
    cpu.pc = r.handler & ~1ull;
    return true;
}

bool pop_frame(AddressSpace& memory, const RegisterMap& map, ir::CpuHeader& cpu, FrameResult& result) {
    u8 frame[frame_bytes];
    if (!memory.read(reg(cpu, map.sp), frame, frame_bytes)) return false;
    u32 reserved;
    std::memcpy(&reserved, frame + at_v_header - 4, 4);
    if (reserved) return false;
    u64 further = get(frame, at_v_header);
    if (further && (further != v_header || !get_vectors(memory, map, cpu))) return false;
    for (u32 i = 0; i < map.frame_gpr.size(); i++) reg(cpu, map.frame_gpr[i]) = get(frame, at_regs + 8 + 8 * i);
    for (u32 i = 0; i < map.frame_vec.size(); i++) reg(cpu, map.frame_vec[i]) = get(frame, at_fp + 8 * i);
    u32 control;
    std::memcpy(&control, frame + at_fp + 256, 4);
    set_fcsr(cpu.fp, control);
    u32 round = control >> 5 & 7;
    std::memcpy(&reg(cpu, map.other[frm]), &round, 4);
    cpu.mode = isa::riscv::mode_of_frm(round) |
               isa::riscv::mode_of_v(reg(cpu, map.other[vtype]), reg(cpu, map.other[vl]), reg(cpu, map.other[vstart]));
    cpu.pc = get(frame, at_regs);
    result.mask = get(frame, at_mask);
    result.altstack = {get(frame, at_stack), i32(get(frame, at_stack + 8)), get(frame, at_stack + 16)};
    reg(cpu, map.other[res_address]) = 0;
    return true;
}

// asm/ptrace.h: user_regs_struct, which begins with the pc, and __riscv_d_ext_state with its end as elf_fpregset_t has it.
CoreRegisters core_registers(const RegisterMap& map, ir::CpuHeader& cpu, std::string_view) {
    CoreRegisters r{std::vector<u8>(32 * 8), std::vector<u8>(33 * 8), {}};
    put(r.general.data(), 0, cpu.pc);
    for (u32 i = 0; i < 31; i++) put(r.general.data(), 8 + 8 * i, reg(cpu, map.frame_gpr[i]));
    for (u32 i = 0; i < 32; i++) put(r.fp.data(), 8 * i, reg(cpu, map.frame_vec[i]));
    put(r.fp.data(), 256, fcsr(cpu.fp));
    return r;
}

bool has_v(std::string_view model) { // the last word counts
    const std::size_t at = model.rfind(",v=");
    const std::string_view rest = at == model.npos ? "" : model.substr(at + 3);
    return rest.starts_with("on") || rest.starts_with("true");
}

// asm/hwcap.h: a bit per letter of the base extensions.
u64 hwcap(std::string_view model, int which) {
    u64 bits = has_v(model) ? 1ull << ('V' - 'A') : 0;
    for (char c : {'I', 'M', 'A', 'F', 'D', 'C'}) bits |= 1ull << (c - 'A');
    return which == 1 ? bits : 0;
}

std::string cpuinfo(std::string_view model, u32 cpus) {
    std::string text;
    for (u32 n = 0; n < cpus; n++) {
        std::string number = std::to_string(n);
        text += "processor\t: " + number + "\nhart\t\t: " + number + "\nisa\t\t: rv64imafdc" +
                (has_v(model) ? "v" : "") +
                "_zicbom_zicbop_zicboz_zicntr_zicond_zicsr_zifencei_zawrs_zfa_zfh_zba_zbb_zbc_zbs\n"
                "mmu\t\t: sv39\nmvendorid\t: 0x0\nmarchid\t\t: 0x0\nmimpid\t\t: 0x0\n\n";
    }
    return text;
}

constexpr ArchCall calls[] = {
    {258, "riscv_hwprobe", riscv_hwprobe},
    {259, "riscv_flush_icache", flush_icache},
};

} // namespace

extern const Abi riscv64_abi;
constinit const Abi riscv64_abi{
    .name = "riscv64",
    .machine = "riscv64",
    .platform = nullptr,
    .elf_machine = 243,
    .model = {},
    .high = 1ull << 38, // Sv39, the common choice of hardware
    .pie_base = 0x2aaaaaa000,
    .registers = {.number = "a7",
                  .args = {"a0", "a1", "a2", "a3", "a4", "a5"},
                  .result = "a0",
                  .sp = "sp",
                  .tls = "tp",
                  .frame_gpr = gpr,
                  .frame_vec = fpr,
                  .other = other},
    .trampoline = trampoline,
    .min_signal_stack = 2048,
    .hwcap = hwcap,
    .push_frame = push_frame,
    .pop_frame = pop_frame,
    .core_registers = core_registers,
    .frames = {.fp = "s0", .lr = "ra", .next = -16, .ret = -8},
    .cpuinfo = cpuinfo,
    .calls = calls,
};

} // namespace mimic::user
