#include "qmp/schema.hpp"
#include "base/check.hpp"
#include <algorithm>
#include <charconv>

namespace mimic::qmp {

namespace {

using Kind = Schema::Type::Kind;

struct BuiltIn {
    std::string_view name;
    Kind kind;
    std::string_view json;
    u64 high = ~u64{0};
    bool negative = false;
};
constexpr BuiltIn built_in[] = {
    {"str", Kind::string, "string"},
    {"int", Kind::integer, "int", u64(INT64_MAX), true},
    {"number", Kind::number, "number"},
    {"bool", Kind::boolean, "boolean"},
    {"any", Kind::any, "value"},
    {"null", Kind::null, "null"},
    {"uint8", Kind::integer, "int", 0xff},
    {"uint16", Kind::integer, "int", 0xffff},
    {"uint32", Kind::integer, "int", 0xffffffff},
    {"uint64", Kind::integer, "int"},
    {"size", Kind::integer, "int"},
};

std::string_view trim(std::string_view s) {
    while (!s.empty() && (s.front() == ' ' || s.front() == '\n')) s.remove_prefix(1);
    while (!s.empty() && (s.back() == ' ' || s.back() == '\n')) s.remove_suffix(1);
    return s;
}

// Calls f with each part of `text` between separators that is not empty.
template <class F>
void split(std::string_view text, char separator, F f) {
    while (!trim(text).empty()) {
        size_t at = text.find(separator);
        if (std::string_view part = trim(text.substr(0, at)); !part.empty()) f(part);
        text = at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
    }
}

// "word rest": the word; text becomes the rest.
std::string_view word(std::string_view& text) {
    text = trim(text);
    size_t end = text.find(' ');
    std::string_view w = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : trim(text.substr(end));
    return w;
}

} // namespace

// ---- declarations -----------------------------------------------------------------------------------------------------

Schema::Type* Schema::make(std::string name, Kind kind) {
    auto& slot = types_[name];
    MIMIC_CHECK(!slot, "a type of the schema is declared twice");
    slot = std::make_unique<Type>();
    slot->kind = kind;
    slot->name = std::move(name);
    order_.push_back(slot.get());
    return slot.get();
}

const Schema::Type* Schema::find_type(std::string_view name) const {
    auto at = types_.find(name);
    return at == types_.end() ? nullptr : at->second.get();
}

// "Name" or "[Name]"; arrays are made when they are first used.
const Schema::Type* Schema::use(std::string_view name) {
    if (name.empty()) return find_type("q_empty");
    if (const Type* t = find_type(name)) return t;
    MIMIC_CHECK(name.starts_with('[') && name.ends_with(']'), "a declaration of the schema names an unknown type");
    const Type* element = use(name.substr(1, name.size() - 2));
    Type* t = make(std::string(name), Kind::array);
    t->element = element;
    return t;
}

void Schema::members(std::string_view text, Type& t) {
    split(text, ',', [&](std::string_view item) {
        if (item == "...") {
            t.open = true;
            return;
        }
        std::string_view name = word(item);
        bool optional = name.starts_with('?');
        if (optional) name.remove_prefix(1);
        t.members.push_back({std::string(name), use(trim(item)), optional});
    });
}

// First the names, so that declarations may use each other.
void Schema::declare(std::string_view line) {
    std::string_view rest = line, what = word(rest);
    std::string_view name = rest.substr(0, rest.find_first_of(" :"));
    MIMIC_CHECK(what == "struct" || what == "enum" || what == "union", "a declaration of the schema has no known kind");
    make(std::string(name), what == "enum" ? Kind::enumeration : Kind::object);
}

void Schema::fill(std::string_view line) {
    std::string_view rest = line, what = word(rest);
    std::string_view head = rest.substr(0, rest.find(':')), body = rest.substr(rest.find(':') + 1);
    Type& t = *types_.find(head.substr(0, head.find(' ')))->second;
    if (what == "enum") {
        split(body, ' ', [&](std::string_view n) { t.names.emplace_back(n); });
        return;
    }
    bool first = true;
    split(body, '|', [&](std::string_view part) {
        if (first) members(part, t);
        if (!first) {
            size_t equals = part.find('=');
            t.variants.emplace_back(trim(part.substr(0, equals)), use(trim(part.substr(equals + 1))));
        }
        first = false;
    });
    if (what == "union") t.tag = trim(head.substr(head.find(" by ") + 4));
}

Schema::Schema(std::span<const Family* const> families) {
    for (const BuiltIn& b : built_in) {
        Type* t = make(std::string(b.name), b.kind);
        t->json = b.json;
        t->high = b.high;
        t->negative = b.negative;
    }
    make("q_empty", Kind::object);
    for (const Family* f : families) split(f->types, '\n', [&](std::string_view line) { declare(line); });
    for (const Family* f : families) split(f->types, '\n', [&](std::string_view line) { fill(line); });
    for (const Family* f : families) {
        for (const Command& c : f->commands) {
            Type* t = make(fmt::format("q_obj_{}-arg", c.name), Kind::object);
            members(c.arguments, *t);
            arguments_[c.name] = t;
            results_[c.name] = use(c.returns);
            commands_.push_back(&c);
        }
        for (const EventInfo& e : f->events) {
            Type* t = make(fmt::format("q_obj_{}-arg", e.name), Kind::object);
            members(e.data, *t);
            event_data_[e.name] = t;
            events_.push_back(&e);
        }
    }
    std::sort(commands_.begin(), commands_.end(), [](auto* a, auto* b) { return a->name < b->name; });
}

const Command* Schema::find(std::string_view name) const {
    auto at = std::lower_bound(commands_.begin(), commands_.end(), name, [](auto* c, auto n) { return c->name < n; });
    return at != commands_.end() && (*at)->name == name ? *at : nullptr;
}

// ---- checking ---------------------------------------------------------------------------------------------------------

namespace {

Error wrong_type(const std::string& path, std::string_view expected) {
    return Error::invalid_argument("Invalid parameter type for '{}', expected: {}", path, expected);
}

Result<void> check_integer(const Json& value, const Schema::Type& t, const std::string& path) {
    u64 n = 0;
    i64 s = 0;
    if (value.get(n) && n <= t.high) return {};
    if (t.negative && value.get(s)) return {};
    return wrong_type(path, t.negative ? "integer" : t.name);
}

} // namespace

Result<void> Schema::check(const Json& value, const Type& t, const std::string& path) const {
    switch (t.kind) {
    case Kind::any: return {};
    case Kind::null: return value.is_null() ? Result<void>() : wrong_type(path, "null");
    case Kind::string: return value.string() ? Result<void>() : wrong_type(path, "string");
    case Kind::boolean: return value.boolean() ? Result<void>() : wrong_type(path, "boolean");
    case Kind::number: return value.number() || value.is_integer() ? Result<void>() : wrong_type(path, "number");
    case Kind::integer: return check_integer(value, t, path);
    case Kind::enumeration:
        if (!value.string()) return wrong_type(path, "string");
        if (std::find(t.names.begin(), t.names.end(), *value.string()) == t.names.end())
            return Error::invalid_argument("Parameter '{}' does not accept value '{}'", path, *value.string());
        return {};
    case Kind::array:
        if (!value.items()) return wrong_type(path, "array");
        for (size_t i = 0; i < value.items()->size(); i++)
            TRY(check((*value.items())[i], *t.element, fmt::format("{}[{}]", path, i)));
        return {};
    case Kind::object: break;
    }
    if (!value.members()) return wrong_type(path, "object");
    std::string inside = path.empty() ? "" : path + ".";
    const Type* variant = nullptr;
    for (const Member& m : t.members) {
        const Json* v = value.find(m.name);
        if (!v && !m.optional) return Error::invalid_argument("Parameter '{}' is missing", inside + m.name);
        if (v) TRY(check(*v, *m.type, inside + m.name));
        if (v && m.name == t.tag)
            for (const auto& [name, type] : t.variants)
                if (name == *v->string()) variant = type;
    }
    std::vector<const Member*> more;
    if (variant)
        for (const Member& m : variant->members) {
            const Json* v = value.find(m.name);
            if (!v && !m.optional) return Error::invalid_argument("Parameter '{}' is missing", inside + m.name);
            if (v) TRY(check(*v, *m.type, inside + m.name));
            more.push_back(&m);
        }
    for (const auto& [name, v] : *value.members()) {
        auto named = [&n = name](const Member& m) { return m.name == n; };
        bool known = t.open || std::any_of(t.members.begin(), t.members.end(), named) ||
                     std::any_of(more.begin(), more.end(), [&](const Member* m) { return named(*m); });
        if (!known) return Error::invalid_argument("Parameter '{}' is unexpected", inside + name);
    }
    return {};
}

void Schema::convert(Json& value, const Type& t) const {
    const std::string* text = value.string();
    if (text && t.kind == Kind::boolean) {
        if (*text == "on" || *text == "true" || *text == "yes")
            value = true;
        else if (*text == "off" || *text == "false" || *text == "no")
            value = false;
        return;
    }
    if (text && t.kind == Kind::integer) {
        u64 n = 0;
        auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), n);
        if (error == std::errc() && end == text->data() + text->size()) value = n;
        return;
    }
    if (value.items() && t.kind == Kind::array)
        for (Json& one : *value.items()) convert(one, *t.element);
    if (!value.members() || t.kind != Kind::object) return;
    for (const Member& m : t.members)
        if (Json* v = value.find(m.name)) convert(*v, *m.type);
}

// ---- introspection ----------------------------------------------------------------------------------------------------

namespace {

Json member_info(const Schema::Member& m) {
    Json j = Json::object();
    j.set("name", m.name);
    j.set("type", m.type->kind == Kind::integer ? "int" : m.type->name);
    if (m.optional) j.set("default", Json());
    return j;
}

Json type_info(const Schema::Type& t) {
    Json j = Json::object();
    j.set("name", t.name);
    Json list = Json::array();
    switch (t.kind) {
    case Kind::enumeration: {
        j.set("meta-type", "enum");
        Json names = Json::array();
        for (const std::string& n : t.names) {
            Json member = Json::object();
            member.set("name", n);
            list.push(std::move(member));
            names.push(n);
        }
        j.set("members", std::move(list));
        j.set("values", std::move(names));
        break;
    }
    case Kind::array:
        j.set("meta-type", "array");
        j.set("element-type", t.element->kind == Kind::integer ? "int" : t.element->name);
        break;
    case Kind::object:
        j.set("meta-type", "object");
        for (const Schema::Member& m : t.members) list.push(member_info(m));
        j.set("members", std::move(list));
        if (!t.tag.empty()) {
            Json variants = Json::array();
            for (const auto& [name, type] : t.variants) {
                Json v = Json::object();
                v.set("case", name);
                v.set("type", type->name);
                variants.push(std::move(v));
            }
            j.set("tag", t.tag);
            j.set("variants", std::move(variants));
        }
        break;
    default:
        j.set("meta-type", "builtin");
        j.set("json-type", t.json);
        break;
    }
    return j;
}

} // namespace

Json Schema::introspect() const {
    Json out = Json::array();
    for (const Command* c : commands_) {
        Json j = Json::object();
        j.set("name", c->name);
        j.set("meta-type", "command");
        j.set("arg-type", arguments_.at(c->name)->name);
        const Type& r = *results_.at(c->name);
        j.set("ret-type", r.kind == Kind::integer ? "int" : r.name);
        if (c->out_of_band) j.set("allow-oob", true);
        out.push(std::move(j));
    }
    for (const EventInfo* e : events_) {
        Json j = Json::object();
        j.set("name", e->name);
        j.set("meta-type", "event");
        j.set("arg-type", event_data_.at(e->name)->name);
        out.push(std::move(j));
    }
    // All integers are "int" there, as the manual says.
    for (const Type* t : order_)
        if (t->kind != Kind::integer || t->name == "int") out.push(type_info(*t));
    return out;
}

std::string Schema::documentation() const {
    std::string out = "| command | arguments | returns | what it does |\n|---|---|---|---|\n";
    for (const Command* c : commands_)
        out += fmt::format("| {} | {} | {} | {} |\n", c->name, c->arguments, c->returns, c->help);
    return out;
}

// ---- arguments --------------------------------------------------------------------------------------------------------

const Json& Arguments::value(std::string_view name) const {
    const Json* v = object_.find(name);
    MIMIC_CHECK(v, "a command asks for an argument that its declaration does not promise");
    return *v;
}

std::string Arguments::text(std::string_view name, std::string_view otherwise) const {
    const Json* v = object_.find(name);
    return v && v->string() ? *v->string() : std::string(otherwise);
}
u64 Arguments::number(std::string_view name, u64 otherwise) const {
    const Json* v = object_.find(name);
    i64 s = 0;
    u64 n = otherwise;
    if (v && !v->get(n) && v->get(s)) n = u64(s);
    return n;
}
bool Arguments::flag(std::string_view name, bool otherwise) const {
    const Json* v = object_.find(name);
    return v && v->boolean() ? *v->boolean() : otherwise;
}

} // namespace mimic::qmp
