#include "like_kvm.hpp"
#include "cpu/system/memory.hpp"
#include "hypervisor.hpp"
#include <algorithm>
#include <bit>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <fmt/core.h>

namespace mimic::like_kvm {

using cpu::Pause;
using hypervisor::Exit;

namespace {

class KvmLikeCpu;

// vCPUs go in and out; whoever changes slots holds them outside.
class Gate {
public:
    void enter() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return held_ == 0; });
        ++inside_;
    }
    void leave() {
        std::lock_guard lock(mutex_);
        --inside_;
        changed_.notify_all();
    }
    template <class F>
    void hold(F&& ask_all_out) {
        std::unique_lock lock(mutex_);
        ++held_;
        ask_all_out();
        changed_.wait(lock, [&] { return inside_ == 0; });
    }
    void release() {
        std::lock_guard lock(mutex_);
        --held_;
        changed_.notify_all();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    u32 inside_ = 0, held_ = 0;
};

class KvmLike final : public cpu::Accelerator, memory::AddressSpace::Listener {
public:
    KvmLike(cpu::AcceleratorOptions o, std::unique_ptr<hypervisor::Machine> m, Seen& s)
        : options(std::move(o))
        , machine(std::move(m))
        , seen(s) {}
    ~KvmLike() override {
        for (memory::AddressSpace* s : spaces_)
            if (s) s->remove(*this);
    }
    std::string_view name() const override { return "like-kvm"; }
    Result<std::unique_ptr<cpu::Vcpu>> make_vcpu(const cpu::VcpuOptions& o) override;
    std::string statistics() const override { return fmt::format("exits for accesses {}\n", seen.accesses.load()); }
    void collect_writes() override;
    void remove(KvmLikeCpu& c) {
        std::lock_guard lock(cpus_mutex_);
        std::erase(cpus_, &c);
    }

    const cpu::AcceleratorOptions options;
    const std::unique_ptr<hypervisor::Machine> machine;
    Seen& seen;
    Gate gate;

private:
    Result<void> follow(memory::AddressSpace& space, bool secure);
    void add_slots(memory::AddressSpace& space, bool secure, std::vector<hypervisor::Slot>& out);
    void topology_changed(memory::AddressSpace& space) override;
    void ask_all_out();
    void to_flags(u32 number, const hypervisor::Slot& slot);

    std::mutex mutex_; // of what follows
    memory::AddressSpace* spaces_[2] = {};
    std::map<u32, hypervisor::Slot> slots_;
    bool logs_ = false; // from the first question on
    std::mutex cpus_mutex_;
    std::vector<KvmLikeCpu*> cpus_;
};

// Nobody translates code here.
struct NoCode final : cpu::CodeWatcher {
    void watch_block(memory::RamBlock&) override {}
};

class KvmLikeCpu final : public cpu::Vcpu {
public:
    KvmLikeCpu(KvmLike& a, const cpu::VcpuOptions& v)
        : accelerator_(a)
        , options_(v)
        , guest_(*a.options.guest)
        , system_(*guest_.system())
        , space_(v.memory ? *v.memory : *a.options.memory)
        , secure_(v.secure_memory ? *v.secure_memory : space_)
        , processor_(*a.machine, v.id)
        , memory_(guest_, space_, secure_, no_code_, v.index)
        , bytes_((ir::slots_offset + guest_.state().bytes + 63) / 64 * 64)
        , home_(static_cast<u8*>(std::aligned_alloc(64, bytes_)), std::free) {
        std::memset(home_.get(), 0, bytes_);
        copy_ = new (home_.get()) ir::CpuHeader;
        copy_->owner = this;
        copy_->clock = [](ir::CpuHeader& h) {
            cpu::Clock* c = static_cast<KvmLikeCpu*>(h.owner)->accelerator_.options.clock;
            return c ? c->now() : 0;
        };
        system_.set_identity(*copy_, v.id);
        reset(isa::ResetKind::power_on);
    }
    ~KvmLikeCpu() override {
        quit_ = true;
        wake();
        {
            std::lock_guard lock(mutex_);
            changed_.notify_all();
        }
        if (thread_.joinable()) thread_.join();
        accelerator_.remove(*this);
    }

    u32 index() const override { return options_.index; }
    const isa::Guest& guest() const override { return guest_; }
    void start() override;
    void stop() override;
    void wait_stopped() override {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return idle_; });
    }
    bool running() const override { return running_; }
    Pause pause() const override { return pause_; }
    void set_line(u32 line, bool level) override {
        processor_.set_line(line, level);
        event_.signal();
    }
    void set_powered(bool on) override {
        powered_ = on;
        std::lock_guard lock(mutex_);
        wake();
        changed_.notify_all();
    }
    bool powered() const override { return powered_; }
    void run_inside(const std::function<void(ir::CpuHeader&)>& f) override;

    ir::CpuHeader& header() override { return fetched(); }
    void reset(isa::ResetKind kind) override {
        system_.reset(fetched(), kind);
        pause_ = Pause::none;
        registers_written();
    }
    void set_pc(u64 pc) override {
        system_.set_pc(fetched(), pc);
        registers_written();
    }
    bool enter_level(u32 level) override {
        const bool there = system_.enter_level(fetched(), level);
        registers_written();
        return there;
    }
    bool read_register(std::string_view name, u64& value) override;
    bool write_register(std::string_view name, u64 value) override;
    void registers_written() override {
        written_ = true;
        remember();
    }
    bool read_memory(u64 address, void* out, u64 bytes) override {
        return memory_.debug_access(fetched(), address, out, bytes, false);
    }
    bool write_memory(u64 address, const void* in, u64 bytes) override {
        return memory_.debug_access(fetched(), address, const_cast<void*>(in), bytes, true);
    }
    bool program_access(u64 address, void* data, u64 bytes, bool write) override {
        return memory_.program_access(fetched(), address, data, bytes, write);
    }
    bool translate_debug(u64 address, u64& physical) override {
        return memory_.debug_translate(fetched(), address, physical);
    }
    bool mappings(std::vector<isa::Mapped>& out) override { return memory_.mappings(fetched(), out); }
    void set_breakpoint(u64 pc, bool on) override { accelerator_.machine->set_breakpoint(pc, on); }
    void set_single_step(bool on) override { step_ = on; }
    u64 guest_instructions() const override { return 0; }

    void ask_out() { processor_.ask_out(); }

private:
    bool on_thread() const { return std::this_thread::get_id() == id_.load(); }
    void wake() {
        attention_ = true;
        processor_.ask_out();
        event_.signal();
    }
    ir::CpuHeader& fetched();
    void put();
    void remember();
    void check_written();
    void thread();
    bool attend();
    void run_jobs(std::unique_lock<std::mutex>& lock);
    void turn();
    void handle(Exit e, u32 seen);
    void access(Exit& e);
    void board(Exit& e);
    void outputs(u64 levels);
    void wait(u32 seen, u64 until);
    void pause_with(Pause p);

    KvmLike& accelerator_;
    const cpu::VcpuOptions options_;
    const isa::Guest& guest_;
    const isa::System& system_;
    memory::AddressSpace &space_, &secure_;
    hypervisor::Processor processor_;
    NoCode no_code_;
    cpu::MachineMemory memory_; // as a debugger sees it
    // The copy of the registers, and what it was when somebody last had a right to write.
    std::size_t bytes_;
    std::unique_ptr<u8, void (*)(void*)> home_;
    ir::CpuHeader* copy_ = nullptr;
    std::vector<u8> remembered_;
    bool known_ = true, written_ = false; // the copy is up to date; it has to be put back
    bool inside_ = false;                 // of its thread
    u64 outputs_ = 0;
    bool outputs_known_ = true;
    u64 resumed_at_ = ~u64{0}; // a breakpoint that it paused at

    cpu::Event event_;
    std::atomic<bool> running_{false}, powered_{true}, quit_{false}, attention_{false}, step_{false};
    std::atomic<Pause> pause_{Pause::none};
    std::mutex mutex_; // of what follows
    std::condition_variable changed_;
    bool idle_ = true;
    std::deque<const std::function<void(ir::CpuHeader&)>*> jobs_;
    std::atomic<std::thread::id> id_; // of the thread, by its own word
    std::thread thread_;
};

// ---- memory as slots

Result<std::unique_ptr<cpu::Vcpu>> KvmLike::make_vcpu(const cpu::VcpuOptions& o) {
    if (o.secure_memory)
        return Error::unsupported("processors that see secure memory do not run here, expected a board without");
    auto c = std::make_unique<KvmLikeCpu>(*this, o);
    memory::AddressSpace& space = o.memory ? *o.memory : *options.memory;
    TRY(follow(space, false));
    TRY(follow(o.secure_memory ? *o.secure_memory : space, true));
    std::lock_guard lock(cpus_mutex_);
    cpus_.push_back(c.get());
    return std::unique_ptr<cpu::Vcpu>(std::move(c));
}

Result<void> KvmLike::follow(memory::AddressSpace& space, bool secure) {
    {
        std::lock_guard lock(mutex_);
        if (spaces_[secure] == &space) return {};
        if (spaces_[secure]) return Error::unsupported("processors see different memory, expected the same for all");
        spaces_[secure] = &space;
        if (spaces_[!secure] != &space) space.add(*this);
    }
    topology_changed(space);
    return {};
}

void KvmLike::ask_all_out() {
    std::lock_guard lock(cpus_mutex_);
    for (KvmLikeCpu* c : cpus_) c->ask_out();
}

// RAM, ROM, and flash in array mode.
void KvmLike::add_slots(memory::AddressSpace& space, bool secure, std::vector<hypervisor::Slot>& out) {
    constexpr u64 page = memory::RamBlock::page_size;
    for (u64 at = 0, next = 0;; at = next) {
        const memory::Place p = space.find(at);
        next = at + p.left;
        if (p.block && (at | p.left | p.offset) % page == 0) // others come out access by access
            out.push_back({.address = at,
                           .bytes = p.left,
                           .block = p.block,
                           .offset = p.offset,
                           .read_only = p.kind == memory::Place::Kind::rom,
                           .secure = secure,
                           .log = logs_});
        if (next <= at) return; // the end of all addresses
    }
}

// Slots that stay are not touched. What the log of one that goes has is kept.
void KvmLike::topology_changed(memory::AddressSpace& space) {
    std::lock_guard lock(mutex_);
    std::vector<hypervisor::Slot> wanted;
    for (bool secure : {false, true})
        if (spaces_[secure] == &space) add_slots(space, secure, wanted);
    gate.hold([this] { ask_all_out(); });
    for (auto it = slots_.begin(); it != slots_.end();) {
        auto same = std::find(wanted.begin(), wanted.end(), it->second);
        const bool ours = spaces_[it->second.secure] == &space;
        if (same != wanted.end()) wanted.erase(same);
        if (!ours || same != wanted.end()) {
            ++it;
            continue;
        }
        to_flags(it->first, it->second);
        machine->set_slot(it->first, {});
        it = slots_.erase(it);
    }
    for (const hypervisor::Slot& s : wanted) {
        u32 number = 0;
        while (slots_.contains(number)) ++number;
        machine->set_slot(number, s);
        slots_[number] = s;
        ++seen.slots_set;
    }
    gate.release();
}

void KvmLike::to_flags(u32 number, const hypervisor::Slot& slot) {
    if (!slot.log) return;
    const std::vector<u8> pages = machine->take_log(number);
    for (u64 n = 0; n < pages.size(); ++n)
        if (pages[n]) {
            slot.block->note_write(slot.offset + n * memory::RamBlock::page_size, 1);
            ++seen.logged_pages;
        }
}

// Nothing is logged before somebody asks; what was written until then counts as all.
void KvmLike::collect_writes() {
    std::lock_guard lock(mutex_);
    if (logs_) {
        for (const auto& [number, slot] : slots_) to_flags(number, slot);
        return;
    }
    logs_ = true;
    gate.hold([this] { ask_all_out(); });
    for (auto& [number, slot] : slots_) {
        slot.log = true;
        machine->set_slot(number, slot);
        slot.block->note_write(slot.offset, slot.bytes);
    }
    gate.release();
}

// ---- registers

// From the processor, once each time that it was inside.
ir::CpuHeader& KvmLikeCpu::fetched() {
    if (inside_ || (!idle_ && !on_thread())) {
        accelerator_.seen.broke(fmt::format("registers of processor {} are asked for while it runs", index()));
        return *copy_;
    }
    if (known_) return *copy_;
    hypervisor::write_registers(guest_, *copy_, processor_.registers());
    copy_->lines = processor_.lines();
    known_ = true;
    ++accelerator_.seen.fetches;
    remember();
    return *copy_;
}

// Before it goes in.
void KvmLikeCpu::put() {
    check_written();
    if (std::exchange(written_, false)) {
        processor_.set_registers(hypervisor::read_registers(guest_, *copy_));
        outputs_known_ = false;
        ++accelerator_.seen.puts;
    }
}

void KvmLikeCpu::remember() {
    const u8* slots = home_.get() + ir::slots_offset;
    remembered_.assign(slots, slots + guest_.state().bytes);
    const u8* pc = reinterpret_cast<const u8*>(&copy_->pc);
    remembered_.insert(remembered_.end(), pc, pc + sizeof copy_->pc);
}

void KvmLikeCpu::check_written() {
    if (!known_) return;
    const std::vector<u8> before = std::exchange(remembered_, {});
    remember();
    if (before != remembered_)
        accelerator_.seen.broke(fmt::format("registers of processor {} were written without a word", index()));
}

bool KvmLikeCpu::read_register(std::string_view name, u64& value) {
    if (name == "pc") return value = fetched().pc, true;
    const u32 n = guest_.find_register(name);
    if (n == isa::Guest::no_register || guest_.registers()[n].bytes > 8) return false;
    value = 0;
    guest_.read_register(fetched(), n, reinterpret_cast<u8*>(&value));
    return true;
}

bool KvmLikeCpu::write_register(std::string_view name, u64 value) {
    if (name == "pc") return set_pc(value), true;
    const u32 n = guest_.find_register(name);
    if (n == isa::Guest::no_register || guest_.registers()[n].bytes > 8) return false;
    guest_.write_register(fetched(), n, reinterpret_cast<const u8*>(&value));
    registers_written();
    return true;
}

// ---- from other threads

void KvmLikeCpu::start() {
    std::lock_guard lock(mutex_);
    pause_ = Pause::none;
    running_ = true;
    idle_ = false;
    if (!thread_.joinable()) thread_ = std::thread([this] { thread(); });
    changed_.notify_all();
}

void KvmLikeCpu::stop() {
    running_ = false;
    wake();
    std::lock_guard lock(mutex_);
    changed_.notify_all();
}

void KvmLikeCpu::run_inside(const std::function<void(ir::CpuHeader&)>& f) {
    std::unique_lock lock(mutex_);
    if (idle_ && !running_) return f(fetched());
    if (on_thread()) return lock.unlock(), f(fetched());
    jobs_.push_back(&f);
    wake();
    changed_.notify_all();
    changed_.wait(lock, [&] { return std::find(jobs_.begin(), jobs_.end(), &f) == jobs_.end(); });
}

// ---- the thread

void KvmLikeCpu::run_jobs(std::unique_lock<std::mutex>& lock) {
    while (!jobs_.empty()) {
        auto* f = jobs_.front();
        lock.unlock();
        (*f)(fetched());
        lock.lock();
        jobs_.pop_front();
        changed_.notify_all();
    }
}

bool KvmLikeCpu::attend() {
    std::unique_lock lock(mutex_);
    for (;;) {
        run_jobs(lock);
        if (quit_) return false;
        if (running_ && powered_) return true;
        if (!running_ && !idle_) {
            idle_ = true;
            changed_.notify_all();
        }
        changed_.wait(lock);
    }
}

void KvmLikeCpu::thread() {
    id_ = std::this_thread::get_id();
    for (;;) {
        // Registers are whole behind an instruction only: one that it came out of is finished first.
        if (!processor_.is_between() && (attention_.exchange(false) || !running_) && !attend()) return;
        turn();
    }
}

void KvmLikeCpu::turn() {
    processor_.forget_ask();
    if (attention_) processor_.ask_out(); // what is under way is finished
    const bool between = processor_.is_between();
    if (!between) put();
    const bool pass = known_ && std::exchange(resumed_at_, ~u64{0}) == copy_->pc;
    known_ = false;
    const u32 seen = event_.now(); // what happens from now on ends a wait
    accelerator_.gate.enter();
    inside_ = true;
    const Exit e = processor_.run({.single_step = step_, .pass_breakpoint = pass});
    inside_ = false;
    accelerator_.gate.leave();
    outputs(e.outputs);
    handle(e, seen);
}

void KvmLikeCpu::handle(Exit e, u32 seen) {
    switch (e.kind) {
    case Exit::Kind::asked:
    case Exit::Kind::outputs: return;
    case Exit::Kind::access: access(e); return;
    case Exit::Kind::halt:
        ++accelerator_.seen.halts;
        if (!attention_) wait(seen, e.until);
        return;
    case Exit::Kind::board: board(e); return;
    case Exit::Kind::host_call:
        e.outcome = accelerator_.options.host->call(*this, e.call, e.result);
        put();
        processor_.answer(e);
        if (e.outcome == cpu::HostPort::Outcome::blocked && !attention_) event_.wait(seen, 10'000'000);
        return;
    case Exit::Kind::breakpoint: pause_with(Pause::breakpoint); return;
    case Exit::Kind::step:
        if (running_) pause_with(Pause::step);
        return;
    }
}

// A value goes out or comes in; the registers stay where they are.
void KvmLikeCpu::access(Exit& e) {
    ++accelerator_.seen.accesses;
    memory::AddressSpace& space = e.secure ? secure_ : space_;
    memory::Attributes how{.processor = u16(index()), .secure = e.secure, .can_wait = true};
    memory::Outcome o = memory::Outcome::wait;
    while (o == memory::Outcome::wait) {
        const u32 seen = event_.now();
        how.can_wait = !attention_; // its instruction must end before it can stand still
        o = e.write ? space.write_value(e.address, e.bytes, e.value, how)
                    : space.read_value(e.address, e.bytes, e.value, how);
        if (o == memory::Outcome::wait && !attention_) event_.wait(seen, 100'000);
    }
    e.refused = o != memory::Outcome::ok;
    processor_.answer(e);
}

// The port may look at registers and change them.
void KvmLikeCpu::board(Exit& e) {
    cpu::BoardPort* port = accelerator_.options.port;
    e.known = port && (e.request.kind == isa::BoardRequest::Kind::call ? port->call(*this, e.request)
                                                                       : port->access_register(*this, e.request));
    put();
    processor_.answer(e);
}

void KvmLikeCpu::outputs(u64 levels) {
    cpu::BoardPort* port = accelerator_.options.port;
    if (!port) return;
    u64 changed = levels ^ outputs_;
    if (!std::exchange(outputs_known_, true)) changed = (u64{1} << system_.outputs().size()) - 1;
    outputs_ = levels;
    for (; changed; changed &= changed - 1) {
        const u32 n = u32(std::countr_zero(changed));
        port->output(*this, n, levels >> n & 1);
    }
}

void KvmLikeCpu::wait(u32 seen, u64 until) {
    cpu::Clock* clock = accelerator_.options.clock;
    const u64 now = clock ? clock->now() : 0;
    if (until == ~u64{0}) return event_.wait(seen);
    if (until > now) event_.wait(seen, until - now);
}

void KvmLikeCpu::pause_with(Pause p) {
    resumed_at_ = p == Pause::breakpoint ? fetched().pc : ~u64{0};
    pause_ = p;
    running_ = false;
    if (accelerator_.options.on_pause) accelerator_.options.on_pause(*this, p);
}

} // namespace

Result<std::unique_ptr<cpu::Accelerator>> make(cpu::AcceleratorOptions options, Seen& seen) {
    if (options.counted) return Error::unsupported("instructions are not counted here, expected it without -icount");
    auto machine = TRY(hypervisor::Machine::create({.guest = options.guest,
                                                    .clock = options.clock,
                                                    .random = options.random,
                                                    .host_calls = options.host != nullptr}));
    return std::unique_ptr<cpu::Accelerator>(std::make_unique<KvmLike>(std::move(options), std::move(machine), seen));
}

} // namespace mimic::like_kvm
