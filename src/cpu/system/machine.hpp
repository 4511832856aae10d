// jit and interp of a machine: vCPUs that each run on a thread of their own over shared code. Internal to the room.
#pragma once
#include "cpu/system/counted.hpp"
#include "cpu/system/event.hpp"
#include "cpu/system/memory.hpp"
#include "cpu/vcpu.hpp"
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace mimic::cpu {

class MachineCpu;

// Host threads cannot be asked to look at the guest's clock: one thread kicks each vCPU when its timer is due.
class TimerKeeper {
public:
    explicit TimerKeeper(Clock* clock) : clock_(clock) {}
    ~TimerKeeper();
    void add(MachineCpu& cpu);
    void remove(MachineCpu& cpu);
    // A vCPU's deadline is this now, in the clock's time.
    void changed(u64 deadline);
    // The clock may have been set.
    void look() { event_.signal(); }

private:
    void run();
    Clock* clock_;
    std::mutex mutex_;
    std::vector<MachineCpu*> cpus_;
    Event event_;
    std::atomic<u64> looks_at_{~u64{0}}; // when the thread looks at the deadlines next; ~0: when it is told of one
    std::atomic<bool> quit_{false};
    std::thread thread_;
};

class MachineAccelerator final : public Accelerator,
                                 public CodeSource,
                                 public CodeWatcher,
                                 memory::AddressSpace::Listener {
public:
    static Result<std::unique_ptr<Accelerator>> create(std::string_view name, AcceleratorOptions options);
    ~MachineAccelerator() override;

    std::string_view name() const override { return name_; }
    Result<std::unique_ptr<Vcpu>> make_vcpu(const VcpuOptions& options) override;
    std::string statistics() const override;

    // CodeSource, of places that are host addresses of RAM and ROM.
    u32 fetch(u64 place, u8* out, u32 max) override;
    Watch protect_code(u64 place, bool stays_writable) override;
    void release_code(u64 place) override;
    void watch_block(memory::RamBlock& block) override;

    const AcceleratorOptions& options() const { return options_; }
    const isa::System& system() const { return *options_.guest->system(); }
    CodeSpace& space() { return *space_; }
    void set_log(u32 items) override {
        log_ = items;
        space_->set_log(items);
    }
    u32 log() const { return log_.load(std::memory_order_relaxed); } // cpu::log
    TimerKeeper& timers() { return timers_; }
    // Who runs the processors of a machine whose time is counted; else null.
    CountedThread* counted() { return counted_.get(); }
    void remove(MachineCpu& cpu);
    // Flushes of translations that processor `from` asks of all others: ask at once (true: nobody is left to be waited for), wait
    // for them to be done.
    bool flush_others(MachineCpu& from, const isa::Effects& f);
    void settle_flushes(MachineCpu& from);
    // fence.i on one vCPU: what it fetches from now on is what memory holds.
    void settle();

private:
    MachineAccelerator(std::string_view name, AcceleratorOptions options);
    void topology_changed(memory::AddressSpace& space) override;
    memory::RamBlock* block_of(u64 place, u64& offset);

    std::string name_;
    AcceleratorOptions options_;
    std::unique_ptr<CodeSpace> space_;
    std::atomic<u32> log_;
    TimerKeeper timers_;
    std::unique_ptr<CountedThread> counted_;
    mutable std::mutex mutex_; // of what follows; taken inside the code space's lock, never around it
    std::vector<memory::RamBlock*> blocks_;
    std::atomic<u32> block_count_{0};
    std::vector<MachineCpu*> cpus_;
    std::vector<memory::AddressSpace*> spaces_;
};

class MachineCpu final : public Vcpu {
public:
    MachineCpu(MachineAccelerator& accelerator, const VcpuOptions& options);
    ~MachineCpu() override;

    u32 index() const override { return options_.index; }
    const isa::Guest& guest() const override { return *accelerator_.options().guest; }
    void start() override;
    void stop() override;
    void wait_stopped() override;
    bool running() const override { return running_.load(); }
    long thread_id() const override { return counted_ ? counted_->id() : thread_id_.load(); }
    Pause pause() const override { return pause_.load(); }
    void set_line(u32 line, bool level) override;
    void set_powered(bool on) override;
    bool powered() const override { return powered_; }
    void run_inside(const std::function<void(ir::CpuHeader&)>& f) override;
    ir::CpuHeader& header() override { return cpu_.header(); }
    void reset(isa::ResetKind kind) override;
    void set_pc(u64 pc) override;
    bool enter_level(u32 level) override;
    bool read_register(std::string_view name, u64& value) override;
    bool write_register(std::string_view name, u64 value) override;
    void registers_written() override;
    void forget_writes() override { memory_.tlb().drop_all_writes(); }
    bool read_memory(u64 address, void* out, u64 bytes) override;
    bool write_memory(u64 address, const void* in, u64 bytes) override;
    bool program_access(u64 address, void* data, u64 bytes, bool write) override {
        return memory_.program_access(header(), address, data, bytes, write);
    }
    bool translate_debug(u64 address, u64& physical) override;
    bool mappings(std::vector<isa::Mapped>& out) override { return memory_.mappings(header(), out); }
    void set_breakpoint(u64 pc, bool on) override;
    void set_single_step(bool on) override;
    bool set_watchpoints(std::span<const Watchpoint> all) override { return memory_.watch(all), true; }
    Watchpoint watch_hit() const override { return memory_.hit(); }
    u64 guest_instructions() const override { return executed_.load(std::memory_order_relaxed); }

    MachineMemory& memory() { return memory_; }
    std::atomic<u64>& deadline() { return deadline_; }
    void wake();
    memory::AddressSpace& address_space() { return space_; }
    memory::AddressSpace& secure_space() { return secure_; }
    void forget_mappings();
    // From any thread: a flush to do before it next enters code. Is it in code that may still use what is flushed?
    void ask_flush(const isa::Effects& f);
    // What others want done on this thread, while it waits outside code.
    void serve();
    bool owes_flush() const { return flush_owed_.load() && inside_.load(); }
    u64 now() const { return accelerator_.options().clock ? accelerator_.options().clock->now() : 0; }

    // ---- of CountedThread, on its thread
    bool asked() const { return attention_; }
    // Does what others want. False: it is not started.
    bool attend_counted();
    // None is started: who waits for that hears it.
    void stand_counted();
    // Is it started, and not waiting for an interrupt?
    bool can_run();
    void turn_counted(u64 budget);
    // The clock has taken note of what it has left.
    void end_counted() { set_budget(0); }
    // It waits for another processor, and can do nothing useful meanwhile.
    bool gives_way() { return std::exchange(gives_way_, false); }
    u64 next_timer() { return std::min(system_.next_timer(header()), retry_at_); }

private:
    void thread();
    bool on_thread() const { return counted_ ? counted_->here() : std::this_thread::get_id() == own_thread_; }
    bool attend();
    void turn();
    void set_budget(i64 budget);
    void enter(bool one_instruction);
    void follow_points();
    void run_alone(bool steps);
    void leave();
    void run_jobs(std::unique_lock<std::mutex>& lock);
    void do_flushes();
    void tick();
    void raise(const isa::Exception& e);
    void trap();
    void fault();
    void watched();
    void access_device();
    void pause_for(u64 nanoseconds, u32 seen);
    void execute();
    void effects(const isa::Effects& f);
    bool ask_board(isa::Effects& f, isa::Exception& e);
    void wait_for_interrupt();
    bool call_host();
    void arm_timer();
    void pause_with(Pause p);
    void log(const isa::Exception& e);

    MachineAccelerator& accelerator_;
    const isa::System& system_;
    VcpuOptions options_;
    memory::AddressSpace &space_, &secure_;
    MachineMemory memory_;
    Cpu cpu_;
    CountedThread* counted_;
    std::atomic<u64> executed_{0};           // counted: instructions
    bool waits_ = false, gives_way_ = false; // counted: for an interrupt; see gives_way()
    u64 retry_at_ = ~u64{0}; // counted: a call of the host begins again, if nothing ends the wait before
    Event event_;
    std::atomic<bool> running_{false}, powered_{true}, quit_{false}, attention_{false}, mappings_changed_{false};
    std::atomic<Pause> pause_{Pause::none};
    std::atomic<u64> deadline_{~u64{0}};
    std::mutex mutex_; // of what follows
    std::condition_variable changed_;
    bool idle_ = true; // outside guest code until started
    std::deque<const std::function<void(ir::CpuHeader&)>*> jobs_;
    std::atomic<bool> step_{false};
    u64 outputs_ = 0; // levels that the board was told
    bool outputs_known_ = true;
    // Flushes that other processors ask for. Who asks sets flush_owed_ and looks at inside_, its own thread the other way
    // round: so it is either waited for or has done them before it enters code.
    std::atomic<bool> inside_{false}, flush_owed_{false};
    std::mutex flush_mutex_;
    std::vector<isa::Effects> flushes_;
    static constexpr std::size_t most_flushes = 64;
    u64 resumed_at_ = ~u64{0}; // a breakpoint that it paused at
    // The guest's own debug exceptions: what it stops at may have changed; the instruction was done, and had no exception.
    bool points_changed_ = false, completed_ = false;
    bool held_ = false; // the instruction begins again: a debugger has not stepped over it yet
    std::vector<isa::DebugPoint> points_, asked_points_;
    u32 idle_wakes_ = 0; // waits that ended at once, since it last took an interrupt or slept
    std::atomic<long> thread_id_{0};
    std::atomic<std::thread::id> own_thread_{}; // others ask while it is made
    std::thread thread_;
};

} // namespace mimic::cpu
