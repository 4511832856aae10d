// Objects and devices. QEMU QMP reference manual, "QEMU Object Model (QOM)" and "Device infrastructure (qdev)".
#include "monitor/objects.hpp"
#include "block/objects.hpp"
#include "block/storage.hpp"
#include "monitor/commands.hpp"
#include <algorithm>

namespace mimic::monitor {

namespace {

Json property(std::string_view name, std::string_view type) {
    Json j = Json::object();
    j.set("name", name);
    j.set("type", type);
    return j;
}

// Which of the device and that inside it has this live property; null: neither.
devices::Device* device_of(devices::Device& device, std::string_view name) {
    for (devices::Device* d : {&device, device.inner()})
        if (d)
            for (const auto& p : d->live_properties())
                if (p.name == name) return d;
    return nullptr;
}

Result<Json> qom_list(Monitor& m, const Arguments& a) {
    Object o = TRY(find_object(m, a.text("path")));
    Json list = Json::array();
    list.push(property("type", "string"));
    if (o.device) {
        list.push(property("realized", "bool"));
        Json properties = type_properties(*o.device);
        for (const Json& p : *properties.items())
            list.push(property(*p.find("name")->string(), *p.find("type")->string()));
        for (const devices::Device* d : {o.device, o.device->inner()})
            if (d)
                for (const auto& p : d->live_properties()) list.push(property(p.name, p.type));
    }
    if (o.path == "/machine")
        for (const auto& p : m.vm().type.properties) list.push(property(p.name, p.type));
    std::string inside = o.path == "/" ? "/" : o.path + "/";
    for (const std::string& child : o.children)
        list.push(property(child, fmt::format("child<{}>", TRY(find_object(m, inside + child)).type)));
    return list;
}

Result<Json> qom_get(Monitor& m, const Arguments& a) {
    if (auto found = block::get_property(m.storage().context(), a.text("path"), a.text("property"))) return *found;
    Object o = TRY(find_object(m, a.text("path")));
    std::string name = a.text("property");
    if (name == "type") return Json(o.type);
    if (o.device) {
        if (name == "realized") return Json(true);
        if (devices::Device* live = device_of(*o.device, name)) return live->get_live(name);
        Json properties = type_properties(*o.device); // of an object that lives, these are its values
        for (const Json& p : *properties.items())
            if (*p.find("name")->string() == name) {
                std::string text = TRY(devices::get_property(*o.device, name));
                return typed_value(*p.find("type")->string(), text);
            }
    }
    if (o.path == "/machine")
        for (const auto& [key, value] : m.board().options().properties)
            if (key == name) return Json(value);
    if (std::find(o.children.begin(), o.children.end(), name) != o.children.end())
        return Json((o.path == "/" ? "/" : o.path + "/") + name);
    return Error::invalid_argument("Property '{}.{}' not found", o.type, name);
}

Result<Json> qom_set(Monitor& m, const Arguments& a) {
    if (auto set = block::set_property(m.storage().context(), a.text("path"), a.text("property"), a.value("value"))) {
        TRY(*set);
        return Json::object();
    }
    Object o = TRY(find_object(m, a.text("path")));
    std::string name = a.text("property");
    if (o.device)
        if (devices::Device* live = device_of(*o.device, name)) {
            TRY(live->set_live(name, a.value("value")).in("{}", o.name));
            return Json::object();
        }
    if (o.device && devices::get_property(*o.device, name))
        return Error::invalid_argument("Attempt to set property '{}' on device '{}' (type '{}') after it was realized",
                                       name, o.name, o.type);
    return Error::invalid_argument("Property '{}.{}' not found", o.type, name);
}

// What is asked for by implements: all types descend from "device", and from "object".
Result<Json> qom_list_types(Monitor& m, const Arguments& a) {
    std::string wanted = a.text("implements", "object");
    Json list = Json::array();
    auto add = [&](std::string_view name, std::string_view parent, bool abstract) {
        if (wanted != "object" && wanted != parent && wanted != name) return;
        if (abstract && a.has("abstract") && !a.flag("abstract")) return;
        Json j = Json::object();
        j.set("name", name);
        if (abstract) j.set("abstract", true);
        if (!parent.empty()) j.set("parent", parent);
        list.push(std::move(j));
    };
    add("device", "object", true);
    add("machine", "object", true);
    for (const devices::DeviceType* t : m.machine().types()) add(t->name, "device", false);
    for (const machines::BoardType* b : machines::boards())
        if (b->is_for(m.guest())) add(fmt::format("{}-machine", b->name), "machine", false);
    return list;
}

Result<Json> list_properties(Monitor& m, const Arguments& a) {
    const devices::DeviceType* t = m.machine().find_type(a.text("typename"));
    if (!t) return Error::not_found("Class '{}' not found", a.text("typename"));
    return type_properties(*t->make());
}

std::string property_text(const Json& v) {
    if (const std::string* s = v.string()) return *s;
    if (const bool* b = v.boolean()) return *b ? "on" : "off";
    return v.dump();
}

Result<Json> device_add(Monitor& m, const Arguments& a) {
    DeviceRequest request{a.text("driver"), a.text("id"), a.text("bus"), {}};
    for (const auto& [name, value] : *a.all().members()) {
        if (name == "driver" || name == "id" || name == "bus") continue;
        if (value.members() || value.items())
            return Error::unsupported("Parameter '{}': expected a string, a number or a boolean", name);
        request.properties.emplace_back(name, property_text(value));
    }
    if (auto added = m.vm().add_device(request); !added)
        return Error::invalid_argument("{}", added.error().message()); // what is not found is no device of the machine
    return Json::object();
}

Result<Json> device_del(Monitor& m, const Arguments& a) {
    auto found = find_object(m, a.text("id"));
    if (!found || !found->device || found->device == &m.machine().root())
        return Error::not_found("Device '{}' not found", a.text("id"));
    devices::Device& d = *found->device;
    if (!d.parent()->hotplug()) return Error::unsupported("Bus '{}' does not support hotplugging", d.parent()->id());
    Json data = Json::object();
    data.set("device", d.id());
    data.set("path", found->path);
    TRY(m.machine().remove(d));
    m.event("DEVICE_DELETED", std::move(data));
    return Json::object();
}

Result<Json> object_add(Monitor& m, const Arguments& a) {
    Json options = a.all();
    TRY(block::add_object(m.storage().context(), std::move(options)));
    return Json::object();
}
Result<Json> object_del(Monitor& m, const Arguments& a) {
    TRY(block::remove_object(m.storage().context(), a.text("id")));
    return Json::object();
}

constexpr Command commands[] = {
    {"qom-list", "path str", "[ObjectPropertyInfo]", "properties and children of an object", of<qom_list>},
    {"qom-get", "path str, property str", "any", "the value of a property", of<qom_get>},
    {"qom-set", "path str, property str, value any", "", "changes a property that can change", of<qom_set>},
    {"qom-list-types", "?implements str, ?abstract bool", "[ObjectTypeInfo]", "the types of objects",
     of<qom_list_types>},
    {"qom-list-properties", "typename str", "[ObjectPropertyInfo]", "properties of a type", of<list_properties>},
    {"device-list-properties", "typename str", "[ObjectPropertyInfo]", "properties of a device type",
     of<list_properties>},
    {"device_add", "driver str, ?bus str, ?id str, ...", "", "plugs a device", of<device_add>},
    {"device_del", "id str", "", "unplugs one", of<device_del>},
    {"object-add", "qom-type str, id str, ...", "", "makes an object", of<object_add>},
    {"object-del", "id str", "", "removes one", of<object_del>},
};

constexpr qmp::EventInfo events[] = {
    {"VSERPORT_CHANGE", "id str, open bool", "a program of the guest opened or closed a port of virtio-serial"},
};

} // namespace

constinit const Family object_family{R"(
struct ObjectPropertyInfo: name str, type str, ?description str, ?default-value any
struct ObjectTypeInfo: name str, ?abstract bool, ?parent str
)",
                                     commands, events};

} // namespace mimic::monitor
