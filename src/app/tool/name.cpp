#include "app/tool/name.hpp"

namespace mimic::tool {

namespace {

constexpr std::string_view own_version = "0.1", like_version = "7.2.22";

std::string& link() {
    static std::string name;
    return name;
}

} // namespace

void set_link_name(std::string_view name) { link() = name; }
const std::string& link_name() { return link(); }

std::string program_name(std::string_view name) { return link().empty() ? "mimic " + std::string(name) : link(); }

std::string version_line(std::string_view name) {
    std::string text = program_name(name);
    // The program of that name leaves the word out.
    if (text != "qemu-nbd") text += " version";
    if (!link().starts_with("qemu-")) return text + " " + std::string(own_version);
    return text + " " + std::string(like_version) + " (mimic " + std::string(own_version) + ")";
}

} // namespace mimic::tool
