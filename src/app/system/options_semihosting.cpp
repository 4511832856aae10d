#include "app/system/options_semihosting.hpp"

namespace mimic::app {

Result<void> set_semihosting(SystemOptions& o, std::string_view value) {
    Keys keys("-semihosting-config", value, "enable");
    machines::SemihostingOptions& s = o.board.semihosting;
    s.enable = keys.flag("enable", true);
    s.userspace = keys.flag("userspace", s.userspace);
    s.chardev = keys.text("chardev", s.chardev);
    constexpr std::string_view targets[] = {"native", "auto", "gdb"};
    if (keys.choice("target", targets, 0) == 2)
        return Error::unsupported("-semihosting-config target: 'gdb' is not there, expected native or auto");
    for (const auto& [key, text] : keys.all())
        if (key == "arg") s.arguments.push_back(text);
    keys.text("arg");
    return keys.finish();
}

} // namespace mimic::app
