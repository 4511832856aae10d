// Layer: what lies between a stream's descriptor and its front end (telnet, WebSocket, TLS). It does no I/O: bytes go in and come
// out, and what it wants to say to the peer itself is appended to what goes out. On the loop's thread.
#pragma once
#include "base/result.hpp"
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace mimic::tls {
class Authorization;
class Credentials;
} // namespace mimic::tls

namespace mimic::chardev {

using Bytes = std::vector<u8>;

class Layer {
public:
    virtual ~Layer() = default;
    // What is said before anything has come.
    virtual void start(Bytes& /*out*/) {}
    // From the peer. What is for the front end is appended to `in`. Errors: the connection ends, once `out` has gone.
    virtual Result<void> receive(std::span<const u8> bytes, Bytes& in, Bytes& out) = 0;
    // From the front end; only while ready().
    virtual void send(std::span<const u8> bytes, Bytes& out) = 0;
    // Good-bye.
    virtual void finish(Bytes& /*out*/) {}
    // False: the two have not agreed yet, and nobody is there for the front end.
    virtual bool ready() const { return true; }
    // Breaks on the line since the last call.
    virtual u32 take_breaks() { return 0; }
};

// RFC 854 and 855, with the options echo, suppress go ahead and binary.
std::unique_ptr<Layer> make_telnet();
// RFC 6455, the server.
std::unique_ptr<Layer> make_websocket();
// `clients`: of a server, whom it lets in; null: all that the credentials vouch for. `host`: of a client, whose certificate the
// server's must be.
Result<std::unique_ptr<Layer>> make_tls(std::shared_ptr<tls::Credentials> credentials,
                                        std::shared_ptr<tls::Authorization> clients, std::string host);
// `upper` speaks through `lower`.
std::unique_ptr<Layer> stack(std::unique_ptr<Layer> lower, std::unique_ptr<Layer> upper);

} // namespace mimic::chardev
