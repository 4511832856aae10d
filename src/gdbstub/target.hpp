// Target: what a debugger looks at: the processors of a machine, or the threads of a program. The server (server.hpp) speaks
// gdb's remote protocol with it.
//
// All-stop: between on_stop and the next resume nothing runs; everything but interrupt() is called in between only.
#pragma once
#include "base/result.hpp"
#include "isa/debug.hpp"
#include "isa/guest.hpp"
#include <algorithm>
#include <functional>
#include <span>
#include <string>
#include <unistd.h>
#include <vector>

namespace mimic::gdb {

// Numbers are those of the Z packets.
enum class Break : u8 { software = 0, hardware = 1, write = 2, read = 3, access = 4 };

struct Stop {
    // call_entry, call_return: of a system call that catch_calls() names; forked: a process that is not running yet, whose
    // only thread has the process's number; executed: another program; nothing_runs: of those that were resumed, the last
    // thread ended. vforked: as forked, but it runs in the memory of its parent, which waits; vfork_done: no more.
    enum class Kind : u8 {
        signal,
        watchpoint,
        exited,
        killed,
        call_entry,
        call_return,
        forked,
        vforked,
        vfork_done,
        executed,
        nothing_runs
    };
    Kind kind = Kind::signal;
    u64 thread = 1;
    int signal = 5; // gdb's numbers: 2 interrupted, 5 trap; exited: the status
    Break watch = Break::write;
    u64 address = 0;  // of a watchpoint; number of a system call; the new process
    std::string path; // of the program that was executed
};

struct Resume {
    u64 thread = 0;
    bool step = false;
    int signal = 0; // to deliver
};

// What a target can do beside what every one can.
struct Abilities {
    bool processes = false;     // it has process numbers, and new processes
    bool catches_calls = false; // system calls
    bool passes_signals = false;
    bool files = false;                            // open_file() and the like
    bool runs_of_itself = true;                    // whoever leaves it without a word leaves it running
    std::span<const std::string_view> objects;     // of object(), to be told in advance
    std::span<const std::string_view> objects_set; // of set_object()
};

class Target {
public:
    virtual ~Target() = default;
    virtual const isa::Guest& guest() const = 0;
    virtual const isa::DebugView& view() const = 0;

    // Numbers from 1; the first one is the usual one.
    virtual std::vector<u64> threads() const = 0;
    virtual std::string thread_name(u64 thread) const = 0; // "CPU#0 [running]"
    virtual Abilities abilities() const { return {}; }
    // The process of a thread (the usual one of thread 0); 0: there is no such thread.
    virtual u64 process(u64 thread) const {
        if (thread == 0) return 1;
        std::vector<u64> all = threads();
        return std::find(all.begin(), all.end(), thread) != all.end();
    }
    // The state of a thread, for the view. Null: it is gone.
    virtual ir::CpuHeader* cpu(u64 thread) = 0;
    // The view has written: what depends on it follows.
    virtual void written(u64 /*thread*/) {}

    // As the thread sees it; physical addresses while `physical` is chosen. False: nothing is there.
    virtual bool read_memory(u64 thread, u64 address, std::span<u8> out) = 0;
    virtual bool write_memory(u64 thread, u64 address, std::span<const u8> in) = 0;
    virtual bool choose_physical(bool) { return false; }

    // False: not that kind, or no more of them.
    virtual bool set_break(u64 thread, Break kind, u64 address, u64 bytes, bool on) = 0;
    virtual void clear_breaks() = 0;

    // Threads that are not named stay where they are. on_stop tells the end, possibly at once.
    virtual void resume(std::span<const Resume> threads) = 0;
    // Any time: on_stop follows if something runs.
    virtual void interrupt() = 0;
    virtual bool running() const = 0;
    std::function<void(const Stop&)> on_stop;

    // Signals (gdb's numbers) that are no stop.
    virtual void pass_signals(std::span<const int>) {}
    // System calls that are stops, before and after; on without numbers: all.
    virtual void catch_calls(bool /*on*/, std::span<const u64>) {}
    // What the debugger said that it understands: processes that fork, programs that are executed.
    struct Events {
        bool forks = false, vforks = false, execs = false;
    };
    virtual void understood(const Events&) {}

    // The debugger has gone: everything runs, without breakpoints.
    virtual void detach() = 0;
    // One process of several goes on without, or ends; false: there is no such process.
    virtual bool release(u64 /*process*/, bool /*ends*/) { return false; }
    virtual void kill() = 0;
    virtual Result<void> restart() { return Error::unsupported("it cannot be started again"); }

    // `monitor TEXT` of gdb: the answer.
    virtual Result<std::string> command(std::string_view text) {
        return Error::unsupported("'{}': there is no monitor here", text);
    }
    // qXfer objects beside the features ("auxv", "exec-file"): all of one, as the thread has it.
    virtual Result<std::string> object(u64 /*thread*/, std::string_view name, std::string_view /*annex*/) {
        return Error::not_found("there is no object '{}'", name);
    }
    virtual bool set_object(u64 /*thread*/, std::string_view /*name*/, u64 /*offset*/, std::string_view /*bytes*/) {
        return false;
    }
    // The program's own name of a file, for reading: a descriptor, or -errno. A link's target: empty with -errno.
    virtual int open_file(const std::string& /*path*/) { return -1; }
    virtual void close_file(int fd) { ::close(fd); } // what open_file() gave
    virtual int read_link(const std::string& /*path*/, std::string& /*to*/) { return -1; }
};

// The target description of a view, in XML.
std::string describe(const isa::DebugView& view);

} // namespace mimic::gdb
