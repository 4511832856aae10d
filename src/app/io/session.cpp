// The commands that don't move data, and running a line.
#include "app/io/session.hpp"
#include "block/graph.hpp"
#include "block/qcow2/state.hpp"
#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <sstream>

namespace mimic::io_tool {

namespace {

bool fail(const std::string& text) {
    say(text);
    return false;
}

Task<bool> open_command(Session& s, const Arguments& a) {
    Tool::Open how = s.how;
    how.writable = true;
    how.extra = Json::object();
    std::string options;
    for (auto& o : a.options()) switch (o.letter) {
        case 'r': how.writable = false; break;
        case 'n': how.cache = "none"; break;
        case 't': how.cache = o.value; break;
        case 'd':
            how.discard =
                o.value == "unmap" || o.value == "on" ? block::DiscardMode::unmap : block::DiscardMode::ignore;
            break;
        case 'o': options += (options.empty() ? "" : ",") + o.value; break;
        case 'U': s.tool.force_share = true; break;
        case 's': how.temporary = true; break;
        case 'C': how.copy_on_read = true; break;
        default: break;
        }
    if (s.image) {
        s.tool.error("file open already, try 'help close'");
        co_return false;
    }
    std::string file = a.names().empty() ? "" : a.names()[0];
    if (!options.empty() && !file.empty()) {
        auto parsed = block::parse_flat(options);
        if (!parsed) co_return fail(parsed.error().message() + "\n");
        how.extra = std::move(*parsed);
    } else if (!options.empty()) {
        file = options;
        how.image_opts = true;
    } else {
        how.image_opts = false;
    }
    if (file.empty()) co_return fail("open expects a file name or options\n");
    // A format of the command line is that of the file of the command line.
    if (how.extra.find("driver") || how.image_opts) how.format.clear();
    co_return co_await s.open(file, how);
}

Task<bool> close_command(Session& s, const Arguments&) { co_return co_await s.close(); }

Task<bool> reopen_command(Session& s, const Arguments& a) {
    Tool::Open how = s.how;
    for (auto& o : a.options()) switch (o.letter) {
        case 'r': how.writable = false; break;
        case 'w': how.writable = true; break;
        case 'c': how.cache = o.value; break;
        default: co_return fail("reopen takes -r, -w and -c; close and open the image for others\n");
        }
    if (how.temporary) co_return fail("reopen would lose what was written to the temporary file (-s)\n");
    std::string name = s.name;
    if (!co_await s.close()) co_return false;
    co_return co_await s.open(name, how);
}

Task<bool> flush_command(Session& s, const Arguments&) {
    auto r = co_await s.image->flush();
    if (!r) co_return fail(fmt::format("flush failed: {}\n", error_text(r.error())));
    co_return true;
}

Task<bool> aio_flush_command(Session& s, const Arguments&) {
    co_await s.background.drain();
    co_return true;
}

Task<bool> length_command(Session& s, const Arguments&) {
    say(size_text(double(s.image->size())) + "\n");
    co_return true;
}

Task<bool> truncate_command(Session& s, const Arguments& a) {
    auto prealloc = block::Prealloc::off;
    for (auto& o : a.options()) {
        auto at = std::ranges::find(block::prealloc_names, o.value);
        if (at == std::end(block::prealloc_names))
            co_return fail(
                fmt::format("'{}' is no preallocation mode, expected off, metadata, falloc or full\n", o.value));
        prealloc = block::Prealloc(at - std::begin(block::prealloc_names));
    }
    auto n = number(a.names()[0]);
    if (!n) co_return false;
    co_await s.background.drain();
    auto r = co_await s.image->truncate(*n, prealloc);
    if (!r) s.tool.error(r.error().message());
    co_return bool(r);
}

Task<bool> alloc_command(Session& s, const Arguments& a) {
    auto offset = number(a.names()[0]);
    auto count = a.names().size() > 1 ? number(a.names()[1]) : std::optional<u64>(512);
    if (!offset || !count) co_return false;
    if (*offset > s.image->size() || *count > s.image->size() - *offset)
        co_return fail(fmt::format("alloc: {} bytes at {} are past the end\n", *count, *offset));
    u64 sum = 0;
    for (u64 at = *offset, end = *offset + *count; at < end;) {
        auto e = co_await s.image->status(at, end - at);
        if (!e) co_return fail(fmt::format("is_allocated failed: {}\n", error_text(e.error())));
        if (e->allocated) sum += e->length;
        at += e->length;
    }
    say(fmt::format("{}/{} bytes allocated at offset {}\n", sum, *count, size_text(double(*offset))));
    co_return true;
}

Task<bool> map_command(Session& s, const Arguments&) {
    u64 size = s.image->size(), begin = 0;
    if (size == 0) s.tool.error("Failed to query image length: the image is empty");
    bool state = false;
    auto line = [&](u64 end) {
        if (end == begin) return;
        say(fmt::format("{} ({:#x}) bytes {} at offset {} ({:#x})\n", size_text(double(end - begin)), end - begin,
                        state ? "    allocated" : "not allocated", size_text(double(begin)), begin));
    };
    for (u64 at = 0; at < size;) {
        auto e = co_await s.image->status(at, size - at);
        if (!e) co_return fail(fmt::format("Failed to get allocation status: {}\n", error_text(e.error())));
        if (e->allocated != state) {
            line(at);
            begin = at;
            state = e->allocated;
        }
        at += e->length;
    }
    line(size);
    co_return size != 0;
}

Task<bool> info_command(Session& s, const Arguments&) {
    block::ImageInfo info = s.image->info();
    const Node& image = *block::skip_filters(s.image.node.get());
    say(fmt::format("format name: {}\ncluster size: {}\nvm state offset: {}\n", image.driver().name,
                    size_text(double(image.cluster_size())), size_text(double(block::qcow2::state_offset(image)))));
    if (const Json* data = info.specific.find("data"); data && data->members()) {
        say("Format specific information:\n");
        for (auto& [name, value] : *data->members()) {
            std::string label = name;
            std::ranges::replace(label, '-', ' ');
            say(fmt::format("    {}: {}\n", label, value.string() ? *value.string() : value.dump()));
        }
    }
    co_return true;
}

Task<bool> sleep_command(Session& s, const Arguments& a) {
    auto n = number(a.names()[0]);
    if (!n) co_return false;
    co_await s.tool.loop.sleep(std::chrono::milliseconds(*n));
    co_return true;
}

Task<bool> sigraise_command(Session&, const Arguments& a) {
    auto n = number(a.names()[0]);
    if (!n) co_return false;
    std::fflush(stdout);
    std::raise(int(*n));
    co_return true;
}

Task<bool> quit_command(Session& s, const Arguments&) {
    s.quit = true;
    co_return true;
}

Task<bool> help_command(Session&, const Arguments& a) {
    for (auto& c : commands()) {
        if (!a.names().empty() && c.name != a.names()[0] && c.other_name != a.names()[0]) continue;
        say(fmt::format("{}{}{} -- {}\n", c.name, c.usage.empty() ? "" : " ", c.usage, c.summary));
        if (!a.names().empty() && !c.flags.empty()) say(fmt::format("\n{}\n", c.flags));
        if (!a.names().empty()) co_return true;
    }
    if (a.names().empty())
        say("\nUse 'help commandname' for extended help.\n");
    else
        say(fmt::format("command {} not found\n", a.names()[0]));
    co_return a.names().empty();
}

// What `help COMMAND` says behind the line of the command.
constexpr std::string_view aio_read_flags =
    R"(Returns at once; errors and reports come when the request ends. aio_flush waits for all of them.
 -C  the report as numbers with commas between them
 -i  counted as a request that was refused
 -P  the byte that is expected everywhere
 -q  no report
 -v  prints what was read
Example: aio_read -v 512 1k 1k)";
constexpr std::string_view aio_write_flags =
    R"(Returns at once; errors and reports come when the request ends. aio_flush waits for all of them.
 -C  the report as numbers with commas between them
 -f  on stable storage when it ends
 -i  counted as a request that was refused
 -P  the byte that is written (0xcd)
 -q  no report
 -u  with -z: storage may be given back
 -z  writes zeros, as a request of that kind
Example: aio_write 512 1k 1k)";
constexpr std::string_view alloc_flags =
    R"(Says how many of the bytes this image itself holds; what shows through from a backing image does not count.)";
constexpr std::string_view discard_flags =
    R"(Tells the image that the bytes are not needed any more. They are kept unless it was opened with -d unmap.
 -C  the report as numbers with commas between them
 -q  no report
Example: discard 512 1k)";
constexpr std::string_view open_flags = R"(With -o and without a path the options say which image it is.
 -r  read-only
 -s  write to a temporary file in place of the image
 -C  what is read from a backing file is copied into the image
 -n  not through the host's cache, as -t none
 -U  although another process writes to it
 -k  the kernel's asynchronous requests
 -t  cache mode: none, writeback, writethrough, directsync or unsafe
 -d  discard mode: ignore or unmap
 -o  options of the driver
Example: open -n -o driver=raw /tmp/data)";
constexpr std::string_view read_flags = R"(Reads, compares and prints.
 -a  ignored
 -b  from the machine's state behind the disk, at an offset in that
 -C  the report as numbers with commas between them
 -l  with -P: how many bytes are compared
 -p  ignored
 -P  the byte that is expected everywhere; another one is an error
 -q  no report
 -s  with -P: where comparing begins, from the first byte that is read
 -v  prints what was read
Example: read -v 512 1k)";
constexpr std::string_view readv_flags = R"(As read, into a buffer for each length.
 -C  the report as numbers with commas between them
 -P  the byte that is expected everywhere
 -q  no report
 -v  prints what was read
Example: readv -v 512 1k 1k)";
constexpr std::string_view reopen_flags = R"( -r  read-only
 -w  for writing
 -c  cache mode: none, writeback, writethrough, directsync or unsafe)";
constexpr std::string_view truncate_flags = R"( -m  preallocation of what is new: off, metadata, falloc or full)";
constexpr std::string_view write_flags = R"(Writes the byte 0xcd, or as the options say.
 -b  to the machine's state behind the disk, at an offset in that
 -c  compressed, where the format can
 -C  the report as numbers with commas between them
 -f  on stable storage when it ends
 -n  with -z: only if that is cheaper than writing
 -p  ignored
 -P  another byte
 -q  no report
 -s  what a file holds, again and again
 -u  with -z: storage may be given back
 -z  zeros, as a request of that kind
Example: write -P 7 512 1k)";
constexpr std::string_view writev_flags = R"(As write, from a buffer for each length.
 -C  the report as numbers with commas between them
 -f  on stable storage when it ends
 -P  another byte than 0xcd
 -q  no report
Example: writev 512 1k 1k)";

constexpr int any = INT_MAX;
constexpr Command all[] = {
    {"aio_flush", "", 0, 0, 0, true, "", "", "completes all outstanding aio requests", aio_flush_command},
    {"aio_read", "", 2, -1, any, true, "CiP:qv", "[-Ciqv] [-P pattern] off len [len..]",
     "asynchronously reads a number of bytes", aio_read_command, aio_read_flags},
    {"aio_write", "", 2, -1, any, true, "CfiP:quz", "[-Cfiquz] [-P pattern] off len [len..]",
     "asynchronously writes a number of bytes", aio_write_command, aio_write_flags},
    {"alloc", "", 1, 2, 2, true, "", "offset [count]", "checks if offset is allocated in the file", alloc_command,
     alloc_flags},
    {"close", "c", 0, 0, 0, true, "", "", "close the current open file", close_command},
    {"discard", "d", 2, -1, 2, true, "Cq", "[-Cq] off len", "discards a number of bytes at a specified offset",
     discard_command, discard_flags},
    {"flush", "f", 0, 0, 0, true, "", "", "flush all in-core file state to disk", flush_command},
    {"help", "?", 0, 1, 1, false, "", "[command]", "help for one or all commands", help_command},
    {"info", "i", 0, 0, 0, true, "", "", "prints information about the current file", info_command},
    {"length", "l", 0, 0, 0, true, "", "", "gets the length of the current file", length_command},
    {"map", "", 0, 0, 0, true, "", "", "prints the allocated areas of a file", map_command},
    {"open", "o", 0, -1, 1, false, "rsCnkUt:d:o:", "[-rsCnkU] [-t cache] [-d discard] [-o options] [path]",
     "open the file specified by path", open_command, open_flags},
    {"quit", "q", 0, 0, 0, false, "", "", "exit the program", quit_command},
    {"read", "r", 2, -1, 2, true, "abCl:pP:qs:v", "[-abCqv] [-P pattern [-s off] [-l len]] off len",
     "reads a number of bytes at a specified offset", read_command, read_flags},
    {"readv", "rv", 2, -1, any, true, "CP:qv", "[-Cqv] [-P pattern] off len [len..]",
     "reads a number of bytes at a specified offset", readv_command, readv_flags},
    {"reopen", "", 0, -1, 0, true, "rwc:o:", "[(-r|-w)] [-c cache]", "reopens an image with new options",
     reopen_command, reopen_flags},
    {"sigraise", "", 1, 1, 1, false, "", "signal", "raises a signal", sigraise_command},
    {"sleep", "", 1, 1, 1, false, "", "milliseconds", "waits for the given value in milliseconds", sleep_command},
    {"truncate", "t", 1, 3, 1, true, "m:", "[-m prealloc_mode] off", "truncates the current file at the given offset",
     truncate_command, truncate_flags},
    {"write", "w", 2, -1, 2, true, "bcCfnpP:qs:uz", "[-bcCfnquz] [-P pattern | -s source_file] off len",
     "writes a number of bytes at a specified offset", write_command, write_flags},
    {"writev", "wv", 2, -1, any, true, "CfqP:", "[-Cfq] [-P pattern] off len [len..]",
     "writes a number of bytes at a specified offset", writev_command, writev_flags},
};

} // namespace

std::span<const Command> commands() { return all; }

void say(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

std::optional<u64> number(const std::string& text) {
    if (auto n = block::parse_size(text)) return *n;
    say(fmt::format("Parsing error: non-numeric argument, or extraneous/unrecognized suffix -- {}\n", text));
    return std::nullopt;
}

std::string size_text(double bytes) {
    static constexpr std::string_view units[] = {"EiB", "PiB", "TiB", "GiB", "MiB", "KiB"};
    double unit = double(u64(1) << 60);
    std::string text;
    std::string_view name = "bytes";
    for (auto& u : units) {
        if (bytes >= unit) {
            text = fmt::format("{:.3f}", bytes / unit);
            name = u;
            break;
        }
        unit /= 1024;
    }
    if (text.empty()) text = fmt::format("{:f}", bytes);
    size_t dot = text.find('.');
    if (text.find_first_not_of('0', dot + 1) == std::string::npos) text.resize(dot);
    return fmt::format("{} {}", text, name);
}

std::string error_text(const Error& error) {
    if (error.host_errno()) return std::strerror(error.host_errno());
    switch (error.kind()) {
    case ErrorKind::invalid_argument: return std::strerror(EINVAL);
    case ErrorKind::permission: return std::strerror(EPERM);
    case ErrorKind::unsupported: return std::strerror(EOPNOTSUPP);
    case ErrorKind::no_space: return std::strerror(ENOSPC);
    case ErrorKind::io:
    case ErrorKind::corrupt:
    case ErrorKind::disconnected: return std::strerror(EIO);
    default: return error.message();
    }
}

Task<bool> Session::open(std::string file, Tool::Open with) {
    image = co_await tool.open(file, with);
    name = std::move(file);
    how = std::move(with);
    co_return bool(image);
}

Task<bool> Session::close() {
    co_await background.drain();
    co_return co_await tool.close(image);
}

Task<bool> Session::run(const std::string& line) {
    std::istringstream in(line);
    std::vector<std::string> words{std::istream_iterator<std::string>(in), {}};
    if (words.empty()) co_return true;
    auto c = std::ranges::find_if(
        commands(), [&](auto& x) { return x.name == words[0] || (!x.other_name.empty() && x.other_name == words[0]); });
    if (c == commands().end()) {
        std::fprintf(stderr, "command \"%s\" not found\n", words[0].c_str());
        co_return false;
    }
    if (c->needs_file && !image) {
        std::fputs("no file open, try 'help open'\n", stderr);
        co_return false;
    }
    // Options count among the arguments here; the operands that are left are looked at below.
    int count = int(words.size()) - 1;
    if (count < c->fewest || (c->most >= 0 && count > c->most)) {
        std::string expected = c->most < 0            ? fmt::format("at least {} arguments", c->fewest)
                               : c->fewest == c->most ? fmt::format("{} arguments", c->fewest)
                                                      : fmt::format("between {} and {} arguments", c->fewest, c->most);
        std::fprintf(stderr, "bad argument count %d to %s, expected %s\n", count, words[0].c_str(), expected.c_str());
        co_return false;
    }
    std::vector<std::string_view> views(words.begin() + 1, words.end());
    Arguments arguments(views, c->letters, {});
    if (!arguments.error().empty()) std::fprintf(stderr, "%s: %s\n", words[0].c_str(), arguments.error().c_str());
    auto operands = int(arguments.names().size());
    if (!arguments.error().empty() || operands < c->fewest || operands > c->operands) {
        say(fmt::format("{} {} -- {}\n", c->name, c->usage, c->summary));
        co_return false;
    }
    bool ok = co_await c->run(*this, arguments);
    std::fflush(stdout);
    co_return ok;
}

} // namespace mimic::io_tool
