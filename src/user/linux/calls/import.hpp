// Helpers that several families share: iovec arrays and signal sets of the guest.
#pragma once
#include "user/linux/calls/handlers.hpp"
#include <sys/uio.h>
#include <vector>

namespace mimic::user {

// The guest's iovec array with host addresses; `written`: the kernel will write through it. 0 or -errno.
i64 import_iovec(Thread& t, u64 address, u64 count, bool written, std::vector<struct iovec>& to);

// A path argument as the host shall see it: /proc/self/exe leads to the guest's program, absolute paths to the sysroot.
// 0 or -errno.
i64 host_path(Thread& t, i64 directory, u64 address, bool follow, std::string& path);

// The rules for structures that grow: `size` below `least` is EINVAL, more than a page E2BIG; what lies behind `known`
// bytes must be zero when the kernel would read it. 0 or -errno.
i64 check_extensible(Thread& t, u64 address, u64 size, u64 least, u64 known, bool read = true);

// A sigset_t argument of `size` bytes, without the signals that only Mimic may block. 0 or -errno.
i64 import_sigset(Thread& t, u64 address, u64 size, u64& mask);

// Sets the mask of sigsuspend, ppoll and the like for one host call and puts it back unless a handler runs first.
class TemporaryMask {
public:
    explicit TemporaryMask(Thread& t) : t_(t) {}
    // 0 or -errno; a null address leaves the mask alone.
    i64 set(u64 address, u64 size);
    // What the host call gets: a pointer to the mask, or nullptr.
    const u64* host() const { return used_ ? &host_ : nullptr; }
    // After the call: result of the call, unchanged. The mask stays for delivery when a signal ended the call.
    i64 done(i64 result);

private:
    Thread& t_;
    u64 host_ = 0, guest_ = 0;
    bool used_ = false;
};

// Direct or converted array of structures, written back after the call.
inline bool is_null(u64 address) { return address == 0; }

} // namespace mimic::user
