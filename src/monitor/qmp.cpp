// QMP connections. QEMU documentation, "QEMU Machine Protocol Specification": greeting, negotiation, commands with ids, errors,
// events, out-of-band execution.
#include "monitor/json_stream.hpp"
#include "monitor/monitor.hpp"
#include "monitor/version.hpp"

namespace mimic::monitor {

namespace {

class QmpSession final : public Session {
public:
    QmpSession(Monitor& m, chardev::Chardev& dev, bool pretty) : Session(m, dev), pretty_(pretty) {
        dev.attach(this);
        greet();
    }
    void receive(std::span<const u8> bytes) override {
        stream_.feed(bytes, [this](Result<std::string> text) { take(std::move(text)); });
    }
    void event(chardev::Event e) override {
        if (e == chardev::Event::opened) greet();
        if (e == chardev::Event::closed) forget_output();
    }
    void event(std::string_view, const Json& message) override {
        if (negotiated_) answer(message);
    }

private:
    void greet();
    void take(Result<std::string> text);
    Result<Json> run(const Json& request, std::string& error_class);
    Result<Json> negotiate(const Json& arguments);
    void answer(const Json& message) {
        std::string text = message.dump(pretty_ ? 4 : -1);
        send(text + "\r\n");
    }

    JsonStream stream_;
    bool pretty_, negotiated_ = false, out_of_band_ = false;
};

void QmpSession::greet() {
    stream_.reset();
    forget_output();
    negotiated_ = out_of_band_ = false;
    Json greeting = Json::object(), inner = Json::object(), capabilities = Json::array();
    capabilities.push("oob");
    inner.set("version", version_info());
    inner.set("capabilities", std::move(capabilities));
    greeting.set("QMP", std::move(inner));
    answer(greeting);
}

void QmpSession::take(Result<std::string> text) {
    std::string error_class = "GenericError";
    Json id;
    bool has_id = false;
    auto result = [&]() -> Result<Json> {
        std::string raw = TRY(std::move(text));
        Json request = TRY(Json::parse(raw).in("JSON parse error"));
        if (!request.members()) return Error::invalid_argument("QMP input must be a JSON object");
        if (const Json* given = request.find("id")) {
            id = *given;
            has_id = true;
        }
        return run(request, error_class);
    }();
    Json reply = Json::object();
    if (result) {
        reply.set("return", std::move(*result));
    } else {
        Json error = Json::object();
        const Error& e = result.error(); // a file that the host has not is another matter
        if (error_class == "GenericError" && e.kind() == ErrorKind::not_found && e.host_errno() == 0)
            error_class = "DeviceNotFound";
        error.set("class", error_class);
        error.set("desc", result.error().message());
        reply.set("error", std::move(error));
    }
    if (has_id) reply.set("id", std::move(id));
    answer(reply);
}

Result<Json> QmpSession::run(const Json& request, std::string& error_class) {
    const Json* name = nullptr;
    const Json* arguments = nullptr;
    bool oob = false;
    for (const auto& [key, value] : *request.members()) {
        if (key == "execute" || key == "exec-oob") {
            if (name) return Error::invalid_argument("QMP input members 'execute' and 'exec-oob' are both there");
            if (!value.string()) return Error::invalid_argument("QMP input member '{}' must be a string", key);
            name = &value;
            oob = key == "exec-oob";
        } else if (key == "arguments") {
            if (!value.members()) return Error::invalid_argument("QMP input member 'arguments' must be an object");
            arguments = &value;
        } else if (key != "id") {
            return Error::invalid_argument("QMP input member '{}' is unexpected", key);
        }
    }
    if (!name) return Error::invalid_argument("QMP input lacks member 'execute'");
    const std::string& command = *name->string();
    const Command* c = monitor_.schema().find(command);
    Json none = Json::object();
    const Json& given = arguments ? *arguments : none;
    if (c && !c->run) { // qmp_capabilities is the connection's own
        if (!negotiated_) return negotiate(given);
        error_class = "CommandNotFound";
        return Error::invalid_argument("Capabilities negotiation is already complete, command ignored");
    }
    if (!c || !negotiated_) {
        error_class = "CommandNotFound";
        if (!negotiated_) return Error::invalid_argument("Expecting capabilities negotiation with 'qmp_capabilities'");
        return Error::invalid_argument("The command {} has not been found", command);
    }
    if (oob && !out_of_band_) return Error::invalid_argument("QMP input member 'exec-oob' is unexpected");
    if (oob && !c->out_of_band) return Error::invalid_argument("The command {} does not support OOB", command);
    return monitor_.execute(*c, given);
}

Result<Json> QmpSession::negotiate(const Json& arguments) {
    const Schema& schema = monitor_.schema();
    TRY(schema.check(arguments, schema.arguments(*schema.find("qmp_capabilities"))));
    out_of_band_ = false;
    if (const Json* enable = arguments.find("enable"))
        for (const Json& one : *enable->items()) out_of_band_ |= *one.string() == "oob";
    negotiated_ = true;
    return Json::object();
}

} // namespace

std::unique_ptr<Session> make_qmp_session(Monitor& m, chardev::Chardev& dev, bool pretty) {
    return std::make_unique<QmpSession>(m, dev, pretty);
}

} // namespace mimic::monitor
