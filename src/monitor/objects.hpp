// The object tree as QMP's qom commands and `info qom-tree` show it: devices below /machine, those of users below
// /machine/peripheral, character devices below /chardevs.
#pragma once
#include "monitor/monitor.hpp"

namespace mimic::monitor {

struct Object {
    std::string path, name, type;
    devices::Device* device = nullptr;
    std::vector<std::string> children; // names
};

// An object by its path, or by the last part of one that only one object has. Errors: not_found.
Result<Object> find_object(Monitor& m, std::string_view path);
// "[{name, type, description?, default-value?}]" of a device's properties, with those of the device that is made with it.
Json type_properties(devices::Device& device);
// A property's text as JSON: numbers, booleans, strings.
Json typed_value(std::string_view type, const std::string& text);
// "  /name (type)" lines from `path` on.
Result<std::string> object_tree(Monitor& m, std::string_view path);
// The path of a device in this tree.
std::string object_path(const devices::Device& device);
// As QMP's `qdev` members name it: by its id, or its path where it has none.
std::string device_name(const devices::Device& device);

// A network card, in the order that they were made in. Those without an id are called by their type and a number of that type:
// "virtio-net-pci.0".
struct NetworkCard {
    std::string name;
    devices::Device* device = nullptr; // which has the property 'netdev'
    std::string_view model;            // the type that a user names
};
std::vector<NetworkCard> network_cards(devices::Machine& machine);

} // namespace mimic::monitor
