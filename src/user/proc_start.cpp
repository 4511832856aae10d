#include "user/proc_start.hpp"
#include <sys/prctl.h>
#include <sys/syscall.h>

namespace mimic::user {

using process::raw_syscall;

u64 inherit_signals(SignalTable& signals) {
    struct {
        u64 handler, flags, restorer, mask;
    } action;
    for (int signal = 1; signal <= 64; signal++)
        if (raw_syscall(SYS_rt_sigaction, u64(signal), 0, u64(&action), 8) == 0 && action.handler == sa::ign)
            signals.actions[signal].handler = sa::ign;
    u64 mask = 0;
    raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, 0, u64(&mask), 8);
    return mask;
}

Result<int> start_process(Process& p, SignalTable& signals, u64 mask, const LoadedProgram& program,
                          const StartStack& start) {
    p.same_model = p.abi.model == host_model;
    for (u32 i = 0; i < struct_count; i++) p.same[i] = identical(*(*p.abi.layouts)[i], p.abi.model);
    p.map = resolve(p.abi.registers, p.engine.state());
    if (!p.map.missing.empty()) return Error::unsupported("guest {} has no state named {}", p.abi.name, p.map.missing);
    u64 sp = TRY(make_stack(p.memory, p.abi, program, start, p.trampoline, p.auxv));
    p.stack_start = sp;

    auto cpu = TRY(p.engine.make_vcpu());
    Thread thread(p, signals, std::move(cpu));
    thread.set(p.map.sp, sp);
    thread.header().pc = program.pc;
    if (p.abi.start) p.abi.start(p.map, thread.header());
    thread.credentials = start.credentials;
    thread.adopt();
    for (int signal : {SIGSEGV, SIGBUS}) catch_guest_signal(signal, 0);
    thread.set_mask(mask);
    prctl(PR_SET_NAME, p.exe.substr(p.exe.rfind('/') + 1).c_str());
    return thread.run();
}

} // namespace mimic::user
