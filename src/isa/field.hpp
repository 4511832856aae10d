// Fields: the named pieces of an instruction word, declared once an ISA and used by name in patterns and meanings.
#pragma once
#include "base/types.hpp"
#include <array>
#include <initializer_list>
#include <string_view>

namespace mimic::isa {

struct Slice {
    u8 lo = 0, len = 0;
};

// How a field's bits are read, and how it prints when no operand of its name says otherwise.
enum class Kind : u8 {
    bits,    // unsigned
    integer, // sign-extended
    pcrel,   // sign-extended, relative to the instruction's address; prints as the target
};

// Pieces run from the high end of the value down. `shift` low zero bits are implied (branch offsets); `offset` is added.
struct Field {
    std::string_view name;
    Kind kind = Kind::bits;
    std::array<Slice, 9> piece{};
    u8 count = 0, shift = 0, width = 0;
    i8 offset = 0;

    constexpr Field(std::string_view n, Kind k, std::initializer_list<Slice> slices, u8 implied_zeros = 0, i8 add = 0)
        : name(n)
        , kind(k)
        , shift(implied_zeros)
        , offset(add) {
        for (Slice s : slices) piece[count++] = s, width = u8(width + s.len);
    }
    constexpr i64 get(u64 word) const {
        u64 v = 0;
        for (u8 i = 0; i < count; ++i) v = v << piece[i].len | (word >> piece[i].lo & ones(piece[i].len));
        if (kind != Kind::bits && width < 64) v = u64(i64(v << (64 - width)) >> (64 - width));
        return i64(v << shift) + offset;
    }
    // Bits that the field occupies.
    constexpr u64 mask() const {
        u64 m = 0;
        for (u8 i = 0; i < count; ++i) m |= ones(piece[i].len) << piece[i].lo;
        return m;
    }
    constexpr u64 put(i64 value) const {
        u64 v = u64(value - offset) >> shift, word = 0;
        for (u8 i = count; i-- > 0;) {
            word |= (v & ones(piece[i].len)) << piece[i].lo;
            v >>= piece[i].len;
        }
        return word;
    }
    // Does put() keep the value?
    constexpr bool fits(i64 value) const { return get(put(value)) == value; }

    static constexpr u64 ones(u8 n) { return n >= 64 ? ~u64{0} : (u64{1} << n) - 1; }
};

} // namespace mimic::isa
