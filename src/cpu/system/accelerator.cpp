#include "cpu/system/machine.hpp"
#include "cpu/system/qtest.hpp"
#include <algorithm>
#include <cstring>
#include <fmt/core.h>

namespace mimic::cpu {

// ---- timers

TimerKeeper::~TimerKeeper() {
    quit_ = true;
    event_.signal();
    if (thread_.joinable()) thread_.join();
}

void TimerKeeper::add(MachineCpu& cpu) {
    std::lock_guard lock(mutex_);
    cpus_.push_back(&cpu);
}
void TimerKeeper::remove(MachineCpu& cpu) {
    std::lock_guard lock(mutex_);
    std::erase(cpus_, &cpu);
}

void TimerKeeper::changed(u64 deadline) {
    if (!clock_ || deadline >= looks_at_) return;
    {
        std::lock_guard lock(mutex_);
        if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
    }
    event_.signal();
}

void TimerKeeper::run() {
    for (;;) {
        u32 seen = event_.now(); // before quit_ is looked at, whose setting signals
        if (quit_) return;
        looks_at_ = ~u64{0}; // whoever changes a deadline that was looked at already says so
        u64 now = clock_->now(), next = ~u64{0};
        {
            std::lock_guard lock(mutex_);
            for (MachineCpu* c : cpus_) {
                u64 at = c->deadline().load();
                if (at <= now) {
                    c->deadline().compare_exchange_strong(at, ~u64{0});
                    c->wake();
                } else {
                    next = std::min(next, at);
                }
            }
        }
        looks_at_ = next;
        event_.wait(seen, next == ~u64{0} ? next : next - now);
    }
}

// ---- the accelerator

MachineAccelerator::MachineAccelerator(std::string_view name, AcceleratorOptions options)
    : name_(name)
    , options_(std::move(options))
    , log_(options_.translation.log)
    , timers_(options_.clock)
    , counted_(options_.counted ? std::make_unique<CountedThread>(*options_.counted) : nullptr) {}

MachineAccelerator::~MachineAccelerator() {
    counted_.reset();
    for (memory::RamBlock* b : blocks_) b->on_code_write = nullptr;
    for (memory::AddressSpace* s : spaces_) s->remove(*this);
}

Result<std::unique_ptr<Accelerator>> MachineAccelerator::create(std::string_view name, AcceleratorOptions options) {
    if (!options.guest || !options.guest->system())
        return Error::unsupported("guest {} has no privileged architecture here: it runs programs only",
                                  options.guest ? options.guest->name() : "?");
    auto a = std::unique_ptr<MachineAccelerator>(new MachineAccelerator(name, std::move(options)));
    Options o = a->options_.translation;
    o.accel = name == "interp" ? Accel::interp : Accel::jit;
    o.paged = true;
    o.interpret_first = true;
    o.guest_base = 0;
    o.counted = a->options_.counted;
    if (o.counted && o.verify)
        return Error::unsupported("verify=on counts no instructions, expected it without -icount");
    a->space_ = TRY(CodeSpace::create(*a->options_.guest, *a, o));
    return std::unique_ptr<Accelerator>(std::move(a));
}

Result<std::unique_ptr<Vcpu>> MachineAccelerator::make_vcpu(const VcpuOptions& options) {
    auto cpu = std::make_unique<MachineCpu>(*this, options);
    std::lock_guard lock(mutex_);
    for (memory::AddressSpace* space : {&cpu->address_space(), &cpu->secure_space()}) {
        if (std::find(spaces_.begin(), spaces_.end(), space) != spaces_.end()) continue;
        spaces_.push_back(space);
        space->add(*this);
    }
    cpus_.push_back(cpu.get());
    counted_ ? counted_->add(*cpu) : timers_.add(*cpu);
    return std::unique_ptr<Vcpu>(std::move(cpu));
}

void MachineAccelerator::remove(MachineCpu& cpu) {
    counted_ ? counted_->remove(cpu) : timers_.remove(cpu);
    std::lock_guard lock(mutex_);
    std::erase(cpus_, &cpu);
}

// Processors are neither made nor removed while one runs, so nobody holds the lock while code is entered.
bool MachineAccelerator::flush_others(MachineCpu& from, const isa::Effects& f) {
    std::lock_guard lock(mutex_);
    bool done = true;
    for (MachineCpu* c : cpus_) {
        if (c == &from) continue;
        c->ask_flush(f);
        done &= !c->owes_flush();
    }
    return done;
}
void MachineAccelerator::settle_flushes(MachineCpu& from) {
    std::vector<MachineCpu*> owing;
    {
        std::lock_guard lock(mutex_);
        for (MachineCpu* c : cpus_)
            if (c != &from && c->owes_flush()) owing.push_back(c);
    }
    for (MachineCpu* c : owing)
        while (c->owes_flush()) {
            from.serve();
            std::this_thread::yield();
        }
}

std::string MachineAccelerator::statistics() const {
    CodeSpace::Counters c = space_->counters();
    std::string count;
    if (counted_)
        count = fmt::format("instructions {}\ntime {} ns\n", counted_->clock().count(), counted_->clock().now());
    return count + fmt::format("units {}\nguest instructions translated {}\nbytes of code {}\nregions given up {}\n"
                               "units left to the interpreter {}\n",
                               c.units, c.guest_insns, c.code_bytes, c.evictions, c.refused);
}

// ---- code

u32 MachineAccelerator::fetch(u64 place, u8* out, u32 max) {
    std::memcpy(out, reinterpret_cast<const u8*>(place), max); // the caller stays inside a page that was located
    return max;
}

void MachineAccelerator::watch_block(memory::RamBlock& block) {
    u32 n = block_count_.load(std::memory_order_acquire);
    for (u32 k = 0; k < n; ++k)
        if (blocks_[k] == &block) return;
    std::lock_guard lock(mutex_);
    if (std::find(blocks_.begin(), blocks_.end(), &block) != blocks_.end()) return;
    if (blocks_.empty()) blocks_.reserve(256); // readers walk it without the lock
    if (blocks_.size() == blocks_.capacity()) return;
    // Nobody calls it before the first page is watched, which is later.
    block.on_code_write = [this](memory::RamBlock& b, u64 offset, u64 bytes) {
        space_->invalidate(u64(b.host()) + offset, u64(b.host()) + offset + bytes);
    };
    blocks_.push_back(&block);
    block_count_.store(u32(blocks_.size()), std::memory_order_release);
}

memory::RamBlock* MachineAccelerator::block_of(u64 place, u64& offset) {
    for (u32 k = 0, n = block_count_.load(std::memory_order_acquire); k < n; ++k) {
        offset = place - u64(blocks_[k]->host());
        if (offset < blocks_[k]->size()) return blocks_[k];
    }
    return nullptr;
}

// The flag first, then the TLBs that may hold a right to write; see MachineMemory::fill.
Watch MachineAccelerator::protect_code(u64 place, bool) {
    u64 offset;
    memory::RamBlock* b = block_of(place, offset);
    if (!b || (b->flags(offset).load(std::memory_order_relaxed) & memory::RamBlock::code)) return Watch::as_before;
    b->watch(offset, memory::RamBlock::code);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    u8 old = b->flags(offset).fetch_and(u8(~MachineMemory::written_by_tlb), std::memory_order_seq_cst);
    if (!(old & MachineMemory::written_by_tlb)) return Watch::anew; // devices and debuggers write without
    u64 host = u64(b->host()) + (offset & ~(Tlb::page - 1));
    std::lock_guard lock(mutex_);
    for (MachineCpu* c : cpus_) c->memory().tlb().drop_writes(host);
    return Watch::from_now;
}

void MachineAccelerator::release_code(u64 place) {
    u64 offset;
    if (memory::RamBlock* b = block_of(place, offset))
        b->flags(offset).fetch_and(u8(~memory::RamBlock::code), std::memory_order_seq_cst);
}

void MachineAccelerator::settle() { space_->settle(); }

// ---- what lies where

// Host addresses stay what they are; guest addresses do not. The calling vCPU's own TLB goes at once, others' before they
// next enter code.
void MachineAccelerator::topology_changed(memory::AddressSpace& space) {
    std::lock_guard lock(mutex_);
    for (MachineCpu* c : cpus_)
        if (&c->address_space() == &space || &c->secure_space() == &space) c->forget_mappings();
}

Result<std::unique_ptr<Accelerator>> make_accelerator(std::string_view name, AcceleratorOptions options) {
    if (name == "tcg") name = "jit";
    if (name == "jit" || name == "interp") return MachineAccelerator::create(name, std::move(options));
    if (name == "qtest") return make_qtest_accelerator(std::move(options));
    return Error::invalid_argument("accelerator '{}' is unknown, expected jit (tcg), interp or qtest", name);
}

} // namespace mimic::cpu
