// A database of any bytes: looked at and changed without harm.
#include "user/root/owners.hpp"
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace mimic;
    using namespace mimic::user;
    // The header's constants are given, so that inputs get to the chains; the rest is the input, repeated from the
    // first bucket on.
    constexpr u64 header = 4096, buckets = 4 << 14, records = 64 * 48;
    int fd = memfd_create("owners", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, header + buckets + records) != 0) return 0;
    u32 words[8] = {1, 1 << 14, 48, 1, 0, 0, 0, 0};
    std::memcpy(words + 4, data, std::min<size_t>(size, 16));
    bool ok = pwrite(fd, "MIMICOWN", 8, 0) == 8 && pwrite(fd, words, sizeof words, 8) == sizeof words;
    for (u64 at = header; ok && size > 0 && at < header + buckets + records; at += size)
        ok = pwrite(fd, data, std::min<u64>(size, header + buckets + records - at), off_t(at)) > 0;
    auto owners = Owners::attach(fd);
    if (ok && owners) {
        FileKey key{};
        std::memcpy(&key, data, std::min(size, sizeof key));
        (void)(*owners)->find(key);
        (void)(*owners)->find_any_birth(key.dev, key.ino);
        (*owners)->set_owner(key, 1, 2);
        (*owners)->set_device(key, S_IFBLK, 3, 4, 5);
        (*owners)->forget(key);
    }
    close(fd);
    return 0;
}
