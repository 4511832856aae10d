// Vector and FP operations against the interpreter: every kind, lane and width by itself, then random units, then branches.
#include "jit/host/x86_64/vector_test_support.hpp"

namespace mimic::jit {
namespace {

class VectorTest : public testing::TestWithParam<Level> {
protected:
    static constexpr Lane all_lanes[] = {Lane::i8,  Lane::i16, Lane::i32, Lane::i64,
                                         Lane::f16, Lane::f32, Lane::f64, Lane::i128};

    void try_one(Engines& engines, OneOperation& make, Inst i, Type a, Type b = Type::none, Type c = Type::none) {
        for (u32 attempt = 0; attempt < 6; ++attempt) {
            ir::Unit unit = make.unit(i, a, b, c);
            const Inst& made = unit.code[unit.code.size() - 3];
            if (!check_types(unit, made)) return;
            std::string text = print(unit, GetParam().guest);
            ASSERT_TRUE(verify(unit, GetParam().guest)) << text;
            ASSERT_TRUE(engines.translate(unit)) << text;
            ++done_;
            for (u32 k = 0; k < 10; ++k) {
                ir::RandomOptions o{.seed = ++seed_, .counter = counter};
                ir::FpEnv fp{u32(seed_ % 3 ? 0 : 1), u32(seed_ / 3 % 4)};
                if (seed_ % 5 == 0 && !GetParam().guest.fp->nan.default_sign) fp.mode |= ir::fpmode::default_nan;
                std::string difference = engines.difference(unit, o, fp);
                ASSERT_EQ(difference, "") << text << "mode " << fp.mode << " seed " << seed_;
            }
        }
    }
    u64 done_ = 0, seed_ = 0;
};

TEST_P(VectorTest, EveryKind) {
    Engines engines(GetParam().guest, GetParam().level);
    OneOperation make(GetParam().level);
    for (Type t : {Type::v64, Type::v128})
        for (Lane lane : all_lanes)
            for (Op op : {Op::vbin, Op::vun, Op::vtern, Op::vshift, Op::vcmp, Op::vnarrow, Op::vreduce})
                for (u32 kind = 0; kind < ir::kinds_of(op).size(); ++kind) {
                    const u32 operands = op == Op::vtern                                         ? 3
                                         : op == Op::vbin || op == Op::vcmp || op == Op::vnarrow ? 2
                                                                                                 : 1;
                    Inst i{.op = op, .type = t, .sub = u8(kind), .lane = lane};
                    const bool arg = has_fp_arg(i);
                    const u32 width = 8 * ir::lane_bytes(lane);
                    for (u32 variant = 0; variant < (op == Op::vshift || arg ? 6 : 2); ++variant) {
                        if (op == Op::vshift)
                            i.imm = std::array{0u, 1u, width / 2, width - 1, width, width + 3}[variant];
                        if (op == Op::vcmp && is_fp_operation(i)) i.imm = variant;
                        if (arg)
                            i.imm = ir::FpArg{.round = variant == 5 ? ir::Round::dynamic : ir::Round(variant)}.bits();
                        if (op == Op::vreduce) {
                            const ir::VReduce k = ir::VReduce(kind);
                            const u32 size = ir::lane_bytes(lane)
                                             << (k == ir::VReduce::uaddl || k == ir::VReduce::saddl);
                            if (size > 8) continue;
                            const u32 log = u32(std::countr_zero(size));
                            i.type = ir::is_fp(lane) ? Type(u32(Type::f16) + log - 1) : Type(u32(Type::i8) + log);
                        }
                        ASSERT_NO_FATAL_FAILURE(try_one(engines, make, i, t,
                                                        operands > 1 && (op != Op::vnarrow || variant) ? t : Type::none,
                                                        operands > 2 ? t : Type::none));
                    }
                }
    EXPECT_GT(done_, 5000u);
}

TEST_P(VectorTest, EveryMove) {
    Engines engines(GetParam().guest, GetParam().level);
    OneOperation make(GetParam().level);
    constexpr Type scalars[] = {Type::i8, Type::i16, Type::i32, Type::i64, Type::f16, Type::f32, Type::f64};
    for (Type t : {Type::v64, Type::v128}) {
        for (Lane lane : all_lanes) {
            Inst i{.type = t, .lane = lane};
            for (u32 sub = 0; sub < 6; ++sub) {
                i.op = Op::vzip, i.sub = u8(sub);
                ASSERT_NO_FATAL_FAILURE(try_one(engines, make, i, t, t));
                i.op = Op::vwiden;
                if (sub > 3) continue;
                ASSERT_NO_FATAL_FAILURE(try_one(engines, make, i, t));
                ASSERT_NO_FATAL_FAILURE(try_one(engines, make, i, Type::v64));
            }
            for (Type s : scalars) {
                i.op = Op::vsplat, i.sub = 0, i.imm = 0;
                ASSERT_NO_FATAL_FAILURE(try_one(engines, make, i, s));
                for (i.imm = 0; i.imm < ir::size_of(t) / ir::lane_bytes(lane); ++i.imm) {
                    i.op = Op::vset;
                    ASSERT_NO_FATAL_FAILURE(try_one(engines, make, i, t, s));
                    Inst get{.op = Op::vget, .type = s, .lane = lane, .imm = i.imm};
                    ASSERT_NO_FATAL_FAILURE(try_one(engines, make, get, t));
                }
            }
            ASSERT_NO_FATAL_FAILURE(try_one(engines, make, {.op = Op::vbits, .type = Type::i64, .lane = lane}, t));
            for (i.op = Op::vlanes, i.imm = 0; i.imm + ir::size_of(t) / ir::lane_bytes(lane) <= 64; i.imm += 16)
                ASSERT_NO_FATAL_FAILURE(try_one(engines, make, i, Type::i64));
            i.op = Op::vselect, i.imm = 0;
            ASSERT_NO_FATAL_FAILURE(try_one(engines, make, i, t, t, t));
        }
        for (u32 imm = 0; imm <= ir::size_of(t); ++imm)
            ASSERT_NO_FATAL_FAILURE(try_one(engines, make, {.op = Op::vext, .type = t, .imm = imm}, t, t));
        for (u32 k = 0; k < 20; ++k)
            for (Op op : {Op::vshuffle, Op::vtbl})
                ASSERT_NO_FATAL_FAILURE(try_one(engines, make, {.op = op, .type = t}, t, t));
    }
    EXPECT_GT(done_, 2000u);
}

TEST_P(VectorTest, ScalarFp) {
    Engines engines(GetParam().guest, GetParam().level);
    OneOperation make(GetParam().level);
    for (Type t : {Type::f32, Type::f64})
        for (u32 round : {0u, 1u, 2u, 3u, 4u, 7u}) {
            const u64 arg = ir::FpArg{.round = ir::Round(round)}.bits(),
                      exact = ir::FpArg{.round = ir::Round(round), .exact = true}.bits();
            for (u64 imm : {arg, exact})
                ASSERT_NO_FATAL_FAILURE(try_one(engines, make, {.op = Op::fround, .type = t, .imm = imm}, t));
            for (Op op : {Op::fadd, Op::fsub, Op::fmul, Op::fdiv})
                ASSERT_NO_FATAL_FAILURE(try_one(engines, make, {.op = op, .type = t, .imm = arg}, t, t));
            ASSERT_NO_FATAL_FAILURE(try_one(engines, make, {.op = Op::fsqrt, .type = t, .imm = arg}, t));
            ASSERT_NO_FATAL_FAILURE(try_one(engines, make, {.op = Op::fma, .type = t, .imm = arg}, t, t, t));
            for (u8 flavour = 0; flavour < 4; ++flavour)
                for (Op op : {Op::fmin, Op::fmax})
                    ASSERT_NO_FATAL_FAILURE(
                        try_one(engines, make, {.op = op, .type = t, .sub = flavour, .imm = arg}, t, t));
            for (Type n : {Type::i32, Type::i64})
                for (Op op : {Op::ftos, Op::ftou}) {
                    ASSERT_NO_FATAL_FAILURE(try_one(engines, make, {.op = op, .type = n, .imm = arg}, t));
                    ASSERT_NO_FATAL_FAILURE(
                        try_one(engines, make, {.op = op == Op::ftos ? Op::stof : Op::utof, .type = t, .imm = arg}, n));
                }
        }
}

// Every operation on narrow vectors and scalars; what is wider, or not of this test, the generator leaves out.
bool in_random_units(const Inst& i) {
    auto good = [](Type t) { return ir::size_of(t) <= 8 || t == Type::v128 || t == Type::mask; };
    if (!good(i.type) || i.type == Type::mask || i.type == Type::flags || i.type == Type::vs) return false;
    if (i.op >= Op::udiv && i.op <= Op::srem) return false;
    if (i.op == Op::get_idx || i.op == Op::put_idx || i.op == Op::fbox || i.op == Op::funbox ||
        i.op == Op::fpmode_set || i.op == Op::fpflags || i.op == Op::fpflags_set)
        return false;
    return true;
}

// Guests have no block arguments and do no arithmetic on i1; the back end has neither.
bool beyond_guests(const ir::Unit& unit) {
    return std::any_of(unit.code.begin(), unit.code.end(), [](const Inst& i) {
        if (i.op == Op::arg) return true;
        return i.type == Type::i1 && i.op >= Op::add && i.op <= Op::bfi && i.op != Op::and_ && i.op != Op::or_ &&
               i.op != Op::xor_ && i.op != Op::not_;
    });
}

TEST_P(VectorTest, RandomUnits) {
    Engines engines(GetParam().guest, GetParam().level);
    for (u64 seed = 0; seed < 2000; ++seed) {
        ir::RandomOptions o{
            .seed = seed, .blocks = 1 + u32(seed % 3), .operations = 10 + u32(seed % 30), .vector_bytes = 16};
        o.weights = {8, 0, 0, 10, 0, 0, 0, 4, 0, 24, 0, 0, 0};
        o.counter = counter;
        o.allowed = in_random_units;
        ir::Unit unit = random_unit(GetParam().guest, o);
        if (beyond_guests(unit)) continue;
        ASSERT_TRUE(engines.translate(unit)) << ir::info(engines.refused()).name << "\n"
                                             << print(unit, GetParam().guest);
        for (u64 k = 0; k < 4; ++k) {
            o.seed = seed * 4 + k;
            std::string difference = engines.difference(unit, o, {0, u32(seed % 4)});
            ASSERT_EQ(difference, "") << engines.text() << "seed " << seed << "\n" << print(unit, GetParam().guest);
        }
    }
}

// A unit's text, from states of so many seeds.
void expect_same(Engines& engines, const ir::GuestState& guest, const std::string& text, u64 seeds) {
    auto unit = ir::parse(text, guest);
    ASSERT_TRUE(unit) << unit.error().message() << text;
    ASSERT_TRUE(engines.translate(*unit)) << text;
    for (u64 seed = 0; seed < seeds; ++seed)
        ASSERT_EQ(engines.difference(*unit, {.seed = seed}, {}), "") << text << engines.text();
}

// A branch looks at joined conditions one by one; a comparison that may raise exceptions is made in any case.
TEST_P(VectorTest, JoinedConditions) {
    Engines engines(GetParam().guest, GetParam().level);
    constexpr std::string_view body = "b0 pc 0x1000:\n  insn 0x1000 4\n"
                                      "  %1 = get i64 x0\n  %2 = get i64 x1\n  %3 = get i64 x2\n"
                                      "  %4 = get f64 f64\n  %5 = bitcast f64 %3\n"
                                      "  %6 = icmp.slt i64 %1, %2\n  %7 = icmp.ult i64 %2, %3\n"
                                      "  %8 = fcmp.lt f64 %4, %5\n  put x0, %3\n"
                                      "  %10 = {} i1 %{}, %{}\n  %11 = {} i1 %{}, %10\n  brcond %11, b{}, b{}\n"
                                      "b1 pc 0x1004:\n  insn 0x1004 4\n  %14 = constant i64 1\n  put count, %14\n"
                                      "  exit 0x2000\nb2 pc 0x1008:\n  insn 0x1008 4\n  %18 = constant i64 2\n"
                                      "  put count, %18\n  exit 0x3000\n";
    constexpr u32 orders[][3] = {{6, 7, 8}, {8, 6, 7}, {7, 8, 6}};
    for (std::string_view inner : {"and", "or"})
        for (std::string_view outer : {"and", "or"})
            for (auto& o : orders)
                for (u32 yes : {1u, 2u}) {
                    std::string text = fmt::format(fmt::runtime(body), inner, o[0], o[1], outer, o[2], yes, 3 - yes);
                    expect_same(engines, GetParam().guest, text, 40);
                }
}

// Branches on bits, whatever an immediate of the host can say of them.
TEST_P(VectorTest, BranchesOnBits) {
    Engines engines(GetParam().guest, GetParam().level);
    constexpr std::string_view body =
        "b0 pc 0x1000:\n  insn 0x1000 4\n  %1 = get {0} {1}\n  %2 = constant {0} {2:#x}\n  %3 = and {0} %1, %2\n"
        "  %4 = constant {0} 0\n  %5 = icmp.{3} {0} %3, %4\n  brcond %5, b1, b2\n"
        "b1 pc 0x1004:\n  insn 0x1004 4\n  %8 = constant i64 1\n  put count, %8\n  exit 0x2000\n"
        "b2 pc 0x1008:\n  insn 0x1008 4\n  %12 = constant i64 2\n  put count, %12\n  exit 0x3000\n";
    constexpr u64 masks[] = {1,
                             0x40,
                             0x80,
                             0x81,
                             0x100,
                             0xff00,
                             1u << 31,
                             0x80000001,
                             u64{1} << 32,
                             u64{1} << 63,
                             ~u64{0} << 31,
                             ~u64{0} << 62,
                             0x0101010101010101};
    for (std::string_view type : {"i64", "i32"})
        for (u64 mask : masks)
            for (std::string_view slot : {"x0", "x2", "i32"})
                for (std::string_view relation : {"eq", "ne"}) {
                    if ((type == "i32") != (slot == "i32")) continue;
                    std::string text =
                        fmt::format(fmt::runtime(body), type, slot, type == "i32" ? u32(mask) : mask, relation);
                    expect_same(engines, GetParam().guest, text, 20);
                }
}

// Branches on FP values that are equal, which unordered ones are not, and what else compares the same values before.
TEST_P(VectorTest, BranchesOnEquality) {
    Engines engines(GetParam().guest, GetParam().level);
    constexpr std::string_view body =
        "b0 pc 0x1000:\n  insn 0x1000 4\n  %1 = get {0} v0\n  %2 = get {0} {1}\n  %3 = flags_fcmp {0} %1, %2\n"
        "  %4 = fcmp.eq {0} %2, %1\n  brcond %4, {2}\n"
        "b1 pc 0x1004:\n  insn 0x1004 4\n  %7 = constant i64 1\n  put count, %7\n  exit 0x2000\n"
        "b2 pc 0x1008:\n  insn 0x1008 4\n  %11 = constant i64 2\n  put count, %11\n  exit 0x3000\n";
    for (std::string_view type : {"f64", "f32"})
        for (std::string_view slot : {"v0", "v1", "v31"})
            for (std::string_view ways : {"b1, b2", "b2, b1"})
                expect_same(engines, GetParam().guest, fmt::format(fmt::runtime(body), type, slot, ways), 100);
}

INSTANTIATE_TEST_SUITE_P(Levels, VectorTest, all_levels, name_of);

} // namespace
} // namespace mimic::jit
