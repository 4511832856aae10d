#include "app/system/config_file.hpp"
#include "app/system/keys.hpp"
#include "base/nearest.hpp"
#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace mimic::app {

namespace {

constexpr ConfigSection sections[] = {
    {"machine", "machine", "type"},
    {"memory", "m", "size"},
    {"smp-opts", "smp", "cpus"},
    {"accel", "accel", "accel"},
    {"boot-opts", "boot", "order"},
    {"icount", "icount", "shift"},
    {"name", "name", "guest"},
    {"rtc", "rtc", ""},
    {"object", "object", "qom-type"},
    {"chardev", "chardev", "backend"},
    {"drive", "drive", ""},
    {"netdev", "netdev", "type"},
    {"device", "device", "driver"},
    {"global", "global", ""},
    {"mon", "mon", "chardev"},
    {"smbios", "smbios", ""},
    {"trace", "trace", "enable"},
    {"action", "action", ""},
    {"semihosting-config", "semihosting-config", "enable"},
    {"sandbox", "sandbox", "enable"},
    {"msg", "msg", ""},
    {"overcommit", "overcommit", ""},
    {"audiodev", "audiodev", "driver"},
};
// Options that are keys of [machine] there.
constexpr std::string_view of_machine[] = {"kernel", "initrd", "append", "dtb"};

const ConfigSection* find_section(std::string_view name) {
    for (const ConfigSection& s : sections)
        if (s.section == name) return &s;
    return nullptr;
}
const ConfigSection* section_of(std::string_view option) {
    if (option == "M") option = "machine";
    for (const ConfigSection& s : sections)
        if (s.option == option) return &s;
    return nullptr;
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blanks = " \t\r";
    const size_t from = text.find_first_not_of(blanks);
    if (from == std::string_view::npos) return {};
    return text.substr(from, text.find_last_not_of(blanks) - from + 1);
}

void add_key(std::string& value, std::string_view key, std::string_view text) {
    if (!value.empty()) value += ',';
    value.append(key) += '=';
    for (char c : text) value.append(c == ',' ? 2 : 1, c);
}

bool is_name(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
               c == '.';
    });
}

// `"text"`: the text; false: it is none.
bool unquote(std::string_view& text) {
    if (text.size() < 2 || text.front() != '"' || text.find('"', 1) != text.size() - 1) return false;
    text = text.substr(1, text.size() - 2);
    return true;
}

Result<GivenOption> parse_section(std::string_view inside, u32 line) {
    const size_t space = inside.find_first_of(" \t");
    const std::string_view name = inside.substr(0, space);
    const ConfigSection* section = find_section(name);
    if (!section) {
        std::vector<std::string_view> names;
        for (const ConfigSection& s : sections) names.push_back(s.section);
        return Error::invalid_argument("line {}: there is no section '{}'{}", line, name, did_you_mean(name, names));
    }
    GivenOption o{std::string(section->option), {}};
    if (space == std::string_view::npos) return o;
    std::string_view id = trimmed(inside.substr(space));
    if (!unquote(id) || !is_name(id))
        return Error::invalid_argument("line {}: '{}', expected an id in quotes", line, id);
    add_key(o.value, "id", id);
    return o;
}

} // namespace

std::span<const ConfigSection> config_sections() { return sections; }

Result<std::vector<GivenOption>> parse_config(std::string_view text) {
    std::vector<GivenOption> all;
    u32 number = 0;
    while (!text.empty()) {
        const size_t end = text.find('\n');
        const std::string_view line = trimmed(text.substr(0, end));
        text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
        number++;
        if (line.empty() || line[0] == '#') continue;
        if (line[0] == '[') {
            if (line.back() != ']')
                return Error::invalid_argument("line {}: '{}', expected [SECTION] or [SECTION \"ID\"]", number, line);
            all.push_back(TRY(parse_section(trimmed(line.substr(1, line.size() - 2)), number)));
            continue;
        }
        const size_t equals = line.find('=');
        const std::string_view key = trimmed(line.substr(0, equals));
        std::string_view value =
            equals == std::string_view::npos ? std::string_view() : trimmed(line.substr(equals + 1));
        if (!is_name(key) || !unquote(value))
            return Error::invalid_argument("line {}: '{}', expected KEY = \"VALUE\"", number, line);
        if (all.empty())
            return Error::invalid_argument("line {}: key '{}' comes before the first [SECTION]", number, key);
        add_key(all.back().value, key, value);
    }
    return all;
}

Result<std::vector<GivenOption>> read_config(const std::string& path) {
    constexpr size_t most = 1 << 20;
    std::FILE* f = std::fopen(path.c_str(), "re");
    if (!f) return Error::from_errno(errno, "cannot open it");
    std::string text(most + 1, 0);
    text.resize(std::fread(text.data(), 1, text.size(), f));
    const int why = std::ferror(f) ? errno : 0;
    std::fclose(f);
    if (why) return Error::from_errno(why, "cannot read it");
    if (text.size() > most) return Error::invalid_argument("it has more than {} bytes", most);
    return parse_config(text);
}

Result<void> save_config(const std::string& path, std::span<const GivenOption> options) {
    const std::string text = write_config(options);
    std::FILE* f = path == "-" ? stdout : std::fopen(path.c_str(), "we");
    if (!f) return Error::from_errno(errno, "cannot open it");
    bool good = std::fwrite(text.data(), 1, text.size(), f) == text.size();
    good &= (f == stdout ? std::fflush(f) : std::fclose(f)) == 0;
    if (!good) return Error::from_errno(errno, "cannot write it");
    return {};
}

std::string drive_of_file(std::string_view path) {
    std::string value;
    add_key(value, "file", path);
    return value;
}

std::string write_config(std::span<const GivenOption> options) {
    std::string out = "# Options of a machine, for -readconfig.\n";
    for (const GivenOption& o : options) {
        const ConfigSection* section = section_of(o.option);
        Keys::List keys;
        if (section && !o.value.starts_with('{')) {
            keys = Keys("", o.value, section->implied).all();
        } else if (std::find(std::begin(of_machine), std::end(of_machine), o.option) != std::end(of_machine)) {
            section = find_section("machine");
            keys = {{o.option, o.value}};
        }
        // Quotes have no other form in such files.
        const bool fits = std::none_of(keys.begin(), keys.end(), [](const auto& k) {
            return k.second.find_first_of("\"\n") != std::string::npos;
        });
        if (keys.empty() || !fits) {
            out += fmt::format("\n# not in such files: -{}{}{}\n", o.option, o.value.empty() ? "" : " ",
                               o.value.substr(0, o.value.find('\n')));
            continue;
        }
        std::string id, lines;
        for (const auto& [key, value] : keys) {
            if (key == "id" && is_name(value))
                id = fmt::format(" \"{}\"", value);
            else
                lines += fmt::format("  {} = \"{}\"\n", key, value);
        }
        out += fmt::format("\n[{}{}]\n{}", section->section, id, lines);
    }
    return out;
}

Result<void> set_key(std::vector<GivenOption>& options, std::string_view text) {
    const size_t equals = text.find('='), first = text.find('.');
    const size_t second = first == std::string_view::npos ? first : text.find('.', first + 1);
    if (second == std::string_view::npos || equals == std::string_view::npos || second > equals)
        return Error::invalid_argument("-set: '{}', expected GROUP.ID.KEY=VALUE", text);
    const std::string_view group = text.substr(0, first), id = text.substr(first + 1, second - first - 1);
    const ConfigSection* section = find_section(group);
    if (!section) {
        std::vector<std::string_view> names;
        for (const ConfigSection& s : sections) names.push_back(s.section);
        return Error::invalid_argument("-set: there is no group '{}'{}", group, did_you_mean(group, names));
    }
    for (size_t i = options.size(); i-- > 0;) {
        GivenOption& o = options[i];
        if (section_of(o.option) != section || o.value.starts_with('{')) continue;
        if (Keys("", o.value, section->implied).text("id") != id) continue;
        add_key(o.value, text.substr(second + 1, equals - second - 1), text.substr(equals + 1));
        return {};
    }
    return Error::not_found("-set: there is no {} with id '{}' before it", group, id);
}

} // namespace mimic::app
