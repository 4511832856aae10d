// Frames to and from another machine over a stream socket. A server has one peer at a time, the next waits; a client may connect
// anew when its peer goes. Frames that nobody is there for are lost, as on a cable that leads nowhere.
#include "net/backends/stream.hpp"
#include "base/io/dial.hpp"
#include "base/io/scope.hpp"
#include "net/framing.hpp"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace mimic::net {

namespace {

using io::Task;

// Where the socket's other end is: "tcp:127.0.0.1:1234", "unix:/tmp/s".
std::string peer_of(int fd, const io::SocketAddress& known) {
    sockaddr_storage s{};
    socklen_t length = sizeof s;
    char text[INET6_ADDRSTRLEN] = "";
    if (getpeername(fd, reinterpret_cast<sockaddr*>(&s), &length) == 0) {
        if (s.ss_family == AF_INET) {
            auto& in = reinterpret_cast<const sockaddr_in&>(s);
            inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
            return fmt::format("tcp:{}:{}", text, ntohs(in.sin_port));
        }
        if (s.ss_family == AF_INET6) {
            auto& in = reinterpret_cast<const sockaddr_in6&>(s);
            inet_ntop(AF_INET6, &in.sin6_addr, text, sizeof text);
            return fmt::format("tcp:[{}]:{}", text, ntohs(in.sin6_port));
        }
    }
    return known.kind == io::SocketAddress::Kind::descriptor ? fmt::format("fd:{}", known.fd) : "unix:" + known.path;
}

std::string name_of(const io::SocketAddress& a) {
    switch (a.kind) {
    case io::SocketAddress::Kind::inet: return "tcp:" + a.text();
    case io::SocketAddress::Kind::unix_path: return "unix:" + a.path;
    case io::SocketAddress::Kind::descriptor: break;
    }
    return fmt::format("fd:{}", a.fd);
}

Json address_event(const std::string& id, const io::SocketAddress& a) {
    Json addr = Json::object(), data = Json::object();
    switch (a.kind) {
    case io::SocketAddress::Kind::inet:
        addr.set("type", "inet");
        addr.set("host", a.host);
        addr.set("port", a.port);
        break;
    case io::SocketAddress::Kind::unix_path:
        addr.set("type", "unix");
        addr.set("path", a.path);
        break;
    case io::SocketAddress::Kind::descriptor:
        addr.set("type", "fd");
        addr.set("str", std::to_string(a.fd));
        break;
    }
    data.set("netdev-id", id);
    data.set("addr", std::move(addr));
    return data;
}

class StreamNet final : public BackEnd {
public:
    StreamNet(Context& context, std::string id, StreamSettings s)
        : BackEnd(context.loop, std::move(id))
        , context_(context)
        , s_(std::move(s))
        , dial_(context.loop)
        , pause_(context.loop)
        , room_(context.loop)
        , output_(context.loop)
        , tasks_(context.loop)
        , sending_(context.loop) {}
    ~StreamNet() override;
    Result<void> start();

    std::string_view kind() const override { return s_.kind; }
    std::string info() const override;

private:
    static constexpr size_t most_waiting = 1 << 20; // bytes that the socket has not taken

    void transmit(std::span<const u8> frame) override;
    bool can_transmit() override { return !socket_ || out_.size() < most_waiting; }
    void taken() override { room_.wake_all(); }
    Task<Result<void>> listen();
    Task<Result<void>> connect_again();
    Task<Result<void>> talk(std::unique_ptr<io::Socket> socket);
    Task<Result<void>> read(io::Socket& socket);
    Task<Result<void>> write(io::Socket& socket);

    Context& context_;
    StreamSettings s_;
    std::unique_ptr<io::Listener> listener_;
    io::Dial dial_;
    io::Pause pause_;
    io::Socket* socket_ = nullptr; // while somebody is there
    std::string peer_;
    bool over_ = false, closing_ = false;
    Deframer in_;
    std::vector<u8> out_;
    io::WaitList room_, output_;
    io::Scope tasks_, sending_;
};

StreamNet::~StreamNet() {
    closing_ = over_ = true;
    attach(nullptr);
    dial_.cancel();
    pause_.cancel();
    if (listener_) listener_->stop();
    if (socket_) socket_->shut();
    output_.wake_all();
    if (tasks_.running()) loop().run_until([this] { return tasks_.running() == 0; });
}

std::string StreamNet::info() const {
    if (socket_) return peer_;
    return fmt::format("{}: {}", s_.server ? "listening" : "not connected", name_of(s_.address));
}

Result<void> StreamNet::start() {
    if (s_.server) {
        listener_ = TRY(io::Listener::create(loop(), s_.address, 1));
        if (u16 port = listener_->port()) s_.address.port = std::to_string(port);
        tasks_.spawn(listen());
        return {};
    }
    if (s_.reconnect_ms) {
        tasks_.spawn(connect_again());
        return {};
    }
    int fd = TRY(loop().run(dial_.connect(s_.address)));
    auto socket = io::Socket::adopt(loop(), fd);
    if (!socket) {
        if (s_.address.kind != io::SocketAddress::Kind::descriptor) close(fd);
        return std::move(socket).error();
    }
    tasks_.spawn(talk(*std::move(socket)));
    return {};
}

Task<Result<void>> StreamNet::listen() {
    while (!closing_) {
        auto socket = co_await listener_->accept();
        if (closing_) break;
        if (!socket) { // out of descriptors, or the peer has gone already
            if (!co_await pause_.sleep(std::chrono::milliseconds(100))) break;
            continue;
        }
        Result<void> talked = co_await talk(*std::move(socket));
        std::move(talked).ignore();
    }
    co_return Result<void>();
}

Task<Result<void>> StreamNet::connect_again() {
    while (!closing_) {
        auto fd = co_await dial_.connect(s_.address);
        if (closing_) break;
        if (fd) {
            auto socket = io::Socket::adopt(loop(), *fd);
            if (socket) {
                Result<void> talked = co_await talk(*std::move(socket));
                std::move(talked).ignore();
            }
        }
        if (closing_ || !co_await pause_.sleep(std::chrono::milliseconds(s_.reconnect_ms))) break;
    }
    co_return Result<void>();
}

// Until one of both ends it.
Task<Result<void>> StreamNet::talk(std::unique_ptr<io::Socket> socket) {
    over_ = false;
    in_.forget();
    out_.clear();
    peer_ = peer_of(socket->fd(), s_.address);
    socket_ = socket.get();
    context_.on_event("NETDEV_STREAM_CONNECTED", address_event(id(), s_.address));
    sending_.spawn(write(*socket));
    Result<void> result = co_await read(*socket);
    over_ = true;
    socket->shut();
    output_.wake_all();
    co_await sending_.drain();
    socket_ = nullptr;
    if (!closing_) {
        Json data = Json::object();
        data.set("netdev-id", id());
        context_.on_event("NETDEV_STREAM_DISCONNECTED", std::move(data));
        transmit_more(); // what waits is lost
    }
    co_return result;
}

Task<Result<void>> StreamNet::read(io::Socket& socket) {
    while (!over_) {
        std::span<u8> room = in_.room();
        CO_TRY(size_t got, co_await socket.receive(room.data(), room.size()));
        if (got == 0) break;
        in_.filled(got);
        std::span<const u8> frame;
        Deframer::Next next = Deframer::Next::more;
        while (!over_ && (next = in_.next(frame)) == Deframer::Next::frame) {
            if (!frame.empty()) deliver(frame);
            while (congested() && !over_) co_await room_.wait();
        }
        if (next == Deframer::Next::bad)
            co_return Error::make(ErrorKind::corrupt, "a frame of more than {} bytes", max_frame);
    }
    co_return Result<void>();
}

void StreamNet::transmit(std::span<const u8> frame) {
    if (!socket_ || over_ || out_.size() >= most_waiting) return;
    append_framed(out_, frame);
    output_.wake_all();
}

Task<Result<void>> StreamNet::write(io::Socket& socket) {
    std::vector<u8> bytes;
    while (!over_) {
        if (out_.empty()) {
            co_await output_.wait();
            continue;
        }
        bytes.clear();
        bytes.swap(out_);
        transmit_more();
        iovec one[] = {{bytes.data(), bytes.size()}};
        Result<void> sent = co_await socket.send(one);
        if (!sent) break; // the reader sees the end, too
    }
    co_return Result<void>();
}

} // namespace

Result<std::unique_ptr<BackEnd>> make_stream(Context& context, const std::string& id, StreamSettings settings) {
    auto net = std::make_unique<StreamNet>(context, id, std::move(settings));
    TRY(net->start());
    return std::unique_ptr<BackEnd>(std::move(net));
}

Result<std::unique_ptr<BackEnd>> open_stream(Context& context, const std::string& id, Options& o) {
    StreamSettings s{.kind = "stream"};
    s.server = TRY(o.flag("server", false));
    auto address = TRY(o.address("addr"));
    if (!address) return Error::invalid_argument("option 'addr.type' is missing, expected inet, unix or fd");
    s.address = std::move(*address);
    u64 seconds = TRY(o.number("reconnect", 0, 0, 1u << 20));
    s.reconnect_ms = TRY(o.number("reconnect-ms", seconds * 1000, 0, u64{1} << 30));
    if (s.server && s.reconnect_ms) return bad_option("reconnect-ms", std::to_string(s.reconnect_ms), "server=off");
    TRY(o.finish());
    return make_stream(context, id, std::move(s));
}

} // namespace mimic::net
