// Saving and loading of machines. QEMU QMP reference manual, "Migration".
#include "migration/migrator.hpp"
#include "monitor/commands.hpp"

namespace mimic::monitor {

namespace {

using migration::Status;

// Those that there are; the others are known, and off.
constexpr std::string_view events_capability = "events";
constexpr std::string_view capabilities[] = {"xbzrle",
                                             "rdma-pin-all",
                                             "auto-converge",
                                             events_capability,
                                             "postcopy-ram",
                                             "x-colo",
                                             "release-ram",
                                             "return-path",
                                             "pause-before-switchover",
                                             "multifd",
                                             "dirty-bitmaps",
                                             "postcopy-blocktime",
                                             "late-block-activate",
                                             "x-ignore-shared",
                                             "validate-uuid",
                                             "background-snapshot",
                                             "zero-copy-send",
                                             "postcopy-preempt",
                                             "switchover-ack",
                                             "dirty-limit",
                                             "mapped-ram"};

Result<Json> migrate(Monitor& m, const Arguments& a) {
    TRY(m.vm().migrator.save_to(a.text("uri")));
    return Json::object();
}

Result<Json> migrate_incoming(Monitor& m, const Arguments& a) {
    if (m.run().state() != machines::RunState::inmigrate || m.vm().migrator.status() == Status::active)
        return Error::invalid_argument("'-incoming' was not specified on the command line, expected '-incoming defer'");
    TRY(m.vm().migrator.load_from(a.text("uri"), true));
    return Json::object();
}

Result<Json> migrate_cancel(Monitor& m, const Arguments&) {
    m.vm().migrator.cancel();
    return Json::object();
}

Json ram_statistics(const migration::Progress& p) {
    constexpr u64 page = memory::RamBlock::page_size;
    u64 total = p.pages_total * page, done = std::min<u64>(p.pages_done * page, total);
    Json ram = Json::object();
    ram.set("transferred", p.bytes.load());
    ram.set("remaining", total - done);
    ram.set("total", total);
    ram.set("duplicate", p.pages_zero.load());
    ram.set("normal", p.pages_sent.load());
    ram.set("normal-bytes", p.pages_sent * page);
    ram.set("dirty-pages-rate", 0);
    ram.set("mbps", 0.0);
    ram.set("dirty-sync-count", 1);
    ram.set("page-size", page);
    return ram;
}

Result<Json> query_migrate(Monitor& m, const Arguments&) {
    const migration::Migrator& g = m.vm().migrator;
    Json j = Json::object();
    if (g.status() == Status::none) return j;
    j.set("status", to_string(g.status()));
    if (!g.error().empty()) j.set("error-desc", g.error());
    if (g.incoming()) return j;
    j.set("total-time", g.total_milliseconds());
    if (g.status() == Status::completed) j.set("downtime", g.downtime_milliseconds());
    j.set("ram", ram_statistics(g.progress()));
    return j;
}

Result<Json> set_capabilities(Monitor& m, const Arguments& a) {
    for (bool apply : {false, true}) // all or none
        for (const Json& one : *a.value("capabilities").items()) {
            bool on = *one.find("state")->boolean();
            const std::string& name = *one.find("capability")->string();
            if (name == events_capability && apply) m.migration_events = on;
            if (name != events_capability && on)
                return Error::unsupported("migration capability '{}' is not there, expected it to be off", name);
        }
    return Json::object();
}

Result<Json> query_capabilities(Monitor& m, const Arguments&) {
    Json all = Json::array();
    for (std::string_view name : capabilities) {
        Json one = Json::object();
        one.set("capability", name);
        one.set("state", name == events_capability && m.migration_events);
        all.push(std::move(one));
    }
    return all;
}

constexpr Command commands[] = {
    {"migrate", "uri str, ?detach bool", "", "saves the machine to a URI; it stands still meanwhile and at the end",
     of<migrate>},
    {"migrate-incoming", "uri str", "", "after -incoming defer: where the saved machine comes from",
     of<migrate_incoming>},
    {"migrate_cancel", "", "", "ends it; the machine goes on here", of<migrate_cancel>},
    {"query-migrate", "", "MigrationInfo", "how far it is", of<query_migrate>},
    {"migrate-set-capabilities", "capabilities [MigrationCapabilityStatus]", "", "`events` can be on",
     of<set_capabilities>},
    {"query-migrate-capabilities", "", "[MigrationCapabilityStatus]", "what is on", of<query_capabilities>},
};

} // namespace

constinit const Family migration_family{R"(
enum MigrationStatus: none setup cancelling cancelled active postcopy-active postcopy-paused postcopy-recover completed failed colo pre-switchover device wait-unplug
enum MigrationCapability: xbzrle rdma-pin-all auto-converge events postcopy-ram x-colo release-ram return-path pause-before-switchover multifd dirty-bitmaps postcopy-blocktime late-block-activate x-ignore-shared validate-uuid background-snapshot zero-copy-send postcopy-preempt switchover-ack dirty-limit mapped-ram
struct MigrationCapabilityStatus: capability MigrationCapability, state bool
struct MigrationStats: transferred int, remaining int, total int, duplicate int, normal int, normal-bytes int, dirty-pages-rate int, mbps number, dirty-sync-count int, page-size int
struct MigrationInfo: ?status MigrationStatus, ?ram MigrationStats, ?total-time int, ?downtime int, ?error-desc str
)",
                                        commands};

} // namespace mimic::monitor
