// Resets of a device or a queue while the disk is at work: what it reads for the driver of before must not reach memory that the
// driver uses for something else, when it has done all that it must to know that the reset is over.
#include "base/io/sync.hpp"
#include "block/graph.hpp"
#include "block/protocols/memory.hpp"
#include "devices/virtio/driver.hpp"
#include <gtest/gtest.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_pci.h>

namespace mimic::devices::virtio {
namespace {

using namespace driver;
using memory::Outcome;

constexpr u64 version_1 = u64{1} << VIRTIO_F_VERSION_1, ring_reset = u64{1} << VIRTIO_F_RING_RESET,
              queues_feature = u64{1} << VIRTIO_BLK_F_MQ;
constexpr u32 queue_reset_register = 0x0c0;
constexpr memory::Attributes patient{.can_wait = true}; // as processors are

// A layer that lets nothing pass while it is shut.
constexpr block::Driver gate_driver = {.name = "gate", .is_filter = true};
struct Gate final : block::Node {
    explicit Gate(block::Context& context) : Node(context, gate_driver, {}), changed_(context.loop) {}
    u64 size() const override { return file()->size(); }
    void set_open(bool on) {
        open_ = on;
        changed_.wake_all();
    }

protected:
    block::Task<Result<void>> do_read(u64 offset, const block::IoVec& memory) override {
        block::IoVec kept = memory;
        while (!open_) co_await changed_.wait();
        co_return co_await file()->read(offset, kept);
    }
    block::Task<Result<void>> do_write(u64 offset, const block::IoVec& memory) override {
        return file()->write(offset, memory, 0);
    }
    block::Task<Result<void>> do_flush() override { return file()->flush(); }

private:
    bool open_ = false;
    io::WaitList changed_;
};

// A disk of 64 KiB behind a gate, whose sector 5 begins with 0x55.
struct SlowDisk {
    std::shared_ptr<block::MemoryImage> image = std::make_shared<block::MemoryImage>();
    std::unique_ptr<block::Context> context;
    std::shared_ptr<Gate> gate;
    void plug(Machine& m, io::Loop& loop) {
        image->size = 1 << 16;
        u8 mark = 0x55;
        image->write(5 * 512, io::IoVec(std::span<const u8>(&mark, 1)));
        context.reset(new block::Context{.loop = loop});
        gate = std::make_shared<Gate>(*context);
        ASSERT_TRUE(
            gate->add_child(block::make_memory_node(*context, image), "file", block::perm::all, block::perm::all));
        m.drives["d0"] = {*block::Root::attach(gate, "d0", 0, block::perm::all), false};
    }
};

struct SlowRig : SlowDisk {
    Rig r;
    std::vector<std::unique_ptr<DriverQueue>> queues;
    Segment data, status;
    explicit SlowRig(bool legacy)
        : r("virtio-blk-device", {{"drive", "d0"}, {"num-queues", "2"}},
            {.legacy = legacy, .back_ends = [this](Machine& m, io::Loop& loop) { plug(m, loop); }}) {
        EXPECT_EQ(r.error, "");
        EXPECT_TRUE(r.negotiate(legacy ? 0 : version_1 | ring_reset | queues_feature, legacy));
        for (u32 n : {0, 1})
            queues.push_back(std::make_unique<DriverQueue>(r, n, DriverQueue::Options{.legacy = legacy, .size = 8}));
        r.driver_ok();
        data = read_of(0);
        turns();
    }
    ~SlowRig() { gate->set_open(true); }
    // A read of sector 5 that is under way; where it goes.
    Segment read_of(u32 queue) {
        std::string header(16, 0);
        header[8] = 5;
        Segment to = r.room(512);
        status = r.room(1);
        queues[queue]->add({r.bytes(header)}, {to, status});
        queues[queue]->kick();
        return to;
    }
    void turns() {
        r.settle([n = 20]() mutable { return n-- == 0; });
    }
    Outcome store(u32 reg, u32 value) { return r.machine.memory().write_value(mmio_base + reg, 4, value, patient); }
    // What the driver does next with the memory stays.
    void expect_quiet() {
        std::memset(r.at(data.address), 0x77, 512);
        r.put<u8>(status.address, 0x77);
        gate->set_open(true);
        turns();
        EXPECT_EQ(r.text(data), std::string(512, 0x77));
        EXPECT_EQ(r.peek<u8>(status.address), 0x77);
    }
    // The store waits for the disk, however often it is made.
    void expect_held(u32 reg, u32 value) {
        for (u32 n = 0; n < 3; n++) {
            EXPECT_EQ(store(reg, value), Outcome::wait);
            turns();
        }
        gate->set_open(true);
        EXPECT_TRUE(r.settle([&] { return store(reg, value) == Outcome::ok; }));
        expect_quiet();
    }
};

TEST(VirtioReset, ALegacyDriversStoreWaits) {
    SlowRig s(true);
    s.expect_held(VIRTIO_MMIO_STATUS, 0);
    EXPECT_EQ(s.r.get(VIRTIO_MMIO_STATUS), 0u);
}

TEST(VirtioReset, AStoreThatStopsALegacyQueueWaits) {
    SlowRig s(true);
    s.r.set(VIRTIO_MMIO_QUEUE_SEL, 1);
    EXPECT_EQ(s.store(VIRTIO_MMIO_QUEUE_PFN, 0), Outcome::ok); // the other one
    s.r.set(VIRTIO_MMIO_QUEUE_SEL, 0);
    s.expect_held(VIRTIO_MMIO_QUEUE_PFN, 0);
}

TEST(VirtioReset, AModernDriversStoreWaitsToo) {
    SlowRig s(false);
    s.expect_held(VIRTIO_MMIO_STATUS, 0);
}

TEST(VirtioReset, TheStatusIsZeroWhenNothingTouchesMemoryAnyMore) {
    SlowRig s(false);
    s.r.set(VIRTIO_MMIO_STATUS, 0); // by somebody who cannot wait
    s.turns();
    EXPECT_NE(s.r.get(VIRTIO_MMIO_STATUS), 0u);
    s.gate->set_open(true);
    EXPECT_TRUE(s.r.settle([&] { return s.r.get(VIRTIO_MMIO_STATUS) == 0; }));
    s.expect_quiet();
}

TEST(VirtioReset, AStoreThatStopsAQueueWaits) {
    SlowRig s(false);
    s.r.set(VIRTIO_MMIO_QUEUE_SEL, 1);
    EXPECT_EQ(s.store(VIRTIO_MMIO_QUEUE_READY, 0), Outcome::ok);
    s.r.set(VIRTIO_MMIO_QUEUE_SEL, 0);
    s.expect_held(VIRTIO_MMIO_QUEUE_READY, 0);
    EXPECT_EQ(s.r.get(VIRTIO_MMIO_QUEUE_READY), 0u);
}

TEST(VirtioReset, QueueResetReadsOneUntilTheQueueIsQuiet) {
    SlowRig s(false);
    for (u32 n : {1, 0}) {
        s.r.set(VIRTIO_MMIO_QUEUE_SEL, n);
        EXPECT_EQ(s.r.get(queue_reset_register), 0u);
        EXPECT_EQ(s.store(queue_reset_register, 1), Outcome::ok);
        s.turns();
        EXPECT_EQ(s.r.get(queue_reset_register), n == 0 ? 1u : 0u);
    }
    s.gate->set_open(true);
    EXPECT_TRUE(s.r.settle([&] { return s.r.get(queue_reset_register) == 0; }));
    EXPECT_EQ(s.r.get(VIRTIO_MMIO_QUEUE_READY), 0u);
    s.expect_quiet();
}

// What other queues have under way goes on, and is not waited for.
TEST(VirtioReset, OtherQueuesGoOn) {
    SlowRig s(false);
    const Segment other = s.read_of(1);
    s.turns();
    s.r.set(VIRTIO_MMIO_QUEUE_SEL, 1);
    EXPECT_EQ(s.store(VIRTIO_MMIO_QUEUE_READY, 0), Outcome::wait);
    s.gate->set_open(true);
    EXPECT_TRUE(s.r.settle([&] { return s.store(VIRTIO_MMIO_QUEUE_READY, 0) == Outcome::ok; }));
    Used u;
    EXPECT_TRUE(s.r.settle([&] { return s.queues[0]->used(u); }));
    EXPECT_EQ(s.r.peek<u8>(s.data.address), 0x55u);
    EXPECT_EQ(s.r.peek<u8>(other.address), 0x55u);
    s.gate->set_open(false);
    s.data = s.read_of(0);
    s.turns();
    EXPECT_EQ(s.store(VIRTIO_MMIO_QUEUE_READY, 0), Outcome::ok);
}

// Who copies memory while the machine runs must hear of what a forgotten request wrote.
TEST(VirtioReset, WhatAForgottenRequestWroteIsDirty) {
    SlowRig s(false);
    const u64 page = (s.data.address - ram_base) / 4096 * 4096;
    EXPECT_EQ(s.store(VIRTIO_MMIO_STATUS, 0), Outcome::wait);
    s.r.block->test_and_clear_dirty(page, memory::RamBlock::migration);
    s.gate->set_open(true);
    EXPECT_TRUE(s.r.settle([&] { return s.store(VIRTIO_MMIO_STATUS, 0) == Outcome::ok; }));
    EXPECT_EQ(s.r.peek<u8>(s.data.address), 0x55u);
    EXPECT_TRUE(s.r.block->test_and_clear_dirty(page, memory::RamBlock::migration));
}

// ---- on PCI -----------------------------------------------------------------------------------------------------------

struct PciRig : SlowDisk, LineSink {
    static constexpr u64 ecam = 0x4000000000, window = 0x10000000, io_at = 0x3eff0000, function = ecam + (1 << 15);
    static constexpr u64 legacy = io_at + 0x1000, modern = window + 0x4000, notify = modern + 0x3000;
    static constexpr u64 ring = ram_base, buffer = ram_base + 0x8000; // where the driver has them
    std::unique_ptr<io::Loop> loop = std::move(*io::Loop::create());
    Machine machine{{.loop = loop.get(), .manual_clock = true, .random_seed = 1, .types = types()}};
    std::unique_ptr<memory::RamBlock> block = std::move(*memory::RamBlock::create("ram", 1 << 20, {}));
    memory::Region ram{"ram", *block, 0, 1 << 20, false};
    std::unique_ptr<memory::Region> low, ports;
    Device* dut = nullptr;

    PciRig() {
        machine.system().add(ram, ram_base);
        plug(machine, *loop);
        Device* host = *machine.create("gpex-pcihost", "pcie.0");
        machine.mount(*host, 0, ecam);
        low = std::make_unique<memory::Region>("low", host->region(1), window, 0x20000000);
        ports = std::make_unique<memory::Region>("ports", host->region(2), 0, 0x10000);
        machine.system().add(*low, window);
        machine.system().add(*ports, io_at);
        for (u32 i = 0; i < 4; i++) machine.connect(*host, fmt::format("pin[{}].irq", i), *this, i);
        EXPECT_TRUE(machine.create("gpex-root", "root", {}, host)); // takes the first slot
        dut = *machine.create("virtio-blk-pci", "dut", {{"drive", "d0"}}, host);
        machine.reset(ResetKind::power_on);
        machine.set_running(true);
        set(function + 0x10, 0x1000, 4);
        set(function + 0x20, window + 0x4000, 4);
        set(function + 0x24, 0, 4);
        set(function + 4, 7, 2);
    }
    ~PciRig() override {
        gate->set_open(true);
        machine.remove(*dut).ignore();
        machine.system().remove(ram);
        machine.system().remove(*low);
        machine.system().remove(*ports);
    }
    void set_line(u32, bool) override {}
    Outcome set(u64 at, u64 value, u32 bytes) { return machine.memory().write_value(at, bytes, value, patient); }
    u64 get(u64 at, u32 bytes) {
        u64 value = 0;
        EXPECT_EQ(machine.memory().read_value(at, bytes, value, {}), Outcome::ok);
        return value;
    }
    template <class T>
    void put(u64 address, T value) {
        std::memcpy(block->host() + (address - ram_base), &value, sizeof value);
    }
    bool settle(const std::function<bool()>& done) {
        auto pause = [](io::Loop& l) -> io::Task<void> { co_await l.yield(); };
        for (int i = 0; i < 200; i++) {
            if (done()) return true;
            loop->run(pause(*loop));
        }
        return false;
    }
    // A read of sector 5, in the first chain of the ring.
    void publish(u64 available) {
        put<u64>(buffer + 8, 5); // the header
        u32 n = 0;
        for (auto [at, bytes, flags] : {std::tuple{buffer, 16, 1}, {buffer + 512, 512, 3}, {buffer + 0x800, 1, 2}}) {
            put<u64>(ring + 16 * n, at), put<u32>(ring + 16 * n + 8, u32(bytes));
            put<u16>(ring + 16 * n + 12, u16(flags)), put<u16>(ring + 16 * n + 14, u16(n + 1));
            n++;
        }
        put<u16>(available + 2, 1);
    }
    void legacy_read() {
        for (u64 status : {0, 1, 3}) set(legacy + VIRTIO_PCI_STATUS, status, 1);
        set(legacy + VIRTIO_PCI_GUEST_FEATURES, 0, 4);
        set(legacy + VIRTIO_PCI_QUEUE_SEL, 0, 2);
        publish(ring + 16 * get(legacy + VIRTIO_PCI_QUEUE_NUM, 2));
        set(legacy + VIRTIO_PCI_QUEUE_PFN, ring / 4096, 4);
        set(legacy + VIRTIO_PCI_STATUS, 7, 1);
        set(legacy + VIRTIO_PCI_QUEUE_NOTIFY, 0, 2);
        settle([n = 20]() mutable { return n-- == 0; });
    }
    void modern_read() {
        for (u64 status : {0, 1, 3}) set(modern + VIRTIO_PCI_COMMON_STATUS, status, 1);
        set(modern + VIRTIO_PCI_COMMON_GFSELECT, 1, 4);
        set(modern + VIRTIO_PCI_COMMON_GF, (version_1 | ring_reset) >> 32, 4);
        set(modern + VIRTIO_PCI_COMMON_STATUS, 11, 1);
        set(modern + VIRTIO_PCI_COMMON_Q_SIZE, 8, 2);
        set(modern + VIRTIO_PCI_COMMON_Q_DESCLO, ring, 4);
        set(modern + VIRTIO_PCI_COMMON_Q_AVAILLO, ring + 0x1000, 4);
        set(modern + VIRTIO_PCI_COMMON_Q_USEDLO, ring + 0x2000, 4);
        publish(ring + 0x1000);
        set(modern + VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
        set(modern + VIRTIO_PCI_COMMON_STATUS, 15, 1);
        set(notify, 0, 2);
        settle([n = 20]() mutable { return n-- == 0; });
    }
    void expect_quiet() {
        put<u8>(buffer + 512, 0x77);
        settle([n = 20]() mutable { return n-- == 0; });
        EXPECT_EQ(get(buffer + 512, 1), 0x77u);
    }
};

TEST(VirtioPciReset, LegacyStoresWait) {
    for (auto [reg, bytes] : {std::pair(VIRTIO_PCI_STATUS, 1), {VIRTIO_PCI_QUEUE_PFN, 4}}) {
        PciRig r;
        r.legacy_read();
        for (u32 n = 0; n < 3; n++) EXPECT_EQ(r.set(PciRig::legacy + u64(reg), 0, u32(bytes)), Outcome::wait);
        r.gate->set_open(true);
        EXPECT_TRUE(r.settle([&] { return r.set(PciRig::legacy + u64(reg), 0, u32(bytes)) == Outcome::ok; }));
        r.expect_quiet();
    }
}

// 4.1.4.3.1 and 4.1.4.3.2: drivers of the modern interface read until the device says that it is done.
TEST(VirtioPciReset, ModernDriversAreToldWhenItIsOver) {
    constexpr u32 queue_reset = 0x3a;
    for (auto [reg, bytes, value] : {std::tuple{u32{VIRTIO_PCI_COMMON_STATUS}, 1u, 0u}, {queue_reset, 2u, 1u}}) {
        PciRig r;
        r.modern_read();
        EXPECT_EQ(r.get(PciRig::modern + queue_reset, 2), 0u);
        EXPECT_EQ(r.set(PciRig::modern + reg, value, bytes), Outcome::ok);
        EXPECT_FALSE(r.settle([&, reg = reg, bytes = bytes] { return r.get(PciRig::modern + reg, bytes) == 0; }));
        r.gate->set_open(true);
        EXPECT_TRUE(r.settle([&, reg = reg, bytes = bytes] { return r.get(PciRig::modern + reg, bytes) == 0; }));
        EXPECT_EQ(r.get(PciRig::modern + VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0u);
        r.expect_quiet();
    }
}

} // namespace
} // namespace mimic::devices::virtio
