#include "base/io/scope.hpp"
#include "base/io/socket.hpp"
#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <vector>

namespace mimic::io {
namespace {

// Over io_uring (where the host has it) and over epoll.
class SocketTest : public testing::TestWithParam<bool> {
protected:
    std::unique_ptr<Loop> loop = std::move(*Loop::create({.uring = GetParam()}));

    std::pair<std::unique_ptr<Socket>, std::unique_ptr<Socket>> pair() {
        int ends[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        return {std::move(*Socket::adopt(*loop, ends[0])), std::move(*Socket::adopt(*loop, ends[1]))};
    }
};

Task<Result<void>> send_all(Socket& socket, std::vector<u8>& bytes, bool shut) {
    iovec pieces[2] = {{bytes.data(), bytes.size() / 3},
                       {bytes.data() + bytes.size() / 3, bytes.size() - bytes.size() / 3}};
    Result<void> r = co_await socket.send(pieces);
    if (shut) socket.shut();
    co_return r;
}

Task<Result<std::vector<u8>>> receive_all(Socket& socket) {
    std::vector<u8> all, part(10'000);
    for (;;) {
        CO_TRY(size_t n, co_await socket.receive(part.data(), part.size()));
        if (n == 0) co_return std::move(all);
        all.insert(all.end(), part.begin(), part.begin() + long(n));
    }
}

TEST_P(SocketTest, MovesMoreThanTheKernelBuffers) {
    auto [a, b] = pair();
    std::vector<u8> bytes(3'000'000);
    for (size_t i = 0; i < bytes.size(); i++) bytes[i] = u8(i * 7 + i / 1000);
    auto both = [&](Socket& from, Socket& to) -> Task<bool> {
        Scope scope(*loop);
        scope.spawn(send_all(from, bytes, true));
        auto got = co_await receive_all(to);
        auto sent = co_await scope.join();
        co_return sent&& got&&* got == bytes;
    };
    EXPECT_TRUE(loop->run(both(*a, *b)));
}

TEST_P(SocketTest, APeerThatHasGoneIsAnErrorOfTheSend) {
    auto [a, b] = pair();
    b.reset();
    std::vector<u8> bytes(1000);
    auto r = loop->run(send_all(*a, bytes, false));
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().host_errno(), EPIPE);
}

TEST_P(SocketTest, ShutEndsAWaitingReceive) {
    auto [a, b] = pair();
    auto f = [&](Socket& socket) -> Task<bool> {
        bool ended = false;
        Scope scope(*loop);
        auto wait = [&](Socket& s) -> Task<Result<void>> {
            u8 byte = 0;
            CO_TRY(size_t n, co_await s.receive(&byte, 1));
            ended = n == 0;
            co_return Result<void>();
        };
        scope.spawn(wait(socket));
        co_await loop->yield();
        socket.shut();
        auto joined = co_await scope.join();
        co_return joined&& ended;
    };
    EXPECT_TRUE(loop->run(f(*a)));
}

TEST_P(SocketTest, ListensConnectsAndStops) {
    std::string folder = testing::TempDir() + "/mimic-socket-XXXXXX";
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    SocketAddress address{.path = folder + "/s"};
    {
        auto listener = Listener::create(*loop, address, 4);
        ASSERT_TRUE(listener) << listener.error().message();
        auto f = [&](Listener& l) -> Task<Result<void>> {
            CO_TRY(auto client, co_await connect(*loop, address));
            CO_TRY(auto server, co_await l.accept());
            std::vector<u8> bytes(3, 7);
            CO_CHECK(co_await send_all(*client, bytes, true));
            CO_TRY(auto got, co_await receive_all(*server));
            if (got != bytes) co_return Error::io("other bytes arrived");
            Scope scope(*loop);
            bool stopped = false;
            auto wait = [&](Listener& from) -> Task<Result<void>> {
                auto none = co_await from.accept();
                stopped = !none && none.error().kind() == ErrorKind::cancelled;
                co_return Result<void>();
            };
            scope.spawn(wait(l));
            co_await loop->yield();
            l.stop();
            CO_CHECK(co_await scope.join());
            if (!stopped) co_return Error::io("accept went on after stop");
            co_return Result<void>();
        };
        auto r = loop->run(f(**listener));
        EXPECT_TRUE(r) << r.error().message();
    }
    EXPECT_FALSE(std::filesystem::exists(address.path));
    {
        // Taken while somebody listens; whoever asks is a connection that says nothing.
        auto listener = Listener::create(*loop, address, 4);
        ASSERT_TRUE(listener);
        EXPECT_FALSE(Listener::create(*loop, address, 4));
    }
    auto refused = loop->run(connect(*loop, address));
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message().find(address.path), std::string::npos);
    std::filesystem::remove(folder);
}

TEST_P(SocketTest, NamesThatAreNoAddressesAreErrors) {
    EXPECT_FALSE(loop->run(connect(*loop, {.path = std::string(200, 'x')})));
    EXPECT_FALSE(loop->run(connect(*loop, {.path = ""})));
    EXPECT_FALSE(Listener::create(*loop, {.path = "/nowhere/at/all"}, 1));
    EXPECT_FALSE(Socket::adopt(*loop, 0));
}

INSTANTIATE_TEST_SUITE_P(Ways, SocketTest, testing::Bool(), [](auto& way) { return way.param ? "ring" : "epoll"; });

} // namespace
} // namespace mimic::io
