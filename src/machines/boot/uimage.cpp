#include "machines/boot/uimage.hpp"
#include "machines/boot/arm64.hpp"
#include <algorithm>
#include <zlib.h>

namespace mimic::machines {

namespace {

constexpr u64 header_bytes = 64, name_at = 32, name_bytes = 32;
constexpr u32 magic = 0x27051956;
constexpr u8 os_linux = 5, type_kernel = 2, type_kernel_noload = 14, none = 0, gzip = 1;

// IH_ARCH_* of machines that ELF knows, too.
struct Architecture {
    u16 elf;
    u8 uimage;
};
constexpr Architecture architectures[] = {{40, 2}, {3, 3},    {8, 5},    {20, 7}, {22, 8},
                                          {2, 10}, {243, 26}, {183, 22}, {62, 24}};

u32 word(std::span<const u8> bytes, size_t at) {
    return u32{bytes[at]} << 24 | u32{bytes[at + 1]} << 16 | u32{bytes[at + 2]} << 8 | bytes[at + 3];
}
u32 sum(std::span<const u8> bytes) { return u32(crc32_z(0, bytes.data(), bytes.size())); }

} // namespace

bool is_uimage(std::span<const u8> bytes) { return bytes.size() >= header_bytes && word(bytes, 0) == magic; }

Result<UImage> parse_uimage(std::span<const u8> bytes, u16 elf_machine, u64 limit) {
    if (!is_uimage(bytes)) return Error::corrupt("no uImage header");
    std::vector<u8> header(bytes.begin(), bytes.begin() + header_bytes);
    std::fill_n(header.begin() + 4, 4, u8{0}); // its own sum
    if (sum(header) != word(bytes, 4)) return Error::corrupt("the uImage header is damaged");
    const u64 size = word(bytes, 12);
    if (size > bytes.size() - header_bytes)
        return Error::corrupt("the uImage has {} bytes behind its header, expected {}", bytes.size() - header_bytes,
                              size);
    const std::span<const u8> data = bytes.subspan(header_bytes, size);
    if (sum(data) != word(bytes, 24)) return Error::corrupt("the uImage's data are damaged");

    const u8 os = bytes[28], architecture = bytes[29], type = bytes[30], packed = bytes[31];
    auto it = std::find_if(std::begin(architectures), std::end(architectures),
                           [&](const Architecture& a) { return a.elf == elf_machine; });
    if (it != std::end(architectures) && architecture != it->uimage)
        return Error::invalid_argument("uImage of architecture {}, expected {}", architecture, it->uimage);
    if (type != type_kernel && type != type_kernel_noload)
        return Error::invalid_argument("uImage of type {}, expected a kernel ({} or {})", type, type_kernel,
                                       type_kernel_noload);
    UImage image;
    image.load = word(bytes, 16), image.entry = word(bytes, 20);
    image.anywhere = type == type_kernel_noload;
    image.linux_os = os == os_linux;
    const auto end = std::find(bytes.begin() + name_at, bytes.begin() + name_at + name_bytes, u8{0});
    image.name.assign(bytes.begin() + name_at, end);
    if (packed == none)
        image.content.assign(data.begin(), data.end());
    else if (packed == gzip)
        image.content = TRY(gunzip(data, limit).in("uImage"));
    else
        return Error::unsupported("uImage with compression {}, expected none ({}) or gzip ({})", packed, none, gzip);
    if (image.content.empty()) return Error::corrupt("the uImage is empty");
    return image;
}

} // namespace mimic::machines
