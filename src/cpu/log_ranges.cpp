// The ranges of -dfilter.
#include "cpu/cpu.hpp"
#include <algorithm>
#include <charconv>
#include <optional>

namespace mimic::cpu::log {
namespace {

std::optional<u64> number(std::string_view digits) {
    const bool hex = digits.starts_with("0x") || digits.starts_with("0X"),
               octal = digits.size() > 1 && digits[0] == '0';
    if (hex) digits.remove_prefix(2);
    u64 value = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, hex ? 16 : octal ? 8 : 10);
    if (error != std::errc() || end != digits.data() + digits.size()) return {};
    return value;
}

std::optional<Range> range(std::string_view text) {
    const size_t dots = text.find(".."), sign = text.find_first_of("+-");
    const bool to_end = dots != std::string_view::npos;
    const size_t at = to_end ? dots : sign;
    if (at == std::string_view::npos || at == 0) return {};
    const auto first = number(text.substr(0, at)), second = number(text.substr(at + (to_end ? 2 : 1)));
    if (!first || !second) return {};
    if (to_end) return *second < *first ? std::nullopt : std::optional(Range{*first, *second + 1});
    if (*second == 0) return {};
    if (text[at] == '-') return *second > *first ? std::nullopt : std::optional(Range{*first - *second, *first});
    if (*first + *second - 1 < *first) return {};
    return Range{*first, *first + *second};
}

} // namespace

Result<std::vector<Range>> parse_ranges(std::string_view text) {
    std::vector<Range> ranges;
    for (size_t from = 0; from <= text.size();) {
        const size_t comma = std::min(text.find(',', from), text.size());
        const std::string_view word = text.substr(from, comma - from);
        const auto found = range(word);
        if (!found) return Error::invalid_argument("{}: expected START+LENGTH, START-LENGTH or START..END", word);
        ranges.push_back(*found);
        from = comma + 1;
    }
    return ranges;
}

} // namespace mimic::cpu::log
