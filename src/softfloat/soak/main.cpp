// softfloat_soak --seed N --count N [--op NAME]: compares soft-float with what this host computes, `count` random cases
// an operation; NAME is an operation as --list prints it, or a prefix of it. Prints "N passed, N failed".
// softfloat_soak --lines: the same for text cases on standard input (text_case.hpp), as guest/*.c print them.
// softfloat_soak --time: nanoseconds an operation.
#include "softfloat/soak/soak.hpp"
#include "softfloat/soak/text_case.hpp"
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace mimic::softfloat::soak {
namespace {

std::string hex(u128 v) {
    char text[40];
    if (v >> 64)
        std::snprintf(text, sizeof text, "0x%llx%016llx", (unsigned long long)(v >> 64), (unsigned long long)v);
    else
        std::snprintf(text, sizeof text, "0x%llx", (unsigned long long)v);
    return text;
}

struct Options {
    u64 seed = 1;
    u64 count = 10000;
    std::string op;
    bool list = false;
    bool time = false;
    bool lines = false;
};

bool parse(int argc, char** argv, Options& options) {
    for (int i = 1; i < argc; ++i) {
        std::string_view word = argv[i];
        if (word == "--list") {
            options.list = true;
            continue;
        }
        if (word == "--lines") {
            options.lines = true;
            continue;
        }
        if (word == "--time") {
            options.time = true;
            continue;
        }
        if (i + 1 == argc || (word != "--seed" && word != "--count" && word != "--op")) return false;
        const char* value = argv[++i];
        if (word == "--op") {
            options.op = value;
            continue;
        }
        char* end = nullptr;
        (word == "--seed" ? options.seed : options.count) = std::strtoull(value, &end, 0);
        if (*value == 0 || *end != 0) return false;
    }
    return true;
}

std::vector<Check> all_checks() {
    std::vector<Check> checks;
    add_sse_checks(checks);
    add_avx512_checks(checks);
    add_half_checks(checks);
    add_x87_checks(checks);
    add_quad_checks(checks);
    add_property_checks(checks);
    return checks;
}

// Nanoseconds an operation over operands of all kinds, NaNs and denormals left out.
template <class F, class Operation>
void time_one(const char* name, Operation operation) {
    Random random(1);
    std::vector<BitsOf<F>> values;
    while (values.size() < 1024) {
        int biased = F::bias + int(random.below(40)) - 20;
        values.push_back(F::make(random.one_in(2), biased, true, random.wide() & ((u128(1) << F::fraction_bits) - 1)));
    }
    Env env = env::riscv;
    u64 sum = 0;
    const int rounds = 500;
    auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < rounds; ++i)
        for (size_t k = 0; k + 2 < values.size(); ++k)
            sum += u64(raw(operation(values[k], values[k + 1], values[k + 2], env)));
    std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - start;
    std::printf("%-10s %6.1f ns%s\n", name, taken.count() / (rounds * (values.size() - 2)), sum == 1 ? " " : "");
}

template <class F>
void time_format(const char* format) {
    std::printf("%s\n", format);
    time_one<F>("add", [](auto a, auto b, auto, Env& e) { return add<F>(a, b, e); });
    time_one<F>("mul", [](auto a, auto b, auto, Env& e) { return mul<F>(a, b, e); });
    time_one<F>("mul_add", [](auto a, auto b, auto c, Env& e) { return mul_add<F>(a, b, c, e); });
    time_one<F>("div", [](auto a, auto b, auto, Env& e) { return div<F>(a, b, e); });
    time_one<F>("sqrt", [](auto a, auto, auto, Env& e) { return sqrt<F>(a, e); });
    time_one<F>("to_int", [](auto a, auto, auto, Env& e) { return u128(to_int<F>(a, {64, true}, e.rounding, e)); });
}

int run_lines() {
    u64 passed = 0, failed = 0;
    char line[512];
    while (std::fgets(line, sizeof line, stdin)) {
        const std::string difference = run_text_case(line);
        if (difference.empty())
            ++passed;
        else if (++failed <= 100)
            std::printf("%.*s: %s\n", int(std::strcspn(line, "\n")), line, difference.c_str());
    }
    std::printf("%llu passed, %llu failed\n", (unsigned long long)passed, (unsigned long long)failed);
    return failed != 0 || passed == 0;
}

int run(const Options& options) {
    if (options.lines) return run_lines();
    if (options.time) {
        time_format<F32>("f32");
        time_format<F64>("f64");
        time_format<F80>("f80");
        time_format<F128>("f128");
        return 0;
    }
    Report report;
    bool any = false;
    for (const Check& check : all_checks()) {
        if (check.name.compare(0, options.op.size(), options.op) != 0) continue;
        any = true;
        if (options.list) {
            std::printf("%s\n", check.name.c_str());
            continue;
        }
        Random random(options.seed);
        for (u64 i = 0; i < options.count; ++i) check.run(check.name, random, report);
    }
    if (!any) {
        std::fprintf(stderr, "softfloat_soak: no operation starts with '%s' (--list shows them)\n", options.op.c_str());
        return 2;
    }
    if (options.list) return 0;
    std::printf("%llu passed, %llu failed\n", (unsigned long long)report.passed, (unsigned long long)report.failed);
    return report.failed != 0;
}

} // namespace

void Report::differ(std::string_view name, std::initializer_list<u128> operands, u32 mode, Outcome expected,
                    Outcome got) {
    ++failed;
    if (std::count(seen_.begin(), seen_.end(), name) >= 5) return;
    seen_.emplace_back(name);
    std::string line(name);
    for (u128 operand : operands) line.append(" ").append(hex(operand));
    std::printf("%s | mode %s => host %s flags %s, softfloat %s flags %s\n", line.c_str(), hex(mode).c_str(),
                hex(expected.bits).c_str(), hex(expected.flags).c_str(), hex(got.bits).c_str(), hex(got.flags).c_str());
}

} // namespace mimic::softfloat::soak

int main(int argc, char** argv) {
    mimic::softfloat::soak::Options options;
    if (!mimic::softfloat::soak::parse(argc, argv, options)) {
        std::fprintf(stderr, "usage: softfloat_soak [--seed N] [--count N] [--op NAME] [--list] [--lines] [--time]\n");
        return 2;
    }
    return mimic::softfloat::soak::run(options);
}
