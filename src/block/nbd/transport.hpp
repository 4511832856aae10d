// Transport: an ordered stream of bytes to a peer.
#pragma once
#include "base/io/socket.hpp"

namespace mimic::tls {
class Authorization;
class Credentials;
} // namespace mimic::tls

namespace mimic::block::nbd {

using io::Task;

class Transport {
public:
    virtual ~Transport() = default;
    // At least one byte, or 0 at the end of the stream.
    virtual Task<Result<size_t>> receive(void* data, size_t length) = 0;
    virtual Task<Result<void>> send(std::span<iovec> vectors) = 0;
    // Says that no more is sent, where the stream has words for that.
    virtual Task<void> finish() { co_return; }
    // Ends both directions; whoever waits gets the end or an error.
    virtual void shut() = 0;
    // Whom TLS has found at the other end (a distinguished name); empty: nobody in particular.
    virtual std::string peer() const { return {}; }
};

std::unique_ptr<Transport> make_transport(std::unique_ptr<io::Socket> socket);

// Whom TLS lets in: the credentials; of a server, which of the clients that they vouch for (null: all); of a client, the name
// that the server's certificate must have (empty: any).
struct Security {
    std::shared_ptr<tls::Credentials> credentials;
    std::shared_ptr<tls::Authorization> clients = nullptr;
    std::string host;
    explicit operator bool() const { return bool(credentials); }
};

} // namespace mimic::block::nbd
