#include "cpu/verify.hpp"
#include "base/check.hpp"
#include <cstring>
#include <fmt/core.h>

namespace mimic::cpu {

using ir::AccessEntry;
using ir::CpuHeader;
using ir::ExitKind;

namespace {

constexpr std::string_view kind_names[] = {"access", "load", "store", "rmw", "cas", "probe", "intrinsic"};

std::string describe(AccessEntry::Kind kind, u64 address, u64 bytes) {
    return fmt::format("{} of {} bytes at {:#x}", kind_names[kind], bytes, address);
}

std::string_view name_of(ExitKind k) {
    constexpr std::string_view names[] = {"none", "edge", "edge", "edge", "trap", "fault"};
    return names[u32(k)];
}

u64 low_bytes(u64 v, u64 bytes) { return bytes >= 8 ? v : v & ((u64{1} << 8 * bytes) - 1); }

} // namespace

// ---- the first run

void LoggingAccess::add(CpuHeader& cpu, const AccessEntry& e) {
    *cpu.log_next = e;
    if (cpu.log_next < cpu.log_end) ++cpu.log_next;
}

bool LoggingAccess::load(CpuHeader& cpu, u64 address, void* out, u32 bytes, const ir::MemArg& m) {
    if (!real_.load(cpu, address, out, bytes, m)) return false;
    // Wider ones take several entries.
    for (u32 at = 0; at < bytes; at += 16) {
        u32 n = std::min(bytes - at, 16u);
        AccessEntry e{.address = address + at, .what = AccessEntry::what_of(AccessEntry::load, 0, n)};
        std::memcpy(e.value, static_cast<u8*>(out) + at, n);
        add(cpu, e);
    }
    return true;
}

bool LoggingAccess::store(CpuHeader& cpu, u64 address, const void* in, u32 bytes, const ir::MemArg& m) {
    if (!real_.store(cpu, address, in, bytes, m)) return false;
    for (u32 at = 0; at < bytes; at += 16) {
        u32 n = std::min(bytes - at, 16u);
        AccessEntry e{.address = address + at, .what = AccessEntry::what_of(AccessEntry::store, 0, n)};
        std::memcpy(e.value, static_cast<const u8*>(in) + at, n);
        add(cpu, e);
    }
    return true;
}

bool LoggingAccess::rmw(CpuHeader& cpu, u64 address, ir::Rmw op, u64 operand, u64& old, u32 bytes,
                        const ir::MemArg& m) {
    if (!real_.rmw(cpu, address, op, operand, old, bytes, m)) return false;
    add(cpu, {.address = address,
              .what = AccessEntry::what_of(AccessEntry::rmw, u32(op), bytes),
              .value = {operand, 0},
              .old = {old, 0}});
    return true;
}

bool LoggingAccess::cas(CpuHeader& cpu, u64 address, const void* expected, const void* desired, void* old, u32 bytes,
                        const ir::MemArg& m) {
    AccessEntry e{.address = address, .what = AccessEntry::what_of(AccessEntry::cas, 0, bytes)};
    std::memcpy(e.value, expected, bytes);
    std::memcpy(e.desired, desired, bytes);
    if (!real_.cas(cpu, address, expected, desired, old, bytes, m)) return false;
    std::memcpy(e.old, old, bytes);
    add(cpu, e);
    return true;
}

bool LoggingAccess::probe(CpuHeader& cpu, u64 address, u64 bytes, bool write) {
    if (!real_.probe(cpu, address, bytes, write)) return false;
    add(cpu, {.address = address, .what = AccessEntry::what_of(AccessEntry::probe, write, bytes)});
    return true;
}

int LoggingAccess::call(const ir::Intrinsic& f, CpuHeader& cpu, const ir::Wide* args, ir::Wide* results) {
    int status = real_.call(f, cpu, args, results);
    for (u32 n = 0; n < f.results; ++n) {
        AccessEntry e{.address = u64(&f), .what = AccessEntry::what_of(AccessEntry::call, u32(status != 0), n)};
        std::memcpy(e.value, &results[n], sizeof e.value);
        add(cpu, e);
    }
    return status;
}

// ---- the second run

void ReplayAccess::start(const AccessEntry* log, const AccessEntry* end, bool faulted) {
    at_ = log, end_ = end, faulted_ = faulted;
    fault_low_ = fault_high_ = 0;
    difference_.clear();
}

// Null: the access faults, as it did or because it is not the one that was logged.
const AccessEntry* ReplayAccess::next(CpuHeader& cpu, AccessEntry::Kind kind, u32 op, u64 address, u64 bytes) {
    cpu.fault_address = address;
    cpu.fault_kind =
        kind == AccessEntry::load || (kind == AccessEntry::probe && !op) ? ir::FaultKind::read : ir::FaultKind::write;
    if (!difference_.empty()) return nullptr;
    if (at_ == end_ && faulted_) {
        fault_low_ = address, fault_high_ = address + bytes;
        return nullptr;
    }
    if (at_ != end_ && at_->kind() == kind && at_->op() == op && at_->address == address && at_->bytes() == bytes)
        return at_++;
    difference_ = fmt::format("{} in the interpreter, {} in generated code", describe(kind, address, bytes),
                              at_ == end_ ? "nothing" : describe(at_->kind(), at_->address, at_->bytes()));
    return nullptr;
}

bool ReplayAccess::same(const char* what, const AccessEntry& e, const u64* logged, const void* now) {
    if (std::memcmp(logged, now, e.bytes()) == 0) return true;
    u64 w[2] = {};
    std::memcpy(w, now, e.bytes());
    u32 n = u32(std::min<u64>(e.bytes(), 8));
    difference_ = fmt::format("{}, {}: {:#x}:{:x} in the interpreter, {:#x}:{:x} in generated code",
                              describe(e.kind(), e.address, e.bytes()), what, w[1], w[0], e.bytes() > 8 ? logged[1] : 0,
                              low_bytes(logged[0], n));
    return false;
}

std::string ReplayAccess::left_over() const {
    if (at_ == end_) return {};
    return fmt::format("nothing in the interpreter, {} in generated code",
                       describe(at_->kind(), at_->address, at_->bytes()));
}

bool ReplayAccess::load(CpuHeader& cpu, u64 address, void* out, u32 bytes, const ir::MemArg&) {
    for (u32 at = 0; at < bytes; at += 16) {
        u32 n = std::min(bytes - at, 16u);
        const AccessEntry* e = next(cpu, AccessEntry::load, 0, address + at, n);
        if (!e) return false;
        std::memcpy(static_cast<u8*>(out) + at, e->value, n);
    }
    return true;
}

bool ReplayAccess::store(CpuHeader& cpu, u64 address, const void* in, u32 bytes, const ir::MemArg&) {
    for (u32 at = 0; at < bytes; at += 16) {
        u32 n = std::min(bytes - at, 16u);
        const AccessEntry* e = next(cpu, AccessEntry::store, 0, address + at, n);
        if (!e || !same("value", *e, e->value, static_cast<const u8*>(in) + at)) return false;
    }
    return true;
}

bool ReplayAccess::rmw(CpuHeader& cpu, u64 address, ir::Rmw op, u64 operand, u64& old, u32 bytes, const ir::MemArg&) {
    const AccessEntry* e = next(cpu, AccessEntry::rmw, u32(op), address, bytes);
    if (!e || !same("operand", *e, e->value, &operand)) return false;
    old = low_bytes(e->old[0], bytes);
    return true;
}

bool ReplayAccess::cas(CpuHeader& cpu, u64 address, const void* expected, const void* desired, void* old, u32 bytes,
                       const ir::MemArg&) {
    const AccessEntry* e = next(cpu, AccessEntry::cas, 0, address, bytes);
    if (!e || !same("expected", *e, e->value, expected) || !same("desired", *e, e->desired, desired)) return false;
    std::memcpy(old, e->old, bytes);
    return true;
}

bool ReplayAccess::probe(CpuHeader& cpu, u64 address, u64 bytes, bool write) {
    return next(cpu, AccessEntry::probe, write, address, bytes) != nullptr;
}

int ReplayAccess::call(const ir::Intrinsic& f, CpuHeader& cpu, const ir::Wide*, ir::Wide* results) {
    int status = 0;
    for (u32 n = 0; n < f.results; ++n) {
        bool left = at_ != end_ && at_->kind() == AccessEntry::call && at_->op();
        const AccessEntry* e = next(cpu, AccessEntry::call, left, u64(&f), n);
        if (!e) {
            cpu.exit_kind = ExitKind::fault;
            return 1;
        }
        std::memcpy(&results[n], e->value, sizeof e->value);
        status = left;
    }
    return status;
}

// ---- comparing

Verifier::Verifier(const ir::GuestState& state, u32 vector_bytes, ir::Access& real)
    : state_(state)
    , vector_bytes_(vector_bytes)
    , logging_(real)
    , log_(static_cast<AccessEntry*>(std::calloc(entries + 1, sizeof(AccessEntry))))
    , before_(ir::slots_offset + state.bytes)
    , after_(before_.size()) {
    MIMIC_CHECK(log_, "no memory for the log of verify=on");
}

void Verifier::begin(CpuHeader& cpu) {
    std::memcpy(before_.data(), &cpu, before_.size());
    cpu.log_next = log_.get();
    cpu.log_end = log_.get() + entries;
}

Verifier::Outcome Verifier::check(const ir::Unit& unit, ir::BlockId from, CpuHeader& cpu) {
    std::memcpy(after_.data(), before_.data(), before_.size());
    CpuHeader& replay = header(after_);
    replay.poll = 1; // as in the first run
    replay.access = &replay_;
    // A misaligned access is found without being done.
    bool access = cpu.exit_kind == ExitKind::fault && cpu.fault_kind != ir::FaultKind::misaligned;
    replay_.start(log_.get(), cpu.log_next, access);
    interpreter_.run(unit, state_, replay, replay_, from);
    if (cpu.log_next == cpu.log_end) return Outcome::log_full;
    difference_ = replay_.difference();
    if (difference_.empty()) compare(cpu);
    if (difference_.empty()) difference_ = replay_.left_over();
    return difference_.empty() ? Outcome::same : Outcome::different;
}

bool Verifier::slot_differs(u32 n, CpuHeader& cpu) {
    const ir::Slot& s = state_.slots[n];
    if (s.cls == ir::SlotClass::temp) return false;
    return std::memcmp(ir::home(&cpu, s), ir::home(&header(after_), s), ir::size_of(s.type, vector_bytes_)) != 0;
}

void Verifier::compare(CpuHeader& cpu) {
    CpuHeader& replay = header(after_);
    u8 *a = reinterpret_cast<u8*>(&cpu) + ir::slots_offset, *b = after_.data() + ir::slots_offset;
    if (std::memcmp(a, b, state_.bytes) != 0)
        for (u32 n = 0; n < state_.slots.size() && difference_.empty(); ++n)
            if (slot_differs(n, cpu)) difference_ = fmt::format("slot {}", state_.slots[n].name);
    if (difference_.empty()) compare_exit(cpu, replay);
    auto fp = [&](const char* name, const ir::FpEnv& x, const ir::FpEnv& y) {
        if (difference_.empty() && (x.flags != y.flags || x.mode != y.mode))
            difference_ = fmt::format("{}: flags {:#x} mode {:#x} in generated code, {:#x} {:#x} in the interpreter",
                                      name, x.flags, x.mode, y.flags, y.mode);
    };
    fp("FP status", cpu.fp, replay.fp);
    fp("x87 status", cpu.fp80, replay.fp80);
}

void Verifier::compare_exit(const CpuHeader& cpu, const CpuHeader& replay) {
    auto kind = [](ExitKind k) { return ir::is_exception(k) ? k : ExitKind::link; };
    auto differ = [&](const char* what, u64 x, u64 y) {
        if (difference_.empty() && x != y)
            difference_ = fmt::format("{}: {:#x} in generated code, {:#x} in the interpreter", what, x, y);
    };
    if (kind(cpu.exit_kind) != kind(replay.exit_kind)) {
        difference_ = fmt::format("way out: {} to {:#x} in generated code, {} to {:#x} in the interpreter",
                                  name_of(cpu.exit_kind), cpu.pc, name_of(replay.exit_kind), replay.pc);
        return;
    }
    differ("pc", cpu.pc, replay.pc);
    differ("mode", cpu.mode, replay.mode);
    if (cpu.exit_kind == ExitKind::trap) {
        differ("trap", cpu.exit_arg, replay.exit_arg);
        if (cpu.exit_arg >> 8) differ("detail of the trap", cpu.fault_address, replay.fault_address);
    }
    if (cpu.exit_kind != ExitKind::fault || cpu.fault_unknown) return;
    bool misaligned = cpu.fault_kind == ir::FaultKind::misaligned;
    differ("misaligned", misaligned, replay.fault_kind == ir::FaultKind::misaligned);
    if (misaligned) return differ("misaligned address", cpu.fault_address, replay.fault_address);
    // The host tells the first byte that it could not reach, or any other of the access.
    if (difference_.empty() && (cpu.fault_address < replay_.fault_low() || cpu.fault_address >= replay_.fault_high()))
        difference_ = fmt::format("fault: at {:#x} in generated code, of the access at {:#x} in the interpreter",
                                  cpu.fault_address, replay_.fault_low());
}

std::string Verifier::states(CpuHeader& cpu) {
    std::string text = fmt::format("  {:<12} {:>34} {:>34} {:>34}\n", "", "before", "generated code", "interpreter");
    auto words = [&](u8* p, u32 size) {
        u64 w[2] = {};
        std::memcpy(w, p, std::min(size, 16u));
        return size > 8 ? fmt::format("{:016x}:{:016x}", w[1], w[0]) : fmt::format("{:x}", w[0]);
    };
    auto line = [&](std::string_view name, u8* x, u8* y, u8* z, u32 size, bool differs) {
        text += fmt::format("{} {:<12} {:>34} {:>34} {:>34}\n", differs ? '*' : ' ', name, words(x, size),
                            words(y, size), words(z, size));
    };
    CpuHeader &a = header(before_), &c = header(after_);
    auto field = [&](std::string_view name, auto CpuHeader::*m) {
        line(name, reinterpret_cast<u8*>(&(a.*m)), reinterpret_cast<u8*>(&(cpu.*m)), reinterpret_cast<u8*>(&(c.*m)),
             sizeof(a.*m), std::memcmp(&(cpu.*m), &(c.*m), sizeof(a.*m)) != 0);
    };
    field("pc", &CpuHeader::pc);
    field("mode", &CpuHeader::mode);
    field("exit kind", &CpuHeader::exit_kind);
    field("fp", &CpuHeader::fp);
    for (u32 n = 0; n < state_.slots.size(); ++n) {
        const ir::Slot& s = state_.slots[n];
        if (s.cls == ir::SlotClass::temp) continue;
        line(s.name, ir::home(&a, s), ir::home(&cpu, s), ir::home(&c, s), ir::size_of(s.type, vector_bytes_),
             slot_differs(n, cpu));
    }
    return text;
}

} // namespace mimic::cpu
