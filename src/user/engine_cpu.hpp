// The room cpu as user mode's engine.
#pragma once
#include "user/engine.hpp"
#include <string>

namespace mimic::user {

struct EngineOptions {
    std::string guest, model; // "riscv64", CPU model; empty: the default
    bool interpreter = false, verify = false, one_insn = false;
    u64 code_bytes = 0; // of translated code; 0: the default
    u32 log = 0;        // cpu::log bits
    int log_fd = 2;     // where they go
};

// Fails when the guest or model is unknown; the message lists the known ones.
Result<std::unique_ptr<Engine>> make_engine(const EngineOptions& options, AddressSpace& space);
// Names of a guest's CPU models, the default first.
std::string list_models(std::string_view guest);

} // namespace mimic::user
