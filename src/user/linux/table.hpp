// The table of system calls: one row a call, with its numbers, its arguments and what makes it. Dispatch, the generic
// handler and strace all work from the row.
//
// A row whose handler is `pass` goes to the host's kernel as its arguments say: structures are converted where host and
// guest differ, pointers become host pointers, paths are looked up under the sysroot. Everything else has a handler in
// calls/, in the file of its family.
#pragma once
#include "user/linux/thread.hpp"
#include <string>

namespace mimic::user {

enum class ArgKind : u8 {
    none,
    integer, // int
    word,    // unsigned int
    slong,   // long, size_t, off_t: the guest's long
    fd,
    dirfd,
    mode,  // octal
    flags, // hexadecimal
    pid,
    signal,
    open_flags,
    map_prot,
    map_flags,
    address,     // printed in hexadecimal; never passed to the kernel as it is
    vector,      // likewise; of pointers to strings, ended by a null: printed as these
    text,        // a string that is no path
    path,        // a path that is used as it is (created, removed, renamed)
    lookup,      // a path that is looked up under the sysroot first
    lookup_link, // likewise, a link at its end is not followed
    in,          // structure s, read
    out,         // structure s, written
    inout,
    in_bytes,  // buffer that the kernel reads; its length is argument `s`
    out_bytes, // buffer that the kernel writes; its length is argument `s`
    out_fixed, // `s` bytes, written
};
struct Arg {
    ArgKind kind = ArgKind::none;
    u8 s = 0;
};

using Handler = i64 (*)(Thread&, const Args&);

struct CallRow {
    const char* name;
    i16 generic, x86_64; // numbers; -1: the table lacks it
    i32 host;            // the host's number, -1: none
    Handler handler;
    Arg args[6];
};

// The row of a guest's number, or nullptr.
const CallRow* find_call(const Abi& abi, u64 number);
std::span<const CallRow> all_calls();

// Makes the call: its result, -errno (never -restart's neighbours by accident), -process::restart, -process::not_entered or keep_registers.
i64 call(Thread& t, const Args& a);
// What programs do where a call answers ENOSYS; empty for calls that work.
std::string_view call_note(std::string_view name);

// The handler of calls that are not there.
i64 enosys(Thread& t, const Args& a);
// The generic handler.
i64 pass(Thread& t, const Args& a);

} // namespace mimic::user
