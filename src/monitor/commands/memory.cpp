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

Result<Json> query_memory_devices(Monitor&, const Arguments&) { return Json::array(); }

constexpr Command commands[] = {
    {"memsave", "val int, size int, filename str, ?cpu-index int", "",
     "writes memory at a processor's addresses to a file", of<memsave>},
    {"pmemsave", "val int, size int, filename str", "", "writes memory at physical addresses to a file", of<pmemsave>},
    {"query-memory-size-summary", "", "MemoryInfo", "how much memory there is", of<query_memory_size_summary>},
    {"query-memory-devices", "", "[any]", "plugged memory: none", of<query_memory_devices>},
};

} // namespace

constinit const Family memory_family{R"(
struct MemoryInfo: base-memory size, ?plugged-memory size
)",
                                     commands};

} // namespace mimic::monitor
