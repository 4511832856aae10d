#include "user/root/cache.hpp"
#include "base/sha256.hpp"
#include "user/unit_cache.hpp"
#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mimic::user {
namespace {

constexpr const char* below = "roots";
constexpr int directory_flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

// The root that is there now: another one under the same name, or number, was made at another time.
Result<std::string> name_of(const RootCacheOwner& owner) {
    struct statx st {};
    if (statx(AT_FDCWD, owner.root.c_str(), 0, STATX_INO | STATX_BTIME, &st) != 0)
        return Error::from_errno(errno, "{}", owner.root);
    const bool born = st.stx_mask & STATX_BTIME;
    const u64 identity[] = {st.stx_dev_major,
                            st.stx_dev_minor,
                            st.stx_ino,
                            born ? u64(st.stx_btime.tv_sec) : 0,
                            born ? st.stx_btime.tv_nsec : 0,
                            owner.uid,
                            owner.many};
    const Sha256Digest hash = sha256({reinterpret_cast<const u8*>(identity), sizeof identity});
    std::string name;
    for (u32 n = 0; n < 8; ++n) name += fmt::format("{:02x}", hash[n]);
    return name;
}

bool is_root_cache(std::string_view name) {
    return name.size() == 16 && name.find_first_not_of("0123456789abcdef") == name.npos;
}

bool is_user_cache(std::string_view name) {
    return name.size() > 1 && name[0] == 'u' && name.find_first_not_of("0123456789", 1) == name.npos;
}

std::vector<std::string> names_in(int directory, bool (*is)(std::string_view)) {
    std::vector<std::string> names;
    const int fd = openat(directory, ".", directory_flags);
    DIR* d = fd < 0 ? nullptr : fdopendir(fd);
    if (!d) return fd < 0 ? names : (close(fd), names);
    while (struct dirent* e = readdir(d))
        if (is(e->d_name)) names.emplace_back(e->d_name);
    closedir(d);
    std::sort(names.begin(), names.end());
    return names;
}

// Removes a directory with what f removes in it, unless something else is there. How much f says.
template <class F>
u64 remove(int above, const std::string& name, F f) {
    const int fd = openat(above, name.c_str(), directory_flags);
    if (fd < 0) return 0;
    const u64 gone = f(fd);
    close(fd);
    unlinkat(above, name.c_str(), AT_REMOVEDIR);
    return gone;
}

u64 remove_root(int roots, const std::string& name) {
    return remove(roots, name, [](int root) {
        u64 gone = 0;
        for (const std::string& user : names_in(root, is_user_cache))
            gone += remove(root, user, [](int fd) { return evict(fd, 0); });
        return gone;
    });
}

// Those that were not entered for longest go.
void bound(int roots) {
    std::vector<std::pair<i64, std::string>> all;
    for (std::string& name : names_in(roots, is_root_cache)) {
        struct stat st;
        if (fstatat(roots, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) all.emplace_back(st.st_mtime, std::move(name));
    }
    std::sort(all.begin(), all.end());
    for (size_t n = 0; n + most_root_caches < all.size(); ++n) remove_root(roots, all[n].second);
}

Result<void> prepare(int roots, const std::string& name, const RootCacheOwner& owner) {
    const bool made = mkdirat(roots, name.c_str(), 0700) == 0;
    if (!made && errno != EEXIST) return Error::from_errno(errno, "make {}", name);
    // Root may work for another, as whom the programs run.
    if (made && owner.uid != geteuid() && fchownat(roots, name.c_str(), owner.uid, owner.gid, AT_SYMLINK_NOFOLLOW) != 0)
        return Error::from_errno(errno, "give {} to user {}", name, owner.uid);
    // Behind a directory of 0700, and without a way to see what others have.
    if (made && owner.many && fchmodat(roots, name.c_str(), 01733, 0) != 0)
        return Error::from_errno(errno, "open {} to users of the root", name);
    struct stat st;
    if (fstatat(roots, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return Error::from_errno(errno, "{}", name);
    if (!S_ISDIR(st.st_mode) || st.st_uid != owner.uid || (!owner.many && st.st_mode & 022))
        return Error::permission("{}: expected a directory that only user {} may write", name, owner.uid);
    utimensat(roots, name.c_str(), nullptr, AT_SYMLINK_NOFOLLOW);
    if (made) bound(roots);
    return {};
}

} // namespace

Result<std::string> make_root_cache(const std::string& cache, const RootCacheOwner& owner) {
    const std::string name = TRY(name_of(owner)), path = cache + "/" + below;
    close(TRY(open_cache_directory(cache, true)));
    const int roots = TRY(open_cache_directory(path, true));
    auto ready = prepare(roots, name, owner).in("{}", path);
    close(roots);
    TRY(std::move(ready));
    return path + "/" + name;
}

Result<int> open_apart(const std::string& directory) {
    const int fd = int(
        syscall(SYS_open_tree, AT_FDCWD, directory.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW));
    if (fd < 0) return Error::from_errno(errno, "open {} apart", directory);
    struct mount_attr less {};
    less.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    (void)syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &less, sizeof less); // Linux 5.12; one thing more only
    return fd;
}

Result<int> open_user_cache(int apart) {
    const std::string name = fmt::format("u{}", geteuid());
    mkdirat(apart, name.c_str(), 0700); // what is wrong there is told by the next
    return expect_cache_directory(openat(apart, name.c_str(), directory_flags), "the root's cache");
}

std::vector<std::string> root_caches(int cache) {
    std::vector<std::string> all;
    const int roots = openat(cache, below, directory_flags);
    if (roots < 0) return {};
    for (const std::string& root : names_in(roots, is_root_cache)) {
        const int fd = openat(roots, root.c_str(), directory_flags);
        if (fd < 0) continue;
        for (const std::string& user : names_in(fd, is_user_cache))
            all.push_back(fmt::format("{}/{}/{}", below, root, user));
        close(fd);
    }
    close(roots);
    return all;
}

u64 clear_root_caches(int cache) {
    const int roots = openat(cache, below, directory_flags);
    if (roots < 0) return 0;
    u64 gone = 0;
    for (const std::string& name : names_in(roots, is_root_cache)) gone += remove_root(roots, name);
    close(roots);
    unlinkat(cache, below, AT_REMOVEDIR);
    return gone;
}

} // namespace mimic::user
