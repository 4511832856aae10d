// Trace points: constant descriptors, off unless a glob on the command line names them.
//
//   MIMIC_TRACE(plic_claim, "plic", "claim", "context={} source={}");
//   trace::emit(plic_claim, context, source);
//
//   trace::guest_error("serial0", "read of unknown register {:#x}", offset);   // odd behaviour of the guest
//
// A point that is off costs a load and a branch. Sinks get whole lines, one call at a time.
#pragma once
#include "base/types.hpp"
#include <atomic>
#include <fmt/core.h>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace mimic::trace {

// Constant but for `on`. Lives in its own section, so that all of them are found without constructors.
struct alignas(32) Event {
    const char* room;
    const char* name;
    const char* format; // fields as fmt takes them: "offset={:#x} value={:#x}"
    mutable std::atomic<bool> on{false};
    constexpr Event(const char* r, const char* n, const char* f) : room(r), name(n), format(f) {}
};

#define MIMIC_TRACE(ident, room, name, format)                                                                         \
    __attribute__((section("mimic_trace"), used)) constinit const ::mimic::trace::Event ident(room, name, format)

// "room.name format" of every point in the program, sorted.
std::span<const Event> events();
// Turns on (or off) what matches "room.name" (with * and ?); returns how many.
u32 enable(std::string_view glob, bool on = true);
void disable_all();

// Where lines go; empty: standard error. Process-wide.
void set_sink(std::function<void(std::string_view line)> sink);
// The same for events alone; empty: they go where all goes.
void set_event_sink(std::function<void(std::string_view line)> sink);
// Guests' mistakes are written while this is on (-d guest_errors).
void show_guest_errors(bool on);
bool guest_errors_shown();

void write_line(const Event& event, fmt::format_args args);
void write_guest_error(std::string_view who, fmt::string_view format, fmt::format_args args);

template <class... A>
void emit(const Event& event, const A&... a) {
    if (event.on.load(std::memory_order_relaxed)) [[unlikely]]
        write_line(event, fmt::make_format_args(a...));
}
// Rate-limited: after max_guest_errors lines one more says that there will be none.
inline constexpr u32 max_guest_errors = 10000;
template <class... A>
void guest_error(std::string_view who, fmt::format_string<A...> format, const A&... a) {
    if (guest_errors_shown()) [[unlikely]]
        write_guest_error(who, format, fmt::make_format_args(a...));
}

bool matches(std::string_view glob, std::string_view text);

} // namespace mimic::trace
