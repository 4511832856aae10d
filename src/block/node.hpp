// Node: a layer of a disk: a protocol (a file), a format (qcow2) or a filter. Its children are the layers below.
//
// Users call the public functions; a driver overrides the do_ functions. Between them lie alignment, splitting, zero
// detection, statistics and the count of requests in flight. Everything runs on one loop thread.
//
// Offsets and lengths are bytes. Reads past the end give zeros. Writes past the end grow nodes that grow (files) and are
// errors elsewhere. Memory of a request stays the caller's until the task ends.
#pragma once
#include "base/io/scope.hpp"
#include "block/dirty.hpp"
#include "block/types.hpp"

namespace mimic::block {

struct Driver;
struct Context;
class Root;

struct Limits {
    u32 request_alignment = 1; // offsets and lengths given to do_read and do_write
    u32 memory_alignment = 1;  // addresses given to them
    u64 max_transfer = 1u << 30;
    u64 max_zeroes = u64(1) << 40; // bytes of one do_write_zeroes or do_discard
};

enum class DetectZeroes : u8 { off, on, unmap };
constexpr std::string_view detect_zeroes_names[] = {"off", "on", "unmap"};
enum class DiscardMode : u8 { ignore, unmap };
constexpr std::string_view discard_names[] = {"ignore", "unmap"};

// Options that every node has (the names are QEMU's BlockdevOptions members).
struct NodeOptions {
    std::string node_name;
    bool read_only = false, auto_read_only = false, force_share = false;
    bool cache_direct = false, cache_no_flush = false;
    DiscardMode discard = DiscardMode::ignore;
    DetectZeroes detect_zeroes = DetectZeroes::off;
};

// A use of a node by its parent (or by a root, which has none): what it does there and what it lets others do.
class Edge {
public:
    // Fails if another user of the node does what `shared` excludes, or excludes what `perms` wants.
    static Result<std::unique_ptr<Edge>> attach(NodePtr node, Node* parent, std::string role, u8 perms, u8 shared);
    ~Edge();
    Edge(const Edge&) = delete;

    Node* operator->() const { return node_.get(); }
    Node& node() const { return *node_; }
    const NodePtr& ptr() const { return node_; }
    const std::string& role() const { return role_; }
    u8 perms() const { return perms_; }
    u8 shared() const { return shared_; }
    Result<void> change(u8 perms, u8 shared);
    // The same use of another node. Errors: its other users don't allow it; then it stays.
    Result<void> move_to(NodePtr node);
    Node* parent() const { return parent_; }
    Root* root() const { return root_; }
    bool stays() const { return stays_; }
    // A frozen edge is somebody's who relies on it (jobs).
    bool frozen() const { return frozen_ != 0; }
    const std::string& why_frozen() const { return why_frozen_; }
    void freeze(std::string_view why) {
        frozen_++;
        why_frozen_ = why;
    }
    void thaw() { frozen_--; }

private:
    friend class Root;
    Edge() = default;
    NodePtr node_;
    Node* parent_ = nullptr;
    Root* root_ = nullptr;
    std::string role_, why_frozen_;
    u8 perms_ = 0, shared_ = perm::all;
    bool stays_ = false;
    unsigned frozen_ = 0;
};

class Node : public std::enable_shared_from_this<Node> {
public:
    Node(Context& context, const Driver& driver, NodeOptions options);
    virtual ~Node();
    Node(const Node&) = delete;

    const Driver& driver() const { return driver_; }
    Context& context() const { return context_; }
    io::Loop& loop() const;
    const NodeOptions& options() const { return options_; }
    bool read_only() const { return options_.read_only; }
    // How a user would name it: a path, or json:{...}.
    const std::string& filename() const { return filename_; }
    void set_filename(std::string name) { filename_ = std::move(name); }
    const Limits& limits() const { return limits_; }
    const Statistics& statistics() const { return statistics_; }
    // A write that ends behind so many bytes is told to Context::on_threshold, once; 0: none is.
    u64 write_threshold() const { return write_threshold_; }
    void set_write_threshold(u64 bytes) { write_threshold_ = bytes; }

    virtual u64 size() const = 0;

    Task<Result<void>> read(u64 offset, const IoVec& memory);
    Task<Result<void>> write(u64 offset, const IoVec& memory, u32 flags = 0);
    Task<Result<void>> write_zeroes(u64 offset, u64 length, u32 flags = 0);
    // Whole clusters, or the image's last part. Errors: unsupported.
    Task<Result<void>> write_compressed(u64 offset, const IoVec& memory);
    Task<Result<void>> discard(u64 offset, u64 length);
    Task<Result<void>> flush();
    // The state of [offset, offset + up to length) in this layer; offset < size().
    Task<Result<Extent>> status(u64 offset, u64 length);
    Task<Result<void>> truncate(u64 size, Prealloc prealloc = Prealloc::off);
    // Copies within the host. Errors: unsupported when the pair can't; then nothing was copied.
    Task<Result<void>> copy_to(u64 offset, Node& target, u64 target_offset, u64 length);
    // Writes back what is cached and lets go of the image. A node that is not closed loses what it had not flushed.
    Task<Result<void>> close();
    // Read-only from now on, or writable; the file below must be so already if this is. No request is in flight.
    Task<Result<void>> reopen(bool read_only);
    // Waits until no request is in flight here.
    Task<void> drain();
    // While on, somebody waits for that: what is only held back goes on.
    virtual void hurry(bool /*on*/) {}
    unsigned in_flight() const { return in_flight_; }

    // Children. file(): the layer below a format or filter; backing(): what shows through where this one has nothing.
    Edge* child(std::string_view role) const;
    Node* file() const;
    Node* backing() const;
    const std::vector<std::unique_ptr<Edge>>& children() const { return children_; }
    Result<void> add_child(NodePtr node, std::string role, u8 perms, u8 shared);
    void remove_child(std::string_view role);
    // A node with parents may not lose them to nobody: closed() says that close() was called.
    bool closed() const { return closed_; }
    const std::vector<Edge*>& parents() const { return parents_; }
    // The sum of what the parents do here, and what all of them allow.
    u8 used_perms() const;
    u8 shared_perms() const;

    // Formats.
    virtual ImageInfo info() const { return {}; }
    // Bytes that the image occupies on the host; the sum of its files.
    virtual Result<u64> allocated_size() const;
    virtual bool supports_compressed() const { return false; }
    // Copies should be written compressed, whether asked for or not.
    virtual bool needs_compressed_writes() const { return false; }
    virtual u64 cluster_size() const { return 0; }
    virtual Task<Result<CheckReport>> check(Fix fix);
    virtual std::vector<SnapshotInfo> snapshots() const { return {}; }
    virtual Task<Result<void>> snapshot_create(SnapshotInfo info);
    virtual Task<Result<void>> snapshot_apply(const std::string& id_or_name);
    virtual Task<Result<void>> snapshot_delete(const std::string& id_or_name);
    // The very one that snapshots() told of.
    virtual Task<Result<void>> snapshot_apply(const SnapshotInfo& which);
    virtual Task<Result<void>> snapshot_delete(const SnapshotInfo& which);
    virtual bool supports_snapshots() const { return false; }
    // The state of a machine, in bytes from its start: what is written becomes the state of the snapshots that are made until
    // state_discard(), as far as their vm_state_size says.
    virtual Task<Result<void>> state_write(u64 offset, const IoVec& memory);
    virtual Task<Result<void>> state_discard();
    virtual Task<Result<void>> state_read(const SnapshotInfo& of, u64 offset, const IoVec& memory);
    // Reads show the snapshot from now on; the node must be read-only.
    virtual Task<Result<void>> snapshot_load(const std::string& id, const std::string& name);
    virtual Task<Result<void>> set_backing_file(const std::string& name, const std::string& format);
    // Gives all data up, so that the backing node shows through everywhere.
    virtual Task<Result<void>> make_empty();
    virtual Task<Result<void>> amend(Json options);
    // The file is new and reads as zeros where nothing was written.
    virtual bool has_zero_init() const { return false; }

    // Dirty bitmaps. Those that users name are kept here, and by formats that can store them (persistent); jobs have their own.
    virtual std::vector<BitmapInfo> bitmaps() const;
    // By name, with its bits in memory. Errors: there is none, or its bits mean nothing.
    virtual Task<Result<std::shared_ptr<DirtyBitmap>>> bitmap(const std::string& name);
    // granularity 0: the cluster size, from 4 to 64 KiB. Errors: it is there already, or can't be stored here.
    virtual Task<Result<void>> bitmap_add(const std::string& name, u64 granularity, bool enabled, bool persistent);
    virtual Task<Result<void>> bitmap_remove(const std::string& name);
    Task<Result<void>> bitmap_clear(const std::string& name);
    Task<Result<void>> bitmap_enable(const std::string& name, bool on);
    // Adds to `target` what `source` of `from` has.
    Task<Result<void>> bitmap_merge(const std::string& target, Node& from, const std::string& source);
    // Is any bit of the bitmap set at `offset`? Lowers `length` to how far that holds.
    Task<Result<bool>> bitmap_state(const std::string& name, u64 offset, u64& length);
    // Must be awaited before bits are changed other than by writes: what is stored no longer holds.
    virtual Task<Result<void>> bitmaps_will_change() { co_return Result<void>(); }
    // Brings stored bitmaps into memory, so that all are in dirty_bitmaps().
    virtual Task<Result<void>> load_bitmaps() { co_return Result<void>(); }
    const std::vector<std::shared_ptr<DirtyBitmap>>& dirty_bitmaps() const { return dirty_; }
    // Writes are recorded in it from now on.
    void track(std::shared_ptr<DirtyBitmap> bitmap) { dirty_.push_back(std::move(bitmap)); }
    void untrack(const DirtyBitmap& bitmap) {
        std::erase_if(dirty_, [&](auto& b) { return b.get() == &bitmap; });
    }

protected:
    friend class Edge;
    // Something is under way here: drain() waits.
    struct InFlight {
        Node& node;
        InFlight(const InFlight&) = delete;
        explicit InFlight(Node& n) : node(n) { node.in_flight_++; }
        ~InFlight() {
            if (--node.in_flight_ == 0) node.idle_.wake_all();
        }
    };
    virtual Task<Result<void>> do_read(u64 offset, const IoVec& memory) = 0;
    virtual Task<Result<void>> do_write(u64 offset, const IoVec& memory) = 0;
    // Errors: unsupported makes the caller write zeros, unless it forbade that.
    virtual Task<Result<void>> do_write_zeroes(u64 offset, u64 length, u32 flags);
    virtual Task<Result<void>> do_write_compressed(u64 offset, const IoVec& memory);
    virtual Task<Result<void>> do_discard(u64 offset, u64 length);
    virtual Task<Result<void>> do_flush();
    virtual Task<Result<Extent>> do_status(u64 offset, u64 length);
    virtual Task<Result<void>> do_truncate(u64 size, Prealloc prealloc);
    virtual Task<Result<void>> do_copy_to(u64 offset, Node& target, u64 target_offset, u64 length);
    virtual Task<Result<void>> do_close();
    // Before it becomes writable, or while it still is.
    virtual Task<Result<void>> do_reopen(bool /*read_only*/) { co_return Result<void>(); }
    // The parents' permissions have changed (or would, with `perms` and `shared`); image locks follow them.
    virtual Result<void> permissions_changed(u8 perms, u8 shared);
    // Writes past the end grow it.
    virtual bool grows() const { return false; }

    Error unsupported(std::string_view what) const;
    u64 default_granularity() const;
    std::shared_ptr<DirtyBitmap> find_tracked(std::string_view name) const;
    void mark_dirty(u64 offset, u64 length) {
        for (auto& b : dirty_)
            if (b->enabled) b->set(offset, length);
    }

    Limits limits_;
    NodeOptions options_;

private:
    Result<void> check_write(u64 offset, u64 length) const;
    // check_write(), and it will be tried.
    Result<void> begin_write(u64 offset, u64 length);
    Task<Result<void>> read_unaligned(u64 offset, const IoVec& memory);
    Task<Result<void>> write_unaligned(u64 offset, const IoVec& memory);
    Task<Result<void>> write_split(u64 offset, const IoVec& memory);
    Task<Result<void>> write_zero_buffers(u64 offset, u64 length);

    Context& context_;
    const Driver& driver_;
    std::string filename_;
    Statistics statistics_;
    u64 write_threshold_ = 0;
    unsigned in_flight_ = 0;
    io::WaitList idle_;
    // Writes that read, change and write back exclude all others; only taken where requests must be aligned.
    io::Mutex alignment_lock_;
    std::vector<std::unique_ptr<Edge>> children_;
    std::vector<Edge*> parents_;
    std::vector<std::shared_ptr<DirtyBitmap>> dirty_;
    bool closed_ = false;
    bool unflushed_ = false; // something was written since the last flush
};

// Chains of backing nodes.

// Does any of the layers from `top` down to, not including, `base` hold [offset, ...)? `base` null: the whole chain. The
// extent's length says for how far. depth: the layer that does, 0 for top.
struct ChainExtent {
    Extent extent;
    unsigned depth = 0;
    Node* layer = nullptr; // null: no layer holds it
};
Task<Result<ChainExtent>> status_above(Node& top, Node* base, u64 offset, u64 length);

} // namespace mimic::block
