// The options of the guest's time and chance: -icount, -seed, -rtc.
#pragma once
#include "app/system/options.hpp"

namespace mimic::app {

Result<void> set_icount(SystemOptions& o, std::string_view value);
Result<void> set_seed(SystemOptions& o, std::string_view value);
Result<void> set_rtc(SystemOptions& o, std::string_view value);
// What -icount means for other options. After all were read.
Result<void> settle_time(SystemOptions& o);

} // namespace mimic::app
