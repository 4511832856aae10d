// Backup: the target becomes what the source showed when the job began. A user's write waits until what it overwrites is copied.
// If the target can't take it, the write goes on all the same and the backup fails: the guest's data come first.
#include "block/jobs/copy.hpp"
#include "block/jobs/disk_jobs.hpp"
#include <algorithm>

namespace mimic::block {

namespace {

using namespace std::chrono_literals;

class BackupJob final : public DiskJob {
public:
    BackupJob(Jobs& jobs, BackupOptions o) : DiskJob(jobs, JobType::backup, o, o.node), o_(std::move(o)) {
        on_read = o_.on_source_error;
        on_write = o_.on_target_error;
        max_workers = unsigned(std::clamp<u64>(o_.max_workers, 1, 64));
    }

    Task<Result<void>> begin() {
        if (o_.target->size() != source_->size())
            co_return Error::invalid_argument("Source and target image have different sizes");
        CO_CHECK(take_reading(*source_));
        u64 unit = std::max<u64>(65536, o_.target->cluster_size());
        CO_TRY(todo, DirtyBitmap::create({}, source_->size(), unit));
        CO_CHECK(co_await take_bitmap());
        Drained quiet = co_await drain(*source_);
        if (bitmap_ && o_.sync != Sync::full && o_.sync != Sync::top)
            todo->merge(*bitmap_);
        else
            todo->set(0, source_->size());
        CO_CHECK(insert_filter(copy_before_write_driver, o_.filter_name, o_.target,
                               perm::consistent_read | perm::write | perm::resize,
                               perm::consistent_read | perm::write_unchanged));
        if (bitmap_) {
            bitmap_->user = id();
            // What is written from now on, for the next backup.
            CO_TRY(successor_, DirtyBitmap::create({}, source_->size(), bitmap_->granularity()));
            if (bitmap_->enabled) source_->track(successor_);
        }
        set_total(o_.sync == Sync::none ? source_->size() : todo->dirty_bytes());
        filter_->before_write = [this](u64 offset, u64 length) { return save(offset, length); };
        co_return Result<void>();
    }

protected:
    Task<Result<void>> run() override {
        if (o_.sync == Sync::none) {
            while (!cancelled() && !broken_) {
                co_await pause_point();
                if (!cancelled() && !broken_) co_await wait(1s);
            }
            if (broken_) co_return *broken_;
            co_return Result<void>();
        }
        CO_CHECK(co_await work());
        if (broken_) co_return *broken_;
        JobFilter::Step busy(*filter_);
        co_return co_await o_.target->flush();
    }
    Task<Result<bool>> needs(u64 offset, u64& length) override {
        if (o_.sync != Sync::top) co_return true;
        CO_TRY(ChainExtent e, co_await status_above(source(), backing_of(&source()), offset, length));
        length = e.extent.length;
        co_return e.layer != nullptr;
    }
    Task<Result<void>> copy(u64 offset, u64 length, bool& read_failed) override {
        u64 unit = o_.compress ? o_.target->cluster_size() : length;
        for (u64 at = offset; at < offset + length; at += unit) {
            u64 n = std::min(unit, offset + length - at);
            CO_CHECK(co_await copy_range(source(), *o_.target, at, n, read_failed, flag::may_unmap, o_.compress));
        }
        co_return Result<void>();
    }

    Task<void> commit() override {
        if (bitmap_ && o_.bitmap_mode != BitmapMode::never) {
            Result<void> r = co_await source_->bitmaps_will_change();
            if (r) {
                bitmap_->clear_all();
                bitmap_->merge(*successor_);
            } // else it stays as it was, which only copies too much next time
        }
    }
    Task<void> abort() override {
        if (bitmap_ && o_.bitmap_mode == BitmapMode::always) {
            Result<void> r = co_await source_->bitmaps_will_change();
            if (r) {
                bitmap_->clear_all();
                bitmap_->merge(*successor_);
                bitmap_->merge(*todo);
            }
        }
    }
    Task<void> clean() override {
        if (bitmap_) bitmap_->user.clear();
        if (successor_) source_->untrack(*successor_);
        co_await remove_filter();
    }

private:
    Task<Result<void>> take_bitmap() {
        if (o_.bitmap.empty()) co_return Result<void>();
        CO_TRY(bitmap_, co_await source_->bitmap(o_.bitmap));
        if (bitmap_->user.empty()) co_return Result<void>();
        bitmap_.reset();
        co_return Error::busy("Bitmap '{}' is currently in use by another operation and cannot be used", o_.bitmap);
    }

    // What the range holds goes to the target first.
    Task<Result<void>> save(u64 offset, u64 length) {
        u64 unit = todo->granularity(), low = round_down(offset, unit),
            high = std::min(round_up(offset + length, unit), todo->size());
        u64 at = 0, n = 0;
        if (broken_ || !todo->next(low, high - low, at, n) || at >= high) {
            // It may be on its way there.
            auto range = co_await filter_->ranges.lock(low, high - low, false);
            co_return Result<void>();
        }
        auto range = co_await filter_->ranges.lock(low, high - low, true);
        bool read_failed = false;
        Result<void> r = co_await do_now(low, high, read_failed);
        if (r) co_return r;
        broken_ = r.error();
        fail(std::move(r).error());
        co_return Result<void>();
    }

    BackupOptions o_;
    std::shared_ptr<DirtyBitmap> bitmap_, successor_;
    std::optional<Error> broken_;
};

Result<void> check(const BackupOptions& o) {
    if (o.node == o.target) return Error::invalid_argument("Source and target cannot be the same");
    if (o.target->read_only()) return Error::permission("Node '{}' is read only", o.target->options().node_name);
    if (o.compress && !o.target->supports_compressed())
        return Error::unsupported("Compression is not supported for this drive '{}'", o.target->options().node_name);
    bool wants = o.sync == Sync::incremental || o.sync == Sync::bitmap;
    if (wants && o.bitmap.empty())
        return Error::invalid_argument("must provide a valid bitmap name for '{}' sync mode", sync_names[u8(o.sync)]);
    if (!o.bitmap.empty() && o.sync == Sync::none)
        return Error::invalid_argument("sync mode 'none' does not produce meaningful bitmap outputs");
    return {};
}

} // namespace

Task<Result<JobPtr>> make_backup(Jobs& jobs, BackupOptions o) {
    CO_CHECK(check(o));
    auto job = std::make_shared<BackupJob>(jobs, std::move(o));
    CO_CHECK(co_await job->begin());
    jobs.add(job);
    co_return JobPtr(job);
}

} // namespace mimic::block
