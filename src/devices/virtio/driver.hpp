// A machine with one virtio device, and a driver of it, for tests: it works through registers and guest memory alone.
#pragma once
#include "base/io/loop.hpp"
#include "devices/base/machine.hpp"
#include "devices/types.hpp"
#include "devices/virtio/dma.hpp"
#include <cstring>
#include <functional>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>

namespace mimic::devices::virtio::driver {

constexpr u64 ram_base = 0x80000000, ram_size = 16u << 20, mmio_base = 0x10001000;

struct Rig : LineSink {
    struct Options {
        bool legacy = false;
        u32 transports = 1;
        std::function<void(Machine&, io::Loop&)> back_ends;
        CountedTime* time = nullptr; // counted time
        u64 seed = 1;                // of random(); 0: none, and the sources that back_ends adds count
    };
    std::unique_ptr<io::Loop> loop = std::move(*io::Loop::create());
    Machine machine;
    std::unique_ptr<memory::RamBlock> block;
    std::unique_ptr<memory::Region> ram;
    Device* transport = nullptr;
    Device* device = nullptr;
    std::string error;
    bool line = false;
    u32 raised = 0;
    u64 next_free = ram_base + 0x1000;

    Rig(std::string_view type, const PropertyList& properties, const Options& options)
        : machine({.loop = loop.get(),
                   .manual_clock = true,
                   .counted = options.time != nullptr,
                   .random_seed = options.seed,
                   .types = types()}) {
        if (options.time) machine.count_time(*options.time);
        block = std::move(*memory::RamBlock::create("ram", ram_size, {}));
        ram = std::make_unique<memory::Region>("ram", *block, 0, ram_size, false);
        machine.system().add(*ram, ram_base);
        if (options.back_ends) options.back_ends(machine, *loop);
        transport = *machine.create("virtio-mmio", "virtio-mmio[0]", {{"force-legacy", options.legacy ? "on" : "off"}});
        machine.mount(*transport, 0, mmio_base);
        machine.connect(*transport, "irq", *this, 1);
        auto made = machine.create(type, "dut", properties, transport);
        if (made)
            device = *made;
        else
            error = made.error().message();
        machine.reset(ResetKind::power_on);
        machine.set_running(true);
    }
    ~Rig() override {
        if (machine.is_counted()) machine.end_count();
        machine.remove(*transport).ignore();
        machine.system().remove(*ram);
    }

    void set_line(u32, bool level) override {
        line = level;
        raised += level;
    }
    u32 get(u32 reg, u32 bytes = 4) {
        u64 v = 0;
        static_cast<void>(machine.memory().read_value(mmio_base + reg, bytes, v, {}));
        return u32(v);
    }
    void set(u32 reg, u32 value, u32 bytes = 4) {
        static_cast<void>(machine.memory().write_value(mmio_base + reg, bytes, value, {}));
    }
    u32 config(u32 offset, u32 bytes) { return get(VIRTIO_MMIO_CONFIG + offset, bytes); }
    u64 offered() {
        set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
        u64 low = get(VIRTIO_MMIO_DEVICE_FEATURES);
        set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
        return low | u64{get(VIRTIO_MMIO_DEVICE_FEATURES)} << 32;
    }
    // Up to FEATURES_OK; false: the device did not take them.
    bool negotiate(u64 features, bool legacy = false) {
        if (legacy) set(VIRTIO_MMIO_GUEST_PAGE_SIZE, 4096); // once, before the first reset, as drivers do
        set(VIRTIO_MMIO_STATUS, 0);
        set(VIRTIO_MMIO_STATUS, 1);
        set(VIRTIO_MMIO_STATUS, 3);
        set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
        set(VIRTIO_MMIO_DRIVER_FEATURES, u32(features));
        if (legacy) return true;
        set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
        set(VIRTIO_MMIO_DRIVER_FEATURES, u32(features >> 32));
        set(VIRTIO_MMIO_STATUS, 3 | VIRTIO_CONFIG_S_FEATURES_OK);
        return get(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK;
    }
    void driver_ok() { set(VIRTIO_MMIO_STATUS, get(VIRTIO_MMIO_STATUS) | VIRTIO_CONFIG_S_DRIVER_OK); }
    bool needs_reset() { return get(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET; }
    u32 acknowledge() {
        u32 bits = get(VIRTIO_MMIO_INTERRUPT_STATUS);
        set(VIRTIO_MMIO_INTERRUPT_ACK, bits);
        return bits;
    }

    u8* at(u64 address) { return block->host() + (address - ram_base); }
    template <class T>
    void put(u64 address, T value) {
        std::memcpy(at(address), &value, sizeof value);
    }
    template <class T>
    T peek(u64 address) {
        T value;
        std::memcpy(&value, at(address), sizeof value);
        return value;
    }
    u64 allocate(u64 bytes, u64 alignment = 16) {
        u64 p = (next_free + alignment - 1) / alignment * alignment;
        next_free = p + bytes;
        std::memset(at(p), 0, bytes);
        return p;
    }
    // A buffer with these bytes.
    Segment bytes(std::string_view text) {
        u64 p = allocate(text.size());
        std::memcpy(at(p), text.data(), text.size());
        return {p, u32(text.size())};
    }
    Segment room(u32 n) { return {allocate(n), n}; }
    std::string text(Segment s) { return {reinterpret_cast<char*>(at(s.address)), s.bytes}; }
    // Runs the loop until `done`; gives up after many turns of doing nothing.
    bool settle(const std::function<bool()>& done) {
        auto pause = [](io::Loop& l) -> io::Task<void> { co_await l.sleep(std::chrono::microseconds(50)); };
        for (int i = 0; i < 2000; i++) {
            if (done()) return true;
            loop->run(pause(*loop));
        }
        return false;
    }
};

struct Used {
    u32 id = 0, bytes = 0;
};

// The driver's end of a queue. Each layout is written from the specification's side of the driver (2.7.13, 2.8.21).
class DriverQueue {
public:
    struct Options {
        bool packed = false, indirect = false, legacy = false;
        u16 size = 16;
    };
    DriverQueue(Rig& rig, u32 index, const Options& options) : r(rig), index_(index), o(options) {
        table = r.allocate(u64{o.size} * 16 + 4096 * 4, 4096);
        driver = table + 16 * u64{o.size};
        device = o.legacy ? (driver + 6 + 2 * u64{o.size} + 4095) / 4096 * 4096
                          : (driver + 6 + 2 * u64{o.size} + 15) / 16 * 16;
        r.set(VIRTIO_MMIO_QUEUE_SEL, index);
        r.set(VIRTIO_MMIO_QUEUE_NUM, o.size);
        if (o.legacy) {
            r.set(VIRTIO_MMIO_QUEUE_ALIGN, 4096);
            r.set(VIRTIO_MMIO_QUEUE_PFN, u32(table / 4096));
            return;
        }
        place();
        r.set(VIRTIO_MMIO_QUEUE_READY, 1);
    }
    void place() {
        r.set(VIRTIO_MMIO_QUEUE_DESC_LOW, u32(table));
        r.set(VIRTIO_MMIO_QUEUE_DESC_HIGH, u32(table >> 32));
        r.set(VIRTIO_MMIO_QUEUE_AVAIL_LOW, u32(driver));
        r.set(VIRTIO_MMIO_QUEUE_AVAIL_HIGH, u32(driver >> 32));
        r.set(VIRTIO_MMIO_QUEUE_USED_LOW, u32(device));
        r.set(VIRTIO_MMIO_QUEUE_USED_HIGH, u32(device >> 32));
    }
    // Makes a chain available; gives its id.
    u16 add(const std::vector<Segment>& out, const std::vector<Segment>& in) {
        std::vector<std::pair<Segment, bool>> all;
        for (Segment s : out) all.emplace_back(s, false);
        for (Segment s : in) all.emplace_back(s, true);
        return o.packed ? add_packed(all) : add_split(all);
    }
    void kick() { r.set(VIRTIO_MMIO_QUEUE_NOTIFY, index_); }
    bool used(Used& u) { return o.packed ? used_packed(u) : used_split(u); }
    // Adds, kicks and waits until the device has used it.
    bool run(const std::vector<Segment>& out, const std::vector<Segment>& in, Used& u) {
        add(out, in);
        kick();
        return r.settle([&] { return used(u); });
    }
    void descriptor(u64 at, Segment s, u16 a, u16 b) {
        r.put<u64>(at, s.address);
        r.put<u32>(at + 8, s.bytes);
        r.put<u16>(at + 12, a);
        r.put<u16>(at + 14, b);
    }
    void publish(u16 head) { // split: an available head
        r.put<u16>(driver + 4 + 2 * (available % o.size), head);
        r.put<u16>(driver + 2, ++available);
    }

    Rig& r;
    u32 index_;
    Options o;
    u64 table = 0, driver = 0, device = 0;
    u16 available = 0, seen = 0, next_slot = 0;
    bool wrap = true, used_wrap = true;
    std::vector<u16> slots = std::vector<u16>(1024); // packed: of each id

private:
    using All = std::vector<std::pair<Segment, bool>>;
    u64 write_table(const All& all) {
        u64 t = r.allocate(all.size() * 16);
        for (size_t i = 0; i < all.size(); i++) {
            u16 flags = u16(all[i].second ? 2 : 0);
            if (o.packed)
                descriptor(t + 16 * i, all[i].first, 0, flags);
            else
                descriptor(t + 16 * i, all[i].first, u16(flags | (i + 1 < all.size())), u16(i + 1));
        }
        return t;
    }
    u16 add_split(const All& all) {
        u16 head = next_slot;
        if (o.indirect) {
            u64 t = write_table(all);
            descriptor(table + 16 * head, {t, u32(16 * all.size())}, 4, 0);
            next_slot = u16((next_slot + 1) % o.size);
        } else {
            for (size_t i = 0; i < all.size(); i++) {
                u16 slot = next_slot;
                next_slot = u16((next_slot + 1) % o.size);
                u16 flags = u16((all[i].second ? 2 : 0) | (i + 1 < all.size() ? 1 : 0));
                descriptor(table + 16 * slot, all[i].first, flags, next_slot);
            }
        }
        publish(head);
        return head;
    }
    u16 add_packed(const All& all) {
        u16 id = available++ % o.size, first = next_slot;
        All used_all = all;
        u16 flags_base = 0;
        if (o.indirect) {
            u64 t = write_table(all);
            used_all = {{{t, u32(16 * all.size())}, false}};
            flags_base = 4;
        }
        u16 first_flags = 0;
        for (size_t i = 0; i < used_all.size(); i++) {
            u16 flags = u16(flags_base | (used_all[i].second ? 2 : 0) | (i + 1 < used_all.size() ? 1 : 0) |
                            (wrap ? 1 << 7 : 1 << 15));
            descriptor(table + 16 * next_slot, used_all[i].first, id,
                       i ? flags : u16(flags ^ (1 << 7) ^ (wrap ? 0 : 1 << 7)));
            if (i == 0) {
                first_flags = flags;
                r.put<u16>(table + 16 * next_slot + 14, u16(wrap ? 0 : (1 << 7) | (1 << 15)));
            }
            if (++next_slot == o.size) {
                next_slot = 0;
                wrap = !wrap;
            }
        }
        r.put<u16>(table + 16 * first + 14, first_flags); // the first one last
        slots[id] = u16(used_all.size());
        return id;
    }
    bool used_split(Used& u) {
        if (r.peek<u16>(device + 2) == seen) return false;
        u64 e = device + 4 + 8 * u64(seen % o.size);
        u = {r.peek<u32>(e), r.peek<u32>(e + 4)};
        seen++;
        return true;
    }
    bool used_packed(Used& u) {
        u64 d = table + 16 * u64{seen};
        u16 flags = r.peek<u16>(d + 14);
        if (bool(flags >> 7 & 1) != used_wrap || bool(flags >> 15) != used_wrap) return false;
        u = {r.peek<u16>(d + 12), r.peek<u32>(d + 8)};
        u32 next = u32{seen} + slots[u.id];
        if (next >= o.size) {
            next -= o.size;
            used_wrap = !used_wrap;
        }
        seen = u16(next);
        return true;
    }
};

} // namespace mimic::devices::virtio::driver
