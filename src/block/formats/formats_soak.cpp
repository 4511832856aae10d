// Power fails: random changes of an image in memory whose writes are logged; the log is cut at random places, what was not
// flushed below the format arrives in part, torn and out of order. The image must open, check without corruption, and show
// all that was flushed; other sectors show what they held or something that was written to them since. The same holds for its
// size, its snapshots (all there once they are made, whole, and gone once they are deleted), and its bitmaps: one that does not
// say that it was in use has all that was written.
//   formats_soak --seed N --count N     rounds; a round is every variant with 40 cuts
#include "block/driver.hpp"
#include "block/protocols/memory.hpp"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>
#include <unistd.h>

using namespace mimic;
using namespace mimic::block;

namespace {

constexpr u64 sector = 512, disk_size = 3u << 20;
constexpr u8 backing_byte = 0xbb;
constexpr unsigned operations = 60, cuts = 40, most_snapshots = 3;
constexpr const char* bitmap_name = "b";

// What is done beside writing.
enum Feature : u8 {
    backed = 1, // on a backing image, whose bytes must not be lost when a block is copied up
    external = 2,
    snapshots = 4,
    bitmaps = 8,
    grows = 16,
    shrinks = 32,
    repaired = 64, // a check with repair comes first: qcow2's version 2 can't say that snapshots were about to change
};
struct Variant {
    const char *format, *options;
    u8 features = 0;
    bool has(Feature f) const { return features & f; }
};
constexpr Variant variants[] = {
    {"vmdk", "subformat=monolithicSparse"},
    {"vmdk", "subformat=monolithicSparse,zeroed_grain=on"},
    {"vmdk", "subformat=streamOptimized"},
    {"vdi", "static=off"},
    {"vpc", "subformat=dynamic"},
    {"vhdx", "block_size=1M"},
    {"vhdx", "block_size=1M,block_state_zero=off"},
    {"qcow", ""},
    {"qed", "cluster_size=4096,table_size=1"},
    {"qcow2", "cluster_size=4096"},
    {"qcow2", "cluster_size=512,refcount_bits=1"},
    {"qcow2", "cluster_size=4096,lazy_refcounts=on,refcount_bits=8"},
    {"qcow2", "cluster_size=16k,extended_l2=on,refcount_bits=64"},
    {"qcow2", "cluster_size=4096,compat=0.10"},
    {"qcow2", "cluster_size=4096,preallocation=metadata,compression_type=zstd"},
    {"qcow2", "cluster_size=64k,encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=1"},
    {"qcow2", "cluster_size=4096,encrypt.format=aes,encrypt.key-secret=s,compat=0.10"},
    {"vmdk", "", backed},
    {"vmdk", "zeroed_grain=on", backed},
    {"qcow", "", backed},
    {"qed", "cluster_size=65536", backed},
    {"qcow2", "cluster_size=4096", backed},
    {"qcow2", "cluster_size=32k,extended_l2=on", backed},
    {"qcow2", "cluster_size=4096,encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=1", backed},
    {"qcow2", "cluster_size=4096", external},
    {"qcow2", "cluster_size=64k,data_file_raw=on", external},
    {"qcow2", "cluster_size=16k,extended_l2=on,lazy_refcounts=on", external},
    {"qcow2", "cluster_size=4096", snapshots},
    {"qcow2", "cluster_size=512,refcount_bits=4", snapshots},
    {"qcow2", "cluster_size=4096,lazy_refcounts=on,compression_type=zstd", snapshots | backed},
    {"qcow2", "cluster_size=16k,extended_l2=on", snapshots | bitmaps},
    {"qcow2", "cluster_size=4096,compat=0.10", snapshots | repaired},
    {"qcow2", "cluster_size=4096", bitmaps},
    {"qcow2", "cluster_size=512,refcount_bits=64", bitmaps | backed},
    {"qcow2", "cluster_size=4096", grows | shrinks},
    {"qcow2", "cluster_size=512", grows | shrinks | backed},
    {"qcow2", "cluster_size=16k,extended_l2=on,lazy_refcounts=on", grows | shrinks},
    {"qcow2", "cluster_size=4096", grows | shrinks | bitmaps},
    {"qcow2", "cluster_size=4096", grows | shrinks | snapshots},
    {"qcow2", "cluster_size=512,refcount_bits=8", grows | shrinks | snapshots | backed},
    {"qcow2", "cluster_size=4096", grows | shrinks | external},
    {"qed", "cluster_size=4096,table_size=1", grows},
};

using Log = std::vector<MemoryImage::Logged>;
using Images = std::vector<std::shared_ptr<MemoryImage>>; // the image, and its external data file if it has one

// A change of what the disk shows, or `sure`: all before it is on the disk. Its part of the log is [began, ended).
struct Operation {
    u64 offset = 0;
    std::vector<u8> bytes = {};
    u64 size = 0;       // of the disk from now on; 0: as it was
    bool sure = false;  // all that was done before lasts
    bool whole = false; // all of it or nothing
    size_t began = 0, ended = 0;
};
struct SavedSnapshot {
    std::string name;
    std::vector<u8> bytes;
    size_t began = 0, ended = 0, delete_began = SIZE_MAX, delete_ended = SIZE_MAX;
};
// A bitmap as it is stored when the image is closed: what it must have are changes of what the disk was when it was cleared.
struct StoredBitmap {
    std::vector<u8> since;
    size_t began = 0; // of the closing
};

class Round {
public:
    Round(io::Loop& loop, const Variant& v, u64 seed) : loop_(loop), v_(v), random_(seed) {}

    Task<Result<void>> run() {
        Images images{std::make_shared<MemoryImage>()};
        if (v_.has(external)) images.push_back(std::make_shared<MemoryImage>());
        CO_CHECK(co_await make(images));
        Images start;
        for (auto& i : images) start.push_back(std::make_shared<MemoryImage>(*i));
        log_ = std::make_shared<Log>();
        for (unsigned n = 0; n < images.size(); n++) {
            images[n]->log = log_;
            images[n]->number = n;
        }
        CO_CHECK(co_await change(images));
        std::vector<size_t> places(cuts);
        for (auto& p : places) p = random_() % (log_->size() + 1);
        std::ranges::sort(places);
        for (size_t place : places) {
            auto r = co_await cut(start, place);
            if (!r) co_return std::move(r).error().in(fmt::format("cut at {} of {}", place, log_->size()));
        }
        co_return Result<void>();
    }

private:
    u64 below(u64 n) { return random_() % n; }
    const Driver& driver() const { return *find_driver(v_.format); }

    Task<Result<void>> make(const Images& images) {
        Context context{.loop = loop_};
        NodePtr file = make_memory_node(context, images[0]);
        CO_TRY(Json options, parse_flat(v_.options));
        options.set("size", disk_size);
        context.secrets["s"] = "secret";
        // Creation wants a file of that name; what is written later goes to memory.
        std::string data = std::filesystem::temp_directory_path() / fmt::format("formats_soak-{}.data", getpid());
        if (v_.has(external)) {
            options.set("data_file", data);
            images[1]->size = disk_size;
        }
        CreateArguments a{"memory", std::move(options), file};
        Result<void> made = co_await driver().create(context, a);
        if (v_.has(external)) std::filesystem::remove(data);
        CO_CHECK(made);
        content_.assign(disk_size, v_.has(backed) ? backing_byte : 0);
        if (!v_.has(bitmaps)) co_return Result<void>();
        CO_TRY(NodePtr node, co_await open(context, images));
        CO_CHECK(co_await node->bitmap_add(bitmap_name, 4096, true, true));
        since_ = content_;
        stored_.push_back({since_, 0});
        co_return co_await node->close();
    }
    Task<Result<NodePtr>> open(Context& context, const Images& images, bool read_only = false) {
        OpenArguments a;
        a.common.discard = DiscardMode::unmap;
        a.common.read_only = read_only;
        a.options = Json::object();
        if (std::strstr(v_.options, "encrypt.")) { CO_TRY(a.options, parse_flat("encrypt.key-secret=s")); }
        context.secrets["s"] = "secret";
        a.no_backing = true;
        a.file = make_memory_node(context, images[0], read_only);
        NodePtr data; // until the node has it
        if (v_.has(external)) {
            data = make_memory_node(context, images[1], read_only);
            a.options.set("data-file", data->options().node_name);
        }
        CO_TRY(NodePtr node, co_await driver().open(context, a));
        if (v_.has(backed)) {
            auto under = std::make_shared<MemoryImage>();
            std::vector<u8> bytes(disk_size, backing_byte);
            IoVec memory{std::span<u8>(bytes)};
            under->write(0, memory);
            NodePtr base = make_memory_node(context, under, true);
            CO_CHECK(node->add_child(base, "backing", perm::consistent_read, perm::all));
        }
        co_return node;
    }

    // ---- changes ----

    Task<Result<void>> change(const Images& images) {
        std::unique_ptr<Context> context(new Context{.loop = loop_});
        CO_TRY(NodePtr node, co_await open(*context, images));
        content_.resize(node->size()); // the format may round it up
        initial_ = content_;
        for (number_ = 0; number_ < operations; number_++) {
            Operation o{.began = log_->size()};
            u64 what = below(24);
            if (what < 4) {
                CO_CHECK(co_await node->flush());
                o.sure = true;
            } else if (what == 4) {
                CO_CHECK(co_await close(*node));
                node.reset();
                context.reset(new Context{.loop = loop_});
                CO_TRY(node, co_await open(*context, images));
                o.sure = true;
            } else if (what < 7 && v_.has(snapshots)) {
                CO_CHECK(co_await snapshot(*node, o));
            } else if (what == 7 && v_.has(bitmaps)) {
                CO_CHECK(co_await node->bitmap_clear(bitmap_name));
                since_ = content_;
            } else if (what < 10 && v_.features & (grows | shrinks)) {
                CO_CHECK(co_await resize(*node, o));
            } else {
                CO_CHECK(co_await write(*node, o));
            }
            o.ended = log_->size();
            operations_.push_back(std::move(o));
        }
        co_return co_await close(*node);
    }
    Task<Result<void>> close(Node& node) {
        if (v_.has(bitmaps)) stored_.push_back({since_, log_->size()});
        co_return co_await node.close();
    }
    Task<Result<void>> write(Node& node, Operation& o) {
        u64 most = std::min<u64>(below(4) ? 16 : 400, content_.size() / sector);
        u64 count = 1 + below(most);
        o.offset = below(content_.size() / sector - count + 1) * sector;
        bool zeros = below(6) == 0;
        o.bytes.assign(count * sector, zeros ? 0 : u8(1 + below(255)));
        for (u64 at = 0; !zeros && at < o.bytes.size(); at += sector)
            std::memcpy(&o.bytes[at], &number_, sizeof number_);
        IoVec memory{std::span<u8>(o.bytes)};
        if (zeros)
            CO_CHECK(co_await node.write_zeroes(o.offset, o.bytes.size(), below(2) ? flag::may_unmap : 0));
        else
            CO_CHECK(co_await node.write(o.offset, memory));
        std::ranges::copy(o.bytes, content_.begin() + long(o.offset));
        co_return Result<void>();
    }
    // What is cut off, and what is new, is zeros when it is seen again.
    Task<Result<void>> resize(Node& node, Operation& o) {
        u64 before = content_.size(), least = v_.has(shrinks) ? sector : before, most = disk_size + disk_size / 2;
        o.size = least + below((most - least) / sector + 1) * sector;
        CO_CHECK(co_await node.truncate(o.size));
        o.offset = std::min(before, o.size);
        o.bytes.assign(std::max(before, o.size) - o.offset, 0);
        content_.resize(o.size);
        if (v_.has(bitmaps)) since_.resize(o.size); // a bitmap does not tell of changes of size
        co_return Result<void>();
    }
    Task<Result<void>> snapshot(Node& node, Operation& o) {
        std::vector<SavedSnapshot*> there;
        for (auto& s : saved_)
            if (s.delete_began == SIZE_MAX) there.push_back(&s);
        u64 what = below(4);
        if (there.empty() || (what < 2 && there.size() < most_snapshots)) {
            SavedSnapshot s{.name = fmt::format("s{}", number_), .bytes = content_, .began = log_->size()};
            SnapshotInfo info;
            info.name = s.name;
            CO_CHECK(co_await node.snapshot_create(info));
            s.ended = log_->size();
            saved_.push_back(std::move(s));
            co_return Result<void>();
        }
        SavedSnapshot& s = *there[below(there.size())];
        if (what == 2) {
            s.delete_began = log_->size();
            CO_CHECK(co_await node.snapshot_delete(s.name));
            s.delete_ended = log_->size();
            co_return Result<void>();
        }
        o.bytes = s.bytes;
        o.whole = true;
        o.size = s.bytes.size();
        CO_CHECK(co_await node.snapshot_apply(s.name));
        content_ = s.bytes;
        co_return Result<void>();
    }

    // ---- cuts ----

    static void apply(MemoryImage& image, const MemoryImage::Logged& l, u64 length) {
        switch (l.kind) {
        case MemoryImage::Logged::flush: break;
        case MemoryImage::Logged::truncate: image.resize(l.length); break;
        case MemoryImage::Logged::zero: image.zero(l.offset, length); break;
        case MemoryImage::Logged::write: {
            IoVec memory{std::span<const u8>(l.bytes).first(length)};
            image.write(l.offset, memory);
        }
        }
    }
    // Of one file: what was flushed, and some of the rest in any order; but a change of its size stays between what was written
    // before it and behind it, as file systems keep it.
    void replay(MemoryImage& image, unsigned number, size_t place) {
        size_t flushed = 0; // entries before are on the disk for certain
        for (size_t i = 0; i < place; i++)
            if ((*log_)[i].kind == MemoryImage::Logged::flush && (*log_)[i].image == number) flushed = i + 1;
        std::vector<size_t> rest;
        auto put_rest = [&] {
            std::ranges::shuffle(rest, random_);
            for (size_t i : rest) {
                const auto& l = (*log_)[i];
                u64 n = l.length;
                if (below(4) == 0) n = std::min(n, below(n / sector + 1) * sector); // torn
                if (n) apply(image, l, n);
            }
            rest.clear();
        };
        for (size_t i = 0; i < place; i++) {
            const auto& l = (*log_)[i];
            if (l.image != number) continue;
            if (i < flushed) {
                apply(image, l, l.length);
            } else if (l.kind == MemoryImage::Logged::truncate) {
                put_rest();
                if (below(3)) apply(image, l, 0);
            } else if (below(3)) {
                rest.push_back(i);
            }
        }
        put_rest();
    }

    Task<Result<void>> cut(const Images& start, size_t place) {
        Images images;
        for (unsigned n = 0; n < start.size(); n++) {
            images.push_back(std::make_shared<MemoryImage>(*start[n]));
            replay(*images[n], n, place);
        }
        Context context{.loop = loop_};
        CO_TRY(NodePtr node, co_await open(context, images));
        if (v_.has(repaired)) { CO_TRY(CheckReport first, co_await node->check(Fix::all)); }
        CO_TRY(CheckReport report, co_await node->check(Fix::none));
        if (report.corruptions || report.check_errors)
            co_return Error::corrupt("{} corruptions: {}", report.corruptions,
                                     report.messages.empty() ? "" : report.messages[0]);
        std::vector<u8> seen(node->size());
        IoVec memory{std::span<u8>(seen)};
        CO_CHECK(co_await node->read(0, memory));
        CO_CHECK(compare(seen, place));
        if (v_.has(bitmaps)) CO_CHECK(co_await compare_bitmap(*node, seen, place));
        std::vector<SnapshotInfo> list = node->snapshots();
        CO_CHECK(co_await node->close());
        if (v_.has(snapshots)) CO_CHECK(co_await compare_snapshots(images, list, place));
        co_return Result<void>();
    }

    // Operations that are done in whole or not at all part the rest: what the disk shows is of one part.
    Result<void> compare(const std::vector<u8>& seen, size_t place) const {
        std::vector<u8> sure = initial_;
        size_t first = 0; // operations before are there
        for (size_t i = 0; i < operations_.size(); i++)
            if (operations_[i].sure && operations_[i].ended <= place) first = i + 1;
        size_t made = 0;
        auto make_sure = [&](size_t end) {
            for (; made < end; made++) put(sure, operations_[made]);
        };
        for (;;) {
            make_sure(first);
            size_t end = first;
            while (end < operations_.size() && operations_[end].began <= place && !operations_[end].whole) end++;
            Result<void> r = compare_part(seen, sure, first, end);
            if (r || end == operations_.size() || operations_[end].began > place) return r;
            first = end + 1;
        }
    }
    static void put(std::vector<u8>& to, const Operation& o) {
        if (o.size) to.resize(o.size);
        for (u64 i = 0; i < o.bytes.size() && o.offset + i < to.size(); i++) to[o.offset + i] = o.bytes[i];
    }
    Result<void> compare_part(const std::vector<u8>& seen, const std::vector<u8>& sure, size_t first,
                              size_t end) const {
        bool right_size = seen.size() == sure.size();
        for (size_t i = first; i < end; i++) right_size = right_size || operations_[i].size == seen.size();
        if (!right_size) return Error::corrupt("a size of {} bytes, expected {}", seen.size(), sure.size());
        for (u64 at = 0; at < seen.size(); at += sector) {
            bool ok = at < sure.size() && std::memcmp(&seen[at], &sure[at], sector) == 0;
            for (size_t i = first; i < end && !ok; i++) {
                const Operation& o = operations_[i];
                if (at >= o.offset && at < o.offset + o.bytes.size())
                    ok = std::memcmp(&seen[at], &o.bytes[at - o.offset], sector) == 0;
            }
            if (!ok) return Error::corrupt("the sector at {:#x} is nothing that was written there", at);
        }
        return {};
    }

    Task<Result<void>> compare_snapshots(const Images& images, const std::vector<SnapshotInfo>& list, size_t place) {
        for (auto& s : saved_) {
            bool there = std::ranges::find(list, s.name, &SnapshotInfo::name) != list.end();
            if (!there && s.ended <= place && s.delete_began > place)
                co_return Error::corrupt("snapshot '{}' is lost", s.name);
            if (there && (s.delete_ended <= place || s.began > place))
                co_return Error::corrupt("snapshot '{}' is there before it was made, or after it was deleted", s.name);
            if (!there) continue;
            Context context{.loop = loop_};
            CO_TRY(NodePtr node, co_await open(context, images, true));
            CO_CHECK(co_await node->snapshot_load("", s.name));
            std::vector<u8> seen(node->size());
            IoVec memory{std::span<u8>(seen)};
            CO_CHECK(co_await node->read(0, memory));
            if (seen != s.bytes) co_return Error::corrupt("snapshot '{}' is not what the disk was", s.name);
            CO_CHECK(co_await node->close());
        }
        if (std::ranges::any_of(
                list, [&](auto& i) { return std::ranges::find(saved_, i.name, &SavedSnapshot::name) == saved_.end(); }))
            co_return Error::corrupt("a snapshot that nobody made");
        co_return Result<void>();
    }

    Task<Result<void>> compare_bitmap(Node& node, const std::vector<u8>& seen, size_t place) {
        auto list = node.bitmaps();
        if (list.size() != 1 || list[0].name != bitmap_name)
            co_return Error::corrupt("{} bitmaps, expected one", list.size());
        if (list[0].in_use) co_return Result<void>();
        CO_TRY(auto bits, co_await node.bitmap(bitmap_name));
        const StoredBitmap* last = nullptr;
        for (auto& s : stored_)
            if (s.began <= place) last = &s;
        for (u64 at = 0; at < std::min(seen.size(), last->since.size()); at += sector)
            if (std::memcmp(&seen[at], &last->since[at], sector) != 0 && !bits->get(at))
                co_return Error::corrupt("the bitmap does not have the change at {:#x}", at);
        co_return Result<void>();
    }

    io::Loop& loop_;
    const Variant& v_;
    std::mt19937_64 random_;
    std::shared_ptr<Log> log_;
    u64 number_ = 0;
    std::vector<u8> initial_, content_, since_; // what the disk showed, shows, and showed when the bitmap was cleared
    std::vector<Operation> operations_;
    std::vector<SavedSnapshot> saved_;
    std::vector<StoredBitmap> stored_;
};

} // namespace

int main(int argc, char** argv) {
    u64 seed = 1, count = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (std::strcmp(argv[i], "--seed") == 0) seed = std::strtoull(argv[i + 1], nullptr, 10);
        if (std::strcmp(argv[i], "--count") == 0) count = std::strtoull(argv[i + 1], nullptr, 10);
    }
    auto loop = std::move(*io::Loop::create());
    u64 wrong = 0;
    for (u64 s = seed; s < seed + count; s++)
        for (auto& v : variants) {
            Round round(*loop, v, s);
            auto r = loop->run(round.run());
            if (r) continue;
            std::printf("seed %llu, %s %s (features %u): %s\n", static_cast<unsigned long long>(s), v.format, v.options,
                        v.features, r.error().message().c_str());
            wrong++;
        }
    std::printf("%llu rounds of %zu variants, %u cuts each: %llu cuts, %llu variants went wrong\n",
                static_cast<unsigned long long>(count), std::size(variants), cuts,
                static_cast<unsigned long long>(count * std::size(variants) * cuts),
                static_cast<unsigned long long>(wrong));
    return wrong != 0;
}
