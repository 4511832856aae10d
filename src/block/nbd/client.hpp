// Connection: the client's side of one connection to an NBD server, with many requests in flight.
//
//   CO_TRY(auto connection, co_await Connection::open(loop, make_transport(std::move(socket)), {.export_name = "disk"}));
//   CO_CHECK(co_await connection->perform({.command = cmd_read, .offset = 0, .length = 512, .memory = &memory}));
//
// The server is not trusted: what it sends is held against what was asked, nothing that it says makes us keep more than
// max_payload, and a reply that breaks the protocol ends the connection.
#pragma once
#include "block/nbd/channel.hpp"
#include "block/nbd/protocol.hpp"
#include <map>

namespace mimic::block::nbd {

// What is known of an export.
struct Description {
    std::string name, text;
    bool has_details = false; // the rest
    u64 size = 0;
    u16 flags = 0;
    bool has_sizes = false;
    BlockSizes sizes;
    std::vector<std::string> contexts;
};
// All that the server exports. Ends the connection.
Task<Result<std::vector<Description>>> list(io::Loop& loop, std::unique_ptr<Transport> transport,
                                            Security security = Security());

struct Wanted {
    std::string export_name;
    std::string context; // for block status
    Security security;   // TLS is begun if it has credentials
    // A constructor, since g++ 12 destroys an aggregate that is made in an await twice.
    explicit Wanted(std::string name = {}, std::string c = std::string(base_allocation), Security s = Security())
        : export_name(std::move(name))
        , context(std::move(c))
        , security(std::move(s)) {}
};

struct BlockState {
    u32 length, flags;
};

struct Operation {
    u16 command = cmd_read, flags = 0;
    u64 offset = 0;
    u32 length = 0;
    const IoVec* memory = nullptr;             // of reads and writes: `length` bytes
    std::vector<BlockState>* states = nullptr; // of block status
};

class Connection {
public:
    // Agrees on an export. Errors: the server's, with its words.
    static Task<Result<std::unique_ptr<Connection>>> open(io::Loop& loop, std::unique_ptr<Transport> transport,
                                                          Wanted wanted);
    // After close().
    ~Connection();

    const Description& description() const { return description_; }
    bool has_block_status() const { return context_.has_value(); }
    Task<Result<void>> perform(Operation operation);
    // Nothing can be asked any more.
    bool broken() const { return broken_.has_value(); }
    // Says good-bye, and waits until nothing is under way.
    Task<void> close();

    static constexpr unsigned max_requests = 64;

private:
    struct Pending {
        Operation operation;
        std::optional<Error> error;
        bool done = false, got_states = false;
        std::map<u64, u64> covered; // of a read: begin to end, apart from each other
        std::coroutine_handle<> waiter{};
    };
    Connection(io::Loop& loop, std::unique_ptr<Transport> transport);
    Task<Result<void>> agree(Wanted wanted);
    io::Detached receive();
    Task<Result<void>> receive_all();
    Task<Result<void>> simple_reply();
    Task<Result<void>> structured_reply();
    Task<Result<void>> content(Pending& p, u16 type, u32 length);
    Task<Result<void>> states(Pending& p, u32 length);
    Task<Result<void>> error_chunk(Pending& p, u32 length);
    Result<void> cover(Pending& p, u64 offset, u64 length);
    Result<Pending*> find(u64 cookie);
    void finish(u64 cookie, Pending& p);
    void fail(const Error& error);

    io::Loop& loop_;
    Channel channel_;
    Description description_;
    bool structured_ = false;
    std::optional<u32> context_;
    std::map<u64, Pending*> pending_;
    u64 next_cookie_ = 1;
    bool receiving_ = false, closing_ = false;
    std::optional<Error> broken_;
    io::WaitList changed_;
};

} // namespace mimic::block::nbd
