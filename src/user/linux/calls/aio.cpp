// Asynchronous input and output of the kernel. io_setup(2), io_submit(2), io_getevents(2); linux/aio_abi.h.
//
// The kernel maps a context's ring where it likes, which is no place of the guest's. The guest's name for a context is a
// page of its own, left empty: libraries that look for the ring's magic number in it make the call instead.
#include "user/linux/calls/import.hpp"
#include <algorithm>
#include <cerrno>
#include <linux/aio_abi.h>
#include <sys/syscall.h>

namespace mimic::user {
namespace {

using process::raw_syscall;

u64 host_context(Thread& t, u64 guest) {
    std::lock_guard guard(t.process().aio_lock);
    auto found = t.process().aio.find(guest);
    return found == t.process().aio.end() ? 0 : found->second;
}

bool is_buffer(u16 opcode) { return opcode == IOCB_CMD_PREAD || opcode == IOCB_CMD_PWRITE; }
bool is_vector(u16 opcode) { return opcode == IOCB_CMD_PREADV || opcode == IOCB_CMD_PWRITEV; }
bool is_read(u16 opcode) { return opcode == IOCB_CMD_PREAD || opcode == IOCB_CMD_PREADV; }

// One request. The kernel names requests by their address, so it gets the guest's own; for the time of the call the
// buffer's address in it is the host's.
i64 submit(Thread& t, u64 context, u64 address) {
    IoCb request;
    if (!t.read(S::iocb, address, &request)) return -EFAULT;
    if (t.process().keeps(int(request.fildes))) return -EBADF;
    void* host = t.writing(address, sizeof(struct iocb));
    if (!host) return -EFAULT;
    IoCb patched = request;
    std::vector<struct iovec> vector;
    if (is_buffer(request.opcode)) {
        void* buffer =
            is_read(request.opcode) ? t.writing(request.buf, request.nbytes) : t.reading(request.buf, request.nbytes);
        if (!buffer) return -EFAULT;
        patched.buf = u64(buffer);
    } else if (is_vector(request.opcode)) {
        if (i64 r = import_iovec(t, request.buf, request.nbytes, is_read(request.opcode), vector)) return r;
        patched.buf = u64(vector.data());
    }
    bool differs = patched.buf != request.buf;
    if (differs && !t.write(S::iocb, address, &patched)) return -EFAULT;
    struct iocb* list[] = {static_cast<struct iocb*>(host)};
    i64 r = t.syscall(SYS_io_submit, context, 1, list);
    if (differs && !t.write(S::iocb, address, &request)) return -EFAULT;
    return r;
}

} // namespace

i64 sys_io_setup(Thread& t, const Args& a) {
    u64 given = 0, context = 0;
    if (!t.read_word(a[1], given)) return -EFAULT;
    if (given != 0 || a.u(0) == 0) return -EINVAL;
    if (!t.process().same_model) return -ENOSYS;
    i64 r = raw_syscall(SYS_io_setup, a.u(0), u64(&context));
    if (r < 0) return r;
    i64 name = t.memory().map(0, t.memory().page(), prot::read, mapflag::private_ | mapflag::anonymous);
    u64 guest = u64(name);
    if (name < 0 || !t.write(S::ulong, a[1], &guest)) {
        raw_syscall(SYS_io_destroy, context);
        if (name < 0) return name;
        t.memory().unmap(guest, t.memory().page());
        return -EFAULT;
    }
    std::lock_guard guard(t.process().aio_lock);
    t.process().aio[guest] = context;
    return 0;
}

i64 sys_io_destroy(Thread& t, const Args& a) {
    u64 context = host_context(t, a[0]);
    if (context == 0) return -EINVAL;
    i64 r = t.syscall(SYS_io_destroy, context);
    if (r < 0) return r;
    t.memory().unmap(a[0], t.memory().page());
    std::lock_guard guard(t.process().aio_lock);
    t.process().aio.erase(a[0]);
    return 0;
}

i64 sys_io_submit(Thread& t, const Args& a) {
    u64 context = host_context(t, a[0]);
    if (i64(a[1]) < 0 || context == 0) return -EINVAL;
    for (u64 n = 0; n < a[1]; n++) {
        u64 address;
        i64 r = t.read_word(a[2] + n * t.word_bytes(), address) ? submit(t, context, address) : -EFAULT;
        if (r <= 0) return n ? i64(n) : r;
    }
    return i64(a[1]);
}

i64 sys_io_cancel(Thread& t, const Args& a) {
    u64 context = host_context(t, a[0]);
    void* request = t.reading(a[1], sizeof(struct iocb));
    struct io_event event {};
    u32 key;
    if (!request || !t.read(S::u32, a[1] + 8, &key)) return -EFAULT;
    return context ? t.syscall(SYS_io_cancel, context, request, &event) : -EINVAL;
}

// io_getevents and io_pgetevents.
i64 sys_io_getevents(Thread& t, const Args& a) {
    struct timespec timeout {};
    if (a[4] != 0 && !t.read(S::timespec, a[4], &timeout)) return -EFAULT;
    TemporaryMask mask(t);
    if (a.row->host == SYS_io_pgetevents && a[5] != 0) {
        u64 set, bytes;
        if (!t.read_word(a[5], set) || !t.read_word(a[5] + t.word_bytes(), bytes)) return -EFAULT;
        if (i64 r = mask.set(set, bytes)) return r;
    }
    u64 context = host_context(t, a[0]);
    if (context == 0 || i64(a[1]) < 0 || i64(a[2]) < i64(a[1])) return mask.done(-EINVAL);
    constexpr u64 most = 65536; // asking for fewer than all is allowed, and bounds memory
    u64 room = std::min(a[2], std::max(a[1], most));
    std::vector<struct io_event> events(static_cast<size_t>(std::min<u64>(room, 1 << 20)));
    struct {
        const u64* set;
        u64 bytes;
    } host_mask{mask.host(), 8};
    i64 n = mask.done(t.syscall(SYS_io_pgetevents, context, std::min<u64>(a[1], events.size()), events.size(),
                                events.data(), a[4] ? &timeout : nullptr, &host_mask));
    u64 bytes = size_of(t.abi().layout(S::io_event), t.abi().model);
    for (i64 i = 0; i < n; i++) {
        struct io_event& e = events[size_t(i)];
        IoEvent out{e.data, e.obj - t.memory().base(), e.res, e.res2};
        if (!t.write(S::io_event, a[3] + u64(i) * bytes, &out)) return -EFAULT;
    }
    return n;
}

} // namespace mimic::user
