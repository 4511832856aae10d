#include "chardev/open.hpp"
#include "chardev/ringbuf.hpp"
#include "chardev/stream.hpp"
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace mimic::chardev {
namespace {

struct Front : FrontEnd {
    std::string got, events;
    u32 limit = 1000;
    u32 room() override { return limit > got.size() ? limit - u32(got.size()) : 0; }
    void receive(std::span<const u8> bytes) override { got.append(bytes.begin(), bytes.end()); }
    void event(Event e) override { events += "oCbio"[u8(e)]; }
    int called = 0;
    void writable() override { called++; }
};

std::span<const u8> bytes(std::string_view s) { return {reinterpret_cast<const u8*>(s.data()), s.size()}; }

struct Rig {
    std::unique_ptr<io::Loop> loop = *io::Loop::create();
    bool left = false;
    std::string said;
    OpenContext context{*loop, [this] { left = true; }, [this](const std::string& s) { said += s + "\n"; }};
    std::string folder;
    Rig() {
        char name[] = "/tmp/mimic-chardev-XXXXXX";
        folder = mkdtemp(name);
    }
    ~Rig() { EXPECT_EQ(std::system(("rm -r " + folder).c_str()), 0); }
    std::unique_ptr<Chardev> legacy(const std::string& text) {
        auto dev = open_legacy(context, "c", text);
        EXPECT_TRUE(dev) << (dev ? "" : dev.error().message());
        return dev ? std::move(*dev) : nullptr;
    }
    void until(const std::function<bool()>& done) { loop->run_until(done); }
};

int client(const std::string& path) {
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    std::strcpy(a.sun_path, path.c_str());
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&a), sizeof a), 0);
    return fd;
}

TEST(Chardev, FileTakesOutput) {
    Rig r;
    std::string path = r.folder + "/out";
    {
        auto dev = r.legacy("file:" + path);
        EXPECT_EQ(dev->write(bytes("hello ")), 6u);
        EXPECT_EQ(dev->write(bytes("world")), 5u);
        dev->drain();
    }
    std::ifstream in(path);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "hello world");
}

TEST(Chardev, FlushDoesNotWait) {
    Rig r;
    const std::string path = r.folder + "/p";
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    const int fd = ::open(path.c_str(), O_RDWR | O_NONBLOCK);
    auto dev = mux_over(r.context, r.legacy("pipe:" + path), "m");
    dev->write(bytes("hello"));
    dev->flush(); // the loop has not run
    char got[16];
    EXPECT_EQ(read(fd, got, sizeof got), 5);
    const std::string full(chardev::Stream::max_buffered, 'x');
    const u32 first = dev->write(bytes(full));
    dev->flush();
    EXPECT_EQ(first + dev->write(bytes(full)), 2 * full.size()); // a pipe of 64 KiB has taken the first
    dev->flush();
    std::string taken(2 * full.size(), 0);
    EXPECT_EQ(read(fd, taken.data(), taken.size()), ssize_t(full.size()));
    dev.reset(); // the rest fits
    close(fd);
}

TEST(Chardev, SocketServesOnePeerAfterAnother) {
    Rig r;
    std::string path = r.folder + "/s";
    auto dev = r.legacy("unix:" + path + ",server=on,wait=off");
    Front front;
    dev->attach(&front);
    for (int round = 0; round < 3; round++) {
        front.got.clear();
        int fd = client(path);
        ASSERT_EQ(write(fd, "ping", 4), 4);
        r.until([&] { return front.got == "ping"; });
        dev->write(bytes("pong"));
        char buffer[4] = "";
        std::string seen;
        r.until([&] {
            ssize_t n = recv(fd, buffer, 4, MSG_DONTWAIT);
            if (n > 0) seen.append(buffer, size_t(n));
            if (seen.empty()) r.loop->call([] {}); // look again
            return seen == "pong";
        });
        close(fd);
        std::string events = "oC";
        for (int i = 0; i < round; i++) events += "oC";
        r.until([&] { return front.events == events; });
    }
}

// Who waits for room of a peer that does not read has it when the peer goes; what it writes then is lost.
TEST(Chardev, NobodyWaitsForAPeerThatIsGone) {
    Rig r;
    const std::string path = r.folder + "/s";
    auto dev = r.legacy("unix:" + path + ",server=on,wait=off");
    Front front;
    dev->attach(&front);
    const int fd = client(path);
    r.until([&] { return front.events == "o"; });
    const std::string much(1 << 20, 'x');
    u32 taken = u32(much.size());
    for (int i = 0; i < 100 && taken == much.size(); i++) taken = dev->write(bytes(much));
    while (dev->write(bytes(much))) dev->drain();
    front.called = 0;
    shutdown(fd, SHUT_WR); // its end is seen; nothing of what waits was read
    r.until([&] { return front.events == "oC"; });
    r.until([&] { return front.called > 0; });
    EXPECT_EQ(dev->write(bytes("lost")), 4u);
    close(fd);
}

TEST(Chardev, InputWaitsForRoom) {
    Rig r;
    std::string path = r.folder + "/s";
    auto dev = r.legacy("unix:" + path + ",server=on,wait=off");
    Front front;
    front.limit = 3;
    dev->attach(&front);
    int fd = client(path);
    ASSERT_EQ(write(fd, "abcdef", 6), 6);
    r.until([&] { return front.got == "abc"; });
    front.limit = 100;
    dev->accept_input();
    r.until([&] { return front.got == "abcdef"; });
    close(fd);
}

TEST(Chardev, PtyCarriesBytesBothWays) {
    Rig r;
    auto dev = r.legacy("pty");
    Front front;
    dev->attach(&front);
    ASSERT_NE(r.said.find("char device redirected to /dev/pts/"), std::string::npos);
    std::string path = dev->filename().substr(4);
    int fd = ::open(path.c_str(), O_RDWR | O_NOCTTY);
    ASSERT_GE(fd, 0);
    ASSERT_EQ(write(fd, "x\r", 2), 2);
    r.until([&] { return front.got == "x\r"; });
    close(fd);
}

TEST(Chardev, PipesAreAPairOfFifos) {
    Rig r;
    std::string path = r.folder + "/p";
    ASSERT_EQ(mkfifo((path + ".in").c_str(), 0600), 0);
    ASSERT_EQ(mkfifo((path + ".out").c_str(), 0600), 0);
    auto dev = r.legacy("pipe:" + path);
    Front front;
    dev->attach(&front);
    int fd = ::open((path + ".in").c_str(), O_WRONLY);
    ASSERT_EQ(write(fd, "in", 2), 2);
    r.until([&] { return front.got == "in"; });
    close(fd);
}

TEST(Chardev, RingBufferKeepsTheLast) {
    Rig r;
    auto dev = open(r.context, "ring", {{"backend", "ringbuf"}, {"size", "8"}});
    ASSERT_TRUE(dev);
    auto& ring = static_cast<RingBuffer&>(**dev);
    ring.write(bytes("0123456789"));
    EXPECT_EQ(ring.read(3), "234");
    EXPECT_EQ(ring.read(100), "56789");
    Front front;
    ring.attach(&front);
    EXPECT_EQ(ring.type(bytes("hi")), 2u);
    EXPECT_EQ(front.got, "hi");
}

TEST(Mux, EscapesMoveTheKeyboardAndLeave) {
    Rig r;
    auto ring = std::make_unique<RingBuffer>("back", 1024);
    RingBuffer& back = *ring;
    auto first = mux_over(r.context, std::move(ring), "serial0");
    auto second = mux_port(*first, "monitor");
    ASSERT_TRUE(second);
    Front a, b;
    first->attach(&a);
    (*second)->attach(&b);
    back.type(bytes("one\x01\x01"));
    back.type(bytes("\x01"
                    "ctwo\x01"));
    back.type(bytes("cthree\x01"
                    "b"));
    EXPECT_EQ(a.got, "one\x01three");
    EXPECT_EQ(b.got, "two");
    EXPECT_EQ(a.events, "oib");
    back.type(bytes("\x01"
                    "h"));
    EXPECT_NE(back.read(1000).find("C-a x    exit emulator"), std::string::npos);
    EXPECT_FALSE(r.left);
    back.type(bytes("\x01"
                    "x"));
    EXPECT_TRUE(r.left);
    first->write(bytes("a"));
    (*second)->write(bytes("b"));
    EXPECT_NE(back.read(1000).find("ab"), std::string::npos);
}

int client_of(u16 port, int type = SOCK_STREAM) {
    int fd = socket(AF_INET, type, 0);
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    in.sin_port = htons(port);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&in), sizeof in), 0);
    return fd;
}
u16 port_of(const Chardev& dev) { return u16(std::stoul(dev.filename().substr(dev.filename().find(":", 10) + 1))); }

struct Reader {
    Rig& r;
    int fd;
    std::string seen;
    // Until that has come.
    void expect(std::string_view text) {
        r.until([&] {
            char buffer[4096];
            ssize_t n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
            if (n > 0) seen.append(buffer, size_t(n));
            bool there = seen.find(text) != std::string::npos;
            if (!there) r.loop->call([] {}); // look again
            return there;
        });
        seen.erase(0, seen.find(text) + text.size());
    }
};

TEST(Chardev, TelnetTalksAtBothEnds) {
    Rig r;
    auto server = r.legacy("telnet:127.0.0.1:0,server=on,wait=off");
    Front front, other;
    server->attach(&front);
    auto peer = r.legacy(fmt::format("telnet:127.0.0.1:{},reconnect-ms=1", port_of(*server)));
    peer->attach(&other);
    r.until([&] { return front.events == "o" && other.events == "o"; });
    server->write(bytes("a\xff\r\n"));
    peer->write(bytes("b\xff\r"));
    r.until([&] { return other.got == "a\xff\r\n" && front.got == "b\xff\r"; });
    int fd = -1;
    peer.reset();
    r.until([&] { return front.events == "oC"; });
    fd = client_of(port_of(*server));
    ASSERT_EQ(write(fd, "\xff\xf3\xff\xf3", 4), 4);
    r.until([&] { return front.events.find('b') != std::string::npos; });
    Reader{r, fd, {}}.expect("\xff\xfb\x01");
    close(fd);
}

TEST(Chardev, WebSocketsAreOpenAfterTheirHandshake) {
    Rig r;
    auto dev = r.legacy("websocket:127.0.0.1:0,server=on,wait=off");
    Front front;
    dev->attach(&front);
    for (std::string events : {"oC", "oCoC"}) {
        int fd = client_of(port_of(*dev));
        Reader reader{r, fd, {}};
        EXPECT_FALSE(dev->is_open());
        dev->write(bytes("nobody hears this"));
        std::string request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        ASSERT_EQ(write(fd, request.data(), request.size()), ssize_t(request.size()));
        reader.expect("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
        r.until([&] { return dev->is_open(); });
        dev->write(bytes("hello"));
        reader.expect("\x82\x05hello");
        front.got.clear();
        ASSERT_EQ(write(fd, "\x82\x82\0\0\0\0hi\x88\x80\0\0\0\0", 14), 14);
        r.until([&] { return front.got == "hi" && front.events == events; });
        reader.expect(std::string_view("\x88\0", 2));
        close(fd);
    }
}

// A front end without room holds back what has come through a layer, and the peer's end does not lose it.
TEST(Chardev, LayeredInputWaitsForRoom) {
    Rig r;
    auto dev = r.legacy("telnet:127.0.0.1:0,server=on,wait=off");
    Front front;
    front.limit = 3;
    dev->attach(&front);
    int fd = client_of(port_of(*dev));
    std::string text(20000, 'x');
    ASSERT_EQ(write(fd, text.data(), text.size()), ssize_t(text.size()));
    close(fd);
    r.until([&] { return front.got.size() == 3; });
    front.limit = 100000;
    dev->accept_input();
    r.until([&] { return front.got == text && front.events == "oC"; });
}

TEST(Chardev, UdpCarriesDatagrams) {
    Rig r;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof in;
    ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&in), length), 0);
    ASSERT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&in), &length), 0);
    auto dev = r.legacy(fmt::format("udp:127.0.0.1:{}@127.0.0.1:0", ntohs(in.sin_port)));
    Front front;
    front.limit = 4;
    dev->attach(&front);
    dev->write(bytes("hello"));
    char buffer[16] = "";
    sockaddr_in from{};
    socklen_t from_length = sizeof from;
    r.until([&] {
        ssize_t n = recvfrom(fd, buffer, sizeof buffer, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &from_length);
        if (n < 0) r.loop->call([] {}); // look again
        return n > 0;
    });
    EXPECT_EQ(std::string(buffer), "hello");
    ASSERT_EQ(sendto(fd, "abcdefgh", 8, 0, reinterpret_cast<sockaddr*>(&from), from_length), 8);
    r.until([&] { return front.got == "abcd"; }); // the rest of the datagram waits
    front.limit = 100;
    dev->accept_input();
    r.until([&] { return front.got == "abcdefgh"; });
    close(fd);
    for (int i = 0; i < 3; i++) {
        dev->write(bytes("nobody is there"));
        dev->drain();
    }
    EXPECT_TRUE(dev->is_open());
}

TEST(Chardev, ClientsComeBack) {
    Rig r;
    std::string path = r.folder + "/s";
    auto dev = open(r.context, "c", {{"backend", "socket"}, {"path", path}, {"reconnect-ms", "1"}});
    ASSERT_TRUE(dev);
    Front front;
    (*dev)->attach(&front);
    EXPECT_FALSE((*dev)->is_open());
    for (std::string events : {"o", "oCo", "oCoCo"}) {
        auto server = r.legacy("unix:" + path + ",server=on,wait=off");
        r.until([&] { return front.events == events; });
    }
}

TEST(Chardev, ErrorsNameWhatIsWrong) {
    Rig r;
    const char* bad[][2] = {
        {"stdo", "'stdo' is no character device, expected none, null, stdio, mon:stdio, pty, file:PATH, pipe:PATH, "
                 "unix:PATH, tcp:, telnet: or websocket:HOST:PORT, udp:HOST:PORT or chardev:ID"},
        {"unix:/tmp/x,server=maybe", "chardev 'c': option 'server': 'maybe', expected on or off"},
        {"unix:/tmp/x,sever=on", "chardev 'c': there is no option 'sever', did you mean 'server'?"},
        {"tcp:5555", "'tcp:5555': expected tcp:HOST:PORT[,server=on][,wait=off]"},
        {"telnet:5555", "'telnet:5555': expected telnet:HOST:PORT[,server=on][,wait=off]"},
        {"udp:5555", "'udp:5555': expected udp:[HOST]:PORT[@[LOCALADDR]:LOCALPORT]"},
        {"udp::1@2", "'udp::1@2': expected udp:[HOST]:PORT[@[LOCALADDR]:LOCALPORT]"},
        {"websocket:127.0.0.1:1", "chardev 'c': option 'websocket', expected server=on"},
        {"telnet::0,server=on,websocket=on", "chardev 'c': option 'websocket', expected telnet=off"},
        {"tcp:127.0.0.1:0,server=on,reconnect=1", "chardev 'c': option 'reconnect-ms', expected server=off"},
        {"tcp:127.0.0.1:0,server=on,tls-creds=t", "chardev 'c': tls-creds: No TLS credentials with id 't'"},
        {"tcp:127.0.0.1:0,server=on,tls-authz=t", "chardev 'c': option 'tls-authz', expected server=on and tls-creds"},
        {"tcp:127.0.0.1:1,to=7", "chardev 'c': option 'to', expected server=on and a port"},
        {"unix:/tmp/x,port=7", "chardev 'c': expected 'path', or 'host' and 'port', or 'fd'"},
        {"unix:/nonexistent/x", "chardev 'c': Failed to connect to '/nonexistent/x': No such file or directory"},
        {"file:/nonexistent/x", "chardev 'c': cannot open /nonexistent/x: No such file or directory"},
    };
    for (auto& b : bad) {
        auto dev = open_legacy(r.context, "c", b[0]);
        ASSERT_FALSE(dev) << b[0];
        EXPECT_EQ(dev.error().message(), b[1]);
    }
    EXPECT_EQ(open(r.context, "x", {{"backend", "vcc"}}).error().message(),
              "chardev 'x': backend 'vcc', expected one of file, null, pipe, pty, ringbuf, socket, stdio, udp");
}

} // namespace
} // namespace mimic::chardev
