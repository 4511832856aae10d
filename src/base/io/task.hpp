// Task<T>: a coroutine that runs when it is awaited.
//
// Rules (g++ 12 has holes around co_await; these keep clear of them)
//   - Take a result apart with CO_TRY or CO_CHECK: a declaration or a statement, never a statement expression.
//   - No co_await in other macros, in ternaries or among arguments that are temporaries.
//   - Parameters are values, pointers or references to things that outlive the task; never a reference to a temporary.
//   - A task belongs to one loop thread; work on other threads comes back through ThreadPool::run.
//
//   Task<Result<Header>> read_header(File& file);
//   CO_TRY(auto header, co_await read_header(file));
//   CO_CHECK(co_await file.flush());
//
// A task that ends without having been suspended returns into its awaiter without resuming it, and one that was suspended
// resumes it from its last step. So the stack is as deep as the chain of awaits, at every optimisation level; symmetric
// transfer needs tail calls, which debug and sanitizer builds don't make.
#pragma once
#include "base/check.hpp"
#include "base/result.hpp"
#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

namespace mimic::io {

namespace detail {

struct PromiseBase {
    std::coroutine_handle<> awaiter;
    bool finished = false;
    bool awaiter_sleeps = false;

    struct Final {
        bool await_ready() noexcept { return false; }
        template <class P>
        void await_suspend(std::coroutine_handle<P> self) noexcept {
            PromiseBase& p = self.promise();
            p.finished = true;
            // The awaiter may destroy this frame; nothing of it is touched afterwards.
            if (p.awaiter_sleeps) p.awaiter.resume();
        }
        void await_resume() noexcept {}
    };
    std::suspend_always initial_suspend() noexcept { return {}; }
    Final final_suspend() noexcept { return {}; }
    void unhandled_exception() noexcept { std::terminate(); }
};

template <class T>
struct Promise : PromiseBase {
    std::optional<T> value;
    template <class U = T>
    void return_value(U&& v) {
        value.emplace(std::forward<U>(v));
    }
    T take() { return std::move(*value); }
};
template <>
struct Promise<void> : PromiseBase {
    void return_void() {}
    void take() {}
};

} // namespace detail

template <class T = void>
class [[nodiscard]] Task {
public:
    struct promise_type : detail::Promise<T> {
        Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
    };

    Task() = default;
    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Task& operator=(Task&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~Task() {
        if (handle_) handle_.destroy();
    }

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> awaiter) {
        auto& p = handle_.promise();
        p.awaiter = awaiter;
        handle_.resume();
        if (p.finished) return false;
        p.awaiter_sleeps = true;
        return true;
    }
    T await_resume() { return handle_.promise().take(); }

private:
    explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
    std::coroutine_handle<promise_type> handle_;
};

// A coroutine that nobody awaits: it starts at once and its frame goes when it ends. Only for spawn() and its like.
struct Detached {
    struct promise_type {
        Detached get_return_object() { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() noexcept { std::terminate(); }
    };
};

} // namespace mimic::io

#define MIMIC_IO_JOIN2(a, b) a##b
#define MIMIC_IO_JOIN(a, b) MIMIC_IO_JOIN2(a, b)

// CO_TRY(auto x, co_await f()): declares x from a Result, or leaves the coroutine with its error.
#define CO_TRY(declaration, expression) CO_TRY_AS(MIMIC_IO_JOIN(co_try_, __COUNTER__), declaration, expression)
#define CO_TRY_AS(name, declaration, expression)                                                                       \
    auto name = (expression);                                                                                          \
    if (!name) [[unlikely]]                                                                                            \
        co_return std::move(name).error();                                                                             \
    declaration = *std::move(name)

// CO_CHECK(co_await f()): leaves the coroutine with the error of a Result<void>.
#define CO_CHECK(expression)                                                                                           \
    do {                                                                                                               \
        auto co_check_ = (expression);                                                                                 \
        if (!co_check_) [[unlikely]]                                                                                   \
            co_return std::move(co_check_).error();                                                                    \
    } while (false)
