// Sparse extents: grains of (usually) 64 KiB; a directory of tables of 512 grains, twice; or grains that are packed by zlib
// behind markers.
#include "base/io/pool.hpp"
#include "block/bytes.hpp"
#include "block/formats/vmdk/vmdk.hpp"
#include <algorithm>
#include <bit>
#include <zlib.h>

namespace mimic::block::vmdk {

namespace {

constexpr u32 magic = 0x564d444b; // "KDMV"
constexpr u64 directory_at_end = UINT64_MAX;
constexpr u64 largest_grain = 32768; // sectors: 16 MiB
constexpr u32 zeroed_entry = 1;
constexpr u64 most_tables = 8u << 20; // a grain directory of 32 MiB
constexpr u64 marker_bytes = 12;      // of a grain: its first sector, the length of what follows
constexpr u64 footer_from_end = 1024;

} // namespace

bool has_magic(std::span<const u8> head) { return head.size() >= 4 && le32(&head[0]) == magic; }

Result<Header> parse_header(std::span<const u8> b) {
    auto bad = [](std::string_view field, u64 value, std::string_view expected) {
        return Error::corrupt("vmdk header: {} is {:#x}, expected {}", field, value, expected);
    };
    if (!has_magic(b)) return Error::corrupt("vmdk header: the magic number is {:#x}, expected 'KDMV'", le32(&b[0]));
    Header h;
    h.version = le32(&b[4]);
    h.flags = le32(&b[8]);
    h.capacity = le64(&b[12]);
    h.grain = le64(&b[20]);
    h.descriptor = le64(&b[28]);
    h.descriptor_size = le64(&b[36]);
    h.table_entries = le32(&b[44]);
    h.redundant = le64(&b[48]);
    h.directory = le64(&b[56]);
    h.overhead = le64(&b[64]);
    h.compression = le16(&b[77]);
    if (h.version < 1 || h.version > 3)
        return Error::unsupported("Unsupported VMDK version {}, expected 1 to 3", h.version);
    if (h.capacity > u64(INT64_MAX) / sector) return bad("capacity", h.capacity, "less than 8 EiB");
    if (!std::has_single_bit(h.grain) || h.grain > largest_grain)
        return bad("grainSize", h.grain, "a power of two of at most 16 MiB (in sectors)");
    if (h.table_entries == 0 || h.table_entries > 512) return bad("numGTEsPerGT", h.table_entries, "1 to 512");
    if (h.descriptor > u64(INT64_MAX) / sector || h.descriptor_size > largest_descriptor / sector)
        return bad("descriptorSize", h.descriptor_size, "at most 2048 sectors");
    if (h.overhead > u64(UINT32_MAX)) return bad("overHead", h.overhead, "less than 2^32 sectors");
    if ((h.flags & compressed) && h.compression != 1) return bad("compressAlgorithm", h.compression, "1 (deflate)");
    return h;
}

std::vector<u8> print_header(const Header& h) {
    std::vector<u8> b(sector);
    put_le32(&b[0], magic);
    put_le32(&b[4], h.version);
    put_le32(&b[8], h.flags);
    put_le64(&b[12], h.capacity);
    put_le64(&b[20], h.grain);
    put_le64(&b[28], h.descriptor);
    put_le64(&b[36], h.descriptor_size);
    put_le32(&b[44], h.table_entries);
    put_le64(&b[48], h.redundant);
    put_le64(&b[56], h.directory);
    put_le64(&b[64], h.overhead);
    // Shows whether a transfer as text has changed the file.
    b[73] = '\n';
    b[74] = ' ';
    b[75] = '\r';
    b[76] = '\n';
    put_le16(&b[77], h.compression);
    return b;
}

SparseExtent::SparseExtent(Node& owner, Node& file, const Layout& l, const Header& h)
    : BlockMap(owner, file, l)
    , h_(h)
    , packing_(owner.loop()) {}

Task<Result<std::unique_ptr<SparseExtent>>> SparseExtent::open(Node& owner, Node& file, u64 base) {
    CO_TRY(auto bytes, co_await read_part(file, 0, sector, "vmdk header"));
    CO_TRY(Header h, parse_header(bytes));
    bool from_footer = h.directory == directory_at_end;
    if (from_footer) {
        // A stream's writer knew it only at the end: there is a copy of the header that says it.
        u64 end = round_down(file.size(), sector);
        if (end < footer_from_end) co_return Error::corrupt("'{}' is too short for its footer", file.filename());
        CO_TRY(auto footer, co_await read_part(file, end - footer_from_end, sector, "vmdk footer"));
        CO_TRY(h, parse_header(footer));
        if (h.directory == directory_at_end)
            co_return Error::corrupt("vmdk footer of '{}': gdOffset is missing", file.filename());
    }
    auto read_directory = [&](u64 at, std::string_view what) -> Task<Result<std::vector<u64>>> {
        if (at > u64(INT64_MAX) / sector || h.tables() > most_tables || h.tables() > file.size() / 4)
            co_return Error::corrupt("{} of '{}' at sector {:#x} with {} entries is not in the file", what,
                                     file.filename(), at, h.tables());
        CO_TRY(auto raw, co_await read_part(file, at * sector, h.tables() * 4, what));
        std::vector<u64> words(h.tables());
        for (size_t i = 0; i < words.size(); i++) words[i] = le32(&raw[i * 4]);
        co_return words;
    };
    Layout l{.size = h.capacity * sector, .block_size = h.grain * sector, .page_entries = h.table_entries};
    l.two_levels = true;
    l.first_block = std::max<u64>(h.overhead, 1) * sector;
    l.last_place = u64(UINT32_MAX) * sector;
    l.base = base;
    l.holes_are_ours = false;
    CO_TRY(auto directory, co_await read_directory(h.directory, "grain directory"));
    auto map = std::make_unique<SparseExtent>(owner, file, l, h);
    map->set_directory(std::move(directory));
    map->from_footer_ = from_footer;
    if ((h.flags & redundant_tables) && h.redundant) {
        CO_TRY(map->redundant_, co_await read_directory(h.redundant, "redundant grain directory"));
    }
    co_return map;
}

Result<void> SparseExtent::check_writable() const {
    // New grains would lie behind the footer, where nobody finds it.
    if (from_footer_)
        return Error::permission(
            "'{}' is a finished stream (its directory is at its end), which can only be opened read-only",
            file_.filename());
    // Version 3 of plain extents tracks changes in ways that the technical note does not tell.
    if (h_.version == 3 && !is_compressed())
        return Error::permission("'{}' is a sparse extent of version 3, which can only be opened read-only",
                                 file_.filename());
    return {};
}

Block SparseExtent::decode(u64 e) const {
    if (e == 0) return {};
    if (e == zeroed_entry && (h_.flags & zeroed_grains)) return {Block::zero, 0};
    return {is_compressed() ? Block::packed : Block::data, e * sector};
}

std::optional<u64> SparseExtent::zero_entry(u64) const {
    if (!(h_.flags & zeroed_grains)) return std::nullopt;
    return zeroed_entry;
}

Task<Result<void>> SparseExtent::write_page(u64 page, u64 place, u64 offset, std::span<const u8> bytes) {
    if (page < redundant_.size() && redundant_[page])
        CO_CHECK(co_await write_part(file_, redundant_[page] * sector + offset, bytes));
    co_return co_await write_part(file_, place + offset, bytes);
}

Task<Result<void>> SparseExtent::write_directory(u64 first, std::span<const u64> words) {
    std::vector<u8> raw(words.size() * 4), copy(words.size() * 4);
    for (size_t i = 0; i < words.size(); i++) {
        put_le32(&raw[i * 4], u32(words[i]));
        if (first + i >= redundant_.size()) continue;
        u64& second = redundant_[first + i];
        if (!second && words[i]) {
            // The second copy of a table that is new.
            u64 bytes = l_.page_entries * 4;
            CO_TRY(auto table, co_await read_part(file_, words[i] * sector, bytes, "grain table"));
            u64 place = end_;
            end_ = round_up(place + bytes, l_.alignment);
            CO_CHECK(co_await write_part(file_, place, table));
            second = place / sector;
        }
        put_le32(&copy[i * 4], u32(second));
    }
    if (!redundant_.empty()) {
        CO_CHECK(co_await file_.flush());
        CO_CHECK(co_await write_part(file_, h_.redundant * sector + first * 4, copy));
    }
    co_return co_await write_part(file_, h_.directory * sector + first * 4, raw);
}

Task<Result<void>> SparseExtent::unpack(u64 block, u64 entry, std::span<u8> out) {
    u64 place = entry * sector, room = compressBound(uLong(out.size())) + sector;
    auto bad = [&](std::string_view why) {
        return Error::corrupt("grain {} of '{}' at {:#x}: {}", block, file_.filename(), place, why);
    };
    u64 skip = h_.flags & markers ? marker_bytes : 4;
    CO_TRY(auto head, co_await read_part(file_, place, skip, "marker of a grain"));
    u64 length = le32(&head[skip - 4]);
    if (length == 0 || length > room) co_return bad("its packed length is not possible");
    if (skip == marker_bytes && le64(&head[0]) != block * h_.grain) co_return bad("its marker is another grain's");
    CO_TRY(auto packed, co_await read_part(file_, place + skip, length, "packed grain"));
    // The disk's last grain may be stored short.
    uLongf got = uLongf(out.size());
    int r = co_await owner_.loop().compute().run(
        owner_.loop(), [&] { return uncompress(out.data(), &got, packed.data(), uLong(length)); });
    u64 expected = std::min<u64>(out.size(), l_.size - block * l_.block_size);
    if (r != Z_OK || got < expected) co_return bad("it could not be unpacked");
    std::fill(out.begin() + long(got), out.end(), u8(0));
    co_return Result<void>();
}

Task<Result<void>> SparseExtent::write_packed(u64 block, std::span<const u8> bytes) {
    std::vector<u8> whole(l_.block_size), packed(marker_bytes + compressBound(uLong(l_.block_size)));
    std::ranges::copy(bytes, whole.begin());
    uLongf length = uLongf(packed.size() - marker_bytes);
    int r = co_await owner_.loop().compute().run(owner_.loop(), [&] {
        return compress2(packed.data() + marker_bytes, &length, whole.data(), uLong(whole.size()),
                         Z_DEFAULT_COMPRESSION);
    });
    if (r != Z_OK) co_return Error::out_of_memory("packing a grain of '{}'", file_.filename());
    put_le64(packed.data(), block * h_.grain);
    put_le32(packed.data() + 8, u32(length));
    packed.resize(round_up(marker_bytes + length, sector));
    std::fill(packed.begin() + long(marker_bytes + length), packed.end(), u8(0));
    u64 place = end_;
    if (place > l_.last_place) co_return Error::no_space("'{}': its tables can't name more space", file_.filename());
    end_ = place + packed.size();
    CO_CHECK(co_await write_part(file_, place, packed));
    co_return co_await set_entry(block, place / sector);
}

Task<Result<void>> SparseExtent::change_packed(u64 offset, const IoVec& memory) {
    auto lock = co_await packing_.lock();
    std::vector<u8> whole(l_.block_size);
    for (u64 done = 0; done < memory.length();) {
        u64 at = offset + done, start = round_down(at, l_.block_size);
        u64 n = std::min(memory.length() - done, start + l_.block_size - at);
        IoVec all{std::span<u8>(whole)};
        if (n < l_.block_size) CO_CHECK(co_await read(start, all));
        memory.copy_to(done, &whole[at - start], n);
        CO_CHECK(co_await write_packed(start / l_.block_size, whole));
        done += n;
    }
    co_return Result<void>();
}

Header new_header(u64 sectors, bool with_descriptor, bool stream, bool zeroed) {
    Header h;
    h.version = stream ? 3 : zeroed ? 2 : 1;
    h.capacity = sectors;
    if (zeroed) h.flags |= zeroed_grains;
    if (stream) {
        h.flags |= compressed | markers;
        h.compression = 1;
    }
    if (with_descriptor) {
        h.descriptor = 1;
        h.descriptor_size = 20;
    }
    u64 directory = div_up(h.tables() * 4, sector), tables = h.tables() * div_up(h.table_entries * 4, sector);
    h.redundant = 1 + h.descriptor_size;
    h.directory = h.redundant + directory + tables;
    h.overhead = round_up(h.directory + directory + tables, h.grain);
    return h;
}

Task<Result<void>> write_sparse(Node& file, Header h, const std::string& descriptor) {
    u64 per_table = div_up(h.table_entries * 4, sector);
    // All tables are there from the start, empty.
    CO_CHECK(co_await file.truncate(h.overhead * sector));
    for (u64 at : {h.redundant, h.directory}) {
        std::vector<u8> words(h.tables() * 4);
        u64 first = at + div_up(h.tables() * 4, sector);
        for (u64 i = 0; i < h.tables(); i++) put_le32(&words[i * 4], u32(first + i * per_table));
        if (!words.empty()) CO_CHECK(co_await write_part(file, at * sector, words));
    }
    if (h.descriptor) {
        if (descriptor.size() > h.descriptor_size * sector)
            co_return Error::invalid_argument(
                "the descriptor has {} bytes, expected at most {}: the parent's name is too "
                "long",
                descriptor.size(), h.descriptor_size * sector);
        std::vector<u8> text(descriptor.begin(), descriptor.end());
        CO_CHECK(co_await write_part(file, h.descriptor * sector, text));
    }
    std::vector<u8> bytes = print_header(h);
    co_return co_await write_part(file, 0, bytes);
}

} // namespace mimic::block::vmdk
