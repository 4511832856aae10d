#include "crypto/tls.hpp"
#include <optional>

namespace mimic::tls {

namespace {

constexpr std::pair<std::string_view, Settings::Kind> kinds[] = {
    {"tls-creds-anon", Settings::Kind::anonymous},
    {"tls-creds-psk", Settings::Kind::psk},
    {"tls-creds-x509", Settings::Kind::x509},
};

const Settings::Kind* find_kind(std::string_view type) {
    for (auto& [name, kind] : kinds)
        if (name == type) return &kind;
    return nullptr;
}

// Properties come as text from command lines and as values from QMP.
Result<bool> flag(std::string_view type, std::string_view name, const Json& value) {
    if (value.boolean()) return *value.boolean();
    const std::string* text = value.string();
    if (text && (*text == "on" || *text == "yes" || *text == "true" || *text == "y")) return true;
    if (text && (*text == "off" || *text == "no" || *text == "false" || *text == "n")) return false;
    return Error::invalid_argument("object '{}': property '{}' expects on or off", type, name);
}

Result<std::string> text(std::string_view type, std::string_view name, const Json& value) {
    if (value.string()) return *value.string();
    return Error::invalid_argument("object '{}': property '{}' expects a text", type, name);
}

} // namespace

bool is_credentials(std::string_view type) { return find_kind(type); }

Result<std::shared_ptr<Credentials>>
make_credentials(std::string_view type, const Json& properties,
                 const std::function<const std::string*(std::string_view)>& secret) {
    const Settings::Kind* kind = find_kind(type);
    if (!kind) return Error::invalid_argument("object type '{}' is no TLS credentials", type);
    Settings s;
    s.kind = *kind;
    for (auto& [name, value] : *properties.members()) {
        if (name == "verify-peer") {
            s.verify_peer = TRY(flag(type, name, value));
        } else if (name == "sanity-check" && s.kind == Settings::Kind::x509) {
            s.sanity_check = TRY(flag(type, name, value));
        } else if (name == "endpoint") {
            std::string end = TRY(text(type, name, value));
            if (end != "server" && end != "client")
                return Error::invalid_argument("object '{}': endpoint '{}', expected server or client", type, end);
            s.endpoint = end == "server" ? Endpoint::server : Endpoint::client;
        } else if (name == "dir") {
            s.folder = TRY(text(type, name, value));
        } else if (name == "priority") {
            s.priority = TRY(text(type, name, value));
        } else if (name == "username" && s.kind == Settings::Kind::psk) {
            s.user = TRY(text(type, name, value));
        } else if (name == "passwordid" && s.kind == Settings::Kind::x509) {
            std::string id = TRY(text(type, name, value));
            const std::string* found = secret(id);
            if (!found) return Error::not_found("No secret with id '{}'", id);
            s.password = *found;
        } else {
            return Error::invalid_argument("Property '{}.{}' not found", type, name);
        }
    }
    if (s.folder.empty() && s.kind != Settings::Kind::anonymous)
        return Error::invalid_argument("object '{}' expects dir=, the folder of its files", type);
    const Module* module = TRY(open_module<Module>());
    std::string error;
    auto made = module->load(s, error);
    if (!made) return Error::invalid_argument("{}", error);
    return std::shared_ptr<Credentials>(std::move(made));
}

} // namespace mimic::tls
