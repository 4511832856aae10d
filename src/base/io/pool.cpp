#include "base/io/pool.hpp"
#include <csignal>
#include <pthread.h>

namespace mimic::io {

ThreadPool::~ThreadPool() {
    {
        std::lock_guard lock(mutex_);
        stop_ = true;
    }
    work_.notify_all();
    for (auto& thread : threads_) thread.join();
}

void ThreadPool::submit(Job& job) {
    std::unique_lock lock(mutex_);
    queue_.push_back(&job);
    if (idle_ < queue_.size() && threads_.size() < limit_) {
        // Signals are for the program's own threads.
        sigset_t all, old;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        threads_.emplace_back([this] { serve(); });
        pthread_sigmask(SIG_SETMASK, &old, nullptr);
        return;
    }
    lock.unlock();
    work_.notify_one();
}

void ThreadPool::serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
        idle_++;
        work_.wait(lock, [&] { return stop_ || !queue_.empty(); });
        idle_--;
        if (queue_.empty()) return;
        Job* job = queue_.front();
        queue_.pop_front();
        lock.unlock();
        job->work(*job);
        lock.lock();
    }
}

} // namespace mimic::io
