// What stands in for a host's hypervisor behind the accelerator that behaves like KVM (like_kvm.hpp): memory as numbered slots
// with logs of what was written, processors that keep their registers to themselves while they run and come out with a
// value that says why. It knows RAM by its slots alone, and no address space, device or board. Guest code runs in the
// interpreter; there is no TLB, so flushes have nothing to do.
//
//   hypervisor::Machine machine(guest, ...);
//   machine.set_slot(0, {.address = 0x80000000, .bytes = size, .block = &ram});
//   hypervisor::Processor p(machine, id);
//   for (;;) switch (Exit e = p.run({}); e.kind) { case Exit::Kind::access: ... p.answer(e); }
#pragma once
#include "cpu/cpu.hpp"
#include "cpu/system/event.hpp"
#include "cpu/vcpu.hpp"
#include "isa/system.hpp"
#include "memory/ram.hpp"
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

namespace mimic::hypervisor {

// Registers as they go in and out: bytes of those that the guest names, one after the other.
struct Registers {
    u64 pc = 0;
    u32 entry_mode = 0; // ir::GuestState::entry_mode
    std::vector<u8> named;
};
Registers read_registers(const isa::Guest& guest, ir::CpuHeader& h);
void write_registers(const isa::Guest& guest, ir::CpuHeader& h, const Registers& r);

// Why a processor came out. What is asked for is filled in, and goes back by Processor::answer().
struct Exit {
    enum class Kind : u8 {
        asked, // Processor::ask_out
        access,
        halt,    // it waits for an interrupt, or for `until`
        outputs, // its output lines have other levels
        board,
        host_call,
        breakpoint,
        step,
    };
    Kind kind = Kind::asked;
    u64 outputs = 0; // of every exit
    // access: to where no slot is, or a write to one that is read only
    u64 address = 0, value = 0;
    u32 bytes = 0;
    bool write = false, secure = false;
    bool refused = false; // answer: a bus error
    u64 until = ~u64{0};
    isa::BoardRequest request;
    isa::HostCall call;
    cpu::HostPort::Outcome outcome = cpu::HostPort::Outcome::refused; // answer to a host_call
    bool known = false;                                               // answer to a board request
    u64 result = 0;
};

// A range of guest memory; whole pages.
struct Slot {
    u64 address = 0, bytes = 0; // bytes 0: the slot goes
    memory::RamBlock* block = nullptr;
    u64 offset = 0;
    bool read_only = false, secure = false, log = false;
    bool operator==(const Slot&) const = default;
};

class Processor;

class Machine final : cpu::CodeSource {
public:
    struct Options {
        const isa::Guest* guest = nullptr;
        cpu::Clock* clock = nullptr;
        bool (*random)(ir::CpuHeader&, u64&) = nullptr;
        bool host_calls = false; // programs' calls of the host come out
    };
    static Result<std::unique_ptr<Machine>> create(const Options& options);
    ~Machine();

    // While no processor is inside run().
    void set_slot(u32 number, const Slot& slot);
    // A byte a page of the slot: written since the last call. Any time.
    std::vector<u8> take_log(u32 number);
    void set_breakpoint(u64 pc, bool on) { code_->set_breakpoint(pc, on); }

private:
    friend class Processor;
    friend class Memory;
    struct Range {
        Slot slot;
        std::unique_ptr<std::atomic<u8>[]> written;
        u8* host(u64 address) const { return slot.block->host() + slot.offset + (address - slot.address); }
        void note_write(u64 address, u64 bytes);
    };
    explicit Machine(const Options& o) : options_(o) {}
    Range* find(u64 address, bool secure);
    u32 fetch(u64 place, u8* out, u32 max) override;
    cpu::Watch protect_code(u64 place, bool stays_writable) override;
    void release_code(u64 place) override;
    Range* range_of(u64 place, u64& offset);
    void timer();
    void timer_changed();

    Options options_;
    std::unique_ptr<cpu::CodeSpace> code_;
    std::mutex slots_mutex_; // of the map's shape; processors inside run() rely on its standing still
    std::map<u32, Range> slots_;
    std::set<memory::RamBlock*> blocks_; // that ever were in one
    std::mutex mutex_;                   // of what follows
    std::vector<Processor*> processors_;
    std::thread timer_;
    cpu::Event timer_event_;
    std::atomic<bool> quit_{false};
};

// Guest memory as one processor sees it.
class Memory final : public ir::Access, public cpu::CodeMap, public isa::PhysicalMemory {
public:
    explicit Memory(Machine& m) : machine_(m), system_(*m.options_.guest->system()) {}

    bool load(ir::CpuHeader& h, u64 address, void* out, u32 bytes, const ir::MemArg& m) override;
    bool store(ir::CpuHeader& h, u64 address, const void* in, u32 bytes, const ir::MemArg& m) override;
    bool rmw(ir::CpuHeader& h, u64 address, ir::Rmw op, u64 operand, u64& old, u32 bytes, const ir::MemArg& m) override;
    bool cas(ir::CpuHeader& h, u64 address, const void* expected, const void* desired, void* old, u32 bytes,
             const ir::MemArg& m) override;
    bool probe(ir::CpuHeader& h, u64 address, u64 bytes, bool write) override;
    void fence(u32, u32) override { std::atomic_thread_fence(std::memory_order_seq_cst); }

    bool locate(ir::CpuHeader& h, u64 pc, u64& place) override;
    jit::JumpEntry* jumps(ir::CpuHeader&) override { return nullptr; } // of generated code
    const jit::JumpEntry* no_jumps() const override { return nullptr; }
    void add_jump(jit::JumpEntry*, u64, const u8*, bool) override {}
    void forget_jump(u64) override {}
    void show(jit::TlbViews*) override {}
    u32 code_at(ir::CpuHeader& h, u64 pc, std::span<u8> out);

    bool read(u64 address, u32 bytes, u64& value, bool secure) override;
    bool compare_and_swap(u64 address, u32 bytes, u64 expected, u64 desired, u64& old, bool secure) override;

    const isa::Exception& exception() const { return exception_; }
    // Accesses outside of slots of one instruction: it begins again with the answers to those that it made before.
    std::optional<Exit> take_pending() { return std::exchange(pending_, std::nullopt); }
    void answer(const Exit& e) { answers_.push_back(e); }
    bool has_answers() const { return !answers_.empty(); }
    void begin_again() { next_ = 0; }
    void forget_answers() { answers_.clear(), next_ = 0; }

private:
    bool translate(ir::CpuHeader& h, u64 address, u32 bytes, isa::AccessType type, u32 index, isa::Mapping& m);
    bool access(ir::CpuHeader& h, u64 address, u8* data, u32 bytes, isa::AccessType type, u32 index);
    bool outside(ir::CpuHeader& h, u64 address, const isa::Mapping& m, u8* data, u32 bytes, isa::AccessType type);
    u8* atomic_target(ir::CpuHeader& h, u64 address, u32 bytes, u32 index, u64& physical, Machine::Range*& range);
    bool fail(ir::CpuHeader& h, u64 address, isa::AccessType type, const isa::Exception& e);
    bool bus_error(ir::CpuHeader& h, u64 address, isa::AccessType type);
    void written(Machine::Range& r, u64 physical, u64 bytes);

    Machine& machine_;
    const isa::System& system_;
    isa::Exception exception_;
    std::vector<Exit> answers_;
    std::size_t next_ = 0;
    std::optional<Exit> pending_;
};

class Processor {
public:
    Processor(Machine& machine, u64 id);
    ~Processor();

    struct How {
        bool single_step = false;     // one instruction, no interrupt
        bool pass_breakpoint = false; // the first instruction runs even so
    };
    Exit run(const How& how);
    // To the exit that run() ended with, before it is called again. The instruction goes on there.
    void answer(const Exit& e);
    // Is there an instruction in the middle of which it came out? Registers are whole again after another run().
    bool is_between() const { return answered_.has_value() || memory_.has_answers(); }
    // Any thread: run() ends, or the next one does at once, until forget_ask().
    void ask_out();
    void forget_ask() { asked_ = false; }
    // Any thread.
    void set_line(u32 line, bool level);
    u64 lines() { return __atomic_load_n(&cpu_.header().lines, __ATOMIC_SEQ_CST); }

    // While it is outside run().
    Registers registers() { return read_registers(*machine_.options_.guest, cpu_.header()); }
    void set_registers(const Registers& r);

private:
    friend class Machine;
    std::optional<Exit> go_on();
    std::optional<Exit> left();
    std::optional<Exit> trapped();
    std::optional<Exit> faulted();
    std::optional<Exit> executed(const isa::Effects& f);
    std::optional<Exit> exit(Exit::Kind kind) { return Exit{.kind = kind}; }
    Exit tell(Exit e);
    std::vector<u8> code();
    void raise(const isa::Exception& e) { system_.raise(cpu_.header(), e); }
    u64 now() { return machine_.options_.clock ? machine_.options_.clock->now() : 0; }
    void arm_timer();

    Machine& machine_;
    const isa::System& system_;
    Memory memory_;
    cpu::Cpu cpu_;
    std::atomic<bool> asked_{false};
    std::atomic<u64> deadline_{~u64{0}};
    std::optional<Exit> answered_; // board, host_call
    bool halted_ = false, stepping_ = false;
    u64 pass_at_ = ~u64{0};   // How::pass_breakpoint, until an instruction ran
    std::optional<u64> told_; // levels of outputs
};

} // namespace mimic::hypervisor
