#include "memory/ram.hpp"
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace mimic::memory {

namespace {

constexpr u64 huge_page = 2u << 20;

// A new file without a name in a folder.
int open_in(const std::string& folder) {
    std::string name = folder + "/mimic-memory-XXXXXX";
    const int fd = mkostemp(name.data(), O_CLOEXEC);
    if (fd >= 0) unlink(name.c_str());
    return fd;
}

int open_memfd(const std::string& name, const RamBlock::Options& o) {
    unsigned flags = MFD_CLOEXEC;
    if (o.hugetlb) flags |= MFD_HUGETLB;
    if (o.hugetlb && o.hugetlb_size) flags |= unsigned(std::countr_zero(o.hugetlb_size)) << MFD_HUGE_SHIFT;
    return memfd_create(name.c_str(), flags);
}

// Bytes of a page of the file, if it is made of the huge pages that the host keeps in reserve; else 0.
u64 reserved_page(int fd) {
    struct statfs system {};
    return fd >= 0 && fstatfs(fd, &system) == 0 && system.f_type == HUGETLBFS_MAGIC ? u64(system.f_bsize) : 0;
}

Result<int> open_backing(const std::string& name, u64 size, const RamBlock::Options& o) {
    if (o.backing == RamBlock::Backing::anonymous || o.backing == RamBlock::Backing::huge) return -1;
    int fd = -1;
    struct stat status {};
    if (o.backing == RamBlock::Backing::memfd)
        fd = open_memfd(name, o);
    else if (stat(o.path.c_str(), &status) == 0 && S_ISDIR(status.st_mode))
        fd = open_in(o.path);
    else
        fd = open(o.path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    const std::string what = o.path.empty() ? "memfd" : o.path;
    if (fd < 0) return Error::from_errno(errno, "memory '{}': cannot open {}", name, what);
    auto fail = [&](Error e) { return close(fd), e; };
    if (u64 page = reserved_page(fd); page && size % page) // they come whole
        return fail(Error::invalid_argument("memory '{}': size {} is no multiple of the {} bytes of a page of {}", name,
                                            size, page, what));
    const bool known = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    if (known && status.st_size && u64(status.st_size) < size)
        return fail(Error::invalid_argument("memory '{}': {} has {} bytes, expected none or at least {}", name, what,
                                            u64(status.st_size), size));
    if (known && u64(status.st_size) < size && ftruncate(fd, off_t(size)) != 0)
        return fail(Error::from_errno(errno, "memory '{}': cannot get {} bytes of {}", name, size, what));
    return fd;
}

// Every page is there from now on; what the host has not is an error now.
bool populate(void* host, u64 size) {
    if (madvise(host, size, MADV_POPULATE_WRITE) == 0) return true;
    if (errno != EINVAL) return false;
    for (u64 at = 0; at < size; at += RamBlock::page_size) { // a host without it
        volatile u8* p = static_cast<u8*>(host) + at;
        *p = *p;
    }
    return true;
}

} // namespace

Result<std::unique_ptr<RamBlock>> RamBlock::create(std::string name, u64 size, const Options& options) {
    if (size == 0 || size % page_size)
        return Error::invalid_argument("memory '{}': size {} is no multiple of {} bytes", name, size, page_size);
    std::unique_ptr<RamBlock> block(new RamBlock);
    block->name_ = std::move(name);
    block->fd_ = TRY(open_backing(block->name_, size, options));
    bool shared = block->fd_ >= 0 && !options.copied && (options.shared || options.backing != Backing::file);
    // Of a reserve that is too small the first touch would be the end of the process; so it is asked for at once.
    int flags = (shared ? MAP_SHARED : MAP_PRIVATE) | (reserved_page(block->fd_) ? 0 : MAP_NORESERVE);
    if (block->fd_ < 0) flags |= MAP_ANONYMOUS;
    if (options.shared && block->fd_ < 0) flags = (flags & ~MAP_PRIVATE) | MAP_SHARED;
    void* host = mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, block->fd_, 0);
    if (host == MAP_FAILED) return Error::from_errno(errno, "memory '{}': cannot map {} bytes", block->name_, size);
    block->host_ = static_cast<u8*>(host);
    block->size_ = size;
    block->shared_ = flags & MAP_SHARED;
    // Advice: the kernel does what it can.
    if (options.backing == Backing::huge && size >= huge_page) madvise(host, size, MADV_HUGEPAGE);
    if (!options.merge) madvise(host, size, MADV_UNMERGEABLE);
    if (!options.dump) madvise(host, size, MADV_DONTDUMP);
    if (options.prealloc && !populate(host, size))
        return Error::from_errno(errno, "memory '{}': cannot get its {} bytes at once", block->name_, size);
    // Contents of a new block are new to every client.
    u64 pages = size >> page_bits;
    block->flags_ = std::make_unique<std::atomic<u8>[]>(pages);
    for (u64 i = 0; i < pages; i++) block->flags_[i].store(dirty_all, std::memory_order_relaxed);
    return block;
}

RamBlock::~RamBlock() {
    if (host_) munmap(host_, size_);
    if (fd_ >= 0) close(fd_);
}

void RamBlock::note_write(u64 offset, u64 bytes) {
    if (bytes == 0) return;
    // The bytes before the flags: who marks a page as code reads its bytes afterwards.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    bool has_code = false;
    for (u64 page = offset >> page_bits; page <= (offset + bytes - 1) >> page_bits; page++) {
        u8 now = flags_[page].load(std::memory_order_relaxed);
        if ((now & dirty_all) != dirty_all) now = flags_[page].fetch_or(dirty_all, std::memory_order_seq_cst);
        has_code |= (now & code) != 0;
    }
    if (has_code && on_code_write) on_code_write(*this, offset, bytes);
}

void RamBlock::watch(u64 offset, Flag flag) {
    if (flag == code)
        flags(offset).fetch_or(code, std::memory_order_seq_cst);
    else
        flags(offset).fetch_and(u8(~flag), std::memory_order_seq_cst);
}

void RamBlock::discard(u64 offset, u64 bytes) {
    const u64 from = (offset + page_size - 1) / page_size * page_size, to = (offset + bytes) / page_size * page_size;
    if (from >= to) return;
    // Shared pages live in their file: it gets a hole.
    if (madvise(host_ + from, to - from, shared_ ? MADV_REMOVE : MADV_DONTNEED) == 0) note_write(from, to - from);
}

bool RamBlock::test_and_clear_dirty(u64 offset, Flag client) {
    return flags(offset).fetch_and(u8(~client), std::memory_order_seq_cst) & client;
}

} // namespace mimic::memory
