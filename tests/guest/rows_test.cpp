// Runs the lines of tests/guest/<guest>/rows/*.ins on every engine, and checks that each row of the guest has a line. Lines
// are of the default CPU model, but for those of a file with a line `# model: NAME`, or `# system: NAME`: that model with its
// privileged side, which takes traps, so that its lines say what handlers find.
#include "line.hpp"
#include <algorithm>
#include <filesystem>
#include <fmt/core.h>
#include <fstream>
#include <gtest/gtest.h>
#include <set>

namespace mimic::test {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view system_mark = "# system: ";
bool is_system(std::string_view model) { return model.starts_with(system_mark.substr(2)); }

struct Source {
    std::string file, text;
    u32 number;
    std::string model; // empty: the default one; "system: NAME"
    std::string place() const { return fmt::format("{}:{}: {}", file, number, text); }
};

// The lines of a guest, in the order of their files' names.
std::vector<Source> lines_of(std::string_view guest) {
    std::vector<Source> all;
    std::vector<fs::path> files;
    fs::path folder = fs::path("tests/guest") / guest / "rows";
    if (!fs::is_directory(folder)) return all;
    for (auto& entry : fs::directory_iterator(folder))
        if (entry.path().extension() == ".ins") files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    for (auto& file : files) {
        std::ifstream in(file);
        std::string text, model;
        constexpr std::string_view mark = "# model: ";
        for (u32 number = 1; std::getline(in, text); ++number) {
            if (text.starts_with(mark)) model = text.substr(mark.size());
            if (text.starts_with(system_mark)) model = text.substr(2);
            all.push_back({file.string(), text, number, model});
        }
    }
    return all;
}

// A row as two guests that differ in their models have it.
std::string identity(const isa::RowInfo& row) { return fmt::format("{}: {} {}", row.table, row.syntax, row.pattern); }

class Rows : public testing::TestWithParam<const isa::GuestInfo*> {
protected:
    std::string guest() { return std::string(GetParam()->name); }
    // The models that files name, the default one first, those with a privileged side last.
    std::vector<std::string> models(const std::vector<Source>& lines) {
        std::vector<std::string> out{""};
        for (const Source& s : lines)
            if (std::find(out.begin(), out.end(), s.model) == out.end()) out.push_back(s.model);
        std::stable_partition(out.begin(), out.end(), [](const std::string& model) { return !is_system(model); });
        return out;
    }
    std::unique_ptr<isa::Guest> make(const std::string& model) {
        if (is_system(model)) return *GetParam()->make_system(model.substr(system_mark.size() - 2));
        return *GetParam()->make(model.empty() ? GetParam()->default_model : model);
    }
};

TEST_P(Rows, LinesHold) {
    auto lines = lines_of(guest());
    auto all = engines();
    for (const std::string& model : models(lines)) {
        auto g = make(model);
        Machine machine(*g);
        for (const Source& s : lines) {
            if (s.model != model) continue;
            auto line = parse_line(s.text, *g);
            if (!line) {
                ADD_FAILURE() << s.place() << ": " << line.error().message();
                continue;
            }
            if (line->code.empty()) continue;
            for (auto& engine : all) {
                std::string wrong = run_line(*line, machine, *engine);
                if (!wrong.empty()) ADD_FAILURE() << s.place() << "\n" << engine->name() << ":\n" << wrong;
            }
        }
    }
}

TEST_P(Rows, EachRowHasALine) {
    auto lines = lines_of(guest());
    std::set<std::string> of_programs; // which have their lines there
    for (const std::string& model : models(lines)) {
        auto g = make(model);
        std::vector<bool> seen(g->row_count());
        u32 count = 0;
        for (u32 n = 0; n < seen.size(); ++n) {
            if (is_system(model))
                seen[n] = of_programs.contains(identity(g->row(n)));
            else
                of_programs.insert(identity(g->row(n)));
        }
        for (const Source& s : lines) {
            auto line = parse_line(s.text, *g);
            if (!line || line->code.empty()) continue;
            ++count;
            std::span<const u8> code = line->bytes;
            for (u64 pc = line->pc; !code.empty();) {
                u32 row = g->row_of(code, pc, 0), length = 0;
                if (row != isa::Guest::no_row) seen[row] = true;
                g->disassemble(code, pc, 0, length);
                code = code.subspan(length);
                pc += length;
            }
        }
        for (u32 n = 0; n < seen.size(); ++n) EXPECT_TRUE(seen[n]) << "no line for " << g->row(n).syntax;
        if (!is_system(model)) { EXPECT_GT(count, g->row_count()); }
    }
}

// Guests whose rows are described by lines here; x86-64's are held against the host processor itself
// (src/isa/x86/native_test.cpp).
std::vector<const isa::GuestInfo*> with_lines() {
    std::vector<const isa::GuestInfo*> out;
    for (const isa::GuestInfo* g : isa::guests())
        if (g->name != "x86_64") out.push_back(g);
    return out;
}

INSTANTIATE_TEST_SUITE_P(Guests, Rows, testing::ValuesIn(with_lines()),
                         [](auto& guest) { return std::string(guest.param->name); });

} // namespace
} // namespace mimic::test
