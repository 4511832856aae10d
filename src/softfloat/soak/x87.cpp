#include "softfloat/soak/soak.hpp"
namespace mimic::softfloat::soak { void add_x87_checks(std::vector<Check>&) {} }
