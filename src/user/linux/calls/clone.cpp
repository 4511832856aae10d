// New threads and processes. clone(2).
//
// A thread is a host thread of the C library, so that our own code has its thread-local storage; a process is a fork;
// a child that shares memory until it executes a program (vfork, posix_spawn) runs in our memory too, on a stack of its
// own while the parent waits, so that what it writes is seen, as the C libraries' posix_spawn expects.
#include "user/debug/debugger.hpp"
#include "user/linux/calls/handlers.hpp"
#include "user/root/owners.hpp"
#include <cerrno>
#include <climits>
#include <linux/futex.h>
#include <optional>
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mimic::user {
namespace {

using process::raw_syscall;

constexpr u64 exit_signal_mask = 0xff;
constexpr u64 thread_flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
constexpr u64 namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                           CLONE_NEWNET | CLONE_IO;
constexpr u64 clear_sighand = 0x100000000ull; // CLONE_CLEAR_SIGHAND
constexpr u64 host_stack = 1 << 20;

// What a new thread or process starts with.
struct Request {
    u64 flags = 0;
    int exit_signal = 0;
    u64 stack = 0, tls = 0, parent_tid = 0, child_tid = 0, pidfd = 0;
};

void set_registers(Thread& child, const Request& r) {
    const RegisterMap& map = child.process().map;
    child.set(map.result, 0);
    if (r.stack) child.set(map.sp, r.stack);
    if (r.flags & CLONE_SETTLS) child.set(map.tls, r.tls);
}

// With shared memory the child writes the parent's copy, too: before it runs, since it may end and clear it at once.
void child_ids(Thread& child, const Request& r, bool shared) {
    i32 tid = child.tid();
    if (shared && r.flags & CLONE_PARENT_SETTID) child.write(S::i32, r.parent_tid, &tid);
    if (r.flags & CLONE_CHILD_SETTID) child.write(S::i32, r.child_tid, &tid);
    if (r.flags & CLONE_CHILD_CLEARTID) child.clear_child_tid = r.child_tid;
}

void inherit(Thread& child, Thread& parent, bool keeps_altstack, u64 mask) {
    child.altstack = keeps_altstack ? parent.altstack : SigStack{0, SS_DISABLE, 0};
    child.inherit_mask(mask);
    child.credentials = parent.credentials;
    std::lock_guard guard(parent.process().members_lock); // another thread may synchronise filters
    child.seccomp.inherit(parent.seccomp);
}

// ---- threads ----

struct Start {
    Thread *thread, *parent;
    Request request;
    u64 mask; // the host's, to be set when the thread is ready for signals
    std::atomic<u32> tid{0};
};

void* thread_main(void* argument) {
    auto* start = static_cast<Start*>(argument);
    Thread* thread = start->thread;
    u64 mask = start->mask;
    thread->adopt();
    inherit(*thread, *start->parent, false, start->parent->mask()); // as one of the process's: it misses no new filter
    if (thread->process().debugger) thread->process().debugger->attach(*thread);
    child_ids(*thread, start->request, true);
    start->tid.store(u32(thread->tid()), std::memory_order_release);
    raw_syscall(SYS_futex, u64(&start->tid), FUTEX_WAKE_PRIVATE, 1); // `start` is gone from here on
    Thread::unblock(mask);
    thread->run();
    Thread::block_all();
    thread->finish_thread();
    thread->process().threads.fetch_sub(1);
    delete thread;
    return nullptr;
}

i64 new_thread(Thread& t, const Request& r) {
    Process& p = t.process();
    auto cpu = p.engine.make_vcpu(&t.cpu());
    if (!cpu) return -ENOMEM;
    auto thread = std::make_unique<Thread>(p, t.signals(), *std::move(cpu));
    set_registers(*thread, r);
    if (p.threads.fetch_add(1) == 1) p.engine.set_single_threaded(false);
    Start start{thread.get(), &t, r, Thread::block_all(), {}};
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, host_stack);
    pthread_t id;
    int error = pthread_create(&id, &attributes, thread_main, &start);
    pthread_attr_destroy(&attributes);
    if (error != 0) {
        p.threads.fetch_sub(1);
        Thread::unblock(start.mask);
        return -EAGAIN;
    }
    (void)thread.release();
    while (start.tid.load(std::memory_order_acquire) == 0)
        raw_syscall(SYS_futex, u64(&start.tid), FUTEX_WAIT_PRIVATE, 0);
    i32 tid = i32(start.tid.load());
    Thread::unblock(start.mask);
    return tid;
}

// ---- processes ----

// The child's side, in a copy of everything.
void become_child(Thread& t, const Request& r) {
    t.process().memory.after_fork();
    if (t.process().owners) t.process().owners->after_fork();
    if (!t.process().engine.after_fork_child(t.cpu())) {
        static constexpr char text[] = "mimic: no memory for translated code after fork\n";
        raw_syscall(SYS_write, 2, u64(text), sizeof text - 1);
        raw_syscall(SYS_exit_group, 127);
    }
    t.process().threads = 1;
    t.process().dying = false; // the parent may have been
    t.process().engine.set_single_threaded(true);
    t.refresh_tid();
    t.clear_child_tid = 0;
    t.robust_list = 0;
    if (r.flags & clear_sighand) t.signals().reset_handlers();
    if (raw_syscall(SYS_getpid) == 1) release_fatal_signals(t.signals());
    set_registers(t, r);
    child_ids(t, r, false);
}

// The C library's fork puts its allocator in order when other threads hold its locks; it knows no flags. Alone, the
// plain call does.
i64 make_process(Thread& t, const Request& r, i32* pidfd) {
    bool plain = (r.flags & (namespaces | CLONE_PARENT | CLONE_PIDFD)) == 0 && r.exit_signal == SIGCHLD;
    if (plain || t.process().threads.load() > 1) {
        pid_t pid = fork();
        if (pid == 0 && (r.flags & namespaces) && raw_syscall(SYS_unshare, r.flags & namespaces) < 0)
            raw_syscall(SYS_exit_group, 127);
        if (pid > 0 && r.flags & CLONE_PIDFD) *pidfd = i32(raw_syscall(SYS_pidfd_open, u64(pid), 0));
        return pid < 0 ? -errno : pid;
    }
    u64 flags = (r.flags & (namespaces | CLONE_PARENT | CLONE_PIDFD)) | u64(r.exit_signal);
    return raw_syscall(SYS_clone, flags, 0, u64(pidfd), 0, 0);
}

// The registers that the child has.
std::unique_ptr<Vcpu> child_state(Thread& t, const Request& r) {
    auto cpu = t.process().engine.make_vcpu(&t.cpu());
    if (!cpu) return {};
    const RegisterMap& map = t.process().map;
    ir::CpuHeader& h = (*cpu)->header();
    reg(h, map.result) = 0;
    if (r.stack) reg(h, map.sp) = r.stack;
    if (r.flags & CLONE_SETTLS) reg(h, map.tls) = r.tls;
    return *std::move(cpu);
}

i64 new_process(Thread& t, const Request& r) {
    Process& p = t.process();
    u64 mask = Thread::block_all();
    i32 pidfd = -1;
    if (p.debugger) p.debugger->before_fork(t);
    p.members_lock.lock();
    p.limits_lock.lock(), p.aio_lock.lock(); // nobody would release them in the child
    if (p.owners) p.owners->before_fork();
    p.memory.before_fork([&] { p.engine.before_fork(); });
    i64 pid = make_process(t, r, &pidfd);
    if (pid == 0) {
        p.members = {&t};
        p.limits_lock.unlock(), p.aio_lock.unlock();
        p.members_lock.unlock();
        become_child(t, r);
        if (p.debugger) p.debugger->after_fork_child(t);
        Thread::unblock(mask);
        return keep_registers;
    }
    p.memory.after_fork();
    if (p.owners) p.owners->after_fork();
    p.engine.after_fork_parent();
    p.limits_lock.unlock(), p.aio_lock.unlock();
    p.members_lock.unlock();
    if (pid > 0) {
        i32 id = i32(pid);
        if (r.flags & CLONE_PARENT_SETTID) t.write(S::i32, r.parent_tid, &id);
        if (r.flags & CLONE_PIDFD) t.write(S::i32, r.pidfd, &pidfd);
    }
    if (p.debugger) p.debugger->after_fork_parent(t, pid, child_state(t, r));
    Thread::unblock(mask);
    return pid;
}

// ---- children in the parent's memory ----

struct Borrowed {
    Thread* parent;
    const Request* request;
    std::unique_ptr<Vcpu> cpu;
    u64 mask;
    // The child's, but it ends without destroying anything: that is left to the parent.
    SignalTable signals{};
    std::optional<Thread> thread{};
};

int borrowed_main(void* argument) {
    auto* b = static_cast<Borrowed*>(argument);
    Thread& parent = *b->parent;
    // Dispositions are the child's own from here on, as they are in the kernel.
    SignalTable& signals = b->signals;
    parent.signals().copy_to(signals);
    Thread& child = b->thread.emplace(parent.process(), signals, std::move(b->cpu));
    child.borrowed = true;
    child.refresh_tid();
    set_current_thread(&child);
    if (b->request->flags & clear_sighand) signals.reset_handlers();
    inherit(child, parent, true, parent.mask());
    set_registers(child, *b->request);
    child_ids(child, *b->request, true);
    if (parent.process().debugger) parent.process().debugger->vforked(parent, child);
    Thread::unblock(b->mask);
    int status = child.run();
    raw_syscall(SYS_exit_group, u64(status));
    return 0;
}

i64 borrow_memory(Thread& t, const Request& r) {
    auto cpu = t.process().engine.make_vcpu(&t.cpu());
    void* stack = mmap(nullptr, host_stack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (!cpu || stack == MAP_FAILED) {
        if (stack != MAP_FAILED) munmap(stack, host_stack);
        return -ENOMEM;
    }
    Borrowed b{&t, &r, *std::move(cpu), Thread::block_all()};
    i32 pidfd = -1;
    u64 flags = CLONE_VM | CLONE_VFORK | (r.flags & (CLONE_FS | CLONE_FILES | CLONE_PIDFD | CLONE_PARENT | namespaces));
    int pid = clone(borrowed_main, static_cast<u8*>(stack) + host_stack, int(flags | u64(r.exit_signal)), &b, &pidfd);
    int error = errno;
    // The child has its own memory now, or is dead; everything here is ours again.
    if (t.process().debugger) t.process().debugger->vfork_done(t, b.thread ? &*b.thread : nullptr);
    b.thread.reset();
    set_current_thread(&t);
    ASAN_UNPOISON_MEMORY_REGION(stack, host_stack); // its frames never returned
    munmap(stack, host_stack);
    if (pid > 0 && r.flags & CLONE_PIDFD) t.write(S::i32, r.pidfd, &pidfd);
    Thread::unblock(b.mask);
    return pid < 0 ? -error : pid;
}

// Where the descriptor of a child goes must be writable before there is one.
bool takes_pidfd(Thread& t, const Request& r) {
    i32 before;
    return t.read(S::i32, r.pidfd, &before) && t.write(S::i32, r.pidfd, &before);
}

i64 start(Thread& t, const Request& r) {
    if (r.flags & CLONE_PIDFD && !takes_pidfd(t, r)) return -EFAULT;
    if (r.exit_signal < 0 || r.exit_signal > 64) return -EINVAL;
    if (r.flags & CLONE_SIGHAND && !(r.flags & CLONE_VM)) return -EINVAL;
    if (r.flags & CLONE_THREAD && !(r.flags & CLONE_SIGHAND)) return -EINVAL;
    if (r.flags & CLONE_SIGHAND && r.flags & clear_sighand) return -EINVAL;
    if (r.flags & CLONE_THREAD) {
        // Host threads share all of these; a thread with a directory or descriptors of its own isn't offered.
        return (r.flags & thread_flags) == thread_flags && !(r.flags & (namespaces & ~u64(CLONE_IO))) ? new_thread(t, r)
                                                                                                      : -EINVAL;
    }
    if (!(r.flags & CLONE_VM)) return new_process(t, r);
    // Memory shared beyond an exec is possible for threads only.
    return r.flags & CLONE_VFORK && !(r.flags & CLONE_SIGHAND) ? borrow_memory(t, r) : -EINVAL;
}

} // namespace

// Argument order of the generic table: flags, stack, parent_tid, tls, child_tid; x86-64 swaps the last two.
i64 sys_clone(Thread& t, const Args& a) {
    bool swapped = t.abi().numbers == Numbers::x86_64;
    Request r;
    r.flags = a[0] & ~exit_signal_mask & 0xffffffff;
    r.exit_signal = int(a[0] & exit_signal_mask);
    r.stack = a[1];
    r.parent_tid = a[2];
    r.tls = a[swapped ? 4 : 3];
    r.child_tid = a[swapped ? 3 : 4];
    r.pidfd = a[2];
    if (r.flags & CLONE_PIDFD && r.flags & CLONE_PARENT_SETTID) return -EINVAL;
    return start(t, r);
}

i64 sys_clone3(Thread& t, const Args& a) {
    constexpr u64 version0 = 64;
    if (a[1] < version0) return -EINVAL;
    if (a[1] > 4096) return -E2BIG;
    u8 raw[88] = {};
    if (!t.memory().read(a[0], raw, std::min<u64>(a[1], sizeof raw))) return -EFAULT;
    for (u64 at = sizeof raw; at < a[1]; at++) {
        u8 byte;
        if (!t.memory().read(a[0] + at, &byte, 1)) return -EFAULT;
        if (byte) return -E2BIG;
    }
    CloneArgs given;
    from_guest(t.abi().layout(S::clone_args), t.abi().model, raw, &given);
    if (given.set_tid_size != 0 || given.flags & 0x200000000ull /* CLONE_INTO_CGROUP */) return -EOPNOTSUPP;
    if (given.flags & exit_signal_mask || (given.stack == 0) != (given.stack_size == 0)) return -EINVAL;
    Request r;
    r.flags = given.flags;
    r.exit_signal = int(given.exit_signal);
    r.stack = given.stack + given.stack_size;
    r.tls = given.tls;
    r.parent_tid = given.parent_tid;
    r.child_tid = given.child_tid;
    r.pidfd = given.pidfd;
    return start(t, r);
}

i64 sys_set_tid_address(Thread& t, const Args& a) {
    t.clear_child_tid = a[0];
    return t.tid();
}

// The last thread's exit is the process's, as in the kernel. The first host thread can't return from its start, so it
// ends in the kernel.
i64 sys_exit(Thread& t, const Args& a) {
    if (t.borrowed) return sys_exit_group(t, a);
    if (t.tid() != raw_syscall(SYS_getpid)) {
        if (t.process().threads.load() > 1) {
            t.leave(a.i(0));
            return keep_registers;
        }
        t.process().engine.finish();
        if (t.process().debugger) t.process().debugger->exits(t, a.i(0));
        raw_syscall(SYS_exit_group, u64(a.i(0)));
    }
    t.finish_thread();
    if (t.process().threads.fetch_sub(1) > 1) {
        Thread::block_all();
        raw_syscall(SYS_exit, u64(a.i(0)));
    }
    t.process().engine.finish();
    if (t.process().debugger) t.process().debugger->exits(t, a.i(0));
    raw_syscall(SYS_exit_group, u64(a.i(0)));
    return 0;
}

// Other threads must not see this one's end before their own: only the last cleans up.
i64 sys_exit_group(Thread& t, const Args& a) {
    if (t.borrowed || t.process().threads.load() == 1) t.finish_thread();
    if (!t.borrowed) t.process().engine.finish(); // else the process goes on, and this is its parent's memory
    if (t.process().debugger) t.process().debugger->exits(t, a.i(0));
    raw_syscall(SYS_exit_group, u64(a.i(0)));
    return 0;
}

} // namespace mimic::user
