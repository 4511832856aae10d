// HMP: what the machine is made of: PCI functions, interrupt controllers, RAM.
#include "monitor/human/human.hpp"

namespace mimic::monitor {

namespace {

u64 number(const Json& j, std::string_view key) {
    const Json* v = j.find(key);
    u64 out = 0;
    i64 below = 0;
    if (v && !v->get(out) && v->get(below)) out = u64(below);
    return out;
}

void show_bar(HumanCall& c, const Json& bar) {
    // One that is nowhere is at -1, and ends behind it.
    const u64 at = number(bar, "address"), last = at + number(bar, "size") - 1;
    if (*bar.find("type")->string() == "io")
        c.print("      BAR{}: I/O at {:#06x} [{:#06x}].\n", number(bar, "bar"), at, last);
    else
        c.print("      BAR{}: {} bit{} memory at {:#010x} [{:#010x}].\n", number(bar, "bar"),
                *bar.find("mem_type_64")->boolean() ? 64 : 32, *bar.find("prefetch")->boolean() ? " prefetchable" : "",
                at, last);
}

void show_function(HumanCall& c, const Json& f) {
    const Json &kind = *f.find("class_info"), &id = *f.find("id");
    const std::string* name = kind.find("desc") ? kind.find("desc")->string() : nullptr;
    c.print("  Bus {:2}, device {:3}, function {}:\n", number(f, "bus"), number(f, "slot"), number(f, "function"));
    c.print("    {}: PCI device {:04x}:{:04x}\n", name ? *name : fmt::format("Class {:04}", number(kind, "class")),
            number(id, "vendor"), number(id, "device"));
    if (id.find("subsystem"))
        c.print("      PCI subsystem {:04x}:{:04x}\n", number(id, "subsystem-vendor"), number(id, "subsystem"));
    if (u64 pin = number(f, "irq_pin")) c.print("      IRQ {}, pin {}\n", number(f, "irq"), char('A' + pin - 1));
    for (const Json& bar : *f.find("regions")->items()) show_bar(c, bar);
    c.print("      id \"{}\"\n", *f.find("qdev_id")->string());
}

} // namespace

Result<void> show_pci(HumanCall& c) {
    Json buses = TRY(c.m.execute("query-pci"));
    for (const Json& bus : *buses.items())
        for (const Json& f : *bus.find("devices")->items()) show_function(c, f);
    return {};
}

// The state of whatever takes interrupts of others and has a context of its own.
Result<void> show_pic(HumanCall& c) {
    c.m.machine().each([&](devices::Device& d) {
        if (d.inputs() && d.context_rank()) c.print("{} ({}):\n{}", d.id(), d.type(), devices::state_text(d));
    });
    return {};
}

Result<void> show_ramblock(HumanCall& c) {
    c.print("{:>24} {:>18} {:>18}\n", "Block Name", "Total", "HVA");
    for (const memory::RamBlock* b : c.m.board().ram_blocks())
        c.print("{:>24} {:#018x} {:#018x}\n", b->name(), b->size(), u64(b->host()));
    return {};
}

} // namespace mimic::monitor
