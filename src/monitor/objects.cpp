#include "monitor/objects.hpp"
#include <algorithm>
#include <charconv>

namespace mimic::monitor {

namespace {

bool of_user(const devices::Device& d) {
    const devices::DeviceType* t = d.machine().find_type(d.type());
    return t && t->user && d.parent() && d.parent()->parent();
}
bool has_own_name(const devices::Device& d) { return !d.id().starts_with("device["); }

// Made with another, behind a bus's interface: no user named it.
bool is_inner(const devices::Device& d) { return d.parent() && d.parent()->inner() == &d; }

// "/machine/soc/uart": its parts; a trailing slash is nothing.
std::vector<std::string_view> parts(std::string_view path) {
    std::vector<std::string_view> out;
    while (!path.empty()) {
        size_t slash = path.find('/');
        if (slash != 0) out.push_back(path.substr(0, slash));
        path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
    }
    return out;
}

struct Tree {
    Monitor& m;
    std::vector<Object> all;

    void add(std::string path, std::string type, devices::Device* device = nullptr) {
        std::string name = path.substr(path.rfind('/') + 1), above = path.substr(0, path.rfind('/'));
        if (path != "/")
            for (Object& o : all)
                if (o.path == (above.empty() ? "/" : above)) o.children.push_back(name);
        all.push_back({std::move(path), std::move(name), std::move(type), device, {}});
    }
    explicit Tree(Monitor& monitor) : m(monitor) {
        const machines::BoardType& board = m.vm().type;
        add("/", "container");
        add("/machine", fmt::format("{}-machine", board.name), &m.machine().root());
        for (const char* name : {"/machine/peripheral", "/machine/peripheral-anon"}) add(name, "container");
        for (const auto& v : m.board().vcpus())
            add(fmt::format("/machine/cpu[{}]", v->index()), fmt::format("{}-cpu", v->guest().name()));
        m.machine().each([&](devices::Device& d) {
            if (&d != &m.machine().root()) add(object_path(d), std::string(d.type()), &d);
        });
        add("/objects", "container");
        add("/chardevs", "container");
        for (const auto& c : m.machine().chardevs())
            add("/chardevs/" + c->id(), "chardev-" + c->filename().substr(0, c->filename().find(':')));
    }
};

} // namespace

std::string object_path(const devices::Device& d) {
    if (is_inner(d)) return object_path(*d.parent()) + "/virtio-backend";
    if (!of_user(d)) return d.path();
    return (has_own_name(d) ? "/machine/peripheral/" : "/machine/peripheral-anon/") + d.id();
}

Result<Object> find_object(Monitor& m, std::string_view path) {
    Tree tree(m);
    std::vector<std::string_view> wanted = parts(path);
    if (wanted.empty() && path.starts_with('/')) return tree.all[0];
    const Object* found = nullptr;
    for (const Object& o : tree.all) {
        std::vector<std::string_view> has = parts(o.path);
        if (wanted.empty() || has.size() < wanted.size()) continue;
        if (path.starts_with('/') && has.size() != wanted.size()) continue;
        if (!std::equal(wanted.begin(), wanted.end(), has.end() - i64(wanted.size()))) continue;
        if (found) return Error::invalid_argument("Path '{}' is ambiguous", path);
        found = &o;
    }
    if (!found) return Error::not_found("Device '{}' not found", path);
    return *found;
}

Json typed_value(std::string_view type, const std::string& text) {
    if (type == "bool") return text == "on";
    u64 n = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    bool number = type.starts_with("uint") || type == "size";
    if (number && error == std::errc() && end == text.data() + text.size()) return n;
    return text;
}

namespace {
void add_properties(Json& list, devices::Device& device) {
    Json all = devices::schema(device);
    for (const Json& p : *all.find("properties")->items()) {
        Json j = Json::object();
        std::string type = *p.find("type")->string();
        Json value = typed_value(type, *p.find("default-value")->string());
        bool named = type.starts_with("uint") && value.string(); // one of several names
        bool back_end = type == "chardev" || type == "drive" || type == "netdev";
        j.set("name", *p.find("name"));
        j.set("type", named || back_end ? "str" : type);
        if (const std::string& help = *p.find("description")->string(); !help.empty()) j.set("description", help);
        if (!back_end) j.set("default-value", std::move(value));
        list.push(std::move(j));
    }
}
} // namespace

Json type_properties(devices::Device& device) {
    Json list = Json::array();
    add_properties(list, device);
    if (device.inner()) add_properties(list, *device.inner());
    return list;
}

Result<std::string> object_tree(Monitor& m, std::string_view path) {
    Object top = TRY(find_object(m, path));
    Tree tree(m);
    std::string out;
    std::function<void(const Object&, u32)> show = [&](const Object& o, u32 depth) {
        out += fmt::format("{:{}}{} ({})\n", "", 2 * depth, depth ? "/" + o.name : o.path, o.type);
        for (const std::string& child : o.children)
            for (const Object& c : tree.all)
                if (c.path == (o.path == "/" ? "/" : o.path + "/") + child) show(c, depth + 1);
    };
    show(top, 0);
    return out;
}

std::string device_name(const devices::Device& d) { return has_own_name(d) && !is_inner(d) ? d.id() : object_path(d); }

std::vector<NetworkCard> network_cards(devices::Machine& machine) {
    std::vector<NetworkCard> cards;
    machine.each([&](devices::Device& d) {
        // A device that another is made with answers for it, and gives it its name.
        if (d.inner() || !devices::get_property(d, "netdev") || !devices::get_property(d, "mac")) return;
        devices::Device* named = is_inner(d) ? d.parent() : &d;
        const std::string_view model = named->type();
        auto same = std::count_if(cards.begin(), cards.end(), [&](const NetworkCard& c) { return c.model == model; });
        cards.push_back({has_own_name(*named) ? named->id() : fmt::format("{}.{}", model, same), &d, model});
    });
    return cards;
}

} // namespace mimic::monitor
