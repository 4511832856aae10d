// The file engine where io_uring is not to be had: a thread blocks for each request.
#include "base/io/engine.hpp"
#include "base/io/pool.hpp"
#include <cerrno>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace mimic::io {

namespace {

i64 or_errno(i64 result) { return result < 0 ? -errno : result; }

i64 perform_once(const FileRequest& r) {
    u64 range[2] = {r.offset, r.length};
    switch (r.op) {
    case FileOp::read: return or_errno(preadv(r.fd, r.vectors, int(r.count), off_t(r.offset)));
    case FileOp::write: return or_errno(pwritev(r.fd, r.vectors, int(r.count), off_t(r.offset)));
    case FileOp::sync: return or_errno(fdatasync(r.fd));
    case FileOp::allocate: return or_errno(fallocate(r.fd, r.mode, off_t(r.offset), off_t(r.length)));
    case FileOp::zero_out: return or_errno(ioctl(r.fd, BLKZEROOUT, range));
    case FileOp::discard: return or_errno(ioctl(r.fd, BLKDISCARD, range));
    case FileOp::copy: {
        loff_t from = loff_t(r.offset), to = loff_t(r.offset2);
        return or_errno(copy_file_range(r.fd, &from, r.fd2, &to, r.length, 0));
    }
    case FileOp::receive:
    case FileOp::send:
    case FileOp::accept: break; // they could hold a thread forever
    }
    return -EINVAL;
}

class ThreadEngine final : public FileEngine {
public:
    explicit ThreadEngine(Loop& loop) : loop_(loop) {}

    std::string_view name() const override { return "threads"; }
    void start(FileRequest& request) override { serve(request); }
    unsigned poll(bool) override { return 0; }
    // Threads post to the loop by themselves; the loop counts them as holds.
    unsigned in_flight() const override { return 0; }
    int wake_fd() const override { return -1; }

private:
    Detached serve(FileRequest& request) {
        request.result = co_await loop_.blocking().run(loop_, [&request] { return perform_blocking(request); });
        request.waiter.resume();
    }
    Loop& loop_;
};

} // namespace

i64 perform_blocking(const FileRequest& r) {
    for (;;) {
        i64 result = perform_once(r);
        if (result != -EINTR) return result;
    }
}

std::unique_ptr<FileEngine> make_thread_engine(Loop& loop) { return std::make_unique<ThreadEngine>(loop); }

} // namespace mimic::io
