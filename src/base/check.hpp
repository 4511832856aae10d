// check: our own bugs. It stops the program with the place and a reason; input of users and guests never reaches it.
#pragma once
#include "base/types.hpp"

namespace mimic {

[[noreturn]] void check_failed(const char* file, int line, const char* what);

} // namespace mimic

#define MIMIC_CHECK(condition, what)                                                                                   \
    do {                                                                                                               \
        if (!(condition)) [[unlikely]]                                                                                 \
            ::mimic::check_failed(__FILE__, __LINE__, what);                                                           \
    } while (false)

// Only in debug builds: for checks on paths that must stay fast.
#ifdef MIMIC_DEBUG
#    define MIMIC_DCHECK(condition, what) MIMIC_CHECK(condition, what)
#else
#    define MIMIC_DCHECK(condition, what) ((void)sizeof(!(condition)))
#endif
