// -L: what another server exports.
#include "app/nbd/settings.hpp"
#include "block/nbd/client.hpp"

namespace mimic::nbd {

namespace {

using namespace block::nbd;

std::string flag_names(u16 flags) {
    constexpr std::pair<u16, std::string_view> names[] = {
        {flag_read_only, "readonly"},
        {flag_send_flush, "flush"},
        {flag_send_fua, "fua"},
        {flag_rotational, "rotational"},
        {flag_send_trim, "trim"},
        {flag_send_write_zeroes, "zeroes"},
        {flag_send_df, "df"},
        {flag_can_multi_conn, "multi"},
        {u16(512), "resize"},
        {flag_send_cache, "cache"},
        {flag_send_fast_zero, "fast-zero"},
    };
    std::string out;
    for (auto& [bit, name] : names)
        if (flags & bit) out += fmt::format(" {}", name);
    return out;
}

} // namespace

Task<int> list_exports(Tool& tool, const Settings& settings) {
    auto socket = co_await io::connect(tool.loop, settings.address());
    if (!socket) {
        tool.error(socket.error().message());
        co_return 1;
    }
    auto all = co_await block::nbd::list(tool.loop, make_transport(std::move(*socket)), settings.security);
    if (!all) {
        tool.error(all.error().message());
        co_return 1;
    }
    std::string out = fmt::format("exports available: {}\n", all->size());
    for (auto& d : *all) {
        out += fmt::format(" export: '{}'\n", d.name);
        if (!d.text.empty()) out += fmt::format("  description: {}\n", d.text);
        if (!d.has_details) continue;
        out += fmt::format("  size:  {}\n", d.size);
        out += fmt::format("  flags: {:#x} ({} )\n", d.flags, flag_names(d.flags));
        if (d.has_sizes)
            out += fmt::format("  min block: {}\n  opt block: {}\n  max block: {}\n", d.sizes.minimum,
                               d.sizes.preferred, d.sizes.maximum);
        if (!d.contexts.empty()) out += fmt::format("  available meta contexts: {}\n", d.contexts.size());
        for (auto& c : d.contexts) out += fmt::format("   {}\n", c);
    }
    tool.say(out);
    co_return 0;
}

} // namespace mimic::nbd
