#include "user/run.hpp"
#include <gtest/gtest.h>
#include <map>

namespace mimic::user {
namespace {

const char* no_environment(const char*) { return nullptr; }

Result<RunCommand> parse(std::vector<std::string_view> words,
                         const char* (*environment)(const char*) = no_environment) {
    return parse_run(words, environment);
}
std::string error(std::vector<std::string_view> words) {
    auto r = parse(std::move(words));
    return r ? "" : r.error().message();
}

TEST(Command, OptionsComeBeforeTheProgram) {
    auto c = parse({"-L", "/root", "-cpu", "max", "-strace", "-0", "zero",   "-E",   "A=1,B=2", "-U",
                    "C",  "-s",    "16M",  "-p",  "65536",   "-B", "0x1000", "prog", "-L",      "x"});
    ASSERT_TRUE(c) << c.error().message();
    EXPECT_EQ(c->options.sysroot, "/root");
    EXPECT_EQ(c->options.cpu_model, "max");
    EXPECT_TRUE(c->options.strace);
    EXPECT_EQ(c->argv0, "zero");
    EXPECT_EQ(c->set, (std::vector<std::string>{"A=1", "B=2"}));
    EXPECT_EQ(c->unset, (std::vector<std::string>{"C"}));
    EXPECT_EQ(c->options.stack_size, 16u << 20);
    EXPECT_EQ(c->page, 65536u);
    EXPECT_EQ(c->base_address, 0x1000u);
    EXPECT_EQ(c->program, (std::vector<std::string>{"prog", "-L", "x"}));
}

TEST(Command, TheLastChangeOfAVariableCounts) {
    auto c = parse({"-E", "A=1", "-U", "A", "-E", "B=a,,b", "x"});
    ASSERT_TRUE(c);
    EXPECT_EQ(c->set, (std::vector<std::string>{"B=a,b"}));
    EXPECT_EQ(c->unset, (std::vector<std::string>{"A"}));
    c = parse({"-U", "A", "-E", "A=2", "x"});
    EXPECT_TRUE(c->unset.empty());
}

TEST(Command, TwoDashesEndOptions) {
    auto c = parse({"-strace", "--", "-prog", "a"});
    ASSERT_TRUE(c);
    EXPECT_EQ(c->program, (std::vector<std::string>{"-prog", "a"}));
}

TEST(Command, VariablesStandForOptions) {
    auto environment = [](const char* name) -> const char* {
        static const std::map<std::string, const char*> values = {
            {"QEMU_LD_PREFIX", "/theirs"}, {"MIMIC_LD_PREFIX", "/ours"}, {"QEMU_STRACE", "1"}, {"QEMU_CPU", "a"}};
        auto it = values.find(name);
        return it == values.end() ? nullptr : it->second;
    };
    auto c = parse({"-cpu", "b", "x"}, environment);
    ASSERT_TRUE(c);
    EXPECT_EQ(c->options.sysroot, "/ours");
    EXPECT_TRUE(c->options.strace);
    EXPECT_EQ(c->options.cpu_model, "b");
}

TEST(Command, Accelerators) {
    EXPECT_TRUE(parse({"-accel", "interp", "x"})->engine.interpreter);
    EXPECT_TRUE(parse({"-accel", "jit,verify=on", "x"})->engine.verify);
    auto tcg = parse({"-accel", "tcg,tb-size=16,thread=multi", "x"});
    ASSERT_TRUE(tcg);
    EXPECT_EQ(tcg->engine.code_bytes, 16u << 20);
    EXPECT_EQ(error({"-accel", "kvm", "x"}), "-accel kvm: expected jit, interp or tcg");
    EXPECT_EQ(error({"-accel", "jit,foo=1", "x"}),
              "-accel: there is no property foo, expected verify, one-insn-per-tb or tb-size");
    EXPECT_EQ(
        error({"-accel", "jit,verfy=on", "x"}),
        "-accel: there is no property verfy, expected verify, one-insn-per-tb or tb-size, did you mean 'verify'?");
    EXPECT_EQ(error({"-accel", "jit,verify=yes", "x"}), "-accel verify=yes: expected on or off");
    EXPECT_EQ(error({"-accel", "jit,one-insn-per-tb", "x"}), "-accel one-insn-per-tb=: expected on or off");
    EXPECT_EQ(error({"-accel", "jit,thread=many", "x"}), "-accel thread=many: expected multi or single");
    EXPECT_EQ(parse({"-accel", "help"})->action, RunCommand::Action::list_accels);
    EXPECT_NE(list_accels().find("tb-size=N"), std::string::npos);
}

TEST(Command, MistakesAreNamed) {
    EXPECT_EQ(error({}), "no program given (see mimic run -help)");
    EXPECT_EQ(error({"-nonsense", "x"}), "unknown option -nonsense (see mimic run -help)");
    EXPECT_EQ(error({"-L"}), "option -L needs DIR");
    EXPECT_EQ(error({"-nonsens", "x"}), "unknown option -nonsens (see mimic run -help)");
    EXPECT_EQ(error({"-acell", "x"}), "unknown option -acell, did you mean '-accel'? (see mimic run -help)");
    EXPECT_EQ(error({"--rot", "x"}), "unknown option --rot, did you mean '--root'? (see mimic run -help)");
    const std::string number =
        ": expected a number: decimal, with k, M or G for units of 1024, or 0x and hexadecimal digits";
    EXPECT_EQ(error({"-s", "lots", "x"}), "-s lots" + number);
    EXPECT_EQ(error({"-s", "99999999999999999999", "x"}), "-s 99999999999999999999" + number);
    EXPECT_EQ(error({"-s", "65G", "x"}), "-s 65G: expected at most 64G");
    EXPECT_EQ(parse({"-s", "1", "x"})->options.stack_size, 65536u);
    EXPECT_EQ(error({"-B", "0x1234", "x"}), "-B 0x1234: expected a multiple of 4096 below 2^47");
    EXPECT_EQ(error({"-R", "1T", "x"}), "-R 1T" + number);
    EXPECT_EQ(error({"-R", "1000001", "x"}), "-R 1000001: expected a multiple of 4096 from 1M to 2^47, or 0");
    EXPECT_EQ(error({"--cache-size=1k", "x"}), "--cache-size 1k: expected at least 1M");
    EXPECT_EQ(error({"--no-cache=1", "x"}), "option --no-cache takes no value");
    EXPECT_EQ(parse({"--cache-size=10M", "x"})->engine.cache_bytes, 10u << 20);
    EXPECT_EQ(error({"-seed", "x", "x"}), "-seed x" + number);
    EXPECT_EQ(error({"-p", "4294971392", "x"}), "-p 4294971392: expected 4096, 8192, 16384, 32768 or 65536");
    EXPECT_EQ(error({"-guest", "frob", "x"}).find("-guest frob: expected "), 0u);
    EXPECT_EQ(error({"-p", "5000", "x"}), "-p 5000: expected 4096, 8192, 16384, 32768 or 65536");
    EXPECT_EQ(error({"-E", "A", "x"}), "-E A: expected NAME=VALUE");
    EXPECT_EQ(error({"-U", "A=1", "x"}), "-U A=1: expected the name of a variable");
    EXPECT_EQ(error({"-d", "in_asn", "x"}),
              "-d in_asn: expected strace, calls, in_asm, op, op_opt, out_asm, exec, cpu, "
              "nochain, int, crash, cache, guest_error, or help, did "
              "you mean 'in_asm'?");
    EXPECT_EQ(error({"-accel", "jit,tb-size=0", "x"}), "-accel tb-size=0: expected 1 to 1024 (MiB)");
    EXPECT_EQ(error({"-accel", "jit,tb-size=9999999999", "x"}), "-accel tb-size=9999999999: expected 1 to 1024 (MiB)");
    for (auto filter : {"", "0x1000", "+0x10", "0x1000+", "0x1000+0", "0x10-0x20", "0x2000..0x1000", "a..b", "1..2,"})
        EXPECT_EQ(error({"-dfilter", filter, "x"}).find("-dfilter"), 0u) << filter;
}

TEST(Command, VariablesAreNamedInErrorsAndMaySayNo) {
    auto small = [](const char* name) { return std::string_view(name) == "MIMIC_CACHE_SIZE" ? "1k" : nullptr; };
    EXPECT_EQ(parse({"x"}, small).error().message(), "MIMIC_CACHE_SIZE: --cache-size 1k: expected at least 1M");
    auto off = [](const char* name) { return std::string_view(name) == "MIMIC_NO_CACHE" ? "0" : nullptr; };
    EXPECT_FALSE(parse({"x"}, off)->no_cache);
    auto on = [](const char* name) { return std::string_view(name) == "MIMIC_NO_CACHE" ? "1" : nullptr; };
    EXPECT_TRUE(parse({"x"}, on)->no_cache);
}

TEST(Command, LogItemsAndRanges) {
    auto c = parse({"-d", "in_asm,exec", "-d", "guest_error,int,op,op_opt,out_asm", "-D", "file", "x"});
    ASSERT_TRUE(c) << c.error().message();
    EXPECT_EQ(c->engine.log, 127u);
    EXPECT_EQ(c->log_file, "file");
    EXPECT_FALSE(parse({"-d", "nochain", "x"})->options.strace);
    EXPECT_EQ(parse({"-d", "cpu,nochain", "x"})->engine.log, cpu::log::registers);
    EXPECT_EQ(parse({"-d", "help"})->action, RunCommand::Action::list_log_items);
    EXPECT_NE(list_log_items().find("guest_error"), std::string::npos);
    c = parse({"-dfilter",
               "0x8000..0x8fff,0xffffffc000080000+0x200,0xffffffc000060000-0x1000,0xfffffffffffff000+0x1000", "x"});
    ASSERT_TRUE(c) << c.error().message();
    auto& r = c->engine.log_ranges;
    ASSERT_EQ(r.size(), 4u);
    EXPECT_EQ(r[0].low, 0x8000u);
    EXPECT_EQ(r[0].high, 0x9000u);
    EXPECT_EQ(r[1].high, 0xffffffc000080200u);
    EXPECT_EQ(r[2].low, 0xffffffc00005f000u);
    EXPECT_EQ(r[2].high, 0xffffffc000060000u);
    EXPECT_TRUE(r[3].contains(~u64{0}));
    EXPECT_FALSE(r[3].contains(0));
}

} // namespace
} // namespace mimic::user
