// What `mimic img COMMAND --help` says.
#pragma once
#include <string>
#include <string_view>

namespace mimic::img {

// What the command does, and all of its options and operands, a line each.
std::string help_of(std::string_view command);

} // namespace mimic::img
