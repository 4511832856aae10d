// Loads and stores of SIMD and floating-point registers, one a time: Arm ARM C4.1.96 (Loads and Stores). A narrow load
// clears the rest of the register.
#include "isa/aarch64/memory.hpp"
#include "isa/aarch64/tables.hpp"

namespace mimic::isa::aarch64 {

namespace {

using enum Type;

template <Type M>
void load_literal(A64& t, const I& i) {
    t.v(i[Rt], t.load(M, t.code_address(t.pc() + u64(i[imm19])), {.memory = M}));
}

// clang-format off
constexpr R rows[] = {
    // literal
    {"ldr     {St}, {imm19}",                   "00 011 1 00 imm19 Rt",                       load_literal<f32>},
    {"ldr     {Dt}, {imm19}",                   "01 011 1 00 imm19 Rt",                       load_literal<f64>},
    {"ldr     {Qt}, {imm19}",                   "10 011 1 00 imm19 Rt",                       load_literal<v128>},

    // unsigned immediate
    {"str     {Bt}, [{XnSP}{off1}]",           "00 111 1 01 00 imm12 Rn Rt",                 store_vector<At::scaled, i8>},
    {"ldr     {Bt}, [{XnSP}{off1}]",           "00 111 1 01 01 imm12 Rn Rt",                 load_vector<At::scaled, i8>},
    {"str     {Qt}, [{XnSP}{off16}]",          "00 111 1 01 10 imm12 Rn Rt",                 store_vector<At::scaled, v128>},
    {"ldr     {Qt}, [{XnSP}{off16}]",          "00 111 1 01 11 imm12 Rn Rt",                 load_vector<At::scaled, v128>},
    {"str     {Ht}, [{XnSP}{off2}]",           "01 111 1 01 00 imm12 Rn Rt",                 store_vector<At::scaled, f16>},
    {"ldr     {Ht}, [{XnSP}{off2}]",           "01 111 1 01 01 imm12 Rn Rt",                 load_vector<At::scaled, f16>},
    {"str     {St}, [{XnSP}{off4}]",           "10 111 1 01 00 imm12 Rn Rt",                 store_vector<At::scaled, f32>},
    {"ldr     {St}, [{XnSP}{off4}]",           "10 111 1 01 01 imm12 Rn Rt",                 load_vector<At::scaled, f32>},
    {"str     {Dt}, [{XnSP}{off8}]",           "11 111 1 01 00 imm12 Rn Rt",                 store_vector<At::scaled, f64>},
    {"ldr     {Dt}, [{XnSP}{off8}]",           "11 111 1 01 01 imm12 Rn Rt",                 load_vector<At::scaled, f64>},

    // unscaled immediate
    {"stur    {Bt}, [{XnSP}{off9}]",           "00 111 1 00 00 0 imm9 00 Rn Rt",             store_vector<At::unscaled, i8>},
    {"ldur    {Bt}, [{XnSP}{off9}]",           "00 111 1 00 01 0 imm9 00 Rn Rt",             load_vector<At::unscaled, i8>},
    {"stur    {Qt}, [{XnSP}{off9}]",           "00 111 1 00 10 0 imm9 00 Rn Rt",             store_vector<At::unscaled, v128>},
    {"ldur    {Qt}, [{XnSP}{off9}]",           "00 111 1 00 11 0 imm9 00 Rn Rt",             load_vector<At::unscaled, v128>},
    {"stur    {Ht}, [{XnSP}{off9}]",           "01 111 1 00 00 0 imm9 00 Rn Rt",             store_vector<At::unscaled, f16>},
    {"ldur    {Ht}, [{XnSP}{off9}]",           "01 111 1 00 01 0 imm9 00 Rn Rt",             load_vector<At::unscaled, f16>},
    {"stur    {St}, [{XnSP}{off9}]",           "10 111 1 00 00 0 imm9 00 Rn Rt",             store_vector<At::unscaled, f32>},
    {"ldur    {St}, [{XnSP}{off9}]",           "10 111 1 00 01 0 imm9 00 Rn Rt",             load_vector<At::unscaled, f32>},
    {"stur    {Dt}, [{XnSP}{off9}]",           "11 111 1 00 00 0 imm9 00 Rn Rt",             store_vector<At::unscaled, f64>},
    {"ldur    {Dt}, [{XnSP}{off9}]",           "11 111 1 00 01 0 imm9 00 Rn Rt",             load_vector<At::unscaled, f64>},

    // immediate post-indexed
    {"str     {Bt}, [{XnSP}], #{imm9}",        "00 111 1 00 00 0 imm9 01 Rn Rt",             store_vector<At::post, i8>},
    {"ldr     {Bt}, [{XnSP}], #{imm9}",        "00 111 1 00 01 0 imm9 01 Rn Rt",             load_vector<At::post, i8>},
    {"str     {Qt}, [{XnSP}], #{imm9}",        "00 111 1 00 10 0 imm9 01 Rn Rt",             store_vector<At::post, v128>},
    {"ldr     {Qt}, [{XnSP}], #{imm9}",        "00 111 1 00 11 0 imm9 01 Rn Rt",             load_vector<At::post, v128>},
    {"str     {Ht}, [{XnSP}], #{imm9}",        "01 111 1 00 00 0 imm9 01 Rn Rt",             store_vector<At::post, f16>},
    {"ldr     {Ht}, [{XnSP}], #{imm9}",        "01 111 1 00 01 0 imm9 01 Rn Rt",             load_vector<At::post, f16>},
    {"str     {St}, [{XnSP}], #{imm9}",        "10 111 1 00 00 0 imm9 01 Rn Rt",             store_vector<At::post, f32>},
    {"ldr     {St}, [{XnSP}], #{imm9}",        "10 111 1 00 01 0 imm9 01 Rn Rt",             load_vector<At::post, f32>},
    {"str     {Dt}, [{XnSP}], #{imm9}",        "11 111 1 00 00 0 imm9 01 Rn Rt",             store_vector<At::post, f64>},
    {"ldr     {Dt}, [{XnSP}], #{imm9}",        "11 111 1 00 01 0 imm9 01 Rn Rt",             load_vector<At::post, f64>},

    // immediate pre-indexed
    {"str     {Bt}, [{XnSP}, #{imm9}]!",       "00 111 1 00 00 0 imm9 11 Rn Rt",             store_vector<At::pre, i8>},
    {"ldr     {Bt}, [{XnSP}, #{imm9}]!",       "00 111 1 00 01 0 imm9 11 Rn Rt",             load_vector<At::pre, i8>},
    {"str     {Qt}, [{XnSP}, #{imm9}]!",       "00 111 1 00 10 0 imm9 11 Rn Rt",             store_vector<At::pre, v128>},
    {"ldr     {Qt}, [{XnSP}, #{imm9}]!",       "00 111 1 00 11 0 imm9 11 Rn Rt",             load_vector<At::pre, v128>},
    {"str     {Ht}, [{XnSP}, #{imm9}]!",       "01 111 1 00 00 0 imm9 11 Rn Rt",             store_vector<At::pre, f16>},
    {"ldr     {Ht}, [{XnSP}, #{imm9}]!",       "01 111 1 00 01 0 imm9 11 Rn Rt",             load_vector<At::pre, f16>},
    {"str     {St}, [{XnSP}, #{imm9}]!",       "10 111 1 00 00 0 imm9 11 Rn Rt",             store_vector<At::pre, f32>},
    {"ldr     {St}, [{XnSP}, #{imm9}]!",       "10 111 1 00 01 0 imm9 11 Rn Rt",             load_vector<At::pre, f32>},
    {"str     {Dt}, [{XnSP}, #{imm9}]!",       "11 111 1 00 00 0 imm9 11 Rn Rt",             store_vector<At::pre, f64>},
    {"ldr     {Dt}, [{XnSP}, #{imm9}]!",       "11 111 1 00 01 0 imm9 11 Rn Rt",             load_vector<At::pre, f64>},

    // register offset
    {"str     {Bt}, [{XnSP}, {index}]",        "00 111 1 00 00 1 Rm option S 10 Rn Rt",      store_vector<At::indexed, i8>, extends_index},
    {"ldr     {Bt}, [{XnSP}, {index}]",        "00 111 1 00 01 1 Rm option S 10 Rn Rt",      load_vector<At::indexed, i8>, extends_index},
    {"str     {Qt}, [{XnSP}, {index}]",        "00 111 1 00 10 1 Rm option S 10 Rn Rt",      store_vector<At::indexed, v128>, extends_index},
    {"ldr     {Qt}, [{XnSP}, {index}]",        "00 111 1 00 11 1 Rm option S 10 Rn Rt",      load_vector<At::indexed, v128>, extends_index},
    {"str     {Ht}, [{XnSP}, {index}]",        "01 111 1 00 00 1 Rm option S 10 Rn Rt",      store_vector<At::indexed, f16>, extends_index},
    {"ldr     {Ht}, [{XnSP}, {index}]",        "01 111 1 00 01 1 Rm option S 10 Rn Rt",      load_vector<At::indexed, f16>, extends_index},
    {"str     {St}, [{XnSP}, {index}]",        "10 111 1 00 00 1 Rm option S 10 Rn Rt",      store_vector<At::indexed, f32>, extends_index},
    {"ldr     {St}, [{XnSP}, {index}]",        "10 111 1 00 01 1 Rm option S 10 Rn Rt",      load_vector<At::indexed, f32>, extends_index},
    {"str     {Dt}, [{XnSP}, {index}]",        "11 111 1 00 00 1 Rm option S 10 Rn Rt",      store_vector<At::indexed, f64>, extends_index},
    {"ldr     {Dt}, [{XnSP}, {index}]",        "11 111 1 00 01 1 Rm option S 10 Rn Rt",      load_vector<At::indexed, f64>, extends_index},
};
// clang-format on

} // namespace

constinit const Table<AArch64> loads_vector{"loads and stores, SIMD and FP", needs(Feature::fp), rows, fp_registers};

} // namespace mimic::isa::aarch64
