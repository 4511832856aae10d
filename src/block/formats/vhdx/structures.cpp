#include "block/bytes.hpp"
#include "block/formats/vhdx/vhdx.hpp"
#include <algorithm>
#include <bit>

namespace mimic::block::vhdx {

namespace {

constexpr std::array<u32, 256> crc_table = [] {
    std::array<u32, 256> t{};
    for (u32 i = 0; i < 256; i++) {
        u32 c = i;
        for (int k = 0; k < 8; k++) c = (c >> 1) ^ (c & 1 ? 0x82f63b78 : 0); // Castagnoli, reflected
        t[i] = c;
    }
    return t;
}();

// A GUID as it is written in the specification to the order of its bytes in the file.
constexpr Guid guid(u32 a, u16 b, u16 c, u64 d) {
    Guid g{};
    for (int i = 0; i < 4; i++) g[size_t(i)] = u8(a >> (8 * i));
    for (int i = 0; i < 2; i++) g[size_t(4 + i)] = u8(b >> (8 * i));
    for (int i = 0; i < 2; i++) g[size_t(6 + i)] = u8(c >> (8 * i));
    for (int i = 0; i < 8; i++) g[size_t(8 + i)] = u8(d >> (56 - 8 * i));
    return g;
}
constexpr Guid bat_region = guid(0x2dc27766, 0xf623, 0x4200, 0x9d64115e9bfd4a08);
constexpr Guid metadata_region = guid(0x8b7ca206, 0x4790, 0x4b9a, 0xb8fe575f050f886e);
constexpr Guid file_parameters = guid(0xcaa16737, 0xfa36, 0x4d43, 0xb3b633f0aa44e76b);
constexpr Guid virtual_disk_size = guid(0x2fa54224, 0xcd1b, 0x4876, 0xb2115dbed83bf4b8);
constexpr Guid virtual_disk_id = guid(0xbeca12ab, 0xb2e6, 0x4523, 0x93efc309e000c746);
constexpr Guid logical_sector_size = guid(0x8141bf1d, 0xa96f, 0x4709, 0xba47f233a8faab5f);
constexpr Guid physical_sector_size = guid(0xcda348c7, 0x445d, 0x4471, 0x9cc9e9885251c556);
constexpr Guid parent_locator = guid(0xa8d35f2d, 0xb30b, 0x454d, 0xabf7d3d84834ab0c);

constexpr u32 header_magic = 0x64616568, region_magic = 0x69676572; // "head", "regi"
constexpr u64 metadata_magic = 0x617461646174656d;                  // "metadata"
constexpr u32 most_regions = 2047, most_items = 2047;
constexpr u64 table_entry = 32, items_from = 64 << 10;

Guid guid_at(std::span<const u8> b, size_t at) {
    Guid g;
    std::ranges::copy(b.subspan(at, 16), g.begin());
    return g;
}

} // namespace

u32 crc32c(std::span<const u8> bytes) {
    u32 c = ~0u;
    for (u8 b : bytes) c = (c >> 8) ^ crc_table[(c ^ b) & 0xff];
    return ~c;
}

u32 checksum_of(std::span<const u8> bytes) {
    std::vector<u8> copy(bytes.begin(), bytes.end());
    put_le32(&copy[4], 0);
    return crc32c(copy);
}

std::vector<u8> print_header(const Header& h) {
    std::vector<u8> b(unit);
    put_le32(&b[0], header_magic);
    put_le64(&b[8], h.sequence);
    std::ranges::copy(h.file_write, &b[16]);
    std::ranges::copy(h.data_write, &b[32]);
    std::ranges::copy(h.log, &b[48]);
    put_le16(&b[64], h.log_version);
    put_le16(&b[66], h.version);
    put_le32(&b[68], h.log_length);
    put_le64(&b[72], h.log_offset);
    put_le32(&b[4], checksum_of(b));
    return b;
}

std::optional<Header> parse_header(std::span<const u8> b) {
    if (b.size() < unit || le32(&b[0]) != header_magic || le32(&b[4]) != checksum_of(b.first(unit)))
        return std::nullopt;
    Header h{.sequence = le64(&b[8]),
             .file_write = guid_at(b, 16),
             .data_write = guid_at(b, 32),
             .log = guid_at(b, 48),
             .log_version = le16(&b[64]),
             .version = le16(&b[66]),
             .log_length = le32(&b[68]),
             .log_offset = le64(&b[72])};
    return h;
}

std::vector<u8> print_regions(const Regions& r) {
    std::vector<u8> b(region_table_bytes);
    put_le32(&b[0], region_magic);
    put_le32(&b[8], 2);
    size_t at = 16;
    for (auto& [id, where] : {std::pair{bat_region, r.bat}, std::pair{metadata_region, r.metadata}}) {
        std::ranges::copy(id, &b[at]);
        put_le64(&b[at + 16], where.offset);
        put_le32(&b[at + 24], u32(where.length));
        put_le32(&b[at + 28], 1); // required
        at += table_entry;
    }
    put_le32(&b[4], checksum_of(b));
    return b;
}

Result<Regions> parse_regions(std::span<const u8> b) {
    if (le32(&b[0]) != region_magic || le32(&b[4]) != checksum_of(b))
        return Error::corrupt("vhdx region table: signature or checksum is wrong");
    u32 count = le32(&b[8]);
    if (count > most_regions) return Error::corrupt("vhdx region table: {} entries, expected at most 2047", count);
    Regions r;
    std::vector<Region> all;
    for (u32 i = 0; i < count; i++) {
        size_t at = 16 + i * table_entry;
        Region where{le64(&b[at + 16]), le32(&b[at + 24])};
        if (where.offset < MiB || where.offset % MiB || where.length % MiB || where.length == 0 ||
            where.offset > u64(INT64_MAX) - where.length)
            return Error::corrupt(
                "vhdx region table: entry {} lies at {:#x} with {:#x} bytes, expected multiples of 1 MiB", i,
                where.offset, where.length);
        for (auto& other : all)
            if (where.offset < other.offset + other.length && other.offset < where.offset + where.length)
                return Error::corrupt("vhdx region table: entry {} at {:#x} overlaps another", i, where.offset);
        all.push_back(where);
        Guid id = guid_at(b, at);
        if (id == bat_region)
            r.bat = where;
        else if (id == metadata_region)
            r.metadata = where;
        else if (le32(&b[at + 28]) & 1)
            return Error::unsupported("vhdx region table: a required region is not known ({})", uuid_text(id.data()));
    }
    if (!r.bat.length || !r.metadata.length)
        return Error::corrupt("vhdx region table: the BAT or the metadata is missing");
    return r;
}

std::vector<u8> print_metadata(const Metadata& m) {
    std::vector<u8> b(items_from + 64);
    put_le64(&b[0], metadata_magic);
    put_le16(&b[10], 5);
    size_t at = 32, data = items_from;
    auto item = [&](const Guid& id, size_t length, u32 flags, auto write) {
        std::ranges::copy(id, &b[at]);
        put_le32(&b[at + 16], u32(data));
        put_le32(&b[at + 20], u32(length));
        put_le32(&b[at + 24], flags);
        write(&b[data]);
        at += table_entry;
        data += length;
    };
    constexpr u32 of_disk = 2, required = 4;
    item(file_parameters, 8, required, [&](u8* p) {
        put_le32(p, m.block_size);
        put_le32(p + 4, m.leave_allocated ? 1 : 0);
    });
    item(virtual_disk_size, 8, of_disk | required, [&](u8* p) { put_le64(p, m.size); });
    item(virtual_disk_id, 16, of_disk | required, [&](u8* p) { std::ranges::copy(m.disk_id, p); });
    item(logical_sector_size, 4, of_disk | required, [&](u8* p) { put_le32(p, m.logical_sector); });
    item(physical_sector_size, 4, of_disk | required, [&](u8* p) { put_le32(p, m.physical_sector); });
    return b;
}

static Result<void> check_metadata(const Metadata& m) {
    auto bad = [](std::string_view field, u64 value, std::string_view expected) {
        return Error::corrupt("vhdx metadata: {} is {}, expected {}", field, value, expected);
    };
    if (m.has_parent)
        return Error::unsupported(
            "differencing VHDX disks (with a parent) are not supported, expected fixed or dynamic");
    if (!std::has_single_bit(m.block_size) || m.block_size < MiB || m.block_size > 256 * MiB)
        return bad("BlockSize", m.block_size, "a power of two from 1 MiB to 256 MiB");
    if (m.logical_sector != 512 && m.logical_sector != 4096)
        return bad("LogicalSectorSize", m.logical_sector, "512 or 4096");
    if (m.size > largest_disk || m.size % m.logical_sector)
        return bad("VirtualDiskSize", m.size, "a multiple of the sector size of at most 64 TiB");
    return {};
}

Task<Result<Metadata>> read_metadata(Node& file, Region where) {
    if (where.length < MiB) co_return Error::corrupt("vhdx metadata region has {} bytes, expected 1 MiB", where.length);
    CO_TRY(auto b, co_await read_part(file, where.offset, items_from, "vhdx metadata table"));
    if (le64(&b[0]) != metadata_magic) co_return Error::corrupt("vhdx metadata table: the signature is not 'metadata'");
    u32 count = le16(&b[10]);
    if (count > most_items) co_return Error::corrupt("vhdx metadata table: {} entries, expected at most 2047", count);
    Metadata m;
    unsigned found = 0;
    for (u32 i = 0; i < count; i++) {
        size_t at = 32 + i * table_entry;
        Guid id = guid_at(b, at);
        u64 offset = le32(&b[at + 16]), length = le32(&b[at + 20]);
        bool known = id == file_parameters || id == virtual_disk_size || id == virtual_disk_id ||
                     id == logical_sector_size || id == physical_sector_size;
        if (id == parent_locator) m.has_parent = true;
        if (!known) {
            if ((le32(&b[at + 24]) & 4) && id != parent_locator)
                co_return Error::unsupported("vhdx metadata: a required item is not known ({})", uuid_text(id.data()));
            continue;
        }
        u64 expected = id == virtual_disk_id ? 16 : id == file_parameters || id == virtual_disk_size ? 8 : 4;
        if (length != expected || offset < items_from || offset > where.length - length)
            co_return Error::corrupt("vhdx metadata: an item of {} bytes at {:#x}, expected {} bytes inside the region",
                                     length, offset, expected);
        CO_TRY(auto item, co_await read_part(file, where.offset + offset, length, "vhdx metadata item"));
        if (id == file_parameters) {
            m.block_size = le32(&item[0]);
            m.leave_allocated = item[4] & 1;
            m.has_parent |= (item[4] & 2) != 0;
            found |= 1;
        } else if (id == virtual_disk_size) {
            m.size = le64(&item[0]);
            found |= 2;
        } else if (id == virtual_disk_id) {
            m.disk_id = guid_at(item, 0);
        } else if (id == logical_sector_size) {
            m.logical_sector = le32(&item[0]);
            found |= 4;
        } else {
            m.physical_sector = le32(&item[0]);
        }
    }
    if (found != 7) co_return Error::corrupt("vhdx metadata: block size, disk size or sector size is missing");
    CO_CHECK(check_metadata(m));
    co_return m;
}

} // namespace mimic::block::vhdx
