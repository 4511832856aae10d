// The small parts of a root: id ranges, archives, credentials.
#include "user/linux/credentials.hpp"
#include "user/root/ids.hpp"
#include "user/root/tar.hpp"
#include "user/run.hpp"
#include <cerrno>
#include <gtest/gtest.h>

namespace mimic::user {
namespace {

TEST(Ids, RangesOfTheUser) {
    constexpr std::string_view text = "other:1:65536\nann:100000:65536\nann:300000:65536\n7:200000:70000\nbad:x:y\n";
    EXPECT_EQ(subordinate_ids(text, "ann", 5), (IdRange{100000, 65536}));
    EXPECT_EQ(subordinate_ids(text, "", 7), (IdRange{200000, 65536}));
    EXPECT_EQ(subordinate_ids(text, "bad", 5).count, 0u);
    EXPECT_EQ(subordinate_ids(text, "", 5).count, 0u);
    EXPECT_EQ(subordinate_ids("ann:100:10\n", "ann", 5).count, 0u); // too few for a root file system
    EXPECT_EQ(subordinate_ids("", "ann", 5).count, 0u);
    EXPECT_EQ(user_name("root:x:0:0::/root:/bin/sh\nann:x:5:5::/:\n", 5), "ann");
    EXPECT_EQ(user_name("ann:x\n", 5), "");
}

TEST(Tar, ShortHeadersAreUstar) {
    std::string h = tar_header({.path = "dir/file", .mode = 04755, .uid = 1000, .gid = 8, .size = 3, .mtime = 1});
    ASSERT_EQ(h.size(), tar_block);
    EXPECT_STREQ(h.data(), "dir/file");
    EXPECT_STREQ(h.data() + 100, "0004755");
    EXPECT_STREQ(h.data() + 108, "0001750");
    EXPECT_STREQ(h.data() + 124, "00000000003");
    EXPECT_STREQ(h.data() + 257, "ustar");
    u32 sum = 0;
    for (size_t i = 0; i < tar_block; i++) sum += i >= 148 && i < 156 ? ' ' : u8(h[i]);
    EXPECT_EQ(std::stoul(h.substr(148, 6), nullptr, 8), sum);
}

TEST(Tar, WhatDoesNotFitIsExtended) {
    std::string path(120, 'p');
    std::string h = tar_header({.path = path, .uid = 3000000, .attributes = {{"user.x", std::string("\0\n", 2)}}});
    ASSERT_EQ(h.size(), 3 * tar_block);
    EXPECT_EQ(h[156], 'x');
    EXPECT_NE(h.find("130 path=" + path + "\n"), std::string::npos);
    EXPECT_NE(h.find("15 uid=3000000\n"), std::string::npos);
    EXPECT_NE(h.find(std::string("26 SCHILY.xattr.user.x=\0\n\n", 26)), std::string::npos);
}

TEST(Credentials, FollowTheCallsRules) {
    Ids root;
    EXPECT_EQ(set_res_ids(root, 42, 42, 42, true), 0);
    EXPECT_EQ(root, (Ids{42, 42, 42, 42}));
    EXPECT_EQ(set_id(root, 0, false), -EPERM); // there is no way back
    EXPECT_EQ(set_re_ids(root, 0, ~0u, false), -EPERM);
    EXPECT_EQ(set_res_ids(root, ~0u, ~0u, 0, false), -EPERM);
    EXPECT_EQ(set_id(root, ~0u, true), -EINVAL);

    Ids daemon{0, 0, 0, 0};
    EXPECT_EQ(set_re_ids(daemon, ~0u, 33, true), 0); // seteuid: the saved id follows, as it differs from the real one
    EXPECT_EQ(daemon, (Ids{0, 33, 33, 33}));
    EXPECT_EQ(set_re_ids(daemon, 33, 0, false), 0); // exchange
    EXPECT_EQ(daemon, (Ids{33, 0, 0, 0}));
    EXPECT_EQ(set_fs_id(daemon, 7, false), 0u);
    EXPECT_EQ(daemon.fs, 0u);
    EXPECT_EQ(set_fs_id(daemon, 7, true), 0u);
    EXPECT_EQ(daemon.fs, 7u);
}

TEST(Credentials, AreHandedOnAsText) {
    Inherited i{.self = 1024, .owners = 1025, .log = -1, .cache = 1026, .home = 0xfe00, .secure = true};
    i.ids = {.uid = {1, 2, 3, 4}, .gid = {5, 6, 7, 8}, .groups = {9, 10}};
    Inherited back;
    ASSERT_TRUE(back.parse(i.text())) << i.text();
    EXPECT_EQ(back.text(), "1024,1025,-1,1026,65024,1,1:2:3:4/5:6:7:8/9:10");
    for (const char* bad :
         {"", "1,2", "1024,1025,-1,-1,0,0,", "1024,1025,-1,-1,0,0,1:2:3:4/5:6:7/", "x,1,1,1,1,1,0:0:0:0/0:0:0:0/",
          "-1,1,1,1,1,1,0:0:0:0/0:0:0:0/", "1,1,1,1,1,1,0:0:0:0/0:0:0:0/5:"})
        EXPECT_FALSE(Inherited().parse(bad)) << bad;
}

} // namespace
} // namespace mimic::user
