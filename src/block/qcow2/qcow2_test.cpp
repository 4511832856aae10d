#include "block/protocols/memory.hpp"
#include "block/qcow2/exercise.hpp"
#include <cstdlib>
#include <gtest/gtest.h>
#include <random>
#include <unistd.h>

namespace mimic::block::qcow2 {
namespace {

// A directory that goes with the test.
class Scratch {
public:
    Scratch() {
        char name[] = "/tmp/mimic-qcow2-XXXXXX";
        path_ = mkdtemp(name);
    }
    ~Scratch() {
        std::string command = "rm -rf '" + path_ + "'";
        if (std::system(command.c_str()) != 0) std::perror("rm");
    }
    std::string file(const std::string& name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

struct Bench {
    std::unique_ptr<io::Loop> loop = std::move(*io::Loop::create());
    Context context{.loop = *loop};
    Scratch scratch;

    Result<void> create(const std::string& name, const std::string& options) {
        CreateArguments a{scratch.file(name), *parse_flat(options)};
        return loop->run(qcow2_driver.create(context, a));
    }
    Result<NodePtr> open(const std::string& name, bool writable = true) {
        OpenRequest r;
        r.filename = scratch.file(name);
        r.format = "qcow2";
        r.writable = writable;
        r.cache = "unsafe";
        r.discard = DiscardMode::unmap;
        return loop->run(open_node(context, std::move(r)));
    }
};

std::string message_of(const Result<void>& r) { return r ? "" : r.error().message(); }

struct Variant {
    std::string name, options;
    bool compressed = true, snapshots = true, resize = true;
};

class Random : public ::testing::TestWithParam<Variant> {};

TEST_P(Random, ShowsWhatWasWrittenAndStaysConsistent) {
    for (u64 seed = 1; seed <= 2; seed++) {
        Bench b;
        u64 size = 3u << 20;
        auto made = b.create("a.qcow2", fmt::format("size={},{}", size, GetParam().options));
        ASSERT_TRUE(made) << message_of(made);
        Exercise::Settings s{.snapshots = GetParam().snapshots,
                             .compressed = GetParam().compressed,
                             .resize = GetParam().resize,
                             .max_size = 6u << 20};
        NodePtr node = *b.open("a.qcow2");
        Exercise exercise(*node, std::vector<u8>(size), seed, s);
        for (int round = 0; round < 6; round++) {
            auto r = b.loop->run(exercise.run(60));
            ASSERT_TRUE(r) << "seed " << seed << " round " << round << ": " << message_of(r);
            r = b.loop->run(node->close());
            ASSERT_TRUE(r) << message_of(r);
            node.reset();
            auto again = b.open("a.qcow2");
            ASSERT_TRUE(again) << again.error().message();
            node = *again;
            exercise.reopened(*node);
            auto report = b.loop->run(node->check(Fix::none));
            ASSERT_TRUE(report);
            EXPECT_EQ(report->corruptions, 0u) << (report->messages.empty() ? "" : report->messages[0]);
            EXPECT_EQ(report->leaks, 0u) << "seed " << seed << " round " << round
                                         << (report->messages.empty() ? "" : report->messages[0]);
            r = b.loop->run(exercise.compare());
            ASSERT_TRUE(r) << "seed " << seed << " round " << round << ": " << message_of(r);
        }
        ASSERT_TRUE(b.loop->run(node->close()));
    }
}

INSTANTIATE_TEST_SUITE_P(
    Options, Random,
    ::testing::Values(Variant{"plain", "cluster_size=64k"}, Variant{"small", "cluster_size=512"},
                      Variant{"v2", "compat=0.10,cluster_size=4k"}, Variant{"large", "cluster_size=2M"},
                      Variant{"refcount1", "refcount_bits=1,cluster_size=4k"},
                      Variant{"refcount2", "refcount_bits=2,cluster_size=4k"},
                      Variant{"refcount4", "refcount_bits=4,cluster_size=1k"},
                      Variant{"refcount8", "refcount_bits=8,cluster_size=2k"},
                      Variant{"refcount32", "refcount_bits=32,cluster_size=512"},
                      Variant{"refcount64", "refcount_bits=64,cluster_size=512"},
                      Variant{"lazy", "lazy_refcounts=on,cluster_size=8k"},
                      Variant{"zstd", "compression_type=zstd,cluster_size=16k"},
                      Variant{"extended", "extended_l2=on,cluster_size=16k"},
                      Variant{"extended64", "extended_l2=on,cluster_size=64k"},
                      Variant{"prealloc", "preallocation=metadata,cluster_size=4k"},
                      Variant{"extprealloc", "preallocation=metadata,extended_l2=on,cluster_size=16k"}),
    [](const auto& info_) { return info_.param.name; });

// The state of a machine lies behind the disk's end, belongs to the snapshot that is made of it, and goes with it.
TEST(Qcow2, SnapshotsHaveTheStateOfAMachine) {
    Bench b;
    ASSERT_TRUE(b.create("a", "size=1M,cluster_size=4096"));
    std::vector<u8> state(3000001), back(state.size());
    std::mt19937 random(1);
    for (u8& byte : state) byte = u8(random());
    {
        auto node = *b.open("a");
        IoVec memory{std::span<u8>(state)};
        ASSERT_TRUE(b.loop->run(node->state_write(0, memory)));
        SnapshotInfo info;
        info.name = "1"; // the id of another one would be taken for it
        info.vm_state_size = state.size();
        ASSERT_TRUE(b.loop->run(node->snapshot_create(info)));
        ASSERT_TRUE(b.loop->run(node->state_discard()));
        info.vm_state_size = 0;
        ASSERT_TRUE(b.loop->run(node->snapshot_create(info)));
        ASSERT_TRUE(b.loop->run(node->close()));
    }
    auto node = *b.open("a");
    auto list = node->snapshots();
    ASSERT_EQ(list.size(), 2u);
    auto read = [&](const SnapshotInfo& of, u64 offset, u64 bytes) {
        IoVec memory(back.data(), bytes);
        return message_of(b.loop->run(node->state_read(of, offset, memory)));
    };
    ASSERT_EQ(read(list[0], 0, state.size()), "");
    EXPECT_EQ(back, state);
    ASSERT_EQ(read(list[0], 2097149, 7), "");
    EXPECT_TRUE(std::equal(back.begin(), back.begin() + 7, state.begin() + 2097149));
    EXPECT_NE(read(list[0], state.size() - 1, 2).find("of snapshot '1' ends after 3000001 bytes"), std::string::npos);
    EXPECT_NE(read(list[1], 0, 1).find("ends after 0 bytes"), std::string::npos);
    ASSERT_TRUE(b.loop->run(node->snapshot_delete(list[1])));
    ASSERT_EQ(node->snapshots().size(), 1u);
    EXPECT_EQ(node->snapshots()[0].id, list[0].id);
    EXPECT_EQ(read(list[0], 0, state.size()), "");
    ASSERT_TRUE(b.loop->run(node->snapshot_delete(list[0])));
    ASSERT_TRUE(b.loop->run(node->flush()));
    auto report = b.loop->run(node->check(Fix::none));
    ASSERT_TRUE(report);
    EXPECT_EQ(report->leaks, 0u);
    EXPECT_EQ(report->corruptions, 0u);
    ASSERT_TRUE(b.loop->run(node->close()));
}

TEST(Qcow2, BackingFilesShowThrough) {
    for (std::string options : {"", ",extended_l2=on", ",compat=0.10"}) {
        Bench b;
        ASSERT_TRUE(b.create("base.qcow2", "size=1M,cluster_size=16k"));
        std::vector<u8> content(1u << 20);
        for (size_t i = 0; i < content.size(); i++) content[i] = u8(i * 13 + i / 256);
        {
            NodePtr base = *b.open("base.qcow2");
            IoVec memory{std::span<u8>(content)};
            ASSERT_TRUE(b.loop->run(base->write(0, memory)));
            ASSERT_TRUE(b.loop->run(base->close()));
        }
        ASSERT_TRUE(
            b.create("top.qcow2", "size=2M,cluster_size=16k,backing_file=base.qcow2,backing_fmt=qcow2" + options));
        content.resize(2u << 20);
        NodePtr top = *b.open("top.qcow2");
        Exercise exercise(*top, content, 7, {.snapshots = true, .compressed = true, .resize = false});
        auto r = b.loop->run(exercise.compare());
        ASSERT_TRUE(r) << options << message_of(r);
        r = b.loop->run(exercise.run(300));
        ASSERT_TRUE(r) << options << message_of(r);
        r = b.loop->run(exercise.compare());
        ASSERT_TRUE(r) << options << message_of(r);
        ASSERT_TRUE(b.loop->run(top->close()));
    }
}

TEST(Qcow2, ExternalDataFiles) {
    for (std::string options : {"", ",data_file_raw=on"}) {
        Bench b;
        ASSERT_TRUE(b.create("a.qcow2", "size=2M,data_file=a.data" + options));
        NodePtr node = *b.open("a.qcow2");
        Exercise exercise(*node, std::vector<u8>(2u << 20), 3,
                          {.snapshots = false, .compressed = false, .resize = false, .discard = options.empty()});
        auto r = b.loop->run(exercise.run(200));
        ASSERT_TRUE(r) << message_of(r);
        r = b.loop->run(exercise.compare());
        ASSERT_TRUE(r) << options << message_of(r);
        ASSERT_TRUE(b.loop->run(node->close()));
        if (options.empty()) continue;
        // The raw file alone shows the same.
        OpenRequest raw;
        raw.filename = b.scratch.file("a.data");
        raw.format = "raw";
        NodePtr data = *b.loop->run(open_node(b.context, raw));
        std::vector<u8> seen(2u << 20);
        IoVec memory{std::span<u8>(seen)};
        ASSERT_TRUE(b.loop->run(data->read(0, memory)));
        EXPECT_TRUE(seen == exercise.content());
        ASSERT_TRUE(b.loop->run(data->close()));
    }
}

TEST(Qcow2, TwoWritersAreRefused) {
    Bench b;
    ASSERT_TRUE(b.create("a.qcow2", "size=1M"));
    NodePtr first = *b.open("a.qcow2");
    auto second = b.open("a.qcow2");
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().kind(), ErrorKind::busy);
    EXPECT_NE(second.error().message().find("a.qcow2"), std::string::npos) << second.error().message();
    ASSERT_TRUE(b.loop->run(first->close()));
    first.reset();
    auto third = b.open("a.qcow2");
    ASSERT_TRUE(third);
    ASSERT_TRUE(b.loop->run((*third)->close()));
}

TEST(Qcow2, LostCountsAreRepaired) {
    Bench b;
    ASSERT_TRUE(b.create("a.qcow2", "size=4M,lazy_refcounts=on"));
    std::vector<u8> data(1u << 20, 0x5a);
    {
        NodePtr node = *b.open("a.qcow2");
        IoVec memory{std::span<u8>(data)};
        ASSERT_TRUE(b.loop->run(node->write(0, memory)));
        ASSERT_TRUE(b.loop->run(node->flush()));
        // The program dies here: the counts were never written, and the dirty bit says so.
    }
    auto again = b.open("a.qcow2");
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_FALSE((*again)->info().dirty);
    auto report = b.loop->run((*again)->check(Fix::none));
    ASSERT_TRUE(report);
    EXPECT_EQ(report->corruptions + report->leaks, 0u);
    std::vector<u8> seen(data.size());
    IoVec memory{std::span<u8>(seen)};
    ASSERT_TRUE(b.loop->run((*again)->read(0, memory)));
    EXPECT_TRUE(seen == data);
    ASSERT_TRUE(b.loop->run((*again)->close()));
}

TEST(Qcow2, BitmapsRecordWritesAndPersist) {
    Bench b;
    ASSERT_TRUE(b.create("a.qcow2", "size=4M"));
    auto as_qcow2 = [](NodePtr& n) -> Qcow2& { return static_cast<Qcow2&>(*n); };
    NodePtr node = *b.open("a.qcow2");
    ASSERT_TRUE(b.loop->run(as_qcow2(node).bitmap_add("b0", 65536, true, true)));
    ASSERT_TRUE(b.loop->run(as_qcow2(node).bitmap_add("b1", 65536, false, true)));
    std::vector<u8> data(1000, 1);
    IoVec memory{std::span<u8>(data)};
    ASSERT_TRUE(b.loop->run(node->write(200000, memory)));
    ASSERT_TRUE(b.loop->run(node->close()));
    node = *b.open("a.qcow2", false);
    auto list = node->bitmaps();
    ASSERT_EQ(list.size(), 2u);
    EXPECT_TRUE(list[0].enabled);
    EXPECT_FALSE(list[0].in_use);
    EXPECT_FALSE(list[1].enabled);
    u64 length = 4u << 20;
    EXPECT_FALSE(*b.loop->run(as_qcow2(node).bitmap_state("b0", 0, length)));
    EXPECT_EQ(length, 3u * 65536);
    length = 1u << 20;
    EXPECT_TRUE(*b.loop->run(as_qcow2(node).bitmap_state("b0", 200000, length)));
    EXPECT_EQ(length, 4u * 65536 - 200000);
    length = 4u << 20;
    EXPECT_FALSE(*b.loop->run(as_qcow2(node).bitmap_state("b1", 0, length)));
    EXPECT_EQ(length, 4u << 20);
    auto report = b.loop->run(node->check(Fix::none));
    EXPECT_EQ(report->corruptions + report->leaks, 0u);
    ASSERT_TRUE(b.loop->run(node->close()));
}

TEST(Qcow2, AmendChangesWidthsAndVersions) {
    Bench b;
    ASSERT_TRUE(b.create("a.qcow2", "size=2M,cluster_size=4k"));
    NodePtr node = *b.open("a.qcow2");
    Exercise exercise(*node, std::vector<u8>(2u << 20), 11, {.snapshots = false, .compressed = true, .resize = false});
    ASSERT_TRUE(b.loop->run(exercise.run(100)));
    for (auto* change : {"refcount_bits=64", "refcount_bits=16", "lazy_refcounts=on", "lazy_refcounts=off",
                         "compat=0.10", "compat=1.1", "refcount_bits=32"}) {
        auto r = b.loop->run(node->amend(*parse_flat(change)));
        ASSERT_TRUE(r) << change << ": " << message_of(r);
        r = b.loop->run(exercise.run(30));
        ASSERT_TRUE(r) << change << ": " << message_of(r);
        r = b.loop->run(node->close());
        ASSERT_TRUE(r) << change << ": " << message_of(r);
        node.reset();
        node = *b.open("a.qcow2");
        exercise.reopened(*node);
        auto report = b.loop->run(node->check(Fix::none));
        EXPECT_EQ(report->corruptions + report->leaks, 0u)
            << change << (report->messages.empty() ? "" : report->messages[0]);
        r = b.loop->run(exercise.compare());
        ASSERT_TRUE(r) << change << ": " << message_of(r);
    }
    ASSERT_TRUE(b.loop->run(node->close()));
}

// Errors of the layer below reach the caller; the image stays whole and goes on working.
TEST(Qcow2, InjectedErrorsArriveAndHarmNothing) {
    u64 reached = 0;
    for (std::string type : {"write", "read", "flush", "write-zeroes"})
        for (int error : {5, 28})
            for (int after = 0; after < 40; after += type == "write" ? 1 : 4) {
                Bench b;
                ASSERT_TRUE(b.create("a.qcow2", "size=2M,cluster_size=4k,refcount_bits=16"));
                OpenRequest r;
                r.writable = true;
                r.discard = DiscardMode::unmap;
                r.options = *parse_flat(fmt::format(
                    "driver=qcow2,file.driver=blkdebug,file.image.filename={},file.inject-error.0.iotype={},file."
                    "inject-error.0.errno={},file.inject-error.0.after={},file.inject-error.0.once=on",
                    b.scratch.file("a.qcow2"), type, error, after));
                auto node = b.loop->run(open_node(b.context, r));
                if (!node) {
                    reached++;
                    continue;
                }
                Exercise exercise(**node, std::vector<u8>(2u << 20), u64(after),
                                  {.snapshots = true, .compressed = true, .resize = false});
                auto ran = b.loop->run(exercise.run(60));
                auto closed = b.loop->run((*node)->close());
                reached += !ran || !closed;
                node->reset();
                auto again = b.open("a.qcow2");
                ASSERT_TRUE(again) << again.error().message();
                auto report = b.loop->run((*again)->check(Fix::none));
                ASSERT_TRUE(report);
                EXPECT_EQ(report->corruptions, 0u)
                    << type << " " << error << " after " << after << ": "
                    << (report->messages.empty() ? "" : report->messages[0]) << " " << message_of(ran);
                report = b.loop->run((*again)->check(Fix::all));
                ASSERT_TRUE(report);
                EXPECT_EQ(report->leaks, 0u);
                ASSERT_TRUE(b.loop->run((*again)->close()));
            }
    EXPECT_GT(reached, 50u) << "most faults are met";
}

// A snapshot that cannot be made is not there, and nothing is counted for it.
TEST(Qcow2, ASnapshotThatFailsLeavesNothing) {
    u64 failed = 0;
    for (std::string type : {"write", "flush"})
        for (int after = 0; after < 12; after++) {
            Bench b;
            ASSERT_TRUE(b.create("a.qcow2", "size=2M,cluster_size=4k"));
            {
                auto node = b.open("a.qcow2");
                std::vector<u8> data(300000, 7);
                IoVec memory{std::span<u8>(data)};
                ASSERT_TRUE(b.loop->run((*node)->write(0, memory)));
                ASSERT_TRUE(b.loop->run((*node)->close()));
            }
            OpenRequest r;
            r.writable = true;
            r.options = *parse_flat(fmt::format(
                "driver=qcow2,file.driver=blkdebug,file.image.filename={},file.inject-error.0.iotype={},file."
                "inject-error.0.errno=5,file.inject-error.0.after={},file.inject-error.0.once=on",
                b.scratch.file("a.qcow2"), type, after));
            auto node = b.loop->run(open_node(b.context, r));
            if (!node) continue;
            SnapshotInfo info;
            info.name = "one";
            bool made = bool(b.loop->run((*node)->snapshot_create(info)));
            EXPECT_EQ((*node)->snapshots().size(), made ? 1u : 0u) << type << " after " << after;
            failed += !made;
            b.loop->run((*node)->close()).ignore(); // the fault may come here
            node->reset();
            if (made) continue;
            auto again = b.open("a.qcow2");
            ASSERT_TRUE(again) << again.error().message();
            auto report = b.loop->run((*again)->check(Fix::none));
            ASSERT_TRUE(report);
            EXPECT_EQ(report->corruptions + report->leaks, 0u) << type << " after " << after;
            ASSERT_TRUE(b.loop->run((*again)->close()));
        }
    EXPECT_GT(failed, 3u) << "faults are met";
}

// A header that claims much for a small file costs little and is refused or read with bounds.
TEST(Qcow2, HostileHeaders) {
    Bench b;
    Header good;
    good.size = 1u << 20;
    good.l1_entries = 1;
    good.l1_offset = 3u << 16;
    good.refcount_table_offset = 1u << 16;
    good.refcount_table_clusters = 1;
    auto bytes = *serialize(good);
    auto patched = [&](size_t at, u64 value, int width) {
        auto copy = bytes;
        if (width == 4)
            put32(&copy[at], u32(value));
        else
            put64(&copy[at], value);
        return copy;
    };
    EXPECT_TRUE(parse(bytes));
    EXPECT_FALSE(parse(patched(20, 8, 4))) << "clusters too small";
    EXPECT_FALSE(parse(patched(20, 22, 4))) << "clusters too large";
    EXPECT_FALSE(parse(patched(20, 0xffffffff, 4)));
    EXPECT_FALSE(parse(patched(36, 0x7fffffff, 4))) << "L1 too large";
    EXPECT_FALSE(parse(patched(24, u64(1) << 62, 8))) << "disk too large for its L1";
    EXPECT_FALSE(parse(patched(56, 0x7fffffff, 4))) << "refcount table too large";
    EXPECT_FALSE(parse(patched(40, 12345, 8))) << "L1 unaligned";
    EXPECT_FALSE(parse(patched(60, 70000, 4))) << "too many snapshots";
    EXPECT_FALSE(parse(patched(96, 7, 4))) << "refcounts too wide";
    EXPECT_FALSE(parse(patched(32, 2, 4))) << "encrypted";
    EXPECT_FALSE(parse(patched(72, u64(1) << 40, 8))) << "unknown feature";
    EXPECT_FALSE(parse(patched(8, 1u << 20, 8))) << "backing name outside";
    EXPECT_FALSE(parse(patched(100, 0xfffffff8, 4))) << "header too long";
    EXPECT_FALSE(parse(std::span<const u8>(bytes).first(50)));
    auto why = parse(patched(32, 2, 4));
    EXPECT_NE(why.error().message().find("LUKS"), std::string::npos);
    for (size_t n = 0; n < bytes.size(); n++) {
        auto r = parse(std::span<const u8>(bytes).first(n));
        if (r) { EXPECT_EQ(r->size, good.size); }
    }
}

TEST(Qcow2, FuzzedMetadataIsSurvived) {
    Bench b;
    ASSERT_TRUE(b.create("a.qcow2", "size=1M,cluster_size=512"));
    {
        NodePtr node = *b.open("a.qcow2");
        Exercise exercise(*node, std::vector<u8>(1u << 20), 5, {.resize = false});
        ASSERT_TRUE(b.loop->run(exercise.run(50)));
        ASSERT_TRUE(b.loop->run(node->close()));
    }
    std::vector<u8> file;
    OpenRequest raw;
    raw.filename = b.scratch.file("a.qcow2");
    raw.format = "raw";
    NodePtr whole = *b.loop->run(open_node(b.context, raw));
    file.resize(whole->size());
    IoVec all{std::span<u8>(file)};
    ASSERT_TRUE(b.loop->run(whole->read(0, all)));
    ASSERT_TRUE(b.loop->run(whole->close()));
    std::mt19937_64 random(1);
    unsigned opened = 0;
    for (int i = 0; i < 300; i++) {
        auto copy = file;
        for (u64 k = 0, n = 1 + random() % 8; k < n; k++)
            copy[random() % (random() % 2 ? 4096 : copy.size())] = u8(random());
        auto image = std::make_shared<MemoryImage>();
        IoVec memory{std::span<u8>(copy)};
        image->write(0, memory);
        OpenArguments a;
        a.common.discard = DiscardMode::unmap;
        a.options = Json::object();
        a.no_backing = true;
        a.file = make_memory_node(b.context, image);
        NodePtr below = a.file;
        auto node = b.loop->run(qcow2_driver.open(b.context, a));
        if (!node) continue;
        opened++;
        std::vector<u8> data(65536);
        IoVec part{std::span<u8>(data)};
        auto r = b.loop->run((*node)->read(0, part));
        std::move(r).ignore();
        auto report = b.loop->run((*node)->check(i % 2 ? Fix::all : Fix::none));
        static_cast<void>(report);
        r = b.loop->run((*node)->write(1000, part));
        std::move(r).ignore();
        r = b.loop->run((*node)->close());
        std::move(r).ignore();
    }
    EXPECT_GT(opened, 50u);
}

} // namespace
} // namespace mimic::block::qcow2
