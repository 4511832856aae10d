// The header of a qcow2 image: reading, checking and writing it (Qcow2 Image File Format, sections Header and Header
// extensions; versions 2 and 3).
#pragma once
#include "block/bytes.hpp"
#include "block/types.hpp"
#include <span>

namespace mimic::block::qcow2 {

namespace incompatible {
constexpr u64 dirty = 1, corrupt = 2, data_file = 4, compression = 8, extended_l2 = 16, all = 31;
}
namespace compatible {
constexpr u64 lazy_refcounts = 1;
}
namespace autoclear {
constexpr u64 bitmaps = 1, data_file_raw = 2, all = 3;
}

// Limits of ours, so that no header makes us allocate or loop without bound; the format's other programs have the same.
constexpr u32 min_cluster_bits = 9, max_cluster_bits = 21;
constexpr u64 max_l1_bytes = 32u << 20, max_refcount_table_bytes = 8u << 20;
constexpr u32 max_snapshots = 65536, max_bitmaps = 65535;
constexpr u64 max_backing_name = 1023;

enum class Compression : u8 { zlib, zstd };
constexpr std::string_view compression_names[] = {"zlib", "zstd"};

enum class Crypt : u32 { none, aes, luks };

struct Extension {
    u32 type;
    std::vector<u8> bytes;
};

struct Header {
    u32 version = 3;
    u32 cluster_bits = 16;
    u64 size = 0;
    Crypt crypt = Crypt::none;
    u32 l1_entries = 0;
    u64 l1_offset = 0;
    u64 refcount_table_offset = 0;
    u32 refcount_table_clusters = 0;
    u32 snapshot_count = 0;
    u64 snapshots_offset = 0;
    u64 incompatible = 0, compatible = 0, autoclear = 0;
    u32 refcount_order = 4;
    Compression compression = Compression::zlib;

    std::string backing_file, backing_format, data_file;
    u64 luks_offset = 0, luks_length = 0; // the header of Crypt::luks with its key slots
    bool has_bitmaps = false;
    u32 bitmap_count = 0;
    u64 bitmap_directory_size = 0, bitmap_directory_offset = 0;
    std::vector<u8> later_fields;      // header fields that are newer than we are
    std::vector<Extension> extensions; // those that we don't know

    u64 cluster_size() const { return u64(1) << cluster_bits; }
    bool extended_l2() const { return incompatible & incompatible::extended_l2; }
    bool encrypted() const { return crypt != Crypt::none; }
    bool external_data() const { return incompatible & incompatible::data_file; }
    bool raw_external() const { return autoclear & autoclear::data_file_raw; }
    u32 l2_entry_size() const { return extended_l2() ? 16 : 8; }
    u64 l2_entries() const { return cluster_size() / l2_entry_size(); }
    u32 subclusters() const { return extended_l2() ? 32 : 1; }
    u64 subcluster_size() const { return cluster_size() / subclusters(); }
    u32 refcount_bits() const { return 1u << refcount_order; }
    u64 refcount_max() const { return refcount_order == 6 ? UINT64_MAX : (u64(1) << refcount_bits()) - 1; }
    u64 refcounts_per_block() const { return cluster_size() * 8 / refcount_bits(); }
    u64 l1_entries_for(u64 disk_size) const { return div_up(disk_size, cluster_size() * l2_entries()); }
};

bool has_magic(std::span<const u8> head);
// Parses the bytes of the first cluster (or of the file, if it is shorter). Errors say what is wrong.
Result<Header> parse(std::span<const u8> bytes);
// Only the cluster size, so that the caller knows how much to read.
Result<u64> parse_cluster_size(std::span<const u8> bytes);
// The header with its extensions and names; an error if they don't fit the first cluster.
Result<std::vector<u8>> serialize(const Header& header);

using block::get16, block::get32, block::get64, block::put16, block::put32, block::put64;

} // namespace mimic::block::qcow2
