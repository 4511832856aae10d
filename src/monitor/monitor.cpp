#include "monitor/monitor.hpp"
#include "migration/migrator.hpp"
#include "monitor/commands.hpp"
#include "monitor/objects.hpp"
#include "qmp/disks.hpp"
#include <algorithm>

namespace mimic::monitor {

namespace {
constexpr const Family* families[] = {&run_family,           &machine_family,     &qmp::chardev_family,
                                      &block_family,         &object_family,      &memory_family,
                                      &human_family,         &migration_family,   &snapshot_family,
                                      &dump_family,          &network_family,     &display_family,
                                      &input_family,         &pci_family,         &qmp::self_family,
                                      &qmp::node_family,     &qmp::job_family,    &qmp::bitmap_family,
                                      &qmp::disk_job_family, &qmp::export_family, &qmp::transaction_family};
} // namespace

std::unique_ptr<Schema> make_schema() { return std::make_unique<Schema>(families); }

std::string documentation() { return make_schema()->documentation(); }

Monitor::Monitor(Services services)
    : Server(services.chardevs.loop, services.chardevs, families)
    , services_(std::move(services)) {
    watcher_ = run().watch([this](const machines::RunEvent& e) {
        using Kind = machines::RunEvent::Kind;
        constexpr std::string_view names[] = {"STOP", "RESUME", "RESET", "SHUTDOWN", "POWERDOWN"};
        Json data;
        if (e.kind == Kind::reset || e.kind == Kind::shutdown) {
            data.set("guest", e.guest);
            data.set("reason", e.reason);
        }
        event(names[u8(e.kind)], std::move(data));
    });
    services_.migrator.watch = [this](migration::Status s) {
        if (!migration_events) return;
        Json data;
        data.set("status", to_string(s));
        event("MIGRATION", std::move(data));
    };
    machine().on_event = [this](std::string_view name, Json data) {
        if (const Json* path = data.find("qom-path");
            path && path->string()) // devices know their places, not this tree
            if (const devices::Device* d = machine().find(*path->string())) data.set("qom-path", object_path(*d));
        event(name, std::move(data));
    };
    services_.migrator.can_share_disks = [this] { return monitor::can_share_disks(*this); };
    services_.migrator.watch_pass = [this](u64 pass) {
        if (!migration_events) return;
        Json data;
        data.set("pass", pass);
        event("MIGRATION_PASS", std::move(data));
    };
}

Monitor::~Monitor() {
    machine().on_event = nullptr;
    services_.migrator.watch = nullptr;
    services_.migrator.can_share_disks = [] { return Result<void>(); };
    services_.migrator.watch_pass = nullptr;
    run().unwatch(watcher_);
    close_sessions();
}

Result<cpu::Vcpu*> Monitor::vcpu(u64 index) {
    auto all = board().vcpus();
    if (index < all.size()) return all[index].get();
    return Error::invalid_argument("Parameter 'cpu-index': {}, expected a CPU number below {}", index, all.size());
}

void Monitor::serve_human(chardev::Chardev& dev) { sessions().push_back(make_human_session(*this, dev)); }

std::span<const std::unique_ptr<chardev::Chardev>> Monitor::chardevs() const {
    return services_.board.machine().chardevs();
}
void Monitor::add_chardev(std::unique_ptr<chardev::Chardev> dev) { machine().add_chardev(std::move(dev)); }
void Monitor::remove_chardev(std::string_view id) { machine().remove_chardev(id); }

// ---- guest memory -----------------------------------------------------------------------------------------------------

bool read_ram(memory::AddressSpace& space, u64 address, std::span<u8> out) {
    while (!out.empty()) {
        memory::Place p = space.find(address);
        if (p.kind != memory::Place::Kind::ram && p.kind != memory::Place::Kind::rom) return false;
        size_t n = std::min<u64>(p.left, out.size());
        std::copy_n(p.host(), n, out.data());
        out = out.subspan(n);
        address += n;
    }
    return true;
}

bool read_virtual(cpu::Vcpu& vcpu, u64 address, std::span<u8> out) {
    bool ok = false;
    vcpu.run_inside([&](ir::CpuHeader&) { ok = vcpu.read_memory(address, out.data(), out.size()); });
    return ok;
}

} // namespace mimic::monitor
