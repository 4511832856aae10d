#include "softfloat/soak/text_case.hpp"
#include "softfloat/soak/soak.hpp"
#include <cstdio>
#include <optional>
#include <span>

namespace mimic::softfloat::soak {
namespace {

using Words = std::vector<std::string_view>;

Words split(std::string_view text) {
    Words words;
    while (true) {
        size_t begin = text.find_first_not_of(" \t\r\n");
        if (begin == text.npos) return words;
        size_t end = std::min(text.find_first_of(" \t\r\n", begin), text.size());
        words.push_back(text.substr(begin, end - begin));
        text.remove_prefix(end);
    }
}

template <class T>
struct Named {
    std::string_view name;
    T value;
};
template <class T, size_t n>
const T* find(const Named<T> (&table)[n], std::string_view name) {
    for (const auto& row : table)
        if (row.name == name) return &row.value;
    return nullptr;
}

constexpr Named<Env> guests[] = {
    {"riscv", env::riscv}, {"aarch64", env::aarch64}, {"x86", env::x86_sse},
    {"x87", env::x87},     {"ppc", env::ppc},         {"mips", env::mips_legacy},
    {"sparc", env::sparc}, {"s390x", env::s390x},     {"m68k", env::m68k},
};
constexpr Named<Rounding> roundings[] = {
    {"rne", Rounding::nearest_even}, {"rtz", Rounding::toward_zero},  {"rdn", Rounding::down},
    {"rup", Rounding::up},           {"rna", Rounding::nearest_away}, {"odd", Rounding::odd},
};
constexpr Named<u32> flag_names[] = {
    {"NV", flag::invalid},
    {"DZ", flag::divide_by_zero},
    {"OF", flag::overflow},
    {"UF", flag::underflow},
    {"NX", flag::inexact},
    {"ID", flag::denormal_flushed},
    {"snan", flag::invalid_snan},
    {"isi", flag::invalid_inf_minus_inf},
    {"imz", flag::invalid_inf_times_zero},
    {"zdz", flag::invalid_zero_by_zero},
    {"idi", flag::invalid_inf_by_inf},
    {"sqrt", flag::invalid_sqrt},
    {"vc", flag::invalid_compare},
    {"cvi", flag::invalid_convert},
    {"rem", flag::invalid_remainder},
};

struct Case {
    std::string_view operation;
    std::span<const std::string_view> formats;
    std::vector<u128> operands;
    Env env;
};

template <class F>
BitsOf<F> bits_of(u128 v) {
    if constexpr (F::explicit_integer)
        return {u64(v), u16(v >> 64)};
    else
        return BitsOf<F>(v);
}

constexpr Named<MinMax> min_max_kinds[] = {
    {"minimum", {false, false, MinMaxNan::propagate}},
    {"maximum", {true, false, MinMaxNan::propagate}},
    {"min_num", {false, false, MinMaxNan::number}},
    {"max_num", {true, false, MinMaxNan::number}},
    {"minimum_number", {false, false, MinMaxNan::number_2019}},
    {"maximum_number", {true, false, MinMaxNan::number_2019}},
    {"min_second", {false, false, MinMaxNan::second}},
    {"max_second", {true, false, MinMaxNan::second}},
    {"min_num_magnitude", {false, true, MinMaxNan::number}},
};
constexpr Named<MulAdd> mul_adds[] = {
    {"fma", {}},
    {"fms", {.negate_addend = true}},
    {"fnma", {.negate_product = true, .negate_addend = true}},
    {"fnms", {.negate_product = true}},
    {"fma_then_negate", {.negate_result = true}},
    {"fma_halved", {.scale = -1}},
};
constexpr Named<IntType> int_types[] = {
    {"to_i8", {8, true}},     {"to_u8", {8, false}},     {"to_i16", {16, true}}, {"to_u16", {16, false}},
    {"to_i32", {32, true}},   {"to_u32", {32, false}},   {"to_i64", {64, true}}, {"to_u64", {64, false}},
    {"to_i128", {128, true}}, {"to_u128", {128, false}},
};

template <class From>
std::optional<u128> convert_case(Case& c) {
    if (c.formats.size() != 2) return {};
    const auto a = bits_of<From>(c.operands.at(0));
    std::string_view to = c.formats[1];
    if (to == "f16") return convert<F16, From>(a, c.env);
    if (to == "bf16") return convert<BF16, From>(a, c.env);
    if (to == "f32") return convert<F32, From>(a, c.env);
    if (to == "f64") return convert<F64, From>(a, c.env);
    if (to == "f128") return convert<F128, From>(a, c.env);
    if (to == "f80") return raw(convert<F80, From>(a, c.env));
    if (to == "f80m68k") return raw(convert<F80M68k, From>(a, c.env));
    if (to == "f16alt") return convert<F16Alternative, From>(a, c.env);
    return {};
}

// Conversions to and from integers, comparisons and classes.
template <class F>
std::optional<u128> integer_case(Case& c, BitsOf<F> a, BitsOf<F> b) {
    if (const IntType* type = find(int_types, c.operation))
        return to_int<F>(a, *type, c.env.rounding, c.env) & ~u128(0) >> (128 - type->bits);
    if (c.operation == "to_i32_modular") return to_int_modular<F>(a, 32, c.env);
    if (c.operation == "from_i64") return raw(from_int<F>(i64(c.operands[0]), c.env));
    if (c.operation == "from_u64") return raw(from_uint<F>(u64(c.operands[0]), c.env));
    if (c.operation == "compare") return u128(compare<F>(a, b, false, c.env));
    if (c.operation == "compare_signalling") return u128(compare<F>(a, b, true, c.env));
    if (c.operation == "class") return u128(1) << int(classify<F>(a, c.env));
    return {};
}

template <class F>
std::optional<u128> run_case(Case& c) {
    if (c.operation == "convert") return convert_case<F>(c);
    if (c.formats.size() != 1) return {};
    c.operands.resize(3);
    const auto a = bits_of<F>(c.operands[0]), b = bits_of<F>(c.operands[1]), d = bits_of<F>(c.operands[2]);
    Env& env = c.env;
    if (const MinMax* kind = find(min_max_kinds, c.operation)) return raw(min_max<F>(a, b, *kind, env));
    if (const MulAdd* options = find(mul_adds, c.operation)) return raw(mul_add<F>(a, b, d, env, *options));
    if (c.operation == "add") return raw(add<F>(a, b, env));
    if (c.operation == "sub") return raw(sub<F>(a, b, env));
    if (c.operation == "mul") return raw(mul<F>(a, b, env));
    if (c.operation == "div") return raw(div<F>(a, b, env));
    if (c.operation == "sqrt") return raw(sqrt<F>(a, env));
    if (c.operation == "remainder") return raw(remainder<F>(a, b, env));
    if (c.operation == "round") return raw(round_to_integral<F>(a, env.rounding, false, env));
    if (c.operation == "round_exact") return raw(round_to_integral<F>(a, env.rounding, true, env));
    if (c.operation == "scale_b") return raw(scale_b<F>(a, i32(u32(c.operands[1])), env));
    if (c.operation == "log_b") return raw(log_b<F>(a, env));
    return integer_case<F>(c, a, b);
}

std::optional<u128> run_format(Case& c) {
    std::string_view f = c.formats.front();
    if (f == "f16") return run_case<F16>(c);
    if (f == "bf16") return run_case<BF16>(c);
    if (f == "f32") return run_case<F32>(c);
    if (f == "f64") return run_case<F64>(c);
    if (f == "f80") return run_case<F80>(c);
    if (f == "f80m68k") return run_case<F80M68k>(c);
    if (f == "f128") return run_case<F128>(c);
    if (f != "f16alt" || c.operation != "convert" || c.formats.size() != 2) return {};
    const u16 a = u16(c.operands[0]);
    if (c.formats[1] == "f32") return convert<F32, F16Alternative>(a, c.env);
    return c.formats[1] == "f64" ? std::optional<u128>(convert<F64, F16Alternative>(a, c.env)) : std::nullopt;
}

std::optional<u128> parse_hex(std::string_view word) {
    if (word.size() < 3 || word.size() > 34 || word.substr(0, 2) != "0x") return {};
    u128 value = 0;
    for (char ch : word.substr(2)) {
        int digit = ch >= '0' && ch <= '9' ? ch - '0' : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
        if (digit < 0) return {};
        value = value << 4 | unsigned(digit);
    }
    return value;
}

bool apply_mode(std::string_view word, Env& env) {
    if (const Env* guest = find(guests, word))
        env = *guest;
    else if (const Rounding* rounding = find(roundings, word))
        env.rounding = *rounding;
    else if (word == "dn")
        env.default_nan = true;
    else if (word == "fz")
        env.flush.inputs = env.flush.outputs = true;
    else if (word == "fz16")
        env.flush_half.inputs = env.flush_half.outputs = true;
    else if (word == "daz")
        env.flush.inputs = true;
    else if (word == "ftz")
        env.flush.outputs = true;
    else
        return false;
    return true;
}

std::string describe(u128 result, u32 flags) {
    char text[48];
    const auto high = (unsigned long long)(result >> 64), low = (unsigned long long)result;
    if (high)
        std::snprintf(text, sizeof text, "0x%llx%016llx", high, low);
    else
        std::snprintf(text, sizeof text, "0x%llx", low);
    std::string out = text;
    for (const auto& row : flag_names)
        if (flags & row.value) out.append(" ").append(row.name);
    return out;
}

} // namespace

std::string run_text_case(std::string_view line) {
    line = line.substr(0, line.find('#'));
    if (split(line).empty()) return {};
    const size_t bar1 = line.find('|'), bar2 = line.find('|', bar1 + 1), arrow = line.find("=>", bar2 + 1);
    if (bar1 == line.npos || bar2 == line.npos || arrow == line.npos)
        return "expected: op format | operands | mode => result flags";
    const Words head = split(line.substr(0, bar1)), result = split(line.substr(arrow + 2));
    if (head.size() < 2 || result.empty()) return "expected an operation, a format and a result";
    Case c{head[0], std::span(head).subspan(1), {}, {}};
    for (std::string_view word : split(line.substr(bar1 + 1, bar2 - bar1 - 1))) {
        auto value = parse_hex(word);
        if (!value) return "operand '" + std::string(word) + "' is no lower-case hexadecimal number";
        c.operands.push_back(*value);
    }
    if (c.operands.empty()) return "expected an operand";
    for (std::string_view word : split(line.substr(bar2 + 1, arrow - bar2 - 1)))
        if (!apply_mode(word, c.env)) return "unknown mode '" + std::string(word) + "'";
    u32 expected_flags = 0;
    for (size_t i = 1; i < result.size(); ++i) {
        const u32* f = find(flag_names, result[i]);
        if (!f) return "unknown flag '" + std::string(result[i]) + "'";
        expected_flags |= *f;
    }
    const auto expected = parse_hex(result[0]);
    if (!expected) return "result '" + std::string(result[0]) + "' is no lower-case hexadecimal number";
    const auto got = run_format(c);
    if (!got) return "unknown operation '" + std::string(head[0]) + "' for format '" + std::string(head[1]) + "'";
    u32 looked_at = flag::ieee | flag::denormal_flushed | (expected_flags & flag::causes ? flag::causes : 0);
    if (*got == *expected && (c.env.flags & looked_at) == expected_flags) return {};
    return "got " + describe(*got, c.env.flags);
}

} // namespace mimic::softfloat::soak
