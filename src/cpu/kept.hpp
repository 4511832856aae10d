// Blocks that are not worth translating yet although they were met again: their IR, for the interpreter, and the bytes that
// it was made from. One a vCPU. Internal to the room.
//
// Nothing tells of writes to code that was not translated: whoever takes a block compares its bytes with what stands there
// now. There is room for the first blocks of a program only (CodeSpace::Impl::kept_left): most of what is met again in a
// program that ends soon does not come back often; in one that goes on, it does.
#pragma once
#include "cpu/snapshot.hpp"
#include <array>
#include <memory>

namespace mimic::cpu {

struct KeptBlock {
    static constexpr u32 most_bytes = 128;
    u64 pc = 0; // where the guest sees it
    ir::Unit unit;
    u32 runs = 0;  // since it is kept
    u32 bytes = 0; // from unit.pc on, in one page
    u8 code[most_bytes];
};

class KeptBlocks {
public:
    // Null: there is none.
    KeptBlock* find(u64 pc, u32 mode) {
        const u16 n = index_[place(pc)];
        if (n == 0) return nullptr;
        KeptBlock& b = *blocks_[n - 1u];
        return b.pc == pc && b.unit.key.mode == mode ? &b : nullptr;
    }
    // Room for a block at pc.
    KeptBlock& add(u64 pc) {
        blocks_.push_back(std::make_unique<KeptBlock>());
        blocks_.back()->pc = pc;
        index_[place(pc)] = u16(blocks_.size());
        return *blocks_.back();
    }

    Snapshot seen; // of what is translated now

private:
    static u32 place(u64 pc) { return u32(pc >> 1 ^ pc >> 11 ^ pc >> 21) % 1024; }
    std::vector<std::unique_ptr<KeptBlock>> blocks_;
    std::array<u16, 1024> index_{}; // one more than the block's number; 0: none
};

} // namespace mimic::cpu
