// Guest memory. QEMU QMP reference manual, parts of "Machines": memsave, pmemsave, sizes.
#include "monitor/commands.hpp"
#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace mimic::monitor {

namespace {

// Writes `bytes` bytes, fetched piece by piece, to a file.
Result<Json> save(const std::string& path, u64 address, u64 bytes,
                  const std::function<bool(u64, std::span<u8>)>& fetch) {
    std::FILE* f = std::fopen(path.c_str(), "wbe");
    if (!f) return Error::from_errno(errno, "Could not open '{}'", path);
    std::vector<u8> page(4096);
    Result<void> outcome;
    while (bytes && outcome) {
        std::span<u8> part = std::span(page).first(std::min<u64>(bytes, page.size() - address % page.size()));
        if (!fetch(address, part))
            outcome = Error::invalid_argument("Invalid addr 0x{:016x}/size {} specified", address, bytes);
        else if (std::fwrite(part.data(), 1, part.size(), f) != part.size())
            outcome = Error::from_errno(errno, "writing '{}' failed", path);
        address += part.size();
        bytes -= part.size();
    }
    if (std::fclose(f) != 0 && outcome) outcome = Error::from_errno(errno, "writing '{}' failed", path);
    TRY(std::move(outcome));
    return Json::object();
}

Result<Json> memsave(Monitor& m, const Arguments& a) {
    cpu::Vcpu* v = TRY(m.vcpu(a.number("cpu-index")));
    return save(a.text("filename"), a.number("val"), a.number("size"),
                [&](u64 at, std::span<u8> out) { return read_virtual(*v, at, out); });
}

Result<Json> pmemsave(Monitor& m, const Arguments& a) {
    return save(a.text("filename"), a.number("val"), a.number("size"),
                [&](u64 at, std::span<u8> out) { return read_ram(m.machine().memory(), at, out); });
}

Result<Json> query_memory_size_summary(Monitor& m, const Arguments&) {
    Json j = Json::object();
    j.set("base-memory", m.board().options().ram_bytes);
    return j;
}

Json memdev(const std::string& id, u64 size, const memory::RamBlock::Options& ram) {
    Json j = Json::object();
    j.set("id", id);
    j.set("size", size);
    j.set("merge", ram.merge);
    j.set("dump", ram.dump);
    j.set("prealloc", ram.prealloc);
    j.set("share", ram.shared);
    j.set("host-nodes", Json::array());
    j.set("policy", "default");
    return j;
}

// RAM that no -object made is a backend, too, of the block's name.
Result<Json> query_memdev(Monitor& m, const Arguments&) {
    Json list = Json::array();
    const machines::BoardOptions& o = m.board().options();
    const auto blocks = m.board().ram_blocks();
    if (m.vm().ram_backend.empty() && o.ram_bytes && !blocks.empty())
        list.push(memdev(blocks[0]->name(), blocks[0]->size(), o.ram));
    for (const machines::MemoryBackend& b : o.memory_backends) list.push(memdev(b.id, b.size, b.ram));
    return list;
}

Result<Json> query_memory_devices(Monitor&, const Arguments&) { return Json::array(); }

Result<devices::Balloon*> find_balloon(Monitor& m) {
    if (devices::Balloon* b = m.machine().balloon) return b;
    return Error::cancelled("No balloon device has been activated");
}

Result<Json> query_balloon(Monitor& m, const Arguments&) {
    devices::Balloon* b = TRY(find_balloon(m));
    Json j = Json::object();
    j.set("actual", b->actual());
    return j;
}

Result<Json> balloon(Monitor& m, const Arguments& a) {
    devices::Balloon* b = TRY(find_balloon(m));
    if (a.number("value") == 0) return Error::invalid_argument("Parameter 'value' expects a size above 0");
    b->set_target(a.number("value"));
    return Json::object();
}

constexpr EventInfo events[] = {
    {"BALLOON_CHANGE", "actual int", "the guest has given memory back, or taken it"},
};

constexpr Command commands[] = {
    {"query-balloon", "", "BalloonInfo", "RAM that the guest has beside what the balloon took", of<query_balloon>},
    {"balloon", "value int", "", "asks the guest to use as many bytes of RAM", of<balloon>},
    {"memsave", "val int, size int, filename str, ?cpu-index int", "",
     "writes memory at a processor's addresses to a file", of<memsave>},
    {"pmemsave", "val int, size int, filename str", "", "writes memory at physical addresses to a file", of<pmemsave>},
    {"query-memory-size-summary", "", "MemoryInfo", "how much memory there is", of<query_memory_size_summary>},
    {"query-memdev", "", "[Memdev]", "memory backends: those of -object, and RAM that none of them is",
     of<query_memdev>},
    {"query-memory-devices", "", "[any]", "plugged memory: none", of<query_memory_devices>},
};

} // namespace

constinit const Family memory_family{R"(
struct MemoryInfo: base-memory size, ?plugged-memory size
struct BalloonInfo: actual int
enum HostMemPolicy: default preferred bind interleave
struct Memdev: ?id str, size size, merge bool, dump bool, prealloc bool, share bool, ?reserve bool, host-nodes [int], policy HostMemPolicy
)",
                                     commands, events};

} // namespace mimic::monitor
