// Vector and FP operations against the interpreter, with as much of the host as each level of x86-64 has: every kind,
// lane and width by itself, then random units.
#include "base/check.hpp"
#include "ir/operands.hpp"
#include "ir/random.hpp"
#include "ir/test_support.hpp"
#include "ir/text.hpp"
#include "ir/verify.hpp"
#include "ir/verify_types.hpp"
#include "jit/code_cache.hpp"
#include "jit/host/host.hpp"
#include <cstring>
#include <gtest/gtest.h>
#include <random>

namespace mimic::jit {
namespace {

using ir::Inst;
using ir::Lane;
using ir::Op;
using ir::Slot;
using ir::SlotClass;
using ir::Type;

// v0 to v29 in registers, as far as the host has them; the others in memory; then what takes scalars. `with_scalars` has d0
// to d3, too, in registers.
constexpr u32 vectors = 34, in_memory = 30, pinned_doubles = 4;
constexpr std::string_view names[vectors] = {"v0",  "v1",  "v2",  "v3",  "v4",  "v5",  "v6",  "v7",  "v8",
                                             "v9",  "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17",
                                             "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26",
                                             "v27", "v28", "v29", "v30", "v31", "v32", "v33"};
constexpr auto make_slots() {
    std::array<Slot, vectors + 8 + pinned_doubles> s{};
    for (u32 n = 0; n < vectors; ++n)
        s[n] = {names[n], u16(16 * n), Type::v128, SlotClass::vec, u8(n < in_memory ? 90 - n : 0)};
    const u32 at = 16 * vectors;
    s[vectors] = {"x0", u16(at), Type::i64, SlotClass::gpr, 9};
    s[vectors + 1] = {"x1", u16(at + 8), Type::i64, SlotClass::gpr, 9};
    s[vectors + 2] = {"x2", u16(at + 16), Type::i64};
    s[vectors + 3] = {"i8", u16(at + 24), Type::i8};
    s[vectors + 4] = {"i16", u16(at + 26), Type::i16};
    s[vectors + 5] = {"i32", u16(at + 28), Type::i32};
    s[vectors + 6] = {"f64", u16(at + 32), Type::f64};
    s[vectors + 7] = {"count", u16(at + 40), Type::i64, SlotClass::sys};
    constexpr std::string_view doubles[pinned_doubles] = {"d0", "d1", "d2", "d3"};
    for (u32 n = 0; n < pinned_doubles; ++n)
        s[vectors + 8 + n] = {doubles[n], u16(at + 48 + 8 * n), Type::f64, SlotClass::fp, 95};
    return s;
}
constexpr auto with_scalars = make_slots();
constexpr std::span slots(with_scalars.data(), vectors + 8);
constexpr u32 state_bytes = 16 * vectors + 48, counter = vectors + 7;

constexpr u32 flags = 0x1f | ir::fpflag::saturated;
constexpr ir::GuestState arm{"arm-rules", slots, state_bytes, &softfloat::env::aarch64, nullptr, flags};
constexpr ir::GuestState canonical{"riscv-rules", slots, state_bytes, &softfloat::env::riscv, nullptr, flags};
constexpr ir::GuestState intel{"x86-rules", slots, state_bytes, &softfloat::env::x86_sse, nullptr, flags};

class Engines {
public:
    Engines(const ir::GuestState& guest, u32 level)
        : guest_(guest)
        , backend_(*make_backend(guest, 4, level))
        , cache_(*CodeCache::create(1 << 20)) {
        u64 bytes = ir::slots_offset + guest.bytes + backend_->host_area();
        for (auto* state : {&jit_, &oracle_}) *state = new (std::align_val_t{64}) u8[bytes]();
        cpu(jit_) = {}, cpu(oracle_) = {};
        u8* code = cache_.code();
        MIMIC_CHECK(backend_->emit_shared(code, cache_.writable(code), u32(CodeCache::head_bytes)), "no room");
        backend_->init(&cpu(jit_));
    }
    ~Engines() {
        for (u8* state : {jit_, oracle_}) ::operator delete[](state, std::align_val_t{64});
    }

    // Translates; false when the back end refuses.
    bool translate(const ir::Unit& unit) {
        emitted_.text = &text_;
        analysis_.run(unit, guest_, backend_->plan());
        u64 room = 0;
        code_ = *cache_.room(room);
        if (!emit(unit, room)) {
            if (!emitted_.no_room) return false;
            if (!cache_.next_region()) return false;
            code_ = *cache_.room(room);
            if (!emit(unit, room)) return false;
        }
        cache_.commit(emitted_.bytes);
        for (u32 n = 0; n < emitted_.edges.size(); ++n) cache_.links()[n] = u64(code_ + emitted_.edges[n].stub);
        return true;
    }
    // Runs both from the state that random_state makes; what differs.
    std::string difference(const ir::Unit& unit, const ir::RandomOptions& seed, ir::FpEnv fp) {
        random_state(guest_, seed, cpu(oracle_));
        std::memcpy(jit_ + ir::slots_offset, oracle_ + ir::slots_offset, guest_.bytes);
        for (u8* state : {jit_, oracle_}) {
            cpu(state).fp = fp;
            cpu(state).poll = 0;
        }
        interpreter_.run(unit, guest_, cpu(oracle_), memory_);
        backend_->enter(&cpu(jit_), code_ + emitted_.entries.front().offset);
        std::string out;
        for (u32 n = 0; n < guest_.bytes; n += 8)
            if (word(jit_, n) != word(oracle_, n))
                out += "at " + std::to_string(n) + ": " + hex(word(oracle_, n)) + ", JIT " + hex(word(jit_, n)) + "\n";
        if (cpu(jit_).exit_kind != cpu(oracle_).exit_kind)
            out += "exit " + std::to_string(u32(cpu(oracle_).exit_kind)) + ", JIT " +
                   std::to_string(u32(cpu(jit_).exit_kind)) + "\n";
        if (cpu(jit_).fp.flags != cpu(oracle_).fp.flags)
            out += "flags " + hex(cpu(oracle_).fp.flags) + ", JIT " + hex(cpu(jit_).fp.flags) + "\n";
        return out;
    }
    std::string text() const { return text_; }
    Op refused() const { return emitted_.refused; }

private:
    static ir::CpuHeader& cpu(u8* state) { return *reinterpret_cast<ir::CpuHeader*>(state); }
    static u64 word(const u8* state, u32 at) {
        u64 w;
        std::memcpy(&w, state + ir::slots_offset + at, 8);
        return w;
    }
    static std::string hex(u64 v) {
        char text[20];
        std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(v));
        return text;
    }
    bool emit(const ir::Unit& unit, u64 room) {
        return backend_->emit(unit, analysis_, AddressModel::direct, code_, cache_.writable(code_), room,
                              cache_.links(), emitted_);
    }

    const ir::GuestState& guest_;
    std::unique_ptr<Backend> backend_;
    CodeCache cache_;
    Analysis analysis_;
    Emitted emitted_;
    std::string text_;
    ir::Interpreter interpreter_;
    ir::test::FlatMemory memory_;
    u8 *jit_ = nullptr, *oracle_ = nullptr, *code_ = nullptr;
};

// ---- one operation

class OneOperation {
public:
    explicit OneOperation(u64 seed) : random_(seed) {}

    // Operands from registers, memory or the result's own slot, then the operation, then its result to a slot.
    ir::Unit unit(Inst i, Type a, Type b, Type c) {
        ir::Unit u;
        u.vector_bytes = 16;
        u.pc = u.guest_low = 0x1000;
        u.guest_high = 0x1004;
        u.code.push_back({.op = Op::insn, .sub = 4, .c = 0, .imm = 0x1000});
        const u32 target = vector_slot();
        const Type types[3] = {a, b, c};
        ir::ValueId values[3] = {ir::none, ir::none, ir::none};
        for (u32 k = 0; k < 3; ++k) {
            if (types[k] == Type::none) continue;
            values[k] =
                k > 0 && types[k] == types[k - 1] && below(4) == 0 ? values[k - 1] : operand(u, types[k], target);
        }
        i.a = values[0], i.b = values[1], i.c = values[2];
        if (i.op == Op::vshuffle) {
            i.imm = u.wide.size();
            for (u32 k = 0; k < 2; ++k) {
                u.wide.push_back(0);
                for (u32 n = 0; n < 8; ++n)
                    u.wide.back() |= u64(below(8) ? below(ir::size_of(i.type) * 2) : 200) << 8 * n;
            }
        }
        u.code.push_back(i);
        const u32 result = u32(u.code.size() - 1);
        const Type t = ir::result_type(u.code[result]);
        const u32 slot = ir::is_vector(t) || ir::size_of(t) == 16 ? target
                         : t == Type::i8                          ? vectors + 3
                         : t == Type::i16 || t == Type::f16       ? vectors + 4
                         : t == Type::i32 || t == Type::f32       ? vectors + 5
                         : t == Type::i64                         ? vectors
                                                                  : vectors + 6;
        u.code.push_back({.op = Op::put, .type = t, .a = result, .imm = ir::SlotArg{ir::SlotId(slot)}.bits()});
        u.code.push_back({.op = Op::exit, .c = 0, .imm = 0x1004});
        u.blocks.push_back({.begin = 0, .end = u32(u.code.size()), .pc = 0x1000, .entry = true});
        return u;
    }

private:
    u32 below(u32 n) { return u32(random_() % n); }
    u32 vector_slot() { return below(3) ? below(8) : below(vectors); }
    ir::ValueId operand(ir::Unit& u, Type t, u32 target) {
        u32 slot = ir::is_int(t) && t != Type::i128 ? (t == Type::i64 ? vectors + below(3) : vectors + 2)
                   : below(4) == 0                  ? target
                                                    : vector_slot();
        u.code.push_back({.op = Op::get, .type = t, .imm = ir::SlotArg{ir::SlotId(slot)}.bits()});
        return u32(u.code.size() - 1);
    }
    std::mt19937_64 random_;
};

struct Level {
    const char* name;
    const ir::GuestState& guest;
    u32 level;
};
void PrintTo(const Level& l, std::ostream* out) { *out << l.name; }

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

// Numbers whose products are tiny before they are rounded and not behind that, and some that are none.
constexpr u64 chain_f64[] = {0x0010000000000001, 0x3feffffffffffffe, 0x3ff0000000000000, 0x8010000000000000,
                             0x7ff8000000000000, 0xfff4000000000001, 0x7ff0000000000000, 0};
constexpr u32 chain_f32[] = {0x00800001, 0x3f7ffffe, 0x3f800000, 0x80800000, 0x7fc00000, 0xffa00001, 0x7f800000, 0};

// Little but arithmetic on lanes, or on scalars, whose checks are made together.
TEST_P(VectorTest, ChainsOfFp) {
    Engines engines(GetParam().guest, GetParam().level);
    OneOperation make(1);
    std::mt19937_64 random(GetParam().level);
    auto number = [&](Lane lane) {
        const u64 n = random() % (random() % 2 ? 3 : 8); // mostly numbers
        return lane == Lane::f64 ? chain_f64[n] : u64{chain_f32[n]};
    };
    for (u32 k = 0; k < 2000; ++k) {
        const bool scalars = k % 4 == 3;
        ir::Unit u = make.unit({.op = Op::vselect, .type = Type::v128}, Type::v128, Type::v128, Type::v128);
        u.code.resize(u.code.size() - 2); // without its end
        std::vector<u32> values[2];       // of f32, f64; lanes may be both
        auto add = [&](Lane lane, Inst i) {
            u.code.push_back(i);
            for (Lane l : {Lane::f32, Lane::f64})
                if (!scalars || l == lane) values[l == Lane::f64].push_back(u32(u.code.size() - 1));
        };
        auto any = [&](Lane lane) {
            auto& v = values[lane == Lane::f64];
            return v[v.size() - 1 - random() % std::min<size_t>(v.size(), 5)];
        };
        auto constant = [&](Lane lane, std::optional<u64> same = {}) {
            const bool f64 = lane == Lane::f64;
            auto next = [&] { return same ? *same : number(lane); };
            if (scalars) return Inst{.op = Op::constant, .type = f64 ? Type::f64 : Type::f32, .imm = next()};
            for (u32 w = 0; w < 2; ++w) u.wide.push_back(f64 ? next() : next() << 32 | next());
            return Inst{.op = Op::constant, .type = Type::v128, .imm = u.wide.size() - 2};
        };
        auto slot = [&](Op op, u32 a) {
            return Inst{
                .op = op, .type = Type::v128, .a = a, .imm = ir::SlotArg{ir::SlotId(random() % vectors)}.bits()};
        };
        auto put = [&] {
            u32 v = any(random() % 2 ? Lane::f32 : Lane::f64);
            if (scalars) u.code.push_back({.op = Op::bitcast, .type = Type::v128, .a = v}), v = u32(u.code.size() - 1);
            u.code.push_back(slot(Op::put, v));
        };
        // A fused sum of infinity times zero, and a NaN, that nothing reads but whether it is a number: or nothing at all.
        auto only_asked = [&](Lane lane) {
            std::array<u32, 3> from;
            for (u32 m = 0; m < 3; ++m) {
                const u32 n = std::array{6u, 7u, 4u}[m]; // of chain_f64
                u.code.push_back(constant(lane, lane == Lane::f64 ? chain_f64[n] : chain_f32[n]));
                from[m] = u32(u.code.size() - 1);
            }
            Inst i{.a = from[0], .b = from[1], .c = random() % 2 ? from[2] : any(lane), .imm = ir::FpArg{}.bits()};
            i.op = scalars ? Op::fma : Op::vtern, i.lane = lane, i.sub = scalars ? u8(0) : u8(ir::VTern::fmla);
            i.type = !scalars ? Type::v128 : lane == Lane::f64 ? Type::f64 : Type::f32;
            if (scalars) i.lane = Lane{};
            u.code.push_back(i);
            const u32 sum = u32(u.code.size() - 1);
            if (random() % 4 == 0) return;
            if (!scalars) {
                u.code.push_back(
                    {.op = Op::vcmp, .type = Type::v128, .sub = u8(ir::VRel::feq), .lane = lane, .a = sum, .b = sum});
                u.code.push_back(slot(Op::put, u32(u.code.size() - 1)));
                return;
            }
            u.code.push_back({.op = Op::fcmp, .type = i.type, .sub = u8(ir::FRel::eq), .a = sum, .b = sum});
            u.code.push_back({.op = Op::zext, .type = Type::i64, .a = u32(u.code.size() - 1)});
            u.code.push_back({.op = Op::put,
                              .type = Type::i64,
                              .a = u32(u.code.size() - 1),
                              .imm = ir::SlotArg{ir::SlotId(vectors)}.bits()});
        };
        if (!scalars)
            for (u32 n = 1; n < u.code.size(); ++n) values[0].push_back(n), values[1].push_back(n);
        for (u32 n = 0; n < 3; ++n)
            for (Lane lane : {Lane::f32, Lane::f64}) add(lane, constant(lane));
        const Lane usual = k % 3 ? Lane::f32 : Lane::f64, other = k % 3 ? Lane::f64 : Lane::f32;
        for (u32 n = 0; n < 14; ++n) {
            const Lane lane = random() % 8 ? usual : other;
            const u32 kind = random() % 3 ? 2 : u32(random() % 4);
            Inst i{.a = any(lane), .b = any(lane), .imm = ir::FpArg{}.bits()};
            const bool fused = random() % 6 == 0;
            if (fused) i.c = any(lane);
            if (scalars) {
                i.op = fused ? Op::fma : std::array{Op::fadd, Op::fsub, Op::fmul, Op::fdiv}[kind];
                i.type = lane == Lane::f64 ? Type::f64 : Type::f32;
            } else {
                i.op = fused ? Op::vtern : Op::vbin, i.type = Type::v128, i.lane = lane;
                i.sub = fused ? u8(ir::VTern::fmla)
                        : random() % 16 == 0
                            ? u8(ir::VBin::fmin)
                            : u8(std::array{ir::VBin::fadd, ir::VBin::fsub, ir::VBin::fmul, ir::VBin::fdiv}[kind]);
                if (!fused && random() % 12 == 0) i.op = Op::vcmp, i.sub = u8(ir::VRel::fgt), i.imm = random() % 2;
            }
            add(lane, i);
            if (random() % 6 == 0) only_asked(lane);
            if (random() % 3 == 0) put();
            if (random() % 4 == 0) add(lane, constant(lane));
            if (random() % 5 == 0 && !scalars) add(lane, slot(Op::get, ir::none));
        }
        for (u32 n = 0; n < 4; ++n) put();
        u.code.push_back({.op = Op::exit, .c = 0, .imm = 0x1004});
        u.blocks[0].end = u32(u.code.size());
        std::string text = print(u, GetParam().guest);
        auto valid = verify(u, GetParam().guest);
        ASSERT_TRUE(valid) << valid.error().message() << "\n" << text;
        ASSERT_TRUE(engines.translate(u)) << text;
        for (u64 seed = 0; seed < 3; ++seed) {
            ir::RandomOptions o{.seed = 4 * k + seed, .counter = counter};
            ASSERT_EQ(engines.difference(u, o, {0, k % 4}), "") << text << engines.text();
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

TEST_P(VectorTest, TurningBlocks) {
    ir::GuestState guest = GetParam().guest;
    guest.slots = with_scalars, guest.bytes += 8 * pinned_doubles;
    Engines engines(guest, GetParam().level);
    TurningBlock make(GetParam().level, !guest.fp->nan.default_sign); // x86 has no boxes
    for (u32 k = 0; k < 1500; ++k) {
        const ir::Unit u = make.unit();
        const std::string text = print(u, guest);
        ASSERT_TRUE(verify(u, guest)) << text;
        ASSERT_TRUE(engines.translate(u)) << text;
        for (u64 seed = 0; seed < 8; ++seed) {
            ir::RandomOptions o{.seed = 8 * k + seed, .counter = counter};
            ASSERT_EQ(engines.difference(u, o, {0, k % 4}), "") << text << engines.text() << "seed " << o.seed;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Levels, VectorTest,
                         testing::Values(Level{"arm_v2", arm, 2}, Level{"arm_v3", arm, 3}, Level{"arm_v4", arm, 4},
                                         Level{"riscv_v2", canonical, 2}, Level{"riscv_v4", canonical, 4},
                                         Level{"x86_v3", intel, 3}, Level{"x86_v4", intel, 4}),
                         [](const auto& level) { return std::string(level.param.name); });

} // namespace
} // namespace mimic::jit
