// The translation loop: guest bytes to a unit of several blocks. It owns "next instruction", block discovery and the
// limits; front ends own meanings.
#pragma once
#include "isa/guest.hpp"

namespace mimic::isa {

struct Limits {
    u32 blocks = 64;
    u32 insns = 64;   // measured on a static hello: 512 translates half as much again, to no gain in loops
    u64 reach = 4096; // blocks lie within this many bytes of the entry
    bool one_insn = false;
    u64 low = 0, high = 0; // when high is not 0: blocks lie in [low, high)
    // Is there a translation of this pc already? Then the unit stops before it and leaves by an edge.
    std::function<bool(u64 pc, u32 mode)> exists;
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
        bool done = false;
    };
    ir::BlockId block_at(u64 pc, u32 mode) override;
    void returns_to(u64 pc, u32 mode) override;
    ir::BlockId add(u64 pc, u32 mode);
    void translate_block(u32 n);
    void compact();
    bool boundary(const Guest_& g, u64 pc, u32 mode) const;

    ir::Unit unit_;
    std::unique_ptr<FrontEnd> front_;
    const Fetch* fetch_ = nullptr;
    Limits limits_;
    std::vector<Guest_> blocks_;
    std::vector<u32> work_;
    u32 current_ = 0;
    bool again_ = false; // a block was translated twice
    u8 window_[256];
    u64 window_pc_ = 0;
    u32 window_bytes_ = 0;
};

} // namespace mimic::isa
