// The disks of a machine. QEMU QMP reference manual, "Block devices"; nodes, jobs and exports are qmp/'s.
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
        if (drive.user) j.set("qdev", object_path(*drive.user));
        j.set("type", "unknown");
        j.set("removable", false);
        j.set("locked", false);
        if (drive.node) j.set("inserted", qmp::device_info(drive.node->node(), drive.read_only, false));
        j.set("io-status", "ok");
        list.push(std::move(j));
    }
    return list;
}

Result<Json> query_blockstats(Monitor& m, const Arguments&) {
    Json list = Json::array();
    for (const auto& [id, drive] : m.machine().drives) {
        Json j = Json::object();
        j.set("device", id);
        if (drive.user) j.set("qdev", object_path(*drive.user));
        j.set("stats", qmp::statistics(drive.node->node()));
        list.push(std::move(j));
    }
    return list;
}

constexpr Command commands[] = {
    {"query-block", "", "[BlockInfo]", "the disks", of<query_block>},
    {"query-blockstats", "", "[BlockStats]", "what was read and written", of<query_blockstats>},
};

} // namespace

constinit const Family block_family{R"(
struct BlockInfo: device str, ?qdev str, type str, removable bool, locked bool, ?inserted BlockDeviceInfo, ?tray_open bool, ?io-status str
)",
                                    commands};

} // namespace mimic::monitor
