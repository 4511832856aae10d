// guest_soak GUEST [--seed N] [--count N] [--reference PATH] [--program PATH] [--only MNEMONIC] [--answer FILE]
//
// Runs COUNT random cases (instances of every row in turn) on our engines and on the reference, and reports each
// difference as a line that reproduces it. With --answer it completes the lines of FILE that lack `=>` instead.
// Exit status: 0 all agree, 1 differences, 2 trouble, 77 no reference here.
#include "soak/soak.hpp"
#include <charconv>
#include <cstdio>
#include <fmt/core.h>
#include <fstream>
#include <map>
#include <unistd.h>

namespace mimic::test::soak {
namespace {

struct Options {
    std::string guest, reference, program, only, answer;
    u64 seed = 1, count = 20000;
};

bool to_number(std::string_view s, u64& out) {
    auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), out);
    return error == std::errc{} && end == s.data() + s.size();
}

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
        bool known = true;
        if (name == "--seed")
            known = to_number(value, o.seed);
        else if (name == "--count")
            known = to_number(value, o.count);
        else if (name == "--reference")
            o.reference = value;
        else if (name == "--program")
            o.program = value;
        else if (name == "--only")
            o.only = value;
        else if (name == "--answer")
            o.answer = value;
        else
            return Error::invalid_argument("unknown option {}", name);
        if (!known) return Error::invalid_argument("{} {}: expected a number", name, value);
    }
    if (o.guest.empty()) return Error::invalid_argument("expected the name of a guest");
    // Beside this program: what the build made for the guest.
    if (o.program.empty()) {
        std::string self(4096, 0);
        self.resize(std::size_t(std::max<ssize_t>(readlink("/proc/self/exe", self.data(), self.size()), 0)));
        o.program = self.substr(0, self.rfind('/') + 1) + "reference_" + o.guest;
    }
    if (o.reference.empty()) o.reference = "qemu-" + o.guest;
    return o;
}

Registers zero_registers(const isa::Guest& guest) {
    return {.value = std::vector<std::array<u8, 16>>(guest.registers().size())};
}

Result<Case> case_of(const Line& line, const isa::Guest& guest) {
    Case c{.code = line.bytes, .text = line.code, .in = zero_registers(guest)};
    if (c.code.size() > sizeof(case_head::insn)) return Error::invalid_argument("more than 24 bytes of code");
    for (const Assign& a : line.in) {
        if (a.reg != isa::Guest::no_register) {
            if (guest.registers()[a.reg].internal)
                return Error::invalid_argument("internal registers are unknown there");
            c.in.value[a.reg] = a.value;
            continue;
        }
        for (u32 k = 0; k < a.bytes; ++k) {
            u64 at = a.address + k - WINDOW, high = at - (WINDOW_PAGE - AREA_BYTES);
            if (at >= AREA_BYTES && high >= AREA_BYTES)
                return Error::invalid_argument("[{:#x}] is outside the window's areas", a.address);
            c.memory[at < AREA_BYTES ? at : high + AREA_BYTES] = a.value[k];
        }
    }
    return c;
}

// The part of a line behind `=>`, with addresses relative to the line's pc.
std::string outputs(const Case& c, const Answer& r, const Line& line, const isa::Guest& guest) {
    std::string full = as_line(c, r, guest), out = full.substr(full.find("=>") + 2);
    if (auto at = out.find(" pc="); at != out.npos)
        out = out.substr(0, at) + fmt::format(" pc={:#x}", r.pc - CODE_START + line.pc);
    return out;
}

// A comment stays at the end.
void print_answered(std::string_view text, std::string_view outputs) {
    auto comment = text.find('#');
    std::string_view line = text.substr(0, comment);
    while (line.ends_with(' ')) line.remove_suffix(1);
    fmt::print("{} =>{}{}{}\n", line, outputs, comment == text.npos ? "" : "   ",
               comment == text.npos ? "" : text.substr(comment));
}

int answer_lines(const Options& o, const isa::Guest& guest, Reference& reference) {
    std::ifstream in(o.answer);
    std::vector<Case> cases;
    std::vector<Line> parsed;
    std::vector<std::string> text;
    std::vector<std::size_t> index;
    for (std::string s; std::getline(in, s);) {
        index.push_back(~std::size_t{0});
        text.push_back(s);
        if (s.find("=>") != s.npos) continue;
        auto line = parse_line(s, guest);
        auto c = line && !line->code.empty() ? case_of(*line, guest) : Result<Case>(Case{});
        if (!line || !c) {
            fmt::print(stderr, "{}: {}\n", s, (line ? c.error() : line.error()).message());
            return 2;
        }
        if (line->code.empty()) continue;
        index.back() = cases.size();
        cases.push_back(*c);
        parsed.push_back(*line);
    }
    auto answers = cases.empty() ? Result<std::vector<Answer>>(std::vector<Answer>{}) : reference.run(cases);
    if (!answers) return fmt::print(stderr, "{}\n", answers.error().message()), 2;
    for (std::size_t k = 0; k < text.size(); ++k) {
        std::size_t n = index[k];
        if (n == ~std::size_t{0})
            fmt::print("{}\n", text[k]);
        else
            print_answered(text[k], outputs(cases[n], (*answers)[n], parsed[n], guest));
    }
    return 0;
}

const Exception* exception_for(const SoakGuest& g, const Case& c, const Answer& ours, const Answer& reference) {
    for (const Exception& e : g.exceptions) {
        auto last = c.text.rfind("; ");
        std::string_view text = std::string_view(c.text).substr(last == c.text.npos ? 0 : last + 2);
        if (text.starts_with(e.mnemonic) && (!e.applies || e.applies(c, ours, reference))) return &e;
    }
    return nullptr;
}

struct Tally {
    u64 cases = 0, stops = 0, differences = 0;
    std::map<std::string_view, u64> excepted;
    std::map<u32, u64> by_row;
};

void judge(const SoakGuest& g, const isa::Guest& guest, const Case& c, const Answer& ours, const Answer& reference,
           Tally& tally) {
    ++tally.cases;
    tally.stops += !reference.stop.empty();
    std::string difference = compare(c, ours, reference, guest);
    if (difference.empty()) return;
    if (auto* e = exception_for(g, c, ours, reference)) {
        ++tally.excepted[e->reason];
        return;
    }
    ++tally.differences;
    if (++tally.by_row[c.row] > 3) return; // the rest of a row is counted only
    fmt::print("{}: {}\n{}", guest.row(c.row).table, as_line(c, reference, guest), difference);
}

// Which case ends the reference itself? Shows the first, when one alone does.
void find_killer(std::span<const Case> cases, const isa::Guest& guest, Reference& reference) {
    while (cases.size() > 1) {
        auto half = cases.first(cases.size() / 2);
        bool first = !reference.run(half);
        cases = first ? half : cases.subspan(half.size());
    }
    if (reference.run(cases)) return;
    Answer unknown{.out = cases[0].in, .memory = cases[0].memory};
    fmt::print(stderr, "{}\n", as_line(cases[0], unknown, guest));
}

int soak(const Options& o, const SoakGuest& g, const isa::Guest& guest, Reference& reference) {
    Random random(o.seed);
    auto engine = make_interpreter();
    Ours ours(guest, *engine);
    Tally tally;
    std::vector<u32> rows;
    for (u32 n = 0; n < guest.row_count(); ++n)
        if (guest.row(n).syntax.starts_with(o.only)) rows.push_back(n);
    if (rows.empty()) return fmt::print(stderr, "no row begins with '{}'\n", o.only), 2;
    for (u64 done = 0; done < o.count;) {
        std::vector<Case> cases;
        std::vector<Answer> answers;
        cases.reserve(8192);
        answers.reserve(8192);
        for (u32 tries = 0; cases.size() < 8192 && done + cases.size() < o.count && tries < 100000; ++tries) {
            Case c{.row = rows[(done + tries) % rows.size()], .in = zero_registers(guest)};
            c.code = guest.random_instance(c.row, random);
            for (u8& b : c.memory) b = u8(random());
            if (c.code.empty() || !g.prepare(guest, c, random)) continue;
            Answer a = ours.run(c);
            if (Ours::lost(a)) continue;
            answers.push_back(std::move(a));
            cases.push_back(std::move(c));
        }
        if (cases.empty()) return fmt::print(stderr, "no case of these rows can run\n"), 2;
        auto theirs = reference.run(cases);
        if (!theirs) {
            fmt::print(stderr, "{}\n", theirs.error().message());
            find_killer(cases, guest, reference);
            return 2;
        }
        for (std::size_t k = 0; k < cases.size(); ++k) judge(g, guest, cases[k], answers[k], (*theirs)[k], tally);
        done += cases.size();
    }
    for (auto& [reason, n] : tally.excepted) fmt::print("{} times: {}\n", n, reason);
    for (auto& [row, n] : tally.by_row) fmt::print("{} differences: {}\n", n, guest.row(row).syntax);
    fmt::print("{}: seed {}, {} cases of {} rows, {} stopped, {} differences\n", o.guest, o.seed, tally.cases,
               rows.size(), tally.stops, tally.differences);
    return tally.differences ? 1 : 0;
}

int run(int argc, char** argv) {
    auto o = parse_options(argc, argv);
    if (!o) return fmt::print(stderr, "guest_soak: {}\n", o.error().message()), 2;
    const SoakGuest* g = find_soak_guest(o->guest);
    const isa::GuestInfo* info = isa::find_guest(o->guest);
    if (!g || !info) return fmt::print(stderr, "guest_soak: no soak for the guest '{}'\n", o->guest), 2;
    bool found = access(o->program.c_str(), X_OK) == 0;
    if (found && o->reference.find('/') != std::string::npos) found = access(o->reference.c_str(), X_OK) == 0;
    if (!found) {
        fmt::print(stderr, "guest_soak: {} and {} are needed\n", o->reference, o->program);
        return 77;
    }
    auto guest = info->make(g->model);
    if (!guest) return fmt::print(stderr, "guest_soak: {}\n", guest.error().message()), 2;
    Reference reference(o->reference, std::string(g->cpu), o->program, **guest);
    if (!o->answer.empty()) return answer_lines(*o, **guest, reference);
    return soak(*o, *g, **guest, reference);
}

} // namespace
} // namespace mimic::test::soak

int main(int argc, char** argv) { return mimic::test::soak::run(argc, argv); }
