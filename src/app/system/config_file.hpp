// Files of options (-readconfig, -writeconfig): sections that are options, and lines that are their keys.
//
//   # a comment
//   [drive "d0"]
//     file = "disk.qcow2"
#pragma once
#include "base/result.hpp"
#include <span>
#include <string>
#include <vector>

namespace mimic::app {

// An option of the command line: "drive", "file=disk.qcow2,id=d0".
struct GivenOption {
    std::string option, value;
};

// The section that an option is written as, and the key of a value that begins without one.
struct ConfigSection {
    std::string_view section, option, implied;
};
std::span<const ConfigSection> config_sections();

// Errors name the line and what was expected.
Result<std::vector<GivenOption>> parse_config(std::string_view text);
Result<std::vector<GivenOption>> read_config(const std::string& path);
// "-": to standard output.
Result<void> save_config(const std::string& path, std::span<const GivenOption> options);
// A disk image by its name alone, as -drive would have it.
std::string drive_of_file(std::string_view path);
// Options that have no section become comments.
std::string write_config(std::span<const GivenOption> options);
// -set: "GROUP.ID.KEY=VALUE" changes the last option of that section and id.
Result<void> set_key(std::vector<GivenOption>& options, std::string_view text);

} // namespace mimic::app
