// block_exercise IMAGE OPTIONS SEED STEPS RAW [FORMAT]: opens an image (qcow2 without FORMAT) that exists, makes STEPS random changes and writes what
// its guest sees to RAW. With --seeds DIR it writes a corpus for block_qcow2_fuzz instead, with --format-seeds one for
// block_formats_fuzz. OPTIONS: letters; s snapshots, c compressed writes, r resizing, d discards.
#include "block/qcow2/exercise.hpp"
#include "block/bytes.hpp"
#include "block/protocols/memory.hpp"
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

using namespace mimic;
using namespace mimic::block;

static io::Task<Result<void>> run(Context& context, char** argv, const char* format) {
    OpenRequest request;
    request.filename = argv[1];
    request.format = format;
    request.writable = true;
    request.cache = "unsafe";
    request.discard = DiscardMode::unmap;
    CO_TRY(NodePtr node, co_await open_node(context, request));
    std::vector<u8> content(node->size());
    IoVec memory{std::span<u8>(content)};
    CO_CHECK(co_await node->read(0, memory));
    std::string letters = argv[2];
    auto has = [&](char c) { return letters.find(c) != std::string::npos; };
    qcow2::Exercise::Settings settings{
        .snapshots = has('s'), .compressed = has('c'), .resize = has('r'), .discard = has('d')};
    settings.max_size = std::max<u64>(content.size() * 2, 1 << 20);
    qcow2::Exercise exercise(*node, std::move(content), std::strtoull(argv[3], nullptr, 10), settings);
    CO_CHECK(co_await exercise.run(std::strtoull(argv[4], nullptr, 10)));
    CO_CHECK(co_await exercise.compare());
    CO_CHECK(co_await node->close());
    std::ofstream out(argv[5], std::ios::binary);
    out.write(reinterpret_cast<const char*>(exercise.content().data()), std::streamsize(exercise.content().size()));
    if (!out.flush()) co_return Error::io("write '{}'", argv[5]);
    co_return Result<void>();
}

// Small images of many kinds, for the fuzzer to start from.
static void write_seeds(io::Loop& loop, const std::string& directory) {
    std::filesystem::create_directories(directory);
    unsigned n = 0;
    for (std::string options : {"size=64k,cluster_size=512", "size=64k,cluster_size=512,compat=0.10",
                                "size=1M,cluster_size=512,refcount_bits=1", "size=256k,cluster_size=16k,extended_l2=on",
                                "size=64k,cluster_size=1k,compression_type=zstd,refcount_bits=64"}) {
        std::string name = fmt::format("{}/seed{}.qcow2", directory, n++);
        Context context{.loop = loop};
        CreateArguments a{name, *parse_flat(options)};
        auto made = loop.run(qcow2_driver.create(context, a));
        if (!made) std::abort();
        OpenRequest r;
        r.filename = name;
        r.format = "qcow2";
        r.writable = true;
        NodePtr node = *loop.run(open_node(context, r));
        qcow2::Exercise exercise(*node, std::vector<u8>(node->size()), n, {.resize = false});
        auto ran = loop.run(exercise.run(12));
        auto closed = loop.run(node->close());
        if (!ran || !closed) std::abort();
    }
}

// Small images as the pieces that block_formats_fuzz.cpp describes: the sectors that are not zero.
static std::vector<u8> pack(const MemoryImage& image, u8 format) {
    std::vector<u8> out{format}, sector(512);
    for (u64 at = 0; at < image.size; at += sector.size()) {
        IoVec memory{std::span<u8>(sector)};
        image.read(at, memory);
        bool last = at + sector.size() >= image.size;
        if (io::is_zero(sector.data(), sector.size()) && !last) continue;
        u8 head[8];
        put_le32(head, u32(at / 512));
        put_le32(head + 4, u32(std::min<u64>(sector.size(), image.size - at)));
        out.insert(out.end(), head, head + 8);
        out.insert(out.end(), sector.begin(), sector.begin() + le32(head + 4));
    }
    return out;
}

static void write_format_seeds(io::Loop& loop, const std::string& directory) {
    std::filesystem::create_directories(directory);
    struct Seed {
        u8 number;
        const char *format, *options;
    };
    constexpr Seed seeds[] = {{0, "vmdk", "size=128k"},
                              {0, "vmdk", "size=128k,zeroed_grain=on"},
                              {0, "vmdk", "size=128k,subformat=streamOptimized"},
                              {1, "vdi", "size=2M"},
                              {2, "vpc", "size=2M"},
                              {3, "vhdx", "size=2M,block_size=1M"},
                              {4, "qcow", "size=128k"},
                              {5, "qed", "size=128k,cluster_size=4096,table_size=1"},
                              {6, "luks", "size=4k,key-secret=s,iter-time=1"}};
    unsigned n = 0;
    for (auto& seed : seeds) {
        Context context{.loop = loop};
        context.secrets["s"] = "seed";
        auto image = std::make_shared<MemoryImage>();
        {
            NodePtr file = make_memory_node(context, image);
            CreateArguments a{"memory", *parse_flat(seed.options), file};
            if (!loop.run(find_driver(seed.format)->create(context, a))) std::abort();
        }
        // A few written blocks, so that there are tables to break.
        OpenArguments o;
        o.options = Json::object();
        if (seed.number == 6) o.options.set("key-secret", "s");
        o.file = make_memory_node(context, image);
        NodePtr node = *loop.run(find_driver(seed.format)->open(context, o));
        std::vector<u8> data(512, 7);
        IoVec memory{std::span<u8>(data)};
        for (u64 at : {u64(0), node->size() / 2}) {
            if (!loop.run(node->write(at, memory))) std::abort();
        }
        if (!loop.run(node->close())) std::abort();
        // Key material is noise that no code looks at before a secret opens it.
        if (seed.number == 6) image->zero(4096, 1u << 20);
        std::vector<u8> bytes = pack(*image, seed.number);
        std::ofstream out(fmt::format("{}/seed{}.{}", directory, n++, seed.format), std::ios::binary);
        out.write(reinterpret_cast<const char*>(bytes.data()), std::streamsize(bytes.size()));
    }
}

int main(int argc, char** argv) {
    auto loop = io::Loop::create();
    if (argc == 3 && std::strcmp(argv[1], "--seeds") == 0) {
        write_seeds(**loop, argv[2]);
        return 0;
    }
    if (argc == 3 && std::strcmp(argv[1], "--format-seeds") == 0) {
        write_format_seeds(**loop, argv[2]);
        return 0;
    }
    if (argc != 6 && argc != 7) {
        std::fputs("usage: block_exercise IMAGE OPTIONS SEED STEPS RAW [FORMAT] | --seeds DIR | --format-seeds DIR\n",
                   stderr);
        return 2;
    }
    Context context{.loop = **loop};
    auto r = (*loop)->run(run(context, argv, argc == 7 ? argv[6] : "qcow2"));
    if (!r) std::fprintf(stderr, "block_exercise: %s\n", r.error().message().c_str());
    return r ? 0 : 1;
}
