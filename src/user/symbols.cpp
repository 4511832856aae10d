#include "user/symbols.hpp"
#include "user/linux/layout.hpp"
#include "user/memory/address_space.hpp"
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

namespace mimic::user {

namespace {

constexpr u32 sht_symtab = 2, sht_dynsym = 11, stt_func = 2, stt_gnu_ifunc = 10, pt_load = 1;

// Little and big, 32 and 64 bits.
struct Words {
    const FileBytes& file;
    ElfIdentity id;
    bool wide() const { return id.elf_class == 2; }
    u64 at(u64 offset, u32 bytes) const {
        u8 raw[8] = {};
        return file.read(offset, {raw, bytes}) ? load_int(raw, bytes, id.big) : 0;
    }
    u64 native(u64 offset32, u64 offset64) const { return wide() ? at(offset64, 8) : at(offset32, 4); }
};

struct Section {
    u32 type = 0, link = 0;
    u64 offset = 0, size = 0;
};

Section section(const Words& w, u64 table, u32 entry_bytes, u32 n) {
    u64 at = table + u64(n) * entry_bytes;
    return {u32(w.at(at + 4, 4)), u32(w.at(at + (w.wide() ? 40 : 24), 4)), w.native(at + 16, at + 24),
            w.native(at + 20, at + 32)};
}

// Bytes [offset, offset + size) of the file, cut off at its end and at `most`.
std::vector<u8> bytes_of(const FileBytes& file, const Section& s, u64 most) {
    if (s.offset >= file.size()) return {};
    std::vector<u8> out(std::min({s.size, file.size() - s.offset, most}));
    if (!file.read(s.offset, out)) out.clear();
    return out;
}

void add_symbols(const Words& w, const Section& symbols, const Section& names, SymbolTable& out) {
    u32 entry = w.wide() ? 24 : 16;
    std::vector<u8> raw = bytes_of(w.file, symbols, max_symbols * entry),
                    text = bytes_of(w.file, names, max_symbol_names);
    bool big = w.id.big;
    for (u64 at = 0; at + entry <= raw.size() && out.functions.size() < max_symbols; at += entry) {
        const u8* s = raw.data() + at;
        u8 type = s[w.wide() ? 4 : 12] & 15;
        bool defined = load_int(s + (w.wide() ? 6 : 14), 2, big) != 0;
        u64 name = load_int(s, 4, big);
        if ((type != stt_func && type != stt_gnu_ifunc) || !defined || name >= text.size()) continue;
        const char* first = reinterpret_cast<const char*>(text.data()) + name;
        std::string_view view(first, strnlen(first, text.size() - name));
        if (view.empty()) continue;
        out.functions.push_back({w.wide() ? load_int(s + 8, 8, big) : load_int(s + 4, 4, big),
                                 w.wide() ? load_int(s + 16, 8, big) : load_int(s + 8, 4, big), std::string(view)});
    }
}

} // namespace

const Symbol* SymbolTable::find(u64 address) const {
    auto above = std::upper_bound(functions.begin(), functions.end(), address,
                                  [](u64 a, const Symbol& s) { return a < s.address; });
    if (above == functions.begin()) return nullptr;
    const Symbol& s = *std::prev(above);
    return s.size == 0 || address - s.address < s.size ? &s : nullptr;
}

u64 SymbolTable::address_of(u64 offset) const {
    for (const Load& l : loads)
        if (offset - l.offset < l.size) return l.address + (offset - l.offset);
    return ~u64{0};
}

SymbolTable read_symbols(const FileBytes& file) {
    SymbolTable out;
    auto id = identify_elf(file);
    if (!id) return out;
    Words w{file, *id};
    u64 headers = w.native(28, 32), sections = w.native(32, 40);
    u32 header_bytes = u32(w.at(w.wide() ? 54 : 42, 2)), header_count = u32(w.at(w.wide() ? 56 : 44, 2));
    u32 section_bytes = u32(w.at(w.wide() ? 58 : 46, 2)), section_count = u32(w.at(w.wide() ? 60 : 48, 2));
    for (u32 n = 0; n < std::min(header_count, max_program_headers); ++n) {
        u64 at = headers + u64(n) * header_bytes;
        if (w.at(at, 4) == pt_load)
            out.loads.push_back({w.native(at + 4, at + 8), w.native(at + 16, at + 32), w.native(at + 8, at + 16)});
    }
    if (section_bytes < (w.wide() ? 64u : 40u)) section_count = 0;
    for (u32 n = 0; n < section_count; ++n) {
        Section s = section(w, sections, section_bytes, n);
        if ((s.type == sht_symtab || s.type == sht_dynsym) && s.link < section_count)
            add_symbols(w, s, section(w, sections, section_bytes, s.link), out);
    }
    std::stable_sort(out.functions.begin(), out.functions.end(),
                     [](const Symbol& a, const Symbol& b) { return a.address < b.address; });
    auto same = [](const Symbol& a, const Symbol& b) { return a.address == b.address; };
    out.functions.erase(std::unique(out.functions.begin(), out.functions.end(), same), out.functions.end());
    return out;
}

namespace {

// The notes of a segment, each {name size, description size, type}, name, description, padded to 4.
std::string build_id_in(const Words& w, u64 at, u64 end) {
    constexpr u32 type_build_id = 3, head = 12, longest = 64; // NT_GNU_BUILD_ID
    while (at < end && end - at >= head) {
        const u64 name = w.at(at, 4), bytes = w.at(at + 4, 4), type = w.at(at + 8, 4);
        const u64 text = at + head + ((name + 3) & ~u64{3});
        if (name == 4 && type == type_build_id &&
            w.at(at + head, 4) == load_int(reinterpret_cast<const u8*>("GNU"), 4, w.id.big)) {
            std::string id;
            for (u64 n = 0; n < std::min<u64>(bytes, longest); n++) id += fmt::format("{:02x}", w.at(text + n, 1));
            return id;
        }
        at = text + ((bytes + 3) & ~u64{3});
    }
    return {};
}

} // namespace

std::string elf_build_id(const FileBytes& file) {
    constexpr u32 pt_note = 4, most = 1 << 16;
    auto id = identify_elf(file);
    if (!id) return {};
    Words w{file, *id};
    const u64 headers = w.native(28, 32);
    const u32 bytes = u32(w.at(w.wide() ? 54 : 42, 2)), count = u32(w.at(w.wide() ? 56 : 44, 2));
    for (u32 n = 0; n < std::min(count, max_program_headers); ++n) {
        const u64 at = headers + u64(n) * bytes;
        if (w.at(at, 4) != pt_note) continue;
        const u64 offset = w.native(at + 4, at + 8), size = std::min<u64>(w.native(at + 16, at + 32), most);
        if (offset >= file.size()) continue;
        if (std::string found = build_id_in(w, offset, offset + size); !found.empty()) return found;
    }
    return {};
}

const GuestSymbols::Mapped* GuestSymbols::mapped(u64 pc) {
    auto look = [&]() -> const Mapped* {
        for (const Mapped& m : mapped_)
            if (pc >= m.start && pc < m.end) return &m;
        return nullptr;
    };
    if (const Mapped* m = look()) return m;
    mapped_.clear();
    std::string text = space_.maps_text();
    for (size_t at = 0, end; at < text.size(); at = end + 1) {
        end = std::min(text.find('\n', at), text.size());
        std::string line = text.substr(at, end - at);
        unsigned long long low, high, offset;
        size_t path = line.find('/');
        if (path == line.npos || std::sscanf(line.c_str(), "%llx-%llx %*4s %llx", &low, &high, &offset) != 3) continue;
        mapped_.push_back({low, high, offset, line.substr(path)});
    }
    return look();
}

std::string GuestSymbols::name(u64 pc) {
    const Mapped* m = mapped(pc);
    if (!m) return {};
    auto [at, fresh] = files_.try_emplace(m->path);
    if (fresh) {
        int fd = open(m->path.c_str(), O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            at->second = read_symbols(DescriptorBytes(fd));
            close(fd);
        }
    }
    u64 address = at->second.address_of(pc - m->start + m->offset);
    const Symbol* s = at->second.find(address);
    if (!s) return {};
    return address == s->address ? s->name : fmt::format("{}+{:#x}", s->name, address - s->address);
}

} // namespace mimic::user
