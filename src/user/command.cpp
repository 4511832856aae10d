// The command line of `mimic run`: options as people know them from the field's user-mode tool.
#include "base/nearest.hpp"
#include "cpu/cpu.hpp"
#include "isa/guest.hpp"
#include "user/run.hpp"
#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace mimic::user {
namespace {

Result<u64> number(std::string_view option, std::string_view text) {
    std::string_view digits = text;
    int radix = 10;
    if (digits.starts_with("0x") || digits.starts_with("0X"))
        digits.remove_prefix(2), radix = 16;
    else if (digits.size() > 1 && digits[0] == '0')
        radix = 8;
    u64 scale = 1;
    if (radix == 10 && !digits.empty()) {
        constexpr std::string_view suffixes = "kKmMgG";
        if (size_t at = suffixes.find(digits.back()); at != std::string_view::npos) {
            scale = 1ull << (10 * (at / 2 + 1));
            digits.remove_suffix(1);
        }
    }
    u64 value = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, radix);
    if (error != std::errc() || end != digits.data() + digits.size() || digits.empty() || value > ~0ull / scale)
        return Error::invalid_argument("{} {}: expected a number: decimal, with k, M or G for units of 1024, or 0x and "
                                       "hexadecimal digits",
                                       option, text);
    return value * scale;
}

// getsubopt(3) style lists; ",," stands for a comma.
std::vector<std::string> split(std::string_view text) {
    std::vector<std::string> parts(1);
    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] != ',')
            parts.back() += text[i];
        else if (i + 1 < text.size() && text[i + 1] == ',')
            parts.back() += ',', i++;
        else
            parts.emplace_back();
    }
    return parts;
}

Result<void> tb_size(RunCommand& c, std::string_view text) {
    u64 n = TRY(number("-accel tb-size", text));
    if (n < 1 || n > 1024) return Error::invalid_argument("-accel tb-size={}: expected 1 to 1024 (MiB)", text);
    c.engine.code_bytes = n << 20;
    return {};
}

struct AccelProperty {
    std::string_view name, values; // values: names that are allowed, separated by '|'; empty: apply looks
    Result<void> (*apply)(RunCommand&, std::string_view);
    std::string_view help;
};
constexpr AccelProperty accel_properties[] = {
    {"verify", "on|off", [](RunCommand& c, std::string_view v) { return c.engine.verify = v == "on", Result<void>(); },
     "run both engines in lock step and compare them"},
    {"one-insn-per-tb", "on|off",
     [](RunCommand& c, std::string_view v) { return c.engine.one_insn |= v == "on", Result<void>(); },
     "translate instruction by instruction"},
    {"tb-size", "", tb_size, "MiB of translated code, 1 to 1024"},
    {"thread", "multi|single", [](RunCommand&, std::string_view) { return Result<void>(); },
     "no effect: a thread of the program is a thread of the host"},
    {"split-wx", "on|off", [](RunCommand&, std::string_view) { return Result<void>(); },
     "no effect: code is never writable where it runs"},
};

bool allows(std::string_view values, std::string_view value) {
    for (;;) {
        size_t bar = values.find('|');
        if (values.substr(0, bar) == value) return true;
        if (bar == std::string_view::npos) return false;
        values.remove_prefix(bar + 1);
    }
}

Result<void> accel_property(RunCommand& c, std::string_view word) {
    size_t equals = word.find('=');
    std::string_view name = word.substr(0, equals);
    std::vector<std::string_view> names;
    for (const AccelProperty& p : accel_properties) {
        names.push_back(p.name);
        if (p.name != name) continue;
        std::string_view value = equals == std::string_view::npos ? std::string_view() : word.substr(equals + 1);
        if (p.values.empty() || allows(p.values, value)) return p.apply(c, value);
        std::string expected(p.values);
        if (size_t bar = expected.find('|'); bar != std::string::npos) expected.replace(bar, 1, " or ");
        return Error::invalid_argument("-accel {}={}: expected {}", name, value, expected);
    }
    return Error::invalid_argument("-accel: there is no property {}, expected verify, one-insn-per-tb or tb-size{}",
                                   name, did_you_mean(name, names));
}

Result<void> accel(RunCommand& c, std::string_view text) {
    auto words = split(text);
    if (words[0] == "help" || words[0] == "?") {
        c.action = RunCommand::Action::list_accels;
        return {};
    }
    constexpr std::string_view names[] = {"jit", "interp", "tcg"};
    if (std::find(std::begin(names), std::end(names), words[0]) == std::end(names))
        return Error::invalid_argument("-accel {}: expected jit, interp or tcg{}", words[0],
                                       did_you_mean(words[0], names));
    c.engine.interpreter = words[0] == "interp";
    for (size_t i = 1; i < words.size(); i++) TRY(accel_property(c, words[i]));
    return {};
}

struct LogItem {
    std::string_view name;
    u32 bit; // of cpu::log; 0: of our own, or no effect
    std::string_view help;
};
constexpr LogItem items[] = {
    {"strace", 0, "system calls and signals"},
    {"calls", 0, "the same without the data that calls move"},
    {"in_asm", cpu::log::in_asm, "guest instructions of each unit that is translated"},
    {"op", cpu::log::op, "its IR"},
    {"op_opt", cpu::log::op_opt, "its IR after the passes"},
    {"out_asm", cpu::log::out_asm, "its host code"},
    {"exec", cpu::log::exec, "each unit that is entered (links between units are off)"},
    {"cpu", cpu::log::registers, "the registers before each unit that is entered (links between units are off)"},
    {"nochain", 0, "no effect: exec and cpu turn links off themselves"},
    {"int", cpu::log::interrupts, "traps and faults that take the program out of its code"},
    {"crash", 0, "what is known of a program that a signal ends, also one that it sent itself (abort)"},
    {"cache", 0, "what is read from and written to the cache of translated code, and what of it is ignored"},
    {"guest_error", cpu::log::guest_error, "what the program did wrong: illegal instructions, jumps to nowhere"},
};

std::string item_names() {
    std::string names;
    for (const LogItem& i : items) names.append(i.name).append(", ");
    return names + "or help";
}

Result<void> log_items(RunCommand& c, std::string_view text) {
    for (auto& word : split(text)) {
        if (word == "help" || word == "?") {
            c.action = RunCommand::Action::list_log_items;
            continue;
        }
        auto item = std::find_if(std::begin(items), std::end(items), [&](auto& i) { return i.name == word; });
        if (item == std::end(items)) {
            std::vector<std::string_view> names;
            for (const LogItem& i : items) names.push_back(i.name);
            return Error::invalid_argument("-d {}: expected {}{}", word, item_names(), did_you_mean(word, names));
        }
        c.engine.log |= item->bit;
        if (item->name == "strace") c.options.strace = true;
        if (item->name == "calls") c.options.strace = c.options.strace_brief = true;
        if (item->name == "cache") c.engine.log_cache = true;
        if (item->name == "crash") c.options.crash = RunOptions::Crash::always;
        c.log_items.append(c.log_items.empty() ? "" : ",").append(word);
    }
    return {};
}

Result<void> crash_report(RunCommand& c, std::string_view v) {
    using Crash = RunOptions::Crash;
    if (v != "faults" && v != "always" && v != "never")
        return Error::invalid_argument("-crash-report {}: expected faults, always or never", v);
    c.options.crash = v == "faults" ? Crash::faults : v == "always" ? Crash::always : Crash::never;
    return {};
}

Result<void> log_filter(RunCommand& c, std::string_view text) {
    c.engine.log_ranges = TRY(cpu::log::parse_ranges(text).in("-dfilter"));
    c.log_filter = text;
    return {};
}

Result<void> root_ids(RunCommand& c, std::string_view v) {
    constexpr std::pair<std::string_view, IdMode> modes[] = {{"auto", IdMode::automatic},
                                                             {"real", IdMode::real},
                                                             {"mapped", IdMode::mapped},
                                                             {"pretended", IdMode::pretended}};
    for (auto& [name, mode] : modes)
        if (name == v) return c.root.ids = mode, Result<void>();
    return Error::invalid_argument("--ids {}: expected auto, real, mapped or pretended", v);
}

Result<void> root_mounts(RunCommand& c, std::string_view v) {
    c.root.proc = c.root.dev = c.root.sys = c.root.resolv = false;
    for (auto& word : split(v)) {
        if (word == "proc")
            c.root.proc = true;
        else if (word == "dev")
            c.root.dev = true;
        else if (word == "sys")
            c.root.sys = true;
        else if (word == "resolv")
            c.root.resolv = true;
        else if (word != "none")
            return Error::invalid_argument("--mount {}: expected proc, dev, sys, resolv or none", word);
    }
    return {};
}

Result<void> root_bind(RunCommand& c, std::string_view v) {
    size_t colon = v.find(':');
    std::string host(v.substr(0, colon)), inside(colon == std::string::npos ? v : v.substr(colon + 1));
    if (host.empty() || inside.find_first_not_of('/') == std::string::npos || inside[0] != '/')
        return Error::invalid_argument("--bind {}: expected HOST or HOST:INSIDE, INSIDE an absolute path", v);
    c.root.binds.push_back({host, inside});
    return {};
}

std::string guest_names() {
    std::string names;
    for (const isa::GuestInfo* g : isa::guests()) names.append(names.empty() ? "" : ", ").append(g->name);
    return names;
}

using Apply = Result<void> (*)(RunCommand&, std::string_view);
struct Option {
    std::string_view name;
    const char* variable; // without QEMU_ or MIMIC_
    Apply apply;
    bool has_value;
    std::string_view value_name, help;
};

constexpr Option options[] = {
    {"-g", "GDB",
     [](RunCommand& c, std::string_view v) -> Result<void> {
         c.debugger.reset();
         if (!v.empty()) c.debugger = TRY(parse_debug_place(v));
         return {};
     },
     true, "PORT|PATH", "wait for gdb at a port of this machine, or a socket (%d: process id); ,suspend=n: don't wait"},
    {"-L", "LD_PREFIX",
     [](RunCommand& c, std::string_view v) {
         c.options.sysroot = v;
         return Result<void>();
     },
     true, "DIR", "look for the program's files under DIR first"},
    {"-s", "STACK_SIZE",
     [](RunCommand& c, std::string_view v) -> Result<void> {
         u64 size = TRY(number("-s", v));
         if (size > 1ull << 36) return Error::invalid_argument("-s {}: expected at most 64G", v);
         c.options.stack_size = std::max<u64>(size, 65536);
         return {};
     },
     true, "SIZE", "size of the stack (k, M, G: units of 1024; at least what arguments need)"},
    {"-cpu", "CPU",
     [](RunCommand& c, std::string_view v) {
         const std::string_view last = v.substr(v.rfind(',') + 1); // the whole, where there is no comma
         if (last == "help" || last == "?") {
             c.action = RunCommand::Action::list_cpus;
             c.options.cpu_model = v.substr(0, v.size() - last.size() - (last.size() < v.size()));
         } else {
             c.options.cpu_model = v;
         }
         return Result<void>();
     },
     true, "MODEL", "CPU model and properties, or help for a list (MODEL,help: of properties)"},
    {"-E", "SET_ENV",
     [](RunCommand& c, std::string_view v) -> Result<void> {
         for (auto& s : split(v)) {
             if (s.find('=') == std::string::npos || s[0] == '=')
                 return Error::invalid_argument("-E {}: expected NAME=VALUE", s);
             std::erase_if(c.unset, [&](auto& u) { return s.substr(0, s.find('=')) == u; });
             c.set.push_back(s);
         }
         return {};
     },
     true, "NAME=VALUE", "set a variable of the program's environment"},
    {"-U", "UNSET_ENV",
     [](RunCommand& c, std::string_view v) -> Result<void> {
         for (auto& s : split(v)) {
             if (s.empty() || s.find('=') != std::string::npos)
                 return Error::invalid_argument("-U {}: expected the name of a variable", s);
             std::erase_if(c.set, [&](auto& e) { return e.substr(0, e.find('=')) == s; });
             c.unset.push_back(s);
         }
         return {};
     },
     true, "NAME", "remove a variable from the program's environment"},
    {"-0", "ARGV0",
     [](RunCommand& c, std::string_view v) {
         c.argv0 = v, c.has_argv0 = true;
         return Result<void>();
     },
     true, "TEXT", "the program's argument 0"},
    {"-r", "UNAME",
     [](RunCommand& c, std::string_view v) {
         c.options.uname_release = v;
         return Result<void>();
     },
     true, "RELEASE", "the kernel's release that uname tells"},
    {"-B", "GUEST_BASE",
     [](RunCommand& c, std::string_view v) -> Result<void> {
         c.base_address = TRY(number("-B", v)), c.has_base = true;
         if (c.base_address % 4096 || c.base_address >= 1ull << 47)
             return Error::invalid_argument("-B {}: expected a multiple of 4096 below 2^47", v);
         return {};
     },
     true, "ADDRESS", "host address of the program's address 0 (0: the same)"},
    {"-R", "RESERVED_VA",
     [](RunCommand& c, std::string_view v) -> Result<void> {
         c.reserved = TRY(number("-R", v));
         if (c.reserved % 4096 || c.reserved > 1ull << 47 || (c.reserved != 0 && c.reserved < 1 << 20))
             return Error::invalid_argument("-R {}: expected a multiple of 4096 from 1M to 2^47, or 0", v);
         return {};
     },
     true, "SIZE", "reserve SIZE bytes of addresses (k, M, G: units of 1024) for the program"},
    {"-p", "PAGESIZE",
     [](RunCommand& c, std::string_view v) -> Result<void> {
         u64 page = TRY(number("-p", v));
         if (page < 4096 || page > 65536 || (page & (page - 1)))
             return Error::invalid_argument("-p {}: expected 4096, 8192, 16384, 32768 or 65536", v);
         c.page = u32(page);
         return {};
     },
     true, "SIZE", "page size that the program sees (its segments must be aligned to it)"},
    {"-seed", "RAND_SEED",
     [](RunCommand& c, std::string_view v) -> Result<void> {
         c.seed = TRY(number("-seed", v));
         return {};
     },
     true, "NUMBER", "makes the random bytes that the program starts with (AT_RANDOM) the same each time"},
    {"-accel", "ACCEL", accel, true, "jit|interp", "how to run (tcg: the same as jit); help lists more"},
    {"-one-insn-per-tb", "ONE_INSN_PER_TB",
     [](RunCommand& c, std::string_view) {
         c.engine.one_insn = true;
         return Result<void>();
     },
     false, "", "translate instruction by instruction"},
    {"-singlestep", nullptr,
     [](RunCommand& c, std::string_view) {
         c.engine.one_insn = true;
         return Result<void>();
     },
     false, "", "older name of -one-insn-per-tb"},
    {"-strace", "STRACE",
     [](RunCommand& c, std::string_view) {
         c.options.strace = true;
         return Result<void>();
     },
     false, "", "log system calls"},
    {"--trace", nullptr,
     [](RunCommand& c, std::string_view v) -> Result<void> {
         if (v != "syscall") return Error::invalid_argument("--trace {}: expected syscall", v);
         c.options.strace = true;
         return {};
     },
     true, "syscall", "the same as -strace"},
    {"--json", nullptr,
     [](RunCommand& c, std::string_view) {
         c.options.strace_json = true;
         return Result<void>();
     },
     false, "", "log system calls as JSON, an object a line"},
    {"-crash-report", "CRASH_REPORT", crash_report, true, "faults|always|never",
     "when a signal ends the program, tell why: if an instruction caused it (default), always, or never"},
    {"-d", "LOG", log_items, true, "ITEM,...", "what to log, or help for a list"},
    {"-dfilter", "DFILTER", log_filter, true, "RANGE,...",
     "log code in these ranges only: START+LENGTH, START-LENGTH, START..END"},
    {"-perfmap", "PERFMAP",
     [](RunCommand& c, std::string_view) {
         c.engine.perf_map = true;
         return Result<void>();
     },
     false, "", "write /tmp/perf-PID.map, so that perf names translated code"},
    {"--no-cache", "NO_CACHE",
     [](RunCommand& c, std::string_view v) {
         c.no_cache = v != "0"; // of the variable
         return Result<void>();
     },
     false, "", "neither read nor write the cache of translated code (mimic cache)"},
    {"--cache-size", "CACHE_SIZE",
     [](RunCommand& c, std::string_view v) -> Result<void> {
         c.engine.cache_bytes = TRY(number("--cache-size", v));
         if (c.engine.cache_bytes < 1 << 20) return Error::invalid_argument("--cache-size {}: expected at least 1M", v);
         return {};
     },
     true, "SIZE", "of all files of that cache together (default: 256M)"},
    {"-D", "LOG_FILENAME",
     [](RunCommand& c, std::string_view v) {
         c.log_file = v;
         return Result<void>();
     },
     true, "FILE", "write the log to FILE (default: standard error); %d is the process's id"},
    {"-guest", nullptr,
     [](RunCommand& c, std::string_view v) -> Result<void> {
         if (!isa::find_guest(v)) return Error::invalid_argument("-guest {}: expected {}", v, guest_names());
         c.guest = v;
         return {};
     },
     true, "GUEST", "refuse PROGRAM when it is of another guest; links named mimic-GUEST and qemu-GUEST do"},
    {"--root", nullptr,
     [](RunCommand& c, std::string_view v) -> Result<void> {
         if (v.empty()) return Error::invalid_argument("--root: expected a directory");
         c.root.directory = v;
         return {};
     },
     true, "DIR", "run in the root file system DIR, in namespaces of its own; needs no privileges"},
    {"--ids", nullptr, root_ids, true, "auto|real|mapped|pretended",
     "--root: who keeps owners: the kernel (root), newuidmap's range, or a database of ours"},
    {"--owners", nullptr,
     [](RunCommand& c, std::string_view v) {
         c.root.owners = v;
         return Result<void>();
     },
     true, "FILE", "--root: the database (default: DIR.mimic-owners)"},
    {"--mount", nullptr, root_mounts, true, "LIST", "--root: of proc, dev, sys, resolv; none (default: proc,dev,sys)"},
    {"--bind", nullptr, root_bind, true, "HOST[:INSIDE]", "--root: a directory or file of the host to be seen inside"},
    {"--work", nullptr,
     [](RunCommand& c, std::string_view v) -> Result<void> {
         if (!v.starts_with('/')) return Error::invalid_argument("--work {}: expected an absolute path", v);
         c.root.work = v;
         return {};
     },
     true, "DIR", "--root: working directory inside (default: /)"},
    {"-inherit", nullptr,
     [](RunCommand& c, std::string_view v) -> Result<void> {
         if (!c.inherited.parse(v)) return Error::invalid_argument("-inherit {}: expected what Mimic wrote", v);
         return {};
     },
     true, "", ""},
    {"-limits", nullptr,
     [](RunCommand& c, std::string_view v) -> Result<void> {
         if (OwnLimits limits; !limits.parse(v))
             return Error::invalid_argument("-limits {}: expected what Mimic wrote", v);
         c.limits_text = v;
         return {};
     },
     true, "", ""},
    {"-seccomp", nullptr,
     [](RunCommand& c, std::string_view v) -> Result<void> {
         c.filters += v;
         return {};
     },
     true, "", ""},
    {"-help", nullptr,
     [](RunCommand& c, std::string_view) {
         c.action = RunCommand::Action::help;
         return Result<void>();
     },
     false, "", "print this help"},
    {"-version", nullptr,
     [](RunCommand& c, std::string_view) {
         c.action = RunCommand::Action::version;
         return Result<void>();
     },
     false, "", "print the version"},
};

const Option* find(std::string_view word) {
    if (word == "-h") word = "-help";
    if (word == "-v") word = "-version";
    for (const Option& o : options)
        if (o.name == word || (word.starts_with("--") && o.name == word.substr(1))) return &o;
    return nullptr;
}

// Options given by the environment come first, so that the command line overrides them.
Result<void> from_environment(RunCommand& c, const char* (*environment)(const char*)) {
    for (const Option& o : options) {
        if (!o.variable) continue;
        std::string name = std::string("MIMIC_") + o.variable;
        const char* value = environment(name.c_str());
        if (!value) value = environment((name = std::string("QEMU_") + o.variable).c_str());
        if (!value || (!o.has_value && !*value)) continue;
        TRY(o.apply(c, value).in("{}", name));
    }
    return {};
}

} // namespace

std::string run_help() {
    std::string text =
        "usage: mimic run [OPTIONS] PROGRAM [ARGUMENTS]\n"
        "       mimic run --root DIR [OPTIONS] [COMMAND [ARGUMENTS]]\n"
        "       mimic shell --root DIR [OPTIONS] [COMMAND [ARGUMENTS]]\n\n"
        "Runs a Linux program of another architecture, or a command in a root file system of another architecture.\n"
        "`shell` is `run` with name resolution, root's home, and the current directory at /mnt.\n\noptions (and "
        "variables that stand for them):\n";
    for (const Option& o : options) {
        if (o.help.empty()) continue; // between Mimic and itself
        std::string left = "  " + std::string(o.name);
        if (o.has_value) left.append(" ").append(o.value_name);
        left.resize(std::max<size_t>(left.size() + 1, 22), ' ');
        std::string variable = o.variable ? std::string("MIMIC_").append(o.variable) : std::string();
        variable.resize(std::max<size_t>(variable.size() + 1, 24), ' ');
        text.append(left).append(variable).append(o.help).append("\n");
    }
    return text.append(
        "\nThe variables also go by QEMU_ instead of MIMIC_. -E and -U take several names with commas.\n");
}

std::string list_log_items() {
    std::string text = "log items (comma separated):\n";
    for (const LogItem& i : items) {
        std::string name(i.name);
        name.resize(16, ' ');
        text.append(name).append(i.help).append("\n");
    }
    return text;
}

std::string list_accels() {
    std::string text = "jit (also called tcg)  translate to host code\n"
                       "interp                 interpret\n\nproperties (behind a comma):\n";
    for (const AccelProperty& p : accel_properties) {
        std::string left = std::string(p.name) + "=" + std::string(p.values.empty() ? "N" : p.values);
        left.resize(std::max<size_t>(left.size() + 1, 23), ' ');
        text.append(left).append(p.help).append("\n");
    }
    return text;
}

namespace {
bool signed_number(std::string_view text, i64& value) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() && !text.empty();
}
} // namespace

std::string Inherited::text() const {
    return fmt::format("{},{},{},{},{},{},{}", self, owners, log, cache, home, secure ? 1 : 0, ids.text());
}

bool Inherited::parse(std::string_view text) {
    i64 values[6];
    for (i64& value : values) {
        size_t comma = text.find(',');
        if (comma == std::string::npos || !signed_number(text.substr(0, comma), value)) return false;
        text.remove_prefix(comma + 1);
    }
    for (u32 i = 0; i < 4; i++)
        if (values[i] < -1 || values[i] > 1 << 30) return false;
    self = int(values[0]), owners = int(values[1]), log = int(values[2]), cache = int(values[3]);
    home = u64(values[4]), secure = values[5] != 0;
    return self >= 0 && ids.parse(text);
}

namespace {
Error unknown_option(std::string_view word) {
    std::string_view name = word.substr(word.starts_with("--") ? 2 : 1);
    std::vector<std::string_view> names; // without dashes, which would count as letters in common
    for (const Option& o : options)
        if (!o.help.empty()) names.push_back(o.name.substr(o.name.starts_with("--") ? 2 : 1));
    std::string_view best = nearest(name, names);
    if (best.empty()) return Error::invalid_argument("unknown option {} (see mimic run -help)", word);
    for (const Option& o : options)
        if (o.name.ends_with(best) && o.name.find_first_not_of('-') + best.size() == o.name.size()) best = o.name;
    return Error::invalid_argument("unknown option {}, did you mean '{}'? (see mimic run -help)", word, best);
}

Result<void> check_root(const RunCommand& c, bool shell) {
    bool root = !c.root.directory.empty();
    if (shell && !root) return Error::invalid_argument("shell: expected --root DIR (see mimic shell -help)");
    if (root && !c.options.sysroot.empty()) return Error::invalid_argument("-L and --root exclude each other");
    if (root && c.inherited.any()) return Error::invalid_argument("--root and -inherit exclude each other");
    if (c.program.empty() && !root) return Error::invalid_argument("no program given (see mimic run -help)");
    return {};
}
} // namespace

Result<RunCommand> parse_run(std::span<const std::string_view> words, const char* (*environment)(const char*),
                             bool shell) {
    RunCommand c;
    c.root.resolv = shell;
    TRY(from_environment(c, environment));
    size_t i = 0;
    for (; i < words.size(); i++) {
        std::string_view word = words[i];
        if (word == "--") {
            i++;
            break;
        }
        if (word.size() < 2 || word[0] != '-') break;
        const size_t equals = word.starts_with("--") ? word.find('=') : word.npos;
        const Option* o = find(word.substr(0, equals));
        if (!o) return unknown_option(word.substr(0, equals));
        std::string_view value;
        if (equals != word.npos) {
            if (!o->has_value) return Error::invalid_argument("option {} takes no value", word.substr(0, equals));
            value = word.substr(equals + 1);
        } else if (o->has_value) {
            if (++i == words.size()) return Error::invalid_argument("option {} needs {}", word, o->value_name);
            value = words[i];
        }
        TRY(o->apply(c, value));
    }
    c.program.assign(words.begin() + i, words.end());
    if (c.options.strace_json && !c.options.strace) return Error::invalid_argument("--json: expected --trace=syscall");
    if (c.action == RunCommand::Action::run) TRY(check_root(c, shell));
    return c;
}

} // namespace mimic::user
