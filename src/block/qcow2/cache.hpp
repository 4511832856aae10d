// TableCache: L2 tables or refcount blocks in memory, one cluster each, as they are on disk (big-endian).
//
// Whoever works on a table pins it with a Ref. Changed tables stay until they are written back; which are written when is
// decided by Qcow2::flush_tables, which knows the order.
#pragma once
#include "base/io/sync.hpp"
#include "block/node.hpp"
#include <unordered_map>

namespace mimic::block::qcow2 {

class TableCache {
    struct Table {
        u64 offset = 0;
        Buffer bytes;
        bool loading = false, dirty = false;
        bool fresh = false; // nothing on disk refers to it yet
        unsigned pins = 0;
        u64 used = 0;
    };

public:
    TableCache(io::Loop& loop, u64 table_size, u64 limit) : table_size_(table_size), limit_(limit), loaded_(loop) {}

    class Ref {
    public:
        Ref() = default;
        explicit Ref(Table* t) : table_(t) { t->pins++; }
        Ref(Ref&& o) noexcept : table_(std::exchange(o.table_, nullptr)) {}
        Ref& operator=(Ref&& o) noexcept {
            std::swap(table_, o.table_);
            return *this;
        }
        ~Ref() {
            if (table_) table_->pins--;
        }
        u8* data() const { return table_->bytes.data(); }
        u64 offset() const { return table_->offset; }
        explicit operator bool() const { return table_; }

    private:
        friend class TableCache;
        Table* table_ = nullptr;
    };

    // The table if it is in memory; an empty Ref otherwise. Never suspends.
    Ref peek(u64 offset);
    Task<Result<Ref>> get(Node& file, u64 offset);
    // A new table of zeros (fresh, dirty). An old one at the offset is dropped.
    Result<Ref> create(u64 offset);
    void mark_dirty(const Ref& ref) {
        if (!ref.table_->dirty) dirty_++;
        ref.table_->dirty = true;
    }
    bool is_dirty() const { return dirty_ != 0; }
    // So much is dirty that it should be written back soon.
    bool under_pressure() const { return dirty_ * table_size_ > limit_ / 2; }

    struct Copy {
        Ref ref;
        Buffer bytes;
        bool fresh;
    };
    // Copies of all dirty tables, which are clean from now on.
    Result<std::vector<Copy>> take_dirty();
    // A write failed: it is dirty again, as fresh as it was.
    void put_back(const Copy& copy) {
        mark_dirty(copy.ref);
        copy.ref.table_->fresh = copy.fresh;
    }
    // The cluster is no table any more.
    void drop(u64 offset);
    // The same for a cluster that may still be read by someone: such a copy goes later.
    void forget(u64 offset) {
        auto at = tables_.find(offset);
        if (at != tables_.end() && !at->second->pins && !at->second->loading) drop(offset);
    }
    void clear();
    // Bytes of tables to keep; the old limit. Less than there is now: they go as others come.
    u64 set_limit(u64 bytes) { return std::exchange(limit_, bytes); }
    u64 limit() const { return limit_; }

private:
    Buffer make_room();

    u64 table_size_, limit_, clock_ = 0, dirty_ = 0;
    std::unordered_map<u64, std::unique_ptr<Table>> tables_;
    io::WaitList loaded_;
};

} // namespace mimic::block::qcow2
