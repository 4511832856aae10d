// Json: a JSON value of ours, for option trees, image metadata, QMP and --output=json.
//
// The library that reads JSON (nlohmann-json) stays inside json.cpp: its headers are slow to compile. Objects keep the
// order in which their members were added; integers keep their 64 bits and their sign.
#pragma once
#include "base/result.hpp"
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace mimic {

class Json {
public:
    using Array = std::vector<Json>;
    using Member = std::pair<std::string, Json>;
    using Object = std::vector<Member>;

    Json() = default;
    Json(bool b) : v_(b) {}
    Json(int n) : Json(i64(n)) {}
    // One form for each integer, so that equal numbers compare equal.
    Json(i64 n) {
        if (n < 0)
            v_ = n;
        else
            v_ = u64(n);
    }
    Json(u32 n) : v_(u64(n)) {}
    Json(u64 n) : v_(n) {}
    Json(double d) : v_(d) {}
    Json(const char* s) : v_(std::string(s)) {}
    Json(std::string s) : v_(std::move(s)) {}
    Json(std::string_view s) : v_(std::string(s)) {}
    Json(Array a) : v_(std::move(a)) {}
    Json(Object o) : v_(std::move(o)) {}
    static Json object() { return Json(Object{}); }
    static Json array() { return Json(Array{}); }

    // The value of a text (RFC 8259). Errors name the byte; texts nested deeper than 256 are refused.
    static Result<Json> parse(std::string_view text);
    // One line with `indent` < 0, else one member a line, indented by that many spaces a level.
    std::string dump(int indent = -1) const;

    bool is_null() const { return v_.index() == 0; }
    const bool* boolean() const { return std::get_if<bool>(&v_); }
    const double* number() const { return std::get_if<double>(&v_); }
    const std::string* string() const { return std::get_if<std::string>(&v_); }
    const Array* items() const { return std::get_if<Array>(&v_); }
    Array* items() { return std::get_if<Array>(&v_); }
    const Object* members() const { return std::get_if<Object>(&v_); }
    Object* members() { return std::get_if<Object>(&v_); }
    bool is_integer() const { return std::holds_alternative<i64>(v_) || std::holds_alternative<u64>(v_); }
    // Integers in range, false for any other value.
    bool get(u64& out) const;
    bool get(i64& out) const;

    // A member of an object; null if there is none or this is no object.
    const Json* find(std::string_view key) const;
    Json* find(std::string_view key);
    // Adds or replaces a member; a null value becomes an object first.
    Json& set(std::string_view key, Json value);
    // Takes a member out; a null value if there is none.
    Json take(std::string_view key);
    void push(Json value);

    bool operator==(const Json&) const = default;

private:
    std::variant<std::monostate, bool, i64, u64, double, std::string, Array, Object> v_;
};

} // namespace mimic
