// ssh: a file of a server, through SFTP. The protocol works on one request at a time, on a thread that may block.
//
//   ssh://USER@HOST:PORT/PATH?host_key_check=yes|no|HASH:FINGERPRINT
#include "remote/ssh.hpp"
#include "base/io/pool.hpp"
#include "block/driver.hpp"
#include <algorithm>
#include <charconv>

namespace mimic::block {

extern const Driver ssh_driver;

namespace {

using remote::SshSettings;

constexpr std::string_view check_modes[] = {"none", "hash", "known_hosts"};
constexpr std::string_view hash_types[] = {"md5", "sha1", "sha256"};

struct SshOptions {
    std::optional<std::string> filename, host, port, path, user, old_check, hash;
    std::optional<u8> mode, hash_type;
    void describe(OptionVisitor& v) {
        v.string("filename", filename, "ssh://USER@HOST:PORT/PATH");
        v.string("server.host", host, "Host");
        v.string("server.port", port, "Port, 22 by default");
        v.string("path", path, "Path on the server");
        v.string("user", user, "User, by default ours");
        v.string("host_key_check", old_check, "yes, no, or md5:, sha1: or sha256: and a fingerprint");
        v.choice("host-key-check.mode", check_modes, mode,
                 "How the server is recognised: known_hosts (default), hash, none");
        v.choice("host-key-check.type", hash_types, hash_type, "Of hash: md5, sha1 or sha256");
        v.string("host-key-check.hash", hash, "Of hash: the fingerprint");
    }
};

std::string plain_hash(std::string_view text) {
    std::string out;
    for (char c : text)
        if (c != ':') out += char(std::tolower(u8(c)));
    return out;
}

Result<void> take_hash(SshSettings& s, u8 type, std::string_view text) {
    s.host_key = SshSettings::HostKey(u8(SshSettings::HostKey::md5) + type);
    s.fingerprint = plain_hash(text);
    constexpr size_t digits[] = {32, 40, 64};
    if (s.fingerprint.size() != digits[type] ||
        s.fingerprint.find_first_not_of("0123456789abcdef") != std::string::npos)
        return Error::invalid_argument("host-key-check: '{}' is no {} fingerprint, expected {} hexadecimal digits",
                                       text, hash_types[type], digits[type]);
    return {};
}

Result<void> take_old_check(SshSettings& s, std::string_view text) {
    if (text == "no") return s.host_key = SshSettings::HostKey::none, Result<void>();
    if (text == "yes") return s.host_key = SshSettings::HostKey::known_hosts, Result<void>();
    for (u8 type = 0; type < 3; type++)
        if (text.starts_with(std::string(hash_types[type]) + ":"))
            return take_hash(s, type, text.substr(hash_types[type].size() + 1));
    return Error::invalid_argument("unknown host_key_check setting ({}), expected yes, no, md5:, sha1: or sha256:",
                                   text);
}

Result<void> take_port(SshSettings& s, std::string_view text) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), s.port);
    if (error != std::errc() || end != text.data() + text.size() || s.port == 0 || s.port > 65535)
        return Error::invalid_argument("'{}' is no port", text);
    return {};
}

Result<void> take_uri(SshSettings& s, std::string_view uri) {
    constexpr std::string_view scheme = "ssh://";
    if (!uri.starts_with(scheme))
        return Error::invalid_argument("expected ssh://[USER@]HOST[:PORT]/PATH, not '{}'", uri);
    std::string_view rest = uri.substr(scheme.size());
    size_t slash = rest.find('/');
    if (slash == std::string_view::npos) return Error::invalid_argument("'{}' has no path", uri);
    std::string_view authority = rest.substr(0, slash), path = rest.substr(slash);
    if (size_t at = authority.rfind('@'); at != std::string_view::npos) {
        s.user = authority.substr(0, at);
        authority.remove_prefix(at + 1);
    }
    size_t colon = authority.rfind(':'), bracket = authority.rfind(']');
    if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
        TRY(take_port(s, authority.substr(colon + 1)));
        authority = authority.substr(0, colon);
    }
    if (authority.starts_with('[') && authority.ends_with(']')) authority = authority.substr(1, authority.size() - 2);
    s.host = authority;
    constexpr std::string_view parameter = "host_key_check=";
    if (size_t query = path.find('?'); query != std::string_view::npos) {
        std::string_view given = path.substr(query + 1);
        path = path.substr(0, query);
        if (!given.starts_with(parameter))
            return Error::invalid_argument("'{}': expected host_key_check=, not '{}'", uri, given);
        TRY(take_old_check(s, given.substr(parameter.size())));
    }
    s.path = path;
    return {};
}

Result<SshSettings> read_options(Json& tree) {
    SshOptions o;
    OptionReader reader(tree, "Block protocol 'ssh'");
    o.describe(reader);
    TRY(reader.finish());
    SshSettings s;
    if (o.filename) {
        if (o.host || o.path || o.port)
            return Error::invalid_argument("ssh: a URI and server or path exclude each other");
        TRY(take_uri(s, *o.filename));
    } else {
        s.host = o.host.value_or("");
        s.path = o.path.value_or("");
        if (o.port) TRY(take_port(s, *o.port));
    }
    if (s.host.empty()) return Error::invalid_argument("No hostname was specified");
    if (s.path.empty()) return Error::invalid_argument("No path was specified");
    if (o.user) s.user = *o.user;
    if (o.old_check) TRY(take_old_check(s, *o.old_check));
    if (o.mode && *o.mode == 0) s.host_key = SshSettings::HostKey::none;
    if (o.mode && *o.mode == 2) s.host_key = SshSettings::HostKey::known_hosts;
    if (o.mode && *o.mode == 1) {
        if (!o.hash_type || !o.hash)
            return Error::invalid_argument("host-key-check.mode=hash needs host-key-check.type and .hash");
        TRY(take_hash(s, *o.hash_type, *o.hash));
    }
    return s;
}

class SshNode final : public Node {
public:
    SshNode(Context& context, NodeOptions options, std::unique_ptr<remote::SshFile> file)
        : Node(context, ssh_driver, std::move(options))
        , file_(std::move(file))
        , one_(context.loop)
        , size_(file_->size()) {
        limits_.max_transfer = 4u << 20;
    }

    u64 size() const override { return size_; }
    Result<u64> allocated_size() const override {
        return Error::unsupported("an SSH server does not tell a file's size on its disk");
    }
    bool has_zero_init() const override { return true; }

protected:
    bool grows() const override { return true; }
    Task<Result<void>> do_read(u64 offset, const IoVec& memory) override {
        std::vector<u8> bytes(memory.length());
        i64 got = 0;
        auto work = [&](std::string& error) { return (got = file_->read(offset, bytes, error)) >= 0; };
        CO_CHECK(co_await run(work));
        if (u64 n = u64(got); n < memory.length() && offset + n < size_)
            co_return Error::io("'{}' ends after {} bytes, it had {}", filename(), offset + n, size_);
        memory.copy_from(0, bytes.data(), u64(got));
        memory.fill(u64(got), memory.length() - u64(got), 0);
        co_return Result<void>();
    }
    Task<Result<void>> do_write(u64 offset, const IoVec& memory) override {
        std::vector<u8> bytes(memory.length());
        memory.copy_to(0, bytes.data(), bytes.size());
        auto work = [&](std::string& error) { return file_->write(offset, bytes, error); };
        CO_CHECK(co_await run(work));
        size_ = std::max(size_, offset + bytes.size());
        co_return Result<void>();
    }
    Task<Result<void>> do_flush() override {
        if (!file_->can_flush()) {
            if (!std::exchange(warned_, true))
                context().warn(
                    fmt::format("'{}': the SSH server cannot be asked for fsync, so writes are not safe from "
                                "its crash (OpenSSH 6.3 and newer can)",
                                filename()));
            co_return Result<void>();
        }
        auto work = [&](std::string& error) { return file_->flush(error); };
        co_return co_await run(work);
    }
    Task<Result<void>> do_truncate(u64 size, Prealloc prealloc) override {
        if (prealloc != Prealloc::off) co_return unsupported("preallocation");
        auto work = [&](std::string& error) { return file_->truncate(size, error); };
        CO_CHECK(co_await run(work));
        size_ = size;
        co_return Result<void>();
    }

private:
    template <class F>
    Task<Result<void>> run(F& work) {
        auto lock = co_await one_.lock();
        std::string error;
        bool good = co_await loop().blocking().run(loop(), [&] { return work(error); });
        if (!good) co_return Error::make(ErrorKind::io, "{}", error);
        co_return Result<void>();
    }

    std::unique_ptr<remote::SshFile> file_;
    io::Mutex one_;
    u64 size_;
    bool warned_ = false;
};

Task<Result<std::unique_ptr<remote::SshFile>>> reach(Context& context, SshSettings s) {
    CO_TRY(const remote::SshModule* module, open_module<remote::SshModule>());
    std::string error;
    auto file = co_await context.loop.blocking().run(context.loop, [&] { return module->open(s, error); });
    if (!file) co_return Error::make(ErrorKind::io, "{}", error);
    co_return std::move(file);
}

Task<Result<NodePtr>> open_ssh(Context& context, OpenArguments& a) {
    CO_TRY(SshSettings s, read_options(a.options));
    s.writable = !a.common.read_only;
    std::string name = fmt::format("ssh://{}{}{}:{}{}", s.user, s.user.empty() ? "" : "@", s.host, s.port, s.path);
    CO_TRY(auto file, co_await reach(context, std::move(s)));
    auto node = std::make_shared<SshNode>(context, a.common, std::move(file));
    node->set_filename(name);
    co_return NodePtr(node);
}

Task<Result<void>> create_ssh(Context& context, CreateArguments& a) {
    std::optional<u64> size;
    std::optional<std::string> preallocation;
    OptionReader reader(a.options, "Block protocol 'ssh'");
    reader.size("size", size, "");
    reader.string("preallocation", preallocation, "");
    CO_CHECK(reader.finish());
    if (preallocation && *preallocation != "off")
        co_return Error::unsupported("preallocation '{}' is not supported by ssh", *preallocation);
    Json where = Json::object();
    where.set("filename", a.filename);
    CO_TRY(SshSettings s, read_options(where));
    s.writable = s.create = true;
    CO_TRY(auto file, co_await reach(context, std::move(s)));
    std::string error;
    bool good = co_await context.loop.blocking().run(
        context.loop, [&] { return size.value_or(0) == 0 || file->truncate(*size, error); });
    if (!good) co_return Error::make(ErrorKind::io, "{}", error);
    co_return Result<void>();
}

constexpr std::string_view schemes[] = {"ssh"};

} // namespace

MIMIC_BLOCK_DRIVER(ssh) = {
    .name = "ssh", .is_protocol = true, .schemes = schemes, .open = open_ssh, .create = create_ssh};

} // namespace mimic::block
