// Loop: one thread's event loop. It resumes coroutines, waits for files, timers and posted work, and nothing else.
//
// asio (epoll) lies behind it and is included by loop.cpp only; the file engine (engine.hpp) is driven from it.
// Everything here is called on the loop's thread except post_from_anywhere().
#pragma once
#include "base/io/task.hpp"
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

namespace mimic::io {

class FileEngine;
class ThreadPool;

// How files are read and written. `automatic` probes for io_uring and falls back to threads.
enum class Aio : u8 { automatic, threads, io_uring };

struct LoopOptions {
    // Threads for computing (compression, hashing); 0 means one a processor.
    unsigned compute_threads = 0;
    // Upper bound of threads that block in system calls for us.
    unsigned io_threads = 16;
    // False: as on a host without io_uring.
    bool uring = true;
    // Large transfers through the page cache are copies of memory: threads do them beside each other, the ring one after
    // the other. For programs that copy disks; a server's loop has other clients to see to meanwhile, and does better alone.
    bool large_on_threads = false;
};

class Loop {
public:
    static Result<std::unique_ptr<Loop>> create(const LoopOptions& options = {});
    ~Loop();
    Loop(const Loop&) = delete;

    // Resumes the coroutine from the loop, after what runs now.
    void post(std::coroutine_handle<> h) { ready_.push_back(h); }
    // The same, from any thread.
    void post_from_anywhere(std::coroutine_handle<> h);

    // Runs until the task has ended.
    template <class T>
    T run(Task<T> task);
    // Runs what is ready and what completes, until `done`. Also from inside the loop: destructors wait for their tasks so.
    void run_until(const std::function<bool()>& done);

    // co_await loop.yield(): lets the others run.
    auto yield() {
        struct Awaiter {
            Loop& loop;
            bool await_ready() { return false; }
            void await_suspend(std::coroutine_handle<> h) { loop.post(h); }
            void await_resume() {}
        };
        return Awaiter{*this};
    }
    Task<void> sleep(std::chrono::nanoseconds duration);
    // Runs f from the loop, after what runs now; the call may come from any thread. Calls of one thread keep their order.
    void call(std::function<void()> f);

    // Threads that compute, and threads that may block. Started on first use.
    ThreadPool& compute();
    ThreadPool& blocking();
    // The engine of the kind, created on first use. Asking for io_uring where the host has none is an error.
    Result<FileEngine*> engine(Aio kind);

    const LoopOptions& options() const { return options_; }
    // May what runs now do one more thing on this thread that it need not wait for? False: the others' turn has come.
    bool go_on() { return turn_left_ && turn_left_--; }

    // While a hold exists, completions may arrive from outside of the file engines (timers, threads).
    void hold() { holds_++; }
    void release() { holds_--; }

private:
    friend class Watch;
    struct Reactor;
    explicit Loop(const LoopOptions& options);
    void turn();
    bool run_ready();
    void wait();

    std::deque<std::coroutine_handle<>> ready_;
    std::unique_ptr<Reactor> reactor_;
    LoopOptions options_;
    std::unique_ptr<ThreadPool> compute_, blocking_;
    std::unique_ptr<FileEngine> uring_, threads_;
    bool uring_probed_ = false;
    unsigned holds_ = 0;
    static constexpr unsigned turn_length = 64;
    unsigned turn_left_ = turn_length;
};

namespace detail {
template <class T>
Detached run_into(Task<T> task, std::optional<T>& out, bool& done) {
    out.emplace(co_await task);
    done = true;
}
inline Detached run_into(Task<void> task, bool& done) {
    co_await task;
    done = true;
}
} // namespace detail

template <class T>
T Loop::run(Task<T> task) {
    bool done = false;
    if constexpr (std::is_void_v<T>) {
        detail::run_into(std::move(task), done);
        run_until([&] { return done; });
    } else {
        std::optional<T> out;
        detail::run_into(std::move(task), out, done);
        run_until([&] { return done; });
        return std::move(*out);
    }
}

} // namespace mimic::io
