// Where a debugger comes from and goes to: sockets, children that are forked, programs that are executed.
#include "base/process.hpp"
#include "user/debug/debugger.hpp"
#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

namespace mimic::user {

using gdb::Stop;
using process::raw_syscall;

namespace {

constexpr size_t most_handed = 1 << 16; // bytes

// Items between commas, fields between semicolons.
std::string_view next(std::string_view& text, char end) {
    size_t at = std::min(text.find(end), text.size());
    std::string_view item = text.substr(0, at);
    text.remove_prefix(std::min(at + 1, text.size()));
    return item;
}

bool port_of(std::string_view text, u16& port) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc() && end == text.data() + text.size() && port != 0;
}

sockaddr_un local_name(const std::string& path) {
    sockaddr_un name{.sun_family = AF_UNIX};
    std::memcpy(name.sun_path, path.data(), std::min(path.size(), sizeof name.sun_path - 1));
    return name;
}

// Removes a socket that a process has left behind; any other file is somebody's. A connection of another kind than the
// socket's is never made, so a program that waits there notices nothing: ECONNREFUSED says that nobody is there.
Result<void> remove_left(const std::string& path) {
    struct stat st;
    if (lstat(path.c_str(), &st) != 0) return {};
    if (!S_ISSOCK(st.st_mode))
        return Error::invalid_argument("-g {}: expected a new name or a socket, a file is there", path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un name = local_name(path);
    int error = connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0 ? 0 : errno;
    close(fd);
    if (error != ECONNREFUSED)
        return Error::invalid_argument("-g {}: expected a socket that is free, a process has this one", path);
    if (unlink(path.c_str()) != 0) return Error::from_errno(errno, "-g {}", path);
    return {};
}

Result<int> listen_at(const DebugPlace& place, std::string& path) {
    sockaddr_un local{};
    sockaddr_in inet{.sin_family = AF_INET, .sin_port = htons(place.port)};
    std::string what;
    if (place.path.empty()) {
        what = fmt::format("{}:{}", place.host, place.port);
        if (inet_pton(AF_INET, place.host.c_str(), &inet.sin_addr) != 1)
            return Error::invalid_argument("-g {}: expected an IPv4 address before the colon", what);
    } else {
        path = what = place.path;
        if (size_t at = path.find("%d"); at != std::string::npos) path.replace(at, 2, std::to_string(getpid()));
        if (path.size() >= sizeof local.sun_path)
            return Error::invalid_argument("-g {}: expected a path of at most {} bytes", what,
                                           sizeof local.sun_path - 1);
        TRY(remove_left(path));
        local = local_name(path);
        path = std::filesystem::absolute(path); // the program may go elsewhere before it is removed
    }
    bool inet_one = place.path.empty();
    int fd = socket(inet_one ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0) return Error::from_errno(errno, "-g {}", what);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const void* address = inet_one ? static_cast<const void*>(&inet) : &local;
    if (bind(fd, static_cast<const sockaddr*>(address), inet_one ? sizeof inet : sizeof local) != 0 ||
        listen(fd, 1) != 0) {
        auto error = Error::from_errno(errno, "-g {}: expected a port or path to listen at", what);
        close(fd);
        return error;
    }
    return fd;
}

} // namespace

Result<DebugPlace> parse_debug_place(std::string_view text) {
    DebugPlace place;
    if (text.starts_with("left:")) {
        place.left = text.substr(5);
        return place;
    }
    std::string_view where = next(text, ',');
    if (where.starts_with("inherited:")) {
        place.inherited = where.substr(10);
        if (!text.empty()) place.inherited.append(",").append(text);
        return place;
    }
    while (!text.empty()) {
        std::string_view word = next(text, ',');
        if (word != "suspend=y" && word != "suspend=n")
            return Error::invalid_argument("-g: {}: expected suspend=y or suspend=n", word);
        place.suspend = word.ends_with('y');
    }
    size_t colon = where.rfind(':');
    place.host = "127.0.0.1";
    if (where.empty() || port_of(where, place.port)) return place;
    if (where.find('/') == std::string_view::npos && colon != std::string_view::npos &&
        port_of(where.substr(colon + 1), place.port)) {
        if (colon != 0) place.host = where.substr(0, colon);
        return place;
    }
    if (where.find_first_not_of("0123456789") == std::string_view::npos)
        return Error::invalid_argument("-g {}: expected a port from 1 to 65535", where);
    place.path = where;
    return place;
}

void forget_left(const std::string& path) {
    if (!path.empty()) (void)remove_left(path);
}

Result<std::unique_ptr<Debugger>> Debugger::open(Process& process, const DebugPlace& place) {
    if (!process.engine.guest() || !process.engine.guest()->debug())
        return Error::unsupported("-g: the registers of {} have no description for gdb", process.abi.name);
    std::unique_ptr<Debugger> d(new Debugger(process));
    d->pid_ = u64(raw_syscall(SYS_getpid));
    d->event_ = process.keep(eventfd(0, EFD_CLOEXEC));
    if (d->event_ < 0) return Error::from_errno(-d->event_, "-g: eventfd");
    if (!place.inherited.empty()) {
        std::string_view text = place.inherited;
        std::string_view number = next(text, ';');
        int fd = -1;
        std::from_chars(number.data(), number.data() + number.size(), fd);
        if (std::string left; gdb::from_hex(next(text, ';'), left)) forget_left(left);
        if (fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
            return Error::invalid_argument("-g inherited:{}: expected what Mimic wrote", place.inherited);
        d->slot_ = d->connection_ = process.keep_there(fd);
        d->inherited_ = text;
        d->stopped_ = d->attached_ = true;
        return d;
    }
    int fd = TRY(listen_at(place, d->socket_path_));
    d->listening_ = process.keep(fd);
    // The connection has this number whenever there is one.
    d->slot_ = process.keep(fcntl(d->event_, F_DUPFD_CLOEXEC, 3));
    if (d->listening_ < 0 || d->slot_ < 0) return Error::from_errno(EMFILE, "-g");
    d->stopped_ = d->attached_ = place.suspend;
    return d;
}

void Debugger::set_connection(int fd) {
    raw_syscall(SYS_dup3, u64(fd), u64(slot_), O_CLOEXEC);
    raw_syscall(SYS_close, u64(fd));
    connection_ = slot_;
}

void Debugger::close_connection() {
    if (connection_ < 0) return;
    raw_syscall(SYS_dup3, u64(event_), u64(slot_), O_CLOEXEC); // the number stays ours
    connection_ = -1;
}

// ---- what changes hands -----------------------------------------------------------------------------------------------

// FLAGS,GHOST;SIGNALS;CALLS;BREAKPOINTS, numbers in hexadecimal.
std::string Debugger::handover(const Breaks& breaks, u64 ghost) const {
    gdb::Server::State s = server_->state();
    std::string out = fmt::format("{:d}{:d}{:d}{:d}{:d},{:x};", s.acknowledges, s.processes, s.events.forks,
                                  s.events.vforks, s.events.execs, ghost);
    for (int n : passed_) out += fmt::format("{:x},", n);
    out += catches_ ? ";1," : ";0,";
    for (u64 n : caught_) out += fmt::format("{:x},", n);
    out += ';';
    for (u64 at : breaks.code) out += fmt::format("0,{:x},1,", at);
    for (const auto& w : breaks.data)
        out += fmt::format("{:x},{:x},{:x},", u32(w.kind), w.where.address, w.where.bytes);
    return out;
}

// Into a new server, which has the lock. Breakpoints of a program that was executed are gdb's to set again.
void Debugger::take_over(std::string_view text, bool waiting) {
    std::string_view ghost = next(text, ';'), flags = next(ghost, ','), passed = next(text, ';'),
                     calls = next(text, ';'), breaks = text;
    auto flag = [&](size_t n) { return n < flags.size() && flags[n] == '1'; };
    auto number = [](std::string_view& from) {
        std::string_view digits = next(from, ',');
        return gdb::take_hex(digits).value_or(0);
    };
    events_ = {flag(2), flag(3), flag(4)};
    ghost_ = gdb::take_hex(ghost).value_or(0);
    auto cpu = process_.engine.make_vcpu();
    if (cpu)
        ghost_cpu_ = *std::move(cpu);
    else
        ghost_ = 0;
    while (!passed.empty()) passed_.insert(int(number(passed)));
    catches_ = number(calls) != 0;
    while (!calls.empty()) caught_.insert(number(calls));
    server_->take_over({flag(0), flag(1), events_}, waiting);
    while (!breaks.empty()) {
        u64 kind = number(breaks), address = number(breaks), bytes = number(breaks);
        if (kind <= u64(gdb::Break::access)) set_break(0, gdb::Break(kind), address, bytes, true);
    }
}

// ---- fork -------------------------------------------------------------------------------------------------------------

// Nobody of the process is in the debugger while it is copied.
void Debugger::before_fork(Thread& t) {
    sync_->mutex.lock();
    if (t.tracee && !t.tracee->process && attached_ && events_.forks && connection_ >= 0)
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control_) != 0) control_[0] = control_[1] = -1;
}

void Debugger::after_fork_parent(Thread& t, i64 pid, std::unique_ptr<Vcpu> child) {
    Lock lock(sync_->mutex, std::adopt_lock);
    if (control_[0] < 0) return;
    close(std::exchange(control_[1], -1));
    int control = process_.keep(std::exchange(control_[0], -1));
    if (pid <= 0 || !child || control < 0) {
        if (control >= 0) process_.forget(control), close(control);
        return;
    }
    children_[u64(pid)] = {control, std::move(child), breaks_, false};
    park(lock, *t.tracee);
    if (!attached_) return;
    report(lock, *t.tracee, {.kind = Stop::Kind::forked, .address = u64(pid)});
}

void Debugger::after_fork_child(Thread& t) {
    pid_ = u64(raw_syscall(SYS_getpid));
    traces_ = false;
    sync_ = new Sync; // the old one is held, and its waiters are not here
    server_.reset();  // with the files that gdb has open in the parent
    int control = std::exchange(control_[1], -1);
    if (control_[0] >= 0) close(std::exchange(control_[0], -1));
    for (auto& [pid, child] : children_)
        process_.forget(child.control), close(child.control), (void)child.cpu.release();
    children_.clear();
    std::erase_if(tracees_, [&](auto& d) { return d.get() != t.tracee; });
    socket_path_.clear(); // the parent's
    stop_listening();
    std::string fate(most_handed, 0);
    i64 n = -EINTR;
    while (control >= 0 && n == -EINTR) n = raw_syscall(SYS_read, u64(control), u64(fate.data()), fate.size());
    if (control >= 0) close(control);
    fate.resize(n > 0 ? size_t(n) : 0);
    bool follows = fate.starts_with('T') && t.tracee;
    if (fate.starts_with('K')) raw_syscall(SYS_kill, u64(raw_syscall(SYS_getpid)), SIGKILL);
    Breaks old = std::exchange(breaks_, {});
    for (auto at = old.code.begin(); at != old.code.end(); at = old.code.upper_bound(*at))
        process_.engine.set_breakpoint(*at, false);
    watch_all();
    passed_.clear(), caught_.clear(), catches_ = false;
    have_stop_ = false;
    stopped_ = attached_ = follows;
    if (!follows) return close_connection();
    int event = eventfd(0, EFD_CLOEXEC); // the old one is the parent's, too
    raw_syscall(SYS_dup3, u64(event), u64(event_), O_CLOEXEC);
    close(event);
    *t.tracee = {.thread = &t, .in_call = true};
    inherited_ = fate.substr(1);
    waits_ = false;
    if (!start()) go_free();
}

bool Debugger::release(u64 process, bool ends) {
    if (process == 0) return false;
    if (process == ghost_) return ghost_ = 0, true; // it runs
    for (const auto& d : tracees_)
        if (d->process == process) {
            if (ends) raw_syscall(SYS_kill, process, SIGKILL);
            d->released = true;
            sync_->go.notify_all();
            return true;
        }
    auto child = children_.find(process);
    if (child == children_.end()) return false;
    tell(child->second, ends ? "K" : "F");
    children_.erase(child);
    return true;
}

void Debugger::tell(Child& child, std::string_view fate) {
    raw_syscall(SYS_sendto, u64(child.control), u64(fate.data()), fate.size(), MSG_NOSIGNAL, 0, 0);
    process_.forget(child.control);
    raw_syscall(SYS_close, u64(child.control));
}

// gdb follows a child when it lets the parent go while the child waits.
void Debugger::detach() {
    auto child = std::find_if(children_.begin(), children_.end(), [](auto& c) { return c.second.told; });
    if (child != children_.end()) {
        tell(child->second, fmt::format("T{}", handover(child->second.breaks, 0)));
        children_.erase(child);
        close_connection();
        handed_over_ = true;
    }
    go_free();
}

// ---- children in the memory of their parent ---------------------------------------------------------------------------

void Debugger::vforked(Thread& parent, Thread& child) {
    if (!parent.tracee) return;
    Lock lock(sync_->mutex);
    if (!attached_ || !events_.vforks || connection_ < 0) return;
    auto d = std::make_unique<Tracee>();
    d->thread = &child;
    d->process = u64(child.tid());
    d->parked = true;
    child.tracee = d.get();
    tracees_.push_back(std::move(d));
    if (!breaks_.data.empty()) watch(child);
    parent.tracee->vforks = true;
    sync_->go.wait(lock, [&] { return !attached_ || !stopped_; });
    if (!attached_) return drop(child);
    child.tracee->allowed = false;
    stopped_ = have_stop_ = true;
    stop_ = {.kind = Stop::Kind::vforked, .thread = u64(parent.tid()), .address = u64(child.tid())};
    stop_others();
    wake();
    park(lock, *child.tracee);
    if (child.tracee->released || !attached_) drop(child);
}

// It has executed a program, which has the connection now, or has ended.
void Debugger::vfork_done(Thread& parent, Thread* child) {
    if (child) sync_->mutex.free_of(u32(child->tid())); // it may have been killed anywhere
    Tracee* p = parent.tracee;
    if (!p || !p->vforks) return;
    Lock lock(sync_->mutex);
    p->vforks = false;
    std::erase_if(tracees_, [&](auto& d) { return d->thread == child; });
    sync_->stands.notify_all();
    if (std::exchange(handing_, false)) {
        close_connection();
        handed_over_ = true;
        go_free();
        return wake();
    }
    park(lock, *p);
    if (attached_) report(lock, *p, {.kind = Stop::Kind::vfork_done});
}

// ---- exec -------------------------------------------------------------------------------------------------------------

// A child in its parent's memory holds no lock of the parent's when that memory is no longer its own.
std::vector<std::string> Debugger::before_exec(Thread& t) {
    if (t.tracee && t.tracee->process) {
        Lock lock(sync_->mutex);
        if (!attached_ || connection_ < 0 || t.tracee->released) return {"-g", ""};
        fcntl(connection_, F_SETFD, 0);
        handing_ = true;
        wake();
        return {"-g", fmt::format("inherited:{};;{}", connection_, handover({}, pid_))};
    }
    if (!t.tracee) return {"-g", ""}; // a variable of the environment is not meant for it
    sync_->mutex.lock();
    // The program that is executed removes the socket: this one may yet go on.
    if (!attached_ || connection_ < 0) return {"-g", socket_path_.empty() ? "" : "left:" + socket_path_};
    fcntl(connection_, F_SETFD, 0);
    return {"-g", fmt::format("inherited:{};{};{}", connection_, gdb::to_hex(socket_path_), handover({}, 0))};
}

void Debugger::remove_socket() {
    if (!socket_path_.empty()) raw_syscall(SYS_unlinkat, u64(i64(AT_FDCWD)), u64(socket_path_.c_str()), 0);
    socket_path_.clear();
}

void Debugger::exec_failed(Thread& t) {
    if (!t.tracee) return;
    if (connection_ >= 0) fcntl(connection_, F_SETFD, FD_CLOEXEC);
    if (t.tracee->process) {
        handing_ = false;
        return wake();
    }
    sync_->mutex.unlock();
}

} // namespace mimic::user
