// Where an NBD export is, as file names say it (NetworkBlockDevice/nbd, doc/uri.md):
//
//   nbd://host:port/export   nbd+unix:///export?socket=/path
//   nbds://... and nbds+unix://... with TLS
//   nbd:host:port[:exportname=name]   nbd:unix:/path[:exportname=name]
#pragma once
#include "base/io/socket.hpp"
#include <string_view>

namespace mimic::block::nbd {

struct Location {
    io::SocketAddress address;
    std::string export_name;
    bool needs_tls = false;
};
constexpr std::string_view default_port = "10809";
// Errors say what was expected.
Result<Location> parse_location(std::string_view name);
// The first form, or the second; without what TLS needs beside the name.
std::string uri_of(const Location& where);

} // namespace mimic::block::nbd
