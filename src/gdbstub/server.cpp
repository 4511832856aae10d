#include "gdbstub/server.hpp"
#include "gdbstub/replies.hpp"
#include <algorithm>

namespace mimic::gdb {

using namespace reply;

Server::Server(Target& target, std::function<void(std::string_view)> out)
    : target_(target)
    , out_(std::move(out))
    , files_(target) {
    target_.on_stop = [this](const Stop& s) { stopped(s); };
}
Server::~Server() { target_.on_stop = nullptr; }

// ---- connection -------------------------------------------------------------------------------------------------------

void Server::connect() {
    stream_.reset();
    connected_ = acknowledges_ = true;
    waiting_ = physical_ = processes_ = false;
    events_ = {};
    target_.choose_physical(false);
    files_.close_all();
    std::vector<u64> threads = target_.threads();
    general_ = threads.empty() ? 1 : threads[0];
    stop_ = {.thread = general_};
    target_.interrupt();
}

void Server::take_over(const State& state, bool waiting) {
    connected_ = true;
    waiting_ = waiting;
    acknowledges_ = state.acknowledges;
    processes_ = state.processes, events_ = state.events;
    std::vector<u64> threads = target_.threads();
    general_ = threads.empty() ? 1 : threads[0];
    stop_ = {.thread = general_};
}

void Server::disconnect() {
    if (!connected_) return;
    connected_ = false;
    files_.close_all();
    target_.clear_breaks();
}

void Server::feed(std::span<const u8> bytes) {
    stream_.feed(bytes, {[this](std::string data) {
                             if (acknowledges_) out_("+");
                             packet(data);
                         },
                         [this](bool good) {
                             if (!good && acknowledges_ && !last_.empty()) out_(last_);
                         },
                         [this] {
                             if (waiting_) target_.interrupt();
                         },
                         [this] {
                             if (acknowledges_) out_("-");
                         }});
}

void Server::send(std::string_view data) {
    last_ = make_packet(data);
    out_(last_);
}

void Server::packet(const std::string& data) {
    if (data == "QStartNoAckMode") {
        send(ok);
        acknowledges_ = false;
        return;
    }
    if (data == "k" || data.starts_with("vKill;")) {
        if (!waiting_ || data == "k") kill(data);
        return;
    }
    if (waiting_) return; // nothing is answered while it runs
    bool resumes = data.starts_with("vCont;") || data.starts_with('c') || data.starts_with('s') ||
                   data.starts_with('C') || data.starts_with('S');
    if (resumes) waiting_ = true; // it may stop at once
    std::string reply = answer(data);
    if (!connected_) return; // it was a detach, which has answered
    if (!resumes) return send(reply);
    if (reply.empty()) return; // a stop is the answer
    waiting_ = false;
    send(reply);
}

void Server::stopped(const Stop& s) {
    stop_ = s;
    bool lives = s.kind != Stop::Kind::exited && s.kind != Stop::Kind::killed && s.kind != Stop::Kind::nothing_runs;
    if (lives) general_ = s.thread;
    if (!connected_ || !waiting_) return;
    waiting_ = false;
    send(stop_text(s));
}

std::string Server::stop_text(const Stop& s) const {
    u64 of = target_.process(s.thread);
    std::string process = processes_ ? fmt::format(";process:{:x}", of ? of : target_.process(0)) : std::string();
    std::string at = fmt::format("thread:{};", name_of(s.thread));
    switch (s.kind) {
    case Stop::Kind::exited: return fmt::format("W{:02x}{}", s.signal & 0xff, process);
    case Stop::Kind::killed: return fmt::format("X{:02x}{}", s.signal & 0xff, process);
    case Stop::Kind::nothing_runs: return "N";
    case Stop::Kind::watchpoint: {
        std::string_view kind = s.watch == Break::read ? "rwatch" : s.watch == Break::access ? "awatch" : "watch";
        return fmt::format("T05{}{}:{:x};", at, kind, s.address);
    }
    case Stop::Kind::call_entry: return fmt::format("T05syscall_entry:{:x};{}", s.address, at);
    case Stop::Kind::call_return: return fmt::format("T05syscall_return:{:x};{}", s.address, at);
    case Stop::Kind::forked: return fmt::format("T05fork:p{0:x}.{0:x};{1}", s.address, at);
    case Stop::Kind::vforked: return fmt::format("T05vfork:p{0:x}.{0:x};{1}", s.address, at);
    case Stop::Kind::vfork_done: return fmt::format("T05vforkdone:;{}", at);
    case Stop::Kind::executed:
        return events_.execs ? fmt::format("T05exec:{};{}", to_hex(s.path), at) : fmt::format("T05{}", at);
    default: return fmt::format("T{:02x}{}", s.signal & 0xff, at);
    }
}

std::string Server::name_of(u64 thread) const {
    return processes_ ? fmt::format("p{:x}.{:x}", target_.process(thread), thread) : fmt::format("{:x}", thread);
}

// "1f", "-1", "p2.1f", "p2.-1", "p2" (E.1 "Overview", thread-id).
bool Server::take_thread(std::string_view& text, u64& thread) const {
    auto number = [&](u64& to) {
        to = 0;
        if (text.starts_with("-1")) return text.remove_prefix(2), true;
        auto n = take_hex(text);
        if (n) to = *n;
        return n.has_value();
    };
    u64 process = 0;
    if (!text.starts_with('p')) return number(thread);
    text.remove_prefix(1);
    if (!number(process)) return false;
    thread = 0;
    if (take(text, '.') && !number(thread)) return false;
    // All of a process that is not the usual one: its first thread has its number.
    if (thread == 0 && process != 0 && process != target_.process(0)) thread = process;
    return true;
}

// All of it, or one process of several.
std::string Server::detach(std::string_view rest) {
    if (take(rest, ';')) {
        auto process = take_hex(rest);
        if (!process) return std::string(bad_packet);
        if (*process != target_.process(0)) return std::string(target_.release(*process, false) ? ok : bad_thread);
    }
    target_.clear_breaks();
    connected_ = false;
    files_.close_all();
    send(ok);
    target_.detach();
    return {};
}

// Peers that know of no processes name one all the same.
void Server::kill(std::string_view data) {
    std::string_view rest = data.substr(std::min<size_t>(data.size(), 5));
    auto process = take(rest, ';') ? take_hex(rest) : std::nullopt;
    if (processes_ && process && *process != target_.process(0))
        return send(target_.release(*process, true) ? ok : bad_thread);
    if (data != "k") send(ok);
    connected_ = false;
    target_.kill();
}

// ---- packets ----------------------------------------------------------------------------------------------------------

std::string Server::answer(std::string_view data) {
    if (data.empty()) return {};
    char kind = data[0];
    std::string_view rest = data.substr(1);
    switch (kind) {
    case '?': return stop_text(stop_);
    case '!': return std::string(ok);
    case 'H': return choose_thread(rest);
    case 'T': {
        u64 n = 0;
        return std::string(take_thread(rest, n) && n && there(n) ? ok : bad_thread);
    }
    case 'g': return read_general();
    case 'G': return write_general(rest);
    case 'p': return read_register(rest);
    case 'P': return write_register(rest);
    case 'm': return read_memory(rest);
    case 'M': return write_memory(rest, false);
    case 'X': return write_memory(rest, true);
    case 'Z': return set_break(rest, true);
    case 'z': return set_break(rest, false);
    case 'c':
    case 's':
    case 'C':
    case 'S': return resume_one(kind, rest);
    case 'D': return detach(rest);
    case 'R': return target_.restart() ? std::string() : std::string(bad_packet);
    case 'q': return query(rest);
    case 'Q': return set(rest);
    case 'v':
        if (rest == "Cont?") return "vCont;c;C;s;S";
        if (rest.starts_with("Cont;")) return resume(rest.substr(4));
        if (rest.starts_with("File:") && target_.abilities().files) return files_.answer(rest.substr(5));
        return {};
    default: return {};
    }
}

// ---- registers and memory ---------------------------------------------------------------------------------------------

std::string Server::read_register(std::string_view rest) {
    auto n = take_hex(rest);
    auto all = target_.view().registers();
    ir::CpuHeader* cpu = target_.cpu(general_);
    if (!n || *n >= all.size() || !cpu) return std::string(bad_packet);
    std::vector<u8> bytes(all[*n].bytes);
    if (!target_.view().read(*cpu, u32(*n), bytes.data())) return std::string(2 * bytes.size(), 'x');
    return to_hex(bytes);
}

std::string Server::write_register(std::string_view rest) {
    auto n = take_hex(rest);
    auto all = target_.view().registers();
    ir::CpuHeader* cpu = target_.cpu(general_);
    std::string bytes;
    if (!n || *n >= all.size() || !cpu || !take(rest, '=') || !from_hex(rest, bytes) || bytes.size() != all[*n].bytes)
        return std::string(bad_packet);
    bool done = target_.view().write(*cpu, u32(*n), reinterpret_cast<const u8*>(bytes.data()));
    target_.written(general_);
    return std::string(done ? ok : bad_packet);
}

std::string Server::read_general() {
    std::string out;
    auto all = target_.view().registers();
    ir::CpuHeader* cpu = target_.cpu(general_);
    if (!cpu) return std::string(bad_thread);
    for (u32 n = 0; n < all.size(); n++) {
        if (!all[n].general) continue;
        std::vector<u8> bytes(all[n].bytes);
        bool there = target_.view().read(*cpu, n, bytes.data());
        out += there ? to_hex(bytes) : std::string(2 * bytes.size(), 'x');
    }
    return out;
}

std::string Server::write_general(std::string_view rest) {
    std::string bytes;
    ir::CpuHeader* cpu = target_.cpu(general_);
    if (!cpu || !from_hex(rest, bytes)) return std::string(bad_packet);
    size_t at = 0;
    auto all = target_.view().registers();
    for (u32 n = 0; n < all.size() && at + all[n].bytes <= bytes.size(); n++) {
        if (!all[n].general) continue;
        target_.view().write(*cpu, n, reinterpret_cast<const u8*>(bytes.data()) + at);
        at += all[n].bytes;
    }
    target_.written(general_);
    return std::string(ok);
}

std::string Server::read_memory(std::string_view rest) {
    auto address = take_hex(rest);
    if (!address || !take(rest, ',')) return std::string(bad_packet);
    auto bytes = take_hex(rest);
    if (!bytes || *bytes > max_packet / 2) return std::string(bad_packet);
    std::vector<u8> data(*bytes);
    if (!target_.read_memory(general_, *address, data)) return std::string(bad_address);
    return to_hex(data);
}

std::string Server::write_memory(std::string_view rest, bool binary) {
    auto address = take_hex(rest);
    if (!address || !take(rest, ',')) return std::string(bad_packet);
    auto bytes = take_hex(rest);
    if (!bytes || !take(rest, ':')) return std::string(bad_packet);
    std::string data(rest);
    if (!binary && !from_hex(rest, data)) return std::string(bad_packet);
    if (data.size() != *bytes) return std::string(bad_packet);
    if (data.empty()) return std::string(ok); // gdb asks so whether X is known
    std::span<const u8> in(reinterpret_cast<const u8*>(data.data()), data.size());
    return std::string(target_.write_memory(general_, *address, in) ? ok : bad_address);
}

std::string Server::set_break(std::string_view rest, bool on) {
    auto kind = take_hex(rest);
    if (!kind || !take(rest, ',')) return std::string(bad_packet);
    auto address = take_hex(rest);
    if (!address || !take(rest, ',')) return std::string(bad_packet);
    auto bytes = take_hex(rest);
    if (!bytes) return std::string(bad_packet);
    if (*kind > u64(Break::access)) return {};
    return std::string(target_.set_break(general_, Break(*kind), *address, *bytes, on) ? ok : bad_packet);
}

// ---- running ----------------------------------------------------------------------------------------------------------

// c, s, C and S: of the thread that Hc chose; another one's step is everybody else's stop.
std::string Server::resume_one(char how, std::string_view rest) {
    Resume one{.thread = resumed_ ? resumed_ : general_, .step = how == 's' || how == 'S'};
    if (how == 'C' || how == 'S') {
        one.signal = int(take_hex(rest).value_or(0) & 0xff);
        take(rest, ';');
    }
    if (auto pc = take_hex(rest))
        if (ir::CpuHeader* cpu = target_.cpu(one.thread)) {
            cpu->pc = *pc;
            target_.written(one.thread);
        }
    std::vector<Resume> all{one};
    if (!one.step)
        for (u64 t : target_.threads())
            if (t != one.thread) all.push_back({.thread = t});
    target_.resume(all);
    return {};
}

// ";s:1;c": the first action that fits a thread is its.
std::string Server::resume(std::string_view rest) {
    std::vector<Resume> chosen;
    std::vector<u64> left = target_.threads();
    while (take(rest, ';')) {
        if (rest.empty()) return std::string(bad_packet);
        char how = rest[0];
        rest.remove_prefix(1);
        Resume r{.step = how == 's' || how == 'S'};
        if (how == 'C' || how == 'S')
            r.signal = int(take_hex(rest).value_or(0) & 0xff);
        else if (how != 'c' && how != 's')
            return std::string(bad_packet);
        u64 only = 0;
        if (take(rest, ':') && !take_thread(rest, only)) return std::string(bad_packet);
        for (size_t i = 0; i < left.size();) {
            if (only != 0 && left[i] != only) {
                i++;
                continue;
            }
            r.thread = left[i];
            chosen.push_back(r);
            left.erase(left.begin() + i64(i));
        }
    }
    if (chosen.empty()) return std::string(bad_thread);
    target_.resume(chosen);
    return {};
}

} // namespace mimic::gdb
