// Data processing with immediates: Arm ARM C4.1.92 (Data Processing -- Immediate), in its order.
#include "isa/aarch64/semantics.hpp"
#include "isa/aarch64/tables.hpp"

namespace mimic::isa::aarch64 {

namespace {

void adr(A64& t, const I& i) { t.x(i[Rd], t.code_address(t.pc() + u64(i[immhilo]))); }
void adrp(A64& t, const I& i) { t.x(i[Rd], t.code_address((t.pc() & ~u64{0xfff}) + u64(i[immhilo]) * 4096)); }

template <bool Subtract, bool Flags>
void add_immediate(A64& t, const I& i) {
    Val b = t.imm(u64(i[imm12]) << 12 * i[sh], width(i));
    Val sum = add_or_subtract<Subtract, Flags>(t, t.rsp(i[Rn], width(i)), b);
    Flags ? t.x(i[Rd], sum) : t.xsp(i[Rd], sum);
}

// CSSC
template <bool Max, bool Signed>
void min_max_immediate(A64& t, const I& i) {
    i64 value = Signed ? i[imm8s] : i[imm8u];
    Val a = t.r(i[Rn], width(i)), b = t.imm(u64(value), width(i));
    Val less = Signed ? a.slt(b) : a.ult(b);
    t.x(i[Rd], Max ? less.select(b, a) : less.select(a, b));
}

bool is_bitmask(const I& i) {
    u64 mask;
    return decode_bitmask(u32(i[bitmask]), i[sf], mask);
}
template <auto Op, bool Flags>
void logical_immediate(A64& t, const I& i) {
    u64 mask = 0;
    decode_bitmask(u32(i[bitmask]), i[sf], mask);
    Val v = Op(t.r(i[Rn], width(i)), t.imm(mask, width(i)));
    if (!Flags) return t.xsp(i[Rd], v);
    t.nzcv(t.flags_logic(v, true));
    t.x(i[Rd], v);
}

bool wide_fits(const I& i) { return i[sf] || i[hw] < 2; }
void movn(A64& t, const I& i) { t.x(i[Rd], t.imm(~(u64(i[imm16]) << 16 * i[hw]), width(i))); }
void movz(A64& t, const I& i) { t.x(i[Rd], t.imm(u64(i[imm16]) << 16 * i[hw], width(i))); }
void movk(A64& t, const I& i) {
    Val old = t.r(i[Rd], width(i));
    if (old.is_const()) return t.x(i[Rd], (old & ~i64(u64{0xffff} << 16 * i[hw])) | i64(u64(i[imm16]) << 16 * i[hw]));
    t.x(i[Rd], old.bfi(t.imm(u64(i[imm16]), width(i)), u32(16 * i[hw]), 16));
}

bool bitfield_fits(const I& i) { return i[immr] < 32 && i[imms] < 32; }
enum class Bits { sign, insert, zero };
// SBFM, BFM, UBFM: with imms >= immr bits move down to bit 0, else the low bits move up.
template <Bits How>
void bitfield(A64& t, const I& i) {
    u32 r = u32(i[immr]), s = u32(i[imms]);
    Val v = t.r(i[Rn], width(i));
    bool down = s >= r;
    u32 from = down ? r : 0, length = down ? s - r + 1 : s + 1, to = down ? 0 : bits(i) - r;
    if (How == Bits::insert) {
        Val old = t.r(i[Rd], width(i)), moved = v.lshr(from);
        return t.x(i[Rd], length == bits(i) ? moved : old.bfi(moved, to, length));
    }
    t.x(i[Rd], (How == Bits::sign ? v.sbfx(from, length) : v.ubfx(from, length)).shl(to));
}

bool extract_fits(const I& i) { return i[imms] < 32; }
void extr(A64& t, const I& i) {
    u32 n = u32(i[imms]);
    Val high = t.r(i[Rn], width(i)), low = t.r(i[Rm], width(i));
    if (n == 0) return t.x(i[Rd], low);
    t.x(i[Rd], i[Rn] == i[Rm] ? low.rotr(n) : low.lshr(n) | high.shl(bits(i) - n));
}

// clang-format off
constexpr R rows[] = {
    {"adr     {Xd}, {immhilo}",                 "0 immhilo 10000 immhilo Rd",           adr},
    {"adrp    {Xd}, {page}",                    "1 immhilo 10000 immhilo Rd",           adrp},

    {"add     {RdSP}, {RnSP}, {imm12sh}",       "sf 0 0 100010 sh imm12 Rn Rd",         add_immediate<false, false>},
    {"adds    {Rd}, {RnSP}, {imm12sh}",         "sf 0 1 100010 sh imm12 Rn Rd",         add_immediate<false, true>},
    {"sub     {RdSP}, {RnSP}, {imm12sh}",       "sf 1 0 100010 sh imm12 Rn Rd",         add_immediate<true, false>},
    {"subs    {Rd}, {RnSP}, {imm12sh}",         "sf 1 1 100010 sh imm12 Rn Rd",         add_immediate<true, true>},

    {"and     {RdSP}, {Rn}, {bitmask}",         "sf 00 100100 bitmask Rn Rd",           logical_immediate<bit_and, false>, is_bitmask},
    {"orr     {RdSP}, {Rn}, {bitmask}",         "sf 01 100100 bitmask Rn Rd",           logical_immediate<bit_or, false>, is_bitmask},
    {"eor     {RdSP}, {Rn}, {bitmask}",         "sf 10 100100 bitmask Rn Rd",           logical_immediate<bit_xor, false>, is_bitmask},
    {"ands    {Rd}, {Rn}, {bitmask}",           "sf 11 100100 bitmask Rn Rd",           logical_immediate<bit_and, true>, is_bitmask},

    {"movn    {Rd}, {imm16hw}",                 "sf 00 100101 hw imm16 Rd",             movn, wide_fits},
    {"movz    {Rd}, {imm16hw}",                 "sf 10 100101 hw imm16 Rd",             movz, wide_fits},
    {"movk    {Rd}, {imm16hw}",                 "sf 11 100101 hw imm16 Rd",             movk, wide_fits},

    {"sbfm    {Wd}, {Wn}, #{immr}, #{imms}",    "0 00 100110 0 immr imms Rn Rd",        bitfield<Bits::sign>, bitfield_fits},
    {"bfm     {Wd}, {Wn}, #{immr}, #{imms}",    "0 01 100110 0 immr imms Rn Rd",        bitfield<Bits::insert>, bitfield_fits},
    {"ubfm    {Wd}, {Wn}, #{immr}, #{imms}",    "0 10 100110 0 immr imms Rn Rd",        bitfield<Bits::zero>, bitfield_fits},
    {"sbfm    {Xd}, {Xn}, #{immr}, #{imms}",    "1 00 100110 1 immr imms Rn Rd",        bitfield<Bits::sign>},
    {"bfm     {Xd}, {Xn}, #{immr}, #{imms}",    "1 01 100110 1 immr imms Rn Rd",        bitfield<Bits::insert>},
    {"ubfm    {Xd}, {Xn}, #{immr}, #{imms}",    "1 10 100110 1 immr imms Rn Rd",        bitfield<Bits::zero>},

    {"extr    {Wd}, {Wn}, {Wm}, #{imms}",       "0 00 100111 0 0 Rm imms Rn Rd",        extr, extract_fits},
    {"extr    {Xd}, {Xn}, {Xm}, #{imms}",       "1 00 100111 1 0 Rm imms Rn Rd",        extr},
};

constexpr R cssc_rows[] = {
    {"smax    {Rd}, {Rn}, #{imm8s}",            "sf 00 1000111 0000 imm8s Rn Rd",        min_max_immediate<true, true>},
    {"umax    {Rd}, {Rn}, #{imm8u}",            "sf 00 1000111 0001 imm8u Rn Rd",        min_max_immediate<true, false>},
    {"smin    {Rd}, {Rn}, #{imm8s}",            "sf 00 1000111 0010 imm8s Rn Rd",        min_max_immediate<false, true>},
    {"umin    {Rd}, {Rn}, #{imm8u}",            "sf 00 1000111 0011 imm8u Rn Rd",        min_max_immediate<false, false>},
};
// clang-format on

} // namespace

constinit const Table<AArch64> data_immediate{"data processing, immediate", needs(Feature::base), rows};
constinit const Table<AArch64> cssc_immediate{"CSSC, immediate", needs(Feature::cssc), cssc_rows};

} // namespace mimic::isa::aarch64
