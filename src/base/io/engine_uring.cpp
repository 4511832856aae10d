// The file engine over io_uring (io_uring(7), liburing): requests of a turn of the loop go to the kernel in one call.
#include "base/io/engine.hpp"
#include "base/io/pool.hpp"
#include <cerrno>
#include <liburing.h>

namespace mimic::io {

namespace {

constexpr unsigned ring_entries = 256;
// Of the completion queue: what waits on idle sockets is not bounded by ring_entries. More than this many completions at
// once are kept by the kernel (IORING_FEAT_NODROP).
constexpr unsigned completion_entries = 4096;

class UringEngine final : public FileEngine {
public:
    explicit UringEngine(Loop& loop) : loop_(loop) {}
    ~UringEngine() override {
        if (open_) io_uring_queue_exit(&ring_);
    }

    bool open() {
        // COOP_TASKRUN saves interrupts of our thread (Linux 5.19); older kernels refuse the flag.
        for (unsigned flags : {IORING_SETUP_COOP_TASKRUN | IORING_SETUP_CQSIZE, IORING_SETUP_CQSIZE, 0u}) {
            io_uring_params params{};
            params.flags = flags;
            params.cq_entries = completion_entries;
            open_ = io_uring_queue_init_params(ring_entries, &ring_, &params) == 0;
            if (open_) break;
        }
        return open_ && has_operations() && answers();
    }

    std::string_view name() const override { return "io_uring"; }
    int wake_fd() const override { return ring_.ring_fd; }
    unsigned in_flight() const override { return in_flight_ + backlog_count_ + on_sockets_; }
    bool has_sockets() const override { return has_sockets_; }

    void start(FileRequest& request) override {
        if (request.op >= FileOp::receive) {
            prepare(request);
            on_sockets_++;
            return;
        }
        if (request.op >= FileOp::copy) {
            on_thread(request);
            return;
        }
        request.next = nullptr;
        if (in_flight_ < ring_entries && !backlog_) {
            prepare(request);
            in_flight_++;
            return;
        }
        // The completion queue holds what the ring has in flight; the rest waits here.
        (backlog_ ? backlog_last_->next : backlog_) = &request;
        backlog_last_ = &request;
        backlog_count_++;
    }

    unsigned poll(bool wait) override {
        if (wait && in_flight_ + on_sockets_)
            io_uring_submit_and_wait(&ring_, 1);
        else if (io_uring_sq_ready(&ring_))
            io_uring_submit(&ring_);
        else if (io_uring_cq_has_overflow(&ring_))
            io_uring_get_events(&ring_);
        unsigned head = 0, seen = 0, seen_sockets = 0;
        io_uring_cqe* cqe = nullptr;
        io_uring_for_each_cqe(&ring_, head, cqe) {
            seen++;
            auto* request = static_cast<FileRequest*>(io_uring_cqe_get_data(cqe));
            request->result = cqe->res;
            if (request->op >= FileOp::receive) seen_sockets++;
            loop_.post(request->waiter);
        }
        io_uring_cq_advance(&ring_, seen);
        on_sockets_ -= seen_sockets;
        in_flight_ -= seen - seen_sockets;
        while (backlog_ && in_flight_ < ring_entries) {
            FileRequest* next = backlog_;
            backlog_ = next->next;
            backlog_count_--;
            prepare(*next);
            in_flight_++;
        }
        return seen;
    }

private:
    Detached on_thread(FileRequest& request) {
        request.result = co_await loop_.blocking().run(loop_, [&request] { return perform_blocking(request); });
        request.waiter.resume();
    }

    void prepare(FileRequest& r) {
        io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
        if (!sqe) {
            io_uring_submit(&ring_);
            sqe = io_uring_get_sqe(&ring_);
        }
        MIMIC_CHECK(sqe, "the submission queue has room after a submit");
        switch (r.op) {
        case FileOp::read: io_uring_prep_readv(sqe, r.fd, r.vectors, r.count, r.offset); break;
        case FileOp::write: io_uring_prep_writev(sqe, r.fd, r.vectors, r.count, r.offset); break;
        case FileOp::sync: io_uring_prep_fsync(sqe, r.fd, IORING_FSYNC_DATASYNC); break;
        case FileOp::allocate: io_uring_prep_fallocate(sqe, r.fd, r.mode, off_t(r.offset), off_t(r.length)); break;
        case FileOp::receive: io_uring_prep_readv(sqe, r.fd, r.vectors, r.count, 0); break;
        case FileOp::send:
            r.message.msg_iov = const_cast<iovec*>(r.vectors);
            r.message.msg_iovlen = r.count;
            io_uring_prep_sendmsg(sqe, r.fd, &r.message, MSG_NOSIGNAL);
            break;
        case FileOp::accept: io_uring_prep_accept(sqe, r.fd, nullptr, nullptr, SOCK_CLOEXEC); break;
        default: MIMIC_CHECK(false, "an operation that io_uring does not do");
        }
        io_uring_sqe_set_data(sqe, &r);
    }

    bool has_operations() {
        io_uring_probe* probe = io_uring_get_probe_ring(&ring_);
        if (!probe) return false;
        bool all = true;
        for (int op : {IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC, IORING_OP_FALLOCATE})
            all = all && io_uring_opcode_supported(probe, op);
        // Without FAST_POLL (Linux 5.7) each idle socket would hold a thread of the kernel.
        has_sockets_ = (ring_.features & IORING_FEAT_FAST_POLL) && (ring_.features & IORING_FEAT_NODROP) &&
                       io_uring_opcode_supported(probe, IORING_OP_SENDMSG) &&
                       io_uring_opcode_supported(probe, IORING_OP_ACCEPT);
        io_uring_free_probe(probe);
        return all;
    }
    // Some sandboxes let a ring be made and then refuse to enter it.
    bool answers() {
        io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
        io_uring_prep_nop(sqe);
        io_uring_cqe* cqe = nullptr;
        if (io_uring_submit_and_wait(&ring_, 1) < 0 || io_uring_peek_cqe(&ring_, &cqe) < 0) return false;
        bool ok = cqe->res == 0;
        io_uring_cqe_seen(&ring_, cqe);
        return ok;
    }

    Loop& loop_;
    io_uring ring_{};
    bool open_ = false;
    bool has_sockets_ = false;
    unsigned in_flight_ = 0, backlog_count_ = 0, on_sockets_ = 0;
    FileRequest *backlog_ = nullptr, *backlog_last_ = nullptr;
};

} // namespace

std::unique_ptr<FileEngine> make_uring_engine(Loop& loop) {
    auto engine = std::make_unique<UringEngine>(loop);
    if (!engine->open()) return nullptr;
    return engine;
}

} // namespace mimic::io
