// What the peer asks about the target and sets of it: q and Q packets, H. GDB manual, E.4 "General Query Packets".
#include "gdbstub/replies.hpp"
#include "gdbstub/server.hpp"
#include <algorithm>

namespace mimic::gdb {

using namespace reply;

// The peer's features stand behind a colon, with + for those it knows.
std::string Server::supported(std::string_view peer) {
    Abilities a = target_.abilities();
    auto knows = [&](std::string_view name) {
        std::string with = fmt::format("{}+", name);
        for (std::string_view left = peer; !left.empty();) {
            size_t end = std::min(left.find(';'), left.size());
            if (left.substr(0, end) == with) return true;
            left.remove_prefix(std::min(end + 1, left.size()));
        }
        return false;
    };
    processes_ = a.processes && knows("multiprocess");
    auto event = [&](std::string_view name) { return processes_ && knows(name); };
    events_ = {event("fork-events"), event("vfork-events"), event("exec-events")};
    target_.understood(events_);
    std::string out = fmt::format("PacketSize={:x};qXfer:features:read+;vContSupported+;QStartNoAckMode+", max_packet);
    if (processes_) out += ";multiprocess+;no-resumed+";
    if (events_.forks) out += ";fork-events+";
    if (events_.vforks) out += ";vfork-events+";
    if (events_.execs) out += ";exec-events+";
    if (a.passes_signals) out += ";QPassSignals+";
    if (a.catches_calls) out += ";QCatchSyscalls+";
    for (std::string_view name : a.objects) out += fmt::format(";qXfer:{}:read+", name);
    for (std::string_view name : a.objects_set) out += fmt::format(";qXfer:{}:write+", name);
    return out;
}

std::string Server::thread_list() const {
    std::string out = "m";
    for (u64 t : target_.threads()) out += fmt::format("{}{}", out.size() > 1 ? "," : "", name_of(t));
    return out;
}

std::string Server::query(std::string_view rest) {
    if (rest.starts_with("Supported")) return supported(rest.substr(std::min<size_t>(rest.size(), 10)));
    if (rest == "C") return fmt::format("QC{}", name_of(general_));
    if (rest == "fThreadInfo") return thread_list();
    if (rest == "sThreadInfo") return "l";
    if (rest == "Attached" || rest.starts_with("Attached:")) return target_.abilities().runs_of_itself ? "1" : "0";
    if (rest.starts_with("ThreadExtraInfo,")) {
        rest.remove_prefix(16);
        u64 n = 0;
        return take_thread(rest, n) && there(n) ? to_hex(target_.thread_name(n)) : std::string(bad_thread);
    }
    if (rest.starts_with("Xfer:")) return transfer(rest.substr(5));
    if (rest.starts_with("Rcmd,")) return command(rest.substr(5));
    if (rest == "qemu.PhyMemMode") return physical_ ? "1" : "0";
    if (rest == "qemu.sstepbits") return "ENABLE=1,NOIRQ=2,NOTIMER=4";
    if (rest == "qemu.sstep") return "0x7";
    return {};
}

std::string Server::set(std::string_view rest) {
    Abilities a = target_.abilities();
    if (rest.starts_with("PassSignals:") && a.passes_signals) return pass_signals(rest.substr(12));
    if (rest.starts_with("CatchSyscalls:") && a.catches_calls) return catch_calls(rest.substr(14));
    if (rest.starts_with("qemu.PhyMemMode:")) {
        bool on = rest.substr(16) != "0";
        if (!target_.choose_physical(on)) return std::string(bad_packet);
        physical_ = on;
        return std::string(ok);
    }
    return {};
}

// "2;e;1b": gdb's numbers.
std::string Server::pass_signals(std::string_view rest) {
    std::vector<int> all;
    while (!rest.empty()) {
        auto n = take_hex(rest);
        if (!n || *n > 255 || (!rest.empty() && !take(rest, ';'))) return std::string(bad_packet);
        all.push_back(int(*n));
    }
    target_.pass_signals(all);
    return std::string(ok);
}

// "0", "1", or "1;40;5d".
std::string Server::catch_calls(std::string_view rest) {
    auto on = take_hex(rest);
    if (!on || *on > 1) return std::string(bad_packet);
    std::vector<u64> numbers;
    while (take(rest, ';')) {
        auto n = take_hex(rest);
        if (!n || numbers.size() >= 4096) return std::string(bad_packet);
        numbers.push_back(*n);
    }
    if (!rest.empty()) return std::string(bad_packet);
    target_.catch_calls(*on, numbers);
    return std::string(ok);
}

// "features:read:target.xml:0,fff": a window of an object; "siginfo:write::0:data".
std::string Server::transfer(std::string_view rest) {
    size_t first = rest.find(':'), second = rest.find(':', first + 1), third = rest.find(':', second + 1);
    if (first == std::string_view::npos || second == std::string_view::npos || third == std::string_view::npos)
        return {};
    std::string_view name = rest.substr(0, first), annex = rest.substr(second + 1, third - second - 1);
    std::string_view how = rest.substr(first + 1, second - first - 1);
    rest.remove_prefix(third + 1);
    if (how == "write") return set_transfer(name, rest);
    if (how != "read") return {};
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
        auto object = target_.object(general_, name, annex);
        if (!object) return object.error().kind() == ErrorKind::not_found ? std::string() : "E00";
        whole = std::move(*object);
    }
    if (*offset >= whole.size()) return "l";
    std::string part = whole.substr(*offset, std::min<u64>(*length, max_packet / 2));
    return (*offset + part.size() < whole.size() ? "m" : "l") + part;
}

std::string Server::set_transfer(std::string_view name, std::string_view rest) {
    auto offset = take_hex(rest);
    if (!offset || !take(rest, ':')) return std::string(bad_packet);
    if (!target_.set_object(general_, name, *offset, rest)) return "E00";
    return fmt::format("{:x}", rest.size());
}

std::string Server::command(std::string_view hex) {
    std::string text;
    if (!from_hex(hex, text)) return std::string(bad_packet);
    auto reply = target_.command(text);
    std::string shown = reply ? *reply : reply.error().message() + "\n";
    // Output goes in packets of its own.
    for (size_t at = 0; at < shown.size(); at += max_packet / 4)
        send(fmt::format("O{}", to_hex(std::string_view(shown).substr(at, max_packet / 4))));
    return std::string(ok);
}

bool Server::there(u64 thread) const { return thread && target_.process(thread) != 0; }

std::string Server::choose_thread(std::string_view rest) {
    if (rest.empty()) return std::string(bad_packet);
    char which = rest[0];
    rest.remove_prefix(1);
    u64 thread = 0;
    if (!take_thread(rest, thread)) return std::string(bad_packet);
    if (thread && !there(thread)) return std::string(bad_thread);
    if (which == 'g' && thread) general_ = thread;
    if (which == 'c') resumed_ = thread;
    return std::string(ok);
}

} // namespace mimic::gdb
