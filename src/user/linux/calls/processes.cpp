// What a process is and may: names, limits, scheduling, prctl; waiting for children.
#include "user/linux/arch_calls.hpp"
#include "user/linux/calls/handlers.hpp"
#include "user/linux/calls/import.hpp"
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/membarrier.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>

namespace mimic::user {
namespace {

using process::raw_syscall;

constexpr u32 siginfo_bytes = 128;

OwnLimits& limits_of(Thread& t) {
    if (!t.borrowed) return t.process().limits;
    if (!t.limits) t.limits = t.process().limits;
    return *t.limits;
}

i64 get_own_limit(Thread& t, int which, struct rlimit& out) {
    std::lock_guard guard(t.process().limits_lock);
    const u64* limit = limits_of(t).v[which];
    out = {limit[0], limit[1]};
    return 0;
}
i64 set_own_limit(Thread& t, int which, const struct rlimit& in) {
    if (in.rlim_cur > in.rlim_max) return -EINVAL;
    std::lock_guard guard(t.process().limits_lock);
    OwnLimits& limits = limits_of(t);
    u64* limit = limits.v[which];
    const bool root = t.process().pretends_ids() ? t.credentials.privileged() : raw_syscall(SYS_geteuid) == 0;
    if (in.rlim_max > limit[1] && !root) return -EPERM;
    limit[0] = in.rlim_cur, limit[1] = in.rlim_max;
    if (!t.borrowed) t.memory().set_limits(limits.v[0][0], limits.v[1][0]);
    return 0;
}

bool is_emulated(i32 pid) {
    struct stat x, y;
    const std::string other = fmt::format("/proc/{}/exe", pid);
    auto status = [](const char* path, struct stat& to) {
        return raw_syscall(SYS_newfstatat, u64(i64(AT_FDCWD)), u64(path), u64(&to), 0) == 0;
    };
    return status(other.c_str(), x) && status("/proc/self/exe", y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

// The process, by the number of any of its threads.
bool is_own(Thread& t, i32 pid) {
    const i64 self = raw_syscall(SYS_getpid);
    return pid == 0 || pid == self || pid == t.tid() ||
           (pid > 0 && raw_syscall(SYS_tgkill, u64(self), u64(pid), 0) == 0);
}

} // namespace

i64 sys_uname(Thread& t, const Args& a) {
    struct utsname name;
    i64 r = raw_syscall(SYS_uname, u64(&name));
    if (r < 0) return r;
    auto put = [](char(&to)[65], std::string_view text) {
        std::memset(to, 0, sizeof to);
        std::memcpy(to, text.data(), std::min(text.size(), sizeof to - 1));
    };
    put(name.machine, t.abi().machine);
    if (!t.process().options.uname_release.empty()) put(name.release, t.process().options.uname_release);
    return t.write(S::utsname, a[0], &name) ? 0 : -EFAULT;
}

i64 sys_personality(Thread&, const Args& a) {
    // ADDR_NO_RANDOMIZE and the like are remembered by the kernel; another execution domain would change ourselves.
    u32 wanted = a.u(0);
    if (wanted != 0xffffffff && (wanted & 0xff) != PER_LINUX) return -EINVAL;
    constexpr u32 harmful = READ_IMPLIES_EXEC;
    i64 old = raw_syscall(SYS_personality, wanted == 0xffffffff ? wanted : wanted & ~harmful);
    return old;
}

// For memory the kernel's barrier is ours; for code, others must have left what was dropped. membarrier(2).
i64 sys_membarrier(Thread& t, const Args& a) {
    const i64 r = pass(t, a);
    if (r == 0 && a.i(0) == MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE) t.process().engine.await_flushed();
    return r;
}

// sethostname and setdomainname: a length, not a string.
i64 sys_sethostname(Thread& t, const Args& a) {
    if (i32(a[1]) < 0 || i32(a[1]) > 64) return -EINVAL;
    if (!t.memory().in_range(a[0], u32(a[1]))) return -EFAULT;
    return t.syscall(a.row->host, t.memory().host(a[0]), a.i(1));
}

// ---- limits ----

int OwnLimits::index(int resource) { return resource == RLIMIT_AS ? 0 : resource == RLIMIT_DATA ? 1 : -1; }
void OwnLimits::from_kernel() {
    for (int resource : {RLIMIT_AS, RLIMIT_DATA}) {
        struct rlimit limit;
        if (raw_syscall(SYS_getrlimit, u64(resource), u64(&limit)) != 0) continue;
        u64* own = v[index(resource)];
        own[0] = limit.rlim_cur, own[1] = limit.rlim_max;
    }
}
std::string OwnLimits::text() const { return fmt::format("{},{},{},{}", v[0][0], v[0][1], v[1][0], v[1][1]); }
bool OwnLimits::parse(std::string_view text) {
    unsigned long long n[4];
    char end;
    if (std::sscanf(std::string(text).c_str(), "%llu,%llu,%llu,%llu%c", &n[0], &n[1], &n[2], &n[3], &end) != 4)
        return false;
    std::copy(n, n + 4, &v[0][0]);
    return true;
}

i64 sys_getrlimit(Thread& t, const Args& a) {
    struct rlimit limit;
    int own = OwnLimits::index(a.i(0));
    i64 r = own >= 0 ? get_own_limit(t, own, limit) : t.syscall(SYS_getrlimit, a.i(0), &limit);
    if (r < 0) return r;
    return t.write(S::rlimit, a[1], &limit) ? 0 : -EFAULT;
}
i64 sys_setrlimit(Thread& t, const Args& a) {
    struct rlimit limit;
    if (!t.read(S::rlimit, a[1], &limit)) return -EFAULT;
    int own = OwnLimits::index(a.i(0));
    return own >= 0 ? set_own_limit(t, own, limit) : t.syscall(SYS_setrlimit, a.i(0), &limit);
}
i64 sys_prlimit64(Thread& t, const Args& a) {
    struct rlimit wanted, old;
    if (a[2] != 0 && !t.read(S::rlimit64, a[2], &wanted)) return -EFAULT;
    int own = OwnLimits::index(a.i(1));
    if (own >= 0 && !is_own(t, a.i(0))) {
        // Another Mimic's would be taken from its own memory.
        if (a[2] != 0 && is_emulated(a.i(0))) return -EPERM;
        own = -1;
    }
    i64 r;
    if (own >= 0) {
        r = get_own_limit(t, own, old);
        if (a[2] != 0) r = set_own_limit(t, own, wanted);
    } else {
        r = t.syscall(SYS_prlimit64, a.i(0), a.i(1), a[2] ? &wanted : nullptr, a[3] ? &old : nullptr);
    }
    if (r < 0) return r;
    return a[3] == 0 || t.write(S::rlimit64, a[3], &old) ? 0 : -EFAULT;
}

// ---- scheduling ----

i64 sys_sched_setaffinity(Thread& t, const Args& a) {
    u64 n = std::min<u64>(a[1] / t.word_bytes(), 1024 / t.word_bytes());
    u64 mask[128] = {};
    for (u64 i = 0; i < n; i++) {
        u64 word;
        if (!t.read_word(a[2] + i * t.word_bytes(), word)) return -EFAULT;
        mask[i * t.word_bytes() / 8] |= word << (i * t.word_bytes() % 8 * 8);
    }
    return t.syscall(SYS_sched_setaffinity, a.i(0), n * t.word_bytes(), mask);
}
i64 sys_sched_getaffinity(Thread& t, const Args& a) {
    u64 mask[128] = {};
    if (a.u(1) % t.word_bytes() != 0) return -EINVAL;
    i64 n = t.syscall(SYS_sched_getaffinity, a.i(0), std::min<u64>((a.u(1) + 7ull) & ~7ull, sizeof mask), mask);
    if (n < 0) return n;
    n = std::min<i64>(n, a.u(1));
    for (u64 i = 0; i < u64(n) / t.word_bytes(); i++) {
        u64 word = mask[i * t.word_bytes() / 8] >> (i * t.word_bytes() % 8 * 8);
        if (!t.write(S::ulong, a[2] + i * t.word_bytes(), &word)) return -EFAULT;
    }
    return n;
}
i64 sys_sched_setattr(Thread& t, const Args& a) {
    SchedAttr attr{};
    u32 size;
    if (!t.read(S::u32, a[1], &size)) return -EFAULT;
    if (size == 0) size = 48; // SCHED_ATTR_SIZE_VER0
    if (size < 48 || size > 4096) return -E2BIG;
    if (!t.read(S::sched_attr, a[1], &attr)) return -EFAULT;
    if (size < sizeof attr) attr.util_min = attr.util_max = 0;
    attr.size = std::min<u32>(size, sizeof attr);
    return t.syscall(SYS_sched_setattr, a.i(0), &attr, a.u(2));
}
i64 sys_sched_getattr(Thread& t, const Args& a) {
    SchedAttr attr{};
    if (a.u(2) < 48 || a.u(2) > 4096) return -EINVAL;
    i64 r = t.syscall(SYS_sched_getattr, a.i(0), &attr, sizeof attr, a.u(3));
    if (r < 0) return r;
    u8 raw[max_struct];
    to_guest(t.abi().layout(S::sched_attr), t.abi().model, &attr, raw);
    return t.memory().write(a[1], raw, std::min<u64>(a.u(2), sizeof attr)) ? 0 : -EFAULT;
}

i64 sys_getcpu(Thread& t, const Args& a) {
    u32 cpu = 0, node = 0;
    i64 r = t.syscall(SYS_getcpu, &cpu, &node, 0);
    if (r < 0) return r;
    if (a[0] && !t.write(S::u32, a[0], &cpu)) return -EFAULT;
    return a[1] && !t.write(S::u32, a[1], &node) ? -EFAULT : 0;
}

// ---- prctl ----

i64 sys_prctl(Thread& t, const Args& a) {
    switch (a.i(0)) {
    case PR_GET_PDEATHSIG:
    case PR_GET_UNALIGN:
    case PR_GET_FPEMU:
    case PR_GET_FPEXC:
    case PR_GET_ENDIAN:
    case PR_GET_CHILD_SUBREAPER: {
        i32 value = 0;
        i64 r = t.syscall(SYS_prctl, a.i(0), &value);
        if (r < 0) return r;
        return t.write(S::i32, a[1], &value) ? r : -EFAULT;
    }
    case PR_SET_NAME: {
        std::string name;
        char buffer[16] = {};
        // The first 16 bytes count, with or without an end.
        if (!t.memory().read_string(a[1], name, 4095)) return -EFAULT;
        std::memcpy(buffer, name.data(), std::min<size_t>(name.size(), 15));
        return t.syscall(SYS_prctl, PR_SET_NAME, buffer);
    }
    case PR_GET_NAME: {
        char buffer[16] = {};
        i64 r = t.syscall(SYS_prctl, PR_GET_NAME, buffer);
        return t.memory().write(a[1], buffer, sizeof buffer) ? r : -EFAULT;
    }
    case PR_GET_TID_ADDRESS: return t.write(S::ulong, a[1], &t.clear_child_tid) ? 0 : -EFAULT;
    case PR_SET_SECCOMP:
    case PR_GET_SECCOMP: return prctl_seccomp(t, a);
    case PR_SET_VMA: return 0; // a name of a mapping: nobody relies on it
    case PR_PAC_RESET_KEYS:
    case PR_PAC_SET_ENABLED_KEYS:
    case PR_PAC_GET_ENABLED_KEYS:
    case PR_SET_TAGGED_ADDR_CTRL:
    case PR_GET_TAGGED_ADDR_CTRL: return t.abi().prctl ? t.abi().prctl(t, a) : -EINVAL;
    // These would act on Mimic, or on an architecture that isn't the guest's.
    case PR_SET_MM:
    case PR_SET_TSC:
    case PR_GET_TSC:
    case PR_SET_UNALIGN:
    case PR_SET_FPEMU:
    case PR_SET_FPEXC:
    case PR_SET_ENDIAN:
    case PR_SET_SYSCALL_USER_DISPATCH: return -EINVAL;
    default: return t.syscall(SYS_prctl, a.i(0), a[1], a[2], a[3], a[4]);
    }
}

// ---- children ----

i64 sys_waitid(Thread& t, const Args& a) {
    siginfo_t info{};
    struct rusage usage;
    i64 r = t.syscall(SYS_waitid, a.i(0), a.i(1), a[2] ? &info : nullptr, a.i(3), a[4] ? &usage : nullptr);
    if (r < 0) info = {}; // which the kernel tells, too
    u8 raw[siginfo_bytes];
    siginfo_to_guest(t.abi(), info, raw);
    // The kernel fills the members it knows; no more than those is written.
    if (a[2] && !t.memory().write(a[2], raw, size_of(t.abi().layout(S::siginfo_child), t.abi().model))) return -EFAULT;
    return r >= 0 && a[4] && !t.write(S::rusage, a[4], &usage) ? -EFAULT : r;
}

i64 sys_unshare(Thread& t, const Args& a) {
    constexpr u64 vm = 0x100, sighand = 0x800, thread = 0x10000;
    if (a[0] & (vm | sighand | thread) && t.process().threads.load() > 1) return -EINVAL;
    return t.syscall(SYS_unshare, a[0]);
}

// process_vm_readv and _writev. The other side's addresses are right for another Mimic with the same guest_base, and
// for this process.
i64 sys_process_vm(Thread& t, const Args& a) {
    std::vector<struct iovec> local, remote;
    if (a[5] != 0) return -EINVAL;
    bool reads = a.row->host == SYS_process_vm_readv;
    if (i64 r = import_iovec(t, a[1], a[2], reads, local)) return r;
    if (i64 r = import_iovec(t, a[3], a[4], is_own(t, a.i(0)) && !reads, remote)) return r;
    return t.syscall(a.row->host, a.i(0), local.data(), local.size(), remote.data(), remote.size(), 0);
}
i64 sys_process_madvise(Thread& t, const Args& a) {
    std::vector<struct iovec> iov;
    if (i64 r = import_iovec(t, a[1], a[2], false, iov)) return r;
    return t.syscall(SYS_process_madvise, a.i(0), iov.data(), iov.size(), a.i(3), a.u(4));
}

i64 sys_kcmp(Thread& t, const Args& a) {
    constexpr int epoll_target = 7; // its last argument is a pointer
    if (a.i(2) == epoll_target) return -EINVAL;
    return t.syscall(SYS_kcmp, a.i(0), a.i(1), a.i(2), a[3], a[4]);
}

i64 sys_reboot(Thread& t, const Args& a) {
    std::string text;
    constexpr u32 restart2 = 0xa1b2c3d4; // LINUX_REBOOT_CMD_RESTART2 takes a string
    if (a.u(2) == restart2)
        if (i64 r = t.path(a[3], text)) return r;
    return t.syscall(SYS_reboot, a.u(0), a.u(1), a.u(2), a.u(2) == restart2 ? text.c_str() : nullptr);
}

// A kernel for the next start: segments hold pointers. The host's kernel decides whether it may be.
i64 sys_kexec_load(Thread& t, const Args& a) {
    std::vector<KexecSegment> segments;
    constexpr u64 most = 16; // KEXEC_SEGMENT_MAX
    if (a[1] > most) return -EINVAL;
    if (a[1] != 0 && !t.read_array(S::kexec_segment, a[2], segments, a[1])) return -EFAULT;
    for (KexecSegment& s : segments) {
        void* host = t.reading(s.buf, s.bufsz);
        if (!host) return -EFAULT;
        s.buf = u64(host);
    }
    return t.syscall(SYS_kexec_load, a[0], a[1], segments.data(), a[3]);
}

// Attributes that security modules give a process: integers and bytes, which same-model guests share with the kernel.
i64 sys_lsm_get_self_attr(Thread& t, const Args& a) {
    u32 size;
    if (!t.read(S::u32, a[2], &size)) return -EFAULT;
    if (!t.process().same_model) return -ENOSYS;
    void* buffer = a[1] ? t.writing(a[1], size) : nullptr;
    if (a[1] && !buffer) return -EFAULT;
    i64 r = t.syscall(a.row->host, a.u(0), buffer, &size, a.u(3));
    return t.write(S::u32, a[2], &size) ? r : -EFAULT;
}
i64 sys_lsm_list_modules(Thread& t, const Args& a) {
    u32 size;
    if (!t.read(S::u32, a[1], &size)) return -EFAULT;
    size = std::min<u32>(size, 4096); // more than there are modules
    std::vector<u64> ids(size / 8 + 1);
    i64 n = t.syscall(a.row->host, ids.data(), &size, a.u(2));
    if (!t.write(S::u32, a[1], &size)) return -EFAULT;
    for (i64 i = 0; i < n && size_t(i) < ids.size(); i++)
        if (!t.write(S::u64, a[0] + u64(i) * 8, &ids[size_t(i)])) return -EFAULT;
    return n;
}

// keyctl(2): operations whose arguments are numbers, and those with one buffer or string.
i64 sys_keyctl(Thread& t, const Args& a) {
    std::string text;
    switch (a.i(0)) {
    case KEYCTL_JOIN_SESSION_KEYRING:
        if (a[1] == 0) return t.syscall(SYS_keyctl, a.i(0), 0);
        if (i64 r = t.path(a[1], text)) return r;
        return t.syscall(SYS_keyctl, a.i(0), text.c_str());
    case KEYCTL_UPDATE:
    case KEYCTL_INSTANTIATE: {
        void* payload = a[2] ? t.reading(a[2], a[3]) : nullptr;
        return a[2] && !payload ? -EFAULT : t.syscall(SYS_keyctl, a.i(0), a[1], payload, a[3], a[4]);
    }
    case KEYCTL_READ:
    case KEYCTL_DESCRIBE:
    case KEYCTL_GET_SECURITY: {
        void* buffer = a[2] ? t.writing(a[2], a[3]) : nullptr;
        return a[2] && !buffer ? -EFAULT : t.syscall(SYS_keyctl, a.i(0), a[1], buffer, a[3]);
    }
    case KEYCTL_SEARCH: {
        std::string description;
        if (i64 r = t.path(a[2], text)) return r;
        if (i64 r = t.path(a[3], description)) return r;
        return t.syscall(SYS_keyctl, a.i(0), a[1], text.c_str(), description.c_str(), a[4]);
    }
    case KEYCTL_GET_KEYRING_ID:
    case KEYCTL_REVOKE:
    case KEYCTL_CHOWN:
    case KEYCTL_SETPERM:
    case KEYCTL_CLEAR:
    case KEYCTL_LINK:
    case KEYCTL_UNLINK:
    case KEYCTL_SET_REQKEY_KEYRING:
    case KEYCTL_SET_TIMEOUT:
    case KEYCTL_SESSION_TO_PARENT:
    case KEYCTL_INVALIDATE:
    case KEYCTL_GET_PERSISTENT:
    case KEYCTL_NEGATE:
    case KEYCTL_REJECT:
    case KEYCTL_ASSUME_AUTHORITY: return t.syscall(SYS_keyctl, a.i(0), a[1], a[2], a[3], a[4]);
    default: return -EOPNOTSUPP;
    }
}

// riscv_hwprobe(pairs, count, cpusetsize, cpus, flags): keys and values of asm/hwprobe.h. Unknown keys become -1.
i64 riscv_hwprobe(Thread& t, const Args& a) {
    if (a[4] != 0) return -EINVAL;
    if (a[2] == 0 && a[3] != 0) return -EINVAL;
    const bool has_v = t.abi().hwcap(t.process().options.cpu_model, 1) >> ('V' - 'A') & 1;
    const u64 ext = (has_v ? 1 << 2 | 0x1full << 37 : 0) | (1 << 0) | (1 << 1) | (1 << 3) | (1 << 4) | (1 << 5) |
                    (1 << 6) |                                             // V ZVE32X to ZVE64D FD C ZBA ZBB ZBS ZICBOZ
                    (1 << 7) | (1ull << 27) | (1ull << 32) | (1ull << 35); // ZBC ZFH ZFA ZICOND
    for (u64 i = 0; i < a[1]; i++) {
        u8 raw[16];
        if (!t.memory().read(a[0] + 16 * i, raw, 16)) return -EFAULT;
        i64 key = i64(load_int(raw, 8, false)), known = 0;
        u64 value = 0;
        switch (key) {
        case 0:                                // MVENDORID
        case 1:                                // MARCHID
        case 2: known = 1; break;              // MIMPID
        case 3: known = 1, value = 1; break;   // BASE_BEHAVIOR: IMA
        case 4: known = 1, value = ext; break; // IMA_EXT_0
        case 5: known = 1, value = 3; break;   // CPUPERF_0: misaligned accesses are fast
        case 6: known = 1, value = 64; break;  // ZICBOZ_BLOCK_SIZE
        }
        if (!known) key = -1;
        store_int(raw, 8, false, u64(key));
        store_int(raw + 8, 8, false, value);
        if (!t.memory().write(a[0] + 16 * i, raw, 16)) return -EFAULT;
    }
    return 0;
}

// arch_prctl(code, address): the thread pointer. asm/prctl.h.
i64 arch_prctl(Thread& t, const Args& a) {
    switch (a.i(0)) {
    case 0x1002: t.set(t.process().map.tls, a[1]); return 0; // ARCH_SET_FS
    case 0x1003: {                                           // ARCH_GET_FS
        u64 value = t.get(t.process().map.tls);
        return t.write(S::ulong, a[1], &value) ? 0 : -EFAULT;
    }
    default: return -EINVAL;
    }
}

} // namespace mimic::user
