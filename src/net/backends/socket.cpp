// The older options of a machine's peers: a stream (listen=, connect=, fd=) or datagrams (mcast=, udp=, fd=).
#include "net/backends/dgram.hpp"
#include "net/backends/stream.hpp"
#include <cerrno>
#include <sys/socket.h>

namespace mimic::net {

namespace {

Result<std::unique_ptr<BackEnd>> open_descriptor(Context& context, const std::string& id, const io::SocketAddress& a) {
    int type = 0, listening = 0;
    socklen_t length = sizeof type;
    if (getsockopt(a.fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0)
        return Error::from_errno(errno, "descriptor {} is no socket", a.fd);
    if (type == SOCK_DGRAM)
        return make_dgram(context, id,
                          {.kind = "socket", .local = a, .remote = {}, .info = fmt::format("fd={}", a.fd)});
    length = sizeof listening;
    getsockopt(a.fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length);
    return make_stream(context, id, {.kind = "socket", .address = a, .server = listening != 0});
}

} // namespace

Result<std::unique_ptr<BackEnd>> open_socket(Context& context, const std::string& id, Options& o) {
    constexpr std::string_view ways[] = {"fd", "listen", "connect", "mcast", "udp"};
    int given = 0;
    for (std::string_view way : ways) given += o.has(way);
    if (given != 1) return Error::invalid_argument("expected exactly one of 'fd', 'listen', 'connect', 'mcast', 'udp'");
    std::string listen = o.take("listen"), connect = o.take("connect"), group = o.take("mcast"), udp = o.take("udp"),
                local = o.take("localaddr");
    u64 fd = TRY(o.number("fd", ~u64{0}, 0, 0x7fffffff));
    TRY(o.finish());
    if (!local.empty() && group.empty() && udp.empty())
        return Error::invalid_argument("option 'localaddr': '{}', expected together with 'mcast' or 'udp'", local);
    io::SocketAddress a;
    if (fd != ~u64{0}) {
        a.kind = io::SocketAddress::Kind::descriptor;
        a.fd = int(fd);
        return open_descriptor(context, id, a);
    }
    if (!listen.empty()) {
        a = TRY(parse_host_port("listen", listen, "0.0.0.0"));
        return make_stream(context, id, {.kind = "socket", .address = a, .server = true});
    }
    if (!connect.empty()) {
        a = TRY(parse_host_port("connect", connect, "127.0.0.1"));
        return make_stream(context, id, {.kind = "socket", .address = a});
    }
    DatagramSettings s{.kind = "socket", .local_option = "localaddr", .remote_option = group.empty() ? "udp" : "mcast"};
    if (!group.empty()) {
        s.remote = TRY(parse_host_port("mcast", group, ""));
        if (!local.empty()) {
            s.local.emplace();
            s.local->kind = io::SocketAddress::Kind::inet;
            s.local->host = local;
        }
        s.info = "mcast=" + group;
        s.group = true;
        return make_dgram(context, id, std::move(s));
    }
    if (local.empty()) return Error::invalid_argument("option 'localaddr' is missing, expected HOST:PORT with 'udp'");
    s.remote = TRY(parse_host_port("udp", udp, "127.0.0.1"));
    s.local = TRY(parse_host_port("localaddr", local, "0.0.0.0"));
    s.info = fmt::format("udp={},localaddr={}", udp, local);
    return make_dgram(context, id, std::move(s));
}

} // namespace mimic::net
