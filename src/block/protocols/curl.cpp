// http, https, ftp, ftps: a file of a server, read-only. It is fetched in segments of `readahead` bytes, the last of which are
// kept, so that a guest's small reads are not a request each.
#include "base/io/pool.hpp"
#include "block/driver.hpp"
#include "block/objects.hpp"
#include "remote/http.hpp"
#include <algorithm>
#include <list>

namespace mimic::block {

extern const Driver http_driver, https_driver, ftp_driver, ftps_driver;

namespace {

constexpr u64 default_readahead = 256u << 10, most_readahead = 64u << 20;
constexpr u64 default_timeout = 5, most_timeout = 100'000;
// Segments that are kept.
constexpr size_t most_kept = 8;

struct CurlOptions {
    std::optional<std::string> url, filename, user, password_secret, proxy_user, proxy_password_secret, cookie,
        cookie_secret;
    std::optional<u64> readahead, timeout;
    std::optional<bool> verify;
    void describe(OptionVisitor& v) {
        v.string("url", url, "Where the file is");
        v.string("filename", filename, "The same");
        v.size("readahead", readahead, "Bytes of one request, a multiple of 512");
        v.boolean("sslverify", verify, "Must the server's certificate be valid? On by default");
        v.number("timeout", timeout, "Seconds without progress after which a request fails, 5 by default");
        v.string("username", user, "User of the server");
        v.string("password-secret", password_secret, "ID of a secret: the password");
        v.string("proxy-username", proxy_user, "User of the proxy");
        v.string("proxy-password-secret", proxy_password_secret, "ID of a secret: the password");
        v.string("cookie", cookie, "Cookies, NAME=VALUE; ...");
        v.string("cookie-secret", cookie_secret, "ID of a secret: cookies");
    }

    Result<remote::HttpSettings> settings(const Context& context, std::string_view scheme) const {
        remote::HttpSettings s;
        if (url.has_value() == filename.has_value())
            return Error::invalid_argument("curl block driver requires a 'url' option");
        s.url = url ? *url : *filename;
        if (!s.url.starts_with(std::string(scheme) + "://"))
            return Error::invalid_argument("{} curl driver cannot handle the URL '{}' (does not start with '{}://')",
                                           scheme, s.url, scheme);
        if (cookie && cookie_secret)
            return Error::invalid_argument("curl driver cannot handle both cookie and cookie secret");
        if (timeout.value_or(default_timeout) > most_timeout)
            return Error::invalid_argument("timeout parameter is too large or negative");
        u64 ahead = readahead.value_or(default_readahead);
        if (ahead == 0 || ahead % 512 || ahead > most_readahead)
            return Error::invalid_argument("readahead '{}' is not a multiple of 512 up to {}", ahead, most_readahead);
        s.timeout = unsigned(timeout.value_or(default_timeout));
        s.verify = verify.value_or(true);
        s.user = user.value_or("");
        s.proxy_user = proxy_user.value_or("");
        if (password_secret) s.password = TRY(find_secret(context, *password_secret));
        if (proxy_password_secret) s.proxy_password = TRY(find_secret(context, *proxy_password_secret));
        s.cookie = cookie_secret ? TRY(find_secret(context, *cookie_secret)) : cookie.value_or("");
        return s;
    }
};

class CurlNode final : public Node {
public:
    CurlNode(Context& context, const Driver& driver, NodeOptions options, std::unique_ptr<remote::HttpFile> file,
             u64 readahead)
        : Node(context, driver, std::move(options))
        , file_(std::move(file))
        , readahead_(readahead) {}

    u64 size() const override { return file_->size(); }
    Result<u64> allocated_size() const override {
        return Error::unsupported("a server does not tell a file's size on its disk");
    }

protected:
    Task<Result<void>> do_read(u64 offset, const IoVec& memory) override {
        u64 length = memory.length(), there = offset < size() ? std::min(length, size() - offset) : 0;
        memory.fill(there, length - there, 0);
        for (u64 done = 0; done < there;) {
            u64 at = offset + done, number = at / readahead_, within = at % readahead_;
            std::shared_ptr<Segment> s = find(number);
            CO_CHECK(co_await filled(s));
            u64 n = std::min(there - done, s->bytes.size() - within);
            memory.copy_from(done, s->bytes.data() + within, n);
            done += n;
        }
        co_return Result<void>();
    }
    Task<Result<void>> do_write(u64, const IoVec&) override {
        co_return Error::permission("'{}' is read-only", filename());
    }

private:
    struct Segment {
        explicit Segment(io::Loop& loop) : ready(loop) {}
        u64 number = 0;
        std::vector<u8> bytes;
        bool fetching = false, there = false;
        std::optional<Error> error;
        io::WaitList ready;
    };

    std::shared_ptr<Segment> find(u64 number) {
        for (auto at = kept_.begin(); at != kept_.end(); ++at)
            if ((*at)->number == number) {
                kept_.splice(kept_.begin(), kept_, at);
                return kept_.front();
            }
        auto s = std::make_shared<Segment>(loop());
        s->number = number;
        kept_.push_front(s);
        if (kept_.size() > most_kept) kept_.pop_back(); // who waits for it has it
        return s;
    }

    // One task fetches it, others that want it wait for that one.
    Task<Result<void>> filled(std::shared_ptr<Segment> s) {
        while (s->fetching) co_await s->ready.wait();
        if (s->there) co_return Result<void>();
        if (s->error) co_return *s->error;
        s->fetching = true;
        u64 begin = s->number * readahead_;
        s->bytes.resize(std::min(readahead_, size() - begin));
        std::string error;
        bool good =
            co_await loop().blocking().run(loop(), [&] { return file_->fetch(begin, std::span(s->bytes), error); });
        s->fetching = false;
        s->there = good;
        if (!good) {
            s->error = Error::make(ErrorKind::io, "{}: {}", filename(), error);
            // The next who asks tries again.
            kept_.remove(s);
        }
        s->ready.wake_all();
        if (!good) co_return *s->error;
        co_return Result<void>();
    }

    std::unique_ptr<remote::HttpFile> file_;
    u64 readahead_;
    std::list<std::shared_ptr<Segment>> kept_;
};

Task<Result<NodePtr>> open_curl(Context& context, const Driver& driver, OpenArguments& a) {
    CurlOptions o;
    OptionReader reader(a.options, fmt::format("Block protocol '{}'", driver.name));
    o.describe(reader);
    CO_CHECK(reader.finish());
    if (!a.common.read_only && !a.common.auto_read_only)
        co_return Error::permission("Block protocol '{}' is read-only", driver.name);
    a.common.read_only = true;
    CO_TRY(remote::HttpSettings settings, o.settings(context, driver.name));
    CO_TRY(const remote::HttpModule* module, open_module<remote::HttpModule>());
    std::string error;
    auto file = co_await context.loop.blocking().run(context.loop, [&] { return module->open(settings, error); });
    if (!file) co_return Error::make(ErrorKind::io, "CURL: Error opening file '{}': {}", settings.url, error);
    auto node =
        std::make_shared<CurlNode>(context, driver, a.common, std::move(file), o.readahead.value_or(default_readahead));
    node->set_filename(settings.url);
    co_return NodePtr(node);
}

Task<Result<NodePtr>> open_http(Context& c, OpenArguments& a) { return open_curl(c, http_driver, a); }
Task<Result<NodePtr>> open_https(Context& c, OpenArguments& a) { return open_curl(c, https_driver, a); }
Task<Result<NodePtr>> open_ftp(Context& c, OpenArguments& a) { return open_curl(c, ftp_driver, a); }
Task<Result<NodePtr>> open_ftps(Context& c, OpenArguments& a) { return open_curl(c, ftps_driver, a); }

constexpr std::string_view http[] = {"http"}, https[] = {"https"}, ftp[] = {"ftp"}, ftps[] = {"ftps"};

} // namespace

MIMIC_BLOCK_DRIVER(http) = {.name = "http", .is_protocol = true, .schemes = http, .open = open_http};
MIMIC_BLOCK_DRIVER(https) = {.name = "https", .is_protocol = true, .schemes = https, .open = open_https};
MIMIC_BLOCK_DRIVER(ftp) = {.name = "ftp", .is_protocol = true, .schemes = ftp, .open = open_ftp};
MIMIC_BLOCK_DRIVER(ftps) = {.name = "ftps", .is_protocol = true, .schemes = ftps, .open = open_ftps};

} // namespace mimic::block
