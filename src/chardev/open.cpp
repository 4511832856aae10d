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
constexpr Backend all[] = {{"file", open_file},       {"null", open_null},     {"pipe", open_pipe},  {"pty", open_pty},
                           {"ringbuf", open_ringbuf}, {"socket", open_socket}, {"stdio", open_stdio}};
constexpr std::string_view names[] = {"file", "null", "pipe", "pty", "ringbuf", "socket", "stdio"};

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
    return Error::invalid_argument("chardev '{}': backend '{}', expected one of {}", id, name, list_text);
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
    } else if (text.starts_with("tcp:") || text.starts_with("telnet:")) {
        list = split(text.substr(text.find(':') + 1), "address");
        std::string address = list[0].second;
        size_t colon = address.rfind(':');
        if (colon == std::string::npos)
            return Error::invalid_argument("'{}': expected tcp:HOST:PORT[,server=on][,wait=off]", text);
        list.erase(list.begin());
        list.emplace_back("host", address.substr(0, colon));
        list.emplace_back("port", address.substr(colon + 1));
        list.emplace_back("backend", "socket");
        if (text.starts_with("telnet:")) return Error::unsupported("'{}': telnet is not there, expected tcp:", text);
    } else {
        return Error::invalid_argument("'{}' is no character device, expected none, null, stdio, mon:stdio, pty, "
                                       "file:PATH, pipe:PATH, unix:PATH, tcp:HOST:PORT or chardev:ID",
                                       text);
    }
    if (mux) list.emplace_back("mux", "on");
    return open(context, id, list);
}

} // namespace mimic::chardev
