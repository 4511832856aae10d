#include "app/system/options_log.hpp"
#include "base/nearest.hpp"
#include <algorithm>
#include <cerrno>
#include <fmt/ranges.h>
#include <fstream>
#include <vector>

namespace mimic::app {

namespace {

struct Item {
    std::string_view name;
    u32 bits;
    std::string_view help;
};
constexpr Item items[] = {
    {"in_asm", cpu::log::in_asm, "guest instructions as they are translated"},
    {"op", cpu::log::op, "IR as it is translated"},
    {"op_opt", cpu::log::op_opt, "IR after optimization"},
    {"out_asm", cpu::log::out_asm, "host code"},
    {"exec", cpu::log::exec, "units as they are entered"},
    {"cpu", cpu::log::registers, "the registers before each"},
    {"nochain", 0, "no effect: exec and cpu turn links off themselves"},
    {"int", cpu::log::interrupts, "interrupts and exceptions"},
    {"guest_errors", cpu::log::guest_error, "mistakes of the guest"},
    {"unimp", cpu::log::guest_error, "the same"},
};

} // namespace

std::string log_items_help() {
    std::string out = "Log items (comma separated):\n";
    for (const Item& i : items) out += fmt::format("{:<12} {}\n", i.name, i.help);
    return out + "trace:GLOB   trace events\n";
}

Result<void> parse_log_items(SystemOptions& o, std::string_view list) {
    if (asks_help(list)) {
        o.help = Help::logs;
        return {};
    }
    while (!list.empty()) {
        size_t comma = list.find(',');
        std::string_view item = list.substr(0, comma);
        list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
        if (item.starts_with("trace:")) {
            o.trace.emplace_back(item.substr(6));
            continue;
        }
        auto it = std::find_if(std::begin(items), std::end(items), [&](const Item& i) { return i.name == item; });
        if (it == std::end(items)) {
            std::vector<std::string_view> all;
            for (const Item& i : items) all.push_back(i.name);
            return Error::invalid_argument("-d: '{}', expected {} or trace:GLOB{}", item, fmt::join(all, ", "),
                                           did_you_mean(item, all));
        }
        o.log |= it->bits;
        if (it->bits == cpu::log::guest_error) o.guest_errors = true;
    }
    return {};
}

// A file of events has a name or glob a line; '-' in front turns it off, '#' begins a comment.
Result<void> set_trace(SystemOptions& o, std::string_view value) {
    if (asks_help(value)) {
        o.help = Help::traces;
        return {};
    }
    Keys keys("-trace", value, "enable");
    if (const std::string glob = keys.text("enable"); !glob.empty()) o.trace.push_back(glob);
    const std::string events = keys.text("events");
    o.trace_file = keys.text("file", o.trace_file);
    TRY(keys.finish());
    if (events.empty()) return {};
    std::ifstream in(events);
    if (!in) return Error::from_errno(errno, "-trace events: cannot open {}", events);
    for (std::string line; std::getline(in, line);) {
        line.erase(std::remove_if(line.begin(), line.end(), [](char c) { return c == ' ' || c == '\t' || c == '\r'; }),
                   line.end());
        if (!line.empty() && line[0] != '#') o.trace.push_back(line);
    }
    return {};
}

} // namespace mimic::app
