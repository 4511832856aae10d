#include "migration/stream.hpp"
#include <algorithm>
#include <cstring>
#include <zlib.h>

namespace mimic::migration {

namespace {

constexpr u8 magic[8] = {'M', 'I', 'M', 'I', 'C', 'V', 'M', '\n'};
constexpr u32 max_name = 64;
constexpr u64 small_section = 1 << 20;

// Bytes of a payload that there can be.
u64 limit_of(std::string_view name) {
    for (std::string_view small : {"machine", "moment", "cpu", "end"})
        if (name == small) return small_section;
    return max_section;
}

u32 checksum(u32 sum, std::span<const u8> bytes) {
    if (bytes.empty()) return sum; // zlib begins anew for a null pointer
    return u32(crc32_z(sum, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

} // namespace

bool Fields::text(std::string& s) {
    u16 n = 0;
    std::span<const u8> bytes;
    if (!number(n) || !raw(n, bytes)) return false;
    s.assign(bytes.begin(), bytes.end());
    return true;
}

bool Fields::raw(u64 n, std::span<const u8>& out) {
    if (n > in_.size()) return false;
    out = in_.first(n);
    in_ = in_.subspan(n);
    return true;
}

Result<void> StreamWriter::begin() {
    Payload p;
    p.raw(magic);
    p.number(format_version);
    return sink_(p.out);
}

Result<void> StreamWriter::section(std::string_view name, u32 version, std::span<const u8> payload) {
    if (payload.size() > max_section)
        return Error::no_space("section '{}' has {} bytes, expected at most {}", name, payload.size(), max_section);
    Payload head;
    head.text(name);
    head.number(version);
    head.number(u64(payload.size()));
    u32 sum = checksum(checksum(0, head.out), payload);
    TRY(sink_(head.out));
    TRY(sink_(payload));
    return sink_({reinterpret_cast<const u8*>(&sum), sizeof sum});
}

Result<void> StreamReader::begin() {
    u8 head[sizeof magic + 4];
    TRY(source_(head));
    if (std::memcmp(head, magic, sizeof magic) != 0)
        return Error::corrupt("is no saved machine: it does not begin with MIMICVM");
    u32 version = 0;
    std::memcpy(&version, head + sizeof magic, 4);
    if (version != format_version) return Error::unsupported("format {}, expected {}", version, format_version);
    return {};
}

Result<Section> StreamReader::next() {
    Section s;
    std::vector<u8> head(2);
    TRY(source_(head));
    u32 length = head[0] | u32{head[1]} << 8;
    if (length == 0 || length > max_name)
        return Error::corrupt("a section's name has {} bytes, expected 1 to {}", length, max_name);
    head.resize(2 + length + 12);
    TRY(source_(std::span(head).subspan(2)));
    s.name.assign(head.begin() + 2, head.begin() + 2 + length);
    u64 bytes = 0;
    std::memcpy(&s.version, head.data() + 2 + length, 4);
    std::memcpy(&bytes, head.data() + 6 + length, 8);
    for (char c : s.name)
        if (c < ' ' || c > '~') return Error::corrupt("a section's name is no text");
    if (u64 limit = limit_of(s.name); bytes > limit)
        return Error::corrupt("section '{}' has {} bytes, expected at most {}", s.name, bytes, limit);
    constexpr u64 step = 1 << 20;
    while (s.payload.size() < bytes) {
        u64 at = s.payload.size(), n = std::min(step, bytes - at);
        s.payload.resize(at + n);
        TRY(source_(std::span(s.payload).subspan(at)).in("section '{}'", s.name));
    }
    u32 sum = 0;
    TRY(source_({reinterpret_cast<u8*>(&sum), sizeof sum}).in("section '{}'", s.name));
    if (check_ && sum != checksum(checksum(0, head), s.payload))
        return Error::corrupt("section '{}' has another checksum than it says", s.name);
    return s;
}

} // namespace mimic::migration
