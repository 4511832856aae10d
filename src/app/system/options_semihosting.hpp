// -semihosting and -semihosting-config.
#pragma once
#include "app/system/options.hpp"

namespace mimic::app {

Result<void> set_semihosting(SystemOptions& o, std::string_view value);

} // namespace mimic::app
