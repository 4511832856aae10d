// Power State Coordination Interface: what a board does for calls of firmware that it has not.
// Source: Arm DEN 0022D (PSCI 1.1), chapter 5; Arm DEN 0028 (SMC Calling Convention 1.1), chapters 2 and 7.
// CPU_SUSPEND returns at once, which callers must expect of any standby state.
#pragma once
#include "cpu/vcpu.hpp"
#include "devices/base/machine.hpp"
#include <memory>

namespace mimic::machines {

class Psci {
public:
    enum class Conduit : u8 { hvc, smc, none };
    struct Options {
        Conduit conduit = Conduit::hvc;
        u32 level = 1;        // exception level at which processors are handed over
        u32 per_cluster = 16; // processors that share Aff1
    };
    Psci(devices::Machine& machine, std::span<const std::unique_ptr<cpu::Vcpu>> vcpus, const Options& options);

    // On the vCPU's thread. False: not of the conduit.
    bool call(cpu::Vcpu& vcpu, isa::BoardRequest& r);
    // While stopped, after processors were reset: the first runs, the others wait for CPU_ON.
    void reset();
    // Processors were switched on and off by others: a saved state was loaded.
    void follow();

private:
    enum class Power : u8 { off, on, starting };
    i64 cpu_on(u64 target, u64 entry, u64 context);
    i64 affinity_info(u64 target, u64 level) const;
    i64 features(u32 function) const;
    void off(cpu::Vcpu& vcpu);
    // The processor of that affinity; ~0: none.
    u32 find(u64 affinity) const;

    devices::Machine& machine_;
    std::span<const std::unique_ptr<cpu::Vcpu>> vcpus_;
    Options options_;
    std::unique_ptr<std::atomic<Power>[]> power_;
};

// MPIDR affinity of processor `n` in clusters of `per_cluster`.
constexpr u64 affinity_of(u32 n, u32 per_cluster) { return n % per_cluster | u64{n / per_cluster} << 8; }

} // namespace mimic::machines
