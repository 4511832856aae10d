// What gdb sees and does: called by the tracer, which holds the lock, while everything stands still.
#include "base/process.hpp"
#include "user/debug/debugger.hpp"
#include "user/linux/proc_files.hpp"
#include <algorithm>
#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace mimic::user {

using gdb::Break;
using process::raw_syscall;

namespace {

constexpr std::string_view objects[] = {"auxv", "exec-file", "siginfo", "threads"}, objects_set[] = {"siginfo"};

// Memory as ptrace(2) sees it: pages that the program itself may not touch, too.
i64 forced(bool write, u64 host, void* bytes, u64 length) {
    i64 fd =
        raw_syscall(SYS_openat, u64(i64(AT_FDCWD)), u64("/proc/self/mem"), (write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (fd < 0) return fd;
    i64 n = raw_syscall(write ? SYS_pwrite64 : SYS_pread64, u64(fd), u64(bytes), length, host);
    raw_syscall(SYS_close, u64(fd));
    return n;
}

int file_of(std::string_view text) {
    int fd = int(raw_syscall(SYS_memfd_create, u64("mimic"), MFD_CLOEXEC));
    if (fd >= 0) raw_syscall(SYS_write, u64(fd), u64(text.data()), text.size());
    return fd;
}

std::string comm_of(u64 thread) {
    char name[32];
    std::string path = fmt::format("/proc/self/task/{}/comm", thread);
    i64 fd = raw_syscall(SYS_openat, u64(i64(AT_FDCWD)), u64(path.c_str()), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return {};
    i64 n = raw_syscall(SYS_read, u64(fd), u64(name), sizeof name);
    raw_syscall(SYS_close, u64(fd));
    return n > 1 ? std::string(name, size_t(n - 1)) : std::string();
}

std::string escape(std::string_view text) {
    std::string out;
    for (char c : text)
        if (c == '<' || c == '>' || c == '&' || c == '"')
            out += fmt::format("&#{};", int(c));
        else if (u8(c) >= 0x20)
            out += c;
    return out;
}

} // namespace

// ---- threads ----------------------------------------------------------------------------------------------------------

gdb::Abilities Debugger::abilities() const {
    return {.processes = true,
            .catches_calls = true,
            .passes_signals = true,
            .files = true,
            .runs_of_itself = false,
            .objects = objects,
            .objects_set = objects_set};
}

std::vector<u64> Debugger::threads() const {
    std::vector<u64> out;
    for (const auto& d : tracees_)
        if (!d->released) out.push_back(u64(d->thread->tid()));
    if (ghost_) out.push_back(ghost_);
    return out;
}

std::string Debugger::thread_name(u64 thread) const { return comm_of(thread); }

u64 Debugger::process(u64 thread) const {
    if (thread == 0) return pid_;
    if (const Tracee* d = find(thread)) return d->process ? d->process : pid_;
    return children_.contains(thread) || thread == ghost_ ? thread : 0;
}

ir::CpuHeader* Debugger::cpu(u64 thread) {
    if (Tracee* d = find(thread)) return &d->thread->header();
    if (ghost_ && thread == ghost_) return &ghost_cpu_->header();
    auto child = children_.find(thread);
    return child == children_.end() ? nullptr : &child->second.cpu->header();
}

std::string Debugger::thread_xml() const {
    std::string out = "<?xml version=\"1.0\"?>\n<threads>\n";
    auto add = [&](u64 process, u64 thread, std::string_view name) {
        out += fmt::format("<thread id=\"p{:x}.{:x}\" name=\"{}\"/>\n", process, thread, escape(name));
    };
    for (u64 t : threads()) add(process(t), t, comm_of(t));
    for (const auto& [pid, child] : children_) add(pid, pid, comm_of(process(0)));
    return out + "</threads>\n";
}

// ---- memory -----------------------------------------------------------------------------------------------------------

bool Debugger::read_memory(u64 thread, u64 address, std::span<u8> out) {
    AddressSpace& m = process_.memory;
    address = m.untagged(address);
    if (!m.in_range(address, out.size()) || (ghost_ && thread == ghost_)) return false;
    if (children_.contains(thread)) {
        iovec to{out.data(), out.size()}, from{m.host(address), out.size()};
        return process_vm_readv(pid_t(thread), &to, 1, &from, 1, 0) == ssize_t(out.size());
    }
    if (m.read(address, out.data(), out.size())) return true;
    return m.covers(address, out.size()) &&
           forced(false, u64(m.host(address)), out.data(), out.size()) == i64(out.size());
}

bool Debugger::write_memory(u64 thread, u64 address, std::span<const u8> in) {
    AddressSpace& m = process_.memory;
    address = m.untagged(address);
    if (!m.in_range(address, in.size()) || (ghost_ && thread == ghost_)) return false;
    if (children_.contains(thread)) {
        iovec from{const_cast<u8*>(in.data()), in.size()}, to{m.host(address), in.size()};
        return process_vm_writev(pid_t(thread), &from, 1, &to, 1, 0) == ssize_t(in.size());
    }
    if (m.write(address, in.data(), in.size())) return true;
    if (!m.covers(address, in.size())) return false;
    bool done = forced(true, u64(m.host(address)), const_cast<u8*>(in.data()), in.size()) == i64(in.size());
    process_.engine.invalidate(address, address + in.size()); // it may be code that nobody watches
    return done;
}

// ---- breakpoints ------------------------------------------------------------------------------------------------------

void Debugger::watch(Thread& t) {
    std::vector<WatchRange> all;
    for (const auto& w : breaks_.data) all.push_back(w.where);
    t.cpu().set_watches(all);
}

void Debugger::watch_all() {
    for (const auto& d : tracees_)
        if (!d->released) watch(*d->thread); // those run
}

bool Debugger::set_break(u64 thread, Break kind, u64 address, u64 bytes, bool on) {
    if (ghost_ && thread == ghost_) return true;
    auto child = children_.find(thread);
    bool own = child == children_.end();
    Breaks& b = own ? breaks_ : child->second.breaks;
    if (kind == Break::software || kind == Break::hardware) {
        auto at = b.code.find(address);
        if (!on && at == b.code.end()) return false;
        if (on)
            b.code.insert(address);
        else
            b.code.erase(at);
        if (own && b.code.count(address) == (on ? 1 : 0)) process_.engine.set_breakpoint(address, on);
        return true;
    }
    if (bytes == 0 || bytes > 4096) return false;
    WatchRange where{process_.memory.untagged(address), bytes, kind != Break::write, kind != Break::read};
    auto same = [&](const Breaks::Watch& o) {
        return o.kind == kind && o.where.address == where.address && o.where.bytes == bytes;
    };
    auto at = std::find_if(b.data.begin(), b.data.end(), same);
    if (!on && at == b.data.end()) return false;
    if (on)
        b.data.push_back({kind, where});
    else
        b.data.erase(at);
    if (own) watch_all();
    return true;
}

void Debugger::clear_breaks() {
    for (auto at = breaks_.code.begin(); at != breaks_.code.end(); at = breaks_.code.upper_bound(*at))
        process_.engine.set_breakpoint(*at, false);
    breaks_ = {};
    watch_all();
}

void Debugger::pass_signals(std::span<const int> signals) { passed_ = {signals.begin(), signals.end()}; }

void Debugger::catch_calls(bool on, std::span<const u64> numbers) {
    catches_ = on;
    caught_ = {numbers.begin(), numbers.end()};
}

// ---- running ----------------------------------------------------------------------------------------------------------

void Debugger::resume(std::span<const gdb::Resume> chosen) {
    all_allowed_ = true;
    for (const auto& d : tracees_) {
        if (d->released) continue;
        auto r = std::find_if(chosen.begin(), chosen.end(),
                              [&](const auto& c) { return c.thread == u64(d->thread->tid()); });
        d->allowed = r != chosen.end();
        d->step = d->allowed && r->step;
        int signal = d->allowed ? signal_of_gdb(r->signal) : 0;
        if (signal && (d->in_call || d->signal))
            send(*d, signal);
        else if (signal)
            d->signal = signal;
        d->stepped = d->entered = false;
        all_allowed_ &= d->allowed;
    }
    stopped_ = false;
    sync_->go.notify_all();
}

void Debugger::interrupt() {
    if (stopped_ || tracees_.empty()) return;
    stopped_ = have_stop_ = true;
    stop_ = {.thread = u64(tracees_[0]->thread->tid()), .signal = gdb_signal(SIGINT)};
    stop_others();
}

void Debugger::kill() {
    while (!children_.empty()) release(children_.begin()->first, true);
    for (const auto& d : tracees_)
        if (d->process) raw_syscall(SYS_kill, d->process, SIGKILL);
    raw_syscall(SYS_kill, pid_, SIGKILL);
}

// ---- objects and files ------------------------------------------------------------------------------------------------

Result<std::string> Debugger::object(u64 thread, std::string_view name, std::string_view) {
    if (name == "auxv") return std::string(process_.auxv.begin(), process_.auxv.end());
    if (name == "exec-file") return process_.exe;
    if (name == "threads") return thread_xml();
    if (name != "siginfo") return Error::not_found("there is no object '{}'", name);
    Tracee* d = find(thread);
    if (!d || d->info.si_signo == 0) return Error::unsupported("thread {} has no signal", thread);
    u8 raw[128];
    u32 bytes = siginfo_to_guest(process_.abi, d->info, raw);
    return std::string(reinterpret_cast<char*>(raw), bytes);
}

bool Debugger::set_object(u64 thread, std::string_view name, u64 offset, std::string_view bytes) {
    Tracee* d = find(thread);
    u8 raw[128];
    if (name != "siginfo" || !d || d->info.si_signo == 0) return false;
    u32 all = siginfo_to_guest(process_.abi, d->info, raw);
    if (offset > all || bytes.size() > all - offset) return false;
    std::copy(bytes.begin(), bytes.end(), raw + offset);
    int number = d->info.si_signo;
    siginfo_from_guest(process_.abi, raw, d->info);
    d->info.si_signo = number; // what is delivered is for vCont to say
    return true;
}

// Of /proc/PID what the program sees there.
int Debugger::open_file(const std::string& path) {
    std::string own = fmt::format("/proc/{}/", process(0));
    if (!tracees_.empty() && path.starts_with("/proc/"))
        if (auto text = proc_text(*tracees_[0]->thread, path)) {
            int fd = file_of(*text);
            return fd < 0 ? fd : process_.keep(fd);
        }
    std::string host = path == own + "exe" ? process_.exe : path;
    host = process_.paths.lookup(host);
    i64 fd = raw_syscall(SYS_openat, u64(i64(AT_FDCWD)), u64(host.c_str()), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 ? int(fd) : process_.keep(int(fd));
}

void Debugger::close_file(int fd) {
    raw_syscall(SYS_close, u64(fd));
    process_.forget(fd);
}

int Debugger::read_link(const std::string& path, std::string& to) {
    if (path == fmt::format("/proc/{}/exe", process(0))) return to = process_.exe, 0;
    char target[PATH_MAX];
    std::string host = process_.paths.lookup(path, false);
    i64 n = raw_syscall(SYS_readlinkat, u64(i64(AT_FDCWD)), u64(host.c_str()), u64(target), sizeof target);
    if (n < 0) return int(n);
    to.assign(target, size_t(n));
    return 0;
}

} // namespace mimic::user
