// dump-guest-memory. QEMU QMP reference manual, "Dump guest memory".
#include "monitor/dump.hpp"
#include "base/io/scope.hpp"
#include "monitor/commands.hpp"

namespace mimic::monitor {

namespace {

using io::Task;

Json result_of(const DumpState& s) {
    Json j = Json::object();
    j.set("status", s.status);
    j.set("completed", s.done.load());
    j.set("total", s.total);
    return j;
}

Task<Result<Json>> dump_guest_memory(Monitor& m, const Arguments& a) {
    std::string protocol = a.text("protocol"), path = protocol.starts_with("file:") ? protocol.substr(5) : "";
    if (a.flag("paging"))
        co_return Error::unsupported("Parameter 'paging': true, expected false: addresses are physical");
    if (path.empty()) co_return Error::invalid_argument("Parameter 'protocol': '{}', expected file:PATH", protocol);
    if (a.has("format") && a.text("format") != "elf")
        co_return Error::unsupported("Parameter 'format': '{}', expected elf", a.text("format"));
    if (a.has("begin") != a.has("length"))
        co_return Error::invalid_argument("Parameters 'begin' and 'length' are given together or not at all");
    u64 begin = a.number("begin"), length = a.number("length", ~u64{0});
    CO_TRY(auto claim, m.run().claim(machines::Keeper::dump));
    if (a.flag("detach")) {
        auto task = [](Monitor& monitor, machines::RunControl::Claim own, std::string to, u64 from,
                       u64 bytes) -> Task<Result<void>> {
            Result<void> result = co_await dump(monitor, std::move(own), to, from, bytes);
            Json data = Json::object();
            data.set("result", result_of(monitor.dump));
            if (!result) data.set("error", result.error().message());
            monitor.event("DUMP_COMPLETED", std::move(data));
            co_return Result<void>();
        };
        io::spawn(task(m, std::move(claim), path, begin, length), [](const Error&) {});
        co_return Json::object();
    }
    CO_CHECK(co_await dump(m, std::move(claim), path, begin, length));
    co_return Json::object();
}

Result<Json> query_dump(Monitor& m, const Arguments&) { return result_of(m.dump); }

Result<Json> query_capability(Monitor&, const Arguments&) {
    Json formats = Json::array();
    formats.push("elf");
    Json j = Json::object();
    j.set("formats", std::move(formats));
    return j;
}

constexpr Command commands[] = {
    {"dump-guest-memory",
     "paging bool, protocol str, ?detach bool, ?begin int, ?length int, ?format DumpGuestMemoryFormat", "",
     "writes RAM and registers to an ELF core file; the machine stands still meanwhile", nullptr, false,
     of<dump_guest_memory>},
    {"query-dump", "", "DumpQueryResult", "how far it is", of<query_dump>},
    {"query-dump-guest-memory-capability", "", "DumpGuestMemoryCapability", "its formats", of<query_capability>},
};
constexpr EventInfo events[] = {{"DUMP_COMPLETED", "result DumpQueryResult, ?error str", "a dump has ended"}};

} // namespace

constinit const Family dump_family{R"(
enum DumpGuestMemoryFormat: elf kdump-zlib kdump-lzo kdump-snappy kdump-raw-zlib kdump-raw-lzo kdump-raw-snappy win-dmp
enum DumpStatus: none active completed failed
struct DumpQueryResult: status DumpStatus, completed int, total int
struct DumpGuestMemoryCapability: formats [DumpGuestMemoryFormat]
)",
                                   commands, events};

} // namespace mimic::monitor
