// Persistent dirty bitmaps (sections Bitmaps extension and Bitmaps).
//
// While the image is written to, enabled bitmaps are marked in use on disk; their bits are kept in memory by parts of one
// cluster and stored when the image is closed. A bitmap that was in use when somebody crashed stays so: its bits mean nothing.
#include "block/qcow2/image.hpp"
#include <algorithm>
#include <bit>
#include <cstring>

namespace mimic::block::qcow2 {

namespace {

constexpr size_t fixed_bytes = 24, max_name = 1023;
constexpr u32 min_granularity_bits = 9, max_granularity_bits = 31;
constexpr u64 table_ones = 1;
constexpr u64 max_table_bytes = 8u << 20;

u64 bytes_of(const Bitmap& b, u64 disk) { return div_up(div_up(disk, u64(1) << b.granularity_bits), 8); }

} // namespace

Bitmap* Qcow2::find_bitmap(const std::string& name) {
    for (auto& b : bitmaps_)
        if (b.name == name) return &b;
    return nullptr;
}

std::vector<BitmapInfo> Qcow2::bitmaps() const {
    std::vector<BitmapInfo> list;
    for (auto& b : bitmaps_)
        list.push_back({b.name, u64(1) << b.granularity_bits, (b.flags & Bitmap::in_use) && !bitmaps_in_use_,
                        (b.flags & Bitmap::automatic) != 0});
    return list;
}

Task<Result<void>> Qcow2::load_bitmaps() {
    bitmaps_.clear();
    if (!header_.has_bitmaps) co_return Result<void>();
    if (header_.bitmap_directory_offset >= file()->size())
        co_return Error::invalid_argument("bitmap directory is past the end of the file");
    std::vector<u8> raw(header_.bitmap_directory_size);
    IoVec memory{std::span<u8>(raw)};
    CO_CHECK(co_await file()->read(header_.bitmap_directory_offset, memory));
    size_t at = 0;
    for (u32 i = 0; i < header_.bitmap_count; i++) {
        if (at + fixed_bytes > raw.size())
            co_return Error::invalid_argument("bitmap directory ends after {} of {} entries", i, header_.bitmap_count);
        const u8* p = &raw[at];
        Bitmap b;
        b.table_offset = get64(p);
        u32 entries = get32(p + 8);
        b.flags = get32(p + 12);
        b.type = p[16];
        b.granularity_bits = p[17];
        u16 name_length = get16(p + 18);
        u32 extra_length = get32(p + 20);
        size_t bytes = fixed_bytes + size_t(extra_length) + name_length;
        if (extra_length > raw.size() || at + bytes > raw.size() || name_length == 0 || name_length > max_name)
            co_return Error::invalid_argument("bitmap directory entry {} is invalid", i);
        b.extra.assign(p + fixed_bytes, p + fixed_bytes + extra_length);
        b.name.assign(reinterpret_cast<const char*>(p) + fixed_bytes + extra_length, name_length);
        if (b.type != 1 || b.granularity_bits < min_granularity_bits || b.granularity_bits > max_granularity_bits ||
            in_cluster(b.table_offset) || u64(entries) * 8 > max_table_bytes || (b.flags & ~u32(7)))
            co_return Error::invalid_argument("bitmap '{}' has invalid properties", b.name);
        if (b.table_offset >= file()->size() && entries)
            co_return Error::invalid_argument("bitmap '{}' has its table past the end of the file", b.name);
        // A table is as long as the disk needs, and in the file: so a small file claims no large one.
        if (u64(entries) != div_up(bytes_of(b, header_.size), header_.cluster_size()) && !(b.flags & Bitmap::in_use))
            co_return Error::invalid_argument(
                "bitmap '{}' has a table of {} entries, which does not fit the disk's size", b.name, entries);
        if (b.table_offset + u64(entries) * 8 > round_up(file()->size(), header_.cluster_size()))
            co_return Error::invalid_argument("bitmap '{}' has its table past the end of the file", b.name);
        std::vector<u8> table(u64(entries) * 8);
        IoVec table_memory{std::span<u8>(table)};
        CO_CHECK(co_await file()->read(b.table_offset, table_memory));
        for (u32 k = 0; k < entries; k++) b.table.push_back(get64(&table[k * 8]));
        bitmaps_.push_back(std::move(b));
        at += round_up(bytes, 8);
    }
    co_return Result<void>();
}

Result<void> Qcow2::usable_bitmap(const Bitmap* b, const std::string& name) const {
    if (!b) return Error::not_found("Dirty bitmap '{}' not found in '{}'", name, filename());
    if ((b->flags & Bitmap::in_use) && !bitmaps_in_use_)
        return Error::invalid_argument("Bitmap '{}' of '{}' is inconsistent and cannot be used; it can only be removed",
                                       name, filename());
    if (!b->extra.empty() && !(b->flags & Bitmap::extra_compatible))
        return Error::unsupported("Bitmap '{}' of '{}' has data of a newer kind", name, filename());
    return {};
}

// One cluster of a bitmap's bits, in memory.
Task<Result<std::vector<u8>*>> Qcow2::bitmap_part(Bitmap& b, u64 part) {
    auto at = b.parts.find(part);
    if (at != b.parts.end()) co_return &at->second;
    u64 entry = part < b.table.size() ? b.table[part] : 0;
    std::vector<u8> bytes(header_.cluster_size(), (entry & entry_offset) == 0 && (entry & table_ones) ? 0xff : 0);
    if (entry & entry_offset) {
        if (in_cluster(entry & entry_offset))
            co_return corrupt(fmt::format("bitmap '{}' has an unaligned cluster", b.name));
        IoVec memory{std::span<u8>(bytes)};
        CO_CHECK(co_await file()->read(entry & entry_offset, memory));
    }
    // Another task may have loaded it meanwhile and changed it.
    co_return &b.parts.try_emplace(part, std::move(bytes)).first->second;
}

Task<Result<void>> Qcow2::set_bits(Bitmap& b, u64 offset, u64 length) {
    if (length == 0) co_return Result<void>();
    u64 bit = offset >> b.granularity_bits, last = (offset + length - 1) >> b.granularity_bits,
        per_part = header_.cluster_size() * 8;
    while (bit <= last) {
        CO_TRY(auto* bytes, co_await bitmap_part(b, bit / per_part));
        u64 end = std::min(last, round_up(bit + 1, per_part) - 1);
        for (; bit <= end; bit++) (*bytes)[bit % per_part / 8] |= u8(1u << (bit % 8));
    }
    b.changed = true;
    co_return Result<void>();
}

Task<Result<void>> Qcow2::mark_written(u64 offset, u64 length) {
    if (bitmaps_.empty()) co_return Result<void>();
    CO_CHECK(co_await begin_bitmap_use());
    for (auto& b : bitmaps_)
        if ((b.flags & Bitmap::automatic) && b.extra.empty()) CO_CHECK(co_await set_bits(b, offset, length));
    co_return Result<void>();
}

// Enabled bitmaps are marked in use before the first write.
Task<Result<void>> Qcow2::begin_bitmap_use() {
    if (bitmaps_in_use_) co_return Result<void>();
    auto lock = co_await metadata_.lock();
    if (bitmaps_in_use_) co_return Result<void>();
    bool any = false;
    for (auto& b : bitmaps_)
        if ((b.flags & Bitmap::automatic) && !(b.flags & Bitmap::in_use)) {
            b.flags |= Bitmap::in_use;
            any = true;
        } else if (b.flags & Bitmap::in_use) {
            // Stale before us: it neither records nor becomes whole again.
            b.flags &= ~u32(Bitmap::automatic);
        }
    if (any) {
        CO_CHECK(co_await write_bitmap_directory());
        CO_CHECK(co_await barrier());
    }
    bitmaps_in_use_ = true;
    co_return Result<void>();
}

// A new directory, then the header that points to it. Under metadata_.
Task<Result<void>> Qcow2::write_bitmap_directory() {
    std::vector<u8> raw;
    for (auto& b : bitmaps_) {
        size_t at = raw.size();
        raw.resize(at + round_up(fixed_bytes + b.extra.size() + b.name.size(), 8));
        u8* p = &raw[at];
        put64(p, b.table_offset);
        put32(p + 8, u32(b.table.size()));
        put32(p + 12, b.flags);
        p[16] = b.type;
        p[17] = u8(b.granularity_bits);
        put16(p + 18, u16(b.name.size()));
        put32(p + 20, u32(b.extra.size()));
        std::ranges::copy(b.extra, p + fixed_bytes);
        std::ranges::copy(b.name, p + fixed_bytes + b.extra.size());
    }
    u64 old_offset = header_.bitmap_directory_offset,
        old_bytes = header_.has_bitmaps ? header_.bitmap_directory_size : 0;
    u64 offset = 0;
    if (!raw.empty()) {
        CO_TRY(offset, co_await refcounts_.allocate_bytes(raw.size()));
        IoVec memory{std::span<u8>(raw)};
        CO_CHECK(co_await file()->write(offset, memory));
    }
    CO_CHECK(co_await flush_tables());
    CO_CHECK(co_await barrier());
    Header before = header_;
    header_.has_bitmaps = !raw.empty();
    header_.bitmap_count = u32(bitmaps_.size());
    header_.bitmap_directory_offset = offset;
    header_.bitmap_directory_size = raw.size();
    header_.autoclear = raw.empty() ? header_.autoclear & ~autoclear::bitmaps : header_.autoclear | autoclear::bitmaps;
    CO_CHECK(co_await switch_header(std::move(before)));
    if (old_bytes) refcounts_.release(cluster_of(old_offset), div_up(old_bytes, header_.cluster_size()));
    co_return Result<void>();
}

// Gives up the clusters of a bitmap's data and table.
Task<Result<void>> Qcow2::free_bitmap_data(Bitmap& b) {
    for (u64 entry : b.table)
        if (entry & entry_offset) refcounts_.release(cluster_of(entry & entry_offset), 1);
    if (b.table_offset)
        refcounts_.release(cluster_of(b.table_offset), div_up(b.table.size() * 8, header_.cluster_size()));
    b.table.clear();
    b.table_offset = 0;
    co_return Result<void>();
}

// On closing: changed bitmaps are written anew, and the directory says that all are whole. Under metadata_.
Task<Result<void>> Qcow2::store_bitmaps() {
    bool any = false;
    for (auto& b : bitmaps_)
        any = any || b.changed || (bitmaps_in_use_ && (b.flags & Bitmap::in_use) && (b.flags & Bitmap::automatic));
    if (!any) co_return Result<void>();
    for (auto& b : bitmaps_) {
        if (!b.changed) continue;
        u64 parts = div_up(bytes_of(b, header_.size), header_.cluster_size());
        std::vector<u64> table(parts);
        u64 tail_bits = div_up(header_.size, u64(1) << b.granularity_bits) % (header_.cluster_size() * 8);
        for (u64 i = 0; i < parts; i++) {
            CO_TRY(auto* bytes, co_await bitmap_part(b, i));
            // Bits past the disk's end are zero.
            if (i + 1 == parts && tail_bits) {
                for (u64 bit = tail_bits; bit % 8; bit++) (*bytes)[bit / 8] &= u8(~(1u << (bit % 8)));
                std::fill(bytes->begin() + long(div_up(tail_bits, 8)), bytes->end(), u8(0));
            }
            bool zeros = io::is_zero(bytes->data(), bytes->size());
            if (zeros) continue;
            CO_TRY(table[i], co_await refcounts_.allocate(1, true));
            IoVec memory{std::span<u8>(*bytes)};
            CO_CHECK(co_await file()->write(table[i], memory));
        }
        CO_CHECK(co_await free_bitmap_data(b));
        b.table = std::move(table);
        if (parts) {
            CO_TRY(b.table_offset, co_await refcounts_.allocate_bytes(parts * 8));
            std::vector<u8> raw(parts * 8);
            for (u64 i = 0; i < parts; i++) put64(&raw[i * 8], b.table[i]);
            IoVec memory{std::span<u8>(raw)};
            CO_CHECK(co_await file()->write(b.table_offset, memory));
        }
        b.changed = false;
        b.parts.clear();
    }
    if (bitmaps_in_use_)
        for (auto& b : bitmaps_)
            if (b.flags & Bitmap::automatic) b.flags &= ~u32(Bitmap::in_use);
    bitmaps_in_use_ = false;
    CO_CHECK(co_await barrier());
    CO_CHECK(co_await write_bitmap_directory());
    co_return co_await barrier();
}

Task<Result<void>> Qcow2::bitmap_add(const std::string& name, u64 granularity, bool enabled) {
    if (header_.version < 3)
        co_return Error::unsupported("Cannot store dirty bitmaps in qcow2 v2 files ('{}')", filename());
    if (find_bitmap(name)) co_return Error::exists("Bitmap already exists: {}", name);
    if (name.empty() || name.size() > max_name)
        co_return Error::invalid_argument("bitmap name of {} bytes, expected 1 to {}", name.size(), max_name);
    if (bitmaps_.size() >= max_bitmaps)
        co_return Error::no_space("'{}' has {} bitmaps, which is the limit", filename(), bitmaps_.size());
    if (granularity == 0) granularity = std::clamp<u64>(header_.cluster_size(), 4096, 65536);
    if (!std::has_single_bit(granularity) || granularity < (1u << min_granularity_bits) ||
        granularity > (u64(1) << max_granularity_bits))
        co_return Error::invalid_argument("Granularity {} is invalid, expected a power of 2 from 512 bytes to 2 GiB",
                                          granularity);
    auto lock = co_await metadata_.lock();
    CO_CHECK(co_await before_change());
    Bitmap b;
    b.name = name;
    b.granularity_bits = u32(std::countr_zero(granularity));
    if (enabled) b.flags = Bitmap::automatic | (bitmaps_in_use_ ? u32(Bitmap::in_use) : 0u);
    u64 parts = div_up(bytes_of(b, header_.size), header_.cluster_size());
    if (parts * 8 > max_table_bytes)
        co_return Error::no_space(
            "bitmap '{}' would need a table of {} bytes, expected at most {}; a larger granularity is needed", name,
            parts * 8, max_table_bytes);
    b.table.assign(parts, 0);
    if (parts) {
        CO_TRY(b.table_offset, co_await refcounts_.allocate_bytes(parts * 8));
        std::vector<u8> raw(parts * 8);
        IoVec memory{std::span<u8>(raw)};
        CO_CHECK(co_await file()->write(b.table_offset, memory));
    }
    bitmaps_.push_back(std::move(b));
    co_return co_await write_bitmap_directory();
}

Task<Result<void>> Qcow2::bitmap_remove(const std::string& name) {
    Bitmap* b = find_bitmap(name);
    if (!b) co_return Error::not_found("Dirty bitmap '{}' not found in '{}'", name, filename());
    auto lock = co_await metadata_.lock();
    CO_CHECK(co_await before_change());
    Bitmap gone = std::move(*b);
    bitmaps_.erase(bitmaps_.begin() + (b - bitmaps_.data()));
    CO_CHECK(co_await write_bitmap_directory());
    co_return co_await free_bitmap_data(gone);
}

Task<Result<void>> Qcow2::bitmap_clear(const std::string& name) {
    Bitmap* b = find_bitmap(name);
    CO_CHECK(usable_bitmap(b, name));
    // What is not in memory counts as zero from here on; the old clusters go when it is stored.
    b->parts.clear();
    u64 parts = div_up(bytes_of(*b, header_.size), header_.cluster_size());
    for (u64 i = 0; i < std::max<u64>(parts, b->table.size()); i++) b->parts[i].assign(header_.cluster_size(), 0);
    b->changed = true;
    co_return Result<void>();
}

Task<Result<void>> Qcow2::bitmap_enable(const std::string& name, bool on) {
    Bitmap* b = find_bitmap(name);
    CO_CHECK(usable_bitmap(b, name));
    auto lock = co_await metadata_.lock();
    b->flags = on ? b->flags | Bitmap::automatic : b->flags & ~u32(Bitmap::automatic);
    co_return co_await write_bitmap_directory();
}

Task<Result<bool>> Qcow2::bitmap_state(const std::string& name, u64 offset, u64& length) {
    Bitmap* b = find_bitmap(name);
    CO_CHECK(usable_bitmap(b, name));
    u64 per_part = header_.cluster_size() * 8, bit = offset >> b->granularity_bits;
    u64 last = (offset + length - 1) >> b->granularity_bits;
    CO_TRY(auto* first, co_await bitmap_part(*b, bit / per_part));
    bool set = (*first)[bit % per_part / 8] >> (bit % 8) & 1;
    u64 end = bit;
    while (end <= last) {
        CO_TRY(auto* bytes, co_await bitmap_part(*b, end / per_part));
        if (bool((*bytes)[end % per_part / 8] >> (end % 8) & 1) != set) break;
        end++;
    }
    length = std::min(length, (end << b->granularity_bits) - offset);
    co_return set;
}

Task<Result<void>> Qcow2::bitmap_merge(const std::string& target, Qcow2& from, const std::string& source) {
    Bitmap* to = find_bitmap(target);
    CO_CHECK(usable_bitmap(to, target));
    CO_CHECK(from.usable_bitmap(from.find_bitmap(source), source));
    if (from.size() != size())
        co_return Error::invalid_argument(
            "Bitmaps are of different sizes (destination size is {} and source size is {}) and can't be merged", size(),
            from.size());
    for (u64 at = 0; at < size();) {
        u64 length = size() - at;
        CO_TRY(bool set, co_await from.bitmap_state(source, at, length));
        if (set) CO_CHECK(co_await set_bits(*to, at, length));
        at += length;
    }
    co_return Result<void>();
}

Task<Result<void>> Qcow2::resize_bitmaps(u64 new_size) {
    for (auto& b : bitmaps_) {
        if ((b.flags & Bitmap::in_use) && !bitmaps_in_use_)
            co_return Error::unsupported("Cannot resize '{}': its bitmap '{}' is inconsistent; remove it first",
                                         filename(), b.name);
        u64 parts = div_up(bytes_of(b, new_size), header_.cluster_size());
        if (parts * 8 > max_table_bytes)
            co_return Error::no_space("bitmap '{}' would need a table of {} bytes, expected at most {}", b.name,
                                      parts * 8, max_table_bytes);
        // Bits of what is cut off must not come back when the disk grows again: store() clears them; load them for that.
        u64 last = div_up(bytes_of(b, header_.size), header_.cluster_size());
        for (u64 i = 0; i < last; i++) {
            CO_TRY(auto* bytes, co_await bitmap_part(b, i));
            static_cast<void>(bytes);
        }
        b.changed = true;
    }
    co_return Result<void>();
}

} // namespace mimic::block::qcow2
