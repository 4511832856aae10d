#include "devices/types.hpp"
#include <algorithm>

namespace mimic::devices {

#define DEVICE(ident) extern const DeviceType ident##_type;
#include "types.inc"
#undef DEVICE

namespace {
struct Sorted {
    std::vector<const DeviceType*> all = {
#define DEVICE(ident) &ident##_type,
#include "types.inc"
#undef DEVICE
    };
    Sorted() {
        std::sort(all.begin(), all.end(), [](auto* a, auto* b) { return a->name < b->name; });
    }
};
} // namespace

std::span<const DeviceType* const> types() {
    static const Sorted sorted;
    return sorted.all;
}

} // namespace mimic::devices
