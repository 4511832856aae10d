// ramfb, set up as firmware does it, through QTest: the input is a row of steps that write parts of its file by DMA of the
// firmware configuration, write to RAM, take a picture or look for what changed. Nothing of it may end the process or reach
// memory that is not the guest's.
#include "app/system/qtest_fuzz.hpp"
#include "devices/types.hpp"
#include "display/picture.hpp"
#include "monitor/qtest.hpp"
#include <cstring>

using namespace mimic;

namespace {

constexpr u64 ram = 0x80000000, ram_bytes = 1 << 16, descriptor = ram + 0x100, config = ram + 0x200;
constexpr u64 fw_cfg = 0x10100000, fw_cfg_dma = fw_cfg + 0x10;

struct Window final : display::Listener {
    u64 pixels = 0;
    void surface_changed(display::Console&) override {}
    void updated(display::Console& c, std::span<const display::Rect> parts) override {
        for (const display::Rect& r : parts) {
            MIMIC_CHECK(c.surface().whole().contains(r), "what was drawn lies on the screen");
            const display::Rect corner{r.x, r.y, 1, 1};
            u8 rgb[3];
            display::convert(c.surface(), corner, display::rgb888, rgb);
            pixels += rgb[0] + r.width;
        }
    }
};

struct World {
    std::unique_ptr<machines::Board> board;
    Window window;
    u16 file = 0; // key of the display's
    World() {
        const machines::BoardType* type = *machines::find_board("riscv64", "virt");
        machines::BoardOptions o;
        o.ram_bytes = ram_bytes;
        o.ram.backing = memory::RamBlock::Backing::anonymous;
        o.accelerator = "qtest";
        o.machine.manual_clock = true;
        o.machine.random_seed = 1;
        o.machine.types = devices::types();
        board = type->make(o);
        MIMIC_CHECK(board->build(), "the board cannot be made");
        MIMIC_CHECK(board->machine().create("ramfb", "fb"), "the display cannot be made");
        MIMIC_CHECK(board->reset(devices::ResetKind::power_on), "the board cannot be reset");
        board->start();
        monitor::QtestCommands q(board->machine(), false, [](std::string_view) {});
        file = qtest_fuzz::fw_cfg_key(q, fw_cfg, "etc/ramfb");
    }
    ~World() { board.reset(); }
};

std::string hex(std::span<const u8> bytes) {
    std::string out = "0x";
    for (u8 b : bytes) out += fmt::format("{:02x}", b);
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    static World world;
    devices::Machine& machine = world.board->machine();
    display::Console& console = *machine.consoles().find(0);
    monitor::QtestCommands q(machine, false, [](std::string_view) {});
    machine.reset(devices::ResetKind::cold);
    console.attach(world.window);
    std::span<const u8> in(data, size);
    auto take = [&](size_t n) {
        std::span<const u8> part = in.first(std::min(n, in.size()));
        in = in.subspan(part.size());
        return part;
    };
    constexpr u32 select = 8, skip = 4, write = 16;
    const u32 file = world.file;
    auto dma = [&](u32 control, u32 bytes, u64 address) {
        u32 words[4] = {__builtin_bswap32(control), __builtin_bswap32(bytes), __builtin_bswap32(u32(address >> 32)),
                        __builtin_bswap32(u32(address))};
        q.run(fmt::format("write {:#x} 16 {}", descriptor, hex({reinterpret_cast<const u8*>(words), sizeof words})));
        q.run(fmt::format("writeq {:#x} {:#x}", fw_cfg_dma, __builtin_bswap64(descriptor)));
    };
    for (u32 steps = 0; steps < 64 && !in.empty(); steps++) {
        const u8 op = take(1)[0];
        switch (op & 7) {
        case 0:
        case 1: { // the whole file, its address near RAM
            std::vector<u8> bytes(28);
            auto from = take(28);
            std::copy(from.begin(), from.end(), bytes.begin());
            if (op & 8) std::fill_n(bytes.begin(), 4, u8(0));
            if (op & 16) bytes[4] = 0x80, bytes[5] = 0;
            if (op & 32) std::memcpy(&bytes[8], "42RX", 4); // as it is in memory
            if (op & 64) bytes[16] = bytes[17] = bytes[20] = bytes[21] = bytes[24] = bytes[25] = 0;
            q.run(fmt::format("write {:#x} 28 {}", config, hex(bytes)));
            dma(file << 16 | select | write, 28, config);
            break;
        }
        case 2: { // a part of it
            auto from = take(1 + op / 16);
            if (from.empty()) break;
            q.run(fmt::format("write {:#x} {} {}", config, from.size(), hex(from)));
            dma(file << 16 | select | skip, op / 8, 0);
            dma(write, u32(from.size()), config);
            break;
        }
        case 3: q.run(fmt::format("memset {:#x} {} {}", ram + u64{op} * 256, 300, op)); break;
        case 4: console.refresh(); break;
        case 5: { // a picture of what is small
            const display::Surface& s = console.surface();
            if (s.bytes() < (1 << 16)) display::take_picture(console);
            break;
        }
        case 6: machine.reset(devices::ResetKind(op / 8 % 3)); break;
        default: console.refresh(); break;
        }
    }
    console.refresh();
    console.detach(world.window);
    return 0;
}
