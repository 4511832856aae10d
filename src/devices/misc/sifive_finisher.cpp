// Test finisher: a register by which a guest ends or resets its machine.
// Source: SiFive's test finisher as the device-tree binding "sifive,test0" and "sifive,test1" uses it (the finisher's
// values are in the binding's users: 0x3333 fail, 0x5555 pass, 0x7777 reset; the upper half is the exit status of fail).
#include "devices/base/machine.hpp"
#include "devices/base/registers.hpp"

namespace mimic::devices {
namespace {

class SifiveTest final : public Device {
public:
    std::string_view type() const override { return "riscv.sifive.test"; }
    void describe(Describe& d) override;

private:
    void finish(u64 v) {
        int code = int(v >> 16 & 0xffff);
        switch (v & 0xffff) {
        case 0x3333: return machine().request({Request::Kind::shutdown, "guest-panic", code});
        case 0x5555: return machine().request({Request::Kind::shutdown, "guest-shutdown", 0});
        case 0x7777: return machine().request({Request::Kind::reset, "guest-reset", 0});
        default: trace::guest_error(id(), "{:#x} is no way to finish, expected 0x3333, 0x5555 or 0x7777", v);
        }
    }
    static const RegRow<SifiveTest> regs[];
};

constexpr RegRow<SifiveTest> SifiveTest::regs[] = {
    {0, "finisher", {}, {.write = &SifiveTest::finish}},
};

void SifiveTest::describe(Describe& d) {
    d.registers(*this, regs, 0x1000, {.min = 2, .max = 4, .implemented_min = 2, .implemented_max = 4});
}

} // namespace

MIMIC_DEVICE(sifive_test) = {.name = "riscv.sifive.test",
                             .bus = "system",
                             .summary = "SiFive test finisher: power-off, reset, exit status",
                             .make = make_device<SifiveTest>};

} // namespace mimic::devices
