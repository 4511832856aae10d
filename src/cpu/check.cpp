// The check of a unit's own bytes, in IR: loads of the guest bytes, compared with constants.
#include "base/check.hpp"
#include "cpu/space.hpp"
#include "ir/operands.hpp"
#include <algorithm>

namespace mimic::cpu {

using ir::Inst;
using ir::Op;
using ir::Type;

namespace {

// Appends to a block; values are numbered by their place in the code.
class Appender {
public:
    Appender(ir::Unit& unit, Type address) : unit_(unit), address_(address) {}
    u32 add(Inst i) {
        unit_.code.push_back(i);
        return u32(unit_.code.size() - 1);
    }
    u32 constant(Type t, u64 v) { return add({.op = Op::constant, .type = t, .imm = v}); }
    // Zero when the `n` bytes at pc (1, 2, 4 or 8) are those of `bytes`, an i64.
    u32 difference(u64 pc, const u8* bytes, u32 n) {
        u64 v = 0;
        for (u32 k = 0; k < n; ++k) v |= u64(bytes[k]) << 8 * k;
        Type t = n == 8 ? Type::i64 : n == 4 ? Type::i32 : n == 2 ? Type::i16 : Type::i8;
        u32 now = add(
            {.op = Op::load, .type = Type::i64, .a = constant(address_, pc), .imm = ir::MemArg{.memory = t}.bits()});
        return add({.op = Op::xor_, .type = Type::i64, .a = now, .b = constant(Type::i64, v)});
    }

private:
    ir::Unit& unit_;
    Type address_;
};

// The guest bytes of the unit's instructions: [first, second), rising, without gaps inside.
std::vector<std::pair<u64, u64>> pieces(const ir::Unit& unit) {
    std::vector<std::pair<u64, u64>> all, merged;
    for (const Inst& i : unit.code)
        if (i.op == Op::insn && i.sub) all.emplace_back(i.imm, i.imm + i.sub);
    std::sort(all.begin(), all.end());
    for (auto& p : all)
        if (!merged.empty() && p.first <= merged.back().second)
            merged.back().second = std::max(merged.back().second, p.second);
        else
            merged.push_back(p);
    return merged;
}

} // namespace

void add_check(const ir::Unit& unit, const Snapshot& snapshot, ir::Unit& out) {
    out = unit;
    // The old entry moves to the end of the list; what led to it follows.
    auto body = ir::BlockId(out.blocks.size()), stale = body + 1;
    for (Inst& i : out.code) {
        if ((i.op == Op::br || i.op == Op::brcond) && i.b == 0) i.b = body;
        if (i.op == Op::brcond && i.c == 0) i.c = body;
    }
    ir::Block head;
    head.begin = u32(out.code.size());
    head.pc = unit.pc - 1; // before the body, so that the edge to it does not poll
    head.entry = true;
    Appender a(out, Type::i64);
    a.add({.op = Op::insn, .sub = 0, .c = unit.key.mode, .imm = unit.pc});
    u32 sum = ir::none;
    for (auto [at, end] : pieces(unit)) {
        std::vector<u8> bytes(end - at);
        MIMIC_CHECK(snapshot.read(at, bytes), "an instruction was translated that was not fetched");
        for (const u8* p = bytes.data(); at < end;) {
            u32 n = 8;
            while (n > end - at) n /= 2;
            u32 d = a.difference(at, p, n);
            sum = sum == ir::none ? d : a.add({.op = Op::or_, .type = Type::i64, .a = sum, .b = d});
            at += n, p += n;
        }
    }
    if (sum == ir::none) sum = a.constant(Type::i64, 0);
    u32 zero = a.constant(Type::i64, 0);
    u32 same = a.add({.op = Op::icmp, .type = Type::i64, .sub = u8(ir::Rel::eq), .a = sum, .b = zero});
    a.add({.op = Op::brcond, .a = same, .b = body, .c = stale});
    head.end = u32(out.code.size());
    ir::Block leave;
    leave.begin = head.end;
    leave.pc = unit.pc - 1;
    a.add({.op = Op::trap, .sub = u8(ir::TrapKind::stale_code), .imm = unit.pc});
    leave.end = u32(out.code.size());
    out.blocks.push_back(out.blocks[0]);
    out.blocks[body].entry = false;
    out.blocks.push_back(leave);
    out.blocks[0] = head;
}

} // namespace mimic::cpu
