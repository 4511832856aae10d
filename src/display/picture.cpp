#include "display/picture.hpp"
#include <cstring>
#define ZLIB_CONST 1
#include <zlib.h>

namespace mimic::display {

namespace {

// Looks once.
struct Photographer final : Listener {
    Picture picture;
    bool live() const override { return false; }
    void surface_changed(Console&) override {}
    void updated(Console& console, std::span<const Rect>) override {
        const Surface& s = console.surface();
        picture.width = s.width;
        picture.height = s.height;
        picture.rgb.resize(u64{s.width} * s.height * rgb888.bytes);
        convert(s, s.whole(), rgb888, picture.rgb);
    }
};

std::span<const u8> bytes_of(std::string_view text) { return {reinterpret_cast<const u8*>(text.data()), text.size()}; }

void put_be32(u8* at, u32 v) {
    for (u32 i = 0; i < 4; i++) at[i] = u8(v >> (24 - 8 * i));
}

// Section 5.3: length, type, data, CRC of type and data.
Result<void> write_chunk(const Sink& sink, const char (&type)[5], std::span<const u8> data) {
    u8 head[8], tail[4];
    put_be32(head, u32(data.size()));
    std::memcpy(head + 4, type, 4);
    uLong crc = crc32(0, head + 4, 4);
    if (!data.empty()) crc = crc32(crc, data.data(), uInt(data.size()));
    put_be32(tail, u32(crc));
    TRY(sink(head));
    TRY(sink(data));
    return sink(tail);
}

// The image data: each row behind a byte that names its filter, all of it one zlib stream in chunks.
class Rows {
public:
    explicit Rows(const Sink& sink) : sink_(sink) {}
    ~Rows() {
        if (begun_) deflateEnd(&z_);
    }
    Rows(const Rows&) = delete;
    Result<void> begin() {
        begun_ = deflateInit(&z_, Z_DEFAULT_COMPRESSION) == Z_OK;
        if (!begun_) return Error::out_of_memory("no memory to compress a picture");
        z_.next_out = out_.data();
        z_.avail_out = uInt(out_.size());
        return {};
    }
    Result<void> add(std::span<const u8> bytes) {
        z_.next_in = bytes.data();
        z_.avail_in = uInt(bytes.size());
        while (z_.avail_in) {
            deflate(&z_, Z_NO_FLUSH);
            if (!z_.avail_out) TRY(flush());
        }
        return {};
    }
    Result<void> end() {
        while (deflate(&z_, Z_FINISH) != Z_STREAM_END) TRY(flush());
        return flush();
    }

private:
    Result<void> flush() {
        const size_t n = out_.size() - z_.avail_out;
        if (n) TRY(write_chunk(sink_, "IDAT", std::span(out_).first(n)));
        z_.next_out = out_.data();
        z_.avail_out = uInt(out_.size());
        return {};
    }
    const Sink& sink_;
    z_stream z_{};
    bool begun_ = false;
    std::vector<u8> out_ = std::vector<u8>(1 << 16);
};

} // namespace

Picture take_picture(Console& console) {
    Photographer p;
    console.attach(p);
    console.refresh();
    console.detach(p);
    return std::move(p.picture);
}

Result<void> write_ppm(const Picture& p, const Sink& sink) {
    TRY(sink(bytes_of(fmt::format("P6\n{} {}\n255\n", p.width, p.height))));
    return sink(p.rgb);
}

Result<void> write_png(const Picture& p, const Sink& sink) {
    constexpr u8 signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    constexpr u8 depth = 8, truecolor = 2, filter_up = 2;
    u8 header[13] = {};
    put_be32(header, p.width);
    put_be32(header + 4, p.height);
    header[8] = depth;
    header[9] = truecolor;
    TRY(sink(signature));
    TRY(write_chunk(sink, "IHDR", header));
    Rows rows(sink);
    TRY(rows.begin());
    // Each row less the one above: screens have many rows that are alike.
    const size_t stride = size_t{p.width} * rgb888.bytes;
    std::vector<u8> filtered(stride + 1, 0), zeros(stride, 0);
    const u8* above = zeros.data();
    for (u32 y = 0; y < p.height; y++) {
        const u8* row = p.rgb.data() + y * stride;
        filtered[0] = filter_up;
        for (size_t i = 0; i < stride; i++) filtered[i + 1] = u8(row[i] - above[i]);
        TRY(rows.add(filtered));
        above = row;
    }
    TRY(rows.end());
    return write_chunk(sink, "IEND", {});
}

} // namespace mimic::display
