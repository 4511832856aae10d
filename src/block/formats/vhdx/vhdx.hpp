// vhdx: Hyper-V's disks, fixed and dynamic, with log replay. Source: [MS-VHDX] "Virtual Hard Disk v2 (VHDX) File Format".
// Not there: differencing disks (with a parent).
#pragma once
#include "block/formats/image.hpp"
#include <array>

namespace mimic::block::vhdx {

constexpr u64 MiB = 1u << 20, unit = 4096; // of headers, log entries and logged sectors
constexpr u64 header_places[] = {64 << 10, 128 << 10}, region_places[] = {192 << 10, 256 << 10};
constexpr u64 region_table_bytes = 64 << 10;
constexpr u64 largest_disk = u64(64) << 40, largest_log = 64 * MiB;

using Guid = std::array<u8, 16>; // as it stands in the file

// ---- structures.cpp ----

u32 crc32c(std::span<const u8> bytes);
// The checksum of a structure whose field for it, at offset 4, does not count.
u32 checksum_of(std::span<const u8> bytes);

struct Header { // 2.2.2
    u64 sequence = 0;
    Guid file_write{}, data_write{}, log{};
    u16 log_version = 0, version = 1;
    u32 log_length = 0;
    u64 log_offset = 0;
    bool log_in_use() const { return log != Guid{}; }
};
std::vector<u8> print_header(const Header& h);
// None: it is not valid.
std::optional<Header> parse_header(std::span<const u8> bytes);

struct Region {
    u64 offset = 0, length = 0;
};
struct Regions {
    Region bat, metadata;
};
std::vector<u8> print_regions(const Regions& r);
Result<Regions> parse_regions(std::span<const u8> bytes);

struct Metadata { // 2.6.2
    u32 block_size = 0, logical_sector = 512, physical_sector = 4096;
    bool leave_allocated = false, has_parent = false;
    u64 size = 0;
    Guid disk_id{};
    // Payload blocks for which there is one sector bitmap block.
    u64 chunk_ratio() const { return (u64(1) << 23) * logical_sector / block_size; }
    u64 blocks() const { return div_up(size, block_size); }
    u64 bat_entries() const { return blocks() ? blocks() + (blocks() - 1) / chunk_ratio() : 0; }
};
std::vector<u8> print_metadata(const Metadata& m);
Task<Result<Metadata>> read_metadata(Node& file, Region where);

// ---- log.cpp ----

// Writes what the log says to its places. The header's log is in use; afterwards it may be marked empty.
Task<Result<void>> replay(Node& file, const Header& h);
struct LoggedSector {
    u64 offset = 0; // in the file, of `unit` bytes
    std::vector<u8> bytes;
};
// An entry for the sectors, to be written at the log's begin.
std::vector<u8> make_entry(const Header& h, u64 sequence, u64 file_size, std::span<const LoggedSector> sectors);
// How many sectors one entry of a log can hold.
u64 entry_room(u64 log_length);

Task<Result<void>> create(Context& context, CreateArguments& a);
void describe_create(OptionVisitor& v);
Result<std::string> print_create(Json options);

enum State : u8 { not_present, undefined, zero, unmapped, fully_present = 6, partially_present = 7 };

} // namespace mimic::block::vhdx
