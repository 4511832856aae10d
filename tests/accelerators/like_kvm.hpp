// The accelerator interface (cpu/vcpu.hpp) over a hypervisor that owns the registers and knows slots (hypervisor.hpp), as
// one over KVM would be written: a copy of the registers that is fetched when somebody asks and put back before the
// processor goes on, slots that follow address spaces, exits that are answered outside, logs that become dirty flags.
// It is strict where jit and interp are lenient, and writes down who breaks the rules.
#pragma once
#include "cpu/vcpu.hpp"
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace mimic::like_kvm {

// What was seen of a machine, beside its guest's own words.
struct Seen {
    std::mutex mutex;
    // Registers looked at while the vCPU runs, or written without registers_written().
    std::vector<std::string> broken_rules;
    std::atomic<u64> accesses{0}, halts{0}, fetches{0}, puts{0}, slots_set{0}, logged_pages{0};
    void broke(std::string what) {
        std::lock_guard lock(mutex);
        broken_rules.push_back(std::move(what));
    }
};

// `seen` outlives the accelerator.
Result<std::unique_ptr<cpu::Accelerator>> make(cpu::AcceleratorOptions options, Seen& seen);

} // namespace mimic::like_kvm
