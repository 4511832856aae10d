#include "block/qcow2/header.hpp"
#include <algorithm>
#include <cstring>

namespace mimic::block::qcow2 {

namespace {

constexpr u32 magic = 0x514649fb; // "QFI\xfb"
constexpr u32 v2_length = 72, v3_length = 104, own_length = 112;

enum : u32 {
    ext_end = 0,
    ext_backing_format = 0xe2792aca,
    ext_feature_names = 0x6803f857,
    ext_bitmaps = 0x23852875,
    ext_luks = 0x0537be77,
    ext_data_file = 0x44415441,
};

struct FeatureName {
    u8 type, bit;
    std::string_view name;
};
constexpr FeatureName feature_names[] = {
    {0, 0, "dirty bit"},        {0, 1, "corrupt bit"},         {0, 2, "external data file"},
    {0, 3, "compression type"}, {0, 4, "extended L2 entries"}, {1, 0, "lazy refcounts"},
    {2, 0, "bitmaps"},          {2, 1, "raw external data"},
};
constexpr size_t feature_entry = 48;
constexpr u64 max_luks_bytes = 64u << 20; // eight slots of the most stripes and the longest key are 34 MiB

// The names of bits that we don't know, from the image's own table where it has one.
std::string unknown_features(u64 bits, std::span<const u8> table) {
    std::string out;
    for (unsigned bit = 0; bit < 64; bit++) {
        if (!(bits >> bit & 1)) continue;
        std::string name = fmt::format("bit {}", bit);
        for (size_t at = 0; at + feature_entry <= table.size(); at += feature_entry)
            if (table[at] == 0 && table[at + 1] == bit) {
                auto* text = reinterpret_cast<const char*>(&table[at + 2]);
                name.assign(text, strnlen(text, feature_entry - 2));
            }
        out += fmt::format("{}{}", out.empty() ? "" : ", ", name);
    }
    return out;
}

Result<void> check_table(const Header& h, std::string_view what, u64 offset, u64 bytes, u64 most) {
    if (bytes > most) return Error::invalid_argument("{} too large ({} bytes, expected at most {})", what, bytes, most);
    if (offset % h.cluster_size() || offset + bytes < offset || offset + bytes > u64(INT64_MAX))
        return Error::invalid_argument("{} offset {:#x} is invalid, expected a multiple of the cluster size", what,
                                       offset);
    return {};
}

Result<void> check_encryption(const Header& h) {
    if (h.crypt > Crypt::luks) return Error::unsupported("Unsupported encryption method {}", u32(h.crypt));
    if (h.encrypted() && h.size % 512)
        return Error::invalid_argument("size {} of an encrypted image, expected a multiple of 512", h.size);
    if (h.crypt == Crypt::luks && h.luks_length == 0)
        return Error::invalid_argument("an image encrypted with LUKS has no encryption header");
    return {};
}

Result<void> check_fields(const Header& h) {
    if (h.cluster_bits < min_cluster_bits || h.cluster_bits > max_cluster_bits)
        return Error::invalid_argument("Unsupported cluster size: 2^{}", h.cluster_bits);
    if (h.extended_l2() && h.cluster_bits < 14)
        return Error::invalid_argument("Extended L2 entries need clusters of at least 16 KiB, found 2^{}",
                                       h.cluster_bits);
    if (h.refcount_order > 6)
        return Error::invalid_argument("Reference count entry width too large; may not exceed 64 bits");
    TRY(check_encryption(h));
    TRY(check_table(h, "Active L1 table", h.l1_offset, u64(h.l1_entries) * 8, max_l1_bytes));
    TRY(check_table(h, "Reference count table", h.refcount_table_offset,
                    u64(h.refcount_table_clusters) << h.cluster_bits, max_refcount_table_bytes));
    if (h.refcount_table_clusters == 0 && !(h.incompatible & incompatible::dirty))
        return Error::invalid_argument("Image does not contain a reference count table");
    if (h.snapshot_count > max_snapshots)
        return Error::invalid_argument("Snapshot table too large ({} snapshots)", h.snapshot_count);
    if (h.snapshot_count) TRY(check_table(h, "Snapshot table", h.snapshots_offset, 0, 0));
    if (h.size > u64(INT64_MAX)) return Error::invalid_argument("Image size {} is too big", h.size);
    if (h.l1_entries_for(h.size) > h.l1_entries)
        return Error::invalid_argument("L1 table is too small: {} entries for a disk of {} bytes", h.l1_entries,
                                       h.size);
    return {};
}

Result<void> take_extension(Header& h, u32 type, std::span<const u8> data) {
    auto text = [&] { return std::string(reinterpret_cast<const char*>(data.data()), data.size()); };
    switch (type) {
    case ext_backing_format: h.backing_format = text(); return {};
    case ext_data_file: h.data_file = text(); return {};
    case ext_feature_names: return {};
    case ext_luks:
        if (h.crypt < Crypt::luks)
            return Error::invalid_argument("CRYPTO header extension only expected with LUKS encryption method");
        if (data.size() != 16)
            return Error::invalid_argument("CRYPTO header extension has {} bytes, expected 16", data.size());
        h.luks_offset = get64(&data[0]);
        h.luks_length = get64(&data[8]);
        return check_table(h, "Encryption header", h.luks_offset, h.luks_length, max_luks_bytes);
    case ext_bitmaps:
        // Without the autoclear bit somebody wrote the image who doesn't know bitmaps: they are stale.
        if (!(h.autoclear & autoclear::bitmaps)) return {};
        if (data.size() != 24)
            return Error::invalid_argument("bitmaps extension has {} bytes, expected 24", data.size());
        h.has_bitmaps = true;
        h.bitmap_count = get32(&data[0]);
        h.bitmap_directory_size = get64(&data[8]);
        h.bitmap_directory_offset = get64(&data[16]);
        if (get32(&data[4])) return Error::invalid_argument("bitmaps extension: reserved field is not zero");
        if (h.bitmap_count == 0 || h.bitmap_count > max_bitmaps)
            return Error::invalid_argument("bitmaps extension has {} bitmaps, expected 1 to {}", h.bitmap_count,
                                           max_bitmaps);
        if (h.bitmap_directory_offset % h.cluster_size() || h.bitmap_directory_size > u64(h.bitmap_count) * 4096)
            return Error::invalid_argument("bitmaps extension has an invalid directory (offset {:#x}, {} bytes)",
                                           h.bitmap_directory_offset, h.bitmap_directory_size);
        return {};
    default: h.extensions.push_back({type, {data.begin(), data.end()}}); return {};
    }
}

Result<void> parse_extensions(Header& h, std::span<const u8> bytes, size_t at, size_t end, u64 unknown) {
    std::span<const u8> names;
    while (at + 8 <= end) {
        u32 type = get32(&bytes[at]), length = get32(&bytes[at + 4]);
        if (type == ext_end) break;
        at += 8;
        if (length > end - at)
            return Error::invalid_argument("Header extension too large ({:#x}, {} bytes)", type, length);
        auto data = bytes.subspan(at, length);
        if (type == ext_feature_names) names = data;
        TRY(take_extension(h, type, data));
        at += size_t(round_up(length, 8));
    }
    if (unknown) return Error::unsupported("Unsupported qcow2 feature(s): {}", unknown_features(unknown, names));
    if ((h.autoclear & autoclear::bitmaps) && !h.has_bitmaps) h.autoclear &= ~autoclear::bitmaps;
    return {};
}

Result<u32> parse_version3(Header& h, std::span<const u8> bytes) {
    h.incompatible = get64(&bytes[72]);
    h.compatible = get64(&bytes[80]);
    h.autoclear = get64(&bytes[88]);
    h.refcount_order = get32(&bytes[96]);
    u32 length = get32(&bytes[100]);
    if (length < v3_length || length % 8)
        return Error::invalid_argument("qcow2 header length {} is invalid, expected at least {} and a multiple of 8",
                                       length, v3_length);
    if (length > bytes.size()) return Error::invalid_argument("qcow2 header exceeds cluster size");
    u8 type = length > 104 ? bytes[104] : 0;
    bool flagged = h.incompatible & incompatible::compression;
    if (flagged != (type != 0))
        return Error::invalid_argument("qcow2: Compression type incompatible feature bit must {}be set",
                                       type ? "" : "not ");
    if (type > u8(Compression::zstd)) return Error::unsupported("qcow2: unknown compression type {}", type);
    h.compression = Compression(type);
    if (length > own_length) h.later_fields.assign(bytes.begin() + own_length, bytes.begin() + length);
    return length;
}

void append_extension(std::vector<u8>& out, u32 type, std::span<const u8> data) {
    size_t at = out.size();
    out.resize(at + 8 + round_up(data.size(), 8));
    put32(&out[at], type);
    put32(&out[at + 4], u32(data.size()));
    std::copy(data.begin(), data.end(), out.begin() + long(at) + 8);
}
std::span<const u8> bytes_of(const std::string& s) { return {reinterpret_cast<const u8*>(s.data()), s.size()}; }

void append_extensions(std::vector<u8>& out, const Header& h, bool with_names) {
    if (!h.backing_format.empty()) append_extension(out, ext_backing_format, bytes_of(h.backing_format));
    if (h.external_data() && !h.data_file.empty()) append_extension(out, ext_data_file, bytes_of(h.data_file));
    if (h.crypt == Crypt::luks) {
        u8 data[16];
        put64(data, h.luks_offset);
        put64(data + 8, h.luks_length);
        append_extension(out, ext_luks, data);
    }
    if (with_names) {
        std::vector<u8> table(std::size(feature_names) * feature_entry);
        for (size_t i = 0; i < std::size(feature_names); i++) {
            table[i * feature_entry] = feature_names[i].type;
            table[i * feature_entry + 1] = feature_names[i].bit;
            std::ranges::copy(feature_names[i].name, table.begin() + long(i * feature_entry) + 2);
        }
        append_extension(out, ext_feature_names, table);
    }
    if (h.has_bitmaps) {
        u8 data[24] = {};
        put32(data, h.bitmap_count);
        put64(data + 8, h.bitmap_directory_size);
        put64(data + 16, h.bitmap_directory_offset);
        append_extension(out, ext_bitmaps, data);
    }
    for (auto& e : h.extensions) append_extension(out, e.type, e.bytes);
    append_extension(out, ext_end, {});
}

} // namespace

bool has_magic(std::span<const u8> head) {
    return head.size() >= 8 && get32(head.data()) == magic && get32(head.data() + 4) >= 2;
}

Result<u64> parse_cluster_size(std::span<const u8> bytes) {
    if (bytes.size() < v2_length || get32(bytes.data()) != magic)
        return Error::invalid_argument("Image is not in qcow2 format");
    u32 bits = get32(&bytes[20]);
    if (bits < min_cluster_bits || bits > max_cluster_bits)
        return Error::invalid_argument("Unsupported cluster size: 2^{}", bits);
    return u64(1) << bits;
}

Result<Header> parse(std::span<const u8> bytes) {
    if (bytes.size() < v2_length || get32(bytes.data()) != magic)
        return Error::invalid_argument("Image is not in qcow2 format");
    Header h;
    h.version = get32(&bytes[4]);
    if (h.version != 2 && h.version != 3) return Error::unsupported("Unsupported qcow2 version {}", h.version);
    u64 backing_offset = get64(&bytes[8]);
    u32 backing_length = get32(&bytes[16]);
    h.cluster_bits = get32(&bytes[20]);
    h.size = get64(&bytes[24]);
    h.crypt = Crypt(get32(&bytes[32]));
    h.l1_entries = get32(&bytes[36]);
    h.l1_offset = get64(&bytes[40]);
    h.refcount_table_offset = get64(&bytes[48]);
    h.refcount_table_clusters = get32(&bytes[56]);
    h.snapshot_count = get32(&bytes[60]);
    h.snapshots_offset = get64(&bytes[64]);
    u32 length = v2_length;
    if (h.version == 3) {
        if (bytes.size() < v3_length)
            return Error::invalid_argument("qcow2 header is cut off at {} bytes", bytes.size());
        length = TRY(parse_version3(h, bytes));
    }
    if (h.cluster_bits < min_cluster_bits || h.cluster_bits > max_cluster_bits)
        return Error::invalid_argument("Unsupported cluster size: 2^{}", h.cluster_bits);
    size_t end = std::min<size_t>(bytes.size(), h.cluster_size());
    if (backing_offset) {
        if (backing_length > max_backing_name)
            return Error::invalid_argument("Backing file name too long ({} bytes)", backing_length);
        if (backing_offset > end || backing_length > end - backing_offset || backing_offset < length)
            return Error::invalid_argument("Invalid backing file offset {:#x}", backing_offset);
        h.backing_file.assign(reinterpret_cast<const char*>(&bytes[0]) + backing_offset, backing_length);
        end = backing_offset;
    }
    TRY(parse_extensions(h, bytes, length, end, h.incompatible & ~incompatible::all));
    TRY(check_fields(h));
    if (h.raw_external() && !h.external_data()) return Error::invalid_argument("data-file-raw requires a data file");
    if (!h.external_data()) h.data_file.clear();
    return h;
}

namespace {

Result<std::vector<u8>> serialize_with(const Header& h, bool with_names) {
    u32 length = h.version == 2 ? v2_length : u32(own_length + h.later_fields.size());
    std::vector<u8> out(length);
    put32(&out[0], magic);
    put32(&out[4], h.version);
    put32(&out[20], h.cluster_bits);
    put64(&out[24], h.size);
    put32(&out[32], u32(h.crypt));
    put32(&out[36], h.l1_entries);
    put64(&out[40], h.l1_offset);
    put64(&out[48], h.refcount_table_offset);
    put32(&out[56], h.refcount_table_clusters);
    put32(&out[60], h.snapshot_count);
    put64(&out[64], h.snapshots_offset);
    if (h.version >= 3) {
        put64(&out[72], h.incompatible);
        put64(&out[80], h.compatible);
        put64(&out[88], h.autoclear & autoclear::all);
        put32(&out[96], h.refcount_order);
        put32(&out[100], length);
        out[104] = u8(h.compression);
        std::ranges::copy(h.later_fields, out.begin() + own_length);
    }
    append_extensions(out, h, with_names);
    if (!h.backing_file.empty()) {
        if (h.backing_file.size() > max_backing_name)
            return Error::invalid_argument("Backing file name too long ({} bytes, expected at most {})",
                                           h.backing_file.size(), max_backing_name);
        put64(&out[8], out.size());
        put32(&out[16], u32(h.backing_file.size()));
        auto name = bytes_of(h.backing_file);
        out.insert(out.end(), name.begin(), name.end());
    }
    if (out.size() > h.cluster_size())
        return Error::no_space("the qcow2 header needs {} bytes, expected at most one cluster of {}", out.size(),
                               h.cluster_size());
    return out;
}

} // namespace

Result<std::vector<u8>> serialize(const Header& h) {
    auto whole = serialize_with(h, h.version >= 3);
    // The names of the features are there for people; small clusters have no room for them beside the rest.
    if (!whole && whole.error().kind() == ErrorKind::no_space) return serialize_with(h, false);
    return whole;
}

} // namespace mimic::block::qcow2
