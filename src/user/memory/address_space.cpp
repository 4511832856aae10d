#include "user/memory/address_space.hpp"
#include "base/process.hpp"
#include "base/touch.hpp"
#include <algorithm>
#include <bit>
#include <cerrno>
#include <string_view>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>

namespace mimic::user {
namespace {

using process::raw_syscall;

constexpr u64 host_page = 4096;

int host_protection(u8 p) {
    int h = PROT_NONE;
    if (p & (prot::read | prot::exec)) h |= PROT_READ;
    if (p & prot::write) h |= PROT_READ | PROT_WRITE;
    return h;
}

i64 host_map(u64 address, u64 length, int protection, u32 flags, int fd, u64 offset) {
    return raw_syscall(SYS_mmap, address, length, u64(protection), flags, u64(i64(fd)), offset);
}

bool is_error(i64 r) { return r < 0 && r > -4096; }

// Are all pages of a new mapping to be there from the start? Of memory that programs use most of (heaps, buffers), up to
// where that takes as long as some dozen faults; of a file's code up to where reading may take long. Not of a file's data:
// the kernel would copy it at once, and what is written to the file before the program writes there would not be seen.
// They come when no lock is held: a file may be slow, or another thread of this very program may serve it.
bool is_wanted_whole(u8 p, u64 length, u32 flags) {
    constexpr u64 most_data = 2 << 20, most_code = 8 << 20;
    if ((flags & mapflag::type) != mapflag::private_ || flags & (mapflag::noreserve | mapflag::stack)) return false;
    if (flags & mapflag::anonymous) return p & prot::write && length <= most_data;
    return p & prot::exec && !(p & prot::write) && length <= most_code;
}

constexpr u32 reservation = mapflag::private_ | mapflag::anonymous | mapflag::noreserve;

// With base 0 nothing of ours may lie in the range: looks at the places where a process has its parts.
bool range_is_free(u64 high) {
    int on_stack = 0;
    static const char in_image = 0;
    i64 heap = raw_syscall(SYS_brk, 0);
    i64 mapped = host_map(0, host_page, PROT_NONE, reservation, -1, 0);
    if (is_error(mapped)) return false;
    raw_syscall(SYS_munmap, u64(mapped), host_page);
    return u64(&on_stack) >= high && u64(&in_image) >= high && u64(heap) >= high && u64(mapped) >= high;
}

// A file's identity, so that the table merges only pieces of the same one.
u64 identity(int fd) {
    struct stat st;
    if (fstat(fd, &st) != 0) return 0;
    return u64(st.st_ino) * 0x9e3779b97f4a7c15ull ^ u64(st.st_dev);
}

// Bytes of whole host pages that a file has from offset on. A guest's page that the file ends in reads zeros behind that, and
// the host's pages may end before it.
u64 pages_in_file(int fd, u64 offset) {
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || u64(st.st_size) <= offset) return 0;
    return (u64(st.st_size) - offset + host_page - 1) & ~(host_page - 1);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool low_addresses_taken = true; // by the sanitizer's shadow
#else
constexpr bool low_addresses_taken = false;
#endif

} // namespace

Result<std::unique_ptr<AddressSpace>> AddressSpace::create(const SpaceShape& shape) {
    bool page_ok = shape.page >= host_page && shape.page <= 65536 && std::has_single_bit(shape.page);
    if (!page_ok) return Error::invalid_argument("guest page size {}, expected 4096 to 65536", shape.page);
    if (shape.low >= shape.high || (shape.low | shape.high) % shape.page != 0 || shape.high > 1ull << 47)
        return Error::invalid_argument("guest addresses {:#x} to {:#x}, expected whole pages below 2^47", shape.low,
                                       shape.high);
    std::unique_ptr<AddressSpace> space(new AddressSpace(shape));
    space->mmap_top_ = shape.high;
    using Base = SpaceShape::Base;
    bool zero = shape.base == Base::zero ||
                (shape.base == Base::automatic && !low_addresses_taken && range_is_free(shape.high));
    if (zero) return space;
    u32 flags = reservation | (shape.base_address ? mapflag::fixed_noreplace : 0);
    i64 at = host_map(shape.base_address, shape.high, PROT_NONE, flags, -1, 0);
    if (is_error(at) || (shape.base_address && u64(at) != shape.base_address))
        return Error::from_errno(is_error(at) ? int(-at) : EEXIST, "reserve {} MiB of addresses for the guest",
                                 shape.high >> 20);
    space->base_ = u64(at);
    space->reserved_ = true;
    return space;
}

AddressSpace::~AddressSpace() {
    if (reserved_)
        raw_syscall(SYS_munmap, base_, shape_.high);
    else
        for (auto& [start, m] : table_) raw_syscall(SYS_munmap, base_ + m.start, m.size());
}

i64 AddressSpace::check_range(u64 address, u64& length, int error) const {
    if (!aligned(address) || length == 0) return -EINVAL;
    if (length > shape_.high) return -error;
    length = up(length);
    if (!in_range(address, length)) return -error;
    return 0;
}

void AddressSpace::release(u64 low, u64 high) {
    if (reserved_)
        host_map(base_ + low, high - low, PROT_NONE, reservation | mapflag::fixed, -1, 0);
    else
        raw_syscall(SYS_munmap, base_ + low, high - low);
}

bool AddressSpace::drop_code(u64 low, u64 high) {
    auto first = code_pages_.lower_bound(low & ~(host_page - 1)), last = code_pages_.lower_bound(high);
    bool any = first != last;
    for (auto it = first; it != last; ++it)
        if (it->second.write_protected) protected_pages_.fetch_sub(1, std::memory_order_relaxed);
    code_pages_.erase(first, last);
    return any;
}

i64 AddressSpace::choose(u64 hint, u64 length, u32 flags) {
    u64 wish = hint & ~u64(shape_.page - 1);
    bool fixed = flags & (mapflag::fixed | mapflag::fixed_noreplace);
    if (fixed) return i64(hint);
    if (wish >= shape_.low && in_range(wish, length) && !table_.overlaps(wish, wish + length)) return i64(wish);
    u64 at = table_.find_gap(length, shape_.page, shape_.low, mmap_top_);
    if (at == 0) at = table_.find_gap(length, shape_.page, shape_.low, shape_.high);
    return at == 0 ? -ENOMEM : i64(at);
}

// Do the limits allow `bytes` more, of which what lies in [low, high) is replaced? setrlimit(2). table_lock_ held.
bool AddressSpace::may_grow(u64 bytes, bool data, u64 low, u64 high) const {
    const u64 limit_all = limit_all_, limit_data = limit_data_;
    if (limit_all == ~u64{0} && limit_data == ~u64{0}) [[likely]]
        return true;
    PageTable::Sizes s = table_.sizes();
    for (const Mapping& part : low < high ? table_.in(low, high) : std::vector<Mapping>()) s -= part;
    return s.all + bytes <= limit_all && (!data || s.data + bytes <= limit_data);
}

// The same of mappings that are there and become data.
bool AddressSpace::may_be_data(u64 bytes) const {
    const u64 limit = limit_data_;
    return limit == ~u64{0} || table_.sizes().data + bytes <= limit;
}

// change_ held.
void AddressSpace::note_guard(u8 protection) {
    if (!(protection & prot::guarded) || !(protection & prot::exec) || guards_.exchange(true)) return;
    if (code_) code_->guard_pages();
}

i64 AddressSpace::map(u64 address, u64 length, u32 protection, u32 flags, int fd, u64 offset, const char* label) {
    if (length == 0 || !aligned(offset)) return -EINVAL;
    bool fixed = flags & (mapflag::fixed | mapflag::fixed_noreplace);
    if (fixed && !aligned(address)) return -EINVAL;
    if (length > shape_.high) return -ENOMEM;
    length = up(length);
    if (fixed && (address > shape_.high || !in_range(address, length))) return -ENOMEM;
    if (fixed && address < shape_.low) return -EPERM; // as below vm.mmap_min_addr
    std::unique_lock change(change_);
    std::unique_lock table(table_lock_);
    i64 at = choose(address, length, flags);
    if (at < 0) return at;
    u64 low = u64(at), high = low + length;
    if ((flags & mapflag::fixed_noreplace) && table_.overlaps(low, high)) return -EEXIST;

    u8 p = u8(protection & shape_.protections);
    if (!may_grow(length, is_data(p, (flags & mapflag::type) != mapflag::private_), low, high)) return -ENOMEM;
    bool anonymous = flags & mapflag::anonymous;
    u32 host_flags = (flags & ~(mapflag::fixed_noreplace | mapflag::grows_down | mapflag::denywrite)) | mapflag::fixed;
    i64 r = host_map(base_ + low, length, host_protection(p), host_flags, anonymous ? -1 : fd, offset);
    if (is_error(r)) return r;
    if (u64 first = anonymous || shape_.page == host_page ? 0 : pages_in_file(fd, offset); first && first < length)
        if (u64 end = up(first); first < end)
            host_map(base_ + low + first, end - first, host_protection(p), reservation | mapflag::fixed, -1, 0);
    bool had_code = drop_code(low, high);
    table_.insert({.start = low,
                   .end = high,
                   .prot = p,
                   .shared = (flags & mapflag::type) != mapflag::private_,
                   .file = !anonymous,
                   .offset = anonymous ? 0 : offset,
                   .id = anonymous ? 0 : identity(fd),
                   .label = label});
    table.unlock();
    if (had_code && code_) code_->invalidate(low, high);
    note_guard(p);
    change.unlock();
    if (is_wanted_whole(p, length, flags)) make_whole(low, length, !anonymous);
    return at;
}

// A program that maps much more than it uses has its first buffers whole, not all.
void AddressSpace::make_whole(u64 at, u64 length, bool is_code) {
    constexpr u64 most_data = 64 << 20;
    void* host = reinterpret_cast<void*>(base_ + at);
    if (is_code) return touch_to_read(host, length);
    if (whole_.fetch_add(length, std::memory_order_relaxed) < most_data) touch_to_write(host, length);
}

i64 AddressSpace::unmap(u64 address, u64 length) {
    address = untagged(address);
    if (i64 r = check_range(address, length, EINVAL)) return r;
    std::lock_guard change(change_);
    std::unique_lock table(table_lock_);
    u64 high = address + length;
    bool had_code = drop_code(address, high);
    for (auto& part : table_.in(address, high)) release(part.start, part.end);
    table_.erase(address, high);
    table.unlock();
    if (had_code && code_) code_->invalidate(address, high);
    return 0;
}

i64 AddressSpace::protect(u64 address, u64 length, u32 protection) {
    address = untagged(address);
    if (!aligned(address)) return -EINVAL;
    if (length == 0) return 0;
    if (length > shape_.high || !in_range(address, up(length))) return -ENOMEM;
    length = up(length);
    u8 p = u8(protection & shape_.protections);
    std::lock_guard change(change_);
    std::unique_lock table(table_lock_);
    u64 high = address + length, at = address;
    i64 result = 0;
    for (auto& part : table_.in(address, high)) {
        if (part.start != at) break;
        if (is_data(p, part.shared) && !is_data(part.prot, part.shared) && !may_be_data(part.size())) {
            result = -ENOMEM;
            break;
        }
        result = raw_syscall(SYS_mprotect, base_ + part.start, part.size(), u64(host_protection(p)));
        if (result < 0) break;
        at = part.end;
    }
    if (result == 0 && at != high) result = -ENOMEM;
    if (at > address) table_.protect(address, at, p);
    bool had_code = drop_code(address, at);
    table.unlock();
    if (had_code && code_) code_->invalidate(address, at);
    note_guard(p);
    return result;
}

i64 AddressSpace::grow_in_place(u64 address, u64 old_length, u64 new_length) {
    u64 end = address + old_length, new_end = address + new_length;
    if (!in_range(address, new_length) || table_.overlaps(end, new_end)) return -ENOMEM;
    if (reserved_) raw_syscall(SYS_munmap, base_ + end, new_end - end);
    i64 r = raw_syscall(SYS_mremap, base_ + address, old_length, new_length, 0);
    if (is_error(r)) {
        if (reserved_) release(end, new_end);
        return r;
    }
    Mapping grown = *table_.find(address);
    if (grown.file) grown.offset += address - grown.start;
    grown.start = address;
    grown.end = new_end;
    table_.insert(grown);
    return i64(address);
}

i64 AddressSpace::move(u64 from, u64 old_length, u64 to, u64 new_length, u32 flags) {
    u32 host_flags = MREMAP_MAYMOVE | MREMAP_FIXED | (flags & MREMAP_DONTUNMAP);
    i64 r = raw_syscall(SYS_mremap, base_ + from, old_length, new_length, host_flags, base_ + to);
    if (is_error(r)) return r;
    Mapping moved = *table_.find(from);
    if (moved.file) moved.offset += from - moved.start;
    moved.start = to;
    moved.end = to + new_length;
    bool keeps_old = flags & MREMAP_DONTUNMAP || old_length == 0;
    if (!keeps_old) {
        table_.erase(from, from + old_length);
        if (reserved_) release(from, from + old_length);
    }
    table_.insert(moved);
    return i64(to);
}

i64 AddressSpace::remap(u64 old_address, u64 old_length, u64 new_length, u32 flags, u64 new_address) {
    if (flags & ~u32(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) return -EINVAL;
    bool fixed = flags & MREMAP_FIXED, may_move = flags & MREMAP_MAYMOVE;
    if ((fixed || flags & MREMAP_DONTUNMAP) && !may_move) return -EINVAL;
    if (!aligned(old_address) || new_length == 0) return -EINVAL;
    if (old_length > shape_.high || new_length > shape_.high) return -ENOMEM;
    old_length = up(old_length), new_length = up(new_length);
    if ((flags & MREMAP_DONTUNMAP) && old_length != new_length) return -EINVAL;
    if (fixed && (!aligned(new_address) || !in_range(new_address, new_length))) return -EINVAL;
    if (fixed && new_address < old_address + old_length && old_address < new_address + new_length) return -EINVAL;

    std::lock_guard change(change_);
    std::unique_lock table(table_lock_);
    auto* m = table_.find(old_address);
    if (!m || !in_range(old_address, old_length) || old_address + old_length > m->end) return -EFAULT;
    const u64 more = flags & MREMAP_DONTUNMAP ? new_length : new_length > old_length ? new_length - old_length : 0;
    const u64 replaced = fixed ? new_address : 0;
    if (more && !may_grow(more, is_data(m->prot, m->shared), replaced, replaced ? replaced + new_length : 0))
        return -ENOMEM;
    // The host must see one mapping: code protection splits it.
    u64 span = std::max<u64>(old_length, shape_.page);
    bool had_code = drop_code(old_address, old_address + span);
    if (had_code) raw_syscall(SYS_mprotect, base_ + old_address, span, u64(host_protection(m->prot)));
    bool target_code = fixed && drop_code(new_address, new_address + new_length);

    i64 r;
    if (fixed) {
        r = move(old_address, old_length, new_address, new_length, flags);
    } else if (new_length <= old_length && !(flags & MREMAP_DONTUNMAP) && old_length != 0) {
        if (new_length < old_length) {
            release(old_address + new_length, old_address + old_length);
            table_.erase(old_address + new_length, old_address + old_length);
        }
        r = i64(old_address);
    } else {
        bool in_place = old_length != 0 && !(flags & MREMAP_DONTUNMAP);
        r = in_place ? grow_in_place(old_address, old_length, new_length) : -ENOMEM;
        if (is_error(r) && may_move) {
            i64 to = choose(0, new_length, 0);
            r = to < 0 ? to : move(old_address, old_length, u64(to), new_length, flags);
        }
    }
    const bool comes = !fixed && !is_error(r) && drop_code(u64(r), u64(r) + new_length);
    table.unlock();
    if (comes && code_) code_->invalidate(u64(r), u64(r) + new_length);
    if (had_code && code_) code_->invalidate(old_address, old_address + span);
    if (target_code && code_) code_->invalidate(new_address, new_address + new_length);
    return r;
}

i64 AddressSpace::advise(u64 address, u64 length, int advice) {
    address = untagged(address);
    if (!aligned(address)) return -EINVAL;
    if (length == 0) return 0;
    if (length > shape_.high || !in_range(address, up(length))) return -ENOMEM;
    length = up(length);
    std::lock_guard change(change_);
    std::unique_lock table(table_lock_);
    u64 high = address + length;
    bool drops = advice == MADV_DONTNEED || advice == MADV_FREE || advice == MADV_REMOVE;
    bool had_code = drops && drop_code(address, high);
    bool whole = table_.covers(address, high);
    i64 result = 0;
    for (auto& part : table_.in(address, high)) {
        if (had_code) raw_syscall(SYS_mprotect, base_ + part.start, part.size(), u64(host_protection(part.prot)));
        i64 r = raw_syscall(SYS_madvise, base_ + part.start, part.size(), u64(advice));
        if (r < 0) result = r;
    }
    if (result == 0 && !whole) result = -ENOMEM;
    table.unlock();
    if (had_code && code_) code_->invalidate(address, high);
    return result;
}

i64 AddressSpace::attach_shm(int id, u64 address, int flags, bool read_only) {
    struct shmid_ds info;
    if (i64 r = raw_syscall(SYS_shmctl, u64(id), IPC_STAT, u64(&info)); r < 0) return r;
    u64 length = up(info.shm_segsz);
    if (flags & SHM_RND) address &= ~u64(shape_.page - 1);
    if (!aligned(address)) return -EINVAL;
    std::lock_guard change(change_);
    std::unique_lock table(table_lock_);
    i64 at = choose(address, length, address ? mapflag::fixed : 0);
    if (at < 0) return at;
    if (!in_range(u64(at), length) || u64(at) < shape_.low) return -EINVAL;
    if (address && table_.overlaps(address, address + length) && !(flags & SHM_REMAP)) return -EINVAL;
    if (!may_grow(length, false, u64(at), u64(at) + length)) return -ENOMEM;
    bool replace = reserved_ || table_.overlaps(u64(at), u64(at) + length);
    i64 r = raw_syscall(SYS_shmat, u64(id), base_ + u64(at), u64(flags | (replace ? SHM_REMAP : 0)) & ~u64(SHM_EXEC));
    if (is_error(r)) return r;
    bool had_code = drop_code(u64(at), u64(at) + length);
    u8 p = u8(prot::read | (read_only ? 0 : prot::write) | (flags & SHM_EXEC ? prot::exec : 0));
    table_.insert({.start = u64(at),
                   .end = u64(at) + length,
                   .prot = p,
                   .shared = true,
                   .file = true,
                   .shm = true,
                   .id = u64(id) | 1ull << 63});
    table.unlock();
    if (had_code && code_) code_->invalidate(u64(at), u64(at) + length);
    return at;
}

i64 AddressSpace::detach_shm(u64 address) {
    std::lock_guard change(change_);
    std::unique_lock table(table_lock_);
    auto* m = table_.find(address);
    if (!m || !m->shm || m->start != address) return -EINVAL;
    u64 low = m->start, high = m->end;
    bool had_code = drop_code(low, high);
    if (i64 r = raw_syscall(SYS_shmdt, base_ + low); r < 0) return r;
    if (reserved_) release(low, high);
    table_.erase(low, high);
    table.unlock();
    if (had_code && code_) code_->invalidate(low, high);
    return 0;
}

void AddressSpace::set_brk(u64 start) { brk_start_ = brk_ = up(start); }

u64 AddressSpace::brk(u64 end) {
    std::lock_guard guard(brk_lock_);
    if (end < brk_start_ || !in_range(end, 0)) return brk_;
    u64 old_top = up(brk_), new_top = up(end);
    if (new_top > old_top) {
        i64 r = map(old_top, new_top - old_top, prot::read | prot::write,
                    mapflag::private_ | mapflag::anonymous | mapflag::fixed_noreplace, -1, 0, "[heap]");
        if (r < 0) return brk_;
    } else if (new_top < old_top) {
        unmap(new_top, old_top - new_top);
    }
    return brk_ = end;
}

} // namespace mimic::user
