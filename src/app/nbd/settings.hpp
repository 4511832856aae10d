// What the command line of `mimic nbd` says, and the parts of the program.
#pragma once
#include "app/tool/tool.hpp"
#include "block/nbd/transport.hpp"

namespace mimic::nbd {

using io::Task;
using tool::Arguments;
using tool::Tool;

struct Settings {
    std::string file;
    // Where to listen, or with `list` to connect to.
    std::string socket_path, bind, port;
    bool socket_activated = false;
    unsigned shared = 1; // connections at once, 0: any number
    bool persistent = false, verbose = false, list = false, fork = false;
    std::string export_name, description, pid_file;
    bool has_export_name = false;
    u64 offset = 0;
    bool allocation_depth = false;
    std::vector<std::string> bitmaps;
    bool read_only = false, snapshot = false;
    std::string load_snapshot, aio, detect_zeroes;
    block::DiscardMode discard = block::DiscardMode::ignore;
    block::nbd::Security security;

    io::SocketAddress address() const;
};

// Serves until all is over. `ready` is called once clients can connect; false ends it.
Task<int> serve(Tool& tool, const Settings& settings, const std::function<bool()>& ready);
// Prints what the server at the address exports.
Task<int> list_exports(Tool& tool, const Settings& settings);

} // namespace mimic::nbd
