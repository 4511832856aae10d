#include "blocks.hpp"
#include "base/process.hpp"
#include "soak/values.hpp"
#include <cstring>
#include <fmt/core.h>
#include <random>
#include <sys/mman.h>

namespace mimic::tests {

namespace {

using cpu::Accel;
using test::soak::BlockStart;
using test::soak::SoakGuest;

constexpr u64 low = 0x10000, bytes = 0x10000, code_at = low + 0x8000; // guest addresses [low, low + bytes)
constexpr u64 reserve = u64{1} << 36;                                 // a guest's wild accesses hit nothing of ours
constexpr u64 guard = u64{1} << 34;                                   // nor do small negative addresses

// Guest memory inside a reservation, so that generated code faults where the interpreter does.
struct Memory final : cpu::CodeSource, ir::Access {
    u8* base;
    Memory() {
        base = guard + static_cast<u8*>(mmap(nullptr, reserve + guard, PROT_NONE,
                                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        mprotect(base + low, bytes, PROT_READ | PROT_WRITE);
    }
    ~Memory() override { munmap(base - guard, reserve + guard); }

    u32 fetch(u64 pc, u8* out, u32 max) override {
        if (pc < low || pc >= low + bytes) return 0;
        u32 n = u32(std::min<u64>(max, low + bytes - pc));
        std::memcpy(out, base + pc, n);
        return n;
    }
    cpu::Watch protect_code(u64, bool) override { return cpu::Watch::as_before; }
    bool good(ir::CpuHeader& cpu, u64 address, u64 n, ir::FaultKind kind) {
        if (address >= low && address <= low + bytes - n) return true;
        // as the host tells it: the first byte that is not there
        cpu.fault_address = address < low + bytes && address + n > low + bytes ? low + bytes : address;
        cpu.fault_kind = kind;
        return false;
    }
    bool load(ir::CpuHeader& cpu, u64 address, void* out, u32 n, const ir::MemArg&) override {
        return good(cpu, address, n, ir::FaultKind::read) && std::memcpy(out, base + address, n);
    }
    bool store(ir::CpuHeader& cpu, u64 address, const void* in, u32 n, const ir::MemArg&) override {
        return good(cpu, address, n, ir::FaultKind::write) && std::memcpy(base + address, in, n);
    }
    bool rmw(ir::CpuHeader& cpu, u64 address, ir::Rmw op, u64 operand, u64& old, u32 n, const ir::MemArg&) override {
        if (!good(cpu, address, n, ir::FaultKind::write)) return false;
        old = 0;
        std::memcpy(&old, base + address, n);
        u32 unused = 64 - 8 * n;
        i64 x = i64(old << unused) >> unused, y = i64(operand << unused) >> unused;
        u64 ux = old, uy = operand << unused >> unused, r = 0;
        switch (op) {
        case ir::Rmw::add: r = ux + uy; break;
        case ir::Rmw::sub: r = ux - uy; break;
        case ir::Rmw::and_: r = ux & uy; break;
        case ir::Rmw::or_: r = ux | uy; break;
        case ir::Rmw::xor_: r = ux ^ uy; break;
        case ir::Rmw::andn: r = ux & ~uy; break;
        case ir::Rmw::swap: r = uy; break;
        case ir::Rmw::smin: r = u64(std::min(x, y)); break;
        case ir::Rmw::smax: r = u64(std::max(x, y)); break;
        case ir::Rmw::umin: r = std::min(ux, uy); break;
        case ir::Rmw::umax: r = std::max(ux, uy); break;
        }
        std::memcpy(base + address, &r, n);
        return true;
    }
    bool cas(ir::CpuHeader& cpu, u64 address, const void* expected, const void* desired, void* old, u32 n,
             const ir::MemArg&) override {
        if (!good(cpu, address, n, ir::FaultKind::write)) return false;
        std::memcpy(old, base + address, n);
        if (std::memcmp(old, expected, n) == 0) std::memcpy(base + address, desired, n);
        return true;
    }
    bool probe(ir::CpuHeader& cpu, u64 address, u64 n, bool write) override {
        return good(cpu, address, n, write ? ir::FaultKind::write : ir::FaultKind::read);
    }
    void fence(u32, u32) override {}
};

struct Engine {
    Memory memory;
    std::unique_ptr<cpu::CodeSpace> space;
    std::unique_ptr<cpu::Cpu> cpu;
    Engine(const isa::Guest& guest, Accel accel, u32 host_level) {
        space = *cpu::CodeSpace::create(guest, memory,
                                        {.accel = accel,
                                         .stop_at_known = false,
                                         .code_bytes = 16 << 20,
                                         .guest_base = u64(memory.base),
                                         .host_level = host_level});
        cpu = std::make_unique<cpu::Cpu>(*space, memory);
    }
};

u64 random_word(std::mt19937_64& random) {
    switch (random() % 8) {
    case 0: return random() % 256;
    case 1: return u64(i64(random() % 256) - 128);
    case 2: return u64{1} << random() % 64;
    case 3: return (u64{1} << random() % 64) - 1;
    case 4: return 0;
    case 5: return ~u64{0};
    default: return random();
    }
}
// Mostly addresses of the window, so that memory instructions do something.
u64 random_register(std::mt19937_64& random) {
    if (random() % 2) return (low + random() % 0x7000) & ~u64{7};
    u64 v = random_word(random);
    // Nothing between the window's reservation and the end of user space: that may be ours.
    return v >= reserve - 0x10000 && v < u64{1} << 62 ? v | u64{1} << 62 : v;
}
u64 random_double(std::mt19937_64& random) {
    static constexpr double values[] = {0.0, -0.0, 1.0, -1.5, 1e308, 5e-324, 3.5, 1e10, -1e19, 2147483648.0};
    switch (random() % 4) {
    case 0: return random();
    case 1: return 0xffffffff00000000 | u32(random());
    case 2: { // boxed single of usual size
        u32 f = u32(random() % 0x1000000) | 0x3f000000u | u32(random() % 2) << 31;
        return 0xffffffff00000000 | f;
    }
    default: {
        u64 u;
        std::memcpy(&u, &values[random() % std::size(values)], 8);
        return u;
    }
    }
}

// Of a vector register, which may hold numbers of either width.
u64 random_lanes(std::mt19937_64& random) {
    switch (random() % 4) {
    case 0: return test::soak::edge_fp(random, 23, 8) | test::soak::edge_fp(random, 23, 8) << 32;
    case 1: return test::soak::edge_fp(random, 52, 11);
    case 2: return random_double(random);
    default: return random_word(random);
    }
}

std::string state_difference(const isa::Guest& guest, cpu::Cpu& a, cpu::Cpu& b) {
    std::string out;
    const ir::GuestState& s = guest.state();
    for (u32 n = 0; n < s.slots.size(); ++n) {
        u32 size = ir::size_of(s.slots[n].type, guest.vector_bytes());
        if (s.slots[n].cls == ir::SlotClass::temp ||
            std::memcmp(a.slot(ir::SlotId(n)), b.slot(ir::SlotId(n)), size) == 0)
            continue;
        out += fmt::format("  {}:", s.slots[n].name);
        for (auto* c : {&a, &b}) {
            u64 w[2] = {};
            std::memcpy(w, c->slot(ir::SlotId(n)), std::min(size, 16u));
            out += fmt::format(" {:#x}:{:016x}", w[1], w[0]);
        }
        out += '\n';
    }
    ir::CpuHeader &x = a.header(), &y = b.header();
    // An edge that leaves may poll or not: what follows is the same.
    for (ir::CpuHeader* h : {&x, &y})
        if (h->exit_kind < ir::ExitKind::trap) h->exit_kind = ir::ExitKind::link;
    if (x.exit_kind != y.exit_kind || x.pc != y.pc || x.mode != y.mode)
        out += fmt::format("  exit {} {:#x} mode {}, {} {:#x} mode {}\n", u32(x.exit_kind), x.pc, x.mode,
                           u32(y.exit_kind), y.pc, y.mode);
    if (x.exit_kind == ir::ExitKind::trap && (x.exit_arg != y.exit_arg || x.fault_address != y.fault_address))
        out += fmt::format("  trap {:#x} {:#x} detail {:#x} {:#x}\n", x.exit_arg, y.exit_arg, x.fault_address,
                           y.fault_address);
    // A non-canonical address is not told by the host.
    if (x.exit_kind == ir::ExitKind::fault && x.fault_address != y.fault_address)
        out += fmt::format("  fault at {:#x} {:#x}\n", x.fault_address, y.fault_address);
    if (x.fp.flags != y.fp.flags || x.fp.mode != y.fp.mode)
        out += fmt::format("  fp flags {:#x} {:#x} mode {:#x} {:#x}\n", x.fp.flags, y.fp.flags, x.fp.mode, y.fp.mode);
    return out;
}

// A fault of the interpreter's where generated code may find memory of this process instead: beside the reservation, but
// in user space, or across the reservation's lower edge. It says nothing about either engine.
bool is_ours(const ir::CpuHeader& h, const Memory& memory) {
    if (h.exit_kind != ir::ExitKind::fault) return false;
    constexpr u64 widest = 256, user_space = u64{1} << 47;
    u64 above_guard = h.fault_address + guard, host = u64(memory.base) + h.fault_address;
    return above_guard > reserve + guard - widest && host + widest < user_space + widest;
}

std::vector<u8> random_code(const isa::Guest& guest, const SoakGuest* shaping, const BlockStart& start,
                            std::mt19937_64& random) {
    std::vector<u8> code = start.code;
    for (u32 n = 1 + u32(random() % 8); n-- > 0;) {
        u32 row = u32(random() % guest.row_count());
        auto i = guest.random_instance(row, random);
        if (shaping && shaping->shape) shaping->shape(guest, row, start.setting, i, random);
        if (code.size() + i.size() < 0xc0) code.insert(code.end(), i.begin(), i.end());
    }
    return code;
}

void fill_memory(std::span<Engine* const> engines, u64 at, const std::vector<u8>& code, std::mt19937_64& random) {
    for (u64 n = low; n < low + 0x7000; n += 0x400) {
        u64 w = random();
        for (Engine* e : engines) std::memcpy(e->memory.base + n, &w, 8);
    }
    for (Engine* e : engines) {
        e->space->invalidate(at, at + 0x100);
        std::memset(e->memory.base + at, 0, 0x100);
        std::memcpy(e->memory.base + at, code.data(), code.size());
    }
}

void fill_state(const isa::Guest& guest, const BlockStart& start, std::span<Engine* const> engines, u64 pc,
                std::mt19937_64& random) {
    const ir::GuestState& s = guest.state();
    for (u32 n = 0; n < s.slots.size(); ++n) {
        u64 w[32] = {};
        switch (s.slots[n].cls) {
        case ir::SlotClass::gpr: w[0] = random_register(random); break;
        case ir::SlotClass::fp: w[0] = random_double(random); break;
        case ir::SlotClass::vec:
            for (u32 k = 0; k < 2; ++k) w[k] = random_lanes(random);
            break;
        case ir::SlotClass::flag: w[0] = random() & (s.slots[n].type == ir::Type::flags ? ir::flag::all : 1); break;
        default: break;
        }
        for (Engine* e : engines)
            std::memcpy(e->cpu->slot(ir::SlotId(n)), w,
                        std::min<u32>(256, ir::size_of(s.slots[n].type, guest.vector_bytes())));
    }
    u32 mode = u32(random() % 4), flags = random() % 2 ? 0 : u32(random() & 0x1f);
    for (Engine* e : engines) {
        ir::CpuHeader& h = e->cpu->header();
        h.pc = pc, h.mode = 0, h.fp = {flags, mode};
        h.exit_arg = 0;
        for (auto [reg, value] : start.registers) guest.write_register(h, reg, reinterpret_cast<const u8*>(&value));
    }
}

// Both run unit by unit until they differ or leave the block; gives the difference.
std::string run_both(const isa::Guest& guest, Engine& oracle, Engine& jit, u64 at, u64 code_bytes) {
    constexpr u32 most_units = 8; // a block may jump into itself
    for (u32 n = 0; n < most_units; ++n) {
        // Each from a unit that begins here: generated code could also be entered in the midst of one, which polls elsewhere.
        if (n > 0)
            for (Engine* e : {&oracle, &jit}) e->space->invalidate(at, at + 0x100);
        oracle.cpu->run_unit();
        jit.cpu->run_unit();
        std::string d = state_difference(guest, *oracle.cpu, *jit.cpu);
        const ir::CpuHeader& h = oracle.cpu->header();
        if (!d.empty() || h.exit_kind >= ir::ExitKind::trap || h.pc - at >= code_bytes) return d;
    }
    return {};
}

std::string memory_difference(Engine& oracle, Engine& jit) {
    u8 *a = oracle.memory.base, *b = jit.memory.base;
    if (std::memcmp(a + low, b + low, bytes) == 0) return {};
    u64 n = low;
    while (a[n] == b[n]) ++n;
    std::string d = fmt::format("  memory at {:#x}: {:#x} {:#x}\n", n, a[n], b[n]);
    std::memcpy(b + low, a + low, bytes);
    return d;
}

std::string listing(const isa::Guest& guest, u64 at, const std::vector<u8>& code) {
    std::string out;
    for (u32 o = 0; o < code.size();) {
        u32 length = 0;
        std::string text = guest.disassemble({code.data() + o, code.size() - o}, at + o, 0, length);
        out += fmt::format("    {:#x}: {}\n", at + o, text);
        o += std::max(length, 1u);
    }
    return out;
}

} // namespace

BlockCounts compare_engines(const isa::Guest& guest, const SoakGuest* shaping, u64 seed, u64 count, u32 host_level,
                            std::string& report) {
    process::SignalStack stack;
    std::mt19937_64 random(seed);
    Engine oracle(guest, Accel::interp, host_level), jit(guest, Accel::jit, host_level);
    Engine* engines[] = {&oracle, &jit};
    BlockCounts counts;
    u64 reports = 0;
    for (u64 k = 0; k < count; ++k) {
        u64 at = code_at + (k % 64) * 0x100;
        if (k % 64 == 0)
            for (Engine* e : engines) e->space->invalidate_all();
        BlockStart start;
        if (shaping && shaping->begin_block) start = shaping->begin_block(guest, random);
        std::vector<u8> code = random_code(guest, shaping, start, random);
        fill_state(guest, start, engines, at, random);
        fill_memory(engines, at, code, random);
        std::string d = run_both(guest, oracle, jit, at, code.size());
        d += memory_difference(oracle, jit);
        if (d.empty()) {
            ++counts.passed;
            continue;
        }
        if (is_ours(oracle.cpu->header(), oracle.memory)) {
            ++counts.wild;
            continue;
        }
        // An engine that makes a second unit of the block reads what the first stored; guests have to ask for that.
        if (std::memcmp(oracle.memory.base + at, code.data(), code.size()) != 0) {
            ++counts.modified;
            continue;
        }
        ++counts.failed;
        if (++reports > 5) continue;
        report += fmt::format("block {} of seed {} (interpreter, JIT):\n{}{}", k, seed, listing(guest, at, code), d);
    }
    cpu::CodeSpace::Counters c = jit.space->counters();
    counts.refused = c.refused;
    for (u32 n = 0; n < ir::op_count; ++n)
        if (c.refused_by_op[n])
            report += fmt::format("{} units refused for {}\n", c.refused_by_op[n], ir::info(ir::Op(n)).name);
    return counts;
}

} // namespace mimic::tests
