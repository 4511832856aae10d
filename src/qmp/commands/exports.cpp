// Exports. QEMU QMP reference manual, "Block device exports".
#include "block/objects.hpp"
#include "qmp/disks.hpp"
#include <charconv>

namespace mimic::qmp {

using io::Task;

namespace {

// SocketAddress, flat or with "data" (SocketAddressLegacy).
Result<io::SocketAddress> address_of(const Json& given) {
    const Json* type = given.find("type");
    const Json& j = given.find("data") && given.find("data")->members() ? *given.find("data") : given;
    auto text = [&](std::string_view name) {
        const Json* v = j.find(name);
        u64 n = 0;
        return !v ? std::string() : v->string() ? *v->string() : v->get(n) ? std::to_string(n) : std::string();
    };
    io::SocketAddress a;
    std::string kind = type && type->string() ? *type->string() : "";
    if (kind == "unix") {
        a.path = text("path");
        if (a.path.empty()) return Error::invalid_argument("Parameter 'addr.path' is missing");
    } else if (kind == "inet") {
        a.kind = io::SocketAddress::Kind::inet;
        a.host = text("host");
        a.port = text("port");
        if (a.port.empty()) return Error::invalid_argument("Parameter 'addr.port' is missing");
    } else if (kind == "fd") {
        a.kind = io::SocketAddress::Kind::descriptor;
        std::string number = text("str");
        auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), a.fd);
        if (error != std::errc() || end != number.data() + number.size())
            return Error::invalid_argument("Parameter 'addr.str' expects the number of a descriptor, not '{}'", number);
    } else {
        return Error::unsupported("Parameter 'addr.type': '{}', expected inet, unix or fd", kind);
    }
    return a;
}

Task<Result<Json>> server_start(Server& s, const Arguments& a) {
    block::nbd::Security security;
    if (a.has("tls-creds")) {
        CO_TRY(security.credentials,
               block::find_credentials(s.storage().context(), a.text("tls-creds"), tls::Endpoint::server));
    }
    if (a.has("tls-authz")) {
        if (!security) co_return Error::invalid_argument("Parameter 'tls-authz' is nothing without 'tls-creds'");
        CO_TRY(security.clients, block::find_authorization(s.storage().context(), a.text("tls-authz")));
    }
    CO_TRY(auto address, address_of(a.value("addr")));
    CO_CHECK(co_await s.storage().start_server(std::move(address), unsigned(a.number("max-connections")),
                                               std::move(security)));
    co_return Json::object();
}

Task<Result<Json>> server_stop(Server& s, const Arguments&) {
    CO_CHECK(co_await s.storage().stop_server());
    co_return Json::object();
}

Task<Result<Json>> export_add(Server& s, const Arguments& a) {
    if (std::string type = a.text("type"); type != "nbd")
        co_return Error::unsupported("Parameter 'type': exports of type '{}' are not supported, expected nbd", type);
    block::ExportRequest r;
    r.id = a.text("id");
    r.node = a.text("node-name");
    r.has_name = a.has("name");
    r.name = a.text("name");
    r.description = a.text("description");
    r.writable = a.flag("writable");
    r.write_through = a.flag("writethrough");
    // Of the command line these are texts.
    const Json* depth = a.all().find("allocation-depth");
    r.allocation_depth = depth && (depth->boolean() ? *depth->boolean() : depth->string() && *depth->string() == "on");
    if (const Json* one = a.all().find("bitmap"); one && one->string()) r.bitmaps.emplace_back("", *one->string());
    if (a.has("iothread")) co_return Error::unsupported("Parameter 'iothread': there are no I/O threads");
    if (const Json* list = a.all().find("bitmaps"); list && list->items())
        for (const Json& one : *list->items()) {
            const Json *node = one.find("node"), *name = one.find("name");
            if (one.string())
                r.bitmaps.emplace_back("", *one.string());
            else if (node && name && node->string() && name->string())
                r.bitmaps.emplace_back(*node->string(), *name->string());
            else
                co_return Error::invalid_argument("Parameter 'bitmaps' expects names, or objects of node and name");
        }
    CO_CHECK(co_await s.storage().add_export(std::move(r)));
    co_return Json::object();
}

Task<Result<Json>> export_del(Server& s, const Arguments& a) {
    std::string id = a.text("id");
    bool hard = a.text("mode") == "hard";
    CO_CHECK(co_await s.storage().remove_export(id, hard));
    co_return Json::object();
}

// The older commands: the export's id is its name.
Task<Result<Json>> server_add(Server& s, const Arguments& a) {
    block::ExportRequest r;
    r.node = a.text("device");
    r.id = r.name = a.text("name", a.text("device"));
    r.has_name = true;
    r.description = a.text("description");
    r.writable = a.flag("writable");
    if (a.has("bitmap")) r.bitmaps.emplace_back("", a.text("bitmap"));
    CO_CHECK(co_await s.storage().add_export(std::move(r)));
    co_return Json::object();
}
Task<Result<Json>> server_remove(Server& s, const Arguments& a) {
    std::string id = a.text("name");
    bool hard = a.text("mode") == "hard";
    CO_CHECK(co_await s.storage().remove_export(id, hard));
    co_return Json::object();
}

Result<Json> query_exports(Server& s, const Arguments&) {
    Json list = Json::array();
    for (auto& e : s.storage().exports()) {
        Json one = Json::object();
        one.set("id", e.id);
        one.set("type", "nbd");
        one.set("node-name", e.node);
        one.set("shutting-down", e.going);
        list.push(std::move(one));
    }
    return list;
}

constexpr Command commands[] = {
    {"nbd-server-start", "addr SocketAddressAny, ?tls-creds str, ?tls-authz str, ?max-connections uint32", "",
     "listens for NBD clients", nullptr, false, server_start},
    {"nbd-server-stop", "", "", "cuts clients off and listens no more", nullptr, false, server_stop},
    {"nbd-server-add", "?name str, ?description str, device str, ?writable bool, ?bitmap str", "",
     "exports a disk (older than block-export-add)", nullptr, false, server_add},
    {"nbd-server-remove", "name str, ?mode BlockExportRemoveMode", "", "takes it away", nullptr, false, server_remove},
    {"block-export-add", "type BlockExportType, id str, node-name str, ?writable bool, ?writethrough bool, ...", "",
     "exports a node", nullptr, false, export_add},
    {"block-export-del", "id str, ?mode BlockExportRemoveMode", "", "takes an export away", nullptr, false, export_del},
    {"query-block-exports", "", "[BlockExportInfo]", "the exports", query_exports},
};

constexpr EventInfo events[] = {{"BLOCK_EXPORT_DELETED", "id str", "an export is gone"}};

} // namespace

constinit const Family export_family{R"(
enum BlockExportType: nbd vhost-user-blk fuse vduse-blk
enum BlockExportRemoveMode: safe hard
struct BlockExportInfo: id str, type BlockExportType, node-name str, shutting-down bool
struct SocketAddressAny: type str, ...
)",
                                     commands, events};

} // namespace mimic::qmp
