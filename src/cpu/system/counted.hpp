// The thread that runs all processors of a machine whose time is counted, in turn. Internal to the room.
#pragma once
#include "cpu/counted.hpp"
#include "cpu/system/event.hpp"
#include <mutex>
#include <vector>

namespace mimic::cpu {

class MachineCpu;

class CountedThread {
public:
    // Of a processor, when another one can run.
    static constexpr u64 slice = 1 << 16;
    // How often the hash is told (-trace icount.hash).
    static constexpr u64 period = 1 << 20;

    explicit CountedThread(CountedClock& clock);
    ~CountedThread();
    CountedThread(const CountedThread&) = delete;

    void add(MachineCpu& cpu);
    void remove(MachineCpu& cpu);
    // A processor was started; the thread is made when the first one is.
    void start();
    // Any thread: something changed that it must look at.
    void wake();
    // No processor runs until one is started.
    void pause() { paused_ = true; }
    bool here() const { return clock_.here(); }
    long id() const { return id_.load(); }
    CountedClock& clock() { return clock_; }

private:
    void run();
    void turn(u32 seen);
    bool asked() const;
    MachineCpu* choose(u32& ready);
    u64 next_time();
    void wait_for_event(u32 seen);
    void follow_host(u32 seen);
    void begin();
    u64 hash_here();
    void stopped();

    CountedClock& clock_;
    std::mutex mutex_; // of cpus_; held while one runs
    std::vector<MachineCpu*> cpus_;
    u32 current_ = 0;
    u64 slice_left_ = slice, next_told_ = period;
    bool ran_ = false;
    // align, auto: host and guest time at the last start; since then, when the shift was looked at and how late the guest was.
    u64 host_start_ = 0, guest_start_ = 0, adapted_at_ = 0;
    i64 lag_ = 0;
    Event event_;
    std::atomic<bool> quit_{false}, paused_{false};
    std::atomic<long> id_{0};
    std::thread thread_;
};

} // namespace mimic::cpu
