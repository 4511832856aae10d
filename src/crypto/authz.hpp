// Who of those that TLS has let in may do more: `--object authz-simple|authz-list|authz-listfile,...`, as the manual's chapter
// "Client authorization" has them. A client is known by the distinguished name of its certificate.
#pragma once
#include "base/json.hpp"
#include <memory>

namespace mimic::tls {

class Authorization {
public:
    virtual ~Authorization() = default;
    // identity: a distinguished name as Session::peer() has it. Errors: the rules can't be read.
    virtual Result<bool> allows(const std::string& identity) const = 0;
};

// True of the object types above.
bool is_authorization(std::string_view object_type);
// From the properties of such an object, "qom-type" and "id" taken away. Errors name the property, or the file and what is wrong in it.
Result<std::shared_ptr<Authorization>> make_authorization(std::string_view object_type, const Json& properties);

} // namespace mimic::tls
