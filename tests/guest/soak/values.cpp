#include "soak/values.hpp"
#include <iterator>

namespace mimic::test::soak {

u64 edge_integer(Random& random) {
    static constexpr u64 edges[] = {0,
                                    1,
                                    2,
                                    ~u64{0},
                                    0x7f,
                                    0x80,
                                    0xff,
                                    0x7fff,
                                    0x8000,
                                    0xffff,
                                    0x7fffffff,
                                    0x80000000,
                                    0xffffffff,
                                    1ull << 32,
                                    ~u64{0} >> 1,
                                    1ull << 63,
                                    0xffffffff80000000,
                                    0xffffffff7fffffff,
                                    0x5555555555555555};
    u64 r = random();
    switch (random() % 6) {
    case 0: return r;
    case 1: return u64(i64(i32(r)));
    case 2: return r >> random() % 64;
    case 3: return u64{1} << r % 64;
    default: return edges[r % std::size(edges)];
    }
}

u64 edge_fp(Random& random, u32 fraction, u32 exponent) {
    u64 top = u64{1} << (fraction + exponent), infinity = (top - 1) >> fraction << fraction, r = random();
    u64 one = infinity / 2 & ~((u64{1} << fraction) - 1);
    u64 magnitudes[] = {0, 1, (u64{1} << fraction) - 1, u64{1} << fraction, infinity - 1, infinity, infinity | 1,
                        infinity | u64{1} << (fraction - 1), one, one + (u64{1} << fraction), one + 1, one - 1,
                        // around the ends of the integer types
                        one + (u64{30} << fraction), one + (u64{31} << fraction), one + (u64{32} << fraction),
                        one + (u64{62} << fraction), one + (u64{63} << fraction), one + (u64{64} << fraction)};
    u64 sign = random() % 2 ? top : 0;
    switch (random() % 4) {
    case 0: return r & (2 * top - 1);
    case 1: { // near one, with few bits
        u64 e = one + ((random() % 9) << fraction) - (u64{4} << fraction);
        return sign | (e + ((r % 16) << (fraction - 4)));
    }
    case 2: return sign | (magnitudes[r % std::size(magnitudes)] & (top - 1));
    default: // any exponent
        return sign | (r & (top - 1) & ~(random() % 2 ? (u64{1} << (fraction / 2)) - 1 : 0));
    }
}

} // namespace mimic::test::soak
