// The structures of the Linux interface: their names, layouts, and the host-side form of those that hold pointers.
//
// Sources: the kernel's UAPI headers (Debian linux-libc-dev 6.1; newer ones by their manual pages). Where the host's C library has the kernel's own form,
// that is used; structures with pointers have a neutral form here, in which a pointer is a guest address.
#pragma once
#include "base/types.hpp"
#include "user/linux/layout.hpp"
#include <array>

namespace mimic::user {

enum class S : u8 {
#define STRUCT(name) name,
#include "user/linux/structs.def"
#undef STRUCT
    none,
};
inline constexpr u32 struct_count = u32(S::none);

// Layouts of one ABI, by S.
using Layouts = std::array<const Layout*, struct_count>;
// What every architecture on the generic syscall table shares; the host's x86-64 differs in stat, epoll_event, ipc.
extern const Layouts generic_layouts;
extern const Layouts restorer_layouts; // generic, of architectures whose asm/signal.h has SA_RESTORER
extern const Layouts x86_64_layouts;

// ---- neutral forms ----------------------------------------------------------------------------------------------

struct Timezone {
    i32 minutes_west, dst;
};
struct IoVec {
    u64 base, length;
};
struct SigAction {
    u64 handler, flags, restorer, mask;
};
struct SigStack {
    u64 sp;
    i32 flags;
    u64 size;
};
struct SigEvent {
    u64 value;
    i32 signo, notify, tid;
};
struct MsgHdr {
    u64 name;
    u32 name_length;
    u64 iov, iov_length, control, control_length;
    u32 flags;
};
struct MMsgHdr {
    MsgHdr header;
    u32 length;
};
struct CMsgHdr {
    u64 length;
    i32 level, type;
};
struct KernelTermios {
    u32 iflag, oflag, cflag, lflag;
    u8 line, cc[19];
};
struct CloneArgs {
    u64 flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};
struct OpenHow {
    u64 flags, mode, resolve;
};
struct RobustListHead {
    u64 next, offset, pending;
};
struct SchedAttr {
    u32 size, policy;
    u64 flags;
    i32 nice;
    u32 priority;
    u64 runtime, deadline, period;
    u32 util_min, util_max;
};
struct FutexWaitv {
    u64 value, address;
    u32 flags, reserved;
};
struct CapHeader {
    u32 version;
    i32 pid;
};
struct CapData {
    u32 effective, permitted, inheritable;
};
struct CacheStatRange {
    u64 offset, length;
};
struct CacheStat {
    u64 cached, dirty, writeback, evicted, recently_evicted;
};
struct MountAttr {
    u64 set, clear, propagation, userns_fd;
};
struct MntIdReq {
    u32 size, fd;
    u64 mnt_id, param, mnt_ns_id;
};
struct XattrArgs {
    u64 value;
    u32 size, flags;
};
struct FileAttr {
    u64 xflags;
    u32 extsize, nextents, projid, cowextsize;
};
struct IoCb {
    u64 data;
    u32 key, rw_flags;
    u16 opcode;
    i16 reqprio;
    u32 fildes;
    u64 buf, nbytes;
    i64 offset;
    u64 reserved2;
    u32 flags, resfd;
};
struct IoEvent {
    u64 data, obj;
    i64 res, res2;
};
struct KexecSegment {
    u64 buf, bufsz, mem, memsz;
};
struct BpfInsn { // struct sock_filter
    u16 code;
    u8 jt, jf;
    u32 k;
};
struct SockFprog {
    u16 length;
    u64 filter;
};
struct FdPair {
    i32 fd[2];
};

} // namespace mimic::user
