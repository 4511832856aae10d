// From a directory of the host to items and directory entries.
#include "block/bytes.hpp"
#include "block/formats/vvfat/volume.hpp"
#include <algorithm>
#include <cerrno>
#include <ctime>
#include <dirent.h>
#include <map>
#include <set>
#include <sys/stat.h>

namespace mimic::block::vvfat {

namespace {

constexpr u8 attr_label = 0x08, attr_directory = 0x10, attr_archive = 0x20, attr_long_name = 0x0f;
constexpr size_t entry_bytes = 32, units_per_entry = 13, longest_name = 255;
constexpr size_t most_items = 65536, deepest = 32;

struct Found {
    std::string name, path;
    bool is_directory = false;
    u64 size = 0;
    time_t modified = 0;
    size_t item = 0;
};

// UTF-8 to UTF-16; what is not UTF-8 becomes an underscore.
std::u16string utf16(std::string_view s) {
    std::u16string out;
    for (size_t i = 0; i < s.size();) {
        u8 c = u8(s[i]);
        unsigned more = c < 0x80 ? 0 : c >> 5 == 6 ? 1 : c >> 4 == 14 ? 2 : c >> 3 == 30 ? 3 : 4;
        u32 code = more == 0 ? c : c & (0x3f >> more);
        bool ok = more < 4 && i + more < s.size();
        for (unsigned k = 1; k <= more && ok; k++) {
            ok = (u8(s[i + k]) & 0xc0) == 0x80;
            code = code << 6 | (u8(s[i + k]) & 0x3f);
        }
        i += ok ? more + 1 : 1;
        if (!ok || code > 0x10ffff) code = '_';
        if (code >= 0x10000) {
            out += char16_t(0xd800 + ((code - 0x10000) >> 10));
            code = 0xdc00 + ((code - 0x10000) & 0x3ff);
        }
        // Characters that names can't have there.
        out += code < 0x80 && std::string_view("\"*:<>?\\|").find(char(code)) != std::string_view::npos
                   ? u'_'
                   : char16_t(code);
    }
    return out;
}

bool plain(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("$%'-_@~`!(){}^#&").find(c) != std::string_view::npos;
}

// Eight and three characters for the name; `number` tells names apart that would be the same.
std::string short_name(std::string_view name, unsigned number) {
    size_t dot = name.rfind('.');
    auto convert = [](std::string_view part, size_t most) {
        std::string out;
        for (char c : part) {
            if (c == ' ' || c == '.') continue;
            char up = c >= 'a' && c <= 'z' ? char(c - 32) : c;
            if (u8(c) >= 0x80 && (u8(c) & 0xc0) == 0x80) continue; // the rest of a character
            out += plain(up) ? up : '_';
            if (out.size() == most) break;
        }
        return out;
    };
    if (dot == 0 || dot == std::string_view::npos) dot = name.size();
    std::string base = convert(name.substr(0, dot), 8),
                suffix = convert(name.substr(std::min(dot + 1, name.size())), 3);
    if (number) {
        std::string tail = fmt::format("~{}", number);
        base = base.substr(0, std::min(base.size(), 8 - tail.size())) + tail;
    }
    base.resize(8, ' ');
    suffix.resize(3, ' ');
    return base + suffix;
}

// Does the short name say it all?
bool is_short(std::string_view name, const std::string& made) {
    std::string base = made.substr(0, made.find_last_not_of(' ', 7) + 1), suffix = made.substr(8);
    suffix.resize(suffix.find_last_not_of(' ') + 1);
    return name == (suffix.empty() ? base : base + "." + suffix);
}

std::string unique_name(std::string_view name, std::set<std::string>& used) {
    std::string plain_name = short_name(name, 0);
    if (is_short(name, plain_name) && used.insert(plain_name).second) return plain_name;
    for (unsigned n = 1;; n++) {
        std::string one = short_name(name, n);
        if (used.insert(one).second) return one;
    }
}

void put_time(u8* p, time_t when) {
    struct tm t {};
    localtime_r(&when, &t);
    u16 time = u16(t.tm_hour << 11 | t.tm_min << 5 | t.tm_sec / 2);
    u16 date = u16(std::clamp(t.tm_year - 80, 0, 127) << 9 | (t.tm_mon + 1) << 5 | t.tm_mday);
    put_le16(p + 14, time);
    put_le16(p + 16, date);
    put_le16(p + 18, date);
    put_le16(p + 22, time);
    put_le16(p + 24, date);
}

// The entry alone; where its cluster stands is filled in when the volume is laid out.
void append_entry(std::vector<u8>& out, std::string_view name11, u8 attributes, u64 size, time_t when) {
    out.resize(out.size() + entry_bytes);
    u8* p = &out[out.size() - entry_bytes];
    std::ranges::copy(name11, p);
    p[11] = attributes;
    put_time(p, when);
    put_le32(p + 28, u32(size));
}

void append_long_name(std::vector<u8>& out, std::string_view name, std::string_view name11) {
    std::u16string units = utf16(name);
    u8 sum = 0;
    for (char c : name11) sum = u8((sum << 7 | sum >> 1) + u8(c));
    size_t count = (units.size() + units_per_entry - 1) / units_per_entry;
    for (size_t n = count; n > 0; n--) {
        u8 e[entry_bytes] = {};
        e[0] = u8(n | (n == count ? 0x40 : 0));
        e[11] = attr_long_name;
        e[13] = sum;
        for (size_t i = 0; i < units_per_entry; i++) {
            size_t at = (n - 1) * units_per_entry + i;
            u16 unit = at < units.size() ? units[at] : at == units.size() ? 0 : 0xffff;
            put_le16(e + (i < 5 ? 1 + 2 * i : i < 11 ? 14 + 2 * (i - 5) : 28 + 2 * (i - 11)), unit);
        }
        out.insert(out.end(), e, e + entry_bytes);
    }
}

class Scan {
public:
    explicit Scan(u64& skipped) : skipped_(skipped) {}

    // Fills items_[number] with the directory's entries, and appends items for what is in it.
    Result<void> directory(const std::string& path, size_t number, size_t parent, size_t depth,
                           const std::string& label) {
        if (depth > deepest) return Error::invalid_argument("'{}' is more than {} directories deep", path, deepest);
        auto list = TRY(read(path));
        struct stat own {};
        if (stat(path.c_str(), &own) != 0) return Error::from_errno(errno, "'{}'", path);
        std::set<std::string> used;
        std::vector<u8> entries;
        std::vector<std::pair<size_t, size_t>> links; // place of an entry, item
        if (depth == 0) {
            std::string name = label;
            name.resize(11, ' ');
            append_entry(entries, name, attr_label, 0, own.st_mtime);
        } else {
            for (auto [name, item] : {std::pair{".", number}, std::pair{"..", parent}}) {
                std::string padded = name;
                padded.resize(11, ' ');
                links.emplace_back(entries.size(), item);
                append_entry(entries, padded, attr_directory, 0, own.st_mtime);
            }
        }
        for (auto& f : list) {
            std::string name11 = unique_name(f.name, used);
            if (!is_short(f.name, name11)) append_long_name(entries, f.name, name11);
            f.item = items.size();
            if (items.size() >= most_items)
                return Error::invalid_argument("'{}' has more than {} files", path, most_items);
            items.push_back({.path = f.is_directory ? "" : f.path, .size = f.size});
            links.emplace_back(entries.size(), f.item);
            append_entry(entries, name11, f.is_directory ? attr_directory : attr_archive, f.size, f.modified);
        }
        items[number].size = entries.size();
        items[number].directory = std::move(entries);
        links_[number] = std::move(links);
        for (auto& f : list)
            if (f.is_directory) TRY(directory(f.path, f.item, number, depth + 1, label));
        return {};
    }

    // Once clusters are known.
    void link() {
        for (auto& [number, links] : links_)
            for (auto [place, item] : links) {
                // The root is named by 0.
                u32 first = item == 0 ? 0 : items[item].first;
                put_le16(&items[number].directory[place + 20], u16(first >> 16));
                put_le16(&items[number].directory[place + 26], u16(first));
            }
    }

    std::vector<Item> items;

private:
    Result<std::vector<Found>> read(const std::string& path) {
        DIR* d = opendir(path.c_str());
        if (!d) return Error::from_errno(errno, "Could not open directory '{}'", path);
        std::vector<Found> list;
        while (dirent* e = readdir(d)) {
            std::string name = e->d_name;
            if (name == "." || name == "..") continue;
            Found f{.name = name, .path = path + "/" + name};
            struct stat st {};
            bool there = lstat(f.path.c_str(), &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
            if (!there || name.size() > longest_name) {
                skipped_++;
                continue;
            }
            f.is_directory = S_ISDIR(st.st_mode);
            f.size = f.is_directory ? 0 : u64(st.st_size);
            f.modified = st.st_mtime;
            if (f.size > UINT32_MAX) {
                closedir(d);
                return Error::invalid_argument("'{}' has {} bytes, expected less than 4 GiB for FAT", f.path, f.size);
            }
            list.push_back(std::move(f));
        }
        closedir(d);
        std::ranges::sort(list, {}, &Found::name);
        return list;
    }

    std::map<size_t, std::vector<std::pair<size_t, size_t>>> links_;
    u64& skipped_;
};

// Sectors of a FAT for the volume's clusters; both depend on each other.
void size_fats(Volume& v) {
    for (v.fat_sectors = 1;; v.fat_sectors++) {
        v.clusters = u32((v.sectors() - v.data_start()) / v.cluster_sectors);
        u64 bits = (u64(v.clusters) + 2) * u64(v.type);
        u64 need = (bits + 8 * sector - 1) / (8 * sector);
        if (need <= v.fat_sectors) return;
        v.fat_sectors = u32(need - 1);
    }
}

void geometry(Volume& v, u64 needed) {
    if (v.floppy) {
        v.heads = 2;
        v.sectors_per_track = 36;
        v.total = 80 * 2 * 36;
        v.cluster_sectors = 2;
        v.root_entries = 240;
        return;
    }
    v.hidden = v.sectors_per_track;
    u64 cylinders = v.type == FatType::fat12 ? 64 : 1024;
    v.total = cylinders * v.heads * v.sectors_per_track;
    if (v.type != FatType::fat32) return;
    v.reserved = 32;
    v.root_entries = 0;
    v.cluster_sectors = 8;
    // Larger directories get larger disks, in whole cylinders.
    u64 track = u64(v.heads) * v.sectors_per_track, sectors = needed + needed / 64 + 65536;
    v.total = std::max(v.total, (sectors + track - 1) / track * track);
}

} // namespace

const Item* Volume::owner(u32 cluster) const {
    auto at = std::ranges::upper_bound(items, cluster, {}, &Item::first);
    if (at == items.begin()) return nullptr;
    const Item& i = *std::prev(at);
    return i.first && cluster < i.first + i.clusters ? &i : nullptr;
}

Result<Volume> make_volume(const std::string& directory, FatType type, bool floppy, const std::string& label,
                           u64& skipped) {
    Volume v{.type = type, .floppy = floppy, .label = label};
    v.label.resize(11, ' ');
    Scan scan(skipped);
    scan.items.push_back({});
    TRY(scan.directory(directory, 0, 0, 0, label));
    u64 bytes = 0;
    for (auto& i : scan.items) bytes += (i.size + 4095) / 4096 * 4096;
    geometry(v, bytes / sector);
    size_fats(v);
    u64 next = 2;
    for (size_t n = 0; n < scan.items.size(); n++) {
        Item& i = scan.items[n];
        if (n == 0 && type != FatType::fat32) continue;
        // A directory has a cluster at least.
        u64 size = i.directory.empty() ? i.size : std::max<u64>(i.size, 1);
        i.clusters = u32((size + v.cluster_bytes() - 1) / v.cluster_bytes());
        if (i.clusters) i.first = u32(next);
        next += i.clusters;
        if (next > u64(v.clusters) + 2)
            return Error::no_space("Directory '{}' does not fit in FAT{} (capacity {} bytes)", directory,
                                   unsigned(type), u64(v.clusters) * v.cluster_bytes());
    }
    if (type != FatType::fat32 && scan.items[0].size > v.root_sectors() * sector)
        return Error::no_space("Directory '{}' has too many files for the root of FAT{}, expected at most {} entries",
                               directory, unsigned(type), v.root_entries);
    scan.link();
    if (type != FatType::fat32) v.root = std::move(scan.items[0].directory);
    v.items = std::move(scan.items);
    if (type != FatType::fat32) v.items.erase(v.items.begin());
    // Empty files have no cluster and no part in the search.
    std::erase_if(v.items, [](const Item& i) { return i.first == 0; });
    return v;
}

} // namespace mimic::block::vvfat
