#include "machine.hpp"
#include "base/check.hpp"
#include "ir/verify.hpp"
#include <cstring>
#include <new>
#include <sys/mman.h>

namespace mimic::test {

using ir::FaultKind;

// ---- memory

Memory::Memory() {
    // A page more, so that an access at the very end stays inside.
    void* p = mmap(nullptr, span + page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    MIMIC_CHECK(p != MAP_FAILED, "no address space for a test's memory");
    base_ = static_cast<u8*>(p);
}
Memory::~Memory() { munmap(base_, span + page_bytes); }

void Memory::map(u64 address, bool writable) {
    MIMIC_CHECK(address < span, "a test maps memory above 4 GiB");
    u8* page = base_ + address / page_bytes * page_bytes;
    void* p = mmap(page, page_bytes, PROT_READ | (writable ? PROT_WRITE : 0),
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    MIMIC_CHECK(p == page, "mmap of a test's page failed");
    pages_[address / page_bytes] = writable;
}
void Memory::protect(u64 address, bool writable) {
    mprotect(base_ + address / page_bytes * page_bytes, page_bytes, PROT_READ | (writable ? PROT_WRITE : 0));
    pages_[address / page_bytes] = writable;
}
void Memory::unmap_all() {
    for (auto& [page, writable] : pages_)
        mmap(base_ + page * page_bytes, page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
             -1, 0);
    pages_.clear();
}

bool Memory::reaches(ir::CpuHeader& cpu, u64 address, u64 bytes, bool write) const {
    for (u64 done = 0; done < bytes;) {
        auto page = pages_.find((address + done) / page_bytes);
        if (page == pages_.end() || (write && !page->second)) {
            cpu.fault_address = address + done;
            cpu.fault_kind = write ? FaultKind::write : FaultKind::read;
            return false;
        }
        done += page_bytes - (address + done) % page_bytes;
    }
    return true;
}
bool Memory::load(ir::CpuHeader& cpu, u64 address, void* out, u32 bytes, const ir::MemArg&) {
    if (!reaches(cpu, address, bytes, false)) return false;
    std::memcpy(out, at(address), bytes);
    return true;
}
bool Memory::store(ir::CpuHeader& cpu, u64 address, const void* in, u32 bytes, const ir::MemArg&) {
    if (!reaches(cpu, address, bytes, true)) return false;
    std::memcpy(at(address), in, bytes);
    return true;
}
bool Memory::probe(ir::CpuHeader& cpu, u64 address, u64 bytes, bool write) {
    return reaches(cpu, address, bytes, write);
}

namespace {

u64 apply(ir::Rmw op, u64 a, u64 b, u32 bits) {
    auto sign = [&](u64 v) { return i64(v << (64 - bits)) >> (64 - bits); };
    switch (op) {
    case ir::Rmw::add: return a + b;
    case ir::Rmw::sub: return a - b;
    case ir::Rmw::and_: return a & b;
    case ir::Rmw::or_: return a | b;
    case ir::Rmw::xor_: return a ^ b;
    case ir::Rmw::andn: return a & ~b;
    case ir::Rmw::swap: return b;
    case ir::Rmw::smin: return sign(a) < sign(b) ? a : b;
    case ir::Rmw::smax: return sign(a) > sign(b) ? a : b;
    case ir::Rmw::umin: return a < b ? a : b;
    case ir::Rmw::umax: return a > b ? a : b;
    }
    return a;
}
// Integers in guest memory.
u64 read_int(const u8* p, u32 bytes, bool big) {
    u64 v = 0;
    for (u32 k = 0; k < bytes; ++k) v |= u64(p[big ? bytes - 1 - k : k]) << 8 * k;
    return v;
}
void write_int(u8* p, u64 v, u32 bytes, bool big) {
    for (u32 k = 0; k < bytes; ++k) p[big ? bytes - 1 - k : k] = u8(v >> 8 * k);
}

} // namespace

bool Memory::rmw(ir::CpuHeader& cpu, u64 address, ir::Rmw op, u64 operand, u64& old, u32 bytes, const ir::MemArg& m) {
    if (!reaches(cpu, address, bytes, true)) return false;
    old = read_int(at(address), bytes, m.big);
    u64 mask = bytes == 8 ? ~u64{0} : (u64{1} << 8 * bytes) - 1;
    write_int(at(address), apply(op, old, operand & mask, 8 * bytes), bytes, m.big);
    return true;
}
bool Memory::cas(ir::CpuHeader& cpu, u64 address, const void* expected, const void* desired, void* old, u32 bytes,
                 const ir::MemArg&) {
    if (!reaches(cpu, address, bytes, true)) return false;
    std::memcpy(old, at(address), bytes);
    if (std::memcmp(old, expected, bytes) == 0) std::memcpy(at(address), desired, bytes);
    return true;
}

// ---- engines

namespace {

class InterpreterEngine final : public Engine {
public:
    std::string_view name() const override { return "interpreter"; }
    void run(const ir::Unit& unit, const ir::GuestState& guest, ir::CpuHeader& cpu, Memory& memory) override {
        interpreter_.run(unit, guest, cpu, memory);
    }

private:
    ir::Interpreter interpreter_;
};

} // namespace

std::unique_ptr<Engine> make_interpreter() { return std::make_unique<InterpreterEngine>(); }
std::vector<std::unique_ptr<Engine>> engines() {
    std::vector<std::unique_ptr<Engine>> all;
    all.push_back(make_interpreter());
    return all;
}

// ---- machine

std::string Outcome::name() const {
    static constexpr std::string_view traps[] = {"syscall",     "breakpoint", "illegal", "misaligned_fetch",
                                                 "fetch_fault", "fp",         "divide",  "overflow",
                                                 "privileged",  "flush_code", "wait",    "guest"};
    static constexpr std::string_view faults[] = {"load_page_fault", "store_page_fault", "fetch_page_fault",
                                                  "misaligned"};
    switch (kind) {
    case Kind::done: return std::string(asked);
    case Kind::trap: return std::string(traps[u32(trap)]);
    case Kind::fault: return std::string(faults[u32(fault)]);
    case Kind::endless: return "endless";
    }
    return "";
}

void Machine::Free::operator()(u8* p) const { ::operator delete[](p, std::align_val_t{64}); }

Machine::Machine(const isa::Guest& guest)
    : guest_(guest)
    , translator_(guest)
    , state_bytes_(ir::slots_offset + guest.state().bytes) {
    state_.reset(static_cast<u8*>(::operator new[](state_bytes_, std::align_val_t{64})));
    reset();
}
void Machine::reset() {
    std::memset(state_.get(), 0, state_bytes_);
    new (state_.get()) ir::CpuHeader;
    memory_.unmap_all();
    if (const isa::System* system = guest_.system()) system->reset(cpu(), isa::ResetKind::power_on);
}
std::vector<u8> Machine::get(u32 reg) {
    std::vector<u8> out(guest_.registers()[reg].bytes);
    guest_.read_register(cpu(), reg, out.data());
    return out;
}

namespace {

class Physical final : public isa::PhysicalMemory {
public:
    explicit Physical(Memory& memory) : memory_(memory) {}
    bool read(u64 address, u32 bytes, u64& value, bool) override {
        value = 0;
        if (!reaches(address)) return false;
        std::memcpy(&value, memory_.at(address), bytes);
        return true;
    }
    bool compare_and_swap(u64 address, u32 bytes, u64 expected, u64 desired, u64& old, bool) override {
        if (!read(address, bytes, old, false)) return false;
        if (old == expected) std::memcpy(memory_.at(address), &desired, bytes);
        return true;
    }

private:
    bool reaches(u64 address) const { return address < Memory::span && memory_.mapped(address); }
    Memory& memory_;
};

std::string_view name_of(const isa::Effects& f) {
    using enum isa::Effects::Flush;
    constexpr std::string_view flushes[] = {"", "flush_all", "flush_address", "flush_context",
                                            "flush_address_in_context"};
    if (f.flush != none) return flushes[u32(f.flush)];
    return f.wait ? "wait" : f.pause ? "pause" : f.code ? "flush_code" : "";
}

} // namespace

// As a processor's loop does, on a board that answers nothing. False: the trap is the test's to see.
bool Machine::take_trap(std::span<const u8> code, Outcome& out) {
    const isa::System* system = guest_.system();
    const auto kind = ir::TrapKind(cpu().exit_arg & 0xff);
    if (!system || kind == ir::TrapKind::flush_code) return false;
    isa::Exception e;
    if (kind == ir::TrapKind::guest) {
        Physical physical(memory_);
        isa::Effects f;
        bool done = system->execute(cpu(), physical, code, f, e);
        if (done && f.request.kind != isa::BoardRequest::Kind::none)
            done = system->answered(cpu(), f.request, false, f, e);
        out.asked = name_of(f);
        if (!done) system->raise(cpu(), e);
    } else {
        system->raise(cpu(), system->trap(cpu(), code));
    }
    out.pc = cpu().pc;
    return true;
}

Outcome Machine::run(std::span<const u8> code, u64 pc, Engine& engine) {
    isa::Fetch fetch = [&](u64 at, std::span<u8> out) {
        u64 offset = at - pc;
        if (offset >= code.size()) return u32(0);
        u32 n = u32(std::min<u64>(out.size(), code.size() - offset));
        std::memcpy(out.data(), code.data() + offset, n);
        return n;
    };
    ir::CpuHeader& header = cpu();
    header.pc = pc;
    header.access = &memory_;
    header.poll = 1; // a branch to itself comes back
    Outcome out;
    for (u32 units = 0; header.pc - pc < code.size(); ++units) {
        if (units == 1000) return out.kind = Outcome::Kind::endless, out;
        // One block a unit: then no jump stays inside, and the loop sees where each goes.
        const ir::Unit& unit = translator_.translate(header.pc, {.mode = header.mode}, fetch, {.blocks = 1});
        if (auto sound = ir::verify(unit, guest_.state()); !sound) MIMIC_CHECK(false, sound.error().message().c_str());
        engine.run(unit, guest_.state(), header, memory_);
        out.pc = header.pc;
        if (header.exit_kind == ir::ExitKind::trap) {
            if (take_trap(code.subspan(header.pc - pc), out)) return out;
            out.kind = Outcome::Kind::trap;
            out.trap = ir::TrapKind(header.exit_arg & 0xff);
            out.address = header.fault_address;
            return out;
        }
        if (header.exit_kind == ir::ExitKind::fault) {
            out.kind = Outcome::Kind::fault;
            out.fault = header.fault_kind;
            out.address = header.fault_address;
            return out;
        }
    }
    return out;
}

} // namespace mimic::test
