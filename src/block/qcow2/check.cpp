#include "block/qcow2/check.hpp"
#include <algorithm>

namespace mimic::block::qcow2 {

namespace {
// Tables in memory while an image is checked: each is read in its turn, and few are needed twice.
constexpr u64 checked_tables = 8;
} // namespace

void Checker::use(u64 offset, u64 length, std::string_view what, u32 times) {
    if (length == 0) return;
    u64 first = q_.cluster_of(offset), last = q_.cluster_of(offset + length - 1);
    if (offset + length < offset || offset >= file_end_) {
        corruption(fmt::format("{} at {:#x} ({} bytes) is past the end of the image file", what, offset, length));
        return;
    }
    last = std::min(last, q_.cluster_of(file_end_ - 1));
    for (u64 c = first; c <= last; c++) counts_.add(c, times);
    highest_ = std::max(highest_, last);
}

Task<Result<void>> Checker::count_l2(const Table& table) {
    const Header& h = q_.header_;
    CO_TRY(auto l2, co_await q_.l2_table(table.offset));
    u64 contiguous = 0;
    for (u64 k = 0; k < h.l2_entries(); k++) {
        u8* p = l2.data() + k * h.l2_entry_size();
        u64 entry = get64(p), bits = h.extended_l2() ? get64(p + 8) : 0;
        if (entry & entry_compressed) {
            if (h.external_data()) {
                corruption(fmt::format("compressed cluster in an image with an external data file ({})", table.owner));
                continue;
            }
            if (entry & entry_copied)
                corruption(fmt::format("coffset={:#x}: copied flag must never be set for compressed clusters",
                                       entry & entry_offset));
            auto run = q_.entry_state(entry & ~entry_copied, 0, 0);
            if (!run) continue;
            use(run->host, run->compressed, "compressed data", table.times);
            report_.allocated_clusters += table.active;
            report_.compressed_clusters += table.active;
            report_.fragmented_clusters += table.active;
            continue;
        }
        u64 host = entry & entry_offset;
        if (h.extended_l2() && (u32(bits) & u32(bits >> 32)))
            corruption(fmt::format("L2 entry at {:#x} has subclusters that are allocated and zero ({:#018x})",
                                   table.offset + k * 16, bits));
        const bool external = h.version >= 3 && h.external_data();
        const bool data = h.extended_l2() ? u32(bits) != 0 : !(h.version >= 3 && (entry & entry_zero));
        // In a data file the disk may begin at 0.
        const bool first = external && (entry & entry_copied) && (h.extended_l2() || !(entry & entry_zero));
        if (host == 0 && !first) {
            if (h.extended_l2() && u32(bits) && !h.external_data())
                corruption(fmt::format("L2 entry at {:#x} has allocated subclusters without a cluster",
                                       table.offset + k * 16));
            continue;
        }
        if (external) {
            report_.allocated_clusters += table.active;
            continue;
        }
        if (host & (h.cluster_size() - 1)) {
            corruption(fmt::format("offset={:#x}: Cluster is not properly aligned; L2 entry corrupted.", host));
            bool zero = h.extended_l2() ? u32(bits) == 0 : (h.version >= 3 && (entry & entry_zero));
            // What reads as zeros anyway loses nothing with its place.
            if (fixes(Fix::errors) && zero) {
                put64(p, h.extended_l2() ? 0 : entry_zero);
                q_.l2_cache_.mark_dirty(l2);
                report_.corruptions_fixed++;
            }
            continue;
        }
        use(host, h.cluster_size(), "data cluster", table.times);
        if (table.active && data) {
            report_.allocated_clusters += table.active;
            if (contiguous && host != contiguous) report_.fragmented_clusters += table.active;
            contiguous = host + h.cluster_size();
        }
    }
    co_return Result<void>();
}

// Only notes which tables there are: one that many snapshots share is read once.
void Checker::count_l1(u64 offset, const std::vector<u64>& l1, bool active, std::string_view name) {
    use(offset, l1.size() * 8, "L1 table");
    for (u64 entry : l1) {
        u64 l2_offset = entry & entry_offset;
        if (!l2_offset) continue;
        if (l2_offset & (q_.header_.cluster_size() - 1)) {
            corruption(fmt::format("L2 table offset {:#x} of {} is not aligned to a cluster", l2_offset, name));
            continue;
        }
        if (l2_offset >= file_end_) {
            corruption(fmt::format("L2 table at {:#x} of {} is past the end of the image file", l2_offset, name));
            continue;
        }
        use(l2_offset, q_.header_.cluster_size(), "L2 table");
        auto [at, fresh] = table_at_.try_emplace(l2_offset, tables_.size());
        if (fresh) tables_.push_back({.offset = l2_offset, .owner = std::string(name)});
        Table& table = tables_[at->second];
        if (table.times == UINT32_MAX) continue;
        table.times++;
        table.active += active;
    }
}

Task<Result<void>> Checker::count_tables() {
    for (auto& table : tables_) {
        Result<void> r = co_await count_l2(table);
        if (r) continue;
        report_.check_errors++;
        report_.say(fmt::format("ERROR {}", r.error().message()));
    }
    co_return Result<void>();
}

Task<Result<void>> Checker::count_bitmaps() {
    if (!q_.header_.has_bitmaps) co_return Result<void>();
    use(q_.header_.bitmap_directory_offset, q_.header_.bitmap_directory_size, "bitmap directory");
    for (auto& b : q_.bitmaps_) {
        use(b.table_offset, b.table.size() * 8, "bitmap table");
        for (u64 entry : b.table)
            if (entry & entry_offset) use(entry & entry_offset, q_.header_.cluster_size(), "bitmap data");
    }
    co_return Result<void>();
}

Task<Result<void>> Checker::count_blocks() {
    auto& table = q_.refcounts_.table();
    for (u64 i = 0; i < table.size(); i++) {
        u64 offset = table[i];
        if (offset == 0) continue;
        if (offset & 1) {
            corruption(fmt::format("refcount block {} is not cluster aligned; refcount table entry corrupted", i));
            rebuild_ = true;
        } else if (offset >= file_end_) {
            corruption(fmt::format("refcount block {} is outside image", i));
            rebuild_ = true;
        } else {
            use(offset, q_.header_.cluster_size(), "refcount block");
            if (counts_.get(q_.cluster_of(offset)) != 1) {
                corruption(fmt::format("refcount block {} refcount={}", i, counts_.get(q_.cluster_of(offset))));
                rebuild_ = true;
            }
        }
    }
    co_return Result<void>();
}

Task<Result<void>> Checker::count_metadata() {
    const Header& h = q_.header_;
    use(0, h.cluster_size(), "header");
    use(h.luks_offset, h.luks_length, "encryption header");
    count_l1(h.l1_offset, q_.l1_, true, "the active L1 table");
    if (h.snapshot_count) use(h.snapshots_offset, q_.snapshot_table_bytes(), "snapshot table");
    for (auto& s : q_.snapshots_) {
        if (s.l1_entries && s.l1_offset + u64(s.l1_entries) * 8 > round_up(file_end_, h.cluster_size())) {
            corruption(fmt::format("L1 table of snapshot '{}' is past the end of the image file", s.info.name));
            continue;
        }
        CO_TRY(auto l1, co_await q_.load_l1(s.l1_offset, s.l1_entries));
        std::string name = fmt::format("snapshot '{}'", s.info.name);
        count_l1(s.l1_offset, l1, false, name);
    }
    CO_CHECK(co_await count_tables());
    CO_CHECK(co_await count_bitmaps());
    use(h.refcount_table_offset, u64(h.refcount_table_clusters) << h.cluster_bits, "refcount table");
    co_return co_await count_blocks();
}

Task<Result<void>> Checker::compare_block(u64 index) {
    const Header& h = q_.header_;
    u64 offset = q_.refcounts_.table()[index], per_block = h.refcounts_per_block();
    TableCache::Ref block;
    if (offset && !(offset & 1) && offset < file_end_) {
        CO_TRY(block, co_await q_.refcounts_.cache().get(*q_.file(), offset));
    }
    // Counts of what is past the file's end mean nothing.
    u64 file_clusters = div_up(file_end_, h.cluster_size());
    for (u64 i = 0; i < per_block && index * per_block + i < file_clusters; i++) {
        u64 cluster = index * per_block + i;
        u64 have = block ? get_count(block.data(), i, h.refcount_order) : 0;
        u64 want = counts_.get(cluster);
        if (have == want) continue;
        agree_ = false;
        if (want > h.refcount_max()) {
            corruption(fmt::format("cluster {} refcount={} reference={}, but its refcount has {} bits", cluster, have,
                                   want, h.refcount_bits()));
            continue;
        }
        bool leak = have > want;
        if (leak)
            report_.leaks++;
        else
            report_.corruptions++;
        bool fix = fixes(leak ? Fix::leaks : Fix::errors) && block && !rebuild_;
        report_.say(fmt::format("{} cluster {} refcount={} reference={}",
                                fix    ? "Repairing"
                                : leak ? "Leaked"
                                       : "ERROR",
                                cluster, have, want));
        if (!fix) {
            if (!leak && !block) rebuild_ = true;
            continue;
        }
        set_count(block.data(), i, h.refcount_order, want);
        q_.refcounts_.cache().mark_dirty(block);
        (leak ? report_.leaks_fixed : report_.corruptions_fixed)++;
    }
    co_return Result<void>();
}

Task<Result<void>> Checker::compare() {
    const Header& h = q_.header_;
    u64 blocks = q_.refcounts_.table().size(), per_block = h.refcounts_per_block();
    for (u64 i = 0; i < blocks; i++) {
        bool expected = false;
        u64 first = i * per_block, last = first + per_block - 1;
        for (u64 c = first / Counts::chunk; c <= last / Counts::chunk && !expected; c++)
            expected = counts_.chunks.contains(c);
        if (!q_.refcounts_.table()[i] && !expected) continue;
        CO_CHECK(co_await compare_block(i));
    }
    // Clusters that no block covers.
    for (auto& [chunk, values] : counts_.chunks)
        for (u64 i = 0; i < values.size(); i++)
            if (values[i] && chunk * Counts::chunk + i >= blocks * per_block) {
                corruption(fmt::format("cluster {} refcount=0 reference={}", chunk * Counts::chunk + i,
                                       counts_.get(chunk * Counts::chunk + i)));
                rebuild_ = true;
            }
    co_return Result<void>();
}

// The count that the image has; where all agree, the one that was found.
Task<Result<u64>> Checker::count_of(u64 offset) {
    if (agree_) co_return u64(counts_.get(q_.cluster_of(offset)));
    co_return co_await q_.refcounts_.get(q_.cluster_of(offset));
}

// COPIED bits against the counts, in the active tables.
Task<Result<void>> Checker::check_copied() {
    const Header& h = q_.header_;
    bool fix = fixes(Fix::errors);
    for (u64 i = 0; i < q_.l1_.size(); i++) {
        u64 entry = q_.l1_[i], l2_offset = entry & entry_offset;
        if (!l2_offset || q_.in_cluster(l2_offset) || l2_offset >= file_end_) continue;
        CO_TRY(u64 count, co_await count_of(l2_offset));
        if ((count == 1) != ((entry & entry_copied) != 0)) {
            report_.corruptions++;
            report_.say(fmt::format("{} OFLAG_COPIED L2 cluster: l1_index={} l1_entry={:x} refcount={}",
                                    fix ? "Repairing" : "ERROR", i, entry, count));
            if (fix) {
                q_.set_l1(i, l2_offset | (count == 1 ? entry_copied : 0));
                report_.corruptions_fixed++;
            }
        }
        if (h.external_data()) continue;
        auto l2 = co_await q_.l2_table(l2_offset);
        if (!l2) continue;
        for (u64 k = 0; k < h.l2_entries(); k++) {
            u8* p = l2->data() + k * h.l2_entry_size();
            u64 e = get64(p), host = e & entry_offset;
            if ((e & entry_compressed) || !host || q_.in_cluster(host) || host >= file_end_) continue;
            u64 n = counts_.get(q_.cluster_of(host));
            if (!agree_) { CO_TRY(n, co_await count_of(host)); }
            if ((n == 1) == ((e & entry_copied) != 0)) continue;
            report_.corruptions++;
            report_.say(fmt::format("{} OFLAG_COPIED data cluster: l2_entry={:x} refcount={}",
                                    fix ? "Repairing" : "ERROR", e, n));
            if (!fix) continue;
            put64(p, n == 1 ? e | entry_copied : e & ~entry_copied);
            q_.l2_cache_.mark_dirty(*l2);
            report_.corruptions_fixed++;
        }
    }
    co_return Result<void>();
}

// New refcount blocks and a new table from what was counted, behind everything that is used; then the header points there.
Task<Result<void>> Checker::rebuild() {
    const Header& h = q_.header_;
    file_end_ = q_.file()->size();
    // The old blocks and table are not used any more; count again without them.
    counts_.clear();
    agree_ = false;
    tables_.clear();
    table_at_.clear();
    highest_ = 0;
    CheckReport saved = std::exchange(report_, {});
    use(0, h.cluster_size(), "header");
    use(h.luks_offset, h.luks_length, "encryption header");
    count_l1(h.l1_offset, q_.l1_, true, "the active L1 table");
    for (auto& s : q_.snapshots_) {
        auto l1 = co_await q_.load_l1(s.l1_offset, s.l1_entries);
        if (l1) count_l1(s.l1_offset, *l1, false, "a snapshot");
    }
    CO_CHECK(co_await count_tables());
    if (h.snapshot_count) use(h.snapshots_offset, q_.snapshot_table_bytes(), "snapshot table");
    CO_CHECK(co_await count_bitmaps());
    report_ = std::move(saved);

    u64 per_block = h.refcounts_per_block(), start = highest_ + 1, blocks = 0, table_clusters = 1;
    // Blocks and table cover themselves too.
    for (;;) {
        u64 total = start + blocks + table_clusters, need = div_up(total, per_block),
            clusters = div_up(need * 8, h.cluster_size());
        if (need == blocks && clusters == table_clusters) break;
        blocks = std::max(blocks, need);
        table_clusters = std::max(table_clusters, clusters);
    }
    if (table_clusters * h.cluster_size() > max_refcount_table_bytes)
        co_return Error::no_space("the image is too large for a refcount table");
    for (u64 c = start; c < start + blocks + table_clusters; c++) counts_.add(c, 1);
    std::vector<u8> table(table_clusters * h.cluster_size());
    for (u64 i = 0; i < blocks; i++) {
        std::vector<u8> block(h.cluster_size());
        for (u64 k = 0; k < per_block; k++) {
            u32 n = counts_.get(i * per_block + k);
            if (!n) continue;
            if (n > h.refcount_max())
                co_return Error::unsupported("cluster {} is used {} times, but its refcount has {} bits",
                                             i * per_block + k, n, h.refcount_bits());
            set_count(block.data(), k, h.refcount_order, n);
        }
        u64 at = (start + i) << h.cluster_bits;
        IoVec memory{std::span<u8>(block)};
        CO_CHECK(co_await q_.file()->write(at, memory));
        put64(&table[i * 8], at);
    }
    u64 table_at = (start + blocks) << h.cluster_bits;
    IoVec memory{std::span<u8>(table)};
    CO_CHECK(co_await q_.file()->write(table_at, memory));
    CO_CHECK(co_await q_.barrier());
    q_.header_.refcount_table_offset = table_at;
    q_.header_.refcount_table_clusters = u32(table_clusters);
    CO_CHECK(co_await q_.write_header());
    CO_CHECK(co_await q_.barrier());
    file_end_ = q_.file()->size();
    report_.corruptions_fixed = report_.corruptions;
    report_.leaks_fixed = report_.leaks;
    co_return co_await q_.refcounts_.reload();
}

Task<Result<void>> Checker::once() {
    const Header& h = q_.header_;
    file_end_ = q_.file()->size();
    report_.total_clusters = div_up(h.size, h.cluster_size());
    CO_CHECK(co_await count_metadata());
    CO_CHECK(co_await compare());
    // From here on the counts are looked up in the order of the disk, not of the file.
    if (!agree_) q_.refcounts_.cache().set_limit(refcount_limit_);
    if (rebuild_ && fixes(Fix::errors)) {
        report_.say("Rebuilding refcount structure");
        CO_CHECK(co_await rebuild());
    }
    CO_CHECK(co_await check_copied());
    // The end: behind the last cluster that has a count.
    u64 end = highest_ + 1, per_block = h.refcounts_per_block();
    auto& table = q_.refcounts_.table();
    for (u64 i = table.size(); i-- > 0;) {
        if (!table[i] || (table[i] & 1) || table[i] >= file_end_) continue;
        CO_TRY(auto block, co_await q_.refcounts_.cache().get(*q_.file(), table[i]));
        u64 k = std::min(per_block, div_up(file_end_, h.cluster_size()) -
                                        std::min(div_up(file_end_, h.cluster_size()), i * per_block));
        while (k > 0 && get_count(block.data(), k - 1, h.refcount_order) == 0) k--;
        if (k == 0) continue;
        end = std::max(end, i * per_block + k);
        break;
    }
    report_.image_end_offset = end << h.cluster_bits;
    co_return Result<void>();
}

Task<Result<CheckReport>> Checker::run() {
    TableCache &tables = q_.l2_cache_, &counts = q_.refcounts_.cache();
    u64 few = checked_tables * q_.header_.cluster_size();
    u64 table_limit = tables.set_limit(std::min(tables.limit(), few));
    refcount_limit_ = counts.set_limit(std::min(counts.limit(), few));
    auto report = co_await run_in_little_memory();
    tables.set_limit(table_limit);
    counts.set_limit(refcount_limit_);
    co_return report;
}

Task<Result<CheckReport>> Checker::run_in_little_memory() {
    CO_CHECK(co_await once());
    bool fixed = report_.corruptions_fixed || report_.leaks_fixed;
    if (fix_ == Fix::none || q_.read_only()) co_return std::move(report_);
    if (fixed) {
        CO_CHECK(co_await q_.flush_tables());
        CO_CHECK(co_await q_.barrier());
        // What counts is the state now.
        Checker again(q_, Fix::none);
        again.refcount_limit_ = refcount_limit_;
        CO_CHECK(co_await q_.refcounts_.reload());
        CO_CHECK(co_await again.once());
        again.report_.corruptions_fixed = report_.corruptions_fixed;
        again.report_.leaks_fixed = report_.leaks_fixed;
        again.report_.messages.insert(again.report_.messages.begin(), report_.messages.begin(), report_.messages.end());
        report_ = std::move(again.report_);
    }
    bool whole = report_.corruptions == 0 && report_.check_errors == 0;
    u64 marks = q_.header_.incompatible & (incompatible::dirty | incompatible::corrupt);
    if (whole && marks && fixes(Fix::errors)) {
        q_.header_.incompatible &= ~(incompatible::dirty | incompatible::corrupt);
        q_.dirty_marked_ = q_.unfinished_ = false;
        CO_CHECK(co_await q_.write_header());
        CO_CHECK(co_await q_.barrier());
    }
    co_return std::move(report_);
}

Task<Result<CheckReport>> Qcow2::check(Fix fix) {
    co_await drain();
    auto lock = co_await metadata_.lock();
    if (!options_.read_only) {
        CO_CHECK(co_await flush_tables());
        if (!(header_.incompatible & incompatible::dirty)) CO_CHECK(co_await apply_releases());
        CO_CHECK(co_await flush_tables());
    }
    Checker checker(*this, fix);
    co_return co_await checker.run();
}

} // namespace mimic::block::qcow2
