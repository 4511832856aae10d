// The kinds of host networks: how each is opened. An opener takes its options out of the list; errors name the option.
#pragma once
#include "net/net.hpp"

namespace mimic::net {

using Opener = Result<std::unique_ptr<BackEnd>>(Context&, const std::string& id, Options&);

Opener open_user;    // a small network of its own behind NAT, by libslirp, which is opened there and nowhere else
Opener open_socket;  // the older options of the next two
Opener open_stream;  // another machine, over a stream of frames with their lengths
Opener open_dgram;   // another machine or several, a datagram a frame
Opener open_tap;     // an interface of the host
Opener open_hubport; // a port of a hub, with others on one wire

} // namespace mimic::net
