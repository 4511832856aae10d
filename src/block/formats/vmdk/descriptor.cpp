#include "block/formats/vmdk/vmdk.hpp"
#include <algorithm>
#include <charconv>

namespace mimic::block::vmdk {

namespace {

std::string_view trim(std::string_view s) {
    while (!s.empty() && (s.back() == ' ' || s.back() == '\t' || s.back() == '\r' || s.back() == '\0'))
        s.remove_suffix(1);
    while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
    return s;
}

std::string_view unquote(std::string_view s) {
    return s.size() >= 2 && s.front() == '"' && s.back() == '"' ? s.substr(1, s.size() - 2) : s;
}

// The next word, or what stands in quotes.
std::string_view word(std::string_view& rest) {
    rest = trim(rest);
    size_t n = !rest.empty() && rest.front() == '"' ? rest.find('"', 1) : rest.find_first_of(" \t");
    if (n != std::string_view::npos && rest.front() == '"') n++;
    std::string_view w = rest.substr(0, n);
    rest.remove_prefix(w.size());
    return w;
}

template <class T>
bool number(std::string_view s, T& out, int base = 10) {
    auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), out, base);
    return error == std::errc() && end == s.data() + s.size();
}

// "RW 4192256 SPARSE "disk-s001.vmdk" 0"
Result<ExtentLine> parse_extent(std::string_view line) {
    std::string_view rest = line;
    ExtentLine e;
    e.access = word(rest);
    std::string_view sectors = word(rest);
    e.type = word(rest);
    e.filename = unquote(word(rest));
    std::string_view offset = word(rest);
    if (!number(sectors, e.sectors) || e.sectors == 0 || e.sectors > u64(INT64_MAX) / sector)
        return Error::corrupt("vmdk descriptor: '{}' is no extent, expected 'RW SECTORS TYPE \"FILE\"'", line);
    if (!offset.empty() && (!number(offset, e.offset) || e.offset > u64(INT64_MAX) / sector - e.sectors))
        return Error::corrupt("vmdk descriptor: '{}': the offset is not a number of sectors", line);
    if (e.type != "FLAT" && e.type != "SPARSE" && e.type != "ZERO" && e.type != "VMFS")
        return Error::unsupported("vmdk descriptor: '{}': extents of type {} are not supported, expected SPARSE, FLAT, "
                                  "VMFS or ZERO",
                                  line, e.type);
    if (e.type != "ZERO" && e.filename.empty()) return Error::corrupt("vmdk descriptor: '{}' names no file", line);
    return e;
}

} // namespace

bool is_descriptor(std::span<const u8> head) {
    std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
    while (!text.empty()) {
        size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = trim(text.substr(0, end));
        if (!line.empty() && line.front() != '#')
            return line == "version=1" || line == "version=2" || line == "version=3";
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return false;
}

Result<Descriptor> parse_descriptor(std::string text) {
    Descriptor d;
    text.resize(std::min(text.find('\0'), text.size()));
    bool has_cid = false;
    u64 total = 0;
    for (size_t at = 0; at < text.size();) {
        size_t end = std::min(text.find('\n', at), text.size());
        std::string_view line = trim(std::string_view(text).substr(at, end - at));
        at = end + 1;
        if (line.empty() || line.front() == '#') continue;
        if (line.starts_with("RW ") || line.starts_with("RDONLY ") || line.starts_with("NOACCESS ")) {
            d.extents.push_back(TRY(parse_extent(line)));
            total += d.extents.back().sectors;
            if (total > u64(INT64_MAX) / sector) return Error::corrupt("vmdk descriptor: the extents are too large");
            continue;
        }
        size_t equals = line.find('=');
        if (equals == std::string_view::npos) continue;
        std::string_view name = trim(line.substr(0, equals)), value = unquote(trim(line.substr(equals + 1)));
        if (name == "CID") {
            if (!number(value, d.cid, 16))
                return Error::corrupt("vmdk descriptor: CID={} is no hexadecimal number", value);
            d.cid_place = size_t(value.data() - text.data());
            has_cid = value.size() == 8;
        } else if (name == "parentCID") {
            if (!number(value, d.parent_cid, 16))
                return Error::corrupt("vmdk descriptor: parentCID={} is no hexadecimal number", value);
        } else if (name == "createType") {
            d.create_type = value;
        } else if (name == "parentFileNameHint") {
            d.parent_hint = value;
        }
    }
    if (d.create_type.empty()) return Error::corrupt("vmdk descriptor: createType is missing");
    if (!has_cid) d.cid_place = 0;
    d.text = std::move(text);
    return d;
}

std::string print_descriptor(const NewDescriptor& d) {
    // As BIOSes see disks (technical note, "The Disk Database"): 16 heads on IDE, 255 on SCSI; 63 sectors.
    u64 heads = d.adapter == "ide" ? 16 : 255;
    std::string text =
        fmt::format("# Disk DescriptorFile\nversion=1\nCID={:08x}\nparentCID={:08x}\ncreateType=\"{}\"\n", d.cid,
                    d.parent_cid, d.create_type);
    if (!d.parent_hint.empty()) text += fmt::format("parentFileNameHint=\"{}\"\n", d.parent_hint);
    text += fmt::format("\n# Extent description\n{}\n# The Disk Data Base\n#DDB\n\n", d.extents);
    text += fmt::format("ddb.virtualHWVersion = \"{}\"\nddb.geometry.cylinders = \"{}\"\nddb.geometry.heads = \"{}\"\n"
                        "ddb.geometry.sectors = \"63\"\nddb.adapterType = \"{}\"\nddb.toolsVersion = \"{}\"\n",
                        d.hardware_version, d.sectors / (63 * heads), heads, d.adapter, d.tools_version);
    return text;
}

} // namespace mimic::block::vmdk
