#include "block/driver.hpp"
#include "block/options.hpp"
#include <gtest/gtest.h>

namespace mimic::block {
namespace {

TEST(Sizes, AreReadWithSuffixes) {
    EXPECT_EQ(*parse_size("0"), 0u);
    EXPECT_EQ(*parse_size("512"), 512u);
    EXPECT_EQ(*parse_size("4k"), 4096u);
    EXPECT_EQ(*parse_size("1.5G"), 1610612736u);
    EXPECT_EQ(*parse_size("0x10"), 16u);
    EXPECT_EQ(*parse_size("7E"), u64(7) << 60);
    for (auto* bad : {"", "k", "-1", "1kk", "16E", "1.5.5k", "0x", "1 k", "18446744073709551616"})
        EXPECT_FALSE(parse_size(bad)) << bad;
}

TEST(Sizes, ArePrintedForPeople) {
    EXPECT_EQ(human_size(0), "0 B");
    EXPECT_EQ(human_size(196 << 10), "196 KiB");
    EXPECT_EQ(human_size(1u << 30), "1 GiB");
    EXPECT_EQ(human_size(1023), "0.999 KiB");
    EXPECT_EQ(human_size(u64(3) << 40), "3 TiB");
}

TEST(Options, FlatFormsBecomeATree) {
    EXPECT_EQ(parse_flat("driver=qcow2,file.filename=a,,b.img,x,nofoo")->dump(),
              R"({"driver": "qcow2", "file": {"filename": "a,b.img"}, "x": "on", "foo": "off"})");
    EXPECT_EQ(parse_flat("a.img,size=1", "filename")->dump(), R"({"filename": "a.img", "size": "1"})");
    EXPECT_EQ(parse_flat("r.0.a=1,r.1.a=2")->dump(), R"({"r": [{"a": "1"}, {"a": "2"}]})");
    EXPECT_FALSE(parse_flat("a=1,a.b=2"));
    EXPECT_FALSE(parse_flat("a..b=2"));
    EXPECT_FALSE(parse_flat("=2"));
}

TEST(Options, ReadersNameWhatIsWrong) {
    struct {
        Json tree;
        std::string expected;
    } cases[] = {
        {*parse_flat("size=x"), "Parameter 'size' of it expects"},
        {*parse_flat("flag=maybe"), "Parameter 'flag' of it expects 'on' or 'off'"},
        {*parse_flat("mode=slow"),
         "Invalid parameter 'slow' for 'mode' of it, expected one of off, metadata, falloc, full"},
        {*parse_flat("other=1"), "it does not support the option 'other'"},
    };
    for (auto& c : cases) {
        OptionReader reader(c.tree, "it");
        std::optional<u64> size;
        std::optional<bool> flag;
        std::optional<u8> mode;
        reader.size("size", size, "");
        reader.boolean("flag", flag, "");
        reader.choice("mode", prealloc_names, mode, "");
        auto r = reader.finish();
        ASSERT_FALSE(r);
        EXPECT_EQ(r.error().message().substr(0, c.expected.size()), c.expected);
    }
}

TEST(Names, RelativeOnesStartBesideTheImage) {
    EXPECT_EQ(combine_path("/a/b.qcow2", "c.img"), "/a/c.img");
    EXPECT_EQ(combine_path("b.qcow2", "c.img"), "c.img");
    EXPECT_EQ(combine_path("/a/b.qcow2", "/c.img"), "/c.img");
    EXPECT_EQ(combine_path("/a/b.qcow2", "nbd://h/x"), "nbd://h/x");
    EXPECT_EQ(combine_path("d/b.qcow2", "../c.img"), "d/../c.img");
    EXPECT_TRUE(has_protocol("nbd:x"));
    EXPECT_FALSE(has_protocol("./a:b"));
}

struct Bench {
    std::unique_ptr<io::Loop> loop = std::move(*io::Loop::create());
    Context context{.loop = *loop};
    Result<NodePtr> open(const std::string& options, bool writable = true) {
        OpenRequest r;
        r.options = *parse_flat(options);
        r.writable = writable;
        return loop->run(open_node(context, std::move(r)));
    }
};

TEST(Open, UnknownThingsAreNamed) {
    Bench b;
    for (std::string text : {"driver=nothing,file.driver=memory", "driver=raw,file.driver=memory,nonsense=1",
                             "driver=raw,file.driver=memory,file.sice=1", "driver=raw,file.driver=file",
                             "driver=raw,file.driver=memory,detect-zeroes=unmap", "driver=raw"})
        EXPECT_FALSE(b.open(text)) << text;
    auto r = b.open("driver=raw,file.driver=memory,nonsense=1");
    EXPECT_NE(r.error().message().find("nonsense"), std::string::npos);
}

TEST(Open, AGuessedRawImageDoesNotBecomeAnotherFormat) {
    Bench b;
    NodePtr guessed = *b.open("file.driver=memory,file.size=1M");
    EXPECT_EQ(guessed->driver().name, "raw");
    std::vector<u8> head(512);
    head[0] = 'Q', head[1] = 'F', head[2] = 'I', head[3] = 0xfb, head[7] = 3;
    IoVec memory{std::span<u8>(head)};
    auto r = b.loop->run(guessed->write(0, memory));
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().kind(), ErrorKind::permission);
    EXPECT_TRUE(b.loop->run(guessed->write(4096, memory)));
    EXPECT_TRUE(b.loop->run(guessed->close()));
    NodePtr named = *b.open("driver=raw,file.driver=memory,file.size=1M");
    EXPECT_TRUE(b.loop->run(named->write(0, memory)));
    EXPECT_TRUE(b.loop->run(named->close()));
}

TEST(Node, DetectsZeroes) {
    Bench b;
    NodePtr node = *b.open("driver=raw,file.driver=memory,file.size=1M,detect-zeroes=on");
    std::vector<u8> zeros(65536);
    IoVec memory{std::span<u8>(zeros)};
    ASSERT_TRUE(b.loop->run(node->write(0, memory)));
    EXPECT_EQ(node->statistics().zero.requests, 1u);
    EXPECT_EQ(node->statistics().write.requests, 0u);
    EXPECT_TRUE(b.loop->run(node->status(0, 1))->zero);
    ASSERT_TRUE(b.loop->run(node->close()));
}

TEST(Node, RawCutsAPartOut) {
    Bench b;
    NodePtr node = *b.open("driver=raw,offset=4k,size=8k,file.driver=memory,file.size=1M");
    EXPECT_EQ(node->size(), 8192u);
    u8 byte = 7;
    IoVec memory(&byte, 1);
    EXPECT_TRUE(b.loop->run(node->write(8191, memory)));
    EXPECT_FALSE(b.loop->run(node->write(8192, memory)));
    EXPECT_TRUE(b.loop->run(node->close()));
    EXPECT_FALSE(b.open("driver=raw,offset=2M,file.driver=memory,file.size=1M"));
    EXPECT_FALSE(b.open("driver=raw,size=2M,file.driver=memory,file.size=1M"));
}

} // namespace
} // namespace mimic::block
