// The accelerator "qtest": processors that have registers and lines and never run, so that devices can be driven from outside
// (monitor/qtest.hpp).
#include "cpu/system/qtest.hpp"
#include "cpu/system/memory.hpp"
#include "isa/debug.hpp"
#include <cstring>

namespace mimic::cpu {

namespace {

// No code is ever translated.
struct NoCode final : CodeWatcher {
    void watch_block(memory::RamBlock&) override {}
};

class IdleCpu final : public Vcpu {
public:
    IdleCpu(const AcceleratorOptions& o, const VcpuOptions& v)
        : guest_(*o.guest)
        , system_(*o.guest->system())
        , index_(v.index)
        , memory_(guest_, v.memory ? *v.memory : *o.memory,
                  v.secure_memory ? *v.secure_memory
                  : v.memory      ? *v.memory
                                  : *o.memory,
                  no_code_, v.index)
        , bytes_((ir::slots_offset + guest_.state().bytes + 63) / 64 * 64)
        , home_(static_cast<u8*>(std::aligned_alloc(64, bytes_)), std::free) {
        std::memset(home_.get(), 0, bytes_);
        header_ = new (home_.get()) ir::CpuHeader;
        header_->owner = this;
        system_.set_identity(*header_, v.id);
        reset(isa::ResetKind::power_on);
    }

    u32 index() const override { return index_; }
    const isa::Guest& guest() const override { return guest_; }
    void start() override { running_ = true; }
    void stop() override { running_ = false; }
    void wait_stopped() override {}
    bool running() const override { return running_; }
    Pause pause() const override { return Pause::none; }
    void set_line(u32 line, bool level) override {
        u64 bit = u64{1} << line;
        level ? __atomic_fetch_or(&header_->lines, bit, __ATOMIC_SEQ_CST)
              : __atomic_fetch_and(&header_->lines, ~bit, __ATOMIC_SEQ_CST);
    }
    void set_powered(bool on) override { powered_ = on; }
    bool powered() const override { return powered_; }
    void run_inside(const std::function<void(ir::CpuHeader&)>& f) override { f(*header_); }
    ir::CpuHeader& header() override { return *header_; }
    void reset(isa::ResetKind kind) override { system_.reset(*header_, kind); }
    void set_pc(u64 pc) override { system_.set_pc(*header_, pc); }
    bool enter_level(u32 level) override { return system_.enter_level(*header_, level); }
    bool read_register(std::string_view name, u64& value) override {
        if (name == "pc") return value = header_->pc, true;
        return isa::read_current(guest_, *header_, name, {reinterpret_cast<u8*>(&value), sizeof value});
    }
    bool write_register(std::string_view name, u64 value) override {
        if (name == "pc") return set_pc(value), true;
        u32 n = guest_.find_register(name);
        if (n == isa::Guest::no_register || guest_.registers()[n].bytes > 8) return false;
        guest_.write_register(*header_, n, reinterpret_cast<const u8*>(&value));
        return true;
    }
    bool read_memory(u64 address, void* out, u64 bytes) override {
        return memory_.debug_access(*header_, address, out, bytes, false);
    }
    bool write_memory(u64 address, const void* in, u64 bytes) override {
        return memory_.debug_access(*header_, address, const_cast<void*>(in), bytes, true);
    }
    bool translate_debug(u64 address, u64& physical) override {
        return memory_.debug_translate(*header_, address, physical);
    }
    void set_breakpoint(u64, bool) override {}
    void set_single_step(bool) override {}
    u64 guest_instructions() const override { return 0; }

private:
    const isa::Guest& guest_;
    const isa::System& system_;
    u32 index_;
    NoCode no_code_;
    MachineMemory memory_;
    size_t bytes_;
    std::unique_ptr<u8, void (*)(void*)> home_;
    ir::CpuHeader* header_ = nullptr;
    bool running_ = false, powered_ = true;
};

class QtestAccelerator final : public Accelerator {
public:
    explicit QtestAccelerator(AcceleratorOptions o) : options_(std::move(o)) {}
    std::string_view name() const override { return "qtest"; }
    Result<std::unique_ptr<Vcpu>> make_vcpu(const VcpuOptions& v) override {
        return std::unique_ptr<Vcpu>(std::make_unique<IdleCpu>(options_, v));
    }
    std::string statistics() const override { return "no guest code runs\n"; }

private:
    AcceleratorOptions options_;
};

} // namespace

Result<std::unique_ptr<Accelerator>> make_qtest_accelerator(AcceleratorOptions options) {
    if (!options.guest || !options.guest->system())
        return Error::unsupported("guest {} has no privileged architecture here: it runs programs only",
                                  options.guest ? options.guest->name() : "?");
    return std::unique_ptr<Accelerator>(std::make_unique<QtestAccelerator>(std::move(options)));
}

} // namespace mimic::cpu
