// What query-version and the greeting say.
#pragma once
#include "base/json.hpp"

namespace mimic::qmp {

inline constexpr std::string_view version = "0.1";      // of Mimic
inline constexpr u32 compatible_version[] = {10, 0, 0}; // of the reference whose manual the commands follow

Json version_info();

} // namespace mimic::qmp
