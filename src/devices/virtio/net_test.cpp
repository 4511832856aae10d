// The network card, driven through guest memory: frames both ways, mergeable buffers, filters, several pairs, the user network.
#include "devices/virtio/driver.hpp"
#include "devices/virtio/net_header.hpp"
#include <gtest/gtest.h>

namespace mimic::devices::virtio {
namespace {

using namespace driver;
using namespace std::string_view_literals;

constexpr u64 version_1 = u64{1} << VIRTIO_F_VERSION_1, packed_ring = u64{1} << VIRTIO_F_RING_PACKED,
              mergeable = u64{1} << VIRTIO_NET_F_MRG_RXBUF, control = u64{1} << VIRTIO_NET_F_CTRL_VQ,
              control_rx = u64{1} << VIRTIO_NET_F_CTRL_RX, vlan_filter = u64{1} << VIRTIO_NET_F_CTRL_VLAN,
              many = u64{1} << VIRTIO_NET_F_MQ, event_index = u64{1} << 29;

// A network whose other end is the test.
struct Wire final : net::BackEnd {
    u32 pairs;
    std::vector<std::string> sent;
    Wire(io::Loop& loop, u32 n) : net::BackEnd(loop, "n0"), pairs(n) {}
    std::string_view kind() const override { return "test"; }
    std::string info() const override { return ""; }
    u32 queues() const override { return pairs; }
    u32 able = 0, taken_over = 0;
    u32 offloads() const override { return able; }
    void take_offloads(u32 set) override { taken_over = set; }
    void transmit(std::span<const u8> f) override { sent.emplace_back(f.begin(), f.end()); }
    void arrive(std::string_view text) { deliver({reinterpret_cast<const u8*>(text.data()), text.size()}); }
};

struct Card {
    Wire* wire = nullptr;
    Rig r;
    std::unique_ptr<DriverQueue> rx, tx, ctrl;
    explicit Card(u64 features, bool packed = false, bool legacy = false, u32 pairs = 1, u32 offloads = 0)
        : r("virtio-net-device",
            {{"netdev", "n0"}, {"packed", packed ? "on" : "off"}, {"mq", pairs > 1 ? "on" : "off"}},
            {.legacy = legacy, .back_ends = [this, pairs, offloads](Machine& m, io::Loop& loop) {
                 auto w = std::make_unique<Wire>(loop, pairs);
                 w->able = offloads;
                 wire = w.get();
                 m.nets["n0"].peer = std::move(w);
             }}) {
        EXPECT_EQ(r.error, "");
        EXPECT_TRUE(r.negotiate(features | (legacy ? 0 : version_1) | (packed ? packed_ring : 0), legacy));
        DriverQueue::Options o{.packed = packed, .legacy = legacy, .size = 16};
        rx = std::make_unique<DriverQueue>(r, 0, o);
        tx = std::make_unique<DriverQueue>(r, 1, o);
        if (features & control) ctrl = std::make_unique<DriverQueue>(r, features & many ? 2 * pairs : 2, o);
        r.driver_ok();
    }
    bool send(std::string_view frame, u32 header = 12) {
        size_t before = wire->sent.size();
        Used u;
        return tx->run({r.bytes(std::string(header, 0)), r.bytes(frame)}, {}, u) &&
               r.settle([&] { return wire->sent.size() > before; });
    }
    u8 command(std::string_view text) {
        Segment ack = r.room(1);
        r.put<u8>(ack.address, 0xee);
        Used u;
        EXPECT_TRUE(ctrl->run({r.bytes(text)}, {ack}, u));
        return r.peek<u8>(ack.address);
    }
    // A received frame as the driver takes it out of its buffers.
    std::string receive(const std::vector<Segment>& buffers, u32 header = 12) {
        std::string all;
        Used u;
        for (size_t i = 0; rx->used(u); i++) all += r.text(buffers[i]).substr(0, u.bytes);
        return all.size() > header ? all.substr(header) : "";
    }
};

std::string frame_to(std::string_view mac, size_t bytes, std::string_view type = std::string_view("\x08\x00", 2)) {
    std::string f(mac);
    f += "\x52\x54\x00\x00\x00\x01";
    f = f.substr(0, 6) + std::string("\x52\x54\x00\x00\x00\x01", 6) + std::string(type);
    while (f.size() < bytes) f += char('a' + f.size() % 26);
    return f;
}
const std::string own("\x52\x54\x00\x12\x34\x56", 6), other("\x52\x54\x00\x12\x34\x99", 6),
    everyone("\xff\xff\xff\xff\xff\xff", 6), group("\x33\x33\x00\x00\x00\x01", 6);

class Frames : public ::testing::TestWithParam<bool> {};

TEST_P(Frames, GoBothWaysThroughMergeableBuffers) {
    Card c(mergeable, GetParam());
    std::string out = frame_to(other, 200);
    ASSERT_TRUE(c.send(out));
    EXPECT_EQ(c.wire->sent[0], out);
    for (int round = 0; round < 12; round++) {
        std::vector<Segment> buffers;
        for (int i = 0; i < 4; i++) {
            buffers.push_back(c.r.room(512));
            c.rx->add({}, {buffers.back()});
        }
        std::string in = frame_to(own, 1514);
        c.wire->arrive(in);
        EXPECT_EQ(c.r.peek<u16>(buffers[0].address + 10), 3u); // num_buffers
        EXPECT_EQ(c.receive(buffers), in);
        std::vector<Segment> last = {buffers[3]};
        c.wire->arrive(frame_to(own, 70));
        EXPECT_EQ(c.receive(last), frame_to(own, 70));
    }
    EXPECT_FALSE(c.r.needs_reset());
}
INSTANTIATE_TEST_SUITE_P(Rings, Frames, ::testing::Bool(), [](const auto& i) { return i.param ? "packed" : "split"; });

TEST(Net, FramesWaitForBuffers) {
    Card c(mergeable | event_index);
    std::vector<Segment> buffers = {c.r.room(512), c.r.room(2048)};
    c.rx->add({}, {buffers[0]}); // not enough for the frame
    c.wire->arrive(frame_to(own, 1000));
    Used u;
    EXPECT_FALSE(c.rx->used(u));
    c.rx->add({}, {buffers[1]});
    c.rx->kick();
    std::string got;
    ASSERT_TRUE(c.r.settle([&] { return !(got = c.receive(buffers)).empty(); }));
    EXPECT_EQ(got, frame_to(own, 1000));
    for (int i = 0; i < 1000; i++) c.wire->arrive(frame_to(own, 100));
    EXPECT_EQ(c.wire->dropped(), 1000 - net::BackEnd::max_waiting); // bounded
}

TEST(Net, LegacyHeadersAreShort) {
    Card c(0, false, true);
    ASSERT_TRUE(c.send(frame_to(other, 100), 10));
    EXPECT_EQ(c.wire->sent[0], frame_to(other, 100));
    std::vector<Segment> buffers = {c.r.room(1600)};
    c.rx->add({}, {buffers[0]});
    c.wire->arrive(frame_to(own, 60));
    EXPECT_EQ(c.receive(buffers, 10), frame_to(own, 60));
}

TEST(Net, ConfigurationTellsAddressAndLink) {
    Card c(0);
    EXPECT_EQ(c.r.config(0, 4), 0x12005452u);
    EXPECT_EQ(c.r.config(4, 2), 0x5634u);
    EXPECT_EQ(c.r.config(6, 2), 1u);
}

TEST(Net, FiltersFollowTheDriver) {
    Card c(control | control_rx | vlan_filter);
    std::vector<Segment> buffers;
    for (int i = 0; i < 8; i++) {
        buffers.push_back(c.r.room(256));
        c.rx->add({}, {buffers.back()});
    }
    size_t next = 0;
    auto arrives = [&](const std::string& frame) {
        c.wire->arrive(frame);
        Used u;
        if (!c.rx->used(u)) return false;
        EXPECT_EQ(c.r.text(buffers[next++]).substr(12, frame.size()), frame);
        return true;
    };
    EXPECT_TRUE(arrives(frame_to(other, 64))); // promiscuous after a reset
    EXPECT_EQ(c.command(std::string("\0\0\0", 3)), VIRTIO_NET_OK);
    EXPECT_FALSE(arrives(frame_to(other, 64)));
    EXPECT_TRUE(arrives(frame_to(own, 64)));
    EXPECT_TRUE(arrives(frame_to(everyone, 64)));
    EXPECT_FALSE(arrives(frame_to(group, 64)));
    std::string table = std::string("\x01\x00\x01\0\0\0", 6) + other + std::string("\x01\0\0\0", 4) + group;
    EXPECT_EQ(c.command(table), VIRTIO_NET_OK);
    EXPECT_TRUE(arrives(frame_to(other, 64)));
    EXPECT_TRUE(arrives(frame_to(group, 64)));
    std::string tagged = frame_to(own, 64, std::string_view("\x81\x00\x00\x05", 4));
    EXPECT_FALSE(arrives(tagged));
    EXPECT_EQ(c.command(std::string("\x02\x00\x05\x00", 4)), VIRTIO_NET_OK);
    EXPECT_TRUE(arrives(tagged));
    EXPECT_EQ(c.command(std::string("\x01\x00\xff\xff\xff\xff", 6)), VIRTIO_NET_ERR);
    EXPECT_EQ(c.command(std::string("\x01\x01", 2)), VIRTIO_NET_ERR);
    EXPECT_EQ(c.command(std::string("\x09\x00", 2)), VIRTIO_NET_ERR);
}

TEST(Net, SeveralPairs) {
    Card c(control | many, false, false, 4);
    EXPECT_EQ(c.r.config(8, 2), 4u);
    EXPECT_EQ(c.command(std::string("\x04\x00\x05\x00", 4)), VIRTIO_NET_ERR);
    EXPECT_EQ(c.command(std::string("\x04\x00\x04\x00", 4)), VIRTIO_NET_OK);
    DriverQueue tx3(c.r, 7, {.size = 16});
    Used u;
    ASSERT_TRUE(tx3.run({c.r.bytes(std::string(12, 0)), c.r.bytes(frame_to(other, 64))}, {}, u));
    EXPECT_TRUE(c.r.settle([&] { return c.wire->sent.size() == 1; }));
}

constexpr u64 bit(u32 n) { return u64{1} << n; }
constexpr u32 all_offloads = net::offload::checksum | net::offload::tso4 | net::offload::tso6 | net::offload::ecn;

// flags, gso_type, hdr_len, gso_size, csum_start, csum_offset, num_buffers
std::string header(u8 flags, u8 type, std::string_view rest = std::string_view("\0\0\0\0\0\0\0\0", 8)) {
    return std::string{char(flags), char(type)} + std::string(rest) + std::string(2, 0);
}

TEST(Net, OffloadsAreTheNetworks) {
    Rig plain("virtio-net-device", {{"netdev", "n0"}},
              {.back_ends = [](Machine& m, io::Loop& loop) { m.nets["n0"].peer = std::make_unique<Wire>(loop, 1); }});
    EXPECT_FALSE(plain.negotiate(version_1 | bit(VIRTIO_NET_F_CSUM)));

    Card c(mergeable | control | bit(VIRTIO_NET_F_CSUM) | bit(VIRTIO_NET_F_HOST_TSO4) | bit(VIRTIO_NET_F_GUEST_CSUM) |
               bit(VIRTIO_NET_F_GUEST_TSO4) | bit(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS),
           false, false, 1, all_offloads);
    EXPECT_EQ(c.wire->taken_over, net::offload::checksum | net::offload::tso4);
    auto send = [&](const std::string& head) {
        size_t before = c.wire->sent.size();
        Used u;
        EXPECT_TRUE(c.tx->run({c.r.bytes(head), c.r.bytes(frame_to(other, 2000))}, {}, u));
        c.r.settle([turns = 0]() mutable { return turns++ > 3; });
        return c.wire->sent.size() > before ? c.wire->sent.back() : "";
    };
    std::string cut = header(VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4, "\x36\0\xb4\x05\x22\0\x10\0"sv);
    EXPECT_EQ(send(cut), cut.substr(0, 10) + frame_to(other, 2000));
    EXPECT_EQ(send(header(0, VIRTIO_NET_HDR_GSO_TCPV6)), ""); // not agreed on
    EXPECT_EQ(send(header(0, VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN)), "");
    EXPECT_EQ(send(header(0, 77)), "");

    std::vector<Segment> buffers;
    for (int i = 0; i < 4; i++) {
        buffers.push_back(c.r.room(4096));
        c.rx->add({}, {buffers.back()});
    }
    auto hear = [&](size_t i, const std::string& head) {
        c.wire->arrive(head.substr(0, 10) + frame_to(own, 2000));
        Used u;
        return c.rx->used(u) ? c.r.text(buffers[i]).substr(0, u.bytes) : "";
    };
    std::string one = cut.substr(0, 10) + std::string("\1\0", 2);
    EXPECT_EQ(hear(0, cut), one + frame_to(own, 2000));
    EXPECT_EQ(hear(1, header(0, VIRTIO_NET_HDR_GSO_TCPV6)), "");
    // Only checksums from now on.
    EXPECT_EQ(c.command(std::string("\5\0\2\0\0\0\0\0\0\0", 10)), VIRTIO_NET_OK);
    EXPECT_EQ(c.wire->taken_over, net::offload::checksum);
    EXPECT_EQ(hear(1, cut), "");
    EXPECT_EQ(hear(1, header(VIRTIO_NET_HDR_F_NEEDS_CSUM, 0)),
              header(VIRTIO_NET_HDR_F_NEEDS_CSUM, 0, "\0\0\0\0\0\0\0\0"sv).substr(0, 10) + std::string("\1\0", 2) +
                  frame_to(own, 2000));
    EXPECT_EQ(c.command(std::string("\5\0\0\1\0\0\0\0\0\0", 10)), VIRTIO_NET_ERR); // TSO over IPv6
    c.r.set(VIRTIO_MMIO_STATUS, 0);
    EXPECT_EQ(c.wire->taken_over, 0u);
}

TEST(Net, CablesArePulled) {
    Card c(bit(VIRTIO_NET_F_STATUS));
    c.r.acknowledge();
    u32 before = c.r.raised;
    c.wire->set_link(false);
    EXPECT_EQ(c.r.config(6, 2), 0u);
    EXPECT_GT(c.r.raised, before);
    std::vector<u8> saved = c.r.machine.save();
    c.wire->set_link(true);
    EXPECT_EQ(c.r.config(6, 2), 1u);
    c.r.machine.set_running(false);
    ASSERT_TRUE(c.r.machine.load(saved));
    EXPECT_EQ(c.r.config(6, 2), 0u);
    EXPECT_FALSE(c.wire->link_up());
}

TEST(Net, BadFramesAreLostAndBadBuffersBreak) {
    Card c(mergeable);
    Used u;
    EXPECT_TRUE(c.tx->run({c.r.room(5)}, {}, u)); // shorter than its header
    std::vector<Segment> huge(16, c.r.room(65535));
    EXPECT_TRUE(c.tx->run(huge, {}, u));
    EXPECT_TRUE(c.wire->sent.empty());
    c.rx->add({}, {{0x4000000000, 2000}});
    c.wire->arrive(frame_to(own, 64));
    EXPECT_TRUE(c.r.needs_reset());
}

TEST(Net, AddressesAreChecked) {
    Rig r("virtio-net-device", {{"mac", "52:54:00:12:34"}}, {});
    EXPECT_EQ(r.error, "virtio-net-device: property 'mac': '52:54:00:12:34', expected an Ethernet address like "
                       "52:54:00:12:34:56");
    Rig s("virtio-net-device", {{"netdev", "n7"}}, {});
    EXPECT_EQ(s.error, "virtio-net-device: property 'netdev': there is no netdev 'n7'");
}

// The user network answers ARP for its gateway.
TEST(Net, UserNetworkAnswers) {
    std::string trouble;
    Rig r("virtio-net-device", {{"netdev", "n0"}}, {.back_ends = [&](Machine& m, io::Loop&) {
              auto made = m.add_net({"user", {{"id", "n0"}}});
              if (!made) trouble = made.error().message();
          }});
    ASSERT_EQ(trouble + r.error, "");
    ASSERT_TRUE(r.negotiate(version_1 | mergeable));
    DriverQueue rx(r, 0, {.size = 16}), tx(r, 1, {.size = 16});
    r.driver_ok();
    Segment buffer = r.room(2048);
    rx.add({}, {buffer});
    std::string arp = everyone + own + std::string("\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01", 10) + own +
                      std::string("\x0a\x00\x02\x0f\0\0\0\0\0\0\x0a\x00\x02\x02", 14);
    Used u;
    ASSERT_TRUE(tx.run({r.bytes(std::string(12, 0)), r.bytes(arp)}, {}, u));
    ASSERT_TRUE(r.settle([&] { return rx.used(u); }));
    std::string reply = r.text(buffer).substr(12, 42);
    EXPECT_EQ(reply.substr(0, 6), own);
    EXPECT_EQ(reply.substr(20, 2), std::string("\x00\x02", 2)); // a reply
    EXPECT_EQ(reply.substr(28, 4), std::string("\x0a\x00\x02\x02", 4));
}

} // namespace
} // namespace mimic::devices::virtio
