#include "devices/display/ram_screen.hpp"

namespace mimic::devices {

namespace {

using memory::RamBlock;

display::Surface surface_of(const RamScreen::Layout& l) {
    return {l.width, l.height, l.stride, l.format, nullptr, nullptr};
}

// Runs of written pages as the rows that they have a part of. Flags are cleared first; processors forget their rights to write
// before anybody looks, so that what is written from then on is noted.
void report(display::Console& console, const Device& device, const memory::Place& place, const display::Surface& s) {
    struct Run {
        u64 from, to; // bytes from the first pixel on
    };
    std::vector<Run> runs;
    const u64 bytes = s.bytes(), first = place.offset / RamBlock::page_size * RamBlock::page_size;
    for (u64 page = first; page < place.offset + bytes; page += RamBlock::page_size) {
        if (!place.block->test_and_clear_dirty(page, RamBlock::display)) continue;
        const u64 from = page > place.offset ? page - place.offset : 0;
        const u64 to = std::min(bytes, page + RamBlock::page_size - place.offset);
        if (!runs.empty() && runs.back().to == from)
            runs.back().to = to;
        else
            runs.push_back({from, to});
    }
    if (runs.empty()) return;
    device.machine().settle_writes();
    for (const Run& r : runs) {
        const u32 top = u32(r.from / s.stride), bottom = u32((r.to - 1) / s.stride) + 1;
        console.damage({0, top, s.width, bottom - top});
    }
}

} // namespace

memory::Place RamScreen::find(const Layout& layout) const {
    memory::Place place = device_.memory().find(layout.address);
    const u64 bytes = surface_of(layout).bytes();
    if (place.kind != memory::Place::Kind::ram || bytes == 0 || place.left < bytes) return {};
    return place;
}

bool RamScreen::refresh(display::Console& console, const Layout& layout) {
    const memory::Place place = find(layout);
    if (place.kind == memory::Place::Kind::nothing) return false;
    display::Surface s = surface_of(layout);
    s.pixels = place.host();
    console.show(s);
    if (console.watched()) report(console, device_, place, s);
    return true;
}

} // namespace mimic::devices
