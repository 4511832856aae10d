#include "machines/boot/psci.hpp"

namespace mimic::machines {

namespace {
// Function identifiers without bit 30, which says that arguments have 64 bits.
namespace fn {
constexpr u32 smccc_version = 0x80000000, smccc_arch_features = 0x80000001;
constexpr u32 version = 0x84000000, cpu_suspend = 0x84000001, cpu_off = 0x84000002, cpu_on = 0x84000003,
              affinity_info = 0x84000004, migrate_info_type = 0x84000006, system_off = 0x84000008,
              system_reset = 0x84000009, features = 0x8400000a, system_reset2 = 0x84000012;
} // namespace fn
constexpr u32 wide = 1u << 30;
constexpr i64 SUCCESS = 0, NOT_SUPPORTED = -1, INVALID_PARAMETERS = -2, ALREADY_ON = -4, ON_PENDING = -5;
constexpr i64 no_trusted_os = 2;
} // namespace

Psci::Psci(devices::Machine& machine, std::span<const std::unique_ptr<cpu::Vcpu>> vcpus, const Options& options)
    : machine_(machine)
    , vcpus_(vcpus)
    , options_(options)
    , power_(std::make_unique<std::atomic<Power>[]>(vcpus.size())) {}

void Psci::reset() {
    bool all = options_.conduit == Conduit::none; // firmware of the guest's own sorts them
    for (u32 i = 0; i < vcpus_.size(); i++) {
        power_[i] = i == 0 || all ? Power::on : Power::off;
        vcpus_[i]->set_powered(power_[i] == Power::on);
    }
}

void Psci::follow() {
    for (u32 i = 0; i < vcpus_.size(); i++) power_[i] = vcpus_[i]->powered() ? Power::on : Power::off;
}

u32 Psci::find(u64 affinity) const {
    for (u32 i = 0; i < vcpus_.size(); i++)
        if (affinity_of(i, options_.per_cluster) == affinity) return i;
    return ~u32{0};
}

void Psci::off(cpu::Vcpu& vcpu) {
    vcpu.set_powered(false);
    power_[vcpu.index()] = Power::off;
}

i64 Psci::cpu_on(u64 target, u64 entry, u64 context) {
    u32 n = find(target);
    if (n == ~u32{0}) return INVALID_PARAMETERS;
    Power seen = Power::off;
    if (!power_[n].compare_exchange_strong(seen, Power::starting)) return seen == Power::on ? ALREADY_ON : ON_PENDING;
    cpu::Vcpu& vcpu = *vcpus_[n];
    vcpu.run_inside([&](ir::CpuHeader&) {
        vcpu.reset(isa::ResetKind::warm);
        vcpu.enter_level(options_.level);
        vcpu.set_pc(entry);
        vcpu.write_register("x0", context);
    });
    power_[n] = Power::on;
    vcpu.set_powered(true);
    return SUCCESS;
}

i64 Psci::affinity_info(u64 target, u64 level) const {
    u32 n = find(target);
    if (n == ~u32{0} || level != 0) return INVALID_PARAMETERS;
    switch (power_[n].load()) {
    case Power::on: return 0;
    case Power::off: return 1;
    case Power::starting: return 2;
    }
    return INVALID_PARAMETERS;
}

i64 Psci::features(u32 function) const {
    switch (function & ~wide) {
    case fn::smccc_version:
    case fn::version:
    case fn::cpu_off:
    case fn::migrate_info_type:
    case fn::system_off:
    case fn::system_reset:
    case fn::features: return function & wide ? NOT_SUPPORTED : SUCCESS;
    case fn::cpu_suspend: // StateID in the original format, platform-coordinated
    case fn::cpu_on:
    case fn::affinity_info:
    case fn::system_reset2: return SUCCESS;
    default: return NOT_SUPPORTED;
    }
}

bool Psci::call(cpu::Vcpu& vcpu, isa::BoardRequest& r) {
    if (options_.conduit == Conduit::none || r.number != u32(options_.conduit)) return false;
    u32 function = u32(r.values[0]);
    bool narrow = !(function & wide);
    u64 mask = narrow ? 0xffffffff : ~u64{0};
    u64 a = r.values[1] & mask, b = r.values[2] & mask, c = r.values[3] & mask;
    i64 result = NOT_SUPPORTED;
    if (features(function) == SUCCESS || function == fn::smccc_arch_features) switch (function & ~wide) {
        case fn::smccc_version: result = 0x10001; break;
        case fn::version: result = 0x10001; break;
        case fn::cpu_suspend: result = SUCCESS; break;
        case fn::cpu_off: off(vcpu); break; // does not return
        case fn::cpu_on: result = cpu_on(a, b, c); break;
        case fn::affinity_info: result = affinity_info(a, b); break;
        case fn::migrate_info_type: result = no_trusted_os; break;
        case fn::features: result = features(u32(a)); break;
        case fn::system_off:
            off(vcpu);
            machine_.request({devices::Request::Kind::shutdown, "guest-shutdown", 0});
            break;
        case fn::system_reset:
        case fn::system_reset2:
            off(vcpu);
            machine_.request({devices::Request::Kind::reset, "guest-reset", 0});
            break;
        default: break;
        }
    r.values[0] = narrow ? u64(u32(result)) : u64(result);
    return true;
}

} // namespace mimic::machines
