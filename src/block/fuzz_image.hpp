// What fuzz targets do with an image in memory: open, info, check, status, read, snapshots; then writes of all kinds, a change of
// size, a snapshot and a repair.
#pragma once
#include "block/bytes.hpp"
#include "block/driver.hpp"
#include "block/protocols/memory.hpp"

namespace mimic::block::fuzz {

struct Target {
    std::string_view format;
    // Of encrypted images: the option that names their secret "s"; seeds have this one.
    std::string_view secret_option = {};
    static constexpr std::string_view secret = "seed";
};

// A secret may cost as much time as a header says; more is not tried here, since it is slow on purpose.
constexpr u64 most_iterations = 20000;

inline Task<Result<NodePtr>> open_image(Context& context, const Target& target, std::shared_ptr<MemoryImage> image,
                                        bool writable, bool with_key) {
    OpenArguments a;
    a.common.discard = DiscardMode::unmap;
    a.common.read_only = !writable;
    a.options = with_key ? *parse_flat(fmt::format("{}=s", target.secret_option)) : Json::object();
    a.no_io = !with_key && !target.secret_option.empty();
    a.no_backing = true;
    a.probed = true; // names of other files are not followed
    a.repair = writable;
    a.file = make_memory_node(context, std::move(image), !writable);
    co_return co_await find_driver(target.format)->open(context, a);
}

inline Task<void> look(Node& node) {
    static_cast<void>(node.info());
    static_cast<void>(node.snapshots());
    static_cast<void>(node.bitmaps());
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

// Errors are as good as success here.
inline void either(Result<void> r) { std::move(r).ignore(); }

inline Task<void> change(Node& node) {
    auto report = co_await node.check(Fix::all);
    static_cast<void>(report);
    std::vector<u8> data(3000, 1);
    IoVec out{std::span<u8>(data)};
    u64 size = node.size();
    either(co_await node.load_bitmaps());
    if (size >= data.size()) {
        for (u64 at : {u64(0), size / 2, size - data.size()}) either(co_await node.write(at, out));
        either(co_await node.write_zeroes(0, data.size(), flag::may_unmap));
    }
    if (u64 cluster = node.cluster_size(); cluster && cluster <= (1u << 16) && size >= 2 * cluster) {
        std::vector<u8> whole(cluster, 7);
        IoVec memory{std::span<u8>(whole)};
        either(co_await node.write_compressed(cluster, memory));
        either(co_await node.discard(cluster, cluster));
    }
    SnapshotInfo made;
    made.name = "fuzz";
    either(co_await node.snapshot_create(made));
    either(co_await node.truncate(round_down(size / 2 + 512, 512)));
    for (auto& s : node.snapshots()) either(co_await node.snapshot_delete(s));
    either(co_await node.flush());
}

inline u64 iterations_of(const Node& node) {
    Json info = node.info().specific;
    const Json* data = info.find("data");
    if (const Json* inner = data ? data->find("encrypt") : nullptr) data = inner;
    u64 sum = 0;
    auto add = [&](const Json* one) {
        if (u64 n = 0; one && one->get(n)) sum += n;
    };
    if (!data) return 0;
    const Json* list = data->find("slots");
    if (list && list->items())
        for (auto& slot : *list->items()) {
            add(slot.find("iters"));
            if (slot.find("iters")) add(data->find("master-key-iters"));
        }
    return sum;
}

inline Task<void> use(Context& context, const Target& target, std::shared_ptr<MemoryImage> image) {
    bool with_key = false;
    if (!target.secret_option.empty()) {
        auto plain = co_await open_image(context, target, image, false, false);
        if (!plain) co_return;
        with_key = iterations_of(**plain) <= most_iterations;
        auto r = co_await (*plain)->close();
        std::move(r).ignore();
    }
    auto node = co_await open_image(context, target, image, false, with_key);
    if (node) {
        co_await look(**node);
        auto r = co_await (*node)->close();
        std::move(r).ignore();
    }
    auto writable = co_await open_image(context, target, image, true, with_key);
    if (!writable) co_return;
    co_await change(**writable);
    auto r = co_await (*writable)->close();
    std::move(r).ignore();
}

// One loop for all inputs: its threads and its ring are no part of what is tested.
inline io::Loop& loop() {
    static auto instance = std::move(*io::Loop::create());
    return *instance;
}

inline int run(const Target& target, std::shared_ptr<MemoryImage> image) {
    Context context{.loop = loop()};
    context.secrets["s"] = Target::secret;
    loop().run(use(context, target, std::move(image)));
    return 0;
}

constexpr size_t largest_input = 1u << 20;

// The input as it is.
inline int whole(const Target& target, std::span<const u8> input) {
    if (input.size() > largest_input) return 0;
    auto image = std::make_shared<MemoryImage>();
    IoVec memory(input);
    image->write(0, memory);
    return run(target, std::move(image));
}

// Sparse images are small inputs: pieces of the file follow each other, each with its place in sectors and its length in bytes
// (32 bits each, little-endian).
inline int pieces(const Target& target, std::span<const u8> input) {
    constexpr size_t head = 8;
    if (input.size() > largest_input) return 0;
    auto image = std::make_shared<MemoryImage>();
    for (size_t at = 0; at + head <= input.size();) {
        u64 place = u64(le32(&input[at])) * 512, length = std::min<u64>(le32(&input[at + 4]), input.size() - at - head);
        if (place > (64u << 20)) break;
        IoVec memory(input.subspan(at + head, length));
        if (length) image->write(place, memory);
        at += head + length;
    }
    return run(target, std::move(image));
}

} // namespace mimic::block::fuzz
