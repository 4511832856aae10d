#include "cpu/cpu.hpp"
#include "base/check.hpp"
#include "cpu/space.hpp"
#include "cpu/verify.hpp"
#include "jit/tlb.hpp"
#include <algorithm>
#include <asm/prctl.h>
#include <cstring>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>

namespace mimic::cpu {

using ir::ExitKind;

Cpu::Cpu(CodeSpace& space, ir::Access& access, CodeMap* map)
    : space_(space.impl())
    , map_(map)
    , state_(space_.guest.state())
    , debug_mode_(space_.debug_mode) {
    bytes_ = ir::slots_offset + state_.bytes + (space_.backend ? space_.backend->host_area() : 0);
    bytes_ = (bytes_ + 4095) & ~u64{4095};
    // Mapped, not allocated: zeroed on use, and most of the jump cache is never touched.
    void* p = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MIMIC_CHECK(p != MAP_FAILED, "no memory for the state of a vCPU");
    header_ = new (p) ir::CpuHeader;
    header_->owner = this;
    header_->access = &access;
    header_->fp_traps = true; // a thread that blocks SIGFPE says so
    constexpr u64 hwcap2_fsgsbase = 2;
    gs_instructions_ = getauxval(AT_HWCAP2) & hwcap2_fsgsbase;
    header_->poll = space_.stepwise;
    if (space_.backend) space_.backend->init(header_);
    if (space_.backend && map_) {
        map_->show(space_.backend->tlb_views(header_));
        space_.backend->use_jumps(header_, map_->no_jumps());
    }
    if (space_.options.verify) {
        verifier_ = std::make_unique<Verifier>(state_, space_.guest.vector_bytes(), access);
        header_->access = &verifier_->logging();
        verifier_->begin(*header_); // the interpreter alone may run first
    }
    if (space_.interprets_first) kept_ = std::make_unique<KeptBlocks>();
    std::lock_guard lock(space_.mutex);
    space_.cpus.push_back(this);
}

Cpu::~Cpu() {
    {
        std::lock_guard lock(space_.mutex);
        tell_counts(space_.counters);
        std::erase(space_.cpus, this);
        // A child that borrowed this memory may have been killed in translated code; others need not wait for it any more.
        if (inside_.load(std::memory_order_seq_cst) != 0) space_.outside.notify_all();
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

namespace {
// What the calling thread's GS was set to, where the host can't tell quickly. A child goes on with both.
constinit thread_local u64 gs_base = ~u64{0};
} // namespace

// Generated code reaches guest memory through GS. The kernel says whether programs may read and write its base (Linux
// x86/x86_64/fsgs.rst); without the instructions, it is set by a system call. A machine's code has a TLB in its place.
void Cpu::bind_thread() {
    if (map_) return;
    u64 base = space_.options.guest_base;
    if (gs_instructions_) {
        u64 now;
        asm volatile("rdgsbase %0" : "=r"(now));
        if (now != base) asm volatile("wrgsbase %0" : : "r"(base));
        return;
    }
    if (gs_base == base) return;
    process::raw_syscall(SYS_arch_prctl, ARCH_SET_GS, base);
    gs_base = base;
}

// ---- requests to leave

// Loops of indirect branches do not poll: without the jump cache they come back to C++. Async-signal-safe.
void Cpu::request(Request r) {
    poll(r);
    if (!space_.backend) return;
    if (map_)
        space_.backend->use_jumps(header_, map_->no_jumps());
    else if (inside_.load(std::memory_order_seq_cst))
        space_.backend->clear_jumps(header_);
}

void Cpu::poll(Request r) {
    requests_.fetch_or(r, std::memory_order_seq_cst);
    __atomic_store_n(&header_->poll, 1u, __ATOMIC_SEQ_CST);
}

// Unit by unit, poll is always set: loops leave at each turn.
bool Cpu::done(u32 which) {
    requests_.fetch_and(~which, std::memory_order_seq_cst);
    __atomic_store_n(&header_->poll, u32(space_.stepwise), __ATOMIC_SEQ_CST);
    // A request that came meanwhile counts.
    bool none = requests_.load(std::memory_order_seq_cst) == 0;
    if (!none) __atomic_store_n(&header_->poll, 1u, __ATOMIC_SEQ_CST);
    return none;
}

// ---- running

Cpu::Next Cpu::enter_unit(Node*& unit, bool interpret) {
    at_breakpoint_ = has_breakpoint();
    if (at_breakpoint_ || ((header_->mode & debug_mode_) && stops_at(header_->pc))) {
        leave_unit();
        header_->exit_kind = ExitKind::poll;
        return Next::left;
    }
    u64 place = header_->pc, second = 0;
    if (map_ && !map_->locate(*header_, header_->pc, place)) return no_code();
    if (interpret_only_ || rest_) return leave_unit(), Next::first;
    const u64 pc = space_.pc_in_unit(header_->pc);
    header_->code_base = header_->pc - pc;
    for (;;) {
        u64 epoch = space_.epoch.load(std::memory_order_seq_cst);
        if (inside_.load(std::memory_order_relaxed) != epoch) inside_.store(epoch, std::memory_order_seq_cst);
        Node* n = space_.find(header_->mode, place);
        if (n && n->second && second) n = space_.find(header_->mode, place, second);
        if (n && (n->second == 0 || n->second == second)) return unit = n, Next::unit;
        leave_unit();
        if (!n && interpret) {
            using enum CodeSpace::Impl::Met;
            if (space_.looks_in_store(place)) {
                const auto stored = space_.take_stored(pc, header_->mode);
                if (stored == CodeSpace::Impl::Stored::taken) continue;
                if (stored == CodeSpace::Impl::Stored::ran) {
                    space_.met.add(place);
                    space_.provide(pc, header_->mode, place, 0, 0, CodeSpace::Impl::Extent::ran);
                    continue;
                }
            }
            const auto met = space_.meet(place, kept());
            if (met != often) return met == first ? Next::first : Next::again;
        }
        if (!n && space_.provide(pc, header_->mode, place, second, header_->code_base)) continue;
        // The instruction reaches into the next page.
        if (!map_->locate(*header_, header_->code_base + ir::code_page, second)) return no_code();
    }
}

Cpu::Next Cpu::no_code() {
    leave_unit();
    header_->exit_kind = ExitKind::fault;
    header_->host_pc = 0;
    if (counted()) --header_->budget; // else a handler that is not there would go on for ever, in no time
    return Next::left;
}

bool Cpu::counted() const { return space_.options.counted; }

// What was paid for and not begun goes back.
void Cpu::settle_count() {
    if (!counted()) return;
    if (ir::is_exception(header_->exit_kind)) header_->budget += header_->behind;
    header_->behind = 0;
}

// The bits of the mode that tell how the pc was branched to have done their duty when this is true. Else it is an illegal
// instruction.
bool Cpu::may_enter() {
    u32 how = header_->mode & state_.entry_mode;
    if (how == 0) return true;
    CodeSpace::Impl& s = space_;
    u8 code[64];
    u32 bytes = 0;
    {
        std::lock_guard lock(s.mutex);
        if (s.source.guarded(header_->pc)) bytes = s.source.fetch(header_->pc, code, sizeof code);
    }
    if (bytes != 0 && !s.guest.may_enter({code, bytes}, header_->pc, how)) {
        leave_unit();
        header_->exit_kind = ExitKind::trap;
        header_->exit_arg = u32(ir::TrapKind::illegal);
        header_->fault_address = 0;
        return false;
    }
    header_->mode &= ~state_.entry_mode;
    return true;
}

void Cpu::leave_unit() {
    if (inside_.load(std::memory_order_relaxed) == 0) return;
    inside_.store(0, std::memory_order_seq_cst);
    if (space_.waiting.load(std::memory_order_seq_cst) == 0) return;
    std::lock_guard lock(space_.mutex);
    space_.outside.notify_all();
}

// Makes indirect branches find the unit, those that come with this mode. False: it was dropped meanwhile, or somebody wants us.
bool Cpu::jump_to(Node& n, u32 mode) {
    bool has_key = i64(n.pc << 16) >> 16 == i64(n.pc);
    if (has_key) space_.backend->set_jump(header_, jit::jump_key(n.pc, mode), n.code);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (n.valid.load(std::memory_order_seq_cst) && !wanted()) return true;
    space_.backend->clear_jump(header_, n.pc);
    return false;
}

// The same for a machine's code: by the table of the present mode and mapping. Only what code has just looked for there: most
// places that are entered (behind instructions that left) never are, and would take the entries of those that are.
bool Cpu::jump_to_paged(Node& n) {
    jit::JumpEntry* table = map_->jumps(*header_);
    space_.backend->use_jumps(header_, table);
    if (header_->exit_kind == ExitKind::lookup) map_->add_jump(table, header_->pc, n.code, n.second != 0);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!n.valid.load(std::memory_order_seq_cst)) return map_->forget_jump(n.pc), false;
    return !wanted();
}

void Cpu::execute(Node& n) {
    header_->host_pc = 0;
    if (n.code)
        space_.backend->enter(header_, n.code);
    else
        interpreter_.run(*n.translation->own->unit, state_, *header_, *header_->access);
    settle_count();
}

// What stands at pc, for the interpreter, made of the bytes that `seen` then has; nothing of it is watched or dropped. Null:
// no code can be fetched there, and the vCPU has left.
ir::Unit* Cpu::translate_once(bool one_insn, Snapshot* seen) {
    CodeSpace::Impl& s = space_;
    if (!first_) first_ = std::make_unique<isa::Translator>(s.guest);
    Translation t;
    t.place = header_->pc;
    t.pc = s.pc_in_unit(header_->pc);
    header_->code_base = header_->pc - t.pc;
    for (;;) {
        u64 next = header_->code_base + ir::code_page;
        if (map_ && !map_->locate(*header_, t.second ? next : header_->pc, t.second ? t.second : t.place))
            return no_code(), nullptr;
        std::lock_guard lock(s.mutex);
        auto read = [&](u64 at, std::span<u8> out) {
            return map_ ? s.fetch_paged(t, at, out) : s.source.fetch(at, out.data(), u32(out.size()));
        };
        isa::Fetch fetch = [&](u64 at, std::span<u8> out) { return seen ? seen->fetch(at, out, read) : read(at, out); };
        isa::Limits limits = s.limits_at(t.pc, header_->mode, t.place);
        limits.blocks = 1;
        limits.one_insn |= one_insn || t.second;
        if (rest_) limits.insns = limits.met_insns = u32(header_->budget);
        u32 flavour = s.flavour_at(t.pc, t.place) | (one_insn ? ir::flavour::one_insn : 0);
        if (seen) seen->clear();
        ir::Unit& unit = first_->translate(t.pc, {header_->mode, flavour}, fetch, limits);
        if (!map_ || t.second || unit.guest_high != t.pc) return &unit;
        t.second = 1; // it reaches into the next page
    }
}

KeptBlock* Cpu::kept() { return kept_ ? kept_->find(header_->pc, header_->mode) : nullptr; }

// Would what stands at pc be translated to this again?
bool Cpu::is_current(const KeptBlock& b) {
    CodeSpace::Impl& s = space_;
    u64 place = header_->pc;
    if (map_ && !map_->locate(*header_, header_->pc, place)) return false;
    std::lock_guard lock(s.mutex);
    if (s.stops_in(b.unit.key.mode) || s.flavour_at(s.pc_in_unit(header_->pc), place) != b.unit.key.flavour)
        return false;
    u8 now[KeptBlock::most_bytes];
    return s.source.fetch(place, now, b.bytes) == b.bytes && std::equal(now, now + b.bytes, b.code);
}

// What is kept of the code at pc, or is from now on: what lies in one page has one place. Null: as of translate_once.
const ir::Unit* Cpu::take_kept() {
    KeptBlock* old = kept();
    if (old && is_current(*old)) return &old->unit;
    Snapshot& seen = kept_->seen;
    const ir::Unit* unit = translate_once(false, &seen);
    // Also for what can't be kept, which is translated then; not where there is no code.
    const bool any = unit && unit->guest_high != unit->pc;
    if (!old && any) space_.kept_left.fetch_sub(1, std::memory_order_relaxed);
    if (!any || unit->guest_low != unit->pc) return unit;
    const u64 bytes = unit->guest_high - unit->pc;
    const bool one_page = (unit->pc & ~(ir::code_page - 1)) == ((unit->guest_high - 1) & ~(ir::code_page - 1));
    u8 code[KeptBlock::most_bytes];
    if (bytes > sizeof code || !one_page || space_.stops_in(unit->key.mode) || !seen.read(unit->pc, {code, bytes}))
        return unit;
    KeptBlock& b = old ? *old : kept_->add(header_->pc);
    b.unit = *unit;
    b.bytes = u32(bytes);
    std::copy_n(code, bytes, b.code);
    return unit;
}

void Cpu::run_once(bool keep) {
    const ir::Unit* unit = keep ? take_kept() : translate_once(false);
    if (!unit) return;
    // Its stores may be under way when another vCPU settles pages; run() leaves.
    inside_.store(space_.epoch.load(std::memory_order_seq_cst), std::memory_order_seq_cst);
    header_->host_pc = 0;
    interpreter_.run(*unit, state_, *header_, *header_->access);
    settle_count();
    interpreted_.store(interpreted_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    interpreted_insns_.store(interpreted_insns_.load(std::memory_order_relaxed) + interpreter_.guest_insns(),
                             std::memory_order_relaxed);
}

void Cpu::run() {
    bind_thread();
    at_breakpoint_ = false;
    CodeSpace::Impl& s = space_;
    word_ = nullptr;
    rest_ = false;
    for (;;) {
        // Out before the request is done with: who made it may wait for that, and asks once.
        if (wanted()) leave_unit();
        if ((wanted() && !done(internal)) || (s.options.counted && header_->budget <= 0)) {
            leave_unit();
            header_->exit_kind = ExitKind::poll;
            return;
        }
        if (s.options.top_byte_ignored) header_->pc = u64(i64(header_->pc << 8) >> 8);
        u32 mode = header_->mode;
        if (!may_enter()) return;
        Node* n = nullptr;
        Next next = enter_unit(n, s.interprets_first);
        if (next == Next::left) return;
        if (next == Next::first || next == Next::again) {
            run_once(next == Next::again);
            rest_ = false;
            word_ = nullptr;
        } else if (s.stepwise) {
            step(*n);
        } else {
            if (word_ && n->code && s.follow_link(word_, *n)) {
                u64 place = n->place;
                leave_unit();
                s.make_whole(s.pc_in_unit(header_->pc), header_->mode, place, header_->code_base);
                continue;
            }
            word_ = nullptr;
            if (n->code && !(map_ ? jump_to_paged(*n) : jump_to(*n, mode))) {
                leave_unit();
                continue;
            }
            execute(*n);
        }
        if (header_->exit_kind == ExitKind::fault && header_->host_pc) explain_fault();
        bool code = n && n->code;
        // Unit by unit, staying inside saves time.
        if (!s.stepwise || ir::is_exception(header_->exit_kind) || wanted()) leave_unit();
        if (s.busy.load(std::memory_order_relaxed)) s.calm_down();
        switch (header_->exit_kind) {
        case ExitKind::link:
            if (code && !s.stepwise) word_ = reinterpret_cast<const u64*>(header_->exit_arg);
            break;
        case ExitKind::lookup: break;
        case ExitKind::poll: // the reason is looked at above, unless it is gone already
            if (!wanted()) done(0);
            break;
        case ExitKind::budget: rest_ = true; break;
        case ExitKind::trap:
            // A machine's flush of the instruction cache with nothing to look at; see CodeSpace::settle.
            if (map_ && ir::TrapKind(header_->exit_arg & 0xff) == ir::TrapKind::flush_code &&
                s.unsettled_count.load(std::memory_order_seq_cst) == 0)
                break;
            if (header_->exit_arg != u32(ir::TrapKind::stale_code)) return;
            s.unit_changed(header_->pc, header_->mode);
            break;
        default: return;
        }
    }
}

void Cpu::run_unit() {
    bind_thread();
    do {
        Node* n = nullptr;
        if (enter_unit(n, false) == Next::left) return;
        __atomic_store_n(&header_->poll, 1u, __ATOMIC_SEQ_CST);
        step(*n);
        done(0);
        if (header_->exit_kind == ExitKind::fault && header_->host_pc) explain_fault();
        leave_unit();
    } while (header_->exit_kind == ExitKind::trap && header_->exit_arg == u32(ir::TrapKind::stale_code));
}

void Cpu::step_instruction() {
    header_->host_pc = 0;
    if (space_.options.top_byte_ignored) header_->pc = u64(i64(header_->pc << 8) >> 8);
    if (!may_enter()) return;
    ir::Unit* unit = translate_once(true);
    if (!unit) return;
    inside_.store(space_.epoch.load(std::memory_order_seq_cst), std::memory_order_seq_cst);
    interpreter_.run(*unit, state_, *header_, *header_->access);
    settle_count();
    leave_unit();
}

// ---- faults in generated code

// From the host pc of a fault to the guest instruction.
Translation* Cpu::locate_fault() {
    CodeSpace::Impl& s = space_;
    std::lock_guard lock(s.mutex);
    Translation* t = s.containing(header_->host_pc);
    MIMIC_CHECK(t, "a fault in translated code that no unit owns");
    u32 offset = u32(header_->host_pc - u64(t->code));
    const jit::Emitted::Fault fault = t->fault_at(offset);
    header_->pc = header_->code_base + fault.pc;
    header_->mode = fault.mode;
    s.backend->settle(header_, fault.owed);
    header_->fault_address -= s.options.guest_base;
    return t;
}

// The host doesn't tell every address. The instruction again, by the interpreter: its fault, or whatever it does now, has
// all that the guest sees.
void Cpu::explain_fault() {
    CodeSpace::Impl& s = space_;
    Translation* t = s.options.verify ? nullptr : locate_fault();
    if (!header_->fault_unknown) return;
    std::lock_guard lock(s.mutex);
    isa::Fetch fetch = [&s](u64 at, std::span<u8> out) { return s.source.fetch(at, out.data(), u32(out.size())); };
    ir::Unit& unit = s.single.translate(header_->pc, {header_->mode, ir::flavour::one_insn}, fetch, {.one_insn = true});
    interpreter_.run(unit, state_, *header_, *header_->access);
    if (t && s.options.top_byte_ignored && header_->exit_kind != ExitKind::fault) s.note_tag(*t);
}

} // namespace mimic::cpu
