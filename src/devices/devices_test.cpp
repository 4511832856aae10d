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
    if (p.type == "str") return {{"", "x", std::string(10000, 'x'), std::string("a\0b", 3), "\xff\xfe\x01\n'%s"}, {}};
    if (!std::holds_alternative<Numbers>(p.value)) return {}; // ids of back ends, which are made for it
    if (!p.rules.choices.empty())
        return {{p.rules.choices.begin(), p.rules.choices.end()}, {"", "nothing of these", "0"}};
    const u64 mask = std::get<Numbers>(p.value).mask(), high = std::min(p.rules.high, mask);
    Bounds b{{std::to_string(p.rules.low), std::to_string(high)}, {"", "x", "1x", "-2", "0x", "99999999999999999999"}};
    if (p.rules.low) b.bad.push_back(std::to_string(p.rules.low - 1));
    if (high != ~u64{0} && !(p.rules.none && high + 1 == mask)) b.bad.push_back(std::to_string(high + 1));
    if (p.rules.none) b.good.emplace_back("-1");
    return b;
}

// It works with a value that it took.
void expect_works(Rig& r, Random& random, const std::string& what) {
    for (int i = 0; i < 50; i++) r.poke(random);
    EXPECT_TRUE(r.settle()) << what;
    EXPECT_FALSE(state_text(*r.device).empty()) << what;
    const std::vector<u8> saved = r.machine.save();
    auto loaded = r.machine.load(saved);
    EXPECT_TRUE(loaded) << what << ": " << loaded.error().message();
}

// A device with a property at its bounds works, or says by name which property does not go together with the others.
TEST_P(EveryDevice, TakesPropertiesUpToTheirBounds) {
    Random random(29);
    for (const auto& [name, p] : Properties(*type().make()).all) {
        const Bounds b = bounds(p);
        const std::string quoted = fmt::format("'{}'", name);
        bool taken = b.good.empty();
        for (const std::string& text : b.good) {
            const std::string what = fmt::format("{}={}", name, text.substr(0, 40));
            Rig r(type(), {{name, text}});
            taken |= r.device != nullptr;
            if (r.device)
                expect_works(r, random, what);
            else
                EXPECT_NE(r.error.find(quoted), std::string::npos) << what << ": " << r.error;
        }
        EXPECT_TRUE(taken) << name << ": no value makes a device";
        for (const std::string& text : b.bad) {
            Rig r(type(), {{name, text}});
            EXPECT_FALSE(r.device) << name << "=" << text;
            EXPECT_NE(r.error.find(quoted), std::string::npos) << name << "=" << text << ": " << r.error;
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
    EXPECT_TRUE(r.rom_is_kept()); // whatever DMA it was asked for
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
    EXPECT_TRUE(r.rom_is_kept());
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
        a.set_slow(round % 3);
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
        a.set_slow(false);
        // Both go on alike.
        ASSERT_TRUE(a.settle());
        ASSERT_TRUE(b.settle());
        Random same{u64(round)}, again{u64(round)};
        a.seen = b.seen = {};
        for (int i = 1; i <= 100; i++) {
            a.poke(same);
            b.poke(again);
            if (i % 10) continue;
            ASSERT_TRUE(a.settle());
            ASSERT_TRUE(b.settle());
        }
        ASSERT_EQ(state_text(*b.device), state_text(*a.device)) << round;
        EXPECT_EQ(b.machine.save(), a.machine.save()) << round;
        EXPECT_EQ(b.seen.value, a.seen.value) << round << ": what is not state came through";
        if (same_memory) { EXPECT_EQ(std::memcmp(a.block->host(), b.block->host(), ram_size), 0) << round; }
    }
    if (!a.images.empty() && find_bus(type().bus)->work) { EXPECT_GT(in_flight, 0u); }
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
    // Memory, disks and time are no state of the device. Alike in them, both go on alike.
    copy_memory(fresh, a);
    Random same(6), again(6);
    for (Rig* r : {&a, &fresh}) {
        for (Wire* w : r->wires) w->forget();
        r->machine.set_running(false);
        r->machine.set_now(a.machine.now());
        r->machine.set_random_state(a.machine.random_state());
        r->machine.set_running(true);
        r->start_driver();
        r->seen = {};
    }
    for (int i = 0; i < 1000; i++) {
        a.poke(same);
        fresh.poke(again);
    }
    ASSERT_TRUE(a.settle());
    ASSERT_TRUE(fresh.settle());
    EXPECT_EQ(state_text(*a.device), state_text(*fresh.device));
    EXPECT_EQ(a.seen.value, fresh.seen.value) << "what is not state outlived the reset";
}

// What was in flight at a reset does not come to it any more.
TEST_P(EveryDevice, ResetsWhileItWorks) {
    Random random(13);
    Rig r(type()), fresh(type());
    ASSERT_TRUE(r.device) << r.error;
    ASSERT_TRUE(fresh.settle());
    fresh.machine.reset(ResetKind::power_on);
    r.set_slow(true);
    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < 40; i++) r.poke(random);
        r.give_work(random);
        const auto kind = ResetKind(round % 3);
        r.machine.reset(kind);
        const std::vector<u8> after = r.machine.save();
        ASSERT_TRUE(r.settle());
        EXPECT_EQ(r.machine.save(), after);
        if (kind == ResetKind::power_on) { EXPECT_EQ(state_text(*r.device), state_text(*fresh.device)); }
        r.start_driver();
    }
}

// Once it says that a driver's reset is over, no request of before reaches the guest's memory.
TEST_P(EveryDevice, LeavesMemoryAloneAfterDriversReset) {
    const BusKind* bus = find_bus(type().bus);
    if (!bus->stop) return;
    Random random(41);
    Rig r(type());
    ASSERT_TRUE(r.device) << r.error;
    r.set_slow(true);
    for (int round = 0; round < 10; round++) {
        r.give_work(random);
        r.turn(int(random() % 8));
        bool over = bus->stop(r, true);
        for (int i = 0; i < 10000 && !over; i++) {
            r.turn(1);
            over = bus->stop(r, false);
        }
        ASSERT_TRUE(over);
        const std::vector<u8> before(r.block->host(), r.block->host() + ram_size);
        ASSERT_TRUE(r.settle());
        EXPECT_EQ(std::memcmp(before.data(), r.block->host(), ram_size), 0) << round;
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
        r.set_slow(true);
        for (int i = 0; i < 60; i++) r.poke(random);
        if (round % 2) r.give_work(random);
        r.remove_device();
        // Where it was, and what is left of the machine.
        for (const Rig::Range& m : where)
            for (int i = 0; i < 50; i++) r.access(random, m.at + random() % m.bytes, 1u << random() % 4);
        for (const auto& [id, drive] : r.machine.drives) {
            EXPECT_FALSE(drive.user) << id;
            EXPECT_EQ(drive.node->node().in_flight(), 0u) << id;
        }
        EXPECT_TRUE(r.settle());
        auto again = r.add_again(type());
        EXPECT_TRUE(again) << again.error().message();
        r.machine.advance(u64{10} << 30);
        r.machine.reset(ResetKind::cold);
        r.machine.load(r.machine.save()).ignore();
        if (again) r.machine.remove(**again).ignore();
        for (Wire* w : r.wires) EXPECT_FALSE(w->attached());
        for (Terminal* t : r.terminals) EXPECT_FALSE(t->busy() && t->id().starts_with("dut."));
    }
}

// Bytes of the heap at most that guests may make a device hold beyond what it has from its making, and that may be more of them after
// the same again.
constexpr u64 most_heap = 1 << 20, most_growth = 16 << 10;

// A guest does not make it hold more, and what it holds does not become more with time.
TEST_P(EveryDevice, AllocatesNoMoreThanItDeclares) {
    Rig r(type());
    ASSERT_TRUE(r.device) << r.error;
    for (auto& [id, image] : r.images) { // disks of tests are memory: they are full from the start
        std::vector<u8> ones(image->size, 1);
        image->write(0, block::IoVec(ones.data(), ones.size()));
    }
    const u64 disks = r.image_bytes();
    // All is over, and what is left is what it keeps.
    auto work = [&] {
        Random random(37);
        for (int i = 0; i < 3000; i++) r.poke(random);
        EXPECT_TRUE(r.settle());
        r.machine.reset(ResetKind::power_on);
        for (Wire* w : r.wires) w->forget();
        r.turn();
        return heap::bytes();
    };
    heap::start_peak();
    const u64 before = heap::bytes(), once = work(), twice = work();
    EXPECT_LE(heap::peak() - before, most_heap);
    EXPECT_LE(twice, once + most_growth);
    EXPECT_LE(r.image_bytes(), disks);
}

INSTANTIATE_TEST_SUITE_P(All, EveryDevice, testing::ValuesIn(type_names()), [](const auto& one) {
    std::string name = one.param;
    for (char& c : name)
        if (!isalnum(u8(c))) c = '_';
    return name;
});

} // namespace
} // namespace mimic::devices::conformance
