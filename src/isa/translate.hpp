// The translation loop: guest bytes to a unit of several blocks. It owns "next instruction", block discovery and the
// limits; front ends own meanings.
#pragma once
#include "isa/guest.hpp"

namespace mimic::isa {

struct Limits {
    u32 blocks = 64;     // 1: one, which leaves even where it goes back to itself
    u32 insns = 64;      // measured on a static hello: 512 translates half as much again, to no gain in loops
    u32 met_insns = 160; // with blocks that `met` knows, and those between and close to them: loops become whole
    u64 reach = 4096;    // blocks lie within this many bytes of the entry
    bool one_insn = false;
    u64 low = 0, high = 0; // when high is not 0: blocks lie in [low, high)
    // Is there a translation of this pc already? Then the unit stops before it and leaves by an edge.
    std::function<bool(u64 pc, u32 mode)> exists;
    // Did this pc run before? Such blocks come first; null: nothing is known.
    std::function<bool(u64 pc)> met;
    bool only_met = false; // other blocks are left out
};

// Copies up to out.size() bytes of code at pc; fewer at the end of what may be executed.
using Fetch = std::function<u32(u64 pc, std::span<u8> out)>;

class Translator final : ir::Builder::Targets {
public:
    explicit Translator(const Guest& guest);
    // The unit that begins at pc; valid until the next call. Code that cannot be fetched becomes a trap.
    ir::Unit& translate(u64 pc, ir::BlockKey key, const Fetch& fetch, const Limits& limits);

private:
    struct Guest_ { // a block of guest code: where it begins and, once translated, ends
        u64 pc = 0, end = 0;
        ir::BlockId block = ir::none;
        u32 mode = 0;
        bool done = false, met = false;
    };
    ir::BlockId block_at(u64 pc, u32 mode) override;
    void returns_to(u64 pc, u32 mode) override;
    ir::BlockId add(u64 pc, u32 mode);
    void translate_block(u32 n);
    u32 next();
    // Cold code gets more room where what ran is around it.
    u32 room(u64 pc, bool met) const {
        constexpr u64 near = 64;
        const bool between = limits_->met && pc + near >= met_low_ && pc < met_high_ + near;
        return met || between ? limits_->met_insns : limits_->insns;
    }
    void compact();
    bool boundary(const Guest_& g, u64 pc, u32 mode) const;

    ir::Unit unit_;
    std::unique_ptr<FrontEnd> front_;
    u64 misaligned_; // bits that are set in no pc of an instruction
    const Fetch* fetch_ = nullptr;
    const Limits* limits_ = nullptr; // during translate
    std::vector<Guest_> blocks_;
    u64 starts_ = 0; // a bit for each pc in blocks_ (and for those that share it)
    static u64 start_bit(u64 pc) { return u64{1} << ((pc >> 1 ^ pc >> 7) & 63); }
    std::vector<u32> work_;
    u32 current_ = 0;
    u64 met_low_ = 0, met_high_ = 0;           // of the blocks that ran before
    bool again_ = false;                       // a block was translated twice
    std::vector<ir::BlockId> reached_, place_; // what compact works with
    std::vector<ir::Inst> code_;
    std::vector<ir::Block> compacted_;
    u8 window_[256];
    u64 window_pc_ = 0;
    u32 window_bytes_ = 0;
};

} // namespace mimic::isa
