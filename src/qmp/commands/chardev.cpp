// Character devices. QEMU QMP reference manual, "Character devices".
#include "chardev/ringbuf.hpp"
#include "qmp/base64.hpp"
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

// The options of `-chardev` that a backend of QMP means.
chardev::OptionList options_of(const Json& backend) {
    std::string type = *backend.find("type")->string();
    chardev::OptionList list{{"backend", type == "memory" ? "ringbuf" : type}};
    const Json* data = backend.find("data");
    for (const auto& [name, value] : *data->members()) {
        if (name == "addr") {
            for (const auto& [key, part] : *value.find("data")->members())
                if (key == "host" || key == "port" || key == "path") list.emplace_back(key, text_of(part));
        } else if (name == "out" || name == "device") {
            list.emplace_back("path", text_of(value));
        } else {
            list.emplace_back(name == "in" ? "input-path" : name, text_of(value));
        }
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
    auto dev = TRY(chardev::open(m.chardev_context(), id, options));
    if (!old->hand_over(*dev))
        return Error::unsupported("Chardev '{}' is a monitor's or debugger's, expected one of a device, or of nobody",
                                  id);
    Json reply = made(*dev);
    m.remove_chardev(id);
    m.add_chardev(std::move(dev));
    return reply;
}

constinit const Family chardev_family{R"(
struct ChardevInfo: label str, filename str, frontend-open bool
struct ChardevBackendInfo: name str
enum ChardevBackendKind: file pipe pty null ringbuf memory socket stdio
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
enum SocketAddressType: inet unix
struct InetSocketAddress: host str, port str, ?ipv4 bool, ?ipv6 bool
struct InetSocketAddressWrapper: data InetSocketAddress
struct UnixSocketAddress: path str
struct UnixSocketAddressWrapper: data UnixSocketAddress
union SocketAddressLegacy by type: type SocketAddressType | inet = InetSocketAddressWrapper | unix = UnixSocketAddressWrapper
struct ChardevSocket: addr SocketAddressLegacy, ?server bool, ?wait bool, ?nodelay bool
struct ChardevSocketWrapper: data ChardevSocket
union ChardevBackend by type: type ChardevBackendKind | file = ChardevFileWrapper | pipe = ChardevHostdevWrapper | pty = ChardevPtyWrapper | null = ChardevCommonWrapper | ringbuf = ChardevRingbufWrapper | memory = ChardevRingbufWrapper | socket = ChardevSocketWrapper | stdio = ChardevStdioWrapper
struct ChardevReturn: ?pty str
enum DataFormat: utf8 base64
)",
                                      commands};

} // namespace mimic::qmp
