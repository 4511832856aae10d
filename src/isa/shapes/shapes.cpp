#include "isa/shapes/shapes.hpp"

namespace mimic::isa {

namespace m68k {
std::unique_ptr<Guest> make();
}
namespace thumb {
std::unique_ptr<Guest> make();
}
namespace sparc {
std::unique_ptr<Guest> make();
}
namespace s390x {
std::unique_ptr<Guest> make();
}
namespace hexagon {
std::unique_ptr<Guest> make();
}
namespace test_be32 {
extern const GuestInfo guest_info;
}
namespace test_vl {
extern const GuestInfo guest_info;
}

namespace {
constexpr const GuestInfo* all[] = {&test_be32::guest_info, &test_vl::guest_info};
}

std::vector<std::unique_ptr<Guest>> make_shapes() {
    std::vector<std::unique_ptr<Guest>> out;
    for (auto make : {m68k::make, thumb::make, sparc::make, s390x::make, hexagon::make}) out.push_back(make());
    return out;
}

std::span<const GuestInfo* const> test_guests() { return all; }
const GuestInfo* find_test_guest(std::string_view name) {
    for (const GuestInfo* g : test_guests())
        if (g->name == name) return g;
    return nullptr;
}

} // namespace mimic::isa
