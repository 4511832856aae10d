#include "gdbstub/target.hpp"

namespace mimic::gdb {

std::string describe(const isa::DebugView& view) {
    std::string out = fmt::format("<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target>\n"
                                  "<architecture>{}</architecture>\n",
                                  view.architecture());
    std::string_view feature;
    u32 number = 0;
    for (const isa::DebugRegister& r : view.registers()) {
        if (r.feature != feature) {
            if (!feature.empty()) out += "</feature>\n";
            out += fmt::format("<feature name=\"{}\">\n{}", r.feature, view.types(r.feature));
            feature = r.feature;
        }
        out += fmt::format("<reg name=\"{}\" bitsize=\"{}\" regnum=\"{}\" type=\"{}\"", r.name, 8 * r.bytes, number++,
                           r.type);
        if (!r.group.empty()) out += fmt::format(" group=\"{}\"", r.group);
        out += "/>\n";
    }
    if (!feature.empty()) out += "</feature>\n";
    return out + "</target>\n";
}

} // namespace mimic::gdb
