// HMP: the monitor for people. A command is a row; `help` and completion come of the rows. Internal to the room.
#pragma once
#include "monitor/monitor.hpp"

namespace mimic::monitor {

// One call: what was typed, and where the answer goes.
struct HumanCall {
    Monitor& m;
    Human& person;
    std::string_view arguments; // behind the command's name
    std::string format;         // behind a slash: "4xw"
    std::string out;

    template <class... A>
    void print(fmt::format_string<A...> f, A&&... a) {
        out += fmt::format(f, std::forward<A>(a)...);
    }
    // Takes the next word off the arguments; empty: there is none. Quotes hold words together.
    std::string word();
    // Takes a switch ("-f") off their front.
    bool flag(char c);
    // Takes an expression off: 0x80000000+4*$a0. Errors say where.
    Result<u64> expression();
    // What is left, without the spaces around it.
    std::string_view rest();
    // Errors: the machine has no processor.
    Result<void> has_processor() {
        if (m.board().vcpus().empty()) return Error::unsupported("machine '{}' has no processors", m.vm().type.name);
        return {};
    }
    // The processor that `cpu` chose; there is one.
    cpu::Vcpu& vcpu() { return *m.board().vcpus()[std::min<size_t>(person.cpu, m.board().vcpus().size() - 1)]; }
    // Runs a QMP command for its effect, or shows its error.
    Result<void> qmp(std::string_view name, const Json& arguments = Json::object());
};

struct HumanCommand {
    std::string_view names;     // "quit|q"
    std::string_view arguments; // as help shows them
    std::string_view help;
    // Those whose arguments begin with "/fmt" take a format.
    bool formats() const { return arguments.starts_with("/fmt"); }
    Result<void> (*run)(HumanCall& call);
};
std::span<const HumanCommand> human_commands(); // sorted by name
std::span<const HumanCommand> info_commands();
bool has_name(const HumanCommand& c, std::string_view name);

extern const std::span<const HumanCommand> memory_commands, snapshot_commands, display_commands, network_commands;
Result<void> show_snapshots(HumanCall& call); // info snapshots
Result<void> show_mice(HumanCall& call);      // info mice
Result<void> show_network(HumanCall& call);   // info network
Result<void> show_usernet(HumanCall& call);   // info usernet
Result<void> show_pci(HumanCall& call);       // info pci
Result<void> show_pic(HumanCall& call);       // info pic
Result<void> show_ramblock(HumanCall& call);  // info ramblock

// The value of an expression: numbers (decimal, 0x, 0), + - * / % & | ^ ~ and parentheses, $register of the vCPU. `text`
// keeps what follows it. Errors name the place.
Result<u64> evaluate(std::string_view& text, cpu::Vcpu* vcpu);

} // namespace mimic::monitor
