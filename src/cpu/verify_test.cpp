// verify=on: sound units pass, and a mistake of a back end is found and named.
#include "base/process.hpp"
#include "cpu/cpu.hpp"
#include "cpu/test_machine.hpp"
#include "jit/host/host.hpp"
#include <gtest/gtest.h>

namespace mimic::cpu {
namespace {

// The host's back end with one mistake: before it lowers a unit, an operation becomes another.
class WrongBackend final : public jit::Backend {
public:
    WrongBackend(std::unique_ptr<jit::Backend> real, ir::Op from, ir::Op to)
        : real_(std::move(real))
        , from_(from)
        , to_(to) {}
    const jit::RegisterPlan& plan() const override { return real_->plan(); }
    u32 host_area() const override { return real_->host_area(); }
    void init(ir::CpuHeader* cpu) const override { real_->init(cpu); }
    Result<u32> emit_shared(const u8* code, u8* writable, u32 room) override {
        return real_->emit_shared(code, writable, room);
    }
    bool emit(const ir::Unit& unit, const jit::Analysis& analysis, jit::AddressModel model, const u8* code,
              u8* writable, u64 room, const u64* first_link, jit::Emitted& out) override {
        ir::Unit wrong = unit;
        for (ir::Inst& i : wrong.code)
            if (i.op == from_) i.op = to_;
        return real_->emit(wrong, analysis, model, code, writable, room, first_link, out);
    }
    void enter(ir::CpuHeader* cpu, const u8* code) const override { real_->enter(cpu, code); }
    void settle(ir::CpuHeader* cpu, const jit::Emitted::Owed& owed) const override { real_->settle(cpu, owed); }
    void leave_on_fault(void* context, u64 address, bool known, bool write, u64 host_pc) const override {
        real_->leave_on_fault(context, address, known, write, host_pc);
    }
    bool resume_masked(void* context) const override { return real_->resume_masked(context); }
    void set_jump(ir::CpuHeader* cpu, u64 pc, const u8* code) const override { real_->set_jump(cpu, pc, code); }
    void clear_jump(ir::CpuHeader* cpu, u64 pc) const override { real_->clear_jump(cpu, pc); }
    void clear_jumps(ir::CpuHeader* cpu) const override { real_->clear_jumps(cpu); }
    jit::TlbViews* tlb_views(ir::CpuHeader* cpu) const override { return real_->tlb_views(cpu); }
    void use_jumps(ir::CpuHeader* cpu, const jit::JumpEntry* table) const override { real_->use_jumps(cpu, table); }

private:
    std::unique_ptr<jit::Backend> real_;
    ir::Op from_, to_;
};

struct Verify : testing::Test {
    TestMachine machine;
    process::SignalStack stack;
    std::unique_ptr<isa::Guest> guest = *isa::find_guest("riscv64")->make("rv64");
    std::unique_ptr<CodeSpace> space;
    std::unique_ptr<Cpu> cpu;
    std::vector<Mismatch> found;

    void program(std::initializer_list<std::string_view> lines,
                 std::unique_ptr<jit::Backend> (*wrap)(std::unique_ptr<jit::Backend>) = nullptr) {
        machine.assemble(*guest, lines, 0x1000);
        Options o{.verify = true, .guest_base = u64(machine.base)};
        o.owner = this;
        o.on_mismatch = [](void* self, const Mismatch& m) { static_cast<Verify*>(self)->found.push_back(m); };
        o.wrap_backend = wrap;
        space = *CodeSpace::create(*guest, machine, o);
        cpu = std::make_unique<Cpu>(*space, machine);
        cpu->header().pc = 0x1000;
    }
    u64& x(u32 n) { return cpu->slot64(ir::SlotId(n)); }
};

TEST_F(Verify, ALoopWithMemoryPasses) {
    program({"addi a0, zero, 100", "lui a1, 0x8", "ld a2, 0(a1)", "add a2, a2, a0", "sd a2, 0(a1)", "lbu a3, 1(a1)",
             "lw a4, 4(a1)", "sh a3, 8(a1)", "addi a0, a0, -1", "bne a0, zero, 0x1008", "ecall"});
    cpu->run();
    EXPECT_EQ(cpu->header().pc, 0x1028u);
    EXPECT_TRUE(found.empty()) << found[0].difference << "\n" << found[0].report;
    CodeSpace::Counters c = space->counters();
    EXPECT_EQ(c.verified_units, 100u); // each turn of the loop
    EXPECT_EQ(c.verified_insns, 2u + 100 * 8 + 1);
    EXPECT_EQ(c.unverified_insns, 0u);
    EXPECT_EQ(space->verify_report(), "");
    u64 sum;
    std::memcpy(&sum, machine.base + 0x8000, 8);
    EXPECT_EQ(sum, 5050u);
}

TEST_F(Verify, AtomicsPass) {
    program({"lui a1, 0x8", "addi a2, zero, 3", "amoadd.d a3, a2, (a1)", "amoswap.w a4, a2, (a1)",
             "amomaxu.d a5, a2, (a1)", "amoxor.w a6, a2, (a1)", "amominu.w a6, a2, (a1)", "ecall"});
    cpu->run();
    EXPECT_EQ(cpu->header().exit_kind, ir::ExitKind::trap);
    EXPECT_TRUE(found.empty()) << found[0].difference << "\n" << found[0].report;
    EXPECT_EQ(x(14), 3u);
}

TEST_F(Verify, AFaultPasses) {
    program({"lui a1, 0x40000", "addi a0, a0, 1", "ld a0, 8(a1)"});
    cpu->run();
    EXPECT_EQ(cpu->header().exit_kind, ir::ExitKind::fault);
    EXPECT_EQ(cpu->header().fault_address, 0x40000008u);
    EXPECT_TRUE(found.empty()) << found[0].difference;
    EXPECT_EQ(space->counters().verified_units, 1u);
}

TEST_F(Verify, AWrongValueIsNamedByItsSlot) {
    program({"addi a0, zero, 12", "addi a1, zero, 10", "xor a2, a0, a1", "ecall"}, [](auto real) {
        return std::unique_ptr<jit::Backend>(new WrongBackend(std::move(real), ir::Op::xor_, ir::Op::or_));
    });
    x(10) = 12, x(11) = 10;
    cpu->header().pc = 0x1008;
    cpu->run();
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].pc, 0x1008u);
    EXPECT_EQ(found[0].difference, "slot a2");
    for (auto part : {"xor", "guest code", "IR", "host code", "* a2"})
        EXPECT_NE(found[0].report.find(part), std::string::npos) << part << " in\n" << found[0].report;
    EXPECT_EQ(space->counters().mismatches, 1u);
}

TEST_F(Verify, AWrongStoreIsNamedByItsAddress) {
    program({"lui a1, 0x8", "xor a2, a0, a1", "sd a2, 16(a1)", "addi a2, zero, 0", "ecall"}, [](auto real) {
        return std::unique_ptr<jit::Backend>(new WrongBackend(std::move(real), ir::Op::xor_, ir::Op::and_));
    });
    cpu->run();
    ASSERT_EQ(found.size(), 1u);
    EXPECT_NE(found[0].difference.find("store of 8 bytes at 0x8010"), std::string::npos) << found[0].difference;
}

TEST_F(Verify, AWrongWayOutIsNamed) {
    program({"jalr zero, 8(a1)"}, [](auto real) {
        return std::unique_ptr<jit::Backend>(new WrongBackend(std::move(real), ir::Op::add, ir::Op::sub));
    });
    x(11) = 0x3000;
    machine.assemble(*guest, {"ecall"}, 0x2ff8); // where the mistake leads: it is told, not mended
    cpu->run();
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].difference, "pc: 0x2ff8 in generated code, 0x3008 in the interpreter");
    EXPECT_EQ(cpu->header().pc, 0x2ff8u);
}

} // namespace
} // namespace mimic::cpu
