// Intrinsics: operations too rare for an IR op. Each is a C++ reference body that interpreter and back ends can always
// call; a back end may know a better way for some.
#pragma once
#include "ir/state.hpp"

namespace mimic::ir {

// A value as intrinsics see it: the low size_of(type) bytes count.
struct alignas(16) Wide {
    u64 w[2];
};

struct Intrinsic {
    enum Effects : u8 {
        pure = 0,         // result depends on the arguments alone
        reads_state = 1,  // reads slots
        writes_state = 2, // writes slots (the pc excepted)
        reads_fp = 4,     // uses or changes CpuHeader::fp
        may_exit = 8,     // non-zero status leaves: the body has set exit_kind and its arguments; state is that of the
                          // instruction's start
        impure = 16,      // reads a clock or random source: logged and replayed by verify
    };
    std::string_view name;
    // args and results are arrays; returns 0, or non-zero to leave (may_exit only).
    int (*body)(CpuHeader* cpu, const Wide* args, Wide* results);
    u8 args = 0, results = 1;
    u8 effects = pure;
};

} // namespace mimic::ir
