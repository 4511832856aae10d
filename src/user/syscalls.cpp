// `mimic syscalls`: the table of calls, and what programs do where one is not there.
#include "user/linux/table.hpp"
#include "user/run.hpp"
#include <algorithm>
#include <cstdio>
#include <map>

namespace mimic::user {
namespace {

struct Note {
    std::string_view name, text;
};
// Every call that answers ENOSYS.
constexpr Note notes[] = {
    {"ptrace", "strace and gdb inside the guest say that they can't trace; use mimic's -strace"},
    {"rseq", "glibc goes on without; sched_getcpu makes a call instead"},
    {"remap_file_pages", "deprecated since Linux 4.0, and no program of today makes it; mmap does the same"},
    {"mseal", "new in Linux 6.10: mappings stay unsealed, as on older kernels"},
    {"map_shadow_stack", "shadow stacks are an x86 feature: other kernels answer ENOSYS, too"},
    {"perf_event_open", "perf says that it is not supported; libraries count without it"},
    {"bpf", "systemd and the like go on without filters for control groups"},
    {"userfaultfd", "garbage collectors and CRIU use signals instead"},
    {"lookup_dcookie", "removed from Linux 6.7: kernels answer ENOSYS, too"},
    {"nfsservctl", "removed from Linux 3.1: kernels answer ENOSYS, too"},
    {"io_uring_setup", "libuv, liburing's users and databases use epoll and threads instead"},
    {"io_uring_enter", "without io_uring_setup nobody makes it"},
    {"io_uring_register", "without io_uring_setup nobody makes it"},
    {"landlock_create_ruleset", "programs go on without the sandbox, as on kernels before 5.13"},
    {"landlock_add_rule", "without landlock_create_ruleset nobody makes it"},
    {"landlock_restrict_self", "without landlock_create_ruleset nobody makes it"},
};

const char* state_of(const CallRow& row) {
    return row.handler == enosys ? "ENOSYS" : row.handler == pass ? "passed through" : "works";
}

// Texts here need no escapes: notes and names are ours.
void print_json(const Abi& abi, const std::map<u32, const CallRow*>& calls) {
    std::printf("{\"guest\": \"%.*s\", \"calls\": [", int(abi.name.size()), abi.name.data());
    const char* comma = "\n  ";
    for (auto& [number, row] : calls) {
        std::string_view note = call_note(row->name);
        std::printf("%s{\"number\": %u, \"name\": \"%s\", \"state\": \"%s\"", comma, number, row->name, state_of(*row));
        if (!note.empty()) std::printf(", \"note\": \"%.*s\"", int(note.size()), note.data());
        std::printf("}");
        comma = ",\n  ";
    }
    for (const ArchCall& c : abi.calls)
        std::printf(",\n  {\"number\": %u, \"name\": \"%.*s\", \"state\": \"works\"}", c.number, int(c.name.size()),
                    c.name.data());
    std::puts("\n]}");
}

void print_text(const Abi& abi, const std::map<u32, const CallRow*>& calls) {
    for (auto& [number, row] : calls) {
        std::string_view note = call_note(row->name);
        std::printf("%4u  %-26s %s%s%.*s\n", number, row->name, state_of(*row), note.empty() ? "" : ": ",
                    int(note.size()), note.data());
    }
    for (const ArchCall& c : abi.calls)
        std::printf("%4u  %-26.*s works\n", c.number, int(c.name.size()), c.name.data());
}

int usage(const char* error, std::string_view word) {
    if (error) std::fprintf(stderr, "mimic: syscalls: %s '%.*s'\n", error, int(word.size()), word.data());
    std::fputs("usage: mimic syscalls [--guest NAME] [--json]\n\n"
               "Prints each system call's number, name and state: works (we make it), passed through (its arguments\n"
               "are converted and the host's kernel answers) or ENOSYS, with what programs then do.\n",
               error ? stderr : stdout);
    return error ? 1 : 0;
}

} // namespace

std::string_view call_note(std::string_view name) {
    for (const Note& n : notes)
        if (n.name == name) return n.text;
    return {};
}

int syscalls_main(std::span<const std::string_view> words) {
    bool json = false;
    std::string_view guest = abis().empty() ? "" : abis().front()->name;
    for (size_t i = 0; i < words.size(); i++) {
        if (words[i] == "--json")
            json = true;
        else if (words[i] == "--help" || words[i] == "-h")
            return usage(nullptr, {});
        else if (words[i] == "--guest" && i + 1 < words.size())
            guest = words[++i];
        else
            return usage("unknown option", words[i]);
    }
    const Abi* abi = find_abi(guest);
    if (!abi) return usage("unknown guest", guest);
    std::map<u32, const CallRow*> calls;
    for (const CallRow& row : all_calls()) {
        i16 number = abi->numbers == Numbers::generic ? row.generic : row.x86_64;
        if (number >= 0) calls[u32(number)] = &row;
    }
    json ? print_json(*abi, calls) : print_text(*abi, calls);
    return 0;
}

} // namespace mimic::user
