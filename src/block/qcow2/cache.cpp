#include "block/qcow2/cache.hpp"
#include <algorithm>
#include <cstring>

namespace mimic::block::qcow2 {

TableCache::Ref TableCache::peek(u64 offset) {
    auto at = tables_.find(offset);
    if (at == tables_.end() || at->second->loading) return {};
    at->second->used = ++clock_;
    return Ref(at->second.get());
}

Task<Result<TableCache::Ref>> TableCache::get(Node& file, u64 offset) {
    for (;;) {
        auto at = tables_.find(offset);
        if (at == tables_.end()) break;
        if (!at->second->loading) {
            at->second->used = ++clock_;
            co_return Ref(at->second.get());
        }
        co_await loaded_.wait();
    }
    Buffer bytes = make_room();
    if (!bytes.data()) { CO_TRY(bytes, Buffer::create(table_size_)); }
    auto owned = std::make_unique<Table>();
    Table* table = owned.get();
    table->offset = offset;
    table->bytes = std::move(bytes);
    table->loading = true;
    table->used = ++clock_;
    tables_[offset] = std::move(owned);
    IoVec memory = table->bytes.vec();
    Result<void> r = co_await file.read(offset, memory);
    table->loading = false;
    loaded_.wake_all();
    if (!r) {
        tables_.erase(offset);
        co_return std::move(r).error();
    }
    co_return Ref(table);
}

Result<TableCache::Ref> TableCache::create(u64 offset) {
    // Who allocates gets what the counts say is free; those of a damaged image may be wrong.
    if (auto at = tables_.find(offset); at != tables_.end() && (at->second->pins || at->second->loading))
        return Error::corrupt("the cluster at {:#x} is free as its count has it, but a table in use", offset);
    drop(offset);
    Buffer bytes = make_room();
    auto table = std::make_unique<Table>();
    table->offset = offset;
    if (bytes.data())
        std::memset(bytes.data(), 0, table_size_);
    else
        bytes = TRY(Buffer::zeroed(table_size_));
    table->bytes = std::move(bytes);
    table->fresh = true;
    table->used = ++clock_;
    Ref ref(table.get());
    tables_[offset] = std::move(table);
    mark_dirty(ref);
    return ref;
}

Result<std::vector<TableCache::Copy>> TableCache::take_dirty() {
    std::vector<Copy> copies;
    for (auto& [offset, table] : tables_) {
        if (!table->dirty) continue;
        Copy copy{Ref(table.get()), TRY(Buffer::create(table_size_)), table->fresh};
        std::memcpy(copy.bytes.data(), table->bytes.data(), table_size_);
        copies.push_back(std::move(copy));
    }
    for (auto& copy : copies) copy.ref.table_->dirty = copy.ref.table_->fresh = false;
    dirty_ = 0;
    // In the file's order, which disks like.
    std::ranges::sort(copies, {}, [](const Copy& c) { return c.ref.offset(); });
    return copies;
}

void TableCache::drop(u64 offset) {
    auto at = tables_.find(offset);
    if (at == tables_.end()) return;
    MIMIC_CHECK(!at->second->pins && !at->second->loading, "a table in use is dropped from its cache");
    if (at->second->dirty) dirty_--;
    tables_.erase(at);
}

void TableCache::clear() {
    std::erase_if(tables_, [](auto& t) { return !t.second->pins && !t.second->loading; });
    dirty_ = 0;
    for (auto& [offset, table] : tables_) dirty_ += table->dirty;
}

// What goes leaves its memory to what comes: tables lie on pages, and as many of them come and go, the heap would have holes.
Buffer TableCache::make_room() {
    Buffer left;
    while (!tables_.empty() && (tables_.size() + 1) * table_size_ > limit_) {
        auto oldest = tables_.end();
        for (auto at = tables_.begin(); at != tables_.end(); ++at) {
            Table& t = *at->second;
            if (t.dirty || t.pins || t.loading) continue;
            if (oldest == tables_.end() || t.used < oldest->second->used) oldest = at;
        }
        if (oldest == tables_.end()) break;
        left = std::move(oldest->second->bytes);
        tables_.erase(oldest);
    }
    return left;
}

} // namespace mimic::block::qcow2
