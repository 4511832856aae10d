// The room cpu as user mode's engine.
#pragma once
#include "cpu/cpu.hpp"
#include "user/engine.hpp"
#include <string>
#include <vector>

namespace mimic::user {

struct EngineOptions {
    std::string guest, model; // "riscv64", CPU model; empty: the default
    bool interpreter = false, verify = false, one_insn = false;
    bool perf_map = false;  // tell perf(1) what code is where
    u64 code_bytes = 0;     // of translated code; 0: the default
    std::string cache;      // directory of the cache of translated code; empty: none
    int cache_fd = -1;      // of that directory, in its place
    u64 cache_bytes = 0;    // all its files may have; 0: the default
    bool log_cache = false; // `-d cache`
    u32 log = 0;            // cpu::log bits
    std::vector<cpu::Range> log_ranges;
    int log_fd = 2; // where they go
};

// Exit status after verify=on found a difference: EX_SOFTWARE of sysexits.h.
inline constexpr int mismatch_status = 70;

// Fails when the guest or model is unknown; the message lists the known ones.
Result<std::unique_ptr<Engine>> make_engine(const EngineOptions& options, AddressSpace& space);
// Names of a guest's CPU models, the default first.
std::string list_models(std::string_view guest);

} // namespace mimic::user
