#include "isa/debug.hpp"
#include "isa/guest.hpp"
#include <algorithm>
#include <cctype>

namespace mimic::isa {

namespace {

// The manual's spelling of system registers may have capitals that Guest::registers() has not.
bool same_name(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
        return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
    });
}

} // namespace

bool read_current(const Guest& guest, ir::CpuHeader& cpu, std::string_view name, std::span<u8> out) {
    std::fill(out.begin(), out.end(), u8(0));
    if (const DebugView* view = guest.debug()) {
        const auto all = view->registers();
        auto at = std::find_if(all.begin(), all.end(), [&](const DebugRegister& r) { return same_name(r.name, name); });
        if (at != all.end() && at->bytes <= out.size() && view->read(cpu, u32(at - all.begin()), out.data()))
            return true;
    }
    u32 n = guest.find_register(name);
    if (n == Guest::no_register || guest.registers()[n].bytes > out.size()) return false;
    guest.read_register(cpu, n, out.data());
    return true;
}

} // namespace mimic::isa
