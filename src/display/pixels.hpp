// Pixels: formats by description, rectangles, and surfaces, which are pixels somewhere in host memory.
#pragma once
#include "base/types.hpp"
#include <memory>
#include <span>

namespace mimic::display {

// Of a surface's sides, in pixels. Who takes one from a guest checks it.
inline constexpr u32 max_side = 8192;

// A channel of a pixel's value: its lowest bit and how many there are, at most 10.
struct Channel {
    u8 shift = 0, bits = 0;
    bool operator==(const Channel&) const = default;
};

struct PixelFormat {
    u8 bytes = 4;                    // of a pixel, 1 to 4
    Channel red, green, blue, alpha; // of its value
    bool big_endian = false;         // the value's order in memory
    bool operator==(const PixelFormat&) const = default;
};
inline constexpr PixelFormat xrgb8888{4, {16, 8}, {8, 8}, {0, 8}, {}};
inline constexpr PixelFormat rgb888{3, {0, 8}, {8, 8}, {16, 8}, {}}; // red, green and blue bytes in this order

struct Rect {
    u32 x = 0, y = 0, width = 0, height = 0;
    bool operator==(const Rect&) const = default;
    bool empty() const { return !width || !height; }
    u32 right() const { return x + width; }
    u32 bottom() const { return y + height; }
    bool contains(const Rect& r) const {
        return r.x >= x && r.y >= y && r.right() <= right() && r.bottom() <= bottom();
    }
};
Rect united(const Rect& a, const Rect& b);
Rect intersected(const Rect& a, const Rect& b);

// Row y begins at pixels + y * stride. Whoever writes the pixels (a device, the guest itself) may do so at any time; readers
// get what is there.
struct Surface {
    u32 width = 0, height = 0, stride = 0;
    PixelFormat format;
    const u8* pixels = nullptr;
    std::shared_ptr<const void> keeps; // what the pixels live in; null: somebody else sees to that

    bool operator==(const Surface&) const = default;
    Rect whole() const { return {0, 0, width, height}; }
    const u8* row(u32 y) const { return pixels + u64{y} * stride; }
    // From the first pixel to the last one's end.
    u64 bytes() const { return height ? u64{stride} * (height - 1) + u64{width} * format.bytes : 0; }
    // A black one that keeps its pixels.
    static Surface blank(u32 width, u32 height);
};

// Writes the pixels of a rectangle, which lies inside, in another format, row after row without gaps. Channels become wider by
// repeating their bits and narrower by losing the low ones; an alpha channel that `from` has not is opaque.
void convert(const Surface& from, const Rect& what, const PixelFormat& to, std::span<u8> out);

} // namespace mimic::display
