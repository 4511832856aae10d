// Telnet and WebSocket, bytes against bytes; the texts are those of RFC 854 to 858 and RFC 6455.
#include "chardev/layers/layer.hpp"
#include <gtest/gtest.h>
#include <string>

namespace mimic::chardev {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

struct Peer {
    std::unique_ptr<Layer> layer;
    size_t piece; // bytes that arrive at once
    std::string in, out, error;
    explicit Peer(std::unique_ptr<Layer> l, size_t n = 1000) : layer(std::move(l)), piece(n) {
        Bytes first;
        layer->start(first);
        out.assign(first.begin(), first.end());
    }
    // What is answered.
    std::string say(std::string_view text) {
        std::string before = std::move(out);
        out.clear();
        for (size_t i = 0; i < text.size() && error.empty(); i += piece) {
            std::string_view now = text.substr(i, piece);
            Bytes more_in, more_out;
            auto r = layer->receive({reinterpret_cast<const u8*>(now.data()), now.size()}, more_in, more_out);
            in.append(more_in.begin(), more_in.end());
            out.append(more_out.begin(), more_out.end());
            if (!r) error = r.error().message();
        }
        return out;
    }
    std::string hear(std::string_view text) {
        Bytes sent;
        layer->send({reinterpret_cast<const u8*>(text.data()), text.size()}, sent);
        return {sent.begin(), sent.end()};
    }
    std::string taken() { return std::exchange(in, {}); }
};

class Pieces : public ::testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Sizes, Pieces, ::testing::Values(1, 2, 7, 1000));

constexpr std::string_view offer = "\xff\xfb\x01\xff\xfb\x03\xff\xfb\x00\xff\xfd\x00"sv;

TEST_P(Pieces, TelnetAgreesOnWhatItOffers) {
    Peer p(make_telnet(), GetParam());
    EXPECT_EQ(p.out, offer);
    EXPECT_EQ(p.say("\xff\xfd\x01\xff\xfd\x03\xff\xfd\x00\xff\xfb\x00"s), ""); // all of it: nothing is confirmed twice
    EXPECT_EQ(p.say("\xff\xfd\x01"s), "");
    EXPECT_EQ(p.say("\xff\xfd\x18\xff\xfb\x1f\xff\xfb\x22"s), "\xff\xfc\x18\xff\xfe\x1f\xff\xfe\x22"s); // refused
    EXPECT_EQ(p.say("\xff\xfa\x18\x00xterm\xff\xff\xff\xf0z"s), "");
    EXPECT_EQ(p.taken(), "z");
    EXPECT_EQ(p.say("\xff\xfe\x00\xff\xfc\x00"s), "\xff\xfc\x00\xff\xfe\x00"s); // no binary any more
    EXPECT_EQ(p.say("\xff\xfe\x00\xff\xfc\x00"s), "");
}

TEST_P(Pieces, TelnetCarriesAllBytes) {
    Peer p(make_telnet(), GetParam());
    p.say("\xff\xfd\x00\xff\xfb\x00"s);
    std::string all, doubled;
    for (int i = 0; i < 256; i++) {
        all += char(i);
        doubled += i == 255 ? "\xff\xff"s : std::string(1, char(i));
    }
    p.say(doubled + "\r\0x"s);
    EXPECT_EQ(p.taken(), all + "\r\0x"s);
    EXPECT_EQ(p.hear(all + "\rx"), doubled + "\rx");
}

TEST_P(Pieces, TelnetTerminalsHaveTheirLineEnds) {
    Peer p(make_telnet(), GetParam());
    p.say("a\r\0b\r\nc\0"s);
    EXPECT_EQ(p.taken(), "a\rb\r\nc\0"s);
    EXPECT_EQ(p.hear("a\r"), "a\r");
    EXPECT_EQ(p.hear("b\r\nc"), "\0b\r\nc"s);
}

TEST_P(Pieces, TelnetCommandsAreKeysAndBreaks) {
    Peer p(make_telnet(), GetParam());
    EXPECT_EQ(p.say("a\xff\xf4\xff\xf7\xff\xf8\xff\xf1\xff\xf9\xff\xf2z"s), "");
    EXPECT_EQ(p.taken(), "a\x03\x7f\x15z");
    EXPECT_EQ(p.layer->take_breaks(), 0u);
    p.say("\xff\xf3"s);
    EXPECT_EQ(p.layer->take_breaks(), 1u);
    EXPECT_EQ(p.say("\xff\xf6"s), "\r\n[Yes]\r\n");
}

std::string request(std::string_view more = "", std::string_view version = "13") {
    return fmt::format(
        "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nupgrade: WebSocket\r\nConnection: keep-alive, "
        "Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: {}\r\n{}\r\n",
        version, more);
}

// Masked, as a client's are.
std::string frame(int first, std::string_view payload, int length_bytes = 0, bool masked = true) {
    std::string f(1, char(first));
    size_t n = payload.size();
    if (!length_bytes) length_bytes = n > 65535 ? 8 : n > 125 ? 2 : 1;
    f += char((masked ? 0x80 : 0) | (length_bytes == 8 ? 127 : length_bytes == 2 ? 126 : int(n)));
    for (int i = length_bytes == 1 ? -1 : length_bytes - 1; i >= 0; i--) f += char(n >> 8 * i);
    if (masked) f += "\x12\x34\x56\x78";
    for (size_t i = 0; i < n; i++) f += char(payload[i] ^ (masked ? "\x12\x34\x56\x78"[i % 4] : 0));
    return f;
}

TEST_P(Pieces, WebSocketsShakeHandsAsInTheStandard) {
    Peer p(make_websocket(), GetParam());
    EXPECT_FALSE(p.layer->ready());
    EXPECT_EQ(p.say(request() + frame(0x82, "early")),
              "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"); // section 1.3
    EXPECT_TRUE(p.layer->ready());
    EXPECT_EQ(p.taken(), "early");
    Peer q(make_websocket(), GetParam());
    EXPECT_NE(q.say(request("Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: x, binary\r\n"))
                  .find("Sec-WebSocket-Protocol: binary\r\n"),
              std::string::npos);
}

TEST_P(Pieces, WebSocketsCarryMessages) {
    Peer p(make_websocket(), GetParam());
    p.say(request());
    std::string large(70000, 'x');
    EXPECT_EQ(p.say(frame(0x82, "binary ") + frame(0x81, "text ") + frame(0x82, "") + frame(0x02, "in ") +
                    frame(0x00, "") + frame(0x89, "hello") + frame(0x80, "pieces ") + frame(0x82, large)),
              "\x8a\x05hello"); // a pong
    EXPECT_EQ(p.taken(), "binary text in pieces " + large);
    EXPECT_EQ(p.hear("abc"), "\x82\x03"
                             "abc");
    EXPECT_EQ(p.hear(std::string(300, 'y')), "\x82\x7e\x01\x2c"s + std::string(300, 'y'));
    EXPECT_EQ(p.hear(large).substr(0, 10), "\x82\x7f\0\0\0\0\0\x01\x11\x70"s);
    EXPECT_EQ(p.say(frame(0x88, "\x03\xe8"
                                "bye")),
              "\x88\x02\x03\xe8");
    EXPECT_NE(p.error, "");
    Bytes more;
    p.layer->finish(more);
    EXPECT_TRUE(more.empty());
}

TEST(WebSocket, SaysGoodByeFirst) {
    Peer p(make_websocket());
    p.say(request());
    Bytes out;
    p.layer->finish(out);
    EXPECT_EQ(std::string(out.begin(), out.end()), "\x88\x02\x03\xe9");
}

TEST_P(Pieces, WebSocketsRefuseRequests) {
    auto answer = [&](const std::string& text) {
        Peer p(make_websocket(), GetParam());
        std::string said = p.say(text);
        EXPECT_NE(p.error, "") << text;
        EXPECT_FALSE(p.layer->ready());
        return said.substr(0, said.find('\r'));
    };
    EXPECT_EQ(answer(request("", "8")), "HTTP/1.1 426 Upgrade Required");
    EXPECT_EQ(answer("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "HTTP/1.1 426 Upgrade Required");
    EXPECT_EQ(answer("POST / HTTP/1.1\r\nHost: a\r\n\r\n"), "HTTP/1.1 405 Method Not Allowed");
    EXPECT_EQ(answer("GET / HTTP/1.0\r\nHost: a\r\n\r\n"), "HTTP/1.1 405 Method Not Allowed");
    EXPECT_EQ(answer("rubbish\r\n\r\n"), "HTTP/1.1 400 Bad Request");
    EXPECT_EQ(answer("GET / HTTP/1.1\r\nno colon\r\n\r\n"), "HTTP/1.1 400 Bad Request");
    EXPECT_EQ(answer(std::string(9000, 'a')), "HTTP/1.1 431 Request Header Fields Too Large");
    std::string short_key = request();
    short_key.replace(short_key.find("dGhl"), 24, "dGhlIHNhbXBsZSBub25jZQ");
    EXPECT_EQ(answer(short_key), "HTTP/1.1 400 Bad Request");
}

TEST_P(Pieces, WebSocketsRefuseFrames) {
    for (const std::string& bad :
         {frame(0x82, "x", 0, false), frame(0xc2, "x"), frame(0x83, "x"), frame(0x8b, "x"), frame(0x09, "x"),
          frame(0x89, std::string(126, 'x')), frame(0x80, "x"), frame(0x02, "x") + frame(0x82, "y"),
          frame(0x82, "x", 2), frame(0x82, std::string(200, 'x'), 8), "\x82\xff\x80\0\0\0\0\0\0\0abcd"s}) {
        Peer p(make_websocket(), GetParam());
        p.say(request());
        EXPECT_EQ(p.say(bad), "\x88\x02\x03\xea"); // protocol error
        EXPECT_NE(p.error, "");
    }
    Peer p(make_websocket(), GetParam());
    p.say(request());
    EXPECT_EQ(p.say(frame(0x88, "\x03")), "\x88\x02\x03\xea"); // half a status
}

// One layer through another: what goes in at one end comes out at the other.
TEST(Stack, SpeaksThroughTheLowerLayer) {
    Peer a(stack(make_telnet(), make_telnet())), b(stack(make_telnet(), make_telnet()));
    std::string from_a = a.out, from_b = b.out;
    for (int i = 0; i < 8; i++) {
        std::string next_a = a.say(from_b), next_b = b.say(from_a);
        from_a = next_a;
        from_b = next_b;
    }
    EXPECT_EQ(from_a + from_b, "");
    b.say(a.hear("x\xffy\r\n"));
    EXPECT_EQ(b.taken(), "x\xffy\r\n");
}

} // namespace
} // namespace mimic::chardev
