// Integer lanes, moves between lanes, masks.
#include "ir/estimate.hpp"
#include "ir/interpreter_run.hpp"
#include <algorithm>
#include <limits>
#include <type_traits>

namespace mimic::ir {

namespace {

template <class L>
L lane(const u8* from, u32 n) {
    L v;
    std::memcpy(&v, from + n * sizeof(L), sizeof(L));
    return v;
}
template <class L>
void set_lane(u8* to, u32 n, L v) {
    std::memcpy(to + n * sizeof(L), &v, sizeof(L));
}

// Lanes as exact integers: wide enough for every sum, product and shift below.
using Exact = mimic::i128;

template <class L>
L clamp_to(Exact v, bool& saturated) {
    constexpr Exact low = std::numeric_limits<L>::min(), high = std::numeric_limits<L>::max();
    if (v >= low && v <= high) return L(v);
    saturated = true;
    return L(v < low ? low : high);
}

// v << by, or >> -by (rounded: plus half a unit of the last place); all of -128..127 is right. A left shift that does
// not fit is some number beyond the lane's range with v's sign, which wraps to the right low bits.
template <class L>
Exact shifted(L v, int by, bool round) {
    constexpr int width = 8 * sizeof(L);
    if (by >= width) return v == 0 ? 0 : Exact(v < 0 ? -1 : 1) << 120;
    if (by >= 0) return Exact(v) * (Exact(1) << by);
    if (by < -width) return round ? 0 : v < 0 ? -1 : 0;
    return (Exact(v) + (round ? Exact(1) << (-by - 1) : 0)) >> -by;
}

template <class U>
U carry_less(U a, U b) {
    U r = 0;
    for (u32 n = 0; n < 8 * sizeof(U); ++n)
        if (b >> n & 1) r = U(r ^ U(a << n));
    return r;
}

template <class U>
U reversed_bits(U v) {
    U r = 0;
    for (u32 n = 0; n < 8 * sizeof(U); ++n) r = U(r << 1 | (v >> n & 1));
    return r;
}

template <class U>
U binary(VBin kind, U a, U b, bool& saturated) {
    using S = std::make_signed_t<U>;
    constexpr u32 width = 8 * sizeof(U);
    const S x = S(a), y = S(b);
    const int by = i8(b);
    switch (kind) {
    case VBin::add: return U(a + b);
    case VBin::sub: return U(a - b);
    case VBin::mul: return U(u64(a) * b);
    case VBin::and_: return a & b;
    case VBin::or_: return a | b;
    case VBin::xor_: return a ^ b;
    case VBin::andn: return a & U(~b);
    case VBin::orn: return a | U(~b);
    case VBin::umin:
    case VBin::uminp: return std::min(a, b);
    case VBin::umax:
    case VBin::umaxp: return std::max(a, b);
    case VBin::smin:
    case VBin::sminp: return U(std::min(x, y));
    case VBin::smax:
    case VBin::smaxp: return U(std::max(x, y));
    case VBin::addp: return U(a + b);
    case VBin::uadd_sat: return clamp_to<U>(Exact(a) + b, saturated);
    case VBin::sadd_sat: return U(clamp_to<S>(Exact(x) + y, saturated));
    case VBin::usub_sat: return clamp_to<U>(Exact(a) - b, saturated);
    case VBin::ssub_sat: return U(clamp_to<S>(Exact(x) - y, saturated));
    case VBin::uavg: return U((Exact(a) + b + 1) >> 1);
    case VBin::uavg_down: return U((Exact(a) + b) >> 1);
    case VBin::savg_down: return U((Exact(x) + y) >> 1);
    case VBin::srhadd_up: return U((Exact(x) + y + 1) >> 1);
    case VBin::usub_half: return U((Exact(a) - b) >> 1);
    case VBin::ssub_half: return U((Exact(x) - y) >> 1);
    case VBin::uabd: return U(a > b ? a - b : b - a);
    case VBin::sabd: return U(x > y ? a - b : b - a);
    case VBin::shl: return b >= width ? U(0) : U(a << b);
    case VBin::lshr: return b >= width ? U(0) : U(a >> b);
    case VBin::ashr: return U(x >> (b >= width ? width - 1 : b));
    case VBin::ushl_signed: return by >= int(width) ? U(0) : U(shifted<U>(a, by, false));
    case VBin::sshl_signed: return by >= int(width) ? U(0) : U(shifted<S>(x, by, false));
    case VBin::urshl: return by >= int(width) ? U(0) : U(shifted<U>(a, by, true));
    case VBin::srshl: return by >= int(width) ? U(0) : U(shifted<S>(x, by, true));
    case VBin::uqshl: return clamp_to<U>(shifted<U>(a, by, false), saturated);
    case VBin::sqshl: return U(clamp_to<S>(shifted<S>(x, by, false), saturated));
    case VBin::uqrshl: return clamp_to<U>(shifted<U>(a, by, true), saturated);
    case VBin::sqrshl: return U(clamp_to<S>(shifted<S>(x, by, true), saturated));
    case VBin::mulhs: return U(Exact(x) * y >> width);
    case VBin::mulhu: return U(u128(a) * b >> width);
    case VBin::sqdmulh: return U(clamp_to<S>(Exact(x) * y >> (width - 1), saturated));
    case VBin::sqrdmulh: return U(clamp_to<S>((Exact(x) * y + (Exact(1) << (width - 2))) >> (width - 1), saturated));
    case VBin::pmul: return carry_less(a, b);
    case VBin::suqadd: return U(clamp_to<S>(Exact(x) + b, saturated));
    case VBin::usqadd: return clamp_to<U>(Exact(a) + y, saturated);
    default: return 0; // FP kinds: interpreter_vector_fp.cpp
    }
}

template <class U>
U unary(VUn kind, U a, bool& saturated) {
    using S = std::make_signed_t<U>;
    const S x = S(a);
    switch (kind) {
    case VUn::not_: return U(~a);
    case VUn::neg: return U(0 - a);
    case VUn::abs: return x < 0 ? U(0 - a) : a;
    case VUn::sqabs: return U(clamp_to<S>(x < 0 ? -Exact(x) : Exact(x), saturated));
    case VUn::sqneg: return U(clamp_to<S>(-Exact(x), saturated));
    case VUn::clz: return U(std::countl_zero(a));
    case VUn::cls: return U(std::countl_zero(U(x < 0 ? ~a : a)) - 1);
    case VUn::cnt: return U(std::popcount(a));
    case VUn::bitrev: return reversed_bits(a);
    case VUn::urecpe: return U(a >> 31 ? u64(reciprocal_estimate(u32(a >> 23))) << 23 : 0xffffffff);
    case VUn::ursqrte: return U(a >> 30 ? u64(reciprocal_root_estimate(u32(a >> 23))) << 23 : 0xffffffff);
    default: return 0;
    }
}

// c + the products of the bytes of a and b, which are signed or not.
template <class A, class B>
u32 dot_product(u32 a, u32 b, u32 c) {
    for (u32 k = 0; k < 32; k += 8) c += u32(i32(A(a >> k)) * i32(B(b >> k)));
    return c;
}

template <class U>
U ternary(VTern kind, U a, U b, U c, bool& saturated) {
    using S = std::make_signed_t<U>;
    constexpr u32 width = 8 * sizeof(U);
    // The accumulator is the high half: 2 * a * b stays below 2^127 in magnitude, c << width may not.
    auto high_half = [&](bool subtract) {
        Exact product = Exact(S(a)) * S(b);
        if (subtract) product = -product;
        Exact sum = (product + (Exact(1) << (width - 2))) >> (width - 1);
        return U(clamp_to<S>(sum + S(c), saturated));
    };
    switch (kind) {
    case VTern::mla: return U(c + u64(a) * b);
    case VTern::mls: return U(c - u64(a) * b);
    case VTern::bsl: return U((a & b) | (U(~a) & c));
    case VTern::sqrdmlah: return high_half(false);
    case VTern::sqrdmlsh: return high_half(true);
    case VTern::sdot: return U(dot_product<i8, i8>(u32(a), u32(b), u32(c)));
    case VTern::udot: return U(dot_product<u8, u8>(u32(a), u32(b), u32(c)));
    case VTern::usdot: return U(dot_product<u8, i8>(u32(a), u32(b), u32(c)));
    default: return 0; // FP: interpreter_vector_fp.cpp; lanes of 128 bits: interpreter_crypto.cpp
    }
}

template <class U>
U shift(VShift kind, U a, u32 n, bool& saturated) {
    using S = std::make_signed_t<U>;
    constexpr u32 width = 8 * sizeof(U);
    const S x = S(a);
    const int right = -int(std::min(n, 127u));
    switch (kind) {
    case VShift::shl: return n >= width ? U(0) : U(a << n);
    case VShift::lshr: return n >= width ? U(0) : U(a >> n);
    case VShift::ashr: return U(x >> std::min(n, width - 1));
    case VShift::rotr: return std::rotr(a, int(n % width));
    case VShift::urshr: return U(shifted<U>(a, right, n != 0));
    case VShift::srshr: return U(shifted<S>(x, right, n != 0));
    case VShift::sqshl: return U(clamp_to<S>(shifted<S>(x, -right, false), saturated));
    case VShift::uqshl: return clamp_to<U>(shifted<U>(a, -right, false), saturated);
    case VShift::sqshlu: return clamp_to<U>(shifted<S>(x, -right, false), saturated);
    }
    return 0;
}

template <class U>
bool related(VRel rel, U a, U b) {
    using S = std::make_signed_t<U>;
    switch (rel) {
    case VRel::eq: return a == b;
    case VRel::ugt: return a > b;
    case VRel::uge: return a >= b;
    case VRel::sgt: return S(a) > S(b);
    case VRel::sge: return S(a) >= S(b);
    case VRel::tst: return (a & b) != 0;
    default: return false;
    }
}

constexpr bool pairwise(VBin k) { return k >= VBin::addp && k <= VBin::sminp; }

template <class U>
void binary_lanes(const Inst& i, const u8* a, const u8* b, const u8* mask, u8* out, u32 n, bool& saturated) {
    auto both = [&](u32 k) { return k < n ? lane<U>(a, k) : lane<U>(b, k - n); };
    for (u32 k = 0; k < n; ++k) {
        U x = lane<U>(a, k), y = lane<U>(b, k), first = x;
        if (pairwise(VBin(i.sub))) x = both(2 * k), y = both(2 * k + 1);
        set_lane<U>(out, k, mask && !mask_bit(mask, k, sizeof(U)) ? first : binary<U>(VBin(i.sub), x, y, saturated));
    }
}

template <class U>
void pair_sums(const Inst& i, const u8* a, u8* out, u32 n) {
    using S = std::make_signed_t<U>;
    bool is_signed = VUn(i.sub) == VUn::saddlp;
    for (u32 k = 0; k + 1 < n; k += 2) {
        U x = lane<U>(a, k), y = lane<U>(a, k + 1);
        u64 sum = is_signed ? u64(i64(S(x)) + S(y)) : u64(x) + y;
        std::memcpy(out + k * sizeof(U), &sum, 2 * sizeof(U));
    }
}

template <class U>
void unary_lanes(const Inst& i, const u8* a, u8* out, u32 n, bool& saturated) {
    VUn kind = VUn(i.sub);
    if (kind == VUn::saddlp || kind == VUn::uaddlp) {
        if constexpr (sizeof(U) < 8) pair_sums<U>(i, a, out, n);
        return;
    }
    u32 group = kind == VUn::rev16 ? 2 : kind == VUn::rev32 ? 4 : kind == VUn::rev64 ? 8 : 0;
    u32 swap = group ? group / u32(sizeof(U)) - 1 : 0;
    for (u32 k = 0; k < n; ++k)
        set_lane<U>(out, k, group ? lane<U>(a, k ^ swap) : unary<U>(kind, lane<U>(a, k), saturated));
}

template <class U>
void narrow_lanes(const Inst& i, const u8* from, u8* out, u32 n, bool& saturated) {
    using N = std::conditional_t<sizeof(U) == 8, u32, std::conditional_t<sizeof(U) == 4, u16, u8>>;
    using S = std::make_signed_t<U>;
    for (u32 k = 0; k < n; ++k) {
        U v = lane<U>(from, k);
        N r = N(v);
        if (VNarrow(i.sub) == VNarrow::uqxtn) r = clamp_to<N>(v, saturated);
        if (VNarrow(i.sub) == VNarrow::sqxtn) r = N(clamp_to<std::make_signed_t<N>>(S(v), saturated));
        if (VNarrow(i.sub) == VNarrow::sqxtun) r = clamp_to<N>(S(v), saturated);
        set_lane<N>(out, k, r);
    }
}

template <class U>
u64 reduce_lanes(VReduce kind, const u8* a, u32 n) {
    using S = std::make_signed_t<U>;
    U r = lane<U>(a, 0);
    u64 sum = kind == VReduce::saddl ? u64(i64(S(r))) : u64(r);
    for (u32 k = 1; k < n; ++k) {
        U v = lane<U>(a, k);
        sum += kind == VReduce::saddl ? u64(i64(S(v))) : u64(v);
        if (kind == VReduce::umin) r = std::min(r, v);
        if (kind == VReduce::umax) r = std::max(r, v);
        if (kind == VReduce::smin) r = U(std::min(S(r), S(v)));
        if (kind == VReduce::smax) r = U(std::max(S(r), S(v)));
    }
    return kind == VReduce::add || kind == VReduce::uaddl || kind == VReduce::saddl ? sum : u64(r);
}

template <class F>
void with_lane(Lane l, F&& f) {
    switch (lane_bytes(l)) {
    case 1: return f(u8{});
    case 2: return f(u16{});
    case 4: return f(u32{});
    default: return f(u64{});
    }
}

} // namespace

void Run::vector(const Inst& i, Place& out) {
    auto kinds = kinds_of(i.op);
    if (!kinds.empty() && kinds[i.sub].effect == 'F') return vector_fp(i, out);
    if (i.op == Op::vwiden && is_fp(i.lane)) return vector_fp(i, out);
    if (is_crypto(i)) return crypto(i, out);
    if (!kinds.empty() || i.op == Op::vwiden) return lanes(i, out);
    if (i.op == Op::mask_lt || i.op == Op::mask_op || i.op == Op::mask_count || i.op == Op::vselect)
        return masks(i, out);
    moves(i, out);
}

// The families of kinds.def on integer lanes.
void Run::lanes(const Inst& i, Place& out) {
    bool saturated = false;
    u32 size = lane_bytes(i.lane), total = bytes_of(type_of(i.a)), n = total / size;
    u8* to = result(out, i.type);
    const u8* a = bytes(i.a);
    auto operand = [&](ValueId v) { return v == none ? nullptr : bytes(v); };
    with_lane(i.lane, [&]<class U>(U) {
        switch (i.op) {
        case Op::vbin: binary_lanes<U>(i, a, bytes(i.b), operand(i.c), to, n, saturated); break;
        case Op::vun:
            if (VUn(i.sub) == VUn::fneg || VUn(i.sub) == VUn::fabs)
                for (u32 k = 0; k < n; ++k) {
                    U v = lane<U>(a, k), sign = U(U(1) << (8 * sizeof(U) - 1));
                    set_lane<U>(to, k, VUn(i.sub) == VUn::fneg ? U(v ^ sign) : U(v & ~sign));
                }
            else
                unary_lanes<U>(i, a, to, n, saturated);
            break;
        case Op::vtern:
            for (u32 k = 0; k < n; ++k)
                set_lane<U>(
                    to, k,
                    ternary<U>(VTern(i.sub), lane<U>(a, k), lane<U>(bytes(i.b), k), lane<U>(bytes(i.c), k), saturated));
            break;
        case Op::vshift:
            for (u32 k = 0; k < n; ++k)
                set_lane<U>(to, k, shift<U>(VShift(i.sub), lane<U>(a, k), u32(std::min<u64>(i.imm, 127)), saturated));
            break;
        case Op::vcmp:
            for (u32 k = 0; k < n; ++k) {
                bool yes = related<U>(VRel(i.sub), lane<U>(a, k), lane<U>(bytes(i.b), k));
                if (i.type != Type::mask)
                    set_lane<U>(to, k, yes ? U(~U(0)) : U(0));
                else if (yes)
                    set_mask_bit(to, k, sizeof(U));
            }
            break;
        case Op::vwiden: {
            u32 count = bytes_of(i.type) / (2 * size);
            for (u32 k = 0; k < count; ++k) {
                U v = lane<U>(a, k + (i.sub & 1 ? count : 0));
                u64 wide = i.sub & 2 ? u64(i64(std::make_signed_t<U>(v))) : u64(v);
                std::memcpy(to + k * 2 * size, &wide, 2 * size);
            }
            break;
        }
        case Op::vnarrow:
            if constexpr (sizeof(U) > 1) {
                narrow_lanes<U>(i, a, to, n, saturated);
                if (i.b != none) narrow_lanes<U>(i, bytes(i.b), to + total / 2, n, saturated);
            }
            break;
        default: { // vreduce
            u64 r = reduce_lanes<U>(VReduce(i.sub), a, n);
            out = {{r & mask_of(i.type), 0}};
        }
        }
    });
    if (saturated) cpu.fp.flags |= fpflag::saturated & guest.fp_flags;
}

void Run::moves(const Inst& i, Place& out) {
    u32 size = lane_bytes(i.lane), total = bytes_of(i.type), n = total / size;
    u8* to = result(out, i.type);
    const u8* a = bytes(i.a);
    const u8* b = i.b == none ? nullptr : bytes(i.b);
    switch (i.op) {
    case Op::vsplat:
        for (u32 k = 0; k < n; ++k) std::memcpy(to + k * size, a, size);
        break;
    case Op::vget: std::memcpy(&out, a + i.imm * size, size); break;
    case Op::vset:
        std::memcpy(to, a, total);
        std::memcpy(to + i.imm * size, b, size);
        break;
    case Op::vbits:
        out.w[0] = 0;
        for (u32 k = 0; k < bytes_of(type_of(i.a)) / size; ++k) out.w[0] |= u64(a[(k + 1) * size - 1] >> 7) << k;
        break;
    case Op::vlanes:
        for (u32 k = 0; k < n; ++k) std::memset(to + k * size, value(i.a) >> (i.imm + k) & 1 ? 0xff : 0, size);
        break;
    case Op::vshuffle:
        for (u32 k = 0; k < total; ++k) {
            u32 from = u8(unit.wide[i.imm + k / 8] >> k % 8 * 8);
            to[k] = from < total ? a[from] : from < 2 * total ? b[from - total] : u8(0);
        }
        break;
    case Op::vtbl:
        for (u32 k = 0; k < total; ++k) to[k] = b[k] < total ? a[b[k]] : u8(0);
        break;
    case Op::vext:
        for (u32 k = 0; k < total; ++k) to[k] = k + i.imm < total ? a[k + i.imm] : b[k + i.imm - total];
        break;
    default: // vzip
        for (u32 k = 0; k < n; ++k) {
            const u8* from = a;
            u32 from_lane = 0;
            if (i.sub < 2)
                from = k & 1 ? b : a, from_lane = k / 2 + (i.sub ? n / 2 : 0);
            else if (i.sub < 4)
                from = k < n / 2 ? a : b, from_lane = (2 * k) % n + (i.sub - 2);
            else
                from = k & 1 ? b : a, from_lane = (k & ~1u) + (i.sub - 4);
            std::memcpy(to + k * size, from + from_lane * size, size);
        }
    }
}

void Run::masks(const Inst& i, Place& out) {
    u32 size = lane_bytes(i.lane);
    u8* to = result(out, result_type(i));
    const u8* a = bytes(i.a);
    if (i.op == Op::mask_lt) {
        for (u32 n = 0; n < 256 / size && n < value(i.a); ++n) set_mask_bit(to, n, size);
    } else if (i.op == Op::mask_count) {
        for (u32 n = 0; n < 256 / size; ++n) out.w[0] += mask_bit(a, n, size);
    } else if (i.op == Op::mask_op) {
        const u8* b = bytes(i.b);
        for (u32 n = 0; n < 32; ++n) {
            u8 r[] = {u8(a[n] & b[n]), u8(a[n] | b[n]), u8(a[n] ^ b[n]), u8(a[n] & ~b[n])};
            to[n] = r[i.sub];
        }
    } else { // vselect
        bool by_mask = type_of(i.a) == Type::mask;
        u32 total = bytes_of(i.type);
        const u8 *b = bytes(i.b), *c = bytes(i.c);
        for (u32 n = 0; n < total; ++n) {
            u8 pick = by_mask ? u8(mask_bit(a, n / size, size) ? 0xff : 0) : a[n];
            to[n] = u8((pick & b[n]) | (~pick & c[n]));
        }
    }
}

} // namespace mimic::ir
