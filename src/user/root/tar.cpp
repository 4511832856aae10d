#include "user/root/tar.hpp"
#include <cstring>

namespace mimic::user {
namespace {

struct Header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], check[8], type, link[100], magic[6], version[2],
        user[32], group[32], major[8], minor[8], prefix[155], unused[12];
};
static_assert(sizeof(Header) == tar_block);

// Octal digits and a NUL; false when the value has too many.
template <size_t n>
bool octal(char (&to)[n], u64 value) {
    for (size_t i = n - 1; i-- > 0; value >>= 3) to[i] = char('0' + (value & 7));
    to[n - 1] = '\0';
    return value == 0;
}

template <size_t n>
bool text(char (&to)[n], const std::string& value) {
    std::memcpy(to, value.data(), value.size() < n ? value.size() : n);
    return value.size() <= n;
}

// "LENGTH NAME=VALUE\n", where LENGTH counts itself.
std::string record(const std::string& name, const std::string& value) {
    size_t rest = name.size() + value.size() + 3, length = rest;
    while (std::to_string(length).size() + rest != length) length = std::to_string(length).size() + rest;
    return std::to_string(length) + " " + name + "=" + value + "\n";
}

// The block of one header; what doesn't fit is added to `extended`.
std::string block(const TarEntry& e, std::string& extended) {
    Header h{};
    if (!text(h.name, e.path)) extended += record("path", e.path);
    if (!text(h.link, e.link)) extended += record("linkpath", e.link);
    octal(h.mode, e.mode & 07777);
    if (!octal(h.uid, e.uid)) extended += record("uid", std::to_string(e.uid));
    if (!octal(h.gid, e.gid)) extended += record("gid", std::to_string(e.gid));
    if (!octal(h.size, e.size)) extended += record("size", std::to_string(e.size));
    if (e.mtime < 0 || !octal(h.mtime, u64(e.mtime))) extended += record("mtime", std::to_string(e.mtime));
    octal(h.major, e.major);
    octal(h.minor, e.minor);
    h.type = e.type;
    std::memcpy(h.magic, "ustar", 6);
    std::memcpy(h.version, "00", 2);
    std::memset(h.check, ' ', sizeof h.check);
    u32 sum = 0;
    for (size_t i = 0; i < sizeof h; i++) sum += reinterpret_cast<u8*>(&h)[i];
    for (size_t i = 6; i-- > 0; sum >>= 3) h.check[i] = char('0' + (sum & 7));
    h.check[6] = '\0';
    return {reinterpret_cast<char*>(&h), sizeof h};
}

} // namespace

std::string tar_header(const TarEntry& entry) {
    std::string extended;
    for (auto& [name, value] : entry.attributes) extended += record("SCHILY.xattr." + name, value);
    std::string plain = block(entry, extended);
    if (extended.empty()) return plain;
    TarEntry head{.path = "PaxHeader", .type = 'x', .mode = 0644, .size = extended.size(), .mtime = entry.mtime};
    std::string none, result = block(head, none) + extended;
    result.resize((result.size() + tar_block - 1) / tar_block * tar_block);
    return result + plain;
}

} // namespace mimic::user
