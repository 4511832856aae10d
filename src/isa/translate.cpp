#include "isa/translate.hpp"
#include "ir/operands.hpp"

#include <algorithm>

namespace mimic::isa {

using ir::BlockId;

Translator::Translator(const Guest& guest) : front_(guest.front_end(unit_)), misaligned_(guest.min_insn_bytes() - 1) {
    unit_.vector_bytes = guest.vector_bytes();
    front_->builder().set_targets(this);
}

ir::Unit& Translator::translate(u64 pc, ir::BlockKey key, const Fetch& fetch, const Limits& limits) {
    unit_.clear();
    unit_.pc = unit_.guest_low = unit_.guest_high = pc;
    unit_.key = key;
    fetch_ = &fetch;
    limits_ = &limits;
    blocks_.clear();
    starts_ = 0;
    met_low_ = met_high_ = pc;
    work_.clear();
    again_ = false;
    window_bytes_ = 0;
    add(pc, key.mode);
    unit_.blocks[0].entry = true;
    while (!work_.empty()) {
        u32 n = next();
        if (!blocks_[n].done) translate_block(n);
    }
    if (again_) compact();
    return unit_;
}

// The block to translate next: what ran before comes first.
u32 Translator::next() {
    auto at = work_.end() - 1;
    if (limits_->met)
        for (auto k = work_.end(); k != work_.begin();)
            if (blocks_[*--k].met) {
                at = k;
                break;
            }
    u32 n = *at;
    work_.erase(at);
    return n;
}

// Drops what the first translation of a split block left behind: code that lies in no block, and blocks inside an
// instruction that nothing reaches any more.
void Translator::compact() {
    std::vector<BlockId>&reached = reached_, &place = place_;
    reached.clear();
    place.assign(unit_.blocks.size(), ir::none);
    auto reach = [&](BlockId b) {
        if (place[b] == ir::none) place[b] = 0, reached.push_back(b);
    };
    for (BlockId b = 0; b < unit_.blocks.size(); ++b)
        if (unit_.blocks[b].entry) reach(b);
    for (u32 n = 0; n < reached.size(); ++n) {
        const ir::Inst& last = unit_.code[unit_.blocks[reached[n]].end - 1];
        if (last.op == ir::Op::br || last.op == ir::Op::brcond) reach(last.b);
        if (last.op == ir::Op::brcond) reach(last.c);
    }
    std::sort(reached.begin(), reached.end());
    for (u32 n = 0; n < reached.size(); ++n) place[reached[n]] = n;

    std::vector<ir::Inst>& code = code_;
    std::vector<ir::Block>& blocks = compacted_;
    code.clear();
    blocks.clear();
    unit_.guest_insns = 0;
    for (BlockId b : reached) {
        ir::Block& block = blocks.emplace_back(std::move(unit_.blocks[b]));
        u32 moved = block.begin - u32(code.size()); // wraps: a distance in either direction
        for (u32 n = block.begin; n < block.end; ++n) {
            ir::Inst& i = code.emplace_back(unit_.code[n]);
            ir::for_each_operand(unit_, i, [&](ir::ValueId& v) { v -= moved; });
            if (i.op == ir::Op::br || i.op == ir::Op::brcond) i.b = place[i.b];
            if (i.op == ir::Op::brcond) i.c = place[i.c];
            unit_.guest_insns += i.op == ir::Op::insn;
        }
        block.begin -= moved, block.end -= moved;
    }
    unit_.code.swap(code);
    unit_.blocks.swap(blocks);
}

// The block of a guest pc in this unit. A target inside a block that was translated already splits it: the block is
// translated again and stops there, because values were forwarded over the boundary.
BlockId Translator::block_at(u64 pc, u32 mode) {
    if (limits_->blocks == 1) return ir::none;
    if (starts_ & start_bit(pc))
        for (Guest_& g : blocks_)
            if (g.pc == pc && g.mode == mode) return g.block;
    if (limits_->one_insn || blocks_.size() >= limits_->blocks) return ir::none;
    const bool met = limits_->met && limits_->met(pc);
    if (limits_->only_met && !met) return ir::none;
    if (unit_.guest_insns >= room(pc, met)) return ir::none;
    if (pc - unit_.pc + limits_->reach >= 2 * limits_->reach) return ir::none;
    if (limits_->high && (pc < limits_->low || pc >= limits_->high)) return ir::none;
    if (limits_->exists && limits_->exists(pc, mode)) return ir::none;
    u32 inside = ir::none;
    for (u32 n = 0; n < blocks_.size(); ++n)
        if (blocks_[n].pc < pc && pc < blocks_[n].end && boundary(blocks_[n], pc, mode)) inside = n;
    BlockId b = add(pc, mode);
    if (inside != ir::none) {
        again_ = true;
        blocks_[inside].done = false;
        work_.push_back(inside);
    }
    return b;
}

void Translator::returns_to(u64 pc, u32 mode) {
    if (mode != unit_.key.mode) return; // a unit is entered under its own
    BlockId b = block_at(pc, mode);
    if (b != ir::none) unit_.blocks[b].entry = true;
}

BlockId Translator::add(u64 pc, u32 mode) {
    unit_.blocks.emplace_back();
    BlockId b = BlockId(unit_.blocks.size() - 1);
    unit_.blocks[b].pc = pc;
    work_.push_back(u32(blocks_.size()));
    blocks_.push_back({pc, pc, b, mode, false, limits_->met && limits_->met(pc)});
    starts_ |= start_bit(pc);
    return b;
}

// Does an instruction of block g begin at pc under `mode`? A delay slot inside does not: it belongs to its branch.
bool Translator::boundary(const Guest_& g, u64 pc, u32 mode) const {
    if (!g.done && g.block != blocks_[current_].block) return false;
    const ir::Block& b = unit_.blocks[g.block];
    u32 end = g.done ? b.end : u32(unit_.code.size());
    for (u32 n = b.begin; n < end; ++n)
        if (unit_.code[n].op == ir::Op::insn && unit_.code[n].imm == pc && unit_.code[n].c == mode) return true;
    return false;
}

void Translator::translate_block(u32 n) {
    ir::Builder& t = front_->builder();
    current_ = n;
    u64 pc = blocks_[n].pc;
    u32 mode = blocks_[n].mode;
    t.start_block(blocks_[n].block);
    if (pc & misaligned_) {
        t.set_mode(mode);
        if (pc == unit_.pc)
            t.trap(ir::TrapKind::misaligned_fetch, pc, t.code_address(pc));
        else
            t.exit_to(pc, mode);
        blocks_[n].done = true;
        return;
    }
    // Asked for while there was room, which others have taken.
    if (limits_->met && n != 0 && unit_.guest_insns >= room(pc, blocks_[n].met)) {
        t.set_mode(mode);
        t.exit_to(pc, mode);
        blocks_[n].done = true;
        return;
    }
    for (bool first = true; !t.ended(); first = false) {
        if (!first) {
            bool known = false;
            if (starts_ & start_bit(pc))
                for (const Guest_& g : blocks_) known |= g.pc == pc && g.mode == mode;
            bool full = unit_.guest_insns >= room(pc, blocks_[n].met) || limits_->one_insn ||
                        pc - unit_.pc + limits_->reach >= 2 * limits_->reach;
            if (known || full || (limits_->exists && limits_->exists(pc, mode))) {
                t.goto_pc(pc);
                break;
            }
        }
        if (pc < window_pc_ || pc + 64 > window_pc_ + window_bytes_) {
            window_pc_ = pc;
            window_bytes_ = (*fetch_)(pc, window_);
        }
        // A block that began inside an instruction (Builder::when) ends with it.
        if (!first && (unit_.key.flavour & ir::flavour::icount) && t.inside_insn()) {
            t.goto_pc(pc);
            break;
        }
        u32 at = u32(pc - window_pc_);
        blocks_[n].end = pc + 1; // so that a branch of this very instruction to a place inside it is seen as such
        t.set_mode(mode);
        u32 length = front_->translate({window_ + at, std::min(window_bytes_ - at, 64u)}, pc, mode);
        t.set_mode(mode);
        if (length == 0) {
            // What is not the unit's beginning is left to be fetched, or to fault, when it is reached.
            if (!first)
                t.goto_pc(pc);
            else if (pc != unit_.pc)
                t.exit_to(pc, mode);
            else
                t.trap(ir::TrapKind::fetch_fault, pc);
            break;
        }
        pc += length;
        blocks_[n].end = pc;
        unit_.guest_low = std::min(unit_.guest_low, pc - length);
        unit_.guest_high = std::max(unit_.guest_high, pc);
    }
    if (blocks_[n].met) met_low_ = std::min(met_low_, blocks_[n].pc), met_high_ = std::max(met_high_, pc);
    blocks_[n].done = true;
    // A branch may have asked for a place inside this very block: then it is on the work list again.
    for (const Guest_& g : blocks_)
        if (blocks_[n].pc < g.pc && g.pc < blocks_[n].end && boundary(blocks_[n], g.pc, g.mode)) {
            again_ = true;
            blocks_[n].done = false;
            blocks_[n].end = blocks_[n].pc;
            work_.push_back(n);
            break;
        }
}

} // namespace mimic::isa
