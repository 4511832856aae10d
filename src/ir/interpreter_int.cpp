// Integer operations that are not one line: division, bit counting, 128 bits, condition codes, conversions.
#include "ir/interpreter_run.hpp"

namespace mimic::ir {

namespace {

u64 ones(u32 n) { return n >= 64 ? ~u64{0} : (u64{1} << n) - 1; }
u128 ones128(u32 n) { return n >= 128 ? ~u128{0} : (u128{1} << n) - 1; }

u64 reversed(u64 v) {
    v = (v >> 1 & 0x5555555555555555) | (v & 0x5555555555555555) << 1;
    v = (v >> 2 & 0x3333333333333333) | (v & 0x3333333333333333) << 2;
    v = (v >> 4 & 0x0f0f0f0f0f0f0f0f) | (v & 0x0f0f0f0f0f0f0f0f) << 4;
    return __builtin_bswap64(v);
}
u128 swapped(u128 v) { return u128(__builtin_bswap64(u64(v))) << 64 | __builtin_bswap64(u64(v >> 64)); }

u128 high_product(u128 a, u128 b) {
    u64 a0 = u64(a), a1 = u64(a >> 64), b0 = u64(b), b1 = u64(b >> 64);
    u128 middle = (u128(a0) * b0 >> 64) + u64(u128(a1) * b0) + u64(u128(a0) * b1);
    return u128(a1) * b1 + (u128(a1) * b0 >> 64) + (u128(a0) * b1 >> 64) + (middle >> 64);
}

u128 divide128(const Inst& i, u128 a, u128 b) {
    bool rem = i.op == Op::urem || i.op == Op::srem;
    if (b == 0) return rem ? a : i.sub ? 0 : ~u128{0};
    if (i.op == Op::udiv) return a / b;
    if (i.op == Op::urem) return a % b;
    if (b == ~u128{0}) return rem ? 0 : 0 - a; // min/-1 wraps to min
    mimic::i128 x = mimic::i128(a), y = mimic::i128(b);
    return u128(rem ? x % y : x / y);
}

bool relation128(Rel rel, u128 a, u128 b) {
    mimic::i128 x = mimic::i128(a), y = mimic::i128(b);
    switch (rel) {
    case Rel::eq: return a == b;
    case Rel::ne: return a != b;
    case Rel::ult: return a < b;
    case Rel::ule: return a <= b;
    case Rel::ugt: return a > b;
    case Rel::uge: return a >= b;
    case Rel::slt: return x < y;
    case Rel::sle: return x <= y;
    case Rel::sgt: return x > y;
    case Rel::sge: return x >= y;
    }
    return false;
}

u32 leading_zeros(u128 v) {
    return u64(v >> 64) ? u32(std::countl_zero(u64(v >> 64))) : 64 + u32(std::countl_zero(u64(v)));
}
u32 trailing_zeros(u128 v) { return u64(v) ? u32(std::countr_zero(u64(v))) : 64 + u32(std::countr_zero(u64(v >> 64))); }

} // namespace

u64 Run::divide(const Inst& i) const {
    u64 a = value(i.a), b = value(i.b);
    bool rem = i.op == Op::urem || i.op == Op::srem;
    if (b == 0) return rem ? a : i.sub ? 0 : ~u64{0};
    if (i.op == Op::udiv) return a / b;
    if (i.op == Op::urem) return a % b;
    i64 x = signed_of(a, i.type), y = signed_of(b, i.type);
    if (y == -1) return rem ? 0 : 0 - u64(x); // min/-1 wraps to min
    return u64(rem ? x % y : x / y);
}

u64 Run::bits(const Inst& i) const {
    u32 n = width_of(i.type);
    u64 a = value(i.a);
    u32 pos = i.imm & 0xff, len = i.imm >> 8 & 0xff;
    switch (i.op) {
    case Op::rotr: {
        u32 k = u32(value(i.b)) & (n - 1);
        return k ? a >> k | a << (n - k) : a;
    }
    case Op::clz: return u64(std::countl_zero(a)) - (64 - n);
    case Op::ctz: return a ? u64(std::countr_zero(a)) : n;
    case Op::popcnt: return u64(std::popcount(a));
    case Op::bswap: return n < 8 ? a : __builtin_bswap64(a) >> (64 - n);
    case Op::bitrev: return reversed(a) >> (64 - n);
    case Op::ubfx: return a >> pos & ones(len);
    case Op::sbfx: return u64(i64(a << (64 - pos - len)) >> (64 - len));
    case Op::bfi: return (a & ~(ones(len) << pos)) | (value(i.b) & ones(len)) << pos;
    default: return 0;
    }
}

void Run::int128(const Inst& i, Place& out) {
    u32 shift = i.b == none ? 0 : u32(value(i.b)) & 127;
    u32 pos = i.imm & 0xff, len = i.imm >> 8 & 0xff;
    u128 a = value128(i.a), b = i.b == none ? 0 : value128(i.b), r = 0;
    switch (i.op) {
    case Op::add: r = a + b; break;
    case Op::sub: r = a - b; break;
    case Op::mul: r = a * b; break;
    case Op::mulhu: r = high_product(a, b); break;
    case Op::mulhs: r = high_product(a, b) - (a >> 127 ? b : 0) - (b >> 127 ? a : 0); break;
    case Op::udiv:
    case Op::sdiv:
    case Op::urem:
    case Op::srem: r = divide128(i, a, b); break;
    case Op::and_: r = a & b; break;
    case Op::or_: r = a | b; break;
    case Op::xor_: r = a ^ b; break;
    case Op::not_: r = ~a; break;
    case Op::neg: r = 0 - a; break;
    case Op::shl: r = a << shift; break;
    case Op::lshr: r = a >> shift; break;
    case Op::ashr: r = u128(mimic::i128(a) >> shift); break;
    case Op::rotr: r = shift ? a >> shift | a << (128 - shift) : a; break;
    case Op::clz: r = leading_zeros(a); break;
    case Op::ctz: r = trailing_zeros(a); break;
    case Op::popcnt: r = u32(std::popcount(u64(a)) + std::popcount(u64(a >> 64))); break;
    case Op::bswap: r = swapped(a); break;
    case Op::bitrev: r = u128(reversed(u64(a))) << 64 | reversed(u64(a >> 64)); break;
    case Op::sext: r = u128(mimic::i128(signed_of(value(i.a), type_of(i.a)))); break;
    case Op::zext: r = value(i.a); break;
    case Op::ubfx: r = a >> pos & ones128(len); break;
    case Op::sbfx: r = u128(mimic::i128(a << (128 - pos - len)) >> (128 - len)); break;
    case Op::bfi: r = (a & ~(ones128(len) << pos)) | (b & ones128(len)) << pos; break;
    case Op::icmp: r = relation128(Rel(i.sub), a, b); break;
    default: break;
    }
    set128(out, r);
}

u32 Run::flags(const Inst& i) const {
    u32 top = width_of(i.type) - 1;
    u64 a = value(i.a), mask = mask_of(i.type), r = a;
    u64 in = i.op != Op::flags_logic && i.c != none ? value(i.c) : 0;
    bool carry = false;
    u32 f = 0;
    if (i.op == Op::flags_add) {
        u64 b = value(i.b);
        r = (a + b + in) & mask;
        carry = r < a || (in && r == a);
        if ((a ^ r) & (b ^ r) & u64{1} << top) f |= flag::v;
        if ((a ^ b ^ r) & 16) f |= flag::a;
    } else if (i.op == Op::flags_sub) {
        u64 b = value(i.b);
        r = (a - b - in) & mask;
        carry = a < b || (in && a == b);
        if ((a ^ b) & (a ^ r) & u64{1} << top) f |= flag::v;
        if ((a ^ b ^ r) & 16) f |= flag::a;
    }
    if (r >> top & 1) f |= flag::n;
    if (r == 0) f |= flag::z;
    if (std::popcount(r & 0xff) % 2 == 0) f |= flag::p;
    if (carry != bool(i.imm & flags_invert_c)) f |= flag::c;
    return f;
}

void Run::convert(const Inst& i, Place& out) {
    if (i.op == Op::pair) {
        u32 n = width_of(i.type) / 2;
        set128(out, u128(value(i.b)) << n | value(i.a));
    } else if (i.op == Op::half) {
        u32 n = width_of(i.type);
        out.w[0] = u64(value128(i.a) >> (i.sub ? n : 0)) & mask_of(i.type);
    } else {
        Type from = type_of(i.a);
        u8* to = result(out, i.type);
        std::memcpy(to, bytes(i.a), bytes_of(from));
        if (i.type == Type::f80) out.w[1] &= 0xffff;
    }
}

void Run::constant(const Inst& i, Place& out) {
    u32 n = bytes_of(i.type);
    std::memcpy(result(out, i.type), n <= 8 ? &i.imm : unit.wide.data() + i.imm, n);
}

} // namespace mimic::ir
