// For tests of code of the tlb address model: four pages that a TLB knows all, some or nothing of, and the slow way to them.
#pragma once
#include "base/check.hpp"
#include "ir/interpreter.hpp"
#include "jit/code_cache.hpp"
#include "jit/host/host.hpp"
#include "jit/tlb.hpp"
#include <array>
#include <cstring>
#include <memory>
#include <new>

namespace mimic::jit {

enum class Rights : u8 { none, read, both };

class PagedMachine final : public ir::Access {
public:
    static constexpr u64 base = 0x40000, page = 4096;
    static constexpr u32 pages = 4, index = 1;

    explicit PagedMachine(const ir::GuestState& guest)
        : guest_(guest)
        , backend_(*make_backend(guest, 4))
        , cache_(*CodeCache::create(1 << 20)) {
        const u64 bytes = ir::slots_offset + guest.bytes + backend_->host_area();
        state_ = new (std::align_val_t{64}) u8[bytes]();
        new (state_) ir::CpuHeader{};
        u8* code = cache_.code();
        MIMIC_CHECK(backend_->emit_shared(code, cache_.writable(code), u32(CodeCache::head_bytes)), "no back end");
        backend_->init(header());
        header()->access = this;
        views().index[index] = {u64(table_.data()), (pages - 1) * sizeof(TlbEntry)};
        for (u32 n = 0; n < pages; ++n) set_page(n, Rights::both, Rights::both);
    }
    ~PagedMachine() override { ::operator delete[](state_, std::align_val_t{64}); }
    PagedMachine(const PagedMachine&) = delete;

    ir::CpuHeader* header() { return reinterpret_cast<ir::CpuHeader*>(state_); }
    TlbViews& views() { return *backend_->tlb_views(header()); }
    u8* memory() { return memory_; }
    // What the guest may do with a page, and what of it the TLB knows.
    void set_page(u32 n, Rights real, Rights known) {
        const u64 nobody = nobodys_page(), at = base + page * n;
        real_[n] = real;
        table_[(at >> tlb_page_bits) & (pages - 1)] = {.read = known == Rights::none ? nobody : at,
                                                       .write = known == Rights::both ? at : nobody,
                                                       .fetch = nobody,
                                                       .host = u64(memory_) + page * n};
        views().forget_recent(index);
    }
    // False: the back end refused.
    bool run(const ir::Unit& unit) {
        analysis_.run(unit, guest_, backend_->plan());
        u64 room = 0;
        u8* to = *cache_.room(room);
        if (!backend_->emit(unit, analysis_, AddressModel::tlb, to, cache_.writable(to), room, cache_.links(),
                            emitted_))
            return false;
        for (u32 n = 0; n < emitted_.edges.size(); ++n) cache_.links()[n] = u64(to + emitted_.edges[n].stub);
        slow_ = 0, met_device_ = false;
        backend_->enter(header(), to + emitted_.entries.front().offset);
        return true;
    }
    void interpret(const ir::Unit& unit) {
        ir::Interpreter interpreter;
        interpreter.run(unit, guest_, *header(), *this);
    }
    ir::Op refused() const { return emitted_.refused; }
    // What a page has is a device's: code that relies on its pages does not reach it.
    void set_device(u32 n) { set_page(n, Rights::both, Rights::none), device_ = n; }
    bool met_device() const { return met_device_; } // in the last run, and failed
    u32 slow() const { return slow_; }              // accesses of the last run that were looked up in C++
    const Analysis& analysis() const { return analysis_; }

    bool load(ir::CpuHeader& cpu, u64 address, void* out, u32 n, const ir::MemArg&) override {
        if (!reach(cpu, address, n, ir::FaultKind::read)) return false;
        std::memcpy(out, memory_ + (address - base), n);
        return true;
    }
    bool store(ir::CpuHeader& cpu, u64 address, const void* in, u32 n, const ir::MemArg&) override {
        if (!reach(cpu, address, n, ir::FaultKind::write)) return false;
        std::memcpy(memory_ + (address - base), in, n);
        return true;
    }
    bool rmw(ir::CpuHeader&, u64, ir::Rmw, u64, u64&, u32, const ir::MemArg&) override { return false; }
    bool cas(ir::CpuHeader&, u64, const void*, const void*, void*, u32, const ir::MemArg&) override { return false; }
    bool probe(ir::CpuHeader& cpu, u64 address, u64 n, bool write) override {
        return reach(cpu, address, n, write ? ir::FaultKind::write : ir::FaultKind::read);
    }
    void fence(u32, u32) override {}

private:
    bool reach(ir::CpuHeader& cpu, u64 address, u64 n, ir::FaultKind kind) {
        ++slow_;
        if (views().relied_on && (address - base) / page == device_) return met_device_ = true, false;
        for (u64 at = address; at != address + n; ++at) {
            const u64 number = (at - base) / page;
            const Rights least = kind == ir::FaultKind::write ? Rights::both : Rights::read;
            if (at - base < page * pages && real_[number] >= least) continue;
            cpu.fault_address = at;
            cpu.fault_kind = kind;
            return false;
        }
        return true;
    }

    const ir::GuestState& guest_;
    std::unique_ptr<Backend> backend_;
    CodeCache cache_;
    Analysis analysis_;
    Emitted emitted_;
    std::array<TlbEntry, pages> table_{};
    std::array<Rights, pages> real_{};
    alignas(page) u8 memory_[page * pages] = {};
    u8* state_ = nullptr;
    u32 slow_ = 0, device_ = ir::none; // none: no page
    bool met_device_ = false;
};

} // namespace mimic::jit
