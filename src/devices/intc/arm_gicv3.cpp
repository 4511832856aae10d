// Generic interrupt controller, architecture version 3: distributor, a redistributor and a CPU interface for each processor,
// LPIs. Source: Arm IHI 0069H, chapters 4 (handling and prioritization), 5 (LPIs) and 12 (programmers' model).
// One Security state (GICD_CTLR.DS is one) or two, affinity routing always, 5 bits of priority (32 levels).
// CPU interfaces are gic_physical.hpp and gic_virtual.hpp. Not there: GICD_NSACR (no secure interrupt is given away),
// message-based SPIs, extended ranges.
//
// Regions: distributor; redistributors, two frames of 64 KiB a processor. Input lines as of the GICv2: SPI n is line n,
// behind them 32 lines a processor.
#include "devices/intc/arm_gicv3_device.hpp"

namespace mimic::devices {
namespace gicv3 {

using G = ArmGicV3;
constexpr G::SystemRegister G::system_registers[] = {
    {ICC_IAR0_EL1, &G::read_acknowledge<false>, nullptr},  {ICC_EOIR0_EL1, nullptr, &G::write_end<false>},
    {ICC_HPPIR0_EL1, &G::read_highest<false>, nullptr},    {ICC_DIR_EL1, nullptr, &G::write_deactivate},
    {ICC_SGI1R_EL1, nullptr, &G::write_sgi<G::Sgi::own>},  {ICC_ASGI1R_EL1, nullptr, &G::write_sgi<G::Sgi::other>},
    {ICC_SGI0R_EL1, nullptr, &G::write_sgi<G::Sgi::zero>}, {ICC_IAR1_EL1, &G::read_acknowledge<true>, nullptr},
    {ICC_EOIR1_EL1, nullptr, &G::write_end<true>},         {ICC_HPPIR1_EL1, &G::read_highest<true>, nullptr},
};

static bool is_of_el3(u32 number) { return (number >> 11 & 7) == 6; }

bool ArmGicV3::read_register(const Asker& who, u32 number, u64& value) {
    Context::Entry entry(context());
    if (!entry || who.cpu >= cpus_ || (is_of_el3(number) && !security_)) return false;
    GicAccess a = access_of(who);
    for (const SystemRegister& r : system_registers)
        if (r.number == number && r.read) return value = (this->*r.read)(a), true;
    return interface_[who.cpu].read(a, number, value) || virtual_[who.cpu].read_control(number, value);
}
bool ArmGicV3::write_register(const Asker& who, u32 number, u64 value) {
    Context::Entry entry(context());
    if (!entry || who.cpu >= cpus_ || (is_of_el3(number) && !security_)) return false;
    GicAccess a = access_of(who);
    for (const SystemRegister& r : system_registers)
        if (r.number == number && r.write) {
            (this->*r.write)(a, value);
            update_one(who.cpu);
            return true;
        }
    if (interface_[who.cpu].write(a, number, value)) return update_one(who.cpu), true;
    if (!virtual_[who.cpu].write_control(number, value)) return false;
    update_virtual(who.cpu);
    return true;
}

bool ArmGicV3::read_virtual(u32 cpu, u32 number, u64& value) {
    Context::Entry entry(context());
    if (!entry || cpu >= cpus_ || !virtual_[cpu].read(number, value)) return false;
    update_virtual(cpu);
    return true;
}
bool ArmGicV3::write_virtual(u32 cpu, u32 number, u64 value) {
    Context::Entry entry(context());
    u32 deactivated = spurious;
    if (!entry || cpu >= cpus_ || !virtual_[cpu].write(number, value, deactivated)) return false;
    if (deactivated != spurious) deactivate(cpu, deactivated);
    update_virtual(cpu);
    return true;
}

constexpr RegRow<G> G::distributor_regs[] = {
    {0x000, "GICD_CTLR", {}, {.read = &G::read_distributor, .write = &G::write_distributor}},
    {0x004, "GICD_TYPER", {}, {.read = &G::type_register}},
    {0x008, "GICD_IIDR", {}, {.read = &G::implementer}},
    {0x00c, "GICD_TYPER2/STATUSR", {}, {.count = 2}},
    {0x080, "GICD_IGROUPR", {}, {.read_at = &G::read_group, .write_at = &G::write_group, .count = 32, .merge = true}},
    {0x100, "GICD_ISENABLER", {}, {.read_at = &G::read_enabled, .write_at = &G::set_enabled, .count = 32}},
    {0x180, "GICD_ICENABLER", {}, {.read_at = &G::read_enabled, .write_at = &G::clear_enabled, .count = 32}},
    {0x200, "GICD_ISPENDR", {}, {.read_at = &G::read_pending, .write_at = &G::set_pending, .count = 32}},
    {0x280, "GICD_ICPENDR", {}, {.read_at = &G::read_pending, .write_at = &G::clear_pending, .count = 32}},
    {0x300, "GICD_ISACTIVER", {}, {.read_at = &G::read_active, .write_at = &G::set_active, .count = 32}},
    {0x380, "GICD_ICACTIVER", {}, {.read_at = &G::read_active, .write_at = &G::clear_active, .count = 32}},
    {0x400,
     "GICD_IPRIORITYR",
     {},
     {.read_at = &G::read_priority, .write_at = &G::write_priority, .count = max_irqs, .bytes = 1}},
    {0x800, "GICD_ITARGETSR", {}, {.count = 255}},
    {0xc00, "GICD_ICFGR", {}, {.read_at = &G::read_config, .write_at = &G::write_config, .count = 64, .merge = true}},
    {0xd00,
     "GICD_IGRPMODR",
     {},
     {.read_at = &G::read_modifier, .write_at = &G::write_modifier, .count = 32, .merge = true}},
    {0xe00, "GICD_NSACR", {}, {.count = 64}},
    {0x6100,
     "GICD_IROUTER",
     {},
     {.read_at = &G::read_router, .write_at = &G::write_router, .count = max_irqs - banked, .merge = true, .bytes = 8}},
    {0xffd0, "GICD_PIDR/GICD_CIDR", {}, {.read_at = &G::identification, .count = 12}},
};

constexpr RegRow<G> G::redistributor_regs[] = {
    {0x0000, "GICR_CTLR", {}, {.read = &G::read_redistributor, .write = &G::write_redistributor}},
    {0x0004, "GICR_IIDR", {}, {.read = &G::implementer}},
    {0x0008, "GICR_TYPER", {}, {.read = &G::redistributor_type, .bytes = 8}},
    {0x0014, "GICR_WAKER", {}, {.read = &G::read_waker, .write = &G::write_waker}},
    {0x0070,
     "GICR_PROPBASER",
     {},
     {.read = &G::read_properties, .write = &G::write_properties, .merge = true, .bytes = 8}},
    {0x0078,
     "GICR_PENDBASER",
     {},
     {.read = &G::read_pending_table, .write = &G::write_pending_table, .merge = true, .bytes = 8}},
    {0xffd0, "GICR_PIDR/GICR_CIDR", {}, {.read_at = &G::identification, .count = 12}},
    {sgi_frame + 0x080, "GICR_IGROUPR0", {}, {.read = &G::own_group, .write = &G::write_own_group, .merge = true}},
    {sgi_frame + 0x100, "GICR_ISENABLER0", {}, {.read = &G::own_enabled, .write = &G::set_own_enabled}},
    {sgi_frame + 0x180, "GICR_ICENABLER0", {}, {.read = &G::own_enabled, .write = &G::clear_own_enabled}},
    {sgi_frame + 0x200, "GICR_ISPENDR0", {}, {.read = &G::own_pending, .write = &G::set_own_pending}},
    {sgi_frame + 0x280, "GICR_ICPENDR0", {}, {.read = &G::own_pending, .write = &G::clear_own_pending}},
    {sgi_frame + 0x300, "GICR_ISACTIVER0", {}, {.read = &G::own_active, .write = &G::set_own_active}},
    {sgi_frame + 0x380, "GICR_ICACTIVER0", {}, {.read = &G::own_active, .write = &G::clear_own_active}},
    {sgi_frame + 0x400,
     "GICR_IPRIORITYR",
     {},
     {.read_at = &G::own_priority, .write_at = &G::write_own_priority, .count = 32, .bytes = 1}},
    {sgi_frame + 0xc00,
     "GICR_ICFGR",
     {},
     {.read_at = &G::own_config, .write_at = &G::write_own_config, .count = 2, .merge = true}},
    {sgi_frame + 0xd00,
     "GICR_IGRPMODR0",
     {},
     {.read = &G::own_modifier, .write = &G::write_own_modifier, .merge = true}},
    {sgi_frame + 0xe00, "GICR_NSACR", {}, {}},
};

void ArmGicV3::describe(Describe& d) {
    d.property("num-cpu", cpus_, "processors", {.low = 1, .high = max_cpus});
    d.property("num-irq", irqs_, "interrupts with the 32 that each processor has of its own", {.low = 32, .high = 992});
    d.property("has-lpi", has_lpi_, "locality-specific interrupts, which a translation service makes");
    d.property("has-security-extensions", security_, "two Security states");
    d.property("awake", awake_, "processors hear interrupts from reset on, as after firmware of the secure world");
    d.registers(*this, distributor_regs, 0x10000, {.implemented_max = 8}, "dist");
    d.registers(*this, redistributor_regs, cpus_ * redistributor_bytes, {.implemented_max = 8}, "redist",
                redistributor_bytes);
    d.state("distributor", distributor_,
            {.high = security_ ? u32(DS | EnableGrp1S | EnableGrp1 | EnableGrp0) : EnableGrp1 | EnableGrp0});
    i_.describe(d);
    if (irq_.empty()) return;
    if (security_) d.state("modifier", modifier_, u32(modifier_.size()), StateRules{});
    d.state("router", router_, u32(router_.size()), StateRules{});
    u64 asleep = awake_ ? 0 : ProcessorSleep | ChildrenAsleep;
    d.state("waker", waker_, cpus_, StateRules{.reset = asleep, .high = 6});
    d.state("lpis_enabled", lpis_enabled_, cpus_, StateRules{.high = 1});
    d.state("properties", properties_, cpus_, StateRules{});
    d.state("pending_table", pending_table_, cpus_, StateRules{});
    for (u32 c = 0; c < cpus_; c++) {
        Describe::Group group(d, "cpu", c);
        d.interrupt("irq", irq_[c]);
        d.interrupt("fiq", fiq_[c]);
        interface_[c].describe(d, security_);
        if (security_) {
            d.interrupt("g1s", secure1_[c]);
            d.interrupt("g1ns", nonsecure1_[c]);
        }
        d.interrupt("virq", virq_[c]);
        d.interrupt("vfiq", vfiq_[c]);
        d.interrupt("maintenance", maintenance_[c]);
        {
            Describe::Group virtual_group(d, "virtual", 0);
            virtual_[c].describe(d);
        }
        d.list("lpis", lpis_[c], max_lpis, [](Describe& each, Lpi& l) {
            each.state("id", l.id);
            each.state("config", l.config);
        });
    }
}

} // namespace gicv3

MIMIC_DEVICE(arm_gicv3) = {.name = "arm-gicv3",
                           .bus = "system",
                           .summary = "Arm generic interrupt controller, version 3",
                           .make = make_device<gicv3::ArmGicV3>};

} // namespace mimic::devices
