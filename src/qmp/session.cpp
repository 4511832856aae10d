// QMP connections. QEMU documentation, "QEMU Machine Protocol Specification": greeting, negotiation, commands with ids, errors,
// events, out-of-band execution.
#include "base/io/scope.hpp"
#include "qmp/json_stream.hpp"
#include "qmp/server.hpp"
#include "qmp/version.hpp"
#include <deque>

namespace mimic::qmp {

namespace {

class QmpSession final : public Session {
public:
    QmpSession(Server& server, chardev::Chardev& dev, bool pretty) : Session(dev), server_(server), pretty_(pretty) {
        dev.attach(this);
        greet();
    }
    u32 room() override { return requests_.size() < max_requests ? Session::room() : 0; }
    void receive(std::span<const u8> bytes) override {
        stream_.feed(bytes, [this](Result<std::string> text) { take(std::move(text)); });
    }
    void event(chardev::Event e) override {
        if (e == chardev::Event::opened) greet();
        if (e == chardev::Event::closed) {
            forget_output();
            requests_.clear();
            client_++;
        }
    }
    void event(std::string_view, const Json& message) override {
        if (negotiated_) answer(message);
    }

private:
    // Requests of a client that wait for their turn; it is read no further then.
    static constexpr size_t max_requests = 64;
    struct Request {
        std::optional<Error> error; // of its form
        std::string command;
        Json arguments = Json::object(), id;
        bool has_id = false, out_of_band = false;
    };

    void greet();
    void take(Result<std::string> text);
    Result<void> parse(std::string_view raw, Request& r);
    io::Detached work();
    // The command to run; null with a result when there is none to run.
    Result<const Command*> choose(const Request& r, std::string& error_class, std::optional<Json>& done);
    Result<Json> negotiate(const Json& arguments);
    void reply(const Request& r, Result<Json> result, std::string error_class);
    void answer(const Json& message) {
        std::string text = message.dump(pretty_ ? 4 : -1);
        send(text + "\r\n");
    }

    Server& server_;
    JsonStream stream_;
    std::deque<Request> requests_;
    u64 client_ = 0; // answers to one that has gone are nobody's
    bool pretty_, negotiated_ = false, out_of_band_ = false, working_ = false;
};

void QmpSession::greet() {
    stream_.reset();
    forget_output();
    requests_.clear();
    client_++;
    negotiated_ = out_of_band_ = false;
    Json greeting = Json::object(), inner = Json::object(), capabilities = Json::array();
    capabilities.push("oob");
    inner.set("version", version_info());
    inner.set("capabilities", std::move(capabilities));
    greeting.set("QMP", std::move(inner));
    answer(greeting);
}

void QmpSession::take(Result<std::string> text) {
    Request r;
    Result<void> good = text ? parse(*text, r) : Result<void>(text.error());
    if (!good) r.error = good.error();
    if (!r.error && r.out_of_band) {
        std::string error_class = "GenericError";
        std::optional<Json> done;
        auto command = choose(r, error_class, done);
        Result<Json> result = Json();
        if (!command)
            result = command.error();
        else
            result = done ? Result<Json>(std::move(*done)) : server_.execute_now(**command, r.arguments);
        return reply(r, std::move(result), error_class);
    }
    requests_.push_back(std::move(r));
    if (!working_) work();
}

io::Detached QmpSession::work() {
    working_ = true;
    while (!requests_.empty()) {
        Request r = std::move(requests_.front());
        requests_.pop_front();
        u64 client = client_;
        std::string error_class = "GenericError";
        std::optional<Json> done;
        Result<const Command*> command = nullptr;
        Result<Json> result = Json();
        if (r.error) {
            result = *r.error;
        } else {
            command = choose(r, error_class, done);
            if (!command)
                result = command.error();
            else if (done)
                result = std::move(*done);
            else
                result = co_await server_.execute(**command, r.arguments);
        }
        if (client == client_) reply(r, std::move(result), error_class);
        if (requests_.size() + 1 == max_requests) chardev().accept_input();
    }
    working_ = false;
}

void QmpSession::reply(const Request& r, Result<Json> result, std::string error_class) {
    Json message = Json::object();
    if (result) {
        message.set("return", std::move(*result));
    } else {
        Json error = Json::object();
        const Error& e = result.error(); // a file that the host has not is another matter
        if (error_class == "GenericError" && e.kind() == ErrorKind::not_found && e.host_errno() == 0)
            error_class = "DeviceNotFound";
        if (error_class == "GenericError" && e.kind() == ErrorKind::cancelled) error_class = "DeviceNotActive";
        error.set("class", error_class);
        error.set("desc", e.message());
        message.set("error", std::move(error));
    }
    if (r.has_id) message.set("id", r.id);
    answer(message);
}

Result<void> QmpSession::parse(std::string_view raw, Request& r) {
    Json request = TRY(Json::parse(raw).in("JSON parse error"));
    if (!request.members()) return Error::invalid_argument("QMP input must be a JSON object");
    if (const Json* given = request.find("id")) {
        r.id = *given;
        r.has_id = true;
    }
    bool named = false;
    for (const auto& [key, value] : *request.members()) {
        if (key == "execute" || key == "exec-oob") {
            if (named) return Error::invalid_argument("QMP input members 'execute' and 'exec-oob' are both there");
            if (!value.string()) return Error::invalid_argument("QMP input member '{}' must be a string", key);
            named = true;
            r.command = *value.string();
            r.out_of_band = key == "exec-oob";
        } else if (key == "arguments") {
            if (!value.members()) return Error::invalid_argument("QMP input member 'arguments' must be an object");
            r.arguments = value;
        } else if (key != "id") {
            return Error::invalid_argument("QMP input member '{}' is unexpected", key);
        }
    }
    if (!named) return Error::invalid_argument("QMP input lacks member 'execute'");
    return {};
}

Result<const Command*> QmpSession::choose(const Request& r, std::string& error_class, std::optional<Json>& done) {
    const Command* c = server_.schema().find(r.command);
    if (c && !c->run && !c->task) { // qmp_capabilities is the connection's own
        if (!negotiated_) {
            done = TRY(negotiate(r.arguments));
            return c;
        }
        error_class = "CommandNotFound";
        return Error::invalid_argument("Capabilities negotiation is already complete, command ignored");
    }
    if (!c || !negotiated_) {
        error_class = "CommandNotFound";
        if (!negotiated_) return Error::invalid_argument("Expecting capabilities negotiation with 'qmp_capabilities'");
        return Error::invalid_argument("The command {} has not been found", r.command);
    }
    if (r.out_of_band && !out_of_band_) return Error::invalid_argument("QMP input member 'exec-oob' is unexpected");
    if (r.out_of_band && !c->out_of_band)
        return Error::invalid_argument("The command {} does not support OOB", r.command);
    return c;
}

Result<Json> QmpSession::negotiate(const Json& arguments) {
    const Schema& schema = server_.schema();
    TRY(schema.check(arguments, schema.arguments(*schema.find("qmp_capabilities"))));
    out_of_band_ = false;
    if (const Json* enable = arguments.find("enable"))
        for (const Json& one : *enable->items()) out_of_band_ |= *one.string() == "oob";
    negotiated_ = true;
    return Json::object();
}

} // namespace

std::unique_ptr<Session> make_qmp_session(Server& s, chardev::Chardev& dev, bool pretty) {
    return std::make_unique<QmpSession>(s, dev, pretty);
}

} // namespace mimic::qmp
