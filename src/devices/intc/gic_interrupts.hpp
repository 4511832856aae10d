// What distributors of all versions of Arm's GIC keep of each interrupt: INTIDs 0 to 31 of each processor, then the shared
// ones. Source: Arm IHI 0048B.b and IHI 0069H, "Interrupt handling and prioritization".
#pragma once
#include "devices/base/describe.hpp"

namespace mimic::devices {

class GicInterrupts {
public:
    using Words = std::vector<u32>;
    static constexpr u32 banked = 32, sgis = 16;

    void resize(u32 cpus, u32 irqs) {
        cpus_ = cpus;
        irqs_ = irqs;
        size_t slots = cpus_ + words() - 1;
        for (auto* map : {&enabled, &latched, &active, &level, &group1, &edge}) map->assign(slots, 0);
        priority.assign(size_t{cpus_} * banked + irqs_ - banked, 0);
    }
    void describe(Describe& d) {
        if (priority.empty()) return;
        u32 slots = u32(enabled.size());
        d.state("enabled", enabled, slots, {});
        d.state("latched", latched, slots, {});
        d.state("active", active, slots, {});
        d.state("level", level, slots, {.until = ResetKind::power_on}); // what others drive
        d.state("group1", group1, slots, {});
        d.state("edge", edge, slots, {});
        d.state("priority", priority, u32(priority.size()), StateRules{});
    }

    u32 cpus() const { return cpus_; }
    u32 irqs() const { return irqs_; }
    u32 words() const { return irqs_ / 32; }
    // Where the bits of interrupts 32 * word to 32 * word + 31 are: the first word is banked.
    size_t slot(u32 cpu, u32 word) const { return word == 0 ? cpu : cpus_ + word - 1; }
    size_t index(u32 cpu, u32 id) const { return id < banked ? cpu * banked + id : cpus_ * banked + id - banked; }
    bool test(const Words& map, u32 cpu, u32 id) const { return map[slot(cpu, id / 32)] >> (id % 32) & 1; }
    void assign(Words& map, u32 cpu, u32 id, bool on) {
        u32 bit = u32{1} << (id % 32);
        u32& word = map[slot(cpu, id / 32)];
        word = on ? word | bit : word & ~bit;
    }
    u32 pending(u32 cpu, u32 word) const {
        size_t s = slot(cpu, word);
        return latched[s] | (level[s] & ~edge[s]);
    }
    // Pending, enabled and not active.
    u32 waiting(u32 cpu, u32 word) const {
        size_t s = slot(cpu, word);
        return pending(cpu, word) & enabled[s] & ~active[s];
    }
    // Input line `line` (SPI n, then 32 a processor) changes. False: there is none.
    bool drive(u32 line, bool high) {
        u32 spis = irqs_ - banked, cpu = 0, id = line + banked;
        if (line >= spis) {
            cpu = (line - spis) / banked;
            id = (line - spis) % banked;
            if (cpu >= cpus_ || id < sgis) return false;
        }
        size_t s = slot(cpu, id / 32);
        u32 bit = u32{1} << (id % 32);
        if (high && !(level[s] & bit)) latched[s] |= bit & edge[s];
        level[s] = high ? level[s] | bit : level[s] & ~bit;
        return true;
    }
    // Two bits an interrupt, of which the upper one says edge-triggered (GICD_ICFGR, GICR_ICFGR); of those in `visible`.
    u32 read_config(u32 cpu, u32 n, u32 visible = ~u32{0}) const {
        u32 out = 0;
        for (u32 i = 0; i < 16; i++)
            if (u32 id = n * 16 + i; test(edge, cpu, id) && (visible >> (id % 32) & 1)) out |= u32{2} << (2 * i);
        return out;
    }
    void write_config(u32 cpu, u32 n, u32 value, u32 visible = ~u32{0}) {
        if (n == 0) return; // of SGIs fixed
        for (u32 i = 0; i < 16; i++)
            if (u32 id = n * 16 + i; visible >> (id % 32) & 1) assign(edge, cpu, id, value >> (2 * i + 1) & 1);
    }

    Words enabled, latched, active, level, group1, edge; // by slot()
    std::vector<u8> priority;                            // by index()

private:
    u32 cpus_ = 1, irqs_ = 32;
};

} // namespace mimic::devices
