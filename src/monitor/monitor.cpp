#include "monitor/monitor.hpp"
#include "migration/migrator.hpp"
#include "monitor/commands.hpp"
#include <algorithm>
#include <ctime>

namespace mimic::monitor {

std::unique_ptr<Schema> make_schema() {
    const Family* families[] = {&run_family,    &machine_family, &chardev_family, &block_family,
                                &object_family, &memory_family,  &self_family,    &migration_family};
    std::vector<std::string_view> types;
    std::vector<std::span<const Command>> commands;
    for (const Family* f : families) {
        types.push_back(f->types);
        commands.push_back(f->commands);
    }
    return std::make_unique<Schema>(types, commands, all_events);
}

std::string documentation() { return make_schema()->documentation(); }

Monitor::Monitor(Services services) : services_(std::move(services)), schema_(make_schema()) {
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
}

Monitor::~Monitor() {
    services_.migrator.watch = nullptr;
    run().unwatch(watcher_);
    sessions_.clear();
}

Result<Json> Monitor::execute(const Command& command, const Json& arguments) {
    TRY(schema_->check(arguments, schema_->arguments(command)));
    return command.run(*this, Arguments(arguments));
}

Result<Json> Monitor::execute(std::string_view name, const Json& arguments) {
    const Command* c = schema_->find(name);
    if (!c || !c->run) return Error::invalid_argument("The command {} has not been found", name);
    return execute(*c, arguments);
}

Result<cpu::Vcpu*> Monitor::vcpu(u64 index) {
    auto all = board().vcpus();
    if (index < all.size()) return all[index].get();
    return Error::invalid_argument("Parameter 'cpu-index': {}, expected a CPU number below {}", index, all.size());
}

void Monitor::serve_qmp(chardev::Chardev& dev, bool pretty) {
    sessions_.push_back(make_qmp_session(*this, dev, pretty));
}
void Monitor::serve_human(chardev::Chardev& dev) { sessions_.push_back(make_human_session(*this, dev)); }

void Monitor::event(std::string_view name, Json data) {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    Json message = Json::object(), time = Json::object();
    time.set("seconds", i64(now.tv_sec));
    time.set("microseconds", i64(now.tv_nsec / 1000));
    message.set("timestamp", std::move(time));
    message.set("event", name);
    if (!data.is_null()) message.set("data", std::move(data));
    for (const auto& s : sessions_) s->event(name, message);
}

// ---- sessions ---------------------------------------------------------------------------------------------------------

Session::Session(Monitor& monitor, chardev::Chardev& dev) : monitor_(monitor), dev_(dev) {}
Session::~Session() { dev_.attach(nullptr); }

u32 Session::room() { return waiting_.empty() ? 4096 : 0; }

void Session::send(std::string_view text) {
    waiting_ += text;
    writable();
    if (waiting_.size() > max_waiting) waiting_.clear();
}

void Session::writable() {
    if (waiting_.empty()) return;
    u32 n = dev_.write({reinterpret_cast<const u8*>(waiting_.data()), waiting_.size()});
    waiting_.erase(0, n);
    if (waiting_.empty()) dev_.accept_input();
}

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
