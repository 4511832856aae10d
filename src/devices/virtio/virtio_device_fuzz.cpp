// Hostile drivers: the input picks a device, fills guest memory (where rings lie already) and then writes registers, rings and
// notifications, lets time pass and the host's side act. Nothing of it may end the process or go on for ever.
#include "base/trace.hpp"
#include "block/graph.hpp"
#include "block/protocols/memory.hpp"
#include "devices/virtio/driver.hpp"

using namespace mimic;
using namespace mimic::devices;
using namespace mimic::devices::virtio::driver;

namespace {

struct Wire final : net::BackEnd {
    explicit Wire(io::Loop& loop) : net::BackEnd(loop, "n0") {}
    std::string_view kind() const override { return "fuzz"; }
    std::string info() const override { return ""; }
    u32 queues() const override { return 2; }
    void transmit(std::span<const u8> f) override { deliver(f); }
    void arrive(std::span<const u8> f) { deliver(f); }
};

struct Pipe final : chardev::Chardev {
    Pipe() : Chardev("c0") {}
    std::string filename() const override { return "fuzz"; }
    u32 write(std::span<const u8> bytes) override { return u32(bytes.size() / 2); }
    void arrive(std::span<const u8> bytes) {
        if (front()) front()->receive(bytes.first(std::min<size_t>(bytes.size(), front()->room())));
    }
    void writable() {
        if (front()) front()->writable();
    }
};

struct World {
    std::shared_ptr<block::MemoryImage> image = std::make_shared<block::MemoryImage>();
    std::unique_ptr<block::Context> context;
    Wire* wire = nullptr;
    Pipe* pipe = nullptr;
    Rig rig;
    static PropertyList properties(u8 kind, bool packed) {
        PropertyList p = {{"packed", packed ? "on" : "off"}};
        if (kind == 0) p.insert(p.end(), {{"drive", "d0"}, {"num-queues", "2"}});
        if (kind == 6) p.emplace_back("free-page-reporting", "on");
        if (kind == 1) p.insert(p.end(), {{"netdev", "n0"}, {"mq", "on"}});
        return p;
    }
    static std::string_view type(u8 kind) {
        constexpr std::string_view types[] = {"virtio-blk-device",    "virtio-net-device",      "virtio-rng-device",
                                              "virtio-serial-device", "virtio-keyboard-device", "virtio-tablet-device",
                                              "virtio-balloon-device"};
        return types[kind];
    }
    World(u8 kind, bool legacy, bool packed)
        : rig(type(kind), properties(kind, packed),
              {.legacy = legacy, .back_ends = [this](Machine& m, io::Loop& loop) {
                   image->size = 65536;
                   context.reset(new block::Context{.loop = loop});
                   auto node = block::make_memory_node(*context, image);
                   m.drives["d0"] = {*block::Root::attach(node, "d0", 0, block::perm::all), false};
                   auto w = std::make_unique<Wire>(loop);
                   wire = w.get();
                   m.nets["n0"].peer = std::move(w);
                   auto p = std::make_unique<Pipe>();
                   pipe = p.get();
                   m.add_chardev(std::move(p));
               }}) {
        rig.machine.ram_bytes = ram_size;
        if (kind == 3) static_cast<void>(rig.machine.create("virtconsole", "port0", {{"chardev", "c0"}}, rig.device));
    }
    void turn() {
        auto pause = [](io::Loop& l) -> io::Task<void> {
            for (int i = 0; i < 8; i++) co_await l.yield();
        };
        rig.loop->run(pause(*rig.loop));
    }
};

// Operations of a driver, as long as the input lasts.
class Driver {
public:
    Driver(World& world, std::span<const u8> in) : w_(world), in_(in) {}
    void run() {
        for (int steps = 0; steps < 200 && !in_.empty(); steps++) step();
    }

private:
    u8 byte() {
        if (in_.empty()) return 0;
        u8 b = in_[0];
        in_ = in_.subspan(1);
        return b;
    }
    u32 word() { return u32{byte()} | u32{byte()} << 8 | u32{byte()} << 16 | u32{byte()} << 24; }
    void step() {
        u8 op = byte();
        switch (op & 7) {
        case 0: return w_.rig.set(u32{byte()} * 4 % 0x200, word());
        case 1: return w_.rig.set(VIRTIO_MMIO_QUEUE_NOTIFY, op >> 4);
        case 2: // guest memory near the rings
            w_.rig.put<u16>(ram_base + 0x1000 + 2 * (u64{byte()} | u64{byte()} << 8), u16(word()));
            return;
        case 3: return w_.turn();
        case 4: return w_.rig.machine.advance(1000000);
        case 5: { // the host's side
            u64 n = std::min<size_t>(byte(), in_.size());
            w_.wire->arrive(in_.first(n));
            w_.pipe->arrive(in_.first(n));
            w_.pipe->writable();
            for (size_t i = 0; i + 1 < n; i += 2) input(in_[i], in_[i + 1]);
            sync();
            return;
        }
        case 6: return static_cast<void>(w_.rig.get(u32{byte()} * 2, op & 8 ? 4 : 1));
        default: return w_.rig.set(0x100 + byte(), byte(), 1);
        }
    }
    void input(u8 what, u8 value) {
        Context::Entry entry(w_.rig.machine.root().context());
        display::InputRouter& router = w_.rig.machine.input().router();
        const bool down = value & 1;
        switch (what & 3) {
        case 0:
            router.send(nullptr, display::key_event(display::keys()[value % display::keys().size()], what & 4));
            return;
        case 1: router.send(nullptr, display::button_event(display::Button(value / 2 % 10), down)); return;
        case 2: router.send(nullptr, display::relative_event(display::Axis(down), i8(value))); return;
        default: router.send(nullptr, display::absolute_event(display::Axis(down), value << 7)); return;
        }
    }
    void sync() {
        Context::Entry entry(w_.rig.machine.root().context());
        w_.rig.machine.input().router().sync();
    }
    World& w_;
    std::span<const u8> in_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    if (size < 8 || size > 16384) return 0;
    bool legacy = data[0] & 4, packed = data[0] & 8, start = data[0] & 16;
    const u8 kind = data[0] & 32 ? u8(4 + (data[0] & 3) % 3) : u8(data[0] & 3);
    World world(kind, legacy, packed);
    Rig& r = world.rig;
    if (!r.error.empty()) return 0;
    size_t memory = std::min<size_t>(size - 2, u64{data[1]} * 64);
    if (start) {
        r.negotiate(r.offered(), legacy);
        for (u32 i = 0; i < 5; i++) DriverQueue q(r, i, {.packed = packed, .legacy = legacy, .size = 8});
        r.driver_ok();
    }
    std::copy(data + 2, data + 2 + memory, r.at(ram_base + 0x1000));
    Driver(world, {data + 2 + memory, size - 2 - memory}).run();
    return 0;
}
