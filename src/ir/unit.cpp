#include "ir/operands.hpp"
#include <array>

namespace mimic::ir {

namespace {

constexpr std::array<std::string_view, 19> type_names = {"none", "i1",   "i8",  "i16",  "i32",  "i64", "i128",
                                                         "f16",  "f32",  "f64", "f80",  "f128", "v64", "v128",
                                                         "v256", "v512", "vs",  "mask", "flags"};

#define MIMIC_KIND(name, effect, text) {detail::trim(#name), #effect[0]},
#define VBIN MIMIC_KIND
constexpr KindInfo vbin_kinds[] = {
#include "ir/kinds.def"
};
#define VUN MIMIC_KIND
constexpr KindInfo vun_kinds[] = {
#include "ir/kinds.def"
};
#define VTERN MIMIC_KIND
constexpr KindInfo vtern_kinds[] = {
#include "ir/kinds.def"
};
#define VSHIFT MIMIC_KIND
constexpr KindInfo vshift_kinds[] = {
#include "ir/kinds.def"
};
#define VREL MIMIC_KIND
constexpr KindInfo vcmp_kinds[] = {
#include "ir/kinds.def"
};
#define VNARROW MIMIC_KIND
constexpr KindInfo vnarrow_kinds[] = {
#include "ir/kinds.def"
};
#define VREDUCE MIMIC_KIND
constexpr KindInfo vreduce_kinds[] = {
#include "ir/kinds.def"
};
#undef MIMIC_KIND

} // namespace

std::span<const KindInfo> kinds_of(Op op) {
    switch (op) {
    case Op::vbin: return vbin_kinds;
    case Op::vun: return vun_kinds;
    case Op::vtern: return vtern_kinds;
    case Op::vshift: return vshift_kinds;
    case Op::vcmp: return vcmp_kinds;
    case Op::vnarrow: return vnarrow_kinds;
    case Op::vreduce: return vreduce_kinds;
    default: return {};
    }
}

std::string_view to_string(Type t) { return type_names[u8(t)]; }

Type type_from(std::string_view name) {
    for (u32 n = 0; n < type_names.size(); ++n)
        if (type_names[n] == name) return Type(n);
    return Type::none;
}

std::string_view to_string(Lane l) {
    constexpr std::string_view names[] = {"i8", "i16", "i32", "i64", "f16", "f32", "f64", "bf16", "i128"};
    return names[u8(l)];
}

std::span<const std::string_view> sub_names(Op op) {
    static constexpr std::string_view rels[] = {"eq", "ne", "ult", "ule", "ugt", "uge", "slt", "sle", "sgt", "sge"};
    static constexpr std::string_view frels[] = {"eq", "lt", "le", "unordered"};
    static constexpr std::string_view conds[] = {"z", "nz", "c",   "nc",  "n",   "nn",  "v",   "nv",
                                                 "p", "np", "ugt", "ule", "sge", "slt", "sgt", "sle"};
    static constexpr std::string_view divisions[] = {"", "zero"};
    static constexpr std::string_view halves[] = {"low", "high"};
    static constexpr std::string_view signaling[] = {"", "signaling"};
    static constexpr std::string_view rmws[] = {"add",  "sub",  "and",  "or",   "xor", "andn",
                                                "swap", "smin", "smax", "umin", "umax"};
    static constexpr std::string_view probes[] = {"read", "write"};
    static constexpr std::string_view hints[] = {"", "call", "ret"};
    static constexpr std::string_view traps[] = {"syscall",     "breakpoint", "illegal", "misaligned_fetch",
                                                 "fetch_fault", "fp",         "divide",  "overflow",
                                                 "privileged",  "flush_code", "wait",    "guest",
                                                 "stale_code"};
    static constexpr std::string_view min_max[] = {"number", "num2008", "nan", "x86"};
    static constexpr std::string_view environments[] = {"", "f80", "reversed"};
    static constexpr std::string_view widenings[] = {"ulow", "uhigh", "slow", "shigh"};
    static constexpr std::string_view zips[] = {"low", "high", "even", "odd", "even_pairs", "odd_pairs"};
    static constexpr std::string_view mask_ops[] = {"and", "or", "xor", "andn"};
    switch (op) {
    case Op::icmp: return rels;
    case Op::fcmp: return frels;
    case Op::cond: return conds;
    case Op::udiv:
    case Op::sdiv: return divisions;
    case Op::half: return halves;
    case Op::flags_fcmp: return signaling;
    case Op::rmw: return rmws;
    case Op::probe: return probes;
    case Op::exit:
    case Op::exit_ind: return hints;
    case Op::trap: return traps;
    case Op::fmin:
    case Op::fmax: return min_max;
    case Op::fpflags:
    case Op::fpflags_set: return environments;
    case Op::fpmode_set: return std::span(environments).first(2);
    case Op::vwiden: return widenings;
    case Op::vzip: return zips;
    case Op::mask_op: return mask_ops;
    default: return {};
    }
}

} // namespace mimic::ir
