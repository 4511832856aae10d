#include "qmp/server.hpp"
#include <ctime>

namespace mimic::qmp {

Server::Server(io::Loop& loop, chardev::OpenContext& chardevs, std::span<const Family* const> families)
    : loop_(loop)
    , chardevs_(chardevs)
    , families_(families)
    , turn_(loop) {}

const Schema& Server::schema() const {
    if (!schema_) schema_.emplace(families_);
    return *schema_;
}

Server::~Server() { close_sessions(); }

void Server::close_sessions() {
    loop_.run_until([this] { return running_ == 0; });
    sessions_.clear();
}

io::Task<Result<Json>> Server::execute(const Command& command, Json arguments) {
    CO_CHECK(schema().check(arguments, schema().arguments(command)));
    running_++;
    auto turn = co_await turn_.lock();
    Arguments a(arguments);
    Result<Json> result = Json();
    if (command.task)
        result = co_await command.task(*this, a);
    else
        result = command.run(*this, a);
    running_--;
    co_return result;
}

Result<Json> Server::execute_now(const Command& command, const Json& arguments) {
    if (!command.run) return Error::unsupported("command {} has to wait, which is not possible here", command.name);
    TRY(schema().check(arguments, schema().arguments(command)));
    return command.run(*this, Arguments(arguments));
}

Result<Json> Server::execute(std::string_view name, const Json& arguments) {
    const Command* c = schema().find(name);
    if (!c || (!c->run && !c->task)) return Error::invalid_argument("The command {} has not been found", name);
    return execute_now(*c, arguments);
}

void Server::serve_qmp(chardev::Chardev& dev, bool pretty) {
    sessions_.push_back(make_qmp_session(*this, dev, pretty));
}

chardev::Chardev* Server::find_chardev(std::string_view id) const {
    for (const auto& c : chardevs())
        if (c->id() == id) return c.get();
    return nullptr;
}

void Server::event(std::string_view name, Json data) {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    Json message = Json::object(), time = Json::object();
    time.set("seconds", i64(now.tv_sec));
    time.set("microseconds", i64(now.tv_nsec / 1000));
    message.set("timestamp", std::move(time));
    message.set("event", name);
    if (!data.is_null()) message.set("data", std::move(data));
    for (const auto& s : sessions_) s->event(name, message);
}

void Session::send(std::string_view text) {
    waiting_ += text;
    writable();
    if (waiting_.size() > max_waiting) waiting_.clear();
}

void Session::writable() {
    if (waiting_.empty()) return;
    u32 n = dev_.write({reinterpret_cast<const u8*>(waiting_.data()), waiting_.size()});
    waiting_.erase(0, n);
    if (waiting_.empty()) dev_.accept_input();
}

} // namespace mimic::qmp
