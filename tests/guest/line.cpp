#include "line.hpp"
#include "softfloat/softfloat.hpp"
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fmt/core.h>
#include <set>

namespace mimic::test {

namespace {

std::string_view trim(std::string_view s) {
    while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
    while (!s.empty() && (s.back() == ' ' || s.back() == '\t' || s.back() == '\r')) s.remove_suffix(1);
    return s;
}

u128 to_u128(const std::array<u8, 16>& v) {
    u128 out;
    std::memcpy(&out, v.data(), 16);
    return out;
}
std::array<u8, 16> from_u128(u128 v) {
    std::array<u8, 16> out;
    std::memcpy(out.data(), &v, 16);
    return out;
}

u64 half_bits(double v) {
    u64 bits;
    std::memcpy(&bits, &v, 8);
    softfloat::Env env;
    return softfloat::convert<softfloat::F16, softfloat::F64>(bits, env);
}

// A number, or false; `own_bits` gets the width of an FP value, 0 for integers.
bool parse_number(std::string_view s, u128& out, u32& own_bits) {
    own_bits = 0;
    bool negative = !s.empty() && s[0] == '-';
    std::string_view digits = s.substr(negative);
    bool hex = digits.starts_with("0x");
    if (hex) digits.remove_prefix(2);
    u128 v = 0;
    bool integer = !digits.empty();
    for (char c : digits) {
        u32 d = c >= '0' && c <= '9' ? u32(c - '0') : hex && c >= 'a' && c <= 'f' ? u32(c - 'a' + 10) : 99;
        if (d == 99) integer = false;
        v = v * (hex ? 16 : 10) + d;
    }
    if (integer) return out = negative ? 0 - v : v, true;

    if (s.size() < 2) return false;
    std::string text(s.substr(0, s.size() - 1));
    char* end;
    double d = std::strtod(text.c_str(), &end);
    if (*end) return false;
    u64 bits = 0;
    switch (s.back()) {
    case 'd': std::memcpy(&bits, &d, 8), own_bits = 64; break;
    case 'f': {
        float f = std::strtof(text.c_str(), nullptr);
        std::memcpy(&bits, &f, 4), own_bits = 32;
        break;
    }
    case 'h': bits = half_bits(d), own_bits = 16; break;
    default: return false;
    }
    out = bits;
    return true;
}

Result<u128> parse_value(std::string_view s, u32 bytes) {
    u128 v;
    u32 own;
    bool box = s.starts_with("box(") && s.ends_with(")");
    if (box) s = s.substr(4, s.size() - 5);
    if (!parse_number(s, v, own)) return Error::invalid_argument("'{}' is no value", s);
    if (box && own == 0) own = 32;
    if (box) v |= ~u128{0} << own;
    if (bytes < 16) {
        u128 mask = (u128{1} << 8 * bytes) - 1;
        bool fits = box || (v & ~mask) == 0 || (v & ~(mask >> 1)) == (~u128{0} & ~(mask >> 1));
        if (!fits) return Error::invalid_argument("'{}' does not fit {} bytes", s, bytes);
        v &= mask;
    }
    return v;
}

Result<u64> parse_address(std::string_view s) { return u64(TRY(parse_value(s, 8))); }

Result<Assign> parse_assign(std::string_view left, std::string_view right, const isa::Guest& guest) {
    Assign a;
    if (left.starts_with('[') && left.ends_with(']')) {
        left = left.substr(1, left.size() - 2);
        auto colon = left.find(':');
        if (colon != left.npos) a.bytes = u32(TRY(parse_address(left.substr(colon + 1))));
        if (a.bytes == 0 || a.bytes > 16) return Error::invalid_argument("[{}]: expected 1 to 16 bytes", left);
        a.address = TRY(parse_address(left.substr(0, colon)));
        if (a.address >= Memory::span - 16) return Error::invalid_argument("[{}]: memory ends at 4 GiB", left);
    } else {
        a.reg = guest.find_register(left);
        if (a.reg == isa::Guest::no_register) return Error::invalid_argument("'{}' is no register", left);
        a.bytes = guest.registers()[a.reg].bytes;
    }
    a.value = from_u128(TRY(parse_value(right, a.bytes)));
    if (guest.big_endian() && a.reg == isa::Guest::no_register)
        std::reverse(a.value.begin(), a.value.begin() + a.bytes);
    return a;
}

template <class F>
Result<void> each_word(std::string_view s, F&& f) {
    for (s = trim(s); !s.empty(); s = trim(s)) {
        auto end = std::min(s.find(' '), s.size());
        std::string_view word = s.substr(0, end);
        s.remove_prefix(end);
        auto equal = word.find('=');
        if (equal == word.npos)
            TRY(f(word, std::string_view{}));
        else
            TRY(f(word.substr(0, equal), word.substr(equal + 1)));
    }
    return {};
}

Result<void> parse_inputs(std::string_view text, const isa::Guest& guest, Line& line) {
    return each_word(text, [&](std::string_view name, std::string_view value) -> Result<void> {
        if (name == "pc")
            line.pc = TRY(parse_address(value));
        else if (name == "ro")
            line.read_only.push_back(TRY(parse_address(value)));
        else
            line.in.push_back(TRY(parse_assign(name, value, guest)));
        return {};
    });
}
Result<void> parse_outputs(std::string_view text, const isa::Guest& guest, Line& line) {
    return each_word(text, [&](std::string_view name, std::string_view value) -> Result<void> {
        if (name == "illegal")
            line.trap = "illegal";
        else if (name == "trap")
            line.trap = value;
        else if (name == "pc")
            line.pc_out = TRY(parse_address(value));
        else if (name == "address")
            line.address_out = TRY(parse_address(value));
        else
            line.out.push_back(TRY(parse_assign(name, value, guest)));
        return {};
    });
}

} // namespace

Result<std::vector<u8>> assemble(std::string_view code, u64 pc, const isa::Guest& guest) {
    std::vector<u8> out;
    while (!code.empty()) {
        auto end = code.find(';');
        std::string_view one = trim(code.substr(0, end));
        code = end == code.npos ? "" : code.substr(end + 1);
        u32 bytes = one.starts_with(".byte ") ? 1 : one.starts_with(".half ") ? 2 : one.starts_with(".word ") ? 4 : 0;
        if (bytes) {
            auto v = from_u128(TRY(parse_value(trim(one.substr(6)), bytes)));
            if (guest.big_endian()) std::reverse(v.begin(), v.begin() + bytes);
            out.insert(out.end(), v.begin(), v.begin() + bytes);
        } else {
            auto insn = TRY(guest.assemble(one, pc + out.size(), 0));
            out.insert(out.end(), insn.begin(), insn.end());
        }
    }
    return out;
}

Result<Line> parse_line(std::string_view text, const isa::Guest& guest) {
    Line line;
    text = trim(text.starts_with('#') ? "" : text.substr(0, text.find("# ")));
    if (text.empty()) return line;
    auto arrow = text.find("=>"), bar = text.find('|');
    line.code = trim(text.substr(0, std::min(bar, arrow)));
    if (bar != text.npos)
        TRY(parse_inputs(text.substr(bar + 1, arrow == text.npos ? arrow : arrow - bar - 1), guest, line));
    if (arrow != text.npos) TRY(parse_outputs(text.substr(arrow + 2), guest, line));
    line.bytes = TRY(assemble(line.code, line.pc, guest));
    return line;
}

namespace {

// As a literal when that is short and exact, else "".
std::string print_fp(u64 bits) {
    double value[3];
    std::memcpy(&value[0], &bits, 8);
    softfloat::Env env;
    u64 single = softfloat::convert<softfloat::F64, softfloat::F32>(u32(bits), env),
        half = softfloat::convert<softfloat::F64, softfloat::F16>(u16(bits), env);
    std::memcpy(&value[1], &single, 8);
    std::memcpy(&value[2], &half, 8);
    u32 kind = bits >> 16 == ~u64{0} >> 16 ? 2 : bits >> 32 == ~u32{0} ? 1 : 0;
    std::string text = fmt::format("{:.9g}", value[kind]) + "dfh"[kind];
    u128 back;
    u32 own;
    if (std::isnan(value[kind]) || !parse_number(text, back, own)) return "";
    u64 own_mask = own == 64 ? ~u64{0} : (u64{1} << own) - 1;
    if (u64(back) != (bits & own_mask)) return "";
    return kind ? "box(" + text + ")" : text;
}

} // namespace

std::string print_assign(const Assign& a, const isa::Guest& guest) {
    auto value = a.value;
    std::string name;
    if (a.reg != isa::Guest::no_register) {
        name = guest.registers()[a.reg].name;
    } else {
        if (guest.big_endian()) std::reverse(value.begin(), value.begin() + a.bytes);
        name = a.bytes == 8 ? fmt::format("[{:#x}]", a.address) : fmt::format("[{:#x}:{}]", a.address, a.bytes);
    }
    u128 v = to_u128(value);
    u64 low = u64(v), high = u64(v >> 64);
    if (a.bytes > 8 && high) return fmt::format("{}={:#x}{:016x}", name, high, low);
    if (a.reg != isa::Guest::no_register && guest.registers()[a.reg].fp && a.bytes == 8) {
        std::string text = print_fp(low);
        return text.empty() ? fmt::format("{}={:#x}", name, low) : fmt::format("{}={}", name, text);
    }
    i64 s = a.bytes == 8 ? i64(low) : i64(low << (64 - 8 * a.bytes)) >> (64 - 8 * a.bytes);
    if (a.bytes <= 8 && s >= -65536 && s <= 65536) return fmt::format("{}={}", name, s);
    return fmt::format("{}={:#x}", name, low);
}

namespace {

// Everything that a line may compare.
struct Picture {
    std::vector<std::vector<u8>> registers;
    std::map<u64, std::vector<u8>> pages;
};
Picture take(Machine& m) {
    Picture p;
    for (u32 n = 0; n < m.guest().registers().size(); ++n) p.registers.push_back(m.get(n));
    for (auto& [page, writable] : m.memory().pages()) {
        const u8* at = m.memory().at(page * Memory::page_bytes);
        p.pages[page] = {at, at + Memory::page_bytes};
    }
    return p;
}
void put_memory(Picture& p, const Assign& a) {
    for (u32 k = 0; k < a.bytes; ++k)
        p.pages[(a.address + k) / Memory::page_bytes][(a.address + k) % Memory::page_bytes] = a.value[k];
}

void set_up(const Line& line, Machine& m) {
    m.reset();
    std::set<u64> pages;
    auto add = [&](const Assign& a) {
        if (a.reg != isa::Guest::no_register) return;
        pages.insert(a.address / Memory::page_bytes);
        pages.insert((a.address + a.bytes - 1) / Memory::page_bytes);
    };
    std::for_each(line.in.begin(), line.in.end(), add);
    std::for_each(line.out.begin(), line.out.end(), add);
    for (u64 page : line.read_only) pages.insert(page / Memory::page_bytes);
    for (u64 page : pages) m.memory().map(page * Memory::page_bytes, true);
    for (const Assign& a : line.in) {
        if (a.reg != isa::Guest::no_register)
            m.set(a.reg, a.value.data());
        else
            std::memcpy(m.memory().at(a.address), a.value.data(), a.bytes);
    }
    for (u64 page : line.read_only) m.memory().protect(page, false);
}

std::string differences(const Picture& expected, const Picture& got, const isa::Guest& guest) {
    std::string out;
    auto show = [&](Assign a, const u8* from) {
        std::memcpy(a.value.data(), from, a.bytes);
        return print_assign(a, guest);
    };
    for (u32 n = 0; n < expected.registers.size(); ++n) {
        if (expected.registers[n] == got.registers[n]) continue;
        Assign a{.reg = n, .bytes = u32(expected.registers[n].size())};
        out += fmt::format("  got {}, expected {}\n", show(a, got.registers[n].data()),
                           show(a, expected.registers[n].data()));
    }
    for (auto& [page, bytes] : expected.pages) {
        const auto& have = got.pages.at(page);
        for (u64 at = 0; at < bytes.size(); at += 8) {
            if (std::memcmp(&bytes[at], &have[at], 8) == 0) continue;
            Assign a{.address = page * Memory::page_bytes + at};
            out += fmt::format("  got {}, expected {}\n", show(a, &have[at]), show(a, &bytes[at]));
        }
    }
    return out;
}

} // namespace

std::string run_line(const Line& line, Machine& m, Engine& engine) {
    set_up(line, m);
    Picture expected = take(m);
    for (const Assign& a : line.out) {
        if (a.reg != isa::Guest::no_register)
            expected.registers[a.reg].assign(a.value.begin(), a.value.begin() + a.bytes);
        else
            put_memory(expected, a);
    }
    Outcome o = m.run(line.bytes, line.pc, engine);
    std::string out = differences(expected, take(m), m.guest());
    if (o.name() != line.trap)
        out += fmt::format("  got trap '{}' at {:#x}, expected '{}'\n", o.name(), o.pc, line.trap);
    if (line.address_out && o.address != *line.address_out)
        out += fmt::format("  got address={:#x}, expected {:#x}\n", o.address, *line.address_out);
    bool leaves =
        o.kind == Outcome::Kind::done || (o.kind == Outcome::Kind::trap && o.trap == ir::TrapKind::flush_code);
    u64 pc = line.pc_out.value_or(leaves ? line.pc + line.bytes.size() : line.pc);
    if (o.pc != pc) out += fmt::format("  got pc={:#x}, expected {:#x}\n", o.pc, pc);
    return out;
}

} // namespace mimic::test
