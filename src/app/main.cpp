// mimic: one program of many names. `mimic COMMAND ...`, or a link called like a command (qemu-img) or like a guest's
// emulator (mimic-riscv64, qemu-riscv64), which is `mimic run` for that guest.
#include "app/command.hpp"
#include "app/img/img.hpp"
#include "app/io/io.hpp"
#include "app/nbd/nbd.hpp"
#include "app/storage/storage.hpp"
#include "app/tool/name.hpp"
#include "base/module.hpp"
#include "base/nearest.hpp"
#include "isa/guest.hpp"
#include "user/binfmt.hpp"
#include "user/run.hpp"
#include "user/unit_cache.hpp"
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <sys/auxv.h>
#include <unistd.h>
#include <vector>

namespace mimic::app {

namespace {

constexpr std::string_view version = "0.1";

int print_version(std::span<const std::string_view>) {
    std::printf("mimic version %.*s\n", int(version.size()), version.data());
    return 0;
}
int print_help(std::span<const std::string_view>);

// The machines are in a program of their own beside this one: its libraries would slow every start of this one down.
std::string twin() {
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    std::string path = n > 0 ? std::string(self, size_t(n)) : std::string();
    return path.empty() ? path : path.substr(0, path.rfind('/') + 1) + "mimic-system";
}

int hand_over(std::string_view program, std::span<const std::string_view> words) {
    std::string path = twin();
    std::vector<std::string> texts{std::string(program)};
    texts.insert(texts.end(), words.begin(), words.end());
    std::vector<char*> arguments;
    for (std::string& t : texts) arguments.push_back(t.data());
    arguments.push_back(nullptr);
    execv(path.c_str(), arguments.data());
    std::fprintf(stderr, "mimic: cannot run %s: %s\n", path.c_str(), std::strerror(errno));
    return 1;
}
int run_system(std::span<const std::string_view> words) { return hand_over("mimic-system", words); }

int run_features(std::span<const std::string_view>) {
    constexpr std::string_view words[] = {"--features"};
    return hand_over("mimic-system", words);
}

// A tool that works here as long as it needs no module (base/module.hpp), and in the other program from then on.
int run_tool(const Command& c, std::span<const std::string_view> words) {
    std::vector<std::string_view> all{c.name};
    all.insert(all.end(), words.begin(), words.end());
    modules::set_hand_over([all] {
        // It knows itself by its path, and the link by this name.
        const std::string& link = tool::link_name();
        if (access(twin().c_str(), X_OK) == 0) hand_over(link.empty() ? "mimic-system" : link, all);
    });
    return c.run(words);
}

constexpr Command all[] = {
    {"run", {}, user::run_main, "run a Linux program of another architecture"},
    {"shell", {}, user::shell_main, "open a shell in a root file system of another architecture"},
    {"cache", {}, user::cache_main, "show, clear or verify the cache of translated code"},
    {"binfmt", {}, user::binfmt_main, "register Mimic with the kernel for programs of other architectures"},
    {"root", {}, user::root_main, "write a root file system with its owners as an archive"},
    {"syscalls", {}, user::syscalls_main, "print which system calls of a guest work"},
    {"bugreport", {}, user::bugreport_main, "collect what a report of a bug needs, or run a program for it"},
    {"img", {}, img::img_main, "create, convert, check and compare disk images", true},
    {"nbd", {}, nbd::nbd_main, "serve a disk image over the network (NBD)", true},
    {"io", {}, io_tool::io_main, "read, write and discard single ranges of a disk image", true},
    {"storage-daemon",
     {},
     storage_daemon::storage_daemon_main,
     "disks, jobs on them and exports, steered by QMP",
     true},
    {"system", {}, run_system, "run a machine of another architecture: `mimic system GUEST -M BOARD ...`"},
    {"features", {}, run_features, "print guests, image formats, libraries and modules"},
    {"version", {}, print_version, "print the version"},
    {"help", {}, print_help, "print this list"},
};

int print_help(std::span<const std::string_view>) {
    std::puts("usage: mimic COMMAND [options]\n\ncommands:");
    for (const Command& c : all)
        std::printf("  %-14.*s %.*s\n", int(c.name.size()), c.name.data(), int(c.summary.size()), c.summary.data());
    std::fputs("\nguests of `mimic run`:", stdout);
    for (const isa::GuestInfo* g : isa::guests()) std::printf(" %.*s", int(g->name.size()), g->name.data());
    std::puts("\n`mimic COMMAND --help` tells the options of a command.");
    return 0;
}

const Command* find(std::string_view name) {
    for (const Command& c : all)
        if (c.name == name) return &c;
    return nullptr;
}

// A link's name without the usual prefix, which must be there, and without the "-static" that distributions append.
std::string_view link_word(std::string_view name) {
    for (std::string_view prefix : {"mimic-", "qemu-"})
        if (name.starts_with(prefix)) {
            name.remove_prefix(prefix.size());
            constexpr std::string_view end = "-static";
            return name.ends_with(end) ? name.substr(0, name.size() - end.size()) : name;
        }
    return {};
}

// `mimic run` under a link's name that says a guest runs programs of that guest.
std::vector<std::string_view> for_guest(std::string_view link, std::vector<std::string_view> words) {
    if (isa::find_guest(link_word(link))) words.insert(words.begin(), {"-guest", link_word(link)});
    return words;
}

const Command* find_link(std::string_view name) {
    for (const Command& c : all)
        for (std::string_view a : c.aliases)
            if (a == name) return &c;
    return isa::find_guest(link_word(name)) ? find("run") : find(link_word(name));
}

} // namespace

std::span<const Command> commands() { return all; }

} // namespace mimic::app

int main(int argc, char** argv) {
    using namespace mimic::app;
    std::vector<std::string_view> words(argv + 1, argv + argc);
    std::string_view self = argc ? argv[0] : "mimic";
    self = self.substr(self.rfind('/') + 1);
    // The kernel started us for a program of another architecture (binfmt_misc with flag P: AT_FLAGS_PRESERVE_ARGV0).
    if (getauxval(AT_FLAGS) & 1) return find("run")->run(for_guest(self, mimic::user::binfmt_words(words)));
    if (self.starts_with("qemu-system-") || self.starts_with("mimic-system-")) return hand_over(self, words);
    if (const Command* c = find_link(self)) {
        if (!c->storage) return c->run(for_guest(self, words));
        mimic::tool::set_link_name(self);
        return run_tool(*c, words);
    }
    if (words.empty()) {
        print_help({});
        return 1;
    }
    std::string_view name = words[0];
    if (name == "--help" || name == "-h") name = "help";
    if (name == "--features") name = "features";
    if (name == "--version" || name == "-V") name = "version";
    const Command* c = find(name);
    if (!c) {
        std::vector<std::string_view> names;
        for (const Command& known : commands()) names.push_back(known.name);
        std::fprintf(stderr, "mimic: '%.*s' is no command%s (`mimic help` lists them)\n", int(name.size()), name.data(),
                     mimic::did_you_mean(name, names).c_str());
        return 1;
    }
    auto rest = std::span<const std::string_view>(words).subspan(1);
    return c->storage ? run_tool(*c, rest) : c->run(rest);
}
