// What random A64 instructions need to be interesting: edge values in every lane, addresses at the edges of the window,
// an exclusive load before an exclusive store, comparisons that succeed.
#include "soak/soak.hpp"
#include "soak/values.hpp"
#include <charconv>
#include <cstring>
#include <fmt/core.h>

namespace mimic::test::soak {

namespace {

constexpr u32 first_v = 32, nzcv = 64, fpcr = 65, fpsr = 66, tpidr = 67;
constexpr u64 fpcr_bits = 0x07c80000; // AHP, DN, FZ, RMode, FZ16

// Lane width by the text: 8, 16, 32 or 64.
u32 lane_bits(std::string_view text, Random& random) {
    if (random() % 8 == 0) return 8u << random() % 4;
    for (std::size_t k = text.find(' '); k + 1 < text.size(); ++k) {
        bool starts = text[k] == ' ' || text[k] == '.' || text[k] == '{' ||
                      (text[k] >= '0' && text[k] <= '9' && k > 1 && text[k - 1] == '.') ||
                      (text[k] == '6' && text[k - 1] == '1');
        if (!starts) continue;
        switch (text[k + 1]) {
        case 'd': return 64;
        case 's': return 32;
        case 'h': return 16;
        case 'b': return 8;
        default: break;
        }
    }
    return 64;
}
std::array<u8, 16> vector(Random& random, u32 bits) {
    std::array<u8, 16> out;
    bool integers = random() % 3 == 0;
    for (u32 at = 0; at < 16; at += bits / 8) {
        u64 v = integers || bits == 8 ? edge_integer(random)
                : bits == 64          ? edge_fp(random, 52, 11)
                : bits == 32          ? edge_fp(random, 23, 8)
                                      : edge_fp(random, 10, 5);
        std::memcpy(&out[at], &v, bits / 8);
    }
    return out;
}

u64 window_address(Random& random) {
    u64 within = random() % 33; // the widest access has 64 bytes, most 32
    switch (random() % 8) {
    case 0: return WINDOW + within;
    case 1: return WINDOW + 2 * WINDOW_PAGE - AREA_BYTES + random() % (AREA_BYTES + 8);
    case 2: return WINDOW + WINDOW_PAGE - 8 + random() % 16;
    case 3: return WINDOW - 8 + random() % 16;
    // Tagged addresses are another matter; below 2^47 is what else the reference has mapped.
    case 4: return random() >> 16 | u64{1} << 47;
    default: return (random() % 2 ? WINDOW + within : WINDOW + WINDOW_PAGE - AREA_BYTES + within) & ~u64{15};
    }
}

// Somewhere with nothing, or among the breakpoints.
u64 jump_target(Random& random) {
    if (random() % 4 == 0) return 0x60000000 + random() % 0x4000000 * 4;
    return random() % 2 ? CODE_START - 4 - random() % 500 * 4 : CODE_START + 24 + random() % 500 * 4;
}

u32 word_of(const Case& c) {
    u32 w;
    std::memcpy(&w, c.code.data(), 4);
    return w;
}
u64 memory_at(const Case& c, u64 address) {
    u64 v = 0, at = address - WINDOW;
    if (at > AREA_BYTES - 8) return 0;
    std::memcpy(&v, &c.memory[at], 8);
    return v;
}

// Points the base of "[xN, ...]" at the window.
void aim(const isa::Guest& guest, Case& c, Random& random) {
    std::string_view text = c.text;
    auto open = text.find("[x") != text.npos ? text.find("[x") : text.find("[sp"), close = text.find(']', open);
    std::string_view inside = text.substr(open + 1, close - open - 1), base_name = inside.substr(0, inside.find(','));
    u32 base = guest.find_register(base_name);
    u64 target = window_address(random);
    bool exclusive = (word_of(c) >> 24 & 0x3f) == 8,
         atomic = (word_of(c) >> 21 & 0x1f9) == 0x1c1 && (word_of(c) >> 10 & 3) == 0;
    if (exclusive || atomic) target &= ~u64{15}; // the reference ends itself at some misaligned atomics
    if (text.find('{') != text.npos && random() % 4)
        target &= ~u64{63}; // four registers fill an area
    else if (text.find('{') != text.npos)
        target = WINDOW + WINDOW_PAGE - AREA_BYTES;
    i64 offset = 0;
    if (auto hash = inside.find('#'); hash != inside.npos)
        std::from_chars(inside.data() + hash + 1, inside.data() + inside.size(), offset);
    if (auto comma = inside.find(", "); comma != inside.npos && inside[comma + 2] != '#') { // an index
        std::string_view name = inside.substr(comma + 2);
        u32 index = guest.find_register(name.substr(0, name.find(',')));
        i64 value = i64(random() % 0x10000);
        if (inside.find("sxtw") != inside.npos && random() % 2) value = -value;
        bool word = name.starts_with("w"), zero_register = index == isa::Guest::no_register;
        if (!zero_register && index != base) c.in.set(index, word ? u32(value) : u64(value));
        offset = zero_register ? 0 : value << offset;
    }
    c.in.set(base, target - u64(offset));
    if (!exclusive) return;
    u32 w = word_of(c), rs = w >> 16 & 31;
    bool swap = (w & 0x00a07c00) == 0x00a07c00, pair = (w & 0x80a07c00) == 0x00207c00;
    if ((swap || pair) && random() % 2 && rs != 31 && rs != base) { // so that it succeeds
        c.in.set(rs, memory_at(c, target));
        if (pair && w >> 30 & 1 && rs + 1 != base && rs + 1 < 31) c.in.set(rs + 1, memory_at(c, target + 8));
    }
    bool store = !(w >> 22 & 1) && !(w >> 23 & 1);
    if (store && !pair && random() % 8) { // a reservation
        u32 load = ((w & 0xffe08000) | 1u << 22 | 31u << 16 | (w & 0x7c00) | (w & 0x3e0)) & ~u32{0x8000};
        load |= 31;
        if (w >> 21 & 1) load = (load & ~u32{0x7c00}) | 30u << 10; // the second of a pair: another register
        if (w >> 21 & 1 && base == 30) return;
        std::vector<u8> bytes(4);
        std::memcpy(bytes.data(), &load, 4);
        u32 length;
        std::string first = guest.disassemble(bytes, CODE_START, 0, length);
        if (first.starts_with(".byte")) return;
        c.code.insert(c.code.begin(), bytes.begin(), bytes.end());
        c.text = first + "; " + c.text;
    }
}

// Pointer authentication, without knowing the keys: what signs is followed by what strips, what authenticates comes after
// what signs the same.
bool is_pointer_code(std::string_view text) {
    for (std::string_view begins : {"pac", "aut", "xpac", "bra", "blra", "reta", "ldra"})
        if (text.starts_with(begins)) return true;
    return false;
}
u64 signable(Random& random) {
    u64 p = random() >> 16;
    if (random() % 4 == 0) return p | u64{0xffff} << 48;
    return random() % 2 ? p : p | random() << 56;
}
bool make_signed(const isa::Guest& guest, Case& c, Random& random) {
    u32 w = word_of(c), d = w & 31, n = w >> 5 & 31;
    std::string before, after, text = c.text;
    auto starts = [&](std::string_view s) { return text.starts_with(s); };
    bool hint = w >> 24 == 0xd5, x17 = text.ends_with("1716");
    if (starts("pacga")) return false;
    if (starts("bra") || starts("blra")) {
        char key = text[starts("bra") ? 3 : 4];
        bool zero = w >> 24 == 0xd6;
        if (n == 31 || (!zero && n == d)) return false;
        std::string operands = text.substr(text.find(' '));
        before = zero ? fmt::format("paciz{}{}", key, operands) : fmt::format("paci{}{}", key, operands);
        c.in.set(n, jump_target(random));
    } else if (starts("reta")) {
        before = fmt::format("paci{}sp", text[4]);
        c.in.set(30, jump_target(random));
    } else if (starts("ldra")) {
        if (n == 31) return false;
        aim(guest, c, random);
        before = fmt::format("pacdz{} x{}", text[4], n);
    } else {
        u32 pointer = !hint ? d : x17 ? 17 : 30;
        bool zero = !hint && text.find(',') == text.npos;
        if (pointer == 31 || (!hint && !zero && d == n)) return false;
        c.in.set(pointer, signable(random));
        if (starts("aut")) before = "pac" + text.substr(3);
        if (starts("pac")) after = !hint || x17 ? fmt::format("xpaci x{}", pointer) : "xpaclri";
    }
    auto add = [&](const std::string& line, bool in_front) {
        if (line.empty()) return true;
        auto bytes = guest.assemble(line, CODE_START, 0);
        if (!bytes) return false;
        c.code.insert(in_front ? c.code.begin() : c.code.end(), bytes->begin(), bytes->end());
        c.text = in_front ? line + "; " + c.text : c.text + "; " + line;
        return true;
    };
    return add(before, true) && add(after, false);
}

// A copy or set is its three parts in a row: what stands between them is the implementation's. Small ones most of the
// time; a forward copy does not go up within itself.
bool is_move(std::string_view text) {
    return text.starts_with("cpy") || text.starts_with("setp") || text.starts_with("setm") || text.starts_with("sete");
}
bool make_move(const isa::Guest& guest, Case& c, Random& random) {
    u32 w = word_of(c), length, d = w & 31, n = w >> 5 & 31, s = w >> 16 & 31;
    bool sets = c.text.starts_with("set"), forward = c.text.starts_with("cpyf");
    u32 part = sets ? 14 : 22;
    c.code.clear();
    c.text.clear();
    for (u32 k = 0; k < 3; ++k) {
        u32 now = (w & ~(3u << part)) | k << part;
        std::vector<u8> bytes(4);
        std::memcpy(bytes.data(), &now, 4);
        c.code.insert(c.code.end(), bytes.begin(), bytes.end());
        c.text += (k ? "; " : "") + guest.disassemble(bytes, CODE_START, 0, length);
    }
    u64 count = random() % 8 ? random() % 70 : random() >> random() % 64;
    auto area = [&] { return (random() % 2 ? WINDOW : WINDOW + WINDOW_PAGE - AREA_BYTES) + random() % 16; };
    u64 to = random() % 6 ? area() : window_address(random), from = random() % 6 ? area() : window_address(random);
    if (from == to || (forward && from < to && to - from < count)) return false;
    // What lies between the areas is whatever an earlier case has left there.
    bool between = from < WINDOW + WINDOW_PAGE - AREA_BYTES && from + count > WINDOW + AREA_BYTES;
    if (!sets && from >= WINDOW && between && count < 2 * WINDOW_PAGE) return false;
    c.in.set(d, to);
    c.in.set(n, count);
    if (!sets) c.in.set(s, from);
    return true;
}

// MRS or MSR of a register that user mode has: most random numbers name nothing; the others tell what the machine is.
u32 name_register(u32 w, Random& random) {
    static constexpr u32 known[] = {0xd53b4200, 0xd53b4400, 0xd53b4420, 0xd53bd040, 0xd53b00e0};
    const bool reads = w >> 21 & 1;
    w = known[random() % (reads ? 5 : 4)] | (w & 31);
    return reads ? w : w & ~(1u << 21);
}

bool prepare(const isa::Guest& guest, Case& c, Random& random) {
    u32 length;
    c.text = guest.disassemble(c.code, CODE_START, 0, length);
    auto is = [&](std::string_view s) { return c.text.starts_with(s); };
    u32 w = word_of(c);
    if (is("svc")) return false;                                    // would call
    if ((w & 0x3b000000) == 0x18000000) return false;               // code is no data here: no literals
    if (is("hint") && w >> 5 & 0x7c && random() % 16) return false; // few of the many that do nothing
    if (is("mrs") || is("msr")) {
        w = name_register(w, random);
        std::memcpy(c.code.data(), &w, 4);
        c.text = guest.disassemble(c.code, CODE_START, 0, length);
    }
    if (auto at = c.text.rfind("0x5"); at != c.text.npos || (at = c.text.rfind("0x4")) != c.text.npos) {
        u64 target = 0;
        std::from_chars(c.text.data() + at + 2, c.text.data() + c.text.size(), target, 16);
        if (target >= STUB - 16 && target < STUB + 4096) return false;
    }
    for (u32 n = 0; n < first_v; ++n) c.in.set(n, edge_integer(random));
    u32 bits = lane_bits(c.text, random);
    for (u32 n = first_v; n < nzcv; ++n) c.in.value[n] = vector(random, bits);
    c.in.set(nzcv, (random() & 15) << 28);
    c.in.set(fpcr, random() % 2 ? 0 : (random() & fpcr_bits));
    c.in.set(fpsr, random() % 2 ? 0 : (random() & 0x0800009f));
    c.in.set(tpidr, random());
    if (is("msr")) {
        u64 v = random() & 0xf7c8009f; // bits that every such register has, or ignores
        if (w >> 5 & 1) v &= 0x0800009f;
        if ((w & 0xffffffe0) == 0xd51b4400) v &= fpcr_bits;
        if ((w & 31) != 31) c.in.set(w & 31, v);
    }
    if (is_pointer_code(c.text)) return make_signed(guest, c, random);
    if (is_move(c.text))
        return make_move(guest, c, random);
    else if (c.text.find("[x") != c.text.npos || c.text.find("[sp") != c.text.npos)
        aim(guest, c, random);
    else if (is("br ") || is("blr ") || is("br\t") || is("ret") || is("br") || is("blr"))
        c.in.set(w >> 5 & 31, jump_target(random));
    else if (is("sys"))
        c.in.set(w & 31, window_address(random));
    return true;
}

// A third of blocks flushes; what else FPCR says is as likely as not to be said.
BlockStart begin_block(const isa::Guest&, Random& random) {
    constexpr u64 flush = 1 << 24;
    u64 v = random() & fpcr_bits & ~flush;
    if (random() % 2) v &= 3 << 22; // rounding alone
    if (random() % 3 == 0) v |= flush;
    return {.registers = {{fpcr, v}}};
}
void shape(const isa::Guest& guest, u32 row, u64, std::vector<u8>& code, Random& random) {
    std::string_view syntax = guest.row(row).syntax;
    if (!syntax.starts_with("mrs ") && !syntax.starts_with("msr ")) return;
    u32 w;
    std::memcpy(&w, code.data(), 4);
    w = name_register(w, random);
    std::memcpy(code.data(), &w, 4);
}

bool both_fault(const Case&, const Answer& ours, const Answer& reference) {
    return ours.stop == "fault" && reference.stop == "fault" && ours.pc == reference.pc;
}
bool unknown_there(const Case&, const Answer&, const Answer& reference) { return reference.stop == "illegal"; }

bool both_fault_anywhere(const Case&, const Answer& ours, const Answer& reference) {
    return ours.stop == "fault" && reference.stop == "fault";
}

// All the same but for the code in general registers.
bool other_code(const Case& c, const Answer& ours, const Answer& reference) {
    constexpr u64 code = u64{0x7f} << 48;
    bool same = ours.pc == reference.pc && ours.memory == reference.memory;
    for (u32 n = 0; n < c.in.value.size(); ++n)
        same &= n < 31 ? ((ours.out.low(n) ^ reference.out.low(n)) & ~code) == 0
                       : ours.out.value[n] == reference.out.value[n];
    return same;
}

constexpr Exception exceptions[] = {
    {"bra", "a signed pointer stays in its register, and each machine has keys of its own", other_code},
    {"blra", "a signed pointer stays in its register, and each machine has keys of its own", other_code},
    {"reta", "a signed pointer stays in its register, and each machine has keys of its own", other_code},
    {"ldra", "a signed pointer stays in its register, and each machine has keys of its own", other_code},
    {"cpy", "where in a copy it faults, and what is moved by then, is the implementation's (C6.2, CPYP)",
     both_fault_anywhere},
    {"set", "where in a set it faults, and what is written by then, is the implementation's (C6.2, SETP)",
     both_fault_anywhere},
    {"stilp", "LRCPC3 is unknown to the reference", unknown_there},
    {"ldiapp", "LRCPC3 is unknown to the reference", unknown_there},
    {"stlr ", "LRCPC3 is unknown to the reference", unknown_there},
    {"ldapr ", "LRCPC3 is unknown to the reference", unknown_there},
    {"stlur ", "LRCPC3 is unknown to the reference", unknown_there},
    {"ldapur ", "LRCPC3 is unknown to the reference", unknown_there},
    {"stl1 ", "LRCPC3 is unknown to the reference", unknown_there},
    {"ldap1 ", "LRCPC3 is unknown to the reference", unknown_there},
    {"st", "a store that faults may have written some of its bytes (B2.2)", both_fault},
    {"ld", "of a pair whose second load faults, the reference has written the first register", both_fault},
    {"smax", "CSSC is unknown to the reference", unknown_there},
    {"umax", "CSSC is unknown to the reference", unknown_there},
    {"smin", "CSSC is unknown to the reference", unknown_there},
    {"umin", "CSSC is unknown to the reference", unknown_there},
    {"ctz", "CSSC is unknown to the reference", unknown_there},
    {"cnt", "CSSC is unknown to the reference", unknown_there},
    {"abs", "CSSC is unknown to the reference", unknown_there},
    {"sys ", "operations on memory tags (MTE) are there",
     [](const Case&, const Answer& ours, const Answer& reference) {
         return ours.stop == "illegal" && (reference.stop.empty() || reference.stop == "fault");
     }},
    {"sys ", "of a cache operation by address, the reference tells the beginning of the line", both_fault},
    {"sys ", "a cache operation by address does nothing there; it may fault as a load (C5.3, DC CVAC)",
     [](const Case&, const Answer& ours, const Answer& reference) {
         return ours.stop == "fault" && reference.stop.empty();
     }},
    {"mrs", "DCZID_EL0 and the ID registers tell another model",
     [](const Case& c, const Answer&, const Answer&) {
         return c.text.find("_el1") != c.text.npos || c.text.find("dczid") != c.text.npos;
     }},
};

} // namespace

extern const SoakGuest soak_aarch64;
constinit const SoakGuest soak_aarch64{"aarch64",   "max", "max,sve=off,sme=off", prepare, exceptions,
                                       begin_block, shape};

} // namespace mimic::test::soak
