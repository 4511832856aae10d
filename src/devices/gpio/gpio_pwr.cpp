// Power control by lines, as boards lead them from a GPIO controller of their firmware: a rising edge of input 0 switches the
// machine off, of input 1 resets it. Device-tree bindings "gpio-poweroff" and "gpio-restart" name such lines.
#include "devices/base/machine.hpp"

namespace mimic::devices {
namespace {

class GpioPwr final : public Device, public LineSink {
public:
    std::string_view type() const override { return "gpio-pwr"; }
    void describe(Describe&) override {}
    LineSink* inputs() override { return this; }
    void set_line(u32 n, bool level) override {
        const bool rises = level && !(levels_ >> n & 1);
        levels_ = u8((levels_ & ~(1u << n)) | u32(level) << n);
        if (!rises || machine().loading()) return;
        if (n == 0) machine().request({Request::Kind::shutdown, "guest-shutdown", 0});
        if (n == 1) machine().request({Request::Kind::reset, "guest-reset", 0});
    }

private:
    u8 levels_ = 0; // those that drive the lines have them in their state
};

} // namespace

MIMIC_DEVICE(gpio_pwr) = {
    .name = "gpio-pwr", .bus = "system", .summary = "power-off and reset by two lines", .make = make_device<GpioPwr>};

} // namespace mimic::devices
