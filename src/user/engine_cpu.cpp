#include "user/engine_cpu.hpp"
#include "base/process.hpp"
#include "cpu/cpu.hpp"
#include <atomic>
#include <ctime>
#include <sys/random.h>
#include <unistd.h>

namespace mimic::user {
namespace {

// Guest memory for the interpreter and for what generated code leaves to C++: accesses that may fault.
class UserAccess final : public ir::Access {
public:
    explicit UserAccess(AddressSpace& space) : space_(space) {}

    bool load(ir::CpuHeader& cpu, u64 address, void* out, u32 bytes, const ir::MemArg&) override {
        return process::guarded_load(space_.host(address), out, bytes) || fault(cpu, address, false);
    }
    bool store(ir::CpuHeader& cpu, u64 address, const void* in, u32 bytes, const ir::MemArg&) override {
        return process::guarded_store(space_.host(address), in, bytes) || fault(cpu, address, true);
    }
    bool rmw(ir::CpuHeader& cpu, u64 address, ir::Rmw op, u64 operand, u64& old, u32 bytes,
             const ir::MemArg& m) override {
        u32 shift = 64 - 8 * bytes;
        auto swap = [&](u64 v) { return m.big ? __builtin_bswap64(v) >> shift : v; };
        bool done = process::guarded_rmw(space_.host(address), old, bytes,
                                         [&](u64 v) { return swap(apply(op, swap(v), operand, shift)); });
        old = swap(old);
        return done || fault(cpu, address, true);
    }
    bool cas(ir::CpuHeader& cpu, u64 address, const void* expected, const void* desired, void* old, u32 bytes,
             const ir::MemArg&) override {
        return process::guarded_cas(space_.host(address), expected, desired, old, bytes) || fault(cpu, address, true);
    }
    bool probe(ir::CpuHeader& cpu, u64 address, u64 bytes, bool write) override {
        constexpr u64 page = 4096;
        for (u64 at = address; at - address < bytes; at = (at & ~(page - 1)) + page) {
            int p = space_.protection(at);
            if (p < 0 || !(p & (write ? prot::write : prot::read | prot::write | prot::exec)))
                return fault(cpu, at, write);
        }
        return true;
    }
    void fence(u32, u32) override { std::atomic_thread_fence(std::memory_order_seq_cst); }

private:
    static bool fault(ir::CpuHeader& cpu, u64 address, bool write) {
        cpu.fault_address = address;
        cpu.fault_kind = write ? ir::FaultKind::write : ir::FaultKind::read;
        return false;
    }
    static u64 apply(ir::Rmw op, u64 v, u64 operand, u32 shift) {
        i64 sv = i64(v << shift), so = i64(operand << shift);
        u64 uv = v << shift, uo = operand << shift;
        switch (op) {
        case ir::Rmw::add: return v + operand;
        case ir::Rmw::sub: return v - operand;
        case ir::Rmw::and_: return v & operand;
        case ir::Rmw::or_: return v | operand;
        case ir::Rmw::xor_: return v ^ operand;
        case ir::Rmw::andn: return v & ~operand;
        case ir::Rmw::swap: return operand;
        case ir::Rmw::smin: return sv < so ? v : operand;
        case ir::Rmw::smax: return sv > so ? v : operand;
        case ir::Rmw::umin: return uv < uo ? v : operand;
        case ir::Rmw::umax: return uv > uo ? v : operand;
        }
        return v;
    }
    AddressSpace& space_;
};

class Source final : public cpu::CodeSource {
public:
    explicit Source(AddressSpace& space) : space_(space) {}
    u32 fetch(u64 pc, u8* out, u32 max) override { return space_.fetch(pc, out, max); }
    void protect_code(u64 address) override { space_.protect_code(address); }

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

class CpuVcpu final : public Vcpu {
public:
    CpuVcpu(cpu::CodeSpace& space, ir::Access& access) : cpu_(space, access) {
        cpu_.header().clock = monotonic;
        cpu_.header().random = host_random;
    }
    ir::CpuHeader& header() override { return cpu_.header(); }
    void run() override { cpu_.run(); }
    void kick() override { cpu_.kick(); }
    void clear_kick() override { cpu_.clear_kick(); }
    cpu::Cpu& cpu() { return cpu_; }

private:
    cpu::Cpu cpu_;
};

class CpuEngine final : public Engine {
public:
    explicit CpuEngine(AddressSpace& space) : access_(space), source_(space) {}

    Result<void> open(const EngineOptions& options, const AddressSpace& space) {
        const isa::GuestInfo* info = isa::find_guest(options.guest);
        if (!info) return Error::unsupported("guest {} is not built in", options.guest);
        guest_ = TRY(info->make(options.model.empty() ? info->default_model : std::string_view(options.model)));
        cpu::Options o;
        o.accel = options.interpreter ? cpu::Accel::interp : cpu::Accel::jit;
        o.verify = options.verify;
        o.one_insn = options.one_insn;
        o.guest_base = space.base();
        if (options.code_bytes) o.code_bytes = options.code_bytes;
        o.log = options.log;
        o.log_owner = this;
        o.write_log = [](void* self, std::string_view text) {
            // nothing can be told about a log that fails
            (void)!write(static_cast<CpuEngine*>(self)->log_fd_, text.data(), text.size());
        };
        log_fd_ = options.log_fd;
        space_ = TRY(cpu::CodeSpace::create(*guest_, source_, o));
        return {};
    }

    void invalidate(u64 low, u64 high) override { space_->invalidate(low, high); }
    const ir::GuestState& state() const override { return guest_->state(); }
    Result<std::unique_ptr<Vcpu>> make_vcpu(const Vcpu* copy) override {
        auto cpu = std::make_unique<CpuVcpu>(*space_, access_);
        if (copy) cpu->cpu().copy_state(const_cast<CpuVcpu*>(static_cast<const CpuVcpu*>(copy))->cpu());
        return std::unique_ptr<Vcpu>(std::move(cpu));
    }
    void before_fork() override { space_->before_fork(); }
    void after_fork_parent() override { space_->after_fork_parent(); }
    bool after_fork_child(Vcpu& survivor) override {
        return bool(space_->after_fork_child(static_cast<CpuVcpu&>(survivor).cpu()));
    }

private:
    UserAccess access_;
    Source source_;
    int log_fd_ = 2;
    std::unique_ptr<isa::Guest> guest_;
    std::unique_ptr<cpu::CodeSpace> space_;
};

} // namespace

Result<std::unique_ptr<Engine>> make_engine(const EngineOptions& options, AddressSpace& space) {
    auto engine = std::make_unique<CpuEngine>(space);
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
