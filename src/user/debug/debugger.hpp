// A debugger of a guest process: gdb's remote protocol at a socket. Threads of the process are its threads; a thread of ours,
// the tracer, speaks with gdb while they stand still.
//
// A guest thread that has something to tell says so and waits (report); the tracer waits until the others stand too, at the
// next turn of their loops (run) or in a system call, whose end waits for the debugger then (returned). What gdb changes in
// a thread that is inside of a call is overwritten by the call's result.
//
// Locks: mutex_ is taken before any other and never from within memory or the code space. The tracer holds it while it
// answers.
#pragma once
#include "gdbstub/server.hpp"
#include "user/debug/shared_lock.hpp"
#include "user/linux/thread.hpp"
#include <map>
#include <set>

namespace mimic::user {

// The value of -g, taken apart.
struct DebugPlace {
    std::string path; // a socket of that name; %d in it is the process's number
    std::string host; // else an address and a port
    u16 port = 0;
    bool suspend = true;   // wait for gdb before the first instruction
    std::string inherited; // a connection that the program that executed this one had
    std::string left;      // a socket of that program, to be removed
};
// Removes the socket of a program that has executed this one, where it is still there and nobody's.
void forget_left(const std::string& path);
// "PORT", "ADDRESS:PORT" or a path, then ",suspend=y|n"; "" : nobody debugs, which gives a place without a port or path.
Result<DebugPlace> parse_debug_place(std::string_view text);

// gdb's number of a signal and back; 0: there is none.
int gdb_signal(int number);
int signal_of_gdb(int gdb);

// What the debugger knows of a guest thread.
struct Tracee {
    Thread* thread = nullptr;
    bool parked = false, in_call = false; // stands; in the kernel or in one of our handlers
    bool allowed = true;                  // may run while the process does
    bool step = false;                    // one instruction, then it stops
    bool stepped = false;                 // it has made it
    bool entered = false;                 // instead of making it, it went into a handler
    u64 process = 0;                      // a child that runs in this memory: its number
    bool released = false;                // gdb has let that child go
    bool vforks = false;                  // waits for such a child
    int signal = 0;                       // to be delivered when it goes on (Linux's number)
    siginfo_t info{};                     // of the last signal
};

class Debugger final : gdb::Target {
public:
    // Listens (or has inherited a connection). Errors name the place.
    static Result<std::unique_ptr<Debugger>> open(Process& process, const DebugPlace& place);
    ~Debugger() override;

    // ---- called by guest threads, each with itself
    void attach(Thread& t); // it begins
    void leave(Thread& t);  // it ends
    // Waits while it shall stand, then runs guest code. False: signals come first, or there is something to tell.
    bool run(Thread& t);
    void ran(Thread& t); // what run() left with was looked at
    // A signal is about to be delivered: the one to be delivered instead, or 0.
    int deliver(Thread& t, int signal, siginfo_t& info);
    void entered_handler(Thread& t);
    void calls(Thread& t, u64 number);    // before a system call
    void returned(Thread& t, u64 number); // after it
    void exits(Thread& t, int status);    // the process ends
    void dies(Thread& t, int signal);
    void stands_for_ever(Thread& t); // the process dies by another thread

    // Around fork, called by the forking thread. The child waits until the debugger has let it go or follows it.
    void before_fork(Thread& t);
    void after_fork_child(Thread& t);
    void after_fork_parent(Thread& t, i64 pid, std::unique_ptr<Vcpu> child);
    // A child runs in its parent's memory, told by the child; it does no more, told by the parent (null: there was none).
    void vforked(Thread& parent, Thread& child);
    void vfork_done(Thread& parent, Thread* child);
    // Words after `mimic run` for a program that is executed, which keeps the connection; exec_failed() when it was not.
    std::vector<std::string> before_exec(Thread& t);
    void exec_failed(Thread& t);

    // Before start(): nobody has connected, and no instruction is executed until somebody does. He finds the signals that
    // end the process with their default actions, and sets that right (catch_fatal_signals).
    bool waits_for_gdb() const { return attached_ && connection_ < 0; }
    bool traces() const { return traces_; } // the tracer is there
    // Starts the tracer. With a connection that was inherited the first stop is told at once.
    Result<void> start();

private:
    explicit Debugger(Process& process) : process_(process) {}
    using Lock = std::unique_lock<SharedLock>;

    void park(Lock& lock, Tracee& d);
    void report(Lock& lock, Tracee& d, gdb::Stop stop);
    void stop_others();
    void meets_watch(Thread& t, WatchRange w);
    bool quiet() const;
    void settle(Lock& lock);
    void serve();
    bool talk();
    void wake();
    void set_connection(int fd);
    void close_connection();
    void go_free();
    void remove_socket();
    void ended(Thread& t, gdb::Stop stop);
    void drop(Thread& t);
    void watch(Thread& t); // one that does not run
    void watch_all();
    void send(Tracee& d, int signal);
    void stop_listening();
    Tracee* find(u64 thread) const;

    const isa::Guest& guest() const override { return *process_.engine.guest(); }
    const isa::DebugView& view() const override { return *guest().debug(); }
    std::vector<u64> threads() const override;
    std::string thread_name(u64 thread) const override;
    gdb::Abilities abilities() const override;
    u64 process(u64 thread) const override;
    ir::CpuHeader* cpu(u64 thread) override;
    bool read_memory(u64 thread, u64 address, std::span<u8> out) override;
    bool write_memory(u64 thread, u64 address, std::span<const u8> in) override;
    bool set_break(u64 thread, gdb::Break kind, u64 address, u64 bytes, bool on) override;
    void clear_breaks() override;
    void pass_signals(std::span<const int> signals) override;
    void catch_calls(bool on, std::span<const u64> numbers) override;
    void understood(const Events& events) override { events_ = events; }
    void resume(std::span<const gdb::Resume> threads) override;
    void interrupt() override;
    bool running() const override { return !stopped_; }
    void detach() override;
    bool release(u64 process, bool ends) override;
    void kill() override;
    Result<std::string> object(u64 thread, std::string_view name, std::string_view annex) override;
    bool set_object(u64 thread, std::string_view name, u64 offset, std::string_view bytes) override;
    int open_file(const std::string& path) override;
    void close_file(int fd) override;
    int read_link(const std::string& path, std::string& to) override;
    std::string thread_xml() const;

    struct Breaks {
        std::multiset<u64> code;
        struct Watch {
            gdb::Break kind;
            WatchRange where;
        };
        std::vector<Watch> data;
    };
    // What changes hands with a connection: to the child that is followed, to a program executed.
    std::string handover(const Breaks& breaks, u64 ghost) const;
    void take_over(std::string_view text, bool waiting);
    // A process that was forked and waits for what becomes of it.
    struct Child {
        int control = -1; // a socket: what is written there is its fate
        std::unique_ptr<Vcpu> cpu;
        Breaks breaks;
        bool told = false; // gdb knows of it
    };
    void tell(Child& child, std::string_view fate);
    // In memory that a forked child leaves alone, since others held and waited for it.
    struct Sync {
        SharedLock mutex;
        SharedEvent go, stands; // of guest threads; of the tracer
    };

    Process& process_;
    Sync* sync_ = new Sync;
    std::unique_ptr<gdb::Server> server_;
    int listening_ = -1, event_ = -1, control_[2] = {-1, -1};
    int connection_ = -1, slot_ = -1; // -1: none; the number that it has
    std::string inherited_;           // what of the connection was handed over
    bool waits_ = true;               // gdb waits for a stop there
    std::string socket_path_;         // to be removed
    std::vector<std::unique_ptr<Tracee>> tracees_;
    std::map<u64, Child> children_;
    Breaks breaks_;
    std::set<int> passed_;
    bool catches_ = false;
    std::set<u64> caught_; // empty: all
    Events events_;
    u64 pid_ = 0;
    // A program was executed by a child that had run in its parent's memory: gdb has not yet let the parent go.
    u64 ghost_ = 0;
    std::unique_ptr<Vcpu> ghost_cpu_;
    bool handing_ = false; // such a child executes a program, and takes the connection along
    std::atomic<bool> traces_{false};
    bool attached_ = false;    // a debugger is there, or is waited for
    bool stopped_ = false;     // nobody shall run
    bool have_stop_ = false;   // stop_ is not told yet
    bool all_allowed_ = true;  // threads that begin run
    bool handed_over_ = false; // the connection is a child's now
    gdb::Stop stop_;
};

} // namespace mimic::user
