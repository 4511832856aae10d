// Properties over random units: they are valid, run to an end, read back from their text, and passes keep their meaning.
#include "ir/operands.hpp"
#include "ir/random.hpp"
#include "ir/test_support.hpp"
#include "ir/text.hpp"
#include "ir/verify.hpp"
#include <gtest/gtest.h>
#include <set>

namespace mimic::ir {
namespace {

int mix(CpuHeader*, const Wide* a, Wide* r) {
    r[0].w[0] = a[0].w[0] * 3 + a[1].w[0];
    r[1].w[0] = a[0].w[0] ^ a[3].w[0];
    return 0;
}
int count_x7(CpuHeader* cpu, const Wide*, Wide*) {
    ++*reinterpret_cast<u64*>(home(cpu, test::slots[7]));
    return 0;
}
int leave_sometimes(CpuHeader* cpu, const Wide* a, Wide*) {
    if (a[0].w[0] % 16) return 0;
    cpu->exit_kind = ExitKind::trap;
    cpu->exit_arg = 99;
    return 1;
}
constexpr Intrinsic mixing{"mix", mix, 4, 2, Intrinsic::pure};
constexpr Intrinsic counting{"count_x7", count_x7, 0, 0, Intrinsic::reads_state | Intrinsic::writes_state};
constexpr Intrinsic leaving{"leave_sometimes", leave_sometimes, 1, 0, Intrinsic::may_exit};
constexpr const Intrinsic* intrinsics[] = {&mixing, &counting, &leaving};
constexpr SlotId counter = 31;

RandomOptions options(u64 seed) {
    RandomOptions o{.seed = seed};
    o.blocks = 1 + seed % 9;
    o.operations = 10 + seed % 70;
    constexpr u32 lengths[] = {32, 16, 256, 48, 8, 64};
    o.vector_bytes = lengths[seed % 6];
    o.counter = counter;
    o.intrinsics = intrinsics;
    return o;
}

bool same(const Inst& a, const Inst& b) {
    return a.op == b.op && a.type == b.type && a.sub == b.sub && a.lane == b.lane && a.a == b.a && a.b == b.b &&
           a.c == b.c && a.imm == b.imm;
}

TEST(RandomUnits, AreValidAndReadBack) {
    std::set<std::string> seen;
    for (u64 seed = 0; seed < 500; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Unit unit = random_unit(test::aarch64, options(seed));
        auto good = verify(unit, test::aarch64);
        ASSERT_TRUE(good) << good.error().message();
        std::string text = print(unit, test::aarch64);
        auto back = parse(text, test::aarch64, intrinsics);
        ASSERT_TRUE(back) << back.error().message();
        ASSERT_EQ(print(*back, test::aarch64), text);
        ASSERT_EQ(back->code.size(), unit.code.size());
        for (u32 n = 0; n < unit.code.size(); ++n) {
            // Places in the pools may differ; what stands there is in the text.
            bool pooled = unit.code[n].imm != back->code[n].imm;
            if (pooled) back->code[n].imm = unit.code[n].imm;
            ASSERT_TRUE(same(unit.code[n], back->code[n])) << print(unit, test::aarch64, n);
            const Inst& i = unit.code[n];
            std::string_view kind = kinds_of(i.op).empty() ? "" : kinds_of(i.op)[i.sub].name;
            seen.insert(std::string(info(i.op).name) + "." + std::string(kind));
        }
        EXPECT_EQ(back->guest_insns, unit.guest_insns);
    }
    for (u32 n = 0; n < op_count; ++n) {
        if (Op(n) == Op::nop) continue;
        std::string name(info(Op(n)).name);
        for (const KindInfo& k : kinds_of(Op(n)))
            EXPECT_TRUE(seen.contains(name + "." + std::string(k.name))) << name << k.name;
        if (kinds_of(Op(n)).empty()) { EXPECT_TRUE(seen.contains(name + ".")) << name; }
    }
}

TEST(RandomUnits, AreTheSameForTheSameSeed) {
    EXPECT_EQ(print(random_unit(test::riscv, options(7)), test::riscv),
              print(random_unit(test::riscv, options(7)), test::riscv));
    EXPECT_NE(print(random_unit(test::riscv, options(7)), test::riscv),
              print(random_unit(test::riscv, options(8)), test::riscv));
}

TEST(RandomUnits, RunToAnEndInEveryWay) {
    std::set<u32> exits;
    Interpreter interpreter;
    for (u64 seed = 0; seed < 1500; ++seed) {
        RandomOptions o = options(seed);
        Unit unit = random_unit(test::riscv, o);
        test::Cpu cpu;
        random_state(test::riscv, o, cpu.header);
        cpu.header.poll = seed % 32 == 0;
        test::FlatMemory memory;
        interpreter.run(unit, test::riscv, cpu.header, memory);
        exits.insert(u32(cpu.header.exit_kind));
        u32 flags;
        std::memcpy(&flags, cpu.slot(10), 4);
        EXPECT_EQ(flags & ~flag::all, 0u);
    }
    EXPECT_EQ(exits, (std::set<u32>{u32(ExitKind::link), u32(ExitKind::lookup), u32(ExitKind::poll),
                                    u32(ExitKind::trap), u32(ExitKind::fault)}));
}

TEST(RandomUnits, KeepToWhatIsAllowed) {
    RandomOptions o = options(3);
    o.weights = {20, 0, 0, 16, 8, 0, 0, 0, 0, 0, 0, 0, 0};
    o.allowed = [](const Inst& i) { return i.op != Op::mul && i.type != Type::i16; };
    for (o.seed = 0; o.seed < 200; ++o.seed)
        for (const Inst& i : random_unit(test::riscv, o).code) {
            EXPECT_NE(i.op, Op::mul);
            EXPECT_FALSE(is_vector(i.type) || is_fp(i.type) || i.type == Type::i128 || i.type == Type::flags)
                << info(i.op).name << " " << to_string(i.type);
        }
}

// Broken text gives an error or a unit, and a broken unit gets an error from verify; nothing crashes.
TEST(RandomUnits, MutilatedTextIsHarmless) {
    u32 refused = 0;
    for (u64 seed = 0; seed < 600; ++seed) {
        std::string text = print(random_unit(test::riscv, options(seed % 64)), test::riscv);
        u64 r = seed * 0x9e3779b97f4a7c15;
        for (u32 k = 0; k < 1 + seed % 4; ++k) {
            r = r * 6364136223846793005 + 1442695040888963407;
            size_t at = (r >> 33) % text.size();
            if (r >> 20 & 1)
                text[at] = "0123456789abvxif%[]().,+- \n"[(r >> 8) % 27];
            else
                text.erase(at, 1 + (r >> 8) % 20);
        }
        auto unit = parse(text, test::riscv, intrinsics);
        if (!unit)
            ++refused;
        else if (!verify(*unit, test::riscv))
            ++refused;
    }
    EXPECT_GT(refused, 200u);
}

} // namespace
} // namespace mimic::ir
