// The builder: what the rows' meanings are written against. Values know their builder, so expressions compose; anything
// with an effect is a method of the builder. Constants fold here, slot reads after writes in the same block are
// forwarded, and writes that nobody can see are dropped; a row never optimises.
//
//   Val a = t.get(x1, Type::i64), b = t.imm(5);
//   t.put(x2, (b == a).select(a + b, a.udiv(b)));
#pragma once
#include "base/check.hpp"
#include "ir/unit.hpp"

namespace mimic::ir {

class Builder;

class Val {
public:
    Val() = default;
    Val(Builder* b, u32 id) : b_(b), id_(id) {}
    explicit operator bool() const { return b_ != nullptr; }
    u32 id() const { return id_; }
    Builder& builder() const { return *b_; }
    Type type() const;
    // The value if it is a constant of at most 64 bits.
    bool is_const() const;
    u64 const_value() const;

    Val mulhu(Val b) const;
    Val mulhs(Val b) const;
    Val udiv(Val b, bool zero_gives_zero = false) const;
    Val sdiv(Val b, bool zero_gives_zero = false) const;
    Val urem(Val b) const;
    Val srem(Val b) const;
    Val shl(Val n) const;
    Val lshr(Val n) const;
    Val ashr(Val n) const;
    Val rotr(Val n) const;
    Val shl(u32 n) const;
    Val lshr(u32 n) const;
    Val ashr(u32 n) const;
    Val rotr(u32 n) const;
    Val clz() const;
    Val ctz() const;
    Val popcnt() const;
    Val bswap() const;
    Val bitrev() const;
    Val sext(Type t) const;
    Val zext(Type t) const;
    Val trunc(Type t) const;
    Val ubfx(u32 pos, u32 len) const;
    Val sbfx(u32 pos, u32 len) const;
    Val bfi(Val b, u32 pos, u32 len) const;
    Val ult(Val b) const;
    Val ule(Val b) const;
    Val slt(Val b) const;
    Val sle(Val b) const;
    // i1 only: this ? b : c
    Val select(Val b, Val c) const;
    Val bitcast(Type t) const;
    Val half(u32 which) const;

private:
    Builder* b_ = nullptr;
    u32 id_ = none;
};

Val operator+(Val a, Val b);
Val operator-(Val a, Val b);
Val operator*(Val a, Val b);
Val operator&(Val a, Val b);
Val operator|(Val a, Val b);
Val operator^(Val a, Val b);
Val operator~(Val a);
Val operator-(Val a);
Val operator==(Val a, Val b);
Val operator!=(Val a, Val b);
// With a constant of a's type.
Val operator+(Val a, i64 b);
Val operator-(Val a, i64 b);
Val operator&(Val a, i64 b);
Val operator|(Val a, i64 b);
Val operator^(Val a, i64 b);
Val operator==(Val a, i64 b);
Val operator!=(Val a, i64 b);

class Builder {
public:
    Builder(Unit& unit, const GuestState& guest);
    Builder(const Builder&) = delete;
    Builder& operator=(const Builder&) = delete;

    Unit& unit() { return unit_; }
    const Unit& unit() const { return unit_; }
    const GuestState& guest() const { return guest_; }

    // Constants. imm() wraps to the type; wide() is for i128 and v128.
    Val imm(u64 value, Type t = Type::i64);
    Val wide(u64 low, u64 high, Type t);
    // What the guest sees of a pc, or of what lies at a distance from one: links, what is relative to the code.
    Val code_address(u64 pc, Type t = Type::i64);

    // State. The offset is in bytes into the slot.
    Val get(SlotId slot, Type t, u32 offset = 0);
    void put(SlotId slot, Val v, u32 offset = 0);
    // The value that a whole slot is known to hold here, or an empty Val: emits nothing.
    Val peek(SlotId slot);
    Val get_index(SlotId first, Val index, u32 count, Type t, u32 stride);
    void put_index(SlotId first, Val index, u32 count, Val v, u32 stride);

    // Guest memory. The address has the type of the guest's addresses; a constant added to it becomes the displacement.
    Val load(Type t, Val address, MemArg m);
    void store(Val address, Val v, MemArg m);
    Val rmw(Rmw op, Val address, Val v, MemArg m);
    Val cas(Val address, Val expected, Val desired, MemArg m);
    // Orders earlier accesses (1 reads, 2 writes, 3 both) before later ones.
    void fence(u32 before = 3, u32 after = 3);
    void probe(Val address, Val length, bool write);

    // Condition codes. The width is the type of a.
    Val flags_add(Val a, Val b, Val carry = {}, bool invert_c = false);
    Val flags_sub(Val a, Val b, Val borrow = {}, bool invert_c = false);
    Val flags_logic(Val a, bool invert_c = false);
    Val flags_fcmp(Val a, Val b, bool signaling, bool invert_c = false);
    Val flags_from(Val bits);
    Val flags_bits(Val flags);
    Val flags_merge(Val old, Val now, u32 mask);
    // Where the comparison behind the flags is in sight, the condition becomes one over its operands.
    Val cond(Cond c, Val flags, bool c_is_inverted = false);

    // FP
    Val fp(Op op, Type t, Val a, Val b = {}, Val c = {}, FpArg arg = {}, u8 sub = 0);
    Val fcmp(FRel rel, Val a, Val b, bool signaling);

    // Any operation; checks nothing but folds nothing either. For vectors and for the rest.
    Val op(Op op, Type t, Val a = {}, Val b = {}, Val c = {}, u64 imm = 0, u8 sub = 0, Lane lane = Lane::i8);
    Val vbin(VBin kind, Lane lane, Val a, Val b);
    Val vun(VUn kind, Lane lane, Val a);
    // Op::vlanes of 128 bits; where the bits came of lanes of ones and zeros, those.
    Val vlanes(Lane lane, Val bits, u32 from);
    u64 table(const u8* bytes, u32 count); // for vshuffle: index of a table in Unit::wide

    // Intrinsics: `f` must live for ever.
    Val call(const Intrinsic& f, Type t, std::initializer_list<Val> args);
    Val result(Val call, u32 n, Type t);

    // Control. Inside an instruction: new_block, br, brcond, start_block. Values do not cross
    // blocks: use a slot of class temp.
    BlockId new_block();
    // Has the present block operations without one of its own that begins an instruction?
    bool inside_insn() const {
        const u32 begin = unit_.blocks[current_].begin;
        return begin < unit_.code.size() && unit_.code[begin].op != Op::insn;
    }
    void br(BlockId to);
    void brcond(Val c, BlockId yes, BlockId no);
    void start_block(BlockId b);
    // `if (c) body()` inside an instruction.
    template <class F>
    void when(Val c, F&& body) {
        BlockId yes = new_block(), after = new_block();
        brcond(c, yes, after);
        start_block(yes);
        body();
        if (!ended()) br(after);
        start_block(after);
    }

    // Ends of a guest block. goto_pc and branch_to find out whether the target is a block of this unit.
    // pcs are those that the translation loop told, in code that runs at several addresses, too.
    void goto_pc(u64 pc, ExitHint hint = ExitHint::jump);
    void branch_to(Val c, u64 pc, u64 otherwise);
    // Leaves to pc under other mode bits than set_mode's.
    void exit_to(u64 pc, u32 mode);
    void goto_value(Val pc, ExitHint hint = ExitHint::jump);
    void trap(TrapKind kind, u64 pc, Val detail = {});
    void call_pc(u64 pc, u64 return_pc);
    void call_value(Val pc, u64 return_pc);
    bool ended() const { return ended_; }

    // Guest instruction boundary, set by the translation loop.
    void begin_insn(u64 pc, u32 length);
    u64 pc() const { return pc_; }
    u64 next_pc() const { return pc_ + length_; }

    // The translation loop answers these: the block of a guest pc in this unit, or none when the pc is to be left to an
    // exit. `returns` marks a pc that a call comes back to. mode: the guest's mode bits there.
    struct Targets {
        virtual BlockId block_at(u64 pc, u32 mode) = 0;
        virtual void returns_to(u64 pc, u32 mode) = 0;
        virtual ~Targets() = default;
    };
    void set_targets(Targets* t) { targets_ = t; }
    // The guest's mode bits: begin_insn notes them (Inst::c) as those of the instruction, for faults and traps; exits
    // carry them to the next block's key.
    void set_mode(u32 mode) { mode_ = mode; }
    u32 mode() const { return mode_; }
    // Mode bits of GuestState::entry_mode that the target of this instruction's indirect branch gets.
    void set_entry_mode(u32 bits) { entry_mode_ = bits; }

    // Adds an instruction as it is; gives its value.
    Val emit(const Inst& i) {
        unit_.code.push_back(i);
        return {this, u32(unit_.code.size() - 1)};
    }
    const Inst& inst(Val v) const { return unit_.code[v.id()]; }

private:
    friend class Val;
    struct Known { // what is known of a slot in this block, at offset 0
        u32 value = none;
        Type type = Type::none;
        u32 put = none;   // the last put of the whole slot...
        u32 put_seen = 0; // ...and `seen_` at that time: equal means nobody has seen it yet
        u32 stamp = 0;
    };
    void forget() { ++stamp_, ++seen_; }
    void observe() { ++seen_; }
    Known& known(SlotId slot);
    BlockId target(u64 pc, bool& is_new);
    void fill_exit(BlockId b, u64 pc, ExitHint hint);
    Val binary(Op op, Val a, Val b, u8 sub = 0);
    Val rotation(Val a, Val b);
    Val low_half_shifted(Val a, u64 k);
    Val unary(Op op, Val a, Type t);
    bool is_all_or_none(ValueId v, Lane lane) const;
    bool bits_come_from(ValueId& v, u32& at, u32 count) const;
    Val convert(Op op, Val a, Type t);
    // Is an i64 the sign extension of its low half, by what made it?
    bool extends_low_half(Val v, u32 depth = 3);
    Val shift(Op op, Val a, Val n);
    Val compare(Rel rel, Val a, Val b);
    void end(const Inst& i);
    void fold_address(Val& address, MemArg& m);
    void place(Val& address, MemArg& m);
    Val bare(Val address);
    // Was the value put into a slot that still holds it? It has a register then, which its operands may have lost.
    bool held(Val v);
    Val held_difference(const Inst& f);
    Val cond_of_sub(Cond c, const Inst& f, bool borrow);
    Val cond_of_add(Cond c, const Inst& f, bool carry);
    Val cond_of_logic(Cond c, const Inst& f, bool c_set);
    Val cond_of_fcmp(Cond c, const Inst& f, bool less);
    friend Val operator+(Val, Val);
    friend Val operator-(Val, Val);
    friend Val operator*(Val, Val);
    friend Val operator&(Val, Val);
    friend Val operator|(Val, Val);
    friend Val operator^(Val, Val);
    friend Val operator~(Val);
    friend Val operator-(Val);
    friend Val operator==(Val, Val);
    friend Val operator!=(Val, Val);

    Unit& unit_;
    const GuestState& guest_;
    Targets* targets_ = nullptr;
    std::vector<Known> known_;
    SlotId recent_puts_[8] = {}; // of whole slots
    u32 put_count_ = 0;
    u32 stamp_ = 1; // known_ entries of another stamp are void
    u32 seen_ = 1;  // counts observers (faults, exits, calls) in this block
    u64 pc_ = 0;
    u32 length_ = 0, mode_ = 0, entry_mode_ = 0;
    BlockId current_ = none;
    bool ended_ = true;
};

inline Type Val::type() const { return result_type(b_->inst(*this)); }
inline bool Val::is_const() const {
    const Inst& i = b_->inst(*this);
    return i.op == Op::constant && is_int(i.type) && i.type != Type::i128;
}
inline u64 Val::const_value() const { return b_->inst(*this).imm; }

} // namespace mimic::ir
