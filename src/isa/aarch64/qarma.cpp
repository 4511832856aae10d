#include "isa/aarch64/qarma.hpp"
#include <array>
#include <bit>

namespace mimic::isa::aarch64 {

namespace {

// The state is sixteen cells of four bits, cell 0 the highest.
constexpr u32 cells = 16;
constexpr u32 shift_of(u32 cell) { return 60 - 4 * cell; }

using Order = std::array<u8, cells>; // of cells: cell n comes from cell order[n]; of values: v becomes order[v]
constexpr Order inverse(const Order& o) {
    Order r{};
    for (u32 n = 0; n < cells; ++n) r[o[n]] = u8(n);
    return r;
}

// A permutation of cells: those that go the same way go together.
struct Shuffle {
    struct Way {
        u64 mask = 0;
        int left = 0;
    };
    std::array<Way, cells> ways{};
    u32 count = 0;

    constexpr explicit Shuffle(const Order& order) {
        for (u32 n = 0; n < cells; ++n) {
            int left = int((shift_of(n) - shift_of(order[n])) & 63);
            u32 k = 0;
            while (k < count && ways[k].left != left) ++k;
            if (k == count) ways[count++].left = left;
            ways[k].mask |= u64{15} << shift_of(order[n]);
        }
    }
    u64 operator()(u64 v) const {
        u64 out = 0;
        for (u32 k = 0; k < count; ++k) out |= std::rotl(v & ways[k].mask, ways[k].left);
        return out;
    }
};

// Two cells at a time.
struct Substitution {
    std::array<u8, 256> pair{};
    constexpr explicit Substitution(const Order& sigma) {
        for (u32 v = 0; v < 256; ++v) pair[v] = u8(sigma[v >> 4] << 4 | sigma[v & 15]);
    }
    u64 operator()(u64 v) const {
        u64 out = 0;
        for (u32 n = 0; n < 64; n += 8) out |= u64(pair[v >> n & 255]) << n;
        return out;
    }
};

constexpr Order tau{0, 11, 6, 13, 10, 1, 12, 7, 5, 14, 3, 8, 15, 4, 9, 2};
constexpr Order h{6, 5, 14, 15, 0, 1, 2, 3, 7, 12, 13, 4, 8, 9, 10, 11};
constexpr Shuffle cell_shuffle(tau), cell_inv_shuffle(inverse(tau));
constexpr Shuffle tweak_cells(h), tweak_inv_cells(inverse(h));

constexpr Order sigma_2{11, 6, 8, 15, 12, 0, 9, 14, 3, 7, 4, 5, 13, 2, 1, 10};
constexpr Substitution sub(sigma_2), inv_sub(inverse(sigma_2));

constexpr u64 every(u64 cell) { return cell * 0x1111111111111111; }
// Each cell rotated left.
constexpr u64 rotate_cells(u64 v, u32 n) {
    return (v << n & every(15u << n & 15)) | (v >> (4 - n) & every((1u << n) - 1));
}
// PACMult: the matrix circ(0, rho, rho^2, rho) over columns; a row of four cells is 16 bits.
constexpr u64 mix_columns(u64 v) {
    return rotate_cells(std::rotl(v, 16) ^ std::rotl(v, 48), 1) ^ rotate_cells(std::rotl(v, 32), 2);
}

// TweakCellRot: b3 b2 b1 b0 becomes (b0 ^ b1) b3 b2 b1, in the cells that omega steps.
constexpr u64 stepped = [] {
    u64 m = 0;
    for (u32 cell : {0, 1, 3, 4, 8, 11, 13}) m |= u64{15} << shift_of(cell);
    return m;
}();
u64 tweak_shuffle(u64 v) {
    v = tweak_cells(v);
    u64 c = v & stepped, next = (c >> 1 & every(7)) | ((c ^ c >> 1) & every(1)) << 3;
    return (v & ~stepped) | next;
}
u64 tweak_inv_shuffle(u64 v) {
    u64 c = v & stepped, before = (c << 1 & every(14)) | ((c >> 3 ^ c) & every(1));
    return tweak_inv_cells((v & ~stepped) | before);
}

constexpr u64 round_constant[] = {0, 0x13198a2e03707344, 0xa4093822299f31d0, 0x082efa98ec4e6c89, 0x452821e638d01377};
constexpr u64 alpha = 0xc0ac29b7c97c50dd;

constexpr u32 rounds = 5;

} // namespace

u64 qarma5(u64 data, u64 modifier, PacKey key) {
    u64 key0 = key.high, key1 = key.low, tweak = modifier;
    u64 modk0 = std::rotr(key0, 1) ^ key0 >> 63;
    u64 v = data ^ key0;
    for (u32 n = 0; n < rounds; ++n) {
        v ^= key1 ^ tweak ^ round_constant[n];
        if (n > 0) v = mix_columns(cell_shuffle(v));
        v = sub(v);
        tweak = tweak_shuffle(tweak);
    }
    v = sub(mix_columns(cell_shuffle(v ^ modk0 ^ tweak)));
    v = key1 ^ mix_columns(cell_shuffle(v));
    v = inv_sub(cell_inv_shuffle(v));
    v = cell_inv_shuffle(mix_columns(v)) ^ key0 ^ tweak;
    for (u32 n = rounds; n-- > 0;) {
        v = inv_sub(v);
        if (n > 0) v = cell_inv_shuffle(mix_columns(v));
        tweak = tweak_inv_shuffle(tweak);
        v ^= round_constant[n] ^ key1 ^ tweak ^ alpha;
    }
    return v ^ modk0;
}

} // namespace mimic::isa::aarch64
