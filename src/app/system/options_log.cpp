#include "app/system/options_log.hpp"
#include <algorithm>
#include <cerrno>
#include <fstream>

namespace mimic::app {

Result<void> parse_log_items(SystemOptions& o, std::string_view list) {
    struct Item {
        std::string_view name;
        u32 bits;
    };
    constexpr Item items[] = {{"in_asm", cpu::log::in_asm},
                              {"op", cpu::log::op},
                              {"op_opt", cpu::log::op_opt},
                              {"out_asm", cpu::log::out_asm},
                              {"exec", cpu::log::exec},
                              {"cpu", cpu::log::registers},
                              {"nochain", 0}, // no effect: exec and cpu turn links off themselves
                              {"int", cpu::log::interrupts},
                              {"guest_errors", cpu::log::guest_error},
                              {"unimp", cpu::log::guest_error}};
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
        if (it == std::end(items))
            return Error::invalid_argument("-d: '{}', expected in_asm, op, op_opt, out_asm, exec, cpu, nochain, int, "
                                           "guest_errors, unimp or trace:GLOB",
                                           item);
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
