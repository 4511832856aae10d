// Source: Linux, Documentation/userspace-api/seccomp_filter.rst; the kinds of calls are those of the reference's manual, -sandbox.
#include "app/system/sandbox.hpp"
#include <cerrno>
#include <cstddef>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mimic::app {

namespace {

// ---- kinds of calls; what a host's architecture does not have is left out

// Of administrators: they change the whole host.
constexpr long always[] = {
    SYS_reboot,          SYS_swapon,     SYS_swapoff,         SYS_syslog,        SYS_mount,
    SYS_umount2,         SYS_pivot_root, SYS_kexec_load,      SYS_init_module,   SYS_finit_module,
    SYS_delete_module,   SYS_acct,       SYS_quotactl,        SYS_settimeofday,  SYS_clock_settime,
    SYS_clock_adjtime,   SYS_adjtimex,   SYS_sethostname,     SYS_setdomainname, SYS_nfsservctl,
    SYS_lookup_dcookie,  SYS_bpf,        SYS_perf_event_open, SYS_userfaultfd,   SYS_open_by_handle_at,
    SYS_vhangup,         SYS_add_key,    SYS_request_key,     SYS_keyctl,
#ifdef SYS_kexec_file_load
    SYS_kexec_file_load,
#endif
};
constexpr long obsolete[] = {
#ifdef SYS_uselib
    SYS_uselib,           SYS_ustat,        SYS_sysfs,   SYS__sysctl,       SYS_create_module,
    SYS_get_kernel_syms,  SYS_query_module, SYS_getpmsg, SYS_putpmsg,       SYS_afs_syscall,
    SYS_tuxcall,          SYS_security,     SYS_vserver, SYS_epoll_ctl_old, SYS_epoll_wait_old,
#endif
    SYS_remap_file_pages,
};
constexpr long elevate[] = {SYS_setuid,   SYS_setgid,   SYS_setreuid,  SYS_setregid, SYS_setresuid, SYS_setresgid,
                            SYS_setfsuid, SYS_setfsgid, SYS_setgroups, SYS_setpgid,  SYS_setsid,    SYS_capset};
constexpr long spawning[] = {
#ifdef SYS_fork
    SYS_fork,
    SYS_vfork,
#endif
    SYS_execve,
    SYS_execveat,
};
constexpr long resources[] = {
    SYS_setpriority, SYS_sched_setparam, SYS_sched_setscheduler, SYS_sched_setattr, SYS_sched_setaffinity,
    SYS_ioprio_set,  SYS_mbind,          SYS_set_mempolicy,      SYS_migrate_pages, SYS_move_pages};

#if defined __x86_64__
constexpr u32 architecture = AUDIT_ARCH_X86_64;
#elif defined __aarch64__
constexpr u32 architecture = AUDIT_ARCH_AARCH64;
#endif

// ---- the filter

class Filter {
public:
    Filter() {
        load(offsetof(seccomp_data, arch));
        add(BPF_JMP | BPF_JEQ | BPF_K, architecture, 1, 0);
        end(SECCOMP_RET_KILL_PROCESS);
        load(offsetof(seccomp_data, nr));
#ifdef __x86_64__
        constexpr u32 x32 = 0x40000000; // its calls have other numbers
        add(BPF_JMP | BPF_JGE | BPF_K, x32, 0, 1);
        end(SECCOMP_RET_KILL_PROCESS);
#endif
    }
    void deny(std::span<const long> calls) {
        for (long call : calls) {
            add(BPF_JMP | BPF_JEQ | BPF_K, u32(call), 0, 1);
            end(SECCOMP_RET_KILL_PROCESS);
        }
    }
    // Threads go on to be made; clone3 hides its flags, and libraries do without it where it is not there.
    void deny_processes() {
        add(BPF_JMP | BPF_JEQ | BPF_K, u32(SYS_clone3), 0, 1);
        end(SECCOMP_RET_ERRNO | ENOSYS);
        add(BPF_JMP | BPF_JEQ | BPF_K, u32(SYS_clone), 0, 4);
        load(offsetof(seccomp_data, args[0]));
        add(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0);
        end(SECCOMP_RET_KILL_PROCESS);
        end(SECCOMP_RET_ALLOW);
    }
    Result<void> install() {
        end(SECCOMP_RET_ALLOW);
        const sock_fprog program{static_cast<unsigned short>(code_.size()), code_.data()};
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return Error::from_errno(errno, "cannot give up privileges");
        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
            return Error::from_errno(errno, "cannot install a filter of system calls");
        return {};
    }

private:
    void add(u32 code, u32 k, u8 yes = 0, u8 no = 0) { code_.push_back({u16(code), yes, no, k}); }
    void load(size_t offset) { add(BPF_LD | BPF_W | BPF_ABS, u32(offset)); } // low half: the host is little-endian
    void end(u32 action) { add(BPF_RET | BPF_K, action); }
    std::vector<sock_filter> code_;
};

} // namespace

Result<void> set_sandbox(SystemOptions& o, std::string_view value) {
    Keys keys("-sandbox", value, "enable");
    constexpr std::string_view two[] = {"allow", "deny"}, three[] = {"allow", "deny", "children"};
    SandboxOptions& s = o.sandbox;
    s.on = keys.flag("enable", true);
    s.obsolete = keys.choice("obsolete", two, 1) == 0;
    // Children never have more privileges: that comes with the filter.
    s.elevate_privileges = keys.choice("elevateprivileges", three, 0) != 1;
    s.spawn = keys.choice("spawn", two, 0) == 0;
    s.resource_control = keys.choice("resourcecontrol", two, 0) == 0;
    return keys.finish();
}

Result<void> enter_sandbox(const SandboxOptions& o) {
    Filter filter;
    filter.deny(always);
    if (!o.obsolete) filter.deny(obsolete);
    if (!o.elevate_privileges) filter.deny(elevate);
    if (!o.spawn) filter.deny(spawning), filter.deny_processes();
    if (!o.resource_control) filter.deny(resources);
    return filter.install();
}

} // namespace mimic::app
