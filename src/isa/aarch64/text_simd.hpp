// Text of Advanced SIMD operands: arrangements, lists, elements. Internal to the folder.
#pragma once
#include "isa/aarch64/text.hpp"
#include <bit>

namespace mimic::isa::aarch64 {

// Where the width of lanes and the number of them come from.
enum class Shape {
    plain,    // size, Q
    suffixed, // the same; Q is known from the mnemonic's suffix
    wide,     // lanes of twice size, 128 bits
    bytes,    // bytes, Q
    fp,       // sz (bit 22): words or doublewords, Q
    half,     // halfwords, Q
    pairs,    // lanes of twice size, Q (pairwise long)
    shifted,  // immh, Q
    shifted_suffixed,
    shifted_wide, // twice the lane of immh, 128 bits
    single,       // imm5: the lane of an element, Q
    listed,       // bits 11:10, Q
    sized,        // as plain; size is known from another operand
    words,        // words, Q
    fp_pair,      // two lanes of sz
    fp_wide,      // sz, 128 bits
    fp_narrow     // half of sz, Q from the suffix
};

constexpr char lane_letter(u32 size) { return "bhsdq"[size]; }
inline u32 size_of_immediate(u32 immh_) { return u32(std::bit_width(immh_)) - 1; }

template <Shape S>
void shape_of(const I& i, u32& size, bool& full) {
    full = i[Q];
    switch (S) {
    case Shape::plain:
    case Shape::suffixed: size = u32(i[size_]); break;
    case Shape::wide: size = u32(i[size_]) + 1, full = true; break;
    case Shape::bytes: size = 0; break;
    case Shape::fp: size = 2 + u32(i[sz]); break;
    case Shape::half: size = 1; break;
    case Shape::pairs: size = u32(i[size_]) + 1; break;
    case Shape::shifted:
    case Shape::shifted_suffixed: size = size_of_immediate(u32(i[immh])); break;
    case Shape::shifted_wide: size = size_of_immediate(u32(i[immh])) + 1, full = true; break;
    case Shape::single: size = u32(std::countr_zero(u32(i[imm5v]) | 16)); break;
    case Shape::listed: size = u32(i[ldsize]); break;
    case Shape::sized: size = u32(i[size_]); break;
    case Shape::words: size = 2; break;
    case Shape::fp_pair: size = 2 + u32(i[sz]), full = i[sz]; break;
    case Shape::fp_wide: size = 2 + u32(i[sz]), full = true; break;
    case Shape::fp_narrow: size = 1 + u32(i[sz]); break;
    }
}
template <Shape S>
bool set_shape(I& i, u32 size, bool full) {
    bool known_q = S == Shape::suffixed || S == Shape::shifted_suffixed || S == Shape::fp_narrow;
    bool wide = S == Shape::wide || S == Shape::shifted_wide || S == Shape::fp_wide;
    if (wide && (!full || size == 0)) return false;
    if (!wide && S != Shape::fp_pair && (known_q ? bool(i[Q]) != full : !set_or_check(i, Q, full))) return false;
    switch (S) {
    case Shape::plain:
    case Shape::suffixed: return set_or_check(i, size_, size);
    case Shape::wide: return set_or_check(i, size_, i64(size) - 1);
    case Shape::bytes: return size == 0;
    case Shape::fp: return size >= 2 && set_or_check(i, sz, i64(size) - 2);
    case Shape::half: return size == 1;
    case Shape::pairs: return size > 0 && set_or_check(i, size_, i64(size) - 1);
    case Shape::shifted:
    case Shape::shifted_suffixed: i.set(immhb, i64{8} << size); return true;
    case Shape::shifted_wide: i.set(immhb, i64{8} << (size - 1)); return true;
    case Shape::single: return false;
    case Shape::listed: return set_or_check(i, ldsize, size);
    case Shape::sized: return size == u32(i[size_]);
    case Shape::words: return size == 2;
    case Shape::fp_pair: return size >= 2 && full == (size == 3) && size == 2 + u32(i[sz]);
    case Shape::fp_wide: return size >= 2 && set_or_check(i, sz, i64(size) - 2);
    case Shape::fp_narrow: return (size == 1 || size == 2) && set_or_check(i, sz, i64(size) - 1);
    }
    return false;
}

inline std::string arrangement(u32 size, bool full) {
    return fmt::format("{}{}", (full ? 16u : 8u) >> size, lane_letter(size));
}
// "16b" and the like
inline bool parse_arrangement(Cursor& in, u32& size, bool& full) {
    i64 count;
    if (!in.number(count)) return false;
    for (size = 0; size < 4; ++size) {
        if (!in.eat(lane_letter(size))) continue;
        full = count == 16 >> size;
        return full || count == 8 >> size;
    }
    return false;
}

// A vector register with its arrangement; the first of an instruction Sets what the others check.
template <const Field& F, Shape S, bool Sets>
inline constexpr Operand<AArch64> vector_register{[](std::string& out, const I& i) {
                                                      u32 size;
                                                      bool full;
                                                      shape_of<S>(i, size, full);
                                                      out += fmt::format("v{}.{}", i[F], arrangement(size, full));
                                                  },
                                                  [](Cursor& in, I& i) {
                                                      i64 n;
                                                      u32 size, want;
                                                      bool full, want_full;
                                                      if (!parse_numbered(in, 'v', n) || !in.eat('.') ||
                                                          !parse_arrangement(in, size, full))
                                                          return false;
                                                      if (Sets) {
                                                          if (!set_shape<S>(i, size, full)) return false;
                                                      } else {
                                                          shape_of<S>(i, want, want_full);
                                                          if (want != size || want_full != full) return false;
                                                      }
                                                      return set_or_check(i, F, n);
                                                  }};

// A scalar register whose letter follows from size (plus Add).
template <const Field& F, u32 Add, bool Sets>
inline constexpr Operand<AArch64> lane_register{
    [](std::string& out, const I& i) { out += fmt::format("{}{}", lane_letter(u32(i[size_]) + Add), i[F]); },
    [](Cursor& in, I& i) {
        for (u32 size = 0; size < 4; ++size) {
            if (in.peek() != lane_letter(size + Add)) continue;
            i64 n;
            if (!parse_numbered(in, lane_letter(size + Add), n)) return false;
            if (Sets ? !set_or_check(i, size_, size) : i[size_] != size) return false;
            return set_or_check(i, F, n);
        }
        return false;
    }};
// The same by sz: s or d.
template <const Field& F, bool Sets>
inline constexpr Operand<AArch64> fp_lane_register{
    [](std::string& out, const I& i) { out += fmt::format("{}{}", i[sz] ? 'd' : 's', i[F]); },
    [](Cursor& in, I& i) {
        i64 n;
        bool wide = in.peek() == 'd';
        if (!parse_numbered(in, wide ? 'd' : 's', n)) return false;
        if (Sets ? !set_or_check(i, sz, wide) : bool(i[sz]) != wide) return false;
        return set_or_check(i, F, n);
    }};

// "2" behind the mnemonic: the upper half.
inline constexpr Operand<AArch64> upper_half{[](std::string& out, const I& i) { out += i[Q] ? "2" : ""; },
                                             [](Cursor& in, I& i) {
                                                 i.set(Q, in.eat('2'));
                                                 return true;
                                             }};

// Shift amounts: from the lane's width up, or from twice the lane's width down.
template <bool Right>
inline constexpr Operand<AArch64> shift_amount{
    [](std::string& out, const I& i) {
        i64 width = i64{8} << size_of_immediate(u32(i[immh]));
        out += fmt::format("#{}", Right ? 2 * width - i[immhb] : i[immhb] - width);
    },
    [](Cursor& in, I& i) {
        i64 v, width = i64{8} << size_of_immediate(u32(i[immh]));
        if (!parse_hash_number(in, v) || v < (Right ? 1 : 0) || v > (Right ? width : width - 1)) return false;
        i.set(immhb, Right ? 2 * width - v : width + v);
        return true;
    }};

// "{v0.4s, v1.4s}": Count registers from Rt (or Rn) on, modulo 32; the first and the last.
template <const Field& F, u32 Count, Shape S, bool Sets>
inline constexpr Operand<AArch64> register_list{
    [](std::string& out, const I& i) {
        u32 size;
        bool full;
        shape_of<S>(i, size, full);
        std::string shape = S == Shape::bytes ? "16b" : arrangement(size, full);
        out += '{';
        bool range = Count > 1;
        for (u32 k = 0; k < Count; k += range ? Count - 1 : 1)
            out += fmt::format("{}v{}.{}", k == 0 ? "" : range ? "-" : ", ", (i[F] + k) & 31, shape);
        out += '}';
    },
    [](Cursor& in, I& i) {
        i64 first = -1, n;
        u32 seen = 0, size, want;
        bool full, want_full;
        if (!in.eat('{')) return false;
        for (bool range = false;;) {
            if (!parse_numbered(in, 'v', n) || !in.eat('.') || !parse_arrangement(in, size, full)) return false;
            if (first < 0) {
                first = n;
                if (S == Shape::bytes) {
                    if (size != 0 || !full) return false;
                } else if (Sets && !set_shape<S>(i, size, full)) {
                    return false;
                }
            }
            shape_of<S>(i, want, want_full);
            if (S != Shape::bytes && (want != size || want_full != full)) return false;
            seen = range ? u32((n - first) & 31) + 1 : seen + 1;
            if (n != ((first + seen - 1) & 31)) return false;
            if (in.eat('}')) break;
            range = in.eat('-');
            if (!range && !in.eat(',')) return false;
            in.skip_spaces();
        }
        return seen == Count && set_or_check(i, F, first);
    }};

// Elements: imm5 holds the index above a one whose place is the lane's width.
template <const Field& F>
inline constexpr Operand<AArch64> element5{
    [](std::string& out, const I& i) {
        u32 size = u32(std::countr_zero(u32(i[imm5v]) | 16));
        out += fmt::format("v{}.{}[{}]", i[F], lane_letter(size), i[imm5v] >> (size + 1));
    },
    [](Cursor& in, I& i) {
        i64 n, index;
        if (!parse_numbered(in, 'v', n) || !in.eat('.')) return false;
        for (u32 size = 0; size < 4; ++size) {
            if (!in.eat(lane_letter(size))) continue;
            if (!in.eat('[') || !in.number(index) || !in.eat(']') || index < 0 || index > 15 >> size) return false;
            i64 v = index << (size + 1) | i64{1} << size;
            if (i[imm5v] && std::countr_zero(u32(i[imm5v])) != int(size)) return false;
            i.set(imm5v, v);
            return set_or_check(i, F, n);
        }
        return false;
    }};
// The source of ins: its index stands in imm4, the width in imm5.
inline constexpr Operand<AArch64> element4{
    [](std::string& out, const I& i) {
        u32 size = u32(std::countr_zero(u32(i[imm5v]) | 16));
        out += fmt::format("v{}.{}[{}]", i[Rn], lane_letter(size), i[imm4v] >> size);
    },
    [](Cursor& in, I& i) {
        i64 n, index;
        u32 size = u32(std::countr_zero(u32(i[imm5v]) | 16));
        if (!parse_numbered(in, 'v', n) || !in.eat('.') || !in.eat(lane_letter(size)) || !in.eat('[')) return false;
        if (!in.number(index) || !in.eat(']') || index < 0 || index > 15 >> size) return false;
        i.set(imm4v, index << size);
        return set_or_check(i, Rn, n);
    }};
// dup's vector: lanes as imm5 says. Parsing comes before the element, which must agree.
inline constexpr Operand<AArch64> duplicated{[](std::string& out, const I& i) {
                                                 u32 size = u32(std::countr_zero(u32(i[imm5v]) | 16));
                                                 out += fmt::format("v{}.{}", i[Rd], arrangement(size, i[Q]));
                                             },
                                             [](Cursor& in, I& i) {
                                                 i64 n;
                                                 u32 size;
                                                 bool full;
                                                 if (!parse_numbered(in, 'v', n) || !in.eat('.') ||
                                                     !parse_arrangement(in, size, full))
                                                     return false;
                                                 i.set(Q, full);
                                                 i.set(imm5v, i64{1} << size);
                                                 return set_or_check(i, Rd, n);
                                             }};
inline constexpr Operand<AArch64> duplicated_source{
    [](std::string& out, const I& i) {
        u32 size = u32(std::countr_zero(u32(i[imm5v]) | 16));
        out += fmt::format("v{}.{}[{}]", i[Rn], lane_letter(size), i[imm5v] >> (size + 1));
    },
    [](Cursor& in, I& i) {
        i64 n, index;
        u32 size = u32(std::countr_zero(u32(i[imm5v]) | 16));
        if (!parse_numbered(in, 'v', n) || !in.eat('.') || !in.eat(lane_letter(size)) || !in.eat('[') ||
            !in.number(index) || !in.eat(']') || index < 0 || index > 15 >> size)
            return false;
        i.set(imm5v, index << (size + 1) | i64{1} << size);
        return set_or_check(i, Rn, n);
    }};
// A doubleword that an immediate shifts.
inline constexpr Operand<AArch64> doubleword_shifted{
    [](std::string& out, const I& i) { out += fmt::format("d{}", i[Rd]); },
    [](Cursor& in, I& i) {
        i64 n;
        i.set(immhb, 64);
        return parse_numbered(in, 'd', n) && set_or_check(i, Rd, n);
    }};
// A scalar of immh's lane, or of twice its width.
template <const Field& F, u32 Add, bool Sets>
inline constexpr Operand<AArch64> shifted_scalar{
    [](std::string& out, const I& i) {
        out += fmt::format("{}{}", lane_letter(size_of_immediate(u32(i[immh])) + Add), i[F]);
    },
    [](Cursor& in, I& i) {
        for (u32 size = 0; size < 4; ++size) {
            i64 n;
            if (in.peek() != lane_letter(size + Add)) continue;
            if (!parse_numbered(in, lane_letter(size + Add), n)) return false;
            if (Sets)
                i.set(immhb, i64{8} << size);
            else if (size_of_immediate(u32(i[immh])) != size)
                return false;
            return set_or_check(i, F, n);
        }
        return false;
    }};
inline constexpr Operand<AArch64> indexed_element{
    [](std::string& out, const I& i) {
        out += fmt::format("v{}.{}[{}]", element_register(i), lane_letter(u32(i[size_])), element_index(i));
    },
    [](Cursor& in, I& i) {
        i64 n, index, size = i[size_];
        if (!parse_numbered(in, 'v', n) || !in.eat('.') || !in.eat(lane_letter(u32(size))) || !in.eat('['))
            return false;
        if (!in.number(index) || !in.eat(']') || index < 0 || index > 7 >> (size - 1)) return false;
        if (size == 1 && n > 15) return false;
        i64 all = size == 1 ? index : index << (size - 1) | n >> 4;
        i.set(H_, all >> 2);
        i.set(L_, all >> 1 & 1);
        i.set(M_, all & 1);
        i.set(Rm4, n & 15);
        return true;
    }};
// A scalar of imm5's lane.
inline constexpr Operand<AArch64> scalar5{
    [](std::string& out, const I& i) {
        out += fmt::format("{}{}", lane_letter(u32(std::countr_zero(u32(i[imm5v]) | 16))), i[Rd]);
    },
    [](Cursor& in, I& i) {
        for (u32 size = 0; size < 4; ++size) {
            i64 n;
            if (in.peek() != lane_letter(size)) continue;
            if (!parse_numbered(in, lane_letter(size), n)) return false;
            i.set(imm5v, i64{1} << size);
            return set_or_check(i, Rd, n);
        }
        return false;
    }};
// shll's shift is the lane's width.
inline constexpr Operand<AArch64> lane_width_amount{
    [](std::string& out, const I& i) { out += fmt::format("#{}", 8 << i[size_]); },
    [](Cursor& in, I& i) {
        i64 v;
        return parse_hash_number(in, v) && v == 8 << i[size_];
    }};

// Elements of a list: "{v0.b, v1.b}[3]"; the index is Q:S:size from the lane's width up.
template <u32 Count, u32 Size>
inline constexpr Operand<AArch64> lane_list{
    [](std::string& out, const I& i) {
        bool range = Count > 1;
        out += '{';
        for (u32 k = 0; k < Count; k += range ? Count - 1 : 1)
            out += fmt::format("{}v{}.{}", k == 0 ? "" : range ? "-" : ", ", (i[Rt] + k) & 31, lane_letter(Size));
        out += fmt::format("}}[{}]", (i[Q] << 3 | i[Sld] << 2 | i[ldsize]) >> Size);
    },
    [](Cursor& in, I& i) {
        i64 first = -1, n, index;
        u32 seen = 0;
        if (!in.eat('{')) return false;
        for (bool range = false;;) {
            if (!parse_numbered(in, 'v', n) || !in.eat('.') || !in.eat(lane_letter(Size))) return false;
            if (first < 0) first = n;
            seen = range ? u32((n - first) & 31) + 1 : seen + 1;
            if (n != ((first + seen - 1) & 31)) return false;
            if (in.eat('}')) break;
            range = in.eat('-');
            if (!range && !in.eat(',')) return false;
            in.skip_spaces();
        }
        if (seen != Count || !in.eat('[') || !in.number(index) || !in.eat(']') || index < 0 || index > 15 >> Size)
            return false;
        i64 bits = index << Size;
        return set_or_check(i, Q, bits >> 3) && set_or_check(i, Sld, bits >> 2 & 1) &&
               set_or_check(i, ldsize, (bits & 3) | (i.row->match >> 10 & 3)) && set_or_check(i, Rt, first);
    }};

// What a post-indexed form adds: the transfer's size, which Rm = 31 stands for, or a register.
enum class Step { vectors, replicated, lane };
template <Step S, u32 Count, u32 Size = 0>
inline constexpr Operand<AArch64> post_step{
    [](std::string& out, const I& i) {
        if (i[Rm] != 31) {
            out += general_name(true, i[Rm], false);
            return;
        }
        i64 bytes = S == Step::vectors ? (i[Q] ? 16 : 8) : S == Step::replicated ? i64{1} << i[ldsize] : i64{1} << Size;
        out += fmt::format("#{}", Count * bytes);
    },
    [](Cursor& in, I& i) {
        i64 v, n = 31;
        bool wide = true;
        i64 bytes = S == Step::vectors ? (i[Q] ? 16 : 8) : S == Step::replicated ? i64{1} << i[ldsize] : i64{1} << Size;
        if (in.peek() == '#') {
            if (!parse_hash_number(in, v) || v != Count * bytes) return false;
        } else if (!parse_general(in, wide, n, false) || n == 31) {
            return false;
        }
        return wide && set_or_check(i, Rm, n);
    }};

// Modified immediates.
inline constexpr Operand<AArch64> byte_mask{[](std::string& out, const I& i) {
                                                u64 mask = 0;
                                                for (u32 k = 0; k < 8; ++k)
                                                    if (i[abcdefgh] >> k & 1) mask |= u64{0xff} << 8 * k;
                                                out += fmt::format("#{:#x}", mask);
                                            },
                                            [](Cursor& in, I& i) {
                                                i64 v, bits = 0;
                                                if (!parse_hash_number(in, v)) return false;
                                                for (u32 k = 0; k < 8; ++k) {
                                                    u64 byte = u64(v) >> 8 * k & 0xff;
                                                    if (byte && byte != 0xff) return false;
                                                    bits |= i64(byte & 1) << k;
                                                }
                                                i.set(abcdefgh, bits);
                                                return true;
                                            }};

// The general register of dup and ins: x for doublewords.
inline constexpr Operand<AArch64> element_general{
    [](std::string& out, const I& i) { out += general_name(std::countr_zero(u32(i[imm5v]) | 16) == 3, i[Rn], false); },
    [](Cursor& in, I& i) {
        bool wide;
        i64 n;
        if (!parse_general(in, wide, n, false)) return false;
        i.set(Rn, n);
        return wide == (std::countr_zero(u32(i[imm5v]) | 16) == 3);
    }};

} // namespace mimic::isa::aarch64
