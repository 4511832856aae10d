// The x86-64 back end: shared routines, records of what generated code calls, entering and leaving.
#pragma once
#include "jit/host/host.hpp"
#include "jit/host/x86_64/lower.hpp"
#include <atomic>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

namespace mimic::jit::x86 {

// What call sites refer to by number: an intrinsic, or one IR instruction for the interpreter. Translators add under
// their lock; vCPUs read without one, since a record never moves.
class Records {
public:
    struct Record {
        const ir::Intrinsic* intrinsic = nullptr;
        std::unique_ptr<ir::Unit> unit; // operands as arguments 0..2, then the instruction
    };
    static constexpr u32 full = ~0u; // instead of a number: there are too many
    Records() = default;
    Records(const Records&) = delete;
    Records& operator=(const Records&) = delete;
    ~Records();
    u32 intrinsic(const ir::Intrinsic& f);
    u32 operation(const ir::Unit& unit, const ir::Inst& i, const ir::Type (&types)[3]);
    // For another process of the same program; as Backend says.
    bool save(u32 record, std::vector<u8>& out) const;
    bool load(std::span<const u8> saved, const ir::GuestState& guest, u32& record);
    const Record& operator[](u32 n) const {
        return chunks_[n / chunk_size].load(std::memory_order_acquire)[n % chunk_size];
    }

private:
    static constexpr u32 chunk_size = 256, chunk_count = 1024;
    u32 add(u64 hash, Record record);
    std::atomic<Record*> chunks_[chunk_count] = {};
    u32 count_ = 0;
    std::unordered_multimap<u64, u32> by_hash_;
};

} // namespace mimic::jit::x86
