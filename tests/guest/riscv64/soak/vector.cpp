#include "vector.hpp"
#include "soak/values.hpp"
#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

namespace mimic::test::soak::riscv {

namespace {

constexpr u32 vlen_bytes = 16, register_f = 31;
constexpr u32 rd_at = 7, rs1_at = 15, rs2_at = 20;

u32 word_of(const std::vector<u8>& code) {
    u32 w = 0;
    for (u32 k = 0; k < 4; ++k) w |= u32(code[k]) << 8 * k;
    return w;
}
void put_word(std::vector<u8>& code, u32 w) {
    for (u32 k = 0; k < 4; ++k) code[k] = u8(w >> 8 * k);
}
u32 field(u32 w, u32 at) { return w >> at & 31; }

bool has(std::string_view s, std::string_view part) { return s.find(part) != s.npos; }
std::string_view mnemonic_of(std::string_view syntax) { return syntax.substr(0, syntax.find(' ')); }

// ---- groups

// Registers as log2 of those that a group has: of vd, vs1, vs2; each field of a segment has vd's.
struct Groups {
    i32 d = 0, s1 = 0, s2 = 0;
    u32 fields = 1;
    bool fit() const {
        auto within = [](i32 log) { return log >= -3 && log <= 3; };
        return within(d) && within(s1) && within(s2) && fields << std::max(d, 0) <= 8;
    }
};

bool is_fp(std::string_view m) { return (m.starts_with("vf") && m != "vfirst.m") || m.starts_with("vmf"); }
bool is_indexed(std::string_view m) { return has(m, "xei") || has(m, "xseg"); }
bool is_memory(std::string_view m) {
    return m.starts_with("vl") || (m.starts_with("vs") && has(m, "{")) || m == "vsm.v";
}

// 31.7: EMUL = EEW / SEW * LMUL; of indexed accesses the width is that of the indices.
Groups memory_groups(std::string_view m, u32 w, const VectorConfig& c) {
    u32 nf = (w >> 29) + 1;
    i32 of_width = i32(w >> 12 & 3) - c.sew + c.lmul;
    if (has(m, "m.v")) return {};
    if (has(m, "{nfr}")) return {.d = i32(std::bit_width(nf)) - 1};
    if (is_indexed(m)) return {.d = c.lmul, .s2 = of_width, .fields = nf};
    return {.d = of_width, .fields = nf};
}

// (With a group of 16: there are no elements so wide.)
Groups groups_of(std::string_view m, u32 w, const VectorConfig& c) {
    if (is_memory(m)) return memory_groups(m, w, c);
    constexpr Groups none{.d = 4};
    i32 l = c.lmul;
    bool widens = m.starts_with("vw") || m.starts_with("vfw");
    if ((widens || has(m, ".w")) && c.sew == 3) return none;
    if (has(m, "red")) return {.s2 = l};
    if (has(m, ".mm") || m.starts_with("vcpop") || m.starts_with("vfirst") || has(m, ".s.") || m.ends_with(".s"))
        return {};
    if (m == "viota.m") return {.d = l};
    if (m == "vcompress.vm") return {.d = l, .s2 = l};
    if (m.starts_with("vms") && m.ends_with(".m")) return {};
    if (m.starts_with("vms") || m.starts_with("vmf") || m.starts_with("vmadc")) return {.s1 = l, .s2 = l};
    if (m.starts_with("vmv") && m.ends_with("r.v")) {
        i32 log = std::countr_zero(u32(m[3] - '0'));
        return {.d = log, .s2 = log};
    }
    if (m.starts_with("vzext.vf") || m.starts_with("vsext.vf")) {
        i32 by = std::countr_zero(u32(m.back() - '0'));
        return c.sew < by ? none : Groups{.d = l, .s2 = l - by};
    }
    if (m == "vrgatherei16.vv") return {.d = l, .s1 = l + 1 - c.sew, .s2 = l};
    return {.d = l + widens, .s1 = l, .s2 = l + has(m, ".w")};
}

// The register in that field of the word becomes one where the group may begin; under a mask not v0's group.
u32 align(u32 w, u32 at, i32 log, bool masked) {
    u32 size = 1u << std::clamp(log, 0, 3), reg = field(w, at) & ~(size - 1);
    if (masked && reg == 0) reg = 8;
    return (w & ~(31u << at)) | reg << at;
}

// vtype's parts; one that is no configuration (31.3.4) sets vill.
void set_vtype(VectorConfig& c, u64 vtype) {
    c.vtype = vtype;
    c.sew = i32(vtype >> 3 & 7), c.lmul = i32(vtype & 7);
    bool reserved = c.lmul == 4 || c.sew > 3;
    if (c.lmul >= 4) c.lmul -= 8;
    c.valid = vtype < 256 && !reserved && c.sew - std::min(c.lmul, 0) <= 3;
    u64 elements = vlen_bytes >> c.sew;
    c.vlmax = c.lmul < 0 ? elements >> -c.lmul : elements << c.lmul;
    if (!c.valid) c.vtype = u64{1} << 63, c.vlmax = 0;
}

VectorConfig random_config(Random& random, bool fp, bool other_width) {
    static constexpr i32 lmuls[] = {0, 0, 0, 1, 1, 2, 3, -1, -2, -3};
    VectorConfig c;
    do {
        u64 lmul = u64(lmuls[random() % std::size(lmuls)]) & 7, sew = random() % 4;
        if (fp && random() % 16) sew = other_width ? 2 : 2 + random() % 2;
        set_vtype(c, lmul | sew << 3 | random() % 4 << 6);
    } while (!c.valid && random() % 32);
    if (random() % 64 == 0) set_vtype(c, u64{1} << 63);
    if (!c.valid) return c;
    switch (random() % 8) {
    case 0: c.vl = random() % 8 ? random() % (c.vlmax + 1) : 0; break;
    case 1: c.vl = std::min<u64>(1 + random() % 3, c.vlmax); break;
    case 2: c.vl = c.vlmax - 1; break;
    case 3: c.vl = random() % (c.vlmax + 1); break;
    default: c.vl = c.vlmax;
    }
    if (random() % 8 == 0) c.vstart = random() % std::min<u64>(c.vlmax, 8);
    return c;
}

// Operands that fit the configuration, now and then any.
void shape(std::string_view syntax, const VectorConfig& config, std::vector<u8>& code, Random& random) {
    std::string_view m = mnemonic_of(syntax);
    u32 w = word_of(code);
    // Never from address 0: the reference's program is at 0x10000.
    if (is_memory(m) && field(w, rs1_at) == 0) put_word(code, w |= 10u << rs1_at);
    if (random() % 32 == 0) return;
    Groups g = groups_of(m, w, config);
    bool masked = !(w >> 25 & 1) && random() % 16;
    auto align_at = [&](std::string_view name, u32 at, i32 log) {
        if (has(syntax, name)) w = align(w, at, log, masked);
    };
    if (g.fields > 1)
        w = (w & ~(31u << rd_at)) | std::min(field(w, rd_at), 32 - (g.fields << std::clamp(g.d, 0, 3))) << rd_at;
    align_at("{vd}", rd_at, g.d);
    align_at("{vs3}", rd_at, g.d);
    align_at("{vs1}", rs1_at, g.s1);
    align_at("{vs2}", rs2_at, g.s2);
    put_word(code, w);
}
// The immediate of vsetvli and vsetivli.
void shape_vset(std::string_view m, u64 vtype, std::vector<u8>& code, Random& random) {
    u32 mask = m == "vsetvl" ? 0 : m == "vsetvli" ? 0x7ff : 0x3ff;
    if (random() % 8) put_word(code, (word_of(code) & ~(mask << 20)) | (u32(vtype) & mask) << 20);
}

// vsetvli zero, zero, vtype: vl stays.
std::vector<u8> vsetvli_of(u64 vtype) {
    std::vector<u8> code(4);
    put_word(code, 0x7057 | u32(vtype & 0x7ff) << 20);
    return code;
}

// ---- elements

enum class Fill { integer, fp, small, bits };

u64 element(Fill fill, i32 log, u64 limit, Random& random) {
    u32 bits = 8u << log;
    u64 mask = ~u64{0} >> (64 - bits), r = random();
    switch (fill) {
    case Fill::small: return r % limit & mask;
    case Fill::bits: return r & mask;
    case Fill::fp:
        if (log == 3) return edge_fp(random, 52, 11);
        if (log == 2) return edge_fp(random, 23, 8);
        [[fallthrough]];
    case Fill::integer: break;
    }
    u64 top = u64{1} << (bits - 1);
    const u64 edges[] = {0, 1, 2, mask, top, top - 1, top + 1, mask - 1};
    return (r & 0x300 ? r >> 32 | r << 32 : edges[r % std::size(edges)]) & mask;
}
void fill_register(std::array<u8, 16>& reg, Fill fill, i32 log, u64 limit, Random& random) {
    if (fill == Fill::bits) log = 3;
    for (u32 at = 0; at < vlen_bytes; at += 1u << log) {
        u64 e = element(fill, log, limit, random);
        std::memcpy(&reg[at], &e, std::size_t{1} << log);
    }
}

struct Numbers {
    u32 vstart, vl, vtype, vcsr, v;
    explicit Numbers(const isa::Guest& guest)
        : vstart(guest.find_register("vstart"))
        , vl(vstart + 1)
        , vtype(vstart + 2)
        , vcsr(vstart + 3)
        , v(vstart + 4) {}
};

void fill_registers(Case& c, u32 first, Fill usual, i32 sew, Random& random) {
    for (u32 n = 0; n < 32; ++n) {
        Fill fill = random() % 8 ? usual : Fill(random() % 4);
        i32 log = random() % 4 ? sew : std::min(sew + 1, 3);
        if (random() % 8 == 0) log = i32(random() % 4);
        fill_register(c.in.value[first + n], fill, log, 64, random);
    }
}

// The registers of a group that hold indices.
void fill_indices(Case& c, u32 first, u32 reg, i32 registers, i32 log, u64 limit, Random& random) {
    if (random() % 16 == 0) return;
    for (u32 n = 0; n < 1u << std::clamp(registers, 0, 3); ++n)
        fill_register(c.in.value[first + (reg + n) % 32], Fill::small, std::min(log, 3), limit, random);
}

// Mostly all of the elements are inside the window, else a fault is among them.
u64 vector_address(Random& random) {
    u64 aligned = random() % 2 ? ~u64{7} : ~u64{0};
    switch (random() % 16) {
    case 0: return random();
    case 1: return WINDOW - random() % 140;
    case 2: return WINDOW + 2 * WINDOW_PAGE - random() % 140;
    case 3:
    case 4:
    case 5: return (WINDOW + WINDOW_PAGE - AREA_BYTES + random() % 140) & aligned;
    case 6:
    case 7: return (WINDOW + random() % 2 * WINDOW_PAGE + random() % WINDOW_PAGE) & aligned;
    case 8:
    case 9:
    case 10: return (WINDOW + WINDOW_PAGE - AREA_BYTES + random() % 16) & aligned;
    default: return (WINDOW + random() % 32) & aligned;
    }
}
u64 random_stride(Random& random) {
    static constexpr i64 strides[] = {0, 1, 2, 4, 8, 16, -1, -4, -8, 24};
    switch (random() % 8) {
    case 0: {
        // None that leads from the window to what else the reference's program has mapped.
        const i64 far = i64(edge_integer(random));
        return u64(std::abs(far >> 12) <= 1 || std::abs(far >> 36) > 1 ? far : far << 33);
    }
    case 1:
    case 2: return random() % 128 - 64;
    default: return u64(strides[random() % std::size(strides)]);
    }
}

void fill_memory(Case& c, std::string_view m, u32 w, const VectorConfig& config, u32 v, Random& random) {
    if (has(m, "vlse{") || has(m, "vsse{") || has(m, "vlsseg") || has(m, "vssseg"))
        if (u32 stride = field(w, rs2_at)) c.in.set(stride - 1, random_stride(random));
    if (is_indexed(m)) fill_indices(c, v, field(w, rs2_at), groups_of(m, w, config).s2, i32(w >> 12 & 3), 112, random);
    if (u32 base = field(w, rs1_at)) c.in.set(base - 1, vector_address(random));
}

// What the instruction may use besides the registers that it names.
void note_use(Case& c, u32 w, const Groups& g, const Numbers& n) {
    c.also.insert(c.also.end(), {n.vstart, n.vl, n.vtype, n.v});
    auto group = [&](u32 reg, u32 registers) {
        for (u32 k = 0; k < registers && reg + k < 32; ++k) c.also.push_back(n.v + reg + k);
    };
    auto size = [](i32 log) { return 1u << std::clamp(log, 0, 3); };
    group(field(w, rd_at), g.fields * size(g.d));
    group(field(w, rs1_at), size(g.s1));
    group(field(w, rs2_at), size(g.s2));
}

} // namespace

u64 vlmax_of(u64 vtype) {
    VectorConfig c;
    set_vtype(c, vtype);
    return c.vlmax;
}

bool is_vector(std::string_view syntax) { return syntax.starts_with("v"); }

u64 random_vtype(Random& random) {
    u64 r = random();
    switch (r >> 32 & 3) {
    case 0: return edge_integer(random);
    default: return r & 0xff;
    }
}

VectorConfig shape_vector(std::string_view syntax, std::vector<u8>& code, Random& random) {
    std::string_view m = mnemonic_of(syntax);
    bool fp = is_fp(m), other_width = m.starts_with("vfw") || m.starts_with("vfn");
    u32 w = word_of(code);
    VectorConfig config;
    for (u32 tries = 0; tries < 16; ++tries) {
        config = random_config(random, fp, other_width);
        if (!config.valid || groups_of(m, w, config).fit()) break;
    }
    // The reference ends itself at whole registers with vstart.
    if (has(m, "{nfr}")) config.vstart = 0;
    if (m.starts_with("vset"))
        shape_vset(m, random_vtype(random), code, random);
    else
        shape(syntax, config, code, random);
    return config;
}

void shape_under(std::string_view syntax, u64 vtype, std::vector<u8>& code, Random& random) {
    std::string_view m = mnemonic_of(syntax);
    VectorConfig config;
    set_vtype(config, vtype);
    bool has_elements = groups_of(m, word_of(code), config).fit() && (!is_fp(m) || config.sew >= 2);
    if (m.starts_with("vset"))
        shape_vset(m, random() % 4 ? vtype : random_vtype(random), code, random);
    else if (config.valid && !has_elements && random() % 32)
        code.clear();
    else
        shape(syntax, config, code, random);
}

std::vector<std::vector<u8>> before_vector(const isa::Guest& guest, Case& c, const VectorConfig& config,
                                           Random& random) {
    std::vector<std::vector<u8>> out;
    if (config.valid && config.vstart == 0 && random() % 3) out.push_back(vsetvli_of(config.vtype));
    if (random() % 4 || is_memory(mnemonic_of(guest.row(c.row).syntax))) return out;
    const Numbers numbers(guest);
    for (u32 tries = 2 + u32(random() % 6); tries > 0 && out.size() < 4; --tries) {
        u32 row = u32(random() % guest.row_count());
        std::string_view syntax = guest.row(row).syntax, m = mnemonic_of(syntax);
        bool first_fault = m == "vle{eew}ff.v";
        if (!is_vector(syntax) || (is_memory(m) && !first_fault)) continue;
        std::vector<u8> code = guest.random_instance(row, random);
        shape_under(syntax, config.vtype, code, random);
        if (code.empty()) continue;
        u32 w = word_of(code);
        if (first_fault) fill_memory(c, m, w, config, numbers.v, random);
        note_use(c, w, groups_of(m, w, config), numbers);
        out.push_back(std::move(code));
    }
    return out;
}

BlockStart begin_vector_block(const isa::Guest& guest, Random& random) {
    const Numbers n(guest);
    VectorConfig c = random_config(random, random() % 2, random() % 2);
    BlockStart start{.registers = {{n.vtype, c.vtype}, {n.vl, c.vl}, {n.vstart, c.vstart}, {n.vcsr, random() % 8}},
                     .setting = c.vtype};
    if (c.valid && random() % 4) start.code = vsetvli_of(c.vtype);
    return start;
}

void fill_vector(const isa::Guest& guest, Case& c, const VectorConfig& config, Random& random) {
    const Numbers n(guest);
    std::string_view syntax = guest.row(c.row).syntax, m = mnemonic_of(syntax);
    u32 w = word_of(c.code);
    c.in.set(n.vtype, config.vtype);
    c.in.set(n.vl, config.vl);
    c.in.set(n.vstart, config.vstart);
    c.in.set(n.vcsr, random() % 8);
    bool fp = is_fp(m);
    fill_registers(c, n.v, fp ? Fill::fp : Fill::integer, config.sew, random);
    if (random() % 4) fill_register(c.in.value[n.v], Fill::bits, 3, 0, random); // a mask

    u64 near = config.vlmax + config.vlmax / 4 + 2;
    if (m == "vsetvl")
        if (u32 reg = field(w, rs2_at)) c.in.set(reg - 1, random_vtype(random));
    if (m == "vsetvl" || m == "vsetvli" || has(m, "slide") || m == "vrgather.vx")
        if (u32 reg = field(w, rs1_at); reg && random() % 4) c.in.set(reg - 1, random() % (2 * near));
    if (m == "vrgather.vv") fill_indices(c, n.v, field(w, rs1_at), config.lmul, config.sew, near, random);
    if (m == "vrgatherei16.vv") fill_indices(c, n.v, field(w, rs1_at), groups_of(m, w, config).s1, 1, near, random);
    if (has(syntax, "{frs1}")) {
        u64 v = config.sew == 2 ? edge_fp(random, 23, 8) | (random() % 16 ? ~u64{0} << 32 : random() << 32)
                                : edge_fp(random, 52, 11);
        c.in.set(register_f + field(w, rs1_at), v);
    }
    if (is_memory(m)) fill_memory(c, m, w, config, n.v, random);
    note_use(c, w, groups_of(m, w, config), n);
}

void fill_other(const isa::Guest& guest, Case& c, Random& random) {
    const Numbers n(guest);
    VectorConfig config = random_config(random, false, false);
    c.in.set(n.vtype, config.vtype);
    c.in.set(n.vl, config.vl);
    c.in.set(n.vstart, config.vstart);
    c.in.set(n.vcsr, random() % 8);
    for (u32 reg = 0; reg < 32; ++reg) fill_register(c.in.value[n.v + reg], Fill::bits, 3, 0, random);
}

} // namespace mimic::test::soak::riscv
