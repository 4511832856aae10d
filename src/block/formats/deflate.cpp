#include "block/formats/deflate.hpp"
#include <zlib.h>

namespace mimic::block {

namespace {
constexpr int write_window = -12, read_window = -15;

// A thread's packer: a quarter of a megabyte that would otherwise come and go with each cluster.
struct Deflate {
    z_stream z{};
    bool made = false;
    bool ready() {
        if (made) return deflateReset(&z) == Z_OK;
        made = deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, write_window, 9, Z_DEFAULT_STRATEGY) == Z_OK;
        return made;
    }
    ~Deflate() {
        if (made) deflateEnd(&z);
    }
};
} // namespace

size_t deflate_cluster(std::span<const u8> in, std::span<u8> out) {
    thread_local Deflate packer;
    if (!packer.ready()) return 0;
    z_stream& z = packer.z;
    z.next_in = const_cast<u8*>(in.data());
    z.avail_in = uInt(in.size());
    z.next_out = out.data();
    z.avail_out = uInt(out.size());
    int r = deflate(&z, Z_FINISH);
    size_t n = r == Z_STREAM_END ? out.size() - z.avail_out : 0;
    return n;
}

bool inflate_cluster(std::span<const u8> in, std::span<u8> out) {
    z_stream z{};
    if (inflateInit2(&z, read_window) != Z_OK) return false;
    z.next_in = const_cast<u8*>(in.data());
    z.avail_in = uInt(in.size());
    z.next_out = out.data();
    z.avail_out = uInt(out.size());
    // What follows the stream in its last sector belongs to others.
    int r = inflate(&z, Z_FINISH);
    bool ok = (r == Z_STREAM_END || r == Z_BUF_ERROR || r == Z_OK) && z.avail_out == 0;
    inflateEnd(&z);
    return ok;
}

} // namespace mimic::block
