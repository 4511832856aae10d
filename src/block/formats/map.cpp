#include "block/formats/map.hpp"
#include "block/bytes.hpp"
#include "block/formats/luks/luks.hpp"
#include <algorithm>
#include <limits>

namespace mimic::block {

namespace {
constexpr u64 cached_entries = u64(4) << 20; // of all pages; 8 bytes each
constexpr u64 bounce_size = 1u << 20;
constexpr u64 largest_allocation = 64u << 20;
} // namespace

BlockMap::BlockMap(Node& owner, Node& file, const Layout& layout)
    : owner_(owner)
    , file_(file)
    , l_(layout)
    , loading_(owner.loop())
    , flushing_(owner.loop())
    , growing_(owner.loop())
    , ranges_(owner.loop()) {
    set_end(std::max(file.size(), l_.first_block));
    written_end_ = sure_end_ = file.size();
}

// ---- tables -----------------------------------------------------------------------------------------------------------

u64 BlockMap::place_of(u64 page) const {
    if (!l_.two_levels) return page_place(page);
    u64 table = page / l_.table_pages;
    u64 place = table < directory_.size() ? directory_place(directory_[table]) : 0;
    return place ? place + page % l_.table_pages * l_.page_entries * l_.entry_bytes : 0;
}

// Tables of the guest's choosing in memory of ours: the ones unused for longest go.
void BlockMap::evict() {
    u64 most = std::max<u64>(16, cached_entries / l_.page_entries);
    if (pages_.size() < most) return;
    std::vector<std::pair<u64, u64>> order;
    for (auto& [number, page] : pages_)
        if (!page->dirty() && page.use_count() == 1) order.emplace_back(page->used, number);
    std::ranges::sort(order);
    for (size_t i = 0; i < order.size() && i < most / 4 + 1; i++) pages_.erase(order[i].second);
}

Task<Result<BlockMap::PagePtr>> BlockMap::page(u64 number) {
    if (auto at = pages_.find(number); at != pages_.end()) {
        at->second->used = ++clock_;
        co_return at->second;
    }
    auto lock = co_await loading_.lock();
    if (auto at = pages_.find(number); at != pages_.end()) co_return at->second;
    evict();
    auto fresh = std::make_shared<Page>();
    fresh->used = ++clock_;
    fresh->entries.assign(l_.page_entries, hole_entry());
    if (u64 place = place_of(number)) {
        u64 bytes = l_.page_entries * l_.entry_bytes;
        if (place > u64(INT64_MAX) - bytes || place >= file_.size())
            co_return Error::corrupt("{} of '{}' at {:#x} is past the end of the file ({} bytes)", table_name(),
                                     file_.filename(), place, file_.size());
        std::vector<u8> raw(bytes);
        IoVec memory{std::span<u8>(raw)};
        CO_CHECK(co_await file_.read(place, memory));
        for (u64 i = 0; i < l_.page_entries; i++) {
            const u8* p = &raw[i * l_.entry_bytes];
            fresh->entries[i] =
                l_.entry_bytes == 4 ? (l_.big_endian ? get32(p) : le32(p)) : (l_.big_endian ? get64(p) : le64(p));
        }
    }
    pages_[number] = fresh;
    co_return fresh;
}

Result<Block> BlockMap::decoded(u64 block, u64 entry) const {
    Block b = decode(entry);
    if (b.kind != Block::data) return b;
    if (b.offset < l_.first_block || b.offset >= file_.size() || b.offset > u64(INT64_MAX) - l_.block_size)
        return Error::corrupt("block {} of '{}' has the entry {:#x} in its {}, which is not a place for data (expected "
                              "from {:#x} to the end of the file at {:#x})",
                              block, file_.filename(), entry, table_name(), l_.first_block, file_.size());
    return b;
}

Task<Result<BlockMap::Run>> BlockMap::run(u64 offset, u64 length) {
    u64 first = offset / l_.block_size, skip = offset % l_.block_size, number = first / l_.page_entries;
    CO_TRY(PagePtr p, co_await page(number));
    u64 i = first % l_.page_entries;
    Run r{.entry = p->entries[i]};
    // What was allocated since may lie behind what the file's end was.
    CO_TRY(r.block, decoded(first, r.entry));
    u64 n = 1;
    bool joins = r.block.kind != Block::packed && (r.block.kind != Block::data || l_.in_a_row);
    while (joins && n * l_.block_size - skip < length && i + n < l_.page_entries) {
        Block next = decode(p->entries[i + n]);
        if (next.kind != r.block.kind) break;
        if (next.kind == Block::data && next.offset != r.block.offset + n * l_.block_size) break;
        n++;
    }
    r.length = std::min(length, n * l_.block_size - skip);
    r.block.offset += skip;
    co_return r;
}

Task<Result<u64>> BlockMap::entry(u64 block) {
    CO_TRY(PagePtr p, co_await page(block / l_.page_entries));
    co_return p->entries[block % l_.page_entries];
}

// The directory names a table when it is all zeros on the disk below.
Task<Result<void>> BlockMap::add_table(u64 table) {
    auto lock = co_await growing_.lock();
    if (table >= directory_.size())
        co_return Error::corrupt("the directory of '{}' has {} entries, a block needs {}", file_.filename(),
                                 directory_.size(), table + 1);
    if (directory_place(directory_[table])) co_return Result<void>();
    u64 place = end_, bytes = l_.table_pages * l_.page_entries * l_.entry_bytes;
    if (place > l_.last_place) co_return Error::no_space("'{}': its tables can't name more space", file_.filename());
    end_ = round_up(place + bytes, l_.alignment);
    CO_CHECK(co_await file_.write_zeroes(place, bytes, flag::may_unmap));
    written_end_ = std::max(written_end_, place + bytes);
    change_directory(table, directory_word(place));
    co_return Result<void>();
}

void BlockMap::change_directory(u64 table, u64 word) {
    directory_[table] = word;
    directory_first_ = directory_dirty_ ? std::min(directory_first_, table) : table;
    directory_last_ = directory_dirty_ ? std::max(directory_last_, table + 1) : table + 1;
    directory_dirty_ = true;
}

bool BlockMap::table_is_there(u64 page) const {
    u64 place = place_of(page);
    return place && place < file_.size();
}

Task<Result<u64>> BlockMap::named_end() {
    u64 end = 0;
    for (u64 n = 0; n < l_.pages(); n++) {
        if (l_.two_levels && !table_is_there(n)) {
            n = round_down(n, l_.table_pages) + l_.table_pages - 1;
            continue;
        }
        CO_TRY(PagePtr p, co_await page(n));
        u64 count = std::min(l_.page_entries, l_.blocks() - n * l_.page_entries);
        for (u64 i = 0; i < count; i++)
            if (Block b = decode(p->entries[i]); b.kind == Block::data && b.offset < file_.size())
                end = std::max(end, b.offset + l_.block_size);
    }
    co_return end;
}

Task<Result<void>> BlockMap::start_writing() {
    // A file that is made of whole blocks did not end inside one.
    bool whole = l_.in_a_row && file_.size() >= l_.first_block && (file_.size() - l_.first_block) % l_.block_size == 0;
    u64 end = std::max(file_.size(), l_.first_block);
    if (!whole) {
        CO_TRY(u64 named, co_await named_end());
        end = std::max(end, named);
    }
    set_end(end);
    co_return Result<void>();
}

Task<Result<void>> BlockMap::set_entry(u64 block, u64 entry) {
    u64 number = block / l_.page_entries;
    if (l_.two_levels && !place_of(number)) CO_CHECK(co_await add_table(number / l_.table_pages));
    CO_TRY(PagePtr p, co_await page(number));
    u64 i = block % l_.page_entries;
    p->entries[i] = entry;
    p->touch(i);
    dirty_pages_[number] = p;
    if (dirty_pages_.size() * l_.page_entries > cached_entries / 2) co_return co_await flush();
    co_return Result<void>();
}

Task<Result<void>> BlockMap::write_page(u64, u64 place, u64 offset, std::span<const u8> bytes) {
    IoVec memory(bytes);
    co_return co_await file_.write(place + offset, memory);
}

Task<Result<void>> BlockMap::write_directory(u64, std::span<const u64>) {
    co_return Error::unsupported("'{}' has no directory", file_.filename());
}

Task<Result<void>> BlockMap::write_back(u64 number, const PagePtr&, u64 first, std::span<const u64> entries) {
    std::vector<u8> raw(entries.size() * l_.entry_bytes);
    for (size_t i = 0; i < entries.size(); i++) {
        u8* p = &raw[i * l_.entry_bytes];
        if (l_.entry_bytes == 4)
            l_.big_endian ? put32(p, u32(entries[i])) : put_le32(p, u32(entries[i]));
        else
            l_.big_endian ? put64(p, entries[i]) : put_le64(p, entries[i]);
    }
    co_return co_await write_page(number, place_of(number), first * l_.entry_bytes, raw);
}

Task<Result<void>> BlockMap::flush() {
    auto lock = co_await flushing_.lock();
    co_return co_await flush_tables();
}

Task<Result<void>> BlockMap::flush_tables() {
    // Entries that are made from now on name data that the flush below may miss: they wait for the next one.
    struct Part {
        u64 number, first;
        PagePtr page;
        std::vector<u64> entries;
    };
    std::vector<Part> parts;
    for (auto& [number, p] : std::exchange(dirty_pages_, {})) {
        parts.push_back({number,
                         p->dirty_first,
                         p,
                         {p->entries.begin() + long(p->dirty_first), p->entries.begin() + long(p->dirty_last)}});
        p->dirty_first = p->dirty_last = 0;
    }
    bool directory = std::exchange(directory_dirty_, false);
    u64 first = directory_first_, last = directory_last_;
    std::vector<u64> words;
    if (directory) words.assign(directory_.begin() + long(first), directory_.begin() + long(last));
    auto write = [&]() -> Task<Result<void>> {
        if (parts.empty() && !directory) co_return co_await file_.flush();
        u64 written = written_end_;
        CO_CHECK(co_await file_.flush());
        sure_end_ = std::max(sure_end_, written);
        CO_CHECK(co_await before_pages());
        for (auto& part : parts) CO_CHECK(co_await write_back(part.number, part.page, part.first, part.entries));
        CO_CHECK(co_await after_pages());
        CO_CHECK(co_await file_.flush());
        if (!directory) co_return Result<void>();
        CO_CHECK(co_await write_directory(first, words));
        co_return co_await file_.flush();
    };
    Result<void> r = co_await write();
    if (r) co_return r;
    // Not there yet: the next flush tries again.
    for (auto& part : parts) {
        part.page->touch(part.first);
        part.page->touch(part.first + part.entries.size() - 1);
        dirty_pages_[part.number] = part.page;
    }
    if (directory) {
        directory_first_ = directory_dirty_ ? std::min(directory_first_, first) : first;
        directory_last_ = directory_dirty_ ? std::max(directory_last_, last) : last;
        directory_dirty_ = true;
    }
    co_return r;
}

// ---- requests ---------------------------------------------------------------------------------------------------------

Task<Result<u64>> BlockMap::allocate(u64 count) {
    u64 place = end_, bytes = count * l_.block_size;
    if (place > l_.last_place || bytes > l_.last_place - place)
        co_return Error::no_space("'{}': its tables can't name more space", file_.filename());
    end_ = round_up(place + bytes, l_.alignment);
    co_return place;
}

// Space at the end that nothing names, once all behind it is given back, too: who tries again and again would use up what the
// tables can name.
void BlockMap::give_back(u64 begin, u64 end) {
    abandoned_[begin] = end;
    while (!abandoned_.empty() && std::prev(abandoned_.end())->second == end_) {
        end_ = std::prev(abandoned_.end())->first;
        abandoned_.erase(std::prev(abandoned_.end()));
    }
}

Task<Result<void>> BlockMap::unpack(u64 block, u64, std::span<u8>) {
    co_return Error::corrupt("block {} of '{}' is compressed, which this image has not", block, file_.filename());
}

Task<Result<void>> BlockMap::read_hole(u64 offset, const IoVec& memory) {
    Node* below = l_.holes_are_ours ? nullptr : owner_.backing();
    if (below) co_return co_await below->read(l_.base + offset, memory);
    memory.fill(0, memory.length(), 0);
    co_return Result<void>();
}

Task<Result<void>> BlockMap::read_packed(u64 offset, u64 entry, const IoVec& memory) {
    CO_TRY(auto whole, Buffer::create(l_.block_size));
    CO_CHECK(co_await unpack(offset / l_.block_size, entry, whole.bytes()));
    memory.copy_from(0, whole.data() + offset % l_.block_size, memory.length());
    co_return Result<void>();
}

Task<Result<void>> BlockMap::read_data(u64 place, u64 offset, const IoVec& memory) {
    if (!encrypted()) co_return co_await file_.read(place, memory);
    if (!cipher()) co_return Error::permission("'{}' was opened without its key", file_.filename());
    co_return co_await luks::read_encrypted(*cipher(), file_, place, offset / luks::sector, memory);
}

Task<Result<void>> BlockMap::write_data(u64 place, u64 offset, const IoVec& memory) {
    if (!encrypted()) co_return co_await file_.write(place, memory);
    if (!cipher()) co_return Error::permission("'{}' was opened without its key", file_.filename());
    co_return co_await luks::write_encrypted(*cipher(), file_, place, offset / luks::sector, memory);
}

Task<Result<void>> BlockMap::read(u64 offset, const IoVec& memory) {
    for (u64 done = 0; done < memory.length();) {
        u64 at = offset + done;
        if (at >= l_.size) {
            memory.fill(done, memory.length() - done, 0);
            break;
        }
        CO_TRY(Run r, co_await run(at, std::min(memory.length() - done, l_.size - at)));
        IoVec part = memory.slice(done, r.length);
        switch (r.block.kind) {
        case Block::hole: CO_CHECK(co_await read_hole(at, part)); break;
        case Block::zero: part.fill(0, part.length(), 0); break;
        case Block::data: CO_CHECK(co_await read_data(r.place(), at, part)); break;
        case Block::packed: CO_CHECK(co_await read_packed(at, r.entry, part)); break;
        }
        done += r.length;
    }
    co_return Result<void>();
}

Task<Result<void>> BlockMap::write(u64 offset, const IoVec& memory) {
    for (u64 done = 0; done < memory.length();) {
        u64 at = offset + done, rest = memory.length() - done;
        CO_TRY(Run r, co_await run(at, rest));
        if (r.block.kind == Block::data) {
            IoVec part = memory.slice(done, r.length);
            CO_CHECK(co_await write_data(r.place(), at, part));
            done += r.length;
            continue;
        }
        // One at a time makes a block; others that want it find it made.
        u64 first = round_down(at, l_.block_size), most = l_.in_a_row ? largest_allocation : l_.block_size;
        u64 end = std::min(round_up(at + r.length, l_.block_size), first + std::max(most, l_.block_size));
        auto lock = co_await ranges_.lock(first, end - first, true);
        CO_TRY(Run now, co_await run(at, std::min(rest, end - at)));
        IoVec part = memory.slice(done, now.length);
        if (now.block.kind == Block::data)
            CO_CHECK(co_await write_data(now.place(), at, part));
        else
            CO_CHECK(co_await write_new(at, part));
        done += now.length;
    }
    co_return Result<void>();
}

// The blocks of [offset, ...) have no place yet and are all alike. Under their lock.
Task<Result<void>> BlockMap::write_new(u64 offset, const IoVec& memory) {
    u64 first = offset / l_.block_size, count = div_up(offset + memory.length(), l_.block_size) - first;
    CO_TRY(u64 old, co_await entry(first));
    CO_TRY(u64 place, co_await allocate(count));
    u64 skip = offset - first * l_.block_size;
    Result<void> written = co_await fill_around(first, count, place, offset, memory, old);
    if (written) written = co_await write_data(place + skip, offset, memory);
    if (!written) {
        give_back(place - in_front(), round_up(place + count * l_.block_size, l_.alignment));
        co_return written;
    }
    written_end_ = std::max(written_end_, place + count * l_.block_size);
    for (u64 i = 0; i < count; i++) CO_CHECK(co_await set_entry(first + i, encode(place + i * l_.block_size)));
    allocated_ += count;
    co_return Result<void>();
}

// What the first and the last block hold beside the bytes that are written.
Task<Result<void>> BlockMap::fill_around(u64 first, u64 count, u64 place, u64 offset, const IoVec& memory, u64 entry) {
    u64 start = first * l_.block_size, end = start + count * l_.block_size;
    u64 stop = offset + memory.length();
    Block old = decode(entry);
    bool zeros = old.kind == Block::zero || (old.kind == Block::hole && (l_.holes_are_ours || !owner_.backing()));
    // Fresh space of a regular file is zero; its last bytes are written, so that the file holds all of it. Nobody else writes
    // there before the entry is made.
    if (zeros && !encrypted() && place >= file_.size() && file_.has_zero_init()) {
        if (stop >= end) co_return Result<void>();
        std::vector<u8> last(std::min<u64>(end - stop, 512));
        IoVec part{std::span<u8>(last)};
        co_return co_await file_.write(place + (end - start) - last.size(), part);
    }
    std::vector<u8> whole;
    if (old.kind == Block::packed) {
        whole.resize(l_.block_size);
        CO_CHECK(co_await unpack(first, entry, whole));
    }
    for (auto [from, to] : {std::pair{start, offset}, std::pair{stop, end}}) {
        if (from < to && zeros && !encrypted()) {
            CO_CHECK(co_await file_.write_zeroes(place + (from - start), to - from, flag::may_unmap));
            continue;
        }
        while (from < to) {
            u64 n = std::min(to - from, bounce_size);
            CO_TRY(auto bounce, Buffer::zeroed(n));
            IoVec part = bounce.vec();
            if (!whole.empty())
                std::memcpy(bounce.data(), &whole[from - start], n);
            else if (!zeros)
                CO_CHECK(co_await read_hole(from, part));
            CO_CHECK(co_await write_data(place + (from - start), from, part));
            from += n;
        }
    }
    co_return Result<void>();
}

Task<Result<void>> BlockMap::zero_run(u64 offset, const Run& r, u32 flags) {
    bool whole = offset % l_.block_size == 0 && (r.length % l_.block_size == 0 || offset + r.length == l_.size);
    bool shows = !l_.holes_are_ours && owner_.backing();
    switch (r.block.kind) {
    case Block::zero: co_return Result<void>();
    case Block::data:
        if (!encrypted()) co_return co_await file_.write_zeroes(r.place(), r.length, flags);
        break;
    case Block::hole:
        if (!shows) co_return Result<void>();
        [[fallthrough]];
    case Block::packed:
        if (auto word = zero_entry(r.entry); word && whole) {
            for (u64 i = 0; i * l_.block_size < r.length; i++)
                CO_CHECK(co_await set_entry(offset / l_.block_size + i, *word));
            co_return Result<void>();
        }
    }
    CO_TRY(auto zeros, Buffer::zeroed(std::min(r.length, bounce_size)));
    for (u64 done = 0; done < r.length; done += zeros.size()) {
        IoVec part(zeros.data(), std::min<u64>(r.length - done, zeros.size()));
        if (r.block.kind == Block::data)
            CO_CHECK(co_await write_data(r.place() + done, offset + done, part));
        else
            CO_CHECK(co_await write(offset + done, part));
    }
    co_return Result<void>();
}

Task<Result<void>> BlockMap::write_zeroes(u64 offset, u64 length, u32 flags) {
    for (u64 done = 0; done < length;) {
        u64 at = offset + done;
        CO_TRY(Run r, co_await run(at, length - done));
        if (r.block.kind == Block::data) {
            CO_CHECK(co_await zero_run(at, r, flags));
        } else {
            // Head and tail of a range are parts of blocks, what lies between is whole ones.
            u64 over = at % l_.block_size;
            if (over)
                r.length = std::min(r.length, l_.block_size - over);
            else if (r.length > l_.block_size && at + r.length != l_.size)
                r.length = round_down(r.length, l_.block_size);
            // zero_run() may have to write(), which takes this lock: only the change of an entry happens under it.
            u64 first = round_down(at, l_.block_size);
            bool whole = at == first && (r.length % l_.block_size == 0 || at + r.length == l_.size);
            if (whole && zero_entry(r.entry)) {
                auto lock = co_await ranges_.lock(first, round_up(r.length, l_.block_size), true);
                CO_TRY(r, co_await run(at, r.length));
                CO_CHECK(co_await zero_run(at, r, flags));
            } else {
                CO_CHECK(co_await zero_run(at, r, flags));
            }
        }
        done += r.length;
    }
    co_return Result<void>();
}

Task<Result<void>> BlockMap::discard(u64 offset, u64 length) {
    for (u64 done = 0; done < length;) {
        CO_TRY(Run r, co_await run(offset + done, length - done));
        // The block keeps its place; the file may drop what is there, and reads zeros.
        if (r.block.kind == Block::data && !encrypted())
            CO_CHECK(co_await file_.write_zeroes(r.place(), r.length, flag::may_unmap));
        done += r.length;
    }
    co_return Result<void>();
}

Task<Result<Extent>> BlockMap::status(u64 offset, u64 length) {
    CO_TRY(Run r, co_await run(offset, length));
    Extent e{.length = r.length};
    switch (r.block.kind) {
    case Block::hole: e.allocated = e.zero = l_.holes_are_ours; break;
    case Block::zero: e.allocated = e.zero = true; break;
    case Block::packed: e.allocated = e.data = e.compressed = true; break;
    case Block::data:
        e.allocated = e.data = true;
        e.has_offset = !encrypted();
        e.offset = r.place();
        e.file = &file_;
    }
    if (e.data && l_.preallocated && !e.compressed) {
        CO_TRY(Extent below, co_await file_.status(r.place(), r.length));
        e.zero = below.zero;
        e.length = std::min(e.length, below.length);
    }
    co_return e;
}

} // namespace mimic::block
