// Properties of devices as text; help, schema and documentation.
#include "base/nearest.hpp"
#include "devices/base/machine.hpp"
#include <algorithm>
#include <charconv>

namespace mimic::devices {

namespace {

// Decimal, 0x hexadecimal; with `size` also k, M, G, T.
bool parse_number(std::string_view text, bool size, u64& out) {
    int base = 10;
    if (text.starts_with("0x") || text.starts_with("0X")) {
        base = 16;
        text.remove_prefix(2);
    }
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
    if (error != std::errc() || text.empty()) return false;
    std::string_view rest(end, size_t(text.data() + text.size() - end));
    if (rest.empty()) return true;
    if (!size || rest.size() > 1) return false;
    constexpr std::string_view suffixes = "bkmgt";
    size_t n = suffixes.find(char(rest[0] | 0x20));
    if (n == std::string_view::npos) return false;
    if (n && out >> (64 - 10 * n)) return false;
    out <<= 10 * n;
    return true;
}

std::string choices_text(std::span<const std::string_view> names) {
    std::string s;
    for (std::string_view name : names) s += (s.empty() ? "" : ", ") + std::string(name);
    return s;
}

// All properties of a device, links to back ends among them.
struct Lister : Describe {
    std::vector<Property> all;
    std::vector<std::string> names; // full
    void add(Property p) {
        names.push_back(full(p.name));
        all.push_back(p);
    }
    void on_property(const Property& p) override { add(p); }
    void on_chardev(std::string_view name, CharPort& port, std::string_view help) override {
        add({name, help, &port.id, {}, "chardev"});
    }
    void on_drive(std::string_view name, DriveRef& drive, std::string_view help) override {
        add({name, help, &drive.id, {}, "drive"});
    }
    void on_netdev(std::string_view name, NetRef& net, std::string_view help) override {
        add({name, help, &net.id, {}, "netdev"});
    }
    const Property* find(std::string_view name) const {
        for (size_t i = 0; i < all.size(); i++)
            if (names[i] == name) return &all[i];
        return nullptr;
    }
};

std::string text_of(const Property& p) {
    if (auto* b = std::get_if<bool*>(&p.value)) return **b ? "on" : "off";
    if (auto* s = std::get_if<std::string*>(&p.value)) return **s;
    u64 v = std::get<Numbers>(p.value).get(0);
    if (v < p.rules.choices.size()) return std::string(p.rules.choices[v]);
    return std::to_string(v);
}

Result<void> set_number(const Property& p, std::string_view name, std::string_view text) {
    const Numbers& n = std::get<Numbers>(p.value);
    if (!p.rules.choices.empty()) {
        auto it = std::find(p.rules.choices.begin(), p.rules.choices.end(), text);
        // Where there is more than on and off, these have their other names, too.
        for (auto [other, word] : {std::pair<std::string_view, std::string_view>("true", "on"),
                                   {"yes", "on"},
                                   {"false", "off"},
                                   {"no", "off"}})
            if (it == p.rules.choices.end() && text == other)
                it = std::find(p.rules.choices.begin(), p.rules.choices.end(), word);
        if (it == p.rules.choices.end())
            return Error::invalid_argument("property '{}': '{}', expected one of {}", name, text,
                                           choices_text(p.rules.choices));
        n.set(0, u64(it - p.rules.choices.begin()));
        return {};
    }
    if (p.rules.none && (text == "-1" || text == std::to_string(n.mask()))) {
        n.set(0, n.mask());
        return {};
    }
    u64 value = 0, high = std::min(p.rules.high, n.mask());
    if (!parse_number(text, p.rules.size, value))
        return Error::invalid_argument("property '{}': '{}', expected a {}", name, text,
                                       p.rules.size ? "size like 64M" : "number");
    if (value < p.rules.low || value > high)
        return Error::invalid_argument("property '{}': {} is out of range, expected {} to {}", name, value, p.rules.low,
                                       high);
    n.set(0, value);
    return {};
}

// What describe() says beside properties.
struct Explainer final : Lister {
    std::vector<RegisterInfo> registers;
    struct State {
        std::string name;
        u32 count, bytes;
        StateRules rules;
    };
    std::vector<State> states;
    std::vector<std::string> lines;
    std::string values;
    void on_register(const RegisterInfo& r) override { registers.push_back(r); }
    void on_numbers(std::string_view name, const Numbers& n, const StateRules& r) override {
        states.push_back({full(name), n.count, n.bytes, r});
        values += full(name) + " =";
        for (u32 i = 0; i < n.count && i < 16; i++) values += fmt::format(" {:#x}", n.get(i));
        values += n.count > 16 ? " ...\n" : "\n";
    }
    void on_bytes(std::string_view name, std::vector<u8>& bytes, u32 max, u32) override {
        states.push_back({full(name), max, 1, {}});
        values += fmt::format("{} = {} bytes\n", full(name), bytes.size());
    }
    void on_derived(std::string_view name, u64 value) override {
        values += fmt::format("{} = {:#x} (derived)\n", full(name), value);
    }
    void on_line(std::string_view name, Line& line) override {
        lines.push_back(full(name));
        values += fmt::format("{} = {}\n", full(name), line.level() ? "high" : "low");
    }
    void on_timer(std::string_view name, Timer& timer) override {
        if (timer.deadline() == Timer::never)
            values += fmt::format("{} = off\n", full(name));
        else
            values += fmt::format("{} = {} ns\n", full(name), timer.deadline());
    }
};

void list(Device& device, Lister& lister) {
    device.describe(lister);
    if (device.inner()) device.inner()->describe(lister);
}

// With the properties of a device that this one is made with, until that is in the tree and shows them itself.
void explain(Device& device, Explainer& e) {
    device.describe(e);
    if (!device.inner() || device.inner()->parent()) return;
    Lister inner;
    device.inner()->describe(inner);
    e.all.insert(e.all.end(), inner.all.begin(), inner.all.end());
    e.names.insert(e.names.end(), inner.names.begin(), inner.names.end());
}

} // namespace

Result<void> set_property(Device& device, std::string_view name, std::string_view text) {
    Lister lister;
    list(device, lister);
    const Property* p = lister.find(name);
    if (!p) {
        std::vector<std::string_view> names(lister.names.begin(), lister.names.end());
        return Error::not_found("{}: there is no property '{}'{}", device.type(), name, did_you_mean(name, names));
    }
    if (auto* b = std::get_if<bool*>(&p->value)) {
        bool on = text == "on" || text == "true" || text == "yes" || text == "y";
        bool off = text == "off" || text == "false" || text == "no" || text == "n";
        if (!on && !off)
            return Error::invalid_argument("{}: property '{}': '{}', expected on or off", device.type(), name, text);
        **b = on;
        return {};
    }
    if (auto* s = std::get_if<std::string*>(&p->value)) {
        **s = text;
        return {};
    }
    return set_number(*p, name, text).in("{}", device.type());
}

Result<std::string> get_property(Device& device, std::string_view name) {
    Lister lister;
    list(device, lister);
    if (const Property* p = lister.find(name)) return text_of(*p);
    return Error::not_found("{}: there is no property '{}'", device.type(), name);
}

std::string property_help(Device& device) {
    Lister lister;
    list(device, lister);
    std::vector<std::string> lines;
    for (size_t i = 0; i < lister.all.size(); i++) {
        const Property& p = lister.all[i];
        std::string type(p.type), value = text_of(p);
        if (!p.rules.choices.empty()) type = choices_text(p.rules.choices);
        std::string line = fmt::format("  {}=<{}>", lister.names[i], type);
        line += fmt::format("{:{}} - {}", "", line.size() < 26 ? 26 - line.size() : 0, p.help);
        if (!value.empty()) line += fmt::format(" (default: {})", value);
        lines.push_back(line + "\n");
    }
    std::sort(lines.begin(), lines.end());
    std::string out;
    for (const std::string& line : lines) out += line;
    return out;
}

std::string documentation(Device& device) {
    Explainer e;
    explain(device, e);
    std::string s = fmt::format("## {}\n\n", device.type());
    if (!e.all.empty()) s += "| property | type | default | meaning |\n|---|---|---|---|\n";
    for (size_t i = 0; i < e.all.size(); i++)
        s += fmt::format("| {} | {} | {} | {} |\n", e.names[i], e.all[i].type, text_of(e.all[i]), e.all[i].help);
    if (!e.registers.empty()) s += "\n| offset | register | bytes | reset |\n|---|---|---|---|\n";
    for (const RegisterInfo& r : e.registers)
        s += fmt::format("| {:#x} | {}{} | {} | {:#x} |\n", r.offset, r.name,
                         r.count > 1 ? fmt::format(" (x {})", r.count) : "", r.bytes, r.reset);
    return s;
}

Json schema(Device& device) {
    Explainer e;
    explain(device, e);
    Json out = Json::object();
    Json properties = Json::array(), states = Json::array(), registers = Json::array();
    for (size_t i = 0; i < e.all.size(); i++) {
        Json p = Json::object();
        p.set("name", e.names[i]);
        p.set("type", e.all[i].type);
        p.set("default-value", text_of(e.all[i]));
        p.set("description", e.all[i].help);
        properties.push(std::move(p));
    }
    for (const auto& state : e.states) {
        Json p = Json::object();
        p.set("name", state.name);
        p.set("bytes", state.bytes);
        p.set("count", state.count);
        p.set("reset", state.rules.reset);
        p.set("since", state.rules.since);
        states.push(std::move(p));
    }
    for (const RegisterInfo& r : e.registers) {
        Json p = Json::object();
        p.set("name", r.name);
        p.set("offset", r.offset);
        p.set("bytes", r.bytes);
        p.set("count", r.count);
        registers.push(std::move(p));
    }
    out.set("type", device.type());
    out.set("properties", std::move(properties));
    out.set("state", std::move(states));
    out.set("registers", std::move(registers));
    return out;
}

std::string state_text(Device& device) {
    Context::Entry entry(device.context());
    Explainer e;
    device.describe(e);
    std::string s;
    for (size_t i = 0; i < e.all.size(); i++) s += fmt::format("{} = {}\n", e.names[i], text_of(e.all[i]));
    return s + e.values;
}

} // namespace mimic::devices
