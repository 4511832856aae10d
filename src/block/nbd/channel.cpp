#include "block/nbd/channel.hpp"
#include "block/nbd/tls.hpp"
#include <algorithm>
#include <cstring>

namespace mimic::block::nbd {

namespace {

class SocketTransport final : public Transport {
public:
    explicit SocketTransport(std::unique_ptr<io::Socket> socket) : socket_(std::move(socket)) {}
    Task<Result<size_t>> receive(void* data, size_t length) override { return socket_->receive(data, length); }
    Task<Result<void>> send(std::span<iovec> vectors) override { return socket_->send(vectors); }
    void shut() override { socket_->shut(); }

private:
    std::unique_ptr<io::Socket> socket_;
};

// Messages and bytes of one send: enough that a call's cost vanishes, and replies don't wait long for each other.
constexpr size_t most_messages = 64;
constexpr u64 most_bytes = 1u << 20;

Error disconnected() { return Error::make(ErrorKind::disconnected, "the peer has closed the connection"); }

} // namespace

std::unique_ptr<Transport> make_transport(std::unique_ptr<io::Socket> socket) {
    return std::make_unique<SocketTransport>(std::move(socket));
}

Channel::Channel(io::Loop& loop, std::unique_ptr<Transport> transport)
    : loop_(loop)
    , transport_(std::move(transport))
    , in_(buffer_size)
    , progress_(loop) {}

Channel::~Channel() { MIMIC_CHECK(!pumping_, "a Channel ends after close()"); }

Task<Result<void>> Channel::need(size_t n) {
    MIMIC_CHECK(n <= buffer_size, "what is needed fits the buffer");
    if (begin_ == end_) begin_ = end_ = 0;
    while (buffered() < n) {
        if (begin_ + n > buffer_size) {
            std::memmove(in_.data(), data(), buffered());
            end_ -= begin_;
            begin_ = 0;
        }
        CO_TRY(size_t got, co_await transport_->receive(&in_[end_], buffer_size - end_));
        if (got == 0) co_return disconnected();
        end_ += got;
    }
    co_return Result<void>();
}

Task<Result<void>> Channel::read(const IoVec& memory) {
    u64 done = std::min<u64>(buffered(), memory.length());
    memory.copy_from(0, data(), done);
    consume(done);
    while (done < memory.length()) {
        IoVec rest = memory.slice(done, memory.length() - done);
        const iovec& piece = rest.pieces()[0];
        // A short rest comes with whatever follows it.
        if (rest.length() < buffer_size / 4) {
            CO_CHECK(co_await need(rest.length()));
            rest.copy_from(0, data(), rest.length());
            consume(rest.length());
            break;
        }
        CO_TRY(size_t got, co_await transport_->receive(piece.iov_base, piece.iov_len));
        if (got == 0) co_return disconnected();
        done += got;
    }
    co_return Result<void>();
}

Task<Result<std::vector<u8>>> Channel::read_bytes(size_t n) {
    std::vector<u8> bytes(n);
    IoVec memory{std::span<u8>(bytes)};
    CO_CHECK(co_await read(memory));
    co_return std::move(bytes);
}

Task<Result<void>> Channel::skip(u64 n) {
    while (n) {
        CO_CHECK(co_await need(1));
        u64 step = std::min<u64>(n, buffered());
        consume(step);
        n -= step;
    }
    co_return Result<void>();
}

u64 Channel::queue(Message message) {
    out_.push_back(std::move(message));
    if (!pumping_) {
        pumping_ = true;
        pump();
    }
    return ++queued_;
}

u64 Channel::queue(std::span<const u8> bytes) {
    Message m;
    if (bytes.size() <= m.head.size()) {
        std::memcpy(m.head.data(), bytes.data(), bytes.size());
        m.head_length = u32(bytes.size());
        return queue(std::move(m));
    }
    auto owner = Buffer::create(bytes.size());
    if (!owner) {
        if (!failed_) failed_ = owner.error();
        return queue(std::move(m));
    }
    std::memcpy(owner->data(), bytes.data(), bytes.size());
    m.owner = std::move(*owner);
    m.body = m.owner.vec();
    return queue(std::move(m));
}

// Sends from the loop: what the same turn has finished goes together.
io::Detached Channel::pump() {
    co_await loop_.yield();
    while (!out_.empty()) {
        Result<void> r = co_await send_some();
        if (!r && !failed_) {
            failed_ = r.error();
            transport_->shut();
        }
        progress_.wake_all();
    }
    pumping_ = false;
    progress_.wake_all();
}

Task<Result<void>> Channel::send_some() {
    std::array<iovec, 2 * most_messages> vectors;
    size_t count = 0, messages = 0;
    u64 bytes = 0;
    std::vector<iovec> long_list;
    for (auto& m : out_) {
        auto pieces = m.body.pieces();
        if (pieces.size() > 1 || messages == most_messages || bytes >= most_bytes) {
            if (messages) break;
            long_list.push_back({m.head.data(), m.head_length});
            long_list.insert(long_list.end(), pieces.begin(), pieces.end());
            messages = 1;
            break;
        }
        vectors[count++] = {m.head.data(), m.head_length};
        if (!pieces.empty()) vectors[count++] = pieces[0];
        bytes += m.head_length + m.body.length();
        messages++;
    }
    Result<void> r;
    if (!failed_) {
        std::span<iovec> all(vectors.data(), count);
        if (!long_list.empty()) all = long_list;
        r = co_await transport_->send(all);
    }
    for (size_t i = 0; i < messages; i++) {
        u64 charge = out_.front().charge;
        out_.pop_front();
        done_++;
        if (charge && on_sent) on_sent(charge);
    }
    co_return r;
}

Task<Result<void>> Channel::flush() {
    u64 wanted = queued_;
    while (done_ < wanted) co_await progress_.wait();
    if (failed_) co_return *failed_;
    co_return Result<void>();
}

Task<Result<void>> Channel::secure(Security security) {
    CO_CHECK(co_await flush());
    // Such bytes would count as if they had come over TLS.
    if (buffered()) co_return Error::invalid_argument("the peer sent {} bytes ahead of TLS", buffered());
    CO_TRY(auto tls, TlsTransport::create(loop_, security));
    TlsTransport& above = *tls;
    auto below = std::exchange(transport_, std::move(tls));
    co_return co_await above.start(std::move(below));
}

Task<void> Channel::finish() {
    Result<void> sent = co_await flush();
    if (sent)
        co_await transport_->finish();
    else
        std::move(sent).ignore();
}

Task<void> Channel::close() {
    transport_->shut();
    while (pumping_) co_await progress_.wait();
}

} // namespace mimic::block::nbd
