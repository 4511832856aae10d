// What the image tools call themselves: `mimic img`, or the name of the link under which the program was started (qemu-img), since
// scripts look for that in messages.
#pragma once
#include <string>
#include <string_view>

namespace mimic::tool {

// The link's name; before a tool runs. Empty: none.
void set_link_name(std::string_view name);
const std::string& link_name();
// For messages and usage of the tool `name` ("img").
std::string program_name(std::string_view name);
// What --version prints, without a line's end. Under the name of a link qemu-NAME it begins as that program's does, with the version
// whose options and outputs ours are.
std::string version_line(std::string_view name);

} // namespace mimic::tool
