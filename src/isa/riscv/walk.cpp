// Address translation and physical memory protection. Volume II (20240411): Sv39, Sv48, Sv57 12.4 to 12.6; Svnapot,
// Svpbmt, Svadu in their chapters; PMP 3.7; Smepmp chapter 6.
//
// What the supervisor does with its own pages (SUM is 0) has one context for all identifiers: nearly all of these are global, and a
// new process meets the kernel's pages and branches as the last one left them. Pages that are not are `apart`; where there
// are many, slot_private is set, and contexts have the identifier for all.
#include "isa/riscv/system.hpp"
#include <bit>

namespace mimic::isa::riscv {

namespace {

// Page-table entries (12.4.1)
namespace pte {
constexpr u64 V = 1, R = 2, W = 4, X = 8, U = 16, G = 32, A = 64, D = 128;
constexpr u64 reserved = u64{0x7f} << 54, PBMT = u64{3} << 61, N = u64{1} << 63;
constexpr u64 ppn(u64 v) { return v >> 10 & ((u64{1} << 44) - 1); }
} // namespace pte

Exception page_fault(u64 address, AccessType t) {
    constexpr u64 causes[] = {cause::load_page, cause::store_page, cause::fetch_page};
    return {causes[u32(t)], address};
}
Exception access_fault(u64 address, AccessType t) {
    constexpr u64 causes[] = {cause::load_access, cause::store_access, cause::fetch_access};
    return {causes[u32(t)], address};
}

// What an index of data accesses stands for: see Rv::data_index.
struct Index {
    u32 privilege;
    bool sum, mxr;
};
constexpr Index indices[] = {{user_level, false, false},      {supervisor_level, false, false},
                             {supervisor_level, true, false}, {machine_level, false, false},
                             {user_level, false, true},       {supervisor_level, false, true},
                             {supervisor_level, true, true}};

struct Walk {
    const State& s;
    PhysicalMemory& memory;
    u64 address;
    AccessType type;
    Index index;
    bool debug;
    Mapping& out;
    Exception& e;

    bool fault() { return e = page_fault(address, type), false; }
    bool bus_fault() { return e = access_fault(address, type), false; }
    bool read(u64 at, u64& v) {
        if (!debug && !pmp_rights(s, at, 8, supervisor_level).read) return bus_fault();
        return memory.read(at, 8, v) || bus_fault();
    }
    bool permitted(u64 v) const {
        if (debug) return true;
        if (index.privilege == user_level ? !(v & pte::U) : (v & pte::U) && (type == AccessType::fetch || !index.sum))
            return false;
        switch (type) {
        case AccessType::read: return v & (index.mxr ? pte::R | pte::X : pte::R);
        case AccessType::write: return v & pte::W;
        default: return v & pte::X;
        }
    }
    bool go();
    bool leaf(u64 at, u64 v, u32 level);
};

bool Walk::go() {
    u64 satp = s[slot_satp];
    u32 levels = u32(satp >> 60) - 5; // 8: Sv39
    u32 unused = 64 - (12 + 9 * levels);
    if (i64(address << unused) >> unused != i64(address)) return fault();
    u64 table = (satp & ((u64{1} << 44) - 1)) << 12;
    for (u32 level = levels; level-- > 0;) {
        u64 at = table + 8 * (address >> (12 + 9 * level) & 511), v;
        for (;;) {
            if (!read(at, v)) return false;
            if (!(v & pte::V) || (v & (pte::R | pte::W)) == pte::W || (v & pte::reserved)) return fault();
            u64 pbmt = v & pte::PBMT;
            if (pbmt && (!(s[slot_menvcfg] & envcfg::PBMTE) || pbmt == pte::PBMT)) return fault();
            if (v & pte::G) out.global = true; // of a pointer: all below it
            if (!(v & (pte::R | pte::X))) {
                if (v & (pte::D | pte::A | pte::U | pte::PBMT | pte::N)) return fault();
                table = pte::ppn(v) << 12;
                break;
            }
            if (!permitted(v)) return fault();
            u64 set = v | pte::A | (type == AccessType::write ? pte::D : 0);
            if (set == v || debug) return leaf(at, v, level);
            // Svadu; without it software keeps these bits.
            if (!(s[slot_menvcfg] & envcfg::ADUE)) return fault();
            if ((v & pte::N) && (level || (pte::ppn(v) & 15) != 8)) return fault();
            if (pte::ppn(v) & ((u64{1} << 9 * level) - 1)) return fault();
            if (!pmp_rights(s, at, 8, supervisor_level).write) return bus_fault();
            u64 old;
            if (!memory.compare_and_swap(at, 8, v, set, old)) return bus_fault();
            if (old == v) return leaf(at, set, level);
        } // somebody changed it: again
    }
    return fault();
}

bool Walk::leaf(u64, u64 v, u32 level) {
    u64 ppn = pte::ppn(v);
    u32 bits = 12 + 9 * level;
    if (v & pte::N) { // 64 KiB: the low four bits are those of the address
        if (level || (ppn & 15) != 8) return fault();
        bits = 16;
        ppn &= ~u64{15};
    }
    if (ppn & ((u64{1} << (bits - 12)) - 1)) return fault();
    u64 inside = (u64{1} << bits) - 1;
    out.physical = (ppn << 12 & ~inside) | (address & inside);
    out.bits = u8(bits);
    out.device = v & pte::PBMT;
    bool mine = index.privilege == user_level ? v & pte::U : !(v & pte::U);
    bool data = mine || (index.privilege == supervisor_level && index.sum);
    out.read = data && (v & (index.mxr ? pte::R | pte::X : pte::R));
    out.write = data && (v & pte::W) && (v & pte::D);
    out.fetch = mine && (v & pte::X);
    return true;
}

// All leaves below a table; those next to each other that are alike become one.
struct Ranges {
    PhysicalMemory& memory;
    u32 max;
    std::vector<Mapped>& out;

    void leaf(u64 address, u64 v, u64 bytes) {
        constexpr std::string_view letters = "rwxugad"; // bits 1 to 7 (12.3.1)
        std::string attributes;
        for (u32 n = 0; n < letters.size(); ++n) attributes += v >> (n + 1) & 1 ? letters[n] : '-';
        u64 physical = pte::ppn(v) << 12;
        if ((v & pte::N) && bytes == 4096) // of 64 KiB: entries are alike, addresses count on
            physical = (physical & ~u64{0xffff}) | (address & 0xf000);
        if (!out.empty()) {
            Mapped& last = out.back();
            if (last.address + last.bytes == address && last.physical + last.bytes == physical &&
                last.attributes == attributes) {
                last.bytes += bytes;
                return;
            }
        }
        if (out.size() < max) out.push_back({address, physical, bytes, attributes});
    }
    void table(u64 at, u64 address, u32 level) {
        u64 bytes = u64{4096} << 9 * level;
        for (u32 n = 0; n < 512 && out.size() < max; ++n) {
            u64 v = 0, here = address + n * bytes;
            if (!memory.read(at + 8 * n, 8, v)) return;
            if (!(v & pte::V)) continue;
            if (v & (pte::R | pte::X))
                leaf(here, v, bytes);
            else if (level)
                table(pte::ppn(v) << 12, here, level - 1);
        }
    }
};

// ---- PMP

struct Range {
    u64 low = 0, high = 0; // [low, high)
};
constexpr u64 no_end = u64{1} << 56;

Range pmp_range(const State& s, u32 n, u32 how) {
    u64 a = s[slot_pmpaddr0 + n];
    if (how == 1) return {n ? s[slot_pmpaddr0 + n - 1] << 2 : 0, a << 2};
    if (how == 2) return {a << 2, (a << 2) + 4};
    u32 ones = u32(std::countr_one(a));
    u64 size = u64{8} << ones;
    if (ones >= 54) return {0, no_end};
    u64 low = (a & ~((u64{1} << ones) - 1)) << 2;
    return {low, low + size};
}

// Smepmp, table of 6.2: what an entry gives under MML. cfg: bits R W X and L.
Rights rights_under_mml(u32 cfg, bool machine) {
    bool r = cfg & 1, w = cfg & 2, x = cfg & 4, lock = cfg & 0x80;
    if (w && !r) { // shared regions
        if (!lock)
            return x ? Rights{true, true, false} : machine ? Rights{true, true, false} : Rights{true, false, false};
        return x ? (machine ? Rights{true, false, true} : Rights{false, false, true}) : Rights{false, false, true};
    }
    if (r && w && x && lock) return {true, false, false}; // shared data, read only for both
    return lock == machine ? Rights{r, w, x} : Rights{};
}

} // namespace

Rights pmp_rights(const State& s, u64 address, u64 bytes, u32 privilege) {
    bool machine = privilege == machine_level;
    u64 page = address & ~u64{4095}, sec = s[slot_mseccfg];
    bool whole = true;
    for (u32 n = 0; n < 16; ++n) {
        u32 cfg = u32(s[n < 8 ? slot_pmpcfg0 : slot_pmpcfg2] >> 8 * (n % 8) & 0xff), how = cfg >> 3 & 3;
        if (how == 0) continue;
        Range r = pmp_range(s, n, how);
        if (r.high <= page || r.low >= page + 4096 || r.low >= r.high) continue;
        bool covers = r.low <= page && r.high >= page + 4096;
        whole &= covers;
        if (!covers && (r.high <= address || r.low >= address + bytes)) continue;
        Rights rights;
        if (r.low <= address && r.high >= address + bytes) {
            if (sec & mseccfg::MML)
                rights = rights_under_mml(cfg, machine);
            else if (machine && !(cfg & 0x80))
                rights = {true, true, true};
            else
                rights = {bool(cfg & 1), bool(cfg & 2), bool(cfg & 4)};
        } // else only part matches: it fails (3.7.1)
        rights.whole_page = whole;
        return rights;
    }
    bool allowed = machine && !(sec & mseccfg::MMWP);
    return {allowed, allowed, allowed && !(sec & mseccfg::MML), whole};
}

bool mapped_ranges(const State& s, PhysicalMemory& memory, u32 max, std::vector<Mapped>& out) {
    u64 satp = s[slot_satp];
    if (satp >> 60 == 0 || s.privilege() == machine_level) return false;
    u32 levels = u32(satp >> 60) - 5; // 8: Sv39
    Ranges r{memory, max, out};
    u64 half = u64{1} << (11 + 9 * levels), root = (satp & ((u64{1} << 44) - 1)) << 12;
    // The upper half of the addresses has its top bits set.
    r.table(root, 0, levels - 1);
    for (Mapped& m : out)
        if (m.address >= half) m.address |= ~(2 * half - 1);
    return true;
}

u32 privilege_of_index(u32 index) { return indices[index].privilege; }

bool walk(const State& s, PhysicalMemory& memory, u64 address, u32 bytes, AccessType type, u32 index, bool debug,
          Mapping& out, Exception& e) {
    out = {};
    const Index& i = indices[index];
    if (i.privilege == machine_level || s[slot_satp] >> 60 == 0) {
        out.physical = address;
        out.read = out.write = out.fetch = out.global = true;
        // Physical addresses have 56 bits.
        if (address >> 56) return e = access_fault(address, type), false;
    } else {
        Walk w{s, memory, address, type, i, debug, out, e};
        if (!w.go()) return false;
    }
    if (debug) return true;
    Rights r = pmp_rights(s, out.physical, bytes, i.privilege);
    bool ok = type == AccessType::read ? r.read : type == AccessType::write ? r.write : r.fetch;
    if (!ok) return e = access_fault(address, type), false;
    out.read &= r.read, out.write &= r.write, out.fetch &= r.fetch;
    out.small = !r.whole_page;
    if (!out.global && is_shared(index) && !s[slot_private]) out.small = out.apart = true;
    return true;
}

bool is_shared(u32 index) { return indices[index].privilege == supervisor_level && !indices[index].sum; }

} // namespace mimic::isa::riscv
