// FileEngine: reads, writes, syncs and punches files for coroutines: io_uring, or threads where the host has none.
//
// Both take the same requests and give the same results, so nothing above knows which one runs.
#pragma once
#include "base/io/loop.hpp"
#include <sys/socket.h>
#include <sys/uio.h>

namespace mimic::io {

enum class FileOp : u8 {
    read,     // preadv
    write,    // pwritev
    sync,     // fdatasync
    allocate, // fallocate with `mode`
    copy,     // copy_file_range from fd to fd2 (threads only)
    zero_out, // ioctl BLKZEROOUT of a block device (threads only)
    discard,  // ioctl BLKDISCARD of a block device (threads only)
    // Sockets, only of an engine that has_sockets(). They may take forever; shutdown(2) of the socket ends them.
    receive, // readv
    send,    // sendmsg without SIGPIPE
    accept,  // accept4, the new descriptor is close-on-exec
};

struct FileRequest {
    FileOp op;
    int fd = -1;
    const iovec* vectors = nullptr;
    unsigned count = 0;
    u64 offset = 0;
    u64 length = 0;
    int mode = 0;
    int fd2 = -1;
    u64 offset2 = 0;
    msghdr message{}; // of send, made by the engine

    // Bytes moved or 0, a negative errno on failure.
    i64 result = 0;
    std::coroutine_handle<> waiter{};
    FileRequest* next = nullptr;
};

class FileEngine {
public:
    virtual ~FileEngine() = default;
    virtual std::string_view name() const = 0;
    // Takes the request, which lives until its waiter is posted to the loop.
    virtual void start(FileRequest& request) = 0;
    // Hands what was started to the kernel and posts the waiters of what has completed; with `wait`, at least one. Gives
    // the number that completed.
    virtual unsigned poll(bool wait) = 0;
    virtual unsigned in_flight() const = 0;
    virtual bool has_sockets() const { return false; }
    // A descriptor that is readable while completions wait, or -1.
    virtual int wake_fd() const = 0;

    // co_await engine.perform(request): the result as FileRequest says.
    auto perform(FileRequest request) {
        struct Awaiter {
            FileEngine& engine;
            FileRequest request;
            bool await_ready() { return false; }
            void await_suspend(std::coroutine_handle<> h) {
                request.waiter = h;
                engine.start(request);
            }
            i64 await_resume() { return request.result; }
        };
        return Awaiter{*this, request};
    }
};

// Null if the kernel refuses io_uring or lacks an operation that we need.
std::unique_ptr<FileEngine> make_uring_engine(Loop& loop);
std::unique_ptr<FileEngine> make_thread_engine(Loop& loop);

// The request as one system call on this thread; what the thread engine does, and io_uring for what it lacks.
i64 perform_blocking(const FileRequest& request);

} // namespace mimic::io
