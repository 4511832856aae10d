#include "user/root/mounts.hpp"
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mimic::user {
namespace {

constexpr u64 safe = MS_NOSUID | MS_NODEV | MS_NOEXEC;

// Places below the root, reached with the root as "/", so that a link inside can't name a place of the host.
class Place {
public:
    static Result<Place> directory(int root, const std::string& name) {
        if (mkdirat(root, name.c_str(), 0755) != 0 && errno != EEXIST)
            return Error::from_errno(errno, "make directory {} in the root", name);
        auto place = open(root, name, O_PATH | O_DIRECTORY);
        // debootstrap in a container leaves /proc as a link to /proc, which leads nowhere once it is the root's.
        if (place || place.error().host_errno() != ELOOP || unlinkat(root, name.c_str(), 0) != 0) return place;
        return directory(root, name);
    }
    static Result<Place> file(int root, const std::string& name) {
        auto place = open(root, name, O_PATH);
        if (place) return place;
        TRY(open(root, name, O_CREAT | O_WRONLY));
        return open(root, name, O_PATH);
    }
    Place(Place&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
    Place& operator=(Place&&) = delete;
    ~Place() {
        if (fd_ >= 0) close(fd_);
    }
    std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }
    int fd() const { return fd_; }

private:
    explicit Place(int fd) : fd_(fd) {}
    static Result<Place> open(int root, const std::string& name, int flags) {
        struct open_how how {};
        how.flags = u64(flags | O_CLOEXEC);
        how.mode = flags & O_CREAT ? 0644 : 0;
        how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
        long fd = syscall(SYS_openat2, root, name.c_str(), &how, sizeof how);
        if (fd < 0) return Error::from_errno(errno, "{} in the root", name);
        return Place(int(fd));
    }
    int fd_;
};

Result<void> do_mount(const char* what, const Place& place, const char* type, u64 flags, const char* data,
                      std::string_view name) {
    if (mount(what, place.path().c_str(), type, flags, data) == 0) return {};
    return Error::from_errno(errno, "mount {} in the root", name);
}

// A namespace whose /proc is partly hidden may not mount another; its own is then what there is.
Result<void> mount_proc(int root) {
    Place place = TRY(Place::directory(root, "proc"));
    if (do_mount("proc", place, "proc", safe, nullptr, "/proc")) return {};
    return do_mount("/proc", place, nullptr, MS_BIND | MS_REC, nullptr, "/proc");
}

Result<void> mount_sys(int root) {
    Place place = TRY(Place::directory(root, "sys"));
    return do_mount("/sys", place, nullptr, MS_BIND | MS_REC, nullptr, "/sys");
}

// The nodes that every program may expect, as the host's own.
Result<void> mount_dev(int root) {
    Place place = TRY(Place::directory(root, "dev"));
    TRY(do_mount("tmpfs", place, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=1m", "/dev"));
    Place dev = TRY(Place::directory(root, "dev")); // what is mounted there now
    for (const char* name : {"null", "zero", "full", "random", "urandom", "tty"}) {
        std::string host = std::string("/dev/") + name;
        if (access(host.c_str(), F_OK) != 0) continue;
        Place node = TRY(Place::file(dev.fd(), name));
        TRY(do_mount(host.c_str(), node, nullptr, MS_BIND, nullptr, host));
    }
    constexpr const char* links[][2] = {{"/proc/self/fd", "fd"},
                                        {"/proc/self/fd/0", "stdin"},
                                        {"/proc/self/fd/1", "stdout"},
                                        {"/proc/self/fd/2", "stderr"},
                                        {"pts/ptmx", "ptmx"}};
    for (auto& [to, name] : links)
        if (symlinkat(to, dev.fd(), name) != 0) return Error::from_errno(errno, "make link /dev/{} in the root", name);
    Place shm = TRY(Place::directory(dev.fd(), "shm"));
    TRY(do_mount("tmpfs", shm, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777", "/dev/shm"));
    Place pts = TRY(Place::directory(dev.fd(), "pts"));
    // Group 5 is tty in Debian and most others; a namespace with one id hasn't got it.
    if (mount("devpts", pts.path().c_str(), "devpts", MS_NOSUID | MS_NOEXEC,
              "newinstance,ptmxmode=0666,mode=620,gid=5") == 0)
        return {};
    return do_mount("devpts", pts, "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620", "/dev/pts");
}

Result<void> mount_resolv(int root) {
    constexpr const char* host = "/etc/resolv.conf";
    struct stat st;
    if (access(host, R_OK) != 0 || fstatat(root, "etc", &st, AT_SYMLINK_NOFOLLOW) != 0) return {};
    // A link to a file that a service inside would make: it is made here.
    auto place = Place::file(root, "etc/resolv.conf");
    if (!place) return {}; // its directory isn't there: nobody looks for it
    return do_mount(host, *place, nullptr, MS_BIND, nullptr, host);
}

Result<void> mount_bind(int root, const RootOptions::Bind& bind) {
    struct stat st;
    if (stat(bind.host.c_str(), &st) != 0) return Error::from_errno(errno, "--bind {}", bind.host);
    std::string inside = bind.inside.substr(bind.inside.find_first_not_of('/'));
    Place place = S_ISDIR(st.st_mode) ? TRY(Place::directory(root, inside)) : TRY(Place::file(root, inside));
    return do_mount(bind.host.c_str(), place, nullptr, MS_BIND | MS_REC, nullptr, bind.host);
}

// The new root on top of "/", so that programs inside may make namespaces of their own; they may not after chroot alone.
Result<void> become_root(const std::string& directory, const std::string& work) {
    if (chdir(directory.c_str()) != 0) return Error::from_errno(errno, "{}", directory);
    (void)mount(".", "/", nullptr, MS_MOVE, nullptr);
    if (chroot(".") != 0) return Error::from_errno(errno, "make {} the root", directory);
    if (chdir("/") != 0 || chdir(work.c_str()) != 0)
        return Error::from_errno(errno, "working directory {} in the root", work);
    return {};
}

} // namespace

Result<void> mount_root(const std::string& directory, const RootOptions& options) {
    // What is mounted on the host later comes in; what is mounted here stays here.
    if (mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
        return Error::from_errno(errno, "make the mount namespace private");
    if (mount(directory.c_str(), directory.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0)
        return Error::from_errno(errno, "mount {} on itself", directory);
    int root = open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) return Error::from_errno(errno, "{}", directory);
    if (options.sys) TRY(mount_sys(root));
    if (options.dev) TRY(mount_dev(root));
    if (options.resolv) TRY(mount_resolv(root));
    for (auto& bind : options.binds) TRY(mount_bind(root, bind));
    if (options.proc) TRY(mount_proc(root));
    close(root);
    return become_root(directory, options.work);
}

} // namespace mimic::user
