#include "jit/tlb.hpp"
#include <sys/random.h>

namespace mimic::jit {

u64 nobodys_page() {
    static const u64 page = [] {
        u64 chance = 0;
        if (getrandom(&chance, sizeof chance, GRND_NONBLOCK) != ssize_t(sizeof chance))
            chance = u64(&chance) * 0x9e3779b97f4a7c15;
        return (chance >> 2 | u64{1} << 62) & ~((u64{1} << tlb_page_bits) - 1);
    }();
    return page;
}

const TlbEntry& no_entry() {
    static const TlbEntry none{nobodys_page(), nobodys_page(), nobodys_page(), 0};
    return none;
}

} // namespace mimic::jit
