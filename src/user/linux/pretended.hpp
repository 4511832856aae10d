// Owners and devices that Mimic pretends (root/owners.hpp), applied to what the kernel tells of files.
#pragma once
#include "user/linux/thread.hpp"
#include <sys/stat.h>

namespace mimic::user {

// statx of the host's file with everything that a record is found by, and the pretended owner and type put in. `mask`
// may ask for more. 0 or -errno.
i64 pretended_statx(Thread& t, i64 directory, const char* path, int flags, u32 mask, struct statx& st);
struct stat stat_of(const struct statx& st);

// The owner of a file that the thread makes at `path`; root's own when nothing has to be recorded.
struct NewOwner {
    u32 uid = 0, gid = 0;
    bool plain() const { return uid == 0 && gid == 0; }
};
NewOwner owner_of_new(Thread& t, i64 directory, const std::string& path);
// Records it for the file that was just made. Errors are not told: the file is there.
void record_new(Thread& t, const NewOwner& owner, i64 directory, const char* path, int flags);

// A descriptor that was just opened: when the file is a pretended device, the host's device in its place, or -ENXIO.
i64 open_device(Thread& t, i64 fd, u64 flags);

} // namespace mimic::user
