// Commit of layers that nobody writes: their data goes down into the base, then the layer above them is told to stand on it.
#include "block/jobs/copy.hpp"
#include "block/jobs/disk_jobs.hpp"
#include <algorithm>

namespace mimic::block {

namespace {

class CommitJob final : public DiskJob {
public:
    CommitJob(Jobs& jobs, CommitOptions o) : DiskJob(jobs, JobType::commit, o, o.top), o_(std::move(o)) {
        on_read = on_write = o_.on_error;
    }

    Task<Result<void>> begin() {
        o_.base = skip_filters(o_.base.get())->shared_from_this();
        Node* overlay = overlay_of(o_.active.get(), o_.top.get());
        if (!overlay)
            co_return Error::invalid_argument("Could not find an overlay of '{}'", o_.top->options().node_name);
        overlay_ = overlay->shared_from_this();
        CO_TRY(FrozenChain chain, FrozenChain::freeze(overlay, o_.base.get(), busy_text));
        CO_TRY(relaxed_, RelaxedChain::relax(source_.get(), o_.base.get()));
        CO_CHECK(co_await writable_.take(*o_.base));
        CO_CHECK(co_await writable_.take(*overlay_));
        if (o_.base->size() < source_->size()) CO_CHECK(co_await o_.base->truncate(source_->size()));
        CO_TRY(todo, DirtyBitmap::create({}, source_->size(), std::max<u64>(65536, o_.base->cluster_size())));
        todo->set(0, source_->size());
        set_total(source_->size());
        Drained quiet = co_await drain(*source_);
        chain.thaw(); // the link to the top moves to the filter
        CO_CHECK(insert_filter(commit_top_driver, o_.filter_name, o_.base,
                               perm::consistent_read | perm::write | perm::resize,
                               perm::consistent_read | perm::write_unchanged));
        CO_TRY(frozen_, FrozenChain::freeze(overlay, o_.base.get(), busy_text));
        co_return Result<void>();
    }

    // begin() failed on its way.
    Task<void> give_up() {
        frozen_.thaw();
        dismantle(source_);
        relaxed_.restore();
        co_await writable_.give_back();
    }

protected:
    Task<Result<void>> run() override {
        CO_CHECK(co_await work());
        JobFilter::Step busy(*filter_);
        co_return co_await o_.base->flush();
    }
    Task<Result<bool>> needs(u64 offset, u64& length) override {
        CO_TRY(ChainExtent e, co_await status_above(source(), o_.base.get(), offset, length));
        length = e.extent.length;
        co_return e.layer != nullptr;
    }
    Task<Result<void>> copy(u64 offset, u64 length, bool& read_failed) override {
        return copy_range(source(), *o_.base, offset, length, read_failed, flag::may_unmap);
    }

    Task<Result<void>> prepare() override {
        auto lock = co_await jobs().context().graph.lock();
        frozen_.thaw();
        Drained quiet = co_await drain(*overlay_);
        std::string name = o_.backing_file.value_or(skip_filters(o_.base.get())->filename());
        // The filter's right to write the base ends here.
        if (Edge* e = filter_->child("target")) CO_CHECK(e->change(0, perm::all));
        std::string format(o_.base->driver().name);
        Node* above = overlay_of(&source(), o_.base.get());
        if (!above)
            co_return Error::busy("'{}' is no longer below '{}'", o_.base->options().node_name,
                                  source_->options().node_name);
        NodePtr base = above->child("backing")->ptr(); // with the filters of other jobs
        co_return co_await change_backing(*overlay_, base, name, format);
    }
    Task<void> clean() override {
        NodePtr top = source_ptr();
        co_await remove_filter();
        relaxed_.restore();
        co_await writable_.give_back();
        co_await let_go(top);
    }

private:
    static constexpr std::string_view busy_text = "block device is in use by block job: commit";
    CommitOptions o_;
    NodePtr overlay_;
    MadeWritable writable_;
    RelaxedChain relaxed_;
};

} // namespace

Task<Result<JobPtr>> make_commit(Jobs& jobs, CommitOptions o) {
    Node* top = skip_filters(o.top.get());
    if (skip_filters(o.base.get()) == top || !in_chain(top, o.base.get()))
        co_return Error::invalid_argument("'{}' is not in the backing chain of '{}'", o.base->options().node_name,
                                          o.top->options().node_name);
    if (top == skip_filters(o.active.get())) {
        if (o.backing_file)
            co_return Error::invalid_argument("'backing-file' specified, but 'top' is the active layer");
        MirrorOptions m;
        static_cast<JobOptions&>(m) = o;
        m.node = o.active;
        m.target = o.base;
        m.is_commit = true;
        m.on_source_error = m.on_target_error = o.on_error;
        m.filter_name = o.filter_name;
        co_return co_await make_mirror(jobs, std::move(m));
    }
    co_return co_await begun(jobs, std::make_shared<CommitJob>(jobs, std::move(o)));
}

} // namespace mimic::block
