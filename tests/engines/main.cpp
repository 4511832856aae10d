// engine_soak GUEST --seed N --count N [--host-level N]: random blocks, JIT against interpreter.
#include "blocks.hpp"
#include <cstdlib>
#include <cstring>
#include <fmt/core.h>

int main(int argc, char** argv) {
    using namespace mimic;
    u64 seed = 1, count = 1000;
    u32 host_level = ~0u;
    std::string_view guest = "riscv64";
    for (int n = 1; n < argc; ++n) {
        if (!std::strcmp(argv[n], "--seed") && n + 1 < argc)
            seed = std::strtoull(argv[++n], nullptr, 0);
        else if (!std::strcmp(argv[n], "--count") && n + 1 < argc)
            count = std::strtoull(argv[++n], nullptr, 0);
        else if (!std::strcmp(argv[n], "--host-level") && n + 1 < argc)
            host_level = u32(std::strtoull(argv[++n], nullptr, 0));
        else
            guest = argv[n];
    }
    const isa::GuestInfo* info = isa::find_guest(guest);
    if (!info) {
        fmt::print(stderr, "engine_soak: guest '{}' is unknown\n", guest);
        return 2;
    }
    const test::soak::SoakGuest* shaping = test::soak::find_soak_guest(guest);
    auto model = info->make(shaping ? shaping->model : info->default_model);
    std::string report;
    tests::BlockCounts c = tests::compare_engines(**model, shaping, seed, count, host_level, report);
    fmt::print("{}{} units refused by the JIT\n{} blocks left the test's memory\n{} stored into their own code\n{} "
               "passed, {} failed\n",
               report, c.refused, c.wild, c.modified, c.passed, c.failed);
    return c.failed ? 1 : 0;
}
