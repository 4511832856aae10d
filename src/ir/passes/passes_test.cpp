// tests/passes.ir: "== name", "pass: name", a unit, "after:", the unit that the pass makes of it. Then the passes over
// random units: what the guest can see stays.
#include "ir/interpreter.hpp"
#include "ir/passes/passes.hpp"
#include "ir/random.hpp"
#include "ir/test_support.hpp"
#include "ir/text.hpp"
#include "ir/verify.hpp"
#include <fstream>
#include <gtest/gtest.h>

namespace mimic::ir {
namespace {

struct NoneReadFlags : ExitFlags {
    bool dead_at(u64, u32) override { return true; }
};

bool apply(const std::string& pass, Unit& unit, const GuestState& guest) {
    PassScratch scratch;
    NoneReadFlags none_read;
    if (pass == "drop_dead_values")
        drop_dead_values(unit, guest, scratch);
    else if (pass == "dead_flags")
        dead_flags(unit, guest, scratch);
    else if (pass == "dead_flags_at_exits")
        dead_flags(unit, guest, scratch, &none_read);
    else if (pass == "sink_flags")
        dead_flags(unit, guest, scratch), sink_flags(unit, guest, scratch);
    else if (pass == "dead_state")
        dead_state(unit, guest, scratch);
    else if (pass == "narrow")
        narrow(unit, guest, scratch);
    else if (pass == "run_passes")
        run_passes(unit, guest, scratch);
    else
        return false;
    return true;
}

struct Case {
    std::string name, pass, before, after;
};

std::vector<Case> cases() {
    std::ifstream file("src/ir/tests/passes.ir");
    std::vector<Case> all;
    bool after = false;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("== "))
            all.push_back({line.substr(3), "", "", ""}), after = false;
        else if (all.empty())
            continue;
        else if (line.starts_with("pass: "))
            all.back().pass = line.substr(6);
        else if (line == "after:")
            after = true;
        else
            (after ? all.back().after : all.back().before) += line + "\n";
    }
    return all;
}

TEST(Passes, DoWhatTheTextSays) {
    auto all = cases();
    EXPECT_GT(all.size(), 15u);
    for (const Case& c : all) {
        SCOPED_TRACE(c.name);
        auto before = parse(c.before, test::riscv), after = parse(c.after, test::riscv);
        ASSERT_TRUE(before) << before.error().message();
        ASSERT_TRUE(after) << after.error().message();
        auto good = verify(*before, test::riscv);
        ASSERT_TRUE(good) << good.error().message();
        ASSERT_TRUE(apply(c.pass, *before, test::riscv)) << "no pass " << c.pass;
        EXPECT_EQ(print(*before, test::riscv), print(*after, test::riscv));
    }
}

int bump_x7(CpuHeader* cpu, const Wide*, Wide*) {
    ++*reinterpret_cast<u64*>(home(cpu, test::slots[7]));
    return 0;
}
int leave_sometimes(CpuHeader* cpu, const Wide* a, Wide*) {
    if (a[0].w[0] % 8) return 0;
    cpu->exit_kind = ExitKind::trap;
    cpu->exit_arg = 99;
    return 1;
}
int hash(CpuHeader*, const Wide* a, Wide* r) {
    r[0].w[0] = a[0].w[0] * 31 + a[1].w[0];
    return 0;
}
constexpr Intrinsic bump{"bump_x7", bump_x7, 0, 0, Intrinsic::reads_state | Intrinsic::writes_state};
constexpr Intrinsic leave{"leave_sometimes", leave_sometimes, 1, 0, Intrinsic::may_exit};
constexpr Intrinsic pure{"hash", hash, 2, 1, Intrinsic::pure};
constexpr const Intrinsic* intrinsics[] = {&bump, &leave, &pure};

struct Outcome {
    test::Cpu cpu;
    test::FlatMemory memory;
};

void run(const Unit& unit, const RandomOptions& o, Outcome& to) {
    random_state(test::aarch64, o, to.cpu.header);
    to.cpu.header.poll = o.seed % 5 == 0;
    Interpreter().run(unit, test::aarch64, to.cpu.header, to.memory);
}

void compare(Outcome& a, Outcome& b) {
    const CpuHeader &x = a.cpu.header, &y = b.cpu.header;
    EXPECT_EQ(x.exit_kind, y.exit_kind);
    EXPECT_EQ(x.pc, y.pc);
    EXPECT_EQ(x.exit_arg, y.exit_arg);
    EXPECT_EQ(x.fault_address, y.fault_address);
    EXPECT_EQ(x.fp.flags, y.fp.flags);
    EXPECT_EQ(x.fp.mode, y.fp.mode);
    EXPECT_EQ(a.memory.bytes(), b.memory.bytes());
    for (SlotId n = 0; n < std::size(test::slots); ++n) {
        const Slot& s = test::slots[n];
        bool interrupted = x.exit_kind == ExitKind::fault || x.exit_kind == ExitKind::poll;
        if (s.cls == SlotClass::temp || (s.cls == SlotClass::flag && interrupted)) continue;
        EXPECT_EQ(std::memcmp(a.cpu.slot(n), b.cpu.slot(n), size_of(s.type, 256)), 0) << s.name;
    }
}

TEST(Passes, KeepWhatTheGuestSees) {
    PassScratch scratch;
    u32 dropped = 0;
    for (u64 seed = 0; seed < 1500; ++seed) {
        RandomOptions o{.seed = seed, .blocks = u32(1 + seed % 8), .operations = u32(5 + seed % 60)};
        o.counter = 31;
        o.intrinsics = intrinsics;
        // A few slots, written and read often.
        if (seed % 2) o.weights = {10, 0, 20, 30, 4, 1, 1, 2, 0, 2, 1, 1, 2};
        SCOPED_TRACE("seed " + std::to_string(seed));
        Unit unit = random_unit(test::aarch64, o);
        Outcome before, after;
        run(unit, o, before);
        u32 nops = 0;
        for (const Inst& i : unit.code) nops -= i.op == Op::nop;
        run_passes(unit, test::aarch64, scratch);
        for (const Inst& i : unit.code) nops += i.op == Op::nop;
        dropped += nops;
        auto good = verify(unit, test::aarch64);
        ASSERT_TRUE(good) << good.error().message();
        run(unit, o, after);
        compare(before, after);
        if (HasFailure()) {
            ADD_FAILURE() << print(unit, test::aarch64);
            break;
        }
    }
    EXPECT_GT(dropped, 1500u);
}

} // namespace
} // namespace mimic::ir
