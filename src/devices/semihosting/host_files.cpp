#include "devices/semihosting/host_files.hpp"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace mimic::devices::semihosting {

File::File(File&& o) noexcept
    : kind(std::exchange(o.kind, Kind::none))
    , flags(o.flags)
    , position(o.position)
    , path(std::move(o.path))
    , fd(std::exchange(o.fd, -1)) {}

File& File::operator=(File&& o) noexcept {
    std::swap(kind, o.kind), std::swap(flags, o.flags), std::swap(position, o.position);
    std::swap(path, o.path), std::swap(fd, o.fd);
    return *this;
}

void File::close_host() {
    if (fd >= 0) close(fd);
    fd = -1;
}

void File::describe(Describe& d) {
    d.state("kind", kind, {.high = u64(Kind::features)});
    d.state("flags", flags);
    d.state("position", position, {.high = ~u64{0} >> 1});
    d.state("path", path, Files::longest_path);
}

int open_flags(u64 mode) {
    constexpr int modes[] = {O_RDONLY,
                             O_RDWR,
                             O_WRONLY | O_CREAT | O_TRUNC,
                             O_RDWR | O_CREAT | O_TRUNC,
                             O_WRONLY | O_CREAT | O_APPEND,
                             O_RDWR | O_CREAT | O_APPEND};
    return modes[mode / 2];
}

bool is_ready(int fd, bool write) {
    pollfd p{fd, short(write ? POLLOUT : POLLIN), 0};
    return poll(&p, 1, 0) != 0; // errors are met by the access
}

i64 Files::add(File file) {
    for (u32 n = 0; n < files_.size(); n++)
        if (files_[n].kind == File::Kind::none) {
            files_[n] = std::move(file);
            return n + 1;
        }
    if (files_.size() == most) return -EMFILE;
    files_.push_back(std::move(file));
    return i64(files_.size());
}

// O_NONBLOCK: a FIFO without a peer must not keep the processor.
i64 Files::open_host(std::string_view path, int flags) {
    File file;
    file.kind = File::Kind::host;
    file.flags = u32(flags);
    file.path.assign(path.begin(), path.end());
    file.fd = open(std::string(path).c_str(), flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0644);
    if (file.fd < 0) return -errno;
    return add(std::move(file));
}

File* Files::find(u64 handle) {
    if (handle == 0 || handle > files_.size() || files_[handle - 1].kind == File::Kind::none) return nullptr;
    return &files_[handle - 1];
}

i64 Files::close(u64 handle) {
    File* file = find(handle);
    if (!file) return -EBADF;
    *file = File();
    return 0;
}

void Files::describe(Describe& d) {
    d.list("file", files_, most, [](Describe& inner, File& file) { file.describe(inner); });
}

void Files::before_save() {
    for (File& file : files_)
        if (off_t at = file.fd < 0 ? -1 : lseek(file.fd, 0, SEEK_CUR); at >= 0) file.position = u64(at);
}

// What a saved machine had open is opened again, where it was.
Result<void> Files::after_load() {
    constexpr u32 known = O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND;
    for (File& file : files_) {
        file.close_host();
        if (file.kind != File::Kind::host) continue;
        std::string path(file.path.begin(), file.path.end());
        if (file.flags & ~known) return Error::corrupt("semihosting: flags {:#x} of file '{}'", file.flags, path);
        const int flags = int(file.flags) & ~(O_CREAT | O_TRUNC);
        file.fd = open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (file.fd < 0) return Error::from_errno(errno, "semihosting: cannot open file '{}' again", path);
        struct stat status {};
        if (fstat(file.fd, &status) == 0 && S_ISREG(status.st_mode)) lseek(file.fd, off_t(file.position), SEEK_SET);
    }
    return {};
}

} // namespace mimic::devices::semihosting
