// What no other program's image can show: known answers, and errors of the layer below.
#include "base/io/scope.hpp"
#include "block/bytes.hpp"
#include "block/formats/luks/aes.hpp"
#include "block/formats/luks/luks.hpp"
#include "block/formats/vhdx/vhdx.hpp"
#include "block/formats/vmdk/vmdk.hpp"
#include "block/protocols/memory.hpp"
#include <algorithm>
#include <gtest/gtest.h>
#include <random>

namespace mimic::block {
namespace {

std::vector<u8> bytes_of(std::string_view s) { return {s.begin(), s.end()}; }
std::vector<u8> unhex(std::string_view s) {
    std::vector<u8> out;
    for (size_t i = 0; i + 1 < s.size(); i += 2)
        out.push_back(u8(std::stoul(std::string(s.substr(i, 2)), nullptr, 16)));
    return out;
}

// FIPS 197, appendix C.
TEST(Luks, AesKnownAnswers) {
    struct Case {
        size_t key;
        const char* cipher;
    };
    for (Case c : {Case{16, "69c4e0d86a7b0430d8cdb78070b4c55a"}, Case{24, "dda97ca4864cdfe06eaf70a0ec0d7191"},
                   Case{32, "8ea2b7ca516745bfeafc49904b496089"}}) {
        std::vector<u8> key(c.key), plain = unhex("00112233445566778899aabbccddeeff"), many;
        for (size_t i = 0; i < key.size(); i++) key[i] = u8(i);
        luks::Aes aes(key);
        for (bool library : {false, true}) {
            if (library) aes.use_library();
            // Eleven: a group of eight and three.
            many.clear();
            for (int i = 0; i < 11; i++) many.insert(many.end(), plain.begin(), plain.end());
            aes.run(true, many);
            for (int i = 0; i < 11; i++)
                EXPECT_EQ(std::vector<u8>(many.begin() + i * 16, many.begin() + i * 16 + 16), unhex(c.cipher));
            aes.run(false, many);
            EXPECT_EQ(std::vector<u8>(many.end() - 16, many.end()), plain);
        }
    }
}

// RFC 6070, and the same input with SHA-256 (RFC 7914, chapter 11, has others).
TEST(Luks, Pbkdf2KnownAnswers) {
    auto secret = bytes_of("password"), salt = bytes_of("salt");
    EXPECT_EQ(luks::derive(0, secret, salt, 1, 20), unhex("0c60c80f961f0e71f3a9b524af6012062fe037a6"));
    EXPECT_EQ(luks::derive(0, secret, salt, 4096, 20), unhex("4b007901b765489abead49d926f721d065a429c1"));
    EXPECT_EQ(luks::derive(0, bytes_of("passwordPASSWORDpassword"), bytes_of("saltSALTsaltSALTsaltSALTsaltSALTsalt"),
                           4096, 25),
              unhex("3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038"));
    EXPECT_EQ(luks::derive(2, bytes_of("passwd"), salt, 1, 64),
              unhex("55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
                    "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"));
}

TEST(Vhdx, Checksum) { EXPECT_EQ(vhdx::crc32c(bytes_of("123456789")), 0xe3069283u); }

TEST(Vmdk, Descriptors) {
    auto d = vmdk::parse_descriptor(
        "# Disk DescriptorFile\r\nversion=1\r\nCID=0000beef\r\nparentCID=ffffffff\r\n"
        "createType = \"twoGbMaxExtentSparse\"\r\nRW 100 SPARSE \"a b.vmdk\"\r\nRDONLY 8 ZERO\r\n");
    ASSERT_TRUE(d) << d.error().message();
    EXPECT_EQ(d->cid, 0xbeefu);
    EXPECT_EQ(d->text.substr(d->cid_place, 8), "0000beef");
    ASSERT_EQ(d->extents.size(), 2u);
    EXPECT_EQ(d->extents[0].filename, "a b.vmdk");
    EXPECT_EQ(d->extents[1].sectors, 8u);
    for (std::string text : {"CID= 0000beef", "CID=\"0000beef\"", " CID = 0000beef "}) {
        auto other = vmdk::parse_descriptor(text + "\nparentCID=ffffffff\ncreateType=\"x\"\n");
        ASSERT_TRUE(other) << text;
        EXPECT_EQ(other->text.substr(other->cid_place, 8), "0000beef") << text;
    }
    EXPECT_FALSE(vmdk::parse_descriptor("CID=1\n"));
    EXPECT_FALSE(vmdk::parse_descriptor("createType=\"x\"\nRW 5 FLAT\n"));
}

struct Variant {
    const char *format, *options;
};
constexpr Variant variants[] = {{"vmdk", ""},
                                {"vmdk", "zeroed_grain=on"},
                                {"vmdk", "subformat=streamOptimized"},
                                {"vdi", ""},
                                {"vpc", "force_size=on"},
                                {"vhdx", "block_size=1M"},
                                {"qcow", ""},
                                {"qed", "cluster_size=4k,table_size=1"}};

struct Bench {
    std::unique_ptr<io::Loop> loop = std::move(*io::Loop::create());
    Context context{.loop = *loop};
    std::shared_ptr<MemoryImage> image = std::make_shared<MemoryImage>();

    Result<void> create(const Variant& v, u64 size) {
        Json options = *parse_flat(v.options);
        options.set("size", size);
        CreateArguments a{"memory", std::move(options), make_memory_node(context, image)};
        return loop->run(find_driver(v.format)->create(context, a));
    }
    // With a rule of blkdebug, or none.
    Result<NodePtr> open(const Variant& v, const std::string& rule) {
        OpenArguments a;
        a.common.discard = DiscardMode::unmap;
        a.options = Json::object();
        a.no_backing = true;
        a.file = make_memory_node(context, image);
        if (!rule.empty()) {
            OpenArguments below;
            below.common.discard = DiscardMode::unmap;
            below.options = *nest(*parse_flat(rule));
            below.file = a.file;
            a.file = *loop->run(blkdebug_driver.open(context, below));
        }
        return loop->run(find_driver(v.format)->open(context, a));
    }
};

// Writes, zeros, reads and flushes at random; false if one of them failed.
bool change(Bench& b, Node& node, unsigned seed) {
    std::mt19937_64 random(seed);
    bool good = true;
    for (int i = 0; i < 50; i++) {
        std::vector<u8> data(1 + random() % 200000, u8(i));
        u64 at = random() % (node.size() - data.size());
        IoVec memory{std::span<u8>(data)};
        switch (random() % 5) {
        case 0: good &= bool(b.loop->run(node.flush())); break;
        case 1: good &= bool(b.loop->run(node.write_zeroes(at, data.size(), flag::may_unmap))); break;
        case 2: good &= bool(b.loop->run(node.read(at, memory))); break;
        default: good &= bool(b.loop->run(node.write(at, memory)));
        }
    }
    return good;
}

// Errors of the layer below reach the caller; the image stays whole, and what it shows is no other block's.
TEST(Formats, InjectedErrorsArriveAndHarmNothing) {
    constexpr u64 size = 2u << 20;
    for (auto& v : variants) {
        u64 reached = 0;
        for (std::string type : {"write", "read", "flush", "write-zeroes"})
            for (unsigned after = 0; after < 24; after += type == "write" ? 1 : 4) {
                Bench b;
                ASSERT_TRUE(b.create(v, size));
                auto node =
                    b.open(v, fmt::format("inject-error.0.iotype={},inject-error.0.errno={},inject-error.0.after={},"
                                          "inject-error.0.once=on",
                                          type, after % 2 ? 5 : 28, after));
                if (!node) {
                    reached++;
                    continue;
                }
                bool ran = change(b, **node, after);
                auto closed = b.loop->run((*node)->close());
                reached += !ran || !closed;
                node->reset();
                auto again = b.open(v, "");
                ASSERT_TRUE(again) << v.format << " " << type << " " << after << ": " << again.error().message();
                auto report = b.loop->run((*again)->check(Fix::none));
                ASSERT_TRUE(report);
                EXPECT_EQ(report->corruptions, 0u) << v.format << " " << v.options << " " << type << " after " << after
                                                   << ": " << (report->messages.empty() ? "" : report->messages[0]);
                ASSERT_TRUE(b.loop->run((*again)->close()));
            }
        EXPECT_GT(reached, 12u) << v.format << " " << v.options << ": most faults are met";
    }
}

// Writes that fail again and again use up nothing: the tables of a small vdi disk name two blocks.
// Entries of the table at `table` that are changed: two blocks in one place, and one that lies half over another (which are not
// at multiples of the block size from one another in vpc anyhow).
TEST(Formats, BlocksOverEachOther) {
    struct Case {
        const char *format, *options;
        u64 table, second; // where the table lies; what is added to the first entry to make the second
        u32 width;
        bool big_endian;
    };
    for (Case c : {Case{"vdi", "size=8M", 512, 0, 4, false}, Case{"vpc", "size=8M,force_size=on", 1536, 0, 4, true},
                   Case{"vpc", "size=8M,force_size=on", 1536, 8, 4, true}, Case{"qcow", "size=64k", 0, 0, 8, true},
                   Case{"qcow", "size=64k", 0, 512, 8, true}}) {
        auto loop = std::move(*io::Loop::create({.uring = false}));
        Context context{.loop = *loop};
        auto image = std::make_shared<MemoryImage>();
        const Driver& driver = *find_driver(c.format);
        CreateArguments a{"memory", *parse_flat(c.options), make_memory_node(context, image)};
        ASSERT_TRUE(loop->run(driver.create(context, a)));
        auto open = [&] {
            OpenArguments o;
            o.options = Json::object();
            o.file = make_memory_node(context, image);
            return *loop->run(driver.open(context, o));
        };
        NodePtr node = open();
        std::vector<u8> data(512, 7);
        IoVec memory{std::span<u8>(data)};
        u64 block = node->size() / 4;
        for (u64 at : {u64(0), block, 2 * block}) ASSERT_TRUE(loop->run(node->write(at, memory)));
        ASSERT_TRUE(loop->run(node->close()));
        auto word = [&](u64 place) {
            std::vector<u8> raw(c.width);
            IoVec part{std::span<u8>(raw)};
            image->read(place, part);
            return !c.big_endian ? le32(raw.data()) : c.width == 4 ? get32(raw.data()) : get64(raw.data());
        };
        // qcow's first table is behind its header, the second where that says.
        u64 table = c.table ? c.table : word(40), step = block / (c.format[1] == 'c' ? 4096 : 1u << 20);
        if (!c.table) table = word(table);
        if (c.table == 1536) step = block >> 21;
        u64 value = word(table) + c.second;
        std::vector<u8> raw(c.width);
        !c.big_endian  ? put_le32(raw.data(), u32(value))
        : c.width == 4 ? put32(raw.data(), u32(value))
                       : put64(raw.data(), value);
        IoVec part{std::span<u8>(raw)};
        image->write(table + step * c.width, part);
        node = open();
        EXPECT_EQ(loop->run(node->check(Fix::none))->corruptions, 1u) << c.format << " " << c.second;
        auto fixed = loop->run(node->check(Fix::all));
        if (fixed) {
            EXPECT_EQ(fixed->corruptions_fixed, 1u) << c.format;
            EXPECT_EQ(loop->run(node->check(Fix::none))->corruptions, 0u) << c.format;
        }
        ASSERT_TRUE(loop->run(node->close()));
    }
}

TEST(Formats, FailedWritesGiveTheirSpaceBack) {
    constexpr unsigned failures = 8;
    std::string rules;
    for (unsigned i = 0; i < failures; i++)
        rules += fmt::format("{}inject-error.{}.iotype=write,inject-error.{}.once=on", i ? "," : "", i, i);
    for (auto& v : variants) {
        Bench b;
        ASSERT_TRUE(b.create(v, 2u << 20));
        auto node = b.open(v, rules);
        if (!node) continue; // it writes when it is opened
        std::vector<u8> data(70000, 5), seen(70000);
        IoVec out{std::span<u8>(data)}, in{std::span<u8>(seen)};
        Result<void> r;
        for (unsigned i = 0; i <= failures; i++) r = b.loop->run((*node)->write(1000, out));
        ASSERT_TRUE(r) << v.format << ": " << r.error().message();
        ASSERT_TRUE(b.loop->run((*node)->read(1000, in)));
        EXPECT_EQ(seen, data) << v.format << " " << v.options;
        ASSERT_TRUE(b.loop->run((*node)->close()));
    }
}

// A write that failed and is tried again succeeds, and everything is there after the image was closed.
TEST(Formats, ARetriedWriteIsThere) {
    for (auto& v : variants)
        for (unsigned after = 0; after < 8; after++) {
            Bench b;
            ASSERT_TRUE(b.create(v, 2u << 20));
            auto node = b.open(
                v, fmt::format("inject-error.0.iotype=write,inject-error.0.after={},inject-error.0.once=on", after));
            if (!node) continue;
            std::vector<u8> data(70000, 5), seen(70000);
            IoVec out{std::span<u8>(data)}, in{std::span<u8>(seen)};
            for (u64 at : {u64(1000), u64(1) << 20}) {
                auto r = b.loop->run((*node)->write(at, out));
                if (!r) r = b.loop->run((*node)->write(at, out));
                ASSERT_TRUE(r) << v.format << ": " << r.error().message();
            }
            auto closed = b.loop->run((*node)->flush());
            if (!closed) closed = b.loop->run((*node)->flush());
            ASSERT_TRUE(closed) << v.format << ": " << closed.error().message();
            auto ended = b.loop->run((*node)->close()); // the error may come as late as here
            static_cast<void>(ended);
            node->reset();
            auto again = b.open(v, "");
            ASSERT_TRUE(again);
            for (u64 at : {u64(1000), u64(1) << 20}) {
                ASSERT_TRUE(b.loop->run((*again)->read(at, in)));
                EXPECT_EQ(seen, data) << v.format << " " << v.options << " after " << after;
            }
            ASSERT_TRUE(b.loop->run((*again)->close()));
        }
}

// A file whose requests take their time, and which knows its new end before the bytes are there, as files do.
class LateNode final : public Node {
public:
    LateNode(Context& context, std::shared_ptr<MemoryImage> image, u64 seed)
        : Node(context, memory_driver, {})
        , image_(std::move(image))
        , size_(image_->size)
        , random_(seed) {
        set_filename("late");
    }
    u64 size() const override { return size_; }
    bool has_zero_init() const override { return true; }

protected:
    bool grows() const override { return true; }
    Task<Result<void>> do_read(u64 offset, const IoVec& memory) override {
        co_await wait();
        image_->read(offset, memory);
        co_return Result<void>();
    }
    Task<Result<void>> do_write(u64 offset, const IoVec& memory) override {
        size_ = std::max(size_, offset + memory.length());
        co_await wait();
        image_->write(offset, memory);
        co_return Result<void>();
    }
    Task<Result<void>> do_write_zeroes(u64 offset, u64 length, u32) override {
        size_ = std::max(size_, offset + length);
        co_await wait();
        image_->zero(offset, length);
        co_return Result<void>();
    }
    Task<Result<void>> do_flush() override {
        co_await wait();
        co_return Result<void>();
    }

private:
    Task<void> wait() {
        for (u64 n = random_() % 9; n > 0; n--) co_await loop().yield();
    }
    std::shared_ptr<MemoryImage> image_;
    u64 size_;
    std::mt19937_64 random_;
};

constexpr u64 piece = 24 << 10;

Task<Result<void>> write_piece(Node& node, const std::vector<u8>& content, u64 at) {
    IoVec memory{std::span<const u8>(content).subspan(at, std::min(piece, content.size() - at))};
    co_return co_await node.write(at, memory);
}

Task<Result<void>> write_pieces(Node& node, std::vector<u8>& content, u64 seed) {
    std::mt19937_64 random(seed);
    // Pieces next to each other, in the same blocks and tables, all at once; and flushes in between.
    for (int round = 0; round < 6; round++) {
        io::Scope scope(node.loop());
        std::vector<u64> places;
        for (u64 at = 0; at < content.size(); at += piece)
            if (random() % 3 == 0) places.push_back(at);
        std::ranges::shuffle(places, random);
        for (u64 at : places) {
            const bool zeros = random() % 3 == 0;
            const u64 end = std::min<u64>(at + piece, content.size());
            std::fill(content.begin() + long(at), content.begin() + long(end), zeros ? u8(0) : u8(random()));
            scope.spawn(zeros ? node.write_zeroes(at, end - at, flag::may_unmap) : write_piece(node, content, at));
            if (random() % 8 == 0) scope.spawn(node.flush());
        }
        CO_CHECK(co_await scope.join());
    }
    co_return Result<void>();
}

// Requests beside each other, on a file that is late: no write is lost to another's new block, zeros, table, footer or flush.
TEST(Formats, NothingIsLostBesideOthers) {
    constexpr u64 size = 3u << 20;
    std::vector<Variant> all(std::begin(variants), std::end(variants));
    for (const char* options :
         {"", "cluster_size=4k,lazy_refcounts=on", "extended_l2=on", "compat=0.10", "preallocation=metadata"})
        all.push_back({"qcow2", options});
    for (auto& v : all)
        for (u64 seed = 1; seed <= 6; seed++) {
            Bench b;
            ASSERT_TRUE(b.create(v, size));
            OpenArguments a;
            a.options = Json::object();
            a.no_backing = true;
            a.file = std::make_shared<LateNode>(b.context, b.image, seed);
            auto node = b.loop->run(find_driver(v.format)->open(b.context, a));
            a.file.reset();
            ASSERT_TRUE(node) << node.error().message();
            std::vector<u8> content(size), seen(size);
            auto r = b.loop->run(write_pieces(**node, content, seed));
            ASSERT_TRUE(r) << v.format << ": " << r.error().message();
            IoVec memory{std::span<u8>(seen)};
            ASSERT_TRUE(b.loop->run((*node)->read(0, memory)));
            EXPECT_TRUE(seen == content) << v.format << " " << v.options << " " << seed;
            ASSERT_TRUE(b.loop->run((*node)->close()));
            node->reset();
            auto again = b.open(v, "");
            ASSERT_TRUE(again);
            auto report = b.loop->run((*again)->check(Fix::none));
            ASSERT_TRUE(report);
            EXPECT_EQ(report->corruptions, 0u) << v.format << " " << v.options;
            ASSERT_TRUE(b.loop->run((*again)->read(0, memory)));
            EXPECT_TRUE(seen == content) << v.format << " " << v.options << " " << seed << " after reopening";
            ASSERT_TRUE(b.loop->run((*again)->close()));
        }
}

// Read-only, then writable: what opening for writing does is done then.
TEST(Formats, BecomesWritable) {
    for (auto& v : variants) {
        Bench b;
        ASSERT_TRUE(b.create(v, 3u << 20));
        OpenArguments a;
        a.options = Json::object();
        a.common.read_only = true;
        a.file = make_memory_node(b.context, b.image);
        auto node = b.loop->run(find_driver(v.format)->open(b.context, a));
        a.file.reset();
        ASSERT_TRUE(node) << node.error().message();
        ASSERT_TRUE(b.loop->run((*node)->reopen(false))) << v.format;
        std::vector<u8> data(100000, 3), seen(100000);
        IoVec out{std::span<u8>(data)}, in{std::span<u8>(seen)};
        ASSERT_TRUE(b.loop->run((*node)->write(777777, out)));
        ASSERT_TRUE(b.loop->run((*node)->reopen(true)));
        ASSERT_TRUE(b.loop->run((*node)->close()));
        node->reset();
        auto again = b.open(v, "");
        ASSERT_TRUE(again);
        ASSERT_TRUE(b.loop->run((*again)->read(777777, in)));
        EXPECT_EQ(seen, data) << v.format;
        ASSERT_TRUE(b.loop->run((*again)->close()));
    }
}

} // namespace
} // namespace mimic::block
