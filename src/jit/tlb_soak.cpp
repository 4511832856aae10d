// Random blocks of accesses by slots that steps move, in generated code through a TLB and in the interpreter: slots, memory and
// way out must be the same, whatever pages the TLB knows and wherever the accesses lie.
#include "ir/test_support.hpp"
#include "ir/text.hpp"
#include "jit/tlb_test_support.hpp"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace mimic::jit {
namespace {

using ir::Inst;
using ir::Op;
using ir::Type;

const ir::GuestState guest = [] {
    ir::GuestState g = ir::test::aarch64;
    g.stack = 1;
    return g;
}();

u32 slot_named(std::string_view name) {
    for (u32 n = 0; n < std::size(ir::test::slots); ++n)
        if (ir::test::slots[n].name == name) return n;
    return 0;
}
const u32 counter = slot_named("count"), first_f = slot_named("f0"), first_v = slot_named("v0");
constexpr u32 addresses = 4, index_slot = 5; // the slots x1 to x4 hold addresses, x0, x6 and x7 data

class Blocks {
public:
    explicit Blocks(u64 seed) : random_(seed) {}
    u64 below(u64 n) { return random_() % n; }

    ir::Unit unit() {
        u_ = {};
        u_.pc = 0x100;
        u_.key.flavour = ir::flavour::paged;
        const u32 blocks = 1 + u32(below(3));
        for (u32 b = 0; b < blocks; ++b) block(b, blocks);
        u_.blocks.push_back({.begin = u32(u_.code.size()), .pc = pc_, .entry = true, .args = {}});
        begin_insn();
        push({.op = Op::exit, .c = 0, .imm = pc_});
        u_.blocks.back().end = u32(u_.code.size());
        return u_;
    }

private:
    u32 push(Inst i) {
        u_.code.push_back(i);
        return u32(u_.code.size() - 1);
    }
    void begin_insn() {
        push({.op = Op::insn, .sub = 4, .imm = pc_});
        pc_ += 4;
    }
    u32 constant(u64 v) { return push({.op = Op::constant, .type = Type::i64, .imm = v}); }
    u32 get(u32 slot, Type t) { return push({.op = Op::get, .type = t, .imm = ir::SlotArg{ir::SlotId(slot)}.bits()}); }
    void put(u32 slot, Type t, u32 v) {
        push({.op = Op::put, .type = t, .a = v, .imm = ir::SlotArg{ir::SlotId(slot)}.bits()});
    }
    u32 add(u32 a, u32 b) { return push({.op = Op::add, .type = Type::i64, .a = a, .b = b}); }

    i64 step() {
        constexpr i64 some[] = {1, 2, 4, 8, 16, 64, -1, -8, -16, -64, 200, -200, 300, 2048, -4096};
        return some[below(below(4) ? 10 : std::size(some))];
    }
    u32 data() {
        constexpr u32 slots[] = {0, 6, 7};
        return slots[below(3)];
    }
    // An index that is shifted, and a constant.
    u32 with_index(u32 base) {
        u32 index = get(index_slot, Type::i64);
        if (below(3) == 0) index = add(index, constant(below(5)));
        if (below(4)) index = push({.op = Op::shl, .type = Type::i64, .a = index, .b = constant(below(5))});
        const u32 v = below(2) ? add(base, index) : add(index, base);
        return below(3) ? v : add(v, constant(u64(step())));
    }
    // An address in a slot, where the instruction goes on with it, and after it.
    void access() {
        begin_insn();
        const u32 slot = 1 + u32(below(below(3) ? 2 : addresses)), old = get(slot, Type::i64);
        const bool before = below(6) == 0, after = below(6) == 0;
        const u32 moved = before || after ? add(old, constant(u64(step()))) : old;
        const u32 base = below(4) ? before ? moved : old : with_index(old);
        const ir::MemArg m{.disp = i32(below(below(8) ? 128 : 2048)) - (below(3) ? 0 : 64),
                           .memory = memory_type(),
                           .sign = below(2) == 0,
                           .index = u8(PagedMachine::index)};
        below(2) ? load(base, m) : store(base, m);
        if (moved != old) put(slot, Type::i64, moved);
    }
    Type memory_type() {
        constexpr Type types[] = {Type::i64, Type::i64, Type::i32, Type::i16, Type::i8, Type::f64, Type::v128};
        return types[below(std::size(types))];
    }
    void load(u32 base, ir::MemArg m) {
        const bool vector = m.memory == Type::f64 || m.memory == Type::v128;
        const Type t = vector ? m.memory : Type::i64;
        m.sign &= !vector && m.memory != Type::i64;
        const u32 v = push({.op = Op::load, .type = t, .a = base, .imm = m.bits()});
        const u32 to = vector ? (t == Type::f64 ? first_f : first_v) + u32(below(4)) : data();
        if (below(8)) put(to, t, v);
    }
    void store(u32 base, ir::MemArg m) {
        m.sign = false;
        const bool vector = m.memory == Type::f64 || m.memory == Type::v128;
        const Type t = vector ? m.memory : Type::i64;
        u32 v;
        if (vector) {
            v = get((t == Type::f64 ? first_f : first_v) + u32(below(4)), t);
        } else if (below(4) == 0) {
            v = push({.op = Op::constant, .type = m.memory, .imm = below(256)});
        } else {
            v = get(data(), t);
            if (m.memory != Type::i64) v = push({.op = Op::trunc, .type = m.memory, .a = v});
        }
        push({.op = Op::store, .type = vector ? t : m.memory, .a = base, .b = v, .imm = m.bits()});
    }
    void other() {
        begin_insn();
        const u32 slot = 1 + u32(below(addresses));
        switch (below(5)) {
        case 4: return put(index_slot, Type::i64, add(get(index_slot, Type::i64), constant(1 + below(3))));
        case 0: return put(slot, Type::i64, add(get(slot, Type::i64), constant(u64(step()))));
        case 1: return put(slot, Type::i64, get(1 + u32(below(addresses)), Type::i64));
        case 2: return put(data(), Type::i64, add(get(data(), Type::i64), get(data(), Type::i64)));
        default: return put(data(), Type::i64, add(get(data(), Type::i64), constant(below(100))));
        }
    }
    // Goes on with the next one, or back to itself or one before while the counter is above zero.
    void block(u32 b, u32 blocks) {
        u_.blocks.push_back({.begin = u32(u_.code.size()), .pc = pc_, .entry = true, .args = {}});
        for (u64 n = 1 + below(below(2) ? 3 : 12); n > 0; --n) below(4) ? access() : other();
        begin_insn();
        const u32 left = add(get(counter, Type::i64), constant(~u64{0}));
        put(counter, Type::i64, left);
        const u32 more =
            push({.op = Op::icmp, .type = Type::i64, .sub = u8(ir::Rel::sgt), .a = left, .b = constant(0)});
        const u32 back = below(3) ? b : u32(below(b + 1)), on = b + 1 < blocks && below(4) == 0 ? blocks : b + 1;
        if (below(5) == 0)
            push({.op = Op::br, .b = on});
        else
            push({.op = Op::brcond, .a = more, .b = back, .c = on});
        u_.blocks.back().end = u32(u_.code.size());
    }

    std::mt19937_64 random_;
    ir::Unit u_;
    u64 pc_ = 0x100;
};

struct Machines {
    PagedMachine code{guest}, plain{guest};

    u8* slots(PagedMachine& m) { return reinterpret_cast<u8*>(m.header()) + ir::slots_offset; }
    void prepare(Blocks& r) {
        for (u32 n = 0; n < PagedMachine::pages; ++n) {
            const auto real = r.below(12) ? Rights::both : r.below(2) ? Rights::read : Rights::none;
            const auto known = r.below(6) ? real : std::min(real, Rights(r.below(3)));
            code.set_page(n, real, known), plain.set_page(n, real, Rights::none);
        }
        for (u64 n = 0; n < PagedMachine::pages * PagedMachine::page; ++n)
            code.memory()[n] = plain.memory()[n] = u8(n * 37 + n / 251);
        std::fill_n(slots(code), guest.bytes, u8{0});
        auto set = [&](u32 slot, u64 v) { std::memcpy(slots(code) + ir::test::slots[slot].offset, &v, 8); };
        for (u32 n = 1; n <= addresses; ++n) {
            u64 in_page = r.below(2) ? r.below(PagedMachine::page) : PagedMachine::page - 64 + r.below(128);
            if (r.below(2)) in_page &= ~u64{7};
            set(n, PagedMachine::base + PagedMachine::page * r.below(3) + in_page);
        }
        for (u32 n : {0u, 6u, 7u}) set(n, r.below(~u64{0}));
        for (u32 n = 0; n < 4; ++n) set(first_f + n, r.below(1 << 20)), set(first_v + n, r.below(~u64{0}));
        set(index_slot, r.below(200));
        set(counter, 1 + r.below(80));
        std::memcpy(slots(plain), slots(code), guest.bytes);
    }
    // What is not the same; null: nothing.
    const char* differs() {
        const ir::CpuHeader &a = *code.header(), &b = *plain.header();
        if ((a.exit_kind == ir::ExitKind::fault) != (b.exit_kind == ir::ExitKind::fault)) return "the way out";
        if (a.pc != b.pc) return "the pc";
        if (a.exit_kind == ir::ExitKind::fault && (a.fault_address != b.fault_address || a.fault_kind != b.fault_kind))
            return "the fault";
        if (!std::equal(slots(code), slots(code) + guest.bytes, slots(plain))) return "a slot";
        const u64 bytes = PagedMachine::pages * PagedMachine::page;
        return std::equal(code.memory(), code.memory() + bytes, plain.memory()) ? nullptr : "memory";
    }
};

} // namespace
} // namespace mimic::jit

int main(int argc, char** argv) {
    using namespace mimic;
    using namespace mimic::jit;
    u64 seed = 1, count = 3000, faults = 0, groups = 0, slow = 0;
    for (int n = 1; n + 1 < argc; n += 2) {
        if (!std::strcmp(argv[n], "--seed")) seed = std::strtoull(argv[n + 1], nullptr, 0);
        if (!std::strcmp(argv[n], "--count")) count = std::strtoull(argv[n + 1], nullptr, 0);
    }
    auto machines = std::make_unique<Machines>();
    for (u64 n = 0; n < count; ++n) {
        Blocks blocks(seed + n);
        const ir::Unit unit = blocks.unit();
        for (u32 k = 0; k < 4; ++k) {
            machines->prepare(blocks);
            machines->plain.interpret(unit);
            if (!machines->code.run(unit)) {
                std::fprintf(stderr, "seed %lu: %s refused\n%s", (unsigned long)(seed + n),
                             ir::info(machines->code.refused()).name.data(), ir::print(unit, guest).c_str());
                return 1;
            }
            if (const char* what = machines->differs()) {
                std::fprintf(stderr, "seed %lu, run %u: %s\n", (unsigned long)(seed + n), k, what);
                return 1;
            }
            faults += machines->code.header()->exit_kind == ir::ExitKind::fault;
            slow += machines->code.slow();
            groups += machines->code.analysis().groups.size();
        }
    }
    std::printf("%lu units: %lu groups, %lu slow accesses, %lu faults\n", (unsigned long)count, (unsigned long)groups,
                (unsigned long)slow, (unsigned long)faults);
    return groups && slow && faults ? 0 : 1;
}
