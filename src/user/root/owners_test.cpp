#include "user/root/owners.hpp"
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mimic::user {
namespace {

// A database in a directory of its own.
class OwnersTest : public testing::Test {
protected:
    void SetUp() override {
        char name[] = "/tmp/mimic-owners-XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        folder = name;
        file = folder + "/db";
    }
    void TearDown() override {
        unlink(file.c_str());
        rmdir(folder.c_str());
    }
    std::unique_ptr<Owners> opened(Owners::Settings settings = {}) {
        auto owners = Owners::open(file, settings);
        EXPECT_TRUE(owners) << owners.error().message();
        return owners ? *std::move(owners) : nullptr;
    }
    std::string folder, file;
};

constexpr FileKey a{1, 10, 100}, b{1, 11, 100};

TEST_F(OwnersTest, RemembersOwners) {
    {
        auto owners = opened();
        EXPECT_FALSE(owners->find(a));
        EXPECT_EQ(owners->set_owner(a, 5, 6), 0);
        EXPECT_EQ(owners->set_owner(b, 7, ~0u), 0);
        EXPECT_EQ(owners->set_owner(a, ~0u, 8), 0);
        close(owners->fd());
    }
    auto owners = opened();
    EXPECT_EQ(owners->find(a)->uid, 5u);
    EXPECT_EQ(owners->find(a)->gid, 8u);
    EXPECT_EQ(owners->find(b)->uid, 7u);
    EXPECT_EQ(owners->find(b)->gid, 0u);
    close(owners->fd());
}

TEST_F(OwnersTest, AnInodeThatIsUsedAgainIsAnotherFile) {
    auto owners = opened();
    ASSERT_EQ(owners->set_owner(a, 5, 6), 0);
    EXPECT_FALSE(owners->find({a.dev, a.ino, a.born + 1}));
    EXPECT_FALSE(owners->find({a.dev + 1, a.ino, a.born}));
    EXPECT_TRUE(owners->find_any_birth(a.dev, a.ino));
    close(owners->fd());
}

TEST_F(OwnersTest, WhatRootOwnsHasNoRecord) {
    auto owners = opened();
    EXPECT_EQ(owners->set_owner(a, 0, 0), 0);
    EXPECT_EQ(owners->count(), 0u);
    owners->set_owner(a, 1, 1);
    owners->set_owner(a, 0, 0);
    EXPECT_FALSE(owners->find(a));
    owners->set_owner(a, 2, 2); // the dead record is used again
    EXPECT_EQ(owners->count(), 1u);
    close(owners->fd());
}

TEST_F(OwnersTest, DevicesAndTheirOwners) {
    auto owners = opened();
    EXPECT_FALSE(owners->has_devices());
    ASSERT_EQ(owners->set_device(a, S_IFCHR, 0x103, 0, 6), 0);
    EXPECT_TRUE(owners->has_devices());
    ASSERT_EQ(owners->set_owner(a, 3, ~0u), 0);
    auto record = owners->find(a);
    ASSERT_TRUE(record);
    EXPECT_EQ(record->type, u32(S_IFCHR));
    EXPECT_EQ(record->rdev, 0x103u);
    EXPECT_EQ(record->uid, 3u);
    EXPECT_EQ(record->gid, 6u);
    owners->forget(a);
    EXPECT_FALSE(owners->find(a));
    close(owners->fd());
}

TEST_F(OwnersTest, TheRootsOwnDeviceMayGetAnotherNumber) {
    auto owners = opened();
    owners->set_home(77);
    owners->set_owner({77, 1, 1}, 4, 4);
    owners->set_home(99);
    EXPECT_TRUE(owners->find({99, 1, 1}));
    EXPECT_FALSE(owners->find({77, 1, 1}));
    close(owners->fd());
}

TEST_F(OwnersTest, GrowsAndKeepsAll) {
    auto owners = opened();
    constexpr u32 many = 30000;
    for (u32 i = 0; i < many; i++) ASSERT_EQ(owners->set_owner({1, i, 5}, i + 1, i + 2), 0);
    for (u32 i = 0; i < many; i++) {
        auto record = owners->find({1, i, 5});
        ASSERT_TRUE(record) << i;
        ASSERT_EQ(record->uid, i + 1);
    }
    close(owners->fd());
}

// Writers are killed at any time; what they had published stays, and the next ones go on.
TEST_F(OwnersTest, WritersMayBeKilled) {
    auto owners = opened();
    constexpr u32 rounds = 20;
    for (u32 round = 0; round < rounds; round++) {
        int told[2];
        ASSERT_EQ(pipe(told), 0);
        pid_t child = fork();
        if (child == 0) {
            for (u32 i = 1;; i++) {
                owners->set_owner({2, round * 100000ull + i, 5}, i, i);
                if (write(told[1], &i, sizeof i) < 0) _exit(0);
            }
        }
        close(told[1]);
        u32 last = 0, seen;
        while (last < 50 + round && read(told[0], &seen, sizeof seen) == sizeof seen) last = seen;
        kill(child, SIGKILL);
        waitpid(child, nullptr, 0);
        while (read(told[0], &seen, sizeof seen) == sizeof seen) last = seen;
        close(told[0]);
        for (u32 i = 1; i <= last; i++) ASSERT_EQ(owners->find({2, round * 100000ull + i, 5})->uid, i);
    }
    EXPECT_EQ(owners->set_owner(a, 1, 2), 0);
    close(owners->fd());
}

TEST_F(OwnersTest, ProcessesWriteAtTheSameTime) {
    auto owners = opened();
    constexpr u32 processes = 4, each = 2000;
    pid_t children[processes];
    for (u32 p = 0; p < processes; p++) {
        children[p] = fork();
        if (children[p] == 0) {
            for (u32 i = 0; i < each; i++) owners->set_owner({1, i * processes + p, 1}, p + 1, i);
            _exit(0);
        }
    }
    for (pid_t child : children) {
        int status = -1;
        waitpid(child, &status, 0);
        EXPECT_EQ(status, 0);
    }
    for (u32 i = 0; i < each * processes; i++) {
        auto record = owners->find({1, i, 1});
        ASSERT_TRUE(record) << i;
        EXPECT_EQ(record->uid, i % processes + 1);
        EXPECT_EQ(record->gid, i / processes);
    }
    close(owners->fd());
}

TEST_F(OwnersTest, OtherFilesAreRefused) {
    int fd = open(file.c_str(), O_RDWR | O_CREAT, 0600);
    ASSERT_EQ(ftruncate(fd, 1 << 20), 0);
    close(fd);
    auto wrong = Owners::open(file, {});
    ASSERT_FALSE(wrong);
    EXPECT_NE(wrong.error().message().find("expected one that starts with"), std::string::npos);
    ASSERT_EQ(truncate(file.c_str(), 10), 0);
    EXPECT_FALSE(Owners::open(file, {}));
    EXPECT_FALSE(Owners::open(folder + "/none/db", {}));
}

} // namespace
} // namespace mimic::user
