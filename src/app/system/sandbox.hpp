// -sandbox: the process gives up system calls (seccomp) that a machine's work does not need. A call that is denied ends it by
// SIGSYS.
#pragma once
#include "app/system/options.hpp"

namespace mimic::app {

Result<void> set_sandbox(SystemOptions& o, std::string_view value);
// For this thread and all that it makes, for good.
Result<void> enter_sandbox(const SandboxOptions& o);

} // namespace mimic::app
