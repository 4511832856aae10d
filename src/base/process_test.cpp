#include "base/process.hpp"
#include <atomic>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <ucontext.h>
#include <unistd.h>
#include <vector>

namespace mimic::process {
namespace {

// Two pages: the first readable and writable, the second gone.
class Edge : public ::testing::Test {
protected:
    void SetUp() override {
        install_fault_handlers();
        page_ = static_cast<u8*>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        mprotect(page_ + 4096, 4096, PROT_NONE);
    }
    void TearDown() override { munmap(page_, 8192); }
    u8* page_ = nullptr;
    u8* hole() { return page_ + 4096; }
};

TEST_F(Edge, CopiesToNewPages) {
    constexpr u64 bytes = 3 * 4096;
    auto* fresh = static_cast<u8*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    std::vector<u8> a(5000), b(3);
    for (u64 n = 0; n < a.size(); ++n) a[n] = u8(n * 3 + 1);
    b = {7, 8, 9};
    const Copy two[] = {{fresh + 100, a.data(), a.size()}, {fresh + 8000, b.data(), b.size()}};
    copy_to_new(two);
    EXPECT_TRUE(std::equal(a.begin(), a.end(), fresh + 100));
    EXPECT_TRUE(std::equal(b.begin(), b.end(), fresh + 8000));
    EXPECT_EQ(fresh[99] + fresh[5100] + fresh[7999] + fresh[8003], 0);
    const std::vector<Copy> many(20, {fresh, b.data(), b.size()}); // more than the kernel is asked for at once
    copy_to_new(many);
    EXPECT_TRUE(std::equal(b.begin(), b.end(), fresh));
    munmap(fresh, bytes);
}

TEST_F(Edge, LoadsAndStoresOfEverySize) {
    for (u32 bytes : {1u, 2u, 4u, 8u, 16u}) {
        u8 in[16], out[16] = {};
        for (u32 i = 0; i < 16; i++) in[i] = u8(0x11 * i + bytes);
        EXPECT_TRUE(guarded_store(hole() - bytes, in, bytes));
        EXPECT_TRUE(guarded_load(hole() - bytes, out, bytes));
        EXPECT_EQ(std::memcmp(in, out, bytes), 0) << bytes;
        EXPECT_FALSE(guarded_load(hole(), out, bytes)) << bytes;
        EXPECT_FALSE(guarded_store(hole(), in, bytes)) << bytes;
        EXPECT_FALSE(guarded_cas(hole(), in, in, out, bytes)) << bytes;
    }
}

TEST_F(Edge, AStoreAcrossTheEdgeFaultsAndANonCanonicalAddressDoes) {
    u64 value = 1;
    EXPECT_FALSE(guarded_store(hole() - 4, &value, 8));
    EXPECT_FALSE(guarded_load(reinterpret_cast<void*>(0x8000000000000000ull), &value, 8));
    EXPECT_FALSE(guarded_load(nullptr, &value, 1));
}

TEST_F(Edge, CompareAndSwap) {
    for (u32 bytes : {1u, 2u, 4u, 8u, 16u}) {
        alignas(16) u8 memory[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
        u8 expected[16], desired[16], old[16];
        std::memcpy(expected, memory, 16);
        std::memset(desired, 0xaa, 16);
        EXPECT_TRUE(guarded_cas(memory, expected, desired, old, bytes));
        EXPECT_EQ(std::memcmp(old, expected, bytes), 0);
        EXPECT_EQ(std::memcmp(memory, desired, bytes), 0);
        EXPECT_TRUE(guarded_cas(memory, expected, expected, old, bytes)); // differs now: nothing is stored
        EXPECT_EQ(std::memcmp(old, desired, bytes), 0);
        EXPECT_EQ(std::memcmp(memory, desired, bytes), 0);
    }
}

TEST_F(Edge, ReadModifyWrite) {
    u64 old = 0;
    u32 word = 40;
    EXPECT_TRUE(guarded_rmw(&word, old, 4, [](u64 v) { return v + 2; }));
    EXPECT_EQ(old, 40u);
    EXPECT_EQ(word, 42u);
    EXPECT_FALSE(guarded_rmw(hole(), old, 4, [](u64 v) { return v + 2; }));
}

TEST_F(Edge, CopyTellsHowMuchWasLeft) {
    char buffer[64] = {};
    std::memset(page_, 'x', 4096);
    EXPECT_EQ(guarded_copy(buffer, hole() - 10, 64), 54u);
    EXPECT_EQ(buffer[9], 'x');
    EXPECT_EQ(buffer[10], 0);
    EXPECT_EQ(guarded_copy(hole() - 3, buffer, 64), 61u);
    EXPECT_EQ(guarded_copy(buffer, page_, 64), 0u);
    EXPECT_EQ(guarded_zero(hole() - 16, 20), 4u);
    EXPECT_EQ(hole()[-16], 0);
}

// Each way through the copy, ended by a fault at each of its bytes, on either side.
TEST_F(Edge, CopiesOfAnyLengthGoUpToTheFault) {
    char source[80], buffer[81];
    for (u32 n = 0; n < sizeof source; ++n) source[n] = char(n + 1);
    for (u64 n = 0; n <= sizeof source; ++n)
        for (u64 there = 0; there <= n; ++there) {
            std::memset(buffer, 0, sizeof buffer);
            std::memcpy(hole() - there, source, there);
            ASSERT_EQ(guarded_copy(buffer, hole() - there, n), n - there);
            ASSERT_EQ(std::memcmp(buffer, source, there), 0) << n << " " << there;
            ASSERT_EQ(buffer[there], 0);
            std::memset(hole() - there - 1, 0, there + 1);
            ASSERT_EQ(guarded_copy(hole() - there, source, n), n - there);
            ASSERT_EQ(std::memcmp(hole() - there, source, there), 0) << n << " " << there;
            ASSERT_EQ(hole()[-i64(there) - 1], 0);
        }
}

TEST_F(Edge, StringsEndOrFault) {
    std::memcpy(hole() - 4, "abc", 4);
    EXPECT_EQ(guarded_strnlen(reinterpret_cast<char*>(hole() - 4), 100), 3);
    std::memcpy(hole() - 4, "abcd", 4);
    EXPECT_EQ(guarded_strnlen(reinterpret_cast<char*>(hole() - 4), 100), -1);
    EXPECT_EQ(guarded_strnlen(reinterpret_cast<char*>(hole() - 4), 4), 4);
}

// One instruction that loads through rdi, and the place where the redirector goes on.
asm(R"(
    .text
    .globl mimic_test_load
    .hidden mimic_test_load
    .globl mimic_test_fail
    .hidden mimic_test_fail
mimic_test_load: movq (%rdi), %rax
    ret
mimic_test_fail: movq $-7, %rax
    ret
)");
extern "C" [[gnu::visibility("hidden")]] const char mimic_test_fail[];
extern "C" i64 mimic_test_load(const void*);

TEST_F(Edge, RegisteredRangesGetTheirFaults) {
    static std::atomic<u64> seen;
    auto redirect = [](void* owner, Fault& fault) {
        seen = fault.address;
        *static_cast<bool*>(owner) = fault.write;
        static_cast<ucontext_t*>(fault.context)->uc_mcontext.gregs[REG_RIP] = greg_t(u64(mimic_test_fail));
        return true;
    };
    bool write = true;
    auto* low = reinterpret_cast<const char*>(mimic_test_load);
    ASSERT_TRUE(register_code_range({low, low + 3, redirect, &write}));
    EXPECT_EQ(mimic_test_load(hole() + 8), -7);
    EXPECT_EQ(seen, u64(hole() + 8));
    EXPECT_FALSE(write);
    unregister_code_range(low);
}

TEST(CodeRanges, AreBounded) {
    static char area[max_code_ranges + 1];
    u32 n = 0;
    while (n <= max_code_ranges && register_code_range({area + n, area + n + 1, nullptr, nullptr})) n++;
    EXPECT_EQ(n, max_code_ranges);
    for (u32 i = 0; i < n; i++) unregister_code_range(area + i);
    EXPECT_TRUE(register_code_range({area, area + 1, nullptr, nullptr}));
    unregister_code_range(area);
}

TEST(Syscalls, RawOnesReturnNegativeErrno) {
    EXPECT_EQ(raw_syscall(SYS_getpid), getpid());
    EXPECT_EQ(raw_syscall(SYS_close, u64(-1)), -EBADF);
}

TEST(Syscalls, AnInterruptibleOneIsNotEnteredWhenSomethingIsPending) {
    u32 pending = 1;
    EXPECT_EQ(interruptible_syscall(&pending, SYS_getpid), -not_entered);
    pending = 0;
    EXPECT_EQ(interruptible_syscall(&pending, SYS_getpid), getpid());
}

// A blocking read of an empty pipe, interrupted by a signal to this thread: the restart window or the kernel's own
// restart must end it, whichever moment the signal chose.
TEST(Syscalls, ASignalEndsABlockingCallAtAnyMoment) {
    static constinit std::atomic<u32> pending{0};
    int fds[2];
    ASSERT_EQ(pipe(fds), 0);
    ASSERT_EQ(on_signal(SIGRTMAX, [](int, siginfo_t*, void* context) { pending = 1, leave_restart_window(context); }),
              0);
    long self = raw_syscall(SYS_gettid);
    for (int round = 0; round < 200; round++) {
        pending = 0;
        std::atomic<bool> done{false};
        std::thread killer([&] {
            for (int spin = 0; spin < round * 50; spin++) asm volatile("pause");
            raw_syscall(SYS_tgkill, u64(getpid()), u64(self), SIGRTMAX);
        });
        char c;
        i64 r = interruptible_syscall(reinterpret_cast<u32*>(&pending), SYS_read, u64(fds[0]), u64(&c), 1);
        EXPECT_TRUE(r == -restart || r == -not_entered) << r;
        killer.join();
    }
    set_default(SIGRTMAX);
    close(fds[0]), close(fds[1]);
}

TEST(Signals, AllButTheUncatchableOnesCanBeHooked) {
    for (int s = 1; s <= 64; s++) {
        if (s == SIGKILL || s == SIGSTOP || s == SIGSEGV || s == SIGBUS) continue;
        EXPECT_EQ(on_signal(s, [](int, siginfo_t*, void*) {}), 0) << s;
        EXPECT_EQ(set_default(s), 0) << s;
    }
    EXPECT_EQ(on_signal(SIGKILL, [](int, siginfo_t*, void*) {}), -EINVAL);
    EXPECT_EQ(on_signal(0, nullptr), -EINVAL);
    EXPECT_EQ(on_signal(65, nullptr), -EINVAL);
}

TEST(Signals, ASentSegvGoesToTheHookAndNotToARange) {
    static constinit std::atomic<int> code{1};
    on_signal(SIGSEGV, [](int, siginfo_t* info, void*) { code = info->si_code; });
    raw_syscall(SYS_tgkill, u64(getpid()), u64(raw_syscall(SYS_gettid)), SIGSEGV);
    EXPECT_EQ(code, SI_TKILL);
    set_default(SIGSEGV);
}

// Its code is CLD_EXITED, the number of SEGV_MAPERR, BUS_ADRALN and FPE_INTDIV.
TEST(Signals, AChildsEndToldByAFaultsSignalGoesToTheHookAndNotToARange) {
    static constinit std::atomic<int> code{0};
    for (int signal : {SIGSEGV, SIGBUS, SIGFPE}) {
        u8 byte = 0;
        guarded_load(reinterpret_cast<void*>(16), &byte, 1); // a fault before it
        code = 0;
        on_signal(signal, [](int, siginfo_t* info, void*) { code = info->si_code; });
        CodeRange everything{nullptr, reinterpret_cast<void*>(~0ull), [](void*, Fault&) {
                                 code = -1;
                                 return true;
                             }};
        ASSERT_TRUE(register_code_range(everything));
        i64 child = raw_syscall(SYS_clone, u64(signal));
        if (child == 0) raw_syscall(SYS_exit_group, 3);
        while (code == 0) {}
        unregister_code_range(everything.low);
        EXPECT_EQ(code, CLD_EXITED) << signal;
        int status = 0;
        EXPECT_EQ(waitpid(pid_t(child), &status, __WALL), child);
        set_default(signal);
    }
}

TEST(SignalStacks, AreTheThreadsOwnWhileTheyLive) {
    stack_t before{}, during{}, after{};
    sigaltstack(nullptr, &before);
    {
        SignalStack stack;
        sigaltstack(nullptr, &during);
    }
    sigaltstack(nullptr, &after);
    EXPECT_EQ(during.ss_size, 65536u);
    EXPECT_NE(during.ss_sp, before.ss_sp);
    EXPECT_TRUE(after.ss_flags & SS_DISABLE);
}

TEST(ProcessWide, ThingsAreListed) {
    auto list = inventory();
    ASSERT_EQ(list.size(), 5u);
    EXPECT_EQ(list[0], "code ranges");
    EXPECT_EQ(list[1], "fault handlers");
    EXPECT_EQ(list[2], "signal hooks");
    EXPECT_EQ(list[3], "lock of the registry");
    EXPECT_EQ(list[4], "log sink and trace flags");
}

} // namespace
} // namespace mimic::process
