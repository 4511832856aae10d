// RunControl: whether a machine runs, why it does not, and what requests of its guest and its users lead to.
//
//   machines::RunControl run(*board, actions);
//   run.on_quit = [&](int status) { ... };                 // the process may go
//   run.watch([&](const RunEvent& e) { ... });             // QMP events
//   TRY(run.resume()); ... run.stop(); ... run.request({Request::Kind::reset, "host-qmp-system-reset"});
//
// The names of states, causes and events are those of the QMP reference (RunState, ShutdownCause, RESET, ...). All of it is
// called on the loop's thread.
#pragma once
#include "machines/board.hpp"
#include <utility>

namespace mimic::machines {

// Those of the QMP reference's RunState that can be met here.
enum class RunState : u8 {
    prelaunch,
    running,
    paused,
    debug,
    io_error,
    shutdown,
    guest_panicked,
    internal_error,
    inmigrate,
    finish_migrate,
    postmigrate,
    save_vm,
    restore_vm
};
std::string_view to_string(RunState state); // "io-error"

// What a request leads to (-action, set-action).
struct Actions {
    enum class Reboot : u8 { reset, shutdown } reboot = Reboot::reset;
    enum class Shutdown : u8 { poweroff, pause } shutdown = Shutdown::poweroff;
    enum class Panic : u8 { pause, shutdown, exit_failure, none } panic = Panic::shutdown;
};
inline constexpr std::string_view reboot_actions[] = {"reset", "shutdown"};
inline constexpr std::string_view shutdown_actions[] = {"poweroff", "pause"};
inline constexpr std::string_view panic_actions[] = {"pause", "shutdown", "exit-failure", "none"};

struct RunEvent {
    enum class Kind : u8 { stop, resume, reset, shutdown, powerdown } kind = Kind::stop;
    bool guest = false;      // reset, shutdown: the guest asked for it
    std::string_view reason; // of the same: "guest-reset", "host-qmp-quit"
};

// What moves or keeps the machine as a whole.
enum class Keeper : u8 { nobody, migration, snapshot, dump };

class RunControl {
public:
    // While it lives, its owner is the only one that moves or keeps the machine. It ends before the RunControl.
    class [[nodiscard]] Claim {
    public:
        Claim() = default;
        Claim(Claim&& o) noexcept : run_(std::exchange(o.run_, nullptr)) {}
        Claim& operator=(Claim&& o) noexcept {
            std::swap(run_, o.run_);
            return *this;
        }
        ~Claim() { end(); }
        void end() {
            if (run_) run_->keeper_ = Keeper::nobody;
            run_ = nullptr;
        }

    private:
        friend class RunControl;
        explicit Claim(RunControl& run) : run_(&run) {}
        RunControl* run_ = nullptr;
    };
    RunControl(Board& board, const Actions& actions);
    ~RunControl();
    RunControl(const RunControl&) = delete;

    RunState state() const { return state_; }
    bool running() const { return state_ == RunState::running; }
    Board& board() const { return board_; }
    Actions actions;

    // Starts the processors. Errors: only a reset helps out of the state.
    Result<void> resume();
    // The same, but only processors that `which` names run; nobody is told of it (a debugger steps).
    void resume_some(const std::function<bool(cpu::Vcpu&)>& which);
    // Returns when no processor runs guest code; registers may be looked at. A machine that is being saved or loaded does not go on
    // behind it.
    void stop(RunState why = RunState::paused);
    // A stopped machine is stopped for another reason: it is being saved or loaded, or was.
    void set_state(RunState why);
    // Did somebody want it stopped since it was started, or since this was forgotten? Who saves or loads it forgets own stops.
    bool stop_asked() const { return stop_asked_; }
    void forget_stop() { stop_asked_ = false; }
    void request(const devices::Request& r);
    // At once, before anything is awaited. Errors: another has it; the machine waits for one to come in, and `who` is no migration.
    Result<Claim> claim(Keeper who);
    Keeper keeper() const { return keeper_; }
    // Asks the guest to power off, where the board has a button for that.
    void power_down();
    // Leaves the program; nothing can keep it (quit, a signal).
    void quit(std::string_view reason, int status = 0);

    std::function<void(int status)> on_quit;
    // Lines for the user's terminal.
    std::function<void(const std::string&)> say = [](const std::string&) {};
    // A processor paused by itself (a debugger's business), and all have been stopped. Null: nobody debugs.
    std::function<void(cpu::Vcpu&, cpu::Pause)> on_pause;
    // Called for each event until the end of the machine; the number ends it.
    u32 watch(std::function<void(const RunEvent&)> f);
    void unwatch(u32 number) { watchers_.erase(number); }

private:
    void tell(const RunEvent& e);
    void reset(const devices::Request& r);
    void shut_down(const devices::Request& r);
    void paused(cpu::Vcpu& vcpu, cpu::Pause pause);

    Board& board_;
    RunState state_ = RunState::prelaunch;
    Keeper keeper_ = Keeper::nobody;
    bool leaving_ = false, quiet_ = false; // quiet: nobody was told that it runs
    bool stop_asked_ = false;
    std::vector<devices::Request> deferred_; // while the machine is saved or loaded
    u32 next_watcher_ = 0;
    std::map<u32, std::function<void(const RunEvent&)>> watchers_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

} // namespace mimic::machines
