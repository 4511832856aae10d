#include "monitor/debugger.hpp"
#include <algorithm>

namespace mimic::monitor {

using gdb::Break;
using gdb::Stop;

Result<std::unique_ptr<Debugger>> Debugger::create(Monitor& m, chardev::Chardev& dev) {
    auto vcpus = m.board().vcpus();
    if (vcpus.empty()) return Error::unsupported("machine '{}' has no processors to debug", m.vm().type.name);
    if (!vcpus[0]->guest().debug())
        return Error::unsupported("the registers of {} have no description for gdb", vcpus[0]->guest().name());
    return std::unique_ptr<Debugger>(new Debugger(m, dev));
}

Debugger::Debugger(Monitor& m, chardev::Chardev& dev)
    : Session(m, dev)
    , server_(*this, [this](std::string_view bytes) { send(bytes); }) {
    m.run().on_pause = [this](cpu::Vcpu& v, cpu::Pause p) { paused(v, p); };
    watcher_ = m.run().watch([this](const machines::RunEvent& e) {
        bool by_other = monitor_.run().state() != machines::RunState::debug;
        if (e.kind == machines::RunEvent::Kind::stop && by_other) stopped({.thread = 1, .signal = 2});
    });
    dev.attach(this);
}

Debugger::~Debugger() {
    if (expecting_) on_stop({.kind = Stop::Kind::exited, .signal = 0});
    server_.disconnect();
    monitor_.run().unwatch(watcher_);
    monitor_.run().on_pause = nullptr;
}

void Debugger::receive(std::span<const u8> bytes) {
    if (!connected_) event(chardev::Event::opened);
    busy_ = true;
    server_.feed(bytes);
    busy_ = false;
}

void Debugger::event(chardev::Event e) {
    if (e == chardev::Event::opened) {
        connected_ = true;
        server_.connect();
    } else if (e == chardev::Event::closed) {
        connected_ = expecting_ = false;
        forget_output();
        const bool goes_on = running(); // after a detach; or gdb went without one
        settle();                       // to take its breakpoints away
        server_.disconnect();
        if (goes_on) monitor_.run().resume().ignore(); // a guest at its end stays there
    }
}

// ---- threads and registers --------------------------------------------------------------------------------------------

cpu::Vcpu* Debugger::vcpu(u64 thread) const {
    auto all = monitor_.board().vcpus();
    return thread - 1 < all.size() ? all[thread - 1].get() : nullptr;
}

std::vector<u64> Debugger::threads() const {
    std::vector<u64> out;
    for (const auto& v : monitor_.board().vcpus()) out.push_back(v->index() + 1);
    return out;
}

std::string Debugger::thread_name(u64 thread) const { return fmt::format("CPU#{}", thread - 1); }

// Somebody may have let the machine go on while gdb believes that it stands.
void Debugger::settle() {
    if (running()) monitor_.run().stop(machines::RunState::debug);
}

ir::CpuHeader* Debugger::cpu(u64 thread) {
    settle();
    cpu::Vcpu* v = vcpu(thread);
    return v ? &v->header() : nullptr;
}

void Debugger::written(u64 thread) {
    if (cpu::Vcpu* v = vcpu(thread)) v->registers_written();
}

// ---- memory -----------------------------------------------------------------------------------------------------------

bool Debugger::choose_physical(bool on) {
    physical_ = on;
    return true;
}

bool Debugger::read_memory(u64 thread, u64 address, std::span<u8> out) {
    settle();
    if (physical_)
        return monitor_.machine().memory().read(address, out.data(), out.size(), {.debug = true}) ==
               memory::Outcome::ok;
    cpu::Vcpu* v = vcpu(thread);
    return v && v->read_memory(address, out.data(), out.size());
}

bool Debugger::write_memory(u64 thread, u64 address, std::span<const u8> in) {
    settle();
    if (physical_)
        return monitor_.machine().memory().write(address, in.data(), in.size(), {.debug = true}) == memory::Outcome::ok;
    cpu::Vcpu* v = vcpu(thread);
    return v && v->write_memory(address, in.data(), in.size());
}

// ---- breakpoints ------------------------------------------------------------------------------------------------------

void Debugger::watch_all() {
    std::vector<cpu::Watchpoint> all;
    for (const Watch& w : watches_) all.push_back(w.where);
    for (const auto& v : monitor_.board().vcpus()) v->set_watchpoints(all);
}

bool Debugger::set_break(u64, Break kind, u64 address, u64 bytes, bool on) {
    settle();
    if (kind == Break::software || kind == Break::hardware) {
        auto at = breaks_.find(address);
        if (!on && at == breaks_.end()) return false;
        if (on)
            breaks_.insert(address);
        else
            breaks_.erase(at);
        // The code is all processors' together.
        if (breaks_.count(address) == (on ? 1 : 0)) vcpu(1)->set_breakpoint(address, on);
        return true;
    }
    if (bytes == 0 || bytes > 4096) return false;
    Watch w{kind, {address, bytes, kind != Break::write, kind != Break::read}};
    auto same = [&](const Watch& o) { return o.kind == kind && o.where.address == address && o.where.bytes == bytes; };
    auto at = std::find_if(watches_.begin(), watches_.end(), same);
    if (!on && at == watches_.end()) return false;
    if (on)
        watches_.push_back(w);
    else
        watches_.erase(at);
    watch_all();
    return true;
}

void Debugger::clear_breaks() {
    if (breaks_.empty() && watches_.empty()) return;
    settle();
    for (auto at = breaks_.begin(); at != breaks_.end(); at = breaks_.upper_bound(*at))
        vcpu(1)->set_breakpoint(*at, false);
    breaks_.clear();
    watches_.clear();
    watch_all();
}

// ---- running ----------------------------------------------------------------------------------------------------------

void Debugger::resume(std::span<const gdb::Resume> chosen) {
    expecting_ = true;
    while (!pending_.empty()) {
        Stop s = pending_.front();
        pending_.pop_front();
        if (still_holds(s)) return stopped(s);
    }
    std::set<u64> run;
    bool steps = false;
    for (const auto& v : monitor_.board().vcpus()) {
        auto r = std::find_if(chosen.begin(), chosen.end(), [&](const auto& c) { return c.thread == v->index() + 1; });
        bool step = r != chosen.end() && r->step;
        v->set_single_step(step);
        steps |= step;
        if (r != chosen.end()) run.insert(v->index());
    }
    if (steps || run.size() < monitor_.board().vcpus().size())
        monitor_.run().resume_some([&](cpu::Vcpu& v) { return run.contains(v.index()); });
    else if (!monitor_.run().resume())
        return stopped({.thread = 1}); // the guest is at its end
    if (!running()) stopped({.thread = 1});
}

// A processor stopped beside the one that was told; gdb may have taken away what it stopped for.
bool Debugger::still_holds(const Stop& s) {
    if (s.kind == Stop::Kind::watchpoint)
        return std::any_of(watches_.begin(), watches_.end(),
                           [&](const Watch& w) { return w.where.address == s.address; });
    return breaks_.contains(vcpu(s.thread)->header().pc);
}

void Debugger::stopped(const Stop& s) {
    if (!expecting_) return;
    expecting_ = false;
    for (const auto& v : monitor_.board().vcpus()) v->set_single_step(false);
    on_stop(s);
}

void Debugger::paused(cpu::Vcpu& v, cpu::Pause pause) {
    Stop s{.thread = v.index() + 1};
    if (pause == cpu::Pause::watchpoint) {
        cpu::Watchpoint hit = v.watch_hit();
        s.kind = Stop::Kind::watchpoint;
        s.watch = hit.read && hit.write ? Break::access : hit.read ? Break::read : Break::write;
        s.address = hit.address;
    }
    if (expecting_)
        stopped(s);
    else if (pause != cpu::Pause::step)
        pending_.push_back(s);
}

void Debugger::interrupt() {
    if (!running()) return;
    settle();
    stopped({.thread = 1, .signal = 2});
}

void Debugger::detach() {
    expecting_ = false;
    pending_.clear();
    for (const auto& v : monitor_.board().vcpus()) v->set_single_step(false);
    monitor_.run().resume().ignore(); // a guest at its end stays there
}

void Debugger::kill() { monitor_.run().quit("host-signal"); }

Result<void> Debugger::restart() {
    monitor_.run().request({devices::Request::Kind::reset, "host-ui"});
    return {};
}

Result<std::string> Debugger::command(std::string_view text) { return monitor_.human(text, person_); }

} // namespace mimic::monitor
