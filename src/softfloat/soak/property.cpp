#include "softfloat/soak/soak.hpp"
namespace mimic::softfloat::soak { void add_property_checks(std::vector<Check>&) {} }
