#include "app/storage/daemon.hpp"
#include "block/objects.hpp"

namespace mimic::storage_daemon {

namespace {

using qmp::Arguments;

constexpr const qmp::Family* families[] = {&qmp::self_family,   &qmp::chardev_family,     &qmp::node_family,
                                           &qmp::job_family,    &qmp::disk_job_family,    &qmp::bitmap_family,
                                           &qmp::export_family, &qmp::transaction_family, &daemon_family};

Result<Json> quit(Daemon& d, const Arguments&) {
    d.stop();
    return Json::object();
}

// No device uses a disk here.
Result<Json> query_block(Daemon&, const Arguments&) { return Json::array(); }

Result<Json> query_blockstats(Daemon& d, const Arguments& a) {
    Json list = Json::array();
    if (a.flag("query-nodes"))
        for (auto& [name, node] : d.storage().context().names) {
            Json one = Json::object();
            one.set("node-name", name);
            one.set("stats", qmp::statistics(*node));
            list.push(std::move(one));
        }
    return list;
}

Result<Json> object_add(Daemon& d, const Arguments& a) {
    Json options = a.all();
    TRY(block::add_object(d.storage().context(), std::move(options)));
    return Json::object();
}

Result<Json> object_del(Daemon& d, const Arguments& a) {
    TRY(block::remove_object(d.storage().context(), a.text("id")));
    return Json::object();
}

Result<Json> qom_get(Daemon& d, const Arguments& a) {
    auto found = block::get_property(d.storage().context(), a.text("path"), a.text("property"));
    return found ? *found : Error::not_found("Device '{}' not found", a.text("path"));
}

Result<Json> qom_set(Daemon& d, const Arguments& a) {
    auto set = block::set_property(d.storage().context(), a.text("path"), a.text("property"), a.value("value"));
    if (!set) return Error::not_found("Device '{}' not found", a.text("path"));
    TRY(*set);
    return Json::object();
}

constexpr qmp::Command commands[] = {
    {"quit", "", "", "ends the program", qmp::of<quit>},
    {"query-block", "", "[any]", "the disks of a machine: none", qmp::of<query_block>},
    {"query-blockstats", "?query-nodes bool", "[BlockStats]", "what was read and written", qmp::of<query_blockstats>},
    {"object-add", "qom-type str, id str, ...", "", "makes an object (a secret)", qmp::of<object_add>},
    {"object-del", "id str", "", "removes one", qmp::of<object_del>},
    {"qom-get", "path str, property str", "any", "the value of a property", qmp::of<qom_get>},
    {"qom-set", "path str, property str, value any", "", "changes a property that can change", qmp::of<qom_set>},
};

} // namespace

constinit const qmp::Family daemon_family{"", commands};

Daemon::Daemon(block::Context& context, chardev::OpenContext& chardevs)
    : Server(context.loop, chardevs, families)
    , storage_(context) {
    storage_.on_event = [this](std::string_view name, Json data) { event(name, std::move(data)); };
}

Result<void> Daemon::close() {
    Result<void> r = loop().run(storage_.shut_down());
    for (auto& c : chardevs_) c->drain();
    close_sessions();
    chardevs_.clear();
    return r;
}

} // namespace mimic::storage_daemon
