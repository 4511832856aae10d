// V on whole registers: elements that move. Register n of a group of vs2, as vector_whole.hpp has it.
#pragma once
#include "isa/riscv/vector_whole.hpp"

namespace mimic::isa::riscv {

// vslideup and vslidedown by a number, whatever LMUL is; by a register while a group is one register.
void slide_up_by(Rv& t, const I& i, u64 elements);
void slide_down_by(Rv& t, const I& i, u64 elements);
void slide_one_register(Rv& t, const I& i, Val elements, bool up);
// The scalar, as lanes, comes in at one end.
void slide1(Rv& t, const I& i, Val scalar, bool up);
// vrgather: element `index` everywhere; by a register while a group is one register; by vs1.
void gather_element(Rv& t, const I& i, u64 index);
void gather_in_register(Rv& t, const I& i, Val index);
void gather_by_lanes(Rv& t, const I& i);
inline bool in_one_register(const I& i) { return vconfig(i).lmul <= 0; }
// Grows with the square of the group.
inline bool gathers_by_lanes(const I& i) { return vconfig(i).lmul <= 1; }

} // namespace mimic::isa::riscv
