#include "ir/verify.hpp"
#include "ir/operands.hpp"
#include "ir/state.hpp"
#include "ir/verify_types.hpp"
#include <algorithm>
#include <bit>

namespace mimic::ir {

namespace {

class Verifier {
public:
    Verifier(const Unit& unit, const GuestState& guest) : unit_(unit), guest_(guest) {}

    Result<void> run() {
        if (unit_.blocks.empty()) return Error::invalid_argument("the unit has no block");
        if (unit_.vector_bytes % 8 || unit_.vector_bytes > 256)
            return Error::invalid_argument("vectors of {} bytes, expected a multiple of 8, at most 256",
                                           unit_.vector_bytes);
        TRY(coverage());
        for (BlockId b = 0; b < unit_.blocks.size(); ++b) TRY(block(b).in("b{}", b));
        return commit_rule();
    }

private:
    static bool is_control(Op op) { return info(op).effect == 'C'; }

    Result<void> coverage() {
        for (const Inst& i : unit_.code)
            if (u8(i.op) >= op_count || i.type > Type::flags || i.lane > Lane::i128)
                return Error::invalid_argument("%{}: no such operation, type or lane", &i - unit_.code.data());
        std::vector<bool> seen(unit_.code.size());
        for (BlockId b = 0; b < unit_.blocks.size(); ++b) {
            const Block& k = unit_.blocks[b];
            if (k.begin >= k.end || k.end > unit_.code.size())
                return Error::invalid_argument("b{}: range {} to {} is empty or outside the code", b, k.begin, k.end);
            for (u32 n = k.begin; n < k.end; ++n) {
                if (seen[n]) return Error::invalid_argument("b{}: %{} lies in two blocks", b, n);
                seen[n] = true;
            }
        }
        return {};
    }

    Result<void> block(BlockId b) {
        const Block& k = unit_.blocks[b];
        if (!k.args.empty() && (b == 0 || k.entry)) return Error::invalid_argument("an entry has no arguments");
        bool head = true;
        begin_ = k.begin;
        for (u32 n = k.begin; n < k.end; ++n) {
            const Inst& i = unit_.code[n];
            head &= i.op == Op::arg || i.op == Op::nop;
            TRY(instruction(n, i, k, head).in("%{} ({})", n, info(i.op).name));
            bool last = n + 1 == k.end;
            if (last && !is_control(i.op)) return Error::invalid_argument("does not end in a control operation");
            if (!last && is_control(i.op)) return Error::invalid_argument("goes on after a control operation");
        }
        return {};
    }

    Result<void> instruction(u32 n, const Inst& i, const Block& k, bool head) {
        TRY(lists(i));
        u32 bad = none;
        for_each_operand(unit_, i, [&](ValueId v) {
            if (v < begin_ || v >= n || result_type(unit_.code[v]) == Type::none) bad = bad == none ? v : bad;
        });
        if (bad != none) return Error::invalid_argument("%{} is no value defined earlier in this block", bad);
        if (auto kinds = kinds_of(i.op); !kinds.empty() && i.sub >= kinds.size())
            return Error::invalid_argument("no kind {}", i.sub);
        if (auto names = sub_names(i.op); !names.empty() && i.sub >= names.size())
            return Error::invalid_argument("no kind {}", i.sub);
        if (has_fp_arg(i) && u8(FpArg::from(i.imm).round) > 4 && FpArg::from(i.imm).round != Round::dynamic)
            return Error::invalid_argument("no rounding {}", i.imm & 0xff);
        if (is_fp_operation(i) && !guest_.fp) return Error::invalid_argument("guest {} has no FP rules", guest_.name);
        TRY(check_types(unit_, i));
        switch (i.op) {
        case Op::get:
        case Op::put:
        case Op::get_idx:
        case Op::put_idx: return slot(i);
        case Op::load_ff:
            if (i.c >= guest_.slots.size() || guest_.slots[i.c].type != Type::mask)
                return Error::invalid_argument("slot {} is no slot of type mask", i.c);
            return {};
        case Op::arg:
            if (!head) return Error::invalid_argument("stands after other operations");
            if (i.imm >= k.args.size() || k.args[i.imm] != i.type)
                return Error::invalid_argument("the block has no argument {} of type {}", i.imm, to_string(i.type));
            return {};
        case Op::br: return jump(i.b, u32(i.imm));
        case Op::brcond: TRY(jump(i.b, 0)); return jump(i.c, 0);
        case Op::result: return result(n, i);
        default: return {};
        }
    }

    // Indices into the unit's pools.
    Result<void> lists(const Inst& i) {
        u64 rest = 0;
        if (i.op == Op::call) {
            CallArg c = CallArg::from(i.imm);
            if (c.callee >= unit_.calls.size()) return Error::invalid_argument("no callee {}", c.callee);
            rest = c.rest;
        }
        if (i.op == Op::br) rest = i.imm;
        if (rest && (rest > unit_.extra.size() || unit_.extra[rest - 1] > unit_.extra.size() - rest))
            return Error::invalid_argument("its list {} is outside Unit::extra", rest);
        if (i.op == Op::scatter && u32(MemArg::from(i.imm).disp) >= unit_.extra.size())
            return Error::invalid_argument("its value {} is outside Unit::extra", MemArg::from(i.imm).disp);
        u32 bytes = size_of(i.type, unit_.vector_bytes);
        bool wide = i.op == Op::vshuffle || (i.op == Op::constant && bytes > 8);
        if (wide && (i.imm > unit_.wide.size() || unit_.wide.size() - i.imm < (bytes + 7) / 8))
            return Error::invalid_argument("its words {} are outside Unit::wide", i.imm);
        return {};
    }

    Result<void> slot(const Inst& i) {
        SlotArg s = SlotArg::from(i.imm);
        bool indexed = i.op == Op::get_idx || i.op == Op::put_idx;
        u32 count = indexed ? s.count : 1;
        if (!std::has_single_bit(count)) return Error::invalid_argument("{} slots, expected a power of two", count);
        if (s.slot + count > guest_.slots.size())
            return Error::invalid_argument("guest {} has no slot {}", guest_.name, s.slot + count - 1);
        for (u32 n = 0; n < count; ++n) {
            const Slot& slot = guest_.slots[s.slot + n];
            u32 size = size_of(slot.type, unit_.vector_bytes);
            if (s.offset + size_of(i.type, unit_.vector_bytes) > size)
                return Error::invalid_argument("{} bytes at {} are more than slot {} has",
                                               size_of(i.type, unit_.vector_bytes), s.offset, slot.name);
            if ((slot.type == Type::flags) != (i.type == Type::flags))
                return Error::invalid_argument("{} in slot {} of type {}", to_string(i.type), slot.name,
                                               to_string(slot.type));
            if (slot.offset != guest_.slots[s.slot].offset + n * s.stride)
                return Error::invalid_argument("slot {} is not {} strides of {} from the first", slot.name, n,
                                               s.stride);
        }
        return {};
    }

    Result<void> jump(BlockId to, u32 list) {
        if (to >= unit_.blocks.size()) return Error::invalid_argument("no block b{}", to);
        const Block& target = unit_.blocks[to];
        u32 count = list ? unit_.extra[list - 1] : 0;
        if (count != target.args.size())
            return Error::invalid_argument("{} arguments for b{}, expected {}", count, to, target.args.size());
        for (u32 n = 0; n < count; ++n) {
            Type t = result_type(unit_.code[unit_.extra[list + n]]);
            if (t != target.args[n])
                return Error::invalid_argument("argument {} is {}, expected {}", n, to_string(t),
                                               to_string(target.args[n]));
        }
        return {};
    }

    Result<void> result(u32 n, const Inst& i) {
        if (unit_.code[i.a].op != Op::call) return Error::invalid_argument("%{} is no call", i.a);
        const Intrinsic& f = *unit_.calls[CallArg::from(unit_.code[i.a].imm).callee];
        if (i.sub == 0 || i.sub >= f.results) return Error::invalid_argument("{} has no result {}", f.name, i.sub);
        for (u32 k = i.a + 1; k < n; ++k)
            if (unit_.code[k].op == Op::call) return Error::invalid_argument("%{} stands between call and result", k);
        return {};
    }

    // A guest instruction may span blocks: "written" flows along edges to blocks that do not begin with insn.
    Result<void> commit_rule() {
        std::vector<bool> written(unit_.blocks.size());
        for (bool again = true; again;) {
            again = false;
            for (BlockId b = 0; b < unit_.blocks.size(); ++b) {
                const Block& k = unit_.blocks[b];
                bool dirty = TRY(commit_rule(k, written[b]).in("b{}", b));
                const Inst& last = unit_.code[k.end - 1];
                auto flow = [&](BlockId to) {
                    if (!dirty || written[to] || unit_.code[unit_.blocks[to].begin].op == Op::insn) return;
                    written[to] = again = true;
                };
                if (last.op == Op::br || last.op == Op::brcond) flow(last.b);
                if (last.op == Op::brcond) flow(last.c);
            }
        }
        return {};
    }
    // Is something written at the end of the block?
    Result<bool> commit_rule(const Block& k, bool dirty) {
        for (u32 n = k.begin; n < k.end; ++n) {
            const Inst& i = unit_.code[n];
            if (i.op == Op::insn) dirty = false;
            bool leaves = may_fault(i);
            if (i.op == Op::call) {
                u8 effects = unit_.calls[CallArg::from(i.imm).callee]->effects;
                leaves = effects & Intrinsic::may_exit;
                dirty |= (effects & Intrinsic::writes_state) && !leaves;
            }
            if (dirty && leaves)
                return Error::invalid_argument("%{} ({}) may leave after the instruction has written a slot", n,
                                               info(i.op).name);
            if (i.op == Op::put || i.op == Op::put_idx)
                dirty |= guest_.slots[SlotArg::from(i.imm).slot].cls != SlotClass::temp;
            if (i.op == Op::load_ff) dirty |= guest_.slots[i.c].cls != SlotClass::temp;
        }
        return dirty;
    }

    const Unit& unit_;
    const GuestState& guest_;
    u32 begin_ = 0;
};

} // namespace

Result<void> verify(const Unit& unit, const GuestState& guest) { return Verifier(unit, guest).run(); }

} // namespace mimic::ir
