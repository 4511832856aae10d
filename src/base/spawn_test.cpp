#include "base/spawn.hpp"
#include <csignal>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mimic {
namespace {

int ended(pid_t child) {
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return status;
}

TEST(Spawn, GivesStreams) {
    int in[2], out[2];
    ASSERT_EQ(pipe2(in, O_CLOEXEC), 0);
    ASSERT_EQ(pipe2(out, O_CLOEXEC), 0);
    const std::string words[] = {"/bin/sh", "-c", "read word; echo \"$word$1\"", "sh", " there"};
    Result<pid_t> child = spawn(words, {.in = in[0], .out = out[1]});
    ASSERT_TRUE(child);
    EXPECT_EQ(write(in[1], "here\n", 5), 5);
    EXPECT_EQ(ended(*child), 0);
    char said[32];
    EXPECT_EQ(std::string(said, size_t(read(out[0], said, sizeof said))), "here there\n");
    for (int fd : {in[0], in[1], out[0], out[1]}) close(fd);
}

TEST(Spawn, SignalsAreThoseOfAFreshProgram) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    auto handler = signal(SIGPIPE, SIG_IGN);
    for (const char* name : {"PIPE", "TERM"}) {
        const std::string words[] = {"/bin/sh", "-c", std::string("kill -s ") + name + " $$; exit 3"};
        Result<pid_t> child = spawn(words);
        ASSERT_TRUE(child);
        EXPECT_TRUE(WIFSIGNALED(ended(*child))) << name;
    }
    signal(SIGPIPE, handler);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST(Spawn, NamesWhatIsNotThere) {
    const std::string words[] = {"/nonexistent/program"};
    Result<pid_t> child = spawn(words);
    ASSERT_FALSE(child);
    EXPECT_EQ(child.error().host_errno(), ENOENT);
    EXPECT_NE(child.error().message().find("/nonexistent/program"), std::string::npos);
}

} // namespace
} // namespace mimic
