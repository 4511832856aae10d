// Other machines by datagrams: what `dgram` and the datagram half of `socket` make.
#pragma once
#include "net/backends/backends.hpp"

namespace mimic::net {

struct DatagramSettings {
    std::string_view kind;
    std::optional<io::SocketAddress> local, remote;
    std::string info;
    bool group = false; // the remote address must be a multicast group's
    // The names of the options that the two came from.
    std::string_view local_option = "local", remote_option = "remote";
};
Result<std::unique_ptr<BackEnd>> make_dgram(Context& context, const std::string& id, DatagramSettings settings);

} // namespace mimic::net
