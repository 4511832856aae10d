// Migrator: moves a machine to where a URI leads while it runs, and loads one from there. Passes over RAM go out until what was
// written since is little enough to be sent within the downtime that users allow; then the machine stops, and the rest goes.
// It all is written and read on a thread of the job's own; the loop's takes the state of processors and devices.
//
//   Migrator m(run);
//   m.watch = [&](Status s) { ... };          // MIGRATION events
//   TRY(m.save_to("file:machine.state"));     // returns at once; the machine is stopped at the end, state postmigrate
//   TRY(m.load_from("file:machine.state", starts));
//
// All of it is called on the loop's thread. Source: QEMU QMP reference, "Migration".
#pragma once
#include "base/io/task.hpp"
#include "machines/run_control.hpp"
#include "migration/channel.hpp"
#include "migration/state.hpp"
#include <condition_variable>
#include <mutex>
#include <thread>

namespace mimic::migration {

class StateWriter;

// Those of the reference's MigrationStatus that can be met here.
enum class Status : u8 { none, setup, active, device, cancelling, cancelled, completed, failed };
std::string_view to_string(Status status);
constexpr bool under_way(Status s) { return s >= Status::setup && s <= Status::cancelling; }

struct Parameters {
    u64 max_bandwidth = u64{128} << 20; // bytes a second while the guest runs; 0: no limit
    u64 downtime_limit = 300;           // milliseconds
};

// What is known of the passes so far.
struct Figures {
    u64 setup = 0, downtime = 0, expected_downtime = 0; // milliseconds; downtime: that the machine stood still
    u64 dirty_rate = 0;                                 // pages a second that the guest writes, in the last pass
    u64 precopy_bytes = 0;                              // that went while the guest ran
    double bandwidth = 0;                               // bytes a second
};

// Until what the guest asked for last is done (a reset, its own end), and what back ends have of the machine has come back; from
// then on nothing of it changes until RunControl resumes it. `why`: the state it stands in. Ends early when *alive turns false.
// Its caller has the machine's claim.
struct Stood {
    bool ran = false; // and would still, had nobody stopped it
    machines::RunState before = machines::RunState::paused;
};
io::Task<Stood> quiesce(machines::RunControl& run, machines::RunState why, std::shared_ptr<bool> alive);
// It goes on as it was.
void go_on_from(machines::RunControl& run, const Stood& stood);

class Migrator {
public:
    explicit Migrator(machines::RunControl& run) : run_(run) {}
    ~Migrator();
    Migrator(const Migrator&) = delete;

    // Errors: one is under way; the URI is none; the machine is in no state to be saved.
    Result<void> save_to(std::string_view uri);
    // `starts`: the machine runs at the end if it ran when it was saved. What goes wrong later: on_load_failed.
    Result<void> load_from(std::string_view uri, bool starts);
    // Nothing can be cancelled once the other side has the machine.
    void cancel();

    Status status() const { return status_; }
    bool incoming() const { return incoming_; }
    const Progress& progress() const { return progress_; }
    const std::string& error() const { return error_; }
    u64 total_milliseconds() const;
    Figures figures() const;
    // While one is under way, too.
    Parameters parameters() const;
    void set_parameters(const Parameters& p);

    // Asked at the start: why another process may not have the same disks open while the machine is still here. Such a machine
    // moves by a file, and by nothing that answers.
    std::function<Result<void>()> can_share_disks = [] { return Result<void>(); };
    std::function<void(Status)> watch;
    std::function<void(u64 pass)> watch_pass;
    std::function<void(const Error&)> on_load_failed;

private:
    Result<void> begin(std::string_view uri, Channel::Direction direction);
    void set(Status s);
    Result<void> send();
    Result<void> send_passes(StateWriter& writer);
    Result<void> stop_machine();
    Result<void> await_loaded();
    Result<void> limited_write(std::span<const u8> bytes);
    io::Task<Result<void>> stop_and_save();
    io::Task<Result<void>> flush_disks();
    void save_ended(Result<void> result);
    void load_ended(Result<void> result);
    void load_failed(Error error);
    void go_on_loaded(bool ran);
    // Runs `work` on the job's thread, then `then` with its outcome on the loop's.
    void in_background(std::function<Result<void>()> work, std::function<void(Result<void>)> then);
    // Runs `f` on the loop's thread, if this is still there.
    void on_loop(std::function<void()> f);

    machines::RunControl& run_;
    Status status_ = Status::none;
    bool incoming_ = false, starts_ = false, quiescing_ = false;
    std::optional<Result<void>> end_; // came while the machine was being stopped
    std::optional<Stood> stood_;      // it stands still for this
    machines::RunControl::Claim claim_;
    std::unique_ptr<Channel> channel_;
    std::unique_ptr<Loading> loading_;
    Progress progress_;
    std::string error_, uri_;
    Result<void> shares_;                     // can_share_disks() at the start
    u64 began_ = 0, ended_ = 0, stopped_ = 0; // milliseconds of the host

    mutable std::mutex mutex_; // of what both threads use:
    std::condition_variable changed_;
    Parameters parameters_;
    Figures figures_;
    Saved saved_;
    Result<void> flushed_;                                        // what the disks said when the machine stood still
    bool cancelled_ = false, saved_ready_ = false, gone_ = false; // gone: the other side was told to go on
    u64 free_at_ = 0;      // when what was sent is paid for by the limit of bandwidth: microseconds of the host
    bool limited_ = false; // the job's thread
    std::thread thread_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

} // namespace mimic::migration
