#include "base/json.hpp"
#include "base/check.hpp"
#include <algorithm>
#include <nlohmann/json.hpp>

namespace mimic {

namespace {

constexpr size_t max_depth = 256;

// Builds a Json from the parser's events, with its own stack, so that depth is bounded.
class Builder {
public:
    using number_integer_t = i64;
    using number_unsigned_t = u64;
    using number_float_t = double;
    using string_t = std::string;
    using binary_t = nlohmann::json::binary_t;

    bool null() { return add(Json()); }
    bool boolean(bool b) { return add(Json(b)); }
    bool number_integer(i64 n) { return add(Json(n)); }
    bool number_unsigned(u64 n) { return add(Json(n)); }
    bool number_float(double d, const std::string&) { return add(Json(d)); }
    bool string(std::string& s) { return add(Json(std::move(s))); }
    bool binary(binary_t&) { return false; }
    bool start_object(size_t) { return open(Json::object()); }
    bool start_array(size_t) { return open(Json::array()); }
    bool end_object() { return close(); }
    bool end_array() { return close(); }
    bool key(std::string& k) {
        keys_.back() = std::move(k);
        return true;
    }
    bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) {
        if (error.empty()) error = fmt::format("JSON is not valid at byte {}", position);
        return false;
    }

    Json value;
    std::string error;

private:
    bool add(Json v) {
        if (stack_.empty()) {
            value = std::move(v);
        } else if (stack_.back().items()) {
            stack_.back().push(std::move(v));
        } else if (stack_.back().find(keys_.back())) {
            error = fmt::format("JSON object has the key '{}' twice", keys_.back());
            return false;
        } else {
            stack_.back().members()->emplace_back(std::move(keys_.back()), std::move(v));
        }
        return true;
    }
    bool open(Json v) {
        if (stack_.size() >= max_depth) {
            error = fmt::format("JSON is nested deeper than {} levels", max_depth);
            return false;
        }
        stack_.push_back(std::move(v));
        keys_.emplace_back();
        return true;
    }
    bool close() {
        Json v = std::move(stack_.back());
        stack_.pop_back();
        keys_.pop_back();
        return add(std::move(v));
    }

    std::vector<Json> stack_;
    std::vector<std::string> keys_;
};

void write_string(std::string& out, std::string_view s) {
    // Bytes that are no UTF-8 are replaced: file names may hold anything.
    out += nlohmann::json(s).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void line_break(std::string& out, int indent, int level) {
    if (indent < 0) return;
    out += '\n';
    out.append(size_t(indent) * size_t(level), ' ');
}

void write(std::string& out, const Json& v, int indent, int level) {
    i64 signed_value = 0;
    u64 unsigned_value = 0;
    if (v.is_null())
        out += "null";
    else if (auto* b = v.boolean())
        out += *b ? "true" : "false";
    else if (v.get(unsigned_value))
        out += fmt::format("{}", unsigned_value);
    else if (v.get(signed_value))
        out += fmt::format("{}", signed_value);
    else if (auto* d = v.number())
        out += nlohmann::json(*d).dump();
    else if (auto* s = v.string())
        write_string(out, *s);
    else if (auto* a = v.items()) {
        out += '[';
        for (size_t i = 0; i < a->size(); i++) {
            if (i) out += indent < 0 ? ", " : ",";
            line_break(out, indent, level + 1);
            write(out, (*a)[i], indent, level + 1);
        }
        line_break(out, indent, level);
        out += ']';
    } else if (auto* o = v.members()) {
        out += '{';
        for (size_t i = 0; i < o->size(); i++) {
            if (i) out += indent < 0 ? ", " : ",";
            line_break(out, indent, level + 1);
            write_string(out, (*o)[i].first);
            out += ": ";
            write(out, (*o)[i].second, indent, level + 1);
        }
        line_break(out, indent, level);
        out += '}';
    }
}

} // namespace

Result<Json> Json::parse(std::string_view text) {
    Builder builder;
    if (!nlohmann::json::sax_parse(text.begin(), text.end(), &builder))
        return Error::invalid_argument("{}", builder.error.empty() ? "JSON is not valid" : builder.error);
    return std::move(builder.value);
}

std::string Json::dump(int indent) const {
    std::string out;
    write(out, *this, indent, 0);
    return out;
}

bool Json::get(u64& out) const {
    if (auto* n = std::get_if<u64>(&v_)) return out = *n, true;
    if (auto* n = std::get_if<i64>(&v_); n && *n >= 0) return out = u64(*n), true;
    return false;
}

bool Json::get(i64& out) const {
    if (auto* n = std::get_if<i64>(&v_)) return out = *n, true;
    if (auto* n = std::get_if<u64>(&v_); n && *n <= u64(INT64_MAX)) return out = i64(*n), true;
    return false;
}

const Json* Json::find(std::string_view key) const { return const_cast<Json*>(this)->find(key); }

Json* Json::find(std::string_view key) {
    auto* o = members();
    if (!o) return nullptr;
    for (auto& [name, value] : *o)
        if (name == key) return &value;
    return nullptr;
}

Json& Json::set(std::string_view key, Json value) {
    if (is_null()) v_ = Object{};
    if (Json* old = find(key)) return *old = std::move(value);
    auto* o = members();
    MIMIC_CHECK(o, "Json::set on a value that is no object");
    return o->emplace_back(std::string(key), std::move(value)).second;
}

Json Json::take(std::string_view key) {
    auto* o = members();
    if (!o) return {};
    auto at = std::find_if(o->begin(), o->end(), [&](const Member& m) { return m.first == key; });
    if (at == o->end()) return {};
    Json value = std::move(at->second);
    o->erase(at);
    return value;
}

void Json::push(Json value) {
    if (is_null()) v_ = Array{};
    auto* a = items();
    MIMIC_CHECK(a, "Json::push on a value that is no array");
    a->push_back(std::move(value));
}

} // namespace mimic
