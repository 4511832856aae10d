// The server's half of the handshake: fixed newstyle, and newstyle's one option.
#include "block/nbd/server.hpp"
#include "crypto/authz.hpp"
#include <algorithm>

namespace mimic::block::nbd {

namespace {

constexpr size_t option_header = 16;
// More options than this are no negotiation.
constexpr unsigned most_options = 10'000;
constexpr unsigned most_queries = 1024;

class Negotiation {
public:
    Negotiation(Server& server, Channel& channel, Session& session)
        : server_(server)
        , channel_(channel)
        , session_(session) {}

    Task<Result<bool>> run() {
        Packer hello;
        hello.number64(init_magic).number64(option_magic).number16(flag_fixed_newstyle | flag_no_zeroes);
        channel_.queue(hello.bytes());
        CO_CHECK(co_await channel_.need(4));
        u32 flags = get32(channel_.data());
        channel_.consume(4);
        if (flags & ~(flag_c_fixed_newstyle | flag_c_no_zeroes))
            co_return Error::invalid_argument("client sent unknown handshake flags {:#x}", flags);
        session_.no_zeroes = flags & flag_c_no_zeroes;
        fixed_ = flags & flag_c_fixed_newstyle;
        for (unsigned i = 0; i < most_options && !over_; i++) CO_CHECK(co_await option());
        if (!over_) co_return Error::invalid_argument("client sent more than {} options", most_options);
        co_return session_.export_ != nullptr;
    }

private:
    Task<Result<void>> option() {
        CO_CHECK(co_await channel_.need(option_header));
        u64 magic = get64(channel_.data());
        option_ = get32(channel_.data() + 8);
        u32 length = get32(channel_.data() + 12);
        channel_.consume(option_header);
        if (magic != option_magic)
            co_return Error::invalid_argument("client sent an option with magic {:#x}, expected {:#x}", magic,
                                              option_magic);
        if (!fixed_ && option_ != opt_export_name)
            co_return Error::invalid_argument("client without fixed newstyle sent option {}", option_);
        if (length > max_option) {
            if (length > max_payload || option_ == opt_export_name)
                co_return Error::invalid_argument("client sent an option of {} bytes", length);
            CO_CHECK(co_await channel_.skip(length));
            reply(rep_err_too_big, fmt::format("an option has at most {} bytes", max_option));
            co_return co_await channel_.flush();
        }
        CO_TRY(std::vector<u8> data, co_await channel_.read_bytes(length));
        if (server_.security() && !secure_) {
            bool begin = false;
            CO_TRY(begin, before_tls(data));
            CO_CHECK(co_await channel_.flush());
            if (begin) CO_CHECK(co_await start_tls());
            co_return Result<void>();
        }
        CO_CHECK(handle(data));
        // One option at a time: so a client that asks without reading makes us keep one answer.
        co_return co_await channel_.flush();
    }

    // True: the client begins TLS.
    Result<bool> before_tls(std::span<const u8> data) {
        switch (option_) {
        case opt_starttls:
            if (data.empty())
                reply(rep_ack);
            else
                reply(rep_err_invalid, "this option has no data");
            return data.empty();
        case opt_abort:
            over_ = true;
            reply(rep_ack);
            return false;
        case opt_export_name: return Error::permission("client asked for an export without TLS");
        default: reply(rep_err_tls_reqd, "TLS is required, begin it with NBD_OPT_STARTTLS"); return false;
        }
    }

    // What was agreed before does not count (proto.md, "TLS").
    Task<Result<void>> start_tls() {
        CO_CHECK(co_await channel_.secure(server_.security()));
        if (auto& clients = server_.security().clients) {
            std::string who = channel_.peer();
            if (who.empty())
                co_return Error::permission("a client without a certificate is not among those that may connect");
            CO_TRY(bool allowed, clients->allows(who));
            if (!allowed) co_return Error::permission("the client '{}' is not among those that may connect", who);
        }
        secure_ = true;
        session_ = Session{.no_zeroes = session_.no_zeroes};
        co_return Result<void>();
    }

    Result<void> handle(std::span<const u8> data) {
        switch (option_) {
        case opt_export_name: return export_name(data);
        case opt_abort:
            over_ = true;
            reply(rep_ack);
            return {};
        case opt_list: list(data); return {};
        case opt_info:
        case opt_go: info(data); return {};
        case opt_structured_reply:
            if (!data.empty()) {
                reply(rep_err_invalid, "this option has no data");
            } else {
                session_.structured = true;
                reply(rep_ack);
            }
            return {};
        case opt_list_meta_context:
        case opt_set_meta_context: meta_context(data); return {};
        case opt_starttls:
            if (secure_)
                reply(rep_err_invalid, "TLS is there already");
            else
                reply(rep_err_policy, "TLS is not configured");
            return {};
        default: reply(rep_err_unsup, fmt::format("option {} is not known", option_)); return {};
        }
    }

    void reply(u32 type, std::string_view data = {}) {
        Packer p;
        p.number64(reply_magic).number32(option_).number32(type).number32(u32(data.size())).text(data);
        channel_.queue(p.bytes());
    }
    void reply(u32 type, const Packer& data) {
        reply(type, {reinterpret_cast<const char*>(data.bytes().data()), data.bytes().size()});
    }

    Result<void> export_name(std::span<const u8> data) {
        std::string name(reinterpret_cast<const char*>(data.data()), data.size());
        const Export* e = server_.find(name);
        if (!e) return Error::not_found("client asked for export '{}', which is not there", printable(name));
        Packer p;
        p.number64(e->disk->size()).number16(e->flags(session_.structured));
        if (!session_.no_zeroes) p.zeroes(reserved_bytes);
        channel_.queue(p.bytes());
        choose(e);
        return {};
    }

    void list(std::span<const u8> data) {
        if (!data.empty()) {
            reply(rep_err_invalid, "this option has no data");
            return;
        }
        for (auto& e : server_.exports()) {
            Packer p;
            p.number32(u32(e.name.size())).text(e.name).text(e.description);
            reply(rep_server, p);
        }
        reply(rep_ack);
    }

    void info(std::span<const u8> data) {
        Unpacker in(data);
        std::string name = in.text(in.number32());
        u16 count = in.number16();
        bool wants_name = false, wants_description = false, wants_sizes = false;
        for (u16 i = 0; i < count && in.ok(); i++) switch (in.number16()) {
            case info_name: wants_name = true; break;
            case info_description: wants_description = true; break;
            case info_block_size: wants_sizes = true; break;
            default: break;
            }
        if (!in.complete() || name.size() > max_string) {
            reply(rep_err_invalid, "the option's data is not well formed");
            return;
        }
        const Export* e = server_.find(name);
        if (!e) {
            reply(rep_err_unknown, fmt::format("export '{}' not present", printable(name)));
            return;
        }
        if (wants_name) reply(rep_info, Packer().number16(info_name).text(e->name));
        if (wants_description && !e->description.empty())
            reply(rep_info, Packer().number16(info_description).text(e->description));
        BlockSizes s = e->sizes();
        reply(rep_info,
              Packer().number16(info_block_size).number32(s.minimum).number32(s.preferred).number32(s.maximum));
        reply(rep_info,
              Packer().number16(info_export).number64(e->disk->size()).number16(e->flags(session_.structured)));
        if (s.minimum > 1 && !wants_sizes && option_ == opt_go) {
            reply(rep_err_block_size_reqd, "requests must be aligned; ask for NBD_INFO_BLOCK_SIZE");
            return;
        }
        reply(rep_ack);
        if (option_ == opt_go) choose(e);
    }

    void choose(const Export* e) {
        session_.export_ = e;
        // Contexts of another export are not this one's.
        if (session_.contexts_of != e->name) session_.contexts.clear();
        over_ = true;
    }

    void meta_context(std::span<const u8> data) {
        bool set = option_ == opt_set_meta_context;
        if (set) session_.contexts.clear();
        if (set && !session_.structured) {
            reply(rep_err_invalid, "structured replies are needed first");
            return;
        }
        Unpacker in(data);
        std::string name = in.text(in.number32());
        u32 count = in.number32();
        if (in.ok() && count > most_queries) {
            reply(rep_err_too_big, fmt::format("at most {} queries", most_queries));
            return;
        }
        std::vector<std::string> queries;
        for (u32 i = 0; i < count && in.ok(); i++) queries.push_back(in.text(in.number32()));
        if (!in.complete()) {
            reply(rep_err_invalid, "the option's data is not well formed");
            return;
        }
        const Export* e = server_.find(name);
        if (!e) {
            reply(rep_err_unknown, fmt::format("export '{}' not present", printable(name)));
            return;
        }
        auto contexts = e->contexts();
        for (u32 id = 0; id < contexts.size(); id++) {
            bool wanted = !set && queries.empty();
            for (auto& q : queries) wanted = wanted || q == contexts[id] || (!set && covers(q, contexts[id]));
            if (!wanted) continue;
            reply(rep_meta_context, Packer().number32(set ? id : 0).text(contexts[id]));
            if (set) session_.contexts.push_back(id);
        }
        if (set) session_.contexts_of = name;
        reply(rep_ack);
    }

    // A namespace alone, or the bitmaps' part of ours, lists all that begins with it.
    static bool covers(const std::string& query, const std::string& context) {
        return !query.empty() && query.back() == ':' && context.starts_with(query);
    }
    static std::string printable(std::string name) {
        for (char& c : name)
            if (u8(c) < 32 || c == 127) c = '?';
        if (name.size() > 256) name = name.substr(0, 256) + "...";
        return name;
    }

    Server& server_;
    Channel& channel_;
    Session& session_;
    u32 option_ = 0;
    bool fixed_ = false, over_ = false, secure_ = false;
};

} // namespace

Task<Result<bool>> negotiate(Server& server, Channel& channel, Session& session) {
    Negotiation n(server, channel, session);
    co_return co_await n.run();
}

} // namespace mimic::block::nbd
