// What a unit did to the world outside its slots: each access to guest memory and the results of impure intrinsics, in
// order. Generated code of the logged address model and logging Access objects append to it; the interpreter, run over
// the same unit with a replaying Access, takes from it (`verify=on`).
#pragma once
#include "base/types.hpp"

namespace mimic::ir {

struct AccessEntry {
    enum Kind : u8 { load = 1, store, rmw, cas, probe, call };
    u64 address = 0;   // of the guest; call: the Intrinsic
    u64 what = 0;      // Kind | Rmw or write << 8 | bytes << 16 (call: results)
    u64 value[2] = {}; // load: what was read; store: what is written; rmw: the operand; cas: what is expected
    u64 old[2] = {};   // rmw, cas: what was there. Bytes in memory order, but rmw's, which are integers
    u64 desired[2] = {};

    static constexpr u64 what_of(Kind kind, u32 op, u64 bytes) { return kind | u64(op) << 8 | bytes << 16; }
    Kind kind() const { return Kind(what & 0xff); }
    u32 op() const { return u32(what >> 8 & 0xff); }
    u64 bytes() const { return what >> 16; }
};
static_assert(sizeof(AccessEntry) == 64, "generated code counts on it");

} // namespace mimic::ir
