// Character devices. QEMU QMP reference manual, "Character devices".
#include "base/base64.hpp"
#include "block/objects.hpp"
#include "chardev/ringbuf.hpp"
#include "qmp/server.hpp"

namespace mimic::qmp {

namespace {

Result<Json> query_chardev(Server& m, const Arguments&) {
    Json list = Json::array();
    for (const auto& c : m.chardevs()) {
        Json j = Json::object();
        j.set("label", c->id());
        j.set("filename", c->filename());
        j.set("frontend-open", c->busy());
        list.push(std::move(j));
    }
    return list;
}

Result<Json> query_chardev_backends(Server&, const Arguments&) {
    Json list = Json::array();
    for (std::string_view name : chardev::backends()) {
        Json j = Json::object();
        j.set("name", name);
        list.push(std::move(j));
    }
    return list;
}

Result<chardev::Chardev*> find(Server& m, const std::string& id) {
    if (chardev::Chardev* c = m.find_chardev(id)) return c;
    return Error::invalid_argument("Chardev '{}' not found", id);
}

std::string text_of(const Json& v) {
    u64 n = 0;
    i64 s = 0;
    if (const bool* b = v.boolean()) return *b ? "on" : "off";
    if (const std::string* t = v.string()) return *t;
    if (v.get(n)) return std::to_string(n);
    return v.get(s) ? std::to_string(s) : std::string();
}

void add_address(chardev::OptionList& list, const Json& address, std::string_view host, std::string_view port) {
    for (const auto& [key, part] : *address.find("data")->members()) {
        std::string_view name = key == "host" ? host : key == "port" ? port : key == "str" ? "fd" : key;
        if (key != "numeric" && key != "keep-alive") list.emplace_back(name, text_of(part));
    }
}

// The options of `-chardev` that a backend of QMP means.
chardev::OptionList options_of(const Json& backend) {
    std::string type = *backend.find("type")->string();
    chardev::OptionList list{{"backend", type == "memory" ? "ringbuf" : type}};
    const Json* data = backend.find("data");
    for (const auto& [name, value] : *data->members()) {
        if (name == "addr" || name == "remote")
            add_address(list, value, "host", "port");
        else if (name == "local")
            add_address(list, value, "localaddr", "localport");
        else if (name == "out" || name == "device")
            list.emplace_back("path", text_of(value));
        else
            list.emplace_back(name == "in" ? "input-path" : name, text_of(value));
    }
    if (type == "socket") { // the defaults of QMP are not those of the command line
        if (!data->find("server")) list.emplace_back("server", "on");
        if (!data->find("wait")) list.emplace_back("wait", "off");
    }
    return list;
}

// ChardevReturn.
Json made(const chardev::Chardev& dev) {
    Json reply = Json::object();
    if (std::string name = dev.filename(); name.starts_with("pty:")) reply.set("pty", name.substr(4));
    return reply;
}

Result<Json> chardev_add(Server& m, const Arguments& a) {
    std::string id = a.text("id");
    if (m.find_chardev(id)) return Error::invalid_argument("Chardev with id '{}' already exists", id);
    auto dev = TRY(chardev::open(m.chardev_context(), id, options_of(a.value("backend"))));
    Json reply = made(*dev);
    m.add_chardev(std::move(dev));
    return reply;
}

Result<Json> chardev_change(Server& m, const Arguments& a) {
    return change_chardev(m, a.text("id"), options_of(a.value("backend")));
}

Result<Json> chardev_remove(Server& m, const Arguments& a) {
    chardev::Chardev* c = TRY(find(m, a.text("id")));
    if (c->busy()) return Error::busy("Chardev '{}' is busy", c->id());
    m.remove_chardev(c->id());
    return Json::object();
}

Result<Json> send_break(Server& m, const Arguments& a) {
    TRY(find(m, a.text("id")))->send_break();
    return Json::object();
}

Result<chardev::RingBuffer*> ring(Server& m, const std::string& id) {
    auto* r = dynamic_cast<chardev::RingBuffer*>(TRY(find(m, id)));
    if (!r) return Error::invalid_argument("{} is not a ringbuf device", id);
    return r;
}

Result<Json> ringbuf_write(Server& m, const Arguments& a) {
    chardev::RingBuffer* r = TRY(ring(m, a.text("device")));
    std::string data = a.text("data");
    if (a.text("format") == "base64") data = TRY(from_base64(data));
    r->write({reinterpret_cast<const u8*>(data.data()), data.size()});
    return Json::object();
}

Result<Json> ringbuf_read(Server& m, const Arguments& a) {
    chardev::RingBuffer* r = TRY(ring(m, a.text("device")));
    i64 size = i64(a.number("size"));
    if (size <= 0) return Error::invalid_argument("Parameter 'size': {}, expected more than zero", size);
    std::string data = r->read(u64(size));
    return Json(a.text("format") == "base64" ? to_base64(data) : data);
}

constexpr Command commands[] = {
    {"query-chardev", "", "[ChardevInfo]", "the character devices", query_chardev, true},
    {"query-chardev-backends", "", "[ChardevBackendInfo]", "the kinds of them", query_chardev_backends},
    {"chardev-add", "id str, backend ChardevBackend", "ChardevReturn", "makes one", chardev_add},
    {"chardev-remove", "id str", "", "removes one that nobody uses", chardev_remove},
    {"chardev-change", "id str, backend ChardevBackend", "ChardevReturn",
     "another back end in place of one, behind the same device", chardev_change},
    {"chardev-send-break", "id str", "", "a break on the line", send_break},
    {"ringbuf-write", "device str, data str, ?format DataFormat", "", "puts bytes into a ring buffer", ringbuf_write},
    {"ringbuf-read", "device str, size int, ?format DataFormat", "str", "takes the oldest bytes out", ringbuf_read},
};

} // namespace

Result<Json> change_chardev(Server& m, const std::string& id, const chardev::OptionList& options) {
    chardev::Chardev* old = TRY(find(m, id));
    if (old->filename() == "mux")
        return Error::unsupported("Chardev '{}' is shared by a mux, expected one that a device has alone", id);
    if (!old->can_hand_over()) // asked first: opening a file empties it
        return Error::unsupported("Chardev '{}' is a monitor's or debugger's, expected one of a device, or of nobody",
                                  id);
    auto dev = TRY(chardev::open(m.chardev_context(), id, options));
    old->hand_over(*dev);
    Json reply = made(*dev);
    m.remove_chardev(id);
    m.add_chardev(std::move(dev));
    return reply;
}

decltype(chardev::OpenContext::tls) find_tls(block::Context& context) {
    return [&context](const std::string& credentials, const std::string& authorization,
                      bool server) -> Result<chardev::TlsParts> {
        chardev::TlsParts parts;
        parts.credentials =
            TRY(block::find_credentials(context, credentials, server ? tls::Endpoint::server : tls::Endpoint::client));
        if (!authorization.empty()) parts.clients = TRY(block::find_authorization(context, authorization));
        return parts;
    };
}

constinit const Family chardev_family{R"(
struct ChardevInfo: label str, filename str, frontend-open bool
struct ChardevBackendInfo: name str
enum ChardevBackendKind: file pipe pty null ringbuf memory socket stdio udp
struct ChardevFile: ?in str, out str, ?append bool
struct ChardevFileWrapper: data ChardevFile
struct ChardevHostdev: device str
struct ChardevHostdevWrapper: data ChardevHostdev
struct ChardevPty: ?path str
struct ChardevPtyWrapper: data ChardevPty
struct ChardevCommon:
struct ChardevCommonWrapper: data ChardevCommon
struct ChardevRingbuf: ?size int
struct ChardevRingbufWrapper: data ChardevRingbuf
struct ChardevStdio: ?signal bool
struct ChardevStdioWrapper: data ChardevStdio
enum SocketAddressType: inet unix fd
struct InetSocketAddress: host str, port str, ?numeric bool, ?to uint16, ?ipv4 bool, ?ipv6 bool, ?keep-alive bool
struct InetSocketAddressWrapper: data InetSocketAddress
struct UnixSocketAddress: path str, ?abstract bool, ?tight bool
struct UnixSocketAddressWrapper: data UnixSocketAddress
struct FdSocketAddress: str str
struct FdSocketAddressWrapper: data FdSocketAddress
union SocketAddressLegacy by type: type SocketAddressType | inet = InetSocketAddressWrapper | unix = UnixSocketAddressWrapper | fd = FdSocketAddressWrapper
struct ChardevSocket: addr SocketAddressLegacy, ?tls-creds str, ?tls-authz str, ?server bool, ?wait bool, ?nodelay bool, ?telnet bool, ?websocket bool, ?reconnect int, ?reconnect-ms int
struct ChardevUdp: remote SocketAddressLegacy, ?local SocketAddressLegacy
struct ChardevUdpWrapper: data ChardevUdp
struct ChardevSocketWrapper: data ChardevSocket
union ChardevBackend by type: type ChardevBackendKind | file = ChardevFileWrapper | pipe = ChardevHostdevWrapper | pty = ChardevPtyWrapper | null = ChardevCommonWrapper | ringbuf = ChardevRingbufWrapper | memory = ChardevRingbufWrapper | socket = ChardevSocketWrapper | stdio = ChardevStdioWrapper | udp = ChardevUdpWrapper
struct ChardevReturn: ?pty str
enum DataFormat: utf8 base64
)",
                                      commands};

} // namespace mimic::qmp
