// Memory for translated code: one reservation, two views of the code (read-execute and read-write), link words beside it.
//
// Code is written once and never patched: what changes later, the targets of edges, stands in link words, plain private
// data. So a fork costs nothing: parent and child go on executing the same pages, the child writes new code into memory
// of its own, and neither ever reuses a page that the other may execute.
//
// The memory is a head, which stays, and regions of equal size, which are filled and reused one after the other.
#pragma once
#include "base/result.hpp"
#include "base/types.hpp"
#include <vector>

namespace mimic::jit {

class CodeCache {
public:
    static constexpr u64 head_bytes = 4096;
    // bytes: of code, 1 MiB to 1 GiB. Link words: one a 32 bytes of code.
    static Result<CodeCache> create(u64 bytes);
    CodeCache(CodeCache&& other) noexcept;
    CodeCache& operator=(CodeCache&&) = delete;
    ~CodeCache();

    u8* code() const { return code_; } // executable view; the head comes first
    u64 size() const { return size_; }
    u32 regions() const { return u32(region_.size()); }
    u64 region_bytes() const { return region_bytes_; }
    u32 current() const { return current_; }
    // The region that a pc in [code() + head_bytes, code() + size()) lies in.
    u32 region_of(u64 pc) const { return u32((pc - u64(code_) - head_bytes) / region_bytes_); }

    // What is left of the current region. Code is written through writable(), then committed.
    Result<u8*> room(u64& bytes);
    // The same for what is copied there by process::copy_to_new, which makes pages as it comes to them.
    Result<u8*> room_to_copy_to(u64& bytes);
    u8* writable(const u8* code) const { return write_ + (code - code_); }
    void commit(u64 bytes);
    u64 used() const { return region_[current_].used; }

    // Link words of the current region: those that are free, and how many.
    u64* links() const { return links_; }
    u32 next_link() const;
    u32 links_left() const;
    u32 all_links() const { return links_a_region_ * regions(); } // words there are
    u32 region_of_link(u32 word) const { return word / links_a_region_; }
    void commit_links(u32 count) { region_[current_].links += count; }

    // Goes on with the region after the current one. Nobody may execute what is there; memory that another process may
    // execute is replaced.
    Result<void> next_region();

    // What has been written so far may be executed by another process from now on.
    void after_fork_parent();
    // In the child, before any other use: new code goes to memory of its own.
    Result<void> after_fork_child();

private:
    CodeCache() = default;
    Result<void> map_fresh(u64 from, u64 to);
    void prepare();
    u64 start_of(u32 region) const { return head_bytes + region * region_bytes_; }

    struct Region {
        u64 used = 0;     // bytes
        u64 own = 0;      // where what this process wrote begins
        u64 prepared = 0; // how far the pages are there
        u32 links = 0;
        bool shared = false;
    };
    u8* code_ = nullptr;
    u8* write_ = nullptr;
    u64* links_ = nullptr;
    u64 size_ = 0, region_bytes_ = 0;
    u32 links_a_region_ = 0, current_ = 0;
    bool tail_shared_ = false; // the rest of the current region belongs to the parent
    std::vector<Region> region_;
};

} // namespace mimic::jit
