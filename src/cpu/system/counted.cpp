#include "cpu/system/counted.hpp"
#include "base/process.hpp"
#include "base/trace.hpp"
#include "cpu/system/machine.hpp"
#include <algorithm>
#include <chrono>
#include <sys/syscall.h>

namespace mimic::cpu {

namespace {

MIMIC_TRACE(icount_hash, "icount", "hash", "count={} cpu={} pc={:#x} hash={:#018x}");
MIMIC_TRACE(icount_stop, "icount", "stop", "count={} time={} hash={:#018x}");

u64 host_now() { return u64(std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count()); }

} // namespace

// ---- the clock

CountedClock::CountedClock(const CountOptions& options) : options_(options), shift_(options.shift) {
    if (options.automatic) shift_ = 3; // of a host that runs 125 million instructions a second
}

u64 CountedClock::exact_count() const {
    return running_ ? count_ + granted_ - u64(running_->budget) - running_->behind : count_;
}

void CountedClock::set(u64 nanoseconds, u64 count) {
    base_ = nanoseconds;
    base_count_ = count_ = count;
    hash_ = 0;
    set_ = true;
    publish();
}

u64 CountedClock::folded(u64 hash, u64 value) {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

void CountedClock::begin(const ir::CpuHeader& cpu, u64 granted) {
    granted_ = granted;
    running_ = &cpu;
}

u64 CountedClock::end() {
    const u64 done = exact_count() - count_;
    running_ = nullptr;
    count_ += done;
    publish();
    return done;
}

u64 CountedClock::until(u64 nanoseconds) const {
    const u64 now = exact();
    return nanoseconds <= now ? 1 : ((nanoseconds - now - 1) >> shift_) + 1;
}

void CountedClock::advance_to(u64 nanoseconds) {
    if (nanoseconds <= exact()) return;
    base_ = nanoseconds;
    base_count_ = count_;
    publish();
}

void CountedClock::set_shift(u32 shift) {
    base_ = exact();
    base_count_ = count_;
    shift_ = shift;
}

void CountedClock::publish() {
    published_count_.store(count_, std::memory_order_release);
    published_now_.store(exact(), std::memory_order_release);
}

// ---- the thread

CountedThread::CountedThread(CountedClock& clock) : clock_(clock) {
    clock_.on_change = [this] { wake(); };
}

CountedThread::~CountedThread() {
    quit_ = true;
    wake();
    if (thread_.joinable()) thread_.join();
    clock_.on_change = [] {};
}

void CountedThread::add(MachineCpu& cpu) {
    std::lock_guard lock(mutex_);
    cpus_.push_back(&cpu);
}
void CountedThread::remove(MachineCpu& cpu) {
    std::lock_guard lock(mutex_);
    std::erase(cpus_, &cpu);
    current_ = 0;
}

void CountedThread::start() {
    paused_ = false;
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
    wake();
}

void CountedThread::wake() {
    event_.signal();
    if (clock_.events) clock_.events->wake();
}

// Does somebody want the processors to stand still, or something done on this thread?
bool CountedThread::asked() const {
    return quit_ || clock_.held() || std::any_of(cpus_.begin(), cpus_.end(), [](auto* c) { return c->asked(); });
}

void CountedThread::run() {
    id_ = process::raw_syscall(SYS_gettid);
    clock_.bind();
    while (!quit_) {
        const u32 seen = event_.now();
        bool started = false;
        {
            std::lock_guard lock(mutex_);
            for (MachineCpu* c : cpus_) started |= c->attend_counted();
            if (started && !ran_) begin();
            if (!started && ran_) stopped(); // before anybody hears that they stand, who may set the clock or registers
            ran_ = started;
            for (MachineCpu* c : cpus_)
                if (!started) c->stand_counted();
            if (started && !clock_.held() && !paused_) {
                turn(seen);
                continue;
            }
        }
        event_.wait(seen);
    }
}

void CountedThread::begin() {
    host_start_ = host_now(), guest_start_ = clock_.now(), adapted_at_ = 0, lag_ = 0;
    next_told_ = (clock_.count() / period + 1) * period;
    if (clock_.was_set()) current_ = 0, slice_left_ = slice;
}

void CountedThread::stopped() {
    clock_.publish();
    trace::emit(icount_stop, clock_.count(), clock_.now(), hash_here());
}

// With where all processors are now, which leaves the clock's own as it is: when a machine is stopped may be up to people.
u64 CountedThread::hash_here() {
    u64 hash = clock_.hash();
    for (MachineCpu* c : cpus_) hash = CountedClock::folded(hash, c->header().pc);
    return CountedClock::folded(hash, clock_.count());
}

// The next processor that can run, and how many can; null: none, or they are being stopped, and it stays whose turn it is.
MachineCpu* CountedThread::choose(u32& ready) {
    const u32 n = u32(cpus_.size());
    ready = 0;
    for (MachineCpu* c : cpus_) ready += c->can_run();
    u32 next = current_;
    u64 left = slice_left_;
    if (left == 0) next = (next + 1) % n, left = slice;
    for (u32 looked = 0; looked < n && !cpus_[next]->can_run(); ++looked) next = (next + 1) % n, left = slice;
    // Whoever stops them has asked for a hold first (Board::stop): what was seen above is of before, or doesn't count.
    if (ready == 0 || asked()) return nullptr;
    current_ = next, slice_left_ = left;
    return cpus_[next];
}

// Of events and the timers in processors; what is past is a line now.
u64 CountedThread::next_time() {
    u64 next = clock_.events ? clock_.events->next() : CountedClock::never;
    for (MachineCpu* c : cpus_)
        if (u64 at = c->next_timer(); at > clock_.now()) next = std::min(next, at);
    return next < CountedClock::last ? next : CountedClock::never;
}

// What is due, then one processor until something may be due, another one's turn, or the hash's.
void CountedThread::turn(u32 seen) {
    if (clock_.events && !clock_.events->run([this] { return asked(); })) return;
    u32 ready = 0;
    MachineCpu* c = choose(ready);
    if (!c) return asked() ? void() : wait_for_event(seen);
    u64 grant = next_told_ - clock_.count();
    if (u64 at = next_time(); at != CountedClock::never) grant = std::min(grant, clock_.until(at));
    if (ready > 1) grant = std::min(grant, slice_left_);
    clock_.begin(c->header(), grant);
    c->turn_counted(grant);
    const u64 done = clock_.end();
    c->end_counted();
    slice_left_ = ready > 1 ? slice_left_ - done : slice;
    if (c->gives_way()) slice_left_ = 0;
    if (ready > 1 && slice_left_ == 0) {
        clock_.fold(clock_.count());
        clock_.fold(c->header().pc);
    }
    if (clock_.count() == next_told_) {
        next_told_ += period;
        for (MachineCpu* each : cpus_) clock_.fold(each->header().pc);
        clock_.fold(clock_.count());
        trace::emit(icount_hash, clock_.count(), c->index(), c->header().pc, clock_.hash());
    }
    if (clock_.options().align || clock_.options().automatic) follow_host(seen);
}

// All processors wait. Nothing happens but what comes from outside until the next event.
void CountedThread::wait_for_event(u32 seen) {
    if (event_.now() != seen) return; // somebody, perhaps this thread itself, has said something since
    const u64 start = host_now(), guest = clock_.now();
    const u64 at = std::max(next_time(), guest + (u64{1} << clock_.shift())); // whatever devices ask for, time goes on
    if (at != CountedClock::never && !clock_.options().sleep) return clock_.advance_to(at);
    u64 slept = 0;
    while (event_.now() == seen && (at == CountedClock::never || slept < at - guest)) {
        event_.wait(seen, at == CountedClock::never ? at : at - guest - slept);
        slept = host_now() - start;
    }
    // Undisturbed, exactly to the event, however late the host was.
    if (event_.now() == seen) return clock_.advance_to(at);
    if (clock_.options().sleep) clock_.advance_to(std::min(at, guest + slept));
}

// align: waits while the guest is ahead of the host. auto: a shift that keeps the two together.
void CountedThread::follow_host(u32 seen) {
    constexpr u64 allowed = 3'000'000, every = 50'000'000;
    const u64 host = host_now() - host_start_, guest = clock_.now() - guest_start_;
    if (clock_.options().align) {
        if (guest > host + allowed) event_.wait(seen, guest - host);
        return;
    }
    if (host - adapted_at_ < every) return;
    adapted_at_ = host;
    const i64 lag = i64(host - guest), before = std::exchange(lag_, lag);
    if (lag > i64(every) && lag > before && clock_.shift() < CountedClock::most_shift)
        clock_.set_shift(clock_.shift() + 1);
    if (lag < -i64(every) && lag < before && clock_.shift() > 0) clock_.set_shift(clock_.shift() - 1);
}

} // namespace mimic::cpu
