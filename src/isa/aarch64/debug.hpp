// Registers by number, and as gdb's remote protocol shows them.
#pragma once
#include "isa/aarch64/models.hpp"
#include "isa/aarch64/state.hpp"
#include "isa/debug.hpp"
#include "isa/guest.hpp"
#include <memory>

namespace mimic::isa::aarch64 {

// Numbers of Guest::registers(): x0 to x30, sp, v0 to v31, then these.
enum : u32 {
    register_v = 32,
    register_nzcv = 64,
    register_fpcr,
    register_fpsr,
    register_tpidr,
    register_internal,
    register_count = register_internal + 4 + 11,
    register_system = register_count, // of the system form: every slot of it
    register_system_count = register_system + slot_pac_value - slot_system
};

// Of the guest's form (user or system); the guest outlives it.
std::unique_ptr<DebugView> make_debug_view(const Guest& guest, const Model& model);

} // namespace mimic::isa::aarch64
