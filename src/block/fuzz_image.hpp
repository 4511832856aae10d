// What fuzz targets do with an image in memory: open, info, check, status, read, snapshots; then a write and a repair.
#pragma once
#include "block/driver.hpp"
#include "block/protocols/memory.hpp"

namespace mimic::block::fuzz {

inline Task<Result<NodePtr>> open_image(Context& context, const Driver& driver, std::shared_ptr<MemoryImage> image,
                                        bool writable) {
    OpenArguments a;
    a.common.discard = DiscardMode::unmap;
    a.common.read_only = !writable;
    a.options = Json::object();
    a.no_backing = true;
    a.probed = true; // names of other files are not followed
    a.repair = writable;
    a.file = make_memory_node(context, std::move(image), !writable);
    co_return co_await driver.open(context, a);
}

inline Task<void> look(Node& node) {
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

inline Task<void> use(Context& context, const Driver& driver, std::shared_ptr<MemoryImage> image) {
    auto node = co_await open_image(context, driver, image, false);
    if (node) {
        co_await look(**node);
        auto r = co_await (*node)->close();
        std::move(r).ignore();
    }
    auto writable = co_await open_image(context, driver, image, true);
    if (!writable) co_return;
    auto report = co_await (*writable)->check(Fix::all);
    static_cast<void>(report);
    std::vector<u8> data(3000, 1);
    IoVec out{std::span<u8>(data)};
    if ((*writable)->size() >= data.size()) {
        auto r = co_await (*writable)->write(0, out);
        std::move(r).ignore();
        r = co_await (*writable)->write_zeroes(0, data.size(), flag::may_unmap);
        std::move(r).ignore();
    }
    auto r = co_await (*writable)->close();
    std::move(r).ignore();
}

// One loop for all inputs: its threads and its ring are no part of what is tested.
inline io::Loop& loop() {
    static auto instance = std::move(*io::Loop::create());
    return *instance;
}

} // namespace mimic::block::fuzz
