#include "net/options.hpp"
#include "base/nearest.hpp"
#include <algorithm>
#include <charconv>

namespace mimic::net {

bool Options::has(std::string_view name) const {
    return std::ranges::any_of(values, [&](const auto& p) { return p.first == name; });
}

std::string Options::take(std::string_view name, std::string_view otherwise) {
    auto all = take_all(name);
    return all.empty() ? std::string(otherwise) : all.back();
}

std::vector<std::string> Options::take_all(std::string_view name) {
    asked_.emplace_back(name);
    std::vector<std::string> found;
    for (auto& [n, v] : values)
        if (n == name) found.push_back(v);
    std::erase_if(values, [&](const auto& p) { return p.first == name; });
    return found;
}

Result<bool> Options::flag(std::string_view name, bool otherwise) {
    std::string text = take(name, otherwise ? "on" : "off");
    if (text == "on" || text == "yes" || text == "y" || text == "true") return true;
    if (text == "off" || text == "no" || text == "n" || text == "false") return false;
    return bad_option(name, text, "on or off");
}

Result<u64> Options::number(std::string_view name, u64 otherwise, u64 low, u64 high) {
    auto all = take_all(name);
    if (all.empty()) return otherwise;
    const std::string& text = all.back();
    u64 n = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (error != std::errc() || end != text.data() + text.size() || n < low || n > high)
        return bad_option(name, text, fmt::format("a number from {} to {}", low, high));
    return n;
}

Result<std::optional<io::SocketAddress>> Options::address(std::string_view prefix) {
    auto name = [&](std::string_view part) { return fmt::format("{}.{}", prefix, part); };
    if (!std::ranges::any_of(values, [&](const auto& p) { return p.first.starts_with(name("")); }))
        return std::optional<io::SocketAddress>();
    io::SocketAddress a;
    std::string type = take(name("type"));
    auto needed = [&](std::string_view part, std::string& out) -> Result<void> {
        out = take(name(part));
        if (out.empty()) return Error::invalid_argument("option '{}' is missing", name(part));
        return {};
    };
    if (type == "inet") {
        a.kind = io::SocketAddress::Kind::inet;
        TRY(needed("host", a.host));
        TRY(needed("port", a.port));
        // The resolver's first answer is taken; numbers are what they are.
        for (std::string_view part : {"numeric", "ipv4", "ipv6", "keep-alive"}) TRY(flag(name(part), true));
    } else if (type == "unix") {
        TRY(needed("path", a.path));
        bool tight = TRY(flag(name("tight"), true));
        if (!tight) return bad_option(name("tight"), "off", "on");
        if (TRY(flag(name("abstract"), false))) a.path = fmt::format("@{}", a.path);
    } else if (type == "fd") {
        a.kind = io::SocketAddress::Kind::descriptor;
        constexpr u64 none = ~u64{0};
        u64 fd = TRY(number(name("str"), none, 0, 0x7fffffff));
        if (fd == none) return Error::invalid_argument("option '{}' is missing", name("str"));
        a.fd = int(fd);
    } else {
        return bad_option(name("type"), type, "inet, unix or fd");
    }
    return std::optional<io::SocketAddress>(std::move(a));
}

Result<void> Options::finish() const {
    if (values.empty()) return {};
    std::vector<std::string_view> names(asked_.begin(), asked_.end());
    return Error::not_found("there is no option '{}'{}", values[0].first, did_you_mean(values[0].first, names));
}

Result<Options> parse(std::string_view text) {
    std::vector<std::string> parts(1);
    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] != ',')
            parts.back() += text[i];
        else if (i + 1 < text.size() && text[i + 1] == ',')
            parts.back() += text[i++];
        else
            parts.emplace_back();
    }
    Options o;
    for (size_t i = 0; i < parts.size(); i++) {
        size_t equals = parts[i].find('=');
        if (i == 0 && equals == std::string::npos)
            o.kind = parts[i];
        else if (equals == std::string::npos || equals == 0)
            return Error::invalid_argument("netdev '{}': '{}', expected name=value", text, parts[i]);
        else if (parts[i].substr(0, equals) == "type")
            o.kind = parts[i].substr(equals + 1);
        else
            o.values.emplace_back(parts[i].substr(0, equals), parts[i].substr(equals + 1));
    }
    if (o.kind.empty()) return Error::invalid_argument("netdev '{}': it begins with its kind, as in user,id=n0", text);
    return o;
}

namespace {

std::string text_of(const Json& v) {
    if (const bool* b = v.boolean()) return *b ? "on" : "off";
    if (const std::string* s = v.string()) return *s;
    return v.dump();
}

Result<void> flatten(Options& o, const std::string& name, const Json& value, u32 depth) {
    if (depth > 4) return Error::invalid_argument("Parameter '{}': too deep, expected what -netdev takes", name);
    if (value.members()) {
        for (const auto& [inner, v] : *value.members()) TRY(flatten(o, name + "." + inner, v, depth + 1));
    } else if (value.items()) {
        for (const Json& item : *value.items()) {
            const Json* inner = item.find("str");
            o.values.emplace_back(name, text_of(inner ? *inner : item));
        }
    } else {
        o.values.emplace_back(name, text_of(value));
    }
    return {};
}

} // namespace

Result<Options> parse_object(const Json& object) {
    Options o;
    if (!object.members()) return Error::invalid_argument("{}, expected an object", object.dump());
    for (const auto& [name, value] : *object.members())
        if (name == "type")
            o.kind = text_of(value);
        else
            TRY(flatten(o, name, value, 0));
    return o;
}

Error bad_option(std::string_view name, std::string_view value, std::string_view expected) {
    return Error::invalid_argument("option '{}': '{}', expected {}", name, value, expected);
}

Result<io::SocketAddress> parse_host_port(std::string_view name, const std::string& text, std::string_view host) {
    io::SocketAddress a;
    a.kind = io::SocketAddress::Kind::inet;
    size_t colon = text.rfind(':');
    if (colon == std::string::npos || colon + 1 == text.size()) return bad_option(name, text, "HOST:PORT");
    a.host = text.substr(0, colon);
    if (a.host.starts_with('[') && a.host.ends_with(']')) a.host = a.host.substr(1, a.host.size() - 2);
    if (a.host.empty()) a.host = host;
    a.port = text.substr(colon + 1);
    return a;
}

} // namespace mimic::net
