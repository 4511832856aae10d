// The files that programs open on the host by semihosting: handles, and what is behind them.
#pragma once
#include "devices/base/describe.hpp"
#include <span>

namespace mimic::devices::semihosting {

// Operations answer 0 or more, or a negative errno of the host.
struct File {
    enum class Kind : u8 { none, host, input, output, error, features };
    Kind kind = Kind::none;
    u32 flags = 0; // of open(2)
    u64 position = 0;
    std::vector<u8> path; // of a host file
    int fd = -1;          // the same

    File() = default;
    File(File&& o) noexcept;
    File& operator=(File&& o) noexcept;
    ~File() { close_host(); }
    void describe(Describe& d);
    void close_host();
};

// By the table of SYS_OPEN's modes (those of fopen).
int open_flags(u64 mode);

class Files {
public:
    static constexpr u32 most = 256, longest_path = 4096;
    // A handle, which is no 0.
    i64 add(File file);
    i64 open_host(std::string_view path, int flags);
    File* find(u64 handle);
    i64 close(u64 handle);
    void close_all() { files_.clear(); }

    void describe(Describe& d);
    void before_save();
    Result<void> after_load();

private:
    std::vector<File> files_; // by handle - 1
};

// May an access be made now without waiting for somebody at the other end?
bool is_ready(int fd, bool write);

} // namespace mimic::devices::semihosting
