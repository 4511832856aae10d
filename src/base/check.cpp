#include "base/check.hpp"
#include <cstdio>
#include <cstdlib>

namespace mimic {

void check_failed(const char* file, int line, const char* what) {
    std::fprintf(stderr, "mimic: bug at %s:%d: %s\n", file, line, what);
    std::abort();
}

} // namespace mimic
