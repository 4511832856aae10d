// Opening character devices by the text of -chardev and -serial.
#pragma once
#include "base/io/loop.hpp"
#include "chardev/chardev.hpp"
#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace mimic::tls {
class Authorization;
class Credentials;
} // namespace mimic::tls

namespace mimic::chardev {

// Options of one back end in the order they were given: {"backend", "socket"}, {"path", "/tmp/s"}, {"server", "on"}.
using OptionList = std::vector<std::pair<std::string, std::string>>;

// Whom TLS lets in, and by what; `clients` null: all that the credentials vouch for.
struct TlsParts {
    std::shared_ptr<tls::Credentials> credentials;
    std::shared_ptr<tls::Authorization> clients;
};

struct OpenContext {
    io::Loop& loop;
    // The user typed C-a x (at a mux): leave. Called on the loop's thread.
    std::function<void()> quit;
    // Lines for the user ("char device redirected to /dev/pts/3").
    std::function<void(const std::string&)> say = [](const std::string&) {};
    // Objects by their ids; an empty `authorization` is none. Errors: there is no such object, or it is for the other end.
    std::function<Result<TlsParts>(const std::string& credentials, const std::string& authorization, bool server)> tls =
        [](const std::string& credentials, const std::string&, bool) -> Result<TlsParts> {
        return Error::not_found("No TLS credentials with id '{}'", credentials);
    };
    // Set while open() waits for a peer: ends the wait, which is an error then. On the loop's thread.
    std::function<void()> interrupt = {};
    std::shared_ptr<bool> stdio = std::make_shared<bool>(false); // one has this process's standard streams
    u8 escape = 1;                                               // what a mux takes commands behind: C-a
};

// `-chardev BACKEND,id=ID,key=value...`. Errors name the option and what was expected.
Result<std::unique_ptr<Chardev>> open(OpenContext& context, const std::string& id, const OptionList& options);
// `-serial TEXT`: none (a null pointer), null, stdio, mon:stdio, pty, vc, file:PATH, pipe:PATH, unix:PATH,server=on,
// tcp:HOST:PORT,server=on,wait=off, telnet: and websocket: like it, udp:HOST:PORT@LOCAL:PORT; chardev:ID is the caller's.
Result<std::unique_ptr<Chardev>> open_legacy(OpenContext& context, const std::string& id, std::string_view text);
// Names of back ends, sorted.
std::span<const std::string_view> backends();

// Several front ends over one back end; C-a (OpenContext::escape) c moves the keyboard, C-a x leaves, C-a h helps, C-a b is a
// break, C-a C-a is C-a. Gives the first front end's side, which owns the mux.
std::unique_ptr<Chardev> mux_over(OpenContext& context, std::unique_ptr<Chardev> back, const std::string& id);
// Another front end's side of a chardev with mux=on, which must outlive it. Errors: it is no mux.
Result<std::unique_ptr<Chardev>> mux_port(Chardev& mux, std::string id);

} // namespace mimic::chardev
