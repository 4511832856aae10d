// What random instances of V's rows need: a configuration under which they mostly are legal, registers at which groups may
// begin, elements at the edges. The RISC-V Instruction Set Manual, Volume I (20240411), chapter 31; VLEN is 128.
#pragma once
#include "soak/soak.hpp"

namespace mimic::test::soak::riscv {

// vtype, and what it allows.
struct VectorConfig {
    bool valid = true;
    i32 sew = 0, lmul = 0; // log2, of bytes and of registers
    u64 vtype = 0, vl = 0, vlmax = 0, vstart = 0;
};

u64 vlmax_of(u64 vtype); // 0: no configuration
bool is_vector(std::string_view syntax);
// A valid vtype three times in four, for the instructions that set it.
u64 random_vtype(Random& random);
// `c.code`, an instance of the row `syntax`, gets operands that fit a configuration, which it returns.
VectorConfig shape_vector(std::string_view syntax, std::vector<u8>& code, Random& random);
// As shape_vector, under the vtype of a block; code becomes empty if the row has no elements under it.
void shape_under(std::string_view syntax, u64 vtype, std::vector<u8>& code, Random& random);
BlockStart begin_vector_block(const isa::Guest& guest, Random& random);
// Registers of V, and those that the instruction reads as scalars, addresses and strides. c.text is up to date.
void fill_vector(const isa::Guest& guest, Case& c, const VectorConfig& config, Random& random);
// Instructions to run before it. Where it begins at element 0 there mostly is a vsetvli: then it runs as in compiled code.
// Others may follow, which it runs behind; not before an access, whose faults are compared with the case's registers.
std::vector<std::vector<u8>> before_vector(const isa::Guest& guest, Case& c, const VectorConfig& config,
                                           Random& random);
// Of any other instruction: V's registers hold something.
void fill_other(const isa::Guest& guest, Case& c, Random& random);

} // namespace mimic::test::soak::riscv
