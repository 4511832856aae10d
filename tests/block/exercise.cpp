// block_exercise IMAGE OPTIONS SEED STEPS RAW: opens a qcow2 image that exists, makes STEPS random changes and writes what
// its guest sees to RAW. OPTIONS: letters; s snapshots, c compressed writes, r resizing, d discards.
#include "block/qcow2/exercise.hpp"
#include <cstdio>
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

int main(int argc, char** argv) {
    if (argc != 6) {
        std::fputs("usage: block_exercise IMAGE OPTIONS SEED STEPS RAW\n", stderr);
        return 2;
    }
    auto loop = io::Loop::create();
    Context context{.loop = **loop};
    auto r = (*loop)->run(run(context, argv));
    if (!r) std::fprintf(stderr, "block_exercise: %s\n", r.error().message().c_str());
    return r ? 0 : 1;
}
