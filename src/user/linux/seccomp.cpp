#include "user/linux/seccomp.hpp"
#include "user/linux/calls/handlers.hpp"
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

namespace mimic::user {
namespace {

using process::raw_syscall;

constexpr u32 scratch_words = 16; // BPF_MEMWORDS
constexpr u32 data_bytes = 64;    // sizeof(struct seccomp_data)

// The instructions that seccomp takes, of which operands need a look.
bool known(const BpfInsn& i) {
    switch (i.code) {
    case BPF_LD | BPF_W | BPF_ABS: return i.k < data_bytes && i.k % 4 == 0;
    case BPF_LD | BPF_W | BPF_LEN:
    case BPF_LDX | BPF_W | BPF_LEN:
    case BPF_LD | BPF_IMM:
    case BPF_LDX | BPF_IMM:
    case BPF_MISC | BPF_TAX:
    case BPF_MISC | BPF_TXA:
    case BPF_RET | BPF_K:
    case BPF_RET | BPF_A:
    case BPF_ALU | BPF_NEG:
    case BPF_JMP | BPF_JA: return true;
    case BPF_LD | BPF_MEM:
    case BPF_LDX | BPF_MEM:
    case BPF_ST:
    case BPF_STX: return i.k < scratch_words;
    case BPF_ALU | BPF_DIV | BPF_K: return i.k != 0;
    case BPF_ALU | BPF_LSH | BPF_K:
    case BPF_ALU | BPF_RSH | BPF_K: return i.k < 32;
    }
    switch (i.code & ~BPF_X) {
    case BPF_ALU | BPF_ADD:
    case BPF_ALU | BPF_SUB:
    case BPF_ALU | BPF_MUL:
    case BPF_ALU | BPF_DIV:
    case BPF_ALU | BPF_AND:
    case BPF_ALU | BPF_OR:
    case BPF_ALU | BPF_XOR:
    case BPF_ALU | BPF_LSH:
    case BPF_ALU | BPF_RSH:
    case BPF_JMP | BPF_JEQ:
    case BPF_JMP | BPF_JGE:
    case BPF_JMP | BPF_JGT:
    case BPF_JMP | BPF_JSET: return true;
    default: return false;
    }
}

bool is_jump(const BpfInsn& i) { return BPF_CLASS(i.code) == BPF_JMP; }
bool is_always(const BpfInsn& i) { return i.code == (BPF_JMP | BPF_JA); }

u32 alu(const BpfInsn& i, u32 a, u32 x) {
    u32 b = BPF_SRC(i.code) == BPF_X ? x : i.k;
    switch (BPF_OP(i.code)) {
    case BPF_ADD: return a + b;
    case BPF_SUB: return a - b;
    case BPF_MUL: return a * b;
    case BPF_DIV: return a / b;
    case BPF_AND: return a & b;
    case BPF_OR: return a | b;
    case BPF_XOR: return a ^ b;
    case BPF_LSH: return a << (b & 31);
    case BPF_RSH: return a >> (b & 31);
    default: return 0 - a; // BPF_NEG
    }
}

bool holds(const BpfInsn& i, u32 a, u32 x) {
    u32 b = BPF_SRC(i.code) == BPF_X ? x : i.k;
    switch (BPF_OP(i.code)) {
    case BPF_JEQ: return a == b;
    case BPF_JGT: return a > b;
    case BPF_JGE: return a >= b;
    default: return a & b; // BPF_JSET
    }
}

} // namespace

bool check_filter(std::span<const BpfInsn> program) {
    const u64 n = program.size();
    if (n == 0 || n > max_filter || BPF_CLASS(program[n - 1].code) != BPF_RET) return false;
    // Scratch words that are written on every way to an instruction.
    std::vector<u16> written(n + 1, 0xffff);
    written[0] = 0;
    for (u64 at = 0; at < n; at++) {
        const BpfInsn& i = program[at];
        if (!known(i)) return false;
        u16 now = written[at];
        const bool loads = i.code == (BPF_LD | BPF_MEM) || i.code == (BPF_LDX | BPF_MEM);
        if (loads && !(now >> i.k & 1)) return false;
        if (i.code == BPF_ST || i.code == BPF_STX) now = u16(now | 1u << i.k);
        if (!is_jump(i)) {
            written[at + 1] &= now; // as the kernel, behind a return, too
            continue;
        }
        const u64 left = n - at - 1; // a jump by this much would leave the program
        if (is_always(i)) {
            if (i.k >= left) return false;
            written[at + 1 + i.k] &= now;
        } else {
            if (i.jt >= left || i.jf >= left) return false;
            written[at + 1 + i.jt] &= now;
            written[at + 1 + i.jf] &= now;
        }
    }
    return true;
}

u32 run_filter(std::span<const BpfInsn> program, const SeccompData& data, Model model) {
    u32 words[data_bytes / 4] = {u32(data.nr), data.arch};
    auto put = [&](u32 at, u64 v) {
        words[at] = u32(model.big ? v >> 32 : v), words[at + 1] = u32(model.big ? v : v >> 32);
    };
    put(2, data.instruction_pointer);
    for (u32 n = 0; n < 6; n++) put(4 + 2 * n, data.args[n]);
    u32 a = 0, x = 0, scratch[scratch_words] = {};
    for (u64 at = 0; at < program.size(); at++) {
        const BpfInsn& i = program[at];
        switch (BPF_CLASS(i.code)) {
        case BPF_RET: return BPF_RVAL(i.code) == BPF_A ? a : i.k;
        case BPF_ST: scratch[i.k] = a; break;
        case BPF_STX: scratch[i.k] = x; break;
        case BPF_MISC: BPF_MISCOP(i.code) == BPF_TAX ? x = a : a = x; break;
        case BPF_JMP: at += is_always(i) ? i.k : holds(i, a, x) ? i.jt : i.jf; break;
        case BPF_ALU:
            if (i.code == (BPF_ALU | BPF_DIV | BPF_X) && x == 0) return SECCOMP_RET_KILL_THREAD;
            a = alu(i, a, x);
            break;
        default: {
            const u16 mode = BPF_MODE(i.code);
            u32 v = mode == BPF_ABS   ? words[i.k / 4]
                    : mode == BPF_MEM ? scratch[i.k]
                    : mode == BPF_LEN ? data_bytes
                                      : i.k;
            (BPF_CLASS(i.code) == BPF_LD ? a : x) = v;
        }
        }
    }
    return SECCOMP_RET_KILL_THREAD; // not reached: a checked program ends with a return
}

// ---- filters of a thread ----

SeccompFilter::SeccompFilter(std::shared_ptr<const SeccompFilter> before, std::vector<BpfInsn> instructions)
    : older(std::move(before))
    , program(std::move(instructions)) {
    cost = program.size();
    if (older) count = older->count + 1, cost += older->cost + 4;
}

// One after the other: thousands of them would nest too deeply.
SeccompFilter::~SeccompFilter() {
    auto next = std::move(older);
    while (next && next.use_count() == 1) {
        auto after = std::move(const_cast<SeccompFilter&>(*next).older);
        next = std::move(after);
    }
}

void SeccompState::install(std::shared_ptr<const SeccompFilter> newer) {
    if (!newer) return;
    filters_.store(newer.get(), std::memory_order_release);
    owner_ = std::move(newer); // holds the one that the thread may be running
    mode_.store(Mode::filter, std::memory_order_release);
}

void SeccompState::inherit(const SeccompState& parent) {
    install(parent.owner_);
    mode_ = parent.mode();
}

namespace {

// The newest of those that demand most.
u32 verdict(const SeccompFilter* filter, const SeccompData& data, Model model) {
    auto order = [](u32 v) { return i32(v & SECCOMP_RET_ACTION_FULL); };
    u32 result = SECCOMP_RET_ALLOW;
    for (; filter; filter = filter->older.get()) {
        u32 v = run_filter(filter->program, data, model);
        if (order(v) < order(result)) result = v;
    }
    return result;
}

// The thread ends without a signal to anyone, but for the last one: that is the process's end by the signal.
i64 end_thread(Thread& t, int signal, const siginfo_t* info) {
    if (!t.borrowed && t.process().threads.load() > 1) {
        Args a;
        a.v[0] = u64(signal);
        return sys_exit(t, a);
    }
    if (info) t.die(signal, *info);
    raw_syscall(SYS_kill, u64(raw_syscall(SYS_getpid)), u64(signal)); // SIGKILL
    return keep_registers;
}

siginfo_t sigsys(Thread& t, const Args& a, u32 data) {
    siginfo_t info{};
    info.si_signo = SIGSYS;
    info.si_code = sigsys_by_filter;
    info.si_errno = i32(data);
    info.si_call_addr = reinterpret_cast<void*>(t.header().pc);
    info.si_syscall = i32(a.number);
    info.si_arch = t.abi().audit_arch();
    return info;
}

i64 strict_call(Thread& t, const Args& a) {
    const CallRow* row = find_call(t.abi(), a.number);
    constexpr i32 allowed[] = {SYS_read, SYS_write, SYS_exit, SYS_rt_sigreturn};
    if (row && std::find(std::begin(allowed), std::end(allowed), row->host) != std::end(allowed)) return 0;
    return end_thread(t, SIGKILL, nullptr);
}

} // namespace

std::optional<i64> filter_call(Thread& t, const Args& a) {
    SeccompState& state = t.seccomp;
    if (state.no_new_privs_due.exchange(false)) raw_syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (state.mode() == SeccompState::Mode::strict) {
        i64 r = strict_call(t, a);
        return r ? std::optional(r) : std::nullopt;
    }
    SeccompData data{i32(a.number), t.abi().audit_arch(), t.header().pc, {}};
    std::copy(std::begin(a.v), std::end(a.v), std::begin(data.args));
    const u32 v = verdict(state.filters(), data, t.abi().model), detail = v & SECCOMP_RET_DATA;
    constexpr u32 max_errno = 4095;
    switch (v & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
    case SECCOMP_RET_LOG: return {};
    case SECCOMP_RET_ERRNO: {
        const i64 result = -i64(std::min(detail, max_errno));
        if (!process::is_made_again(result)) return result;
        t.set(t.process().map.result, u64(result)); // one that means something else here
        return keep_registers;
    }
    case SECCOMP_RET_TRACE:      // there is no tracer
    case SECCOMP_RET_USER_NOTIF: // nobody listens
        return -ENOSYS;
    case SECCOMP_RET_TRAP: t.force_signal(sigsys(t, a, detail)); return keep_registers;
    case SECCOMP_RET_KILL_THREAD: {
        siginfo_t info = sigsys(t, a, detail);
        return end_thread(t, SIGSYS, &info);
    }
    default: t.die(SIGSYS, sigsys(t, a, detail)); // SECCOMP_RET_KILL_PROCESS, and what is no action
    }
}

// ---- handing over ----

std::string filters_text(const SeccompState& state) {
    std::vector<const SeccompFilter*> all;
    for (const SeccompFilter* f = state.filters(); f; f = f->older.get()) all.push_back(f);
    std::string text;
    for (auto f = all.rbegin(); f != all.rend(); f++) {
        for (const BpfInsn& i : (*f)->program) text += fmt::format("{:04x}{:02x}{:02x}{:08x}", i.code, i.jt, i.jf, i.k);
        text += ';';
    }
    return text;
}

namespace {

bool hexadecimal(std::string_view digits, u64& value) {
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    return error == std::errc() && end == digits.data() + digits.size();
}

bool instructions(std::string_view text, std::vector<BpfInsn>& program) {
    constexpr size_t digits = 16;
    for (; text.size() >= digits; text.remove_prefix(digits)) {
        u64 v;
        if (!hexadecimal(text.substr(0, digits), v)) return false;
        program.push_back({u16(v >> 48), u8(v >> 40), u8(v >> 32), u32(v)});
    }
    return text.empty() && check_filter(program);
}

} // namespace

Result<std::shared_ptr<const SeccompFilter>> filters_from_text(std::string_view text) {
    const Error bad = Error::invalid_argument("-seccomp: expected what Mimic wrote");
    std::shared_ptr<const SeccompFilter> newest;
    while (!text.empty()) {
        const size_t end = text.find(';');
        std::vector<BpfInsn> program;
        if (end == std::string_view::npos || !instructions(text.substr(0, end), program)) return bad;
        newest = std::make_shared<SeccompFilter>(std::move(newest), std::move(program));
        if (newest->cost > max_filter_cost) return bad;
        text.remove_prefix(end + 1);
    }
    return newest;
}

} // namespace mimic::user
