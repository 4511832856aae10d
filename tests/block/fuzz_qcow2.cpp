// Hostile qcow2 images: open, info, check, status, read, and a write with repair. The image is the input, in memory.
// A corpus to start from: block_qcow2_fuzz --seeds DIR.
#include "block/protocols/memory.hpp"
#include "block/qcow2/exercise.hpp"
#include <cstring>
#include <filesystem>
#include <fstream>

using namespace mimic;
using namespace mimic::block;

namespace {

io::Task<Result<NodePtr>> open_image(Context& context, std::shared_ptr<MemoryImage> image, bool writable) {
    OpenArguments a;
    a.common.discard = DiscardMode::unmap;
    a.common.read_only = !writable;
    a.options = Json::object();
    a.no_backing = true;
    a.repair = writable;
    a.file = make_memory_node(context, std::move(image), !writable);
    co_return co_await qcow2_driver.open(context, a);
}

io::Task<void> look(Node& node) {
    static_cast<void>(node.info());
    static_cast<void>(node.snapshots());
    auto report = co_await node.check(Fix::none);
    static_cast<void>(report);
    std::vector<u8> data(65536);
    u64 at = 0;
    for (int i = 0; i < 16 && at < node.size(); i++) {
        auto e = co_await node.status(at, node.size() - at);
        if (!e) break;
        IoVec memory(data.data(), std::min<u64>(data.size(), e->length));
        auto r = co_await node.read(at, memory);
        std::move(r).ignore();
        at += e->length;
    }
    for (auto& s : node.snapshots()) {
        auto r = co_await node.snapshot_load(s.id, s.name);
        if (!r) continue;
        IoVec memory(data.data(), std::min<u64>(data.size(), node.size()));
        r = co_await node.read(0, memory);
        std::move(r).ignore();
        break;
    }
}

io::Task<void> use(Context& context, std::span<const u8> bytes) {
    auto image = std::make_shared<MemoryImage>();
    IoVec memory(bytes);
    image->write(0, memory);
    auto node = co_await open_image(context, image, false);
    if (node) {
        co_await look(**node);
        auto r = co_await (*node)->close();
        std::move(r).ignore();
    }
    auto writable = co_await open_image(context, image, true);
    if (!writable) co_return;
    auto report = co_await (*writable)->check(Fix::all);
    static_cast<void>(report);
    std::vector<u8> data(3000, 1);
    IoVec out{std::span<u8>(data)};
    if ((*writable)->size() >= data.size()) {
        auto r = co_await (*writable)->write(0, out);
        std::move(r).ignore();
    }
    auto r = co_await (*writable)->close();
    std::move(r).ignore();
}

io::Loop& loop() {
    static auto instance = std::move(*io::Loop::create());
    return *instance;
}

void write_seeds(const std::string& directory) {
    std::filesystem::create_directories(directory);
    unsigned n = 0;
    for (std::string options : {"size=64k,cluster_size=512", "size=64k,cluster_size=512,compat=0.10",
                                "size=1M,cluster_size=512,refcount_bits=1", "size=256k,cluster_size=16k,extended_l2=on",
                                "size=64k,cluster_size=1k,compression_type=zstd,refcount_bits=64"}) {
        std::string name = fmt::format("{}/seed{}.qcow2", directory, n++);
        Context context{.loop = loop()};
        CreateArguments a{name, *parse_flat(options)};
        auto made = loop().run(qcow2_driver.create(context, a));
        if (!made) std::abort();
        OpenRequest r;
        r.filename = name;
        r.format = "qcow2";
        r.writable = true;
        NodePtr node = *loop().run(open_node(context, r));
        qcow2::Exercise exercise(*node, std::vector<u8>(node->size()), n, {.resize = false});
        auto ran = loop().run(exercise.run(12));
        auto closed = loop().run(node->close());
        if (!ran || !closed) std::abort();
    }
}

} // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
    if (*argc == 3 && std::strcmp((*argv)[1], "--seeds") == 0) {
        write_seeds((*argv)[2]);
        std::exit(0);
    }
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    if (size > (1u << 20)) return 0;
    Context context{.loop = loop()};
    loop().run(use(context, {data, size}));
    return 0;
}
