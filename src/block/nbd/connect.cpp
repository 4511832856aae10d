// The client's half of the handshake: oldstyle, newstyle and fixed newstyle.
#include "block/nbd/client.hpp"
#include <algorithm>

namespace mimic::block::nbd {

namespace {

constexpr size_t reply_header = 20;
constexpr size_t most_exports = 10'000, most_contexts = 10'000, most_infos = 64;

std::string_view reason(u32 type) {
    switch (type) {
    case rep_err_unsup: return "the option is not supported";
    case rep_err_policy: return "its policy forbids it";
    case rep_err_invalid: return "the request is invalid";
    case rep_err_platform: return "its platform does not support it";
    case rep_err_tls_reqd: return "TLS is required";
    case rep_err_unknown: return "the export is unknown";
    case rep_err_shutdown: return "it is shutting down";
    case rep_err_block_size_reqd: return "block sizes must be asked for";
    case rep_err_too_big: return "the request is too big";
    default: return "unknown reason";
    }
}

Error too_old() { return Error::unsupported("the NBD server is too old for TLS"); }

// Text of a peer, for a terminal.
std::string clean(std::string text) {
    for (char& c : text)
        if (u8(c) < 32 || c == 127) c = '?';
    return text;
}

} // namespace

class Handshake {
public:
    explicit Handshake(Channel& channel) : channel_(channel) {}

    struct Reply {
        u32 type = 0;
        std::vector<u8> data;
        bool is_error() const { return type & rep_error; }
        std::string text() const { return clean({data.begin(), data.end()}); }
    };

    // Up to the options. False: an oldstyle server, which has said all of its only export.
    Task<Result<bool>> greet(Description& only) {
        CO_CHECK(co_await channel_.need(16));
        u64 init = get64(channel_.data()), magic = get64(channel_.data() + 8);
        channel_.consume(16);
        if (init != init_magic)
            co_return Error::invalid_argument("the peer is no NBD server (it began with {:#018x})", init);
        if (magic == old_magic) {
            CO_TRY(auto rest, co_await channel_.read_bytes(12 + reserved_bytes));
            only.size = get64(rest.data());
            only.flags = get16(rest.data() + 10);
            only.has_details = true;
            co_return false;
        }
        if (magic != option_magic)
            co_return Error::invalid_argument("the NBD server's magic is {:#018x}, expected {:#018x}", magic,
                                              option_magic);
        CO_CHECK(co_await channel_.need(2));
        u16 flags = get16(channel_.data());
        channel_.consume(2);
        fixed_ = flags & flag_fixed_newstyle;
        no_zeroes_ = flags & flag_no_zeroes;
        channel_.queue(
            Packer().number32((fixed_ ? flag_c_fixed_newstyle : 0) | (no_zeroes_ ? flag_c_no_zeroes : 0)).bytes());
        co_return true;
    }
    bool fixed() const { return fixed_; }

    void ask(u32 option, const std::vector<u8>& data = {}) {
        Packer p;
        p.number64(option_magic).number32(option).number32(u32(data.size()));
        p.text({reinterpret_cast<const char*>(data.data()), data.size()});
        option_ = option;
        channel_.queue(p.bytes());
    }

    Task<Result<Reply>> reply() {
        CO_CHECK(co_await channel_.need(reply_header));
        const u8* p = channel_.data();
        u64 magic = get64(p);
        u32 option = get32(p + 8), length = get32(p + 16);
        Reply r;
        r.type = get32(p + 12);
        channel_.consume(reply_header);
        if (magic != reply_magic || option != option_)
            co_return Error::invalid_argument("the NBD server's answer to option {} has magic {:#x} and option {}",
                                              option_, magic, option);
        if (length > max_option)
            co_return Error::invalid_argument("the NBD server's answer to option {} has {} bytes, expected at most {}",
                                              option_, length, max_option);
        CO_TRY(r.data, co_await channel_.read_bytes(length));
        co_return std::move(r);
    }

    // Before any other option.
    Task<Result<void>> start_tls(Security security) {
        if (!security) co_return Result<void>();
        if (!fixed_) co_return too_old();
        ask(opt_starttls);
        CO_TRY(Reply r, co_await reply());
        if (r.is_error()) co_return refused("TLS", r);
        if (r.type != rep_ack) co_return unexpected(r);
        co_return co_await channel_.secure(std::move(security));
    }

    Task<Result<bool>> structured() {
        ask(opt_structured_reply);
        CO_TRY(Reply r, co_await reply());
        if (r.type == rep_err_tls_reqd)
            co_return Error::permission("{} (did you forget a valid tls-creds?)",
                                        refused("structured replies", r).message());
        co_return r.type == rep_ack;
    }

    static std::vector<u8> context_query(const std::string& name, const std::string& query) {
        Packer p;
        p.number32(u32(name.size())).text(name).number32(query.empty() ? 0 : 1);
        if (!query.empty()) p.number32(u32(query.size())).text(query);
        return p.bytes();
    }

    // Calls take(id, name) for each context.
    template <class F>
    Task<Result<void>> contexts(u32 option, const std::string& name, const std::string& query, F take) {
        ask(option, context_query(name, query));
        for (size_t i = 0; i < most_contexts; i++) {
            CO_TRY(Reply r, co_await reply());
            if (r.type == rep_ack || r.is_error()) co_return Result<void>();
            if (r.type != rep_meta_context || r.data.size() < 4) co_return unexpected(r);
            take(get32(r.data.data()), std::string(r.data.begin() + 4, r.data.end()));
        }
        co_return Error::invalid_argument("the NBD server has more than {} metadata contexts", most_contexts);
    }

    // INFO and GO. False: the server does not know the option.
    Task<Result<bool>> info(u32 option, const std::string& name, Description& d) {
        ask(option, Packer()
                        .number32(u32(name.size()))
                        .text(name)
                        .number16(2)
                        .number16(info_block_size)
                        .number16(info_description)
                        .bytes());
        for (size_t i = 0; i < most_infos; i++) {
            CO_TRY(Reply r, co_await reply());
            if (r.type == rep_err_unsup) co_return false;
            if (r.is_error()) co_return refused(fmt::format("export '{}'", clean(name)), r);
            if (r.type == rep_ack && !d.has_details)
                co_return Error::invalid_argument("the NBD server told no size of export '{}'", clean(name));
            if (r.type == rep_ack) co_return true;
            if (r.type != rep_info) co_return unexpected(r);
            CO_CHECK(take_info(r, d));
        }
        co_return Error::invalid_argument("the NBD server tells more than {} facts of export '{}'", most_infos,
                                          clean(name));
    }

    Task<Result<void>> export_name(const std::string& name, Description& d) {
        ask(opt_export_name, {name.begin(), name.end()});
        Result<void> there = co_await channel_.need(10);
        if (!there) co_return Error::not_found("the NBD server has no export '{}'", clean(name));
        d.size = get64(channel_.data());
        d.flags = get16(channel_.data() + 8);
        d.has_details = true;
        channel_.consume(10);
        if (!no_zeroes_) CO_CHECK(co_await channel_.skip(reserved_bytes));
        co_return Result<void>();
    }

    Task<Result<std::vector<Description>>> list() {
        ask(opt_list);
        std::vector<Description> all;
        for (;;) {
            CO_TRY(Reply r, co_await reply());
            if (r.type == rep_ack) co_return std::move(all);
            if (r.is_error()) co_return refused("listing", r);
            Unpacker in(r.data);
            Description d;
            d.name = in.text(in.number32());
            d.text = clean(in.text(in.left()));
            if (r.type != rep_server || !in.ok()) co_return unexpected(r);
            if (all.size() >= most_exports)
                co_return Error::invalid_argument("the NBD server has more than {} exports", most_exports);
            all.push_back(std::move(d));
        }
    }

    static Error refused(std::string_view what, const Reply& r) {
        std::string text = r.text();
        return Error::invalid_argument("the NBD server refuses {}: {}{}{}", what, reason(r.type),
                                       text.empty() ? "" : "; it says: ", text);
    }
    Error unexpected(const Reply& r) const {
        return Error::invalid_argument("the NBD server's answer to option {} has type {:#x} and {} bytes", option_,
                                       r.type, r.data.size());
    }

private:
    Result<void> take_info(const Reply& r, Description& d) const {
        Unpacker in(r.data);
        switch (in.number16()) {
        case info_export:
            d.size = in.number64();
            d.flags = in.number16();
            d.has_details = true;
            break;
        case info_description: d.text = clean(in.text(in.left())); break;
        case info_block_size:
            d.sizes.minimum = in.number32();
            d.sizes.preferred = in.number32();
            d.sizes.maximum = in.number32();
            d.has_sizes = true;
            break;
        default: return {};
        }
        if (!in.complete()) return unexpected(r);
        return {};
    }

    Channel& channel_;
    u32 option_ = 0;
    bool fixed_ = false, no_zeroes_ = false;
};

namespace {

Result<void> plausible(Description& d) {
    if (d.size > u64(INT64_MAX))
        return Error::invalid_argument("the NBD export has {} bytes, expected less than 8 EiB", d.size);
    if (!(d.flags & flag_has_flags)) d.flags = 0;
    BlockSizes& s = d.sizes;
    auto power = [](u32 n) { return n && (n & (n - 1)) == 0; };
    if (!power(s.minimum) || s.minimum > 64u << 10 || s.maximum < s.minimum)
        return Error::invalid_argument(
            "the NBD export has block sizes {}, {} and {}, expected powers of two up to 64 KiB and more", s.minimum,
            s.preferred, s.maximum);
    s.maximum = std::min(s.maximum, max_payload) / s.minimum * s.minimum;
    if (d.size % s.minimum)
        return Error::invalid_argument("the NBD export's size {} is no multiple of its blocks of {}", d.size,
                                       s.minimum);
    return {};
}

Task<Result<std::vector<Description>>> list_over(Channel& channel, Security security) {
    Handshake h(channel);
    Description only;
    CO_TRY(bool options, co_await h.greet(only));
    if (!options && security) co_return too_old();
    if (options) CO_CHECK(co_await h.start_tls(std::move(security)));
    if (!options) co_return std::vector<Description>{only};
    if (!h.fixed()) {
        CO_CHECK(co_await h.export_name("", only));
        co_return std::vector<Description>{only};
    }
    CO_TRY(bool structured, co_await h.structured());
    CO_TRY(auto all, co_await h.list());
    for (auto& d : all) {
        CO_TRY(bool told, co_await h.info(opt_info, d.name, d));
        if (!told) break;
        auto take = [&](u32, std::string name) { d.contexts.push_back(clean(std::move(name))); };
        if (structured) CO_CHECK(co_await h.contexts(opt_list_meta_context, d.name, "", take));
    }
    h.ask(opt_abort);
    Result<void> sent = co_await channel.flush();
    std::move(sent).ignore();
    co_return std::move(all);
}

} // namespace

Task<Result<std::vector<Description>>> list(io::Loop& loop, std::unique_ptr<Transport> transport, Security security) {
    Channel channel(loop, std::move(transport));
    auto all = co_await list_over(channel, std::move(security));
    co_await channel.close();
    co_return std::move(all);
}

Connection::Connection(io::Loop& loop, std::unique_ptr<Transport> transport)
    : loop_(loop)
    , channel_(loop, std::move(transport))
    , changed_(loop) {}

Connection::~Connection() { MIMIC_CHECK(!receiving_ && pending_.empty(), "a connection ends after close()"); }

Task<Result<void>> Connection::agree(Wanted wanted) {
    Handshake h(channel_);
    Description& d = description_;
    d.name = wanted.export_name;
    CO_TRY(bool options, co_await h.greet(d));
    if (!options) {
        if (wanted.security) co_return too_old();
        if (!wanted.export_name.empty())
            co_return Error::not_found("the NBD server has no export '{}': it has one without a name",
                                       clean(wanted.export_name));
        co_return plausible(d);
    }
    bool told = false;
    CO_CHECK(co_await h.start_tls(std::move(wanted.security)));
    if (h.fixed()) {
        CO_TRY(structured_, co_await h.structured());
        auto take = [&](u32 id, const std::string& name) {
            if (name == wanted.context) context_ = id;
        };
        if (structured_ && !wanted.context.empty())
            CO_CHECK(co_await h.contexts(opt_set_meta_context, wanted.export_name, wanted.context, take));
        CO_TRY(told, co_await h.info(opt_go, wanted.export_name, d));
    }
    if (!told) CO_CHECK(co_await h.export_name(wanted.export_name, d));
    co_return plausible(d);
}

Task<Result<std::unique_ptr<Connection>>> Connection::open(io::Loop& loop, std::unique_ptr<Transport> transport,
                                                           Wanted wanted) {
    std::unique_ptr<Connection> c(new Connection(loop, std::move(transport)));
    Result<void> agreed = co_await c->agree(std::move(wanted));
    if (!agreed) {
        co_await c->channel_.close();
        co_return std::move(agreed).error();
    }
    c->receive();
    co_return std::move(c);
}

} // namespace mimic::block::nbd
