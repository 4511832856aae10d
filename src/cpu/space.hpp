// Inside of CodeSpace. Internal to the room.
//
// Translations live in regions of the code memory, which are filled one after the other and given up in that order. A
// vCPU announces the epoch before it looks for code and takes that back after it left (Cpu::inside_). Giving up a region
// makes its code unreachable (look-up table, link words, jump caches) and raises the epoch; the region is reused once no
// vCPU is inside since before that. The region after the current one is given up when the current one is begun, so that
// in practice nobody ever waits.
#pragma once
#include "base/process.hpp"
#include "cpu/arena.hpp"
#include "cpu/cpu.hpp"
#include "cpu/exit_flags.hpp"
#include "cpu/kept.hpp"
#include "cpu/node_table.hpp"
#include "cpu/saved_unit.hpp"
#include "cpu/snapshot.hpp"
#include "ir/passes/passes.hpp"
#include "isa/system.hpp"
#include "isa/translate.hpp"
#include "jit/code_cache.hpp"
#include "jit/host/host.hpp"
#include <atomic>
#include <bitset>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <unordered_set>

namespace mimic::cpu {

struct Translation;

struct Link {                          // of a link word
    const Translation* from = nullptr; // whose word it is; null: nobody's any more
    u64 pc = 0;
    u32 mode = 0, stub = 0;
    bool counted = false; // see jit::Emitted::Word
};

// One translated unit, or several that were taken from the store as one.
struct Translation {
    u64 pc = 0;            // of its entry, counted from the page where units are paged; so are all its pcs
    u64 base = 0;          // what it counted from when it was made: for people who read of it
    u64 place = 0;         // of the code at pc; user mode: pc
    u64 second = 0;        // place of the next page, when the only instruction reaches into it
    u64 low = 0, high = 0; // places of the bytes it was made from
    u32 mode = 0;
    const u8* code = nullptr;
    u32 bytes = 0;
    bool valid = true;
    bool whole = false;                               // made of a hot loop, whatever was known before
    bool checked = false;                             // compares its guest bytes itself
    ir::Op refused = ir::Op::nop;                     // why there is no code
    u32 first_link = 0, link_count = 0;               // of its own
    Node *first_node = nullptr, *last_node = nullptr; // the entry's first
    std::vector<ExitFlags::Range> relies_on;          // code outside that was looked at
    std::vector<u32> incoming;                        // link words that point or pointed into it
    u64 made = 0;                                     // of the units made here, in order; 0: from the store
    u32 flavour = 0;                                  // with a store
    // Of units from the store, in the region's memory; entries: those without a node, too.
    std::span<const saved::Edge> stored_edges;
    std::span<const saved::Fault> stored_faults;
    std::span<const saved::Owed> stored_owed;
    std::span<const saved::Entry> stored_entries;
    struct Made {                              // what only units have that were made here
        std::vector<jit::Emitted::Edge> edges; // by its link words
        std::vector<jit::Emitted::Fault> faults;
        std::vector<u8> seen;                            // of an unsettled page: the bytes it was made from
        Sha256Digest made_from{};                        // with a store: see saved::Head
        std::vector<jit::Emitted::Reference> references; // with a store
        std::unique_ptr<ir::Unit> unit;                  // for the interpreter
    };
    std::unique_ptr<Made> own;

    jit::Emitted::Fault fault_at(u32 offset) const;
    Link link(u32 number) const; // of its own words
};

using TranslationOf = std::unique_ptr<Translation, Destroy>;

struct Region {
    Arena arena; // of these and their nodes, and what units from the store have beside their code
    std::vector<TranslationOf> translations; // by rising code address, then
    std::vector<TranslationOf> plain;        // those without code
    u64 plain_bytes = 0;                     // of IR that is kept
    u64 given_up = 0;                        // epoch when it was; 0: in use or empty
};

// A guest page that code was made from.
struct CodePage {
    std::vector<Translation*> translations;
    u64 unsettled = 0;  // epoch since which writes to it are told, but for those under way then; 0: settled
    u32 writes = 0;     // how often a write made code go
    bool taken = false; // some were, from the store
    bool busy = false;  // written so often that its units check themselves
    u64 changed = 0;    // busy: when a unit was last found changed, by the clock of exits
    u64 calm_after = 4096;
};

struct CodeSpace::Impl {
    static constexpr u64 page_bits = 12; // granularity of invalidation; guest pages are multiples of it
    const isa::Guest& guest;
    CodeSource& source;
    Options options;
    const u32 debug_mode; // isa::System's
    bool interprets_first = false;
    std::atomic<u32> log_items; // Options::log now
    bool stepwise = false;      // back to C++ after each unit: no links, no jump cache

    mutable std::mutex mutex; // translation, invalidation, the structures below
    std::unique_ptr<jit::Backend> backend;
    std::unique_ptr<jit::CodeCache> cache;
    ExitFlags exit_flags;
    isa::Translator translator, single; // single: instruction by instruction, for faults
    ir::PassScratch scratch;
    jit::Analysis analysis;
    jit::Emitted emitted;
    isa::Limits limits;
    Snapshot snapshot;   // of a unit that gets a check or may go to the store
    ir::Unit checked;    // the unit with its check
    std::string text;    // of host code
    u64 heap_top = 0;    // see touch_heap
    u64 older_units = 0; // Translation::made of the last one that is the parent's
    // With a store: what it had no unit of when it was met.
    static constexpr u32 most_ran = 1 << 16;
    std::vector<u64> ran;
    UnitBytes stored_unit;         // the one that is taken from the store
    std::vector<u64> stored_words; // its link words
    std::unordered_set<u64>
        other_bytes;        // what was not taken, as it was made from others: Said::at and the page's number
    std::vector<u8> hashed; // of guest code, to be hashed
    std::vector<Region> regions;
    u32 current = 0;                         // region
    std::unordered_map<u64, CodePage> pages; // by page number
    std::pair<u64, CodePage*> last_page{};   // the one that was asked for last; null: none
    CodePage& page_of(u64 number) {
        if (!last_page.second || last_page.first != number) last_page = {number, &pages[number]};
        return *last_page.second;
    }
    std::vector<u64> busy_pages; // their numbers
    std::atomic<u32> busy{0};    // how many
    // Where units begin whose accesses had tags (Options::top_byte_ignored); from so many on, all count.
    static constexpr u32 most_tagged = 64;
    std::unordered_set<u64> tagged;
    bool guards = false;        // there may be guarded pages
    std::vector<u64> unsettled; // numbers of pages
    std::atomic<u32> unsettled_count{0};
    std::vector<u64> breakpoints;
    std::atomic<u32> breakpoint_count{0};
    // Guests' own breakpoints of all vCPUs (Cpu::set_stops): a bit for each two bytes of a page, since a page may be seen
    // anywhere. Some may be there no more: what is switched on and off stays, so that no unit is made anew for it.
    using PageBits = std::bitset<ir::code_page / 2>;
    PageBits stops;
    std::atomic<bool> has_stops{false};
    static PageBits page_bits_of(std::span<const Range> ranges);
    // May a unit with this mode have to end somewhere since a breakpoint is there?
    bool stops_in(u32 mode) const { return breakpoint_count || (has_stops && (mode & debug_mode)); }
    std::vector<Cpu*> cpus;
    CodeSpace::Counters counters;

    NodeTable table;
    // A bit for each place, which others share; neighbours in code are neighbours here, so few pages are touched.
    struct PlaceSet {
        static constexpr u32 bits = 1 << 20;
        Zeroes<std::atomic<u64>> words{bits / 64};
        static u32 number(u64 place) { return u32(place >> 1 ^ place >> 21 ^ place >> 41) & (bits - 1); }
        static u64 bit(u64 place) { return u64{1} << number(place) % 64; }
        bool has(u64 place) const { return words[number(place) / 64].load(std::memory_order_relaxed) & bit(place); }
        // False: it was there. Doesn't look first: a page that is read before it is written faults twice.
        bool add(u64 place) {
            return !(words[number(place) / 64].fetch_or(bit(place), std::memory_order_relaxed) & bit(place));
        }
    };
    PlaceSet met; // ran; a program that fills it has no cold code any more
    // A forked child goes on without translating for so many blocks: most children soon execute another program or end, and
    // the first translation copies pages that it shares with its parent.
    static constexpr u32 most_patience = 96;
    std::atomic<u32> patience{0};  // blocks left
    std::atomic<i32> kept_left{0}; // blocks that vCPUs may still keep
    // What to do with code without a translation: interpret it; do so and keep it, or take what is kept; translate it.
    enum class Met : u8 { first, again, often };
    // Code at a place was met, of which the vCPU keeps this block (null: none).
    Met meet(u64 place, KeptBlock* kept) {
        if (met.add(place)) return Met::first;
        if (kept ? kept->runs++ < options.keep_runs : kept_left.load(std::memory_order_relaxed) > 0) return Met::again;
        const u32 left = patience.load(std::memory_order_relaxed);
        if (!left) return Met::often;
        patience.store(left - 1, std::memory_order_relaxed);
        return kept ? Met::again : Met::first;
    }

    std::atomic<u64> epoch{1};
    std::atomic<u64> dropped{0}; // epoch since which nobody enters what was dropped last
    std::atomic<u32> waiting{0}; // threads that wait for others to come out
    std::condition_variable outside;
    std::atomic<u64> exits{0}; // counted while there are busy pages

    Impl(const isa::Guest& g, CodeSource& s, const Options& o)
        : guest(g)
        , source(s)
        , options(o)
        , debug_mode(g.system() ? g.system()->debug_mode() : 0)
        , log_items(o.log)
        , exit_flags(g)
        , translator(g)
        , single(g) {}

    // space.cpp
    // A page of a machine may be seen at several addresses, where its units serve alike: their pcs count from the page.
    u64 pc_in_unit(u64 pc) const { return options.paged ? pc & (ir::code_page - 1) : pc; }
    // second: that of a unit that reaches into the next page; 0: any.
    Node* find(u32 mode, u64 place, u64 second = 0) const;
    // Has anything that there is an entry at this place, whether somebody has come to it or not?
    bool exists(u32 mode, u64 place) const {
        Translation* of;
        return find(mode, place) || (options.store && taken_entry(place, mode, of));
    }
    enum class Made : u8 { yes, no_room, reaches_on };
    // What goes into a unit: of a hot loop all, whatever was known before; of what ran once in an earlier process only that.
    enum class Extent : u8 { usual, whole, ran };
    // Makes a translation of pc, unless there is one. False: its first instruction reaches into the next page, whose place
    // must be told. pc counts from `base`.
    bool provide(u64 pc, u32 mode, u64 place, u64 second, u64 base, Extent extent = Extent::usual);
    Made translate(u64 pc, u32 mode, u64 place, u64 second, u64 base, Extent extent = Extent::usual);
    void make_whole(u64 pc, u32 mode, u64 place, u64 base);
    u32 fetch_paged(const Translation& t, u64 at, std::span<u8> out);
    void place_ranges(Translation& t);
    bool stops_at(u64 pc, u32 mode) const;
    u32 flavour_at(u64 pc, u64 place); // of the code there, and what bounds a unit that begins there
    isa::Limits limits_at(u64 pc, u32 mode, u64 place, Extent extent = Extent::usual);
    bool takes_tags(u64 place) const;
    void note_tag(Translation& t);
    jit::AddressModel address_model() const;
    bool emit(const ir::Unit& unit, Translation& t);
    void publish(const ir::Unit& unit, Translation& t);
    void keep(const ir::Unit& unit, Translation& t);
    Node* add_node(u64 pc, ir::BlockId block, const u8* code, Translation* t, bool whole = false);
    Link link(u32 k) const; // of a word; its unit may have been dropped
    bool may_link(const Link& l, const Node& to) const;
    void replace(Node& old, Node& now);
    bool follow_link(const u64* word, Node& to);
    void set_link(u32 k, bool counted, Node& to);
    Translation* containing(u64 host_pc);
    static bool redirect(void* owner, process::Fault& fault);

    bool has_breakpoint(u64 pc) const; // at the guest's address; with the lock

    // restore.cpp
    enum class Restored : u8 { yes, no, no_room };
    // Of code that is met: there is a unit at pc now; there is none; nor was there in an earlier process, which came here, too.
    enum class Stored : u8 { taken, nothing, ran };
    Stored take_stored(u64 pc, u32 mode);
    // A child that was just forked does without, as it does without translations.
    bool looks_in_store(u64 place) const {
        return options.store && !met.has(place) && patience.load(std::memory_order_relaxed) == 0;
    }
    Restored restore(u64 pc, u32 mode, const UnitStore::Said& said);
    const saved::Entry* taken_entry(u64 pc, u32 mode, Translation*& of) const;
    bool enter_taken(u64 pc, u32 mode);
    void link_taken(Translation& t);
    void tell_taken(const Translation& t) const;
    bool place_code(const SavedUnit& u, const u8* code, u32 first_link);
    void fill(Translation& t, const SavedUnit& u, const u8* code, u32 first_link);
    Sha256Digest hash_of(const Translation& t);
    bool is_made_from_now(const SavedUnit& u);
    bool save(const Translation& t, saved::Head& h, std::vector<u8>& b);
    bool save_code(const Translation& t, std::vector<u8>& out, saved::Head& h);
    bool save_faults(const Translation& t, std::vector<u8>& out, saved::Head& h);
    void save_edges(const Translation& t, std::vector<u8>& out);

    // regions.cpp
    Result<void> start_cache();
    void next_region(std::unique_lock<std::mutex>& lock);
    bool region_is_full() const;
    void give_up(Region& r);
    bool quiescent(u64 since) const;

    // pages.cpp
    void hide(Node& n);
    void drop(Translation* t);
    void drop_of_modes(u32 bits); // all units that have one of them
    void unsettle(u64 number, CodePage& page);
    bool is_unsettled(u64 place, u64 second) const;
    bool changed(const Translation& t);
    bool drop_in(CodePage& page, u64 low, u64 high);
    void watch_page(u64 place);
    Watch enter_pages(Translation& t);
    Watch enter_range(Translation& t, u64 low, u64 high);
    bool is_busy(u64 low, u64 high);
    void note_write(u64 number, CodePage& page);
    void make_busy(u64 number, CodePage& page);
    void unit_changed(u64 place, u32 mode);
    void calm_down();
    void leave_pages();
    void discard(Translation& t);
    void poll_inside();
    void kick_inside();

    // logs.cpp
    bool logs(u32 item, u64 pc) const;
    std::string text_of(const ir::Unit& unit, const Translation& t);
    void write_translation(std::string text_before, const ir::Unit& unit, const Translation& t);
    void log_host_code(const Translation& t);
    std::string register_text(ir::CpuHeader& cpu) const;
    std::string guest_code(const ir::Unit& unit, const Translation& t);
    std::string report_mismatch(Node& n, const std::string& states);
};

// Makes `out` a unit that compares the guest bytes which `unit` was made from with what stands there, leaves with
// TrapKind::stale_code when they differ, and goes on as `unit` when they don't. Only its first block may be entered.
// check.cpp
void add_check(const ir::Unit& unit, const Snapshot& snapshot, ir::Unit& out);

} // namespace mimic::cpu
