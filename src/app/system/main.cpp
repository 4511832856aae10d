// `mimic-system`: by its own name the guest is said by -M alone or by the first word; by a link's name (mimic-system-riscv64,
// qemu-system-riscv64) the guest is in it.
#include "app/system/options_memory.hpp"
#include "app/system/session.hpp"
#include "app/tool/daemonize.hpp"
#include "base/nearest.hpp"
#include "base/trace.hpp"
#include "devices/types.hpp"
#include <algorithm>
#include <cstdio>
#include <set>

namespace mimic::app {

namespace {

std::set<std::string_view> guests() {
    std::set<std::string_view> names;
    for (const machines::BoardType* b : machines::boards())
        if (!b->guest.empty()) names.insert(b->guest);
    return names;
}

void print_machines(const SystemOptions& o) {
    std::puts("Supported machines are:");
    for (const machines::BoardType* b : machines::boards()) {
        if (!b->is_for(o.guest)) continue;
        if (!b->alias.empty())
            std::printf("%-20s %s (alias of %s)\n", std::string(b->alias).c_str(), std::string(b->summary).c_str(),
                        std::string(b->name).c_str());
        std::printf("%-20s %s\n", std::string(b->name).c_str(), std::string(b->summary).c_str());
    }
}

void print_devices() {
    std::string bus;
    std::vector<const devices::DeviceType*> all(devices::types().begin(), devices::types().end());
    std::stable_sort(all.begin(), all.end(), [](auto* a, auto* b) { return a->bus < b->bus; });
    for (const devices::DeviceType* t : all) {
        if (!t->user) continue;
        if (bus != t->bus) std::printf("%s devices:\n", (bus = t->bus).c_str());
        std::printf("name \"%s\", bus %s, desc \"%s\"\n", std::string(t->name).c_str(), bus.c_str(),
                    std::string(t->summary).c_str());
    }
}

int print_device(const SystemOptions& o) {
    for (const devices::DeviceType* t : devices::types())
        if (t->name == o.help_about || (!t->alias.empty() && t->alias == o.help_about)) {
            std::printf("%s options:\n%s", o.help_about.c_str(), devices::property_help(*t->make()).c_str());
            return 0;
        }
    o.messages.say(fmt::format("-device: '{}' is no device type", o.help_about));
    return 1;
}

int print_machine(const SystemOptions& o) {
    auto type = machines::find_board(o.guest, o.machine);
    if (!type) {
        o.messages.say(fmt::format("-M: {}", type.error().message()));
        return 1;
    }
    std::printf("%s options:\n", o.machine.c_str());
    for (const auto& p : (*type)->properties)
        std::printf("  %s=<%s> - %s\n", std::string(p.name).c_str(), std::string(p.type).c_str(),
                    std::string(p.help).c_str());
    return 0;
}

} // namespace

int print_help(const SystemOptions& o) {
    switch (o.help) {
    case Help::options:
        std::printf("Mimic machine emulator, guest %s\nusage: %s [options] [disk image]\n\n%s", o.guest.c_str(),
                    o.messages.program.c_str(), options_help().c_str());
        break;
    case Help::version: std::puts("Mimic emulator version 0.1"); break;
    case Help::machines: print_machines(o); break;
    case Help::machine: return print_machine(o);
    case Help::cpus:
        std::puts("Available CPUs:");
        if (const isa::GuestInfo* g = isa::find_guest(o.guest))
            for (std::string_view m : g->models) std::printf("  %s\n", std::string(m).c_str());
        break;
    case Help::accels:
        std::puts("Accelerators supported in this program:\ninterp\njit\nqtest\ntcg (the same as jit)");
        break;
    case Help::devices: print_devices(); break;
    case Help::device: return print_device(o);
    case Help::chardevs:
        std::puts("Available chardev backend types:");
        for (std::string_view n : chardev::backends()) std::printf("  %s\n", std::string(n).c_str());
        break;
    case Help::audiodevs: std::puts("Available audio drivers:\nnone"); break;
    case Help::drives:
        std::puts("-drive file=FILE[,format=raw|qcow2][,if=none|virtio|pflash][,id=ID][,unit=N][,readonly=on]\n"
                  "       [,snapshot=on][,cache=none|writeback|writethrough|directsync|unsafe][,discard=unmap]");
        break;
    case Help::netdevs: std::fputs(net::help().c_str(), stdout); break;
    case Help::logs: std::fputs(log_items_help().c_str(), stdout); break;
    case Help::traces:
        for (const trace::Event& e : trace::events()) std::printf("%s.%s %s\n", e.room, e.name, e.format);
        break;
    case Help::commands: std::fputs(monitor::documentation().c_str(), stdout); break;
    case Help::objects:
        std::puts("List of user creatable objects:");
        for (std::string_view type : object_types()) std::printf("  %s\n", std::string(type).c_str());
        break;
    case Help::displays: std::puts("Available display backend types:\nnone"); break;
    case Help::adapters: std::puts("none                 no graphic card (-device adds one)"); break;
    case Help::none: break;
    }
    return 0;
}

int system_main(std::string_view program, std::span<const std::string_view> words) {
    std::string self(program.substr(program.rfind('/') + 1)), guest;
    std::set<std::string_view> known = guests();
    for (std::string_view prefix : {"mimic-system-", "qemu-system-"})
        if (self.starts_with(prefix)) guest = self.substr(prefix.size());
    if (guest.empty() && !words.empty() && known.count(words[0])) {
        guest = words[0];
        words = words.subspan(1);
    }
    std::string list;
    for (std::string_view g : known) list += fmt::format(" {}", g);
    if (!known.count(guest)) {
        bool asked = !words.empty() && (words[0] == "-help" || words[0] == "--help" || words[0] == "-h");
        std::fprintf(asked ? stdout : stderr, "usage: %s GUEST [options]; guests:%s\n", self.c_str(), list.c_str());
        return asked ? 0 : 1;
    }
    SystemOptions options;
    options.guest = guest;
    options.messages.program = self;
    auto parsed = parse_options(options, words);
    const Messages messages = options.messages;
    auto complain = [&](const Error& e) {
        messages.say(e.message());
        return 1;
    };
    if (!parsed) return complain(parsed.error());
    if (options.help != Help::none) return print_help(options);
    std::unique_ptr<tool::Background> daemon;
    if (options.daemonize) {
        if (options.nographic)
            return complain(Error::invalid_argument("-daemonize: it has no terminal, expected without -nographic"));
        auto begun = tool::Background::begin("-daemonize");
        if (!begun) return complain(begun.error());
        daemon = std::move(*begun);
    }
    Session session(std::move(options));
    if (daemon) session.on_ready = [&] { daemon->ready(); };
    if (auto made = session.create(); !made) return complain(made.error());
    return session.run();
}

} // namespace mimic::app
