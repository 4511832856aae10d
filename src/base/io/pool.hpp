// ThreadPool: threads that compute or block for coroutines of loops.
//
//   auto packed = co_await pool.run(loop, [&] { return compress(data); });
#pragma once
#include "base/io/loop.hpp"
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace mimic::io {

class ThreadPool {
public:
    // A piece of work; it lives in the awaiting coroutine.
    struct Job {
        void (*work)(Job&);
    };

    // At most `limit` threads, started when work waits and none is idle.
    explicit ThreadPool(unsigned limit) : limit_(limit) {}
    // Waits for the work that was submitted.
    ~ThreadPool();

    void submit(Job& job);
    unsigned limit() const { return limit_; }

    // Runs f on a thread of the pool; the coroutine continues on the loop with its value.
    template <class F>
    auto run(Loop& loop, F f);

private:
    void serve();

    std::mutex mutex_;
    std::condition_variable work_;
    std::deque<Job*> queue_;
    std::vector<std::thread> threads_;
    unsigned idle_ = 0, limit_;
    bool stop_ = false;
};

template <class F>
auto ThreadPool::run(Loop& loop, F f) {
    using T = std::invoke_result_t<F&>;
    struct Awaiter : Job {
        ThreadPool& pool;
        Loop& loop;
        F f;
        std::optional<T> value{};
        std::coroutine_handle<> waiter{};
        Awaiter(ThreadPool& p, Loop& l, F g) : pool(p), loop(l), f(std::move(g)) {
            work = [](Job& job) {
                auto& self = static_cast<Awaiter&>(job);
                self.value.emplace(self.f());
                self.loop.post_from_anywhere(self.waiter);
            };
        }
        bool await_ready() { return false; }
        void await_suspend(std::coroutine_handle<> h) {
            waiter = h;
            loop.hold();
            pool.submit(*this);
        }
        T await_resume() {
            loop.release();
            return std::move(*value);
        }
    };
    return Awaiter(*this, loop, std::move(f));
}

} // namespace mimic::io
