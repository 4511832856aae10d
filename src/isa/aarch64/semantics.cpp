#include "isa/aarch64/semantics.hpp"
#include <bit>

namespace mimic::isa::aarch64 {

Val A64::holds(i64 condition) {
    constexpr ir::Cond conditions[] = {ir::Cond::z,   ir::Cond::nc,  ir::Cond::n,  ir::Cond::v,
                                       ir::Cond::ugt, ir::Cond::sge, ir::Cond::sgt};
    if (condition >= 14) return imm(1, Type::i1);
    ir::Cond c = conditions[condition >> 1];
    return cond(condition & 1 ? negate(c) : c, nzcv());
}

Val A64::flags_of(u32 n) {
    u32 value =
        (n & 8 ? ir::flag::n : 0) | (n & 4 ? ir::flag::z : 0) | (n & 2 ? 0 : ir::flag::c) | (n & 1 ? ir::flag::v : 0);
    return flags_from(imm(value, Type::i32));
}

// J1.3 DecodeBitMasks: an element of 2 to 64 bits holds S + 1 ones, rotated right by R, and fills the register.
bool decode_bitmask(u32 field, bool wide, u64& mask) {
    u32 n = field >> 12, r = field >> 6 & 63, s = field & 63;
    u32 combined = n << 6 | (~s & 63);
    if (combined < 2 || (n && !wide)) return false;
    u32 size = std::bit_floor(combined);
    s &= size - 1;
    r &= size - 1;
    if (s == size - 1) return false;
    u64 ones = (u64{1} << (s + 1)) - 1;
    u64 element = r ? ones >> r | ones << (size - r) : ones;
    if (size < 64) element &= (u64{1} << size) - 1;
    for (u32 k = size; k < 64; k *= 2) element |= element << k;
    mask = wide ? element : u32(element);
    return true;
}

bool encode_bitmask(u64 mask, bool wide, u32& field) {
    if (!wide) {
        if (mask >> 32) return false;
        mask |= mask << 32;
    }
    if (mask == 0 || mask == ~u64{0}) return false;
    u32 size = 64;
    while (size > 2 && std::rotr(mask, int(size / 2)) == mask) size /= 2;
    u64 element = size == 64 ? mask : mask & ((u64{1} << size) - 1);
    u32 ones = u32(std::popcount(element));
    // Rotated left until the run of ones stands at the bottom.
    for (u32 r = 0; r < size; ++r) {
        u64 turned = r ? element << r | element >> (size - r) : element;
        if (size < 64) turned &= (u64{1} << size) - 1;
        if (turned != (u64{1} << ones) - 1) continue;
        u32 n = size == 64, high = n ? 0 : ~(size * 2 - 1) & 63;
        field = n << 12 | r << 6 | (high | (ones - 1));
        return true;
    }
    return false;
}

} // namespace mimic::isa::aarch64
