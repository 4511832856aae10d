// Extended and inode attributes named by directory and path. setxattrat(2) and its family, file_getattr(2).
#include "user/linux/calls/import.hpp"
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/syscall.h>

namespace mimic::user {
namespace {

struct Names {
    std::string path, name;
    const char* host_path() const { return path.c_str(); }
    i64 read(Thread& t, const Args& a) {
        if (a[1] != 0 || !(a.i(2) & AT_EMPTY_PATH))
            if (i64 r = host_path_of(t, a)) return r;
        return t.path(a[3], name);
    }
    i64 host_path_of(Thread& t, const Args& a) {
        return user::host_path(t, a.i(0), a[1], !(a.i(2) & AT_SYMLINK_NOFOLLOW), path);
    }
};

i64 arguments(Thread& t, const Args& a, XattrArgs& given) {
    if (i64 r = check_extensible(t, a[4], a[5], sizeof given, sizeof given)) return r;
    return t.read(S::xattr_args, a[4], &given) ? 0 : -EFAULT;
}

} // namespace

i64 sys_setxattrat(Thread& t, const Args& a) {
    Names n;
    XattrArgs given;
    if (i64 r = arguments(t, a, given)) return r;
    if (i64 r = n.read(t, a)) return r;
    void* value = t.reading(given.value, given.size);
    if (!value) return -EFAULT;
    given.value = u64(value);
    return t.syscall(a.row->host, a.i(0), n.host_path(), a.u(2), n.name.c_str(), &given, sizeof given);
}
i64 sys_getxattrat(Thread& t, const Args& a) {
    Names n;
    XattrArgs given;
    if (i64 r = arguments(t, a, given)) return r;
    if (i64 r = n.read(t, a)) return r;
    void* value = t.writing(given.value, given.size);
    if (!value) return -EFAULT;
    given.value = u64(value);
    return t.syscall(a.row->host, a.i(0), n.host_path(), a.u(2), n.name.c_str(), &given, sizeof given);
}
i64 sys_listxattrat(Thread& t, const Args& a) {
    Names n;
    if (i64 r = n.host_path_of(t, a)) return r;
    void* list = t.writing(a[3], a[4]);
    return list ? t.syscall(a.row->host, a.i(0), n.host_path(), a.u(2), list, a[4]) : -EFAULT;
}
i64 sys_removexattrat(Thread& t, const Args& a) {
    Names n;
    if (i64 r = n.read(t, a)) return r;
    return t.syscall(a.row->host, a.i(0), n.host_path(), a.u(2), n.name.c_str());
}

// file_getattr and file_setattr.
i64 sys_file_attr(Thread& t, const Args& a) {
    constexpr i32 file_setattr = 469;
    bool sets = a.row->host == file_setattr;
    std::string path;
    FileAttr attributes{};
    if (i64 r = host_path(t, a.i(0), a[1], !(a.i(4) & AT_SYMLINK_NOFOLLOW), path)) return r;
    if (i64 r = check_extensible(t, a[2], a[3], sizeof attributes, sizeof attributes, sets)) return r;
    if (sets && !t.read(S::file_attr, a[2], &attributes)) return -EFAULT;
    i64 r = t.syscall(a.row->host, a.i(0), path.c_str(), &attributes, sizeof attributes, a.i(4));
    return r == 0 && !sets && !t.write(S::file_attr, a[2], &attributes) ? -EFAULT : r;
}

} // namespace mimic::user
