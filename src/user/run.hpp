// `mimic run [options] PROGRAM [ARGUMENTS]`: one program of another architecture under Linux.
#pragma once
#include "base/result.hpp"
#include "user/engine_cpu.hpp"
#include "user/linux/thread.hpp"
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mimic::user {

// The command line, taken apart.
struct RunCommand {
    RunOptions options;
    EngineOptions engine;
    std::vector<std::string> set, unset; // -E, -U
    std::string argv0;                   // -0
    bool has_argv0 = false;
    std::string log_file;               // -D
    std::string log_items, log_filter;  // -d, -dfilter, as given
    u64 base_address = 0, reserved = 0; // -B, -R
    bool has_base = false;
    u32 page = 0; // -p; 0: the ABI's
    enum class Action { run, help, version, list_cpus, list_log_items } action = Action::run;
    std::vector<std::string> program; // PROGRAM and its arguments
};

// `words` come after "mimic run". `environment` gives a variable's value or nullptr: MIMIC_* and the field's QEMU_*
// names stand for options that the command line doesn't give.
Result<RunCommand> parse_run(std::span<const std::string_view> words, const char* (*environment)(const char*));

// What -d help prints.
std::string list_log_items();

// Runs the program; returns its exit status, or 126 or 127 after one line on standard error.
int run_main(std::span<const std::string_view> words);

// `mimic syscalls [--guest NAME] [--json]`: prints the table of system calls; 0, or 2 for a wrong option.
int syscalls_main(std::span<const std::string_view> words);

} // namespace mimic::user
