// The conformance suite: what must hold of every device, found by its type, on whatever bus it fits (conformance.hpp).
#include "base/trace.hpp"
#include "devices/conformance.hpp"
#include "devices/heap_count.hpp"
#include <gtest/gtest.h>

namespace mimic::devices::conformance {
namespace {

std::vector<std::string> type_names() {
    std::vector<std::string> names;
    for (const DeviceType* t : types()) names.emplace_back(t->name);
    return names;
}

class EveryDevice : public testing::TestWithParam<std::string> {
protected:
    const DeviceType& type() { return *find_type(GetParam()); }
};

TEST_P(EveryDevice, IsDescribed) {
    EXPECT_TRUE(find_bus(type().bus)) << "nothing is known of how a driver reaches a " << type().bus;
    EXPECT_FALSE(type().summary.empty());
    // Before it is in a machine, as for help and device-list-properties.
    const std::unique_ptr<Device> fresh = type().make();
    EXPECT_EQ(std::string(fresh->type()), GetParam());
    const std::string text = documentation(*fresh), help = property_help(*fresh);
    const Json all = schema(*fresh);
    EXPECT_FALSE(text.empty());
    EXPECT_EQ(*all.find("type")->string(), GetParam());
    for (const auto& [name, p] : Properties(*fresh).all) {
        EXPECT_FALSE(p.help.empty()) << name;
        EXPECT_NE(help.find(fmt::format("  {}=<", name)), std::string::npos) << name;
        EXPECT_NE(text.find(fmt::format("| {} |", name)), std::string::npos) << name;
        EXPECT_NE(all.dump().find(fmt::format("\"{}\"", name)), std::string::npos) << name;
    }
    Rig r(type());
    ASSERT_TRUE(r.device) << r.error;
    state_text(*r.device);
}

// ---- properties -------------------------------------------------------------------------------------------------------

// Of a number: what is the least, the most, and what is beyond.
struct Bounds {
    std::vector<std::string> good, bad;
};
Bounds bounds(const Property& p) {
    if (std::holds_alternative<bool*>(p.value)) return {{"on", "off"}, {"", "2", "onn"}};
    if (!std::holds_alternative<Numbers>(p.value)) return {};
    if (!p.rules.choices.empty())
        return {{p.rules.choices.begin(), p.rules.choices.end()}, {"", "nothing of these", "0"}};
    const u64 mask = std::get<Numbers>(p.value).mask(), high = std::min(p.rules.high, mask);
    Bounds b{{std::to_string(p.rules.low), std::to_string(high)}, {"", "x", "1x", "-2", "0x", "99999999999999999999"}};
    if (p.rules.low) b.bad.push_back(std::to_string(p.rules.low - 1));
    if (high != ~u64{0} && !(p.rules.none && high + 1 == mask)) b.bad.push_back(std::to_string(high + 1));
    if (p.rules.none) b.good.emplace_back("-1");
    return b;
}

// A device with a property at its bounds works, or says by name which property does not go together with the others.
TEST_P(EveryDevice, TakesPropertiesUpToTheirBounds) {
    Random random(29);
    for (const auto& [name, p] : Properties(*type().make()).all) {
        const Bounds b = bounds(p);
        for (const std::string& text : b.good) {
            Rig r(type(), {{name, text}});
            if (!r.device) {
                EXPECT_NE(r.error.find(name), std::string::npos) << name << "=" << text << ": " << r.error;
                continue;
            }
            for (int i = 0; i < 50; i++) r.poke(random);
            EXPECT_TRUE(r.settle()) << name << "=" << text;
            const std::vector<u8> saved = r.machine.save();
            auto loaded = r.machine.load(saved);
            EXPECT_TRUE(loaded) << name << "=" << text << ": " << loaded.error().message();
        }
        for (const std::string& text : b.bad) {
            Rig r(type(), {{name, text}});
            EXPECT_FALSE(r.device) << name << "=" << text;
            EXPECT_NE(r.error.find(fmt::format("'{}'", name)), std::string::npos)
                << name << "=" << text << ": " << r.error;
        }
    }
}

TEST_P(EveryDevice, RefusesBackEndsThatAreNotThere) {
    for (const auto& [name, p] : Properties(*type().make()).all) {
        if (p.type != "chardev" && p.type != "drive" && p.type != "netdev") continue;
        Rig r(type(), {{name, "nowhere"}});
        EXPECT_FALSE(r.device);
        EXPECT_NE(r.error.find(fmt::format("'{}'", name)), std::string::npos) << r.error;
        EXPECT_NE(r.error.find("'nowhere'"), std::string::npos) << r.error;
    }
}

TEST_P(EveryDevice, RefusesPropertiesThatItDoesNotHave) {
    Rig r(type(), {{"no-such-property", "1"}});
    EXPECT_FALSE(r.device);
    EXPECT_NE(r.error.find("'no-such-property'"), std::string::npos) << r.error;
}

// ---- accesses ---------------------------------------------------------------------------------------------------------

TEST_P(EveryDevice, SurvivesAnyAccess) {
    Random random(11);
    Rig r(type());
    ASSERT_TRUE(r.device) << r.error;
    for (int i = 0; i < 10000; i++) {
        r.poke(random);
        if (random() % 1000) continue;
        r.machine.reset(ResetKind(random() % 3));
        r.start_driver();
    }
    EXPECT_TRUE(r.settle());
    // Whatever DMA it was asked for.
    const u8* rom = r.rom_block->host();
    EXPECT_TRUE(std::all_of(rom, rom + rom_size, [](u8 b) { return b == 0; }));
}

// Every offset of the first pages, all sizes. devices_soak has all of them, and more accesses of each.
TEST_P(EveryDevice, AnswersEveryOffset) {
    Rig r(type());
    ASSERT_TRUE(r.device) << r.error;
    for (const Rig::Range& m : std::vector(r.mapped))
        for (u64 offset = 0; offset < std::min<u64>(m.bytes, 0x3000); offset++)
            for (u32 bytes : {1u, 2u, 4u, 8u}) {
                r.read(m.at + offset, bytes);
                r.write(m.at + offset, bytes, ~u64{0});
            }
    EXPECT_TRUE(r.settle());
}

// ---- DMA --------------------------------------------------------------------------------------------------------------

// All memory that a driver shows it is one that the device cannot use.
TEST_P(EveryDevice, SurvivesDmaToWhatIsNoRam) {
    Random random(31);
    Rig r(type());
    ASSERT_TRUE(r.device) << r.error;
    for (u64 target :
         {nowhere, rom_base, r.mapped.empty() ? device_base : r.mapped.back().at, ~u64{0} - 4095, u64{0}}) {
        for (int i = 0; i < 300; i++) {
            // Each entry of the rings, and each register that may be an address.
            for (u32 q = 0; q < rings::queues; q++)
                for (u32 d = 0; d < rings::size; d++) {
                    const u64 at = target + random() % 512;
                    std::memcpy(r.host(rings::at(q) + 16 * d), &at, 8);
                }
            r.poke(random);
            if (r.mapped.empty()) continue;
            const Rig::Range m = r.mapped[random() % r.mapped.size()];
            const u64 offset = random() % std::min<u64>(m.bytes, 0x200) & ~u64{7};
            r.write(m.at + offset, 8, target + random() % 512);
            r.write(m.at + offset + 8, 4, u32(random() % 512));
        }
        r.machine.reset(ResetKind::cold);
        r.start_driver();
    }
    EXPECT_TRUE(r.settle());
    const u8* rom = r.rom_block->host();
    EXPECT_TRUE(std::all_of(rom, rom + rom_size, [](u8 b) { return b == 0; }));
}

// ---- state ------------------------------------------------------------------------------------------------------------

void copy_memory(Rig& to, const Rig& from) {
    std::memcpy(to.block->host(), from.block->host(), ram_size);
    to.copy_images(from);
    for (u32 i = 0; i < to.device->regions(); i++) {
        memory::RamBlock *a = from.device->region(i).block(), *b = to.device->region(i).block();
        if (a && b) std::memcpy(b->host(), a->host(), b->size());
    }
}

// Requests are in flight when it is saved: the other machine makes them again.
TEST_P(EveryDevice, StateComesBack) {
    Random random(23);
    Rig a(type());
    ASSERT_TRUE(a.device) << a.error;
    u32 in_flight = 0;
    for (int round = 0; round < 12; round++) {
        const u64 pokes = random() % 300;
        for (u64 i = 0; i < pokes; i++) a.poke(random);
        for (Wire* w : a.wires) w->forget(); // what waits at the host is not the machine's
        if (round % 2) a.give_work(random);
        // What is made again is read again, from buffers of random drivers that later ones may share; networks hold frames.
        const bool same_memory = a.machine.in_flight() == 0 && a.wires.empty();
        in_flight += a.machine.in_flight();
        const std::vector<u8> saved = a.machine.save();
        Rig b(type());
        b.machine.set_running(false);
        b.settle();
        b.machine.set_now(a.machine.now());
        b.machine.set_random_state(a.machine.random_state());
        copy_memory(b, a);
        auto loaded = b.machine.load(saved);
        ASSERT_TRUE(loaded) << loaded.error().message();
        EXPECT_EQ(b.machine.save(), saved);
        b.machine.set_running(true);
        b.mapped = a.mapped;
        // Both go on alike.
        ASSERT_TRUE(a.settle());
        ASSERT_TRUE(b.settle());
        Random same{u64(round)}, again{u64(round)};
        for (int i = 1; i <= 100; i++) {
            a.poke(same);
            b.poke(again);
            if (i % 10) continue;
            ASSERT_TRUE(a.settle());
            ASSERT_TRUE(b.settle());
        }
        ASSERT_EQ(state_text(*b.device), state_text(*a.device)) << round;
        EXPECT_EQ(b.machine.save(), a.machine.save()) << round;
        if (same_memory) EXPECT_EQ(std::memcmp(a.block->host(), b.block->host(), ram_size), 0) << round;
    }
    if (!a.images.empty() && find_bus(type().bus)->work) EXPECT_GT(in_flight, 0u);
}

TEST_P(EveryDevice, PowerOnResetMakesItNew) {
    Random random(5);
    Rig a(type()), fresh(type());
    ASSERT_TRUE(a.device) << a.error;
    for (int i = 0; i < 500; i++) a.poke(random);
    ASSERT_TRUE(a.settle());
    ASSERT_TRUE(fresh.settle());
    a.machine.reset(ResetKind::power_on);
    fresh.machine.reset(ResetKind::power_on);
    EXPECT_EQ(state_text(*a.device), state_text(*fresh.device));
    EXPECT_EQ(a.machine.save(), fresh.machine.save());
}

// What was in flight at a reset does not come to it any more.
TEST_P(EveryDevice, ResetsWhileItWorks) {
    Random random(13);
    Rig r(type()), fresh(type());
    ASSERT_TRUE(r.device) << r.error;
    ASSERT_TRUE(fresh.settle());
    fresh.machine.reset(ResetKind::power_on);
    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < 40; i++) r.poke(random);
        r.give_work(random);
        const auto kind = ResetKind(round % 3);
        r.machine.reset(kind);
        const std::vector<u8> after = r.machine.save();
        ASSERT_TRUE(r.settle());
        EXPECT_EQ(r.machine.save(), after);
        if (kind == ResetKind::power_on) EXPECT_EQ(state_text(*r.device), state_text(*fresh.device));
        r.start_driver();
    }
}

TEST_P(EveryDevice, TornStatesAreRefused) {
    Random random(3);
    Rig a(type()), b(type());
    ASSERT_TRUE(a.device) << a.error;
    for (int i = 0; i < 200; i++) a.poke(random);
    const std::vector<u8> saved = a.machine.save();
    for (int i = 0; i < 150; i++) {
        std::vector<u8> bad = saved;
        for (u64 n = 1 + random() % 4; n; n--) bad[random() % bad.size()] = u8(random());
        if (random() % 4 == 0) bad.resize(random() % bad.size());
        b.machine.load(bad).ignore(); // refused or taken, never worse
        for (int k = 0; k < 20; k++) b.poke(random);
    }
    EXPECT_TRUE(b.settle());
}

// ---- life -------------------------------------------------------------------------------------------------------------

TEST_P(EveryDevice, IsTakenAwayWhileItWorks) {
    Random random(17);
    for (int round = 0; round < 20; round++) {
        Rig r(type());
        ASSERT_TRUE(r.device) << r.error;
        const std::vector<Rig::Range> where = r.mapped;
        for (int i = 0; i < 60; i++) r.poke(random);
        if (round % 2) r.give_work(random);
        r.remove_device();
        // Where it was, and what is left of the machine.
        for (const Rig::Range& m : where)
            for (int i = 0; i < 50; i++) r.access(random, m.at + random() % m.bytes, 1u << random() % 4);
        EXPECT_TRUE(r.settle());
        r.machine.advance(u64{10} << 30);
        r.machine.reset(ResetKind::cold);
        r.machine.load(r.machine.save()).ignore();
        for (Wire* w : r.wires) EXPECT_FALSE(w->attached());
        for (Terminal* t : r.terminals) EXPECT_FALSE(t->busy() && t->id().starts_with("dut."));
    }
}

// Bytes of the heap at most that guests may make a device hold beyond what it has from its making.
u64 most_heap(const DeviceType&) { return 1 << 20; }

// A guest does not make it hold more.
TEST_P(EveryDevice, AllocatesNoMoreThanItDeclares) {
    Random random(37);
    Rig r(type());
    ASSERT_TRUE(r.device) << r.error;
    for (auto& [id, image] : r.images) { // disks of tests are memory
        std::vector<u8> ones(image->size, 1);
        image->write(0, block::IoVec(ones.data(), ones.size()));
    }
    const u64 disks = r.image_bytes();
    heap::start_peak();
    const u64 before = heap::bytes();
    for (int i = 0; i < 6000; i++) r.poke(random);
    EXPECT_LE(heap::peak() - before - (r.image_bytes() - disks), most_heap(type()));
}

INSTANTIATE_TEST_SUITE_P(All, EveryDevice, testing::ValuesIn(type_names()), [](const auto& one) {
    std::string name = one.param;
    for (char& c : name)
        if (!isalnum(u8(c))) c = '_';
    return name;
});

} // namespace
} // namespace mimic::devices::conformance
