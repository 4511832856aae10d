// Units that go through a file, joined, into another code space: they do what the program does, and go when its bytes do.
#include "base/process.hpp"
#include "cpu/cpu.hpp"
#include "cpu/test_machine.hpp"
#include "cpu/unit_file.hpp"
#include <functional>
#include <gtest/gtest.h>
#include <optional>
#include <sys/mman.h>
#include <unistd.h>

namespace mimic::cpu {
namespace {

struct FileStore final : UnitStore {
    std::optional<UnitFile> file;
    u32 taken = 0;
    Said look(u64 pc, u32 mode) override { return file ? file->look(pc, mode) : Said{}; }
    bool take(const Said& said, u64 pc, u32 mode, UnitBytes& into, SavedUnit& unit) override {
        u32 bad = 0;
        ++taken;
        return !file->take(said, pc, mode, into, unit, bad).empty();
    }
};

struct Restored : testing::Test {
    TestMachine machine;
    process::SignalStack stack;
    std::unique_ptr<isa::Guest> guest = *isa::find_guest("riscv64")->make("rv64");
    const Sha256Digest key = sha256({});
    static constexpr u64 loop = 0x1000, adds = 400, changing = loop + 4 * 300;
    u32 whole_after = 0;

    // A process that runs programs: a code space, and what it has of a file.
    struct Process {
        FileStore store;
        std::unique_ptr<CodeSpace> space;
        std::unique_ptr<Cpu> cpu;
        std::function<void()> on_clock;
    };
    std::vector<u8> bytes; // of the file

    void SetUp() override {
        process::install_fault_handlers();
        // More than a unit has, so two that go to each other.
        machine.assemble(*guest, {"csrrs a2, time, zero"}, loop);
        for (u64 n = 0; n < adds; ++n) machine.assemble(*guest, {"addi a1, a1, 1"}, loop + 4 + 4 * n);
        machine.assemble(*guest, {"addi a0, a0, -1", "bne a0, zero, 0x1000", "ecall"}, loop + 4 + 4 * adds);
    }
    std::unique_ptr<Process> process() {
        auto p = std::make_unique<Process>();
        if (!bytes.empty()) p->store.file.emplace(*UnitFile::read(bytes, key));
        p->space = *CodeSpace::create(*guest, machine,
                                      {.interpret_first = true,
                                       .keep_blocks = 0,
                                       .whole_after = whole_after,
                                       .store = &p->store,
                                       .guest_base = u64(machine.base)});
        p->cpu = std::make_unique<Cpu>(*p->space, machine);
        p->cpu->client = p.get();
        p->cpu->header().clock = [](ir::CpuHeader& h) {
            auto* owner = static_cast<Process*>(static_cast<Cpu*>(h.owner)->client);
            if (owner->on_clock) owner->on_clock();
            return u64{0};
        };
        return p;
    }
    u64 run(Process& p, u64 turns, u64 from = loop) {
        p.cpu->header().pc = from;
        p.cpu->slot64(10) = turns, p.cpu->slot64(11) = 0;
        p.cpu->run();
        EXPECT_EQ(p.cpu->header().exit_kind, ir::ExitKind::trap);
        return p.cpu->slot64(11);
    }
    // The file gets what the process has translated, beside what is there. How many blobs it has.
    u32 save(Process& p) {
        const int fd = memfd_create("units", MFD_CLOEXEC);
        UnitFileWriter w(fd, key, 0, {}, [&](u64 low, std::span<u8> out) {
            return machine.fetch(low, out.data(), u32(out.size())) == out.size();
        });
        p.space->save_units([&](u64) { return &w.begin(); }, [&](const saved::Head&, u64) { w.end(); },
                            [&](u64 pc) { w.add_ran(pc); });
        UnitBytes scratch;
        if (p.store.file)
            p.store.file->for_each(scratch, [&](auto unit, const Checksum& c) { return w.add(unit, &c), true; });
        EXPECT_TRUE(w.finish());
        bytes.resize(u64(lseek(fd, 0, SEEK_END)));
        EXPECT_EQ(pread(fd, bytes.data(), bytes.size(), 0), ssize_t(bytes.size()));
        close(fd);
        auto file = UnitFile::read(bytes, key);
        EXPECT_TRUE(file);
        u32 blobs = 0;
        file->for_each(scratch, [&](auto unit, auto&) { return blobs += !unit.empty(), true; });
        return blobs;
    }
};

TEST_F(Restored, UnitsOfAPageAreTakenAtOnce) {
    auto first = process();
    EXPECT_EQ(run(*first, 100), 100 * adds);
    EXPECT_GE(first->space->counters().units, 2u);
    EXPECT_EQ(save(*first), 1u);
    auto second = process(); // translates what ran once
    EXPECT_EQ(run(*second, 100), 100 * adds);
    EXPECT_EQ(second->store.taken, 1u);
    const u64 units = second->space->counters().restored + second->space->counters().units;
    EXPECT_EQ(save(*second), 1u);
    auto third = process();
    EXPECT_EQ(run(*third, 100), 100 * adds);
    const CodeSpace::Counters c = third->space->counters();
    EXPECT_EQ(c.units, 0u);
    EXPECT_EQ(c.interpreted, 0u);
    EXPECT_EQ(c.restored, units);
    EXPECT_EQ(third->store.taken, 1u);
}

TEST_F(Restored, ALoopThroughJoinedUnitsIsLeftWhenItsBytesChange) {
    auto first = process();
    run(*first, 100);
    save(*first);
    auto second = process();
    u64 turn = 0;
    second->on_clock = [&] {
        if (++turn != 5) return;
        machine.assemble(*guest, {"addi a1, a1, 101"}, changing);
        second->space->invalidate(changing, changing + 4);
    };
    EXPECT_EQ(run(*second, 100), 100 * adds + 96 * 100);
    EXPECT_GE(second->space->counters().units, 1u);
}

TEST_F(Restored, NothingOfOtherBytesIsTaken) {
    auto first = process();
    run(*first, 100);
    save(*first);
    machine.assemble(*guest, {"addi a1, a1, 101"}, changing);
    auto second = process();
    EXPECT_EQ(run(*second, 100), 100 * adds + 100 * 100);
    EXPECT_EQ(second->space->counters().restored, 0u);
    EXPECT_EQ(second->store.taken, 1u); // it is not looked at again
}

TEST_F(Restored, WhatIsNewIsJoinedWithWhatWasThere) {
    auto first = process();
    run(*first, 100);
    save(*first);
    machine.assemble(*guest, {"addi a1, a1, 2", "addi a0, a0, -1", "bne a0, zero, 0x1800", "ecall"}, 0x1800);
    auto second = process();
    EXPECT_EQ(run(*second, 100, 0x1800), 200u);
    EXPECT_EQ(run(*second, 100), 100 * adds);
    EXPECT_EQ(save(*second), 1u);
    auto third = process();
    EXPECT_EQ(run(*third, 100), 100 * adds);
    EXPECT_EQ(run(*third, 100, 0x1800), 200u);
    EXPECT_EQ(third->space->counters().units, 0u);
    EXPECT_EQ(third->store.taken, 1u);
}

TEST_F(Restored, HotLoopsStayWhole) {
    whole_after = 16;
    auto first = process();
    EXPECT_EQ(run(*first, 100), 100 * adds);
    EXPECT_EQ(first->space->counters().whole_units, 1u);
    save(*first);
    auto second = process();
    EXPECT_EQ(run(*second, 100), 100 * adds);
    EXPECT_EQ(second->space->counters().whole_units, 0u);
    // What was not hot becomes whole where it is taken.
    bytes.clear();
    auto brief = process();
    run(*brief, 10);
    save(*brief);
    auto hot = process();
    EXPECT_EQ(run(*hot, 100), 100 * adds);
    EXPECT_EQ(hot->space->counters().whole_units, 1u);
    EXPECT_EQ(run(*hot, 100), 100 * adds);
    EXPECT_EQ(hot->space->counters().whole_units, 1u);
}

} // namespace
} // namespace mimic::cpu
