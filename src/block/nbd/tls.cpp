#include "block/nbd/tls.hpp"

namespace mimic::block::nbd {

namespace {

using State = tls::Session::State;

// Records are made until there are so many bytes of them, then sent.
constexpr size_t most_pending = 256u << 10;

} // namespace

Result<std::unique_ptr<TlsTransport>> TlsTransport::create(io::Loop& loop, const Security& security) {
    std::string error;
    auto session = security.credentials->session(security.host, error);
    if (!session) return Error::out_of_memory("{}", error);
    return std::unique_ptr<TlsTransport>(new TlsTransport(loop, security.credentials, std::move(session)));
}

Task<Result<void>> TlsTransport::start(std::unique_ptr<Transport> below) {
    below_ = std::move(below);
    for (;;) {
        State state = session_->handshake();
        // The alert that says why goes out, too.
        Result<void> sent = co_await flush();
        if (state == State::failed) co_return failure();
        CO_CHECK(std::move(sent));
        if (state == State::done) co_return Result<void>();
        CO_CHECK(co_await more());
    }
}

Task<Result<size_t>> TlsTransport::receive(void* data, size_t length) {
    for (;;) {
        size_t got = 0;
        State state = session_->read({static_cast<u8*>(data), length}, got);
        // Reading answers what the protocol asks of us (new keys).
        if (!session_->pending().empty()) CO_CHECK(co_await flush());
        if (state == State::done) co_return got;
        if (state == State::ended) co_return size_t(0);
        if (state == State::failed) co_return failure();
        CO_CHECK(co_await more());
    }
}

Task<Result<void>> TlsTransport::send(std::span<iovec> vectors) {
    for (const iovec& v : vectors) {
        std::span<const u8> rest(static_cast<const u8*>(v.iov_base), v.iov_len);
        while (!rest.empty()) {
            size_t took = 0;
            if (session_->write(rest, took) != State::done) co_return failure();
            rest = rest.subspan(took);
            if (session_->pending().size() >= most_pending) CO_CHECK(co_await flush());
        }
    }
    co_return co_await flush();
}

Task<void> TlsTransport::finish() {
    session_->finish();
    Result<void> sent = co_await flush();
    std::move(sent).ignore(); // a peer that has gone needs no good-bye
}

Task<Result<void>> TlsTransport::more() {
    CO_TRY(size_t got, co_await below_->receive(in_.data(), in_.size()));
    if (got == 0)
        session_->put_end();
    else
        session_->put({in_.data(), got});
    co_return Result<void>();
}

Task<Result<void>> TlsTransport::flush() {
    auto lock = co_await sending_.lock();
    while (!session_->pending().empty()) {
        // Others may add to the session's buffer meanwhile and move it.
        std::vector<u8> bytes(session_->pending().begin(), session_->pending().end());
        session_->sent(bytes.size());
        std::array<iovec, 1> all{iovec{bytes.data(), bytes.size()}};
        CO_CHECK(co_await below_->send(all));
    }
    co_return Result<void>();
}

} // namespace mimic::block::nbd
