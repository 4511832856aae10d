// Pointer authentication (FEAT_PAuth, PAuth2, FPAC, FPACCOMBINE, PACQARMA5): Arm ARM D8.10, J1.1.3
// aarch64/functions/pac; C4.1.93 (data processing, one and two sources), C4.1.94 (branches, hints), C4.1.96 (LDRAA).
//
// EL0 under Linux: addresses of 48 bits; the top byte is ignored in the lower half, not in the upper. What user mode's
// kernel may switch off (SCTLR_EL1.EnIA and the like) is slot_pac_off: then the instructions of that key do nothing.
// The system form has the same addresses, whatever TCR_ELx says of their size, and an algorithm of its own.
#include "isa/aarch64/pauth.hpp"
#include "isa/aarch64/qarma.hpp"
#include "isa/aarch64/semantics.hpp"
#include "isa/aarch64/tables.hpp"

namespace mimic::isa::aarch64 {

namespace {

// The pointer with its extension bits as they are without a code, and the bits that hold the code.
struct Pointer {
    u64 original, code;
};
Pointer parts(u64 p) {
    constexpr u64 extension = u64{0xff} << 48, bit_55 = u64{1} << 55;
    bool upper = p & bit_55;
    u64 top = upper ? u64{0xffff} << 48 : extension; // the top byte counts in the upper half
    return {upper ? p | top : p & ~top, top & ~bit_55};
}
PacKey key_of(const ir::Wide* args) { return {args[2].w[0], args[3].w[0]}; }

// AddPAC: args are the pointer, the modifier, the key (low, high), and whether the key is switched off.
int add_pac(ir::CpuHeader*, const ir::Wide* args, ir::Wide* results) {
    u64 p = args[0].w[0];
    Pointer at = parts(p);
    u64 code = args[4].w[0] ? 0 : qarma5(at.original, args[1].w[0], key_of(args));
    results[0].w[0] = p ^ (code & at.code); // PAuth2
    return 0;
}
constexpr ir::Intrinsic pac_add{.name = "pac_add", .body = add_pac, .args = 5};

// Auth: the same arguments. The wrong code is an exception (FPAC, for the combined instructions FPACCOMBINE), under Linux
// one of the illegal ones.
int authenticate(ir::CpuHeader* cpu, const ir::Wide* args, ir::Wide* results) {
    u64 p = results[0].w[0] = args[0].w[0];
    if (args[4].w[0]) return 0;
    Pointer at = parts(p);
    results[0].w[0] = p ^ (qarma5(at.original, args[1].w[0], key_of(args)) & at.code);
    if (results[0].w[0] == at.original) return 0;
    cpu->exit_kind = ir::ExitKind::trap;
    cpu->fault_address = ir::illegal_operand;
    cpu->exit_arg = u64(ir::TrapKind::illegal) | ir::illegal_operand << 8;
    return 1;
}
constexpr ir::Intrinsic pac_auth{
    .name = "pac_auth", .body = authenticate, .args = 5, .effects = ir::Intrinsic::may_exit};

// PACGA's code is in the upper half of the result.
int generic_pac(ir::CpuHeader*, const ir::Wide* args, ir::Wide* results) {
    results[0].w[0] = qarma5(args[0].w[0], args[1].w[0], key_of(args)) >> 32 << 32;
    return 0;
}
constexpr ir::Intrinsic pac_generic{.name = "pac_generic", .body = generic_pac, .args = 4};

Val key_half(A64& t, Key k, u32 high) { return t.get(u16(slot_pac_keys + 2 * u32(k) + high), Type::i64); }

// ---- The system form's algorithm, which the manual leaves to the implementation: what a kernel does for each of its
// functions must be few operations. The code is the high bits of a product that depend on all of pointer, modifier and key.

struct Coded {
    Val original, value; // the pointer without a code; the given one with the code put in or taken out
    Val wrong;           // it was to be taken out, and something is left
};
Coded coded(A64& t, Key k, Val pointer, Val modifier) {
    constexpr u64 first = 0x9e3779b97f4a7c15, second = 0xd6e8feb86659fd93, extension = u64{0xff} << 48,
                  bit_55 = u64{1} << 55;
    Val upper = pointer.sbfx(55, 1); // all ones or zero
    Val original = (pointer & i64(~extension)) | (upper & i64(u64{0xffff} << 48));
    Val code =
        (original ^ key_half(t, k, 0) ^ ((modifier ^ key_half(t, k, 1)) * t.imm(second)).rotr(32)) * t.imm(first);
    Val on = t.get(slot_pac_off, Type::i32).ubfx(u32(k), 1).zext(Type::i64) - 1; // all ones or zero
    Val value = pointer ^ (code & ((upper & i64(u64{0xff} << 56)) | i64(extension & ~bit_55)) & on);
    return {original, value, (value ^ original) & on};
}
Val inline_code(A64& t, const ir::Intrinsic& f, Key k, Val pointer, Val modifier) {
    Coded c = coded(t, k, pointer, modifier);
    if (&f == &pac_add) return c.value;
    t.put(slot_pac_value, c.value);
    t.when(c.wrong != 0, [&] { t.trap(ir::TrapKind::illegal, t.pc(), t.imm(ir::illegal_operand)); });
    return t.get(slot_pac_value, Type::i64);
}

Val apply(A64& t, const ir::Intrinsic& f, Key k, Val pointer, Val modifier) {
    if (t.has_system()) return inline_code(t, f, k, pointer, modifier);
    Val off = t.get(slot_pac_off, Type::i32).ubfx(u32(k), 1).zext(Type::i64);
    return t.call(f, Type::i64, {pointer, modifier, key_half(t, k, 0), key_half(t, k, 1), off});
}
Val authenticated(A64& t, Key k, Val pointer, Val modifier) { return apply(t, pac_auth, k, pointer, modifier); }

// ---- one register

// With the modifier in Xn or SP, or zero (the Z forms).
template <Key K, const ir::Intrinsic& F, bool Zero = false>
void code(A64& t, const I& i) {
    t.x(i[Rd], apply(t, F, K, t.x(i[Rd]), Zero ? t.imm(0) : t.xsp(i[Rn])));
}
// The hints, of fixed registers: LR with zero or SP, X17 with X16.
enum class With { zero, sp, x16 };
template <Key K, const ir::Intrinsic& F, With W>
void hint_code(A64& t, const I&) {
    u32 d = W == With::x16 ? 17 : 30;
    t.x(d, apply(t, F, K, t.x(d), W == With::zero ? t.imm(0) : W == With::sp ? t.xsp(31) : t.x(16)));
}

// Strip: of data and of instructions alike, as both have the same top byte.
Val stripped(Val p) {
    Val upper = p & i64(u64{1} << 55);
    return (upper != 0).select(p | i64(u64{0xffff} << 48), p & i64(~(u64{0xff} << 48)));
}
void xpac(A64& t, const I& i) { t.x(i[Rd], stripped(t.x(i[Rd]))); }
void xpaclri(A64& t, const I&) { t.x(30, stripped(t.x(30))); }

void pacga(A64& t, const I& i) {
    Key k = Key::ga;
    t.x(i[Rd], t.call(pac_generic, Type::i64, {t.x(i[Rn]), t.xsp(i[Rm]), key_half(t, k, 0), key_half(t, k, 1)}));
}

// ---- branches

template <Key K, bool Zero>
Val target(A64& t, const I& i) {
    return authenticated(t, K, t.x(i[Rn]), Zero ? t.imm(0) : t.xsp(i[Rd]));
}
template <Key K, bool Zero>
void bra(A64& t, const I& i) {
    t.branch_register(i[Rn], target<K, Zero>(t, i));
}
template <Key K, bool Zero>
void blra(A64& t, const I& i) {
    Val to = target<K, Zero>(t, i);
    t.x(30, t.code_address(t.next_pc()));
    t.call_register(to);
}
template <Key K>
void reta(A64& t, const I&) {
    t.goto_value(authenticated(t, K, t.x(30), t.xsp(31)), ir::ExitHint::ret);
}

// ---- loads

template <Key K, bool Writes>
void ldra(A64& t, const I& i) {
    Val address = authenticated(t, K, t.xsp(i[Rn]), t.imm(0)) + i[imm10] * 8;
    t.x(i[Rt], t.load(Type::i64, address, {.memory = Type::i64}));
    if (Writes) t.xsp(i[Rn], address);
}

using enum Key;
using enum With;

// clang-format off
constexpr R rows[] = {
    {"pacia   {Xd}, {XnSP}",            "1 1 0 11010110 00001 000000 Rn Rd",    code<ia, pac_add>},
    {"pacib   {Xd}, {XnSP}",            "1 1 0 11010110 00001 000001 Rn Rd",    code<ib, pac_add>},
    {"pacda   {Xd}, {XnSP}",            "1 1 0 11010110 00001 000010 Rn Rd",    code<da, pac_add>},
    {"pacdb   {Xd}, {XnSP}",            "1 1 0 11010110 00001 000011 Rn Rd",    code<db, pac_add>},
    {"autia   {Xd}, {XnSP}",            "1 1 0 11010110 00001 000100 Rn Rd",    code<ia, pac_auth>},
    {"autib   {Xd}, {XnSP}",            "1 1 0 11010110 00001 000101 Rn Rd",    code<ib, pac_auth>},
    {"autda   {Xd}, {XnSP}",            "1 1 0 11010110 00001 000110 Rn Rd",    code<da, pac_auth>},
    {"autdb   {Xd}, {XnSP}",            "1 1 0 11010110 00001 000111 Rn Rd",    code<db, pac_auth>},
    {"paciza  {Xd}",                    "1 1 0 11010110 00001 001000 11111 Rd", code<ia, pac_add, true>},
    {"pacizb  {Xd}",                    "1 1 0 11010110 00001 001001 11111 Rd", code<ib, pac_add, true>},
    {"pacdza  {Xd}",                    "1 1 0 11010110 00001 001010 11111 Rd", code<da, pac_add, true>},
    {"pacdzb  {Xd}",                    "1 1 0 11010110 00001 001011 11111 Rd", code<db, pac_add, true>},
    {"autiza  {Xd}",                    "1 1 0 11010110 00001 001100 11111 Rd", code<ia, pac_auth, true>},
    {"autizb  {Xd}",                    "1 1 0 11010110 00001 001101 11111 Rd", code<ib, pac_auth, true>},
    {"autdza  {Xd}",                    "1 1 0 11010110 00001 001110 11111 Rd", code<da, pac_auth, true>},
    {"autdzb  {Xd}",                    "1 1 0 11010110 00001 001111 11111 Rd", code<db, pac_auth, true>},
    {"xpaci   {Xd}",                    "1 1 0 11010110 00001 010000 11111 Rd", xpac},
    {"xpacd   {Xd}",                    "1 1 0 11010110 00001 010001 11111 Rd", xpac},
    {"pacga   {Xd}, {Xn}, {XmSP}",      "1 0 0 11010110 Rm 001100 Rn Rd",       pacga},

    {"xpaclri",                         "1101010100 0 00 011 0010 0000 111 11111", xpaclri},
    {"pacia1716",                       "1101010100 0 00 011 0010 0001 000 11111", hint_code<ia, pac_add, x16>},
    {"pacib1716",                       "1101010100 0 00 011 0010 0001 010 11111", hint_code<ib, pac_add, x16>},
    {"autia1716",                       "1101010100 0 00 011 0010 0001 100 11111", hint_code<ia, pac_auth, x16>},
    {"autib1716",                       "1101010100 0 00 011 0010 0001 110 11111", hint_code<ib, pac_auth, x16>},
    {"paciaz",                          "1101010100 0 00 011 0010 0011 000 11111", hint_code<ia, pac_add, zero>},
    {"paciasp",                         "1101010100 0 00 011 0010 0011 001 11111", hint_code<ia, pac_add, sp>},
    {"pacibz",                          "1101010100 0 00 011 0010 0011 010 11111", hint_code<ib, pac_add, zero>},
    {"pacibsp",                         "1101010100 0 00 011 0010 0011 011 11111", hint_code<ib, pac_add, sp>},
    {"autiaz",                          "1101010100 0 00 011 0010 0011 100 11111", hint_code<ia, pac_auth, zero>},
    {"autiasp",                         "1101010100 0 00 011 0010 0011 101 11111", hint_code<ia, pac_auth, sp>},
    {"autibz",                          "1101010100 0 00 011 0010 0011 110 11111", hint_code<ib, pac_auth, zero>},
    {"autibsp",                         "1101010100 0 00 011 0010 0011 111 11111", hint_code<ib, pac_auth, sp>},

    {"braaz   {Xn}",                    "1101011 0 0 00 11111 0000 1 0 Rn 11111", bra<ia, true>},
    {"brabz   {Xn}",                    "1101011 0 0 00 11111 0000 1 1 Rn 11111", bra<ib, true>},
    {"blraaz  {Xn}",                    "1101011 0 0 01 11111 0000 1 0 Rn 11111", blra<ia, true>},
    {"blrabz  {Xn}",                    "1101011 0 0 01 11111 0000 1 1 Rn 11111", blra<ib, true>},
    {"retaa",                           "1101011 0 0 10 11111 0000 1 0 11111 11111", reta<ia>},
    {"retab",                           "1101011 0 0 10 11111 0000 1 1 11111 11111", reta<ib>},
    {"braa    {Xn}, {XdSP}",           "1101011 1 0 00 11111 0000 1 0 Rn Rd",  bra<ia, false>},
    {"brab    {Xn}, {XdSP}",           "1101011 1 0 00 11111 0000 1 1 Rn Rd",  bra<ib, false>},
    {"blraa   {Xn}, {XdSP}",           "1101011 1 0 01 11111 0000 1 0 Rn Rd",  blra<ia, false>},
    {"blrab   {Xn}, {XdSP}",           "1101011 1 0 01 11111 0000 1 1 Rn Rd",  blra<ib, false>},

    {"ldraa   {Xt}, [{XnSP}{off10}]",   "11 111 0 00 0 imm10 1 imm10 0 1 Rn Rt",   ldra<da, false>},
    {"ldraa   {Xt}, [{XnSP}{off10}]!",  "11 111 0 00 0 imm10 1 imm10 1 1 Rn Rt",   ldra<da, true>},
    {"ldrab   {Xt}, [{XnSP}{off10}]",   "11 111 0 00 1 imm10 1 imm10 0 1 Rn Rt",   ldra<db, false>},
    {"ldrab   {Xt}, [{XnSP}{off10}]!",  "11 111 0 00 1 imm10 1 imm10 1 1 Rn Rt",   ldra<db, true>},
};
// clang-format on

} // namespace

constinit const Table<AArch64> pointer_authentication{"PAuth", needs(Feature::pauth), rows};

} // namespace mimic::isa::aarch64
