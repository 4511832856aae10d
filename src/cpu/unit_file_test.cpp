// What is damaged, or not ours, gives no unit; what is sound gives what was saved.
#include "base/process.hpp"
#include "cpu/unit_file.hpp"
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mimic::cpu {
namespace {

template <class T>
void append(std::vector<u8>& out, const T& t) {
    const u8* p = reinterpret_cast<const u8*>(&t);
    out.insert(out.end(), p, p + sizeof t);
}

// A unit with an entry more at pc + 8 and 16 bytes of code that are all `fill`.
std::vector<u8> unit_at(u64 pc, u8 fill) {
    std::vector<u8> b;
    append(b, saved::Head{.pc = pc,
                          .low = pc,
                          .high = pc + 32,
                          .mode = 1,
                          .units = 1,
                          .edges = 1,
                          .ranges = 1,
                          .entries = 2,
                          .faults = 1,
                          .owed = 1,
                          .references = 1,
                          .record_bytes = 8,
                          .code_bytes = 16});
    append(b, saved::Range{.low = pc + 64, .high = pc + 68});
    append(b, saved::Edge{.pc = pc + 64, .stub = 12});
    append(b, saved::Entry{.own = 1});
    append(b, saved::Entry{.offset = 4, .pc = 8});
    append(b, saved::Fault{.offset = 4, .pc = 8});
    append(b, saved::Owed{.fault = 0, .what = {1, 2, 3, 4}});
    append(b, u32(8));
    append(b, u64(4));
    b.insert(b.end(), 16, fill);
    return b;
}

// A file in memory, and its bytes.
struct Memory {
    int fd = memfd_create("units", MFD_CLOEXEC);
    ~Memory() { close(fd); }
    std::vector<u8> bytes() const {
        std::vector<u8> all(u64(lseek(fd, 0, SEEK_END)));
        EXPECT_EQ(pread(fd, all.data(), all.size(), 0), ssize_t(all.size()));
        return all;
    }
};

struct UnitFiles : testing::Test {
    const Sha256Digest key = sha256({});
    static constexpr u64 start = 0x800;
    char path[32] = "/tmp/mimic-units-XXXXXX";
    int directory = -1;
    std::vector<u8> units[3] = {unit_at(0x1000, 1), unit_at(0x2000, 2), unit_at(0x3000, 3)};

    void SetUp() override {
        process::install_fault_handlers();
        ASSERT_TRUE(mkdtemp(path));
        directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ASSERT_GE(directory, 0);
        auto file = NewUnitFile::create(directory, "a");
        ASSERT_TRUE(file);
        UnitFileWriter w = writer((*file)->descriptor());
        ASSERT_TRUE(w.finish());
        ASSERT_TRUE((*file)->keep());
    }
    void TearDown() override {
        for (const char* name : {"a", "b"}) unlinkat(directory, name, 0);
        close(directory);
        EXPECT_EQ(rmdir(path), 0); // nothing is left behind
    }
    UnitFileWriter writer(int fd) {
        UnitFileWriter w(fd, key, start);
        for (auto& u : units) EXPECT_TRUE(w.add(u));
        return w;
    }
    static bool same(std::span<const u8> a, const std::vector<u8>& b) {
        return std::equal(a.begin(), a.end(), b.begin(), b.end());
    }
};

TEST_F(UnitFiles, GiveWhatWasSavedByEachEntry) {
    auto f = UnitFile::open(directory, "a", key);
    ASSERT_TRUE(f) << f.error().message();
    UnitBytes scratch;
    u32 bad = 0;
    EXPECT_EQ(f->units(), 3u);
    EXPECT_TRUE(same(f->find(0x2000, 1, scratch, bad), units[1]));
    EXPECT_TRUE(same(f->find(0x3008, 1, scratch, bad), units[2]));
    EXPECT_TRUE(f->find(0x2000, 0, scratch, bad).empty());
    EXPECT_TRUE(f->find(0x2004, 1, scratch, bad).empty());
    EXPECT_EQ(bad, 0u);
}

TEST_F(UnitFiles, SayWhatRanWithoutAUnit) {
    using enum UnitStore::Has;
    Memory file;
    UnitFileWriter w = writer(file.fd);
    w.add_ran(0x4000);
    w.add_ran(0x2008); // a unit has an entry there
    w.add_ran(start - 1);
    w.add_ran(start + (u64{1} << 32));
    ASSERT_TRUE(w.finish());
    const auto bytes = file.bytes();
    auto f = UnitFile::read(bytes, key);
    ASSERT_TRUE(f);
    EXPECT_EQ(f->look(0x4000, 1).has, ran);
    EXPECT_EQ(f->look(0x4004, 1).has, nothing);
    EXPECT_EQ(f->look(0x2008, 0).has, nothing);
    EXPECT_EQ(f->look(0x2008, 1).has, unit);
    EXPECT_EQ(f->look(0x2008, 1).at, f->look(0x2000, 1).at);
    for (u64 pc : {start - 1, start + ~u32{0}, start + (u64{1} << 32)}) EXPECT_EQ(f->look(pc, 1).has, nothing) << pc;
    UnitBytes scratch;
    u32 bad = 0, all = 0;
    EXPECT_TRUE(f->find(0x4000, 1, scratch, bad).empty());
    EXPECT_EQ(bad, 0u);
    f->for_each(scratch, [&](std::span<const u8> unit, auto&) { return all += !unit.empty(), true; });
    EXPECT_EQ(all, 3u);
    std::vector<u64> places;
    f->for_each_ran([&](u64 pc) { places.push_back(pc); });
    EXPECT_EQ(places, std::vector<u64>{0x4000});
}

TEST_F(UnitFiles, FindUnitsByTheirOwnEntryFirst) {
    Memory file;
    UnitFileWriter w(file.fd, key, start);
    const auto within = unit_at(0x1008, 4);
    ASSERT_TRUE(w.add(units[0])); // may be entered there, too
    ASSERT_TRUE(w.add(within));
    ASSERT_FALSE(w.add(within));
    ASSERT_TRUE(w.finish());
    const auto bytes = file.bytes();
    auto f = UnitFile::read(bytes, key);
    ASSERT_TRUE(f);
    UnitBytes scratch;
    u32 bad = 0;
    EXPECT_TRUE(same(f->find(0x1008, 1, scratch, bad), within));
    EXPECT_TRUE(same(f->find(0x1000, 1, scratch, bad), units[0]));
}

TEST_F(UnitFiles, AFlippedBitGivesNoUnitOrTheRightOne) {
    Memory file;
    ASSERT_TRUE(writer(file.fd).finish());
    const std::vector<u8> sound = file.bytes();
    UnitBytes scratch;
    u32 refused = 0, missing = 0;
    for (u64 at = 0; at < sound.size(); ++at) {
        std::vector<u8> b = sound;
        b[at] ^= u8(1 << at % 8);
        auto f = UnitFile::read(b, key);
        refused += !f;
        if (!f) continue;
        for (u32 n = 0; n < 3; ++n) {
            u32 bad = 0;
            const auto unit = f->find(0x1000 * (n + 1), 1, scratch, bad);
            missing += unit.empty();
            EXPECT_TRUE(unit.empty() || same(unit, units[n])) << at;
        }
    }
    EXPECT_EQ(refused, sizeof(FileHeader)); // any of them
    const u64 blobs = 3 * (units[0].size() + sizeof(Checksum));
    EXPECT_GE(missing, blobs); // any byte of a unit or its checksum
}

TEST_F(UnitFiles, AnyTruncationIsRefused) {
    Memory file;
    ASSERT_TRUE(writer(file.fd).finish());
    const std::vector<u8> sound = file.bytes();
    for (u64 n = 0; n < sound.size(); ++n) EXPECT_FALSE(UnitFile::read(std::span(sound).first(n), key)) << n;
}

TEST_F(UnitFiles, ShrinkingInUseIsNoEnd) {
    auto f = UnitFile::open(directory, "a", key);
    ASSERT_TRUE(f);
    const int fd = openat(directory, "a", O_WRONLY | O_CLOEXEC);
    ASSERT_EQ(ftruncate(fd, 0), 0);
    close(fd);
    UnitBytes scratch;
    u32 bad = 0;
    EXPECT_TRUE(f->find(0x2000, 1, scratch, bad).empty());
}

TEST_F(UnitFiles, NewOnesThatAreNotKeptLeaveTheOldOne) {
    auto file = NewUnitFile::create(directory, "a");
    ASSERT_TRUE(file);
    UnitFileWriter late((*file)->descriptor(), key, start, [] { return true; });
    EXPECT_TRUE(late.add(units[0]));
    EXPECT_FALSE(late.finish());
    file->reset();
    auto old = UnitFile::open(directory, "a", key);
    ASSERT_TRUE(old);
    EXPECT_EQ(old->units(), 3u);
}

// More than is kept in memory until it is written.
TEST_F(UnitFiles, MayBeLarge) {
    Memory file;
    UnitFileWriter w(file.fd, key, 0);
    for (u64 n = 1; n <= 5000; ++n) ASSERT_TRUE(w.add(unit_at(n << 12, u8(n))));
    ASSERT_TRUE(w.finish());
    const auto bytes = file.bytes();
    auto f = UnitFile::read(bytes, key);
    ASSERT_TRUE(f);
    UnitBytes scratch;
    u32 bad = 0;
    for (u64 n = 1; n <= 5000; ++n) ASSERT_TRUE(same(f->find((n << 12) + 8, 1, scratch, bad), unit_at(n << 12, u8(n))));
}

TEST_F(UnitFiles, OfAnotherKeyAreRefused) {
    const u8 other[1] = {};
    EXPECT_FALSE(UnitFile::open(directory, "a", sha256(other)));
}

TEST_F(UnitFiles, OthersFilesAreRefused) {
    ASSERT_EQ(symlinkat("a", directory, "b"), 0);
    EXPECT_FALSE(UnitFile::open(directory, "b", key)); // by way of a link
    unlinkat(directory, "b", 0);
    ASSERT_EQ(linkat(directory, "a", directory, "b", 0), 0);
    EXPECT_FALSE(UnitFile::open(directory, "a", key)); // has another name
    unlinkat(directory, "b", 0);
    ASSERT_EQ(fchmodat(directory, "a", 0660, 0), 0);
    EXPECT_FALSE(UnitFile::open(directory, "a", key)); // others may write it
    ASSERT_EQ(fchmodat(directory, "a", 0600, 0), 0);
    EXPECT_TRUE(UnitFile::open(directory, "a", key));
    ASSERT_EQ(mkfifoat(directory, "b", 0600), 0);
    EXPECT_FALSE(UnitFile::open(directory, "b", key)); // and doesn't wait
    if (fchownat(directory, "a", 1, 1, 0) == 0) {      // root only
        EXPECT_FALSE(UnitFile::open(directory, "a", key));
    }
}

TEST(SavedUnits, AreBoundByTheirBytes) {
    const std::vector<u8> sound = unit_at(0x1000, 9);
    UnitBytes aligned(sound.size() / 8 + 2);
    u8* at = reinterpret_cast<u8*>(aligned.data());
    std::memcpy(at, sound.data(), sound.size());
    SavedUnit u;
    ASSERT_TRUE(parse_saved_unit({at, sound.size()}, u));
    EXPECT_EQ(u.record(0).size(), 4u);
    EXPECT_TRUE(u.record(4).empty());
    for (u64 n = 0; n < sound.size(); ++n) EXPECT_FALSE(parse_saved_unit({at, n}, u)) << n;
    EXPECT_FALSE(parse_saved_unit({at, sound.size() + 1}, u));
}

} // namespace
} // namespace mimic::cpu
