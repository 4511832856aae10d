// Refcounts: who owns which cluster of the image file; allocation and release.
//
// Counts live in refcount blocks (cached); a table in memory says where those are. Callers hold Qcow2's metadata lock
// around everything that suspends here. A cluster that is given up (release) stays taken until what referred to it has
// reached the disk: only then apply_releases() lowers its count and it can be used again.
#pragma once
#include "block/qcow2/cache.hpp"
#include "block/qcow2/header.hpp"
#include <functional>
#include <map>

namespace mimic::block::qcow2 {

// One count in a refcount block: width 1 << order bits; sub-byte counts start at a byte's least significant bit.
u64 get_count(const u8* block, u64 index, u32 order);
void set_count(u8* block, u64 index, u32 order, u64 value);

class Refcounts {
public:
    Refcounts(io::Loop& loop, Header& header, u64 cache_limit);
    void set_file(Node& file) { file_ = &file; }

    // Reads the table. Errors: entries that are no cluster offsets.
    Task<Result<void>> load();
    Task<Result<u64>> get(u64 cluster);
    // Adds to the counts of [first, first + n). Errors: a count would leave its range (corrupt or too wide).
    Task<Result<void>> change(u64 first, u64 n, i64 delta);
    // Finds clusters in a row, counts them once and gives the first. `exact`: all n, else at least one and *got says.
    Task<Result<u64>> allocate(u64 n, bool exact, u64* got = nullptr);
    Task<Result<u64>> allocate_bytes(u64 bytes) { return allocate(div_up(bytes, header_.cluster_size()), true); }

    // Gives one reference of each cluster up, once what is now in memory has been written.
    void release(u64 first, u64 n);
    bool has_releases() const { return !releases_.empty(); }
    bool many_releases() const { return releases_.size() > 4096; }
    // The releases so far; those that come later wait for the next flush.
    std::map<u64, std::vector<u64>> take_releases() { return std::exchange(releases_, {}); }
    Task<Result<void>> apply(std::map<u64, std::vector<u64>> releases);

    // What a flush writes.
    TableCache& cache() { return cache_; }
    bool table_dirty() const { return table_dirty_first_ < table_dirty_end_; }
    // The changed entries of the table as they are now, and writing them where the table was then.
    struct TablePart {
        u64 offset = 0, first = 0;
        std::vector<u8> raw;
    };
    TablePart take_table();
    Task<Result<void>> write_table(TablePart part);
    const std::vector<u64>& table() const { return table_; }
    u64 table_clusters() const { return header_.refcount_table_clusters; }
    // The first cluster that was never used: what lies there reads as zeros if the file does past its end.
    u64 untouched_from() const { return untouched_; }
    void rewind_search() { search_ = 0; }
    // Start over from the header (after a repair).
    Task<Result<void>> reload();

    // What moving the table needs of its owner: that no flush runs, the blocks written, the header written.
    io::Mutex* flush_lock = nullptr;
    std::function<Task<Result<void>>()> write_blocks, write_header;
    // The table has a new place, which the header does not name yet.
    std::function<void()> table_moved = [] {};
    // Called when a cluster's count falls to 0.
    std::function<void(u64 cluster)> freed = [](u64) {};

private:
    Task<Result<TableCache::Ref>> block_of(u64 cluster);
    Task<Result<bool>> is_free(u64 cluster);
    Task<Result<void>> ensure_block(u64 index, u64 near);
    Task<Result<void>> grow_table(u64 index);
    Result<void> make_block(u64 index, u64 cluster);
    Task<Result<u64>> find_free(u64 n, u64 from);
    Task<Result<void>> take(u64 first, u64 n);

    Node* file_ = nullptr;
    Header& header_;
    TableCache cache_;
    std::vector<u64> table_;
    u64 table_dirty_first_ = UINT64_MAX, table_dirty_end_ = 0;
    u64 search_ = 0, untouched_ = 0;
    std::map<u64, std::vector<u64>> releases_; // first cluster to lengths
    bool growing_ = false;
};

} // namespace mimic::block::qcow2
