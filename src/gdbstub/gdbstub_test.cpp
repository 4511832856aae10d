#include "gdbstub/packet.hpp"
#include <gtest/gtest.h>

namespace mimic::gdb {
namespace {

std::string events_of(PacketStream& s, std::string_view bytes) {
    std::string out;
    s.feed({reinterpret_cast<const u8*>(bytes.data()), bytes.size()},
           {[&](std::string d) { out += "[" + d + "]"; }, [&](bool good) { out += good ? '+' : '-'; },
            [&] { out += "^C"; }, [&] { out += "bad"; }});
    return out;
}

TEST(Packets, AreCutOutOfAnyStream) {
    PacketStream s;
    EXPECT_EQ(events_of(s, "noise+$OK#9a-\x03$#00"), "+[OK]-^C[]");
    std::string pieces;
    for (char c : std::string("$m80,4#")) pieces += events_of(s, std::string_view(&c, 1));
    EXPECT_EQ(pieces, "");
    EXPECT_EQ(events_of(s, "35"), "[m80,4]");
}

TEST(Packets, DamagedAndLongOnesAreLost) {
    PacketStream s;
    EXPECT_EQ(events_of(s, "$OK#9b"), "bad");
    EXPECT_EQ(events_of(s, "$OK#zz"), "bad");
    EXPECT_EQ(events_of(s, make_packet(std::string(max_packet + 1, 'x'))), "bad");
    EXPECT_EQ(events_of(s, make_packet(std::string(max_packet, 'x'))).size(), max_packet + 2);
}

TEST(Packets, EscapedBytesComeBack) {
    std::string data;
    for (int c = 0; c < 256; c++) data += char(c);
    PacketStream s;
    EXPECT_EQ(events_of(s, make_packet(data)), "[" + data + "]");
}

TEST(Hex, NumbersAndBytes) {
    std::string_view text = "1fG";
    EXPECT_EQ(take_hex(text), 0x1fu);
    EXPECT_EQ(text, "G");
    EXPECT_FALSE(take_hex(text));
    text = "12345678901234567"; // 68 bits
    EXPECT_FALSE(take_hex(text));
    std::string out;
    EXPECT_TRUE(from_hex("00ffAb", out));
    EXPECT_EQ(to_hex(out), "00ffab");
    EXPECT_FALSE(from_hex("0", out));
    EXPECT_FALSE(from_hex("0g", out));
}

} // namespace
} // namespace mimic::gdb
