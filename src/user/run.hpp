// `mimic run [options] PROGRAM [ARGUMENTS]`: one program of another architecture under Linux.
#pragma once
#include "base/result.hpp"
#include "user/debug/debugger.hpp"
#include "user/engine_cpu.hpp"
#include "user/linux/thread.hpp"
#include "user/root/enter.hpp"
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mimic::user {

// What a process that is already in a root gets from the one that executed it (-inherit): descriptors, ids.
struct Inherited {
    int self = -1, owners = -1, log = -1, cache = -1;
    u64 home = 0; // device of the root's files
    bool secure = false;
    Credentials ids;

    bool any() const { return self >= 0; }
    std::string text() const; // the option's value
    bool parse(std::string_view text);
};

// The command line, taken apart.
struct RunCommand {
    RunOptions options;
    EngineOptions engine;
    std::vector<std::string> set, unset; // -E, -U
    std::string argv0;                   // -0
    bool has_argv0 = false;
    std::string guest;                  // -guest; empty: any
    std::string log_file;               // -D
    std::string log_items, log_filter;  // -d, -dfilter, as given
    u64 base_address = 0, reserved = 0; // -B, -R
    bool has_base = false;
    bool no_cache = false;              // --no-cache
    std::optional<u64> seed;            // -seed
    u32 page = 0;                       // -p; 0: the ABI's
    std::optional<DebugPlace> debugger; // -g
    RootOptions root;
    Inherited inherited;
    std::string why_no_root_cache;
    std::string filters;     // -seccomp
    std::string limits_text; // -limits
    enum class Action { run, help, version, list_cpus, list_log_items, list_accels } action = Action::run;
    std::vector<std::string> program; // PROGRAM and its arguments
};

// `words` come after "mimic run". `environment` gives a variable's value or nullptr: MIMIC_* and the field's QEMU_*
// names stand for options that the command line doesn't give.
// `shell`: as `mimic shell`, which needs a root and no program.
Result<RunCommand> parse_run(std::span<const std::string_view> words, const char* (*environment)(const char*),
                             bool shell = false);

// What -d help and -accel help print.
std::string list_log_items();
std::string list_accels();

// Exit status after one line on standard error: an option of ours is wrong; the program is not the guest's that -guest says.
// The program can't be run: exit_status_of().
inline constexpr int bad_option_status = 1, other_guest_status = 255;

// Runs the program; returns its exit status or one of those above.
int run_main(std::span<const std::string_view> words);
// `mimic shell --root DIR [COMMAND...]`: the same in a root with everything that a shell expects.
int shell_main(std::span<const std::string_view> words);

// `mimic root export DIR -o FILE`: a root as an archive.
int root_main(std::span<const std::string_view> words);
// `mimic bugreport [OPTIONS] [PROGRAM...]`: a text for a report of a bug; 0, or 1 after one line on standard error.
int bugreport_main(std::span<const std::string_view> words);
// `mimic syscalls [--guest NAME] [--json]`: prints the table of system calls; 0, or 1 for a wrong option.
int syscalls_main(std::span<const std::string_view> words);

} // namespace mimic::user
