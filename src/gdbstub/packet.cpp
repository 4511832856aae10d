#include "gdbstub/packet.hpp"
#include <fmt/core.h>

namespace mimic::gdb {

namespace {

int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

} // namespace

void PacketStream::feed(std::span<const u8> bytes, const Sink& sink) {
    for (u8 b : bytes) {
        char c = char(b);
        switch (state_) {
        case State::outside:
            if (c == '$') {
                *this = {};
                state_ = State::data;
            } else if (c == '+' || c == '-') {
                sink.acknowledge(c == '+');
            } else if (c == 3) {
                sink.interrupt();
            }
            break;
        case State::data:
            if (c == '#') {
                state_ = State::first_digit;
                break;
            }
            sum_ = u8(sum_ + b);
            if (c == '}' && !escaped_) {
                escaped_ = true;
                break;
            }
            too_long_ |= data_.size() >= max_packet;
            if (!too_long_) data_ += char(escaped_ ? b ^ 0x20 : b);
            escaped_ = false;
            break;
        case State::first_digit:
            told_ = u8(digit(c) << 4);
            state_ = State::second_digit;
            break;
        case State::second_digit: {
            bool good = u8(told_ | digit(c)) == sum_ && !too_long_;
            std::string data;
            data.swap(data_);
            *this = {};
            good ? sink.packet(std::move(data)) : sink.damaged();
            break;
        }
        }
    }
}

std::string make_packet(std::string_view data) {
    std::string out = "$";
    u8 sum = 0;
    auto put = [&](char c) {
        out += c;
        sum = u8(sum + u8(c));
    };
    for (char c : data) {
        if (c == '#' || c == '$' || c == '}' || c == '*') {
            put('}');
            c = char(c ^ 0x20);
        }
        put(c);
    }
    return out + fmt::format("#{:02x}", sum);
}

std::string to_hex(std::span<const u8> bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    out.reserve(2 * bytes.size());
    for (u8 b : bytes) {
        out += digits[b >> 4];
        out += digits[b & 15];
    }
    return out;
}
std::string to_hex(std::string_view text) {
    return to_hex(std::span(reinterpret_cast<const u8*>(text.data()), text.size()));
}

bool from_hex(std::string_view text, std::string& out) {
    out.clear();
    if (text.size() % 2) return false;
    for (size_t i = 0; i < text.size(); i += 2) {
        int high = digit(text[i]), low = digit(text[i + 1]);
        if (high < 0 || low < 0) return false;
        out += char(high << 4 | low);
    }
    return true;
}

std::optional<u64> take_hex(std::string_view& text) {
    u64 v = 0;
    size_t n = 0;
    for (; n < text.size() && digit(text[n]) >= 0; n++) {
        if (v >> 60) return {};
        v = v << 4 | u64(digit(text[n]));
    }
    if (n == 0) return {};
    text.remove_prefix(n);
    return v;
}

bool take(std::string_view& text, char c) {
    if (!text.starts_with(c)) return false;
    text.remove_prefix(1);
    return true;
}

} // namespace mimic::gdb
