#include "machines/run_control.hpp"
#include "base/check.hpp"

namespace mimic::machines {

using devices::Request;

std::string_view to_string(RunState state) {
    constexpr std::string_view names[] = {
        "prelaunch",      "running",   "paused",         "debug",       "io-error", "shutdown",  "guest-panicked",
        "internal-error", "inmigrate", "finish-migrate", "postmigrate", "save-vm",  "restore-vm"};
    return names[u8(state)];
}

namespace {

// States in which the guest is at its end: what it would do next makes no sense.
bool is_busy(RunState s) {
    return s == RunState::inmigrate || s == RunState::finish_migrate || s == RunState::save_vm ||
           s == RunState::restore_vm;
}
bool needs_reset(RunState s) {
    return s == RunState::shutdown || s == RunState::guest_panicked || s == RunState::internal_error;
}

} // namespace

RunControl::RunControl(Board& board, const Actions& a) : actions(a), board_(board) {
    board_.machine().on_request = [this](const Request& r) { request(r); };
    board_.on_pause = [this, alive = alive_](cpu::Vcpu& vcpu, cpu::Pause pause) {
        board_.machine().post([this, alive, &vcpu, pause] {
            if (*alive) paused(vcpu, pause);
        });
    };
}

RunControl::~RunControl() {
    board_.stop();
    *alive_ = false;
    board_.machine().on_request = nullptr;
    board_.on_pause = nullptr;
}

u32 RunControl::watch(std::function<void(const RunEvent&)> f) {
    watchers_[next_watcher_] = std::move(f);
    return next_watcher_++;
}

void RunControl::tell(const RunEvent& e) {
    for (const auto& [number, f] : watchers_) f(e);
}

Result<RunControl::Claim> RunControl::claim(Keeper who) {
    switch (keeper_) {
    case Keeper::nobody: break;
    case Keeper::migration: return Error::busy("There's a migration process in progress");
    case Keeper::snapshot: return Error::busy("a snapshot of this machine is under way, expected its end first");
    case Keeper::dump: return Error::busy("There is a dump in process, please wait.");
    }
    if (state_ == RunState::inmigrate && who != Keeper::migration)
        return Error::busy("{}", who == Keeper::dump ? "Dump not allowed during incoming migration."
                                                     : "this machine waits for an incoming migration");
    keeper_ = who;
    return Claim(*this);
}

Result<void> RunControl::resume() {
    if (leaving_) return Error::busy("the program is about to leave");
    if (needs_reset(state_))
        return Error::busy("the machine is in state '{}', expected a reset first", to_string(state_));
    if (is_busy(state_)) return Error::busy("the machine is in state '{}', expected its end first", to_string(state_));
    if (running()) return {};
    stop_asked_ = false;
    state_ = RunState::running;
    tell({RunEvent::Kind::resume, false, {}});
    board_.start();
    return {};
}

void RunControl::resume_some(const std::function<bool(cpu::Vcpu&)>& which) {
    if (needs_reset(state_) || is_busy(state_)) return;
    state_ = RunState::running;
    quiet_ = true;
    board_.start(which);
}

void RunControl::stop(RunState why) {
    board_.stop();
    for (const auto& c : board_.machine().chardevs()) c->flush(); // who has stopped it has all that the guest wrote
    stop_asked_ = true;
    if (!running()) return;
    state_ = why;
    if (!std::exchange(quiet_, false)) tell({RunEvent::Kind::stop, false, {}});
}

void RunControl::set_state(RunState why) {
    MIMIC_CHECK(!running(), "a machine that runs is said to be stopped");
    state_ = why;
    if (is_busy(why)) return;
    for (Request& r : std::exchange(deferred_, {}))
        board_.machine().post([this, alive = alive_, r = std::move(r)] {
            if (*alive) request(r);
        });
}

void RunControl::paused(cpu::Vcpu& vcpu, cpu::Pause pause) {
    if (pause == cpu::Pause::internal) {
        say(fmt::format("processor {} stopped by an internal error", vcpu.index()));
        stop(RunState::internal_error);
        if (actions.shutdown == Actions::Shutdown::poweroff) quit("host-error", 70);
        return;
    }
    if (!on_pause) return;
    stop(RunState::debug);
    on_pause(vcpu, pause);
}

void RunControl::request(const Request& r) {
    if (leaving_) return;
    if (is_busy(state_)) return deferred_.push_back(r);
    switch (r.kind) {
    case Request::Kind::reset:
        if (actions.reboot == Actions::Reboot::shutdown) return shut_down(r);
        return reset(r);
    case Request::Kind::stop:
        if (running()) say(fmt::format("stopped: {}", r.cause)); // each request that failed asks for it
        return stop(r.cause == "io-error" ? RunState::io_error : RunState::paused);
    default: return shut_down(r);
    }
}

void RunControl::reset(const Request& r) {
    const std::string_view cause = r.cause;
    board_.stop();
    board_.machine().settle(); // what a disk reads for the guest of before must not reach the one that follows
    if (leaving_) return;      // others had their turn meanwhile
    if (is_busy(state_)) return deferred_.push_back(r);
    board_.stop();
    const bool resume = running();
    if (auto done = board_.reset(devices::ResetKind::cold); !done) {
        say(done.error().message());
        return quit("host-error", 1);
    }
    tell({RunEvent::Kind::reset, cause.starts_with("guest-"), cause});
    if (!resume) state_ = RunState::prelaunch;
    if (resume) board_.start();
}

void RunControl::shut_down(const Request& r) {
    bool panic = r.cause == "guest-panic";
    bool pause = panic ? actions.panic == Actions::Panic::pause : actions.shutdown == Actions::Shutdown::pause;
    if (panic && actions.panic == Actions::Panic::none) return;
    if (!pause) return quit(r.cause, r.status ? r.status : panic && actions.panic == Actions::Panic::exit_failure);
    board_.stop();
    tell({RunEvent::Kind::shutdown, r.cause.starts_with("guest-"), r.cause});
    bool was_running = running();
    state_ = panic ? RunState::guest_panicked : RunState::shutdown;
    if (was_running) tell({RunEvent::Kind::stop, false, {}});
}

void RunControl::power_down() {
    tell({RunEvent::Kind::powerdown, false, {}});
    board_.press_power_button();
}

void RunControl::quit(std::string_view reason, int status) {
    if (leaving_) return;
    leaving_ = true;
    board_.stop();
    tell({RunEvent::Kind::shutdown, reason.starts_with("guest-"), reason});
    if (on_quit) on_quit(status);
}

} // namespace mimic::machines
