// A FAT volume that shows a directory of the host: where each file lies, and the sectors that describe it. Source: Microsoft,
// "FAT: General Overview of On-Disk Format", version 1.03 (boot sector, FATs, directories, long names).
#pragma once
#include "base/result.hpp"
#include <span>
#include <string>
#include <vector>

namespace mimic::block::vvfat {

constexpr u64 sector = 512;
enum class FatType : u8 { fat12 = 12, fat16 = 16, fat32 = 32 };

// A file or directory, in clusters that follow each other.
struct Item {
    std::string path;            // of a file, on the host
    std::vector<u8> directory;   // of a directory: its entries
    u64 size = 0;                // bytes
    u32 first = 0, clusters = 0; // first: 2 and up; 0: it has none
};

struct Volume {
    FatType type = FatType::fat16;
    bool floppy = false;
    std::string label;
    u32 serial = 0;
    u32 heads = 16, sectors_per_track = 63;
    u64 total = 0;  // sectors of the disk
    u64 hidden = 0; // sectors in front of the volume: partition table and gap
    u32 cluster_sectors = 16, reserved = 1, root_entries = 512;
    u32 fat_sectors = 0, clusters = 0;
    std::vector<Item> items; // by first cluster; items[0] is the root (FAT32: in clusters, else in sectors of its own)
    std::vector<u8> root;    // entries, of FAT12 and FAT16

    u64 sectors() const { return total - hidden; }
    u64 root_sectors() const { return u64(root_entries) * 32 / sector; }
    u64 data_start() const { return reserved + 2 * u64(fat_sectors) + root_sectors(); } // from the volume's begin
    u64 cluster_bytes() const { return cluster_sectors * sector; }
    // The item that has the cluster; null: it is free.
    const Item* owner(u32 cluster) const;
};

// Scans the directory and lays it out. Errors name a file, or the directory if it does not fit. Links and what is neither
// file nor directory are left out; `skipped` counts them.
Result<Volume> make_volume(const std::string& directory, FatType type, bool floppy, const std::string& label,
                           u64& skipped);

// Sectors of the disk that hold no file's data: bytes of sector `number` (cleared before).
void describe_sector(const Volume& v, u64 number, std::span<u8> out);

} // namespace mimic::block::vvfat
