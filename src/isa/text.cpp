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

u32 extract_bits(u64 value, u64 mask) {
    u32 out = 0;
    for (u32 k = 0; mask;) { // run by run: masks have few
        u32 at = u32(std::countr_zero(mask)), length = u32(std::countr_one(mask >> at));
        u64 ones = length >= 64 ? ~u64{0} : (u64{1} << length) - 1;
        out |= u32(value >> at & ones) << k;
        k += length;
        mask &= ~(ones << at);
    }
    return out;
}

} // namespace mimic::isa
