// Transports without sockets, for tests: two ends joined in memory, and a peer that has said everything already.
#pragma once
#include "block/nbd/channel.hpp"
#include <algorithm>
#include <cstring>
#include <deque>

namespace mimic::block::nbd {

class PipeEnd final : public Transport {
public:
    struct Lane {
        explicit Lane(io::Loop& loop) : changed(loop) {}
        std::deque<u8> bytes;
        bool closed = false;
        io::WaitList changed;
    };
    PipeEnd(std::shared_ptr<Lane> in, std::shared_ptr<Lane> out) : in_(std::move(in)), out_(std::move(out)) {}

    Task<Result<size_t>> receive(void* data, size_t length) override {
        while (in_->bytes.empty() && !in_->closed) co_await in_->changed.wait();
        size_t n = std::min(length, in_->bytes.size());
        std::copy_n(in_->bytes.begin(), n, static_cast<u8*>(data));
        in_->bytes.erase(in_->bytes.begin(), in_->bytes.begin() + long(n));
        co_return n;
    }
    Task<Result<void>> send(std::span<iovec> vectors) override {
        if (out_->closed) co_return Error::make(ErrorKind::disconnected, "the other end is closed");
        for (auto& v : vectors) {
            auto* p = static_cast<u8*>(v.iov_base);
            out_->bytes.insert(out_->bytes.end(), p, p + v.iov_len);
        }
        out_->changed.wake_all();
        co_return Result<void>();
    }
    void shut() override {
        for (auto& lane : {in_, out_}) {
            lane->closed = true;
            lane->changed.wake_all();
        }
    }

private:
    std::shared_ptr<Lane> in_, out_;
};

inline std::pair<std::unique_ptr<Transport>, std::unique_ptr<Transport>> make_pipe(io::Loop& loop) {
    auto one = std::make_shared<PipeEnd::Lane>(loop), two = std::make_shared<PipeEnd::Lane>(loop);
    return {std::make_unique<PipeEnd>(one, two), std::make_unique<PipeEnd>(two, one)};
}

// Says `script` in pieces of at most `step` bytes, then closes; what it is told is counted and dropped.
class ScriptedPeer final : public Transport {
public:
    ScriptedPeer(io::Loop& loop, std::vector<u8> script, size_t step)
        : loop_(loop)
        , script_(std::move(script))
        , step_(step) {}
    Task<Result<size_t>> receive(void* data, size_t length) override {
        co_await loop_.yield();
        size_t n = shut_ ? 0 : std::min({length, step_, script_.size() - at_});
        std::memcpy(data, script_.data() + at_, n);
        at_ += n;
        co_return n;
    }
    Task<Result<void>> send(std::span<iovec>) override {
        co_await loop_.yield();
        if (shut_) co_return Error::make(ErrorKind::disconnected, "closed");
        co_return Result<void>();
    }
    void shut() override { shut_ = true; }

private:
    io::Loop& loop_;
    std::vector<u8> script_;
    size_t at_ = 0, step_;
    bool shut_ = false;
};

} // namespace mimic::block::nbd
