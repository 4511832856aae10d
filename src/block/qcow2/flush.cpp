// Writing tables back, in the order that keeps the image whole (image.hpp).
#include "block/qcow2/image.hpp"
#include <algorithm>

namespace mimic::block::qcow2 {

namespace {
// Tables that lie in a row go in one request of up to this many bytes.
constexpr u64 most_at_once = 4u << 20;
} // namespace

Task<Result<void>> Qcow2::write_header() {
    CO_TRY(auto bytes, serialize(header_));
    IoVec memory{std::span<u8>(bytes)};
    co_return co_await file()->write(0, memory);
}

Task<Result<void>> Qcow2::switch_header(Header before) {
    Result<void> r = co_await write_header();
    if (!r) header_ = std::move(before);
    co_return r;
}

Task<Result<void>> Qcow2::set_dirty_bit(bool on) {
    if (on == ((header_.incompatible & incompatible::dirty) != 0)) {
        dirty_marked_ = on;
        co_return Result<void>();
    }
    CO_CHECK(co_await barrier());
    Header before = header_;
    if (on)
        header_.incompatible |= incompatible::dirty;
    else
        header_.incompatible &= ~incompatible::dirty;
    CO_CHECK(co_await switch_header(std::move(before)));
    CO_CHECK(co_await barrier());
    dirty_marked_ = on;
    co_return Result<void>();
}

// Counts and the COPIED bits that depend on them can't change at once. After a crash in between, the dirty bit has whoever opens the
// image put them right; version 2 has no such bit, and needs a check with repair then. Under metadata_.
Task<Result<void>> Qcow2::begin_unfinished() {
    if (header_.version < 3 || dirty_marked_ || unfinished_) co_return Result<void>();
    CO_CHECK(co_await set_dirty_bit(true));
    dirty_marked_ = false; // lazy refcounts are another matter: counts are written
    unfinished_ = true;
    co_return Result<void>();
}

// A bit that stays, as it can't be cleared, is no harm: the next change of snapshots, or close(), tries again.
Task<void> Qcow2::end_unfinished() {
    if (!unfinished_) co_return;
    Result<void> r = co_await flush_tables();
    if (r) r = co_await set_dirty_bit(false);
    unfinished_ = !r;
}

Task<Result<void>> Qcow2::write_tables(std::vector<TableCache::Copy>& copies, TableCache& cache, bool only_fresh) {
    Result<void> result;
    for (size_t i = 0; i < copies.size();) {
        if (copies[i].fresh != only_fresh) {
            i++;
            continue;
        }
        u64 start = copies[i].ref.offset();
        IoVec memory;
        size_t end = i;
        while (end < copies.size() && copies[end].fresh == only_fresh &&
               copies[end].ref.offset() == start + memory.length() && memory.length() < most_at_once)
            memory.append(copies[end++].bytes.data(), header_.cluster_size());
        Result<void> r = result;
        if (r) r = co_await file()->write(start, memory);
        if (!r) {
            for (size_t k = i; k < end; k++) cache.put_back(copies[k]);
            if (result) result = r;
        }
        i = end;
    }
    co_return result;
}

Task<Result<void>> Qcow2::write_l1(u64 first, std::vector<u8> raw, u64 l1_offset) {
    if (raw.empty()) co_return Result<void>();
    IoVec memory{std::span<u8>(raw)};
    auto r = co_await file()->write(l1_offset + first * 8, memory);
    if (!r) {
        l1_dirty_first_ = std::min(l1_dirty_first_, first);
        l1_dirty_end_ = std::max(l1_dirty_end_, first + raw.size() / 8);
    }
    co_return r;
}

// Everything changed so far reaches the file, and (but for the last step's) stable storage. What is captured here is one
// moment's state, so that later changes by others don't get into the middle.
Task<Result<void>> Qcow2::flush_tables() {
    auto lock = co_await flush_.lock();
    TableCache& counts = refcounts_.cache();
    if (!counts.is_dirty() && !l2_cache_.is_dirty() && l1_dirty_first_ >= l1_dirty_end_ && !refcounts_.table_dirty() &&
        !header_dirty_)
        co_return Result<void>();
    // With lazy refcounts the dirty bit answers for the counts, until the image is closed or memory runs short.
    bool skip_counts = dirty_marked_ && started_ && !counts.under_pressure() && !refcounts_.table_dirty();
    std::vector<TableCache::Copy> blocks, tables;
    if (!skip_counts) { CO_TRY(blocks, counts.take_dirty()); }
    auto taken = l2_cache_.take_dirty();
    if (!taken) {
        for (auto& b : blocks) counts.put_back(b);
        co_return std::move(taken).error();
    }
    tables = std::move(*taken);
    auto table_part = refcounts_.take_table();
    u64 l1_first = l1_dirty_first_;
    std::vector<u8> l1_raw;
    if (l1_dirty_first_ < l1_dirty_end_) {
        l1_raw.resize((l1_dirty_end_ - l1_dirty_first_) * 8);
        for (u64 i = l1_dirty_first_; i < l1_dirty_end_; i++) put64(&l1_raw[(i - l1_first) * 8], l1_[i]);
    }
    l1_dirty_first_ = UINT64_MAX;
    l1_dirty_end_ = 0;
    u64 l1_offset = header_.l1_offset;

    bool new_blocks = !table_part.raw.empty();
    Result<void> r = co_await write_tables(blocks, counts, true);
    if (r && new_blocks) r = co_await barrier();
    Result<void> next = r;
    if (r) next = co_await refcounts_.write_table(std::move(table_part));
    if (r && !next) r = next;
    if (r && header_dirty_) {
        r = co_await barrier();
        if (r) r = co_await write_header();
        if (r) header_dirty_ = false;
    }
    next = co_await write_tables(blocks, counts, false);
    if (r && !next) r = next;
    next = co_await write_tables(tables, l2_cache_, true);
    if (r && !next) r = next;
    bool second = !l1_raw.empty() || std::ranges::any_of(tables, [](auto& t) { return !t.fresh; });
    // Entries are not there before the data that they name, in whichever file these are.
    if (Edge* data = child("data-file"); r && second && data) r = co_await data->node().flush();
    if (r && second) r = co_await barrier();
    if (!r) {
        // Nothing may refer to what is not there: the second half stays in memory.
        for (auto& t : tables)
            if (!t.fresh) l2_cache_.put_back(t);
        if (!l1_raw.empty()) {
            l1_dirty_first_ = std::min(l1_dirty_first_, l1_first);
            l1_dirty_end_ = std::max(l1_dirty_end_, l1_first + l1_raw.size() / 8);
        }
        co_return r;
    }
    r = co_await write_tables(tables, l2_cache_, false);
    next = co_await write_l1(l1_first, std::move(l1_raw), l1_offset);
    co_return r ? next : r;
}

// Frees what was given up before the last flush. Under metadata_, right after flush_tables.
Task<Result<void>> Qcow2::apply_releases() {
    if (!refcounts_.has_releases() && data_releases_.empty()) co_return Result<void>();
    auto releases = refcounts_.take_releases();
    CO_CHECK(co_await flush_tables());
    CO_CHECK(co_await barrier());
    std::vector<u64> freed;
    refcounts_.freed = [&](u64 cluster) {
        freed.push_back(cluster);
        if (compressed_tail_ && cluster_of(compressed_tail_ - 1) == cluster) compressed_tail_ = 0;
    };
    Result<void> r = co_await refcounts_.apply(std::move(releases));
    refcounts_.freed = [this](u64 cluster) {
        if (compressed_tail_ && cluster_of(compressed_tail_ - 1) == cluster) compressed_tail_ = 0;
    };
    for (u64 cluster : freed) l2_cache_.forget(cluster << header_.cluster_bits);
    if (options_.discard == DiscardMode::unmap && !freed.empty()) {
        // The file may give the storage back; that it doesn't is no harm.
        std::ranges::sort(freed);
        for (size_t i = 0; i < freed.size();) {
            size_t end = i + 1;
            while (end < freed.size() && freed[end] == freed[end - 1] + 1) end++;
            Result<void> d =
                co_await file()->discard(freed[i] << header_.cluster_bits, u64(end - i) << header_.cluster_bits);
            std::move(d).ignore();
            i = end;
        }
    }
    std::set<u64> punched = std::exchange(data_releases_, {});
    co_await punch_data(std::move(punched));
    co_return r;
}

// The data file gives back what no table names any more; that it doesn't is no harm.
Task<void> Qcow2::punch_data(std::set<u64> clusters) {
    const u64 cluster = header_.cluster_size();
    for (auto at = clusters.begin(); at != clusters.end();) {
        const u64 first = *at, size = data_node().size();
        u64 end = first;
        for (; at != clusters.end() && *at == end; ++at) end += cluster;
        if (first >= size) break;
        Result<void> r = co_await data_node().discard(first, std::min(end, size) - first);
        std::move(r).ignore();
    }
}

// Before a change: write back if much waits.
Task<Result<void>> Qcow2::relieve() {
    if (!must_relieve()) co_return Result<void>();
    auto lock = co_await metadata_.lock();
    if (!must_relieve()) co_return Result<void>();
    CO_CHECK(co_await flush_tables());
    co_return co_await apply_releases();
}

Task<Result<void>> Qcow2::do_flush() {
    if (!started_) co_return co_await file()->flush();
    CO_CHECK(co_await flush_tables());
    if (refcounts_.has_releases() || !data_releases_.empty()) {
        auto lock = co_await metadata_.lock();
        CO_CHECK(co_await apply_releases());
    }
    CO_CHECK(co_await file()->flush());
    if (Edge* data = child("data-file")) co_return co_await data->node().flush();
    co_return Result<void>();
}

Task<Result<void>> Qcow2::do_close() {
    if (!started_ || options_.read_only) co_return Result<void>();
    auto lock = co_await metadata_.lock();
    Result<void> r = co_await store_bitmaps();
    Result<void> next;
    if (Edge* data = child("data-file")) next = co_await data->node().flush();
    if (r && !next) r = next;
    // The counts too, which lazy refcounts had put off.
    started_ = false;
    next = co_await flush_tables();
    if (r && !next) r = next;
    for (int round = 0; round < 2 && r; round++) {
        r = co_await apply_releases();
        next = co_await flush_tables();
        if (r && !next) r = next;
    }
    if (header_.incompatible & incompatible::corrupt) {
        next = co_await write_header();
        if (r && !next) r = next;
    }
    if (r && (dirty_marked_ || unfinished_)) r = co_await set_dirty_bit(false);
    // A file that ends within a cluster is no harm to us, but others' tools like whole ones.
    next = co_await barrier();
    co_return r ? next : r;
}

} // namespace mimic::block::qcow2
