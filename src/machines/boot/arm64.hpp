// The arm64 kernel's Image. Source: Linux, Documentation/arch/arm64/booting.rst, sections 3 and 4.
#pragma once
#include "base/result.hpp"
#include <span>
#include <vector>

namespace mimic::machines {

struct Arm64Image {
    u64 text_offset = 0; // from a 2 MiB boundary
    u64 image_size = 0;  // that it needs from there on, with what is zero at its start; at least the file's
};

bool is_arm64_image(std::span<const u8> bytes);
// `bytes`: the whole file. Errors: no header, or one of a big-endian kernel.
Result<Arm64Image> parse_arm64_image(std::span<const u8> bytes);

bool is_gzip(std::span<const u8> bytes);
// What a gzip file (RFC 1952) holds. Errors: damaged, cut off, or more than `limit` bytes.
Result<std::vector<u8>> gunzip(std::span<const u8> bytes, u64 limit);

} // namespace mimic::machines
