// For tests: an engine whose CPU executes nothing, with the slots of a made-up guest, and a process around it.
#pragma once
#include "user/linux/table.hpp"
#include <array>
#include <gtest/gtest.h>
#include <memory>

namespace mimic::user::test {

inline constexpr u32 fake_slots = 140;
// Names of RISC-V's and AArch64's ABIs alike, so that both frames can be tried; vectors have 16 bytes.
struct FakeState {
    std::array<ir::Slot, fake_slots> slots{};
    ir::GuestState state{};
    std::vector<std::string> names;
    explicit FakeState(const Abi& abi) {
        auto add = [&](std::string_view name) {
            for (auto& n : names)
                if (n == name) return;
            if (!name.empty()) names.emplace_back(name);
        };
        const RegisterNames& r = abi.registers;
        for (auto n : r.frame_gpr) add(n);
        for (auto n : r.frame_vec) add(n);
        for (auto n : r.other) add(n);
        for (auto n : r.args) add(n);
        add(r.number), add(r.result), add(r.sp), add(r.tls);
        for (u32 i = 0; i < names.size(); i++) slots[i] = {names[i], u16(16 * i), ir::Type::i64, ir::SlotClass::gpr, 0};
        state = {"fake", {slots.data(), names.size()}, u32(16 * names.size())};
    }
};

class FakeVcpu final : public Vcpu {
public:
    explicit FakeVcpu(u32 bytes) : memory_((ir::slots_offset + bytes + 63) / 64) { new (memory_.data()) ir::CpuHeader; }
    ir::CpuHeader& header() override { return *reinterpret_cast<ir::CpuHeader*>(memory_.data()); }
    void run() override { header().exit_kind = ir::ExitKind::poll; }
    void kick() override { header().poll = 1; }
    void clear_kick() override { header().poll = 0; }

private:
    struct alignas(64) Line {
        u8 bytes[64];
    };
    std::vector<Line> memory_;
};

class FakeEngine final : public Engine {
public:
    explicit FakeEngine(const Abi& abi) : fake_(abi) {}
    void invalidate(u64, u64) override {}
    const ir::GuestState& state() const override { return fake_.state; }
    Result<std::unique_ptr<Vcpu>> make_vcpu(const Vcpu*) override {
        return std::unique_ptr<Vcpu>(std::make_unique<FakeVcpu>(fake_.state.bytes));
    }
    void before_fork() override {}
    void after_fork_parent() override {}
    bool after_fork_child(Vcpu&) override { return true; }

private:
    FakeState fake_;
};

// A thread of a process with one page of memory at `page` and a stack of 64 KiB.
class FakeProcess {
public:
    explicit FakeProcess(const Abi& abi) : engine_(abi) {
        process::install_fault_handlers();
        space_ = *std::move(AddressSpace::create(
            {.high = abi.high < 1ull << 38 ? abi.high : 1ull << 38, .base = SpaceShape::Base::reserve}));
        process_ =
            std::unique_ptr<Process>(new Process{.abi = abi, .options = {}, .memory = *space_, .engine = engine_});
        process_->map = resolve(abi.registers, engine_.state());
        process_->same_model = abi.model == host_model;
        for (u32 i = 0; i < struct_count; i++) process_->same[i] = identical(*(*abi.layouts)[i], abi.model);
        constexpr u32 anonymous = mapflag::private_ | mapflag::anonymous;
        page = u64(space_->map(0, 65536, prot::read | prot::write, anonymous));
        stack = u64(space_->map(0, 65536, prot::read | prot::write, anonymous)) + 65536;
        read_only = u64(space_->map(0, 65536, prot::read, anonymous));
        thread_ = std::make_unique<Thread>(*process_, signals_, *engine_.make_vcpu(nullptr));
        thread_->refresh_tid();
        thread_->set(process_->map.sp, stack);
    }
    i64 call(const char* name, u64 a = 0, u64 b = 0, u64 c = 0, u64 d = 0, u64 e = 0, u64 f = 0) {
        for (const CallRow& row : all_calls())
            if (std::string_view(row.name) == name) {
                i16 number = process_->abi.numbers == Numbers::generic ? row.generic : row.x86_64;
                return user::call(*thread_, Args{{a, b, c, d, e, f}, u64(number), nullptr});
            }
        ADD_FAILURE() << "no call named " << name;
        return 0;
    }
    u64 text(const std::string& s, u64 at = 0) {
        EXPECT_TRUE(space_->write(page + at, s.c_str(), s.size() + 1));
        return page + at;
    }
    template <class T>
    T at(u64 address) {
        T value{};
        EXPECT_TRUE(space_->read(address, &value, sizeof value));
        return value;
    }
    template <class T>
    void put(u64 address, const T& value) {
        EXPECT_TRUE(space_->write(address, &value, sizeof value));
    }
    Thread& thread() { return *thread_; }
    Process& process() { return *process_; }
    AddressSpace& space() { return *space_; }
    SignalTable& signals() { return signals_; }
    u64 page = 0, stack = 0, read_only = 0;

private:
    FakeEngine engine_;
    std::unique_ptr<AddressSpace> space_;
    SignalTable signals_;
    std::unique_ptr<Process> process_;
    std::unique_ptr<Thread> thread_;
};

} // namespace mimic::user::test
