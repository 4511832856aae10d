#include "base/base64.hpp"

namespace mimic {

namespace {
constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
}

std::string to_base64(std::string_view bytes) {
    std::string out;
    for (size_t i = 0; i < bytes.size(); i += 3) {
        size_t n = std::min<size_t>(3, bytes.size() - i);
        u32 v = 0;
        for (size_t k = 0; k < 3; k++) v = v << 8 | (k < n ? u8(bytes[i + k]) : 0);
        for (size_t k = 0; k < 4; k++) out += k <= n ? digits[v >> (18 - 6 * k) & 63] : '=';
    }
    return out;
}

Result<std::string> from_base64(std::string_view text) {
    if (text.size() % 4)
        return Error::invalid_argument("base64 text of {} characters, expected a multiple of 4", text.size());
    std::string out;
    for (size_t i = 0; i < text.size(); i += 4) {
        u32 v = 0, padding = 0;
        for (size_t k = 0; k < 4; k++) {
            char c = text[i + k];
            size_t digit = digits.find(c);
            bool pad = c == '=' && i + 4 == text.size() && k >= 2;
            if ((digit == std::string_view::npos || padding) && !pad)
                return Error::invalid_argument("base64 text has a wrong character at {}", i + k);
            padding += pad;
            v = v << 6 | (pad ? 0 : u32(digit));
        }
        for (u32 k = 0; k < 3 - padding; k++) out += char(v >> (16 - 8 * k) & 0xff);
    }
    return out;
}

} // namespace mimic
