// Bytes to instructions and back: Intel SDM vol. 2, chapter 2 (instruction format).
#include "isa/x86/insn.hpp"
#include <algorithm>

namespace mimic::isa::x86 {

namespace {

// A cursor that notes how many bytes were wanted.
struct Bytes {
    std::span<const u8> code;
    u32 at = 0;
    bool missing = false;

    u8 next() {
        if (at >= code.size()) missing = true;
        return at < code.size() ? code[at++] : (++at, u8{0});
    }
    i64 number(u32 n) {
        u64 v = 0;
        for (u32 k = 0; k < n; ++k) v |= u64(next()) << 8 * k;
        return n >= 8 ? i64(v) : n == 0 ? 0 : i64(v << (64 - 8 * n)) >> (64 - 8 * n);
    }
};

void prefixes(Bytes& in, I& i, u8& opcode) {
    for (;;) {
        u8 b = in.next();
        switch (b) {
        case 0x66: i.spare66 += i.opsize, i.opsize = true; break;
        case 0x67: i.addr32 = true; break;
        case 0xf0: i.lock = true; break;
        case 0xf2:
        case 0xf3: i.rep = b; break;
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0x64:
        case 0x65: i.segment = b; break;
        default:
            if ((b & 0xf0) == 0x40) {
                i.rex = b;
                if (in.missing || in.at > 15) return;
                continue; // only right before the opcode does it count
            }
            opcode = b;
            return;
        }
        i.rex = 0;
        if (in.missing || in.at > 15) return;
    }
}

// Table 2-1 to 2-3, and 2.2.1.3 (RIP-relative).
void take_modrm(Bytes& in, I& i, u8 modrm) {
    u8 mod = modrm >> 6, rm = modrm & 7;
    i.reg = u8((modrm >> 3 & 7) | (i.rex & 4) << 1);
    i.memory = mod != 3;
    if (!i.memory) {
        i.rm = u8(rm | (i.rex & 1) << 3);
        return;
    }
    i.disp_bytes = mod == 1 ? 1 : mod == 2 ? 4 : 0;
    if (rm == 4) {
        u8 sib = in.next();
        i.scale = sib >> 6;
        u8 index = u8((sib >> 3 & 7) | (i.rex & 2) << 2);
        i.index = index == 4 ? no_register : index;
        i.base = u8((sib & 7) | (i.rex & 1) << 3);
        if ((sib & 7) == 5 && mod == 0) i.base = no_register, i.disp_bytes = 4;
        i.redundant_sib = i.index == no_register && (i.scale || (i.base != no_register && (i.base & 7) != 4));
    } else if (rm == 5 && mod == 0) {
        i.base = rip;
        i.disp_bytes = 4;
    } else {
        i.base = u8(rm | (i.rex & 1) << 3);
    }
    i.disp = i32(in.number(i.disp_bytes));
}

u32 imm_bytes(const I& i) {
    switch (i.row->imm) {
    case Imm::none: return 0;
    case Imm::b:
    case Imm::rel8: return 1;
    case Imm::w: return 2;
    case Imm::d:
    case Imm::rel32: return 4;
    case Imm::q: return 8;
    case Imm::z: return i.bytes(Size::v) == 2 ? 2 : 4;
    case Imm::v: return i.bytes(Size::v);
    case Imm::moffs: return i.addr32 ? 4 : 8;
    }
    return 0;
}

bool prefix_fits(const Row& r, const I& i) {
    switch (r.prefix) {
    case Prefix::any: return true;
    case Prefix::none: return !i.opsize && !i.rep;
    case Prefix::p66: return i.opsize && !i.rep;
    case Prefix::f2: return i.rep == 0xf2;
    case Prefix::f3: return i.rep == 0xf3;
    }
    return false;
}

// How special a row is: rows that say more come first.
u32 weight(const Row& r) {
    return (r.prefix != Prefix::any) * 8u + (r.modrm >= 0) * 4u + (r.digit >= 0 && r.digit < 8) * 2u + (r.w >= 0) +
           (r.mem >= 0) + r.no_b;
}

template <class T>
bool overlap(T a, T b, T any) {
    return a == b || a == any || b == any;
}
template <class T>
bool within(T a, T b, T any) {
    return a == b || b == any;
}
i32 digit_of(const Row& r) { return r.modrm >= 0 ? r.modrm >> 3 & 7 : r.digit == 8 ? -1 : r.digit; }
i32 memory_of(const Row& r) { return r.modrm >= 0 ? r.modrm < 0xc0 : r.mem; }
bool is_within(const Row& a, const Row& b) {
    return within(a.prefix, b.prefix, Prefix::any) && within<i32>(a.w, b.w, -1) &&
           within(digit_of(a), digit_of(b), -1) && within<i32>(a.modrm, b.modrm, -1) &&
           within(memory_of(a), memory_of(b), -1) && a.no_b >= b.no_b;
}

} // namespace

u32 I::bytes(Size s) const {
    switch (s) {
    case Size::b: return 1;
    case Size::w: return 2;
    case Size::d: return 4;
    case Size::q: return 8;
    case Size::x: return 16;
    case Size::v:
        // 2.2.1.2: REX.W wins over 66. A mandatory 66 is no operand size.
        if (w()) return 8;
        if (opsize && row->prefix != Prefix::p66) return 2;
        return row->d64 ? 8 : 4;
    case Size::y: return w() || row->d64 ? 8 : 4;
    case Size::z: return opsize && !w() && row->prefix != Prefix::p66 ? 2 : 4;
    default: return 0;
    }
}
u8 I::register_of(u32 n) const {
    switch (kind(n).where) {
    case Where::reg: return reg;
    case Where::opcode: return u8((opcode & 7) | (rex & 1) << 3);
    case Where::acc: return 0;
    default: return rm;
    }
}

Decoder::Decoder(std::span<const Table* const> tables) {
    for (const Table* t : tables)
        for (const Row& r : t->rows) {
            rows_.push_back(&r);
            tables_.push_back(t->name);
            for (u32 k = 0; k < (r.plus_cc ? 16u : r.plus_r ? 8u : 1u); ++k)
                index_[r.map * 256u + r.opcode + k].push_back(&r);
        }
    for (auto& list : index_)
        std::stable_sort(list.begin(), list.end(), [](auto* a, auto* b) { return weight(*a) > weight(*b); });
}

const Row* Decoder::find(const I& i, u8 map, const u8* modrm) const {
    for (const Row* r : index_[map * 256u + i.opcode]) {
        if (!prefix_fits(*r, i) || (r->w >= 0 && r->w != i.w()) || (r->no_b && i.rex & 1)) continue;
        if (r->has_modrm() && !modrm) return r; // the caller reads it and asks again
        if (r->modrm >= 0 && r->modrm != *modrm) continue;
        if (r->digit >= 0 && r->digit < 8 && r->digit != (*modrm >> 3 & 7)) continue;
        if (r->mem >= 0 && r->mem != (*modrm < 0xc0)) continue;
        return r;
    }
    return nullptr;
}

bool Decoder::decode(std::span<const u8> code, u64 pc, I& i) const {
    i = {.pc = pc};
    Bytes in{code.first(std::min<std::size_t>(code.size(), 16))};
    prefixes(in, i, i.opcode);
    u8 map = 0;
    if (i.opcode == 0x0f && !in.missing) {
        map = 1;
        i.opcode = in.next();
        if (i.opcode == 0x38 || i.opcode == 0x3a) {
            map = i.opcode == 0x38 ? 2 : 3;
            i.opcode = in.next();
        }
    }
    if (!in.missing) {
        i.row = find(i, map, nullptr);
        if (i.row && i.row->has_modrm()) {
            u8 modrm = in.next();
            if (!in.missing) i.row = find(i, map, &modrm);
            if (i.row && i.row->has_modrm()) take_modrm(in, i, modrm);
        }
        if (i.row && i.opsize && i.row->prefix != Prefix::p66 && (!i.row->uses_operand_size() || i.w()))
            i.opsize = false, ++i.spare66;
        if (i.row) i.imm = in.number(imm_bytes(i));
    }
    i.length = in.at;
    if (in.at > 15) { // 2.3.11: longer than any instruction
        i.length = std::min<u32>(15, u32(code.size()));
        i.row = nullptr;
        return false;
    }
    // LOCK asks for a memory destination of a row that takes it.
    bool lockable = i.row && i.row->lock && i.memory;
    if (in.missing || !i.row || (i.lock && !lockable)) {
        i.row = nullptr;
        return false;
    }
    return true;
}

std::vector<std::string> Decoder::conflicts() const {
    std::vector<std::string> out;
    for (auto& list : index_)
        for (std::size_t n = 0; n < list.size(); ++n)
            for (std::size_t k = 0; k < n; ++k) {
                const Row &a = *list[n], &b = *list[k];
                bool both = overlap(a.prefix, b.prefix, Prefix::any) && overlap<i32>(a.w, b.w, -1) &&
                            overlap(digit_of(a), digit_of(b), -1) && overlap<i32>(a.modrm, b.modrm, -1) &&
                            overlap(memory_of(a), memory_of(b), -1);
                if (both && (is_within(a, b) == is_within(b, a) || weight(a) == weight(b)))
                    out.push_back(fmt::format("'{}' and '{}'", a.syntax, b.syntax));
            }
    return out;
}

std::vector<u8> Decoder::encode(I& i) {
    const Row& r = *i.row;
    std::vector<u8> out;
    auto number = [&](i64 v, u32 bytes) {
        for (u32 k = 0; k < bytes; ++k) out.push_back(u8(v >> 8 * k));
    };
    if (i.segment) out.push_back(i.segment);
    if (i.addr32) out.push_back(0x67);
    out.insert(out.end(), i.spare66, 0x66);
    if (i.opsize || r.prefix == Prefix::p66) out.push_back(0x66);
    if (i.lock) out.push_back(0xf0);
    u8 rep = r.prefix == Prefix::f2 ? 0xf2 : r.prefix == Prefix::f3 ? 0xf3 : i.rep;
    if (rep) out.push_back(rep);
    if (i.rex) out.push_back(i.rex);
    if (r.map) out.push_back(0x0f);
    if (r.map > 1) out.push_back(r.map == 2 ? 0x38 : 0x3a);
    out.push_back(i.opcode);
    if (r.modrm >= 0) {
        out.push_back(u8(r.modrm));
    } else if (r.has_modrm()) {
        u8 reg = u8((r.digit < 8 ? r.digit : i.reg & 7) << 3);
        if (!i.memory) {
            out.push_back(u8(0xc0 | reg | (i.rm & 7)));
        } else if (i.base == rip) {
            out.push_back(u8(reg | 5));
        } else {
            u8 mod = i.base == no_register ? 0 : i.disp_bytes == 1 ? 0x40 : i.disp_bytes == 4 ? 0x80 : 0;
            bool sib = i.index != no_register || i.base == no_register || (i.base & 7) == 4 || i.redundant_sib;
            out.push_back(u8(mod | reg | (sib ? 4 : i.base & 7)));
            if (sib) {
                u8 index = i.index == no_register ? 4 : i.index & 7, base = i.base == no_register ? 5 : i.base & 7;
                out.push_back(u8(i.scale << 6 | index << 3 | base));
            }
        }
        if (i.memory) number(i.disp, i.disp_bytes);
    }
    number(i.imm, imm_bytes(i));
    i.length = u32(out.size());
    return out;
}

} // namespace mimic::isa::x86
