// Another machine at the other end of a stream: what `stream` and the stream half of `socket` make.
#pragma once
#include "net/backends/backends.hpp"

namespace mimic::net {

struct StreamSettings {
    std::string_view kind;
    io::SocketAddress address;
    bool server = false;
    u64 reconnect_ms = 0; // of a client; 0: it gives up
};
Result<std::unique_ptr<BackEnd>> make_stream(Context& context, const std::string& id, StreamSettings settings);

} // namespace mimic::net
