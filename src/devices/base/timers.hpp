// TimerQueue: armed timers of a machine by deadline, and the host timer that wakes the loop for the next.
#pragma once
#include "base/io/watch.hpp"
#include "devices/base/machine.hpp"
#include <set>

namespace mimic::devices {

class TimerQueue {
public:
    explicit TimerQueue(Machine& machine);
    ~TimerQueue();
    void arm(Timer& timer, u64 deadline); // any thread
    void remove(Timer& timer);
    // Fires what is due, in order of deadlines. On the loop's thread.
    void run_due();
    // The first deadline; Timer::never: none.
    u64 next() const;
    // The clock started, stopped or jumped.
    void clock_changed();

private:
    io::Task<Result<void>> serve();
    void set_host_timer();

    Machine& machine_;
    mutable std::mutex mutex_;
    std::set<std::pair<u64, Timer*>> armed_;
    int fd_ = -1; // timerfd
    std::unique_ptr<io::Watch> watch_;
    bool stop_ = false, served_ = true;
};

} // namespace mimic::devices
