// Jobs that are one task: creating and amending images.
#include "block/jobs/disk_jobs.hpp"

namespace mimic::block {

namespace {

class TaskJob final : public Job {
public:
    TaskJob(Jobs& jobs, JobType type, JobOptions o, std::function<Task<Result<void>>()> task)
        : Job(jobs, type, std::move(o))
        , task_(std::move(task)) {
        set_total(1);
    }
    bool on_disks() const override { return false; }

protected:
    Task<Result<void>> run() override {
        CO_CHECK(co_await task_());
        progress(1);
        co_return Result<void>();
    }

private:
    std::function<Task<Result<void>>()> task_;
};

} // namespace

JobPtr make_task_job(Jobs& jobs, JobType type, JobOptions o, std::function<Task<Result<void>>()> task) {
    auto job = std::make_shared<TaskJob>(jobs, type, std::move(o), std::move(task));
    jobs.add(job);
    return job;
}

} // namespace mimic::block
