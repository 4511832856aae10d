// Guest memory as one vCPU of a machine sees it: virtual addresses through the TLB and the guest's walks to RAM and
// devices. Used by the vCPU's thread only, but for drop_writes.
#pragma once
#include "cpu/cpu.hpp"
#include "cpu/system/jumps.hpp"
#include "cpu/system/tlb.hpp"
#include "cpu/vcpu.hpp"
#include "isa/system.hpp"
#include "memory/address_space.hpp"
#include <utility>

namespace mimic::cpu {

// Makes sure that writes to a block's code are told to the code space.
class CodeWatcher {
public:
    virtual ~CodeWatcher() = default;
    virtual void watch_block(memory::RamBlock& block) = 0;
};

class MachineMemory final : public ir::Access, public CodeMap, isa::PhysicalMemory {
public:
    // `secure`: where secure accesses go; may be `space`.
    MachineMemory(const isa::Guest& guest, memory::AddressSpace& space, memory::AddressSpace& secure,
                  CodeWatcher& watcher, u32 processor);

    // What the last access that failed is to the guest.
    const isa::Exception& exception() const { return exception_; }
    Tlb& tlb() { return tlb_; }
    isa::PhysicalMemory& physical() { return *this; }
    void flush_all() { tlb_.flush(), jumps_.flush(); }
    // The tables for the contexts that the state says; after each change of them.
    void select(const ir::CpuHeader& cpu);
    void flush(const isa::Effects& f);
    void forget_branches() { jumps_.flush(); }
    // Have many mappings been met lately that only a context of their own lets keep?
    bool wants_apart() const { return apart_ > 256; }
    void keep_apart(ir::CpuHeader& cpu);

    bool load(ir::CpuHeader& cpu, u64 address, void* out, u32 bytes, const ir::MemArg& m) override;
    bool store(ir::CpuHeader& cpu, u64 address, const void* in, u32 bytes, const ir::MemArg& m) override;
    bool rmw(ir::CpuHeader& cpu, u64 address, ir::Rmw op, u64 operand, u64& old, u32 bytes,
             const ir::MemArg& m) override;
    bool cas(ir::CpuHeader& cpu, u64 address, const void* expected, const void* desired, void* old, u32 bytes,
             const ir::MemArg& m) override;
    bool probe(ir::CpuHeader& cpu, u64 address, u64 bytes, bool write) override;
    void fence(u32 before, u32 after) override;

    // Places are host addresses.
    bool locate(ir::CpuHeader& cpu, u64 pc, u64& place) override;
    jit::JumpEntry* jumps(ir::CpuHeader& cpu) override;
    const jit::JumpEntry* no_jumps() const override { return jumps_.none(); }
    void add_jump(jit::JumpEntry* table, u64 pc, const u8* code, bool reaches_on) override {
        jumps_.add(table, pc, code, reaches_on);
    }
    void forget_jump(u64 offset) override { jumps_.forget(offset); }
    void show(jit::TlbViews* views) override { tlb_.show(views); }
    // Up to out.size() bytes of code at pc, without an exception.
    u32 code_at(ir::CpuHeader& cpu, u64 pc, std::span<u8> out);
    // As a debugger: no permissions, no side effects.
    bool debug_translate(ir::CpuHeader& cpu, u64 address, u64& physical);
    bool debug_translate(ir::CpuHeader& cpu, u64 address, isa::Mapping& m);
    bool mappings(ir::CpuHeader& cpu, std::vector<isa::Mapped>& out) {
        constexpr u32 max = 20000;
        return system_.mappings(cpu, *this, max, out);
    }
    bool debug_access(ir::CpuHeader& cpu, u64 address, void* data, u64 bytes, bool write);

    // Vcpu::program_access
    bool program_access(ir::CpuHeader& cpu, u64 address, void* data, u64 bytes, bool write);

    // Watchpoints of a debugger, while the vCPU stands still. Their pages never are in the TLB, so each access to them comes
    // to resolve(), which lets one that is watched fail with met_watchpoint(); accesses to others pay nothing.
    void watch(std::span<const Watchpoint> all) {
        watches_.assign(all.begin(), all.end());
        flush_all();
    }
    // Accesses to devices fail with met_device(), before anything has happened; so do those of code that relies on its pages.
    void stop_at_devices(bool stop) { stops_ = stop; }
    bool met_device() { return std::exchange(met_device_, false); }
    // The last access failed since its device takes it later (memory::Outcome::wait).
    bool met_wait() { return std::exchange(met_wait_, false); }
    void pass_watchpoints(bool pass) { pass_ = pass; }
    bool met_watchpoint() { return std::exchange(met_, false); }
    // The guest's own (isa::DebugPoint), by its thread, outside code. They stay out of the TLB, too; what meets one fails with
    // exception().
    void set_points(std::span<const isa::DebugPoint> all);
    bool met_point() { return std::exchange(met_point_, false); }
    const Watchpoint& hit() const { return hit_; }

    // A bit of RamBlock's flags beside those of its clients: some TLB may hold a right to write.
    static constexpr u8 written_by_tlb = 128;

private:
    struct Target {
        isa::Mapping mapping;
        memory::Place place;
    };
    bool resolve(ir::CpuHeader& cpu, u64 address, u32 bytes, isa::AccessType type, u32 index, Target& t);
    void fill(u64 address, u32 index, const Target& t);
    bool fail(ir::CpuHeader& cpu, u64 address, isa::AccessType type, const isa::Exception& e);
    bool bus_error(ir::CpuHeader& cpu, u64 address, isa::AccessType type);
    bool load_part(ir::CpuHeader& cpu, u64 address, void* out, u32 bytes, const Target& t);
    bool store_part(ir::CpuHeader& cpu, u64 address, const void* in, u32 bytes, const Target& t);
    u8* atomic_target(ir::CpuHeader& cpu, u64 address, u32 bytes, u32 index, Target& t);
    static void written(const Target& t, u32 bytes);
    memory::Attributes attributes(const Target& t) const {
        return {.processor = processor_, .secure = t.mapping.secure, .can_wait = true};
    }
    memory::AddressSpace& space_of(const isa::Mapping& m) { return m.secure ? secure_ : space_; }
    bool read(u64 address, u32 bytes, u64& value, bool secure) override;
    bool compare_and_swap(u64 address, u32 bytes, u64 expected, u64 desired, u64& old, bool secure) override;

    bool meets_watchpoint(u64 address, u32 bytes, isa::AccessType type);
    // Before (`translated` false) or after its translation: an access whose exception is the guest's own watchpoint.
    bool meets_point(ir::CpuHeader& cpu, const isa::DebugAccess& a, bool translated) {
        return !points_.empty() && points_first_ != translated && asks_point(cpu, a);
    }
    bool asks_point(ir::CpuHeader& cpu, const isa::DebugAccess& a);

    std::vector<Watchpoint> watches_;
    std::vector<isa::DebugPoint> points_;
    bool points_first_, met_point_ = false;
    Watchpoint hit_;
    bool pass_ = false, met_ = false, stops_ = false, met_device_ = false, met_wait_ = false;
    const isa::System& system_;
    memory::AddressSpace &space_, &secure_;
    CodeWatcher& watcher_;
    u64 misaligned_; // bits that no pc has
    u16 processor_;
    Tlb tlb_;
    Jumps jumps_;
    jit::JumpEntry* jump_table_ = nullptr; // of this mode; null after a change of contexts
    u32 jump_mode_ = 0;
    isa::Exception exception_;
    u32 apart_ = 0; // mappings met that were isa::Mapping::apart
};

} // namespace mimic::cpu
