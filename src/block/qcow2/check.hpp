// Checker: counts every use of every cluster and compares with what the image says; repairs.
#pragma once
#include "block/qcow2/image.hpp"
#include <unordered_map>

namespace mimic::block::qcow2 {

class Checker {
public:
    Checker(Qcow2& image, Fix fix) : q_(image), fix_(fix) {}
    Task<Result<CheckReport>> run();
    // Only new counts from what the image uses, in the header's present width.
    Task<Result<void>> rebuild();

private:
    // Sparse: what a hostile image refers to may lie anywhere.
    struct Counts {
        static constexpr u64 chunk = 65536;
        std::unordered_map<u64, std::vector<u32>> chunks;
        u32* find(u64 cluster) {
            auto at = chunks.find(cluster / chunk);
            return at == chunks.end() ? nullptr : &at->second[cluster % chunk];
        }
        u32& at(u64 cluster) {
            auto& c = chunks[cluster / chunk];
            if (c.empty()) c.resize(chunk);
            return c[cluster % chunk];
        }
    };

    bool fixes(Fix what) const { return u8(fix_) & u8(what); }
    void use(u64 offset, u64 length, std::string_view what);
    void corruption(std::string text) {
        report_.corruptions++;
        report_.say("ERROR " + text);
    }
    Task<Result<void>> count_metadata();
    Task<Result<void>> count_l1(u64 offset, const std::vector<u64>& l1, bool active, std::string_view name);
    Task<Result<void>> count_l2(u64 l2_offset, bool active, std::string_view name);
    Task<Result<void>> count_bitmaps();
    Task<Result<void>> count_blocks();
    Task<Result<void>> compare();
    Task<Result<void>> compare_block(u64 index);
    Task<Result<void>> check_copied();
    Task<Result<void>> once();

    Qcow2& q_;
    Fix fix_;
    CheckReport report_;
    Counts counts_;
    u64 file_end_ = 0, highest_ = 0;
    u64 next_contiguous_ = 0;
    bool rebuild_ = false;
};

} // namespace mimic::block::qcow2
