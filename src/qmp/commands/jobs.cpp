// Jobs: watching and steering them. QEMU QMP reference manual, "Background jobs" and "Block devices" (block-job-*).
#include "qmp/disks.hpp"

namespace mimic::qmp {

using block::Job;
using io::Task;

namespace {

Result<Job*> find_job(Server& s, const Arguments& a) {
    Job* j = s.storage().jobs().find(a.text("id"));
    if (!j) return Error::invalid_argument("Job not found");
    return j;
}
Result<Job*> find_disk_job(Server& s, const std::string& id) {
    Job* j = s.storage().jobs().find(id);
    if (j && j->on_disks()) return j;
    return Error::cancelled("Block job '{}' not found", id);
}

Result<Json> job_pause(Server& s, const Arguments& a) {
    Job* j = TRY(find_job(s, a));
    TRY(j->pause());
    return Json::object();
}
Result<Json> job_resume(Server& s, const Arguments& a) {
    Job* j = TRY(find_job(s, a));
    TRY(j->resume());
    return Json::object();
}
Result<Json> job_cancel(Server& s, const Arguments& a) {
    Job* j = TRY(find_job(s, a));
    TRY(j->cancel(true));
    return Json::object();
}
Result<Json> job_complete(Server& s, const Arguments& a) {
    Job* j = TRY(find_job(s, a));
    TRY(j->complete());
    return Json::object();
}
Result<Json> job_dismiss(Server& s, const Arguments& a) {
    Job* j = TRY(find_job(s, a));
    TRY(j->dismiss());
    return Json::object();
}
Task<Result<Json>> job_finalize(Server& s, const Arguments& a) {
    CO_TRY(Job * j, find_job(s, a));
    CO_CHECK(co_await j->finalize());
    co_return Json::object();
}

Result<Json> block_job_pause(Server& s, const Arguments& a) {
    Job* j = TRY(find_disk_job(s, a.text("device")));
    TRY(j->pause());
    return Json::object();
}
Result<Json> block_job_resume(Server& s, const Arguments& a) {
    Job* j = TRY(find_disk_job(s, a.text("device")));
    TRY(j->resume());
    return Json::object();
}
Result<Json> block_job_cancel(Server& s, const Arguments& a) {
    Job* j = TRY(find_disk_job(s, a.text("device")));
    bool force = a.flag("force");
    if (!force && j->paused())
        return Error::busy("The block job for device '{}' is currently paused", a.text("device"));
    TRY(j->cancel(force));
    return Json::object();
}
Result<Json> block_job_complete(Server& s, const Arguments& a) {
    Job* j = TRY(find_disk_job(s, a.text("device")));
    TRY(j->complete());
    return Json::object();
}
Result<Json> block_job_set_speed(Server& s, const Arguments& a) {
    Job* j = TRY(find_disk_job(s, a.text("device")));
    TRY(j->set_speed(a.number("speed")));
    return Json::object();
}
Result<Json> block_job_change(Server& s, const Arguments& a) {
    Job* j = TRY(find_disk_job(s, a.text("id")));
    std::string_view type = block::job_type_names[u8(j->type())];
    if (a.text("type") != type)
        return Error::invalid_argument("Job '{}' is of type '{}', not '{}'", j->id(), type, a.text("type"));
    if (!a.has("copy-mode")) return Error::invalid_argument("Parameter 'copy-mode' is missing");
    TRY(j->set_copy_mode(a.text("copy-mode") == "write-blocking"));
    return Json::object();
}
Result<Json> block_job_dismiss(Server& s, const Arguments& a) {
    Job* j = TRY(find_disk_job(s, a.text("id")));
    TRY(j->dismiss());
    return Json::object();
}
Task<Result<Json>> block_job_finalize(Server& s, const Arguments& a) {
    CO_TRY(Job * j, find_disk_job(s, a.text("id")));
    CO_CHECK(co_await j->finalize());
    co_return Json::object();
}

Result<Json> query_jobs(Server& s, const Arguments&) {
    Json list = Json::array();
    for (auto& j : s.storage().jobs().all()) {
        Json one = Json::object();
        one.set("id", j->id());
        one.set("type", block::job_type_names[u8(j->type())]);
        one.set("status", block::job_status_names[u8(j->status())]);
        one.set("current-progress", j->done());
        one.set("total-progress", j->total());
        if (j->error()) one.set("error", j->error()->message());
        list.push(std::move(one));
    }
    return list;
}

Result<Json> query_block_jobs(Server& s, const Arguments&) {
    Json list = Json::array();
    for (auto& j : s.storage().jobs().all()) {
        if (!j->on_disks()) continue;
        Json one = Json::object();
        one.set("type", block::job_type_names[u8(j->type())]);
        one.set("device", j->id());
        one.set("len", j->total());
        one.set("offset", j->done());
        one.set("busy", !j->paused() && !j->asleep());
        one.set("paused", j->paused());
        one.set("speed", j->speed());
        one.set("io-status", j->io_status());
        one.set("ready", j->ready());
        one.set("status", block::job_status_names[u8(j->status())]);
        one.set("auto-finalize", j->auto_finalize());
        one.set("auto-dismiss", j->auto_dismiss());
        if (j->error()) one.set("error", j->error()->message());
        list.push(std::move(one));
    }
    return list;
}

constexpr Command commands[] = {
    {"query-jobs", "", "[JobInfo]", "long work", query_jobs},
    {"job-pause", "id str", "", "pauses one", job_pause},
    {"job-resume", "id str", "", "lets it go on", job_resume},
    {"job-cancel", "id str", "", "gives one up at once", job_cancel},
    {"job-complete", "id str", "", "ends one that is ready", job_complete},
    {"job-finalize", "id str", "", "makes the changes of one that is pending", nullptr, false, job_finalize},
    {"job-dismiss", "id str", "", "forgets one that is over", job_dismiss},
    {"query-block-jobs", "", "[BlockJobInfo]", "long work on disks", query_block_jobs},
    {"block-job-pause", "device str", "", "pauses one", block_job_pause},
    {"block-job-resume", "device str", "", "lets it go on", block_job_resume},
    {"block-job-cancel", "device str, ?force bool", "", "ends one; a mirror that is ready keeps its target as it is",
     block_job_cancel},
    {"block-job-complete", "device str", "", "ends one that is ready", block_job_complete},
    {"block-job-set-speed", "device str, speed int", "", "bytes a second, 0 for no limit", block_job_set_speed},
    {"block-job-change", "id str, type JobType, ?copy-mode MirrorCopyMode", "", "another copy mode of a mirror",
     block_job_change},
    {"block-job-finalize", "id str", "", "makes the changes of one that is pending", nullptr, false,
     block_job_finalize},
    {"block-job-dismiss", "id str", "", "forgets one that is over", block_job_dismiss},
};

constexpr EventInfo events[] = {
    {"JOB_STATUS_CHANGE", "id str, status JobStatus", "a job is in another state"},
    {"BLOCK_JOB_COMPLETED", "type JobType, device str, len int, offset int, speed int, ?error str", "one is over"},
    {"BLOCK_JOB_CANCELLED", "type JobType, device str, len int, offset int, speed int", "one was given up"},
    {"BLOCK_JOB_READY", "type JobType, device str, len int, offset int, speed int",
     "a mirror is the same on both sides"},
    {"BLOCK_JOB_PENDING", "type JobType, id str", "one waits for block-job-finalize"},
    {"BLOCK_JOB_ERROR", "device str, operation IoOperationType, action BlockErrorAction", "an I/O error of one"},
};

} // namespace

constinit const Family job_family{R"(
enum JobType: commit stream mirror backup create amend snapshot-load snapshot-save snapshot-delete
enum JobStatus: undefined created running paused ready standby waiting pending aborting concluded null
enum IoOperationType: read write
enum BlockErrorAction: ignore report stop
enum BlockDeviceIoStatus: ok failed nospace
struct JobInfo: id str, type JobType, status JobStatus, current-progress int, total-progress int, ?error str
struct BlockJobInfo: type JobType, device str, len int, offset int, busy bool, paused bool, speed int, io-status BlockDeviceIoStatus, ready bool, status JobStatus, auto-finalize bool, auto-dismiss bool, ?error str
)",
                                  commands, events};

} // namespace mimic::qmp
