// vpc: Virtual PC and Hyper-V disks (VHD), fixed and dynamic. Source: Microsoft, "Virtual Hard Disk Image Format
// Specification", version 1.0. Not there: differencing disks.
#include "block/bytes.hpp"
#include "block/formats/image.hpp"
#include <algorithm>
#include <bit>
#include <ctime>

namespace mimic::block {

namespace {

constexpr u64 sector = 512, footer_bytes = 512, header_bytes = 1024;
constexpr u32 type_fixed = 2, type_dynamic = 3, type_differencing = 4;
constexpr u32 unused = 0xffffffff;
constexpr u64 default_block = 2u << 20, largest_block = 256u << 20;
constexpr u64 largest_disk = u64(2040) << 30;
constexpr u64 largest_geometry = u64(65535) * 16 * 255; // sectors
constexpr i64 epoch_2000 = 946684800;
constexpr std::string_view cookie = "conectix", header_cookie = "cxsparse";

// Offsets of the footer's fields.
namespace footer {
constexpr size_t features = 8, version = 12, data_offset = 16, time = 24, creator = 28, creator_version = 32, host = 36,
                 original_size = 40, current_size = 48, cylinders = 56, heads = 58, sectors = 59, type = 60,
                 checksum = 64, uuid = 68;
}
// Offsets of the dynamic disk header's fields.
namespace dynamic {
constexpr size_t data_offset = 8, table = 16, version = 24, entries = 28, block_size = 32, checksum = 36;
}

constexpr std::string_view subformats[] = {"dynamic", "fixed"};
constexpr std::string_view size_modes[] = {"auto", "current_size", "chs"};

struct CreateOptions {
    std::optional<u64> size;
    std::optional<u8> subformat;
    std::optional<bool> force_size;
    void describe(OptionVisitor& v) {
        v.size("size", size, "Virtual disk size");
        v.choice("subformat", subformats, subformat,
                 "Type of virtual hard disk format. Supported formats are {dynamic (default) | fixed} ");
        v.boolean(
            "force_size", force_size,
            "Force disk size calculation to use the actual size specified, rather than using the nearest CHS-based "
            "calculation");
    }
    void fill() {}
};

struct Geometry {
    u16 cylinders;
    u8 heads, sectors;
    u64 product() const { return u64(cylinders) * heads * sectors; }
};

// The specification's appendix "CHS Calculation".
Geometry geometry_of(u64 total) {
    total = std::min(total, largest_geometry);
    u64 per_track, heads, tracks;
    if (total >= u64(65535) * 16 * 63) {
        per_track = 255;
        heads = 16;
        tracks = total / per_track;
    } else {
        per_track = 17;
        tracks = total / per_track;
        heads = std::max<u64>((tracks + 1023) / 1024, 4);
        if (tracks >= heads * 1024 || heads > 16) {
            per_track = 31;
            heads = 16;
            tracks = total / per_track;
        }
        if (tracks >= heads * 1024) {
            per_track = 63;
            heads = 16;
            tracks = total / per_track;
        }
    }
    return {u16(tracks / heads), u8(heads), u8(per_track)};
}

// Of 512 or 1024 bytes; the field itself does not count.
u32 checksum_of(std::span<const u8> bytes, size_t field) {
    u32 sum = 0;
    for (size_t i = 0; i < bytes.size(); i++)
        if (i < field || i >= field + 4) sum += bytes[i];
    return ~sum;
}

bool has_cookie(std::span<const u8> head) { return head.size() >= 8 && std::ranges::equal(head.first(8), cookie); }

class VpcMap final : public BlockMap {
public:
    VpcMap(Node& owner, Node& file, const Layout& layout, u64 table, std::vector<u8> footer)
        : BlockMap(owner, file, layout)
        , table_(table)
        , bitmap_(bitmap_bytes(layout.block_size))
        , footer_(std::move(footer))
        , tail_(owner.loop()) {}

    static u64 bitmap_bytes(u64 block_size) { return round_up(div_up(block_size / sector, 8), sector); }

    // The footer lies behind the last block, and makes room for the next.
    Task<Result<void>> start_writing() override {
        u64 size = round_up(file_.size(), sector);
        std::vector<u8> last(footer_bytes);
        IoVec memory{std::span<u8>(last)};
        CO_CHECK(co_await file_.read(size - footer_bytes, memory));
        bool there = has_cookie(last) && size - footer_bytes >= l_.first_block - bitmap_;
        CO_TRY(u64 named, co_await named_end());
        there = there && named <= size - footer_bytes;
        set_end(there ? size - footer_bytes : std::max(size, named));
        if (!there) CO_CHECK(co_await write_part(file_, end_, footer_));
        co_return Result<void>();
    }

protected:
    // An entry names the bitmap that lies in front of the data. All bits are set when a block is made; those of disks without
    // a parent say no more than that their sectors may be skipped.
    Block decode(u64 e) const override {
        if (e == unused) return {};
        return {Block::data, e * sector + bitmap_};
    }
    u64 encode(u64 offset) const override { return (offset - bitmap_) / sector; }
    u64 hole_entry() const override { return unused; }
    u64 page_place(u64 page) const override { return table_ + page * l_.page_entries * 4; }
    std::string_view table_name() const override { return "block allocation table"; }
    // A footer and a new block's bitmap want the same place: one after the other.
    Task<Result<u64>> allocate(u64) override {
        auto lock = co_await tail_.lock();
        u64 place = end_ + bitmap_;
        if (place > l_.last_place) co_return Error::no_space("'{}': its table can't name more space", file_.filename());
        end_ = round_up(place + l_.block_size, sector);
        std::vector<u8> bits(bitmap_, 0xff);
        Result<void> r = co_await write_part(file_, place - bitmap_, bits);
        if (!r) {
            give_back(place - bitmap_, round_up(place + l_.block_size, sector));
            co_return std::move(r).error();
        }
        co_return place;
    }
    u64 in_front() const override { return bitmap_; }
    Task<Result<void>> before_pages() override {
        auto lock = co_await tail_.lock();
        co_return co_await write_part(file_, end_, footer_);
    }

private:
    u64 table_, bitmap_;
    std::vector<u8> footer_;
    io::Mutex tail_;
};

class FixedNode final : public Node {
public:
    FixedNode(Context& context, NodeOptions options, u64 size)
        : Node(context, *find_driver("vpc"), std::move(options))
        , size_(size) {}
    u64 size() const override { return size_; }
    bool has_zero_init() const override { return file()->has_zero_init(); }

protected:
    Task<Result<void>> do_read(u64 offset, const IoVec& memory) override { return file()->read(offset, memory); }
    Task<Result<void>> do_write(u64 offset, const IoVec& memory) override { return file()->write(offset, memory); }
    Task<Result<void>> do_write_zeroes(u64 offset, u64 length, u32 flags) override {
        return file()->write_zeroes(offset, length, flags);
    }
    Task<Result<void>> do_discard(u64 offset, u64 length) override { return file()->discard(offset, length); }
    Task<Result<Extent>> do_status(u64 offset, u64 length) override {
        CO_TRY(Extent e, co_await file()->status(offset, length));
        e.data = true;
        co_return e;
    }

private:
    u64 size_;
};

// Which of its two sizes a disk has depends on who made it: Virtual PC goes by the geometry, Hyper-V and others don't.
u64 disk_size(std::span<const u8> f, u8 mode) {
    Geometry g{get16(&f[footer::cylinders]), f[footer::heads], f[footer::sectors]};
    std::string_view creator(reinterpret_cast<const char*>(&f[footer::creator]), 4);
    bool exact = creator == "qem2" || creator == "win " || creator == "d2v " || creator == "cxs " ||
                 creator == std::string_view("tap\0", 4) || creator == std::string_view("CTXS", 4);
    if (mode) exact = mode == 1;
    if (exact || g.product() == largest_geometry || g.product() == 0) return get64(&f[footer::current_size]);
    return g.product() * sector;
}

Result<void> check_footer(std::span<const u8> f) {
    if (u32 sum = get32(&f[footer::checksum]); sum != checksum_of(f, footer::checksum))
        return Error::corrupt("vpc footer: the checksum is {:#x}, expected {:#x}", sum,
                              checksum_of(f, footer::checksum));
    u32 type = get32(&f[footer::type]);
    if (type == type_differencing)
        return Error::unsupported(
            "differencing VHD disks (with a parent) are not supported, expected fixed or dynamic");
    if (type != type_fixed && type != type_dynamic)
        return Error::corrupt("vpc footer: the disk type is {}, expected 2 (fixed) or 3 (dynamic)", type);
    return {};
}

Task<Result<NodePtr>> open_dynamic(Context& context, OpenArguments& a, std::vector<u8> f, u64 size) {
    u64 file_size = a.file->size(), at = get64(&f[footer::data_offset]);
    CO_TRY(auto h, co_await read_part(*a.file, at, header_bytes, "vpc dynamic disk header"));
    if (!std::ranges::equal(std::span(h).first(8), header_cookie))
        co_return Error::corrupt("vpc dynamic disk header at {:#x}: the cookie is not 'cxsparse'", at);
    if (get32(&h[dynamic::checksum]) != checksum_of(h, dynamic::checksum))
        co_return Error::corrupt("vpc dynamic disk header at {:#x}: the checksum is wrong", at);
    u64 table = get64(&h[dynamic::table]), block = get32(&h[dynamic::block_size]);
    u64 entries = get32(&h[dynamic::entries]);
    if (!std::has_single_bit(block) || block < sector || block > largest_block)
        co_return Error::corrupt(
            "vpc dynamic disk header: the block size is {:#x}, expected a power of two from 512 bytes "
            "to 256 MiB",
            block);
    if (entries < div_up(size, block))
        co_return Error::corrupt("vpc dynamic disk header: {} table entries, expected at least {}", entries,
                                 div_up(size, block));
    if (table % sector || table < header_bytes || table > file_size || entries * 4 > file_size - table)
        co_return Error::corrupt(
            "vpc dynamic disk header: the table at {:#x} with {} entries is not in the file ({} bytes)", table, entries,
            file_size);
    auto node = std::make_shared<MapNode>(context, *find_driver("vpc"), a.common);
    CO_CHECK(attach_file(*node, a, a.file));
    BlockMap::Layout layout{.size = size, .block_size = block, .page_entries = 1024, .big_endian = true};
    layout.in_a_row = false;
    layout.first_block = round_up(table + entries * 4, sector) + VpcMap::bitmap_bytes(block);
    layout.last_place = u64(unused - 1) * sector;
    auto map = std::make_unique<VpcMap>(*node, *a.file, layout, table, std::move(f));
    node->set_map(std::move(map));
    if (!a.common.read_only) CO_CHECK(co_await node->start_writing());
    co_return NodePtr(node);
}

Task<Result<NodePtr>> open_vpc(Context& context, OpenArguments& a) {
    std::optional<u8> mode;
    OptionReader reader(a.options, "Block format 'vpc'");
    reader.choice("force_size_calc", size_modes, mode, "auto, current_size or chs");
    CO_CHECK(reader.finish());
    u64 file_size = a.file->size();
    if (file_size < footer_bytes)
        co_return Error::corrupt("'{}' has {} bytes, expected a footer of 512", a.file->filename(), file_size);
    // A dynamic disk has a copy in front.
    CO_TRY(auto f, co_await read_part(*a.file, 0, footer_bytes, "vpc footer"));
    bool in_front = has_cookie(f);
    if (!in_front) {
        CO_TRY(f, co_await read_part(*a.file, file_size - footer_bytes, footer_bytes, "vpc footer"));
        if (!has_cookie(f))
            co_return Error::invalid_argument("invalid VPC image: no footer with the cookie 'conectix'");
    }
    CO_CHECK(check_footer(f));
    u64 size = disk_size(f, mode.value_or(0));
    if (size > largest_disk)
        co_return Error::corrupt("vpc footer: the disk has {} bytes, expected at most {}", size, largest_disk);
    if (get32(&f[footer::type]) == type_dynamic) co_return co_await open_dynamic(context, a, std::move(f), size);
    if (size > file_size - footer_bytes)
        co_return Error::corrupt(
            "vpc footer: the fixed disk has {} bytes, expected at most {} of the file before its footer", size,
            file_size - footer_bytes);
    auto node = std::make_shared<FixedNode>(context, a.common, size);
    CO_CHECK(attach_file(*node, a, a.file));
    co_return NodePtr(node);
}

std::vector<u8> make_footer(u64 sectors, Geometry g, bool fixed, bool exact) {
    std::vector<u8> f(footer_bytes);
    std::ranges::copy(cookie, f.begin());
    put32(&f[footer::features], 2); // reserved, always 1
    put32(&f[footer::version], 0x00010000);
    put64(&f[footer::data_offset], fixed ? UINT64_MAX : footer_bytes);
    put32(&f[footer::time], u32(std::time(nullptr) - epoch_2000));
    // The names by which this reader's and others' rules for sizes go.
    std::ranges::copy(exact ? std::string_view("qem2") : std::string_view("qemu"), &f[footer::creator]);
    put32(&f[footer::creator_version], 0x00050003);
    std::ranges::copy(std::string_view("Wi2k"), &f[footer::host]);
    put64(&f[footer::original_size], sectors * sector);
    put64(&f[footer::current_size], sectors * sector);
    put16(&f[footer::cylinders], g.cylinders);
    f[footer::heads] = g.heads;
    f[footer::sectors] = g.sectors;
    put32(&f[footer::type], fixed ? type_fixed : type_dynamic);
    make_uuid(&f[footer::uuid]);
    put32(&f[footer::checksum], checksum_of(f, footer::checksum));
    return f;
}

std::vector<u8> make_header(u64 table, u64 entries) {
    std::vector<u8> h(header_bytes);
    std::ranges::copy(header_cookie, h.begin());
    put64(&h[dynamic::data_offset], UINT64_MAX);
    put64(&h[dynamic::table], table);
    put32(&h[dynamic::version], 0x00010000);
    put32(&h[dynamic::entries], u32(entries));
    put32(&h[dynamic::block_size], u32(default_block));
    put32(&h[dynamic::checksum], checksum_of(h, dynamic::checksum));
    return h;
}

Task<Result<void>> create_vpc(Context& context, CreateArguments& a) {
    CO_TRY(auto o, read_create_options<CreateOptions>(a.options, "vpc"));
    u64 total = *o.size / sector;
    bool exact = o.force_size.value_or(false), fixed = o.subformat.value_or(0) == 1;
    Geometry g = geometry_of(total);
    if (exact) g = geometry_of(largest_geometry);
    // The next size that a geometry has.
    if (!exact && total < largest_geometry) {
        u64 n = total;
        while (g.product() < total) g = geometry_of(++n);
        total = g.product();
    }
    if (total * sector > largest_disk)
        co_return Error::invalid_argument(
            "The image size is too large for file format 'vpc' ({} bytes, expected at most {})", total * sector,
            largest_disk);
    std::vector<u8> f = make_footer(total, g, fixed, exact);
    co_return co_await create_file(context, a, a.filename, [&](Node& file) -> Task<Result<void>> {
        if (fixed) {
            CO_CHECK(co_await file.truncate(total * sector));
            co_return co_await write_part(file, total * sector, f);
        }
        u64 entries = div_up(total * sector, default_block), table = footer_bytes + header_bytes;
        std::vector<u8> bat(round_up(entries * 4, sector), 0xff), h = make_header(table, entries);
        CO_CHECK(co_await write_part(file, table, bat));
        CO_CHECK(co_await write_part(file, table + bat.size(), f));
        CO_CHECK(co_await write_part(file, footer_bytes, h));
        co_return co_await write_part(file, 0, f);
    });
}

} // namespace

MIMIC_BLOCK_DRIVER(vpc) = {
    .name = "vpc",
    .probe = [](std::span<const u8> head) { return has_cookie(head) ? 100 : 0; },
    .open = open_vpc,
    .create = create_vpc,
    .describe_create = describe_options<CreateOptions>,
    .print_create = [](Json o) { return print_create_options<CreateOptions>(std::move(o), "vpc"); },
};

} // namespace mimic::block
