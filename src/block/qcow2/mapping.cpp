// Guest offsets to file offsets: L1 and L2 tables, subclusters.
#include "block/qcow2/image.hpp"
#include <algorithm>
#include <bit>
#include <cerrno>

namespace mimic::block::qcow2 {

Error Qcow2::corrupt(std::string what) {
    if (!corrupt_marked_)
        context().warn(fmt::format("qcow2 image '{}' is corrupt: {}; further corruption events will be suppressed",
                                   filename(), what));
    corrupt_marked_ = true;
    return Error(ErrorKind::corrupt, fmt::format("qcow2 image '{}' is corrupt: {}", filename(), what), EIO);
}

Node& Qcow2::data_node() const {
    Edge* data = child("data-file");
    return data ? data->node() : *file();
}

Task<Result<std::vector<u64>>> Qcow2::load_l1(u64 offset, u32 entries) {
    std::vector<u64> l1(entries);
    IoVec memory(l1.data(), l1.size() * 8);
    CO_CHECK(co_await file()->read(offset, memory));
    for (auto& e : l1) e = __builtin_bswap64(e);
    co_return std::move(l1);
}

Task<Result<TableCache::Ref>> Qcow2::l2_table(u64 l1_entry) {
    u64 offset = l1_entry & entry_offset;
    if (offset == 0) co_return Ref();
    if (in_cluster(offset)) co_return corrupt(fmt::format("L2 table offset {:#x} unaligned", offset));
    if (Ref ref = l2_cache_.peek(offset)) co_return std::move(ref);
    co_return co_await l2_cache_.get(*file(), offset);
}

u64 Qcow2::entry_of(const u8* table, u64 offset) const {
    return get64(table + cluster_of(offset) % header_.l2_entries() * header_.l2_entry_size());
}

u64 Qcow2::bitmap_of(const u8* table, u64 offset) const {
    if (!header_.extended_l2()) return 0;
    return get64(table + cluster_of(offset) % header_.l2_entries() * 16 + 8);
}

void Qcow2::set_entry(const Ref& l2, u64 offset, u64 entry, u64 bitmap) {
    u8* p = l2.data() + cluster_of(offset) % header_.l2_entries() * header_.l2_entry_size();
    put64(p, entry);
    if (header_.extended_l2()) put64(p + 8, bitmap);
    l2_cache_.mark_dirty(l2);
}

void Qcow2::set_l1(u64 index, u64 entry) {
    if (l1_[index] & entry_offset) l2_clusters_.erase(l1_[index] & entry_offset);
    if (entry & entry_offset) l2_clusters_.insert(entry & entry_offset);
    l1_[index] = entry;
    l1_dirty_first_ = std::min(l1_dirty_first_, index);
    l1_dirty_end_ = std::max(l1_dirty_end_, index + 1);
}

// The state of one subcluster (of the whole cluster where there are none); host is the cluster's.
Result<Run> Qcow2::entry_state(u64 entry, u64 bitmap, u32 sub) {
    Run run;
    if (entry & entry_compressed) {
        if (header_.external_data()) return corrupt("compressed cluster in an image with an external data file");
        u32 x = 62 - (header_.cluster_bits - 8);
        run.kind = Kind::compressed;
        // Bits above 55 are no part of the offset (the specification wants them 0).
        run.host = entry & ((u64(1) << x) - 1) & ((u64(1) << 56) - 1);
        u64 sectors = (entry & ~(entry_compressed | entry_copied)) >> x;
        run.compressed = (sectors + 1) * 512 - (run.host & 511);
        return run;
    }
    run.host = entry & entry_offset;
    run.copied = entry & entry_copied;
    if (in_cluster(run.host)) return corrupt(fmt::format("Cluster allocation offset {:#x} unaligned", run.host));
    // Host offset 0 is a place only in an external file.
    bool has_host = run.host != 0 || (header_.external_data() && (entry & entry_copied));
    if (header_.extended_l2()) {
        bool allocated = bitmap >> sub & 1, zero = bitmap >> (sub + 32) & 1;
        if (allocated && (zero || !has_host)) return corrupt(fmt::format("invalid subcluster bitmap {:#018x}", bitmap));
        run.kind = allocated ? Kind::normal
                   : zero    ? (has_host ? Kind::zero_allocated : Kind::zero_plain)
                             : Kind::unallocated;
    } else if (header_.version >= 3 && (entry & entry_zero)) {
        run.kind = has_host ? Kind::zero_allocated : Kind::zero_plain;
    } else {
        run.kind = has_host ? Kind::normal : Kind::unallocated;
    }
    if (!has_host) run.copied = false;
    return run;
}

// The run from `offset` on within the table.
Result<Run> Qcow2::classify(const u8* table, u64 offset, u64 length) {
    u64 sub_size = header_.subcluster_size();
    u32 sub = u32(in_cluster(offset) / sub_size);
    Run run = TRY(entry_state(entry_of(table, offset), bitmap_of(table, offset), sub));
    if (run.kind == Kind::compressed) {
        run.length = std::min(length, header_.cluster_size() - in_cluster(offset));
        return run;
    }
    // Subclusters that are not allocated have a place in their cluster all the same.
    bool placed =
        run.kind == Kind::normal || run.kind == Kind::zero_allocated || (run.kind == Kind::unallocated && run.host);
    u64 start = run.host;
    if (placed) run.host += in_cluster(offset);
    run.length = sub_size - offset % sub_size;
    u64 table_end = round_up(offset + 1, span_of_l2());
    while (run.length < length && offset + run.length < table_end) {
        u64 at = offset + run.length;
        auto next = entry_state(entry_of(table, at), bitmap_of(table, at), u32(in_cluster(at) / sub_size));
        // What is wrong further on is reported when it is read.
        if (!next || next->kind != run.kind || next->copied != run.copied || (!placed && next->host)) break;
        if (placed &&
            next->host != start + (round_down(at, header_.cluster_size()) - round_down(offset, header_.cluster_size())))
            break;
        run.length += sub_size;
    }
    run.length = std::min(run.length, length);
    return run;
}

Task<Result<Run>> Qcow2::map(u64 offset, u64 length) {
    u64 index = offset / span_of_l2();
    length = std::min(length, round_up(offset + 1, span_of_l2()) - offset);
    u64 l1_entry = index < l1_.size() ? l1_[index] : 0;
    if ((l1_entry & entry_offset) == 0) co_return Run{.kind = Kind::unallocated, .length = length};
    if (Ref ref = l2_cache_.peek(l1_entry & entry_offset)) co_return classify(ref.data(), offset, length);
    CO_TRY(Ref l2, co_await l2_table(l1_entry));
    co_return classify(l2.data(), offset, length);
}

// The table for `offset`, ours alone, made or copied if need be. Under metadata_.
Task<Result<TableCache::Ref>> Qcow2::l2_for_write(u64 offset) {
    u64 index = offset / span_of_l2();
    if (index >= l1_.size()) CO_CHECK(co_await grow_l1(index + 1));
    u64 entry = l1_[index];
    if (entry & entry_copied) {
        CO_TRY(Ref l2, co_await l2_table(entry));
        if (!l2) co_return corrupt(fmt::format("L1 entry {} has no table", index));
        co_return std::move(l2);
    }
    CO_TRY(Ref old, co_await l2_table(entry));
    CO_TRY(u64 cluster, co_await refcounts_.allocate(1, true));
    auto created = l2_cache_.create(cluster);
    if (!created && created.error().kind() == ErrorKind::corrupt) co_return corrupt(created.error().message());
    if (!created) co_return std::move(created).error();
    Ref l2 = std::move(*created);
    if (old) {
        __builtin_memcpy(l2.data(), old.data(), header_.cluster_size());
        refcounts_.release(cluster_of(old.offset()), 1);
    }
    set_l1(index, cluster | entry_copied);
    co_return std::move(l2);
}

// A longer L1 table goes elsewhere; the header points to it once it is written.
Task<Result<void>> Qcow2::grow_l1(u64 entries) {
    if (entries <= l1_.size()) co_return Result<void>();
    if (entries * 8 > max_l1_bytes)
        co_return Error::invalid_argument(
            "the L1 table would need {} bytes, expected at most {}; larger clusters are needed", entries * 8,
            max_l1_bytes);
    CO_TRY(u64 offset, co_await refcounts_.allocate_bytes(entries * 8));
    // All that the table refers to has to be there before it is.
    CO_CHECK(co_await flush_tables());
    std::vector<u64> larger = l1_;
    larger.resize(entries);
    CO_CHECK(co_await write_l1_at(larger, offset));
    CO_CHECK(co_await barrier());
    u64 old_offset = header_.l1_offset, old_bytes = u64(header_.l1_entries) * 8;
    Header before = header_;
    header_.l1_offset = offset;
    header_.l1_entries = u32(entries);
    CO_CHECK(co_await switch_header(std::move(before)));
    l1_ = std::move(larger);
    CO_CHECK(co_await barrier());
    if (old_bytes) refcounts_.release(cluster_of(old_offset), div_up(old_bytes, header_.cluster_size()));
    co_return Result<void>();
}

// Gives up what an L2 entry of ours refers to.
void Qcow2::release_entry(u64 entry) {
    if (entry & entry_compressed) {
        auto run = entry_state(entry, 0, 0);
        if (!run) return;
        u64 first = cluster_of(run->host), last = cluster_of(run->host + run->compressed - 1);
        refcounts_.release(first, last - first + 1);
    } else if ((entry & entry_offset) && !header_.external_data()) {
        refcounts_.release(cluster_of(entry & entry_offset), 1);
    }
}

} // namespace mimic::block::qcow2
