// mimic img: disk images made, looked at, converted and repaired without a guest. The commands, options, outputs and exit
// codes are those of qemu-img (its manual page), so that scripts run unchanged.
#pragma once
#include <span>
#include <string_view>

namespace mimic::img {

// args: what follows the program's name. Gives the exit status.
int img_main(std::span<const std::string_view> args);

} // namespace mimic::img
