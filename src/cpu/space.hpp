// Inside of CodeSpace. Internal to the room.
#pragma once
#include "base/process.hpp"
#include "cpu/cpu.hpp"
#include "cpu/exit_flags.hpp"
#include "ir/passes/passes.hpp"
#include "isa/translate.hpp"
#include "jit/code_cache.hpp"
#include "jit/host/host.hpp"
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <unordered_map>

namespace mimic::cpu {

// One translated unit.
struct Translation {
    u64 low = 0, high = 0; // guest bytes
    u32 mode = 0;
    const u8* code = nullptr;
    u32 bytes = 0;
    bool valid = true;
    std::vector<ExitFlags::Range> relies_on; // code outside that was looked at
    u32 first_link = 0, link_count = 0;
    std::vector<struct Node*> nodes;
    std::vector<u32> incoming; // link words that point into it
    std::vector<jit::Emitted::Fault> faults;
    std::unique_ptr<ir::Unit> unit; // interpreter: what to run
};

// An entry of the look-up table; never freed before the space is, so that readers need no lock.
struct Node {
    u64 pc = 0;
    u32 mode = 0;
    const u8* code = nullptr;
    Translation* translation = nullptr;
    std::atomic<Node*> next{nullptr};
    std::atomic<bool> valid{true};
};

struct Link { // by link word
    Translation* from = nullptr;
    u64 pc = 0;
    u32 mode = 0;
    u32 stub = 0;
};

struct CodeSpace::Impl {
    const isa::Guest& guest;
    CodeSource& source;
    Options options;

    std::mutex mutex; // translation, invalidation, the structures below
    std::unique_ptr<jit::Backend> backend;
    std::unique_ptr<jit::CodeCache> cache;
    ExitFlags exit_flags;
    isa::Translator translator, single; // single: instruction by instruction, for faults
    ir::PassScratch scratch;
    jit::Analysis analysis;
    jit::Emitted emitted;
    std::vector<std::unique_ptr<Translation>> translations; // by rising code address
    std::vector<Link> links;
    std::unordered_map<u64, std::vector<Translation*>> pages; // by guest page
    std::vector<Cpu*> cpus;
    CodeSpace::Counters counters;

    // Of pages that the host gives as they are touched; neighbours in code are neighbours here.
    static constexpr u32 buckets = 1 << 19;
    struct Free {
        void operator()(void* p) const { std::free(p); }
    };
    std::unique_ptr<std::atomic<Node*>[], Free> table;
    std::vector<std::unique_ptr<Node[]>> node_blocks;
    u32 node_used = 0;

    // Who runs generated code. A flush waits until nobody does.
    std::atomic<u32> inside{0};
    std::atomic<bool> flushing{false};
    std::condition_variable outside;

    Impl(const isa::Guest& g, CodeSource& s, const Options& o)
        : guest(g)
        , source(s)
        , options(o)
        , exit_flags(g)
        , translator(g)
        , single(g) {}

    static u32 bucket(u64 pc) { return u32(pc >> 4 ^ pc >> 23) & (buckets - 1); }
    Node* find(u64 pc, u32 mode) const;
    // The entry for a pc, translated if need be.
    Node* entry(u64 pc, u32 mode, std::unique_lock<std::mutex>& lock);
    Node* translate(u64 pc, u32 mode);
    bool emit(const ir::Unit& unit, Translation& t);
    Result<void> start_cache();
    void forget_jumps();
    void log_translation(const ir::Unit& unit);
    void write_log(std::string_view s);
    std::string text; // of host code
    isa::Limits limits;
    bool full = false; // the last emit failed for want of room
    Node* add_node(u64 pc, u32 mode, const u8* code, Translation* t);
    void drop(Translation* t);
    void flush(std::unique_lock<std::mutex>& lock);
    void follow_link(u64* word, std::unique_lock<std::mutex>& lock);
    Translation* containing(u64 host_pc);
    static bool redirect(void* owner, process::Fault& fault);
};

} // namespace mimic::cpu
