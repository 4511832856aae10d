// Server: exports nodes over NBD (doc/proto.md of NetworkBlockDevice/nbd) to any number of connections on one loop.
//
//   Server server(loop);
//   server.add({.name = "disk", .node = &node, .writable = true});
//   co_await server.serve(make_transport(std::move(socket)));      // until the client has gone
//
// A client can do no harm beyond its export: what it makes us keep is bounded (max_requests and max_bytes a connection,
// max_option of an option), and whatever breaks the protocol ends its own connection only.
#pragma once
#include "block/graph.hpp"
#include "block/nbd/channel.hpp"
#include "block/nbd/protocol.hpp"
#include <list>

namespace mimic::block::nbd {

struct Export {
    std::string name, description;
    std::shared_ptr<Root> disk;
    bool writable = false;
    bool multi_conn = false;
    bool write_through = false; // every write is on stable storage before its reply
    bool allocation_depth = false;
    std::vector<std::shared_ptr<DirtyBitmap>> bitmaps;
    BlockSizes sizes() const;
    u16 flags(bool structured) const;
    // The metadata contexts; a context's index is its identifier.
    std::vector<std::string> contexts() const;
};

struct Session;

class Server {
public:
    explicit Server(io::Loop& loop) : loop_(loop), gone_(loop) {}
    // Errors: the name is there already or too long.
    Result<void> add(Export e);
    const Export* find(std::string_view name) const;
    const std::list<Export>& exports() const { return exports_; }
    // Ends the connections to it and takes it away; requests under way are done first.
    Task<void> remove(std::string name);
    unsigned clients_of(std::string_view name) const;

    // One client, from its first byte to its last. True if it came as far as the transmission phase. Why it ended otherwise
    // is told to `log`.
    Task<bool> serve(std::unique_ptr<Transport> transport);
    // From now on clients must begin TLS before they ask for anything.
    void require(Security security) { security_ = std::move(security); }
    const Security& security() const { return security_; }
    // Ends all connections; their serve() returns once the requests under way are done.
    void shut_all();
    unsigned connections() const { return unsigned(live_.size()); }
    io::Loop& loop() const { return loop_; }
    std::function<void(const std::string&)> log = [](const std::string&) {};

    // Per connection.
    static constexpr unsigned max_requests = 128;
    static constexpr u64 max_bytes = 2 * u64(max_payload);

private:
    io::Loop& loop_;
    std::list<Export> exports_;
    struct Live {
        Channel* channel;
        const Session* session;
    };
    std::vector<Live> live_;
    Security security_;
    io::WaitList gone_;
};

// The parts of serve(). What the handshake settles:
struct Session {
    const Export* export_ = nullptr;
    bool structured = false;
    bool no_zeroes = false;
    // Selected contexts, by identifier, and the export that they were selected for.
    std::vector<u32> contexts;
    std::string contexts_of;
};
// Errors: the client broke the protocol or left. False: it left as the protocol has it.
Task<Result<bool>> negotiate(Server& server, Channel& channel, Session& session);
// Until the client leaves; requests that are under way then are still done.
Task<Result<void>> transmit(Server& server, Channel& channel, const Session& session);

} // namespace mimic::block::nbd
