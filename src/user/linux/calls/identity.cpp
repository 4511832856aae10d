// Who the caller is: user, group and supplementary ids. Where Mimic pretends owners the ids are the thread's own
// (linux/credentials.hpp), and the kernel is not asked.
#include "user/linux/calls/handlers.hpp"
#include <algorithm>
#include <cerrno>
#include <sys/syscall.h>

namespace mimic::user {
namespace {

bool pretends(Thread& t) { return t.process().pretends_ids(); }
Ids& uids(Thread& t) { return t.credentials.uid; }
Ids& gids(Thread& t) { return t.credentials.gid; }

i64 three(Thread& t, const Args& a, const Ids& ids) {
    const u32 values[] = {ids.real, ids.effective, ids.saved};
    for (u32 i = 0; i < 3; i++)
        if (!t.write(S::u32, a[i], &values[i])) return -EFAULT;
    return 0;
}

} // namespace

i64 sys_getuid(Thread& t, const Args& a) { return pretends(t) ? i64(uids(t).real) : pass(t, a); }
i64 sys_geteuid(Thread& t, const Args& a) { return pretends(t) ? i64(uids(t).effective) : pass(t, a); }
i64 sys_getgid(Thread& t, const Args& a) { return pretends(t) ? i64(gids(t).real) : pass(t, a); }
i64 sys_getegid(Thread& t, const Args& a) { return pretends(t) ? i64(gids(t).effective) : pass(t, a); }
i64 sys_getresuid(Thread& t, const Args& a) { return pretends(t) ? three(t, a, uids(t)) : pass(t, a); }
i64 sys_getresgid(Thread& t, const Args& a) { return pretends(t) ? three(t, a, gids(t)) : pass(t, a); }

i64 sys_setuid(Thread& t, const Args& a) {
    return pretends(t) ? set_id(uids(t), a.u(0), t.credentials.privileged()) : pass(t, a);
}
i64 sys_setgid(Thread& t, const Args& a) {
    return pretends(t) ? set_id(gids(t), a.u(0), t.credentials.privileged()) : pass(t, a);
}
i64 sys_setreuid(Thread& t, const Args& a) {
    return pretends(t) ? set_re_ids(uids(t), a.u(0), a.u(1), t.credentials.privileged()) : pass(t, a);
}
i64 sys_setregid(Thread& t, const Args& a) {
    return pretends(t) ? set_re_ids(gids(t), a.u(0), a.u(1), t.credentials.privileged()) : pass(t, a);
}
i64 sys_setresuid(Thread& t, const Args& a) {
    return pretends(t) ? set_res_ids(uids(t), a.u(0), a.u(1), a.u(2), t.credentials.privileged()) : pass(t, a);
}
i64 sys_setresgid(Thread& t, const Args& a) {
    return pretends(t) ? set_res_ids(gids(t), a.u(0), a.u(1), a.u(2), t.credentials.privileged()) : pass(t, a);
}
i64 sys_setfsuid(Thread& t, const Args& a) {
    return pretends(t) ? i64(set_fs_id(uids(t), a.u(0), t.credentials.privileged())) : pass(t, a);
}
i64 sys_setfsgid(Thread& t, const Args& a) {
    return pretends(t) ? i64(set_fs_id(gids(t), a.u(0), t.credentials.privileged())) : pass(t, a);
}

i64 sys_getgroups(Thread& t, const Args& a) {
    if (a.i(0) < 0) return -EINVAL;
    constexpr i32 most = 65536; // NGROUPS_MAX
    std::vector<u32> groups(size_t(std::min(a.i(0), most)));
    i64 n;
    if (pretends(t)) {
        n = i64(t.credentials.groups.size());
        if (a.i(0) != 0 && n > a.i(0)) return -EINVAL;
        std::copy_n(t.credentials.groups.begin(), std::min(groups.size(), size_t(n)), groups.begin());
    } else {
        n = t.syscall(SYS_getgroups, groups.size(), groups.data());
    }
    for (i64 i = 0; i < n && !groups.empty(); i++)
        if (!t.write(S::u32, a[1] + u64(i) * 4, &groups[size_t(i)])) return -EFAULT;
    return n;
}

i64 sys_setgroups(Thread& t, const Args& a) {
    if (a.u(0) > 65536) return -EINVAL;
    if (pretends(t) && !t.credentials.privileged()) return -EPERM;
    std::vector<u32> groups;
    if (!t.read_array(S::u32, a[1], groups, a.u(0))) return -EFAULT;
    if (!pretends(t)) return t.syscall(SYS_setgroups, groups.size(), groups.data());
    std::sort(groups.begin(), groups.end()); // as the kernel keeps them
    t.credentials.groups = std::move(groups);
    return 0;
}

namespace {
// Version 1 has one set of words, the later ones two (capget(2)).
u32 capability_words(u32 version) { return version == 0x19980330 ? 1 : 2; }
} // namespace

// Pretended root has what the namespace gives; a pretended user has nothing.
i64 sys_capget(Thread& t, const Args& a) {
    CapHeader header;
    CapData data[2] = {};
    if (!t.read(S::cap_header, a[0], &header)) return -EFAULT;
    i64 r = t.syscall(SYS_capget, &header, a[1] ? data : nullptr);
    if (!t.write(S::cap_header, a[0], &header)) return -EFAULT;
    if (pretends(t) && !t.credentials.privileged()) data[0] = data[1] = {};
    for (u32 i = 0; r == 0 && a[1] && i < capability_words(header.version); i++)
        if (!t.write(S::cap_data, a[1] + i * 12, &data[i])) return -EFAULT;
    return r;
}

// What the guest gives up of pretended rights must not be taken from Mimic, which needs it to pretend.
i64 sys_capset(Thread& t, const Args& a) {
    CapHeader header;
    std::vector<CapData> data;
    if (!t.read(S::cap_header, a[0], &header)) return -EFAULT;
    if (!t.read_array(S::cap_data, a[1], data, capability_words(header.version))) return -EFAULT;
    data.resize(2);
    if (pretends(t)) {
        bool raises = data[0].effective | data[1].effective;
        return raises && !t.credentials.privileged() ? -EPERM : 0;
    }
    i64 r = t.syscall(SYS_capset, &header, data.data());
    return t.write(S::cap_header, a[0], &header) ? r : -EFAULT;
}

} // namespace mimic::user
