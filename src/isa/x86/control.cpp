// Transfers of control, flags as data, and the system's instructions of a user program.
// Intel SDM vol. 2 (325383). Segments are flat; what needs privilege traps.
#include "isa/x86/semantics.hpp"
#include <time.h>

namespace mimic::isa::x86 {

namespace {

u64 target(X86& t, const I& i) { return t.next_pc() + u64(i.imm); }

void jcc(X86& t, const I& i) { t.branch_to(t.holds(i.opcode), target(t, i), t.next_pc()); }
void jmp(X86& t, const I& i) { t.goto_pc(target(t, i)); }
void jmp_indirect(X86& t, const I& i) { t.goto_value(t.read(i, 0)); }
void call(X86& t, const I& i) {
    t.push(t.code_address(t.next_pc()));
    t.call_pc(target(t, i), t.next_pc());
}
void call_indirect(X86& t, const I& i) {
    Val to = t.read(i, 0);
    t.push(t.code_address(t.next_pc()));
    t.call_value(to, t.next_pc());
}
void ret(X86& t, const I& i) {
    Val sp = t.r(rsp), to = t.load(sp, Type::i64);
    t.r(rsp, sp + (8 + i64(u16(i.imm))));
    t.goto_value(to, ir::ExitHint::ret);
}
// 0 loopne, 1 loope, 2 loop: the counter's width is the address size.
template <u32 Kind>
void loop(X86& t, const I& i) {
    Type ty = i.addr32 ? Type::i32 : Type::i64;
    Val n = t.r(rcx, ty) - 1;
    t.r(rcx, n);
    Val again = n != 0;
    if (Kind < 2) again = again & t.cond(Kind ? Cond::z : Cond::nz, t.flags());
    t.branch_to(again, target(t, i), t.next_pc());
}
void jrcxz(X86& t, const I& i) { t.branch_to(t.r(rcx) == 0, target(t, i), t.next_pc()); }
void jecxz(X86& t, const I& i) { t.branch_to(t.r(rcx, Type::i32) == 0, target(t, i), t.next_pc()); }
void jrcxz_either(X86& t, const I& i) { i.addr32 ? jecxz(t, i) : jrcxz(t, i); }

// The flags that the slots don't hold: bit 1 and IF read as ones; AC, ID can be changed.
constexpr u32 fixed_bits = 0x202, df_bit = 0x400, kept_bits = 0x240000;
Val eflags(X86& t) {
    Val df = t.get(slot_df, Type::i8).zext(Type::i32).shl(10u);
    return t.flags_bits(t.flags()) | df | t.get(slot_eflags, Type::i32) | i64(fixed_bits);
}
void pushf(X86& t, const I& i) {
    Val f = eflags(t);
    t.push(i.bytes(Size::v) == 2 ? f.trunc(Type::i16) : f.zext(Type::i64));
}
void popf(X86& t, const I& i) {
    Type ty = int_type(i.bytes(Size::v));
    Val sp = t.r(rsp), v = t.load(sp, ty);
    t.r(rsp, sp + i64(bits_of(ty) / 8));
    Val f = ty == Type::i16 ? v.zext(Type::i32) : v.trunc(Type::i32);
    t.flags(t.flags_from(f));
    t.put(slot_df, f.ubfx(10, 1).trunc(Type::i8));
    if (ty != Type::i16) t.put(slot_eflags, f & i64(kept_bits));
}
constexpr u32 ah_flags = flag::n | flag::z | flag::a | flag::p | flag::c;
void lahf(X86& t, const I&) {
    Val f = (t.flags_bits(t.flags()) & i64(ah_flags)) | 2;
    t.put(slot_r + rax, f.trunc(Type::i8), 1);
}
void sahf(X86& t, const I&) { t.flags(t.flags_from(t.get(slot_r + rax, Type::i8, 1).zext(Type::i32)), ah_flags); }
template <u32 Bits>
void set_carry(X86& t, const I&) {
    t.flags(t.flags_from(t.imm(Bits, Type::i32)), flag::c);
}
void cmc(X86& t, const I&) { t.flags(t.flags_from((t.carry() == 0).zext(Type::i32)), flag::c); }
template <u32 Df>
void set_df(X86& t, const I&) {
    t.put(slot_df, t.imm(Df, Type::i8));
}

void interrupt(X86& t, const I& i) {
    if (i.imm == 3) return t.trap(ir::TrapKind::breakpoint, t.pc());
    t.trap(ir::TrapKind::guest, t.pc(), t.imm(u8(i.imm)));
}
// The handler finds rcx and r11 as the instruction leaves them: it returns to next_pc.
void syscall(X86& t, const I&) {
    t.r(rcx, t.code_address(t.next_pc()));
    t.r(11, eflags(t).zext(Type::i64));
    t.trap(ir::TrapKind::syscall, t.pc());
}

// A processor of the x86-64 baseline (System V ABI, x86-64-v1): what the rows implement, no more.
int cpuid_values(ir::CpuHeader*, const ir::Wide* a, ir::Wide* out) {
    u32 leaf = u32(a[0].w[0]), features = u32(a[2].w[0]);
    u32 eax = 0, ebx = 0, ecx = 0, edx = 0;
    constexpr u32 vendor[3] = {0x696d694d, 0x694d6363, 0x63696d69}; // "MimiccMiimic"
    auto has = [&](Feature f) { return features >> u32(f) & 1; };
    switch (leaf) {
    case 0: eax = 1, ebx = vendor[0], edx = vendor[1], ecx = vendor[2]; break;
    case 1:
        eax = 0x00000f10; // family 15
        ebx = 0x00010800; // one logical processor, lines of 64 bytes
        // FPU TSC CX8 CMOV FXSR SSE SSE2
        edx = 1u << 0 | 1u << 4 | 1u << 8 | 1u << 15 | 1u << 19 | 1u << 24 | 1u << 25 | 1u << 26;
        ecx = has(Feature::cx16) << 13 | has(Feature::popcnt) << 23;
        break;
    case 0x80000000: eax = 0x80000008, ebx = vendor[0], edx = vendor[1], ecx = vendor[2]; break;
    case 0x80000001:
        edx = 1u << 11 | 1u << 20 | 1u << 29; // SYSCALL NX LM
        ecx = 1u | has(Feature::lzcnt) << 5;  // LAHF in 64-bit mode
        break;
    case 0x80000008: eax = 48u << 8 | 48; break;
    default: break;
    }
    for (u32 n = 0; n < 4; ++n) out[n] = {{n == 0 ? eax : n == 1 ? ebx : n == 2 ? ecx : edx, 0}};
    return 0;
}
constexpr ir::Intrinsic cpuid_body{"x86_cpuid", cpuid_values, 3, 4};
void cpuid(X86& t, const I&) {
    Val a =
        t.call(cpuid_body, Type::i32, {t.r(rax, Type::i32), t.r(rcx, Type::i32), t.imm(t.model().features, Type::i32)});
    Val b = t.result(a, 1, Type::i32), c = t.result(a, 2, Type::i32), d = t.result(a, 3, Type::i32);
    t.r(rax, a);
    t.r(rbx, b);
    t.r(rcx, c);
    t.r(rdx, d);
}
// Nanoseconds of the monotonic clock: a time-stamp counter of 1 GHz.
int time_stamp(ir::CpuHeader*, const ir::Wide*, ir::Wide* out) {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    out[0].w[0] = u64(now.tv_sec) * 1000000000 + u64(now.tv_nsec);
    return 0;
}
constexpr ir::Intrinsic time_body{"x86_rdtsc", time_stamp, 0, 1, ir::Intrinsic::impure};
void rdtsc(X86& t, const I&) {
    Val now = t.call(time_body, Type::i64, {});
    t.r(rax, now.trunc(Type::i32));
    t.r(rdx, now.half(1));
}

template <u32 Before, u32 After>
void fence(X86& t, const I&) {
    t.fence(Before, After);
}
void nothing(X86&, const I&) {}

// MXCSR (vol. 1, 10.2.3): flags IE DE ZE OE UE PE in bits 0..5, DAZ 6, masks 7..12, rounding 13..14, FTZ 15.
// The masks are kept, but an unmasked exception does not trap.
// The slot has all but the flags, which live in the FP environment; its modes follow the slot. The masks are kept, but
// an unmasked exception does not trap.
void stmxcsr(X86& t, const I& i) {
    Val f = t.op(ir::Op::fpflags, Type::i32);
    Val sticky = (f & 1) | (f & 0x1e).shl(1u) | (f & 0x20).lshr(4u); // softfloat's order to ours
    t.store(t.address(i), t.get(slot_mxcsr, Type::i32) | sticky);
}
void ldmxcsr(X86& t, const I& i) {
    Val loaded = t.load(t.address(i), Type::i32);
    t.put(slot_temp, loaded);
    t.when((loaded & 0xffff0000) != 0, [&] { t.trap(ir::TrapKind::privileged, t.pc()); }); // #GP: reserved bits
    Val v = t.get(slot_temp, Type::i32);
    t.put(slot_mxcsr, v & ~i64{0x3f});
    t.op(ir::Op::fpflags_set, Type::none, (v & 1) | (v & 0x3c).lshr(1u) | (v & 2).shl(4u));
    // RC 0 nearest, 1 down, 2 up, 3 toward zero
    Val round = t.imm(0x78, Type::i32).lshr(v.ubfx(13, 2).shl(1u)) & 3;
    t.op(ir::Op::fpmode_set, Type::none, round | v.ubfx(15, 1).shl(3u) | v.ubfx(6, 1).shl(4u));
}

// clang-format off
constexpr Row control[] = {
    {"j{cc} {rel}",       "70 +cc cb",       jcc},
    {"pushf",             "9C d64",          pushf},
    {"popf",              "9D d64",          popf},
    {"sahf",              "9E",              sahf},
    {"lahf",              "9F",              lahf},
    {"ret {imm16}",       "C2 iw",           ret},
    {"ret",               "C3",              ret},
    {"int3",              "CC",              [](X86& t, const I&) { t.trap(ir::TrapKind::breakpoint, t.pc()); }},
    {"int {imm8}",        "CD ib",           interrupt},
    {"loopne {rel}",      "E0 cb",           loop<0>},
    {"loope {rel}",       "E1 cb",           loop<1>},
    {"loop {rel}",        "E2 cb",           loop<2>},
    {"jrcxz {rel}",       "E3 cb",           jrcxz_either},
    {"call {rel}",        "E8 cd",           call},
    {"jmp {rel}",         "EB cb",           jmp},
    {"jmp {rel}",         "E9 cd",           jmp},
    {"cmc",               "F5",              cmc},
    {"clc",               "F8",              set_carry<0>},
    {"stc",               "F9",              set_carry<1>},
    {"cld",               "FC",              set_df<0>},
    {"std",               "FD",              set_df<1>},
    {"call {r/m64}",      "FF /2",           call_indirect},
    {"jmp {r/m64}",       "FF /4",           jmp_indirect},
    {"j{cc} {rel}",       "0F 80 +cc cd",    jcc},
};
constexpr Row system[] = {
    {"hlt",               "F4",              [](X86& t, const I&) { t.trap(ir::TrapKind::privileged, t.pc()); }},
    {"syscall",           "0F 05",           syscall},
    {"ud2",               "0F 0B",           [](X86& t, const I&) { t.illegal(); }},
    {"prefetchw {m8}",    "0F 0D /1",        nothing},
    {"prefetchnta {m8}",  "0F 18 /0",        nothing},
    {"prefetcht0 {m8}",   "0F 18 /1",        nothing},
    {"prefetcht1 {m8}",   "0F 18 /2",        nothing},
    {"prefetcht2 {m8}",   "0F 18 /3",        nothing},
    {"endbr64",           "F3 0F 1E FA",     nothing},
    {"rdtsc",             "0F 31",           rdtsc},
    {"cpuid",             "0F A2",           cpuid},
    {"ldmxcsr {m32}",     "NP 0F AE /2",     ldmxcsr},
    {"stmxcsr {m32}",     "NP 0F AE /3",     stmxcsr},
    {"lfence",            "NP 0F AE E8",     fence<1, 3>},
    {"mfence",            "NP 0F AE F0",     fence<3, 3>},
    {"sfence",            "NP 0F AE F8",     fence<2, 2>},
};
// clang-format on

} // namespace

constinit const Table control_rows{"control", Feature::base, control}, system_rows{"system", Feature::base, system};

} // namespace mimic::isa::x86
