// mimic io: single requests to a disk image, for scripts and by hand. Commands, output lines and exit codes are those of
// qemu-io (its help), so that scripts run unchanged.
#pragma once
#include <span>
#include <string_view>

namespace mimic::io_tool {

// args: what follows the program's name. Gives the exit status.
int io_main(std::span<const std::string_view> args);

} // namespace mimic::io_tool
