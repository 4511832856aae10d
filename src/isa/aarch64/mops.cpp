// Memory copies and sets (FEAT_MOPS): Arm ARM C4.1.96, C6.2 CPY*, CPYF*, SET*. Of the two algorithms it is A: the
// prologue moves nothing, the main part all that it can before it is interrupted, the epilogue what may be left.
//
// Between the parts, of a forward move, Xd and Xs are the ends and Xn is minus what is left; of a backward one, Xd and Xs
// are the beginnings and Xn is what is left. Each execution of a part moves one piece and comes back to itself, so a
// fault or a signal finds the registers as they must be. PSTATE.C would tell algorithm B: nothing here sets it, and a
// program that does so between the parts gets A's meaning.
#include "isa/aarch64/semantics.hpp"
#include "isa/aarch64/tables.hpp"

namespace mimic::isa::aarch64 {

namespace {

constexpr u32 piece = 16; // bytes

// Registers that the manual leaves UNDEFINED here; the value to set may be xzr.
bool apart(const I& i) { return i[Rd] != i[Rn] && i[Rd] != i[Rs] && i[Rn] != i[Rs]; }
bool copy_fits(const I& i) { return apart(i) && i[Rd] != 31 && i[Rn] != 31 && i[Rs] != 31; }
bool set_fits(const I& i) { return apart(i) && i[Rd] != 31 && i[Rn] != 31; }

void begin(A64& t) { t.nzcv(t.flags_of(0)); }
// The count, at most `most`.
Val limited(A64& t, const I& i, mimic::i64 most) {
    Val n = t.x(i[Rn]), limit = t.imm(u64(most));
    return limit.ult(n).select(limit, n);
}

void set_prologue(A64& t, const I& i) {
    Val n = limited(t, i, mimic::i64(~u64{0} >> 1));
    t.x(i[Rd], t.x(i[Rd]) + n);
    t.x(i[Rn], -n);
    begin(t);
}
void copy_forward_prologue(A64& t, const I& i) {
    Val n = limited(t, i, mimic::i64(~u64{0} >> 1));
    t.x(i[Rd], t.x(i[Rd]) + n);
    t.x(i[Rs], t.x(i[Rs]) + n);
    t.x(i[Rn], -n);
    begin(t);
}
// Backward when the destination begins inside the source; addresses without their tags.
void copy_prologue(A64& t, const I& i) {
    constexpr mimic::i64 untagged = mimic::i64(~u64{0} >> 8);
    Val n = limited(t, i, mimic::i64(~u64{0} >> 9)), to = t.x(i[Rd]), from = t.x(i[Rs]);
    Val distance = (to & untagged) - (from & untagged);
    Val backward = (distance != 0) & distance.ult(n);
    t.x(i[Rd], backward.select(to, to + n));
    t.x(i[Rs], backward.select(from, from + n));
    t.x(i[Rn], backward.select(n, -n));
    begin(t);
}

// One piece of `bytes` bytes at the end that is next.
template <bool Backward, bool Copies>
void move(A64& t, const I& i, u32 bytes) {
    Type type = bytes == piece ? Type::v128 : Type::i8;
    Val n = t.x(i[Rn]), at = Backward ? n - mimic::i64(bytes) : n;
    Val v;
    if (Copies)
        v = t.load(type, t.x(i[Rs]) + at, {.memory = type});
    else if (bytes == piece)
        v = t.op(Op::vsplat, type, t.x(i[Rs]), {}, {}, 0, 0, Lane::i8);
    else
        v = t.x(i[Rs]).trunc(type);
    t.store(t.x(i[Rd]) + at, v, {.memory = type});
    t.x(i[Rn], Backward ? at : n + mimic::i64(bytes));
    t.goto_pc(t.pc());
}
template <bool Backward, bool Copies>
void pieces(A64& t, const I& i, ir::BlockId rest) {
    ir::BlockId large = t.new_block(), small = t.new_block(), any = t.new_block();
    Val n = t.x(i[Rn]), zero = t.imm(0);
    t.brcond(Backward ? zero.slt(n) : n.slt(zero), any, rest);
    t.start_block(any);
    Val left = Backward ? t.x(i[Rn]) : -t.x(i[Rn]);
    t.brcond(t.imm(piece).ule(left), large, small);
    t.start_block(large);
    move<Backward, Copies>(t, i, piece);
    t.start_block(small);
    move<Backward, Copies>(t, i, 1);
    t.start_block(rest);
}
template <bool Copies, bool BothWays>
void main_part(A64& t, const I& i) {
    pieces<false, Copies>(t, i, t.new_block());
    if (BothWays) pieces<true, Copies>(t, i, t.new_block());
}

// clang-format off
constexpr R rows[] = {
    {"cpyfp{options} [{Xd}]!, [{Xs}]!, {Xn}!", "00 011 0 01 00 0 Rs options 01 Rn Rd",       copy_forward_prologue, copy_fits},
    {"cpyfm{options} [{Xd}]!, [{Xs}]!, {Xn}!", "00 011 0 01 01 0 Rs options 01 Rn Rd",       main_part<true, false>, copy_fits},
    {"cpyfe{options} [{Xd}]!, [{Xs}]!, {Xn}!", "00 011 0 01 10 0 Rs options 01 Rn Rd",       main_part<true, false>, copy_fits},
    {"cpyp{options} [{Xd}]!, [{Xs}]!, {Xn}!",  "00 011 1 01 00 0 Rs options 01 Rn Rd",       copy_prologue, copy_fits},
    {"cpym{options} [{Xd}]!, [{Xs}]!, {Xn}!",  "00 011 1 01 01 0 Rs options 01 Rn Rd",       main_part<true, true>, copy_fits},
    {"cpye{options} [{Xd}]!, [{Xs}]!, {Xn}!",  "00 011 1 01 10 0 Rs options 01 Rn Rd",       main_part<true, true>, copy_fits},
    {"setp{options2} [{Xd}]!, {Xn}!, {Xs}",    "00 011 0 01 11 0 Rs 00 options2 01 Rn Rd",   set_prologue, set_fits},
    {"setm{options2} [{Xd}]!, {Xn}!, {Xs}",    "00 011 0 01 11 0 Rs 01 options2 01 Rn Rd",   main_part<false, false>, set_fits},
    {"sete{options2} [{Xd}]!, {Xn}!, {Xs}",    "00 011 0 01 11 0 Rs 10 options2 01 Rn Rd",   main_part<false, false>, set_fits},
};
// clang-format on

} // namespace

constinit const Table<AArch64> mops{"MOPS", needs(Feature::mops), rows};

} // namespace mimic::isa::aarch64
