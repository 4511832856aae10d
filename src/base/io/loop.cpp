#include "base/io/loop.hpp"
#include "base/io/engine.hpp"
#include "base/io/pool.hpp"
#include "base/io/watch.hpp"
#include <algorithm>
#define ASIO_STANDALONE 1
#define ASIO_NO_DEPRECATED 1
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <unordered_set>
#include <utility>

namespace mimic::io {

struct Loop::Reactor {
    asio::io_context context{1};
    asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
    // Watches the ring's descriptor, so that epoll wakes for files too.
    std::optional<asio::posix::stream_descriptor> ring;
    bool ring_armed = false;
    std::mutex mutex;
    std::vector<std::coroutine_handle<>> remote;
    std::unordered_set<void*> calls; // that have not begun: nobody else would destroy them

    void arm_ring() {
        if (!ring || ring_armed) return;
        ring_armed = true;
        ring->async_wait(asio::posix::stream_descriptor::wait_read, [this](asio::error_code) { ring_armed = false; });
    }
    ~Reactor() {
        if (ring) ring->release();
    }
};

Result<std::unique_ptr<Loop>> Loop::create(const LoopOptions& options) {
    // asio reports a missing epoll or eventfd by an exception; it stays here.
    try {
        return std::unique_ptr<Loop>(new Loop(options));
    } catch (const std::system_error& e) { return Error::from_errno(e.code().value(), "create the event loop"); }
}

Loop::Loop(const LoopOptions& options) : reactor_(std::make_unique<Reactor>()), options_(options) {}

Loop::~Loop() {
    compute_.reset();
    blocking_.reset();
    for (void* call : std::exchange(reactor_->calls, {})) std::coroutine_handle<>::from_address(call).destroy();
    reactor_.reset();
}

void Loop::post_from_anywhere(std::coroutine_handle<> h) {
    bool first = false;
    {
        std::lock_guard lock(reactor_->mutex);
        first = reactor_->remote.empty();
        reactor_->remote.push_back(h);
    }
    if (!first) return;
    asio::post(reactor_->context, [this] {
        std::lock_guard lock(reactor_->mutex);
        ready_.insert(ready_.end(), reactor_->remote.begin(), reactor_->remote.end());
        reactor_->remote.clear();
    });
}

bool Loop::run_ready() {
    if (ready_.empty()) return false;
    // One of them may run the loop itself, and take the others of this turn along.
    for (size_t n = ready_.size(); n && !ready_.empty(); n--) {
        auto h = ready_.front();
        ready_.pop_front();
        h.resume();
    }
    return true;
}

void Loop::wait() {
    // With nothing but file requests under way, the ring is the only thing to wait for.
    if (uring_ && uring_->in_flight() && holds_ == 0) {
        uring_->poll(true);
        return;
    }
    reactor_->arm_ring();
    reactor_->context.run_one();
}

void Loop::turn() {
    // Whoever ran may have been the last that the caller waits for, so waiting comes a turn later.
    turn_left_ = turn_length;
    bool ran = run_ready();
    if (uring_ && holds_ == 0 && ready_.empty()) {
        // What was started goes to the kernel in the same call that waits.
        if (!ran) wait();
        return;
    }
    unsigned completed = uring_ ? uring_->poll(false) : 0;
    if (holds_) reactor_->context.poll();
    if (!ran && ready_.empty() && !completed) wait();
}

void Loop::run_until(const std::function<bool()>& done) {
    while (!done()) turn();
}

Task<void> Loop::sleep(std::chrono::nanoseconds duration) {
    struct Awaiter {
        Loop& loop;
        asio::steady_timer timer;
        bool await_ready() { return false; }
        void await_suspend(std::coroutine_handle<> h) {
            loop.hold();
            timer.async_wait([this, h](asio::error_code) {
                loop.release();
                loop.post(h);
            });
        }
        void await_resume() {}
    };
    Awaiter awaiter{*this, asio::steady_timer(reactor_->context, duration)};
    co_await awaiter;
}

namespace {
// Starts suspended; resumed once from the loop.
struct Call {
    struct promise_type {
        Call get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
        std::suspend_always initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() noexcept { std::terminate(); }
    };
    std::coroutine_handle<> handle;
};
Call call_once(std::function<void(void*)> begun, std::function<void()> f) {
    struct Self {
        void* address = nullptr;
        bool await_ready() { return false; }
        bool await_suspend(std::coroutine_handle<> h) { return address = h.address(), false; }
        void* await_resume() { return address; }
    };
    void* const self = co_await Self{};
    begun(self);
    f();
}
} // namespace

void Loop::call(std::function<void()> f) {
    auto begun = [this](void* call) {
        std::lock_guard lock(reactor_->mutex);
        reactor_->calls.erase(call);
    };
    auto h = call_once(begun, std::move(f)).handle;
    {
        std::lock_guard lock(reactor_->mutex);
        reactor_->calls.insert(h.address());
    }
    post_from_anywhere(h);
}

struct Watch::Impl {
    Loop& loop;
    asio::posix::stream_descriptor descriptor;
    Impl(Loop& l, asio::io_context& c, int fd) : loop(l), descriptor(c, fd) {}
    ~Impl() { descriptor.release(); }
};

Watch::Watch(Loop& loop, int fd) : impl_(std::make_unique<Impl>(loop, loop.reactor_->context, fd)) {}
Watch::~Watch() = default;

Task<bool> Watch::wait(bool write) {
    using Descriptor = asio::posix::stream_descriptor;
    struct Awaiter {
        Impl& impl;
        Descriptor::wait_type type;
        bool ready = false;
        bool await_ready() { return false; }
        void await_suspend(std::coroutine_handle<> h) {
            Loop& loop = impl.loop;
            loop.hold();
            impl.descriptor.async_wait(type, [this, &loop, h](asio::error_code error) {
                ready = !error;
                loop.release();
                loop.post(h);
            });
        }
        bool await_resume() { return ready; }
    };
    Awaiter awaiter{*impl_, write ? Descriptor::wait_write : Descriptor::wait_read};
    co_return co_await awaiter;
}

Task<bool> Watch::readable() { return wait(false); }
Task<bool> Watch::writable() { return wait(true); }
void Watch::cancel() { impl_->descriptor.cancel(); }

ThreadPool& Loop::compute() {
    unsigned n =
        options_.compute_threads ? options_.compute_threads : std::max(1u, std::thread::hardware_concurrency());
    if (!compute_) compute_ = std::make_unique<ThreadPool>(n);
    return *compute_;
}

ThreadPool& Loop::blocking() {
    if (!blocking_) blocking_ = std::make_unique<ThreadPool>(std::max(1u, options_.io_threads));
    return *blocking_;
}

Result<FileEngine*> Loop::engine(Aio kind) {
    if (kind != Aio::threads && !uring_probed_) {
        uring_probed_ = true;
        if (options_.uring) uring_ = make_uring_engine(*this);
        if (uring_) reactor_->ring.emplace(reactor_->context, uring_->wake_fd());
    }
    if (kind != Aio::threads && uring_) return uring_.get();
    if (kind == Aio::io_uring)
        return Error::unsupported("io_uring is not to be had on this host, expected aio=threads");
    if (!threads_) threads_ = make_thread_engine(*this);
    return threads_.get();
}

} // namespace mimic::io
