#include "user/linux/structs.hpp"
#include <cstddef>
#include <fcntl.h>
#include <linux/openat2.h>
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>

namespace mimic::user {
namespace {

template <u32 n>
constexpr Layout make(const char* name, const Field (&fields)[n], u32 host_size, bool packed = false) {
    return {name, fields, u16(host_size), packed};
}

// ---- time ----
constexpr Field timespec_f[] = {FIELD(struct timespec, tv_sec, slong), FIELD(struct timespec, tv_nsec, slong)};
constexpr Field timeval_f[] = {FIELD(struct timeval, tv_sec, slong), FIELD(struct timeval, tv_usec, slong)};
constexpr Field timezone_f[] = {FIELD(Timezone, minutes_west, s32), FIELD(Timezone, dst, s32)};
constexpr Field itimerspec_f[] = {
    FIELD(struct itimerspec, it_interval.tv_sec, slong), FIELD(struct itimerspec, it_interval.tv_nsec, slong),
    FIELD(struct itimerspec, it_value.tv_sec, slong), FIELD(struct itimerspec, it_value.tv_nsec, slong)};
constexpr Field itimerval_f[] = {
    FIELD(struct itimerval, it_interval.tv_sec, slong), FIELD(struct itimerval, it_interval.tv_usec, slong),
    FIELD(struct itimerval, it_value.tv_sec, slong), FIELD(struct itimerval, it_value.tv_usec, slong)};
#define T(m, k) FIELD(struct timex, m, k)
constexpr Field timex_f[] = {T(modes, u32),
                             T(offset, slong),
                             T(freq, slong),
                             T(maxerror, slong),
                             T(esterror, slong),
                             T(status, s32),
                             T(constant, slong),
                             T(precision, slong),
                             T(tolerance, slong),
                             T(time.tv_sec, slong),
                             T(time.tv_usec, slong),
                             T(tick, slong),
                             T(ppsfreq, slong),
                             T(jitter, slong),
                             T(shift, s32),
                             T(stabil, slong),
                             T(jitcnt, slong),
                             T(calcnt, slong),
                             T(errcnt, slong),
                             T(stbcnt, slong),
                             T(tai, s32),
                             PADDING(44)};
#undef T
constexpr Field tms_f[] = {FIELD(struct tms, tms_utime, slong), FIELD(struct tms, tms_stime, slong),
                           FIELD(struct tms, tms_cutime, slong), FIELD(struct tms, tms_cstime, slong)};

// ---- files ----
#define T(m, k) FIELD(struct stat, m, k)
constexpr Field pad32{"", Kind::pad, 4, 0, 0};
constexpr Field stat_f[] = {T(st_dev, ulong),
                            T(st_ino, ulong),
                            T(st_mode, u32),
                            T(st_nlink, u32),
                            T(st_uid, u32),
                            T(st_gid, u32),
                            T(st_rdev, ulong),
                            PADDING_LONGS(1),
                            T(st_size, slong),
                            T(st_blksize, s32),
                            pad32,
                            T(st_blocks, slong),
                            T(st_atim.tv_sec, slong),
                            T(st_atim.tv_nsec, ulong),
                            T(st_mtim.tv_sec, slong),
                            T(st_mtim.tv_nsec, ulong),
                            T(st_ctim.tv_sec, slong),
                            T(st_ctim.tv_nsec, ulong),
                            PADDING(8)};
constexpr Field stat_x86_64_f[] = {T(st_dev, ulong),
                                   T(st_ino, ulong),
                                   T(st_nlink, ulong),
                                   T(st_mode, u32),
                                   T(st_uid, u32),
                                   T(st_gid, u32),
                                   pad32,
                                   T(st_rdev, ulong),
                                   T(st_size, slong),
                                   T(st_blksize, slong),
                                   T(st_blocks, slong),
                                   T(st_atim.tv_sec, ulong),
                                   T(st_atim.tv_nsec, ulong),
                                   T(st_mtim.tv_sec, ulong),
                                   T(st_mtim.tv_nsec, ulong),
                                   T(st_ctim.tv_sec, ulong),
                                   T(st_ctim.tv_nsec, ulong),
                                   PADDING(24)};
#undef T
#define T(m, k) FIELD(struct statfs, m, k)
constexpr Field statfs_f[] = {
    T(f_type, slong),    T(f_bsize, slong),  T(f_blocks, u64),  T(f_bfree, u64),
    T(f_bavail, u64),    T(f_files, u64),    T(f_ffree, u64),   FIELDS(struct statfs, f_fsid, s32, 2),
    T(f_namelen, slong), T(f_frsize, slong), T(f_flags, slong), FIELDS(struct statfs, f_spare, slong, 4)};
#undef T
#define T(m, k) FIELD(struct statx, m, k)
#define TIME(m)                                                                                                        \
    FIELD(struct statx, m.tv_sec, s64), FIELD(struct statx, m.tv_nsec, u32), { "", Kind::pad, 4, 0, 0 }
constexpr Field statx_f[] = {
    T(stx_mask, u32),       T(stx_blksize, u32),       T(stx_attributes, u64), T(stx_nlink, u32),
    T(stx_uid, u32),        T(stx_gid, u32),           T(stx_mode, u16),       {"", Kind::pad, 2, 0, 0},
    T(stx_ino, u64),        T(stx_size, u64),          T(stx_blocks, u64),     T(stx_attributes_mask, u64),
    TIME(stx_atime),        TIME(stx_btime),           TIME(stx_ctime),        TIME(stx_mtime),
    T(stx_rdev_major, u32), T(stx_rdev_minor, u32),    T(stx_dev_major, u32),  T(stx_dev_minor, u32),
    T(stx_mnt_id, u64),     {"", Kind::pad, 104, 0, 0}};
#undef TIME
#undef T
constexpr Field flock_f[] = {FIELD(struct flock, l_type, s16), FIELD(struct flock, l_whence, s16),
                             FIELD(struct flock, l_start, slong), FIELD(struct flock, l_len, slong),
                             FIELD(struct flock, l_pid, s32)};
constexpr Field f_owner_f[] = {FIELD(struct f_owner_ex, type, s32), FIELD(struct f_owner_ex, pid, s32)};
constexpr Field pollfd_f[] = {FIELD(struct pollfd, fd, s32), FIELD(struct pollfd, events, s16),
                              FIELD(struct pollfd, revents, s16)};
constexpr Field epoll_event_f[] = {FIELD(struct epoll_event, events, u32), FIELD(struct epoll_event, data, u64)};
constexpr Field iovec_f[] = {FIELD(IoVec, base, ulong), FIELD(IoVec, length, ulong)};
constexpr Field open_how_f[] = {FIELD(OpenHow, flags, u64), FIELD(OpenHow, mode, u64), FIELD(OpenHow, resolve, u64)};
constexpr Field termios_f[] = {FIELD(KernelTermios, iflag, u32), FIELD(KernelTermios, oflag, u32),
                               FIELD(KernelTermios, cflag, u32), FIELD(KernelTermios, lflag, u32),
                               FIELD(KernelTermios, line, u8),   FIELDS(KernelTermios, cc, u8, 19)};
constexpr Field winsize_f[] = {FIELD(struct winsize, ws_row, u16), FIELD(struct winsize, ws_col, u16),
                               FIELD(struct winsize, ws_xpixel, u16), FIELD(struct winsize, ws_ypixel, u16)};
constexpr Field file_handle_f[] = {FIELD(struct file_handle, handle_bytes, u32),
                                   FIELD(struct file_handle, handle_type, s32)};

// ---- processes ----
#define T(m) FIELD(struct rusage, m, slong)
constexpr Field rusage_f[] = {
    T(ru_utime.tv_sec), T(ru_utime.tv_usec), T(ru_stime.tv_sec), T(ru_stime.tv_usec), T(ru_maxrss), T(ru_ixrss),
    T(ru_idrss),        T(ru_isrss),         T(ru_minflt),       T(ru_majflt),        T(ru_nswap),  T(ru_inblock),
    T(ru_oublock),      T(ru_msgsnd),        T(ru_msgrcv),       T(ru_nsignals),      T(ru_nvcsw),  T(ru_nivcsw)};
#undef T
constexpr Field rlimit_f[] = {FIELD(struct rlimit, rlim_cur, ulong), FIELD(struct rlimit, rlim_max, ulong)};
constexpr Field rlimit64_f[] = {FIELD(struct rlimit, rlim_cur, u64), FIELD(struct rlimit, rlim_max, u64)};
#define T(m, k) FIELD(struct sysinfo, m, k)
constexpr Field sysinfo_f[] = {T(uptime, slong),    FIELDS(struct sysinfo, loads, ulong, 3),
                               T(totalram, ulong),  T(freeram, ulong),
                               T(sharedram, ulong), T(bufferram, ulong),
                               T(totalswap, ulong), T(freeswap, ulong),
                               T(procs, u16),       T(pad, u16),
                               T(totalhigh, ulong), T(freehigh, ulong),
                               T(mem_unit, u32)};
#undef T
#define T(m) FIELDS(struct utsname, m, bytes, 65)
constexpr Field utsname_f[] = {T(sysname),   T(nodename), T(release), T(version), T(machine),
#ifdef __USE_GNU
                               T(domainname)
#else
                               T(__domainname)
#endif
};
#undef T
#define T(m) FIELD(CloneArgs, m, u64)
constexpr Field clone_args_f[] = {T(flags),      T(pidfd), T(child_tid), T(parent_tid),   T(exit_signal), T(stack),
                                  T(stack_size), T(tls),   T(set_tid),   T(set_tid_size), T(cgroup)};
#undef T
constexpr Field sched_param_f[] = {FIELD(struct sched_param, sched_priority, s32)};
#define T(m, k) FIELD(SchedAttr, m, k)
constexpr Field sched_attr_f[] = {T(size, u32),     T(policy, u32),  T(flags, u64),    T(nice, s32),
                                  T(priority, u32), T(runtime, u64), T(deadline, u64), T(period, u64),
                                  T(util_min, u32), T(util_max, u32)};
#undef T
constexpr Field robust_f[] = {FIELD(RobustListHead, next, ulong), FIELD(RobustListHead, offset, slong),
                              FIELD(RobustListHead, pending, ulong)};
constexpr Field futex_waitv_f[] = {FIELD(FutexWaitv, value, u64), FIELD(FutexWaitv, address, u64),
                                   FIELD(FutexWaitv, flags, u32), FIELD(FutexWaitv, reserved, u32)};
constexpr Field cap_header_f[] = {FIELD(CapHeader, version, u32), FIELD(CapHeader, pid, s32)};
constexpr Field cap_data_f[] = {FIELD(CapData, effective, u32), FIELD(CapData, permitted, u32),
                                FIELD(CapData, inheritable, u32)};

// ---- signals ----
constexpr Field sigaction_f[] = {FIELD(SigAction, handler, ulong), FIELD(SigAction, flags, ulong),
                                 FIELD(SigAction, mask, u64)};
constexpr Field sigaction_restorer_f[] = {FIELD(SigAction, handler, ulong), FIELD(SigAction, flags, ulong),
                                          FIELD(SigAction, restorer, ulong), FIELD(SigAction, mask, u64)};
constexpr Field stack_f[] = {FIELD(SigStack, sp, ulong), FIELD(SigStack, flags, s32), FIELD(SigStack, size, ulong)};
constexpr Field u64_f[] = {{"value", Kind::u64, 1, 0, 8}};
constexpr Field sigevent_f[] = {FIELD(SigEvent, value, ulong), FIELD(SigEvent, signo, s32),
                                FIELD(SigEvent, notify, s32), FIELD(SigEvent, tid, s32), PADDING(44)};
// si_signo, si_errno, si_code, then a union aligned as its widest member, which is a pointer.
#define HEAD                                                                                                           \
    FIELD(siginfo_t, si_signo, s32), FIELD(siginfo_t, si_errno, s32), FIELD(siginfo_t, si_code, s32), PADDING_LONGS(0)
constexpr Field si_head_f[] = {HEAD};
constexpr Field si_kill_f[] = {HEAD, FIELD(siginfo_t, si_pid, s32), FIELD(siginfo_t, si_uid, u32)};
constexpr Field si_timer_f[] = {HEAD, FIELD(siginfo_t, si_timerid, s32), FIELD(siginfo_t, si_overrun, s32),
                                FIELD(siginfo_t, si_ptr, ulong)};
constexpr Field si_queue_f[] = {HEAD, FIELD(siginfo_t, si_pid, s32), FIELD(siginfo_t, si_uid, u32),
                                FIELD(siginfo_t, si_ptr, ulong)};
constexpr Field si_child_f[] = {HEAD,
                                FIELD(siginfo_t, si_pid, s32),
                                FIELD(siginfo_t, si_uid, u32),
                                FIELD(siginfo_t, si_status, s32),
                                FIELD(siginfo_t, si_utime, slong),
                                FIELD(siginfo_t, si_stime, slong)};
constexpr Field si_fault_f[] = {HEAD, FIELD(siginfo_t, si_addr, ulong)};
constexpr Field si_poll_f[] = {HEAD, FIELD(siginfo_t, si_band, slong), FIELD(siginfo_t, si_fd, s32)};
constexpr Field si_sys_f[] = {HEAD, FIELD(siginfo_t, si_call_addr, ulong), FIELD(siginfo_t, si_syscall, s32),
                              FIELD(siginfo_t, si_arch, u32)};
#undef HEAD

// ---- sockets ----
#define T(m, k) FIELD(MsgHdr, m, k)
constexpr Field msghdr_f[] = {T(name, ulong),    T(name_length, u32),      T(iov, ulong), T(iov_length, ulong),
                              T(control, ulong), T(control_length, ulong), T(flags, u32)};
#undef T
#define T(m, k) FIELD(MMsgHdr, m, k)
constexpr Field mmsghdr_f[] = {T(header.name, ulong),       T(header.name_length, u32), T(header.iov, ulong),
                               T(header.iov_length, ulong), T(header.control, ulong),   T(header.control_length, ulong),
                               T(header.flags, u32),        PADDING_LONGS(0),           T(length, u32)};
#undef T
constexpr Field cmsghdr_f[] = {FIELD(CMsgHdr, length, ulong), FIELD(CMsgHdr, level, s32), FIELD(CMsgHdr, type, s32)};
constexpr Field linger_f[] = {FIELD(struct linger, l_onoff, s32), FIELD(struct linger, l_linger, s32)};
constexpr Field ucred_f[] = {FIELD(struct ucred, pid, s32), FIELD(struct ucred, uid, u32),
                             FIELD(struct ucred, gid, u32)};

// ---- System V IPC, message queues ----
#define PERM(type, p)                                                                                                  \
    FIELD(type, p __key, s32), FIELD(type, p uid, u32), FIELD(type, p gid, u32), FIELD(type, p cuid, u32),             \
        FIELD(type, p cgid, u32), FIELD(type, p mode, u32), FIELD(type, p __seq, u16), PADDING(2), PADDING_LONGS(2)
constexpr Field ipc_perm_f[] = {PERM(struct ipc_perm, )};
constexpr Field shmid_f[] = {PERM(struct shmid_ds, shm_perm.),
                             FIELD(struct shmid_ds, shm_segsz, ulong),
                             FIELD(struct shmid_ds, shm_atime, slong),
                             FIELD(struct shmid_ds, shm_dtime, slong),
                             FIELD(struct shmid_ds, shm_ctime, slong),
                             FIELD(struct shmid_ds, shm_cpid, s32),
                             FIELD(struct shmid_ds, shm_lpid, s32),
                             FIELD(struct shmid_ds, shm_nattch, ulong),
                             PADDING_LONGS(2)};
constexpr Field msqid_f[] = {PERM(struct msqid_ds, msg_perm.),
                             FIELD(struct msqid_ds, msg_stime, slong),
                             FIELD(struct msqid_ds, msg_rtime, slong),
                             FIELD(struct msqid_ds, msg_ctime, slong),
                             FIELD(struct msqid_ds, __msg_cbytes, ulong),
                             FIELD(struct msqid_ds, msg_qnum, ulong),
                             FIELD(struct msqid_ds, msg_qbytes, ulong),
                             FIELD(struct msqid_ds, msg_lspid, s32),
                             FIELD(struct msqid_ds, msg_lrpid, s32),
                             PADDING_LONGS(2)};
constexpr Field semid_f[] = {PERM(struct semid_ds, sem_perm.), FIELD(struct semid_ds, sem_otime, slong),
                             FIELD(struct semid_ds, sem_ctime, slong), FIELD(struct semid_ds, sem_nsems, ulong),
                             PADDING_LONGS(2)};
constexpr Field semid_x86_64_f[] = {PERM(struct semid_ds, sem_perm.),
                                    FIELD(struct semid_ds, sem_otime, slong),
                                    PADDING_LONGS(1),
                                    FIELD(struct semid_ds, sem_ctime, slong),
                                    PADDING_LONGS(1),
                                    FIELD(struct semid_ds, sem_nsems, ulong),
                                    PADDING_LONGS(2)};
#undef PERM
constexpr Field sembuf_f[] = {FIELD(struct sembuf, sem_num, u16), FIELD(struct sembuf, sem_op, s16),
                              FIELD(struct sembuf, sem_flg, s16)};
#define T(m) FIELD(struct shminfo, m, ulong)
constexpr Field shminfo_f[] = {T(shmmax), T(shmmin), T(shmmni), T(shmseg), T(shmall), PADDING_LONGS(4)};
#undef T
#define T(m) FIELD(struct shm_info, m, ulong)
constexpr Field shm_info_f[] = {
    FIELD(struct shm_info, used_ids, s32), T(shm_tot), T(shm_rss), T(shm_swp), T(swap_attempts), T(swap_successes)};
#undef T
#define T(m) FIELD(struct msginfo, m, s32)
constexpr Field msginfo_f[] = {T(msgpool), T(msgmap), T(msgmax), T(msgmnb),
                               T(msgmni),  T(msgssz), T(msgtql), FIELD(struct msginfo, msgseg, u16)};
#undef T
#define T(m) FIELD(struct seminfo, m, s32)
constexpr Field seminfo_f[] = {T(semmap), T(semmni), T(semmns), T(semmnu), T(semmsl),
                               T(semopm), T(semume), T(semusz), T(semvmx), T(semaem)};
#undef T
constexpr Field mq_attr_f[] = {FIELD(struct mq_attr, mq_flags, slong), FIELD(struct mq_attr, mq_maxmsg, slong),
                               FIELD(struct mq_attr, mq_msgsize, slong), FIELD(struct mq_attr, mq_curmsgs, slong),
                               PADDING_LONGS(4)};

// ---- calls of newer kernels, asynchronous input and output ----
constexpr Field cachestat_range_f[] = {FIELD(CacheStatRange, offset, u64), FIELD(CacheStatRange, length, u64)};
#define T(m) FIELD(CacheStat, m, u64)
constexpr Field cachestat_f[] = {T(cached), T(dirty), T(writeback), T(evicted), T(recently_evicted)};
#undef T
#define T(m) FIELD(MountAttr, m, u64)
constexpr Field mount_attr_f[] = {T(set), T(clear), T(propagation), T(userns_fd)};
#undef T
constexpr Field mnt_id_req_f[] = {FIELD(MntIdReq, size, u32), FIELD(MntIdReq, fd, u32), FIELD(MntIdReq, mnt_id, u64),
                                  FIELD(MntIdReq, param, u64), FIELD(MntIdReq, mnt_ns_id, u64)};
constexpr Field xattr_args_f[] = {FIELD(XattrArgs, value, u64), FIELD(XattrArgs, size, u32),
                                  FIELD(XattrArgs, flags, u32)};
constexpr Field file_attr_f[] = {FIELD(FileAttr, xflags, u64), FIELD(FileAttr, extsize, u32),
                                 FIELD(FileAttr, nextents, u32), FIELD(FileAttr, projid, u32),
                                 FIELD(FileAttr, cowextsize, u32)};
// linux/aio_abi.h swaps key and rw_flags on big-endian machines.
constexpr Field iocb_f[] = {FIELD(IoCb, data, u64),      FIELD(IoCb, key, u32),     FIELD(IoCb, rw_flags, u32),
                            FIELD(IoCb, opcode, u16),    FIELD(IoCb, reqprio, s16), FIELD(IoCb, fildes, u32),
                            FIELD(IoCb, buf, u64),       FIELD(IoCb, nbytes, u64),  FIELD(IoCb, offset, s64),
                            FIELD(IoCb, reserved2, u64), FIELD(IoCb, flags, u32),   FIELD(IoCb, resfd, u32)};
constexpr Field io_event_f[] = {FIELD(IoEvent, data, u64), FIELD(IoEvent, obj, u64), FIELD(IoEvent, res, s64),
                                FIELD(IoEvent, res2, s64)};
#define T(m) FIELD(KexecSegment, m, ulong)
constexpr Field kexec_segment_f[] = {T(buf), T(bufsz), T(mem), T(memsz)};
#undef T

constexpr Field sock_filter_f[] = {FIELD(BpfInsn, code, u16), FIELD(BpfInsn, jt, u8), FIELD(BpfInsn, jf, u8),
                                   FIELD(BpfInsn, k, u32)};
constexpr Field sock_fprog_f[] = {FIELD(SockFprog, length, u16), FIELD(SockFprog, filter, ulong)};

// ---- scalars behind pointers ----
constexpr Field i32_f[] = {{"value", Kind::s32, 1, 0, 4}};
constexpr Field u32_f[] = {{"value", Kind::u32, 1, 0, 4}};
constexpr Field slong_f[] = {{"value", Kind::slong, 1, 0, 8}};
constexpr Field ulong_f[] = {{"value", Kind::ulong, 1, 0, 8}};
constexpr Field fd_pair_f[] = {{"fd", Kind::s32, 2, 0, 4}};

#define LAYOUT(name, type) constexpr Layout name##_l = make(#name, name##_f, sizeof(type))
LAYOUT(timespec, struct timespec);
LAYOUT(timeval, struct timeval);
LAYOUT(timezone, Timezone);
LAYOUT(itimerspec, struct itimerspec);
LAYOUT(itimerval, struct itimerval);
LAYOUT(timex, struct timex);
LAYOUT(tms, struct tms);
LAYOUT(stat, struct stat);
LAYOUT(statfs, struct statfs);
LAYOUT(statx, struct statx);
LAYOUT(rusage, struct rusage);
LAYOUT(rlimit, struct rlimit);
LAYOUT(rlimit64, struct rlimit);
LAYOUT(sysinfo, struct sysinfo);
LAYOUT(utsname, struct utsname);
LAYOUT(flock, struct flock);
LAYOUT(f_owner, struct f_owner_ex);
LAYOUT(pollfd, struct pollfd);
LAYOUT(epoll_event, struct epoll_event);
LAYOUT(sigaction, SigAction);
LAYOUT(stack, SigStack);
constexpr Layout sigset_l = make("sigset", u64_f, 8);
LAYOUT(sigevent, SigEvent);
constexpr Layout siginfo_head_l = make("siginfo", si_head_f, sizeof(siginfo_t));
constexpr Layout siginfo_kill_l = make("siginfo", si_kill_f, sizeof(siginfo_t));
constexpr Layout siginfo_timer_l = make("siginfo", si_timer_f, sizeof(siginfo_t));
constexpr Layout siginfo_queue_l = make("siginfo", si_queue_f, sizeof(siginfo_t));
constexpr Layout siginfo_child_l = make("siginfo", si_child_f, sizeof(siginfo_t));
constexpr Layout siginfo_fault_l = make("siginfo", si_fault_f, sizeof(siginfo_t));
constexpr Layout siginfo_poll_l = make("siginfo", si_poll_f, sizeof(siginfo_t));
constexpr Layout siginfo_sys_l = make("siginfo", si_sys_f, sizeof(siginfo_t));
LAYOUT(iovec, IoVec);
LAYOUT(msghdr, MsgHdr);
LAYOUT(mmsghdr, MMsgHdr);
LAYOUT(cmsghdr, CMsgHdr);
LAYOUT(termios, KernelTermios);
LAYOUT(winsize, struct winsize);
LAYOUT(ipc_perm, struct ipc_perm);
constexpr Layout shmid_ds_l = make("shmid_ds", shmid_f, sizeof(struct shmid_ds));
constexpr Layout msqid_ds_l = make("msqid_ds", msqid_f, sizeof(struct msqid_ds));
constexpr Layout semid_ds_l = make("semid_ds", semid_f, sizeof(struct semid_ds));
LAYOUT(sembuf, struct sembuf);
LAYOUT(shminfo, struct shminfo);
LAYOUT(shm_info, struct shm_info);
LAYOUT(msginfo, struct msginfo);
LAYOUT(seminfo, struct seminfo);
LAYOUT(mq_attr, struct mq_attr);
LAYOUT(sched_param, struct sched_param);
LAYOUT(sched_attr, SchedAttr);
LAYOUT(clone_args, CloneArgs);
LAYOUT(open_how, OpenHow);
constexpr Layout robust_list_head_l = make("robust_list_head", robust_f, sizeof(RobustListHead));
LAYOUT(cap_header, CapHeader);
LAYOUT(cap_data, CapData);
LAYOUT(file_handle, struct file_handle);
LAYOUT(futex_waitv, FutexWaitv);
LAYOUT(linger, struct linger);
LAYOUT(ucred, struct ucred);
LAYOUT(cachestat_range, CacheStatRange);
LAYOUT(cachestat, CacheStat);
LAYOUT(mount_attr, MountAttr);
LAYOUT(mnt_id_req, MntIdReq);
LAYOUT(xattr_args, XattrArgs);
LAYOUT(file_attr, FileAttr);
LAYOUT(iocb, IoCb);
LAYOUT(io_event, IoEvent);
LAYOUT(kexec_segment, KexecSegment);
LAYOUT(sock_filter, BpfInsn);
LAYOUT(sock_fprog, SockFprog);
constexpr Layout i32_l = make("int", i32_f, 4);
constexpr Layout u32_l = make("unsigned", u32_f, 4);
constexpr Layout u64_l = make("u64", u64_f, 8);
constexpr Layout slong_l = make("long", slong_f, 8);
constexpr Layout ulong_l = make("unsigned long", ulong_f, 8);
LAYOUT(fd_pair, FdPair);

constexpr Layout stat_x86_64_l = make("stat", stat_x86_64_f, sizeof(struct stat));
constexpr Layout epoll_event_x86_64_l = make("epoll_event", epoll_event_f, sizeof(struct epoll_event), true);
constexpr Layout sigaction_restorer_l = make("sigaction", sigaction_restorer_f, sizeof(SigAction));
constexpr Layout semid_x86_64_l = make("semid_ds", semid_x86_64_f, sizeof(struct semid_ds));

constexpr Layouts make_generic() {
    return {
#define STRUCT(name) &name##_l,
#include "user/linux/structs.def"
#undef STRUCT
    };
}
constexpr Layouts make_restorer() {
    Layouts l = make_generic();
    l[u32(S::sigaction)] = &sigaction_restorer_l;
    return l;
}
constexpr Layouts make_x86_64() {
    Layouts l = make_restorer();
    l[u32(S::stat)] = &stat_x86_64_l;
    l[u32(S::epoll_event)] = &epoll_event_x86_64_l;
    l[u32(S::semid_ds)] = &semid_x86_64_l;
    return l;
}

} // namespace

constinit const Layouts generic_layouts = make_generic();
constinit const Layouts restorer_layouts = make_restorer();
constinit const Layouts x86_64_layouts = make_x86_64();

} // namespace mimic::user
