// BlockMap: a disk in blocks of one size, and tables in the file that say where each block lies. What vdi, vpc, vhdx, vmdk,
// qcow and qed have in common: they differ in the words of their tables.
//
// The tables are an array of entries, one a block, in pages. A page has a place in the file: a fixed one (formats with one
// table), or one that a directory holds (formats with two levels). Pages are read when they are needed and kept in bounded
// memory; what a header claims never decides how much that is.
//
// Order of writes: a block's data reaches the disk before the entry that names it, a page before the directory's entry that
// names that. So a crash loses what was not flushed, and leaves at worst blocks that nobody names (leaks).
#pragma once
#include "base/io/sync.hpp"
#include "block/node.hpp"
#include "block/ranges.hpp"
#include <map>

namespace mimic::block {

namespace luks {
class SectorCipher;
}

// Where a block's bytes are.
struct Block {
    // hole: not in this image (its backing image shows, or zeros); packed: the format unpacks it (unpack()).
    enum Kind : u8 { hole, zero, data, packed } kind = hole;
    u64 offset = 0; // of data: in the file
};

class BlockMap {
public:
    struct Layout {
        u64 size = 0;           // bytes of the disk
        u64 block_size = 65536; // bytes of a block
        u64 page_entries = 512; // entries of a page
        u64 table_pages = 1;    // two levels: pages of a table that one word of the directory names
        u32 entry_bytes = 4;    // 4 or 8
        bool big_endian = false;
        bool two_levels = false;
        bool in_a_row = true;       // blocks that lie in a row in the file are one piece (no bitmap between them)
        u64 alignment = 512;        // of blocks and pages in the file
        u64 first_block = 0;        // offsets below this are the format's own
        u64 last_place = INT64_MAX; // the largest offset that an entry can hold
        u64 base = 0;               // where this part begins, for the backing image
        bool holes_are_ours = true; // a hole is zeros; false: it shows the backing image
        bool preallocated = false;  // blocks have their places from the start: the file knows which hold nothing yet
        u64 blocks() const { return div_up(size, block_size); }
        u64 pages() const { return div_up(blocks(), page_entries); }
    };

    BlockMap(Node& owner, Node& file, const Layout& layout);
    virtual ~BlockMap() = default;
    BlockMap(const BlockMap&) = delete;

    const Layout& layout() const { return l_; }
    Node& file() const { return file_; }

    // [offset, offset + length) lies in the disk.
    Task<Result<void>> read(u64 offset, const IoVec& memory);
    Task<Result<void>> write(u64 offset, const IoVec& memory);
    Task<Result<void>> write_zeroes(u64 offset, u64 length, u32 flags);
    Task<Result<void>> discard(u64 offset, u64 length);
    Task<Result<Extent>> status(u64 offset, u64 length);
    // Data, tables, directory; then all is on stable storage.
    Task<Result<void>> flush();
    // Entries that name what can't be (outside the file, one place twice); with `fix` they become holes.
    Task<Result<void>> check(Fix fix, CheckReport& report);
    // The entry of a block is replaced when its data (already written) will have been flushed.
    Task<Result<void>> set_entry(u64 block, u64 entry);
    Task<Result<u64>> entry(u64 block);
    // Blocks that are behind `size` come or go; only growing.
    void grow(u64 size) { l_.size = size; }

    // Entries of the directory (two levels): as in the file.
    void set_directory(std::vector<u64> entries) { directory_ = std::move(entries); }
    void append_directory(u64 word) { directory_.push_back(word); }
    const std::vector<u64>& directory() const { return directory_; }
    // The next place in the file that nobody uses; blocks are appended there.
    u64 end() const { return end_; }
    void set_end(u64 end) { end_ = round_up(end, l_.alignment); }
    // The end of the last place that an entry names. Reads all tables.
    Task<Result<u64>> named_end();
    // Before the first write: new blocks lie behind the file and behind all that is named (a file may have lost its end).
    virtual Task<Result<void>> start_writing();
    u64 allocated_blocks() const { return allocated_; }
    bool dirty() const { return directory_dirty_ || !dirty_pages_.empty(); }

protected:
    // The words of the format. decode() gets any value; what it makes of it is checked here.
    virtual Block decode(u64 entry) const = 0;
    virtual u64 encode(u64 offset) const = 0;
    // An entry for a block of zeros that needs no space; none: the format has no such entry.
    virtual std::optional<u64> zero_entry(u64 /*old*/) const { return std::nullopt; }
    virtual u64 hole_entry() const { return 0; }
    // Where a page of a one-level table lies.
    virtual u64 page_place(u64 /*page*/) const { return 0; }
    // Two levels: the word of the directory to a place (0: none), and back.
    virtual u64 directory_place(u64 word) const { return word; }
    virtual u64 directory_word(u64 place) const { return place; }
    virtual Task<Result<void>> write_directory(u64 first, std::span<const u64> words);
    // Writes part of a page, at `place` + `offset`; formats with copies or a log do more.
    virtual Task<Result<void>> write_page(u64 page, u64 place, u64 offset, std::span<const u8> bytes);
    // Before and after all pages of one flush().
    virtual Task<Result<void>> before_pages() { co_return Result<void>(); }
    virtual Task<Result<void>> after_pages() { co_return Result<void>(); }
    // Space for `count` blocks in a row (1 if they can't be); where data begins. Makes ready what the format has beside them.
    virtual Task<Result<u64>> allocate(u64 count);
    // Bytes of a block's own that lie in front of its data.
    virtual u64 in_front() const { return 0; }
    void give_back(u64 begin, u64 end);
    virtual Task<Result<void>> unpack(u64 /*block*/, u64 /*entry*/, std::span<u8> /*out*/);
    // Of encrypted images, whose requests are of whole sectors. The numbers are the disk's sectors.
    virtual bool encrypted() const { return false; }
    virtual const luks::SectorCipher* cipher() const { return nullptr; }
    // Words for messages: "grain table of".
    virtual std::string_view table_name() const { return "block table"; }

    Node& owner_;
    Node& file_;
    Layout l_;
    u64 end_ = 0, allocated_ = 0;
    std::map<u64, u64> abandoned_; // begin to end: what give_back() could not join to the free end yet
    // Behind the blocks whose data were written; and that which the flush before the present pages made sure of.
    u64 written_end_ = 0, sure_end_ = 0;

private:
    struct Page {
        std::vector<u64> entries;
        u64 used = 0;                        // when it was last used
        u64 dirty_first = 0, dirty_last = 0; // entries [first, last) differ from the file
        bool dirty() const { return dirty_last > dirty_first; }
        void touch(u64 i) {
            dirty_first = dirty() ? std::min(dirty_first, i) : i;
            dirty_last = std::max(dirty_last, i + 1);
        }
    };
    using PagePtr = std::shared_ptr<Page>;
    // Blocks in a row that are alike.
    struct Run {
        Block block;
        u64 entry = 0, length = 0; // bytes from the offset asked for
        u64 place() const { return block.offset; }
    };

    class Places;

    u64 place_of(u64 page) const;
    Task<Result<PagePtr>> page(u64 number);
    Task<Result<void>> add_table(u64 table);
    void change_directory(u64 table, u64 word);
    bool table_is_there(u64 page) const;
    void evict();
    Result<Block> decoded(u64 block, u64 entry) const;
    Task<Result<Run>> run(u64 offset, u64 length);
    Task<Result<void>> read_hole(u64 offset, const IoVec& memory);
    Task<Result<void>> read_packed(u64 offset, u64 entry, const IoVec& memory);
    Task<Result<void>> write_data(u64 place, u64 offset, const IoVec& memory);
    Task<Result<void>> read_data(u64 place, u64 offset, const IoVec& memory);
    Task<Result<void>> write_new(u64 offset, const IoVec& memory);
    Task<Result<void>> fill_around(u64 first, u64 count, u64 place, u64 offset, const IoVec& memory, u64 entry);
    Task<Result<void>> zero_run(u64 offset, const Run& run, u32 flags);
    Task<Result<void>> flush_tables();
    Task<Result<void>> write_back(u64 number, const PagePtr& page, u64 first, std::span<const u64> entries);
    Task<Result<void>> check_page(u64 number, Fix fix, CheckReport& report, Places& seen);
    Task<Result<void>> check_end(u64 number, const Block& b, Fix fix, CheckReport& report);
    Task<Result<void>> forget_entry(u64 block, Fix fix, CheckReport& report);

    std::vector<u64> directory_;
    bool directory_dirty_ = false;
    u64 directory_first_ = 0, directory_last_ = 0;
    std::map<u64, PagePtr> pages_;
    std::map<u64, PagePtr> dirty_pages_;
    u64 clock_ = 0;
    io::Mutex loading_, flushing_, growing_;
    RangeLocks ranges_;
};

} // namespace mimic::block
