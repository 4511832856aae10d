// The disks of a machine. QEMU QMP reference manual, "Block devices"; nodes, jobs and exports are qmp/'s.
#include "block/objects.hpp"
#include "monitor/commands.hpp"
#include "monitor/objects.hpp"
#include "qmp/disks.hpp"

namespace mimic::monitor {

namespace {

Result<Json> query_block(Monitor& m, const Arguments&) {
    Json list = Json::array();
    for (const auto& [id, drive] : m.machine().drives) {
        Json j = Json::object();
        j.set("device", id);
        if (drive.user) j.set("qdev", device_name(*drive.user));
        j.set("type", "unknown");
        j.set("removable", false);
        j.set("locked", false);
        if (drive.node)
            j.set("inserted", qmp::device_info(drive.node->node(), drive.read_only, false, drive.node->throttle()));
        j.set("io-status", drive.user ? drive.user->io_status() : "ok");
        list.push(std::move(j));
    }
    return list;
}

Result<Json> query_blockstats(Monitor& m, const Arguments&) {
    Json list = Json::array();
    for (const auto& [id, drive] : m.machine().drives) {
        Json j = Json::object();
        j.set("device", id);
        if (drive.user) j.set("qdev", device_name(*drive.user));
        j.set("stats", qmp::statistics(drive.node->node()));
        list.push(std::move(j));
    }
    return list;
}

// All limits are set: those that are not given to nothing.
Result<Json> set_io_throttle(Monitor& m, const Arguments& a) {
    std::string name = a.has("id") ? a.text("id") : a.text("device");
    if (a.has("id") == a.has("device")) return Error::invalid_argument("Need exactly one of 'device' and 'id'");
    block::Root* disk = nullptr;
    std::string id;
    for (const auto& [drive_id, drive] : m.machine().drives)
        if (drive.node &&
            (drive_id == name || (drive.user && (drive.user->id() == name || object_path(*drive.user) == name)))) {
            disk = drive.node.get();
            id = drive_id;
        }
    if (!disk) return Error::not_found("Device '{}' not found", name);
    Json given = Json::object();
    for (auto& [key, value] : *a.all().members())
        if (std::string option = block::throttle_option(key); !option.empty()) given.set(option, value);
    block::ThrottleOptions options;
    block::OptionReader reader(given, "block_set_io_throttle");
    options.describe(reader);
    TRY(reader.finish());
    block::ThrottleLimits limits;
    TRY(options.apply(limits));
    if (!limits.any()) {
        disk->set_throttle(nullptr);
        return Json::object();
    }
    // A disk stays in its group unless another is named.
    std::string name_of_group = a.has("group") ? a.text("group") : disk->throttle() ? disk->throttle()->name() : id;
    auto group = block::throttle_group(disk->node().context(), name_of_group);
    group->set(limits);
    if (disk->throttle() != group.get()) disk->set_throttle(std::move(group));
    return Json::object();
}

constexpr Command commands[] = {
    {"query-block", "", "[BlockInfo]", "the disks", of<query_block>},
    {"block_set_io_throttle",
     "?device str, ?id str, bps int, bps_rd int, bps_wr int, iops int, iops_rd int, iops_wr int, ?bps_max int, "
     "?bps_rd_max int, ?bps_wr_max int, ?iops_max int, ?iops_rd_max int, ?iops_wr_max int, ?bps_max_length int, "
     "?bps_rd_max_length int, ?bps_wr_max_length int, ?iops_max_length int, ?iops_rd_max_length int, "
     "?iops_wr_max_length int, ?iops_size int, ?group str",
     "", "limits a disk's bytes and requests a second", of<set_io_throttle>},
    {"query-blockstats", "", "[BlockStats]", "what was read and written", of<query_blockstats>},
};

constexpr qmp::EventInfo events[] = {
    {"BLOCK_IO_ERROR",
     "qom-path str, device str, ?node-name str, operation IoOperationType, action BlockErrorAction, ?nospace bool, "
     "reason str",
     "a disk could not read or write"},
};

} // namespace

constinit const Family block_family{R"(
struct BlockInfo: device str, ?qdev str, type str, removable bool, locked bool, ?inserted BlockDeviceInfo, ?tray_open bool, ?io-status str
)",
                                    commands, events};

} // namespace mimic::monitor
