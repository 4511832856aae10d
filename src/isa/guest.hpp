// A guest architecture as other rooms see it: nobody outside src/isa/<guest>/ names its registers or instructions.
#pragma once
#include "base/result.hpp"
#include "ir/builder.hpp"
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace mimic::isa {

// The part of a guest that translates: one object a translating thread. It owns the builder over `unit`.
class FrontEnd {
public:
    virtual ~FrontEnd() = default;
    virtual ir::Builder& builder() = 0;
    // Emits what stands at `code` (as many bytes as are readable from pc on, at most 64) under `mode`, the guest's own
    // mode bits of the block key, which it may change for the instructions that follow (IT state). It calls
    // begin_insn itself, once an instruction: a delay slot or a packet is taken together with its branch.
    // Returns the bytes consumed; 0 when the instruction needs bytes that are not there (the loop makes it a fetch
    // fault). An illegal instruction emits its trap and counts as translated.
    virtual u32 translate(std::span<const u8> code, u64 pc, u32& mode) = 0;
};

// One row, for tests and listings.
struct RowInfo {
    std::string_view syntax, pattern, table;
    u32 bytes = 0;
};

// Any generator of uniform 64-bit values, by reference.
class Chance {
public:
    template <class Generator>
    requires(!std::is_same_v<Generator, Chance>) Chance(Generator& g)
        : generator_(&g)
        , next_([](void* of) { return u64((*static_cast<Generator*>(of))()); }) {}
    u64 operator()() { return next_(generator_); }

private:
    void* generator_;
    u64 (*next_)(void*);
};

// A register as debuggers and tests name it; a slot, part of one, or composed of several.
struct RegisterInfo {
    std::string_view name;
    u16 bytes = 8;
    bool fp = false;       // holds floating-point values
    bool internal = false; // no architectural register, but state that decides what comes next
};

class System;
class DebugView;

// A CPU model of a guest architecture, immutable once made.
class Guest {
public:
    virtual ~Guest() = default;
    virtual std::string_view name() const = 0;  // "riscv64"
    virtual std::string_view model() const = 0; // "rv64"
    virtual const ir::GuestState& state() const = 0;
    virtual u32 min_insn_bytes() const = 0; // 2 with compressed instructions, 1 on x86: instruction alignment
    virtual u32 max_insn_bytes() const = 0;
    virtual bool big_endian() const { return false; }
    virtual u32 address_bits() const { return 64; }
    virtual u32 vector_bytes() const { return 16; }
    virtual std::unique_ptr<FrontEnd> front_end(ir::Unit& unit) const = 0;
    // May a branch of this kind (bits of GuestState::entry_mode, not all clear) enter the code, which lies in a guarded
    // page? If not, it is an illegal instruction there.
    virtual bool may_enter(std::span<const u8> /*code*/, u64 /*pc*/, u32 /*mode*/) const { return true; }
    // The privileged side (isa/system.hpp); null in the form for user mode.
    virtual const System* system() const { return nullptr; }

    // Registers as debuggers name them (isa/debug.hpp); null: there are none yet.
    virtual const DebugView* debug() const { return nullptr; }

    // Text. `length` gets the bytes of the instruction (of the smallest unit when it is illegal: text is a directive).
    virtual std::string disassemble(std::span<const u8> code, u64 pc, u32 mode, u32& length) const = 0;
    virtual Result<std::vector<u8>> assemble(std::string_view text, u64 pc, u32 mode) const = 0;

    // Registers but for the pc: together all of the state, and no bit of it twice. Values have the host's byte order.
    virtual std::span<const RegisterInfo> registers() const { return {}; }
    // By its name in registers() or another that the ABI or assembler knows; no_register when there is none.
    virtual u32 find_register(std::string_view) const { return no_register; }
    virtual void read_register(ir::CpuHeader&, u32, u8*) const {}
    // Brings mode bits of the header along (CpuHeader::mode).
    virtual void write_register(ir::CpuHeader&, u32, const u8*) const {}
    static constexpr u32 no_register = ~0u;

    // Rows, for property tests and soak: every row of this model, and random instances of one.
    virtual u32 row_count() const = 0;
    virtual RowInfo row(u32 n) const = 0;
    // The row of what stands at `code`; no_row when it is illegal.
    virtual u32 row_of(std::span<const u8> code, u64 pc, u32 mode) const = 0;
    static constexpr u32 no_row = ~0u;
    virtual std::vector<u8> random_instance(u32 row, Chance random) const = 0;
    // Pairs of rows that claim the same bytes although neither is a special case of the other: mistakes, as text.
    virtual std::vector<std::string> row_conflicts() const = 0;
};

// What a guest folder offers; found by name. One constant object a guest.
struct GuestInfo {
    std::string_view name; // "riscv64"
    std::string_view default_model;
    std::span<const std::string_view> models;
    Result<std::unique_ptr<Guest>> (*make)(std::string_view model); // unknown model: an error that lists them
    // The same model with its privileged side; null: there is none yet.
    Result<std::unique_ptr<Guest>> (*make_system)(std::string_view model) = nullptr;
    std::string_view family{}; // "riscv": what management tools have in names of CPU types; empty: as `name`
};
// Every guest that was built in.
std::span<const GuestInfo* const> guests();
const GuestInfo* find_guest(std::string_view name);

} // namespace mimic::isa
