// Stream: copies what shows through into the layer itself. Users' writes and the job's steps exclude each other by range: a step
// looks whether its range is still unallocated, reads and writes it, and nothing of a user's comes in between.
#include "block/jobs/copy.hpp"
#include "block/jobs/disk_jobs.hpp"
#include <algorithm>

namespace mimic::block {

namespace {

class StreamJob final : public DiskJob {
public:
    StreamJob(Jobs& jobs, StreamOptions o) : DiskJob(jobs, JobType::stream, o, o.node), o_(std::move(o)) {
        on_read = on_write = o_.on_error;
    }

    Task<Result<void>> begin() {
        Node& node = *source_;
        if (o_.base) o_.base = skip_filters(o_.base.get())->shared_from_this();
        CO_CHECK(take_reading(*source_));
        CO_TRY(FrozenChain chain,
               FrozenChain::freeze(source_.get(), o_.base.get(), "block device is in use by block job: stream"));
        CO_CHECK(co_await writable_.take(node));
        u64 granularity = std::max<u64>(65536, node.cluster_size());
        CO_TRY(todo, DirtyBitmap::create({}, source_->size(), granularity));
        todo->set(0, source_->size());
        set_total(source_->size());
        Drained quiet = co_await drain(*source_);
        CO_CHECK(insert_filter(stream_top_driver, o_.filter_name, nullptr, 0, 0));
        frozen_ = std::move(chain);
        filter_->around_write = [f = filter_.get()](u64 offset, u64 length, JobFilter::Change change, bool) {
            return user_write(*f, offset, length, std::move(change));
        };
        co_return Result<void>();
    }
    // begin() failed on its way.
    Task<void> give_up() { co_await writable_.give_back(); }

protected:
    Task<Result<void>> run() override {
        if (!backing_of(&source())) {
            progress(todo->size());
            co_return Result<void>();
        }
        co_return co_await work();
    }

    Task<Result<bool>> needs(u64 offset, u64& length) override {
        CO_TRY(ChainExtent e, co_await status_above(source(), o_.base.get(), offset, length));
        length = e.extent.length;
        co_return e.layer&& e.layer != skip_filters(&source());
    }

    Task<Result<void>> copy(u64 offset, u64 length, bool& read_failed) override {
        Node& node = source();
        u32 flags = flag::unchanged;
        return copy_range(node, node, offset, length, read_failed, flags);
    }

    Task<Result<void>> prepare() override {
        auto lock = co_await jobs().context().graph.lock();
        frozen_.thaw();
        Node& node = *skip_filters(&source());
        Edge* old = node.child("backing");
        if (!old) co_return Result<void>();
        NodePtr below = old->ptr(), base;
        // With the filters of other jobs in front of it.
        if (Node* above = o_.base ? overlay_of(&node, o_.base.get()) : nullptr) base = above->child("backing")->ptr();
        if (o_.base && !base)
            co_return Error::busy("'{}' is no longer below '{}'", o_.base->options().node_name,
                                  node.options().node_name);
        std::string name = o_.backing_file.value_or(base ? skip_filters(base.get())->filename() : "");
        std::string format = name.empty() ? "" : std::string(base ? skip_filters(base.get())->driver().name : "");
        {
            Drained quiet = co_await drain(node);
            CO_CHECK(co_await node.flush());
            CO_CHECK(co_await change_backing(node, base, name, format));
        }
        co_await let_go(below);
        co_return Result<void>();
    }
    Task<void> clean() override {
        co_await remove_filter();
        co_await writable_.give_back();
    }

private:
    static Task<Result<void>> user_write(JobFilter& f, u64 offset, u64 length, JobFilter::Change change) {
        auto range = co_await f.ranges.lock(offset, length, false);
        co_return co_await change(*f.file());
    }
    StreamOptions o_;
    MadeWritable writable_;
};

} // namespace

Task<Result<JobPtr>> make_stream(Jobs& jobs, StreamOptions o) {
    bool below =
        !o.base || (skip_filters(o.base.get()) != skip_filters(o.node.get()) && in_chain(o.node.get(), o.base.get()));
    if (!below)
        co_return Error::invalid_argument("Node '{}' is not a backing image of '{}'", o.base->options().node_name,
                                          o.node->options().node_name);
    co_return co_await begun(jobs, std::make_shared<StreamJob>(jobs, std::move(o)));
}

} // namespace mimic::block
