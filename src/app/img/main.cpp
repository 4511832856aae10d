#include "app/img/commands.hpp"
#include "app/img/help.hpp"
#include "app/img/img.hpp"
#include <csignal>
#include <cstdio>
#include <malloc.h>

namespace mimic::img {

namespace {

struct Command {
    std::string_view name;
    Task<int> (*run)(Tool&);
    std::string_view usage;
};

constexpr Command commands[] = {
    {"amend", cmd_amend,
     "[--object objectdef] [--image-opts] [-p] [-q] [-f fmt] [-t cache] [--force] -o options filename"},
    {"bench", cmd_bench,
     "[-c count] [-d depth] [-f fmt] [--flush-interval=flush_interval] [-i aio] [-n] [--no-drain] [-o offset] "
     "[--pattern=pattern] [-q] [-s buffer_size] [-S step_size] [-t cache] [-w] [-U] filename"},
    {"bitmap", cmd_bitmap,
     "(--merge SOURCE | --add | --remove | --clear | --enable | --disable)... [-b source_file [-F source_fmt]] [-g "
     "granularity] [--object objectdef] [--image-opts | -f fmt] filename bitmap"},
    {"check", cmd_check,
     "[--object objectdef] [--image-opts] [-q] [-f fmt] [--output=ofmt] [-r [leaks | all]] [-T src_cache] [-U] "
     "filename"},
    {"commit", cmd_commit,
     "[--object objectdef] [--image-opts] [-q] [-f fmt] [-t cache] [-b base] [-r rate_limit] [-d] [-p] filename"},
    {"compare", cmd_compare,
     "[--object objectdef] [--image-opts] [-f fmt] [-F fmt] [-T src_cache] [-p] [-q] [-s] [-U] filename1 filename2"},
    {"convert", cmd_convert,
     "[--object objectdef] [--image-opts] [--target-image-opts] [--target-is-zero] [--bitmaps [--skip-broken-bitmaps]] "
     "[-U] [-C] [-c] [-p] [-q] [-n] [-f fmt] [-t cache] [-T src_cache] [-O output_fmt] [-B backing_file [-F "
     "backing_fmt]] [-o options] [-l snapshot_param] [-S sparse_size] [-r rate_limit] [-m num_coroutines] [-W] "
     "[--salvage] [--resume file] filename [filename2 [...]] output_filename"},
    {"create", cmd_create,
     "[--object objectdef] [-q] [-f fmt] [-b backing_file [-F backing_fmt]] [-u] [-o options] filename [size]"},
    {"dd", cmd_dd,
     "[--image-opts] [-U] [-f fmt] [-O output_fmt] [bs=block_size] [count=blocks] [skip=blocks] if=input of=output"},
    {"info", cmd_info, "[--object objectdef] [--image-opts] [-f fmt] [--output=ofmt] [--backing-chain] [-U] filename"},
    {"map", cmd_map,
     "[--object objectdef] [--image-opts] [-f fmt] [--start-offset=offset] [--max-length=len] [--output=ofmt] [-U] "
     "filename"},
    {"measure", cmd_measure,
     "[--output=ofmt] [-O output_fmt] [-o options] [--size N | [--object objectdef] [--image-opts] [-f fmt] [-l "
     "snapshot_param] filename]"},
    {"rebase", cmd_rebase,
     "[--object objectdef] [--image-opts] [-U] [-q] [-f fmt] [-t cache] [-T src_cache] [-p] [-u] -b backing_file [-F "
     "backing_fmt] filename"},
    {"resize", cmd_resize,
     "[--object objectdef] [--image-opts] [-f fmt] [--preallocation=prealloc] [-q] [--shrink] filename [+ | -]size"},
    {"snapshot", cmd_snapshot,
     "[--object objectdef] [--image-opts] [-U] [-q] [-l | -a snapshot | -c snapshot | -d snapshot] filename"},
};

constexpr std::string_view parameters = R"(
Parameters:
  filename        a disk image: a path, protocol:..., or json:{...}
  fmt             a format; guessed from the image if it is not given
  objectdef       secret,id=ID,data=STRING or secret,id=ID,file=PATH
  cache           none, writeback (default, except for convert), writethrough, directsync or unsafe (default for convert)
  size            bytes, with an optional suffix k, M, G, T, P or E (powers of 1024)
  options         name=value,...; -o help lists those of a format
  snapshot_param  snapshot.id=ID,snapshot.name=NAME or an id or a name

`COMMAND --help` explains the options of a command.
)";

void print_help() {
    std::string out = "usage: " + tool::program_name("img") +
                      " [standard options] command [command options]\nDisk images: create, convert, "
                      "check, snapshot, compare\n\n"
                      "    '-h', '--help'       display this help and exit\n    '-V', '--version'    output version "
                      "information and exit\n\nCommands:\n";
    for (auto& c : commands) out += fmt::format("  {} {}\n", c.name, c.usage);
    out += parameters;
    out += "\nSupported formats:";
    for (auto* d : block::drivers()) out += fmt::format(" {}", d->name);
    std::puts(out.c_str());
}

bool asks_for_help(std::span<const std::string_view> args) {
    for (auto& a : args) {
        if (a == "--") return false;
        if (a == "-h" || a == "--help") return true;
    }
    return false;
}

} // namespace

int img_main(std::span<const std::string_view> args) {
    tool::hand_over_early(args);
    // A closed pipe is an error of the write, not the end of an image half converted without a word.
    std::signal(SIGPIPE, SIG_IGN);
    Progress::answer_signals();
    // Clusters and tables come and go by the thousand; from the heap they leave holes that nothing fits (a third of what
    // `convert -c` has in memory).
    mallopt(M_MMAP_THRESHOLD, 65536);
    const std::string program = tool::program_name("img");
    if (args.empty()) {
        std::fprintf(stderr, "%s: Not enough arguments\nTry '%s --help' for more information\n", program.c_str(),
                     program.c_str());
        return 1;
    }
    std::string_view name = args[0];
    if (name == "-h" || name == "--help") {
        print_help();
        return 0;
    }
    if (name == "-V" || name == "--version") {
        std::puts(tool::version_line("img").c_str());
        return 0;
    }
    for (auto& c : commands) {
        if (c.name != name) continue;
        args = args.subspan(1);
        if (asks_for_help(args)) {
            std::printf("usage: %s %s %s\n%s", program.c_str(), std::string(c.name).c_str(),
                        std::string(c.usage).c_str(), help_of(c.name).c_str());
            return 0;
        }
        auto loop = io::Loop::create({.large_on_threads = true});
        if (!loop) {
            std::fprintf(stderr, "%s: %s\n", program.c_str(), loop.error().message().c_str());
            return 1;
        }
        Tool tool(**loop, "img", args);
        int status = (*loop)->run(c.run(tool));
        if (std::fflush(stdout) != 0) {
            tool.error("standard output could not be written");
            return status ? status : 1;
        }
        return status;
    }
    std::fprintf(stderr, "%s: Command not found: %s\nTry '%s --help' for more information\n", program.c_str(),
                 std::string(name).c_str(), program.c_str());
    return 1;
}

} // namespace mimic::img
