// Mirror: a map of what differs, which users' writes add to, is worked off until both sides are the same; then the job is ready
// and keeps them so. With copy-mode write-blocking users' writes go to both sides before they end. At the end the users wait
// while the rest is copied, and if the job was completed, they use the target from then on.
#include "block/jobs/copy.hpp"
#include "block/jobs/disk_jobs.hpp"
#include <algorithm>

namespace mimic::block {

namespace {

using namespace std::chrono_literals;
constexpr auto idle_wait = 100ms;

class MirrorJob final : public DiskJob {
public:
    MirrorJob(Jobs& jobs, MirrorOptions o)
        : DiskJob(jobs, o.is_commit ? JobType::commit : JobType::mirror, o, o.node)
        , o_(std::move(o)) {
        on_read = o_.on_source_error;
        on_write = o_.on_target_error;
        zero_flags_ = o_.unmap ? flag::may_unmap : 0;
    }

    Task<Result<void>> begin() {
        if (o_.is_commit) {
            o_.target = skip_filters(o_.target.get())->shared_from_this();
            CO_CHECK(co_await begin_commit());
        } else if (o_.target->size() != source_->size()) {
            co_return Error::invalid_argument("Source and target image have different sizes");
        } else {
            CO_CHECK(take_reading(*source_));
        }
        Node& target = *o_.target;
        u64 granularity = o_.granularity;
        if (!granularity) granularity = std::clamp<u64>(target.cluster_size(), 4096, 65536);
        if (!target.cluster_size()) granularity = 65536;
        CO_TRY(todo, DirtyBitmap::create({}, source_->size(), granularity));
        Drained quiet = co_await drain(*source_);
        u8 shared = perm::consistent_read | perm::write_unchanged;
        CO_CHECK(insert_filter(o_.is_commit ? commit_top_driver : mirror_top_driver, o_.filter_name, o_.target,
                               perm::consistent_read | perm::write | perm::resize, shared));
        if (o_.is_commit) {
            CO_TRY(frozen_,
                   FrozenChain::freeze(source_.get(), o_.target.get(), "block device is in use by block job: commit"));
        }
        filter_->around_write = [this](u64 offset, u64 length, JobFilter::Change change, bool discard) {
            return user_write(offset, length, std::move(change), discard);
        };
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
        CO_CHECK(co_await find_work());
        while (!cancelled() || (ready() && !forced())) {
            co_await pause_point();
            set_total(done() + todo->dirty_bytes());
            if (todo->any()) {
                CO_CHECK(co_await work());
                if (!todo->any() || !cancelled()) continue;
            }
            if (!ready() && !todo->any() && !cancelled()) {
                set_total(done());
                become_ready();
                continue;
            }
            if (completing_ || (cancelled() && ready() && !forced())) break;
            if (!cancelled()) co_await wait(idle_wait);
        }
        if (!ready() || forced()) co_return Result<void>();
        co_return co_await finish();
    }
    Task<Result<void>> copy(u64 offset, u64 length, bool& read_failed) override {
        return copy_range(source(), *o_.target, offset, length, read_failed, zero_flags_);
    }
    Result<void> do_complete() override {
        // Another job may rely on the links to this one's node.
        Node& replaced = o_.replaces ? *o_.replaces : *filter_;
        for (Edge* e : replaced.parents())
            if (!e->stays() && e->frozen())
                return Error::busy("'{}' cannot be replaced: {}", source().options().node_name, e->why_frozen());
        completing_ = true;
        return {};
    }
    bool ends_when_cancelled() const override { return true; }
    // Writes that are under way without the target add to the map when they end, as before.
    Result<void> do_set_copy_mode(bool write_blocking) override {
        if (o_.is_commit) return DiskJob::do_set_copy_mode(write_blocking);
        if (o_.write_blocking && !write_blocking)
            return Error::unsupported("Change to copy mode 'background' is not possible, expected 'write-blocking'");
        o_.write_blocking = write_blocking;
        return {};
    }

    Task<Result<void>> prepare() override {
        if (!completing_) co_return Result<void>();
        auto lock = co_await jobs().context().graph.lock();
        frozen_.thaw();
        // The job's own uses end here, so that the users may have theirs.
        CO_CHECK(filter_->child("target")->change(0, perm::all));
        if (o_.target_backing && !o_.target->backing())
            CO_CHECK(o_.target->add_child(o_.target_backing, "backing", perm::consistent_read,
                                          perm::consistent_read | perm::write_unchanged));
        if (o_.replaces) {
            if (o_.target->size() != o_.replaces->size())
                co_return Error::invalid_argument("cannot permanently replace '{}': its size differs",
                                                  o_.replaces->options().node_name);
            CO_CHECK(replace_node(*o_.replaces, o_.target));
        } else {
            u8 perms = filter_->child("file")->perms(), shared = filter_->child("file")->shared();
            CO_CHECK(filter_->child("file")->change(0, perm::all));
            Result<void> r = replace_node(*filter_, o_.target);
            if (!r) {
                filter_->child("file")->change(perms, shared).ignore(); // it had them before
                co_return r;
            }
        }
        pivoted_ = true;
        co_return Result<void>();
    }
    Task<void> clean() override {
        section_.end();
        bool took_over = pivoted_ && !o_.replaces;
        NodePtr instead, old = o_.replaces;
        if (took_over) instead = o_.target;
        if (!old) old = source_ptr();
        co_await remove_filter(instead);
        if (!pivoted_ || !o_.is_commit) relaxed_.restore();
        if (!took_over) co_await writable_.give_back();
        if (pivoted_) co_await let_go(old);
    }

private:
    Task<Result<void>> begin_commit() {
        CO_TRY(relaxed_, RelaxedChain::relax(source_.get(), o_.target.get()));
        Node& base = *o_.target;
        CO_CHECK(co_await writable_.take(base));
        if (base.size() < source_->size()) CO_CHECK(co_await base.truncate(source_->size()));
        co_return Result<void>();
    }

    // Adds what is to be copied at first to the map.
    Task<Result<void>> find_work() {
        if (o_.sync == Sync::none) co_return Result<void>();
        Node* base = o_.is_commit ? o_.target.get() : o_.sync == Sync::top ? backing_of(&source()) : nullptr;
        if (o_.sync == Sync::full && !o_.is_commit) {
            todo->set(0, todo->size());
            co_return Result<void>();
        }
        for (u64 at = 0; at < todo->size() && !cancelled();) {
            co_await pause_point();
            co_await root_->pass();
            JobFilter::Step busy(*filter_);
            CO_TRY(ChainExtent e, co_await status_above(source(), base, at, todo->size() - at));
            if (e.layer) todo->set(at, e.extent.length);
            at += e.extent.length;
            set_total(todo->dirty_bytes());
        }
        co_return Result<void>();
    }

    // The users wait from here on, until clean().
    Task<Result<void>> finish() {
        section_ = co_await drain(*filter_);
        inside_section = true;
        // A soft cancel must not stop the last copies: work() looks at it.
        Result<void> r;
        while (todo->any() && r) r = co_await last_copies();
        if (r) {
            JobFilter::Step busy(*filter_);
            r = co_await o_.target->flush();
        }
        set_total(done());
        if (!r) section_.end();
        co_return r;
    }
    Task<Result<void>> last_copies() {
        JobFilter::Step busy(*filter_);
        bool read_failed = false;
        co_return co_await do_now(0, todo->size(), read_failed);
    }

    Task<Result<void>> user_write(u64 offset, u64 length, JobFilter::Change change, bool discard) {
        // What a discard leaves may differ on the two sides, so it is copied.
        if (!o_.write_blocking || discard) {
            Result<void> r = co_await change(source());
            // Afterwards, and also after errors: what was copied meanwhile is copied again.
            todo->set(offset, length);
            if (asleep()) wake();
            co_return r;
        }
        u64 unit = todo->granularity(), low = round_down(offset, unit),
            high = std::min(round_up(offset + length, unit), todo->size());
        auto range = co_await filter_->ranges.lock(low, high - low, true);
        // Units that it covers in part are only the same afterwards if they were before.
        bool head = offset == low || !todo->get(low);
        u64 last = round_down(offset + length - 1, unit);
        bool tail = offset + length == high || !todo->get(last);
        Result<void> r = co_await change(source());
        todo->set(offset, length);
        if (!r) co_return r;
        Result<void> other = co_await change(*o_.target);
        if (!other) {
            if (handle(on_write, false, other.error()) == OnError::report) fail(other.error());
            co_return r;
        }
        u64 from = head ? low : low + unit, to = tail ? high : last;
        if (low == last && !(head && tail)) co_return r;
        if (from < to) todo->clear(from, to - from);
        co_return r;
    }

    MirrorOptions o_;
    u32 zero_flags_;
    bool completing_ = false, pivoted_ = false;
    MadeWritable writable_;
    RelaxedChain relaxed_;
    Drained section_;
};

} // namespace

Task<Result<JobPtr>> make_mirror(Jobs& jobs, MirrorOptions o) {
    if (o.sync == Sync::incremental || o.sync == Sync::bitmap)
        co_return Error::invalid_argument("Sync mode '{}' not supported", sync_names[u8(o.sync)]);
    if (o.node == o.target) co_return Error::invalid_argument("Can't mirror node into itself");
    if (!o.is_commit && o.target->read_only())
        co_return Error::permission("Node '{}' is read only", o.target->options().node_name);
    co_return co_await begun(jobs, std::make_shared<MirrorJob>(jobs, std::move(o)));
}

} // namespace mimic::block
