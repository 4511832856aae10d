// The fixture of program tests: a program runs in whole units, in units of one block and in units of one instruction,
// which must end alike.
#pragma once
#include "isa/shapes/program.hpp"
#include "isa/shapes/shapes.hpp"
#include <cstring>
#include <gtest/gtest.h>

namespace mimic::isa {

struct Want {
    std::string_view slot;
    u64 value;
};

inline std::unique_ptr<Guest> guest_named(std::string_view name) {
    if (const GuestInfo* info = find_test_guest(name)) return *info->make(info->default_model);
    for (auto& g : make_shapes())
        if (g->name() == name) return std::move(g);
    return nullptr;
}

struct Programs : testing::Test {
    std::unique_ptr<Guest> guest;
    std::unique_ptr<Machine> machine; // as the last run left it
    Program program;

    // Runs `source` from 0x1000 in three ways, `prepare` before each.
    void run(std::string_view name, std::string_view source, const std::function<void(Machine&)>& prepare = {}) {
        guest = guest_named(name);
        auto p = assemble_program(*guest, 0x1000, source);
        ASSERT_TRUE(p) << p.error().message();
        program = *p;
        std::unique_ptr<Machine> first;
        for (Limits limits : {Limits{}, Limits{.blocks = 1}, Limits{.one_insn = true}}) {
            machine = std::make_unique<Machine>(*guest);
            machine->load(program);
            if (prepare) prepare(*machine);
            machine->run(limits);
            if (!first) {
                first = std::move(machine);
                continue;
            }
            EXPECT_EQ(machine->cpu().exit_kind, first->cpu().exit_kind);
            EXPECT_EQ(machine->cpu().pc, first->cpu().pc);
            EXPECT_EQ(machine->cpu().mode, first->cpu().mode);
            EXPECT_EQ(machine->cpu().exit_arg, first->cpu().exit_arg);
            EXPECT_EQ(machine->ram(), first->ram());
            for (const ir::Slot& s : guest->state().slots) {
                if (s.cls == ir::SlotClass::temp) continue;
                EXPECT_EQ(0, std::memcmp(home(&machine->cpu(), s), home(&first->cpu(), s), ir::size_of(s.type)))
                    << s.name;
            }
        }
    }
    void expect(std::initializer_list<Want> wants) {
        for (const Want& w : wants) EXPECT_EQ(machine->slot(w.slot), w.value) << w.slot;
    }
    void expect_trap(ir::TrapKind kind, std::string_view label, u32 mode = 0) {
        EXPECT_EQ(machine->cpu().exit_kind, ir::ExitKind::trap);
        EXPECT_EQ(machine->trap(), kind);
        EXPECT_EQ(machine->cpu().pc, program.labels.at(std::string(label)));
        EXPECT_EQ(machine->cpu().mode, mode);
    }
    void expect_fault(ir::FaultKind kind, u64 address, std::string_view label, u32 mode = 0) {
        EXPECT_EQ(machine->cpu().exit_kind, ir::ExitKind::fault);
        EXPECT_EQ(machine->cpu().fault_kind, kind);
        EXPECT_EQ(machine->cpu().fault_address, address);
        EXPECT_EQ(machine->cpu().pc, program.labels.at(std::string(label)));
        EXPECT_EQ(machine->cpu().mode, mode);
    }
    u32 be32(u32 at) {
        auto& m = machine->ram();
        return u32(m[at]) << 24 | u32(m[at + 1]) << 16 | u32(m[at + 2]) << 8 | m[at + 3];
    }
};

} // namespace mimic::isa
