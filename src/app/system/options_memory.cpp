#include "app/system/options_memory.hpp"
#include "block/options.hpp"
#include <algorithm>
#include <bit>

namespace mimic::app {

using memory::RamBlock;

namespace {

constexpr std::string_view backend_prefix = "memory-backend-";

// A JSON object's members as keys: all of its values are texts, numbers or booleans.
Result<std::string> as_keys(const Json& object) {
    std::string out;
    for (const auto& [key, value] : *object.members()) {
        if (value.members() || value.items())
            return Error::unsupported("'{}': {}, expected a text, a number or a boolean", key, value.dump());
        const bool* flag = value.boolean();
        const std::string text = value.string() ? *value.string() : flag ? (*flag ? "on" : "off") : value.dump();
        out.append(out.empty() ? "" : ",").append(key).append("=");
        for (char c : text) out.append(c == ',' ? 2 : 1, c);
    }
    return out;
}

Result<machines::MemoryBackend> parse_backend(std::string_view kind, Keys& keys) {
    constexpr std::string_view kinds[] = {"ram", "memfd", "file"};
    if (std::find(std::begin(kinds), std::end(kinds), kind) == std::end(kinds))
        return Error::unsupported("'{}{}' is not there, expected {}ram, -memfd or -file", backend_prefix, kind,
                                  backend_prefix);
    machines::MemoryBackend b;
    b.id = keys.text("id");
    b.size = keys.size("size", 0);
    b.ram.backing = kind == "file"    ? RamBlock::Backing::file
                    : kind == "memfd" ? RamBlock::Backing::memfd
                                      : RamBlock::Backing::huge;
    b.ram.shared = keys.flag("share", kind == "memfd");
    b.ram.copied = kind == "memfd" && !b.ram.shared;
    b.ram.prealloc = keys.flag("prealloc", false);
    b.ram.merge = keys.flag("merge", true);
    b.ram.dump = keys.flag("dump", true);
    keys.flag("reserve", true); // accepted: swap space is taken when it is used
    keys.number("prealloc-threads", 1, 1, 1 << 16);
    if (kind == "file") {
        b.ram.path = keys.text("mem-path");
        if (b.ram.path.empty()) return Error::invalid_argument("'mem-path' is missing, expected mem-path=PATH");
    }
    if (kind == "memfd") {
        b.ram.hugetlb = keys.flag("hugetlb", false);
        b.ram.hugetlb_size = keys.size("hugetlbsize", 0);
        const u64 s = b.ram.hugetlb_size;
        if (s && !b.ram.hugetlb)
            return Error::invalid_argument("hugetlbsize: {}, expected together with hugetlb=on", s);
        if (s && !std::has_single_bit(s)) return Error::invalid_argument("hugetlbsize: {}, expected a power of two", s);
    }
    for (std::string_view numa : {"host-nodes", "policy"})
        if (keys.has(numa)) return Error::unsupported("{}: there is no choice of host nodes", numa);
    TRY(keys.finish());
    if (b.id.empty()) return Error::invalid_argument("'id' is missing, expected id=NAME");
    if (b.size == 0 || b.size % RamBlock::page_size)
        return Error::invalid_argument("size: {}, expected a multiple of {} bytes", b.size, RamBlock::page_size);
    return b;
}

} // namespace

Result<void> set_memory(SystemOptions& o, std::string_view value) {
    Keys keys("-m", value, "size");
    o.board.ram_bytes = keys.size("size", 0, 'M');
    const u64 most = keys.size("maxmem", 0, 'M'), slots = keys.number("slots", 0, 0, 256);
    TRY(keys.finish());
    constexpr u64 page = RamBlock::page_size;
    o.board.ram_bytes = (o.board.ram_bytes + page - 1) / page * page;
    if (o.board.ram_bytes == 0) return Error::invalid_argument("-m size: '{}', expected a size like 512M", value);
    if (most && most < o.board.ram_bytes)
        return Error::invalid_argument("-m maxmem: {} bytes, expected at least the {} of size", most,
                                       o.board.ram_bytes);
    if (slots && !most) return Error::invalid_argument("-m slots: {}, expected together with maxmem", slots);
    if (most > o.board.ram_bytes)
        return Error::unsupported("-m maxmem: {} bytes, expected the {} of size: the boards have no slots for memory",
                                  most, o.board.ram_bytes);
    return {};
}

Result<void> add_object(SystemOptions& o, std::string_view value) {
    const bool json = value.starts_with('{');
    Json object = TRY((json ? Json::parse(value) : block::parse_flat(value, "qom-type")).in("-object"));
    const Json* type = object.find("qom-type");
    if (!type || !type->string() || !type->string()->starts_with(backend_prefix)) {
        o.objects.emplace_back(value); // the block layer's
        return {};
    }
    const std::string name = *type->string(), option = "-object " + name;
    object.take("qom-type");
    Keys keys(option, TRY(as_keys(object).in("{}", option)));
    auto backend = TRY(parse_backend(std::string_view(name).substr(backend_prefix.size()), keys).in("{}", option));
    for (const auto& other : o.board.memory_backends)
        if (other.id == backend.id) return Error::exists("{}: the id '{}' is taken", option, backend.id);
    o.board.memory_backends.push_back(std::move(backend));
    return {};
}

Result<void> settle_memory(SystemOptions& o) {
    RamBlock::Options& ram = o.board.ram;
    if (!o.mem_path.empty()) {
        ram.backing = RamBlock::Backing::file;
        ram.path = o.mem_path;
    }
    if (o.memory_backend.empty()) return {};
    if (!o.mem_path.empty())
        return Error::invalid_argument("-mem-path: there is -M memory-backend={}, expected one of them",
                                       o.memory_backend);
    const auto& all = o.board.memory_backends;
    auto it = std::find_if(all.begin(), all.end(), [&](const auto& b) { return b.id == o.memory_backend; });
    if (it == all.end())
        return Error::not_found("-M memory-backend: there is no memory backend '{}', expected the id of an -object",
                                o.memory_backend);
    if (o.board.ram_bytes && o.board.ram_bytes != it->size)
        return Error::invalid_argument("-m size: {} bytes, expected the {} of memory backend '{}'", o.board.ram_bytes,
                                       it->size, it->id);
    o.board.ram_bytes = it->size;
    const bool prealloc = ram.prealloc;
    ram = it->ram;
    ram.prealloc |= prealloc;
    return {};
}

} // namespace mimic::app
