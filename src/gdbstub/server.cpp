#include "gdbstub/server.hpp"
#include <algorithm>

namespace mimic::gdb {

namespace {

constexpr std::string_view ok = "OK";
// Error numbers mean nothing to gdb; these are errno's.
constexpr std::string_view bad_address = "E0e", bad_packet = "E16", bad_thread = "E03";

} // namespace

Server::Server(Target& target, std::function<void(std::string_view)> out) : target_(target), out_(std::move(out)) {
    target_.on_stop = [this](const Stop& s) { stopped(s); };
}
Server::~Server() { target_.on_stop = nullptr; }

// ---- connection -------------------------------------------------------------------------------------------------------

void Server::connect() {
    stream_.reset();
    connected_ = acknowledges_ = true;
    waiting_ = physical_ = false;
    target_.choose_physical(false);
    std::vector<u64> threads = target_.threads();
    general_ = threads.empty() ? 1 : threads[0];
    stop_ = {.thread = general_};
    target_.interrupt();
}

void Server::disconnect() {
    if (!connected_) return;
    connected_ = false;
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
    if (data == "k" || data.starts_with("vKill")) {
        if (data != "k") send(ok);
        connected_ = false;
        return target_.kill();
    }
    if (waiting_) return; // nothing is answered while it runs
    bool resumes = data.starts_with("vCont;") || data.starts_with('c') || data.starts_with('s') ||
                   data.starts_with('C') || data.starts_with('S');
    if (resumes) waiting_ = true; // it may stop at once
    std::string reply = answer(data);
    if (!resumes) return send(reply);
    if (reply.empty()) return; // a stop is the answer
    waiting_ = false;
    send(reply);
}

void Server::stopped(const Stop& s) {
    stop_ = s;
    if (s.kind == Stop::Kind::signal || s.kind == Stop::Kind::watchpoint) general_ = s.thread;
    if (!connected_ || !waiting_) return;
    waiting_ = false;
    send(stop_text(s));
}

std::string Server::stop_text(const Stop& s) const {
    switch (s.kind) {
    case Stop::Kind::exited: return fmt::format("W{:02x}", s.signal & 0xff);
    case Stop::Kind::killed: return fmt::format("X{:02x}", s.signal & 0xff);
    case Stop::Kind::watchpoint: {
        std::string_view kind = s.watch == Break::read ? "rwatch" : s.watch == Break::access ? "awatch" : "watch";
        return fmt::format("T05thread:{:x};{}:{:x};", s.thread, kind, s.address);
    }
    default: return fmt::format("T{:02x}thread:{:x};", s.signal & 0xff, s.thread);
    }
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
        auto n = take_hex(rest);
        return std::string(n && there(*n) ? ok : bad_thread);
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
    case 'D':
        target_.clear_breaks();
        connected_ = false;
        target_.detach();
        return std::string(ok);
    case 'R': return target_.restart() ? std::string() : std::string(bad_packet);
    case 'q': return query(rest);
    case 'Q': return set(rest);
    case 'v':
        if (rest == "Cont?") return "vCont;c;C;s;S";
        if (rest.starts_with("Cont;")) return resume(rest.substr(4));
        return {};
    default: return {};
    }
}

std::string Server::supported() {
    return fmt::format("PacketSize={:x};qXfer:features:read+;vContSupported+;QStartNoAckMode+", max_packet);
}

std::string Server::thread_list() const {
    std::string out = "m";
    for (u64 t : target_.threads()) out += fmt::format("{}{:x}", out.size() > 1 ? "," : "", t);
    return out;
}

std::string Server::query(std::string_view rest) {
    if (rest.starts_with("Supported")) return supported();
    if (rest == "C") return fmt::format("QC{:x}", general_);
    if (rest == "fThreadInfo") return thread_list();
    if (rest == "sThreadInfo") return "l";
    if (rest == "Attached" || rest.starts_with("Attached:")) return "1";
    if (rest.starts_with("ThreadExtraInfo,")) {
        rest.remove_prefix(16);
        auto n = take_hex(rest);
        return n && there(*n) ? to_hex(target_.thread_name(*n)) : std::string(bad_thread);
    }
    if (rest.starts_with("Xfer:")) return transfer(rest.substr(5));
    if (rest.starts_with("Rcmd,")) return command(rest.substr(5));
    if (rest == "qemu.PhyMemMode") return physical_ ? "1" : "0";
    if (rest == "qemu.sstepbits") return "ENABLE=1,NOIRQ=2,NOTIMER=4";
    if (rest == "qemu.sstep") return "0x7";
    return {};
}

std::string Server::set(std::string_view rest) {
    if (rest.starts_with("qemu.PhyMemMode:")) {
        bool on = rest.substr(16) != "0";
        if (!target_.choose_physical(on)) return std::string(bad_packet);
        physical_ = on;
        return std::string(ok);
    }
    return {};
}

// "features:read:target.xml:0,fff": a window of an object.
std::string Server::transfer(std::string_view rest) {
    size_t first = rest.find(':'), second = rest.find(':', first + 1), third = rest.find(':', second + 1);
    if (first == std::string_view::npos || second == std::string_view::npos || third == std::string_view::npos)
        return {};
    std::string_view name = rest.substr(0, first), annex = rest.substr(second + 1, third - second - 1);
    if (rest.substr(first + 1, second - first - 1) != "read") return {};
    rest.remove_prefix(third + 1);
    auto offset = take_hex(rest);
    if (!offset || !take(rest, ',')) return std::string(bad_packet);
    auto length = take_hex(rest);
    if (!length) return std::string(bad_packet);
    std::string whole;
    if (name == "features") {
        if (annex != "target.xml") return "E00";
        if (description_.empty()) description_ = describe(target_.view());
        whole = description_;
    } else {
        auto object = target_.object(name, annex);
        if (!object) return {};
        whole = std::move(*object);
    }
    if (*offset >= whole.size()) return "l";
    std::string part = whole.substr(*offset, std::min<u64>(*length, max_packet / 2));
    return (*offset + part.size() < whole.size() ? "m" : "l") + part;
}

std::string Server::command(std::string_view hex) {
    std::string text;
    if (!from_hex(hex, text)) return std::string(bad_packet);
    auto reply = target_.command(text);
    std::string shown = reply ? *reply : reply.error().message() + "\n";
    // Output goes in packets of its own.
    for (size_t at = 0; at < shown.size(); at += max_packet / 4)
        send("O" + to_hex(std::string_view(shown).substr(at, max_packet / 4)));
    return std::string(ok);
}

bool Server::there(u64 thread) const {
    std::vector<u64> all = target_.threads();
    return std::find(all.begin(), all.end(), thread) != all.end();
}

std::string Server::choose_thread(std::string_view rest) {
    if (rest.empty()) return std::string(bad_packet);
    char which = rest[0];
    rest.remove_prefix(1);
    u64 thread = 0;
    if (!rest.starts_with("-1")) {
        auto n = take_hex(rest);
        if (!n) return std::string(bad_packet);
        thread = *n;
    }
    if (thread && !there(thread)) return std::string(bad_thread);
    if (which == 'g' && thread) general_ = thread;
    if (which == 'c') resumed_ = thread;
    return std::string(ok);
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
    return std::string(target_.set_break(Break(*kind), *address, *bytes, on) ? ok : bad_packet);
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
        std::optional<u64> only;
        if (take(rest, ':') && !rest.starts_with("-1")) {
            only = take_hex(rest);
            if (!only) return std::string(bad_packet);
        } else if (rest.starts_with("-1")) {
            rest.remove_prefix(2);
        }
        for (size_t i = 0; i < left.size();) {
            if (only && *only != 0 && left[i] != *only) {
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
