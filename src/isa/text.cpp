#include "isa/decoder.hpp"
#include <charconv>

namespace mimic::isa {

std::string_view Cursor::word() {
    std::size_t from = at;
    while (!done()) {
        char c = text[at];
        bool in_word =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
        if (!in_word) break;
        ++at;
    }
    return text.substr(from, at - from);
}

bool Cursor::number(i64& out) {
    std::size_t from = at;
    bool negative = eat('-');
    if (!negative) eat('+');
    int base = 10;
    if (eat("0x") || eat("0X"))
        base = 16;
    else if (eat("0b"))
        base = 2;
    u64 v = 0;
    auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), v, base);
    if (error != std::errc{} || end == text.data() + at) {
        at = from;
        return false;
    }
    at = std::size_t(end - text.data());
    out = i64(negative ? 0 - v : v);
    return true;
}

} // namespace mimic::isa
