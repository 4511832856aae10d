#include "block/protocols/locks.hpp"
#include <cerrno>
#include <fcntl.h>

namespace mimic::block {

namespace {

constexpr off_t perm_base = 100, unshare_base = 200;
constexpr unsigned perm_count = 4;
constexpr std::string_view perm_names[perm_count] = {"consistent read", "write", "write unchanged", "resize"};

int lock_byte(int fd, off_t byte, short type) {
    struct flock lock {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = byte;
    lock.l_len = 1;
    return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? errno : 0;
}

bool somebody_locks(int fd, off_t byte) {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = byte;
    lock.l_len = 1;
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

// Takes (or gives up) the bytes whose bit differs.
int move_bytes(int fd, off_t base, u8 from, u8 to) {
    for (unsigned i = 0; i < perm_count; i++) {
        bool had = from & (1u << i), wants = to & (1u << i);
        if (had == wants) continue;
        if (int e = lock_byte(fd, base + i, wants ? F_RDLCK : F_UNLCK)) return e;
    }
    return 0;
}

Error refused(const std::string& name, std::string_view lock, bool shared) {
    return Error::busy("Failed to get {}\"{}\" lock\nIs another process using the image [{}]?", shared ? "shared " : "",
                       lock, name);
}

} // namespace

Result<void> ImageLock::change(int fd, const std::string& name, u8 perms, u8 shared) {
    u8 unshared = ~shared & perm::all, old_unshared = ~shared_ & perm::all;
    // First take what is new, then look who stands against it, and only then give up what is old.
    int e = move_bytes(fd, perm_base, perms_, perms_ | perms);
    if (!e) e = move_bytes(fd, unshare_base, old_unshared, old_unshared | unshared);
    if (e == ENOTSUP || e == ENOLCK || e == EINVAL || e == ENOSYS) return {};
    std::optional<Error> conflict;
    if (e) conflict = Error::from_errno(e, "lock '{}'", name);
    for (unsigned i = 0; i < perm_count && !conflict; i++) {
        u8 bit = u8(1u << i);
        if ((perms & bit) && !(perms_ & bit) && somebody_locks(fd, unshare_base + i))
            conflict = refused(name, perm_names[i], false);
        else if ((unshared & bit) && !(old_unshared & bit) && somebody_locks(fd, perm_base + i))
            conflict = refused(name, perm_names[i], true);
    }
    if (conflict) {
        move_bytes(fd, perm_base, perms_ | perms, perms_);
        move_bytes(fd, unshare_base, old_unshared | unshared, old_unshared);
        return *conflict;
    }
    move_bytes(fd, perm_base, perms_ | perms, perms);
    move_bytes(fd, unshare_base, old_unshared | unshared, unshared);
    perms_ = perms;
    shared_ = shared;
    return {};
}

} // namespace mimic::block
