// The sectors that describe a volume: partition table, boot sector, FATs, root directory.
#include "block/bytes.hpp"
#include "block/formats/vvfat/volume.hpp"
#include <algorithm>

namespace mimic::block::vvfat {

namespace {

constexpr u32 backup_boot = 6; // FAT32: where the boot sector stands again
constexpr u8 signature[] = {0x55, 0xaa};

// Cylinder, head and sector as partition tables have them; the last that there is for what is beyond.
void put_chs(const Volume& v, u64 lba, u8* p) {
    u64 c = lba / (v.heads * v.sectors_per_track), h = lba / v.sectors_per_track % v.heads,
        s = lba % v.sectors_per_track + 1;
    if (c > 1023) {
        c = 1023;
        h = v.heads - 1;
        s = v.sectors_per_track;
    }
    p[0] = u8(h);
    p[1] = u8(s | (c >> 8) << 6);
    p[2] = u8(c);
}

void partition_table(const Volume& v, std::span<u8> out) {
    put_le32(&out[440], v.serial);
    u8* p = &out[446];
    p[0] = 0x80;
    put_chs(v, v.hidden, p + 1);
    p[4] = v.type == FatType::fat12 ? 0x01 : v.type == FatType::fat16 ? 0x06 : 0x0c;
    put_chs(v, v.total - 1, p + 5);
    put_le32(p + 8, u32(v.hidden));
    put_le32(p + 12, u32(v.sectors()));
    std::ranges::copy(signature, &out[510]);
}

void boot_sector(const Volume& v, std::span<u8> out) {
    bool wide = v.type == FatType::fat32;
    u8* b = out.data();
    const u8 jump[] = {0xeb, u8(wide ? 0x58 : 0x3c), 0x90};
    std::ranges::copy(jump, b);
    std::ranges::copy(std::string_view("MIMIC   "), b + 3);
    put_le16(b + 11, u16(sector));
    b[13] = u8(v.cluster_sectors);
    put_le16(b + 14, u16(v.reserved));
    b[16] = 2;
    put_le16(b + 17, u16(v.root_entries));
    put_le16(b + 19, u16(v.sectors() < 65536 && !wide ? v.sectors() : 0));
    b[21] = v.floppy ? 0xf0 : 0xf8;
    put_le16(b + 22, u16(wide ? 0 : v.fat_sectors));
    put_le16(b + 24, u16(v.sectors_per_track));
    put_le16(b + 26, u16(v.heads));
    put_le32(b + 28, u32(v.hidden));
    put_le32(b + 32, u32(v.sectors() < 65536 && !wide ? 0 : v.sectors()));
    if (wide) {
        put_le32(b + 36, v.fat_sectors);
        put_le32(b + 44, 2); // the root's first cluster
        put_le16(b + 48, 1); // FSInfo
        put_le16(b + 50, u16(backup_boot));
    }
    u8* e = b + (wide ? 64 : 36);
    e[0] = v.floppy ? 0 : 0x80;
    e[2] = 0x29;
    put_le32(e + 3, v.serial);
    std::ranges::copy(v.label, e + 7);
    std::string name = fmt::format("FAT{}   ", unsigned(v.type));
    std::ranges::copy(name, e + 18);
    std::ranges::copy(signature, &out[510]);
}

void information_sector(std::span<u8> out) {
    put_le32(&out[0], 0x41615252);
    put_le32(&out[484], 0x61417272);
    put_le32(&out[488], 0xffffffff); // free clusters: not counted
    put_le32(&out[492], 0xffffffff);
    std::ranges::copy(signature, &out[510]);
}

// What the FAT says of a cluster, as wide as FAT32's.
u32 next_of(const Volume& v, u64 cluster) {
    if (cluster == 0) return 0x0fffff00 | (v.floppy ? 0xf0 : 0xf8);
    if (cluster == 1) return 0x0fffffff;
    if (cluster >= u64(v.clusters) + 2) return 0;
    const Item* i = v.owner(u32(cluster));
    if (!i) return 0;
    return cluster + 1 < i->first + i->clusters ? u32(cluster + 1) : 0x0fffffff;
}

void fat_sector(const Volume& v, u64 number, std::span<u8> out) {
    u64 start = number * sector;
    if (v.type != FatType::fat12) {
        u64 width = u64(v.type) / 8;
        for (u64 at = 0; at < sector; at += width) {
            u32 next = next_of(v, (start + at) / width);
            width == 2 ? put_le16(&out[at], u16(next)) : put_le32(&out[at], next);
        }
        return;
    }
    // Two entries in three bytes, across sectors.
    for (u64 i = 0; i < sector; i++) {
        u64 byte = start + i, pair = byte / 3 * 2;
        u32 both = (next_of(v, pair) & 0xfff) | (next_of(v, pair + 1) & 0xfff) << 12;
        out[i] = u8(both >> (8 * (byte % 3)));
    }
}

} // namespace

void describe_sector(const Volume& v, u64 number, std::span<u8> out) {
    if (number < v.hidden) {
        if (number == 0) partition_table(v, out);
        return;
    }
    number -= v.hidden;
    if (number < v.reserved) {
        bool wide = v.type == FatType::fat32;
        if (number == 0 || (wide && number == backup_boot)) boot_sector(v, out);
        if (wide && (number == 1 || number == backup_boot + 1)) information_sector(out);
        return;
    }
    number -= v.reserved;
    if (number < 2 * u64(v.fat_sectors)) return fat_sector(v, number % v.fat_sectors, out);
    number -= 2 * u64(v.fat_sectors);
    if (number < v.root_sectors() && number * sector < v.root.size()) {
        auto from = std::span(v.root).subspan(number * sector);
        std::ranges::copy(from.first(std::min<u64>(from.size(), sector)), out.begin());
    }
}

} // namespace mimic::block::vvfat
