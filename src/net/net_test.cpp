#include "net/net.hpp"
#include <gtest/gtest.h>

namespace mimic::net {
namespace {

struct Rig {
    std::unique_ptr<io::Loop> loop = std::move(*io::Loop::create());
    Context context{*loop};
    std::string open_error(std::string_view text) {
        auto made = open(context, text);
        return made ? "" : made.error().message();
    }
};

TEST(Options, AreSplitAtSingleCommas) {
    auto o = parse("user,id=n0,hostfwd=a,hostfwd=b,hostname=x,,y");
    ASSERT_TRUE(o);
    EXPECT_EQ(o->kind, "user");
    EXPECT_EQ(o->take("hostname"), "x,y");
    EXPECT_EQ(o->take_all("hostfwd"), (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(o->take("id"), "n0");
    EXPECT_TRUE(o->values.empty());
}

TEST(Options, ErrorsNameOptionValueAndExpectation) {
    Rig r;
    const char* const cases[][2] = {
        {"user", "netdev 'user': option 'id' is missing"},
        {"id=n0", "netdev 'id=n0': it begins with its kind, as in user,id=n0"},
        {"user,id=n0,x", "netdev 'user,id=n0,x': 'x', expected name=value"},
        {"usr,id=n0", "netdev 'n0': there is no kind 'usr', did you mean 'user'?"},
        {"user,id=n0,restrct=on", "netdev 'n0': there is no option 'restrct', did you mean 'restrict'?"},
        {"user,id=n0,restrict=maybe", "netdev 'n0': option 'restrict': 'maybe', expected on or off"},
        {"user,id=n0,net=10.0.2", "netdev 'n0': option 'net': '10.0.2', expected an IPv4 network like 10.0.2.0/24"},
        {"user,id=n0,net=10.0.2.0/31",
         "netdev 'n0': option 'net': '10.0.2.0/31', expected an IPv4 network like 10.0.2.0/24"},
        {"user,id=n0,host=10.0.3.2",
         "netdev 'n0': option 'host': '10.0.3.2', expected an address inside of the network"},
        {"user,id=n0,ipv6-net=x/64", "netdev 'n0': option 'ipv6-net': 'x', expected an IPv6 address"},
        {"user,id=n0,hostfwd=tcp:22",
         "netdev 'n0': option 'hostfwd': 'tcp:22', expected [tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport"},
        {"user,id=n0,hostfwd=sctp::1-:2",
         "netdev 'n0': option 'hostfwd': 'sctp::1-:2', expected [tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport"},
        {"user,id=n0,hostfwd=tcp::99999-:2", "netdev 'n0': option 'hostfwd': 'tcp::99999-:2', expected "
                                             "[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport"},
        {"user,id=n0,guestfwd=tcp:10.0.2.100:22", "netdev 'n0': option 'guestfwd': 'tcp:10.0.2.100:22', expected "
                                                  "[tcp]:[server]:port-cmd:command or -DEV"},
        {"user,id=n0,guestfwd=tcp:10.0.2.100:22-null",
         "netdev 'n0': guestfwd: 'null', expected cmd:COMMAND: nothing else is here"},
    };
    for (auto& c : cases) EXPECT_EQ(r.open_error(c[0]), c[1]);
    EXPECT_EQ(r.open_error("user,id=n0,net=192.168.7.0/24,dhcpstart=192.168.7.9,hostfwd=tcp:127.0.0.1:0-:22"), "");
    EXPECT_NE(help().find("user\n"), std::string::npos);
}

struct Card final : FrontEnd {
    bool open = true;
    std::vector<Frame> got;
    int writable_calls = 0;
    bool receive(std::span<const u8> f) override {
        if (open) got.emplace_back(f.begin(), f.end());
        return open;
    }
    void writable() override { writable_calls++; }
};

struct Loopback final : BackEnd {
    explicit Loopback(io::Loop& loop) : BackEnd(loop, "l") {}
    std::string_view kind() const override { return "loopback"; }
    std::string info() const override { return ""; }
    void transmit(std::span<const u8> f) override { deliver(f); }
};

TEST(BackEnds, HoldBoundedNumbersOfFramesEachWay) {
    Rig r;
    Loopback l(*r.loop);
    Card card;
    card.open = false;
    l.attach(&card);
    auto turn = [](io::Loop& loop) -> io::Task<void> { co_await loop.sleep(std::chrono::microseconds(100)); };
    u32 sent = 0;
    while (l.send(Frame(60, 1))) sent++;
    EXPECT_EQ(sent, BackEnd::max_waiting);
    r.loop->run(turn(*r.loop));
    EXPECT_EQ(card.writable_calls, 1);
    EXPECT_TRUE(l.send(Frame(60, 2))); // its row for the guest is full: it is lost
    r.loop->run(turn(*r.loop));
    EXPECT_EQ(l.dropped(), 1u);
    card.open = true;
    l.accept_input();
    r.loop->run(turn(*r.loop));
    EXPECT_EQ(card.got.size(), BackEnd::max_waiting);
    l.attach(nullptr);
}

} // namespace
} // namespace mimic::net
