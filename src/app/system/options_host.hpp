// Options about the host's side: memory that stays, sound, the terminal's escape key.
#pragma once
#include "app/system/options.hpp"

namespace mimic::app {

Result<void> set_overcommit(SystemOptions& o, std::string_view value); // -overcommit
Result<void> add_audiodev(SystemOptions& o, std::string_view value);   // -audiodev
Result<void> set_escape(SystemOptions& o, std::string_view value);     // -echr

// Holds all memory of the process in RAM from now on.
Result<void> lock_memory(MemoryLock how);

} // namespace mimic::app
