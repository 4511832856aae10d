#include "base/io/file.hpp"
#include "base/io/pool.hpp"
#include <algorithm>
#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <unistd.h>

namespace mimic::io {

namespace {

// Linux moves at most this much a call (read(2), NOTES), rounded down to a page.
constexpr u64 most_bytes = 0x7ffff000;
constexpr u64 longest_read = 1u << 20; // that is done at once

// The pieces [offset, ...) of the memory, at most IOV_MAX of them.
IoVec part_of(const IoVec& memory, u64 offset) {
    u64 length = std::min(memory.length() - offset, most_bytes);
    IoVec part = memory.slice(offset, length);
    if (part.pieces().size() <= IOV_MAX) return part;
    IoVec first;
    for (auto& piece : part.pieces().first(IOV_MAX)) first.append(piece.iov_base, piece.iov_len);
    return first;
}

} // namespace

Result<File> File::open(Loop& loop, const std::string& path, const FileOpen& how) {
    int flags = O_CLOEXEC | (how.write ? O_RDWR : O_RDONLY);
    if (how.create) flags |= O_CREAT;
    if (how.truncate) flags |= O_TRUNC;
    if (how.direct) flags |= O_DIRECT;
    int fd = ::open(path.c_str(), flags, 0644);
    if (fd < 0) {
        int e = errno;
        if (e == EINVAL && how.direct)
            return Error::unsupported(
                "file system of '{}' does not support O_DIRECT, expected a cache mode without cache.direct=on", path);
        return Error::from_errno(e, "Could not open '{}'", path);
    }
    return adopt(loop, fd, path, how.aio);
}

Result<File> File::adopt(Loop& loop, int fd, std::string path, Aio aio) {
    File file(loop, fd, std::move(path));
    file.engine_ = TRY(loop.engine(aio));
    if (aio == Aio::automatic && loop.options().large_on_threads) file.threads_ = TRY(loop.engine(Aio::threads));
    int flags = fcntl(fd, F_GETFL);
    TRY(file.inspect(flags >= 0 && (flags & O_DIRECT)));
    if (aio == Aio::automatic && file.alignment_ == 1) {
        struct statfs fs;
        bool in_memory = fstatfs(fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
        file.reads_at_once_ = true;
        file.writes_at_once_ = in_memory && !file.block_device_;
    }
    return file;
}

File::File(File&& other) noexcept
    : loop_(other.loop_)
    , engine_(other.engine_)
    , threads_(other.threads_)
    , fd_(std::exchange(other.fd_, -1))
    , block_device_(other.block_device_)
    , alignment_(other.alignment_)
    , reads_at_once_(other.reads_at_once_)
    , writes_at_once_(other.writes_at_once_)
    , path_(std::move(other.path_)) {}

File::~File() {
    if (fd_ >= 0) ::close(fd_);
}

Result<void> File::inspect(bool direct) {
    struct stat st;
    if (fstat(fd_, &st) < 0) return Error::from_errno(errno, "stat '{}'", path_);
    if (S_ISDIR(st.st_mode)) return Error::from_errno(EISDIR, "Could not open '{}'", path_);
    block_device_ = S_ISBLK(st.st_mode);
    if (!direct) return {};
    alignment_ = 4096;
    int sector = 0;
    if (block_device_ && ioctl(fd_, BLKSSZGET, &sector) == 0 && sector >= 512) alignment_ = u32(sector);
    return {};
}

Result<u64> File::size() const {
    if (block_device_) {
        u64 n = 0;
        if (ioctl(fd_, BLKGETSIZE64, &n) < 0) return Error::from_errno(errno, "get the size of '{}'", path_);
        return n;
    }
    struct stat st;
    if (fstat(fd_, &st) < 0) return Error::from_errno(errno, "get the size of '{}'", path_);
    if (S_ISREG(st.st_mode)) return u64(st.st_size);
    off_t end = lseek(fd_, 0, SEEK_END);
    if (end < 0) return Error::from_errno(errno, "get the size of '{}'", path_);
    return u64(end);
}

Result<u64> File::allocated() const {
    struct stat st;
    if (fstat(fd_, &st) < 0) return Error::from_errno(errno, "stat '{}'", path_);
    return u64(st.st_blocks) * 512;
}

i64 File::at_once(bool write, u64 offset, const IoVec& part) {
    if (!(write ? writes_at_once_ : reads_at_once_)) return -EAGAIN;
    // A long read is copied on this thread by the ring, too, where the page cache has it; and handed to a thread of the kernel
    // for each piece where the file is in memory, which costs more than copying.
    if (part.length() > (write || threads_ ? small_transfer : longest_read)) return -EAGAIN;
    for (u64 n = 0; n <= part.length() / small_transfer; n++)
        if (!loop_->go_on()) return -EAGAIN;
    auto pieces = part.pieces();
    // Memory's own files know no RWF_NOWAIT and need none.
    ssize_t n = write
                    ? pwritev(fd_, pieces.data(), int(pieces.size()), off_t(offset))
                    : preadv2(fd_, pieces.data(), int(pieces.size()), off_t(offset), writes_at_once_ ? 0 : RWF_NOWAIT);
    // Kernels 5.9 and 5.10 may give 0 to RWF_NOWAIT before the end of the file (preadv2(2), Bugs).
    if (n > 0 || (n == 0 && writes_at_once_)) return n;
    if (n == 0) return -EAGAIN;
    if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL) reads_at_once_ = writes_at_once_ = false;
    return -EAGAIN; // an error comes again, through the engine
}

Task<Result<u64>> File::read(u64 offset, const IoVec& memory) {
    u64 done = 0;
    while (done < memory.length()) {
        IoVec part = part_of(memory, done);
        if (i64 n = at_once(false, offset + done, part); n >= 0) {
            if (n == 0) break;
            done += u64(n);
            continue;
        }
        FileRequest request{.op = FileOp::read, .fd = fd_};
        request.vectors = part.pieces().data();
        request.count = unsigned(part.pieces().size());
        request.offset = offset + done;
        i64 n = co_await engine_for(part.length()).perform(request);
        if (n == -EINTR || n == -EAGAIN) continue;
        if (n < 0) co_return Error::from_errno(int(-n), "read '{}' at {}", path_, offset + done);
        if (n == 0) break;
        done += u64(n);
        // Under O_DIRECT a read that ends off the alignment has met the end of the file, and could not go on anyway.
        if (done % alignment_) break;
    }
    co_return done;
}

Task<Result<void>> File::write(u64 offset, const IoVec& memory) {
    u64 done = 0;
    while (done < memory.length()) {
        IoVec part = part_of(memory, done);
        if (i64 n = at_once(true, offset + done, part); n > 0) {
            done += u64(n);
            continue;
        }
        FileRequest request{.op = FileOp::write, .fd = fd_};
        request.vectors = part.pieces().data();
        request.count = unsigned(part.pieces().size());
        request.offset = offset + done;
        i64 n = co_await engine_for(part.length()).perform(request);
        if (n == -EINTR || n == -EAGAIN) continue;
        if (n < 0) co_return Error::from_errno(int(-n), "write '{}' at {}", path_, offset + done);
        if (n == 0) co_return Error::from_errno(ENOSPC, "write '{}' at {}", path_, offset + done);
        done += u64(n);
    }
    co_return Result<void>();
}

namespace {
Result<void> checked(i64 n, std::string_view what, const std::string& path) {
    if (n >= 0) return {};
    if (n == -ENODEV || n == -ENOTTY) n = -EOPNOTSUPP;
    return Error::from_errno(int(-n), "{} '{}'", what, path);
}
} // namespace

Task<Result<void>> File::sync() {
    FileRequest request{.op = FileOp::sync, .fd = fd_};
    i64 n = co_await engine_->perform(request);
    co_return checked(n, "flush", path_);
}

Task<Result<void>> File::allocate(int mode, u64 offset, u64 length) {
    FileRequest request{.op = FileOp::allocate, .fd = fd_, .offset = offset, .length = length, .mode = mode};
    i64 n = co_await engine_->perform(request);
    while (n == -EINTR) n = co_await engine_->perform(request);
    co_return checked(n, "allocate or punch", path_);
}

Task<Result<void>> File::zero_out(u64 offset, u64 length) {
    FileRequest request{.op = FileOp::zero_out, .fd = fd_, .offset = offset, .length = length};
    i64 n = co_await engine_->perform(request);
    co_return checked(n, "zero", path_);
}

Task<Result<void>> File::discard_blocks(u64 offset, u64 length) {
    FileRequest request{.op = FileOp::discard, .fd = fd_, .offset = offset, .length = length};
    i64 n = co_await engine_->perform(request);
    co_return checked(n, "discard", path_);
}

Task<Result<u64>> File::copy_to(u64 offset, File& target, u64 target_offset, u64 length) {
    u64 done = 0;
    while (done < length) {
        FileRequest request{
            .op = FileOp::copy, .fd = fd_, .offset = offset + done, .length = std::min(length - done, most_bytes)};
        request.fd2 = target.fd_;
        request.offset2 = target_offset + done;
        i64 n = co_await engine_->perform(request);
        if (n == 0) break;
        if (n < 0 && done == 0 && (n == -EXDEV || n == -EINVAL || n == -ENOSYS || n == -EOPNOTSUPP || n == -EBADF))
            co_return Error::unsupported("no copy offload from '{}' to '{}'", path_, target.path_);
        if (n < 0) co_return Error::from_errno(int(-n), "copy from '{}' to '{}'", path_, target.path_);
        done += u64(n);
    }
    co_return done;
}

Task<Result<void>> File::resize(u64 size) {
    auto f = [this, size] { return ftruncate(fd_, off_t(size)) < 0 ? -errno : 0; };
    int n = co_await loop_->blocking().run(*loop_, f);
    if (n < 0) co_return Error::from_errno(-n, "resize '{}' to {} bytes", path_, size);
    co_return Result<void>();
}

} // namespace mimic::io
