// Packets of the remote protocol. GDB manual, E.1 "Overview": $data#checksum, acknowledged by + and -; 0x03 interrupts.
#pragma once
#include "base/types.hpp"
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace mimic::gdb {

inline constexpr size_t max_packet = 0x4000; // bytes, as qSupported tells

// From a stream of bytes to the data of packets. Noise between packets is ignored; a packet with a wrong checksum, or one
// that is too long, is lost.
class PacketStream {
public:
    struct Sink {
        std::function<void(std::string)> packet; // unescaped
        std::function<void(bool)> acknowledge;   // + or - of the peer
        std::function<void()> interrupt;         // 0x03
        std::function<void()> damaged;           // wrong checksum
    };
    void feed(std::span<const u8> bytes, const Sink& sink);
    void reset() { *this = {}; }

private:
    enum class State : u8 { outside, data, first_digit, second_digit } state_ = State::outside;
    std::string data_;
    u8 sum_ = 0, told_ = 0;
    bool escaped_ = false, too_long_ = false;
};

// "$data#checksum", with what must be escaped escaped.
std::string make_packet(std::string_view data);

std::string to_hex(std::span<const u8> bytes);
std::string to_hex(std::string_view text);
// False: an odd number of digits, or none of them.
bool from_hex(std::string_view text, std::string& out);
// Takes a hexadecimal number off the front; nothing: there is none, or it has more than 64 bits.
std::optional<u64> take_hex(std::string_view& text);
// Takes `c` off the front; false: something else is there.
bool take(std::string_view& text, char c);

} // namespace mimic::gdb
