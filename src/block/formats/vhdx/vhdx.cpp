// Opening and creating vhdx disks; the order of their writes.
#include "block/formats/vhdx/vhdx.hpp"
#include "block/bytes.hpp"
#include <algorithm>
#include <bit>

namespace mimic::block {

namespace vhdx {

namespace {

constexpr std::string_view signature = "vhdxfile";
constexpr u64 place_mask = ~(MiB - 1), state_mask = 7;

class VhdxMap final : public BlockMap {
public:
    VhdxMap(Node& owner, Node& file, const Layout& l, Region bat, u64 ratio, const Header& h, unsigned slot)
        : BlockMap(owner, file, l)
        , bat_(bat)
        , ratio_(ratio)
        , header_(h)
        , slot_(slot)
        , changing_(owner.loop()) {}

    // Says in the header that the file, and what its disk shows, is no longer what it was.
    Task<Result<void>> begin() {
        auto lock = co_await changing_.lock();
        if (begun_) co_return Result<void>();
        make_uuid(header_.file_write.data());
        make_uuid(header_.data_write.data());
        CO_CHECK(co_await write_header());
        begun_ = true;
        co_return Result<void>();
    }
    Task<Result<void>> finish() {
        CO_CHECK(co_await flush());
        if (!header_.log_in_use()) co_return Result<void>();
        header_.log = {};
        co_return co_await write_header();
    }

protected:
    Block decode(u64 e) const override {
        switch (e & state_mask) {
        case fully_present: return {Block::data, e & place_mask};
        case zero: return {Block::zero, 0};
        case not_present:
        case undefined:
        case unmapped: return {};
        default: return {Block::data, UINT64_MAX}; // not in a disk without a parent
        }
    }
    u64 encode(u64 offset) const override { return offset | fully_present; }
    // A page is what one sector bitmap's entry follows.
    u64 page_place(u64 page) const override { return bat_.offset + page * (ratio_ + 1) * 8; }
    std::string_view table_name() const override { return "BAT"; }

    Task<Result<void>> before_pages() override {
        pending_.clear();
        if (header_.log_in_use()) co_return Result<void>();
        make_uuid(header_.log.data());
        co_return co_await write_header();
    }
    // Collects the sectors that the page lies in.
    Task<Result<void>> write_page(u64, u64 place, u64 offset, std::span<const u8> bytes) override {
        for (u64 done = 0; done < bytes.size();) {
            u64 at = place + offset + done, start = round_down(at, unit);
            u64 n = std::min<u64>(bytes.size() - done, start + unit - at);
            auto& sector = pending_[start];
            if (sector.empty()) { CO_TRY(sector, co_await read_part(file_, start, unit, "BAT")); }
            std::memcpy(&sector[at - start], &bytes[done], n);
            done += n;
        }
        co_return Result<void>();
    }
    Task<Result<void>> after_pages() override {
        u64 room = std::min<u64>(entry_room(header_.log_length), 4096);
        std::vector<LoggedSector> batch;
        for (auto at = pending_.begin(); at != pending_.end();) {
            batch.push_back({at->first, std::move(at->second)});
            if (++at != pending_.end() && batch.size() < room) continue;
            auto entry = make_entry(header_, ++log_sequence_, sure_end_, batch);
            CO_CHECK(co_await write_part(file_, header_.log_offset, entry));
            CO_CHECK(co_await file_.flush());
            for (auto& s : batch) CO_CHECK(co_await write_part(file_, s.offset, s.bytes));
            CO_CHECK(co_await file_.flush());
            batch.clear();
        }
        pending_.clear();
        co_return Result<void>();
    }

private:
    // Into the place of the older one, so that one is always whole.
    Task<Result<void>> write_header() {
        header_.sequence++;
        auto bytes = print_header(header_);
        CO_CHECK(co_await write_part(file_, header_places[1 - slot_], bytes));
        CO_CHECK(co_await file_.flush());
        slot_ = 1 - slot_;
        co_return Result<void>();
    }

    Region bat_;
    u64 ratio_;
    Header header_;
    unsigned slot_;
    bool begun_ = false;
    u64 log_sequence_ = 0;
    std::map<u64, std::vector<u8>> pending_;
    io::Mutex changing_;
};

class VhdxNode final : public MapNode {
public:
    using MapNode::MapNode;
    VhdxMap& own() const { return static_cast<VhdxMap&>(*map_); }

protected:
    Task<Result<void>> do_write(u64 offset, const IoVec& memory) override {
        CO_CHECK(co_await own().begin());
        co_return co_await map_->write(offset, memory);
    }
    Task<Result<void>> do_write_zeroes(u64 offset, u64 length, u32 flags) override {
        CO_CHECK(co_await own().begin());
        co_return co_await map_->write_zeroes(offset, length, flags);
    }
    Task<Result<void>> do_discard(u64 offset, u64 length) override {
        CO_CHECK(co_await own().begin());
        co_return co_await map_->discard(offset, length);
    }
    Task<Result<void>> do_close() override {
        if (options_.read_only || !map_ || !file()) co_return Result<void>();
        co_return co_await own().finish();
    }
    Task<Result<void>> do_reopen(bool read_only) override {
        if (read_only) co_return co_await own().finish();
        co_return co_await start_writing();
    }
};

struct Current {
    Header header;
    unsigned slot = 0;
};
Task<Result<Current>> read_header(Node& file) {
    std::optional<Current> best;
    for (unsigned i = 0; i < 2; i++) {
        CO_TRY(auto bytes, co_await read_part(file, header_places[i], unit, "vhdx header"));
        auto h = parse_header(bytes);
        if (h && (!best || h->sequence > best->header.sequence)) best = {*h, i};
    }
    if (!best) co_return Error::corrupt("No valid VHDX header found in '{}'", file.filename());
    const Header& h = best->header;
    if (h.version != 1 || h.log_version != 0)
        co_return Error::unsupported("vhdx header: version {} with log version {}, expected 1 and 0", h.version,
                                     h.log_version);
    if (h.log_offset < MiB || h.log_offset % MiB || h.log_length % MiB || h.log_length == 0 ||
        h.log_length > largest_log || h.log_offset > file.size() || h.log_length > file.size() - h.log_offset)
        co_return Error::corrupt(
            "vhdx header: the log at {:#x} has {:#x} bytes, expected multiples of 1 MiB, at most 64 MiB, "
            "in the file",
            h.log_offset, h.log_length);
    co_return *best;
}

Task<Result<void>> replay_log(Node& file, const OpenArguments& a, Current& current) {
    if (!current.header.log_in_use()) co_return Result<void>();
    if (a.common.read_only)
        co_return Error::permission("'{}' has a log that must be replayed, but is opened read-only; 'img check -r all' "
                                    "replays it",
                                    file.filename());
    CO_CHECK(co_await replay(file, current.header));
    current.header.log = {};
    current.header.sequence++;
    auto bytes = print_header(current.header);
    CO_CHECK(co_await write_part(file, header_places[1 - current.slot], bytes));
    current.slot = 1 - current.slot;
    co_return co_await file.flush();
}

Task<Result<NodePtr>> open_vhdx(Context& context, OpenArguments& a) {
    OptionReader reader(a.options, "Block format 'vhdx'");
    CO_CHECK(reader.finish());
    CO_TRY(auto head, co_await read_part(*a.file, 0, signature.size(), "vhdx file identifier"));
    if (!std::ranges::equal(head, signature)) co_return Error::invalid_argument("Image not in VHDX format");
    auto node = std::make_shared<VhdxNode>(context, *find_driver("vhdx"), a.common);
    CO_CHECK(attach_file(*node, a, a.file));
    CO_TRY(Current current, co_await read_header(*a.file));
    CO_CHECK(co_await replay_log(*a.file, a, current));
    Result<Regions> regions = Error::corrupt("there is no region table");
    for (u64 place : region_places) {
        CO_TRY(auto bytes, co_await read_part(*a.file, place, region_table_bytes, "vhdx region table"));
        regions = parse_regions(bytes);
        if (regions) break;
    }
    if (!regions) co_return std::move(regions).error();
    CO_TRY(Metadata m, co_await read_metadata(*a.file, regions->metadata));
    Region bat = regions->bat;
    if (bat.length / 8 < m.bat_entries() || bat.offset > a.file->size() ||
        m.bat_entries() * 8 > a.file->size() - bat.offset)
        co_return Error::corrupt("vhdx BAT at {:#x} with {:#x} bytes, expected {} entries in the file", bat.offset,
                                 bat.length, m.bat_entries());
    BlockMap::Layout l{.size = m.size, .block_size = m.block_size, .page_entries = m.chunk_ratio(), .entry_bytes = 8};
    l.alignment = MiB;
    l.first_block = MiB;
    l.preallocated = m.leave_allocated;
    node->set_map(std::make_unique<VhdxMap>(*node, *a.file, l, bat, m.chunk_ratio(), current.header, current.slot));
    if (!a.common.read_only) CO_CHECK(co_await node->start_writing());
    co_return NodePtr(node);
}

// ---- creation ---------------------------------------------------------------------------------------------------------

constexpr std::string_view subformats[] = {"dynamic", "fixed"};

struct CreateOptions {
    std::optional<u64> size, log_size, block_size;
    std::optional<u8> subformat;
    std::optional<bool> block_state_zero;
    void describe(OptionVisitor& v) {
        v.size("size", size, "Virtual disk size; max of 64TB.");
        v.size("log_size", log_size, "Log size; min 1MB.");
        v.size("block_size", block_size, "Block Size; min 1MB, max 256MB. 0 means auto-calculate based on image size.");
        v.choice("subformat", subformats, subformat,
                 "VHDX format type, can be either 'dynamic' or 'fixed'. Default is 'dynamic'.");
        v.boolean(
            "block_state_zero", block_state_zero,
            "Force use of payload blocks of type 'ZERO'. Non-standard, but default.  Do not set to 'off' when using "
            "'qemu-img convert' with subformat=dynamic.");
    }
    void fill() {
        if (!log_size) log_size = MiB;
        if (!block_size) block_size = 0;
    }
};

Result<Metadata> make_metadata(const CreateOptions& o) {
    Metadata m{.size = *o.size};
    u64 block = *o.block_size;
    constexpr u64 GiB = u64(1) << 30;
    if (block == 0)
        block = m.size > 32 * 1024 * GiB ? 64 * MiB : m.size > 100 * GiB ? 32 * MiB : m.size > GiB ? 16 * MiB : 8 * MiB;
    if (!std::has_single_bit(block) || block < MiB || block > 256 * MiB)
        return Error::invalid_argument("Block size {} must be a power of two from 1 MiB to 256 MiB", block);
    if (m.size > largest_disk) return Error::invalid_argument("Image size {} too large; max of 64TB", m.size);
    if (*o.log_size < MiB || *o.log_size > largest_log || *o.log_size % MiB)
        return Error::invalid_argument("Log size {} must be a multiple of 1 MiB, at most 64 MiB", *o.log_size);
    m.block_size = u32(block);
    m.leave_allocated = o.subformat.value_or(0) == 1;
    make_uuid(m.disk_id.data());
    return m;
}

// Entries of payload blocks: of a fixed disk they all have their place.
Task<Result<void>> write_bat(Node& file, const Metadata& m, Region bat, u64 first_block, bool zeros) {
    if (!m.leave_allocated && !zeros) co_return Result<void>();
    u64 ratio = m.chunk_ratio();
    std::vector<u8> page(ratio * 8);
    for (u64 block = 0; block < m.blocks(); block += ratio) {
        u64 n = std::min(ratio, m.blocks() - block);
        for (u64 i = 0; i < n; i++)
            put_le64(&page[i * 8],
                     m.leave_allocated ? (first_block + (block + i) * m.block_size) | fully_present : u64(zero));
        CO_CHECK(co_await write_part(file, bat.offset + block / ratio * (ratio + 1) * 8, std::span(page).first(n * 8)));
    }
    co_return Result<void>();
}

} // namespace

Task<Result<void>> create(Context& context, CreateArguments& a) {
    CO_TRY(auto o, read_create_options<CreateOptions>(a.options, "vhdx"));
    CO_TRY(Metadata m, make_metadata(o));
    Header h{.sequence = 1, .log_length = u32(*o.log_size), .log_offset = MiB};
    make_uuid(h.file_write.data());
    make_uuid(h.data_write.data());
    Regions r;
    r.metadata = {h.log_offset + h.log_length, MiB};
    r.bat = {r.metadata.offset + r.metadata.length, std::max<u64>(round_up(m.bat_entries() * 8, MiB), MiB)};
    u64 end = r.bat.offset + r.bat.length;
    co_return co_await create_file(context, a, a.filename, [&](Node& file) -> Task<Result<void>> {
        CO_CHECK(co_await file.truncate(end + (m.leave_allocated ? m.blocks() * m.block_size : 0)));
        CO_CHECK(co_await write_bat(file, m, r.bat, end, o.block_state_zero.value_or(true)));
        auto metadata = print_metadata(m), regions = print_regions(r);
        CO_CHECK(co_await write_part(file, r.metadata.offset, metadata));
        for (u64 place : region_places) CO_CHECK(co_await write_part(file, place, regions));
        for (u64 place : header_places) {
            auto header = print_header(h);
            CO_CHECK(co_await write_part(file, place, header));
            h.sequence++;
        }
        std::vector<u8> id(signature.begin(), signature.end());
        for (char c : std::string_view("Mimic")) id.insert(id.end(), {u8(c), 0}); // UTF-16
        co_return co_await write_part(file, 0, id);
    });
}

void describe_create(OptionVisitor& v) { describe_options<CreateOptions>(v); }
Result<std::string> print_create(Json options) {
    return print_create_options<CreateOptions>(std::move(options), "vhdx");
}

} // namespace vhdx

MIMIC_BLOCK_DRIVER(vhdx) = {
    .name = "vhdx",
    .probe =
        [](std::span<const u8> head) {
            return head.size() >= 8 && std::ranges::equal(head.first(8), vhdx::signature) ? 100 : 0;
        },
    .open = vhdx::open_vhdx,
    .create = vhdx::create,
    .describe_create = vhdx::describe_create,
    .print_create = vhdx::print_create,
};

} // namespace mimic::block
