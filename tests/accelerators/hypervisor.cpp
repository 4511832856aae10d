#include "hypervisor.hpp"
#include "base/process.hpp"
#include "ir/rmw.hpp"
#include <algorithm>
#include <bit>
#include <cstring>

namespace mimic::hypervisor {

using ir::ExitKind;
using isa::AccessType;
using memory::RamBlock;

namespace {

constexpr u64 page = RamBlock::page_size;
u64 left_in_page(u64 address) { return page - (address & (page - 1)); }

u64 clock_of(ir::CpuHeader& h) {
    auto* clock = static_cast<cpu::Clock*>(static_cast<cpu::Cpu*>(h.owner)->client);
    return clock ? clock->now() : 0;
}

// Whole, where the host reads and writes such sizes at once.
void copy(u8* memory, u8* data, u32 bytes, bool write) {
    if (!std::has_single_bit(bytes) || bytes > 16)
        std::memcpy(write ? memory : data, write ? data : memory, bytes);
    else
        write ? process::guarded_store(memory, data, bytes) : process::guarded_load(memory, data, bytes);
}

} // namespace

Registers read_registers(const isa::Guest& guest, ir::CpuHeader& h) {
    Registers r{h.pc, h.mode & guest.state().entry_mode, {}};
    for (u32 n = 0; n < guest.registers().size(); ++n) {
        const std::size_t at = r.named.size();
        r.named.resize(at + guest.registers()[n].bytes);
        guest.read_register(h, n, &r.named[at]);
    }
    return r;
}

void write_registers(const isa::Guest& guest, ir::CpuHeader& h, const Registers& r) {
    h.mode = r.entry_mode;
    for (std::size_t n = 0, at = 0; n < guest.registers().size(); at += guest.registers()[n++].bytes)
        guest.write_register(h, u32(n), &r.named[at]);
    h.pc = r.pc;
}

// ---- the machine

Result<std::unique_ptr<Machine>> Machine::create(const Options& options) {
    std::unique_ptr<Machine> m(new Machine(options));
    m->code_ = TRY(cpu::CodeSpace::create(*options.guest, *m, {.accel = cpu::Accel::interp, .paged = true}));
    return m;
}

Machine::~Machine() {
    quit_ = true;
    timer_event_.signal();
    if (timer_.joinable()) timer_.join();
    for (RamBlock* b : blocks_) b->on_code_write = nullptr;
}

void Machine::set_slot(u32 number, const Slot& slot) {
    std::lock_guard lock(slots_mutex_);
    slots_.erase(number);
    if (!slot.bytes) return;
    MIMIC_CHECK(slot.address % page == 0 && slot.bytes % page == 0, "a slot is made of whole pages");
    for (auto& [n, r] : slots_)
        MIMIC_CHECK(r.slot.secure != slot.secure || r.slot.address >= slot.address + slot.bytes ||
                        slot.address >= r.slot.address + r.slot.bytes,
                    "slots do not overlap");
    Range& range = slots_[number];
    range.slot = slot;
    range.written = std::make_unique<std::atomic<u8>[]>(slot.bytes / page);
    blocks_.insert(slot.block);
    // What devices write is seen by instruction fetches, as hardware sees to.
    slot.block->on_code_write = [this](RamBlock& b, u64 offset, u64 bytes) {
        code_->invalidate(u64(b.host()) + offset, u64(b.host()) + offset + bytes);
    };
}

std::vector<u8> Machine::take_log(u32 number) {
    std::lock_guard lock(slots_mutex_);
    Range& r = slots_.at(number);
    std::vector<u8> pages(r.slot.bytes / page);
    for (u64 n = 0; n < pages.size(); ++n) pages[n] = r.written[n].exchange(0);
    return pages;
}

void Machine::Range::note_write(u64 address, u64 bytes) {
    if (!slot.log) return;
    const u64 from = address - slot.address;
    for (u64 n = from / page; n <= (from + bytes - 1) / page; ++n) written[n] = 1;
}

Machine::Range* Machine::find(u64 address, bool secure) {
    for (auto& [number, r] : slots_)
        if (r.slot.secure == secure && address - r.slot.address < r.slot.bytes) return &r;
    return nullptr;
}

Machine::Range* Machine::range_of(u64 place, u64& offset) {
    for (auto& [number, r] : slots_) {
        offset = place - u64(r.slot.block->host());
        if (offset < r.slot.block->size()) return &r;
    }
    return nullptr;
}

u32 Machine::fetch(u64 place, u8* out, u32 max) {
    std::memcpy(out, reinterpret_cast<const u8*>(place), max); // inside a page that was located
    return max;
}

cpu::Watch Machine::protect_code(u64 place, bool) {
    u64 offset;
    Range* r = range_of(place, offset);
    if (!r || (r->slot.block->flags(offset) & RamBlock::code)) return cpu::Watch::as_before;
    r->slot.block->watch(offset, RamBlock::code);
    return cpu::Watch::from_now;
}

void Machine::release_code(u64 place) {
    u64 offset;
    if (Range* r = range_of(place, offset)) r->slot.block->flags(offset).fetch_and(u8(~RamBlock::code));
}

void Machine::timer_changed() {
    {
        std::lock_guard lock(mutex_);
        if (!timer_.joinable()) timer_ = std::thread([this] { timer(); });
    }
    timer_event_.signal();
}

// Processors inside look at their timers when one is due.
void Machine::timer() {
    for (;;) {
        const u32 seen = timer_event_.now();
        if (quit_) return;
        u64 now = options_.clock->now(), next = ~u64{0};
        {
            std::lock_guard lock(mutex_);
            for (Processor* p : processors_) {
                u64 at = p->deadline_;
                if (at <= now && p->deadline_.compare_exchange_strong(at, ~u64{0}))
                    p->cpu_.kick();
                else
                    next = std::min(next, at);
            }
        }
        timer_event_.wait(seen, next == ~u64{0} ? next : next > now ? next - now : 0);
    }
}

// ---- memory

bool Memory::fail(ir::CpuHeader& h, u64 address, AccessType type, const isa::Exception& e) {
    exception_ = e;
    h.fault_address = address;
    h.fault_kind = type == AccessType::read    ? ir::FaultKind::read
                   : type == AccessType::write ? ir::FaultKind::write
                                               : ir::FaultKind::fetch;
    return false;
}
bool Memory::bus_error(ir::CpuHeader& h, u64 address, AccessType type) {
    return fail(h, address, type, system_.bus_error(h, address, type));
}

bool Memory::translate(ir::CpuHeader& h, u64 address, u32 bytes, AccessType type, u32 index, isa::Mapping& m) {
    isa::Exception e;
    return system_.translate(h, *this, address, bytes, type, index, false, m, e) || fail(h, address, type, e);
}

void Memory::written(Machine::Range& r, u64 physical, u64 bytes) {
    r.note_write(physical, bytes);
    const u64 offset = r.slot.offset + (physical - r.slot.address), host = u64(r.slot.block->host()) + offset;
    std::atomic_thread_fence(std::memory_order_seq_cst); // the bytes before the flag
    if (r.slot.block->flags(offset) & RamBlock::code) machine_.code_->invalidate(host, host + bytes);
}

// Inside a page.
bool Memory::access(ir::CpuHeader& h, u64 address, u8* data, u32 bytes, AccessType type, u32 index) {
    isa::Mapping m;
    if (!translate(h, address, bytes, type, index, m)) return false;
    Machine::Range* r = machine_.find(m.physical, m.secure);
    const bool write = type == AccessType::write;
    if (!r || (write && r->slot.read_only)) return outside(h, address, m, data, bytes, type);
    copy(r->host(m.physical), data, bytes, write);
    if (write) written(*r, m.physical, bytes);
    return true;
}

bool Memory::outside(ir::CpuHeader& h, u64 address, const isa::Mapping& m, u8* data, u32 bytes, AccessType type) {
    for (u32 done = 0; done < bytes;) {
        const u32 n = std::min<u32>(bytes - done, 8);
        Exit e{.kind = Exit::Kind::access, .address = m.physical + done, .bytes = n, .secure = m.secure};
        e.write = type == AccessType::write;
        if (e.write) std::memcpy(&e.value, data + done, n);
        if (next_ == answers_.size()) {
            pending_ = e;
            return fail(h, address, type, {});
        }
        const Exit& a = answers_[next_++];
        if (a.refused) return bus_error(h, address, type);
        if (!e.write) std::memcpy(data + done, &a.value, n);
        done += n;
    }
    return true;
}

bool Memory::load(ir::CpuHeader& h, u64 address, void* out, u32 bytes, const ir::MemArg& m) {
    u8* data = static_cast<u8*>(out);
    const u32 low = u32(std::min<u64>(bytes, left_in_page(address)));
    return access(h, address, data, low, AccessType::read, m.index) &&
           (low == bytes || access(h, address + low, data + low, bytes - low, AccessType::read, m.index));
}

bool Memory::store(ir::CpuHeader& h, u64 address, const void* in, u32 bytes, const ir::MemArg& m) {
    u8* data = static_cast<u8*>(const_cast<void*>(in));
    const u32 low = u32(std::min<u64>(bytes, left_in_page(address)));
    // Nothing is written before all may be.
    isa::Mapping second;
    if (low != bytes && !translate(h, address + low, bytes - low, AccessType::write, m.index, second)) {
        isa::Mapping first;
        const isa::Exception e = exception_;
        return translate(h, address, low, AccessType::write, m.index, first) &&
               fail(h, address + low, AccessType::write, e);
    }
    return access(h, address, data, low, AccessType::write, m.index) &&
           (low == bytes || access(h, address + low, data + low, bytes - low, AccessType::write, m.index));
}

// RAM only: devices take no atomic accesses.
u8* Memory::atomic_target(ir::CpuHeader& h, u64 address, u32 bytes, u32 index, u64& physical, Machine::Range*& range) {
    isa::Mapping m;
    if (bytes > left_in_page(address)) return bus_error(h, address, AccessType::write), nullptr;
    if (!translate(h, address, bytes, AccessType::write, index, m)) return nullptr;
    range = machine_.find(m.physical, m.secure);
    if (!range || range->slot.read_only) return bus_error(h, address, AccessType::write), nullptr;
    physical = m.physical;
    return range->host(physical);
}

bool Memory::rmw(ir::CpuHeader& h, u64 address, ir::Rmw op, u64 operand, u64& old, u32 bytes, const ir::MemArg& m) {
    const u32 shift = 64 - 8 * bytes;
    auto swap = [&](u64 v) { return m.big ? __builtin_bswap64(v) >> shift : v; };
    u64 physical = 0;
    Machine::Range* range = nullptr;
    old = 0;
    u8* host = atomic_target(h, address, bytes, m.index, physical, range);
    if (!host) return false;
    process::guarded_rmw(host, old, bytes, [&](u64 v) { return swap(ir::apply(op, swap(v), operand, bytes)); });
    written(*range, physical, bytes);
    old = swap(old);
    return true;
}

bool Memory::cas(ir::CpuHeader& h, u64 address, const void* expected, const void* desired, void* old, u32 bytes,
                 const ir::MemArg& m) {
    u64 physical = 0;
    Machine::Range* range = nullptr;
    u8* host = atomic_target(h, address, bytes, m.index, physical, range);
    if (!host) return false;
    process::guarded_cas(host, expected, desired, old, bytes);
    written(*range, physical, bytes);
    return true;
}

bool Memory::probe(ir::CpuHeader& h, u64 address, u64 bytes, bool write) {
    for (u64 done = 0; done < bytes;) {
        const u64 n = std::min(bytes - done, left_in_page(address + done));
        isa::Mapping m;
        if (!translate(h, address + done, u32(n), write ? AccessType::write : AccessType::read,
                       system_.data_index(h.mode), m))
            return false;
        done += n;
    }
    return true;
}

bool Memory::locate(ir::CpuHeader& h, u64 pc, u64& place) {
    if (pc & (machine_.options_.guest->min_insn_bytes() - 1))
        return fail(h, pc, AccessType::fetch, system_.misaligned(h, pc, AccessType::fetch));
    isa::Mapping m;
    const u32 bytes = u32(std::min<u64>(2, left_in_page(pc)));
    if (!translate(h, pc, bytes, AccessType::fetch, system_.fetch_index(h.mode), m)) return false;
    Machine::Range* r = machine_.find(m.physical, m.secure);
    if (!r) return bus_error(h, pc, AccessType::fetch); // code runs in slots only
    place = u64(r->host(m.physical));
    return true;
}

u32 Memory::code_at(ir::CpuHeader& h, u64 pc, std::span<u8> out) {
    const isa::Exception kept = exception_;
    const u64 address = h.fault_address;
    const ir::FaultKind kind = h.fault_kind;
    u32 done = 0;
    while (done < out.size()) {
        u64 place;
        if (!locate(h, pc + done, place)) break;
        const u32 n = u32(std::min<u64>(out.size() - done, left_in_page(pc + done)));
        std::memcpy(out.data() + done, reinterpret_cast<const u8*>(place), n);
        done += n;
    }
    exception_ = kept, h.fault_address = address, h.fault_kind = kind;
    return done;
}

bool Memory::read(u64 address, u32 bytes, u64& value, bool secure) {
    Machine::Range* r = machine_.find(address, secure);
    value = 0;
    if (r) copy(r->host(address), reinterpret_cast<u8*>(&value), bytes, false);
    return r;
}

bool Memory::compare_and_swap(u64 address, u32 bytes, u64 expected, u64 desired, u64& old, bool secure) {
    Machine::Range* r = machine_.find(address, secure);
    if (!r || r->slot.read_only) return false;
    old = 0;
    process::guarded_cas(r->host(address), &expected, &desired, &old, bytes);
    written(*r, address, bytes);
    return true;
}

// ---- a processor

Processor::Processor(Machine& machine, u64 id)
    : machine_(machine)
    , system_(*machine.options_.guest->system())
    , memory_(machine)
    , cpu_(*machine.code_, memory_, &memory_) {
    cpu_.client = machine.options_.clock;
    cpu_.header().clock = clock_of;
    cpu_.header().random = machine.options_.random;
    system_.set_identity(cpu_.header(), id);
    system_.reset(cpu_.header(), isa::ResetKind::power_on);
    std::lock_guard lock(machine_.mutex_);
    machine_.processors_.push_back(this);
}

Processor::~Processor() {
    std::lock_guard lock(machine_.mutex_);
    std::erase(machine_.processors_, this);
}

void Processor::ask_out() {
    asked_ = true;
    cpu_.kick();
}

void Processor::set_line(u32 line, bool level) {
    const u64 bit = u64{1} << line;
    if (!level) return void(__atomic_fetch_and(&cpu_.header().lines, ~bit, __ATOMIC_SEQ_CST));
    if (!(__atomic_fetch_or(&cpu_.header().lines, bit, __ATOMIC_SEQ_CST) & bit)) cpu_.kick();
}

void Processor::set_registers(const Registers& r) {
    write_registers(*machine_.options_.guest, cpu_.header(), r);
    memory_.forget_answers();
    halted_ = false;
    told_.reset();
}

void Processor::answer(const Exit& e) { e.kind == Exit::Kind::access ? memory_.answer(e) : void(answered_ = e); }

Exit Processor::tell(Exit e) {
    e.outputs = system_.output_levels(cpu_.header());
    told_ = e.outputs;
    return e;
}

void Processor::arm_timer() {
    if (!machine_.options_.clock) return;
    u64 at = system_.next_timer(cpu_.header());
    if (at != ~u64{0} && at <= now()) at = ~u64{0}; // due: it is a line now
    if (deadline_.exchange(at) != at && at != ~u64{0}) machine_.timer_changed();
}

Exit Processor::run(const How& how) {
    stepping_ = how.single_step;
    if (is_between()) {
        if (auto e = go_on()) return tell(*e);
        if (how.single_step) return tell({.kind = Exit::Kind::step});
    }
    if (how.pass_breakpoint) pass_at_ = cpu_.header().pc;
    for (;;) {
        cpu_.clear_kick();
        if (asked_) return tell({.kind = Exit::Kind::asked});
        ir::CpuHeader& h = cpu_.header();
        arm_timer(); // first: what is due by then is seen by tick
        system_.tick(h);
        if (told_ != system_.output_levels(h)) return tell({.kind = Exit::Kind::outputs});
        if (halted_) {
            halted_ = !system_.wakes(h);
            if (halted_) return tell({.kind = Exit::Kind::halt, .until = system_.next_timer(h)});
        }
        if (!how.single_step) system_.take_interrupt(h);
        memory_.forget_answers();
        const bool pass = std::exchange(pass_at_, ~u64{0}) == h.pc;
        how.single_step || pass ? cpu_.step_instruction() : cpu_.run();
        if (cpu_.stopped_at_breakpoint() && !how.single_step && !pass) return tell({.kind = Exit::Kind::breakpoint});
        if (auto e = left()) return tell(*e);
        if (how.single_step) return tell({.kind = Exit::Kind::step});
    }
}

// The instruction that it came out of.
std::optional<Exit> Processor::go_on() {
    ir::CpuHeader& h = cpu_.header();
    if (memory_.has_answers()) {
        memory_.begin_again();
        cpu_.step_instruction();
        auto e = left();
        if (!e || e->kind != Exit::Kind::access) memory_.forget_answers();
        return e;
    }
    const Exit a = *std::exchange(answered_, std::nullopt);
    if (a.kind == Exit::Kind::host_call) {
        if (a.outcome == cpu::HostPort::Outcome::done) system_.finish_host_call(h, a.result);
        if (a.outcome == cpu::HostPort::Outcome::refused) raise(system_.trap(h, code()));
        return std::nullopt;
    }
    isa::Effects f;
    isa::Exception e;
    if (system_.answered(h, a.request, a.known, f, e)) return executed(f);
    raise(e);
    return std::nullopt;
}

std::optional<Exit> Processor::left() {
    switch (cpu_.header().exit_kind) {
    case ExitKind::trap: return trapped();
    case ExitKind::fault: return faulted();
    default: return std::nullopt;
    }
}

std::vector<u8> Processor::code() {
    std::vector<u8> bytes(machine_.options_.guest->max_insn_bytes());
    bytes.resize(memory_.code_at(cpu_.header(), cpu_.header().pc, bytes));
    return bytes;
}

std::optional<Exit> Processor::trapped() {
    ir::CpuHeader& h = cpu_.header();
    const auto kind = ir::TrapKind(h.exit_arg & 0xff);
    if (kind == ir::TrapKind::flush_code) return machine_.code_->settle(), std::nullopt;
    if (kind != ir::TrapKind::guest) {
        Exit out{.kind = Exit::Kind::host_call};
        auto code_at = [&](u64 address, std::span<u8> to) { return memory_.code_at(h, address, to); };
        if (machine_.options_.host_calls && system_.host_call(h, code_at, out.call)) return out;
        raise(system_.trap(h, code()));
        return std::nullopt;
    }
    isa::Effects f;
    isa::Exception e;
    const std::vector<u8> bytes = code();
    if (!system_.execute(h, memory_, bytes, f, e)) return raise(e), std::nullopt;
    if (f.request.kind == isa::BoardRequest::Kind::none) return executed(f);
    Exit out{.kind = Exit::Kind::board};
    out.request = f.request;
    return out;
}

std::optional<Exit> Processor::faulted() {
    if (auto pending = memory_.take_pending()) return pending;
    ir::CpuHeader& h = cpu_.header();
    if (h.fault_kind != ir::FaultKind::misaligned) return raise(memory_.exception()), std::nullopt;
    raise(system_.misaligned(h, h.fault_address, h.misaligned_write ? AccessType::write : AccessType::read));
    return std::nullopt;
}

std::optional<Exit> Processor::executed(const isa::Effects& f) {
    if (f.broadcast) system_.flushes_done(cpu_.header());
    if (f.code) machine_.code_->settle();
    if (f.pause) std::this_thread::yield();
    if (f.wait && !stepping_) halted_ = true;
    return std::nullopt;
}

} // namespace mimic::hypervisor
