// Data processing with registers: Arm ARM C4.1.95 (Data Processing -- Register).
#include "isa/aarch64/semantics.hpp"
#include "isa/aarch64/tables.hpp"

namespace mimic::isa::aarch64 {

namespace {

// ---- two sources

template <auto Op>
void binary(A64& t, const I& i) {
    t.x(i[Rd], Op(t.r(i[Rn], width(i)), t.r(i[Rm], width(i))));
}
inline constexpr auto udiv = [](Val a, Val b) { return a.udiv(b, true); };
inline constexpr auto sdiv = [](Val a, Val b) { return a.sdiv(b, true); };
inline constexpr auto smax = [](Val a, Val b) { return a.slt(b).select(b, a); };
inline constexpr auto umax = [](Val a, Val b) { return a.ult(b).select(b, a); };
inline constexpr auto smin = [](Val a, Val b) { return a.slt(b).select(a, b); };
inline constexpr auto umin = [](Val a, Val b) { return a.ult(b).select(a, b); };

// CRC32, CRC32C: polynomials 0x04C11DB7 and 0x1EDC6F41 over bit-reversed data, without inversions.
template <u32 Polynomial, u32 Bytes>
int crc_body(ir::CpuHeader*, const ir::Wide* args, ir::Wide* results) {
    u32 crc = u32(args[0].w[0]);
    for (u32 k = 0; k < Bytes; ++k) {
        crc ^= u8(args[1].w[0] >> 8 * k);
        for (u32 bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? Polynomial : 0);
    }
    results[0].w[0] = crc;
    return 0;
}
constexpr u32 reversed_crc32 = 0xedb88320, reversed_crc32c = 0x82f63b78;
template <u32 Polynomial, u32 Bytes>
constexpr ir::Intrinsic crc_intrinsic{};
#define MIMIC_CRC(polynomial, bytes, text)                                                                             \
    template <>                                                                                                        \
    constexpr ir::Intrinsic crc_intrinsic<polynomial, bytes>{                                                          \
        .name = text, .body = crc_body<polynomial, bytes>, .args = 2};
MIMIC_CRC(reversed_crc32, 1, "crc32_8")
MIMIC_CRC(reversed_crc32, 2, "crc32_16")
MIMIC_CRC(reversed_crc32, 4, "crc32_32")
MIMIC_CRC(reversed_crc32, 8, "crc32_64")
MIMIC_CRC(reversed_crc32c, 1, "crc32c_8")
MIMIC_CRC(reversed_crc32c, 2, "crc32c_16")
MIMIC_CRC(reversed_crc32c, 4, "crc32c_32")
MIMIC_CRC(reversed_crc32c, 8, "crc32c_64")
#undef MIMIC_CRC
template <u32 Polynomial, u32 Bytes>
void crc(A64& t, const I& i) {
    t.x(i[Rd], t.call(crc_intrinsic<Polynomial, Bytes>, Type::i32, {t.r(i[Rn], Type::i32), t.x(i[Rm])}));
}

// ---- one source

template <auto Op>
void unary(A64& t, const I& i) {
    t.x(i[Rd], Op(t.r(i[Rn], width(i))));
}
inline constexpr auto rbit = [](Val a) { return a.bitrev(); };
inline constexpr auto rev = [](Val a) { return a.bswap(); };
inline constexpr auto rev32 = [](Val a) { return a.bswap().rotr(32); };
inline constexpr auto rev16 = [](Val a) {
    constexpr i64 low = 0x00ff00ff00ff00ff;
    return (a.lshr(8) & low) | (a & low).shl(8);
};
inline constexpr auto clz = [](Val a) { return a.clz(); };
inline constexpr auto cls = [](Val a) { return (a ^ a.ashr(1)).clz() - 1; };
inline constexpr auto ctz = [](Val a) { return a.ctz(); };
inline constexpr auto cnt = [](Val a) { return a.popcnt(); };
inline constexpr auto absolute = [](Val a) { return a.slt(a.builder().imm(0, a.type())).select(-a, a); };

// ---- shifted and extended register

bool shift_fits(const I& i) { return i[sf] || i[imm6] < 32; }
bool add_shift_fits(const I& i) { return i[shift] != 3 && shift_fits(i); }
Val shifted_register(A64& t, const I& i) { return shifted(t.r(i[Rm], width(i)), u32(i[shift]), u32(i[imm6])); }
template <auto Op, bool Flags>
void logical(A64& t, const I& i) {
    Val v = Op(t.r(i[Rn], width(i)), shifted_register(t, i));
    if (Flags) t.nzcv(t.flags_logic(v, true));
    t.x(i[Rd], v);
}
template <bool Subtract, bool Flags>
void add_shifted(A64& t, const I& i) {
    t.x(i[Rd], add_or_subtract<Subtract, Flags>(t, t.r(i[Rn], width(i)), shifted_register(t, i)));
}
bool extend_fits(const I& i) { return i[imm3] <= 4; }
template <bool Subtract, bool Flags>
void add_extended(A64& t, const I& i) {
    Val b = extended(t.x(i[Rm]), u32(i[option]), u32(i[imm3]), width(i));
    Val sum = add_or_subtract<Subtract, Flags>(t, t.rsp(i[Rn], width(i)), b);
    Flags ? t.x(i[Rd], sum) : t.xsp(i[Rd], sum);
}
template <bool Flags>
void adc(A64& t, const I& i) {
    Val a = t.r(i[Rn], width(i)), b = t.r(i[Rm], width(i)), c = t.carry();
    if (Flags) t.nzcv(t.flags_add(a, b, c, true));
    t.x(i[Rd], a + b + c.zext(width(i)));
}
template <bool Flags>
void sbc(A64& t, const I& i) {
    Val a = t.r(i[Rn], width(i)), b = t.r(i[Rm], width(i)), borrow = t.cond(ir::Cond::c, t.nzcv());
    if (Flags) t.nzcv(t.flags_sub(a, b, borrow));
    t.x(i[Rd], a - b - borrow.zext(width(i)));
}

// ---- conditional

// The flags of a comparison when the condition holds, else those of the immediate.
template <bool Negative, bool Immediate>
void conditional_compare(A64& t, const I& i) {
    Val a = t.r(i[Rn], width(i)), b = Immediate ? t.imm(u64(i[imm5]), width(i)) : t.r(i[Rm], width(i));
    Val compared = Negative ? t.flags_add(a, b, {}, true) : t.flags_sub(a, b);
    if (i[cond_] >= 14) return t.nzcv(compared);
    t.nzcv(t.holds(i[cond_]).select(compared, t.flags_of(u32(i[nzcv_]))));
}
template <auto Otherwise>
void conditional_select(A64& t, const I& i) {
    Val a = t.r(i[Rn], width(i)), b = Otherwise(t.r(i[Rm], width(i)));
    t.x(i[Rd], t.holds(i[cond_]).select(a, b));
}
inline constexpr auto same = [](Val a) { return a; };
inline constexpr auto increment = [](Val a) { return a + 1; };
inline constexpr auto invert = [](Val a) { return ~a; };
inline constexpr auto negate = [](Val a) { return -a; };

// ---- three sources

void madd(A64& t, const I& i) { t.x(i[Rd], t.r(i[Ra], width(i)) + t.r(i[Rn], width(i)) * t.r(i[Rm], width(i))); }
void msub(A64& t, const I& i) { t.x(i[Rd], t.r(i[Ra], width(i)) - t.r(i[Rn], width(i)) * t.r(i[Rm], width(i))); }
template <bool Signed, bool Subtract>
void multiply_long(A64& t, const I& i) {
    auto wide = [&](i64 n) {
        Val w = t.r(n, Type::i32);
        return Signed ? w.sext(Type::i64) : w.zext(Type::i64);
    };
    Val product = wide(i[Rn]) * wide(i[Rm]), a = t.x(i[Ra]);
    t.x(i[Rd], Subtract ? a - product : a + product);
}
void smulh(A64& t, const I& i) { t.x(i[Rd], t.x(i[Rn]).mulhs(t.x(i[Rm]))); }
void umulh(A64& t, const I& i) { t.x(i[Rd], t.x(i[Rn]).mulhu(t.x(i[Rm]))); }

// ---- flag manipulation

void rmif(A64& t, const I& i) {
    Val v = t.x(i[Rn]).rotr(u32(i[imm6r])).trunc(Type::i32);
    Val now = t.imm(0, Type::i32);
    if (i[mask4] & 8) now = now | v.ubfx(3, 1).shl(7);
    if (i[mask4] & 4) now = now | v.ubfx(2, 1).shl(6);
    if (i[mask4] & 2) now = now | (v.ubfx(1, 1) ^ 1);
    if (i[mask4] & 1) now = now | (v & 1).shl(11);
    u32 mask = (i[mask4] & 8 ? ir::flag::n : 0) | (i[mask4] & 4 ? ir::flag::z : 0) | (i[mask4] & 2 ? ir::flag::c : 0) |
               (i[mask4] & 1 ? ir::flag::v : 0);
    t.nzcv(t.flags_merge(t.nzcv(), t.flags_from(now), mask));
}
template <u32 Bits>
void setf(A64& t, const I& i) {
    Val v = t.r(i[Rn], Type::i32);
    Val n = v.ubfx(Bits - 1, 1), z = (v.ubfx(0, Bits) == 0).zext(Type::i32), overflow = v.ubfx(Bits, 1) ^ n;
    Val now = n.shl(7) | z.shl(6) | overflow.shl(11);
    t.nzcv(t.flags_merge(t.nzcv(), t.flags_from(now), ir::flag::n | ir::flag::z | ir::flag::v));
}

// clang-format off
constexpr R rows[] = {
    {"udiv    {Rd}, {Rn}, {Rm}",            "sf 0 0 11010110 Rm 000010 Rn Rd",      binary<udiv>},
    {"sdiv    {Rd}, {Rn}, {Rm}",            "sf 0 0 11010110 Rm 000011 Rn Rd",      binary<sdiv>},
    {"lslv    {Rd}, {Rn}, {Rm}",            "sf 0 0 11010110 Rm 001000 Rn Rd",      binary<shl>},
    {"lsrv    {Rd}, {Rn}, {Rm}",            "sf 0 0 11010110 Rm 001001 Rn Rd",      binary<lshr>},
    {"asrv    {Rd}, {Rn}, {Rm}",            "sf 0 0 11010110 Rm 001010 Rn Rd",      binary<ashr>},
    {"rorv    {Rd}, {Rn}, {Rm}",            "sf 0 0 11010110 Rm 001011 Rn Rd",      binary<rotr>},

    {"rbit    {Rd}, {Rn}",                  "sf 1 0 11010110 00000 000000 Rn Rd",   unary<rbit>},
    {"rev16   {Rd}, {Rn}",                  "sf 1 0 11010110 00000 000001 Rn Rd",   unary<rev16>},
    {"rev     {Wd}, {Wn}",                  "0 1 0 11010110 00000 000010 Rn Rd",    unary<rev>},
    {"rev32   {Xd}, {Xn}",                  "1 1 0 11010110 00000 000010 Rn Rd",    [](A64& t, const I& i) { t.x(i[Rd], rev32(t.x(i[Rn]))); }},
    {"rev     {Xd}, {Xn}",                  "1 1 0 11010110 00000 000011 Rn Rd",    [](A64& t, const I& i) { t.x(i[Rd], rev(t.x(i[Rn]))); }},
    {"clz     {Rd}, {Rn}",                  "sf 1 0 11010110 00000 000100 Rn Rd",   unary<clz>},
    {"cls     {Rd}, {Rn}",                  "sf 1 0 11010110 00000 000101 Rn Rd",   unary<cls>},

    {"and     {Rd}, {Rn}, {Rm}{shifted}",   "sf 00 01010 shift 0 Rm imm6 Rn Rd",    logical<bit_and, false>, shift_fits},
    {"bic     {Rd}, {Rn}, {Rm}{shifted}",   "sf 00 01010 shift 1 Rm imm6 Rn Rd",    logical<bit_and_not, false>, shift_fits},
    {"orr     {Rd}, {Rn}, {Rm}{shifted}",   "sf 01 01010 shift 0 Rm imm6 Rn Rd",    logical<bit_or, false>, shift_fits},
    {"orn     {Rd}, {Rn}, {Rm}{shifted}",   "sf 01 01010 shift 1 Rm imm6 Rn Rd",    logical<bit_or_not, false>, shift_fits},
    {"eor     {Rd}, {Rn}, {Rm}{shifted}",   "sf 10 01010 shift 0 Rm imm6 Rn Rd",    logical<bit_xor, false>, shift_fits},
    {"eon     {Rd}, {Rn}, {Rm}{shifted}",   "sf 10 01010 shift 1 Rm imm6 Rn Rd",    logical<bit_xor_not, false>, shift_fits},
    {"ands    {Rd}, {Rn}, {Rm}{shifted}",   "sf 11 01010 shift 0 Rm imm6 Rn Rd",    logical<bit_and, true>, shift_fits},
    {"bics    {Rd}, {Rn}, {Rm}{shifted}",   "sf 11 01010 shift 1 Rm imm6 Rn Rd",    logical<bit_and_not, true>, shift_fits},

    {"add     {Rd}, {Rn}, {Rm}{shifted}",   "sf 0 0 01011 shift 0 Rm imm6 Rn Rd",   add_shifted<false, false>, add_shift_fits},
    {"adds    {Rd}, {Rn}, {Rm}{shifted}",   "sf 0 1 01011 shift 0 Rm imm6 Rn Rd",   add_shifted<false, true>, add_shift_fits},
    {"sub     {Rd}, {Rn}, {Rm}{shifted}",   "sf 1 0 01011 shift 0 Rm imm6 Rn Rd",   add_shifted<true, false>, add_shift_fits},
    {"subs    {Rd}, {Rn}, {Rm}{shifted}",   "sf 1 1 01011 shift 0 Rm imm6 Rn Rd",   add_shifted<true, true>, add_shift_fits},

    {"add     {RdSP}, {RnSP}, {extended}",  "sf 0 0 01011 001 Rm option imm3 Rn Rd", add_extended<false, false>, extend_fits},
    {"adds    {Rd}, {RnSP}, {extended}",    "sf 0 1 01011 001 Rm option imm3 Rn Rd", add_extended<false, true>, extend_fits},
    {"sub     {RdSP}, {RnSP}, {extended}",  "sf 1 0 01011 001 Rm option imm3 Rn Rd", add_extended<true, false>, extend_fits},
    {"subs    {Rd}, {RnSP}, {extended}",    "sf 1 1 01011 001 Rm option imm3 Rn Rd", add_extended<true, true>, extend_fits},

    {"adc     {Rd}, {Rn}, {Rm}",            "sf 0 0 11010000 Rm 000000 Rn Rd",      adc<false>},
    {"adcs    {Rd}, {Rn}, {Rm}",            "sf 0 1 11010000 Rm 000000 Rn Rd",      adc<true>},
    {"sbc     {Rd}, {Rn}, {Rm}",            "sf 1 0 11010000 Rm 000000 Rn Rd",      sbc<false>},
    {"sbcs    {Rd}, {Rn}, {Rm}",            "sf 1 1 11010000 Rm 000000 Rn Rd",      sbc<true>},

    {"ccmn    {RnF}, {Rm}, {nzcv}, {cond}",   "sf 0 1 11010010 Rm cond 00 Rn 0 nzcv",   conditional_compare<true, false>},
    {"ccmp    {RnF}, {Rm}, {nzcv}, {cond}",   "sf 1 1 11010010 Rm cond 00 Rn 0 nzcv",   conditional_compare<false, false>},
    {"ccmn    {RnF}, {imm5}, {nzcv}, {cond}", "sf 0 1 11010010 imm5 cond 10 Rn 0 nzcv", conditional_compare<true, true>},
    {"ccmp    {RnF}, {imm5}, {nzcv}, {cond}", "sf 1 1 11010010 imm5 cond 10 Rn 0 nzcv", conditional_compare<false, true>},

    {"csel    {Rd}, {Rn}, {Rm}, {cond}",    "sf 0 0 11010100 Rm cond 00 Rn Rd",     conditional_select<same>},
    {"csinc   {Rd}, {Rn}, {Rm}, {cond}",    "sf 0 0 11010100 Rm cond 01 Rn Rd",     conditional_select<increment>},
    {"csinv   {Rd}, {Rn}, {Rm}, {cond}",    "sf 1 0 11010100 Rm cond 00 Rn Rd",     conditional_select<invert>},
    {"csneg   {Rd}, {Rn}, {Rm}, {cond}",    "sf 1 0 11010100 Rm cond 01 Rn Rd",     conditional_select<negate>},

    {"madd    {Rd}, {Rn}, {Rm}, {Ra}",      "sf 00 11011000 Rm 0 Ra Rn Rd",         madd},
    {"msub    {Rd}, {Rn}, {Rm}, {Ra}",      "sf 00 11011000 Rm 1 Ra Rn Rd",         msub},
    {"smaddl  {Xd}, {Wn}, {Wm}, {Xa}",      "1 00 11011001 Rm 0 Ra Rn Rd",          multiply_long<true, false>},
    {"smsubl  {Xd}, {Wn}, {Wm}, {Xa}",      "1 00 11011001 Rm 1 Ra Rn Rd",          multiply_long<true, true>},
    {"smulh   {Xd}, {Xn}, {Xm}",            "1 00 11011010 Rm 0 11111 Rn Rd",       smulh},
    {"umaddl  {Xd}, {Wn}, {Wm}, {Xa}",      "1 00 11011101 Rm 0 Ra Rn Rd",          multiply_long<false, false>},
    {"umsubl  {Xd}, {Wn}, {Wm}, {Xa}",      "1 00 11011101 Rm 1 Ra Rn Rd",          multiply_long<false, true>},
    {"umulh   {Xd}, {Xn}, {Xm}",            "1 00 11011110 Rm 0 11111 Rn Rd",       umulh},
};

constexpr R crc32_rows[] = {
    {"crc32b  {Wd}, {Wn}, {Wm}",            "0 0 0 11010110 Rm 010000 Rn Rd",       crc<reversed_crc32, 1>},
    {"crc32h  {Wd}, {Wn}, {Wm}",            "0 0 0 11010110 Rm 010001 Rn Rd",       crc<reversed_crc32, 2>},
    {"crc32w  {Wd}, {Wn}, {Wm}",            "0 0 0 11010110 Rm 010010 Rn Rd",       crc<reversed_crc32, 4>},
    {"crc32x  {Wd}, {Wn}, {Xm}",            "1 0 0 11010110 Rm 010011 Rn Rd",       crc<reversed_crc32, 8>},
    {"crc32cb {Wd}, {Wn}, {Wm}",            "0 0 0 11010110 Rm 010100 Rn Rd",       crc<reversed_crc32c, 1>},
    {"crc32ch {Wd}, {Wn}, {Wm}",            "0 0 0 11010110 Rm 010101 Rn Rd",       crc<reversed_crc32c, 2>},
    {"crc32cw {Wd}, {Wn}, {Wm}",            "0 0 0 11010110 Rm 010110 Rn Rd",       crc<reversed_crc32c, 4>},
    {"crc32cx {Wd}, {Wn}, {Xm}",            "1 0 0 11010110 Rm 010111 Rn Rd",       crc<reversed_crc32c, 8>},
};

constexpr R flagm_rows[] = {
    {"rmif    {Xn}, #{imm6r}, #{mask4}",    "1 01 11010000 imm6r 00001 Rn 0 mask4", rmif},
    {"setf8   {Wn}",                        "0 01 11010000 000000 0 0010 Rn 01101", setf<8>},
    {"setf16  {Wn}",                        "0 01 11010000 000000 1 0010 Rn 01101", setf<16>},
};

constexpr R cssc_rows[] = {
    {"smax    {Rd}, {Rn}, {Rm}",            "sf 0 0 11010110 Rm 011000 Rn Rd",      binary<smax>},
    {"umax    {Rd}, {Rn}, {Rm}",            "sf 0 0 11010110 Rm 011001 Rn Rd",      binary<umax>},
    {"smin    {Rd}, {Rn}, {Rm}",            "sf 0 0 11010110 Rm 011010 Rn Rd",      binary<smin>},
    {"umin    {Rd}, {Rn}, {Rm}",            "sf 0 0 11010110 Rm 011011 Rn Rd",      binary<umin>},
    {"ctz     {Rd}, {Rn}",                  "sf 1 0 11010110 00000 000110 Rn Rd",   unary<ctz>},
    {"cnt     {Rd}, {Rn}",                  "sf 1 0 11010110 00000 000111 Rn Rd",   unary<cnt>},
    {"abs     {Rd}, {Rn}",                  "sf 1 0 11010110 00000 001000 Rn Rd",   unary<absolute>},
};
// clang-format on

} // namespace

constinit const Table<AArch64> data_register{"data processing, register", needs(Feature::base), rows};
constinit const Table<AArch64> crc32{"CRC32", needs(Feature::crc32), crc32_rows};
constinit const Table<AArch64> flagm{"FlagM", needs(Feature::flagm), flagm_rows};
constinit const Table<AArch64> cssc_register{"CSSC, register", needs(Feature::cssc), cssc_rows};

} // namespace mimic::isa::aarch64
