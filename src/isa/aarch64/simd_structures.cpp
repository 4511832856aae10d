// Loads and stores of one to four vectors, interleaved, of one lane, and replicated: Arm ARM C4.1.96, Advanced SIMD
// load/store structures. Post-indexed forms add the transfer's size, or a register.
#include "isa/aarch64/simd.hpp"
#include "isa/aarch64/tables.hpp"

namespace mimic::isa::aarch64 {

namespace {

bool interleaves(const I& i) { return i[ldsize] != 3 || i[Q]; }
Lane listed_lane(const I& i) { return Lane(i[ldsize]); }
i64 register_at(const I& i, u32 k) { return (i[Rt] + k) & 31; }

// The base after the transfer; taken before registers are written, as are all loads.
Val stepped(A64& t, const I& i, u32 bytes) {
    Val base = t.xsp(i[Rn]);
    return i[Rm] == 31 ? base + bytes : base + t.x(i[Rm]);
}

template <u32 Count>
std::array<Val, Count> load_all(A64& t, const I& i) {
    Type type = vector_type(i);
    std::array<Val, Count> v;
    for (u32 k = 0; k < Count; ++k) v[k] = t.load(type, t.xsp(i[Rn]) + i64(k * ir::size_of(type)), {.memory = type});
    return v;
}
template <u32 Count>
void store_all(A64& t, const I& i, const std::array<Val, Count>& v) {
    Type type = vector_type(i);
    for (u32 k = 0; k < Count; ++k) t.store(t.xsp(i[Rn]) + i64(k * ir::size_of(type)), v[k], {.memory = type});
}
template <u32 Count, bool Step>
void load_multiple(A64& t, const I& i) {
    auto v = load_all<Count>(t, i);
    if (Step) t.xsp(i[Rn], stepped(t, i, Count * ir::size_of(vector_type(i))));
    for (u32 k = 0; k < Count; ++k) t.v(register_at(i, k), v[k]);
}
template <u32 Count, bool Step>
void store_multiple(A64& t, const I& i) {
    std::array<Val, Count> v;
    for (u32 k = 0; k < Count; ++k) v[k] = vector(t, register_at(i, k), i);
    store_all<Count>(t, i, v);
    if (Step) t.xsp(i[Rn], stepped(t, i, Count * ir::size_of(vector_type(i))));
}

Val zipped(A64& t, Lane lane, u8 how, Val a, Val b) { return t.op(Op::vzip, a.type(), a, b, {}, 0, how, lane); }
constexpr u8 zip_low = 0, zip_high = 1, even = 2, odd = 3;

// Byte n of the result is byte from(n) of the three vectors in a row.
template <class From>
Val gathered(A64& t, const std::array<Val, 3>& v, From&& from) {
    u32 bytes = ir::size_of(v[0].type());
    u8 first[16], second[16];
    for (u32 n = 0; n < bytes; ++n) {
        u32 at = from(n);
        first[n] = at < 2 * bytes ? u8(at) : 255;
        second[n] = at < 2 * bytes ? u8(n) : u8(at - bytes); // what is found already, or of the third
    }
    Val low = t.op(Op::vshuffle, v[0].type(), v[0], v[1], {}, t.table(first, bytes));
    return t.op(Op::vshuffle, v[0].type(), low, v[2], {}, t.table(second, bytes));
}

template <u32 Count>
std::array<Val, Count> deinterleaved(A64& t, Lane lane, const std::array<Val, Count>& v) {
    if constexpr (Count == 2) {
        return {zipped(t, lane, even, v[0], v[1]), zipped(t, lane, odd, v[0], v[1])};
    } else if constexpr (Count == 3) {
        u32 size = ir::lane_bytes(lane);
        auto part = [&](u32 k) { return gathered(t, v, [&](u32 n) { return (n / size * 3 + k) * size + n % size; }); };
        return {part(0), part(1), part(2)};
    } else {
        Val e0 = zipped(t, lane, even, v[0], v[1]), e1 = zipped(t, lane, even, v[2], v[3]);
        Val o0 = zipped(t, lane, odd, v[0], v[1]), o1 = zipped(t, lane, odd, v[2], v[3]);
        return {zipped(t, lane, even, e0, e1), zipped(t, lane, even, o0, o1), zipped(t, lane, odd, e0, e1),
                zipped(t, lane, odd, o0, o1)};
    }
}
template <u32 Count>
std::array<Val, Count> interleaved(A64& t, Lane lane, const std::array<Val, Count>& v) {
    if constexpr (Count == 2) {
        return {zipped(t, lane, zip_low, v[0], v[1]), zipped(t, lane, zip_high, v[0], v[1])};
    } else if constexpr (Count == 3) {
        u32 size = ir::lane_bytes(lane), bytes = ir::size_of(v[0].type());
        auto part = [&](u32 k) {
            return gathered(t, v, [&](u32 n) {
                u32 element = (k * bytes + n) / size;
                return element % 3 * bytes + element / 3 * size + n % size;
            });
        };
        return {part(0), part(1), part(2)};
    } else {
        Val a0 = zipped(t, lane, zip_low, v[0], v[2]), a1 = zipped(t, lane, zip_high, v[0], v[2]);
        Val b0 = zipped(t, lane, zip_low, v[1], v[3]), b1 = zipped(t, lane, zip_high, v[1], v[3]);
        return {zipped(t, lane, zip_low, a0, b0), zipped(t, lane, zip_high, a0, b0), zipped(t, lane, zip_low, a1, b1),
                zipped(t, lane, zip_high, a1, b1)};
    }
}
template <u32 Count, bool Step>
void load_interleaved(A64& t, const I& i) {
    auto v = deinterleaved<Count>(t, listed_lane(i), load_all<Count>(t, i));
    if (Step) t.xsp(i[Rn], stepped(t, i, Count * ir::size_of(vector_type(i))));
    for (u32 k = 0; k < Count; ++k) t.v(register_at(i, k), v[k]);
}
template <u32 Count, bool Step>
void store_interleaved(A64& t, const I& i) {
    std::array<Val, Count> v;
    for (u32 k = 0; k < Count; ++k) v[k] = vector(t, register_at(i, k), i);
    store_all<Count>(t, i, interleaved<Count>(t, listed_lane(i), v));
    if (Step) t.xsp(i[Rn], stepped(t, i, Count * ir::size_of(vector_type(i))));
}

constexpr Type lane_type(Lane lane) {
    constexpr Type types[] = {Type::i8, Type::i16, Type::i32, Type::i64};
    return types[u8(lane)];
}
template <u32 Count, bool Step>
void load_replicated(A64& t, const I& i) {
    Lane lane = listed_lane(i);
    u32 bytes = ir::lane_bytes(lane);
    std::array<Val, Count> v;
    for (u32 k = 0; k < Count; ++k)
        v[k] = t.load(Type::i64, t.xsp(i[Rn]) + i64(k * bytes), {.memory = lane_type(lane)});
    if (Step) t.xsp(i[Rn], stepped(t, i, Count * bytes));
    for (u32 k = 0; k < Count; ++k) t.v(register_at(i, k), splat(t, vector_type(i), lane, v[k]));
}

// The index is Q:S:size, from the lane's width up.
template <Lane L>
u32 lane_index(const I& i) {
    return u32(i[Q] << 3 | i[Sld] << 2 | i[ldsize]) >> u8(L);
}
template <u32 Count, Lane L, bool Step>
void load_lane(A64& t, const I& i) {
    constexpr u32 bytes = ir::lane_bytes(L);
    std::array<Val, Count> v;
    for (u32 k = 0; k < Count; ++k) v[k] = t.load(Type::i64, t.xsp(i[Rn]) + i64(k * bytes), {.memory = lane_type(L)});
    if (Step) t.xsp(i[Rn], stepped(t, i, Count * bytes));
    for (u32 k = 0; k < Count; ++k) {
        Val old = t.v(register_at(i, k), Type::v128);
        t.v(register_at(i, k), t.op(Op::vset, Type::v128, old, v[k], {}, lane_index<L>(i), 0, L));
    }
}
template <u32 Count, Lane L, bool Step>
void store_lane(A64& t, const I& i) {
    constexpr u32 bytes = ir::lane_bytes(L);
    for (u32 k = 0; k < Count; ++k) {
        Val v = t.op(Op::vget, lane_type(L), t.v(register_at(i, k), Type::v128), {}, {}, lane_index<L>(i), 0, L);
        t.store(t.xsp(i[Rn]) + i64(k * bytes), v, {.memory = lane_type(L)});
    }
    if (Step) t.xsp(i[Rn], stepped(t, i, Count * bytes));
}

// clang-format off
constexpr R rows[] = {
    {"ld1       {list1}, [{XnSP}]",              "0 Q 0011000 1 000000 0111 ldsize Rn Rt",     load_multiple<1, false>},
    {"ld1       {list1}, [{XnSP}], {step1}",     "0 Q 0011001 1 0 Rm 0111 ldsize Rn Rt",       load_multiple<1, true>},
    {"st1       {list1}, [{XnSP}]",              "0 Q 0011000 0 000000 0111 ldsize Rn Rt",     store_multiple<1, false>},
    {"st1       {list1}, [{XnSP}], {step1}",     "0 Q 0011001 0 0 Rm 0111 ldsize Rn Rt",       store_multiple<1, true>},
    {"ld1       {list2}, [{XnSP}]",              "0 Q 0011000 1 000000 1010 ldsize Rn Rt",     load_multiple<2, false>},
    {"ld1       {list2}, [{XnSP}], {step2}",     "0 Q 0011001 1 0 Rm 1010 ldsize Rn Rt",       load_multiple<2, true>},
    {"st1       {list2}, [{XnSP}]",              "0 Q 0011000 0 000000 1010 ldsize Rn Rt",     store_multiple<2, false>},
    {"st1       {list2}, [{XnSP}], {step2}",     "0 Q 0011001 0 0 Rm 1010 ldsize Rn Rt",       store_multiple<2, true>},
    {"ld1       {list3}, [{XnSP}]",              "0 Q 0011000 1 000000 0110 ldsize Rn Rt",     load_multiple<3, false>},
    {"ld1       {list3}, [{XnSP}], {step3}",     "0 Q 0011001 1 0 Rm 0110 ldsize Rn Rt",       load_multiple<3, true>},
    {"st1       {list3}, [{XnSP}]",              "0 Q 0011000 0 000000 0110 ldsize Rn Rt",     store_multiple<3, false>},
    {"st1       {list3}, [{XnSP}], {step3}",     "0 Q 0011001 0 0 Rm 0110 ldsize Rn Rt",       store_multiple<3, true>},
    {"ld1       {list4}, [{XnSP}]",              "0 Q 0011000 1 000000 0010 ldsize Rn Rt",     load_multiple<4, false>},
    {"ld1       {list4}, [{XnSP}], {step4}",     "0 Q 0011001 1 0 Rm 0010 ldsize Rn Rt",       load_multiple<4, true>},
    {"st1       {list4}, [{XnSP}]",              "0 Q 0011000 0 000000 0010 ldsize Rn Rt",     store_multiple<4, false>},
    {"st1       {list4}, [{XnSP}], {step4}",     "0 Q 0011001 0 0 Rm 0010 ldsize Rn Rt",       store_multiple<4, true>},
    {"ld2       {list2}, [{XnSP}]",              "0 Q 0011000 1 000000 1000 ldsize Rn Rt",     load_interleaved<2, false>, interleaves},
    {"ld2       {list2}, [{XnSP}], {step2}",     "0 Q 0011001 1 0 Rm 1000 ldsize Rn Rt",       load_interleaved<2, true>, interleaves},
    {"st2       {list2}, [{XnSP}]",              "0 Q 0011000 0 000000 1000 ldsize Rn Rt",     store_interleaved<2, false>, interleaves},
    {"st2       {list2}, [{XnSP}], {step2}",     "0 Q 0011001 0 0 Rm 1000 ldsize Rn Rt",       store_interleaved<2, true>, interleaves},
    {"ld3       {list3}, [{XnSP}]",              "0 Q 0011000 1 000000 0100 ldsize Rn Rt",     load_interleaved<3, false>, interleaves},
    {"ld3       {list3}, [{XnSP}], {step3}",     "0 Q 0011001 1 0 Rm 0100 ldsize Rn Rt",       load_interleaved<3, true>, interleaves},
    {"st3       {list3}, [{XnSP}]",              "0 Q 0011000 0 000000 0100 ldsize Rn Rt",     store_interleaved<3, false>, interleaves},
    {"st3       {list3}, [{XnSP}], {step3}",     "0 Q 0011001 0 0 Rm 0100 ldsize Rn Rt",       store_interleaved<3, true>, interleaves},
    {"ld4       {list4}, [{XnSP}]",              "0 Q 0011000 1 000000 0000 ldsize Rn Rt",     load_interleaved<4, false>, interleaves},
    {"ld4       {list4}, [{XnSP}], {step4}",     "0 Q 0011001 1 0 Rm 0000 ldsize Rn Rt",       load_interleaved<4, true>, interleaves},
    {"st4       {list4}, [{XnSP}]",              "0 Q 0011000 0 000000 0000 ldsize Rn Rt",     store_interleaved<4, false>, interleaves},
    {"st4       {list4}, [{XnSP}], {step4}",     "0 Q 0011001 0 0 Rm 0000 ldsize Rn Rt",       store_interleaved<4, true>, interleaves},

    {"ld1r      {list1}, [{XnSP}]",              "0 Q 0011010 1 0 00000 110 0 ldsize Rn Rt",   load_replicated<1, false>},
    {"ld1r      {list1}, [{XnSP}], {stepr1}",    "0 Q 0011011 1 0 Rm 110 0 ldsize Rn Rt",      load_replicated<1, true>},
    {"ld2r      {list2}, [{XnSP}]",              "0 Q 0011010 1 1 00000 110 0 ldsize Rn Rt",   load_replicated<2, false>},
    {"ld2r      {list2}, [{XnSP}], {stepr2}",    "0 Q 0011011 1 1 Rm 110 0 ldsize Rn Rt",      load_replicated<2, true>},
    {"ld3r      {list3}, [{XnSP}]",              "0 Q 0011010 1 0 00000 111 0 ldsize Rn Rt",   load_replicated<3, false>},
    {"ld3r      {list3}, [{XnSP}], {stepr3}",    "0 Q 0011011 1 0 Rm 111 0 ldsize Rn Rt",      load_replicated<3, true>},
    {"ld4r      {list4}, [{XnSP}]",              "0 Q 0011010 1 1 00000 111 0 ldsize Rn Rt",   load_replicated<4, false>},
    {"ld4r      {list4}, [{XnSP}], {stepr4}",    "0 Q 0011011 1 1 Rm 111 0 ldsize Rn Rt",      load_replicated<4, true>},
    {"ld1       {blane1}, [{XnSP}]",             "0 Q 0011010 1 0 00000 000 Sld ldsize Rn Rt", load_lane<1, Lane::i8, false>},
    {"ld1       {blane1}, [{XnSP}], {stepb1}",   "0 Q 0011011 1 0 Rm 000 Sld ldsize Rn Rt",    load_lane<1, Lane::i8, true>},
    {"ld1       {hlane1}, [{XnSP}]",             "0 Q 0011010 1 0 00000 010 Sld lh 0 Rn Rt",   load_lane<1, Lane::i16, false>},
    {"ld1       {hlane1}, [{XnSP}], {steph1}",   "0 Q 0011011 1 0 Rm 010 Sld lh 0 Rn Rt",      load_lane<1, Lane::i16, true>},
    {"ld1       {slane1}, [{XnSP}]",             "0 Q 0011010 1 0 00000 100 Sld 00 Rn Rt",     load_lane<1, Lane::i32, false>},
    {"ld1       {slane1}, [{XnSP}], {steps1}",   "0 Q 0011011 1 0 Rm 100 Sld 00 Rn Rt",        load_lane<1, Lane::i32, true>},
    {"ld1       {dlane1}, [{XnSP}]",             "0 Q 0011010 1 0 00000 100 0 01 Rn Rt",       load_lane<1, Lane::i64, false>},
    {"ld1       {dlane1}, [{XnSP}], {stepd1}",   "0 Q 0011011 1 0 Rm 100 0 01 Rn Rt",          load_lane<1, Lane::i64, true>},
    {"st1       {blane1}, [{XnSP}]",             "0 Q 0011010 0 0 00000 000 Sld ldsize Rn Rt", store_lane<1, Lane::i8, false>},
    {"st1       {blane1}, [{XnSP}], {stepb1}",   "0 Q 0011011 0 0 Rm 000 Sld ldsize Rn Rt",    store_lane<1, Lane::i8, true>},
    {"st1       {hlane1}, [{XnSP}]",             "0 Q 0011010 0 0 00000 010 Sld lh 0 Rn Rt",   store_lane<1, Lane::i16, false>},
    {"st1       {hlane1}, [{XnSP}], {steph1}",   "0 Q 0011011 0 0 Rm 010 Sld lh 0 Rn Rt",      store_lane<1, Lane::i16, true>},
    {"st1       {slane1}, [{XnSP}]",             "0 Q 0011010 0 0 00000 100 Sld 00 Rn Rt",     store_lane<1, Lane::i32, false>},
    {"st1       {slane1}, [{XnSP}], {steps1}",   "0 Q 0011011 0 0 Rm 100 Sld 00 Rn Rt",        store_lane<1, Lane::i32, true>},
    {"st1       {dlane1}, [{XnSP}]",             "0 Q 0011010 0 0 00000 100 0 01 Rn Rt",       store_lane<1, Lane::i64, false>},
    {"st1       {dlane1}, [{XnSP}], {stepd1}",   "0 Q 0011011 0 0 Rm 100 0 01 Rn Rt",          store_lane<1, Lane::i64, true>},
    {"ld2       {blane2}, [{XnSP}]",             "0 Q 0011010 1 1 00000 000 Sld ldsize Rn Rt", load_lane<2, Lane::i8, false>},
    {"ld2       {blane2}, [{XnSP}], {stepb2}",   "0 Q 0011011 1 1 Rm 000 Sld ldsize Rn Rt",    load_lane<2, Lane::i8, true>},
    {"ld2       {hlane2}, [{XnSP}]",             "0 Q 0011010 1 1 00000 010 Sld lh 0 Rn Rt",   load_lane<2, Lane::i16, false>},
    {"ld2       {hlane2}, [{XnSP}], {steph2}",   "0 Q 0011011 1 1 Rm 010 Sld lh 0 Rn Rt",      load_lane<2, Lane::i16, true>},
    {"ld2       {slane2}, [{XnSP}]",             "0 Q 0011010 1 1 00000 100 Sld 00 Rn Rt",     load_lane<2, Lane::i32, false>},
    {"ld2       {slane2}, [{XnSP}], {steps2}",   "0 Q 0011011 1 1 Rm 100 Sld 00 Rn Rt",        load_lane<2, Lane::i32, true>},
    {"ld2       {dlane2}, [{XnSP}]",             "0 Q 0011010 1 1 00000 100 0 01 Rn Rt",       load_lane<2, Lane::i64, false>},
    {"ld2       {dlane2}, [{XnSP}], {stepd2}",   "0 Q 0011011 1 1 Rm 100 0 01 Rn Rt",          load_lane<2, Lane::i64, true>},
    {"st2       {blane2}, [{XnSP}]",             "0 Q 0011010 0 1 00000 000 Sld ldsize Rn Rt", store_lane<2, Lane::i8, false>},
    {"st2       {blane2}, [{XnSP}], {stepb2}",   "0 Q 0011011 0 1 Rm 000 Sld ldsize Rn Rt",    store_lane<2, Lane::i8, true>},
    {"st2       {hlane2}, [{XnSP}]",             "0 Q 0011010 0 1 00000 010 Sld lh 0 Rn Rt",   store_lane<2, Lane::i16, false>},
    {"st2       {hlane2}, [{XnSP}], {steph2}",   "0 Q 0011011 0 1 Rm 010 Sld lh 0 Rn Rt",      store_lane<2, Lane::i16, true>},
    {"st2       {slane2}, [{XnSP}]",             "0 Q 0011010 0 1 00000 100 Sld 00 Rn Rt",     store_lane<2, Lane::i32, false>},
    {"st2       {slane2}, [{XnSP}], {steps2}",   "0 Q 0011011 0 1 Rm 100 Sld 00 Rn Rt",        store_lane<2, Lane::i32, true>},
    {"st2       {dlane2}, [{XnSP}]",             "0 Q 0011010 0 1 00000 100 0 01 Rn Rt",       store_lane<2, Lane::i64, false>},
    {"st2       {dlane2}, [{XnSP}], {stepd2}",   "0 Q 0011011 0 1 Rm 100 0 01 Rn Rt",          store_lane<2, Lane::i64, true>},
    {"ld3       {blane3}, [{XnSP}]",             "0 Q 0011010 1 0 00000 001 Sld ldsize Rn Rt", load_lane<3, Lane::i8, false>},
    {"ld3       {blane3}, [{XnSP}], {stepb3}",   "0 Q 0011011 1 0 Rm 001 Sld ldsize Rn Rt",    load_lane<3, Lane::i8, true>},
    {"ld3       {hlane3}, [{XnSP}]",             "0 Q 0011010 1 0 00000 011 Sld lh 0 Rn Rt",   load_lane<3, Lane::i16, false>},
    {"ld3       {hlane3}, [{XnSP}], {steph3}",   "0 Q 0011011 1 0 Rm 011 Sld lh 0 Rn Rt",      load_lane<3, Lane::i16, true>},
    {"ld3       {slane3}, [{XnSP}]",             "0 Q 0011010 1 0 00000 101 Sld 00 Rn Rt",     load_lane<3, Lane::i32, false>},
    {"ld3       {slane3}, [{XnSP}], {steps3}",   "0 Q 0011011 1 0 Rm 101 Sld 00 Rn Rt",        load_lane<3, Lane::i32, true>},
    {"ld3       {dlane3}, [{XnSP}]",             "0 Q 0011010 1 0 00000 101 0 01 Rn Rt",       load_lane<3, Lane::i64, false>},
    {"ld3       {dlane3}, [{XnSP}], {stepd3}",   "0 Q 0011011 1 0 Rm 101 0 01 Rn Rt",          load_lane<3, Lane::i64, true>},
    {"st3       {blane3}, [{XnSP}]",             "0 Q 0011010 0 0 00000 001 Sld ldsize Rn Rt", store_lane<3, Lane::i8, false>},
    {"st3       {blane3}, [{XnSP}], {stepb3}",   "0 Q 0011011 0 0 Rm 001 Sld ldsize Rn Rt",    store_lane<3, Lane::i8, true>},
    {"st3       {hlane3}, [{XnSP}]",             "0 Q 0011010 0 0 00000 011 Sld lh 0 Rn Rt",   store_lane<3, Lane::i16, false>},
    {"st3       {hlane3}, [{XnSP}], {steph3}",   "0 Q 0011011 0 0 Rm 011 Sld lh 0 Rn Rt",      store_lane<3, Lane::i16, true>},
    {"st3       {slane3}, [{XnSP}]",             "0 Q 0011010 0 0 00000 101 Sld 00 Rn Rt",     store_lane<3, Lane::i32, false>},
    {"st3       {slane3}, [{XnSP}], {steps3}",   "0 Q 0011011 0 0 Rm 101 Sld 00 Rn Rt",        store_lane<3, Lane::i32, true>},
    {"st3       {dlane3}, [{XnSP}]",             "0 Q 0011010 0 0 00000 101 0 01 Rn Rt",       store_lane<3, Lane::i64, false>},
    {"st3       {dlane3}, [{XnSP}], {stepd3}",   "0 Q 0011011 0 0 Rm 101 0 01 Rn Rt",          store_lane<3, Lane::i64, true>},
    {"ld4       {blane4}, [{XnSP}]",             "0 Q 0011010 1 1 00000 001 Sld ldsize Rn Rt", load_lane<4, Lane::i8, false>},
    {"ld4       {blane4}, [{XnSP}], {stepb4}",   "0 Q 0011011 1 1 Rm 001 Sld ldsize Rn Rt",    load_lane<4, Lane::i8, true>},
    {"ld4       {hlane4}, [{XnSP}]",             "0 Q 0011010 1 1 00000 011 Sld lh 0 Rn Rt",   load_lane<4, Lane::i16, false>},
    {"ld4       {hlane4}, [{XnSP}], {steph4}",   "0 Q 0011011 1 1 Rm 011 Sld lh 0 Rn Rt",      load_lane<4, Lane::i16, true>},
    {"ld4       {slane4}, [{XnSP}]",             "0 Q 0011010 1 1 00000 101 Sld 00 Rn Rt",     load_lane<4, Lane::i32, false>},
    {"ld4       {slane4}, [{XnSP}], {steps4}",   "0 Q 0011011 1 1 Rm 101 Sld 00 Rn Rt",        load_lane<4, Lane::i32, true>},
    {"ld4       {dlane4}, [{XnSP}]",             "0 Q 0011010 1 1 00000 101 0 01 Rn Rt",       load_lane<4, Lane::i64, false>},
    {"ld4       {dlane4}, [{XnSP}], {stepd4}",   "0 Q 0011011 1 1 Rm 101 0 01 Rn Rt",          load_lane<4, Lane::i64, true>},
    {"st4       {blane4}, [{XnSP}]",             "0 Q 0011010 0 1 00000 001 Sld ldsize Rn Rt", store_lane<4, Lane::i8, false>},
    {"st4       {blane4}, [{XnSP}], {stepb4}",   "0 Q 0011011 0 1 Rm 001 Sld ldsize Rn Rt",    store_lane<4, Lane::i8, true>},
    {"st4       {hlane4}, [{XnSP}]",             "0 Q 0011010 0 1 00000 011 Sld lh 0 Rn Rt",   store_lane<4, Lane::i16, false>},
    {"st4       {hlane4}, [{XnSP}], {steph4}",   "0 Q 0011011 0 1 Rm 011 Sld lh 0 Rn Rt",      store_lane<4, Lane::i16, true>},
    {"st4       {slane4}, [{XnSP}]",             "0 Q 0011010 0 1 00000 101 Sld 00 Rn Rt",     store_lane<4, Lane::i32, false>},
    {"st4       {slane4}, [{XnSP}], {steps4}",   "0 Q 0011011 0 1 Rm 101 Sld 00 Rn Rt",        store_lane<4, Lane::i32, true>},
    {"st4       {dlane4}, [{XnSP}]",             "0 Q 0011010 0 1 00000 101 0 01 Rn Rt",       store_lane<4, Lane::i64, false>},
    {"st4       {dlane4}, [{XnSP}], {stepd4}",   "0 Q 0011011 0 1 Rm 101 0 01 Rn Rt",          store_lane<4, Lane::i64, true>},
};
// clang-format on

} // namespace

constinit const Table<AArch64> simd_structures{"AdvSIMD structures", needs(Feature::simd), rows, fp_registers};

} // namespace mimic::isa::aarch64
