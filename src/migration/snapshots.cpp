#include "migration/snapshots.hpp"
#include "base/io/scope.hpp"
#include "block/jobs/filter.hpp"
#include "migration/state.hpp"
#include <algorithm>
#include <ctime>

namespace mimic::migration {

using block::Node, block::SnapshotInfo, block::Task;
using machines::RunState;

std::optional<SnapshotInfo> find_snapshot(const Node& node, std::string_view tag) {
    for (SnapshotInfo& s : node.snapshots())
        if (s.name == tag) return s;
    return std::nullopt;
}

namespace {

Node& image_of(const Snapshots::Disk& d) { return *block::skip_filters(d.node.get()); }

std::vector<SnapshotInfo> all_of(const Node& node, std::string_view tag) {
    std::vector<SnapshotInfo> list = node.snapshots();
    std::erase_if(list, [&](const SnapshotInfo& s) { return s.name != tag; });
    return list;
}

// Does a job use the disk: is it on a node from `node` on upwards, or on a filter's way down from it?
bool has_job(const Node& node) {
    auto is_jobs = [](const Node& n) {
        for (const block::Driver* d : {&block::copy_before_write_driver, &block::mirror_top_driver,
                                       &block::commit_top_driver, &block::stream_top_driver})
            if (&n.driver() == d) return true;
        return false;
    };
    if (is_jobs(node)) return true;
    for (const block::Edge* e : node.parents()) {
        if (e->frozen()) return true;
        if (e->parent() && e->parent()->driver().is_filter && has_job(*e->parent())) return true;
    }
    return false;
}

// Going back changes a disk below those who follow its writes.
Result<void> nobody_follows(const Snapshots::Disk& d) {
    for (Node* n = d.node.get();; n = n->file()) {
        if (has_job(*n)) return Error::busy("Device '{}' is in use by a job, expected its end first", d.name);
        if (!n->dirty_bitmaps().empty() || !n->bitmaps().empty())
            return Error::busy("Device '{}' has dirty bitmaps, expected none", d.name);
        if (!n->driver().is_filter) return {};
    }
}

// Nodes may have gone, or an overlay have come, before their graph was ours.
Result<void> still_there(const Snapshots::Disks& disks, devices::Machine& machine) {
    for (const Snapshots::Disk& d : disks) {
        auto at = machine.drives.find(d.name);
        bool moved = d.device && (at == machine.drives.end() || !at->second.node || at->second.node->ptr() != d.node);
        if (moved || d.node->closed() || image_of(d).closed())
            return Error::busy("Device '{}' was changed meanwhile, expected it as it was", d.name);
    }
    return {};
}

// Bytes between a thread, which waits, and the machine state in an image, which the loop's thread reads and writes.
class StateFile {
public:
    StateFile(devices::Machine& machine, Node& node) : machine_(machine), node_(node) {}
    StateFile(devices::Machine& machine, Node& node, const SnapshotInfo& of) : StateFile(machine, node) { of_ = of; }
    StateFile(const StateFile&) = delete;

    Result<void> write(std::span<const u8> bytes) {
        while (!bytes.empty()) {
            size_t n = std::min(bytes.size(), chunk - buffer_.size());
            buffer_.insert(buffer_.end(), bytes.begin(), bytes.begin() + i64(n));
            bytes = bytes.subspan(n);
            if (buffer_.size() == chunk) TRY(flush());
        }
        return {};
    }
    Result<void> flush() {
        if (buffer_.empty()) return {};
        TRY(transfer([this]() -> Task<Result<void>> {
            block::IoVec memory{std::span<u8>(buffer_)};
            co_return co_await node_.state_write(done_, memory);
        }));
        done_ += buffer_.size();
        buffer_.clear();
        return {};
    }
    Result<void> read(std::span<u8> out) {
        while (!out.empty()) {
            if (taken_ == buffer_.size()) {
                u64 left = of_.vm_state_size - done_;
                if (left == 0) return Error::corrupt("ends after {} bytes, in the middle", done_);
                buffer_.resize(std::min<u64>(chunk, left));
                taken_ = 0;
                TRY(transfer([this]() -> Task<Result<void>> {
                    block::IoVec memory{std::span<u8>(buffer_)};
                    co_return co_await node_.state_read(of_, done_, memory);
                }));
                done_ += buffer_.size();
            }
            size_t n = std::min(out.size(), buffer_.size() - taken_);
            std::copy_n(buffer_.begin() + i64(taken_), n, out.begin());
            taken_ += n;
            out = out.subspan(n);
        }
        return {};
    }
    u64 done() const { return done_; }

    // Runs `work` on a thread, and lets the loop go on until it is done.
    Task<Result<void>> run(std::function<Result<void>()> work) {
        io::WaitList ended(*machine_.loop());
        std::optional<Result<void>> result;
        std::thread thread([&] {
            auto outcome = std::make_shared<Result<void>>(work());
            machine_.post([&result, &ended, outcome] {
                result = std::move(*outcome);
                ended.wake_all();
            });
        });
        while (!result) co_await ended.wait();
        thread.join();
        co_return std::move(*result);
    }

private:
    static constexpr size_t chunk = 1 << 20;
    Result<void> transfer(std::function<Task<Result<void>>()> task) {
        std::optional<Result<void>> result;
        machine_.post([&] {
            auto one = [](StateFile& f, std::function<Task<Result<void>>()>& t,
                          std::optional<Result<void>>& out) -> Task<Result<void>> {
                Result<void> r = co_await t();
                std::lock_guard lock(f.mutex_);
                out = std::move(r);
                f.changed_.notify_all();
                co_return Result<void>();
            };
            io::spawn(one(*this, task, result), [](const Error&) {});
        });
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return result.has_value(); });
        return std::move(*result);
    }

    devices::Machine& machine_;
    Node& node_;
    SnapshotInfo of_;
    std::vector<u8> buffer_;
    size_t taken_ = 0;
    u64 done_ = 0;
    std::mutex mutex_;
    std::condition_variable changed_;
};

} // namespace

std::optional<SnapshotInfo> find_moment(const Node& node, const SnapshotInfo& of) {
    for (SnapshotInfo& s : node.snapshots())
        if (s.name == of.name && s.date_sec == of.date_sec && s.date_nsec == of.date_nsec &&
            s.vm_clock_nsec == of.vm_clock_nsec)
            return s;
    return std::nullopt;
}

Result<Snapshots::Disks> Snapshots::disks(devices::Machine& machine) {
    Disks all;
    for (const auto& [name, drive] : machine.drives) {
        if (!drive.node || drive.read_only) continue;
        Disk d{name, drive.node->ptr(), true};
        if (!image_of(d).supports_snapshots())
            return Error::unsupported("Device '{}' is writable but does not support snapshots", name);
        all.push_back(std::move(d));
    }
    if (all.empty()) return Error::unsupported("No block device can accept snapshots");
    return all;
}

// How a machine that stands still for a snapshot goes on.
struct Snapshots::Stop {
    Stood stood;
    block::Drained quiet;
};

Task<void> Snapshots::stop(Stop& s, RunState why, const Disks& disks) {
    s.stood = co_await quiesce(run_, why, std::make_shared<bool>(true));
    std::vector<Node*> nodes;
    for (const Disk& d : disks) nodes.push_back(d.node.get());
    s.quiet = co_await block::drain(std::move(nodes));
}

void Snapshots::go_on(Stop& s) {
    s.quiet.end();
    go_on_from(run_, s.stood);
}

// ---- saving -----------------------------------------------------------------------------------------------------------

// The bytes that the state has.
Task<Result<u64>> Snapshots::write_machine(const Disk& disk, bool running) {
    machines::Board& board = run_.board();
    StateFile file(board.machine(), image_of(disk));
    Progress progress;
    Saved saved = save_state(board, running);
    auto work = [&]() -> Result<void> {
        TRY(write_state(
            saved, board, [&](std::span<const u8> b) { return file.write(b); }, progress));
        return file.flush();
    };
    CO_CHECK(co_await file.run(work));
    co_return file.done();
}

// On all disks, or on none.
Task<Result<void>> Snapshots::create(const SnapshotInfo& info, const Disks& disks, size_t state) {
    std::vector<std::pair<Node*, SnapshotInfo>> made;
    Result<void> result;
    for (size_t i = 0; i < disks.size(); i++) {
        Node& node = image_of(disks[i]);
        SnapshotInfo own = info;
        if (i != state) own.vm_state_size = 0;
        result = co_await node.snapshot_create(own);
        if (!result) {
            result = std::move(result).error().in(fmt::format("disk '{}'", disks[i].name));
            break;
        }
        made.emplace_back(&node, node.snapshots().back());
    }
    if (result) co_return result;
    for (auto& [node, own] : made) {
        Result<void> undone = co_await node->snapshot_delete(own);
        if (!undone) run_.say(fmt::format("a snapshot could not be taken back: {}", undone.error().message()));
    }
    co_return result;
}

Task<Result<void>> Snapshots::save(std::string tag, Disks disks, size_t state, bool replaces) {
    CO_TRY(auto claim, run_.claim(machines::Keeper::snapshot));
    auto graph = co_await image_of(disks[state]).context().graph.lock();
    CO_CHECK(still_there(disks, run_.board().machine()));
    for (const Disk& d : disks)
        if (!replaces && find_snapshot(image_of(d), tag))
            co_return Error::exists("Snapshot '{}' already exists in one or more devices", tag);
    Stop stopped;
    co_await stop(stopped, RunState::save_vm, disks);
    SnapshotInfo info;
    info.name = tag;
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    info.date_sec = u32(now.tv_sec);
    info.date_nsec = u32(now.tv_nsec);
    info.vm_clock_nsec = run_.board().machine().now();
    if (run_.board().machine().is_counted()) info.icount = run_.board().machine().count();
    std::vector<std::vector<SnapshotInfo>> old;
    for (const Disk& d : disks) old.push_back(all_of(image_of(d), tag));
    Node& keeper = image_of(disks[state]);
    Result<void> result = co_await keeper.state_discard(); // a program that crashed may have left some
    if (result) {
        Result<u64> bytes = co_await write_machine(disks[state], stopped.stood.ran);
        if (bytes) {
            info.vm_state_size = *bytes;
            result = co_await create(info, disks, state);
        } else {
            result = std::move(bytes).error().in(fmt::format("disk '{}': write the machine", disks[state].name));
        }
    }
    Result<void> freed = co_await keeper.state_discard(); // the snapshot has it now
    if (result) result = std::move(freed);
    for (size_t i = 0; result && i < disks.size(); i++)
        for (const SnapshotInfo& one : old[i]) {
            // The new one is whole, and the one that is loaded.
            Result<void> gone = co_await image_of(disks[i]).snapshot_delete(one);
            if (!gone)
                run_.say(fmt::format("disk '{}': an old snapshot '{}' stays: {}", disks[i].name, tag,
                                     gone.error().message()));
        }
    go_on(stopped);
    co_return result;
}

// ---- loading ----------------------------------------------------------------------------------------------------------

// spoilt: the machine is no longer what it was.
Task<Result<void>> Snapshots::do_load(std::string tag, const Disks& disks, size_t state, Moment moment, bool& spoilt) {
    machines::Board& board = run_.board();
    const SnapshotInfo& of = moment[state];
    spoilt = true;
    CO_CHECK(board.reset(devices::ResetKind::cold));
    StateFile file(board.machine(), image_of(disks[state]), of);
    Progress progress;
    Loading loading(board);
    loading_ = &loading;
    auto work = [&] { return loading.read([&](std::span<u8> out) { return file.read(out); }, progress); };
    Result<void> loaded_all = co_await file.run(work);
    loading_ = nullptr;
    if (!loaded_all) co_return std::move(loaded_all).error().in(fmt::format("snapshot '{}'", tag));
    auto finished = loading.finish();
    if (!finished) co_return std::move(finished).error().in(fmt::format("snapshot '{}'", tag));
    for (size_t i = 0; i < disks.size(); i++) {
        const Disk& d = disks[i];
        Result<void> applied = co_await image_of(d).snapshot_apply(moment[i]);
        if (!applied)
            co_return std::move(applied).error().in(
                fmt::format("disk '{}': go back to snapshot '{}'; disks before it have", d.name, tag));
    }
    Result<void> freed = co_await image_of(disks[state]).state_discard();
    std::move(freed).ignore(); // clusters that nobody reads
    spoilt = false;
    co_return Result<void>();
}

// The newest of a tag that all disks have: a save that was cut short leaves one that only some have.
Result<Snapshots::Moment> Snapshots::find(const std::string& tag, const Disks& disks, size_t state) {
    for (const Disk& d : disks) {
        if (!find_snapshot(image_of(d), tag))
            return Error::not_found("Device '{}' does not have the requested snapshot '{}'", d.name, tag);
        TRY(nobody_follows(d));
    }
    std::vector<SnapshotInfo> all = all_of(image_of(disks[state]), tag);
    std::stable_sort(all.begin(), all.end(), [](const SnapshotInfo& a, const SnapshotInfo& b) {
        return std::pair(a.date_sec, a.date_nsec) > std::pair(b.date_sec, b.date_nsec);
    });
    if (std::none_of(all.begin(), all.end(), [](const SnapshotInfo& s) { return s.vm_state_size != 0; }))
        return Error::invalid_argument("This is a disk-only snapshot. Revert to it offline using mimic img");
    Moment moment;
    for (const SnapshotInfo& of : all) {
        moment.clear();
        for (size_t i = 0; of.vm_state_size && i < disks.size(); i++) {
            auto found = i == state ? of : find_moment(image_of(disks[i]), of);
            if (found) moment.push_back(*found);
        }
        if (moment.size() == disks.size()) break;
    }
    if (moment.size() != disks.size())
        return Error::invalid_argument("the disks' snapshots '{}' are of different moments, expected one of all disks",
                                       tag);
    for (size_t i = 0; i < disks.size(); i++)
        if (u64 bytes = moment[i].disk_size; bytes && bytes != image_of(disks[i]).size())
            return Error::invalid_argument("Device '{}' has {} bytes, expected {} as in snapshot '{}'", disks[i].name,
                                           image_of(disks[i]).size(), bytes, tag);
    return moment;
}

Task<Result<void>> Snapshots::load(std::string tag, Disks disks, size_t state) {
    CO_TRY(auto claim, run_.claim(machines::Keeper::snapshot));
    auto graph = co_await image_of(disks[state]).context().graph.lock();
    CO_CHECK(still_there(disks, run_.board().machine()));
    CO_CHECK(find(tag, disks, state));
    Stop stopped;
    co_await stop(stopped, RunState::restore_vm, disks);
    // What ended the guest is undone, too.
    if (!stopped.stood.ran) stopped.stood.before = RunState::paused;
    bool spoilt = false;
    Result<void> result;
    // Once more: bitmaps come without the graph.
    auto moment = find(tag, disks, state);
    if (moment)
        result = co_await do_load(tag, disks, state, std::move(*moment), spoilt);
    else
        result = std::move(moment).error();
    if (spoilt) stopped.stood = {false, RunState::internal_error};
    go_on(stopped);
    co_return result;
}

Task<Result<void>> Snapshots::remove(std::string tag, Disks disks) {
    CO_TRY(auto claim, run_.claim(machines::Keeper::snapshot));
    auto graph = co_await image_of(disks[0]).context().graph.lock();
    CO_CHECK(still_there(disks, run_.board().machine()));
    bool any = false;
    Result<void> result;
    for (const Disk& d : disks) {
        Node& node = image_of(d);
        while (result) {
            auto found = find_snapshot(node, tag);
            if (!found) break;
            any = true;
            block::Drained quiet = co_await block::drain(node);
            result = co_await node.snapshot_delete(*found);
        }
    }
    if (result && !any) co_return Error::not_found("there is no snapshot '{}' on any disk", tag);
    co_return result;
}

} // namespace mimic::migration
