#include "net/backends/packets.hpp"
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace mimic::net {

namespace {
constexpr u32 most_at_once = 64; // frames before the rest of the loop has its turn
}

PacketNet::PacketNet(io::Loop& loop, std::string id)
    : BackEnd(loop, std::move(id))
    , pause_(loop)
    , room_(loop)
    , output_(loop)
    , tasks_(loop) {}

PacketNet::~PacketNet() { end(); }

void PacketNet::start(int fd) {
    fd_ = fd;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    watch_ = std::make_unique<io::Watch>(loop(), fd);
    tasks_.spawn(read_loop());
    tasks_.spawn(write_loop());
}

void PacketNet::end() {
    closing_ = true;
    attach(nullptr);
    pause_.cancel();
    if (watch_) watch_->cancel();
    output_.wake_all();
    if (tasks_.running()) loop().run_until([this] { return tasks_.running() == 0; });
    watch_.reset();
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
}

io::Task<Result<void>> PacketNet::read_loop() {
    std::vector<u8> buffer(header() + max_frame);
    while (!closing_) {
        co_await watch_->readable();
        for (u32 n = 0; n < most_at_once && !closing_; n++) {
            i64 got = read(buffer);
            // What a peer's absence did to a frame of ours is told here.
            if (got == -EINTR || got == -ECONNREFUSED) continue;
            if (got == -EAGAIN) break;
            if (got < 0) { // an interface that is down or has gone; it may come back
                co_await pause_.sleep(std::chrono::milliseconds(200));
                break;
            }
            if (size_t(got) > header() && size_t(got) <= buffer.size()) deliver({buffer.data(), size_t(got)});
            while (congested() && !closing_) co_await room_.wait();
        }
    }
    co_return Result<void>();
}

void PacketNet::transmit(std::span<const u8> frame) {
    if (closing_ || !stuck_.empty()) return;
    i64 n = write(frame);
    if (n == -EINTR || n == -ECONNREFUSED) n = write(frame); // the latter may be of an earlier frame
    if (n != -EAGAIN && n != -ENOBUFS) return;               // what the host refuses is lost, as on a wire
    stuck_.assign(frame.begin(), frame.end());
    output_.wake_all();
}

io::Task<Result<void>> PacketNet::write_loop() {
    while (!closing_) {
        if (stuck_.empty()) {
            co_await output_.wait();
            continue;
        }
        co_await watch_->writable();
        if (closing_) break;
        i64 n = write(stuck_);
        if (n == -EINTR) continue;
        if (n == -EAGAIN || n == -ENOBUFS) { // ready, and yet full: queues behind it
            co_await pause_.sleep(std::chrono::milliseconds(1));
            continue;
        }
        stuck_.clear();
        transmit_more();
    }
    co_return Result<void>();
}

} // namespace mimic::net
