// RISC-V Debug Specification 1.0, chapter 5: sections are named at what is theirs.
#include "isa/riscv/trigger.hpp"
#include <algorithm>
#include <bit>

namespace mimic::isa::riscv {

namespace {

using namespace trigger;

constexpr u64 bit(u32 n) { return u64{1} << n; }

// Fields that both types of address triggers have at the same place (5.7.11, 5.7.12).
constexpr u64 load_bit = bit(0), store_bit = bit(1), execute_bit = bit(2), chain_bit = bit(11);
constexpr u32 match_at = 7;
// Of mcontrol
constexpr u64 mcontrol_hit = bit(20), mcontrol_maskmax = u64{63} << 53;
// Of mcontrol6: of the ways to hit (hit1, hit0) there is "before" only.
constexpr u64 mcontrol6_hit0 = bit(22);
constexpr u32 mcontrol6_size_at = 16;
// Of icount (5.7.13)
constexpr u64 icount_hit = bit(24), icount_pending = bit(8);
constexpr u32 count_at = 10;
constexpr u64 count_mask = bit(14) - 1;
// Of itrigger and etrigger (5.7.14, 5.7.15)
constexpr u64 trap_hit = bit(58);
// The privileges that a trigger is for.
constexpr u64 address_privileges = bit(3) | bit(4) | bit(6), other_privileges = bit(6) | bit(7) | bit(9);

enum Match : u32 { equal, napot, greater_or_equal, less, mask_low, mask_high, negated = 8 };
constexpr bool is_match(u64 m) { return m <= mask_high || m == 8 || m == 9 || m == 12 || m == 13; }

// Bytes of a size field; 0: any. Sizes that no access here has are not legal.
constexpr u32 size_bytes(u64 size) {
    constexpr u8 bytes[] = {0, 1, 2, 4, 0, 8, 0, 0};
    return bytes[size & 7];
}
constexpr bool is_size(u64 size) { return size == 0 || (size < 8 && size_bytes(size)); }

struct Range {
    u64 first, last; // empty: first is above last
};

struct Trigger {
    u64 tdata1, tdata2;
    u32 type() const { return u32(tdata1 >> type_at); }
    bool of_address() const { return type() == mcontrol || type() == mcontrol6; }
    bool has(u64 bits) const { return tdata1 & bits; }
    bool chained() const { return of_address() && has(chain_bit); }
    u64 size() const {
        return type() == mcontrol ? (tdata1 >> 21 & 3) << 2 | (tdata1 >> 16 & 3) : tdata1 >> mcontrol6_size_at & 7;
    }
    bool enabled(u32 privilege) const {
        u32 first = of_address() ? 3 : 6; // U, S, then one that is reserved, M
        return tdata1 >> (first + privilege) & 1;
    }
    // At some privilege, for something.
    bool armed() const { return of_address() && has(address_privileges) && has(load_bit | store_bit | execute_bit); }
    bool matches(u64 address) const {
        const u64 all = ~u64{0};
        switch (tdata1 >> match_at & 7) {
        case napot: {
            u32 same = u32(std::countr_one(tdata2)) + 1; // low bits that do not matter
            return same >= 64 || (address ^ tdata2) >> same == 0;
        }
        case greater_or_equal: return address >= tdata2;
        case less: return address < tdata2;
        case mask_low: return (address & tdata2 >> 32 & (all >> 32)) == (tdata2 & (all >> 32));
        case mask_high: return (address >> 32 & tdata2 >> 32) == (tdata2 & (all >> 32));
        default: return address == tdata2;
        }
    }
    // `values` addresses from the lowest on are compared; the negated kinds match where the others would not.
    bool matches(u64 address, u32 values, u32 bytes) const {
        if (size() && size_bytes(size()) != bytes) return false;
        bool any = false;
        for (u32 n = 0; n < values && !any; ++n) any = matches(address + n);
        return any != bool(tdata1 >> match_at & negated);
    }
    // What is outside does not match.
    Range range() const {
        switch (tdata1 >> match_at & 15) {
        case equal: return {tdata2, tdata2};
        case napot: {
            u64 low = tdata2 ^ (tdata2 + 1);
            return {tdata2 & ~low, tdata2 | low};
        }
        case greater_or_equal: return {tdata2, ~u64{0}};
        case less: return tdata2 ? Range{0, tdata2 - 1} : Range{1, 0};
        default: return {0, ~u64{0}};
        }
    }
    u64 hit() const {
        switch (type()) {
        case mcontrol: return mcontrol_hit;
        case mcontrol6: return mcontrol6_hit0;
        case icount: return icount_hit;
        default: return trap_hit;
        }
    }
};

Trigger at(const State& s, u32 n) { return {s[slot_tdata1 + n], s[slot_tdata2 + n]}; }

// textra64 (5.7.17): the contexts that a trigger is for.
bool in_context(const State& s, u32 n) {
    u64 extra = s[slot_tdata3 + n], value = extra >> 2 & 0xffffffff;
    if ((extra >> 48 & 7) == 4 && extra >> 51 != s[slot_mcontext]) return false;
    if ((extra & 3) == 1) {
        u64 compared = 0;
        for (u32 byte = 0; byte < 4; ++byte)
            if (!(extra >> (36 + byte) & 1)) compared |= u64{0xff} << 8 * byte;
        return ((value ^ s[slot_scontext]) & compared) == 0;
    }
    return (extra & 3) != 2 || (value & 0xffff) == (s[slot_satp] >> 44 & 0xffff);
}

bool is_active(const State& s, u32 n, u32 privilege) { return at(s, n).enabled(privilege) && in_context(s, n); }

// One trigger of a chain, or one alone. Those of a chain may match different parts of one instruction.
bool matches(const State& s, u32 n, const TriggerEvent& e, bool in_chain) {
    Trigger t = at(s, n);
    bool access = e.load || e.store;
    if ((!access || in_chain) && t.has(execute_bit) && t.matches(s.cpu().pc, 1, e.insn_bytes)) return true;
    bool kind = (e.load && t.has(load_bit)) || (e.store && t.has(store_bit));
    return access && kind && t.matches(e.address, e.bytes, e.bytes);
}

// Those that are chained stand one behind the other; the last one's chain bit is clear.
u32 last_of_chain(const State& s, u32 first) {
    u32 n = first;
    while (at(s, n).chained() && n + 1 < trigger_count) ++n;
    return n;
}
// Of address triggers alone, all of them armed: the others do not match together with an address.
bool is_chain(const State& s, u32 first, u32 last) {
    for (u32 n = first; n <= last; ++n)
        if (!at(s, n).armed()) return false;
    return true;
}

// `apart`: the bytes of an access that each matches may be as far from each other.
Range both(const Range& a, const Range& b, u64 apart) {
    u64 low = b.first < apart ? 0 : b.first - apart, high = b.last > ~apart ? ~u64{0} : b.last + apart;
    return {std::max(a.first, low), std::min(a.last, high)};
}

} // namespace

namespace trigger {

u64 legal_tdata1(u32 n, u64 v) {
    u64 type = v >> type_at << type_at;
    u64 chain = n + 1 < trigger_count ? chain_bit : 0;
    u64 address = v & (load_bit | store_bit | execute_bit | address_privileges | chain);
    if (u64 match = v >> match_at & 15; is_match(match)) address |= match << match_at;
    switch (v >> type_at) {
    case mcontrol: {
        u64 size = (v >> 21 & 3) << 2 | (v >> 16 & 3);
        return type | mcontrol_maskmax | address | (v & mcontrol_hit) |
               (is_size(size) ? v & (u64{3} << 21 | 3 << 16) : 0);
    }
    case mcontrol6: {
        u64 size = v >> mcontrol6_size_at & 7;
        return type | address | (v & mcontrol6_hit0) | (is_size(size) ? size << mcontrol6_size_at : 0);
    }
    case icount: return type | (v & (icount_hit | count_mask << count_at | icount_pending | other_privileges));
    case itrigger:
    case etrigger: return type | (v & (trap_hit | other_privileges));
    default: return off;
    }
}

u64 legal_tdata3(u64 v) {
    constexpr u64 svalue = u64{0xffffffff} << 2, sbytemask = u64{15} << 36, mhvalue = ~u64{0} << 51;
    u64 sselect = v & 3, mhselect = v >> 48 & 7;
    return (v & (svalue | sbytemask | mhvalue)) | (sselect == 3 ? 0 : sselect) | (mhselect == 4 ? mhselect << 48 : 0);
}

} // namespace trigger

u32 triggers_that_fire(const State& s, const TriggerEvent& e) {
    u32 privilege = s.privilege();
    if (!triggers_may_fire(s, privilege)) return 0;
    u32 all = 0;
    for (u32 first = 0, last; first < trigger_count; first = last + 1) {
        last = last_of_chain(s, first);
        if (!is_chain(s, first, last)) continue;
        bool fires = true;
        for (u32 k = first; k <= last && fires; ++k)
            fires = is_active(s, k, privilege) && matches(s, k, e, last != first);
        if (fires) all |= (2u << last) - (1u << first);
    }
    return all;
}

void note_hits(const State& s, u32 triggers) {
    for (u32 n = 0; n < trigger_count; ++n)
        if (triggers >> n & 1) s[slot_tdata1 + n] |= at(s, n).hit();
}

void trigger_points(const State& s, std::vector<DebugPoint>& out) {
    constexpr u64 most_bytes = 64; // of an access: cbo.zero's
    constexpr Range everywhere{0, ~u64{0}};
    auto add = [&](const Range& r, const DebugPoint& kinds) {
        if (r.first > r.last) return;
        // All addresses are more bytes than a number holds.
        const u64 half = r.first == 0 && r.last == ~u64{0} ? u64{1} << 63 : 0;
        for (u64 first = r.first;; first = half) {
            DebugPoint p = kinds;
            p.address = first, p.bytes = half ? half : r.last - first + 1;
            out.push_back(p);
            if (first == half || !half) return;
        }
    };
    for (u32 first = 0, last; first < trigger_count; first = last + 1) {
        last = last_of_chain(s, first);
        if (!is_chain(s, first, last)) continue;
        Range access = everywhere, fetch = everywhere;
        bool load = false, store = false;
        for (u32 k = first; k <= last; ++k) {
            Trigger t = at(s, k);
            load |= t.has(load_bit), store |= t.has(store_bit);
            if (first == last)
                access = t.range();
            else if (!t.has(execute_bit))
                access = both(access, t.range(), most_bytes);
            fetch = both(fetch, t.range(), 0);
        }
        if (load || store) add(access, {.read = load, .write = store});
        if (!load && !store) add(fetch, {.execute = true});
        // One that may match an access or the fetch: where it is the latter, the instruction is run alone, so that pc is known
        // when others of the chain meet its access.
        for (u32 k = first; k <= last && (load || store); ++k)
            if (at(s, k).has(execute_bit)) add(at(s, k).range(), {.execute = true});
    }
}

u64 trigger_modes(const State& s) {
    u64 modes = 0;
    for (u32 n = 0; n < trigger_count; ++n) {
        Trigger t = at(s, n);
        bool counting = t.type() == icount && t.has(icount_pending | count_mask << count_at);
        for (u32 p : {user_level, supervisor_level, machine_level}) {
            if (t.of_address() && t.has(execute_bit) && t.enabled(p)) modes |= u64{1} << p;
            if (counting && t.enabled(p)) modes |= u64{1} << (counting_at + p);
        }
    }
    return modes;
}

void count_trap(const State& s, u32 privilege) {
    if (!triggers_may_fire(s, privilege)) return;
    for (u32 n = 0; n < trigger_count; ++n) {
        Trigger t = at(s, n);
        u64 count = t.tdata1 >> count_at & count_mask;
        if (t.type() != icount || count == 0 || !is_active(s, n, privilege)) continue;
        s[slot_tdata1 + n] -= u64{1} << count_at;
        if (count == 1) s[slot_tdata1 + n] |= icount_pending;
        s[slot_trigger_modes] = trigger_modes(s);
    }
}

bool count_instruction(const State& s) {
    u32 privilege = s.privilege();
    // A floating-point instruction that first makes FS dirty begins a second time.
    const bool dirty = (s[slot_mstatus] & mstatus::FS) == mstatus::FS;
    const u64 here = s.cpu().pc | 1;
    const bool again = dirty && s[slot_trigger_begun] == here;
    s[slot_trigger_begun] = dirty ? 0 : here;
    if (again || !triggers_may_fire(s, privilege)) return false;
    bool fires = false;
    for (u32 n = 0; n < trigger_count; ++n) {
        if (at(s, n).type() != icount || !at(s, n).has(icount_pending) || !is_active(s, n, privilege)) continue;
        s[slot_tdata1 + n] = (s[slot_tdata1 + n] & ~icount_pending) | icount_hit;
        fires = true;
    }
    if (!fires) return count_trap(s, privilege), false;
    s[slot_trigger_begun] = 0;
    s[slot_trigger_modes] = trigger_modes(s);
    return true;
}

bool trap_fires(const State& s, u64 code, u32 privilege) {
    if (!triggers_may_fire(s, s.privilege())) return false;
    u32 type = code & cause::interrupt ? itrigger : etrigger;
    u64 number = code & ~cause::interrupt;
    bool any = false;
    for (u32 n = 0; n < trigger_count; ++n) {
        Trigger t = at(s, n);
        if (t.type() != type || number > 63 || !(t.tdata2 >> number & 1) || !is_active(s, n, privilege)) continue;
        s[slot_tdata1 + n] |= trap_hit;
        any = true;
    }
    return any;
}

} // namespace mimic::isa::riscv
