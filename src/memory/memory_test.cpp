#include "memory/address_space.hpp"
#include <atomic>
#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <thread>
#include <unistd.h>

namespace mimic::memory {
namespace {

std::unique_ptr<RamBlock> ram(const char* name, u64 size, RamBlock::Backing backing = RamBlock::Backing::anonymous) {
    auto block = RamBlock::create(name, size, {.backing = backing});
    EXPECT_TRUE(block) << (block ? "" : block.error().message());
    return std::move(*block);
}

// Bytes that remember how they were reached.
struct Scratch : Handler {
    std::vector<u8> bytes = std::vector<u8>(64);
    std::string log;
    Outcome read(u64 offset, u32 n, u64& value, Attributes) override {
        log += fmt::format("r{}.{} ", offset, n);
        value = 0;
        std::memcpy(&value, &bytes[offset], n);
        return Outcome::ok;
    }
    Outcome write(u64 offset, u32 n, u64 value, Attributes) override {
        log += fmt::format("w{}.{} ", offset, n);
        std::memcpy(&bytes[offset], &value, n);
        return Outcome::ok;
    }
};

TEST(Ram, RefusesSizesThatAreNoPages) {
    auto block = RamBlock::create("ram", 4097, {});
    ASSERT_FALSE(block);
    EXPECT_EQ(block.error().message(), "memory 'ram': size 4097 is no multiple of 4096 bytes");
    EXPECT_FALSE(RamBlock::create("ram", 0, {}));
    EXPECT_FALSE(RamBlock::create("ram", 1ull << 62, {}));
}

TEST(Ram, EveryBackingHoldsBytes) {
    for (auto backing : {RamBlock::Backing::anonymous, RamBlock::Backing::memfd, RamBlock::Backing::huge}) {
        auto block = ram("ram", 4 << 20, backing);
        EXPECT_EQ(block->host()[12345], 0);
        block->host()[12345] = 7;
        EXPECT_EQ(block->host()[12345], 7);
        EXPECT_EQ(block->fd() >= 0, backing == RamBlock::Backing::memfd);
    }
}

TEST(Ram, DiscardedPagesAreZeroAndWritten) {
    constexpr u64 page = RamBlock::page_size;
    for (auto backing : {RamBlock::Backing::anonymous, RamBlock::Backing::memfd}) {
        auto block = ram("r", 4 * page, backing);
        std::memset(block->host(), 7, 4 * page);
        for (u64 at = 0; at < 4 * page; at += page) block->watch(at, RamBlock::migration);
        block->discard(page - 1, 2 * page + 2);
        for (auto [at, value] : {std::pair{page - 1, 7}, {page, 0}, {3 * page - 1, 0}, {3 * page, 7}})
            EXPECT_EQ(block->host()[at], value) << at;
        for (auto [n, written] : {std::pair{0u, false}, {1u, true}, {2u, true}, {3u, false}})
            EXPECT_EQ(block->test_and_clear_dirty(n * page, RamBlock::migration), written) << n;
        block->discard(1, page); // no whole page
        EXPECT_EQ(block->host()[0], 7);
    }
}

TEST(Ram, FilesAndFolders) {
    const std::string folder = testing::TempDir(), path = folder + "ram-" + std::to_string(getpid());
    constexpr u64 size = 4 * RamBlock::page_size;
    auto make = [&](const std::string& where, bool shared, u64 bytes) {
        return RamBlock::create(
            "r", bytes, {.backing = RamBlock::Backing::file, .shared = shared, .prealloc = true, .path = where});
    };
    {
        auto block = make(path, true, size);
        ASSERT_TRUE(block) << block.error().message();
        (*block)->host()[5] = 9;
    }
    {
        auto block = make(path, false, size); // its own copy
        ASSERT_TRUE(block);
        EXPECT_EQ((*block)->host()[5], 9);
        (*block)->host()[5] = 1;
    }
    {
        auto block = make(path, true, size);
        ASSERT_TRUE(block);
        EXPECT_EQ((*block)->host()[5], 9);
        auto larger = make(path, true, 2 * size);
        ASSERT_FALSE(larger);
        EXPECT_EQ(larger.error().message(),
                  fmt::format("memory 'r': {} has {} bytes, expected none or at least {}", path, size, 2 * size));
    }
    unlink(path.c_str());
    EXPECT_TRUE(make(folder, true, size));
    EXPECT_FALSE(make("/nonexistent/x", true, size));
}

TEST(Ram, ACopiedMemfdIsPrivate) {
    auto block = RamBlock::create("r", RamBlock::page_size, {.backing = RamBlock::Backing::memfd, .copied = true});
    ASSERT_TRUE(block);
    (*block)->host()[0] = 3;
    u8 there = 7;
    ASSERT_EQ(pread((*block)->fd(), &there, 1, 0), 1);
    EXPECT_EQ(there, 0);
}

// A reserve is small, on most hosts empty: what was not refused can be written to.
TEST(Ram, HugePagesThatAreNotThereAreRefused) {
    constexpr u64 page = 2 << 20, size = 64 * page;
    auto block = RamBlock::create("r", size, {.hugetlb = true, .hugetlb_size = page});
    if (!block) {
        EXPECT_NE(block.error().message().find("memory 'r': cannot"), std::string::npos);
        return;
    }
    for (u64 at = 0; at < size; at += page) (*block)->host()[at] = 1;
}

TEST(Ram, DirtyFlagsFollowWatchers) {
    auto block = ram("ram", 4 * 4096);
    EXPECT_TRUE(block->writes_are_free(0));
    block->watch(4096, RamBlock::display);
    EXPECT_FALSE(block->writes_are_free(4096));
    EXPECT_FALSE(block->test_and_clear_dirty(4096, RamBlock::display));
    block->note_write(4095, 2); // both pages
    EXPECT_TRUE(block->writes_are_free(4096));
    EXPECT_TRUE(block->test_and_clear_dirty(4096, RamBlock::display));
    EXPECT_FALSE(block->test_and_clear_dirty(4096, RamBlock::display));
    EXPECT_TRUE(block->test_and_clear_dirty(4096, RamBlock::migration));
}

TEST(Ram, WritesToCodeAreTold) {
    auto block = ram("ram", 4 * 4096);
    std::string told;
    block->on_code_write = [&](RamBlock&, u64 offset, u64 n) { told += fmt::format("{}+{} ", offset, n); };
    block->note_write(4096, 8);
    EXPECT_EQ(told, "");
    block->watch(4096, RamBlock::code);
    EXPECT_FALSE(block->writes_are_free(4096));
    block->note_write(4000, 200);
    block->note_write(8192, 8);
    EXPECT_EQ(told, "4000+200 ");
}

TEST(Space, PrioritiesDecideAndHolesShowWhatIsBelow) {
    auto low = ram("low", 0x4000), high = ram("high", 0x1000);
    Region root("system", ~u64{0}), r("low", *low, 0, 0x4000, false), h("high", *high, 0, 0x1000, false);
    root.add(r, 0x1000);
    root.add(h, 0x2000, 1);
    AddressSpace space("memory", root);
    EXPECT_EQ(space.find(0xfff).kind, Place::Kind::nothing);
    EXPECT_EQ(space.find(0xfff).left, 1u);
    EXPECT_EQ(space.find(0x1ff0).block, low.get());
    EXPECT_EQ(space.find(0x1ff0).left, 0x10u);
    EXPECT_EQ(space.find(0x2000).block, high.get());
    EXPECT_EQ(space.find(0x3004).block, low.get());
    EXPECT_EQ(space.find(0x3004).offset, 0x2004u);
    h.set_enabled(false);
    EXPECT_EQ(space.find(0x2000).block, low.get());
    h.set_enabled(true);
    h.move(0x4800);
    EXPECT_EQ(space.find(0x2000).block, low.get());
    EXPECT_EQ(space.find(0x5000).offset, 0x800u);
    EXPECT_EQ(space.find(0x5000).block, high.get());
    root.remove(h);
    EXPECT_EQ(space.find(0x5000).kind, Place::Kind::nothing);
}

TEST(Space, OfEqualPrioritiesTheLastAddedWins) {
    auto a = ram("a", 0x1000), b = ram("b", 0x1000);
    Region root("system", ~u64{0}), first("a", *a, 0, 0x1000, false), second("b", *b, 0, 0x1000, false);
    root.add(first, 0);
    root.add(second, 0);
    AddressSpace space("memory", root);
    EXPECT_EQ(space.find(0).block, b.get());
}

TEST(Space, AliasesShowPartsOfNestedContainers) {
    auto block = ram("ram", 0x10000);
    Region root("system", ~u64{0}), box("box", 0x20000), inner("ram", *block, 0, 0x10000, false);
    box.add(inner, 0x1000);
    Region alias("window", box, 0x2000, 0x3000);
    root.add(alias, 0xffff0000);
    AddressSpace space("memory", root);
    Place p = space.find(0xffff0010);
    EXPECT_EQ(p.block, block.get());
    EXPECT_EQ(p.offset, 0x1010u);
    EXPECT_EQ(p.left, 0x3000u - 0x10);
    EXPECT_EQ(space.find(0xffff3000).kind, Place::Kind::nothing);
    inner.move(0x3000); // seen through the alias
    EXPECT_EQ(space.find(0xffff0010).kind, Place::Kind::nothing);
    EXPECT_EQ(space.find(0xffff1010).offset, 0x10u);
}

TEST(Space, TopOfTheAddressSpace) {
    auto block = ram("ram", 0x1000);
    Region root("system", ~u64{0}), r("ram", *block, 0, 0x1000, false);
    root.add(r, ~u64{0} - 0xfff);
    AddressSpace space("memory", root);
    u32 v = 5, back = 0;
    EXPECT_EQ(space.write(~u64{0} - 3, &v, 4), Outcome::ok);
    EXPECT_EQ(space.read(~u64{0} - 3, &back, 4), Outcome::ok);
    EXPECT_EQ(back, 5u);
}

// A tree of random regions, each address of which is looked up the slow way, too.
TEST(Space, FlatViewAgreesWithWalkingTheTree) {
    std::mt19937_64 random(7);
    auto block = ram("ram", 0x10000);
    for (int round = 0; round < 200; round++) {
        struct Piece {
            u64 at, size;
            int priority;
        };
        std::vector<Piece> pieces;
        Region root("system", 0x1000);
        std::vector<std::unique_ptr<Region>> regions;
        for (int i = 0; i < 12; i++) {
            Piece p{random() % 0x1000, 1 + random() % 0x400, int(random() % 3)};
            regions.push_back(std::make_unique<Region>("r", *block, u64(i) * 0x800, p.size, false));
            root.add(*regions.back(), p.at, p.priority);
            pieces.push_back(p);
        }
        AddressSpace space("memory", root);
        for (u64 a = 0; a < 0x1000; a += 1 + random() % 7) {
            int best = -1;
            for (int i = 0; i < 12; i++)
                if (a >= pieces[i].at && a - pieces[i].at < pieces[i].size &&
                    (best < 0 || pieces[i].priority >= pieces[best].priority))
                    best = i;
            Place p = space.find(a);
            ASSERT_EQ(p.kind == Place::Kind::ram, best >= 0) << a;
            if (best >= 0) { ASSERT_EQ(p.offset, u64(best) * 0x800 + a - pieces[best].at); }
        }
    }
}

struct AccessCase {
    AccessRules rules;
    u64 offset;
    u32 bytes;
    Outcome outcome;
    u64 value;
    const char* log;
};

TEST(Device, AccessesAreSplitWidenedAndRefused) {
    const AccessCase cases[] = {
        {{}, 0, 4, Outcome::ok, 0x03020100, "r0.4 "},
        {{}, 1, 4, Outcome::device_error, 0, ""},
        {{.unaligned = true}, 1, 4, Outcome::ok, 0x04030201, "r1.1 r2.2 r4.1 "},
        {{.max = 4}, 0, 8, Outcome::device_error, 0, ""},
        {{.min = 4}, 0, 2, Outcome::device_error, 0, ""},
        {{.implemented_max = 4}, 8, 8, Outcome::ok, 0x0f0e0d0c0b0a0908, "r8.4 r12.4 "},
        {{.implemented_max = 1}, 4, 4, Outcome::ok, 0x07060504, "r4.1 r5.1 r6.1 r7.1 "},
        {{.implemented_min = 4, .implemented_max = 4}, 6, 1, Outcome::ok, 0x06, "r4.4 "},
        {{.implemented_min = 4, .implemented_max = 4, .unaligned = true}, 3, 2, Outcome::ok, 0x0403, "r0.4 r4.4 "},
        {{.big_endian = true}, 0, 4, Outcome::ok, 0x00010203, "r0.4 "},
        {{.implemented_max = 2, .big_endian = true}, 0, 4, Outcome::ok, 0x02030001, "r0.2 r2.2 "},
    };
    for (const AccessCase& c : cases) {
        Scratch scratch;
        for (u32 i = 0; i < 64; i++) scratch.bytes[i] = u8(i);
        Region root("system", ~u64{0}), device("dev", scratch, c.rules, 64);
        root.add(device, 0x1000);
        AddressSpace space("memory", root);
        u64 value = 0;
        EXPECT_EQ(space.read_value(0x1000 + c.offset, c.bytes, value, {}), c.outcome);
        EXPECT_EQ(value, c.value) << c.offset << "." << c.bytes;
        EXPECT_EQ(scratch.log, c.log);
        if (c.outcome != Outcome::ok) continue;
        // Written back, the bytes are what they were.
        std::vector<u8> before = scratch.bytes;
        bool whole = c.rules.implemented_min == 1;
        EXPECT_EQ(space.write_value(0x1000 + c.offset, c.bytes, value, {}), Outcome::ok);
        if (whole) { EXPECT_EQ(scratch.bytes, before); }
    }
}

TEST(Space, TransfersCrossRanges) {
    auto block = ram("ram", 0x1000);
    Scratch scratch;
    Region root("system", ~u64{0}), r("ram", *block, 0, 0x1000, false), device("dev", scratch, {.max = 4}, 16);
    root.add(r, 0);
    root.add(device, 0x1000);
    AddressSpace space("memory", root);
    u8 data[20];
    for (u32 i = 0; i < 20; i++) data[i] = u8(0x40 + i);
    EXPECT_EQ(space.write(0xffb, data, 20), Outcome::ok);
    EXPECT_EQ(scratch.log, "w0.4 w4.4 w8.4 w12.2 w14.1 ");
    EXPECT_EQ(block->host()[0xfff], 0x44);
    EXPECT_EQ(scratch.bytes[0], 0x45);
    u8 back[20] = {};
    EXPECT_EQ(space.read(0xffb, back, 20), Outcome::ok);
    EXPECT_EQ(std::memcmp(data, back, 20), 0);
    EXPECT_EQ(space.read(0x100c, back, 20), Outcome::decode_error);
}

TEST(Space, RomIgnoresWritesButNotThoseOfDebuggers) {
    auto block = ram("rom", 0x1000);
    Region root("system", ~u64{0}), r("rom", *block, 0, 0x1000, true);
    root.add(r, 0);
    AddressSpace space("memory", root);
    u32 v = 9;
    EXPECT_EQ(space.write(0, &v, 4), Outcome::ok);
    EXPECT_EQ(block->host()[0], 0);
    EXPECT_EQ(space.write(0, &v, 4, {.debug = true}), Outcome::ok);
    EXPECT_EQ(block->host()[0], 9);
}

TEST(Space, FlashReadsAsMemoryWhileReadable) {
    auto block = ram("flash", 0x1000);
    Scratch scratch;
    Region root("system", ~u64{0}), r("flash", *block, scratch, {});
    root.add(r, 0);
    AddressSpace space("memory", root);
    block->host()[0] = 0x5a;
    u64 value = 0;
    EXPECT_EQ(space.read_value(0, 1, value, {}), Outcome::ok);
    EXPECT_EQ(value, 0x5au);
    EXPECT_EQ(space.write_value(4, 1, 0x90, {}), Outcome::ok);
    EXPECT_EQ(scratch.log, "w4.1 ");
    r.set_readable(false);
    EXPECT_EQ(space.read_value(4, 1, value, {}), Outcome::ok);
    EXPECT_EQ(scratch.log, "w4.1 r4.1 ");
}

// A device whose register makes it write to an address.
struct Dma : Handler {
    AddressSpace* space = nullptr;
    u64 target = 0;
    Outcome seen = Outcome::ok;
    Outcome read(u64, u32, u64&, Attributes) override { return Outcome::ok; }
    Outcome write(u64, u32, u64, Attributes) override {
        u32 v = 1;
        seen = space->write(target, &v, 4);
        return Outcome::ok;
    }
};

TEST(Space, ADeviceCannotReachItself) {
    Dma a, b;
    Region root("system", ~u64{0}), ra("a", a, {}, 16), rb("b", b, {}, 16);
    root.add(ra, 0);
    root.add(rb, 0x100);
    AddressSpace space("memory", root);
    a.space = b.space = &space;
    a.target = 0;
    EXPECT_EQ(space.write_value(0, 4, 1, {}), Outcome::ok);
    EXPECT_EQ(a.seen, Outcome::device_error);
    a.target = 0x100; // by way of another
    b.target = 0;
    EXPECT_EQ(space.write_value(0, 4, 1, {}), Outcome::ok);
    EXPECT_EQ(a.seen, Outcome::ok);
    EXPECT_EQ(b.seen, Outcome::device_error);
}

TEST(Space, ListenersHearOfOneChangeOnce) {
    struct Counter : AddressSpace::Listener {
        int n = 0;
        void topology_changed(AddressSpace&) override { n++; }
    } counter;
    auto block = ram("ram", 0x2000);
    Region root("system", ~u64{0}), a("a", *block, 0, 0x1000, false), b("b", *block, 0x1000, 0x1000, false);
    AddressSpace space("memory", root);
    space.add(counter);
    {
        Change change(space);
        root.add(a, 0);
        root.add(b, 0x1000);
        EXPECT_EQ(space.find(0).kind, Place::Kind::nothing);
    }
    EXPECT_EQ(counter.n, 1);
    EXPECT_EQ(space.find(0).kind, Place::Kind::ram);
    space.remove(counter);
    a.set_enabled(false);
    EXPECT_EQ(counter.n, 1);
}

TEST(Space, ReadersNeverSeeHalfAChange) {
    auto block = ram("ram", 0x2000);
    Region root("system", ~u64{0}), a("a", *block, 0, 0x1000, false), b("b", *block, 0x1000, 0x1000, false);
    root.add(a, 0);
    root.add(b, 0, 1);
    AddressSpace space("memory", root);
    std::atomic<bool> stop{false};
    std::atomic<u64> looked{0}, wrong{0};
    std::vector<std::thread> readers;
    for (int i = 0; i < 3; i++)
        readers.emplace_back([&] {
            while (!stop) {
                Place p = space.find(0x10);
                if (p.kind != Place::Kind::ram || (p.offset != 0x10 && p.offset != 0x1010)) wrong++;
                looked++;
            }
        });
    for (int i = 0; i < 3000; i++) b.set_enabled(i & 1);
    while (looked < 1000) std::this_thread::yield();
    stop = true;
    for (auto& t : readers) t.join();
    EXPECT_EQ(wrong, 0u);
}

TEST(Space, TreeReadsAsInTheMonitor) {
    auto block = ram("mach-virt.ram", 0x10000);
    Scratch scratch;
    Region root("system", ~u64{0}), r("virt.ram", *block, 0, 0x10000, false), dev("serial", scratch, {}, 8);
    Region bus("pcie-mmio", 0x1000), window("pcie-low", bus, 0x800, 0x800);
    root.add(r, 0x80000000);
    root.add(dev, 0x10000000);
    root.add(window, 0x40000000);
    dev.set_enabled(false);
    AddressSpace space("memory", root);
    EXPECT_EQ(space.tree(), "address-space: memory\n"
                            "  0000000000000000-ffffffffffffffff (prio 0, i/o): system\n"
                            "    0000000010000000-0000000010000007 (prio 0, i/o): serial [disabled]\n"
                            "    0000000040000000-00000000400007ff (prio 0, i/o): alias pcie-low @pcie-mmio "
                            "0000000000000800-0000000000000fff\n"
                            "    0000000080000000-000000008000ffff (prio 0, ram): virt.ram\n"
                            "\nmemory-region: pcie-mmio\n"
                            "  0000000000000000-0000000000000fff (prio 0, i/o): pcie-mmio\n");
    EXPECT_EQ(space.flat(), " AS \"memory\", root: system\n Root memory region: system\n"
                            "  0000000080000000-000000008000ffff (prio 0, ram): virt.ram\n");
}

} // namespace
} // namespace mimic::memory
