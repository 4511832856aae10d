// The options of logs: -d (parse_log_items) and -trace.
#pragma once
#include "app/system/options.hpp"

namespace mimic::app {

Result<void> set_trace(SystemOptions& o, std::string_view value);

} // namespace mimic::app
