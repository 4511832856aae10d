#include "app/system/options_host.hpp"
#include <cerrno>
#include <charconv>
#include <sys/mman.h>

namespace mimic::app {

Result<void> set_overcommit(SystemOptions& o, std::string_view value) {
    Keys keys("-overcommit", value);
    constexpr std::string_view locks[] = {"off", "on", "on-fault"};
    o.memory_lock = MemoryLock(keys.choice("mem-lock", locks, u32(o.memory_lock)));
    if (keys.flag("cpu-pm", false))
        return Error::unsupported(
            "-overcommit cpu-pm: on, expected off: the guest's processors are threads like others");
    return keys.finish();
}

Result<void> lock_memory(MemoryLock how) {
    if (how == MemoryLock::off) return {};
    const int flags = MCL_CURRENT | MCL_FUTURE | (how == MemoryLock::on_fault ? MCL_ONFAULT : 0);
    if (mlockall(flags) != 0)
        return Error::from_errno(errno, "-overcommit mem-lock: memory cannot be locked (`ulimit -l` is its limit)");
    return {};
}

// Management tools name a sound back end for each machine. There are no sound devices, so `none` is all of it; its options about
// rates have nothing to be about.
Result<void> add_audiodev(SystemOptions& o, std::string_view value) {
    if (asks_help(value)) {
        o.help = Help::audiodevs;
        return {};
    }
    Keys keys = TRY(Keys::parse("-audiodev", value, "driver"));
    const std::string driver = keys.text("driver"), id = keys.text("id");
    if (driver != "none")
        return Error::unsupported("-audiodev driver: '{}', expected none: there are no sound devices", driver);
    if (id.empty()) return Error::invalid_argument("-audiodev: 'id' is missing, expected id=NAME");
    keys.number("timer-period", 0);
    for (std::string_view side : {"in", "out"})
        for (std::string_view key :
             {"frequency", "channels", "voices", "buffer-length", "format", "fixed-settings", "mixing-engine"})
            keys.text(fmt::format("{}.{}", side, key));
    return keys.finish();
}

Result<void> set_escape(SystemOptions& o, std::string_view value) {
    std::string_view digits = value;
    const bool hexadecimal = digits.starts_with("0x") || digits.starts_with("0X");
    if (hexadecimal) digits.remove_prefix(2);
    u32 code = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), code, hexadecimal ? 16 : 10);
    if (error != std::errc() || end != digits.data() + digits.size() || code == 0 || code > 255)
        return Error::invalid_argument("-echr: '{}', expected a character's number from 1 to 255, like 0x14 for C-t",
                                       value);
    o.escape = u8(code);
    return {};
}

} // namespace mimic::app
