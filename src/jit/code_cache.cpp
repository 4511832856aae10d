#include "jit/code_cache.hpp"
#include "base/touch.hpp"
#include <algorithm>
#include <cerrno>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

namespace mimic::jit {

namespace {

constexpr u64 page = 4096, least_region = 128 << 10, most_regions = 16;
constexpr u64 up(u64 v) { return (v + page - 1) & ~(page - 1); }

} // namespace

Result<CodeCache> CodeCache::create(u64 bytes) {
    if (bytes < 1 << 20 || bytes > 1 << 30)
        return Error::invalid_argument("{} bytes for translated code, expected 1 MiB to 1 GiB", bytes);
    CodeCache c;
    u64 regions = std::min(bytes / least_region, most_regions);
    c.region_bytes_ = (bytes / regions) & ~(page - 1);
    c.size_ = head_bytes + regions * c.region_bytes_;
    c.region_.resize(regions);
    c.links_a_region_ = u32(c.region_bytes_ / 32);
    u64 link_bytes = up(u64(c.links_a_region_) * regions * 8);
    // One reservation for the executable view and the link words: code reaches them relative to itself.
    void* p = mmap(nullptr, c.size_ + link_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return Error::from_errno(errno, "reserve {} bytes for translated code", bytes + link_bytes);
    c.code_ = static_cast<u8*>(p);
    c.links_ = reinterpret_cast<u64*>(c.code_ + c.size_);
    if (mprotect(c.links_, link_bytes, PROT_READ | PROT_WRITE) != 0)
        return Error::from_errno(errno, "map {} bytes for links of translated code", link_bytes);
    p = mmap(nullptr, c.size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return Error::from_errno(errno, "reserve {} bytes for writing translated code", bytes);
    c.write_ = static_cast<u8*>(p);
    TRY(c.map_fresh(0, c.size_));
    return c;
}

CodeCache::CodeCache(CodeCache&& o) noexcept
    : code_(std::exchange(o.code_, nullptr))
    , write_(std::exchange(o.write_, nullptr))
    , links_(o.links_)
    , size_(o.size_)
    , region_bytes_(o.region_bytes_)
    , links_a_region_(o.links_a_region_)
    , current_(o.current_)
    , tail_shared_(o.tail_shared_)
    , region_(std::move(o.region_)) {}

CodeCache::~CodeCache() {
    if (code_) munmap(code_, size_ + up(u64(links_a_region_) * region_.size() * 8));
    if (write_) munmap(write_, size_);
}

// New pages behind both views; what was there stays with whoever else maps it.
Result<void> CodeCache::map_fresh(u64 from, u64 to) {
    const u64 n = to - from;
    constexpr int shared = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    // No file, whose size a limit of the program may bound (RLIMIT_FSIZE). A shared mapping of which none is moved is mapped a
    // second time, with its protection: mremap(2). Nothing becomes executable later (PR_SET_MDWE).
    const bool ok = mmap(code_ + from, n, PROT_READ | PROT_EXEC, shared, -1, 0) != MAP_FAILED &&
                    mremap(code_ + from, 0, n, MREMAP_MAYMOVE | MREMAP_FIXED, write_ + from) != MAP_FAILED &&
                    mprotect(write_ + from, n, PROT_READ | PROT_WRITE) == 0;
    if (!ok) return Error::from_errno(errno, "map {} bytes for translated code", n);
    return {};
}

// Pages that code is about to be written to, for both views at once: each would fault twice. A failure costs speed only.
void CodeCache::prepare() {
    Region& r = region_[current_];
    constexpr u64 least = 4 * page, most = 64 * page, share = 8;
    const u64 from = up(r.used),
              n = std::min(std::clamp(up((r.used - r.own) / share), least, most), region_bytes_ - from);
    r.prepared = from + n;
    const u64 start = start_of(current_) + from;
    if (n == 0) return;
    touch_to_write(write_ + start, n);
    touch_to_read(code_ + start, n);
}

Result<u8*> CodeCache::room_to_copy_to(u64& bytes) {
    Region& r = region_[current_];
    u64 start = start_of(current_), end = start + region_bytes_;
    if (tail_shared_) {
        // The page that `used` lies in is the parent's, which goes on writing there.
        r.used = std::min(up(start + r.used) - start, region_bytes_);
        if (r.used < region_bytes_) TRY(map_fresh(start + r.used, end));
        r.own = r.prepared = r.used;
        tail_shared_ = false;
    }
    bytes = region_bytes_ - r.used;
    return code_ + start + r.used;
}

Result<u8*> CodeCache::room(u64& bytes) {
    u8* to = TRY(room_to_copy_to(bytes));
    const Region& r = region_[current_];
    if (r.prepared < r.used + page) prepare();
    return to;
}

void CodeCache::commit(u64 bytes) { region_[current_].used += (bytes + 15) & ~u64{15}; }

u32 CodeCache::next_link() const { return current_ * links_a_region_ + region_[current_].links; }
u32 CodeCache::links_left() const { return links_a_region_ - region_[current_].links; }

Result<void> CodeCache::next_region() {
    u32 next = (current_ + 1) % regions();
    u64 start = start_of(next);
    if (region_[next].shared) TRY(map_fresh(start, start + region_bytes_));
    region_[next] = {};
    current_ = next;
    tail_shared_ = false;
    return {};
}

void CodeCache::after_fork_parent() {
    for (Region& r : region_) r.shared |= r.used != 0;
}

// Lazily: most children execute another program, or run what is there.
Result<void> CodeCache::after_fork_child() {
    for (Region& r : region_) r.shared = true;
    tail_shared_ = true;
    // Nothing may be written through the parent's pages any more.
    if (mprotect(write_, size_, PROT_NONE) != 0) return Error::from_errno(errno, "protect shared code");
    return {};
}

} // namespace mimic::jit
