// nbd: an export of an NBD server as a node. A lost connection is made anew for up to reconnect-delay seconds, and what was
// under way is asked again: all that we ask can be done twice.
#include "block/driver.hpp"
#include "block/nbd/address.hpp"
#include "block/nbd/client.hpp"
#include "block/objects.hpp"
#include <algorithm>

namespace mimic::block {

namespace {

using namespace nbd;
using Clock = std::chrono::steady_clock;

constexpr std::string_view server_types[] = {"inet", "unix", "fd"};

struct NbdOptions {
    std::optional<std::string> filename, host, port, path, export_name, server_host, server_port, server_path,
        server_fd, context;
    std::optional<std::string> tls_creds, tls_hostname;
    std::optional<u8> server_type;
    std::optional<u64> reconnect_delay, open_timeout;
    void describe(OptionVisitor& v) {
        v.string("filename", filename, "nbd://HOST[:PORT]/EXPORT or nbd+unix:///EXPORT?socket=PATH");
        v.choice("server.type", server_types, server_type, "Kind of socket: inet, unix or fd");
        v.string("server.host", server_host, "Host of inet");
        v.string("server.port", server_port, "Port of inet");
        v.string("server.path", server_path, "Path of unix");
        v.string("server.str", server_fd, "Number of a connected descriptor, for fd");
        v.string("host", host, "Host");
        v.string("port", port, "Port, 10809 by default");
        v.string("path", path, "Path of a unix socket");
        v.string("export", export_name, "Name of the export");
        v.string("x-dirty-bitmap", context, "Metadata context to use in place of base:allocation");
        v.number("reconnect-delay", reconnect_delay, "Seconds for which requests wait for a lost server");
        v.number("open-timeout", open_timeout, "Seconds for which opening waits for the server");
        v.string("tls-creds", tls_creds, "ID of TLS credentials (--object tls-creds-x509,...), endpoint client");
        v.string("tls-hostname", tls_hostname, "Name that the server's certificate must be for (default: the host)");
    }

    Result<Location> location() const {
        Location l;
        if (filename) l = TRY(parse_location(*filename));
        if (export_name && !export_name->empty()) {
            if (!l.export_name.empty()) return Error::invalid_argument("the export's name is given twice");
            l.export_name = *export_name;
        }
        if (filename) return l;
        bool flat = host || path;
        if (flat == server_type.has_value() || (host && path))
            return Error::invalid_argument("driver 'nbd' needs one of server, host and path");
        io::SocketAddress& a = l.address;
        if (path || (server_type && *server_type == 1)) {
            a.path = path ? *path : server_path.value_or("");
            if (a.path.empty()) return Error::invalid_argument("driver 'nbd' needs server.path");
        } else if (server_type && *server_type == 2) {
            a.kind = io::SocketAddress::Kind::descriptor;
            a.fd = std::atoi(server_fd.value_or("-1").c_str());
        } else {
            a.kind = io::SocketAddress::Kind::inet;
            a.host = host ? *host : server_host.value_or("");
            a.port = (host ? port : server_port).value_or(std::string(default_port));
            if (a.host.empty()) return Error::invalid_argument("driver 'nbd' needs server.host");
        }
        return l;
    }

    Result<Security> security(const Context& all, const Location& where) const {
        Security s;
        if (!tls_creds) {
            if (tls_hostname) return Error::invalid_argument("tls-hostname is nothing without tls-creds");
            if (where.needs_tls) return Error::invalid_argument("nbds:// needs tls-creds");
            return s;
        }
        s.credentials = TRY(find_credentials(all, *tls_creds, tls::Endpoint::client));
        if (tls_hostname && tls_hostname->empty())
            return Error::invalid_argument("tls-hostname is empty, expected the name that the certificate must be for");
        s.host = tls_hostname ? *tls_hostname : where.address.host;
        return s;
    }
};

// How long a lost server is left alone before the next attempt.
constexpr auto first_pause = std::chrono::milliseconds(50), longest_pause = std::chrono::milliseconds(1000);

class NbdNode final : public Node {
public:
    NbdNode(Context& context, NodeOptions options, Location where, Security security, const NbdOptions& o)
        : Node(context, nbd_driver, std::move(options))
        , where_(std::move(where))
        , security_(std::move(security))
        , delay_(std::chrono::seconds(o.reconnect_delay.value_or(0)))
        , reconnecting_(context.loop) {
        if (o.context) context_ = *o.context;
    }

    Task<Result<void>> start(std::chrono::seconds patience) {
        CO_TRY(connection_, co_await connect_for(patience));
        const Description& d = connection_->description();
        size_ = d.size;
        if ((d.flags & flag_read_only) && !options_.read_only) {
            if (!options_.auto_read_only) {
                co_await connection_->close();
                co_return Error::permission("NBD export '{}' is read-only", where_.export_name);
            }
            options_.read_only = true;
        }
        limits_.request_alignment = d.sizes.minimum;
        limits_.max_transfer = d.sizes.maximum;
        limits_.max_zeroes = u64(1) << 30;
        co_return Result<void>();
    }

    u64 size() const override { return size_; }
    Result<u64> allocated_size() const override {
        return Error::unsupported("an NBD export does not tell its size on disk");
    }

protected:
    Task<Result<void>> do_read(u64 offset, const IoVec& memory) override {
        Operation o{.command = cmd_read, .offset = offset, .memory = &memory};
        // The last block of a size that is no multiple of a sector, and reads past the end.
        IoVec inside;
        u64 length = memory.length();
        if (offset + length > size_) {
            u64 there = offset < size_ ? size_ - offset : 0;
            memory.fill(there, length - there, 0);
            if (there == 0) co_return Result<void>();
            inside = memory.slice(0, there);
            o.memory = &inside;
            length = there;
        }
        if (length == 0) co_return Result<void>();
        o.length = u32(length);
        co_return co_await run(o);
    }
    Task<Result<void>> do_write(u64 offset, const IoVec& memory) override {
        states_.clear();
        if (memory.length() == 0) co_return Result<void>();
        Operation o{.command = cmd_write, .offset = offset, .length = u32(memory.length()), .memory = &memory};
        co_return co_await run(o);
    }
    Task<Result<void>> do_write_zeroes(u64 offset, u64 length, u32 flags) override {
        u16 has = connection_->description().flags;
        if (!(has & flag_send_write_zeroes) || ((flags & flag::no_fallback) && !(has & flag_send_fast_zero)))
            co_return unsupported("writing zeros efficiently");
        states_.clear();
        Operation o{.command = cmd_write_zeroes, .offset = offset, .length = u32(length)};
        if (!(flags & flag::may_unmap)) o.flags |= cmd_flag_no_hole;
        if (flags & flag::no_fallback) o.flags |= cmd_flag_fast_zero;
        co_return co_await run(o);
    }
    Task<Result<void>> do_discard(u64 offset, u64 length) override {
        if (!(connection_->description().flags & flag_send_trim)) co_return unsupported("discard");
        states_.clear();
        Operation o{.command = cmd_trim, .offset = offset, .length = u32(length)};
        co_return co_await run(o);
    }
    Task<Result<void>> do_flush() override {
        if (!(connection_->description().flags & flag_send_flush)) co_return Result<void>();
        Operation o{.command = cmd_flush};
        co_return co_await run(o);
    }

    Task<Result<Extent>> do_status(u64 offset, u64 length) override {
        if (!connection_->has_block_status()) {
            Extent all{.length = length, .allocated = true, .data = true};
            co_return plain(all, offset);
        }
        // A reply tells more than the caller goes on with; it is kept until something is written.
        if (offset < states_begin_ || offset >= states_end()) CO_CHECK(co_await fetch_states(offset, length));
        u64 at = states_begin_;
        for (auto& s : states_) {
            if (offset < at + s.length) {
                Extent e{.length = std::min(length, at + s.length - offset), .allocated = true};
                e.data = !(s.flags & state_hole);
                e.zero = s.flags & state_zero;
                co_return plain(e, offset);
            }
            at += s.length;
        }
        Extent e{.length = length, .allocated = true, .data = true};
        co_return plain(e, offset);
    }

    Task<Result<void>> do_truncate(u64 new_size, Prealloc) override {
        if (new_size > size_)
            co_return Error::invalid_argument("cannot grow the NBD export '{}' of {} bytes to {}", filename(), size_,
                                              new_size);
        co_return Result<void>();
    }
    Task<Result<void>> do_close() override {
        if (connection_) co_await connection_->close();
        co_return Result<void>();
    }

private:
    Extent plain(Extent e, u64 offset) {
        e.has_offset = true;
        e.offset = offset;
        e.file = this;
        return e;
    }
    u64 states_end() const {
        u64 end = states_begin_;
        for (auto& s : states_) end += s.length;
        return states_.empty() ? 0 : end;
    }

    Task<Result<void>> fetch_states(u64 offset, u64 length) {
        constexpr u64 most = u64(1) << 30;
        u32 unit = limits_.request_alignment;
        u64 begin = round_down(offset, unit), end = std::min(round_up(offset + length, unit), size_);
        std::vector<BlockState> found;
        Operation o{
            .command = cmd_block_status, .offset = begin, .length = u32(std::min(end - begin, most)), .states = &found};
        CO_CHECK(co_await run(o));
        states_ = std::move(found);
        states_begin_ = begin;
        co_return Result<void>();
    }

    Task<Result<void>> run(Operation o) {
        for (;;) {
            CO_TRY(auto connection, co_await connected());
            Result<void> r = co_await connection->perform(o);
            if (r || !connection->broken() || delay_ == Clock::duration(0)) co_return r;
            if (o.states) o.states->clear();
        }
    }

    // The connection, after it was made anew if need be.
    Task<Result<std::shared_ptr<Connection>>> connected() {
        if (!connection_->broken()) co_return connection_;
        auto lock = co_await reconnecting_.lock();
        if (!connection_->broken()) co_return connection_;
        co_await connection_->close();
        // All requests of one loss wait for the same span.
        auto again = co_await connect_for(std::chrono::duration_cast<std::chrono::seconds>(delay_));
        if (!again) co_return std::move(again).error();
        if ((*again)->description().size != size_ ||
            ((*again)->description().flags & flag_read_only && !options_.read_only)) {
            co_await (*again)->close();
            co_return Error::invalid_argument("NBD export '{}' has changed its size or become read-only", filename());
        }
        connection_ = std::move(*again);
        co_return connection_;
    }

    Task<Result<std::shared_ptr<Connection>>> connect_for(std::chrono::seconds patience) {
        auto until = Clock::now() + patience;
        auto pause = std::chrono::duration_cast<Clock::duration>(first_pause);
        for (;;) {
            auto c = co_await connect_once();
            if (c) co_return std::shared_ptr<Connection>(std::move(*c));
            if (Clock::now() + pause > until) co_return std::move(c).error();
            co_await loop().sleep(pause);
            pause = std::min<Clock::duration>(pause * 2, longest_pause);
        }
    }
    Task<Result<std::unique_ptr<Connection>>> connect_once() {
        CO_TRY(auto socket, co_await io::connect(loop(), where_.address));
        Wanted wanted{where_.export_name, context_, security_};
        co_return co_await Connection::open(loop(), make_transport(std::move(socket)), std::move(wanted));
    }

    Location where_;
    Security security_;
    std::string context_{base_allocation};
    Clock::duration delay_;
    std::shared_ptr<Connection> connection_;
    io::Mutex reconnecting_;
    u64 size_ = 0, states_begin_ = 0;
    std::vector<BlockState> states_;
};

Task<Result<NodePtr>> open_nbd(Context& context, OpenArguments& a) {
    NbdOptions o;
    OptionReader reader(a.options, "Block protocol 'nbd'");
    o.describe(reader);
    CO_CHECK(reader.finish());
    CO_TRY(Location where, o.location());
    CO_TRY(Security security, o.security(context, where));
    std::string name = uri_of(where);
    auto node = std::make_shared<NbdNode>(context, a.common, std::move(where), std::move(security), o);
    node->set_filename(name);
    CO_CHECK(co_await node->start(std::chrono::seconds(o.open_timeout.value_or(0))));
    co_return NodePtr(node);
}

// An export is there already; it must be large enough, and lose what a probe would take for a format.
Task<Result<void>> create_nbd(Context& context, CreateArguments& a) {
    std::optional<u64> size;
    std::optional<std::string> preallocation;
    OptionReader reader(a.options, "Block protocol 'nbd'");
    reader.size("size", size, "");
    reader.string("preallocation", preallocation, "");
    CO_CHECK(reader.finish());
    OpenArguments open;
    open.options = Json::object();
    open.options.set("filename", a.filename);
    CO_TRY(NodePtr node, co_await open_nbd(context, open));
    Result<void> r;
    if (node->size() < size.value_or(0))
        r = Error::no_space("NBD export '{}' has {} bytes, expected at least {}", a.filename, node->size(), *size);
    u64 head = std::min<u64>(node->size(), 4096);
    if (r) r = co_await node->write_zeroes(0, head);
    Result<void> closed = co_await node->close();
    co_return r ? closed : r;
}

constexpr std::string_view schemes[] = {"nbd", "nbd+tcp", "nbd+unix", "nbds", "nbds+tcp", "nbds+unix"};

} // namespace

MIMIC_BLOCK_DRIVER(nbd) = {
    .name = "nbd",
    .is_protocol = true,
    .schemes = schemes,
    .open = open_nbd,
    .create = create_nbd,
};

} // namespace mimic::block
