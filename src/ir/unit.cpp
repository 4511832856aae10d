#include "ir/unit.hpp"
#include <array>

namespace mimic::ir {

namespace {

constexpr Type fixed_result(std::string_view s) {
    if (s == "i1") return Type::i1;
    if (s == "i32") return Type::i32;
    if (s == "i64") return Type::i64;
    if (s == "flags") return Type::flags;
    if (s == "mask") return Type::mask;
    return Type::none;
}

// C++ keywords carry an underscore in the enum, not in the text.
constexpr std::string_view trim(std::string_view s) { return s.back() == '_' ? s.substr(0, s.size() - 1) : s; }

constexpr u8 count(std::string_view s) { return u8(s[0] - '0'); }

constexpr OpInfo ops[] = {
#define OP(name, result, operands, effect, text)                                                                       \
    {trim(#name), fixed_result(#result), std::string_view(#result) != "-", count(#operands), #effect[0]},
#include "ir/ops.def"
#undef OP
};

constexpr std::array<std::string_view, 19> type_names = {"none", "i1",   "i8",  "i16",  "i32",  "i64", "i128",
                                                         "f16",  "f32",  "f64", "f80",  "f128", "v64", "v128",
                                                         "v256", "v512", "vs",  "mask", "flags"};

} // namespace

const OpInfo& info(Op op) { return ops[u8(op)]; }

Type result_type(const Inst& i) {
    const OpInfo& o = info(i.op);
    if (!o.has_result) return Type::none;
    return o.result == Type::none ? i.type : o.result;
}

std::string_view to_string(Type t) { return type_names[u8(t)]; }

Type type_from(std::string_view name) {
    for (u32 n = 0; n < type_names.size(); ++n)
        if (type_names[n] == name) return Type(n);
    return Type::none;
}

} // namespace mimic::ir
