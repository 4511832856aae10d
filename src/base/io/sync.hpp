// Coroutine primitives of one loop: they suspend coroutines, never threads. Whoever is woken runs from the loop, in order.
#pragma once
#include "base/io/loop.hpp"
#include <deque>

namespace mimic::io {

// Coroutines that wait; the building block of the others.
class WaitList {
public:
    explicit WaitList(Loop& loop) : loop_(&loop) {}
    auto wait() {
        struct Awaiter {
            WaitList& list;
            bool await_ready() { return false; }
            void await_suspend(std::coroutine_handle<> h) { list.waiters_.push_back(h); }
            void await_resume() {}
        };
        return Awaiter{*this};
    }
    void wake_one() {
        if (waiters_.empty()) return;
        loop_->post(waiters_.front());
        waiters_.pop_front();
    }
    void wake_all() {
        while (!waiters_.empty()) wake_one();
    }
    bool empty() const { return waiters_.empty(); }
    Loop& loop() const { return *loop_; }

private:
    Loop* loop_;
    std::deque<std::coroutine_handle<>> waiters_;
};

// Counts permits; acquire waits until one is free, first come first served.
class Semaphore {
public:
    Semaphore(Loop& loop, u64 permits) : free_(permits), waiters_(loop) {}
    auto acquire() {
        struct Awaiter {
            Semaphore& s;
            std::coroutine_handle<> h{};
            // A permit that is free while others wait belongs to them.
            bool await_ready() {
                if (s.free_ == 0) return false;
                s.free_--;
                return true;
            }
            auto await_suspend(std::coroutine_handle<> self) {
                auto w = s.waiters_.wait();
                w.await_suspend(self);
            }
            void await_resume() {}
        };
        return Awaiter{*this};
    }
    // The permit goes straight to the longest waiter.
    void release() {
        if (waiters_.empty())
            free_++;
        else
            waiters_.wake_one();
    }
    u64 available() const { return free_; }

private:
    u64 free_;
    WaitList waiters_;
};

// Mutual exclusion between coroutines: `auto guard = co_await mutex.lock();`
class Mutex {
public:
    explicit Mutex(Loop& loop) : one_(loop, 1) {}
    class [[nodiscard]] Guard {
    public:
        explicit Guard(Mutex* m) : m_(m) {}
        Guard(Guard&& o) noexcept : m_(std::exchange(o.m_, nullptr)) {}
        Guard& operator=(Guard&&) = delete;
        ~Guard() { unlock(); }
        void unlock() {
            if (m_) std::exchange(m_, nullptr)->one_.release();
        }

    private:
        Mutex* m_;
    };
    Task<Guard> lock() {
        co_await one_.acquire();
        co_return Guard(this);
    }
    bool locked() const { return one_.available() == 0; }

private:
    Semaphore one_;
};

// A bounded queue between coroutines. close() lets the readers take the rest, then they get nothing.
template <class T>
class Queue {
public:
    Queue(Loop& loop, size_t capacity) : capacity_(capacity), readers_(loop), writers_(loop) {}
    Task<void> push(T value) {
        while (items_.size() >= capacity_) co_await writers_.wait();
        items_.push_back(std::move(value));
        readers_.wake_one();
    }
    Task<std::optional<T>> pop() {
        while (items_.empty() && !closed_) co_await readers_.wait();
        if (items_.empty()) co_return std::nullopt;
        std::optional<T> value(std::move(items_.front()));
        items_.pop_front();
        writers_.wake_one();
        co_return std::move(value);
    }
    void close() {
        closed_ = true;
        readers_.wake_all();
    }

private:
    size_t capacity_;
    bool closed_ = false;
    std::deque<T> items_;
    WaitList readers_, writers_;
};

} // namespace mimic::io
