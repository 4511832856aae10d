// Nodes of the block layer. QEMU QMP reference manual, "Block devices": adding, removing, reopening, snapshots, sizes.
#include "block/jobs/copy.hpp"
#include "qmp/disks.hpp"
#include <algorithm>
#include <ctime>

namespace mimic::qmp {

using block::Node;
using block::NodePtr;
using io::Task;

namespace {

Task<Result<Json>> blockdev_add(Server& s, const Arguments& a) {
    Json options = a.all();
    CO_CHECK(co_await s.storage().add(std::move(options)));
    co_return Json::object();
}

Task<Result<Json>> blockdev_del(Server& s, const Arguments& a) {
    std::string name = a.text("node-name");
    CO_CHECK(co_await s.storage().remove(std::move(name)));
    co_return Json::object();
}

// What can change of an open node: read-only, its backing node. The rest must be as it is.
Task<Result<void>> reopen_one(Server& s, const Json& options) {
    const Json* name = options.find("node-name");
    if (!name || !name->string()) co_return Error::invalid_argument("node-name not specified");
    CO_TRY(NodePtr node, s.storage().find_node(*name->string()));
    const Json* driver = options.find("driver");
    if (driver && driver->string() && *driver->string() != node->driver().name)
        co_return Error::invalid_argument("Cannot change the option 'driver'");
    if (const Json* file = options.find("file");
        file && file->string() && node->file() && *file->string() != node->file()->options().node_name)
        co_return Error::unsupported("Cannot change the option 'file' of '{}'", *name->string());
    block::Drained quiet = co_await block::drain(*node);
    bool read_only =
        options.find("read-only") && options.find("read-only")->boolean() && *options.find("read-only")->boolean();
    if (read_only != node->read_only()) {
        for (block::Edge* e : node->parents())
            if (read_only && (e->perms() & block::perm::write))
                co_return Error::busy("Node '{}' is busy: '{}' writes to it", *name->string(), e->role());
        if (!read_only && !node->driver().is_protocol && node->file() && node->file()->read_only())
            co_return Error::permission("Block node '{}' is read-only, expected its file to be writable first",
                                        node->file()->options().node_name);
        CO_CHECK(co_await node->reopen(read_only));
    }
    const Json* backing = options.find("backing");
    if (!backing) co_return Result<void>();
    NodePtr below;
    if (backing->string()) { CO_TRY(below, s.storage().find_node(*backing->string())); }
    if (!backing->string() && !backing->is_null())
        co_return Error::unsupported("'backing' of '{}' expects a node-name or null", *name->string());
    block::Edge* old = node->child("backing");
    if ((old ? &old->node() : nullptr) == below.get()) co_return Result<void>();
    if (below && block::in_chain(below.get(), node.get()))
        co_return Error::invalid_argument("Making '{}' a backing child of '{}' would create a cycle",
                                          *backing->string(), *name->string());
    NodePtr before = old ? old->ptr() : nullptr;
    if (old && old->frozen())
        co_return Error::busy("Cannot change frozen 'backing' link of '{}': {}", *name->string(), old->why_frozen());
    // Only the link: headers say what their users put there.
    if (old && below)
        CO_CHECK(old->move_to(below));
    else if (below)
        CO_CHECK(node->add_child(below, "backing", block::perm::consistent_read,
                                 block::perm::consistent_read | block::perm::write_unchanged));
    else
        node->remove_child("backing");
    quiet.end();
    co_await block::let_go(std::move(before));
    co_return Result<void>();
}

Task<Result<Json>> blockdev_reopen(Server& s, const Arguments& a) {
    auto lock = co_await s.storage().context().graph.lock();
    for (const Json& one : *a.value("options").items()) CO_CHECK(co_await reopen_one(s, one));
    co_return Json::object();
}

Task<Result<Json>> block_resize(Server& s, const Arguments& a) {
    CO_TRY(NodePtr node, s.storage().find(a.text("device"), a.text("node-name")));
    i64 size = i64(a.number("size"));
    if (size < 0) co_return Error::invalid_argument("Parameter 'size' expects a >0 size");
    auto lock = co_await s.storage().context().graph.lock();
    {
        block::Drained quiet = co_await block::drain(*node);
        CO_CHECK(co_await node->truncate(u64(size)));
    }
    for (block::Edge* e : node->parents())
        if (e->root()) e->root()->on_resize();
    co_return Json::object();
}

Result<Json> set_write_threshold(Server& s, const Arguments& a) {
    auto node = s.storage().find_node(a.text("node-name"));
    if (!node) return Error::invalid_argument("Device '{}' not found", a.text("node-name"));
    (*node)->set_write_threshold(a.number("write-threshold"));
    return Json::object();
}

Task<Result<Json>> change_backing_file(Server& s, const Arguments& a) {
    CO_TRY(NodePtr top, s.storage().find(a.text("device")));
    CO_TRY(NodePtr node, s.storage().find_node(a.text("image-node-name")));
    auto lock = co_await s.storage().context().graph.lock();
    Node* image = block::skip_filters(node.get());
    if (!block::in_chain(top.get(), image))
        co_return Error::invalid_argument("'{}' is not in the chain of '{}'", a.text("image-node-name"),
                                          a.text("device"));
    if (!image->backing())
        co_return Error::invalid_argument("not allowing backing file change on an image without a backing file");
    block::Drained quiet = co_await block::drain(*image);
    bool read_only = image->read_only();
    if (read_only) CO_CHECK(co_await block::set_writable(*image, true));
    std::string name = a.text("backing-file"), format(block::skip_filters(image->backing())->driver().name);
    Result<void> r = co_await image->set_backing_file(name, format);
    Result<void> back;
    if (read_only) back = co_await block::set_writable(*image, false);
    CO_CHECK(r);
    CO_CHECK(back);
    co_return Json::object();
}

Result<Json> query_named_block_nodes(Server& s, const Arguments& a) {
    Json list = Json::array();
    for (auto& [name, node] : s.storage().context().names)
        list.push(device_info(*node, node->read_only(), a.flag("flat")));
    return list;
}

// ---- the graph

Json permission_names(u8 perms) {
    static constexpr std::string_view names[] = {"consistent-read", "write", "write-unchanged", "resize"};
    Json list = Json::array();
    for (u8 i = 0; i < 4; i++)
        if (perms & (1u << i)) list.push(names[i]);
    return list;
}

Result<Json> query_block_graph(Server& s, const Arguments&) {
    Json nodes = Json::array(), edges = Json::array(), graph = Json::object();
    std::map<const void*, u64> ids;
    auto id_of = [&](const void* p, std::string_view type, const std::string& name) {
        auto [at, fresh] = ids.emplace(p, ids.size() + 1);
        if (!fresh) return at->second;
        Json one = Json::object();
        one.set("id", at->second);
        one.set("type", type);
        one.set("name", name);
        nodes.push(std::move(one));
        return at->second;
    };
    for (auto& [name, node] : s.storage().context().names) {
        id_of(node, "block-driver", name);
        for (block::Edge* e : node->parents()) {
            const void* parent = e->parent() ? static_cast<const void*>(e->parent()) : e;
            bool job = e->root() && s.storage().jobs().find(e->role());
            Json edge = Json::object();
            edge.set("parent", id_of(parent,
                                     e->parent() ? "block-driver"
                                     : job       ? "block-job"
                                                 : "block-backend",
                                     e->parent() ? e->parent()->options().node_name : e->role()));
            edge.set("child", id_of(node, "block-driver", name));
            edge.set("name", e->parent() ? e->role() : "root");
            edge.set("perm", permission_names(e->perms()));
            edge.set("shared-perm", permission_names(e->shared()));
            edges.push(std::move(edge));
        }
    }
    graph.set("nodes", std::move(nodes));
    graph.set("edges", std::move(edges));
    return graph;
}

// ---- snapshots

// `node`'s users use `overlay`, which shows node below it.
Task<Result<Step>> put_on_top(NodePtr node, NodePtr overlay, bool ours) {
    block::Drained quiet = co_await block::drain(*node);
    Result<void> flushed = co_await node->flush();
    CO_CHECK(flushed);
    CO_CHECK(block::replace_node(*node, overlay));
    Result<void> linked = overlay->add_child(node, "backing", block::perm::consistent_read,
                                             block::perm::consistent_read | block::perm::write_unchanged);
    if (!linked) {
        block::replace_node(*overlay, node).ignore(); // they were there before
        co_return std::move(linked).error();
    }
    Step step;
    step.undo = [node, overlay, ours]() -> Task<Result<void>> {
        block::Drained again = co_await block::drain(*overlay);
        overlay->remove_child("backing");
        Result<void> r = block::replace_node(*overlay, node);
        again.end();
        if (ours) co_await block::let_go(overlay);
        co_return r;
    };
    co_return step;
}

// Nobody writes the lower layer from now on.
void seal(Server& s, NodePtr node) {
    auto task = [](NodePtr n) -> Task<Result<void>> {
        auto lock = co_await n->context().graph.lock();
        for (block::Edge* e : n->parents())
            if (e->perms() & (block::perm::write | block::perm::resize)) co_return Result<void>();
        co_return co_await block::set_writable(*n, false);
    };
    io::spawn(task(std::move(node)), [&s](const Error& e) { s.storage().context().warn(e.message()); });
}

Task<Result<Json>> delete_internal(Server& s, const Arguments& a) {
    CO_TRY(NodePtr node, s.storage().find(a.text("device")));
    if (!a.has("id") && !a.has("name")) co_return Error::invalid_argument("Name or id must be provided");
    auto lock = co_await s.storage().context().graph.lock();
    Node& image = *block::skip_filters(node.get());
    for (auto& i : image.snapshots()) {
        if ((a.has("id") && i.id != a.text("id")) || (a.has("name") && i.name != a.text("name"))) continue;
        block::Drained quiet = co_await block::drain(image);
        CO_CHECK(co_await image.snapshot_delete(i));
        Json j = Json::object();
        j.set("id", i.id);
        j.set("name", i.name);
        j.set("vm-state-size", i.vm_state_size);
        j.set("date-sec", u64(i.date_sec));
        j.set("date-nsec", u64(i.date_nsec));
        j.set("vm-clock-sec", i.vm_clock_nsec / 1'000'000'000);
        j.set("vm-clock-nsec", i.vm_clock_nsec % 1'000'000'000);
        co_return j;
    }
    co_return Error::invalid_argument("Snapshot with id '{}' and name '{}' does not exist on device '{}'",
                                      a.text("id", "null"), a.text("name", "null"), a.text("device"));
}

} // namespace

Task<Result<Step>> snapshot(Server& s, const Arguments& a) {
    CO_TRY(NodePtr node, s.storage().find(a.text("node")));
    CO_TRY(NodePtr overlay, s.storage().find(a.text("overlay")));
    if (!overlay->driver().supports_backing && &overlay->driver() != &block::qcow2_driver)
        co_return Error::unsupported("The overlay does not support backing images");
    if (overlay->backing()) co_return Error::invalid_argument("The overlay already has a backing image");
    for (block::Edge* e : overlay->parents())
        if (e->perms()) co_return Error::busy("The overlay is already in use");
    if (node == overlay) co_return Error::invalid_argument("The overlay is the node itself");
    CO_TRY(Step step, co_await put_on_top(node, overlay, false));
    step.commit = [&s, node] { seal(s, node); };
    co_return step;
}

Task<Result<Step>> snapshot_sync(Server& s, const Arguments& a) {
    if (!a.has("device") && !a.has("node-name"))
        co_return Error::invalid_argument("Cannot find device='' nor node-name=''");
    CO_TRY(NodePtr node, s.storage().find(a.text("device"), a.text("node-name")));
    if (a.has("node-name") && !a.has("snapshot-node-name"))
        co_return Error::invalid_argument("New overlay node-name missing");
    TargetFile t{.file = a.text("snapshot-file"),
                 .format = a.text("format", "qcow2"),
                 .mode = a.text("mode", "absolute-paths"),
                 .node_name = a.text("snapshot-node-name"),
                 .size = node->size(),
                 .backing = block::skip_filters(node.get())};
    CO_TRY(NodePtr overlay, co_await open_target(s, std::move(t)));
    auto step = co_await put_on_top(node, overlay, true);
    if (!step) {
        co_await block::let_go(overlay);
        co_return std::move(step).error();
    }
    step->commit = [&s, node] { seal(s, node); };
    co_return std::move(*step);
}

Task<Result<Step>> snapshot_internal(Server& s, const Arguments& a) {
    CO_TRY(NodePtr node, s.storage().find(a.text("device")));
    Node& image = *block::skip_filters(node.get());
    std::string name = a.text("name");
    if (name.empty()) co_return Error::invalid_argument("Name is empty");
    for (auto& i : image.snapshots())
        if (i.name == name)
            co_return Error::exists("Snapshot with name '{}' already exists on device '{}'", name, a.text("device"));
    block::SnapshotInfo info;
    info.name = name;
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    info.date_sec = u32(now.tv_sec);
    info.date_nsec = u32(now.tv_nsec);
    block::Drained quiet = co_await block::drain(image);
    CO_CHECK(co_await image.snapshot_create(info));
    Step step;
    step.undo = [node, name]() -> Task<Result<void>> {
        Node& n = *block::skip_filters(node.get());
        block::Drained again = co_await block::drain(n);
        co_return co_await n.snapshot_delete(name);
    };
    co_return step;
}

namespace {

constexpr Command commands[] = {
    {"blockdev-add", "driver str, ?node-name str, ...", "", "opens a node", nullptr, false, blockdev_add},
    {"blockdev-del", "node-name str", "", "closes one that blockdev-add opened", nullptr, false, blockdev_del},
    {"blockdev-reopen", "options [BlockdevOptions]", "", "changes read-only and backing of nodes", nullptr, false,
     blockdev_reopen},
    {"block_resize", "?device str, ?node-name str, size int", "", "changes a disk's size", nullptr, false,
     block_resize},
    {"block-set-write-threshold", "node-name str, write-threshold uint64", "",
     "says when a node is first written behind so many bytes", set_write_threshold},
    {"change-backing-file", "device str, image-node-name str, backing-file str", "",
     "changes the name that an image has for its backing file", nullptr, false, change_backing_file},
    {"query-named-block-nodes", "?flat bool", "[BlockDeviceInfo]", "the nodes", query_named_block_nodes},
    {"x-debug-query-block-graph", "", "XDbgBlockGraph", "nodes, their users, and who may do what", query_block_graph},
    {"blockdev-snapshot", "node str, overlay str", "", "puts a node on top of another for all its users", nullptr,
     false, command<snapshot>},
    {"blockdev-snapshot-sync",
     "?device str, ?node-name str, snapshot-file str, ?snapshot-node-name str, ?format str, ?mode NewImageMode", "",
     "makes an overlay and puts it on top", nullptr, false, command<snapshot_sync>},
    {"blockdev-snapshot-internal-sync", "device str, name str", "", "makes a snapshot inside of an image", nullptr,
     false, command<snapshot_internal>},
    {"blockdev-snapshot-delete-internal-sync", "device str, ?id str, ?name str", "SnapshotInfo", "deletes one", nullptr,
     false, delete_internal},
};

constexpr EventInfo events[] = {{"BLOCK_WRITE_THRESHOLD",
                                 "node-name str, amount-exceeded uint64, write-threshold uint64",
                                 "a write passed a node's threshold, which is no more"}};

} // namespace

constinit const Family node_family{R"(
struct BlockdevCacheInfo: writeback bool, direct bool, no-flush bool
struct BlockDirtyInfo: ?name str, count int, granularity uint32, recording bool, busy bool, persistent bool, ?inconsistent bool
struct ImageInfo: filename str, format str, virtual-size int, ?actual-size int, ?dirty-flag bool, ?cluster-size int, ?encrypted bool, ?backing-filename str, ?full-backing-filename str, ?backing-filename-format str, ?backing-image ImageInfo, ?format-specific any
struct BlockDeviceInfo: file str, node-name str, ro bool, drv str, ?backing_file str, backing_file_depth int, encrypted bool, detect_zeroes str, bps int, bps_rd int, bps_wr int, iops int, iops_rd int, iops_wr int, ?bps_max int, ?bps_rd_max int, ?bps_wr_max int, ?iops_max int, ?iops_rd_max int, ?iops_wr_max int, ?bps_max_length int, ?bps_rd_max_length int, ?bps_wr_max_length int, ?iops_max_length int, ?iops_rd_max_length int, ?iops_wr_max_length int, ?iops_size int, ?group str, image ImageInfo, cache BlockdevCacheInfo, write_threshold int, ?dirty-bitmaps [BlockDirtyInfo]
struct BlockDeviceStats: rd_bytes int, wr_bytes int, unmap_bytes int, rd_operations int, wr_operations int, flush_operations int, unmap_operations int, failed_rd_operations int, failed_wr_operations int, failed_flush_operations int, failed_unmap_operations int
struct BlockStats: ?device str, ?qdev str, ?node-name str, stats BlockDeviceStats
struct BlockdevOptions: driver str, ?node-name str, ...
enum NewImageMode: existing absolute-paths
struct SnapshotInfo: id str, name str, vm-state-size int, date-sec int, date-nsec int, vm-clock-sec int, vm-clock-nsec int, ?icount int
struct XDbgBlockGraph: nodes [XDbgBlockGraphNode], edges [XDbgBlockGraphEdge]
enum XDbgBlockGraphNodeType: block-backend block-job block-driver
struct XDbgBlockGraphNode: id int, type XDbgBlockGraphNodeType, name str
struct XDbgBlockGraphEdge: parent int, child int, name str, perm [str], shared-perm [str]
)",
                                   commands, events};

} // namespace mimic::qmp
