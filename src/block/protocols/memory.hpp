// memory: an image in memory, for tests and fuzzing. null-co: reads zeros, forgets writes.
#pragma once
#include "block/driver.hpp"
#include <map>

namespace mimic::block {

// Sparse bytes: pages of 64 KiB that were written.
struct MemoryImage {
    static constexpr u64 page_size = 65536;
    u64 size = 0;
    std::map<u64, std::vector<u8>> pages;
    // Every write that reached it, for power-fail tests; recorded only if asked.
    struct Logged {
        enum Kind : u8 { write, zero, flush } kind;
        u64 offset, length;
        std::vector<u8> bytes;
    };
    bool record = false;
    std::vector<Logged> log;

    void read(u64 offset, const IoVec& memory) const;
    void write(u64 offset, const IoVec& memory);
    void zero(u64 offset, u64 length);
};

NodePtr make_memory_node(Context& context, std::shared_ptr<MemoryImage> image, bool read_only = false);

} // namespace mimic::block
