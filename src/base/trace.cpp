#include "base/trace.hpp"
#include <cstdio>
#include <fmt/format.h>
#include <mutex>

// The section of all events; weak, since a program may have none.
extern "C" {
extern const mimic::trace::Event __start_mimic_trace[] __attribute__((weak));
extern const mimic::trace::Event __stop_mimic_trace[] __attribute__((weak));
}

namespace mimic::trace {

namespace {
// The process's one log (base/process lists it): its state is here, where its code is.
struct Log {
    std::mutex mutex;
    std::function<void(std::string_view)> sink, event_sink;
    u32 guest_errors = 0;
};
Log& log() {
    static Log one;
    return one;
}
constinit std::atomic<bool> show{false};

void write(std::string_view line) {
    Log& l = log();
    if (l.sink)
        l.sink(line);
    else
        std::fprintf(stderr, "%.*s\n", int(line.size()), line.data());
}
} // namespace

std::span<const Event> events() {
    if (!__start_mimic_trace) return {};
    return {__start_mimic_trace, __stop_mimic_trace};
}

bool matches(std::string_view glob, std::string_view text) {
    size_t g = 0, t = 0, star = std::string_view::npos, mark = 0;
    while (t < text.size()) {
        if (g < glob.size() && (glob[g] == '?' || glob[g] == text[t]) && glob[g] != '*') {
            g++, t++;
        } else if (g < glob.size() && glob[g] == '*') {
            star = g++;
            mark = t;
        } else if (star != std::string_view::npos) {
            g = star + 1;
            t = ++mark;
        } else {
            return false;
        }
    }
    while (g < glob.size() && glob[g] == '*') g++;
    return g == glob.size();
}

u32 enable(std::string_view glob, bool on) {
    u32 n = 0;
    for (const Event& e : events())
        if (matches(glob, fmt::format("{}.{}", e.room, e.name))) {
            e.on = on;
            n++;
        }
    return n;
}

void disable_all() {
    for (const Event& e : events()) e.on = false;
}

void set_sink(std::function<void(std::string_view)> sink) {
    std::lock_guard lock(log().mutex);
    log().sink = std::move(sink);
}
void set_event_sink(std::function<void(std::string_view)> sink) {
    std::lock_guard lock(log().mutex);
    log().event_sink = std::move(sink);
}
void show_guest_errors(bool on) { show = on; }
bool guest_errors_shown() { return show.load(std::memory_order_relaxed); }

void write_line(const Event& event, fmt::format_args args) {
    std::string line = fmt::format("{}.{} ", event.room, event.name) + fmt::vformat(event.format, args);
    std::lock_guard lock(log().mutex);
    log().event_sink ? log().event_sink(line) : write(line);
}

void write_guest_error(std::string_view who, fmt::string_view format, fmt::format_args args) {
    Log& l = log();
    std::string line = fmt::format("guest error: {}: ", who) + fmt::vformat(format, args);
    std::lock_guard lock(l.mutex);
    if (++l.guest_errors > max_guest_errors) return;
    write(line);
    if (l.guest_errors == max_guest_errors) write("guest error: there are many; no more are shown");
}

} // namespace mimic::trace
