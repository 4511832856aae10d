#include "block/protocols/memory.hpp"
#include <algorithm>
#include <cstring>

namespace mimic::block {

namespace {

class MemoryNode final : public Node {
public:
    MemoryNode(Context& context, NodeOptions options, std::shared_ptr<MemoryImage> image)
        : Node(context, memory_driver, std::move(options))
        , image_(std::move(image)) {
        set_filename("memory");
    }
    u64 size() const override { return image_->size; }
    Result<u64> allocated_size() const override { return u64(image_->pages.size()) * MemoryImage::page_size; }
    bool has_zero_init() const override { return true; }

protected:
    bool grows() const override { return true; }
    Task<Result<void>> do_read(u64 offset, const IoVec& memory) override {
        image_->read(offset, memory);
        co_return Result<void>();
    }
    Task<Result<void>> do_write(u64 offset, const IoVec& memory) override {
        image_->write(offset, memory);
        co_return Result<void>();
    }
    Task<Result<void>> do_write_zeroes(u64 offset, u64 length, u32) override {
        image_->zero(offset, length);
        co_return Result<void>();
    }
    Task<Result<void>> do_discard(u64, u64) override { co_return Result<void>(); }
    Task<Result<void>> do_flush() override {
        if (image_->log) image_->log->push_back({MemoryImage::Logged::flush, 0, 0, {}, image_->number});
        co_return Result<void>();
    }
    Task<Result<Extent>> do_status(u64 offset, u64 length) override {
        auto at = image_->pages.upper_bound(offset / MemoryImage::page_size);
        bool data = at != image_->pages.begin() && std::prev(at)->first == offset / MemoryImage::page_size;
        u64 end = data                        ? (offset / MemoryImage::page_size + 1) * MemoryImage::page_size
                  : at == image_->pages.end() ? image_->size
                                              : at->first * MemoryImage::page_size;
        Extent e{.length = std::min(length, end - offset), .allocated = true, .data = data, .zero = !data};
        e.has_offset = true;
        e.offset = offset;
        e.file = this;
        co_return e;
    }
    Task<Result<void>> do_truncate(u64 size, Prealloc) override {
        image_->resize(size);
        co_return Result<void>();
    }

private:
    std::shared_ptr<MemoryImage> image_;
};

class NullNode final : public Node {
public:
    NullNode(Context& context, NodeOptions options, u64 size, bool zeroes)
        : Node(context, null_driver, std::move(options))
        , size_(size)
        , zeroes_(zeroes) {
        set_filename("null-co://");
    }
    u64 size() const override { return size_; }
    Result<u64> allocated_size() const override { return u64(0); }

protected:
    bool grows() const override { return false; }
    Task<Result<void>> do_read(u64, const IoVec& memory) override {
        if (zeroes_) memory.fill(0, memory.length(), 0);
        co_return Result<void>();
    }
    Task<Result<void>> do_write(u64, const IoVec&) override { co_return Result<void>(); }
    Task<Result<void>> do_write_zeroes(u64, u64, u32) override { co_return Result<void>(); }
    Task<Result<void>> do_discard(u64, u64) override { co_return Result<void>(); }
    Task<Result<void>> do_flush() override { co_return Result<void>(); }
    Task<Result<Extent>> do_status(u64 offset, u64 length) override {
        Extent e{.length = length, .allocated = true, .data = !zeroes_, .zero = zeroes_};
        e.has_offset = true;
        e.offset = offset;
        e.file = this;
        co_return e;
    }

private:
    u64 size_;
    bool zeroes_;
};

Task<Result<NodePtr>> open_memory(Context& context, OpenArguments& a) {
    std::optional<u64> size;
    OptionReader reader(a.options, "Block protocol 'memory'");
    reader.size("size", size, "Bytes");
    CO_CHECK(reader.finish());
    auto image = std::make_shared<MemoryImage>();
    image->size = size.value_or(0);
    co_return NodePtr(std::make_shared<MemoryNode>(context, a.common, image));
}

Task<Result<NodePtr>> open_null(Context& context, OpenArguments& a) {
    std::optional<u64> size = u64(1) << 30;
    bool zeroes = true;
    OptionReader reader(a.options, "Block protocol 'null-co'");
    reader.size("size", size, "Bytes");
    reader.flag("read-zeroes", zeroes, "Clear the memory of reads");
    CO_CHECK(reader.finish());
    co_return NodePtr(std::make_shared<NullNode>(context, a.common, *size, zeroes));
}

} // namespace

void MemoryImage::read(u64 offset, const IoVec& memory) const {
    for (u64 done = 0; done < memory.length();) {
        u64 page = (offset + done) / page_size, skip = (offset + done) % page_size;
        u64 n = std::min(page_size - skip, memory.length() - done);
        auto at = pages.find(page);
        if (at == pages.end() || offset + done >= size)
            memory.fill(done, n, 0);
        else
            memory.copy_from(done, at->second.data() + skip, n);
        done += n;
    }
}

void MemoryImage::write(u64 offset, const IoVec& memory) {
    for (u64 done = 0; done < memory.length();) {
        u64 page = (offset + done) / page_size, skip = (offset + done) % page_size;
        u64 n = std::min(page_size - skip, memory.length() - done);
        auto& bytes = pages[page];
        bytes.resize(page_size);
        memory.copy_to(done, bytes.data() + skip, n);
        done += n;
    }
    size = std::max(size, offset + memory.length());
    if (!log) return;
    Logged entry{Logged::write, offset, memory.length(), std::vector<u8>(memory.length()), number};
    memory.copy_to(0, entry.bytes.data(), entry.bytes.size());
    log->push_back(std::move(entry));
}

void MemoryImage::zero(u64 offset, u64 length) {
    clear(offset, length);
    size = std::max(size, offset + length);
    if (log) log->push_back({Logged::zero, offset, length, {}, number});
}

void MemoryImage::resize(u64 length) {
    if (length < size) clear(length, size - length);
    size = length;
    if (log) log->push_back({Logged::truncate, 0, length, {}, number});
}

void MemoryImage::clear(u64 offset, u64 length) {
    for (auto at = pages.lower_bound(offset / page_size);
         at != pages.end() && at->first * page_size < offset + length;) {
        u64 start = std::max(offset, at->first * page_size),
            end = std::min(offset + length, (at->first + 1) * page_size);
        if (end - start == page_size) {
            at = pages.erase(at);
            continue;
        }
        std::memset(at->second.data() + start % page_size, 0, end - start);
        ++at;
    }
}

NodePtr make_memory_node(Context& context, std::shared_ptr<MemoryImage> image, bool read_only) {
    NodeOptions options;
    options.read_only = read_only;
    options.discard = DiscardMode::unmap;
    return std::make_shared<MemoryNode>(context, options, std::move(image));
}

MIMIC_BLOCK_DRIVER(memory) = {.name = "memory", .is_protocol = true, .open = open_memory};
MIMIC_BLOCK_DRIVER(null) = {.name = "null-co", .is_protocol = true, .open = open_null};

} // namespace mimic::block
