// The guest's address space: a page table of ours that is the truth, and the host mappings that follow it.
//
// Guest address g lies at host address base() + g. All guest mappings lie in [low, high) of the ABI; with base 0 the
// host's range must be free, which a PIE at the usual place leaves it; else the range is reserved as a whole and holes
// are inaccessible reservations. The host never has execute permission on guest pages.
//
// Pages that translated code was made from are write-protected on the host while the guest may write them; a write
// invalidates the code and lifts the protection (DESIGN: code memory).
//
// Locks: `change_` is held while the table and the code made from it change, `table_lock_` for each look or edit of the
// table. Invalidation is called with `change_` alone held, since translation calls fetch and protect_code.
#pragma once
#include "base/result.hpp"
#include "user/memory/page_table.hpp"
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace mimic::user {

// Where translated code lives, as far as memory must know it.
class CodeSink {
public:
    virtual ~CodeSink() = default;
    // No code made from guest bytes in [low, high) runs any more when this returns, in the calling thread at once, in
    // others from their next unit.
    virtual void invalidate(u64 low, u64 high) = 0;
    // The guest says that code there may have changed: what it was not told of, in pages that stay writable.
    virtual void flush(u64 /*low*/, u64 /*high*/) {}
    // Returns when no thread runs code any more that went before.
    virtual void await_flushed() {}
    // The first page with prot::guarded is there.
    virtual void guard_pages() {}
};

// Flags of mmap as every generic Linux ABI numbers them.
namespace mapflag {
inline constexpr u32 shared = 1, private_ = 2, shared_validate = 3, type = 0xf, fixed = 0x10, anonymous = 0x20,
                     grows_down = 0x100, denywrite = 0x800, locked = 0x2000, noreserve = 0x4000, populate = 0x8000,
                     nonblock = 0x10000, stack = 0x20000, hugetlb = 0x40000, sync = 0x80000, fixed_noreplace = 0x100000;
}

// Shape of an address space; addresses are the guest's.
struct SpaceShape {
    u64 low = 0x10000;     // lowest address that may be mapped
    u64 high = 1ull << 38; // one past the highest
    u32 page = 4096;       // guest page size, 4 KiB to 64 KiB, a multiple of the host's
    u8 protections = prot::read | prot::write | prot::exec; // that there are
    bool top_byte_ignored = false; // the guest's own accesses ignore the top byte of addresses below 2^55
    enum class Base { automatic, zero, reserve } base = Base::automatic;
    u64 base_address = 0; // reserve: where (0: anywhere)
};

class AddressSpace {
public:
    // Fails when the shape makes no sense or the host can't give the range.
    static Result<std::unique_ptr<AddressSpace>> create(const SpaceShape& shape);
    ~AddressSpace();
    AddressSpace(const AddressSpace&) = delete;
    AddressSpace& operator=(const AddressSpace&) = delete;

    u64 base() const { return base_; }
    u64 low() const { return shape_.low; }
    u64 high() const { return shape_.high; }
    u32 page() const { return shape_.page; }
    bool top_byte_ignored() const { return shape_.top_byte_ignored; }
    // An address as the guest's own accesses see it.
    u64 untagged(u64 address) const { return shape_.top_byte_ignored ? u64(i64(address << 8) >> 8) : address; }
    // Does the kernel take addresses with a tag from the guest, too? (Linux: tagged-address-abi)
    void take_tagged(bool yes) { taken_ = yes ? ~u64{0} >> 8 : ~u64{0}; }
    bool takes_tagged() const { return taken_ != ~u64{0}; }
    void set_code(CodeSink* code) { code_ = code; }
    // mmap without a wish goes below this.
    void set_mmap_top(u64 top) { mmap_top_ = top; }
    u64 mmap_top() const { return mmap_top_; }

    // ---- mapping: each returns a guest address, 0 or -errno, as the Linux call of that name --------------------
    i64 map(u64 address, u64 length, u32 protection, u32 flags, int fd = -1, u64 offset = 0,
            const char* label = nullptr);
    i64 unmap(u64 address, u64 length);
    i64 protect(u64 address, u64 length, u32 protection);
    i64 remap(u64 old_address, u64 old_length, u64 new_length, u32 flags, u64 new_address);
    i64 advise(u64 address, u64 length, int advice);
    i64 attach_shm(int id, u64 address, int flags, bool read_only);
    i64 detach_shm(u64 address);
    // RLIMIT_AS and RLIMIT_DATA in bytes, ~0: none. The host's would count our own memory, too.
    void set_limits(u64 all, u64 data) { limit_all_ = all, limit_data_ = data; }
    // The heap starts at `start` (rounded up).
    void set_brk(u64 start);
    // New end of the heap, or the old one when `end` can't be had.
    u64 brk(u64 end);

    // ---- access ------------------------------------------------------------------------------------------------
    void* host(u64 address) const { return reinterpret_cast<void*>(base_ + taken(address)); }
    u64 guest(const void* host) const { return u64(host) - base_; }
    // True when [address, address+length) lies in the guest's range; whether it is mapped is for the kernel to find.
    bool in_range(u64 address, u64 length) const {
        return taken(address) <= shape_.high && length <= shape_.high - taken(address);
    }
    // Copies that fail (false) where the guest has no access.
    bool read(u64 address, void* to, u64 length);
    bool write(u64 address, const void* from, u64 length);
    bool zero(u64 address, u64 length);
    // The string at address without its NUL: false on a fault, or when it is longer than max.
    bool read_string(u64 address, std::string& to, u64 max);
    // Before the kernel writes to guest memory: lifts write protection that is only ours.
    void prepare_write(u64 address, u64 length) {
        if (protected_pages_.load(std::memory_order_relaxed) != 0) lift_protection(address, length);
    }

    // What a faulting access of the guest means.
    enum class FaultResult { retry, no_mapping, no_permission, bus };
    FaultResult explain_fault(u64 address, bool write);
    // True when all of [address, address+length) is mapped.
    bool covers(u64 address, u64 length) {
        std::lock_guard guard(table_lock_);
        return in_range(address, length) && table_.covers(address, address + length);
    }
    // The protection of the page at `address`, or -1 when nothing is mapped.
    int protection(u64 address);
    // The mapping that holds it; nothing when none does.
    std::optional<Mapping> mapping(u64 address);
    // What mapping() said stays true while this number is as it was before it was asked.
    u64 mapping_edits() const { return table_.edits(); }

    // ---- translated code (cpu's CodeSource) -----------------------------------------------------------------
    // Bytes that are mapped executable at pc, at most max; 0: none.
    u32 fetch(u64 pc, u8* out, u32 max);
    // Code is about to be made from the host page of `address`: from now on a write to it is noticed, unless
    // stays_writable; an end of the mapping is in any case. from_now: it could be written until now. not_watched: and it
    // still can.
    enum class CodeWatch { as_before, from_now, not_watched };
    CodeWatch protect_code(u64 address, bool stays_writable = false);

    // The guest says that code in [low, high) may have changed. Writes through the pages themselves were noticed; what
    // goes is code of files and shared memory, which change through other mappings and file descriptors, too.
    void flush_code(u64 low, u64 high);

    // Text of /proc/self/maps. `host_maps` is the text of the host's, whose lines give files their names.
    std::string maps_text(const std::string& host_maps);
    // Text for the caller's /proc/self/maps.
    std::string maps_text();
    // The kind of walks that smaps, core files and mincore need.
    template <class F>
    void for_each(F f) {
        std::lock_guard guard(table_lock_);
        for (auto& [start, m] : table_) f(m);
    }

    // Held across fork, so that the child finds the tables whole; `code` takes the locks of translation in between,
    // since translation looks into the table.
    template <class F>
    void before_fork(F code) {
        brk_lock_.lock();
        change_.lock();
        code();
        table_lock_.lock();
    }
    void after_fork() { table_lock_.unlock(), change_.unlock(), brk_lock_.unlock(); }

private:
    explicit AddressSpace(const SpaceShape& shape) : shape_(shape) {}
    u64 taken(u64 address) const { return address & taken_.load(std::memory_order_relaxed); }
    u64 up(u64 v) const { return (v + shape_.page - 1) & ~u64(shape_.page - 1); }
    bool aligned(u64 v) const { return (v & (shape_.page - 1)) == 0; }
    // Checks a range of a mapping call; length is rounded up. 0 or -errno.
    i64 check_range(u64 address, u64& length, int error) const;
    i64 choose(u64 hint, u64 length, u32 flags);
    // Unmaps on the host, or turns into a reservation.
    void release(u64 low, u64 high);
    // Forgets code pages of [low, high); true when there were any. table_lock_ held.
    bool drop_code(u64 low, u64 high);
    void lift_protection(u64 address, u64 length);
    bool lift_page(u64 page);
    i64 move(u64 from, u64 old_length, u64 to, u64 new_length, u32 flags);
    i64 grow_in_place(u64 address, u64 old_length, u64 new_length);
    bool make_accessible(u64 address, bool write);
    void note_guard(u8 protection);
    bool may_grow(u64 bytes, bool data, u64 low = 0, u64 high = 0) const;
    bool may_be_data(u64 bytes) const;
    void make_whole(u64 at, u64 length, bool is_code);

    struct CodePage {
        u64 generation = 0; // raised by each protect_code
        bool write_protected = false;
    };

    SpaceShape shape_;
    u64 base_ = 0;
    bool reserved_ = false;
    CodeSink* code_ = nullptr;
    u64 mmap_top_ = 0;
    u64 brk_start_ = 0, brk_ = 0;
    std::mutex change_, table_lock_, brk_lock_; // brk_lock_ comes first
    PageTable table_;
    std::map<u64, CodePage> code_pages_; // by host page
    std::atomic<u64> protected_pages_{0};
    std::atomic<u64> limit_all_{~u64{0}}, limit_data_{~u64{0}};
    std::atomic<u64> whole_{0};       // bytes of data that were made so
    std::atomic<u64> taken_{~u64{0}}; // bits of an address that count in a system call
    std::atomic<bool> guards_{false};
    u64 file_id_ = 0;
};

} // namespace mimic::user
