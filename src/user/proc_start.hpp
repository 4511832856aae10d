// The first thread of a program: from a loaded image to its exit status.
#pragma once
#include "user/linux/thread.hpp"
#include "user/loader/program.hpp"

namespace mimic::user {

// What the host's process has of ignored signals and of its mask is the guest's, too. Called before any handler of ours
// is installed; returns the mask.
u64 inherit_signals(SignalTable& signals);

// Builds the stack and runs the program on the calling thread, until it exits.
Result<int> start_process(Process& process, SignalTable& signals, u64 mask, const LoadedProgram& program,
                          const StartStack& start);

} // namespace mimic::user
