// class: integer  size: 100  quick: 8
// The compression function of MD5 (RFC 1321) over a megabyte, SIZE times: adds, rotates and logic in one chain.
#include "bench.h"

enum { length = 1 << 20 };
static unsigned char data[length];
static uint32_t k[64];
static const int shift[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};

static NOINLINE void block(uint32_t* h, const unsigned char* p) {
    uint32_t m[16], a = h[0], b = h[1], c = h[2], d = h[3];
    memcpy(m, p, sizeof m);
    for (int i = 0; i < 64; i++) {
        uint32_t f;
        int g;
        switch (i / 16) {
        case 0: f = (b & c) | (~b & d), g = i; break;
        case 1: f = (d & b) | (~d & c), g = (5 * i + 1) % 16; break;
        case 2: f = b ^ c ^ d, g = (3 * i + 5) % 16; break;
        default: f = c ^ (b | ~d), g = 7 * i % 16;
        }
        f += a + k[i] + m[g];
        int s = shift[i / 16][i % 4];
        a = d, d = c, c = b;
        b += f << s | f >> (32 - s);
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d;
}

int main(int argc, char** argv) {
    uint64_t size = size_argument(argc, argv), seed = 9;
    uint32_t h[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    for (int i = 0; i < 64; i++) k[i] = (uint32_t)chance(&seed); // any constants cost the same
    for (int i = 0; i < length; i++) data[i] = (unsigned char)(chance(&seed) >> 56);
    for (uint64_t round = 0; round < size; round++)
        for (int i = 0; i < length; i += 64) block(h, data + i);
    return report((uint64_t)h[0] << 32 ^ (uint64_t)h[1] << 16 ^ h[2] ^ (uint64_t)h[3] << 8);
}
