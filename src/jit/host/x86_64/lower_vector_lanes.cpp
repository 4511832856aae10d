// Moves between lanes, and what changes their width or number.
#include "jit/host/x86_64/vector_ids.hpp"

namespace mimic::jit::x86 {

using namespace asmjit::x86;
using asmjit::imm;
using asmjit::Operand;
using IrInst = ir::Inst;
using ir::VNarrow;
using ir::VReduce;
using ir::VShift;

namespace {

// A table of 16 bytes for pshufb, made of a function of the result's byte; above 15: zero.
template <class F>
std::pair<u64, u64> table_of(F&& from) {
    u64 w[2] = {};
    for (u32 k = 0; k < 16; ++k) {
        u32 at = from(k);
        w[k / 8] |= u64(at < 16 ? at : 0x80) << 8 * (k % 8);
    }
    return {w[0], w[1]};
}

} // namespace

bool Lowering::lane_moves(u32 n) {
    switch (inst(n).op) {
    case Op::vsplat: return splat(n);
    case Op::vget: return lane_get(n);
    case Op::vset: return lane_set(n);
    case Op::vbits: return bits_of_lanes(n);
    case Op::vlanes: return lanes_of_bits(n);
    case Op::vshuffle: return shuffle(n);
    case Op::vtbl: return table_lookup(n);
    case Op::vext: return extract_bytes(n);
    case Op::vzip: return zip(n);
    default: return false;
    }
}

// A lane that is read only to be repeated does not leave the vector registers: the splat, which follows, does both.
bool Lowering::lane_goes_to_splat(u32 n) const {
    if (inst(n).op != Op::vget || an_->value[n].uses != 1 || n + 1 >= unit_->code.size()) return false;
    const IrInst& next = inst(n + 1);
    return next.op == Op::vsplat && next.a == n && next.lane == inst(n).lane && ir::size_of(next.type) <= 16 &&
           next.type != Type::vs && ir::lane_bytes(next.lane) <= 8;
}

bool Lowering::splat(u32 n) {
    const IrInst& i = inst(n);
    const u32 L = lane_log(i.lane);
    if (inst(i.a).op == Op::vget && lane_goes_to_splat(i.a) && i.a + 1 == n) {
        const IrInst& get = inst(i.a);
        Xmm a = vec(get.a);
        use(get.a);
        Xmm d = def_vec(n);
        const u32 at = u32(get.imm);
        if (L == 3)
            v_one({X::kIdPshufd, X::kIdVpshufd}, d, a, at ? 0xee : 0x44);
        else if (L == 2)
            v_one({X::kIdPshufd, X::kIdVpshufd}, d, a, at * 0x55);
        else if (at == 0 && f_.avx2)
            v_one({0, L ? u32(X::kIdVpbroadcastw) : u32(X::kIdVpbroadcastb)}, d, a);
        else {
            auto [low, high] = table_of([&](u32 k) { return (at << L) + (k & L); });
            v_op({X::kIdPshufb, X::kIdVpshufb}, d, a, words(low, high));
        }
        return true;
    }
    if (is_const(i.a)) {
        use(i.a);
        v_move(def_vec(n), lanes(L, inst(i.a).imm));
        return true;
    }
    const bool vector = in_vec(type(i.a));
    if (ir::size_of(type(i.a)) > 8) return false;
    if (!vector && f_.avx512vl) {
        constexpr u32 broadcast[] = {X::kIdVpbroadcastb, X::kIdVpbroadcastw, X::kIdVpbroadcastd, X::kIdVpbroadcastq};
        Gp a = gpr(i.a);
        use(i.a);
        a_.emit(broadcast[L], def_vec(n), L == 3 ? a : Gp(a.r32()));
        return true;
    }
    Xmm a;
    if (vector) {
        a = vec(i.a);
    } else {
        Gp g = gpr(i.a);
        a = vec_temp();
        L == 3 ? v_one({X::kIdMovq, X::kIdVmovq}, a, g.r64()) : v_one({X::kIdMovd, X::kIdVmovd}, a, g.r32());
    }
    if (L < 2 && !f_.avx2) {
        if (!room(1)) return false;
        Xmm index = vec_temp();
        v_move(index, lanes(1, L ? 0x0100 : 0));
        use(i.a);
        v_op({X::kIdPshufb, X::kIdVpshufb}, vec_out(n, vector ? index : a), a, index);
        return true;
    }
    use(i.a);
    Xmm d = vector ? def_vec(n) : vec_out(n, a);
    if (L == 3)
        v_one({X::kIdMovddup, X::kIdVmovddup}, d, a);
    else if (L == 2)
        v_one({X::kIdPshufd, X::kIdVpshufd}, d, a, 0);
    else
        v_one({0, L ? u32(X::kIdVpbroadcastw) : u32(X::kIdVpbroadcastb)}, d, a);
    return true;
}

bool Lowering::lane_get(u32 n) {
    const IrInst& i = inst(n);
    const u32 L = lane_log(i.lane), at = u32(i.imm);
    if (lane_goes_to_splat(n)) return true;
    Xmm a = vec(i.a);
    if (in_vec(i.type) && ir::size_of(i.type) == ir::lane_bytes(i.lane)) {
        use(i.a);
        Xmm d = def_vec(n);
        if (at == 0)
            v_move(d, a);
        else
            v_by({X::kIdPsrldq, X::kIdVpsrldq}, d, a, at << L);
        return true;
    }
    constexpr Pair extract[] = {{X::kIdPextrb, X::kIdVpextrb},
                                {X::kIdPextrw, X::kIdVpextrw},
                                {X::kIdPextrd, X::kIdVpextrd},
                                {X::kIdPextrq, X::kIdVpextrq}};
    const bool to_vector = in_vec(i.type);
    Gp d = to_vector ? temp() : Gp();
    use(i.a);
    if (!to_vector) d = def(n);
    const Gp r = L == 3 ? d : Gp(d.r32());
    if (at == 0 && L >= 2)
        a_.emit(L == 3 ? (f_.avx ? X::kIdVmovq : X::kIdMovq) : (f_.avx ? X::kIdVmovd : X::kIdMovd), r, a);
    else
        a_.emit(f_.avx ? extract[L].avx : extract[L].sse, r, a, imm(at));
    if (to_vector) f_.avx ? a_.vmovq(def_vec(n), d.r64()) : a_.movq(def_vec(n), d.r64());
    return true;
}

bool Lowering::lane_set(u32 n) {
    const IrInst& i = inst(n);
    const u32 L = lane_log(i.lane), at = u32(i.imm);
    Xmm a = vec(i.a);
    if (in_vec(type(i.b)) && L >= 2) {
        Xmm b = vec(i.b);
        use(i.a);
        use(i.b);
        Xmm d = def_vec(n);
        if (L == 2)
            v_op({X::kIdInsertps, X::kIdVinsertps}, d, a, b, at << 4);
        else if (at)
            v_op({X::kIdPunpcklqdq, X::kIdVpunpcklqdq}, d, a, b);
        else if (f_.avx)
            a_.vmovsd(d, a, b);
        else
            v_op({X::kIdPblendw, 0}, d, a, b, 0x0f);
        return true;
    }
    if (ir::size_of(type(i.b)) > 8) return false;
    Gp b;
    if (in_vec(type(i.b))) {
        Xmm x = vec(i.b);
        b = temp();
        a_.emit(f_.avx ? X::kIdVmovd : X::kIdMovd, b.r32(), x);
    } else {
        b = gpr(i.b);
    }
    constexpr Pair insert[] = {{X::kIdPinsrb, X::kIdVpinsrb},
                               {X::kIdPinsrw, X::kIdVpinsrw},
                               {X::kIdPinsrd, X::kIdVpinsrd},
                               {X::kIdPinsrq, X::kIdVpinsrq}};
    use(i.a);
    use(i.b);
    v_op(insert[L], def_vec(n), a, L == 3 ? b : Gp(b.r32()), at);
    return true;
}

// ---- a bit a lane: the host's masks of AVX-512, or its moves of sign bits

bool Lowering::bits_of_lanes(u32 n) {
    const IrInst& i = inst(n);
    const u32 L = lane_log(i.lane);
    const bool half = type(i.a) == Type::v64;
    Xmm a = vec(i.a);
    if (f_.avx512vl) {
        constexpr u32 to_mask[] = {X::kIdVpmovb2m, X::kIdVpmovw2m, X::kIdVpmovd2m, X::kIdVpmovq2m};
        a_.emit(to_mask[L], k1, a);
        use(i.a);
        Gp d = def(n).r32();
        L == 0 ? a_.kmovw(d, k1) : a_.kmovb(d, k1);
        if (half) a_.and_(d, (1u << (8 >> L)) - 1);
        return true;
    }
    Xmm from = a;
    if (L == 1) {
        from = vec_temp();
        v_op({X::kIdPacksswb, X::kIdVpacksswb}, from, a, a);
    }
    use(i.a);
    Gp d = def(n).r32();
    constexpr Pair bytes{X::kIdPmovmskb, X::kIdVpmovmskb};
    constexpr Pair signs[] = {bytes, bytes, {X::kIdMovmskps, X::kIdVmovmskps}, {X::kIdMovmskpd, X::kIdVmovmskpd}};
    a_.emit(f_.avx ? signs[L].avx : signs[L].sse, d, from);
    if (L == 1 || half) a_.and_(d, (1u << ((half ? 8 : 16) >> L)) - 1);
    return true;
}

bool Lowering::lanes_of_bits(u32 n) {
    const IrInst& i = inst(n);
    const u32 L = lane_log(i.lane);
    Gp bits = gpr(i.a);
    if (i.imm) {
        Gp t = temp();
        f_.bmi2 ? void(a_.rorx(t, bits, u32(i.imm))) : void((a_.mov(t, bits), a_.shr(t, u32(i.imm))));
        bits = t;
    }
    if (f_.avx512vl) {
        constexpr u32 expand[] = {X::kIdVpmovm2b, X::kIdVpmovm2w, X::kIdVpmovm2d, X::kIdVpmovm2q};
        a_.kmovd(k1, bits.r32());
        use(i.a);
        a_.emit(expand[L], def_vec(n), k1);
        return true;
    }
    if (!room(2)) return false;
    Xmm t = vec_temp(), mine = vec_temp(); // each lane's own bit, in a copy of all of them
    v_one({X::kIdMovq, X::kIdVmovq}, t, bits);
    constexpr u64 byte_bits = 0x8040201008040201;
    constexpr u64 own[4][2] = {{byte_bits, byte_bits},
                               {0x0008000400020001, 0x0080004000200010},
                               {0x0000000200000001, 0x0000000800000004},
                               {1, 2}};
    v_move(mine, words(own[L][0], own[L][1]));
    if (L == 0)
        v_op({X::kIdPshufb, X::kIdVpshufb}, t, t, words(0, 0x0101010101010101));
    else
        v_op({X::kIdPshufb, X::kIdVpshufb}, t, t, lanes(1, 0x8000)); // words of eight bits: no more lanes than that
    use(i.a);
    v_op(and_ids, t, t, mine);
    v_op(equal_ids[L], vec_out(n, t), t, mine);
    return true;
}

// ---- bytes anywhere

bool Lowering::shuffle(u32 n) {
    const IrInst& i = inst(n);
    const bool half = i.type == Type::v64;
    const u32 size = half ? 8 : 16;
    auto entry = [&](u32 k) { return k < size ? u32(unit_->wide[i.imm + k / 8] >> k % 8 * 8 & 0xff) : 0x80; };
    constexpr Pair pick{X::kIdPshufb, X::kIdVpshufb};
    bool of_a = false, of_b = false;
    for (u32 k = 0; k < size; ++k) of_a |= entry(k) < size, of_b |= entry(k) >= size && entry(k) < 2 * size;
    if (half || !of_a || !of_b) { // from one register
        Xmm a = vec(half || of_a ? i.a : i.b), b = half ? vec(i.b) : a;
        const u32 base = half || of_a ? 0 : 16;
        auto [low, high] = table_of([&](u32 k) { return entry(k) >= base ? entry(k) - base : 16; });
        if (half && of_b) {
            if (!room(1)) return false;
            Xmm t = vec_temp();
            v_double(t, a, b);
            use(i.a);
            use(i.b);
            v_op(pick, vec_out(n, t), t, words(low, high));
            return true;
        }
        use(i.a);
        use(i.b);
        v_op(pick, def_vec(n), a, words(low, high));
        return true;
    }
    Xmm a = vec(i.a), b = vec(i.b);
    if (!room(2)) return false;
    Xmm t = vec_temp(), u = vec_temp();
    auto [low_a, high_a] = table_of([&](u32 k) { return entry(k); });
    auto [low_b, high_b] = table_of([&](u32 k) { return entry(k) >= 16 ? entry(k) - 16 : 16; });
    bool zeros = false;
    for (u32 k = 0; k < 16; ++k) zeros |= entry(k) >= 32;
    if (f_.vbmi && !zeros) { // the index is overwritten; its low five bits count
        u64 w[2] = {unit_->wide[i.imm], unit_->wide[i.imm + 1]};
        v_move(t, words(w[0], w[1]));
        use(i.a);
        use(i.b);
        Xmm out = vec_out(n, t);
        a_.vpermi2b(t, a, b);
        v_move(out, t);
        return true;
    }
    v_op(pick, t, a, words(low_a, high_a));
    v_op(pick, u, b, words(low_b, high_b));
    use(i.a);
    use(i.b);
    v_op(or_ids, vec_out(n, t), t, u);
    return true;
}

// pshufb gives zero where bit 7 is set and else looks at four bits: an index that is too great gets bit 7.
bool Lowering::table_lookup(u32 n) {
    const IrInst& i = inst(n);
    const bool half = i.type == Type::v64;
    Xmm a = vec(i.a), b = vec(i.b);
    if (!room(half ? 2 : 1)) return false;
    Xmm t = vec_temp();
    v_op({X::kIdPaddusb, X::kIdVpaddusb}, t, b, lanes(0, half ? 0x78 : 0x70));
    if (half) { // a good index is 8 to 15 now
        Xmm u = vec_temp();
        v_double(u, a, a);
        a = u;
    }
    use(i.a);
    use(i.b);
    v_op({X::kIdPshufb, X::kIdVpshufb}, vec_out(n, t), a, t);
    return true;
}

bool Lowering::extract_bytes(u32 n) {
    const IrInst& i = inst(n);
    const u32 by = u32(i.imm);
    Xmm a = vec(i.a), b = vec(i.b), t = vec_temp();
    if (i.type == Type::v64) v_double(t, a, b);
    use(i.a);
    use(i.b);
    Xmm out = vec_out(n, t);
    if (by == 0 || by == ir::size_of(i.type))
        v_move(out, by ? b : a);
    else if (i.type == Type::v64)
        v_by({X::kIdPsrldq, X::kIdVpsrldq}, out, t, by);
    else
        v_op({X::kIdPalignr, X::kIdVpalignr}, out, b, a, by);
    return true;
}

bool Lowering::zip(u32 n) {
    const IrInst& i = inst(n);
    const u32 L = lane_log(i.lane), width = 8u << L;
    const bool half = i.type == Type::v64, second = i.sub & 1;
    Xmm a = vec(i.a), b = vec(i.b);
    if (!room(2)) return false;
    Xmm t = vec_temp(), u = vec_temp();
    auto finish = [&](Pair id, Xmm x, const Operand& y) {
        use(i.a);
        use(i.b);
        v_op(id, vec_out(n, t), x, y);
        return true;
    };
    constexpr Pair low[] = {{X::kIdPunpcklbw, X::kIdVpunpcklbw},
                            {X::kIdPunpcklwd, X::kIdVpunpcklwd},
                            {X::kIdPunpckldq, X::kIdVpunpckldq},
                            {X::kIdPunpcklqdq, X::kIdVpunpcklqdq}};
    constexpr Pair high[] = {{X::kIdPunpckhbw, X::kIdVpunpckhbw},
                             {X::kIdPunpckhwd, X::kIdVpunpckhwd},
                             {X::kIdPunpckhdq, X::kIdVpunpckhdq},
                             {X::kIdPunpckhqdq, X::kIdVpunpckhqdq}};
    constexpr Pair right[] = {{X::kIdPsrlw, X::kIdVpsrlw}, {X::kIdPsrld, X::kIdVpsrld}, {X::kIdPsrlq, X::kIdVpsrlq}};
    if (L == 3) return finish(second ? high[3] : low[3], a, b); // every way is the same; there is no v64
    if (i.sub < 2) {
        if (!half) return finish(second ? high[L] : low[L], a, b);
        if (!second) return finish(low[L], a, b);
        v_op(low[L], t, a, b);
        use(i.a);
        use(i.b);
        v_by({X::kIdPsrldq, X::kIdVpsrldq}, vec_out(n, t), t, 8);
        return true;
    }
    const Mem even = lanes(L + 1, (u64{1} << width) - 1), odd = lanes(L + 1, ((u64{1} << width) - 1) << width);
    if (i.sub >= 4) { // even (odd) lanes of both in turn
        constexpr Pair left[] = {{X::kIdPsllw, X::kIdVpsllw}, {X::kIdPslld, X::kIdVpslld}, {X::kIdPsllq, X::kIdVpsllq}};
        if (second) {
            v_by(right[L], t, a, width);
            v_op(and_ids, u, b, odd);
        } else {
            v_op(and_ids, t, a, even);
            v_by(left[L], u, b, width);
        }
        return finish(or_ids, t, u);
    }
    if (half) v_double(t, a, b), a = b = t;
    if (L == 2) {
        use(i.a);
        use(i.b);
        v_op({X::kIdShufps, X::kIdVshufps}, vec_out(n, t), a, b, second ? 0xdd : 0x88);
        return true;
    }
    auto gather = [&](Xmm to, Xmm from) {
        if (second)
            v_by(right[L], to, from, width);
        else
            v_op(and_ids, to, from, even);
    };
    const bool same = a.id() == b.id();
    if (!same) gather(u, b);
    gather(t, a);
    return finish(L ? Pair{X::kIdPackusdw, X::kIdVpackusdw} : Pair{X::kIdPackuswb, X::kIdVpackuswb}, t, same ? t : u);
}

// ---- other widths

bool Lowering::widen(u32 n) {
    const IrInst& i = inst(n);
    const u32 L = lane_log(i.lane);
    constexpr Pair table[2][3] = {
        {{X::kIdPmovzxbw, X::kIdVpmovzxbw}, {X::kIdPmovzxwd, X::kIdVpmovzxwd}, {X::kIdPmovzxdq, X::kIdVpmovzxdq}},
        {{X::kIdPmovsxbw, X::kIdVpmovsxbw}, {X::kIdPmovsxwd, X::kIdVpmovsxwd}, {X::kIdPmovsxdq, X::kIdVpmovsxdq}}};
    Xmm a = vec(i.a);
    use(i.a);
    Xmm d = def_vec(n);
    if (i.sub & 1) {
        if (i.type == Type::v64)
            v_by({X::kIdPsrlq, X::kIdVpsrlq}, d, a, 32);
        else
            v_one({X::kIdPshufd, X::kIdVpshufd}, d, a, 0xee);
        a = d;
    }
    v_one(table[i.sub >> 1 & 1][L], d, a);
    return true;
}

// The upper part is zero without a second operand.
bool Lowering::narrow(u32 n) {
    const IrInst& i = inst(n);
    const u32 L = lane_log(i.lane), size = ir::size_of(i.type);
    const VNarrow kind = VNarrow(i.sub);
    const bool half = i.type == Type::v64, pair = i.b != none;
    if (L == 0) return false;
    if (kind != VNarrow::trunc) return saturating_narrow(n);
    constexpr Pair pick{X::kIdPshufb, X::kIdVpshufb};
    const u32 N = L - 1;
    auto low_parts = [&](u32 k) { return k < size / 2 || pair ? (k >> N << L) + (k & ((1u << N) - 1)) : 16; };
    if (!pair || half) {
        auto [low, high] = table_of(low_parts);
        Xmm a = vec(i.a), t;
        if (pair) {
            Xmm b = vec(i.b);
            if (!room(1)) return false;
            t = vec_temp();
            v_double(t, a, b);
            use(i.b);
        }
        use(i.a);
        Xmm d = pair ? vec_out(n, t) : def_vec(n);
        v_op(pick, d, pair ? t : a, words(low, high));
        return true;
    }
    Xmm a = vec(i.a), b = vec(i.b);
    if (L == 3) {
        use(i.a);
        use(i.b);
        v_op({X::kIdShufps, X::kIdVshufps}, def_vec(n), a, b, 0x88);
        return true;
    }
    if (!room(2)) return false;
    Xmm t = vec_temp(), u = vec_temp();
    const Mem low = lanes(L, (u64{1} << (8u << N)) - 1);
    v_op(and_ids, t, a, low);
    v_op(and_ids, u, b, low);
    use(i.a);
    use(i.b);
    v_op(L == 2 ? Pair{X::kIdPackusdw, X::kIdVpackusdw} : Pair{X::kIdPackuswb, X::kIdVpackuswb}, vec_out(n, t), t, u);
    return true;
}

// QC rises where a lane was clamped.
bool Lowering::saturating_narrow(u32 n) {
    const IrInst& i = inst(n);
    const u32 L = lane_log(i.lane), N = L - 1, size = ir::size_of(i.type);
    const VNarrow kind = VNarrow(i.sub);
    if (kind > VNarrow::sqxtun || i.b != none || (L == 3 && !f_.avx512vl)) return false;
    // t: clamped to the narrow range, u: where that changed something
    const u64 bits = 8u << N, top = (u64{1} << bits) - 1, positive = top >> 1;
    Xmm a = vec(i.a);
    if (!room(2)) return false;
    Xmm t = vec_temp(), u = vec_temp();
    if (kind == VNarrow::uqxtn) {
        v_op(umin_ids[L], t, a, lanes(L, top));
    } else {
        v_op(smin_ids[L], t, a, lanes(L, kind == VNarrow::sqxtn ? positive : top));
        v_op(smax_ids[L], t, t, kind == VNarrow::sqxtn ? lanes(L, ~positive) : lanes(3, 0));
    }
    v_op(xor_ids, u, t, a);
    use(i.a);
    auto [low, high] = table_of([&](u32 k) { return k < size / 2 ? (k >> N << L) + (k & ((1u << N) - 1)) : 16; });
    v_op({X::kIdPshufb, X::kIdVpshufb}, vec_out(n, t), t, words(low, high));
    note_saturation(u, i.type);
    return true;
}

// ---- all lanes

// x: the lanes, zeros where there are none; x and t are temporaries. Sums of 1 << L bytes.
void Lowering::reduce_sum(u32 L, bool is_signed, bool twice, Xmm x, Xmm t) {
    constexpr Pair add[] = {{}, {X::kIdPaddw, X::kIdVpaddw}, {X::kIdPaddd, X::kIdVpaddd}, {X::kIdPaddq, X::kIdVpaddq}};
    const bool bytes_signed = L == 0 && is_signed;
    u32 sums = 3;       // of 1 << sums bytes
    if (bytes_signed) { // plus 128 each, which the sum loses again: the lanes' signs are exchanged
        v_op(xor_ids, x, x, lanes(0, 0x80));
        v_zero(t);
        v_op({X::kIdPsadbw, X::kIdVpsadbw}, x, x, t);
    } else if (L == 0) {
        v_zero(t);
        v_op({X::kIdPsadbw, X::kIdVpsadbw}, x, x, t);
    } else if (L == 1 && (is_signed || !twice)) { // low halves of sums are right whatever the sign
        v_op({X::kIdPmaddwd, X::kIdVpmaddwd}, x, x, lanes(1, 1));
        sums = 2;
    } else if (L == 1) {
        v_by({X::kIdPsrld, X::kIdVpsrld}, t, x, 16);
        v_op(and_ids, x, x, lanes(2, 0xffff));
        v_op(add[2], x, x, t);
        sums = 2;
    } else if (L == 2 && twice) {
        v_by({X::kIdPsrlq, X::kIdVpsrlq}, t, x, 32);
        if (is_signed) {
            v_op({X::kIdPmuldq, X::kIdVpmuldq}, t, t, lanes(2, 1));
            v_op({X::kIdPmuldq, X::kIdVpmuldq}, x, x, lanes(2, 1));
        } else {
            v_op(and_ids, x, x, lanes(3, 0xffffffff));
        }
        v_op(add[3], x, x, t);
    } else if (L == 2) {
        sums = 2;
    }
    v_one({X::kIdPshufd, X::kIdVpshufd}, t, x, 0x4e);
    v_op(add[sums], x, x, t);
    if (sums == 2) {
        v_one({X::kIdPshufd, X::kIdVpshufd}, t, x, 0xb1);
        v_op(add[2], x, x, t);
    }
}

bool Lowering::reduce(u32 n) {
    const IrInst& i = inst(n);
    const u32 L = lane_log(i.lane);
    const VReduce kind = VReduce(i.sub);
    if (in_vec(i.type)) return false;
    const bool half = type(i.a) == Type::v64;
    Xmm a = vec(i.a);
    if (!room(2)) return false;
    Xmm x = vec_temp(), t = vec_temp();
    const bool sum = kind == VReduce::add || kind == VReduce::uaddl || kind == VReduce::saddl;
    if (!sum && L == 3 && !f_.avx512vl) return false;
    u64 flip = 0;
    if (sum) {
        half ? v_one({X::kIdMovq, X::kIdVmovq}, x, a) : v_move(x, a);
        reduce_sum(L, kind == VReduce::saddl, kind != VReduce::add, x, t);
    } else {
        half ? v_double(x, a, a) : v_move(x, a);
        constexpr Pair table[4][4] = {{{X::kIdPminub, X::kIdVpminub},
                                       {X::kIdPminuw, X::kIdVpminuw},
                                       {X::kIdPminud, X::kIdVpminud},
                                       {0, X::kIdVpminuq}},
                                      {{X::kIdPmaxub, X::kIdVpmaxub},
                                       {X::kIdPmaxuw, X::kIdVpmaxuw},
                                       {X::kIdPmaxud, X::kIdVpmaxud},
                                       {0, X::kIdVpmaxuq}},
                                      {{}, {}, {X::kIdPminsd, X::kIdVpminsd}, {0, X::kIdVpminsq}},
                                      {{}, {}, {X::kIdPmaxsd, X::kIdVpmaxsd}, {0, X::kIdVpmaxsq}}};
        if (L >= 2) {
            Pair op = table[u32(kind) - u32(VReduce::umin)][L];
            v_one({X::kIdPshufd, X::kIdVpshufd}, t, x, 0x4e);
            v_op(op, x, x, t);
            if (L == 2) {
                v_one({X::kIdPshufd, X::kIdVpshufd}, t, x, 0xb1);
                v_op(op, x, x, t);
            }
        } else { // the host finds the least unsigned word: the others' order is turned by flipping bits
            const u64 sign = L ? 0x8000 : 0x80, all = L ? 0xffff : 0xff;
            flip = kind == VReduce::umin ? 0 : kind == VReduce::umax ? all : kind == VReduce::smin ? sign : all ^ sign;
            if (flip) v_op(xor_ids, x, x, lanes(L, flip));
            if (L == 0) {
                v_by({X::kIdPsrlw, X::kIdVpsrlw}, t, x, 8);
                v_op({X::kIdPminub, X::kIdVpminub}, x, x, t);
            }
            v_one({X::kIdPhminposuw, X::kIdVphminposuw}, x, x);
        }
    }
    use(i.a);
    Gp d = def(n);
    if (ir::size_of(i.type) == 8)
        a_.emit(f_.avx ? X::kIdVmovq : X::kIdMovq, d.r64(), x);
    else
        a_.emit(f_.avx ? X::kIdVmovd : X::kIdMovd, d.r32(), x);
    if (flip) a_.xor_(d.r32(), u32(flip));
    if (L == 0 && kind == VReduce::saddl) a_.sub(d.r32(), 16 * 128);
    return true;
}

} // namespace mimic::jit::x86
