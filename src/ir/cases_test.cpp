// tests/*.op: an operation a line, "operation | operands => result".
//
//   udiv.zero i32      | 5 0                   => 0
//   vbin.add v128.i32  | {1 2 3 4} {1 1 1 -1}  => {2 3 4 3}
//   fadd f64           | 1 0x1p-60             => 1          raises inexact
//
// An operand is [type:]number, a list of lanes {..} or letters of flags; without a type it has the operation's. Operands
// are named %a %b %c when the operation's text names them, else they follow its type. "@ guest NAME", "@ mode NUMBER" and
// "@ vector BYTES" hold for the lines after them.
#include "ir/operands.hpp"
#include "ir/test_support.hpp"
#include "ir/text.hpp"
#include "ir/verify.hpp"
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <set>
#include <sstream>

namespace mimic::ir {
namespace {

struct Setting {
    const GuestState* guest = &test::riscv;
    u32 mode = 0, vector_bytes = 16;
};

struct Shape {
    Type type = Type::none;
    Lane lane = Lane::i8;
};

std::vector<std::string> split(std::string_view text) {
    std::vector<std::string> words;
    std::string word;
    int depth = 0;
    for (char c : text) {
        depth += (c == '{') - (c == '}');
        if (c != ' ' || depth)
            word += c;
        else if (!word.empty())
            words.push_back(std::move(word)), word.clear();
    }
    if (!word.empty()) words.push_back(word);
    return words;
}

// "v128.i32" or "i64"; type none when it is neither.
Shape shape_of(std::string_view s) {
    Shape shape;
    size_t dot = std::min(s.find('.'), s.size());
    shape.type = type_from(s.substr(0, dot));
    std::string_view lane = dot < s.size() ? s.substr(dot + 1) : shape.type == Type::none ? s : "";
    for (u8 n = 0; n <= u8(Lane::i128); ++n)
        if (to_string(Lane(n)) == lane) shape.lane = Lane(n);
    return shape;
}

using Value = std::vector<u8>;

void append(Value& v, u64 bits, u32 bytes) {
    for (u32 n = 0; n < bytes; ++n) v.push_back(u8(n < 8 ? bits >> 8 * n : 0));
}

u64 fp_bits(const std::string& s, u32 bytes) {
    double d = std::strtod(s.c_str(), nullptr);
    u64 bits = 0;
    float f = float(d);
    if (bytes == 4)
        std::memcpy(&bits, &f, 4);
    else
        std::memcpy(&bits, &d, 8);
    return bits;
}
bool looks_fp(const std::string& s) {
    return s.find_first_of(".p") != s.npos || s.find("inf") != s.npos || s.find("nan") != s.npos;
}
// A number of `bytes` bytes; FP types take 0x3f800000 and 1.0 (f32 and f64).
Value number(const std::string& s, u32 bytes, bool fp) {
    Value v;
    if (fp && looks_fp(s)) {
        append(v, fp_bits(s, bytes), bytes);
    } else if (s.starts_with("0x")) {
        for (size_t n = s.size(); n > 2; n -= std::min<size_t>(n - 2, 2))
            v.push_back(
                u8(std::stoul(s.substr(std::max<size_t>(n - 2, 2), n - std::max<size_t>(n - 2, 2)), nullptr, 16)));
        v.resize(bytes);
    } else {
        i64 x = s[0] == '-' ? std::stoll(s) : i64(std::stoull(s));
        append(v, u64(x), std::min(bytes, 8u));
        v.resize(bytes, s[0] == '-' ? 0xff : 0);
    }
    return v;
}

u32 flag_letters(const std::string& s) {
    u32 f = 0;
    for (char c : s) {
        u32 bit = c == 'c'   ? flag::c
                  : c == 'p' ? flag::p
                  : c == 'a' ? flag::a
                  : c == 'z' ? flag::z
                  : c == 'n' ? flag::n
                  : c == 'v' ? flag::v
                             : 0;
        if (!bit && c != '-') ADD_FAILURE() << "'" << c << "' is no flag";
        f |= bit;
    }
    return f;
}

Value literal(std::string s, Shape shape, u32 vector_bytes) {
    u32 bytes = size_of(shape.type, vector_bytes), lane = lane_bytes(shape.lane);
    if (shape.type == Type::flags) {
        Value v;
        append(v, flag_letters(s), 4);
        return v;
    }
    if (s[0] != '{') {
        Value v = number(s, bytes, is_fp(shape.type));
        if (shape.type == Type::i1) v[0] &= 1;
        if (shape.type == Type::f80) v.resize(10), v.resize(16);
        return v;
    }
    Value v;
    for (const std::string& w : split(s.substr(1, s.size() - 2))) {
        if (shape.type == Type::mask) {
            v.resize(32);
            u32 n = u32(v[31]); // counts lanes while reading; no test reaches bit 248
            if (w != "0") v[n * lane / 8] |= u8(1 << n * lane % 8);
            v[31] = u8(n + 1);
        } else {
            Value x = number(w, lane, is_fp(shape.lane));
            v.insert(v.end(), x.begin(), x.end());
        }
    }
    if (shape.type == Type::mask) v[31] = 0;
    EXPECT_LE(v.size(), bytes) << s;
    v.resize(bytes);
    return v;
}

std::string hex(const Value& v) {
    std::string s = "0x";
    for (size_t n = v.size(); n-- > 0;) {
        char digits[3];
        std::snprintf(digits, sizeof digits, "%02x", v[n]);
        s += digits;
    }
    return s;
}

u32 raised(const std::vector<std::string>& names) {
    u32 f = 0;
    for (const std::string& s : names) {
        namespace sf = softfloat::flag;
        u32 bit = s == "invalid"     ? u32(sf::invalid)
                  : s == "divide"    ? u32(sf::divide_by_zero)
                  : s == "overflow"  ? u32(sf::overflow)
                  : s == "underflow" ? u32(sf::underflow)
                  : s == "inexact"   ? u32(sf::inexact)
                  : s == "flushed"   ? u32(sf::denormal_flushed)
                  : s == "denormal"  ? u32(sf::denormal_used)
                  : s == "saturated" ? fpflag::saturated
                                     : 0;
        if (!bit) ADD_FAILURE() << "'" << s << "' is no flag";
        f |= bit;
    }
    return f;
}

struct Line {
    std::string text; // of the unit
    Shape result;
    Value expected;
    u32 flags = 0;
    bool f80 = false;
};

// The line as a unit that puts the result into out_T.
Line unit_of(const std::string& line, const Setting& setting) {
    size_t bar = line.find('|'), arrow = line.find("=>");
    std::vector<std::string> op = split(line.substr(0, bar)), operands = split(line.substr(bar + 1, arrow - bar - 1)),
                             results = split(line.substr(arrow + 2));
    Shape shape = op.size() > 1 ? shape_of(op[1]) : Shape{};
    bool has_shape = op.size() > 1 && (shape.type != Type::none || shape.lane != Lane::i8 || op[1] == "i8");
    Line out;
    out.text = "unit vector " + std::to_string(setting.vector_bytes) + "\nb0:\n";
    std::string names;
    for (size_t n = 0; n < operands.size(); ++n) {
        std::string word = operands[n];
        size_t colon = word.find(':');
        Shape own = shape;
        if (colon != word.npos) {
            own = shape_of(word.substr(0, colon));
            if (word.substr(0, colon).find('.') == word.npos) own.lane = shape.lane;
            word = word.substr(colon + 1);
        }
        std::string name = std::string(" %") + char('a' + n);
        Value v = literal(word, own, setting.vector_bytes);
        out.text += " " + name + " = constant " + std::string(to_string(own.type)) + " " + hex(v) + "\n";
        names += name;
        out.f80 |= own.type == Type::f80;
    }
    std::string body = op[0];
    bool named = line.substr(0, bar).find('%') != line.npos;
    for (size_t n = 1; n < op.size(); ++n) {
        if (n == (has_shape ? 2u : 1u) && !named) body += names;
        body += " " + op[n];
    }
    if (op.size() <= (has_shape ? 2u : 1u) && !named) body += names;
    std::string name = op[0].substr(0, op[0].find('.'));
    Op code = Op::nop;
    for (u32 n = 0; n < op_count; ++n)
        if (info(Op(n)).name == name) code = Op(n);
    out.result = {info(code).result != Type::none ? info(code).result : shape.type, shape.lane};
    std::string word = results[0];
    if (size_t colon = word.find(':'); colon != word.npos) {
        std::string prefix = word.substr(0, colon); // [type.]lane
        out.result.lane = shape_of(prefix.find('.') == prefix.npos ? "none." + prefix : prefix).lane;
        word = word.substr(colon + 1);
    }
    out.expected = literal(word, out.result, setting.vector_bytes);
    out.f80 |= out.result.type == Type::f80;
    out.text += "  %r = " + body + "\n  put out_" + std::string(to_string(out.result.type)) + " %r\n  exit 0\n";
    if (results.size() > 1) {
        EXPECT_EQ(results[1], "raises");
        out.flags = raised({results.begin() + 2, results.end()});
    }
    return out;
}

struct Cases : testing::TestWithParam<std::string> {
    // The operations that have a line, over all files.
    static std::set<std::string>& covered() {
        static std::set<std::string> names;
        return names;
    }
};

void run_line(const std::string& line, const Setting& setting) {
    Line c = unit_of(line, setting);
    auto unit = parse(c.text, *setting.guest);
    ASSERT_TRUE(unit) << unit.error().message() << "\n" << c.text;
    auto good = verify(*unit, *setting.guest);
    ASSERT_TRUE(good) << good.error().message() << "\n" << c.text;
    test::Cpu cpu;
    cpu.header.fp.mode = cpu.header.fp80.mode = setting.mode;
    test::FlatMemory memory;
    Interpreter interpreter;
    interpreter.run(*unit, *setting.guest, cpu.header, memory);
    const u8* at = cpu.state + 1568;
    Value got(at, at + c.expected.size());
    EXPECT_EQ(hex(got), hex(c.expected));
    EXPECT_EQ((c.f80 ? cpu.header.fp80 : cpu.header.fp).flags, c.flags);
}

TEST_P(Cases, Hold) {
    std::ifstream file(GetParam());
    ASSERT_TRUE(file) << GetParam();
    Setting setting;
    std::string line;
    for (u32 number = 1; std::getline(file, line); ++number) {
        line = line.substr(0, line.find(';'));
        SCOPED_TRACE(GetParam() + ":" + std::to_string(number) + ": " + line);
        std::vector<std::string> words = split(line);
        if (words.empty()) continue;
        if (words[0] != "@") {
            run_line(line, setting);
            std::string op = words[0];
            if (Inst i; true) {
                for (u32 n = 0; n < op_count; ++n)
                    if (info(Op(n)).name == op.substr(0, op.find('.'))) i.op = Op(n);
                covered().insert(kinds_of(i.op).empty() ? std::string(info(i.op).name) : op);
            }
        } else if (words[1] == "guest") {
            setting.guest = words[2] == "aarch64" ? &test::aarch64 : words[2] == "x86" ? &test::x86 : &test::riscv;
        } else if (words[1] == "mode") {
            setting.mode = u32(std::stoul(words[2], nullptr, 0));
        } else {
            setting.vector_bytes = u32(std::stoul(words[2]));
        }
    }
}

std::vector<std::string> files() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator("src/ir/tests"))
        if (entry.path().extension() == ".op") names.push_back(entry.path().string());
    std::sort(names.begin(), names.end());
    return names;
}
INSTANTIATE_TEST_SUITE_P(Files, Cases, testing::ValuesIn(files()),
                         [](const auto& parameter) { return std::filesystem::path(parameter.param).stem().string(); });

} // namespace
} // namespace mimic::ir
