// PrimeCell general-purpose input/output (PL061): eight lines. Source: Arm DDI 0190B, chapter 3.
// Not there: hardware control of lines (GPIOAFSEL is kept and does nothing).
#include "devices/base/machine.hpp"
#include "devices/base/registers.hpp"
#include "devices/primecell.hpp"

namespace mimic::devices {
namespace {

class Pl061 final : public Device, public LineSink {
public:
    std::string_view type() const override { return "pl061"; }
    void describe(Describe& d) override;
    LineSink* inputs() override { return this; }
    void reset(ResetKind) override { update(); }

    void set_line(u32 n, bool level) override {
        Context::Entry entry(context());
        if (!entry || n >= 8) return;
        if (!level && !(driven_ >> n & 1)) return; // who was never heard of, and is said to be low again after a load
        driven_ |= u8(1u << n);
        in_ = u8(level ? in_ | 1u << n : in_ & ~(1u << n));
        update();
    }

private:
    // What the pads show: outputs, inputs that somebody drives, pull-ups.
    u8 pads() const {
        u8 inputs = u8((in_ & driven_) | (pull_up_ & ~driven_));
        return u8((data_ & direction_) | (inputs & ~direction_));
    }
    // Bits 9:2 of the address choose the lines.
    u64 read_data(u32 lines) { return pads() & lines; }
    void write_data(u32 lines, u64 v) {
        u8 chosen = u8(lines & direction_);
        data_ = u8((data_ & ~chosen) | (v & chosen));
        update();
    }
    void update() {
        u8 now = pads(), changed = now ^ before_;
        before_ = now;
        for (u32 i = 0; i < 8; i++)
            if (direction_ >> i & 1) outputs_[i].set(now >> i & 1);
        u8 wanted = u8(~(now ^ event_)); // lines at the level, or after the edge, that GPIOIEV names
        edges_ |= u8(changed & (both_ | wanted) & ~sense_);
        irq_.set(raw_status() & mask_);
    }
    u8 raw_status() const { return u8((edges_ & ~sense_) | (sense_ & ~(pads() ^ event_))); }
    u64 raw() { return raw_status(); }
    u64 masked() { return raw_status() & mask_; }
    void clear(u64 v) {
        edges_ &= u8(~v);
        update();
    }
    u64 identification(u32 i) { return primecell_id(0x061, 0, i); }

    static const RegRow<Pl061> regs[];
    u8 pull_up_ = 0, in_ = 0, driven_ = 0, data_ = 0, direction_ = 0;
    u8 sense_ = 0, both_ = 0, event_ = 0, mask_ = 0, edges_ = 0, alternate_ = 0, before_ = 0;
    Line irq_;
    std::array<Line, 8> outputs_;
};

constexpr RegRow<Pl061> Pl061::regs[] = {
    {0x000, "GPIODATA", {}, {.read_at = &Pl061::read_data, .write_at = &Pl061::write_data, .count = 256}},
    {0x400, "GPIODIR", &Pl061::direction_, {.writable = 0xff, .changed = &Pl061::update}},
    {0x404, "GPIOIS", &Pl061::sense_, {.writable = 0xff, .changed = &Pl061::update}},
    {0x408, "GPIOIBE", &Pl061::both_, {.writable = 0xff, .changed = &Pl061::update}},
    {0x40c, "GPIOIEV", &Pl061::event_, {.writable = 0xff, .changed = &Pl061::update}},
    {0x410, "GPIOIE", &Pl061::mask_, {.writable = 0xff, .changed = &Pl061::update}},
    {0x414, "GPIORIS", {}, {.read = &Pl061::raw}},
    {0x418, "GPIOMIS", {}, {.read = &Pl061::masked}},
    {0x41c, "GPIOIC", {}, {.write = &Pl061::clear}},
    {0x420, "GPIOAFSEL", &Pl061::alternate_, {.writable = 0xff}},
    {primecell_id_offset, "GPIOPeriphID/GPIOPCellID", {}, {.read_at = &Pl061::identification, .count = 8}},
};

void Pl061::describe(Describe& d) {
    d.property("pullups", pull_up_, "lines that are high when nobody drives them");
    d.interrupt("irq", irq_);
    for (u32 i = 0; i < 8; i++) {
        Describe::Group group(d, "line", i);
        d.interrupt("out", outputs_[i]);
    }
    d.registers(*this, regs, primecell_size);
    d.state("data", data_);
    d.state("edges", edges_);
    d.state("before", before_, {.reset = pull_up_});
    d.state("in", in_, {.until = ResetKind::power_on});
    d.state("driven", driven_, {.until = ResetKind::power_on});
}

} // namespace

MIMIC_DEVICE(pl061) = {
    .name = "pl061", .bus = "system", .summary = "PrimeCell GPIO (PL061), eight lines", .make = make_device<Pl061>};

} // namespace mimic::devices
