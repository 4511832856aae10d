// The jobs on disks, as QEMU's QMP reference manual describes their commands. Each checks its nodes, takes what it needs of the
// graph and adds itself to the list; the caller starts it. The caller holds Context::graph.
#pragma once
#include "block/jobs/job.hpp"

namespace mimic::block {

enum class Sync : u8 { top, full, none, incremental, bitmap };
constexpr std::string_view sync_names[] = {"top", "full", "none", "incremental", "bitmap"};

// block-stream: what `node` shows of its backing nodes down to, not including, `base` becomes its own.
struct StreamOptions : JobOptions {
    NodePtr node, base;                      // base null: all
    std::optional<std::string> backing_file; // what the header says then
    OnError on_error = OnError::report;
    std::string filter_name;
};
Task<Result<JobPtr>> make_stream(Jobs& jobs, StreamOptions o);

// block-commit: what the layers from `top` down to, not including, `base` hold goes into base. If top is `active`, the node that
// is used, it is a mirror that becomes ready, and completing it makes base the node that is used.
struct CommitOptions : JobOptions {
    NodePtr active, top, base;
    std::optional<std::string> backing_file;
    OnError on_error = OnError::report;
    std::string filter_name;
};
Task<Result<JobPtr>> make_commit(Jobs& jobs, CommitOptions o);

// blockdev-mirror: the target becomes and stays the same as the node; completing makes users of the node use the target.
struct MirrorOptions : JobOptions {
    NodePtr node, target, replaces;
    Sync sync = Sync::full;
    u64 granularity = 0;
    bool write_blocking = false, unmap = true;
    OnError on_source_error = OnError::report, on_target_error = OnError::report;
    std::string filter_name;
    // Of drive-mirror, whose target was opened without one: the target gets it when it takes over.
    NodePtr target_backing;
    bool is_commit = false;
};
Task<Result<JobPtr>> make_mirror(Jobs& jobs, MirrorOptions o);

// blockdev-backup: the target becomes what the node shows now. Users' writes wait until what they overwrite is copied.
enum class BitmapMode : u8 { on_success, never, always };
constexpr std::string_view bitmap_mode_names[] = {"on-success", "never", "always"};
struct BackupOptions : JobOptions {
    NodePtr node, target;
    Sync sync = Sync::full;
    std::string bitmap;
    BitmapMode bitmap_mode = BitmapMode::on_success;
    bool compress = false;
    OnError on_source_error = OnError::report, on_target_error = OnError::report;
    std::string filter_name;
    u64 max_workers = 8;
};
Task<Result<JobPtr>> make_backup(Jobs& jobs, BackupOptions o);

// blockdev-create, x-blockdev-amend: a task as a job.
JobPtr make_task_job(Jobs& jobs, JobType type, JobOptions o, std::function<Task<Result<void>>()> task);

} // namespace mimic::block
