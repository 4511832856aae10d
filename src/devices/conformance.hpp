// The rig of the conformance suite (devices_test.cpp, devices_soak.cpp): a machine with RAM, ROM and one device of any type, on a
// bus that it fits, with back ends for what it asks for and, if it is a bus itself, with something on it.
//
// The bus of a type that is on one is the first type that offers it. How a driver comes to the registers of what is on a bus, and gives
// it work, is the only thing that is told for each kind of bus: `buses`, at the end.
#pragma once
#include "base/io/loop.hpp"
#include "block/graph.hpp"
#include "block/protocols/memory.hpp"
#include "devices/base/machine.hpp"
#include "devices/pci/pci.hpp"
#include "devices/types.hpp"
#include <cstring>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_pci.h>
#include <random>

namespace mimic::devices::conformance {

using Random = std::mt19937_64;

constexpr u64 ram_base = 0x80000000, ram_size = 1 << 20, rom_base = 0x90000000, rom_size = 1 << 16;
constexpr u64 device_base = 0x10000000, wide_base = u64{1} << 44,
              wide_step = u64{1} << 42; // wide: what does not fit below RAM
constexpr u64 nowhere = 0xdead0000;
constexpr u8 rom_byte = 0xa5; // what ROM is full of, and disks are not

// All properties that a type has, those of a device that it is made with among them.
struct Properties final : Describe {
    std::vector<std::pair<std::string, Property>> all;
    explicit Properties(Device& d) {
        d.describe(*this);
        if (d.inner()) d.inner()->describe(*this);
    }
    void on_property(const Property& p) override { all.emplace_back(full(p.name), p); }
    void on_chardev(std::string_view name, CharPort& port, std::string_view help) override {
        on_property({name, help, &port.id, {}, "chardev"});
    }
    void on_drive(std::string_view name, DriveRef& drive, std::string_view help) override {
        on_property({name, help, &drive.id, {}, "drive"});
    }
    void on_netdev(std::string_view name, NetRef& net, std::string_view help) override {
        on_property({name, help, &net.id, {}, "netdev"});
    }
};

// ---- back ends --------------------------------------------------------------------------------------------------------

// What comes out of a device, in its order, as one number: two devices that are alike have the same.
struct Seen {
    u64 value = 0;
    void add(u64 v) { value = (value ^ v) * 0x100000001b3; }
    void add(std::span<const u8> bytes) {
        for (u8 b : bytes) add(u64{b} + 1);
    }
};

// A network that hands back what it gets.
struct Wire final : net::BackEnd {
    Seen& seen;
    Wire(io::Loop& loop, std::string id, Seen& s) : net::BackEnd(loop, std::move(id)), seen(s) {}
    std::string_view kind() const override { return "test"; }
    std::string info() const override { return ""; }
    u32 queues() const override { return 2; }
    void transmit(std::span<const u8> f) override {
        seen.add(f);
        deliver(f);
    }
    void arrive(std::span<const u8> f) { deliver(f); }
};

// A terminal that takes half of what it is given.
struct Terminal final : chardev::Chardev {
    Seen& seen;
    Terminal(std::string id, Seen& s) : Chardev(std::move(id)), seen(s) {}
    std::string filename() const override { return "test"; }
    u32 write(std::span<const u8> bytes) override {
        const size_t n = (bytes.size() + 1) / 2;
        seen.add(bytes.first(n));
        return u32(n);
    }
    void arrive(std::span<const u8> bytes) {
        if (!front()) return;
        const size_t n = std::min<size_t>(bytes.size(), front()->room());
        if (n) front()->receive(bytes.first(n));
        front()->writable();
    }
    void tell(chardev::Event e) {
        if (front()) front()->event(e);
    }
};

// A disk's layer that lets a number of the loop's turns pass before and after each request: the host is at work.
inline constexpr block::Driver slow_driver = {.name = "slow", .is_filter = true};
struct Slow final : block::Node {
    u32 most = 0; // turns each time; 0: all is done at once
    explicit Slow(block::Context& context) : Node(context, slow_driver, {}) {}
    u64 size() const override { return file()->size(); }

protected:
    using Done = block::Task<Result<void>>;
    using Memory = block::IoVec;
    Done do_read(u64 offset, const Memory& m) override { return late(&Node::read, offset, m); }
    Done do_write(u64 offset, const Memory& m) override { return late(&Node::write, offset, m, 0u); }
    Done do_write_zeroes(u64 offset, u64 n, u32 flags) override { return late(&Node::write_zeroes, offset, n, flags); }
    Done do_discard(u64 offset, u64 n) override { return late(&Node::discard, offset, n); }
    Done do_flush() override { return late(&Node::flush); }

private:
    template <class F, class... A>
    Done late(F f, A... a) {
        co_await pause();
        Result<void> result = co_await (file()->*f)(a...);
        co_await pause();
        co_return result;
    }
    io::Task<void> pause() {
        for (u64 n = most ? random_() % (most + 1) : 0; n; n--) co_await loop().yield();
    }
    Random random_{3};
};

// What boards say to a device that cannot be found by the kind of a property. `sized`: its disk has the size that this gives.
struct Given {
    std::string_view type, name, text;
    bool sized = false;
};
constexpr Given given[] = {
    {"arm-gicv3-its", "gic", "gic"},
    {"cfi.pflash01", "num-blocks", "1", true},
};
constexpr u64 disk_bytes = 256 << 10;
// The first page of every disk, which most requests are about.
inline const std::vector<u8>& disk_begin() {
    static const std::vector<u8> page = [] {
        std::vector<u8> bytes(block::MemoryImage::page_size);
        for (u64 i = 0; i < bytes.size(); i++) bytes[i] = u8(1 + (i + i / 512) % 127);
        return bytes;
    }();
    return page;
}

inline const DeviceType* find_type(std::string_view name) {
    for (const DeviceType* t : types())
        if (t->name == name) return t;
    return nullptr;
}
// A type whose bus is of the kind and comes empty; null: none.
inline const DeviceType* type_with_bus(std::string_view bus) {
    for (const DeviceType* t : types()) {
        auto made = t->make();
        if (made->bus_type() == bus && !made->inner()) return t;
    }
    return nullptr;
}

// ---- the machine ------------------------------------------------------------------------------------------------------

class Rig {
public:
    struct Range {
        u64 at, bytes;
    };
    std::unique_ptr<io::Loop> loop = std::move(*io::Loop::create());
    std::map<std::string, std::shared_ptr<block::MemoryImage>> images;
    std::unique_ptr<block::Context> context = std::make_unique<block::Context>(block::Context{.loop = *loop});
    Machine machine;
    std::unique_ptr<memory::RamBlock> block, rom_block;
    std::unique_ptr<memory::Region> ram, rom;
    Device* device = nullptr; // null: see error
    std::string error;
    std::vector<Range> mapped;                         // where the device's registers are
    std::vector<std::pair<const Device*, u64>> places; // of the first region of each device that is mapped for good
    std::vector<Wire*> wires;
    std::vector<Terminal*> terminals;
    std::vector<Slow*> disks;
    Seen seen; // what accesses read, and what came to terminals and networks

    explicit Rig(const DeviceType& type, const PropertyList& properties = {})
        : machine({.loop = loop.get(), .manual_clock = true, .random_seed = 7, .types = types()}) {
        constexpr auto anonymous = memory::RamBlock::Backing::anonymous;
        block = *memory::RamBlock::create("ram", ram_size, {.backing = anonymous});
        rom_block = *memory::RamBlock::create("rom", rom_size, {.backing = anonymous});
        std::memset(rom_block->host(), rom_byte, rom_size);
        ram = std::make_unique<memory::Region>("ram", *block, 0, ram_size, false);
        rom = std::make_unique<memory::Region>("rom", *rom_block, 0, rom_size, true);
        machine.system().add(*ram, ram_base);
        machine.system().add(*rom, rom_base);
        machine.ram_bytes = ram_size;
        // What boards have, for devices that set themselves up through it.
        for (auto [name, id] : {std::pair("fw_cfg_mem", "fwcfg"), std::pair("arm-gicv3", "gic")})
            if (type.name != name)
                make(*find_type(name), id, {{name == std::string_view("arm-gicv3") ? "has-lpi" : "dma_enabled", "on"}});
        error.clear();
        device = make(type, "dut", properties);
        if (!device) return;
        add_child();
        start();
    }
    ~Rig() {
        machine.system().remove(*ram);
        machine.system().remove(*rom);
    }
    Rig(const Rig&) = delete;

    // Reset, and a driver has begun.
    void start() {
        machine.reset(ResetKind::power_on);
        machine.set_running(true);
        start_driver();
    }
    void start_driver();
    u64 read(u64 at, u32 bytes) {
        u64 v = 0;
        static_cast<void>(machine.memory().read_value(at, bytes, v, {}));
        return v;
    }
    void write(u64 at, u32 bytes, u64 value) { static_cast<void>(machine.memory().write_value(at, bytes, value, {})); }
    u8* host(u64 address) { return block->host() + (address - ram_base); }
    void turn(int n = 8) {
        auto pause = [](io::Loop& l, int times) -> io::Task<void> {
            for (int i = 0; i < times; i++) co_await l.yield();
        };
        loop->run(pause(*loop, n));
    }
    // Until no request is in flight. False: that does not come.
    bool settle() {
        for (int i = 0; i < 10000; i++) {
            turn();
            if (!machine.in_flight()) return true;
        }
        return false;
    }
    // From now on requests of disks take their time, or do not.
    void set_slow(bool slow) {
        for (Slow* d : disks) d->most = slow ? 12 : 0;
    }
    bool rom_is_kept() const {
        const u8* rom_bytes = rom_block->host();
        return std::all_of(rom_bytes, rom_bytes + rom_size, [](u8 b) { return b == rom_byte; });
    }
    // The disks hold the same.
    void copy_images(const Rig& from) {
        for (auto& [id, image] : images) image->pages = from.images.at(id)->pages;
    }
    u64 image_bytes() const {
        u64 n = 0;
        for (auto& [id, image] : images) n += image->pages.size() * block::MemoryImage::page_size;
        return n;
    }
    void remove_device() {
        mapped.clear();
        machine.remove(*device).ignore();
        device = nullptr;
    }
    // Another one in the place of one that was removed, with the back ends that it had.
    Result<Device*> add_again(const DeviceType& type) {
        return machine.add(type.make(), "again", made_with_, made_on_);
    }

    // 0: it is not mapped, or not for good.
    u64 place(const Device& d) const {
        for (const auto& [mapped_one, at] : places)
            if (mapped_one == &d) return at;
        return 0;
    }
    // An address for DMA: mostly RAM; nothing, ROM, the device itself, the end of RAM.
    u64 address(Random& random) const {
        switch (random() % 12) {
        case 0: return nowhere + random() % 4096;
        case 1: return rom_base + random() % 256;
        case 2: return mapped.empty() ? 0 : mapped[random() % mapped.size()].at + random() % 64 * 4;
        case 3: return ram_base + ram_size - random() % 64;
        case 4: return places.empty() ? 0 : places[0].second + random() % 64 * 8; // of another device
        case 5: return ~u64{0} - random() % 64;
        default: return ram_base + random() % ram_size;
        }
    }
    // A driver begins anew and gives it several things to do at once.
    void give_work(Random& random);
    // Something that happens to the device: an access, work from a driver, the host, lines, time.
    void poke(Random& random);
    void access(Random& random, u64 at, u32 bytes);

private:
    Device* make(const DeviceType& type, std::string id, PropertyList properties) {
        Device* parent = nullptr;
        if (type.bus != "system") {
            const DeviceType* with = type_with_bus(type.bus);
            if (!with) {
                error = fmt::format("no type has a bus of kind '{}'", type.bus);
                return nullptr;
            }
            parent = make(*with, id + ".bus", {});
            if (!parent) return nullptr;
        }
        auto fresh = type.make();
        give_back_ends(*fresh, id, properties);
        made_with_ = properties;
        made_on_ = parent;
        auto made = machine.add(std::move(fresh), id, properties, parent);
        if (!made) {
            error = made.error().message();
            return nullptr;
        }
        if (!parent) map(**made, id == "dut" || id.starts_with("dut."));
        return *made;
    }
    // What it asks for, unless the caller gave it.
    void give_back_ends(Device& d, const std::string& id, PropertyList& properties) {
        const bool plain = properties.empty();
        bool disk = true;
        for (const Given& g : given) {
            if (g.type != d.type()) continue;
            if (g.sized && !plain) disk = false; // the caller chose another size
            if (!g.sized || plain) properties.emplace_back(g.name, g.text);
        }
        for (const auto& [name, p] : Properties(d).all) {
            if (std::any_of(properties.begin(), properties.end(), [&](const auto& q) { return q.first == name; }))
                continue;
            const std::string end = id + "." + name;
            if (p.type == "chardev") {
                auto t = std::make_unique<Terminal>(end, seen);
                terminals.push_back(t.get());
                machine.add_chardev(std::move(t));
            } else if (p.type == "drive" && disk) {
                auto image = images[end] = std::make_shared<block::MemoryImage>();
                image->size = disk_bytes;
                image->pages[0] = disk_begin();
                auto slow = std::make_shared<Slow>(*context);
                disks.push_back(slow.get());
                MIMIC_CHECK(slow->add_child(block::make_memory_node(*context, image), "file", block::perm::all,
                                            block::perm::all),
                            "a layer of a disk cannot be made");
                machine.drives[end] = {*block::Root::attach(slow, end, 0, block::perm::all), false};
            } else if (p.type == "netdev") {
                auto w = std::make_unique<Wire>(*loop, end, seen);
                wires.push_back(w.get());
                machine.nets[end].peer = std::move(w);
            } else {
                continue;
            }
            properties.emplace_back(name, end);
        }
    }
    void map(Device& d, bool of_device) {
        for (u32 i = 0; i < d.regions(); i++) {
            const u64 size = d.region(i).size();
            const bool fits = size <= ram_base - next_;
            const u64 at = fits ? next_ : next_wide_;
            machine.mount(d, i, at);
            if (i == 0) places.emplace_back(&d, at);
            if (of_device) mapped.push_back({at, size});
            (fits ? next_ : next_wide_) += fits ? (size + 0xffff) & ~u64{0xffff} : wide_step;
        }
    }
    // The first type that fits and needs nothing else.
    void add_child() {
        if (device->bus_type().empty() || device->bus_full()) return;
        for (const DeviceType* t : types()) {
            if (t->bus != device->bus_type()) continue;
            auto fresh = t->make();
            PropertyList properties;
            give_back_ends(*fresh, "child", properties);
            if (machine.add(std::move(fresh), "child", properties, device)) return;
        }
    }
    u64 next_ = device_base, next_wide_ = wide_base;
    PropertyList made_with_;
    Device* made_on_ = nullptr;
};

// ---- drivers ----------------------------------------------------------------------------------------------------------

// A virtio driver without memory of its own: what it knows is in the rig's RAM, so that two machines that are alike go on alike.
// Rings are split and have 8 entries; the areas lie as legacy devices want them.
namespace rings {
constexpr u32 queues = 4, size = 8;
constexpr u64 at(u32 queue) { return ram_base + 0x10000 + 0x2000 * u64{queue}; }
constexpr u64 available = 16 * size, used = 4096;

// Adds a random chain to a queue.
inline void fill(Rig& rig, Random& random, u32 queue) {
    auto put = [&](u64 to, u64 value, u32 bytes) { std::memcpy(rig.host(to), &value, bytes); };
    u16 index = 0;
    std::memcpy(&index, rig.host(at(queue) + available + 2), 2);
    // Most have the shape of many devices' requests: a head, buffers, a place for a status.
    const bool shaped = random() % 4, into = random() % 2;
    const u32 n = 1 + random() % 4 + shaped, head = random() % size;
    for (u32 i = 0; i < n; i++) {
        const u64 d = at(queue) + 16 * ((head + i) % size);
        const bool first = i == 0, last = i + 1 == n, plain = random() % 16;
        const u64 address = plain ? ram_base + 0x40000 + random() % 0x10000 : rig.address(random);
        const u64 bytes = random() % 32 == 0 ? random()
                          : shaped && first  ? 16
                          : shaped && last   ? 1
                                             : 512 * (1 + random() % 3);
        if (plain && first) {
            const u32 words[] = {u32(random() % 14), u32(random() % 4 ? 0 : random()), u32(random() % 8), 0};
            std::memcpy(rig.host(address), words, sizeof words);
        }
        put(d, address, 8);
        put(d + 8, bytes, 4);
        const bool writable = shaped ? last || (!first && into) : random() % 2, indirect = random() % 64 == 0;
        put(d + 12, u32{!last} | writable << 1 | indirect << 2, 2);
        put(d + 14, random() % 32 ? (head + i + 1) % size : random(), 2);
    }
    put(at(queue) + available + 4 + 2 * (index % size), random() % 64 ? head : random(), 2);
    put(at(queue) + available + 2, u16(index + 1), 2);
}
} // namespace rings

// Virtio over registers in memory.
namespace mmio {
inline u64 registers(Rig& rig) {
    for (Device* d = rig.device; d; d = d->parent())
        if (u64 at = rig.place(*d)) return at;
    return 0;
}
inline void start(Rig& rig, Random& random) {
    const u64 at = registers(rig);
    auto get = [&](u32 r) { return u32(rig.read(at + r, 4)); };
    auto set = [&](u32 r, u64 v) { rig.write(at + r, 4, u32(v)); };
    const bool legacy = get(VIRTIO_MMIO_VERSION) == 1;
    const u64 wanted = ~u64{0} ^ (random() % 2 ? random() & random() & random() : 0);
    if (legacy) set(VIRTIO_MMIO_GUEST_PAGE_SIZE, 4096);
    for (u32 status : {0u, 1u, 3u}) set(VIRTIO_MMIO_STATUS, status);
    for (u32 word = 0; word < (legacy ? 1 : 2); word++) {
        set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, word);
        set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, word);
        set(VIRTIO_MMIO_DRIVER_FEATURES, get(VIRTIO_MMIO_DEVICE_FEATURES) & (wanted >> 32 * word | word));
    }
    if (!legacy) set(VIRTIO_MMIO_STATUS, 11);
    for (u32 q = 0; q < rings::queues; q++) {
        std::memset(rig.host(rings::at(q)), 0, 0x2000);
        set(VIRTIO_MMIO_QUEUE_SEL, q);
        if (!get(VIRTIO_MMIO_QUEUE_NUM_MAX)) continue;
        set(VIRTIO_MMIO_QUEUE_NUM, rings::size);
        set(VIRTIO_MMIO_QUEUE_ALIGN, 4096);
        if (legacy) {
            set(VIRTIO_MMIO_QUEUE_PFN, rings::at(q) / 4096);
            continue;
        }
        const u64 areas[] = {rings::at(q), rings::at(q) + rings::available, rings::at(q) + rings::used};
        for (u32 i = 0; i < 3; i++) {
            set(VIRTIO_MMIO_QUEUE_DESC_LOW + 0x10 * i, areas[i]);
            set(VIRTIO_MMIO_QUEUE_DESC_HIGH + 0x10 * i, areas[i] >> 32);
        }
        set(VIRTIO_MMIO_QUEUE_READY, 1);
    }
    set(VIRTIO_MMIO_STATUS, legacy ? 7 : 15);
}
inline void work(Rig& rig, Random& random) {
    const u32 queue = random() % 2 ? 0 : random() % rings::queues;
    rings::fill(rig, random, queue);
    rig.write(registers(rig) + VIRTIO_MMIO_QUEUE_NOTIFY, 4, queue);
}
} // namespace mmio

// PCI: firmware that gives BARs their places, and a driver of virtio functions through their capabilities.
namespace pci {
constexpr u64 first_memory = 0x10000000, memory_step = 0x100000, first_port = 0x1000, port_step = 0x100;
struct Function {
    Rig& rig;
    u64 config, memory, ports; // where the host bridge's windows are
    u32 get(u32 offset, u32 bytes) { return u32(rig.read(config + offset, bytes)); }
    void set(u32 offset, u32 bytes, u32 value) { rig.write(config + offset, bytes, value); }
    // The place of a virtio structure; 0: it has none. `extra`: the word behind.
    u64 structure(u8 kind, u32* extra = nullptr) {
        for (u32 at = get(PCI_CAPABILITY_LIST, 1), n = 0; at && n < 32; at = get(at + 1, 1), n++) {
            if (get(at, 1) != PCI_CAP_ID_VNDR || get(at + 3, 1) != kind) continue;
            if (extra) *extra = get(at + 16, 4);
            return memory + first_memory + memory_step * get(at + 4, 1) + get(at + 8, 4);
        }
        return 0;
    }
};
inline Function function(Rig& rig) {
    auto* f = dynamic_cast<PciFunction*>(rig.device);
    Device& bridge = *f->parent();
    const u64 ecam = rig.place(bridge);
    // Its other regions follow in the order in which they were mapped.
    return {rig, ecam + (u64{f->devfn()} << 12), bridge.region(1).at(), bridge.region(2).at()};
}
inline void start(Rig& rig, Random& random) {
    Function f = function(rig);
    rig.mapped = {{f.config, PciFunction::config_bytes}};
    for (u32 bar = 0; bar < 6; bar++) {
        const u32 at = PCI_BASE_ADDRESS_0 + 4 * bar;
        f.set(at, 4, ~u32{0});
        const u32 mask = f.get(at, 4);
        if (!mask) continue;
        const bool io = mask & PCI_BASE_ADDRESS_SPACE_IO, wide = !io && (mask & PCI_BASE_ADDRESS_MEM_TYPE_64);
        const u64 place = io ? first_port + port_step * bar : first_memory + memory_step * bar;
        f.set(at, 4, u32(place));
        if (wide) f.set(at + 4, 4, 0);
        const u64 bytes = io ? (~(mask & ~3u) + 1u) & 0xffff : ~(mask & ~15u) + 1u;
        rig.mapped.push_back({(io ? f.ports : f.memory) + place, bytes});
        bar += wide;
    }
    f.set(PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    const u64 common = f.structure(VIRTIO_PCI_CAP_COMMON_CFG);
    if (!common) return;
    auto set = [&](u32 r, u32 bytes, u64 v) { rig.write(common + r, bytes, v); };
    for (u32 status : {0u, 1u, 3u}) set(VIRTIO_PCI_COMMON_STATUS, 1, status);
    const u64 wanted = ~u64{0} ^ (random() % 2 ? random() & random() & random() : 0);
    for (u32 word = 0; word < 2; word++) {
        set(VIRTIO_PCI_COMMON_DFSELECT, 4, word);
        set(VIRTIO_PCI_COMMON_GFSELECT, 4, word);
        set(VIRTIO_PCI_COMMON_GF, 4, rig.read(common + VIRTIO_PCI_COMMON_DF, 4) & (wanted >> 32 * word | word));
    }
    set(VIRTIO_PCI_COMMON_STATUS, 1, 11);
    for (u32 q = 0; q < rings::queues; q++) {
        std::memset(rig.host(rings::at(q)), 0, 0x2000);
        set(VIRTIO_PCI_COMMON_Q_SELECT, 2, q);
        if (!rig.read(common + VIRTIO_PCI_COMMON_Q_SIZE, 2)) continue;
        set(VIRTIO_PCI_COMMON_Q_SIZE, 2, rings::size);
        set(VIRTIO_PCI_COMMON_Q_MSIX, 2, random() % 4);
        const u64 areas[] = {rings::at(q), rings::at(q) + rings::available, rings::at(q) + rings::used};
        for (u32 i = 0; i < 3; i++) {
            set(VIRTIO_PCI_COMMON_Q_DESCLO + 8 * i, 4, u32(areas[i]));
            set(VIRTIO_PCI_COMMON_Q_DESCHI + 8 * i, 4, areas[i] >> 32);
        }
        set(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
    }
    // Messages go anywhere, or interrupts are pins.
    for (u32 at = f.get(PCI_CAPABILITY_LIST, 1), n = 0; at && n < 32; at = f.get(at + 1, 1), n++) {
        if (f.get(at, 1) != PCI_CAP_ID_MSIX) continue;
        const u32 table = f.get(at + PCI_MSIX_TABLE, 4);
        const u64 entries = f.memory + first_memory + memory_step * (table & 7) + (table & ~7u);
        for (u32 v = 0; v < 4; v++) {
            const u64 to = rig.address(random);
            const u32 words[] = {u32(to), u32(to >> 32), u32(random()), random() % 4 == 0};
            for (u32 w = 0; w < 4; w++) rig.write(entries + 16 * v + 4 * w, 4, words[w]);
        }
        f.set(at + PCI_MSIX_FLAGS, 2, random() % 2 ? PCI_MSIX_FLAGS_ENABLE : 0);
    }
    set(VIRTIO_PCI_COMMON_STATUS, 1, 15);
}
inline void work(Rig& rig, Random& random) {
    Function f = function(rig);
    u32 stride = 0;
    const u64 notify = f.structure(VIRTIO_PCI_CAP_NOTIFY_CFG, &stride);
    if (!notify) return;
    const u32 queue = random() % 2 ? 0 : random() % rings::queues;
    rings::fill(rig, random, queue);
    rig.write(notify + u64{stride} * queue, 2, queue);
}
// A driver resets a virtio function. False: that is not over yet (4.1.4.3.2: status does not read 0).
inline bool stop(Rig& rig, bool begin) {
    const u64 common = function(rig).structure(VIRTIO_PCI_CAP_COMMON_CFG);
    if (!common) return true;
    if (begin) rig.write(common + VIRTIO_PCI_COMMON_STATUS, 1, 0);
    return rig.read(common + VIRTIO_PCI_COMMON_STATUS, 1) == 0;
}
} // namespace pci

// How a driver comes to what is on a bus, and gives it work.
struct BusKind {
    std::string_view name;
    void (*start)(Rig& rig, Random& random); // null: its registers are where the board has them
    void (*work)(Rig& rig, Random& random);
    bool (*stop)(Rig& rig, bool begin) = nullptr; // null: drivers are not told when a reset is over
};
constexpr BusKind buses[] = {
    {"system", nullptr, nullptr},
    {"virtio-bus", mmio::start, mmio::work},
    {"virtio-serial-bus", mmio::start, mmio::work},
    {"pci", pci::start, pci::work, pci::stop},
};
inline const BusKind* find_bus(std::string_view name) {
    for (const BusKind& b : buses)
        if (b.name == name) return &b;
    return nullptr;
}

inline void Rig::start_driver() {
    Random random(1);
    if (const BusKind* bus = find_bus(find_type(device->type())->bus); bus && bus->start) bus->start(*this, random);
}

inline void Rig::give_work(Random& random) {
    const BusKind* bus = find_bus(find_type(device->type())->bus);
    if (bus->start) bus->start(*this, random);
    for (int i = 0; i < 8 && bus->work; i++) bus->work(*this, random);
}

inline void Rig::access(Random& random, u64 at, u32 bytes) {
    u64 value = random() % 3 ? random() : address(random);
    switch (random() % 8) {
    case 0: value = random() % 256; break;
    case 1: value = address(random) >> 12; break; // where registers hold pages
    case 2: value = address(random) >> 32; break;
    default: break;
    }
    if (random() & 1)
        write(at, bytes, value);
    else
        seen.add(read(at, bytes));
}

inline void Rig::poke(Random& random) {
    const BusKind* bus = find_bus(find_type(device->type())->bus);
    const u64 what = random() % 32;
    u8 bytes[64];
    for (u8& b : bytes) b = u8(random());
    const std::span<const u8> some(bytes, 1 + random() % sizeof bytes);
    if (what == 0) {
        for (Wire* w : wires) w->arrive(some);
    } else if (what == 1) {
        for (Terminal* t : terminals) t->arrive(some);
    } else if (what == 2) {
        for (Terminal* t : terminals) t->tell(random() % 2 ? chardev::Event::opened : chardev::Event::closed);
    } else if (what == 3) {
        turn(1 + random() % 4);
    } else if (what == 4 && device->inputs()) {
        device->inputs()->set_line(random() % 8 ? u32(random() % 64) : u32(random()), random() % 2);
    } else if (what < 10 && bus->work) {
        if (what == 9 && random() % 2 == 0) bus->start(*this, random);
        bus->work(*this, random);
    } else if (!mapped.empty()) {
        const Range r = mapped[random() % mapped.size()];
        u64 offset = random() % 4 ? random() % std::min<u64>(r.bytes, 0x100) : random() % r.bytes;
        const u32 size = 1u << (random() % 4);
        if (random() % 3) offset &= ~u64{size - 1};
        access(random, r.at + offset, size);
    }
    if (random() % 8 == 0) machine.advance(random() % 2000000);
}

} // namespace mimic::devices::conformance
