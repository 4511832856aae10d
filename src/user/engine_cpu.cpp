#include "user/engine_cpu.hpp"
#include "base/process.hpp"
#include "cpu/cpu.hpp"
#include "ir/rmw.hpp"
#include "user/symbols.hpp"
#include "user/unit_cache.hpp"
#include <atomic>
#include <cerrno>
#include <ctime>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mimic::user {
namespace {

// Guest memory for the interpreter and for what generated code leaves to C++: accesses that may fault.
class UserAccess final : public ir::Access {
public:
    explicit UserAccess(AddressSpace& space) : space_(space) {}

    bool load(ir::CpuHeader& cpu, u64 address, void* out, u32 bytes, const ir::MemArg&) override {
        return process::guarded_load(host(address), out, bytes) || fault(cpu, address, bytes, false);
    }
    bool store(ir::CpuHeader& cpu, u64 address, const void* in, u32 bytes, const ir::MemArg&) override {
        return process::guarded_store(host(address), in, bytes) || fault(cpu, address, bytes, true);
    }
    bool rmw(ir::CpuHeader& cpu, u64 address, ir::Rmw op, u64 operand, u64& old, u32 bytes,
             const ir::MemArg& m) override {
        u32 shift = 64 - 8 * bytes;
        auto swap = [&](u64 v) { return m.big ? __builtin_bswap64(v) >> shift : v; };
        bool done = process::guarded_rmw(host(address), old, bytes,
                                         [&](u64 v) { return swap(ir::apply(op, swap(v), operand, bytes)); });
        old = swap(old);
        return done || fault(cpu, address, bytes, true);
    }
    bool cas(ir::CpuHeader& cpu, u64 address, const void* expected, const void* desired, void* old, u32 bytes,
             const ir::MemArg&) override {
        return process::guarded_cas(host(address), expected, desired, old, bytes) || fault(cpu, address, bytes, true);
    }
    bool probe(ir::CpuHeader& cpu, u64 address, u64 bytes, bool write) override {
        address = space_.untagged(address);
        for (u64 at = address; at - address < bytes; at = (at & ~(page - 1)) + page) {
            int p = space_.protection(at);
            if (p < 0 || !(p & (write ? prot::write : prot::read | prot::write | prot::exec)))
                return fault(cpu, at, 1, write);
        }
        return true;
    }
    void fence(u32, u32) override { std::atomic_thread_fence(std::memory_order_seq_cst); }

private:
    void* host(u64 address) const { return reinterpret_cast<u8*>(space_.base()) + space_.untagged(address); }
    // Of an access to two pages, the first of which allows it, the second's first byte is what faults.
    bool fault(ir::CpuHeader& cpu, u64 address, u32 bytes, bool write) const {
        const u64 last = address + bytes - 1;
        if ((last & ~(page - 1)) > address) {
            u64 old;
            u8 byte;
            const bool first = write ? process::guarded_rmw(host(address), old, 1, [](u64 v) { return v; })
                                     : process::guarded_load(host(address), &byte, 1);
            if (first) address = last & ~(page - 1);
        }
        cpu.fault_address = space_.untagged(address);
        cpu.fault_kind = write ? ir::FaultKind::write : ir::FaultKind::read;
        return false;
    }
    static constexpr u64 page = 4096; // the host's
    AddressSpace& space_;
};

class Source final : public cpu::CodeSource {
public:
    explicit Source(AddressSpace& space) : space_(space) {}
    u32 fetch(u64 pc, u8* out, u32 max) override { return space_.fetch(pc, out, max); }
    cpu::Watch protect_code(u64 address, bool stays_writable) override {
        switch (space_.protect_code(address, stays_writable)) {
        case AddressSpace::CodeWatch::from_now: return cpu::Watch::from_now;
        case AddressSpace::CodeWatch::not_watched: return cpu::Watch::not_watched;
        default: return cpu::Watch::as_before;
        }
    }
    bool guarded(u64 pc) override {
        int p = space_.protection(pc);
        return p >= 0 && p & prot::guarded;
    }

private:
    AddressSpace& space_;
};

// Guests read time from the host's monotonic clock.
u64 monotonic(ir::CpuHeader&) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return u64(now.tv_sec) * 1000000000 + u64(now.tv_nsec);
}

// ...and chance from its generator.
bool host_random(ir::CpuHeader&, u64& value) { return getrandom(&value, sizeof value, 0) == ssize_t(sizeof value); }

// The log of `-d`, the report of verify=on and the map for perf. Lines are written whole, by one call each.
class Log {
public:
    Log(const EngineOptions& o, AddressSpace& space)
        : items_(o.log)
        , fd_(o.log_fd)
        , perf_map_(o.perf_map)
        , symbols_(space) {}
    ~Log() {
        if (map_fd_ >= 0) close(map_fd_);
    }
    bool has(u32 item) const { return items_ & item; }
    void write(std::string_view text) const { put(fd_, text); }
    void mismatch(const cpu::Mismatch& m) const;
    void exit(const ir::CpuHeader& h) const;
    bool perf_map() const { return perf_map_; }
    Result<void> open_map();
    void map(const void* code, u64 bytes, u64 pc) {
        std::string name = symbols_.name(pc);
        if (name.empty()) name = fmt::format("guest_{:#x}", pc);
        put(map_fd_, fmt::format("{:x} {:x} {}\n", u64(code), bytes, name));
    }

private:
    static void put(int fd, std::string_view text) {
        // nothing can be told about a log that fails
        process::raw_syscall(SYS_write, u64(i64(fd)), u64(text.data()), text.size());
    }
    u32 items_;
    int fd_, map_fd_ = -1;
    bool perf_map_;
    GuestSymbols symbols_; // used with the code space's lock held
};

// perf's documentation of its JIT interface: /tmp/perf-PID.map, lines of START SIZE symbolname, in hexadecimal without 0x.
Result<void> Log::open_map() {
    if (map_fd_ >= 0) close(map_fd_);
    std::string path = fmt::format("/tmp/perf-{}.map", process::raw_syscall(SYS_getpid));
    map_fd_ = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (map_fd_ < 0) return Error::from_errno(errno, "{}", path);
    // High, so that the program's descriptors have the numbers that it expects.
    int high = fcntl(map_fd_, F_DUPFD_CLOEXEC, 1000);
    if (high >= 0) close(map_fd_), map_fd_ = high;
    return {};
}

void Log::mismatch(const cpu::Mismatch& m) const {
    write(m.report);
    std::string line = fmt::format(
        "mimic: verify=on: generated code and the interpreter differ in the unit at {:#x}: {}\n", m.pc, m.difference);
    if (fd_ != 2) write(line);
    put(2, line);
    process::raw_syscall(SYS_exit_group, mismatch_status);
}

// What took the guest out of its code.
void Log::exit(const ir::CpuHeader& h) const {
    constexpr std::string_view kinds[] = {
        "system call", "breakpoint", "illegal instruction", "misaligned jump", "no code", "FP exception",
        "division",    "overflow",   "privileged",          "cache flush",     "wait"};
    constexpr std::string_view accesses[] = {"read", "write", "fetch", "misaligned access"};
    i64 tid = process::raw_syscall(SYS_gettid);
    bool fault = h.exit_kind == ir::ExitKind::fault, trap = h.exit_kind == ir::ExitKind::trap;
    u32 kind = u32(h.exit_arg & 0xff);
    std::string_view name = kind < std::size(kinds) ? kinds[kind] : "guest's own trap";
    if (has(cpu::log::interrupts)) {
        if (trap) write(fmt::format("int {}: {} at {:#x}\n", tid, name, h.pc));
        if (fault)
            write(fmt::format("int {}: {} of {:#x} faults at {:#x}\n", tid, accesses[u32(h.fault_kind)],
                              h.fault_address, h.pc));
    }
    using enum ir::TrapKind;
    bool mistake = trap && (kind == u32(illegal) || kind == u32(misaligned_fetch) || kind == u32(fetch_fault) ||
                            kind == u32(privileged));
    if (has(cpu::log::guest_error) && mistake)
        write(fmt::format("guest_error: {} at {:#x} (thread {})\n", name, h.pc, tid));
}

// Accesses of a vCPU that looks at some of them: one that is watched does not happen, and fails.
class WatchedAccess final : public ir::Access {
public:
    WatchedAccess(ir::Access& memory, const AddressSpace& space) : memory_(memory), space_(space) {}
    void watch(std::span<const WatchRange> all) { all_.assign(all.begin(), all.end()); }
    void pass(bool on) { pass_ = on; }
    void forget() { hit_ = nullptr; }
    const WatchRange* hit() const { return hit_; }

    bool load(ir::CpuHeader& cpu, u64 address, void* out, u32 bytes, const ir::MemArg& m) override {
        return !meets(cpu, address, bytes, false) && memory_.load(cpu, address, out, bytes, m);
    }
    bool store(ir::CpuHeader& cpu, u64 address, const void* in, u32 bytes, const ir::MemArg& m) override {
        return !meets(cpu, address, bytes, true) && memory_.store(cpu, address, in, bytes, m);
    }
    bool rmw(ir::CpuHeader& cpu, u64 address, ir::Rmw op, u64 operand, u64& old, u32 bytes,
             const ir::MemArg& m) override {
        return !meets(cpu, address, bytes, true) && memory_.rmw(cpu, address, op, operand, old, bytes, m);
    }
    bool cas(ir::CpuHeader& cpu, u64 address, const void* expected, const void* desired, void* old, u32 bytes,
             const ir::MemArg& m) override {
        return !meets(cpu, address, bytes, true) && memory_.cas(cpu, address, expected, desired, old, bytes, m);
    }
    bool probe(ir::CpuHeader& cpu, u64 address, u64 bytes, bool write) override {
        return memory_.probe(cpu, address, bytes, write);
    }
    void fence(u32 before, u32 after) override { memory_.fence(before, after); }
    bool met_watch() const override { return hit_ != nullptr; }

private:
    bool meets(ir::CpuHeader& cpu, u64 address, u32 bytes, bool write) {
        if (pass_) return false;
        address = space_.untagged(address);
        for (const WatchRange& w : all_) {
            if (!(write ? w.write : w.read) || address > w.address + (w.bytes - 1) || address + (bytes - 1) < w.address)
                continue;
            hit_ = &w;
            cpu.fault_address = address;
            cpu.fault_kind = write ? ir::FaultKind::write : ir::FaultKind::read;
            return true;
        }
        return false;
    }
    ir::Access& memory_;
    const AddressSpace& space_;
    std::vector<WatchRange> all_;
    const WatchRange* hit_ = nullptr;
    bool pass_ = false;
};

class CpuVcpu final : public Vcpu {
public:
    CpuVcpu(cpu::CodeSpace& space, ir::Access& access, const AddressSpace& memory, const Log& log)
        : cpu_(space, access)
        , memory_(memory)
        , log_(log) {
        cpu_.header().clock = monotonic;
        cpu_.header().random = host_random;
    }
    ir::CpuHeader& header() override { return cpu_.header(); }
    void run() override {
        if (watched_) [[unlikely]]
            watched_->forget();
        cpu_.run();
        if (log_.has(cpu::log::interrupts | cpu::log::guest_error)) log_.exit(cpu_.header());
    }
    void kick() override { cpu_.kick(); }
    void clear_kick() override { cpu_.clear_kick(); }
    cpu::Cpu& cpu() { return cpu_; }
    bool inside() const override { return cpu_.inside(); }

    void step(bool watching) override {
        if (watched_) watched_->forget(), watched_->pass(!watching);
        cpu_.step_instruction();
        if (watched_) watched_->pass(false);
        if (log_.has(cpu::log::interrupts | cpu::log::guest_error)) log_.exit(cpu_.header());
    }
    bool at_breakpoint() const override { return cpu_.stopped_at_breakpoint(); }
    void set_watches(std::span<const WatchRange> all) override {
        if (!watched_ && all.empty()) return;
        if (!watched_) {
            own_access_ = header().access;
            watched_ = std::make_unique<WatchedAccess>(*own_access_, memory_);
        }
        watched_->watch(all);
        header().access = all.empty() ? own_access_ : watched_.get();
        cpu_.interpret_only(!all.empty());
        if (all.empty()) watched_.reset();
    }
    const WatchRange* watch_hit() const override { return watched_ ? watched_->hit() : nullptr; }

private:
    cpu::Cpu cpu_;
    const AddressSpace& memory_;
    const Log& log_;
    std::unique_ptr<WatchedAccess> watched_; // null: nothing is watched
    ir::Access* own_access_ = nullptr;       // meanwhile
};

class CpuEngine final : public Engine {
public:
    CpuEngine(AddressSpace& space, const EngineOptions& options)
        : access_(space)
        , memory_(space)
        , source_(space)
        , log_(options, space) {}

    Result<void> open(const EngineOptions& options, const AddressSpace& space) {
        const isa::GuestInfo* info = isa::find_guest(options.guest);
        if (!info) return Error::unsupported("guest {} is not built in", options.guest);
        guest_ = TRY(info->make(options.model.empty() ? info->default_model : std::string_view(options.model)));
        if (options.perf_map) TRY(log_.open_map());
        cpu::Options o;
        o.accel = options.interpreter ? cpu::Accel::interp : cpu::Accel::jit;
        o.verify = options.verify;
        o.one_insn = options.one_insn;
        o.interpret_first = true;
        o.guest_base = space.base();
        o.top_byte_ignored = space.top_byte_ignored();
        if (options.code_bytes) o.code_bytes = options.code_bytes;
        o.log = options.log;
        o.log_ranges = options.log_ranges;
        o.owner = &log_;
        o.write_log = [](void* log, std::string_view text) { static_cast<Log*>(log)->write(text); };
        o.on_mismatch = [](void* log, const cpu::Mismatch& m) { static_cast<Log*>(log)->mismatch(m); };
        if (options.perf_map)
            o.on_code = [](void* log, const void* code, u64 bytes, u64 pc) {
                static_cast<Log*>(log)->map(code, bytes, pc);
            };
        open_cache(options);
        o.store = cache_.get();
        space_ = TRY(cpu::CodeSpace::create(*guest_, source_, o));
        if (cache_) cache_->add_to_key(space_->host());
        if (cache_ && !space_->options().store)
            cache_->log(
                "cache: there is none: it is for -accel jit without verify=on, -one-insn-per-tb and logs of code\n");
        return {};
    }

    void invalidate(u64 low, u64 high) override { space_->invalidate(low, high); }
    void flush(u64 low, u64 high) override { space_->flush(low, high); }
    void await_flushed() override { space_->await_dropped(); }
    void guard_pages() override { space_->guard_pages(); }
    const ir::GuestState& state() const override { return guest_->state(); }
    Result<std::unique_ptr<Vcpu>> make_vcpu(const Vcpu* copy) override {
        auto cpu = std::make_unique<CpuVcpu>(*space_, access_, memory_, log_);
        if (copy) cpu->cpu().copy_state(const_cast<CpuVcpu*>(static_cast<const CpuVcpu*>(copy))->cpu());
        return std::unique_ptr<Vcpu>(std::move(cpu));
    }
    void before_fork() override {
        if (cache_) cache_->before_fork();
        space_->before_fork();
    }
    void after_fork_parent() override {
        space_->after_fork_parent();
        if (cache_) cache_->after_fork_parent();
    }
    bool after_fork_child(Vcpu& survivor) override {
        bool ok = bool(space_->after_fork_child(static_cast<CpuVcpu&>(survivor).cpu()));
        if (cache_) cache_->after_fork_child(*space_);
        if (ok && log_.perf_map() && log_.open_map()) space_->tell_code();
        return ok;
    }
    const isa::Guest* guest() const override { return guest_.get(); }
    void set_breakpoint(u64 pc, bool on) override { space_->set_breakpoint(pc, on); }
    void set_single_threaded(bool alone) override {
        if (cache_) cache_->set_alone(alone);
    }
    void save_code() override {
        if (!cache_) return;
        const cpu::CodeSpace::Counters c = space_->counters();
        cache_->log(fmt::format("cache: {} units taken, {} translated; {} blocks interpreted\n", c.restored, c.units,
                                c.interpreted));
        cache_->save(*space_);
    }
    void finish() override {
        save_code();
        if (!space_->options().verify) return;
        std::string report = space_->verify_report();
        if (!report.empty()) log_.write(report);
    }

private:
    // What code depends on beside the guest's bytes.
    void open_cache(const EngineOptions& o) {
        const std::string build = build_id();
        if ((o.cache.empty() && o.cache_fd < 0) || build.empty()) return;
        UnitCache::Settings s{.directory = o.cache_fd >= 0 ? "the root's cache" : o.cache, .descriptor = o.cache_fd};
        if (o.cache_bytes) s.most_bytes = o.cache_bytes;
        s.key = fmt::format("{} {} {} ", build, o.guest, o.model);
        if (o.log_cache) s.log = [this](std::string_view text) { log_.write(text); };
        cache_ = std::make_unique<UnitCache>(memory_, std::move(s));
    }

    UserAccess access_;
    AddressSpace& memory_;
    Source source_;
    Log log_;
    std::unique_ptr<isa::Guest> guest_;
    std::unique_ptr<UnitCache> cache_;
    std::unique_ptr<cpu::CodeSpace> space_;
};

} // namespace

Result<std::unique_ptr<Engine>> make_engine(const EngineOptions& options, AddressSpace& space) {
    auto engine = std::make_unique<CpuEngine>(space, options);
    TRY(engine->open(options, space));
    space.set_code(engine.get());
    return std::unique_ptr<Engine>(std::move(engine));
}

std::string list_models(std::string_view guest) {
    std::string text;
    const isa::GuestInfo* info = isa::find_guest(guest);
    if (!info) return text;
    text += std::string(info->default_model);
    for (auto model : info->models)
        if (model != info->default_model) text.append("\n").append(model);
    return text.append("\n");
}

} // namespace mimic::user
