// Base64 (RFC 4648, section 4).
#pragma once
#include "base/result.hpp"
#include <string>
#include <string_view>

namespace mimic {

std::string to_base64(std::string_view bytes);
// Errors: a character or length that is none.
Result<std::string> from_base64(std::string_view text);

} // namespace mimic
