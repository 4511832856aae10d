// The commands of the multi-call program. Each is a row; `mimic NAME ...` and links to the program under an established
// name lead to the same function.
#pragma once
#include <span>
#include <string_view>

namespace mimic::app {

struct Command {
    std::string_view name;                     // mimic NAME
    std::span<const std::string_view> aliases; // names of links to the program that mean the same
    int (*run)(std::span<const std::string_view> words);
    std::string_view summary;
    bool storage = false; // an image tool, which is in both programs
};

std::span<const Command> commands();

} // namespace mimic::app
