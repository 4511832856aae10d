#include "user/linux/strace.hpp"
#include "user/linux/strace_json.hpp"
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/syscall.h>

namespace mimic::user {
namespace {

struct Bit {
    u64 bit;
    const char* name;
};
constexpr Bit open_bits[] = {{01, "O_WRONLY"},    {02, "O_RDWR"},          {0100, "O_CREAT"},    {0200, "O_EXCL"},
                             {0400, "O_NOCTTY"},  {01000, "O_TRUNC"},      {02000, "O_APPEND"},  {04000, "O_NONBLOCK"},
                             {010000, "O_DSYNC"}, {02000000, "O_CLOEXEC"}, {010000000, "O_PATH"}};
constexpr Bit prot_bits[] = {{1, "PROT_READ"}, {2, "PROT_WRITE"}, {4, "PROT_EXEC"}};
constexpr Bit map_bits[] = {{mapflag::shared, "MAP_SHARED"},
                            {mapflag::private_, "MAP_PRIVATE"},
                            {mapflag::fixed, "MAP_FIXED"},
                            {mapflag::anonymous, "MAP_ANONYMOUS"},
                            {mapflag::grows_down, "MAP_GROWSDOWN"},
                            {mapflag::denywrite, "MAP_DENYWRITE"},
                            {mapflag::noreserve, "MAP_NORESERVE"},
                            {mapflag::populate, "MAP_POPULATE"},
                            {mapflag::stack, "MAP_STACK"},
                            {mapflag::hugetlb, "MAP_HUGETLB"},
                            {mapflag::fixed_noreplace, "MAP_FIXED_NOREPLACE"}};

template <size_t n>
std::string bits(u64 v, const Bit (&table)[n], const char* zero) {
    std::string s;
    for (const Bit& b : table)
        if ((v & b.bit) == b.bit) s.append(s.empty() ? "" : "|").append(b.name), v &= ~b.bit;
    char rest[24];
    std::snprintf(rest, sizeof rest, "%s0x%llx", s.empty() ? "" : "|", (unsigned long long)v);
    if (v != 0) s += rest;
    return s.empty() ? zero : s;
}

std::string hex(u64 v) {
    char text[24];
    std::snprintf(text, sizeof text, "0x%llx", (unsigned long long)v);
    return text;
}

std::string quote(std::string_view s, bool cut) {
    std::string out = "\"";
    for (unsigned char c : s) {
        char code[8];
        if (c == '"' || c == '\\')
            out += '\\', out += char(c);
        else if (c == '\n')
            out += "\\n";
        else if (c == '\t')
            out += "\\t";
        else if (c >= 0x20 && c < 0x7f)
            out += char(c);
        else
            std::snprintf(code, sizeof code, "\\%o", c), out += code;
    }
    return out + (cut ? "\"..." : "\"");
}

std::string string_at(Thread& t, u64 address) {
    std::string s;
    if (address == 0) return "NULL";
    return t.path(address, s) == 0 ? quote(s, false) : hex(address);
}

std::string bytes_at(Thread& t, u64 address, u64 length) {
    constexpr u64 shown = 32;
    u64 n = std::min(length, shown);
    char raw[shown];
    if (address == 0) return "NULL";
    if (t.process().options.strace_brief) return hex(address);
    return t.memory().read(address, raw, n) ? quote({raw, size_t(n)}, n < length) : hex(address);
}

// {"ls","-l",NULL}
std::string strings_at(Thread& t, u64 address) {
    constexpr size_t shown = 64;
    std::vector<std::string> strings;
    if (address == 0) return "NULL";
    if (!read_strings(t, address, shown, strings)) return hex(address);
    std::string text = "{";
    for (const std::string& s : strings) text += quote(s, false) + ",";
    return text + (strings.size() < shown ? "NULL}" : "...}");
}

std::string show(Thread& t, const Args& a, u32 n, Arg arg, i64 result, bool after) {
    u64 v = a[n];
    char text[32];
    switch (arg.kind) {
    case ArgKind::integer:
    case ArgKind::fd:
    case ArgKind::pid: return std::to_string(i32(v));
    case ArgKind::dirfd: return i32(v) == AT_FDCWD ? "AT_FDCWD" : std::to_string(i32(v));
    case ArgKind::word: return std::to_string(u32(v));
    case ArgKind::slong: return std::to_string(i64(v));
    case ArgKind::mode: std::snprintf(text, sizeof text, "0%o", u32(v)); return text;
    case ArgKind::signal: return signal_name(i32(v));
    case ArgKind::open_flags: return bits(u32(v), open_bits, "O_RDONLY");
    case ArgKind::map_prot: return bits(u32(v), prot_bits, "PROT_NONE");
    case ArgKind::map_flags: return bits(u32(v), map_bits, "0");
    case ArgKind::text:
    case ArgKind::path:
    case ArgKind::lookup:
    case ArgKind::lookup_link: return string_at(t, v);
    case ArgKind::vector: return strings_at(t, v);
    case ArgKind::in_bytes: return bytes_at(t, v, a[arg.s]);
    case ArgKind::out_bytes: return after && result > 0 ? bytes_at(t, v, std::min(a[arg.s], u64(result))) : hex(v);
    default: return v == 0 ? "NULL" : hex(v);
    }
}

void print(Thread& t, const std::string& line) { t.write_own(t.process().options.log, line.data(), line.size()); }

std::string head(Thread& t, const Args& a, i64 result, bool after) {
    std::string line = std::to_string(t.tid()) + " " + a.row->name + "(";
    for (u32 n = 0; n < 6 && a.row->args[n].kind != ArgKind::none; n++)
        line.append(n ? "," : "").append(show(t, a, n, a.row->args[n], result, after));
    return line + ")";
}

std::string tail(i64 r) {
    if (r == -process::restart || r == -process::not_entered) return " = ? (to be restarted)\n";
    if (r == keep_registers) return " = ?\n";
    if (r >= 0 || r < -4095) return " = " + (r > 1 << 30 || r < -4095 ? hex(u64(r)) : std::to_string(r)) + "\n";
    const char* name = errno_name(int(-r));
    return " = -1 errno=" + std::to_string(-r) + " " + (name ? name : "") + " (" + strerror(int(-r)) + ")\n";
}

constexpr const char* errno_names[] = {nullptr,   "EPERM",        "ENOENT", "ESRCH",  "EINTR",     "EIO",     "ENXIO",
                                       "E2BIG",   "ENOEXEC",      "EBADF",  "ECHILD", "EAGAIN",    "ENOMEM",  "EACCES",
                                       "EFAULT",  "ENOTBLK",      "EBUSY",  "EEXIST", "EXDEV",     "ENODEV",  "ENOTDIR",
                                       "EISDIR",  "EINVAL",       "ENFILE", "EMFILE", "ENOTTY",    "ETXTBSY", "EFBIG",
                                       "ENOSPC",  "ESPIPE",       "EROFS",  "EMLINK", "EPIPE",     "EDOM",    "ERANGE",
                                       "EDEADLK", "ENAMETOOLONG", "ENOLCK", "ENOSYS", "ENOTEMPTY", "ELOOP"};
constexpr const char* signal_names[] = {
    nullptr,     "SIGHUP",  "SIGINT",    "SIGQUIT", "SIGILL",   "SIGTRAP", "SIGABRT", "SIGBUS",
    "SIGFPE",    "SIGKILL", "SIGUSR1",   "SIGSEGV", "SIGUSR2",  "SIGPIPE", "SIGALRM", "SIGTERM",
    "SIGSTKFLT", "SIGCHLD", "SIGCONT",   "SIGSTOP", "SIGTSTP",  "SIGTTIN", "SIGTTOU", "SIGURG",
    "SIGXCPU",   "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO",   "SIGPWR",  "SIGSYS"};

} // namespace

const char* errno_name(int number) {
    if (number > 0 && number < int(std::size(errno_names))) return errno_names[number];
    return strerrorname_np(number);
}

std::string signal_name(int number) {
    if (number > 0 && number < 32) return signal_names[number];
    if (number >= 32 && number <= 64) return "SIGRT_" + std::to_string(number - 32);
    return std::to_string(number);
}

std::string strace_argument(Thread& t, const Args& a, u32 n, i64 result, bool after) {
    return show(t, a, n, a.row->args[n], result, after);
}

bool read_strings(Thread& t, u64 address, size_t most, std::vector<std::string>& to) {
    constexpr u64 longest = 4096;
    for (; to.size() < most; address += t.word_bytes()) {
        u64 pointer;
        if (!t.read_word(address, pointer)) return false;
        if (pointer == 0) return true;
        if (!t.memory().read_string(pointer, to.emplace_back(), longest)) return false;
    }
    return true;
}

bool does_not_return(const CallRow& row) {
    const std::string_view name = row.name;
    return name.starts_with("exit") || name.starts_with("execve") || name == "rt_sigreturn";
}

i64 strace_call(Thread& t, const Args& a, Handler handler) {
    if (t.process().options.strace_json) return json_call(t, a, handler);
    std::string_view name = a.row->name;
    const bool early = does_not_return(*a.row);
    if (early) print(t, head(t, a, 0, false) + (name.starts_with("exec") ? "" : "\n"));
    i64 r = handler(t, a);
    if (name.starts_with("exec")) print(t, tail(r));
    if (!early) print(t, head(t, a, r, true) + tail(r));
    return r;
}

i64 strace_arch_call(Thread& t, const Args& a, const ArchCall& arch) {
    if (t.process().options.strace_json) return json_arch_call(t, a, arch);
    i64 r = arch.handler(t, a);
    print(t, std::to_string(t.tid()) + " " + std::string(arch.name) + "(" + hex(a[0]) + "," + hex(a[1]) + "," +
                 hex(a[2]) + "," + hex(a[3]) + ")" + tail(r));
    return r;
}

void strace_unknown(Thread& t, const Args& a) {
    if (t.process().options.strace_json) return json_result(t, a, -ENOSYS, false);
    print(t, std::to_string(t.tid()) + " call " + std::to_string(a.number) + " is unknown" + tail(-ENOSYS));
}

std::string strace_text(Thread& t, Args a, i64 result, bool done) {
    a.row = find_call(t.abi(), a.number);
    std::string text;
    if (a.row) text = head(t, a, result, done);
    for (const ArchCall& arch : t.abi().calls)
        if (!a.row && arch.number == a.number) text = fmt::format("{} {}({:#x})", t.tid(), arch.name, a[0]);
    if (text.empty()) text = fmt::format("{} call {} is unknown", t.tid(), a.number);
    return text + (done ? tail(result) : "\n");
}

void strace_refused(Thread& t, const Args& a, i64 result) {
    if (t.process().options.strace_json) return json_result(t, a, result, true);
    std::string line = strace_text(t, a, result, true);
    line.insert(line.size() - 1, " (by a filter)");
    print(t, line);
}

void strace_signal(Thread& t, int signal, const siginfo_t& info) {
    if (t.process().options.strace_json) return json_signal(t, signal, info);
    std::string line =
        std::to_string(t.tid()) + " --- " + signal_name(signal) + " {si_code=" + std::to_string(info.si_code);
    if (info.si_code > 0)
        line += ", si_addr=" + hex(u64(info.si_addr));
    else
        line += ", si_pid=" + std::to_string(info.si_pid);
    print(t, line + "} ---\n");
}

} // namespace mimic::user
