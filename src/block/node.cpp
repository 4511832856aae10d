#include "block/node.hpp"
#include "block/driver.hpp"
#include <algorithm>

namespace mimic::block {

namespace {
// Size of the buffer that zeros are written from where nothing cheaper works.
constexpr u64 zero_buffer_size = 1u << 20;

template <class R>
void count(Statistics::Counter& counter, u64 bytes, const R& result) {
    counter.requests++;
    if (result)
        counter.bytes += bytes;
    else
        counter.failed++;
}
} // namespace

Node::Node(Context& context, const Driver& driver, NodeOptions options)
    : options_(std::move(options))
    , context_(context)
    , driver_(driver)
    , idle_(context.loop)
    , alignment_lock_(context.loop) {
    if (options_.node_name.empty()) options_.node_name = fmt::format("#block{:03}", context.next_name++);
    context_.names.emplace(options_.node_name, this);
}

Node::~Node() {
    auto at = context_.names.find(options_.node_name);
    if (at != context_.names.end() && at->second == this) context_.names.erase(at);
}

io::Loop& Node::loop() const { return context_.loop; }

Error Node::unsupported(std::string_view what) const {
    return Error::unsupported("'{}': format '{}' does not support {}", filename_, driver_.name, what);
}

Result<void> Node::check_write(u64 offset, u64 length) const {
    if (options_.read_only) return Error::permission("'{}' is open read-only", filename_);
    if (offset + length < offset || offset + length > u64(INT64_MAX))
        return Error::invalid_argument("request at {} with {} bytes is beyond what a file can hold", offset, length);
    if (!grows() && offset + length > size())
        return Error::invalid_argument("request at {} with {} bytes is past the end of '{}' ({} bytes)", offset, length,
                                       filename_, size());
    return {};
}

Result<void> Node::begin_write(u64 offset, u64 length) {
    TRY(check_write(offset, length));
    unflushed_ = true;
    if (!write_threshold_ || offset + length <= write_threshold_) return {};
    u64 threshold = std::exchange(write_threshold_, 0);
    context_.on_threshold(*this, offset + length - threshold, threshold);
    return {};
}

Task<Result<void>> Node::read(u64 offset, const IoVec& memory) {
    InFlight guard(*this);
    u64 length = memory.length();
    Result<void> result;
    if (limits_.request_alignment == 1 && length <= limits_.max_transfer)
        result = co_await do_read(offset, memory);
    else if (offset % limits_.request_alignment || length % limits_.request_alignment ||
             !memory.aligned(limits_.memory_alignment))
        result = co_await read_unaligned(offset, memory);
    else
        for (u64 done = 0; done < length && result;) {
            u64 step = std::min(length - done, limits_.max_transfer);
            IoVec part = memory.slice(done, step);
            result = co_await do_read(offset + done, part);
            done += step;
        }
    count(statistics_.read, length, result);
    co_return result;
}

Task<Result<void>> Node::read_unaligned(u64 offset, const IoVec& memory) {
    u64 alignment = limits_.request_alignment;
    for (u64 done = 0; done < memory.length();) {
        u64 start = round_down(offset + done, alignment);
        u64 end =
            std::min(round_up(offset + memory.length(), alignment), start + round_up(zero_buffer_size, alignment));
        CO_TRY(auto bounce, Buffer::create(end - start));
        IoVec whole = bounce.vec();
        CO_CHECK(co_await do_read(start, whole));
        u64 skip = offset + done - start;
        u64 n = std::min(end - start - skip, memory.length() - done);
        memory.copy_from(done, bounce.data() + skip, n);
        done += n;
    }
    co_return Result<void>();
}

Task<Result<void>> Node::write(u64 offset, const IoVec& memory, u32 flags) {
    InFlight guard(*this);
    CO_CHECK(begin_write(offset, memory.length()));
    Result<void> result;
    if (options_.detect_zeroes != DetectZeroes::off && memory.length() && memory.is_zero()) {
        bool unmap = options_.detect_zeroes == DetectZeroes::unmap && options_.discard == DiscardMode::unmap;
        u32 how = (flags & flag::unchanged) | (unmap ? flag::may_unmap : 0);
        result = co_await write_zeroes(offset, memory.length(), how);
    } else {
        if (limits_.request_alignment == 1 && memory.length() <= limits_.max_transfer)
            result = co_await do_write(offset, memory);
        else
            result = co_await write_split(offset, memory);
        count(statistics_.write, memory.length(), result);
        // Afterwards, and also after errors: whoever copied what was there before must copy it again.
        if (!(flags & flag::unchanged)) mark_dirty(offset, memory.length());
    }
    if (result && (flags & flag::fua)) result = co_await flush();
    co_return result;
}

Task<Result<void>> Node::write_split(u64 offset, const IoVec& memory) {
    u64 alignment = limits_.request_alignment;
    auto lock = co_await alignment_lock_.lock();
    if (offset % alignment || memory.length() % alignment || !memory.aligned(limits_.memory_alignment))
        co_return co_await write_unaligned(offset, memory);
    // Aligned requests don't exclude each other.
    lock.unlock();
    for (u64 done = 0; done < memory.length();) {
        u64 step = std::min(memory.length() - done, limits_.max_transfer);
        IoVec part = memory.slice(done, step);
        CO_CHECK(co_await do_write(offset + done, part));
        done += step;
    }
    co_return Result<void>();
}

Task<Result<void>> Node::write_unaligned(u64 offset, const IoVec& memory) {
    u64 alignment = limits_.request_alignment, length = memory.length();
    for (u64 done = 0; done < length;) {
        u64 start = round_down(offset + done, alignment);
        u64 end = std::min(round_up(offset + length, alignment), start + round_up(zero_buffer_size, alignment));
        CO_TRY(auto bounce, Buffer::create(end - start));
        u64 skip = offset + done - start;
        u64 n = std::min(end - start - skip, length - done);
        // Only the first and the last unit hold bytes that stay.
        IoVec first(bounce.data(), alignment), last(bounce.data() + (end - start) - alignment, alignment);
        if (skip || n < alignment) CO_CHECK(co_await do_read(start, first));
        if (skip + n < end - start && (end - start > alignment || !skip))
            CO_CHECK(co_await do_read(end - alignment, last));
        memory.copy_to(done, bounce.data() + skip, n);
        IoVec whole = bounce.vec();
        CO_CHECK(co_await do_write(start, whole));
        done += n;
    }
    co_return Result<void>();
}

Task<Result<void>> Node::write_zero_buffers(u64 offset, u64 length) {
    CO_TRY(auto zeros, Buffer::zeroed(std::min(length, zero_buffer_size)));
    while (length) {
        u64 step = std::min(length, zero_buffer_size);
        IoVec part(zeros.data(), step);
        if (limits_.request_alignment == 1)
            CO_CHECK(co_await do_write(offset, part));
        else
            CO_CHECK(co_await write_split(offset, part));
        offset += step;
        length -= step;
    }
    co_return Result<void>();
}

Task<Result<void>> Node::write_zeroes(u64 offset, u64 length, u32 flags) {
    InFlight guard(*this);
    CO_CHECK(begin_write(offset, length));
    if (options_.discard == DiscardMode::ignore) flags &= ~flag::may_unmap;
    u64 alignment = limits_.request_alignment;
    Result<void> result;
    for (u64 at = offset, end = offset + length; at < end && result;) {
        u64 step = std::min(end - at, limits_.max_zeroes);
        // What does not fill whole units is written out.
        if (u64 over = at % alignment) {
            step = std::min(step, alignment - over);
            result = co_await write_zero_buffers(at, step);
        } else if (step < alignment) {
            result = co_await write_zero_buffers(at, step);
        } else {
            step = round_down(step, alignment);
            result = co_await do_write_zeroes(at, step, flags & ~flag::unchanged);
            if (!result && result.error().kind() == ErrorKind::unsupported && !(flags & flag::no_fallback))
                result = co_await write_zero_buffers(at, step);
        }
        at += step;
    }
    count(statistics_.zero, length, result);
    if (!(flags & flag::unchanged)) mark_dirty(offset, length);
    if (result && (flags & flag::fua)) result = co_await flush();
    co_return result;
}

Task<Result<void>> Node::write_compressed(u64 offset, const IoVec& memory) {
    InFlight guard(*this);
    CO_CHECK(begin_write(offset, memory.length()));
    auto result = co_await do_write_compressed(offset, memory);
    count(statistics_.write, memory.length(), result);
    mark_dirty(offset, memory.length());
    co_return result;
}

Task<Result<void>> Node::discard(u64 offset, u64 length) {
    InFlight guard(*this);
    CO_CHECK(check_write(offset, length));
    if (options_.discard == DiscardMode::ignore) co_return Result<void>();
    // A discard is advice: what does not fill whole units stays.
    u64 start = round_up(offset, limits_.request_alignment),
        end = round_down(offset + length, limits_.request_alignment);
    Result<void> result;
    while (start < end && result) {
        u64 step = std::min(end - start, limits_.max_zeroes);
        result = co_await do_discard(start, step);
        mark_dirty(start, step);
        start += step;
    }
    if (!result && result.error().kind() == ErrorKind::unsupported) result = Result<void>();
    count(statistics_.discard, length, result);
    co_return result;
}

Task<Result<void>> Node::flush() {
    InFlight guard(*this);
    if (options_.read_only) co_return Result<void>();
    unflushed_ = in_flight_ > 1; // what others write meanwhile may not be in it
    auto result = co_await do_flush();
    unflushed_ |= !result;
    count(statistics_.flush, 0, result);
    co_return result;
}

Task<Result<Extent>> Node::status(u64 offset, u64 length) {
    InFlight guard(*this);
    length = std::min(length, size() - std::min(offset, size()));
    if (length == 0) co_return Error::invalid_argument("offset {} is past the end of '{}'", offset, filename_);
    CO_TRY(Extent e, co_await do_status(offset, length));
    e.length = std::min(e.length, length);
    MIMIC_CHECK(e.length > 0, "a block status is not empty");
    co_return e;
}

Task<Result<void>> Node::truncate(u64 new_size, Prealloc prealloc) {
    if (options_.read_only) co_return Error::permission("'{}' is open read-only", filename_);
    co_await drain();
    InFlight guard(*this);
    unflushed_ = true;
    CO_CHECK(co_await do_truncate(new_size, prealloc));
    for (auto& b : dirty_) b->resize(size());
    co_return Result<void>();
}

Task<Result<void>> Node::copy_to(u64 offset, Node& target, u64 target_offset, u64 length) {
    InFlight guard(*this), other(target);
    CO_CHECK(target.begin_write(target_offset, length));
    Result<void> result = co_await do_copy_to(offset, target, target_offset, length);
    target.mark_dirty(target_offset, length);
    co_return result;
}

Task<Result<void>> Node::close() {
    if (closed_) co_return Result<void>();
    closed_ = true;
    hurry(true);
    co_await drain();
    hurry(false);
    Result<void> result;
    if (unflushed_) result = co_await do_flush();
    Result<void> ended = co_await do_close();
    if (result && !ended) result = ended;
    // Every layer is closed, whatever became of the ones before; the first error counts.
    while (!children_.empty()) {
        NodePtr below = children_.back()->ptr();
        children_.pop_back();
        if (!below->parents().empty()) continue;
        Result<void> r = co_await below->close();
        if (result && !r) result = r;
    }
    co_return result;
}

Task<Result<void>> Node::reopen(bool read_only) {
    if (read_only == options_.read_only) co_return Result<void>();
    co_await drain();
    constexpr u8 writing = perm::write | perm::resize;
    auto permit = [this](bool write) -> Result<void> {
        for (auto& e : children_)
            if (e->role() == "file" || e->role() == "data-file")
                TRY(e->change(u8(write ? e->perms() | writing : e->perms() & ~writing), e->shared()));
        return {};
    };
    if (read_only) {
        CO_CHECK(co_await do_reopen(true));
        options_.read_only = true;
        co_return permit(false);
    }
    CO_CHECK(permit(true));
    options_.read_only = false;
    Result<void> r = co_await do_reopen(false);
    if (r) co_return r;
    options_.read_only = true;
    permit(false).ignore(); // giving up always works
    co_return r;
}

Task<void> Node::drain() {
    while (in_flight_) co_await idle_.wait();
}

Result<u64> Node::allocated_size() const {
    u64 sum = 0;
    for (auto& e : children_)
        if (e->role() != "backing") sum += TRY(e->node().allocated_size());
    return sum;
}

// What a driver without the ability says.
Task<Result<void>> Node::do_write_zeroes(u64, u64, u32) { co_return unsupported("writing zeros efficiently"); }
Task<Result<void>> Node::do_write_compressed(u64, const IoVec&) { co_return unsupported("compressed writes"); }
Task<Result<void>> Node::do_discard(u64, u64) { co_return unsupported("discard"); }
Task<Result<void>> Node::do_flush() {
    for (auto& e : children_)
        if (e->role() != "backing") CO_CHECK(co_await e->node().flush());
    co_return Result<void>();
}
Task<Result<Extent>> Node::do_status(u64, u64 length) {
    co_return Extent{.length = length, .allocated = true, .data = true};
}
Task<Result<void>> Node::do_truncate(u64, Prealloc) { co_return unsupported("resizing"); }
Task<Result<void>> Node::do_copy_to(u64, Node&, u64, u64) { co_return unsupported("copy offload"); }
Task<Result<void>> Node::do_close() { co_return Result<void>(); }
Result<void> Node::permissions_changed(u8, u8) { return {}; }
Task<Result<CheckReport>> Node::check(Fix) { co_return unsupported("checks"); }
Task<Result<void>> Node::snapshot_create(SnapshotInfo) { co_return unsupported("internal snapshots"); }
Task<Result<void>> Node::snapshot_apply(const std::string&) { co_return unsupported("internal snapshots"); }
Task<Result<void>> Node::snapshot_apply(const SnapshotInfo&) { co_return unsupported("internal snapshots"); }
Task<Result<void>> Node::snapshot_delete(const std::string&) { co_return unsupported("internal snapshots"); }
Task<Result<void>> Node::snapshot_delete(const SnapshotInfo&) { co_return unsupported("internal snapshots"); }
Task<Result<void>> Node::state_write(u64, const IoVec&) { co_return unsupported("machine state"); }
Task<Result<void>> Node::state_discard() { co_return unsupported("machine state"); }
Task<Result<void>> Node::state_read(const SnapshotInfo&, u64, const IoVec&) { co_return unsupported("machine state"); }
Task<Result<void>> Node::snapshot_load(const std::string&, const std::string&) {
    co_return unsupported("internal snapshots");
}
Task<Result<void>> Node::set_backing_file(const std::string&, const std::string&) {
    co_return unsupported("changing the backing file");
}
Task<Result<void>> Node::make_empty() { co_return unsupported("emptying the image"); }
Task<Result<void>> Node::amend(Json) { co_return unsupported("amending options"); }

// ---- dirty bitmaps ----------------------------------------------------------------------------------------------------

u64 Node::default_granularity() const { return std::clamp<u64>(cluster_size(), 4096, 65536); }

std::shared_ptr<DirtyBitmap> Node::find_tracked(std::string_view name) const {
    for (auto& b : dirty_)
        if (b->name() == name) return b;
    return nullptr;
}

std::vector<BitmapInfo> Node::bitmaps() const {
    std::vector<BitmapInfo> list;
    for (auto& b : dirty_)
        if (!b->name().empty() && !b->persistent)
            list.push_back({b->name(), b->granularity(), false, b->enabled, false});
    return list;
}

Task<Result<std::shared_ptr<DirtyBitmap>>> Node::bitmap(const std::string& name) {
    if (name.empty() || !find_tracked(name)) co_return Error::invalid_argument("Dirty bitmap '{}' not found", name);
    co_return find_tracked(name);
}

Task<Result<void>> Node::bitmap_add(const std::string& name, u64 granularity, bool enabled, bool persistent) {
    if (persistent) co_return unsupported("storing dirty bitmaps");
    if (name.empty() || name.size() > max_bitmap_name)
        co_return Error::invalid_argument("bitmap name of {} bytes, expected 1 to {}", name.size(), max_bitmap_name);
    for (auto& b : bitmaps())
        if (b.name == name) co_return Error::exists("Bitmap already exists: {}", name);
    if (granularity == 0) granularity = default_granularity();
    CO_TRY(auto made, DirtyBitmap::create(name, size(), granularity));
    made->enabled = enabled;
    track(std::move(made));
    co_return Result<void>();
}

Task<Result<void>> Node::bitmap_remove(const std::string& name) {
    CO_TRY(auto found, co_await Node::bitmap(name));
    untrack(*found);
    co_return Result<void>();
}

Task<Result<void>> Node::bitmap_clear(const std::string& name) {
    CO_TRY(auto found, co_await bitmap(name));
    CO_CHECK(co_await bitmaps_will_change());
    found->clear_all();
    co_return Result<void>();
}

Task<Result<void>> Node::bitmap_enable(const std::string& name, bool on) {
    CO_TRY(auto found, co_await bitmap(name));
    CO_CHECK(co_await bitmaps_will_change());
    found->enabled = on;
    co_return Result<void>();
}

Task<Result<void>> Node::bitmap_merge(const std::string& target, Node& from, const std::string& source) {
    CO_TRY(auto to, co_await bitmap(target));
    CO_TRY(auto what, co_await from.bitmap(source));
    if (to->size() != what->size())
        co_return Error::invalid_argument(
            "Bitmaps are of different sizes (destination size is {} and source size is {}) and can't be merged",
            to->size(), what->size());
    CO_CHECK(co_await bitmaps_will_change());
    to->merge(*what);
    co_return Result<void>();
}

Task<Result<bool>> Node::bitmap_state(const std::string& name, u64 offset, u64& length) {
    CO_TRY(auto found, co_await bitmap(name));
    co_return found->state(offset, length);
}

// ---- chains -----------------------------------------------------------------------------------------------------------

Task<Result<ChainExtent>> status_above(Node& top, Node* base, u64 offset, u64 length) {
    ChainExtent found;
    found.extent.length = length;
    unsigned depth = 0;
    for (Node* node = &top; node && node != base; node = node->driver().is_filter ? node->file() : node->backing()) {
        // Filters add no depth: what they show is their child's.
        if (node->driver().is_filter && node->file()) continue;
        u64 size = node->size();
        if (offset >= size) {
            // A short layer reads as zeros past its end and hides what is below.
            found.extent.allocated = found.extent.zero = true;
            found.depth = depth;
            found.layer = node;
            co_return found;
        }
        CO_TRY(Extent e, co_await node->status(offset, std::min(found.extent.length, size - offset)));
        found.extent = e;
        found.depth = depth;
        if (e.allocated) {
            found.layer = node;
            co_return found;
        }
        depth++;
    }
    found.extent.allocated = found.extent.data = false;
    if (depth != 1) found.extent.has_offset = false;
    found.extent.zero = !base;
    found.depth = depth ? depth - 1 : 0;
    co_return found;
}

} // namespace mimic::block
