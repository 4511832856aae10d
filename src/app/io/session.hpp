// An open image and the commands that work on it.
#pragma once
#include "app/tool/tool.hpp"
#include "base/io/scope.hpp"

namespace mimic::io_tool {

using block::Node;
using io::Buffer;
using io::IoVec;
using io::Task;
using tool::Arguments;
using tool::Tool;

using Words = std::vector<std::string>;

struct Session {
    explicit Session(Tool& t) : tool(t), background(t.loop) {}

    Tool& tool;
    Tool::Image image;
    Tool::Open how; // as it was opened
    std::string name;
    io::Scope background; // aio_read and aio_write
    bool quit = false;

    Task<bool> open(std::string file, Tool::Open with);
    Task<bool> close();
    // One line. False if it failed.
    Task<bool> run(const std::string& line);
};

struct Command {
    std::string_view name, other_name;
    int fewest, most; // words after the name; most < 0: any number
    int operands;     // of them, those that are no options: at most
    bool needs_file;
    std::string_view letters; // options, as getopt has them
    std::string_view usage, summary;
    Task<bool> (*run)(Session&, const Arguments&);
    std::string_view flags = {}; // what its options do, a line each, and an example
};
std::span<const Command> commands();

// The commands of transfer.cpp.
Task<bool> read_command(Session&, const Arguments&);
Task<bool> readv_command(Session&, const Arguments&);
Task<bool> write_command(Session&, const Arguments&);
Task<bool> writev_command(Session&, const Arguments&);
Task<bool> aio_read_command(Session&, const Arguments&);
Task<bool> aio_write_command(Session&, const Arguments&);
Task<bool> discard_command(Session&, const Arguments&);

// What a number of the command line says, or nothing after a message.
std::optional<u64> number(const std::string& text);
// "64 KiB", "1.500 KiB", "512 bytes".
std::string size_text(double bytes);
// The text of an error that scripts look for: that of the error number.
std::string error_text(const Error& error);
void say(const std::string& text);

} // namespace mimic::io_tool
