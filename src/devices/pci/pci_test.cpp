// A host bridge and virtio functions, as firmware and drivers find and use them.
#include "devices/base/machine.hpp"
#include "devices/types.hpp"
#include <cstring>
#include <gtest/gtest.h>

namespace mimic::devices {
namespace {

constexpr u64 ecam = 0x4000000000, window = 0x10000000, io = 0x3eff0000, ram_at = 0x80000000;

struct Rig : LineSink {
    std::string seen; // devices lower their lines when the machine goes
    Machine machine{{.manual_clock = true, .random_seed = 1, .types = types()}};
    std::unique_ptr<memory::RamBlock> block;
    std::unique_ptr<memory::Region> ram, low, ports;
    Device* host = nullptr;

    Rig() {
        block = *memory::RamBlock::create("ram", 1 << 20, {.backing = memory::RamBlock::Backing::anonymous});
        ram = std::make_unique<memory::Region>("ram", *block, 0, 1 << 20, false);
        machine.system().add(*ram, ram_at);
        host = *machine.create("gpex-pcihost", "pcie.0");
        machine.mount(*host, 0, ecam);
        low = std::make_unique<memory::Region>("low", host->region(1), window, 0x20000000);
        ports = std::make_unique<memory::Region>("ports", host->region(2), 0, 0x10000);
        machine.system().add(*low, window);
        machine.system().add(*ports, io);
        for (u32 i = 0; i < 4; i++) machine.connect(*host, fmt::format("pin[{}].irq", i), *this, i);
        EXPECT_TRUE(machine.create("gpex-root", "root", {}, host));
    }
    ~Rig() {
        for (auto* r : {&ram, &low, &ports}) machine.system().remove(**r);
    }
    void set_line(u32 n, bool on) override { seen += fmt::format("{}{} ", on ? '+' : '-', n); }
    Device* add(std::string_view type, const PropertyList& properties = {}) {
        auto made = machine.create(type, "dut", properties, host);
        EXPECT_TRUE(made) << (made ? "" : made.error().message());
        machine.reset(ResetKind::power_on);
        machine.set_running(true);
        return made ? *made : nullptr;
    }
    u64 read(u64 at, u32 bytes = 4) {
        u64 v = 0;
        EXPECT_EQ(machine.memory().read_value(at, bytes, v, {}), memory::Outcome::ok) << at;
        return v;
    }
    void write(u64 at, u64 v, u32 bytes = 4) {
        EXPECT_EQ(machine.memory().write_value(at, bytes, v, {}), memory::Outcome::ok) << at;
    }
    static u64 config(u32 slot, u32 offset) { return ecam + (u64{slot} << 15) + offset; }
    // Offset of the capability, from the `from`th of its kind on.
    u32 capability(u32 slot, u8 id, u32 nth = 0) {
        u32 at = u32(read(config(slot, 0x34), 1));
        for (; at; at = u32(read(config(slot, at + 1), 1)))
            if (read(config(slot, at), 1) == id && nth-- == 0) return at;
        return 0;
    }
};

TEST(Pci, FunctionsAreFound) {
    Rig r;
    r.add("virtio-rng-pci");
    EXPECT_EQ(r.read(Rig::config(0, 0)), 0x00081b36u);
    EXPECT_EQ(r.read(Rig::config(1, 0)), 0x10051af4u);
    EXPECT_EQ(r.read(Rig::config(1, 8)), 0x00ff0000u);
    EXPECT_EQ(r.read(Rig::config(1, 0x2e), 2), 4u);
    EXPECT_EQ(r.read(Rig::config(2, 0)), 0xffffffffu);
    EXPECT_EQ(r.read(ecam + (1 << 20)), 0xffffffffu); // bus 1
    r.write(Rig::config(1, 0), 0);
    EXPECT_EQ(r.read(Rig::config(1, 0)), 0x10051af4u);
    EXPECT_EQ(r.read(window), 0xffffffffu); // nobody answers
}

TEST(Pci, SlotsOfFunctionsThatAreGoneAreEmpty) {
    Rig r;
    ASSERT_FALSE(r.machine.create("virtio-blk-pci", "no-disk", {}, r.host)); // fails when it has its place already
    EXPECT_EQ(r.read(Rig::config(1, 0)), 0xffffffffu);
    Device* rng = r.add("virtio-rng-pci");
    EXPECT_EQ(r.read(Rig::config(1, 0)), 0x10051af4u);
    r.machine.remove(*rng).ignore();
    EXPECT_EQ(r.read(Rig::config(1, 0)), 0xffffffffu);
    r.write(Rig::config(1, 4), 7, 2);
    r.add("virtio-rng-pci");
    EXPECT_EQ(r.read(Rig::config(1, 0)), 0x10051af4u);
}

TEST(Pci, BarsAreSizedAndMapped) {
    Rig r;
    r.add("virtio-rng-pci");
    for (u32 bar : {0x10u, 0x14u, 0x20u, 0x24u}) r.write(Rig::config(1, bar), 0xffffffff);
    EXPECT_EQ(r.read(Rig::config(1, 0x10)), 0xffffff81u);
    EXPECT_EQ(r.read(Rig::config(1, 0x14)), 0xfffff000u);
    EXPECT_EQ(r.read(Rig::config(1, 0x20)), 0xffffc00cu);
    EXPECT_EQ(r.read(Rig::config(1, 0x24)), 0xffffffffu);
    r.write(Rig::config(1, 0x20), window + 0x4000);
    r.write(Rig::config(1, 0x24), 0);
    r.write(Rig::config(1, 0x10), 0x1000);
    EXPECT_EQ(r.read(window + 0x4012, 2), 0xffffu); // not decoded yet
    r.write(Rig::config(1, 4), 7, 2);
    EXPECT_EQ(r.read(window + 0x4012, 2), 1u); // num_queues
    EXPECT_EQ(r.read(io + 0x1000 + 0xc, 2), r.read(window + 0x4018, 2));
    r.write(Rig::config(1, 0x10), 0); // port 0 is a place
    EXPECT_EQ(r.read(io + 0xc, 2), r.read(window + 0x4018, 2));
    EXPECT_EQ(r.read(io + 0x100c, 2), 0xffffu);
    r.write(Rig::config(1, 0x20), window + 0x8000);
    EXPECT_EQ(r.read(window + 0x4012, 2), 0xffffu);
    EXPECT_EQ(r.read(window + 0x8012, 2), 1u);
    r.machine.reset(ResetKind::cold);
    EXPECT_EQ(r.read(window + 0x8012, 2), 0xffffu);
}

TEST(Pci, PlacesAndPropertiesAreChecked) {
    Rig r;
    auto message = [&](const PropertyList& p) {
        auto made = r.machine.create("virtio-rng-pci", "x", p, r.host);
        return made ? std::string() : made.error().message();
    };
    EXPECT_NE(message({{"addr", "0"}}).find("slot 0 has gpex-root already"), std::string::npos);
    EXPECT_NE(message({{"addr", "xyz"}}).find("'addr': 'xyz', expected a slot"), std::string::npos);
    EXPECT_NE(message({{"disable-legacy", "on"}, {"disable-modern", "on"}}).find("one of the interfaces"),
              std::string::npos);
    EXPECT_NE(message({{"vectros", "2"}}).find("did you mean 'vectors'"), std::string::npos);
    EXPECT_EQ(message({{"addr", "1f"}, {"max-bytes", "1000"}}), ""); // the second is the inner device's
    EXPECT_EQ(r.read(Rig::config(0x1f, 0)), 0x10051af4u);
}

// One request of the entropy device through the modern interface.
struct Driver {
    Rig& r;
    u64 common = window + 0x4000, table = window + 0x1000;
    void start(u16 vector) {
        r.write(Rig::config(1, 0x14), table);
        r.write(Rig::config(1, 0x20), common);
        r.write(Rig::config(1, 4), 6, 2);
        r.write(common + 0x14, 3, 1);
        r.write(common, 1);
        EXPECT_EQ(r.read(common + 4) & 1, 1u); // VERSION_1
        r.write(common + 8, 1);
        r.write(common + 0xc, 1);
        r.write(common + 0x14, 11, 1);
        EXPECT_EQ(r.read(common + 0x14, 1), 11u);
        r.write(common + 0x18, 8, 2);
        r.write(common + 0x1a, vector, 2);
        r.write(common + 0x20, ram_at + 0x1000, 8);
        r.write(common + 0x28, ram_at + 0x2000, 8);
        r.write(common + 0x30, ram_at + 0x3000, 8);
        r.write(common + 0x1c, 1, 2);
        r.write(common + 0x14, 15, 1);
    }
    void ask() {
        u8* ram = r.block->host();
        u64 buffer = ram_at + 0x4000;
        std::memcpy(ram + 0x1000, &buffer, 8);
        u32 length = 16;
        std::memcpy(ram + 0x1008, &length, 4);
        ram[0x100c] = 2; // for the device to write
        ram[0x2002]++;   // available: descriptor 0 again
        r.write(common + 0x3000, 0, 2);
        r.machine.advance(1000000000);
    }
    u32 used() { return r.block->host()[0x3002]; }
};

TEST(VirtioPci, ServesAndRaisesItsPin) {
    Rig r;
    r.add("virtio-rng-pci");
    Driver d{r};
    d.start(0xffff);
    d.ask();
    EXPECT_EQ(d.used(), 1u);
    EXPECT_EQ(r.seen, "+1 "); // slot 1, INTA
    EXPECT_EQ(r.read(Rig::config(1, 6), 2) & 8, 8u);
    EXPECT_EQ(r.read(d.common + 0x1000, 1), 1u);
    EXPECT_EQ(r.seen, "+1 -1 ");
}

TEST(VirtioPci, SendsMessagesAndHoldsMaskedOnes) {
    Rig r;
    r.add("virtio-rng-pci");
    Driver d{r};
    r.write(Rig::config(1, 0x14), d.table);
    r.write(Rig::config(1, 4), 6, 2);
    u32 msix = r.capability(1, 0x11);
    ASSERT_NE(msix, 0u);
    EXPECT_EQ(r.read(Rig::config(1, msix + 2), 2), 1u); // two vectors
    r.write(Rig::config(1, msix + 2), 0x8000, 2);
    d.start(1);
    EXPECT_EQ(r.read(d.common + 0x1a, 2), 1u);
    r.write(d.common + 0x10, 9, 2); // there is no such vector
    EXPECT_EQ(r.read(d.common + 0x10, 2), 0xffffu);
    r.write(d.table + 16, ram_at + 0x8000);
    r.write(d.table + 24, 0x1234);
    d.ask();
    EXPECT_EQ(r.read(d.table + 0x800), 2u); // masked: pending
    EXPECT_EQ(r.read(ram_at + 0x8000), 0u);
    r.write(d.table + 28, 0);
    EXPECT_EQ(r.read(d.table + 0x800), 0u);
    EXPECT_EQ(r.read(ram_at + 0x8000), 0x1234u);
    EXPECT_EQ(r.seen, ""); // the pin is silent
}

TEST(VirtioPci, StateComesBack) {
    Rig a, b;
    a.add("virtio-rng-pci");
    b.add("virtio-rng-pci");
    Driver d{a}, e{b};
    d.start(0xffff);
    d.ask();
    std::vector<u8> saved = a.machine.save();
    auto loaded = b.machine.load(saved);
    ASSERT_TRUE(loaded) << loaded.error().message();
    std::memcpy(b.block->host(), a.block->host(), 1 << 20);
    EXPECT_EQ(b.machine.save(), saved);
    EXPECT_EQ(b.read(e.common + 0x1000, 1), 1u);
    e.ask();
    EXPECT_EQ(e.used(), 2u);
}

// Which interfaces there are is in the name, or in properties.
TEST(VirtioPci, InterfacesAreChosen) {
    struct Case {
        const char* type;
        PropertyList properties;
        u32 id;
        bool legacy, modern;
    };
    for (const Case& c : {Case{"virtio-net-pci", {}, 0x1000, true, true},
                          {"virtio-net-pci", {{"disable-legacy", "auto"}}, 0x1000, true, true},
                          {"virtio-net-pci", {{"disable-legacy", "on"}}, 0x1041, false, true},
                          {"virtio-net-pci", {{"disable-legacy", "true"}}, 0x1041, false, true},
                          {"virtio-net-pci", {{"disable-modern", "on"}}, 0x1000, true, false},
                          {"virtio-net-pci-transitional", {}, 0x1000, true, true},
                          {"virtio-net-pci-non-transitional", {}, 0x1041, false, true},
                          {"virtio-balloon-pci", {}, 0x1002, true, true},
                          {"virtio-keyboard-pci", {{"multifunction", "on"}}, 0x1052, false, true}}) {
        Rig r;
        r.add(c.type, c.properties);
        EXPECT_EQ(r.read(Rig::config(1, 2), 2), c.id) << c.type;
        EXPECT_EQ(r.read(Rig::config(1, 0x10)) & 1, u64(c.legacy)) << c.type; // an I/O BAR
        EXPECT_EQ(r.capability(1, 9) != 0, c.modern) << c.type;
        EXPECT_EQ(r.read(Rig::config(1, 0x0e), 1), c.id == 0x1052 ? 0x80u : 0u);
    }
}

TEST(VirtioPci, OneInterfaceStays) {
    Rig r;
    for (const PropertyList& p :
         {PropertyList{{"disable-modern", "on"}}, {{"disable-modern", "on"}, {"disable-legacy", "on"}}}) {
        auto made = r.machine.create("virtio-tablet-pci", "none", p, r.host);
        ASSERT_FALSE(made);
        EXPECT_NE(made.error().message().find("'disable-modern': "), std::string::npos) << made.error().message();
    }
}

// Anything may be written anywhere.
TEST(VirtioPci, SurvivesAnyAccess) {
    for (const char* type : {"virtio-rng-pci", "virtio-serial-pci"}) {
        Rig r;
        r.add(type);
        u64 x = 88172645463325252;
        auto random = [&] { return x ^= x << 13, x ^= x >> 7, x ^= x << 17; };
        for (int i = 0; i < 30000; i++) {
            if (i % 3000 == 0) {
                r.write(Rig::config(1, 0x14), window + 0x1000);
                r.write(Rig::config(1, 0x20), window + 0x4000);
                r.write(Rig::config(1, 0x10), 0x1000);
                r.write(Rig::config(1, 4), 7, 2);
            }
            u64 places[] = {Rig::config(1, random() % 256), window + 0x1000 + random() % 0x1000,
                            window + 0x4000 + random() % 0x40, window + 0x4000 + random() % 0x4000,
                            io + 0x1000 + random() % 0x80};
            u64 at = places[random() % 5], v = random() % 3 ? random() : ram_at + random() % 0x10000;
            u32 bytes = 1u << (random() % 3);
            if (random() & 1)
                r.machine.memory().write_value(at, bytes, v, {});
            else
                r.machine.memory().read_value(at, bytes, v, {});
            if (random() % 64 == 0) r.machine.advance(100000);
        }
    }
}

} // namespace
} // namespace mimic::devices
