// Loads and stores of register pairs: Arm ARM C4.1.96 (Loads and Stores), load/store register pair.
#include "isa/aarch64/memory.hpp"
#include "isa/aarch64/tables.hpp"

namespace mimic::isa::aarch64 {

namespace {

using enum Type;

template <At A, Type M>
Val pair_address(A64& t, const I& i) {
    Val base = t.xsp(i[Rn]);
    return A == At::post ? base : base + i[imm7] * ir::size_of(M);
}
template <At A, Type M>
WriteBack<A> pair_base(A64& t, const I& i) {
    return {t, i, i[imm7] * ir::size_of(M)};
}
template <At A, Type M, bool Sign = false>
void load_pair(A64& t, const I& i) {
    Val address = pair_address<A, M>(t, i);
    WriteBack<A> base = pair_base<A, M>(t, i);
    Val first = t.load(i64, address, {.memory = M, .sign = Sign});
    Val second = t.load(i64, address + ir::size_of(M), {.memory = M, .sign = Sign});
    t.x(i[Rt], first);
    t.x(i[Rt2], second);
    base.commit();
}
template <At A, Type M>
void store_pair(A64& t, const I& i) {
    Val address = pair_address<A, M>(t, i);
    WriteBack<A> base = pair_base<A, M>(t, i);
    t.store(address, t.x(i[Rt]).trunc(M), {.memory = M});
    t.store(address + ir::size_of(M), t.x(i[Rt2]).trunc(M), {.memory = M});
    base.commit();
}
template <At A, Type M>
void load_pair_vector(A64& t, const I& i) {
    Val address = pair_address<A, M>(t, i);
    WriteBack<A> base = pair_base<A, M>(t, i);
    Val first = t.load(M, address, {.memory = M}), second = t.load(M, address + ir::size_of(M), {.memory = M});
    t.v(i[Rt], first);
    t.v(i[Rt2], second);
    base.commit();
}
template <At A, Type M>
void store_pair_vector(A64& t, const I& i) {
    Val address = pair_address<A, M>(t, i);
    WriteBack<A> base = pair_base<A, M>(t, i);
    t.store(address, t.v(i[Rt], M), {.memory = M});
    t.store(address + ir::size_of(M), t.v(i[Rt2], M), {.memory = M});
    base.commit();
}

// clang-format off
constexpr R rows[] = {
    // no-allocate pair, offset
    {"stnp    {Wt}, {Wt2}, [{XnSP}{pair4}]",   "00 101 0 000 0 imm7 Rt2 Rn Rt",              store_pair<At::unscaled, i32>},
    {"ldnp    {Wt}, {Wt2}, [{XnSP}{pair4}]",   "00 101 0 000 1 imm7 Rt2 Rn Rt",              load_pair<At::unscaled, i32>},
    {"stnp    {Xt}, {Xt2}, [{XnSP}{pair8}]",   "10 101 0 000 0 imm7 Rt2 Rn Rt",              store_pair<At::unscaled, i64>},
    {"ldnp    {Xt}, {Xt2}, [{XnSP}{pair8}]",   "10 101 0 000 1 imm7 Rt2 Rn Rt",              load_pair<At::unscaled, i64>},
    // pair, post-indexed
    {"stp     {Wt}, {Wt2}, [{XnSP}], #{pair4p}","00 101 0 001 0 imm7 Rt2 Rn Rt",              store_pair<At::post, i32>},
    {"ldp     {Wt}, {Wt2}, [{XnSP}], #{pair4p}","00 101 0 001 1 imm7 Rt2 Rn Rt",              load_pair<At::post, i32>},
    {"stp     {Xt}, {Xt2}, [{XnSP}], #{pair8p}","10 101 0 001 0 imm7 Rt2 Rn Rt",              store_pair<At::post, i64>},
    {"ldp     {Xt}, {Xt2}, [{XnSP}], #{pair8p}","10 101 0 001 1 imm7 Rt2 Rn Rt",              load_pair<At::post, i64>},
    {"ldpsw   {Xt}, {Xt2}, [{XnSP}], #{pair4p}","01 101 0 001 1 imm7 Rt2 Rn Rt",              load_pair<At::post, i32, true>},
    // pair, offset
    {"stp     {Wt}, {Wt2}, [{XnSP}{pair4}]",   "00 101 0 010 0 imm7 Rt2 Rn Rt",              store_pair<At::unscaled, i32>},
    {"ldp     {Wt}, {Wt2}, [{XnSP}{pair4}]",   "00 101 0 010 1 imm7 Rt2 Rn Rt",              load_pair<At::unscaled, i32>},
    {"stp     {Xt}, {Xt2}, [{XnSP}{pair8}]",   "10 101 0 010 0 imm7 Rt2 Rn Rt",              store_pair<At::unscaled, i64>},
    {"ldp     {Xt}, {Xt2}, [{XnSP}{pair8}]",   "10 101 0 010 1 imm7 Rt2 Rn Rt",              load_pair<At::unscaled, i64>},
    {"ldpsw   {Xt}, {Xt2}, [{XnSP}{pair4}]",   "01 101 0 010 1 imm7 Rt2 Rn Rt",              load_pair<At::unscaled, i32, true>},
    // pair, pre-indexed
    {"stp     {Wt}, {Wt2}, [{XnSP}, #{pair4p}]!","00 101 0 011 0 imm7 Rt2 Rn Rt",              store_pair<At::pre, i32>},
    {"ldp     {Wt}, {Wt2}, [{XnSP}, #{pair4p}]!","00 101 0 011 1 imm7 Rt2 Rn Rt",              load_pair<At::pre, i32>},
    {"stp     {Xt}, {Xt2}, [{XnSP}, #{pair8p}]!","10 101 0 011 0 imm7 Rt2 Rn Rt",              store_pair<At::pre, i64>},
    {"ldp     {Xt}, {Xt2}, [{XnSP}, #{pair8p}]!","10 101 0 011 1 imm7 Rt2 Rn Rt",              load_pair<At::pre, i64>},
    {"ldpsw   {Xt}, {Xt2}, [{XnSP}, #{pair4p}]!","01 101 0 011 1 imm7 Rt2 Rn Rt",              load_pair<At::pre, i32, true>},
};

constexpr R vector_rows[] = {
    // no-allocate pair, offset
    {"stnp    {St}, {St2}, [{XnSP}{pair4}]",   "00 101 1 000 0 imm7 Rt2 Rn Rt",              store_pair_vector<At::unscaled, f32>},
    {"ldnp    {St}, {St2}, [{XnSP}{pair4}]",   "00 101 1 000 1 imm7 Rt2 Rn Rt",              load_pair_vector<At::unscaled, f32>},
    {"stnp    {Dt}, {Dt2}, [{XnSP}{pair8}]",   "01 101 1 000 0 imm7 Rt2 Rn Rt",              store_pair_vector<At::unscaled, f64>},
    {"ldnp    {Dt}, {Dt2}, [{XnSP}{pair8}]",   "01 101 1 000 1 imm7 Rt2 Rn Rt",              load_pair_vector<At::unscaled, f64>},
    {"stnp    {Qt}, {Qt2}, [{XnSP}{pair16}]",  "10 101 1 000 0 imm7 Rt2 Rn Rt",              store_pair_vector<At::unscaled, v128>},
    {"ldnp    {Qt}, {Qt2}, [{XnSP}{pair16}]",  "10 101 1 000 1 imm7 Rt2 Rn Rt",              load_pair_vector<At::unscaled, v128>},
    // pair, post-indexed
    {"stp     {St}, {St2}, [{XnSP}], #{pair4p}","00 101 1 001 0 imm7 Rt2 Rn Rt",              store_pair_vector<At::post, f32>},
    {"ldp     {St}, {St2}, [{XnSP}], #{pair4p}","00 101 1 001 1 imm7 Rt2 Rn Rt",              load_pair_vector<At::post, f32>},
    {"stp     {Dt}, {Dt2}, [{XnSP}], #{pair8p}","01 101 1 001 0 imm7 Rt2 Rn Rt",              store_pair_vector<At::post, f64>},
    {"ldp     {Dt}, {Dt2}, [{XnSP}], #{pair8p}","01 101 1 001 1 imm7 Rt2 Rn Rt",              load_pair_vector<At::post, f64>},
    {"stp     {Qt}, {Qt2}, [{XnSP}], #{pair16p}","10 101 1 001 0 imm7 Rt2 Rn Rt",              store_pair_vector<At::post, v128>},
    {"ldp     {Qt}, {Qt2}, [{XnSP}], #{pair16p}","10 101 1 001 1 imm7 Rt2 Rn Rt",              load_pair_vector<At::post, v128>},
    // pair, offset
    {"stp     {St}, {St2}, [{XnSP}{pair4}]",   "00 101 1 010 0 imm7 Rt2 Rn Rt",              store_pair_vector<At::unscaled, f32>},
    {"ldp     {St}, {St2}, [{XnSP}{pair4}]",   "00 101 1 010 1 imm7 Rt2 Rn Rt",              load_pair_vector<At::unscaled, f32>},
    {"stp     {Dt}, {Dt2}, [{XnSP}{pair8}]",   "01 101 1 010 0 imm7 Rt2 Rn Rt",              store_pair_vector<At::unscaled, f64>},
    {"ldp     {Dt}, {Dt2}, [{XnSP}{pair8}]",   "01 101 1 010 1 imm7 Rt2 Rn Rt",              load_pair_vector<At::unscaled, f64>},
    {"stp     {Qt}, {Qt2}, [{XnSP}{pair16}]",  "10 101 1 010 0 imm7 Rt2 Rn Rt",              store_pair_vector<At::unscaled, v128>},
    {"ldp     {Qt}, {Qt2}, [{XnSP}{pair16}]",  "10 101 1 010 1 imm7 Rt2 Rn Rt",              load_pair_vector<At::unscaled, v128>},
    // pair, pre-indexed
    {"stp     {St}, {St2}, [{XnSP}, #{pair4p}]!","00 101 1 011 0 imm7 Rt2 Rn Rt",              store_pair_vector<At::pre, f32>},
    {"ldp     {St}, {St2}, [{XnSP}, #{pair4p}]!","00 101 1 011 1 imm7 Rt2 Rn Rt",              load_pair_vector<At::pre, f32>},
    {"stp     {Dt}, {Dt2}, [{XnSP}, #{pair8p}]!","01 101 1 011 0 imm7 Rt2 Rn Rt",              store_pair_vector<At::pre, f64>},
    {"ldp     {Dt}, {Dt2}, [{XnSP}, #{pair8p}]!","01 101 1 011 1 imm7 Rt2 Rn Rt",              load_pair_vector<At::pre, f64>},
    {"stp     {Qt}, {Qt2}, [{XnSP}, #{pair16p}]!","10 101 1 011 0 imm7 Rt2 Rn Rt",              store_pair_vector<At::pre, v128>},
    {"ldp     {Qt}, {Qt2}, [{XnSP}, #{pair16p}]!","10 101 1 011 1 imm7 Rt2 Rn Rt",              load_pair_vector<At::pre, v128>},
};
// clang-format on

} // namespace

constinit const Table<AArch64> pairs{"pairs", needs(Feature::base), rows};
constinit const Table<AArch64> pairs_vector{"pairs, SIMD and FP", needs(Feature::fp), vector_rows, fp_registers};

} // namespace mimic::isa::aarch64
