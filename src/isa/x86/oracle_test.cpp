// Text and encodings against binutils, both ways: objdump must print what we print, and `as` must make of our text what
// we make of it. Skipped where binutils is not installed.
#include "isa/guest.hpp"
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fmt/core.h>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <random>

namespace mimic::isa {
namespace {

constexpr u32 slot = 16; // bytes from one instance to the next; the rest is filled with nops

std::string run(const std::string& command) {
    std::string out;
    FILE* p = popen(command.c_str(), "r");
    std::array<char, 4096> buffer;
    while (p && fgets(buffer.data(), buffer.size(), p)) out += buffer.data();
    return p && pclose(p) == 0 ? out : "";
}

// Single blanks, no comment, no symbol.
std::string plain(std::string_view text) {
    std::string out;
    text = text.substr(0, text.find('#'));
    text = text.substr(0, text.find('<'));
    for (char c : text) {
        if (c == '\t') c = ' ';
        if (c == ' ' && (out.empty() || out.back() == ' ')) continue;
        if (c != '\n') out += c;
    }
    while (!out.empty() && out.back() == ' ') out.pop_back();
    return out;
}

struct Line {
    std::string text;
    u32 length = 0;
};
// What objdump makes of the bytes, by address.
std::map<u32, Line> objdump(const std::string& file) {
    std::istringstream in(
        run("objdump -D -b binary -m i386:x86-64 -M intel -w --no-show-raw-insn " + file + " 2>/dev/null"));
    std::map<u32, Line> out;
    u32 last = ~0u;
    for (std::string line; std::getline(in, line);) {
        char* end;
        u32 at = u32(std::strtoul(line.c_str(), &end, 16));
        if (end == line.c_str() || *end != ':') continue;
        if (last != ~0u) out[last].length = at - last;
        out[last = at].text = plain(end + 1);
    }
    return out;
}

struct Instance {
    std::vector<u8> bytes;
    std::string text;
    u32 row;
};

struct X86Oracle : testing::Test {
    std::unique_ptr<Guest> guest = *find_guest("x86_64")->make("max");
    std::vector<Instance> instances;
    std::string path = testing::TempDir() + "x86_oracle";

    void make(u32 each) {
        std::mt19937_64 random(3);
        for (u32 row = 0; row < guest->row_count(); ++row)
            for (u32 k = 0; k < each; ++k) {
                Instance i{guest->random_instance(row, random), {}, row};
                u32 length;
                i.text = guest->disassemble(i.bytes, u64(instances.size()) * slot, 0, length);
                instances.push_back(std::move(i));
            }
    }
    void SetUp() override {
        if (run("objdump --version 2>/dev/null").empty() || run("as --version 2>/dev/null").empty())
            GTEST_SKIP() << "binutils is not installed";
        make(30);
    }
};

// binutils prints prefixes that mean nothing here; the bytes mean the same.
bool is_exception(const Instance& i, std::string_view theirs) {
    if (theirs.find("rex") != theirs.npos) return true;      // an unused REX prefix: we print none
    bool wide_shadow = theirs.find("data16") != theirs.npos; // 66 under REX.W
    return wide_shadow && i.text.find("data16") == i.text.npos;
}

// Undefined, so `as` knows no such thing: bswap of 16 bits.
bool is_refused(const Instance& i) {
    return i.text.starts_with("bswap") && std::count(i.bytes.begin(), i.bytes.end(), 0x66);
}

// `as` chooses other bytes than those that print so.
bool is_other_choice(const Instance& i) {
    auto has = [&](std::string_view part) { return i.text.find(part) != i.text.npos; };
    return has("+0x0]")                        // a zero displacement is dropped
           || has("[eiz*1+")                   // so is every displacement of this
           || i.text.ends_with(",0x1")         // a shift by an immediate 1 becomes the shift by one
           || has("movmsk") || has("pmovmskb") // a 64-bit destination becomes the 32-bit one,
           || has("pextrw")                    // which means the same
           || i.text.starts_with("xchg ");     // either operand may be ModRM.rm, and rax has a short form
}

TEST_F(X86Oracle, ObjdumpPrintsWhatWePrint) {
    std::ofstream(path + ".bin", std::ios::binary).close();
    {
        std::ofstream out(path + ".bin", std::ios::binary);
        for (const Instance& i : instances) {
            std::vector<u8> padded(slot, 0x90);
            std::copy(i.bytes.begin(), i.bytes.end(), padded.begin());
            out.write(reinterpret_cast<const char*>(padded.data()), slot);
        }
    }
    auto theirs = objdump(path + ".bin");
    std::map<u32, u32> shown;
    u32 exceptions = 0;
    for (u32 n = 0; n < instances.size(); ++n) {
        const Instance& i = instances[n];
        const Line& line = theirs[n * slot];
        if (line.text == i.text && line.length == i.bytes.size()) continue;
        if (is_exception(i, line.text)) {
            ++exceptions;
            continue;
        }
        if (shown[i.row]++ < 2)
            ADD_FAILURE() << fmt::format("{} ({} bytes), objdump: {} ({})", i.text, i.bytes.size(), line.text,
                                         line.length);
    }
    RecordProperty("instances", int(instances.size()));
    RecordProperty("exceptions", int(exceptions));
}

TEST_F(X86Oracle, AsAssemblesWhatWeAssemble) {
    {
        std::ofstream out(path + ".s");
        out << ".intel_syntax noprefix\n";
        for (u32 n = 0; n < instances.size(); ++n) {
            std::string text = instances[n].text;
            if (is_refused(instances[n])) text = "nop";
            std::string_view pattern = guest->row(instances[n].row).pattern;
            if (pattern.find(" cb") != pattern.npos || pattern.find(" cd") != pattern.npos) {
                auto at = text.rfind("0x"); // a distance, so that nothing is left to the linker
                u64 target = std::strtoull(text.c_str() + at, nullptr, 16);
                text = text.substr(0, at) + fmt::format(".+({})", i64(target - u64(n) * slot));
            }
            out << ".p2align 4,0x90\n" << text << '\n';
        }
        out << ".p2align 4,0x90\n";
    }
    std::string log =
        run(fmt::format("as -W -o {0}.o {0}.s 2>&1 && objcopy -O binary -j .text {0}.o {0}.out && echo done", path));
    ASSERT_EQ(log, "done\n");
    std::ifstream in(path + ".out", std::ios::binary);
    std::string code((std::istreambuf_iterator<char>(in)), {});
    ASSERT_EQ(code.size(), instances.size() * slot);
    std::map<u32, u32> shown;
    for (u32 n = 0; n < instances.size(); ++n) {
        const Instance& i = instances[n];
        if (is_refused(i)) continue;
        auto ours = guest->assemble(i.text, u64(n) * slot, 0);
        ASSERT_TRUE(ours) << ours.error().message();
        auto* theirs = reinterpret_cast<const u8*>(code.data()) + n * slot;
        if (std::equal(ours->begin(), ours->end(), theirs)) continue;
        // Another encoding will do when it means, and so prints, the same and ours is no longer.
        u32 length;
        std::string back = guest->disassemble({theirs, slot}, u64(n) * slot, 0, length);
        if ((back == i.text && ours->size() <= length) || is_other_choice(i)) continue;
        if (shown[i.row]++ < 2)
            ADD_FAILURE() << fmt::format("{}: ours {} bytes, as {} bytes: {}", i.text, ours->size(), length, back);
    }
}

} // namespace
} // namespace mimic::isa
