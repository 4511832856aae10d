#include "display/pixels.hpp"
#include "base/check.hpp"
#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

namespace mimic::display {

Rect united(const Rect& a, const Rect& b) {
    if (a.empty()) return b;
    if (b.empty()) return a;
    const u32 x = std::min(a.x, b.x), y = std::min(a.y, b.y);
    return {x, y, std::max(a.right(), b.right()) - x, std::max(a.bottom(), b.bottom()) - y};
}

Rect intersected(const Rect& a, const Rect& b) {
    const u32 x = std::max(a.x, b.x), y = std::max(a.y, b.y);
    const u32 right = std::min(a.right(), b.right()), bottom = std::min(a.bottom(), b.bottom());
    return right > x && bottom > y ? Rect{x, y, right - x, bottom - y} : Rect{};
}

Surface Surface::blank(u32 width, u32 height) {
    auto memory = std::make_shared<std::vector<u8>>(u64{width} * height * xrgb8888.bytes);
    return {width, height, width * xrgb8888.bytes, xrgb8888, memory->data(), memory};
}

namespace {

u32 scale(u32 value, u32 from, u32 to) {
    if (to <= from) return value >> (from - to);
    u32 out = 0;
    for (int left = int(to); from && left > 0; left -= int(from))
        out |= left >= int(from) ? value << (left - int(from)) : value >> (int(from) - left);
    return out;
}

// One channel of a pixel's value and what it becomes.
class Scaler {
public:
    Scaler(Channel from, Channel to, bool opaque) : shift_(from.shift), mask_((1u << from.bits) - 1) {
        MIMIC_CHECK(from.bits <= 10 && to.bits <= 10, "a channel has at most 10 bits");
        for (u32 v = 0; v <= mask_; v++) becomes_[v] = scale(v, from.bits, to.bits) << to.shift;
        if (opaque && !from.bits) becomes_[0] = ((1u << to.bits) - 1) << to.shift;
    }
    u32 operator()(u32 pixel) const { return becomes_[pixel >> shift_ & mask_]; }

private:
    u32 shift_, mask_;
    std::array<u32, 1024> becomes_;
};

u32 load(const u8* at, const PixelFormat& f) {
    u32 value = 0;
    for (u32 i = 0; i < f.bytes; i++) value |= u32{at[i]} << 8 * (f.big_endian ? f.bytes - 1 - i : i);
    return value;
}
void store(u8* at, const PixelFormat& f, u32 value) {
    for (u32 i = 0; i < f.bytes; i++) at[i] = u8(value >> 8 * (f.big_endian ? f.bytes - 1 - i : i));
}

} // namespace

void convert(const Surface& from, const Rect& what, const PixelFormat& to, std::span<u8> out) {
    const u64 row_bytes = u64{what.width} * to.bytes;
    MIMIC_CHECK(from.whole().contains(what) && out.size() >= row_bytes * what.height,
                "pixels are converted from inside a surface to where there is room");
    const PixelFormat& f = from.format;
    u8* at = out.data();
    if (f == to) {
        for (u32 y = what.y; y < what.bottom(); y++, at += row_bytes)
            std::memcpy(at, from.row(y) + u64{what.x} * f.bytes, row_bytes);
        return;
    }
    const Scaler red(f.red, to.red, false), green(f.green, to.green, false), blue(f.blue, to.blue, false),
        alpha(f.alpha, to.alpha, true);
    for (u32 y = what.y; y < what.bottom(); y++) {
        const u8* pixel = from.row(y) + u64{what.x} * f.bytes;
        for (u32 x = 0; x < what.width; x++, pixel += f.bytes, at += to.bytes) {
            const u32 value = load(pixel, f);
            store(at, to, red(value) | green(value) | blue(value) | alpha(value));
        }
    }
}

} // namespace mimic::display
