// Archives in the pax format. POSIX.1-2008, pax: ustar headers, and extended headers for what doesn't fit them.
#pragma once
#include "base/result.hpp"
#include "base/types.hpp"
#include <string>
#include <utility>
#include <vector>

namespace mimic::user {

struct TarEntry {
    std::string path; // without a leading "/"; directories end with one
    char type = '0';  // 0 file, 1 hard link, 2 symbolic link, 3 character, 4 block device, 5 directory, 6 FIFO
    std::string link; // of types 1 and 2
    u32 mode = 0, uid = 0, gid = 0;
    u64 size = 0;  // of type 0
    i64 mtime = 0; // seconds since 1970
    u32 major = 0, minor = 0;
    std::vector<std::pair<std::string, std::string>> attributes; // extended ones: name, value
};

// The headers of an entry: whole blocks of 512 bytes. What follows of a file is its bytes, filled up to a block; an
// archive ends with two blocks of zeros.
std::string tar_header(const TarEntry& entry);
inline constexpr u64 tar_block = 512;

} // namespace mimic::user
