// A push button: a rising input presses it for a tenth of a second, long enough for drivers that debounce.
#include "devices/base/machine.hpp"

namespace mimic::devices {
namespace {

class GpioKey final : public Device, public LineSink {
public:
    std::string_view type() const override { return "gpio-key"; }
    void describe(Describe& d) override {
        d.interrupt("out", out_);
        d.timer("release", release_);
    }
    LineSink* inputs() override { return this; }
    void set_line(u32, bool level) override {
        Context::Entry entry(context());
        if (!entry || !level) return;
        out_.set(true);
        release_.arm(machine().now() + 100000000);
    }

private:
    Line out_;
    Timer release_{*this, [this] { out_.set(false); }};
};

} // namespace

MIMIC_DEVICE(gpio_key) = {.name = "gpio-key", .bus = "system", .summary = "push button", .make = make_device<GpioKey>};

} // namespace mimic::devices
