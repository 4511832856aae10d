// The conformance suite: what must hold of every device, found by its type.
#include "base/trace.hpp"
#include "devices/base/machine.hpp"
#include "devices/types.hpp"
#include <gtest/gtest.h>
#include <random>

namespace mimic::devices {
namespace {

constexpr u64 base = 0x10000000, ram_base = 0x80000000, ram_size = 1 << 20;

// A machine with RAM and one device of the type, all its regions mounted.
struct Rig {
    Machine machine;
    std::unique_ptr<memory::RamBlock> block;
    std::unique_ptr<memory::Region> ram;
    Device* device = nullptr;
    std::vector<std::pair<u64, u64>> mapped; // address, bytes

    explicit Rig(const DeviceType& type) : machine({.manual_clock = true, .random_seed = 7, .types = types()}) {
        block = *memory::RamBlock::create("ram", ram_size, {.backing = memory::RamBlock::Backing::anonymous});
        ram = std::make_unique<memory::Region>("ram", *block, 0, ram_size, false);
        machine.system().add(*ram, ram_base);
        // What boards have, for devices that set themselves up through it.
        const bool boards = type.name == "fw_cfg_mem" || machine.create("fw_cfg_mem", "fwcfg");
        EXPECT_TRUE(boards);
        auto made = machine.create(type.name, "dut");
        EXPECT_TRUE(made) << (made ? "" : made.error().message());
        if (!made) return;
        device = *made;
        u64 at = base;
        for (u32 i = 0; i < device->regions(); i++) {
            machine.mount(*device, i, at);
            mapped.emplace_back(at, device->region(i).size());
            at += (device->region(i).size() + 0xffff) & ~u64{0xffff};
        }
        machine.reset(ResetKind::power_on);
        machine.set_running(true);
    }
    ~Rig() { machine.system().remove(*ram); }
    // One random access; offsets near the ends and near the beginning are likelier.
    void poke(std::mt19937_64& random) {
        if (mapped.empty()) return;
        auto [at, size] = mapped[random() % mapped.size()];
        u64 offset = random() % 4 ? random() % std::min<u64>(size, 0x100) : random() % size;
        u32 bytes = 1u << (random() % 4);
        if (random() % 3) offset &= ~u64{bytes - 1};
        u64 value = random() % 3 ? random() : ram_base + random() % 64;
        if (random() % 4 == 0) value = random() % 256;
        if (random() & 1)
            machine.memory().write_value(at + offset, bytes, value, {});
        else
            machine.memory().read_value(at + offset, bytes, value, {});
        if (random() % 8 == 0) machine.advance(random() % 2000000);
    }
};

std::vector<std::string> system_types() {
    std::vector<std::string> names;
    for (const DeviceType* t : types())
        if (t->bus == "system") names.emplace_back(t->name);
    return names;
}

class EveryDevice : public testing::TestWithParam<std::string> {
protected:
    const DeviceType& type() {
        for (const DeviceType* t : types())
            if (t->name == GetParam()) return *t;
        std::abort();
    }
};

TEST_P(EveryDevice, IsDescribed) {
    Rig r(type());
    ASSERT_TRUE(r.device);
    EXPECT_FALSE(type().summary.empty());
    EXPECT_FALSE(documentation(*r.device).empty());
    EXPECT_FALSE(schema(*r.device).find("type")->string()->empty());
    EXPECT_EQ(std::string(r.device->type()), GetParam());
    state_text(*r.device);
}

TEST_P(EveryDevice, SurvivesAnyAccess) {
    std::mt19937_64 random(11);
    Rig r(type());
    for (int i = 0; i < 20000; i++) {
        r.poke(random);
        if (random() % 4000 == 0) r.machine.reset(ResetKind(random() % 3));
    }
}

// Every offset of the first pages, all sizes.
TEST_P(EveryDevice, AnswersEveryOffset) {
    Rig r(type());
    for (auto [at, size] : r.mapped)
        for (u64 offset = 0; offset < std::min<u64>(size, 0x3000); offset++)
            for (u32 bytes : {1u, 2u, 4u, 8u}) {
                u64 v = 0;
                r.machine.memory().read_value(at + offset, bytes, v, {});
                r.machine.memory().write_value(at + offset, bytes, ~u64{0}, {});
            }
}

TEST_P(EveryDevice, StateComesBack) {
    std::mt19937_64 random(23);
    Rig a(type());
    for (int round = 0; round < 30; round++) {
        u64 pokes = random() % 300;
        for (u64 i = 0; i < pokes; i++) a.poke(random);
        std::vector<u8> saved = a.machine.save();
        Rig b(type());
        b.machine.advance(a.machine.now());
        auto loaded = b.machine.load(saved);
        ASSERT_TRUE(loaded) << loaded.error().message();
        EXPECT_EQ(b.machine.save(), saved);
        // Both go on alike.
        std::memcpy(b.block->host(), a.block->host(), ram_size);
        std::mt19937_64 same{u64(round)}, again{u64(round)};
        for (int i = 0; i < 100; i++) {
            a.poke(same);
            b.poke(again);
        }
        ASSERT_EQ(state_text(*b.device), state_text(*a.device));
        EXPECT_EQ(b.machine.save(), a.machine.save());
    }
}

TEST_P(EveryDevice, ResetMakesItNew) {
    std::mt19937_64 random(5);
    Rig a(type()), fresh(type());
    for (int i = 0; i < 500; i++) a.poke(random);
    a.machine.reset(ResetKind::power_on);
    EXPECT_EQ(a.machine.save(), fresh.machine.save());
}

TEST_P(EveryDevice, TornStatesAreRefused) {
    std::mt19937_64 random(3);
    Rig a(type()), b(type());
    for (int i = 0; i < 200; i++) a.poke(random);
    std::vector<u8> saved = a.machine.save();
    for (int i = 0; i < 300; i++) {
        std::vector<u8> bad = saved;
        for (u64 n = 1 + random() % 4; n; n--) bad[random() % bad.size()] = u8(random());
        if (random() % 4 == 0) bad.resize(random() % bad.size());
        b.machine.load(bad).ignore(); // refused or taken, never worse
        for (int k = 0; k < 20; k++) b.poke(random);
    }
}

INSTANTIATE_TEST_SUITE_P(All, EveryDevice, testing::ValuesIn(system_types()), [](const auto& one) {
    std::string name = one.param;
    for (char& c : name)
        if (!isalnum(u8(c))) c = '_';
    return name;
});

} // namespace
} // namespace mimic::devices
