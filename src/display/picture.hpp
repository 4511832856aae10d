// Picture: a copy of a screen, and the files it is written as: PPM (netpbm's ppm(5), "raw") and PNG (W3C, second edition).
#pragma once
#include "base/result.hpp"
#include "display/console.hpp"
#include <functional>

namespace mimic::display {

struct Picture {
    u32 width = 0, height = 0;
    std::vector<u8> rgb; // red, green, blue, row after row
};

// What the console shows now; nothing (0 x 0) if it has no surface. On the loop's thread.
Picture take_picture(Console& console);

using Sink = std::function<Result<void>(std::span<const u8>)>;
Result<void> write_ppm(const Picture& picture, const Sink& sink);
Result<void> write_png(const Picture& picture, const Sink& sink);

} // namespace mimic::display
