// The console device (VIRTIO 1.2, 5.3) with one port or many, and its ports: virtconsole (a terminal) and virtserialport (a
// pipe with a name). Not there: sizes of terminals.
#include "base/trace.hpp"
#include "devices/base/machine.hpp"
#include "devices/virtio/device.hpp"
#include <algorithm>
#include <cstring>
#include <linux/virtio_console.h>

namespace mimic::devices::virtio {

namespace {

constexpr u32 most_ports = 511;
constexpr u32 any_number = 0xffffffff;
constexpr u32 max_input = 4096;       // bytes that wait for the guest's buffers
constexpr u32 max_messages = 4096;    // control messages that wait for them
constexpr u64 retry_delay = 10000000; // of a full back end that nobody wakes

class Port;

// Queues of port 0: 0 and 1; of control: 2 and 3; of port n: 2n + 2 and 2n + 3. The even ones lead to the guest.
u32 receive_queue(u32 port) { return port ? 2 * port + 2 : 0; }

class VirtioSerial final : public VirtioDevice {
public:
    std::string_view type() const override { return "virtio-serial-device"; }
    u16 device_id() const override { return 3; }
    void describe(Describe& d) override;
    Result<void> realize() override {
        TRY(VirtioDevice::realize());
        make_queues(2 * (max_ports_ + 1));
        ports_.resize(max_ports_);
        return {};
    }
    u64 device_features() const override {
        u64 f = max_ports_ > 1 ? feature(VIRTIO_CONSOLE_F_MULTIPORT) : 0;
        return f | (emergency_write_ ? feature(VIRTIO_CONSOLE_F_EMERG_WRITE) : 0);
    }
    void config(ConfigBytes& c) const override {
        c.field(u16(0)); // columns, rows: SIZE is not offered
        c.field(u16(0));
        c.field(max_ports_);
        c.field(u32(0)); // emerg_wr
    }
    void config_written(u32 offset, u8 value) override;
    void notified(u32 n) override;
    void driver_ready() override;
    void forget() override;
    void queue_reset(u32 n) override;

    std::string_view bus_type() const override { return "virtio-serial-bus"; }
    bool bus_full() const override { return std::find(ports_.begin(), ports_.end(), nullptr) == ports_.end(); }
    Result<void> plug(Device& d) override;

    // ---- for ports ------------------------------------------------------------------------------------------------
    void unplug(Port& port);
    void flush(Port& port);
    void host_open_changed(Port& port);
    void writable(u32 port) {
        if (usable(receive_queue(port) + 1)) transmit(port);
    }
    bool many() const { return has(VIRTIO_CONSOLE_F_MULTIPORT); }

private:
    struct Message {
        u32 port = 0;
        u16 event = 0, value = 0;
    };
    Port* port(u32 n) const { return n < ports_.size() ? ports_[n] : nullptr; }
    void transmit(u32 port);
    void tell(u32 port, u16 event, u16 value);
    void flush_messages();
    void control(u32 n);
    void command(const Message& m);

    u32 max_ports_ = 31;
    bool emergency_write_ = true;
    std::vector<Port*> ports_;
    std::vector<Message> messages_;
    u8 device_ready_ = 0; // the driver said so
};

class Port : public Device {
public:
    Port(std::string_view type, bool console) : type_(type), console_(console) {}
    std::string_view type() const override { return type_; }
    void describe(Describe& d) override {
        d.chardev("chardev", chardev, "host character device behind this port");
        d.property("name", name, "what the guest finds it by");
        d.property("nr", number, "its number on the bus; 4294967295: the first free one");
        d.state("guest_open", guest_open, {.high = 1});
        d.state("host_closed", host_closed, {.high = 1});
        d.state("sent", sent);
        d.state("input", input, max_input);
    }
    Result<void> realize() override {
        if (name.size() > 255) return Error::invalid_argument("property 'name': expected at most 255 characters");
        return {};
    }
    void unrealize() override {
        if (bus) bus->unplug(*this);
        bus = nullptr;
    }
    bool console() const { return console_; }
    // A program of the guest has it, or has left it: who talks to it at the other end wants to know.
    void set_guest_open(bool open) {
        if (std::exchange(guest_open, open) == open || console_ || id().starts_with("device[")) return;
        Json data = Json::object();
        data.set("id", id());
        data.set("open", open);
        machine().tell("VSERPORT_CHANGE", std::move(data));
    }
    bool host_open() const { return console_ || (chardev.connected() && !host_closed); }

    CharPort chardev{*this,
                     {.room = [this] { return room(); },
                      .receive =
                          [this](std::span<const u8> bytes) {
                              input.insert(input.end(), bytes.begin(), bytes.end());
                              if (bus) bus->flush(*this);
                          },
                      .event = [this](chardev::Event e) { changed(e); },
                      .writable =
                          [this] {
                              if (bus) bus->writable(number);
                          }}};
    std::string name;
    u32 number = any_number;
    u8 guest_open = 0, host_closed = 0;
    u64 sent = 0; // bytes of the first chain of the transmit queue
    std::vector<u8> input;
    VirtioSerial* bus = nullptr;

private:
    u32 room() const {
        bool open = bus && (guest_open || !bus->many());
        return open ? max_input - u32(std::min<size_t>(input.size(), max_input)) : 0;
    }
    void changed(chardev::Event e) {
        if (e != chardev::Event::opened && e != chardev::Event::closed) return;
        bool before = host_open();
        host_closed = e == chardev::Event::closed;
        if (bus && host_open() != before) bus->host_open_changed(*this);
    }
    std::string_view type_;
    bool console_;
};

struct Console final : Port {
    Console() : Port("virtconsole", true) {}
};
struct SerialPort final : Port {
    SerialPort() : Port("virtserialport", false) {}
};

void VirtioSerial::describe(Describe& d) {
    VirtioDevice::describe(d);
    d.property("max_ports", max_ports_, "ports that fit", {.low = 1, .high = most_ports});
    d.property("emergency-write", emergency_write_, "offer output before the driver is there");
    d.state("device_ready", device_ready_, {.high = 1});
    d.list("message", messages_, max_messages, [](Describe& e, Message& m) {
        e.state("port", m.port, {.high = most_ports});
        e.state("event", m.event);
        e.state("value", m.value);
    });
}

Result<void> VirtioSerial::plug(Device& d) {
    auto* p = dynamic_cast<Port*>(&d);
    if (!p)
        return Error::invalid_argument("{} does not fit a virtio-serial-bus, expected virtconsole or virtserialport",
                                       d.type());
    if (p->number == any_number) {
        // Number 0 is for a console: drivers without MULTIPORT use it as one.
        u32 first = p->console() ? 0 : 1;
        auto at = first < ports_.size() ? std::find(ports_.begin() + first, ports_.end(), nullptr) : ports_.end();
        if (at == ports_.end()) return Error::busy("{}: no port is free on {}", p->type(), id());
        p->number = u32(at - ports_.begin());
    }
    if (p->number >= ports_.size())
        return Error::invalid_argument("{}: property 'nr': {}, expected at most {}", p->type(), p->number,
                                       ports_.size() - 1);
    if (p->number == 0 && !p->console())
        return Error::invalid_argument("{}: property 'nr': 0 is for a virtconsole", p->type());
    if (ports_[p->number])
        return Error::busy("{}: property 'nr': {} is taken by '{}'", p->type(), p->number, ports_[p->number]->id());
    ports_[p->number] = p;
    p->bus = this;
    if (device_ready_) tell(p->number, VIRTIO_CONSOLE_PORT_ADD, 1);
    return {};
}

void VirtioSerial::unplug(Port& port) {
    if (device_ready_) tell(port.number, VIRTIO_CONSOLE_PORT_REMOVE, 1);
    ports_[port.number] = nullptr;
}

void VirtioSerial::forget() {
    messages_.clear();
    device_ready_ = 0;
    for (Port* p : ports_) {
        if (!p) continue;
        p->set_guest_open(false);
        p->sent = 0;
        p->input.clear();
    }
}

void VirtioSerial::queue_reset(u32 n) {
    if (n % 2 == 0 || n == 3) return;
    if (Port* p = port(n < 2 ? 0 : n / 2 - 1)) p->sent = 0; // of a chain that is forgotten
}

void VirtioSerial::driver_ready() {
    if (!many() && port(0)) port(0)->chardev.accept_input();
}

void VirtioSerial::config_written(u32 offset, u8 value) {
    if (offset != offsetof(virtio_console_config, emerg_wr) || !emergency_write_ || !port(0)) return;
    port(0)->chardev.write({&value, 1});
}

void VirtioSerial::notified(u32 n) {
    if (n == 2) return flush_messages();
    if (n == 3) return control(n);
    u32 number = n < 2 ? 0 : n / 2 - 1;
    if (n % 2) return transmit(number);
    if (Port* p = port(number)) flush(*p);
}

// ---- bytes ------------------------------------------------------------------------------------------------------------

// From the guest. What the back end does not take stays in its chain, which goes back.
void VirtioSerial::transmit(u32 number) {
    u32 n = receive_queue(number) + 1;
    Port* p = port(number);
    serve(n, [&](Chain& chain) {
        u64 bytes = total(chain.out);
        while (p && p->sent < bytes) {
            u8 piece[4096];
            u64 count = std::min<u64>(sizeof piece, bytes - p->sent);
            if (dma().gather(chain.out, p->sent, piece, count) != count) {
                fail(n, "a buffer is not in memory");
                return false;
            }
            u32 taken = p->chardev.write({piece, count});
            p->sent += taken;
            if (taken == count) continue;
            serve_again(n, retry_delay);
            return false;
        }
        if (p) p->sent = 0;
        complete(n, chain, 0);
        return true;
    });
}

// To the guest.
void VirtioSerial::flush(Port& p) {
    u32 n = receive_queue(p.number);
    size_t before = p.input.size();
    while (!p.input.empty()) {
        Chain chain;
        Queue::Pop result = pop(n, chain);
        if (result == Queue::Pop::broken) return;
        if (result == Queue::Pop::none) {
            if (usable(n) && arm(n)) continue;
            break;
        }
        u64 count = std::min<u64>(total(chain.in), p.input.size());
        std::vector<u8> bytes(p.input.begin(), p.input.begin() + i64(count));
        p.input.erase(p.input.begin(),
                      p.input.begin() + i64(count)); // first: the buffer may be this device's registers
        if (dma().scatter(chain.in, 0, bytes.data(), count) != count) return fail(n, "a buffer is not in memory");
        complete(n, chain, u32(count));
    }
    if (p.input.size() < before || before == 0) p.chardev.accept_input();
}

// ---- control (5.3.6.2) ------------------------------------------------------------------------------------------------

void VirtioSerial::tell(u32 number, u16 event, u16 value) {
    if (!many()) return;
    if (messages_.size() >= max_messages)
        return trace::guest_error(id(), "takes no control messages, one of port {} is lost", number);
    messages_.push_back({number, event, value});
    flush_messages();
}

void VirtioSerial::flush_messages() {
    constexpr u32 n = 2;
    while (!messages_.empty()) {
        Message m = messages_.front();
        Chain chain;
        Queue::Pop result = pop(n, chain);
        if (result == Queue::Pop::broken) return;
        if (result == Queue::Pop::none) {
            if (usable(n) && arm(n)) continue;
            return;
        }
        messages_.erase(messages_.begin());
        virtio_console_control c{dma().ordered(m.port), dma().ordered(m.event), dma().ordered(m.value)};
        std::vector<u8> bytes(sizeof c);
        std::memcpy(bytes.data(), &c, sizeof c);
        Port* p = port(m.port);
        if (m.event == VIRTIO_CONSOLE_PORT_NAME && p) {
            bytes.insert(bytes.end(), p->name.begin(), p->name.end());
            bytes.push_back(0);
        }
        if (total(chain.in) < bytes.size()) {
            trace::guest_error(id(), "a control buffer has {} bytes, expected {}", total(chain.in), bytes.size());
            complete(n, chain, 0);
            continue;
        }
        if (dma().scatter(chain.in, 0, bytes.data(), bytes.size()) != bytes.size())
            return fail(n, "a buffer is not in memory");
        complete(n, chain, u32(bytes.size()));
    }
}

void VirtioSerial::control(u32 n) {
    serve(n, [&](Chain& chain) {
        virtio_console_control c{};
        bool whole = dma().gather(chain.out, 0, &c, sizeof c) == sizeof c;
        complete(n, chain, 0);
        if (whole)
            command({dma().ordered(u32(c.id)), dma().ordered(u16(c.event)), dma().ordered(u16(c.value))});
        else
            trace::guest_error(id(), "a control message is too short");
        return true;
    });
}

void VirtioSerial::command(const Message& m) {
    if (m.event == VIRTIO_CONSOLE_DEVICE_READY) {
        device_ready_ = m.value != 0;
        if (!device_ready_) return;
        for (Port* p : ports_)
            if (p) tell(p->number, VIRTIO_CONSOLE_PORT_ADD, 1);
        return;
    }
    Port* p = port(m.port);
    if (!p) return trace::guest_error(id(), "control message {} of port {}, which is not there", m.event, m.port);
    switch (m.event) {
    case VIRTIO_CONSOLE_PORT_READY:
        if (!m.value) return trace::guest_error(id(), "the driver could not add port {}", m.port);
        if (p->console()) tell(p->number, VIRTIO_CONSOLE_CONSOLE_PORT, 1);
        if (!p->name.empty()) tell(p->number, VIRTIO_CONSOLE_PORT_NAME, 1);
        if (p->host_open()) tell(p->number, VIRTIO_CONSOLE_PORT_OPEN, 1);
        return;
    case VIRTIO_CONSOLE_PORT_OPEN:
        p->set_guest_open(m.value != 0);
        if (p->guest_open) p->chardev.accept_input();
        return;
    default: trace::guest_error(id(), "control message {}, which is unknown", m.event);
    }
}

void VirtioSerial::host_open_changed(Port& p) { tell(p.number, VIRTIO_CONSOLE_PORT_OPEN, p.host_open()); }

} // namespace
} // namespace mimic::devices::virtio

namespace mimic::devices {
MIMIC_DEVICE(virtio_serial){"virtio-serial-device", "virtio-bus", "virtio console device (VIRTIO 1.2, 5.3)",
                            make_device<virtio::VirtioSerial>, true};
MIMIC_DEVICE(virtconsole){"virtconsole", "virtio-serial-bus", "terminal of a virtio-serial device",
                          make_device<virtio::Console>, true};
MIMIC_DEVICE(virtserialport){"virtserialport", "virtio-serial-bus", "port of a virtio-serial device",
                             make_device<virtio::SerialPort>, true};
} // namespace mimic::devices
