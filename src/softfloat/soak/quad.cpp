#include "softfloat/soak/soak.hpp"
namespace mimic::softfloat::soak { void add_quad_checks(std::vector<Check>&) {} }
