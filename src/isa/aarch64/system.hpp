// System registers: names, numbers, and what user mode may do with them.
#pragma once
#include "base/types.hpp"
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
                     cntvct_el0 = system_register(3, 3, 14, 0, 2), cntvctss_el0 = system_register(3, 3, 14, 0, 6);
} // namespace reg

// The name that binutils prints for a register, or s3_3_c13_c0_2 and the like.
std::string system_register_name(u32 number);
// Any of those names, of either form; false: no register is called that.
bool system_register_number(std::string_view name, u32& number);

} // namespace mimic::isa::aarch64
