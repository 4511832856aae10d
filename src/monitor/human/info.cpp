// HMP: info.
#include "base/trace.hpp"
#include "isa/debug.hpp"
#include "monitor/commands.hpp"
#include "monitor/human/human.hpp"
#include "monitor/objects.hpp"
#include <algorithm>
#include <cstring>

namespace mimic::monitor {

namespace {

const std::string& text(const Json& j, std::string_view key) {
    static const std::string none;
    const Json* v = j.find(key);
    return v && v->string() ? *v->string() : none;
}

Result<void> version_(HumanCall& c) {
    c.print("{}.{}.{} (Mimic {})\n", qmp::compatible_version[0], qmp::compatible_version[1], qmp::compatible_version[2],
            qmp::version);
    return {};
}

Result<void> status(HumanCall& c) {
    machines::RunState s = c.m.run().state();
    bool plain = s == machines::RunState::running || s == machines::RunState::paused;
    c.print("VM status: {}", c.m.run().running() ? "running" : "paused");
    if (!plain) c.print(" ({})", machines::to_string(s));
    c.out += '\n';
    return {};
}

Result<void> name(HumanCall& c) {
    if (!c.m.vm().name.empty()) c.print("{}\n", c.m.vm().name);
    return {};
}
Result<void> uuid(HumanCall& c) { return c.print("{}\n", c.m.vm().uuid), Result<void>(); }
Result<void> kvm(HumanCall& c) { return c.print("kvm support: not compiled\n"), Result<void>(); }

Result<void> jit(HumanCall& c) {
    TRY(c.has_processor());
    c.print("accelerator {}\n{}", c.m.board().accelerator()->name(), c.m.board().accelerator()->statistics());
    return {};
}

Result<void> cpus(HumanCall& c) {
    for (const auto& v : c.m.board().vcpus())
        c.print("{} CPU #{}: thread_id={}\n", v->index() == c.vcpu().index() ? '*' : ' ', v->index(), v->thread_id());
    return {};
}

void registers_of(HumanCall& c, cpu::Vcpu& v) {
    std::string text;
    v.run_inside([&](ir::CpuHeader& h) {
        text = fmt::format("\nCPU#{}\n pc       {:0{}x}\n", v.index(), h.pc, v.guest().address_bits() / 4);
        u32 column = 0;
        std::span<const isa::RegisterInfo> all = v.guest().registers();
        for (u32 n = 0; n < all.size(); n++) {
            if (all[n].internal) continue;
            std::vector<u8> bytes(all[n].bytes);
            isa::read_current(v.guest(), h, all[n].name, bytes);
            std::string digits;
            for (size_t k = bytes.size(); k-- > 0;) digits += fmt::format("{:02x}", bytes[k]);
            text += fmt::format(" {:<8} {:>16}", all[n].name, digits);
            if (++column % 4 == 0) text += '\n';
        }
        if (column % 4) text += '\n';
    });
    c.out += text;
}

Result<void> registers(HumanCall& c) {
    bool all = c.flag('a');
    if (!c.rest().empty()) {
        const u64 index = TRY(c.expression());
        registers_of(c, *TRY(c.m.vcpu(index)));
        return {};
    }
    for (const auto& v : c.m.board().vcpus())
        if (all || v->index() == c.vcpu().index()) registers_of(c, *v);
    return {};
}

Result<void> mtree(HumanCall& c) {
    bool flat = c.flag('f');
    auto show = [&](const memory::AddressSpace& space) { c.out += flat ? space.flat() : space.tree(); };
    show(c.m.machine().memory());
    if (const memory::AddressSpace* secure = c.m.board().secure_space()) {
        c.out += '\n';
        show(*secure);
    }
    return {};
}

void device_tree(HumanCall& c, devices::Device& d, u32 depth) {
    auto line = [&](std::string_view s) { c.print("{:{}}{}\n", "", 2 * depth, s); };
    line(fmt::format("dev: {}, id \"{}\"", d.type(), d.id().starts_with("device[") ? "" : d.id()));
    depth++;
    Json all = devices::schema(d);
    for (const Json& p : *all.find("properties")->items()) {
        const std::string& property = text(p, "name");
        auto value = devices::get_property(d, property);
        if (!value) continue;
        std::string shown = *value;
        if (typed_value(text(p, "type"), shown).string()) shown = fmt::format("\"{}\"", shown);
        line(fmt::format("{} = {}", property, shown));
    }
    for (u32 n = 0; n < d.regions(); n++)
        if (d.region(n).parent()) line(fmt::format("mmio {:016x}/{:016x}", d.region(n).at(), d.region(n).size()));
    if (!d.bus_type().empty()) line(fmt::format("bus: {} ({})", d.id(), d.bus_type()));
    for (devices::Device* child : d.children()) device_tree(c, *child, depth + 1);
}

Result<void> qtree(HumanCall& c) {
    c.print("bus: main-system-bus\n  type System\n");
    for (devices::Device* d : c.m.machine().root().children()) device_tree(c, *d, 1);
    return {};
}

Result<void> qom_tree(HumanCall& c) {
    std::string path = c.word();
    c.out += TRY(object_tree(c.m, path.empty() ? "/machine" : path));
    return {};
}

Result<void> device_state(HumanCall& c) {
    std::string path = c.word();
    Object o = TRY(find_object(c.m, path));
    if (!o.device) return Error::invalid_argument("'{}' is no device", path);
    c.out += devices::state_text(*o.device);
    return {};
}

Result<void> chardevs(HumanCall& c) {
    for (const auto& dev : c.m.machine().chardevs()) c.print("{}: filename={}\n", dev->id(), dev->filename());
    return {};
}

Result<void> block(HumanCall& c) {
    Json list = TRY(c.m.execute("query-block"));
    bool first = true;
    for (const Json& j : *list.items()) {
        const Json* in = j.find("inserted");
        if (!first) c.out += '\n';
        first = false;
        bool read_only = in && in->find("ro") && *in->find("ro")->boolean();
        if (!in) {
            c.print("{}: [not inserted]\n", text(j, "device"));
            continue;
        }
        c.print("{} ({}): {} ({}{})\n", text(j, "device"), text(*in, "node-name"), text(*in, "file"), text(*in, "drv"),
                read_only ? ", read-only" : "");
        if (!text(j, "qdev").empty()) c.print("    Attached to:      {}\n", text(j, "qdev"));
        if (text(j, "io-status") != "ok") c.print("    I/O status:       {}\n", text(j, "io-status"));
        c.print("    Cache mode:       writeback\n");
        if (!text(*in, "backing_file").empty()) c.print("    Backing file:     {}\n", text(*in, "backing_file"));
    }
    return {};
}

Result<void> blockstats(HumanCall& c) {
    Json list = TRY(c.m.execute("query-blockstats"));
    for (const Json& j : *list.items()) {
        c.print("{}:", text(j, "device"));
        for (const auto& [key, value] : *j.find("stats")->members()) c.print(" {}={}", key, value.dump());
        c.out += '\n';
    }
    return {};
}

Result<void> roms(HumanCall& c) {
    for (const machines::LoadedPiece& p : c.m.board().loaded())
        c.print("addr={:016x} size={:#08x} mem={} name=\"{}\"\n", p.address, p.bytes, p.rom ? "rom" : "ram", p.what);
    return {};
}

// Ranges of addresses that translate alike.
Result<void> mappings(HumanCall& c) {
    TRY(c.has_processor());
    std::vector<isa::Mapped> all;
    bool translates = false;
    c.vcpu().run_inside([&](ir::CpuHeader&) { translates = c.vcpu().mappings(all); });
    if (!translates) return c.print("No translation or protection\n"), Result<void>();
    c.print("{:<16} {:<16} {:<16} attr\n", "vaddr", "paddr", "size");
    for (const isa::Mapped& m : all)
        c.print("{:016x} {:016x} {:016x} {}\n", m.address, m.physical, m.bytes, m.attributes);
    return {};
}

Result<void> memory_size(HumanCall& c) {
    c.print("base memory: {}\n", c.m.board().options().ram_bytes);
    return {};
}

Result<void> trace_events(HumanCall& c) {
    std::string glob = c.word();
    for (const trace::Event& e : trace::events()) {
        std::string full = fmt::format("{}.{}", e.room, e.name);
        if (glob.empty() || trace::matches(glob, full)) c.print("{} : state {}\n", full, e.on ? 1 : 0);
    }
    return {};
}

Result<void> qdm(HumanCall& c) {
    for (const devices::DeviceType* t : c.m.machine().types())
        c.print("name \"{}\", bus {}, desc \"{}\"{}\n", t->name, t->bus, t->summary, t->user ? "" : ", no-user");
    return {};
}

Result<void> migration_(HumanCall& c) {
    Json all = TRY(c.m.execute("query-migrate"));
    const Json* status = all.find("status");
    if (!status) return {};
    c.print("Status: {}\n", *status->string());
    for (std::string_view member : {"total-time", "expected-downtime", "downtime", "setup-time"})
        if (const Json* v = all.find(member)) c.print("{}: {} ms\n", member, v->dump());
    if (const Json* e = all.find("error-desc")) c.print("Error: {}\n", *e->string());
    if (const Json* ram = all.find("ram"))
        for (const auto& [member, v] : *ram->members()) c.print("{}: {}\n", member, v.dump());
    return {};
}
Result<void> parameters(HumanCall& c) {
    Json all = TRY(c.m.execute("query-migrate-parameters"));
    for (const auto& [name, value] : *all.members()) c.print("{}: {}\n", name, value.dump());
    return {};
}
Result<void> capabilities(HumanCall& c) {
    Json all = TRY(c.m.execute("query-migrate-capabilities"));
    for (const Json& one : *all.items())
        c.print("{}: {}\n", *one.find("capability")->string(), *one.find("state")->boolean() ? "on" : "off");
    return {};
}

Result<void> balloon(HumanCall& c) {
    Json j = TRY(c.m.execute("query-balloon"));
    u64 actual = 0;
    if (const Json* value = j.find("actual")) value->get(actual);
    c.print("balloon: actual={}\n", actual >> 20);
    return {};
}

Result<void> block_jobs(HumanCall& c) {
    Json all = TRY(c.m.execute("query-block-jobs"));
    if (all.items()->empty()) return c.print("No active jobs\n"), Result<void>();
    for (const Json& j : *all.items())
        c.print("{} device {}: Completed {} of {} bytes, speed limit {} bytes/s\n",
                text(j, "type") == "stream" ? "Streaming" : fmt::format("Type {},", text(j, "type")), text(j, "device"),
                j.find("offset")->dump(), j.find("len")->dump(), j.find("speed")->dump());
    return {};
}

Result<void> memdev(HumanCall& c) {
    Json all = TRY(c.m.execute("query-memdev"));
    for (const Json& j : *all.items()) {
        c.print("memory backend: {}\n", text(j, "id"));
        c.print("  size:  {}\n", j.find("size")->dump());
        for (std::string_view key : {"merge", "dump", "prealloc", "share"})
            c.print("  {}: {}\n", key, j.find(key)->dump());
    }
    return {};
}

Result<void> iothreads(HumanCall&) { return {}; } // there are none

constexpr HumanCommand commands[] = {
    {"balloon", "", "RAM that the guest has, in MiB", balloon},
    {"block", "", "the disks", block},
    {"block-jobs", "", "long work on disks", block_jobs},
    {"blockstats", "", "what was read and written", blockstats},
    {"chardev", "", "the character devices", chardevs},
    {"cpus", "", "the processors", cpus},
    {"device", "id", "properties, state and lines of a device", device_state},
    {"iothreads", "", "I/O threads: none", iothreads},
    {"jit", "", "translated code", jit},
    {"kvm", "", "is KVM there?", kvm},
    {"mem", "", "what the processor's addresses translate to", mappings},
    {"memdev", "", "memory backends", memdev},
    {"memory_size_summary", "", "how much memory there is", memory_size},
    {"mice", "", "the pointers", show_mice},
    {"mtree", "[-f]", "the memory map; -f: as it is seen", mtree},
    {"migrate", "", "how far saving or loading is", migration_},
    {"migrate_capabilities", "", "what of it is on", capabilities},
    {"migrate_parameters", "", "its limits", parameters},
    {"name", "", "the machine's name", name},
    {"network", "", "the networks", show_network},
    {"pci", "", "functions on PCI", show_pci},
    {"pic", "", "the state of interrupt controllers", show_pic},
    {"qdm", "", "the types of devices", qdm},
    {"qom-tree", "[path]", "the tree of objects", qom_tree},
    {"qtree", "", "the tree of devices", qtree},
    {"ramblock", "", "pieces of memory", show_ramblock},
    {"registers", "[-a|index]", "the processor's registers; -a: of all", registers},
    {"roms", "", "what was loaded", roms},
    {"snapshots", "", "machines kept inside the disks", show_snapshots},
    {"status", "", "the run-state", status},
    {"tlb", "", "the same as mem", mappings},
    {"trace-events", "[name]", "the trace events and whether they are on", trace_events},
    {"usernet", "", "connections of user networks", show_usernet},
    {"uuid", "", "the machine's identifier", uuid},
    {"version", "", "the program's version", version_},
};

} // namespace

std::span<const HumanCommand> info_commands() { return commands; }

} // namespace mimic::monitor
