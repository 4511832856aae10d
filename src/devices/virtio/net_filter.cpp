#include "devices/virtio/net_filter.hpp"
#include "devices/virtio/net_header.hpp"
#include <cstring>

namespace mimic::devices::virtio {

void NetFilter::describe(Describe& d) {
    d.state("promiscuous", promiscuous_, {.reset = 1, .high = 1});
    d.state("all_multicast", all_multicast_, {.high = 1});
    d.state("all_unicast", all_unicast_, {.high = 1});
    d.state("no_multicast", no_multicast_, {.high = 1});
    d.state("no_unicast", no_unicast_, {.high = 1});
    d.state("no_broadcast", no_broadcast_, {.high = 1});
    d.state("unicast_overflow", unicast_overflow_, {.high = 1});
    d.state("multicast_overflow", multicast_overflow_, {.high = 1});
    d.state("mac_address", mac_);
    d.state("unicast", unicast_, max_addresses * 6);
    d.state("multicast", multicast_, max_addresses * 6);
    d.state("vlans", vlans_);
}

void NetFilter::reset(const Mac& mac) {
    *this = NetFilter();
    mac_ = mac;
}

bool NetFilter::lets_in(std::span<const u8> frame, bool vlans) const {
    if (frame.size() < 14) return false;
    if (promiscuous_) return true;
    if (vlans && frame.size() >= 16 && frame[12] == 0x81 && frame[13] == 0x00) {
        u32 vlan = (u32{frame[14]} << 8 | frame[15]) & 0xfff;
        if (!(vlans_[vlan / 32] >> vlan % 32 & 1)) return false;
    }
    constexpr Mac broadcast = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    auto in = [&](const std::vector<u8>& table) {
        for (size_t i = 0; i < table.size(); i += 6)
            if (std::memcmp(table.data() + i, frame.data(), 6) == 0) return true;
        return false;
    };
    if (std::memcmp(frame.data(), broadcast.data(), 6) == 0) return !no_broadcast_;
    if (frame[0] & 1) return !no_multicast_ && (all_multicast_ || multicast_overflow_ || in(multicast_));
    if (no_unicast_) return false;
    return all_unicast_ || unicast_overflow_ || std::memcmp(frame.data(), mac_.data(), 6) == 0 || in(unicast_);
}

// u32 count, count * 6 bytes.
bool NetFilter::set_table(std::span<const u8>& data, std::vector<u8>& table, u8& overflow) {
    if (data.size() < 4) return false;
    u32 count = u32{data[0]} | u32{data[1]} << 8 | u32{data[2]} << 16 | u32{data[3]} << 24;
    data = data.subspan(4);
    if (count > data.size() / 6) return false;
    overflow = count > max_addresses;
    table.clear();
    if (!overflow) table.assign(data.begin(), data.begin() + 6 * count);
    data = data.subspan(6 * size_t{count});
    return true;
}

bool NetFilter::command(u8 kind, u8 command, std::span<const u8> data) {
    if (kind == VIRTIO_NET_CTRL_RX) {
        u8* const modes[] = {&promiscuous_,  &all_multicast_, &all_unicast_,
                             &no_multicast_, &no_unicast_,    &no_broadcast_};
        if (command >= std::size(modes) || data.size() != 1) return false;
        *modes[command] = data[0] != 0;
        return true;
    }
    if (kind == VIRTIO_NET_CTRL_MAC && command == VIRTIO_NET_CTRL_MAC_ADDR_SET) {
        if (data.size() != 6) return false;
        std::memcpy(mac_.data(), data.data(), 6);
        return true;
    }
    if (kind == VIRTIO_NET_CTRL_MAC && command == VIRTIO_NET_CTRL_MAC_TABLE_SET)
        return set_table(data, unicast_, unicast_overflow_) && set_table(data, multicast_, multicast_overflow_) &&
               data.empty();
    if (kind == VIRTIO_NET_CTRL_VLAN && command <= VIRTIO_NET_CTRL_VLAN_DEL) {
        if (data.size() != 2) return false;
        u32 vlan = u32{data[0]} | u32{data[1]} << 8;
        if (vlan >= 4096) return false;
        u32 bit = u32{1} << vlan % 32;
        vlans_[vlan / 32] = command == VIRTIO_NET_CTRL_VLAN_ADD ? vlans_[vlan / 32] | bit : vlans_[vlan / 32] & ~bit;
        return true;
    }
    return false;
}

} // namespace mimic::devices::virtio
