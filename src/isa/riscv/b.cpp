// B, bit manipulation: The RISC-V Instruction Set Manual, Volume I (20240411), chapter 29: Zba 29.4.1, Zbb 29.4.2,
// Zbc 29.4.3, Zbs 29.4.4.
#include "isa/riscv/semantics.hpp"
#include "isa/riscv/tables.hpp"

namespace mimic::isa::riscv {

namespace {

// ---- Zba

template <u32 N>
constexpr auto shift_add = [](Val a, Val b) { return b + a.shl(N); };
Val unsigned_word(Val a) { return a.trunc(Type::i32).zext(Type::i64); }
template <u32 N>
constexpr auto shift_add_uw = [](Val a, Val b) { return b + unsigned_word(a).shl(N); };
constexpr auto shl_uw = [](Val a, Val n) { return unsigned_word(a).shl(n); };

// ---- Zbb

constexpr auto andn = [](Val a, Val b) { return a & ~b; };
constexpr auto orn = [](Val a, Val b) { return a | ~b; };
constexpr auto xnor = [](Val a, Val b) { return ~(a ^ b); };
constexpr auto clz = [](Val a) { return a.clz(); };
constexpr auto ctz = [](Val a) { return a.ctz(); };
constexpr auto cpop = [](Val a) { return a.popcnt(); };
constexpr auto max = [](Val a, Val b) { return a.slt(b).select(b, a); };
constexpr auto maxu = [](Val a, Val b) { return a.ult(b).select(b, a); };
constexpr auto min = [](Val a, Val b) { return a.slt(b).select(a, b); };
constexpr auto minu = [](Val a, Val b) { return a.ult(b).select(a, b); };
constexpr auto sext_b = [](Val a) { return a.trunc(Type::i8).sext(Type::i64); };
constexpr auto sext_h = [](Val a) { return a.trunc(Type::i16).sext(Type::i64); };
constexpr auto zext_h = [](Val a) { return a.trunc(Type::i16).zext(Type::i64); };
constexpr auto rol = [](Val a, Val n) { return a.rotr(-n); };
constexpr auto ror = [](Val a, Val n) { return a.rotr(n); };
constexpr auto rev8 = [](Val a) { return a.bswap(); };
// Bit 7 of each byte that is not zero, spread over the byte.
constexpr auto orc_b = [](Val a) {
    constexpr i64 low7 = 0x7f7f7f7f7f7f7f7f;
    Val tops = (((a & low7) + low7) | a) & ~low7;
    return (tops - tops.lshr(7)) | tops;
};

// ---- Zbc

int carryless_product(ir::CpuHeader*, const ir::Wide* args, ir::Wide* results) {
    u64 a = args[0].w[0], b = args[1].w[0], low = 0, high = 0;
    for (u32 n = 0; n < 64; ++n) {
        if (!(b >> n & 1)) continue;
        low ^= a << n;
        high ^= n ? a >> (64 - n) : 0;
    }
    results[0].w[0] = low;
    results[1].w[0] = high;
    return 0;
}
constexpr ir::Intrinsic clmul64{.name = "clmul64", .body = carryless_product, .args = 2, .results = 2};

void clmul(Rv& t, const I& i) { t.x(i[rd], t.call(clmul64, Type::i64, {t.x(i[rs1]), t.x(i[rs2])})); }
void clmulh(Rv& t, const I& i) {
    Val product = t.call(clmul64, Type::i64, {t.x(i[rs1]), t.x(i[rs2])});
    t.x(i[rd], t.result(product, 1, Type::i64));
}
// Bits 126 to 63 of the product.
void clmulr(Rv& t, const I& i) {
    Val low = t.call(clmul64, Type::i64, {t.x(i[rs1]), t.x(i[rs2])});
    t.x(i[rd], t.result(low, 1, Type::i64).shl(1) | low.lshr(63));
}

// ---- Zbs

constexpr auto bit_at = [](Val a, Val n) { return a.builder().imm(1).shl(n); };
constexpr auto bclr = [](Val a, Val n) { return a & ~bit_at(a, n); };
constexpr auto bext = [](Val a, Val n) { return a.lshr(n) & 1; };
constexpr auto binv = [](Val a, Val n) { return a ^ bit_at(a, n); };
constexpr auto bset = [](Val a, Val n) { return a | bit_at(a, n); };

// clang-format off
constexpr R zba_rows[] = {
    {"add.uw    {rd}, {rs1}, {rs2}",    "0000100 rs2 rs1 000 rd 0111011",   binary<shift_add_uw<0>>},
    {"sh1add    {rd}, {rs1}, {rs2}",    "0010000 rs2 rs1 010 rd 0110011",   binary<shift_add<1>>},
    {"sh1add.uw {rd}, {rs1}, {rs2}",    "0010000 rs2 rs1 010 rd 0111011",   binary<shift_add_uw<1>>},
    {"sh2add    {rd}, {rs1}, {rs2}",    "0010000 rs2 rs1 100 rd 0110011",   binary<shift_add<2>>},
    {"sh2add.uw {rd}, {rs1}, {rs2}",    "0010000 rs2 rs1 100 rd 0111011",   binary<shift_add_uw<2>>},
    {"sh3add    {rd}, {rs1}, {rs2}",    "0010000 rs2 rs1 110 rd 0110011",   binary<shift_add<3>>},
    {"sh3add.uw {rd}, {rs1}, {rs2}",    "0010000 rs2 rs1 110 rd 0111011",   binary<shift_add_uw<3>>},
    {"slli.uw   {rd}, {rs1}, {shamt}",  "000010 shamt rs1 001 rd 0011011",  shift<shl_uw>},
};

constexpr R zbb_rows[] = {
    {"andn      {rd}, {rs1}, {rs2}",    "0100000 rs2 rs1 111 rd 0110011",   binary<andn>},
    {"orn       {rd}, {rs1}, {rs2}",    "0100000 rs2 rs1 110 rd 0110011",   binary<orn>},
    {"xnor      {rd}, {rs1}, {rs2}",    "0100000 rs2 rs1 100 rd 0110011",   binary<xnor>},
    {"clz       {rd}, {rs1}",           "0110000 00000 rs1 001 rd 0010011", unary<clz>},
    {"clzw      {rd}, {rs1}",           "0110000 00000 rs1 001 rd 0011011", unary_w<clz>},
    {"ctz       {rd}, {rs1}",           "0110000 00001 rs1 001 rd 0010011", unary<ctz>},
    {"ctzw      {rd}, {rs1}",           "0110000 00001 rs1 001 rd 0011011", unary_w<ctz>},
    {"cpop      {rd}, {rs1}",           "0110000 00010 rs1 001 rd 0010011", unary<cpop>},
    {"cpopw     {rd}, {rs1}",           "0110000 00010 rs1 001 rd 0011011", unary_w<cpop>},
    {"max       {rd}, {rs1}, {rs2}",    "0000101 rs2 rs1 110 rd 0110011",   binary<max>},
    {"maxu      {rd}, {rs1}, {rs2}",    "0000101 rs2 rs1 111 rd 0110011",   binary<maxu>},
    {"min       {rd}, {rs1}, {rs2}",    "0000101 rs2 rs1 100 rd 0110011",   binary<min>},
    {"minu      {rd}, {rs1}, {rs2}",    "0000101 rs2 rs1 101 rd 0110011",   binary<minu>},
    {"sext.b    {rd}, {rs1}",           "0110000 00100 rs1 001 rd 0010011", unary<sext_b>},
    {"sext.h    {rd}, {rs1}",           "0110000 00101 rs1 001 rd 0010011", unary<sext_h>},
    {"zext.h    {rd}, {rs1}",           "0000100 00000 rs1 100 rd 0111011", unary<zext_h>},
    {"rol       {rd}, {rs1}, {rs2}",    "0110000 rs2 rs1 001 rd 0110011",   binary<rol>},
    {"rolw      {rd}, {rs1}, {rs2}",    "0110000 rs2 rs1 001 rd 0111011",   binary_w<rol>},
    {"ror       {rd}, {rs1}, {rs2}",    "0110000 rs2 rs1 101 rd 0110011",   binary<ror>},
    {"rori      {rd}, {rs1}, {shamt}",  "011000 shamt rs1 101 rd 0010011",  shift<ror>},
    {"roriw     {rd}, {rs1}, {shamtw}", "0110000 shamtw rs1 101 rd 0011011", shift_w<ror>},
    {"rorw      {rd}, {rs1}, {rs2}",    "0110000 rs2 rs1 101 rd 0111011",   binary_w<ror>},
    {"orc.b     {rd}, {rs1}",           "001010000111 rs1 101 rd 0010011",  unary<orc_b>},
    {"rev8      {rd}, {rs1}",           "011010111000 rs1 101 rd 0010011",  unary<rev8>},
};

constexpr R zbc_rows[] = {
    {"clmul     {rd}, {rs1}, {rs2}",    "0000101 rs2 rs1 001 rd 0110011",   clmul},
    {"clmulh    {rd}, {rs1}, {rs2}",    "0000101 rs2 rs1 011 rd 0110011",   clmulh},
    {"clmulr    {rd}, {rs1}, {rs2}",    "0000101 rs2 rs1 010 rd 0110011",   clmulr},
};

constexpr R zbs_rows[] = {
    {"bclr      {rd}, {rs1}, {rs2}",    "0100100 rs2 rs1 001 rd 0110011",   binary<bclr>},
    {"bclri     {rd}, {rs1}, {shamt}",  "010010 shamt rs1 001 rd 0010011",  shift<bclr>},
    {"bext      {rd}, {rs1}, {rs2}",    "0100100 rs2 rs1 101 rd 0110011",   binary<bext>},
    {"bexti     {rd}, {rs1}, {shamt}",  "010010 shamt rs1 101 rd 0010011",  shift<bext>},
    {"binv      {rd}, {rs1}, {rs2}",    "0110100 rs2 rs1 001 rd 0110011",   binary<binv>},
    {"binvi     {rd}, {rs1}, {shamt}",  "011010 shamt rs1 001 rd 0010011",  shift<binv>},
    {"bset      {rd}, {rs1}, {rs2}",    "0010100 rs2 rs1 001 rd 0110011",   binary<bset>},
    {"bseti     {rd}, {rs1}, {shamt}",  "001010 shamt rs1 001 rd 0010011",  shift<bset>},
};
// clang-format on

} // namespace

constinit const Table<RiscV> zba{"Zba", needs(Ext::zba), zba_rows};
constinit const Table<RiscV> zbb{"Zbb", needs(Ext::zbb), zbb_rows};
constinit const Table<RiscV> zbc{"Zbc", needs(Ext::zbc), zbc_rows};
constinit const Table<RiscV> zbs{"Zbs", needs(Ext::zbs), zbs_rows};

} // namespace mimic::isa::riscv
