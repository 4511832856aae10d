// block_exercise IMAGE OPTIONS SEED STEPS RAW: opens a qcow2 image that exists, makes STEPS random changes and writes what
// its guest sees to RAW. With --seeds DIR it writes a corpus for block_qcow2_fuzz instead. OPTIONS: letters; s snapshots, c compressed writes, r resizing, d discards.
#include "block/qcow2/exercise.hpp"
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

using namespace mimic;
using namespace mimic::block;

static io::Task<Result<void>> run(Context& context, char** argv) {
    OpenRequest request;
    request.filename = argv[1];
    request.format = "qcow2";
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

int main(int argc, char** argv) {
    auto loop = io::Loop::create();
    if (argc == 3 && std::strcmp(argv[1], "--seeds") == 0) {
        write_seeds(**loop, argv[2]);
        return 0;
    }
    if (argc != 6) {
        std::fputs("usage: block_exercise IMAGE OPTIONS SEED STEPS RAW | --seeds DIR\n", stderr);
        return 2;
    }
    Context context{.loop = **loop};
    auto r = (*loop)->run(run(context, argv));
    if (!r) std::fprintf(stderr, "block_exercise: %s\n", r.error().message().c_str());
    return r ? 0 : 1;
}
