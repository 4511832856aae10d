// Migrator: saves a machine to where a URI leads, and loads one from there. A machine that is saved stands still from the start
// of it to its end (stop and copy); RAM is read and written on a thread of the job's own, all else on the loop's.
//
//   Migrator m(run, drives);
//   m.watch = [&](Status s) { ... };          // MIGRATION events
//   TRY(m.save_to("file:machine.state"));     // returns at once; the machine stays stopped at the end, state postmigrate
//   TRY(m.load_from("file:machine.state", starts));
//
// All of it is called on the loop's thread. Source: QEMU QMP reference, "Migration".
#pragma once
#include "base/io/task.hpp"
#include "machines/run_control.hpp"
#include "migration/channel.hpp"
#include "migration/state.hpp"
#include <thread>

namespace mimic::migration {

// Those of the reference's MigrationStatus that can be met here.
enum class Status : u8 { none, setup, active, cancelling, cancelled, completed, failed };
std::string_view to_string(Status status);
constexpr bool under_way(Status s) { return s == Status::setup || s == Status::active || s == Status::cancelling; }

class Migrator {
public:
    explicit Migrator(machines::RunControl& run) : run_(run) {}
    ~Migrator();
    Migrator(const Migrator&) = delete;

    // Errors: one is under way; the URI is none; the machine is in no state to be saved.
    Result<void> save_to(std::string_view uri);
    // `starts`: the machine runs at the end if it ran when it was saved. What goes wrong later: on_load_failed.
    Result<void> load_from(std::string_view uri, bool starts);
    void cancel();

    Status status() const { return status_; }
    bool incoming() const { return incoming_; }
    const Progress& progress() const { return progress_; }
    const std::string& error() const { return error_; }
    u64 total_milliseconds() const;
    // That the machine stood still.
    u64 downtime_milliseconds() const { return downtime_; }

    std::function<void(Status)> watch;
    std::function<void(const Error&)> on_load_failed;

private:
    Result<void> begin(std::string_view uri, Channel::Direction direction);
    void set(Status s);
    io::Task<Result<void>> quiesce();
    void save();
    void save_ended(const Result<void>& result);
    void load_ended(Result<void> result);
    // Runs `work` on the job's thread, then `then` with its outcome on the loop's.
    void in_background(std::function<Result<void>()> work, std::function<void(Result<void>)> then);

    machines::RunControl& run_;
    Status status_ = Status::none;
    bool incoming_ = false, was_running_ = false, starts_ = false;
    machines::RunState before_ = machines::RunState::paused;
    std::unique_ptr<Channel> channel_;
    Saved saved_;
    std::unique_ptr<Loading> loading_;
    Progress progress_;
    std::string error_, uri_;
    u64 began_ = 0, ended_ = 0, stopped_ = 0, downtime_ = 0; // milliseconds of the host
    std::thread thread_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

} // namespace mimic::migration
