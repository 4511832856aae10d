// Programs without an operating system on a board over the accelerator that behaves like KVM: mimic-system's command line, as far as
// bare.py needs it.
//
//   like_kvm_run GUEST -M virt[,KEY=VALUE] [-cpu MODEL] [-smp N] [-semihosting-config ...] -kernel FILE
//
// Prints what the first serial port sends. Exit status: the machine's; 99, with a line a break: something outside of the
// accelerator broke its rules (like_kvm::Seen).
#include "base/io/loop.hpp"
#include "devices/types.hpp"
#include "like_kvm.hpp"
#include "machines/board.hpp"
#include <charconv>
#include <cstdio>

using namespace mimic;

namespace {

struct Output final : chardev::Chardev {
    Output() : Chardev("serial0") {}
    std::string filename() const override { return "output"; }
    u32 write(std::span<const u8> bytes) override { return u32(std::fwrite(bytes.data(), 1, bytes.size(), stdout)); }
};

// "virt,a=b,c=d": each part with its value, none for the first.
devices::PropertyList parts(std::string_view text) {
    devices::PropertyList all;
    while (!text.empty()) {
        std::string_view one = text.substr(0, text.find(','));
        text.remove_prefix(std::min(text.size(), one.size() + 1));
        const std::size_t is = one.find('=');
        all.emplace_back(one.substr(0, is), is == one.npos ? std::string_view() : one.substr(is + 1));
    }
    return all;
}

Result<machines::BoardOptions> parse(std::span<const std::string_view> words) {
    machines::BoardOptions o;
    if (words.empty()) return Error::invalid_argument("the guest is missing");
    const machines::BoardType* type = TRY(machines::find_board(words[0], "virt"));
    o.type_name = type->name;
    o.ram_bytes = type->default_ram;
    for (std::size_t n = 1; n < words.size(); ++n) {
        if (words[n] == "-nographic" || words[n] == "-no-reboot") continue; // it has no display and ends at a reset
        if (n + 1 == words.size()) return Error::invalid_argument("'{}' has no value, or is no option here", words[n]);
        const std::string_view option = words[n], value = words[++n];
        if (option == "-M") {
            o.properties = parts(value);
            o.properties.erase(o.properties.begin());
        } else if (option == "-cpu") {
            o.cpu = value;
        } else if (option == "-bios") {
            o.bios = value;
        } else if (option == "-kernel") {
            o.kernel = value;
        } else if (option == "-smp") {
            const auto end = std::from_chars(value.data(), value.data() + value.size(), o.smp.cpus);
            if (end.ec != std::errc{}) return Error::invalid_argument("-smp: '{}', expected a number", value);
            o.smp.max_cpus = o.smp.cores = o.smp.cpus;
        } else if (option == "-semihosting-config") {
            for (const auto& [key, text] : parts(value))
                key == "arg" ? o.semihosting.arguments.push_back(text) : void(o.semihosting.enable = text == "on");
        } else if (option != "-nic") { // none
            return Error::invalid_argument("'{}' is no option here", option);
        }
    }
    return o;
}

Result<int> run(std::span<const std::string_view> words, like_kvm::Seen& seen) {
    machines::BoardOptions o = TRY(parse(words));
    auto loop = TRY(io::Loop::create());
    o.machine.loop = loop.get();
    o.machine.types = devices::types();
    o.serial = {"serial0"};
    o.make_accelerator = [&](cpu::AcceleratorOptions a) { return like_kvm::make(std::move(a), seen); };
    auto board = TRY(machines::find_board(words[0], "virt"))->make(o);
    board->machine().add_chardev(std::make_unique<Output>());
    std::optional<int> status;
    board->machine().on_request = [&](const devices::Request& r) { status = r.status; };
    TRY(board->build());
    TRY(board->load());
    TRY(board->reset(devices::ResetKind::power_on));
    board->start();
    loop->run_until([&] { return status.has_value(); });
    board->stop();
    return *status;
}

} // namespace

int main(int argc, char** argv) {
    const std::vector<std::string_view> words(argv + 1, argv + argc);
    like_kvm::Seen seen;
    auto status = run(words, seen);
    if (!status) {
        std::fprintf(stderr, "like_kvm_run: %s\n", status.error().message().c_str());
        return 1;
    }
    for (const std::string& rule : seen.broken_rules) std::fprintf(stderr, "like_kvm_run: %s\n", rule.c_str());
    return seen.broken_rules.empty() ? *status : 99;
}
