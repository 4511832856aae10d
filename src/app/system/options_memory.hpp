// The options of RAM: -m, -object memory-backend-*, and what others say of it.
#pragma once
#include "app/system/options.hpp"

namespace mimic::app {

Result<void> set_memory(SystemOptions& o, std::string_view value);
Result<void> add_object(SystemOptions& o, std::string_view value);
// The types of objects that there are.
std::vector<std::string_view> object_types();
// Which RAM the machine has. After all were read.
Result<void> settle_memory(SystemOptions& o);

} // namespace mimic::app
