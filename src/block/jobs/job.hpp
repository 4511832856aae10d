// Job: long work that users watch and steer (QEMU QMP reference manual, "Background jobs": JobStatus and JobVerb have the
// states and what may be asked in each). Jobs: all of them.
//
//   created -> running <-> paused -> waiting -> pending -> concluded -> null
//   running -> ready <-> standby -> waiting              (mirror: both sides are the same, until `complete`)
//   anything before -> aborting -> concluded             (an error, or cancelled)
//
// Jobs of one transaction finish together: each waits until all have done their work; if one fails, all are undone.
#pragma once
#include "block/driver.hpp"

namespace mimic::block {

enum class JobStatus : u8 {
    undefined,
    created,
    running,
    paused,
    ready,
    standby,
    waiting,
    pending,
    aborting,
    concluded,
    null
};
constexpr std::string_view job_status_names[] = {"undefined", "created", "running",  "paused",    "ready", "standby",
                                                 "waiting",   "pending", "aborting", "concluded", "null"};
enum class JobType : u8 {
    commit,
    stream,
    mirror,
    backup,
    create,
    amend,
    snapshot_load,
    snapshot_save,
    snapshot_delete
};
constexpr std::string_view job_type_names[] = {"commit", "stream",        "mirror",        "backup",         "create",
                                               "amend",  "snapshot-load", "snapshot-save", "snapshot-delete"};
enum class JobVerb : u8 { cancel, pause, resume, set_speed, complete, finalize, dismiss, change };
constexpr std::string_view job_verb_names[] = {"cancel",   "pause",    "resume",  "set-speed",
                                               "complete", "finalize", "dismiss", "change"};
// What an I/O error of a job leads to (BlockdevOnError).
enum class OnError : u8 { report, ignore, enospc, stop, automatic };
constexpr std::string_view on_error_names[] = {"report", "ignore", "enospc", "stop", "auto"};

struct JobOptions {
    std::string id;
    bool auto_finalize = true, auto_dismiss = true;
    u64 speed = 0; // bytes a second, 0: no limit
};

class Job;
class Jobs;
using JobPtr = std::shared_ptr<Job>;

// Jobs that finish together.
struct JobTransaction {
    std::vector<Job*> jobs;
    bool aborting = false;
};

class Job : public std::enable_shared_from_this<Job> {
public:
    virtual ~Job();
    Job(const Job&) = delete;

    const std::string& id() const { return id_; }
    JobType type() const { return type_; }
    JobStatus status() const { return status_; }
    u64 done() const { return done_; }
    u64 total() const { return total_; }
    u64 speed() const { return speed_; }
    bool auto_finalize() const { return auto_finalize_; }
    bool auto_dismiss() const { return auto_dismiss_; }
    bool paused() const { return status_ == JobStatus::paused || status_ == JobStatus::standby; }
    bool ready() const { return status_ == JobStatus::ready || status_ == JobStatus::standby; }
    bool asleep() const { return sleeping_; } // for its limit of speed, or for something to do
    std::string_view io_status() const { return io_status_; }
    const std::optional<Error>& error() const { return error_; }
    // Works on disks, and so has the events and commands of block jobs.
    virtual bool on_disks() const { return true; }

    // The verbs. Errors: the state does not allow it.
    Result<void> pause();
    Result<void> resume();
    // force: a mirror that is ready is given up, too, where it would end with its target as it is.
    Result<void> cancel(bool force);
    // Of a mirror, while it runs. Errors: not a mirror, it is over, or from write-blocking back.
    Result<void> set_copy_mode(bool write_blocking);
    Result<void> set_speed(u64 bytes_per_second);
    Result<void> complete();
    Task<Result<void>> finalize();
    Result<void> dismiss();
    // Joins a transaction, before it is started.
    void join(std::shared_ptr<JobTransaction> transaction);
    // Begins; from here on it runs by itself.
    void start();
    // Takes back one that was not started.
    Task<void> discard();

protected:
    Job(Jobs& jobs, JobType type, JobOptions options);

    // The work. Between its steps it calls pause_point() and looks at cancelled().
    virtual Task<Result<void>> run() = 0;
    // What may still fail when all of the transaction have done their work; then commit() or abort(), then clean().
    virtual Task<Result<void>> prepare() { co_return Result<void>(); }
    virtual Task<void> commit() { co_return; }
    virtual Task<void> abort() { co_return; }
    virtual Task<void> clean() { co_return; }
    virtual Result<void> do_complete();
    virtual Result<void> do_set_copy_mode(bool write_blocking);
    virtual void speed_changed() {}
    // A soft cancel of a job that is ready ends it well.
    virtual bool ends_when_cancelled() const { return false; }

    bool cancelled() const { return cancelled_; }
    bool forced() const { return forced_; }
    // Waits while somebody has paused the job. `quiet` is awaited first: nothing may be under way then.
    template <class F>
    Task<void> pause_point(F quiet) {
        if (pauses_ == 0 || cancelled_) co_return;
        co_await quiet();
        co_await stand();
    }
    Task<void> pause_point() { return stand(); }
    void set_total(u64 bytes) { total_ = bytes; }
    void progress(u64 bytes) { done_ += bytes; }
    void more(u64 bytes) { total_ += bytes; }
    // Sleeps for the limit of speed after `bytes` were moved, and lets others run.
    Task<void> throttle(u64 bytes);
    // Until wake(), or for that long.
    Task<void> wait(std::chrono::nanoseconds longest);
    void wake() { wake_.wake_all(); }
    void become_ready();
    // Tells of an I/O error and what follows: `report` is the job's end, `ignore` means to try again later, `stop` has paused
    // it. Never `enospc` or `automatic`.
    OnError handle(OnError policy, bool read, const Error& error);
    Jobs& jobs() const { return jobs_; }
    io::Loop& loop() const;

private:
    friend class Jobs;
    Result<void> allowed(JobVerb verb) const;
    io::Detached drive();
    Task<void> completed(Result<void> result);
    Task<void> transaction_ready();
    Task<void> finalize_all();
    Task<void> abort_all(Error why);
    Task<void> abort_self();
    void conclude();
    void set_status(JobStatus s);
    Task<void> stand();
    Json event_data() const;

    Jobs& jobs_;
    JobType type_;
    std::string id_;
    bool auto_finalize_, auto_dismiss_;
    u64 speed_;
    JobStatus status_ = JobStatus::undefined;
    u64 done_ = 0, total_ = 0;
    unsigned pauses_ = 0;
    bool user_paused_ = false, cancelled_ = false, forced_ = false, sleeping_ = false, started_ = false,
         working_ = false;
    std::string_view io_status_ = "ok";
    std::optional<Error> error_;
    std::shared_ptr<JobTransaction> transaction_;
    io::WaitList wake_;
    std::chrono::steady_clock::time_point slice_end_{};
    u64 slice_bytes_ = 0;
};

class Jobs {
public:
    explicit Jobs(Context& context) : context_(context), changed_(context.loop) {}
    // shut_down() was awaited.
    ~Jobs();
    Jobs(const Jobs&) = delete;

    Context& context() const { return context_; }
    io::Loop& loop() const { return context_.loop; }
    const std::vector<JobPtr>& all() const { return all_; }
    Job* find(std::string_view id) const;
    // Errors: the id is no name or taken.
    Result<void> check_id(std::string_view id) const;
    // Adds it; the caller starts it.
    void add(JobPtr job);
    // An event of QMP and its data.
    std::function<void(std::string_view, Json)> on_event = [](std::string_view, Json) {};
    // Cancels all and waits for their end.
    Task<void> shut_down();

private:
    friend class Job;
    Context& context_;
    std::vector<JobPtr> all_;
    unsigned timers_ = 0, driven_ = 0;
    io::WaitList changed_;
};

} // namespace mimic::block
