// System registers: names, numbers, and what user mode may do with them.
#pragma once
#include "ir/unit.hpp"
#include "isa/aarch64/models.hpp"
#include <string>
#include <string_view>

namespace mimic::isa::aarch64 {

// op0:op1:CRn:CRm:op2 as bits 19 to 5 of mrs and msr encode it; op0 is 2 or 3, its low bit counts.
constexpr u32 system_register(u32 o0_, u32 o1_, u32 crn, u32 crm, u32 o2_) {
    return (o0_ & 1) << 14 | o1_ << 11 | crn << 7 | crm << 3 | o2_;
}
namespace reg {
inline constexpr u32 nzcv = system_register(3, 3, 4, 2, 0), fpcr = system_register(3, 3, 4, 4, 0),
                     fpsr = system_register(3, 3, 4, 4, 1), tpidr_el0 = system_register(3, 3, 13, 0, 2),
                     tpidrro_el0 = system_register(3, 3, 13, 0, 3), ctr_el0 = system_register(3, 3, 0, 0, 1),
                     dczid_el0 = system_register(3, 3, 0, 0, 7), cntfrq_el0 = system_register(3, 3, 14, 0, 0),
                     cntvct_el0 = system_register(3, 3, 14, 0, 2), cntvctss_el0 = system_register(3, 3, 14, 0, 6),
                     rndr = system_register(3, 3, 2, 4, 0), rndrrs = system_register(3, 3, 2, 4, 1);
} // namespace reg

// NZCV (C5.2.9) has N Z C V in bits 31 to 28; the slot has the bits of ir::flag, C inverted.
constexpr u32 nzcv_of(u32 flags) { return (flags >> 6 & 3) << 30 | (~flags & 1) << 29 | (flags >> 11 & 1) << 28; }
constexpr u32 flags_of_nzcv(u32 v) { return (v >> 30) << 6 | (~v >> 29 & 1) | (v >> 28 & 1) << 11; }

// FPCR (C5.2.7): AHP 26, DN 25, FZ 24, RMode 23:22, FZ16 19. FPSR (C5.2.8): QC 27, IDC 7, IXC to IOC 4 to 0, the places
// of ir::fpflag and softfloat::flag.
inline constexpr u32 any_fpcr_bits = 0x07c80000; // of any model
constexpr u32 fpcr_bits(const Model& m) { return any_fpcr_bits & ~(m.has(Feature::fp16) ? 0 : 1u << 19); }
inline constexpr u32 fpsr_bits = 0x0800009f;
// FpEnv::mode of an FPCR. RMode counts nearest, up, down, zero; Round nearest, zero, down, up.
constexpr u32 fp_mode(u32 fpcr) {
    using namespace ir::fpmode;
    return ((0 - (fpcr >> 22)) & 3) | (fpcr >> 24 & 1 ? flush_inputs | flush_outputs : 0) |
           (fpcr >> 25 & 1 ? default_nan : 0) | (fpcr >> 26 & 1 ? alt_half : 0) | (fpcr >> 19 & 1 ? flush_f16 : 0);
}

// The generic timer's count at the frequency of its argument.
extern const ir::Intrinsic counter;

// The name that binutils prints for a register, or s3_3_c13_c0_2 and the like.
std::string system_register_name(u32 number);
// Any of those names, of either form; false: no register is called that.
bool system_register_number(std::string_view name, u32& number);

} // namespace mimic::isa::aarch64
