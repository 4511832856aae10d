// Random instructions on our engine and on a reference machine, compared. What differs between guests is a SoakGuest.
#pragma once
#include "line.hpp"
#include "soak/protocol.h"
#include <random>

namespace mimic::test::soak {

using Random = std::mt19937_64;

// Registers in the order of isa::Guest::registers(), internal ones zero; values of up to 16 bytes.
struct Registers {
    std::vector<std::array<u8, 16>> value;
    u64 low(u32 n) const;
    void set(u32 n, u64 v);
};

struct Case {
    u32 row = isa::Guest::no_row;
    std::vector<u8> code; // one or more instructions, at most sizeof(case_head::insn) bytes, at CODE_START
    std::string text;
    Registers in;
    std::array<u8, 2 * AREA_BYTES> memory{};
    std::vector<u32> also; // registers that it uses without naming them, for as_line
};

// What a machine made of a case. `stop` is "" when the pc left the code, else the name of the trap as lines have it, of
// memory faults "fault" alone: a signal does not tell reads from writes.
struct Answer {
    std::string stop;
    u64 pc = 0, address = 0;
    Registers out;
    std::array<u8, 2 * AREA_BYTES> memory{};
    u64 between = 0; // window_sum of the window's bytes between the areas
};

// A difference that is the reference's fault, or of no consequence.
struct Exception {
    std::string_view mnemonic; // instructions whose text begins so
    std::string_view reason;
    bool (*applies)(const Case& c, const Answer& ours, const Answer& reference); // null: always
};

// How a block of many random instructions begins, where what they mean depends on registers that few of them write.
struct BlockStart {
    std::vector<std::pair<u32, u64>> registers; // of isa::Guest::registers(), of at most 8 bytes
    std::vector<u8> code;                       // to run first
    u64 setting = 0;                            // for shape()
};

struct SoakGuest {
    std::string_view name;
    std::string_view model; // ours
    std::string_view cpu;   // -cpu of the reference
    // A random instance of a row becomes a case: registers, memory, perhaps instructions before it. False: not to be run.
    bool (*prepare)(const isa::Guest& guest, Case& c, Random& random);
    std::span<const Exception> exceptions;
    // For engine_soak. shape: an instance of a row gets operands that fit the block, or
    // becomes empty. Null: instances are as they come.
    BlockStart (*begin_block)(const isa::Guest& guest, Random& random) = nullptr;
    void (*shape)(const isa::Guest& guest, u32 row, u64 setting, std::vector<u8>& code, Random& random) = nullptr;
};
const SoakGuest* find_soak_guest(std::string_view name);

// The reference machine: `emulator` runs `program`, the build of reference.c for the guest.
class Reference {
public:
    Reference(std::string emulator, std::string cpu, std::string program, const isa::Guest& guest);
    Result<std::vector<Answer>> run(std::span<const Case> cases);

private:
    std::string emulator_, cpu_, program_;
    const isa::Guest& guest_;
};

// Our side of a case.
class Ours {
public:
    Ours(const isa::Guest& guest, Engine& engine);
    Answer run(const Case& c);
    // Did it run in circles, or jump into its own last bytes? Such a case is not given to the reference.
    static bool lost(const Answer& a) { return a.stop == "endless" || a.stop == "fetch_fault"; }

private:
    const isa::Guest& guest_;
    Engine& engine_;
    Machine machine_;
};

// Lines of text, empty when the answers agree.
std::string compare(const Case& c, const Answer& ours, const Answer& reference, const isa::Guest& guest);
// A case as a line of a row test, with the reference's answer as what is expected.
std::string as_line(const Case& c, const Answer& reference, const isa::Guest& guest);

} // namespace mimic::test::soak
