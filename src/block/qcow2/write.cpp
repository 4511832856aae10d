// Writing: in place where the cluster is ours alone, else to a new cluster with a copy of what surrounds the data.
#include "block/qcow2/image.hpp"
#include <algorithm>
#include <cerrno>

namespace mimic::block::qcow2 {

// What has to be so before the first change of the mapping. Under metadata_.
Task<Result<void>> Qcow2::before_change() {
    if (header_.incompatible & incompatible::corrupt)
        co_return Error(ErrorKind::corrupt,
                        fmt::format("qcow2 image '{}' is marked corrupt and cannot be written to", filename()), EIO);
    bool lazy = own_.has_lazy ? own_.lazy_refcounts : (header_.compatible & compatible::lazy_refcounts) != 0;
    if (lazy && header_.version >= 3 && !dirty_marked_) CO_CHECK(co_await set_dirty_bit(true));
    co_return Result<void>();
}

// Data must not land on what describes the image; that it would is proof of a corrupt one.
Result<void> Qcow2::check_overlap(u64 host, u64 length) {
    if (header_.external_data()) return {};
    auto hits = [&](u64 start, u64 bytes) {
        return host < start + round_up(bytes, header_.cluster_size()) && start < host + length;
    };
    std::string_view what;
    if (header_.luks_length && hits(header_.luks_offset, header_.luks_length))
        what = "the encryption header";
    else if (hits(0, 1))
        what = "the header";
    else if (hits(header_.l1_offset, u64(header_.l1_entries) * 8))
        what = "the active L1 table";
    else if (hits(header_.refcount_table_offset, u64(header_.refcount_table_clusters) << header_.cluster_bits))
        what = "the refcount table";
    for (u64 at = round_down(host, header_.cluster_size()); what.empty() && at < host + length;
         at += header_.cluster_size())
        if (l2_clusters_.contains(at)) what = "an active L2 table";
    if (what.empty()) return {};
    header_.incompatible |= header_.version >= 3 ? incompatible::corrupt : 0;
    return corrupt(fmt::format("Preventing invalid write on metadata (overlaps with {})", what));
}

// Bytes written, 0 if the cluster at `offset` has to be allocated or copied first.
Task<Result<u64>> Qcow2::write_in_place(u64 offset, const IoVec& memory) {
    auto range = co_await ranges_.lock(offset, memory.length(), false);
    CO_TRY(Run run, co_await map(offset, memory.length()));
    if (run.kind != Kind::normal || !run.copied) co_return u64(0);
    CO_CHECK(check_overlap(run.host, run.length));
    if (run.length == memory.length()) {
        CO_CHECK(co_await write_data(run.host, offset, memory));
    } else {
        IoVec part = memory.slice(0, run.length);
        CO_CHECK(co_await write_data(run.host, offset, part));
    }
    co_return run.length;
}

// Where the data goes: the cluster that is there already, or new ones. Under metadata_.
Task<Result<Qcow2::Target>> Qcow2::find_target(u64 offset, u64 length) {
    Target target;
    CO_TRY(target.l2, co_await l2_for_write(offset));
    u64 cluster = header_.cluster_size();
    auto ours = [&](u64 at) {
        return (entry_of(target.l2.data(), at) & (entry_copied | entry_compressed)) == entry_copied;
    };
    if (ours(offset) && !header_.external_data()) {
        u64 entry = entry_of(target.l2.data(), offset);
        if (in_cluster(entry & entry_offset))
            co_return corrupt(fmt::format("Cluster allocation offset {:#x} unaligned", entry & entry_offset));
        target.host = entry & entry_offset;
        target.clusters = 1;
        co_return std::move(target);
    }
    u64 want = 1, end = round_up(offset + length, cluster), start = round_down(offset, cluster);
    while (start + want * cluster < end && (header_.external_data() || !ours(start + want * cluster))) want++;
    target.fresh = true;
    if (header_.external_data()) {
        for (u64 i = 0; i < want; i++) data_releases_.erase(start + i * cluster);
        target.host = start;
        target.clusters = want;
        co_return std::move(target);
    }
    CO_TRY(target.host, co_await refcounts_.allocate(want, false, &target.clusters));
    co_return std::move(target);
}

// Is [offset, offset + length) zero without reading data? Gives how much of it is, from the start.
Task<Result<u64>> Qcow2::reads_as_zero(u64 offset, u64 length) {
    u64 done = 0;
    while (done < length) {
        u64 at = offset + done;
        CO_TRY(Run run, co_await map(at, length - done));
        bool zero = run.kind == Kind::zero_plain || run.kind == Kind::zero_allocated;
        if (run.kind == Kind::unallocated) {
            Node* below = backing();
            if (!below || at >= below->size())
                zero = true;
            else {
                CO_TRY(ChainExtent e,
                       co_await status_above(*below, nullptr, at, std::min(run.length, below->size() - at)));
                zero = e.extent.zero;
                run.length = std::min(run.length, e.extent.length);
            }
        }
        if (!zero) break;
        done += run.length;
    }
    co_return done;
}

// Writes the data with what lies before and behind it in its clusters (in its subclusters, where that is enough).
Task<Result<void>> Qcow2::write_with_copy(u64 offset, const IoVec& memory, const Target& target) {
    u64 cluster = header_.cluster_size(), unit = header_.subcluster_size();
    u64 end = offset + memory.length(), start_of_first = round_down(offset, cluster),
        start_of_last = round_down(end - 1, cluster);
    auto holds_data = [&](u64 at) {
        u64 entry = entry_of(target.l2.data(), at);
        return target.fresh && ((entry & entry_compressed) || u32(bitmap_of(target.l2.data(), at)) != 0);
    };
    u64 copy_start = round_down(offset, unit), copy_end = round_up(end, unit);
    if (header_.extended_l2() && holds_data(start_of_first)) copy_start = start_of_first;
    if (header_.extended_l2() && holds_data(start_of_last)) copy_end = start_of_last + cluster;
    u64 head = offset - copy_start, tail = copy_end - end;
    u64 host = target.host + (copy_start - start_of_first);
    CO_CHECK(check_overlap(host, copy_end - copy_start));
    if (head == 0 && tail == 0) co_return co_await write_data(host, offset, memory);
    // A part of the file that nobody ever wrote reads as zeros already.
    if (target.fresh && target.host >= (refcounts_.untouched_from() << header_.cluster_bits) &&
        file()->has_zero_init() && !header_.external_data() && !header_.encrypted()) {
        CO_TRY(u64 zero_head, co_await reads_as_zero(copy_start, head));
        CO_TRY(u64 zero_tail, co_await reads_as_zero(end, tail));
        if (zero_head == head && zero_tail == tail) co_return co_await data_node().write(host + head, memory);
    }
    CO_TRY(auto around, Buffer::create(head + tail));
    IoVec before(around.data(), head), after(around.data() + head, tail);
    if (head) CO_CHECK(co_await read_guest(copy_start, before));
    if (tail) CO_CHECK(co_await read_guest(end, after));
    before.append(memory);
    before.append(after);
    co_return co_await write_data(host, copy_start, before);
}

// The L2 entries of what has been written. Doesn't suspend: nobody sees half of it.
void Qcow2::commit_target(u64 offset, u64 length, const Target& target) {
    u64 cluster = header_.cluster_size(), unit = header_.subcluster_size();
    u64 end = offset + length, first = round_down(offset, cluster);
    for (u64 at = first; at < end; at += cluster) {
        u64 old = entry_of(target.l2.data(), at), old_bits = bitmap_of(target.l2.data(), at), bits = 0;
        if (header_.extended_l2()) {
            bool whole = target.fresh && ((old & entry_compressed) || u32(old_bits) != 0);
            u64 from = whole ? 0 : (std::max(at, offset) - at) / unit,
                to = whole ? 32 : div_up(std::min(at + cluster, end) - at, unit);
            u64 mask = ((u64(1) << to) - 1) & ~((u64(1) << from) - 1);
            u64 kept = old & entry_compressed ? 0 : old_bits;
            bits = (kept & ~(mask | mask << 32)) | mask;
            if (whole) bits = mask;
        }
        set_entry(target.l2, at, (target.host + (at - first)) | entry_copied, bits);
        if (target.fresh && old != ((target.host + (at - first)) | entry_copied)) release_entry(old);
    }
}

Task<Result<void>> Qcow2::undo_target(const Target& target) {
    if (!target.fresh || header_.external_data()) co_return Result<void>();
    auto lock = co_await metadata_.lock();
    co_return co_await refcounts_.change(cluster_of(target.host), target.clusters, -1);
}

Task<Result<u64>> Qcow2::write_new(u64 offset, const IoVec& memory) {
    u64 cluster = header_.cluster_size();
    u64 length = std::min(memory.length(), round_up(offset + 1, span_of_l2()) - offset);
    u64 start = round_down(offset, cluster);
    auto range = co_await ranges_.lock(start, round_up(offset + length, cluster) - start, true);
    // Somebody may have allocated it while this waited.
    CO_TRY(Run run, co_await map(offset, length));
    if (run.kind == Kind::normal && run.copied) {
        IoVec part = memory.slice(0, run.length);
        CO_CHECK(check_overlap(run.host, run.length));
        CO_CHECK(co_await write_data(run.host, offset, part));
        co_return run.length;
    }
    Target target;
    {
        auto lock = co_await metadata_.lock();
        CO_CHECK(co_await before_change());
        CO_TRY(target, co_await find_target(offset, length));
    }
    length = std::min(length, target.clusters * cluster - in_cluster(offset));
    IoVec part = memory.slice(0, length);
    Result<void> r = co_await write_with_copy(offset, part, target);
    if (!r) {
        Result<void> undone = co_await undo_target(target);
        std::move(undone).ignore();
        co_return std::move(r).error();
    }
    commit_target(offset, length, target);
    // More may have been allocated than the data fills; that is none's.
    u64 used = div_up(in_cluster(offset) + length, cluster);
    MIMIC_CHECK(used == target.clusters || !target.fresh, "a write uses what it allocated");
    co_return length;
}

Task<Result<void>> Qcow2::do_write(u64 offset, const IoVec& memory) {
    CO_CHECK(co_await relieve());
    CO_CHECK(co_await begin_bitmap_use());
    for (u64 done = 0; done < memory.length();) {
        IoVec rest = done ? memory.slice(done, memory.length() - done) : memory;
        CO_TRY(u64 n, co_await write_in_place(offset + done, rest));
        if (n == 0) { CO_TRY(n, co_await write_new(offset + done, rest)); }
        done += n;
    }
    co_return Result<void>();
}

// Whole clusters to zeros. The range is locked.
Task<Result<void>> Qcow2::zero_clusters(u64 offset, u64 length, u32 flags) {
    u64 cluster = header_.cluster_size();
    if (header_.raw_external())
        CO_CHECK(co_await data_node().write_zeroes(offset, std::min(length, size() - std::min(size(), offset)), flags));
    auto lock = co_await metadata_.lock();
    CO_CHECK(co_await before_change());
    bool unmap = (flags & flag::may_unmap) && !header_.raw_external();
    Ref l2;
    for (u64 at = offset; at < offset + length; at += cluster) {
        if (!l2 || at % span_of_l2() == 0) {
            u64 step = std::min(round_up(at + 1, span_of_l2()), offset + length) - at;
            CO_TRY(Run run, co_await map(at, step));
            // Nothing to do for what is zero already; tables for nothing would only cost.
            bool zero = run.kind == Kind::zero_plain || (run.kind == Kind::unallocated && !backing());
            if (zero && run.length == step && !header_.raw_external()) {
                at += step - cluster;
                l2 = Ref();
                continue;
            }
            CO_TRY(l2, co_await l2_for_write(at));
        }
        u64 old = entry_of(l2.data(), at);
        bool keep = !unmap && (old & (entry_copied | entry_compressed)) == entry_copied;
        if (header_.raw_external()) {
            data_releases_.erase(at);
            old = at | entry_copied;
            keep = true;
        }
        u64 entry = keep ? old & ~entry_zero : 0;
        if (header_.extended_l2())
            set_entry(l2, at, entry, u64(0xffffffff) << 32);
        else
            set_entry(l2, at, entry | entry_zero, 0);
        if (!keep) release_entry(old);
    }
    co_return Result<void>();
}

Task<Result<void>> Qcow2::do_write_zeroes(u64 offset, u64 length, u32 flags) {
    CO_CHECK(co_await relieve());
    u64 cluster = header_.cluster_size(), end = offset + length;
    bool by_discard = header_.version < 3 && !backing();
    if (header_.version < 3 && !by_discard) co_return unsupported("zero clusters (compat=0.10)");
    CO_CHECK(co_await begin_bitmap_use());
    // A cluster that is zero outside of the range too can go as a whole; nobody writes there between the look and that.
    const u64 first = round_down(offset, cluster);
    auto range = co_await ranges_.lock(first, round_up(end, cluster) - first, true);
    u64 start = offset, stop = end;
    if (u64 over = in_cluster(offset)) {
        CO_TRY(u64 zero, co_await reads_as_zero(offset - over, over));
        start = zero == over ? offset - over : round_up(offset, cluster);
    }
    if (u64 over = in_cluster(end)) {
        u64 rest = end < size() ? std::min(cluster - over, size() - end) : 0;
        CO_TRY(u64 zero, co_await reads_as_zero(end, rest));
        stop = zero == rest ? round_up(end, cluster) : round_down(end, cluster);
    }
    if (start < stop) {
        if (by_discard)
            CO_CHECK(co_await discard_locked(start, stop - start, true));
        else
            CO_CHECK(co_await zero_clusters(start, stop - start, flags));
    }
    range.unlock();
    auto write_part = [](Qcow2& self, u64 at, u64 n) -> Task<Result<void>> {
        CO_TRY(u64 zero, co_await self.reads_as_zero(at, n));
        if (zero == n) co_return Result<void>();
        CO_TRY(auto zeros, Buffer::zeroed(n));
        IoVec memory = zeros.vec();
        co_return co_await self.do_write(at, memory);
    };
    if (start > offset) CO_CHECK(co_await write_part(*this, offset, std::min(start, end) - offset));
    if (stop < end && stop >= start) CO_CHECK(co_await write_part(*this, stop, end - stop));
    co_return Result<void>();
}

// Whole clusters given up. `full`: so that nothing is left here and the backing node shows.
Task<Result<void>> Qcow2::discard_clusters(u64 offset, u64 length, bool full) {
    auto range = co_await ranges_.lock(offset, length, true);
    co_return co_await discard_locked(offset, length, full);
}
Task<Result<void>> Qcow2::discard_locked(u64 offset, u64 length, bool full) {
    u64 cluster = header_.cluster_size();
    auto lock = co_await metadata_.lock();
    CO_CHECK(co_await before_change());
    Ref l2;
    for (u64 at = offset; at < offset + length; at += cluster) {
        if (!l2 || at % span_of_l2() == 0) {
            l2 = Ref();
            u64 index = at / span_of_l2();
            if (index >= l1_.size() || !(l1_[index] & entry_offset)) {
                at = round_up(at + 1, span_of_l2()) - cluster;
                continue;
            }
            CO_TRY(l2, co_await l2_for_write(at));
        }
        u64 old = entry_of(l2.data(), at), old_bits = bitmap_of(l2.data(), at);
        if (old == 0 && old_bits == 0) {
            // It shows the backing node; a discard may leave that.
            continue;
        }
        u64 entry = 0, bits = 0;
        if (!full && header_.extended_l2())
            bits = u64(0xffffffff) << 32;
        else if (!full && header_.version >= 3)
            entry = entry_zero;
        else if (!full && backing())
            continue;
        set_entry(l2, at, entry, bits);
        release_entry(old);
        if (header_.external_data() && (old & entry_copied)) data_releases_.insert(at);
    }
    co_return Result<void>();
}

Task<Result<void>> Qcow2::do_discard(u64 offset, u64 length) {
    CO_CHECK(co_await relieve());
    u64 cluster = header_.cluster_size(), end = offset + length;
    u64 start = round_up(offset, cluster), stop = end == size() ? round_up(end, cluster) : round_down(end, cluster);
    if (start >= stop) co_return Result<void>();
    CO_CHECK(co_await begin_bitmap_use());
    // The raw file of data_file_raw is what it is: the metadata goes on saying that it holds the data.
    if (header_.raw_external()) co_return co_await data_node().discard(start, std::min(stop, size()) - start);
    co_return co_await discard_clusters(start, stop - start, false);
}

Task<Result<void>> Qcow2::make_empty() {
    // Images with snapshots keep what those show; the counts see to that.
    CO_CHECK(co_await give_up(0, round_up(size(), header_.cluster_size()), true));
    co_return co_await flush();
}

} // namespace mimic::block::qcow2
