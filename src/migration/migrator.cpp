#include "migration/migrator.hpp"
#include "base/io/scope.hpp"
#include "block/graph.hpp"
#include "migration/writer.hpp"
#include <algorithm>
#include <chrono>

namespace mimic::migration {

using machines::RunState;

namespace {

u64 microseconds() {
    using namespace std::chrono;
    return u64(duration_cast<std::chrono::microseconds>(steady_clock::now().time_since_epoch()).count());
}
u64 milliseconds() { return microseconds() / 1000; }

} // namespace

std::string_view to_string(Status status) {
    constexpr std::string_view names[] = {"none",       "setup",     "active",    "device",
                                          "cancelling", "cancelled", "completed", "failed"};
    return names[u8(status)];
}

io::Task<Stood> quiesce(machines::RunControl& run, RunState why, std::shared_ptr<bool> alive) {
    devices::Machine& machine = run.board().machine();
    io::Loop& loop = *machine.loop();
    Stood stood;
    stood.ran = run.running();
    run.stop();
    run.forget_stop();
    co_await loop.yield();
    if (!*alive) co_return stood;
    // Meanwhile the guest may have come to its end, or somebody may have let it go on.
    stood.ran = run.running() || (stood.ran && (run.state() == RunState::paused || run.state() == RunState::prelaunch));
    if (run.running()) {
        run.stop();
        run.forget_stop();
    }
    stood.before = stood.ran ? RunState::paused : run.state();
    run.set_state(why);
    machine.freeze();
    while (*alive && machine.in_flight()) co_await loop.sleep(std::chrono::milliseconds(1));
    co_return stood;
}

void go_on_from(machines::RunControl& run, const Stood& stood) {
    const bool stop_asked = run.stop_asked();
    run.set_state(stood.before);
    run.board().machine().thaw();
    if (stood.ran && !stop_asked) run.resume().ignore();
}

Migrator::~Migrator() {
    *alive_ = false;
    {
        std::lock_guard lock(mutex_);
        cancelled_ = true;
        changed_.notify_all();
    }
    if (channel_) channel_->cancel();
    if (loading_) loading_->cancel();
    if (thread_.joinable()) thread_.join();
}

void Migrator::set(Status s) {
    status_ = s;
    if (!under_way(s)) {
        ended_ = milliseconds();
        claim_.end();
    }
    if (watch) watch(s);
}

u64 Migrator::total_milliseconds() const {
    if (status_ == Status::none) return 0;
    return (under_way(status_) ? milliseconds() : ended_) - began_;
}

Figures Migrator::figures() const {
    std::lock_guard lock(mutex_);
    return figures_;
}
Parameters Migrator::parameters() const {
    std::lock_guard lock(mutex_);
    return parameters_;
}
void Migrator::set_parameters(const Parameters& p) {
    std::lock_guard lock(mutex_);
    parameters_ = p;
    free_at_ = 0;
    changed_.notify_all();
}

Result<void> Migrator::begin(std::string_view uri, Channel::Direction direction) {
    machines::RunControl::Claim claim = TRY(run_.claim(machines::Keeper::migration));
    channel_ = TRY(Channel::make(uri, direction));
    claim_ = std::move(claim);
    if (thread_.joinable()) thread_.join();
    uri_ = uri;
    incoming_ = direction == Channel::Direction::in;
    error_.clear();
    progress_.bytes = progress_.pages_total = progress_.pages_left = progress_.pages_sent = progress_.pages_zero = 0;
    progress_.passes = 0;
    figures_ = {};
    cancelled_ = saved_ready_ = gone_ = limited_ = false;
    stood_.reset();
    free_at_ = 0;
    began_ = milliseconds();
    return {};
}

void Migrator::on_loop(std::function<void()> f) {
    run_.board().machine().post([alive = alive_, f = std::move(f)] {
        if (*alive) f();
    });
}

void Migrator::in_background(std::function<Result<void>()> work, std::function<void(Result<void>)> then) {
    if (thread_.joinable()) thread_.join();
    thread_ = std::thread([this, work = std::move(work), then = std::move(then)]() mutable {
        auto result = std::make_shared<Result<void>>(work());
        on_loop([then = std::move(then), result] { then(std::move(*result)); });
    });
}

// ---- out --------------------------------------------------------------------------------------------------------------

Result<void> Migrator::save_to(std::string_view uri) {
    if (run_.state() == RunState::inmigrate) return Error::busy("this machine waits for an incoming migration");
    TRY(begin(uri, Channel::Direction::out));
    shares_ = can_share_disks();
    flushed_ = {};
    set(Status::setup);
    in_background([this] { return send(); }, [this](Result<void> result) { save_ended(std::move(result)); });
    return {};
}

// The job's thread.
Result<void> Migrator::send() {
    TRY(channel_->open());
    if (channel_->two_way()) TRY(std::move(shares_));
    {
        std::lock_guard lock(mutex_);
        figures_.setup = milliseconds() - began_;
    }
    on_loop([this] {
        if (status_ == Status::setup) set(Status::active);
    });
    StateWriter writer(
        run_.board(), [this](std::span<const u8> b) { return limited_write(b); }, progress_);
    TRY(writer.begin());
    TRY(send_passes(writer));
    TRY(stop_machine());
    TRY(writer.pass());
    bool answer = channel_->two_way();
    TRY(writer.end(saved_, answer));
    if (!answer) return channel_->close();
    TRY(await_loaded());
    channel_->close().ignore(); // the machine is the other side's
    return {};
}

Result<void> Migrator::send_passes(StateWriter& writer) {
    devices::Machine& machine = run_.board().machine();
    limited_ = true;
    while (machine.running()) {
        u64 start = milliseconds(), before = progress_.bytes;
        TRY(writer.pass());
        u64 took = std::max<u64>(milliseconds() - start, 1), left = writer.left();
        on_loop([this, pass = progress_.passes.load()] {
            if (watch_pass) watch_pass(pass);
        });
        std::lock_guard lock(mutex_);
        u64 sent = progress_.bytes - before;
        // A pass that had little to send says little of how fast it goes.
        if (sent > (1 << 20) || figures_.bandwidth == 0)
            figures_.bandwidth = double(std::max<u64>(sent, 4096)) * 1000.0 / double(took);
        figures_.dirty_rate = left / memory::RamBlock::page_size * 1000 / took;
        figures_.expected_downtime = u64(double(left) * 1000.0 / figures_.bandwidth);
        figures_.precopy_bytes = progress_.bytes;
        if (figures_.expected_downtime <= parameters_.downtime_limit) break;
    }
    limited_ = false;
    return {};
}

Result<void> Migrator::limited_write(std::span<const u8> bytes) {
    if (limited_) {
        std::unique_lock lock(mutex_);
        for (u64 now; !cancelled_ && parameters_.max_bandwidth && (now = microseconds()) < free_at_;)
            changed_.wait_for(lock, std::chrono::microseconds(free_at_ - now));
        if (cancelled_) return Error::cancelled("it was cancelled");
        if (parameters_.max_bandwidth)
            free_at_ = std::max(free_at_, microseconds()) +
                       u64(double(bytes.size()) * 1e6 / double(parameters_.max_bandwidth));
    }
    return channel_->write(bytes);
}

Result<void> Migrator::stop_machine() {
    on_loop([this] { io::spawn(stop_and_save(), [](const Error&) {}); });
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return cancelled_ || saved_ready_; });
    if (cancelled_) return Error::cancelled("it was cancelled");
    return std::move(flushed_);
}

// What the guest was told is written is so on the other side's disks, too.
io::Task<Result<void>> Migrator::flush_disks() {
    auto drives = run_.board().machine().drives; // they may come and go
    for (const auto& [name, drive] : drives) {
        if (!drive.node || drive.read_only) continue;
        Result<void> flushed = co_await drive.node->flush();
        if (!flushed) co_return std::move(flushed).error().in(fmt::format("disk '{}': write back", name));
    }
    co_return Result<void>();
}

io::Task<Result<void>> Migrator::stop_and_save() {
    auto alive = alive_;
    if (status_ == Status::cancelling) co_return Result<void>();
    set(Status::device);
    stopped_ = milliseconds();
    quiescing_ = true;
    Stood stood = co_await quiesce(run_, RunState::finish_migrate, alive);
    if (!*alive) co_return Result<void>();
    Result<void> flushed = co_await flush_disks();
    if (!*alive) co_return Result<void>();
    stood_ = stood;
    quiescing_ = false;
    if (end_) {
        save_ended(*std::exchange(end_, std::nullopt));
        co_return Result<void>();
    }
    Saved saved = save_state(run_.board(), stood.ran);
    std::lock_guard lock(mutex_);
    flushed_ = std::move(flushed);
    saved_ = std::move(saved);
    saved_ready_ = true;
    changed_.notify_all();
    co_return Result<void>();
}

// From `go_on` on the machine is the other side's, and is not cancelled.
Result<void> Migrator::await_loaded() {
    u8 word[sizeof loaded] = {};
    TRY(channel_->read(word).in("the other side did not say that it has loaded the machine"));
    if (!std::equal(std::begin(word), std::end(word), std::begin(loaded)))
        return Error::corrupt("the other side answered something else than that it has loaded the machine");
    {
        std::lock_guard lock(mutex_);
        if (cancelled_) return Error::cancelled("it was cancelled");
        gone_ = true;
    }
    return channel_->write(go_on).in("it may run on the other side, and stays paused here");
}

void Migrator::save_ended(Result<void> result) {
    if (quiescing_) {
        end_ = std::move(result);
        return;
    }
    saved_ = {};
    if (result) {
        {
            std::lock_guard lock(mutex_);
            figures_.downtime = milliseconds() - stopped_;
        }
        run_.set_state(RunState::postmigrate);
        return set(Status::completed);
    }
    channel_.reset(); // who reads there must not take what came for all
    // It goes on here, as if nothing had been.
    bool asked = status_ == Status::cancelling;
    if (!asked) error_ = fmt::format("{}: {}", uri_, result.error().message());
    if (stood_) {
        std::lock_guard lock(mutex_);
        stood_->ran &= !gone_; // both must never run
    }
    if (stood_) run_.set_state(stood_->before);
    set(asked ? Status::cancelled : Status::failed);
    if (stood_) go_on_from(run_, *stood_);
}

void Migrator::cancel() {
    if (!under_way(status_) || incoming_) return;
    {
        std::lock_guard lock(mutex_);
        if (gone_) return;
        cancelled_ = true;
        changed_.notify_all();
    }
    set(Status::cancelling);
    channel_->cancel();
}

// ---- in ---------------------------------------------------------------------------------------------------------------

Result<void> Migrator::load_from(std::string_view uri, bool starts) {
    TRY(begin(uri, Channel::Direction::in));
    starts_ = starts;
    run_.set_state(RunState::inmigrate);
    run_.forget_stop();
    run_.board().machine().freeze();
    set(Status::setup);
    loading_ = std::make_unique<Loading>(run_.board());
    in_background(
        [this]() -> Result<void> {
            TRY(channel_->open());
            TRY(loading_->read([this](std::span<u8> out) { return channel_->read(out); }, progress_));
            if (!loading_->answer() || !channel_->two_way()) channel_->close().ignore(); // all is there, and checked
            return {};
        },
        [this](Result<void> result) { load_ended(std::move(result)); });
    set(Status::active);
    return {};
}

void Migrator::load_failed(Error e) {
    channel_.reset(); // whoever sent it hears of it, and goes on
    Error told = std::move(e).in(uri_);
    error_ = told.message();
    set(Status::failed);
    if (on_load_failed) on_load_failed(told);
}

void Migrator::load_ended(Result<void> result) {
    bool answer = loading_->answer() && channel_->two_way(), ran = false;
    if (result) {
        Result<bool> finished = loading_->finish();
        if (finished)
            ran = *finished;
        else
            result = std::move(finished).error();
    }
    loading_.reset();
    if (!result) return load_failed(std::move(result).error());
    if (!answer) return go_on_loaded(ran);
    in_background(
        [this]() -> Result<void> {
            u8 word[sizeof go_on] = {};
            TRY(channel_->write(loaded));
            TRY(channel_->read(word).in("the other side did not say that the machine is to go on here"));
            if (!std::equal(std::begin(word), std::end(word), std::begin(go_on)))
                return Error::corrupt("the other side did not say that the machine is to go on here");
            return {};
        },
        [this, ran](Result<void> told) { told ? go_on_loaded(ran) : load_failed(std::move(told).error()); });
}

void Migrator::go_on_loaded(bool ran) {
    const bool stopped = run_.stop_asked();
    run_.set_state(starts_ && (!ran || stopped) ? RunState::paused : RunState::prelaunch);
    set(Status::completed);
    if (starts_ && ran && !stopped) run_.resume().ignore();
}

} // namespace mimic::migration
