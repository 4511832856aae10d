// Words that all of the block layer shares.
#pragma once
#include "base/io/buffer.hpp"
#include "base/io/task.hpp"
#include "base/json.hpp"
#include <memory>
#include <string>
#include <vector>

namespace mimic::block {

using io::Buffer;
using io::IoVec;
using io::Task;

class Node;
using NodePtr = std::shared_ptr<Node>;

// What a user of a node does with it, and what it lets others do (bits of a set).
namespace perm {
constexpr u8 consistent_read = 1, write = 2, write_unchanged = 4, resize = 8, all = 15;
}

// How a write, or a write of zeros, may be done.
namespace flag {
constexpr u32 may_unmap = 1;   // zeros may give their storage back
constexpr u32 no_fallback = 2; // zeros only if that is cheaper than writing them
constexpr u32 fua = 4;         // on stable storage when it ends
constexpr u32 unchanged = 8;   // the disk reads the same afterwards: no dirty bitmap records it
} // namespace flag

enum class Prealloc : u8 { off, metadata, falloc, full };
constexpr std::string_view prealloc_names[] = {"off", "metadata", "falloc", "full"};

// Where the bytes from an offset on are, for as long as that stays the same.
struct Extent {
    u64 length = 0;
    bool allocated = false; // this layer answers for them; otherwise its backing node, or zeros
    bool data = false;      // they are stored
    bool zero = false;      // they read as zeros
    bool compressed = false;
    bool has_offset = false; // they lie plainly at `offset` of `file`
    u64 offset = 0;
    Node* file = nullptr;
};

struct SnapshotInfo {
    std::string id, name;
    u64 vm_state_size = 0;
    u32 date_sec = 0, date_nsec = 0;
    u64 vm_clock_nsec = 0;
    u64 icount = UINT64_MAX; // UINT64_MAX: not recorded
    u64 disk_size = 0;
};

struct BitmapInfo {
    std::string name;
    u64 granularity = 0;
    bool in_use = false;  // not stored properly; its bits mean nothing
    bool enabled = false; // records writes
    bool persistent = true;
};
constexpr size_t max_bitmap_name = 1023;

struct ImageInfo {
    u64 cluster_size = 0; // 0: the format has none
    bool encrypted = false;
    bool has_dirty_flag = false, dirty = false;
    std::string backing_file, backing_format; // as the image says
    Json specific;                            // {"type": ..., "data": {...}} or null
};

enum class Fix : u8 { none = 0, leaks = 1, errors = 2, all = 3 };

struct CheckReport {
    u64 corruptions = 0, leaks = 0, check_errors = 0;
    u64 corruptions_fixed = 0, leaks_fixed = 0;
    u64 image_end_offset = 0;
    u64 total_clusters = 0, allocated_clusters = 0, fragmented_clusters = 0, compressed_clusters = 0;
    std::vector<std::string> messages; // at most max_messages; the counts are whole
    static constexpr size_t max_messages = 1000;
    void say(std::string text) {
        if (messages.size() < max_messages) messages.push_back(std::move(text));
    }
};

struct Measurement {
    u64 required = 0, fully_allocated = 0;
    bool has_bitmaps = false;
    u64 bitmaps = 0;
};

// Counters of a node, in requests and bytes.
struct Statistics {
    struct Counter {
        u64 requests = 0, bytes = 0, failed = 0;
    };
    Counter read, write, zero, discard, flush;
};

constexpr u64 round_up(u64 n, u64 to) { return (n + to - 1) / to * to; }
constexpr u64 round_down(u64 n, u64 to) { return n / to * to; }
constexpr u64 div_up(u64 n, u64 by) { return n / by + (n % by != 0); }

} // namespace mimic::block
