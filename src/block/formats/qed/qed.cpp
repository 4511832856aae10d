// qed: clusters behind two levels of tables of one size, zero clusters, a backing image. Source: "QED Image File Format"
// specification (public, with the format's announcement). Not there: shrinking.
#include "block/bytes.hpp"
#include "block/formats/image.hpp"
#include <algorithm>
#include <bit>

namespace mimic::block {

namespace {

constexpr u32 magic = 0x00444551; // "QED\0"
constexpr u64 header_bytes = 64, zero_cluster = 1;
constexpr u64 smallest_cluster = 4096, largest_cluster = 64u << 20, largest_table = 16;
constexpr u64 longest_name = 1023, page_entries = 2048;
constexpr u64 most_tables = 4u << 20; // of the L1 table that is read: 32 MiB
namespace feature {
constexpr u64 backing_file = 1, need_check = 2, backing_is_raw = 4, all = 7;
}

struct Header {
    u64 cluster = 65536, table = 4, header = 1; // bytes; clusters; clusters
    u64 features = 0, compatible = 0, autoclear = 0, directory = 0, size = 0;
    u32 backing_offset = 0, backing_length = 0;
    u64 table_bytes() const { return table * cluster; }
    u64 table_entries() const { return table_bytes() / 8; }
    u64 tables() const { return div_up(div_up(size, cluster), table_entries()); }
    u64 largest_size() const {
        u64 entries = table_entries();
        return entries > u64(INT64_MAX) / entries / cluster ? u64(INT64_MAX) / 2 : entries * entries * cluster;
    }
};

struct CreateOptions {
    std::optional<u64> size, cluster_size, table_size;
    std::optional<std::string> backing_file, backing_format;
    void describe(OptionVisitor& v) {
        v.size("size", size, "Virtual disk size");
        v.string("backing_file", backing_file, "File name of a base image");
        v.string("backing_fmt", backing_format, "Image format of the base image");
        v.size("cluster_size", cluster_size, "Cluster size (in bytes)");
        v.size("table_size", table_size, "L1/L2 table size (in clusters)");
    }
    void fill() {
        if (!cluster_size) cluster_size = 65536;
    }
};

Result<void> check_sizes(const Header& h) {
    if (!std::has_single_bit(h.cluster) || h.cluster < smallest_cluster || h.cluster > largest_cluster)
        return Error::invalid_argument(
            "QED cluster size must be within range [4096, 67108864] and power of 2 (found {})", h.cluster);
    if (!std::has_single_bit(h.table) || h.table > largest_table)
        return Error::invalid_argument("QED table size must be within range [1, 16] and power of 2 (found {})",
                                       h.table);
    if (h.size > h.largest_size() || h.size % 512)
        return Error::invalid_argument(
            "QED image size must be a non-zero multiple of cluster size and less than {} bytes "
            "(found {})",
            h.largest_size(), h.size);
    return {};
}

std::vector<u8> print(const Header& h) {
    std::vector<u8> b(header_bytes);
    put_le32(&b[0], magic);
    put_le32(&b[4], u32(h.cluster));
    put_le32(&b[8], u32(h.table));
    put_le32(&b[12], u32(h.header));
    put_le64(&b[16], h.features);
    put_le64(&b[24], h.compatible);
    put_le64(&b[32], h.autoclear);
    put_le64(&b[40], h.directory);
    put_le64(&b[48], h.size);
    put_le32(&b[56], h.backing_offset);
    put_le32(&b[60], h.backing_length);
    return b;
}

Result<Header> parse(std::span<const u8> b) {
    if (le32(&b[0]) != magic) return Error::invalid_argument("Image not in QED format");
    Header h{.cluster = le32(&b[4]), .table = le32(&b[8]), .header = le32(&b[12])};
    h.features = le64(&b[16]);
    h.compatible = le64(&b[24]);
    h.autoclear = le64(&b[32]);
    h.directory = le64(&b[40]);
    h.size = le64(&b[48]);
    h.backing_offset = le32(&b[56]);
    h.backing_length = le32(&b[60]);
    if (h.features & ~feature::all)
        return Error::unsupported("Unsupported QED features: {:x}", h.features & ~feature::all);
    TRY(check_sizes(h));
    u64 own = h.header * h.cluster;
    if (h.header == 0 || h.header > (u64(1) << 20) || h.directory < own || h.directory % h.cluster)
        return Error::corrupt(
            "qed header: the L1 table is at {:#x}, expected a cluster behind the header of {} clusters", h.directory,
            h.header);
    if ((h.features & feature::backing_file) &&
        (h.backing_length > longest_name || u64(h.backing_offset) + h.backing_length > own))
        return Error::corrupt(
            "qed header: the backing file's name at {:#x} has {} bytes, expected at most {} in the header",
            h.backing_offset, h.backing_length, longest_name);
    return h;
}

class QedMap final : public BlockMap {
public:
    QedMap(Node& owner, Node& file, const Layout& l, const Header& h)
        : BlockMap(owner, file, l)
        , directory_place_(h.directory) {}

protected:
    Block decode(u64 e) const override {
        if (e == 0) return {};
        if (e == zero_cluster) return {Block::zero, 0};
        return {Block::data, e % l_.block_size ? UINT64_MAX : e};
    }
    u64 encode(u64 offset) const override { return offset; }
    std::optional<u64> zero_entry(u64) const override { return zero_cluster; }
    std::string_view table_name() const override { return "L2 table"; }
    Task<Result<void>> write_directory(u64 first, std::span<const u64> words) override {
        std::vector<u8> raw(words.size() * 8);
        for (size_t i = 0; i < words.size(); i++) put_le64(&raw[i * 8], words[i]);
        co_return co_await write_part(file_, directory_place_ + first * 8, raw);
    }

private:
    u64 directory_place_;
};

class QedNode final : public MapNode {
public:
    QedNode(Context& context, NodeOptions options, const Header& h)
        : MapNode(context, *find_driver("qed"), std::move(options))
        , h_(h) {}

    Task<Result<void>> start() {
        if (h_.tables() > most_tables || h_.tables() > file()->size() / 8)
            co_return Error::corrupt("the L1 table of '{}' needs {} entries, the file has {} bytes", filename(),
                                     h_.tables(), file()->size());
        CO_TRY(auto raw, co_await read_part(*file(), h_.directory, h_.tables() * 8, "L1 table"));
        std::vector<u64> directory(h_.tables());
        for (size_t i = 0; i < directory.size(); i++) directory[i] = le64(&raw[i * 8]);
        BlockMap::Layout l{.size = h_.size, .block_size = h_.cluster, .entry_bytes = 8};
        l.page_entries = std::min(page_entries, h_.table_entries());
        l.table_pages = h_.table_entries() / l.page_entries;
        l.two_levels = true;
        l.alignment = h_.cluster;
        l.first_block = h_.header * h_.cluster;
        l.holes_are_ours = false;
        auto map = std::make_unique<QedMap>(*this, *file(), l, h_);
        map->set_directory(std::move(directory));
        set_map(std::move(map));
        co_return Result<void>();
    }
    // Somebody who did not end well wrote it last; and features that we don't know no longer hold.
    Task<Result<void>> start_writing() override {
        CO_CHECK(co_await map_->start_writing());
        bool write = h_.autoclear != 0;
        h_.autoclear = 0;
        if (h_.features & feature::need_check) {
            CO_TRY(CheckReport report, co_await check(Fix::all));
            if (report.corruptions || report.check_errors)
                co_return Error::corrupt("'{}': could not repair the image that was not closed", filename());
            h_.features &= ~feature::need_check;
            write = true;
        }
        if (write) co_return co_await write_header();
        co_return Result<void>();
    }

    Task<Result<CheckReport>> check(Fix fix) override {
        CO_TRY(CheckReport report, co_await MapNode::check(fix));
        // Zero clusters have no place; what is in the file and in no table is a leak.
        u64 tables = u64(std::ranges::count_if(map_->directory(), [](u64 w) { return w != 0; }));
        u64 used = h_.header + (1 + tables) * h_.table;
        u64 in_file = div_up(file()->size(), h_.cluster);
        u64 data = map_->allocated_blocks();
        if (in_file > used + data) report.leaks = in_file - used - data;
        co_return report;
    }

    Task<Result<void>> set_backing_file(const std::string& name, const std::string& format) override {
        if (name.size() > longest_name || header_bytes + name.size() > h_.header * h_.cluster)
            co_return Error::invalid_argument("Backing file name too long ({} bytes)", name.size());
        h_.features &= ~(feature::backing_file | feature::backing_is_raw);
        if (!name.empty()) h_.features |= feature::backing_file | (format == "raw" ? feature::backing_is_raw : 0);
        h_.backing_offset = name.empty() ? 0 : u32(header_bytes);
        h_.backing_length = u32(name.size());
        std::vector<u8> text(name.begin(), name.end());
        if (!text.empty()) CO_CHECK(co_await write_part(*file(), header_bytes, text));
        set_backing_name(name, format == "raw" ? format : "");
        co_return co_await write_header();
    }

protected:
    Task<Result<void>> do_truncate(u64 size, Prealloc prealloc) override {
        if (prealloc != Prealloc::off)
            co_return Error::unsupported("Unsupported preallocation mode '{}'", prealloc_names[size_t(prealloc)]);
        if (size < h_.size) co_return Error::unsupported("Shrinking images is currently not supported");
        Header grown = h_;
        grown.size = size;
        CO_CHECK(check_sizes(grown));
        u64 old = h_.size;
        std::vector<u64> words;
        for (u64 i = h_.tables(); i < grown.tables(); i++) {
            CO_TRY(auto raw, co_await read_part(*file(), h_.directory + i * 8, 8, "L1 table"));
            words.push_back(le64(&raw[0]));
        }
        for (u64 w : words) map_->append_directory(w);
        map_->grow(size);
        Result<void> done;
        // A longer backing image must not show through.
        if (backing() && backing()->size() > old)
            done = co_await map_->write_zeroes(old, std::min(size, backing()->size()) - old, 0);
        if (done) done = co_await map_->flush();
        if (done) {
            std::swap(h_, grown);
            done = co_await write_header();
            if (!done) std::swap(h_, grown);
        }
        if (!done) map_->grow(old);
        co_return done;
    }

private:
    Task<Result<void>> write_header() {
        auto bytes = print(h_);
        CO_CHECK(co_await write_part(*file(), 0, bytes));
        co_return co_await file()->flush();
    }
    Header h_;
};

Task<Result<NodePtr>> open_qed(Context& context, OpenArguments& a) {
    BackingOption backing = take_backing(a.options);
    OptionReader reader(a.options, "Block format 'qed'");
    CO_CHECK(reader.finish());
    CO_TRY(auto bytes, co_await read_part(*a.file, 0, header_bytes, "qed header"));
    CO_TRY(Header h, parse(bytes));
    auto node = std::make_shared<QedNode>(context, a.common, h);
    CO_CHECK(attach_file(*node, a, a.file));
    CO_CHECK(co_await node->start());
    std::string name, format = h.features & feature::backing_is_raw ? "raw" : "";
    if (h.features & feature::backing_file) {
        CO_TRY(auto text, co_await read_part(*a.file, h.backing_offset, h.backing_length, "backing file name"));
        name.assign(text.begin(), text.end());
    }
    node->set_backing_name(name, format);
    if (!a.common.read_only && !a.no_io) CO_CHECK(co_await node->start_writing());
    CO_CHECK(co_await attach_backing(*node, a, std::move(backing), name, format));
    co_return NodePtr(node);
}

Task<Result<void>> create_qed(Context& context, CreateArguments& a) {
    CO_TRY(auto o, read_create_options<CreateOptions>(a.options, "qed"));
    Header h{.cluster = *o.cluster_size, .table = o.table_size.value_or(4), .size = *o.size};
    CO_CHECK(check_sizes(h));
    h.directory = h.cluster;
    std::string name = o.backing_file.value_or("");
    if (!name.empty()) {
        if (name.size() > longest_name)
            co_return Error::invalid_argument("Backing file name too long ({} bytes, expected at most {})", name.size(),
                                              longest_name);
        h.features = feature::backing_file | (o.backing_format.value_or("") == "raw" ? feature::backing_is_raw : 0);
        h.backing_offset = u32(header_bytes);
        h.backing_length = u32(name.size());
    }
    std::vector<u8> b = print(h);
    b.insert(b.end(), name.begin(), name.end());
    co_return co_await create_file(context, a, a.filename, [&](Node& file) -> Task<Result<void>> {
        CO_CHECK(co_await file.truncate(h.directory + h.table_bytes()));
        co_return co_await write_part(file, 0, b);
    });
}

} // namespace

MIMIC_BLOCK_DRIVER(qed) = {
    .name = "qed",
    .supports_backing = true,
    .probe = [](std::span<const u8> head) { return head.size() >= 4 && le32(&head[0]) == magic ? 100 : 0; },
    .open = open_qed,
    .create = create_qed,
    .describe_create = describe_options<CreateOptions>,
    .print_create = [](Json o) { return print_create_options<CreateOptions>(std::move(o), "qed"); },
};

} // namespace mimic::block
