#include "block/options.hpp"
#include "block/types.hpp"
#include <algorithm>
#include <charconv>
#include <cmath>
#include <ctime>

namespace mimic::block {

namespace {

// log2 of a suffix, or -1.
int suffix_shift(char c) {
    switch (c) {
    case 'b':
    case 'B': return 0;
    case 'k':
    case 'K': return 10;
    case 'm':
    case 'M': return 20;
    case 'g':
    case 'G': return 30;
    case 't':
    case 'T': return 40;
    case 'p':
    case 'P': return 50;
    case 'e':
    case 'E': return 60;
    default: return -1;
    }
}

std::optional<u64> number_of(std::string_view text) {
    u64 n = 0;
    int base = 10;
    if (text.starts_with("0x") || text.starts_with("0X")) {
        text.remove_prefix(2);
        base = 16;
    }
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n, base);
    if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
    return n;
}

std::optional<u64> size_of(std::string_view text) {
    if (auto plain = number_of(text)) return plain;
    if (text.size() < 2) return std::nullopt;
    int shift = suffix_shift(text.back());
    std::string_view digits = text.substr(0, text.size() - 1);
    if (shift < 0 || digits.starts_with("0x") || digits.starts_with("0X")) return std::nullopt;
    if (auto n = number_of(digits)) {
        if (*n > (UINT64_MAX >> shift)) return std::nullopt;
        return *n << shift;
    }
    // Fractions: "1.5G".
    double d = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), d, std::chars_format::fixed);
    if (error != std::errc() || end != digits.data() + digits.size() || d < 0) return std::nullopt;
    d = std::ldexp(d, shift);
    if (d >= 18446744073709551616.0) return std::nullopt;
    return u64(d);
}

bool only_digits(std::string_view s) {
    return !s.empty() && std::ranges::all_of(s, [](char c) { return c >= '0' && c <= '9'; });
}

// Objects whose members are 0..n-1 are arrays.
void arrays_in(Json& v) {
    auto* members = v.members();
    if (!members) return;
    for (auto& [name, value] : *members) arrays_in(value);
    if (members->empty() || !std::ranges::all_of(*members, [](auto& m) { return only_digits(m.first); })) return;
    std::vector<Json> items(members->size());
    for (auto& [name, value] : *members) {
        auto index = number_of(name);
        if (!index || *index >= items.size() || !items[*index].is_null()) return;
        items[*index] = value;
    }
    v = Json(std::move(items));
}

} // namespace

Result<u64> parse_size(std::string_view text) {
    if (auto n = size_of(text)) return *n;
    size_t digits = text.find_first_not_of("0123456789");
    if (digits && (digits == text.npos || digits + 1 == text.size()) && text.size() > 1)
        if (size_of(std::string("1") + std::string(digits == text.npos ? "" : text.substr(digits))))
            return Error::invalid_argument("'{}' is too large, expected less than 8 EiB", text);
    return Error::invalid_argument(
        "'{}' is no size, expected a number of bytes with an optional suffix k, M, G, T, P or E", text);
}

std::string human_size(u64 bytes) {
    static constexpr std::string_view units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double n = double(bytes);
    size_t unit = 0;
    // 1000 and not 1024: three digits before the next unit.
    while (n >= 1000 && unit + 1 < std::size(units)) {
        n /= 1024;
        unit++;
    }
    return fmt::format("{:.3g} {}", n, units[unit]);
}

Result<Json> parse_flat(std::string_view text, std::string_view implied) {
    Json flat = Json::object();
    bool first = true;
    while (!text.empty()) {
        std::string item;
        // Up to a comma that stands alone; two commas are one of the value.
        size_t i = 0;
        for (; i < text.size(); i++) {
            if (text[i] == ',') {
                if (i + 1 >= text.size() || text[i + 1] != ',') break;
                i++;
            }
            item += text[i];
        }
        text.remove_prefix(std::min(i + 1, text.size()));
        std::string name, value;
        if (size_t at = item.find('='); at != std::string::npos) {
            name = item.substr(0, at);
            value = item.substr(at + 1);
        } else if (first && !implied.empty()) {
            name = implied;
            value = item;
        } else if (item.starts_with("no") && item.size() > 2) {
            name = item.substr(2);
            value = "off";
        } else {
            name = item;
            value = "on";
        }
        if (name.empty()) return Error::invalid_argument("'{}' is no option, expected name=value", item);
        flat.set(name, value);
        first = false;
    }
    return nest(std::move(flat));
}

Result<Json> nest(Json flat) {
    if (!flat.members()) return Error::invalid_argument("options are no object");
    Json tree = Json::object();
    for (auto& [name, value] : *flat.members()) {
        Json* at = &tree;
        std::string_view rest = name;
        for (size_t dot; (dot = rest.find('.')) != std::string_view::npos; rest.remove_prefix(dot + 1)) {
            std::string_view part = rest.substr(0, dot);
            if (part.empty()) return Error::invalid_argument("'{}' is no option name", name);
            Json* next = at->find(part);
            if (!next) next = &at->set(part, Json::object());
            if (!next->members()) return Error::invalid_argument("option '{}' is both a value and a group", name);
            at = next;
        }
        if (rest.empty()) return Error::invalid_argument("'{}' is no option name", name);
        if (const Json* old = at->find(rest); old && old->members())
            return Error::invalid_argument("option '{}' is both a value and a group", name);
        at->set(rest, std::move(value));
    }
    arrays_in(tree);
    return tree;
}

Json OptionReader::take(std::string_view name) {
    Json* at = &tree_;
    for (size_t dot; (dot = name.find('.')) != std::string_view::npos; name.remove_prefix(dot + 1)) {
        at = at->find(name.substr(0, dot));
        if (!at) return {};
    }
    return at->take(name);
}

void OptionReader::fail(std::string_view name, std::string_view expected) {
    if (!error_) error_ = Error::invalid_argument("Parameter '{}' of {} expects {}", name, owner_, expected);
}

void OptionReader::string(std::string_view name, std::optional<std::string>& value, std::string_view) {
    Json v = take(name);
    if (v.is_null()) return;
    u64 n = 0;
    if (auto* s = v.string())
        value = *s;
    else if (v.get(n))
        value = fmt::format("{}", n);
    else
        fail(name, "a string");
}

void OptionReader::boolean(std::string_view name, std::optional<bool>& value, std::string_view) {
    Json v = take(name);
    if (v.is_null()) return;
    auto* s = v.string();
    if (auto* b = v.boolean())
        value = *b;
    else if (s && (*s == "on" || *s == "yes" || *s == "true" || *s == "y"))
        value = true;
    else if (s && (*s == "off" || *s == "no" || *s == "false" || *s == "n"))
        value = false;
    else
        fail(name, "'on' or 'off'");
}

void OptionReader::size(std::string_view name, std::optional<u64>& value, std::string_view) {
    Json v = take(name);
    if (v.is_null()) return;
    u64 n = 0;
    if (v.get(n))
        value = n;
    else if (auto* s = v.string(); s && size_of(*s))
        value = size_of(*s);
    else
        fail(name, "a non-negative number below 2^64 with an optional suffix k, M, G, T, P or E");
}

void OptionReader::number(std::string_view name, std::optional<u64>& value, std::string_view) {
    Json v = take(name);
    if (v.is_null()) return;
    u64 n = 0;
    if (v.get(n))
        value = n;
    else if (auto* s = v.string(); s && number_of(*s))
        value = number_of(*s);
    else
        fail(name, "a number");
}

void OptionReader::choice(std::string_view name, std::span<const std::string_view> names, std::optional<u8>& value,
                          std::string_view) {
    Json v = take(name);
    if (v.is_null()) return;
    if (auto* s = v.string()) {
        auto at = std::ranges::find(names, std::string_view(*s));
        if (at != names.end()) {
            value = u8(at - names.begin());
            return;
        }
        if (error_) return;
        std::string list;
        for (auto& n : names) list += fmt::format("{}{}", list.empty() ? "" : ", ", n);
        error_ = Error::invalid_argument("Invalid parameter '{}' for '{}' of {}, expected one of {}", *s, name, owner_,
                                         list);
        return;
    }
    fail(name, "a name");
}

Result<void> OptionReader::so_far() const {
    if (error_) return *error_;
    return {};
}

namespace {

// The dotted name of something that nobody took; an object whose members have all been taken is nothing.
std::optional<std::string> leftover(const Json& tree) {
    for (auto& [name, value] : *tree.members()) {
        if (!value.members()) return name;
        if (auto inner = leftover(value)) return name + "." + *inner;
    }
    return std::nullopt;
}

} // namespace

Result<void> OptionReader::finish() const {
    if (error_) return *error_;
    if (auto name = leftover(tree_))
        return Error::invalid_argument("{} does not support the option '{}'", owner_, *name);
    return {};
}

void OptionHelp::add(std::string_view name, std::string_view type, std::string_view help) {
    lines_.emplace_back(fmt::format("  {}=<{}>", name, type), help);
}
void OptionHelp::string(std::string_view name, std::optional<std::string>&, std::string_view help) {
    add(name, "str", help);
}
void OptionHelp::boolean(std::string_view name, std::optional<bool>&, std::string_view help) {
    add(name, "bool (on/off)", help);
}
void OptionHelp::size(std::string_view name, std::optional<u64>&, std::string_view help) { add(name, "size", help); }
void OptionHelp::number(std::string_view name, std::optional<u64>&, std::string_view help) { add(name, "num", help); }
void OptionHelp::choice(std::string_view name, std::span<const std::string_view>, std::optional<u8>&,
                        std::string_view help) {
    add(name, "str", help);
}

std::string OptionHelp::text() const {
    auto sorted = lines_;
    std::ranges::sort(sorted);
    std::string out;
    for (auto& [left, right] : sorted) out += fmt::format("{:<24} - {}\n", left, right);
    return out;
}

void OptionPrinter::string(std::string_view name, std::optional<std::string>& value, std::string_view) {
    if (value) text += fmt::format(" {}={}", name, *value);
}
void OptionPrinter::boolean(std::string_view name, std::optional<bool>& value, std::string_view) {
    if (value) text += fmt::format(" {}={}", name, *value ? "on" : "off");
}
void OptionPrinter::size(std::string_view name, std::optional<u64>& value, std::string_view) {
    if (value) text += fmt::format(" {}={}", name, *value);
}
void OptionPrinter::number(std::string_view name, std::optional<u64>& value, std::string_view) {
    if (value) text += fmt::format(" {}={}", name, *value);
}
void OptionPrinter::choice(std::string_view name, std::span<const std::string_view> names, std::optional<u8>& value,
                           std::string_view) {
    if (value) text += fmt::format(" {}={}", name, names[*value]);
}

std::string snapshot_table(const std::vector<SnapshotInfo>& list) {
    std::string out =
        fmt::format("{:<10}{:<17}{:>8}{:>20}{:>13}{:>11}\n", "ID", "TAG", "VM SIZE", "DATE", "VM CLOCK", "ICOUNT");
    for (auto& s : list) {
        time_t when = time_t(s.date_sec);
        struct tm local {};
        localtime_r(&when, &local);
        char date[32];
        strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", &local);
        u64 ms = s.vm_clock_nsec / 1000000;
        std::string clock =
            fmt::format("{:02}:{:02}:{:02}.{:03}", ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
        out += fmt::format("{:<9} {:<16} {:>8}{:>20}{:>13}{:>11}\n", s.id, s.name, human_size(s.vm_state_size), date,
                           clock, s.icount == UINT64_MAX ? "" : fmt::format("{}", s.icount));
    }
    return out;
}

} // namespace mimic::block
