// Power fails: random writes to an image in memory whose writes are logged; the log is cut at random places, what was not
// flushed below the format arrives in part, torn and out of order. The image must open, check without corruption, and show
// all that was flushed; other sectors show what they held or something that was written to them since.
//   formats_soak --seed N --count N     rounds; a round is every format with 40 cuts
#include "block/driver.hpp"
#include "block/protocols/memory.hpp"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

using namespace mimic;
using namespace mimic::block;

namespace {

constexpr u64 sector = 512, disk_size = 3u << 20;
constexpr u8 backing_byte = 0xbb;
constexpr unsigned operations = 60, cuts = 40;

struct Variant {
    const char *format, *options;
    bool backed = false; // on a backing image, whose bytes must not be lost when a block is copied up
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
    {"vmdk", "", true},
    {"vmdk", "zeroed_grain=on", true},
    {"qcow", "", true},
    {"qed", "cluster_size=65536", true},
    {"qcow2", "cluster_size=4096", true},
    {"qcow2", "cluster_size=32k,extended_l2=on", true},
    {"qcow2", "cluster_size=4096,encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=1", true},
};

using Log = std::vector<MemoryImage::Logged>;

struct Operation {
    u64 offset = 0, length = 0;
    std::vector<u8> bytes; // empty: a flush
    size_t began = 0, ended = 0;
};

class Round {
public:
    Round(io::Loop& loop, const Variant& v, u64 seed) : loop_(loop), v_(v), random_(seed) {}

    Task<Result<void>> run() {
        auto image = std::make_shared<MemoryImage>();
        CO_CHECK(co_await make(image));
        MemoryImage start = *image;
        image->record = true;
        CO_CHECK(co_await change(image));
        Log log = std::move(image->log);
        std::vector<size_t> places(cuts);
        for (auto& p : places) p = random_() % (log.size() + 1);
        std::ranges::sort(places);
        for (size_t place : places) CO_CHECK(co_await cut(start, log, place));
        co_return Result<void>();
    }

private:
    u64 below(u64 n) { return random_() % n; }
    const Driver& driver() const { return *find_driver(v_.format); }

    Task<Result<void>> make(const std::shared_ptr<MemoryImage>& image) {
        Context context{.loop = loop_};
        NodePtr file = make_memory_node(context, image);
        CO_TRY(Json options, parse_flat(v_.options));
        options.set("size", disk_size);
        context.secrets["s"] = "secret";
        CreateArguments a{"memory", std::move(options), file};
        co_return co_await driver().create(context, a);
    }
    Task<Result<NodePtr>> open(Context& context, const std::shared_ptr<MemoryImage>& image) {
        OpenArguments a;
        a.common.discard = DiscardMode::unmap;
        a.options = Json::object();
        if (std::strstr(v_.options, "encrypt.")) { CO_TRY(a.options, parse_flat("encrypt.key-secret=s")); }
        context.secrets["s"] = "secret";
        a.no_backing = true;
        a.file = make_memory_node(context, image);
        CO_TRY(NodePtr node, co_await driver().open(context, a));
        if (v_.backed) {
            auto below = std::make_shared<MemoryImage>();
            std::vector<u8> bytes(disk_size, backing_byte);
            IoVec memory{std::span<u8>(bytes)};
            below->write(0, memory);
            NodePtr base = make_memory_node(context, below, true);
            CO_CHECK(node->add_child(base, "backing", perm::consistent_read, perm::all));
        }
        co_return node;
    }

    Task<Result<void>> change(const std::shared_ptr<MemoryImage>& image) {
        Context context{.loop = loop_};
        CO_TRY(NodePtr node, co_await open(context, image));
        for (unsigned i = 0; i < operations; i++) {
            Operation o{.began = image->log.size()};
            if (below(6) == 0) {
                CO_CHECK(co_await node->flush());
            } else {
                u64 most = below(4) ? 16 : 400;
                o.offset = below(disk_size / sector - most) * sector;
                o.length = (1 + below(most)) * sector;
                bool zeros = below(6) == 0;
                u8 byte = zeros ? 0 : u8(1 + below(255));
                o.bytes.assign(o.length, byte);
                for (u64 at = 0; !zeros && at < o.length; at += sector) put_mark(&o.bytes[at], i);
                IoVec memory{std::span<u8>(o.bytes)};
                if (zeros)
                    CO_CHECK(co_await node->write_zeroes(o.offset, o.length, below(2) ? flag::may_unmap : 0));
                else
                    CO_CHECK(co_await node->write(o.offset, memory));
            }
            o.ended = image->log.size();
            operations_.push_back(std::move(o));
        }
        co_return co_await node->close();
    }
    static void put_mark(u8* p, u64 n) { std::memcpy(p, &n, sizeof n); }

    static void apply(MemoryImage& image, const MemoryImage::Logged& l, u64 length) {
        if (l.kind == MemoryImage::Logged::zero) {
            image.zero(l.offset, length);
        } else if (l.kind == MemoryImage::Logged::write) {
            IoVec memory{std::span<const u8>(l.bytes).first(length)};
            image.write(l.offset, memory);
        }
    }

    Task<Result<void>> cut(const MemoryImage& start, const Log& log, size_t place) {
        size_t flushed = 0; // entries before are on the disk for certain
        for (size_t i = 0; i < place; i++)
            if (log[i].kind == MemoryImage::Logged::flush) flushed = i + 1;
        auto image = std::make_shared<MemoryImage>(start);
        for (size_t i = 0; i < flushed; i++) apply(*image, log[i], log[i].length);
        std::vector<size_t> rest;
        for (size_t i = flushed; i < place; i++)
            if (below(3)) rest.push_back(i);
        std::ranges::shuffle(rest, random_);
        for (size_t i : rest) {
            u64 n = log[i].length;
            if (below(4) == 0) n = std::min(n, below(n / sector + 1) * sector); // torn
            if (n) apply(*image, log[i], n);
        }
        Context context{.loop = loop_};
        auto node = co_await open(context, image);
        if (!node) co_return std::move(node).error().in(fmt::format("cut at {}", place));
        CO_TRY(CheckReport report, co_await (*node)->check(Fix::none));
        if (report.corruptions || report.check_errors)
            co_return Error::corrupt("cut at {}: {} corruptions: {}", place, report.corruptions,
                                     report.messages.empty() ? "" : report.messages[0]);
        CO_CHECK(co_await compare(**node, place));
        co_return co_await (*node)->close();
    }

    Task<Result<void>> compare(Node& node, size_t place) {
        std::vector<u8> seen(disk_size), sure(disk_size, v_.backed ? backing_byte : 0);
        IoVec memory{std::span<u8>(seen)};
        CO_CHECK(co_await node.read(0, memory));
        size_t first = 0; // operations before are flushed
        for (size_t i = 0; i < operations_.size(); i++)
            if (operations_[i].bytes.empty() && operations_[i].ended <= place) first = i + 1;
        for (size_t i = 0; i < first; i++)
            std::ranges::copy(operations_[i].bytes, sure.begin() + long(operations_[i].offset));
        for (u64 at = 0; at < disk_size; at += sector) {
            bool ok = std::memcmp(&seen[at], &sure[at], sector) == 0;
            for (size_t i = first; i < operations_.size() && !ok; i++) {
                const Operation& o = operations_[i];
                if (o.began > place) break;
                if (at >= o.offset && at < o.offset + o.bytes.size())
                    ok = std::memcmp(&seen[at], &o.bytes[at - o.offset], sector) == 0;
            }
            if (!ok)
                co_return Error::corrupt("cut at {}: the sector at {:#x} is nothing that was written there", place, at);
        }
        co_return Result<void>();
    }

    io::Loop& loop_;
    const Variant& v_;
    std::mt19937_64 random_;
    std::vector<Operation> operations_;
};

} // namespace

int main(int argc, char** argv) {
    u64 seed = 1, count = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (std::strcmp(argv[i], "--seed") == 0) seed = std::strtoull(argv[i + 1], nullptr, 10);
        if (std::strcmp(argv[i], "--count") == 0) count = std::strtoull(argv[i + 1], nullptr, 10);
    }
    auto loop = std::move(*io::Loop::create());
    int status = 0;
    for (u64 s = seed; s < seed + count; s++)
        for (auto& v : variants) {
            Round round(*loop, v, s);
            auto r = loop->run(round.run());
            if (r) continue;
            std::printf("seed %llu, %s %s: %s\n", static_cast<unsigned long long>(s), v.format, v.options,
                        r.error().message().c_str());
            status = 1;
        }
    std::printf("%llu rounds of %zu formats, %u cuts each\n", static_cast<unsigned long long>(count),
                std::size(variants), cuts);
    return status;
}
