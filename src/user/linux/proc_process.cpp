#include "user/linux/proc_process.hpp"
#include "user/debug/debugger.hpp"
#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <map>
#include <sys/syscall.h>

namespace mimic::user {
namespace {

using process::raw_syscall;

constexpr u64 kib = 1024;

bool is_number(std::string_view s) {
    return !s.empty() && s.size() < 10 && std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Calls f(line) with each line and its end.
template <class F>
void for_lines(const std::string& text, F f) {
    for (size_t at = 0; at < text.size();) {
        size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
        f(std::string_view(text).substr(at, end - at));
        at = end;
    }
}

std::string host_text(Thread& t, const OwnEntry& e) { return read_host(t, e.directory + e.name); }

// The thread that an entry is about: the first one where it is the process's. Its life is the caller's lock's matter.
Thread& subject(Thread& t, const OwnEntry& e) {
    i32 tid = e.tid ? e.tid : i32(raw_syscall(SYS_getpid));
    for (Thread* other : t.process().members)
        if (other->tid() == tid) return *other;
    return t;
}

// ---- sizes ----

struct Sizes {
    u64 all = 0, data = 0, stack = 0, text = 0, library = 0; // bytes
};
Sizes sizes_of(Thread& t) {
    Sizes s;
    t.memory().for_each([&](const Mapping& m) {
        const u64 bytes = m.end - m.start;
        s.all += bytes;
        if (t.process().stack_start >= m.start && t.process().stack_start < m.end)
            s.stack += bytes;
        else if (m.prot & prot::exec)
            (s.text == 0 ? s.text : s.library) += bytes; // the program comes first
        else if (m.prot & prot::write && !m.shared)
            s.data += bytes;
    });
    return s;
}

bool is_traced_by_us(Thread& t) { return t.process().debugger && t.process().debugger->traces(); }

// ---- stat, statm, status ----

// Signals with a handler, or that are ignored.
u64 handled(Thread& t, bool ignored) {
    u64 set = 0;
    std::lock_guard guard(t.signals().lock);
    for (int s = 1; s <= 64; s++) {
        const u64 handler = t.signals().actions[s].handler;
        if (handler == sa::ign ? ignored : handler != sa::dfl && !ignored) set |= signal_bit(s);
    }
    return set;
}

// The number behind "SigPnd:" in the kernel's status, and signals that have reached us and wait for the guest to let them in.
u64 pending(std::string_view line, Thread& who) {
    return std::strtoull(line.data() + line.find(':') + 1, nullptr, 16) | who.held_signals();
}

// Of stat: pending, blocked, ignored, caught.
void stat_signals(Thread& t, const OwnEntry& e, u64 (&sets)[4]) {
    const std::string status = read_host(t, e.directory + "status");
    const size_t at = status.find("SigPnd:");
    sets[2] = handled(t, true), sets[3] = handled(t, false);
    std::lock_guard guard(t.process().members_lock);
    Thread& who = subject(t, e);
    sets[0] = at == status.npos ? who.held_signals() : pending(std::string_view(status).substr(at), who);
    sets[1] = who.mask();
}

// The kernel's line with the guest's addresses in fields 26 to 30 and 45 to 51, signals in 31 to 34.
std::string stat_text(Thread& t, const OwnEntry& e) {
    std::string host = host_text(t, e);
    size_t close = host.rfind(')');
    if (close == std::string::npos) return host;
    std::string line = host.substr(0, close + 1);
    const Sizes sizes = sizes_of(t);
    u64 signals[4];
    stat_signals(t, e, signals);
    size_t at = close + 1;
    for (u32 field = 3; at < host.size(); field++) {
        size_t end = std::min(host.find_first_of(" \n", at + 1), host.size());
        std::string value = host.substr(at, end - at);
        auto put = [&](u64 v) { value = fmt::format(" {}", v); };
        if (field == 20 && is_traced_by_us(t))
            put(std::strtoull(value.c_str(), nullptr, 10) - 1); // threads, without ours
        if (field == 23) put(sizes.all);
        if (field == 24) put(std::min<u64>(std::strtoull(value.c_str(), nullptr, 10), sizes.all / t.memory().page()));
        if (field == 28) put(t.process().stack_start);
        if (field >= 31 && field <= 34) put(signals[field - 31] & 0x7fffffff); // as the kernel
        if ((field >= 26 && field <= 27) || (field >= 29 && field <= 30) || (field >= 45 && field <= 51)) put(0);
        line += value;
        at = end;
    }
    return line + (line.back() == '\n' ? "" : "\n");
}

std::string statm_text(Thread& t, const OwnEntry& e) {
    unsigned long long host[7] = {};
    std::string text = host_text(t, e);
    if (std::sscanf(text.c_str(), "%llu %llu %llu", &host[0], &host[1], &host[2]) != 3) return text;
    const Sizes s = sizes_of(t);
    const u64 page = t.memory().page(), all = s.all / page;
    return fmt::format("{} {} {} {} 0 {} 0\n", all, std::min<u64>(host[1], all), std::min<u64>(host[2], all),
                       s.text / page, (s.data + s.stack) / page);
}

std::string ids_line(std::string_view name, const Ids& i) {
    return fmt::format("{}\t{}\t{}\t{}\t{}\n", name, i.real, i.effective, i.saved, i.fs);
}

// A host's filters around Mimic are around the guest, too.
std::string seccomp_line(const SeccompState& state, std::string_view line) {
    using Mode = SeccompState::Mode;
    const Mode mode = state.mode();
    if (mode != Mode::none && line.starts_with("Seccomp:"))
        return mode == Mode::strict ? "Seccomp:\t1\n" : "Seccomp:\t2\n";
    if (state.no_new_privs_due && line.starts_with("NoNewPrivs:")) return "NoNewPrivs:\t1\n";
    if (const SeccompFilter* filter = state.filters(); filter && line.starts_with("Seccomp_filters:"))
        return fmt::format("Seccomp_filters:\t{}\n", filter->count + u32(std::atoi(line.data() + 16)));
    return std::string(line);
}

std::string ids_text(Thread& who, std::string_view line) {
    const Credentials& c = who.credentials;
    if (line.starts_with("Uid:")) return ids_line("Uid:", c.uid);
    if (line.starts_with("Gid:")) return ids_line("Gid:", c.gid);
    if (!line.starts_with("Groups:")) return {};
    std::string text = "Groups:\t";
    for (u32 g : c.groups) text += fmt::format("{}{}", text.back() == '\t' ? "" : " ", g);
    return text + " \n";
}

// Lines with signals and sizes of memory; empty for others.
std::string signals_text(Thread& t, Thread& who, std::string_view name, std::string_view host) {
    auto line = [&](u64 v) { return fmt::format("{}:\t{:016x}\n", name, v); };
    if (name == "SigBlk") return line(who.mask());
    if (name == "SigPnd") return line(pending(host, who));
    if (name != "SigIgn" && name != "SigCgt") return {};
    return line(handled(t, name == "SigIgn"));
}
std::string sizes_text(const Sizes& s, std::string_view name, u64 host) {
    auto line = [&](u64 bytes) { return fmt::format("{}:\t{:8} kB\n", name, bytes / kib); };
    if (name == "VmPeak" || name == "VmSize") return line(s.all);
    if (name == "VmHWM" || name == "VmRSS") return line(std::min(s.all, host * kib));
    if (name == "VmData") return line(s.data);
    if (name == "VmStk") return line(s.stack);
    if (name == "VmExe") return line(s.text);
    if (name == "VmLib") return line(s.library);
    return {};
}

std::string status_text(Thread& t, const OwnEntry& e) {
    const std::string host = host_text(t, e);
    const Sizes sizes = sizes_of(t);
    std::string text;
    std::lock_guard guard(t.process().members_lock);
    Thread& who = subject(t, e);
    for_lines(host, [&](std::string_view line) {
        const std::string_view name = line.substr(0, line.find(':'));
        const u64 value = line.size() > name.size() ? std::strtoull(line.data() + name.size() + 1, nullptr, 10) : 0;
        if (name.starts_with("x86_") || name == "untag_mask") return; // of another architecture
        std::string own = sizes_text(sizes, name, value);
        if (own.empty()) own = signals_text(t, who, name, line);
        if (own.empty() && t.process().pretends_ids()) own = ids_text(who, line);
        if (own.empty() && name == "Threads" && is_traced_by_us(t)) own = fmt::format("Threads:\t{}\n", value - 1);
        text += own.empty() ? seccomp_line(who.seccomp, line) : own;
    });
    return text;
}

// ---- limits, syscall, auxv, cmdline ----

std::string limits_text(Thread& t, const OwnEntry& e) {
    std::string text;
    const std::string host = host_text(t, e); // which takes the lock of forks, that comes before the one of limits
    std::lock_guard guard(t.process().limits_lock);
    for_lines(host, [&](std::string_view line) {
        const int own = line.starts_with("Max address space ") ? 0 : line.starts_with("Max data size ") ? 1 : -1;
        if (own < 0) return void(text += line);
        auto value = [&](u64 v) { return v == ~u64{0} ? std::string("unlimited") : std::to_string(v); };
        const u64* limit = t.process().limits.v[own];
        text += fmt::format("{:<25} {:<20} {:<20} {:<10}\n", own ? "Max data size" : "Max address space",
                            value(limit[0]), value(limit[1]), "bytes");
    });
    return text;
}

// The guest's number and arguments of the call that the thread is in.
std::optional<std::string> syscall_text(Thread& t, const OwnEntry& e) {
    std::lock_guard guard(t.process().members_lock);
    Thread& who = subject(t, e);
    const std::vector<Thread::Recent> calls = who.recent_calls();
    if (calls.empty() || calls.back().done) return "running\n";
    std::string text = std::to_string(calls.back().args.number);
    for (u64 v : calls.back().args.v) text += fmt::format(" {:#x}", v);
    return text + fmt::format(" {:#x} {:#x}\n", who.sp(), who.header().pc);
}

std::string cmdline_text(Thread& t) {
    std::string text;
    for (auto& argument : t.process().arguments) text += argument + '\0';
    return text;
}

// ---- smaps ----

// A mapping of the host's: its numbers in kB by name, in the kernel's order.
struct HostArea {
    u64 start = 0, end = 0;
    std::vector<std::pair<std::string, u64>> numbers;
    std::string flags; // VmFlags
};

std::vector<HostArea> host_areas(Thread& t) {
    std::vector<HostArea> areas;
    for_lines(read_host(t, "/proc/self/smaps"), [&](std::string_view line) {
        unsigned long long start, end;
        char rest;
        if (std::sscanf(std::string(line.substr(0, 48)).c_str(), "%llx-%llx %c", &start, &end, &rest) == 3)
            return void(areas.push_back({start, end, {}, {}}));
        const size_t colon = line.find(':');
        if (areas.empty() || colon == std::string_view::npos) return;
        std::string name(line.substr(0, colon));
        if (name == "VmFlags")
            areas.back().flags = line.substr(colon + 1, line.size() - colon - 2);
        else if (name != "ProtectionKey") // of x86
            areas.back().numbers.emplace_back(name, std::strtoull(line.data() + colon + 1, nullptr, 10));
    });
    return areas;
}

// The numbers of the host's areas, which rise, in [start, end); an area that reaches further has them in proportion.
HostArea cut(const std::vector<HostArea>& areas, u64 start, u64 end) {
    HostArea sum{start, end, {}, {}};
    auto at = std::upper_bound(areas.begin(), areas.end(), start, [](u64 v, const HostArea& a) { return v < a.end; });
    for (; at != areas.end() && at->start < end; ++at) {
        const HostArea& a = *at;
        const u64 low = std::max(a.start, start), high = std::min(a.end, end);
        if (sum.numbers.empty()) {
            sum.flags = a.flags;
            for (auto& [name, v] : a.numbers) sum.numbers.emplace_back(name, 0);
        }
        for (size_t i = 0; i < std::min(sum.numbers.size(), a.numbers.size()); i++)
            sum.numbers[i].second += a.numbers[i].second * ((high - low) / kib) / ((a.end - a.start) / kib);
    }
    return sum;
}

std::string number_line(std::string_view name, u64 v) {
    return fmt::format("{:<16}{:8} kB\n", std::string(name) + ":", v);
}

// rd wr ex as the guest has it, the rest as the host.
std::string flags_line(const std::string& host, std::string_view permissions) {
    std::string text = "VmFlags:";
    if (permissions[0] == 'r') text += " rd";
    if (permissions[1] == 'w') text += " wr";
    if (permissions[2] == 'x') text += " ex";
    for (size_t at = 0; at < host.size();) {
        size_t begin = host.find_first_not_of(' ', at);
        if (begin == std::string::npos) break;
        at = std::min(host.find(' ', begin), host.size());
        std::string flag = host.substr(begin, at - begin);
        if (flag != "rd" && flag != "wr" && flag != "ex") text += " " + flag;
    }
    return text + " \n";
}

std::string smaps_text(Thread& t) {
    const std::vector<HostArea> areas = host_areas(t);
    const u64 base = t.memory().base();
    std::string text;
    for_lines(t.memory().maps_text(), [&](std::string_view line) {
        unsigned long long start, end;
        char permissions[5];
        const std::string head(line.substr(0, 48)); // sscanf looks for the end of all
        if (std::sscanf(head.c_str(), "%llx-%llx %4s", &start, &end, permissions) != 3) return;
        text += line;
        const HostArea area = cut(areas, base + start, base + end);
        for (auto& [name, v] : area.numbers) {
            if (name == "Size")
                text += number_line(name, (end - start) / kib);
            else if (name.ends_with("PageSize"))
                text += number_line(name, t.memory().page() / kib);
            else if (name == "THPeligible")
                text += fmt::format("THPeligible:    {:8}\n", v ? 1 : 0);
            else
                text += number_line(name, v);
        }
        text += flags_line(area.flags, permissions);
    });
    return text;
}

std::string rollup_text(Thread& t) {
    const std::vector<HostArea> areas = host_areas(t);
    std::vector<std::pair<std::string, u64>> sums;
    u64 low = ~u64{0}, high = 0;
    t.memory().for_each([&](const Mapping& m) {
        low = std::min(low, m.start), high = std::max(high, m.end);
        const HostArea area = cut(areas, t.memory().base() + m.start, t.memory().base() + m.end);
        if (sums.empty())
            for (auto& [name, v] : area.numbers) sums.emplace_back(name, 0);
        for (size_t i = 0; i < std::min(sums.size(), area.numbers.size()); i++)
            sums[i].second += area.numbers[i].second;
    });
    std::string text = fmt::format("{:08x}-{:08x} ---p 00000000 00:00 0 ", low, high);
    text += std::string(text.size() < 73 ? 73 - text.size() : 1, ' ') + "[rollup]\n";
    for (auto& [name, v] : sums)
        if (name != "Size" && !name.ends_with("PageSize") && name != "THPeligible") text += number_line(name, v);
    return text;
}

// The host's lines about guest memory, at the guest's addresses.
std::optional<std::string> numa_text(Thread& t, const OwnEntry& e) {
    const std::string host = host_text(t, e);
    if (host.empty()) return {};
    std::string text;
    for_lines(host, [&](std::string_view line) {
        const u64 at = std::strtoull(line.data(), nullptr, 16) - t.memory().base();
        if (t.memory().in_range(at, 1) && t.memory().protection(at) >= 0)
            text += fmt::format("{:08x}{}", at, line.substr(std::min(line.find(' '), line.size())));
    });
    return text;
}

} // namespace

std::string read_host(Thread& t, const std::string& path) {
    std::string text;
    std::lock_guard no_forks(t.process().members_lock);
    i64 fd = raw_syscall(SYS_openat, u64(i64(AT_FDCWD)), u64(path.c_str()), O_RDONLY | O_CLOEXEC);
    char buffer[4096];
    for (i64 n; fd >= 0 && (n = raw_syscall(SYS_read, u64(fd), u64(buffer), sizeof buffer)) > 0;)
        text.append(buffer, size_t(n));
    if (fd >= 0) raw_syscall(SYS_close, u64(fd));
    return text;
}

// This process in a /proc that is mounted there, which may be of another pid namespace.
static i32 self_in(std::string_view proc) {
    const std::string link = std::string(proc) + "/self";
    char text[16] = {};
    const i64 n = raw_syscall(SYS_readlinkat, u64(i64(AT_FDCWD)), u64(link.c_str()), u64(text), sizeof text - 1);
    return n > 0 && is_number(text) ? std::atoi(text) : i32(raw_syscall(SYS_getpid));
}

std::optional<OwnEntry> own_entry(std::string_view path) {
    auto split = [](std::string_view& from) { // its last word, which goes
        const size_t slash = from.rfind('/');
        const std::string_view last = slash == std::string_view::npos ? from : from.substr(slash + 1);
        from.remove_suffix(slash == std::string_view::npos ? from.size() : last.size() + 1);
        return last;
    };
    std::string_view rest = path;
    OwnEntry e;
    e.name = split(rest);
    e.directory = path.substr(0, path.size() - e.name.size());
    std::string_view number = split(rest);
    if (!is_number(number)) return {};
    i32 id = std::atoi(number.data());
    std::string_view above = rest;
    const bool of_task = split(above) == "task";
    if (of_task) {
        e.tid = id;
        number = split(above);
        if (!is_number(number)) return {};
        id = std::atoi(number.data());
    }
    const i32 pid = i32(raw_syscall(SYS_getpid)), self = self_in(of_task ? above : rest);
    if (id == self) return e;
    if (!of_task) e.tid = id;
    // Numbers of threads are those of our namespace.
    return self == pid && raw_syscall(SYS_tgkill, u64(pid), u64(id), 0) == 0 ? std::optional(e) : std::nullopt;
}

std::optional<std::string> own_text(Thread& thread, const OwnEntry& entry) {
    using Text = std::optional<std::string> (*)(Thread&, const OwnEntry&);
    constexpr std::pair<std::string_view, Text> texts[] = {
        {"maps", [](Thread& t, const OwnEntry&) { return std::optional(t.memory().maps_text()); }},
        {"smaps", [](Thread& t, const OwnEntry&) { return std::optional(smaps_text(t)); }},
        {"smaps_rollup", [](Thread& t, const OwnEntry&) { return std::optional(rollup_text(t)); }},
        {"numa_maps", numa_text},
        {"auxv",
         [](Thread& t, const OwnEntry&) {
             return std::optional(std::string(t.process().auxv.begin(), t.process().auxv.end()));
         }},
        {"cmdline", [](Thread& t, const OwnEntry&) { return std::optional(cmdline_text(t)); }},
        {"stat", [](Thread& t, const OwnEntry& e) { return std::optional(stat_text(t, e)); }},
        {"statm", [](Thread& t, const OwnEntry& e) { return std::optional(statm_text(t, e)); }},
        {"status", [](Thread& t, const OwnEntry& e) { return std::optional(status_text(t, e)); }},
        {"limits", [](Thread& t, const OwnEntry& e) { return std::optional(limits_text(t, e)); }},
        {"syscall", syscall_text},
    };
    for (auto& [name, text] : texts)
        if (name == entry.name) return text(thread, entry);
    return {};
}

} // namespace mimic::user
