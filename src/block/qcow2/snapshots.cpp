// Internal snapshots (section Snapshots): creating, applying, deleting, showing.
#include "block/qcow2/image.hpp"
#include "block/qcow2/state.hpp"
#include <algorithm>
#include <cstring>

namespace mimic::block::qcow2 {

namespace {

constexpr size_t fixed_bytes = 40, known_extra = 16, icount_extra = 24;
constexpr size_t max_extra = 1024;
// The whole table; the format's other programs stop at the same.
constexpr u64 max_table_bytes = 64u << 20;

} // namespace

std::vector<SnapshotInfo> Qcow2::snapshots() const {
    std::vector<SnapshotInfo> list;
    for (auto& s : snapshots_) list.push_back(s.info);
    return list;
}

Task<Result<void>> Qcow2::load_snapshots() {
    snapshots_.clear();
    u64 at = header_.snapshots_offset;
    for (u32 i = 0; i < header_.snapshot_count; i++) {
        at = round_up(at, 8);
        if (at >= file()->size() || at - header_.snapshots_offset > max_table_bytes)
            co_return Error::invalid_argument("Snapshot table ends after {} of {} entries", i, header_.snapshot_count);
        u8 fixed[fixed_bytes];
        IoVec memory(fixed, sizeof fixed);
        CO_CHECK(co_await file()->read(at, memory));
        Snapshot s;
        s.l1_offset = get64(fixed);
        s.l1_entries = get32(fixed + 8);
        u16 id_length = get16(fixed + 12), name_length = get16(fixed + 14);
        s.info.date_sec = get32(fixed + 16);
        s.info.date_nsec = get32(fixed + 20);
        s.info.vm_clock_nsec = get64(fixed + 24);
        s.info.vm_state_size = get32(fixed + 32);
        u32 extra_length = get32(fixed + 36);
        if (extra_length > max_extra)
            co_return Error::invalid_argument("Snapshot {} has {} bytes of extra data, expected at most {}", i,
                                              extra_length, max_extra);
        if (u64(s.l1_entries) * 8 > max_l1_bytes || in_cluster(s.l1_offset))
            co_return Error::invalid_argument("Snapshot {} has an invalid L1 table (offset {:#x}, {} entries)", i,
                                              s.l1_offset, s.l1_entries);
        std::vector<u8> rest(extra_length + id_length + name_length);
        IoVec rest_memory{std::span<u8>(rest)};
        CO_CHECK(co_await file()->read(at + fixed_bytes, rest_memory));
        if (extra_length >= 8) s.info.vm_state_size = get64(rest.data());
        if (extra_length >= 16) s.info.disk_size = get64(&rest[8]);
        s.sized = s.info.disk_size != 0;
        if (!s.sized) s.info.disk_size = header_.size;
        s.extra_bytes = extra_length;
        // A disk that no L1 table of an allowed size could describe is none.
        if (s.info.disk_size > u64(INT64_MAX) || header_.l1_entries_for(s.info.disk_size) * 8 > max_l1_bytes)
            co_return Error::invalid_argument("Snapshot {} has an invalid disk size of {} bytes", i, s.info.disk_size);
        if (extra_length >= icount_extra) s.info.icount = get64(&rest[16]);
        if (extra_length > icount_extra) s.extra.assign(rest.begin() + icount_extra, rest.begin() + extra_length);
        auto* text = reinterpret_cast<const char*>(rest.data()) + extra_length;
        s.info.id.assign(text, id_length);
        s.info.name.assign(text + id_length, name_length);
        snapshots_.push_back(std::move(s));
        at += fixed_bytes + rest.size();
    }
    co_return Result<void>();
}

u64 Qcow2::snapshot_table_bytes() const {
    u64 bytes = 0;
    for (auto& s : snapshots_)
        bytes = round_up(bytes, 8) + fixed_bytes + s.extra_bytes + s.info.id.size() + s.info.name.size();
    return bytes;
}

Task<Result<void>> Qcow2::size_snapshots() {
    if (std::ranges::all_of(snapshots_, &Snapshot::sized)) co_return Result<void>();
    auto lock = co_await metadata_.lock();
    CO_CHECK(co_await before_change());
    CO_CHECK(co_await begin_unfinished());
    Result<void> written = co_await write_snapshots(snapshots_);
    co_await end_unfinished();
    co_return written;
}

// Writes a new table and lets the header point to it. Under metadata_.
Task<Result<void>> Qcow2::write_snapshots(std::vector<Snapshot> list, bool* unsure) {
    std::vector<u8> raw;
    for (auto& s : list) {
        size_t at = raw.size(), extra = icount_extra + s.extra.size();
        size_t bytes = fixed_bytes + extra + s.info.id.size() + s.info.name.size();
        raw.resize(at + round_up(bytes, 8));
        u8* p = &raw[at];
        put64(p, s.l1_offset);
        put32(p + 8, s.l1_entries);
        put16(p + 12, u16(s.info.id.size()));
        put16(p + 14, u16(s.info.name.size()));
        put32(p + 16, s.info.date_sec);
        put32(p + 20, s.info.date_nsec);
        put64(p + 24, s.info.vm_clock_nsec);
        put32(p + 32, s.info.vm_state_size > UINT32_MAX ? 0 : u32(s.info.vm_state_size));
        put32(p + 36, u32(extra));
        put64(p + 40, s.info.vm_state_size);
        put64(p + 48, s.info.disk_size);
        put64(p + 56, s.info.icount);
        std::ranges::copy(s.extra, p + fixed_bytes + icount_extra);
        std::ranges::copy(s.info.id, p + fixed_bytes + extra);
        std::ranges::copy(s.info.name, p + fixed_bytes + extra + s.info.id.size());
    }
    if (raw.size() > max_table_bytes)
        co_return Error::no_space("the snapshot table would need {} bytes, expected at most {}", raw.size(),
                                  max_table_bytes);
    u64 old_offset = header_.snapshots_offset, old_bytes = snapshot_table_bytes(), offset = 0;
    if (!raw.empty()) { CO_TRY(offset, co_await refcounts_.allocate_bytes(raw.size())); }
    auto write_it = [&]() -> Task<Result<void>> {
        IoVec memory{std::span<u8>(raw)};
        if (!raw.empty()) CO_CHECK(co_await file()->write(offset, memory));
        CO_CHECK(co_await flush_tables());
        co_return co_await barrier();
    };
    Result<void> named = co_await write_it();
    if (named) {
        Header before = header_;
        header_.snapshots_offset = offset;
        header_.snapshot_count = u32(list.size());
        named = co_await switch_header(std::move(before));
        if (!named && !co_await write_header()) { // the old one
            if (unsure) *unsure = true;
            co_return named;
        }
    }
    if (!named) {
        if (!raw.empty()) refcounts_.release(cluster_of(offset), div_up(raw.size(), header_.cluster_size()));
        co_return named;
    }
    snapshots_ = std::move(list);
    for (auto& s : snapshots_) {
        s.extra_bytes = u32(icount_extra + s.extra.size());
        s.sized = s.info.disk_size != 0;
    }
    CO_CHECK(co_await barrier());
    if (old_bytes) refcounts_.release(cluster_of(old_offset), div_up(old_bytes, header_.cluster_size()));
    co_return Result<void>();
}

Task<Result<void>> Qcow2::write_l1_at(const std::vector<u64>& l1, u64 offset) {
    std::vector<u8> raw(round_up(l1.size() * 8, header_.cluster_size()));
    for (size_t i = 0; i < l1.size(); i++) put64(&raw[i * 8], l1[i]);
    IoVec memory{std::span<u8>(raw)};
    co_return co_await file()->write(offset, memory);
}

// Counts all that an L1 table reaches once more; if that fails, as before.
Task<Result<void>> Qcow2::add_l1_references(std::vector<u64>& l1, bool active) {
    std::vector<Counted> done;
    Result<void> r = co_await change_l1_refcounts(l1, 1, active, &done);
    if (r) co_return r;
    for (auto& run : done) {
        Result<void> undone = co_await refcounts_.change(run.first, run.n, -1);
        std::move(undone).ignore();
    }
    Result<void> marked = co_await change_l1_refcounts(l1_, 0, true);
    std::move(marked).ignore();
    co_return r;
}

// Adds delta to the counts of all that an L1 table reaches, and sets the COPIED bits as the counts then say (delta 0: only
// that). `active`: the table is the active one, so its L1 entries are marked too. Under metadata_.
Task<Result<void>> Qcow2::change_l1_refcounts(std::vector<u64>& l1, i64 delta, bool active,
                                              std::vector<Counted>* done) {
    auto note = [done](u64 first, u64 n) {
        if (!done) return;
        if (!done->empty() && done->back().first + done->back().n == first)
            done->back().n += n;
        else
            done->push_back({first, n});
    };
    for (size_t i = 0; i < l1.size(); i++) {
        u64 l2_offset = l1[i] & entry_offset;
        if (!l2_offset) continue;
        CO_TRY(Ref l2, co_await l2_table(l1[i]));
        if (delta) CO_CHECK(co_await refcounts_.change(cluster_of(l2_offset), 1, delta));
        note(cluster_of(l2_offset), 1);
        CO_TRY(u64 l2_count, co_await refcounts_.get(cluster_of(l2_offset)));
        for (u64 k = 0; k < header_.l2_entries(); k++) {
            u8* p = l2.data() + k * header_.l2_entry_size();
            u64 entry = get64(p), now = entry & ~entry_copied;
            if (entry & entry_compressed) {
                CO_TRY(Run run, entry_state(entry, 0, 0));
                u64 first = cluster_of(run.host), last = cluster_of(run.host + run.compressed - 1);
                if (delta) CO_CHECK(co_await refcounts_.change(first, last - first + 1, delta));
                note(first, last - first + 1);
            } else if (entry & entry_offset) {
                u64 cluster = cluster_of(entry & entry_offset);
                if (in_cluster(entry & entry_offset))
                    co_return corrupt(fmt::format("Cluster allocation offset {:#x} unaligned", entry & entry_offset));
                if (delta) CO_CHECK(co_await refcounts_.change(cluster, 1, delta));
                note(cluster, 1);
                CO_TRY(u64 count, co_await refcounts_.get(cluster));
                if (count == 1) now |= entry_copied;
            }
            if (now != entry && l2_count > 0) {
                put64(p, now);
                l2_cache_.mark_dirty(l2);
            }
        }
        u64 now = l2_offset | (l2_count == 1 ? entry_copied : 0);
        if (active && now != l1[i]) {
            l1[i] = now;
            l1_dirty_first_ = std::min<u64>(l1_dirty_first_, i);
            l1_dirty_end_ = std::max<u64>(l1_dirty_end_, i + 1);
        }
    }
    co_return Result<void>();
}

// A table that nothing names any more goes, with its references. After an error the rest is done all the same: clusters may
// leak then, but the marks in the active tables agree with the counts.
Task<Result<void>> Qcow2::drop_l1(std::vector<u64> l1, u64 offset, u64 bytes) {
    Result<void> result = co_await change_l1_refcounts(l1, -1, false);
    if (bytes) refcounts_.release(cluster_of(offset), div_up(bytes, header_.cluster_size()));
    auto also = [&result](Result<void> r) {
        if (result && !r) result = std::move(r);
    };
    also(co_await apply_releases());
    also(co_await change_l1_refcounts(l1_, 0, true));
    also(co_await flush_tables());
    also(co_await barrier());
    co_return result;
}

const Snapshot* Qcow2::find_snapshot(const std::string& id_or_name) const {
    for (auto& s : snapshots_)
        if (s.info.name == id_or_name) return &s;
    for (auto& s : snapshots_)
        if (s.info.id == id_or_name) return &s;
    return nullptr;
}

Task<Result<void>> Qcow2::snapshot_create(SnapshotInfo info) {
    if (header_.external_data())
        co_return Error::unsupported("'{}': internal snapshots are not possible with an external data file",
                                     filename());
    if (snapshots_.size() >= max_snapshots)
        co_return Error::no_space("'{}' has {} snapshots, which is the limit", filename(), snapshots_.size());
    co_await drain();
    auto lock = co_await metadata_.lock();
    CO_CHECK(co_await before_change());
    CO_CHECK(co_await begin_unfinished());
    Result<void> made = co_await create_locked(std::move(info));
    co_await end_unfinished();
    co_return made;
}

Task<Result<void>> Qcow2::create_locked(SnapshotInfo info) {
    if (info.id.empty()) {
        u64 largest = 0;
        for (auto& s : snapshots_) largest = std::max<u64>(largest, strtoull(s.info.id.c_str(), nullptr, 10));
        info.id = fmt::format("{}", largest + 1);
    }
    info.disk_size = size();
    u64 before = snapshots_.size(), l1_offset = 0;
    bool unsure = false;
    CO_CHECK(co_await flush_tables());
    // Counts up and COPIED off come first: should it end here, clusters have leaked and nothing more.
    Result<void> counted = co_await add_l1_references(l1_, true);
    if (!counted)
        co_return std::move(counted).error().in(fmt::format("'{}': count the snapshot's clusters", filename()));
    Result<void> made = co_await append_snapshot(std::move(info), l1_offset, unsure);
    // If both may be what the image says, clusters have leaked.
    if (made || unsure) co_return made;
    // It is not there, whatever became of the way to it: with an entry, that goes; without one, what was counted for it.
    Result<void> undone;
    if (snapshots_.size() > before)
        undone = co_await delete_locked(snapshots_.back());
    else
        undone = co_await drop_l1(l1_, l1_offset, l1_offset ? l1_.size() * 8 : 0);
    if (!undone)
        context().warn(fmt::format("'{}': a snapshot that failed could not be taken back: {}", filename(),
                                   undone.error().message()));
    co_return made;
}

// The active table's clusters are counted for it. `l1_offset`: of its table, once that has clusters. Under metadata_.
Task<Result<void>> Qcow2::append_snapshot(SnapshotInfo info, u64& l1_offset, bool& unsure) {
    Snapshot s;
    s.info = std::move(info);
    s.l1_entries = header_.l1_entries;
    if (!l1_.empty()) { CO_TRY(l1_offset, co_await refcounts_.allocate_bytes(l1_.size() * 8)); }
    s.l1_offset = l1_offset;
    std::vector<u64> copy = l1_;
    for (auto& e : copy) e &= ~entry_copied;
    CO_CHECK(co_await write_l1_at(copy, s.l1_offset));
    std::vector<Snapshot> list = snapshots_;
    list.push_back(std::move(s));
    CO_CHECK(co_await write_snapshots(std::move(list), &unsure));
    CO_CHECK(co_await flush_tables());
    CO_CHECK(co_await apply_releases());
    co_return co_await barrier();
}

Task<Result<void>> Qcow2::snapshot_apply(const std::string& id_or_name) {
    co_await drain();
    const Snapshot* found = find_snapshot(id_or_name);
    if (!found) co_return Error::not_found("'{}' has no snapshot '{}'", filename(), id_or_name);
    co_return co_await apply_snapshot(*found);
}

Task<Result<void>> Qcow2::snapshot_apply(const SnapshotInfo& which) {
    co_await drain();
    const Snapshot* found = find_snapshot(which);
    if (!found) co_return Error::not_found("'{}' has no snapshot '{}' ({})", filename(), which.name, which.id);
    co_return co_await apply_snapshot(*found);
}

Task<Result<void>> Qcow2::apply_snapshot(Snapshot s) {
    // For a bitmap the whole disk changes.
    if (u64 size = s.info.disk_size; size && size != header_.size)
        CO_CHECK(co_await resize_bitmaps(size));
    else
        CO_CHECK(co_await begin_bitmap_use());
    auto lock = co_await metadata_.lock();
    CO_CHECK(co_await before_change());
    CO_CHECK(co_await begin_unfinished());
    Result<void> applied = co_await apply_locked(std::move(s));
    co_await end_unfinished();
    for (auto& b : dirty_bitmaps()) b->resize(size());
    mark_dirty(0, size());
    co_return applied;
}

Task<Result<void>> Qcow2::apply_locked(Snapshot s) {
    CO_CHECK(co_await flush_tables());
    CO_CHECK(co_await apply_releases());
    CO_TRY(std::vector<u64> l1, co_await load_l1(s.l1_offset, s.l1_entries));
    // The disk of version 2 snapshots has the image's size.
    u64 disk_size = s.info.disk_size ? s.info.disk_size : header_.size;
    l1.resize(std::max<size_t>({l1.size(), size_t(header_.l1_entries_for(disk_size)), 1}));
    CO_CHECK(co_await add_l1_references(l1, false));
    u64 offset = 0;
    Result<void> stored = co_await store_new_l1(l1, offset);
    if (!stored) { // nothing names it: what was counted for it goes
        Result<void> undone = co_await drop_l1(l1, offset, offset ? l1.size() * 8 : 0);
        if (!undone)
            context().warn(fmt::format("'{}': what was counted for a snapshot's table could not be taken back: {}",
                                       filename(), undone.error().message()));
        co_return stored;
    }
    std::vector<u64> old = l1_;
    u64 old_offset = header_.l1_offset, old_bytes = u64(header_.l1_entries) * 8;
    Header before = header_;
    header_.l1_offset = offset;
    header_.l1_entries = u32(l1.size());
    header_.size = disk_size;
    CO_CHECK(co_await switch_header(std::move(before)));
    // From here on the snapshot's table is the active one, whatever comes.
    shown_size_ = disk_size;
    l1_ = std::move(l1);
    l1_dirty_first_ = UINT64_MAX;
    l1_dirty_end_ = 0;
    l2_clusters_.clear();
    for (u64 e : l1_)
        if (e & entry_offset) l2_clusters_.insert(e & entry_offset);
    CO_CHECK(co_await barrier());
    co_return co_await drop_l1(std::move(old), old_offset, old_bytes);
}

// At `offset`, once it has clusters; on stable storage with all that it names.
Task<Result<void>> Qcow2::store_new_l1(std::vector<u64>& l1, u64& offset) {
    CO_TRY(offset, co_await refcounts_.allocate_bytes(l1.size() * 8));
    for (auto& e : l1) e &= ~entry_copied;
    CO_CHECK(co_await write_l1_at(l1, offset));
    CO_CHECK(co_await flush_tables());
    co_return co_await barrier();
}

const Snapshot* Qcow2::find_snapshot(const SnapshotInfo& which) const {
    for (auto& s : snapshots_)
        if (s.info.id == which.id && s.info.name == which.name) return &s;
    return nullptr;
}

Task<Result<void>> Qcow2::snapshot_delete(const std::string& id_or_name) {
    co_await drain();
    const Snapshot* found = find_snapshot(id_or_name);
    if (!found) co_return Error::not_found("'{}' has no snapshot '{}'", filename(), id_or_name);
    co_return co_await delete_snapshot(*found);
}

Task<Result<void>> Qcow2::snapshot_delete(const SnapshotInfo& which) {
    co_await drain();
    const Snapshot* found = find_snapshot(which);
    if (!found) co_return Error::not_found("'{}' has no snapshot '{}' ({})", filename(), which.name, which.id);
    co_return co_await delete_snapshot(*found);
}

Task<Result<void>> Qcow2::delete_snapshot(Snapshot s) {
    auto lock = co_await metadata_.lock();
    CO_CHECK(co_await before_change());
    CO_CHECK(co_await begin_unfinished());
    Result<void> gone = co_await delete_locked(std::move(s));
    co_await end_unfinished();
    co_return gone;
}

Task<Result<void>> Qcow2::delete_locked(Snapshot s) {
    CO_TRY(std::vector<u64> l1, co_await load_l1(s.l1_offset, s.l1_entries));
    std::vector<Snapshot> list = snapshots_;
    std::erase_if(list, [&](auto& x) { return x.info.id == s.info.id && x.info.name == s.info.name; });
    // First nothing names it any more, then its clusters go.
    CO_CHECK(co_await write_snapshots(std::move(list)));
    co_return co_await drop_l1(std::move(l1), s.l1_offset, u64(s.l1_entries) * 8);
}

// ---- the state of machines

Task<Result<void>> Qcow2::state_write(u64 offset, const IoVec& memory) {
    if (!supports_snapshots())
        co_return Error::unsupported("'{}': internal snapshots are not possible with an external data file",
                                     filename());
    InFlight one(*this);
    co_return co_await do_write(state_start(header_.size) + offset, memory);
}

Task<Result<void>> Qcow2::state_discard() {
    InFlight one(*this);
    u64 start = state_start(header_.size), end = l1_.size() * span_of_l2();
    for (u64 at = start; at < end; at += span_of_l2()) {
        CO_CHECK(co_await discard_clusters(at, span_of_l2(), true));
        CO_CHECK(co_await relieve());
    }
    co_return Result<void>();
}

// From the snapshot's own tables: the disk stays what it is.
Task<Result<void>> Qcow2::state_read(const SnapshotInfo& of, u64 offset, const IoVec& memory) {
    InFlight one(*this);
    const Snapshot* s = find_snapshot(of);
    if (!s) co_return Error::not_found("'{}' has no snapshot '{}'", filename(), of.name);
    if (offset > s->info.vm_state_size || memory.length() > s->info.vm_state_size - offset)
        co_return Error(ErrorKind::corrupt, fmt::format("'{}': the machine state of snapshot '{}' ends after {} bytes",
                                                        filename(), of.name, s->info.vm_state_size));
    u64 at = state_start(s->info.disk_size) + offset;
    CO_TRY(std::vector<u64> l1, co_await load_l1(s->l1_offset, s->l1_entries));
    co_return co_await read_state(l1, at, memory);
}

Task<Result<void>> Qcow2::read_own_state(u64 offset, const IoVec& memory) {
    InFlight one(*this);
    std::vector<u64> l1 = l1_;
    co_return co_await read_state(l1, state_start(header_.size) + offset, memory);
}

// By an active or a snapshot's table; a backing image has nothing to say there.
Task<Result<void>> Qcow2::read_state(const std::vector<u64>& l1, u64 at, const IoVec& memory) {
    for (u64 done = 0; done < memory.length();) {
        u64 index = (at + done) / span_of_l2(), left = memory.length() - done;
        u64 entry = index < l1.size() ? l1[index] : 0;
        Run run{.kind = Kind::zero_plain,
                .length = std::min(left, round_up(at + done + 1, span_of_l2()) - (at + done))};
        if (entry & entry_offset) {
            CO_TRY(Ref l2, co_await l2_table(entry));
            CO_TRY(run, classify(l2.data(), at + done, left));
        }
        if (run.kind == Kind::unallocated) run.kind = Kind::zero_plain;
        IoVec part = memory.slice(done, run.length);
        CO_CHECK(co_await read_run(run, at + done, part));
        done += run.length;
    }
    co_return Result<void>();
}

u64 state_offset(const Node& node) {
    return &node.driver() == &qcow2_driver ? static_cast<const Qcow2&>(node).state_offset() : 0;
}

Task<Result<void>> read_state(Node& node, u64 offset, const IoVec& memory) {
    if (&node.driver() != &qcow2_driver)
        co_return Error::unsupported("'{}': format {} has no place for machine state", node.filename(),
                                     node.driver().name);
    co_return co_await static_cast<Qcow2&>(node).read_own_state(offset, memory);
}

Task<Result<void>> Qcow2::snapshot_load(const std::string& id, const std::string& name) {
    if (!options_.read_only)
        co_return Error::invalid_argument("'{}' must be open read-only to show a snapshot", filename());
    const Snapshot* found = nullptr;
    for (auto& s : snapshots_)
        if ((id.empty() || s.info.id == id) && (name.empty() || s.info.name == name)) {
            found = &s;
            break;
        }
    if (!found) co_return Error::not_found("'{}' has no snapshot '{}'", filename(), name.empty() ? id : name);
    CO_TRY(l1_, co_await load_l1(found->l1_offset, found->l1_entries));
    shown_size_ = found->info.disk_size ? found->info.disk_size : header_.size;
    l1_.resize(std::max<size_t>(l1_.size(), header_.l1_entries_for(shown_size_)));
    co_return Result<void>();
}

} // namespace mimic::block::qcow2
