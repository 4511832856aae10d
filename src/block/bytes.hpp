// Integers in memory: get, put big-endian; le, put_le little-endian (as the hosts are).
#pragma once
#include "base/types.hpp"
#include <bit>
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
template <class T>
T le_get(const u8* p) {
    T n;
    std::memcpy(&n, p, sizeof n);
    return n;
}
inline u16 le16(const u8* p) { return le_get<u16>(p); }
inline u32 le32(const u8* p) { return le_get<u32>(p); }
inline u64 le64(const u8* p) { return le_get<u64>(p); }
inline void put_le16(u8* p, u16 n) { std::memcpy(p, &n, sizeof n); }
inline void put_le32(u8* p, u32 n) { std::memcpy(p, &n, sizeof n); }
inline void put_le64(u8* p, u64 n) { std::memcpy(p, &n, sizeof n); }
static_assert(std::endian::native == std::endian::little, "le_get needs a swap on this host");

} // namespace mimic::block
