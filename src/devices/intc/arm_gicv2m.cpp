// Message frame of a GICv2: a write of an interrupt's number makes an edge on it.
// Source: Arm Server Base System Architecture (DEN 0029), appendix "GICv2m Architecture".
#include "devices/base/machine.hpp"
#include "devices/base/registers.hpp"

namespace mimic::devices {
namespace {

constexpr u32 max_spis = 512;

class ArmGicV2m final : public Device {
public:
    std::string_view type() const override { return "arm-gicv2m"; }
    void describe(Describe& d) override;
    Result<void> realize() override {
        if (base_ + count_ > 988)
            return Error::invalid_argument(
                "properties 'base-spi', 'num-spi': {} and {}, expected an end at SPI 987 or before", base_, count_);
        lines_ = std::vector<Line>(count_);
        return {};
    }
    u32 context_rank() const override { return 1; } // above devices, below the interrupt controller

private:
    u64 typer() { return (base_ + 32) << 16 | count_; }
    u64 identification() { return 0x53 << 20 | 1 << 16 | 0x43b; }
    void set_spi(u64 v) {
        u32 n = u32(v & 0x3ff) - 32 - base_;
        if (n >= count_)
            return trace::guest_error(id(), "message {}, expected {} to {}", v, base_ + 32, base_ + 31 + count_);
        lines_[n].set(true);
        lines_[n].set(false);
    }
    static const RegRow<ArmGicV2m> regs[];
    u32 base_ = 48, count_ = 64;
    std::vector<Line> lines_;
};

constexpr RegRow<ArmGicV2m> ArmGicV2m::regs[] = {
    {0x008, "MSI_TYPER", {}, {.read = &ArmGicV2m::typer}},
    {0x040, "MSI_SETSPI_NS", {}, {.write = &ArmGicV2m::set_spi}},
    {0xfcc, "MSI_IIDR", {}, {.read = &ArmGicV2m::identification}},
};

void ArmGicV2m::describe(Describe& d) {
    d.property("base-spi", base_, "first SPI", {.high = 987});
    d.property("num-spi", count_, "SPIs from there on", {.low = 1, .high = max_spis});
    for (u32 i = 0; i < lines_.size(); i++) {
        Describe::Group group(d, "spi", i);
        d.interrupt("out", lines_[i]);
    }
    d.registers(*this, regs, 0x1000, {.min = 2, .max = 4, .implemented_min = 4, .implemented_max = 4});
}

} // namespace

MIMIC_DEVICE(arm_gicv2m) = {.name = "arm-gicv2m",
                            .bus = "system",
                            .summary = "message-signalled interrupts of a GICv2",
                            .make = make_device<ArmGicV2m>};

} // namespace mimic::devices
