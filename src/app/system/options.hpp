// What the command line of `mimic-system` says, in typed form; QMP and -readconfig fill the same struct.
#pragma once
#include "app/system/keys.hpp"
#include "app/system/messages.hpp"
#include "machines/run_control.hpp"
#include <set>
#include <span>

namespace mimic::app {

struct DriveOptions {
    std::string file, format, id, interface = "virtio", cache = "writeback";
    std::string on_write_error, on_read_error; // werror=, rerror=; empty: the device's
    u32 unit = ~u32{0};
    bool snapshot = false, read_only = false;
    bool discard = false;
    Keys::List limits; // throttling, as block::ThrottleOptions names them
    std::string group; // of throttling
    Keys::List rest;   // the block layer's own
};
struct DeviceOptions {
    std::string driver, id, bus;
    Keys::List properties;
};
struct ChardevOptions {
    std::string id;
    Keys::List options; // "backend" among them
};
struct NetdevOptions {
    std::string type, id;
    Keys::List options;
};
struct MonitorOptions {
    std::string device;                   // of -monitor and -qmp: as -serial names one
    std::string chardev;                  // of -mon: its id
    bool control = false, pretty = false; // QMP; else HMP
    std::string id{};                     // of -mon
};

// System calls that the process may make no longer (-sandbox). Each kind is allowed where it says so.
struct SandboxOptions {
    bool on = false;
    bool obsolete = false, elevate_privileges = true, spawn = true, resource_control = true;
};

enum class MemoryLock : u8 { off, on, on_fault };

enum class Help : u8 {
    none,
    options,
    version,
    machines,
    machine,
    cpus,
    accels,
    devices,
    device,
    chardevs,
    audiodevs,
    drives,
    netdevs,
    logs,
    traces,
    commands,
    displays,
    objects,
    adapters
};

struct SystemOptions {
    std::string guest; // "riscv64"
    Messages messages;
    machines::BoardOptions board;
    std::string machine;                // empty: there is no default
    std::vector<std::string> blockdevs; // as -blockdev has them
    std::set<std::string> object_ids;   // of -object, whatever it made
    std::vector<std::string> objects;   // secrets, TLS credentials, throttle groups
    std::vector<DriveOptions> drives;
    std::vector<DeviceOptions> devices;
    std::vector<ChardevOptions> chardevs;
    std::vector<NetdevOptions> netdevs;
    std::vector<DeviceOptions> cards; // of -nic and -net: they come in front of `devices`
    bool network_chosen = false;      // an option said what network there is: no default card
    std::vector<std::string> serials;
    std::vector<MonitorOptions> monitors;
    bool no_monitor = false; // -monitor none, or another one was asked for
    machines::Actions actions;
    std::string debugger; // -gdb; empty: none
    std::string qtest, qtest_log;
    std::string display, pid_file, log_file;
    SandboxOptions sandbox;
    MemoryLock memory_lock = MemoryLock::off;
    u8 escape = 1;                        // of consoles that share a terminal: C-a
    std::string memory_backend, mem_path; // -M memory-backend=, -mem-path; empty: neither
    std::string incoming;                 // where a saved machine comes from, "defer"; empty: nowhere
    std::string write_config;             // -writeconfig; empty: none
    std::string load_snapshot;            // -loadvm; empty: none
    std::vector<std::string> trace;       // globs; '-' in front: off
    std::string trace_file;               // -trace file=; empty: the log
    u32 log = 0;                          // cpu::log bits
    bool guest_errors = false, perf_map = false;
    bool many_threads = false; // -accel thread=multi was asked for
    bool accel_chosen = false, snapshot = false;
    std::string accel_missing; // the first that was asked for and is not here, with its option
    bool nographic = false, no_defaults = false, paused = false, daemonize = false;
    Help help = Help::none;
    std::string help_about; // of machine and device
};

// `o` has the guest and the program's name, `words` are without it. Errors name the option, the value and what was expected.
Result<void> parse_options(SystemOptions& o, std::span<const std::string_view> words);
// The rows of the option table: name, form of the value, meaning.
std::string options_help();
// Their names, for query-command-line-options.
std::vector<std::string> option_names();
inline bool asks_help(std::string_view value) { return value == "help" || value == "?"; }
// Adds one -d list; unknown items are errors.
Result<void> parse_log_items(SystemOptions& o, std::string_view list);
// The items, a line each.
std::string log_items_help();

// The whole program: parses, builds, runs; the exit status.
int system_main(std::string_view program, std::span<const std::string_view> words);
int print_help(const SystemOptions& o);

} // namespace mimic::app
