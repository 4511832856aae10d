// Exercise: random changes of an image beside a plain copy of what its guest should see. For tests only.
#pragma once
#include "block/qcow2/image.hpp"
#include <cstring>
#include <random>

namespace mimic::block::qcow2 {

class Exercise {
public:
    struct Settings {
        u64 steps = 200;
        bool snapshots = true, compressed = true, resize = true, discard = true;
        u64 max_size = 8u << 20;
    };

    Exercise(Node& node, std::vector<u8> content, u64 seed, Settings s)
        : node_(&node)
        , content_(std::move(content))
        , random_(seed)
        , seed_(seed)
        , s_(s) {}

    // Runs some steps. Errors are the image's; a difference is an error of kind corrupt.
    Task<Result<void>> run(u64 steps) {
        for (u64 i = 0; i < steps; i++) CO_CHECK(co_await step());
        co_return Result<void>();
    }
    // The image was closed and opened anew.
    void reopened(Node& node) { node_ = &node; }

    Task<Result<void>> compare() {
        if (node_->size() != content_.size())
            co_return Error::corrupt("size is {}, expected {}", node_->size(), content_.size());
        std::vector<u8> seen(content_.size());
        IoVec memory{std::span<u8>(seen)};
        CO_CHECK(co_await node_->read(0, memory));
        for (size_t i = 0; i < seen.size(); i++)
            if (seen[i] != content_[i])
                co_return Error::corrupt("byte {:#x} is {:#x}, expected {:#x} (last: {})", i, seen[i], content_[i],
                                         last_);
        co_return Result<void>();
    }
    const std::vector<u8>& content() const { return content_; }

private:
    u64 below(u64 n) { return n ? random_() % n : 0; }
    // Flat images have none.
    u64 cluster() const { return node_->cluster_size() ? node_->cluster_size() : 4096; }

    Task<Result<void>> step() {
        u64 size = content_.size(), cluster = this->cluster();
        u64 offset = below(size), length = std::min(size - offset, 1 + below(below(4) ? 3 * cluster : 300));
        if (below(3) == 0) {
            offset = round_down(offset, cluster);
            length = std::min(size - offset, round_up(length, cluster));
        }
        last_ = fmt::format("at {:#x} {:#x}", offset, length);
        switch (below(16)) {
        case 0:
        case 1: co_return co_await zero(offset, length);
        case 2: co_return co_await discard(offset, length);
        case 3: co_return co_await compressed(offset, length);
        case 4: co_return co_await snapshot();
        case 5: co_return co_await node_->flush();
        case 6: co_return co_await resize();
        case 7: co_return co_await parallel();
        case 8: co_return co_await read(offset, length);
        default: co_return co_await write(offset, length);
        }
    }

    Task<Result<void>> write(u64 offset, u64 length) {
        last_ += " write";
        std::vector<u8> data(length);
        u8 base = u8(random_());
        for (size_t i = 0; i < data.size(); i++) data[i] = u8(base + i * 31);
        IoVec memory{std::span<u8>(data)};
        CO_CHECK(co_await node_->write(offset, memory));
        std::memcpy(&content_[offset], data.data(), length);
        co_return Result<void>();
    }
    Task<Result<void>> read(u64 offset, u64 length) {
        std::vector<u8> data(length);
        IoVec memory{std::span<u8>(data)};
        CO_CHECK(co_await node_->read(offset, memory));
        if (std::memcmp(&content_[offset], data.data(), length) != 0)
            co_return Error::corrupt("{:#x} bytes at {:#x} differ", length, offset);
        co_return Result<void>();
    }
    Task<Result<void>> zero(u64 offset, u64 length) {
        last_ += " zero";
        CO_CHECK(co_await node_->write_zeroes(offset, length, below(2) ? flag::may_unmap : 0));
        std::memset(&content_[offset], 0, length);
        co_return Result<void>();
    }
    // What a discard leaves is zeros or what was there; the copy takes what the image shows.
    Task<Result<void>> discard(u64 offset, u64 length) {
        if (!s_.discard) co_return Result<void>();
        last_ += " discard";
        CO_CHECK(co_await node_->discard(offset, length));
        std::vector<u8> data(length);
        IoVec memory{std::span<u8>(data)};
        CO_CHECK(co_await node_->read(offset, memory));
        for (u64 i = 0; i < length; i++)
            if (data[i] && data[i] != content_[offset + i])
                co_return Error::corrupt("discarded byte {:#x} is neither zero nor as it was", offset + i);
        std::memcpy(&content_[offset], data.data(), length);
        co_return Result<void>();
    }
    Task<Result<void>> compressed(u64 offset, u64 length) {
        if (!s_.compressed || !node_->supports_compressed()) co_return Result<void>();
        u64 cluster = this->cluster(), size = content_.size();
        offset = round_down(offset, cluster);
        length = std::min(size - offset, round_up(length, cluster));
        last_ += " compressed";
        std::vector<u8> data(length, u8(random_()));
        for (u64 i = 0; i < length; i += 97) data[i] = u8(random_());
        IoVec memory{std::span<u8>(data)};
        CO_CHECK(co_await node_->write_compressed(offset, memory));
        std::memcpy(&content_[offset], data.data(), length);
        co_return Result<void>();
    }
    // Several writers at once, next to each other and in the same clusters.
    Task<Result<void>> parallel() {
        last_ += " parallel";
        u64 cluster = this->cluster(), size = content_.size();
        u64 start = round_down(below(size), cluster);
        u64 piece = std::max<u64>(1, cluster / 4);
        io::Scope scope(node_->loop());
        auto one = [](Node& n, u64 at, const std::vector<u8>& data) -> Task<Result<void>> {
            IoVec memory{std::span<const u8>(data)};
            co_return co_await n.write(at, memory);
        };
        std::vector<std::vector<u8>> data;
        for (u64 i = 0; i < 12; i++) data.emplace_back(piece, u8(random_()));
        for (u64 i = 0; i < data.size() && start + (i + 1) * piece <= size; i++) {
            std::memcpy(&content_[start + i * piece], data[i].data(), piece);
            scope.spawn(one(*node_, start + i * piece, data[i]));
        }
        co_return co_await scope.join();
    }
    Task<Result<void>> resize() {
        if (!s_.resize || !node_->snapshots().empty()) co_return Result<void>();
        u64 size = std::max<u64>(512, round_up(below(s_.max_size), 512));
        last_ += fmt::format(" resize {:#x}", size);
        CO_CHECK(co_await node_->truncate(size));
        content_.resize(size);
        co_return Result<void>();
    }
    Task<Result<void>> snapshot() {
        if (!s_.snapshots) co_return Result<void>();
        u64 what = below(4);
        if (saved_.empty() || (what < 2 && saved_.size() < 4)) {
            SnapshotInfo info;
            info.name = fmt::format("s{}-{}", seed_, next_++);
            last_ += " create " + info.name;
            Result<void> r = co_await node_->snapshot_create(info);
            // Narrow counts hold few snapshots.
            if (!r && r.error().kind() == ErrorKind::no_space) co_return Result<void>();
            CO_CHECK(r);
            saved_.emplace_back(info.name, content_);
            co_return Result<void>();
        }
        size_t which = below(saved_.size());
        std::string name = saved_[which].first;
        if (what == 2) {
            last_ += " apply " + name;
            Result<void> r = co_await node_->snapshot_apply(name);
            if (!r && r.error().kind() == ErrorKind::no_space) co_return co_await compare();
            CO_CHECK(r);
            content_ = saved_[which].second;
        } else {
            last_ += " delete " + name;
            CO_CHECK(co_await node_->snapshot_delete(name));
            saved_.erase(saved_.begin() + long(which));
        }
        co_return co_await compare();
    }

    Node* node_;
    std::vector<u8> content_;
    std::mt19937_64 random_;
    u64 seed_;
    Settings s_;
    std::vector<std::pair<std::string, std::vector<u8>>> saved_;
    unsigned next_ = 0;
    std::string last_;
};

} // namespace mimic::block::qcow2
