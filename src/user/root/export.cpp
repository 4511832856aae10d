// `mimic root export`: a root directory as an archive with the owners and devices that programs inside see.
#include "user/root/ids.hpp"
#include "user/root/tar.hpp"
#include "user/run.hpp"
#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <map>
#include <sched.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace mimic::user {
namespace {

class Writer {
public:
    explicit Writer(int fd) : fd_(fd) {}
    Result<void> bytes(const void* data, size_t size) {
        const char* at = static_cast<const char*>(data);
        while (size > 0) {
            ssize_t n = ::write(fd_, at, size);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return Error::from_errno(errno, "write the archive");
            at += n, size -= size_t(n);
        }
        return {};
    }
    Result<void> zeros(u64 size) {
        static constexpr char none[2 * tar_block] = {};
        return bytes(none, size_t(size));
    }

private:
    int fd_;
};

class Export {
public:
    Export(int out, const Owners* owners) : writer_(out), owners_(owners) {}

    Result<void> root(const std::string& directory) {
        int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) return Error::from_errno(errno, "{}", directory);
        auto done = entry(fd, "", "./", true);
        close(fd);
        TRY(std::move(done));
        return writer_.zeros(2 * tar_block);
    }

private:
    // `path`: in the archive. Directories are walked in the order of their names, so that equal roots give equal archives.
    Result<void> entry(int directory, const std::string& name, const std::string& path, bool top = false) {
        struct statx st;
        int flags = AT_SYMLINK_NOFOLLOW | (top ? AT_EMPTY_PATH : 0);
        if (statx(directory, name.c_str(), flags, STATX_BASIC_STATS | STATX_BTIME, &st) != 0)
            return Error::from_errno(errno, "{}", path);
        if (top) device_ = makedev(st.stx_dev_major, st.stx_dev_minor);
        if (makedev(st.stx_dev_major, st.stx_dev_minor) != device_) return {}; // something is mounted there
        TarEntry e{
            .path = path, .mode = st.stx_mode, .uid = st.stx_uid, .gid = st.stx_gid, .mtime = st.stx_mtime.tv_sec};
        u32 type = apply(st, e);
        switch (type) {
        case S_IFDIR: return folder(directory, name, e, top);
        case S_IFREG: return file(directory, name, e, st);
        case S_IFLNK: {
            char to[PATH_MAX];
            ssize_t n = readlinkat(directory, name.c_str(), to, sizeof to);
            if (n < 0) return Error::from_errno(errno, "{}", path);
            e.type = '2', e.link.assign(to, size_t(n));
            break;
        }
        case S_IFCHR: e.type = '3'; break;
        case S_IFBLK: e.type = '4'; break;
        case S_IFIFO: e.type = '6'; break;
        default: return {}; // sockets live no longer than their process
        }
        return put(e);
    }

    u32 apply(const struct statx& st, TarEntry& e) const {
        e.major = st.stx_rdev_major, e.minor = st.stx_rdev_minor;
        constexpr i64 second = 1000000000;
        i64 born = st.stx_mask & STATX_BTIME ? st.stx_btime.tv_sec * second + st.stx_btime.tv_nsec : 0;
        auto record =
            owners_ ? owners_->find({makedev(st.stx_dev_major, st.stx_dev_minor), st.stx_ino, born}) : std::nullopt;
        if (!record) return st.stx_mode & S_IFMT;
        if (owners_->pretend_ids()) e.uid = record->uid, e.gid = record->gid;
        if (record->type == 0) return st.stx_mode & S_IFMT;
        e.major = record->rdev >> 8 & 0xfff;
        e.minor = (record->rdev & 0xff) | (record->rdev >> 12 & 0xfff00);
        return record->type;
    }

    Result<void> put(const TarEntry& e) {
        std::string header = tar_header(e);
        return writer_.bytes(header.data(), header.size());
    }

    Result<void> folder(int directory, const std::string& name, TarEntry& e, bool top) {
        e.type = '5';
        if (e.path.back() != '/') e.path += '/';
        int fd =
            top ? dup(directory) : openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR* list = fd < 0 ? nullptr : fdopendir(fd);
        if (!list) return Error::from_errno(errno, "{}", e.path);
        attributes(fd, e);
        std::vector<std::string> names;
        while (struct dirent* d = readdir(list)) {
            std::string_view n = d->d_name;
            if (n != "." && n != "..") names.emplace_back(n);
        }
        std::sort(names.begin(), names.end());
        Result<void> done = put(e);
        for (auto& n : names) {
            if (!done) break;
            done = entry(fd, n, e.path + n);
        }
        closedir(list);
        return done;
    }

    Result<void> file(int directory, const std::string& name, TarEntry& e, const struct statx& st) {
        if (st.stx_nlink > 1) {
            auto [first, is_new] = links_.try_emplace(st.stx_ino, e.path);
            if (!is_new) {
                e.type = '1', e.link = first->second;
                return put(e);
            }
        }
        int fd = openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) return Error::from_errno(errno, "{}", e.path);
        e.size = st.stx_size;
        attributes(fd, e);
        auto done = contents(fd, e);
        close(fd);
        return done;
    }

    Result<void> contents(int fd, const TarEntry& e) {
        TRY(put(e));
        std::vector<char> buffer(1 << 18);
        for (u64 left = e.size; left > 0;) {
            ssize_t n = read(fd, buffer.data(), std::min<u64>(left, buffer.size()));
            if (n < 0) return Error::from_errno(errno, "{}", e.path);
            if (n == 0) return Error::io("{}: became shorter while it was read", e.path);
            TRY(writer_.bytes(buffer.data(), size_t(n)));
            left -= u64(n);
        }
        return writer_.zeros((tar_block - e.size % tar_block) % tar_block);
    }

    static void attributes(int fd, TarEntry& e) {
        std::vector<char> names(65536), value(65536);
        ssize_t n = flistxattr(fd, names.data(), names.size());
        for (ssize_t at = 0; at < n;) {
            std::string name = names.data() + at;
            ssize_t bytes = fgetxattr(fd, name.c_str(), value.data(), value.size());
            if (bytes >= 0) e.attributes.emplace_back(name, std::string(value.data(), size_t(bytes)));
            at += ssize_t(name.size()) + 1;
        }
    }

    Writer writer_;
    const Owners* owners_;
    u64 device_ = 0;
    std::map<u64, std::string> links_; // by inode: the first name
};

Result<void> become_owner(IdMode mode) {
    if (mode == IdMode::mapped && setgroups(0, nullptr) != 0) return Error::from_errno(errno, "drop groups");
    if (mode != IdMode::real && (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0))
        return Error::from_errno(errno, "become root of the namespace");
    return {};
}

// In the ids of the root, as programs inside have them: a child in a user namespace of its own.
Result<void> in_ids_of_root(IdMode mode, const struct stat& st, Export& work, const std::string& directory) {
    if (mode == IdMode::real) return work.root(directory);
    int ready[2], go[2];
    if (pipe2(ready, O_CLOEXEC) != 0 || pipe2(go, O_CLOEXEC) != 0) return Error::from_errno(errno, "make a pipe");
    pid_t child = fork();
    if (child < 0) return Error::from_errno(errno, "start a process");
    if (child == 0) {
        char byte = 0;
        close(go[1]);
        auto done = [&]() -> Result<void> {
            if (unshare(CLONE_NEWUSER) != 0) return Error::from_errno(errno, "user namespace");
            if (write(ready[1], "r", 1) != 1 || read(go[0], &byte, 1) != 1) _exit(1);
            TRY(become_owner(mode));
            return work.root(directory);
        }();
        if (!done) std::fprintf(stderr, "mimic: %s\n", done.error().message().c_str());
        _exit(done ? 0 : 1);
    }
    close(ready[1]), close(go[0]);
    char byte;
    bool root = geteuid() == 0;
    Result<void> maps;
    if (read(ready[0], &byte, 1) == 1)
        maps = write_id_maps(child, mode == IdMode::mapped, root ? st.st_uid : geteuid(), root ? st.st_gid : getegid());
    if (maps) (void)!write(go[1], "g", 1);
    close(go[1]), close(ready[0]);
    int status = -1;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    TRY(std::move(maps));
    return status == 0 ? Result<void>() : Error::io("{} could not be exported", directory);
}

Result<void> export_root(const RootOptions& options, const std::string& file) {
    char absolute[PATH_MAX];
    struct stat st;
    if (!realpath(options.directory.c_str(), absolute) || stat(absolute, &st) != 0)
        return Error::from_errno(errno, "{}", options.directory);
    RootOptions resolved = options;
    resolved.directory = absolute;
    std::string reason, database = options.owners.empty() ? resolved.directory + ".mimic-owners" : options.owners;
    std::unique_ptr<Owners> owners;
    if (access(database.c_str(), F_OK) == 0) {
        owners = TRY(Owners::open(database, {}));
        owners->set_home(st.st_dev);
    }
    int out = file == "-" ? 1 : open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (out < 0) return Error::from_errno(errno, "{}", file);
    Export work(out, owners.get());
    auto done = in_ids_of_root(choose_ids(resolved, reason), st, work, absolute);
    if (out != 1 && close(out) != 0 && done) return Error::from_errno(errno, "{}", file);
    if (!done && out != 1) unlink(file.c_str());
    return done;
}

int usage(const std::string& error) {
    if (!error.empty()) std::fprintf(stderr, "mimic: root: %s\n", error.c_str());
    std::fputs(
        "usage: mimic root export DIR [-o FILE] [--owners FILE]\n\n"
        "Writes the root file system DIR as a tar archive (pax format; default: standard output), with the owners\n"
        "and devices that programs under `mimic run --root DIR` see, extended attributes and hard links.\n",
        error.empty() ? stdout : stderr);
    return error.empty() ? 0 : 1;
}

} // namespace

int root_main(std::span<const std::string_view> words) {
    RootOptions options;
    std::string file = "-";
    if (words.empty() || words[0] == "--help" || words[0] == "-h") return usage("");
    if (words[0] != "export") return usage("unknown command '" + std::string(words[0]) + "', expected export");
    for (size_t i = 1; i < words.size(); i++) {
        bool more = i + 1 < words.size();
        if (words[i] == "--help" || words[i] == "-h") return usage("");
        if (words[i] == "-o" && more)
            file = words[++i];
        else if (words[i] == "--owners" && more)
            options.owners = words[++i];
        else if (words[i].starts_with('-') || !options.directory.empty())
            return usage("unexpected word '" + std::string(words[i]) + "'");
        else
            options.directory = words[i];
    }
    if (options.directory.empty()) return usage("expected a directory");
    if (file == "-" && isatty(1)) return usage("an archive is not for a terminal: give -o FILE");
    auto done = export_root(options, file);
    if (done) return 0;
    std::fprintf(stderr, "mimic: %s\n", done.error().message().c_str());
    return 1;
}

} // namespace mimic::user
