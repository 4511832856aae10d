// One access to a device through its AccessRules: refused, split, widened, byte-swapped.
#pragma once
#include "memory/access.hpp"
#include <cstring>

namespace mimic::memory {

template <class T>
T load(const void* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

// `bytes`: 1, 2, 4, 8. Values are little-endian as memory would hold them: a big-endian device's are swapped.
Outcome device_read(Handler& handler, const AccessRules& rules, u64 offset, u32 bytes, u64& value, Attributes a);
Outcome device_write(Handler& handler, const AccessRules& rules, u64 offset, u32 bytes, u64 value, Attributes a);

} // namespace mimic::memory
