#include "app/system/standalone/features.hpp"
#include "base/module.hpp"
#include "block/driver.hpp"
#include "isa/guest.hpp"
#include <cstdio>

namespace mimic::app {

namespace {

// What both programs are linked with; docs/licences.md has the same list and why each may be linked so.
constexpr std::pair<std::string_view, std::string_view> libraries[] = {
    {"fmt", "MIT"},
    {"asmjit", "Zlib"},
    {"nlohmann-json", "MIT"},
    {"liburing", "MIT"},
    {"zlib", "Zlib"},
    {"zstd", "BSD-3-Clause"},
    {"xxhash", "BSD-2-Clause"},
    {"libfdt", "BSD-2-Clause"},
    {"libslirp (opened on first use)", "BSD-3-Clause"},
};

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

} // namespace

int print_features() {
    print("mimic 0.1\n\nguests:");
    for (const isa::GuestInfo* g : isa::guests()) print(fmt::format(" {}", g->name));
    print("\nimage formats and protocols:");
    for (const block::Driver* d : block::drivers()) print(fmt::format(" {}", d->name));
    print("\nlibraries:\n");
    for (auto& [name, licence] : libraries) print(fmt::format("  {:32} {}\n", name, licence));
    print("modules, opened on first use:\n");
    std::vector<std::string> broken;
    for (const modules::Head* m : modules::list(broken)) print(fmt::format("  {:32} {}\n", m->name, m->library));
    for (auto& why : broken) print(fmt::format("  not usable: {}\n", why));
    return broken.empty() ? 0 : 1;
}

} // namespace mimic::app
