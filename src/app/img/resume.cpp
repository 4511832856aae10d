#include "app/img/resume.hpp"
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

namespace mimic::img {

namespace {

constexpr std::string_view kind = "mimic-convert";

// When a file was last changed, in nanoseconds; 0 of what is no file.
u64 changed(const std::string& name) {
    struct stat st;
    if (stat(name.c_str(), &st) != 0 || !S_ISREG(st.st_mode)) return 0;
    return u64(st.st_mtim.tv_sec) * 1'000'000'000 + u64(st.st_mtim.tv_nsec);
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

Resume::Resume(std::string file, std::string target, std::string settings, const std::vector<Input>& inputs)
    : file_(std::move(file)) {
    Json list = Json::array();
    for (auto& i : inputs) {
        Json one = Json::object();
        one.set("name", i.name);
        one.set("size", i.size);
        one.set("changed", changed(i.name));
        list.push(std::move(one));
    }
    what_ = Json::object();
    what_.set("kind", kind);
    what_.set("target", std::move(target));
    what_.set("settings", std::move(settings));
    what_.set("sources", std::move(list));
}

Result<u64> Resume::load() const {
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
    return position;
}

Result<void> Resume::store(u64 position) const {
    Json now = what_;
    now.set("position", position);
    return write_whole(file_, now.dump(2) + "\n");
}

void Resume::remove() const { unlink(file_.c_str()); }

} // namespace mimic::img
