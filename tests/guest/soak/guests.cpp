#include "soak/soak.hpp"

namespace mimic::test::soak {

#ifdef MIMIC_SOAK_aarch64
extern const SoakGuest soak_aarch64;
#endif
#ifdef MIMIC_SOAK_riscv64
extern const SoakGuest soak_riscv64;
#endif

const SoakGuest* find_soak_guest([[maybe_unused]] std::string_view name) {
#ifdef MIMIC_SOAK_aarch64
    if (name == soak_aarch64.name) return &soak_aarch64;
#endif
#ifdef MIMIC_SOAK_riscv64
    if (name == soak_riscv64.name) return &soak_riscv64;
#endif
    return nullptr;
}

} // namespace mimic::test::soak
