// PrimeCell real-time clock (PL031): a counter of seconds and a match register.
// Source: Arm DDI 0224B, chapter 3. The counter runs from power-on, as after firmware that set RTCCR.
#include "devices/base/machine.hpp"
#include "devices/base/registers.hpp"
#include "devices/primecell.hpp"

namespace mimic::devices {
namespace {

constexpr u64 second = 1000000000;

class Pl031 final : public Device {
public:
    std::string_view type() const override { return "pl031"; }
    void describe(Describe& d) override;

private:
    u32 count() const { return u32(machine().wall_clock() / second) + offset_; }
    u64 read_count() { return count(); }
    void write_load(u64 v) {
        load_ = u32(v);
        offset_ += load_ - count();
        arm();
    }
    void write_match(u64 v) {
        match_ = u32(v);
        arm();
    }
    // Equality alone matches; a time that is past comes again after 2^32 seconds.
    void arm() {
        u32 left = match_ - count();
        if (left == 0) return fire();
        u64 into = machine().wall_clock() % second;
        timer_.arm(machine().now() + left * second - into);
    }
    void fire() {
        raw_ = 1;
        timer_.disarm();
        update();
    }
    u64 one() { return 1; }
    u64 raw() { return raw_; }
    u64 masked() { return raw_ & mask_; }
    void clear(u64 v) {
        if (v & 1) raw_ = 0;
        update();
    }
    u64 identification(u32 i) { return primecell_id(0x031, 0, i); }
    void update() { irq_.set(raw_ & mask_); }

    static const RegRow<Pl031> regs[];
    u32 offset_ = 0, load_ = 0, match_ = 0;
    u8 mask_ = 0, raw_ = 0;
    Line irq_;
    Timer timer_{*this, [this] { fire(); }};
};

constexpr RegRow<Pl031> Pl031::regs[] = {
    {0x00, "RTCDR", {}, {.read = &Pl031::read_count}},
    {0x04, "RTCMR", &Pl031::match_, {.writable = 0, .write = &Pl031::write_match}},
    {0x08, "RTCLR", &Pl031::load_, {.writable = 0, .write = &Pl031::write_load}},
    {0x0c, "RTCCR", {}, {.read = &Pl031::one}},
    {0x10, "RTCIMSC", &Pl031::mask_, {.writable = 1, .changed = &Pl031::update}},
    {0x14, "RTCRIS", {}, {.read = &Pl031::raw}},
    {0x18, "RTCMIS", {}, {.read = &Pl031::masked}},
    {0x1c, "RTCICR", {}, {.write = &Pl031::clear}},
    {primecell_id_offset, "RTCPeriphID/RTCPCellID", {}, {.read_at = &Pl031::identification, .count = 8}},
};

void Pl031::describe(Describe& d) {
    d.interrupt("irq", irq_);
    d.registers(*this, regs, primecell_size);
    d.state("offset", offset_, {.until = ResetKind::power_on}); // the clock survives a reset
    d.state("raw", raw_, {.high = 1});
    d.timer("timer", timer_);
}

} // namespace

MIMIC_DEVICE(pl031) = {
    .name = "pl031", .bus = "system", .summary = "PrimeCell real-time clock (PL031)", .make = make_device<Pl031>};

} // namespace mimic::devices
