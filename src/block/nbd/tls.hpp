// TLS between a channel and its socket.
#pragma once
#include "base/io/sync.hpp"
#include "block/nbd/transport.hpp"
#include "crypto/tls.hpp"
#include <array>

namespace mimic::block::nbd {

class TlsTransport final : public Transport {
public:
    // Errors: no memory.
    static Result<std::unique_ptr<TlsTransport>> create(io::Loop& loop, const Security& security);
    // Takes the stream over and agrees with the peer. Errors: why it failed.
    Task<Result<void>> start(std::unique_ptr<Transport> below);

    Task<Result<size_t>> receive(void* data, size_t length) override;
    Task<Result<void>> send(std::span<iovec> vectors) override;
    // close_notify (RFC 8446, section 6.1): the peer can tell the end from a connection that was cut.
    Task<void> finish() override;
    void shut() override { below_->shut(); }
    std::string peer() const override { return session_->peer(); }

private:
    TlsTransport(io::Loop& loop, std::shared_ptr<tls::Credentials> credentials, std::unique_ptr<tls::Session> session)
        : credentials_(std::move(credentials))
        , session_(std::move(session))
        , sending_(loop) {}
    Error failure() const { return Error::make(ErrorKind::disconnected, "{}", session_->error()); }
    Task<Result<void>> more();
    Task<Result<void>> flush();

    std::unique_ptr<Transport> below_;
    std::shared_ptr<tls::Credentials> credentials_; // the session uses them
    std::unique_ptr<tls::Session> session_;
    io::Mutex sending_;
    std::array<u8, 32u << 10> in_;
};

} // namespace mimic::block::nbd
