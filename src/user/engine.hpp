// What user mode needs of the rest of Mimic to execute guest code. The room cpu stands behind it; tests put a scripted
// one in its place.
#pragma once
#include "base/result.hpp"
#include "ir/state.hpp"
#include "user/memory/address_space.hpp"
#include <memory>
#include <span>
#include <string_view>

namespace mimic::isa {
class Guest;
}

namespace mimic::user {

// A debugger's: accesses to [address, address + bytes) of these kinds.
struct WatchRange {
    u64 address = 0, bytes = 0;
    bool read = false, write = false;
};

// One guest thread's CPU. Its header and slots are the state; header().pc is where run() goes on.
class Vcpu {
public:
    virtual ~Vcpu() = default;
    virtual ir::CpuHeader& header() = 0;
    // Runs guest code until header().exit_kind is poll, trap or fault; then pc and slots are precise, as ir/state.hpp
    // says. Called by one thread at a time.
    virtual void run() = 0;
    // Makes run() return with poll soon; from any thread or signal handler. Before the reason is looked for, the
    // running thread calls clear_kick.
    virtual void kick() = 0;
    virtual void clear_kick() = 0;
    // It may be in guest code now: header() is out of date. From any thread.
    virtual bool inside() const { return false; }

    // ---- for debuggers
    // As run(), but for one instruction, whatever breakpoints there are; without watching, also whatever it accesses.
    virtual void step(bool /*watching*/ = true) { run(); }
    // run() left with poll for a breakpoint at pc.
    virtual bool at_breakpoint() const { return false; }
    // While it stands still. run() and step() then leave with a fault before an access that is watched, and watch_hit() tells
    // it until the next one.
    virtual void set_watches(std::span<const WatchRange>) {}
    virtual const WatchRange* watch_hit() const { return nullptr; }
};

// The code of one process: translator, cache.
class Engine : public CodeSink {
public:
    virtual const ir::GuestState& state() const = 0;
    // A CPU with all slots zero, or with a copy of another's state.
    virtual Result<std::unique_ptr<Vcpu>> make_vcpu(const Vcpu* copy = nullptr) = 0;
    // Around fork; the child must have a code cache of its own before it runs guest code.
    virtual void before_fork() = 0;
    virtual void after_fork_parent() = 0;
    virtual bool after_fork_child(Vcpu& survivor) = 0;
    // Called with one thread running (true), before a second one starts (false): atomics may be cheaper alone.
    virtual void set_single_threaded(bool) {}
    // The process is about to end: what is to be told about the run is told now.
    virtual void finish() {}
    // ...or its program is, and the code made for it may serve others.
    virtual void save_code() {}
    // Null: there is none (tests).
    virtual const isa::Guest* guest() const { return nullptr; }
    // run() of any vCPU stops before the instruction at pc.
    virtual void set_breakpoint(u64 /*pc*/, bool /*on*/) {}
};

} // namespace mimic::user
