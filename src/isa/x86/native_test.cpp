// The rows' meanings against the host's own processor: random instances run natively and in the interpreter from the
// same random state; registers, memory, MXCSR, the flags that the manual defines, and faults must agree.
// MIMIC_X86_INSTANCES (per row) and MIMIC_SEED make it longer or different.
#if defined(__x86_64__) && defined(__linux__)
#    include "isa/shapes/program.hpp"
#    include "isa/x86/insn.hpp"
#    include "isa/x86/state.hpp"
#    include <csignal>
#    include <cstdlib>
#    include <cstring>
#    include <fmt/format.h>
#    include <gtest/gtest.h>
#    include <random>
#    include <sys/mman.h>
#    include <ucontext.h>

namespace mimic::isa {
namespace {

using x86::Decoder;
using x86::I;
using x86::Where;

constexpr u64 code_base = 0x10000000, state_base = code_base + 0x2000, data_base = code_base + 0x10000;
constexpr u32 data_bytes = 0x4000, ram_bytes = 0x10000 + data_bytes;
constexpr u64 insn_at = code_base + 0x800, landing = insn_at + 0x50;

struct State {
    u64 r[16];
    u64 flags;
    u32 mxcsr, taken;
    u8 xmm[16][16];
    u64 host_rsp;
};
enum class End : u32 { next, taken, illegal, divide, fault, protection };

// ---- native

State* const state = reinterpret_cast<State*>(state_base);
volatile End native_end;
u64 leave_at; // where the exit's tail begins

void on_signal(int signal, siginfo_t* info, void* context) {
    auto* uc = static_cast<ucontext_t*>(context);
    auto& g = uc->uc_mcontext.gregs;
    constexpr int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                               REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    for (u32 n = 0; n < 16; ++n) state->r[n] = u64(g[order[n]]);
    state->flags = u64(g[REG_EFL]);
    state->mxcsr = uc->uc_mcontext.fpregs->mxcsr;
    std::memcpy(state->xmm, uc->uc_mcontext.fpregs->_xmm, sizeof state->xmm);
    native_end = signal == SIGILL             ? End::illegal
                 : signal == SIGFPE           ? End::divide
                 : info->si_code == SI_KERNEL ? End::protection // #GP has no address
                                              : End::fault;
    g[REG_RIP] = i64(leave_at);
    g[REG_RSP] = i64(state->host_rsp); // some hypervisors can't return to where rsp is no address
    g[REG_EFL] = 0x202;
}

// The stub around the instruction, written with our own assembler.
class Native {
public:
    explicit Native(const Guest& g) {
        void* at = reinterpret_cast<void*>(code_base);
        void* p = mmap(at, ram_bytes, PROT_READ | PROT_WRITE | PROT_EXEC,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        ok_ = p == at;
        if (!ok_) return;
        emit(g, code_base);
        stack_.resize(1 << 16);
        stack_t alternate{stack_.data(), 0, stack_.size()};
        sigaltstack(&alternate, nullptr);
        struct sigaction action {};
        action.sa_sigaction = on_signal;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
        for (int s : signals) sigaction(s, &action, &old_[s]);
    }
    ~Native() {
        if (!ok_) return;
        for (int s : signals) sigaction(s, &old_[s], nullptr);
        stack_t off{nullptr, SS_DISABLE, 0};
        sigaltstack(&off, nullptr);
        munmap(reinterpret_cast<void*>(code_base), ram_bytes);
    }
    bool ok() const { return ok_; }

    End run(std::span<const u8> insn) {
        std::memset(reinterpret_cast<void*>(insn_at), 0xcc, 0x100);
        std::memcpy(reinterpret_cast<void*>(insn_at), insn.data(), insn.size());
        jump(insn_at + insn.size(), exit_);
        jump(landing, taken_);
        native_end = End::next;
        state->taken = 0;
        reinterpret_cast<void (*)()>(code_base)();
        return native_end == End::next && state->taken ? End::taken : native_end;
    }

private:
    static constexpr int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};

    static u64 line(const Guest& g, u64 at, const std::string& text) {
        auto bytes = g.assemble(text, at, 0);
        MIMIC_CHECK(bytes, "the stub assembles");
        std::memcpy(reinterpret_cast<void*>(at), bytes->data(), bytes->size());
        return at + bytes->size();
    }
    static void jump(u64 at, u64 to) {
        u8 bytes[5] = {0xe9};
        i32 distance = i32(to - at - 5);
        std::memcpy(bytes + 1, &distance, 4);
        std::memcpy(reinterpret_cast<void*>(at), bytes, 5);
    }
    static u64 offset(const void* member) { return u64(member); }
    void emit(const Guest& g, u64 at) {
        static constexpr std::string_view names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                                       "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
        auto put = [&](std::string_view text, auto... a) { at = line(g, at, fmt::format(fmt::runtime(text), a...)); };
        for (auto n : {"rbx", "rbp", "r12", "r13", "r14", "r15"}) put("push {}", n);
        put("mov QWORD PTR ds:{:#x},rsp", offset(&state->host_rsp));
        put("ldmxcsr DWORD PTR ds:{:#x}", offset(&state->mxcsr));
        for (u32 n = 0; n < 16; ++n) put("movups xmm{},XMMWORD PTR ds:{:#x}", n, offset(state->xmm[n]));
        put("push QWORD PTR ds:{:#x}", offset(&state->flags));
        put("popf");
        for (u32 n = 0; n < 16; ++n) put("mov {},QWORD PTR ds:{:#x}", names[n], offset(&state->r[n]));
        put("jmp {:#x}", insn_at);
        taken_ = at;
        put("mov DWORD PTR ds:{:#x},0x1", offset(&state->taken));
        exit_ = at;
        for (u32 n = 0; n < 16; ++n) put("mov QWORD PTR ds:{:#x},{}", offset(&state->r[n]), names[n]);
        put("mov rsp,QWORD PTR ds:{:#x}", offset(&state->host_rsp));
        put("pushf");
        put("pop QWORD PTR ds:{:#x}", offset(&state->flags));
        put("stmxcsr DWORD PTR ds:{:#x}", offset(&state->mxcsr));
        for (u32 n = 0; n < 16; ++n) put("movups XMMWORD PTR ds:{:#x},xmm{}", offset(state->xmm[n]), n);
        leave_at = at;
        put("mov rsp,QWORD PTR ds:{:#x}", offset(&state->host_rsp));
        put("cld");
        put("push 0x1f80");
        put("ldmxcsr DWORD PTR [rsp]");
        put("pop rax");
        for (auto n : {"r15", "r14", "r13", "r12", "rbp", "rbx"}) put("pop {}", n);
        put("ret");
        MIMIC_CHECK(at < insn_at, "the stub fits");
    }

    bool ok_ = false;
    u64 exit_ = 0, taken_ = 0;
    std::vector<u8> stack_;
    struct sigaction old_[64] = {};
};

// ---- the instance and its state

constexpr u32 cf = 1, pf = 4, af = 16, zf = 64, sf = 128, of = 2048, df = 1024, status = cf | pf | af | zf | sf | of;

// Flags that the SDM leaves undefined after this instruction.
u32 undefined_flags(const I& i, const State& in) {
    std::string_view name = i.row->syntax.substr(0, i.row->syntax.find(' '));
    auto is = [&](std::initializer_list<std::string_view> names) {
        return std::find(names.begin(), names.end(), name) != names.end();
    };
    u32 bits = i.row->count ? 8 * i.bytes(0u) : 0;
    u32 count = i.row->imm == x86::Imm::b ? u8(i.imm) : i.row->syntax.ends_with(",1") ? 1 : u8(in.r[1]);
    count &= bits == 64 ? 63 : 31;
    if (is({"and", "or", "xor", "test"})) return af;
    if (is({"shl", "shr"})) return (count ? af : 0) | (count > 1 ? of : 0) | (count >= bits ? cf : 0);
    if (is({"sar"})) return (count ? af : 0) | (count > 1 ? of : 0) | (count >= bits ? cf : 0);
    if (is({"rol", "ror", "rcl", "rcr"})) return count > 1 ? of : 0;
    if (is({"shld", "shrd"})) return count > bits ? status : (count ? af : 0) | (count > 1 ? of : 0);
    if (is({"mul", "imul"})) return sf | zf | af | pf;
    if (is({"div", "idiv"})) return status;
    if (is({"bt", "bts", "btr", "btc"})) return of | sf | af | pf;
    if (is({"bsf", "bsr"})) return cf | of | sf | af | pf;
    if (is({"tzcnt", "lzcnt"})) return of | sf | af | pf;
    return 0;
}
// A double shift of 16 bits by more leaves its destination undefined.
bool undefined_result(const I& i, const State& in) {
    if (!i.row->syntax.starts_with("sh") || i.row->syntax[3] != 'd' || i.bytes(0u) != 2) return false;
    u32 count = i.row->imm == x86::Imm::b ? u8(i.imm) : u8(in.r[1]);
    return (count & 31) > 16;
}

// Rows that leave the harness: transfers by value, traps of the system, what reads the host.
bool is_excluded(const I& i) {
    constexpr std::string_view names[] = {"syscall", "int3", "int ",   "hlt",  "cpuid", "rdtsc",
                                          "call",    "ret",  "jmp {r", "popf", "ud2",   "ldmxcsr"};
    for (auto n : names)
        if (i.row->syntax.starts_with(n)) return true;
    return i.segment == 0x64 || i.segment == 0x65; // the host's own thread pointer
}

u64 random_integer(std::mt19937_64& random) {
    switch (random() % 8) {
    case 0: return random() % 3;
    case 1: return ~(random() % 3);
    case 2: return u64{1} << random() % 64;
    case 3: return (u64{1} << random() % 64) - 1;
    case 4: return u64(i64(i32(random())));
    case 5: return random() % 64;
    default: return random();
    }
}
// Lanes of floating point with the values where rules differ.
u64 random_double(std::mt19937_64& random) {
    constexpr u64 special[] = {0x0000000000000000, 0x8000000000000000, 0x3ff0000000000000, 0x7ff0000000000000,
                               0xfff0000000000000, 0x7ff8000000000000, 0xfff8000000000001, 0x7ff0000000000001,
                               0x0000000000000001, 0x800fffffffffffff, 0x0010000000000000, 0x7fefffffffffffff,
                               0x41dfffffffc00000, 0xc1e0000000000000, 0x43e0000000000000, 0x3ff0000000000001};
    if (random() % 3 == 0) return special[random() % std::size(special)];
    double v = double(i64(random())) / double(1 + random() % 1000);
    u64 bits;
    std::memcpy(&bits, &v, 8);
    return random() % 4 ? bits : random();
}
u32 random_single(std::mt19937_64& random) {
    constexpr u32 special[] = {0x00000000, 0x80000000, 0x3f800000, 0x7f800000, 0xff800000, 0x7fc00000,
                               0xffc00001, 0x7f800001, 0x00000001, 0x807fffff, 0x00800000, 0x7f7fffff,
                               0x4effffff, 0xcf000000, 0x5f000000, 0x3f800001};
    if (random() % 3 == 0) return special[random() % std::size(special)];
    float v = float(i32(random())) / float(1 + random() % 100);
    u32 bits;
    std::memcpy(&bits, &v, 4);
    return random() % 4 ? bits : u32(random());
}
u64 random_lane(std::mt19937_64& random) {
    switch (random() % 3) {
    case 0: return random_double(random);
    case 1: return u64(random_single(random)) << 32 | random_single(random);
    default: return random();
    }
}

struct Case {
    I insn;
    std::vector<u8> bytes;
    State in{};
    std::vector<u8> data;
};

// Registers such that the operand lies in the data, now and then outside or misaligned.
void aim(Case& c, std::mt19937_64& random) {
    I& i = c.insn;
    State& s = c.in;
    u64 target = data_base + 0x1000 + random() % 0x1000;
    if (random() % 4) target &= ~u64{15};
    if (random() % 24 == 0) target = data_base + data_bytes - random() % 20; // may run out at the end
    auto near = [&] { return data_base + 0x1000 + random() % 0x1000; };
    bool string = false;
    for (u32 n = 0; n < i.row->count; ++n) {
        Where w = i.kind(n).where;
        string |= w == Where::source || w == Where::destination;
        if (w == Where::moffs) i.imm = i64(target);
        if (w == Where::rel) i.imm = i64(landing - insn_at - c.bytes.size());
    }
    if (string) {
        s.r[x86::slot_r + 6] = random() % 16 ? near() : data_base + data_bytes - random() % 20;
        s.r[x86::slot_r + 7] = random() % 16 ? near() : data_base + data_bytes - random() % 20;
        s.r[1] = random() % 12;
    }
    if (i.row->syntax.starts_with("push") || i.row->syntax.starts_with("pop")) s.r[4] = near() & ~u64{7};
    if (i.row->syntax.starts_with("leave")) s.r[5] = near() & ~u64{7};
    if (i.row->syntax.starts_with("loop")) s.r[1] = random() % 3;
    if (i.memory) {
        bool bits = i.row->syntax.starts_with("bt") && i.kind(1).where == Where::reg;
        if (bits) s.r[i.reg] = u64(i64(random() % 4096) - 2048);
        if (i.base == x86::rip) {
            i.disp = i32(target - insn_at - c.bytes.size());
        } else if (i.base == x86::no_register && i.index == x86::no_register) {
            i.disp = i32(target);
        } else if (i.base == x86::no_register) {
            s.r[i.index] = (target - u64(i64(i.disp))) >> i.scale;
        } else {
            u64 x = i.index == x86::no_register ? 0 : s.r[i.index] << i.scale;
            s.r[i.base] = target - u64(i64(i.disp)) - x;
            if (i.base == i.index) s.r[i.base] = (target - u64(i64(i.disp))) / (1 + (1u << i.scale));
            if (i.addr32 && random() % 2 == 0) s.r[i.base] = u32(s.r[i.base]);
        }
    }
    c.bytes = Decoder::encode(i);
}

void fill(Case& c, std::mt19937_64& random) {
    for (u64& r : c.in.r) r = random_integer(random);
    for (auto& x : c.in.xmm)
        for (u32 h = 0; h < 2; ++h) {
            u64 v = random_lane(random);
            std::memcpy(x + 8 * h, &v, 8);
        }
    c.in.flags = 0x202 | (random() & (status | df));
    // All masked; any rounding; FTZ and DAZ at times; flags as they come.
    c.in.mxcsr = u32(0x1f80 | (random() & 0x603f) | (random() % 4 ? 0 : random() & 0x8040));
    c.data.resize(data_bytes);
    for (u32 n = 0; n < data_bytes; n += 8) {
        u64 v = random() % 2 ? random_lane(random) : random_integer(random);
        std::memcpy(c.data.data() + n, &v, 8);
    }
}

// ---- the interpreter

class Ours {
public:
    explicit Ours(const Guest& g) : machine_(g, ram_bytes, code_base) {
        constexpr u64 a = code_base + 0x100;
        auto p = assemble_program(
            g, a, fmt::format("ldmxcsr DWORD PTR ds:{0:#x}\nhlt\nstmxcsr DWORD PTR ds:{0:#x}\nhlt\n", state_base));
        MIMIC_CHECK(p, "the helper assembles");
        std::memcpy(machine_.at(a), p->bytes.data(), p->bytes.size());
    }
    End run(const Case& c, State& out) {
        for (u32 n = 0; n < 16; ++n) {
            machine_.set_slot(names[n], c.in.r[n]);
            std::memcpy(home(&machine_.cpu(), x86::state_x86_64.slots[x86::slot_xmm + n]), c.in.xmm[n], 16);
        }
        std::memcpy(machine_.at(state_base), &c.in.mxcsr, 4);
        machine_.cpu().pc = code_base + 0x100;
        machine_.run();
        machine_.set_slot("flags", c.in.flags & status);
        machine_.set_slot("df", c.in.flags >> 10 & 1);
        std::memcpy(machine_.at(data_base), c.data.data(), data_bytes);
        std::memcpy(machine_.at(insn_at), c.bytes.data(), c.bytes.size());
        machine_.cpu().pc = insn_at;
        do machine_.run({.one_insn = true}, 1);
        while (machine_.cpu().pc == insn_at && machine_.cpu().exit_kind == ir::ExitKind::link);
        End end = ended(c);
        for (u32 n = 0; n < 16; ++n) {
            out.r[n] = machine_.slot(names[n]);
            std::memcpy(out.xmm[n], home(&machine_.cpu(), x86::state_x86_64.slots[x86::slot_xmm + n]), 16);
        }
        out.flags = machine_.slot("flags") | machine_.slot("df") << 10;
        machine_.cpu().pc = code_base + 0x109;
        machine_.run();
        std::memcpy(&out.mxcsr, machine_.at(state_base), 4);
        return end;
    }
    const u8* data() { return machine_.at(data_base); }

private:
    static constexpr std::string_view names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                                   "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    End ended(const Case& c) {
        ir::CpuHeader& cpu = machine_.cpu();
        // SDM vol. 1, 3.3.7.1: an address that is not canonical is #GP or #SS, as a misaligned SSE operand is.
        bool canonical = i64(cpu.fault_address << 16) >> 16 == i64(cpu.fault_address);
        if (cpu.exit_kind == ir::ExitKind::fault && !canonical) return End::protection;
        if (cpu.exit_kind == ir::ExitKind::fault)
            return cpu.fault_kind == ir::FaultKind::misaligned ? End::protection : End::fault;
        if (cpu.exit_kind == ir::ExitKind::trap)
            return machine_.trap() == ir::TrapKind::divide ? End::divide : End::illegal;
        return cpu.pc == insn_at + c.bytes.size() ? End::next : End::taken;
    }
    Machine machine_;
};

std::string differences(const Case& c, End n, const State& native, End o, const State& ours, const u8* data) {
    std::string out;
    static constexpr std::string_view ends[] = {"next", "taken", "illegal", "divide", "fault", "protection"};
    if (n != o) out += fmt::format(" end {} ours {}", ends[u32(n)], ends[u32(o)]);
    if (undefined_result(c.insn, c.in)) return out;
    for (u32 k = 0; k < 16; ++k)
        if (native.r[k] != ours.r[k])
            out += fmt::format(" r{} in {:#x} host {:#x} ours {:#x}", k, c.in.r[k], native.r[k], ours.r[k]);
    for (u32 k = 0; k < 16; ++k)
        if (std::memcmp(native.xmm[k], ours.xmm[k], 16)) {
            u64 h[2], w[2];
            std::memcpy(h, native.xmm[k], 16);
            std::memcpy(w, ours.xmm[k], 16);
            out += fmt::format(" xmm{} host {:016x}{:016x} ours {:016x}{:016x}", k, h[1], h[0], w[1], w[0]);
        }
    u32 mask = (status | df) & ~undefined_flags(c.insn, c.in);
    if ((native.flags ^ ours.flags) & mask)
        out += fmt::format(" flags in {:#x} host {:#x} ours {:#x}", c.in.flags, native.flags & mask, ours.flags & mask);
    if (native.mxcsr != ours.mxcsr)
        out += fmt::format(" mxcsr in {:#x} host {:#x} ours {:#x}", c.in.mxcsr, native.mxcsr, ours.mxcsr);
    if (std::memcmp(reinterpret_cast<const void*>(data_base), data, data_bytes)) out += " memory differs";
    return out;
}

u64 setting(const char* name, u64 otherwise) {
    const char* v = std::getenv(name);
    return v ? std::strtoull(v, nullptr, 0) : otherwise;
}

TEST(X86, RowsDoWhatTheProcessorDoes) {
    auto guest = *find_guest("x86_64")->make("max");
    Native native(*guest);
    if (!native.ok()) GTEST_SKIP() << "the addresses of the test page are taken";
    Ours ours(*guest);
    const x86::Table* tables[] = {&x86::integer_rows, &x86::control_rows, &x86::bit_rows,    &x86::string_rows,
                                  &x86::system_rows,  &x86::sse_rows,     &x86::sse_fp_rows, &x86::bmi1_rows,
                                  &x86::lzcnt_rows,   &x86::popcnt_rows,  &x86::cx16_rows};
    Decoder decoder(tables);
    std::mt19937_64 random(setting("MIMIC_SEED", 1));
    u64 each = setting("MIMIC_X86_INSTANCES", 25);
    u32 failures = 0, ran = 0;
    for (u32 row = 0; row < guest->row_count(); ++row) {
        std::string_view table = guest->row(row).table;
        if (table == "BMI1" && !__builtin_cpu_supports("bmi")) continue;
        if (table == "LZCNT" && !__builtin_cpu_supports("lzcnt")) continue;
        if (table == "POPCNT" && !__builtin_cpu_supports("popcnt")) continue;
        u32 bad = 0;
        for (u64 k = 0; k < each && bad < 3; ++k) {
            Case c;
            c.bytes = guest->random_instance(row, random);
            ASSERT_FALSE(c.bytes.empty());
            ASSERT_TRUE(decoder.decode(c.bytes, insn_at, c.insn));
            if (is_excluded(c.insn)) continue;
            fill(c, random);
            aim(c, random);
            ASSERT_TRUE(decoder.decode(c.bytes, insn_at, c.insn));
            std::memcpy(reinterpret_cast<void*>(data_base), c.data.data(), data_bytes);
            *state = c.in;
            End n = native.run(c.bytes);
            State host = *state, mine{};
            End o = ours.run(c, mine);
            ++ran;
            std::string diff = differences(c, n, host, o, mine, ours.data());
            if (diff.empty()) continue;
            ++bad, ++failures;
            ADD_FAILURE() << Decoder::print(c.insn) << fmt::format(" [{:02x}]", fmt::join(c.bytes, " ")) << ":" << diff;
        }
    }
    RecordProperty("instances", int(ran));
    EXPECT_EQ(failures, 0u) << "of " << ran;
}

} // namespace
} // namespace mimic::isa
#endif
