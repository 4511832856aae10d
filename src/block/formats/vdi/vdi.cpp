// vdi: VirtualBox disk images, dynamic and static. Source: the header as VirtualBox's public format description gives it
// ("VDI" disk image header 1.1), checked against images of VirtualBox and Debian's qemu-img. Not there: differencing images
// and snapshots (a parent's UUID), undo images.
#include "block/bytes.hpp"
#include "block/formats/image.hpp"
#include <algorithm>
#include <bit>

namespace mimic::block {

namespace {

constexpr u32 signature = 0xbeda107f, version_1_1 = 0x00010001;
constexpr u32 type_dynamic = 1, type_static = 2;
constexpr u32 unallocated = 0xffffffff, discarded = 0xfffffffe;
constexpr u64 header_bytes = 512, default_block = 1u << 20, largest_block = 256u << 20;
constexpr u64 most_blocks = 32u << 20; // the map is read whole before the first write: 128 MiB
constexpr std::string_view banner = "<<< Mimic VM Virtual Disk Image >>>\n";
// Offsets of the header's fields.
constexpr size_t at_signature = 0x40, at_version = 0x44, at_header_size = 0x48, at_type = 0x4c, at_table = 0x154,
                 at_data = 0x158, at_sector = 0x168, at_disk_size = 0x170, at_block_size = 0x178, at_blocks = 0x180,
                 at_allocated = 0x184, at_uuid = 0x188, at_snapshot_uuid = 0x198, at_link_uuid = 0x1a8,
                 at_parent_uuid = 0x1b8;

struct CreateOptions {
    std::optional<u64> size;
    std::optional<bool> is_static;
    void describe(OptionVisitor& v) {
        v.size("size", size, "Virtual disk size");
        v.boolean("static", is_static, "VDI static (pre-allocated) image");
    }
    void fill() {
        if (!is_static) is_static = false;
    }
};

class VdiMap final : public BlockMap {
public:
    VdiMap(Node& owner, Node& file, const Layout& layout, u64 table, u64 data)
        : BlockMap(owner, file, layout)
        , table_(table)
        , data_(data) {}

    // Where blocks are appended is behind all that the table names, whatever the header's count says.
    Task<Result<void>> start_writing() override {
        CO_TRY(u64 end, co_await named_end());
        u64 used = end > data_ ? (end - data_) / l_.block_size : 0;
        set_end(data_ + used * l_.block_size);
        co_return Result<void>();
    }

protected:
    Block decode(u64 e) const override {
        if (e == unallocated) return {};
        if (e == discarded) return {Block::zero, 0};
        return {Block::data, data_ + e * l_.block_size};
    }
    u64 encode(u64 offset) const override { return (offset - data_) / l_.block_size; }
    u64 hole_entry() const override { return unallocated; }
    u64 page_place(u64 page) const override { return table_ + page * l_.page_entries * 4; }
    std::string_view table_name() const override { return "block map"; }
    Task<Result<void>> after_pages() override {
        u8 count[4];
        put_le32(count, u32((end_ - data_) / l_.block_size));
        co_return co_await write_part(file_, at_allocated, count);
    }

private:
    u64 table_, data_;
};

struct Header {
    u64 table, data, size, block_size, blocks;
    bool is_static;
};

Result<Header> parse(std::span<const u8> h, u64 file_size) {
    auto bad = [](std::string_view field, u64 value, std::string_view expected) {
        return Error::corrupt("vdi header: {} is {:#x}, expected {}", field, value, expected);
    };
    if (le32(&h[at_signature]) != signature)
        return Error::invalid_argument("Image not in VDI format (bad signature {:08x})", le32(&h[at_signature]));
    if (le32(&h[at_version]) != version_1_1)
        return Error::unsupported("unsupported VDI image (version {}.{}), expected 1.1", le32(&h[at_version]) >> 16,
                                  le32(&h[at_version]) & 0xffff);
    u32 type = le32(&h[at_type]);
    if (type != type_dynamic && type != type_static)
        return Error::unsupported("unsupported VDI image (type {}), expected 1 (dynamic) or 2 (static)", type);
    if (le32(&h[at_sector]) != 512) return bad("the sector size", le32(&h[at_sector]), "512");
    for (size_t uuid : {at_link_uuid, at_parent_uuid})
        if (std::ranges::any_of(h.subspan(uuid, 16), [](u8 b) { return b != 0; }))
            return Error::unsupported("unsupported VDI image (non-NULL {} UUID): differencing images are not supported",
                                      uuid == at_link_uuid ? "link" : "parent");
    Header o{le32(&h[at_table]),      le32(&h[at_data]),   le64(&h[at_disk_size]),
             le32(&h[at_block_size]), le32(&h[at_blocks]), type == type_static};
    if (!std::has_single_bit(o.block_size) || o.block_size < 512 || o.block_size > largest_block)
        return bad("the block size", o.block_size, "a power of two from 512 to 256 MiB");
    if (o.size > u64(INT64_MAX) - o.block_size) return bad("the disk size", o.size, "less than 8 EiB");
    if (o.blocks < div_up(o.size, o.block_size) || o.blocks > most_blocks)
        return bad("the number of blocks", o.blocks, "what the disk size needs, and at most 32 Mi");
    if (o.table < header_bytes || o.table % 512) return bad("the block map's offset", o.table, "a sector behind it");
    if (o.table > file_size || o.blocks * 4 > file_size - o.table)
        return bad("the number of blocks", o.blocks, "a block map that lies in the file");
    if (o.data < o.table + o.blocks * 4 || o.data % 512)
        return bad("the data's offset", o.data, "a sector behind the block map");
    return o;
}

Task<Result<NodePtr>> open_vdi(Context& context, OpenArguments& a) {
    OptionReader reader(a.options, "Block format 'vdi'");
    CO_CHECK(reader.finish());
    CO_TRY(auto bytes, co_await read_part(*a.file, 0, header_bytes, "vdi header"));
    CO_TRY(Header h, parse(bytes, a.file->size()));
    auto node = std::make_shared<MapNode>(context, *find_driver("vdi"), a.common);
    CO_CHECK(attach_file(*node, a, a.file));
    BlockMap::Layout layout{.size = h.size, .block_size = h.block_size, .page_entries = 4096};
    layout.alignment = 1; // blocks follow each other from h.data on
    layout.first_block = h.data;
    layout.preallocated = h.is_static;
    layout.last_place = h.data + (h.blocks + 1) * h.block_size;
    auto map = std::make_unique<VdiMap>(*node, *a.file, layout, h.table, h.data);
    node->set_map(std::move(map));
    if (!a.common.read_only) CO_CHECK(co_await node->start_writing());
    co_return NodePtr(node);
}

Task<Result<void>> create_vdi(Context& context, CreateArguments& a) {
    CO_TRY(auto o, read_create_options<CreateOptions>(a.options, "vdi"));
    u64 blocks = div_up(*o.size, default_block);
    if (blocks > most_blocks)
        co_return Error::unsupported("Unsupported VDI image size (size is {:#x}, max supported is {:#x})", *o.size,
                                     most_blocks * default_block);
    u64 table = round_up(blocks * 4, 512), data = header_bytes + table;
    std::vector<u8> h(header_bytes);
    std::ranges::copy(banner, h.begin());
    put_le32(&h[at_signature], signature);
    put_le32(&h[at_version], version_1_1);
    put_le32(&h[at_header_size], 0x180);
    put_le32(&h[at_type], *o.is_static ? type_static : type_dynamic);
    put_le32(&h[at_table], u32(header_bytes));
    put_le32(&h[at_data], u32(data));
    put_le32(&h[at_sector], 512);
    put_le64(&h[at_disk_size], *o.size);
    put_le32(&h[at_block_size], u32(default_block));
    put_le32(&h[at_blocks], u32(blocks));
    put_le32(&h[at_allocated], *o.is_static ? u32(blocks) : 0);
    make_uuid(&h[at_uuid]);
    make_uuid(&h[at_snapshot_uuid]);
    bool whole = *o.is_static;
    co_return co_await create_file(context, a, a.filename, [&](Node& file) -> Task<Result<void>> {
        CO_CHECK(co_await write_part(file, 0, h));
        // Written in pieces: the map of a large disk has many entries.
        constexpr u64 step = 1u << 18;
        std::vector<u8> entries(std::min(table, step));
        for (u64 at = 0; at < table; at += step) {
            u64 n = std::min(step, table - at);
            std::fill(entries.begin(), entries.end(), u8(0));
            for (u64 i = 0; i < n / 4 && at / 4 + i < blocks; i++)
                put_le32(&entries[i * 4], whole ? u32(at / 4 + i) : unallocated);
            CO_CHECK(co_await write_part(file, header_bytes + at, std::span(entries).first(n)));
        }
        if (whole) co_return co_await file.truncate(data + blocks * default_block);
        co_return Result<void>();
    });
}

int probe(std::span<const u8> head) { return head.size() >= 0x44 && le32(&head[at_signature]) == signature ? 100 : 0; }

} // namespace

MIMIC_BLOCK_DRIVER(vdi) = {
    .name = "vdi",
    .probe = probe,
    .open = open_vdi,
    .create = create_vdi,
    .describe_create = describe_options<CreateOptions>,
    .print_create = [](Json o) { return print_create_options<CreateOptions>(std::move(o), "vdi"); },
};

} // namespace mimic::block
