// Data movement and arithmetic of general registers. Intel SDM vol. 2 (325383), instructions by name; undefined flags
// are what current processors leave, as the comments say.
#include "isa/x86/semantics.hpp"

namespace mimic::isa::x86 {

namespace {

void mov(X86& t, const I& i) { t.write(i, 0, t.read(i, 1)); }
void movzx(X86& t, const I& i) { t.write(i, 0, t.read(i, 1).zext(int_type(i.bytes(0)))); }
void movsx(X86& t, const I& i) { t.write(i, 0, t.read(i, 1).sext(int_type(i.bytes(0)))); }
void lea(X86& t, const I& i) {
    Val a = t.address(i);
    u32 bytes = i.bytes(0);
    t.write(i, 0, bytes == 8 ? a : a.trunc(int_type(bytes)));
}
void xchg(X86& t, const I& i) {
    Place p = t.place(i, 0);
    Val b = t.read(i, 1);
    if (p.memory) { // locked with or without the prefix
        t.write(i, 1, t.rmw(ir::Rmw::swap, p.address, b, {.memory = p.type, .order = ir::Order::seq_cst}));
        return;
    }
    Val a = t.read(p);
    t.write(p, b);
    t.write(i, 1, a);
}
void xadd(X86& t, const I& i) {
    Place p = t.place(i, 0);
    Val b = t.read(i, 1), a;
    if (i.lock) {
        a = t.rmw(ir::Rmw::add, p.address, b, {.memory = p.type, .order = ir::Order::seq_cst});
        t.write(i, 1, a);
    } else {
        a = t.read(p);
        if (p.memory) t.write(p, a + b);
        t.write(i, 1, a);
        if (!p.memory) t.write(p, a + b); // the sum wins when both are one register
    }
    t.flags(t.flags_add(a, b));
}
void cmpxchg(X86& t, const I& i) {
    Place p = t.place(i, 0);
    Val want = t.r(rax, p.type), with = t.read(i, 1);
    if (p.memory) {
        // The destination is written either way; a failed compare writes back what was there.
        Val old = t.cas(p.address, want, with, {.memory = p.type, .order = ir::Order::seq_cst});
        t.flags(t.flags_sub(want, old));
        Val same = want == old;
        // rax keeps its upper half when nothing is loaded into it.
        if (p.type == Type::i32)
            t.r(rax, same.select(t.r(rax), old.zext(Type::i64)));
        else
            t.r(rax, same.select(want, old));
        return;
    }
    Val old = t.read(p), same = want == old;
    t.flags(t.flags_sub(want, old));
    if (p.type == Type::i32) {
        Val whole = t.r(p.reg);
        t.r(rax, same.select(t.r(rax), old.zext(Type::i64)));
        // Processors leave the upper half alone when nothing is stored.
        t.r(p.reg, same.select(with.zext(Type::i64), whole));
    } else {
        t.r(rax, same.select(want, old));
        t.write(p, same.select(with, old));
    }
}
template <Type Half, Type Whole>
void cmpxchg_pair(X86& t, const I& i) {
    Val want = t.op(ir::Op::pair, Whole, t.r(rax, Half), t.r(rdx, Half));
    Val with = t.op(ir::Op::pair, Whole, t.r(rbx, Half), t.r(rcx, Half));
    ir::MemArg m{
        .memory = Whole, .align = Half == Type::i64 ? ir::Align::natural : ir::Align::any, .order = ir::Order::seq_cst};
    Val old = t.cas(t.address(i), want, with, m), same = want == old;
    auto set = [&](u8 n, u32 half) {
        Val loaded = old.half(half);
        t.r(n, same.select(t.r(n), Half == Type::i32 ? loaded.zext(Type::i64) : loaded));
    };
    set(rax, 0);
    set(rdx, 1);
    t.flags(t.flags_from(same.zext(Type::i32).shl(6u)), flag::z);
}

void push(X86& t, const I& i) { t.push(t.read(i, 0)); }
void pop(X86& t, const I& i) {
    // An address by rsp counts from the popped stack.
    u32 bytes = i.bytes(0);
    Val sp = t.r(rsp), v = t.load(sp, int_type(bytes));
    if (!i.memory) {
        t.r(rsp, sp + i64(bytes));
        return t.write(i, 0, v);
    }
    I moved = i;
    if (i.base == rsp) moved.disp += i32(bytes); // wraps as the address does not: disp is far from its ends in code
    t.store(t.address(moved), v);
    t.r(rsp, sp + i64(bytes));
}
void leave(X86& t, const I& i) {
    Type ty = int_type(i.bytes(Size::v));
    Val sp = t.r(rbp), v = t.load(sp, ty);
    t.r(rsp, sp + i64(bits_of(ty) / 8));
    t.r(rbp, v);
}

template <bool Down>
void step(X86& t, const I& i) { // inc, dec: CF stays
    Place p = t.place(i, 0);
    Val one = t.imm(1, p.type), a;
    if (i.lock) {
        a = t.rmw(Down ? ir::Rmw::sub : ir::Rmw::add, p.address, one, {.memory = p.type, .order = ir::Order::seq_cst});
    } else {
        a = t.read(p);
        t.write(p, Down ? a - one : a + one);
    }
    t.flags(Down ? t.flags_sub(a, one) : t.flags_add(a, one), flag::all & ~flag::c);
}
void neg(X86& t, const I& i) {
    Place p = t.place(i, 0);
    Val a = i.lock ? t.locked(i, 0, [](Val v) { return -v; }) : t.read(p);
    if (!i.lock) t.write(p, -a);
    t.flags(t.flags_sub(t.imm(0, p.type), a));
}
void not_(X86& t, const I& i) {
    Place p = t.place(i, 0);
    if (i.lock)
        t.rmw(ir::Rmw::xor_, p.address, t.imm(~u64{0}, p.type), {.memory = p.type, .order = ir::Order::seq_cst});
    else
        t.write(p, ~t.read(p));
}

// SF ZF AF PF are undefined after a multiplication: S Z P of the low half here, A clear.
void put_product_flags(X86& t, Val low, Val lost) {
    t.flags(t.flags_merge(t.flags_logic(low), t.carry_overflow(lost, lost), flag::c | flag::v));
}
template <bool Sign>
void multiply(X86& t, const I& i) {
    Val b = t.read(i, 0);
    Type ty = b.type();
    if (ty == Type::i8) { // ax = al * r/m8
        Val x = t.r(rax, ty), p = Sign ? x.sext(Type::i16) * b.sext(Type::i16) : x.zext(Type::i16) * b.zext(Type::i16);
        t.r(rax, p);
        Val low = p.trunc(ty);
        return put_product_flags(t, low, p != (Sign ? low.sext(Type::i16) : low.zext(Type::i16)));
    }
    Val x = t.r(rax, ty), low = x * b, high = Sign ? x.mulhs(b) : x.mulhu(b);
    t.r(rax, low);
    t.r(rdx, high);
    put_product_flags(t, low, high != (Sign ? low.ashr(bits_of(ty) - 1) : t.imm(0, ty)));
}
void imul(X86& t, const I& i) { // two and three operands
    u32 n = i.row->count - 2;
    Val a = t.read(i, n), b = t.read(i, n + 1), low = a * b;
    t.write(i, 0, low);
    put_product_flags(t, low, a.mulhs(b) != low.ashr(bits_of(a.type()) - 1));
}

// #DE when the divisor is 0 or the quotient does not fit. All flags are undefined: they stay.
template <bool Sign>
void divide_narrow(X86& t, const I& i, Type ty, Type wide) {
    u32 bits = bits_of(ty);
    auto operands = [&](Val& a, Val& b) {
        Val d = t.read(i, 0);
        if (ty == Type::i8)
            a = Sign ? t.r(rax, Type::i16).sext(wide) : t.r(rax, Type::i16).zext(wide);
        else
            a = t.r(rdx, ty).zext(wide).shl(bits) | t.r(rax, ty).zext(wide);
        if (ty == Type::i16) a = Sign ? a.trunc(Type::i32).sext(wide) : a;
        b = Sign ? d.sext(wide) : d.zext(wide);
    };
    Val a, b;
    operands(a, b);
    Val q = Sign ? a.sdiv(b, true) : a.udiv(b, true);
    Val fits = q == (Sign ? q.trunc(ty).sext(wide) : q.trunc(ty).zext(wide));
    // min / -1 wraps to min, which does not fit either.
    Val bad = (b == 0) | (fits == 0);
    t.put(slot_temp, q);
    t.put(slot_temp2, Sign ? a.srem(b) : a.urem(b));
    t.when(bad, [&] { t.trap(ir::TrapKind::divide, t.pc()); });
    Val quotient = t.get(slot_temp, wide).trunc(ty), rest = t.get(slot_temp2, wide).trunc(ty);
    if (ty == Type::i8) {
        t.r(rax, rest.zext(Type::i16).shl(8u) | quotient.zext(Type::i16));
    } else {
        t.r(rax, quotient);
        t.r(rdx, rest);
    }
}
template <bool Sign>
int divide_128(ir::CpuHeader*, const ir::Wide* a, ir::Wide* out) {
    u64 low = a[0].w[0], high = a[1].w[0], by = a[2].w[0];
    out[0].w[0] = out[1].w[0] = 0;
    out[2].w[0] = 0; // ok
    if (by == 0) return 0;
    u128 n = u128(high) << 64 | low, q, r;
    if (Sign) {
        mimic::i128 x = mimic::i128(n), d = i64(by);
        if (d == -1) {
            q = 0 - n, r = 0;
            if (n == u128(1) << 127) return 0;
        } else {
            q = u128(x / d), r = u128(x % d);
        }
        if (mimic::i128(q) != i64(u64(q))) return 0;
    } else {
        q = n / by, r = n % by;
        if (q >> 64) return 0;
    }
    out[0].w[0] = u64(q), out[1].w[0] = u64(r), out[2].w[0] = 1;
    return 0;
}
constexpr ir::Intrinsic udiv128{"x86_udiv128", divide_128<false>, 3, 3}, sdiv128{"x86_sdiv128", divide_128<true>, 3, 3};
template <bool Sign>
void divide(X86& t, const I& i) {
    u32 bytes = i.bytes(0);
    if (bytes < 8) return divide_narrow<Sign>(t, i, int_type(bytes), Type::i64);
    Val q = t.call(Sign ? sdiv128 : udiv128, Type::i64, {t.r(rax), t.r(rdx), t.read(i, 0)});
    Val rest = t.result(q, 1, Type::i64), ok = t.result(q, 2, Type::i64);
    t.put(slot_temp, q);
    t.put(slot_temp2, rest);
    t.when(ok == 0, [&] { t.trap(ir::TrapKind::divide, t.pc()); });
    t.r(rax, t.get(slot_temp, Type::i64));
    t.r(rdx, t.get(slot_temp2, Type::i64));
}

// cbw cwde cdqe: rAX from its lower half; cwd cdq cqo: its sign into rDX.
template <Type From, Type To>
void widen(X86& t, const I&) {
    t.r(rax, t.r(rax, From).sext(To));
}
template <Type T>
void spread(X86& t, const I&) {
    t.r(rdx, t.r(rax, T).ashr(bits_of(T) - 1));
}
void bswap(X86& t, const I& i) {
    Val v = t.read(i, 0);
    // 16 bits are undefined: processors give zero.
    t.write(i, 0, v.type() == Type::i16 ? t.imm(0, Type::i16) : v.bswap());
}
void nothing(X86&, const I&) {}
void setcc(X86& t, const I& i) { t.write(i, 1, t.holds(i.opcode).zext(Type::i8)); }
void cmovcc(X86& t, const I& i) {
    Val v = t.read(i, 2);
    t.write(i, 1, t.holds(i.opcode).select(v, t.read(i, 1)));
}

// The nine forms of an operation of opcodes 00 to 3F.
#define ALU(name, o0, o1, o2, o3, o4, o5, digit, meaning, lock)                                                        \
    {name " {r/m8},{r8}", o0 " /r" lock, meaning}, {name " {r/mv},{rv}", o1 " /r" lock, meaning},                      \
        {name " {r8},{r/m8}", o2 " /r", meaning}, {name " {rv},{r/mv}", o3 " /r", meaning},                            \
        {name " {AL},{imm8}", o4 " ib", meaning}, {name " {rAX},{immz}", o5 " iz", meaning},                           \
        {name " {r/m8},{imm8}", "80 " digit " ib" lock, meaning},                                                      \
        {name " {r/mv},{imm8s}", "83 " digit " ib" lock, meaning}, {                                                   \
        name " {r/mv},{immz}", "81 " digit " iz" lock, meaning                                                         \
    }

// clang-format off
constexpr Row rows[] = {
    ALU("add", "00", "01", "02", "03", "04", "05", "/0", alu<Add>, " lock"),
    ALU("or",  "08", "09", "0A", "0B", "0C", "0D", "/1", alu<Or>, " lock"),
    ALU("adc", "10", "11", "12", "13", "14", "15", "/2", alu_carry<false>, " lock"),
    ALU("sbb", "18", "19", "1A", "1B", "1C", "1D", "/3", alu_carry<true>, " lock"),
    ALU("and", "20", "21", "22", "23", "24", "25", "/4", alu<And>, " lock"),
    ALU("sub", "28", "29", "2A", "2B", "2C", "2D", "/5", alu<Sub>, " lock"),
    ALU("xor", "30", "31", "32", "33", "34", "35", "/6", alu<Xor>, " lock"),
    ALU("cmp", "38", "39", "3A", "3B", "3C", "3D", "/7", compare<Sub>, ""),

    {"push {rv+}",                 "50 +r d64",             push},
    {"pop {rv+}",                  "58 +r d64",             pop},
    {"movsxd {r64},{r/m32}",       "REX.W 63 /r",           movsx},
    {"movsxd {r32},{r/m32}",       "W0 63 /r",              movsx},
    {"pushw {imm16}",              "66 W0 68 iw",           push},
    {"pushw {imm8w}",              "66 W0 6A ib",           push},
    {"push {immz}",                "68 iz d64",             push},
    {"push {imm8s}",               "6A ib d64",             push},
    {"imul {rv},{r/mv},{immz}",    "69 /r iz",              imul},
    {"imul {rv},{r/mv},{imm8s}",   "6B /r ib",              imul},
    {"test {r/m8},{r8}",           "84 /r",                 compare<And>},
    {"test {r/mv},{rv}",           "85 /r",                 compare<And>},
    {"xchg {r/m8},{r8}",           "86 /r lock",            xchg},
    {"xchg {r/mv},{rv}",           "87 /r lock",            xchg},
    {"mov {r/m8},{r8}",            "88 /r",                 mov},
    {"mov {r/mv},{rv}",            "89 /r",                 mov},
    {"mov {r8},{r/m8}",            "8A /r",                 mov},
    {"mov {rv},{r/mv}",            "8B /r",                 mov},
    {"lea {rv},{m}",               "8D /r",                 lea},
    {"pop {r/mv}",                 "8F /0 d64",             pop},
    {"nop",                        "90 nob",                nothing},
    {"xchg ax,ax",                 "66 W0 90 nob",            nothing},
    {"pause",                      "F3 90 nob",             nothing},
    {"xchg {rv+},{rAX}",           "90 +r",                 xchg},
    {"cbw",                        "66 W0 98",                widen<Type::i8, Type::i16>},
    {"cwde",                       "98",                    widen<Type::i16, Type::i32>},
    {"cdqe",                       "REX.W 98",              widen<Type::i32, Type::i64>},
    {"cwd",                        "66 W0 99",                spread<Type::i16>},
    {"cdq",                        "99",                    spread<Type::i32>},
    {"cqo",                        "REX.W 99",              spread<Type::i64>},
    {"movabs {AL},{moffs8}",       "A0 moffs",              mov},
    {"movabs {rAX},{moffsv}",      "A1 moffs",              mov},
    {"movabs {moffs8},{AL}",       "A2 moffs",              mov},
    {"movabs {moffsv},{rAX}",      "A3 moffs",              mov},
    {"test {AL},{imm8}",           "A8 ib",                 compare<And>},
    {"test {rAX},{immz}",          "A9 iz",                 compare<And>},
    {"mov {r8+},{imm8}",           "B0 +r ib",              mov},
    {"mov {rv+},{immv}",           "W0 B8 +r iv",           mov},
    {"movabs {r64+},{imm64}",      "REX.W B8 +r iq",        mov},
    {"mov {r/m8},{imm8}",          "C6 /0 ib",              mov},
    {"mov {r/mv},{immz}",          "C7 /0 iz",              mov},
    {"leave",                      "C9 d64",                leave},
    {"test {r/m8},{imm8}",         "F6 /0 ib",              compare<And>},
    {"not {r/m8}",                 "F6 /2 lock",            not_},
    {"neg {r/m8}",                 "F6 /3 lock",            neg},
    {"mul {r/m8}",                 "F6 /4",                 multiply<false>},
    {"imul {r/m8}",                "F6 /5",                 multiply<true>},
    {"div {r/m8}",                 "F6 /6",                 divide<false>},
    {"idiv {r/m8}",                "F6 /7",                 divide<true>},
    {"test {r/mv},{immz}",         "F7 /0 iz",              compare<And>},
    {"not {r/mv}",                 "F7 /2 lock",            not_},
    {"neg {r/mv}",                 "F7 /3 lock",            neg},
    {"mul {r/mv}",                 "F7 /4",                 multiply<false>},
    {"imul {r/mv}",                "F7 /5",                 multiply<true>},
    {"div {r/mv}",                 "F7 /6",                 divide<false>},
    {"idiv {r/mv}",                "F7 /7",                 divide<true>},
    {"inc {r/m8}",                 "FE /0 lock",            step<false>},
    {"dec {r/m8}",                 "FE /1 lock",            step<true>},
    {"inc {r/mv}",                 "FF /0 lock",            step<false>},
    {"dec {r/mv}",                 "FF /1 lock",            step<true>},
    {"push {r/mv}",                "FF /6 d64",             push},
    {"nop {r/mv}",                 "0F 1F /0",              nothing},
    {"cmov{cc} {rv},{r/mv}",       "0F 40 +cc /r",          cmovcc},
    {"set{cc} {r/m8}",             "0F 90 +cc /r",          setcc},
    {"imul {rv},{r/mv}",           "0F AF /r",              imul},
    {"cmpxchg {r/m8},{r8}",        "0F B0 /r lock",         cmpxchg},
    {"cmpxchg {r/mv},{rv}",        "0F B1 /r lock",         cmpxchg},
    {"movzx {rv},{r/m8}",          "0F B6 /r",              movzx},
    {"movzx {rv},{r/m16}",         "0F B7 /r",              movzx},
    {"movsx {rv},{r/m8}",          "0F BE /r",              movsx},
    {"movsx {rv},{r/m16}",         "0F BF /r",              movsx},
    {"xadd {r/m8},{r8}",           "0F C0 /r lock",         xadd},
    {"xadd {r/mv},{rv}",           "0F C1 /r lock",         xadd},
    {"movnti {my},{ry}",           "NP 0F C3 /r",           mov},
    {"cmpxchg8b {m64}",            "W0 0F C7 /1 lock",      cmpxchg_pair<Type::i32, Type::i64>},
    {"bswap {rv+}",                "0F C8 +r",              bswap},
};
constexpr Row cx16[] = {
    {"cmpxchg16b {m128}",          "REX.W 0F C7 /1 lock",   cmpxchg_pair<Type::i64, Type::i128>},
};
// clang-format on

} // namespace

constinit const Table integer_rows{"integer", Feature::base, rows}, cx16_rows{"CMPXCHG16B", Feature::cx16, cx16};

} // namespace mimic::isa::x86
