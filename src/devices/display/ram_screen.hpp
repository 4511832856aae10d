// A screen whose pixels lie in guest RAM, wherever the guest put them, for devices that scan it out: the surface, and which of
// its rows were written since they were last looked at, by the pages' flags of the RAM block. Pages are followed only while
// somebody looks again and again. A page is one screen's: two that show the same one, both watched, miss changes of each other.
#pragma once
#include "devices/base/machine.hpp"
#include "display/console.hpp"

namespace mimic::devices {

class RamScreen {
public:
    explicit RamScreen(const Device& device) : device_(device) {}
    struct Layout {
        u64 address = 0;
        u32 width = 0, height = 0, stride = 0; // stride: at least a row's bytes
        display::PixelFormat format;
    };
    // Where it lies; `nothing` if not all of it is RAM, side by side.
    memory::Place find(const Layout& layout) const;
    // In Source::refresh: shows it and says what was written. False: it is not in RAM, and nothing was done.
    bool refresh(display::Console& console, const Layout& layout);

private:
    const Device& device_;
};

} // namespace mimic::devices
