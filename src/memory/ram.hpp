// A block of guest RAM or ROM: host memory with a name and a byte of flags a page.
//
// Any thread reads and writes the bytes without a lock, as hardware does. Whoever writes to a page must look at its flags
// through note_write, or hold a TLB entry that writes_are_free allowed.
#pragma once
#include "base/result.hpp"
#include <atomic>
#include <functional>
#include <memory>
#include <string>

namespace mimic::memory {

class RamBlock {
public:
    static constexpr u32 page_bits = 12;
    static constexpr u64 page_size = u64{1} << page_bits;

    enum class Backing : u8 { anonymous, memfd, huge, file };
    struct Options {
        Backing backing = Backing::memfd;
        bool shared = false; // with other processes (vhost-user, another Mimic)
        bool prealloc = false;
        bool copied = false;  // memfd: writes are this process's own
        bool hugetlb = false; // memfd: of the host's reserved huge pages,
        u64 hugetlb_size = 0; // of this size; 0: the usual one
        bool merge = true;    // pages with the same contents may become one (KSM)
        bool dump = true;     // part of this process's core files
        std::string path;     // Backing::file: a file, or a folder for one that has no name
    };
    // `name` is unique in a machine and stable: it names the block in a saved state. size: a multiple of page_size.
    static Result<std::unique_ptr<RamBlock>> create(std::string name, u64 size, const Options& options);
    ~RamBlock();
    RamBlock(const RamBlock&) = delete;

    const std::string& name() const { return name_; }
    u64 size() const { return size_; }
    u8* host() const { return host_; }
    int fd() const { return fd_; } // of memfd and file backing; else -1

    // Flags of a page. `code`: translations were made from it; the others: written since the client last looked.
    enum Flag : u8 { code = 1, display = 2, migration = 4 };
    std::atomic<u8>& flags(u64 offset) const { return flags_[offset >> page_bits]; }
    // True when a writer need not say so: no code in the page, and all dirty flags are set already. A TLB may then keep
    // a way to write without asking.
    bool writes_are_free(u64 offset) const {
        return (flags(offset).load(std::memory_order_relaxed) & (code | dirty_all)) == dirty_all;
    }
    // Bytes [offset, offset + bytes) were written: sets the dirty flags, and tells `on_code_write` when there is code.
    void note_write(u64 offset, u64 bytes);
    // Starts watching a page for the client (code: marks it; dirty clients: clears their flag). Afterwards TLBs must
    // forget that they may write there: the caller sees to it.
    void watch(u64 offset, Flag flag);
    bool test_and_clear_dirty(u64 offset, Flag client);

    // Gives whole pages of [offset, offset + bytes) back to the host; they read as zeros, or as the backing file has them.
    void discard(u64 offset, u64 bytes);

    // Called by note_write in the writing thread, with no lock of this room held.
    std::function<void(RamBlock&, u64 offset, u64 bytes)> on_code_write;

private:
    static constexpr u8 dirty_all = display | migration;
    RamBlock() = default;
    std::string name_;
    u64 size_ = 0;
    u8* host_ = nullptr;
    int fd_ = -1;
    bool shared_ = false;
    std::unique_ptr<std::atomic<u8>[]> flags_;
};

} // namespace mimic::memory
