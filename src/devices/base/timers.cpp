#include "devices/base/timers.hpp"
#include "base/io/scope.hpp"
#include "devices/base/watch.hpp"
#include <sys/timerfd.h>
#include <unistd.h>

namespace mimic::devices {

Timer::~Timer() {
    if (deadline_ != never) device_.machine().timers_->remove(*this);
}

void Timer::arm(u64 deadline) {
    if (deadline == deadline_) return;
    device_.machine().timers_->arm(*this, deadline);
}

TimerQueue::TimerQueue(Machine& machine) : machine_(machine) {
    if (!machine.loop() || machine.is_counted()) return;
    fd_ = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    MIMIC_CHECK(fd_ >= 0, "the host gives no timerfd");
    watch_ = std::make_unique<io::Watch>(*machine.loop(), fd_);
    served_ = false;
    io::spawn(serve(), [](const Error&) {});
}

TimerQueue::~TimerQueue() {
    stop_ = true;
    if (watch_) {
        watch_->cancel();
        machine_.loop()->run_until([this] { return served_; });
    }
    if (fd_ >= 0) close(fd_);
}

io::Task<Result<void>> TimerQueue::serve() {
    while (!stop_) {
        bool ready = co_await watch_->readable();
        if (!ready) break;
        u64 expirations = 0;
        if (::read(fd_, &expirations, sizeof expirations) < 0 && stop_) break;
        run_due();
    }
    served_ = true;
    co_return Result<void>{};
}

void TimerQueue::arm(Timer& timer, u64 deadline) {
    std::lock_guard lock(mutex_);
    u64 before = armed_.empty() ? Timer::never : armed_.begin()->first;
    if (timer.deadline_ != Timer::never) armed_.erase({timer.deadline_, &timer});
    timer.deadline_ = deadline;
    if (deadline != Timer::never) armed_.insert({deadline, &timer});
    u64 after = armed_.empty() ? Timer::never : armed_.begin()->first;
    // A later first deadline costs one wake-up for nothing; an earlier one must be told.
    if (after < before) set_host_timer();
}

void TimerQueue::remove(Timer& timer) {
    std::lock_guard lock(mutex_);
    armed_.erase({timer.deadline_, &timer});
    timer.deadline_ = Timer::never;
}

u64 TimerQueue::next() const {
    std::lock_guard lock(mutex_);
    return armed_.empty() ? Timer::never : armed_.begin()->first;
}

void TimerQueue::clock_changed() {
    std::lock_guard lock(mutex_);
    set_host_timer();
}

void TimerQueue::set_host_timer() {
    if (machine_.is_counted()) return machine_.event_is_near();
    if (fd_ < 0) return;
    itimerspec when{};
    if (machine_.running() && !armed_.empty()) {
        u64 now = machine_.now(), deadline = armed_.begin()->first;
        u64 delay = deadline > now ? deadline - now : 1;
        delay = std::min<u64>(delay, u64{1000000000} * 3600 * 24 * 365);
        when.it_value.tv_sec = time_t(delay / 1000000000);
        when.it_value.tv_nsec = long(delay % 1000000000);
    }
    timerfd_settime(fd_, 0, &when, nullptr);
}

void TimerQueue::run_due() {
    std::size_t left = ~std::size_t{0};
    // Counted time stands still meanwhile: what is armed anew for this very moment waits for the next instruction.
    if (machine_.is_counted()) {
        std::lock_guard lock(mutex_);
        left = armed_.size();
    }
    for (; left; --left) {
        Timer* timer = nullptr;
        {
            std::lock_guard lock(mutex_);
            if (armed_.empty() || !machine_.running() || armed_.begin()->first > machine_.now()) {
                set_host_timer();
                return;
            }
            timer = armed_.begin()->second;
        }
        Context::Entry entry(timer->device_.context());
        {
            // It may have been armed anew before the context was entered.
            std::lock_guard lock(mutex_);
            if (timer->deadline_ > machine_.now()) continue;
            armed_.erase({timer->deadline_, timer});
            timer->deadline_ = Timer::never;
        }
        timer->callback_();
        if (watch) watch(timer->device_, Moment::change);
    }
}

} // namespace mimic::devices
