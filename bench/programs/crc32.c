// class: integer  size: 90  quick: 8
// CRC-32 of a megabyte, a table look-up a byte, SIZE times: one long chain of dependent loads.
#include "bench.h"

enum { length = 1 << 20 };
static unsigned char data[length];
static uint32_t table[256];

static NOINLINE uint32_t crc32(uint32_t crc, const unsigned char* p, size_t n) {
    crc = ~crc;
    while (n--) crc = table[(crc ^ *p++) & 255] ^ crc >> 8;
    return ~crc;
}

int main(int argc, char** argv) {
    uint64_t size = size_argument(argc, argv), seed = 1;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
        table[i] = c;
    }
    for (int i = 0; i < length; i++) data[i] = (unsigned char)(chance(&seed) >> 56);
    uint32_t crc = 0;
    for (uint64_t round = 0; round < size; round++) crc = crc32(crc, data, length);
    return report(crc);
}
