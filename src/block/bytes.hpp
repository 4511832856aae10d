// Big-endian integers in memory.
#pragma once
#include "base/types.hpp"
#include <cstring>
#include <span>

namespace mimic::block {

inline u16 get16(const u8* p) {
    u16 n;
    std::memcpy(&n, p, sizeof n);
    return __builtin_bswap16(n);
}
inline u32 get32(const u8* p) {
    u32 n;
    std::memcpy(&n, p, sizeof n);
    return __builtin_bswap32(n);
}
inline u64 get64(const u8* p) {
    u64 n;
    std::memcpy(&n, p, sizeof n);
    return __builtin_bswap64(n);
}
inline void put16(u8* p, u16 n) {
    n = __builtin_bswap16(n);
    std::memcpy(p, &n, sizeof n);
}
inline void put32(u8* p, u32 n) {
    n = __builtin_bswap32(n);
    std::memcpy(p, &n, sizeof n);
}
inline void put64(u8* p, u64 n) {
    n = __builtin_bswap64(n);
    std::memcpy(p, &n, sizeof n);
}

} // namespace mimic::block
