// System V IPC and POSIX message queues.
#include "user/linux/calls/handlers.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <vector>

namespace mimic::user {
namespace {

constexpr u64 max_message = 1 << 20;
constexpr u32 max_semaphores = 32000; // SEMMSL

// A structure that a control call reads, writes, or both.
i64 with(Thread& t, const Args& a, long number, u32 at, S type, bool in, bool out) {
    u8 host[max_struct] = {};
    if (in && !t.read(type, a[at], host)) return -EFAULT;
    i64 r = number == SYS_semctl ? t.syscall(number, a.i(0), a.i(1), a.i(2), host)
                                 : t.syscall(number, a.i(0), a.i(1), host);
    if (r >= 0 && out && !t.write(type, a[at], host)) return -EFAULT;
    return r;
}

constexpr int ipc_64 = 0x100; // old callers set it; 64-bit kernels ignore it

// A message: a long, then bytes.
struct Message {
    std::vector<u8> bytes;
    u64& type() { return *reinterpret_cast<u64*>(bytes.data()); }
};

} // namespace

i64 sys_shmctl(Thread& t, const Args& a) {
    switch (a.i(1) & ~ipc_64) {
    case IPC_STAT:
    case SHM_STAT:
    case 15 /* SHM_STAT_ANY */: return with(t, a, SYS_shmctl, 2, S::shmid_ds, false, true);
    case IPC_SET: return with(t, a, SYS_shmctl, 2, S::shmid_ds, true, false);
    case IPC_INFO: return with(t, a, SYS_shmctl, 2, S::shminfo, false, true);
    case SHM_INFO: return with(t, a, SYS_shmctl, 2, S::shm_info, false, true);
    default: return t.syscall(SYS_shmctl, a.i(0), a.i(1), 0);
    }
}
i64 sys_shmat(Thread& t, const Args& a) { return t.memory().attach_shm(a.i(0), a[1], a.i(2), a.i(2) & SHM_RDONLY); }
i64 sys_shmdt(Thread& t, const Args& a) { return t.memory().detach_shm(a[0]); }

i64 sys_msgctl(Thread& t, const Args& a) {
    switch (a.i(1) & ~ipc_64) {
    case IPC_STAT:
    case MSG_STAT:
    case 13 /* MSG_STAT_ANY */: return with(t, a, SYS_msgctl, 2, S::msqid_ds, false, true);
    case IPC_SET: return with(t, a, SYS_msgctl, 2, S::msqid_ds, true, false);
    case IPC_INFO:
    case MSG_INFO: return with(t, a, SYS_msgctl, 2, S::msginfo, false, true);
    default: return t.syscall(SYS_msgctl, a.i(0), a.i(1), 0);
    }
}

i64 sys_msgsnd(Thread& t, const Args& a) {
    u64 type;
    if (!t.read(S::slong, a[1], &type)) return -EFAULT;
    if (i64(a[2]) < 0 || a[2] > max_message) return -EINVAL;
    Message m;
    m.bytes.resize(8 + size_t(a[2]));
    m.type() = type;
    if (!t.memory().read(a[1] + t.word_bytes(), m.bytes.data() + 8, a[2])) return -EFAULT;
    return t.syscall(SYS_msgsnd, a.i(0), m.bytes.data(), a[2], a.i(3));
}
i64 sys_msgrcv(Thread& t, const Args& a) {
    if (i64(a[2]) < 0) return -EINVAL;
    u64 room = std::min(a[2], max_message);
    Message m;
    m.bytes.resize(8 + size_t(room));
    i64 n = t.syscall(SYS_msgrcv, a.i(0), m.bytes.data(), room, a[3], a.i(4));
    if (n < 0) return n;
    if (!t.write(S::slong, a[1], &m.type())) return -EFAULT;
    return t.memory().write(a[1] + t.word_bytes(), m.bytes.data() + 8, u64(n)) ? n : -EFAULT;
}

i64 sys_semctl(Thread& t, const Args& a) {
    int command = a.i(2) & ~ipc_64;
    switch (command) {
    case IPC_STAT:
    case SEM_STAT:
    case 20 /* SEM_STAT_ANY */: return with(t, a, SYS_semctl, 3, S::semid_ds, false, true);
    case IPC_SET: return with(t, a, SYS_semctl, 3, S::semid_ds, true, false);
    case IPC_INFO:
    case SEM_INFO: return with(t, a, SYS_semctl, 3, S::seminfo, false, true);
    case GETALL:
    case SETALL: {
        struct semid_ds info {};
        if (i64 r = t.syscall(SYS_semctl, a.i(0), 0, IPC_STAT, &info); r < 0) return r;
        u64 count = std::min<u64>(info.sem_nsems, max_semaphores);
        std::vector<u16> values(static_cast<size_t>(count));
        bool big = t.abi().model.big;
        auto swap = [&] {
            for (u16& v : values) v = big ? __builtin_bswap16(v) : v;
        };
        if (command == SETALL) {
            if (!t.memory().read(a[3], values.data(), 2 * count)) return -EFAULT;
            swap();
        }
        i64 r = t.syscall(SYS_semctl, a.i(0), a.i(1), a.i(2), values.data());
        if (r < 0 || command == SETALL) return r;
        swap();
        return t.memory().write(a[3], values.data(), 2 * count) ? r : -EFAULT;
    }
    default: return t.syscall(SYS_semctl, a.i(0), a.i(1), a.i(2), a[3]);
    }
}

// semop and semtimedop.
i64 sys_semtimedop(Thread& t, const Args& a) {
    u32 count = a.u(2); // as the kernel takes it
    std::vector<struct sembuf> operations;
    struct timespec timeout;
    bool timed = a.row->host == SYS_semtimedop && a[3] != 0;
    if (timed && !t.read(S::timespec, a[3], &timeout)) return -EFAULT;
    if (count > 500) return -E2BIG; // SEMOPM
    if (count == 0) return -EINVAL;
    if (!t.read_array(S::sembuf, a[1], operations, count)) return -EFAULT;
    return t.syscall(SYS_semtimedop, a.i(0), operations.data(), count, timed ? &timeout : nullptr);
}

i64 sys_mq_open(Thread& t, const Args& a) {
    std::string name;
    struct mq_attr attributes;
    if (i64 r = t.path(a[0], name)) return r;
    bool given = a.u(1) & 0100 /* O_CREAT */ && a[3] != 0;
    if (given && !t.read(S::mq_attr, a[3], &attributes)) return -EFAULT;
    return t.syscall(SYS_mq_open, name.c_str(), a.i(1), a.u(2), given ? &attributes : nullptr);
}

} // namespace mimic::user
