// Slots, guest memory and calls.
#include "ir/interpreter_run.hpp"
#include <algorithm>

namespace mimic::ir {

namespace {

void reverse(void* bytes, u32 n) { std::reverse(static_cast<u8*>(bytes), static_cast<u8*>(bytes) + n); }

u64 low_word(const u8* p, u32 n) {
    u64 v = 0;
    std::memcpy(&v, p, n);
    return v;
}

} // namespace

// ---- slots

u8* Run::slot(const Inst& i) const {
    SlotArg s = SlotArg::from(i.imm);
    return home(&cpu, guest.slots[s.slot]) + s.offset;
}

void Run::get(const Inst& i, const u8* from, Place& out) {
    switch (i.type) {
    case Type::i64:
    case Type::f64:
    case Type::v64: std::memcpy(&out.w[0], from, 8); break;
    case Type::i32:
    case Type::f32:
    case Type::flags: out.w[0] = low_word(from, 4); break;
    case Type::i16:
    case Type::f16: out.w[0] = low_word(from, 2); break;
    case Type::i8: out.w[0] = *from; break;
    case Type::i1: out.w[0] = *from & 1; break;
    case Type::f80:
        std::memcpy(&out, from, 16);
        out.w[1] &= 0xffff;
        break;
    default: std::memcpy(result(out, i.type), from, bytes_of(i.type));
    }
}

void Run::put(Type t, ValueId v, u8* to) const {
    const Place& p = frame[v];
    switch (t) {
    case Type::i64:
    case Type::f64:
    case Type::v64: std::memcpy(to, &p, 8); break;
    case Type::i32:
    case Type::f32:
    case Type::flags: std::memcpy(to, &p, 4); break;
    case Type::i16:
    case Type::f16: std::memcpy(to, &p, 2); break;
    case Type::i8:
    case Type::i1: *to = u8(p.w[0]); break;
    default: std::memcpy(to, bytes(v), bytes_of(t));
    }
}

// ---- guest memory

bool Run::misaligned(u64 address, u32 bytes, const MemArg& m, bool write) {
    bool bad = false;
    if (m.align == Align::natural) bad = address & (std::bit_ceil(bytes) - 1);
    if (m.align == Align::atomic16) bad = (address & 15) + bytes > 16;
    if (bad) {
        cpu.fault_address = address;
        cpu.fault_kind = FaultKind::misaligned;
        cpu.misaligned_write = write;
    }
    return bad;
}

bool Run::access(const Inst& i, Place& out) {
    MemArg m = MemArg::from(i.imm);
    if (i.op == Op::fence) {
        memory->fence(i.imm & 3, i.imm >> 4 & 3);
        return true;
    }
    u64 address = value(i.a);
    if (i.op == Op::probe) return value(i.b) == 0 || memory->probe(cpu, address, value(i.b), i.sub);
    if (i.op == Op::scatter) return scatter(i, m);
    if (i.op == Op::gather) return gather(i, m, out);
    if (m.disp) {
        address += u64(i64(m.disp));
        address &= mask_of(type_of(i.a));
    }
    switch (i.op) {
    case Op::load: return load(i, address, m, out);
    case Op::store: return store(i, address, m);
    case Op::rmw: return rmw(i, address, m, out);
    case Op::cas: return cas(i, address, m, out);
    case Op::store_mask: return store_lanes(i, address, m);
    default: return load_lanes(i, address, m, out);
    }
}

bool Run::load(const Inst& i, u64 address, const MemArg& m, Place& out) {
    u32 n = memory_bytes(m.memory, unit.vector_bytes);
    if (m.align != Align::any && misaligned(address, n, m, false)) [[unlikely]]
        return false;
    if (!in_arena(i.type) && n <= 8) [[likely]] {
        u64 v = 0;
        if (!memory->load(cpu, address, &v, n, m)) [[unlikely]]
            return false;
        if (m.big) v = __builtin_bswap64(v) >> (64 - 8 * n);
        if (m.sign) {
            i64 s = signed_of(v, m.memory);
            out = {{u64(s) & mask_of(i.type), i.type == Type::i128 ? u64(s >> 63) : 0}};
        } else {
            out = {{v, 0}};
        }
        return true;
    }
    alignas(16) u8 raw[256] = {};
    if (!memory->load(cpu, address, raw, n, m)) return false;
    if (m.big) reverse(raw, n);
    std::memcpy(result(out, i.type), raw, std::min(bytes_of(i.type), 256u));
    return true;
}

bool Run::store(const Inst& i, u64 address, const MemArg& m) {
    u32 n = memory_bytes(m.memory, unit.vector_bytes);
    if (m.align != Align::any && misaligned(address, n, m, true)) [[unlikely]]
        return false;
    if (!m.big) [[likely]]
        return memory->store(cpu, address, bytes(i.b), n, m);
    alignas(16) u8 raw[256];
    std::memcpy(raw, bytes(i.b), n);
    reverse(raw, n);
    return memory->store(cpu, address, raw, n, m);
}

bool Run::rmw(const Inst& i, u64 address, const MemArg& m, Place& out) {
    u32 n = memory_bytes(m.memory, unit.vector_bytes);
    u64 old = 0;
    if (misaligned(address, n, m, true)) return false;
    if (!memory->rmw(cpu, address, Rmw(i.sub), value(i.b) & mask_of(m.memory), old, n, m)) return false;
    out = {{(m.sign ? u64(signed_of(old, m.memory)) : old) & mask_of(i.type), 0}};
    return true;
}

bool Run::cas(const Inst& i, u64 address, const MemArg& m, Place& out) {
    u32 n = memory_bytes(m.memory, unit.vector_bytes);
    alignas(16) u8 expected[16], desired[16], old[16] = {};
    if (misaligned(address, n, m, true)) return false;
    std::memcpy(expected, bytes(i.b), n);
    std::memcpy(desired, bytes(i.c), n);
    if (m.big) reverse(expected, n), reverse(desired, n);
    if (!memory->cas(cpu, address, expected, desired, old, n, m)) return false;
    if (m.big) reverse(old, n);
    std::memcpy(&out, old, 16);
    if (m.sign && n < 8) out.w[0] = u64(signed_of(out.w[0], m.memory)) & mask_of(i.type);
    return true;
}

// ---- lanes of memory

bool Run::load_lane(u64 address, const MemArg& m, u32 lane_size, u8* out) {
    u32 n = memory_bytes(m.memory, 0);
    u64 v[2] = {};
    if (misaligned(address, n, m, false) || !memory->load(cpu, address, v, n, m)) return false;
    if (m.big) reverse(v, n);
    if (m.sign && n < 8) v[0] = u64(signed_of(v[0], m.memory));
    std::memcpy(out, v, lane_size);
    return true;
}

bool Run::store_lane(u64 address, const MemArg& m, const u8* from) {
    u32 n = memory_bytes(m.memory, 0);
    u8 raw[16];
    if (misaligned(address, n, m, true)) return false;
    std::memcpy(raw, from, n);
    if (m.big) reverse(raw, n);
    return memory->store(cpu, address, raw, n, m);
}

// load_mask and load_ff.
bool Run::load_lanes(const Inst& i, u64 address, const MemArg& m, Place& out) {
    u32 size = lane_bytes(i.lane), step = memory_bytes(m.memory, 0), lanes = bytes_of(i.type) / size;
    u64 wrap = mask_of(type_of(i.a));
    bool first_only = i.op == Op::load_ff, first = true;
    alignas(16) u8 raw[256] = {}, loaded[32] = {};
    if (!first_only && i.c != none) std::memcpy(raw, bytes(i.c), bytes_of(i.type));
    const u64 fault_address = cpu.fault_address;
    const FaultKind fault_kind = cpu.fault_kind;
    for (u32 n = 0; n < lanes; ++n) {
        if (!mask_bit(bytes(i.b), n, size)) continue;
        if (!load_lane((address + n * step) & wrap, m, size, raw + n * size)) {
            if (!first_only || first) return false;
            cpu.fault_address = fault_address;
            cpu.fault_kind = fault_kind;
            break;
        }
        set_mask_bit(loaded, n, size);
        first = false;
    }
    std::memcpy(result(out, i.type), raw, bytes_of(i.type));
    if (first_only) std::memcpy(home(&cpu, guest.slots[i.c]), loaded, 32);
    return true;
}

bool Run::store_lanes(const Inst& i, u64 address, const MemArg& m) {
    u32 size = lane_bytes(i.lane), step = memory_bytes(m.memory, 0), lanes = bytes_of(i.type) / size;
    u64 wrap = mask_of(type_of(i.a));
    const u8* mask = bytes(i.b);
    for (u32 n = 0; n < lanes; ++n) {
        u64 to = (address + n * step) & wrap;
        if (mask_bit(mask, n, size) && (misaligned(to, step, m, true) || !memory->probe(cpu, to, step, true)))
            return false;
    }
    for (u32 n = 0; n < lanes; ++n)
        if (mask_bit(mask, n, size) && !store_lane((address + n * step) & wrap, m, bytes(i.c) + n * size)) return false;
    return true;
}

u64 Run::lane_address(const Inst& i, const u8* offsets, u32 lane) const {
    u32 size = lane_bytes(i.lane);
    u64 offset = low_word(offsets + lane * size, size);
    if (i.sub & 1 && size < 8) offset = u64(i64(offset << (64 - 8 * size)) >> (64 - 8 * size));
    return (value(i.a) + (offset << (i.sub >> 1 & 7))) & mask_of(type_of(i.a));
}

bool Run::gather(const Inst& i, const MemArg& m, Place& out) {
    u32 size = lane_bytes(i.lane), lanes = bytes_of(i.type) / size;
    u8 raw[256] = {};
    for (u32 n = 0; n < lanes; ++n) {
        if (i.c != none && !mask_bit(bytes(i.c), n, size)) continue;
        u64 from = (lane_address(i, bytes(i.b), n) + u64(i64(m.disp))) & mask_of(type_of(i.a));
        if (!load_lane(from, m, size, raw + n * size)) return false;
    }
    std::memcpy(result(out, i.type), raw, bytes_of(i.type));
    return true;
}

bool Run::scatter(const Inst& i, const MemArg& m) {
    u32 size = lane_bytes(i.lane), lanes = bytes_of(i.type) / size;
    const u8* from = bytes(unit.extra[u32(m.disp)]);
    for (u32 n = 0; n < lanes; ++n) {
        if (i.c != none && !mask_bit(bytes(i.c), n, size)) continue;
        if (!store_lane(lane_address(i, bytes(i.b), n), m, from + n * size)) return false;
    }
    return true;
}

// ---- calls and block arguments

bool Run::call(const Inst& i, Place& out) {
    CallArg c = CallArg::from(i.imm);
    const Intrinsic& f = *unit.calls[c.callee];
    Wide operands[16];
    u32 n = 0;
    for (ValueId v : {i.a, i.b, i.c})
        if (v != none) std::memcpy(&operands[n++], &frame[v], sizeof(Wide));
    if (c.rest) {
        const u32* rest = unit.extra.data() + c.rest - 1;
        for (u32 k = 0; k < rest[0]; ++k) std::memcpy(&operands[n++], &frame[rest[k + 1]], sizeof(Wide));
    }
    bool outside = f.effects & Intrinsic::impure;
    if (outside ? memory->call(f, cpu, operands, results) : f.body(&cpu, operands, results)) [[unlikely]]
        return false;
    if (i.type != Type::none) out = {{results[0].w[0] & mask_of(i.type), results[0].w[1]}};
    return true;
}

void Run::pass_arguments(const Inst& i) {
    const u32* list = unit.extra.data() + i.imm - 1;
    if (args.size() < 256 * list[0]) args.resize(256 * list[0]);
    for (u32 n = 0; n < list[0]; ++n) {
        ValueId v = list[n + 1];
        std::memcpy(args.data() + 256 * n, bytes(v), std::max(bytes_of(type_of(v)), 16u));
    }
}

void Run::argument(const Inst& i, Place& out) {
    std::memcpy(result(out, i.type), args.data() + 256 * i.imm, bytes_of(i.type));
}

} // namespace mimic::ir
