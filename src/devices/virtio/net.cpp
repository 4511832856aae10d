// The network card (VIRTIO 1.2, 5.1): receive and transmit queues, several pairs where the back end has them, mergeable
// buffers, control queue with filters, MTU, status, offloads where the back end has them. Not there: RSS, announcements.
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

// 5.1.3: features about offloads, and what a back end needs for them.
struct OffloadRow {
    std::string_view property, help;
    u32 bit, needs;
};
constexpr OffloadRow offload_rows[] = {
    {"csum", "offer to take frames without checksums", VIRTIO_NET_F_CSUM, net::offload::checksum},
    {"guest_csum", "offer to hand them out", VIRTIO_NET_F_GUEST_CSUM, net::offload::checksum},
    {"guest_tso4", "offer to hand out TCP segments that are not cut yet", VIRTIO_NET_F_GUEST_TSO4, net::offload::tso4},
    {"guest_tso6", "the same over IPv6", VIRTIO_NET_F_GUEST_TSO6, net::offload::tso6},
    {"guest_ecn", "the same with congestion marks", VIRTIO_NET_F_GUEST_ECN, net::offload::ecn},
    {"guest_ufo", "offer to hand out UDP datagrams that are not cut yet", VIRTIO_NET_F_GUEST_UFO, net::offload::ufo},
    {"host_tso4", "offer to cut TCP segments", VIRTIO_NET_F_HOST_TSO4, net::offload::tso4},
    {"host_tso6", "the same over IPv6", VIRTIO_NET_F_HOST_TSO6, net::offload::tso6},
    {"host_ecn", "the same with congestion marks", VIRTIO_NET_F_HOST_ECN, net::offload::ecn},
    {"host_ufo", "offer to cut UDP datagrams", VIRTIO_NET_F_HOST_UFO, net::offload::ufo},
};
constexpr u64 guest_offloads = feature(VIRTIO_NET_F_GUEST_CSUM) | feature(VIRTIO_NET_F_GUEST_TSO4) |
                               feature(VIRTIO_NET_F_GUEST_TSO6) | feature(VIRTIO_NET_F_GUEST_ECN) |
                               feature(VIRTIO_NET_F_GUEST_UFO);

class VirtioNet final : public VirtioDevice, public net::FrontEnd {
public:
    VirtioNet() { std::ranges::fill(offload_, true); }
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
        take_offloads(0);
    }
    void driver_ready() override {
        take_offloads(features());
        if (net_.peer) net_.peer->accept_input();
    }
    Result<void> after_load() override;

    // ---- net::FrontEnd --------------------------------------------------------------------------------------------
    bool receive(std::span<const u8> frame) override {
        if (machine().frozen()) return false;
        bool taken = true;
        machine().arrive(Port::network, *this, [&] { taken = take_in(frame); });
        return taken;
    }
    void link_changed(bool up) override {
        machine().arrive(Port::network, *this, [&] {
            link_down_ = !up;
            if (has(VIRTIO_NET_F_STATUS)) config_changed();
        });
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
    std::optional<net::Frame> frame_of(const Chain& chain);
    bool take_in(std::span<const u8> frame);
    // What the guest's driver does itself, as the back end is told.
    void take_offloads(u64 chosen);
    u32 frame_header() const { return net_.peer && net_.peer->offloads() ? net::offload_header : 0; }
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
         ctrl_rx_extra_ = true, mq_ = false, ctrl_guest_offloads_ = true;
    bool offload_[std::size(offload_rows)]; // properties
    u16 pairs_ = 1;

    u16 active_pairs_ = 1;
    u64 guest_offloads_ = 0; // features that are in force
    bool link_down_ = false;
    NetFilter filter_;
};

void VirtioNet::describe(Describe& d) {
    VirtioDevice::describe(d);
    d.netdev("netdev", net_, "host network that the card is plugged into, by the id of a -netdev");
    d.property("mac", mac_text_, "Ethernet address like 52:54:00:12:34:56; empty: the next free one of that row");
    d.property("bootindex", boot_index_, "firmware starts from the lowest first; -1: from others", {.none = true});
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
    d.property("ctrl_guest_offloads", ctrl_guest_offloads_, "offer changes of what is handed out");
    for (size_t i = 0; i < std::size(offload_rows); i++)
        d.property(offload_rows[i].property, offload_[i], offload_rows[i].help);
    d.state("active_pairs", active_pairs_, {.reset = 1, .low = 1, .high = max_pairs});
    d.state("guest_offloads", guest_offloads_, {.since = 2});
    d.state("link_down", link_down_, {.high = 1, .since = 2, .until = ResetKind::power_on});
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
    const u32 able = net_.peer ? net_.peer->offloads() : 0;
    for (size_t i = 0; i < std::size(offload_rows); i++)
        offer(offload_[i] && able & offload_rows[i].needs, offload_rows[i].bit);
    offer(ctrl_vq_ && ctrl_guest_offloads_ && able, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
    return f;
}

void VirtioNet::take_offloads(u64 chosen) {
    guest_offloads_ = chosen & features() & guest_offloads;
    if (!frame_header()) return;
    u32 set = 0;
    for (const OffloadRow& row : offload_rows)
        if (guest_offloads_ & feature(row.bit)) set |= row.needs;
    net_.peer->take_offloads(set);
}

Result<void> VirtioNet::after_load() {
    TRY(VirtioDevice::after_load());
    take_offloads(guest_offloads_);
    if (net_.peer) net_.peer->set_link(!link_down_, false);
    return {};
}

void VirtioNet::config(ConfigBytes& c) const {
    for (u8 byte : filter_.mac()) c.field(byte);
    c.field(u16(net_.peer && !link_down_ ? VIRTIO_NET_S_LINK_UP : 0));
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

// What a driver may say of a frame (5.1.6.2); nothing without a back end that goes by it.
bool fits(const virtio_net_hdr& h, u64 features, u32 checksum, u32 tso4, u32 tso6, u32 ufo, u32 ecn) {
    auto has = [&](u32 bit) { return (features & feature(bit)) != 0; };
    if (h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM && !has(checksum)) return false;
    if (h.gso_type & VIRTIO_NET_HDR_GSO_ECN && !has(ecn)) return false;
    switch (h.gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
    case VIRTIO_NET_HDR_GSO_NONE: return true;
    case VIRTIO_NET_HDR_GSO_TCPV4: return has(tso4);
    case VIRTIO_NET_HDR_GSO_TCPV6: return has(tso6);
    case VIRTIO_NET_HDR_GSO_UDP: return has(ufo);
    default: return false;
    }
}

// The frame in a chain, with the header that the back end wants; nothing: the guest did it wrong.
std::optional<net::Frame> VirtioNet::frame_of(const Chain& chain) {
    const u64 header = header_bytes(), bytes = total(chain.out), front = frame_header();
    if (bytes < header || bytes - header > net::max_frame) {
        trace::guest_error(id(), "a frame of {} bytes, expected {} to {}", bytes, header, header + net::max_frame);
        return std::nullopt;
    }
    net::Frame frame(front + bytes - header);
    bool there = dma().gather(chain.out, header, frame.data() + front, bytes - header) == bytes - header;
    if (front) {
        virtio_net_hdr h{};
        there &= dma().gather(chain.out, 0, reinterpret_cast<u8*>(&h), sizeof h) == sizeof h;
        if (!fits(h, features(), VIRTIO_NET_F_CSUM, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6,
                  VIRTIO_NET_F_HOST_UFO, VIRTIO_NET_F_HOST_ECN)) {
            trace::guest_error(id(), "a frame with offloads (flags {:#x}, gso_type {:#x}) that were not agreed on",
                               h.flags, h.gso_type);
            return std::nullopt;
        }
        for (auto* field : {&h.hdr_len, &h.gso_size, &h.csum_start, &h.csum_offset})
            *field = __virtio16(dma().ordered(u16(*field)));
        std::memcpy(frame.data(), &h, sizeof h);
    }
    if (there) return frame;
    trace::guest_error(id(), "a frame is not in memory");
    return std::nullopt;
}

void VirtioNet::transmit(u32 n) {
    bool done = false;
    serve(n, [&](Chain& chain) {
        if (net_.peer && !net_.peer->has_room()) {
            serve_again(n, retry_delay);
            return false;
        }
        auto frame = frame_of(chain);
        if (frame) trace::emit(virtio_net_send, id(), n, frame->size() - frame_header());
        if (frame && net_.peer && frame->size() > frame_header()) static_cast<void>(net_.peer->send(*std::move(frame)));
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
    virtio_net_hdr_mrg_rxbuf header{};
    static_assert(sizeof header.hdr == net::offload_header);
    if (frame_header()) {
        if (frame.size() < sizeof header.hdr) return true;
        std::memcpy(&header.hdr, frame.data(), sizeof header.hdr);
        frame = frame.subspan(sizeof header.hdr);
        // Of before the driver chose, or before a reset.
        if (!fits(header.hdr, guest_offloads_, VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4,
                  VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_UFO, VIRTIO_NET_F_GUEST_ECN))
            return true;
        if (!(guest_offloads_ & feature(VIRTIO_NET_F_GUEST_CSUM))) header.hdr.flags = 0;
        for (auto* field : {&header.hdr.hdr_len, &header.hdr.gso_size, &header.hdr.csum_start, &header.hdr.csum_offset})
            *field = __virtio16(dma().ordered(u16(*field)));
    }
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
    if (kind == VIRTIO_NET_CTRL_GUEST_OFFLOADS && what == VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET) {
        if (!has(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) || data.size() != 8) return false;
        u64 wanted = 0;
        for (size_t i = 0; i < 8; i++) wanted |= u64{data[i]} << 8 * i;
        if (wanted & ~(features() & guest_offloads)) return false;
        take_offloads(wanted);
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
