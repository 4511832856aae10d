#include "app/img/resume.hpp"
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace mimic::img {

namespace {

constexpr std::string_view kind = "mimic-convert";

// The nodes below which there is nothing: files, devices, servers.
void leaves(const block::Node& top, std::vector<const block::Node*>& all) {
    if (top.children().empty()) all.push_back(&top);
    for (auto& edge : top.children()) leaves(edge->node(), all);
}
std::vector<const block::Node*> leaves(const block::Node& top) {
    std::vector<const block::Node*> all;
    leaves(top, all);
    return all;
}

// When a file was last changed, in nanoseconds; 0 of what is no file.
u64 changed(const std::string& name) {
    struct stat st;
    if (stat(name.c_str(), &st) != 0 || !S_ISREG(st.st_mode)) return 0;
    return u64(st.st_mtim.tv_sec) * 1'000'000'000 + u64(st.st_mtim.tv_nsec);
}

// Which file has the name now: device and inode.
std::string identity(const std::string& name) {
    struct stat st;
    if (stat(name.c_str(), &st) != 0) return "none";
    return fmt::format("{}:{}", u64(st.st_dev), u64(st.st_ino));
}

// On stable storage when it is done, under its name only when it is whole.
Result<void> write_whole(const std::string& path, std::string_view text) {
    std::string beside = path + ".new";
    int fd = ::open(beside.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0666);
    if (fd < 0) return Error::from_errno(errno, "write '{}'", beside);
    bool ok = ::write(fd, text.data(), text.size()) == ssize_t(text.size()) && fsync(fd) == 0;
    int why = errno;
    ::close(fd);
    if (ok && std::rename(beside.c_str(), path.c_str()) == 0) return {};
    if (ok) why = errno;
    unlink(beside.c_str());
    return Error::from_errno(why, "write '{}'", path);
}

} // namespace

Resume::Resume(std::string file, std::string target, std::string settings, std::span<const block::Node* const> sources)
    : file_(std::move(file)) {
    Json list = Json::array();
    for (const block::Node* source : sources)
        for (const block::Node* leaf : leaves(*source)) {
            Json one = Json::object();
            one.set("name", leaf->filename());
            one.set("size", leaf->size());
            one.set("changed", changed(leaf->filename()));
            list.push(std::move(one));
        }
    what_ = Json::object();
    what_.set("kind", kind);
    what_.set("target", std::move(target));
    what_.set("settings", std::move(settings));
    what_.set("sources", std::move(list));
}

Result<u64> Resume::load() {
    std::ifstream in(file_, std::ios::binary);
    if (!in) {
        if (access(file_.c_str(), F_OK) == 0) return Error::from_errno(EACCES, "--resume: read '{}'", file_);
        return u64(0);
    }
    std::ostringstream bytes;
    bytes << in.rdbuf();
    auto parsed = Json::parse(bytes.str());
    const Json* found = parsed ? parsed->find("kind") : nullptr;
    if (!found || !(*found == Json(kind)))
        return Error::invalid_argument("--resume: '{}' is no file that a conversion left, expected one or none", file_);
    u64 position = 0;
    Json left = parsed->take("position");
    if (!left.get(position)) return Error::invalid_argument("--resume: '{}' has no position", file_);
    for (auto& [name, value] : *what_.members())
        if (const Json* old = parsed->find(name); !old || !(*old == value))
            return Error::invalid_argument(
                "--resume: '{}' is of another conversion: {} was {}, and is {} now; remove it to "
                "begin anew",
                file_, name, old ? old->dump() : "nothing", value.dump());
    target_files_ = parsed->take("target-files");
    return position;
}

Result<void> Resume::set_target(const block::Node& target) {
    Json now = Json::array();
    for (const block::Node* leaf : leaves(target)) {
        if (leaf->options().cache_no_flush)
            return Error::invalid_argument(
                "--resume needs '{}' on stable storage, expected another cache mode than unsafe", leaf->filename());
        Json one = Json::object();
        one.set("name", leaf->filename());
        one.set("inode", identity(leaf->filename()));
        now.push(std::move(one));
    }
    if (!target_files_.is_null() && !(target_files_ == now))
        return Error::invalid_argument(
            "--resume: '{}' is of another output: its files were {}, and are {} now; remove it "
            "to begin anew",
            file_, target_files_.dump(), now.dump());
    target_files_ = std::move(now);
    return {};
}

Result<void> Resume::store(u64 position) const {
    Json now = what_;
    now.set("target-files", target_files_);
    now.set("position", position);
    return write_whole(file_, now.dump(2) + "\n");
}

void Resume::remove() const { unlink(file_.c_str()); }

Task<bool> free_leaks(Tool& tool, Tool::Image& target) {
    auto report = co_await target->check(block::Fix::leaks);
    if (!report && report.error().kind() == ErrorKind::unsupported) co_return true;
    if (!report) tool.error(fmt::format("'{}': {}", target->filename(), report.error().message()));
    if (report && report->corruptions) {
        // Of formats whose last block was cut off: it is written again.
        if (target->supports_snapshots())
            tool.error(fmt::format("'{}' is damaged ({} errors); remove it and the --resume file to begin anew",
                                   target->filename(), report->corruptions));
        co_return !target->supports_snapshots();
    }
    if (report && report->leaks_fixed)
        tool.print(fmt::format("{} leaked clusters of '{}' are free again\n", report->leaks_fixed, target->filename()));
    co_return bool(report);
}

} // namespace mimic::img
