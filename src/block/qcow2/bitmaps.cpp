// Persistent dirty bitmaps (sections Bitmaps extension and Bitmaps).
//
// Before the first write, and before bits change in any other way, all bitmaps are marked in use on disk; their bits are in
// memory then (Node::dirty_bitmaps), and stored when the image is closed. A bitmap that was in use when somebody crashed stays
// so: its bits mean nothing.
#include "block/qcow2/image.hpp"
#include <algorithm>
#include <bit>
#include <cstring>

namespace mimic::block::qcow2 {

namespace {

constexpr size_t fixed_bytes = 24, max_name = max_bitmap_name;
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
        list.push_back({b.name, u64(1) << b.granularity_bits, b.stale,
                        b.bits ? b.bits->enabled : (b.flags & Bitmap::automatic) != 0});
    for (auto& b : Node::bitmaps()) list.push_back(b);
    return list;
}

Task<Result<void>> Qcow2::read_bitmap_directory() {
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
        b.stale = b.flags & Bitmap::in_use;
        bitmaps_.push_back(std::move(b));
        at += round_up(bytes, 8);
    }
    co_return Result<void>();
}

Result<void> Qcow2::usable_bitmap(const Bitmap* b, const std::string& name) const {
    if (!b) return Error::invalid_argument("Dirty bitmap '{}' not found in '{}'", name, filename());
    if (b->stale)
        return Error::invalid_argument("Bitmap '{}' of '{}' is inconsistent and cannot be used; it can only be removed",
                                       name, filename());
    if (!b->extra.empty() && !(b->flags & Bitmap::extra_compatible))
        return Error::unsupported("Bitmap '{}' of '{}' has data of a newer kind", name, filename());
    return {};
}

// Under metadata_.
Task<Result<void>> Qcow2::load_bits(Bitmap& b) {
    if (b.bits) co_return Result<void>();
    CO_CHECK(usable_bitmap(&b, b.name));
    u64 cluster = header_.cluster_size();
    // Clusters that are named twice are damage, and would let a small file claim much memory.
    u64 stored = u64(std::ranges::count_if(b.table, [](u64 e) { return (e & entry_offset) != 0; }));
    if (stored * cluster > file()->size())
        co_return corrupt(fmt::format("bitmap '{}' has more clusters than the file", b.name));
    CO_TRY(auto bits, DirtyBitmap::create(b.name, header_.size, u64(1) << b.granularity_bits));
    std::vector<u8> raw(cluster);
    for (u64 i = 0; i < b.table.size(); i++) {
        u64 entry = b.table[i];
        if (entry & entry_offset) {
            if (in_cluster(entry & entry_offset))
                co_return corrupt(fmt::format("bitmap '{}' has an unaligned cluster", b.name));
            IoVec memory{std::span<u8>(raw)};
            CO_CHECK(co_await file()->read(entry & entry_offset, memory));
            bits->load(i * cluster * 8, raw);
        } else if (entry & table_ones) {
            u64 span = cluster * 8 << b.granularity_bits;
            bits->set(i * span, span);
        }
    }
    bits->enabled = b.flags & Bitmap::automatic;
    bits->persistent = true;
    bits->changed = false;
    b.bits = bits;
    track(std::move(bits));
    co_return Result<void>();
}

Task<Result<void>> Qcow2::load_bitmaps() {
    if (bitmaps_.empty()) co_return Result<void>();
    auto lock = co_await metadata_.lock();
    for (auto& b : bitmaps_)
        if (usable_bitmap(&b, b.name)) CO_CHECK(co_await load_bits(b));
    co_return Result<void>();
}

Task<Result<std::shared_ptr<DirtyBitmap>>> Qcow2::bitmap(const std::string& name) {
    Bitmap* b = find_bitmap(name);
    if (!b) co_return co_await Node::bitmap(name);
    CO_CHECK(usable_bitmap(b, name));
    if (!b->bits) {
        auto lock = co_await metadata_.lock();
        CO_CHECK(co_await load_bits(*b));
    }
    co_return b->bits;
}

// All good bitmaps are marked in use, once.
Task<Result<void>> Qcow2::begin_bitmap_use() {
    if (bitmaps_in_use_ || bitmaps_.empty()) co_return Result<void>();
    auto lock = co_await metadata_.lock();
    if (bitmaps_in_use_) co_return Result<void>();
    if (options_.read_only) co_return Error::permission("'{}' is open read-only", filename());
    bool any = false;
    for (auto& b : bitmaps_) {
        if (!usable_bitmap(&b, b.name)) continue;
        if (b.flags & Bitmap::automatic) CO_CHECK(co_await load_bits(b));
        b.flags |= Bitmap::in_use;
        any = true;
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

// New clusters for the bits that changed; the old ones are given up. Under metadata_.
Task<Result<void>> Qcow2::store_bits(Bitmap& b) {
    u64 cluster = header_.cluster_size(), parts = div_up(bytes_of(b, header_.size), cluster);
    std::vector<u64> table(parts);
    std::vector<u8> raw(cluster);
    for (u64 i = 0; i < parts; i++) {
        b.bits->store(i * cluster * 8, raw);
        if (io::is_zero(raw.data(), raw.size())) continue;
        CO_TRY(table[i], co_await refcounts_.allocate(1, true));
        IoVec memory{std::span<u8>(raw)};
        CO_CHECK(co_await file()->write(table[i], memory));
    }
    CO_CHECK(co_await free_bitmap_data(b));
    b.table = std::move(table);
    if (parts) {
        CO_TRY(b.table_offset, co_await refcounts_.allocate_bytes(parts * 8));
        std::vector<u8> entries(parts * 8);
        for (u64 i = 0; i < parts; i++) put64(&entries[i * 8], b.table[i]);
        IoVec memory{std::span<u8>(entries)};
        CO_CHECK(co_await file()->write(b.table_offset, memory));
    }
    b.bits->changed = false;
    co_return Result<void>();
}

// On closing: changed bitmaps are written anew, and the directory says that all are whole. Under metadata_.
Task<Result<void>> Qcow2::store_bitmaps() {
    if (!bitmaps_in_use_) co_return Result<void>();
    for (auto& b : bitmaps_) {
        if (b.bits && b.bits->changed) CO_CHECK(co_await store_bits(b));
        if (b.stale) continue;
        b.flags &= ~u32(Bitmap::in_use);
        if (b.bits) b.flags = b.bits->enabled ? b.flags | Bitmap::automatic : b.flags & ~u32(Bitmap::automatic);
    }
    bitmaps_in_use_ = false;
    CO_CHECK(co_await barrier());
    CO_CHECK(co_await write_bitmap_directory());
    co_return co_await barrier();
}

Task<Result<void>> Qcow2::bitmap_add(const std::string& name, u64 granularity, bool enabled, bool persistent) {
    if (!persistent) co_return co_await Node::bitmap_add(name, granularity, enabled, false);
    if (options_.read_only) co_return Error::permission("'{}' is open read-only", filename());
    if (header_.version < 3)
        co_return Error::unsupported("Cannot store dirty bitmaps in qcow2 v2 files ('{}')", filename());
    if (find_bitmap(name) || find_tracked(name)) co_return Error::exists("Bitmap already exists: {}", name);
    if (name.empty() || name.size() > max_name)
        co_return Error::invalid_argument("bitmap name of {} bytes, expected 1 to {}", name.size(), max_name);
    if (bitmaps_.size() >= max_bitmaps)
        co_return Error::no_space("'{}' has {} bitmaps, which is the limit", filename(), bitmaps_.size());
    if (granularity == 0) granularity = default_granularity();
    CO_TRY(auto bits, DirtyBitmap::create(name, size(), granularity));
    CO_CHECK(co_await begin_bitmap_use());
    auto lock = co_await metadata_.lock();
    CO_CHECK(co_await before_change());
    Bitmap b;
    b.name = name;
    b.granularity_bits = u32(std::countr_zero(granularity));
    b.flags = Bitmap::in_use | (enabled ? u32(Bitmap::automatic) : 0u);
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
    bits->enabled = enabled;
    bits->persistent = true;
    b.bits = bits;
    track(std::move(bits));
    bitmaps_.push_back(std::move(b));
    bitmaps_in_use_ = true;
    co_return co_await write_bitmap_directory();
}

Task<Result<void>> Qcow2::bitmap_remove(const std::string& name) {
    if (!find_bitmap(name)) co_return co_await Node::bitmap_remove(name);
    if (options_.read_only) co_return Error::permission("'{}' is open read-only", filename());
    auto lock = co_await metadata_.lock();
    CO_CHECK(co_await before_change());
    auto at = std::ranges::find(bitmaps_, name, &Bitmap::name);
    if (at == bitmaps_.end()) co_return Error::invalid_argument("Dirty bitmap '{}' not found", name);
    Bitmap gone = std::move(*at);
    bitmaps_.erase(at);
    if (gone.bits) untrack(*gone.bits);
    CO_CHECK(co_await write_bitmap_directory());
    co_return co_await free_bitmap_data(gone);
}

// The bits themselves follow in Node::truncate.
Task<Result<void>> Qcow2::resize_bitmaps(u64 new_size) {
    for (auto& b : bitmaps_) {
        if (b.stale)
            co_return Error::unsupported("Cannot resize '{}': its bitmap '{}' is inconsistent; remove it first",
                                         filename(), b.name);
        u64 parts = div_up(bytes_of(b, new_size), header_.cluster_size());
        if (parts * 8 > max_table_bytes || (new_size >> b.granularity_bits) >= DirtyBitmap::max_bits)
            co_return Error::no_space("bitmap '{}' would need a table of {} bytes, expected at most {}", b.name,
                                      parts * 8, max_table_bytes);
    }
    CO_CHECK(co_await load_bitmaps());
    if (!bitmaps_.empty()) CO_CHECK(co_await begin_bitmap_use());
    co_return Result<void>();
}

} // namespace mimic::block::qcow2
