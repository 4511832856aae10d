// Numbers and names of control and status registers. The RISC-V Instruction Set Manual, Volume I (20240411), chapters
// 7, 8 and 20; Volume II (20240411), chapter 2.
#pragma once
#include "base/types.hpp"
#include <string>
#include <string_view>

namespace mimic::isa::riscv {

enum class Csr : u16 {
    fflags = 0x001,
    frm = 0x002,
    fcsr = 0x003,
    vstart = 0x008,
    vxsat = 0x009,
    vxrm = 0x00a,
    vcsr = 0x00f,
    cycle = 0xc00,
    time = 0xc01,
    instret = 0xc02,
    vl = 0xc20,
    vtype = 0xc21,
    vlenb = 0xc22,
};

// Volume II, 2.1: bits 11 and 10 both set means read-only.
constexpr bool is_read_only(u32 number) { return number >> 10 == 3; }

// "fcsr", or "0x7c0" for a number without a name.
std::string csr_name(u32 number);
// False when there is no such name.
bool csr_number(std::string_view name, u32& number);

} // namespace mimic::isa::riscv
