// The tables of rows, one an extension, and the CPU models that choose among them.
#pragma once
#include "isa/riscv/isa.hpp"

namespace mimic::isa::riscv {

extern const Table<RiscV> rv64i, zifencei;

} // namespace mimic::isa::riscv
