// memory: an image in memory, for tests and fuzzing. null-co: reads zeros, forgets writes.
#pragma once
#include "block/driver.hpp"
#include <map>
#include <memory>

namespace mimic::block {

// Sparse bytes: pages of 64 KiB that were written.
struct MemoryImage {
    static constexpr u64 page_size = 65536;
    u64 size = 0;
    std::map<u64, std::vector<u8>> pages;
    // What reached it, for power-fail tests; several images may have one log. Null: it is not recorded.
    struct Logged {
        enum Kind : u8 { write, zero, truncate, flush } kind; // truncate: `length` is the new one
        u64 offset, length;
        std::vector<u8> bytes;
        unsigned image = 0; // whose
    };
    std::shared_ptr<std::vector<Logged>> log;
    unsigned number = 0; // in the log

    void read(u64 offset, const IoVec& memory) const;
    void write(u64 offset, const IoVec& memory);
    void zero(u64 offset, u64 length);
    void resize(u64 length);

private:
    void clear(u64 offset, u64 length);
};

NodePtr make_memory_node(Context& context, std::shared_ptr<MemoryImage> image, bool read_only = false);

} // namespace mimic::block
