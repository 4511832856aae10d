#include "app/system/messages.hpp"
#include "app/system/options.hpp"
#include <chrono>
#include <cstdio>
#include <ctime>

namespace mimic::app {

namespace {

// Of the host: "2026-11-28T01:18:05.662131Z".
std::string now() {
    using namespace std::chrono;
    const auto since = system_clock::now().time_since_epoch();
    const std::time_t seconds = duration_cast<std::chrono::seconds>(since).count();
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                       utc.tm_hour, utc.tm_min, utc.tm_sec, duration_cast<microseconds>(since).count() % 1'000'000);
}

} // namespace

void Messages::tell(std::string_view line) const {
    std::string text;
    if (timestamp) text += now() + ' ';
    if (guest_name && !guest.empty()) text += guest + ' ';
    text.append(line).append("\n");
    std::fwrite(text.data(), 1, text.size(), stderr);
}

void Messages::say(std::string_view line) const { tell(fmt::format("{}: {}", program, line)); }

Result<void> set_messages(SystemOptions& o, std::string_view value) {
    Keys keys("-msg", value);
    o.messages.timestamp = keys.flag("timestamp", o.messages.timestamp);
    o.messages.guest_name = keys.flag("guest-name", o.messages.guest_name);
    return keys.finish();
}

} // namespace mimic::app
