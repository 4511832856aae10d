// Machines and processors. QEMU QMP reference manual, "Machines".
#include "monitor/commands.hpp"

namespace mimic::monitor {

namespace {

std::string cpu_type(std::string_view guest, std::string_view model) {
    const isa::GuestInfo* g = isa::find_guest(guest);
    return fmt::format("{}-{}-cpu", model, g && !g->family.empty() ? g->family : guest);
}

Result<Json> query_machines(Monitor& m, const Arguments&) {
    Json list = Json::array();
    for (const machines::BoardType* b : machines::boards()) {
        if (!b->is_for(m.guest())) continue;
        Json j = Json::object();
        j.set("name", b->name);
        if (!b->alias.empty()) j.set("alias", b->alias);
        j.set("cpu-max", b->max_cpus);
        j.set("hotpluggable-cpus", false);
        j.set("numa-mem-supported", false);
        j.set("deprecated", false);
        if (!b->default_cpu.empty()) j.set("default-cpu-type", cpu_type(m.guest(), b->default_cpu));
        j.set("acpi", false);
        list.push(std::move(j));
    }
    return list;
}

Result<Json> query_current_machine(Monitor&, const Arguments&) {
    Json j = Json::object();
    j.set("wakeup-suspend-support", false);
    return j;
}

Result<Json> query_target(Monitor& m, const Arguments&) {
    Json j = Json::object();
    j.set("arch", m.guest());
    return j;
}

Result<Json> query_cpus_fast(Monitor& m, const Arguments&) {
    Json list = Json::array();
    for (const auto& v : m.board().vcpus()) {
        Json j = Json::object(), props = Json::object();
        for (auto [level, number] : m.board().vcpu_place(v->index())) props.set(std::string(level), number);
        j.set("cpu-index", v->index());
        j.set("qom-path", fmt::format("/machine/cpu[{}]", v->index()));
        j.set("thread-id", v->thread_id());
        j.set("props", std::move(props));
        j.set("target", v->guest().name());
        list.push(std::move(j));
    }
    return list;
}

Result<Json> query_cpu_definitions(Monitor& m, const Arguments&) {
    Json list = Json::array();
    const isa::GuestInfo* g = isa::find_guest(m.guest());
    for (std::string_view model : g ? g->models : std::span<const std::string_view>()) {
        Json j = Json::object();
        j.set("name", model);
        j.set("typename", cpu_type(g->name, model));
        j.set("static", false);
        j.set("deprecated", false);
        list.push(std::move(j));
    }
    return list;
}

Result<Json> query_hotpluggable_cpus(Monitor& m, const Arguments&) {
    return Error::unsupported("machine '{}' has no processors that can be plugged", m.vm().type.name);
}

Result<Json> query_kvm(Monitor&, const Arguments&) {
    Json j = Json::object();
    j.set("enabled", false);
    j.set("present", false);
    return j;
}

Result<Json> query_name(Monitor& m, const Arguments&) {
    Json j = Json::object();
    if (!m.vm().name.empty()) j.set("name", m.vm().name);
    return j;
}

Result<Json> query_uuid(Monitor& m, const Arguments&) {
    Json j = Json::object();
    j.set("UUID", m.vm().uuid);
    return j;
}

Result<Json> nothing(Monitor&, const Arguments&) { return Json::array(); }

constexpr Command commands[] = {
    {"query-machines", "", "[MachineInfo]", "the boards that there are", of<query_machines>},
    {"query-current-machine", "", "CurrentMachineParams", "what the board can do", of<query_current_machine>},
    {"query-target", "", "TargetInfo", "the guest architecture", of<query_target>},
    {"query-cpus-fast", "", "[CpuInfoFast]", "the processors; the guest is not stopped for it", of<query_cpus_fast>},
    {"query-cpu-definitions", "", "[CpuDefinitionInfo]", "the models of processors", of<query_cpu_definitions>},
    {"query-hotpluggable-cpus", "", "[CpuInstanceProperties]", "processors that could be plugged",
     of<query_hotpluggable_cpus>},
    {"query-kvm", "", "KvmInfo", "is KVM there and used?", of<query_kvm>},
    {"query-name", "", "NameInfo", "the name given by -name", of<query_name>},
    {"query-uuid", "", "UuidInfo", "the identifier given by -uuid", of<query_uuid>},
    {"query-iothreads", "", "[IOThreadInfo]", "I/O threads: none", of<nothing>},
};

} // namespace

constinit const Family machine_family{R"(
struct MachineInfo: name str, ?alias str, ?is-default bool, cpu-max int, hotpluggable-cpus bool, numa-mem-supported bool, deprecated bool, ?default-cpu-type str, ?default-ram-id str, acpi bool
struct CurrentMachineParams: wakeup-suspend-support bool
struct TargetInfo: arch str
struct CpuInstanceProperties: ?node-id int, ?socket-id int, ?cluster-id int, ?core-id int, ?thread-id int
struct CpuInfoFast: cpu-index int, qom-path str, thread-id int, ?props CpuInstanceProperties, target str
struct CpuDefinitionInfo: name str, typename str, static bool, deprecated bool, ?migration-safe bool, ?alias-of str
struct KvmInfo: enabled bool, present bool
struct NameInfo: ?name str
struct UuidInfo: UUID str
struct IOThreadInfo: id str, thread-id int
)",
                                      commands};

} // namespace mimic::monitor
