#include "chardev/stream.hpp"
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <poll.h>
#include <unistd.h>

namespace mimic::chardev {

namespace {
constexpr std::chrono::milliseconds gather{2};
}

Stream::Stream(io::Loop& loop, std::string id)
    : Chardev(std::move(id))
    , loop_(loop)
    , tasks_(loop)
    , ends_(loop)
    , room_(loop)
    , output_(loop) {}

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
    if (out_ < 0) return u32(bytes.size()); // nobody listens
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

void Stream::connect(int in, int out) {
    in_ = in;
    {
        std::lock_guard lock(mutex_);
        out_ = out;
    }
    if (in >= 0) {
        in_watch_ = std::make_shared<io::Watch>(loop_, in);
        tasks_.spawn(read_loop());
    }
    if (out >= 0) {
        out_watch_ = in == out ? in_watch_ : std::make_shared<io::Watch>(loop_, out);
        tasks_.spawn(write_loop());
    }
}

void Stream::give_up() {
    in_ = -1;
    {
        std::lock_guard lock(mutex_);
        out_ = -1;
        buffer_.clear();
        posted_ = false;
    }
    if (in_watch_) in_watch_->cancel();
    if (out_watch_) out_watch_->cancel();
    room_.wake_all();
    output_.wake_all();
}

io::Task<void> Stream::stop() {
    give_up();
    co_await tasks_.drain();
    in_watch_.reset();
    out_watch_.reset();
}

void Stream::disconnect() {
    give_up();
    if (tasks_.running() || ends_.running())
        loop_.run_until([this] { return tasks_.running() == 0 && ends_.running() == 0; });
    in_watch_.reset();
    out_watch_.reset();
}

io::Task<Result<void>> Stream::read_loop() {
    u8 bytes[4096];
    while (in_ >= 0) {
        u32 room = front() ? front()->room() : 0;
        if (room == 0) {
            co_await room_.wait();
            continue;
        }
        bool ready = co_await in_watch_->readable();
        if (in_ < 0) break;
        ssize_t n = ::read(in_, bytes, std::min<size_t>(room, sizeof bytes));
        if (n > 0) {
            if (front()) front()->receive({bytes, size_t(n)});
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            break;
        } else if (!ready) { // not pollable: a plain file is always ready
            co_await loop_.yield();
        }
    }
    if (in_ >= 0) {
        in_ = -1;
        ends_.spawn(hung_up());
    }
    co_return Result<void>{};
}

// Writes what the descriptor takes now.
void Stream::flush_some() {
    std::lock_guard lock(mutex_);
    while (out_ >= 0 && !buffer_.empty()) {
        // Terminals and pipes that others share stay blocking; what fits is written.
        pollfd p{out_, POLLOUT, 0};
        if (poll(&p, 1, 0) == 0) return;
        ssize_t n = ::write(out_, buffer_.data(), std::min<size_t>(buffer_.size(), 4096));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n < 0) {
            buffer_.clear(); // the peer is gone; its end is seen by the reader
            break;
        }
        buffer_.erase(buffer_.begin(), buffer_.begin() + n);
    }
    posted_ = false;
}

io::Task<Result<void>> Stream::write_loop() {
    while (out_ >= 0) {
        flush_some();
        bool left = false, was_full = false;
        {
            std::lock_guard lock(mutex_);
            left = !buffer_.empty();
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
        flush_some();
        std::unique_lock lock(mutex_);
        if (out_ < 0 || buffer_.empty()) return;
        pollfd p{out_, POLLOUT, 0};
        lock.unlock();
        if (poll(&p, 1, 50) == 0 && tries > 4) return; // nobody reads
    }
}

} // namespace mimic::chardev
