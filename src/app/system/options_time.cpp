#include "app/system/options_time.hpp"
#include <ctime>

namespace mimic::app {

// "shift=N|auto[,align=on|off][,sleep=on|off]"
Result<void> set_icount(SystemOptions& o, std::string_view value) {
    Keys keys("-icount", value, "shift");
    cpu::CountOptions c;
    const std::string shift = keys.text("shift", "auto");
    c.automatic = shift == "auto";
    const bool one = shift.size() == 1 && shift[0] >= '0' && shift[0] <= '9';
    if (!c.automatic && !one && shift != "10")
        return Error::invalid_argument("-icount shift: '{}', expected 0 to {} or auto", shift,
                                       cpu::CountedClock::most_shift);
    c.shift = c.automatic ? 0 : u32(std::stoul(shift));
    c.align = keys.flag("align", false);
    c.sleep = keys.flag("sleep", true);
    for (std::string_view replay : {"rr", "rrfile", "rrsnapshot"})
        if (keys.has(replay)) return Error::unsupported("-icount {}: recording and replaying are not there", replay);
    TRY(keys.finish());
    if (c.align && c.automatic) return Error::invalid_argument("-icount align: on, expected off with shift=auto");
    if (c.align && !c.sleep) return Error::invalid_argument("-icount align: on, expected off with sleep=off");
    o.board.icount = c;
    o.board.machine.counted = true;
    return {};
}

Result<void> set_seed(SystemOptions& o, std::string_view value) {
    Keys keys("-seed", value, "seed");
    const u64 seed = keys.number("seed", 0, 0, ~u64{0} >> 1);
    TRY(keys.finish());
    o.board.machine.random_seed = seed + 1; // 0 is none
    return {};
}

Result<void> settle_time(SystemOptions& o) {
    if (!o.board.icount) return {};
    if (o.many_threads) return Error::invalid_argument("-icount: not with -accel thread=multi, expected thread=single");
    if (o.board.accelerator == "qtest") return Error::invalid_argument("-icount: not with -accel qtest");
    if (o.board.translation.verify) return Error::invalid_argument("-icount: not with -accel verify=on");
    o.board.single_thread = true;
    if (!o.board.machine.random_seed) o.board.machine.random_seed = 1; // one that is the same each time
    return {};
}

Result<void> set_rtc(SystemOptions& o, std::string_view value) {
    Keys keys("-rtc", value);
    std::string base = keys.text("base", "utc");
    constexpr std::string_view clocks[] = {"host", "rt", "vm"}, fixes[] = {"none", "slew"};
    keys.choice("clock", clocks, 0);
    keys.choice("driftfix", fixes, 0);
    TRY(keys.finish());
    time_t now = time(nullptr);
    tm t{};
    o.board.machine.rtc_start = now; // of time that is not the host's
    if (base == "utc") return {};
    if (base == "localtime") {
        localtime_r(&now, &t);
        o.board.machine.rtc_offset = t.tm_gmtoff;
        o.board.machine.rtc_start += t.tm_gmtoff;
        return {};
    }
    const char* end = strptime(base.c_str(), "%Y-%m-%dT%H:%M:%S", &t);
    if (!end) end = strptime(base.c_str(), "%Y-%m-%d", &t);
    if (!end || *end)
        return Error::invalid_argument("-rtc base: '{}', expected utc, localtime or 2006-06-17T16:01:21", base);
    o.board.machine.rtc_start = timegm(&t);
    o.board.machine.rtc_offset = o.board.machine.rtc_start - now;
    return {};
}

} // namespace mimic::app
