#include "machines/boot/arm64.hpp"
#include <algorithm>
#include <cstring>
#include <zlib.h>

namespace mimic::machines {

namespace {
constexpr u64 header_bytes = 64;
constexpr u32 magic = 0x644d5241; // "ARM\x64"

u64 number(std::span<const u8> bytes, size_t at, u32 n) {
    u64 v = 0;
    for (u32 i = 0; i < n; i++) v |= u64{bytes[at + i]} << (8 * i);
    return v;
}
} // namespace

bool is_arm64_image(std::span<const u8> bytes) { return bytes.size() >= header_bytes && number(bytes, 56, 4) == magic; }

Result<Arm64Image> parse_arm64_image(std::span<const u8> bytes) {
    if (!is_arm64_image(bytes)) return Error::corrupt("no arm64 Image header");
    Arm64Image image{number(bytes, 8, 8), number(bytes, 16, 8)};
    u64 flags = number(bytes, 24, 8);
    if (image.image_size == 0) {
        image.text_offset = 0x80000; // kernels before 3.17
        flags = 0;
    }
    if (flags & 1) return Error::unsupported("an Image of a big-endian kernel");
    constexpr u64 alignment = 2 << 20;
    if (image.text_offset >= alignment)
        return Error::corrupt("text_offset {:#x}, expected less than {:#x}", image.text_offset, alignment);
    image.image_size = std::max<u64>(image.image_size, bytes.size());
    return image;
}

bool is_gzip(std::span<const u8> bytes) { return bytes.size() > 18 && bytes[0] == 0x1f && bytes[1] == 0x8b; }

Result<std::vector<u8>> gunzip(std::span<const u8> bytes, u64 limit) {
    z_stream z{};
    constexpr int gzip_window = 15 + 16;
    if (inflateInit2(&z, gzip_window) != Z_OK) return Error::no_space("no memory to unpack with");
    std::vector<u8> out;
    constexpr u64 step = 4 << 20;
    int result = Z_OK;
    u64 in = 0, done = 0;
    while (result == Z_OK || result == Z_BUF_ERROR) {
        if (done >= limit) break;
        out.resize(std::min(limit, done + step));
        u64 feed = std::min<u64>(bytes.size() - in, step);
        z.next_in = const_cast<u8*>(bytes.data() + in);
        z.avail_in = u32(feed);
        z.next_out = out.data() + done;
        z.avail_out = u32(out.size() - done);
        result = inflate(&z, Z_NO_FLUSH);
        u64 taken = feed - z.avail_in, made = out.size() - done - z.avail_out;
        in += taken;
        done += made;
        if (!taken && !made && result != Z_STREAM_END) break; // cut off
    }
    inflateEnd(&z);
    if (result != Z_STREAM_END && done >= limit)
        return Error::no_space("more than {} bytes when it is unpacked", limit);
    if (result != Z_STREAM_END) return Error::corrupt("the gzip data are damaged or cut off");
    out.resize(done);
    return out;
}

} // namespace mimic::machines
