// ramfb: a display whose frame the guest keeps in its RAM; it says where by writing the file etc/ramfb of the firmware
// configuration: u64 address, then u32 fourcc, flags, width, height, stride, all big-endian.
// Source: the file as firmware (EDK2's QemuRamfbDxe) writes it; pixel formats: the kernel's documentation of DRM formats
// (fourcc codes name the channels of a little-endian value from its highest bit down). Flags have no meaning yet.
// Formats with palettes or several planes are not there.
#include "base/trace.hpp"
#include "devices/display/ram_screen.hpp"
#include "devices/misc/fw_cfg.hpp"
#include <algorithm>
#include <optional>

namespace mimic::devices {
namespace {

using display::PixelFormat;

constexpr u32 fourcc(const char (&name)[5]) {
    return u32{u8(name[0])} | u32{u8(name[1])} << 8 | u32{u8(name[2])} << 16 | u32{u8(name[3])} << 24;
}
constexpr u32 big_endian = u32{1} << 31; // DRM_FORMAT_BIG_ENDIAN

struct Format {
    u32 code;
    PixelFormat pixels;
};
constexpr Format formats[] = {
    {fourcc("RG16"), {2, {11, 5}, {5, 6}, {0, 5}, {}}},
    {fourcc("BG16"), {2, {0, 5}, {5, 6}, {11, 5}, {}}},
    {fourcc("XR15"), {2, {10, 5}, {5, 5}, {0, 5}, {}}},
    {fourcc("XB15"), {2, {0, 5}, {5, 5}, {10, 5}, {}}},
    {fourcc("AR15"), {2, {10, 5}, {5, 5}, {0, 5}, {15, 1}}},
    {fourcc("AB15"), {2, {0, 5}, {5, 5}, {10, 5}, {15, 1}}},
    {fourcc("RG24"), {3, {16, 8}, {8, 8}, {0, 8}, {}}},
    {fourcc("BG24"), {3, {0, 8}, {8, 8}, {16, 8}, {}}},
    {fourcc("XR24"), {4, {16, 8}, {8, 8}, {0, 8}, {}}},
    {fourcc("XB24"), {4, {0, 8}, {8, 8}, {16, 8}, {}}},
    {fourcc("RX24"), {4, {24, 8}, {16, 8}, {8, 8}, {}}},
    {fourcc("BX24"), {4, {8, 8}, {16, 8}, {24, 8}, {}}},
    {fourcc("AR24"), {4, {16, 8}, {8, 8}, {0, 8}, {24, 8}}},
    {fourcc("AB24"), {4, {0, 8}, {8, 8}, {16, 8}, {24, 8}}},
    {fourcc("RA24"), {4, {24, 8}, {16, 8}, {8, 8}, {0, 8}}},
    {fourcc("BA24"), {4, {8, 8}, {16, 8}, {24, 8}, {0, 8}}},
    {fourcc("XR30"), {4, {20, 10}, {10, 10}, {0, 10}, {}}},
    {fourcc("XB30"), {4, {0, 10}, {10, 10}, {20, 10}, {}}},
    {fourcc("AR30"), {4, {20, 10}, {10, 10}, {0, 10}, {30, 2}}},
    {fourcc("AB30"), {4, {0, 10}, {10, 10}, {20, 10}, {30, 2}}},
};

// What is shown before the guest says where its frame is.
constexpr u32 blank_width = 640, blank_height = 480;

class Ramfb final : public Device, public FwCfgFile, public display::Source {
public:
    std::string_view type() const override { return "ramfb"; }
    void describe(Describe& d) override {
        d.state("config", config_);
        if (auto layout = read_config()) {
            d.derived("address", layout->address);
            d.derived("width", layout->width);
            d.derived("height", layout->height);
            d.derived("stride", layout->stride);
        }
    }
    Result<void> realize() override;
    void unrealize() override {
        if (console_) machine().consoles().remove(*console_);
        if (fw_cfg_) fw_cfg_->remove_file(*this);
    }

    std::span<u8> fw_cfg_bytes() override { return config_; }
    void fw_cfg_written() override;

    void refresh(display::Console& console) override {
        std::optional<RamScreen::Layout> layout;
        {
            Context::Entry entry(context());
            layout = read_config();
        }
        if (!layout || !screen_.refresh(console, *layout)) console.show(blank_);
    }

private:
    static constexpr size_t config_bytes = 28;
    u64 field(size_t at, size_t bytes) const {
        u64 v = 0;
        for (size_t i = 0; i < bytes; i++) v = v << 8 | config_[at + i];
        return v;
    }
    u32 code() const { return u32(field(8, 4)); }
    // Nothing: it cannot be shown, or the guest has said nothing yet.
    std::optional<RamScreen::Layout> read_config() const;

    std::array<u8, config_bytes> config_{};
    FwCfg* fw_cfg_ = nullptr;
    display::Console* console_ = nullptr;
    display::Surface blank_ = display::Surface::blank(blank_width, blank_height);
    RamScreen screen_{*this};
};

Result<void> Ramfb::realize() {
    machine().each([&](Device& d) {
        if (auto* found = dynamic_cast<FwCfg*>(&d)) fw_cfg_ = found;
    });
    if (!fw_cfg_ || !fw_cfg_->takes_writes()) {
        fw_cfg_ = nullptr;
        return Error::unsupported("this machine has no firmware configuration device with DMA, expected one");
    }
    auto added = fw_cfg_->add_file("etc/ramfb", *this);
    if (!added) {
        fw_cfg_ = nullptr;
        return added;
    }
    console_ = &machine().consoles().add(*this, id());
    return {};
}

std::optional<RamScreen::Layout> Ramfb::read_config() const {
    auto it = std::find_if(std::begin(formats), std::end(formats),
                           [&](const Format& f) { return f.code == (code() & ~big_endian); });
    if (it == std::end(formats)) return {};
    RamScreen::Layout l{field(0, 8), u32(field(16, 4)), u32(field(20, 4)), u32(field(24, 4)), it->pixels};
    l.format.big_endian = code() & big_endian;
    if (!l.width || !l.height || l.width > display::max_side || l.height > display::max_side) return {};
    const u32 row = l.width * l.format.bytes;
    if (!l.stride) l.stride = row;
    if (l.stride < row) return {};
    return l;
}

void Ramfb::fw_cfg_written() {
    auto layout = read_config();
    if (layout && screen_.find(*layout).kind != memory::Place::Kind::nothing) return;
    trace::guest_error(id(), "a frame of {} x {}, format {:#x}, stride {} at {:#x} cannot be shown", field(16, 4),
                       field(20, 4), code(), field(24, 4), field(0, 8));
}

} // namespace

MIMIC_DEVICE(ramfb) = {.name = "ramfb",
                       .bus = "system",
                       .summary = "display whose frame is in RAM, set up through the firmware configuration",
                       .make = make_device<Ramfb>,
                       .user = true};

} // namespace mimic::devices
