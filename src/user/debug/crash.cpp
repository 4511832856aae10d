#include "user/debug/crash.hpp"
#include "isa/debug.hpp"
#include "isa/guest.hpp"
#include "user/debug/core_file.hpp"
#include "user/linux/strace.hpp"
#include "user/symbols.hpp"
#include <csignal>
#include <ctime>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

namespace mimic::user {

using process::raw_syscall;

namespace {

constexpr u32 most_frames = 16, shown_instructions = 4;

void wait_a_little() {
    timespec t{0, 1'000'000};
    raw_syscall(SYS_nanosleep, u64(&t), 0);
}

// The other threads, outside of guest code: those in system calls stay there. None of them begins or ends any more, as
// Process::dying is set.
std::vector<Thread*> stand_still(Thread& t) {
    std::vector<Thread*> all{&t};
    if (t.borrowed) return all;
    {
        std::lock_guard guard(t.process().members_lock);
        for (Thread* other : t.process().members)
            if (other != &t) all.push_back(other);
    }
    if (all.size() == 1) return all;
    bool moves = true;
    for (u32 n = 0; moves && n < 1000; n++) {
        for (Thread* other : all) other->cpu().kick();
        wait_a_little();
        moves = std::any_of(all.begin() + 1, all.end(), [](Thread* o) { return o->cpu().inside(); });
    }
    return all;
}

std::string code_name(int signal, int code) {
    struct Code {
        int signal, code;
        const char* name;
    };
    static constexpr Code codes[] = {
        {SIGSEGV, SEGV_MAPERR, "SEGV_MAPERR, nothing is mapped there"},
        {SIGSEGV, SEGV_ACCERR, "SEGV_ACCERR, the mapping forbids it"},
        {SIGBUS, BUS_ADRALN, "BUS_ADRALN, misaligned"},
        {SIGBUS, BUS_ADRERR, "BUS_ADRERR, behind the end of the file"},
        {SIGILL, ILL_ILLOPC, "ILL_ILLOPC, no instruction"},
        {SIGILL, ILL_ILLOPN, "ILL_ILLOPN, an operand that is not allowed"},
        {SIGILL, ILL_PRVOPC, "ILL_PRVOPC, privileged"},
        {SIGTRAP, TRAP_BRKPT, "TRAP_BRKPT, a breakpoint instruction"},
        {SIGFPE, FPE_INTDIV, "FPE_INTDIV"},
        {SIGSYS, sigsys_by_filter, "SYS_SECCOMP, a filter of the program forbids the last system call"},
    };
    for (const Code& c : codes)
        if (c.signal == signal && c.code == code) return c.name;
    if (code == SI_USER || code == SI_TKILL || code == SI_QUEUE) return "sent by a process";
    return fmt::format("code {}", code);
}

// Where an address lies: "function+0x10 in /usr/bin/x+0x1234".
class Places {
public:
    explicit Places(Thread& t) : names_(t.memory()), maps_(t.memory().maps_text()) {}
    std::string line(u64 address) const {
        for (size_t at = 0, end; at < maps_.size(); at = end + 1) {
            end = std::min(maps_.find('\n', at), maps_.size());
            unsigned long long low, high;
            if (std::sscanf(maps_.c_str() + at, "%llx-%llx", &low, &high) == 2 && address >= low && address < high)
                return maps_.substr(at, end - at);
        }
        return {};
    }
    std::string name(u64 address) {
        std::string name = names_.name(address), where = line(address);
        unsigned long long low, high, offset;
        size_t path = where.find_first_of("/[");
        if (std::sscanf(where.c_str(), "%llx-%llx %*4s %llx", &low, &high, &offset) != 3) return "nowhere";
        std::string file = path == std::string::npos
                               ? std::string("anonymous memory")
                               : fmt::format("{}+{:#x}", where.substr(path), address - low + offset);
        return name.empty() ? file : fmt::format("{} in {}", name, file);
    }

private:
    GuestSymbols names_;
    std::string maps_;
};

std::string registers_text(Thread& t) {
    const isa::Guest* guest = t.process().engine.guest();
    if (!guest || !guest->debug()) return {};
    std::string out;
    u32 n = 0, shown = 0;
    for (const isa::DebugRegister& r : guest->debug()->registers()) {
        u8 raw[8] = {};
        if (r.general && r.bytes <= 8 && guest->debug()->read(t.header(), n, raw))
            out += fmt::format("{} {:>5} {:0{}x}",
                               shown++ % 4 ? ""
                               : shown > 1 ? "\n "
                                           : " ",
                               r.name, load_int(raw, r.bytes, guest->big_endian()), 2 * r.bytes);
        n++;
    }
    return out + "\n";
}

std::string code_text(Thread& t) {
    const isa::Guest* guest = t.process().engine.guest();
    u64 pc = t.header().pc;
    std::string out;
    for (u32 n = 0; guest && n < shown_instructions; n++) {
        u8 code[16];
        u32 bytes = t.memory().fetch(pc, code, std::min<u32>(sizeof code, guest->max_insn_bytes())), length = 0;
        if (bytes == 0) break;
        std::string text = guest->disassemble({code, bytes}, pc, t.header().mode, length);
        out += fmt::format("  {} {:#x}: {}\n", n ? "  " : "=>", pc, text);
        if (length == 0) break;
        pc += length;
    }
    return out;
}

// By the link register and the chain of frame pointers: right where code keeps them, a guess elsewhere.
std::string backtrace_text(Thread& t, Places& places) {
    const FrameChain& chain = t.abi().frames;
    const ir::GuestState& state = t.process().engine.state();
    auto slot = [&](std::string_view name) -> u64 {
        for (const ir::Slot& s : state.slots)
            if (s.name == name) return t.get(ir::slots_offset + s.offset);
        return 0;
    };
    auto is_code = [&](u64 at) {
        int p = t.memory().protection(at);
        return p >= 0 && p & prot::exec;
    };
    std::string out;
    u32 n = 0;
    auto add = [&](u64 at) { out += fmt::format("  #{} {:#x} {}\n", n++, at, places.name(at)); };
    add(t.header().pc);
    if (chain.fp.empty()) return out;
    u64 fp = slot(chain.fp), last = chain.lr.empty() ? 0 : slot(chain.lr) & chain.address_mask;
    if (last && is_code(last)) add(last);
    while (n < most_frames) {
        u64 ret, above;
        if (fp == 0 || !t.read_word(fp + u64(i64(chain.ret)), ret) || !t.read_word(fp + u64(i64(chain.next)), above))
            break;
        ret &= chain.address_mask;
        if (!is_code(ret)) break;
        if (ret != last) add(ret);
        last = ret;
        if (above <= fp) break;
        fp = above;
    }
    return out;
}

std::string calls_text(Thread& t) {
    std::string out;
    for (const Thread::Recent& r : t.recent_calls())
        out += fmt::format("  {}", strace_text(t, r.args, r.result, r.done));
    return out;
}

// A guess, from what the program did last.
std::string fault_text(Thread& t, int signal, const siginfo_t& info) {
    bool by_process = info.si_code <= 0 && info.si_code != SI_KERNEL;
    if (by_process && info.si_pid == raw_syscall(SYS_getpid)) return "the program's: it sent the signal itself";
    if (by_process) return fmt::format("process {}'s, which sent the signal", info.si_pid);
    for (const Thread::Recent& r : t.recent_calls())
        if (r.done && r.result == -ENOSYS) {
            Args a = r.args;
            a.row = find_call(t.abi(), a.number);
            return fmt::format("perhaps Mimic's: system call {} is not there, as the program was told before",
                               a.row ? a.row->name : std::to_string(a.number));
        }
    u64 address = u64(info.si_addr);
    if (signal == SIGSYS && info.si_code == sigsys_by_filter)
        return "the program's filter, which may not know what C libraries do without a vDSO";
    if (signal == SIGSEGV && info.si_code == SEGV_ACCERR) {
        int p = t.memory().protection(address);
        if (p >= 0 && (p & prot::read) && (p & prot::write))
            return "Mimic's: the mapping allows the access; please report it";
    }
    if (signal == SIGILL && info.si_code != ILL_PRVOPC)
        return fmt::format("the program's, or CPU model {} lacks the instruction (another one: -cpu)",
                           t.process().engine.guest() ? t.process().engine.guest()->model() : "");
    return "the program's, or a wrong translation: see whether -accel interp ends the same way";
}

// The program may have put another file in the place of its standard error, which is not for us to write into.
bool is_log(const RunOptions& options) {
    struct stat st {};
    return raw_syscall(SYS_fstat, u64(i64(options.log)), u64(&st)) == 0 && st.st_dev == options.log_file[0] &&
           st.st_ino == options.log_file[1];
}

// A pipe that has room takes this much at once; a reader who does not read holds up no death.
void write_all(int fd, std::string_view text) {
    constexpr size_t most = 4096;
    constexpr u64 patience = 1000; // ms
    while (!text.empty()) {
        pollfd p{fd, POLLOUT, 0};
        if (raw_syscall(SYS_poll, u64(&p), 1, patience) != 1) return;
        i64 n = raw_syscall(SYS_write, u64(i64(fd)), u64(text.data()), std::min(text.size(), most));
        if (n <= 0) return; // nobody is left to tell
        text.remove_prefix(size_t(n));
    }
}

} // namespace

bool dumps_core(int signal) {
    switch (signal) {
    case SIGQUIT:
    case SIGILL:
    case SIGTRAP:
    case SIGABRT:
    case SIGBUS:
    case SIGFPE:
    case SIGSEGV:
    case SIGXCPU:
    case SIGXFSZ:
    case SIGSYS: return true;
    default: return false;
    }
}

std::string crash_report(Thread& t, int signal, const siginfo_t& info, const std::string& core) {
    Places places(t);
    u64 pc = t.header().pc;
    bool has_address = info.si_code > 0 && info.si_code != SI_KERNEL;
    std::string out =
        fmt::format("mimic: {} (process {}, thread {}) ends by {} ({}{})\n", t.process().exe, raw_syscall(SYS_getpid),
                    t.tid(), signal_name(signal), code_name(signal, info.si_code),
                    has_address ? fmt::format("; address {:#x}", u64(info.si_addr)) : std::string());
    out += fmt::format("pc {:#x}: {}\n", pc, places.name(pc));
    if (std::string line = places.line(pc); !line.empty()) out += fmt::format("  {}\n", line);
    out += code_text(t);
    out += fmt::format("registers:\n{}", registers_text(t));
    out += fmt::format("backtrace (by frame pointers):\n{}", backtrace_text(t, places));
    if (std::string calls = calls_text(t); !calls.empty()) out += fmt::format("last system calls:\n{}", calls);
    out += fmt::format("whose fault: {}\n", fault_text(t, signal, info));
    const isa::Guest* guest = t.process().engine.guest();
    out += fmt::format("mimic version 0.1, guest {} model {}; core file: {}\n", t.abi().name,
                       guest ? guest->model() : "", core);
    return out;
}

void tell_crash(Thread& t, int signal, const siginfo_t& info) {
    using Crash = RunOptions::Crash;
    Crash when = t.process().options.crash;
    bool fault = info.si_code > 0 && info.si_code != SI_KERNEL;
    bool reports = dumps_core(signal) && (when == Crash::always || (when == Crash::faults && fault));
    rlimit limit{};
    raw_syscall(SYS_prlimit64, 0, RLIMIT_CORE, 0, u64(&limit));
    bool cores = dumps_core(signal) && limit.rlim_cur != 0 && raw_syscall(SYS_prctl, PR_GET_DUMPABLE) == 1;
    if (!reports && !cores) return;
    std::vector<Thread*> threads = stand_still(t);
    std::string core = limit.rlim_cur == 0 ? "none, the limit is 0 (ulimit -c)" : "none, the process may not be dumped";
    if (cores) {
        auto written = write_core(t, threads, signal, info, limit.rlim_cur);
        core = written ? *written : fmt::format("none: {}", written.error().message());
        // Too little for a file, and what core(5)'s programs at a pipe take for "none", which 0 is not.
        rlimit least{1, limit.rlim_max};
        if (written) raw_syscall(SYS_prlimit64, 0, RLIMIT_CORE, u64(&least), 0);
    }
    if (reports && is_log(t.process().options)) write_all(t.process().options.log, crash_report(t, signal, info, core));
}

} // namespace mimic::user
