// Server: the commands of QMP over any number of connections, and events to them. Who has machines (monitor/) or only disks
// (app/storage) derives from it, gives it its families of commands and finds itself again in their functions by of<>.
//
//   class Monitor : public qmp::Server { ... };
//   Result<Json> stop(Monitor& m, const Arguments& a);
//   constexpr Command commands[] = {{"stop", "", "", "stops the processors", of<stop>}};
//
// All of it runs on the loop's thread. Commands of all connections run one after the other, in the order they came; a command
// that waits (Command::task) lets the loop go on meanwhile, and only out-of-band ones overtake it.
#pragma once
#include "base/io/sync.hpp"
#include "chardev/open.hpp"
#include "qmp/schema.hpp"

namespace mimic::block {
class Storage;
struct Context;
} // namespace mimic::block

namespace mimic::qmp {

// The families that every server has: itself, and character devices.
extern const Family self_family, chardev_family;

// A front end of a chardev that speaks: output that waits for the peer, input in time.
class Session : public chardev::FrontEnd {
public:
    explicit Session(chardev::Chardev& dev) : dev_(dev) {}
    ~Session() override { dev_.attach(nullptr); }
    chardev::Chardev& chardev() const { return dev_; }
    // An event of the server; a whole message.
    virtual void event(std::string_view /*name*/, const Json& /*message*/) {}
    using FrontEnd::event;

    u32 room() override { return waiting_.empty() ? 4096 : 0; }
    void writable() override;

protected:
    static constexpr size_t max_waiting = 64 << 20; // bytes of answers that nobody takes; then the oldest peer is lost
    void send(std::string_view text);
    void forget_output() { waiting_.clear(); }

private:
    chardev::Chardev& dev_;
    std::string waiting_;
};

class Server {
public:
    Server(io::Loop& loop, chardev::OpenContext& chardevs, std::span<const Family* const> families);
    virtual ~Server();
    Server(const Server&) = delete;

    io::Loop& loop() const { return loop_; }
    // Made when it is first asked for: a machine that nobody controls starts without it.
    const Schema& schema() const;

    // Checks the arguments and runs a command, behind those that are under way. Errors: `not_found` without a host errno is
    // DeviceNotFound, `cancelled` (what is over) is DeviceNotActive, all others are GenericError.
    io::Task<Result<Json>> execute(const Command& command, Json arguments);
    // The same at once, for commands that don't wait. Errors: it is one that does.
    Result<Json> execute_now(const Command& command, const Json& arguments);
    Result<Json> execute(std::string_view name, const Json& arguments = Json::object());

    // The chardev has no other front end and outlives the server.
    void serve_qmp(chardev::Chardev& dev, bool pretty);
    // Sends an event to all QMP clients.
    void event(std::string_view name, Json data = {});

    // Character devices, wherever they are kept.
    chardev::OpenContext& chardev_context() const { return chardevs_; }
    virtual std::span<const std::unique_ptr<chardev::Chardev>> chardevs() const = 0;
    virtual void add_chardev(std::unique_ptr<chardev::Chardev> dev) = 0;
    virtual void remove_chardev(std::string_view id) = 0;
    chardev::Chardev* find_chardev(std::string_view id) const;
    // The disks, for the families of disks.hpp.
    virtual block::Storage& storage() = 0;
    // Names of command-line options, for query-command-line-options.
    virtual std::vector<std::string> option_names() const { return {}; }

protected:
    // Ends all connections and waits for commands under way; derived classes call it before their members go.
    void close_sessions();
    std::vector<std::unique_ptr<Session>>& sessions() { return sessions_; }

private:
    io::Loop& loop_;
    chardev::OpenContext& chardevs_;
    std::span<const Family* const> families_; // constants of the program
    mutable std::optional<Schema> schema_;
    io::Mutex turn_;
    unsigned running_ = 0;
    std::vector<std::unique_ptr<Session>> sessions_;
};

// chardev-change: ChardevReturn. Errors: there is no such one; it is shared by a mux, or its front end is no device; of the new one.
Result<Json> change_chardev(Server& s, const std::string& id, const chardev::OptionList& options);

// For chardev::OpenContext::tls: the objects of a block context, which outlives it.
decltype(chardev::OpenContext::tls) find_tls(block::Context& context);

std::unique_ptr<Session> make_qmp_session(Server& s, chardev::Chardev& dev, bool pretty);

namespace detail {
template <class S>
struct FirstOf;
template <class S>
struct FirstOf<Result<Json> (*)(S&, const Arguments&)> {
    using type = S;
};
template <class S>
struct FirstOf<io::Task<Result<Json>> (*)(S&, const Arguments&)> {
    using type = S;
};
} // namespace detail

// A command's function that takes what derives from Server.
template <auto function>
auto of(Server& s, const Arguments& a) {
    return function(static_cast<typename detail::FirstOf<decltype(function)>::type&>(s), a);
}

} // namespace mimic::qmp
