#include "app/system/keys.hpp"
#include "base/nearest.hpp"
#include "block/options.hpp"
#include <charconv>

namespace mimic::app {

Keys::Keys(std::string_view option, std::string_view text, std::string_view implied) : option_(option) {
    std::string item;
    bool first = true;
    auto finish = [&] {
        size_t equals = item.find('=');
        if (equals != std::string::npos)
            list_.emplace_back(item.substr(0, equals), item.substr(equals + 1));
        else if (first && !implied.empty())
            list_.emplace_back(implied, item);
        else if (item.size() > 2 && item.starts_with("no"))
            list_.emplace_back(item.substr(2), "off");
        else if (!item.empty())
            list_.emplace_back(item, "on");
        first = false;
        item.clear();
    };
    for (size_t i = 0; i < text.size(); i++) {
        bool comma = text[i] == ',', twice = comma && i + 1 < text.size() && text[i + 1] == ',';
        if (comma && !twice) {
            finish();
            continue;
        }
        item += text[i];
        i += twice;
    }
    finish();
    used_.resize(list_.size());
}

Result<Keys> Keys::parse(std::string_view option, std::string_view text, std::string_view implied) {
    if (!text.starts_with('{')) return Keys(option, text, implied);
    const Json object = TRY(Json::parse(text).in("{}", option));
    Keys keys(option, {});
    for (const auto& [key, value] : *object.members()) {
        if (value.members() || value.items())
            return Error::unsupported("{}: '{}': {}, expected a text, a number or a boolean", option, key,
                                      value.dump());
        const bool* flag = value.boolean();
        keys.list_.emplace_back(key, value.string() ? *value.string() : flag ? (*flag ? "on" : "off") : value.dump());
    }
    keys.used_.resize(keys.list_.size());
    return keys;
}

const std::string* Keys::take(std::string_view key) {
    asked_.emplace_back(key);
    const std::string* value = nullptr;
    for (size_t i = 0; i < list_.size(); i++)
        if (list_[i].first == key) {
            used_[i] = true;
            value = &list_[i].second;
        }
    return value;
}

bool Keys::has(std::string_view key) const {
    for (const auto& [name, value] : list_)
        if (name == key) return true;
    return false;
}

void Keys::fail(std::string_view key, std::string_view value, std::string_view expected) {
    if (!error_) error_ = Error::invalid_argument("{} {}: '{}', expected {}", option_, key, value, expected);
}

std::string Keys::text(std::string_view key, std::string_view otherwise) {
    const std::string* v = take(key);
    return v ? *v : std::string(otherwise);
}

bool Keys::flag(std::string_view key, bool otherwise) {
    const std::string* v = take(key);
    if (!v) return otherwise;
    if (*v == "on" || *v == "true" || *v == "yes" || *v == "y") return true;
    if (*v != "off" && *v != "false" && *v != "no" && *v != "n") fail(key, *v, "on or off");
    return false;
}

u64 Keys::number(std::string_view key, u64 otherwise, u64 low, u64 high) {
    const std::string* v = take(key);
    if (!v) return otherwise;
    u64 n = 0;
    auto [end, error] = std::from_chars(v->data(), v->data() + v->size(), n);
    bool ok = error == std::errc() && end == v->data() + v->size() && !v->empty();
    if (!ok || n < low || n > high)
        fail(key, *v, high == ~u64{0} ? std::string("a number") : fmt::format("a number from {} to {}", low, high));
    return n;
}

u64 Keys::size(std::string_view key, u64 otherwise, char unit) {
    const std::string* v = take(key);
    if (!v) return otherwise;
    auto n = parse_bytes(*v, unit);
    if (!n) {
        fail(key, *v, "a size like 64M");
        return otherwise;
    }
    return *n;
}

u32 Keys::choice(std::string_view key, std::span<const std::string_view> names, u32 otherwise) {
    const std::string* v = take(key);
    if (!v) return otherwise;
    std::string list;
    for (u32 i = 0; i < names.size(); i++) {
        if (names[i] == *v) return i;
        list += (i ? ", " : "") + std::string(names[i]);
    }
    fail(key, *v, "one of " + list);
    return otherwise;
}

Keys::List Keys::rest() {
    List out;
    for (size_t i = 0; i < list_.size(); i++)
        if (!used_[i]) {
            used_[i] = true;
            out.push_back(list_[i]);
        }
    return out;
}

Result<void> Keys::finish() const {
    if (error_) return *error_;
    for (size_t i = 0; i < list_.size(); i++)
        if (!used_[i]) {
            std::vector<std::string_view> names(asked_.begin(), asked_.end());
            return Error::invalid_argument("{}: there is no '{}'{}", option_, list_[i].first,
                                           did_you_mean(list_[i].first, names));
        }
    return {};
}

Result<u64> parse_bytes(std::string_view text, char unit) {
    bool plain = !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
    return block::parse_size(plain && unit != 'b' ? fmt::format("{}{}", text, unit) : std::string(text));
}

} // namespace mimic::app
