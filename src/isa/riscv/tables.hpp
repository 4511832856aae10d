// The tables of rows, one an extension, and the CPU models that choose among them.
#pragma once
#include "isa/riscv/isa.hpp"

namespace mimic::isa::riscv {

extern const Table<RiscV> rv64i, zifencei, zicsr, zicond, rv64m, rv64a, zawrs, zacas, zicbom, zicboz, zicbop, rv64f,
    rv64d, zfhmin, zfhmin_d, zfh, zfa, zfa_d, zfa_h, zca, zcd, zba, zbb, zbc, zbs, v_config, v_memory, v_integer,
    v_fixed, v_fp, v_reduce, v_permute, privileged, svinval;

} // namespace mimic::isa::riscv
