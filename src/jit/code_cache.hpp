// Memory for translated code: one reservation, two views of the code (read-execute and read-write), link words beside it.
//
// Code is written once and never patched: what changes later, the targets of edges, stands in link words, plain private
// data. So a fork costs nothing: parent and child go on executing the same pages, the child writes new code into memory
// of its own, and neither ever reuses a page that the other may execute.
#pragma once
#include "base/result.hpp"
#include "base/types.hpp"

namespace mimic::jit {

class CodeCache {
public:
    // bytes: of code, a multiple of 1 MiB, at most 1 GiB. Link words: one a 32 bytes of code.
    static Result<CodeCache> create(u64 bytes);
    CodeCache(CodeCache&& other) noexcept;
    CodeCache& operator=(CodeCache&&) = delete;
    ~CodeCache();

    u8* code() const { return code_; } // executable view
    u64 size() const { return size_; }
    u64 used() const { return used_; }
    u64* links() const { return links_; }
    u32 link_capacity() const { return link_capacity_; }

    // Room for `bytes` of code at the end, or null. Translations are written through writable().
    u8* room(u64 bytes) { return used_ + bytes <= size_ ? code_ + used_ : nullptr; }
    u8* writable(const u8* code) const { return write_ + (code - code_); }
    void commit(u64 bytes) { used_ += (bytes + 15) & ~u64{15}; }

    // In the child after a fork, before any other use: new code goes to memory of its own.
    Result<void> after_fork_child();
    // Forgets all code and links. Nobody may execute any; memory that another process may execute is replaced.
    Result<void> reset();
    // Marks what has been written so far as shared with a forked child.
    void after_fork_parent() { shared_ = used_; }

private:
    CodeCache() = default;
    Result<void> map_fresh(u64 from);

    u8* code_ = nullptr;
    u8* write_ = nullptr;
    u64* links_ = nullptr;
    u64 size_ = 0, used_ = 0, shared_ = 0;
    u32 link_capacity_ = 0;
};

} // namespace mimic::jit
