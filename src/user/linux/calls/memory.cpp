// Memory: the address space makes the calls; here their arguments are checked.
#include "user/linux/arch_calls.hpp"
#include "user/linux/calls/handlers.hpp"
#include <algorithm>
#include <cerrno>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <vector>

namespace mimic::user {

i64 sys_brk(Thread& t, const Args& a) { return i64(t.memory().brk(a[0])); }
i64 sys_munmap(Thread& t, const Args& a) { return t.memory().unmap(a[0], a[1]); }
i64 sys_mprotect(Thread& t, const Args& a) { return t.memory().protect(a[0], a[1], a.u(2)); }
i64 sys_mremap(Thread& t, const Args& a) { return t.memory().remap(a[0], a[1], a[2], a.u(3), a[4]); }
i64 sys_madvise(Thread& t, const Args& a) {
    if (a[0] + a[1] < a[0]) return -EINVAL;
    return t.memory().advise(a[0], a[1], a.i(2));
}

i64 sys_mmap(Thread& t, const Args& a) {
    constexpr u32 x86_only = 0x40; // MAP_32BIT: no bit of the generic ABIs
    return t.memory().map(a[0], a[1], a.u(2), a.u(3) & ~x86_only, a.i(4), a[5]);
}

// Protection keys are a CPU feature that no model offers: only "no key" and the default key are valid.
i64 sys_pkey_mprotect(Thread& t, const Args& a) {
    return a.i(3) == -1 || a.i(3) == 0 ? t.memory().protect(a[0], a[1], a.u(2)) : -EINVAL;
}

namespace {
bool aligned(Thread& t, u64 address) { return address % t.memory().page() == 0; }
u64 up(Thread& t, u64 length) { return (length + t.memory().page() - 1) & ~u64(t.memory().page() - 1); }
} // namespace

i64 sys_msync(Thread& t, const Args& a) {
    if (!aligned(t, a[0])) return -EINVAL;
    u64 length = up(t, a[1]);
    if (length < a[1] || (length != 0 && !t.memory().covers(a[0], length))) return -ENOMEM;
    return t.syscall(SYS_msync, t.memory().host(a[0]), length, a.i(2));
}

// mlock, mlock2 and munlock.
i64 sys_mlock(Thread& t, const Args& a) {
    u64 low = a[0] & ~u64(t.memory().page() - 1), length = up(t, a[1] + (a[0] - low));
    u32 flags = a.row->host == SYS_mlock2 ? a.u(2) : 0;
    if (flags & ~1u || length < a[1] || low + length < low) return -EINVAL; // MLOCK_ONFAULT; a range that wraps
    if (length != 0 && !t.memory().covers(low, length)) return -ENOMEM;
    return t.syscall(a.row->host, t.memory().host(low), length, flags);
}

i64 sys_mincore(Thread& t, const Args& a) {
    constexpr u64 host_page = 4096;
    if (!aligned(t, a[0])) return -EINVAL;
    if (a[1] != 0 && !t.memory().covers(a[0], up(t, a[1]))) return -ENOMEM;
    void* host = t.memory().host(a[0]);
    // The guest's vector has a byte a guest page, the host's one a host page.
    u64 pages = up(t, a[1]) / t.memory().page(), per = t.memory().page() / host_page, chunk = 4096;
    std::vector<u8> raw(size_t(chunk * per));
    for (u64 at = 0; at < pages; at += chunk) {
        u64 n = std::min(chunk, pages - at);
        i64 r = t.syscall(SYS_mincore, u64(host) + at * t.memory().page(), n * t.memory().page(), raw.data());
        if (r < 0) return r;
        for (u64 i = 0; i < n; i++) {
            u8 in = 1;
            for (u64 k = 0; k < per; k++) in &= raw[i * per + k];
            raw[i] = in;
        }
        if (!t.memory().write(a[2] + at, raw.data(), n)) return -EFAULT;
    }
    return 0;
}

// NUMA policy: node masks are longs; only the plain cases that libraries use are passed on.
i64 sys_mbind(Thread& t, const Args& a) {
    if (!aligned(t, a[0]) || !t.memory().in_range(a[0], a[1])) return -EINVAL;
    void* host = t.memory().host(a[0]);
    u64 mask = 0;
    if (a[3] != 0 && !t.read_word(a[3], mask)) return -EFAULT;
    return t.syscall(SYS_mbind, host, a[1], a.i(2), a[3] ? &mask : nullptr, std::min<u64>(a[4], 64), a.u(5));
}
i64 sys_set_mempolicy_home_node(Thread& t, const Args& a) {
    if (!t.memory().in_range(a[0], a[1])) return -EINVAL;
    return t.syscall(SYS_set_mempolicy_home_node, t.memory().host(a[0]), a[1], a[2], a[3]);
}
namespace {
// A mask of nodes: longs of the guest. `count`: its bits.
i64 read_nodes(Thread& t, u64 address, u64 count, std::vector<u64>& nodes) {
    constexpr u64 most = 1 << 15; // more is EINVAL in the kernel: a page of bits
    if (count > most) return -EINVAL;
    nodes.assign(most / 64 + 1, 0);
    u64 per = t.word_bytes() * 8;
    for (u64 i = 0; address != 0 && i * per < count; i++) {
        u64 word;
        if (!t.read_word(address + i * t.word_bytes(), word)) return -EFAULT;
        nodes[i * per / 64] |= word << (i * per % 64);
    }
    return 0;
}
} // namespace
i64 sys_migrate_pages(Thread& t, const Args& a) {
    std::vector<u64> from, to;
    if (i64 r = read_nodes(t, a[2], a[1], from)) return r;
    if (i64 r = read_nodes(t, a[3], a[1], to)) return r;
    return t.syscall(SYS_migrate_pages, a.i(0), a[1], from.data(), to.data());
}
i64 sys_move_pages(Thread& t, const Args& a) {
    constexpr u64 most = 1 << 24;
    if (a[1] > most) return -E2BIG;
    std::vector<u64> pages;
    std::vector<i32> nodes, status(static_cast<size_t>(a[1] + 1));
    if (!t.read_array(S::ulong, a[2], pages, a[1])) return -EFAULT;
    if (a[3] != 0 && !t.read_array(S::i32, a[3], nodes, a[1])) return -EFAULT;
    for (u64& page : pages) {
        if (!t.memory().in_range(page, 1)) return -EFAULT;
        page += t.memory().base();
    }
    i64 r = t.syscall(SYS_move_pages, a.i(0), a[1], pages.data(), a[3] ? nodes.data() : nullptr, status.data(), a.i(5));
    for (u64 i = 0; r >= 0 && i < a[1]; i++)
        if (!t.write(S::i32, a[4] + i * 4, &status[i])) return -EFAULT;
    return r;
}
i64 sys_set_mempolicy(Thread& t, const Args& a) {
    u64 mask = 0;
    if (a[1] != 0 && !t.read_word(a[1], mask)) return -EFAULT;
    return t.syscall(SYS_set_mempolicy, a.i(0), a[1] ? &mask : nullptr, std::min<u64>(a[2], 64));
}
// The kernel writes whole longs, enough for `count` - 1 bits; libnuma asks for as many as it finds room for.
i64 sys_get_mempolicy(Thread& t, const Args& a) {
    u64 count = a[1] ? a[2] : 0, per = t.word_bytes() * 8;
    std::vector<u64> nodes;
    if (i64 r = read_nodes(t, 0, count, nodes)) return r;
    i32 mode = 0;
    void* address = a[3] ? t.reading(a[3], 1) : nullptr;
    i64 r = t.syscall(SYS_get_mempolicy, &mode, a[1] ? nodes.data() : nullptr, count, address, a[4]);
    if (r < 0) return r;
    if (a[0] && !t.write(S::i32, a[0], &mode)) return -EFAULT;
    for (u64 i = 0; i * per + 1 < count; i++) {
        u64 word = nodes[i * per / 64] >> (i * per % 64);
        if (!t.write(S::ulong, a[1] + i * t.word_bytes(), &word)) return -EFAULT;
    }
    return 0;
}

// riscv_flush_icache(start, end, flags): code in the range may have changed through another mapping.
i64 flush_icache(Thread& t, const Args& a) {
    constexpr u64 local = 1; // SYS_RISCV_FLUSH_ICACHE_LOCAL: this thread alone
    if (a[2] & ~local) return -EINVAL;
    u64 low = a[0], high = a[1] > a[0] ? a[1] : t.memory().high();
    if (a[1] <= a[0]) low = 0;
    t.memory().flush_code(low, high);
    if (!(a[2] & local)) t.process().engine.await_flushed();
    return 0;
}

} // namespace mimic::user
