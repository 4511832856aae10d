// For the room's tests: guest memory of 1 MiB at a guest base, in a reservation where the rest faults.
#pragma once
#include "cpu/cpu.hpp"
#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>
#include <sys/mman.h>

namespace mimic::cpu {

struct TestMachine final : CodeSource, ir::Access {
    static constexpr u64 size = 1 << 20, reserve = u64{1} << 32;
    u8* base = static_cast<u8*>(mmap(nullptr, reserve, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    TestMachine() { mprotect(base, size, PROT_READ | PROT_WRITE); }
    ~TestMachine() override { munmap(base, reserve); }

    u32 fetch(u64 pc, u8* out, u32 max) override {
        u32 n = pc >= size ? 0 : u32(std::min<u64>(max, size - pc));
        std::memcpy(out, base + pc, n);
        return n;
    }
    Watch protect_code(u64, bool) override { return Watch::as_before; }
    // Guests may race with each other and with the test.
    static void copy(u8* to, const u8* from, u32 bytes) {
        for (u32 n = 0; n < bytes; ++n)
            __atomic_store_n(to + n, __atomic_load_n(from + n, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
    }
    bool bad(ir::CpuHeader& cpu, u64 address, u32 bytes, ir::FaultKind kind) {
        if (address <= size - bytes) return false;
        cpu.fault_address = address, cpu.fault_kind = kind;
        return true;
    }
    bool load(ir::CpuHeader& cpu, u64 address, void* out, u32 bytes, const ir::MemArg&) override {
        if (bad(cpu, address, bytes, ir::FaultKind::read)) return false;
        copy(static_cast<u8*>(out), base + address, bytes);
        return true;
    }
    bool store(ir::CpuHeader& cpu, u64 address, const void* in, u32 bytes, const ir::MemArg&) override {
        if (bad(cpu, address, bytes, ir::FaultKind::write)) return false;
        copy(base + address, static_cast<const u8*>(in), bytes);
        return true;
    }
    // Not reached: generated code has its own.
    bool rmw(ir::CpuHeader&, u64, ir::Rmw, u64, u64&, u32, const ir::MemArg&) override { return false; }
    bool cas(ir::CpuHeader&, u64, const void*, const void*, void*, u32, const ir::MemArg&) override { return false; }
    bool probe(ir::CpuHeader&, u64, u64, bool) override { return true; }
    void fence(u32, u32) override {}

    // Writes the lines' instructions to `at` on; returns where they end.
    u64 assemble(const isa::Guest& guest, std::initializer_list<std::string_view> lines, u64 at) {
        for (auto line : lines) {
            auto bytes = guest.assemble(line, at, 0);
            EXPECT_TRUE(bytes) << line;
            if (!bytes) return at;
            std::memcpy(base + at, bytes->data(), bytes->size());
            at += bytes->size();
        }
        return at;
    }
};

} // namespace mimic::cpu
