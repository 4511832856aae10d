// describe(): a device names its members once; visitors make properties, reset, save and load, help, schema and
// documentation of it.
//
//   void describe(Describe& d) override {
//       d.property("frequency", frequency_, "Hz of the input clock", {.low = 1});
//       d.chardev("chardev", port_, "host character device behind this UART");
//       d.interrupt("irq", irq_);
//       d.registers(*this, regs, 0x100);
//       d.state("divisor", divisor_, {.reset = 12});
//       d.state("rx_fifo", rx_, 16);
//   }
//
// What is not named does not reset, migrate or show up. Names are stable: they are the wire names of saved states.
#pragma once
#include "base/result.hpp"
#include "memory/region.hpp"
#include <array>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

namespace mimic::devices {

class CharPort;
class Device;
class Line;
class Timer;
struct DriveRef;
struct NetRef;
template <class D>
struct RegRow;

enum class ResetKind : u8 { power_on, cold, warm };

// Rules of a number that is state. `reset`: its value after resets of kinds down to `until` (warm: after every reset;
// power_on: only then). low, high: loading refuses others. since: version of saved states that has it; older ones give it
// its reset value.
struct StateRules {
    u64 reset = 0;
    u64 low = 0, high = ~u64{0};
    u32 since = 1;
    ResetKind until = ResetKind::warm;
};

// `count` numbers of `bytes` bytes side by side.
struct Numbers {
    void* data = nullptr;
    u8 bytes = 0;
    u32 count = 1;
    u64 get(u32 i) const;
    void set(u32 i, u64 value) const;
    u64 mask() const { return bytes >= 8 ? ~u64{0} : (u64{1} << (8 * bytes)) - 1; }
};

struct PropertyRules {
    u64 low = 0, high = ~u64{0};
    std::span<const std::string_view> choices; // of a number that is one of these names (its index)
    bool size = false;                         // text takes k, M, G
    bool none = false;                         // -1 is all ones: it has none
};

struct Property {
    std::string_view name, help;
    std::variant<bool*, Numbers, std::string*> value;
    PropertyRules rules;
    std::string_view type; // "bool", "uint32", "size", "str", "chardev", "drive", "netdev", ...
};

// A register as documentation and monitors see it.
struct RegisterInfo {
    std::string_view name;
    u64 offset = 0, reset = 0, writable = 0;
    u32 bytes = 0, count = 1;
};

class Describe {
public:
    virtual ~Describe() = default;

    // ---- what a device says ---------------------------------------------------------------------------------------
    template <class T>
    void property(std::string_view name, T& value, std::string_view help, PropertyRules rules = {}) {
        if constexpr (std::is_same_v<T, std::string>)
            on_property({name, help, &value, rules, "str"});
        else if constexpr (std::is_same_v<T, bool>)
            on_property({name, help, &value, rules, "bool"});
        else
            on_property({name, help, numbers(value), rules, rules.size ? "size" : number_type(sizeof(T))});
    }
    template <class T>
    void state(std::string_view name, T& value, StateRules rules = {}) {
        on_numbers(name, numbers(value), rules);
    }
    template <class T, size_t n>
    void state(std::string_view name, std::array<T, n>& values, StateRules rules = {}) {
        Numbers all = numbers(values[0]);
        all.count = n;
        on_numbers(name, all, rules);
    }
    template <class T>
    void state(std::string_view name, std::vector<T>& values, u32 count, StateRules rules) {
        check(values.size() == count);
        if (values.empty()) return;
        Numbers all = numbers(values[0]);
        all.count = count;
        on_numbers(name, all, rules);
    }
    // Bytes of varying number, empty after a reset; loading refuses more than `max`.
    void state(std::string_view name, std::vector<u8>& bytes, u32 max, u32 since = 1) {
        on_bytes(name, bytes, max, since);
    }
    // Values of varying number (requests in flight), none after a reset: each is described by `each`.
    template <class T, class F>
    void list(std::string_view name, std::vector<T>& values, u32 max, F each, u32 since = 1) {
        u32 count = u32(values.size());
        if (!on_list(name, count, max, since)) return;
        values.resize(count);
        for (u32 i = 0; i < count; i++) {
            Group group(*this, name, i);
            each(*this, values[i]);
        }
    }
    // A name in front of the names inside: Group group(d, "queue", 3);
    class Group {
    public:
        Group(Describe& d, std::string_view name, u32 index);
        explicit Group(Describe& d, std::string_view name);
        ~Group() { d_.prefix_.resize(length_); }
        Group(const Group&) = delete;

    private:
        Describe& d_;
        size_t length_;
    };
    // Shown by monitors; follows from the rest.
    void derived(std::string_view name, u64 value) { on_derived(name, value); }
    void interrupt(std::string_view name, Line& line) { on_line(name, line); }
    void timer(std::string_view name, Timer& timer) { on_timer(name, timer); }
    void chardev(std::string_view name, CharPort& port, std::string_view help) { on_chardev(name, port, help); }
    void drive(std::string_view name, DriveRef& drive, std::string_view help) { on_drive(name, drive, help); }
    void netdev(std::string_view name, NetRef& net, std::string_view help) { on_netdev(name, net, help); }

    // Registers of a table, mounted as the device's next region of `size` bytes (registers.hpp); frame_bytes: the table is there
    // again after as many.
    template <class D, size_t n>
    void registers(D& device, const RegRow<D> (&rows)[n], u64 size, const memory::AccessRules& rules = {},
                   std::string_view name = {}, u64 frame_bytes = 0);
    // Bytes that no table describes (a data port, a configuration window), mounted as the next region.
    template <class D>
    void window(std::string_view name, D& device, u64 size, const memory::AccessRules& rules,
                u64 (D::*read)(u64 offset, u32 bytes), void (D::*write)(u64 offset, u32 bytes, u64 value));
    // A region that the device made itself (ROM, flash, a container).
    void region(memory::Region& region) { on_region(region); }

protected:
    // ---- what a visitor hears -------------------------------------------------------------------------------------
    virtual void on_property(const Property&) {}
    virtual void on_numbers(std::string_view, const Numbers&, const StateRules&) {}
    virtual void on_bytes(std::string_view, std::vector<u8>&, u32 /*max*/, u32 /*since*/) {}
    // `count` may be changed: the list is made that long. False: the elements are not visited.
    virtual bool on_list(std::string_view, u32& /*count*/, u32 /*max*/, u32 /*since*/) { return false; }
    virtual void on_derived(std::string_view, u64) {}
    virtual void on_line(std::string_view, Line&) {}
    virtual void on_timer(std::string_view, Timer&) {}
    virtual void on_chardev(std::string_view, CharPort&, std::string_view) {}
    virtual void on_drive(std::string_view, DriveRef&, std::string_view) {}
    virtual void on_netdev(std::string_view, NetRef&, std::string_view) {}
    virtual void on_register(const RegisterInfo&) {}
    virtual void on_handler(std::string_view, std::unique_ptr<memory::Handler>, const memory::AccessRules&, u64) {}
    virtual void on_region(memory::Region&) {}
    virtual bool wants_handlers() const { return false; }

    // The name with the groups it is in: "queue[3].size".
    std::string full(std::string_view name) const { return prefix_ + std::string(name); }

private:
    template <class T>
    static Numbers numbers(T& value) {
        static_assert(std::is_integral_v<T> || std::is_enum_v<T>);
        return {&value, sizeof(T), 1};
    }
    static std::string_view number_type(size_t bytes);
    static void check(bool ok);
    std::string prefix_;
};

} // namespace mimic::devices
