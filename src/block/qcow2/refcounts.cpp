#include "block/qcow2/refcounts.hpp"
#include <algorithm>

namespace mimic::block::qcow2 {

u64 get_count(const u8* block, u64 index, u32 order) {
    switch (order) {
    case 0:
    case 1:
    case 2: {
        u32 bits = 1u << order, per_byte = 8 / bits;
        return (block[index / per_byte] >> (index % per_byte * bits)) & ((1u << bits) - 1);
    }
    case 3: return block[index];
    case 4: return get16(block + index * 2);
    case 5: return get32(block + index * 4);
    default: return get64(block + index * 8);
    }
}

void set_count(u8* block, u64 index, u32 order, u64 value) {
    switch (order) {
    case 0:
    case 1:
    case 2: {
        u32 bits = 1u << order, per_byte = 8 / bits, shift = u32(index % per_byte) * bits;
        u8& byte = block[index / per_byte];
        byte = u8((byte & ~(((1u << bits) - 1) << shift)) | (value << shift));
        return;
    }
    case 3: block[index] = u8(value); return;
    case 4: put16(block + index * 2, u16(value)); return;
    case 5: put32(block + index * 4, u32(value)); return;
    default: put64(block + index * 8, value); return;
    }
}

Refcounts::Refcounts(io::Loop& loop, Header& header, u64 cache_limit)
    : header_(header)
    , cache_(loop, header.cluster_size(), cache_limit) {}

Task<Result<void>> Refcounts::load() {
    u64 bytes = u64(header_.refcount_table_clusters) << header_.cluster_bits;
    std::vector<u8> raw(bytes);
    IoVec memory{std::span<u8>(raw)};
    CO_CHECK(co_await file_->read(header_.refcount_table_offset, memory));
    table_.assign(bytes / 8, 0);
    for (size_t i = 0; i < table_.size(); i++) {
        table_[i] = get64(&raw[i * 8]) & ~u64(511);
        if (table_[i] & (header_.cluster_size() - 1)) table_[i] |= 1; // unusable: reported when it is asked for
    }
    table_dirty_first_ = UINT64_MAX;
    table_dirty_end_ = 0;
    untouched_ = div_up(file_->size(), header_.cluster_size());
    search_ = 0;
    co_return Result<void>();
}

Task<Result<void>> Refcounts::reload() {
    cache_.clear();
    releases_.clear();
    co_return co_await load();
}

Task<Result<TableCache::Ref>> Refcounts::block_of(u64 cluster) {
    u64 index = cluster / header_.refcounts_per_block();
    if (index >= table_.size() || table_[index] == 0) co_return TableCache::Ref();
    if (table_[index] & 1)
        co_return Error::corrupt("refcount block {} has the offset {:#x}, expected a multiple of the cluster size",
                                 index, table_[index] & ~u64(1));
    co_return co_await cache_.get(*file_, table_[index]);
}

Task<Result<u64>> Refcounts::get(u64 cluster) {
    CO_TRY(auto block, co_await block_of(cluster));
    if (!block) co_return u64(0);
    co_return get_count(block.data(), cluster % header_.refcounts_per_block(), header_.refcount_order);
}

Task<Result<bool>> Refcounts::is_free(u64 cluster) {
    CO_TRY(u64 n, co_await get(cluster));
    co_return n == 0;
}

Task<Result<void>> Refcounts::change(u64 first, u64 n, i64 delta) {
    u64 per_block = header_.refcounts_per_block(), max = header_.refcount_max();
    for (u64 done = 0; done < n;) {
        u64 cluster = first + done;
        CO_CHECK(co_await ensure_block(cluster / per_block, cluster));
        CO_TRY(auto block, co_await block_of(cluster));
        u64 end = std::min(n - done, per_block - cluster % per_block);
        for (u64 i = 0; i < end; i++) {
            u64 at = (cluster + i) % per_block;
            u64 old = get_count(block.data(), at, header_.refcount_order);
            bool bad = delta < 0 ? old < u64(-delta) : max - old < u64(delta);
            if (bad) {
                // Undo what has been done of this call, so that a failure changes nothing.
                for (u64 k = 0; k < i; k++) {
                    u64 back = (cluster + k) % per_block;
                    set_count(block.data(), back, header_.refcount_order,
                              get_count(block.data(), back, header_.refcount_order) - u64(delta));
                }
                if (done) CO_CHECK(co_await change(first, done, -delta));
                if (delta < 0)
                    co_return Error::corrupt("refcount of cluster {} is {}, which is too small to take {} off",
                                             cluster + i, old, -delta);
                co_return Error::no_space("refcount of cluster {} would exceed {}; a wider refcount_bits is needed",
                                          cluster + i, max);
            }
            u64 now = old + u64(delta);
            set_count(block.data(), at, header_.refcount_order, now);
            if (now == 0) {
                freed(cluster + i);
                search_ = std::min(search_, cluster + i);
            }
        }
        cache_.mark_dirty(block);
        done += end;
    }
    if (delta > 0) untouched_ = std::max(untouched_, first + n);
    co_return Result<void>();
}

Result<void> Refcounts::make_block(u64 index, u64 cluster) {
    auto block = TRY(cache_.create(cluster << header_.cluster_bits));
    table_[index] = cluster << header_.cluster_bits;
    table_dirty_first_ = std::min(table_dirty_first_, index);
    table_dirty_end_ = std::max(table_dirty_end_, index + 1);
    untouched_ = std::max(untouched_, cluster + 1);
    return {};
}

// A block goes to a free cluster near; one that covers itself counts itself.
Task<Result<void>> Refcounts::ensure_block(u64 index, u64 near) {
    if (index >= table_.size()) CO_CHECK(co_await grow_table(index));
    u64 per_block = header_.refcounts_per_block();
    for (u64 p = near; table_[index] == 0; p++) {
        u64 owner = p / per_block;
        if (owner >= table_.size()) CO_CHECK(co_await grow_table(owner));
        CO_TRY(bool free, co_await is_free(p));
        if (!free || p == 0) continue; // the header is never free, whatever a damaged image counts
        if (table_[owner] == 0) {
            CO_CHECK(make_block(owner, p));
        } else {
            CO_CHECK(make_block(index, p));
        }
        CO_TRY(auto block, co_await block_of(p));
        set_count(block.data(), p % per_block, header_.refcount_order, 1);
        cache_.mark_dirty(block);
    }
    co_return Result<void>();
}

// The first of n free clusters in a row at or after `from`.
Task<Result<u64>> Refcounts::find_free(u64 n, u64 from) {
    from = std::max<u64>(from, 1); // behind the header, whatever a damaged image counts for it
    u64 per_block = header_.refcounts_per_block(), run = 0, start = from;
    for (u64 cluster = from; run < n;) {
        u64 step = per_block - cluster % per_block;
        CO_TRY(auto block, co_await block_of(cluster));
        if (!block) {
            if (run == 0) start = cluster;
            run += step;
            cluster += step;
            continue;
        }
        for (u64 i = 0; i < step && run < n; i++, cluster++) {
            if (get_count(block.data(), cluster % per_block, header_.refcount_order) == 0) {
                if (run++ == 0) start = cluster;
            } else {
                run = 0;
            }
        }
    }
    // Pointers to clusters have 56 bits.
    if ((start + n) > (u64(1) << (56 - header_.cluster_bits)))
        co_return Error::no_space("the image file cannot grow past 64 PiB");
    co_return start;
}

// Counts free clusters once. Their blocks, where missing, go behind them.
Task<Result<void>> Refcounts::take(u64 first, u64 n) {
    u64 per_block = header_.refcounts_per_block();
    u64 last_block = (first + n - 1) / per_block;
    for (u64 index = first / per_block; index <= last_block; index++) CO_CHECK(co_await ensure_block(index, first + n));
    co_return co_await change(first, n, 1);
}

Task<Result<u64>> Refcounts::allocate(u64 n, bool exact, u64* got) {
    u64 per_block = header_.refcounts_per_block();
    if (exact) {
        for (u64 from = search_;;) {
            CO_TRY(u64 start, co_await find_free(n, from));
            u64 blocks = (start + n - 1) / per_block;
            // Growing the table takes clusters, perhaps these.
            if (blocks >= table_.size()) {
                CO_CHECK(co_await grow_table(blocks));
                continue;
            }
            CO_CHECK(co_await take(start, n));
            if (start == search_) search_ = start + n;
            co_return start << header_.cluster_bits;
        }
    }
    CO_TRY(u64 start, co_await find_free(1, search_));
    search_ = start;
    CO_CHECK(co_await ensure_block(start / per_block, start));
    CO_TRY(auto block, co_await block_of(start));
    u64 at = start % per_block;
    // The new block may have taken the place itself.
    while (at < per_block && get_count(block.data(), at, header_.refcount_order)) at++;
    if (at == per_block) {
        search_ = round_up(start + 1, per_block);
        co_return co_await allocate(n, exact, got);
    }
    start = round_down(start, per_block) + at;
    u64 run = 0;
    while (run < n && at + run < per_block && get_count(block.data(), at + run, header_.refcount_order) == 0) {
        set_count(block.data(), at + run, header_.refcount_order, 1);
        run++;
    }
    cache_.mark_dirty(block);
    if ((start + run) > (u64(1) << (56 - header_.cluster_bits)))
        co_return Error::no_space("the image file cannot grow past 64 PiB");
    search_ = start + run;
    untouched_ = std::max(untouched_, start + run);
    if (got) *got = run;
    co_return start << header_.cluster_bits;
}

// A larger table is written elsewhere, with all blocks that it names, before the header points to it.
Task<Result<void>> Refcounts::grow_table(u64 index) {
    MIMIC_CHECK(!growing_, "the refcount table grows while it grows");
    u64 per_block = header_.refcounts_per_block(), per_cluster = header_.cluster_size() / 8;
    u64 old_offset = header_.refcount_table_offset, old_clusters = header_.refcount_table_clusters;
    CO_TRY(u64 start, co_await find_free(1, u64(table_.size()) * per_block));
    u64 entries = std::max<u64>(index + 1, table_.size() + table_.size() / 2);
    // Room for the blocks that cover the table's own clusters, and theirs.
    entries += div_up(div_up(entries, per_cluster) + 2, per_block) * 2 +
               (start / per_block >= entries ? start / per_block - entries + 1 : 0) + 2;
    entries = round_up(entries, per_cluster);
    if (entries * 8 > max_refcount_table_bytes)
        co_return Error::no_space(
            "the refcount table would need {} bytes, expected at most {}; larger clusters are needed", entries * 8,
            max_refcount_table_bytes);
    growing_ = true;
    table_.resize(entries);
    u64 clusters = entries / per_cluster;
    Result<void> r = co_await take(start, clusters);
    growing_ = false;
    if (!r) co_return r;
    auto quiet = co_await flush_lock->lock();
    header_.refcount_table_offset = start << header_.cluster_bits;
    header_.refcount_table_clusters = u32(clusters);
    table_moved();
    table_dirty_first_ = 0;
    table_dirty_end_ = entries;
    // Everything that the new table names goes first; then the table; then the header.
    TablePart part = take_table();
    r = co_await write_blocks();
    if (r) r = co_await file_->flush();
    if (r) r = co_await write_table(std::move(part));
    if (r) r = co_await file_->flush();
    if (r) r = co_await write_header();
    if (r) r = co_await file_->flush();
    if (!r) co_return r;
    release(old_offset >> header_.cluster_bits, old_clusters);
    co_return Result<void>();
}

Refcounts::TablePart Refcounts::take_table() {
    TablePart part{header_.refcount_table_offset, table_dirty_first_, {}};
    if (table_dirty()) {
        part.raw.resize((table_dirty_end_ - table_dirty_first_) * 8);
        for (u64 i = table_dirty_first_; i < table_dirty_end_; i++)
            put64(&part.raw[(i - part.first) * 8], table_[i] & ~u64(1));
    }
    table_dirty_first_ = UINT64_MAX;
    table_dirty_end_ = 0;
    return part;
}

Task<Result<void>> Refcounts::write_table(TablePart part) {
    if (part.raw.empty()) co_return Result<void>();
    IoVec memory{std::span<u8>(part.raw)};
    auto r = co_await file_->write(part.offset + part.first * 8, memory);
    if (!r) {
        table_dirty_first_ = std::min(table_dirty_first_, part.first);
        table_dirty_end_ = std::max(table_dirty_end_, part.first + part.raw.size() / 8);
    }
    co_return r;
}

void Refcounts::release(u64 first, u64 n) { releases_[first].push_back(n); }

Task<Result<void>> Refcounts::apply(std::map<u64, std::vector<u64>> releases) {
    Result<void> result;
    for (auto& [first, lengths] : releases)
        for (u64 n : lengths) {
            Result<void> r = co_await change(first, n, -1);
            if (result && !r) result = r;
        }
    co_return result;
}

} // namespace mimic::block::qcow2
