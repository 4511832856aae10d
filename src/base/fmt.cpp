// Debian ships fmt as a shared library or headers; a static-PIE needs its code here, compiled once.
#include <fmt/format-inl.h>

FMT_BEGIN_NAMESPACE
namespace detail {
template char decimal_point_impl(locale_ref);
template thousands_sep_result<char> thousands_sep_impl(locale_ref);
} // namespace detail
FMT_END_NAMESPACE
