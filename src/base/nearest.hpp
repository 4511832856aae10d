// The name that somebody probably meant: for errors about unknown options, properties, types.
#pragma once
#include <span>
#include <string>
#include <string_view>

namespace mimic {

// Of `names` the one that differs least from `word`, when it is at most about a third of it and something is left
// of it; else empty.
std::string_view nearest(std::string_view word, std::span<const std::string_view> names);
// ", did you mean 'x'?" or nothing.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> names);

} // namespace mimic
