#include "user/proc_start.hpp"
#include "user/debug/debugger.hpp"
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

namespace mimic::user {

using process::raw_syscall;

namespace {

// The process as others see it in /proc/PID (cmdline, environ, auxv, stat): the guest's strings instead of ours. On
// kernels that can't (no CONFIG_CHECKPOINT_RESTORE) it stays as it is. prctl(2), PR_SET_MM_MAP.
void show_to_others(const Process& p, const StackLayout& stack) {
    char text[1024];
    i64 fd = raw_syscall(SYS_openat, u64(i64(AT_FDCWD)), u64("/proc/self/stat"), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    i64 n = raw_syscall(SYS_read, u64(fd), u64(text), sizeof text - 1);
    raw_syscall(SYS_close, u64(fd));
    if (n <= 0) return;
    text[n] = '\0';
    const char* at = std::strrchr(text, ')');
    // proc_pid_stat(5): 26 and 27 code, 45 and 46 data, 47 start of the heap.
    u64 field[53] = {};
    for (u32 i = 2; at && *at && i < 53; i++) {
        field[i] = std::strtoull(at, nullptr, 10);
        at = std::strchr(at + 1, ' ');
    }
    u64 base = p.memory.base();
    struct prctl_mm_map map {};
    map.start_code = field[26], map.end_code = field[27];
    map.start_data = field[45], map.end_data = field[46];
    map.start_brk = field[47], map.brk = u64(raw_syscall(SYS_brk, 0));
    map.start_stack = base + stack.sp;
    map.arg_start = base + stack.arguments, map.arg_end = base + stack.environment;
    map.env_start = base + stack.environment, map.env_end = base + stack.end;
    alignas(8) u8 auxv[512] = {};
    if (p.same_model && stack.auxv.size() <= 320) { // AT_VECTOR_SIZE leaves room for 20 pairs everywhere
        std::memcpy(auxv, stack.auxv.data(), stack.auxv.size());
        map.auxv = reinterpret_cast<decltype(map.auxv)>(auxv), map.auxv_size = u32(stack.auxv.size());
    }
    map.exe_fd = ~0u;
    raw_syscall(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, u64(&map), sizeof map, 0);
}

} // namespace

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
    StackLayout stack = TRY(make_stack(p.memory, p.abi, program, start));
    u64 sp = stack.sp;
    p.trampoline = stack.trampoline;
    p.auxv = stack.auxv;
    p.stack_start = sp;
    p.memory.set_limits(p.limits.v[0][0], p.limits.v[1][0]);
    show_to_others(p, stack);

    auto cpu = TRY(p.engine.make_vcpu());
    Thread thread(p, signals, std::move(cpu));
    thread.set(p.map.sp, sp);
    thread.header().pc = program.pc;
    if (p.abi.start) p.abi.start(p.map, thread.header());
    thread.credentials = start.credentials;
    thread.seccomp.install(start.filters);
    thread.adopt();
    for (int signal : {SIGSEGV, SIGBUS, SIGFPE}) catch_guest_signal(signal, 0);
    thread.set_mask(mask);
    // Whoever waits for gdb in vain is ended as usual.
    if (!p.debugger || !p.debugger->waits_for_gdb()) catch_fatal_signals(signals, p.debugger);
    if (p.debugger) {
        p.debugger->attach(thread);
        TRY(p.debugger->start());
    }
    prctl(PR_SET_NAME, p.exe.substr(p.exe.rfind('/') + 1).c_str());
    return thread.run();
}

} // namespace mimic::user
