// Operations whose results are looked at together, later: chains of arithmetic, and blocks that go back to themselves.
#include "jit/host/x86_64/vector_test_support.hpp"
#include <optional>

namespace mimic::jit {
namespace {

// Numbers whose products are tiny before they are rounded and not behind that, and some that are none.
constexpr u64 chain_f64[] = {0x0010000000000001, 0x3feffffffffffffe, 0x3ff0000000000000, 0x8010000000000000,
                             0x7ff8000000000000, 0xfff4000000000001, 0x7ff0000000000000, 0};
constexpr u32 chain_f32[] = {0x00800001, 0x3f7ffffe, 0x3f800000, 0x80800000, 0x7fc00000, 0xffa00001, 0x7f800000, 0};

// Little but arithmetic on lanes, or on scalars, whose checks are made together.
class FpChain {
public:
    FpChain(u32 seed, bool scalars) : random_(seed), make_(1), scalars_(scalars) {}

    ir::Unit unit(u64 k) {
        u_ = make_.unit({.op = Op::vselect, .type = Type::v128}, Type::v128, Type::v128, Type::v128);
        u_.code.resize(u_.code.size() - 2); // without its end
        for (auto& v : values_) v.clear();
        if (!scalars_)
            for (u32 n = 1; n < u_.code.size(); ++n) values_[0].push_back(n), values_[1].push_back(n);
        for (u32 n = 0; n < 3; ++n)
            for (Lane lane : {Lane::f32, Lane::f64}) add(lane, constant(lane));
        const Lane usual = k % 3 ? Lane::f32 : Lane::f64, other = k % 3 ? Lane::f64 : Lane::f32;
        for (u32 n = 0; n < 14; ++n) {
            const Lane lane = below(8) ? usual : other;
            add(lane, operation(lane));
            if (below(6) == 0) only_asked(lane);
            if (below(3) == 0) put();
            if (scalars_ && below(6) == 0) halve(any(lane));
            if (below(4) == 0) add(lane, constant(lane));
            if (below(5) == 0 && !scalars_) add(lane, slot(Op::get, ir::none));
        }
        for (u32 n = 0; n < 4; ++n) put();
        push({.op = Op::exit, .c = 0, .imm = 0x1004});
        u_.blocks[0].end = u32(u_.code.size());
        return u_;
    }

private:
    u32 below(u32 n) { return u32(random_() % n); }
    u32 push(Inst i) {
        u_.code.push_back(i);
        return u32(u_.code.size() - 1);
    }
    void add(Lane lane, Inst i) {
        const u32 v = push(i);
        for (Lane l : {Lane::f32, Lane::f64})
            if (!scalars_ || l == lane) values_[l == Lane::f64].push_back(v);
    }
    u32 any(Lane lane) {
        const auto& v = values_[lane == Lane::f64];
        return v[v.size() - 1 - below(u32(std::min<size_t>(v.size(), 5)))];
    }
    u64 number(Lane lane) {
        const u32 n = below(below(2) ? 3 : 8); // mostly numbers
        return lane == Lane::f64 ? chain_f64[n] : u64{chain_f32[n]};
    }
    Type type(Lane lane) const { return !scalars_ ? Type::v128 : lane == Lane::f64 ? Type::f64 : Type::f32; }
    Inst constant(Lane lane, std::optional<u64> same = {}) {
        const bool f64 = lane == Lane::f64;
        auto next = [&] { return same ? *same : number(lane); };
        if (scalars_) return {.op = Op::constant, .type = type(lane), .imm = next()};
        for (u32 w = 0; w < 2; ++w) u_.wide.push_back(f64 ? next() : next() << 32 | next());
        return {.op = Op::constant, .type = Type::v128, .imm = u_.wide.size() - 2};
    }
    Inst slot(Op op, u32 a) {
        return {.op = op, .type = Type::v128, .a = a, .imm = ir::SlotArg{ir::SlotId(below(vectors))}.bits()};
    }
    void put() {
        u32 v = any(below(2) ? Lane::f32 : Lane::f64);
        if (scalars_) v = push({.op = Op::bitcast, .type = Type::v128, .a = v});
        push(slot(Op::put, v));
    }
    // Part of a number is no number of its own.
    void halve(u32 v) {
        const u64 to = ir::SlotArg{ir::SlotId(below(vectors))}.bits(),
                  half_to = ir::SlotArg{ir::SlotId(below(vectors))}.bits();
        push(
            {.op = Op::put, .type = Type::v128, .a = push({.op = Op::bitcast, .type = Type::v128, .a = v}), .imm = to});
        const u32 half = push({.op = Op::get, .type = Type::f16, .imm = to});
        const u32 wide = push({.op = Op::bitcast, .type = Type::v128, .a = half});
        push({.op = Op::put, .type = Type::v128, .a = wide, .imm = half_to});
    }
    Inst fused(Lane lane, u32 a, u32 b, u32 c) {
        Inst i{.op = Op::fma, .type = type(lane), .a = a, .b = b, .c = c, .imm = ir::FpArg{}.bits()};
        if (!scalars_) i.op = Op::vtern, i.lane = lane, i.sub = u8(ir::VTern::fmla);
        return i;
    }
    Inst operation(Lane lane) {
        if (below(6) == 0) return fused(lane, any(lane), any(lane), any(lane));
        const u32 kind = below(3) ? 2 : below(4);
        Inst i{.type = type(lane), .a = any(lane), .b = any(lane), .imm = ir::FpArg{}.bits()};
        if (scalars_) {
            i.op = std::array{Op::fadd, Op::fsub, Op::fmul, Op::fdiv}[kind];
            return i;
        }
        i.op = Op::vbin, i.lane = lane;
        i.sub = u8(std::array{ir::VBin::fadd, ir::VBin::fsub, ir::VBin::fmul, ir::VBin::fdiv}[kind]);
        if (below(16) == 0) i.sub = u8(ir::VBin::fmin);
        if (below(12) == 0) i.op = Op::vcmp, i.sub = u8(ir::VRel::fgt), i.imm = below(2);
        return i;
    }
    // A fused sum of infinity times zero, and a NaN, that nothing reads but whether it is a number: or nothing at all.
    void only_asked(Lane lane) {
        u32 from[3];
        for (u32 m = 0; m < 3; ++m) {
            const u32 n = std::array{6u, 7u, 4u}[m]; // of chain_f64
            from[m] = push(constant(lane, lane == Lane::f64 ? chain_f64[n] : chain_f32[n]));
        }
        const u32 sum = push(fused(lane, from[0], from[1], below(2) ? from[2] : any(lane)));
        if (below(4) == 0) return;
        Inst i{.op = Op::vcmp, .type = type(lane), .sub = u8(ir::VRel::feq), .lane = lane, .a = sum, .b = sum};
        if (!scalars_) return void(push(slot(Op::put, push(i))));
        i.op = Op::fcmp, i.sub = u8(ir::FRel::eq), i.lane = {};
        const u32 wide = push({.op = Op::zext, .type = Type::i64, .a = push(i)});
        push({.op = Op::put, .type = Type::i64, .a = wide, .imm = ir::SlotArg{ir::SlotId(vectors)}.bits()});
    }

    std::mt19937_64 random_;
    OneOperation make_;
    ir::Unit u_;
    std::vector<u32> values_[2]; // of f32, f64; lanes may be both
    bool scalars_;
};

class FpChainTest : public testing::TestWithParam<Level> {
protected:
    void expect_same(Engines& engines, const ir::GuestState& guest, const ir::Unit& u, u64 k, u32 seeds) {
        const std::string text = print(u, guest);
        auto valid = verify(u, guest);
        ASSERT_TRUE(valid) << valid.error().message() << "\n" << text;
        ASSERT_TRUE(engines.translate(u)) << text;
        for (u64 seed = 0; seed < seeds; ++seed) {
            ir::RandomOptions o{.seed = seeds * k + seed, .counter = counter};
            ASSERT_EQ(engines.difference(u, o, {0, u32(k % 4)}), "") << text << engines.text() << "seed " << o.seed;
        }
    }
};

TEST_P(FpChainTest, Lanes) {
    Engines engines(GetParam().guest, GetParam().level);
    FpChain make(GetParam().level, false);
    for (u64 k = 0; k < 1500; ++k) ASSERT_NO_FATAL_FAILURE(expect_same(engines, GetParam().guest, make.unit(k), k, 3));
}

TEST_P(FpChainTest, Scalars) {
    Engines engines(GetParam().guest, GetParam().level);
    FpChain make(GetParam().level, true);
    for (u64 k = 0; k < 500; ++k) ASSERT_NO_FATAL_FAILURE(expect_same(engines, GetParam().guest, make.unit(k), k, 3));
}

// A block that goes back to itself, and what its turns leave to each other: NaNs and boxes that wait, boxes that were looked
// at, a value that is in registers of both kinds.
class TurningBlock {
public:
    TurningBlock(u64 seed, bool boxes) : random_(seed), boxes_(boxes) {}

    ir::Unit unit() {
        u_ = {};
        u_.pc = u_.guest_low = 0x1000, u_.guest_high = 0x1008;
        add({.op = Op::insn, .sub = 4, .c = 0, .imm = 0x1000});
        const u32 operations = 2 + below(8);
        for (u32 n = 0; n < operations; ++n) operation();
        const u32 count = get(Type::i64, counter), one = number(1), zero = number(0);
        const u32 less = add({.op = Op::sub, .type = Type::i64, .a = count, .b = one});
        put(Type::i64, less, counter);
        const u32 more = add({.op = Op::icmp, .type = Type::i64, .sub = u8(ir::Rel::sgt), .a = less, .b = zero});
        add({.op = Op::brcond, .a = joined(more, less), .b = 0, .c = 1});
        u_.blocks.push_back({.begin = 0, .end = size(), .pc = 0x1000, .entry = true});
        add({.op = Op::insn, .sub = 4, .c = 0, .imm = 0x1004});
        add({.op = Op::exit, .c = 0, .imm = 0x1008});
        u_.blocks.push_back({.begin = u_.blocks[0].end, .end = size(), .pc = 0x1004, .entry = true});
        return u_;
    }

private:
    u32 below(u32 n) { return u32(random_() % n); }
    u32 size() const { return u32(u_.code.size()); }
    u32 add(Inst i) {
        u_.code.push_back(i);
        return size() - 1;
    }
    u32 number(u64 v) { return add({.op = Op::constant, .type = Type::i64, .imm = v}); }
    u32 get(Type t, u32 slot) { return add({.op = Op::get, .type = t, .imm = ir::SlotArg{ir::SlotId(slot)}.bits()}); }
    void put(Type t, u32 v, u32 slot) {
        add({.op = Op::put, .type = t, .a = v, .imm = ir::SlotArg{ir::SlotId(slot)}.bits()});
    }
    u32 some_slot() { return vectors + 8 + below(pinned_doubles); }
    u32 read(Type t) {
        const u32 d = get(Type::f64, some_slot());
        return t == Type::f64 ? d : add({.op = Op::funbox, .type = t, .a = d});
    }
    void write(Type t, u32 v) {
        const u32 slot = some_slot();
        put(Type::f64, t == Type::f64 ? v : add({.op = Op::fbox, .type = Type::f64, .a = v}), slot);
        if (t == Type::f64 && below(4) == 0)
            put(Type::i64, add({.op = Op::bitcast, .type = Type::i64, .a = v}), vectors + below(2));
    }
    // Some conditions are two, which the branch looks at one by one; neither goes on for longer than `more` does.
    u32 joined(u32 more, u32 less) {
        const u32 kind = below(3), two = number(2);
        if (kind == 0) return more;
        const auto rel = kind == 1 ? ir::Rel::ne : ir::Rel::sgt;
        const u32 other = add({.op = Op::icmp, .type = Type::i64, .sub = u8(rel), .a = less, .b = two});
        return add({.op = kind == 1 ? Op::and_ : Op::or_, .type = Type::i1, .a = other, .b = more});
    }
    void operation() {
        constexpr Op ops[] = {Op::fadd, Op::fsub,  Op::fmul, Op::fadd, Op::fmul,
                              Op::fdiv, Op::fsqrt, Op::fma,  Op::fneg, Op::fmin};
        const Type t = boxes_ && below(2) ? Type::f32 : Type::f64;
        if (below(5) == 0) {
            const u32 x = get(Type::i64, vectors + below(2));
            return write(Type::f64, add({.op = Op::bitcast, .type = Type::f64, .a = x}));
        }
        Inst i{.op = ops[below(10)], .type = t, .imm = ir::FpArg{}.bits()};
        if (i.op == Op::fma && !boxes_) i.op = Op::fadd;
        if (i.op == Op::fneg || i.op == Op::fmin) i.imm = 0;
        i.a = read(t);
        if (ir::info(i.op).operands > 1) i.b = read(t);
        if (ir::info(i.op).operands > 2) i.c = read(t);
        write(t, add(i));
    }
    ir::Unit u_;
    std::mt19937_64 random_;
    bool boxes_;
};

TEST_P(FpChainTest, TurningBlocks) {
    ir::GuestState guest = GetParam().guest;
    guest.slots = with_scalars, guest.bytes += 8 * pinned_doubles;
    Engines engines(guest, GetParam().level);
    TurningBlock make(GetParam().level, !guest.fp->nan.default_sign); // x86 has no boxes
    for (u64 k = 0; k < 1500; ++k) ASSERT_NO_FATAL_FAILURE(expect_same(engines, guest, make.unit(), k, 8));
}

INSTANTIATE_TEST_SUITE_P(Levels, FpChainTest, all_levels, name_of);

} // namespace
} // namespace mimic::jit
