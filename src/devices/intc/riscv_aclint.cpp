// Machine-level software interrupts (MSWI) and timer (MTIMER) of RISC-V harts; the SiFive CLINT is the two side by side.
// Source: RISC-V Advanced Core Local Interruptor Specification 1.0-rc4, chapters 2 and 3.
// Not there: SSWI. A write to mtime moves what this device shows and compares, not the harts' time CSR.
#include "devices/base/machine.hpp"
#include "devices/base/registers.hpp"

namespace mimic::devices {
namespace {

constexpr u32 max_harts = 4095;

class AclintSwi final : public Device {
public:
    std::string_view type() const override { return "riscv.aclint.swi"; }
    void describe(Describe& d) override;
    u32 context_rank() const override { return 1; }
    Result<void> realize() override {
        outputs_ = std::vector<Line>(harts_);
        return {};
    }

private:
    u64 read_msip(u32 hart) { return hart < harts_ && outputs_[hart].level(); }
    void write_msip(u32 hart, u64 v) {
        if (hart < harts_) outputs_[hart].set(v & 1);
    }
    static const RegRow<AclintSwi> regs[];
    u32 harts_ = 1;
    std::vector<Line> outputs_;
};

constexpr RegRow<AclintSwi> AclintSwi::regs[] = {
    {0, "msip", {}, {.read_at = &AclintSwi::read_msip, .write_at = &AclintSwi::write_msip, .count = max_harts + 1}},
};

void AclintSwi::describe(Describe& d) {
    d.property("num-harts", harts_, "harts that are served", {.low = 1, .high = max_harts});
    for (u32 i = 0; i < outputs_.size(); i++) {
        Describe::Group group(d, "hart", i);
        d.interrupt("irq", outputs_[i]);
    }
    d.registers(*this, regs, 0x4000, {.min = 4, .max = 4, .implemented_min = 4, .implemented_max = 4});
}

class AclintMtimer final : public Device {
public:
    std::string_view type() const override { return "riscv.aclint.mtimer"; }
    void describe(Describe& d) override;
    u32 context_rank() const override { return 1; }
    Result<void> realize() override {
        outputs_ = std::vector<Line>(harts_);
        mtimecmp_.assign(harts_, ~u64{0});
        for (u32 i = 0; i < harts_; i++) timers_.push_back(std::make_unique<Timer>(*this, [this, i] { update(i); }));
        return {};
    }

private:
    u64 ticks(u64 nanoseconds) const { return u64(u128{nanoseconds} * frequency_ / 1000000000); }
    u64 mtime() { return ticks(machine().now()) + offset_; }
    void write_mtime(u64 v) {
        offset_ = v - ticks(machine().now());
        for (u32 i = 0; i < harts_; i++) update(i);
    }
    u64 read_mtimecmp(u32 hart) { return hart < harts_ ? mtimecmp_[hart] : 0; }
    void write_mtimecmp(u32 hart, u64 v) {
        if (hart >= harts_) return;
        mtimecmp_[hart] = v;
        update(hart);
    }
    // The first nanosecond at which mtime has reached `ticks_wanted`.
    u64 deadline(u64 ticks_wanted) const {
        u128 ns = (u128{ticks_wanted} * 1000000000 + frequency_ - 1) / frequency_;
        return ns >= Timer::never ? Timer::never - 1 : u64(ns);
    }
    void update(u32 hart) {
        u64 now = mtime(), compare = mtimecmp_[hart];
        bool due = now >= compare;
        outputs_[hart].set(due);
        if (due || compare == ~u64{0})
            timers_[hart]->disarm();
        else
            timers_[hart]->arm(deadline(ticks(machine().now()) + (compare - now)));
    }

    static const RegRow<AclintMtimer> regs[];
    u32 harts_ = 1;
    u64 frequency_ = 10000000, offset_ = 0;
    std::vector<u64> mtimecmp_;
    std::vector<Line> outputs_;
    std::vector<std::unique_ptr<Timer>> timers_;
};

constexpr RegRow<AclintMtimer> AclintMtimer::regs[] = {
    {0,
     "mtimecmp",
     {},
     {.read_at = &AclintMtimer::read_mtimecmp,
      .write_at = &AclintMtimer::write_mtimecmp,
      .count = max_harts,
      .bytes = 8}},
    {0x7ff8, "mtime", {}, {.read = &AclintMtimer::mtime, .write = &AclintMtimer::write_mtime, .bytes = 8}},
};

void AclintMtimer::describe(Describe& d) {
    d.property("num-harts", harts_, "harts that are served", {.low = 1, .high = max_harts});
    d.property("timebase-freq", frequency_, "Hz of mtime", {.low = 1, .high = 1000000000});
    for (u32 i = 0; i < outputs_.size(); i++) {
        Describe::Group group(d, "hart", i);
        d.interrupt("irq", outputs_[i]);
        d.timer("timer", *timers_[i]);
    }
    d.registers(*this, regs, 0x8000, {.min = 4, .max = 8, .implemented_min = 4, .implemented_max = 8});
    d.state("offset", offset_);
    if (!outputs_.empty()) d.state("mtimecmp", mtimecmp_, harts_, {.reset = ~u64{0}});
}

} // namespace

MIMIC_DEVICE(aclint_swi) = {.name = "riscv.aclint.swi",
                            .bus = "system",
                            .summary = "RISC-V machine-level software interrupts (half of a CLINT)",
                            .make = make_device<AclintSwi>};
MIMIC_DEVICE(aclint_mtimer) = {.name = "riscv.aclint.mtimer",
                               .bus = "system",
                               .summary = "RISC-V machine-level timer (half of a CLINT)",
                               .make = make_device<AclintMtimer>};

} // namespace mimic::devices
