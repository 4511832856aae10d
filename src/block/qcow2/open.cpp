// Opening a qcow2 image: its header, its tables, its children.
#include "block/formats/image.hpp"
#include "block/qcow2/image.hpp"
#include <algorithm>
#include <cerrno>

namespace mimic::block::qcow2 {

namespace {

constexpr u64 default_l2_cache = 32u << 20, default_refcount_cache = 4u << 20;
constexpr u64 most_cached_tables = 2048;

struct OpenOptions {
    std::optional<bool> lazy_refcounts, pass_discard_request, pass_discard_snapshot, pass_discard_other;
    std::optional<u64> cache_size, l2_cache_size, refcount_cache_size;
    std::optional<std::string> overlap_check, encryption, key_secret;
    void describe(OptionVisitor& v) {
        v.boolean("lazy-refcounts", lazy_refcounts, "Postpone refcount updates");
        v.boolean("pass-discard-request", pass_discard_request, "Pass guest discard requests to the layer below");
        v.boolean("pass-discard-snapshot", pass_discard_snapshot,
                  "Generate discard requests when snapshots are deleted");
        v.boolean("pass-discard-other", pass_discard_other, "Generate discard requests when other clusters are freed");
        v.size("cache-size", cache_size, "Maximum size of L2 tables and refcount blocks in memory");
        v.size("l2-cache-size", l2_cache_size, "Maximum size of L2 tables in memory");
        v.size("refcount-cache-size", refcount_cache_size, "Maximum size of refcount blocks in memory");
        v.string("encrypt.format", encryption, "How the image is encrypted: 'aes' or 'luks'");
        v.string("encrypt.key-secret", key_secret, "ID of the secret that provides the passphrase");
        v.string("overlap-check", overlap_check, "Which overlap checks to perform from a range of templates");
    }
};

u64 cache_limit(u64 wanted, u64 fallback, u64 table) {
    u64 limit = wanted ? wanted : fallback;
    return std::clamp(limit, table * 4, table * most_cached_tables);
}

Task<Result<Header>> read_header(Node& file) {
    std::vector<u8> bytes(std::min<u64>(file.size(), 512));
    IoVec first{std::span<u8>(bytes)};
    CO_CHECK(co_await file.read(0, first));
    CO_TRY(u64 cluster, parse_cluster_size(bytes));
    bytes.resize(std::min(file.size(), cluster));
    IoVec whole{std::span<u8>(bytes)};
    CO_CHECK(co_await file.read(0, whole));
    co_return parse(bytes);
}

Task<Result<NodePtr>> open_qcow2(Context& context, OpenArguments& a) {
    OpenOptions o;
    Json data_option = a.options.take("data-file");
    BackingOption backing_option = take_backing(a.options);
    OptionReader reader(a.options, "Block format 'qcow2'");
    o.describe(reader);
    CO_CHECK(reader.finish());
    CO_TRY(Header header, co_await read_header(*a.file));
    if (!a.common.read_only && (header.incompatible & incompatible::corrupt) && !a.repair)
        co_return Error(ErrorKind::corrupt, "qcow2: Image is corrupt; cannot be opened read/write", EACCES);
    u64 cluster = header.cluster_size();
    Options own;
    own.has_lazy = o.lazy_refcounts.has_value();
    own.lazy_refcounts = o.lazy_refcounts.value_or(false);
    own.encryption = o.encryption;
    own.key_secret = o.key_secret;
    u64 refcount_cache = o.refcount_cache_size.value_or(o.cache_size.value_or(0) / 4);
    own.l2_cache_size = cache_limit(o.l2_cache_size.value_or(o.cache_size.value_or(0) - o.cache_size.value_or(0) / 4),
                                    default_l2_cache, cluster);
    own.refcount_cache_size = cache_limit(refcount_cache, default_refcount_cache, cluster);

    std::string backing = header.backing_file, backing_format = header.backing_format, data_name = header.data_file;
    bool external = header.external_data();
    auto node = std::make_shared<Qcow2>(context, a.common, std::move(header), own);
    node->set_filename(a.file->filename());
    CO_CHECK(attach_file(*node, a, a.file));
    if (external && !a.no_io) {
        if (data_option.is_null() && data_name.empty())
            co_return Error::invalid_argument("'data-file' is required for this image");
        auto data = co_await open_below(context, a, std::move(data_option), data_name, "", !a.common.read_only, true);
        if (!data) co_return std::move(data).error().in("Could not open the external data file");
        CO_CHECK(attach_file(*node, a, *data, "data-file"));
    } else if (!external && !data_option.is_null()) {
        co_return Error::invalid_argument("'data-file' can only be set for images with an external data file");
    }
    CO_CHECK(co_await attach_backing(*node, a, std::move(backing_option), backing, backing_format));
    CO_CHECK(co_await node->start(a.no_io));
    co_return NodePtr(node);
}

} // namespace

Qcow2::Qcow2(Context& context, NodeOptions options, Header header, const Options& own)
    : Node(context, qcow2_driver, std::move(options))
    , header_(std::move(header))
    , own_(own)
    , shown_size_(header_.size)
    , l2_cache_(context.loop, header_.cluster_size(), own.l2_cache_size)
    , refcounts_(context.loop, header_, own.refcount_cache_size)
    , metadata_(context.loop)
    , flush_(context.loop)
    , ranges_(context.loop) {
    refcounts_.flush_lock = &flush_;
    refcounts_.write_blocks = [this]() -> Task<Result<void>> {
        CO_TRY(auto blocks, refcounts_.cache().take_dirty());
        CO_CHECK(co_await write_tables(blocks, refcounts_.cache(), true));
        co_return co_await write_tables(blocks, refcounts_.cache(), false);
    };
    refcounts_.write_header = [this]() -> Task<Result<void>> {
        Result<void> r = co_await write_header();
        header_dirty_ = !r;
        co_return r;
    };
    refcounts_.table_moved = [this] { header_dirty_ = true; };
    refcounts_.freed = [this](u64 cluster) {
        if (compressed_tail_ && cluster_of(compressed_tail_ - 1) == cluster) compressed_tail_ = 0;
    };
}

Task<Result<void>> Qcow2::start(bool no_io) {
    no_io_ = no_io;
    refcounts_.set_file(*file());
    u64 end = file()->size();
    if (header_.l1_entries && header_.l1_offset >= end)
        co_return Error::invalid_argument("Active L1 table at {:#x} is past the end of the file ({} bytes)",
                                          header_.l1_offset, end);
    if (header_.refcount_table_clusters && header_.refcount_table_offset >= end)
        co_return Error::invalid_argument("Reference count table at {:#x} is past the end of the file ({} bytes)",
                                          header_.refcount_table_offset, end);
    CO_CHECK(co_await start_encryption());
    CO_TRY(l1_, co_await load_l1(header_.l1_offset, header_.l1_entries));
    for (u64 e : l1_)
        if (e & entry_offset) l2_clusters_.insert(e & entry_offset);
    CO_CHECK(co_await refcounts_.load());
    CO_CHECK(co_await load_snapshots());
    CO_CHECK(co_await read_bitmap_directory());
    started_ = true;
    if (options_.read_only || no_io) co_return Result<void>();
    co_return co_await start_writing();
}

Task<Result<void>> Qcow2::do_reopen(bool read_only) {
    if (!read_only) {
        if (header_.incompatible & incompatible::corrupt)
            co_return Error(ErrorKind::corrupt, "qcow2: Image is corrupt; cannot be opened read/write", EACCES);
        co_return co_await start_writing();
    }
    Result<void> r = co_await do_close();
    started_ = true;
    co_return r;
}

Task<Result<void>> Qcow2::start_writing() {
    if (header_.autoclear & ~autoclear::all) {
        header_.autoclear &= autoclear::all;
        CO_CHECK(co_await write_header());
    }
    if (header_.incompatible & incompatible::dirty) {
        // Whoever wrote it last did not close it: the counts may be anything.
        CO_TRY(CheckReport report, co_await check(Fix::all));
        if (report.corruptions || report.check_errors)
            co_return Error(ErrorKind::corrupt, fmt::format("'{}': could not repair the dirty image", filename()), EIO);
    }
    co_return Result<void>();
}

ImageInfo Qcow2::info() const {
    ImageInfo i;
    i.cluster_size = header_.cluster_size();
    i.has_dirty_flag = true;
    i.dirty = header_.incompatible & incompatible::dirty;
    i.backing_file = header_.backing_file;
    i.backing_format = header_.backing_format;
    i.encrypted = header_.encrypted();
    Json data = Json::object();
    if (header_.version == 2) {
        data.set("compat", "0.10");
        data.set("compression-type", compression_names[size_t(header_.compression)]);
        data.set("refcount-bits", u64(header_.refcount_bits()));
        if (header_.encrypted()) data.set("encrypt", encryption_info());
    } else {
        data.set("compat", "1.1");
        data.set("compression-type", compression_names[size_t(header_.compression)]);
        data.set("lazy-refcounts", (header_.compatible & compatible::lazy_refcounts) != 0);
        if (!bitmaps_.empty()) {
            Json list = Json::array();
            for (auto& b : bitmaps_) {
                Json flags = Json::array();
                if (b.flags & Bitmap::in_use) flags.push("in-use");
                if (b.flags & Bitmap::automatic) flags.push("auto");
                Json one = Json::object();
                one.set("flags", std::move(flags));
                one.set("name", b.name);
                one.set("granularity", u64(1) << b.granularity_bits);
                list.push(std::move(one));
            }
            data.set("bitmaps", std::move(list));
        }
        data.set("refcount-bits", u64(header_.refcount_bits()));
        if (!header_.data_file.empty()) data.set("data-file", header_.data_file);
        if (header_.encrypted()) data.set("encrypt", encryption_info());
        if (header_.external_data()) data.set("data-file-raw", header_.raw_external());
        data.set("corrupt", (header_.incompatible & incompatible::corrupt) != 0);
        data.set("extended-l2", header_.extended_l2());
    }
    i.specific = Json::object();
    i.specific.set("type", "qcow2");
    i.specific.set("data", std::move(data));
    return i;
}

Task<Result<NodePtr>> open_image(Context& context, OpenArguments& a) { return open_qcow2(context, a); }

} // namespace mimic::block::qcow2
