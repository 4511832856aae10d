// Loads and stores of general registers: Arm ARM C4.1.96 (Loads and Stores).
#include "isa/aarch64/memory.hpp"
#include "isa/aarch64/tables.hpp"

namespace mimic::isa::aarch64 {

namespace {

using enum Type;

void prefetch(A64&, const I&) {}

template <Type M, bool Sign = false>
void load_literal(A64& t, const I& i) {
    t.x(i[Rt], t.load(i64, t.code_address(t.pc() + u64(i[imm19])), {.memory = M, .sign = Sign}));
}

// clang-format off
constexpr R rows[] = {
    // literal
    {"ldr     {Wt}, {imm19}",                   "00 011 0 00 imm19 Rt",                       load_literal<i32>},
    {"ldr     {Xt}, {imm19}",                   "01 011 0 00 imm19 Rt",                       load_literal<i64>},
    {"ldrsw   {Xt}, {imm19}",                   "10 011 0 00 imm19 Rt",                       load_literal<i32, true>},
    {"prfm    {prfop}, {imm19}",                "11 011 0 00 imm19 Rt",                       prefetch},

    // unsigned immediate
    {"strb    {Wt}, [{XnSP}{off1}]",           "00 111 0 01 00 imm12 Rn Rt",                 store<At::scaled, i8>},
    {"ldrb    {Wt}, [{XnSP}{off1}]",           "00 111 0 01 01 imm12 Rn Rt",                 load<At::scaled, i8>},
    {"ldrsb   {Xt}, [{XnSP}{off1}]",           "00 111 0 01 10 imm12 Rn Rt",                 load<At::scaled, i8, true>},
    {"ldrsb   {Wt}, [{XnSP}{off1}]",           "00 111 0 01 11 imm12 Rn Rt",                 load<At::scaled, i8, true, i32>},
    {"strh    {Wt}, [{XnSP}{off2}]",           "01 111 0 01 00 imm12 Rn Rt",                 store<At::scaled, i16>},
    {"ldrh    {Wt}, [{XnSP}{off2}]",           "01 111 0 01 01 imm12 Rn Rt",                 load<At::scaled, i16>},
    {"ldrsh   {Xt}, [{XnSP}{off2}]",           "01 111 0 01 10 imm12 Rn Rt",                 load<At::scaled, i16, true>},
    {"ldrsh   {Wt}, [{XnSP}{off2}]",           "01 111 0 01 11 imm12 Rn Rt",                 load<At::scaled, i16, true, i32>},
    {"str     {Wt}, [{XnSP}{off4}]",           "10 111 0 01 00 imm12 Rn Rt",                 store<At::scaled, i32>},
    {"ldr     {Wt}, [{XnSP}{off4}]",           "10 111 0 01 01 imm12 Rn Rt",                 load<At::scaled, i32>},
    {"ldrsw   {Xt}, [{XnSP}{off4}]",           "10 111 0 01 10 imm12 Rn Rt",                 load<At::scaled, i32, true>},
    {"str     {Xt}, [{XnSP}{off8}]",           "11 111 0 01 00 imm12 Rn Rt",                 store<At::scaled, i64>},
    {"ldr     {Xt}, [{XnSP}{off8}]",           "11 111 0 01 01 imm12 Rn Rt",                 load<At::scaled, i64>},
    {"prfm    {prfop}, [{XnSP}{off8}]",        "11 111 0 01 10 imm12 Rn Rt",                 prefetch},

    // unscaled immediate
    {"sturb   {Wt}, [{XnSP}{off9}]",           "00 111 0 00 00 0 imm9 00 Rn Rt",             store<At::unscaled, i8>},
    {"ldurb   {Wt}, [{XnSP}{off9}]",           "00 111 0 00 01 0 imm9 00 Rn Rt",             load<At::unscaled, i8>},
    {"ldursb  {Xt}, [{XnSP}{off9}]",           "00 111 0 00 10 0 imm9 00 Rn Rt",             load<At::unscaled, i8, true>},
    {"ldursb  {Wt}, [{XnSP}{off9}]",           "00 111 0 00 11 0 imm9 00 Rn Rt",             load<At::unscaled, i8, true, i32>},
    {"sturh   {Wt}, [{XnSP}{off9}]",           "01 111 0 00 00 0 imm9 00 Rn Rt",             store<At::unscaled, i16>},
    {"ldurh   {Wt}, [{XnSP}{off9}]",           "01 111 0 00 01 0 imm9 00 Rn Rt",             load<At::unscaled, i16>},
    {"ldursh  {Xt}, [{XnSP}{off9}]",           "01 111 0 00 10 0 imm9 00 Rn Rt",             load<At::unscaled, i16, true>},
    {"ldursh  {Wt}, [{XnSP}{off9}]",           "01 111 0 00 11 0 imm9 00 Rn Rt",             load<At::unscaled, i16, true, i32>},
    {"stur    {Wt}, [{XnSP}{off9}]",           "10 111 0 00 00 0 imm9 00 Rn Rt",             store<At::unscaled, i32>},
    {"ldur    {Wt}, [{XnSP}{off9}]",           "10 111 0 00 01 0 imm9 00 Rn Rt",             load<At::unscaled, i32>},
    {"ldursw  {Xt}, [{XnSP}{off9}]",           "10 111 0 00 10 0 imm9 00 Rn Rt",             load<At::unscaled, i32, true>},
    {"stur    {Xt}, [{XnSP}{off9}]",           "11 111 0 00 00 0 imm9 00 Rn Rt",             store<At::unscaled, i64>},
    {"ldur    {Xt}, [{XnSP}{off9}]",           "11 111 0 00 01 0 imm9 00 Rn Rt",             load<At::unscaled, i64>},
    {"prfum   {prfop}, [{XnSP}{off9}]",        "11 111 0 00 10 0 imm9 00 Rn Rt",             prefetch},

    // immediate post-indexed
    {"strb    {Wt}, [{XnSP}], #{imm9}",        "00 111 0 00 00 0 imm9 01 Rn Rt",             store<At::post, i8>},
    {"ldrb    {Wt}, [{XnSP}], #{imm9}",        "00 111 0 00 01 0 imm9 01 Rn Rt",             load<At::post, i8>},
    {"ldrsb   {Xt}, [{XnSP}], #{imm9}",        "00 111 0 00 10 0 imm9 01 Rn Rt",             load<At::post, i8, true>},
    {"ldrsb   {Wt}, [{XnSP}], #{imm9}",        "00 111 0 00 11 0 imm9 01 Rn Rt",             load<At::post, i8, true, i32>},
    {"strh    {Wt}, [{XnSP}], #{imm9}",        "01 111 0 00 00 0 imm9 01 Rn Rt",             store<At::post, i16>},
    {"ldrh    {Wt}, [{XnSP}], #{imm9}",        "01 111 0 00 01 0 imm9 01 Rn Rt",             load<At::post, i16>},
    {"ldrsh   {Xt}, [{XnSP}], #{imm9}",        "01 111 0 00 10 0 imm9 01 Rn Rt",             load<At::post, i16, true>},
    {"ldrsh   {Wt}, [{XnSP}], #{imm9}",        "01 111 0 00 11 0 imm9 01 Rn Rt",             load<At::post, i16, true, i32>},
    {"str     {Wt}, [{XnSP}], #{imm9}",        "10 111 0 00 00 0 imm9 01 Rn Rt",             store<At::post, i32>},
    {"ldr     {Wt}, [{XnSP}], #{imm9}",        "10 111 0 00 01 0 imm9 01 Rn Rt",             load<At::post, i32>},
    {"ldrsw   {Xt}, [{XnSP}], #{imm9}",        "10 111 0 00 10 0 imm9 01 Rn Rt",             load<At::post, i32, true>},
    {"str     {Xt}, [{XnSP}], #{imm9}",        "11 111 0 00 00 0 imm9 01 Rn Rt",             store<At::post, i64>},
    {"ldr     {Xt}, [{XnSP}], #{imm9}",        "11 111 0 00 01 0 imm9 01 Rn Rt",             load<At::post, i64>},

    // immediate pre-indexed
    {"strb    {Wt}, [{XnSP}, #{imm9}]!",       "00 111 0 00 00 0 imm9 11 Rn Rt",             store<At::pre, i8>},
    {"ldrb    {Wt}, [{XnSP}, #{imm9}]!",       "00 111 0 00 01 0 imm9 11 Rn Rt",             load<At::pre, i8>},
    {"ldrsb   {Xt}, [{XnSP}, #{imm9}]!",       "00 111 0 00 10 0 imm9 11 Rn Rt",             load<At::pre, i8, true>},
    {"ldrsb   {Wt}, [{XnSP}, #{imm9}]!",       "00 111 0 00 11 0 imm9 11 Rn Rt",             load<At::pre, i8, true, i32>},
    {"strh    {Wt}, [{XnSP}, #{imm9}]!",       "01 111 0 00 00 0 imm9 11 Rn Rt",             store<At::pre, i16>},
    {"ldrh    {Wt}, [{XnSP}, #{imm9}]!",       "01 111 0 00 01 0 imm9 11 Rn Rt",             load<At::pre, i16>},
    {"ldrsh   {Xt}, [{XnSP}, #{imm9}]!",       "01 111 0 00 10 0 imm9 11 Rn Rt",             load<At::pre, i16, true>},
    {"ldrsh   {Wt}, [{XnSP}, #{imm9}]!",       "01 111 0 00 11 0 imm9 11 Rn Rt",             load<At::pre, i16, true, i32>},
    {"str     {Wt}, [{XnSP}, #{imm9}]!",       "10 111 0 00 00 0 imm9 11 Rn Rt",             store<At::pre, i32>},
    {"ldr     {Wt}, [{XnSP}, #{imm9}]!",       "10 111 0 00 01 0 imm9 11 Rn Rt",             load<At::pre, i32>},
    {"ldrsw   {Xt}, [{XnSP}, #{imm9}]!",       "10 111 0 00 10 0 imm9 11 Rn Rt",             load<At::pre, i32, true>},
    {"str     {Xt}, [{XnSP}, #{imm9}]!",       "11 111 0 00 00 0 imm9 11 Rn Rt",             store<At::pre, i64>},
    {"ldr     {Xt}, [{XnSP}, #{imm9}]!",       "11 111 0 00 01 0 imm9 11 Rn Rt",             load<At::pre, i64>},

    // register offset
    {"strb    {Wt}, [{XnSP}, {index}]",        "00 111 0 00 00 1 Rm option S 10 Rn Rt",      store<At::indexed, i8>, extends_index},
    {"ldrb    {Wt}, [{XnSP}, {index}]",        "00 111 0 00 01 1 Rm option S 10 Rn Rt",      load<At::indexed, i8>, extends_index},
    {"ldrsb   {Xt}, [{XnSP}, {index}]",        "00 111 0 00 10 1 Rm option S 10 Rn Rt",      load<At::indexed, i8, true>, extends_index},
    {"ldrsb   {Wt}, [{XnSP}, {index}]",        "00 111 0 00 11 1 Rm option S 10 Rn Rt",      load<At::indexed, i8, true, i32>, extends_index},
    {"strh    {Wt}, [{XnSP}, {index}]",        "01 111 0 00 00 1 Rm option S 10 Rn Rt",      store<At::indexed, i16>, extends_index},
    {"ldrh    {Wt}, [{XnSP}, {index}]",        "01 111 0 00 01 1 Rm option S 10 Rn Rt",      load<At::indexed, i16>, extends_index},
    {"ldrsh   {Xt}, [{XnSP}, {index}]",        "01 111 0 00 10 1 Rm option S 10 Rn Rt",      load<At::indexed, i16, true>, extends_index},
    {"ldrsh   {Wt}, [{XnSP}, {index}]",        "01 111 0 00 11 1 Rm option S 10 Rn Rt",      load<At::indexed, i16, true, i32>, extends_index},
    {"str     {Wt}, [{XnSP}, {index}]",        "10 111 0 00 00 1 Rm option S 10 Rn Rt",      store<At::indexed, i32>, extends_index},
    {"ldr     {Wt}, [{XnSP}, {index}]",        "10 111 0 00 01 1 Rm option S 10 Rn Rt",      load<At::indexed, i32>, extends_index},
    {"ldrsw   {Xt}, [{XnSP}, {index}]",        "10 111 0 00 10 1 Rm option S 10 Rn Rt",      load<At::indexed, i32, true>, extends_index},
    {"str     {Xt}, [{XnSP}, {index}]",        "11 111 0 00 00 1 Rm option S 10 Rn Rt",      store<At::indexed, i64>, extends_index},
    {"ldr     {Xt}, [{XnSP}, {index}]",        "11 111 0 00 01 1 Rm option S 10 Rn Rt",      load<At::indexed, i64>, extends_index},
    {"prfm    {prfop}, [{XnSP}, {index}]",     "11 111 0 00 10 1 Rm option S 10 Rn Rt",      prefetch, extends_index},

    // a hint among the prefetches
    {"rprfm   {rprfop}, {Xm}, [{XnSP}]",       "11 111 0 00 10 1 Rm rprfop 1 rprfop 10 Rn 11 rprfop", prefetch},

    // unprivileged: EL0 is unprivileged already
    {"sttrb   {Wt}, [{XnSP}{off9}]",           "00 111 0 00 00 0 imm9 10 Rn Rt",             store<At::unprivileged, i8>},
    {"ldtrb   {Wt}, [{XnSP}{off9}]",           "00 111 0 00 01 0 imm9 10 Rn Rt",             load<At::unprivileged, i8>},
    {"ldtrsb  {Xt}, [{XnSP}{off9}]",           "00 111 0 00 10 0 imm9 10 Rn Rt",             load<At::unprivileged, i8, true>},
    {"ldtrsb  {Wt}, [{XnSP}{off9}]",           "00 111 0 00 11 0 imm9 10 Rn Rt",             load<At::unprivileged, i8, true, i32>},
    {"sttrh   {Wt}, [{XnSP}{off9}]",           "01 111 0 00 00 0 imm9 10 Rn Rt",             store<At::unprivileged, i16>},
    {"ldtrh   {Wt}, [{XnSP}{off9}]",           "01 111 0 00 01 0 imm9 10 Rn Rt",             load<At::unprivileged, i16>},
    {"ldtrsh  {Xt}, [{XnSP}{off9}]",           "01 111 0 00 10 0 imm9 10 Rn Rt",             load<At::unprivileged, i16, true>},
    {"ldtrsh  {Wt}, [{XnSP}{off9}]",           "01 111 0 00 11 0 imm9 10 Rn Rt",             load<At::unprivileged, i16, true, i32>},
    {"sttr    {Wt}, [{XnSP}{off9}]",           "10 111 0 00 00 0 imm9 10 Rn Rt",             store<At::unprivileged, i32>},
    {"ldtr    {Wt}, [{XnSP}{off9}]",           "10 111 0 00 01 0 imm9 10 Rn Rt",             load<At::unprivileged, i32>},
    {"ldtrsw  {Xt}, [{XnSP}{off9}]",           "10 111 0 00 10 0 imm9 10 Rn Rt",             load<At::unprivileged, i32, true>},
    {"sttr    {Xt}, [{XnSP}{off9}]",           "11 111 0 00 00 0 imm9 10 Rn Rt",             store<At::unprivileged, i64>},
    {"ldtr    {Xt}, [{XnSP}{off9}]",           "11 111 0 00 01 0 imm9 10 Rn Rt",             load<At::unprivileged, i64>},
};
// clang-format on

} // namespace

constinit const Table<AArch64> loads{"loads and stores", needs(Feature::base), rows};

} // namespace mimic::isa::aarch64
