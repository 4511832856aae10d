// Disks. QEMU QMP reference manual, "Block devices".
#include "block/driver.hpp"
#include "monitor/commands.hpp"
#include "monitor/objects.hpp"

namespace mimic::monitor {

namespace {

Json image_info(const block::Node& n) {
    Json j = Json::object();
    block::ImageInfo info = n.info();
    j.set("filename", n.file() ? n.file()->filename() : n.filename());
    j.set("format", n.driver().name);
    j.set("virtual-size", n.size());
    if (auto size = n.allocated_size()) j.set("actual-size", *size);
    j.set("dirty-flag", info.dirty);
    if (info.cluster_size) j.set("cluster-size", info.cluster_size);
    if (info.encrypted) j.set("encrypted", true);
    if (!info.backing_file.empty()) j.set("backing-filename", info.backing_file);
    if (!info.backing_format.empty()) j.set("backing-filename-format", info.backing_format);
    if (!info.specific.is_null()) j.set("format-specific", std::move(info.specific));
    if (n.backing()) j.set("backing-image", image_info(*n.backing()));
    return j;
}

Json inserted(const block::Node& n, bool read_only) {
    Json j = Json::object(), cache = Json::object();
    u32 depth = 0;
    for (const block::Node* b = n.backing(); b; b = b->backing()) depth++;
    const block::NodeOptions& o = n.options();
    j.set("file", n.file() ? n.file()->filename() : n.filename());
    j.set("node-name", o.node_name);
    j.set("ro", read_only);
    j.set("drv", n.driver().name);
    j.set("backing_file_depth", depth);
    if (n.backing()) j.set("backing_file", n.backing()->filename());
    j.set("encrypted", false);
    j.set("detect_zeroes", block::detect_zeroes_names[u8(o.detect_zeroes)]);
    // Requests are never held back.
    for (std::string_view limit : {"bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"}) j.set(limit, 0);
    cache.set("writeback", true);
    cache.set("direct", o.cache_direct);
    cache.set("no-flush", o.cache_no_flush);
    j.set("cache", std::move(cache));
    j.set("write_threshold", 0);
    j.set("image", image_info(n));
    return j;
}

Result<Json> query_block(Monitor& m, const Arguments&) {
    Json list = Json::array();
    for (const auto& [id, drive] : m.machine().drives) {
        Json j = Json::object();
        j.set("device", id);
        if (drive.user) j.set("qdev", object_path(*drive.user));
        j.set("type", "unknown");
        j.set("removable", false);
        j.set("locked", false);
        if (drive.node) j.set("inserted", inserted(*drive.node, drive.read_only));
        j.set("io-status", "ok");
        list.push(std::move(j));
    }
    return list;
}

Result<Json> query_blockstats(Monitor& m, const Arguments&) {
    Json list = Json::array();
    for (const auto& [id, drive] : m.machine().drives) {
        Json j = Json::object(), stats = Json::object();
        j.set("device", id);
        if (drive.user) j.set("qdev", object_path(*drive.user));
        const block::Statistics& s = drive.node->statistics();
        const std::pair<std::string_view, const block::Statistics::Counter*> counters[] = {
            {"rd", &s.read}, {"wr", &s.write}, {"flush", &s.flush}, {"unmap", &s.discard}};
        for (const auto& [name, counter] : counters) {
            if (name != "flush") stats.set(fmt::format("{}_bytes", name), counter->bytes);
            stats.set(fmt::format("{}_operations", name), counter->requests);
            stats.set(fmt::format("failed_{}_operations", name), counter->failed);
        }
        j.set("stats", std::move(stats));
        list.push(std::move(j));
    }
    return list;
}

Result<Json> nothing(Monitor&, const Arguments&) { return Json::array(); }

constexpr Command commands[] = {
    {"query-block", "", "[BlockInfo]", "the disks", of<query_block>},
    {"query-blockstats", "", "[BlockStats]", "what was read and written", of<query_blockstats>},
    {"query-block-jobs", "", "[any]", "long work on disks: none", of<nothing>},
    {"query-jobs", "", "[any]", "long work: none", of<nothing>},
};

} // namespace

constinit const Family block_family{R"(
struct BlockdevCacheInfo: writeback bool, direct bool, no-flush bool
struct ImageInfo: filename str, format str, virtual-size int, ?actual-size int, ?dirty-flag bool, ?cluster-size int, ?encrypted bool, ?backing-filename str, ?full-backing-filename str, ?backing-filename-format str, ?backing-image ImageInfo, ?format-specific any
struct BlockDeviceInfo: file str, node-name str, ro bool, drv str, ?backing_file str, backing_file_depth int, encrypted bool, detect_zeroes str, bps int, bps_rd int, bps_wr int, iops int, iops_rd int, iops_wr int, image ImageInfo, cache BlockdevCacheInfo, write_threshold int
struct BlockInfo: device str, ?qdev str, type str, removable bool, locked bool, ?inserted BlockDeviceInfo, ?tray_open bool, ?io-status str
struct BlockDeviceStats: rd_bytes int, wr_bytes int, unmap_bytes int, rd_operations int, wr_operations int, flush_operations int, unmap_operations int, failed_rd_operations int, failed_wr_operations int, failed_flush_operations int, failed_unmap_operations int
struct BlockStats: ?device str, ?qdev str, stats BlockDeviceStats
)",
                                    commands};

} // namespace mimic::monitor
