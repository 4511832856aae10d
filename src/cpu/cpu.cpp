#include "cpu/cpu.hpp"
#include "base/check.hpp"
#include "cpu/space.hpp"
#include <algorithm>
#include <asm/prctl.h>
#include <cstring>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>

namespace mimic::cpu {

using ir::ExitKind;

Cpu::Cpu(CodeSpace& space, ir::Access& access) : space_(space.impl()), state_(space_.guest.state()) {
    bytes_ = ir::slots_offset + state_.bytes + (space_.backend ? space_.backend->host_area() : 0);
    bytes_ = (bytes_ + 4095) & ~u64{4095};
    // Mapped, not allocated: zeroed on use, and most of the jump cache is never touched.
    void* p = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MIMIC_CHECK(p != MAP_FAILED, "no memory for the state of a vCPU");
    header_ = new (p) ir::CpuHeader;
    header_->owner = this;
    header_->access = &access;
    constexpr u64 hwcap2_fsgsbase = 2;
    gs_instructions_ = getauxval(AT_HWCAP2) & hwcap2_fsgsbase;
    if (space_.backend) space_.backend->init(header_);
    std::lock_guard lock(space_.mutex);
    space_.cpus.push_back(this);
}

Cpu::~Cpu() {
    {
        std::lock_guard lock(space_.mutex);
        std::erase(space_.cpus, this);
    }
    munmap(header_, bytes_);
}

void Cpu::copy_state(const Cpu& from) {
    std::memcpy(ir::home(header_, state_.slots[0]) - state_.slots[0].offset,
                reinterpret_cast<u8*>(from.header_) + ir::slots_offset, state_.bytes);
    header_->fp = from.header_->fp;
    header_->pc = from.header_->pc;
    header_->mode = from.header_->mode;
}

// Generated code reaches guest memory through GS. The kernel says whether programs may read and write its base (Linux
// x86/x86_64/fsgs.rst); without the instructions, one system call an entry finds out that the thread is the same.
void Cpu::bind_thread() {
    u64 base = space_.options.guest_base;
    if (gs_instructions_) {
        u64 now;
        asm volatile("rdgsbase %0" : "=r"(now));
        if (now != base) asm volatile("wrgsbase %0" : : "r"(base));
        return;
    }
    long tid = process::raw_syscall(SYS_gettid);
    if (tid == thread_) return;
    thread_ = tid;
    process::raw_syscall(SYS_arch_prctl, ARCH_SET_GS, base);
}

void Cpu::run() {
    if (space_.backend)
        run_jit();
    else
        run_interpreter();
}

void Cpu::run_unit() {
    bind_thread();
    std::unique_lock lock(space_.mutex, std::defer_lock);
    Node* n = space_.entry(header_->pc, header_->mode, lock);
    while (!n) {
        space_.flush(lock);
        n = space_.entry(header_->pc, header_->mode, lock);
    }
    if (lock.owns_lock()) lock.unlock();
    header_->host_pc = 0;
    header_->poll = 1;
    if (n->code)
        space_.backend->enter(header_, n->code);
    else
        interpreter_.run(*n->translation->unit, state_, *header_, *header_->access);
    header_->poll = 0;
    if (header_->exit_kind == ExitKind::fault && header_->host_pc) resolve_fault();
}

void Cpu::run_interpreter() {
    for (;;) {
        if (__atomic_load_n(&header_->poll, __ATOMIC_RELAXED) && !clear_internal()) {
            header_->exit_kind = ExitKind::poll;
            return;
        }
        std::unique_lock lock(space_.mutex, std::defer_lock);
        Node* n = space_.entry(header_->pc, header_->mode, lock);
        Translation* t = n->translation;
        if (lock.owns_lock()) lock.unlock();
        interpreter_.run(*t->unit, state_, *header_, *header_->access);
        if (header_->exit_kind != ExitKind::link && header_->exit_kind != ExitKind::lookup &&
            !(header_->exit_kind == ExitKind::poll && clear_internal()))
            return;
    }
}

// Was the poll for the code space's sake alone? Then the guest's own reason is none.
bool Cpu::clear_internal() {
    if (!internal_.exchange(false)) return false;
    // A kick that came meanwhile left its mark in external_.
    __atomic_store_n(&header_->poll, external_.load() ? 1u : 0u, __ATOMIC_SEQ_CST);
    return !external_.load();
}

void Cpu::run_jit() {
    CodeSpace::Impl& s = space_;
    bind_thread();
    u64* word = nullptr;
    for (;;) {
        if (__atomic_load_n(&header_->poll, __ATOMIC_RELAXED) && !clear_internal()) {
            header_->exit_kind = ExitKind::poll;
            return;
        }
        std::unique_lock lock(s.mutex, std::defer_lock);
        Node* n = s.entry(header_->pc, header_->mode, lock);
        while (!n) {
            s.flush(lock);
            word = nullptr;
            n = s.entry(header_->pc, header_->mode, lock);
        }
        if (word && n->code) s.follow_link(word, lock);
        word = nullptr;
        // Announced before the flag is looked at: a flush either sees us or we see it.
        s.inside.fetch_add(1);
        if (s.flushing.load() || (!lock.owns_lock() && !n->valid.load())) {
            leave();
            if (!lock.owns_lock()) lock.lock();
            s.outside.wait(lock, [&] { return !s.flushing.load(); });
            continue;
        }
        if (lock.owns_lock()) lock.unlock();
        if (stale_.exchange(false)) s.backend->clear_jumps(header_);
        header_->host_pc = 0;
        if (n->code) {
            s.backend->set_jump(header_, header_->pc, n->code);
            s.backend->enter(header_, n->code);
        } else {
            interpreter_.run(*n->translation->unit, state_, *header_, *header_->access);
        }
        if (header_->exit_kind == ExitKind::fault && header_->host_pc) resolve_fault();
        leave();
        switch (header_->exit_kind) {
        case ExitKind::link:
            if (n->code) word = reinterpret_cast<u64*>(header_->exit_arg);
            break;
        case ExitKind::lookup: break;
        case ExitKind::poll:
            if (!clear_internal()) return;
            break;
        default: return;
        }
    }
}

void Cpu::leave() {
    if (space_.inside.fetch_sub(1) == 1 && space_.flushing.load()) {
        std::lock_guard lock(space_.mutex);
        space_.outside.notify_all();
    }
}

// From the host pc of a fault to the guest instruction.
void Cpu::resolve_fault() {
    CodeSpace::Impl& s = space_;
    std::lock_guard lock(s.mutex);
    Translation* t = s.containing(header_->host_pc);
    MIMIC_CHECK(t, "a fault in translated code that no unit owns");
    u32 offset = u32(header_->host_pc - u64(t->code));
    auto it = std::upper_bound(t->faults.begin(), t->faults.end(), offset,
                               [](u32 o, const jit::Emitted::Fault& f) { return o < f.offset; });
    MIMIC_CHECK(it != t->faults.begin(), "a fault at an instruction that may not fault");
    header_->pc = std::prev(it)->pc;
    header_->mode = t->mode;
    header_->fault_address -= s.options.guest_base;
    if (!header_->fault_unknown) return;
    // The instruction again, by the interpreter: its fault, or whatever it does now, has all that the guest sees.
    isa::Fetch fetch = [&s](u64 at, std::span<u8> out) { return s.source.fetch(at, out.data(), u32(out.size())); };
    ir::Unit& unit = s.single.translate(header_->pc, {t->mode, ir::flavour::one_insn}, fetch, {.one_insn = true});
    interpreter_.run(unit, state_, *header_, *header_->access);
}

} // namespace mimic::cpu
