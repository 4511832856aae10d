#include "isa/guest.hpp"

namespace mimic::isa {

#define GUEST(folder)                                                                                                  \
    namespace folder {                                                                                                 \
    extern const GuestInfo guest_info;                                                                                 \
    }
#include "guests.inc" // a line GUEST(folder) each
#undef GUEST

namespace {
constexpr const GuestInfo* all[] = {
#define GUEST(folder) &folder::guest_info,
#include "guests.inc"
#undef GUEST
};
} // namespace

std::span<const GuestInfo* const> guests() { return all; }

const GuestInfo* find_guest(std::string_view name) {
    for (const GuestInfo* g : all)
        if (g->name == name) return g;
    return nullptr;
}

} // namespace mimic::isa
