#include "user/linux/calls/import.hpp"
#include "user/linux/proc_files.hpp"
#include <cerrno>

namespace mimic::user {

i64 import_iovec(Thread& t, u64 address, u64 count, bool written, std::vector<struct iovec>& to) {
    constexpr u64 iov_max = 1024;
    count = u32(count); // as the kernel takes it
    if (count > iov_max) return -EINVAL;
    std::vector<IoVec> guest;
    if (count != 0 && !t.read_array(S::iovec, address, guest, count)) return -EFAULT;
    to.resize(size_t(count));
    for (size_t i = 0; i < count; i++) {
        if (i64(guest[i].length) < 0) return -EINVAL;
        void* host = written ? t.writing(guest[i].base, guest[i].length) : t.reading(guest[i].base, guest[i].length);
        if (!host && guest[i].length != 0) return -EFAULT;
        to[i] = {host, size_t(guest[i].length)};
    }
    return 0;
}

i64 host_path(Thread& t, i64 directory, u64 address, bool follow, std::string& path) {
    if (i64 r = t.path(address, path)) return r;
    path = redirect_proc(t, directory, path);
    path = t.process().paths.lookup(path, follow);
    return 0;
}

i64 check_extensible(Thread& t, u64 address, u64 size, u64 least, u64 known, bool read) {
    constexpr u64 page = 4096;
    if (size < least) return -EINVAL;
    if (size > page) return -E2BIG;
    for (u64 at = known; read && at < size; at++) {
        u8 byte = 0;
        if (!t.memory().read(address + at, &byte, 1)) return -EFAULT;
        if (byte) return -E2BIG;
    }
    return 0;
}

i64 import_sigset(Thread& t, u64 address, u64 size, u64& mask) {
    if (size != 8) return -EINVAL;
    if (!t.read(S::sigset, address, &mask)) return -EFAULT;
    return 0;
}

i64 TemporaryMask::set(u64 address, u64 size) {
    if (address == 0) return 0;
    if (i64 r = import_sigset(t_, address, size, guest_)) return r;
    host_ = guest_ & ~own_signals & ~unblockable;
    used_ = true;
    t_.suspend_mask(guest_);
    return 0;
}

i64 TemporaryMask::done(i64 result) {
    // The mask let in what keeps the call from being made: it ends by that.
    if (used_ && result == -process::not_entered) result = -process::restart;
    // Delivery restores the mask, or lets the handler's frame do so.
    bool interrupted = t_.pending_ != 0 && (result == -EINTR || result == -process::restart);
    if (used_ && !interrupted) t_.restore_mask();
    return result;
}

} // namespace mimic::user
