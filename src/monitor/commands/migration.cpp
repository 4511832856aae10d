// Saving and loading of machines. QEMU QMP reference manual, "Migration".
#include "block/storage.hpp"
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

Json ram_statistics(const migration::Migrator& g) {
    constexpr u64 page = memory::RamBlock::page_size;
    const migration::Progress& p = g.progress();
    migration::Figures f = g.figures();
    u64 bytes = p.bytes, milliseconds = g.total_milliseconds(), pages = p.pages_sent + p.pages_zero;
    bool over = g.status() == Status::completed;
    Json ram = Json::object();
    ram.set("transferred", bytes);
    ram.set("remaining", p.pages_left * page);
    ram.set("total", p.pages_total * page);
    ram.set("duplicate", p.pages_zero.load());
    ram.set("normal", p.pages_sent.load());
    ram.set("normal-bytes", p.pages_sent * page);
    ram.set("dirty-pages-rate", over ? 0 : f.dirty_rate);
    ram.set("mbps", milliseconds ? double(bytes) * 8 / 1000.0 / double(milliseconds) : 0.0);
    ram.set("dirty-sync-count", p.passes.load());
    ram.set("postcopy-requests", 0);
    ram.set("page-size", page);
    ram.set("multifd-bytes", 0);
    ram.set("pages-per-second", milliseconds ? pages * 1000 / milliseconds : 0);
    ram.set("precopy-bytes", f.precopy_bytes);
    ram.set("downtime-bytes", over ? bytes - f.precopy_bytes : 0);
    ram.set("postcopy-bytes", 0);
    ram.set("dirty-sync-missed-zero-copy", 0);
    return ram;
}

Result<Json> query_migrate(Monitor& m, const Arguments&) {
    const migration::Migrator& g = m.vm().migrator;
    Json j = Json::object();
    if (g.status() == Status::none) return j;
    j.set("status", to_string(g.status()));
    if (!g.error().empty()) j.set("error-desc", g.error());
    if (g.incoming()) return j;
    migration::Figures f = g.figures();
    j.set("total-time", g.total_milliseconds());
    if (g.status() != Status::setup) j.set("setup-time", f.setup);
    if (g.status() == Status::completed)
        j.set("downtime", f.downtime);
    else if (g.status() == Status::active || g.status() == Status::device)
        j.set("expected-downtime", f.expected_downtime);
    j.set("ram", ram_statistics(g));
    return j;
}

Result<Json> set_parameters(Monitor& m, const Arguments& a) {
    constexpr u64 most_downtime = 2'000'000; // milliseconds; the reference's limit
    migration::Parameters p = m.vm().migrator.parameters();
    p.max_bandwidth = a.number("max-bandwidth", p.max_bandwidth);
    p.downtime_limit = a.number("downtime-limit", p.downtime_limit);
    if (p.downtime_limit > most_downtime)
        return Error::invalid_argument(
            "Parameter 'downtime-limit' expects an integer in the range of 0 to {} milliseconds", most_downtime);
    m.vm().migrator.set_parameters(p);
    return Json::object();
}

Result<Json> query_parameters(Monitor& m, const Arguments&) {
    migration::Parameters p = m.vm().migrator.parameters();
    Json j = Json::object();
    j.set("max-bandwidth", p.max_bandwidth);
    j.set("downtime-limit", p.downtime_limit);
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
    {"migrate", "uri str, ?detach bool", "", "moves the machine to a URI while it runs; it stands still at the end",
     of<migrate>},
    {"migrate-incoming", "uri str", "", "after -incoming defer: where the saved machine comes from",
     of<migrate_incoming>},
    {"migrate_cancel", "", "", "ends it; the machine goes on here", of<migrate_cancel>},
    {"query-migrate", "", "MigrationInfo", "how far it is", of<query_migrate>},
    {"migrate-set-parameters", "?max-bandwidth size, ?downtime-limit uint64", "",
     "bytes a second while the guest runs (0: no limit), milliseconds that it may stand still", of<set_parameters>},
    {"query-migrate-parameters", "", "MigrationParameters", "what they are", of<query_parameters>},
    {"migrate-set-capabilities", "capabilities [MigrationCapabilityStatus]", "", "`events` can be on",
     of<set_capabilities>},
    {"query-migrate-capabilities", "", "[MigrationCapabilityStatus]", "what is on", of<query_capabilities>},
};

} // namespace

Result<void> can_share_disks(Monitor& m) {
    for (const auto& [name, drive] : m.machine().drives) {
        if (!drive.node || drive.read_only) continue;
        const block::Node& image = *block::skip_filters(&drive.node->node());
        if (image.file() && image.driver().name != "raw")
            return Error::unsupported("disk '{}' is a writable {} image, expected raw: two processes would each keep "
                                      "tables of it; file: and exec: move such a machine",
                                      name, image.driver().name);
    }
    for (const auto& job : m.storage().jobs().all())
        if (job->status() < block::JobStatus::concluded)
            return Error::busy("job '{}' is under way, expected its end first", job->id());
    for (const auto& e : m.storage().exports())
        if (e.writable) return Error::busy("export '{}' is writable, expected it to be removed first", e.id);
    return {};
}

constinit const Family migration_family{R"(
enum MigrationStatus: none setup cancelling cancelled active postcopy-active postcopy-paused postcopy-recover completed failed colo pre-switchover device wait-unplug
enum MigrationCapability: xbzrle rdma-pin-all auto-converge events postcopy-ram x-colo release-ram return-path pause-before-switchover multifd dirty-bitmaps postcopy-blocktime late-block-activate x-ignore-shared validate-uuid background-snapshot zero-copy-send postcopy-preempt switchover-ack dirty-limit mapped-ram
struct MigrationCapabilityStatus: capability MigrationCapability, state bool
struct MigrationStats: transferred int, remaining int, total int, duplicate int, normal int, normal-bytes int, dirty-pages-rate int, mbps number, dirty-sync-count int, postcopy-requests int, page-size int, multifd-bytes uint64, pages-per-second uint64, precopy-bytes uint64, downtime-bytes uint64, postcopy-bytes uint64, dirty-sync-missed-zero-copy uint64
struct MigrationParameters: ?max-bandwidth size, ?downtime-limit uint64
struct MigrationInfo: ?status MigrationStatus, ?ram MigrationStats, ?total-time int, ?expected-downtime int, ?downtime int, ?setup-time int, ?error-desc str
)",
                                        commands};

} // namespace mimic::monitor
