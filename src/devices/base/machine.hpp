// Machine: the object tree of one machine, its memory, and the five ports by which time and chance enter: clock, random,
// character and network input, block completion, command. No device asks the host for any of these itself.
#pragma once
#include "base/io/loop.hpp"
#include "base/json.hpp"
#include "devices/base/device.hpp"
#include "devices/base/input_queue.hpp"
#include "display/console.hpp"
#include "memory/address_space.hpp"
#include <map>

namespace mimic::devices {

enum class Port : u8 { clock, random, character, network, block, command };

// What a guest (or a person) asks of the whole machine.
struct Request {
    enum class Kind : u8 { reset, shutdown, poweroff_failed, stop };
    Kind kind = Kind::reset;
    std::string cause; // "guest-reset", "guest-shutdown", "host-signal", ...
    int status = 0;    // exit status of the process, for test finishers
};

// Name and text of a property.
using PropertyList = std::vector<std::pair<std::string, std::string>>;

// A default of every device of a type, as -global gives it.
struct GlobalProperty {
    std::string type, name, value;
};

class CountedTime;
class Agenda;

// A device that takes memory from the guest and gives it back, as monitors ask for. Loop's thread.
class Balloon {
public:
    virtual ~Balloon() = default;
    // Bytes of RAM that the guest is to have, and has.
    virtual void set_target(u64 bytes) = 0;
    virtual u64 actual() = 0;
};

class Machine {
public:
    struct Options {
        io::Loop* loop = nullptr;                 // null: timers run in advance() only
        bool manual_clock = false;                // time passes in advance() only
        bool counted = false;                     // time is counted in instructions: count_time() says by whom
        u64 random_seed = 0;                      // not 0: the random port is a generator with this seed
        i64 rtc_offset = 0;                       // seconds that the guest's wall clock is ahead of the host's
        i64 rtc_start = 946684800;                // where it begins when time is manual or counted: seconds since 1970
        std::span<const DeviceType* const> types; // that create() knows
        std::vector<GlobalProperty> globals;      // set before a device's own properties
    };
    explicit Machine(const Options& options);
    ~Machine();
    Machine(const Machine&) = delete;

    // ---- ports ----------------------------------------------------------------------------------------------------
    // Guest-visible nanoseconds since the machine was made; stands still while it is stopped. Any thread.
    u64 now() const;
    // Wall clock in nanoseconds since 1970 as the guest's RTC shows it.
    u64 wall_clock() const;
    void random(std::span<u8> out);
    // Named sources (-object rng-random): a file of the host; with no path, what random() gives. Errors: it cannot be opened.
    Result<void> add_random_source(const std::string& id, const std::string& path);
    bool has_random_source(std::string_view id) const { return random_sources_.contains(id); }
    // Bytes that one has now, up to out's. A seeded machine has those of its generator from every source.
    u64 random_of(std::string_view id, std::span<u8> out);
    // Input from the host, on the loop's thread: f runs inside the device's context.
    void arrive(Port port, Device& device, const std::function<void()>& f);
    u64 arrivals(Port port) const { return arrivals_[u8(port)].load(std::memory_order_relaxed); }
    // Runs f on the loop's thread, outside of any context. Any thread.
    void post(std::function<void()> f);
    // Lets time pass and timers fire (manual clock).
    void advance(u64 nanoseconds);
    bool manual_clock() const { return options_.manual_clock; }
    // ---- counted time (counted.hpp)
    bool is_counted() const { return options_.counted; }
    void count_time(CountedTime& time); // before anything runs
    void end_count();                   // before `time` goes; nothing runs
    u64 count() const;                  // instructions; 0: not counted
    // A guest's request was made: its answer() comes, with this number, when it is there, or at its time when that is counted.
    // Inside the device's context.
    u64 expect();
    void answer(u64 number, Port port, Device& device, std::function<void()> f);
    // As post, of work that a guest asked for and may see the outcome of.
    void ask(Port port, std::function<void()> f);
    // While the machine is stopped: answers come at once, until false.
    void hurry(bool on);
    u64 next_event() const;
    bool run_events(const std::function<bool()>& stop);
    void wake_events();
    void event_is_near();
    u64 next_deadline() const; // of all timers; Timer::never: none is armed
    // Starts and stops the clock and with it the timers.
    void set_running(bool running);
    bool running() const { return clock_.load(std::memory_order_relaxed) & 1; }
    // While stopped: what now() is, and where the generator of a seeded random port stands (a saved machine is loaded).
    void set_now(u64 nanoseconds, u64 count = 0);
    u64 random_state() const { return random_state_; }
    void set_random_state(u64 state) { random_state_ = state; }
    // Frozen, a stopped machine hears nothing from networks and character devices, so that its state and memory stay as they
    // are while they are read. Loop's thread.
    void freeze();
    void thaw();
    bool frozen() const { return frozen_; }
    // Requests of devices that back ends work at; their ends still arrive, and limits of disks don't delay them.
    u32 in_flight() const;
    // Waits for them while the machine is stopped; the loop does other work meanwhile. On its thread.
    void settle();
    // Any thread; on_request hears it on the loop's thread (with no loop: at once).
    void request(Request r);
    std::function<void(const Request&)> on_request;

    io::Loop* loop() const { return options_.loop; }
    memory::Region& system() { return system_; }
    memory::AddressSpace& memory() { return *memory_; }

    // ---- tree -----------------------------------------------------------------------------------------------------
    Device& root() { return *root_; }
    std::span<const DeviceType* const> types() const { return options_.types; }
    const DeviceType* find_type(std::string_view name) const;
    // Makes a device of the type, sets properties, realizes it below `parent` (null: the root). An empty id gets one.
    Result<Device*> create(std::string_view type, std::string id, const PropertyList& properties = {},
                           Device* parent = nullptr);
    Result<Device*> add(std::unique_ptr<Device> device, std::string id, const PropertyList& properties = {},
                        Device* parent = nullptr);
    Result<void> remove(Device& device);
    // By path or id; null: none.
    Device* find(std::string_view path_or_id) const;
    void each(const std::function<void(Device&)>& f) const; // parents first
    // The last bus of that kind with room for a device, which is what users of the reference get; null: none.
    Device* find_bus(std::string_view type) const;

    void mount(Device& device, u32 region, u64 at, int priority = 0);
    // Connects the line that describe() calls `line`; a check when there is none (boards know their devices).
    void connect(Device& device, std::string_view line, LineSink& sink, u32 number);

    // ---- back ends ------------------------------------------------------------------------------------------------
    void add_chardev(std::unique_ptr<chardev::Chardev> dev);
    chardev::Chardev* find_chardev(std::string_view id) const;
    std::span<const std::unique_ptr<chardev::Chardev>> chardevs() const { return chardevs_; }
    void remove_chardev(std::string_view id); // that no front end has
    // Opens one as -serial names it ("tcp:HOST:PORT"), for networks that need one. Empty: only those that are there.
    std::function<Result<std::unique_ptr<chardev::Chardev>>(const std::string& id, const std::string& text)>
        open_chardev;
    struct Drive {
        std::shared_ptr<block::Root> node;
        bool read_only = false;
        Device* user = nullptr;
        std::string on_write_error, on_read_error; // what its device does unless it says otherwise; empty: its own
    };
    std::map<std::string, Drive, std::less<>> drives;
    struct Net {
        std::unique_ptr<net::BackEnd> peer;
        Device* user = nullptr;
        u32 order = 0; // later ones may use those before them
    };
    std::map<std::string, Net, std::less<>> nets;
    Balloon* balloon = nullptr;                         // of its device
    u64 ram_bytes = 0;                                  // of the board's RAM
    display::Consoles& consoles() { return consoles_; } // on the loop's thread
    InputQueue& input() { return *input_; }             // inside the machine's context
    // Dirty flags of RAM were cleared. When this returns, what processors wrote under their old rights is in memory, and the next
    // write to each page sets its flags. On the loop's thread, outside of any context; the board does it.
    void settle_writes() {
        if (on_settle_writes) on_settle_writes();
    }
    std::function<void()> on_settle_writes;

    // An event of QMP, from any thread; on_event hears it on the loop's thread.
    void tell(std::string_view name, Json data);
    std::function<void(std::string_view name, Json data)> on_event;
    // Opens a host network. Errors: its id is taken, and those of net::open.
    Result<void> add_net(net::Options options);
    // Errors: there is none of that id; it is in use.
    Result<void> remove_net(std::string_view id);

    // ---- state ----------------------------------------------------------------------------------------------------
    void reset(ResetKind kind);
    std::vector<u8> save();
    // Checks everything it reads; after an error the machine must be reset.
    Result<void> load(std::span<const u8> bytes);
    // Lines take their saved levels now: no edge of theirs is an event.
    bool loading() const { return loading_; }

private:
    friend class Timer;
    friend class CharPort;
    Result<void> link_back_ends(Device& device);
    void detach_back_ends(Device& device);
    void make_regions(Device& device);

    u64 counted_now() const;
    bool on_counting_thread() const;

    Options options_;
    CountedTime* counted_ = nullptr;
    std::unique_ptr<Agenda> agenda_;
    u64 timers_ran_at_ = Timer::never; // counted time
    // Bit 0: running. Above it, while it runs, host time at now() == 0; else now(). One word, so that readers never see the
    // one without the other; modulo 2^63 ns, which is 292 years.
    std::atomic<u64> clock_{0};
    std::atomic<u64> arrivals_[6]{};
    std::mutex random_mutex_;
    u64 random_state_ = 0;
    std::map<std::string, int, std::less<>> random_sources_; // descriptors; -1: random() itself
    memory::Region system_;
    std::unique_ptr<memory::AddressSpace> memory_;
    Context context_; // of devices that have none of their own
    std::unique_ptr<class TimerQueue> timers_;
    display::Consoles consoles_;
    std::vector<std::unique_ptr<Device>> devices_; // parents before children
    Device* root_ = nullptr;
    std::unique_ptr<InputQueue> input_;
    std::vector<std::unique_ptr<chardev::Chardev>> chardevs_;
    u32 next_id_ = 0, next_net_ = 1;
    std::unique_ptr<net::Context> net_context_;            // made with the first
    std::vector<std::shared_ptr<block::Hurried>> hurried_; // while frozen
    bool frozen_ = false, loading_ = false;
};

// Sets a property from text. Errors name type, property and what was expected.
Result<void> set_property(Device& device, std::string_view name, std::string_view text);
// The value as text; an error when there is none.
Result<std::string> get_property(Device& device, std::string_view name);
// "  name=<type>  - help (default: x)" lines, sorted by name.
std::string property_help(Device& device);
// Registers, properties and state in Markdown.
std::string documentation(Device& device);
// {"properties": [...], "state": [...], "registers": [...]}
Json schema(Device& device);
// Everything a monitor shows of a device: name=value lines of properties, state and derived values.
std::string state_text(Device& device);

} // namespace mimic::devices
