#include "user/linux/layout.hpp"
#include "user/linux/structs.hpp"
#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <random>
#include <signal.h>
#include <string>
#include <sys/epoll.h>
#include <sys/stat.h>

namespace mimic::user {
namespace {

constexpr Model generic64{}, big32{4, 8, true}, little32{4, 4, false}, big64{8, 8, true};
constexpr const char* names[] = {
#define STRUCT(name) #name,
#include "user/linux/structs.def"
#undef STRUCT
};
const Layout& layout(S s) { return *generic_layouts[u32(s)]; }

// Fills every field of the host's form with a random value that the narrowest model can hold.
void fill(const Layout& l, u8* host, std::mt19937& random) {
    for (const Field& f : l.fields)
        for (u32 i = 0; i < f.count && f.host_bytes != 0; i++) {
            u64 v = random() & 0x7fffffff;
            u32 guest_bytes = f.kind == Kind::u8 || f.kind == Kind::s8 || f.kind == Kind::bytes ? 1
                              : f.kind == Kind::u16 || f.kind == Kind::s16                      ? 2
                                                                                                : 4;
            v &= guest_bytes == 4 ? 0x7fffffffu : (1u << (8 * guest_bytes - 1)) - 1;
            if (f.kind == Kind::s32 || f.kind == Kind::slong || f.kind == Kind::s16) v = 0 - (v & 0x7fff);
            store_int(host + f.host_offset + i * f.host_bytes, f.host_bytes, false, v);
        }
}

// Every structure goes to the made-up 32-bit big-endian ABI (and others) and comes back the same.
TEST(Layouts, EveryStructureRoundTripsInEveryModel) {
    std::mt19937 random(7);
    for (Model m : {generic64, big32, little32, big64})
        for (const Layouts* set : {&generic_layouts, &x86_64_layouts})
            for (u32 s = 0; s < struct_count; s++) {
                const Layout& l = *(*set)[s];
                ASSERT_LE(size_of(l, m), max_struct) << names[s];
                alignas(16) u8 host[max_struct] = {}, guest[max_struct], back[max_struct] = {};
                fill(l, host, random);
                to_guest(l, m, host, guest);
                from_guest(l, m, guest, back);
                EXPECT_EQ(std::memcmp(host, back, l.host_size), 0) << names[s] << " long " << int(m.long_bytes);
            }
}

TEST(Layouts, NothingIsWrittenBeyondTheSize) {
    for (Model m : {generic64, big32, little32})
        for (u32 s = 0; s < struct_count; s++) {
            u8 guest[max_struct + 1], host[max_struct] = {};
            std::memset(guest, 0xa5, sizeof guest);
            to_guest(*generic_layouts[s], m, host, guest);
            EXPECT_EQ(guest[size_of(*generic_layouts[s], m)], 0xa5) << names[s];
        }
}

// Sizes that the kernel's headers give for 64-bit generic ABIs (asm-generic/stat.h and others).
TEST(Layouts, SizesAreTheKernels) {
    struct {
        S s;
        u32 generic, thirty_two;
    } rows[] = {
        {S::timespec, 16, 8},       {S::stat, 128, 80},      {S::statfs, 120, 88},     {S::statx, 256, 256},
        {S::rusage, 144, 72},       {S::sysinfo, 112, 0},    {S::flock, 32, 16},       {S::epoll_event, 16, 16},
        {S::sigaction, 24, 16},     {S::stack, 24, 12},      {S::sigevent, 64, 60},    {S::iovec, 16, 8},
        {S::msghdr, 56, 28},        {S::mmsghdr, 64, 32},    {S::cmsghdr, 16, 12},     {S::termios, 36, 36},
        {S::winsize, 8, 8},         {S::clone_args, 88, 88}, {S::open_how, 24, 24},    {S::robust_list_head, 24, 12},
        {S::timex, 208, 128},       {S::utsname, 390, 390},  {S::itimerspec, 32, 16},  {S::tms, 32, 16},
        {S::ipc_perm, 48, 36},      {S::shmid_ds, 112, 0},   {S::msqid_ds, 120, 0},    {S::semid_ds, 88, 0},
        {S::sched_attr, 56, 56},    {S::mq_attr, 64, 32},    {S::futex_waitv, 24, 24}, {S::siginfo_child, 48, 32},
        {S::siginfo_fault, 24, 16},
    };
    for (auto& r : rows) {
        EXPECT_EQ(size_of(layout(r.s), generic64), r.generic) << names[u32(r.s)];
        // 0: 32-bit ABIs have a form of their own (halves of 64-bit times), which they bring along.
        EXPECT_TRUE(r.thirty_two == 0 || size_of(layout(r.s), big32) == r.thirty_two) << names[u32(r.s)];
    }
    EXPECT_EQ(size_of(*restorer_layouts[u32(S::sigaction)], generic64), 32u);
    EXPECT_EQ(size_of(*x86_64_layouts[u32(S::sigaction)], generic64), 32u);
    EXPECT_EQ(size_of(*x86_64_layouts[u32(S::stat)], generic64), 144u);
    EXPECT_EQ(size_of(*x86_64_layouts[u32(S::epoll_event)], generic64), 12u);
    EXPECT_EQ(size_of(*x86_64_layouts[u32(S::semid_ds)], generic64), 104u);
}

// The host is x86-64: what it shares with the generic ABI goes to the kernel without conversion, the rest must not.
TEST(Layouts, IdenticalOnesAreFound) {
    for (S s : {S::timespec, S::statfs, S::rusage, S::sysinfo, S::flock, S::pollfd, S::iovec, S::itimerspec, S::timex,
                S::statx, S::termios, S::winsize, S::shmid_ds, S::msqid_ds, S::ulong})
        EXPECT_TRUE(identical(layout(s), generic64)) << names[u32(s)];
    for (S s : {S::stat, S::epoll_event, S::sigaction, S::semid_ds})
        EXPECT_FALSE(identical(layout(s), generic64)) << names[u32(s)];
    for (u32 s = 0; s < struct_count; s++) EXPECT_FALSE(identical(*generic_layouts[s], big32)) << names[s];
    EXPECT_TRUE(identical(*x86_64_layouts[u32(S::stat)], generic64));
    EXPECT_TRUE(identical(*x86_64_layouts[u32(S::epoll_event)], generic64));
    EXPECT_TRUE(identical(*x86_64_layouts[u32(S::semid_ds)], generic64));
}

TEST(Layouts, FieldsStandWhereTheHeadersPutThem) {
    struct stat st {};
    st.st_ino = 0x1122334455667788;
    st.st_mode = S_IFREG | 0644;
    st.st_size = 0x123456789;
    st.st_mtim.tv_nsec = 77;
    u8 guest[max_struct];
    to_guest(layout(S::stat), generic64, &st, guest);
    EXPECT_EQ(load_int(guest + 8, 8, false), 0x1122334455667788u);
    EXPECT_EQ(load_int(guest + 16, 4, false), u32(S_IFREG | 0644));
    EXPECT_EQ(load_int(guest + 48, 8, false), 0x123456789u);
    EXPECT_EQ(load_int(guest + 96, 8, false), 77u);
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_len = -5;
    to_guest(layout(S::flock), big32, &lock, guest);
    EXPECT_EQ(load_int(guest, 2, true), u16(F_WRLCK));
    EXPECT_EQ(load_int(guest + 8, 4, true), u32(-5));
    siginfo_t info{};
    info.si_signo = SIGCHLD;
    info.si_status = 9;
    to_guest(layout(S::siginfo_child), generic64, &info, guest);
    EXPECT_EQ(load_int(guest + 24, 4, false), 9u);
    to_guest(layout(S::siginfo_child), big32, &info, guest);
    EXPECT_EQ(load_int(guest + 20, 4, true), 9u);
}

} // namespace
} // namespace mimic::user
