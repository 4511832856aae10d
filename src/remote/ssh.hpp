// Files of SSH servers, through SFTP. The library is behind a module (src/modules/ssh.cpp).
#pragma once
#include "base/module.hpp"
#include <memory>
#include <span>

namespace mimic::remote {

struct SshSettings {
    std::string host, user, path;
    unsigned port = 22;
    enum class HostKey : u8 { none, known_hosts, md5, sha1, sha256 } host_key = HostKey::known_hosts;
    std::string fingerprint; // hexadecimal digits without colons
    bool writable = false, create = false;
};

// Blocks; one thread at a time.
class SshFile {
public:
    virtual ~SshFile() = default;
    virtual u64 size() const = 0;
    virtual bool can_flush() const = 0;
    // How many bytes, 0 at the end of the file; negative with `error`.
    virtual i64 read(u64 offset, std::span<u8> into, std::string& error) = 0;
    // All of them.
    virtual bool write(u64 offset, std::span<const u8> bytes, std::string& error) = 0;
    // On the server's stable storage.
    virtual bool flush(std::string& error) = 0;
    virtual bool truncate(u64 size, std::string& error) = 0;
};

struct SshModule {
    static constexpr std::string_view name = "ssh";
    static constexpr unsigned revision = 1;
    modules::Head head;
    std::unique_ptr<SshFile> (*open)(const SshSettings& settings, std::string& error);
};

} // namespace mimic::remote
