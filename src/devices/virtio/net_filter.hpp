// What a network card lets in (VIRTIO 1.2, 5.1.6.5.1 to 5.1.6.5.3): addresses, kinds of frames, VLANs; and the driver's
// commands about them.
#pragma once
#include "devices/base/describe.hpp"
#include "devices/virtio/queue.hpp"

namespace mimic::devices::virtio {

using Mac = std::array<u8, 6>;

class NetFilter {
public:
    static constexpr u32 max_addresses = 64; // of either table; more: all of that kind are let in

    void describe(Describe& d);
    void reset(const Mac& mac);
    void set_mac(const Mac& mac) { mac_ = mac; }
    const Mac& mac() const { return mac_; }
    // `vlans`: VLAN filtering was negotiated.
    bool lets_in(std::span<const u8> frame, bool vlans) const;
    // Commands of classes RX, MAC and VLAN; `data` follows the two bytes of the command. False: refused.
    bool command(u8 kind, u8 command, std::span<const u8> data);

private:
    bool set_table(std::span<const u8>& data, std::vector<u8>& table, u8& overflow);
    u8 promiscuous_ = 1, all_multicast_ = 0, all_unicast_ = 0, no_multicast_ = 0, no_unicast_ = 0, no_broadcast_ = 0;
    u8 unicast_overflow_ = 0, multicast_overflow_ = 0;
    Mac mac_{};
    std::vector<u8> unicast_, multicast_; // six bytes each
    std::array<u32, 128> vlans_{};        // a bit a VLAN
};

} // namespace mimic::devices::virtio
