// TLS under whatever is spoken: crypto's sessions as a layer; and layers on top of each other.
#include "crypto/tls.hpp"
#include "chardev/layers/layer.hpp"
#include "crypto/authz.hpp"

namespace mimic::chardev {

namespace {

using State = tls::Session::State;

class Tls final : public Layer {
public:
    Tls(std::shared_ptr<tls::Credentials> credentials, std::shared_ptr<tls::Authorization> clients,
        std::unique_ptr<tls::Session> session)
        : credentials_(std::move(credentials))
        , clients_(std::move(clients))
        , session_(std::move(session)) {}

    void start(Bytes& out) override {
        if (credentials_->endpoint() != tls::Endpoint::client) return;
        shake_hands().ignore(); // the client begins; nothing can fail before an answer
        flush(out);
    }
    Result<void> receive(std::span<const u8> bytes, Bytes& in, Bytes& out) override {
        session_->put(bytes);
        Result<void> r = ready_ ? Result<void>() : shake_hands();
        if (r && ready_) r = read(in);
        flush(out); // the alert that says why, too
        return r;
    }
    void send(std::span<const u8> bytes, Bytes& out) override {
        while (!bytes.empty()) {
            size_t took = 0;
            if (session_->write(bytes, took) != State::done) break; // the reader is told, too
            bytes = bytes.subspan(took);
        }
        flush(out);
    }
    void finish(Bytes& out) override {
        if (!ready_) return;
        session_->finish();
        flush(out);
    }
    bool ready() const override { return ready_; }

private:
    Result<void> shake_hands() {
        State state = session_->handshake();
        if (state == State::wants_input) return {};
        if (state != State::done) return Error::make(ErrorKind::disconnected, "TLS: {}", session_->error());
        if (clients_) {
            bool allowed = TRY(clients_->allows(session_->peer()));
            if (!allowed) return Error::permission("TLS: '{}' is not let in", session_->peer());
        }
        ready_ = true;
        return {};
    }
    Result<void> read(Bytes& in) {
        for (;;) {
            constexpr size_t record = 16 << 10;
            const size_t before = in.size();
            in.resize(before + record);
            size_t got = 0;
            State state = session_->read(std::span(in).subspan(before), got);
            in.resize(before + (state == State::done ? got : 0));
            if (state == State::wants_input) return {};
            if (state == State::ended) return Error::make(ErrorKind::disconnected, "TLS: the peer said good-bye");
            if (state == State::failed) return Error::make(ErrorKind::disconnected, "TLS: {}", session_->error());
        }
    }
    void flush(Bytes& out) {
        std::span<const u8> pending = session_->pending();
        out.insert(out.end(), pending.begin(), pending.end());
        session_->sent(pending.size());
    }

    std::shared_ptr<tls::Credentials> credentials_; // the session uses them
    std::shared_ptr<tls::Authorization> clients_;
    std::unique_ptr<tls::Session> session_;
    bool ready_ = false;
};

class Stack final : public Layer {
public:
    Stack(std::unique_ptr<Layer> lower, std::unique_ptr<Layer> upper)
        : lower_(std::move(lower))
        , upper_(std::move(upper)) {}

    void start(Bytes& out) override {
        lower_->start(out);
        start_upper(out);
    }
    Result<void> receive(std::span<const u8> bytes, Bytes& in, Bytes& out) override {
        Bytes plain, answer;
        Result<void> below = lower_->receive(bytes, plain, out);
        start_upper(out);
        Result<void> above = plain.empty() ? Result<void>() : upper_->receive(plain, in, answer);
        if (!answer.empty()) lower_->send(answer, out);
        return below ? above : below;
    }
    void send(std::span<const u8> bytes, Bytes& out) override {
        Bytes plain;
        upper_->send(bytes, plain);
        lower_->send(plain, out);
    }
    void finish(Bytes& out) override {
        Bytes plain;
        if (started_) upper_->finish(plain);
        if (!plain.empty()) lower_->send(plain, out);
        lower_->finish(out);
    }
    bool ready() const override { return lower_->ready() && upper_->ready(); }
    u32 take_breaks() override { return upper_->take_breaks(); }

private:
    void start_upper(Bytes& out) {
        if (started_ || !lower_->ready()) return;
        started_ = true;
        Bytes plain;
        upper_->start(plain);
        if (!plain.empty()) lower_->send(plain, out);
    }

    std::unique_ptr<Layer> lower_, upper_;
    bool started_ = false;
};

} // namespace

Result<std::unique_ptr<Layer>> make_tls(std::shared_ptr<tls::Credentials> credentials,
                                        std::shared_ptr<tls::Authorization> clients, std::string host) {
    std::string error;
    auto session = credentials->session(host, error);
    if (!session) return Error::out_of_memory("{}", error);
    return std::unique_ptr<Layer>(
        std::make_unique<Tls>(std::move(credentials), std::move(clients), std::move(session)));
}

std::unique_ptr<Layer> stack(std::unique_ptr<Layer> lower, std::unique_ptr<Layer> upper) {
    return std::make_unique<Stack>(std::move(lower), std::move(upper));
}

} // namespace mimic::chardev
