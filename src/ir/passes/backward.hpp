// A backward data flow over the blocks of a unit, for dead_flags and dead_state. Internal to the passes.
#pragma once
#include "ir/passes/passes.hpp"
#include <algorithm>
#include <numeric>

namespace mimic::ir {

// `scan(block, live, rewrite)` turns what is live at the end of a block into what is live at its start; with `rewrite`
// what is live is final and the block may be changed. `leave(inst, live)` sets what an exit or trap sees, `poll(live)`
// what a poll sees: that is all that an edge which polls shows, since whatever else the block behind it reads would be
// lost when the poll leaves. So only loops inside an instruction need more than one scan; with `past_polls`, edges that
// poll show what the block behind reads, too. `words` is the size of a set.
template <class Scan, class Leave, class Poll>
void backward(Unit& unit, PassScratch& s, u32 words, bool past_polls, Scan&& scan, Leave&& leave, Poll&& poll) {
    const u32 count = u32(unit.blocks.size());
    s.order.resize(count);
    std::iota(s.order.begin(), s.order.end(), 0u);
    auto later = [&](u32 a, u32 b) { return unit.blocks[a].begin > unit.blocks[b].begin; };
    std::sort(s.order.begin(), s.order.end(), later);
    s.live_in.assign(size_t(count) * words, 0);
    s.done.assign(count, 0);
    s.live.resize(words);

    // Calls f(successor) for edges that do not poll; gives whether there is one that does.
    auto edges = [&](const Block& b, auto&& f) {
        const Inst& last = unit.code[b.end - 1];
        bool polls = false;
        auto edge = [&](BlockId to) {
            bool here = polls_on(unit, b.pc, to);
            polls |= here;
            if (!here || past_polls) f(to);
        };
        if (last.op == Op::br || last.op == Op::brcond) edge(last.b);
        if (last.op == Op::brcond) edge(last.c);
        return polls;
    };
    auto out = [&](const Block& b) {
        std::fill(s.live.begin(), s.live.end(), 0);
        const Inst& last = unit.code[b.end - 1];
        if (last.op != Op::br && last.op != Op::brcond) return leave(last, s.live);
        if (edges(b, [](BlockId) {})) poll(s.live);
        edges(b, [&](BlockId to) {
            for (u32 w = 0; w < words; ++w) s.live[w] |= s.live_in[size_t(to) * words + w];
        });
    };
    auto loops = [&] { // is there an edge to a block that is scanned no later?
        bool open = false;
        for (u32 b : s.order) {
            edges(unit.blocks[b], [&](BlockId to) { open |= !s.done[to]; });
            s.done[b] = 1;
        }
        return open;
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
