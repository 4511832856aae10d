#include "chardev/open.hpp"
#include "base/nearest.hpp"
#include "chardev/options.hpp"
#include <algorithm>
#include <charconv>

namespace mimic::chardev {

namespace {

struct Backend {
    std::string_view name;
    Maker make;
};
constexpr Backend all[] = {{"file", open_file},   {"null", open_null},       {"pipe", open_pipe},
                           {"pty", open_pty},     {"ringbuf", open_ringbuf}, {"socket", open_socket},
                           {"stdio", open_stdio}, {"udp", open_udp}};
constexpr std::string_view names[] = {"file", "null", "pipe", "pty", "ringbuf", "socket", "stdio", "udp"};

// "a,server=on,wait=off": the first part, then options.
OptionList split(std::string_view text, std::string_view first) {
    OptionList out;
    std::string item;
    auto finish = [&] {
        size_t equals = item.find('=');
        if (out.empty() && !first.empty())
            out.emplace_back(first, item);
        else if (equals != std::string::npos)
            out.emplace_back(item.substr(0, equals), item.substr(equals + 1));
        else if (item.starts_with("no"))
            out.emplace_back(item.substr(2), "off");
        else
            out.emplace_back(item, "on");
        item.clear();
    };
    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] != ',') {
            item += text[i];
        } else if (i + 1 < text.size() && text[i + 1] == ',') {
            item += ',';
            i++;
        } else {
            finish();
        }
    }
    finish();
    return out;
}

// "HOST:PORT" or "[::1]:PORT" in place of the list's first item; an empty host is not there. False: it is something else.
bool take_address(OptionList& list, std::string_view host_name, std::string_view port_name, std::string address) {
    list.erase(list.begin());
    size_t colon = address.rfind(':');
    if (colon == std::string::npos || colon + 1 == address.size()) return false;
    std::string host = address.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (!host.empty()) list.emplace_back(host_name, host);
    list.emplace_back(port_name, address.substr(colon + 1));
    return true;
}

} // namespace

std::span<const std::string_view> backends() { return names; }

// ---- options ----------------------------------------------------------------------------------------------------------

const std::string* Options::take(std::string_view name) {
    asked_.push_back(name);
    const std::string* value = nullptr;
    for (size_t i = 0; i < list_.size(); i++)
        if (list_[i].first == name) {
            used_[i] = true;
            value = &list_[i].second;
        }
    return value;
}
bool Options::has(std::string_view name) const {
    return std::any_of(list_.begin(), list_.end(), [&](const auto& o) { return o.first == name; });
}
void Options::fail(std::string_view name, std::string_view value, std::string_view expected) {
    if (!error_)
        error_ = Error::invalid_argument("chardev '{}': option '{}': '{}', expected {}", id_, name, value, expected);
}
std::string Options::text(std::string_view name, std::string_view otherwise) {
    const std::string* v = take(name);
    return v ? *v : std::string(otherwise);
}
bool Options::flag(std::string_view name, bool otherwise) {
    const std::string* v = take(name);
    if (!v) return otherwise;
    if (*v == "on" || *v == "true" || *v == "yes") return true;
    if (*v != "off" && *v != "false" && *v != "no") fail(name, *v, "on or off");
    return false;
}
u64 Options::number(std::string_view name, u64 otherwise, u64 low, u64 high) {
    const std::string* v = take(name);
    if (!v) return otherwise;
    u64 n = 0;
    auto [end, error] = std::from_chars(v->data(), v->data() + v->size(), n);
    if (error != std::errc() || end != v->data() + v->size() || n < low || n > high)
        fail(name, *v, fmt::format("a number from {} to {}", low, high));
    return n;
}
Result<void> Options::finish() const {
    if (error_) return *error_;
    for (size_t i = 0; i < list_.size(); i++)
        if (!used_[i])
            return Error::invalid_argument("chardev '{}': there is no option '{}'{}", id_, list_[i].first,
                                           did_you_mean(list_[i].first, asked_));
    return {};
}

// ---- opening ----------------------------------------------------------------------------------------------------------

Result<std::unique_ptr<Chardev>> open(OpenContext& context, const std::string& id, const OptionList& list) {
    Options options(id, list);
    std::string name = options.text("backend");
    bool mux = options.flag("mux", false);
    for (const Backend& b : all) {
        if (b.name != name) continue;
        auto dev = TRY(b.make(context, options));
        TRY(options.finish());
        if (!mux) return dev;
        // The mux outlives its first port, which is what users see under the id.
        return mux_over(context, std::move(dev), id);
    }
    std::string list_text;
    for (std::string_view n : names) list_text += (list_text.empty() ? "" : ", ") + std::string(n);
    return Error::invalid_argument("chardev '{}': backend '{}', expected one of {}{}", id, name, list_text,
                                   did_you_mean(name, names));
}

Result<std::unique_ptr<Chardev>> open_legacy(OpenContext& context, const std::string& id, std::string_view text) {
    if (text == "none") return std::unique_ptr<Chardev>();
    bool mux = text.starts_with("mon:");
    if (mux) text.remove_prefix(4);
    OptionList list;
    if (text == "null" || text == "pty" || text == "stdio") {
        list = {{"backend", std::string(text)}};
        if (mux && text == "stdio") list.emplace_back("signal", "off");
    } else if (text.starts_with("file:")) {
        list = split(text.substr(5), "path");
        list.emplace_back("backend", "file");
    } else if (text.starts_with("pipe:")) {
        list = split(text.substr(5), "path");
        list.emplace_back("backend", "pipe");
    } else if (text.starts_with("unix:")) {
        list = split(text.substr(5), "path");
        list.emplace_back("backend", "socket");
    } else if (text.starts_with("tcp:") || text.starts_with("telnet:") || text.starts_with("websocket:")) {
        size_t colon = text.find(':');
        std::string kind(text.substr(0, colon));
        list = split(text.substr(colon + 1), "address");
        if (!take_address(list, "host", "port", list[0].second))
            return Error::invalid_argument("'{}': expected {}:HOST:PORT[,server=on][,wait=off]", text, kind);
        list.emplace_back("backend", "socket");
        if (kind != "tcp") list.emplace_back(kind, "on");
    } else if (text.starts_with("udp:")) {
        list = split(text.substr(4), "address");
        std::string address = list[0].second;
        size_t at = address.find('@');
        bool good = take_address(list, "host", "port", address.substr(0, at));
        if (good && at != std::string::npos) {
            list.emplace(list.begin(), "address", ""); // take_address() replaces it
            good = take_address(list, "localaddr", "localport", address.substr(at + 1));
        }
        if (!good) return Error::invalid_argument("'{}': expected udp:[HOST]:PORT[@[LOCALADDR]:LOCALPORT]", text);
        list.emplace_back("backend", "udp");
    } else {
        return Error::invalid_argument("'{}' is no character device, expected none, null, stdio, mon:stdio, pty, "
                                       "file:PATH, pipe:PATH, unix:PATH, tcp:, telnet: or websocket:HOST:PORT, "
                                       "udp:HOST:PORT or chardev:ID",
                                       text);
    }
    if (mux) list.emplace_back("mux", "on");
    return open(context, id, list);
}

} // namespace mimic::chardev
