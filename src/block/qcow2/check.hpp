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
    // How often each cluster is used. Sparse: what a hostile image refers to may lie anywhere. Two bytes a cluster, as
    // hardly any is used by 65,535 snapshots; those that are have their number beside.
    struct Counts {
        static constexpr u64 chunk = 65536;
        static constexpr u16 many = UINT16_MAX;
        std::unordered_map<u64, std::vector<u16>> chunks;
        std::unordered_map<u64, u32> large;
        u32 get(u64 cluster) const {
            auto at = chunks.find(cluster / chunk);
            u16 n = at == chunks.end() ? 0 : at->second[cluster % chunk];
            return n == many ? large.at(cluster) : n;
        }
        void add(u64 cluster, u32 times) {
            auto& c = chunks[cluster / chunk];
            if (c.empty()) c.resize(chunk);
            u16& n = c[cluster % chunk];
            u64 sum = (n == many ? large.at(cluster) : u64(n)) + times;
            n = u16(std::min<u64>(sum, many));
            if (n == many) large[cluster] = u32(std::min<u64>(sum, UINT32_MAX));
        }
        void clear() {
            chunks.clear();
            large.clear();
        }
    };
    // An L2 table, which many snapshots may share.
    struct Table {
        u64 offset = 0;
        u32 times = 0;     // that L1 tables name it
        u32 active = 0;    // that the active one does
        std::string owner; // for messages: the first that names it
    };

    bool fixes(Fix what) const { return u8(fix_) & u8(what); }
    void use(u64 offset, u64 length, std::string_view what, u32 times = 1);
    void corruption(std::string text) {
        report_.corruptions++;
        report_.say("ERROR " + text);
    }
    Task<Result<void>> count_metadata();
    void count_l1(u64 offset, const std::vector<u64>& l1, bool active, std::string_view name);
    Task<Result<void>> count_tables();
    Task<Result<void>> count_l2(const Table& table);
    Task<Result<void>> count_bitmaps();
    Task<Result<void>> count_blocks();
    Task<Result<void>> compare();
    Task<Result<void>> compare_block(u64 index);
    Task<Result<u64>> count_of(u64 offset);
    Task<Result<void>> check_copied();
    Task<Result<void>> once();
    Task<Result<CheckReport>> run_in_little_memory();

    Qcow2& q_;
    Fix fix_;
    CheckReport report_;
    Counts counts_;
    std::vector<Table> tables_; // in the order in which they are met: the active ones are the disk's
    std::unordered_map<u64, size_t> table_at_;
    u64 file_end_ = 0, highest_ = 0;
    u64 refcount_limit_ = 0;
    bool rebuild_ = false;
    bool agree_ = true; // the image's counts and ours
};

} // namespace mimic::block::qcow2
