#include "block/jobs/job.hpp"
#include <algorithm>
#include <cctype>

namespace mimic::block {

namespace {

using namespace std::chrono_literals;
constexpr auto slice = 100ms; // of the limit of speed

// JobVerb in the manual: in which states each may be asked; bits by JobStatus.
constexpr u16 in(std::initializer_list<JobStatus> list) {
    u16 bits = 0;
    for (JobStatus s : list) bits = u16(bits | (1u << u8(s)));
    return bits;
}
using enum JobStatus;
constexpr u16 while_working = in({created, running, paused, ready, standby});
constexpr u16 verb_states[] = {
    u16(while_working | in({waiting, pending})), // cancel
    while_working,                               // pause
    while_working,                               // resume
    while_working,                               // set-speed
    in({ready}),                                 // complete
    in({pending}),                               // finalize
    in({concluded}),                             // dismiss
    while_working,                               // change
};

} // namespace

Job::Job(Jobs& jobs, JobType type, JobOptions options)
    : jobs_(jobs)
    , type_(type)
    , id_(std::move(options.id))
    , auto_finalize_(options.auto_finalize)
    , auto_dismiss_(options.auto_dismiss)
    , speed_(options.speed)
    , transaction_(std::make_shared<JobTransaction>())
    , wake_(jobs.loop()) {
    transaction_->jobs.push_back(this);
}
Job::~Job() = default;

io::Loop& Job::loop() const { return jobs_.loop(); }

void Job::set_status(JobStatus s) {
    status_ = s;
    Json data = Json::object();
    data.set("id", id_);
    data.set("status", job_status_names[u8(s)]);
    jobs_.on_event("JOB_STATUS_CHANGE", std::move(data));
}

Json Job::event_data() const {
    Json data = Json::object();
    data.set("type", job_type_names[u8(type_)]);
    data.set("device", id_);
    data.set("len", total_);
    data.set("offset", done_);
    data.set("speed", speed_);
    return data;
}

// ---- verbs ------------------------------------------------------------------------------------------------------------

Result<void> Job::allowed(JobVerb verb) const {
    if (verb_states[u8(verb)] >> u8(status_) & 1) return {};
    return Error::invalid_argument("Job '{}' in state '{}' cannot accept command verb '{}'", id_,
                                   job_status_names[u8(status_)], job_verb_names[u8(verb)]);
}

Result<void> Job::pause() {
    TRY(allowed(JobVerb::pause));
    if (user_paused_) return Error::invalid_argument("Job is already paused");
    user_paused_ = true;
    pauses_++;
    wake();
    return {};
}

Result<void> Job::resume() {
    TRY(allowed(JobVerb::resume));
    if (!user_paused_) return Error::invalid_argument("Can't resume a job that was not paused");
    user_paused_ = false;
    io_status_ = "ok";
    pauses_--;
    wake();
    return {};
}

Result<void> Job::cancel(bool force) {
    TRY(allowed(JobVerb::cancel));
    bool soft = !force && ready() && ends_when_cancelled();
    if (!soft) forced_ = true;
    cancelled_ = true;
    if (user_paused_) {
        user_paused_ = false;
        pauses_--;
    }
    if (status_ == waiting || status_ == pending) {
        auto stop = [](JobPtr self) -> Task<Result<void>> {
            Error why = Error::cancelled("job '{}' was cancelled", self->id_);
            co_await self->abort_all(why);
            co_return Result<void>();
        };
        io::spawn(stop(shared_from_this()), [](const Error&) {});
    }
    wake();
    return {};
}

Result<void> Job::set_speed(u64 bytes_per_second) {
    TRY(allowed(JobVerb::set_speed));
    if (bytes_per_second > u64(INT64_MAX))
        return Error::invalid_argument("Parameter 'speed' expects a non-negative value");
    speed_ = bytes_per_second;
    slice_bytes_ = 0;
    speed_changed();
    wake();
    return {};
}

Result<void> Job::complete() {
    TRY(allowed(JobVerb::complete));
    if (cancelled_ || pauses_) return Error::invalid_argument("The active block job '{}' cannot be completed", id_);
    TRY(do_complete());
    wake();
    return {};
}
Result<void> Job::do_complete() {
    return Error::invalid_argument("The active block job '{}' cannot be completed", id_);
}

Result<void> Job::set_copy_mode(bool write_blocking) {
    TRY(allowed(JobVerb::change));
    return do_set_copy_mode(write_blocking);
}
Result<void> Job::do_set_copy_mode(bool) {
    return Error::invalid_argument("Job '{}' is of type '{}', which has no copy mode", id_, job_type_names[u8(type_)]);
}

Task<Result<void>> Job::finalize() {
    CO_CHECK(allowed(JobVerb::finalize));
    JobPtr self = shared_from_this();
    co_await finalize_all();
    co_return Result<void>();
}

Result<void> Job::dismiss() {
    TRY(allowed(JobVerb::dismiss));
    JobPtr self = shared_from_this();
    set_status(null);
    std::erase(jobs_.all_, self);
    jobs_.changed_.wake_all();
    return {};
}

// ---- running ----------------------------------------------------------------------------------------------------------

void Job::join(std::shared_ptr<JobTransaction> transaction) {
    transaction_ = std::move(transaction);
    transaction_->jobs.push_back(this);
}

void Job::start() {
    started_ = true;
    set_status(running);
    drive();
}

Task<void> Job::discard() {
    JobPtr self = shared_from_this();
    auto_dismiss_ = true;
    Error why = Error::cancelled("job '{}' was not started", id_);
    co_await abort_all(why);
}

io::Detached Job::drive() {
    JobPtr self = shared_from_this();
    jobs_.driven_++;
    working_ = true;
    // After what started it: its answer goes out before the job's first deed.
    co_await loop().yield();
    Result<void> result = co_await run();
    working_ = false;
    if (result && cancelled_ && !(ready() && !forced_)) result = Error::cancelled("job '{}' was cancelled", id_);
    co_await completed(std::move(result));
    jobs_.driven_--;
    jobs_.changed_.wake_all();
}

Task<void> Job::completed(Result<void> result) {
    if (!result && !error_) error_ = result.error();
    if (error_ || transaction_->aborting) {
        Error why = Error::cancelled("job '{}' was cancelled", id_);
        if (error_) why = *error_;
        co_await abort_all(why);
        co_return;
    }
    set_status(waiting);
    bool all = std::ranges::all_of(transaction_->jobs, [](Job* j) { return j->status_ == waiting; });
    if (all) co_await transaction_ready();
}

Task<void> Job::transaction_ready() {
    bool by_hand = false;
    auto transaction = transaction_;
    for (Job* j : transaction->jobs) {
        j->set_status(pending);
        if (j->auto_finalize_) continue;
        by_hand = true;
        Json data = Json::object();
        data.set("type", job_type_names[u8(j->type_)]);
        data.set("id", j->id_);
        if (j->on_disks()) jobs_.on_event("BLOCK_JOB_PENDING", std::move(data));
    }
    if (!by_hand) co_await finalize_all();
}

Task<void> Job::finalize_all() {
    auto transaction = transaction_;
    std::vector<JobPtr> list;
    for (Job* j : transaction->jobs) list.push_back(j->shared_from_this());
    for (auto& j : list) {
        Result<void> r = co_await j->prepare();
        if (r) continue;
        j->error_ = r.error();
        co_await j->abort_all(*j->error_);
        co_return;
    }
    for (auto& j : list) co_await j->commit();
    for (auto& j : list) {
        co_await j->clean();
        j->conclude();
    }
}

Task<void> Job::abort_all(Error why) {
    JobPtr self = shared_from_this();
    auto transaction = transaction_;
    if (!error_) error_ = std::move(why);
    if (transaction->aborting) {
        if (!working_) co_await abort_self();
        co_return;
    }
    transaction->aborting = true;
    std::vector<JobPtr> list;
    for (Job* j : transaction->jobs) list.push_back(j->shared_from_this());
    for (auto& j : list) {
        if (j.get() == this) continue;
        j->cancelled_ = j->forced_ = true;
        j->wake();
        // Those that still work come here by themselves.
        if (!j->working_ && j->started_) {
            j->error_ = Error::cancelled("job '{}' was cancelled", j->id_);
            co_await j->abort_self();
        }
    }
    co_await abort_self();
}

Task<void> Job::abort_self() {
    if (status_ == aborting || status_ == concluded || status_ == null) co_return;
    set_status(aborting);
    co_await abort();
    co_await clean();
    conclude();
}

void Job::conclude() {
    bool was_cancelled = error_ && error_->kind() == ErrorKind::cancelled;
    if (on_disks()) {
        Json data = event_data();
        if (error_ && !was_cancelled) data.set("error", error_->message());
        jobs_.on_event(was_cancelled ? "BLOCK_JOB_CANCELLED" : "BLOCK_JOB_COMPLETED", std::move(data));
    }
    set_status(concluded);
    if (auto_dismiss_) dismiss().ignore(); // it is allowed in this state
    jobs_.changed_.wake_all();
}

// ---- for the work -----------------------------------------------------------------------------------------------------

Task<void> Job::stand() {
    while (pauses_ && !cancelled_) {
        if (!paused()) set_status(status_ == JobStatus::ready ? standby : JobStatus::paused);
        co_await wake_.wait();
    }
    if (status_ == JobStatus::paused) set_status(running);
    if (status_ == standby) set_status(JobStatus::ready);
}

Task<void> Job::wait(std::chrono::nanoseconds longest) {
    struct State {
        bool over = false;
    };
    auto state = std::make_shared<State>();
    auto timer = [](JobPtr self, std::shared_ptr<State> s, std::chrono::nanoseconds d) -> Task<Result<void>> {
        Jobs& jobs = self->jobs_;
        jobs.timers_++;
        co_await jobs.loop().sleep(d);
        if (!s->over) self->wake();
        jobs.timers_--;
        jobs.changed_.wake_all();
        co_return Result<void>();
    };
    sleeping_ = true;
    io::spawn(timer(shared_from_this(), state, longest), [](const Error&) {});
    co_await wake_.wait();
    state->over = true;
    sleeping_ = false;
}

Task<void> Job::throttle(u64 bytes) {
    auto now = std::chrono::steady_clock::now();
    if (!speed_) {
        co_await loop().yield();
        co_return;
    }
    if (now >= slice_end_) {
        slice_end_ = now + slice;
        slice_bytes_ = 0;
    }
    slice_bytes_ += bytes;
    // A step may be worth many slices.
    auto due = [this] {
        double seconds = double(slice_bytes_) / double(speed_);
        return slice_end_ - slice +
               std::chrono::duration_cast<std::chrono::nanoseconds>(
                   std::chrono::duration<double>(std::min(seconds, 1e6)));
    };
    while (speed_ && !cancelled_ && !pauses_ && (now = std::chrono::steady_clock::now()) < due()) {
        u64 before = speed_;
        auto rest = std::min<std::chrono::nanoseconds>(due() - now, slice);
        co_await wait(rest);
        if (speed_ != before) break;
    }
}

void Job::become_ready() {
    set_status(JobStatus::ready);
    jobs_.on_event("BLOCK_JOB_READY", event_data());
}

OnError Job::handle(OnError policy, bool read, const Error& error) {
    bool full = error.kind() == ErrorKind::no_space;
    if (policy == OnError::enospc || policy == OnError::automatic)
        policy = full && policy == OnError::enospc ? OnError::stop : OnError::report;
    Json data = Json::object();
    data.set("device", id_);
    data.set("operation", read ? "read" : "write");
    data.set("action", on_error_names[u8(policy)]);
    jobs_.on_event("BLOCK_JOB_ERROR", std::move(data));
    if (policy == OnError::stop) {
        if (!user_paused_) {
            user_paused_ = true;
            pauses_++;
        }
        io_status_ = full ? "nospace" : "failed";
    }
    return policy;
}

// ---- all --------------------------------------------------------------------------------------------------------------

Jobs::~Jobs() { MIMIC_CHECK(driven_ == 0, "jobs end before their list"); }

Job* Jobs::find(std::string_view id) const {
    for (auto& j : all_)
        if (j->id() == id) return j.get();
    return nullptr;
}

Result<void> Jobs::check_id(std::string_view id) const {
    auto good = [](char c) { return std::isalnum(u8(c)) || c == '-' || c == '.' || c == '_'; };
    if (id.empty() || !std::isalpha(u8(id[0])) || !std::ranges::all_of(id, good))
        return Error::invalid_argument("Invalid job ID '{}'", id);
    if (find(id)) return Error::exists("Job ID '{}' already in use", id);
    return {};
}

void Jobs::add(JobPtr job) {
    all_.push_back(job);
    job->set_status(created);
}

Task<void> Jobs::shut_down() {
    std::vector<JobPtr> list = all_;
    for (auto& j : list) {
        j->auto_dismiss_ = true;
        if (j->status_ == concluded)
            j->dismiss().ignore(); // it is over
        else
            j->cancel(true).ignore(); // or it ends by itself
    }
    while (driven_ || timers_ || !all_.empty()) co_await changed_.wait();
}

} // namespace mimic::block
