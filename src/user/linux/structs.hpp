// The structures of the Linux interface: their names, layouts, and the host-side form of those that hold pointers.
//
// Sources: the kernel's UAPI headers (Debian linux-libc-dev 6.1). Where the host's C library has the kernel's own form,
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
struct FdPair {
    i32 fd[2];
};

} // namespace mimic::user
