#include "jit/code_cache.hpp"
#include <cerrno>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

namespace mimic::jit {

Result<CodeCache> CodeCache::create(u64 bytes) {
    CodeCache c;
    c.size_ = bytes;
    c.link_capacity_ = u32(bytes / 32);
    u64 link_bytes = u64(c.link_capacity_) * 8;
    // One reservation for the executable view and the link words: code reaches them relative to itself.
    void* p = mmap(nullptr, bytes + link_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return Error::from_errno(errno, "reserve {} bytes for translated code", bytes + link_bytes);
    c.code_ = static_cast<u8*>(p);
    c.links_ = reinterpret_cast<u64*>(c.code_ + bytes);
    if (mprotect(c.links_, link_bytes, PROT_READ | PROT_WRITE) != 0)
        return Error::from_errno(errno, "map {} bytes for links of translated code", link_bytes);
    p = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return Error::from_errno(errno, "reserve {} bytes for writing translated code", bytes);
    c.write_ = static_cast<u8*>(p);
    TRY(c.map_fresh(0));
    return c;
}

CodeCache::CodeCache(CodeCache&& o) noexcept
    : code_(std::exchange(o.code_, nullptr))
    , write_(std::exchange(o.write_, nullptr))
    , links_(o.links_)
    , size_(o.size_)
    , used_(o.used_)
    , shared_(o.shared_)
    , link_capacity_(o.link_capacity_) {}

CodeCache::~CodeCache() {
    if (code_) munmap(code_, size_ + u64(link_capacity_) * 8);
    if (write_) munmap(write_, size_);
}

// New pages behind both views from offset `from` on; what was there stays with whoever else maps it.
Result<void> CodeCache::map_fresh(u64 from) {
    int fd = memfd_create("mimic-code", MFD_CLOEXEC);
    if (fd < 0) return Error::from_errno(errno, "create memory for translated code");
    u64 n = size_ - from;
    bool ok = ftruncate(fd, off_t(n)) == 0 &&
              mmap(code_ + from, n, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED &&
              mmap(write_ + from, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED;
    int error = errno;
    close(fd);
    if (!ok) return Error::from_errno(error, "map {} bytes for translated code", n);
    return {};
}

Result<void> CodeCache::after_fork_child() {
    // The page that `used_` lies in belongs to the parent, which goes on writing there.
    used_ = (used_ + 4095) & ~u64{4095};
    shared_ = used_;
    if (used_ < size_) TRY(map_fresh(used_));
    // Nothing may be written through the parent's pages any more.
    if (used_ && mprotect(write_, used_, PROT_NONE) != 0) return Error::from_errno(errno, "protect shared code");
    return {};
}

Result<void> CodeCache::reset() {
    if (shared_) TRY(map_fresh(0));
    used_ = shared_ = 0;
    return {};
}

} // namespace mimic::jit
