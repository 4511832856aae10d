// Any program that the check lets through ends, and reads and writes nothing but its own words.
#include "user/linux/seccomp.hpp"
#include <algorithm>
#include <cstring>

extern "C" int LLVMFuzzerTestOneInput(const mimic::u8* data, size_t size) {
    using namespace mimic::user;
    std::vector<BpfInsn> program(std::min<size_t>(size / sizeof(BpfInsn), max_filter));
    if (!program.empty()) std::memcpy(program.data(), data, program.size() * sizeof(BpfInsn));
    if (!check_filter(program)) return 0;
    SeccompData call{1, 2, 3, {4, 5, 6, 7, 8, 9}};
    run_filter(program, call, {});
    run_filter(program, call, {.big = true});
    return 0;
}
