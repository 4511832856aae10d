#include "display/picture.hpp"
#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <zlib.h>

namespace mimic::display {
namespace {

Surface surface(u32 width, u32 height, const PixelFormat& format, const std::vector<u8>& bytes, u32 stride = 0) {
    return {width, height, stride ? stride : width * format.bytes, format, bytes.data(), nullptr};
}
std::vector<u8> rgb(const Surface& s) {
    std::vector<u8> out(u64{s.width} * s.height * 3);
    convert(s, s.whole(), rgb888, out);
    return out;
}

TEST(Pixels, FormatsAreConvertedByTheirDescription) {
    const PixelFormat rgb565{2, {11, 5}, {5, 6}, {0, 5}, {}}, bgr565_be{2, {0, 5}, {5, 6}, {11, 5}, {}, true};
    const PixelFormat xbgr2101010{4, {0, 10}, {10, 10}, {20, 10}, {}}, gray_red{1, {0, 8}, {}, {}, {}};
    struct Case {
        PixelFormat format;
        std::vector<u8> bytes, expected;
    } cases[] = {
        {xrgb8888, {0x33, 0x22, 0x11, 0xff}, {0x11, 0x22, 0x33}},
        {rgb888, {1, 2, 3}, {1, 2, 3}},
        {rgb565, {0x00, 0xf8}, {0xff, 0, 0}},
        {rgb565, {0xe3, 0x07}, {0, 0xff, 0x18}}, // 00000 111111 00011
        {bgr565_be, {0x19, 0x5f}, {0xff, 0x28, 0x18}},
        {xbgr2101010, {0xff, 0x03, 0x08, 0x20}, {0xff, 0x80, 0x80}},
        {gray_red, {0x55}, {0x55, 0, 0}},
    };
    for (const Case& c : cases) EXPECT_EQ(rgb(surface(1, 1, c.format, c.bytes)), c.expected);
}

TEST(Pixels, AnAlphaChannelThatIsNotThereIsOpaque) {
    const PixelFormat argb{4, {16, 8}, {8, 8}, {0, 8}, {24, 8}};
    std::vector<u8> in{0x33, 0x22, 0x11, 0x44}, out(4);
    convert(surface(1, 1, xrgb8888, in), {0, 0, 1, 1}, argb, out);
    EXPECT_EQ(out, (std::vector<u8>{0x33, 0x22, 0x11, 0xff}));
    convert(surface(1, 1, argb, in), {0, 0, 1, 1}, argb, out);
    EXPECT_EQ(out, in);
}

TEST(Pixels, APartOfASurfaceWithAStrideIsCopied) {
    std::vector<u8> in(5 * 4);
    for (u32 i = 0; i < in.size(); i++) in[i] = u8(i);
    const PixelFormat one{1, {0, 8}, {}, {}, {}};
    std::vector<u8> out(4);
    convert(surface(3, 4, one, in, 5), {1, 2, 2, 2}, one, out);
    EXPECT_EQ(out, (std::vector<u8>{11, 12, 16, 17}));
    EXPECT_EQ(surface(3, 4, one, in, 5).bytes(), 18u);
}

TEST(Damage, NeighboursBecomeOneAndManyBecomeCoarse) {
    Damage d;
    d.add({0, 0, 10, 5});
    d.add({0, 5, 10, 5});
    d.add({10, 0, 5, 10});
    d.add({3, 3, 2, 2});
    ASSERT_EQ(d.rects().size(), 1u);
    EXPECT_EQ(d.rects()[0], (Rect{0, 0, 15, 10}));
    d.take();
    EXPECT_TRUE(d.empty());
    for (u32 i = 0; i < 1000; i++) d.add({i * 3, i * 3, 1, 1});
    EXPECT_LE(d.rects().size(), Damage::max_rects);
}

// Whatever is added stays covered.
TEST(Damage, LosesNothing) {
    std::mt19937 random(4);
    for (int round = 0; round < 50; round++) {
        Damage d;
        std::vector<Rect> all;
        for (u32 i = 0; i < 60; i++) {
            all.push_back({u32(random() % 40), u32(random() % 40), u32(random() % 9), u32(random() % 9)});
            d.add(all.back());
        }
        for (const Rect& r : all)
            for (u32 y = r.y; y < r.bottom(); y++)
                for (u32 x = r.x; x < r.right(); x++)
                    EXPECT_TRUE(std::any_of(d.rects().begin(), d.rects().end(), [&](const Rect& c) {
                        return c.contains({x, y, 1, 1});
                    }));
    }
}

struct Card : Source {
    Surface shown = Surface::blank(8, 4);
    std::vector<Rect> draws;
    int refreshes = 0;
    void refresh(Console& c) override {
        refreshes++;
        c.show(shown);
        for (const Rect& r : draws) c.damage(r);
    }
};

struct Window : Listener {
    bool looks_again = true;
    std::string heard;
    bool live() const override { return looks_again; }
    void surface_changed(Console& c) override { heard += fmt::format("surface {} ", c.surface().width); }
    void updated(Console&, std::span<const Rect> parts) override {
        for (const Rect& r : parts) heard += fmt::format("{},{} {}x{} ", r.x, r.y, r.width, r.height);
    }
    void console_gone(Console&) override { heard += "gone "; }
};

TEST(Console, ListenersHearOfSurfacesAndWhatWasDrawn) {
    Card card;
    Consoles all;
    Console& c = all.add(card, "card0");
    Window first, second;
    c.attach(first);
    EXPECT_TRUE(c.watched());
    c.refresh();
    EXPECT_EQ(first.heard, "surface 8 0,0 8x4 ");
    first.heard.clear();
    c.refresh();
    EXPECT_EQ(first.heard, "");
    c.attach(second);
    card.draws = {{2, 1, 2, 1}, {7, 3, 50, 50}, {100, 100, 1, 1}};
    c.refresh();
    EXPECT_EQ(first.heard, "2,1 2x1 7,3 1x1 ");
    EXPECT_EQ(second.heard, "surface 8 0,0 8x4 ");
    card.draws.clear();
    card.shown = Surface::blank(16, 4);
    c.refresh();
    EXPECT_EQ(second.heard, "surface 8 0,0 8x4 surface 16 0,0 16x4 ");
    c.detach(first);
    EXPECT_TRUE(c.watched());
    c.detach(second);
    EXPECT_FALSE(c.watched());
}

TEST(Console, NothingHappensWhenNobodyLooks) {
    Card card;
    Consoles all;
    Console& c = all.add(card, "card0");
    c.damage({0, 0, 1, 1});
    EXPECT_EQ(card.refreshes, 0);
    Window window;
    c.attach(window);
    c.refresh();
    window.heard.clear();
    c.refresh();
    EXPECT_EQ(window.heard, "") << "what was drawn before it came";
    Window once;
    once.looks_again = false;
    c.detach(window);
    c.attach(once);
    EXPECT_FALSE(c.watched()) << "one picture needs no watching";
    c.detach(once);
}

TEST(Console, IsFoundByIndexAndByDeviceAndHead) {
    Card card;
    Consoles all;
    Console& a = all.add(card, "card0", 0);
    Console& b = all.add(card, "card0", 1);
    Window window;
    a.attach(window);
    EXPECT_EQ(all.find(1), &b);
    EXPECT_EQ(all.find("card0", 1), &b);
    EXPECT_EQ(all.find("card0", 2), nullptr);
    EXPECT_EQ(all.find("card1", 0), nullptr);
    all.remove(a);
    EXPECT_EQ(window.heard, "gone ");
    EXPECT_EQ(all.find(0), nullptr);
    EXPECT_EQ(all.add(card, "card1").index(), 0u);
    EXPECT_EQ(all.find(1), &b);
}

std::string written(Result<void> (*write)(const Picture&, const Sink&), const Picture& p) {
    std::string out;
    EXPECT_TRUE(write(p, [&](std::span<const u8> bytes) {
        out.append(bytes.begin(), bytes.end());
        return Result<void>();
    }));
    return out;
}

TEST(Picture, PpmIsTheBytes) {
    EXPECT_EQ(written(write_ppm, {2, 1, {1, 2, 3, 4, 5, 6}}), "P6\n2 1\n255\n\1\2\3\4\5\6");
}

u32 be32(const char* at) {
    u32 v = 0;
    std::memcpy(&v, at, 4);
    return __builtin_bswap32(v);
}

// Read back by the specification's chunks, with more data than one chunk holds.
TEST(Picture, PngComesBack) {
    Picture p{300, 200, {}};
    std::mt19937 random(1);
    p.rgb.resize(300 * 200 * 3);
    for (u8& b : p.rgb) b = u8(random());
    std::string png = written(write_png, p), packed;
    ASSERT_EQ(png.substr(0, 8), "\x89PNG\r\n\x1a\n");
    u32 chunks = 0;
    for (size_t at = 8; at < png.size(); chunks++) {
        u32 n = be32(&png[at]);
        ASSERT_LE(at + 12 + n, png.size());
        std::string type = png.substr(at + 4, 4), data = png.substr(at + 8, n);
        EXPECT_EQ(crc32(0, reinterpret_cast<const Bytef*>(&png[at + 4]), n + 4), be32(&png[at + 8 + n])) << type;
        EXPECT_TRUE(type != "IHDR" || data == std::string("\0\0\1\x2c\0\0\0\xc8\x08\x02\0\0\0", 13));
        if (type == "IDAT") packed += data;
        at += 12 + n;
    }
    EXPECT_GT(chunks, 4u);
    EXPECT_EQ(png.substr(png.size() - 8, 4), "IEND");
    std::vector<u8> rows(901 * 200);
    uLongf size = rows.size();
    ASSERT_EQ(uncompress(rows.data(), &size, reinterpret_cast<const Bytef*>(packed.data()), packed.size()), Z_OK);
    ASSERT_EQ(size, rows.size());
    for (u32 y = 0; y < 200; y++) {
        ASSERT_EQ(rows[y * 901], 2) << "the filter that takes the row above";
        for (u32 i = 0; i < 900; i++)
            ASSERT_EQ(u8(rows[y * 901 + 1 + i] + (y ? p.rgb[(y - 1) * 900 + i] : 0)), p.rgb[y * 900 + i]);
    }
}

TEST(Picture, AFullDiskIsAnError) {
    u32 calls = 0;
    auto full = [&](std::span<const u8>) -> Result<void> {
        if (++calls < 3) return {};
        return Error::no_space("full");
    };
    EXPECT_FALSE(write_png({1, 1, {1, 2, 3}}, full));
}

TEST(Picture, ShowsTheConsole) {
    Card card;
    Consoles all;
    Console& c = all.add(card, "card0");
    Picture p = take_picture(c);
    EXPECT_EQ(p.width, 8u);
    EXPECT_EQ(p.rgb, std::vector<u8>(8 * 4 * 3));
    EXPECT_FALSE(c.watched());
}

} // namespace
} // namespace mimic::display
