// DirtyBitmap: which parts of a disk were written since somebody began to ask. A bit stands for `granularity` bytes.
//
// Bits are kept in chunks; chunks that are all zeros or all ones take no memory.
#pragma once
#include "base/result.hpp"
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace mimic::block {

class DirtyBitmap {
public:
    static constexpr u64 min_granularity = 512, max_granularity = u64(1) << 31;
    static constexpr u64 max_bits = u64(1) << 32; // half a GiB of them
    // Errors: the granularity is no power of two in range, or the disk would need more bits than max_bits.
    static Result<std::shared_ptr<DirtyBitmap>> create(std::string name, u64 size, u64 granularity);

    // What users call it; empty: it is nobody's but a job's.
    const std::string& name() const { return name_; }
    u64 size() const { return size_; }
    u64 granularity() const { return u64(1) << shift_; }
    // Sets or clears every bit that the range touches. Past the end is nothing.
    void set(u64 offset, u64 length) { change(offset, length, true); }
    void clear(u64 offset, u64 length) { change(offset, length, false); }
    void clear_all();
    // Adds what another one has; of the same size, any granularity.
    void merge(const DirtyBitmap& other);
    // What is cut off is forgotten; what is new is clean.
    void resize(u64 size);

    bool get(u64 offset) const;
    // Is it dirty at `offset`? Lowers `length` to how far that holds.
    bool state(u64 offset, u64& length) const;
    // The first dirty range at or after `from`, of at most `most` bytes, within the disk. False: there is none.
    bool next(u64 from, u64 most, u64& offset, u64& length) const;
    bool any() const { return count_ != 0; }
    // Dirty bytes, in whole bits.
    u64 dirty_bytes() const { return count_ << shift_; }

    // As qcow2 stores them: bit n of byte n / 8; `bits` begins at a multiple of 8 bits.
    void store(u64 first_bit, std::span<u8> bits) const;
    void load(u64 first_bit, std::span<const u8> bits);
    u64 bits() const { return (size_ >> shift_) + ((size_ & (granularity() - 1)) != 0); }

    bool enabled = true;     // writes are recorded
    bool persistent = false; // stored in the image when it is closed
    bool changed = false;    // since it was loaded or stored
    std::string user;        // the job or export that has it; it may not be changed then

private:
    static constexpr u64 chunk_bits = 1u << 19, chunk_words = chunk_bits / 64;
    struct Chunk {
        std::unique_ptr<u64[]> words; // null: all bits are `full`
        u64 count = 0;
        bool full = false;
    };
    DirtyBitmap(std::string name, u64 size, u32 shift);
    void change(u64 offset, u64 length, bool on);
    void change_bits(u64 first, u64 end, bool on);
    void materialise(Chunk& c);
    u64 chunk_length(u64 index) const;
    // The first bit from `from` on that is `on`; bits() if there is none.
    u64 find(u64 from, bool on) const;

    std::string name_;
    u64 size_;
    u32 shift_;
    u64 count_ = 0;
    std::vector<Chunk> chunks_;
};

} // namespace mimic::block
