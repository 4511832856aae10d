#include "cpu/system/event.hpp"
#include "base/process.hpp"
#include <ctime>
#include <linux/futex.h>
#include <sys/syscall.h>

namespace mimic::cpu {

void Event::signal() {
    count_.fetch_add(1, std::memory_order_seq_cst);
    if (waiting_.load(std::memory_order_seq_cst))
        process::raw_syscall(SYS_futex, u64(&count_), FUTEX_WAKE_PRIVATE, 0x7fffffff, 0, 0, 0);
}

void Event::wait(u32 seen, u64 nanoseconds) {
    waiting_.fetch_add(1, std::memory_order_seq_cst);
    struct timespec t = {time_t(nanoseconds / 1000000000), long(nanoseconds % 1000000000)};
    process::raw_syscall(SYS_futex, u64(&count_), FUTEX_WAIT_PRIVATE, seen, nanoseconds == ~u64{0} ? 0 : u64(&t), 0, 0);
    waiting_.fetch_sub(1, std::memory_order_seq_cst);
}

} // namespace mimic::cpu
