#include "block/objects.hpp"
#include "base/nearest.hpp"
#include <cerrno>
#include <fstream>
#include <sstream>

namespace mimic::block {

namespace {

// Objects of all kinds have one name space.
Result<void> check_free(const Context& context, const std::string& id) {
    auto implicit = context.implicit_groups.find(id);
    bool taken = context.secrets.contains(id) || context.credentials.contains(id) ||
                 context.authorizations.contains(id) || context.throttle_groups.contains(id) ||
                 (implicit != context.implicit_groups.end() && !implicit->second.expired());
    if (taken) return Error::exists("attempt to add duplicate object '{}'", id);
    return {};
}

Result<void> add_credentials(Context& context, std::string_view type, Json options) {
    Json id = options.take("id");
    if (!id.string()) return Error::invalid_argument("object '{}' expects id=", type);
    TRY(check_free(context, *id.string()));
    auto secret = [&](std::string_view name) -> const std::string* {
        auto at = context.secrets.find(std::string(name));
        return at == context.secrets.end() ? nullptr : &at->second;
    };
    auto made = TRY(tls::make_credentials(type, options, secret));
    context.credentials.emplace(*id.string(), std::move(made));
    return {};
}

Result<void> add_authorization(Context& context, std::string_view type, Json options) {
    Json id = options.take("id");
    if (!id.string()) return Error::invalid_argument("object '{}' expects id=", type);
    TRY(check_free(context, *id.string()));
    Json tree = TRY(nest(std::move(options)));
    auto made = TRY(tls::make_authorization(type, tree));
    context.authorizations.emplace(*id.string(), std::move(made));
    return {};
}

// As the command line has it (x-bps-total=...) or QMP (limits.bps-total).
Result<void> add_throttle_group(Context& context, Json options) {
    std::optional<std::string> id;
    ThrottleOptions flat, nested;
    OptionReader reader(options, "object 'throttle-group'");
    reader.string("id", id, "");
    flat.describe(reader, "x-");
    nested.describe(reader, "limits.");
    TRY(reader.finish());
    if (!id) return Error::invalid_argument("object 'throttle-group' expects id=");
    TRY(check_free(context, *id));
    ThrottleLimits limits;
    TRY(flat.apply(limits));
    TRY(nested.apply(limits));
    auto group = std::make_shared<ThrottleGroup>(context.loop, *id);
    group->set(limits);
    context.throttle_groups.emplace(*id, std::move(group));
    return {};
}

ThrottleGroup* group_at(const Context& context, std::string_view path) {
    constexpr std::string_view folder = "/objects/";
    if (path.starts_with(folder)) path.remove_prefix(folder.size());
    auto at = context.throttle_groups.find(std::string(path));
    return at == context.throttle_groups.end() ? nullptr : at->second.get();
}

// As ThrottleOptions names them.
Json limits_of(const ThrottleLimits& limits) {
    constexpr std::string_view scopes[] = {"total", "read", "write"};
    Json all = Json::object();
    auto one = [&](std::string_view unit, std::string_view scope, const ThrottleLimits::Rate& r) {
        all.set(fmt::format("{}-{}", unit, scope), r.average);
        all.set(fmt::format("{}-{}-max", unit, scope), r.max);
        all.set(fmt::format("{}-{}-max-length", unit, scope), r.length);
    };
    for (unsigned s = 0; s < 3; s++) {
        one("bps", scopes[s], limits.bytes[s]);
        one("iops", scopes[s], limits.requests[s]);
    }
    all.set("iops-size", limits.request_size);
    return all;
}

} // namespace

std::optional<Result<Json>> get_property(const Context& context, std::string_view path, std::string_view name) {
    ThrottleGroup* group = group_at(context, path);
    if (!group) return std::nullopt;
    if (name == "type") return Json("throttle-group");
    Json limits = limits_of(group->limits());
    if (name == "limits") return limits;
    if (const Json* one = name.starts_with("x-") ? limits.find(name.substr(2)) : nullptr) return *one;
    return Error::invalid_argument("Property 'throttle-group.{}' not found", name);
}

std::optional<Result<void>> set_property(Context& context, std::string_view path, std::string_view name, Json value) {
    ThrottleGroup* group = group_at(context, path);
    if (!group) return std::nullopt;
    auto set = [&]() -> Result<void> {
        TRY(*get_property(context, path, name));
        if (name != "limits") return Error::invalid_argument("Property cannot be set after initialization");
        Json nested = Json::object();
        nested.set("limits", std::move(value));
        ThrottleOptions given;
        OptionReader reader(nested, "property 'limits'");
        given.describe(reader, "limits.");
        TRY(reader.finish());
        ThrottleLimits limits = group->limits();
        TRY(given.apply(limits));
        group->set(limits);
        return {};
    };
    return set();
}

namespace {
constexpr std::string_view types[] = {"secret",         "throttle-group", "tls-creds-x509", "tls-creds-psk",
                                      "tls-creds-anon", "authz-simple",   "authz-list",     "authz-listfile"};
} // namespace

std::span<const std::string_view> object_types() { return types; }

Result<void> add_object(Context& context, Json options) {
    Json type = options.take("qom-type");
    if (type.string() && tls::is_credentials(*type.string()))
        return add_credentials(context, *type.string(), std::move(options));
    if (type.string() && tls::is_authorization(*type.string()))
        return add_authorization(context, *type.string(), std::move(options));
    if (type.string() && *type.string() == "throttle-group") return add_throttle_group(context, std::move(options));
    if (!type.string() || *type.string() != "secret") {
        const std::string name = type.string() ? *type.string() : "";
        return Error::invalid_argument(
            "object type '{}' is not known here, expected secret, throttle-group, tls-creds-x509, tls-creds-psk, "
            "tls-creds-anon, authz-simple, authz-list or authz-listfile{}",
            name, did_you_mean(name, types));
    }
    std::optional<std::string> id, data, file, encoding;
    OptionReader reader(options, "object 'secret'");
    reader.string("id", id, "");
    reader.string("data", data, "");
    reader.string("file", file, "");
    reader.string("format", encoding, "");
    TRY(reader.finish());
    if (!id) return Error::invalid_argument("object 'secret' expects id=");
    if (data.has_value() == file.has_value())
        return Error::invalid_argument("secret '{}' expects one of data= and file=, but has {}", *id,
                                       data ? "both" : "none of them");
    if (encoding.value_or("raw") != "raw")
        return Error::invalid_argument("secret '{}' has format '{}', expected raw", *id, *encoding);
    if (file) {
        errno = 0;
        std::ifstream in(*file, std::ios::binary);
        std::ostringstream bytes;
        if (!in) return Error::from_errno(errno ? errno : EIO, "secret '{}': Unable to read '{}'", *id, *file);
        if (!(bytes << in.rdbuf())) return Error::invalid_argument("secret '{}': '{}' is empty", *id, *file);
        data = bytes.str();
    }
    TRY(check_free(context, *id));
    context.secrets.emplace(*id, *data);
    return {};
}

Result<void> remove_object(Context& context, const std::string& id) {
    if (auto at = context.throttle_groups.find(id); at != context.throttle_groups.end()) {
        if (at->second->used()) return Error::busy("object '{}' is in use, can not be deleted", id);
        context.throttle_groups.erase(at);
        return {};
    }
    if (context.secrets.erase(id) || context.credentials.erase(id) || context.authorizations.erase(id)) return {};
    return Error::not_found("object '{}' not found", id);
}

Result<std::shared_ptr<tls::Authorization>> find_authorization(const Context& context, const std::string& id) {
    auto at = context.authorizations.find(id);
    if (at == context.authorizations.end())
        return Error::not_found(
            "No authorization with id '{}', expected an object authz-simple, authz-list or authz-listfile", id);
    return at->second;
}

Result<std::string> find_secret(const Context& context, const std::string& id) {
    auto at = context.secrets.find(id);
    if (at == context.secrets.end()) return Error::not_found("No secret with id '{}'", id);
    return at->second;
}

std::shared_ptr<ThrottleGroup> throttle_group(Context& context, const std::string& name) {
    if (auto at = context.throttle_groups.find(name); at != context.throttle_groups.end()) return at->second;
    std::erase_if(context.implicit_groups, [](auto& one) { return one.second.expired(); });
    auto& kept = context.implicit_groups[name];
    if (auto group = kept.lock()) return group;
    auto group = std::make_shared<ThrottleGroup>(context.loop, name);
    kept = group;
    return group;
}

Result<std::shared_ptr<tls::Credentials>> find_credentials(const Context& context, const std::string& id,
                                                           tls::Endpoint endpoint) {
    auto at = context.credentials.find(id);
    if (at == context.credentials.end()) return Error::not_found("No TLS credentials with id '{}'", id);
    if (at->second->endpoint() != endpoint)
        return Error::invalid_argument("TLS credentials '{}' are for a {}, expected endpoint={}", id,
                                       endpoint == tls::Endpoint::server ? "client" : "server",
                                       endpoint == tls::Endpoint::server ? "server" : "client");
    return at->second;
}

} // namespace mimic::block
