// A vCPU's thread: runs code, enters the guest's handlers, sleeps, does what other threads ask.
#include "cpu/system/machine.hpp"
#include "base/process.hpp"
#include "isa/debug.hpp"
#include <algorithm>
#include <bit>
#include <cstring>
#include <fmt/core.h>
#include <sys/syscall.h>

namespace mimic::cpu {

using ir::ExitKind;
using ir::TrapKind;

namespace {

u64 clock_of(ir::CpuHeader& h) { return static_cast<MachineCpu*>(static_cast<Cpu*>(h.owner)->client)->now(); }

} // namespace

MachineCpu::MachineCpu(MachineAccelerator& accelerator, const VcpuOptions& options)
    : accelerator_(accelerator)
    , system_(accelerator.system())
    , options_(options)
    , space_(options.memory ? *options.memory : *accelerator.options().memory)
    , secure_(options.secure_memory ? *options.secure_memory : space_)
    , memory_(*accelerator.options().guest, space_, secure_, accelerator, options.index)
    , cpu_(accelerator.space(), memory_, &memory_)
    , counted_(accelerator.counted()) {
    cpu_.client = this;
    memory_.stop_at_devices(counted_);
    header().clock = clock_of;
    header().random = accelerator.options().random;
    system_.set_identity(header(), options.id);
    reset(isa::ResetKind::power_on);
}

MachineCpu::~MachineCpu() {
    quit_ = true;
    wake();
    {
        std::lock_guard lock(mutex_);
        changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
    accelerator_.remove(*this);
}

// ---- from other threads

void MachineCpu::wake() {
    attention_ = true;
    cpu_.kick();
    counted_ ? counted_->wake() : event_.signal();
}

// From any thread. Its own, which is inside an access, needs no lock: nothing else looks at the TLB meanwhile.
void MachineCpu::forget_mappings() {
    if (on_thread()) return memory_.flush_all();
    mappings_changed_ = true;
    wake();
}

void MachineCpu::start() {
    std::lock_guard lock(mutex_);
    pause_ = Pause::none;
    running_ = true;
    idle_ = false;
    if (counted_) return counted_->start();
    if (!thread_.joinable()) thread_ = std::thread([this] { thread(); });
    changed_.notify_all();
}
void MachineCpu::stop() {
    running_ = false;
    wake();
    std::lock_guard lock(mutex_);
    changed_.notify_all(); // it may be powered off
}
void MachineCpu::wait_stopped() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return idle_; });
}

void MachineCpu::set_line(u32 line, bool level) {
    u64 bit = u64{1} << line, old;
    if (level)
        old = __atomic_fetch_or(&header().lines, bit, __ATOMIC_SEQ_CST);
    else
        old = __atomic_fetch_and(&header().lines, ~bit, __ATOMIC_SEQ_CST);
    // Where time is counted, accesses to devices end their turn, and the line is looked at then.
    if (level && !(old & bit) && !(counted_ && counted_->here())) wake();
}

void MachineCpu::set_powered(bool on) {
    powered_ = on;
    std::lock_guard lock(mutex_);
    wake();
    changed_.notify_all();
}

void MachineCpu::run_inside(const std::function<void(ir::CpuHeader&)>& f) {
    std::unique_lock lock(mutex_);
    if (idle_ && !running_) return f(header());
    if (on_thread()) return lock.unlock(), f(header());
    jobs_.push_back(&f);
    wake();
    changed_.notify_all();
    changed_.wait(lock, [&] { return std::find(jobs_.begin(), jobs_.end(), &f) == jobs_.end(); });
}

// ---- while stopped

void MachineCpu::reset(isa::ResetKind kind) {
    system_.reset(header(), kind);
    memory_.flush_all();
    memory_.select(header());
    points_changed_ = true;
    pause_ = Pause::none;
    waits_ = false;
}
void MachineCpu::set_pc(u64 pc) { system_.set_pc(header(), pc); }
bool MachineCpu::enter_level(u32 level) {
    bool there = system_.enter_level(header(), level);
    points_changed_ = true;
    memory_.flush_all();
    memory_.select(header());
    return there;
}

bool MachineCpu::read_register(std::string_view name, u64& value) {
    if (name == "pc") return value = header().pc, true;
    return isa::read_current(guest(), header(), name, {reinterpret_cast<u8*>(&value), sizeof value});
}
bool MachineCpu::write_register(std::string_view name, u64 value) {
    if (name == "pc") return set_pc(value), true;
    u32 n = guest().find_register(name);
    if (n == isa::Guest::no_register || guest().registers()[n].bytes > 8) return false;
    guest().write_register(header(), n, reinterpret_cast<const u8*>(&value));
    registers_written();
    return true;
}
void MachineCpu::registers_written() {
    memory_.flush_all(); // it may have been one that translations depend on
    memory_.select(header());
    outputs_known_ = false; // nor what the board knows of timers
    accelerator_.timers().look();
    points_changed_ = true;
    waits_ = false;
}
bool MachineCpu::read_memory(u64 address, void* out, u64 bytes) {
    return memory_.debug_access(header(), address, out, bytes, false);
}
bool MachineCpu::write_memory(u64 address, const void* in, u64 bytes) {
    return memory_.debug_access(header(), address, const_cast<void*>(in), bytes, true);
}
bool MachineCpu::translate_debug(u64 address, u64& physical) {
    return memory_.debug_translate(header(), address, physical);
}
void MachineCpu::set_breakpoint(u64 pc, bool on) { accelerator_.space().set_breakpoint(pc, on); }
void MachineCpu::set_single_step(bool on) { step_ = on; }

// ---- the thread

void MachineCpu::thread() {
    own_thread_ = std::this_thread::get_id();
    thread_id_ = process::raw_syscall(SYS_gettid);
    for (;;) {
        if (attention_.exchange(false) || !running_) {
            if (!attend()) return;
        }
        turn();
    }
}

void MachineCpu::run_jobs(std::unique_lock<std::mutex>& lock) {
    while (!jobs_.empty()) {
        auto* f = jobs_.front();
        lock.unlock();
        (*f)(header());
        lock.lock();
        jobs_.pop_front();
        changed_.notify_all();
    }
}

// Waits while it must not run, and does what it was asked to. False: the end.
bool MachineCpu::attend() {
    std::unique_lock lock(mutex_);
    for (;;) {
        run_jobs(lock);
        if (quit_) return false;
        if (running_ && powered_) break;
        if (!running_ && !idle_) {
            idle_ = true;
            deadline_ = ~u64{0}; // a clock that stands never comes to it; the next turn says it again
            changed_.notify_all();
        }
        changed_.wait(lock);
    }
    return true;
}

bool MachineCpu::attend_counted() {
    if (!attention_.exchange(false) && running_) return true;
    std::unique_lock lock(mutex_);
    run_jobs(lock);
    return running_;
}

void MachineCpu::stand_counted() {
    std::lock_guard lock(mutex_);
    if (running_ || idle_) return;
    idle_ = true;
    changed_.notify_all();
}

bool MachineCpu::can_run() {
    if (!running_ || !powered_) return false;
    if (!waits_) return true;
    tick();
    if (!system_.wakes(header()) && now() < retry_at_) return false;
    waits_ = false;
    retry_at_ = ~u64{0};
    return true;
}

void MachineCpu::set_budget(i64 budget) {
    const i64 by = budget - std::exchange(header().budget, budget);
    system_.budget_changed(header(), by, counted_->clock().shift());
}

void MachineCpu::turn_counted(u64 budget) {
    set_budget(i64(budget));
    turn();
    executed_.store(executed_.load(std::memory_order_relaxed) + budget - u64(header().budget),
                    std::memory_order_relaxed);
}

void MachineCpu::turn() {
    cpu_.clear_kick();
    if (attention_) return;
    held_ = false;
    if (mappings_changed_.exchange(false)) memory_.flush_all();
    if (memory_.wants_apart()) memory_.keep_apart(header());
    if (!counted_) arm_timer(); // first: what is due by then is seen by tick
    tick();
    u64 from = header().pc;
    const bool taken = !step_ && system_.take_interrupt(header());
    if (taken) idle_wakes_ = 0;
    if (taken && (accelerator_.log() & log::interrupts)) {
        Options const& o = accelerator_.options().translation;
        o.write_log(o.owner, fmt::format("int {}: interrupt at {:#x} to {:#x}\n", index(), from, header().pc));
    }
    if (points_changed_) follow_points();
    const bool steps = system_.steps(header());
    if (steps || cpu_.stops_at(header().pc)) [[unlikely]] {
        // Where a debugger stops, too, it does so first.
        if (!step_ && resumed_at_ != header().pc && cpu_.has_breakpoint()) return pause_with(Pause::breakpoint);
        resumed_at_ = ~u64{0};
        run_alone(steps);
        if (held_)
            resumed_at_ = header().pc;
        else if (step_ && running_)
            pause_with(Pause::step);
        return;
    }
    if (step_ || resumed_at_ == header().pc) {
        enter(true);
        resumed_at_ = ~u64{0};
        leave();
        if (held_)
            resumed_at_ = header().pc;
        else if (step_ && running_)
            pause_with(Pause::step);
        return;
    }
    resumed_at_ = ~u64{0};
    enter(false);
    if (cpu_.stopped_at_breakpoint()) return pause_with(Pause::breakpoint);
    leave();
}

// ---- the guest's own debug exceptions

void MachineCpu::follow_points() {
    points_changed_ = false;
    asked_points_.clear();
    system_.debug_points(header(), asked_points_);
    if (asked_points_ == points_) return;
    points_ = asked_points_;
    std::vector<Range> stops;
    std::vector<isa::DebugPoint> accesses;
    for (const isa::DebugPoint& p : points_) {
        if (p.execute) stops.push_back({p.address, p.address + p.bytes});
        if (p.read || p.write) accesses.push_back(p);
    }
    cpu_.set_stops(std::move(stops));
    memory_.set_points(accesses);
    memory_.forget_branches(); // those that were found where it stops now
}

// One instruction, which the guest wants to hear of before or after it.
void MachineCpu::run_alone(bool steps) {
    isa::Exception e;
    const isa::CodeAt code = [this](u64 address, std::span<u8> out) { return memory_.code_at(header(), address, out); };
    points_changed_ = true;
    if (system_.before_instruction(header(), code, e)) {
        // Time goes on: a handler that meets its own breakpoint would hold it up for ever.
        if (counted_) --header().budget;
        return raise(e);
    }
    u8 bytes[16];
    const u32 n = steps ? code(header().pc, std::span(bytes).first(guest().max_insn_bytes())) : 0;
    completed_ = true;
    enter(true);
    leave();
    if (steps && completed_ && system_.after_instruction(header(), std::span(bytes).first(n), e)) raise(e);
}

void MachineCpu::enter(bool one_instruction) {
    inside_ = true;
    if (flush_owed_) do_flushes();
    one_instruction ? cpu_.step_instruction() : cpu_.run();
    inside_ = false;
}

// Timers inside the processor, and what of them goes out to the board.
void MachineCpu::tick() {
    system_.tick(header());
    BoardPort* port = accelerator_.options().port;
    if (!port) return;
    u64 now = system_.output_levels(header()), changed = now ^ outputs_;
    if (!std::exchange(outputs_known_, true)) changed = (u64{1} << system_.outputs().size()) - 1;
    outputs_ = now;
    for (; changed; changed &= changed - 1) {
        u32 n = u32(std::countr_zero(changed));
        port->output(*this, n, now >> n & 1);
    }
}

// ---- flushes by other processors

void MachineCpu::ask_flush(const isa::Effects& f) {
    {
        std::lock_guard lock(flush_mutex_);
        if (flushes_.size() >= most_flushes) flushes_.assign(1, {.flush = isa::Effects::Flush::all});
        flushes_.push_back(f);
        flush_owed_ = true;
    }
    if (inside_) cpu_.kick();
}
void MachineCpu::do_flushes() {
    std::lock_guard lock(flush_mutex_);
    for (const isa::Effects& f : flushes_) memory_.flush(f);
    flushes_.clear();
    flush_owed_ = false;
}
// It is outside code meanwhile, so nobody waits for it, and what others want done on this thread is done.
void MachineCpu::serve() {
    if (!attention_) return;
    std::unique_lock lock(mutex_);
    run_jobs(lock);
}

// The instruction that it paused before is run when it is started again.
void MachineCpu::pause_with(Pause p) {
    pause_ = p;
    running_ = false;
    resumed_at_ = p == Pause::breakpoint ? header().pc : ~u64{0};
    if (counted_ && p != Pause::halted) counted_->pause(); // nobody goes on before all have been stopped
    if (accelerator_.options().on_pause) accelerator_.options().on_pause(*this, p);
}

void MachineCpu::leave() {
    switch (header().exit_kind) {
    case ExitKind::trap: return trap();
    case ExitKind::fault: return fault();
    default: return; // the reason of a poll is looked at above
    }
}

void MachineCpu::arm_timer() {
    u64 at = system_.next_timer(header());
    if (at != ~u64{0} && at <= now()) at = ~u64{0}; // due: it is a line now
    if (deadline_.exchange(at) != at && at != ~u64{0}) accelerator_.timers().changed(at);
}

void MachineCpu::log(const isa::Exception& e) {
    const Options& o = accelerator_.options().translation;
    if ((accelerator_.log() & log::interrupts) && o.write_log)
        o.write_log(o.owner, fmt::format("int {}: {}\n", index(), system_.describe(header(), e)));
}

void MachineCpu::raise(const isa::Exception& e) {
    completed_ = false;
    log(e);
    system_.raise(header(), e);
}

void MachineCpu::trap() {
    TrapKind kind = TrapKind(header().exit_arg & 0xff);
    if (kind == TrapKind::guest) return execute();
    if (kind == TrapKind::flush_code) return accelerator_.settle();
    if (accelerator_.options().host && call_host()) return;
    u8 code[16];
    u32 n = memory_.code_at(header(), header().pc, std::span(code).first(guest().max_insn_bytes()));
    raise(system_.trap(header(), std::span(code).first(n)));
}

void MachineCpu::fault() {
    ir::CpuHeader& h = header();
    if (memory_.met_watchpoint()) return watched();
    if (memory_.met_point()) points_changed_ = true;
    if (memory_.met_device()) return access_device();
    if (memory_.met_wait()) {
        // The device's own work ends without a word to processors.
        constexpr u64 pause_ns = 100'000;
        return pause_for(pause_ns, event_.now());
    }
    if (h.fault_kind != ir::FaultKind::misaligned) {
        isa::Exception e = memory_.exception();
        system_.add_syndrome(
            h, [&](u64 address, std::span<u8> out) { return memory_.code_at(h, address, out); }, e);
        return raise(e);
    }
    auto type = h.misaligned_write ? isa::AccessType::write : isa::AccessType::read;
    raise(system_.misaligned(h, h.fault_address, type));
}

// False: the instruction is no call, or nobody takes it.
bool MachineCpu::call_host() {
    isa::HostCall c;
    auto code = [this](u64 address, std::span<u8> out) { return memory_.code_at(header(), address, out); };
    if (!system_.host_call(header(), code, c)) return false;
    const u32 seen = event_.now();
    u64 result = 0;
    switch (accelerator_.options().host->call(*this, c, result)) {
    case HostPort::Outcome::refused: return false;
    case HostPort::Outcome::done: system_.finish_host_call(header(), result); return true;
    case HostPort::Outcome::blocked: break;
    }
    constexpr u64 counted_pause_ns = 1'000'000, pause_ns = 10'000'000;
    pause_for(counted_ ? counted_pause_ns : pause_ns, seen);
    return true;
}

// Nothing of the instruction has happened; it begins again when so much time has passed, or after an interrupt. `seen`: events
// from then on end the wait.
void MachineCpu::pause_for(u64 nanoseconds, u32 seen) {
    completed_ = false;
    held_ = true;
    if (counted_)
        waits_ = true, retry_at_ = now() + nanoseconds;
    else if (!attention_)
        event_.wait(seen, nanoseconds);
}

// The access was kept from happening. Its instruction alone, so that the device finds the exact count, and what follows from the
// access is looked at behind it; pages that code has looked up are looked up again.
void MachineCpu::access_device() {
    if (counted_) ++header().budget; // it is begun again
    memory_.stop_at_devices(false);
    cpu_.step_instruction();
    memory_.stop_at_devices(counted_);
    leave();
}

// The access was kept from happening. Where a debugger does not expect that, its instruction runs to its end; then the vCPU
// pauses.
void MachineCpu::watched() {
    if (counted_) ++header().budget; // it is begun again
    const isa::DebugView* view = guest().debug();
    if (!view || !view->watches_before_access()) {
        memory_.pass_watchpoints(true);
        cpu_.step_instruction();
        memory_.pass_watchpoints(false);
        leave();
    }
    completed_ = completed_ && !(view && view->watches_before_access());
    pause_with(Pause::watchpoint);
}

void MachineCpu::execute() {
    isa::Effects f;
    isa::Exception e;
    // What stands there matters to its exception alone, and is looked at while the old translations hold.
    if (!system_.execute(header(), memory_.physical(), {}, f, e)) {
        u8 code[16];
        u32 n = memory_.code_at(header(), header().pc, std::span(code).first(guest().max_insn_bytes()));
        f = {}, e = {};
        system_.execute(header(), memory_.physical(), std::span(code).first(n), f, e);
        return raise(e);
    }
    if (!ask_board(f, e)) return raise(e);
    effects(f);
}

// False: the instruction has an exception, since nobody answered.
bool MachineCpu::ask_board(isa::Effects& f, isa::Exception& e) {
    isa::BoardRequest r = f.request;
    if (r.kind == isa::BoardRequest::Kind::none) return true;
    BoardPort* port = accelerator_.options().port;
    bool done =
        port && (r.kind == isa::BoardRequest::Kind::call ? port->call(*this, r) : port->access_register(*this, r));
    return system_.answered(header(), r, done, f, e);
}

void MachineCpu::effects(const isa::Effects& f) {
    memory_.flush(f);
    if (f.broadcast && accelerator_.flush_others(*this, f)) system_.flushes_done(header());
    if (f.settle) accelerator_.settle_flushes(*this);
    if (f.contexts) memory_.select(header());
    points_changed_ |= f.debug;
    if (f.code) accelerator_.settle();
    if (f.pause) counted_ ? void(gives_way_ = true) : std::this_thread::yield();
    if (f.wait && !step_) wait_for_interrupt();
}

void MachineCpu::wait_for_interrupt() {
    if (counted_) return void(waits_ = true);
    constexpr u32 patience = 64;
    constexpr u64 pause_ns = 20'000'000;
    for (;;) {
        u32 seen = event_.now();
        u64 at = system_.next_timer(header()), now_ns = now();
        tick(); // what was due by now is a line
        if (attention_) return;
        if (system_.wakes(header())) {
            // Firmware may wait for something in memory with an interrupt pending that it never takes (OpenSBI, for its
            // processors to be started): that would take a host processor, and looks at every half of what another does.
            if (++idle_wakes_ > patience) event_.wait(seen, pause_ns);
            return;
        }
        idle_wakes_ = 0;
        event_.wait(seen, at == ~u64{0} || at <= now_ns ? ~u64{0} : at - now_ns);
    }
}

} // namespace mimic::cpu
