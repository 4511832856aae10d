#include "machines/boot/uimage.hpp"
#include <cstring>
#include <vector>
#include <zlib.h>

// The sums are put right: damage that they would find hides what lies behind them.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
    using namespace mimic;
    constexpr u64 limit = 1 << 20;
    std::vector<u8> bytes(data, data + size);
    (void)bool(machines::parse_uimage(bytes, 243, limit));
    if (size < 64) return 0;
    auto put = [&](size_t at, u32 v) {
        for (u32 i = 0; i < 4; i++) bytes[at + i] = u8(v >> (24 - 8 * i));
    };
    put(0, 0x27051956);
    put(12, u32(size - 64));
    put(24, u32(crc32(0, bytes.data() + 64, u32(size - 64))));
    put(4, 0);
    put(4, u32(crc32(0, bytes.data(), 64)));
    auto image = machines::parse_uimage(bytes, 243, limit);
    if (image && (image->content.empty() || image->content.size() > limit || image->name.size() > 32)) __builtin_trap();
    return 0;
}
