// Descriptors that Mimic keeps for itself (a way to execute itself again inside a foreign root, the database of owners,
// the log) lie where programs have none, and stay when a program closes everything it finds.
#include "user/linux/calls/handlers.hpp"
#include <algorithm>
#include <cerrno>
#include <sys/syscall.h>

namespace mimic::user {

i64 sys_close(Thread& t, const Args& a) { return t.process().keeps(a.i(0)) ? -EBADF : pass(t, a); }

i64 sys_dup3(Thread& t, const Args& a) { return t.process().keeps(a.i(1)) ? -EBADF : pass(t, a); }

i64 sys_close_range(Thread& t, const Args& a) {
    u32 first = a.u(0), last = a.u(1);
    std::vector<u32> kept;
    for (int fd : t.process().kept)
        if (fd >= 0 && u32(fd) >= first && u32(fd) <= last) kept.push_back(u32(fd));
    if (kept.empty() || first > last) return pass(t, a);
    std::sort(kept.begin(), kept.end());
    kept.push_back(last + 1);
    i64 r = 0;
    for (u32 next : kept) {
        if (next > first || (next == 0 && last == ~0u)) r = t.syscall(SYS_close_range, first, next - 1, a.u(2));
        if (r < 0) return r;
        first = next + 1;
    }
    return r;
}

} // namespace mimic::user
