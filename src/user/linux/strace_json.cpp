#include "user/linux/strace_json.hpp"
#include "base/json.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/syscall.h>

namespace mimic::user {
namespace {

constexpr size_t most_strings = 1024;
constexpr u64 most_bytes = 4096;

u64 nanoseconds(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return u64(now.tv_sec) * 1'000'000'000 + u64(now.tv_nsec);
}

void write(Thread& t, const Json& event) {
    const std::string line = event.dump() + "\n";
    t.write_own(t.process().options.log, line.data(), line.size());
}

Json event(Thread& t, const char* type) {
    return Json(Json::Object{{"type", type},
                             {"pid", process::raw_syscall(SYS_getpid)},
                             {"tid", t.tid()},
                             {"time_ns", nanoseconds(CLOCK_REALTIME)}});
}

// What a call moves: where, how much, and its first bytes in hexadecimal.
Json bytes(Thread& t, u64 address, u64 length) {
    Json out(Json::Object{{"address", fmt::format("{:#x}", address)}, {"length", length}});
    std::string raw(std::min(length, most_bytes), 0), text;
    if (t.process().options.strace_brief || !t.memory().read(address, raw.data(), raw.size())) return out;
    for (unsigned char c : raw) text += fmt::format("{:02x}", c);
    out.set("bytes", std::move(text));
    return out;
}

Json argument(Thread& t, const Args& a, u32 n, i64 result, bool after) {
    const Arg arg = a.row->args[n];
    const u64 v = a[n];
    std::string string;
    std::vector<std::string> strings;
    switch (arg.kind) {
    case ArgKind::dirfd:
        if (i32(v) == AT_FDCWD) return "AT_FDCWD";
        [[fallthrough]];
    case ArgKind::integer:
    case ArgKind::fd:
    case ArgKind::pid: return i32(v);
    case ArgKind::word: return u32(v);
    case ArgKind::slong: return i64(v);
    case ArgKind::text:
    case ArgKind::path:
    case ArgKind::lookup:
    case ArgKind::lookup_link:
        if (v != 0 && t.path(v, string) == 0) return string;
        break;
    case ArgKind::vector:
        if (v != 0 && read_strings(t, v, most_strings, strings)) {
            Json list = Json::array();
            for (std::string& s : strings) list.push(std::move(s));
            return list;
        }
        break;
    case ArgKind::in_bytes:
        if (v != 0) return bytes(t, v, a[arg.s]);
        break;
    case ArgKind::out_bytes:
        if (v != 0 && after && result > 0) return bytes(t, v, std::min(a[arg.s], u64(result)));
        break;
    case ArgKind::mode:
    case ArgKind::flags:
    case ArgKind::signal:
    case ArgKind::open_flags:
    case ArgKind::map_prot:
    case ArgKind::map_flags: return strace_argument(t, a, n, result, after);
    default: break;
    }
    return v == 0 ? Json() : Json(fmt::format("{:#x}", v));
}

Json call_event(Thread& t, const Args& a, std::string_view name, i64 result, bool after) {
    Json e = event(t, "syscall");
    if (!name.empty()) e.set("name", name);
    e.set("number", a.number);
    Json arguments = Json::array();
    for (u32 n = 0; n < 6 && (!a.row || a.row->args[n].kind != ArgKind::none); n++)
        arguments.push(a.row ? argument(t, a, n, result, after) : Json(fmt::format("{:#x}", a[n])));
    e.set("args", std::move(arguments));
    return e;
}

void set_result(Json& e, i64 r) {
    if (r == -process::restart || r == -process::not_entered) {
        e.set("restarts", true);
    } else if (r < 0 && r >= -4095) {
        const char* name = errno_name(int(-r));
        e.set("result", -1);
        e.set("errno", -r);
        e.set("error", name ? name : strerror(int(-r)));
    } else if (r != keep_registers) {
        e.set("result", r);
    }
}

} // namespace

i64 json_call(Thread& t, const Args& a, Handler handler) {
    const bool early = does_not_return(*a.row);
    if (early) write(t, call_event(t, a, a.row->name, 0, false));
    const u64 from = nanoseconds(CLOCK_MONOTONIC);
    const i64 r = handler(t, a);
    if (r == keep_registers && early) return r;
    const u64 until = nanoseconds(CLOCK_MONOTONIC);
    Json e = call_event(t, a, a.row->name, r, true);
    set_result(e, r);
    e.set("duration_ns", until - from);
    write(t, e);
    return r;
}

i64 json_arch_call(Thread& t, const Args& a, const ArchCall& arch) {
    const i64 r = arch.handler(t, a);
    Json e = call_event(t, a, arch.name, r, true);
    set_result(e, r);
    write(t, e);
    return r;
}

void json_result(Thread& t, const Args& a, i64 result, bool by_filter) {
    Json e = call_event(t, a, a.row ? a.row->name : std::string_view(), result, true);
    set_result(e, result);
    if (by_filter) e.set("by_filter", true);
    write(t, e);
}

void json_signal(Thread& t, int signal, const siginfo_t& info) {
    Json e = event(t, "signal");
    e.set("name", signal_name(signal));
    e.set("number", signal);
    e.set("code", info.si_code);
    if (info.si_code > 0)
        e.set("address", fmt::format("{:#x}", u64(info.si_addr)));
    else
        e.set("sender", info.si_pid);
    write(t, e);
}

} // namespace mimic::user
