#include "user/linux/fake_cpu.hpp"
#include "user/linux/strace.hpp"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mimic::user {
namespace {

using test::FakeProcess;

const Abi& riscv() { return *find_abi("riscv64"); }

TEST(Calls, FilesWithConvertedStructures) {
    FakeProcess p(riscv());
    int fd = int(p.call("openat", u64(AT_FDCWD), p.text("/proc/self/cmdline"), O_RDONLY));
    ASSERT_GE(fd, 0);
    EXPECT_EQ(p.call("close", u64(fd)), 0);
    EXPECT_EQ(p.call("close", u64(fd)), -EBADF);
    EXPECT_EQ(p.call("newfstatat", u64(AT_FDCWD), p.text("/"), p.page + 4096, 0), 0);
    struct stat st;
    ASSERT_EQ(stat("/", &st), 0);
    EXPECT_EQ(p.at<u64>(p.page + 4096 + 8), st.st_ino); // asm-generic/stat.h
    EXPECT_EQ(p.at<u32>(p.page + 4096 + 16), st.st_mode);
    EXPECT_EQ(p.at<u32>(p.page + 4096 + 20), st.st_nlink);
    EXPECT_EQ(p.call("newfstatat", u64(AT_FDCWD), p.text("/none"), p.page, 0), -ENOENT);
    EXPECT_EQ(p.call("newfstatat", u64(AT_FDCWD), 0, p.page, 0), -EFAULT);
    EXPECT_EQ(p.call("newfstatat", u64(AT_FDCWD), p.text("/"), p.read_only, 0), -EFAULT);
    EXPECT_EQ(p.call("getcwd", p.page, 4096), i64(std::filesystem::current_path().string().size() + 1));
    EXPECT_EQ(p.call("getcwd", p.read_only, 4096), -EFAULT);
}

TEST(Calls, PathsThatAreTooLongOrNotThere) {
    FakeProcess p(riscv());
    EXPECT_EQ(p.call("chdir", p.text(std::string(5000, 'a'))), -ENAMETOOLONG);
    EXPECT_EQ(p.call("chdir", 0), -EFAULT);
    EXPECT_EQ(p.call("chdir", ~u64(0)), -EFAULT);
    EXPECT_EQ(p.call("chdir", p.space().high()), -EFAULT);
    EXPECT_EQ(p.call("unlinkat", u64(AT_FDCWD), 1, 0), -EFAULT);
    std::memset(p.space().host(p.page), 'a', 65536); // a string that runs off the mapping
    EXPECT_EQ(p.call("chdir", p.page + 65536 - 10), -EFAULT);
}

TEST(Calls, VectorsAreChecked) {
    FakeProcess p(riscv());
    int fds[2];
    ASSERT_EQ(pipe(fds), 0);
    struct {
        u64 base, length;
    } iov[2] = {{p.page + 100, 3}, {p.page + 200, 2}};
    p.put(p.page, iov);
    p.text("abc", 100), p.text("de", 200);
    EXPECT_EQ(p.call("writev", u64(fds[1]), p.page, 2), 5);
    char got[6] = {};
    EXPECT_EQ(read(fds[0], got, 5), 5);
    EXPECT_STREQ(got, "abcde");
    EXPECT_EQ(p.call("writev", u64(fds[1]), p.page, 1025), -EINVAL);
    EXPECT_EQ(p.call("writev", u64(fds[1]), p.page, ~u64(0)), -EINVAL);
    iov[1] = {p.page, ~u64(0)};
    p.put(p.page, iov);
    EXPECT_EQ(p.call("writev", u64(fds[1]), p.page, 2), -EINVAL);
    iov[1] = {p.space().high() - 1, 100};
    p.put(p.page, iov);
    EXPECT_EQ(p.call("readv", u64(fds[0]), p.page, 2), -EFAULT);
    EXPECT_EQ(p.call("readv", u64(fds[0]), p.space().high() - 4, 1), -EFAULT);
    close(fds[0]), close(fds[1]);
}

TEST(Calls, AWriteIntoACodePageSucceeds) {
    FakeProcess p(riscv());
    int fds[2];
    ASSERT_EQ(pipe(fds), 0);
    ASSERT_EQ(write(fds[1], "xy", 2), 2);
    p.space().protect_code(p.page);
    EXPECT_EQ(p.call("read", u64(fds[0]), p.page + 5, 2), 2);
    EXPECT_EQ(p.at<u8>(p.page + 6), 'y');
    close(fds[0]), close(fds[1]);
}

TEST(Calls, MasksAndDispositions) {
    FakeProcess p(riscv());
    u64 old = Thread::block_all();
    p.thread().set_mask(0);
    p.put(p.page, ~u64(0));
    EXPECT_EQ(p.call("rt_sigprocmask", SIG_BLOCK, p.page, p.page + 8, 8), 0);
    EXPECT_EQ(p.at<u64>(p.page + 8), 0u);
    EXPECT_EQ(p.thread().mask(), ~unblockable);
    EXPECT_EQ(p.call("rt_sigprocmask", 9, p.page, 0, 8), -EINVAL);
    EXPECT_EQ(p.call("rt_sigprocmask", SIG_BLOCK, p.page, 0, 16), -EINVAL);
    EXPECT_EQ(p.call("rt_sigprocmask", SIG_SETMASK, 8, 0, 8), -EFAULT);
    struct {
        u64 handler, flags, mask;
    } action{0x1234, sa::siginfo, ~u64(0)};
    p.put(p.page, action);
    EXPECT_EQ(p.call("rt_sigaction", SIGUSR1, p.page, 0, 8), 0);
    EXPECT_EQ(p.call("rt_sigaction", SIGUSR1, 0, p.page + 64, 8), 0);
    EXPECT_EQ(p.at<u64>(p.page + 64), 0x1234u);
    EXPECT_EQ(p.at<u64>(p.page + 64 + 16), ~unblockable);
    EXPECT_EQ(p.call("rt_sigaction", SIGKILL, p.page, 0, 8), -EINVAL);
    EXPECT_EQ(p.call("rt_sigaction", SIGKILL, 0, p.page + 64, 8), 0);
    EXPECT_EQ(p.call("rt_sigaction", 65, p.page, 0, 8), -EINVAL);
    EXPECT_EQ(p.call("rt_sigaction", 0, p.page, 0, 8), -EINVAL);
    EXPECT_EQ(p.call("rt_sigaction", SIGUSR1, p.page, 0, 4), -EINVAL);
    p.put(p.page, decltype(action){});
    EXPECT_EQ(p.call("rt_sigaction", SIGUSR1, p.page, 0, 8), 0);
    Thread::unblock(old);
}

TEST(Calls, AlternateStacks) {
    FakeProcess p(riscv());
    struct {
        u64 sp;
        i32 flags, pad;
        u64 size;
    } stack{p.page, 0, 0, 8192}, back{};
    p.put(p.page + 9000, stack);
    EXPECT_EQ(p.call("sigaltstack", p.page + 9000, 0), 0);
    EXPECT_EQ(p.call("sigaltstack", 0, p.page + 10000), 0);
    back = p.at<decltype(back)>(p.page + 10000);
    EXPECT_EQ(back.sp, p.page);
    EXPECT_EQ(back.flags, 0);
    p.thread().set(p.process().map.sp, p.page + 100);
    EXPECT_EQ(p.call("sigaltstack", p.page + 9000, 0), -EPERM);
    p.thread().set(p.process().map.sp, p.stack);
    stack.size = 100;
    p.put(p.page + 9000, stack);
    EXPECT_EQ(p.call("sigaltstack", p.page + 9000, 0), -ENOMEM);
    stack.flags = 77;
    p.put(p.page + 9000, stack);
    EXPECT_EQ(p.call("sigaltstack", p.page + 9000, 0), -EINVAL);
}

// Each ABI's frame: pushed, everything changed, popped, everything as before.
TEST(Frames, RoundTrip) {
    for (const char* name : {"riscv64", "aarch64"}) {
        const Abi& abi = *find_abi(name);
        FakeProcess p(abi);
        ir::CpuHeader& cpu = p.thread().header();
        const RegisterMap& map = p.process().map;
        ASSERT_EQ(map.missing, "") << name;
        std::vector<std::pair<u32, u64>> state;
        u64 seed = 0x1111;
        for (auto* list : {&map.frame_gpr, &map.frame_vec})
            for (u32 offset : *list) state.emplace_back(offset, seed += 0x010203040506);
        for (auto& [offset, value] : state) reg(cpu, offset) = value;
        reg(cpu, map.sp) = p.stack;
        cpu.pc = 0x123456;
        cpu.fp = {.flags = 0x15, .mode = 1};
        // AArch64 keeps FPCR as a slot, too (RMode 3 is toward zero); what must be lost is the reservation.
        bool arm = abi.machine == "aarch64";
        u32 reservation = arm ? map.other[1] : map.other[0];
        auto fpcr = [&]() -> u32& { return reinterpret_cast<u32&>(reg(cpu, map.other[2])); };
        if (arm) fpcr() = 3u << 22, cpu.fp.flags |= ir::fpflag::saturated, cpu.mode = 1;
        reg(cpu, reservation) = 0x4001;
        siginfo_t info{};
        info.si_signo = SIGSEGV;
        info.si_code = SEGV_ACCERR;
        info.si_addr = reinterpret_cast<void*>(0xabcd);
        u8 raw[128];
        FrameRequest r{.signal = SIGSEGV,
                       .handler = 0x8000,
                       .flags = 0,
                       .restorer = 0,
                       .info = raw,
                       .info_bytes = siginfo_to_guest(abi, info, raw),
                       .mask = 0xff00,
                       .altstack = {1, 2, 3},
                       .sp = p.stack,
                       .trampoline = 0x7000,
                       .fault_address = 0xabcd};
        ASSERT_TRUE(abi.push_frame(p.space(), map, cpu, r)) << name;
        EXPECT_EQ(cpu.pc, 0x8000u);
        EXPECT_EQ(reg(cpu, reservation), 0u) << name;
        if (arm) {
            EXPECT_EQ(cpu.mode, 2u); // BTYPE, as of a call
            fpcr() = 0;
        }
        reg(cpu, reservation) = 0x4001;
        EXPECT_EQ(reg(cpu, map.args[0]), u64(SIGSEGV));
        EXPECT_EQ(reg(cpu, map.sp) % 16, 0u);
        EXPECT_LT(reg(cpu, map.sp), p.stack);
        EXPECT_EQ(p.at<i32>(reg(cpu, map.args[1]) + 8), SEGV_ACCERR);
        EXPECT_EQ(p.at<u64>(reg(cpu, map.args[1]) + 16), 0xabcdu);
        u64 frame = reg(cpu, map.sp);
        for (auto& [offset, value] : state) reg(cpu, offset) = ~value;
        cpu.fp = {};
        reg(cpu, map.sp) = frame;
        FrameResult result{};
        ASSERT_TRUE(abi.pop_frame(p.space(), map, cpu, result)) << name;
        EXPECT_EQ(cpu.pc, 0x123456u);
        EXPECT_EQ(result.mask, 0xff00u);
        EXPECT_EQ(result.altstack.size, 3u);
        EXPECT_EQ(cpu.fp.flags & 0x1f, 0x15u) << name;
        EXPECT_EQ(reg(cpu, reservation), 0u) << name;
        if (arm) {
            EXPECT_EQ(fpcr(), 3u << 22);
            EXPECT_EQ(cpu.mode, 1u);
            EXPECT_TRUE(cpu.fp.flags & ir::fpflag::saturated);
        }
        EXPECT_EQ(cpu.fp.mode & 7, 1u) << name;
        for (auto& [offset, value] : state)
            if (offset != map.sp) { EXPECT_EQ(reg(cpu, offset), value) << name << " " << offset; }
        // No stack: refused, not crashed.
        r.sp = 0x100000;
        EXPECT_FALSE(abi.push_frame(p.space(), map, cpu, r)) << name;
        r.sp = 16;
        EXPECT_FALSE(abi.push_frame(p.space(), map, cpu, r)) << name;
        reg(cpu, map.sp) = ~u64(0) - 4;
        EXPECT_FALSE(abi.pop_frame(p.space(), map, cpu, result)) << name;
    }
}

TEST(Frames, DamagedRecordsAreRefused) {
    const Abi& abi = *find_abi("aarch64");
    FakeProcess p(abi);
    p.thread().set(p.process().map.sp, p.page);
    FrameResult result{};
    EXPECT_FALSE(abi.pop_frame(p.space(), p.process().map, p.thread().header(), result)); // no FP record
    p.put<u32>(p.page + 128 + 176 + 288, 0x46508001);
    p.put<u32>(p.page + 128 + 176 + 292, 0xfffffff0);
    EXPECT_FALSE(abi.pop_frame(p.space(), p.process().map, p.thread().header(), result));
}

TEST(Calls, TheirTraceIsReadable) {
    FakeProcess p(riscv());
    int fds[2];
    ASSERT_EQ(pipe(fds), 0);
    p.process().options.strace = true;
    p.process().options.log = fds[1];
    p.call("openat", u64(AT_FDCWD), p.text("/none\n"), O_RDWR | O_CREAT | 02000000, 0644);
    p.call("write", 99, p.text("data"), 4);
    p.call("mmap", 0, 0, prot::read | prot::write, mapflag::private_ | mapflag::anonymous, u64(-1), 0);
    Args unknown{{}, 999, nullptr};
    EXPECT_EQ(call(p.thread(), unknown), -ENOSYS);
    char text[2000] = {};
    ASSERT_GT(read(fds[0], text, sizeof text - 1), 0);
    std::string tid = std::to_string(p.thread().tid());
    EXPECT_EQ(std::string(text),
              tid + " openat(AT_FDCWD,\"/none\\n\",O_RDWR|O_CREAT|O_CLOEXEC,0644) = " +
                  std::string(text).substr(std::string(text).find(" = ") + 3,
                                           std::string(text).find('\n') - std::string(text).find(" = ") - 3) +
                  "\n" + tid + " write(99,\"data\",4) = -1 errno=9 EBADF (Bad file descriptor)\n" + tid +
                  " mmap(NULL,0,PROT_READ|PROT_WRITE,MAP_PRIVATE|MAP_ANONYMOUS,-1,0) = -1 errno=22 EINVAL (Invalid "
                  "argument)\n" +
                  tid + " call 999 is unknown = -1 errno=38 ENOSYS (Function not implemented)\n");
    unlink("/none\n");
    close(fds[0]), close(fds[1]);
}

// Every call with pointers and lengths that make no sense: each answers with an error or does something harmless.
// In a child process, without what would stop or mutilate the machine.
TEST(Calls, HostileArguments) {
    pid_t child = fork();
    if (child == 0) {
        close(0), close(1);
        setpgid(0, 0);
        struct rlimit small = {256 << 20, 256 << 20};
        setrlimit(RLIMIT_FSIZE, &small);
        // Whatever blocks is interrupted at once: a handler without SA_RESTART.
        struct sigaction tick = {};
        tick.sa_handler = [](int) {};
        sigaction(SIGALRM, &tick, nullptr);
        struct itimerval soon = {{0, 1000}, {0, 1000}};
        setitimer(ITIMER_REAL, &soon, nullptr);
        FakeProcess p(riscv());
        set_current_thread(&p.thread());
        constexpr std::string_view left_out[] = {"exit",
                                                 "exit_group",
                                                 "kill",
                                                 "tkill",
                                                 "tgkill",
                                                 "pidfd_send_signal",
                                                 "rt_sigqueueinfo",
                                                 "clone",
                                                 "clone3",
                                                 "rt_tgsigqueueinfo",
                                                 "execve",
                                                 "execveat",
                                                 "reboot",
                                                 "syslog",
                                                 "vhangup",
                                                 "pause",
                                                 "setns",
                                                 "unshare",
                                                 "rt_sigreturn",
                                                 "rt_sigsuspend",
                                                 "ppoll",
                                                 "pselect6",
                                                 "sched_setscheduler",
                                                 "sched_setparam",
                                                 "sync",
                                                 "chroot",
                                                 "sched_setattr",
                                                 "restart_syscall",
                                                 "personality",
                                                 "brk",
                                                 "munmap",
                                                 "mmap",
                                                 "mremap",
                                                 "setrlimit",
                                                 "setitimer",
                                                 "prlimit64",
                                                 "rt_sigprocmask",
                                                 "rt_sigaction",
                                                 "acct",
                                                 "setpriority",
                                                 "ioprio_set",
                                                 "close_range",
                                                 "close",
                                                 "dup3",
                                                 "swapoff",
                                                 "swapon",
                                                 "settimeofday",
                                                 "clock_settime",
                                                 "adjtimex",
                                                 "clock_adjtime",
                                                 "mlockall",
                                                 "futex",
                                                 "waitid",
                                                 "sethostname",
                                                 "setdomainname",
                                                 "nanosleep",
                                                 "clock_nanosleep",
                                                 "rt_sigtimedwait",
                                                 "wait4",
                                                 "mprotect",
                                                 "madvise"};
        const u64 values[] = {0,
                              1,
                              ~u64(0),
                              u64(i64(-100)),
                              p.page + 65530,
                              p.read_only,
                              p.space().high() - 3,
                              p.page,
                              0x8000000000000000ull,
                              1ull << 37,
                              4096,
                              0xffffffff};
        u32 n = 0;
        for (const CallRow& row : all_calls()) {
            bool skip = row.generic < 0;
            for (auto name : left_out) skip |= name == row.name;
            if (skip) continue;
            for (u32 round = 0; round < 60; round++) {
                u64 a[6];
                for (u64& v : a) v = values[(n = n * 1103515245 + 12345) / 65536 % std::size(values)];
                Args args{{a[0], a[1], a[2], a[3], a[4], a[5]}, u64(row.generic), nullptr};
                i64 r = call(p.thread(), args);
                if (r < -4095 && r != keep_registers) _exit(3);
            }
        }
        _exit(42);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), 42);
}

} // namespace
} // namespace mimic::user
