// What random RISC-V instructions need to be interesting: edge values, NaN boxes good and bad, addresses at the edges of
// the window, a reservation before sc. What V needs is in vector.hpp.
#include "soak/values.hpp"
#include "vector.hpp"
#include <algorithm>
#include <charconv>
#include <fmt/core.h>

namespace mimic::test::soak {

using namespace riscv;

namespace {

constexpr u32 first_f = 31, fcsr = 63, vstart = 66, first_v = 70;
// fcsr and its parts; of V: vstart, vxsat, vxrm, vcsr, vl, vtype, vlenb
constexpr u32 csrs[] = {1, 2, 3, 1, 2, 3, 8, 9, 10, 15, 0xc20, 0xc21, 0xc22};

// The format by the instruction's text; now and then another, to break the box.
u64 fp_register(Random& random, std::string_view text) {
    bool half = text.find(".h") != text.npos || text.starts_with("fsh"), single = text.find(".s") != text.npos;
    u32 kind = half ? 2 : single ? 1 : 0;
    if (random() % 8 == 0) kind = random() % 3;
    switch (kind) {
    case 0: return edge_fp(random, 52, 11);
    case 1: return edge_fp(random, 23, 8) | (random() % 32 ? ~u64{0} << 32 : random() << 32);
    default: return edge_fp(random, 10, 5) | (random() % 32 ? ~u64{0} << 16 : random() << 16);
    }
}

void fill_scalars(Case& c, Random& random) {
    for (u32 n = 0; n < first_f; ++n) c.in.set(n, edge_integer(random));
    for (u32 n = first_f; n < fcsr; ++n) c.in.set(n, fp_register(random, c.text));
    c.in.set(fcsr, (random() % 2 ? 0 : random() % 32) | (random() % 16 ? random() % 5 : random() % 8) << 5);
}

// N of "...N(reg)" and the register's number; false: no memory operand.
bool memory_operand(std::string_view text, const isa::Guest& guest, i64& offset, u32& reg) {
    auto open = text.rfind('('), close = text.rfind(')');
    if (open == text.npos || close == text.npos) return false;
    reg = guest.find_register(text.substr(open + 1, close - open - 1));
    auto begin = text.find_last_of(" ", open);
    offset = 0;
    std::from_chars(text.data() + begin + 1, text.data() + open, offset);
    return reg != isa::Guest::no_register;
}

u64 window_address(Random& random) {
    u64 within = random() % 48;
    switch (random() % 8) {
    case 0: return WINDOW + within;
    case 1: return WINDOW + 2 * WINDOW_PAGE - AREA_BYTES + random() % (AREA_BYTES + 8);
    case 2: return WINDOW + WINDOW_PAGE - 8 + random() % 16;
    case 3: return WINDOW - 8 + random() % 16;
    case 4: return random() | u64{1} << 47; // not what else the reference has mapped
    default: return (random() % 2 ? WINDOW + within : WINDOW + WINDOW_PAGE - AREA_BYTES + within) & ~u64{15};
    }
}

// Somewhere with nothing, or among the breakpoints.
u64 jump_target(Random& random) {
    switch (random() % 4) {
    case 0: return 0x60000000 + random() % 0x10000000;
    case 1: return CODE_START - 2 - random() % 1000 * 2;
    default: return CODE_START + 24 + random() % 1000 * 2;
    }
}

bool prepare_vector(const isa::Guest& guest, Case& c, Random& random) {
    VectorConfig config = shape_vector(guest.row(c.row).syntax, c.code, random);
    u32 length;
    c.text = guest.disassemble(c.code, CODE_START, 0, length);
    fill_scalars(c, random);
    fill_vector(guest, c, config, random);
    std::vector<std::vector<u8>> before = before_vector(guest, c, config, random);
    for (auto code = before.rbegin(); code != before.rend(); ++code) {
        c.text.insert(0, guest.disassemble(*code, CODE_START, 0, length) + "; ");
        c.code.insert(c.code.begin(), code->begin(), code->end());
    }
    return true;
}

bool prepare(const isa::Guest& guest, Case& c, Random& random) {
    if (is_vector(guest.row(c.row).syntax)) return prepare_vector(guest, c, random);
    u32 length;
    c.text = guest.disassemble(c.code, CODE_START, 0, length);
    auto is = [&](std::string_view s) { return c.text.starts_with(s); };
    if (is("ecall")) return false; // would call
    if (is("csrr")) {
        for (auto counter : {"cycle", "time", "instret", "hpmcounter"})
            if (c.text.find(counter) != c.text.npos) return false; // differ from run to run
        if (random() % 8) {                                        // most random numbers name nothing
            u32 word = u32(c.code[0] | c.code[1] << 8 | c.code[2] << 16 | u32(c.code[3]) << 24);
            word = (word & 0xfffff) | csrs[random() % std::size(csrs)] << 20;
            for (u32 k = 0; k < 4; ++k) c.code[k] = u8(word >> 8 * k);
        }
        u32 number = u32(c.code[3] << 4 | c.code[2] >> 4);
        // Of extensions that the reference has and this model lacks.
        if (number < 0x100 && std::find(std::begin(csrs), std::end(csrs), number) == std::end(csrs)) return false;
        c.text = guest.disassemble(c.code, CODE_START, 0, length);
    }

    if (auto at = c.text.rfind("0x"); at != c.text.npos) { // not into what loads the registers
        u64 target = 0;
        std::from_chars(c.text.data() + at + 2, c.text.data() + c.text.size(), target, 16);
        if (target >= STUB - 16 && target < STUB + 4096) return false;
    }
    fill_scalars(c, random);
    fill_other(guest, c, random);

    i64 offset;
    u32 base;
    if (memory_operand(c.text, guest, offset, base)) {
        u64 target = is("jalr") ? jump_target(random) : window_address(random);
        // The reference ends itself at a misaligned atomic.
        if (is("lr.") || is("sc.") || is("amo")) target &= ~u64{15};
        c.in.set(base, target - u64(offset));
        if (is("amocas") && random() % 2) { // so that it succeeds
            u64 at = target - WINDOW;
            u32 expected = c.code[1] >> 3 ? u32((c.code[0] >> 7 | c.code[1] << 1) & 31) : 0;
            if (at <= 48 && expected && expected - 1 != base) {
                u64 v = 0;
                for (u32 k = 0; k < 8; ++k) v |= u64(c.memory[at + k]) << 8 * k;
                c.in.set(expected - 1, v);
                v = 0;
                for (u32 k = 0; k < 8; ++k) v |= u64(c.memory[at + 8 + k]) << 8 * k;
                if (is("amocas.q") && expected < 31 && expected != base) c.in.set(expected, v);
            }
        }
        if (is("sc.") && random() % 8) { // a reservation
            std::string text = fmt::format("lr.{} zero, {}", is("sc.d") ? 'd' : 'w', c.text.substr(c.text.rfind('(')));
            std::vector<u8> code = *assemble(text, CODE_START, guest);
            c.code.insert(c.code.begin(), code.begin(), code.end());
            c.text.insert(0, text + "; ");
        }
    } else if (is("c.jr") || is("c.jalr")) {
        u32 n = guest.find_register(std::string_view(c.text).substr(c.text.rfind(' ') + 1));
        if (n != isa::Guest::no_register) c.in.set(n, jump_target(random));
    }
    return true;
}

// With all elements and no mask we access whole registers, and a fault leaves the instruction to be begun again.
bool both_fault_in_registers(const Case& c, const Answer& ours, const Answer& reference) {
    bool same = ours.stop == "fault" && reference.stop == "fault" && ours.pc == reference.pc;
    for (u32 n = 0; n < c.in.value.size(); ++n)
        same &= ours.out.value[n] == (n < first_v ? reference.out.value[n] : c.in.value[n]) || n == vstart;
    return same && ours.out.low(vstart) == 0;
}
bool both_fault_in_segment(const Case& c, const Answer& ours, const Answer& reference) {
    bool same = ours.stop == reference.stop && ours.pc == reference.pc && c.text.find("ff.v") != c.text.npos;
    for (u32 n = 0; n < first_v; ++n) same &= ours.out.value[n] == reference.out.value[n];
    return same;
}
// A load that reduced vl stands before the instruction, and vl was VLMAX.
bool vl_was_reduced(const Case& c, const Answer& ours, const Answer& reference) {
    u64 vl = reference.out.low(vstart + 1);
    return c.text.find("ff.v") < c.text.rfind("; ") && ours.pc == reference.pc && ours.out.low(vstart + 1) == vl &&
           c.in.low(vstart + 1) > vl && c.in.low(vstart + 1) == vlmax_of(c.in.low(vstart + 2));
}
constexpr std::string_view whole = "of an access by whole registers that faults, vstart is 0 with us (31.16.1)";

constexpr Exception exceptions[] = {
    {"vl", whole, both_fault_in_registers},
    {"vs", whole, both_fault_in_registers},
    {"vlseg", "which fields of a segment that faults are loaded is the implementation's (31.7.8.1)",
     both_fault_in_segment},
    {"v", "of vl that a load reduced from VLMAX (31.7.7) the reference's next instructions know nothing",
     vl_was_reduced},
    {"cbo.clean", "the reference keeps senvcfg.CBCFE clear; newer Linux sets it", nullptr},
    {"cbo.flush", "the reference keeps senvcfg.CBCFE clear; newer Linux sets it", nullptr},
};

void shape(const isa::Guest& guest, u32 row, u64 setting, std::vector<u8>& code, Random& random) {
    std::string_view syntax = guest.row(row).syntax;
    if (is_vector(syntax)) shape_under(syntax, setting, code, random);
}

} // namespace

extern const SoakGuest soak_riscv64;
constinit const SoakGuest soak_riscv64{"riscv64", "rv64,v=on", "max,v=true,vlen=128,zvfh=false,zvfhmin=false",
                                       prepare,   exceptions,  begin_vector_block,
                                       shape};

} // namespace mimic::test::soak
