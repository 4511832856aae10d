// What is asked of a user network (-netdev user) while it works. Errors: the network is of another kind.
#pragma once
#include "net/net.hpp"

namespace mimic::net {

// "[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport", as its option hostfwd has it.
Result<void> add_forward(BackEnd& net, const std::string& rule);
// "[tcp|udp]:[hostaddr]:hostport". Errors: not_found.
Result<void> remove_forward(BackEnd& net, const std::string& rule);
// Its connections, one a line, for people to read.
Result<std::string> connections(BackEnd& net);

} // namespace mimic::net
