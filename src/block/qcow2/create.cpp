// Creating images, measuring what they will need, and the driver's descriptor.
#include "block/qcow2/image.hpp"
#include <algorithm>
#include <bit>

namespace mimic::block::qcow2 {

Task<Result<NodePtr>> open_image(Context& context, OpenArguments& a);
void describe_amend_options(OptionVisitor& v);

namespace {

constexpr std::string_view compat_names[] = {"0.10", "1.1", "v2", "v3"};

struct CreateOptions {
    std::optional<u64> size, cluster_size, refcount_bits, extent_size_hint;
    std::optional<std::string> backing_file, backing_format, data_file;
    EncryptOptions encrypt;
    std::optional<bool> lazy_refcounts, extended_l2, data_file_raw, nocow, encryption;
    std::optional<u8> compat, compression_type, preallocation;
    void describe(OptionVisitor& v) {
        encrypt.describe(v);
        v.size("cluster_size", cluster_size, "qcow2 cluster size");
        v.boolean("extended_l2", extended_l2, "Extended L2 tables");
        v.choice("preallocation", prealloc_names, preallocation,
                 "Preallocation mode (allowed values: off, metadata, falloc, full)");
        v.choice("compression_type", compression_names, compression_type,
                 "Compression method used for image cluster compression");
        v.size("size", size, "Virtual disk size");
        v.string("backing_file", backing_file, "File name of a base image");
        v.string("backing_fmt", backing_format, "Image format of the base image");
        v.string("data_file", data_file, "File name of an external data file");
        v.boolean("data_file_raw", data_file_raw, "The external data file must stay valid as a raw image");
        v.choice("compat", compat_names, compat, "Compatibility level (v2 [0.10] or v3 [1.1])");
        v.boolean("lazy_refcounts", lazy_refcounts, "Postpone refcount updates");
        v.number("refcount_bits", refcount_bits, "Width of a reference count entry in bits");
        v.boolean("encryption", encryption, "Encrypt the image with format 'aes' (deprecated for encrypt.format=aes)");
        v.size("extent_size_hint", extent_size_hint, "Extent size hint for the image file, 0 to disable");
        v.boolean("nocow", nocow, "Turn off copy-on-write (valid only on btrfs)");
    }
    bool is_v2() const { return compat && (*compat == 0 || *compat == 2); }
    // What will be used where nothing was said.
    void fill() {
        if (encryption.value_or(false) && !encrypt.format) encrypt.format = 0;
        encryption.reset();
        if (!cluster_size) cluster_size = 65536;
        if (!extended_l2) extended_l2 = false;
        if (!compression_type) compression_type = 0;
        if (!lazy_refcounts) lazy_refcounts = false;
        if (!refcount_bits) refcount_bits = 16;
    }
};

Result<void> check_encryption(const CreateOptions& o) {
    const EncryptOptions& e = o.encrypt;
    if (!e.format && (e.any() || e.key_secret))
        return Error::invalid_argument("options of encryption need encrypt.format=luks or encrypt.format=aes");
    if (!e.format) return {};
    if (!e.key_secret) return Error::invalid_argument("Parameter 'encrypt.key-secret' is required for cipher");
    if (*e.format == 0 && e.any())
        return Error::invalid_argument("encrypt.format=aes has no options but encrypt.key-secret");
    if (o.data_file_raw.value_or(false))
        return Error::invalid_argument("data-file-raw and encryption cannot be used at the same time");
    return {};
}

Result<Header> make_header(const CreateOptions& o) {
    Header h;
    u64 cluster = *o.cluster_size;
    if (!std::has_single_bit(cluster) || cluster < (1u << min_cluster_bits) || cluster > (1u << max_cluster_bits))
        return Error::invalid_argument("Cluster size must be a power of two between 512 and 2048k (found {})", cluster);
    h.cluster_bits = u32(std::countr_zero(cluster));
    h.version = o.is_v2() ? 2 : 3;
    TRY(check_encryption(o));
    u64 bits = *o.refcount_bits;
    if (!std::has_single_bit(bits) || bits > 64)
        return Error::invalid_argument("Refcount width must be a power of two and may not exceed 64 bits (found {})",
                                       bits);
    h.refcount_order = u32(std::countr_zero(bits));
    if (h.version == 2 && bits != 16)
        return Error::invalid_argument("Different refcount widths than 16 bits require compatibility level 1.1 or "
                                       "above (use version=v3 or greater)");
    if (*o.lazy_refcounts) {
        if (h.version == 2)
            return Error::invalid_argument(
                "Lazy refcounts only supported with compatibility level 1.1 and above (use version=v3 or greater)");
        h.compatible |= compatible::lazy_refcounts;
    }
    if (*o.extended_l2) {
        if (h.version == 2)
            return Error::invalid_argument("Extended L2 entries are only supported with compatibility level 1.1 and "
                                           "above (use version=v3 or greater)");
        if (cluster < 16384)
            return Error::invalid_argument(
                "Extended L2 entries are only supported with cluster sizes of at least 16384 bytes");
        h.incompatible |= incompatible::extended_l2;
    }
    h.compression = Compression(*o.compression_type);
    if (h.compression != Compression::zlib) {
        if (h.version == 2)
            return Error::invalid_argument("Non-zlib compression type is only supported with compatibility level 1.1 "
                                           "and above (use version=v3 or greater)");
        h.incompatible |= incompatible::compression;
    }
    if (o.data_file) {
        if (h.version == 2)
            return Error::invalid_argument("External data files are only supported with compatibility level 1.1 and "
                                           "above (use version=v3 or greater)");
        h.incompatible |= incompatible::data_file;
        h.data_file = *o.data_file;
    }
    if (o.data_file_raw.value_or(false)) {
        if (!o.data_file) return Error::invalid_argument("data-file-raw requires data-file");
        if (o.backing_file)
            return Error::invalid_argument("Backing file and data-file-raw cannot be used at the same time");
        h.autoclear |= autoclear::data_file_raw;
    }
    if (o.backing_format && !o.backing_file)
        return Error::invalid_argument("Backing format cannot be used without backing file");
    if (o.backing_file) {
        if (o.backing_file->size() > max_backing_name)
            return Error::invalid_argument("Backing file name too long ({} bytes, expected at most {})",
                                           o.backing_file->size(), max_backing_name);
        h.backing_file = *o.backing_file;
        h.backing_format = o.backing_format.value_or("");
    }
    Prealloc p = Prealloc(o.preallocation.value_or(0));
    if (p != Prealloc::off && o.backing_file && !*o.extended_l2)
        return Error::invalid_argument(
            "Backing file and preallocation can only be used at the same time if extended_l2 is enabled");
    if (o.size.value_or(0) > u64(INT64_MAX) - cluster)
        return Error::invalid_argument("Image size {} must be less than 8 EiB", *o.size);
    h.size = o.size.value_or(0);
    if (h.l1_entries_for(h.size) * 8 > max_l1_bytes)
        return Error::invalid_argument("The image size is too large (try using a larger cluster size)");
    h.size = 0;
    return h;
}

Result<CreateOptions> read_options(Json& options) {
    CreateOptions o;
    OptionReader reader(options, "Block format 'qcow2'");
    o.describe(reader);
    TRY(reader.finish());
    if (o.size && *o.size <= u64(INT64_MAX)) o.size = round_up(*o.size, 512);
    o.fill();
    return o;
}

// The smallest image: header, refcount table and one block that covers the three.
Task<Result<void>> write_skeleton(Node& file, Header h) {
    u64 cluster = h.cluster_size();
    h.refcount_table_offset = cluster;
    h.refcount_table_clusters = 1;
    CO_TRY(auto head, serialize(h));
    std::vector<u8> bytes(cluster * 3);
    std::ranges::copy(head, bytes.begin());
    put64(&bytes[cluster], cluster * 2);
    for (u64 i = 0; i < 3; i++) set_count(&bytes[cluster * 2], i, h.refcount_order, 1);
    IoVec memory{std::span<u8>(bytes)};
    co_return co_await file.write(0, memory);
}

Task<Result<void>> fill_new(Context& context, const CreateArguments& a, const CreateOptions& o) {
    OpenRequest r;
    r.filename = a.file ? "" : a.filename;
    r.options = Json::object();
    if (a.file) r.options.set("file", a.file->options().node_name);
    r.format = "qcow2";
    r.writable = true;
    r.no_backing = true;
    r.cache = "unsafe";
    CO_TRY(NodePtr node, co_await open_node(context, std::move(r)));
    auto& image = static_cast<Qcow2&>(*node);
    Result<void> done = co_await image.set_up(o.size.value_or(0));
    if (done && o.encrypt.format) done = co_await image.set_up_encryption(o.encrypt);
    Prealloc prealloc = Prealloc(o.preallocation.value_or(0));
    // A file that is the disk holds each of its bytes in its place, so the tables may say so at once.
    if (prealloc == Prealloc::off && o.data_file_raw.value_or(false)) prealloc = Prealloc::metadata;
    if (done && prealloc != Prealloc::off) done = co_await image.preallocate(0, image.size(), prealloc);
    // A file that somebody lends stays open.
    std::shared_ptr<Edge> lender;
    if (a.file)
        if (auto edge = Edge::attach(a.file, nullptr, "creation", 0, perm::all)) lender = std::move(*edge);
    Result<void> closed = co_await node->close();
    co_return done ? closed : done;
}

Task<Result<void>> create(Context& context, CreateArguments& a) {
    CO_TRY(CreateOptions o, read_options(a.options));
    CO_TRY(Header header, make_header(o));
    if (header.cluster_size() * 8 < header.refcount_bits() * 4)
        co_return Error::invalid_argument("clusters are too small for the refcount width");
    u64 size = o.size.value_or(0);
    if (o.data_file) {
        std::string name = combine_path(a.filename, *o.data_file);
        Prealloc mode = Prealloc(o.preallocation.value_or(0));
        CO_CHECK(co_await create_protocol(context, name, size, mode == Prealloc::metadata ? Prealloc::off : mode));
    }
    NodePtr file = a.file;
    if (!file) {
        CO_CHECK(co_await create_protocol(context, a.filename, 0, Prealloc::off));
        NodeOptions common;
        common.cache_no_flush = true;
        CO_TRY(file, co_await open_protocol(context, a.filename, common));
    }
    Result<void> written;
    {
        CO_TRY(auto edge, Edge::attach(file, nullptr, "creation", perm::consistent_read | perm::write | perm::resize,
                                       perm::write_unchanged));
        if (a.file) written = co_await file->truncate(0);
        if (written) written = co_await write_skeleton(*file, header);
    }
    Result<void> closed;
    if (!a.file) closed = co_await file->close();
    CO_CHECK(written);
    CO_CHECK(closed);
    co_return co_await fill_new(context, a, o);
}

Result<std::string> print_create(Json options) {
    CreateOptions o = TRY(read_options(options));
    OptionPrinter printer;
    o.describe(printer);
    return printer.text;
}

// Clusters of tables for a full image: L1, L2, refcounts, header.
u64 metadata_clusters(const Header& h, u64 size, u64 luks) {
    u64 cluster = h.cluster_size(), data = div_up(size, cluster);
    u64 l2 = div_up(data, h.l2_entries()), l1 = div_up(std::max<u64>(l2, 1) * 8, cluster);
    u64 fixed = 1 + l1 + l2 + luks, blocks = 0, table = 0;
    for (;;) {
        u64 total = fixed + (h.external_data() ? 0 : data) + blocks + table;
        u64 need = div_up(total, h.refcounts_per_block()), clusters = div_up(need * 8, cluster);
        if (need == blocks && clusters == table) return fixed + blocks + table;
        blocks = need;
        table = clusters;
    }
}

Task<Result<u64>> allocated_data(Node& source, u64 cluster) {
    u64 sum = 0, counted_to = 0;
    for (u64 at = 0; at < source.size();) {
        CO_TRY(ChainExtent e, co_await status_above(source, nullptr, at, source.size() - at));
        u64 end = at + e.extent.length;
        if (e.extent.data && !e.extent.zero) {
            u64 from = std::max(round_down(at, cluster), counted_to), to = round_up(end, cluster);
            if (to > from) sum += to - from;
            counted_to = std::max(counted_to, to);
        }
        at = end;
    }
    co_return sum;
}

Task<Result<Measurement>> measure(Context&, Json options, Node* source, u64 size) {
    CO_TRY(CreateOptions o, read_options(options));
    if (source)
        size = source->size();
    else if (o.size)
        size = *o.size;
    o.size = size;
    CO_TRY(Header h, make_header(o));
    u64 cluster = h.cluster_size();
    u64 luks = 0;
    if (o.encrypt.format && *o.encrypt.format) { CO_TRY(luks, luks::Volume::room_for(o.encrypt)); }
    u64 tables = metadata_clusters(h, size, div_up(luks, cluster)) * cluster, full = round_up(size, cluster);
    Measurement m{.required = tables, .fully_allocated = tables + full};
    Prealloc mode = Prealloc(o.preallocation.value_or(0));
    if (mode == Prealloc::falloc || mode == Prealloc::full)
        m.required = m.fully_allocated;
    else if (source && !h.external_data()) {
        CO_TRY(u64 data, co_await allocated_data(*source, cluster));
        m.required += data;
    }
    m.has_bitmaps = h.version >= 3 && (!source || dynamic_cast<Qcow2*>(source));
    if (source && m.has_bitmaps) {
        u64 directory = 0;
        for (auto& b : source->bitmaps()) {
            if (b.in_use) continue;
            u64 parts = div_up(div_up(div_up(size, b.granularity), 8), cluster);
            m.bitmaps += parts * cluster + round_up(parts * 8, cluster);
            directory += round_up(24 + b.name.size(), 8);
        }
        m.bitmaps += round_up(directory, cluster);
    }
    if (!source) m.has_bitmaps = false;
    co_return m;
}

} // namespace

} // namespace mimic::block::qcow2

namespace mimic::block {

MIMIC_BLOCK_DRIVER(qcow2) = {
    .name = "qcow2",
    .supports_backing = true,
    .probe = [](std::span<const u8> head) { return qcow2::has_magic(head) ? 100 : 0; },
    .open = qcow2::open_image,
    .create = qcow2::create,
    .describe_create =
        [](OptionVisitor& v) {
            qcow2::CreateOptions o;
            o.describe(v);
        },
    .describe_amend = qcow2::describe_amend_options,
    .print_create = qcow2::print_create,
    .measure = qcow2::measure,
};

} // namespace mimic::block
