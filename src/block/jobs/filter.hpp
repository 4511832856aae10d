// JobFilter: the node that a job puts above the one it works on. Requests of the users above pass through it, so that the job
// can do something before or after them. What the job itself reads and writes goes through the filter's own edges, too:
// a drained section above any of these nodes so waits for the job's step, and the job waits for the section at its root.
#pragma once
#include "block/graph.hpp"
#include "block/ranges.hpp"

namespace mimic::block {

class JobFilter : public Node {
public:
    JobFilter(Context& context, const Driver& driver, NodeOptions options, Node& source);

    u64 size() const override { return file()->size(); }
    u64 cluster_size() const override { return file()->cluster_size(); }
    bool has_zero_init() const override { return file()->has_zero_init(); }
    bool supports_compressed() const override { return file()->supports_compressed(); }
    Node* target() const {
        Edge* e = child("target");
        return e ? &e->node() : nullptr;
    }

    // What a job's step has while it works here: drain() waits for it.
    struct Step : InFlight {
        explicit Step(JobFilter& f) : InFlight(f) {}
    };

    // Ranges of the disk that somebody works on.
    RangeLocks ranges;
    // Before and after a change by the users above; errors are theirs. `change` does it.
    std::function<Task<Result<void>>(u64 offset, u64 length)> before_write;
    using Change = std::function<Task<Result<void>>(Node&)>;
    std::function<Task<Result<void>>(u64 offset, u64 length, Change change, bool discard)> around_write;

protected:
    Task<Result<void>> do_read(u64 offset, const IoVec& memory) override { return file()->read(offset, memory); }
    Task<Result<void>> do_write(u64 offset, const IoVec& memory) override;
    Task<Result<void>> do_write_zeroes(u64 offset, u64 length, u32 flags) override;
    Task<Result<void>> do_write_compressed(u64 offset, const IoVec& memory) override;
    Task<Result<void>> do_discard(u64 offset, u64 length) override;
    Task<Result<void>> do_flush() override { return file()->flush(); }
    Task<Result<Extent>> do_status(u64 offset, u64 length) override { return file()->status(offset, length); }
    Task<Result<void>> do_truncate(u64 size, Prealloc prealloc) override { return file()->truncate(size, prealloc); }

private:
    Task<Result<void>> change(u64 offset, u64 length, Change c, bool discard = false);
};

extern const Driver copy_before_write_driver, mirror_top_driver, commit_top_driver, stream_top_driver;

} // namespace mimic::block
