// The guest threads' side, and the tracer.
#include "user/debug/debugger.hpp"
#include "base/process.hpp"
#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mimic::user {

using gdb::Stop;
using process::raw_syscall;

Debugger::~Debugger() { delete sync_; }

Tracee* Debugger::find(u64 thread) const {
    for (const auto& d : tracees_)
        if (u64(d->thread->tid()) == thread && !d->released) return d.get();
    return nullptr;
}

// ---- guest threads ----------------------------------------------------------------------------------------------------

void Debugger::attach(Thread& t) {
    Lock lock(sync_->mutex);
    auto d = std::make_unique<Tracee>();
    d->thread = &t;
    d->allowed = all_allowed_;
    t.tracee = d.get();
    tracees_.push_back(std::move(d));
    if (!breaks_.data.empty()) watch(t);
}

void Debugger::leave(Thread& t) {
    if (!t.tracee || t.tracee->process) return;
    Lock lock(sync_->mutex);
    park(lock, *t.tracee);
    std::erase_if(tracees_, [&](auto& d) { return d.get() == t.tracee; });
    t.tracee = nullptr;
    sync_->stands.notify_all();
    bool some = std::any_of(tracees_.begin(), tracees_.end(), [](auto& d) { return d->allowed; });
    if (!attached_ || some || tracees_.empty()) return;
    stopped_ = have_stop_ = true;
    stop_ = {.kind = Stop::Kind::nothing_runs};
    wake();
}

void Debugger::park(Lock& lock, Tracee& d) {
    if (!attached_ || d.released || (!stopped_ && d.allowed)) return;
    d.parked = true;
    sync_->stands.notify_all();
    sync_->go.wait(lock, [&] { return !attached_ || d.released || (!stopped_ && d.allowed); });
    d.parked = false;
}

// To a thread, by the kernel, since it is in the kernel itself or has another one to deliver already. deliver() knows it
// by its value.
void Debugger::send(Tracee& d, int signal) {
    siginfo_t info{};
    info.si_signo = signal;
    info.si_code = SI_QUEUE;
    info.si_pid = int(raw_syscall(SYS_getpid));
    info.si_value.sival_ptr = &d;
    raw_syscall(SYS_rt_tgsigqueueinfo, d.process ? d.process : pid_, u64(d.thread->tid()), u64(signal), u64(&info));
}

void Debugger::wake() {
    u64 one = 1;
    raw_syscall(SYS_write, u64(event_), u64(&one), 8); // it can't be full
}

void Debugger::stop_others() {
    for (const auto& d : tracees_) d->thread->cpu().kick();
}

// The caller may run: nobody else has stopped the process. It goes on when gdb says so.
void Debugger::report(Lock& lock, Tracee& d, Stop stop) {
    stop.thread = u64(d.thread->tid());
    d.step = d.stepped = d.entered = false;
    if (int signal = std::exchange(d.signal, 0)) send(d, signal); // after this one
    stopped_ = have_stop_ = true;
    stop_ = std::move(stop);
    stop_others();
    wake();
    park(lock, d);
}

bool Debugger::run(Thread& t) {
    Tracee* d = t.tracee;
    if (!d) { // a child that borrows the memory runs without a debugger, and meets its parent's breakpoints
        t.cpu().run();
        if (t.cpu().at_breakpoint()) t.cpu().step();
        return true;
    }
    bool step;
    {
        Lock lock(sync_->mutex);
        park(lock, *d);
        if (d->released || (d->process && !attached_)) return drop(t), false;
        if (d->step && d->entered) return report(lock, *d, {}), false;
        if (int signal = std::exchange(d->signal, 0)) {
            d->info = {};
            d->info.si_signo = signal;
            d->info.si_pid = int(raw_syscall(SYS_getpid));
            lock.unlock();
            t.deliver_now(signal, d->info);
            return false;
        }
        if (t.pending_) return false;
        step = d->stepped = d->step;
    }
    step ? t.cpu().step() : t.cpu().run();
    if (const WatchRange* hit = t.cpu().watch_hit()) return meets_watch(t, *hit), false;
    if (step) return true;
    if (!t.cpu().at_breakpoint()) return true;
    t.cpu().clear_kick();
    Lock lock(sync_->mutex);
    // Whoever was stopped meanwhile meets it again.
    if (attached_ && !stopped_ && d->allowed && breaks_.code.contains(t.header().pc)) report(lock, *d, {});
    return false;
}

// The access has not happened.
void Debugger::meets_watch(Thread& t, WatchRange w) {
    Tracee* d = t.tracee;
    const bool before = view().watches_before_access();
    do {
        if (before) break;
        t.cpu().step(false);
        t.handle_exit();
    } while (t.retries());
    Lock lock(sync_->mutex);
    d->stepped = false;
    if (before && (stopped_ || !d->allowed)) return; // it meets it again
    park(lock, *d);
    gdb::Break kind = w.read && w.write ? gdb::Break::access : w.read ? gdb::Break::read : gdb::Break::write;
    if (attached_) report(lock, *d, {.kind = Stop::Kind::watchpoint, .watch = kind, .address = w.address});
}

void Debugger::ran(Thread& t) {
    Tracee* d = t.tracee;
    if (!d || !d->stepped) return;
    Lock lock(sync_->mutex);
    d->stepped = false;
    if (t.retries()) return; // the instruction is still to come
    if (attached_ && !stopped_ && d->allowed && d->step) report(lock, *d, {});
}

int Debugger::deliver(Thread& t, int signal, siginfo_t& info) {
    Tracee* d = t.tracee;
    if (!d) return signal;
    Lock lock(sync_->mutex);
    if (info.si_code == SI_QUEUE && info.si_value.sival_ptr == d) { // gdb's wish
        info = {};
        info.si_signo = signal;
        info.si_pid = int(raw_syscall(SYS_getpid));
        return signal;
    }
    int number = gdb_signal(signal);
    if (!attached_ || passed_.contains(number)) return signal;
    park(lock, *d);
    if (!attached_) return signal;
    d->info = info;
    report(lock, *d, {.signal = number});
    if (!attached_) return signal;
    int instead = std::exchange(d->signal, 0);
    if (instead == 0) return 0;
    info = d->info;
    if (instead != signal) {
        info = {};
        info.si_pid = int(raw_syscall(SYS_getpid));
    }
    info.si_signo = instead;
    return instead;
}

void Debugger::entered_handler(Thread& t) {
    if (t.tracee && t.tracee->step) t.tracee->entered = true;
}

void Debugger::calls(Thread& t, u64 number) {
    Tracee* d = t.tracee;
    if (!d) return;
    Lock lock(sync_->mutex);
    park(lock, *d);
    if (attached_ && catches_ && (caught_.empty() || caught_.contains(number)))
        report(lock, *d, {.kind = Stop::Kind::call_entry, .address = number});
    if (int signal = std::exchange(d->signal, 0)) send(*d, signal); // the call may take for ever
    d->in_call = true;
}

void Debugger::returned(Thread& t, u64 number) {
    Tracee* d = t.tracee;
    if (!d) return;
    Lock lock(sync_->mutex);
    d->in_call = false;
    park(lock, *d);
    if (attached_ && catches_ && (caught_.empty() || caught_.contains(number)))
        report(lock, *d, {.kind = Stop::Kind::call_return, .address = number});
}

// Told by the thread itself: the tracer ends with the process. A child in the memory of its parent leaves it to the
// tracer, once the others stand. A stop that is not yet told comes first.
void Debugger::ended(Thread& t, Stop stop) {
    Lock lock(sync_->mutex);
    if (t.tracee) park(lock, *t.tracee);
    if (!t.borrowed) remove_socket();
    if (!attached_ || connection_ < 0) return;
    if (t.borrowed && t.tracee->released) return drop(t);
    stop.thread = t.borrowed ? u64(t.tid()) : pid_;
    stopped_ = true;
    if (!t.borrowed) return on_stop(stop);
    t.tracee->parked = have_stop_ = true;
    stop_ = stop;
    stop_others();
    wake();
    sync_->go.wait(lock, [&] { return !attached_ || !have_stop_; });
    drop(t);
}

void Debugger::exits(Thread& t, int status) {
    if (t.tracee ? !t.tracee->released : !t.borrowed && tracees_.empty())
        ended(t, {.kind = Stop::Kind::exited, .signal = status});
}

void Debugger::dies(Thread& t, int signal) {
    if (t.tracee && !t.tracee->released) ended(t, {.kind = Stop::Kind::killed, .signal = gdb_signal(signal)});
}

void Debugger::stands_for_ever(Thread& t) {
    if (!t.tracee) return;
    Lock lock(sync_->mutex);
    t.tracee->parked = true;
    sync_->stands.notify_all();
}

// With the lock.
void Debugger::drop(Thread& t) {
    std::erase_if(tracees_, [&](auto& d) { return d.get() == t.tracee; });
    t.tracee = nullptr;
}

// ---- the tracer -------------------------------------------------------------------------------------------------------

bool Debugger::quiet() const {
    return std::all_of(tracees_.begin(), tracees_.end(),
                       [](auto& d) { return d->parked || d->in_call || d->released; });
}

void Debugger::settle(Lock& lock) {
    while (have_stop_ && attached_) {
        sync_->stands.wait(lock, [&] { return quiet(); });
        have_stop_ = false;
        if (stop_.kind == Stop::Kind::forked)
            if (auto child = children_.find(stop_.address); child != children_.end()) child->second.told = true;
        on_stop(stop_);
        sync_->go.notify_all();
    }
}

Result<void> Debugger::start() {
    server_.reset(); // it takes on_stop back
    server_.reset(new gdb::Server(*this, [this](std::string_view bytes) {
        while (!bytes.empty()) {
            i64 n = raw_syscall(SYS_sendto, u64(connection_), u64(bytes.data()), bytes.size(), MSG_NOSIGNAL, 0, 0);
            if (n == -EINTR) continue;
            if (n <= 0) return; // reading tells that it is gone
            bytes.remove_prefix(size_t(n));
        }
    }));
    // What its own accesses to guest memory raise stays open; other signals are for guest threads.
    u64 mask = Thread::block_all(), own = ~own_signals;
    raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, u64(&own), 0, 8);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 1 << 20);
    pthread_t id;
    auto main = [](void* self) -> void* {
        auto* d = static_cast<Debugger*>(self);
        d->serve();
        d->traces_ = false;
        return nullptr;
    };
    traces_ = true;
    int error = pthread_create(&id, &attributes, main, this);
    pthread_attr_destroy(&attributes);
    raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, u64(&mask), 0, 8);
    if (error) traces_ = false;
    return error ? Error::from_errno(error, "-g: make a thread") : Result<void>();
}

void Debugger::serve() {
    if (connection_ >= 0) {
        Lock lock(sync_->mutex);
        take_over(inherited_, waits_);
        sync_->stands.wait(lock, [&] { return !tracees_.empty() && quiet(); });
        if (waits_) {
            Stop s{.kind = Stop::Kind::executed, .thread = u64(tracees_[0]->thread->tid()), .path = process_.exe};
            on_stop(s);
        }
    }
    for (;;) {
        if (connection_ < 0) {
            int fd = accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
            if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
            if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
                poll(nullptr, 0, 100); // until the program has closed some
                continue;
            }
            if (fd < 0) return;
            Lock lock(sync_->mutex);
            if (waits_for_gdb() && !tracees_.empty()) catch_fatal_signals(tracees_[0]->thread->signals(), true);
            set_connection(fd);
            attached_ = true;
            server_->connect();
            have_stop_ = false; // gdb asks for the reason
            sync_->stands.wait(lock, [&] { return quiet(); });
        }
        while (talk()) {}
        Lock lock(sync_->mutex);
        if (handed_over_) return stop_listening(); // it is the child's socket that gdb may meet again
        server_->disconnect();
        close_connection();
        go_free();
        if (listening_ < 0) return;
    }
}

void Debugger::stop_listening() {
    remove_socket();
    if (listening_ >= 0) process_.forget(listening_), close(std::exchange(listening_, -1));
}

// Waits for one thing to happen. False: the connection has ended.
bool Debugger::talk() {
    pollfd fds[] = {{event_, POLLIN, 0}, {connection_, POLLIN, 0}};
    if (poll(fds, handing_ ? 1 : 2, -1) < 0) return errno == EINTR;
    if (fds[0].revents) {
        u64 count;
        raw_syscall(SYS_read, u64(event_), u64(&count), 8);
        Lock lock(sync_->mutex);
        settle(lock);
        if (handed_over_) return false;
    }
    if (!fds[1].revents || handing_) return true;
    u8 bytes[4096];
    i64 n = raw_syscall(SYS_read, u64(connection_), u64(bytes), sizeof bytes);
    if (n == -EINTR) return true;
    if (n <= 0) return false;
    Lock lock(sync_->mutex);
    server_->feed({bytes, size_t(n)});
    settle(lock);
    return attached_ && !handed_over_;
}

// Everything runs, and nobody is told of it.
void Debugger::go_free() {
    while (!children_.empty()) release(children_.begin()->first, false);
    clear_breaks();
    catches_ = false;
    caught_.clear(), passed_.clear();
    attached_ = stopped_ = have_stop_ = false;
    all_allowed_ = true;
    for (const auto& d : tracees_) d->allowed = true, d->step = d->stepped = d->entered = false;
    sync_->go.notify_all();
}

} // namespace mimic::user
