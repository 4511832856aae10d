// guest_text GUEST [--seed N] [--count N] [--root DIR] [--folder DIR]
//
// Encodings and text against binutils, in both directions: COUNT random instances of every row are disassembled by
// objdump and by us, and our text is assembled by as to the same bytes; neighbours of the instances are disassembled, too,
// and must be illegal for both or for neither. DIR/tools says how the tools are called,
// DIR/exceptions what they do not know (default: tests/guest/GUEST/text). --root: where Debian's packages of the tools
// were unpacked, if not installed. Exit status: 0 all agree, 1 differences, 2 trouble, 77 no tools here.
#include "base/result.hpp"
#include "isa/guest.hpp"
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fmt/core.h>
#include <fnmatch.h>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <unistd.h>
#include <vector>

namespace mimic::test::text {
namespace {

namespace fs = std::filesystem;

struct Options {
    std::string guest, root, folder;
    u64 seed = 1, count = 20;
};

// tests/guest/GUEST/text/tools: lines "objdump ARGUMENTS", "as ARGUMENTS", "prefix PREFIX" of the programs' names,
// "undefined GLOB" of what objdump prints for bytes that are no instruction, "before N DIRECTIVE" for instructions of
// N bytes, "comment WORD" for what begins a comment (default: #, // and the symbol in angle brackets).
struct Tools {
    std::string prefix, objdump, as, undefined, model; // model: of the CPU, empty for the default one
    std::map<u32, std::string> before;
    std::vector<std::string> comments;
};
// Lines "GLOB print|assemble|both REASON": our text of instructions for which that direction is not compared
// (or "illegal: " and objdump's).
struct Exception {
    std::string glob;
    bool print = false, assemble = false;
    u32 used = 0;
};

struct Sample {
    u32 row = 0; // no_row: not to be assembled
    std::vector<u8> bytes;
    std::string text;     // at its place among the samples
    std::string relative; // with pc-relative operands as as takes them
    u32 length = 0;       // of the instruction
};
constexpr u64 place = 32; // bytes between two samples: longer than what any flip makes of one

std::vector<std::string> lines_of(const std::string& path) {
    std::vector<std::string> out;
    std::ifstream in(path);
    for (std::string s; std::getline(in, s);)
        if (!s.empty() && s[0] != '#') out.push_back(s);
    return out;
}

Tools read_tools(const std::string& folder) {
    Tools t;
    for (const std::string& s : lines_of(folder + "/tools")) {
        std::istringstream words(s);
        std::string name, rest;
        words >> name;
        u32 bytes = 0;
        if (name == "before") words >> bytes;
        std::getline(words >> std::ws, rest);
        if (name == "before") t.before[bytes] = rest;
        if (name == "prefix") t.prefix = rest;
        if (name == "objdump") t.objdump = rest;
        if (name == "as") t.as = rest;
        if (name == "model") t.model = rest;
        if (name == "undefined") t.undefined = rest;
        if (name == "comment") t.comments.push_back(rest);
    }
    if (t.comments.empty()) t.comments = {"#", "//"};
    return t;
}
Result<std::vector<Exception>> read_exceptions(const std::string& folder) {
    std::vector<Exception> out;
    for (const std::string& s : lines_of(folder + "/exceptions")) {
        auto bar = s.find(" | ");
        std::istringstream words(bar == s.npos ? "" : s.substr(bar + 3));
        std::string what, reason;
        words >> what >> reason;
        if (reason.empty()) return Error::invalid_argument("'{}': expected GLOB | print|assemble|both REASON", s);
        std::string glob = s.substr(0, s.find_last_not_of(' ', bar - 1) + 1);
        out.push_back({glob, what != "assemble", what != "print"});
    }
    return out;
}

// The command of a tool; one of another release runs under its own loader.
std::string command(const Options& o, const Tools& t, std::string_view tool) {
    if (o.root.empty()) return fmt::format("{}{}", t.prefix, tool);
    std::string libraries = o.root + "/usr/lib/x86_64-linux-gnu";
    return fmt::format("{0}/ld-linux-x86-64.so.2 --library-path {0} {1}/usr/bin/{2}{3}", libraries, o.root, t.prefix,
                       tool);
}
int shell(const std::string& text) { return std::system(text.c_str()); }

// Words and punctuation without space, numbers in one form, comments and symbols gone.
std::string normal(std::string_view s, const Tools& t) {
    std::string out;
    s = s.substr(0, s.find('<'));
    for (const std::string& comment : t.comments) s = s.substr(0, s.find(comment));
    for (std::size_t at = 0; at < s.size();) {
        char c = s[at];
        if (c == ' ' || c == '\t' || c == ',') {
            if (!out.empty() && out.back() != ' ') out += ' ';
            ++at;
            continue;
        }
        std::size_t end = at;
        while (end < s.size() && (std::isalnum(u8(s[end])) || s[end] == '.' || s[end] == '_')) ++end;
        std::string word(s.substr(at, std::max<std::size_t>(end - at, 1)));
        char* rest;
        bool negative = !out.empty() && out.back() == '-';
        u64 v = std::strtoull(word.c_str(), &rest, word.starts_with("0x") ? 16 : 10);
        if (std::isdigit(u8(word[0])) && *rest == 0) {
            if (negative) out.pop_back();
            word = fmt::format("{}", negative ? 0 - v : v);
        }
        out += word;
        at += word.empty() ? 1 : std::max<std::size_t>(end - at, 1);
    }
    while (!out.empty() && out.back() == ' ') out.pop_back();
    return out;
}

// A target is hexadecimal without a mark, and a symbol follows it.
std::string normal_listing(std::string s, const Tools& t) {
    if (fnmatch(t.undefined.c_str(), s.c_str(), FNM_EXTMATCH) == 0) return "illegal";
    auto symbol = s.find(" <");
    if (symbol != s.npos) s.insert(s.find_last_of(", \t", symbol - 1) + 1, "0x");
    return normal(s, t);
}

// The operand that changes with the pc, as an offset from here.
std::string relative_text(const isa::Guest& guest, std::span<const u8> bytes) {
    u32 length;
    std::string here = guest.disassemble(bytes, 0, 0, length), there = guest.disassemble(bytes, 0x1000, 0, length);
    if (here == there) return here;
    auto from = here.find_last_of(", ") + 1;
    u64 offset = std::strtoull(here.c_str() + from, nullptr, 0);
    return fmt::format("{}. + {}", here.substr(0, from), i64(offset));
}

std::vector<Sample> samples(const isa::Guest& guest, const Options& o) {
    std::vector<Sample> out;
    std::mt19937_64 random(o.seed);
    for (u32 row = 0; row < guest.row_count(); ++row) {
        for (u64 k = 0; k < o.count; ++k) {
            Sample s{.row = row, .bytes = guest.random_instance(row, random)};
            if (s.bytes.empty() || s.bytes.size() > place) continue;
            u32 length;
            s.text = guest.disassemble(s.bytes, out.size() * place, 0, length);
            s.relative = relative_text(guest, s.bytes);
            s.length = u32(s.bytes.size());
            out.push_back(std::move(s));
        }
    }
    return out;
}

// Neighbours of instances, a bit away: reserved encodings, and instructions of other rows.
void add_neighbours(const isa::Guest& guest, const Options& o, std::vector<Sample>& all) {
    std::mt19937_64 random(o.seed);
    for (std::size_t k = 0, count = all.size(); k < count; ++k) {
        Sample s{.row = isa::Guest::no_row, .bytes = all[k].bytes};
        u32 bit = u32(random() % (8 * s.bytes.size())), length;
        s.bytes[bit / 8] ^= u8(1u << bit % 8);
        s.length = u32(s.bytes.size());
        s.bytes.resize(place);
        u64 pc = all.size() * place;
        s.text = s.relative = "illegal";
        if (guest.row_of(s.bytes, pc, 0) != isa::Guest::no_row) {
            s.text = guest.disassemble(s.bytes, pc, 0, length);
            s.relative = relative_text(guest, s.bytes);
        }
        all.push_back(std::move(s));
    }
}

std::string hexadecimal(std::span<const u8> bytes, u32 length) {
    std::string out;
    for (u8 b : bytes.first(length)) out += fmt::format("{:02x}", b);
    return out;
}

bool excepted(std::vector<Exception>& all, const std::string& text, bool print) {
    for (Exception& e : all) {
        if (!(print ? e.print : e.assemble) || fnmatch(e.glob.c_str(), text.c_str(), FNM_EXTMATCH)) continue;
        ++e.used;
        return true;
    }
    return false;
}

struct Run {
    const Options& options;
    Tools tools;
    fs::path folder;
    std::vector<Sample> all;
    std::vector<Exception> exceptions;
    u32 differences = 0;

    std::string file(std::string_view name) const { return folder / name; }
    void differ(const std::string& text) {
        if (++differences <= 1000) fmt::print("{}\n", text);
    }

    bool print() {
        std::vector<u8> blob(all.size() * place);
        for (std::size_t k = 0; k < all.size(); ++k)
            std::copy(all[k].bytes.begin(), all[k].bytes.end(), blob.begin() + i64(k * place));
        std::ofstream(file("code"), std::ios::binary).write(reinterpret_cast<char*>(blob.data()), i64(blob.size()));
        // Put into an object file of as, so that objdump learns the extensions from its attributes.
        std::ofstream(file("empty.s")) << "nop\n";
        std::string object = file("empty.o"), as = command(options, tools, "as"),
                    objcopy = command(options, tools, "objcopy");
        if (shell(fmt::format("{} {} -o {} {}", as, tools.as, object, file("empty.s")))) return false;
        if (shell(fmt::format("{} --update-section .text={} {}", objcopy, file("code"), object))) return false;
        std::string objdump = command(options, tools, "objdump");
        if (shell(fmt::format("{} {} {} > {}", objdump, tools.objdump, object, file("listing")))) return false;
        std::map<u64, std::string> theirs;
        for (const std::string& s : lines_of(file("listing"))) {
            auto colon = s.find(":\t"), tab = s.find('\t', colon + 2);
            if (colon == s.npos || tab == s.npos) continue;
            theirs[std::strtoull(s.c_str(), nullptr, 16)] = s.substr(tab + 1);
        }
        for (std::size_t k = 0; k < all.size(); ++k) {
            std::string a = normal(all[k].text, tools), b = normal_listing(theirs[k * place], tools);
            std::string known = a == "illegal" ? "illegal: " + b : all[k].relative;
            if (a != b && !excepted(exceptions, known, true))
                differ(fmt::format("{} prints '{}', objdump '{}'", hexadecimal(all[k].bytes, u32(all[k].length)),
                                   all[k].text, theirs[k * place]));
        }
        return true;
    }

    // Assembles the samples but those in `skip`; gives the numbers of the lines that as refuses.
    bool assemble(const std::set<std::size_t>& skip, std::map<std::size_t, std::string>& refused) {
        std::ofstream out(file("code.s"));
        for (std::size_t k = 0; k < all.size(); ++k) { // one line a sample, so that line numbers tell
            out << ".org " << k * place << "; ";
            if (skip.contains(k) || all[k].row == isa::Guest::no_row) {
                out << ".zero 1\n";
                continue;
            }
            auto before = tools.before.find(u32(all[k].bytes.size()));
            if (before != tools.before.end()) out << before->second << "; ";
            out << all[k].relative << "\n";
        }
        out << ".org " << all.size() * place << "\n";
        out.close();
        std::string how = fmt::format("{} {} -o {} {} 2> {}", command(options, tools, "as"), tools.as, file("code.o"),
                                      file("code.s"), file("errors"));
        if (shell(how) == 0) return true;
        for (const std::string& s : lines_of(file("errors"))) {
            auto colon = s.find(".s:"), error = s.find("Error: ");
            if (colon != s.npos && error != s.npos)
                refused[std::strtoull(s.c_str() + colon + 3, nullptr, 10) - 1] = s.substr(error + 7);
        }
        return false;
    }

    bool assemble_all() {
        std::map<std::size_t, std::string> refused;
        std::set<std::size_t> skip;
        if (!assemble(skip, refused)) {
            for (auto& [k, why] : refused) {
                skip.insert(k);
                if (!excepted(exceptions, all[k].relative, false))
                    differ(fmt::format("as refuses '{}': {}", all[k].relative, why));
            }
            std::map<std::size_t, std::string> again;
            if (!assemble(skip, again)) {
                for (auto& [k, why] : again) fmt::print("{}: {}\n", all[k].relative, why);
                return false;
            }
        }
        std::string how = fmt::format("{} -O binary -j .text {} {}", command(options, tools, "objcopy"), file("code.o"),
                                      file("assembled"));
        if (shell(how)) return false;
        std::ifstream in(file("assembled"), std::ios::binary);
        std::vector<u8> blob((std::istreambuf_iterator<char>(in)), {});
        if (blob.size() < all.size() * place) return false;
        for (std::size_t k = 0; k < all.size(); ++k) {
            const u8* at = blob.data() + k * place;
            if (skip.contains(k) || all[k].row == isa::Guest::no_row ||
                std::equal(all[k].bytes.begin(), all[k].bytes.end(), at))
                continue;
            if (excepted(exceptions, all[k].relative, false)) continue;
            std::string bytes;
            for (u32 n = 0; n < all[k].bytes.size(); ++n)
                bytes += fmt::format("{:02x}/{:02x} ", all[k].bytes[n], at[n]);
            differ(fmt::format("'{}': ours/as: {}", all[k].relative, bytes));
        }
        return true;
    }
};

Result<Options> parse_options(int argc, char** argv) {
    Options o;
    for (int k = 1; k < argc; ++k) {
        std::string_view name = argv[k];
        if (!name.starts_with("--")) {
            o.guest = name;
            continue;
        }
        if (++k == argc) return Error::invalid_argument("{} has no value", name);
        std::string value = argv[k];
        u64* number = name == "--seed" ? &o.seed : name == "--count" ? &o.count : nullptr;
        if (number)
            std::from_chars(value.data(), value.data() + value.size(), *number);
        else if (name == "--root")
            o.root = value;
        else if (name == "--folder")
            o.folder = value;
        else
            return Error::invalid_argument("unknown option {}", name);
    }
    if (o.folder.empty()) o.folder = "tests/guest/" + o.guest + "/text";
    return o;
}

int run(int argc, char** argv) {
    auto o = parse_options(argc, argv);
    const isa::GuestInfo* info = o ? isa::find_guest(o->guest) : nullptr;
    if (!info) return fmt::print(stderr, "guest_text: {}\n", o ? "unknown guest" : o.error().message()), 2;
    Tools tools = read_tools(o->folder);
    auto exceptions = read_exceptions(o->folder);
    if (!exceptions) return fmt::print(stderr, "guest_text: {}\n", exceptions.error().message()), 2;
    for (std::string_view tool : {"objdump", "as", "objcopy"}) {
        if (shell(command(*o, tools, tool) + " --version > /dev/null 2>&1") == 0) continue;
        fmt::print(stderr, "guest_text: {}{} is needed\n", tools.prefix, tool);
        return 77;
    }
    auto guest = info->make(tools.model.empty() ? info->default_model : tools.model);
    if (!guest) return fmt::print(stderr, "guest_text: {}\n", guest.error().message()), 2;

    std::string folder = (fs::temp_directory_path() / "guest_text_XXXXXX").string();
    if (!mkdtemp(folder.data())) return fmt::print(stderr, "guest_text: no temporary folder\n"), 2;
    Run r{*o, tools, folder, samples(**guest, *o), std::move(*exceptions)};
    add_neighbours(**guest, *o, r.all);
    bool ran = r.print() && r.assemble_all();
    fs::remove_all(folder);
    if (!ran) return fmt::print(stderr, "guest_text: a tool failed\n"), 2;
    for (const Exception& e : r.exceptions)
        if (!e.used && o->count >= 1000) fmt::print("note: no instance needs the exception '{}'\n", e.glob);
    fmt::print("{}: {} instances of {} rows, {} differences\n", o->guest, r.all.size(), (*guest)->row_count(),
               r.differences);
    return r.differences ? 1 : 0;
}

} // namespace
} // namespace mimic::test::text

int main(int argc, char** argv) { return mimic::test::text::run(argc, argv); }
