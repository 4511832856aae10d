// Input devices (VIRTIO 1.2, 5.8): keyboard, mouse and tablet, with the event types and codes of Linux's input subsystem. Events
// wait for buffers of the driver, a bounded number of them; what then does not fit is lost by whole groups.
// Not there: force feedback, and multi-touch.
#include "display/input.hpp"
#include "base/trace.hpp"
#include "devices/base/machine.hpp"
#include "devices/virtio/device.hpp"
#include <algorithm>
#include <cstring>
#include <linux/input-event-codes.h>
#include <linux/virtio_input.h>

namespace mimic::devices::virtio {

namespace {

using display::InputEvent;

constexpr u32 event_queue = 0, status_queue = 1;
constexpr size_t max_waiting = 1024; // events
constexpr u16 bus_virtual = 6;       // BUS_VIRTUAL of Linux's input.h
constexpr u16 vendor = 0x0627;       // as the compatible boards have it

struct Model {
    std::string_view type, name;
    u16 product;
    bool keys, relative, absolute;
};
constexpr Model keyboard{"virtio-keyboard-device", "QEMU Virtio Keyboard", 1, true, false, false};
constexpr Model mouse{"virtio-mouse-device", "QEMU Virtio Mouse", 2, false, true, false};
constexpr Model tablet{"virtio-tablet-device", "QEMU Virtio Tablet", 3, false, false, true};

// Code of a button; 0: it is a notch of a wheel.
u16 code_of(display::Button button) {
    using display::Button;
    switch (button) {
    case Button::left: return BTN_LEFT;
    case Button::middle: return BTN_MIDDLE;
    case Button::right: return BTN_RIGHT;
    case Button::side: return BTN_SIDE;
    case Button::extra: return BTN_EXTRA;
    case Button::touch: return BTN_TOUCH;
    default: return 0;
    }
}

class VirtioInput final : public VirtioDevice, public display::InputHandler {
public:
    explicit VirtioInput(const Model& model) : model_(model) {}
    std::string_view type() const override { return model_.type; }
    u16 device_id() const override { return 18; }
    u64 device_features() const override { return 0; }
    void describe(Describe& d) override {
        VirtioDevice::describe(d);
        d.property("serial", serial_, "serial number that the guest may read");
        d.state("select", select_);
        d.state("subsel", subsel_);
        d.state("leds", leds_);
        d.list("event", waiting_, max_waiting, [](Describe& each, Event& e) {
            each.state("type", e.type);
            each.state("code", e.code);
            each.state("value", e.value);
        });
    }
    Result<void> realize() override {
        TRY(VirtioDevice::realize());
        if (serial_.size() > max_text)
            return Error::invalid_argument("property 'serial': expected at most {} characters", max_text);
        make_queues(2, 64);
        router().add(*this);
        return {};
    }
    void unrealize() override {
        router().remove(*this);
        VirtioDevice::unrealize();
    }
    Result<void> after_load() override {
        TRY(VirtioDevice::after_load());
        if (running()) router().activate(*this);
        return {};
    }
    void driver_ready() override { router().activate(*this); }
    void forget() override {
        router().deactivate(*this);
        waiting_.clear();
        group_.clear();
        select_ = subsel_ = leds_ = 0;
    }
    void config(ConfigBytes& c) const override;
    void config_written(u32 offset, u8 value) override {
        if (offset == offsetof(virtio_input_config, select)) select_ = value;
        if (offset == offsetof(virtio_input_config, subsel)) subsel_ = value;
    }
    void notified(u32 n) override {
        if (n == event_queue) return flush();
        serve(n, [&](Chain& chain) {
            take_status(chain);
            complete(n, chain, 0);
            return true;
        });
    }

    // ---- InputHandler ---------------------------------------------------------------------------------------------
    std::string_view input_name() const override { return model_.name; }
    bool takes(InputEvent::Kind kind) const override {
        switch (kind) {
        case InputEvent::Kind::key: return model_.keys;
        case InputEvent::Kind::button: return model_.relative || model_.absolute;
        case InputEvent::Kind::relative: return model_.relative;
        case InputEvent::Kind::absolute: return model_.absolute;
        }
        return false;
    }
    void input(const InputEvent& e) override;
    void input_sync() override {
        std::vector<Event> group = std::exchange(group_, {});
        if (group.empty() || !running()) return;
        group.push_back({EV_SYN, SYN_REPORT, 0});
        if (group.size() > max_waiting - waiting_.size())
            return trace::guest_error(id(), "gives no buffers, {} events are lost", group.size());
        waiting_.insert(waiting_.end(), group.begin(), group.end());
        flush();
    }

private:
    static constexpr size_t max_text = sizeof virtio_input_config::u.string;
    struct Event {
        u16 type = 0, code = 0;
        u32 value = 0;
    };
    display::InputRouter& router() const { return machine().input().router(); }
    void add(u16 type, u16 code, i32 value) { group_.push_back({type, code, u32(value)}); }
    void flush();
    void take_status(const Chain& chain);
    std::vector<u16> codes(u8 event_type) const;

    const Model& model_;
    std::string serial_;
    u8 select_ = 0, subsel_ = 0;
    u32 leds_ = 0;               // by LED_ code
    std::vector<Event> waiting_; // for buffers
    std::vector<Event> group_;   // until they are synchronized, which is before anybody looks
};

// What can come, by type (5.8.5, VIRTIO_INPUT_CFG_EV_BITS).
std::vector<u16> VirtioInput::codes(u8 event_type) const {
    std::vector<u16> all;
    switch (event_type) {
    case EV_KEY:
        if (model_.keys)
            for (const display::Key& key : display::keys()) all.push_back(key.code);
        if (model_.relative || model_.absolute) all = {BTN_LEFT, BTN_RIGHT, BTN_MIDDLE, BTN_SIDE, BTN_EXTRA};
        if (model_.absolute) all.push_back(BTN_TOUCH);
        return all;
    case EV_REL:
        if (model_.relative) all = {REL_X, REL_Y};
        if (model_.relative || model_.absolute) all.insert(all.end(), {REL_WHEEL, REL_HWHEEL});
        return all;
    case EV_ABS: return model_.absolute ? std::vector<u16>{ABS_X, ABS_Y} : all;
    case EV_LED: return model_.keys ? std::vector<u16>{LED_NUML, LED_CAPSL, LED_SCROLLL} : all;
    case EV_REP: return model_.keys ? std::vector<u16>{REP_DELAY, REP_PERIOD} : all;
    default: return all;
    }
}

void VirtioInput::config(ConfigBytes& c) const {
    std::vector<u8> answer;
    auto number = [&](u32 value, u32 bytes) {
        for (u32 i = 0; i < bytes; i++) answer.push_back(u8(value >> 8 * i));
    };
    switch (select_) {
    case VIRTIO_INPUT_CFG_ID_NAME:
        if (!subsel_) answer.assign(model_.name.begin(), model_.name.end());
        break;
    case VIRTIO_INPUT_CFG_ID_SERIAL:
        if (!subsel_) answer.assign(serial_.begin(), serial_.end());
        break;
    case VIRTIO_INPUT_CFG_ID_DEVIDS:
        if (!subsel_)
            for (u16 v : {bus_virtual, vendor, model_.product, u16(1)}) number(v, 2);
        break;
    case VIRTIO_INPUT_CFG_EV_BITS:
        for (u16 code : codes(subsel_)) {
            if (answer.size() <= code / 8u) answer.resize(code / 8u + 1);
            answer[code / 8u] = u8(answer[code / 8u] | 1u << code % 8);
        }
        break;
    case VIRTIO_INPUT_CFG_ABS_INFO:
        if (model_.absolute && (subsel_ == ABS_X || subsel_ == ABS_Y))
            for (u32 v : {0u, u32(display::absolute_max), 0u, 0u, 0u}) number(v, 4);
        break;
    default: break;
    }
    c.field(select_);
    c.field(subsel_);
    c.field(u8(answer.size()));
    answer.resize(max_text);
    for (int i = 0; i < 5; i++) c.field(u8(0));
    c.bytes.insert(c.bytes.end(), answer.begin(), answer.end());
}

void VirtioInput::input(const InputEvent& e) {
    using display::Button;
    if (group_.size() >= max_waiting) return; // nobody synchronizes
    switch (e.kind) {
    case InputEvent::Kind::key: return add(EV_KEY, e.key->code, e.down);
    case InputEvent::Kind::relative: return add(EV_REL, e.axis == display::Axis::x ? REL_X : REL_Y, e.value);
    case InputEvent::Kind::absolute: return add(EV_ABS, e.axis == display::Axis::x ? ABS_X : ABS_Y, e.value);
    case InputEvent::Kind::button: break;
    }
    if (u16 code = code_of(e.button)) return add(EV_KEY, code, e.down);
    if (!e.down) return;
    switch (e.button) {
    case Button::wheel_up: return add(EV_REL, REL_WHEEL, 1);
    case Button::wheel_down: return add(EV_REL, REL_WHEEL, -1);
    case Button::wheel_left: return add(EV_REL, REL_HWHEEL, -1);
    default: return add(EV_REL, REL_HWHEEL, 1);
    }
}

void VirtioInput::flush() {
    u32 given = 0;
    while (!waiting_.empty()) {
        Chain chain;
        Queue::Pop result = pop(event_queue, chain);
        if (result == Queue::Pop::broken) return;
        if (result == Queue::Pop::none) {
            if (usable(event_queue) && arm(event_queue)) continue;
            break;
        }
        const Event e = waiting_.front();
        waiting_.erase(waiting_.begin()); // first: the buffer may be this device's registers
        const virtio_input_event raw{dma().ordered(e.type), dma().ordered(e.code), dma().ordered(e.value)};
        if (dma().scatter(chain.in, 0, &raw, sizeof raw) != sizeof raw)
            return fail(event_queue, "a buffer for events is too small, or not in memory");
        push(event_queue, chain, sizeof raw);
        given++;
    }
    if (given) interrupt(event_queue);
}

void VirtioInput::take_status(const Chain& chain) {
    virtio_input_event raw{};
    if (dma().gather(chain.out, 0, &raw, sizeof raw) != sizeof raw)
        return trace::guest_error(id(), "a status event is too short");
    const u16 type = dma().ordered(u16(raw.type)), code = dma().ordered(u16(raw.code));
    if (type != EV_LED || code >= 32) return;
    const u32 bit = u32{1} << code;
    leds_ = raw.value ? leds_ | bit : leds_ & ~bit;
}

template <const Model& model>
std::unique_ptr<Device> make() {
    return std::make_unique<VirtioInput>(model);
}

} // namespace
} // namespace mimic::devices::virtio

namespace mimic::devices {
MIMIC_DEVICE(virtio_keyboard){"virtio-keyboard-device", "virtio-bus", "virtio keyboard (VIRTIO 1.2, 5.8)",
                              virtio::make<virtio::keyboard>, true};
MIMIC_DEVICE(virtio_mouse){"virtio-mouse-device", "virtio-bus", "virtio mouse (VIRTIO 1.2, 5.8)",
                           virtio::make<virtio::mouse>, true};
MIMIC_DEVICE(virtio_tablet){"virtio-tablet-device", "virtio-bus",
                            "virtio tablet, a pointer at absolute positions (VIRTIO 1.2, 5.8)",
                            virtio::make<virtio::tablet>, true};
} // namespace mimic::devices
