#include "ir/operands.hpp"
#include "ir/passes/backward.hpp"

namespace mimic::ir {

namespace {

// The flags that a condition looks at.
constexpr u32 bits_of(Cond c) {
    switch (c) {
    case Cond::z:
    case Cond::nz: return flag::z;
    case Cond::c:
    case Cond::nc: return flag::c;
    case Cond::n:
    case Cond::nn: return flag::n;
    case Cond::v:
    case Cond::nv: return flag::v;
    case Cond::p:
    case Cond::np: return flag::p;
    case Cond::ugt:
    case Cond::ule: return flag::c | flag::z;
    case Cond::sge:
    case Cond::slt: return flag::n | flag::v;
    case Cond::sgt:
    case Cond::sle: return flag::n | flag::v | flag::z;
    }
    return flag::all;
}

// A set has a word for each slot of type flags: its live bits. `demanded` has those of the values of a block.
class DeadFlags {
public:
    DeadFlags(Unit& unit, const GuestState& guest, PassScratch& s) : unit_(unit), guest_(guest), s_(s) {
        for (SlotId slot : s.flag_slots) {
            SlotClass cls = guest.slots[slot].cls;
            faults_see_ |= cls != SlotClass::temp && cls != SlotClass::flag;
        }
    }

    // Most instructions have nothing to do with condition codes: only those that do are looked at from here on. False: no
    // slot is written.
    bool collect() {
        bool writes = false;
        s_.relevant.clear();
        s_.first.clear();
        for (const Block& b : unit_.blocks) {
            s_.first.push_back(u32(s_.relevant.size()));
            for (u32 n = b.begin; n < b.end; ++n) {
                const Inst& i = unit_.code[n];
                if (!concerns(i)) continue;
                s_.relevant.push_back(n);
                writes |= i.op == Op::put;
            }
        }
        s_.first.push_back(u32(s_.relevant.size()));
        s_.demanded.assign(unit_.code.size(), 0);
        return writes;
    }

    void scan(const Block& b, std::vector<u64>& live, bool rewrite) {
        const std::size_t block = std::size_t(&b - unit_.blocks.data());
        const u32 begin = s_.first[block], end = s_.first[block + 1];
        for (u32 k = begin; k < end; ++k) s_.demanded[s_.relevant[k]] = 0; // what others have is not read
        for (u32 k = end; k-- > begin;) {
            const u32 n = s_.relevant[k];
            Inst& i = unit_.code[n];
            const u32 wanted = s_.demanded[n];
            switch (i.op) {
            case Op::get:
                if (i.type == Type::flags) live[index(SlotArg::from(i.imm).slot)] |= wanted;
                break;
            case Op::put:
                if (i.type == Type::flags) put(i, live, rewrite);
                break;
            case Op::get_idx:
                if (i.type == Type::flags) each(i, [&](SlotId slot) { live[index(slot)] |= wanted; });
                break;
            case Op::put_idx:
                if (i.type == Type::flags) {
                    u64 any = 0;
                    each(i, [&](SlotId slot) { any |= shared(slot) ? flag::all : live[index(slot)]; });
                    demand(i.b, u32(any), rewrite);
                }
                break;
            case Op::cond: demand(i.a, bits_of(Cond(i.sub)), rewrite); break;
            case Op::flags_bits: demand(i.a, flag::all, rewrite); break;
            case Op::flags_merge:
                demand(i.a, wanted & ~u32(i.imm), rewrite);
                demand(i.b, wanted & u32(i.imm), rewrite);
                break;
            case Op::select:
                if (i.type == Type::flags) demand(i.b, wanted, rewrite), demand(i.c, wanted, rewrite);
                break;
            default:
                if (may_fault(i)) see(live, true);
                if (i.op == Op::call && reads_all_slots(unit_, i)) see(live, false);
                if (i.op == Op::call || i.op == Op::br) for_each_operand(unit_, i, [&](ValueId v) { pass_on(v); });
            }
        }
    }
    void see(std::vector<u64>& live, bool fault) const {
        for (u32 n = 0; n < live.size(); ++n) {
            SlotClass cls = guest_.slots[s_.flag_slots[n]].cls;
            if (cls != SlotClass::temp && !(fault && cls == SlotClass::flag)) live[n] = flag::all;
        }
    }

private:
    // Does scan do anything with it?
    bool concerns(const Inst& i) const {
        switch (i.op) {
        case Op::get:
        case Op::put:
        case Op::get_idx:
        case Op::put_idx:
        case Op::select: return i.type == Type::flags;
        case Op::cond:
        case Op::flags_bits:
        case Op::flags_merge:
        case Op::call:
        case Op::br: return true;
        default: return faults_see_ && may_fault(i);
        }
    }
    template <class F>
    static void each(const Inst& i, F&& f) {
        SlotArg s = SlotArg::from(i.imm);
        for (u32 n = 0; n < s.count; ++n) f(SlotId(s.slot + n));
    }
    u32 index(SlotId n) const { return s_.flag_index[n]; }
    bool shared(SlotId n) const { return s_.shared[n / 64] >> n % 64 & 1; }

    void put(Inst& i, std::vector<u64>& live, bool rewrite) {
        SlotId slot = SlotArg::from(i.imm).slot;
        u32 wanted = shared(slot) ? flag::all : u32(live[index(slot)]);
        if (wanted == 0) {
            if (rewrite) i = {}, ++s_.dropped;
            return;
        }
        live[index(slot)] = 0;
        demand(i.a, wanted, rewrite);
    }
    // An operand that is wanted for some bits: merges that give all of them from one side are looked through.
    void demand(ValueId& v, u32 bits, bool rewrite) {
        ValueId from = v;
        for (;;) {
            const Inst& i = unit_.code[from];
            if (bits == 0 || i.op != Op::flags_merge) break;
            if (!(bits & ~u32(i.imm)))
                from = i.b;
            else if (!(bits & u32(i.imm)))
                from = i.a;
            else
                break;
        }
        s_.demanded[from] |= bits;
        if (rewrite) v = from;
    }
    void pass_on(ValueId v) {
        if (result_type(unit_.code[v]) == Type::flags) s_.demanded[v] |= flag::all;
    }

    Unit& unit_;
    const GuestState& guest_;
    PassScratch& s_;
    bool faults_see_ = false; // of some slot, what faults of memory operations find
};

} // namespace

void dead_flags(Unit& unit, const GuestState& guest, PassScratch& scratch, ExitFlags* exits) {
    scratch.prepare(guest);
    if (scratch.flag_slots.empty()) return;
    DeadFlags pass(unit, guest, scratch);
    if (!pass.collect()) exits = nullptr; // nothing is at stake
    auto leave = [&](const Inst& last, std::vector<u64>& live) {
        bool dead = exits && last.op == Op::exit && exits->dead_at(last.imm, last.c);
        pass.see(live, dead);
    };
    backward(
        unit, scratch, u32(scratch.flag_slots.size()), true,
        [&](const Block& b, auto& live, bool rewrite) { pass.scan(b, live, rewrite); }, leave,
        [&](auto& live) { pass.see(live, true); });
}

} // namespace mimic::ir
