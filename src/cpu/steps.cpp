// Unit by unit, back to C++ after each: for `-d exec`, for verify=on, and for tests that compare engines.
#include "cpu/space.hpp"
#include "cpu/verify.hpp"
#include <algorithm>
#include <sys/syscall.h>

namespace mimic::cpu {

using ir::ExitKind;

void Cpu::step(Node& n) {
    CodeSpace::Impl& s = space_;
    if (s.logs(log::registers, header_->pc)) s.options.write_log(s.options.owner, s.register_text(*header_));
    if (s.logs(log::exec, header_->pc))
        s.options.write_log(s.options.owner, fmt::format("Trace {}: {:#x} mode {:#x}\n",
                                                         process::raw_syscall(SYS_gettid), header_->pc, n.mode));
    if (verifier_)
        verify(n);
    else
        execute(n);
}

// Counts are gathered here, so that the lock is not taken for each unit.
void Cpu::tell_counts(CodeSpace::Counters& c) const {
    c.interpreted_insns += interpreted_insns_.load(std::memory_order_relaxed);
    c.interpreted += interpreted_.load(std::memory_order_relaxed);
    c.verified_units += verified_units_.load(std::memory_order_relaxed);
    c.verified_insns += verified_insns_.load(std::memory_order_relaxed);
}

void Cpu::verify(Node& n) {
    CodeSpace::Impl& s = space_;
    Translation& t = *n.translation;
    if (!n.code) {
        execute(n);
        std::lock_guard lock(s.mutex);
        s.counters.unverified_insns += interpreter_.guest_insns();
        s.counters.unverified_by_op[u32(t.refused)] += interpreter_.guest_insns();
        return;
    }
    verifier_->begin(*header_);
    header_->fault_unknown = false;
    execute(n);
    bool host_fault = header_->exit_kind == ExitKind::fault && header_->host_pc;
    if (host_fault) locate_fault();
    auto outcome = verifier_->check(*t.own->unit, n.block, *header_);
    if (outcome == Verifier::Outcome::log_full) {
        std::lock_guard lock(s.mutex);
        s.counters.unverified_insns += verifier_->guest_insns();
        s.counters.log_full_insns += verifier_->guest_insns();
        return;
    }
    auto add = [](std::atomic<u64>& to, u64 more) {
        to.store(to.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
    };
    add(verified_units_, 1);
    add(verified_insns_, verifier_->guest_insns());
    if (outcome == Verifier::Outcome::same) return;
    std::unique_lock lock(s.mutex);
    CodeSpace::Counters& c = s.counters;
    ++c.mismatches;
    if (!s.options.on_mismatch) return;
    Mismatch m{t.base + n.pc, verifier_->difference(), s.report_mismatch(n, verifier_->states(*header_))};
    lock.unlock();
    s.options.on_mismatch(s.options.owner, m);
}

std::string CodeSpace::verify_report() const {
    Counters c = counters();
    if (c.unverified_insns == 0) return {};
    u64 all = c.verified_insns + c.unverified_insns;
    std::string text = fmt::format("verify: {} of {} guest instructions not verified ({:.4f} %)\n", c.unverified_insns,
                                   all, 100.0 * double(c.unverified_insns) / double(all));
    if (c.log_full_insns) text += fmt::format("verify: {} in units that made too many accesses\n", c.log_full_insns);
    for (u32 n = 0; n < ir::op_count; ++n)
        if (c.unverified_by_op[n])
            text += fmt::format("verify: {} in units with {}, left to the interpreter\n", c.unverified_by_op[n],
                                ir::info(ir::Op(n)).name);
    return text;
}

} // namespace mimic::cpu
