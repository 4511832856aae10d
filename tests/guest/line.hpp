// A line of a row test:
//
//   add x3, x1, x2            | x1=5 x2=-7                          => x3=-2
//   ld  x5, 8(x1)             | x1=0x1000 [0x1008]=0x1122334455     => x5=0x1122334455
//   lw  x5, 0(x1)             | x1=0xdead0000                       => trap=load_page_fault
//   sw  x2, 0(x1)             | x1=0x2000 ro=0x2000                 => trap=store_page_fault address=0x2000
//   fadd.s f1, f2, f3         | f2=box(1.5f) f3=box(2f)             => f1=box(3.5f)
//   lr.w x5, (x1); addi x5, x5, 1 | ...                             => ...
//   .word 0                                                         => illegal
//
// Instructions (or .byte .half .word VALUE), separated by `;`, stand at pc (0 unless the inputs set it). Inputs: registers,
// memory, `ro=ADDRESS` for a page that is read-only. `[ADDRESS]=` is 8 bytes, `[ADDRESS:N]=` is N; naming an address maps
// its page. All else is zero. Outputs name all that changed, the trap, and the pc where it is not that behind the code
// (or, for a trap, that of the instruction). Values: integers; floating point with a letter for the format, d f h;
// box(VALUE) sets all bits above the value's own. `#` begins a comment at the start of a line, `# ` anywhere.
#pragma once
#include "base/result.hpp"
#include "machine.hpp"
#include <array>
#include <optional>

namespace mimic::test {

struct Assign {
    u32 reg = isa::Guest::no_register; // or memory at `address`
    u64 address = 0;
    u32 bytes = 8;
    std::array<u8, 16> value{};
};

struct Line {
    std::string code; // text of the instructions
    std::vector<u8> bytes;
    u64 pc = 0;
    std::vector<Assign> in, out;
    std::vector<u64> read_only;
    std::string trap;
    std::optional<u64> pc_out, address_out;
};

// An empty line or comment gives a Line without code.
Result<Line> parse_line(std::string_view text, const isa::Guest& guest);
// Text of all the instructions, assembled one behind the other.
Result<std::vector<u8>> assemble(std::string_view code, u64 pc, const isa::Guest& guest);
// As a line would write it.
std::string print_assign(const Assign& a, const isa::Guest& guest);

// What differs from the line, empty when nothing does.
std::string run_line(const Line& line, Machine& machine, Engine& engine);

} // namespace mimic::test
