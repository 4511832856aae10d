// Snapshots of machines inside their disks, as jobs. QEMU QMP reference manual, "Migration".
#include "migration/snapshots.hpp"
#include "monitor/commands.hpp"
#include "qmp/disks.hpp"

namespace mimic::monitor {

namespace {

using io::Task;
using migration::Snapshots;

Result<Snapshots::Disks> named_disks(Monitor& m, const Arguments& a) {
    Snapshots::Disks disks;
    for (const Json& name : *a.value("devices").items()) {
        auto node = TRY(m.storage().find_node(*name.string()));
        for (const auto& d : disks)
            if (block::skip_filters(d.node.get()) == block::skip_filters(node.get()))
                return Error::invalid_argument("node '{}' is the same image as '{}', expected each once",
                                               *name.string(), d.name);
        if (!block::skip_filters(node.get())->supports_snapshots())
            return Error::unsupported("Device '{}' is writable but does not support snapshots", *name.string());
        disks.push_back({*name.string(), std::move(node), false});
    }
    if (disks.empty()) return Error::invalid_argument("At least one device must be provided");
    return disks;
}

Result<size_t> state_disk(Monitor& m, const Arguments& a, const Snapshots::Disks& disks) {
    auto node = TRY(m.storage().find_node(a.text("vmstate")));
    for (size_t i = 0; i < disks.size(); i++)
        if (block::skip_filters(disks[i].node.get()) == block::skip_filters(node.get())) return i;
    return Error::invalid_argument("vmstate block device '{}' does not exist among 'devices'", a.text("vmstate"));
}

// Long work that stays in the list until job-dismiss.
Result<Json> start(Monitor& m, const Arguments& a, block::JobType type, std::function<Task<Result<void>>()> work) {
    block::JobOptions o;
    o.id = a.text("job-id");
    o.auto_dismiss = false;
    TRY(m.storage().jobs().check_id(o.id));
    block::make_task_job(m.storage().jobs(), type, std::move(o), std::move(work))->start();
    return Json::object();
}

Result<Json> snapshot_save(Monitor& m, const Arguments& a) {
    auto disks = TRY(named_disks(m, a));
    size_t state = TRY(state_disk(m, a, disks));
    return start(m, a, block::JobType::snapshot_save,
                 [&m, tag = a.text("tag"), disks, state] { return m.vm().snapshots.save(tag, disks, state, false); });
}

Result<Json> snapshot_load(Monitor& m, const Arguments& a) {
    auto disks = TRY(named_disks(m, a));
    size_t state = TRY(state_disk(m, a, disks));
    return start(m, a, block::JobType::snapshot_load,
                 [&m, tag = a.text("tag"), disks, state] { return m.vm().snapshots.load(tag, disks, state); });
}

Result<Json> snapshot_delete(Monitor& m, const Arguments& a) {
    auto disks = TRY(named_disks(m, a));
    return start(m, a, block::JobType::snapshot_delete,
                 [&m, tag = a.text("tag"), disks] { return m.vm().snapshots.remove(tag, disks); });
}

constexpr Command commands[] = {
    {"snapshot-save", "job-id str, tag str, vmstate str, devices [str]", "", "keeps the machine inside its disks",
     of<snapshot_save>},
    {"snapshot-load", "job-id str, tag str, vmstate str, devices [str]", "",
     "the machine and its disks become what they were", of<snapshot_load>},
    {"snapshot-delete", "job-id str, tag str, devices [str]", "", "forgets one", of<snapshot_delete>},
};

} // namespace

constinit const Family snapshot_family{"", commands};

} // namespace mimic::monitor
