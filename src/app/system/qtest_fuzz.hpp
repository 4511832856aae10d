// What the fuzz targets of device families share: boards whose devices are driven as QTest does, the host's side of them, and time.
// Nothing of it may end the process, go on for ever or reach memory that is not the guest's.
//
// The first byte of an input picks the board, each eight bytes after it are a step:
//   operation, place, offset (2), value (2), shift, size
#pragma once
#include "block/graph.hpp"
#include "block/protocols/memory.hpp"
#include "devices/types.hpp"
#include "monitor/qtest.hpp"
#include <cstring>

namespace mimic::qtest_fuzz {

constexpr u64 riscv_ram = 0x80000000, arm_ram = 0x40000000, ram_bytes = 1 << 16;
constexpr u32 most_steps = 256;

struct World;

struct UserDevice {
    std::string_view type;
    devices::PropertyList properties;
};

// A board and what of it is fuzzed.
struct Scene {
    std::string_view guest;
    devices::PropertyList properties; // of -M
    std::vector<u64> places;          // addresses that steps count their offsets from; parts of RAM among them
    std::string_view inputs;          // device whose lines are driven
    std::vector<UserDevice> devices;
    std::vector<devices::GlobalProperty> globals;
    std::vector<std::string> start;                   // commands after each reset: where a driver would have come to
    std::vector<std::pair<std::string, u64>> started; // reads that show that it has, and their values
    // More start commands, of what is only known of the board that was made. Null: none.
    std::vector<std::string> (*found)(monitor::QtestCommands& q) = nullptr;
    // What is not in memory (registers of processors): one step of it. Null: nothing.
    void (*other)(World& world, std::span<const u8> step) = nullptr;
};

// A terminal that takes a part of what it is given, and a network that hands it back.
struct Terminal final : chardev::Chardev {
    using Chardev::Chardev;
    std::string filename() const override { return "fuzz"; }
    u32 write(std::span<const u8> bytes) override { return u32((bytes.size() + 1) / 2); }
    void arrive(std::span<const u8> bytes) {
        if (!front()) return;
        const size_t n = std::min<size_t>(bytes.size(), front()->room());
        if (n) front()->receive(bytes.first(n));
        front()->writable();
    }
};
struct Wire final : net::BackEnd {
    using net::BackEnd::BackEnd;
    std::string_view kind() const override { return "fuzz"; }
    std::string info() const override { return ""; }
    void transmit(std::span<const u8> f) override { deliver(f); }
    void arrive(std::span<const u8> f) { deliver(f); }
};

struct World {
    std::unique_ptr<io::Loop> loop = std::move(*io::Loop::create());
    std::shared_ptr<block::MemoryImage> image = std::make_shared<block::MemoryImage>();
    std::unique_ptr<block::Context> context;
    std::unique_ptr<machines::Board> board;
    const Scene& scene;
    std::vector<std::string> start;
    std::vector<u8> state; // where each input begins; empty: none has
    u64 random = 0;
    Terminal *terminal = nullptr, *second = nullptr;
    Wire* wire = nullptr;

    explicit World(const Scene& s) : scene(s) {
        const machines::BoardType* type = *machines::find_board(s.guest, "virt");
        machines::BoardOptions o;
        o.ram_bytes = ram_bytes;
        o.ram.backing = memory::RamBlock::Backing::anonymous;
        o.accelerator = "qtest";
        o.machine.loop = loop.get();
        o.machine.manual_clock = true;
        o.machine.random_seed = 1;
        o.machine.types = devices::types();
        o.machine.globals = s.globals;
        o.properties = s.properties;
        o.smp.cpus = 2;
        o.serial = {"c0"};
        board = type->make(o);
        devices::Machine& m = board->machine();
        m.ram_bytes = ram_bytes;
        for (Terminal** t : {&terminal, &second}) {
            auto made = std::make_unique<Terminal>(t == &terminal ? "c0" : "c1");
            *t = made.get();
            m.add_chardev(std::move(made));
        }
        auto w = std::make_unique<Wire>(*loop, "n0");
        wire = w.get();
        m.nets["n0"].peer = std::move(w);
        image->size = 65536;
        context.reset(new block::Context{.loop = *loop});
        m.drives["d0"] = {*block::Root::attach(block::make_memory_node(*context, image), "d0", 0, block::perm::all),
                          false};
        MIMIC_CHECK(board->build(), "the board cannot be made");
        for (const UserDevice& d : s.devices) {
            devices::Device* bus = nullptr;
            if (const devices::DeviceType* kind = m.find_type(d.type); kind->bus != "system")
                bus = m.find_bus(kind->bus);
            MIMIC_CHECK(m.create(d.type, "", d.properties, bus), "a device cannot be made");
        }
        MIMIC_CHECK(board->reset(devices::ResetKind::power_on), "the board cannot be reset");
        board->start();
        random = m.random_state();
        monitor::QtestCommands q(m, false, [](std::string_view) {});
        if (s.found) start = s.found(q);
        start.insert(start.end(), s.start.begin(), s.start.end());
    }
    // Nothing is left of the input before: of the machine, of its memories, of disk and network, and of time.
    void begin() {
        devices::Machine& m = board->machine();
        m.reset(devices::ResetKind::power_on);
        wire->forget();
        turn(2);
        m.set_running(false);
        m.set_now(0);
        m.set_random_state(random);
        m.set_running(true);
        const memory::Place place = m.memory().find(ram());
        MIMIC_CHECK(place.kind == memory::Place::Kind::ram && place.left >= ram_bytes, "RAM is where the board has it");
        std::memset(place.host(), 0, ram_bytes);
        m.each([](devices::Device& d) { // no scene's flash has a drive: it begins with zeros
            for (u32 i = 0; i < d.regions(); i++)
                if (memory::RamBlock* block = d.region(i).block()) block->discard(0, block->size());
        });
        image->pages.clear();
        std::vector<u8> now = m.save();
        if (state.empty()) state = now;
        MIMIC_CHECK(now == state, "each input begins at the same state");
    }
    u64 ram() const { return scene.guest == "riscv64" ? riscv_ram : arm_ram; }
    void turn(int n) {
        auto pause = [](io::Loop& l, int times) -> io::Task<void> {
            for (int i = 0; i < times; i++) co_await l.yield();
        };
        loop->run(pause(*loop, n));
    }
};

inline void step(World& world, monitor::QtestCommands& q, const u8* d) {
    const Scene& s = world.scene;
    devices::Machine& machine = world.board->machine();
    u16 offset, value;
    std::memcpy(&offset, d + 2, 2);
    std::memcpy(&value, d + 4, 2);
    const u64 place = s.places[d[1] % s.places.size()];
    const u64 address = place + offset, wide = u64(value) << (d[6] % 49);
    const char letter = "bwlq"[d[7] % 4];
    switch (d[0] % 16) {
    case 0:
    case 1:
    case 2: q.run(fmt::format("write{} {:#x} {:#x}", letter, address, wide)); break;
    case 3: q.run(fmt::format("read{} {:#x}", letter, address)); break;
    case 4: q.run(fmt::format("read {:#x} {}", address, value % 512 + 1)); break;
    case 5: q.run(fmt::format("clock_step {}", wide & 0xffffffff)); break;
    case 6: q.run(fmt::format("set_irq_in {} x {} {}", s.inputs, offset, d[6] & 1)); break;
    case 7: q.run(fmt::format("memset {:#x} {} {}", address, value % 512, d[6])); break;
    case 8: { // the address of something, for DMA
        const u64 to = s.places[d[6] % s.places.size()] + value;
        q.run(fmt::format("write{} {:#x} {:#x}", letter, address, d[7] & 4 ? __builtin_bswap64(to) : to));
        break;
    }
    case 9: world.terminal->arrive({d + 1, 7}); break;
    case 10: world.second->arrive({d + 1, 7}); break;
    case 11: {
        u8 frame[64] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
        std::memcpy(frame + 6, d + 1, 7);
        world.wire->arrive({frame, 7u + d[1] % 57u});
        break;
    }
    case 12: world.turn(1 + d[1] % 8); break;
    case 13: // eight bytes side by side
        q.run(fmt::format("write {:#x} 6 0x{:02x}{:02x}{:02x}{:02x}{:02x}{:02x}", place + 8 * (d[0] / 16), d[2], d[3],
                          d[4], d[5], d[6], d[7]));
        break;
    case 14:
        if (d[1] % 8 == 0) machine.reset(devices::ResetKind(d[2] % 3));
        if (d[1] % 8 == 1) machine.load(machine.save()).ignore();
        break;
    case 15:
        if (s.other) s.other(world, {d + 1, 7});
        break;
    }
}

inline int run(std::span<const Scene> scenes, const u8* data, size_t size) {
    static std::vector<std::unique_ptr<World>> worlds(scenes.size());
    if (size < 1) return 0;
    std::unique_ptr<World>& at = worlds[data[0] % scenes.size()];
    if (!at) at = std::make_unique<World>(scenes[data[0] % scenes.size()]);
    World& world = *at;
    monitor::QtestCommands q(world.board->machine(), false, [](std::string_view) {});
    world.begin();
    auto good = [&](const std::string& line) {
        const std::string reply = q.run(line);
        MIMIC_CHECK(reply.starts_with("OK"), "a start command is understood");
        return reply;
    };
    good(fmt::format("irq_intercept_in {}", world.scene.inputs));
    for (const std::string& line : world.start) good(line);
    for (const auto& [line, value] : world.scene.started)
        MIMIC_CHECK(good(line) == fmt::format("OK 0x{:016x}", value), "a driver has come to where inputs begin");
    data++, size--;
    for (u32 n = 0; n < most_steps && (n + 1) * 8 <= size; n++) step(world, q, data + 8 * n);
    for (int i = 0; i < 1000 && world.board->machine().in_flight(); i++) world.turn(8);
    MIMIC_CHECK(world.board->machine().in_flight() == 0, "requests end");
    return 0;
}

// Parts of RAM where rings, tables and buffers lie.
inline std::vector<u64> with_ram(std::vector<u64> places, u64 ram) {
    for (u64 at :
         {u64{0}, u64{0x1000}, u64{0x1080}, u64{0x1100}, u64{0x2000}, u64{0x3000}, u64{0x4000}, ram_bytes - 16})
        places.push_back(ram + at);
    return places;
}

// The key of a file by its name, from the directory of the firmware configuration at `base`.
inline u16 fw_cfg_key(monitor::QtestCommands& q, u64 base, std::string_view name) {
    constexpr u64 file_dir = 0x19;
    auto number = [&](u32 bytes) {
        u64 value = 0;
        for (u32 i = 0; i < bytes; i++)
            value = value << 8 | std::strtoull(q.run(fmt::format("readb {:#x}", base)).c_str() + 3, nullptr, 16);
        return value;
    };
    q.run(fmt::format("writew {:#x} {:#x}", base + 8, file_dir << 8)); // big-endian
    for (u64 n = number(4); n; n--) {
        number(4);
        const u64 key = number(2);
        number(2);
        std::string text;
        for (u32 i = 0; i < 56; i++)
            if (const char c = char(number(1))) text += c;
        if (text == name) return u16(key);
    }
    check_failed(__FILE__, __LINE__, "there is no such file");
}

// Drivers of virtio devices, up to DRIVER_OK, as lines of QTest, with what shows that they have come there.
struct VirtioDriver {
    std::vector<std::string> lines;
    std::vector<std::pair<std::string, u64>> shows;
    void set(char letter, u64 at, u64 value) { lines.push_back(fmt::format("write{} {:#x} {:#x}", letter, at, value)); }
    void show(char letter, u64 at, u64 value) { shows.emplace_back(fmt::format("read{} {:#x}", letter, at), value); }
    void add(const VirtioDriver& other) {
        lines.insert(lines.end(), other.lines.begin(), other.lines.end());
        shows.insert(shows.end(), other.shows.begin(), other.shows.end());
    }
};

// By the modern interface: queues of eight entries at ram + 0x1000, 0x2000 and 0x3000.
struct VirtioRegisters {
    u64 common;
    u32 feature_select, features, status, select, size, area, enable;
    u32 narrow; // bytes of the narrower ones
};
constexpr u32 version_1 = 1, ring_packed = 4; // of the second word of features
inline VirtioDriver start_virtio(const VirtioRegisters& r, u64 ram, u32 low_features, u32 high_features = version_1) {
    VirtioDriver d;
    const char status = r.narrow == 4 ? 'l' : 'b', word = r.narrow == 4 ? 'l' : 'w';
    for (u32 value : {0u, 1u, 3u}) d.set(status, r.common + r.status, value);
    for (u32 half = 0; half < 2; half++) {
        d.set('l', r.common + r.feature_select, half);
        d.set('l', r.common + r.features, half ? high_features : low_features);
    }
    d.set(status, r.common + r.status, 11);
    for (u32 q = 0; q < 3; q++) {
        d.set(word, r.common + r.select, q);
        d.set(word, r.common + r.size, 8);
        const u64 at = ram + 0x1000 * u64{q + 1};
        const u64 areas[] = {at, at + 0x80, at + 0x100};
        const u32 stride = r.narrow == 4 ? 0x10 : 8;
        for (u32 i = 0; i < 3; i++) {
            d.set('l', r.common + r.area + stride * i, u32(areas[i]));
            d.set('l', r.common + r.area + stride * i + 4, areas[i] >> 32);
        }
        d.set(word, r.common + r.enable, 1);
    }
    d.set(status, r.common + r.status, 15);
    d.show(status, r.common + r.status, 15);
    return d;
}

} // namespace mimic::qtest_fuzz
