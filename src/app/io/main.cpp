#include "app/io/io.hpp"
#include "app/io/session.hpp"
#include "base/module.hpp"
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>

namespace mimic::io_tool {

namespace {

constexpr Arguments::Long longs[] = {
    {"help", false, 'h'},
    {"version", false, 'V'},
    {"cmd", true, 'c'},
    {"format", true, 'f'},
    {"read-only", false, 'r'},
    {"snapshot", false, 's'},
    {"nocache", false, 'n'},
    {"copy-on-read", false, 'C'},
    {"misalign", false, 'm'},
    {"native-aio", false, 'k'},
    {"aio", true, 'i'},
    {"cache", true, 't'},
    {"discard", true, 'd'},
    {"trace", true, 'T'},
    {"force-share", false, 'U'},
    {"object", true, tool::opt_object},
    {"image-opts", false, tool::opt_image_opts},
};

constexpr std::string_view help = R"([OPTIONS]... [-c STRING]... [file]
Single requests to a disk image

  --object secret,...  define a secret for encrypted images
  --image-opts         treat file as option string
  -c, --cmd STRING     execute command with its arguments from the given string; without one, commands are read from
                       standard input
  -f, --format FMT     specifies the block driver to use
  -r, --read-only      open the image read-only
  -s, --snapshot       write to a temporary file in place of the image; what was written is gone at the end
  -C, --copy-on-read   what is read from a backing file is copied into the image
  -n, --nocache        disable host cache, short for -t none
  -k, --native-aio     use the kernel's asynchronous requests
  -i, --aio=MODE       use AIO mode (threads, native or io_uring)
  -t, --cache=MODE     use the given cache mode for the image
  -d, --discard=MODE   use the given discard mode for the image (ignore or unmap)
  -U, --force-share    open an image that another process writes to
  -h, --help           display this help and exit
  -V, --version        output version information and exit

The command 'help' lists the commands, 'help COMMAND' explains the flags of one.
)";

void print_help() { std::fputs(("Usage: " + tool::program_name("io") + " " + std::string(help)).c_str(), stdout); }

struct Start {
    Tool::Open how{.writable = true};
    std::vector<std::string> lines;
    std::string file;
    bool has_file = false;
};

// The exit status, or -1 to go on.
int parse(Tool& tool, Start& s) {
    Arguments arguments(tool.args, "hVc:f:rsnCmki:t:d:T:U", longs);
    for (auto& o : arguments.options())
        if (o.letter == 'h') {
            print_help();
            return 0;
        } else if (o.letter == 'V') {
            std::puts(tool::version_line("io").c_str());
            return 0;
        }
    int status = 0;
    if (!tool.parsed(arguments, status)) return status;
    bool ok = true;
    std::string aio;
    for (auto& o : arguments.options()) switch (o.letter) {
        case 'c': s.lines.push_back(o.value); break;
        case 'r': s.how.writable = false; break;
        case 'n': s.how.cache = "none"; break;
        case 't': s.how.cache = o.value; break;
        case 'k': aio = "native"; break;
        case 'i': aio = o.value; break;
        case 'd':
            if (o.value != "unmap" && o.value != "on" && o.value != "ignore" && o.value != "off") {
                tool.error(fmt::format("Invalid discard option: {}, expected ignore or unmap", o.value));
                return 1;
            }
            if (o.value == "unmap" || o.value == "on") s.how.discard = block::DiscardMode::unmap;
            break;
        case 's': s.how.temporary = true; break;
        case 'C': s.how.copy_on_read = true; break;
        case 'm': // buffers are aligned as the image needs it, whatever the caller does
        case 'T': break;
        default: tool.common(o, ok);
        }
    if (!ok) return 1;
    if (!aio.empty()) s.how.extra.set("file", Json::object()).set("aio", aio);
    if (arguments.names().size() > 1) {
        print_help();
        return 1;
    }
    s.has_file = !arguments.names().empty();
    if (s.has_file) s.file = arguments.names()[0];
    s.how.format = tool.format;
    s.how.image_opts = tool.image_opts;
    if (tool.image_opts && !tool.format.empty()) {
        tool.error("--image-opts and -f are mutually exclusive");
        return 1;
    }
    return -1;
}

// Not std::cin: with it in the program, each start makes the C++ library's streams and their locale, of whatever command.
bool read_line(std::string& line) {
    char* text = nullptr;
    std::size_t room = 0;
    const ssize_t n = ::getline(&text, &room, stdin);
    if (n >= 0) line.assign(text, std::size_t(n) - (n > 0 && text[n - 1] == '\n'));
    std::free(text);
    return n >= 0;
}

Task<int> run(Tool& tool, Start start) {
    Session session(tool);
    session.how = start.how;
    if (start.has_file && !co_await session.open(start.file, start.how)) co_return 1;
    bool ok = true;
    for (auto& line : start.lines) {
        if (session.quit) break;
        bool good = co_await session.run(line);
        ok = ok && good;
        modules::no_return();
    }
    if (start.lines.empty()) {
        modules::no_return();
        // Scripts that feed commands take this prompt out of what they get.
        std::string line;
        for (;;) {
            std::fputs("qemu-io> ", stdout);
            std::fflush(stdout);
            if (session.quit || !read_line(line)) break;
            co_await session.run(line);
            if (session.quit) break;
        }
    }
    if (!co_await session.close()) ok = false;
    co_return ok ? 0 : 1;
}

} // namespace

int io_main(std::span<const std::string_view> args) {
    auto is_command = [](std::string_view a) {
        return a.starts_with("--cmd") || (a.starts_with('-') && !a.starts_with("--") && a.find('c') != a.npos);
    };
    // Without a command standard input is read, and what has been read would be lost later.
    tool::hand_over_early(args, std::ranges::none_of(args, is_command));
    std::signal(SIGPIPE, SIG_IGN);
    auto loop = io::Loop::create();
    if (!loop) {
        std::fprintf(stderr, "%s: %s\n", tool::program_name("io").c_str(), loop.error().message().c_str());
        return 1;
    }
    Tool tool(**loop, "io", args);
    Start start;
    if (int status = parse(tool, start); status >= 0) return status;
    int status = (*loop)->run(run(tool, std::move(start)));
    if (std::fflush(stdout) != 0) {
        tool.error("standard output could not be written");
        return status ? status : 1;
    }
    return status;
}

} // namespace mimic::io_tool
