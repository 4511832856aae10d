// AArch64 Linux. The kernel's UAPI headers asm/sigcontext.h, asm/ucontext.h, asm/hwcap.h, asm/fcntl.h; Procedure Call
// Standard for the Arm 64-bit Architecture. SVE and ESR records in frames are not there.
#include "ir/unit.hpp"
#include "isa/aarch64/models.hpp"
#include "isa/aarch64/pauth.hpp"
#include "isa/aarch64/state.hpp"
#include "isa/aarch64/system.hpp"
#include "user/linux/abi.hpp"
#include "user/linux/thread.hpp"
#include "user/memory/address_space.hpp"
#include <cerrno>
#include <cstring>
#include <fmt/core.h>
#include <sys/prctl.h>

namespace mimic::user {
namespace {

constexpr std::string_view gpr[] = {"x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",  "x7",  "x8",  "x9",  "x10",
                                    "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21",
                                    "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x29", "x30"};
constexpr std::string_view vec[] = {"v0",  "v1",  "v2",  "v3",  "v4",  "v5",  "v6",  "v7",  "v8",  "v9",  "v10",
                                    "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21",
                                    "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31"};
// The flags (an ir flags value), the exclusive monitor's address (0: open), FPCR; which keys of pointer authentication are
// off, and the keys.
constexpr std::string_view other[] = {"nzcv",          "ex_address",    "fpcr",          "pac_off",
                                      "apiakeylo_el1", "apiakeyhi_el1", "apibkeylo_el1", "apibkeyhi_el1",
                                      "apdakeylo_el1", "apdakeyhi_el1", "apdbkeylo_el1", "apdbkeyhi_el1",
                                      "apgakeylo_el1", "apgakeyhi_el1"};
constexpr u32 other_pac_off = 3, other_keys = 4;

// mov x8, #139 (rt_sigreturn); svc #0: the bytes that unwinders look for.
constexpr u8 trampoline[] = {0x68, 0x11, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4};

// struct rt_sigframe: siginfo (128), ucontext {flags, link, stack, sigmask, unused, sigcontext (aligned to 16):
// fault_address, regs[31], sp, pc, pstate, reserved[4096] of records}; then the frame record {fp, lr}.
constexpr u32 at_ucontext = 128, at_stack = at_ucontext + 16, at_mask = at_stack + 24, at_context = at_ucontext + 176,
              at_regs = at_context + 8, at_sp = at_regs + 31 * 8, at_pc = at_sp + 8, at_pstate = at_pc + 8,
              at_records = (at_pstate + 8 + 15) & ~15u, frame_bytes = at_records + 4096, record_bytes = 16;
constexpr u64 pac_bits = u64{0x7f} << 48;
constexpr u32 fpsimd_magic = 0x46508001, fpsimd_bytes = 528;

template <class T>
void put(u8* frame, u32 at, T value) {
    std::memcpy(frame + at, &value, sizeof value);
}
template <class T>
T get(const u8* frame, u32 at) {
    T v;
    std::memcpy(&v, frame + at, sizeof v);
    return v;
}

using isa::aarch64::fp_mode, isa::aarch64::mode_btype, isa::aarch64::mode_of_fpcr;

u32& word(ir::CpuHeader& cpu, u32 offset) { return *reinterpret_cast<u32*>(reinterpret_cast<u8*>(&cpu) + offset); }

// PSTATE's N Z C V are bits 31..28; ir::flag has them where x86 does, and the guest keeps C inverted (a borrow).
u64 pstate_of(u32 flags) {
    return u64(flags & ir::flag::n ? 1u << 31 : 0) | (flags & ir::flag::z ? 1u << 30 : 0) |
           (flags & ir::flag::c ? 0 : 1u << 29) | (flags & ir::flag::v ? 1u << 28 : 0);
}
u32 flags_of(u64 pstate) {
    return (pstate >> 31 & 1 ? ir::flag::n : 0) | (pstate >> 30 & 1 ? ir::flag::z : 0) |
           (pstate >> 29 & 1 ? 0 : ir::flag::c) | (pstate >> 28 & 1 ? ir::flag::v : 0);
}
constexpr u32 fpsr_bits = 0x9f | ir::fpflag::saturated; // IOC DZC OFC UFC IXC, IDC; QC

bool push_frame(AddressSpace& memory, const RegisterMap& map, ir::CpuHeader& cpu, const FrameRequest& r) {
    u8 frame[frame_bytes + record_bytes] = {};
    std::memcpy(frame, r.info, r.info_bytes);
    put(frame, at_stack, r.altstack.sp);
    put(frame, at_stack + 8, u64(u32(r.altstack.flags)));
    put(frame, at_stack + 16, r.altstack.size);
    put(frame, at_mask, r.mask);
    put(frame, at_context, r.fault_address);
    for (u32 i = 0; i < 31; i++) put(frame, at_regs + 8 * i, reg(cpu, map.frame_gpr[i]));
    put(frame, at_sp, reg(cpu, map.sp));
    put(frame, at_pc, cpu.pc);
    put(frame, at_pstate, pstate_of(word(cpu, map.other[0])) | u64(cpu.mode & mode_btype) << 10); // BTYPE
    u32 at_fp = at_records;
    put(frame, at_fp, fpsimd_magic);
    put(frame, at_fp + 4, fpsimd_bytes);
    put(frame, at_fp + 8, cpu.fp.flags & fpsr_bits);
    put(frame, at_fp + 12, word(cpu, map.other[2]));
    for (u32 i = 0; i < 32; i++)
        std::memcpy(frame + at_fp + 16 + 16 * i, reinterpret_cast<u8*>(&cpu) + map.frame_vec[i], 16);
    // The record that links x29 and x30 into the chain of frames comes above.
    put(frame, frame_bytes, reg(cpu, map.frame_gpr[29]));
    put(frame, frame_bytes + 8, reg(cpu, map.frame_gpr[30]));
    u64 at = (r.sp - sizeof frame) & ~15ull;
    if (at >= r.sp || !memory.write(at, frame, sizeof frame)) return false;
    constexpr u64 sa_restorer = 0x04000000;
    reg(cpu, map.sp) = at;
    reg(cpu, map.frame_gpr[29]) = at + frame_bytes;
    reg(cpu, map.frame_gpr[30]) = r.flags & sa_restorer ? r.restorer : r.trampoline;
    reg(cpu, map.args[0]) = u64(r.signal);
    reg(cpu, map.args[1]) = at;
    reg(cpu, map.args[2]) = at + at_ucontext;
    reg(cpu, map.other[1]) = 0;
    cpu.pc = r.handler;
    cpu.mode = (cpu.mode & ~mode_btype) | 2; // as by BLR; without BTI nobody looks
    return true;
}

bool pop_frame(AddressSpace& memory, const RegisterMap& map, ir::CpuHeader& cpu, FrameResult& result) {
    u8 frame[frame_bytes];
    if (!memory.read(reg(cpu, map.sp), frame, frame_bytes)) return false;
    const u8* fp = nullptr;
    // Records: {magic, size}, ended by zeros; a handler may have edited them. What makes no sense changes nothing.
    for (u32 at = at_records; at + 8 <= frame_bytes;) {
        u32 magic = get<u32>(frame, at), size = get<u32>(frame, at + 4);
        if (magic == 0 && size == 0) break;
        if (size < 16 || size % 16 != 0 || size > frame_bytes - at) return false;
        if (magic == fpsimd_magic) {
            if (size != fpsimd_bytes || fp) return false;
            fp = frame + at;
        }
        at += size;
    }
    if (!fp) return false;
    const u32 fpcr = get<u32>(fp, 12) & isa::aarch64::any_fpcr_bits;
    cpu.fp.flags = (cpu.fp.flags & ~fpsr_bits) | (get<u32>(fp, 8) & fpsr_bits);
    cpu.fp.mode = fp_mode(fpcr);
    word(cpu, map.other[2]) = fpcr;
    for (u32 i = 0; i < 32; i++) std::memcpy(reinterpret_cast<u8*>(&cpu) + map.frame_vec[i], fp + 16 + 16 * i, 16);
    for (u32 i = 0; i < 31; i++) reg(cpu, map.frame_gpr[i]) = get<u64>(frame, at_regs + 8 * i);
    cpu.pc = get<u64>(frame, at_pc);
    word(cpu, map.other[0]) = flags_of(get<u64>(frame, at_pstate));
    cpu.mode = u32(get<u64>(frame, at_pstate) >> 10 & mode_btype) | mode_of_fpcr(fpcr);
    result.mask = get<u64>(frame, at_mask);
    result.altstack = {get<u64>(frame, at_stack), i32(get<u64>(frame, at_stack + 8)), get<u64>(frame, at_stack + 16)};
    reg(cpu, map.other[1]) = 0;
    reg(cpu, map.sp) = get<u64>(frame, at_sp);
    return true;
}

const isa::aarch64::Model& model_of(std::string_view name);

// asm/ptrace.h: user_pt_regs, user_fpsimd_state; linux/elf.h: NT_ARM_TLS, and NT_ARM_PAC_MASK, bits of pointers in the
// lower half that hold a code (addresses have 48 bits).
CoreRegisters core_registers(const RegisterMap& map, ir::CpuHeader& cpu, std::string_view model) {
    CoreRegisters r{std::vector<u8>(34 * 8), std::vector<u8>(fpsimd_bytes), {}};
    u8 *g = r.general.data(), *f = r.fp.data();
    for (u32 i = 0; i < 31; i++) put(g, 8 * i, reg(cpu, map.frame_gpr[i]));
    put(g, 31 * 8, reg(cpu, map.sp));
    put(g, 32 * 8, cpu.pc);
    put(g, 33 * 8, pstate_of(word(cpu, map.other[0])) | u64(cpu.mode & mode_btype) << 10);
    for (u32 i = 0; i < 32; i++) std::memcpy(f + 16 * i, reinterpret_cast<u8*>(&cpu) + map.frame_vec[i], 16);
    put(f, 512, cpu.fp.flags & fpsr_bits);
    put(f, 516, word(cpu, map.other[2]));
    constexpr u32 nt_arm_tls = 0x401, nt_arm_pac_mask = 0x406;
    std::vector<u8> tls(8), masks(16);
    put(tls.data(), 0, reg(cpu, map.tls));
    r.notes.push_back({nt_arm_tls, tls});
    put(masks.data(), 0, pac_bits), put(masks.data(), 8, pac_bits);
    if (model_of(model).has(isa::aarch64::Feature::pauth)) r.notes.push_back({nt_arm_pac_mask, masks});
    return r;
}

const isa::aarch64::Model& model_of(std::string_view name) {
    auto models = isa::aarch64::models();
    for (auto& m : models)
        if (m.name == name) return m;
    return models.back(); // no name: the default, max
}

// asm/hwcap.h
u64 hwcap(std::string_view model, int which) {
    auto told = isa::aarch64::hardware_capabilities(model_of(model));
    return which == 2 ? told.hwcap2 : told.hwcap;
}

std::string cpuinfo(std::string_view model, u32 cpus) {
    constexpr std::pair<u32, const char*> features[] = {
        {0, "fp"},        {1, "asimd"},  {2, "evtstrm"},  {3, "aes"},     {4, "pmull"},     {5, "sha1"},
        {6, "sha2"},      {7, "crc32"},  {8, "atomics"},  {9, "fphp"},    {10, "asimdhp"},  {11, "cpuid"},
        {12, "asimdrdm"}, {13, "jscvt"}, {14, "fcma"},    {15, "lrcpc"},  {16, "dcpop"},    {17, "sha3"},
        {18, "sm3"},      {19, "sm4"},   {20, "asimddp"}, {21, "sha512"}, {23, "asimdfhm"}, {25, "uscat"},
        {26, "ilrcpc"},   {27, "flagm"}, {28, "ssbs"},    {29, "sb"},     {30, "paca"},     {31, "pacg"}};
    u64 bits = hwcap(model, 1);
    std::string list, text;
    for (auto& [bit, feature] : features)
        if (bits >> bit & 1) list += std::string(list.empty() ? "" : " ") + feature;
    u64 midr = model_of(model).midr; // implementer 31:24, variant 23:20, part 15:4, revision 3:0
    for (u32 n = 0; n < cpus; n++)
        text += fmt::format("processor\t: {}\nBogoMIPS\t: 100.00\nFeatures\t: {}\nCPU implementer\t: {:#04x}\nCPU "
                            "architecture: 8\nCPU variant\t: {:#x}\nCPU part\t: {:#05x}\nCPU revision\t: {}\n\n",
                            n, list, midr >> 24 & 0xff, midr >> 20 & 15, midr >> 4 & 0xfff, midr & 15);
    return text;
}

// Linux, arch/arm64/cpu-feature-registers and ABI/testing/sysfs-devices-system-cpu.
std::optional<std::string> cpu_file(std::string_view model, std::string_view name) {
    if (name == "regs/identification/midr_el1") return fmt::format("0x{:016x}\n", model_of(model).midr);
    if (name == "regs/identification/revidr_el1") return fmt::format("0x{:016x}\n", 0);
    return {};
}

// ---- pointer authentication: Linux, arch/arm64/pointer-authentication. A bit a key, in the order of Key.

constexpr u64 all_keys = (1 << u32(isa::aarch64::Key::count)) - 1, address_keys = all_keys >> 1;

void random_keys(const RegisterMap& map, ir::CpuHeader& cpu, u64 keys) {
    for (u32 n = 0; n < 2 * u32(isa::aarch64::Key::count); n++)
        if (keys >> n / 2 & 1 && cpu.random) cpu.random(cpu, reg(cpu, map.other[other_keys + n]));
}
bool guards(std::string_view model) { return model_of(model).has(isa::aarch64::Feature::bti); }

void start(const RegisterMap& map, ir::CpuHeader& cpu) { random_keys(map, cpu, all_keys); }

i64 reset_keys(Thread& t, u64 keys) {
    if (keys & ~all_keys) return -EINVAL;
    random_keys(t.process().map, t.header(), keys ? keys : all_keys);
    return 0;
}
i64 enable_keys(Thread& t, u64 keys, u64 enabled) {
    if (keys & ~address_keys || enabled & ~keys) return -EINVAL;
    u32& off = word(t.header(), t.process().map.other[other_pac_off]);
    off = u32((off & ~keys) | (keys & ~enabled));
    return 0;
}

// The options of prctl(2) that arm64 has: the ones above, and its tagged addresses (Linux, arch/arm64/tagged-address-abi;
// here the whole process has what the last thread set).
i64 prctl(Thread& t, const Args& a) {
    u32 first_unused = a.i(0) == PR_PAC_SET_ENABLED_KEYS                                  ? 3
                       : a.i(0) == PR_PAC_RESET_KEYS || a.i(0) == PR_SET_TAGGED_ADDR_CTRL ? 2
                                                                                          : 1;
    for (u32 n = first_unused; n < 5; n++)
        if (a[n]) return -EINVAL;
    bool pauth = model_of(t.process().options.cpu_model).has(isa::aarch64::Feature::pauth);
    switch (a.i(0)) {
    case PR_PAC_RESET_KEYS: return pauth ? reset_keys(t, a[1]) : -EINVAL;
    case PR_PAC_SET_ENABLED_KEYS: return pauth ? enable_keys(t, a[1], a[2]) : -EINVAL;
    case PR_PAC_GET_ENABLED_KEYS:
        return pauth ? i64(address_keys & ~word(t.header(), t.process().map.other[other_pac_off])) : -EINVAL;
    case PR_SET_TAGGED_ADDR_CTRL:
        if (a[1] & ~u64(PR_TAGGED_ADDR_ENABLE)) return -EINVAL;
        t.memory().take_tagged(a[1]);
        return 0;
    case PR_GET_TAGGED_ADDR_CTRL: return t.memory().takes_tagged() ? PR_TAGGED_ADDR_ENABLE : 0;
    default: return -EINVAL;
    }
}

} // namespace

extern const Abi aarch64_abi;
constinit const Abi aarch64_abi{
    .name = "aarch64",
    .machine = "aarch64",
    .platform = "aarch64",
    .elf_machine = 183,
    .model = {},
    .layouts = &restorer_layouts, // asm/signal.h
    .high = 1ull << 46,           // below the host's own half
    .pie_base = 0x2aaaaaaaa000,
    .guard_property = 0xc0000000, // GNU_PROPERTY_AARCH64_FEATURE_1_AND, whose bit 0 is BTI (AAELF64)
    .top_byte_ignored = true,
    .registers = {.number = "x8",
                  .args = {"x0", "x1", "x2", "x3", "x4", "x5"},
                  .result = "x0",
                  .sp = "sp",
                  .tls = "tpidr_el0",
                  .frame_gpr = gpr,
                  .frame_vec = vec,
                  .other = other},
    .open = {.direct = 0200000, .largefile = 0400000, .directory = 040000, .nofollow = 0100000},
    .trampoline = trampoline,
    .min_signal_stack = 5120,
    .hwcap = hwcap,
    .push_frame = push_frame,
    .pop_frame = pop_frame,
    .start = start,
    .guards = guards,
    .prctl = prctl,
    .core_registers = core_registers,
    .frames = {.fp = "x29", .lr = "x30", .next = 0, .ret = 8, .address_mask = ~(u64{0xff} << 56 | pac_bits)},
    .cpuinfo = cpuinfo,
    .cpu_file = cpu_file,
    .calls = {},
};

} // namespace mimic::user
