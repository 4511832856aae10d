// The generic handler: a call made on the host from its row alone.
#include "user/linux/calls/handlers.hpp"
#include "user/linux/proc_files.hpp"
#include "user/linux/strace.hpp"
#include "user/linux/table.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>

namespace mimic::user {
namespace {

// The host's form of a call's arguments, and what must be written back.
struct Marshalled {
    u64 host[6] = {};
    alignas(16) u8 buffers[3][max_struct]; // structures that differ; no call has more
    std::string paths[2];
    struct {
        const Layout* layout = nullptr;
        u64 address = 0;
        u8* buffer = nullptr;
    } back[3];
    u32 used = 0, texts = 0, backs = 0;
};

i64 structure(Thread& t, Marshalled& m, u32 n, u64 address, Arg arg) {
    const Layout& l = t.abi().layout(S(arg.s));
    bool in = arg.kind != ArgKind::out, out = arg.kind != ArgKind::in;
    if (address == 0) return 0;
    u32 bytes = size_of(l, t.abi().model);
    void* direct = out ? t.writing(address, bytes) : t.reading(address, bytes);
    if (!direct) return -EFAULT;
    if (t.process().same[arg.s]) {
        m.host[n] = u64(direct);
        return 0;
    }
    u8* buffer = m.buffers[m.used++];
    if (in && !t.read(S(arg.s), address, buffer)) return -EFAULT;
    if (out) m.back[m.backs++] = {&l, address, buffer};
    m.host[n] = u64(buffer);
    return 0;
}

i64 path_argument(Thread& t, const Args& a, Marshalled& m, u32 n, ArgKind kind) {
    const u64 address = a[n];
    if (address == 0) return 0; // some calls take a null path; the kernel says EFAULT for the others
    std::string& text = m.paths[m.texts++];
    if (i64 r = t.path(address, text)) return r;
    if (kind == ArgKind::lookup || kind == ArgKind::lookup_link) {
        const bool relative = n != 0 && a.row->args[n - 1].kind == ArgKind::dirfd;
        text = redirect_proc(t, relative ? a.i(n - 1) : AT_FDCWD, text);
        text = t.process().paths.lookup(text, kind == ArgKind::lookup);
    }
    m.host[n] = u64(text.c_str());
    return 0;
}

i64 argument(Thread& t, const Args& a, Marshalled& m, u32 n, Arg arg) {
    u64 v = a[n];
    switch (arg.kind) {
    case ArgKind::none: return 0;
    case ArgKind::word:
    case ArgKind::mode: m.host[n] = u32(v); return 0;
    case ArgKind::slong:
    case ArgKind::flags: m.host[n] = t.word_bytes() == 4 ? u64(i64(i32(v))) : v; return 0;
    case ArgKind::address:
    case ArgKind::vector: m.host[n] = v; return 0;
    case ArgKind::text:
    case ArgKind::path:
    case ArgKind::lookup:
    case ArgKind::lookup_link: return path_argument(t, a, m, n, arg.kind);
    case ArgKind::in:
    case ArgKind::out:
    case ArgKind::inout: return structure(t, m, n, v, arg);
    case ArgKind::in_bytes:
    case ArgKind::out_bytes:
    case ArgKind::out_fixed: {
        u64 length = arg.kind == ArgKind::out_fixed ? arg.s : a[arg.s];
        if (t.word_bytes() == 4) length = u32(length);
        if (v == 0) return 0;
        void* direct = arg.kind == ArgKind::in_bytes ? t.reading(v, length) : t.writing(v, length);
        if (!direct) return -EFAULT;
        m.host[n] = u64(direct);
        return 0;
    }
    default: m.host[n] = u64(i64(i32(v))); return 0;
    }
}

} // namespace

i64 pass(Thread& t, const Args& a) {
    const CallRow& row = *a.row;
    if (row.host < 0) return -ENOSYS;
    Marshalled m;
    for (u32 n = 0; n < 6; n++)
        if (i64 r = argument(t, a, m, n, row.args[n])) return r;
    i64 r = t.syscall(row.host, m.host[0], m.host[1], m.host[2], m.host[3], m.host[4], m.host[5]);
    if (r < 0) return r;
    for (u32 i = 0; i < m.backs; i++) {
        u8 raw[max_struct];
        to_guest(*m.back[i].layout, t.abi().model, m.back[i].buffer, raw);
        if (!t.memory().write(m.back[i].address, raw, size_of(*m.back[i].layout, t.abi().model))) return -EFAULT;
    }
    return r;
}

namespace {

// Calls whose addresses are no buffers, or which the host must not be asked for.
bool is_ours(const CallRow& row) {
    constexpr Handler ours[] = {sys_mremap,
                                sys_shmat,
                                sys_shmdt,
                                sys_clone,
                                sys_clone3,
                                sys_execve,
                                sys_execveat,
                                sys_rt_sigreturn,
                                sys_prctl,
                                sys_set_robust_list,
                                sys_ioctl,
                                sys_get_robust_list,
                                sys_set_tid_address,
                                sys_mmap,
                                enosys,
                                sys_io_setup,
                                sys_io_submit,
                                sys_exit,
                                sys_brk,
                                sys_exit_group};
    return row.host < 0 || std::find(std::begin(ours), std::end(ours), row.handler) != std::end(ours);
}

bool is_pointer(ArgKind kind) {
    switch (kind) {
    case ArgKind::address:
    case ArgKind::vector:
    case ArgKind::text:
    case ArgKind::path:
    case ArgKind::lookup:
    case ArgKind::lookup_link:
    case ArgKind::in:
    case ArgKind::out:
    case ArgKind::inout:
    case ArgKind::in_bytes:
    case ArgKind::out_bytes:
    case ArgKind::out_fixed: return true;
    default: return false;
    }
}

// An argument that can't be read is found by us before the kernel has seen the call; what is wrong with the others would
// have come first. So the kernel is asked, with addresses that are nobody's.
i64 refuse(Thread& t, const Args& a) {
    // In the first page nothing is ever mapped; what no program can address is left as it is, and so is misalignment.
    auto nobodys = [&](u64 address) { return address >> 47 ? address : 8 | (address & 7); };
    Marshalled m;
    for (u32 n = 0; n < 6; n++) {
        Arg arg = a.row->args[n];
        if (is_pointer(arg.kind))
            m.host[n] = a[n] == 0 ? 0 : nobodys(a[n]);
        else
            (void)argument(t, a, m, n, arg);
    }
    return t.syscall(a.row->host, m.host[0], m.host[1], m.host[2], m.host[3], m.host[4], m.host[5]);
}

i64 handle(Thread& t, const Args& a) {
    if (t.process().keeps_any() && names_kept(t, a)) [[unlikely]]
        return -EBADF;
    u64 before = t.host_calls;
    i64 r = a.row->handler(t, a);
    if (r != -EFAULT || t.host_calls != before || is_ours(*a.row)) [[likely]]
        return r;
    return refuse(t, a);
}

} // namespace

i64 call(Thread& t, const Args& given) {
    Args a = given;
    a.row = find_call(t.abi(), a.number);
    bool trace = t.process().options.strace;
    if (t.seccomp.mode() != SeccompState::Mode::none) [[unlikely]]
        if (auto refused = filter_call(t, a)) {
            if (trace) strace_refused(t, a, *refused);
            return *refused;
        }
    if (a.row) {
        if (trace) [[unlikely]]
            return strace_call(t, a, handle);
        return handle(t, a);
    }
    for (const ArchCall& arch : t.abi().calls)
        if (arch.number == a.number) {
            if (trace) return strace_arch_call(t, a, arch);
            return arch.handler(t, a);
        }
    if (trace) strace_unknown(t, a);
    return -ENOSYS;
}

} // namespace mimic::user
