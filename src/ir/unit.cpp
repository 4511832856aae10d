#include "ir/unit.hpp"
#include <array>

namespace mimic::ir {

namespace {

constexpr std::array<std::string_view, 19> type_names = {"none", "i1",   "i8",  "i16",  "i32",  "i64", "i128",
                                                         "f16",  "f32",  "f64", "f80",  "f128", "v64", "v128",
                                                         "v256", "v512", "vs",  "mask", "flags"};

} // namespace

std::string_view to_string(Type t) { return type_names[u8(t)]; }

Type type_from(std::string_view name) {
    for (u32 n = 0; n < type_names.size(); ++n)
        if (type_names[n] == name) return Type(n);
    return Type::none;
}

} // namespace mimic::ir
