// mimic nbd: an image as a network block device, and what a server has to offer. Options, messages and exit codes are those
// of qemu-nbd (its manual page), so that scripts run unchanged.
#pragma once
#include <span>
#include <string_view>

namespace mimic::nbd {

// args: what follows the program's name. Gives the exit status.
int nbd_main(std::span<const std::string_view> args);

} // namespace mimic::nbd
