// Image locks between processes: open file description locks (fcntl(2)) on single bytes of the file.
//
// A process that uses permission number n read-locks byte 100+n; one that does not allow others to use it read-locks byte
// 200+n. Whether somebody stands against it is asked with F_OFD_GETLK for a write lock. The bytes are those that QEMU's
// programs lock (seen in /proc/locks), so that they and Mimic see each other.
#pragma once
#include "block/types.hpp"

namespace mimic::block {

class ImageLock {
public:
    // Moves from the rights held to `perms` and `shared` (perm:: bits). On failure nothing has changed; the message says
    // which lock and names the image. File systems without such locks are let through.
    Result<void> change(int fd, const std::string& name, u8 perms, u8 shared);

private:
    u8 perms_ = 0, shared_ = perm::all;
};

} // namespace mimic::block
