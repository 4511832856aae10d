#include "base/process.hpp"
#include "user/linux/layout.hpp"
#include "user/loader/program.hpp"
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <map>
#include <sys/mman.h>
#include <unistd.h>

namespace mimic::user {
namespace {

struct Elf64 {
    Elf64_Ehdr header{};
    Elf64_Phdr load[2]{};
};

Elf64 riscv_program(u16 type) {
    Elf64 e;
    std::memcpy(e.header.e_ident, "\177ELF\2\1\1", 7);
    e.header.e_type = type, e.header.e_machine = EM_RISCV, e.header.e_version = 1;
    u64 base = type == ET_EXEC ? 0x10000 : 0;
    e.header.e_entry = base + 0x100, e.header.e_phoff = 64, e.header.e_phentsize = 56, e.header.e_phnum = 2;
    e.load[0] = {PT_LOAD, PF_R | PF_X, 0, base, base, 0x1000, 0x1000, 0x1000};
    e.load[1] = {PT_LOAD, PF_R | PF_W, 0x1000, base + 0x11000, base + 0x11000, 0x10, 0x2000, 0x1000};
    return e;
}

int file_of(const Elf64& e) {
    int fd = memfd_create("program", MFD_CLOEXEC);
    EXPECT_EQ(write(fd, &e, sizeof e), ssize_t(sizeof e));
    EXPECT_EQ(ftruncate(fd, 0x2000), 0);
    char data[16] = "data of file";
    EXPECT_EQ(pwrite(fd, data, 16, 0x1000), 16);
    char rest[16] = "must be cleared";
    EXPECT_EQ(pwrite(fd, rest, 16, 0x1010), 16);
    return fd;
}

int no_interpreter(void*, const std::string&) { return -ENOENT; }

class Program : public ::testing::Test {
protected:
    void SetUp() override {
        process::install_fault_handlers();
        SpaceShape shape{.high = abi_.high, .base = SpaceShape::Base::reserve};
        space_ = *std::move(AddressSpace::create(shape));
    }
    const Abi& abi_ = *find_abi("riscv64");
    std::unique_ptr<AddressSpace> space_;
};

TEST_F(Program, FixedAndPositionIndependentOnesAreMapped) {
    for (u16 type : {ET_EXEC, ET_DYN}) {
        SetUp();
        int fd = file_of(riscv_program(type));
        auto p = load_program(*space_, abi_, fd, "x", no_interpreter, nullptr);
        close(fd);
        ASSERT_TRUE(p) << p.error().message();
        u64 low = p->entry - 0x100;
        if (type == ET_EXEC) { EXPECT_EQ(low, 0x10000u); }
        EXPECT_EQ(p->headers, low + 64);
        char data[33] = {};
        ASSERT_TRUE(space_->read(low + 0x11000, data, 32));
        EXPECT_STREQ(data, "data of file");
        EXPECT_EQ(data[16], 0); // beyond the file's part: zero
        EXPECT_EQ(space_->protection(low), prot::read | prot::exec);
        EXPECT_EQ(space_->protection(low + 0x5000), -1); // between segments
        EXPECT_EQ(space_->protection(low + 0x12fff), prot::read | prot::write);
        EXPECT_EQ(space_->protection(low + 0x13000), -1);
    }
}

TEST_F(Program, TheWrongMachineIsNamed) {
    Elf64 e = riscv_program(ET_EXEC);
    e.header.e_machine = EM_AARCH64;
    int fd = file_of(e);
    auto p = load_program(*space_, abi_, fd, "prog", no_interpreter, nullptr);
    close(fd);
    ASSERT_FALSE(p);
    EXPECT_EQ(p.error().message(),
              "prog: program is 64-bit little-endian AArch64, expected 64-bit little-endian RISC-V");
    EXPECT_EQ(exit_status_of(p.error()), 126);
}

TEST_F(Program, AMissingInterpreterIsNamed) {
    Elf64 e = riscv_program(ET_DYN);
    e.header.e_phnum = 2;
    e.load[1] = {PT_INTERP, PF_R, 0x1000, 0, 0, 13, 13, 1};
    int fd = file_of(e);
    auto p = load_program(*space_, abi_, fd, "prog", no_interpreter, nullptr);
    close(fd);
    ASSERT_FALSE(p);
    EXPECT_EQ(p.error().message(),
              "prog: interpreter data of file (is -L SYSROOT missing?): No such file or directory");
    EXPECT_EQ(exit_status_of(p.error()), 127);
}

TEST_F(Program, ScriptLines) {
    auto line = [](std::string_view s) {
        auto r = parse_script_line(s);
        return r ? r->interpreter + "|" + r->argument : "error: " + r.error().message();
    };
    EXPECT_EQ(line("#!/bin/sh\nfoo"), "/bin/sh|");
    EXPECT_EQ(line("#! /usr/bin/env  python3 -u \n"), "/usr/bin/env|python3 -u");
    EXPECT_EQ(line("#!/bin/sh"), "/bin/sh|");
    EXPECT_EQ(line("\177ELF"), "|");
    EXPECT_EQ(line("#!\n"), "error: script line names no interpreter");
    EXPECT_EQ(line("#!" + std::string(300, 'x')), "error: script line is longer than 255 bytes");
}

// Reads the stack back as a C library would.
TEST_F(Program, TheStackHoldsArgumentsEnvironmentAndAuxv) {
    LoadedProgram program{.entry = 0x1234, .headers = 0x40, .header_count = 7, .header_bytes = 56};
    for (size_t n : {1, 2, 3}) {
        SetUp();
        StartStack start;
        start.arguments.assign(n, "arg");
        start.environment = {"A=1", "B=2"};
        start.file_name = "/bin/x";
        auto layout = make_stack(*space_, abi_, program, start);
        ASSERT_TRUE(layout) << layout.error().message();
        EXPECT_EQ(layout->sp % 16, 0u);
        u64 at = layout->sp, trampoline = layout->trampoline;
        EXPECT_FALSE(layout->auxv.empty());
        EXPECT_LT(layout->arguments, layout->environment);
        auto word = [&] {
            u64 v = 0;
            EXPECT_TRUE(space_->read(at, &v, 8));
            at += 8;
            return v;
        };
        auto text = [&](u64 address) {
            std::string s;
            EXPECT_TRUE(space_->read_string(address, s, 100));
            return s;
        };
        ASSERT_EQ(word(), n);
        for (size_t i = 0; i < n; i++) EXPECT_EQ(text(word()), "arg");
        EXPECT_EQ(word(), 0u);
        EXPECT_EQ(text(word()), "A=1");
        EXPECT_EQ(text(word()), "B=2");
        EXPECT_EQ(word(), 0u);
        std::map<u64, u64> aux;
        for (u64 type; (type = word()) != AT_NULL;) aux[type] = word();
        EXPECT_EQ(aux[AT_ENTRY], 0x1234u);
        EXPECT_EQ(aux[AT_PHNUM], 7u);
        EXPECT_EQ(aux[AT_PAGESZ], 4096u);
        EXPECT_EQ(text(aux[AT_EXECFN]), "/bin/x");
        EXPECT_EQ(aux.count(AT_SYSINFO_EHDR), 0u);
        u64 random[2] = {};
        EXPECT_TRUE(space_->read(aux[AT_RANDOM], random, 16));
        EXPECT_NE(random[0], random[1]);
        u32 code = 0;
        EXPECT_TRUE(space_->read(trampoline, &code, 4));
        EXPECT_EQ(code, 0x08b00893u); // li a7, 139
        EXPECT_EQ(space_->protection(trampoline), prot::read | prot::exec);
    }
}

TEST_F(Program, TooManyArgumentsAreRefused) {
    StartStack start;
    start.arguments.assign(40, std::string(1 << 20, 'x'));
    auto layout = make_stack(*space_, abi_, {}, start);
    ASSERT_FALSE(layout);
    EXPECT_EQ(layout.error().host_errno(), E2BIG);
}

} // namespace
} // namespace mimic::user
