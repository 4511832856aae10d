// Snapshots: a machine kept inside its disks: its state in one qcow2 image, beside a snapshot of that and of every other disk that
// it can write to.
//
//   CO_TRY(auto disks, Snapshots::disks(machine));
//   CO_CHECK(co_await snapshots.save("before", disks, 0, false));    // the machine stands still meanwhile
//   CO_CHECK(co_await snapshots.load("before", disks, 0));
//
// All of it runs on the loop's thread; RAM is packed and unpacked on one of its own. Sources: QEMU QMP reference, "Migration"
// (snapshot-save, -load, -delete); Qcow2 Image File Format, "Snapshots" (where the state lies).
#pragma once
#include "block/graph.hpp"
#include "migration/migrator.hpp"

namespace mimic::migration {

class Snapshots {
public:
    explicit Snapshots(machines::RunControl& run) : run_(run) {}
    Snapshots(const Snapshots&) = delete;

    struct Disk {
        std::string name; // as people know it
        block::NodePtr node;
        bool device = false; // `name` is a drive's id, not a node's
    };
    using Disks = std::vector<Disk>;
    // Those that the machine can write to. Errors: one's format has no snapshots; there is none.
    static Result<Disks> disks(devices::Machine& machine);

    // `state`: the disk that has the state, by its place in `disks`. `replaces`: one that is called so goes when the new one is
    // there. Errors leave the disks as they were, and the machine goes on.
    block::Task<Result<void>> save(std::string tag, Disks disks, size_t state, bool replaces);
    // The machine and its disks become what they were; it runs on if it ran. Errors: the disks have no snapshot of this name that
    // is of one moment; a job or a dirty bitmap follows what one's users write. Errors before the disks are changed leave these; once
    // loading the state has begun, the machine is in the state internal-error, and a reset is needed.
    block::Task<Result<void>> load(std::string tag, Disks disks, size_t state);
    // From all disks that have it. Errors: none has.
    block::Task<Result<void>> remove(std::string tag, Disks disks);

    // What is being loaded ends soon, with an error: the program leaves.
    void cancel() {
        if (loading_) loading_->cancel();
    }

private:
    struct Stop;
    using Moment = std::vector<block::SnapshotInfo>; // one of each disk
    Result<Moment> find(const std::string& tag, const Disks& disks, size_t state);
    block::Task<void> stop(Stop& s, machines::RunState why, const Disks& disks);
    void go_on(Stop& s);
    block::Task<Result<u64>> write_machine(const Disk& disk, bool running);
    block::Task<Result<void>> create(const block::SnapshotInfo& info, const Disks& disks, size_t state);
    block::Task<Result<void>> do_load(std::string tag, const Disks& disks, size_t state, Moment moment, bool& spoilt);

    machines::RunControl& run_;
    Loading* loading_ = nullptr;
};

// The first snapshot of this name on a disk.
std::optional<block::SnapshotInfo> find_snapshot(const block::Node& node, std::string_view tag);
// The snapshot of that name and moment on another disk.
std::optional<block::SnapshotInfo> find_moment(const block::Node& node, const block::SnapshotInfo& of);

} // namespace mimic::migration
