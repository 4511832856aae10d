// DiskJob: what the jobs that move data between layers have in common: a filter above the source, a map of what is left to do,
// workers that do it beside each other, error policies, and the nodes put back when all is over.
#pragma once
#include "block/jobs/filter.hpp"
#include "block/jobs/job.hpp"

namespace mimic::block {

class DiskJob : public Job {
public:
protected:
    // Filters of other jobs above the source stay above this one's.
    DiskJob(Jobs& jobs, JobType type, JobOptions options, const NodePtr& source)
        : Job(jobs, type, std::move(options))
        , source_(skip_filters(source.get())->shared_from_this()) {}
    // What the filter shows now: another job may have put another node in the source's place.
    Node& source() const { return filter_ ? *filter_->file() : *source_; }
    NodePtr source_ptr() const { return filter_ ? filter_->child("file")->ptr() : source_; }

    // Puts a filter of the driver above the source, and a target below it if there is one. In a drained section of the source.
    Result<void> insert_filter(const Driver& driver, const std::string& name, NodePtr target, u8 target_perms,
                               u8 target_shared);
    // Users above use the source again (or `instead`), and the filter is gone. Takes the drained section itself.
    Task<void> remove_filter(NodePtr instead = nullptr);
    // The same by a caller that has the graph and the section.
    void dismantle(NodePtr instead);

    // What is left to do; a bit is a unit of work.
    std::shared_ptr<DirtyBitmap> todo;
    // Is there anything to do at `offset`? Lowers `length` to how far the answer holds.
    virtual Task<Result<bool>> needs(u64 /*offset*/, u64& /*length*/) { co_return true; }
    // Does [offset, offset + length): the range is locked and its bits are clear. `read_failed` tells which side an error was on.
    virtual Task<Result<void>> copy(u64 offset, u64 length, bool& read_failed) = 0;
    // Until nothing is left, the job is cancelled or has failed. May be called again.
    Task<Result<void>> work();
    // Does what is left of whole units, at once; the range is locked. What failed is left again.
    Task<Result<void>> do_now(u64 offset, u64 end, bool& read_failed);
    void fail(Error error) {
        if (!failed_) failed_ = std::move(error);
        wake();
    }
    OnError on_read = OnError::report, on_write = OnError::report;
    u64 max_step = 1u << 20;
    unsigned max_workers = 8;
    // No gate is waited for: the job has the section itself.
    bool inside_section = false;

    // Reads of the source's chain and writes to the target; zeros stay zeros.
    Task<Result<void>> copy_range(Node& from, Node& to, u64 offset, u64 length, bool& read_failed, u32 zero_flags,
                                  bool compress = false);

    NodePtr source_;
    std::shared_ptr<JobFilter> filter_;
    std::shared_ptr<Root> root_;
    FrozenChain frozen_;

private:
    Task<Result<void>> step(u64 offset, u64 length);
    Task<Result<u64>> measure(u64 offset, u64 length);
    std::optional<Error> failed_;
    bool later_ = false; // something failed that is to be tried again
};

// While a job writes to the base of a chain, what the layers above it show is nobody's business but the job's: their links let
// it write, until restore().
class RelaxedChain {
public:
    // Errors: somebody else reads a layer between.
    static Result<RelaxedChain> relax(Node* top, Node* base);
    void restore();

private:
    struct Link {
        std::weak_ptr<Node> parent;
        std::string role;
        u8 perms, shared;
    };
    std::vector<Link> links_;
};

// The disk above shows another node where it has nothing (null: zeros), and its header says so. In a drained section.
Task<Result<void>> change_backing(Node& overlay, NodePtr base, const std::string& name, const std::string& format);
// Makes a node writable, or read-only again, with the file below it.
Task<Result<void>> set_writable(Node& node, bool writable);
// The nodes that a job writes to and that were read-only: writable, with the files below them, until give_back().
class MadeWritable {
public:
    // Does nothing if it is writable.
    Task<Result<void>> take(Node& node);
    Task<void> give_back();

private:
    std::vector<NodePtr> nodes_;
};
// Closes a node that nobody uses any more.
Task<void> let_go(NodePtr node);

// The job, on the list, if what it needs of the graph was to be had; else all is as before.
template <class J>
Task<Result<JobPtr>> begun(Jobs& jobs, std::shared_ptr<J> job) {
    Result<void> r = co_await job->begin();
    if (!r) {
        co_await job->give_up();
        co_return std::move(r).error();
    }
    jobs.add(job);
    co_return JobPtr(job);
}

} // namespace mimic::block
