#include "user/binfmt.hpp"
#include <cstdlib>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace mimic::user {
namespace {

TEST(Binfmt, TheLineOfAGuest) {
    Registration r = registration(*find_abi("riscv64"), "/usr/bin/mimic", "PF");
    EXPECT_EQ(r.line, ":mimic-riscv64:M::"
                      R"(\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xf3\x00:)"
                      R"(\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\xfe\xff\xff\xff:)"
                      "/usr/bin/mimic:PF");
}

TEST(Binfmt, TheKernelsWordsBecomeThoseOfRun) {
    std::string_view given[] = {"/bin/tool", "argument-0", "a", "-b"};
    auto words = binfmt_words(given);
    ASSERT_EQ(words.size(), 6u);
    EXPECT_EQ(words[0], "-0");
    EXPECT_EQ(words[1], "argument-0");
    EXPECT_EQ(words[2], "--");
    EXPECT_EQ(words[3], "/bin/tool");
    EXPECT_EQ(words[5], "-b");
    EXPECT_TRUE(binfmt_words({}).empty());
}

// A folder like the kernel's.
class BinfmtFolder : public testing::Test {
protected:
    void SetUp() override {
        char name[] = "/tmp/mimic-binfmt-XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        folder = name;
        put("register", "");
    }
    void TearDown() override {
        for (const char* name : {"register", "mimic-riscv64", "other"}) unlink((folder + "/" + name).c_str());
        rmdir(folder.c_str());
    }
    void put(const std::string& name, const std::string& text) {
        int fd = open((folder + "/" + name).c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        EXPECT_EQ(write(fd, text.data(), text.size()), ssize_t(text.size()));
        close(fd);
    }
    std::string get(const std::string& name) {
        char text[1000] = "";
        int fd = open((folder + "/" + name).c_str(), O_RDONLY);
        EXPECT_GE(read(fd, text, sizeof text - 1), 0);
        close(fd);
        return text;
    }
    int run(std::vector<std::string_view> words) {
        words.insert(words.end(), {"--dir", folder});
        return binfmt_main(words);
    }
    std::string folder;
};

TEST_F(BinfmtFolder, RegistersAndUnregisters) {
    EXPECT_EQ(run({"register", "riscv64", "--path", "/bin/sh"}), 0);
    EXPECT_EQ(get("register"), registration(*find_abi("riscv64"), "/bin/sh", "PF").line);
    put("mimic-riscv64",
        "enabled\ninterpreter /bin/sh\nflags: PF\noffset 0\nmagic 7f454c460201010000000000000000000200f300\n");
    EXPECT_EQ(run({"register", "riscv64", "--path", "/bin/sh", "--credentials"}), 0);
    EXPECT_EQ(get("mimic-riscv64").substr(0, 2), "-1"); // the old one goes first
    EXPECT_EQ(run({"unregister", "riscv64"}), 0);
    unlink((folder + "/mimic-riscv64").c_str());
    EXPECT_EQ(run({"unregister", "riscv64"}), 1);
    EXPECT_EQ(run({"list"}), 0);
}

TEST_F(BinfmtFolder, DoctorTellsWhatIsWrong) {
    put("mimic-riscv64", "enabled\ninterpreter /bin/sh\nflags: PF\nmagic 7f454c460201010000000000000000000200f300\n");
    EXPECT_EQ(run({"doctor"}), 0);
    put("other", "enabled\ninterpreter /bin/sh\nflags: \nmagic 7f454c460201010000000000000000000200f300\n");
    EXPECT_EQ(run({"doctor"}), 1); // without F
    unlink((folder + "/register").c_str());
    EXPECT_EQ(run({"doctor"}), 1);
}

TEST_F(BinfmtFolder, WrongWordsAreTold) {
    EXPECT_EQ(run({}), 1);
    EXPECT_EQ(run({"mend"}), 1);
    EXPECT_EQ(run({"register", "--no"}), 1);
    EXPECT_EQ(run({"register", "vax"}), 1);
    EXPECT_EQ(run({"register", "riscv64", "--path", "sh"}), 1);
    EXPECT_EQ(run({"register", "riscv64", "--path", "/none"}), 1);
}

} // namespace
} // namespace mimic::user
