// tests/*.run: small units with state before and after, for what one operation cannot show: memory, faults, control,
// calls. A case is
//
//   == name
//   in: x1=5 m0x1000=11223344 poll=1       slots by name, bytes of memory at m<address>; base: what pcs count from
//   instructions, or blocks                (no block head: b0 at pc 0x100)
//   out: x2=6 exit=link pc=0x104           as in; exit, pc, arg, address, fault, mode; what is not named is not looked at
//
// Memory is the 8 KiB from 0x1000 on. Slot values are numbers, low bytes first where they are longer than the number.
#include "ir/operands.hpp"
#include "ir/test_support.hpp"
#include "ir/text.hpp"
#include "ir/verify.hpp"
#include <charconv>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <set>
#include <sstream>

namespace mimic::ir {
namespace {

int sum_and_difference(CpuHeader*, const Wide* a, Wide* r) {
    r[0].w[0] = a[0].w[0] + a[1].w[0];
    r[1].w[0] = a[0].w[0] - a[1].w[0];
    return 0;
}
int sum_of_five(CpuHeader*, const Wide* a, Wide* r) {
    r[0].w[0] = 0;
    for (int n = 0; n < 5; ++n) r[0].w[0] = r[0].w[0] * 10 + a[n].w[0];
    return 0;
}
int swap_halves(CpuHeader*, const Wide* a, Wide* r) {
    r[0] = {{a[0].w[1], a[0].w[0]}};
    return 0;
}
int bump_x7(CpuHeader* cpu, const Wide*, Wide*) {
    ++*reinterpret_cast<u64*>(home(cpu, test::slots[7]));
    return 0;
}
int leave_if_odd(CpuHeader* cpu, const Wide* a, Wide*) {
    if (a[0].w[0] % 2 == 0) return 0;
    cpu->exit_kind = ExitKind::trap;
    cpu->exit_arg = 77;
    return 1;
}
constexpr Intrinsic both{"sum_and_difference", sum_and_difference, 2, 2, Intrinsic::pure};
constexpr Intrinsic five{"sum_of_five", sum_of_five, 5, 1, Intrinsic::pure};
constexpr Intrinsic swap{"swap_halves", swap_halves, 1, 1, Intrinsic::pure};
constexpr Intrinsic bump{"bump_x7", bump_x7, 0, 0, Intrinsic::reads_state | Intrinsic::writes_state};
constexpr Intrinsic odd{"leave_if_odd", leave_if_odd, 1, 0, Intrinsic::may_exit};
constexpr const Intrinsic* intrinsics[] = {&both, &five, &swap, &bump, &odd};

struct Program {
    std::string name, in, text, out;
    u32 line = 0;
};

std::vector<Program> programs(const std::string& path) {
    std::ifstream file(path);
    EXPECT_TRUE(file) << path;
    std::vector<Program> all;
    std::string line;
    for (u32 number = 1; std::getline(file, line); ++number) {
        if (line.starts_with("== "))
            all.push_back({line.substr(3), "", "", "", number});
        else if (all.empty())
            continue;
        else if (line.starts_with("in:"))
            all.back().in = line.substr(3);
        else if (line.starts_with("out:"))
            all.back().out += line.substr(4) + " ";
        else
            all.back().text += line + "\n";
    }
    return all;
}

// Bytes of a number (0x.. of any length) or of plain hexadecimal digits in memory order.
std::vector<u8> bytes_of(std::string_view s, bool memory_order) {
    std::vector<u8> v;
    if (!memory_order && !s.starts_with("0x")) {
        i64 n = 0;
        std::from_chars(s.data(), s.data() + s.size(), n);
        for (int k = 0; k < 8; ++k) v.push_back(u8(u64(n) >> 8 * k));
        return v;
    }
    std::string digits(memory_order ? s : s.substr(2));
    if (digits.size() % 2) digits = "0" + digits;
    for (size_t n = 0; n < digits.size(); n += 2) v.push_back(u8(std::stoul(digits.substr(n, 2), nullptr, 16)));
    if (!memory_order) std::reverse(v.begin(), v.end());
    return v;
}

struct Programs : testing::TestWithParam<std::string> {};

struct Machine {
    test::Cpu cpu;
    test::FlatMemory memory;
    Interpreter interpreter;

    // Where NAME of NAME=VALUE lives, and its size; memory: as many bytes as the value has.
    u8* place(const std::string& name, size_t given, size_t& size) {
        size = given;
        if (name[0] == 'm' && name[1] == '0') return memory.at(std::stoull(name.substr(1), nullptr, 0));
        for (const Slot& s : test::slots)
            if (s.name == name) {
                size = size_of(s.type, 256);
                return cpu.state + s.offset;
            }
        ADD_FAILURE() << "no slot " << name;
        return nullptr;
    }
    u64* field(const std::string& name, u64& copy) {
        CpuHeader& h = cpu.header;
        copy = name == "exit"       ? u64(h.exit_kind)
               : name == "pc"       ? h.pc
               : name == "arg"      ? h.exit_arg
               : name == "address"  ? h.fault_address
               : name == "fault"    ? u64(h.fault_kind)
               : name == "mode"     ? h.mode
               : name == "poll"     ? h.poll
               : name == "budget"   ? u64(h.budget)
               : name == "behind"   ? h.behind
               : name == "fpflags"  ? h.fp.flags
               : name == "fpmode"   ? h.fp.mode
               : name == "fp80mode" ? h.fp80.mode
                                    : ~u64{1};
        return copy == ~u64{1} ? nullptr : &copy;
    }
};

u64 number(const std::string& s) {
    constexpr std::string_view exits[] = {"none", "link", "lookup", "poll", "trap", "fault", "budget"};
    constexpr std::string_view faults[] = {"read", "write", "fetch", "misaligned"};
    for (u64 n = 0; n < std::size(exits); ++n)
        if (exits[n] == s) return n;
    for (u64 n = 0; n < 4; ++n)
        if (faults[n] == s) return n;
    return std::stoull(s, nullptr, 0);
}

std::vector<std::pair<std::string, std::string>> pairs(const std::string& text) {
    std::istringstream in(text);
    std::vector<std::pair<std::string, std::string>> all;
    for (std::string w; in >> w;) all.emplace_back(w.substr(0, w.find('=')), w.substr(w.find('=') + 1));
    return all;
}

std::string hex(const u8* p, size_t n) {
    std::string s;
    for (size_t k = 0; k < n; ++k) {
        char d[3];
        std::snprintf(d, sizeof d, "%02x", p[k]);
        s += d;
    }
    return s;
}

void run(const Program& p) {
    std::string text = p.text;
    if (text.find("\nb0") == text.npos && !text.starts_with("b0")) text = "b0 pc 0x100:\n" + text;
    if (text.find("unit ") == text.npos) text = "unit vector 32\n" + text;
    auto unit = parse(text, test::riscv, intrinsics);
    ASSERT_TRUE(unit) << unit.error().message();
    auto good = verify(*unit, test::riscv);
    ASSERT_TRUE(good) << good.error().message();
    Machine m;
    for (auto& [name, value] : pairs(p.in)) {
        if (name == "base") {
            m.cpu.header.code_base = number(value);
            continue;
        } else if (name == "budget") {
            m.cpu.header.budget = i64(number(value));
            continue;
        } else if (name == "poll") {
            m.cpu.header.poll = u32(number(value));
            continue;
        }
        bool memory = name[0] == 'm';
        std::vector<u8> bytes = bytes_of(value, memory);
        size_t size;
        u8* at = m.place(name, bytes.size(), size);
        bytes.resize(size);
        std::memcpy(at, bytes.data(), size);
    }
    m.interpreter.run(*unit, test::riscv, m.cpu.header, m.memory);
    for (auto& [name, value] : pairs(p.out)) {
        u64 got;
        if (m.field(name, got)) {
            EXPECT_EQ(got, number(value)) << name;
            continue;
        }
        std::vector<u8> bytes = bytes_of(value, name[0] == 'm');
        size_t size;
        u8* at = m.place(name, bytes.size(), size);
        bytes.resize(size);
        EXPECT_EQ(hex(at, size), hex(bytes.data(), size)) << name;
    }
}

TEST_P(Programs, Hold) {
    for (const Program& p : programs(GetParam())) {
        SCOPED_TRACE(GetParam() + ":" + std::to_string(p.line) + ": " + p.name);
        run(p);
    }
}

std::vector<std::string> files(std::string_view extension) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator("src/ir/tests"))
        if (entry.path().extension() == extension) names.push_back(entry.path().string());
    std::sort(names.begin(), names.end());
    return names;
}
INSTANTIATE_TEST_SUITE_P(Files, Programs, testing::ValuesIn(files(".run")),
                         [](const auto& parameter) { return std::filesystem::path(parameter.param).stem().string(); });

// Every operation, and every kind of the families, stands in a file of tests/.
TEST(Tables, NameEveryOperation) {
    std::set<std::string> seen;
    for (std::string_view extension : {".op", ".run"})
        for (const std::string& path : files(extension)) {
            std::ifstream file(path);
            for (std::string word; file >> word;) seen.insert(word);
        }
    for (u32 n = 0; n < op_count; ++n) {
        std::string name(info(Op(n)).name);
        std::vector<std::string> wanted;
        for (const KindInfo& k : kinds_of(Op(n))) wanted.push_back(name + "." + std::string(k.name));
        for (std::string_view k : sub_names(Op(n))) wanted.push_back(k.empty() ? name : name + "." + std::string(k));
        if (wanted.empty()) wanted.push_back(name);
        for (const std::string& w : wanted) EXPECT_TRUE(seen.contains(w)) << w;
    }
}

} // namespace
} // namespace mimic::ir
