// Channel: buffers over a transport, so that many small messages cost few calls.
#pragma once
#include "base/io/buffer.hpp"
#include "base/io/sync.hpp"
#include "block/nbd/transport.hpp"
#include <array>
#include <deque>
#include <functional>

namespace mimic::block::nbd {

using io::Buffer;
using io::IoVec;

class Channel {
public:
    Channel(io::Loop& loop, std::unique_ptr<Transport> transport);
    // Nothing may be under way: see close().
    ~Channel();

    // Until `n` bytes (at most buffer_size) are at data(). Errors: disconnected when the stream ends before.
    Task<Result<void>> need(size_t n);
    const u8* data() const { return &in_[begin_]; }
    size_t buffered() const { return end_ - begin_; }
    void consume(size_t n) { begin_ += n; }
    // Exactly the memory's length, past the buffer where that saves copying.
    Task<Result<void>> read(const IoVec& memory);
    Task<Result<std::vector<u8>>> read_bytes(size_t n);
    Task<Result<void>> skip(u64 n);

    // A header and a body. The body's memory is `owner`'s, or the sender's until the message is sent().
    struct Message {
        std::array<u8, 64> head{};
        u32 head_length = 0;
        IoVec body;
        Buffer owner;
        Buffer keep;    // more memory that goes with it
        u64 charge = 0; // what on_sent gets
    };
    // Sends it behind all others, from the loop. Gives its number.
    u64 queue(Message message);
    u64 queue(std::span<const u8> bytes);
    // The number of messages that are sent or lost.
    u64 done() const { return done_; }
    // Woken when done() grows.
    io::WaitList& progress() { return progress_; }
    Task<Result<void>> flush();
    // Why sending failed, if it did; the messages behind are dropped.
    const std::optional<Error>& failed() const { return failed_; }
    std::function<void(u64)> on_sent;

    // Goes on over TLS, once all that was queued is sent. Errors: why not, or the peer has said more than it may before.
    Task<Result<void>> secure(Security security);

    std::string peer() const { return transport_->peer(); }
    void shut() { transport_->shut(); }
    // Once all that was queued is sent, says that no more comes.
    Task<void> finish();
    // Shuts the transport and waits for the sender.
    Task<void> close();
    static constexpr size_t buffer_size = 64u << 10;

private:
    io::Detached pump();
    Task<Result<void>> send_some();

    io::Loop& loop_;
    std::unique_ptr<Transport> transport_;
    std::vector<u8> in_;
    size_t begin_ = 0, end_ = 0;
    std::deque<Message> out_;
    u64 queued_ = 0, done_ = 0;
    bool pumping_ = false;
    std::optional<Error> failed_;
    io::WaitList progress_;
};

} // namespace mimic::block::nbd
