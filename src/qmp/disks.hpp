// What the commands about disks share.
#pragma once
#include "block/storage.hpp"
#include "qmp/server.hpp"

namespace mimic::qmp {

// About nodes, jobs, dirty bitmaps, exports, and all of them at once.
extern const Family node_family, job_family, disk_job_family, bitmap_family, export_family, transaction_family;

// ImageInfo, with the images behind it unless `flat`.
Json image_info(const block::Node& n, bool flat);
// BlockDeviceInfo. `limits`: what the device's requests are held to, or null.
Json device_info(block::Node& n, bool read_only, bool flat, const block::ThrottleGroup* limits = nullptr);
// BlockDeviceStats.
Json statistics(const block::Node& n);

// An argument that is one of some names, as the schema has checked.
template <class E>
E choice(const Arguments& a, std::string_view name, std::span<const std::string_view> names, E otherwise) {
    std::string text = a.text(name);
    for (size_t i = 0; i < names.size(); i++)
        if (a.has(name) && names[i] == text) return E(i);
    return otherwise;
}
// Lives as long as a request: Arguments refers to its object.
struct Request {
    explicit Request(Json object) : object_(std::move(object)), arguments(object_) {}
    Request(const Request&) = delete;

private:
    Json object_;

public:
    Arguments arguments;
};

// What a transaction can take back: undo() runs if a later action fails, commit() if none does.
struct Step {
    std::function<io::Task<Result<void>>()> undo;
    std::function<void()> commit;
    block::JobPtr job; // not started yet
};
// Actions, under Context::graph. Each leaves the graph as it was if it fails.
io::Task<Result<Step>> snapshot(Server& s, const Arguments& a);
io::Task<Result<Step>> snapshot_sync(Server& s, const Arguments& a);
io::Task<Result<Step>> snapshot_internal(Server& s, const Arguments& a);
io::Task<Result<Step>> backup(Server& s, const Arguments& a);
io::Task<Result<Step>> drive_backup(Server& s, const Arguments& a);
io::Task<Result<Step>> bitmap_add(Server& s, const Arguments& a);
io::Task<Result<Step>> bitmap_remove(Server& s, const Arguments& a);
io::Task<Result<Step>> bitmap_clear(Server& s, const Arguments& a);
io::Task<Result<Step>> bitmap_enable(Server& s, const Arguments& a);
io::Task<Result<Step>> bitmap_disable(Server& s, const Arguments& a);
io::Task<Result<Step>> bitmap_merge(Server& s, const Arguments& a);
// One action alone, as a command.
using Action = io::Task<Result<Step>> (*)(Server&, const Arguments&);
io::Task<Result<Json>> alone(Server& s, const Arguments& a, Action action);
template <Action action>
io::Task<Result<Json>> command(Server& s, const Arguments& a) {
    return alone(s, a, action);
}

// Makes (unless mode is existing) and opens the target of drive-backup, drive-mirror and blockdev-snapshot-sync.
struct TargetFile {
    std::string file, format, mode, node_name;
    u64 size = 0;
    const block::Node* backing = nullptr; // what its header names, if it can
};
io::Task<Result<block::NodePtr>> open_target(Server& s, TargetFile t);

} // namespace mimic::qmp
