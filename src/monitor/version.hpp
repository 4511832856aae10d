// What query-version and the greeting say.
#pragma once
#include "base/json.hpp"

namespace mimic::monitor {

Json version_info();

} // namespace mimic::monitor
