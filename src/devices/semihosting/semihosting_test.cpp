// What the programs of tests/machines/semihosting_test.py cannot see: a console that is slow, a machine that is saved with files
// open, memory that is not there.
#include "chardev/test_pipe.hpp"
#include "devices/semihosting/semihosting.hpp"
#include "devices/types.hpp"
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mimic::devices {
namespace {

enum : u64 {
    open = 1,
    close = 2,
    writec = 3,
    write0 = 4,
    write = 5,
    read = 6,
    readc = 7,
    seek = 10,
    remove = 14,
    exit = 0x18
};

struct Program final : ProgramMemory {
    Machine machine{{.manual_clock = true, .random_seed = 1, .types = types()}};
    chardev::TestPipe* pipe = nullptr;
    Semihosting* host = nullptr;
    std::vector<u8> bytes = std::vector<u8>(65536);
    u64 next = 4096;
    std::vector<Request> requests;

    Program() {
        auto p = std::make_unique<chardev::TestPipe>();
        pipe = p.get();
        machine.add_chardev(std::move(p));
        host = static_cast<Semihosting*>(*machine.create("semihosting", "host", {{"chardev", "c0"}}));
        machine.on_request = [this](const Request& r) { requests.push_back(r); };
        machine.reset(ResetKind::power_on);
    }
    bool read(u64 address, void* out, u64 n) override {
        if (address > bytes.size() || n > bytes.size() - address) return false;
        std::memcpy(out, &bytes[address], n);
        return true;
    }
    bool write(u64 address, const void* in, u64 n) override {
        if (address > bytes.size() || n > bytes.size() - address) return false;
        std::memcpy(&bytes[address], in, n);
        return true;
    }
    u64 put(const void* in, u64 n) {
        write(next, in, n);
        return std::exchange(next, next + (n + 16) / 16 * 16);
    }
    u64 text(std::string_view t) { return put(std::string(t).c_str(), t.size() + 1); }
    // With a block of these fields; nothing: it is to be called again.
    std::optional<i64> call(u64 operation, std::initializer_list<u64> fields) {
        const std::vector<u64> block(fields);
        return plain(operation, put(block.data(), 8 * block.size()));
    }
    std::optional<i64> plain(u64 operation, u64 parameter) {
        u64 result = 0;
        if (!host->call({0, operation, parameter, 8}, *this, result)) return {};
        return i64(result);
    }
    u64 open_file(const std::string& path, u64 mode) {
        return u64(call(open, {text(path), mode, path.size()}).value_or(-1));
    }
};

struct Temporary {
    std::string path = testing::TempDir() + "semihosting-" + std::to_string(getpid());
    Temporary() { std::ofstream(path) << "one two three"; }
    ~Temporary() { std::filesystem::remove(path); }
};

TEST(Semihosting, FilesAreOpenAgainInALoadedMachine) {
    Temporary file;
    Program a;
    const u64 handle = a.open_file(file.path, 2), features = a.open_file(":semihosting-features", 0);
    const u64 at = a.next;
    EXPECT_EQ(a.call(read, {handle, at + 256, 4}), 0);
    EXPECT_EQ(a.call(seek, {features, 1}), 0);
    std::vector<u8> saved = a.machine.save();
    Program b;
    ASSERT_TRUE(b.machine.load(saved));
    EXPECT_EQ(b.machine.save(), saved);
    EXPECT_EQ(b.call(write, {handle, b.text("TWO"), 3}), 0);
    EXPECT_EQ(b.call(read, {handle, 60000, 10}), 4);
    EXPECT_EQ(std::string(reinterpret_cast<char*>(&b.bytes[60000]), 6), " three");
    EXPECT_EQ(b.call(read, {features, 60000, 2}), 0);
    EXPECT_EQ(std::string(reinterpret_cast<char*>(&b.bytes[60000]), 2), "HF");
    EXPECT_EQ(b.call(close, {handle}), 0);
    b.machine.reset(ResetKind::cold);
    EXPECT_EQ(b.call(close, {features}), -1);
    // One that is gone meanwhile is an error of the load.
    std::filesystem::remove(file.path);
    Program c;
    auto loaded = c.machine.load(saved);
    ASSERT_FALSE(loaded);
    EXPECT_NE(loaded.error().message().find(file.path), std::string::npos);
}

TEST(Semihosting, AConsoleThatIsFullOrEmptyMakesTheProgramWait) {
    Program p;
    p.pipe->takes = 3;
    EXPECT_EQ(p.plain(write0, p.text("hello")), 0);
    EXPECT_EQ(p.pipe->out, "hel");
    EXPECT_FALSE(p.plain(writec, p.text("!")));
    EXPECT_FALSE(p.call(exit, {0x20026, 7}));
    EXPECT_TRUE(p.requests.empty());
    std::vector<u8> saved = p.machine.save(); // with what is to go out
    p.pipe->may_write(100);
    EXPECT_EQ(p.pipe->out, "hello");
    EXPECT_EQ(p.plain(writec, p.text("!")), 0);
    Program later;
    ASSERT_TRUE(later.machine.load(saved));
    EXPECT_EQ(later.plain(writec, later.text("?")), 0);
    EXPECT_EQ(later.pipe->out, "lo?");

    EXPECT_FALSE(p.plain(readc, 0));
    p.pipe->type("xyz");
    EXPECT_EQ(p.plain(readc, 0), 'x');
    const u64 in = p.open_file(":tt", 0);
    EXPECT_EQ(p.call(read, {in, 60000, 10}), 8);
    EXPECT_FALSE(p.call(read, {in, 60000, 10}));
    EXPECT_FALSE(p.call(exit, {0x20026, 7}));
    ASSERT_EQ(p.requests.size(), 1u);
    EXPECT_EQ(p.requests[0].status, 7);
    EXPECT_FALSE(p.call(exit, {0x20026, 8})) << "the program has ended";
    EXPECT_EQ(p.requests.size(), 1u);
}

TEST(Semihosting, WhatIsNotThereIsAnError) {
    Temporary file;
    Program p;
    const u64 handle = p.open_file(file.path, 0);
    EXPECT_EQ(p.plain(open, 65530), -1);
    EXPECT_EQ(p.plain(0x13, 0), EFAULT);
    EXPECT_EQ(p.call(read, {handle, 65535, 4}), 4);
    EXPECT_EQ(p.call(write, {handle, p.text("x"), ~u64{0}}), -1) << "all of it is left";
    EXPECT_EQ(p.plain(write0, 70000), -1);
    EXPECT_EQ(p.plain(0x99, 0), -1);
    EXPECT_EQ(p.plain(0x13, 0), ENOSYS);
    for (u64 n = 0; n < 400; n++) p.open_file(":tt", 0);
    EXPECT_EQ(p.open_file(":tt", 0), ~u64{0});
    EXPECT_EQ(p.plain(0x13, 0), EMFILE);
    EXPECT_EQ(p.call(open, {4096, 0, ~u64{0}}), -1);
}

TEST(Semihosting, AFifoWithoutAPeerDoesNotKeepTheProcessor) {
    Temporary file;
    const std::string fifo = file.path + ".fifo";
    ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    Program p;
    const u64 reader = p.open_file(fifo, 0);
    EXPECT_NE(reader, ~u64{0});
    const u64 writer = p.open_file(fifo, 4);
    EXPECT_FALSE(p.call(read, {reader, 60000, 4})) << "nothing was written";
    EXPECT_EQ(p.call(write, {writer, p.text("abc"), 3}), 0);
    EXPECT_EQ(p.call(read, {reader, 60000, 4}), 1);
    std::vector<u8> much(1 << 15, 'x');
    u64 at = 20000;
    p.write(at, much.data(), much.size());
    for (int n = 0; n < 100; n++) {
        auto left = p.call(write, {writer, at, 30000});
        p.next = 4096;
        if (!left) break;
        ASSERT_LT(n, 99) << "the FIFO takes everything";
    }
    std::filesystem::remove(fifo);
}

} // namespace
} // namespace mimic::devices
