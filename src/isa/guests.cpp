#include "isa/guest.hpp"

namespace mimic::isa {

#ifdef MIMIC_GUEST_aarch64
namespace aarch64 {
extern const GuestInfo guest_info;
}
#endif
#ifdef MIMIC_GUEST_riscv
namespace riscv {
extern const GuestInfo guest_info;
}
#endif
#ifdef MIMIC_GUEST_x86
namespace x86 {
extern const GuestInfo guest_info;
}
#endif

namespace {
constexpr const GuestInfo* all[] = {
#ifdef MIMIC_GUEST_aarch64
    &aarch64::guest_info,
#endif
#ifdef MIMIC_GUEST_riscv
    &riscv::guest_info,
#endif
#ifdef MIMIC_GUEST_x86
    &x86::guest_info,
#endif
};
} // namespace

std::span<const GuestInfo* const> guests() { return all; }

const GuestInfo* find_guest(std::string_view name) {
    for (const GuestInfo* g : all)
        if (g->name == name) return g;
    return nullptr;
}

} // namespace mimic::isa
