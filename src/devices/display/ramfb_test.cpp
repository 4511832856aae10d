// ramfb, set up as firmware does it: through the firmware configuration's DMA.
#include "devices/base/machine.hpp"
#include "devices/misc/fw_cfg.hpp"
#include "devices/types.hpp"
#include "display/picture.hpp"
#include <cstring>
#include <gtest/gtest.h>

namespace mimic::devices {
namespace {

using display::Rect;

constexpr u64 ram_base = 0x80000000, ram_size = 1 << 20, frame = ram_base + 0x10000 + 64;
constexpr u64 descriptor = ram_base + 0x100, config = ram_base + 0x200, directory = ram_base + 0x1000;

constexpr u32 code(const char (&name)[5]) {
    return u32{u8(name[0])} | u32{u8(name[1])} << 8 | u32{u8(name[2])} << 16 | u32{u8(name[3])} << 24;
}

struct Config {
    u64 address = frame;
    u32 format = code("XR24"), flags = 0, width = 4, height = 3, stride = 16;
};

struct Rig {
    Machine machine{{.manual_clock = true, .random_seed = 1, .types = types()}};
    std::unique_ptr<memory::RamBlock> block =
        std::move(*memory::RamBlock::create("ram", ram_size, {.backing = memory::RamBlock::Backing::anonymous}));
    memory::Region ram{"ram", *block, 0, ram_size, false};
    u32 settled = 0;
    Rig() {
        machine.system().add(ram, ram_base);
        Device* fw = *machine.create("fw_cfg_mem", "fwcfg");
        machine.mount(*fw, 2, 0);
        EXPECT_TRUE(machine.create("ramfb", "fb"));
        machine.on_settle_writes = [this] { settled++; };
        machine.reset(ResetKind::power_on);
        machine.set_running(true);
    }
    ~Rig() { machine.system().remove(ram); }
    display::Console& console() { return *machine.consoles().find(0); }
    u8* at(u64 address) { return block->host() + (address - ram_base); }
    template <class T>
    void put_be(u64 address, T value) {
        for (size_t i = 0; i < sizeof value; i++) *at(address + i) = u8(value >> 8 * (sizeof value - 1 - i));
    }
    // True: no error.
    bool dma(u32 control, u32 bytes, u64 address) {
        put_be<u32>(descriptor, control);
        put_be<u32>(descriptor + 4, bytes);
        put_be<u64>(descriptor + 8, address);
        EXPECT_EQ(machine.memory().write_value(0, 8, __builtin_bswap64(descriptor), {}), memory::Outcome::ok);
        return *at(descriptor + 3) == 0;
    }
    // As the directory has it.
    u32 key() {
        EXPECT_TRUE(dma(fw_cfg_key::file_dir << 16 | 8 | 2, 68, directory));
        EXPECT_EQ(std::string(reinterpret_cast<char*>(at(directory + 12))), "etc/ramfb");
        EXPECT_EQ(*at(directory + 7), 28);
        return u32{*at(directory + 8)} << 8 | *at(directory + 9);
    }
    bool write(const Config& c, u32 bytes = 28) {
        put_be<u64>(config, c.address);
        put_be<u32>(config + 8, c.format);
        put_be<u32>(config + 12, c.flags);
        put_be<u32>(config + 16, c.width);
        put_be<u32>(config + 20, c.height);
        put_be<u32>(config + 24, c.stride);
        return dma(key() << 16 | 8 | 16, bytes, config);
    }
    display::Picture picture() { return display::take_picture(console()); }
    bool blank() {
        const display::Picture p = picture();
        return p.width == 640 && p.height == 480 && p.rgb == std::vector<u8>(p.rgb.size());
    }
};

struct Window : display::Listener {
    std::vector<Rect> seen;
    void surface_changed(display::Console&) override {}
    void updated(display::Console&, std::span<const Rect> parts) override {
        seen.insert(seen.end(), parts.begin(), parts.end());
    }
};

TEST(Ramfb, ShowsWhatTheGuestSetUp) {
    Rig r;
    EXPECT_TRUE(r.blank());
    std::memcpy(r.at(frame), "\x33\x22\x11\0", 4);
    std::memcpy(r.at(frame + 2 * 16 + 12), "\x66\x55\x44\0", 4);
    ASSERT_TRUE(r.write({}));
    display::Picture p = r.picture();
    ASSERT_EQ(p.width, 4u);
    ASSERT_EQ(p.height, 3u);
    EXPECT_EQ(std::vector<u8>(p.rgb.begin(), p.rgb.begin() + 6), (std::vector<u8>{0x11, 0x22, 0x33, 0, 0, 0}));
    EXPECT_EQ(std::vector<u8>(p.rgb.end() - 3, p.rgb.end()), (std::vector<u8>{0x44, 0x55, 0x66}));
    ASSERT_TRUE(r.write({.format = code("XB24"), .width = 1, .height = 1, .stride = 0}));
    EXPECT_EQ(r.picture().rgb, (std::vector<u8>{0x33, 0x22, 0x11}));
    ASSERT_TRUE(r.write({.format = code("RG24"), .width = 1, .height = 1}));
    EXPECT_EQ(r.picture().rgb, (std::vector<u8>{0x11, 0x22, 0x33}));
    ASSERT_TRUE(r.write({.format = code("RG16") | 1u << 31, .width = 1, .height = 1}));
    EXPECT_EQ(r.picture().rgb, (std::vector<u8>{0x31, 0x65, 0x10})); // 0x3322
    r.machine.reset(ResetKind::warm);
    EXPECT_TRUE(r.blank());
}

TEST(Ramfb, FileIsReadBackAndTakesPartsAtATime) {
    Rig r;
    ASSERT_TRUE(r.write({}));
    EXPECT_TRUE(r.dma(r.key() << 16 | 8 | 2, 28, directory));
    EXPECT_EQ(std::memcmp(r.at(directory), r.at(config), 28), 0);
    // The width alone: skip 16, write 4.
    r.put_be<u32>(config, 2);
    EXPECT_TRUE(r.dma(r.key() << 16 | 8 | 4, 16, 0));
    EXPECT_TRUE(r.dma(16, 4, config));
    EXPECT_EQ(r.picture().width, 2u);
}

TEST(Ramfb, WhatCannotBeShownIsBlack) {
    const Config bad[] = {{.address = ram_base + ram_size - 47},
                          {.address = 0x10},
                          {.address = ~u64{0} - 8},
                          {.format = code("YUYV")},
                          {.width = 0},
                          {.height = 0},
                          {.width = 8193, .stride = 1 << 16},
                          {.height = ~u32{0}, .stride = ~u32{0}},
                          {.stride = 15},
                          {.stride = 1 << 20}};
    for (const Config& c : bad) {
        Rig r;
        EXPECT_TRUE(r.write(c));
        EXPECT_TRUE(r.blank()) << c.address << " " << c.width << " " << c.height << " " << c.stride;
    }
    Rig r;
    EXPECT_TRUE(r.write({.address = ram_base + ram_size - 48}));
    EXPECT_FALSE(r.blank()) << "up to the last byte";
    r.machine.system().remove(r.ram);
    EXPECT_TRUE(r.blank()) << "the memory is gone";
    r.machine.system().add(r.ram, ram_base);
    EXPECT_FALSE(r.blank());
}

TEST(Ramfb, WritesThatDoNotFitAreRefused) {
    Rig r;
    ASSERT_TRUE(r.write({}));
    EXPECT_FALSE(r.write({.width = 2}, 29)) << "longer than the file";
    EXPECT_FALSE(r.dma(r.key() << 16 | 8 | 16, 28, 0x1000)) << "from nowhere";
    EXPECT_EQ(r.picture().width, 4u);
    EXPECT_FALSE(r.dma(fw_cfg_key::signature << 16 | 8 | 16, 4, config)) << "an item that is read-only";
    EXPECT_FALSE(r.dma(0x3fff << 16 | 8 | 16, 4, config)) << "none";
}

TEST(Ramfb, AWindowHearsOfRowsThatWereWritten) {
    Rig r;
    constexpr u32 stride = 1024, rows = 64; // four rows a page, the first one begins 64 bytes into one
    ASSERT_TRUE(r.write({.width = 256, .height = rows, .stride = stride}));
    Window w;
    r.console().attach(w);
    r.console().refresh();
    EXPECT_EQ(w.seen, (std::vector<Rect>{{0, 0, 256, rows}}));
    w.seen.clear();
    const u32 settled = r.settled;
    r.console().refresh();
    EXPECT_TRUE(w.seen.empty());
    EXPECT_EQ(r.settled, settled) << "processors are not disturbed when nothing was written";
    EXPECT_EQ(r.machine.memory().write_value(frame + 10 * stride, 4, 7, {}), memory::Outcome::ok);
    r.console().refresh();
    // Its page has the end of row 7 and the beginning of row 11.
    EXPECT_EQ(w.seen, (std::vector<Rect>{{0, 7, 256, 5}}));
    EXPECT_EQ(r.settled, settled + 1);
    w.seen.clear();
    r.console().refresh();
    EXPECT_TRUE(w.seen.empty());
    r.console().detach(w);
    EXPECT_EQ(r.machine.memory().write_value(frame, 4, 7, {}), memory::Outcome::ok);
    r.picture();
    EXPECT_EQ(r.settled, settled + 1) << "one picture follows nothing";
}

TEST(Ramfb, IsSaved) {
    Rig a, b;
    ASSERT_TRUE(a.write({}));
    ASSERT_TRUE(b.machine.load(a.machine.save()));
    EXPECT_EQ(b.picture().width, 4u);
}

TEST(Ramfb, NeedsAFirmwareConfigurationThatIsWritten) {
    Machine machine{{.manual_clock = true, .types = types()}};
    auto made = machine.create("ramfb", "fb");
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().message(),
              "ramfb: this machine has no firmware configuration device with DMA, expected one");
    EXPECT_TRUE(machine.create("fw_cfg_mem", "fwcfg", {{"dma_enabled", "off"}}));
    EXPECT_FALSE(machine.create("ramfb", "fb"));
    EXPECT_TRUE(machine.consoles().all().empty());
}

} // namespace
} // namespace mimic::devices
