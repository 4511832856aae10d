#include "machines/boot/smbios.hpp"
#include "base/nearest.hpp"
#include <algorithm>
#include <array>
#include <fstream>

namespace mimic::machines {
namespace {

using devices::PropertyList;

// What users may say of a structure; several OEM strings are the only field that adds up.
struct Fields {
    std::string_view type;
    std::array<std::string_view, 8> names; // then empty ones
};
constexpr Fields fields[] = {
    {"0", {"vendor", "version", "date", "release", "uefi"}},
    {"1", {"manufacturer", "product", "version", "serial", "uuid", "sku", "family"}},
    {"2", {"manufacturer", "product", "version", "serial", "asset", "location"}},
    {"3", {"manufacturer", "version", "serial", "asset", "sku"}},
    {"4", {"sock_pfx", "manufacturer", "version", "serial", "asset", "part", "max-speed", "current-speed"}},
    {"11", {"value"}},
    {"17", {"loc_pfx", "bank", "manufacturer", "serial", "asset", "part", "speed"}},
};
const Fields* find_fields(std::string_view type) {
    auto it = std::find_if(std::begin(fields), std::end(fields), [&](const Fields& f) { return f.type == type; });
    return it == std::end(fields) ? nullptr : it;
}
std::string_view type_of(const PropertyList& given) {
    for (const auto& [name, value] : given)
        if (name == "type") return value;
    return {};
}

Result<u32> number(std::string_view type, std::string_view field, const std::string& text, u32 most) {
    char* end = nullptr;
    unsigned long v = std::strtoul(text.c_str(), &end, 10);
    if (text.empty() || *end || text[0] == '-' || v > most)
        return Error::invalid_argument("-smbios type={},{}: '{}', expected a number up to {}", type, field, text, most);
    return u32(v);
}

// "MAJOR.MINOR".
Result<std::pair<u8, u8>> release(const std::string& text) {
    unsigned major = 0, minor = 0;
    char rest = 0;
    if (std::sscanf(text.c_str(), "%3u.%3u%c", &major, &minor, &rest) != 2 || major > 255 || minor > 255)
        return Error::invalid_argument("-smbios type=0,release: '{}', expected MAJOR.MINOR up to 255.255", text);
    return std::pair{u8(major), u8(minor)};
}

// Section 7.2.1: the first three groups are little-endian. Errors: no UUID.
Result<std::array<u8, 16>> uuid(std::string_view text) {
    std::string digits;
    for (char c : text)
        if (c != '-') digits.push_back(c);
    bool good = digits.size() == 32 && digits.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
    if (!good) return Error::invalid_argument("-smbios type=1,uuid: '{}', expected 32 hexadecimal digits", text);
    constexpr u8 order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    std::array<u8, 16> out;
    for (u32 i = 0; i < 16; i++) out[i] = u8(std::stoul(digits.substr(2u * order[i], 2), nullptr, 16));
    return out;
}

class Tables {
public:
    explicit Tables(const SmbiosBoard& b) : board_(b) {}

    std::vector<u8> make() {
        if (has("0")) firmware();
        system();
        if (has("2")) baseboard();
        chassis();
        for (u32 i = 0; i < board_.sockets; i++) processor(i);
        oem_strings();
        memory();
        boot_status();
        for (const auto& s : board_.structures) out_.insert(out_.end(), s.begin(), s.end());
        begin(127, 0x7f00);
        end();
        return out_;
    }

private:
    // ---- what users gave

    bool has(std::string_view type) const {
        return std::any_of(board_.given.begin(), board_.given.end(),
                           [&](const PropertyList& p) { return type_of(p) == type; });
    }
    std::string field(std::string_view type, std::string_view name, std::string_view otherwise = {}) const {
        std::string out(otherwise);
        for (const PropertyList& p : board_.given)
            if (type_of(p) == type)
                for (const auto& [n, v] : p)
                    if (n == name) out = v;
        return out;
    }
    u32 amount(std::string_view type, std::string_view name, u32 otherwise) const {
        std::string text = field(type, name);
        return text.empty() ? otherwise : u32(std::strtoul(text.c_str(), nullptr, 10));
    }

    // ---- structures: a head, fields, strings that fields number from 1

    void begin(u8 type, u16 handle) {
        begin_ = out_.size();
        put(type, 1), put(0, 1), put(handle, 2);
        strings_.clear();
    }
    void put(u64 value, u32 bytes) {
        for (u32 i = 0; i < bytes; i++) out_.push_back(u8(value >> (8 * i)));
    }
    void zeros(u32 count) { out_.resize(out_.size() + count); }
    void text(std::string s) {
        put(s.empty() ? 0 : strings_.size() + 1, 1);
        if (!s.empty()) strings_.push_back(std::move(s));
    }
    void end() {
        out_[begin_ + 1] = u8(out_.size() - begin_);
        for (const std::string& s : strings_) {
            out_.insert(out_.end(), s.begin(), s.end());
            out_.push_back(0);
        }
        zeros(strings_.empty() ? 2 : 1);
        u8 type = out_[begin_];
        bool replaced = std::any_of(board_.structures.begin(), board_.structures.end(),
                                    [type](const auto& s) { return s[0] == type; });
        if (replaced) out_.resize(begin_);
    }

    // Section 7.1.
    void firmware() {
        begin(0, 0);
        text(field("0", "vendor")), text(field("0", "version"));
        put(0xe800, 2);
        text(field("0", "date"));
        constexpr u32 not_supported = 8, is_virtual = 0x10, is_uefi = 8, targeted = 4;
        put(0, 1), put(not_supported, 8), put(0, 1);
        std::string uefi = field("0", "uefi", "off");
        put(is_virtual | targeted | (uefi == "on" ? is_uefi : 0), 1);
        auto version = release(field("0", "release", "0.0"));
        put(version ? version->first : 0, 1), put(version ? version->second : 0, 1), put(0xffff, 2);
        end();
    }
    // Section 7.2.
    void system() {
        constexpr u8 power_switch = 6;
        begin(1, 0x100);
        text(field("1", "manufacturer", board_.manufacturer)), text(field("1", "product", board_.product));
        text(field("1", "version", board_.version)), text(field("1", "serial"));
        auto id = uuid(field("1", "uuid", board_.uuid));
        for (u32 i = 0; i < 16; i++) put(id ? (*id)[i] : 0, 1);
        put(power_switch, 1);
        text(field("1", "sku")), text(field("1", "family"));
        end();
    }
    // Section 7.3.
    void baseboard() {
        constexpr u8 hosting = 1, motherboard = 10;
        begin(2, 0x200);
        text(field("2", "manufacturer", board_.manufacturer)), text(field("2", "product", board_.product));
        text(field("2", "version", board_.version)), text(field("2", "serial")), text(field("2", "asset"));
        put(hosting, 1);
        text(field("2", "location"));
        put(0x300, 2), put(motherboard, 1), put(0, 1);
        end();
    }
    // Section 7.4.
    void chassis() {
        constexpr u8 other = 1, safe = 3, unknown_security = 2;
        begin(3, 0x300);
        text(field("3", "manufacturer", board_.manufacturer));
        put(other, 1);
        text(field("3", "version", board_.version)), text(field("3", "serial")), text(field("3", "asset"));
        put(safe, 1), put(safe, 1), put(safe, 1), put(unknown_security, 1), zeros(8);
        text(field("3", "sku"));
        end();
    }
    // Section 7.5.
    void processor(u32 n) {
        constexpr u8 central = 3, family_other = 1, enabled = 0x41, upgrade_other = 1;
        constexpr u16 unknown = 2, no_handle = 0xffff;
        u32 cores = board_.cores, threads = board_.threads;
        begin(4, u16(0x400 + n));
        text(field("4", "sock_pfx", "CPU") + " " + std::to_string(n));
        put(central, 1), put(family_other, 1);
        text(field("4", "manufacturer", board_.manufacturer));
        put(0, 8);
        text(field("4", "version", board_.version));
        put(0, 1), put(0, 2), put(amount("4", "max-speed", 2000), 2), put(amount("4", "current-speed", 2000), 2);
        put(enabled, 1), put(upgrade_other, 1), put(no_handle, 2), put(no_handle, 2), put(no_handle, 2);
        text(field("4", "serial")), text(field("4", "asset")), text(field("4", "part"));
        for (u32 count : {cores, cores, threads}) put(std::min(count, 255u), 1);
        put(unknown, 2), put(family_other, 2), put(cores, 2), put(cores, 2), put(threads, 2);
        end();
    }
    // Section 7.12.
    void oem_strings() {
        if (!has("11")) return;
        begin(11, 0xe00);
        u8 count = 0;
        put(0, 1);
        for (const PropertyList& p : board_.given)
            if (type_of(p) == "11")
                for (const auto& [n, v] : p)
                    if (n == "value" && !v.empty() && count < 255) strings_.push_back(v), count++;
        out_.back() = count;
        end();
    }
    // Sections 7.17, 7.18, 7.20: one array of one module.
    void memory() {
        constexpr u8 board = 1, system_memory = 3, multi_bit = 6, dimm = 9, ram = 7, other_detail = 2;
        constexpr u16 array = 0x1000, no_error = 0xfffe, unknown = 0xffff;
        constexpr u64 kib = 1024, mib = kib * 1024, most_kib = 0x80000000, most_mib = 0x7fff;
        u64 bytes = board_.ram_bytes;
        begin(16, array);
        put(board, 1), put(system_memory, 1), put(multi_bit, 1);
        put(std::min(bytes / kib, most_kib), 4), put(no_error, 2), put(1, 2);
        put(bytes / kib >= most_kib ? bytes : 0, 8);
        end();
        begin(17, 0x1100);
        put(array, 2), put(no_error, 2), put(unknown, 2), put(unknown, 2), put(std::min(bytes / mib, most_mib), 2);
        put(dimm, 1), put(0, 1);
        text(field("17", "loc_pfx", "DIMM") + " 0"), text(field("17", "bank"));
        put(ram, 1), put(other_detail, 2), put(amount("17", "speed", 0), 2);
        text(field("17", "manufacturer", board_.manufacturer)), text(field("17", "serial")), text(field("17", "asset"));
        text(field("17", "part"));
        put(0, 1), put(bytes / mib >= most_mib ? bytes / mib : 0, 4), put(amount("17", "speed", 0), 2), zeros(6);
        end();
        begin(19, 0x1300);
        u64 last = board_.ram_start + bytes - 1;
        bool far = last / kib >= 0xffffffff;
        put(far ? 0xffffffff : board_.ram_start / kib, 4), put(far ? 0xffffffff : last / kib, 4);
        put(array, 2), put(1, 1), put(far ? board_.ram_start : 0, 8), put(far ? last : 0, 8);
        end();
    }
    // Section 7.33.
    void boot_status() {
        begin(32, 0x2000);
        zeros(7); // no errors
        end();
    }

    const SmbiosBoard& board_;
    std::vector<u8> out_;
    std::vector<std::string> strings_;
    size_t begin_ = 0;
};

} // namespace

// Section 6.1: a head of four bytes, fields, then strings, of which an empty one is the last.
Result<std::vector<u8>> read_smbios_structure(const std::string& path) {
    constexpr u64 most = 65535; // what a table of version 2 could hold
    constexpr u8 end_of_table = 127;
    std::ifstream file(path, std::ios::binary);
    if (!file) return Error::not_found("-smbios file: cannot open {}", path);
    std::vector<u8> s(most + 1);
    file.read(reinterpret_cast<char*>(s.data()), i64(s.size()));
    s.resize(size_t(file.gcount()));
    if (s.size() < 4 || s.size() > most || s[1] < 4 || s[1] + 2u > s.size())
        return Error::corrupt("-smbios file: {} is no structure: {} bytes, expected 6 to {}, and a length from 4 on",
                              path, s.size(), most);
    size_t at = s[1];
    while (at + 1 < s.size() && (s[at] || s[at + 1])) at++;
    if (at + 2 != s.size())
        return Error::corrupt("-smbios file: {} is no one structure: its strings end at byte {} of {}", path,
                              std::min(at + 2, s.size()), s.size());
    if (s[0] == end_of_table)
        return Error::corrupt("-smbios file: {} is an end of tables, expected another type", path);
    return s;
}

Result<void> check_smbios(const PropertyList& given) {
    if (given.size() == 1 && given[0].first == "file") {
        TRY(read_smbios_structure(given[0].second));
        return {};
    }
    std::string_view type = type_of(given);
    const Fields* known = find_fields(type);
    if (!known) return Error::invalid_argument("-smbios type: '{}', expected 0, 1, 2, 3, 4, 11 or 17", type);
    for (const auto& [name, value] : given) {
        if (name == "type") continue;
        if (std::find(known->names.begin(), known->names.end(), name) == known->names.end())
            return Error::invalid_argument("-smbios type={}: there is no '{}'{}", type, name,
                                           did_you_mean(name, known->names));
        if (name.ends_with("speed")) TRY(number(type, name, value, 0xffff));
        if (name == "uuid") TRY(uuid(value));
        if (name == "release") TRY(release(value));
        if (name == "uefi" && value != "on" && value != "off")
            return Error::invalid_argument("-smbios type=0,uefi: '{}', expected on or off", value);
    }
    return {};
}

std::vector<u8> smbios_tables(const SmbiosBoard& board) { return Tables(board).make(); }

Result<void> give_smbios_tables(SmbiosBoard board, devices::FwCfg& fw_cfg) {
    for (const PropertyList& p : board.given) {
        TRY(check_smbios(p));
        if (p.size() != 1 || p[0].first != "file") continue;
        board.structures.push_back(TRY(read_smbios_structure(p[0].second)));
        std::string type = std::to_string(board.structures.back()[0]);
        for (const PropertyList& other : board.given)
            if (type_of(other) == type)
                return Error::invalid_argument("-smbios type={}: {} has all of it, expected one of them", type,
                                               p[0].second);
    }
    std::vector<u8> tables = smbios_tables(board);
    // Section 5.2.2, the 64-bit entry point. The sum of its bytes is 0 modulo 256.
    std::vector<u8> entry{'_', 'S', 'M', '3', '_', 0, 24, 3, 0, 0, 1, 0};
    for (u32 i = 0; i < 4; i++) entry.push_back(u8(tables.size() >> (8 * i)));
    entry.resize(24);
    for (u8 b : std::vector<u8>(entry)) entry[5] = u8(entry[5] - b);
    TRY(fw_cfg.add_file("etc/smbios/smbios-tables", std::move(tables)));
    return fw_cfg.add_file("etc/smbios/smbios-anchor", std::move(entry));
}

} // namespace mimic::machines
