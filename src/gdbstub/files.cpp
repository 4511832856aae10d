#include "gdbstub/files.hpp"
#include "gdbstub/packet.hpp"
#include <algorithm>
#include <cerrno>
#include <sys/stat.h>
#include <unistd.h>

namespace mimic::gdb {

namespace {

// E.13.4 "Errno Values": the protocol's numbers.
std::string failed(int error) {
    constexpr int same[] = {EPERM,   ENOENT, EINTR,  EBADF,  EACCES, EFAULT, EBUSY,  EEXIST, ENODEV,
                            ENOTDIR, EISDIR, EINVAL, ENFILE, EMFILE, EFBIG,  ENOSPC, ESPIPE, EROFS};
    int told = std::find(std::begin(same), std::end(same), error) != std::end(same) ? error
               : error == ENAMETOOLONG                                              ? 91
                                                                                    : 9999;
    return fmt::format("F-1,{:x}", told);
}

// E.13.6.5 "struct stat": big-endian.
std::string encode(const struct stat& st) {
    std::string out;
    auto put = [&](u64 v, u32 bytes) {
        for (u32 n = bytes; n-- > 0;) out += char(v >> (8 * n));
    };
    for (u64 v : {u64(st.st_dev), u64(st.st_ino), u64(st.st_mode), u64(st.st_nlink), u64(st.st_uid), u64(st.st_gid),
                  u64(st.st_rdev)})
        put(v, 4);
    for (u64 v : {u64(st.st_size), u64(st.st_blksize), u64(st.st_blocks)}) put(v, 8);
    for (u64 v : {u64(st.st_atime), u64(st.st_mtime), u64(st.st_ctime)}) put(v, 4);
    return out;
}

bool take_name(std::string_view text, std::string& name) {
    return from_hex(text, name) && !name.empty() && name.find('\0') == std::string::npos;
}

} // namespace

void Files::close_all() {
    for (int& fd : open_)
        if (fd >= 0) target_.close_file(fd), fd = -1;
}

std::string Files::answer(std::string_view request) {
    size_t colon = std::min(request.find(':'), request.size());
    std::string_view verb = request.substr(0, colon), rest = request.substr(std::min(colon + 1, request.size()));
    if (verb == "setfs") return "F0"; // there is one file system, the program's
    if (verb == "open") return open(rest);
    if (verb == "close") return close(rest);
    if (verb == "pread") return read(rest);
    if (verb == "fstat") return status(rest);
    if (verb == "readlink") return link(rest);
    return {};
}

int* Files::find(std::string_view& rest) {
    auto n = take_hex(rest);
    return n && *n < open_.size() && open_[*n] >= 0 ? &open_[*n] : nullptr;
}

// "name,flags,mode"; flags other than O_RDONLY would write.
std::string Files::open(std::string_view rest) {
    size_t comma = rest.find(',');
    std::string name;
    if (comma == std::string_view::npos || !take_name(rest.substr(0, comma), name)) return failed(EINVAL);
    rest.remove_prefix(comma + 1);
    auto flags = take_hex(rest);
    if (!flags) return failed(EINVAL);
    if (*flags != 0) return failed(EACCES);
    auto free = std::find(open_.begin(), open_.end(), -1);
    if (free == open_.end()) return failed(EMFILE);
    int fd = target_.open_file(name);
    if (fd < 0) return failed(-fd);
    *free = fd;
    return fmt::format("F{:x}", free - open_.begin());
}

std::string Files::close(std::string_view rest) {
    int* fd = find(rest);
    if (!fd) return failed(EBADF);
    target_.close_file(*fd);
    *fd = -1;
    return "F0";
}

// "descriptor,count,offset"
std::string Files::read(std::string_view rest) {
    int* fd = find(rest);
    if (!fd) return failed(EBADF);
    if (!take(rest, ',')) return failed(EINVAL);
    auto count = take_hex(rest);
    if (!count || !take(rest, ',')) return failed(EINVAL);
    auto offset = take_hex(rest);
    if (!offset || *offset > u64(INT64_MAX)) return failed(EINVAL);
    std::string data(std::min<u64>(*count, max_packet / 2), 0);
    ssize_t n = pread(*fd, data.data(), data.size(), off_t(*offset));
    if (n < 0) return failed(errno);
    data.resize(size_t(n));
    return fmt::format("F{:x};", n) + data;
}

std::string Files::status(std::string_view rest) {
    int* fd = find(rest);
    struct stat st;
    if (!fd) return failed(EBADF);
    if (fstat(*fd, &st) != 0) return failed(errno);
    std::string data = encode(st);
    return fmt::format("F{:x};", data.size()) + data;
}

std::string Files::link(std::string_view rest) {
    std::string name, to;
    if (!take_name(rest, name)) return failed(EINVAL);
    int r = target_.read_link(name, to);
    if (r < 0) return failed(-r);
    return fmt::format("F{:x};", to.size()) + to;
}

} // namespace mimic::gdb
