// Objects that block drivers and servers use by name: `--object secret,id=ID,data=...`, `--object tls-creds-x509,id=ID,...`.
#pragma once
#include "block/driver.hpp"

namespace mimic::block {

// The types of objects that there are here.
std::span<const std::string_view> object_types();
// Makes the object that the options describe ("qom-type", "id", ...). Errors name what was expected.
Result<void> add_object(Context& context, Json options);
// Errors: there is none of that id, or it is in use.
Result<void> remove_object(Context& context, const std::string& id);
// Properties of an object by its id or path ("/objects/ID"): a throttle group's "limits" (QMP's ThrottleLimits), which can be
// changed, and each of them ("x-bps-total"). Nothing: no such object. Errors: no such property, limits that contradict each other.
std::optional<Result<Json>> get_property(const Context& context, std::string_view path, std::string_view name);
std::optional<Result<void>> set_property(Context& context, std::string_view path, std::string_view name, Json value);
// The bytes of a secret. Errors: there is none of that id.
Result<std::string> find_secret(const Context& context, const std::string& id);
// A throttle group by its name; a new one, without limits, if there is none. It lives as long as it is used, or the object.
std::shared_ptr<ThrottleGroup> throttle_group(Context& context, const std::string& name);
// Credentials by their id, for one end. Errors: there is none, or it is for the other end.
Result<std::shared_ptr<tls::Credentials>> find_credentials(const Context& context, const std::string& id,
                                                           tls::Endpoint endpoint);

// Errors: there is none.
Result<std::shared_ptr<tls::Authorization>> find_authorization(const Context& context, const std::string& id);

} // namespace mimic::block
