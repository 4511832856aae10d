// Guest time by counted instructions (-icount): every instruction that a processor begins, whichever it is, takes
// 2^shift nanoseconds. One thread runs all processors in turn, so that what they do depends on their code and on what
// arrives when, in instructions, and on nothing of the host. docs/icount.md is the whole of it.
//
//   cpu::CountedClock clock({.shift = 0});
//   clock.events = &machine_side;                                  // its timers and ports
//   auto accel = cpu::make_accelerator("jit", {.clock = &clock, .counted = &clock, ...});
#pragma once
#include "cpu/vcpu.hpp"
#include <atomic>
#include <thread>
#include <utility>

namespace mimic::cpu {

struct CountOptions {
    u32 shift = 0;          // 0 to 10
    bool automatic = false; // the shift follows the host's speed: not deterministic
    bool sleep = true;      // while all processors wait, host time passes too; else the clock jumps to the next event
    bool align = false;     // a guest that is ahead of host time waits for it
};

class CountedClock final : public Clock {
public:
    static constexpr u32 most_shift = 10;
    static constexpr u64 never = ~u64{0};
    static constexpr u64 last = u64{1} << 62; // what is later, in 146 years, never comes
    // What happens at a time of this clock beside processors. On the thread that runs them, which stand still, but for wake.
    class Events {
    public:
        virtual ~Events() = default;
        // The next one's time; never: none.
        virtual u64 next() = 0;
        // All that are due. False: it was asked to stop before the host had done its part of one.
        virtual bool run(const std::function<bool()>& stop) = 0;
        // Any thread: run() asks `stop` again.
        virtual void wake() = 0;
    };
    Events* events = nullptr; // null: none. Set before a processor runs

    explicit CountedClock(const CountOptions& options);
    const CountOptions& options() const { return options_; }

    // Nanoseconds; exact, to the instruction, on the thread that runs processors. Others see a time that was.
    u64 now() override { return here() ? exact() : published_now_.load(std::memory_order_acquire); }
    // Instructions of all processors together.
    u64 count() const { return here() ? exact_count() : published_count_.load(std::memory_order_acquire); }
    // Of what ran until now: see fold(). On the thread, or while it stands.
    u64 hash() const { return hash_; }
    // While no processor runs: a saved machine is loaded. The hash begins anew, and whose turn it is.
    void set(u64 nanoseconds, u64 count);
    bool here() const { return thread_.load(std::memory_order_relaxed) == std::this_thread::get_id(); }
    // Something happened at this count: it goes into the hash. On the thread.
    void fold(u64 value) { hash_ = folded(hash_, value); }
    static u64 folded(u64 hash, u64 value);

    // Any thread. An event may be earlier than those that were known; processors stand still while there are holds.
    std::function<void()> on_change = [] {};
    void changed() { on_change(); }
    void hold() { holds_.fetch_add(1); }
    void release() { holds_.fetch_sub(1), changed(); }
    bool held() const { return holds_.load() != 0; }

    // ---- of the thread that runs processors
    void bind() { thread_.store(std::this_thread::get_id(), std::memory_order_relaxed); }
    void begin(const ir::CpuHeader& cpu, u64 granted);
    u64 end(); // instructions since begin()
    // Instructions until a time that is not past, at least 1.
    u64 until(u64 nanoseconds) const;
    // The clock jumps.
    void advance_to(u64 nanoseconds);
    void set_shift(u32 shift);
    u32 shift() const { return shift_; }
    void publish();
    // Was it set since this was asked?
    bool was_set() { return std::exchange(set_, false); }

private:
    u64 exact_count() const;
    u64 exact() const { return base_ + ((exact_count() - base_count_) << shift_); }

    CountOptions options_;
    u32 shift_;
    u64 base_ = 0, base_count_ = 0; // when the shift was set, or the clock jumped, last
    u64 count_ = 0;                 // but for what runs
    const ir::CpuHeader* running_ = nullptr;
    u64 granted_ = 0;
    u64 hash_ = 0;
    bool set_ = false;
    std::atomic<std::thread::id> thread_{};
    std::atomic<u64> published_now_{0}, published_count_{0};
    std::atomic<u32> holds_{0};
};

} // namespace mimic::cpu
