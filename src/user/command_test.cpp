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
    EXPECT_EQ(error({"-accel", "jit,foo=1", "x"}), "-accel option foo=1, expected verify, one-insn-per-tb or tb-size");
}

TEST(Command, MistakesAreNamed) {
    EXPECT_EQ(error({}), "no program given (see mimic run -help)");
    EXPECT_EQ(error({"-nonsense", "x"}), "unknown option -nonsense (see mimic run -help)");
    EXPECT_EQ(error({"-L"}), "option -L needs DIR");
    EXPECT_EQ(error({"-s", "lots", "x"}), "-s lots: expected a number");
    EXPECT_EQ(error({"-s", "99999999999999999999", "x"}), "-s 99999999999999999999: expected a number");
    EXPECT_EQ(error({"-s", "1", "x"}), "-s 1: expected 64K to 64G");
    EXPECT_EQ(error({"-p", "5000", "x"}), "-p 5000: expected 4096, 8192, 16384, 32768 or 65536");
    EXPECT_EQ(error({"-E", "A", "x"}), "-E A: expected NAME=VALUE");
    EXPECT_EQ(error({"-U", "A=1", "x"}), "-U A=1: expected the name of a variable");
    EXPECT_EQ(error({"-d", "in_asn", "x"}), "-d in_asn: expected strace, in_asm, op, op_opt, out_asm or exec");
}

} // namespace
} // namespace mimic::user
