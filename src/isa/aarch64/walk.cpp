// Address translation: VMSAv8-64, stages 1 and 2, granules of 4, 16 and 64 KiB. Arm ARM D8: translation process D8.2,
// descriptors D8.3, permissions D8.4, hardware management of flags D8.4.7, address tagging D8.8, faults D8.12 and ESR_ELx.
//
// Privileged accesses of a regime with two ranges have contexts without an ASID: pages of theirs that are not global are
// not kept, so that another process leaves the kernel's translations alone. Where such pages are many (kernels that isolate
// page tables), slot_private is set, and contexts have the ASID for all.
#include "isa/aarch64/privileged.hpp"
#include <algorithm>

namespace mimic::isa::aarch64 {

namespace {

// Fault status codes (ESR_ELx, DFSC and IFSC); the level is added to the first four.
enum Status : u32 {
    address_size = 0,
    translation = 4,
    access_flag = 8,
    permission = 12,
    external = 16,
    external_on_walk = 20,
    alignment = 33
};

enum Regime : u32 { regime_el10, regime_el2, regime_el3, regime_el20 };
Regime regime_of(u32 index) {
    switch (index) {
    case el2: return regime_el2;
    case el3: return regime_el3;
    case el20_user:
    case el20:
    case el20_pan: return regime_el20;
    default: return regime_el10;
    }
}
// Secure EL2 is not there.
bool is_secure(const State& s, u32 index) {
    Regime r = regime_of(index);
    return r == regime_el3 || (r == regime_el10 && s.secure());
}
bool is_user(u32 index) { return index == el10_user || index == el20_user; }
bool has_pan(u32 index) { return index == el1_pan || index == el20_pan; }

// Stage 1 as the registers say it for one address.
struct Controls {
    u64 table = 0, mair = 0;
    u32 input_bits = 0, grain = 12, output_bits = 48;
    bool two_ranges = false, off = false, tagged = false, no_hierarchy = false, sets_access = false, sets_dirty = false,
         wxn = false;
};

u32 grain_of(u64 tg0) { return tg0 == 1 ? 16 : tg0 == 2 ? 14 : 12; }
u32 grain_of_high(u64 tg1) { return tg1 == 1 ? 14 : tg1 == 3 ? 16 : 12; }
u32 output_bits_of(const State& s, u64 ps) {
    constexpr u8 bits[] = {32, 36, 40, 42, 44, 48, 48, 48};
    return std::min<u32>(bits[ps & 7], s.model().physical_bits);
}
u32 input_bits_of(u64 tsz) { return 64 - u32(std::clamp<u64>(tsz & 63, 16, 39)); }

Controls controls_of(const State& s, u32 index, u64 address, AccessType type) {
    Controls c;
    Regime r = regime_of(index);
    bool fetch = type == AccessType::fetch, dirty = s.model().has(Feature::hafdbs);
    auto bit = [](u64 v, u32 n) { return bool(v >> n & 1); };
    if (r == regime_el2 || r == regime_el3) {
        u64 tcr = s[r == regime_el2 ? slot_tcr_el2 : slot_tcr_el3];
        c.table = s[r == regime_el2 ? slot_ttbr0_el2 : slot_ttbr0_el3];
        c.mair = s[r == regime_el2 ? slot_mair_el2 : slot_mair_el3];
        c.input_bits = input_bits_of(tcr);
        c.grain = grain_of(tcr >> 14 & 3);
        c.output_bits = output_bits_of(s, tcr >> 16);
        c.tagged = bit(tcr, 20) && !(fetch && bit(tcr, 29));
        c.sets_access = dirty && bit(tcr, 21), c.sets_dirty = dirty && bit(tcr, 22);
        c.no_hierarchy = bit(tcr, 24);
        c.wxn = s.sctlr(r == regime_el2 ? 2 : 3) & sctlr::WXN;
        return c;
    }
    bool host = r == regime_el20, high = address >> 55 & 1;
    u64 tcr = s[host ? slot_tcr_el2 : slot_tcr_el1];
    c.two_ranges = true;
    c.table = high ? s[host ? slot_ttbr1_el2 : slot_ttbr1_el1] : s[host ? slot_ttbr0_el2 : slot_ttbr0_el1];
    c.mair = s[host ? slot_mair_el2 : slot_mair_el1];
    c.input_bits = input_bits_of(tcr >> (high ? 16 : 0));
    c.grain = high ? grain_of_high(tcr >> 30 & 3) : grain_of(tcr >> 14 & 3);
    c.output_bits = output_bits_of(s, tcr >> 32);
    c.off = bit(tcr, high ? 23 : 7) || (is_user(index) && s.model().has(Feature::e0pd) && bit(tcr, high ? 56 : 55));
    c.tagged = bit(tcr, high ? 38 : 37) && !(fetch && bit(tcr, high ? 52 : 51));
    c.sets_access = dirty && bit(tcr, 39), c.sets_dirty = dirty && bit(tcr, 40);
    c.no_hierarchy = bit(tcr, high ? 42 : 41);
    c.wxn = s.sctlr(host ? 2 : 1) & sctlr::WXN;
    return c;
}

// The address that a tagged one means: bit 55 in place of the top byte, or zeros where there is one range (D8.8).
u64 without_tag(u64 address, const Controls& c) {
    if (!c.tagged) return address;
    return c.two_ranges ? u64(i64(address << 8) >> 8) : address << 8 >> 8;
}

struct Rights {
    bool read = false, write = false, fetch = false;
    bool allows(AccessType t) const { return t == AccessType::read ? read : t == AccessType::write ? write : fetch; }
};

// A fault: of stage 1 or 2, at a level.
struct Fault {
    u32 status = 0;
    bool stage2 = false, on_walk = false;
    u64 intermediate = 0; // stage 2: the address that it was to translate
};

struct Walk {
    const State& s;
    PhysicalMemory& memory;
    AccessType type;
    u32 index;
    bool debug;
    Fault fault{};

    bool fail(u32 status) { return fault = {.status = status}, false; }
    bool fail2(u32 status, u64 ipa, bool on_walk) {
        return fault = {.status = status, .stage2 = true, .on_walk = on_walk, .intermediate = ipa}, false;
    }

    // ---- stage 2 (D8.2.10 on)

    bool has_stage2() const { return regime_of(index) == regime_el10 && (s.hcr() & (hcr::VM | hcr::DC)); }
    // `pa` of `ipa`, rights and the block's size; s1_walk: for a table of stage 1.
    bool stage2(u64 ipa, bool s1_walk, AccessType t, u64& pa, Rights& rights, u32& bits, bool& device) {
        pa = ipa, rights = {true, true, true}, bits = 48;
        if (!has_stage2()) return true;
        u64 tcr = s[slot_vtcr_el2];
        u32 grain = grain_of(tcr >> 14 & 3), stride = grain - 3, input = 64 - u32(std::clamp<u64>(tcr & 63, 16, 40));
        u32 output = output_bits_of(s, tcr >> 16);
        u32 sl0 = u32(tcr >> 6 & 3), level = grain == 12 ? (sl0 == 3 ? 3 : 2 - sl0) : 3 - sl0;
        if (input < 64 && ipa >> input) return fail2(translation, ipa, s1_walk);
        u64 table = s[slot_vttbr_el2] & ((u64{1} << 48) - 1) & ~u64{1};
        for (;; ++level) {
            u32 shift = grain + (3 - level) * stride;
            u64 number = level == (grain == 12 ? (sl0 == 3 ? 3 : 2 - sl0) : 3 - sl0)
                             ? ipa >> shift
                             : ipa >> shift & ((u64{1} << stride) - 1);
            u64 at = table + 8 * number, v;
            for (;;) {
                if (!memory.read(at, 8, v)) return fail2(external_on_walk + level, ipa, s1_walk);
                bool leaf = level == 3 ? (v & 3) == 3 : (v & 3) == 1;
                if (!(v & 1) || (level == 3 && !leaf) || (leaf && level < 3 && level < (grain == 12 ? 1u : 2u)))
                    return fail2(translation + level, ipa, s1_walk);
                u64 next = v & ((u64{1} << 48) - 1) & ~((u64{1} << grain) - 1);
                if (output < 48 && next >> output) return fail2(address_size + level, ipa, s1_walk);
                if (!leaf) {
                    table = next;
                    break;
                }
                u64 inside = (u64{1} << shift) - 1;
                pa = (next & ~inside) | (ipa & inside), bits = shift;
                bool dirty = s.model().has(Feature::hafdbs);
                bool af = v >> 10 & 1, ha = dirty && (tcr >> 21 & 1), clean = dirty && (tcr >> 22 & 1) && (v >> 51 & 1);
                if (!af && !ha && !debug) return fail2(access_flag + level, ipa, s1_walk);
                u32 xn = u32(v >> 53 & 3);
                bool user = is_user(index);
                rights = {bool(v >> 6 & 1), bool(v >> 7 & 1), xn == 0 || (xn == 1 && user) || (xn == 3 && !user)};
                device = (v >> 4 & 3) == 0;
                if (debug) return true;
                bool makes_dirty = t == AccessType::write && !rights.write && clean;
                if (s1_walk ? !rights.read || (device && (s.hcr() & hcr::PTW)) : !rights.allows(t) && !makes_dirty)
                    return fail2(permission + level, ipa, s1_walk);
                u64 set = v | u64{1} << 10 | (makes_dirty ? u64{1} << 7 : 0), old;
                if (makes_dirty) rights.write = true;
                if (set == v) return true;
                if (!memory.compare_and_swap(at, 8, v, set, old)) return fail2(external_on_walk + level, ipa, s1_walk);
                if (old == v) return true;
            }
        }
    }
    bool read_table(u64 at, u32 level, bool secure, u64& v, u64& physical) {
        Rights r;
        u32 bits;
        bool device = false;
        if (!stage2(at, true, AccessType::read, physical, r, bits, device)) return false;
        return memory.read(physical, 8, v, secure) || fail(external_on_walk + level);
    }

    // ---- stage 1

    // Attributes that tables hand down.
    struct Inherited {
        bool read_only = false, no_user = false, uxn = false, pxn = false;
        bool secure = false; // tables and pages may be
    };
    Rights rights_of(const Controls& c, u64 v, const Inherited& in) const {
        bool read_only = (v >> 7 & 1) || in.read_only, uxn = (v >> 54 & 1) || in.uxn;
        if (!c.two_ranges) return {true, !read_only, !uxn && !(c.wxn && !read_only)};
        bool user_page = (v >> 6 & 1) && !in.no_user, pxn = (v >> 53 & 1) || in.pxn;
        Rights user{user_page, user_page && !read_only, !uxn};
        Rights privileged{true, !read_only, !pxn && !user.write};
        if (c.wxn) user.fetch &= !user.write, privileged.fetch &= !privileged.write;
        if (has_pan(index) && user_page) privileged.read = privileged.write = false;
        return is_user(index) ? user : privileged;
    }
    bool leaf(const Controls& c, u64 at, u64 v, u32 level, const Inherited& in, Mapping& out, u64& attributes,
              bool& retry) {
        u32 shift = c.grain + (3 - level) * (c.grain - 3);
        bool access = v >> 10 & 1;
        if (!access && !c.sets_access && !debug) return fail(access_flag + level);
        // Writable but clean: DBM in place of AP[2].
        bool clean = c.sets_dirty && (v >> 51 & 1) && (v >> 7 & 1);
        u64 as_dirty = clean ? v & ~(u64{1} << 7) : v;
        bool makes_dirty = clean && type == AccessType::write;
        Rights now = rights_of(c, makes_dirty ? as_dirty : v, in);
        // What may be written once it is dirty must not be executed under WXN, and so on: judged as writable.
        now.fetch = rights_of(c, as_dirty, in).fetch;
        out.secure = in.secure && !(v >> 5 & 1);
        if (is_secure(s, index) && !out.secure && (s.scr() & scr::SIF)) now.fetch = false;
        if (!debug && !now.allows(type)) return fail(permission + level);
        u64 set = (makes_dirty ? as_dirty : v) | u64{1} << 10;
        if (set != v && !debug) {
            u64 old;
            if (!memory.compare_and_swap(at, 8, v, set, old, in.secure)) return fail(external_on_walk + level);
            if (old != v) return retry = true, true;
        }
        u64 inside = (u64{1} << shift) - 1, base = v & ((u64{1} << 48) - 1) & ~((u64{1} << c.grain) - 1);
        out.physical = (base & ~inside) | (out.physical & inside);
        out.bits = u8(shift);
        out.read = now.read, out.write = now.write, out.fetch = now.fetch;
        attributes = c.mair >> (8 * (v >> 2 & 7)) & 0xff;
        out.device = attributes < 0x10;  // Device-*: 0b0000dd00
        attributes |= (v >> 8 & 3) << 8; // shareability
        // What a table that is not secure leads to is of one address space (D8.3.2, NSTable).
        out.global = c.two_ranges ? !(v >> 11 & 1) && in.secure == is_secure(s, index) : true;
        return true;
    }
    // out.physical is the address to translate at first.
    bool stage1(const Controls& c, Mapping& out, u64& attributes) {
        u64 address = out.physical;
        u32 stride = c.grain - 3, level = 4 - (c.input_bits - c.grain + stride - 1) / stride;
        u64 unused = address >> c.input_bits, all = (u64{1} << (64 - c.input_bits)) - 1;
        if (c.off || (unused != 0 && !(c.two_ranges && unused == all))) return fail(translation);
        if (c.two_ranges && (address >> 55 & 1) != (unused & 1)) return fail(translation);
        u64 inputs = address & ((u64{1} << c.input_bits) - 1);
        u64 table = c.table & ((u64{1} << 48) - 2);
        u32 first_bits = c.input_bits - (c.grain + (3 - level) * stride);
        table &= ~((u64{1} << std::max(first_bits + 3, 4u)) - 1);
        if (c.output_bits < 48 && table >> c.output_bits) return fail(address_size);
        Inherited in;
        in.secure = is_secure(s, index);
        for (;; ++level) {
            u32 shift = c.grain + (3 - level) * stride;
            u64 at = table + 8 * (inputs >> shift), v, physical;
            inputs &= (u64{1} << shift) - 1;
            for (bool retry = true; retry;) {
                retry = false;
                if (!read_table(at, level, in.secure, v, physical)) return false;
                bool is_leaf = level == 3 ? (v & 3) == 3 : (v & 3) == 1;
                if (!(v & 1) || (level == 3 && !is_leaf) || (is_leaf && level < (c.grain == 12 ? 1u : 2u)))
                    return fail(translation + level);
                u64 base = v & ((u64{1} << 48) - 1) & ~((u64{1} << c.grain) - 1);
                if (c.output_bits < 48 && base >> c.output_bits) return fail(address_size + level);
                if (is_leaf) {
                    if (!leaf(c, physical, v, level, in, out, attributes, retry)) return false;
                    if (!retry) return true;
                    continue;
                }
                table = base;
                in.secure &= !(v >> 63);
                if (!c.no_hierarchy) {
                    in.read_only |= v >> 62 & 1, in.no_user |= v >> 61 & 1;
                    in.uxn |= v >> 60 & 1, in.pxn |= v >> 59 & 1;
                }
            }
        }
    }
};

bool translation_off(const State& s, u32 index) {
    switch (regime_of(index)) {
    case regime_el10: return !(s.sctlr(1) & sctlr::M) || (s.hcr() & (hcr::TGE | hcr::DC));
    case regime_el3: return !(s.sctlr(3) & sctlr::M);
    default: return !(s.sctlr(2) & sctlr::M);
    }
}

Exception exception_of(const Fault& f, u64 address, AccessType type) {
    bool fetch = type == AccessType::fetch;
    u64 iss = f.status | (!fetch && type == AccessType::write ? 1u << 6 : 0) | (f.on_walk ? 1u << 7 : 0);
    Exception e{syndrome(fetch ? ec::fetch_abort : ec::data_abort, iss) | cause::has_far, address};
    if (f.stage2) e.cause |= cause::to_el2 | cause::has_hpfar, e.value2 = f.intermediate >> 12 << 4;
    if (f.status >= external && f.status < alignment) e.cause |= cause::external;
    return e;
}

// Stage 1 of an access, or the address itself where there is none. `tag`: the address of a fetch has one.
bool first_stage(Walk& w, u64 address, Mapping& out, u64& attributes, bool& tag) {
    const State& s = w.s;
    Controls c = controls_of(s, w.index, address, w.type);
    u64 bare = without_tag(address, c);
    tag = w.type == AccessType::fetch && bare != address;
    out.physical = bare;
    if (!translation_off(s, w.index)) {
        if (!w.stage1(c, out, attributes)) return false;
        if (!out.global && c.two_ranges && !is_user(w.index) && !s[slot_private]) out.small = out.apart = true;
        if (bare != address) out.small = true; // caches know pages by their own address alone
        return true;
    }
    bool cacheable = regime_of(w.index) == regime_el10 && (s.hcr() & hcr::DC);
    if (bare >> s.model().physical_bits) return w.fail(address_size);
    out.bits = 48;
    out.read = out.write = out.fetch = out.global = true;
    out.secure = is_secure(s, w.index);
    attributes = cacheable ? 0xff : 2 << 8;
    out.small = bare != address;
    return true;
}

} // namespace

bool walk_stage1(const State& s, PhysicalMemory& memory, u64 address, AccessType type, u32 index, Mapping& out,
                 u64& attributes, Exception& e) {
    Walk w{s, memory, type, index, false};
    bool tag;
    out = {};
    if (first_stage(w, address, out, attributes, tag)) return true;
    return e = exception_of(w.fault, address, type), false;
}

bool walk(const State& s, PhysicalMemory& memory, u64 address, u32 bytes, AccessType type, u32 index, bool debug,
          Mapping& out, Exception& e) {
    out = {};
    if (type == AccessType::fetch && (address & 3))
        return e = {syndrome(ec::pc_alignment) | cause::has_far, address}, false;
    Walk w{s, memory, type, index, debug};
    u64 attributes = 0;
    bool tag;
    if (!first_stage(w, address, out, attributes, tag)) return e = exception_of(w.fault, address, type), false;
    if (tag && !debug) {
        u64 bare = without_tag(address, controls_of(s, index, address, type));
        return e = {cause::strip_pc, bare}, false;
    }
    if (w.has_stage2()) {
        Rights r;
        u32 bits;
        bool device = false;
        u64 ipa = out.physical, pa;
        if (!w.stage2(ipa, false, type, pa, r, bits, device)) return e = exception_of(w.fault, address, type), false;
        out.physical = pa;
        out.bits = u8(std::min<u32>(out.bits, bits));
        out.read &= r.read, out.write &= r.write, out.fetch &= r.fetch;
        out.device |= device;
    }
    // Device memory takes no unaligned access (B2.7.2); so that each is looked at, none of it is kept.
    if (out.device && type != AccessType::fetch) {
        if ((bytes & (bytes - 1)) == 0 && (address & (bytes - 1)) && !debug) {
            w.fail(alignment);
            return e = exception_of(w.fault, address, type), false;
        }
        out.small = true;
    }
    return true;
}

u64 context_of_asid(const State& s, u32 index, u64 asid) {
    Regime r = regime_of(index);
    u64 c = u64(r) << 32 | u64(translation_off(s, index)) << 34;
    if (r == regime_el2 || r == regime_el3) return c;
    if (is_user(index) || s[slot_private]) c |= asid | u64{1} << 38;
    if (r == regime_el20) return c;
    u64 h = s.hcr();
    c |= u64(s.secure()) << 36 | u64(bool(h & hcr::VM)) << 35 | u64(bool(h & hcr::DC)) << 37;
    if (h & hcr::VM) c |= (s[slot_vttbr_el2] >> 48) << 16;
    return c;
}

u64 context_of(const State& s, u32 index) {
    u64 asid = 0;
    Regime r = regime_of(index);
    if (r == regime_el10 || r == regime_el20) {
        bool host = r == regime_el20;
        u64 tcr = s[host ? slot_tcr_el2 : slot_tcr_el1];
        bool high = tcr >> 22 & 1;
        asid = s[host ? (high ? slot_ttbr1_el2 : slot_ttbr0_el2) : (high ? slot_ttbr1_el1 : slot_ttbr0_el1)] >> 48;
        if (!(tcr >> 36 & 1)) asid &= 0xff;
    }
    return context_of_asid(s, index, asid);
}

} // namespace mimic::isa::aarch64
