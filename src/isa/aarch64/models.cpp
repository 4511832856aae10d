// CPU models and what they tell programs. Arm ARM D19 (ID registers); the technical reference manuals of the cores;
// Linux documentation, arch/arm64: cpu-feature-registers, elf_hwcaps.
#include "isa/aarch64/models.hpp"
#include "isa/aarch64/system.hpp"
#include <array>

namespace mimic::isa::aarch64 {

namespace {

using enum Feature;

template <class... F>
constexpr u64 set_of(F... f) {
    return (u64{0} | ... | (u64{1} << u32(f)));
}
// A feature is in a model only if rows implement all of it: what a program finds here, it uses.
constexpr u64 crypto = set_of(aes, pmull, sha1, sha256);
constexpr u64 v8_0 = set_of(base, fp, simd, crc32) | crypto;
constexpr u64 v8_2 = v8_0 | set_of(lse, lor, rdm, fp16, simd_fp16, dotprod, lrcpc, dpb, pan, uao, ssbs, hafdbs, vhe);
constexpr u64 everything = set_of(dit, tlbirange, e0pd) | v8_2 |
                           set_of(lrcpc2, lrcpc3, lse2, flagm, flagm2, frintts, jscvt, fcma, fhm, sb, dpb2, bf16, i8mm,
                                  sha512, sha3, sm3, sm4, mops, hbc, wfxt, rng, dgh, xs, cssc, pauth, bti);

// MIDR_EL1 of the cores' manuals (A53 r0p4, A57 r1p0, A72 r0p3, N1 r4p1); max: an architecture's own, no implementer.
constexpr Model all_models[] = {
    {"cortex-a53", v8_0, 0x410fd034, 62'500'000, 40},   {"cortex-a57", v8_0, 0x411fd070, 62'500'000, 44},
    {"cortex-a72", v8_0, 0x410fd083, 62'500'000, 44},   {"neoverse-n1", v8_2, 0x414fd0c1, 1'000'000'000, 48},
    {"max", everything, 0x000f0510, 1'000'000'000, 48},
};

// Four bits of an ID register that say which of several features there are.
struct Level {
    u32 shift;
    u64 value;
    Feature feature;
};
u64 compose(const Model& m, std::initializer_list<Level> levels) {
    u64 v = 0;
    for (const Level& l : levels)
        if (m.has(l.feature)) v = (v & ~(u64{15} << l.shift)) | l.value << l.shift; // later levels win
    return v;
}

// AdvSIMD and FP: 0 there, 1 with half precision; 15 none. The two must agree (D19.2.64).
u64 aa64pfr0(const Model& m) {
    u64 level = m.has(fp16) && m.has(simd_fp16) ? 1 : 0;
    return 0x11 | level << 16 | level << 20; // EL0 and EL1 in AArch64 only
}
u64 aa64pfr1(const Model& m) { return compose(m, {{0, 1, bti}}); }
u64 aa64isar0(const Model& m) {
    return compose(m, {{4, 1, aes},
                       {4, 2, pmull},
                       {8, 1, sha1},
                       {12, 1, sha256},
                       {12, 2, sha512},
                       {16, 1, crc32},
                       {20, 2, lse},
                       {28, 1, rdm},
                       {32, 1, sha3},
                       {36, 1, sm3},
                       {40, 1, sm4},
                       {44, 1, dotprod},
                       {48, 1, fhm},
                       {52, 1, flagm},
                       {52, 2, flagm2},
                       {60, 1, rng}});
}
u64 aa64isar1(const Model& m) {
    return compose(m, {{0, 1, dpb},
                       {0, 2, dpb2},
                       {4, 5, pauth}, // APA: FPACCOMBINE
                       {12, 1, jscvt},
                       {16, 1, fcma},
                       {20, 1, lrcpc},
                       {20, 2, lrcpc2},
                       {20, 3, lrcpc3},
                       {24, 1, pauth}, // GPA
                       {32, 1, frintts},
                       {36, 1, sb},
                       {44, 1, bf16},
                       {48, 1, dgh},
                       {52, 1, i8mm},
                       {56, 1, xs}});
}
u64 aa64isar2(const Model& m) { return compose(m, {{0, 2, wfxt}, {16, 1, mops}, {20, 1, hbc}, {52, 1, cssc}}); }
u64 aa64mmfr2(const Model& m) { return compose(m, {{32, 1, lse2}}); }

constexpr u32 id(u32 crm, u32 op2) { return system_register(3, 0, 0, crm, op2); }

// uapi/asm/hwcap.h: bit numbers of AT_HWCAP and AT_HWCAP2.
struct Capability {
    u32 bit;
    Feature feature;
};
constexpr Capability hwcap[] = {{0, fp},     {1, simd},     {3, aes},       {4, pmull},      {5, sha1},  {6, sha256},
                                {7, crc32},  {8, lse},      {9, simd_fp16}, {10, simd_fp16}, {11, base}, {12, rdm},
                                {13, jscvt}, {14, fcma},    {15, lrcpc},    {16, dpb},       {17, sha3}, {18, sm3},
                                {19, sm4},   {20, dotprod}, {21, sha512},   {23, fhm},       {25, lse2}, {26, lrcpc2},
                                {27, flagm}, {29, sb},      {30, pauth},    {31, pauth}};
constexpr Capability hwcap2[] = {{0, dpb2}, {7, flagm2}, {8, frintts}, {13, i8mm}, {14, bf16}, {15, dgh},   {16, rng},
                                 {17, bti}, {31, wfxt},  {34, cssc},   {43, mops}, {44, hbc},  {46, lrcpc3}};

} // namespace

std::span<const Model> models() { return all_models; }

bool id_register(const Model& m, u32 number, u64& value) {
    switch (number) {
    case reg::ctr_el0: value = 0x8444c004; return true; // 64-byte lines, PIPT, no RES1 missing
    case reg::dczid_el0: value = 4; return true;        // DC ZVA allowed, 2^4 words
    case id(0, 0): value = m.midr; return true;
    case id(0, 5): value = u64{1} << 31; return true; // MPIDR_EL1: RES1 alone
    case id(0, 6): value = 0; return true;
    case id(4, 0): value = aa64pfr0(m); return true;
    case id(4, 1): value = aa64pfr1(m); return true;
    case id(5, 0): value = 6; return true; // debug architecture: Armv8
    case id(6, 0): value = aa64isar0(m); return true;
    case id(6, 1): value = aa64isar1(m); return true;
    case id(6, 2): value = aa64isar2(m); return true;
    case id(7, 2): value = aa64mmfr2(m); return true;
    default: break;
    }
    // The rest of the space that Linux emulates reads as zero: op0 3, op1 0, CRn 0, CRm 1 to 7.
    u32 crm = number >> 3 & 15;
    value = 0;
    return number >> 7 == 1u << 7 && crm >= 1 && crm <= 7;
}

namespace {

// D19.2: fields that programs under Linux are not shown.
u64 system_pfr0(const Model& m) {
    u64 v = aa64pfr0(m) | u64{1} << 56 | u64{1} << 60; // CSV2, CSV3: nothing is speculated here
    return v | compose(m, {{8, 1, el2}, {12, 1, el3}, {24, 1, gic_registers}, {48, 1, dit}});
}
u64 system_pfr1(const Model& m) { return aa64pfr1(m) | compose(m, {{4, 2, ssbs}}); }
u64 system_isar0(const Model& m) { return aa64isar0(m) | compose(m, {{56, 2, tlbirange}}); }
// The algorithm is the implementation's own (pauth.cpp): API, GPI in place of APA, GPA.
u64 system_isar1(const Model& m) {
    return (aa64isar1(m) & ~u64{0xf0000f0}) | compose(m, {{8, 5, pauth}, {28, 1, pauth}});
}
// Breakpoints 6, watchpoints 4, context-aware breakpoints 2; PMUv3.
constexpr u64 dfr0 = 6 | 1 << 8 | 5 << 12 | 3 << 20 | 1 << 28;
u64 system_mmfr0(const Model& m) {
    constexpr u8 sizes[] = {32, 36, 40, 42, 44, 48};
    u64 v = u64{2} << 4 | u64{1} << 20; // 16-bit ASIDs; all granules, 16 KiB has a field the other way round
    for (u32 n = 0; n < std::size(sizes); ++n)
        if (sizes[n] == m.physical_bits) v |= n;
    return v | compose(m, {{12, 1, el3}}); // SNSMem
}
u64 system_mmfr1(const Model& m) {
    return compose(m,
                   {{0, 2, hafdbs}, {4, 2, vhe}, {8, 1, vhe}, {12, 2, pan}, {16, 1, lor}, {20, 2, pan}, {28, 1, pan}});
}
u64 system_mmfr2(const Model& m) { return aa64mmfr2(m) | compose(m, {{0, 1, pan}, {4, 1, uao}, {60, 1, e0pd}}); }

} // namespace

bool system_id_register(const Model& m, u32 number, u64& value) {
    switch (number) {
    case reg::ctr_el0: // max: neither cache needs maintenance for what is executed (IDC, DIC)
        return value = 0x8444c004 | (m.has(tlbirange) ? u64{3} << 28 : 0), true;
    case id(4, 0): return value = system_pfr0(m), true;
    case id(4, 1): return value = system_pfr1(m), true;
    case id(5, 0): return value = dfr0, true;
    case id(6, 0): return value = system_isar0(m), true;
    case id(6, 1): return value = system_isar1(m), true;
    case id(7, 0): return value = system_mmfr0(m), true;
    case id(7, 1): return value = system_mmfr1(m), true;
    case id(7, 2): return value = system_mmfr2(m), true;
    case system_register(3, 1, 0, 0, 1): return value = 0x0a200023, true; // CLIDR: L1 of two, L2 of one
    case system_register(3, 1, 0, 0, 7): return value = 0, true;          // AIDR
    default: return id_register(m, number, value);
    }
}

// 32 KiB 2-way of data, 48 KiB 3-way of instructions, 2 MiB 16-way; lines of 64 bytes.
u64 cache_size_id(u64 csselr) {
    constexpr u64 sizes[] = {0x700fe01a, 0x201fe012, 0x70ffe07a};
    return csselr < 3 ? sizes[csselr] : 0;
}

HardwareCapabilities hardware_capabilities(const Model& m) {
    HardwareCapabilities out;
    for (Capability c : hwcap)
        if (m.has(c.feature)) out.hwcap |= u64{1} << c.bit;
    for (Capability c : hwcap2)
        if (m.has(c.feature)) out.hwcap2 |= u64{1} << c.bit;
    return out;
}

} // namespace mimic::isa::aarch64
