#include "app/system/options_memory.hpp"
#include "base/nearest.hpp"
#include "block/objects.hpp"
#include "block/options.hpp"
#include <algorithm>
#include <bit>

namespace mimic::app {

using memory::RamBlock;

namespace {

// Of a machine's RAM: the flags of its pages alone take 1 GiB of the host's then.
constexpr u64 most_ram = u64{4} << 40;

Result<void> check_size(std::string_view option, u64 size) {
    if (size <= most_ram) return {};
    return Error::invalid_argument("{}size: {} GiB, expected at most {}", option, size >> 30, most_ram >> 30);
}

constexpr std::string_view backend_prefix = "memory-backend-";

Result<machines::MemoryBackend> parse_backend(std::string_view kind, Keys& keys) {
    machines::MemoryBackend b;
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
    TRY(check_size("", b.size));
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
    TRY(check_size("-m ", o.board.ram_bytes));
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

// Object types of machines; the others are the block layer's.
constexpr std::string_view machine_objects[] = {"memory-backend-ram", "memory-backend-memfd", "memory-backend-file",
                                                "rng-random", "rng-builtin"};

std::vector<std::string_view> object_types() {
    std::vector<std::string_view> all(std::begin(machine_objects), std::end(machine_objects));
    const auto others = block::object_types();
    all.insert(all.end(), others.begin(), others.end());
    std::sort(all.begin(), all.end());
    return all;
}

Result<void> add_object(SystemOptions& o, std::string_view value) {
    if (asks_help(value)) {
        o.help = Help::objects;
        return {};
    }
    const bool json = value.starts_with('{');
    const Json object = TRY((json ? Json::parse(value) : block::parse_flat(value, "qom-type")).in("-object"));
    const Json* type = object.find("qom-type");
    const std::string name = type && type->string() ? *type->string() : "", option = "-object " + name;
    const auto types = object_types();
    if (std::find(types.begin(), types.end(), name) == types.end()) {
        std::string list;
        for (std::string_view one : types) list.append(list.empty() ? "" : ", ").append(one);
        return Error::invalid_argument("-object: object type '{}' is not known here, expected one of {}{}", name, list,
                                       did_you_mean(name, types));
    }
    const Json* given_id = object.find("id");
    if (given_id && given_id->string() && !o.object_ids.insert(*given_id->string()).second)
        return Error::exists("{}: the id '{}' is taken", option, *given_id->string());
    if (std::find(std::begin(machine_objects), std::end(machine_objects), name) == std::end(machine_objects)) {
        o.objects.emplace_back(value);
        return {};
    }
    Keys keys = TRY(Keys::parse(option, value, "qom-type"));
    keys.text("qom-type");
    const std::string id = keys.text("id");
    if (id.empty()) return Error::invalid_argument("{}: 'id' is missing, expected id=NAME", option);
    if (name.starts_with("rng-")) {
        o.board.random_sources[id] = name == "rng-random" ? keys.text("filename", "/dev/urandom") : std::string();
        return keys.finish();
    }
    auto backend = TRY(parse_backend(std::string_view(name).substr(backend_prefix.size()), keys).in("{}", option));
    backend.id = id;
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
