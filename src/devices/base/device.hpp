// Device, and what it is made of: contexts, lines, timers, ports to the host's back ends.
//
// Life: make() -> properties are set -> Machine::add (regions are made, realize()) -> reset(power_on) -> accesses, lines,
// timers, back ends, all inside the device's context -> unrealize().
#pragma once
#include "base/json.hpp"
#include "chardev/chardev.hpp"
#include "devices/base/describe.hpp"
#include "net/net.hpp"
#include <atomic>
#include <functional>
#include <mutex>

namespace mimic::block {
class Hurried;
class Root;
} // namespace mimic::block
namespace mimic::memory {
class AddressSpace;
}

namespace mimic::devices {

class Machine;

// Devices of a context are entered by one thread at a time. A thread inside may enter the same context again (DMA to
// another device of it) and contexts of higher rank (interrupt controllers, through lines), never one of a lower or the
// same rank: that would be a lock order for deadlocks, and is refused.
class Context {
public:
    explicit Context(std::string name, u32 rank = 0) : name_(std::move(name)), rank_(rank) {}
    const std::string& name() const { return name_; }

    class [[nodiscard]] Entry {
    public:
        explicit Entry(Context& context);
        ~Entry();
        Entry(const Entry&) = delete;
        // False: the order forbids it.
        explicit operator bool() const { return entered_ || nested_; }

    private:
        Context& context_;
        Context* outer_ = nullptr;
        bool entered_ = false, nested_ = false;
    };
    bool inside() const; // this thread is

private:
    std::string name_;
    u32 rank_;
    std::mutex mutex_;
    Context* outer_ = nullptr; // of the thread that is inside
};

// What a line ends at. Any thread may set levels; an interrupt controller enters its own context.
class LineSink {
public:
    virtual ~LineSink() = default;
    virtual void set_line(u32 number, bool level) = 0;
};

// An output of a device. Its level is state: saved, driven again after a load, low after a reset.
class Line {
public:
    void connect(LineSink& sink, u32 number) {
        sink_ = &sink;
        number_ = number;
    }
    bool connected() const { return sink_; }
    LineSink* sink() const { return sink_; }
    u32 number() const { return number_; } // there
    bool level() const { return level_.load(std::memory_order_relaxed); }
    void set(bool level) {
        if (level_.exchange(level, std::memory_order_seq_cst) != level && sink_) sink_->set_line(number_, level);
    }
    // The sink hears the level although it is the same: it was reset or loaded.
    void drive() {
        if (sink_) sink_->set_line(number_, level());
    }

private:
    std::atomic<bool> level_{false};
    LineSink* sink_ = nullptr;
    u32 number_ = 0;
};

// Calls back once when the machine's clock reaches a deadline, inside the device's context. The deadline is state.
class Timer {
public:
    static constexpr u64 never = ~u64{0};
    Timer(Device& device, std::function<void()> callback) : device_(device), callback_(std::move(callback)) {}
    ~Timer();
    Timer(const Timer&) = delete;
    // Nanoseconds of Machine::now(); in the past: soon. `never` disarms. Inside the device's context only.
    void arm(u64 deadline);
    void disarm() { arm(never); }
    u64 deadline() const { return deadline_; }

private:
    friend class TimerQueue;
    Device& device_;
    std::function<void()> callback_;
    u64 deadline_ = never;
};

// The device's side of a host character device. Called inside the context.
class CharPort final : public chardev::FrontEnd {
public:
    struct Handlers {
        std::function<u32()> room;                        // bytes that receive would take
        std::function<void(std::span<const u8>)> receive; // at most room()
        std::function<void(chardev::Event)> event;        // may be empty
        std::function<void()> writable;                   // after a write took less than all; may be empty
    };
    CharPort(Device& device, Handlers handlers) : device_(device), handlers_(std::move(handlers)) {}
    ~CharPort() override;
    // Bytes taken; with no character device all are, and go nowhere.
    u32 write(std::span<const u8> bytes);
    // room() grew.
    void accept_input();
    // Machine::thaw: what was kept back comes now.
    void thawed();
    // Machine::load: whether the device waits for room is not in its state. thawed() wakes it.
    void loaded() { told_full_ = true; }
    // The back end goes: it gets what it had no room for, as far as it is read there within some two seconds.
    void write_out();
    bool connected() const { return chardev_; }
    std::string id; // the property; empty: none

    u32 room() override;
    void receive(std::span<const u8> bytes) override;
    void event(chardev::Event e) override;
    void writable() override;
    bool can_move() const override { return true; }
    void move_to(chardev::Chardev& to) override;

private:
    friend class Machine;
    Device& device_;
    Handlers handlers_;
    chardev::Chardev* chardev_ = nullptr;
    std::vector<chardev::Event> kept_; // while the machine is frozen
    static constexpr std::size_t most_waiting = 1 << 20;
    std::vector<u8> waiting_; // counted time: what the back end had no room for
    bool told_full_ = false;  // counted time: a write took less than all
};

// A disk of the block layer, by the id that -drive gave it. It is used on the loop thread.
struct DriveRef {
    std::string id;
    std::shared_ptr<block::Root> node;
    bool read_only = false;
    std::string on_write_error, on_read_error; // of -drive; empty: the device's own
};

// A host network, by the id that -netdev gave it. The device attaches itself to the peer.
struct NetRef {
    std::string id;
    net::BackEnd* peer = nullptr;
};

class Device {
public:
    Device() = default;
    virtual ~Device();
    Device(const Device&) = delete;

    virtual std::string_view type() const = 0;
    virtual void describe(Describe& d) = 0;

    // Properties are set and back ends found. Errors name the property: the caller adds the device.
    virtual Result<void> realize() { return {}; }
    virtual void unrealize() {}
    // After described state has its reset values and lines are low. Inside the context.
    virtual void reset(ResetKind) {}
    // The only hooks of save and load. Inside the context.
    virtual void before_save() {}
    virtual Result<void> after_load() { return {}; }
    // Of what has a disk: "failed" or "nospace" while a request waits for the machine to run again, for which it was stopped.
    // Any thread.
    virtual std::string_view io_status() const { return "ok"; }
    // Requests that back ends work at now, and that write to memory or change state when they end. Inside the context.
    virtual u32 in_flight() const { return 0; }
    // The machine is no longer frozen: back ends may be asked for what they kept back. Outside the context.
    virtual void thawed() {}
    // Where lines of others may end; null: nowhere.
    virtual LineSink* inputs() { return nullptr; }
    // Of buses: the kind of devices that fit, and how one is plugged.
    virtual std::string_view bus_type() const { return {}; }
    virtual Result<void> plug(Device&) { return Error::unsupported("{} has no bus", type()); }
    virtual bool bus_full() const { return true; }
    virtual bool hotplug() const { return false; } // devices come and go while the machine lives
    // A device that is made with this one and plugged into it: properties that this one has not are the other's.
    virtual Device* inner() const { return nullptr; }
    // As Open Firmware (IEEE 1275) names it below its parent's node ("disk@0,0"); empty: it has no node.
    virtual std::string firmware_node() const { return {}; }
    // Its place among those that firmware starts from, the lowest first.
    static constexpr u32 no_boot_index = ~u32{0};
    virtual u32 boot_index() const { return no_boot_index; }
    // Properties of a device that lives, which qom-get and qom-set reach: name and type. Loop's thread, outside the context.
    struct LiveProperty {
        std::string_view name, type;
    };
    virtual std::span<const LiveProperty> live_properties() const { return {}; }
    virtual Result<Json> get_live(std::string_view) { return Error::not_found("there is no such property"); }
    virtual Result<void> set_live(std::string_view name, const Json&) {
        return Error::unsupported("property '{}' can only be read", name);
    }
    // Interrupt controllers have a context of their own.
    virtual u32 context_rank() const { return 0; }

    const std::string& id() const { return id_; }
    std::string path() const; // "/machine/soc/serial0"
    Machine& machine() const { return *machine_; }
    Device* parent() const { return parent_; }
    const std::vector<Device*>& children() const { return children_; }
    Context& context() const { return *context_; }
    memory::AddressSpace& memory() const; // that its DMA reaches
    memory::Region& region(u32 n) const { return *regions_.at(n); }
    u32 regions() const { return u32(regions_.size()); }
    // The access that a register is being read or written by; inside such handlers only.
    const memory::Attributes& access() const { return access_; }
    u32 frame() const { return frame_; } // of a region that has several

protected:
    // Inside a register's write handler: the access waits, and comes again a little later (memory::Outcome::wait). For what a guest
    // may take for done when its store is. False: who made it cannot wait.
    bool hold_access() {
        held_ = access_.can_wait;
        return held_;
    }

private:
    friend class Machine;
    friend struct RegionMaker;
    friend class BankBase;
    std::string id_;
    Machine* machine_ = nullptr;
    Device* parent_ = nullptr;
    std::vector<Device*> children_;
    Context* context_ = nullptr;
    std::unique_ptr<Context> own_context_;
    std::vector<std::unique_ptr<memory::Handler>> handlers_;
    std::vector<std::unique_ptr<memory::Region>> made_;
    std::vector<memory::Region*> regions_;
    bool realized_ = false;
    memory::Attributes access_;
    bool held_ = false; // hold_access() was called in the access that is being made
    u32 frame_ = 0;
};

// A kind of device that users and boards name. One constant object; its file is found by its name in MIMIC_DEVICE.
struct DeviceType {
    std::string_view name;    // as in -device
    std::string_view bus;     // "system", "virtio", ...
    std::string_view summary; // for help
    std::unique_ptr<Device> (*make)();
    bool user = false; // -device may create it
    std::string_view alias{};
};
#define MIMIC_DEVICE(ident)                                                                                            \
    extern const DeviceType ident##_type;                                                                              \
    constinit const DeviceType ident##_type
template <class D>
std::unique_ptr<Device> make_device() {
    return std::make_unique<D>();
}

} // namespace mimic::devices
