#include "migration/migrator.hpp"
#include "base/io/scope.hpp"
#include <chrono>

namespace mimic::migration {

using machines::RunState;

namespace {

u64 milliseconds() {
    using namespace std::chrono;
    return u64(duration_cast<std::chrono::milliseconds>(steady_clock::now().time_since_epoch()).count());
}

} // namespace

std::string_view to_string(Status status) {
    constexpr std::string_view names[] = {"none", "setup", "active", "cancelling", "cancelled", "completed", "failed"};
    return names[u8(status)];
}

Migrator::~Migrator() {
    *alive_ = false;
    if (channel_) channel_->cancel();
    if (thread_.joinable()) thread_.join();
}

void Migrator::set(Status s) {
    status_ = s;
    if (!under_way(s)) ended_ = milliseconds();
    if (watch) watch(s);
}

u64 Migrator::total_milliseconds() const {
    if (status_ == Status::none) return 0;
    return (under_way(status_) ? milliseconds() : ended_) - began_;
}

Result<void> Migrator::begin(std::string_view uri, Channel::Direction direction) {
    if (under_way(status_)) return Error::busy("a migration is under way, expected its end first");
    channel_ = TRY(Channel::make(uri, direction));
    if (thread_.joinable()) thread_.join();
    uri_ = uri;
    incoming_ = direction == Channel::Direction::in;
    error_.clear();
    progress_.bytes = progress_.pages_total = progress_.pages_done = progress_.pages_sent = progress_.pages_zero = 0;
    began_ = milliseconds();
    downtime_ = 0;
    return {};
}

void Migrator::in_background(std::function<Result<void>()> work, std::function<void(Result<void>)> then) {
    devices::Machine& machine = run_.board().machine();
    thread_ = std::thread([&machine, alive = alive_, work = std::move(work), then = std::move(then)]() mutable {
        auto result = std::make_shared<Result<void>>(work());
        machine.post([alive, then = std::move(then), result] {
            if (*alive) then(std::move(*result));
        });
    });
}

// ---- out --------------------------------------------------------------------------------------------------------------

Result<void> Migrator::save_to(std::string_view uri) {
    RunState now = run_.state();
    if (now == RunState::inmigrate) return Error::busy("this machine waits for an incoming migration");
    TRY(begin(uri, Channel::Direction::out));
    set(Status::setup);
    was_running_ = run_.running();
    before_ = was_running_ ? RunState::paused : now;
    stopped_ = milliseconds();
    run_.stop();
    io::spawn(quiesce(), [](const Error&) {});
    return {};
}

// Until what the guest asked for last is done (a reset, its own end), and what back ends have of the machine has come back; from
// then on nothing of it changes.
io::Task<Result<void>> Migrator::quiesce() {
    auto alive = alive_;
    devices::Machine& machine = run_.board().machine();
    co_await machine.loop()->yield();
    if (!*alive) co_return Result<void>();
    run_.stop();
    run_.set_state(RunState::finish_migrate);
    machine.freeze();
    while (*alive && machine.in_flight()) co_await machine.loop()->sleep(std::chrono::milliseconds(1));
    if (*alive) save();
    co_return Result<void>();
}

void Migrator::save() {
    if (status_ == Status::cancelling) return save_ended(Error::cancelled("it was cancelled"));
    saved_ = save_state(run_.board(), was_running_);
    set(Status::active);
    in_background(
        [this]() -> Result<void> {
            TRY(channel_->open());
            TRY(write_state(
                saved_, run_.board(), [this](std::span<const u8> b) { return channel_->write(b); }, progress_));
            return channel_->close();
        },
        [this](Result<void> result) { save_ended(result); });
}

void Migrator::save_ended(const Result<void>& result) {
    saved_ = {};
    if (result) {
        downtime_ = milliseconds() - stopped_;
        run_.set_state(RunState::postmigrate);
        return set(Status::completed);
    }
    // It goes on here, as if nothing had been.
    bool asked = status_ == Status::cancelling;
    if (!asked) error_ = fmt::format("{}: {}", uri_, result.error().message());
    run_.set_state(before_);
    set(asked ? Status::cancelled : Status::failed);
    run_.board().machine().thaw();
    if (was_running_) run_.resume().ignore();
}

void Migrator::cancel() {
    if (!under_way(status_) || incoming_) return;
    set(Status::cancelling);
    channel_->cancel();
}

// ---- in ---------------------------------------------------------------------------------------------------------------

Result<void> Migrator::load_from(std::string_view uri, bool starts) {
    TRY(begin(uri, Channel::Direction::in));
    starts_ = starts;
    run_.set_state(RunState::inmigrate);
    run_.board().machine().freeze();
    set(Status::setup);
    loading_ = std::make_unique<Loading>(run_.board());
    in_background(
        [this]() -> Result<void> {
            TRY(channel_->open());
            TRY(loading_->read([this](std::span<u8> out) { return channel_->read(out); }, progress_));
            channel_->close().ignore(); // all is there, and checked
            return {};
        },
        [this](Result<void> result) { load_ended(std::move(result)); });
    set(Status::active);
    return {};
}

void Migrator::load_ended(Result<void> result) {
    bool ran = false;
    if (result) {
        Result<bool> finished = loading_->finish();
        if (finished)
            ran = *finished;
        else
            result = std::move(finished).error();
    }
    loading_.reset();
    if (!result) {
        Error e = std::move(result).error().in(uri_);
        error_ = e.message();
        set(Status::failed);
        if (on_load_failed) on_load_failed(e);
        return;
    }
    run_.set_state(starts_ && !ran ? RunState::paused : RunState::prelaunch);
    set(Status::completed);
    if (starts_ && ran) run_.resume().ignore();
}

} // namespace mimic::migration
