#include "memory/ram.hpp"
#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mimic::memory {

namespace {

constexpr u64 huge_page = 2u << 20;

Result<int> open_backing(const std::string& name, u64 size, const RamBlock::Options& o) {
    if (o.backing == RamBlock::Backing::anonymous || o.backing == RamBlock::Backing::huge) return -1;
    int fd = -1;
    if (o.backing == RamBlock::Backing::memfd)
        fd = memfd_create(name.c_str(), MFD_CLOEXEC);
    else
        fd = open(o.path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return Error::from_errno(errno, "memory '{}': cannot open {}", name, o.path.empty() ? "memfd" : o.path);
    struct stat status {};
    bool small = fstat(fd, &status) == 0 && u64(status.st_size) < size;
    if (small && ftruncate(fd, off_t(size)) != 0) {
        int why = errno;
        close(fd);
        return Error::from_errno(why, "memory '{}': cannot get {} bytes of {}", name, size,
                                 o.path.empty() ? "memfd" : o.path);
    }
    return fd;
}

} // namespace

Result<std::unique_ptr<RamBlock>> RamBlock::create(std::string name, u64 size, const Options& options) {
    if (size == 0 || size % page_size)
        return Error::invalid_argument("memory '{}': size {} is no multiple of {} bytes", name, size, page_size);
    std::unique_ptr<RamBlock> block(new RamBlock);
    block->name_ = std::move(name);
    block->fd_ = TRY(open_backing(block->name_, size, options));
    bool shared = block->fd_ >= 0 && (options.shared || options.backing != Backing::file);
    int flags = (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_NORESERVE;
    if (block->fd_ < 0) flags |= MAP_ANONYMOUS;
    if (options.shared && block->fd_ < 0) flags = (flags & ~MAP_PRIVATE) | MAP_SHARED;
    if (options.prealloc) flags |= MAP_POPULATE;
    void* host = mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, block->fd_, 0);
    if (host == MAP_FAILED) return Error::from_errno(errno, "memory '{}': cannot map {} bytes", block->name_, size);
    block->host_ = static_cast<u8*>(host);
    block->size_ = size;
    // Advice: the kernel does what it can.
    if (options.backing == Backing::huge && size >= huge_page) madvise(host, size, MADV_HUGEPAGE);
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

bool RamBlock::test_and_clear_dirty(u64 offset, Flag client) {
    return flags(offset).fetch_and(u8(~client), std::memory_order_seq_cst) & client;
}

} // namespace mimic::memory
