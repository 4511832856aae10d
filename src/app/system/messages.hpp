// What the program says to standard error: a line each, as -msg wants them to begin.
#pragma once
#include "base/result.hpp"
#include <string>
#include <string_view>

namespace mimic::app {

struct Messages {
    std::string program; // as it was called
    std::string guest;   // -name
    bool timestamp = false, guest_name = false;

    // "PROGRAM: LINE". Any thread.
    void say(std::string_view line) const;
    void warn(std::string_view line) const { say("warning: " + std::string(line)); }
    // The line without the program's name.
    void tell(std::string_view line) const;
};

struct SystemOptions;
Result<void> set_messages(SystemOptions& o, std::string_view value); // -msg

} // namespace mimic::app
