// Qcow2: an open qcow2 image (Qcow2 Image File Format, versions 2 and 3).
//
// How it stays whole over a crash, at any moment (flush.cpp):
//   - counts go up on disk before anything refers to the cluster, and down after nothing does any more;
//   - data and new tables are on disk before an old table refers to them;
//   - a header never points to a table that is not there.
// What a crash can leave is clusters that are counted and not used (leaks), which `check -r leaks` frees.
//
// Locks: metadata_ around every change of the mapping or the counts that suspends; flush_ for one flush at a time (it is
// taken after metadata_, never the other way round); ranges_ for guest clusters, so that two writers don't copy the same one.
#pragma once
#include "block/driver.hpp"
#include "block/formats/luks/luks.hpp"
#include "block/qcow2/cache.hpp"
#include "block/qcow2/header.hpp"
#include "block/qcow2/refcounts.hpp"
#include "block/ranges.hpp"
#include <list>
#include <set>
#include <unordered_set>

namespace mimic::block::qcow2 {

// Bits of L1 and L2 entries.
constexpr u64 entry_copied = u64(1) << 63, entry_compressed = u64(1) << 62, entry_zero = 1;
constexpr u64 entry_offset = 0x00fffffffffffe00;

struct Options {
    bool lazy_refcounts = false, has_lazy = false;
    u64 l2_cache_size = 0, refcount_cache_size = 0;
    std::optional<std::string> key_secret, encryption; // encryption: the name of the method that is expected
};

// How a new image is encrypted.
struct EncryptOptions : luks::VolumeOptions {
    std::optional<u8> format;
    void describe(OptionVisitor& v);
};
constexpr std::string_view crypt_names[] = {"", "aes", "luks"};

struct Snapshot {
    SnapshotInfo info;
    u64 l1_offset = 0;
    u32 l1_entries = 0;
    std::vector<u8> extra; // extra data past the fields that we know
    u32 extra_bytes = 0;   // of all extra data in the table as it is stored
    bool sized = true;     // the table says how large the disk was; false: as large as the image is
};

struct Bitmap {
    enum : u32 { in_use = 1, automatic = 2, extra_compatible = 4 };
    std::string name;
    u32 granularity_bits = 16;
    u32 flags = 0;
    u8 type = 1;
    std::vector<u8> extra;
    std::vector<u64> table;            // as on disk, host byte order
    u64 table_offset = 0;              // 0: not on disk yet
    bool stale = false;                // it was in use when somebody crashed: its bits mean nothing
    std::shared_ptr<DirtyBitmap> bits; // null: as the table says
};

enum class Kind : u8 { unallocated, zero_plain, zero_allocated, normal, compressed };

// A run of guest bytes that are in the same state, and in a row in the file if they are there.
struct Run {
    Kind kind = Kind::unallocated;
    u64 length = 0;
    u64 host = 0;       // normal, zero_allocated; compressed: where its bytes start
    u64 compressed = 0; // bytes of compressed data
    bool copied = false;
};

class Qcow2 final : public Node {
public:
    Qcow2(Context& context, NodeOptions options, Header header, const Options& own);
    // Loads tables; the children are attached.
    Task<Result<void>> start(bool no_io);

    u64 size() const override { return shown_size_; }
    // What was never written is in no cluster; in an external file it is as that file was.
    bool has_zero_init() const override {
        Edge* data = child("data-file");
        if (header_.encrypted() && header_.version < 3) return false; // preallocated clusters have no zero flag
        return !backing() && (!data || data->node().has_zero_init());
    }
    ImageInfo info() const override;
    bool supports_compressed() const override { return !header_.external_data() && !header_.encrypted(); }
    u64 cluster_size() const override { return header_.cluster_size(); }
    Task<Result<CheckReport>> check(Fix fix) override;
    std::vector<SnapshotInfo> snapshots() const override;
    Task<Result<void>> snapshot_create(SnapshotInfo info) override;
    Task<Result<void>> snapshot_apply(const std::string& id_or_name) override;
    Task<Result<void>> snapshot_apply(const SnapshotInfo& which) override;
    Task<Result<void>> snapshot_delete(const std::string& id_or_name) override;
    Task<Result<void>> snapshot_delete(const SnapshotInfo& which) override;
    bool supports_snapshots() const override { return !header_.external_data(); }
    Task<Result<void>> state_write(u64 offset, const IoVec& memory) override;
    Task<Result<void>> state_discard() override;
    Task<Result<void>> state_read(const SnapshotInfo& of, u64 offset, const IoVec& memory) override;
    u64 state_offset() const { return state_start(header_.size); }
    Task<Result<void>> read_own_state(u64 offset, const IoVec& memory);
    Task<Result<void>> snapshot_load(const std::string& id, const std::string& name) override;
    Task<Result<void>> set_backing_file(const std::string& name, const std::string& format) override;
    Task<Result<void>> make_empty() override;
    Task<Result<void>> amend(Json options) override;

    std::vector<BitmapInfo> bitmaps() const override;
    Task<Result<std::shared_ptr<DirtyBitmap>>> bitmap(const std::string& name) override;
    Task<Result<void>> bitmap_add(const std::string& name, u64 granularity, bool enabled, bool persistent) override;
    Task<Result<void>> bitmap_remove(const std::string& name) override;
    Task<Result<void>> bitmaps_will_change() override { return begin_bitmap_use(); }
    Task<Result<void>> load_bitmaps() override;

    const Header& header() const { return header_; }
    // Allocates all clusters up to `size` without data (preallocation=metadata), from `from` on.
    Task<Result<void>> preallocate(u64 from, u64 to, Prealloc mode);
    Task<Result<void>> write_header();
    // Writes the header as it is now; if that fails, it is `before` again.
    Task<Result<void>> switch_header(Header before);
    // For a new image: its L1 table and size.
    Task<Result<void>> set_up(u64 size);
    // For a new image without data: its key. Errors: no such secret, the options don't fit.
    Task<Result<void>> set_up_encryption(const EncryptOptions& o);

protected:
    Task<Result<void>> do_read(u64 offset, const IoVec& memory) override;
    Task<Result<void>> do_write(u64 offset, const IoVec& memory) override;
    Task<Result<void>> do_write_zeroes(u64 offset, u64 length, u32 flags) override;
    Task<Result<void>> do_write_compressed(u64 offset, const IoVec& memory) override;
    Task<Result<void>> do_discard(u64 offset, u64 length) override;
    Task<Result<void>> do_flush() override;
    Task<Result<Extent>> do_status(u64 offset, u64 length) override;
    Task<Result<void>> do_truncate(u64 size, Prealloc prealloc) override;
    Task<Result<void>> do_close() override;
    Task<Result<void>> do_reopen(bool read_only) override;

private:
    using Ref = TableCache::Ref;

    Node& data_node() const;
    Error corrupt(std::string what);
    u64 cluster_of(u64 offset) const { return offset >> header_.cluster_bits; }
    u64 in_cluster(u64 offset) const { return offset & (header_.cluster_size() - 1); }
    u64 span_of_l2() const { return header_.cluster_size() * header_.l2_entries(); }

    Task<Result<void>> start_writing();

    // mapping.cpp
    Task<Result<std::vector<u64>>> load_l1(u64 offset, u32 entries);
    Task<Result<Ref>> l2_table(u64 l1_entry);
    Result<Run> classify(const u8* table, u64 offset, u64 length);
    Result<Run> entry_state(u64 entry, u64 bitmap, u32 sub);
    // The state from offset on, for up to length.
    Task<Result<Run>> map(u64 offset, u64 length);
    Task<Result<Ref>> l2_for_write(u64 offset);
    Task<Result<void>> grow_l1(u64 entries);
    void set_entry(const Ref& l2, u64 offset, u64 entry, u64 bitmap);
    u64 entry_of(const u8* table, u64 offset) const;
    u64 bitmap_of(const u8* table, u64 offset) const;
    void set_l1(u64 index, u64 entry);
    void release_entry(u64 entry);

    // read.cpp
    Task<Result<void>> read_run(Run run, u64 offset, const IoVec& memory);
    Task<Result<void>> read_backing(u64 offset, const IoVec& memory);
    Task<Result<void>> read_compressed(Run run, u64 offset, const IoVec& memory);
    Task<Result<void>> read_guest(u64 offset, const IoVec& memory);

    // encryption.cpp: payload to what the file holds. `offset` is the disk's, host the file's.
    Task<Result<void>> read_data(u64 host, u64 offset, const IoVec& memory);
    Task<Result<void>> write_data(u64 host, u64 offset, const IoVec& memory);
    const luks::SectorCipher* cipher() const;
    Task<Result<void>> start_encryption();
    Json encryption_info() const;

    // write.cpp
    Task<Result<u64>> write_in_place(u64 offset, const IoVec& memory);
    Task<Result<u64>> write_new(u64 offset, const IoVec& memory);
    struct Target {
        u64 host = 0, clusters = 0;
        bool fresh = false; // the clusters were allocated for this write
        Ref l2;
    };
    Task<Result<Target>> find_target(u64 offset, u64 length);
    Task<Result<void>> write_with_copy(u64 offset, const IoVec& memory, const Target& target);
    void commit_target(u64 offset, u64 length, const Target& target);
    Task<Result<void>> undo_target(const Target& target);
    Result<void> check_overlap(u64 host, u64 length);
    Task<Result<void>> before_change();
    Task<Result<u64>> reads_as_zero(u64 offset, u64 length);
    Task<Result<void>> zero_clusters(u64 offset, u64 length, u32 flags);
    Task<Result<void>> discard_clusters(u64 offset, u64 length, bool full);
    Task<Result<void>> discard_locked(u64 offset, u64 length, bool full);

    // compress.cpp
    Task<Result<u64>> allocate_compressed(u64 bytes);
    Task<Result<void>> write_compressed_cluster(u64 offset, const IoVec& memory);

    // flush.cpp
    Task<Result<void>> flush_tables();
    Task<Result<void>> write_tables(std::vector<TableCache::Copy>& copies, TableCache& cache, bool only_fresh);
    Task<Result<void>> apply_releases();
    Task<void> punch_data(std::set<u64> clusters);
    bool must_relieve() {
        return l2_cache_.under_pressure() || refcounts_.cache().under_pressure() || refcounts_.many_releases() ||
               data_releases_.size() > 4096;
    }
    Task<Result<void>> relieve();
    Task<Result<void>> write_l1(u64 first, std::vector<u8> raw, u64 l1_offset);
    Task<Result<void>> set_dirty_bit(bool on);
    Task<Result<void>> begin_unfinished();
    Task<void> end_unfinished();
    Task<Result<void>> barrier() { return file()->flush(); }

    // snapshots.cpp: the _locked ones under metadata_, between begin_unfinished() and end_unfinished().
    Task<Result<void>> load_snapshots();
    // `unsure`: set if the header may name the new table or the old one.
    Task<Result<void>> write_snapshots(std::vector<Snapshot> list, bool* unsure = nullptr);
    struct Counted {
        u64 first, n;
    };
    Task<Result<void>> change_l1_refcounts(std::vector<u64>& l1, i64 delta, bool active,
                                           std::vector<Counted>* done = nullptr);
    Task<Result<void>> store_new_l1(std::vector<u64>& l1, u64& offset);
    Task<Result<void>> drop_l1(std::vector<u64> l1, u64 offset, u64 bytes);
    Task<Result<void>> add_l1_references(std::vector<u64>& l1, bool active);
    Task<Result<void>> write_l1_at(const std::vector<u64>& l1, u64 offset);
    const Snapshot* find_snapshot(const std::string& id_or_name) const;
    u64 snapshot_table_bytes() const; // as it is stored
    // Lets the table say how large the disk was in each, before that changes.
    Task<Result<void>> size_snapshots();
    const Snapshot* find_snapshot(const SnapshotInfo& which) const;
    Task<Result<void>> apply_snapshot(Snapshot s);
    Task<Result<void>> delete_snapshot(Snapshot s);
    Task<Result<void>> delete_locked(Snapshot s);
    Task<Result<void>> apply_locked(Snapshot s);
    Task<Result<void>> create_locked(SnapshotInfo info);
    Task<Result<void>> append_snapshot(SnapshotInfo info, u64& l1_offset, bool& unsure);
    Task<Result<void>> read_state(const std::vector<u64>& l1, u64 at, const IoVec& memory);
    // Where the state of machines starts: at the first L1 entry behind a disk of this size.
    u64 state_start(u64 disk_size) const { return header_.l1_entries_for(disk_size) * span_of_l2(); }

    // bitmaps.cpp
    Task<Result<void>> read_bitmap_directory();
    Task<Result<void>> store_bitmaps();
    Task<Result<void>> begin_bitmap_use();
    Task<Result<void>> write_bitmap_directory();
    Bitmap* find_bitmap(const std::string& name);
    Task<Result<void>> load_bits(Bitmap& b);
    Task<Result<void>> store_bits(Bitmap& b);
    Task<Result<void>> resize_bitmaps(u64 size);
    Result<void> usable_bitmap(const Bitmap* b, const std::string& name) const;
    Task<Result<void>> free_bitmap_data(Bitmap& b);

    // resize.cpp
    Task<Result<void>> give_up(u64 first, u64 end, bool full);
    Task<Result<void>> shrink(u64 size);
    Task<Result<void>> cut_file();
    Task<Result<void>> change_refcount_order(u32 order);
    Task<Result<void>> downgrade();
    Task<Result<void>> expand_zero_clusters();

    friend class Checker;

    Header header_;
    Options own_;
    std::optional<luks::Volume> volume_;              // of Crypt::luks
    std::optional<luks::SectorCipher> legacy_cipher_; // of Crypt::aes, with its key
    u64 shown_size_ = 0;                              // the loaded snapshot's, if one is
    std::vector<u64> l1_;
    u64 l1_dirty_first_ = UINT64_MAX, l1_dirty_end_ = 0;
    TableCache l2_cache_;
    Refcounts refcounts_;
    io::Mutex metadata_, flush_;
    RangeLocks ranges_;
    std::vector<Snapshot> snapshots_;
    std::list<Bitmap> bitmaps_;
    bool bitmaps_in_use_ = false;
    bool dirty_marked_ = false; // the header's dirty bit is ours
    bool unfinished_ = false;   // the same, for as long as snapshots change
    bool corrupt_marked_ = false;
    bool started_ = false;
    bool no_io_ = false;
    bool header_dirty_ = false;   // the refcount table moved, and the header could not be written
    std::set<u64> data_releases_; // the disk's clusters that the data file gives back once no table on disk names them
    u64 compressed_tail_ = 0;     // where the next compressed bytes may go, 0: nowhere yet
    std::unordered_set<u64> l2_clusters_; // where the active L2 tables are
};

// compress.cpp: one cluster. Gives 0 bytes if it does not get smaller than `room`.
size_t compress_cluster(Compression type, std::span<const u8> in, std::span<u8> out);
bool decompress_cluster(Compression type, std::span<const u8> in, std::span<u8> out);

} // namespace mimic::block::qcow2
