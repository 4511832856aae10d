#include "chardev/stream.hpp"
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace mimic::chardev {

namespace {
constexpr std::chrono::milliseconds gather{2};
constexpr size_t most_written = 4096, largest_datagram = 65536;
} // namespace

Stream::Stream(io::Loop& loop, std::string id)
    : Chardev(std::move(id))
    , loop_(loop)
    , tasks_(loop)
    , ends_(loop)
    , room_(loop)
    , output_(loop)
    , flushed_(loop) {}

Stream::~Stream() {
    *alive_ = false;
    drain();
    disconnect();
}

void Stream::attach(FrontEnd* front) {
    Chardev::attach(front);
    room_.wake_all();
}

// Any thread. The loop is told once for what gathers until it comes.
u32 Stream::write(std::span<const u8> bytes) {
    std::lock_guard lock(mutex_);
    if (out_ < 0 || !talking_) return u32(bytes.size()); // nobody listens
    u32 n = u32(std::min<size_t>(bytes.size(), max_buffered - buffer_.size()));
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.begin() + n);
    full_ |= n < bytes.size();
    if (!posted_ && n) {
        posted_ = true;
        loop_.call([this, alive = alive_] {
            if (*alive) output_.wake_all();
        });
    }
    return n;
}

void Stream::accept_input() {
    loop_.call([this, alive = alive_] {
        if (*alive) room_.wake_all();
    });
}

void Stream::connect(int in, int out, StreamWire wire) {
    in_ = in;
    layer_ = std::move(wire.layer);
    datagrams_ = wire.datagrams;
    refused_ = false;
    pending_.clear();
    raw_.clear();
    const bool at_once = !layer_ || layer_->ready();
    {
        std::lock_guard lock(mutex_);
        out_ = out;
        talking_ = at_once;
    }
    if (layer_) layer_->start(raw_);
    if (in >= 0) {
        in_watch_ = std::make_shared<io::Watch>(loop_, in);
        tasks_.spawn(read_loop());
    }
    if (out >= 0) {
        out_watch_ = in == out ? in_watch_ : std::make_shared<io::Watch>(loop_, out);
        tasks_.spawn(write_loop());
    }
    if (at_once) came();
}

void Stream::give_up() {
    in_ = -1;
    {
        std::lock_guard lock(mutex_);
        out_ = -1;
        buffer_.clear();
        posted_ = false;
        talking_ = false;
    }
    if (in_watch_) in_watch_->cancel();
    if (out_watch_) out_watch_->cancel();
    room_.wake_all();
    output_.wake_all();
    flushed_.wake_all();
}

io::Task<void> Stream::stop() {
    give_up();
    co_await tasks_.drain();
    in_watch_.reset();
    out_watch_.reset();
    // Who waits for room has it: what is written from now on is lost.
    bool was_full = false;
    {
        std::lock_guard lock(mutex_);
        was_full = std::exchange(full_, false);
    }
    if (was_full && front()) front()->writable();
}

void Stream::disconnect() {
    give_up();
    if (tasks_.running() || ends_.running())
        loop_.run_until([this] { return tasks_.running() == 0 && ends_.running() == 0; });
    in_watch_.reset();
    out_watch_.reset();
}

void Stream::say_goodbye() {
    if (!layer_ || out_ < 0) return;
    drain();
    layer_->finish(raw_);
    flush_some();
}

// What waits goes to the front end as far as it has room. False: some is left.
bool Stream::hand_in() {
    while (!pending_.empty()) {
        size_t n = front() ? std::min<size_t>(front()->room(), pending_.size()) : 0;
        if (n == 0) return false;
        front()->receive(std::span(pending_).first(n));
        pending_.erase(pending_.begin(), pending_.begin() + i64(n));
    }
    return true;
}

void Stream::take_in(std::span<const u8> bytes) {
    if (datagrams_ || !layer_) {
        pending_.insert(pending_.end(), bytes.begin(), bytes.end());
        hand_in();
        return;
    }
    refused_ = !layer_->receive(bytes, pending_, raw_);
    if (!raw_.empty()) output_.wake_all();
    bool first = false;
    {
        std::lock_guard lock(mutex_);
        if (!talking_ && !refused_) first = talking_ = layer_->ready();
    }
    if (first) came();
    hand_in();
    if (layer_->take_breaks() && front()) front()->event(Event::break_signal);
    if (refused_) flush_some(); // it may have said why
}

io::Task<Result<void>> Stream::read_loop() {
    const bool direct = !layer_ && !datagrams_; // what the front end has no room for stays with the host
    Bytes bytes(datagrams_ ? largest_datagram : 4096);
    while (in_ >= 0 && !refused_) {
        const u32 room = front() ? front()->room() : 0;
        if (direct ? room == 0 : !hand_in()) {
            co_await room_.wait();
            continue;
        }
        if (raw_.size() > max_buffered) { // answers that the peer does not take
            co_await flushed_.wait();
            continue;
        }
        bool ready = co_await in_watch_->readable();
        if (in_ < 0) break;
        ssize_t n = ::read(in_, bytes.data(), direct ? std::min<size_t>(room, bytes.size()) : bytes.size());
        if (n > 0 && direct) {
            if (front()) front()->receive(std::span(bytes).first(size_t(n)));
        } else if (n > 0) {
            take_in(std::span(bytes).first(size_t(n)));
        } else if (datagrams_ && (n == 0 || errno == ECONNREFUSED)) {
            continue; // an empty one; nobody was there for one of ours
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            break;
        } else if (!ready) { // not pollable: a plain file is always ready
            co_await loop_.yield();
        }
    }
    while (in_ >= 0 && front() && !hand_in()) co_await room_.wait(); // it came before the end
    if (in_ >= 0) {
        in_ = -1;
        ends_.spawn(hung_up());
    }
    co_return Result<void>{};
}

// Writes what the descriptor takes now. True: there is more.
bool Stream::flush_some() {
    layer_ ? flush_layered() : flush_plain();
    std::lock_guard lock(mutex_);
    return !buffer_.empty() || !raw_.empty();
}

void Stream::flush_plain() {
    std::lock_guard lock(mutex_);
    while (out_ >= 0 && !buffer_.empty()) {
        // Terminals and pipes that others share stay blocking; what fits is written.
        pollfd p{out_, POLLOUT, 0};
        if (poll(&p, 1, 0) == 0) return;
        ssize_t n = ::write(out_, buffer_.data(), std::min(buffer_.size(), most_written));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n < 0 && datagrams_) n = ssize_t(std::min(buffer_.size(), most_written)); // lost, as datagrams are
        if (n < 0) {
            buffer_.clear(); // the peer is gone; its end is seen by the reader
            break;
        }
        buffer_.erase(buffer_.begin(), buffer_.begin() + n);
    }
    posted_ = false;
}

void Stream::flush_layered() {
    while (out_ >= 0) {
        if (raw_.empty()) {
            std::lock_guard lock(mutex_);
            if (buffer_.empty()) {
                posted_ = false;
                break;
            }
            const size_t n = std::min(buffer_.size(), most_written);
            layer_->send(std::span(buffer_).first(n), raw_);
            buffer_.erase(buffer_.begin(), buffer_.begin() + i64(n));
            continue;
        }
        ssize_t n = ::send(out_, raw_.data(), raw_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) break;
        if (n < 0) n = ssize_t(raw_.size()); // the peer is gone; its end is seen by the reader
        raw_.erase(raw_.begin(), raw_.begin() + n);
    }
    if (raw_.size() <= max_buffered) flushed_.wake_all();
}

io::Task<Result<void>> Stream::write_loop() {
    while (out_ >= 0) {
        bool left = flush_some(), was_full = false;
        {
            std::lock_guard lock(mutex_);
            was_full = full_ && buffer_.size() < max_buffered / 2;
            if (was_full) full_ = false;
        }
        if (was_full && front()) front()->writable();
        if (left) {
            co_await out_watch_->writable();
            continue;
        }
        auto flushed = std::chrono::steady_clock::now();
        co_await output_.wait();
        // A guest writes byte by byte: what comes right after the last write waits for more.
        auto since = std::chrono::steady_clock::now() - flushed;
        if (since < gather && out_ >= 0) co_await loop_.sleep(gather - since);
    }
    co_return Result<void>{};
}

void Stream::drain() {
    for (int tries = 0; tries < 20; tries++) {
        if (!flush_some() || out_ < 0) return;
        pollfd p{out_, POLLOUT, 0};
        if (poll(&p, 1, 50) == 0 && tries > 4) return; // nobody reads
    }
}

} // namespace mimic::chardev
