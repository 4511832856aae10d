#include "user/linux/abi.hpp"

namespace mimic::user {

#define ABI(file) extern const Abi file##_abi;
#include "abis.inc" // a line ABI(file) for each file of abi/
#undef ABI

namespace {

constexpr const Abi* all[] = {
#define ABI(file) &file##_abi,
#include "abis.inc"
#undef ABI
};

u32 offset(std::string_view name, const ir::GuestState& state, std::string& missing) {
    if (name.empty()) return 0;
    for (const ir::Slot& slot : state.slots)
        if (slot.name == name) return ir::slots_offset + slot.offset;
    missing = name;
    return 0;
}

} // namespace

std::span<const Abi* const> abis() { return all; }

const Abi* find_abi(std::string_view name) {
    for (const Abi* abi : all)
        if (abi->name == name) return abi;
    return nullptr;
}

RegisterMap resolve(const RegisterNames& names, const ir::GuestState& state) {
    RegisterMap map;
    map.number = offset(names.number, state, map.missing);
    for (u32 i = 0; i < 6; i++) map.args[i] = offset(names.args[i], state, map.missing);
    map.result = offset(names.result, state, map.missing);
    map.sp = offset(names.sp, state, map.missing);
    map.tls = offset(names.tls, state, map.missing);
    for (auto name : names.frame_gpr) map.frame_gpr.push_back(offset(name, state, map.missing));
    for (auto name : names.frame_vec) map.frame_vec.push_back(offset(name, state, map.missing));
    for (auto name : names.other) map.other.push_back(offset(name, state, map.missing));
    return map;
}

} // namespace mimic::user
