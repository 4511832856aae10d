// Networks with another machine at their other end: streams, datagrams, groups, hubs, links.
#include "net/net.hpp"
#include <arpa/inet.h>
#include <cstring>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace mimic::net {
namespace {

struct Card final : FrontEnd {
    BackEnd* back = nullptr;
    bool open = true;
    std::vector<Frame> got;
    int writable_calls = 0;
    std::string links;
    bool receive(std::span<const u8> f) override {
        if (open) got.emplace_back(f.begin(), f.end());
        return open;
    }
    void writable() override { writable_calls++; }
    void link_changed(bool up) override { links += up ? "u" : "d"; }
};

struct Rig {
    std::unique_ptr<io::Loop> loop = std::move(*io::Loop::create());
    std::map<std::string, std::unique_ptr<BackEnd>> nets;
    std::string events, folder;
    Context context{*loop};
    Rig() {
        char name[] = "/tmp/mimic-net-XXXXXX";
        folder = mkdtemp(name);
        loop->hold(); // calls come from outside of it, as a machine's do
        context.find = [this](std::string_view id) -> BackEnd* {
            auto at = nets.find(std::string(id));
            return at == nets.end() ? nullptr : at->second.get();
        };
        context.on_event = [this](std::string_view event, Json data) {
            events += fmt::format("{} {}\n", event, *data.find("netdev-id")->string());
        };
    }
    ~Rig() {
        loop->release();
        while (!nets.empty()) nets.erase(std::prev(nets.end())); // hubs' ports are called so that they go first
        EXPECT_EQ(std::system(("rm -r " + folder).c_str()), 0);
    }
    // "" or the error.
    std::string add(const std::string& text, Card* card = nullptr) {
        auto made = open(context, text);
        if (!made) return made.error().message();
        std::string id = (*made)->id();
        if (card) {
            card->back = made->get();
            (*made)->attach(card);
        }
        nets[id] = std::move(*made);
        return "";
    }
    void until(const std::function<bool()>& done) { loop->run_until(done); }
    // What was called for is done.
    void turn() {
        auto wait = [](io::Loop& l) -> io::Task<void> { co_await l.sleep(std::chrono::microseconds(100)); };
        loop->run(wait(*loop));
    }
    void send(Card& from, const Frame& f) {
        Frame copy = f;
        while (!from.back->send(std::move(copy))) {
            copy = f;
            int before = from.writable_calls;
            until([&] { return from.writable_calls > before; });
        }
    }
    // Both hear what the other says, whole and in order.
    void expect_talk(Card& a, Card& b) {
        std::vector<Frame> out;
        for (size_t n : {60u, 1514u, 61u, 64000u, 65550u}) {
            out.emplace_back(n);
            for (size_t i = 0; i < n; i++) out.back()[i] = u8(i * 7 + n);
        }
        for (auto [from, to] : {std::pair(&a, &b), std::pair(&b, &a)}) {
            to->got.clear();
            for (const Frame& f : out) {
                size_t before = to->got.size();
                send(*from, f);
                until([&] { return to->got.size() > before; });
            }
            EXPECT_TRUE(to->got == out);
        }
    }
};

TEST(Stream, CarriesFramesBothWays) {
    Rig r;
    Card a, b;
    std::string path = r.folder + "/s";
    ASSERT_EQ(r.add("stream,id=a,server=on,addr.type=unix,addr.path=" + path, &a), "");
    ASSERT_EQ(r.add("stream,id=b,server=off,addr.type=unix,addr.path=" + path, &b), "");
    r.until([&] { return r.events.find("_CONNECTED a") != std::string::npos; });
    r.expect_talk(a, b);
    EXPECT_EQ(a.back->info(), "unix:" + path);
    r.nets.erase("b");
    r.until([&] { return r.events.find("DISCONNECTED a") != std::string::npos; });
    EXPECT_EQ(a.back->info(), "listening: unix:" + path);
    r.send(a, Frame(60, 1)); // lost
}

TEST(Stream, ClientsComeBack) {
    Rig r;
    Card a, b;
    std::string path = r.folder + "/s";
    ASSERT_EQ(r.add("stream,id=b,addr.type=unix,addr.path=" + path + ",reconnect-ms=1", &b), "");
    for (int round = 0; round < 3; round++) {
        r.events.clear();
        ASSERT_EQ(r.add("stream,id=a,server=on,addr.type=unix,addr.path=" + path, &a), "");
        r.until([&] {
            return r.events.find("_CONNECTED a") != std::string::npos &&
                   r.events.find("_CONNECTED b") != std::string::npos;
        });
        r.expect_talk(a, b);
        r.nets.erase("a");
        r.until([&] { return r.events.find("DISCONNECTED b") != std::string::npos; });
    }
}

TEST(Stream, NothingIsLostWhenAReaderIsSlow) {
    Rig r;
    Card a, b;
    ASSERT_EQ(r.add("socket,id=a,listen=127.0.0.1:0", &a), "");
    std::string where = a.back->info();
    std::string port = where.substr(where.rfind(':') + 1);
    ASSERT_EQ(r.add("socket,id=b,connect=127.0.0.1:" + port, &b), "");
    r.until([&] { return r.events.find("_CONNECTED a") != std::string::npos; });
    b.open = false;
    constexpr u32 count = 8000;
    u32 sent = 0;
    auto push = [&] {
        for (;;) {
            Frame f(1500, 0);
            std::memcpy(f.data(), &sent, sizeof sent);
            if (sent == count || !a.back->send(std::move(f))) return;
            sent++;
        }
    };
    push();
    // Until nobody on the way takes more, or all are on it.
    for (int calls = -1; sent < count && calls != a.writable_calls;) {
        calls = a.writable_calls;
        for (int i = 0; i < 50; i++) {
            r.turn();
            push();
        }
    }
    b.open = true;
    while (b.got.size() < count) {
        b.back->accept_input();
        push();
        r.turn();
    }
    for (u32 i = 0; i < count; i++) {
        u32 number = 0;
        std::memcpy(&number, b.got[i].data(), sizeof number);
        ASSERT_EQ(number, i);
    }
    EXPECT_EQ(b.back->dropped(), 0u);
}

// A peer that speaks something else is hung up on, and the next is welcome.
TEST(Stream, LengthsThatNoFrameHasEndTheConnection) {
    Rig r;
    Card a;
    std::string path = r.folder + "/s";
    ASSERT_EQ(r.add("stream,id=a,server=on,addr.type=unix,addr.path=" + path, &a), "");
    for (int round = 0; round < 2; round++) {
        r.events.clear();
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        sockaddr_un un{};
        un.sun_family = AF_UNIX;
        std::strcpy(un.sun_path, path.c_str());
        ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&un), sizeof un), 0);
        ASSERT_EQ(write(fd, "\0\0\0\4abcd\xff\xff\xff\xff", 12), 12);
        r.until([&] { return r.events.find("DISCONNECTED") != std::string::npos; });
        char rest = 0;
        EXPECT_EQ(read(fd, &rest, 1), 0);
        close(fd);
    }
    EXPECT_EQ(a.got, (std::vector<Frame>{{'a', 'b', 'c', 'd'}, {'a', 'b', 'c', 'd'}}));
}

u16 free_udp_port() {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof in;
    EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&in), length), 0);
    EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&in), &length), 0);
    close(fd);
    return ntohs(in.sin_port);
}

TEST(Dgram, CarriesFramesBothWays) {
    Rig r;
    Card a, b;
    std::string p = r.folder + "/a", q = r.folder + "/b";
    auto local = [](const std::string& id, const std::string& here, const std::string& there) {
        return fmt::format("dgram,id={},local.type=unix,local.path={},remote.type=unix,remote.path={}", id, here,
                           there);
    };
    ASSERT_EQ(r.add(local("a", p, q), &a), "");
    r.send(a, Frame(60, 1)); // nobody is there
    r.turn();
    ASSERT_EQ(r.add(local("b", q, p), &b), "");
    r.expect_talk(a, b);
    r.nets.clear();
    ASSERT_EQ(r.add(local("a", p, q), &a), ""); // its path is free again

    Card c, d;
    u16 one = free_udp_port(), two = free_udp_port();
    auto udp = [](u16 here, u16 there) {
        return fmt::format("local.type=inet,local.host=127.0.0.1,local.port={},remote.type=inet,remote.host=127.0.0.1,"
                           "remote.port={}",
                           here, there);
    };
    ASSERT_EQ(r.add("dgram,id=c," + udp(one, two), &c), "");
    ASSERT_EQ(r.add(fmt::format("socket,id=d,udp=127.0.0.1:{},localaddr=127.0.0.1:{}", one, two), &d), "");
    for (auto [from, to] : {std::pair(&c, &d), std::pair(&d, &c)}) { // UDP has no room for the longest
        r.send(*from, Frame(9000, 7));
        r.until([&, card = to] { return !card->got.empty(); });
        EXPECT_EQ(to->got, (std::vector<Frame>{Frame(9000, 7)}));
    }
}

TEST(Dgram, DescriptorsAreTakenOver) {
    Rig r;
    int pair[2], stream[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, stream), 0);
    Card a, b, c, d;
    ASSERT_EQ(r.add(fmt::format("dgram,id=a,local.type=fd,local.str={}", pair[0]), &a), "");
    ASSERT_EQ(r.add(fmt::format("socket,id=b,fd={}", pair[1]), &b), "");
    r.expect_talk(a, b);
    ASSERT_EQ(r.add(fmt::format("stream,id=c,addr.type=fd,addr.str={}", stream[0]), &c), "");
    ASSERT_EQ(r.add(fmt::format("socket,id=d,fd={}", stream[1]), &d), "");
    r.expect_talk(c, d);
}

TEST(Group, MembersHearOthersAndNotThemselves) {
    Rig r;
    Card a, b, c;
    u16 port = free_udp_port();
    for (auto [id, card] : {std::pair("a", &a), std::pair("b", &b), std::pair("c", &c)})
        ASSERT_EQ(r.add(fmt::format("socket,id={},mcast=230.0.0.1:{},localaddr=127.0.0.1", id, port), card), "");
    r.send(a, Frame(100, 1));
    r.send(b, Frame(100, 2));
    r.until([&] { return c.got.size() == 2 && a.got.size() == 1 && b.got.size() == 1; });
    EXPECT_EQ(a.got[0], Frame(100, 2));
    EXPECT_EQ(b.got[0], Frame(100, 1));
}

TEST(Hub, PassesFramesToAllOtherPorts) {
    Rig r;
    Card a, b, c, far;
    std::string path = r.folder + "/s";
    ASSERT_EQ(r.add("stream,id=far,server=on,addr.type=unix,addr.path=" + path, &far), "");
    ASSERT_EQ(r.add("stream,id=near,addr.type=unix,addr.path=" + path), "");
    ASSERT_EQ(r.add("hubport,id=pa,hubid=3", &a), "");
    ASSERT_EQ(r.add("hubport,id=pb,hubid=3", &b), "");
    ASSERT_EQ(r.add("hubport,id=pc,hubid=4", &c), ""); // another hub
    ASSERT_EQ(r.add("hubport,id=pd,hubid=3,netdev=near"), "");
    EXPECT_EQ(r.add("hubport,id=pe,hubid=3,netdev=near"), "netdev 'pe': option 'netdev': netdev 'near' is in use");
    r.until([&] { return r.events.find("_CONNECTED far") != std::string::npos; });
    r.send(a, Frame(100, 1));
    r.until([&] { return b.got.size() == 1 && far.got.size() == 1; });
    r.send(far, Frame(100, 2));
    r.until([&] { return a.got.size() == 1 && b.got.size() == 2; });
    EXPECT_EQ(far.got, (std::vector<Frame>{Frame(100, 1)}));
    EXPECT_TRUE(c.got.empty());
    EXPECT_EQ(a.back->info(), "hubid=3,port=0");
}

TEST(Link, LosesFramesWhileItIsDown) {
    Rig r;
    Card a, b;
    ASSERT_EQ(r.add("hubport,id=a,hubid=0", &a), "");
    ASSERT_EQ(r.add("hubport,id=b,hubid=0", &b), "");
    a.back->set_link(false);
    r.send(a, Frame(60, 1));
    r.send(b, Frame(60, 2));
    r.turn();
    a.back->set_link(false);
    a.back->set_link(true);
    r.send(a, Frame(60, 3));
    r.until([&] { return !b.got.empty(); });
    EXPECT_EQ(b.got, (std::vector<Frame>{Frame(60, 3)}));
    EXPECT_TRUE(a.got.empty());
    EXPECT_EQ(a.links, "du");
}

TEST(Peers, ErrorsNameOptionValueAndExpectation) {
    Rig r;
    const char* const cases[][2] = {
        {"stream,id=n", "netdev 'n': option 'addr.type' is missing, expected inet, unix or fd"},
        {"stream,id=n,addr.type=vsock", "netdev 'n': option 'addr.type': 'vsock', expected inet, unix or fd"},
        {"stream,id=n,addr.type=inet,addr.host=x", "netdev 'n': option 'addr.port' is missing"},
        {"stream,id=n,addr.type=unix", "netdev 'n': option 'addr.path' is missing"},
        {"stream,id=n,addr.type=fd,addr.str=x",
         "netdev 'n': option 'addr.str': 'x', expected a number from 0 to 2147483647"},
        {"stream,id=n,addr.type=unix,addr.path=/nonexistent/s",
         "netdev 'n': Failed to connect to '/nonexistent/s': No such file or directory"},
        {"stream,id=n,server=on,addr.type=unix,addr.path=/tmp/x,reconnect-ms=5",
         "netdev 'n': option 'reconnect-ms': '5', expected server=off"},
        {"stream,id=n,addr.type=unix,addr.path=/tmp/x,sever=on",
         "netdev 'n': there is no option 'sever', did you mean 'server'?"},
        {"socket,id=n", "netdev 'n': expected exactly one of 'fd', 'listen', 'connect', 'mcast', 'udp'"},
        {"socket,id=n,listen=:1,connect=:2",
         "netdev 'n': expected exactly one of 'fd', 'listen', 'connect', 'mcast', 'udp'"},
        {"socket,id=n,listen=1234", "netdev 'n': option 'listen': '1234', expected HOST:PORT"},
        {"socket,id=n,connect=:1,localaddr=x",
         "netdev 'n': option 'localaddr': 'x', expected together with 'mcast' or 'udp'"},
        {"socket,id=n,udp=127.0.0.1:1", "netdev 'n': option 'localaddr' is missing, expected HOST:PORT with 'udp'"},
        {"socket,id=n,mcast=127.0.0.1:1",
         "netdev 'n': option 'mcast': '127.0.0.1:1', expected a group from 224.0.0.0 to 239.255.255.255"},
        {"socket,id=n,fd=999", "netdev 'n': descriptor 999 is no socket: Bad file descriptor"},
        {"dgram,id=n", "netdev 'n': option 'remote' is missing, expected the other machine's address"},
        {"dgram,id=n,remote.type=inet,remote.host=127.0.0.1,remote.port=1",
         "netdev 'n': option 'local' is missing, expected this machine's address"},
        {"dgram,id=n,remote.type=fd,remote.str=1,local.type=fd,local.str=2",
         "netdev 'n': option 'remote.type': 'fd', expected inet or unix"},
        {"hubport,id=n", "netdev 'n': option 'hubid' is missing, expected a number"},
        {"hubport,id=n,hubid=0,netdev=x", "netdev 'n': option 'netdev': there is no netdev 'x'"},
        {"tap,id=n,ifname=averyveryverylongname",
         "netdev 'n': option 'ifname': 'averyveryverylongname', expected at most 15 characters"},
        {"tap,id=n,fd=7,script=no", "netdev 'n': option 'script': expected without 'fd'"},
        {"tap,id=n,vhost=on",
         "netdev 'n': option 'vhost': on, expected off: the kernel can't reach this guest's memory"},
        {"tap,id=n,queues=4", "netdev 'n': option 'queues': '4', expected a number from 1 to 1"},
        {"tap,id=n,fd=0", "netdev 'n': descriptor 0 is no tap interface: Inappropriate ioctl for device"},
    };
    for (auto& c : cases) EXPECT_EQ(r.add(c[0]), c[1]);
}

} // namespace
} // namespace mimic::net
