// The network card (VIRTIO 1.2, 5.1): receive and transmit queues, several pairs where the back end has them, mergeable
// buffers, control queue with filters, MTU, status. Not there: offloads (no back end does them yet), RSS, announcements.
#include "base/trace.hpp"
#include "devices/base/machine.hpp"
#include "devices/virtio/device.hpp"
#include "devices/virtio/net_filter.hpp"
#include "devices/virtio/net_header.hpp"
#include <cstring>

namespace mimic::devices::virtio {

namespace {

MIMIC_TRACE(virtio_net_send, "virtio_net", "send", "{} queue={} bytes={}");
MIMIC_TRACE(virtio_net_receive, "virtio_net", "receive", "{} queue={} bytes={} buffers={}");

constexpr u32 max_pairs = 16;
constexpr u64 retry_delay = 1000000; // of a full back end that nobody wakes

bool parse_mac(const std::string& text, Mac& mac) {
    if (text.size() != 17) return false;
    for (size_t i = 0; i < 6; i++) {
        u32 byte = 0;
        for (size_t j = 0; j < 2; j++) {
            char c = char(text[3 * i + j] | 0x20);
            bool digit = c >= '0' && c <= '9';
            if (!digit && (c < 'a' || c > 'f')) return false;
            byte = byte * 16 + u32(digit ? c - '0' : c - 'a' + 10);
        }
        if (i < 5 && text[3 * i + 2] != ':' && text[3 * i + 2] != '-') return false;
        mac[i] = u8(byte);
    }
    return true;
}

class VirtioNet final : public VirtioDevice, public net::FrontEnd {
public:
    std::string_view type() const override { return "virtio-net-device"; }
    u16 device_id() const override { return 1; }
    void describe(Describe& d) override;
    Result<void> realize() override;
    void unrealize() override;
    u64 device_features() const override;
    void config(ConfigBytes& c) const override;
    void config_written(u32 offset, u8 value) override {
        // Drivers of before 1.0 set the address here.
        if (modern() || offset >= 6) return;
        Mac mac = filter_.mac();
        mac[offset] = value;
        filter_.set_mac(mac);
    }
    void notified(u32 n) override;
    std::string firmware_node() const override { return "ethernet-phy@0"; }
    u32 boot_index() const override { return boot_index_; }
    void forget() override {
        filter_.reset(mac_);
        active_pairs_ = 1;
    }
    void driver_ready() override {
        if (net_.peer) net_.peer->accept_input();
    }

    // ---- net::FrontEnd --------------------------------------------------------------------------------------------
    bool receive(std::span<const u8> frame) override {
        if (machine().frozen()) return false;
        bool taken = true;
        machine().arrive(Port::network, *this, [&] { taken = take_in(frame); });
        return taken;
    }
    void thawed() override {
        writable();
        if (net_.peer) net_.peer->accept_input();
    }
    void writable() override {
        if (machine().frozen()) return;
        machine().arrive(Port::network, *this, [&] {
            for (u32 pair = 0; pair < pairs_; pair++)
                if (usable(2 * pair + 1)) transmit(2 * pair + 1);
        });
    }

private:
    u32 header_bytes() const {
        return modern() || has(VIRTIO_NET_F_MRG_RXBUF) ? sizeof(virtio_net_hdr_mrg_rxbuf) : sizeof(virtio_net_hdr);
    }
    // 5.1.2: behind the queues of all pairs, which count as one without MQ.
    u32 control_queue() const { return has(VIRTIO_NET_F_MQ) ? 2 * pairs_ : 2; }
    void transmit(u32 n);
    bool take_in(std::span<const u8> frame);
    enum class Room : u8 { enough, later, never };
    Room gather_buffers(u32 n, u64 bytes, std::vector<Chain>& chains);
    void control(u32 n);
    bool command(std::span<const u8> bytes);
    u32 steer(std::span<const u8> frame) const;
    Result<void> choose_mac();

    NetRef net_;
    std::string mac_text_;
    Mac mac_{};
    u16 mtu_ = 0;
    u32 speed_ = 0xffffffff, boot_index_ = no_boot_index;
    bool mrg_rxbuf_ = true, status_ = true, ctrl_vq_ = true, ctrl_rx_ = true, ctrl_vlan_ = true, ctrl_mac_addr_ = true,
         ctrl_rx_extra_ = true, mq_ = false;
    u16 pairs_ = 1;

    u16 active_pairs_ = 1;
    NetFilter filter_;
};

void VirtioNet::describe(Describe& d) {
    VirtioDevice::describe(d);
    d.netdev("netdev", net_, "host network that the card is plugged into, by the id of a -netdev");
    d.property("mac", mac_text_, "Ethernet address like 52:54:00:12:34:56; empty: the next free one of that row");
    d.property("bootindex", boot_index_, "firmware starts from the lowest first; 4294967295: from others");
    d.property("host_mtu", mtu_, "largest frame's payload that the driver is told; 0: none", {.low = 0});
    d.property("speed", speed_, "Mbit/s that the driver is told; 4294967295: none");
    d.property("mrg_rxbuf", mrg_rxbuf_, "offer frames in several buffers");
    d.property("status", status_, "offer the state of the link");
    d.property("ctrl_vq", ctrl_vq_, "offer the control queue");
    d.property("ctrl_rx", ctrl_rx_, "offer receive modes");
    d.property("ctrl_rx_extra", ctrl_rx_extra_, "offer more receive modes");
    d.property("ctrl_vlan", ctrl_vlan_, "offer VLAN filters");
    d.property("ctrl_mac_addr", ctrl_mac_addr_, "offer changes of the address");
    d.property("mq", mq_, "offer the queue pairs of the host network");
    d.state("active_pairs", active_pairs_, {.reset = 1, .low = 1, .high = max_pairs});
    filter_.describe(d);
}

Result<void> VirtioNet::choose_mac() {
    if (!mac_text_.empty()) {
        if (parse_mac(mac_text_, mac_) && !(mac_[0] & 1)) return {};
        return Error::invalid_argument("property 'mac': '{}', expected an Ethernet address like 52:54:00:12:34:56",
                                       mac_text_);
    }
    for (u32 n = 0; n < 256; n++) {
        std::string text = fmt::format("52:54:00:12:34:{:02x}", (0x56 + n) & 0xff);
        bool taken = false;
        machine().each([&](Device& other) {
            if (auto mac = get_property(other, "mac")) taken |= *mac == text;
        });
        if (taken) continue;
        mac_text_ = text;
        parse_mac(mac_text_, mac_);
        return {};
    }
    return Error::invalid_argument("property 'mac' is not set, and no address is free");
}

Result<void> VirtioNet::realize() {
    TRY(VirtioDevice::realize());
    TRY(choose_mac());
    if (mtu_ && mtu_ < 68) return Error::invalid_argument("property 'host_mtu': {}, expected at least 68", mtu_);
    if (net_.peer) {
        pairs_ = u16(mq_ ? std::clamp<u32>(net_.peer->queues(), 1, max_pairs) : 1);
        net_.peer->attach(this);
    }
    make_queues(2u * pairs_ + 1);
    filter_.reset(mac_);
    return {};
}

void VirtioNet::unrealize() {
    if (net_.peer) net_.peer->attach(nullptr);
    VirtioDevice::unrealize();
}

u64 VirtioNet::device_features() const {
    u64 f = feature(VIRTIO_NET_F_MAC);
    auto offer = [&](bool on, u32 bit) { f |= on ? feature(bit) : 0; };
    offer(mtu_, VIRTIO_NET_F_MTU);
    offer(mrg_rxbuf_, VIRTIO_NET_F_MRG_RXBUF);
    offer(status_, VIRTIO_NET_F_STATUS);
    offer(ctrl_vq_, VIRTIO_NET_F_CTRL_VQ);
    offer(ctrl_vq_ && ctrl_rx_, VIRTIO_NET_F_CTRL_RX);
    offer(ctrl_vq_ && ctrl_vlan_, VIRTIO_NET_F_CTRL_VLAN);
    offer(ctrl_vq_ && ctrl_rx_extra_, VIRTIO_NET_F_CTRL_RX_EXTRA);
    offer(ctrl_vq_ && ctrl_mac_addr_, VIRTIO_NET_F_CTRL_MAC_ADDR);
    offer(ctrl_vq_ && mq_, VIRTIO_NET_F_MQ);
    offer(speed_ != 0xffffffff, VIRTIO_NET_F_SPEED_DUPLEX);
    return f;
}

void VirtioNet::config(ConfigBytes& c) const {
    for (u8 byte : filter_.mac()) c.field(byte);
    c.field(u16(net_.peer ? VIRTIO_NET_S_LINK_UP : 0));
    c.field(pairs_);
    c.field(mtu_);
    c.field(speed_);
    c.field(u8(speed_ == 0xffffffff ? 0xff : 1)); // full duplex
}

void VirtioNet::notified(u32 n) {
    if (n == control_queue() && ctrl_vq_) return control(n);
    if (n % 2) return transmit(n);
    if (net_.peer) net_.peer->accept_input();
}

// ---- from the guest ---------------------------------------------------------------------------------------------------

void VirtioNet::transmit(u32 n) {
    bool done = false;
    serve(n, [&](Chain& chain) {
        if (net_.peer && !net_.peer->has_room()) {
            serve_again(n, retry_delay);
            return false;
        }
        u64 header = header_bytes(), bytes = total(chain.out);
        if (bytes < header || bytes - header > net::max_frame) {
            trace::guest_error(id(), "a frame of {} bytes, expected {} to {}", bytes, header, header + net::max_frame);
        } else if (net_.peer) {
            net::Frame frame(bytes - header);
            u64 got = dma().gather(chain.out, header, frame.data(), frame.size());
            trace::emit(virtio_net_send, id(), n, got);
            if (got != frame.size())
                trace::guest_error(id(), "a frame is not in memory");
            else if (!frame.empty())
                static_cast<void>(net_.peer->send(std::move(frame)));
        }
        push(n, chain, 0);
        done = true;
        return true;
    });
    if (done) interrupt(n);
}

// ---- to the guest -----------------------------------------------------------------------------------------------------

// A flow stays on its queue: addresses and ports decide.
u32 VirtioNet::steer(std::span<const u8> frame) const {
    if (active_pairs_ == 1 || frame.size() < 38) return 0;
    u32 hash = 2166136261;
    for (size_t i = 26; i < 38; i++) hash = (hash ^ frame[i]) * 16777619;
    return (hash >> 8) % active_pairs_;
}

// Chains with room for the bytes. Not enough: none is taken.
VirtioNet::Room VirtioNet::gather_buffers(u32 n, u64 bytes, std::vector<Chain>& chains) {
    u64 room = 0;
    for (;;) {
        Chain chain;
        Queue::Pop result = pop(n, chain);
        if (result == Queue::Pop::broken) return Room::never;
        if (result == Queue::Pop::chain) {
            u64 more = total(chain.in);
            room += more;
            chains.push_back(std::move(chain));
            if (room >= bytes) return Room::enough;
            if (more == 0) {
                fail(n, "a receive buffer has no room");
                return Room::never;
            }
            if (has(VIRTIO_NET_F_MRG_RXBUF)) continue;
        } else if (arm(n)) {
            continue; // more came meanwhile
        }
        bool too_small = !chains.empty() && !has(VIRTIO_NET_F_MRG_RXBUF);
        for (; !chains.empty(); chains.pop_back()) unpop(n, chains.back());
        if (!too_small) return Room::later;
        trace::guest_error(id(), "a receive buffer of {} bytes, expected {} for a frame", room, bytes);
        return Room::never;
    }
}

// False: the frame should be offered again.
bool VirtioNet::take_in(std::span<const u8> frame) {
    u32 n = 2 * steer(frame);
    if (!running() || !usable(n)) return true; // a card that is not up loses frames
    if (!filter_.lets_in(frame, has(VIRTIO_NET_F_CTRL_VLAN))) return true;
    // Short frames are padded on a wire (802.3, 3.2.8).
    u8 padded[60] = {};
    if (frame.size() < sizeof padded) {
        std::memcpy(padded, frame.data(), frame.size());
        frame = padded;
    }
    std::vector<Chain> chains;
    u64 header_size = header_bytes();
    Room room = gather_buffers(n, header_size + frame.size(), chains);
    if (room != Room::enough) return room == Room::never;
    virtio_net_hdr_mrg_rxbuf header{};
    header.num_buffers = __virtio16(dma().ordered(u16(chains.size())));
    std::vector<u8> message(header_size + frame.size());
    std::memcpy(message.data(), &header, header_size);
    std::memcpy(message.data() + header_size, frame.data(), frame.size());
    std::vector<u32> written;
    u64 at = 0;
    for (const Chain& c : chains) {
        u64 bytes = std::min<u64>(total(c.in), message.size() - at);
        if (dma().scatter(c.in, 0, message.data() + at, bytes) != bytes) {
            fail(n, "a receive buffer is not in memory");
            return true;
        }
        written.push_back(u32(bytes));
        at += bytes;
    }
    trace::emit(virtio_net_receive, id(), n, frame.size(), chains.size());
    push(n, chains, written);
    interrupt(n);
    return true;
}

// ---- control ----------------------------------------------------------------------------------------------------------

void VirtioNet::control(u32 n) {
    serve(n, [&](Chain& chain) {
        constexpr u64 most = 2 + 2 * (4 + 6 * 4096);
        u64 bytes = total(chain.out);
        if (total(chain.in) < 1) {
            fail(n, "a command has no room for its acknowledgement");
            return false;
        }
        u8 ack = VIRTIO_NET_ERR;
        if (bytes >= 2 && bytes <= most) {
            std::vector<u8> text(bytes);
            if (dma().gather(chain.out, 0, text.data(), bytes) == bytes && command(text)) ack = VIRTIO_NET_OK;
        }
        if (ack != VIRTIO_NET_OK) trace::guest_error(id(), "a command of {} bytes is refused", bytes);
        if (dma().scatter(chain.in, 0, &ack, 1) != 1) {
            fail(n, "an acknowledgement is not in memory");
            return false;
        }
        complete(n, chain, 1);
        return true;
    });
}

bool VirtioNet::command(std::span<const u8> bytes) {
    u8 kind = bytes[0], what = bytes[1];
    std::span<const u8> data = bytes.subspan(2);
    if (kind == VIRTIO_NET_CTRL_MQ && what == VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET) {
        if (!has(VIRTIO_NET_F_MQ) || data.size() != 2) return false;
        u32 pairs = u32{data[0]} | u32{data[1]} << 8;
        if (pairs < 1 || pairs > pairs_) return false;
        active_pairs_ = u16(pairs);
        return true;
    }
    return filter_.command(kind, what, data);
}

} // namespace
} // namespace mimic::devices::virtio

namespace mimic::devices {
MIMIC_DEVICE(virtio_net){"virtio-net-device", "virtio-bus", "virtio network card (VIRTIO 1.2, 5.1)",
                         make_device<virtio::VirtioNet>, true};
}
