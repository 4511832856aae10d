// Goldfish real-time clock: nanoseconds since 1970 and one alarm.
// Source: Android emulator documentation, GOLDFISH-VIRTUAL-HARDWARE, section "Goldfish timer".
#include "devices/base/machine.hpp"
#include "devices/base/registers.hpp"

namespace mimic::devices {
namespace {

class GoldfishRtc final : public Device {
public:
    std::string_view type() const override { return "goldfish_rtc"; }
    void describe(Describe& d) override;

private:
    u64 clock() const { return machine().wall_clock() + offset_; }
    // The low half latches the high one.
    u64 read_time_low() {
        u64 now = clock();
        time_high_ = u32(now >> 32);
        return u32(now);
    }
    void write_time_low(u64 v) { set_clock((clock() & ~u64{0xffffffff}) | v); }
    void write_time_high(u64 v) { set_clock((clock() & 0xffffffff) | v << 32); }
    void set_clock(u64 v) {
        offset_ += v - clock();
        arm();
    }
    u64 read_alarm_low() { return u32(alarm_); }
    u64 read_alarm_high() { return alarm_ >> 32; }
    void write_alarm_low(u64 v) { // sets the alarm
        alarm_ = u64{alarm_high_} << 32 | v;
        running_ = 1;
        arm();
    }
    void arm() {
        if (!running_) return alarm_timer_.disarm();
        u64 now = clock();
        if (alarm_ <= now) return fire();
        u64 at = machine().now() + (alarm_ - now);
        alarm_timer_.arm(at < machine().now() ? Timer::never : at);
    }
    void fire() {
        running_ = 0;
        pending_ = 1;
        alarm_timer_.disarm();
        update();
    }
    void clear_alarm(u64) {
        running_ = 0;
        alarm_timer_.disarm();
    }
    u64 alarm_status() { return running_; }
    void clear_interrupt(u64) {
        pending_ = 0;
        update();
    }
    void update() { irq_.set(pending_ && (enabled_ & 1)); }

    static const RegRow<GoldfishRtc> regs[];
    u64 offset_ = 0, alarm_ = 0;
    u32 time_high_ = 0, alarm_high_ = 0, enabled_ = 0;
    u8 running_ = 0, pending_ = 0;
    Line irq_;
    Timer alarm_timer_{*this, [this] { fire(); }};
};

constexpr RegRow<GoldfishRtc> GoldfishRtc::regs[] = {
    {0x00, "TIME_LOW", {}, {.read = &GoldfishRtc::read_time_low, .write = &GoldfishRtc::write_time_low}},
    {0x04, "TIME_HIGH", &GoldfishRtc::time_high_, {.writable = 0, .write = &GoldfishRtc::write_time_high}},
    {0x08, "ALARM_LOW", {}, {.read = &GoldfishRtc::read_alarm_low, .write = &GoldfishRtc::write_alarm_low}},
    {0x0c, "ALARM_HIGH", &GoldfishRtc::alarm_high_, {.read = &GoldfishRtc::read_alarm_high}},
    {0x10, "IRQ_ENABLED", &GoldfishRtc::enabled_, {.writable = 1, .changed = &GoldfishRtc::update}},
    {0x14, "CLEAR_ALARM", {}, {.write = &GoldfishRtc::clear_alarm}},
    {0x18, "ALARM_STATUS", {}, {.read = &GoldfishRtc::alarm_status}},
    {0x1c, "CLEAR_INTERRUPT", {}, {.write = &GoldfishRtc::clear_interrupt}},
};

void GoldfishRtc::describe(Describe& d) {
    d.interrupt("irq", irq_);
    d.registers(*this, regs, 0x24, {.min = 4, .max = 4, .implemented_min = 4, .implemented_max = 4});
    d.state("offset", offset_, {.until = ResetKind::power_on}); // the clock survives a reset
    d.state("alarm", alarm_);
    d.state("running", running_, {.high = 1});
    d.state("pending", pending_, {.high = 1});
    d.timer("alarm_timer", alarm_timer_);
}

} // namespace

MIMIC_DEVICE(goldfish_rtc) = {
    .name = "goldfish_rtc", .bus = "system", .summary = "goldfish real-time clock", .make = make_device<GoldfishRtc>};

} // namespace mimic::devices
