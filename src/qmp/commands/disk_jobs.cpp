// Starting jobs on disks. QEMU QMP reference manual, "Block devices": block-stream, block-commit, mirror, backup, create, amend.
#include "block/jobs/copy.hpp"
#include "qmp/disks.hpp"

namespace mimic::qmp {

using block::Node;
using block::NodePtr;
using block::OnError;
using io::Task;

namespace {

// job-id, speed, auto-finalize, auto-dismiss; a disk of a machine names its job by itself.
Result<void> take_common(Server& s, const Arguments& a, block::JobOptions& o) {
    o.id = a.text("job-id");
    if (!a.has("job-id")) {
        if (!s.storage().find_device(a.text("device")))
            return Error::invalid_argument("An explicit job ID is required for this node");
        o.id = a.text("device");
    }
    TRY(s.storage().jobs().check_id(o.id));
    if (a.has("speed") && i64(a.number("speed")) < 0)
        return Error::invalid_argument("Parameter 'speed' expects a non-negative value");
    o.speed = a.number("speed");
    o.auto_finalize = a.flag("auto-finalize", true);
    o.auto_dismiss = a.flag("auto-dismiss", true);
    return {};
}

OnError on_error(const Arguments& a, std::string_view name) {
    return choice(a, name, block::on_error_names, OnError::report);
}

Result<Json> started(Result<block::JobPtr> job) {
    if (!job) return std::move(job).error();
    (*job)->start();
    return Json::object();
}

// A layer of the chain by what its users call its file.
Node* by_filename(Node* top, const std::string& name) {
    for (Node* n = block::skip_filters(top); n; n = block::skip_filters(block::backing_of(n)))
        if (n->filename() == name || (n->file() && n->file()->filename() == name) ||
            n->filename() == block::combine_path(top->filename(), name))
            return n;
    return nullptr;
}

Task<Result<Json>> block_stream(Server& s, const Arguments& a) {
    block::StreamOptions o;
    CO_CHECK(take_common(s, a, o));
    CO_TRY(o.node, s.storage().find(a.text("device")));
    if (int(a.has("base")) + int(a.has("base-node")) + int(a.has("bottom")) > 1)
        co_return Error::invalid_argument("'base', 'base-node' and 'bottom' cannot be specified at the same time");
    if (a.has("base")) {
        Node* base = by_filename(o.node.get(), a.text("base"));
        if (!base) co_return Error::invalid_argument("Can't find '{}' in the backing chain", a.text("base"));
        o.base = base->shared_from_this();
    }
    if (a.has("base-node")) { CO_TRY(o.base, s.storage().find(a.text("base-node"))); }
    if (a.has("bottom")) {
        CO_TRY(NodePtr bottom, s.storage().find(a.text("bottom")));
        if (!block::in_chain(o.node.get(), bottom.get()))
            co_return Error::invalid_argument("Node '{}' is not in a chain starting from '{}'", a.text("bottom"),
                                              a.text("device"));
        if (Node* below = block::backing_of(bottom.get())) o.base = below->shared_from_this();
    }
    if (a.has("backing-file")) {
        if (!o.base) co_return Error::invalid_argument("backing file specified, but streaming the entire chain");
        o.backing_file = a.text("backing-file");
    }
    o.on_error = on_error(a, "on-error");
    o.filter_name = a.text("filter-node-name");
    auto lock = co_await s.storage().context().graph.lock();
    auto job = co_await block::make_stream(s.storage().jobs(), std::move(o));
    co_return started(std::move(job));
}

Task<Result<Json>> block_commit(Server& s, const Arguments& a) {
    block::CommitOptions o;
    CO_CHECK(take_common(s, a, o));
    CO_TRY(o.active, s.storage().find(a.text("device")));
    o.top = o.active;
    if (a.has("top-node") && a.has("top"))
        co_return Error::invalid_argument("'top-node' and 'top' are mutually exclusive");
    if (a.has("base-node") && a.has("base"))
        co_return Error::invalid_argument("'base-node' and 'base' are mutually exclusive");
    if (a.has("top-node")) { CO_TRY(o.top, s.storage().find(a.text("top-node"))); }
    if (a.has("top")) {
        Node* top = by_filename(o.active.get(), a.text("top"));
        if (!top) co_return Error::invalid_argument("Top image file {} not found", a.text("top"));
        o.top = top->shared_from_this();
    }
    if (!block::in_chain(o.active.get(), o.top.get()))
        co_return Error::invalid_argument("'{}' is not in this backing file chain", o.top->options().node_name);
    Node* base = nullptr;
    if (a.has("base-node")) {
        CO_TRY(NodePtr found, s.storage().find(a.text("base-node")));
        base = found.get();
    } else if (a.has("base")) {
        base = by_filename(o.top.get(), a.text("base"));
        if (!base) co_return Error::invalid_argument("Can't find '{}' in the backing chain", a.text("base"));
    } else {
        for (base = block::skip_filters(o.top.get()); block::backing_of(base);)
            base = block::skip_filters(block::backing_of(base));
    }
    o.base = base->shared_from_this();
    if (block::skip_filters(o.top.get()) == block::skip_filters(base))
        co_return Error::invalid_argument("cannot commit an image into itself");
    if (!block::in_chain(o.top.get(), base))
        co_return Error::invalid_argument("'{}' is not in this backing file chain", base->options().node_name);
    if (a.has("backing-file")) o.backing_file = a.text("backing-file");
    o.on_error = on_error(a, "on-error");
    o.filter_name = a.text("filter-node-name");
    auto lock = co_await s.storage().context().graph.lock();
    auto job = co_await block::make_commit(s.storage().jobs(), std::move(o));
    co_return started(std::move(job));
}

Result<void> take_mirror(Server& s, const Arguments& a, block::MirrorOptions& o) {
    TRY(take_common(s, a, o));
    o.node = TRY(s.storage().find(a.text("device")));
    if (a.has("replaces")) o.replaces = TRY(s.storage().find(a.text("replaces")));
    o.sync = choice(a, "sync", block::sync_names, block::Sync::full);
    o.granularity = a.number("granularity");
    if (o.granularity && (o.granularity < 512 || o.granularity > (64u << 20) || (o.granularity & (o.granularity - 1))))
        return Error::invalid_argument("Parameter 'granularity' expects a power of 2 in range [512B, 64MB]");
    o.write_blocking = a.text("copy-mode") == "write-blocking";
    o.unmap = a.flag("unmap", true);
    o.on_source_error = on_error(a, "on-source-error");
    o.on_target_error = on_error(a, "on-target-error");
    o.filter_name = a.text("filter-node-name");
    // Without a backing node there is nothing that top would leave out.
    if (o.sync == block::Sync::top && !block::backing_of(o.node.get())) o.sync = block::Sync::full;
    return {};
}

Task<Result<Json>> blockdev_mirror(Server& s, const Arguments& a) {
    block::MirrorOptions o;
    CO_CHECK(take_mirror(s, a, o));
    CO_TRY(o.target, s.storage().find(a.text("target")));
    auto lock = co_await s.storage().context().graph.lock();
    auto job = co_await block::make_mirror(s.storage().jobs(), std::move(o));
    co_return started(std::move(job));
}

Task<Result<Json>> drive_mirror(Server& s, const Arguments& a) {
    block::MirrorOptions o;
    CO_CHECK(take_mirror(s, a, o));
    auto lock = co_await s.storage().context().graph.lock();
    Node* source = block::skip_filters(o.node.get());
    if (o.sync == block::Sync::none)
        o.target_backing = o.node;
    else if (o.sync == block::Sync::top)
        o.target_backing = block::backing_of(source)->shared_from_this();
    TargetFile t{.file = a.text("target"),
                 .format = a.text("format", source->driver().name),
                 .mode = a.text("mode", "absolute-paths"),
                 .node_name = a.text("node-name"),
                 .size = source->size(),
                 .backing = block::skip_filters(o.target_backing.get())};
    CO_TRY(o.target, co_await open_target(s, std::move(t)));
    NodePtr target = o.target;
    auto job = co_await block::make_mirror(s.storage().jobs(), std::move(o));
    if (!job) {
        co_await block::let_go(target);
        co_return std::move(job).error();
    }
    (*job)->start();
    co_return Json::object();
}

Result<void> take_backup(Server& s, const Arguments& a, block::BackupOptions& o) {
    TRY(take_common(s, a, o));
    o.node = TRY(s.storage().find(a.text("device")));
    o.sync = choice(a, "sync", block::sync_names, block::Sync::full);
    o.bitmap = a.text("bitmap");
    o.bitmap_mode = choice(a, "bitmap-mode", block::bitmap_mode_names, block::BitmapMode::on_success);
    if (o.sync == block::Sync::incremental && a.has("bitmap-mode") && o.bitmap_mode != block::BitmapMode::on_success)
        return Error::invalid_argument("Bitmap sync mode must be 'on-success' when using sync mode 'incremental'");
    if (a.has("bitmap-mode") && o.bitmap.empty())
        return Error::invalid_argument("Cannot specify bitmap sync mode without a bitmap");
    if (o.sync == block::Sync::bitmap && !a.has("bitmap-mode"))
        return Error::invalid_argument("Bitmap sync mode must be given when providing a bitmap");
    o.compress = a.flag("compress");
    o.on_source_error = on_error(a, "on-source-error");
    o.on_target_error = on_error(a, "on-target-error");
    o.filter_name = a.text("filter-node-name");
    if (a.has("x-perf"))
        if (const Json* n = a.value("x-perf").find("max-workers")) n->get(o.max_workers);
    if (o.sync == block::Sync::top && !block::backing_of(o.node.get())) o.sync = block::Sync::full;
    return {};
}

Step with_job(block::JobPtr job) {
    Step step;
    step.job = std::move(job);
    return step;
}

// ---- create, amend

Task<Result<void>> create_image(Server& s, Json options) {
    std::string driver_name = *options.take("driver").string();
    const block::Driver* driver = block::find_driver(driver_name);
    if (!driver)
        co_return Error::invalid_argument("Unknown driver '{}', expected {}", driver_name, block::driver_names(false));
    if (!driver->create) co_return Error::unsupported("Driver '{}' does not support blockdev-create", driver_name);
    block::CreateArguments arguments;
    if (driver->is_protocol) {
        Json name = options.take("filename");
        if (!name.string()) co_return Error::invalid_argument("Parameter 'filename' is missing");
        arguments.filename = *name.string();
    } else {
        Json file = options.take("file");
        if (file.string()) {
            CO_TRY(NodePtr node, s.storage().find(*file.string()));
            arguments.filename = node->filename();
            arguments.file = node;
        } else {
            co_return Error::unsupported("Parameter 'file' expects the node-name of the file to format");
        }
    }
    // The members' names are those of the options, but for their hyphens and a few words.
    arguments.options = Json::object();
    for (auto& [name, value] : *options.members()) {
        std::string key = name;
        for (char& c : key)
            if (c == '-') c = '_';
        if (key == "version") {
            arguments.options.set("compat", value.string() && *value.string() == "v2" ? "0.10" : "1.1");
            continue;
        }
        arguments.options.set(key == "backing_fmt" ? "backing_fmt" : key, value);
    }
    co_return co_await driver->create(s.storage().context(), arguments);
}

Task<Result<Json>> blockdev_create(Server& s, const Arguments& a) {
    block::JobOptions o;
    o.id = a.text("job-id");
    o.auto_dismiss = false;
    CO_CHECK(s.storage().jobs().check_id(o.id));
    Json options = a.value("options");
    auto task = [&s, options]() { return create_image(s, options); };
    block::make_task_job(s.storage().jobs(), block::JobType::create, o, task)->start();
    co_return Json::object();
}

Task<Result<Json>> blockdev_amend(Server& s, const Arguments& a) {
    block::JobOptions o;
    o.id = a.text("job-id");
    o.auto_dismiss = false;
    CO_CHECK(s.storage().jobs().check_id(o.id));
    CO_TRY(NodePtr node, s.storage().find_node(a.text("node-name")));
    Json options = a.value("options");
    options.take("driver");
    auto task = [node, options]() -> Task<Result<void>> {
        auto lock = co_await node->context().graph.lock();
        block::Drained quiet = co_await block::drain(*node);
        co_return co_await node->amend(options);
    };
    block::make_task_job(s.storage().jobs(), block::JobType::amend, o, task)->start();
    co_return Json::object();
}

} // namespace

Task<Result<Step>> backup(Server& s, const Arguments& a) {
    block::BackupOptions o;
    CO_CHECK(take_backup(s, a, o));
    CO_TRY(o.target, s.storage().find(a.text("target")));
    CO_TRY(block::JobPtr job, co_await block::make_backup(s.storage().jobs(), std::move(o)));
    co_return with_job(std::move(job));
}

Task<Result<Step>> drive_backup(Server& s, const Arguments& a) {
    block::BackupOptions o;
    CO_CHECK(take_backup(s, a, o));
    Node* source = block::skip_filters(o.node.get());
    Node* below = o.sync == block::Sync::top    ? block::skip_filters(block::backing_of(source))
                  : o.sync == block::Sync::none ? source
                                                : nullptr;
    TargetFile t{.file = a.text("target"),
                 .format = a.text("format", source->driver().name),
                 .mode = a.text("mode", "absolute-paths"),
                 .size = source->size(),
                 .backing = below};
    CO_TRY(o.target, co_await open_target(s, std::move(t)));
    NodePtr target = o.target;
    auto job = co_await block::make_backup(s.storage().jobs(), std::move(o));
    if (job) co_return with_job(std::move(*job));
    co_await block::let_go(target);
    co_return std::move(job).error();
}

namespace {

constexpr Command commands[] = {
    {"block-stream",
     "?job-id str, device str, ?base str, ?base-node str, ?backing-file str, ?bottom str, ?speed int, ?on-error "
     "BlockdevOnError, ?filter-node-name str, ?auto-finalize bool, ?auto-dismiss bool",
     "", "copies what shows through into an image", nullptr, false, block_stream},
    {"block-commit",
     "?job-id str, device str, ?base-node str, ?base str, ?top-node str, ?top str, ?backing-file str, ?speed int, "
     "?on-error "
     "BlockdevOnError, ?filter-node-name str, ?auto-finalize bool, ?auto-dismiss bool",
     "", "copies what layers hold into one below them", nullptr, false, block_commit},
    {"blockdev-mirror",
     "?job-id str, device str, target str, ?replaces str, sync MirrorSyncMode, ?speed int, ?granularity uint32, "
     "?buf-size "
     "int, ?on-source-error BlockdevOnError, ?on-target-error BlockdevOnError, ?filter-node-name str, ?copy-mode "
     "MirrorCopyMode, ?auto-finalize bool, ?auto-dismiss bool",
     "", "makes another node the same and keeps it so", nullptr, false, blockdev_mirror},
    {"drive-mirror",
     "?job-id str, device str, target str, ?format str, ?node-name str, ?replaces str, sync MirrorSyncMode, ?mode "
     "NewImageMode, ?speed int, ?granularity uint32, ?buf-size int, ?on-source-error BlockdevOnError, ?on-target-error "
     "BlockdevOnError, ?unmap bool, ?copy-mode MirrorCopyMode, ?auto-finalize bool, ?auto-dismiss bool",
     "", "the same with a file's name", nullptr, false, drive_mirror},
    {"blockdev-backup",
     "?job-id str, device str, sync MirrorSyncMode, ?speed int, ?bitmap str, ?bitmap-mode BitmapSyncMode, ?compress "
     "bool, "
     "?on-source-error BlockdevOnError, ?on-target-error BlockdevOnError, ?auto-finalize bool, ?auto-dismiss bool, "
     "?filter-node-name str, ?x-perf BackupPerf, target str",
     "", "copies what a node shows now", nullptr, false, command<backup>},
    {"drive-backup",
     "?job-id str, device str, sync MirrorSyncMode, ?speed int, ?bitmap str, ?bitmap-mode BitmapSyncMode, ?compress "
     "bool, "
     "?on-source-error BlockdevOnError, ?on-target-error BlockdevOnError, ?auto-finalize bool, ?auto-dismiss bool, "
     "?filter-node-name str, ?x-perf BackupPerf, target str, ?format str, ?mode NewImageMode",
     "", "the same with a file's name", nullptr, false, command<drive_backup>},
    {"blockdev-create", "job-id str, options BlockdevCreateOptions", "", "makes an image", nullptr, false,
     blockdev_create},
    {"x-blockdev-amend", "job-id str, node-name str, options BlockdevCreateOptions, ?force bool", "",
     "changes the options of an image's format", nullptr, false, blockdev_amend},
};

} // namespace

constinit const Family disk_job_family{R"(
enum BlockdevOnError: report ignore enospc stop auto
enum MirrorSyncMode: top full none incremental bitmap
enum MirrorCopyMode: background write-blocking
enum BitmapSyncMode: on-success never always
struct BackupPerf: ?use-copy-range bool, ?max-workers int, ?max-chunk int
struct BlockdevCreateOptions: driver str, ...
)",
                                       commands};

} // namespace mimic::qmp
