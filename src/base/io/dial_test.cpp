#include "base/io/dial.hpp"
#include "base/io/scope.hpp"
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace mimic::io {
namespace {

struct Listening {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    SocketAddress address{.kind = SocketAddress::Kind::inet, .host = "127.0.0.1", .port = "", .path = ""};
    explicit Listening(int backlog) {
        sockaddr_in in{};
        in.sin_family = AF_INET;
        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof in;
        EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&in), length), 0);
        EXPECT_EQ(listen(fd, backlog), 0);
        EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&in), &length), 0);
        address.port = std::to_string(ntohs(in.sin_port));
    }
    ~Listening() { close(fd); }
};

TEST(Dial, Connects) {
    auto loop = *Loop::create();
    Listening there(5);
    Dial dial(*loop);
    auto fd = loop->run(dial.connect(there.address));
    ASSERT_TRUE(fd) << fd.error().message();
    close(*fd);
    there.address.host = "localhost"; // looked up
    fd = loop->run(dial.connect(there.address));
    ASSERT_TRUE(fd) << fd.error().message();
    close(*fd);
    auto none = loop->run(dial.connect({.kind = SocketAddress::Kind::unix_path, .path = "/nonexistent/s"}));
    EXPECT_EQ(none.error().message(), "Failed to connect to '/nonexistent/s': No such file or directory");
}

// Whose backlog is full does not answer.
TEST(Dial, IsGivenUp) {
    auto loop = *Loop::create();
    Listening there(0);
    std::vector<int> full;
    Dial first(*loop), waiting(*loop);
    full.push_back(*loop->run(first.connect(there.address)));
    Scope scope(*loop);
    std::string message;
    bool ended = false;
    auto attempt = [&]() -> Task<Result<void>> {
        for (;;) {
            auto fd = co_await waiting.connect(there.address);
            if (!fd) {
                message = fd.error().message();
                ended = true;
                co_return Result<void>();
            }
            full.push_back(*fd);
        }
    };
    scope.spawn(attempt());
    loop->call([&] { waiting.cancel(); });
    loop->run_until([&] { return ended && scope.running() == 0; });
    EXPECT_NE(message.find("Operation canceled"), std::string::npos) << message;
    EXPECT_EQ(loop->run(waiting.connect(there.address)).error().kind(), ErrorKind::cancelled);
    for (int fd : full) close(fd);
}

TEST(Pause, EndsByTimeOrByCancel) {
    auto loop = *Loop::create();
    Pause pause(*loop);
    EXPECT_TRUE(loop->run(pause.sleep(std::chrono::microseconds(10))));
    EXPECT_TRUE(loop->run(pause.sleep(std::chrono::nanoseconds(0))));
    loop->call([&] { pause.cancel(); });
    EXPECT_FALSE(loop->run(pause.sleep(std::chrono::hours(10))));
    EXPECT_FALSE(loop->run(pause.sleep(std::chrono::hours(10))));
}

} // namespace
} // namespace mimic::io
