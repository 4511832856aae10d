// Scope: tasks that run beside each other and end together; spawn: a task that runs alone, with a sink for its error.
//
//   Scope scope(loop);
//   for (auto& worker : workers) scope.spawn(worker.run());
//   CO_CHECK(co_await scope.join());   // the first error; the others saw scope.cancelled()
#pragma once
#include "base/io/sync.hpp"

namespace mimic::io {

class Scope {
public:
    explicit Scope(Loop& loop) : done_(loop) {}
    Scope(const Scope&) = delete;
    ~Scope() { MIMIC_CHECK(running_ == 0, "a Scope ends before its tasks; join() it"); }

    // Starts the task now, up to its first suspension. Its error, if it is the first, is join()'s, and cancels the rest.
    void spawn(Task<Result<void>> task) {
        running_++;
        drive(std::move(task));
    }
    // Waits for all tasks. May be called again.
    Task<Result<void>> join() {
        co_await drain();
        if (error_) co_return *error_;
        co_return {};
    }
    // Waits until none runs, whatever became of them.
    Task<void> drain() {
        while (running_) co_await done_.wait();
    }
    // Tasks look at this between their steps; requests that the kernel has are not torn.
    void cancel() { cancelled_ = true; }
    bool cancelled() const { return cancelled_; }
    unsigned running() const { return running_; }
    // Woken whenever a task ends.
    WaitList& changed() { return done_; }

private:
    Detached drive(Task<Result<void>> task) {
        Result<void> result = co_await task;
        if (!result) {
            if (!error_) error_ = result.error();
            cancelled_ = true;
        }
        running_--;
        done_.wake_all();
    }

    WaitList done_;
    unsigned running_ = 0;
    bool cancelled_ = false;
    std::optional<Error> error_;
};

// Runs the task by itself. `sink` gets its error; there is no spawn without one.
template <class Sink>
Detached spawn(Task<Result<void>> task, Sink sink) {
    Result<void> result = co_await task;
    if (!result) sink(result.error());
}

} // namespace mimic::io
