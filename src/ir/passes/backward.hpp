// A backward data flow over the blocks of a unit, for dead_flags and dead_state. Internal to the passes.
#pragma once
#include "ir/passes/passes.hpp"
#include <algorithm>
#include <numeric>

namespace mimic::ir {

// `scan(block, live, rewrite)` turns what is live at the end of a block into what is live at its start; with `rewrite`
// what is live is final and the block may be changed. `leave(inst, live)` sets what an exit or trap sees, `poll(live)`
// adds what a poll sees. `words` is the size of a set.
template <class Scan, class Leave, class Poll>
void backward(Unit& unit, PassScratch& s, u32 words, Scan&& scan, Leave&& leave, Poll&& poll) {
    const u32 count = u32(unit.blocks.size());
    s.order.resize(count);
    std::iota(s.order.begin(), s.order.end(), 0u);
    std::sort(s.order.begin(), s.order.end(),
              [&](u32 a, u32 b) { return unit.blocks[a].begin > unit.blocks[b].begin; });
    s.live_in.assign(size_t(count) * words, 0);
    s.done.assign(count, 0);
    s.live.resize(words);

    auto out = [&](const Block& b) {
        std::fill(s.live.begin(), s.live.end(), 0);
        const Inst& last = unit.code[b.end - 1];
        auto join = [&](BlockId to) {
            for (u32 w = 0; w < words; ++w) s.live[w] |= s.live_in[size_t(to) * words + w];
            if (polls_on(unit, b.pc, to)) poll(s.live);
        };
        if (last.op == Op::br || last.op == Op::brcond) {
            join(last.b);
            if (last.op == Op::brcond) join(last.c);
        } else {
            leave(last, s.live);
        }
    };
    auto loops = [&] { // is there an edge to a block that is scanned no later?
        for (u32 b : s.order) {
            const Inst& last = unit.code[unit.blocks[b].end - 1];
            s.done[b] = 1;
            auto open = [&](BlockId to) { return !s.done[to] || to == b; };
            if ((last.op == Op::br || last.op == Op::brcond) && open(last.b)) return true;
            if (last.op == Op::brcond && open(last.c)) return true;
        }
        return false;
    };
    if (loops()) {
        for (bool again = true; again;) {
            again = false;
            for (u32 b : s.order) {
                out(unit.blocks[b]);
                scan(unit.blocks[b], s.live, false);
                for (u32 w = 0; w < words; ++w) {
                    u64& in = s.live_in[size_t(b) * words + w];
                    again |= in != s.live[w];
                    in = s.live[w];
                }
            }
        }
    }
    for (u32 b : s.order) {
        out(unit.blocks[b]);
        scan(unit.blocks[b], s.live, true);
        std::copy(s.live.begin(), s.live.end(), s.live_in.begin() + size_t(b) * words);
    }
}

} // namespace mimic::ir
