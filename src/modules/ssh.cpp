// A file through SFTP, by libssh (its tutorial and API reference).
#include "remote/ssh.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <libssh/libssh.h>
#include <libssh/sftp.h>
#include <pwd.h>
#include <unistd.h>

namespace mimic::remote {

namespace {

// Bytes of one SFTP request: what every server takes (draft-ietf-secsh-filexfer-02, "General Packet Format").
constexpr size_t most_request = 32u << 10;

std::string user_name() {
    passwd* entry = getpwuid(getuid());
    return entry ? entry->pw_name : "";
}

class Ssh final : public SshFile {
public:
    explicit Ssh(SshSettings s) : s_(std::move(s)) {}
    ~Ssh() override {
        if (file_) sftp_close(file_);
        if (sftp_) sftp_free(sftp_);
        if (!session_) return;
        ssh_disconnect(session_);
        ssh_free(session_);
    }

    bool open(std::string& error) {
        bool good = connect() && verify() && log_in() && start();
        error = error_;
        return good;
    }

    u64 size() const override { return size_; }
    bool can_flush() const override { return can_flush_; }

    i64 read(u64 offset, std::span<u8> into, std::string& error) override {
        size_t done = 0;
        if (sftp_seek64(file_, offset) < 0) return error = reason("seek"), -1;
        while (done < into.size()) {
            ssize_t n = sftp_read(file_, into.data() + done, std::min(most_request, into.size() - done));
            if (n < 0) return error = reason("read"), -1;
            if (n == 0) break;
            done += size_t(n);
        }
        return i64(done);
    }

    bool write(u64 offset, std::span<const u8> bytes, std::string& error) override {
        if (sftp_seek64(file_, offset) < 0) return error = reason("seek"), false;
        for (size_t done = 0; done < bytes.size();) {
            ssize_t n = sftp_write(file_, bytes.data() + done, std::min(most_request, bytes.size() - done));
            if (n <= 0) return error = reason("write"), false;
            done += size_t(n);
        }
        size_ = std::max(size_, offset + bytes.size());
        return true;
    }

    bool flush(std::string& error) override {
        if (sftp_fsync(file_) == 0) return true;
        return error = reason("fsync"), false;
    }

    bool truncate(u64 size, std::string& error) override {
        sftp_attributes_struct a{};
        a.flags = SSH_FILEXFER_ATTR_SIZE;
        a.size = size;
        if (sftp_setstat(sftp_, s_.path.c_str(), &a) < 0) return error = reason("set the size of"), false;
        size_ = size;
        return true;
    }

private:
    bool fail(std::string text) {
        error_ = std::move(text);
        return false;
    }
    bool fail_with(const std::string& what) { return fail(what + ": " + ssh_get_error(session_)); }
    std::string reason(const char* what) const {
        static constexpr const char* names[] = {
            "no error",     "end of file",   "no such file",    "permission denied", "failure",
            "bad message",  "no connection", "connection lost", "not supported",     "invalid handle",
            "no such path", "file exists",   "write protected", "no media"};
        int code = sftp_get_error(sftp_);
        std::string why = code > 0 && size_t(code) < std::size(names) ? names[code] : ssh_get_error(session_);
        return std::string("cannot ") + what + " '" + s_.path + "': " + why;
    }

    bool connect() {
        session_ = ssh_new();
        if (!session_) return fail("no memory");
        if (s_.user.empty()) s_.user = user_name();
        ssh_options_set(session_, SSH_OPTIONS_HOST, s_.host.c_str());
        ssh_options_set(session_, SSH_OPTIONS_PORT, &s_.port);
        ssh_options_set(session_, SSH_OPTIONS_USER, s_.user.c_str());
        // ~/.ssh/config has aliases, keys and proxies of the user.
        ssh_options_parse_config(session_, nullptr);
        if (ssh_connect(session_) != SSH_OK)
            return fail_with("cannot connect to '" + s_.host + "' port " + std::to_string(s_.port));
        return true;
    }

    bool verify() {
        switch (s_.host_key) {
        case SshSettings::HostKey::none: return true;
        case SshSettings::HostKey::known_hosts: return known();
        case SshSettings::HostKey::md5: return fingerprint(SSH_PUBLICKEY_HASH_MD5);
        case SshSettings::HostKey::sha1: return fingerprint(SSH_PUBLICKEY_HASH_SHA1);
        case SshSettings::HostKey::sha256: return fingerprint(SSH_PUBLICKEY_HASH_SHA256);
        }
        return false;
    }

    bool known() {
        switch (ssh_session_is_known_server(session_)) {
        case SSH_KNOWN_HOSTS_OK: return true;
        case SSH_KNOWN_HOSTS_CHANGED:
            return fail("the host key of '" + s_.host + "' is not the one in known_hosts; this may be an attack");
        case SSH_KNOWN_HOSTS_OTHER: return fail("known_hosts has a key of another type for '" + s_.host + "'");
        case SSH_KNOWN_HOSTS_UNKNOWN: return fail("no host key for '" + s_.host + "' was found in known_hosts");
        case SSH_KNOWN_HOSTS_NOT_FOUND:
            return fail("there is no known_hosts file to find the key of '" + s_.host + "' in");
        default: return fail_with("cannot check the host key of '" + s_.host + "'");
        }
    }

    bool fingerprint(ssh_publickey_hash_type type) {
        ssh_key key = nullptr;
        unsigned char* hash = nullptr;
        size_t length = 0;
        if (ssh_get_server_publickey(session_, &key) != SSH_OK) return fail_with("cannot read the host key");
        int code = ssh_get_publickey_hash(key, type, &hash, &length);
        ssh_key_free(key);
        if (code != 0) return fail("cannot hash the host key");
        std::string shown;
        for (size_t i = 0; i < length; i++) {
            constexpr char digits[] = "0123456789abcdef";
            shown += digits[hash[i] >> 4];
            shown += digits[hash[i] & 15];
        }
        ssh_clean_pubkey_hash(&hash);
        if (shown == s_.fingerprint) return true;
        return fail("the host key of '" + s_.host + "' has the fingerprint " + shown + ", expected " + s_.fingerprint);
    }

    bool log_in() {
        int code = ssh_userauth_none(session_, nullptr);
        // The agent, then the user's keys.
        if (code != SSH_AUTH_SUCCESS) code = ssh_userauth_publickey_auto(session_, nullptr, nullptr);
        if (code == SSH_AUTH_SUCCESS) return true;
        return fail("cannot log in to '" + s_.host + "' as '" + s_.user + "' with a key of ours or of an agent");
    }

    bool start() {
        sftp_ = sftp_new(session_);
        if (!sftp_ || sftp_init(sftp_) != SSH_OK) return fail_with("the server does not speak SFTP");
        int flags = s_.writable ? O_RDWR : O_RDONLY;
        if (s_.create) flags |= O_CREAT | O_TRUNC;
        file_ = sftp_open(sftp_, s_.path.c_str(), flags, 0644);
        if (!file_) return fail(reason("open"));
        sftp_attributes a = sftp_fstat(file_);
        if (!a) return fail(reason("ask the size of"));
        size_ = a->size;
        sftp_attributes_free(a);
        can_flush_ = sftp_extension_supported(sftp_, "fsync@openssh.com", "1");
        return true;
    }

    SshSettings s_;
    ssh_session session_ = nullptr;
    sftp_session sftp_ = nullptr;
    sftp_file file_ = nullptr;
    u64 size_ = 0;
    bool can_flush_ = false;
    std::string error_;
};

std::unique_ptr<SshFile> open(const SshSettings& settings, std::string& error) {
    static const int ready = ssh_init();
    if (ready != SSH_OK) return error = "libssh cannot be used here", nullptr;
    auto file = std::make_unique<Ssh>(settings);
    if (!file->open(error)) return nullptr;
    return file;
}

} // namespace

} // namespace mimic::remote

extern "C" __attribute__((visibility("default"))) const mimic::remote::SshModule mimic_module;
const mimic::remote::SshModule mimic_module = {
    .head = {"ssh", mimic::remote::SshModule::revision,
             "libssh " SSH_STRINGIFY(LIBSSH_VERSION_MAJOR) "." SSH_STRINGIFY(LIBSSH_VERSION_MINOR) "." SSH_STRINGIFY(
                 LIBSSH_VERSION_MICRO) " (LGPL-2.1)"},
    .open = mimic::remote::open,
};
