#include "base/touch.hpp"
#include "base/process.hpp"
#include <cstdlib>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mimic {

namespace {

constexpr u64 page_mask = 4095;

void touch(u64 at, u64 bytes, int advice) {
    const u64 from = at & ~page_mask, to = (at + bytes + page_mask) & ~page_mask;
    process::raw_syscall(SYS_madvise, from, to - from, u64(advice));
}

} // namespace

void touch_to_write(void* at, u64 bytes) { touch(u64(at), bytes, MADV_POPULATE_WRITE); }
void touch_to_read(const void* at, u64 bytes) { touch(u64(at), bytes, MADV_POPULATE_READ); }

void touch_heap(u64& top) {
    const u64 now = u64(sbrk(0)); // asks nobody
    if (now == top) return;
    if (top == 0 || now < top) {
        void* p = std::malloc(sizeof top);
        top = u64(p);
        std::free(p);
    }
    constexpr u64 most = 1 << 20;
    if (now > top && now - top <= most) touch(top, now - top, MADV_POPULATE_WRITE);
    top = now;
}

void let_heap_be_touched() {
    mallopt(M_TOP_PAD, 256 << 10);
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_TRIM_THRESHOLD, 4 << 20);
}

} // namespace mimic
